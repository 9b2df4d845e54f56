//! From the bytes of a picture to the bytes of the restored one: decode, let an engine work, encode. The one way that
//! the jobs and the command line share; knows no database and no route.

use std::io::{Read, Seek};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

mod stages;

pub use stages::{Call, Desk, Shelf, Shelved, Stage};
use stages::{Keeper, Sheet, Titles};

use crate::engine::builtin::{self, Analysis};
use crate::engine::{
    self, Decision, Engines, JpegTables, Mask, Outcome, Preset, Progress, Step, StepReport, StepRequest, Work,
};
use crate::imaging::{
    self, Budget, Channels, Colour, EncodeOptions, Format, Image, Limits, Options, Orientation, Probe,
    Samples,
};

/// What the built-in engine keeps beside the picture for each column of it while a strip passes through. `docs/engine.md`
/// has the measurements: 52 MB beside a picture of 2 MP and 120 MB beside one of 12 MP.
const WORKING_BYTES_PER_COLUMN: u64 = 40_000;

/// The same for pictures that are less high than a strip.
const WORKING_BYTES_PER_PIXEL: u64 = 48;

/// Why no restored picture came out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The picture could not be read or written.
    #[error(transparent)]
    Picture(#[from] imaging::Error),
    /// It has many frames, and a restored one would have one.
    #[error("this is an animation of {frames} frames: only still pictures can be restored")]
    Animated {
        /// Frames in the file.
        frames: u32,
    },
    /// The mask is no picture of its own right.
    #[error("the mask can't be read")]
    Mask(#[source] imaging::Error),
    /// The mask is a picture of another format than masks have.
    #[error("the mask is a {} picture, but masks are PNG", format.name())]
    MaskFormat {
        /// What it is.
        format: Format,
    },
    /// The mask belongs to another picture.
    #[error("the mask is {mask_width} x {mask_height} pixels but the picture is {width} x {height}")]
    MaskSize {
        /// Width of the mask in pixels.
        mask_width: u32,
        /// Height of the mask in pixels.
        mask_height: u32,
        /// Width of the picture in pixels as displayed.
        width: u32,
        /// Height of the picture in pixels as displayed.
        height: u32,
    },
    /// The engine could not.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A decoder or encoder gave up in a way that it should not.
    #[error("the picture could not be worked on: {0}")]
    Panicked(String),
    /// Somebody asked for it to stop.
    #[error("the restoration was cancelled")]
    Cancelled,
}

impl Error {
    /// A stable name that programs may depend on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Picture(imaging::Error::NotAPicture { .. }) => "not-a-picture",
            Self::Picture(imaging::Error::Unsupported { .. }) => "unsupported",
            Self::Picture(imaging::Error::Truncated { .. }) => "truncated",
            Self::Picture(
                imaging::Error::TooLarge { .. }
                | imaging::Error::TooLargeFor { .. }
                | imaging::Error::Budget { .. },
            ) => "too-large",
            Self::Picture(imaging::Error::Broken { .. }) => "broken",
            Self::Picture(imaging::Error::Encode { .. }) => "not-written",
            Self::Picture(imaging::Error::Read(_)) => "not-read",
            Self::Animated { .. } => "animated",
            Self::Mask(_)
            | Self::MaskFormat { .. }
            | Self::MaskSize { .. }
            | Self::Engine(engine::Error::MaskSize { .. }) => "bad-mask",
            Self::Engine(engine::Error::UnknownEngine(_)) => "unknown-engine",
            Self::Engine(engine::Error::UnsupportedStep { .. }) => "unknown-step",
            Self::Engine(engine::Error::Remote(error)) => error.code(),
            Self::Engine(engine::Error::Cancelled) | Self::Cancelled => "cancelled",
            Self::Engine(_) | Self::Panicked(_) => "engine-failed",
        }
    }

    /// Whether trying again may help: the bytes could not be fetched, though they may be fine.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Picture(imaging::Error::Read(_)) => true,
            Self::Engine(engine::Error::Remote(error)) => error.may_pass(),
            _ => false,
        }
    }

    /// Whether it was asked for.
    pub const fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Cancelled
                | Self::Engine(
                    engine::Error::Cancelled | engine::Error::Remote(engine::remote::Error::Cancelled)
                )
        )
    }
}

