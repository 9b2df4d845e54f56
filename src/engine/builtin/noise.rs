//! What the noise of a picture looks like: its spectrum, read from the quietest blocks.
//!
//! High-pass estimators are blind to film grain, whose power lies in low frequencies, so the spectrum is measured
//! per DCT coefficient: the spread of each coefficient over the quietest few percent of all 8 x 8 blocks.

use rayon::prelude::*;

use super::canvas::{Canvas, Sample};
use super::dct::{self, LANES};
use super::sliding::Space;
use crate::engine::Mask;

/// At most this many blocks are looked at.
const MAX_BLOCKS: usize = 40_000;
/// Fewer quiet blocks than this say nothing.
const MIN_BLOCKS: usize = 40;
/// Share of the blocks that count as quiet.
const QUIET: f32 = 0.08;
/// Choosing the quietest blocks chooses those where the noise happens to be weak; this makes up for it.
const BIAS: f32 = 1.15;

/// The noise of one plane.
#[derive(Debug, Clone)]
pub(super) struct Spectrum {
    /// Standard deviation of the noise per coefficient, `8 * v + u`; 0 for the mean.
    pub(super) sigma: [f32; 64],
    /// Standard deviation of the noise of a sample, on the scale of 0..=255.
    pub(super) level: f32,
    /// How sharp the floor of the blocks' energies is. About 0.6 for noise, which is the same everywhere; well below
    /// for texture, which is not.
    pub(super) floor: f32,
}

struct Block {
    coefficients: [f32; 64],
    /// Mean of the first plane.
    mean: f32,
}

/// Measures the planes of a picture; none where too little of it can be used.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    space: Space,
    mask: Option<&Mask>,
) -> [Option<Spectrum>; 3] {
    let planes = space.planes();
    if canvas.width < 8 || canvas.height < 8 {
        return [None, None, None];
    }
    // Odd, so that the blocks meet a former JPEG grid in every position.
    let area = (canvas.width * canvas.height) as f32;
    let step = ((area / MAX_BLOCKS as f32).sqrt().ceil() as usize).max(3) | 1;
    let xs: Vec<usize> = (0..=canvas.width - 8).step_by(step).collect();
    let rows: Vec<[Vec<Block>; 3]> = (0..=canvas.height - 8)
        .step_by(step)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|y| row_of_blocks(canvas, space, mask, &xs, y))
        .collect();
    let mut all: [Vec<Block>; 3] = Default::default();
    for row in rows {
        for (all, blocks) in all.iter_mut().zip(row) {
            all.extend(blocks);
        }
    }
    let mut measured = [None, None, None];
    for (plane, blocks) in all.iter().enumerate().take(planes) {
        measured[plane] = spectrum(blocks);
    }
    measured
}

/// The usable blocks of one row of blocks, transformed.
fn row_of_blocks<T: Sample>(
    canvas: &Canvas<'_, T>,
    space: Space,
    mask: Option<&Mask>,
    xs: &[usize],
    y: usize,
) -> [Vec<Block>; 3] {
    let colours = canvas.channels.colour_count();
    let mut found: [Vec<Block>; 3] = Default::default();
    let usable: Vec<usize> = xs.iter().copied().filter(|&x| is_usable(canvas, colours, mask, x, y)).collect();
    for chunk in usable.chunks(LANES) {
        let mut planes = [[[[0.0; LANES]; 8]; 8]; 3];
        for (lane, &x) in chunk.iter().enumerate() {
            for (plane, blocks) in planes.iter_mut().enumerate().take(space.planes()) {
                dct::fill_lane(blocks, lane, |v, u| {
                    space.split(&canvas.pixel(x + u, y + v)[..colours])[plane]
                });
            }
        }
        let mut means = [0.0; LANES];
        for (plane, blocks) in planes.iter_mut().enumerate().take(space.planes()) {
            dct::forward_blocks(blocks);
            if plane == 0 {
                means = blocks[0][0];
            }
            for lane in 0..chunk.len() {
                let coefficients: [f32; 64] = std::array::from_fn(|i| blocks[i / 8][i % 8][lane]);
                // Flat paper and clipped areas carry no noise to measure.
                let power: f32 = coefficients[1..].iter().map(|c| c * c).sum();
                if plane == 0 && power < 64.0 * 0.09 * space.planes() as f32 {
                    continue;
                }
                found[plane].push(Block { coefficients, mean: means[lane] });
            }
        }
    }
    found
}

