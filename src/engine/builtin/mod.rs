//! The engine that needs nothing but the processor: measured image processing, and two small models of our own making
//! (a bank of filters to enlarge with, a classifier of damage).
//!
//! Every step first measures whether the picture needs it, then works in place, strip by strip, on all threads. The
//! result depends on nothing but the picture and the request: not on the number of threads, the size of the strips
//! or the instruction set. Figures and sources are in `docs/engine.md`.

mod analyse;
mod canvas;
mod chroma;
mod damage;
mod dct;
mod deblock;
mod deblur;
mod denoise;
mod descreen;
mod fade;
mod fourier;
mod frames;
mod inpaint;
mod local_contrast;
mod noise;
mod part;
mod quantisation;
mod sliding;
#[cfg(test)]
mod tests;
mod upscale;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

pub use self::analyse::{Analysis, Finding, analyse};
pub use self::damage::{Candidate, candidates, damage_bytes, find_similar, propose_mask};
pub(super) use self::part::stages_bytes;
pub use self::part::{Asked, Measured, Notes, Part, is_measured, restore_part, sorted};

use self::canvas::{Canvas, Origin, Sample, Ticker};
use super::{
    BoxFuture, Context, Decision, Engine, Error, JpegTables, Mask, Outcome, Restored, Step, StepInfo,
    StepReport, StepRequest, Work,
};
use crate::imaging::{Image, Samples};

/// The name of the built-in engine.
pub const NAME: &str = "builtin";

/// The steps in the order in which they are run: sharpening or stretching before the noise is gone would amplify it.
const STEPS: [StepInfo; 9] = [
    StepInfo {
        step: Step::Deblock,
        title: "JPEG blocks",
        description: "Smooths the blocks and ringing that strong JPEG compression left.",
        default_strength: 1.0,
    },
    StepInfo {
        step: Step::Descreen,
        title: "Printing dots",
        description: "Removes the screen of dots of a picture that was printed, if there is one.",
        default_strength: 1.0,
    },
    StepInfo {
        step: Step::Inpaint,
        title: "Scratches and dust",
        description: "Fills scratches, dust and cracks from what surrounds them: those that you have marked, or else those that are plain to see.",
        default_strength: 1.0,
    },
    StepInfo {
        step: Step::Denoise,
        title: "Noise and grain",
        description: "Measures the spectrum of the noise and removes that, with some of the grain left.",
        default_strength: 0.8,
    },
    StepInfo {
        step: Step::Chroma,
        title: "Colour blotches",
        description: "Removes coloured blotches by letting colour follow brightness.",
        default_strength: 0.8,
    },
    StepInfo {
        step: Step::Fade,
        title: "Fading",
        description: "Brings back blacks, whites and colour balance if the picture has faded; keeps the tone of a sepia print.",
        default_strength: 1.0,
    },
    StepInfo {
        step: Step::Deblur,
        title: "Sharpness",
        description: "Undoes slight defocus, as far as the edges show that there is any.",
        default_strength: 0.7,
    },
    StepInfo {
        step: Step::LocalContrast,
        title: "Local contrast",
        description: "Brings out detail in flat parts of the picture. A matter of taste, not of repair.",
        default_strength: 0.4,
    },
    StepInfo {
        step: Step::Upscale,
        title: "Enlarge",
        description: "Enlarges to twice the width and height with sharp edges. Asked for twice, it enlarges fourfold.",
        default_strength: 1.0,
    },
];

/// The built-in engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

impl Engine for Builtin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "Built-in"
    }

    fn steps(&self) -> &'static [StepInfo] {
        &STEPS
    }

    fn recreates(&self) -> bool {
        false
    }

    fn restore(&self, work: Work, context: Context) -> BoxFuture<'_, Result<Restored, Error>> {
        Box::pin(async move {
            tokio::task::spawn_blocking(move || restore(work, &context))
                .await
                .map_err(|error| Error::Failed(Box::new(error)))?
        })
    }
}

/// What a step measured and decided.
#[derive(Debug, Clone)]
struct Verdict {
    applied: bool,
    reason: String,
    evidence: BTreeMap<String, f64>,
}

impl Verdict {
    fn applied(reason: impl Into<String>) -> Self {
        Self { applied: true, reason: reason.into(), evidence: BTreeMap::new() }
    }

    fn skipped(reason: impl Into<String>) -> Self {
        Self { applied: false, reason: reason.into(), evidence: BTreeMap::new() }
    }

    fn with(mut self, name: &str, value: f64) -> Self {
        // JSON has no infinities, and nobody reads more than three decimals.
        let value = if value.is_finite() { (value * 1000.0).round() / 1000.0 } else { 0.0 };
        self.evidence.insert(name.to_owned(), value);
        self
    }
}