/// Says an error and what is behind it in one sentence for a person.
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What a restoration works with, whoever asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Workshop<'a> {
    /// Who restores.
    pub engines: &'a Engines,
    /// Whose memory is used.
    pub budget: &'a Budget,
    /// What a picture may be at most.
    pub limits: Limits,
}

/// What is to be done to a picture.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Name of the engine; the built-in one if there is none.
    pub engine: Option<String>,
    /// The steps, whose strengths are 0 to 1.
    pub steps: Vec<StepRequest>,
    /// A PNG file of the size that the picture has when displayed: where it is bright and opaque the picture is
    /// damaged.
    pub mask: Option<Vec<u8>>,
    /// The format to write; the picture's own if there is none.
    pub format: Option<Format>,
    /// Threads to compute with; one per core if there is none.
    pub threads: Option<NonZeroUsize>,
}

/// What is to be done to a picture by one engine after the other.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What each engine does, in this order.
    pub stages: Vec<Stage>,
    /// As in [`Order::mask`].
    pub mask: Option<Vec<u8>>,
    /// As in [`Order::format`].
    pub format: Option<Format>,
    /// As in [`Order::threads`].
    pub threads: Option<NonZeroUsize>,
    /// Where the pictures after steps are put, if they are wanted.
    pub shelf: Option<Arc<dyn Shelf>>,
    /// Whether the picture that comes in shows what the photograph never did.
    pub recreated: bool,
}

/// What has become of a picture.
#[derive(Debug, Clone)]
pub struct Made {
    /// One entry per step that was asked for.
    pub report: Vec<StepReport>,
    /// Whether any step was applied.
    pub outcome: Outcome,
    /// The format of the picture that came in.
    pub source: Format,
    /// Width in pixels as displayed.
    pub width: u32,
    /// Height in pixels as displayed.
    pub height: u32,
    /// The picture that came out; none if it would be what came in.
    pub file: Option<File>,
    /// Whether it may show what the photograph never did.
    pub recreated: bool,
}

/// A picture as a file in memory.
#[derive(Debug, Clone)]
pub struct File {
    /// Its format.
    pub format: Format,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The format in which a picture that came in one format goes out.
pub const fn kept_format(source: Format) -> Format {
    match source {
        // 256 colours can't hold a photograph.
        Format::Gif => Format::Png,
        // Of these there are only decoders. What a telephone or a camera wrote is 8 bits without alpha as good as always.
        Format::Avif | Format::Heic | Format::Jxl => Format::Jpeg,
        Format::Jpeg | Format::Png | Format::Webp | Format::Tiff => source,
    }
}

/// The format that a file name's extension stands for.
pub fn format_of_extension(extension: &str) -> Option<Format> {
    match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" | "jpe" | "jfif" => Some(Format::Jpeg),
        "png" => Some(Format::Png),
        "webp" => Some(Format::Webp),
        "gif" => Some(Format::Gif),
        "tif" | "tiff" => Some(Format::Tiff),
        _ => None,
    }
}

/// The extension for a picture of a format that comes from a file with this name: its own if it fits.
pub fn extension(name: &str, format: Format) -> &str {
    match name.rsplit_once('.') {
        Some((_, own)) if format_of_extension(own) == Some(format) => own,
        _ => format.extension(),
    }
}

/// Restores one picture. Bit depth, profile, EXIF and orientation stay, and the size unless a step enlarges; inks become
/// sRGB.
///
/// The memory for everything is taken from the budget beforehand. When `cancel` fires this returns within some ten
/// milliseconds; a decoder or encoder that can't be stopped gives its memory back when it is through.
///
/// # Errors
/// What is wrong with the picture, the mask or the order, and [`Error::Cancelled`].
pub async fn restore<R>(
    source: R,
    order: Order,
    workshop: Workshop<'_>,
    progress: Progress,
    cancel: &CancellationToken,
) -> Result<Made, Error>
where
    R: Read + Seek + Send + 'static,
{
    let Order { engine, steps, mask, format, threads } = order;
    let stages = vec![Stage::Local { engine, steps, place: 0, mask: None }];
    let plan = Plan { stages, mask, format, threads, ..Plan::default() };
    restore_in_stages(source, plan, workshop, None, progress, cancel).await
}

