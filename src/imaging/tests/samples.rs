//! Small valid files of every kind, made on the spot.

use std::io::Cursor;

use turbojpeg::{Compressor, PixelFormat, Subsamp};

use crate::imaging::ifd::{ExifFields, Field};
use crate::imaging::{Channels, EncodeOptions, Format, Image, Samples, encode, libaom, libwebp};

/// A smooth picture with no two channels alike; alpha runs from transparent to opaque.
pub(super) fn picture(width: u32, height: u32, channels: Channels, bits: u8) -> Image {
    let full = if bits == 16 { 65_535.0 } else { 255.0 };
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let values = [0.15 + 0.7 * u, 0.2 + 0.6 * v, 0.8 - 0.5 * u * v];
            let colours = values.iter().take(channels.colour_count());
            let alpha = channels.has_alpha().then_some(&v);
            samples.extend(colours.chain(alpha).map(|value| (value * full).round() as u16));
        }
    }
    let samples = if bits == 16 {
        Samples::U16(samples)
    } else {
        Samples::U8(samples.into_iter().map(|sample| sample as u8).collect())
    };
    Image { width, height, channels, samples }
}

/// A picture of the usual kind.
pub(super) fn rgb(width: u32, height: u32) -> Image {
    picture(width, height, Channels::Rgb, 8)
}

pub(super) fn samples8(image: &Image) -> &[u8] {
    match &image.samples {
        Samples::U8(samples) => samples,
        Samples::U16(_) => panic!("16 bits"),
    }
}

/// The largest difference of two pictures of the same shape, in 8-bit steps.
pub(super) fn difference(a: &Image, b: &Image) -> u32 {
    assert_eq!((a.width, a.height, a.channels), (b.width, b.height, b.channels));
    let wide = |image: &Image| match &image.samples {
        Samples::U8(samples) => samples.iter().map(|sample| u32::from(*sample) * 257).collect::<Vec<_>>(),
        Samples::U16(samples) => samples.iter().map(|sample| u32::from(*sample)).collect(),
    };
    wide(a).into_iter().zip(wide(b)).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0) / 257
}

pub(super) fn encoded(image: &Image, format: Format) -> Vec<u8> {
    let options = EncodeOptions { lossless: true, ..EncodeOptions::new(format) };
    encode(image, &options).expect("it can be encoded")
}

/// A block with a camera, an orientation, a time and a place.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let rational = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let text = |tag, text: &str| Field { tag, kind: 2, data: [text.as_bytes(), b"\0"].concat() };
    ExifFields {
        main: vec![
            text(0x010f, "Lumen Works"),
            text(0x0110, "Lumen 2"),
            text(0x0131, "darkroom 1.0"),
            Field { tag: 0x0112, kind: 3, data: vec![orientation, 0] },
        ],
        exif: vec![
            Field { tag: 0x829a, kind: 5, data: rational(&[1, 125]) },
            Field { tag: 0x829d, kind: 5, data: rational(&[28, 10]) },
            Field { tag: 0x8827, kind: 3, data: vec![0x90, 0x01] },
            text(0x9003, "2019:07:04 18:30:15"),
            text(0x9011, "+02:00"),
            Field { tag: 0x920a, kind: 5, data: rational(&[50, 1]) },
            text(0xa434, "Lumen 50 mm"),
        ],
        gps: vec![
            text(1, "S"),
            Field { tag: 2, kind: 5, data: rational(&[33, 1, 30, 1, 0, 1]) },
            text(3, "E"),
            Field { tag: 4, kind: 5, data: rational(&[151, 1, 12, 1, 36, 1]) },
            Field { tag: 5, kind: 1, data: vec![0] },
            Field { tag: 6, kind: 5, data: rational(&[42, 1]) },
        ],
    }
    .to_block()
    .expect("it has fields")
}

pub(super) fn progressive_jpeg(image: &Image) -> Vec<u8> {
    let mut compressor = Compressor::new().expect("it starts");
    compressor.set_progressive(true).expect("it can");
    compressor.set_quality(90).expect("it can");
    compressor.set_subsamp(Subsamp::Sub2x2).expect("it can");
    compressor.compress_to_vec(turbo(image, PixelFormat::RGB)).expect("it can be encoded")
}

