//! Local contrast: histogram equalisation in tiles with a low limit to the contrast gained (Zuiderveld's CLAHE, 1994),
//! mixed with the picture. A matter of taste, so it is in no preset.

use rayon::prelude::*;

use super::Verdict;
use super::canvas::{Canvas, Origin, Sample, Ticker, luma_of};
use crate::engine::Error;

/// Tiles along the longer side.
const TILES: usize = 8;
/// A bin may hold this many times the mean, which limits the slope of the curves.
const CLIP: f32 = 1.2;
/// Bins of the curves; one more point ends the last.
const BINS: usize = 256;

type Curve = [f32; BINS + 1];

/// The curves of the tiles of a picture.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    curves: Vec<Curve>,
    /// Side of a tile in pixels.
    side: usize,
    across: usize,
    down: usize,
}

/// Reads the curves from the whole picture.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let (width, height) = (canvas.width, canvas.height);
    let side = (width.max(height) / TILES).max(32);
    let (across, down) = (width.div_ceil(side), height.div_ceil(side));
    let curves: Vec<Curve> = (0..across * down)
        .into_par_iter()
        .map(|tile| curve_of(canvas, tile % across * side, tile / across * side, side))
        .collect();
    ticker.check()?;
    let gain = curves
        .iter()
        .flat_map(|curve| {
            curve.iter().enumerate().map(|(i, value)| (value - i as f32 * 255.0 / BINS as f32).abs())
        })
        .fold(0.0f32, f32::max);
    if gain < 1.0 {
        let verdict = Verdict::skipped("The picture has no detail to bring out.");
        return Ok((verdict.with("largest_change", f64::from(gain)), None));
    }
    let verdict = Verdict::applied("Detail was brought out as far as you asked.")
        .with("largest_change", f64::from(gain * strength));
    Ok((verdict, Some(Plan { curves, side, across, down })))
}

/// Brings out the detail of a picture, or of the part of it that begins at `origin`.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    Plan { curves, side, across, down }: &Plan,
    strength: f32,
    origin: Origin,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let (side, across, down) = (*side, *across, *down);
    // Tiles' curves are mixed by the distance to the tiles' centres.
    let place = |position: usize, count: usize| {
        let place = ((position as f32 + 0.5) / side as f32 - 0.5).clamp(0.0, (count - 1) as f32);
        let first = place as usize;
        (first, (first + 1).min(count - 1), place - first as f32)
    };
    let columns: Vec<(usize, usize, f32)> = (0..canvas.width).map(|x| place(x + origin.x, across)).collect();
    canvas.in_strips(
        0,
        ticker,
        || (),
        |(), strip| {
            let (colours, pixel_len) = (strip.channels.colour_count(), strip.channels.count());
            for y in strip.start..strip.end {
                let (above, below, v) = place(y + origin.y, down);
                let row = strip.row_mut(y);
                for (pixel, &(left, right, u)) in row.chunks_exact_mut(pixel_len).zip(&columns) {
                    let luma = luma_of(pixel, colours);
                    let position = luma * (BINS as f32 / 255.0);
                    let bin = (position as usize).min(BINS - 1);
                    let share = position - bin as f32;
                    let read =
                        |tile: usize| curves[tile][bin] * (1.0 - share) + curves[tile][bin + 1] * share;
                    let upper = read(above * across + left) * (1.0 - u) + read(above * across + right) * u;
                    let lower = read(below * across + left) * (1.0 - u) + read(below * across + right) * u;
                    let delta = (upper * (1.0 - v) + lower * v - luma) * strength;
                    for sample in &mut pixel[..colours] {
                        *sample = T::put(sample.get() + delta);
                    }
                }
            }
            Ok(())
        },
    )
}

/// The curve of a tile: the running sum of its clipped histogram, on the scale of 0..=255.
fn curve_of<T: Sample>(canvas: &Canvas<'_, T>, left: usize, top: usize, side: usize) -> Curve {
    let mut histogram = [0.0f32; BINS];
    let (right, bottom) = ((left + side).min(canvas.width), (top + side).min(canvas.height));
    for y in top..bottom {
        for x in left..right {
            let bin = canvas.luma(x, y) * (BINS as f32 / 255.0);
            histogram[(bin as usize).min(BINS - 1)] += 1.0;
        }
    }
    let count = ((right - left) * (bottom - top)) as f32;
    let limit = CLIP * count / BINS as f32;
    let excess: f32 = histogram.iter().map(|&bin| (bin - limit).max(0.0)).sum();
    let mut curve = [0.0; BINS + 1];
    let mut sum = 0.0;
    for (bin, value) in histogram.iter().enumerate() {
        sum += value.min(limit) + excess / BINS as f32;
        curve[bin + 1] = sum / count * 255.0;
    }
    curve
}
