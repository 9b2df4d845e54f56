//! The pictures on a scan: where the borders of plates, prints and film end, and whether one scan holds several
//! exposures.
//!
//! A border is full black or full white whatever has become of the picture inside it, so what is measured for a
//! stretch must leave it out. A border is a strip of even tone along an edge that ends in a straight edge; one is
//! believed only together with the strip on the opposite side, because a sky or a floor is on one side alone.

use std::ops::Range;

use super::canvas::{Canvas, Origin, Sample};

/// Rows and columns are judged by about this many samples.
const SAMPLES: usize = 400;
/// Share of a line's samples near its median that makes it even; handwriting and dust take some.
const EVEN: f32 = 0.75;
/// How far from the median is near, on the scale of 0..=255.
const NEAR: f32 = 20.0;
/// A strip goes on while its lines differ by less than this.
const SAME_TONE: f32 = 25.0;
/// Where a strip ends, this share of the line behind it differs from the strip by more than [`STEP`].
const STRAIGHT: f32 = 0.6;
const STEP: f32 = 12.0;
/// A border takes at most this share of the picture's length on each side.
const WIDEST: f32 = 0.15;
/// A strip between two exposures is at most this share of the length, and at least as dark or as light as these.
const WIDEST_BAR: f32 = 0.05;
const DARK_BAR: f32 = 64.0;
const LIGHT_BAR: f32 = 232.0;
/// A border at least as dark or as light as these is as black or white as the scan gets.
const BLACK: f32 = 24.0;
const WHITE: f32 = 232.0;
/// An exposure is at least this share of the length.
const SMALLEST: f32 = 0.17;

/// A rectangle of pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Area {
    /// Columns.
    pub(super) columns: Range<usize>,
    /// Rows.
    pub(super) rows: Range<usize>,
}

impl Area {
    /// Without a share of its length on each side.
    fn without(&self, across: f32, down: f32) -> Self {
        let cut = |range: &Range<usize>, share: f32| {
            let border = (range.len() as f32 * share) as usize;
            range.start + border..range.end - border
        };
        Self { columns: cut(&self.columns, across), rows: cut(&self.rows, down) }
    }

    /// What of it lies in a part of the picture of this size, counted from where that part begins.
    pub(super) fn seen_from(&self, origin: Origin, width: usize, height: usize) -> Self {
        let cut = |range: &Range<usize>, start: usize, len: usize| {
            range.start.saturating_sub(start).min(len)..range.end.saturating_sub(start).min(len)
        };
        Self { columns: cut(&self.columns, origin.x, width), rows: cut(&self.rows, origin.y, height) }
    }
}

/// One picture on a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// The part to be measured: the picture without its rim.
    pub(super) inside: Area,
    /// The part to be changed: all of the scan that is nearer to this picture than to another, border included.
    pub(super) zone: Area,
    /// Whether the border around it shows what full black or white is.
    pub(super) bordered: bool,
}

/// Finds the pictures on a scan; one that fills the scan where there is no border.
pub(super) fn find<T: Sample>(canvas: &Canvas<'_, T>) -> Vec<Frame> {
    let all = Area { columns: 0..canvas.width, rows: 0..canvas.height };
    let (picture, bordered) = without_border(canvas, &all);
    if picture == all {
        // Narrow borders of scanners are left out without looking.
        return vec![Frame { inside: all.without(0.02, 0.02), zone: all, bordered: false }];
    }
    let across = bars(canvas, &picture, true);
    let (bars, down) =
        if across.is_empty() { (bars(canvas, &picture, false), false) } else { (across, true) };
    let (whole, whole_zone) =
        if down { (&picture.rows, &all.rows) } else { (&picture.columns, &all.columns) };
    let mut frames = Vec::new();
    let (mut start, mut zone_start) = (whole.start, whole_zone.start);
    for index in 0..=bars.len() {
        let bar = bars.get(index);
        let end = bar.map_or(whole.end, |bar| bar.start);
        let zone_end = bar.map_or(whole_zone.end, |bar| bar.start.midpoint(bar.end));
        let cut = |area: &Area, range: Range<usize>| {
            let mut area = area.clone();
            *(if down { &mut area.rows } else { &mut area.columns }) = range;
            area
        };
        frames.push(Frame {
            // The rims of plates are ragged.
            inside: cut(&picture, start..end).without(0.04, 0.04),
            zone: cut(&all, zone_start..zone_end),
            bordered,
        });
        start = bar.map_or(end, |bar| bar.end);
        zone_start = zone_end;
    }
    frames
}

/// What is left of an area without the borders around it, which may lie in one another: paper around a plate's rim. Also whether a
/// border is black or white.
fn without_border<T: Sample>(canvas: &Canvas<'_, T>, area: &Area) -> (Area, bool) {
    let (mut inner, mut full) = (area.clone(), false);
    // Until the other two sides are cut off, they disturb these.
    for _ in 0..2 {
        for down in [true, false] {
            let lines = Lines { canvas, area: inner.clone(), down };
            let range = lines.range();
            let room = ((if down { area.rows.len() } else { area.columns.len() }) as f32 * WIDEST) as usize;
            let before = lines.border(range.start, room.min(range.len() / 3), 1);
            let after = lines.border(range.end - 1, room.min(range.len() / 3), -1);
            if let (Some((start, full_before)), Some((end, full_after))) = (before, after) {
                *(if down { &mut inner.rows } else { &mut inner.columns }) = start..end + 1;
                full |= full_before || full_after;
            }
        }
    }
    (inner, full)
}

