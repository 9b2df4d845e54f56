//! Connected pieces of what is no lid, each of which is one print or several.

use super::outline::{area, centre, hull, is_inside, smallest_frame};
use super::view::{Mask, View};
use super::{PRINTS_MAX, Point};

/// What a print fills of its outline, and its outline of the rectangle around it.
const FILLED: f64 = 0.9;
const RECTANGULAR: f64 = 0.93;

impl Mask {
    /// The connected pieces that may be prints, with what they enclose. A thin outline that goes around others, such as
    /// a shadow, is one piece with them.
    pub(super) fn pieces(&self, view: &View) -> Vec<Piece> {
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
pub(super) fn components(width: usize, height: usize, set: &[bool]) -> Vec<Vec<u32>> {
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
pub(super) struct Piece {
    pub(super) points: Vec<u32>,
    pub(super) hull: Vec<Point>,
    pub(super) hull_area: f64,
}

impl Piece {
    pub(super) fn new(points: Vec<u32>, width: usize) -> Self {
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

    pub(super) fn is_print(&self) -> bool {
        let frame = smallest_frame(&self.hull);
        self.filled() > FILLED && self.hull_area / (frame.width * frame.height).max(1.0) > RECTANGULAR
    }
}
