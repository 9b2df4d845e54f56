//! Colour blotches: a guided filter (He, Sun and Tang, 2010) on Cb and Cr with the brightness as its guide, so that
//! colour changes only where brightness does.

use multiversion::multiversion;

use super::canvas::{Canvas, Sample, Strip, Ticker, mirror};
use super::sliding::Space;
use super::{Known, Verdict, fade, noise};
use crate::engine::Error;

/// Half the width of the window in pixels.
const RADIUS: usize = 6;
const WINDOW: usize = 2 * RADIUS + 1;
/// Variance of the brightness (0..=255, squared) below which a window counts as flat.
const EPSILON: f32 = 60.0;
const HALO: usize = 2 * RADIUS;

/// Rows and columns that the result of a pixel depends on, on each side of it.
pub(super) const REACH: usize = HALO;

/// Looks for colour noise in the whole picture. The filter itself needs to know nothing of the whole.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<()>), Error> {
    if !canvas.has_colour() {
        return Ok((Verdict::skipped("The picture has no colour."), None));
    }
    let [_, blue, red] = noise::measure(canvas, Space::YCbCr, known.mask.as_deref());
    ticker.check()?;
    let level = blue.map_or(0.0, |s| s.level).max(red.map_or(0.0, |s| s.level));
    let fading = fade::evidence(canvas);
    let report =
        |verdict: Verdict| verdict.with("chroma_noise", f64::from(level)).with("fading", f64::from(fading));
    // Blocks of compressed colour that nobody sees now will be seen once the fading is undone.
    let blocks = known.jpeg_quality.is_some_and(|quality| quality < 85.0) && fading > 0.3;
    if level < 3.0 && !blocks {
        return Ok((report(Verdict::skipped("The colours are clean.")), None));
    }
    let verdict = Verdict::applied("The colours were blotchy; they now follow the brightness.");
    Ok((report(verdict), Some(())))
}

/// Lets the colours of a picture, or of a part of it, follow its brightness.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let positions: Vec<usize> =
        (0..canvas.width + 4 * RADIUS).map(|x| mirror(x as isize - HALO as isize, canvas.width)).collect();
    canvas.in_strips(HALO, ticker, Scratch::default, |scratch, strip| {
        scratch.filter(strip, &positions, strength);
        Ok(())
    })
}

/// Planes of a strip with its halo. After the guide and the two colours come the window sums.
#[derive(Default)]
struct Scratch {
    /// Brightness, Cb, Cr.
    planes: [Vec<f32>; 3],
    /// Windows' sums along rows: of the guide, Cb, Cr, the guide's square and its products with Cb and Cr; then of the slopes
    /// and offsets.
    sums: [Vec<f32>; 6],
    slopes: [Vec<f32>; 4],
    row: [Vec<f32>; 6],
}

