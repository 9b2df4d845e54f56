//! A part of a picture, restored as the whole would be.
//!
//! What the steps measure is measured on the whole picture, after the steps before, once; it is kept with the strengths
//! at which that was. Doing what was planned then needs the part and a margin around it only. A step's own strength
//! changes nothing of what it measures, so that a strength can be tried out at the speed of the part.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use super::canvas::{Canvas, Origin, Ticker};
use super::{Known, NAME, Plan, STEPS, chroma, descreen, inpaint, quantisation};
use crate::engine::{Context, Error, JpegTables, Mask, Step, StepRequest};
use crate::imaging::{Image, Samples};

/// Parts begin at multiples of this many pixels, where blocks and tiles of all steps begin.
pub(super) const GRID: usize = 64;

/// Measurements that are kept for a picture, and those among them that hold a mask as large as the picture.
const NOTES_MAX: usize = 32;
const MASKS_MAX: usize = 2;

/// Bytes of the part after each of its steps that are kept for the next time.
const STAGES_BYTES_MAX: u64 = 48 << 20;

/// The same for a picture of so many bytes.
pub(in crate::engine) fn stages_bytes(image_bytes: u64) -> u64 {
    STAGES_BYTES_MAX.min(image_bytes.saturating_mul(STEPS.len() as u64))
}

/// A rectangle of a picture in stored pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The first column.
    pub left: u32,
    /// The first row.
    pub top: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

/// Whether what is shown rests on measurements of exactly what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// The part is what the whole will show there.
    Exactly,
    /// Some steps were measured when those before them had other strengths.
    Nearby,
}

/// What is wanted of a part.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Which part; it lies inside the picture.
    pub part: Part,
    /// The steps in the order in which they are run. Enlarging is left out.
    pub steps: &'a [StepRequest],
    /// Where the picture is damaged, with something that tells one mask from another.
    pub mask: Option<([u8; 32], Arc<Mask>)>,
    /// Whether everything has to be measured at just these strengths, however long that takes.
    pub exact: bool,
}

impl Asked<'_> {
    /// The steps that change something at the picture's own size.
    fn effective(&self) -> Vec<StepRequest> {
        let effective = |request: &StepRequest| request.step != Step::Upscale && request.strength > 0.0;
        self.steps.iter().copied().filter(effective).collect()
    }
}

/// What has been found out about a picture, for the next time.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    entries: Vec<Entry>,
    stages: Option<Stages>,
}

/// What a step has measured after others.
#[derive(Debug, Clone)]
struct Entry {
    before: Vec<StepRequest>,
    step: Step,
    mask: Option<[u8; 32]>,
    plan: Option<Arc<Plan>>,
    jpeg_quality: Option<f32>,
    repaired: bool,
}

