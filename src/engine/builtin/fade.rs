//! Fading: blacks that have become grey, whites that have become dull, dyes that have gone at different rates.
//!
//! Each channel is stretched between its own ends, as far as the ends show that the picture has faded; a picture
//! that has only one hue (sepia, a toned or black-and-white print) gets one curve for its brightness and keeps its
//! tone, because stretching its channels apart would give it green blacks.

use rayon::prelude::*;

use super::canvas::{Canvas, Origin, Sample, Ticker, luma_of};
use super::frames::{self, Area, Frame};
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
/// Where dust or ragged rims reach beyond what the picture itself does, the curve of a print of one hue leaves them
/// this much at each end instead of clipping them.
const TOE: f32 = 10.0;
/// Taking off a veil darkens the middle tones. Beside a border, those below this stay where they were.
const MIDDLE: f32 = 118.0;
/// How far they are lifted at most, as the slope added in the blacks.
const MAX_LIFT: f32 = 0.4;
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
    fn of<T: Sample>(canvas: &Canvas<'_, T>, frame: &Frame, monochrome: bool) -> Self {
        let area = &frame.inside;
        let short = area.columns.len().min(area.rows.len());
        let side = (short / 48).max(8);
        let tail = if frame.bordered { 0.01 } else { 0.002 };
        let ends = block_ends(canvas, area, Blocks { side, apart: side, step: side / 4 }, tail);
        let low = ends.iter().map(|e| e.low).fold(f32::INFINITY, f32::min);
        let range = ends.iter().map(|e| e.high - e.low).fold(0.0, f32::max);
        let blacks = ((low - 14.0) / 6.0).clamp(0.0, 1.0);
        // Beside the black and white of a border a plate or print can be judged more strictly.
        if frame.bordered && monochrome {
            return Self { blacks, range: ((236.0 - range) / 16.0).clamp(0.0, 1.0) };
        }
        let mut dull = ((208.0 - range) / 20.0).clamp(0.0, 1.0);
        if blacks * dull > 0.0 {
            // Small things may have the blacks and whites that no block has: windows, water, leaves.
            let step = (short / 900).max(1);
            let small = Blocks { side: 7 * step, apart: 3 * step, step };
            let ends = block_ends(canvas, area, small, 0.0002);
            let range = ends.iter().map(|e| e.high - e.low).fold(0.0, f32::max);
            dull = dull.min(((206.0 - range) / 8.0).clamp(0.0, 1.0));
        }
        Self { blacks, range: dull }
    }

    /// Fading takes from both ends. Dull whites beside full blacks are a dark scene, and thin blacks beside full whites
    /// a hazy one.
    fn amount(self) -> f32 {
        self.blacks * self.range
    }
}

/// How much a picture has faded, 0..=1; other steps ask because a stretch will amplify what they leave.
pub(super) fn evidence<T: Sample>(canvas: &Canvas<'_, T>) -> f32 {
    let frames = frames::find(canvas);
    let of = |frame: &Frame| {
        let monochrome = !canvas.has_colour() || hue(canvas, &frame.inside).spread < ONE_HUE;
        Evidence::of(canvas, frame, monochrome).amount()
    };
    frames.iter().map(of).fold(0.0, f32::max)
}

/// What was found about one picture on a scan.
#[derive(Debug, Clone)]
struct Finding {
    zone: Area,
    evidence: Evidence,
    hue: Hue,
    monochrome: bool,
    ends: Vec<Ends>,
    /// The ends without dust, for a picture of one hue.
    firm: Option<Ends>,
    /// The median brightness of a picture of one hue with a border.
    middle: Option<f32>,
}

impl Finding {
    fn of<T: Sample>(canvas: &Canvas<'_, T>, frame: Frame, damaged: bool) -> Self {
        let area = &frame.inside;
        let hue = if canvas.has_colour() { hue(canvas, area) } else { Hue { spread: 0.0, toned: 0.0 } };
        let monochrome = hue.spread < ONE_HUE;
        let evidence = Evidence::of(canvas, &frame, monochrome);
        if !monochrome {
            let ends = channel_ends(canvas, area, damaged);
            return Self { zone: frame.zone, evidence, hue, monochrome, ends, firm: None, middle: None };
        }
        let ends = |histogram: &[u32], tail| ends_of(histogram, 255.0 / 1023.0, tail);
        let blocks = luma_medians(canvas, area, 4);
        Self {
            zone: frame.zone,
            evidence,
            hue,
            monochrome,
            ends: vec![ends(&luma_medians(canvas, area, 1), TAIL)],
            firm: Some(ends(&blocks, if frame.bordered { 0.005 } else { 0.0005 })),
            middle: frame.bordered.then(|| ends(&blocks, 0.5).low),
        }
    }

    fn even(&self) -> bool {
        self.ends.iter().all(|e| e.high - e.low < 2.0)
    }

