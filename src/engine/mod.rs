//! Engines that restore pictures. Several may be active at once and one is picked per request; knows no database,
//! no route and no feature.
//!
//! A request is a list of [`StepRequest`]s over one decoded picture ([`Work`]); the answer is a picture of the same
//! size (unless it was to be enlarged) and bit depth and one [`StepReport`] per step, which says whether the step was
//! applied, why, and on what evidence. The built-in engine ([`builtin`]) needs nothing but the processor. Engines on
//! other machines ([`remote`]) take a picture file and a model instead, and answer with another file.

pub mod builtin;
pub mod hugging_face;
pub mod onnx;
mod preset;
mod preview;
pub mod remote;
pub mod replicate;
pub mod space;
mod step;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;

pub use preset::{Preset, UnknownPreset, plan};
pub use preview::{Previews, Subject, Turn};
pub use step::{Decision, Outcome, Step, StepInfo, StepReport, StepRequest, UnknownStep};
pub use tokio_util::sync::CancellationToken;

use crate::config;
use crate::imaging::Image;
use crate::outbound::Outbound;

/// Why an engine could not restore a picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token of the [`Context`] was cancelled.
    #[error("the restoration was cancelled")]
    Cancelled,
    /// The damage mask does not fit the picture.
    #[error("the mask is {mask_width} x {mask_height} pixels but the picture is {width} x {height}")]
    MaskSize {
        /// Width of the mask in pixels.
        mask_width: u32,
        /// Height of the mask in pixels.
        mask_height: u32,
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
    },
    /// The number of samples does not fit the dimensions.
    #[error("the picture has {actual} samples where its dimensions ask for {expected}")]
    Malformed {
        /// Samples that width, height and channels ask for.
        expected: u64,
        /// Samples that are there.
        actual: u64,
    },
    /// A strength is not a number between 0 and 1.
    #[error("the strength of {step} is {strength}; it must be between 0 and 1")]
    Strength {
        /// The step it was given for.
        step: Step,
        /// The value given.
        strength: f32,
    },
    /// No engine has this name.
    #[error("there is no engine named {0:?}")]
    UnknownEngine(String),
    /// The engine does not know the step.
    #[error("the engine {engine:?} has no step {step}")]
    UnsupportedStep {
        /// Name of the engine.
        engine: String,
        /// The step asked for.
        step: Step,
    },
    /// The engine works with models, and none was named.
    #[error("the engine {engine:?} needs to be told which model to use")]
    NeedsModel {
        /// Name of the engine.
        engine: String,
    },
    /// A model on another machine has no picture to give.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// The worker threads could not be started or ended by themselves.
    #[error("restoring the picture failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where a picture is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// One sample per pixel, row by row: 128 and above is damaged.
    pub samples: Vec<u8>,
}

impl Mask {
    /// Whether the pixel at this index (`y * width + x`) is damaged.
    pub(crate) fn is_damaged(&self, index: usize) -> bool {
        self.samples[index] >= 128
    }
}

/// Quantisation tables of the JPEG file that a picture was decoded from, in natural (row by row, not zigzag) order:
/// entry `8 * v + u` belongs to the vertical frequency `v` and the horizontal frequency `u` of the file's own
/// pixel grid, before any orientation is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JpegTables {
    /// Table of the luma component.
    pub luma: [u16; 64],
    /// Table of the chroma components; none in a grey file.
    pub chroma: Option<[u16; 64]>,
    /// How many luma samples share one chroma sample, horizontally and vertically: (1, 1) for 4:4:4, (2, 2) for 4:2:0.
    pub chroma_scale: (u8, u8),
}

/// What an engine is asked to do.
#[derive(Debug, Clone)]
pub struct Work {
    /// The picture, which the engine takes over.
    pub image: Image,
    /// Tables of the JPEG file it came from, if it came from one and was not rotated or resized since.
    pub jpeg: Option<JpegTables>,
    /// Where it is damaged; of the picture's size.
    pub mask: Option<Mask>,
    /// The steps asked for.
    pub steps: Vec<StepRequest>,
}

/// What an engine gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// The picture, of the channels and bit depth it came in, and of its size unless a step enlarged it
    /// ([`Step::scale`]); bit-identical if no step was applied.
    pub image: Image,
    /// One entry per step asked for, in the order in which they were run.
    pub report: Vec<StepReport>,
    /// Whether any step was applied.
    pub outcome: Outcome,
}

/// A closure that hears how far a restoration is: the fraction of the whole (0..=1, never falling) and the running
/// step. It is called from worker threads and must not block.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(f32, Step) + Send + Sync>);

impl Progress {
    /// Wraps a closure.
    pub fn new(report: impl Fn(f32, Step) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// A listener that does not listen.
    pub fn silent() -> Self {
        Self::new(|_, _| {})
    }

    /// The progress of a part of the work, which begins at a fraction of the whole and has a share of it.
    #[must_use]
    pub fn part(&self, begins: f32, share: f32) -> Self {
        let whole = self.clone();
        Self::new(move |fraction, step| whole.report((begins + fraction * share).min(1.0), step))
    }

    /// Reports the fraction done and the running step.
    pub fn report(&self, fraction: f32, step: Step) {
        (self.0)(fraction, step);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Progress")
    }
}

/// A closure that sees the picture after each step, with what was decided. It is called by the thread that works, which
/// goes on when it returns.
#[derive(Clone)]
pub struct AfterStep(Arc<Look>);

type Look = dyn Fn(&Image, &StepReport) + Send + Sync;

impl AfterStep {
    /// Wraps a closure.
    pub fn new(look: impl Fn(&Image, &StepReport) + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }

