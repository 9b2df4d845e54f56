use super::samples::{self, difference, display_p3, encoded, exif, picture, rgb, samples8, tags};
use super::*;

const ALL_CHANNELS: [Channels; 4] = [Channels::Gray, Channels::GrayAlpha, Channels::Rgb, Channels::Rgba];

#[test]
fn png_and_tiff_give_back_exactly_what_was_put_in() {
    for format in [Format::Png, Format::Tiff] {
        for bits in [8, 16] {
            for channels in ALL_CHANNELS {
                let image = picture(37, 23, channels, bits);
                let bytes = encoded(&image, format);
                let probe = probe_bytes(&bytes).expect("it is one");
                assert_eq!(
                    (probe.format, probe.width, probe.height, probe.bit_depth),
                    (format, 37, 23, bits)
                );
                assert_eq!(probe.colour.has_alpha(), channels.has_alpha());
                let back = decode_bytes(&bytes, &free()).expect("it is one");
                if format == Format::Tiff && channels == Channels::GrayAlpha {
                    assert_eq!(back.image.channels, Channels::Rgba);
                } else {
                    assert_eq!(back.image, image, "{format:?} {channels:?} {bits}");
                }
            }
        }
    }
}

#[test]
fn webp_gives_back_exactly_what_was_put_in_without_loss_and_nearly_with() {
    for channels in [Channels::Rgb, Channels::Rgba] {
        let image = picture(37, 23, channels, 8);
        let bytes = encoded(&image, Format::Webp);
        assert_eq!(decode_bytes(&bytes, &free()).expect("it is one").image, image);
        let lossy = encode(&image, &EncodeOptions::new(Format::Webp)).expect("it can be encoded");
        let back = decode_bytes(&lossy, &free()).expect("it is one").image;
        assert_eq!(back.channels, channels);
        if channels.has_alpha() {
            // Where nothing shows, colours may be anything; alpha itself is kept without loss.
            let alpha =
                |image: &Image| samples8(image).iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
            assert_eq!(alpha(&back), alpha(&image));
        } else {
            assert!(difference(&back, &image) < 12, "{}", difference(&back, &image));
        }
    }
}

#[test]
fn jpeg_stays_near_and_says_how_it_was_compressed() {
    for (channels, colour) in [(Channels::Gray, Colour::Gray), (Channels::Rgb, Colour::Rgb)] {
        let image = picture(61, 43, channels, 8);
        let bytes = encoded(&image, Format::Jpeg);
        let back = decode_bytes(&bytes, &free()).expect("it is one");
        assert_eq!(back.source.colour, colour);
        assert!(difference(&back.image, &image) <= 4, "{}", difference(&back.image, &image));
        let info = back.jpeg().expect("it is a JPEG");
        assert!(!info.progressive);
        assert_eq!(info.chroma_subsampling(), (1, 1));
        // Quality 95 divides the standard's first step of 16 by ten.
        assert_eq!(info.luma_table().expect("it has one")[0], 2);
        // Row by row: the steps of the highest frequencies down and across differ in the standard's table, 72 and 61.
        assert_eq!(info.luma_table().expect("it has one")[7], 6);
        assert_eq!(info.luma_table().expect("it has one")[56], 7);
    }
    let progressive = samples::progressive_jpeg(&rgb(61, 43));
    let back = decode_bytes(&progressive, &free()).expect("it is one");
    let info = back.jpeg().expect("it is a JPEG");
    assert!(info.progressive);
    assert_eq!(info.chroma_subsampling(), (2, 2));
    assert!(difference(&back.image, &rgb(61, 43)) < 12);
}