/// Does the same with several engines, one after the other. Models on other machines need a desk where their calls are
/// remembered; while one waits for them the picture takes no memory from the budget.
///
/// # Errors
/// As [`restore`].
pub async fn restore_in_stages<R>(
    mut source: R,
    plan: Plan,
    workshop: Workshop<'_>,
    desk: Option<&dyn Desk>,
    progress: Progress,
    cancel: &CancellationToken,
) -> Result<Made, Error>
where
    R: Read + Seek + Send + 'static,
{
    let limits = workshop.limits;
    for stage in &plan.stages {
        workshop.engines.get(stage.engine())?;
    }
    let scale = plan.stages.iter().map(Stage::scale).fold(1, u32::saturating_mul);
    let (source, probe) = off_thread(cancel, move || {
        let probe = imaging::probe(&mut source)?;
        limits.check(probe.width, probe.height)?;
        let (width, height) = enlarged((probe.width, probe.height), scale);
        limits.check(width, height)?;
        Ok((source, probe))
    })
    .await?;
    // The pages of a TIFF are pictures of their own; the first one is what everybody shows.
    if probe.frames > 1 && probe.format != Format::Tiff {
        return Err(Error::Animated { frames: probe.frames });
    }
    let (format, displayed, jpeg) = (probe.format, probe.displayed_size(), tables(&probe));
    let target = plan.format.unwrap_or(kept_format(format));
    let aside = aside_bytes(&plan.stages, &probe, scale)?;
    let sheet = open(source, probe, plan.mask, (scale, aside), workshop, cancel).await?;
    let context = engine::Context {
        progress,
        cancel: cancel.clone(),
        threads: plan.threads,
        ..engine::Context::default()
    };
    let floor = Floor { workshop, desk, context: &context, displayed, scale, shelf: plan.shelf, target };
    let Run { sheet, report, recreated } = floor.run(sheet, jpeg, plan.stages, plan.recreated).await?;
    let applied = report.iter().any(|step| step.decision == Decision::Applied);
    let outcome = if applied { Outcome::Restored } else { Outcome::Unchanged };
    let recreated = recreated && applied;
    let as_it_came = !applied && plan.format.is_none_or(|wanted| wanted == format);
    let (width, height) = if as_it_came { displayed } else { sheet.displayed_size() };
    let file = if as_it_came {
        None
    } else {
        let file = off_thread(cancel, move || {
            let Sheet { image, icc, exif, permit, .. } = sheet;
            let bytes = write(&image, target, icc, exif, recreated)?;
            drop(permit);
            Ok(File { format: target, bytes })
        });
        Some(file.await?)
    };
    Ok(Made { report, outcome, source: format, width, height, file, recreated })
}

