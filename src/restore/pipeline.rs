//! From the bytes of a picture to the bytes of the restored one: decode, let an engine work, encode. The one way that
//! the jobs and the command line share; knows no database and no route.

use std::io::{Read, Seek};
use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

mod floor;
mod looking;
mod masks;
mod stages;

pub use looking::{analyse, cut_out, find_damage, find_prints};
pub(super) use looking::{measuring_bytes, part_bytes, sit};
pub(super) use masks::read_mask;
pub use masks::{check_mask, mask_bytes};
pub use stages::{Call, Desk, Shelf, Shelved, Stage};

use floor::{Floor, Run, aside_bytes};
use masks::inverse;
use stages::Sheet;

use crate::api::as_sentence;
use crate::engine::{
    self, Decision, Engines, JpegTables, Outcome, Preset, Progress, Step, StepReport, StepRequest,
};
use crate::imaging::{self, Budget, Channels, Colour, EncodeOptions, Format, Image, Limits, Options, Probe};

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
    as_sentence(&text)
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

fn strips_bytes(width: u32, pixels: u64) -> u64 {
    (u64::from(width) * WORKING_BYTES_PER_COLUMN).min(pixels * WORKING_BYTES_PER_PIXEL)
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

/// Runs work that blocks; a panic in a decoder is the picture's fault and not the end of the program.
pub(super) async fn off_thread<T: Send + 'static>(
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
    let strips = strips_bytes(probe.width, probe.pixels());
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

/// Writes a picture as a file; one that may show what the photograph never did is marked so.
pub(super) fn write(
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
}
