//! Outlines: convex hulls, and rectangles at angles.

use super::Point;

/// The convex hull of pixels, clockwise on the screen.
pub(super) fn hull(points: &[u32], width: usize) -> Vec<Point> {
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

pub(super) fn area(hull: &[Point]) -> f64 {
    let next = hull.iter().skip(1).chain(hull.first());
    hull.iter().zip(next).map(|(a, b)| a.0 * b.1 - a.1 * b.0).sum::<f64>().abs() / 2.0
}

pub(super) fn centre(points: &[Point]) -> Point {
    let count = points.len().max(1) as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (x / count, y / count)
}

pub(super) fn is_inside(hull: &[Point], point: Point) -> bool {
    let next = hull.iter().skip(1).chain(hull.first());
    hull.iter().zip(next).all(|(a, b)| turn(*a, *b, point) >= -1e-9)
}

/// A rectangle at an angle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) centre: Point,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Radians clockwise, within an eighth of a turn.
    pub(super) angle: f64,
    /// What it is worth, 0 to 1, by how it came about.
    pub(super) trust: f64,
}

impl Frame {
    /// A point given by its distances to the centre along the frame.
    pub(super) fn point(&self, (u, v): Point) -> Point {
        let (sine, cosine) = self.angle.sin_cos();
        (self.centre.0 + u * cosine - v * sine, self.centre.1 + u * sine + v * cosine)
    }

    pub(super) fn corners(&self) -> [Point; 4] {
        let (u, v) = (self.width / 2.0, self.height / 2.0);
        [(-u, -v), (u, -v), (u, v), (-u, v)].map(|corner| self.point(corner))
    }

    /// A part of it, from its top left corner.
    pub(super) fn part(&self, left: f64, top: f64, right: f64, bottom: f64) -> Self {
        let middle = ((left + right - self.width) / 2.0, (top + bottom - self.height) / 2.0);
        Self { centre: self.point(middle), width: right - left, height: bottom - top, ..*self }
    }
}

/// The smallest rectangle around a hull. Of the two that look the same, turned by a quarter, the straighter one.
pub(super) fn smallest_frame(hull: &[Point]) -> Frame {
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
pub(super) fn eighth(angle: f64) -> f64 {
    let quarter = std::f64::consts::FRAC_PI_2;
    angle - (angle / quarter).round() * quarter
}

pub(super) fn frame_at(hull: &[Point], angle: f64) -> Frame {
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