    /// Shows it a picture.
    pub fn show(&self, image: &Image, report: &StepReport) {
        (self.0)(image, report);
    }
}

impl fmt::Debug for AfterStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AfterStep")
    }
}

/// How an engine reports back while it works.
#[derive(Debug, Clone)]
pub struct Context {
    /// Hears the progress.
    pub progress: Progress,
    /// Ends the work early; it is looked at between strips, so within some ten milliseconds.
    pub cancel: CancellationToken,
    /// Threads to compute with; `None` takes the process-wide pool with one thread per core.
    pub threads: Option<NonZeroUsize>,
    /// Sees the picture after each step.
    pub after_step: Option<AfterStep>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            progress: Progress::silent(),
            cancel: CancellationToken::new(),
            threads: None,
            after_step: None,
        }
    }
}

/// A future that can be sent between threads; what an object-safe async method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that restores pictures.
pub trait Engine: Send + Sync {
    /// The name a request picks it by.
    fn name(&self) -> &'static str;

    /// The name a person reads.
    fn title(&self) -> &'static str;

    /// The steps it knows, in the order in which it runs them.
    fn steps(&self) -> &'static [StepInfo];

    /// Whether its results may contain what the photograph never showed.
    fn recreates(&self) -> bool;

    /// Restores a picture.
    ///
    /// # Errors
    /// Every variant of [`Error`] but [`Error::UnknownEngine`].
    fn restore(&self, work: Work, context: Context) -> BoxFuture<'_, Result<Restored, Error>>;

    /// Takes other settings, as far as they can change while it is used.
    fn configure(&self, _: &config::Engines) {}

    /// The engine as one on another machine, if it is: it is then given files and models instead of pixels, and
    /// [`Engine::restore`] refuses.
    fn remote(&self) -> Option<&dyn remote::Remote> {
        None
    }
}

/// What models on other machines can be asked for.
const REMOTE_STEPS: [StepInfo; 5] = [
    remote_step(Step::Enhance, "Enhance", "Lets the model improve the picture as it sees fit."),
    remote_step(Step::Face, "Faces", "Restores faces."),
    remote_step(Step::RemoveScratches, "Scratches", "Finds and removes scratches and dust."),
    remote_step(Step::Colorize, "Colours", "Gives colours to a black-and-white picture."),
    remote_step(Step::Upscale, "Enlarge", "Makes the picture larger."),
];

const fn remote_step(step: Step, title: &'static str, description: &'static str) -> StepInfo {
    StepInfo { step, title, description, default_strength: 1.0 }
}

/// The engines that are active, by name.
#[derive(Clone)]
pub struct Engines {
    engines: BTreeMap<&'static str, Arc<dyn Engine>>,
}

impl Engines {
    /// The registry with the built-in engine in it.
    pub fn new() -> Self {
        let mut engines = Self { engines: BTreeMap::new() };
        engines.add(Arc::new(builtin::Builtin));
        engines
    }

    /// The registry with the engines of the configuration. None of them connects before it is used.
    pub fn configured(settings: &config::Engines, outbound: &Outbound) -> Self {
        let line = remote::Line {
            outbound: outbound.clone(),
            result_hosts: settings.result_hosts.clone(),
            pace: remote::Pace::default(),
        };
        let mut engines = Self::new();
        engines.add_remote(settings, &line);
        engines
    }

    /// Adds the engines that work with models: those on other machines, which share a line, and that of this one.
    pub fn add_remote(&mut self, settings: &config::Engines, line: &remote::Line) {
        let (hugging_face, replicate) = (&settings.hugging_face, &settings.replicate);
        self.add(Arc::new(remote::Adapter(hugging_face::HuggingFace::new(line.clone(), hugging_face))));
        self.add(Arc::new(remote::Adapter(replicate::Replicate::new(line.clone(), replicate))));
        self.add(Arc::new(remote::Adapter(space::Space::new(line.clone(), &settings.space))));
        self.add(Arc::new(onnx::Onnx::new(&settings.onnx)));
    }

    /// Hands all engines other settings: tokens, switches, and addresses of an admin's own.
    pub fn configure(&self, settings: &config::Engines) {
        self.all().for_each(|engine| engine.configure(settings));
    }

    /// Adds an engine, in the place of another one of the same name.
    pub fn add(&mut self, engine: Arc<dyn Engine>) {
        self.engines.insert(engine.name(), engine);
    }

    /// Finds an engine by name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Engine>> {
        self.engines.get(name)
    }

    /// Gets the engine that a request names, or the built-in one if it names none.
    ///
    /// # Errors
    /// [`Error::UnknownEngine`].
    pub fn get(&self, name: Option<&str>) -> Result<&Arc<dyn Engine>, Error> {
        let name = name.unwrap_or(builtin::NAME);
        self.find(name).ok_or_else(|| Error::UnknownEngine(name.to_owned()))
    }

    /// All engines, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Engine>> {
        self.engines.values()
    }

    /// The engines that know a step.
    pub fn supporting(&self, step: Step) -> impl Iterator<Item = &Arc<dyn Engine>> {
        self.all().filter(move |engine| engine.steps().iter().any(|info| info.step == step))
    }
}

impl Default for Engines {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.engines.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_knows_the_built_in_engine_and_its_steps() {
        let engines = Engines::new();
        assert_eq!(engines.get(None).unwrap().name(), "builtin");
        assert!(matches!(engines.get(Some("nobody")), Err(Error::UnknownEngine(name)) if name == "nobody"));
        assert_eq!(engines.supporting(Step::Denoise).count(), 1);
        assert_eq!(engines.supporting(Step::Colorize).count(), 0);
    }
}
