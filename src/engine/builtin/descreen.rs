//! The screen of dots of a printed picture.
//!
//! A screen repeats, so it stands in the spectrum as peaks, and because its dots lie on a square lattice the peaks come
//! as a pair at a right angle and of one length, in nearly every block of the picture. Without such a pair nothing is
//! done. With it each colour is filtered as Wiener would: frequencies keep what a picture without a screen would have
//! there, whose spectrum falls with a power of the frequency that is read below the screen's.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Verdict;
use super::canvas::{Canvas, Sample, Strip, Ticker};
use super::fourier::{Block, SIDE};
use crate::engine::Error;

/// Blocks overlap by half, so that their windows add up to one.
const STEP: usize = SIDE / 2;
/// Blocks that are looked at, at most and at least.
const BLOCKS_MAX: usize = 256;
const BLOCKS_MIN: usize = 9;
/// A peak stands this much (natural logarithm of the power) above what is around it.
const CLEAR: f32 = 2.2;
/// And it has at least this logarithm of power, that of a wave of three levels out of 255: banding has less.
const VISIBLE: f32 = 14.7;
/// Shortest and longest wave vector of a screen, in periods per block.
const SLOWEST: f32 = 5.0;
const FASTEST: f32 = 30.0;
/// How fast the power of a picture falls with the frequency.
const FALL: f32 = -2.0;
/// Below this share of the screen's frequency the picture is not touched.
const SPARED: f32 = 0.55;

/// The screen of one colour.
#[derive(Debug, Clone, Copy)]
struct Screen {
    /// Length of its wave vector in periods per block.
    frequency: f32,
    /// Angle of its rows in degrees, 0..90.
    angle: f32,
    /// How far the weaker peak of the pair stands out (natural logarithm of the power).
    excess: f32,
}

/// Spectrum of one colour, averaged over blocks.
struct Spectrum {
    /// Mean power by `[u][v]`.
    power: Vec<[f32; SIDE]>,
    /// Mean logarithm of the power.
    logarithm: Vec<[f32; SIDE]>,
}

/// Rows and columns that the result of a pixel depends on, on each side of it.
pub(super) const REACH: usize = SIDE;

/// The mean power of each colour's spectrum, and its screen.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    colours: Vec<(Vec<[f32; SIDE]>, Screen)>,
}

/// Looks for a screen in the whole picture.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let Some(spectra) = spectra(canvas) else {
        return Ok((Verdict::skipped("The picture is too small to tell a screen of dots."), None));
    };
    ticker.check()?;
    let screens: Vec<Option<Screen>> = spectra.iter().map(|spectrum| find(&spectrum.logarithm)).collect();
    let best = screens.iter().flatten().copied().max_by(|a, b| a.excess.total_cmp(&b.excess));
    let Some(best) = best else {
        return Ok((Verdict::skipped("There is no screen of printing dots."), None));
    };
    let verdict = Verdict::applied("The picture was printed with a screen of dots, which was removed.")
        .with("period", SIDE as f64 / f64::from(best.frequency))
        .with("angle", f64::from(best.angle))
        .with("peaks", f64::from(best.excess));
    let colours =
        spectra.into_iter().zip(screens).map(|(spectrum, screen)| (spectrum.power, screen.unwrap_or(best)));
    Ok((verdict, Some(Plan { colours: colours.collect() })))
}

/// Removes the screen from a picture or from a part of it that begins at a block's corner.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    plan: &Plan,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let gains: Vec<Gain> =
        plan.colours.iter().map(|(power, screen)| gain(power, *screen, strength)).collect();
    canvas.in_strips(SIDE, ticker, Scratch::new, |scratch, strip| {
        for (colour, gain) in gains.iter().enumerate() {
            ticker.check()?;
            scratch.filter(strip, colour, gain);
        }
        scratch.store(strip);
        Ok(())
    })
}

/// A window that is zero at the ends and adds up to one with its neighbours half a block away.
fn window(index: usize) -> f32 {
    0.5 - 0.5 * (2.0 * std::f32::consts::PI * index as f32 / SIDE as f32).cos()
}

fn windows() -> [f32; SIDE] {
    std::array::from_fn(window)
}

