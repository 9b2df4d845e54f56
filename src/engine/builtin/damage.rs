//! Finding scratches, dust, hairs and cracks without being shown where they are.
//!
//! What differs from the median of its surroundings, and from how much they vary, is a candidate; candidates are
//! taken as connected pieces, described by some numbers and judged by a small network that was trained on damage
//! made in code (`scripts/training/damage.py`). A picture counts as damaged only if several pieces are beyond doubt;
//! what a photograph may well have shown (whiskers, glints, wires) then stays, and a picture in order stays as it is.

use std::sync::LazyLock;

use rayon::prelude::*;

use super::canvas::{Canvas, Sample, luma_of};
use crate::engine::{CancellationToken, Error, Mask};
use crate::imaging::{Image, Samples};

/// Numbers that describe a candidate.
pub(super) const FEATURES: usize = 20;
/// Units in the network's hidden layer.
const HIDDEN: usize = 24;
/// Larger pictures are looked at in a smaller copy: the damage grows with the resolution of the scan.
const PIXELS_MAX: usize = 12_000_000;
/// Radius of the median that stands for the undamaged picture.
const RADIUS: usize = 4;
/// Side of the cells in which variation and density are measured.
const CELL: usize = 8;
/// Share of the width and height along the edges where frames and borders are and nothing is judged.
const BORDER: f32 = 0.015;

/// Confidence of a piece that is beyond doubt, and of one that goes with it.
const SURE: f32 = 0.8;
const LIKELY: f32 = 0.6;
/// A picture is damaged if this many pieces are beyond doubt, and more of them in a large one: this many times the cube
/// root of its megapixels. Photographs in order have shown up to 31 times the root.
const PIECES_MIN: f32 = 12.0;
const PIECES_PER_ROOT: f32 = 35.0;
/// And if they cover this share of it.
const SHARE_MIN: f32 = 0.001;

/// The most marked pieces that others are held against.
const EXAMPLES_MAX: usize = 400;

/// Says whether to go on; looked at after every row and every few thousand pixels.
type Check<'a> = &'a (dyn Fn() -> Result<(), Error> + Sync);

/// Bytes that looking for damage takes beside the picture, its mask included.
pub fn damage_bytes(pixels: u64) -> u64 {
    // Brightness, colourfulness, difference, state and mark; and the numbers of the pieces' pixels.
    pixels + pixels.min(PIXELS_MAX as u64) * (6 + 4)
}

/// A connected piece of a picture that may be damage.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its pixels as `y * width + x` of the picture looked at, see [`candidates`].
    pub pixels: Vec<u32>,
    /// What it looks like, as the classifier sees it.
    pub features: [f32; FEATURES],
    /// How sure it is that this is damage, 0..=1.
    pub confidence: f32,
}

/// What was found in a picture.
pub(super) struct Found {
    /// Where it is damaged.
    pub(super) mask: Mask,
    /// Pieces in the mask.
    pub(super) pieces: usize,
    /// Pieces beyond doubt.
    pub(super) sure: usize,
    /// Mean confidence of the pieces in the mask, 0..=1.
    pub(super) confidence: f32,
    /// Whether there is enough of it to believe that the picture is damaged.
    pub(super) damaged: bool,
}

/// Lists what may be damage in a picture: what a classifier learns from. Pixels are numbered in the picture itself,
/// or in a copy of it scaled by a whole number if it has more than 12 megapixels.
pub fn candidates(image: &Image) -> Vec<Candidate> {
    let found = View::of(image, &|| Ok(())).and_then(|view| view.candidates(&|| Ok(())));
    found.unwrap_or_default()
}

/// Proposes where a picture is damaged: every piece of which the classifier is at least as sure as `threshold`
/// (0..=1), whether or not the picture as a whole looks damaged.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn propose_mask(image: &Image, threshold: f32, cancel: &CancellationToken) -> Result<Mask, Error> {
    let check = || if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) };
    let view = View::of(image, &check)?;
    let found = view.candidates(&check)?;
    Ok(view.mask(found.iter().filter(|candidate| candidate.confidence >= threshold)))
}

