//! Enlarging to twice the size with a bank of learned filters (after Romano, Isidoro and Milanfar, "RAISR", 2016).
//!
//! Each pixel becomes four. What they add to the pixel's brightness is a weighted sum of the differences to the 48
//! pixels around it; the weights are picked by the direction, strength and coherence of the structure there. Colour
//! and alpha are interpolated. At the end what averaging the result back would miss is added once. The weights come
//! from `scripts/training/upscale.py`.

use std::sync::LazyLock;

use multiversion::multiversion;
use rayon::prelude::*;

use super::Verdict;
use super::canvas::{Canvas, Sample, Ticker, luma_of, mirror};
use crate::engine::Error;

/// Side of what a filter sees, and its half.
const TAPS: usize = 7;
const REACH: usize = TAPS / 2;
/// Filters, for 16 directions, 3 strengths and 3 coherences.
const FILTERS: usize = 16 * 3 * 3;
/// Weights in the file stand for this share of 1.
const UNIT: f32 = 1.0 / 8192.0;
/// Rows and columns beyond its own that a part needs: the filters' and the structure's reach, and the correction's.
const HALO: usize = REACH + 2;
/// Rows of the source that one part of the work covers.
const ROWS: usize = 32;
/// Cubic interpolation a quarter of a pixel beside a sample.
const CUBIC: [f32; 4] = [-0.105_468_75, 0.878_906_25, 0.261_718_75, -0.035_156_25];

/// The four weights of each tap, by filter.
static BANK: LazyLock<Vec<[[f32; 4]; TAPS * TAPS]>> = LazyLock::new(|| {
    let file: &[u8] = include_bytes!("../../../assets/engine/upscale-x2.bin");
    let weight = |filter: usize, phase: usize, tap: usize| {
        let at = ((filter * 4 + phase) * TAPS * TAPS + tap) * 2;
        f32::from(i16::from_le_bytes([file[at], file[at + 1]])) * UNIT
    };
    (0..FILTERS)
        .map(|filter| std::array::from_fn(|tap| std::array::from_fn(|phase| weight(filter, phase, tap))))
        .collect()
});

/// Enlarges to twice the width and height. Returns the new samples; those of the canvas stay.
pub(super) fn run<T: Sample>(
    canvas: &Canvas<'_, T>,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(Vec<T>, Verdict), Error> {
    let row_len = 2 * canvas.row_len();
    let mut samples = vec![T::default(); row_len * 2 * canvas.height];
    let rows = ticker.strip_rows.unwrap_or(ROWS).max(1);
    ticker.expect(canvas.height.div_ceil(rows));
    samples.par_chunks_mut(2 * rows * row_len).enumerate().try_for_each_init(
        || Part::new(canvas.width),
        |part, (index, out)| {
            ticker.check()?;
            part.enlarge(canvas, index * rows, out, strength);
            ticker.advance();
            Ok::<(), Error>(())
        },
    )?;
    let verdict = Verdict::applied("The picture was enlarged to twice its width and height.")
        .with("width", 2.0 * canvas.width as f64)
        .with("height", 2.0 * canvas.height as f64);
    Ok((samples, verdict))
}

/// Some rows of a picture while they are enlarged.
struct Part {
    width: usize,
    /// Brightness of the source rows with [`HALO`] more on every side.
    luma: Vec<f32>,
    /// What each pixel's four add to it, row by row, with two more pixels on every side.
    added: Vec<[f32; 4]>,
    /// What averaging back would miss, likewise.
    missing: Vec<f32>,
    tensor: Tensor,
}

/// The structure around each pixel of one row.
#[derive(Default)]
struct Tensor {
    /// Squared and mixed slopes, summed over five rows.
    down: [Vec<f32>; 3],
    filter: Vec<u16>,
}

impl Part {
    fn new(width: usize) -> Self {
        Self { width, luma: Vec::new(), added: Vec::new(), missing: Vec::new(), tensor: Tensor::default() }
    }

    /// Length of a row of `luma`.
    fn stride(&self) -> usize {
        self.width + 2 * HALO
    }

    fn enlarge<T: Sample>(&mut self, canvas: &Canvas<'_, T>, start: usize, out: &mut [T], strength: f32) {
        let rows = out.len() / (4 * canvas.row_len());
        self.load(canvas, start, rows);
        self.add(rows);
        self.correct();
        self.write(canvas, start, out, strength);
    }

