//! A picture through a network, tile by tile: each is seen with a halo of its neighbours, whose result is thrown away,
//! and what is left of two neighbours may be blended into each other. Memory grows with a row of tiles, not with what
//! the network keeps.
//!
//! Networks of convolutions see no further than their halo, and the result is what the whole picture would have given.
//! Those with attention see everything: for them a blend hides what is left.

use rayon::prelude::*;

use super::folder::{Planes, Spec};
use super::network::Network;
use super::rgb;
use crate::engine::CancellationToken;
use crate::imaging::{self, Channels, Image, Samples};

/// How much a network keeps for each pixel of a tile, about: some layers of 64 channels, and one of them enlarged.
const BYTES_PER_PIXEL: u64 = 4 * 64 * 4;
const BYTES_PER_ENLARGED_PIXEL: u64 = 64 * 4;

/// Why a picture did not come through.
#[derive(Debug)]
pub(super) enum Error {
    Cancelled,
    Picture(imaging::Error),
    Network(String),
}

/// Bytes that a picture takes on its way, about.
pub(super) fn working_bytes(width: u32, height: u32, spec: &Spec, threads: usize) -> u64 {
    let (width, height, scale) = (u64::from(width), u64::from(height), u64::from(spec.scale));
    let area = scale * scale;
    let pixels = width.saturating_mul(height);
    let band = width * u64::from(spec.tile) * area * 12;
    let tile =
        u64::from(spec.tile) * u64::from(spec.tile) * (BYTES_PER_PIXEL + area * BYTES_PER_ENLARGED_PIXEL);
    let tiles = tile * threads as u64;
    // The picture, the result, and the file that is made of it.
    pixels.saturating_mul(3 + area * 6).saturating_add(band).saturating_add(tiles)
}

/// A picture that is to come through.
pub(super) struct Whole<'a> {
    pub(super) spec: &'a Spec,
    pub(super) network: &'a dyn Network,
    pub(super) cancel: &'a CancellationToken,
    pub(super) threads: usize,
    pub(super) progress: &'a (dyn Fn(f32) + Sync),
}

/// Where the tiles of one direction begin, in pixels of the picture, halos not counted.
fn places(side: usize, core: usize, stride: usize) -> Vec<usize> {
    let mut places = vec![0];
    while places.last().is_some_and(|last| last + core < side) {
        places.push(places.len() * stride);
    }
    places
}

/// The share of a tile at each pixel of its core: rising where a neighbour goes before, falling where one follows.
fn shares(core: usize, stride: usize, is_first: bool, is_last: bool) -> Vec<f32> {
    let blend = core - stride;
    let ramp = |at: usize| (at as f32 + 0.5) / blend as f32;
    (0..core)
        .map(|at| {
            if !is_first && at < blend {
                ramp(at)
            } else if !is_last && at >= stride {
                1.0 - ramp(at - stride)
            } else {
                1.0
            }
        })
        .collect()
}

/// The pixel that stands for one outside of a picture: as in a mirror at its edge.
fn mirrored(at: isize, side: usize) -> usize {
    if side == 1 {
        return 0;
    }
    let period = 2 * (side as isize - 1);
    let at = at.rem_euclid(period);
    (if at < side as isize { at } else { period - at }) as usize
}

/// Brightness as BT.601 has it, 0 to 1.
fn luma(pixel: &[u8]) -> f32 {
    (0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2])) / 255.0
}

