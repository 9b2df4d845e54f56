//! Damage that was marked, or else found, filled from what surrounds it.
//!
//! First from the rim inwards, layer by layer, each pixel from the known ones near it. Then refined as a sparse
//! signal (after Guleryuz, 2006): all blocks of 8 x 8 that touch the damage are transformed, small coefficients are
//! cut off, and the marked pixels take what comes back, with a threshold that falls from pass to pass. That carries
//! edges and texture across a scratch, which averaging can't.

use std::sync::Arc;

use multiversion::multiversion;
use rayon::prelude::*;

use super::canvas::{Canvas, Sample, Ticker, mirror};
use super::damage::{self, Found};
use super::dct::{self, Blocks, LANES};
use super::sliding::Space;
use super::{Known, Verdict};
use crate::engine::{Error, Mask};

/// How far a pixel of the first filling looks for known ones.
const REACH: isize = 4;
/// Side of the tiles that are refined on their own, and how much they see around them.
const TILE: usize = 64;
const MARGIN: usize = 16;
const SIDE: usize = TILE + 2 * MARGIN;
/// Passes of the refinement.
const PASSES: usize = 16;
/// Thresholds of the first and the last pass.
const FIRST: f32 = 120.0;
const LAST: f32 = 10.0;

/// State of a pixel while the layers are built.
const KNOWN: u8 = 0;
const QUEUED: u8 = 1;
const UNKNOWN: u8 = 2;

/// How far away what is seen of a pixel may come from, as long as damage is no wider.
pub(super) const SEEN: usize = TILE + MARGIN;

/// Where the picture is damaged.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) mask: Arc<Mask>,
}

/// Looks for damage in the whole picture, unless somebody has marked it.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let (mask, found) = match &known.mask {
        Some(mask) => (Arc::clone(mask), None),
        None => {
            let Found { mask, pieces, sure, confidence, damaged } =
                damage::detect(canvas, &|| ticker.check())?;
            (Arc::new(mask), Some((pieces, sure, confidence, damaged)))
        }
    };
    let marked = mask.samples.iter().filter(|&&sample| sample >= 128).count();
    let pixels = mask.samples.len();
    let share = marked as f64 / pixels as f64;
    let report = |verdict: Verdict| {
        let verdict = verdict.with("marked_share", share).with("marked_pixels", marked as f64);
        match found {
            Some((pieces, sure, confidence, _)) => verdict
                .with("found", pieces as f64)
                .with("beyond_doubt", sure as f64)
                .with("confidence", f64::from(confidence)),
            None => verdict,
        }
    };
    if found.is_some_and(|(.., damaged)| !damaged) {
        return Ok((report(Verdict::skipped("No damage is marked, and none is plain to see.")), None));
    }
    if marked == 0 {
        return Ok((report(Verdict::skipped("No damage is marked.")), None));
    }
    if marked == pixels {
        let why = "The whole picture is marked; there is nothing left to fill it from.";
        return Ok((report(Verdict::skipped(why)), None));
    }
    let verdict = report(Verdict::applied(if found.is_some() {
        "Scratches and dust were found and filled from what surrounds them."
    } else {
        "The marked damage was filled from what surrounds it."
    }));
    Ok((verdict, Some(Plan { mask })))
}

/// Fills the damage of a picture, or of a part of it that begins at a tile's corner; `mask` is of the canvas's size.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    mask: &[u8],
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let mut state: Vec<u8> = mask.iter().map(|&sample| if sample >= 128 { UNKNOWN } else { KNOWN }).collect();
    let damaged = (strength < 1.0).then(|| copy_marked(canvas, mask));
    fill_from_rim(canvas, &mut state, ticker)?;
    refine(canvas, mask, ticker)?;
    if let Some(damaged) = damaged {
        blend(canvas, mask, &damaged, strength);
    }
    Ok(())
}

/// The colour samples of the marked pixels, in order.
fn copy_marked<T: Sample>(canvas: &Canvas<'_, T>, mask: &[u8]) -> Vec<T> {
    let colours = canvas.channels.colour_count();
    let pixels = canvas.samples.chunks_exact(canvas.pixel_len());
    pixels
        .zip(mask)
        .filter(|(_, m)| **m >= 128)
        .flat_map(|(pixel, _)| pixel[..colours].iter().copied())
        .collect()
}

/// Mixes the damage back in.
fn blend<T: Sample>(canvas: &mut Canvas<'_, T>, mask: &[u8], damaged: &[T], strength: f32) {
    let colours = canvas.channels.colour_count();
    let pixel_len = canvas.pixel_len();
    let marked = canvas.samples.chunks_exact_mut(pixel_len).zip(mask).filter(|(_, m)| **m >= 128);
    for ((pixel, _), before) in marked.zip(damaged.chunks_exact(colours)) {
        for (sample, before) in pixel.iter_mut().zip(before) {
            *sample = T::put(sample.get() * strength + before.get() * (1.0 - strength));
        }
    }
}

