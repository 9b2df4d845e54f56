//! Several prints on one flatbed scan: where each lies, how it is turned, and how sure that is.
//!
//! The lid is what most of the rim shows; what differs from it are prints. A piece that is no rectangle is taken apart
//! where it is narrow, where lid shows between, where its parts are of different lengths, along a strip of the paper's
//! own border, and last, only between parts of one size, along a straight edge. Edges are found again in each print to a
//! fraction of a pixel, and their common direction is its angle; the smallest rectangle around a piece only begins that,
//! because it is ambiguous by quarter turns and led astray by shadows.

use super::pixels::{Image, Samples};

/// The picture is looked at in a copy with at most this many pixels along its longer side.
const SIDE_MAX: usize = 1000;
/// A print has at least this share of the scan, and a side at least this share of the scan's shorter one.
const AREA_MIN: f64 = 0.01;
const SIDE_MIN: f64 = 0.05;
/// A print is at most this many times as long as wide.
const LONGEST: f64 = 6.0;
/// The lid shows in at least this share of the rim.
const LID_MIN: f64 = 0.25;
/// And in at least this share of each of its sides.
const SIDE_LID_MIN: f64 = 0.03;
/// Differences to the lid below this are noise, whatever is measured; above the second they are none.
const DIFFERENT: f32 = 6.0;
const NOISIEST: f32 = 18.0;
/// What a print fills of its outline, and its outline of the rectangle around it.
const FILLED: f64 = 0.9;
const RECTANGULAR: f64 = 0.93;
/// The more of a print its parts cut off have on each side.
const PART_MIN: f64 = 0.15;
/// The most prints that are told of.
pub const PRINTS_MAX: usize = 64;

/// A point in pixels, counted from the outer corner of the first one.
pub type Point = (f64, f64);

/// A print on a scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Print {
    /// Its corners, clockwise from that which is at the top left when it lies straight.
    pub corners: [Point; 4],
    /// How far it is turned clockwise, in degrees, -45 to 45.
    pub angle: f64,
    /// In pixels, along its top.
    pub width: f64,
    /// In pixels.
    pub height: f64,
    /// How sure it is that this is one whole print, 0 to 1.
    pub confidence: f64,
}

/// Finds the prints on a scan, in the order in which one reads; none where no lid can be told from what lies on it.
pub fn find_prints(image: &Image) -> Vec<Print> {
    let view = View::of(image);
    let Some(mask) = view.mask() else { return Vec::new() };
    let mut frames = Vec::new();
    for piece in mask.pieces(&view) {
        take_apart(&view, &mask, &piece, &mut frames);
    }
    let mut prints: Vec<Print> = frames.iter().filter_map(|frame| view.print(&mask, frame)).collect();
    drop_inner(&mut prints);
    in_reading_order(&mut prints);
    prints.truncate(PRINTS_MAX);
    prints
}

/// The picture as it is looked at.
struct View {
    width: usize,
    height: usize,
    /// Pixels of the picture per pixel of this.
    scale: usize,
    rgb: Vec<[f32; 3]>,
}

