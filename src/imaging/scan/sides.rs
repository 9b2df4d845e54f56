//! The edges of a print, found again from outside to a fraction of a pixel.

use super::outline::{Frame, centre, eighth};
use super::view::{Mask, View};
use super::{Point, Print};

/// A side of a print has at least this share of the scan's shorter one.
const SIDE_MIN: f64 = 0.05;

/// A print is at most this many times as long as wide.
const LONGEST: f64 = 6.0;

impl View {
    /// Finds the edges of a print again, to a fraction of a pixel, and with them its angle and size. None if it is too
    /// small to be a print.
    pub(super) fn print(&self, mask: &Mask, frame: &Frame) -> Option<Print> {
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
    pub(super) fn side(&self, mask: &Mask, frame: &Frame, side: usize) -> Option<Side> {
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
pub(super) struct Side {
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
pub(super) fn turn_of(sides: &[Option<Side>; 4]) -> Option<f64> {
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