/// What a step may know besides the pixels.
struct Known<'a> {
    jpeg: Option<&'a JpegTables>,
    /// Quality of the JPEG file that the picture comes from, once a step has found that there was one.
    jpeg_quality: Option<f32>,
    mask: Option<Arc<Mask>>,
    /// Whether damage was filled.
    repaired: bool,
}

/// What a step will do, which was found out on the whole picture and can be done to a part of it.
#[derive(Debug, Clone)]
enum Plan {
    Deblock(Box<deblock::Plan>),
    Descreen(descreen::Plan),
    Inpaint(inpaint::Plan),
    Denoise(Box<denoise::Plan>),
    Chroma,
    Fade(fade::Plan),
    Deblur(deblur::Plan),
    LocalContrast(local_contrast::Plan),
}

/// Restores a picture on the calling thread and a pool of workers; blocks until it is done.
///
/// Steps are run in the engine's own order whatever the order of the request. Alpha is kept; samples that no step
/// changes stay exactly as they are.
///
/// # Errors
/// Every variant of [`Error`] but [`Error::UnknownEngine`].
pub fn restore(work: Work, context: &Context) -> Result<Restored, Error> {
    restore_in_strips(work, context, None)
}

fn restore_in_strips(
    mut work: Work,
    context: &Context,
    strip_rows: Option<usize>,
) -> Result<Restored, Error> {
    check(&work)?;
    // The order of STEPS, and the order of the request among equals.
    work.steps.sort_by_key(|request| STEPS.iter().position(|info| info.step == request.step));
    match context.threads {
        None => run(work, context, strip_rows),
        Some(threads) => rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build()
            .map_err(|error| Error::Failed(Box::new(error)))?
            .install(|| run(work, context, strip_rows)),
    }
}

fn check(work: &Work) -> Result<(), Error> {
    let image = &work.image;
    let expected = image.pixels() * image.channels.count() as u64;
    let actual = match &image.samples {
        Samples::U8(samples) => samples.len(),
        Samples::U16(samples) => samples.len(),
    } as u64;
    if expected != actual || image.width == 0 || image.height == 0 {
        return Err(Error::Malformed { expected, actual });
    }
    if let Some(mask) = &work.mask
        && (mask.width != image.width
            || mask.height != image.height
            || mask.samples.len() as u64 != image.pixels())
    {
        return Err(Error::MaskSize {
            mask_width: mask.width,
            mask_height: mask.height,
            width: image.width,
            height: image.height,
        });
    }
    for request in &work.steps {
        if !(0.0..=1.0).contains(&request.strength) {
            return Err(Error::Strength { step: request.step, strength: request.strength });
        }
        if !STEPS.iter().any(|info| info.step == request.step) {
            return Err(Error::UnsupportedStep { engine: NAME.to_owned(), step: request.step });
        }
    }
    Ok(())
}

fn run(work: Work, context: &Context, strip_rows: Option<usize>) -> Result<Restored, Error> {
    let Work { mut image, jpeg, mask, steps } = work;
    let mut known = Known {
        jpeg: jpeg.as_ref(),
        jpeg_quality: jpeg.as_ref().map(|tables| quantisation::quality(&tables.luma)),
        mask: mask.map(Arc::new),
        repaired: false,
    };
    let total: f32 = steps.iter().map(|request| cost(request.step)).sum();
    let mut done = 0.0;
    let mut report = Vec::with_capacity(steps.len());
    for request in steps {
        let share = cost(request.step) / total;
        let ticker = Ticker::new(context, request.step, done, share, strip_rows);
        ticker.check()?;
        let started = Instant::now();
        let verdict = run_step(&mut image, request, &mut known, &ticker)?;
        known.repaired |= request.step == Step::Inpaint && verdict.applied;
        ticker.finish();
        done += share;
        let told = StepReport {
            step: request.step,
            strength: request.strength,
            engine: NAME.to_owned(),
            model: None,
            decision: if verdict.applied { Decision::Applied } else { Decision::Skipped },
            reason: verdict.reason,
            evidence: verdict.evidence,
            duration_ms: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
        };
        if let Some(after_step) = &context.after_step {
            after_step.show(&image, &told);
        }
        report.push(told);
    }
    let applied = report.iter().any(|step| step.decision == Decision::Applied);
    let outcome = if applied { Outcome::Restored } else { Outcome::Unchanged };
    Ok(Restored { image, report, outcome })
}

/// Relative time of a step, for the progress.
fn cost(step: Step) -> f32 {
    match step {
        Step::Denoise => 10.0,
        Step::Upscale => 8.0,
        Step::Deblock => 7.0,
        Step::Deblur => 6.0,
        Step::Inpaint | Step::Descreen => 3.0,
        Step::Chroma => 2.0,
        _ => 1.0,
    }
}

