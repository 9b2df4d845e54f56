//! Fading: blacks that have become grey, whites that have become dull, dyes that have gone at different rates.
//!
//! Each channel is stretched between its own ends, as far as the ends show that the picture has faded; a picture
//! that has only one hue (sepia, a toned or black-and-white print) gets one curve for its brightness and keeps its
//! tone, because stretching its channels apart would give it green blacks.

use rayon::prelude::*;

use super::canvas::{Canvas, Sample, Ticker, luma_of};
use super::sliding::Space;
use super::{Known, Verdict};
use crate::engine::Error;

/// Share of the samples beyond each end.
const TAIL: f64 = 0.0002;
/// A stretched channel keeps at least this range, or noise would be all that is seen.
const MIN_RANGE: f32 = 60.0;
/// A picture whose hues spread less than this has only one.
const ONE_HUE: f32 = 2.5;
/// Share of its hue that a fully faded print of one hue keeps: the rest is the paper's yellowing.
const TONE_KEPT: f32 = 0.3;
/// Less evidence than this is not worth touching the picture for.
const MIN_EVIDENCE: f32 = 0.05;

/// The ends of a channel on the scale of 0..=255.
#[derive(Debug, Clone, Copy)]
struct Ends {
    low: f32,
    high: f32,
}

/// What tells a faded picture from a good one, each 0..=1.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    /// Even the darkest channel does not reach black.
    blacks: f32,
    /// No channel has much of a range.
    range: f32,
}

impl Evidence {
    fn of(ends: &[Ends]) -> Self {
        let low = ends.iter().map(|e| e.low).fold(f32::INFINITY, f32::min);
        let range = ends.iter().map(|e| e.high - e.low).fold(0.0, f32::max);
        Self { blacks: ((low - 14.0) / 6.0).clamp(0.0, 1.0), range: ((208.0 - range) / 20.0).clamp(0.0, 1.0) }
    }

    /// Fading takes from both ends. Dull whites beside full blacks are a dark scene, and thin blacks beside full whites
    /// a hazy one.
    fn amount(self) -> f32 {
        self.blacks * self.range
    }
}

/// How much a picture has faded, 0..=1; other steps ask because a stretch will amplify what they leave.
pub(super) fn evidence<T: Sample>(canvas: &Canvas<'_, T>) -> f32 {
    Evidence::of(&robust_ends(canvas)).amount()
}

pub(super) fn run<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    strength: f32,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<Verdict, Error> {
    let colour = canvas.has_colour();
    let channels = channel_ends(canvas, known.mask.is_some());
    ticker.check()?;
    let hue = if colour { hue(canvas) } else { Hue { spread: 0.0, toned: 0.0 } };
    let hue_spread = hue.spread;
    let monochrome = hue_spread < ONE_HUE;
    let ends = if monochrome { vec![luma_ends(canvas)] } else { channels };
    let evidence = Evidence::of(&robust_ends(canvas));
    let amount = evidence.amount();
    let report = |mut verdict: Verdict| {
        verdict = verdict.with("blacks", f64::from(evidence.blacks)).with("range", f64::from(evidence.range));
        let names: &[&str] = if ends.len() == 3 { &["red", "green", "blue"] } else { &["luma"] };
        for (name, ends) in names.iter().zip(&ends) {
            verdict = verdict
                .with(&format!("{name}_low"), f64::from(ends.low))
                .with(&format!("{name}_high"), f64::from(ends.high));
        }
        if colour { verdict.with("hue_spread", f64::from(hue_spread)) } else { verdict }
    };
    if amount < MIN_EVIDENCE {
        return Ok(report(Verdict::skipped("Blacks and whites are where they belong; nothing has faded.")));
    }
    if ends.iter().all(|e| e.high - e.low < 2.0) {
        return Ok(report(Verdict::skipped(
            "The picture is one even tone; there is no contrast to bring back.",
        )));
    }
    let amount = amount * strength;
    let curves: Vec<Vec<f32>> = ends.iter().map(|&ends| curve::<T>(ends, amount)).collect();
    if monochrome && colour {
        stretch_brightness(canvas, &curves[0], 1.0 - amount * (1.0 - TONE_KEPT * hue.toned), ticker)?;
    } else {
        stretch_channels(canvas, &curves, ticker)?;
    }
    Ok(report(Verdict::applied(match (colour, monochrome) {
        (true, false) => "Colours and contrast have faded; each dye was brought back to its full range.",
        (true, true) => {
            "Contrast has faded; brightness was brought back, the print's tone kept and its yellowing reduced."
        }
        (false, _) => "Contrast has faded; blacks and whites were brought back.",
    })))
}

