use std::io::Cursor;

use super::samples::{self, display_p3, encoded, exif, picture, rgb, samples8};
use super::*;

fn rendered(bytes: &[u8], transform: &Transform, format: OutputFormat) -> (Variant, Image) {
    let budget = Budget::new(256 << 20);
    let variant = render(&mut Cursor::new(bytes), transform, format, &Limits::default(), &budget);
    let variant = variant.expect("it is one");
    let decoded = decode_bytes(&variant.bytes, &free()).expect("it is one");
    assert_eq!(decoded.source.format.content_type(), variant.content_type);
    assert_eq!((decoded.image.width, decoded.image.height), (variant.width, variant.height));
    assert!(decoded.exif.is_none() && decoded.icc.is_none(), "a variant carries no metadata");
    assert_eq!(budget.free_bytes(), budget.total_bytes());
    (variant, decoded.image)
}

fn transform(text: &str) -> Transform {
    text.parse().expect("it is good")
}

#[test]
fn presets_have_the_sizes_they_promise() {
    for (width, height, thumb, grid, screen) in [
        (3000, 2000, (200, 200), (540, 360), (2048, 1365)),
        (2000, 3000, (200, 200), (240, 360), (1365, 2048)),
        (4000, 500, (200, 200), (720, 90), (2048, 256)),
        (150, 100, (150, 100), (150, 100), (150, 100)),
        (300, 100, (200, 100), (300, 100), (300, 100)),
    ] {
        let bytes = encoded(&rgb(width, height), Format::Jpeg);
        for (preset, size) in [(Preset::Thumb, thumb), (Preset::Grid, grid), (Preset::Screen, screen)] {
            let (variant, _) = rendered(&bytes, &preset.transform(), OutputFormat::Jpeg);
            let size = if preset == Preset::Thumb && size.0 != size.1 {
                // A box that the picture can't fill keeps its shape.
                (100, 100)
            } else {
                size
            };
            assert_eq!((variant.width, variant.height), size, "{width} x {height} as {}", preset.name());
        }
    }
}

#[test]
fn variants_of_every_format_show_the_same_picture() {
    let image = rgb(640, 480);
    let small = transform("w=64&h=48&q=90");
    let expected = rgb(64, 48);
    for format in [Format::Jpeg, Format::Png, Format::Webp, Format::Tiff] {
        let (_, found) = rendered(&encoded(&image, format), &small, OutputFormat::Png);
        let worst = samples::difference(&found, &expected);
        // Half a pixel of the gradient is two steps.
        assert!(worst <= 4, "{format:?} {worst}");
    }
    let wide = encoded(&picture(640, 480, Channels::Rgb, 16), Format::Png);
    let (_, found) = rendered(&wide, &small, OutputFormat::Png);
    assert!(samples::difference(&found, &expected) <= 4);
    for format in [OutputFormat::Jpeg, OutputFormat::Webp] {
        let (variant, found) = rendered(&encoded(&image, Format::Png), &small, format);
        assert!(variant.bytes.len() < 4000);
        assert!(samples::difference(&found, &expected) <= 12);
    }
}

/// Sizes that no reduction divides: a shift of the last column would show as a difference at the right edge.
#[test]
fn reducing_while_decoding_keeps_the_exact_scale() {
    for (width, height) in [(1001, 667), (997, 641), (1023, 513)] {
        let image = rgb(width, height);
        for format in [Format::Jpeg, Format::Png] {
            let (variant, small) =
                rendered(&encoded(&image, format), &Transform::inside(90, 90), OutputFormat::Png);
            let whole = crate::imaging::resize(&image, variant.width, variant.height).expect("it fits");
            let edge = |image: &Image| samples8(image)[87 * 3..90 * 3].to_vec();
            let near = edge(&small).iter().zip(edge(&whole)).all(|(a, b)| a.abs_diff(b) <= 3);
            assert!(near, "{format:?} {width} x {height}: {:?} {:?}", edge(&small), edge(&whole));
        }
    }
}