#[test]
fn what_a_format_cannot_hold_is_brought_down_to_what_it_can() {
    let image = picture(20, 10, Channels::Rgba, 16);
    let jpeg = decode_bytes(&encoded(&image, Format::Jpeg), &free()).expect("it is one").image;
    assert_eq!((jpeg.channels, jpeg.bit_depth()), (Channels::Rgb, 8));
    // The first row is fully transparent, which is white.
    assert!(samples8(&jpeg)[..60].iter().all(|sample| *sample > 245));
    let webp = decode_bytes(&encoded(&picture(20, 10, Channels::Gray, 8), Format::Webp), &free())
        .expect("it is one");
    assert_eq!(webp.image.channels, Channels::Rgb);
    let error = encode(&image, &EncodeOptions::new(Format::Gif)).expect_err("it is not written");
    assert!(matches!(error, Error::Unsupported { .. }));
}

#[test]
fn profile_and_exif_travel_with_every_format() {
    for format in [Format::Jpeg, Format::Png, Format::Webp, Format::Tiff] {
        let options =
            EncodeOptions { icc: Some(display_p3()), exif: Some(exif(6)), ..EncodeOptions::new(format) };
        let bytes = encode(&rgb(40, 30), &options).expect("it can be encoded");
        let probe = probe_bytes(&bytes).expect("it is one");
        assert!(probe.has_icc, "{format:?}");
        assert_eq!(probe.orientation, Orientation::Rotate90, "{format:?}");
        assert_eq!((probe.width, probe.height), (40, 30));
        assert_eq!(probe.displayed_size(), (30, 40));
        assert_eq!(probe.metadata, Metadata::read(&exif(6)), "{format:?}");
        let back = decode_bytes(&bytes, &free()).expect("it is one");
        assert_eq!(back.icc, Some(display_p3()), "{format:?}");
        let block = back.exif.expect("it has one");
        assert_eq!(Metadata::read(&block), Metadata::read(&exif(6)));
        if format != Format::Tiff {
            assert_eq!(block, exif(6), "byte for byte, so that maker notes stay readable: {format:?}");
        }
    }
}

#[test]
fn a_profile_of_several_segments_is_put_together() {
    let icc: Vec<u8> = (0..150_000_u32).map(|index| (index % 251) as u8).collect();
    let options = EncodeOptions { icc: Some(icc.clone()), ..EncodeOptions::new(Format::Jpeg) };
    let bytes = encode(&rgb(8, 8), &options).expect("it can be encoded");
    assert_eq!(decode_bytes(&bytes, &free()).expect("it is one").icc, Some(icc));
}

#[test]
fn metadata_says_what_the_camera_wrote() {
    let metadata = Metadata::read(&exif(1));
    assert_eq!(metadata.camera_make.as_deref(), Some("Lumen Works"));
    assert_eq!(metadata.camera_model.as_deref(), Some("Lumen 2"));
    assert_eq!(metadata.lens.as_deref(), Some("Lumen 50 mm"));
    assert_eq!(metadata.exposure_s, Some(1.0 / 125.0));
    assert_eq!(metadata.f_number, Some(2.8));
    assert_eq!(metadata.iso, Some(400));
    assert_eq!(metadata.focal_length_mm, Some(50.0));
    assert_eq!(metadata.software.as_deref(), Some("darkroom 1.0"));
    let taken_at = metadata.taken_at.expect("it says when");
    assert_eq!(taken_at.offset_s, Some(7200));
    assert_eq!(taken_at.utc_millis(), 1_562_257_815_000);
    let position = metadata.position.expect("it says where");
    assert!((position.latitude + 33.5).abs() < 1e-9 && (position.longitude - 151.21).abs() < 1e-9);
    assert_eq!(position.altitude_m, Some(42.0));
    let entries = metadata_entries(&exif(1));
    let find = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.value.as_str());
    assert_eq!(find("Make"), Some("Lumen Works"));
    assert_eq!(find("ExposureTime"), Some("1/125 s"));
    assert!(entries.iter().any(|entry| entry.group == "gps"));
    assert!(Metadata::read(&without_gps(&exif(1))).position.is_none());
}

