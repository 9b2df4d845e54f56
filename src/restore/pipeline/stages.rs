//! What happens to a picture between two engines: it is sent to a model on another machine as a file and comes back as
//! one, is mixed with what it was, and lies again as the next engine wants it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;

use super::{Error, File, inverse, needed_bytes, write};
use crate::engine::remote::{self, Answer, Ledger, Model, Order};
use crate::engine::{
    self, AfterStep, BoxFuture, Decision, Engine, Mask, Step, StepReport, StepRequest, builtin,
};
use crate::imaging::{
    self, Budget, Channels, EncodeOptions, Format, Image, Limits, Options, Orientation, Permit, Probe,
    Samples,
};

/// Work that is done by one engine in one go.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Steps of an engine that works on pixels here; the built-in one where none is named.
    Local {
        /// Name of the engine.
        engine: Option<String>,
        /// Its steps, with strengths from 0 to 1.
        steps: Vec<StepRequest>,
        /// The place of the first of them in the request.
        place: u32,
        /// A PNG file of the size that the picture has when displayed: where it is bright the steps apply, with a soft
        /// edge. For the step that fills damage it is the damage.
        mask: Option<Vec<u8>>,
    },
    /// A step of a model on another machine.
    Remote(Box<Call>),
}

impl Stage {
    /// Adds a step of the built-in engine: to the last stage if it would run behind that one's steps anyway, or else as a
    /// stage of its own.
    pub fn push(stages: &mut Vec<Self>, step: StepRequest, place: u32, mask: Option<Vec<u8>>) {
        let order = |step: Step| builtin::Builtin.steps().iter().position(|info| info.step == step);
        if let (Some(Self::Local { engine: None, steps, mask: None, .. }), None) = (stages.last_mut(), &mask)
            && steps.last().is_none_or(|last| order(last.step) <= order(step.step))
        {
            steps.push(step);
            return;
        }
        stages.push(Self::Local { engine: None, steps: vec![step], place, mask });
    }

    pub(super) fn mask(&self) -> Option<&[u8]> {
        match self {
            Self::Local { mask, .. } => mask.as_deref(),
            Self::Remote(call) => call.mask.as_deref(),
        }
    }

    pub(super) fn engine(&self) -> Option<&str> {
        match self {
            Self::Local { engine, .. } => engine.as_deref(),
            Self::Remote(call) => Some(&call.model.engine),
        }
    }

    /// How many times as wide and high a picture is afterwards, as far as that can be known before.
    pub(super) fn scale(&self) -> u32 {
        match self {
            Self::Local { steps, .. } => super::scale(steps),
            Self::Remote(_) => 1,
        }
    }

    /// Its share of the progress.
    pub(super) fn weight(&self) -> f32 {
        match self {
            Self::Local { steps, .. } => steps.len().max(1) as f32,
            Self::Remote(_) => 5.0,
        }
    }
}

/// A step that a model on another machine shall do.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is wanted.
    pub step: Step,
    /// How much of the result is mixed into the picture, above 0 and up to 1.
    pub strength: f32,
    /// The model.
    pub model: Model,
    /// What it is told besides.
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// The place of the step in the request, by which its call is remembered.
    pub place: u32,
    /// As in [`Stage::Local`].
    pub mask: Option<Vec<u8>>,
}

/// Where the pictures after steps are put.
pub trait Shelf: fmt::Debug + Send + Sync {
    /// Puts away what the picture is after the step at a place. Blocks.
    fn put(&self, place: u32, picture: Shelved);
}

/// A picture after a step.
#[derive(Debug)]
pub enum Shelved {
    /// The step has changed it.
    Changed {
        /// The picture, in the format of the result.
        file: File,
        /// Width in pixels as displayed.
        width: u32,
        /// Height in pixels as displayed.
        height: u32,
        /// Whether it may show what the photograph never did.
        recreated: bool,
    },
    /// It is what it was before the step.
    Same,
    /// It could not be written.
    Lost,
}

/// Writes pictures after steps and puts them on the shelf.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) format: Format,
    pub(super) orientation: Orientation,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) recreated: bool,
}