/// Looks at a picture and says what is wrong with it, in words, without changing it.
///
/// # Errors
/// What is wrong with the picture, and [`Error::Cancelled`].
pub async fn analyse<R>(
    mut source: R,
    budget: &Budget,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Analysis, Error>
where
    R: Read + Seek + Send + 'static,
{
    let (mut source, probe) = off_thread(cancel, move || {
        let probe = imaging::probe(&mut source)?;
        limits.check(probe.width, probe.height)?;
        Ok((source, probe))
    })
    .await?;
    if probe.frames > 1 && probe.format != Format::Tiff {
        return Err(Error::Animated { frames: probe.frames });
    }
    let permit = tokio::select! {
        permit = budget.acquire(needed_bytes(&probe, 1)) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let context = engine::Context { cancel: cancel.clone(), ..engine::Context::default() };
    off_thread(cancel, move || {
        source.rewind().map_err(imaging::Error::Read)?;
        let image = imaging::decode(&mut source, &Options::held(limits))?.image;
        let analysis = builtin::analyse(image, tables(&probe).as_ref(), &context)?;
        drop(permit);
        Ok(analysis)
    })
    .await
}

/// Reads a picture and its mask with memory from the budget.
async fn open<R>(
    mut source: R,
    probe: Probe,
    mask: Option<Vec<u8>>,
    (scale, aside): (u32, u64),
    workshop: Workshop<'_>,
    cancel: &CancellationToken,
) -> Result<Sheet, Error>
where
    R: Read + Seek + Send + 'static,
{
    let displayed = probe.displayed_size();
    // The mask is read first and gone but for its own pixels when the picture is.
    let mask_bytes = mask.as_deref().map(|mask| mask_bytes(mask, displayed)).transpose()?.unwrap_or(0);
    let permit = tokio::select! {
        permit = workshop.budget.acquire((needed_bytes(&probe, scale) + aside).max(mask_bytes)) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let (orientation, limits) = (probe.orientation, workshop.limits);
    off_thread(cancel, move || {
        // First, because it is small and says early that it is wrong.
        let mask = mask.map(|mask| read_mask(&mask, displayed, orientation)).transpose()?;
        source.rewind().map_err(imaging::Error::Read)?;
        let decoded = imaging::decode(&mut source, &Options::held(limits))?;
        Ok(Sheet { image: decoded.image, orientation, mask, icc: decoded.icc, exif: decoded.exif, permit })
    })
    .await
}

fn is_recreated(stage: &Stage, engines: &Engines) -> bool {
    match stage {
        Stage::Local { engine, .. } => engines.get(engine.as_deref()).is_ok_and(|engine| engine.recreates()),
        Stage::Remote(call) => call.model.recreates,
    }
}

/// What has become of a picture between decoding and encoding.
struct Run {
    sheet: Sheet,
    report: Vec<StepReport>,
    recreated: bool,
}

/// Where one engine after the other works on a picture.
struct Floor<'a> {
    workshop: Workshop<'a>,
    desk: Option<&'a dyn Desk>,
    context: &'a engine::Context,
    /// The size of the picture that came in as displayed, which is that of all masks.
    displayed: (u32, u32),
    /// How many times as wide and high the picture may become.
    scale: u32,
    shelf: Option<Arc<dyn Shelf>>,
    /// The format of the result.
    target: Format,
}

impl Floor<'_> {
    async fn run(
        &self,
        mut sheet: Sheet,
        mut jpeg: Option<JpegTables>,
        stages: Vec<Stage>,
        mut recreated: bool,
    ) -> Result<Run, Error> {
        let total: f32 = stages.iter().map(Stage::weight).sum();
        let (mut done, mut report) = (0.0, Vec::new());
        for stage in stages {
            let share = stage.weight() / total;
            let part =
                engine::Context { progress: self.context.progress.part(done, share), ..self.context.clone() };
            let recreates = is_recreated(&stage, self.workshop.engines);
            let keeper = self.keeper(&sheet, recreated || recreates);
            // Tables belong to the pixels that were quantised, not to what has another size or comes from elsewhere.
            let keeps_pixels = matches!(stage, Stage::Local { .. }) && stage.scale() == 1;
            let told = match stage {
                Stage::Local { engine, steps, place, mask } => {
                    let task = Task { engine, steps, place, mask };
                    let (next, told) = self.work(sheet, task, jpeg.clone(), keeper, part).await?;
                    sheet = next;
                    told
                }
                Stage::Remote(call) => {
                    let (next, told) = self.visit(sheet, *call, keeper, &part).await?;
                    sheet = next;
                    vec![told]
                }
            };
            jpeg = jpeg.filter(|_| keeps_pixels);
            recreated |= recreates && told.iter().any(|step| step.decision == Decision::Applied);
            report.extend(told);
            done += share;
        }
        Ok(Run { sheet, report, recreated })
    }

    fn keeper(&self, sheet: &Sheet, recreated: bool) -> Option<Keeper> {
        let shelf = Arc::clone(self.shelf.as_ref()?);
        let Sheet { orientation, icc, exif, .. } = sheet;
        let (icc, exif) = (icc.clone(), exif.clone());
        Some(Keeper { shelf, format: self.target, orientation: *orientation, icc, exif, recreated })
    }

    /// Lets an engine of this machine work on a picture, or on a part of it.
    async fn work(
        &self,
        mut sheet: Sheet,
        task: Task,
        jpeg: Option<JpegTables>,
        keeper: Option<Keeper>,
        mut context: engine::Context,
    ) -> Result<(Sheet, Vec<StepReport>), Error> {
        let Task { engine, steps, place, mask } = task;
        let engine = self.workshop.engines.get(engine.as_deref())?;
        let (width, height) = (sheet.image.width, sheet.image.height);
        let (wide, high) = enlarged((width, height), scale(&steps));
        self.workshop.limits.check(wide, high)?;
        let (displayed, orientation) = (self.displayed, sheet.orientation);
        let region = match mask {
            Some(file) => {
                let read = move || read_mask(&file, displayed, orientation).map(Some);
                off_thread(&context.cancel, read).await?
            }
            None => None,
        };
        let is_damage = steps.iter().all(|request| request.step == Step::Inpaint);
        let (damage, region) =
            if is_damage && region.is_some() { (region, None) } else { (sheet.mask.clone(), region) };
        // An earlier step may have enlarged the picture.
        let damage = damage.map(|mask| stages::fitted(mask, width, height));
        let before = region.map(|region| (sheet.image.clone(), region));
        context.after_step = keeper.clone().filter(|_| before.is_none()).map(|keeper| keeper.watch(place));
        let cancel = context.cancel.clone();
        let work = Work { image: sheet.image, jpeg, mask: damage, steps };
        let restored = engine.restore(work, context).await?;
        sheet.image = restored.image;
        if let Some((before, region)) = before {
            let applied = restored.outcome == Outcome::Restored;
            sheet = off_thread(&cancel, move || {
                if applied {
                    sheet.image = stages::blend(&before, sheet.image, region)?;
                }
                if let Some(keeper) = keeper {
                    let decision = if applied { Decision::Applied } else { Decision::Skipped };
                    keeper.keep(place, &sheet.image, decision);
                }
                Ok(sheet)
            })
            .await?;
        }
        Ok((sheet, restored.report))
    }

    /// Sends a picture to a model on another machine, unless what came of it is kept from an earlier attempt.
    async fn visit(
        &self,
        sheet: Sheet,
        call: Call,
        keeper: Option<Keeper>,
        context: &engine::Context,
    ) -> Result<(Sheet, StepReport), Error> {
        let engine = self.workshop.engines.get(Some(&call.model.engine))?;
        let needs_model = || engine::Error::NeedsModel { engine: engine.name().to_owned() };
        let (Some(remote), Some(desk)) = (engine.remote(), self.desk) else {
            return Err(needs_model().into());
        };
        let started = std::time::Instant::now();
        let (max_side, keep) = (call.model.max_side, call.strength < 1.0 || call.mask.is_some());
        let parcel = off_thread(&context.cancel, move || sheet.pack(max_side, keep)).await?;
        let answer = match desk.find(call.place).await? {
            Some(kept) => kept,
            None => {
                let order = parcel.order(&call);
                let ledger = desk.ledger(call.place);
                context.progress.report(0.0, call.step);
                let answer = remote.run(&order, &*ledger, context).await.map_err(engine::Error::from)?;
                desk.keep(call.place, &answer).await?;
                answer
            }
        };
        let duration_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        let titles = Titles { engine: engine.title(), duration_ms };
        let limits = self.workshop.limits;
        let probe =
            imaging::probe_bytes(&answer.file).map_err(|error| stages::bad_result(titles.engine, error))?;
        limits.check(probe.width, probe.height).map_err(|error| stages::bad_result(titles.engine, error))?;
        let permit = tokio::select! {
            permit = parcel.room(&probe, self.scale, self.workshop.budget) => permit?,
            () = context.cancel.cancelled() => return Err(Error::Cancelled),
        };
        let displayed = self.displayed;
        off_thread(&context.cancel, move || {
            // What comes back is upright.
            let read = |mask: &Vec<u8>| read_mask(mask, displayed, Orientation::Normal);
            let region = call.mask.as_ref().map(read).transpose()?;
            let (sheet, told) = parcel.unpack(&answer, &call, titles, limits, region, permit)?;
            if let Some(keeper) = keeper {
                // Its colours are sRGB now.
                Keeper { icc: None, ..keeper }.keep(call.place, &sheet.image, told.decision);
            }
            Ok((sheet, told))
        })
        .await
    }
}

/// Work for an engine of this machine: [`Stage::Local`].
struct Task {
    engine: Option<String>,
    steps: Vec<StepRequest>,
    place: u32,
    mask: Option<Vec<u8>>,
}

/// Bytes for what lies beside the picture while a step applies to a part of it: the mask, and the picture before it.
fn aside_bytes(stages: &[Stage], probe: &Probe, scale: u32) -> Result<u64, Error> {
    let masks = stages.iter().filter_map(Stage::mask).map(|mask| mask_bytes(mask, probe.displayed_size()));
    let largest = masks.collect::<Result<Vec<_>, _>>()?.into_iter().max();
    let area = u64::from(scale).saturating_mul(scale.into());
    let image = probe.image_bytes().saturating_add(probe.pixels() * 2).saturating_mul(area);
    Ok(largest.map_or(0, |mask| image.saturating_add(mask)))
}

/// Runs work that blocks; a panic in a decoder is the picture's fault and not the end of the program.
async fn off_thread<T: Send + 'static>(
    cancel: &CancellationToken,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        done = tokio::task::spawn_blocking(work) => {
            done.unwrap_or_else(|stopped| Err(Error::Panicked(stopped.to_string())))
        }
    }
}