/// Maps sample values to values of 0..=255.
fn curve<T: Sample>(ends: Ends, amount: f32) -> Vec<f32> {
    let low = ends.low * amount;
    let high = 255.0 - (255.0 - ends.high) * amount;
    let range = (high - low).max(MIN_RANGE);
    let scale = 255.0 / T::MAX as f32;
    (0..=T::MAX).map(|index| ((index as f32 * scale - low) / range * 255.0).clamp(0.0, 255.0)).collect()
}

fn stretch_channels<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    curves: &[Vec<f32>],
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let curves: Vec<Vec<T>> =
        curves.iter().map(|curve| curve.iter().map(|&value| T::put(value)).collect()).collect();
    canvas.in_strips(
        0,
        ticker,
        || (),
        |(), strip| {
            for pixel in strip.samples.chunks_exact_mut(strip.channels.count()) {
                for (sample, curve) in pixel.iter_mut().zip(&curves) {
                    *sample = curve[sample.index()];
                }
            }
            Ok(())
        },
    )
}

/// Applies the curve to the brightness and keeps what each channel differs from it, less and less towards black and
/// white, which have no hue.
fn stretch_brightness<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    curve: &[f32],
    tone: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let scale = T::MAX as f32 / 255.0;
    canvas.in_strips(
        0,
        ticker,
        || (),
        |(), strip| {
            let colours = strip.channels.colour_count();
            for pixel in strip.samples.chunks_exact_mut(strip.channels.count()) {
                let before = luma_of(pixel, colours);
                let position = before * scale;
                let index = (position as usize).min(T::MAX - 1);
                let share = position - index as f32;
                let after = curve[index] * (1.0 - share) + curve[index + 1] * share;
                let taper = tone * (after / 40.0).min((255.0 - after) / 25.0).clamp(0.0, 1.0);
                for sample in &mut pixel[..colours] {
                    *sample = T::put(after + (sample.get() - before) * taper);
                }
            }
            Ok(())
        },
    )
}

/// The part of the picture that counts: without 2 % on each side, where scanners leave a border.
fn inner(len: usize) -> std::ops::Range<usize> {
    let border = len / 50;
    border..len - border
}

/// The ends that the evidence rests on: of the medians of blocks of about a fiftieth of the picture.
fn robust_ends<T: Sample>(canvas: &Canvas<'_, T>) -> Vec<Ends> {
    let side = (canvas.width.min(canvas.height) / 48).max(8);
    block_ends(canvas, side, side / 4, 0.002)
}

/// The ends of the medians of blocks: what scratches, dust and grain can't reach.
fn block_ends<T: Sample>(canvas: &Canvas<'_, T>, side: usize, step: usize, tail: f64) -> Vec<Ends> {
    let colours = canvas.channels.colour_count();
    let (columns, rows) = (inner(canvas.width), inner(canvas.height));
    let ys: Vec<usize> = rows.clone().step_by(side).filter(|y| y + side <= rows.end).collect();
    let histograms = ys
        .into_par_iter()
        .fold(
            || vec![vec![0u32; 1024]; colours],
            |mut histograms, y| {
                let mut values = Vec::with_capacity(side * side);
                for x in columns.clone().step_by(side).filter(|x| x + side <= columns.end) {
                    for (channel, histogram) in histograms.iter_mut().enumerate() {
                        values.clear();
                        for v in (y..y + side).step_by(step) {
                            for u in (x..x + side).step_by(step) {
                                values.push(canvas.pixel(u, v)[channel].index());
                            }
                        }
                        let middle = values.len() / 2;
                        let (_, median, _) = values.select_nth_unstable(middle);
                        histogram[*median * 1023 / T::MAX] += 1;
                    }
                }
                histograms
            },
        )
        .reduce(|| vec![vec![0u32; 1024]; colours], merge);
    histograms.iter().map(|histogram| ends_of(histogram, 255.0 / 1023.0, tail)).collect()
}

/// The ends that a channel is stretched between. Where damage was filled, single pixels of it may be left at the rim.
fn channel_ends<T: Sample>(canvas: &Canvas<'_, T>, damaged: bool) -> Vec<Ends> {
    if damaged { block_ends(canvas, 4, 1, 0.0005) } else { block_ends(canvas, 1, 1, TAIL) }
}

