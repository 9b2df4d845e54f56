//! The scan as it is looked at, the lid on it, and what is none.

use super::Point;
use crate::imaging::pixels::{Image, Samples};

/// The picture is looked at in a copy with at most this many pixels along its longer side.
const SIDE_MAX: usize = 1000;

/// A print has at least this share of the scan.
const AREA_MIN: f64 = 0.01;

/// The lid shows in at least this share of the rim.
const LID_MIN: f64 = 0.25;
/// And in at least this share of each of its sides.
const SIDE_LID_MIN: f64 = 0.03;
/// Differences to the lid below this are noise, whatever is measured; above the second they are none.
const DIFFERENT: f32 = 6.0;
const NOISIEST: f32 = 18.0;

/// The picture as it is looked at.
pub(super) struct View {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Pixels of the picture per pixel of this.
    pub(super) scale: usize,
    pub(super) rgb: Vec<[f32; 3]>,
}

impl View {
    pub(super) fn of(image: &Image) -> Self {
        match &image.samples {
            Samples::U8(samples) => Self::new(image, |at| f32::from(samples[at])),
            Samples::U16(samples) => Self::new(image, |at| f32::from(samples[at]) / 257.0),
        }
    }

    fn new(image: &Image, sample: impl Fn(usize) -> f32) -> Self {
        let (full_width, full_height) = (image.width as usize, image.height as usize);
        let scale = full_width.max(full_height).div_ceil(SIDE_MAX).max(1);
        let (width, height) = ((full_width / scale).max(1), (full_height / scale).max(1));
        let (count, colours) = (image.channels.count(), image.channels.colour_count());
        let mut rgb = vec![[0.0; 3]; width * height];
        for (index, pixel) in rgb.iter_mut().enumerate() {
            let (x, y) = (index % width * scale, index / width * scale);
            let (mut sum, mut seen) = ([0.0f32; 3], 0.0f32);
            for v in y..(y + scale).min(full_height) {
                for u in x..(x + scale).min(full_width) {
                    let at = (v * full_width + u) * count;
                    for (channel, sum) in sum.iter_mut().enumerate() {
                        *sum += sample(at + channel.min(colours - 1));
                    }
                    seen += 1.0;
                }
            }
            *pixel = sum.map(|sum| sum / seen.max(1.0));
        }
        Self { width, height, scale, rgb }
    }

    pub(super) fn shorter(&self) -> f64 {
        self.width.min(self.height) as f64
    }

    pub(super) fn area_min(&self) -> f64 {
        AREA_MIN * (self.width * self.height) as f64
    }

    fn luma(&self, index: usize) -> f32 {
        let [r, g, b] = self.rgb[index];
        0.299 * r + 0.587 * g + 0.114 * b
    }

    /// What differs from the lid; none where there is no lid.
    pub(super) fn mask(&self) -> Option<Mask> {
        if self.width < 24 || self.height < 24 {
            return None;
        }
        let lid = self.lid()?;
        let plane = self.level(lid);
        let difference: Vec<f32> = (0..self.rgb.len()).map(|index| plane.difference(self, index)).collect();
        let mut near: Vec<f32> = difference.iter().copied().filter(|d| *d < NOISIEST).collect();
        if near.len() * 50 < difference.len() {
            return None;
        }
        near.sort_unstable_by(f32::total_cmp);
        // The median of the greatest of three differences is about 1.3 deviations.
        let noise = near[near.len() / 2] / 1.3;
        let threshold = (4.0 * noise).clamp(DIFFERENT, NOISIEST);
        let set = difference.iter().map(|d| *d > threshold).collect();
        Some(Mask { width: self.width, height: self.height, set, difference, threshold })
    }

