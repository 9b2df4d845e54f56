//! A hash of what a picture shows (a DCT hash as in Zauner, «Implementation and Benchmarking of Perceptual Image Hash
//! Functions», 2010): copies of other sizes, qualities and brightness differ in a few bits only.

use super::encode::to_8_bits;
use super::encode::without_alpha;
use super::error::Error;
use super::pixels::{Image, Samples};
use super::resize::resize;

/// Side of the gray copy that is looked at.
const SIDE: usize = 32;

/// Frequencies that are compared: the lowest, as most of what is seen at a glance is in them.
const BITS: usize = 64;

/// A copy differs from its original by this in at least one of the frequencies, or there is nothing to be seen.
const LEAST_STRUCTURE: f32 = 40.0;

/// Computes the hash of an upright sRGB picture of any size, such as [`super::thumbnail`] gives; 100 pixels a side are
/// plenty. Nothing for pictures without structure, such as an empty page: they would all be equal.
///
/// Count the bits that differ (`(a ^ b).count_ones()`): up to 6 is the same picture, over 14 another one.
///
/// # Errors
/// Those of [`super::resize()`].
pub fn perceptual_hash(image: &Image) -> Result<Option<u64>, Error> {
    let small = resize(&without_alpha(to_8_bits(image.clone())), SIDE as u32, SIDE as u32)?;
    let Samples::U8(samples) = &small.samples else { return Ok(None) };
    let gray: Vec<f32> = match small.channels.colour_count() {
        1 => samples.iter().map(|sample| f32::from(*sample)).collect(),
        _ => samples.as_chunks::<3>().0.iter().map(luma).collect(),
    };
    let frequencies = cosine_transform(&gray);
    let mut values: Vec<f32> = low_frequencies().map(|(u, v)| frequencies[v * SIDE + u]).collect();
    let found: Vec<f32> = values.clone();
    values.sort_by(f32::total_cmp);
    if found.iter().all(|value| value.abs() < LEAST_STRUCTURE) {
        return Ok(None);
    }
    let middle = f32::midpoint(values[BITS / 2 - 1], values[BITS / 2]);
    Ok(Some(found.iter().fold(0, |hash, value| hash << 1 | u64::from(*value > middle))))
}

fn luma(rgb: &[u8; 3]) -> f32 {
    0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2])
}

/// The frequencies across and down, diagonal by diagonal, without the brightness of the whole.
fn low_frequencies() -> impl Iterator<Item = (usize, usize)> {
    (1..).flat_map(|sum| (0..=sum).map(move |v| (sum - v, v))).take(BITS)
}

/// The two-dimensional DCT-II of a square, orthonormal.
fn cosine_transform(square: &[f32]) -> Vec<f32> {
    let side = SIDE as f32;
    let waves: Vec<f32> = (0..SIDE * SIDE)
        .map(|index| {
            let (u, x) = ((index / SIDE) as f32, (index % SIDE) as f32);
            let scale = if u == 0.0 { (1.0 / side).sqrt() } else { (2.0 / side).sqrt() };
            scale * (std::f32::consts::PI * u * (x + 0.5) / side).cos()
        })
        .collect();
    // Along the rows, each result becoming a column: twice that is both directions.
    let pass = |square: &[f32]| -> Vec<f32> {
        let mut out = vec![0.0; SIDE * SIDE];
        for (y, row) in square.chunks_exact(SIDE).enumerate() {
            for (u, wave) in waves.chunks_exact(SIDE).enumerate() {
                out[u * SIDE + y] = row.iter().zip(wave).map(|(sample, wave)| sample * wave).sum();
            }
        }
        out
    };
    pass(&pass(square))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::{
        Channels, EncodeOptions, Format, Limits, Options, Subsampling, decode_bytes, encode,
    };

    /// Hills, a sun and some grain, different for every seed.
    fn scene(seed: u32, width: u32, height: u32) -> Image {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            f64::from(state) / f64::from(u32::MAX)
        };
        let waves: Vec<[f64; 4]> = (0..6)
            .map(|_| [random() * 7.0 - 3.5, random() * 7.0 - 3.5, random() * 6.3, 12.0 + random() * 26.0])
            .collect();
        let (sun_x, sun_y, sun_r) = (random(), random(), 0.05 + random() * 0.1);
        let mut samples = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (fx, fy) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
                let mut value = 120.0;
                for [across, down, phase, strength] in &waves {
                    value += strength * (6.283 * (across * fx + down * fy) + phase).sin();
                }
                if (fx - sun_x).hypot(fy - sun_y) < sun_r {
                    value += 70.0;
                }
                let grain = f64::from((x * 7919 + y * 104_729 + seed) % 13) - 6.0;
                samples.extend([value + grain, value * 0.9 + grain, 220.0 - value].map(|v| v as u8));
            }
        }
        Image { width, height, channels: Channels::Rgb, samples: Samples::U8(samples) }
    }

    fn hash(image: &Image) -> u64 {
        perceptual_hash(image).expect("it can be resized").expect("it has structure")
    }

    fn distance(a: &Image, b: &Image) -> u32 {
        (hash(a) ^ hash(b)).count_ones()
    }

    #[test]
    fn copies_are_near() {
        for seed in 1..9 {
            let original = scene(seed, 240, 180);
            for (width, height) in [(160, 120), (97, 73), (400, 300)] {
                let resized = resize(&original, width, height).expect("it fits");
                assert!(distance(&original, &resized) <= 6, "{seed} at {width} x {height}");
            }
            for quality in [30, 60, 90] {
                let subsampling = Subsampling::Half;
                let options = EncodeOptions { quality, subsampling, ..EncodeOptions::new(Format::Jpeg) };
                let bytes = encode(&original, &options).expect("it can be encoded");
                let again = decode_bytes(&bytes, &Options::held(Limits::default())).expect("it is one").image;
                assert!(distance(&original, &again) <= 6, "{seed} at quality {quality}");
            }
            let Samples::U8(samples) = &original.samples else { panic!("it has 8 bits") };
            let brighter = samples.iter().map(|sample| sample.saturating_add(12)).collect();
            let brighter = Image { samples: Samples::U8(brighter), ..original.clone() };
            assert!(distance(&original, &brighter) <= 6, "{seed} brighter");
        }
    }

    #[test]
    fn other_pictures_are_far() {
        let scenes: Vec<_> = (1..60).map(|seed| hash(&scene(seed, 160, 120))).collect();
        for (index, first) in scenes.iter().enumerate() {
            for second in &scenes[index + 1..] {
                assert!((first ^ second).count_ones() > 14);
            }
        }
    }

    #[test]
    fn an_empty_page_has_none() {
        for channels in [Channels::Gray, Channels::Rgba] {
            let samples = Samples::U8(vec![250; 50 * 40 * channels.count()]);
            let page = Image { width: 50, height: 40, channels, samples };
            assert_eq!(perceptual_hash(&page).expect("it can be resized"), None);
        }
    }
}