impl View {
    fn of(image: &Image) -> Self {
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

    fn shorter(&self) -> f64 {
        self.width.min(self.height) as f64
    }

    fn area_min(&self) -> f64 {
        AREA_MIN * (self.width * self.height) as f64
    }

    fn luma(&self, index: usize) -> f32 {
        let [r, g, b] = self.rgb[index];
        0.299 * r + 0.587 * g + 0.114 * b
    }

    /// What differs from the lid; none where there is no lid.
    fn mask(&self) -> Option<Mask> {
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
    fn at(&self, (x, y): Point) -> Option<[f32; 3]> {
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
struct Mask {
    width: usize,
    height: usize,
    set: Vec<bool>,
    difference: Vec<f32>,
    threshold: f32,
}

impl Mask {
    /// The connected pieces that may be prints, with what they enclose. A thin outline that goes around others, such as
    /// a shadow, is one piece with them.
    fn pieces(&self, view: &View) -> Vec<Piece> {
        let mut pieces = components(self.width, self.height, &self.set);
        pieces.retain(|piece| piece.len() >= 12);
        let mut pieces: Vec<Piece> =
            pieces.into_iter().map(|points| Piece::new(points, self.width)).collect();
        pieces.sort_by(|a, b| b.hull_area.total_cmp(&a.hull_area));
        let mut kept: Vec<Piece> = Vec::new();
        for piece in pieces {
            let around = kept.iter_mut().find(|outer| outer.encloses(&piece));
            match around {
                Some(outer) => outer.points.extend(piece.points),
                // What is far too small for a print goes around nothing, and thousands of them would be compared.
                None if piece.hull_area >= view.area_min() => kept.push(piece),
                None => {}
            }
        }
        kept.truncate(2 * PRINTS_MAX);
        let mut whole = Vec::new();
        for piece in kept {
            let filled = Piece::new(without_holes(&piece.points, self.width, self.height), self.width);
            if filled.hull_area >= view.area_min() && !filled.is_background(view) {
                whole.push(filled);
            }
        }
        whole
    }
}

/// Connected pixels, as indices.
fn components(width: usize, height: usize, set: &[bool]) -> Vec<Vec<u32>> {
    let mut open = set.to_vec();
    let mut found = Vec::new();
    let mut pending = Vec::new();
    for start in 0..open.len() {
        if !open[start] {
            continue;
        }
        open[start] = false;
        pending.push(start);
        let mut points = Vec::new();
        while let Some(index) = pending.pop() {
            points.push(index as u32);
            let (x, y) = (index % width, index / width);
            for v in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for u in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let next = v * width + u;
                    if std::mem::take(&mut open[next]) {
                        pending.push(next);
                    }
                }
            }
        }
        found.push(points);
    }
    found
}

/// The pixels and what they enclose.
fn without_holes(points: &[u32], width: usize, height: usize) -> Vec<u32> {
    let xs = points.iter().map(|point| *point as usize % width);
    let ys = points.iter().map(|point| *point as usize / width);
    let (left, right) = (xs.clone().min().unwrap_or(0), xs.max().unwrap_or(0));
    let (top, bottom) = (ys.clone().min().unwrap_or(0), ys.max().unwrap_or(0));
    debug_assert!(bottom < height);
    // With a margin through which the outside is connected.
    let (across, down) = (right - left + 3, bottom - top + 3);
    let mut inside = vec![true; across * down];
    for point in points {
        let (x, y) = (*point as usize % width - left + 1, *point as usize / width - top + 1);
        inside[y * across + x] = false;
    }
    let is_piece: Vec<bool> = inside.iter().map(|free| !free).collect();
    let mut pending = vec![0usize];
    inside[0] = false;
    while let Some(index) = pending.pop() {
        let (x, y) = (index % across, index / across);
        let near = [
            (x > 0).then(|| index - 1),
            (x + 1 < across).then(|| index + 1),
            (y > 0).then(|| index - across),
            (y + 1 < down).then(|| index + across),
        ];
        for next in near.into_iter().flatten() {
            if std::mem::take(&mut inside[next]) {
                pending.push(next);
            }
        }
    }
    (0..across * down)
        .filter(|index| is_piece[*index] || inside[*index])
        .map(|index| ((index / across + top - 1) * width + index % across + left - 1) as u32)
        .collect()
}

/// A connected piece of what is no lid.
struct Piece {
    points: Vec<u32>,
    hull: Vec<Point>,
    hull_area: f64,
}

impl Piece {
    fn new(points: Vec<u32>, width: usize) -> Self {
        let hull = hull(&points, width);
        let hull_area = area(&hull);
        Self { points, hull, hull_area }
    }

    /// Whether another piece lies inside the outline of this one.
    fn encloses(&self, other: &Self) -> bool {
        if self.hull.len() < 3 || other.hull.is_empty() {
            return false;
        }
        let inside = other.hull.iter().filter(|point| is_inside(&self.hull, **point)).count();
        // Half of a print may lie outside the triangle that the shadow of two of its sides spans.
        inside * 5 >= other.hull.len() * 2 && is_inside(&self.hull, centre(&other.hull))
            || inside == other.hull.len()
    }

    /// Whether it reaches three sides of the scan: then it is what something lies on, or a photograph of its own.
    fn is_background(&self, view: &View) -> bool {
        let (right, bottom) = ((view.width - 2) as f64, (view.height - 2) as f64);
        let reaches = [
            self.hull.iter().any(|point| point.0 <= 2.0),
            self.hull.iter().any(|point| point.1 <= 2.0),
            self.hull.iter().any(|point| point.0 >= right),
            self.hull.iter().any(|point| point.1 >= bottom),
        ];
        reaches.iter().filter(|reaches| **reaches).count() >= 3
    }

    fn filled(&self) -> f64 {
        self.points.len() as f64 / self.hull_area.max(1.0)
    }

    fn is_print(&self) -> bool {
        let frame = smallest_frame(&self.hull);
        self.filled() > FILLED && self.hull_area / (frame.width * frame.height).max(1.0) > RECTANGULAR
    }
}

/// The convex hull of pixels, clockwise on the screen.
fn hull(points: &[u32], width: usize) -> Vec<Point> {
    // Only the ends of each row can be on it.
    let mut rows: std::collections::BTreeMap<usize, (usize, usize)> = std::collections::BTreeMap::new();
    for point in points {
        let (x, y) = (*point as usize % width, *point as usize / width);
        let row = rows.entry(y).or_insert((x, x));
        *row = (row.0.min(x), row.1.max(x));
    }
    let mut corners: Vec<Point> = rows
        .iter()
        .flat_map(|(y, (first, last))| {
            let (y, first, last) = (*y as f64, *first as f64, *last as f64);
            [(first, y), (first, y + 1.0), (last + 1.0, y), (last + 1.0, y + 1.0)]
        })
        .collect();
    corners.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    corners.dedup();
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while chain.len() >= 2 && turn(chain[chain.len() - 2], chain[chain.len() - 1], point) <= 0.0 {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut corners.iter().copied());
    hull.extend(half(&mut corners.iter().rev().copied()));
    hull
}

fn turn(a: Point, b: Point, c: Point) -> f64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

fn area(hull: &[Point]) -> f64 {
    let next = hull.iter().skip(1).chain(hull.first());
    hull.iter().zip(next).map(|(a, b)| a.0 * b.1 - a.1 * b.0).sum::<f64>().abs() / 2.0
}

fn centre(points: &[Point]) -> Point {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (x / count, y / count)
}

fn is_inside(hull: &[Point], point: Point) -> bool {
    let next = hull.iter().skip(1).chain(hull.first());
    hull.iter().zip(next).all(|(a, b)| turn(*a, *b, point) >= -1e-9)
}

/// A rectangle at an angle.
#[derive(Debug, Clone, Copy)]
struct Frame {
    centre: Point,
    width: f64,
    height: f64,
    /// Radians clockwise, within an eighth of a turn.
    angle: f64,
    /// What it is worth, 0 to 1, by how it came about.
    trust: f64,
}

impl Frame {
    /// A point given by its distances to the centre along the frame.
    fn point(&self, (u, v): Point) -> Point {
        let (sine, cosine) = self.angle.sin_cos();
        (self.centre.0 + u * cosine - v * sine, self.centre.1 + u * sine + v * cosine)
    }

    fn corners(&self) -> [Point; 4] {
        let (u, v) = (self.width / 2.0, self.height / 2.0);
        [(-u, -v), (u, -v), (u, v), (-u, v)].map(|corner| self.point(corner))
    }

    /// A part of it, from its top left corner.
    fn part(&self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        let middle = ((left + right - self.width) / 2.0, (top + bottom - self.height) / 2.0);
        Self { centre: self.point(middle), width: right - left, height: bottom - top, ..*self }
    }
}

/// The smallest rectangle around a hull. Of the two that look the same, turned by a quarter, the straighter one.
fn smallest_frame(hull: &[Point]) -> Frame {
    let next = hull.iter().skip(1).chain(hull.first());
    let mut best = Frame { centre: (0.0, 0.0), width: f64::INFINITY, height: 1.0, angle: 0.0, trust: 1.0 };
    for (a, b) in hull.iter().zip(next) {
        let angle = eighth((b.1 - a.1).atan2(b.0 - a.0));
        let frame = frame_at(hull, angle);
        if frame.width * frame.height < best.width * best.height {
            best = frame;
        }
    }
    best
}

/// The same direction of lines that cross at right angles, as an angle within an eighth of a turn.
fn eighth(angle: f64) -> f64 {
    let quarter = std::f64::consts::FRAC_PI_2;
    angle - (angle / quarter).round() * quarter
}

fn frame_at(hull: &[Point], angle: f64) -> Frame {
    let (sine, cosine) = angle.sin_cos();
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for (x, y) in hull {
        let (u, v) = (x * cosine + y * sine, y * cosine - x * sine);
        low = (low.0.min(u), low.1.min(v));
        high = (high.0.max(u), high.1.max(v));
    }
    let (u, v) = ((low.0 + high.0) / 2.0, (low.1 + high.1) / 2.0);
    Frame {
        centre: (u * cosine - v * sine, u * sine + v * cosine),
        width: high.0 - low.0,
        height: high.1 - low.1,
        angle,
        trust: 1.0,
    }
}

/// Finds the prints of which a piece consists.
fn take_apart(view: &View, mask: &Mask, piece: &Piece, frames: &mut Vec<Frame>) {
    if !piece.is_print()
        && let Some(parts) = narrowed(view, piece)
    {
        for (part, by) in parts {
            let before = frames.len();
            cut(view, mask, &part, frames);
            for frame in &mut frames[before..] {
                frame.width += 2.0 * by;
                frame.height += 2.0 * by;
            }
        }
        return;
    }
    cut(view, mask, piece, frames);
}

/// Takes a piece apart where it is narrow: prints at different angles touch at a corner only. Each part with the width
/// that was taken from its rim.
fn narrowed(view: &View, piece: &Piece) -> Option<Vec<(Piece, f64)>> {
    let mut set = vec![false; view.width * view.height];
    for point in &piece.points {
        set[*point as usize] = true;
    }
    let depth = depths(view.width, view.height, &set);
    for by in [1.5, 2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0] {
        let deep: Vec<bool> = depth.iter().map(|depth| *depth > by).collect();
        let mut parts = components(view.width, view.height, &deep);
        parts.retain(|part| part.len() as f64 >= view.area_min() * 0.7);
        if parts.is_empty() {
            return None;
        }
        if parts.len() < 2 {
            continue;
        }
        let parts: Vec<Piece> = parts.into_iter().map(|part| Piece::new(part, view.width)).collect();
        // Two parts of one picture are no rectangles.
        if parts.iter().filter(|part| part.is_print()).count() >= 1 {
            return Some(parts.into_iter().map(|part| (part, by)).collect());
        }
    }
    None
}

/// The distance of each pixel of a set to what is not in it, in pixels (Borgefors' chamfer distance, 1986).
fn depths(width: usize, height: usize, set: &[bool]) -> Vec<f64> {
    const DIAGONAL: f64 = 4.0 / 3.0;
    let mut depth: Vec<f64> = set.iter().map(|set| if *set { 1e9 } else { 0.0 }).collect();
    let relax = |depth: &mut Vec<f64>, x: usize, y: usize, near: &[(isize, isize)]| {
        let mut least = depth[y * width + x];
        for (dx, dy) in near {
            let (u, v) = (x as isize + dx, y as isize + dy);
            let step = if dx * dy == 0 { 1.0 } else { DIAGONAL };
            // Beyond the scan's edge there may be more of it.
            if u >= 0 && v >= 0 && u < width as isize && v < height as isize {
                least = least.min(depth[v as usize * width + u as usize] + step);
            }
        }
        depth[y * width + x] = least;
    };
    for y in 0..height {
        for x in 0..width {
            relax(&mut depth, x, y, &[(-1, 0), (-1, -1), (0, -1), (1, -1)]);
        }
    }
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            relax(&mut depth, x, y, &[(1, 0), (1, 1), (0, 1), (-1, 1)]);
        }
    }
    depth
}