#[test]
fn variants_are_upright_in_srgb_and_without_metadata() {
    let options =
        EncodeOptions { exif: Some(exif(6)), icc: Some(display_p3()), ..EncodeOptions::new(Format::Png) };
    let bytes = encode(&rgb(400, 200), &options).expect("it can be encoded");
    let (variant, small) = rendered(&bytes, &transform("w=100&h=2048"), OutputFormat::Png);
    assert_eq!((variant.width, variant.height), (100, 200));
    // A quarter clockwise: what was left and bottom is now left and top. Red grows downwards, green leftwards.
    let pixel = |x: usize, y: usize| &samples8(&small)[(y * 100 + x) * 3..][..3];
    assert!(pixel(50, 190)[0] > pixel(50, 10)[0] + 100);
    assert!(pixel(5, 100)[1] > pixel(95, 100)[1] + 80);
}

#[test]
fn transparency_survives_where_it_can_and_is_white_elsewhere() {
    let bytes = encoded(&picture(400, 400, Channels::Rgba, 8), Format::Png);
    let (_, webp) = rendered(&bytes, &Preset::Thumb.transform(), OutputFormat::Webp);
    assert_eq!(webp.channels, Channels::Rgba);
    let (_, jpeg) = rendered(&bytes, &Preset::Thumb.transform(), OutputFormat::Jpeg);
    assert!(samples8(&jpeg)[..30].iter().all(|sample| *sample > 240));
}

#[test]
fn a_thumbnail_is_upright_and_small_enough_for_a_hash() {
    let options = EncodeOptions { exif: Some(exif(8)), ..EncodeOptions::new(Format::Jpeg) };
    let bytes = encode(&rgb(300, 200), &options).expect("it can be encoded");
    let image = thumbnail(&mut Cursor::new(&bytes), 100, &Limits::default(), &Budget::new(64 << 20));
    let image = image.expect("it is one");
    assert_eq!((image.width, image.height), (67, 100));
    assert!(!thumbhash(&image).expect("it can be resized").is_empty());
}

/// Four colours: red, green above blue, yellow.
fn quarters(width: u32, height: u32) -> Image {
    let colours = [[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [220, 220, 30]]];
    let side = |at: u32, length: u32| usize::from(at * 2 >= length);
    let samples =
        (0..height).flat_map(|y| (0..width).flat_map(move |x| colours[side(y, height)][side(x, width)]));
    Image { width, height, channels: Channels::Rgb, samples: Samples::U8(samples.collect()) }
}

/// Which of the four colours stands in the middle of each quarter of a picture, and which are missing.
fn seen(image: &Image) -> String {
    let at = |x: u32, y: u32| {
        let start = (y as usize * image.width as usize + x as usize) * image.channels.count();
        let pixel = &samples8(image)[start..start + 3];
        match (pixel[0] > 120, pixel[1] > 120, pixel[2] > 120) {
            (true, false, false) => 'r',
            (false, true, false) => 'g',
            (false, false, true) => 'b',
            (true, true, false) => 'y',
            _ => '?',
        }
    };
    let (w, h) = (image.width, image.height);
    [at(w / 4, h / 4), at(w * 3 / 4, h / 4), at(w / 4, h * 3 / 4), at(w * 3 / 4, h * 3 / 4)].iter().collect()
}

#[test]
fn every_fit_gives_the_size_and_the_part_that_it_promises() {
    for format in [Format::Jpeg, Format::Png] {
        let bytes = encoded(&quarters(800, 400), format);
        for (text, size, expected) in [
            ("", (800, 400), "rgby"),
            ("w=200", (200, 100), "rgby"),
            ("h=100", (200, 100), "rgby"),
            ("w=200&h=200", (200, 100), "rgby"),
            ("w=200&h=200&fit=inside", (200, 100), "rgby"),
            ("w=200&h=200&fit=fill", (200, 200), "rgby"),
            ("w=200&h=200&fit=cover", (200, 200), "rgby"),
            ("w=100&h=200&fit=cover&gravity=w", (100, 200), "rrbb"),
            ("w=100&h=200&fit=cover&gravity=ne", (100, 200), "ggyy"),
            ("w=400&h=100&fit=cover&gravity=n", (400, 100), "rgrg"),
            ("w=400&h=100&fit=cover&gravity=s", (400, 100), "byby"),
            ("w=100&dpr=2", (200, 100), "rgby"),
            ("w=100&rotate=90", (100, 200), "bryg"),
            ("rotate=180&w=200", (200, 100), "ybgr"),
            ("rotate=270&h=200", (100, 200), "gyrb"),
            ("w=100&h=50&rotate=90&fit=cover&gravity=n", (100, 50), "brbr"),
            // Never larger than the picture.
            ("w=5000&h=5000", (800, 400), "rgby"),
            ("w=5000&h=5000&fit=cover", (400, 400), "rgby"),
            ("w=5000&h=100&fit=fill", (800, 100), "rgby"),
            ("w=8192&dpr=4", (800, 400), "rgby"),
        ] {
            let (variant, image) = rendered(&bytes, &transform(text), OutputFormat::Jpeg);
            assert_eq!((variant.width, variant.height), size, "{format:?} {text}");
            assert_eq!(seen(&image), expected, "{format:?} {text}");
        }
    }
}