/// Proposes more places like those that somebody has marked: pieces that look like the marked ones, whatever the
/// classifier thinks of them. The marked places are part of the answer; without any the answer is empty.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn find_similar(image: &Image, seed: &Mask, cancel: &CancellationToken) -> Result<Mask, Error> {
    let check = || if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) };
    let view = View::of(image, &check)?;
    let found = view.candidates(&check)?;
    let is_marked = |pixel: u32| {
        let (x, y) = (pixel as usize % view.width, pixel as usize / view.width);
        let (x, y) = (x * view.scale, y * view.scale);
        x < seed.width as usize && y < seed.height as usize && seed.is_damaged(y * seed.width as usize + x)
    };
    let (marked, others): (Vec<&Candidate>, Vec<&Candidate>) = found.iter().partition(|candidate| {
        let inside = candidate.pixels.iter().filter(|&&pixel| is_marked(pixel)).count();
        2 * inside > candidate.pixels.len()
    });
    let spread: [f32; FEATURES] = std::array::from_fn(|index| {
        let values = found.iter().map(|candidate| candidate.features[index]);
        let mean = values.clone().sum::<f32>() / found.len().max(1) as f32;
        (values.map(|value| (value - mean).powi(2)).sum::<f32>() / found.len().max(1) as f32).sqrt().max(1e-3)
    });
    let distance = |a: &Candidate, b: &Candidate| {
        let terms = a.features.iter().zip(&b.features).zip(&spread);
        terms.map(|((a, b), spread)| ((a - b) / spread).powi(2).min(9.0)).sum::<f32>() / FEATURES as f32
    };
    let examples: Vec<&Candidate> =
        marked.iter().copied().step_by(marked.len().div_ceil(EXAMPLES_MAX).max(1)).collect();
    check()?;
    // Two things of one kind differ in about half of what things differ in.
    let similar: Vec<&Candidate> = others
        .into_par_iter()
        .filter(|other| {
            let near = if other.confidence > 0.5 { 0.8 } else { 0.35 };
            examples.iter().any(|example| distance(example, other) < near)
        })
        .collect();
    check()?;
    let mut mask = view.mask(similar.into_iter());
    for (sample, &marked) in mask.samples.iter_mut().zip(&seed.samples) {
        *sample = (*sample).max(if marked >= 128 { 255 } else { 0 });
    }
    Ok(mask)
}

/// Looks for damage that can be repaired without asking.
///
/// # Errors
/// What `check` says.
pub(super) fn detect<T: Sample>(canvas: &Canvas<'_, T>, check: Check<'_>) -> Result<Found, Error> {
    let size = (canvas.width, canvas.height);
    let view = View::new(&*canvas.samples, size, canvas.pixel_len(), canvas.has_colour(), check)?;
    let found = view.candidates(check)?;
    let sure: Vec<&Candidate> = found.iter().filter(|candidate| candidate.confidence >= SURE).collect();
    let area: usize = sure.iter().map(|candidate| candidate.pixels.len()).sum();
    let pixels = (view.width * view.height) as f32;
    let needed = (PIECES_PER_ROOT * (pixels / 1e6).cbrt()).max(PIECES_MIN);
    let damaged = sure.len() as f32 >= needed && area as f32 >= SHARE_MIN * pixels;
    let sure = sure.len();
    let taken: Vec<&Candidate> =
        found.iter().filter(|candidate| damaged && candidate.confidence >= LIKELY).collect();
    let total: f32 = taken.iter().map(|candidate| candidate.confidence).sum();
    check()?;
    Ok(Found {
        pieces: taken.len(),
        sure,
        // An empty sum is minus zero.
        confidence: (total + 0.0) / taken.len().max(1) as f32,
        damaged,
        mask: view.mask(taken.into_iter()),
    })
}

/// A picture as the finder sees it.
struct View {
    /// Size of the picture.
    full: (usize, usize),
    /// How many times smaller this view is.
    scale: usize,
    width: usize,
    height: usize,
    luma: Vec<u8>,
    /// Largest less smallest colour sample.
    colourfulness: Vec<u8>,
    /// Difference of the brightness to the median around it.
    difference: Vec<i16>,
    /// Mean of the absolute differences around each cell.
    variation: Vec<f32>,
}

