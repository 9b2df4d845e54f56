//! The blurred place-holder of some thirty bytes that a page shows before the picture arrives (ThumbHash).

use super::encode::{to_8_bits, to_colour};
use super::error::Error;
use super::pixels::{Image, Samples};
use super::resize::resize;

/// Longest side that the hash accepts.
const MAX_SIDE: u32 = 100;

/// Computes the ThumbHash of an upright sRGB picture of any size.
///
/// # Errors
/// Those of [`super::resize()`].
pub fn thumbhash(image: &Image) -> Result<Vec<u8>, Error> {
    let longest = image.width.max(image.height);
    let small = if longest > MAX_SIDE {
        let side = |side: u32| (u64::from(side) * u64::from(MAX_SIDE) / u64::from(longest)).max(1) as u32;
        to_8_bits(resize(image, side(image.width), side(image.height))?)
    } else {
        to_8_bits(image.clone())
    };
    let small = to_colour(small);
    let Samples::U8(samples) = &small.samples else { return Ok(Vec::new()) };
    let rgba: Vec<u8> = if small.channels.has_alpha() {
        samples.clone()
    } else {
        samples.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect()
    };
    Ok(::thumbhash::rgba_to_thumb_hash(small.width as usize, small.height as usize, &rgba))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Channels;

    #[test]
    fn the_hash_keeps_shape_and_colour() {
        let samples = [200, 60, 20].repeat(300 * 150);
        let image = Image { width: 300, height: 150, channels: Channels::Rgb, samples: Samples::U8(samples) };
        let hash = thumbhash(&image).expect("it can be resized");
        assert!(hash.len() < 32);
        let ratio = ::thumbhash::thumb_hash_to_approximate_aspect_ratio(&hash).expect("it is one");
        assert!((1.5..=2.5).contains(&ratio), "{ratio}");
        let (red, green, blue, alpha) = ::thumbhash::thumb_hash_to_average_rgba(&hash).expect("it is one");
        assert!(red > green && green > blue && alpha > 0.99);
    }

    #[test]
    fn extreme_shapes_have_one_too() {
        for (width, height) in [(1, 1), (1, 65_535), (65_535, 1)] {
            let samples = vec![7; 65_535.min(width as usize * height as usize)];
            let image = Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples) };
            assert!(!thumbhash(&image).expect("it can be resized").is_empty());
        }
    }
}