    /// The colour that most of the even parts of the rim have.
    fn lid(&self) -> Option<[f32; 3]> {
        let deep = (self.shorter() * 0.015).ceil().max(2.0) as usize;
        let mut rim = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                let edge = x.min(y).min(self.width - 1 - x).min(self.height - 1 - y);
                if edge < deep {
                    rim.push(y * self.width + x);
                }
            }
        }
        let mut bins = vec![0u32; 4096];
        let bin = |[r, g, b]: [f32; 3]| {
            let level = |value: f32| (value / 16.0) as usize & 15;
            level(r) << 8 | level(g) << 4 | level(b)
        };
        for &index in rim.iter().filter(|index| self.is_even(**index)) {
            bins[bin(self.rgb[index])] += 1;
        }
        let best = (0..bins.len()).max_by_key(|bin| bins[*bin])?;
        let centre = |shift: usize| ((best >> shift & 15) * 16 + 8) as f32;
        let mut lid = [centre(8), centre(4), centre(0)];
        let mut share = 0.0;
        for _ in 0..4 {
            let (mut sum, mut count) = ([0.0f64; 3], 0.0f64);
            for &index in &rim {
                let pixel = self.rgb[index];
                if pixel.iter().zip(&lid).all(|(a, b)| (a - b).abs() < 14.0) {
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += f64::from(value);
                    }
                    count += 1.0;
                }
            }
            if count == 0.0 {
                return None;
            }
            lid = sum.map(|sum| (sum / count) as f32);
            share = count / rim.len() as f64;
        }
        (share >= LID_MIN && self.lies_around(&rim, lid)).then_some(lid)
    }

    /// Whether a colour shows along all four sides: a sky does not.
    fn lies_around(&self, rim: &[usize], lid: [f32; 3]) -> bool {
        let mut sides = [(0usize, 0usize); 4];
        for &index in rim {
            let (x, y) = (index % self.width, index / self.width);
            let is_lid = self.rgb[index].iter().zip(&lid).all(|(a, b)| (a - b).abs() < 14.0);
            let away = [y, self.width - 1 - x, self.height - 1 - y, x];
            // Corners belong to two sides and say nothing for either.
            let near = away.iter().filter(|away| **away < self.width.min(self.height) / 20).count();
            let nearest = (0..4).min_by_key(|side| away[*side]).unwrap_or(0);
            if near == 1 {
                sides[nearest].0 += usize::from(is_lid);
                sides[nearest].1 += 1;
            }
        }
        sides.iter().all(|(lid, all)| *lid as f64 >= SIDE_LID_MIN * *all as f64)
    }

    fn is_even(&self, index: usize) -> bool {
        let (x, y) = (index % self.width, index / self.width);
        let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
        for v in y.saturating_sub(1)..=(y + 1).min(self.height - 1) {
            for u in x.saturating_sub(1)..=(x + 1).min(self.width - 1) {
                let luma = self.luma(v * self.width + u);
                (least, most) = (least.min(luma), most.max(luma));
            }
        }
        most - least < 12.0
    }

    /// The lid is lit unevenly: a plane through what looks like it, fitted twice.
    fn level(&self, lid: [f32; 3]) -> Lid {
        let mut plane =
            Lid { width: self.width, height: self.height, terms: lid.map(|value| [value, 0.0, 0.0]) };
        for near in [14.0, 10.0] {
            let mut sums = [[0.0f64; 3]; 3];
            let mut values = [[0.0f64; 3]; 3];
            for index in (0..self.rgb.len()).step_by(3) {
                if plane.difference(self, index) > near {
                    continue;
                }
                let at = plane.place(index).map(f64::from);
                for (row, a) in sums.iter_mut().zip(at) {
                    for (sum, b) in row.iter_mut().zip(at) {
                        *sum += a * b;
                    }
                }
                for (channel, values) in values.iter_mut().enumerate() {
                    for (value, a) in values.iter_mut().zip(at) {
                        *value += a * f64::from(self.rgb[index][channel]);
                    }
                }
            }
            for (terms, values) in plane.terms.iter_mut().zip(values) {
                if let Some(solved) = solve(sums, values) {
                    *terms = solved.map(|term| term as f32);
                }
            }
        }
        plane
    }

    /// Takes the colour between pixels.
    pub(super) fn at(&self, (x, y): Point) -> Option<[f32; 3]> {
        let (x, y) = (x - 0.5, y - 0.5);
        if x < -0.5 || y < -0.5 || x > self.width as f64 - 0.5 || y > self.height as f64 - 0.5 {
            return None;
        }
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f64), y.clamp(0.0, (self.height - 1) as f64));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (u, v) = ((x - left as f64) as f32, (y - top as f64) as f32);
        let mix = |channel: usize| {
            let row = |y: usize| {
                self.rgb[y * self.width + left][channel] * (1.0 - u)
                    + self.rgb[y * self.width + right][channel] * u
            };
            row(top) * (1.0 - v) + row(bottom) * v
        };
        Some([mix(0), mix(1), mix(2)])
    }
}

/// Solves three equations.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> Option<[f64; 3]> {
    for i in 0..3 {
        let pivot = (i..3).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs()))?;
        a.swap(i, pivot);
        b.swap(i, pivot);
        if a[i][i].abs() < 1e-9 {
            return None;
        }
        for j in i + 1..3 {
            let factor = a[j][i] / a[i][i];
            let row = a[i];
            for (cell, value) in a[j].iter_mut().zip(row).skip(i) {
                *cell -= factor * value;
            }
            b[j] -= factor * b[i];
        }
    }
    for i in (0..3).rev() {
        for j in i + 1..3 {
            b[i] -= a[i][j] * b[j];
        }
        b[i] /= a[i][i];
    }
    Some(b)
}

/// What the lid looks like everywhere.
struct Lid {
    width: usize,
    height: usize,
    /// Of each colour: at the centre, and how it changes to the right and down.
    terms: [[f32; 3]; 3],
}

impl Lid {
    fn place(&self, index: usize) -> [f32; 3] {
        let (x, y) = ((index % self.width) as f32, (index / self.width) as f32);
        [1.0, x / self.width as f32 - 0.5, y / self.height as f32 - 0.5]
    }

    fn difference(&self, view: &View, index: usize) -> f32 {
        let at = self.place(index);
        let differences = view.rgb[index].iter().zip(&self.terms).map(|(value, terms)| {
            let lid: f32 = terms.iter().zip(at).map(|(term, at)| term * at).sum();
            (value - lid).abs()
        });
        differences.fold(0.0, f32::max)
    }
}

/// What is no lid.
pub(super) struct Mask {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) set: Vec<bool>,
    pub(super) difference: Vec<f32>,
    pub(super) threshold: f32,
}

impl Mask {
    pub(super) fn at(&self, (x, y): Point) -> Option<f32> {
        if x < 0.0 || y < 0.0 {
            return None;
        }
        let (x, y) = (x as usize, y as usize);
        (x < self.width && y < self.height).then(|| self.difference[y * self.width + x])
    }
}
