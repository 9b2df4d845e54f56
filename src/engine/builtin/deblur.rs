//! Slight defocus, undone on the brightness by Richardson and Lucy's iteration with a Gaussian whose width is read
//! from the edges. Sharpening a sharp picture always does harm, so a picture whose edges are sharp is left alone.

use multiversion::multiversion;
use rayon::prelude::*;

use super::canvas::{Canvas, Sample, Strip, Ticker, luma_of, mirror};
use super::sliding::Space;
use super::{Known, Verdict, noise};
use crate::engine::Error;

const ITERATIONS: usize = 10;
/// Blur narrower than this (standard deviation in pixels) is left alone.
const SHARP: f32 = 0.85;
/// More than this is not attempted: what such a blur took can't be guessed.
const WIDEST: f32 = 1.6;

/// The blur to undo.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    kernel: Vec<f32>,
}

impl Plan {
    /// Rows and columns that the result of a pixel depends on, on each side of it.
    pub(super) fn reach(&self) -> usize {
        2 * (self.kernel.len() / 2) * ITERATIONS
    }
}

/// Reads from the edges of the whole picture how blurred it is.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let Some(width) = blur_width(canvas) else {
        let why = "There are too few edges to tell how sharp the picture is.";
        return Ok((Verdict::skipped(why), None));
    };
    ticker.check()?;
    let noise =
        noise::measure(canvas, Space::Gray, known.mask.as_deref())[0].as_ref().map_or(0.0, |s| s.level);
    let report =
        |verdict: Verdict| verdict.with("blur_width", f64::from(width)).with("noise", f64::from(noise));
    if width < SHARP {
        return Ok((report(Verdict::skipped("The edges are sharp already.")), None));
    }
    if noise > 8.0 {
        let why = "There is so much noise that sharpening would mostly sharpen that.";
        return Ok((report(Verdict::skipped(why)), None));
    }
    let verdict = report(Verdict::applied("The edges are soft; a slight defocus was undone."));
    Ok((verdict, Some(Plan { kernel: kernel(width.min(WIDEST)) })))
}

/// Undoes the blur of a picture or of a part of it.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    plan: &Plan,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let halo = plan.reach();
    canvas.in_strips(halo, ticker, Scratch::default, |scratch, strip| {
        scratch.sharpen(strip, &plan.kernel, halo, strength, ticker)
    })
}

/// A normalised Gaussian of this standard deviation.
fn kernel(width: f32) -> Vec<f32> {
    let radius = (2.5 * width).ceil() as i32;
    let values: Vec<f32> =
        (-radius..=radius).map(|x| (-((x * x) as f32) / (2.0 * width * width)).exp()).collect();
    let sum: f32 = values.iter().sum();
    values.into_iter().map(|value| value / sum).collect()
}

#[derive(Default)]
struct Scratch {
    luma: Vec<f32>,
    estimate: Vec<f32>,
    ratio: Vec<f32>,
    spare: Vec<f32>,
    blurred: Vec<f32>,
}