impl View {
    fn of(image: &Image, check: Check<'_>) -> Result<Self, Error> {
        let size = (image.width as usize, image.height as usize);
        let (count, colour) = (image.channels.count(), image.channels.colour_count() == 3);
        match &image.samples {
            Samples::U8(samples) => Self::new(samples, size, count, colour, check),
            Samples::U16(samples) => Self::new(samples, size, count, colour, check),
        }
    }

    fn new<T: Sample>(
        samples: &[T],
        (width, height): (usize, usize),
        pixel_len: usize,
        colour: bool,
        check: Check<'_>,
    ) -> Result<Self, Error> {
        let scale = (1..).find(|scale| (width / scale) * (height / scale) <= PIXELS_MAX).unwrap_or(1);
        let full = (width, height);
        let (width, height) = ((width / scale).max(1), (height / scale).max(1));
        let mut luma = vec![0u8; width * height];
        let mut colourfulness = vec![0u8; width * height];
        luma.par_chunks_mut(width).zip(colourfulness.par_chunks_mut(width)).enumerate().try_for_each(
            |(y, (luma, colourful))| {
                check()?;
                for (x, (luma, colourful)) in luma.iter_mut().zip(colourful).enumerate() {
                    let (mut sum, mut spread) = (0.0, 0.0);
                    for v in 0..scale.min(full.1) {
                        for u in 0..scale.min(full.0) {
                            let at = ((y * scale + v) * full.0 + x * scale + u) * pixel_len;
                            let pixel = &samples[at..at + pixel_len];
                            sum += luma_of(pixel, if colour { 3 } else { 1 });
                            if colour {
                                let [r, g, b] = [pixel[0].get(), pixel[1].get(), pixel[2].get()];
                                spread += r.max(g).max(b) - r.min(g).min(b);
                            }
                        }
                    }
                    let count = (scale * scale) as f32;
                    *luma = u8::put(sum / count);
                    *colourful = u8::put(spread / count);
                }
                Ok::<(), Error>(())
            },
        )?;
        let difference = differences(&luma, width, height, check)?;
        check()?;
        let variation = cells(width, height, |index| f32::from(difference[index].unsigned_abs().min(30)), 2);
        Ok(Self { full, scale, width, height, luma, colourfulness, difference, variation })
    }

    fn cell(&self, index: usize) -> usize {
        let (x, y) = (index % self.width, index / self.width);
        y / CELL * self.width.div_ceil(CELL) + x / CELL
    }

    fn candidates(&self, check: Check<'_>) -> Result<Vec<Candidate>, Error> {
        let mut state = self.states();
        check()?;
        let density = cells(self.width, self.height, |index| if state[index] > 0 { 1.0 } else { 0.0 }, 4);
        let levels = self.levels();
        let mut found = Vec::new();
        let mut pending = Vec::new();
        for start in 0..state.len() {
            if start % (1 << 16) == 0 {
                check()?;
            }
            if state[start] & STRONG == 0 {
                continue;
            }
            let sign = state[start] & (LIGHT | DARK);
            let mut pixels = Vec::new();
            let mut strong = 0usize;
            pending.push(start);
            strong += usize::from(state[start] & STRONG > 0);
            state[start] = 0;
            while let Some(index) = pending.pop() {
                pixels.push(index as u32);
                if pixels.len() % (1 << 16) == 0 {
                    check()?;
                }
                let (x, y) = (index % self.width, index / self.width);
                for v in y.saturating_sub(1)..=(y + 1).min(self.height - 1) {
                    for u in x.saturating_sub(1)..=(x + 1).min(self.width - 1) {
                        let next = v * self.width + u;
                        if state[next] & sign > 0 {
                            strong += usize::from(state[next] & STRONG > 0);
                            state[next] = 0;
                            pending.push(next);
                        }
                    }
                }
            }
            let piece = Piece { pixels: &pixels, light: sign == LIGHT, strong };
            if pixels.len() >= 3 && !self.lies_on_the_border(&pixels) {
                let features = self.describe(&piece, &density, levels);
                found.push(Candidate { confidence: NETWORK.judge(&features), pixels, features });
            }
        }
        Ok(found)
    }