/// A part after each of its steps.
#[derive(Debug)]
struct Stages {
    area: Area,
    after: Vec<(f32, Arc<Plan>, Image)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// Steps in the engine's own order.
pub fn sorted(mut steps: Vec<StepRequest>) -> Vec<StepRequest> {
    steps.sort_by_key(|request| STEPS.iter().position(|info| info.step == request.step));
    steps
}

/// Whether a part can be restored without measuring the whole picture first.
pub fn is_measured(notes: &Notes, asked: &Asked<'_>) -> bool {
    notes.find_all(&asked.effective(), asked).is_some()
}

/// Restores a part of a picture, at its own size: a step that enlarges is left out.
///
/// The first time, or when `exact` asks for it, this takes as long as restoring the whole picture up to the last step.
///
/// # Errors
/// [`Error::Cancelled`], [`Error::UnsupportedStep`], [`Error::Strength`].
pub fn restore_part(
    image: &Image,
    jpeg: Option<&JpegTables>,
    notes: &Notes,
    asked: &Asked<'_>,
    context: &Context,
) -> Result<(Image, Measured), Error> {
    let steps = asked.effective();
    for request in &steps {
        if !(0.0..=1.0).contains(&request.strength) {
            return Err(Error::Strength { step: request.step, strength: request.strength });
        }
        if !STEPS.iter().any(|info| info.step == request.step) {
            return Err(Error::UnsupportedStep { engine: NAME.to_owned(), step: request.step });
        }
    }
    let (entries, measured) = match notes.find_all(&steps, asked) {
        Some(found) => found,
        None => (measure_all(image, jpeg, notes, &steps, asked, context)?, Measured::Exactly),
    };
    let planned: Vec<(f32, Step, Arc<Plan>)> = steps
        .iter()
        .zip(entries)
        .filter_map(|(request, entry)| Some((request.strength, request.step, entry.plan?)))
        .collect();
    Ok((run(image, notes, asked.part, &planned, context)?, measured))
}

/// Does what was planned to a part with a margin, and cuts the margin off.
fn run(
    image: &Image,
    notes: &Notes,
    part: Part,
    planned: &[(f32, Step, Arc<Plan>)],
    context: &Context,
) -> Result<Image, Error> {
    let margin = planned.iter().map(|(_, _, plan)| reach(plan)).sum();
    let area = around(image, part, margin);
    let mut stages = notes.take_stages(area, planned);
    let mut done = stages.after.len();
    let mut now = stages.after.last().map_or_else(|| cut(image, area), |(_, _, image)| image.clone());
    let origin = Origin { x: area.left, y: area.top };
    for (strength, step, plan) in &planned[done..] {
        let ticker = Ticker::new(context, *step, 0.0, 1.0, None);
        let ended = ticker.check().and_then(|()| apply(&mut now, plan, *strength, origin, &ticker));
        if let Err(error) = ended {
            notes.keep_stages(stages);
            return Err(error);
        }
        done += 1;
        let bytes: u64 = stages.after.iter().map(|(_, _, image)| bytes(image)).sum();
        if done < planned.len()
            && stages.after.len() + 1 == done
            && bytes + self::bytes(&now) <= STAGES_BYTES_MAX
        {
            stages.after.push((*strength, Arc::clone(plan), now.clone()));
        }
    }
    notes.keep_stages(stages);
    let inside = Area {
        left: part.left as usize - area.left,
        top: part.top as usize - area.top,
        width: part.width as usize,
        height: part.height as usize,
    };
    Ok(cut(&now, inside))
}

/// Measures what is not known yet, each step on the whole picture as those before have left it.
fn measure_all(
    image: &Image,
    jpeg: Option<&JpegTables>,
    notes: &Notes,
    steps: &[StepRequest],
    asked: &Asked<'_>,
    context: &Context,
) -> Result<Vec<Entry>, Error> {
    let mut whole = image.clone();
    let mut known = Known {
        jpeg,
        jpeg_quality: jpeg.map(|tables| quantisation::quality(&tables.luma)),
        mask: asked.mask.as_ref().map(|(_, mask)| Arc::clone(mask)),
        repaired: false,
    };
    let mut entries = Vec::with_capacity(steps.len());
    for (index, request) in steps.iter().enumerate() {
        let ticker = Ticker::new(context, request.step, 0.0, 1.0, None);
        ticker.check()?;
        let entry = match notes.find(&steps[..index], request.step, asked, true) {
            Some((entry, _)) => entry,
            None => {
                let (_, plan) = measure(&mut whole, *request, &mut known, &ticker)?;
                known.repaired |= request.step == Step::Inpaint && plan.is_some();
                let entry = Entry {
                    before: steps[..index].to_vec(),
                    step: request.step,
                    mask: asked.mask.as_ref().map(|(key, _)| *key),
                    plan: plan.map(Arc::new),
                    jpeg_quality: known.jpeg_quality,
                    repaired: known.repaired,
                };
                notes.add(entry.clone());
                entry
            }
        };
        (known.jpeg_quality, known.repaired) = (entry.jpeg_quality, entry.repaired);
        let is_needed = (index + 1..steps.len())
            .any(|later| notes.find(&steps[..later], steps[later].step, asked, true).is_none());
        if let Some(plan) = entry.plan.as_ref().filter(|_| is_needed) {
            apply(&mut whole, plan, request.strength, Origin::default(), &ticker)?;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn measure(
    image: &mut Image,
    request: StepRequest,
    known: &mut Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(super::Verdict, Option<Plan>), Error> {
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels);
    match &mut image.samples {
        Samples::U8(samples) => {
            super::measure(&Canvas { samples, width, height, channels }, request, known, ticker)
        }
        Samples::U16(samples) => {
            super::measure(&Canvas { samples, width, height, channels }, request, known, ticker)
        }
    }
}

fn apply(
    image: &mut Image,
    plan: &Plan,
    strength: f32,
    origin: Origin,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels);
    match &mut image.samples {
        Samples::U8(samples) => {
            super::apply(&mut Canvas { samples, width, height, channels }, plan, strength, origin, ticker)
        }
        Samples::U16(samples) => {
            super::apply(&mut Canvas { samples, width, height, channels }, plan, strength, origin, ticker)
        }
    }
}

/// How far around a pixel a step looks when it does what was planned.
fn reach(plan: &Plan) -> usize {
    match plan {
        Plan::Deblock(_) | Plan::Denoise(_) => 16,
        Plan::Descreen(_) => descreen::REACH,
        Plan::Inpaint(_) => inpaint::SEEN,
        Plan::Chroma => chroma::REACH,
        Plan::Deblur(plan) => plan.reach(),
        Plan::Fade(_) | Plan::LocalContrast(_) => 0,
    }
}

/// The part with a margin, widened to where blocks and tiles begin.
fn around(image: &Image, part: Part, margin: usize) -> Area {
    let span = |start: u32, length: u32, whole: u32| {
        let (start, end) = (start as usize, start as usize + length as usize);
        let first = start.saturating_sub(margin) / GRID * GRID;
        let last = (end + margin).next_multiple_of(GRID).min(whole as usize);
        (first, last - first)
    };
    let (left, width) = span(part.left, part.width, image.width);
    let (top, height) = span(part.top, part.height, image.height);
    Area { left, top, width, height }
}

fn cut(image: &Image, area: Area) -> Image {
    fn rows<T: Copy>(samples: &[T], width: usize, count: usize, area: Area) -> Vec<T> {
        let mut out = Vec::with_capacity(area.width * area.height * count);
        for y in area.top..area.top + area.height {
            let start = (y * width + area.left) * count;
            out.extend_from_slice(&samples[start..start + area.width * count]);
        }
        out
    }
    let (width, count) = (image.width as usize, image.channels.count());
    let samples = match &image.samples {
        Samples::U8(samples) => Samples::U8(rows(samples, width, count, area)),
        Samples::U16(samples) => Samples::U16(rows(samples, width, count, area)),
    };
    Image { width: area.width as u32, height: area.height as u32, channels: image.channels, samples }
}

fn bytes(image: &Image) -> u64 {
    image.pixels() * image.channels.count() as u64 * u64::from(image.bit_depth() / 8)
}

/// The part of a mask that belongs to a part of its picture.
pub(super) fn of_mask(mask: &Mask, origin: Origin, width: usize, height: usize) -> Cow<'_, [u8]> {
    let whole = mask.width as usize;
    if (width, height) == (whole, mask.height as usize) {
        return Cow::Borrowed(&mask.samples);
    }
    let mut samples = Vec::with_capacity(width * height);
    for y in origin.y..origin.y + height {
        samples.extend_from_slice(&mask.samples[y * whole + origin.x..][..width]);
    }
    Cow::Owned(samples)
}

impl Notes {
    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known about every step, and whether all of it fits exactly.
    fn find_all(&self, steps: &[StepRequest], asked: &Asked<'_>) -> Option<(Vec<Entry>, Measured)> {
        let mut measured = Measured::Exactly;
        let mut entries = Vec::with_capacity(steps.len());
        for (index, request) in steps.iter().enumerate() {
            let (entry, how) = self.find(&steps[..index], request.step, asked, asked.exact)?;
            if how == Measured::Nearby {
                measured = how;
            }
            entries.push(entry);
        }
        Some((entries, measured))
    }

    /// What a step has measured after these, or else after the same ones at the nearest strengths.
    fn find(
        &self,
        before: &[StepRequest],
        step: Step,
        asked: &Asked<'_>,
        exact: bool,
    ) -> Option<(Entry, Measured)> {
        let mask = asked.mask.as_ref().map(|(key, _)| *key);
        let mut known = self.lock();
        let distance = |entry: &Entry| -> Option<f32> {
            let same = entry.step == step && entry.mask == mask && entry.before.len() == before.len();
            let mut total = 0.0;
            for (a, b) in entry.before.iter().zip(before) {
                if !same || a.step != b.step {
                    return None;
                }
                total += (a.strength - b.strength).abs();
            }
            same.then_some(total)
        };
        let rated = known.entries.iter().enumerate().filter_map(|(at, entry)| Some((at, distance(entry)?)));
        let (at, distance) = rated.min_by(|a, b| a.1.total_cmp(&b.1))?;
        if exact && distance > 0.0 {
            return None;
        }
        // What was asked for last goes last.
        let entry = known.entries.remove(at);
        known.entries.push(entry.clone());
        Some((entry, if distance > 0.0 { Measured::Nearby } else { Measured::Exactly }))
    }

    fn add(&self, entry: Entry) {
        let mut known = self.lock();
        known.entries.push(entry);
        let holds_mask = |entry: &Entry| matches!(entry.plan.as_deref(), Some(Plan::Inpaint(_)));
        while known.entries.iter().filter(|entry| holds_mask(entry)).count() > MASKS_MAX {
            let Some(oldest) = known.entries.iter().position(holds_mask) else { break };
            known.entries.remove(oldest);
        }
        if known.entries.len() > NOTES_MAX {
            known.entries.remove(0);
        }
    }

    /// What of the last part can be used again: the stages up to the first step that is different.
    fn take_stages(&self, area: Area, planned: &[(f32, Step, Arc<Plan>)]) -> Stages {
        let last = self.lock().stages.take().filter(|stages| stages.area == area);
        let mut stages = last.unwrap_or(Stages { area, after: Vec::new() });
        let same = stages
            .after
            .iter()
            .zip(planned)
            .take_while(|((strength, plan, _), (wanted, _, planned))| {
                strength == wanted && Arc::ptr_eq(plan, planned)
            })
            .count();
        stages.after.truncate(same);
        stages
    }

    fn keep_stages(&self, stages: Stages) {
        self.lock().stages = Some(stages);
    }
}
