//! AVIF, HEIC and JPEG XL: what comes out of them is what was put in, turned once and in the right colours.

use super::samples::{self, Stills, difference, exif, picture, rgb, samples8};
use super::*;

fn decoded(bytes: &[u8]) -> Decoded {
    decode_bytes(bytes, &free()).expect("it is a picture")
}

#[test]
fn avif_comes_back_nearly_as_it_was() {
    for (width, height) in [(64, 48), (61, 43), (1, 1), (2, 300)] {
        let image = rgb(width, height);
        let back = decoded(&Stills::avif(&image).file());
        assert_eq!((back.source.format, back.source.bit_depth, back.icc), (Format::Avif, 8, None));
        // Two pixels beside each other share their colour.
        let apart = difference(&back.image, &image);
        assert!(apart < if width > 2 { 12 } else { 60 }, "{width} {apart}");
    }
    // As it is written for browsers, with alpha.
    let image = picture(40, 30, Channels::Rgba, 8);
    let png = samples::encoded(&image, Format::Png);
    let whole = "q=95".parse::<Transform>().expect("it is one");
    let budget = Budget::new(64 << 20);
    let avif =
        render_bytes(&png, &whole, OutputFormat::Avif, &Limits::default(), &budget).expect("it is one");
    let back = decoded(&avif.bytes).image;
    assert_eq!(back.channels, Channels::Rgba);
    let alpha = |image: &Image| samples8(image).iter().skip(3).step_by(4).copied().collect::<Vec<_>>();
    let apart = alpha(&back).iter().zip(&alpha(&image)).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart < Some(6), "{apart:?}");
}

#[test]
fn heic_comes_back_nearly_as_it_was() {
    for (bytes, channels, bits) in [
        (samples::STILL_HEIC, Channels::Rgb, 8),
        (samples::DEEP_HEIC, Channels::Rgb, 16),
        (samples::ALPHA_HEIC, Channels::Rgba, 8),
    ] {
        let probe = probe_bytes(bytes).expect("it is one");
        assert_eq!((probe.format, probe.width, probe.height), (Format::Heic, 64, 48));
        assert_eq!(probe.colour.has_alpha(), channels.has_alpha());
        let image = decoded(bytes).image;
        assert_eq!(image.bit_depth(), bits);
        let apart = difference(&image, &picture(64, 48, channels, bits));
        assert!(apart < 12, "{apart}");
    }
}

#[test]
fn jpeg_xl_comes_back_as_it_was() {
    let exact = decoded(samples::LOSSLESS_JXL);
    // The encoder takes alpha for one of 8 bits.
    assert!(difference(&exact.image, &picture(24, 18, Channels::Rgba, 16)) <= 1);
    assert_eq!((exact.source.format, exact.icc), (Format::Jxl, None));
    let near = decoded(samples::LOSSY_JXL).image;
    assert!(difference(&near, &rgb(24, 18)) < 16, "{}", difference(&near, &rgb(24, 18)));
    // Its header says nothing of a turn, and its EXIF block is not asked.
    let boxed = decoded(samples::BOXED_JXL);
    assert_eq!((&boxed.image, boxed.orientation), (&near, Orientation::Normal));
    assert_eq!(boxed.source.metadata.camera_make.as_deref(), Some("Lumen Works"));
    let block = boxed.exif.expect("it has one");
    assert_eq!(ifd::orientation(&block), Orientation::Normal);
}

#[test]
fn tiles_are_put_beside_each_other_and_cut_at_the_edge() {
    for one in [Stills::avif(&rgb(64, 48)), Stills::heic()] {
        let tile = decoded(&one.file()).image;
        let many = decoded(&one.clone().tiled().file()).image;
        assert_eq!((many.width, many.height), (one.size.0 * 3 - 5, one.size.1 * 2 - 7));
        for (x, y) in
            [(0, 0), (one.size.0, 0), (one.size.0 * 2 + 3, one.size.1 + 5), (many.width - 1, many.height - 1)]
        {
            let pixel = |image: &Image, x: u32, y: u32| {
                let at = (y * image.width + x) as usize * 3;
                samples8(image)[at..at + 3].to_vec()
            };
            assert_eq!(pixel(&many, x, y), pixel(&tile, x % one.size.0, y % one.size.1), "{x} {y}");
        }
    }
}

