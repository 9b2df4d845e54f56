//! Quantisation tables of a JPEG file that is gone: read from the pixels it left.
//!
//! In a picture that was a JPEG file, the coefficients of the file's own 8 x 8 blocks lie at multiples of the
//! quantisation steps, blurred a little by rounding to 8 bits. Moved off the file's grid they don't.

use rayon::prelude::*;

use super::canvas::{Canvas, Sample};
use super::dct::{self, LANES};
use crate::engine::JpegTables;

/// The example tables of the JPEG standard (ITU-T T.81, annex K), which most encoders scale.
const LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17,
    22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78,
    87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const CHROMA: [u16; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// Blocks looked at for each of the 64 positions of the grid.
const PROBES: usize = 600;
/// Blocks looked at for the steps.
const SAMPLES: usize = 6_000;

/// What the pixels tell.
#[derive(Debug, Clone)]
pub(super) struct Traces {
    /// The tables, if there are traces of any.
    pub(super) tables: Option<JpegTables>,
    /// Share of vanishing coefficients at the grid minus that off the grid.
    pub(super) grid: f32,
    /// Coefficients whose step could be read.
    pub(super) steps_read: usize,
}

/// Quality on libjpeg's scale that a luma table comes nearest to, 1..=100.
pub(super) fn quality(luma: &[u16; 64]) -> f32 {
    let (sum, standard) = luma
        .iter()
        .zip(&LUMA)
        .fold((0.0, 0.0), |(a, b), (&step, &standard)| (a + f32::from(step), b + f32::from(standard)));
    let scale = 100.0 * sum / standard;
    let quality = if scale <= 100.0 { (200.0 - scale) / 2.0 } else { 5000.0 / scale };
    quality.clamp(1.0, 100.0)
}

/// A standard table as libjpeg scales it for a quality.
fn scaled(table: &[u16; 64], quality: u16) -> [u16; 64] {
    let scale = if quality < 50 { 5000 / u32::from(quality) } else { 200 - 2 * u32::from(quality) };
    table.map(|step| ((u32::from(step) * scale + 50) / 100).clamp(1, 255) as u16)
}

/// Looks for traces of a JPEG file.
pub(super) fn find<T: Sample>(canvas: &Canvas<'_, T>) -> Traces {
    let nothing = Traces { tables: None, grid: 0.0, steps_read: 0 };
    if canvas.width < 24 || canvas.height < 24 {
        return nothing;
    }
    let vanishing: Vec<f32> = (0..64usize)
        .into_par_iter()
        .map(|offset| {
            let blocks = blocks_at(canvas, offset / 8, offset % 8, PROBES);
            let zeros: usize = blocks
                .iter()
                .map(|block| (0..64).filter(|i| i / 8 + i % 8 >= 3 && block[*i].abs() < 0.7).count())
                .sum();
            zeros as f32 / (blocks.len().max(1) * 58) as f32
        })
        .collect();
    let best = (0..64).max_by(|&a, &b| vanishing[a].total_cmp(&vanishing[b])).unwrap_or(0);
    // Neighbours along an axis share half of the grid; the others are the background.
    let mut others: Vec<f32> =
        (0..64).filter(|&i| i / 8 != best / 8 && i % 8 != best % 8).map(|i| vanishing[i]).collect();
    others.sort_unstable_by(f32::total_cmp);
    let (middle, top) = (others[others.len() / 2], others[others.len() - 1]);
    let grid = vanishing[best] - middle;
    if grid < 0.03 || vanishing[best] < top + 0.3 * grid {
        return Traces { grid, ..nothing };
    }
    let blocks = blocks_at(canvas, best / 8, best % 8, SAMPLES);
    let steps: Vec<Option<u16>> = (0..64usize).into_par_iter().map(|i| step_of(&blocks, i)).collect();
    let known: Vec<(usize, u16)> =
        steps.iter().enumerate().skip(1).filter_map(|(i, step)| step.map(|step| (i, step))).collect();
    if known.len() < 3 {
        return Traces { grid, steps_read: known.len(), ..nothing };
    }
    let (luma, chroma) = complete(&known);
    let chroma = canvas.has_colour().then_some(chroma);
    let tables = JpegTables { luma, chroma, chroma_scale: (2, 2) };
    Traces { tables: Some(tables), grid, steps_read: known.len() }
}

/// Brightness of up to `count` blocks of the grid that starts at (`dx`, `dy`), transformed. Clipped blocks are left out: there
/// the coefficients have moved.
fn blocks_at<T: Sample>(canvas: &Canvas<'_, T>, dy: usize, dx: usize, count: usize) -> Vec<[f32; 64]> {
    let (across, down) = ((canvas.width - dx) / 8, (canvas.height - dy) / 8);
    let total = across * down;
    // A step that is no multiple of the blocks in a row, so that all columns are visited.
    let mut step = total.div_ceil(count).max(1);
    if step > 1 && step % across == 0 {
        step += 1;
    }
    let colours = canvas.channels.colour_count();
    let mut found = Vec::with_capacity(count);
    let indices: Vec<usize> = (0..total).step_by(step).collect();
    for chunk in indices.chunks(LANES) {
        let mut blocks = [[[0.0; LANES]; 8]; 8];
        let mut clipped = [0; LANES];
        for (lane, index) in chunk.iter().enumerate() {
            let (x, y) = (dx + index % across * 8, dy + index / across * 8);
            dct::fill_lane(&mut blocks, lane, |v, u| {
                let pixel = &canvas.pixel(x + u, y + v)[..colours];
                clipped[lane] += usize::from(pixel.iter().any(|s| s.index() == 0 || s.index() == T::MAX));
                canvas.luma(x + u, y + v)
            });
        }
        dct::forward_blocks(&mut blocks);
        for lane in (0..chunk.len()).filter(|&lane| clipped[lane] <= 1) {
            let block: [f32; 64] = std::array::from_fn(|i| blocks[i / 8][i % 8][lane]);
            // Plain areas vanish on any grid.
            if block[1..].iter().any(|c| c.abs() > 4.0) {
                found.push(block);
            }
        }
    }
    found
}

/// The largest step at whose multiples a coefficient lies, if it is seen often enough.
fn step_of(blocks: &[[f32; 64]], index: usize) -> Option<u16> {
    let values: Vec<f32> =
        blocks.iter().map(|block| block[index].abs()).filter(|&value| value > 1.5).collect();
    if values.len() < 16 {
        return None;
    }
    (3u16..=200).rev().find(|&step| {
        let step = f32::from(step);
        let (mut comb, mut count) = (0.0, 0);
        for &value in values.iter().filter(|&&value| value > 0.4 * step) {
            comb += (std::f32::consts::TAU * value / step).cos();
            count += 1;
        }
        // Nearly all that is not zero has to be a multiple.
        count >= 12 && count * 10 >= values.len() * 9 && comb / count as f32 > 0.75
    })
}

/// Fills the steps that could not be read from the nearest standard table.
fn complete(known: &[(usize, u16)]) -> ([u16; 64], [u16; 64]) {
    let distance = |table: &[u16; 64]| -> f32 {
        known.iter().map(|&(i, step)| (f32::from(step) / f32::from(table[i])).ln().abs().min(0.7)).sum()
    };
    let nearest = (2..=98u16)
        .map(|quality| (quality, distance(&scaled(&LUMA, quality))))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(50, |(quality, _)| quality);
    let mut luma = scaled(&LUMA, nearest);
    let hits = known.iter().filter(|&&(i, step)| luma[i].abs_diff(step) <= 1).count();
    if hits * 10 < known.len() * 7 {
        // Not a standard table: believe what was read.
        for &(i, step) in known {
            luma[i] = step;
        }
    }
    (luma, scaled(&CHROMA, nearest))
}