/// Whether a block is undamaged and not clipped.
fn is_usable<T: Sample>(
    canvas: &Canvas<'_, T>,
    colours: usize,
    mask: Option<&Mask>,
    x: usize,
    y: usize,
) -> bool {
    let mut clipped = 0;
    for v in 0..8 {
        for u in 0..8 {
            if mask.is_some_and(|mask| mask.is_damaged((y + v) * canvas.width + x + u)) {
                return false;
            }
            let pixel = &canvas.pixel(x + u, y + v)[..colours];
            clipped +=
                usize::from(pixel.iter().any(|sample| sample.index() == 0 || sample.index() == T::MAX));
        }
    }
    clipped <= 3
}

fn spectrum(blocks: &[Block]) -> Option<Spectrum> {
    if blocks.len() < MIN_BLOCKS {
        return None;
    }
    let mut energies: Vec<(f32, usize)> = blocks
        .par_iter()
        .enumerate()
        .map(|(index, block)| (trimmed_energy(&block.coefficients), index))
        .collect();
    energies.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let floor = floor_sharpness(blocks, &energies);
    let count = ((blocks.len() as f32 * QUIET) as usize).max(MIN_BLOCKS);
    let quiet = &energies[..count];
    let mut sigma = [0.0f32; 64];
    for &(_, index) in quiet {
        let block = &blocks[index];
        for (sum, c) in sigma.iter_mut().zip(&block.coefficients) {
            *sum += c * c;
        }
    }
    for value in &mut sigma {
        *value = (*value / count as f32).sqrt();
    }
    sigma[0] = 0.0;
    limit_low_frequencies(&mut sigma);
    for value in &mut sigma {
        *value *= BIAS;
    }
    let level = (sigma.iter().map(|s| s * s).sum::<f32>() / 63.0).sqrt();
    Some(Spectrum { sigma, level, floor })
}

/// Energy at the 2 % quantile over that at the 20 % quantile, among blocks of like brightness: the median of five
/// classes of brightness, because noise may depend on brightness.
fn floor_sharpness(blocks: &[Block], energies: &[(f32, usize)]) -> f32 {
    const CLASSES: usize = 5;
    let mut by_mean: Vec<(f32, f32)> =
        energies.iter().map(|&(energy, index)| (blocks[index].mean, energy)).collect();
    by_mean.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut ratios: Vec<f32> = by_mean
        .chunks(by_mean.len().div_ceil(CLASSES))
        .map(|class| {
            let mut energies: Vec<f32> = class.iter().map(|&(_, energy)| energy).collect();
            energies.sort_unstable_by(f32::total_cmp);
            let quantile = |share: f32| energies[((energies.len() - 1) as f32 * share) as usize];
            quantile(0.02) / quantile(0.2).max(1e-6)
        })
        .collect();
    ratios.sort_unstable_by(f32::total_cmp);
    ratios[ratios.len() / 2]
}

/// Mean power of the middle and high frequencies without their largest quarter, which may be an edge.
fn trimmed_energy(coefficients: &[f32; 64]) -> f32 {
    let mut power: Vec<f32> =
        (0..64).filter(|i| i / 8 + i % 8 >= 2).map(|i| coefficients[i] * coefficients[i]).collect();
    let kept = power.len() * 3 / 4;
    power.select_nth_unstable_by(kept, f32::total_cmp);
    power[..kept].iter().sum::<f32>() / kept as f32
}

/// The lowest frequencies carry picture even in quiet blocks: caps them by what the middle ones show.
fn limit_low_frequencies(sigma: &mut [f32; 64]) {
    let order = |i: usize| i / 8 + i % 8;
    let mut high: Vec<f32> = (0..64).filter(|&i| order(i) >= 3).map(|i| sigma[i]).collect();
    high.sort_unstable_by(f32::total_cmp);
    let middle: Vec<f32> = (0..64).filter(|&i| (3..=4).contains(&order(i))).map(|i| sigma[i]).collect();
    let limit = 2.2 * high[high.len() / 2].max(middle.iter().sum::<f32>() / middle.len() as f32);
    for i in (1..64).filter(|&i| order(i) <= 2) {
        sigma[i] = sigma[i].min(limit);
    }
}