#[test]
fn a_turned_picture_is_cut_where_it_is_looked_at() {
    let options = EncodeOptions { exif: Some(exif(6)), ..EncodeOptions::new(Format::Jpeg) };
    let bytes = encode(&quarters(800, 400), &options).expect("it can be encoded");
    let (variant, image) =
        rendered(&bytes, &transform("w=200&h=200&fit=cover&gravity=n"), OutputFormat::Webp);
    assert_eq!((variant.width, variant.height), (200, 200));
    // A quarter clockwise the left half of what is stored stands above: blue left of red.
    assert_eq!(seen(&image), "brbr");
}

#[test]
fn a_smart_crop_keeps_a_subject_at_the_side() {
    let mut image = quarters(10, 10);
    (image.width, image.height) = (1200, 400);
    let inside = |x: u32, y: u32| f64::from(x).mul_add(1.0, -1050.0).hypot(f64::from(y) - 200.0) < 90.0;
    let pixels = (0..400_u32).flat_map(|y| {
        (0..1200)
            .flat_map(move |x| if inside(x, y) { [200, 60, 40] } else { [150, 170, 190 + (x % 3) as u8] })
    });
    image.samples = Samples::U8(pixels.collect());
    for format in [Format::Jpeg, Format::Png, Format::Webp] {
        let bytes = encoded(&image, format);
        let crop = transform("w=100&h=100&fit=cover&gravity=smart");
        let (_, small) = rendered(&bytes, &crop, OutputFormat::Png);
        let red =
            samples8(&small).chunks_exact(3).filter(|pixel| pixel[0] > pixel[2].saturating_add(60)).count();
        // A disc of 180 pixels, a quarter of that in the rendering.
        assert!(red > 1400, "{format:?}: {red}");
    }
}

#[test]
fn blurred_and_sharpened_pictures_differ_from_plain_ones() {
    let bytes = encoded(&quarters(400, 300), Format::Jpeg);
    for format in [OutputFormat::Png, OutputFormat::Webp] {
        let (_, plain) = rendered(&bytes, &transform("w=200"), format);
        let steepness = |image: &Image| {
            let row = &samples8(image)[20 * 600..21 * 600];
            row.chunks_exact(3).zip(row.chunks_exact(3).skip(1)).map(|(a, b)| a[0].abs_diff(b[0])).max()
        };
        let (_, soft) = rendered(&bytes, &transform("w=200&blur=4"), format);
        let (_, sharp) = rendered(&bytes, &transform("w=200&sharpen=2"), format);
        assert!(steepness(&soft) < Some(40) && steepness(&plain) > Some(50), "{:?}", steepness(&plain));
        let overshoot = |image: &Image| samples8(image).iter().max().copied();
        assert!(overshoot(&sharp) > overshoot(&plain), "{format:?}");
    }
}