impl Whole<'_> {
    /// Gives the picture that the network makes of one, which has 8 bits and three channels.
    pub(super) fn run(&self, image: &Image) -> Result<Image, Error> {
        let samples = rgb(image)
            .ok_or_else(|| Error::Network("the picture has no three channels of 8 bits".to_owned()))?;
        let scale = self.spec.scale;
        let (width, height) = (image.width as usize, image.height as usize);
        let (wide, high) = (image.width.saturating_mul(scale), image.height.saturating_mul(scale));
        let mut result = match (self.spec.channels, scale) {
            // The colours stay as they were, however large.
            (Planes::Luma, 1) => samples.to_vec(),
            (Planes::Luma, _) => match imaging::resize(image, wide, high).map_err(Error::Picture)?.samples {
                Samples::U8(samples) => samples,
                Samples::U16(_) => return Err(Error::Network("the picture has 16 bits".to_owned())),
            },
            _ => vec![0; wide as usize * high as usize * 3],
        };
        self.rows(samples, (width, height), &mut result)?;
        Ok(Image { width: wide, height: high, channels: Channels::Rgb, samples: Samples::U8(result) })
    }

    fn rows(&self, samples: &[u8], (width, height): (usize, usize), result: &mut [u8]) -> Result<(), Error> {
        let (scale, planes) = (self.spec.scale as usize, self.spec.channels.count());
        let core = (self.spec.tile - 2 * self.spec.halo) as usize;
        let stride = core - self.spec.blend as usize;
        let (columns, rows) = (places(width, core, stride), places(height, core, stride));
        let total = (columns.len() * rows.len()) as f32;
        let wide = width * scale;
        let mut band = vec![0.0_f32; wide * core * scale * planes];
        let mut done = 0;
        for (row, top) in rows.iter().enumerate() {
            let is_last_row = row + 1 == rows.len();
            let down = shares(core * scale, stride * scale, row == 0, is_last_row);
            for some in columns.chunks(self.threads.max(1)) {
                if self.cancel.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                let tiles: Vec<Vec<f32>> = some
                    .par_iter()
                    .map(|left| self.network.run(&self.tile(samples, (width, height), *left, *top)))
                    .collect::<Result<_, _>>()
                    .map_err(Error::Network)?;
                for (left, tile) in some.iter().zip(&tiles) {
                    let across =
                        shares(core * scale, stride * scale, *left == 0, columns.last() == Some(left));
                    self.blend_in(tile, left * scale, (&across, &down), &mut band, wide);
                }
                done += some.len();
                (self.progress)(done as f32 / total);
            }
            let finished = if is_last_row { (height - top) * scale } else { stride * scale };
            let finished = finished.min((height - top) * scale);
            self.finish(&band, top * scale * wide, finished * wide, result)?;
            if !is_last_row {
                // What the next row is blended with comes to the top.
                let (from, plane) = (stride * scale * wide, wide * core * scale);
                for plane in band.chunks_exact_mut(plane) {
                    plane.copy_within(from.., 0);
                    let kept = plane.len() - from;
                    plane[kept..].fill(0.0);
                }
            }
        }
        Ok(())
    }

    /// What the network sees at a place.
    fn tile(&self, samples: &[u8], (width, height): (usize, usize), left: usize, top: usize) -> Vec<f32> {
        let Spec { tile, halo, channels, input_range: [black, white], mean, std, .. } = self.spec;
        let (side, halo) = (*tile as usize, *halo as isize);
        let mut numbers = vec![0.0; channels.count() * side * side];
        let columns: Vec<usize> =
            (0..side as isize).map(|x| mirrored(left as isize - halo + x, width)).collect();
        for y in 0..side {
            let row = mirrored(top as isize - halo + y as isize, height) * width;
            for (x, column) in columns.iter().enumerate() {
                let pixel = &samples[(row + column) * 3..][..3];
                for plane in 0..channels.count() {
                    let value = match channels {
                        Planes::Rgb => f32::from(pixel[plane]) / 255.0,
                        Planes::Bgr => f32::from(pixel[2 - plane]) / 255.0,
                        Planes::Luma => luma(pixel),
                    };
                    numbers[(plane * side + y) * side + x] =
                        (value * (white - black) + black - mean[plane]) / std[plane];
                }
            }
        }
        numbers
    }

    /// Adds a tile's share to the band that is being made.
    fn blend_in(
        &self,
        tile: &[f32],
        left: usize,
        (across, down): (&[f32], &[f32]),
        band: &mut [f32],
        wide: usize,
    ) {
        let scale = self.spec.scale as usize;
        let (side, halo) = (self.spec.tile as usize * scale, self.spec.halo as usize * scale);
        let visible = across.len().min(wide - left);
        for (plane, band) in band.chunks_exact_mut(wide * down.len()).enumerate() {
            for (y, share) in down.iter().enumerate() {
                let from = &tile[(plane * side + halo + y) * side + halo..][..visible];
                let to = &mut band[y * wide + left..][..visible];
                for ((to, from), across) in to.iter_mut().zip(from).zip(across) {
                    *to += from * share * across;
                }
            }
        }
    }

    /// Writes finished rows of the band into the result.
    fn finish(&self, band: &[f32], at: usize, count: usize, result: &mut [u8]) -> Result<(), Error> {
        let Spec { channels, output_range: [black, white], .. } = self.spec;
        let plane = band.len() / channels.count();
        let value = |index: usize| (band[index] - black) / (white - black);
        for (index, pixel) in result[at * 3..][..count * 3].as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let numbers = match channels {
                Planes::Rgb => [0, 1, 2].map(|of| value(of * plane + index)),
                Planes::Bgr => [2, 1, 0].map(|of| value(of * plane + index)),
                Planes::Luma => {
                    let change = value(index) - luma(pixel);
                    [0, 1, 2].map(|of| f32::from(pixel[of]) / 255.0 + change)
                }
            };
            if numbers.iter().any(|number| !number.is_finite()) {
                return Err(Error::Network(
                    "the network answered with something that is no number".to_owned(),
                ));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            {
                *pixel = numbers.map(|number| (number.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Step;

    fn spec(tile: u32, halo: u32, blend: u32, scale: u32, channels: Planes) -> Spec {
        Spec {
            title: "x".into(),
            description: String::new(),
            steps: vec![Step::Denoise],
            recreates: false,
            scale,
            tile,
            halo,
            blend,
            channels,
            input_range: [0.0, 1.0],
            output_range: [0.0, 1.0],
            mean: [0.0; 3],
            std: [1.0; 3],
        }
    }

    /// Blurs each plane by the mean of 3 x 3 pixels, twice: what a network with a halo of two does. Enlarges by
    /// repeating.
    struct Blur {
        side: usize,
        scale: usize,
    }

    fn blurred(from: &[f32], side: usize) -> Vec<f32> {
        let at = |y: usize, x: usize| {
            let mut sum = 0.0;
            for (dy, dx) in (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx))) {
                let (y, x) = ((y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                sum += if y < side && x < side { from[y * side + x] } else { 0.0 };
            }
            sum / 9.0
        };
        (0..side * side).map(|index| at(index / side, index % side)).collect()
    }

    impl Network for Blur {
        fn run(&self, tile: &[f32]) -> Result<Vec<f32>, String> {
            let (side, scale) = (self.side, self.scale);
            let mut numbers = Vec::new();
            for plane in tile.chunks_exact(side * side) {
                let plane = blurred(&blurred(plane, side), side);
                let large = side * scale;
                numbers.extend(
                    (0..large * large).map(|at| plane[at / large / scale * side + at % large / scale]),
                );
            }
            Ok(numbers)
        }
    }

    fn noise(width: u32, height: u32) -> Image {
        let mut state = 7_u32;
        let samples = (0..width * height * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Image { width, height, channels: Channels::Rgb, samples: Samples::U8(samples.collect()) }
    }

    fn through(spec: &Spec, network: &dyn Network, image: &Image, threads: usize) -> Result<Image, Error> {
        let cancel = CancellationToken::new();
        Whole { spec, network, cancel: &cancel, threads, progress: &|_| {} }.run(image)
    }

    #[test]
    fn tiles_with_their_halo_are_what_the_whole_would_have_been() {
        let image = noise(70, 41);
        let at_once = spec(128, 8, 0, 1, Planes::Rgb);
        let whole = through(&at_once, &Blur { side: 128, scale: 1 }, &image, 1).unwrap();
        for (tile, halo, blend, threads) in [(16, 2, 0, 1), (24, 4, 0, 3), (24, 4, 8, 2), (32, 8, 5, 2)] {
            let cut = spec(tile, halo, blend, 1, Planes::Rgb);
            let tiled = through(&cut, &Blur { side: tile as usize, scale: 1 }, &image, threads).unwrap();
            assert_eq!((tiled.width, tiled.height), (70, 41));
            let (Samples::U8(a), Samples::U8(b)) = (&whole.samples, &tiled.samples) else { panic!("8 bits") };
            let worst = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            // A blend of two equal numbers may round to the other side.
            assert!(worst <= u8::from(blend > 0), "{tile} {halo} {blend}: {worst}");
        }
        let small = spec(16, 0, 0, 1, Planes::Rgb);
        let tiled = through(&small, &Blur { side: 16, scale: 1 }, &image, 1).unwrap();
        assert_ne!(tiled.samples, whole.samples, "without a halo there are seams");
    }

    #[test]
    fn pictures_of_any_size_are_enlarged_in_every_order_of_channels() {
        for (width, height) in [(1, 1), (3, 200), (33, 17)] {
            for channels in [Planes::Rgb, Planes::Bgr, Planes::Luma] {
                let spec = spec(32, 4, 4, 2, channels);
                let mut image = noise(width, height);
                image.samples = Samples::U8([10, 100, 200].repeat((width * height) as usize));
                let large = through(&spec, &Blur { side: 32, scale: 2 }, &image, 2).unwrap();
                assert_eq!((large.width, large.height), (width * 2, height * 2));
                let Samples::U8(samples) = &large.samples else { panic!("8 bits") };
                assert!(
                    samples
                        .as_chunks::<3>()
                        .0
                        .iter()
                        .all(|pixel| pixel.iter().zip([10, 100, 200]).all(|(a, b)| a.abs_diff(b) <= 1)),
                    "{width} {height} {channels:?}"
                );
            }
        }
    }

    #[test]
    fn shares_of_neighbours_make_a_whole() {
        let (core, stride) = (20, 14);
        let (first, middle) = (shares(core, stride, true, false), shares(core, stride, false, false));
        for at in 0..core - stride {
            assert!((first[stride + at] + middle[at] - 1.0).abs() < 1e-6);
            assert!((middle[stride + at] + middle[at] - 1.0).abs() < 1e-6);
        }
        assert!(shares(core, stride, true, true).iter().all(|share| *share == 1.0));
        assert_eq!(places(50, 20, 14), [0, 14, 28, 42]);
        assert_eq!(places(20, 20, 14), [0]);
        assert_eq!([-3, -1, 0, 4, 5, 9].map(|at| mirrored(at, 5)), [3, 1, 0, 4, 3, 1]);
    }

    #[test]
    fn what_is_no_number_and_what_is_cancelled_ends_with_an_error() {
        struct Nothing;
        impl Network for Nothing {
            fn run(&self, tile: &[f32]) -> Result<Vec<f32>, String> {
                Ok(vec![f32::NAN; tile.len()])
            }
        }
        let (spec, image) = (spec(16, 2, 0, 1, Planes::Rgb), noise(20, 20));
        assert!(matches!(through(&spec, &Nothing, &image, 1), Err(Error::Network(_))));
        let cancel = CancellationToken::new();
        cancel.cancel();
        let whole = Whole { spec: &spec, network: &Nothing, cancel: &cancel, threads: 1, progress: &|_| {} };
        assert!(matches!(whole.run(&image), Err(Error::Cancelled)));
    }
}