/// A piece turned straight: what is set, and its pixels.
struct Straight {
    frame: Frame,
    width: usize,
    height: usize,
    set: Vec<bool>,
    rgb: Vec<[f32; 3]>,
}

/// Rows and columns of a straight piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cells {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

/// Where a piece is cut, and how much the parts are to be trusted.
struct Cut {
    at: usize,
    across: bool,
    trust: f64,
}

/// Cuts a piece along straight lines into prints.
fn cut(view: &View, mask: &Mask, piece: &Piece, frames: &mut Vec<Frame>) {
    let straight = Straight::new(view, mask, piece);
    let all = Cells { left: 0, top: 0, right: straight.width, bottom: straight.height };
    let mut pending = vec![(all, 1.0, 0)];
    while let Some((cells, trust, depth)) = pending.pop() {
        let Some(cells) = straight.tightened(cells) else { continue };
        let wanted = if depth < 6 { straight.find_cut(cells) } else { None };
        match wanted {
            Some(Cut { at, across, trust: by }) => {
                let (mut first, mut second) = (cells, cells);
                if across {
                    (first.right, second.left) = (at, at);
                } else {
                    (first.bottom, second.top) = (at, at);
                }
                pending.push((first, trust * by, depth + 1));
                pending.push((second, trust * by, depth + 1));
            }
            None => {
                let Cells { left, top, right, bottom } = cells;
                let mut frame = straight.frame.part(left as f64, top as f64, right as f64, bottom as f64);
                frame.trust = trust * straight.worth(cells);
                frames.push(frame);
            }
        }
    }
}