/// How many times as wide and high a picture is after these steps.
pub fn scale(steps: &[StepRequest]) -> u32 {
    let scales = steps.iter().filter(|request| request.strength > 0.0).map(|request| request.step.scale());
    scales.fold(1, u32::saturating_mul)
}

fn enlarged((width, height): (u32, u32), scale: u32) -> (u32, u32) {
    (width.saturating_mul(scale), height.saturating_mul(scale))
}

/// Bytes at the worst moment: the picture, and then the decoder's, the engine's or the encoder's own. A picture that
/// is enlarged stands beside a smaller one, and is encoded at its new size.
fn needed_bytes(probe: &Probe, scale: u32) -> u64 {
    let area = u64::from(scale).saturating_mul(scale.into());
    let (small, image) = (probe.image_bytes(), probe.image_bytes().saturating_mul(area));
    let image = if scale > 1 { image.saturating_add(small) } else { image };
    // The mask, and what is kept while damage is looked for.
    let mask = probe.pixels() * 6;
    let strips =
        (u64::from(probe.width) * WORKING_BYTES_PER_COLUMN).min(probe.pixels() * WORKING_BYTES_PER_PIXEL);
    let working = image.saturating_add(strips);
    let encoding = image.saturating_mul(3);
    mask.saturating_add(probe.decode_bytes().max(working).max(encoding))
}