#[test]
fn metadata_is_kept_on_request_but_never_the_place() {
    let options =
        EncodeOptions { exif: Some(exif(6)), icc: Some(display_p3()), ..EncodeOptions::new(Format::Jpeg) };
    let bytes = encode(&rgb(400, 200), &options).expect("it can be encoded");
    let budget = Budget::new(256 << 20);
    for format in [OutputFormat::Jpeg, OutputFormat::Webp, OutputFormat::Png] {
        let kept = transform("w=100&strip=0");
        for (kept, has_place) in [(kept, false), (kept.keeping_position(), true)] {
            let variant =
                render_bytes(&bytes, &kept, format, &Limits::default(), &budget).expect("it is one");
            let back = decode_bytes(&variant.bytes, &free()).expect("it is one");
            assert_eq!(back.orientation, Orientation::Normal, "it is upright already");
            assert_eq!((back.image.width, back.image.height), (100, 200));
            assert_eq!(back.icc, Some(display_p3()), "{format:?}");
            let metadata = Metadata::read(&back.exif.expect("it was kept"));
            assert_eq!(metadata.camera_model.as_deref(), Some("Lumen 2"));
            assert_eq!(metadata.position.is_some(), has_place, "{format:?}");
        }
        // What is kept is the profile, what is shown are the same colours.
        let kept = render_bytes(&bytes, &transform("w=100&strip=0"), format, &Limits::default(), &budget);
        let kept = decode_bytes(&kept.expect("it is one").bytes, &free()).expect("it is one").image;
        let (kept, _) = to_srgb(kept, Some(&display_p3()));
        let (_, plain) = rendered(&bytes, &transform("w=100"), format);
        let (a, b) = (samples8(&kept), samples8(&plain));
        let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(sum < 4 * a.len() as u64, "{format:?}: {sum} for {}", a.len());
    }
}

#[test]
fn avif_is_written_within_its_limits() {
    let budget = Budget::new(512 << 20);
    let avif = |bytes: &[u8], text: &str| {
        render_bytes(bytes, &transform(text), OutputFormat::Avif, &Limits::default(), &budget)
    };
    for (name, bytes, has_alpha) in [
        ("jpeg", encoded(&rgb(301, 201), Format::Jpeg), false),
        ("rgb", encoded(&rgb(301, 201), Format::Png), false),
        ("gray", encoded(&picture(301, 201, Channels::Gray, 8), Format::Png), false),
        ("alpha", encoded(&picture(301, 201, Channels::Rgba, 16), Format::Png), true),
    ] {
        let variant = avif(&bytes, "w=151&strip=0").expect("it is one");
        assert_eq!((variant.width, variant.height, variant.content_type), (151, 101, "image/avif"));
        assert_eq!(OutputFormat::sniff(&variant.bytes), Some(OutputFormat::Avif));
        let mentions = |what: &[u8]| variant.bytes.windows(what.len()).any(|bytes| bytes == what);
        assert!(mentions(&[&b"ispe\0\0\0\0"[..], &151_u32.to_be_bytes(), &101_u32.to_be_bytes()].concat()));
        assert_eq!(mentions(b"auxiliary:alpha"), has_alpha, "{name}");
        assert!(variant.bytes.len() < 20_000, "{name}: {}", variant.bytes.len());
    }
    let large = samples::interlaced_png(5000, 4000, 77);
    assert!(matches!(avif(&large, "w=4900"), Err(Error::TooLargeFor { max_pixels: MAX_AVIF_PIXELS, .. })));
    let probe = probe_bytes(&large).expect("it is one");
    assert_eq!(transform("w=4900").negotiate(Some("image/avif,image/webp"), &probe), OutputFormat::Webp);
    assert_eq!(transform("w=4900").negotiate(Some("image/avif"), &probe), OutputFormat::Jpeg);
    assert_eq!(transform("w=490").negotiate(Some("image/avif"), &probe), OutputFormat::Avif);
    assert_eq!(budget.free_bytes(), budget.total_bytes());
}