    /// Which pixels stand out, on which side and how much.
    fn states(&self) -> Vec<u8> {
        let mut state = vec![0u8; self.luma.len()];
        state.par_chunks_mut(self.width).enumerate().for_each(|(y, row)| {
            for (x, state) in row.iter_mut().enumerate() {
                let index = y * self.width + x;
                let difference = f32::from(self.difference[index]);
                let variation = self.variation[self.cell(index)];
                let amount = difference.abs();
                if amount > (1.6 * variation).max(7.0) {
                    let strong = amount > (3.5 * variation).max(18.0);
                    *state = if difference > 0.0 { LIGHT } else { DARK } | if strong { STRONG } else { 0 };
                }
            }
        });
        state
    }

    /// Brightness at 2 %, 50 % and 98 % of the pixels.
    fn levels(&self) -> [f32; 3] {
        let mut counts = [0usize; 256];
        for &value in &self.luma {
            counts[usize::from(value)] += 1;
        }
        [0.02, 0.5, 0.98].map(|share| {
            let wanted = (share * self.luma.len() as f32) as usize;
            let mut below = 0;
            counts
                .iter()
                .position(|count| {
                    below += count;
                    below > wanted
                })
                .unwrap_or(255) as f32
        })
    }

    fn lies_on_the_border(&self, pixels: &[u32]) -> bool {
        let (across, down) =
            ((self.width as f32 * BORDER).ceil() as usize, (self.height as f32 * BORDER).ceil() as usize);
        let outside = pixels.iter().filter(|&&index| {
            let (x, y) = (index as usize % self.width, index as usize / self.width);
            x < across || y < down || x + across >= self.width || y + down >= self.height
        });
        2 * outside.count() > pixels.len()
    }

    fn describe(&self, piece: &Piece<'_>, density: &[f32], [low, middle, high]: [f32; 3]) -> [f32; FEATURES] {
        let count = piece.pixels.len() as f32;
        let mut contrast = Moments::default();
        let (mut value, mut ground) = (Moments::default(), Moments::default());
        let (mut xs, mut ys, mut mixed) = (Moments::default(), Moments::default(), 0.0);
        let (mut variation, mut slope, mut ridge, mut colourful, mut dense) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for &index in piece.pixels {
            let index = index as usize;
            let (x, y) = (index % self.width, index / self.width);
            let luma = f32::from(self.luma[index]);
            let difference = f32::from(self.difference[index]);
            contrast.add(difference.abs());
            value.add(luma);
            ground.add(luma - difference);
            xs.add(x as f32);
            ys.add(y as f32);
            mixed += x as f32 * y as f32;
            variation += self.variation[self.cell(index)];
            dense += density[self.cell(index)];
            colourful += f32::from(self.colourfulness[index]);
            slope += self.slope(x, y);
            ridge += self.ridge(x, y, piece.light) / (difference.abs() + 1.0);
        }
        let variation = variation / count;
        let covariance = mixed / count - xs.mean() * ys.mean();
        let (a, c) = (xs.variance(), ys.variance());
        let half = ((a - c) * (a - c) * 0.25 + covariance * covariance).sqrt();
        let (first, second) = ((a + c) * 0.5 + half, ((a + c) * 0.5 - half).max(0.0));
        let extent = (xs.range().powi(2) + ys.range().powi(2)).sqrt() + 1.0;
        let extreme = if piece.light {
            (value.mean() - middle) / (high - middle + 1.0)
        } else {
            (middle - value.mean()) / (middle - low + 1.0)
        };
        [
            count.ln(),
            extent.ln(),
            count / extent,
            (first + 1.0).ln(),
            second.sqrt(),
            contrast.mean() / 20.0,
            contrast.greatest / 20.0,
            contrast.mean() / (variation + 1.0),
            (variation + 1.0).ln(),
            extreme,
            colourful / count / 50.0,
            value.deviation() / 10.0,
            ground.deviation() / 10.0,
            (slope / count + 1.0).ln(),
            dense / count * 10.0,
            if piece.light { 1.0 } else { -1.0 },
            contrast.deviation() / (contrast.mean() + 1.0),
            piece.strong as f32 / count,
            ridge / count,
            value.deviation() / (value.deviation() + ground.deviation() + 1.0),
        ]
    }