/// The quantisation of a JPEG, if its pixels are the ones that were quantised: inks are converted on the way.
fn tables(probe: &Probe) -> Option<JpegTables> {
    let jpeg = probe.jpeg.as_ref()?;
    if matches!(probe.colour, Colour::Cmyk | Colour::CmykAlpha) {
        return None;
    }
    let luma = *jpeg.luma_table()?;
    Some(JpegTables { luma, chroma: jpeg.chroma_table().copied(), chroma_scale: jpeg.chroma_subsampling() })
}

/// Bytes of memory that reading a mask takes, from its header alone.
///
/// # Errors
/// [`Error::Mask`], [`Error::MaskFormat`], and [`Error::MaskSize`] unless it has the size of the displayed picture.
pub fn mask_bytes(mask: &[u8], displayed: (u32, u32)) -> Result<u64, Error> {
    let probe = imaging::probe_bytes(mask).map_err(Error::Mask)?;
    if probe.format != Format::Png {
        return Err(Error::MaskFormat { format: probe.format });
    }
    let (mask_width, mask_height) = probe.displayed_size();
    if (mask_width, mask_height) != displayed {
        let (width, height) = displayed;
        return Err(Error::MaskSize { mask_width, mask_height, width, height });
    }
    // Beside the decoded picture there are its damage and, while that is turned, a copy.
    Ok(probe.decode_bytes() + probe.pixels() * 2)
}