#[test]
fn auto_follows_the_picture_and_what_is_accepted() {
    let wish = transform("w=50");
    let negotiate = |bytes: &[u8], wish: &Transform, accept| {
        wish.negotiate(accept, &probe_bytes(bytes).expect("it is one"))
    };
    let plain = encoded(&rgb(20, 20), Format::Png);
    let clear = encoded(&picture(20, 20, Channels::Rgba, 8), Format::Png);
    let moving = samples::animated_gif();
    for (bytes, accept, expected) in [
        (&plain, None, OutputFormat::Jpeg),
        (&plain, Some("*/*"), OutputFormat::Jpeg),
        (&plain, Some("image/webp,*/*"), OutputFormat::Webp),
        (&plain, Some("image/avif,image/webp"), OutputFormat::Avif),
        (&clear, None, OutputFormat::Png),
        (&clear, Some("image/avif"), OutputFormat::Avif),
        (&moving, None, OutputFormat::Gif),
        (&moving, Some("image/avif"), OutputFormat::Gif),
        (&moving, Some("image/avif,image/webp"), OutputFormat::Webp),
    ] {
        assert_eq!(negotiate(bytes, &wish, accept), expected, "{accept:?}");
    }
    assert_eq!(negotiate(&moving, &wish.still(), Some("image/avif,image/webp")), OutputFormat::Avif);
    assert_eq!(negotiate(&plain, &transform("format=png"), Some("image/avif")), OutputFormat::Png);
}

/// Seven frames of 40 x 20, a white square wandering to the right; some of them the same.
fn moving_gif(transparent: bool) -> Vec<u8> {
    let mut encoder =
        ::gif::Encoder::new(Vec::new(), 40, 20, &[20, 40, 160, 250, 250, 250]).expect("it can be written");
    encoder.set_repeat(::gif::Repeat::Finite(2)).expect("it can be written");
    for at in [0, 4, 8, 8, 12, 16, 20] {
        let inside = |index: usize| (at..at + 8).contains(&(index % 40)) && (6..14).contains(&(index / 40));
        let buffer: Vec<u8> = (0..800).map(|index| u8::from(inside(index))).collect();
        let frame = ::gif::Frame {
            width: 40,
            height: 20,
            delay: 12,
            buffer: buffer.into(),
            transparent: transparent.then_some(0),
            dispose: if transparent {
                ::gif::DisposalMethod::Background
            } else {
                ::gif::DisposalMethod::Keep
            },
            ..::gif::Frame::default()
        };
        encoder.write_frame(&frame).expect("it can be written");
    }
    encoder.into_inner().expect("it can be written")
}

#[test]
fn what_moves_keeps_moving_where_that_is_wanted() {
    let budget = Budget::new(64 << 20);
    let render = |bytes: &[u8], text: &str, format| {
        let variant = render_bytes(bytes, &transform(text), format, &Limits::default(), &budget);
        let variant = variant.expect("it is one");
        let decoded = decode_bytes(&variant.bytes, &free()).expect("it is one");
        assert_eq!((decoded.image.width, decoded.image.height), (variant.width, variant.height));
        (variant, decoded)
    };
    for transparent in [false, true] {
        let original = moving_gif(transparent);
        for format in [OutputFormat::Webp, OutputFormat::Gif] {
            let (variant, decoded) = render(&original, "w=20", format);
            // Of the two that are the same, one stays twice as long.
            assert_eq!(decoded.source.frames, 6, "{format:?}");
            assert_eq!((variant.width, variant.height), (20, 10));
            let (again, twice) = render(&variant.bytes, "w=10", format);
            assert_eq!((twice.source.frames, again.width, again.height), (6, 10, 5));
            let (_, turned) = render(&original, "w=10&h=10&fit=cover&gravity=w&rotate=90", format);
            assert_eq!((turned.source.frames, turned.image.width), (6, 10));
            assert_eq!(decoded.image.channels.has_alpha(), transparent, "{format:?}");
        }
        let (_, still) = render(&original, "w=20&animate=0", OutputFormat::Webp);
        assert_eq!(still.source.frames, 1);
        for format in [OutputFormat::Jpeg, OutputFormat::Png] {
            assert_eq!(render(&original, "w=20", format).1.source.frames, 1);
        }
    }
    // Where the square ends: in the last frame.
    let (variant, _) = render(&moving_gif(false), "w=40", OutputFormat::Gif);
    let mut decoder = ::gif::DecodeOptions::new();
    decoder.set_color_output(::gif::ColorOutput::RGBA);
    let mut decoder = decoder.read_info(variant.bytes.as_slice()).expect("it is one");
    let mut delays = Vec::new();
    let mut boxes = Vec::new();
    while let Some(frame) = decoder.read_next_frame().expect("it is whole") {
        delays.push(frame.delay);
        boxes.push((frame.left, frame.top, frame.width, frame.height));
    }
    assert_eq!(delays, [12, 12, 24, 12, 12, 12]);
    assert_eq!(boxes[0], (0, 0, 40, 20));
    assert_eq!(boxes[1], (0, 6, 12, 8), "only what changes is written");
    assert_eq!(decoder.repeat(), ::gif::Repeat::Finite(2));
    assert_eq!(budget.free_bytes(), budget.total_bytes());
}