impl Scratch {
    fn sharpen<T: Sample>(
        &mut self,
        strip: &mut Strip<'_, T>,
        kernel: &[f32],
        halo: usize,
        strength: f32,
        ticker: &Ticker<'_>,
    ) -> Result<(), Error> {
        let width = strip.width;
        let rows = strip.end - strip.start + 2 * halo;
        let (colours, pixel_len) = (strip.channels.colour_count(), strip.channels.count());
        self.luma.clear();
        for index in 0..rows {
            let row = strip.row(strip.start as isize + index as isize - halo as isize);
            self.luma.extend(row.chunks_exact(pixel_len).map(|pixel| luma_of(pixel, colours).max(1.0)));
        }
        self.estimate.clone_from(&self.luma);
        for buffer in [&mut self.ratio, &mut self.spare, &mut self.blurred] {
            buffer.resize(self.luma.len(), 0.0);
        }
        for _ in 0..ITERATIONS {
            ticker.check()?;
            blur(&self.estimate, &mut self.spare, &mut self.blurred, width, kernel);
            divide(&self.luma, &self.blurred, &mut self.ratio);
            blur(&self.ratio, &mut self.spare, &mut self.blurred, width, kernel);
            for (estimate, factor) in self.estimate.iter_mut().zip(&self.blurred) {
                *estimate *= factor;
            }
        }
        for y in strip.start..strip.end {
            let first = (y - strip.start + halo) * width;
            let row = strip.row_mut(y);
            for (x, pixel) in row.chunks_exact_mut(pixel_len).enumerate() {
                let delta = (self.estimate[first + x] - self.luma[first + x]) * strength;
                for sample in &mut pixel[..colours] {
                    *sample = T::put(sample.get() + delta);
                }
            }
        }
        Ok(())
    }
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn divide(numerator: &[f32], denominator: &[f32], ratio: &mut [f32]) {
    for ((ratio, numerator), denominator) in ratio.iter_mut().zip(numerator).zip(denominator) {
        *ratio = numerator / denominator.max(1e-3);
    }
}

/// Blurs rows of this width, mirrored at their ends; the first and last row are repeated.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn blur(source: &[f32], across: &mut [f32], target: &mut [f32], width: usize, kernel: &[f32]) {
    let radius = kernel.len() / 2;
    let mut padded = vec![0.0f32; width + 2 * radius];
    for (source, across) in source.chunks_exact(width).zip(across.chunks_exact_mut(width)) {
        for (x, value) in padded.iter_mut().enumerate() {
            *value = source[mirror(x as isize - radius as isize, width)];
        }
        across.fill(0.0);
        for (tap, weight) in kernel.iter().enumerate() {
            for (sum, value) in across.iter_mut().zip(&padded[tap..]) {
                *sum += weight * value;
            }
        }
    }
    let rows = source.len() / width;
    for (y, target) in target.chunks_exact_mut(width).enumerate() {
        target.fill(0.0);
        for (tap, weight) in kernel.iter().enumerate() {
            let row = (y + tap).saturating_sub(radius).min(rows - 1);
            for (sum, value) in target.iter_mut().zip(&across[row * width..(row + 1) * width]) {
                *sum += weight * value;
            }
        }
    }
}

/// Side of the tiles that the width of the blur is read from, and how many are looked at.
const TILE: usize = 64;
const TILES: usize = 400;

/// Standard deviation, in pixels, of the blur of the sharper edges: an edge is blurred once more by a known amount,
/// and how much flatter that makes it tells how blurred it was (after Zhuo and Sim, 2011).
fn blur_width<T: Sample>(canvas: &Canvas<'_, T>) -> Option<f32> {
    let (across, down) = (canvas.width / TILE, canvas.height / TILE);
    let step = ((across * down) as f32 / TILES as f32).sqrt().ceil().max(1.0) as usize;
    let tiles: Vec<(usize, usize)> = (0..down)
        .step_by(step)
        .flat_map(|y| (0..across).step_by(step).map(move |x| (x * TILE, y * TILE)))
        .collect();
    let kernel = kernel(1.0);
    let mut widths: Vec<f32> = tiles
        .into_par_iter()
        .flat_map_iter(|(left, top)| {
            let luma: Vec<f32> =
                (0..TILE * TILE).map(|i| canvas.luma(left + i % TILE, top + i / TILE)).collect();
            let (mut spare, mut blurred) = (vec![0.0; TILE * TILE], vec![0.0; TILE * TILE]);
            blur(&luma, &mut spare, &mut blurred, TILE, &kernel);
            let slope = |plane: &[f32], i: usize| {
                (plane[i + 1] - plane[i - 1]).hypot(plane[i + TILE] - plane[i - TILE]) / 2.0
            };
            let mut widths = Vec::new();
            for y in 5..TILE - 5 {
                for x in 5..TILE - 5 {
                    let i = y * TILE + x;
                    let flat = slope(&blurred, i);
                    // Ridges of the slope only: beside an edge the ratio means nothing.
                    if flat < 6.0
                        || [1, TILE, TILE + 1, TILE - 1]
                            .iter()
                            .filter(|&&d| flat >= slope(&blurred, i - d) && flat >= slope(&blurred, i + d))
                            .count()
                            < 2
                    {
                        continue;
                    }
                    let ratio = slope(&luma, i) / flat;
                    if ratio > 1.02 {
                        widths.push(1.0 / (ratio * ratio - 1.0).sqrt());
                    }
                }
            }
            widths
        })
        .collect();
    if widths.len() < 200 {
        return None;
    }
    let index = widths.len() / 4;
    let (_, quarter, _) = widths.select_nth_unstable_by(index, f32::total_cmp);
    Some(*quarter)
}