fn run_step(
    image: &mut Image,
    request: StepRequest,
    known: &mut Known<'_>,
    ticker: &Ticker,
) -> Result<Verdict, Error> {
    if request.strength == 0.0 {
        return Ok(Verdict::skipped("The strength is set to zero."));
    }
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels);
    if request.step == Step::Upscale {
        return enlarge(image, request.strength, ticker);
    }
    match &mut image.samples {
        Samples::U8(samples) => {
            both(&mut Canvas { samples, width, height, channels }, request, known, ticker)
        }
        Samples::U16(samples) => {
            both(&mut Canvas { samples, width, height, channels }, request, known, ticker)
        }
    }
}

/// The one step after which the picture has another size; it comes last, so that no mask has to follow.
fn enlarge(image: &mut Image, strength: f32, ticker: &Ticker<'_>) -> Result<Verdict, Error> {
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels);
    let too_large =
        || Error::Failed("the enlarged picture would have more pixels than can be counted".into());
    let (wide, high) = (
        image.width.checked_mul(2).ok_or_else(too_large)?,
        image.height.checked_mul(2).ok_or_else(too_large)?,
    );
    let verdict = match &mut image.samples {
        Samples::U8(samples) => {
            let (larger, verdict) =
                upscale::run(&Canvas { samples, width, height, channels }, strength, ticker)?;
            image.samples = Samples::U8(larger);
            verdict
        }
        Samples::U16(samples) => {
            let (larger, verdict) =
                upscale::run(&Canvas { samples, width, height, channels }, strength, ticker)?;
            image.samples = Samples::U16(larger);
            verdict
        }
    };
    (image.width, image.height) = (wide, high);
    Ok(verdict)
}

/// Measures a picture and does to the same one what that asks for.
fn both<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    request: StepRequest,
    known: &mut Known<'_>,
    ticker: &Ticker,
) -> Result<Verdict, Error> {
    let (verdict, plan) = measure(canvas, request, known, ticker)?;
    if let Some(plan) = plan {
        apply(canvas, &plan, request.strength, Origin::default(), ticker)?;
    }
    Ok(verdict)
}

/// What a step finds in the whole picture, and what it will do about that; nothing where it has nothing to do.
fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    request: StepRequest,
    known: &mut Known<'_>,
    ticker: &Ticker,
) -> Result<(Verdict, Option<Plan>), Error> {
    fn planned<P>((verdict, plan): (Verdict, Option<P>), wrap: fn(P) -> Plan) -> (Verdict, Option<Plan>) {
        (verdict, plan.map(wrap))
    }
    let found = match request.step {
        Step::Deblock => {
            planned(deblock::measure(canvas, known, ticker)?, |plan| Plan::Deblock(Box::new(plan)))
        }
        Step::Descreen => planned(descreen::measure(canvas, ticker)?, Plan::Descreen),
        Step::Inpaint => planned(inpaint::measure(canvas, known, ticker)?, Plan::Inpaint),
        Step::Denoise => {
            planned(denoise::measure(canvas, known, ticker)?, |plan| Plan::Denoise(Box::new(plan)))
        }
        Step::Chroma => planned(chroma::measure(canvas, known, ticker)?, |()| Plan::Chroma),
        Step::Fade => planned(fade::measure(canvas, known, ticker)?, Plan::Fade),
        Step::Deblur => planned(deblur::measure(canvas, known, ticker)?, Plan::Deblur),
        Step::LocalContrast => {
            planned(local_contrast::measure(canvas, request.strength, ticker)?, Plan::LocalContrast)
        }
        step => return Err(Error::UnsupportedStep { engine: NAME.to_owned(), step }),
    };
    Ok(found)
}

/// Does what was planned to a picture, or to the part of it that begins at `origin`, which is a multiple of
/// [`part::GRID`].
fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    plan: &Plan,
    strength: f32,
    origin: Origin,
    ticker: &Ticker,
) -> Result<(), Error> {
    match plan {
        Plan::Deblock(plan) => deblock::apply(canvas, plan, strength, ticker),
        Plan::Descreen(plan) => descreen::apply(canvas, plan, strength, ticker),
        Plan::Inpaint(plan) => {
            let mask = part::of_mask(&plan.mask, origin, canvas.width, canvas.height);
            inpaint::apply(canvas, &mask, strength, ticker)
        }
        Plan::Denoise(plan) => denoise::apply(canvas, plan, strength, ticker),
        Plan::Chroma => chroma::apply(canvas, strength, ticker),
        Plan::Fade(plan) => fade::apply(canvas, plan, strength, origin, ticker),
        Plan::Deblur(plan) => deblur::apply(canvas, plan, strength, ticker),
        Plan::LocalContrast(plan) => local_contrast::apply(canvas, plan, strength, origin, ticker),
    }
}