impl Straight {
    fn new(view: &View, mask: &Mask, piece: &Piece) -> Self {
        let rough = smallest_frame(&piece.hull);
        // Where prints of different lengths meet, the smallest rectangle leans.
        let turn = turn_of(&[0, 1, 2, 3].map(|side| view.side(mask, &rough, side)));
        let mut frame = frame_at(&piece.hull, eighth(rough.angle + turn.unwrap_or(0.0)));
        let (width, height) = (frame.width.round().max(1.0) as usize, frame.height.round().max(1.0) as usize);
        (frame.width, frame.height) = (width as f64, height as f64);
        let mut flags = vec![false; view.width * view.height];
        for point in &piece.points {
            flags[*point as usize] = true;
        }
        let (mut set, mut rgb) = (vec![false; width * height], vec![[0.0; 3]; width * height]);
        for y in 0..height {
            for x in 0..width {
                let inside = (x as f64 + 0.5 - frame.width / 2.0, y as f64 + 0.5 - frame.height / 2.0);
                let point = frame.point(inside);
                if let Some(pixel) = view.at(point) {
                    let (u, v) = (point.0 as usize, point.1 as usize);
                    set[y * width + x] = flags[v.min(view.height - 1) * view.width + u.min(view.width - 1)];
                    rgb[y * width + x] = pixel;
                }
            }
        }
        Self { frame, width, height, set, rgb }
    }

    fn count(&self, cells: Cells) -> usize {
        (cells.top..cells.bottom)
            .map(|y| {
                self.set[y * self.width + cells.left..y * self.width + cells.right]
                    .iter()
                    .filter(|s| **s)
                    .count()
            })
            .sum()
    }