impl Keeper {
    /// Keeps a picture after the step at a place. A picture that can't be kept does not keep the restoration from going on.
    pub(super) fn keep(&self, place: u32, image: &Image, decision: Decision) {
        if decision == Decision::Skipped {
            return self.shelf.put(place, Shelved::Same);
        }
        let (width, height) = self.orientation.size(image.width, image.height);
        let written = write(image, self.format, self.icc.clone(), self.exif.clone(), self.recreated);
        let picture = match written {
            Ok(bytes) => {
                let file = File { format: self.format, bytes };
                Shelved::Changed { file, width, height, recreated: self.recreated }
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the picture after a step was not kept"
                );
                Shelved::Lost
            }
        };
        self.shelf.put(place, picture);
    }

    /// Keeps the pictures after the steps of an engine, the first of which has a place.
    pub(super) fn watch(self, first: u32) -> AfterStep {
        let next = AtomicU32::new(first);
        AfterStep::new(move |image, told| {
            self.keep(next.fetch_add(1, Ordering::Relaxed), image, told.decision)
        })
    }
}

/// Where calls are remembered and their results kept.
pub trait Desk: Send + Sync {
    /// What is known of the call of the step at a place.
    fn ledger(&self, place: u32) -> Box<dyn Ledger + '_>;

    /// Finds the result that an earlier attempt has kept.
    fn find(&self, place: u32) -> BoxFuture<'_, Result<Option<Answer>, Error>>;

    /// Keeps a result, before anything else is done with it.
    fn keep<'a>(&'a self, place: u32, answer: &'a Answer) -> BoxFuture<'a, Result<(), Error>>;
}

/// A picture on the table, with what belongs to it and the memory it lies in.
pub(super) struct Sheet {
    pub(super) image: Image,
    pub(super) orientation: Orientation,
    pub(super) mask: Option<Mask>,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) permit: Permit,
}

/// A picture on its way to another machine: no pixels, and little memory, while one waits.
pub(super) struct Parcel {
    orientation: Orientation,
    mask: Option<Mask>,
    exif: Option<Vec<u8>>,
    /// The size as displayed.
    width: u32,
    height: u32,
    /// What is sent, and its size.
    picture: Bytes,
    sent: (u32, u32),
    /// The picture without loss, if the result is to be mixed with it.
    kept: Option<Vec<u8>>,
    had_alpha: bool,
}

impl Sheet {
    /// Width and height in pixels as displayed.
    pub(super) const fn displayed_size(&self) -> (u32, u32) {
        self.orientation.size(self.image.width, self.image.height)
    }

    /// Makes a file of the picture: upright, sRGB, 8 bits, no larger than the model takes.
    pub(super) fn pack(self, max_side: u32, keep: bool) -> Result<Parcel, Error> {
        let Self { image, orientation, mask, icc, exif, permit } = self;
        let had_alpha = image.channels.has_alpha();
        let upright = imaging::orient(imaging::to_srgb(image, icc.as_deref()).0, orientation);
        let image = opaque(imaging::to_8_bits(upright));
        let (width, height) = (image.width, image.height);
        let kept = if keep { Some(imaging::encode(&image, &EncodeOptions::new(Format::Png))?) } else { None };
        let sent = within(width, height, max_side);
        let smaller = if sent == (width, height) { image } else { imaging::resize(&image, sent.0, sent.1)? };
        let picture = imaging::encode(&smaller, &EncodeOptions::new(Format::Jpeg))?.into();
        drop(permit);
        Ok(Parcel { orientation, mask, exif, width, height, picture, sent, kept, had_alpha })
    }
}

impl Parcel {
    pub(super) fn order(&self, call: &Call) -> Order {
        Order {
            picture: self.picture.clone(),
            width: self.sent.0,
            height: self.sent.1,
            step: call.step,
            model: call.model.clone(),
            parameters: call.parameters.clone(),
        }
    }

    /// Takes the memory for what came back, and will be enlarged so many times.
    pub(super) async fn room(&self, probe: &Probe, scale: u32, budget: &Budget) -> Result<Permit, Error> {
        let own = if self.kept.is_some() { u64::from(self.width) * u64::from(self.height) * 6 } else { 0 };
        Ok(budget.acquire(needed_bytes(probe, scale) + own + probe.pixels() * 6).await?)
    }