/// The spectra of the colours; none if the picture has too few blocks.
fn spectra<T: Sample>(canvas: &Canvas<'_, T>) -> Option<Vec<Spectrum>> {
    let (across, down) = (canvas.width / SIDE, canvas.height / SIDE);
    if across * down < BLOCKS_MIN {
        return None;
    }
    let step = ((across * down) as f32 / BLOCKS_MAX as f32).sqrt().ceil().max(1.0) as usize;
    let starts: Vec<(usize, usize)> = (0..down)
        .step_by(step)
        .flat_map(|y| (0..across).step_by(step).map(move |x| (x * SIDE, y * SIDE)))
        .collect();
    let windows = windows();
    let spectrum = |colour: usize| {
        let blocks: Vec<Vec<[f32; SIDE]>> = starts
            .par_iter()
            .map(|&(left, top)| {
                let mut block = Block::new();
                for (v, row) in block.real.iter_mut().enumerate() {
                    for (u, value) in row.iter_mut().enumerate() {
                        *value = canvas.pixel(left + u, top + v)[colour].get();
                    }
                }
                let mean = block.real.iter().flatten().sum::<f32>() / (SIDE * SIDE) as f32;
                for (row, down) in block.real.iter_mut().zip(&windows) {
                    for (value, across) in row.iter_mut().zip(&windows) {
                        *value = (*value - mean) * down * across;
                    }
                }
                block.forward();
                for (real, imaginary) in block.real.iter_mut().zip(&block.imaginary) {
                    for (real, imaginary) in real.iter_mut().zip(imaginary) {
                        *real = *real * *real + imaginary * imaginary;
                    }
                }
                block.real
            })
            .collect();
        let share = 1.0 / blocks.len() as f32;
        let mut power = vec![[0.0f32; SIDE]; SIDE];
        let mut logarithm = vec![[0.0f32; SIDE]; SIDE];
        for block in &blocks {
            for (u, row) in block.iter().enumerate() {
                for (v, value) in row.iter().enumerate() {
                    power[u][v] += value * share;
                    // Blocks without anything in them say nothing for or against.
                    logarithm[u][v] += (value + 10.0).ln() * share;
                }
            }
        }
        Spectrum { power, logarithm }
    };
    Some((0..canvas.channels.colour_count()).map(spectrum).collect())
}

/// A frequency counted from minus half a block's samples.
fn signed(index: usize) -> f32 {
    if index < SIDE / 2 { index as f32 } else { index as f32 - SIDE as f32 }
}

/// Finds the pair of peaks of a screen.
fn find(logarithm: &[[f32; SIDE]]) -> Option<Screen> {
    let at = |u: isize, v: isize| {
        let side = SIDE as isize;
        logarithm[u.rem_euclid(side) as usize][v.rem_euclid(side) as usize]
    };
    let mut peaks: Vec<(f32, f32, f32)> = Vec::new();
    for u in 0..=(SIDE / 2) as isize {
        for v in -(SIDE as isize / 2)..(SIDE / 2) as isize {
            let length = ((u * u + v * v) as f32).sqrt();
            if !(SLOWEST..=FASTEST).contains(&length) || (u == 0 && v <= 0) {
                continue;
            }
            let here = at(u, v);
            let is_top = (-2..=2).all(|b| (-2..=2).all(|a| at(u + a, v + b) <= here));
            if !is_top {
                continue;
            }
            let excess = here - ground(&at, u, v);
            if excess > CLEAR && here > VISIBLE {
                let shift = |low: f32, high: f32| {
                    let bend = 2.0 * here - low - high;
                    if bend > 1e-6 { (high - low) / (2.0 * bend) } else { 0.0 }
                };
                let x = u as f32 + shift(at(u - 1, v), at(u + 1, v));
                let y = v as f32 + shift(at(u, v - 1), at(u, v + 1));
                peaks.push((x, y, excess));
            }
        }
    }
    let mut best: Option<Screen> = None;
    for (index, &(x, y, excess)) in peaks.iter().enumerate() {
        for &(x2, y2, excess2) in &peaks[index + 1..] {
            let (first, second) = ((x * x + y * y).sqrt(), (x2 * x2 + y2 * y2).sqrt());
            let cosine = (x * x2 + y * y2).abs() / (first * second);
            if (first - second).abs() > 0.8 || cosine > 0.1 || is_compression(x, y) {
                continue;
            }
            let (frequency, excess) = ((first + second) * 0.5, excess.min(excess2));
            // Among clear pairs the slowest is the screen and the others are its overtones.
            if best.is_none_or(|best| frequency < best.frequency - 0.5) {
                let angle = y.atan2(x).to_degrees().rem_euclid(90.0);
                best = Some(Screen { frequency, angle, excess });
            }
        }
    }
    best
}