#[test]
fn a_clock_that_was_never_set_is_no_time() {
    let unset = String::from_utf8_lossy(&exif(1)).into_owned();
    assert!(unset.contains("2019:07:04 18:30:15"), "the block holds the time as text");
    let mut block = exif(1);
    let at = block.windows(19).position(|bytes| bytes == b"2019:07:04 18:30:15").expect("it is there");
    for text in [b"0000:00:00 00:00:00", b"    :  :     :  :  ", b"2019:13:45 18:30:15"] {
        block[at..at + 19].copy_from_slice(text);
        let metadata = Metadata::read(&block);
        assert_eq!((metadata.taken_at, metadata.iso), (None, Some(400)));
    }
}

#[test]
fn png_of_few_bits_palettes_and_colour_keys_become_whole_bytes() {
    use ::png::{BitDepth, ColorType};
    let palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9];
    let numbers = [0b0001_1011, 0b1110_0100];
    let bytes = samples::png_with(ColorType::Indexed, BitDepth::Two, &numbers, &palette, &[]);
    let back = decode_bytes(&bytes, &free()).expect("it is one");
    assert_eq!((back.source.colour, back.source.bit_depth), (Colour::Palette, 2));
    assert_eq!(back.image.channels, Channels::Rgb);
    assert_eq!(samples8(&back.image)[..12], palette);

    let bytes = samples::png_with(ColorType::Indexed, BitDepth::Two, &numbers, &palette, &[0, 128]);
    let back = decode_bytes(&bytes, &free()).expect("it is one");
    assert_eq!(back.source.colour, Colour::PaletteAlpha);
    assert_eq!(samples8(&back.image)[..8], [255, 0, 0, 0, 0, 255, 0, 128]);

    let bytes = samples::png_with(ColorType::Grayscale, BitDepth::One, &[0b0101_0000, 0b1010_0000], &[], &[]);
    let back = decode_bytes(&bytes, &free()).expect("it is one");
    assert_eq!(samples8(&back.image), [0, 255, 0, 255, 255, 0, 255, 0]);
}

#[test]
fn tiff_in_planes_tiles_negatives_palettes_and_either_byte_order() {
    // Planes: 2 x 2 pixels, three strips.
    let mut planar = tags(2, 2, 8, 2, 3);
    planar.push((0x011c, 3, vec![2]));
    let planes = [vec![1, 2, 3, 4], vec![11, 12, 13, 14], vec![21, 22, 23, 24]];
    let back = decode_bytes(&samples::tiff(&planar, &planes, false, true), &free()).expect("it is one");
    assert_eq!(samples8(&back.image), [1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24]);

    // Tiles of 16 x 16 for 20 x 4 pixels.
    let mut tiled = tags(20, 4, 8, 1, 1);
    tiled.retain(|(tag, ..)| *tag != 0x0116);
    tiled.push((0x0142, 4, vec![16]));
    tiled.push((0x0143, 4, vec![16]));
    let tiles = [vec![50; 256], vec![60; 256]];
    let back = decode_bytes(&samples::tiff(&tiled, &tiles, true, false), &free()).expect("it is one");
    let row = [vec![50_u8; 16], vec![60; 4]].concat();
    assert_eq!(samples8(&back.image), row.repeat(4));

    // White is zero, with one and with 16 bits.
    let bilevel = samples::tiff(&tags(10, 2, 1, 0, 1), &[vec![0b1010_1010, 0b1000_0000, 0, 0]], false, false);
    let back = decode_bytes(&bilevel, &free()).expect("it is one");
    assert_eq!(samples8(&back.image)[..10], [0, 255, 0, 255, 0, 255, 0, 255, 0, 255]);
    let negative = samples::tiff(&tags(1, 2, 16, 0, 1), &[vec![0, 1, 0xff, 0xff]], false, true);
    let back = decode_bytes(&negative, &free()).expect("it is one");
    assert_eq!(back.image.samples, Samples::U16(vec![65_534, 0]));

    // A palette in 16 bits.
    let mut palette = tags(3, 1, 8, 3, 1);
    let mut colours = vec![0; 768];
    (colours[1], colours[257], colours[513]) = (65_535, 257 * 100, 257 * 50);
    palette.push((0x0140, 3, colours));
    let back =
        decode_bytes(&samples::tiff(&palette, &[vec![0, 1, 1]], false, false), &free()).expect("it is one");
    assert_eq!(samples8(&back.image), [0, 0, 0, 255, 100, 50, 255, 100, 50]);

    // Alpha that is multiplied in comes out straight.
    let mut premultiplied = tags(1, 1, 8, 2, 4);
    premultiplied.push((0x0152, 3, vec![1]));
    let back =
        decode_bytes(&samples::tiff(&premultiplied, &[vec![50, 100, 128, 128]], false, false), &free());
    assert_eq!(samples8(&back.expect("it is one").image), [100, 199, 255, 128]);
}