    /// Puts the picture that came back on the table, and says what became of it.
    pub(super) fn unpack(
        self,
        answer: &Answer,
        call: &Call,
        titles: Titles,
        limits: Limits,
        region: Option<Mask>,
        permit: Permit,
    ) -> Result<(Sheet, StepReport), Error> {
        let decoded = imaging::decode_bytes(&answer.file, &Options::held(limits))
            .map_err(|source| bad_result(titles.engine, source))?;
        let upright =
            imaging::orient(imaging::to_srgb(decoded.image, decoded.icc.as_deref()).0, decoded.orientation);
        let result = opaque(imaging::to_8_bits(upright));
        let size = (result.width, result.height);
        let own = |kept: &[u8]| -> Result<Image, Error> {
            Ok(opaque(imaging::decode_bytes(kept, &Options::held(Limits { max_pixels: u64::MAX }))?.image))
        };
        let fits = same_shape(size, (self.width, self.height));
        let (image, used) = match (&self.kept, region) {
            (None, _) => (result, Used::Mixed),
            // Nobody knows where in it the marked place is.
            (Some(kept), Some(_)) if !fits => (own(kept)?, Used::Nothing),
            (Some(_), None) if !fits => (result, Used::Whole),
            (Some(kept), region) => {
                let own = imaging::resize(&own(kept)?, size.0, size.1)?;
                let mixed = mix(&own, result, call.strength);
                let image = match region {
                    Some(region) => blend(&own, mixed, region)?,
                    None => mixed,
                };
                (image, Used::Mixed)
            }
        };
        let report = self.report(answer, call, titles, size, used);
        let image = imaging::orient(image, inverse(self.orientation));
        let mask = self.mask.map(|mask| fitted(mask, image.width, image.height));
        let sheet = Sheet { image, orientation: self.orientation, mask, icc: None, exif: self.exif, permit };
        Ok((sheet, report))
    }

    fn report(
        &self,
        answer: &Answer,
        call: &Call,
        titles: Titles,
        size: (u32, u32),
        used: Used,
    ) -> StepReport {
        let verb =
            if call.model.recreates { "has drawn the picture anew" } else { "has worked on the picture" };
        let mut reason = format!("The model {} of {} {verb}.", call.model.name, titles.engine);
        if self.sent != (self.width, self.height) {
            let ((width, height), (own_width, own_height)) = (self.sent, (self.width, self.height));
            reason.push_str(&format!(
                " It was sent at {width} x {height} pixels instead of {own_width} x {own_height}, which is too large for \
                 the model."
            ));
        }
        if size != (self.width, self.height) {
            reason.push_str(&format!(" The result has {} x {} pixels.", size.0, size.1));
        }
        match used {
            Used::Mixed => {}
            Used::Whole => reason.push_str(
                " It has another shape than the picture and could not be mixed with it: it is all the model's.",
            ),
            Used::Nothing => reason.push_str(
                " It has another shape than the picture, so that nobody knows where in it the marked place is: the picture \
                 stays as it was.",
            ),
        }
        if self.had_alpha {
            reason.push_str(" Transparent places became white.");
        }
        let number = |name: &str, value: f64| (name.to_owned(), (value * 10_000.0).round() / 10_000.0);
        let mut evidence = vec![
            number("sent_width", self.sent.0.into()),
            number("sent_height", self.sent.1.into()),
            number("width", size.0.into()),
            number("height", size.1.into()),
        ];
        evidence
            .extend(answer.compute_s.filter(|seconds| seconds.is_finite()).map(|s| number("compute_s", s)));
        evidence.extend(answer.cost_usd.filter(|cost| cost.is_finite()).map(|cost| number("cost_usd", cost)));
        StepReport {
            step: call.step,
            strength: call.strength,
            engine: call.model.engine.clone(),
            model: Some(call.model.id.clone()),
            decision: if used == Used::Nothing { Decision::Skipped } else { Decision::Applied },
            reason,
            evidence: evidence.into_iter().collect(),
            duration_ms: titles.duration_ms,
        }
    }
}

/// What has become of a model's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Used {
    /// It is the picture now, mixed with what that was as far as was asked for.
    Mixed,
    /// It could not be mixed.
    Whole,
    /// It could not be used.
    Nothing,
}

/// What a report says about a call besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Titles {
    pub(super) engine: &'static str,
    pub(super) duration_ms: u64,
}

pub(super) fn bad_result(engine: &'static str, source: imaging::Error) -> Error {
    Error::Engine(engine::Error::Remote(remote::Error::BadResult { engine, source: Some(source) }))
}