    fn report(&self, colour: bool, mut verdict: Verdict) -> Verdict {
        verdict = verdict
            .with("blacks", f64::from(self.evidence.blacks))
            .with("range", f64::from(self.evidence.range));
        let names: &[&str] = if self.ends.len() == 3 { &["red", "green", "blue"] } else { &["luma"] };
        for (name, ends) in names.iter().zip(self.firm.as_ref().map_or(&self.ends[..], std::slice::from_ref))
        {
            verdict = verdict
                .with(&format!("{name}_low"), f64::from(ends.low))
                .with(&format!("{name}_high"), f64::from(ends.high));
        }
        if colour { verdict.with("hue_spread", f64::from(self.hue.spread)) } else { verdict }
    }
}

/// The pictures of a scan, of which one at least has faded.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    found: Vec<Finding>,
}

/// Looks for fading in the whole picture.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let colour = canvas.has_colour();
    let found: Vec<Finding> = frames::find(canvas)
        .into_iter()
        .map(|frame| Finding::of(canvas, frame, known.mask.is_some() || known.repaired))
        .collect();
    ticker.check()?;
    let Some(worst) = found.iter().max_by(|a, b| a.evidence.amount().total_cmp(&b.evidence.amount())) else {
        return Ok((Verdict::skipped("There is no picture."), None));
    };
    let report = |verdict: Verdict| {
        let verdict = worst.report(colour, verdict);
        if found.len() > 1 { verdict.with("pictures", found.len() as f64) } else { verdict }
    };
    if worst.evidence.amount() < MIN_EVIDENCE {
        let why = "Blacks and whites are where they belong; nothing has faded.";
        return Ok((report(Verdict::skipped(why)), None));
    }
    if found.iter().all(Finding::even) {
        let why = "The picture is one even tone; there is no contrast to bring back.";
        return Ok((report(Verdict::skipped(why)), None));
    }
    let verdict = report(Verdict::applied(match (colour, worst.monochrome) {
        (true, false) => "Colours and contrast have faded; each dye was brought back to its full range.",
        (true, true) => {
            "Contrast has faded; brightness was brought back, the print's tone kept and its yellowing reduced."
        }
        (false, _) => "Contrast has faded; blacks and whites were brought back.",
    }));
    Ok((verdict, Some(Plan { found })))
}

/// Brings back what has faded in a picture, or in the part of it that begins at `origin`.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    plan: &Plan,
    strength: f32,
    origin: Origin,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let colour = canvas.has_colour();
    for finding in &plan.found {
        let amount = finding.evidence.amount() * strength;
        if amount < MIN_EVIDENCE * strength || finding.even() {
            continue;
        }
        let zone = &finding.zone.seen_from(origin, canvas.width, canvas.height);
        match finding.firm {
            Some(firm) => {
                let mut curve = curve::<T>(finding.ends[0], firm, amount);
                if let Some(middle) = finding.middle {
                    lift(&mut curve, middle);
                }
                let tone = 1.0 - amount * (1.0 - TONE_KEPT * finding.hue.toned);
                stretch_brightness(canvas, zone, &curve, if colour { tone } else { 1.0 }, ticker)?;
            }
            None => {
                let curves: Vec<Vec<f32>> =
                    finding.ends.iter().map(|&ends| curve::<T>(ends, ends, amount)).collect();
                stretch_channels(canvas, zone, &curves, ticker)?;
            }
        }
    }
    Ok(())
}

/// Maps sample values to values of 0..=255: straight between the firm ends, and to the full ends with what is left.
fn curve<T: Sample>(full: Ends, firm: Ends, amount: f32) -> Vec<f32> {
    let toe = |room: f32| (room.max(0.0) / 2.0).min(TOE);
    let (dark, light) = (toe(firm.low - full.low), toe(full.high - firm.high));
    let low = firm.low * amount;
    let high = 255.0 - (255.0 - firm.high) * amount;
    let range = (high - low).max(MIN_RANGE);
    let slope = (255.0 - (dark + light) * amount) / range;
    let (full_low, full_high) = (full.low * amount, 255.0 - (255.0 - full.high) * amount);
    let scale = 255.0 / T::MAX as f32;
    let value = |value: f32| {
        let straight = dark * amount + (value - low) * slope;
        if value < low && low > full_low {
            dark * amount * (value - full_low) / (low - full_low)
        } else if value > high && full_high > high && range > MIN_RANGE {
            255.0 - light * amount * (full_high - value) / (full_high - high)
        } else {
            straight
        }
    };
    (0..=T::MAX).map(|index| value(index as f32 * scale).clamp(0.0, 255.0)).collect()
}

/// Bends a curve so that a dark or middle tone comes out as it went in; its ends stay.
fn lift(curve: &mut [f32], middle: f32) {
    let index = (middle / 255.0 * (curve.len() - 1) as f32) as usize;
    let after = curve[index].clamp(1.0, 254.0);
    let wanted = middle.min(MIDDLE) - after;
    let bend = (wanted * 255.0 / (after * (255.0 - after))).clamp(0.0, MAX_LIFT);
    for value in curve {
        *value += bend * *value * (255.0 - *value) / 255.0;
    }
}

