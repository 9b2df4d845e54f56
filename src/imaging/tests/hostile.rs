use std::io::Cursor;
use std::time::{Duration, Instant};

use super::samples::{self, crc32, encoded, picture, rgb, tags, zoo};
use super::*;

fn options(max_pixels: u64) -> Options<'static> {
    Options::held(Limits { max_pixels })
}

fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&rgb(8, 8), Format::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = encoded(&rgb(8, 8), Format::Jpeg);
    let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("it has a frame");
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn gif_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = samples::still_gif();
    bytes[6..8].copy_from_slice(&width.to_le_bytes());
    bytes[8..10].copy_from_slice(&height.to_le_bytes());
    bytes
}

fn webp_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = samples::animated_webp(&rgb(20, 16), true);
    bytes[24..27].copy_from_slice(&(width - 1).to_le_bytes()[..3]);
    bytes[27..30].copy_from_slice(&(height - 1).to_le_bytes()[..3]);
    bytes
}

#[test]
fn a_header_of_60000_x_60000_is_refused_before_anything_is_allocated() {
    let tiff = samples::tiff(&tags(60_000, 60_000, 8, 2, 3), &[vec![0; 64]], false, false);
    let files = [
        png_claiming(60_000, 60_000),
        jpeg_claiming(60_000, 60_000),
        gif_claiming(60_000, 60_000),
        webp_claiming(60_000, 60_000),
        tiff,
        samples::Stills { shown: (60_000, 60_000), ..samples::Stills::avif(&rgb(64, 48)) }.file(),
        samples::Stills { shown: (60_000, 60_000), ..samples::Stills::heic() }.file(),
    ];
    for bytes in files {
        let probe = probe_bytes(&bytes).expect("the header is fine");
        assert_eq!((probe.width, probe.height), (60_000, 60_000));
        let error = decode_bytes(&bytes, &free()).expect_err("too large");
        assert!(
            matches!(error, Error::TooLarge { width: 60_000, height: 60_000, max_pixels: 200_000_000 }),
            "{error}"
        );
        // Whoever lifts the limit still has to pay for it.
        let budget = Budget::new(64 << 20);
        let limits = Limits { max_pixels: u64::MAX };
        let error = decode_bytes(&bytes, &Options::new(limits, &budget)).expect_err("too dear");
        assert!(matches!(error, Error::Budget { .. }), "{error}");
        let thumb = Preset::Thumb.transform();
        let error = render_bytes(&bytes, &thumb, OutputFormat::Jpeg, &Limits::default(), &budget)
            .expect_err("too large");
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
}

/// What the list in front of a coded picture says is small, and the picture is not.
#[test]
fn a_coded_picture_is_not_larger_than_its_file_says() {
    let (small, large) = (samples::Stills::avif(&rgb(64, 48)), samples::Stills::avif(&rgb(640, 480)));
    let bytes = samples::Stills { coded: large.coded, ..small }.file();
    let error = decode_bytes(&bytes, &free()).expect_err("it does not fit");
    assert!(matches!(error, Error::Broken { format: "AVIF", .. }), "{error}");
    // The same picture again and again.
    let frame = samples::Stills::avif(&rgb(64, 48));
    let often = samples::Stills { coded: vec![frame.coded[0].repeat(100)], ..frame.clone() }.file();
    let error = decode_bytes(&often, &free()).expect_err("too often");
    assert!(matches!(error, Error::Unsupported { format: "AVIF", .. }), "{error}");
    // Tiles that would lie outside, or are too few.
    for grid in [(9, 2), (2, 9), (1, 1), (16, 16), (4, 1)] {
        let coded = vec![frame.coded[0].clone(); 4];
        let file = samples::Stills { grid: Some(grid), coded, shown: (120, 90), ..frame.clone() }.file();
        let error = probe_bytes(&file).expect_err("it makes no sense");
        assert!(matches!(error, Error::Broken { .. }), "{grid:?} {error}");
    }
}

/// Thousands of directories of thousands of entries, which overlap so that the file stays small.
#[test]
fn a_tiff_of_overlapping_directories_is_counted_up_to_a_limit() {
    let mut bytes = samples::tiff(&tags(4, 4, 8, 1, 1), &[vec![0; 16]], false, false);
    // A directory every 12 bytes, each of 4,000 entries that reach over the directories behind it. The pointer to the
    // next one stands where its entries end.
    let start = bytes.len().next_multiple_of(12);
    bytes.resize(start + 12 * 3000 + 4000 * 12 + 12 * 3000, 0);
    for index in 0..3000 {
        let at = start + index * 12;
        bytes[at..at + 2].copy_from_slice(&4000_u16.to_le_bytes());
        let next = at + 2 + 4000 * 12;
        bytes[next..next + 4].copy_from_slice(&((at + 12) as u32).to_le_bytes());
    }
    assert!(bytes.len() < 200_000);
    let first = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    let end_of_first = first + 2 + 9 * 12;
    bytes[end_of_first..end_of_first + 4].copy_from_slice(&(start as u32).to_le_bytes());
    let begin = Instant::now();
    let probe = probe_bytes(&bytes).expect("its first page is fine");
    assert_eq!(probe.frames, 1000);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[test]
fn endless_blocks_and_chunks_are_counted_up_to_a_limit() {
    // Frames of one pixel with no data.
    let gif = samples::still_gif();
    let mut many = gif[..gif.len() - 1].to_vec();
    many.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\0".repeat(800_000));
    let frames = probe_bytes(&many).expect("it has a frame").frames;
    assert!((400_000..=500_000).contains(&frames), "{frames}");

    let mut webp = samples::animated_webp(&rgb(20, 16), true);
    let frame = [&b"ANMF\x10\0\0\0"[..], &[0; 16]].concat();
    webp.extend(frame.repeat(150_000));
    let length = webp.len() as u32 - 8;
    webp[4..8].copy_from_slice(&length.to_le_bytes());
    let frames = probe_bytes(&webp).expect("it has a frame").frames;
    assert!((99_000..=100_000).contains(&frames), "{frames}");

    let png = encoded(&rgb(8, 8), Format::Png);
    let empty = b"\0\0\0\0teSt\0\0\0\0".repeat(150_000);
    let behind = [&png[..png.len() - 12], &empty, &png[png.len() - 12..]].concat();
    assert!(probe_bytes(&behind).is_ok());
    // What says whether there is transparency could hide behind these.
    let in_front = [&png[..33], &empty, &png[33..]].concat();
    assert!(matches!(probe_bytes(&in_front), Err(Error::Broken { format: "PNG", .. })));

    let jpeg = encoded(&rgb(8, 8), Format::Jpeg);
    let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xdb]).expect("it has a table");
    for filler in [b"\xff\xfe\0\x02".repeat(20_000), vec![0; 2 << 20], vec![0xff; 2 << 20]] {
        let endless = [&jpeg[..at], &filler, &jpeg[at..]].concat();
        assert!(matches!(probe_bytes(&endless), Err(Error::Broken { format: "JPEG", .. })));
    }
}