/// A size whose longer side is at most so long.
fn within(width: u32, height: u32, max_side: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= max_side {
        return (width, height);
    }
    let scaled = |side: u32| {
        let side = (u64::from(side) * u64::from(max_side) + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(side).unwrap_or(max_side).max(1)
    };
    (scaled(width), scaled(height))
}

/// Whether one size is the other one enlarged, within a hundredth.
fn same_shape(one: (u32, u32), other: (u32, u32)) -> bool {
    let (a, b) = (f64::from(one.0) * f64::from(other.1), f64::from(one.1) * f64::from(other.0));
    (a - b).abs() <= 0.01 * a.max(b)
}

/// An 8-bit picture as RGB, what is transparent on white.
fn opaque(image: Image) -> Image {
    let Samples::U8(samples) = image.samples else { return image };
    let white = |sample: u8, alpha: u8| {
        let (sample, alpha) = (u32::from(sample), u32::from(alpha));
        u8::try_from((sample * alpha + 255 * (255 - alpha) + 127) / 255).unwrap_or(u8::MAX)
    };
    let samples: Vec<u8> = match image.channels {
        Channels::Rgb => samples,
        Channels::Gray => samples.iter().flat_map(|gray| [*gray; 3]).collect(),
        Channels::GrayAlpha => {
            samples.as_chunks::<2>().0.iter().flat_map(|[gray, alpha]| [white(*gray, *alpha); 3]).collect()
        }
        Channels::Rgba => {
            let pixels = samples.as_chunks::<4>().0;
            pixels.iter().flat_map(|[r, g, b, a]| [white(*r, *a), white(*g, *a), white(*b, *a)]).collect()
        }
    };
    Image { channels: Channels::Rgb, samples: Samples::U8(samples), ..image }
}

/// Mixes so much of the second picture into the first; both are 8-bit RGB of one size.
fn mix(own: &Image, result: Image, strength: f32) -> Image {
    let (Samples::U8(own), Samples::U8(mut samples)) = (&own.samples, result.samples) else {
        unreachable!("both were made 8 bits deep")
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 256")]
    let share = (strength.clamp(0.0, 1.0) * 256.0).round() as u32;
    for (sample, own) in samples.iter_mut().zip(own) {
        let mixed = (u32::from(*sample) * share + u32::from(*own) * (256 - share) + 128) / 256;
        *sample = u8::try_from(mixed).unwrap_or(u8::MAX);
    }
    Image {
        width: result.width,
        height: result.height,
        channels: Channels::Rgb,
        samples: Samples::U8(samples),
    }
}

/// How far beyond and within a mask's edge a step fades out, in pixels.
const SOFT_EDGE: usize = 3;

/// The picture after a step where the mask is bright, and the one before elsewhere, with a soft edge.
pub(super) fn blend(before: &Image, after: Image, mask: Mask) -> Result<Image, Error> {
    let (width, height, channels) = (after.width, after.height, after.channels);
    let resized;
    let before = if (before.width, before.height) == (width, height) {
        before
    } else {
        resized = imaging::resize(before, width, height)?;
        &resized
    };
    let shares = feathered(&fitted(mask, width, height));
    let samples = match (&before.samples, after.samples) {
        (Samples::U8(before), Samples::U8(after)) => {
            Samples::U8(blend_samples(before, after, &shares, channels.count()))
        }
        (Samples::U16(before), Samples::U16(after)) => {
            Samples::U16(blend_samples(before, after, &shares, channels.count()))
        }
        // No engine changes the depth.
        (_, after) => after,
    };
    Ok(Image { width, height, channels, samples })
}

fn blend_samples<T: Copy + Into<u32> + TryFrom<u32>>(
    before: &[T],
    mut after: Vec<T>,
    shares: &[u8],
    count: usize,
) -> Vec<T> {
    let pixels = after.chunks_exact_mut(count).zip(before.chunks_exact(count));
    for ((after, before), share) in pixels.zip(shares) {
        let share = u32::from(*share);
        for (after, before) in after.iter_mut().zip(before) {
            let mixed = ((*after).into() * share + (*before).into() * (255 - share) + 127) / 255;
            *after = T::try_from(mixed).unwrap_or(*after);
        }
    }
    after
}

/// The mask with soft edges: the mean of a square around each pixel.
fn feathered(mask: &Mask) -> Vec<u8> {
    let (width, height) = (mask.width as usize, mask.height as usize);
    let mut rows = Vec::with_capacity(width * height);
    for row in mask.samples.chunks_exact(width) {
        soften(width, |x| u32::from(row[x]), |mean| rows.push(mean));
    }
    let mut columns = vec![0; width * height];
    for x in 0..width {
        let mut y = 0;
        soften(
            height,
            |y| u32::from(rows[y * width + x]),
            |mean| {
                columns[y * width + x] = mean;
                y += 1;
            },
        );
    }
    columns
}

/// Means over a window that slides along a line; the line goes on at its ends as it ends.
fn soften(length: usize, sample: impl Fn(usize) -> u32, mut put: impl FnMut(u8)) {
    let window = 2 * SOFT_EDGE as u32 + 1;
    let at = |index: usize| sample(index.saturating_sub(SOFT_EDGE).min(length - 1));
    let mut sum: u32 = (0..2 * SOFT_EDGE).map(at).sum();
    for index in 0..length {
        sum += at(index + 2 * SOFT_EDGE);
        put(u8::try_from(sum / window).unwrap_or(u8::MAX));
        sum -= at(index);
    }
}

/// A mask for a picture that has become larger or smaller.
pub(super) fn fitted(mask: Mask, width: u32, height: u32) -> Mask {
    if (mask.width, mask.height) == (width, height) {
        return mask;
    }
    let from =
        |at: u32, side: u32, own: u32| (u64::from(at) * u64::from(own) / u64::from(side.max(1))) as usize;
    let mut samples = Vec::with_capacity(width as usize * height as usize);
    for y in 0..height {
        let row = from(y, height, mask.height) * mask.width as usize;
        samples.extend((0..width).map(|x| mask.samples[row + from(x, width, mask.width)]));
    }
    Mask { width, height, samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_brought_within_what_a_model_takes() {
        assert_eq!(within(100, 50, 2048), (100, 50));
        assert_eq!(within(4096, 3000, 2048), (2048, 1500));
        assert_eq!(within(1, 100_000, 2048), (1, 2048));
        assert!(same_shape((2000, 1500), (400, 300)) && same_shape((1024, 683), (6000, 4000)));
        assert!(!same_shape((1024, 1024), (400, 300)));
    }

    #[test]
    fn strength_mixes_and_masks_follow_the_size() {
        let flat = |value: u8| Image {
            width: 2,
            height: 1,
            channels: Channels::Rgb,
            samples: Samples::U8(vec![value; 6]),
        };
        assert_eq!(mix(&flat(100), flat(200), 0.5), flat(150));
        assert_eq!(mix(&flat(100), flat(200), 1.0), flat(200));
        let mask = Mask { width: 2, height: 1, samples: vec![255, 0] };
        assert_eq!(fitted(mask, 4, 2).samples, [255, 255, 0, 0, 255, 255, 0, 0]);
    }

    #[test]
    fn a_step_applies_where_its_mask_is_and_fades_out_at_the_edge() {
        let flat = |value: u16| Image {
            width: 30,
            height: 20,
            channels: Channels::GrayAlpha,
            samples: Samples::U16(vec![value; 30 * 20 * 2]),
        };
        let samples = (0..20 * 30).map(|at| if at % 30 < 15 { 255 } else { 0 }).collect();
        let mask = Mask { width: 30, height: 20, samples };
        let Samples::U16(mixed) = blend(&flat(1000), flat(60_000), mask).unwrap().samples else { panic!() };
        let row: Vec<u16> = mixed[30 * 2 * 10..].iter().step_by(2).take(30).copied().collect();
        assert!(row[..12].iter().all(|value| *value == 60_000), "{row:?}");
        assert!(row[18..].iter().all(|value| *value == 1000), "{row:?}");
        assert!(row[11..19].windows(2).all(|pair| pair[0] > pair[1]), "{row:?}");
    }

    #[test]
    fn steps_share_a_stage_as_long_as_their_order_and_masks_allow() {
        let mut stages = Vec::new();
        let steps = [Step::Denoise, Step::Fade, Step::Deblock, Step::Fade, Step::Fade, Step::Deblur];
        for (place, step) in (0..).zip(steps) {
            let mask = (place == 4).then(|| vec![1]);
            Stage::push(&mut stages, StepRequest { step, strength: 1.0 }, place, mask);
        }
        let places: Vec<_> = stages
            .iter()
            .map(|stage| match stage {
                Stage::Local { place, steps, .. } => (*place, steps.len()),
                Stage::Remote(_) => panic!("nothing is sent"),
            })
            .collect();
        assert_eq!(places, [(0, 2), (2, 2), (4, 1), (5, 1)]);
    }

    #[test]
    fn every_kind_of_pixel_becomes_opaque_colour() {
        for (channels, samples, expected) in [
            (Channels::Gray, vec![7], [7, 7, 7]),
            (Channels::GrayAlpha, vec![7, 0], [255, 255, 255]),
            (Channels::Rgba, vec![1, 2, 3, 255], [1, 2, 3]),
            (Channels::Rgb, vec![1, 2, 3], [1, 2, 3]),
        ] {
            let image = Image { width: 1, height: 1, channels, samples: Samples::U8(samples) };
            assert_eq!(opaque(image).samples, Samples::U8(expected.to_vec()));
        }
    }
}