    /// How much the surroundings of a pixel slope.
    fn slope(&self, x: usize, y: usize) -> f32 {
        let ground = |x: usize, y: usize| {
            let index = y * self.width + x;
            f32::from(i16::from(self.luma[index]) - self.difference[index])
        };
        let (left, right) = (x.saturating_sub(6), (x + 6).min(self.width - 1));
        let (above, below) = (y.saturating_sub(6), (y + 6).min(self.height - 1));
        (ground(right, y) - ground(left, y)).abs() + (ground(x, below) - ground(x, above)).abs()
    }

    /// How much a pixel stands out on both sides, in the direction in which it does most.
    fn ridge(&self, x: usize, y: usize, light: bool) -> f32 {
        const AWAY: isize = 5;
        let at = |u: isize, v: isize| {
            let u = (x as isize + u).clamp(0, self.width as isize - 1) as usize;
            let v = (y as isize + v).clamp(0, self.height as isize - 1) as usize;
            f32::from(self.luma[v * self.width + u])
        };
        let here = at(0, 0);
        let sign = if light { 1.0 } else { -1.0 };
        [(AWAY, 0), (0, AWAY), (4, 4), (4, -4)]
            .into_iter()
            .map(|(u, v)| (sign * (here - at(u, v))).min(sign * (here - at(-u, -v))))
            .fold(f32::NEG_INFINITY, f32::max)
    }

    /// The pieces, with the rim that they share with their surroundings, in the size of the picture.
    fn mask<'a>(&self, pieces: impl Iterator<Item = &'a Candidate>) -> Mask {
        let mut marked = vec![false; self.luma.len()];
        for piece in pieces {
            let light = piece.features[15] > 0.0;
            for &index in &piece.pixels {
                let (x, y) = (index as usize % self.width, index as usize / self.width);
                for v in y.saturating_sub(2)..=(y + 2).min(self.height - 1) {
                    for u in x.saturating_sub(2)..=(x + 2).min(self.width - 1) {
                        let near = u.abs_diff(x).max(v.abs_diff(y)) <= 1;
                        let difference = self.difference[v * self.width + u];
                        if near || (if light { difference } else { -difference }) > 3 {
                            marked[v * self.width + u] = true;
                        }
                    }
                }
            }
        }
        let (width, height) = self.full;
        let mut samples = vec![0u8; width * height];
        samples.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
            let y = (y / self.scale).min(self.height - 1);
            for (x, sample) in row.iter_mut().enumerate() {
                if marked[y * self.width + (x / self.scale).min(self.width - 1)] {
                    *sample = 255;
                }
            }
        });
        Mask { width: width as u32, height: height as u32, samples }
    }
}

const LIGHT: u8 = 1;
const DARK: u8 = 2;
const STRONG: u8 = 4;

struct Piece<'a> {
    pixels: &'a [u32],
    light: bool,
    strong: usize,
}

/// Mean and spread of some numbers.
struct Moments {
    count: f32,
    sum: f64,
    squares: f64,
    least: f32,
    greatest: f32,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0.0, sum: 0.0, squares: 0.0, least: f32::INFINITY, greatest: f32::NEG_INFINITY }
    }
}

impl Moments {
    fn add(&mut self, value: f32) {
        self.count += 1.0;
        self.sum += f64::from(value);
        self.squares += f64::from(value) * f64::from(value);
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
    }

    fn mean(&self) -> f32 {
        (self.sum / f64::from(self.count)) as f32
    }

    fn variance(&self) -> f32 {
        let mean = self.sum / f64::from(self.count);
        (self.squares / f64::from(self.count) - mean * mean).max(0.0) as f32
    }

    fn deviation(&self) -> f32 {
        self.variance().sqrt()
    }

    fn range(&self) -> f32 {
        self.greatest - self.least
    }
}