/// A TIFF of 16 x 16 pixels in one JPEG tile.
fn tiled_jpeg_tiff(tile_width: u32, tile_height: u32, tile: Vec<u8>) -> Vec<u8> {
    let mut tags = tags(16, 16, 8, 6, 3);
    tags.retain(|(tag, ..)| *tag != 0x0116);
    tags[3].2 = vec![7];
    tags.extend([(0x0142, 4, vec![tile_width]), (0x0143, 4, vec![tile_height])]);
    samples::tiff(&tags, &[tile], true, false)
}

#[test]
fn a_tile_is_not_larger_than_its_picture_needs() {
    let huge = jpeg_claiming(8000, 8000);
    for (width, height) in [(8000, 8000), (16, 8000), (8000, 16)] {
        let error = probe_bytes(&tiled_jpeg_tiff(width, height, huge.clone())).expect_err("too large a tile");
        assert!(matches!(error, Error::Broken { format: "TIFF", .. }), "{error}");
    }
    // The same for what is not JPEG.
    let mut plain = tags(16, 16, 8, 2, 3);
    plain.extend([(0x0142, 4, vec![1 << 30]), (0x0143, 4, vec![16])]);
    assert!(probe_bytes(&samples::tiff(&plain, &[vec![0; 64]], true, false)).is_err());
    // A tile that claims to be small in the directory and is not.
    let error = decode_bytes(&tiled_jpeg_tiff(16, 16, huge), &free()).expect_err("it does not fit");
    assert!(matches!(error, Error::Broken { format: "JPEG", .. }), "{error}");
    let inks = samples::cmyk_jpeg(16, 16, [1, 2, 3, 4]);
    let error = decode_bytes(&tiled_jpeg_tiff(16, 16, inks), &free()).expect_err("a fourth colour");
    assert!(matches!(error, Error::Broken { format: "JPEG", .. }), "{error}");
}

