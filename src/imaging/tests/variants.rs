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