#[test]
fn jpeg_inside_tiff_keeps_the_colours_that_the_tiff_says() {
    let image = rgb(32, 16);
    let strip = encoded(&image, Format::Jpeg);
    let mut compressed = tags(32, 16, 8, 6, 3);
    compressed[3].2 = vec![7];
    let bytes = samples::tiff(&compressed, &[strip], false, false);
    let back = decode_bytes(&bytes, &free()).expect("it is one");
    assert!(difference(&back.image, &image) <= 4);

    // A part that is larger than its place is refused.
    let strip = encoded(&rgb(400, 400), Format::Jpeg);
    let bytes = samples::tiff(&compressed, &[strip], false, false);
    assert!(matches!(decode_bytes(&bytes, &free()), Err(Error::Broken { .. })));
}

#[test]
fn inks_become_srgb() {
    // Without a profile: full cyan keeps green and blue, and black is black.
    for (inks, rgb) in
        [([255, 0, 0, 0], [0_u8, 255, 255]), ([0, 0, 0, 0], [255; 3]), ([0, 0, 0, 255], [0; 3])]
    {
        let jpeg = samples::cmyk_jpeg(16, 16, inks);
        let back = decode_bytes(&jpeg, &free()).expect("it is one");
        assert_eq!((back.source.colour, back.image.channels), (Colour::Cmyk, Channels::Rgb));
        let near =
            samples8(&back.image)[..3].iter().zip(rgb).all(|(found, wanted)| found.abs_diff(wanted) <= 3);
        assert!(near, "{inks:?} {:?}", &samples8(&back.image)[..3]);

        let tiff = samples::tiff(&tags(1, 1, 8, 5, 4), &[inks.to_vec()], false, false);
        assert_eq!(samples8(&decode_bytes(&tiff, &free()).expect("it is one").image), rgb);
        let wide = inks.iter().flat_map(|ink| [*ink, *ink]).collect();
        let tiff = samples::tiff(&tags(1, 1, 16, 5, 4), &[wide], false, false);
        let expected = rgb.map(|sample| u16::from(sample) * 257).to_vec();
        assert_eq!(decode_bytes(&tiff, &free()).expect("it is one").image.samples, Samples::U16(expected));
    }
}

#[test]
fn inks_become_srgb_by_their_own_profile() {
    let icc = samples::ink_profile().into_iter().map(u32::from).collect::<Vec<_>>();
    for bits in [8, 16] {
        let mut with_profile = tags(3, 1, bits, 5, 4);
        with_profile.push((0x8773, 7, icc.clone()));
        let inks: Vec<u8> = [[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255]].concat();
        let strip = inks.into_iter().flat_map(|ink| vec![ink; bits as usize / 8]).collect();
        let tiff = samples::tiff(&with_profile, &[strip], false, false);
        let back = decode_bytes(&tiff, &free()).expect("it is one");
        assert!(back.source.has_icc);
        assert_eq!(back.icc, None, "the pixels are not in that space any more");
        let rgb = to_8_bits(back.image);
        let [paper, cyan, black] = samples8(&rgb).as_chunks::<3>().0 else { panic!("three pixels") };
        assert!(paper.iter().all(|sample| *sample > 245), "{paper:?}");
        assert!(cyan[0] > 180 && cyan[1] < 80 && cyan[2] < 80, "{cyan:?}");
        assert!(black.iter().all(|sample| *sample < 10), "{black:?}");
    }
}