    fn load<T: Sample>(&mut self, canvas: &Canvas<'_, T>, start: usize, rows: usize) {
        let colours = canvas.channels.colour_count();
        let (pixel_len, row_len) = (canvas.pixel_len(), canvas.row_len());
        self.luma.clear();
        for index in 0..rows + 2 * HALO {
            let y = mirror((start + index) as isize - HALO as isize, canvas.height);
            let row = &canvas.samples[y * row_len..(y + 1) * row_len];
            let at = |x: isize| luma_of(&row[mirror(x, canvas.width) * pixel_len..], colours);
            self.luma.extend((-(HALO as isize)..0).map(at));
            self.luma.extend(row.chunks_exact(pixel_len).map(|pixel| luma_of(pixel, colours)));
            let width = canvas.width as isize;
            self.luma.extend((width..width + HALO as isize).map(at));
        }
    }

    /// Applies the filters to the rows, two more around them, and two more columns.
    fn add(&mut self, rows: usize) {
        let (stride, across) = (self.stride(), self.width + 4);
        self.added.clear();
        self.added.resize((rows + 4) * across, [0.0; 4]);
        for (index, added) in self.added.chunks_exact_mut(across).enumerate() {
            // The seven rows around this one.
            let seen = &self.luma[index * stride..(index + TAPS) * stride];
            self.tensor.pick(seen, stride, across);
            apply(seen, stride, &self.tensor.filter, &BANK, added);
        }
    }

    /// What the mean of the four differs from the pixel.
    fn correct(&mut self) {
        self.missing.clear();
        self.missing.extend(self.added.iter().map(|[a, b, c, d]| -0.25 * (a + b + c + d)));
    }

    fn write<T: Sample>(&self, canvas: &Canvas<'_, T>, start: usize, out: &mut [T], strength: f32) {
        let (pixel_len, colours) = (canvas.pixel_len(), canvas.channels.colour_count());
        let (across, row_len) = (self.width + 4, 2 * canvas.row_len());
        let mut down = vec![0.0f32; (self.width + 4) * pixel_len];
        let mut missing = vec![0.0f32; across];
        for (index, row) in out.chunks_exact_mut(row_len).enumerate() {
            let (source, lower) = (index / 2, index % 2);
            // Taps from above to below: an upper pixel leans on the row above, a lower one on the row below.
            let taps: [f32; 4] = std::array::from_fn(|tap| CUBIC[if lower == 1 { tap } else { 3 - tap }]);
            let first = source as isize - 2 + lower as isize;
            down.fill(0.0);
            missing.fill(0.0);
            for (tap, weight) in taps.into_iter().enumerate() {
                let y = mirror(start as isize + first + tap as isize, canvas.height);
                let samples = &canvas.samples[y * canvas.row_len()..(y + 1) * canvas.row_len()];
                for (sum, sample) in down[2 * pixel_len..].iter_mut().zip(samples) {
                    *sum += weight * sample.get();
                }
                let line = (first + 2) as usize + tap;
                for (sum, value) in missing.iter_mut().zip(&self.missing[line * across..(line + 1) * across])
                {
                    *sum += weight * value;
                }
            }
            for x in -2..0 {
                for (to, from) in [(x + 2, x), (self.width as isize - x + 1, self.width as isize - x - 1)] {
                    let from = (mirror(from, self.width) + 2) * pixel_len;
                    down.copy_within(from..from + pixel_len, to as usize * pixel_len);
                }
            }
            let added = &self.added[(source + 2) * across..(source + 3) * across];
            let luma = &self.luma[(source + HALO) * self.stride() + HALO..][..self.width];
            for (x, pair) in row.chunks_exact_mut(2 * pixel_len).enumerate() {
                for (right, pixel) in pair.chunks_exact_mut(pixel_len).enumerate() {
                    let taps: [f32; 4] =
                        std::array::from_fn(|tap| CUBIC[if right == 1 { tap } else { 3 - tap }]);
                    let mut smooth = [0.0f32; 4];
                    let mut correction = 0.0;
                    for (tap, weight) in taps.into_iter().enumerate() {
                        let column = x + right + tap;
                        correction += weight * missing[column];
                        for (sum, value) in smooth.iter_mut().zip(&down[column * pixel_len..][..pixel_len]) {
                            *sum += weight * value;
                        }
                    }
                    let wanted = luma[x] + added[x + 2][2 * lower + right] + correction;
                    let delta = (wanted - luma_of_values(&smooth, colours)) * strength;
                    for (channel, sample) in pixel.iter_mut().enumerate() {
                        *sample = T::put(smooth[channel] + if channel < colours { delta } else { 0.0 });
                    }
                }
            }
        }
    }
}