#[test]
fn a_tile_around_a_small_picture_is_paid_for() {
    let tile = rgb(1024, 512);
    let bytes = tiled_jpeg_tiff(1024, 512, encoded(&tile, Format::Jpeg));
    let probe = probe_bytes(&bytes).expect("tiles may be larger than the picture");
    assert!(probe.decode_bytes() > 1024 * 512 * 3 * 3, "{}", probe.decode_bytes());
    let image = decode_bytes(&bytes, &free()).expect("it is one").image;
    assert_eq!((image.width, image.height), (16, 16));
    let error = decode_bytes(&bytes, &Options::new(Limits::default(), &Budget::new(4 << 20)));
    assert!(matches!(error, Err(Error::Budget { .. })));
}

/// Neither decoder can reduce while it decodes, so that a small rendering costs as much as the whole picture.
#[test]
fn what_is_decoded_whole_is_paid_for_as_a_whole() {
    let image = rgb(1600, 1200);
    for (bytes, whole) in [
        (samples::lossless_jpeg(&image), 1600 * 1200 * 3),
        (samples::interlaced_png(2400, 1600, 77), 2400 * 1600),
    ] {
        let tiny = Transform::covering(20, 20, Gravity::Center);
        let too_small = Budget::new(whole);
        let error = render_bytes(&bytes, &tiny, OutputFormat::Jpeg, &Limits::default(), &too_small)
            .expect_err("too dear");
        assert!(matches!(error, Error::Budget { .. }), "{error}");
        let enough = Budget::new(64 << 20);
        let variant =
            render_bytes(&bytes, &tiny, OutputFormat::Jpeg, &Limits::default(), &enough).expect("it is one");
        assert_eq!((variant.width, variant.height), (20, 20));
    }
    // The usual ones still are reduced on the way.
    let bytes = encoded(&image, Format::Jpeg);
    let tiny = Transform::covering(20, 20, Gravity::Center);
    let budget = Budget::new(4 << 20);
    render_bytes(&bytes, &tiny, OutputFormat::Jpeg, &Limits::default(), &budget)
        .expect("an eighth is enough");
}

#[test]
fn a_picture_of_1_x_65535_is_fine() {
    for (width, height) in [(1, 65_535), (65_535, 1)] {
        let error =
            decode_bytes(&jpeg_claiming(width as u16, height as u16), &free()).expect_err("35 too many");
        assert!(matches!(error, Error::Unsupported { format: "JPEG", .. }), "{error}");
        for format in [Format::Png, Format::Tiff] {
            let bytes = encoded(&rgb(width, height), format);
            let back = decode_bytes(&bytes, &free()).expect("it is one").image;
            assert_eq!((back.width, back.height), (width, height));
            for preset in Preset::ALL {
                let (transform, budget) = (preset.transform(), Budget::new(64 << 20));
                let variant =
                    render_bytes(&bytes, &transform, OutputFormat::Webp, &Limits::default(), &budget)
                        .expect("it is one");
                assert!(variant.width >= 1 && variant.height >= 1);
            }
        }
    }
}