/// A JPEG that loses nothing, which hardly anybody writes.
pub(super) fn lossless_jpeg(image: &Image) -> Vec<u8> {
    let mut compressor = Compressor::new().expect("it starts");
    compressor.set_lossless(true).expect("it can");
    compressor.compress_to_vec(turbo(image, PixelFormat::RGB)).expect("it can be encoded")
}

/// A gray PNG of 8 bits whose rows come in seven passes, all of it one value.
pub(super) fn interlaced_png(width: u32, height: u32, value: u8) -> Vec<u8> {
    let image = Image {
        width,
        height,
        channels: Channels::Gray,
        samples: Samples::U8(vec![value; width as usize * height as usize]),
    };
    let plain = encoded(&image, Format::Png);
    let mut rows = Vec::new();
    for (x, y, step_x, step_y) in
        [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    {
        let columns = width.saturating_sub(x).div_ceil(step_x) as usize;
        if columns > 0 {
            for _ in 0..height.saturating_sub(y).div_ceil(step_y) {
                rows.push(0);
                rows.extend(vec![value; columns]);
            }
        }
    }
    let mut header = plain[16..29].to_vec();
    header[12] = 1;
    let mut bytes = plain[..8].to_vec();
    for (kind, body) in [(b"IHDR", header), (b"IDAT", stored_zlib(&rows)), (b"IEND", Vec::new())] {
        bytes.extend((body.len() as u32).to_be_bytes());
        let chunk = [&kind[..], &body].concat();
        bytes.extend(&chunk);
        bytes.extend(crc32(&chunk).to_be_bytes());
    }
    bytes
}

/// A zlib stream that compresses nothing.
fn stored_zlib(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let blocks = data.chunks(65_535).count();
    for (index, block) in data.chunks(65_535).enumerate() {
        stream.push(u8::from(index + 1 == blocks));
        stream.extend((block.len() as u16).to_le_bytes());
        stream.extend((!(block.len() as u16)).to_le_bytes());
        stream.extend(block);
    }
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in data {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    stream.extend((high << 16 | low).to_be_bytes());
    stream
}

/// The checksum of a PNG chunk: of its kind and its body.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

/// Inks as Adobe stores them, 0 being full.
pub(super) fn cmyk_jpeg(width: u32, height: u32, inks: [u8; 4]) -> Vec<u8> {
    let samples = inks.map(|ink| 255 - ink).repeat(width as usize * height as usize);
    let mut compressor = Compressor::new().expect("it starts");
    compressor.set_quality(100).expect("it can");
    compressor.set_subsamp(Subsamp::None).expect("it can");
    let (width, height) = (width as usize, height as usize);
    let format = PixelFormat::CMYK;
    let image = turbojpeg::Image { pixels: samples.as_slice(), width, pitch: width * 4, height, format };
    compressor.compress_to_vec(image).expect("it can be encoded")
}

fn turbo(image: &Image, format: PixelFormat) -> turbojpeg::Image<&[u8]> {
    let pitch = image.width as usize * format.size();
    let (width, height) = (image.width as usize, image.height as usize);
    turbojpeg::Image { pixels: samples8(image), width, pitch, height, format }
}

/// Three frames on a canvas of 20 x 10; the first one is red and covers 12 x 6 from (4, 2).
pub(super) fn animated_gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255];
    let mut encoder = gif::Encoder::new(&mut bytes, 20, 10, &palette).expect("it can be written");
    for index in 0..3 {
        let frame = gif::Frame {
            left: 4,
            top: 2,
            width: 12,
            height: 6,
            buffer: vec![index; 72].into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).expect("it can be written");
    }
    drop(encoder);
    bytes
}

/// A still GIF with a checkerboard of two grays.
pub(super) fn still_gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut bytes, 16, 12, &[10, 10, 10, 200, 200, 200]).expect("it can be written");
    let buffer: Vec<u8> = (0..16 * 12).map(|index| ((index % 16 + index / 16) % 2) as u8).collect();
    let frame = gif::Frame { width: 16, height: 12, buffer: buffer.into(), ..gif::Frame::default() };
    encoder.write_frame(&frame).expect("it can be written");
    drop(encoder);
    bytes
}