#[test]
fn a_turn_is_said_by_the_file_and_made_once() {
    use Orientation::*;
    let plain = Stills { exif: Some(exif(6)), ..Stills::avif(&rgb(64, 48)) };
    for (turn, expected) in [
        (None, Normal),
        (Some((1, None)), Rotate270),
        (Some((2, None)), Rotate180),
        (Some((3, None)), Rotate90),
        (Some((0, Some(0))), MirrorVertical),
        (Some((0, Some(1))), MirrorHorizontal),
        (Some((1, Some(1))), Rotate270.then(MirrorHorizontal)),
    ] {
        let bytes = Stills { turn, ..plain.clone() }.file();
        let back = decoded(&bytes);
        assert_eq!(back.orientation, expected, "{turn:?}");
        assert_eq!(ifd::orientation(&back.exif.expect("it has one")), expected, "{turn:?}");
        assert_eq!(back.source.metadata.camera_model.as_deref(), Some("Lumen 2"));
        assert!(back.source.metadata.taken_at.is_some());
        let (width, height) = expected.size(64, 48);
        assert_eq!(back.source.displayed_size(), (width, height));
        let budget = Budget::new(64 << 20);
        let whole = Transform::inside(64, 64);
        let shown =
            render_bytes(&bytes, &whole, OutputFormat::Png, &Limits::default(), &budget).expect("it is one");
        assert_eq!(decoded(&shown.bytes).image, orient(back.image, expected), "{turn:?}");
    }
}

#[test]
fn colours_are_those_that_the_file_names() {
    let image = rgb(32, 32);
    let coded = Stills::avif(&image);
    let plain = decoded(&coded.file());
    assert!(!plain.source.has_icc);
    // The same numbers in a wider space are more colourful.
    let wide = decoded(&Stills { coding: Some((12, 13, 6, true)), ..coded.clone() }.file());
    assert!(wide.source.has_icc);
    let (shown, used) = to_srgb(wide.image.clone(), wide.icc.as_deref());
    assert_eq!((used, &wide.image), (ProfileUse::Applied, &plain.image));
    let expected = to_srgb(plain.image.clone(), Some(&samples::display_p3())).0;
    assert!(difference(&shown, &expected) <= 1);
    // Brighter than paper: black stays black, and more light stays more light.
    let bright = decoded(&Stills { coding: Some((9, 16, 9, true)), ..coded.clone() }.file());
    assert!(bright.icc.is_some());
    let light = |at: usize| {
        samples8(&bright.image)[at * 3..at * 3 + 3].iter().map(|one| u32::from(*one)).sum::<u32>()
    };
    assert!(light(32 * 31 + 31) > light(0));
}

#[test]
fn a_packet_of_xmp_is_found() {
    let xmp = b"<x:xmpmeta><rdf:RDF/></x:xmpmeta>".to_vec();
    let bytes = Stills { xmp: Some(xmp.clone()), ..Stills::avif(&rgb(16, 16)) }.file();
    assert_eq!(probe_bytes(&bytes).expect("it is one").xmp, Some(xmp));
}

#[test]
fn other_raw_files_show_the_largest_preview_in_them() {
    let (small, large) =
        (samples::encoded(&rgb(16, 12), Format::Jpeg), samples::encoded(&rgb(80, 60), Format::Jpeg));
    for maker in ["raf", "rw2", "orf", "cr3"] {
        let bytes = samples::other_raw_file(maker, &small, &large);
        assert!(may_be_shown(&bytes), "{maker}");
        let probe = probe_bytes(&bytes).unwrap_or_else(|e| panic!("{maker}: {e}"));
        assert_eq!((probe.is_raw(), probe.displayed_size()), (true, (60, 80)), "{maker}");
        assert_eq!(probe.metadata.camera_make.as_deref(), Some("Lumen Works"), "{maker}");
        assert!(probe.metadata.position.is_some(), "{maker}");
        let budget = Budget::new(64 << 20);
        let thumb = Transform::inside(40, 40);
        let shown =
            render_bytes(&bytes, &thumb, OutputFormat::Webp, &Limits::default(), &budget).expect("it is one");
        assert_eq!((shown.width, shown.height), (30, 40), "{maker}");
        // On its way out nothing of the place is left, and all else is.
        let found = redactions(&mut std::io::Cursor::new(&bytes)).expect("it can be read");
        let clean = Redaction::apply(&found, 0, bytes.clone().into());
        let probe = probe_bytes(&clean).unwrap_or_else(|e| panic!("{maker}: {e}"));
        assert_eq!((probe.displayed_size(), probe.metadata.position), ((60, 80), None), "{maker}");
        let degrees = [33_u32, 1, 30, 1, 0, 1].map(u32::to_le_bytes).concat();
        assert!(!clean.windows(degrees.len()).any(|bytes| bytes == degrees), "{maker}");
    }
}

#[test]
fn the_place_goes_out_of_every_box() {
    for bytes in [
        Stills { exif: Some(exif(1)), ..Stills::avif(&rgb(16, 16)) }.file(),
        Stills { exif: Some(exif(1)), ..Stills::heic() }.file(),
    ] {
        assert!(probe_bytes(&bytes).expect("it is one").metadata.position.is_some());
        let found = redactions(&mut std::io::Cursor::new(&bytes)).expect("it can be read");
        let clean = Redaction::apply(&found, 0, bytes.into());
        let probe = probe_bytes(&clean).expect("it still is one");
        assert_eq!(probe.metadata.position, None);
        assert_eq!(probe.metadata.camera_make.as_deref(), Some("Lumen Works"));
        decoded(&clean);
    }
}