/// The middle of what is around a place in the spectrum.
fn ground(at: &impl Fn(isize, isize) -> f32, u: isize, v: isize) -> f32 {
    let mut around: Vec<f32> = (-6..=6)
        .flat_map(|b: isize| (-6..=6).map(move |a: isize| (a, b)))
        .filter(|(a, b)| (16..=36).contains(&(a * a + b * b)))
        .map(|(a, b)| at(u + a, v + b))
        .collect();
    let middle = around.len() / 2;
    *around.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Whether a wave vector is one of the grid of JPEG blocks, eight pixels wide.
fn is_compression(x: f32, y: f32) -> bool {
    let near = |value: f32| (value / 8.0 - (value / 8.0).round()).abs() < 0.05;
    near(x) && near(y)
}

/// What remains of each frequency, by `[u][v]`.
type Gain = Vec<[f32; SIDE]>;

fn gain(power: &[[f32; SIDE]], screen: Screen, strength: f32) -> Gain {
    let spared = SPARED * screen.frequency;
    let length = |u: usize, v: usize| (signed(u) * signed(u) + signed(v) * signed(v)).sqrt();
    let places = || (0..SIDE).flat_map(|u| (0..SIDE).map(move |v| (u, v)));
    // The level of the fall through the frequencies that the screen does not reach.
    let (mut sum, mut count) = (0.0, 0.0);
    for (u, v) in places() {
        let length = length(u, v);
        if length >= 1.9 && length < spared.max(2.9) {
            sum += power[u][v].max(1e-3).ln() - FALL * length.ln();
            count += 1.0f32;
        }
    }
    let level = (sum / count.max(1.0)).exp();
    let mut gain = vec![[1.0; SIDE]; SIDE];
    for (u, v) in places() {
        let length = length(u, v);
        if length >= spared {
            let natural = level * length.powf(FALL);
            let kept = natural / power[u][v].max(natural);
            gain[u][v] = (1.0 - strength) + strength * kept;
        }
    }
    gain
}

/// A strip while it is filtered.
struct Scratch {
    windows: [f32; SIDE],
    block: Block,
    /// The filtered colours, one after the other.
    planes: [Vec<f32>; 3],
}

impl Scratch {
    fn new() -> Self {
        Self { windows: windows(), block: Block::new(), planes: Default::default() }
    }

    /// Filters one colour of the rows of a strip. Blocks lie on a grid that does not depend on the strips.
    fn filter<T: Sample>(&mut self, strip: &Strip<'_, T>, colour: usize, gain: &Gain) {
        let (width, rows) = (strip.width, strip.end - strip.start);
        let pixel_len = strip.channels.count();
        let plane = &mut self.planes[colour];
        plane.clear();
        plane.resize(width * rows, 0.0);
        // Of the columns: which pixel each stands for, half a block beyond either end.
        let columns: Vec<usize> = (0..(width.div_ceil(STEP) + 2) * STEP)
            .map(|x| super::canvas::mirror(x as isize - STEP as isize, width) * pixel_len + colour)
            .collect();
        let starts: Vec<usize> = (0..columns.len() - STEP).step_by(STEP).collect();
        let first = strip.start / STEP * STEP;
        let mut top = first as isize - STEP as isize;
        while top < strip.end as isize {
            for pair in starts.chunks(2) {
                self.block.load(strip, top, &columns, pair, &self.windows);
                self.block.forward();
                multiply(&mut self.block.real, gain);
                multiply(&mut self.block.imaginary, gain);
                self.block.inverse();
                for (second, start) in pair.iter().enumerate() {
                    let values = if second == 1 { &self.block.imaginary } else { &self.block.real };
                    for (v, values) in values.iter().enumerate() {
                        let y = top + v as isize;
                        if y < strip.start as isize || y >= strip.end as isize {
                            continue;
                        }
                        let row = &mut plane[(y as usize - strip.start) * width..][..width];
                        for (u, value) in values.iter().enumerate() {
                            if let Some(x) = (start + u).checked_sub(STEP)
                                && x < width
                            {
                                row[x] += value / (SIDE * SIDE) as f32;
                            }
                        }
                    }
                }
            }
            top += STEP as isize;
        }
    }

    fn store<T: Sample>(&self, strip: &mut Strip<'_, T>) {
        let (pixel_len, colours) = (strip.channels.count(), strip.channels.colour_count());
        let (start, width) = (strip.start, strip.width);
        for y in strip.start..strip.end {
            for (x, pixel) in strip.row_mut(y).chunks_exact_mut(pixel_len).enumerate() {
                for (colour, sample) in pixel[..colours].iter_mut().enumerate() {
                    *sample = T::put(self.planes[colour][(y - start) * width + x]);
                }
            }
        }
    }
}

impl Block {
    /// Loads one or two blocks of a colour that start at these columns, each under its window.
    fn load<T: Sample>(
        &mut self,
        strip: &Strip<'_, T>,
        top: isize,
        columns: &[usize],
        starts: &[usize],
        windows: &[f32; SIDE],
    ) {
        for (v, down) in windows.iter().enumerate() {
            let row = strip.row(top + v as isize);
            let (real, imaginary) = (&mut self.real[v], &mut self.imaginary[v]);
            for (u, across) in windows.iter().enumerate() {
                let weight = down * across;
                real[u] = row[columns[starts[0] + u]].get() * weight;
                imaginary[u] = starts.get(1).map_or(0.0, |start| row[columns[start + u]].get() * weight);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn multiply(values: &mut [[f32; SIDE]], gain: &[[f32; SIDE]]) {
    for (values, gain) in values.iter_mut().zip(gain) {
        for (value, gain) in values.iter_mut().zip(gain) {
            *value *= gain;
        }
    }
}