#[test]
fn a_damaged_end_of_an_animation_costs_only_the_end() {
    let original = moving_gif(false);
    let budget = Budget::new(64 << 20);
    let cut = &original[..original.len() * 2 / 3];
    let variant = render_bytes(cut, &transform("w=20"), OutputFormat::Webp, &Limits::default(), &budget)
        .expect("it moves");
    let frames = probe_bytes(&variant.bytes).expect("it is one").frames;
    assert!((2..6).contains(&frames), "{frames}");
    let webp = render_bytes(&original, &transform(""), OutputFormat::Webp, &Limits::default(), &budget);
    let mut webp = webp.expect("it moves").bytes;
    let last = webp.len() - 40;
    webp[last..].fill(0x55);
    for format in [OutputFormat::Webp, OutputFormat::Gif] {
        let _ = render_bytes(&webp, &transform("w=20"), format, &Limits::default(), &budget);
    }
}

#[test]
fn a_film_in_a_gif_stands_still() {
    let gif = samples::still_gif();
    let mut many = gif[..gif.len() - 1].to_vec();
    many.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\0".repeat(1001));
    let budget = Budget::new(64 << 20);
    let variant = render_bytes(&many, &transform("w=8"), OutputFormat::Webp, &Limits::default(), &budget);
    assert_eq!(probe_bytes(&variant.expect("it is one").bytes).expect("it is one").frames, 1);
}

/// Raw files as three makers write them: a small picture in front, the preview in a directory of its own, in one strip or
/// named by a tag, and the sensor's data as JPEG without loss.
#[test]
fn raw_files_show_the_largest_preview_in_them() {
    let small = encoded(&rgb(64, 48), Format::Jpeg);
    let large = encoded(&quarters(640, 480), Format::Jpeg);
    let sensor = samples::lossless_jpeg(&rgb(700, 500));
    let budget = Budget::new(64 << 20);
    for maker in ["canon", "nikon", "dng"] {
        let bytes = samples::raw_file(maker, &small, &large, &sensor);
        assert_eq!(Format::sniff(&bytes), Some(Format::Tiff));
        let probe = probe_bytes(&bytes).expect("it has a preview");
        assert!(probe.is_raw(), "{maker}");
        assert_eq!((probe.format, probe.width, probe.height), (Format::Jpeg, 640, 480), "{maker}");
        assert_eq!(probe.orientation, Orientation::Rotate90);
        assert_eq!(probe.metadata.camera_model.as_deref(), Some("Lumen 2"));
        let small = transform("w=100&h=100");
        for from_file in [false, true] {
            let limits = Limits::default();
            let variant = if from_file {
                render(&mut Cursor::new(&bytes), &small, OutputFormat::Png, &limits, &budget)
            } else {
                render_bytes(&bytes, &small, OutputFormat::Png, &limits, &budget)
            };
            let image = decode_bytes(&variant.expect("it has one").bytes, &free()).expect("it is one").image;
            assert_eq!((image.width, image.height), (75, 100), "{maker}");
            assert_eq!(seen(&image), "bryg", "{maker}: it is upright");
        }
        assert!(
            matches!(decode_bytes(&bytes, &free()), Err(Error::Unsupported { .. })),
            "it is not developed"
        );
        let thumbnail = thumbnail(&mut Cursor::new(&bytes), 50, &Limits::default(), &budget);
        assert_eq!(thumbnail.expect("it has one").height, 50);
    }
    // A scan that keeps its tiles as JPEG is none.
    let mut scan = samples::tags(32, 16, 8, 6, 3);
    scan[3].2 = vec![7];
    let bytes = samples::tiff(&scan, &[encoded(&rgb(32, 16), Format::Jpeg)], false, false);
    assert!(!probe_bytes(&bytes).expect("it is one").is_raw());
}