/// The difference of each sample to the median of those around it.
fn differences(luma: &[u8], width: usize, height: usize, check: Check<'_>) -> Result<Vec<i16>, Error> {
    let mut out = vec![0i16; luma.len()];
    out.par_chunks_mut(width).enumerate().try_for_each(|(y, out)| {
        check()?;
        let top = y.saturating_sub(RADIUS);
        let bottom = (y + RADIUS).min(height - 1);
        // Huang's running median: the counts of the window, and how many lie below the median.
        let mut counts = [0u16; 256];
        let (mut total, mut median, mut below) = (0usize, 0usize, 0usize);
        for x in 0..width + RADIUS {
            if x < width {
                for v in top..=bottom {
                    let value = usize::from(luma[v * width + x]);
                    counts[value] += 1;
                    total += 1;
                    below += usize::from(value < median);
                }
            }
            if x > 2 * RADIUS {
                for v in top..=bottom {
                    let value = usize::from(luma[v * width + x - 2 * RADIUS - 1]);
                    counts[value] -= 1;
                    total -= 1;
                    below -= usize::from(value < median);
                }
            }
            if x < RADIUS {
                continue;
            }
            while below > total / 2 {
                median -= 1;
                below -= usize::from(counts[median]);
            }
            while below + usize::from(counts[median]) <= total / 2 {
                below += usize::from(counts[median]);
                median += 1;
            }
            out[x - RADIUS] = i16::from(luma[y * width + x - RADIUS]) - median as i16;
        }
        Ok::<(), Error>(())
    })?;
    Ok(out)
}

/// Mean of a quantity over each cell and the `around` cells on every side of it.
fn cells(width: usize, height: usize, value: impl Fn(usize) -> f32 + Sync, around: usize) -> Vec<f32> {
    let (across, down) = (width.div_ceil(CELL), height.div_ceil(CELL));
    let means: Vec<f32> = (0..across * down)
        .into_par_iter()
        .map(|cell| {
            let (left, top) = (cell % across * CELL, cell / across * CELL);
            let (right, bottom) = ((left + CELL).min(width), (top + CELL).min(height));
            let sum: f32 =
                (top..bottom).map(|y| (left..right).map(|x| value(y * width + x)).sum::<f32>()).sum();
            sum / ((right - left) * (bottom - top)) as f32
        })
        .collect();
    (0..across * down)
        .into_par_iter()
        .map(|cell| {
            let (x, y) = (cell % across, cell / across);
            let (mut sum, mut count) = (0.0, 0.0);
            for v in y.saturating_sub(around)..=(y + around).min(down - 1) {
                for u in x.saturating_sub(around)..=(x + around).min(across - 1) {
                    sum += means[v * across + u];
                    count += 1.0;
                }
            }
            sum / count
        })
        .collect()
}

/// One hidden layer between the features and the verdict.
struct Network {
    centre: [f32; FEATURES],
    scale: [f32; FEATURES],
    hidden: Vec<[f32; FEATURES]>,
    hidden_bias: Vec<f32>,
    out: Vec<f32>,
    out_bias: f32,
}

static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let file: &[u8] = include_bytes!("../../../assets/engine/damage.bin");
    let mut numbers =
        file.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let mut next = || numbers.next().unwrap_or_default();
    Network {
        centre: std::array::from_fn(|_| next()),
        scale: std::array::from_fn(|_| next()),
        hidden: (0..HIDDEN).map(|_| std::array::from_fn(|_| next())).collect(),
        hidden_bias: (0..HIDDEN).map(|_| next()).collect(),
        out: (0..HIDDEN).map(|_| next()).collect(),
        out_bias: next(),
    }
});

impl Network {
    fn judge(&self, features: &[f32; FEATURES]) -> f32 {
        let input: [f32; FEATURES] =
            std::array::from_fn(|i| ((features[i] - self.centre[i]) * self.scale[i]).clamp(-4.0, 4.0));
        let mut sum = self.out_bias;
        for ((weights, bias), out) in self.hidden.iter().zip(&self.hidden_bias).zip(&self.out) {
            let unit: f32 =
                bias + weights.iter().zip(&input).map(|(weight, value)| weight * value).sum::<f32>();
            sum += out * unit.max(0.0);
        }
        1.0 / (1.0 + (-sum).exp())
    }
}