#[test]
fn animations_show_their_first_frame_on_their_canvas() {
    let gif = decode_bytes(&samples::animated_gif(), &free()).expect("it is one");
    assert_eq!((gif.source.frames, gif.image.width, gif.image.height), (3, 20, 10));
    assert_eq!(gif.image.channels, Channels::Rgba);
    let pixel = |image: &Image, x: usize, y: usize| {
        let count = image.channels.count();
        let start = (y * image.width as usize + x) * count;
        samples8(image)[start..start + count].to_vec()
    };
    assert_eq!(pixel(&gif.image, 4, 2), [255, 0, 0, 255]);
    assert_eq!(pixel(&gif.image, 15, 7), [255, 0, 0, 255]);
    assert_eq!(pixel(&gif.image, 16, 7), [0; 4]);
    let still = decode_bytes(&samples::still_gif(), &free()).expect("it is one");
    assert_eq!((still.source.frames, still.image.channels), (1, Channels::Rgb));
    assert_eq!(pixel(&still.image, 1, 0), [200; 3]);

    for lossless in [false, true] {
        for channels in [Channels::Rgb, Channels::Rgba] {
            let first = picture(20, 16, channels, 8);
            let webp = decode_bytes(&samples::animated_webp(&first, lossless), &free()).expect("it is one");
            assert_eq!((webp.source.frames, webp.image.width, webp.image.height), (2, 32, 24));
            assert_eq!(pixel(&webp.image, 0, 0), [0; 4]);
            let found = pixel(&webp.image, 4 + 19, 2 + 15);
            let wanted = pixel(&first, 19, 15);
            let near = found.iter().zip(&wanted).take(3).all(|(found, wanted)| found.abs_diff(*wanted) < 12);
            assert!(near, "{found:?} {wanted:?}");
        }
    }
}

#[test]
fn to_srgb_converts_by_the_profile_and_keeps_bits_and_alpha() {
    for (channels, bits) in
        [(Channels::Rgb, 8), (Channels::Rgba, 8), (Channels::Rgb, 16), (Channels::Rgba, 16)]
    {
        let image = picture(100, 50, channels, bits);
        let (converted, used) = to_srgb(image.clone(), Some(&display_p3()));
        assert_eq!(used, ProfileUse::Applied);
        assert_eq!((converted.channels, converted.bit_depth()), (channels, bits));
        let difference = difference(&converted, &image);
        assert!((5..120).contains(&difference), "{difference}");
    }
    let gray = moxcms::ColorProfile::new_gray_with_gamma(1.0).encode().expect("it can be written");
    let image = picture(10, 10, Channels::Gray, 8);
    let (converted, used) = to_srgb(image.clone(), Some(&gray));
    assert_eq!((used, converted.channels), (ProfileUse::Applied, Channels::Gray));
    assert!(samples8(&converted)[0] > samples8(&image)[0] + 20, "linear light is brighter in sRGB");
}

#[test]
fn a_broken_or_foreign_profile_counts_as_srgb_and_is_reported() {
    let image = rgb(10, 10);
    for icc in [&b""[..], b"nonsense", &display_p3()[..200], &[0; 5000]] {
        let (same, used) = to_srgb(image.clone(), Some(icc));
        assert_eq!((same, used), (image.clone(), ProfileUse::Ignored));
    }
    let gray = moxcms::ColorProfile::new_gray_with_gamma(2.2).encode().expect("it can be written");
    assert_eq!(to_srgb(image.clone(), Some(&gray)).1, ProfileUse::Ignored);
    assert_eq!(to_srgb(image, None).1, ProfileUse::Absent);
}
