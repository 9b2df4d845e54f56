//! Pieces taken apart into prints.

use super::outline::{Frame, eighth, frame_at, smallest_frame};
use super::pieces::{Piece, components};
use super::sides::turn_of;
use super::view::{Mask, View};

/// The more of a print its parts cut off have on each side.
const PART_MIN: f64 = 0.15;

/// Finds the prints of which a piece consists.
pub(super) fn take_apart(view: &View, mask: &Mask, piece: &Piece, frames: &mut Vec<Frame>) {
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