impl Scratch {
    fn filter<T: Sample>(&mut self, strip: &mut Strip<'_, T>, positions: &[usize], strength: f32) {
        let wide = positions.len();
        let rows = strip.end - strip.start + 2 * HALO;
        let pixel_len = strip.channels.count();
        for plane in &mut self.planes {
            plane.resize(rows * wide, 0.0);
        }
        for index in 0..rows {
            let row = strip.row(strip.start as isize + index as isize - HALO as isize);
            for (x, &source) in positions.iter().enumerate() {
                let start = source * pixel_len;
                let values = Space::YCbCr.split(&row[start..start + 3]);
                for (plane, value) in self.planes.iter_mut().zip(values) {
                    plane[index * wide + x] = value;
                }
            }
        }
        // Sums along rows, for windows that start at each column.
        let summed = wide - 2 * RADIUS;
        for sums in &mut self.sums {
            sums.resize(rows * summed, 0.0);
        }
        for row in &mut self.row {
            row.resize(wide, 0.0);
        }
        for index in 0..rows {
            let [guide, blue, red] =
                self.planes.each_ref().map(|plane| &plane[index * wide..(index + 1) * wide]);
            products(guide, blue, red, &mut self.row);
            let span = index * summed..(index + 1) * summed;
            for (values, sums) in self.row.iter().zip(&mut self.sums) {
                sum_along(values, &mut sums[span.clone()]);
            }
        }
        // Slopes and offsets of the windows that lie wholly inside.
        let fitted = rows - 2 * RADIUS;
        for slopes in &mut self.slopes {
            slopes.resize(fitted * summed, 0.0);
        }
        for index in 0..fitted {
            let span = index * summed..(index + 1) * summed;
            let window = index * summed..(index + WINDOW) * summed;
            for (sums, row) in self.sums.iter().zip(&mut self.row) {
                sum_down(&sums[window.clone()], &mut row[..summed]);
            }
            let [a, b, c, d] = &mut self.slopes;
            let slopes = [&mut a[span.clone()], &mut b[span.clone()], &mut c[span.clone()], &mut d[span]];
            fit(&self.row, slopes);
        }
        // Their means.
        let width = summed - 2 * RADIUS;
        for index in 0..fitted {
            for (slopes, sums) in self.slopes.iter().zip(&mut self.sums) {
                sum_along(
                    &slopes[index * summed..(index + 1) * summed],
                    &mut sums[index * width..(index + 1) * width],
                );
            }
        }
        for y in strip.start..strip.end {
            let index = y - strip.start;
            for (sums, row) in self.sums[..4].iter().zip(&mut self.row) {
                sum_down(&sums[index * width..(index + WINDOW) * width], &mut row[..width]);
            }
            let span = (index + HALO) * wide + HALO..(index + HALO) * wide + HALO + width;
            let [guide, blue, red] = self.planes.each_ref().map(|plane| &plane[span.clone()]);
            let count = 1.0 / (WINDOW * WINDOW) as f32;
            for (x, pixel) in strip.row_mut(y).chunks_exact_mut(pixel_len).enumerate() {
                let new_blue = (self.row[0][x] * guide[x] + self.row[1][x]) * count;
                let new_red = (self.row[2][x] * guide[x] + self.row[3][x]) * count;
                let delta = [0.0, (new_blue - blue[x]) * strength, (new_red - red[x]) * strength];
                Space::YCbCr.add(&mut pixel[..3], delta);
            }
        }
    }
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn products(guide: &[f32], blue: &[f32], red: &[f32], rows: &mut [Vec<f32>; 6]) {
    let [r0, r1, r2, r3, r4, r5] = rows;
    r0.copy_from_slice(guide);
    r1.copy_from_slice(blue);
    r2.copy_from_slice(red);
    for (out, g) in r3.iter_mut().zip(guide) {
        *out = g * g;
    }
    for ((out, g), b) in r4.iter_mut().zip(guide).zip(blue) {
        *out = g * b;
    }
    for ((out, g), r) in r5.iter_mut().zip(guide).zip(red) {
        *out = g * r;
    }
}

/// Sums of the windows along a row.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn sum_along(values: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for offset in 0..WINDOW {
        for (sum, value) in sums.iter_mut().zip(&values[offset..]) {
            *sum += value;
        }
    }
}

/// Sums down the rows of a window.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn sum_down(rows: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for row in rows.chunks_exact(sums.len()) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

/// From the sums of a window, the straight lines that lead from brightness to Cb and Cr.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn fit(sums: &[Vec<f32>; 6], [blue_slope, blue_offset, red_slope, red_offset]: [&mut [f32]; 4]) {
    let count = 1.0 / (WINDOW * WINDOW) as f32;
    for x in 0..blue_slope.len() {
        let [guide, blue, red, square, with_blue, with_red] = [
            sums[0][x] * count,
            sums[1][x] * count,
            sums[2][x] * count,
            sums[3][x] * count,
            sums[4][x] * count,
            sums[5][x] * count,
        ];
        let scale = 1.0 / ((square - guide * guide).max(0.0) + EPSILON);
        blue_slope[x] = (with_blue - guide * blue) * scale;
        blue_offset[x] = blue - blue_slope[x] * guide;
        red_slope[x] = (with_red - guide * red) * scale;
        red_offset[x] = red - red_slope[x] * guide;
    }
}