fn stretch_channels<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    zone: &Area,
    curves: &[Vec<f32>],
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let curves: Vec<Vec<T>> =
        curves.iter().map(|curve| curve.iter().map(|&value| T::put(value)).collect()).collect();
    in_zone(canvas, zone, ticker, |pixel, _| {
        for (sample, curve) in pixel.iter_mut().zip(&curves) {
            *sample = curve[sample.index()];
        }
    })
}

/// Calls `change` for every pixel of a zone with the number of colours.
fn in_zone<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    zone: &Area,
    ticker: &Ticker<'_>,
    change: impl Fn(&mut [T], usize) + Send + Sync,
) -> Result<(), Error> {
    canvas.in_strips(
        0,
        ticker,
        || (),
        |(), strip| {
            let (count, colours) = (strip.channels.count(), strip.channels.colour_count());
            for y in zone.rows.start.max(strip.start)..zone.rows.end.min(strip.end) {
                let row = &mut strip.row_mut(y)[zone.columns.start * count..zone.columns.end * count];
                for pixel in row.chunks_exact_mut(count) {
                    change(pixel, colours);
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
    zone: &Area,
    curve: &[f32],
    tone: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let scale = T::MAX as f32 / 255.0;
    in_zone(canvas, zone, ticker, |pixel, colours| {
        let before = luma_of(pixel, colours);
        let position = before * scale;
        let index = (position as usize).min(T::MAX - 1);
        let share = position - index as f32;
        let after = curve[index] * (1.0 - share) + curve[index + 1] * share;
        let taper = tone * (after / 40.0).min((255.0 - after) / 25.0).clamp(0.0, 1.0);
        for sample in &mut pixel[..colours] {
            *sample = T::put(after + (sample.get() - before) * taper);
        }
    })
}

/// How an area is cut into blocks whose medians are looked at.
#[derive(Clone, Copy)]
struct Blocks {
    side: usize,
    /// From one block to the next.
    apart: usize,
    /// From one pixel of a block to the next.
    step: usize,
}

/// The ends of the medians of blocks: what scratches, dust and grain can't reach.
fn block_ends<T: Sample>(canvas: &Canvas<'_, T>, area: &Area, blocks: Blocks, tail: f64) -> Vec<Ends> {
    let colours = canvas.channels.colour_count();
    medians(area, blocks, colours, |x, y, channel| canvas.pixel(x, y)[channel].get())
        .iter()
        .map(|histogram| ends_of(histogram, 255.0 / 1023.0, tail))
        .collect()
}

/// Histograms of the medians of blocks.
fn medians(
    area: &Area,
    Blocks { side, apart, step }: Blocks,
    planes: usize,
    value: impl Fn(usize, usize, usize) -> f32 + Sync,
) -> Vec<Vec<u32>> {
    let starts = |range: &std::ops::Range<usize>| -> Vec<usize> {
        range.clone().step_by(apart).filter(|start| start + side <= range.end).collect()
    };
    let columns = starts(&area.columns);
    starts(&area.rows)
        .into_par_iter()
        .with_min_len(1 + 64 / side)
        .fold(
            || vec![vec![0u32; 1024]; planes],
            |mut histograms, y| {
                let mut values = Vec::with_capacity(side * side);
                for &x in &columns {
                    for (plane, histogram) in histograms.iter_mut().enumerate() {
                        values.clear();
                        for v in (y..y + side).step_by(step) {
                            for u in (x..x + side).step_by(step) {
                                values.push((value(u, v, plane) * (1023.0 / 255.0) + 0.5) as u16);
                            }
                        }
                        let middle = values.len() / 2;
                        let (_, median, _) = values.select_nth_unstable(middle);
                        histogram[usize::from(*median).min(1023)] += 1;
                    }
                }
                histograms
            },
        )
        .reduce(|| vec![vec![0u32; 1024]; planes], merge)
}

/// The ends that a channel is stretched between. Where damage was filled, single pixels of it may be left at the rim.
fn channel_ends<T: Sample>(canvas: &Canvas<'_, T>, area: &Area, damaged: bool) -> Vec<Ends> {
    let (side, tail) = if damaged { (4, 0.0005) } else { (1, TAIL) };
    block_ends(canvas, area, Blocks { side, apart: side, step: 1 }, tail)
}

fn luma_medians<T: Sample>(canvas: &Canvas<'_, T>, area: &Area, side: usize) -> Vec<u32> {
    let blocks = Blocks { side, apart: side, step: 1 };
    medians(area, blocks, 1, |x, y, _| canvas.luma(x, y)).swap_remove(0)
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
#[derive(Debug, Clone, Copy)]
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

fn hue<T: Sample>(canvas: &Canvas<'_, T>, area: &Area) -> Hue {
    const BINS: usize = 64;
    let step = (((area.columns.len() * area.rows.len()) as f32 / 500_000.0).sqrt() as usize).max(1);
    let mut bins = [Tint::default(); BINS];
    for y in area.rows.clone().step_by(step) {
        for x in area.columns.clone().step_by(step) {
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