fn luma_ends<T: Sample>(canvas: &Canvas<'_, T>) -> Ends {
    const BINS: usize = 1024;
    let columns = inner(canvas.width);
    let histograms = inner(canvas.height)
        .into_par_iter()
        .with_min_len(64)
        .fold(
            || vec![vec![0u32; BINS]],
            |mut histograms, y| {
                for x in columns.clone() {
                    let bin = canvas.luma(x, y) * ((BINS - 1) as f32 / 255.0) + 0.5;
                    histograms[0][(bin as usize).min(BINS - 1)] += 1;
                }
                histograms
            },
        )
        .reduce(|| vec![vec![0u32; BINS]], merge);
    ends_of(&histograms[0], 255.0 / (BINS - 1) as f32, TAIL)
}

fn merge(mut into: Vec<Vec<u32>>, other: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
    for (into, other) in into.iter_mut().zip(other) {
        for (into, other) in into.iter_mut().zip(other) {
            *into += other;
        }
    }
    into
}

fn ends_of(histogram: &[u32], scale: f32, tail: f64) -> Ends {
    let total: u64 = histogram.iter().map(|&count| u64::from(count)).sum();
    let tail = (total as f64 * tail) as u64;
    let end = |bins: &mut dyn Iterator<Item = (usize, &u32)>| {
        let mut seen = 0;
        for (index, &count) in bins {
            seen += u64::from(count);
            if seen > tail {
                return index as f32 * scale;
            }
        }
        0.0
    };
    Ends { low: end(&mut histogram.iter().enumerate()), high: end(&mut histogram.iter().enumerate().rev()) }
}

/// What the colours of a picture have in common.
struct Hue {
    /// How far the picture is from having a single hue, as a root mean square in Cb and Cr: pixels of equal brightness
    /// that differ, hues across the principal one, and hues opposite to it. Near 0 in a toned or grey picture.
    spread: f32,
    /// Whether the mean hue is one that prints are toned in, 0..=1: with green between red and blue it is brown, sepia
    /// or the blue of a cyanotype, else the magenta or green of dyes that failed.
    toned: f32,
}

/// Sums over the pixels of like brightness.
#[derive(Clone, Copy, Default)]
struct Tint {
    count: f64,
    blue: f64,
    red: f64,
    blue_blue: f64,
    red_red: f64,
    blue_red: f64,
}

impl Tint {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.blue += other.blue;
        self.red += other.red;
        self.blue_blue += other.blue_blue;
        self.red_red += other.red_red;
        self.blue_red += other.blue_red;
    }

    /// Sum of squares around the mean.
    fn scatter(&self) -> f64 {
        self.blue_blue + self.red_red - (self.blue * self.blue + self.red * self.red) / self.count.max(1.0)
    }
}

fn hue<T: Sample>(canvas: &Canvas<'_, T>) -> Hue {
    const BINS: usize = 64;
    let step = (((canvas.width * canvas.height) as f32 / 500_000.0).sqrt() as usize).max(1);
    let mut bins = [Tint::default(); BINS];
    for y in inner(canvas.height).step_by(step) {
        for x in inner(canvas.width).step_by(step) {
            let [luma, blue, red] = Space::YCbCr.split(canvas.pixel(x, y));
            let (blue, red) = (f64::from(blue), f64::from(red));
            bins[((luma / 4.0) as usize).min(BINS - 1)].add(&Tint {
                count: 1.0,
                blue,
                red,
                blue_blue: blue * blue,
                red_red: red * red,
                blue_red: blue * red,
            });
        }
    }
    let mut all = Tint::default();
    for bin in &bins {
        all.add(bin);
    }
    let count = all.count.max(1.0);
    let within: f64 = bins.iter().map(Tint::scatter).sum::<f64>().max(0.0) / (2.0 * count);
    // The principal hue is the main axis of all colours around grey.
    let (half, difference) = ((all.blue_blue + all.red_red) / 2.0, (all.blue_blue - all.red_red) / 2.0);
    let root = difference.hypot(all.blue_red);
    let across = (half - root).max(0.0) / count;
    let angle = 0.5 * all.blue_red.atan2(difference);
    let (mut one_way, mut other_way) = (0.0, 0.0);
    for bin in bins.iter().filter(|bin| bin.count > 0.0) {
        let along = (bin.blue * angle.cos() + bin.red * angle.sin()) / bin.count;
        *(if along > 0.0 { &mut one_way } else { &mut other_way }) += bin.count * along * along;
    }
    let opposite = f64::min(one_way, other_way) / count;
    let (red, green, blue) = (1.402 * all.red, -0.344 * all.blue - 0.714 * all.red, 1.772 * all.blue);
    let between = if (red - blue).abs() > 0.0 { (green - blue) / (red - blue) } else { 0.0 };
    Hue {
        spread: (within + across + opposite).sqrt() as f32,
        toned: (between.min(1.0 - between) / 0.25).clamp(0.0, 1.0) as f32,
    }
}