/// Brightness of a pixel that is not rounded yet.
fn luma_of_values(pixel: &[f32; 4], colours: usize) -> f32 {
    if colours == 1 { pixel[0] } else { 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2] }
}

impl Tensor {
    /// Picks the filters of the row in the middle of seven.
    fn pick(&mut self, seen: &[f32], stride: usize, across: usize) {
        for sums in &mut self.down {
            sums.clear();
            sums.resize(across + 4, 0.0);
        }
        self.filter.resize(across, 0);
        slopes(seen, stride, &mut self.down);
        let [a, b, c] = &self.down;
        classify(a, b, c, &mut self.filter);
    }
}

const BINOMIAL: [f32; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// Sums the products of the slopes over five rows. Entry 0 belongs to the pixel two left of the first.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn slopes(seen: &[f32], stride: usize, sums: &mut [Vec<f32>; 3]) {
    let [a, b, c] = sums;
    let len = a.len();
    for (tap, weight) in BINOMIAL.into_iter().enumerate() {
        let row = |y: usize| &seen[(tap + y) * stride..(tap + y + 1) * stride];
        let (above, here, below) = (row(0), row(1), row(2));
        let (left, right) = (&here[..len], &here[2..len + 2]);
        let (above, below) = (&above[1..len + 1], &below[1..len + 1]);
        for i in 0..len {
            let (across, down) = ((right[i] - left[i]) * 0.5, (below[i] - above[i]) * 0.5);
            a[i] += weight * (across * across);
            b[i] += weight * (across * down);
            c[i] += weight * (down * down);
        }
    }
}

/// Direction, strength and coherence to the number of a filter.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn classify(a: &[f32], b: &[f32], c: &[f32], filter: &mut [u16]) {
    let sum = |plane: &[f32], x: usize| {
        let mut total = 0.0;
        for (tap, weight) in BINOMIAL.into_iter().enumerate() {
            total += weight * plane[x + tap];
        }
        total
    };
    for (x, filter) in filter.iter_mut().enumerate() {
        let (a, b, c) = (sum(a, x), sum(b, x), sum(c, x));
        let (cosine, sine) = (a - c, 2.0 * b);
        let (mean, half) = ((a + c) * 0.5, (cosine * cosine + sine * sine).sqrt() * 0.5);
        let (first, second) = ((mean + half).sqrt(), (mean - half).max(0.0).sqrt());
        let coherence = (first - second) / (first + second + 1e-3);
        let (flat, steep) = (cosine.abs(), sine.abs());
        let octant = u16::from(steep >= flat * 0.414_213_57)
            + u16::from(steep >= flat)
            + u16::from(steep >= flat * 2.414_213_7);
        let direction = match (cosine < 0.0, sine < 0.0) {
            (false, false) => octant,
            (true, false) => 7 - octant,
            (true, true) => 8 + octant,
            (false, true) => 15 - octant,
        };
        let strength = u16::from(first > 2.0) + u16::from(first > 8.0);
        let coherence = u16::from(coherence > 0.25) + u16::from(coherence > 0.5);
        *filter = (direction * 3 + strength) * 3 + coherence;
    }
}

/// The sums of one row: `seen` are the seven rows around it.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn apply(
    seen: &[f32],
    stride: usize,
    filter: &[u16],
    bank: &[[[f32; 4]; TAPS * TAPS]],
    added: &mut [[f32; 4]],
) {
    for (x, (added, filter)) in added.iter_mut().zip(filter).enumerate() {
        let weights = &bank[usize::from(*filter)];
        let centre = seen[REACH * stride + x + REACH];
        let mut sums = [0.0f32; 4];
        for v in 0..TAPS {
            let row = &seen[v * stride + x..][..TAPS];
            for u in 0..TAPS {
                let difference = row[u] - centre;
                let weights = &weights[v * TAPS + u];
                for phase in 0..4 {
                    sums[phase] += weights[phase] * difference;
                }
            }
        }
        *added = sums;
    }
}