/// Checks that a mask can be read and has the size that a picture has when displayed. The caller holds
/// [`mask_bytes`] of the budget.
///
/// # Errors
/// [`Error::Mask`], [`Error::MaskFormat`], [`Error::MaskSize`].
pub fn check_mask(mask: &[u8], displayed: (u32, u32)) -> Result<(), Error> {
    read_mask(mask, displayed, Orientation::Normal).map(drop)
}

/// Reads a mask and turns it to where the stored pixels lie.
fn read_mask(file: &[u8], displayed: (u32, u32), orientation: Orientation) -> Result<Mask, Error> {
    mask_bytes(file, displayed)?;
    // As many pixels as the picture, which was judged.
    let limits = Limits { max_pixels: u64::MAX };
    let decoded = imaging::decode_bytes(file, &Options::held(limits)).map_err(Error::Mask)?;
    let upright = imaging::orient(damage(&decoded.image), decoded.orientation);
    let stored = imaging::orient(upright, inverse(orientation));
    let Samples::U8(samples) = stored.samples else {
        return Err(Error::Panicked("a mask has 8 bits".into()));
    };
    Ok(Mask { width: stored.width, height: stored.height, samples })
}

/// How bright and opaque each pixel is: people paint masks in white on black, and in any bright colour on nothing.
fn damage(image: &Image) -> Image {
    let channels = image.channels;
    let rate = |pixel: &[u32], full: u32| -> u8 {
        let brightest = pixel[..channels.colour_count()].iter().copied().max().unwrap_or(0);
        let alpha = if channels.has_alpha() { pixel[channels.count() - 1] } else { full };
        let rated = u64::from(brightest) * u64::from(alpha) * 255 / (u64::from(full) * u64::from(full));
        u8::try_from(rated).unwrap_or(u8::MAX)
    };
    let samples = match &image.samples {
        Samples::U8(samples) => rate_all(samples, channels, |pixel| rate(pixel, 255)),
        Samples::U16(samples) => rate_all(samples, channels, |pixel| rate(pixel, 65_535)),
    };
    Image {
        width: image.width,
        height: image.height,
        channels: Channels::Gray,
        samples: Samples::U8(samples),
    }
}

fn rate_all<T: Copy + Into<u32>>(samples: &[T], channels: Channels, rate: impl Fn(&[u32]) -> u8) -> Vec<u8> {
    let count = channels.count();
    let mut pixel = [0_u32; 4];
    samples
        .chunks_exact(count)
        .map(|samples| {
            for (sample, from) in pixel.iter_mut().zip(samples) {
                *sample = (*from).into();
            }
            rate(&pixel[..count])
        })
        .collect()
}

/// The turn that undoes another.
const fn inverse(orientation: Orientation) -> Orientation {
    match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        other => other,
    }
}

/// Writes a picture as a file; one that may show what the photograph never did is marked so.
fn write(
    image: &Image,
    format: Format,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
    recreated: bool,
) -> Result<Vec<u8>, Error> {
    // Written as three channels, gray would no longer fit its profile.
    let becomes_colour = match format {
        Format::Webp => image.channels.colour_count() == 1,
        Format::Tiff => image.channels == Channels::GrayAlpha,
        _ => false,
    };
    let converted;
    let (image, icc) = if becomes_colour && icc.is_some() {
        converted = imaging::to_srgb(image.clone(), icc.as_deref()).0;
        (&converted, None)
    } else {
        (image, icc)
    };
    let bytes = imaging::encode(image, &EncodeOptions { icc, exif, ..EncodeOptions::new(format) })?;
    if recreated {
        return Ok(imaging::with_source_type(bytes, format, imaging::SourceType::CompositeWithModel)?);
    }
    Ok(bytes)
}