#[test]
fn what_is_not_a_picture_says_what_it_is() {
    for (bytes, expected) in [
        (&b""[..], "application/octet-stream"),
        (b"just some words", "text/plain"),
        (b"%PDF-1.4\n", "application/pdf"),
        (b"PK\x03\x04\0\0\0\0", "application/zip"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
    ] {
        match decode_bytes(bytes, &free()) {
            Err(Error::NotAPicture { content_type }) => assert_eq!(content_type, expected),
            other => panic!("{other:?}"),
        }
    }
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    assert!(matches!(probe_bytes(heic), Err(Error::Truncated { format: "HEIC" })));
    let film = [&heic[..], b"\0\0\0\x08moov"].concat();
    assert!(matches!(probe_bytes(&film), Err(Error::Unsupported { format: "HEIC", .. })));
}

#[test]
fn no_pixels_is_no_picture() {
    for bytes in [png_claiming(0, 5), jpeg_claiming(0, 5), gif_claiming(0, 5)] {
        assert!(matches!(probe_bytes(&bytes), Err(Error::Broken { .. })));
    }
}

/// Wherever a file is cut, the answer is that it is cut, or the whole picture.
#[test]
fn a_cut_file_is_reported_as_cut() {
    for (name, bytes) in zoo() {
        let whole = decode_bytes(&bytes, &free()).expect("it is one").image;
        let mut cut_seen = 0;
        for end in (1..20).map(|twentieth| bytes.len() * twentieth / 20).chain([bytes.len() - 3]) {
            match decode_bytes(&bytes[..end], &free()) {
                Err(Error::Truncated { .. }) => cut_seen += 1,
                Err(Error::NotAPicture { .. }) => assert!(end < 16, "{name} {end}"),
                Err(error) => panic!("{name} cut at {end} of {}: {error}", bytes.len()),
                Ok(decoded) => assert_eq!(decoded.image, whole, "{name} {end}"),
            }
        }
        assert!(cut_seen > 0, "{name}");
    }
    // Larger ones, where the headers are the smaller part.
    for bytes in [encoded(&rgb(300, 200), Format::Jpeg), samples::progressive_jpeg(&rgb(300, 200))] {
        for end in [bytes.len() / 2, bytes.len() - 2, bytes.len() - 10] {
            let result = decode_bytes(&bytes[..end], &free());
            assert!(matches!(result, Err(Error::Truncated { .. })), "{:?}", result.err());
        }
    }
}

#[test]
fn damage_inside_a_jpeg_is_not_shown_as_gray() {
    let mut bytes = encoded(&picture(300, 200, Channels::Rgb, 8), Format::Jpeg);
    let middle = bytes.len() * 2 / 3;
    bytes[middle..middle + 40].fill(0xfe);
    let result = decode_bytes(&bytes, &free());
    assert!(matches!(result, Err(Error::Broken { .. })), "{:?}", result.err());
}

#[test]
fn rubbish_between_the_segments_of_a_jpeg_is_survived() {
    let bytes = encoded(&rgb(64, 48), Format::Jpeg);
    let expected = decode_bytes(&bytes, &free()).expect("it is one").image;
    let at = bytes.windows(2).position(|pair| pair == [0xff, 0xdb]).expect("it has a table");
    let mut odd = bytes[..at].to_vec();
    odd.extend([0; 7]);
    odd.extend(&bytes[at..]);
    odd.extend(b"and a film behind the end, as telephones append it");
    assert_eq!(decode_bytes(&odd, &free()).expect("it is one").image, expected);
}

#[test]
fn broken_exif_costs_nothing_but_itself() {
    for block in [
        &b"Exif"[..],
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        &samples::exif(6)[..50],
        &[0xff; 300],
    ] {
        let options = EncodeOptions { exif: Some(block.to_vec()), ..EncodeOptions::new(Format::Jpeg) };
        let bytes = encode(&rgb(16, 16), &options).expect("it can be encoded");
        let back = decode_bytes(&bytes, &free()).expect("the picture is fine");
        assert_eq!(back.orientation, Orientation::Normal);
        assert!(metadata_entries(block).len() < 10);
        let tiff = EncodeOptions { exif: Some(block.to_vec()), ..EncodeOptions::new(Format::Tiff) };
        encode(&rgb(16, 16), &tiff).expect("it can be encoded");
    }
}

/// A file is in memory twice while its needless segments or its other frames are left out.
#[test]
fn copies_of_the_file_are_counted() {
    let appended = vec![0_u8; 3 << 20];
    let needed = |bytes: &[u8]| probe_bytes(bytes).expect("it is one").decode_bytes();
    let jpeg = encoded(&rgb(16, 16), Format::Jpeg);
    assert_eq!(needed(&[&jpeg[..], &appended].concat()) - needed(&jpeg), 6 << 20);
    let animated = samples::animated_webp(&rgb(20, 16), true);
    assert_eq!(needed(&[&animated[..], &appended].concat()) - needed(&animated), 6 << 20);
    let still = encoded(&rgb(16, 16), Format::Webp);
    assert_eq!(needed(&[&still[..], &appended].concat()) - needed(&still), 3 << 20);
}

#[test]
fn decoding_waits_for_the_budget_and_gives_it_back() {
    let bytes = encoded(&rgb(200, 100), Format::Png);
    let budget = Budget::new(8 << 20);
    let decoded =
        decode(&mut Cursor::new(&bytes), &Options::new(Limits::default(), &budget)).expect("it is one");
    let held = decoded.permit.as_ref().expect("it took some").bytes();
    assert_eq!(held, decoded.source.decode_bytes());
    assert!(held >= 200 * 100 * 3);
    assert!(budget.free_bytes() < budget.total_bytes());
    drop(decoded);
    assert_eq!(budget.free_bytes(), budget.total_bytes());
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Damages a file the ways that find most mistakes: flipped bits, extreme numbers, cuts, repeats.
fn mutate(bytes: &mut Vec<u8>, random: &mut Xorshift) {
    for _ in 0..=random.below(4) {
        let length = bytes.len();
        // Headers are where the claims are.
        let at = if random.below(3) == 0 { random.below(length) } else { random.below(length.min(200)) };
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            2 => {
                let number = [0_u32, 1, 0x7fff_ffff, 0xffff_ffff, 0x0001_0000, 0xffff][random.below(6)];
                let number = if random.below(2) == 0 { number.to_be_bytes() } else { number.to_le_bytes() };
                for (byte, new) in bytes[at..].iter_mut().zip(number) {
                    *byte = new;
                }
            }
            3 => bytes.truncate(at.max(12).min(length)),
            4 => {
                let from = random.below(length);
                let piece = bytes[from..(from + 1 + random.below(30)).min(length)].to_vec();
                let at = at.min(bytes.len());
                bytes.splice(at..at, piece);
            }
            _ => bytes[at] = random.next() as u8,
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// The same seed makes the same files each time; the fuzz targets look further.
#[test]
fn thousands_of_damaged_files_neither_panic_nor_take_for_ever() {
    let started = Instant::now();
    let mut random = Xorshift(0x5afe_1147_5afe_1147);
    let zoo = zoo();
    let tiny = Transform::covering(10, 10, Gravity::Smart);
    let limits = Limits { max_pixels: 100_000 };
    let budget = Budget::new(64 << 20);
    let mut decoded = 0;
    let mut slowest = (Duration::ZERO, "");
    for round in 0..4000 {
        let (name, original) = &zoo[round % zoo.len()];
        let mut bytes = original.clone();
        mutate(&mut bytes, &mut random);
        let begin = Instant::now();
        if let Ok(picture) = decode_bytes(&bytes, &options(limits.max_pixels)) {
            decoded += 1;
            let (image, _) = to_srgb(picture.image, picture.icc.as_deref());
            assert!(image.pixels() <= limits.max_pixels);
            if let Some(exif) = &picture.exif {
                without_gps(exif);
                metadata_entries(exif);
            }
        }
        let format = OutputFormat::ALL[round % OutputFormat::ALL.len()];
        let _ = render_bytes(&bytes, &tiny, format, &limits, &budget);
        slowest = slowest.max((begin.elapsed(), *name));
    }
    assert_eq!(budget.free_bytes(), budget.total_bytes());
    assert!(decoded > 200, "only {decoded} of the damaged files could still be read");
    println!("{:?} for 4000 files, slowest {slowest:?}, {decoded} readable", started.elapsed());
    assert!(slowest.0 < Duration::from_secs(5), "{slowest:?}");
}

#[test]
fn damaged_metadata_does_not_panic() {
    let mut random = Xorshift(0x0e71_f000_1234_5678);
    let original = samples::exif(3);
    for _ in 0..3000 {
        let mut block = original.clone();
        mutate(&mut block, &mut random);
        Metadata::read(&block);
        metadata_entries(&block);
        let cleaned = without_gps(&block);
        assert!(Metadata::read(&cleaned).position.is_none());
    }
}

#[test]
fn damaged_raw_files_do_not_panic() {
    let mut random = Xorshift(0x0041_5257_1234_5678);
    let small = encoded(&rgb(16, 12), Format::Jpeg);
    let large = encoded(&rgb(80, 60), Format::Jpeg);
    let tiny = Transform::inside(5, 5);
    let budget = Budget::new(64 << 20);
    let mut shown = 0;
    for round in 0..2100 {
        let maker = ["canon", "nikon", "dng", "cr3", "raf", "rw2", "orf"][round % 7];
        let mut bytes = match maker {
            "canon" | "nikon" | "dng" => {
                samples::raw_file(maker, &small, &large, &samples::lossless_jpeg(&rgb(16, 16)))
            }
            _ => samples::other_raw_file(maker, &small, &large),
        };
        // The directories stand behind the pictures.
        let from_end =
            (bytes.len() - 250).min(bytes.len() * usize::from(matches!(maker, "canon" | "nikon" | "dng")));
        let mut directories = bytes.split_off(if round % 2 == 0 { from_end } else { 0 });
        mutate(&mut directories, &mut random);
        bytes.extend(directories);
        let limits = Limits { max_pixels: 100_000 };
        shown += u32::from(render_bytes(&bytes, &tiny, OutputFormat::Webp, &limits, &budget).is_ok());
    }
    assert!(shown > 100, "{shown}");
    assert_eq!(budget.free_bytes(), budget.total_bytes());
}

/// On a machine with little memory a large one is refused, and smaller ones wait for each other.
#[test]
fn avif_is_paid_for() {
    let bytes = samples::interlaced_png(4000, 4000, 99);
    let limits = Limits::default();
    let small = Budget::new(256 << 20);
    let whole = Transform::inside(4000, 4000);
    let error = render_bytes(&bytes, &whole, OutputFormat::Avif, &limits, &small).expect_err("too dear");
    assert!(matches!(error, Error::Budget { needed_bytes, .. } if needed_bytes > 16_000_000 * 50), "{error}");
    let photograph = encoded(&rgb(480, 320), Format::Jpeg);
    let enough_for_one = Budget::new(24 << 20);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let half = Transform::inside(240, 160);
                let variant = render_bytes(&photograph, &half, OutputFormat::Avif, &limits, &enough_for_one);
                assert_eq!(variant.expect("it fits").width, 240);
            });
        }
    });
    assert_eq!(enough_for_one.free_bytes(), enough_for_one.total_bytes());
    assert_eq!(small.free_bytes(), small.total_bytes());
}