    /// How much of it is set.
    fn worth(&self, cells: Cells) -> f64 {
        let area = (cells.right - cells.left) * (cells.bottom - cells.top);
        self.count(cells) as f64 / area.max(1) as f64
    }

    /// Without rows and columns at its sides that hardly belong to it.
    fn tightened(&self, mut cells: Cells) -> Option<Cells> {
        const HARDLY: f64 = 0.12;
        loop {
            if cells.right <= cells.left + 4 || cells.bottom <= cells.top + 4 {
                return None;
            }
            let before = cells;
            let column = |x: usize| self.worth(Cells { left: x, right: x + 1, ..before });
            let row = |y: usize| self.worth(Cells { top: y, bottom: y + 1, ..before });
            if column(cells.left) < HARDLY {
                cells.left += 1;
            }
            if column(cells.right - 1) < HARDLY {
                cells.right -= 1;
            }
            if row(cells.top) < HARDLY {
                cells.top += 1;
            }
            if row(cells.bottom - 1) < HARDLY {
                cells.bottom -= 1;
            }
            if cells == before {
                return Some(cells);
            }
        }
    }

    /// Where the best reason to cut is.
    fn find_cut(&self, cells: Cells) -> Option<Cut> {
        for across in [true, false] {
            if let Some(at) = self.gap(cells, across) {
                return Some(Cut { at, across, trust: 1.0 });
            }
        }
        if let Some((at, across)) = self.step_in_length(cells) {
            return Some(Cut { at, across, trust: 0.95 });
        }
        for across in [true, false] {
            if let Some(at) = self.border(cells, across) {
                return Some(Cut { at, across, trust: 0.85 });
            }
        }
        for across in [true, false] {
            if let Some(at) = self.edge(cells, across) {
                return Some(Cut { at, across, trust: 0.6 });
            }
        }
        None
    }

    /// The positions at which cutting leaves enough on both sides.
    fn places(cells: Cells, across: bool) -> std::ops::Range<usize> {
        let (start, end) = if across { (cells.left, cells.right) } else { (cells.top, cells.bottom) };
        let least = (((end - start) as f64 * PART_MIN) as usize).max(6);
        start + least..end.saturating_sub(least).max(start + least)
    }

    fn line(cells: Cells, across: bool, at: usize) -> Cells {
        if across {
            Cells { left: at, right: at + 1, ..cells }
        } else {
            Cells { top: at, bottom: at + 1, ..cells }
        }
    }

    /// A line along which lid shows nearly everywhere.
    fn gap(&self, cells: Cells, across: bool) -> Option<usize> {
        let worth = |at: usize| self.worth(Self::line(cells, across, at));
        let best = Self::places(cells, across).min_by(|a, b| worth(*a).total_cmp(&worth(*b)))?;
        (worth(best) < 0.2).then_some(best)
    }

    /// Where parts of different lengths meet: cut there, both fill the rectangles around them.
    fn step_in_length(&self, cells: Cells) -> Option<(usize, bool)> {
        let now = self.worth(cells);
        if now > 0.965 {
            return None;
        }
        let ways = [true, false].map(|across| self.step_along(cells, across, now));
        let [Some(first), Some(second)] = ways else {
            return ways.into_iter().flatten().next().map(|way| (way.at, way.across));
        };
        let better = if (first.good - second.good).abs() > 0.02 {
            first.good > second.good
        } else if first.seam.max(second.seam) > 3.0 {
            first.seam > second.seam
        } else {
            first.contact <= second.contact
        };
        let best = if better { first } else { second };
        Some((best.at, best.across))
    }

    /// The best cut in one direction between parts of different lengths.
    fn step_along(&self, cells: Cells, across: bool, now: f64) -> Option<Step> {
        let mut best: Option<Step> = None;
        for at in Self::places(cells, across) {
            let (mut first, mut second) = (cells, cells);
            if across {
                (first.right, second.left) = (at, at);
            } else {
                (first.bottom, second.top) = (at, at);
            }
            let (Some(first), Some(second)) = (self.tightened(first), self.tightened(second)) else {
                continue;
            };
            let worth = self.worth(first).min(self.worth(second));
            if worth <= 0.965 || worth <= now + 0.02 {
                continue;
            }
            // What neither part holds was cut off the wrong one, and what one holds too much is not filled.
            let area = |cells: Cells| (cells.right - cells.left) * (cells.bottom - cells.top);
            let held = self.count(first) + self.count(second);
            let good = held as f64 / self.count(cells).max(1) as f64
                + held as f64 / (area(first) + area(second)).max(1) as f64;
            if best.as_ref().is_some_and(|best| best.good >= good) {
                continue;
            }
            // Where the parts lie side by side.
            let both = if across {
                Cells { top: first.top.max(second.top), bottom: first.bottom.min(second.bottom), ..cells }
            } else {
                Cells { left: first.left.max(second.left), right: first.right.min(second.right), ..cells }
            };
            let (start, end, contact) = if across {
                (cells.left, cells.right, both.bottom.saturating_sub(both.top))
            } else {
                (cells.top, cells.bottom, both.right.saturating_sub(both.left))
            };
            let near = (at - 2..at + 3).filter(|near| *near >= start + 10 && near + 10 < end && contact > 12);
            let seam = near.map(|near| self.seam(both, across, near).ratio).fold(0.0, f64::max);
            best = Some(Step { good, at, across, seam, contact });
        }
        best
    }