/// The steps of a preset with some set by hand, without those that are switched off. Whoever gives a mask wants the
/// damage filled, so that step comes with it unless it was switched off.
pub fn plan(preset: Option<Preset>, by_hand: &[StepRequest], masked: bool) -> Vec<StepRequest> {
    let mut steps = engine::plan(preset, by_hand);
    if masked && steps.iter().all(|request| request.step != Step::Inpaint) {
        steps.push(StepRequest { step: Step::Inpaint, strength: 1.0 });
    }
    steps.retain(|request| request.strength > 0.0);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_sentences() {
        let error = Error::Mask(imaging::Error::Truncated { format: "PNG" });
        assert_eq!(sentence(&error), "The mask can't be read: the PNG file is cut off: its end is missing.");
        assert_eq!(error.code(), "bad-mask");
    }

    #[test]
    fn what_is_bright_and_opaque_is_damaged() {
        let image = Image {
            width: 5,
            height: 1,
            channels: Channels::Rgba,
            samples: Samples::U8(vec![
                255, 255, 255, 255, // white
                255, 40, 40, 255, // a red brush
                255, 40, 40, 60, // hardly there
                0, 0, 0, 255, // black
                255, 255, 255, 0, // nothing
            ]),
        };
        let Samples::U8(rated) = damage(&image).samples else { panic!("8 bits") };
        assert_eq!(
            rated.iter().map(|sample| *sample >= 128).collect::<Vec<_>>(),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn masks_are_png_and_paid_for_by_what_they_hold() {
        let deep = Image {
            width: 40,
            height: 30,
            channels: Channels::Rgba,
            samples: Samples::U16(vec![65_535; 40 * 30 * 4]),
        };
        let file = imaging::encode(&deep, &EncodeOptions::new(Format::Png)).unwrap();
        let probe = imaging::probe_bytes(&file).unwrap();
        // Eight bytes per pixel as decoded, one that counts, and that one turned.
        assert_eq!(mask_bytes(&file, (40, 30)).unwrap(), probe.decode_bytes() + 40 * 30 * 2);
        assert!(probe.decode_bytes() > 40 * 30 * 8);
        assert!(check_mask(&file, (40, 30)).is_ok());
        for format in [Format::Tiff, Format::Webp, Format::Jpeg] {
            let channels = Channels::Rgb;
            let image = Image { width: 4, height: 3, channels, samples: Samples::U8(vec![255; 36]) };
            let file = imaging::encode(&image, &EncodeOptions::new(format)).unwrap();
            let error = check_mask(&file, (4, 3)).unwrap_err();
            assert!(matches!(error, Error::MaskFormat { .. }), "{error}");
            assert_eq!(error.code(), "bad-mask");
            assert_eq!(
                sentence(&error),
                format!("The mask is a {} picture, but masks are PNG.", format.name())
            );
        }
    }

    #[test]
    fn a_mask_is_turned_to_where_the_pixels_lie() {
        // Displayed 2 x 3, stored 3 x 2: what stands at the top left of the display is stored at the bottom left.
        let mask = Image {
            width: 2,
            height: 3,
            channels: Channels::Gray,
            samples: Samples::U8(vec![255, 0, 0, 0, 0, 0]),
        };
        let file = imaging::encode(&mask, &EncodeOptions::new(Format::Png)).unwrap();
        let turned = read_mask(&file, (2, 3), Orientation::Rotate90).unwrap();
        assert_eq!((turned.width, turned.height), (3, 2));
        assert_eq!(turned.samples, [0, 0, 0, 255, 0, 0]);
        assert!(matches!(check_mask(&file, (3, 2)), Err(Error::MaskSize { mask_width: 2, .. })));
    }
}