/// Fills layer by layer. Within a layer no pixel looks at another, so a layer is computed in parallel.
fn fill_from_rim<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    state: &mut [u8],
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let (width, height) = (canvas.width, canvas.height);
    let neighbours = |index: usize| {
        let (x, y) = (index % width, index / width);
        let around = [
            (x > 0).then(|| index - 1),
            (x + 1 < width).then(|| index + 1),
            (y > 0).then(|| index - width),
            (y + 1 < height).then(|| index + width),
        ];
        around.into_iter().flatten()
    };
    let mut layer: Vec<usize> = (0..state.len())
        .into_par_iter()
        .with_min_len(1 << 16)
        .filter(|&index| state[index] == UNKNOWN && neighbours(index).any(|n| state[n] == KNOWN))
        .collect();
    for &index in &layer {
        state[index] = QUEUED;
    }
    let colours = canvas.channels.colour_count();
    let pixel_len = canvas.pixel_len();
    while !layer.is_empty() {
        ticker.check()?;
        let values: Vec<[T; 3]> =
            layer.par_iter().with_min_len(256).map(|&index| mean_of_known(canvas, state, index)).collect();
        for (&index, value) in layer.iter().zip(values) {
            canvas.samples[index * pixel_len..][..colours].copy_from_slice(&value[..colours]);
        }
        let mut next = Vec::new();
        for &index in &layer {
            state[index] = KNOWN;
            for neighbour in neighbours(index) {
                if state[neighbour] == UNKNOWN {
                    state[neighbour] = QUEUED;
                    next.push(neighbour);
                }
            }
        }
        layer = next;
    }
    Ok(())
}

/// Mean of the known pixels within reach, near ones weighing more.
fn mean_of_known<T: Sample>(canvas: &Canvas<'_, T>, state: &[u8], index: usize) -> [T; 3] {
    let (x, y) = ((index % canvas.width) as isize, (index / canvas.width) as isize);
    let mut sums = [0.0f32; 3];
    let mut total = 0.0;
    for v in (y - REACH).max(0)..=(y + REACH).min(canvas.height as isize - 1) {
        for u in (x - REACH).max(0)..=(x + REACH).min(canvas.width as isize - 1) {
            let square = ((u - x) * (u - x) + (v - y) * (v - y)) as f32;
            if square <= (REACH * REACH) as f32 && state[v as usize * canvas.width + u as usize] == KNOWN {
                let weight = 1.0 / (square * square);
                total += weight;
                for (sum, sample) in sums.iter_mut().zip(canvas.pixel(u as usize, v as usize)) {
                    *sum += weight * sample.get();
                }
            }
        }
    }
    sums.map(|sum| T::put(sum / total))
}

/// Refines tile by tile. Tiles lie on a fixed grid and see each other as they were, so their order does not matter.
fn refine<T: Sample>(canvas: &mut Canvas<'_, T>, mask: &[u8], ticker: &Ticker<'_>) -> Result<(), Error> {
    let (width, height) = (canvas.width, canvas.height);
    let tiles: Vec<(usize, usize)> = (0..height)
        .step_by(TILE)
        .flat_map(|y| (0..width).step_by(TILE).map(move |x| (x, y)))
        .filter(|&(x, y)| {
            (y..(y + TILE).min(height))
                .any(|y| mask[y * width..][x..(x + TILE).min(width)].iter().any(|&m| m >= 128))
        })
        .collect();
    let colours = canvas.channels.colour_count();
    let pixel_len = canvas.pixel_len();
    // Some at a time, so that their results don't pile up.
    let batches = tiles.chunks(256);
    ticker.expect(tiles.len());
    let mut pending: Vec<(usize, [T; 3])> = Vec::new();
    for batch in batches {
        let refined: Vec<Vec<(usize, [T; 3])>> = batch
            .par_iter()
            .map(|&(x, y)| {
                ticker.check()?;
                let refined = refine_tile(canvas, mask, x, y);
                ticker.advance();
                Ok(refined)
            })
            .collect::<Result<_, Error>>()?;
        pending.extend(refined.into_iter().flatten());
    }
    for (index, value) in pending {
        canvas.samples[index * pixel_len..][..colours].copy_from_slice(&value[..colours]);
    }
    Ok(())
}