    /// The middle of a strip that is all of the colour which the paper has around the pictures.
    fn border(&self, cells: Cells, across: bool) -> Option<usize> {
        let rim = self.rim(cells)?;
        let is_rim = |at: usize| {
            let line = Self::line(cells, across, at);
            let (mut like, mut all) = (0usize, 0usize);
            for y in line.top..line.bottom {
                for x in line.left..line.right {
                    let pixel = self.rgb[y * self.width + x];
                    like += usize::from(pixel.iter().zip(&rim).all(|(a, b)| (a - b).abs() < 16.0));
                    all += 1;
                }
            }
            like * 100 >= all * 93
        };
        let places = Self::places(cells, across);
        let mut run: Option<(usize, usize)> = None;
        let mut best: Option<(usize, usize)> = None;
        for at in places {
            if is_rim(at) {
                // The line between two borders may be darker.
                run = Some(run.filter(|(_, last)| at - last <= 4).map_or((at, at), |(first, _)| (first, at)));
            }
            if let Some((first, last)) = run
                && best.is_none_or(|(a, b)| last - first >= b - a)
            {
                best = Some((first, last));
            }
        }
        best.filter(|(first, last)| last - first >= 2).map(|(first, last)| (first + last).div_ceil(2))
    }

    /// The colour of the paper's border, if there is one all around.
    fn rim(&self, cells: Cells) -> Option<[f32; 3]> {
        let (width, height) = (cells.right - cells.left, cells.bottom - cells.top);
        let inset = 2;
        let deep = ((width.min(height) as f64 * 0.012).ceil() as usize).max(2) + inset;
        let mut pixels: Vec<[f32; 3]> = Vec::new();
        for y in cells.top..cells.bottom {
            for x in cells.left..cells.right {
                let edge =
                    (x - cells.left).min(y - cells.top).min(cells.right - 1 - x).min(cells.bottom - 1 - y);
                if edge >= inset && edge < deep {
                    pixels.push(self.rgb[y * self.width + x]);
                }
            }
        }
        let middle = |channel: usize| {
            let mut values: Vec<f32> = pixels.iter().map(|pixel| pixel[channel]).collect();
            values.sort_unstable_by(f32::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        let rim = [middle(0), middle(1), middle(2)];
        let like = |pixel: &&[f32; 3]| pixel.iter().zip(&rim).all(|(a, b)| (a - b).abs() < 16.0);
        (pixels.iter().filter(like).count() * 10 >= pixels.len() * 8).then_some(rim)
    }

    /// A straight edge from one side to the other, far stronger than what is around it. The sea has such edges too, all of
    /// one kind: then the parts have to be of one size, as prints of one format are.
    fn edge(&self, cells: Cells, across: bool) -> Option<usize> {
        let (start, end) = if across { (cells.left, cells.right) } else { (cells.top, cells.bottom) };
        let places = Self::places(cells, across).filter(|at| *at >= start + 10 && at + 10 < end);
        let seams = places.map(|at| (self.seam(cells, across, at), at));
        let (seam, at) = seams.max_by(|a, b| a.0.ratio.total_cmp(&b.0.ratio))?;
        let is_even = (2..=4).any(|parts| {
            let share = (at - start) as f64 * f64::from(parts) / (end - start) as f64;
            (share - share.round()).abs() < 0.015 * f64::from(parts)
        });
        let strong = seam.share > 0.9 && seam.ratio > 4.5 && seam.variety > 0.2;
        (strong || is_even && seam.share > 0.85 && seam.ratio > 3.5).then_some(at)
    }

    /// How the pixels on both sides of a line differ.
    fn seam(&self, cells: Cells, across: bool, at: usize) -> Seam {
        let sides = if across { cells.top + 3..cells.bottom - 3 } else { cells.left + 3..cells.right - 3 };
        let jump = |at: usize, along: usize| -> [f32; 3] {
            let pixel = |at: usize| {
                if across { self.rgb[along * self.width + at] } else { self.rgb[at * self.width + along] }
            };
            let (a, b) = (pixel(at - 1), pixel(at + 1));
            std::array::from_fn(|channel| b[channel] - a[channel])
        };
        let size = |jump: [f32; 3]| jump.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let (mut strong, mut here, mut around) = (0.0, 0.0, 0.0);
        let (mut sum, mut squares) = ([0.0f64; 3], 0.0f64);
        for along in sides.clone() {
            let own = jump(at, along);
            let mut near: [f32; 12] =
                std::array::from_fn(|n| size(jump(if n < 6 { at - 3 - n } else { at + n - 3 }, along)));
            near.sort_unstable_by(f32::total_cmp);
            let usual = near[6];
            strong += if size(own) > 8.0 && size(own) > 1.5 * usual { 1.0 } else { 0.0 };
            here += f64::from(size(own));
            around += f64::from(usual);
            for (sum, value) in sum.iter_mut().zip(own) {
                *sum += f64::from(value);
                squares += f64::from(value) * f64::from(value);
            }
        }
        let count = sides.len().max(1) as f64;
        let mean: f64 = sum.iter().map(|sum| (sum / count).powi(2)).sum();
        Seam {
            ratio: here / around.max(1.0),
            share: strong / count,
            variety: 1.0 - mean / (squares / count).max(1e-3),
        }
    }
}

/// Where parts of different lengths meet.
struct Step {
    /// How well both fill the rectangles around them, and hold what there is.
    good: f64,
    at: usize,
    across: bool,
    /// How much stronger the line is than what is around it.
    seam: f64,
    /// How long it is.
    contact: usize,
}

/// How two sides of a line differ.
struct Seam {
    /// How much more they do than lines beside it.
    ratio: f64,
    /// On which share of its length.
    share: f64,
    /// How differently from place to place: 0 where it is always the same step.
    variety: f64,
}

impl View {
    /// Finds the edges of a print again, to a fraction of a pixel, and with them its angle and size. None if it is too
    /// small to be a print.
    fn print(&self, mask: &Mask, frame: &Frame) -> Option<Print> {
        let mut frame = *frame;
        let mut sure = 0.0;
        for _ in 0..2 {
            let sides = [0, 1, 2, 3].map(|side| self.side(mask, &frame, side));
            if let Some(turn) = turn_of(&sides) {
                frame = self.refitted(&frame, &sides, turn);
            }
            sure = sides.iter().flatten().map(|side| side.share).sum::<f64>() / 4.0;
        }
        let (short, long) = (frame.width.min(frame.height), frame.width.max(frame.height));
        if short < SIDE_MIN * self.shorter() || long > LONGEST * short || short * long < self.area_min() {
            return None;
        }
        let scale = self.scale as f64;
        let (right, bottom) = ((self.width * self.scale) as f64, (self.height * self.scale) as f64);
        let corners =
            frame.corners().map(|(x, y)| ((x * scale).clamp(0.0, right), (y * scale).clamp(0.0, bottom)));
        let confidence = (frame.trust * (0.3 + 0.7 * sure)).clamp(0.0, 1.0);
        Some(Print {
            corners,
            angle: frame.angle.to_degrees(),
            width: frame.width * scale,
            height: frame.height * scale,
            confidence,
        })
    }

    /// Looks for one side of a print from outside: top, right, bottom, left.
    fn side(&self, mask: &Mask, frame: &Frame, side: usize) -> Option<Side> {
        let (length, depth) =
            if side.is_multiple_of(2) { (frame.width, frame.height) } else { (frame.height, frame.width) };
        let reach = (depth * 0.04).clamp(4.0, 12.0);
        let along = |at: f64, out: f64| {
            // `at` runs clockwise, `out` away from the print.
            match side {
                0 => frame.point((at, -frame.height / 2.0 - out)),
                1 => frame.point((frame.width / 2.0 + out, at)),
                2 => frame.point((-at, frame.height / 2.0 + out)),
                _ => frame.point((-frame.width / 2.0 - out, -at)),
            }
        };
        let steps = (length * 0.86) as usize;
        let mut found: Vec<Point> = Vec::new();
        for step in 0..=steps {
            let at = -length * 0.43 + step as f64;
            if let Some(out) = mask.crossing(self, |out| along(at, out), reach) {
                found.push((at, out));
            }
        }
        if found.len() * 4 < steps || found.len() < 12 {
            return None;
        }
        Some(Side::fit(&found, steps))
    }

    /// The frame turned, with the sides where they were found.
    fn refitted(&self, frame: &Frame, sides: &[Option<Side>; 4], turn: f64) -> Frame {
        let turned = Frame { angle: eighth(frame.angle + turn), ..*frame };
        // How far each side moves outward at its middle; none where nothing was found.
        let moved = sides.map(|side| side.map_or(0.0, |side| side.offset));
        let [top, right, bottom, left] = moved;
        let middle = ((right - left) / 2.0, (bottom - top) / 2.0);
        Frame {
            centre: turned.point(middle),
            width: (frame.width + left + right).max(1.0),
            height: (frame.height + top + bottom).max(1.0),
            ..turned
        }
    }
}

impl Mask {
    fn at(&self, (x, y): Point) -> Option<f32> {
        if x < 0.0 || y < 0.0 {
            return None;
        }
        let (x, y) = (x as usize, y as usize);
        (x < self.width && y < self.height).then(|| self.difference[y * self.width + x])
    }

    /// How far out the lid ends on the way in; none where the way does not begin on it. The edge is where it is
    /// steepest soon after, for a shadow is soft.
    fn crossing(&self, view: &View, way: impl Fn(f64) -> Point, reach: f64) -> Option<f64> {
        const STEP: f64 = 0.5;
        const SOFT: usize = 9;
        if self.at(way(reach))? > self.threshold {
            return None;
        }
        let count = (2.0 * reach / STEP) as usize;
        let first = (1..count).find(|step| {
            self.at(way(reach - *step as f64 * STEP)).is_some_and(|difference| difference > self.threshold)
        })?;
        let pixel = |step: usize| view.at(way(reach - step as f64 * STEP));
        let slope = |step: usize| -> Option<f32> {
            let (a, b) = (pixel(step.checked_sub(1)?)?, pixel(step + 1)?);
            Some(a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max))
        };
        let from = first.saturating_sub(2).max(1);
        let best = (from..=first + SOFT)
            .filter_map(|step| Some((slope(step)?, step)))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?
            .1;
        let (before, here, after) = (slope(best.saturating_sub(1).max(1))?, slope(best)?, slope(best + 1)?);
        let bend = 2.0 * here - before - after;
        let shift =
            if bend > 1e-3 { f64::from((after - before) / (2.0 * bend)).clamp(-0.5, 0.5) } else { 0.0 };
        Some(reach - (best as f64 + shift) * STEP)
    }
}

/// A side of a print as it was found: how it runs against the frame.
#[derive(Debug, Clone, Copy)]
struct Side {
    /// Clockwise.
    slope: f64,
    /// How far out its middle is.
    offset: f64,
    weight: f64,
    /// Share of its length on which it was found.
    share: f64,
}

impl Side {
    /// A line through most of the points, whatever the others do: the middle of the slopes of pairs (Theil and Sen), then
    /// the best line through what lies near.
    fn fit(points: &[Point], steps: usize) -> Self {
        let every = points.len().div_ceil(80).max(1);
        let few: Vec<Point> = points.iter().copied().step_by(every).collect();
        let mut slopes: Vec<f64> = Vec::new();
        for (index, a) in few.iter().enumerate() {
            for b in &few[index + 1..] {
                if (b.0 - a.0).abs() > 8.0 {
                    slopes.push((b.1 - a.1) / (b.0 - a.0));
                }
            }
        }
        let mut slope = median(&mut slopes);
        let mut offsets: Vec<f64> = points.iter().map(|(at, out)| out - slope * at).collect();
        let mut offset = median(&mut offsets);
        let mut near = 0;
        for within in [1.2, 0.8] {
            let inside: Vec<Point> = points
                .iter()
                .copied()
                .filter(|(at, out)| (out - slope * at - offset).abs() < within)
                .collect();
            near = inside.len();
            let count = inside.len().max(1) as f64;
            let (x, y) = centre(&inside);
            let square: f64 = inside.iter().map(|point| (point.0 - x).powi(2)).sum();
            let mixed: f64 = inside.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
            if square > count {
                slope = mixed / square;
                offset = y - slope * x;
            }
        }
        let share = near as f64 / steps.max(1) as f64;
        // `at` runs clockwise and `out` away, so that a side which goes out ahead is turned against the clock.
        Self { slope: -slope, offset, weight: (near as f64).powi(3) * share * share, share: share.min(1.0) }
    }
}

/// How far the sides say that the frame has to be turned, in radians clockwise.
fn turn_of(sides: &[Option<Side>; 4]) -> Option<f64> {
    let (turn, weight) = sides
        .iter()
        .flatten()
        .fold((0.0, 0.0), |sum, side| (sum.0 + side.slope * side.weight, sum.1 + side.weight));
    (weight > 0.0).then(|| (turn / weight).atan())
}

fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Removes what was found inside another print.
fn drop_inner(prints: &mut Vec<Print>) {
    let all = prints.clone();
    let mut index = 0;
    prints.retain(|print| {
        let middle = centre(&print.corners);
        let own = print.width * print.height;
        let inner = all.iter().enumerate().any(|(other, outer)| {
            other != index && outer.width * outer.height > own && is_inside(&outer.corners, middle)
        });
        index += 1;
        !inner
    });
}

/// Rows from top to bottom, and in each from left to right.
fn in_reading_order(prints: &mut Vec<Print>) {
    prints.sort_by(|a, b| centre(&a.corners).1.total_cmp(&centre(&b.corners).1));
    let mut ordered: Vec<Print> = Vec::with_capacity(prints.len());
    while !prints.is_empty() {
        let first = prints[0];
        let line = centre(&first.corners).1 + first.height.min(first.width) * 0.5;
        let end = prints.iter().take_while(|print| centre(&print.corners).1 <= line).count().max(1);
        let mut row: Vec<Print> = prints.drain(..end).collect();
        row.sort_by(|a, b| centre(&a.corners).0.total_cmp(&centre(&b.corners).0));
        ordered.append(&mut row);
    }
    *prints = ordered;
}