/// The strips between several exposures on one plate, in order.
fn bars<T: Sample>(canvas: &Canvas<'_, T>, area: &Area, down: bool) -> Vec<Range<usize>> {
    let lines = Lines { canvas, area: area.clone(), down };
    let range = lines.range();
    let (widest, smallest) =
        ((range.len() as f32 * WIDEST_BAR) as usize, (range.len() as f32 * SMALLEST) as usize);
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = range.start + smallest;
    while start + smallest < range.end {
        let run = lines.run(start, range.end, 1);
        if run.count == 0 {
            start += 1;
            continue;
        }
        let end = start + run.count;
        let is_bar = run.count >= 2
            && run.count <= widest
            && (run.tone <= DARK_BAR || run.tone >= LIGHT_BAR)
            && end + smallest <= range.end
            && found.last().is_none_or(|last| last.end + smallest <= start)
            && lines.ends_straight(run.tone, start as isize - 1, -1)
            && lines.ends_straight(run.last, end as isize, 1);
        if is_bar {
            found.push(start..end);
        }
        start = end;
    }
    found
}

/// The rows of an area, or its columns.
struct Lines<'a, 'b, T> {
    canvas: &'a Canvas<'b, T>,
    area: Area,
    /// Whether the lines are rows, which follow one another downwards.
    down: bool,
}

/// Even lines of like tone.
struct Run {
    count: usize,
    /// The medians of the first and the last of them.
    tone: f32,
    last: f32,
}

impl<T: Sample> Lines<'_, '_, T> {
    fn range(&self) -> Range<usize> {
        if self.down { self.area.rows.clone() } else { self.area.columns.clone() }
    }

    /// Some samples of a line.
    fn samples(&self, line: usize) -> impl Iterator<Item = f32> {
        let along = if self.down { self.area.columns.clone() } else { self.area.rows.clone() };
        let step = (along.len() / SAMPLES).max(1);
        along
            .step_by(step)
            .map(move |at| if self.down { self.canvas.luma(at, line) } else { self.canvas.luma(line, at) })
    }

    /// The median of a line if the line is even.
    fn even_tone(&self, line: usize) -> Option<f32> {
        let mut values: Vec<f32> = self.samples(line).collect();
        if values.len() < 8 {
            return None;
        }
        let middle = values.len() / 2;
        let (_, &mut median, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
        let near = values.iter().filter(|&&value| (value - median).abs() <= NEAR).count();
        (near as f32 >= EVEN * values.len() as f32).then_some(median)
    }

    /// The even lines of like tone from `start` on, at most `room`.
    fn run(&self, start: usize, room: usize, towards: isize) -> Run {
        let range = self.range();
        let Some(tone) = self.even_tone(start) else { return Run { count: 0, tone: 0.0, last: 0.0 } };
        let (mut count, mut last) = (1, tone);
        while count < room {
            let line = start.wrapping_add_signed(towards * count as isize);
            match range.contains(&line).then(|| self.even_tone(line)).flatten() {
                Some(next) if (next - tone).abs() <= SAME_TONE => (count, last) = (count + 1, next),
                _ => break,
            }
        }
        Run { count, tone, last }
    }

    /// Whether most of what lies behind the last line of a strip differs from it. A slightly tilted strip has a few
    /// mixed lines first.
    fn ends_straight(&self, tone: f32, next: isize, towards: isize) -> bool {
        let range = self.range();
        let reach = 2 + range.len() as isize / 200;
        let Ok(line) = usize::try_from(next + towards * reach) else { return false };
        if !range.contains(&line) {
            return false;
        }
        let (mut different, mut count) = (0usize, 0usize);
        for value in self.samples(line) {
            different += usize::from((value - tone).abs() > STEP);
            count += 1;
        }
        different as f32 >= STRAIGHT * count as f32
    }

    /// The first line that is picture, coming from an edge, and whether a strip before it is black or white; none if
    /// there is no border.
    fn border(&self, edge: usize, room: usize, towards: isize) -> Option<(usize, bool)> {
        let gap = 2 + self.range().len() / 100;
        let (mut found, mut full) = (None, false);
        // Counted from the edge.
        let (mut at, mut skipped) = (0, 0);
        while at < room && skipped <= gap {
            let run = self.run(edge.wrapping_add_signed(towards * at as isize), room - at, towards);
            if run.count == 0 {
                (at, skipped) = (at + 1, skipped + 1);
                continue;
            }
            at += run.count;
            skipped = 0;
            let next = edge as isize + towards * at as isize;
            if at >= room || !self.ends_straight(run.last, next, towards) {
                break;
            }
            full |= run.tone <= BLACK || run.tone >= WHITE;
            found = usize::try_from(next).ok().map(|next| (next, full));
        }
        found
    }
}