/// The refined pixels of the tile that starts at (`left`, `top`).
fn refine_tile<T: Sample>(
    canvas: &Canvas<'_, T>,
    mask: &[u8],
    left: usize,
    top: usize,
) -> Vec<(usize, [T; 3])> {
    let (width, height) = (canvas.width, canvas.height);
    let colours = canvas.channels.colour_count();
    let space = if colours == 3 { Space::Opponent } else { Space::Gray };
    let mut planes = vec![[0.0f32; SIDE * SIDE]; space.planes()];
    let mut marked = vec![false; SIDE * SIDE];
    for v in 0..SIDE {
        let y = mirror((top + v) as isize - MARGIN as isize, height);
        for u in 0..SIDE {
            let x = mirror((left + u) as isize - MARGIN as isize, width);
            let values = space.split(&canvas.pixel(x, y)[..colours]);
            for (plane, value) in planes.iter_mut().zip(values) {
                plane[v * SIDE + u] = value;
            }
            marked[v * SIDE + u] = mask[y * width + x] >= 128;
        }
    }
    if !marked.contains(&false) {
        // Too far from anything known to be refined.
        return Vec::new();
    }
    let before = planes.clone();
    let touching: Vec<usize> = (0..=SIDE - 8)
        .flat_map(|v| (0..=SIDE - 8).map(move |u| v * SIDE + u))
        .filter(|start| (0..8).any(|v| marked[start + v * SIDE..][..8].contains(&true)))
        .collect();
    for plane in &mut planes {
        for pass in 0..PASSES {
            let threshold = FIRST * (LAST / FIRST).powf(pass as f32 / (PASSES - 1) as f32);
            // Every second row and column, the other ones in the next pass.
            let starts: Vec<usize> = touching
                .iter()
                .copied()
                .filter(|start| start / SIDE % 2 == pass % 2 && start % SIDE % 2 == pass / 2 % 2)
                .collect();
            pass_over(plane, &marked, &starts, threshold);
        }
    }
    let mut refined = Vec::new();
    for v in MARGIN..MARGIN + TILE.min(height - top) {
        for u in MARGIN..MARGIN + TILE.min(width - left) {
            if marked[v * SIDE + u] {
                let (x, y) = (left + u - MARGIN, top + v - MARGIN);
                let delta = std::array::from_fn(|plane| match planes.get(plane) {
                    Some(values) => values[v * SIDE + u] - before[plane][v * SIDE + u],
                    None => 0.0,
                });
                let mut value = [T::default(); 3];
                value[..colours].copy_from_slice(&canvas.pixel(x, y)[..colours]);
                space.add(&mut value[..colours], delta);
                refined.push((y * width + x, value));
            }
        }
    }
    refined
}

/// Replaces the marked samples by the mean of the blocks that reach them, each without its small coefficients.
fn pass_over(plane: &mut [f32; SIDE * SIDE], marked: &[bool], starts: &[usize], threshold: f32) {
    let mut sums = vec![0.0f32; SIDE * SIDE];
    let mut weights = vec![0.0f32; SIDE * SIDE];
    for chunk in starts.chunks(LANES) {
        let mut blocks = [[[0.0f32; LANES]; 8]; 8];
        for (lane, start) in chunk.iter().enumerate() {
            dct::fill_lane(&mut blocks, lane, |v, u| plane[start + v * SIDE + u]);
        }
        let weight = shrink(&mut blocks, threshold);
        for (lane, start) in chunk.iter().enumerate() {
            for (v, row) in blocks.iter().enumerate() {
                for (u, lanes) in row.iter().enumerate() {
                    let index = start + v * SIDE + u;
                    sums[index] += lanes[lane] * weight[lane];
                    weights[index] += weight[lane];
                }
            }
        }
    }
    for (index, value) in plane.iter_mut().enumerate() {
        if marked[index] && weights[index] > 0.0 {
            *value = sums[index] / weights[index];
        }
    }
}

/// Cuts off the small coefficients of the blocks and returns how much each block is worth: the sparser, the more.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn shrink(blocks: &mut Blocks, threshold: f32) -> dct::Lanes {
    dct::forward_blocks(blocks);
    let mut kept = [0.0f32; LANES];
    for (v, row) in blocks.iter_mut().enumerate() {
        for (u, lanes) in row.iter_mut().enumerate() {
            let threshold = if v + u == 0 { 0.0 } else { threshold };
            for l in 0..LANES {
                let keep = lanes[l].abs() >= threshold;
                lanes[l] = if keep { lanes[l] } else { 0.0 };
                kept[l] += if keep { 1.0 } else { 0.0 };
            }
        }
    }
    dct::inverse_blocks(blocks);
    let mut weight = [0.0f32; LANES];
    for l in 0..LANES {
        weight[l] = 1.0 / kept[l].max(1.0);
    }
    weight
}