fn riff(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut chunk = kind.to_vec();
    chunk.extend((body.len() as u32).to_le_bytes());
    chunk.extend(body);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

/// Two frames on a canvas of 32 x 24; the first one is `first`, from (4, 2).
pub(super) fn animated_webp(first: &Image, lossless: bool) -> Vec<u8> {
    let still = libwebp::encode(
        samples8(first),
        first.width,
        first.height,
        first.channels.has_alpha(),
        90.0,
        lossless,
    )
    .expect("it can be encoded");
    // A still picture with a separate alpha comes with its own header chunk, which a frame must not have.
    let skip = if &still[12..16] == b"VP8X" { 12 + 18 } else { 12 };
    let mut frame = Vec::new();
    frame.extend([2, 0, 0, 1, 0, 0]);
    frame.extend(&(first.width - 1).to_le_bytes()[..3]);
    frame.extend(&(first.height - 1).to_le_bytes()[..3]);
    frame.extend([100, 0, 0, 0]);
    frame.extend(&still[skip..]);
    let mut body = b"WEBP".to_vec();
    body.extend(riff(b"VP8X", &[0x12, 0, 0, 0, 31, 0, 0, 23, 0, 0]));
    body.extend(riff(b"ANIM", &[0; 6]));
    body.extend(riff(b"ANMF", &frame));
    body.extend(riff(b"ANMF", &frame));
    riff(b"RIFF", &body)
}

/// A TIFF file of these tags and strips, in either byte order.
pub(super) fn tiff(
    tags: &[(u16, u16, Vec<u32>)],
    strips: &[Vec<u8>],
    tiled: bool,
    big_endian: bool,
) -> Vec<u8> {
    let n16 = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let n32 = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut bytes = if big_endian { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    bytes.extend(n32(0));
    let mut offsets = Vec::new();
    for strip in strips {
        offsets.push(bytes.len() as u32);
        bytes.extend(strip);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    let mut tags = tags.to_vec();
    let lengths = strips.iter().map(|strip| strip.len() as u32).collect();
    tags.push((if tiled { 0x0144 } else { 0x0111 }, 4, offsets));
    tags.push((if tiled { 0x0145 } else { 0x0117 }, 4, lengths));
    tags.sort_by_key(|(tag, ..)| *tag);
    let values: Vec<Vec<u8>> = tags
        .iter()
        .map(|(_, kind, values)| match kind {
            3 => values.iter().flat_map(|value| n16(*value as u16)).collect(),
            4 => values.iter().flat_map(|value| n32(*value)).collect(),
            _ => values.iter().map(|value| *value as u8).collect(),
        })
        .collect();
    let mut places = Vec::new();
    for value in &values {
        places.push(bytes.len() as u32);
        if value.len() > 4 {
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(2), 0);
        }
    }
    let directory = bytes.len() as u32;
    bytes[4..8].copy_from_slice(&n32(directory));
    bytes.extend(n16(tags.len() as u16));
    for (((tag, kind, numbers), value), place) in tags.iter().zip(&values).zip(places) {
        bytes.extend(n16(*tag));
        bytes.extend(n16(*kind));
        bytes.extend(n32(numbers.len() as u32));
        if value.len() > 4 {
            bytes.extend(n32(place));
        } else {
            let mut inline = value.clone();
            inline.resize(4, 0);
            bytes.extend(inline);
        }
    }
    bytes.extend([0; 4]);
    bytes
}

/// A raw file: directories one behind the other, in the order in which that maker puts the small picture, the preview and
/// what the sensor saw.
pub(super) fn raw_file(maker: &str, small: &[u8], preview: &[u8], sensor: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\0\0\0\0".to_vec();
    if maker == "canon" {
        bytes.extend(b"CR\x02\0");
    }
    let mut put = |content: &[u8]| {
        let at = bytes.len() as u32;
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        (at, content.len() as u32)
    };
    let ((small_at, small_bytes), (preview_at, preview_bytes), (sensor_at, sensor_bytes)) =
        (put(small), put(preview), put(sensor));
    let (make, model) = (put(b"Lumen Works\0").0, put(b"Lumen 2\0").0);
    let common = [(0x010f, 2, 12, make), (0x0110, 2, 8, model), (0x0112, 3, 1, 6)];
    let jpeg_in = |at: u32, length: u32, compression: u32| {
        vec![(0x0103, 3, 1, compression), (0x0111, 4, 1, at), (0x0117, 4, 1, length)]
    };
    let named = |at: u32, length: u32| vec![(0x0201, 4, 1, at), (0x0202, 4, 1, length)];
    let mut directory = |mut entries: Vec<(u16, u16, u32, u32)>, next: u32| {
        entries.sort_unstable();
        let at = bytes.len() as u32;
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(next.to_le_bytes());
        at
    };
    let first = match maker {
        "canon" => {
            let last = directory(jpeg_in(sensor_at, sensor_bytes, 6), 0);
            let second = directory(named(small_at, small_bytes), last);
            directory([&common[..], &jpeg_in(preview_at, preview_bytes, 6)].concat(), second)
        }
        "nikon" => {
            let inner = directory([&[(0x00fe, 4, 1, 1)][..], &named(preview_at, preview_bytes)].concat(), 0);
            let plain = [(0x00fe, 4, 1, 1), (0x0103, 3, 1, 1), (0x0100, 4, 1, 2), (0x0101, 4, 1, 2)];
            directory([&common[..], &plain, &[(0x014a, 4, 1, inner)]].concat(), 0)
        }
        _ => {
            let preview = directory(jpeg_in(preview_at, preview_bytes, 7), 0);
            let sensor =
                directory([&jpeg_in(sensor_at, sensor_bytes, 7)[..], &[(0x014a, 4, 1, preview)]].concat(), 0);
            let version = [(0xc612, 1, 4, 0x0401), (0x014a, 4, 1, sensor)];
            directory([&common[..], &version, &jpeg_in(small_at, small_bytes, 7)].concat(), 0)
        }
    };
    bytes[4..8].copy_from_slice(&first.to_le_bytes());
    bytes
}

/// The tags that every TIFF has: size, bits, no compression, photometric interpretation, samples.
pub(super) fn tags(
    width: u32,
    height: u32,
    bits: u32,
    photometric: u32,
    samples: u32,
) -> Vec<(u16, u16, Vec<u32>)> {
    vec![
        (0x0100, 4, vec![width]),
        (0x0101, 4, vec![height]),
        (0x0102, 3, vec![bits; samples as usize]),
        (0x0103, 3, vec![1]),
        (0x0106, 3, vec![photometric]),
        (0x0115, 3, vec![samples]),
        (0x0116, 4, vec![height]),
    ]
}

pub(super) fn png_with(
    colour: png::ColorType,
    depth: png::BitDepth,
    data: &[u8],
    palette: &[u8],
    trns: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(Cursor::new(&mut bytes), 4, 2);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if !palette.is_empty() {
        encoder.set_palette(palette.to_vec());
    }
    if !trns.is_empty() {
        encoder.set_trns(trns.to_vec());
    }
    let mut writer = encoder.write_header().expect("it can be written");
    writer.write_image_data(data).expect("it can be written");
    drop(writer);
    bytes
}

/// One of each, small, to be mutilated.
pub(super) fn zoo() -> Vec<(&'static str, Vec<u8>)> {
    let image = rgb(24, 18);
    let with_exif = |format| {
        let options = EncodeOptions {
            exif: Some(exif(6)),
            icc: Some(display_p3()),
            lossless: true,
            ..EncodeOptions::new(format)
        };
        encode(&image, &options).expect("it can be encoded")
    };
    let lossy = encode(
        &picture(24, 18, Channels::Rgba, 8),
        &EncodeOptions { quality: 70, ..EncodeOptions::new(Format::Webp) },
    );
    let strips = vec![vec![90; 24 * 9 * 3], vec![30; 24 * 9 * 3]];
    let mut tiff_tags = tags(24, 18, 8, 2, 3);
    tiff_tags[6].2 = vec![9];
    let mut jpeg_tags = tags(24, 18, 8, 6, 3);
    jpeg_tags[3].2 = vec![7];
    let mut inked_tags = tags(24, 18, 8, 5, 4);
    inked_tags[6].2 = vec![18];
    vec![
        ("jpeg", with_exif(Format::Jpeg)),
        ("progressive jpeg", progressive_jpeg(&image)),
        ("cmyk jpeg", cmyk_jpeg(24, 18, [200, 30, 40, 10])),
        ("png", with_exif(Format::Png)),
        ("png 16", encoded(&picture(24, 18, Channels::Rgba, 16), Format::Png)),
        (
            "png palette",
            png_with(
                png::ColorType::Indexed,
                png::BitDepth::Two,
                &[0b0001_1011, 0b1110_0100],
                &[9; 12],
                &[0, 128],
            ),
        ),
        ("webp lossless", with_exif(Format::Webp)),
        ("webp lossy", lossy.expect("it can be encoded")),
        ("webp animated", animated_webp(&image, true)),
        ("gif", still_gif()),
        ("gif animated", animated_gif()),
        ("tiff lzw", with_exif(Format::Tiff)),
        ("tiff strips", tiff(&tiff_tags, &strips, false, true)),
        ("tiff jpeg", tiff(&jpeg_tags, &[encoded(&image, Format::Jpeg)], false, false)),
        ("tiff cmyk", tiff(&inked_tags, &[vec![77; 24 * 18 * 4]], false, false)),
        ("avif", Stills { exif: Some(exif(6)), ..Stills::avif(&image) }.file()),
        ("avif tiles", Stills::avif(&image).tiled().file()),
        ("heic", STILL_HEIC.to_vec()),
        ("heic deep", DEEP_HEIC.to_vec()),
        ("heic alpha", ALPHA_HEIC.to_vec()),
        ("heic tiles", Stills { turn: Some((1, Some(0))), ..Stills::heic().tiled() }.file()),
        ("jxl", LOSSY_JXL.to_vec()),
        ("jxl deep", LOSSLESS_JXL.to_vec()),
        ("jxl boxed", BOXED_JXL.to_vec()),
    ]
}

// Made by scripts/picture_fixtures.py.
pub(super) const STILL_HEIC: &[u8] = include_bytes!("fixtures/still.heic");
pub(super) const DEEP_HEIC: &[u8] = include_bytes!("fixtures/deep.heic");
pub(super) const ALPHA_HEIC: &[u8] = include_bytes!("fixtures/alpha.heic");
pub(super) const LOSSY_JXL: &[u8] = include_bytes!("fixtures/lossy.jxl");
pub(super) const LOSSLESS_JXL: &[u8] = include_bytes!("fixtures/lossless.jxl");
pub(super) const BOXED_JXL: &[u8] = include_bytes!("fixtures/boxed.jxl");

fn media_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

/// An ISO media file with a still picture, of one piece or of tiles.
#[derive(Clone)]
pub(super) struct Stills {
    /// How it is coded, and the box that has to say so.
    pub(super) kind: [u8; 4],
    pub(super) configuration: Vec<u8>,
    /// Coded pictures, and the size that the file gives each of them.
    pub(super) coded: Vec<Vec<u8>>,
    pub(super) size: (u32, u32),
    /// Rows and columns of tiles.
    pub(super) grid: Option<(u8, u8)>,
    /// The size of the whole.
    pub(super) shown: (u32, u32),
    /// Quarters against the clock, and the axis of a mirror.
    pub(super) turn: Option<(u8, Option<u8>)>,
    /// Primaries, transfer, matrix and range.
    pub(super) coding: Option<(u16, u16, u16, bool)>,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
}

impl Stills {
    pub(super) fn avif(image: &Image) -> Self {
        let (width, height) = (image.width, image.height);
        let planes = crate::imaging::planes::Planes::of_image(image).expect("8 bits");
        let [blue, red] = planes.colour.as_ref().expect("it has colours");
        let colour = Some([samples8(blue), samples8(red)]);
        let frame = libaom::Frame { width, height, light: samples8(&planes.light), colour };
        Self {
            kind: *b"av01",
            configuration: media_box(b"av1C", &[0x81, 0x05, 0x0c, 0]),
            coded: vec![libaom::encode(frame, 2).expect("it can be encoded")],
            size: (width, height),
            grid: None,
            shown: (width, height),
            turn: None,
            coding: None,
            exif: None,
            xmp: None,
        }
    }

    /// The picture of a fixture, with the blocks at its edge.
    pub(super) fn heic() -> Self {
        let at = STILL_HEIC.windows(4).position(|kind| kind == b"hvcC").expect("it has one") - 4;
        let length = u32::from_be_bytes(STILL_HEIC[at..at + 4].try_into().expect("four")) as usize;
        let data = STILL_HEIC.windows(4).position(|kind| kind == b"mdat").expect("it has one") + 4;
        Self {
            kind: *b"hvc1",
            configuration: STILL_HEIC[at..at + length].to_vec(),
            coded: vec![STILL_HEIC[data..].to_vec()],
            size: (64, 64),
            grid: None,
            shown: (64, 64),
            turn: None,
            coding: Some((1, 13, 6, true)),
            exif: None,
            xmp: None,
        }
    }

    /// Two rows of three of the same, less a few pixels.
    pub(super) fn tiled(self) -> Self {
        let shown = (self.size.0 * 3 - 5, self.size.1 * 2 - 7);
        Self { coded: vec![self.coded[0].clone(); 6], grid: Some((2, 3)), shown, ..self }
    }

    pub(super) fn file(&self) -> Vec<u8> {
        const PRIMARY: u16 = 100;
        let full = |kind: &[u8; 4], version: u8, content: &[u8]| {
            media_box(kind, &[&[version, 0, 0, 0][..], content].concat())
        };
        let size_box = |(width, height): (u32, u32)| {
            full(b"ispe", 0, &[width.to_be_bytes(), height.to_be_bytes()].concat())
        };
        let first = if self.grid.is_some() { 1 } else { PRIMARY };
        let mut items: Vec<(u16, [u8; 4], Vec<u8>)> =
            self.coded.iter().zip(first..).map(|(coded, id)| (id, self.kind, coded.clone())).collect();
        let tiles: Vec<u16> = items.iter().map(|(id, ..)| *id).collect();
        let mut references = Vec::new();
        if let Some((rows, columns)) = self.grid {
            let size = [self.shown.0.to_be_bytes(), self.shown.1.to_be_bytes()].concat();
            items.push((PRIMARY, *b"grid", [&[0, 1, rows - 1, columns - 1][..], &size].concat()));
            let mut list = [PRIMARY.to_be_bytes(), (tiles.len() as u16).to_be_bytes()].concat();
            list.extend(tiles.iter().flat_map(|id| id.to_be_bytes()));
            references.extend(media_box(b"dimg", &list));
        }
        if let Some(exif) = &self.exif {
            items.push((200, *b"Exif", [&[0; 4], &exif[..]].concat()));
            references.extend(media_box(b"cdsc", &[0, 200, 0, 1, 0, PRIMARY as u8]));
        }
        if let Some(xmp) = &self.xmp {
            items.push((201, *b"mime", xmp.clone()));
        }
        let infos: Vec<u8> = items
            .iter()
            .flat_map(|(id, kind, _)| {
                let name: &[u8] = if kind == b"mime" { b"\0application/rdf+xml\0" } else { b"\0" };
                full(b"infe", 2, &[&id.to_be_bytes()[..], &[0, 0], kind, name].concat())
            })
            .collect();
        // Properties: of a tile, of the whole, and what both have.
        let mut properties = [size_box(self.size), self.configuration.clone(), size_box(self.shown)].concat();
        let mut of_primary = vec![3_u8];
        let mut next = 4;
        let mut add = |property: Vec<u8>| {
            properties.extend(property);
            of_primary.push(next);
            next += 1;
        };
        if let Some((quarters, axis)) = self.turn {
            add(media_box(b"irot", &[quarters]));
            if let Some(axis) = axis {
                add(media_box(b"imir", &[axis]));
            }
        }
        if let Some((primaries, transfer, matrix, full_range)) = self.coding {
            let numbers = [primaries, transfer, matrix].map(u16::to_be_bytes).concat();
            add(media_box(b"colr", &[&b"nclx"[..], &numbers, &[u8::from(full_range) << 7]].concat()));
        }
        if self.grid.is_none() {
            of_primary.push(2);
        }
        let mut of_items = vec![(PRIMARY, of_primary)];
        if self.grid.is_some() {
            of_items.extend(tiles.iter().map(|id| (*id, vec![1, 2])));
        }
        let mut list = (of_items.len() as u32).to_be_bytes().to_vec();
        for (id, numbers) in of_items {
            list.extend(id.to_be_bytes());
            list.push(numbers.len() as u8);
            list.extend(numbers);
        }
        let properties = [media_box(b"ipco", &properties), full(b"ipma", 0, &list)].concat();
        let type_box = media_box(
            b"ftyp",
            if &self.kind == b"av01" { b"avif\0\0\0\0mif1avif" } else { b"heic\0\0\0\0mif1heic" },
        );
        let meta = |start: usize| {
            let mut at = start;
            let mut places = [&[0x44, 0][..], &(items.len() as u16).to_be_bytes()].concat();
            for (id, _, bytes) in &items {
                places.extend([id.to_be_bytes(), [0, 0], [0, 1]].concat());
                places.extend((at as u32).to_be_bytes());
                places.extend((bytes.len() as u32).to_be_bytes());
                at += bytes.len();
            }
            let count = (items.len() as u16).to_be_bytes();
            let mut content = full(b"hdlr", 0, b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0");
            content.extend(full(b"pitm", 0, &PRIMARY.to_be_bytes()));
            content.extend(full(b"iinf", 0, &[&count[..], &infos].concat()));
            content.extend(full(b"iloc", 0, &places));
            content.extend(media_box(b"iprp", &properties));
            content.extend(full(b"iref", 0, &references));
            full(b"meta", 0, &content)
        };
        let start = type_box.len() + meta(0).len() + 8;
        let data: Vec<u8> = items.iter().flat_map(|(.., bytes)| bytes.clone()).collect();
        [type_box, meta(start), media_box(b"mdat", &data)].concat()
    }
}

/// Raw files that are not TIFF, with a preview that is to be turned, and a place.
pub(super) fn other_raw_file(maker: &str, small: &[u8], preview: &[u8]) -> Vec<u8> {
    let with_block = |jpeg: &[u8]| {
        let block = exif(6);
        let length = (block.len() as u16 + 8).to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, b"Exif\0\0", &block, &jpeg[2..]].concat()
    };
    match maker {
        "raf" => {
            let preview = with_block(preview);
            let mut bytes = b"FUJIFILMCCD-RAW 0201FF389501Lumen 2".to_vec();
            bytes.resize(84, 0);
            bytes.extend([160_u32, preview.len() as u32].map(u32::to_be_bytes).concat());
            bytes.resize(160, 0);
            [bytes, preview, vec![0x55; 64]].concat()
        }
        "cr3" => {
            let owner = |id: [u8; 16], content: &[u8]| media_box(b"uuid", &[&id[..], content].concat());
            let of_camera = [
                0x85, 0xc0, 0xb6, 0x87, 0x82, 0x0f, 0x11, 0xe0, 0x81, 0x11, 0xf4, 0xce, 0x46, 0x2b, 0x6a,
                0x48,
            ];
            let of_preview = [
                0xea, 0xf4, 0x2b, 0x5e, 0x1c, 0x98, 0x4b, 0x88, 0xb9, 0xfb, 0xb7, 0xdc, 0x40, 0x6e, 0x4d,
                0x16,
            ];
            let block = |fields: Vec<Field>| {
                ExifFields { main: fields, ..ExifFields::default() }.to_block().expect("it has fields")
            };
            let rational = |values: [u32; 6]| values.map(u32::to_le_bytes).concat();
            let main = block(vec![
                Field { tag: 0x010f, kind: 2, data: b"Lumen Works\0".to_vec() },
                Field { tag: 0x0112, kind: 3, data: vec![6, 0] },
            ]);
            let inner = block(vec![Field { tag: 0x9003, kind: 2, data: b"2019:07:04 18:30:15\0".to_vec() }]);
            let place = block(vec![
                Field { tag: 1, kind: 2, data: b"S\0".to_vec() },
                Field { tag: 2, kind: 5, data: rational([33, 1, 30, 1, 0, 1]) },
                Field { tag: 3, kind: 2, data: b"E\0".to_vec() },
                Field { tag: 4, kind: 5, data: rational([151, 1, 12, 1, 36, 1]) },
            ]);
            let blocks = [media_box(b"CMT1", &main), media_box(b"CMT2", &inner), media_box(b"CMT4", &place)];
            let thumb = media_box(b"THMB", &[&[0; 16], small].concat());
            let film = |at: u32| {
                let sizes = [0_u32, 0, 1, preview.len() as u32].map(u32::to_be_bytes).concat();
                let places = [&[0; 4][..], &1_u32.to_be_bytes(), &u64::from(at).to_be_bytes()].concat();
                let table = [media_box(b"stsz", &sizes), media_box(b"co64", &places)].concat();
                let track = [b"stbl", b"minf", b"mdia", b"trak"];
                let track = track.iter().fold(table, |inner, kind| media_box(kind, &inner));
                media_box(
                    b"moov",
                    &[owner(of_camera, &[&blocks.concat()[..], &thumb].concat()), track].concat(),
                )
            };
            let head = media_box(b"ftyp", b"crx \0\0\0\x01crx isom");
            let middling =
                owner(of_preview, &[&[0; 8][..], &media_box(b"PRVW", &[&[0; 16], small].concat())].concat());
            let at = head.len() + film(0).len() + middling.len() + 8;
            [head, film(at as u32), middling, media_box(b"mdat", preview)].concat()
        }
        _ => {
            let mut bytes = if maker == "rw2" { b"IIU\0".to_vec() } else { b"IIRO".to_vec() };
            bytes.extend([0; 4]);
            let mut put = |content: &[u8]| {
                let at = bytes.len() as u32;
                bytes.extend(content);
                bytes.resize(bytes.len().next_multiple_of(2), 0);
                at
            };
            let directory = |entries: &[(u16, u16, u32, u32)]| {
                let mut list = (entries.len() as u16).to_le_bytes().to_vec();
                for (tag, kind, count, value) in entries {
                    list.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
                    list.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
                }
                [list, vec![0; 4]].concat()
            };
            let make = put(b"Lumen Works\0");
            let degrees = put(&[33, 1, 30, 1, 0, 1].map(u32::to_le_bytes).concat());
            let south = [
                (1, 2, 2, u32::from(b'S')),
                (2, 5, 3, degrees),
                (3, 2, 2, u32::from(b'E')),
                (4, 5, 3, degrees),
            ];
            let place = put(&directory(&south));
            let mut entries = vec![(0x010f, 2, 12, make), (0x0112, 3, 1, 6), (0x8825, 4, 1, place)];
            if maker == "rw2" {
                let preview = with_block(preview);
                entries.insert(0, (0x002e, 7, preview.len() as u32, put(&preview)));
            } else {
                let mut notes = b"OLYMPUS\0II\x03\0".to_vec();
                notes.extend(directory(&[(0x2020, 13, 1, 30)]));
                let after = 30 + directory(&[(0, 0, 0, 0); 2]).len() as u32;
                notes.extend(directory(&[(0x0101, 4, 1, after), (0x0102, 4, 1, preview.len() as u32)]));
                notes.extend(preview);
                let notes = (0x927c, 7, notes.len() as u32, put(&notes));
                entries.insert(2, (0x8769, 4, 1, put(&directory(&[notes]))));
            }
            let first = put(&directory(&entries));
            bytes[4..8].copy_from_slice(&first.to_le_bytes());
            bytes
        }
    }
}

pub(super) fn display_p3() -> Vec<u8> {
    let mut icc = moxcms::ColorProfile::new_display_p3().encode().expect("it can be written");
    // It would hold the time of its making.
    icc[24..36].fill(0);
    icc
}

/// A profile of inks in which paper is white, black is black and, unlike in any real one, cyan is red.
pub(super) fn ink_profile() -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for index in 0..9 {
        table.extend(if index % 4 == 0 { 0x0001_0000_u32 } else { 0 }.to_be_bytes());
    }
    let straight: Vec<u8> = (0..=255).collect();
    table.extend(straight.repeat(4));
    for node in 0..16 {
        // L from 0 to 255, a and b around 128; the first ink counts most.
        let (cyan, black) = (node & 8 != 0, node & 1 != 0);
        table.extend(match (cyan, black) {
            (_, true) => [0, 128, 128],
            (true, false) => [128, 198, 178],
            (false, false) => [255, 128, 128],
        });
    }
    table.extend(straight.repeat(3));
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&0x0240_0000_u32.to_be_bytes());
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    for (place, number) in [2020_u16, 1, 1, 0, 0, 0].into_iter().enumerate() {
        profile[24 + place * 2..26 + place * 2].copy_from_slice(&number.to_be_bytes());
    }
    profile[36..40].copy_from_slice(b"acsp");
    for (place, number) in [0xf6d6_u32, 0x1_0000, 0xd32d].into_iter().enumerate() {
        profile[68 + place * 4..72 + place * 4].copy_from_slice(&number.to_be_bytes());
    }
    profile.extend(1_u32.to_be_bytes());
    profile.extend(b"A2B0");
    profile.extend(144_u32.to_be_bytes());
    profile.extend((table.len() as u32).to_be_bytes());
    profile.extend(table);
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}
