//! Requests and what becomes of them. No I/O.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Error;
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::engine::{Engine, Engines, Outcome, Preset, Step, StepInfo, StepReport, StepRequest};
use crate::jobs::{JobId, JobState};
pub use crate::library::RestorationId;
use crate::library::{MediaId, RenditionId, VersionId};
use crate::storage::BlobId;

/// A restoration that somebody has asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Restoration {
    /// Its id.
    pub id: RestorationId,
    /// The photograph.
    pub media_id: MediaId,
    /// Which of its versions.
    pub version_id: VersionId,
    /// Where it stands.
    pub state: JobState,
    /// How far it has come, 0 to 1.
    pub progress: f64,
    /// The step that is running now.
    pub step: Option<Step>,
    /// The preset that was asked for.
    pub preset: Option<Preset>,
    /// The steps to run, those of the preset included.
    pub steps: Vec<StepRequest>,
    /// What came of it; null until it has succeeded.
    pub outcome: Option<Outcome>,
    /// The restored picture; null if there is none, or if it was removed.
    pub rendition_id: Option<RenditionId>,
    /// What each step has measured and decided.
    pub report: Vec<StepReport>,
    /// Why it failed, or why it has to be tried again.
    pub error: Option<Complaint>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When the present or last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Who asked for it.
    pub requested_by: Option<UserId>,
    #[serde(skip)]
    pub(super) job: JobId,
    #[serde(skip)]
    pub(super) engine: String,
    #[serde(skip)]
    pub(super) mask: Option<BlobId>,
}

/// Why a restoration failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Complaint {
    /// A word that programs may depend on.
    pub code: String,
    /// A sentence for a person.
    pub detail: String,
}

/// Which restorations are wanted; everything that is set must fit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Those of this media.
    pub media: Option<MediaId>,
    /// Those that stand there.
    pub state: Option<JobState>,
}

/// What somebody wants done to a picture.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The version; the current one where it is not said.
    pub version: Option<VersionId>,
    /// A named list of steps. Without it and without steps it is [`Preset::Auto`].
    pub preset: Option<Preset>,
    /// Steps that change the preset, or that are all.
    pub steps: Vec<AskedStep>,
    /// A picture file of the size that the picture has when displayed, bright where it is damaged.
    pub mask: Option<bytes::Bytes>,
}

/// A step as somebody has asked for it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AskedStep {
    /// Its name.
    pub step: String,
    /// How much of it, 0 (off) to 1; the engine's own suggestion where it is not said.
    pub strength: Option<f32>,
    /// The engine that does it; the built-in one where it is not said. All steps of a request have the same.
    pub engine: Option<String>,
    /// The model, by its id in the list of models; for the built-in engine that is its name.
    pub model: Option<String>,
    /// What the model wants to know besides; the built-in engine has no such parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
}

/// A request against the engines that there are.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) engine: String,
    pub(super) preset: Option<Preset>,
    pub(super) steps: Vec<StepRequest>,
}

/// Checks a request's steps and fills in what was not said.
pub(super) fn settle(engines: &Engines, request: &Request) -> Result<Settled, Error> {
    let mut named =
        request.steps.iter().filter_map(|asked| asked.engine.as_deref().or(asked.model.as_deref()));
    let name = named.next();
    if let (Some(one), Some(other)) = (name, named.find(|other| Some(*other) != name)) {
        return Err(Error::SeveralEngines { one: one.to_owned(), other: other.to_owned() });
    }
    let engine =
        engines.get(name).map_err(|_| Error::UnknownEngine { name: name.unwrap_or_default().to_owned() })?;
    let by_hand: Vec<StepRequest> =
        request.steps.iter().map(|asked| settle_step(&**engine, asked)).collect::<Result<_, _>>()?;
    let preset = request.preset.or(by_hand.is_empty().then_some(Preset::Auto));
    let steps = super::pipeline::plan(preset, &by_hand, request.mask.is_some());
    if let Some(step) = steps.iter().find(|step| info(&**engine, step.step).is_none()) {
        return Err(unknown(&**engine, step.step.as_str()));
    }
    Ok(Settled { engine: engine.name().to_owned(), preset, steps })
}

fn settle_step(engine: &dyn Engine, asked: &AskedStep) -> Result<StepRequest, Error> {
    let known = asked.step.parse::<Step>().ok().and_then(|step| info(engine, step));
    let known = known.ok_or_else(|| unknown(engine, &asked.step))?;
    let step = known.step;
    if asked.model.as_deref().is_some_and(|model| model != engine.name()) {
        return Err(Error::UnknownEngine { name: asked.model.clone().unwrap_or_default() });
    }
    if let Some(name) = asked.parameters.keys().next() {
        return Err(Error::UnknownParameter { step, name: name.clone() });
    }
    let strength = asked.strength.unwrap_or(known.default_strength);
    if !(0.0..=1.0).contains(&strength) {
        return Err(Error::BadStrength { step });
    }
    Ok(StepRequest { step, strength })
}

fn info(engine: &dyn Engine, step: Step) -> Option<&'static StepInfo> {
    engine.steps().iter().find(|info| info.step == step)
}

fn unknown(engine: &dyn Engine, name: &str) -> Error {
    let known: Vec<&str> = engine.steps().iter().map(|info| info.step.as_str()).collect();
    Error::UnknownStep { name: name.to_owned(), known: known.join(", ") }
}

/// The longest name of a file in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The name of the `number`-th picture that was restored from one named `original`.
pub(super) fn rendition_name(original: &str, extension: &str, number: u32) -> String {
    let stem = match original.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => original,
    };
    let mark = if number > 1 { format!(" (restored {number})") } else { " (restored)".into() };
    let room = NAME_BYTES_MAX - mark.len() - 1 - extension.len();
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}.{extension}", stem[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(step: &str, strength: Option<f32>) -> AskedStep {
        AskedStep { step: step.into(), strength, ..AskedStep::default() }
    }

    fn steps(request: Request) -> Result<Vec<(&'static str, f32)>, Error> {
        let settled = settle(&Engines::new(), &request)?;
        Ok(settled.steps.iter().map(|step| (step.step.as_str(), step.strength)).collect())
    }

    #[test]
    fn who_says_nothing_gets_the_automatic_preset() {
        let settled = settle(&Engines::new(), &Request::default()).unwrap();
        assert_eq!(settled.preset, Some(Preset::Auto));
        assert!(settled.steps.iter().any(|step| step.step == Step::Denoise));
    }

    #[test]
    fn steps_alone_are_all_there_is_and_zero_switches_off() {
        let request =
            Request { steps: vec![asked("deblur", None), asked("fade", Some(0.0))], ..Request::default() };
        assert_eq!(steps(request).unwrap().iter().map(|step| step.0).collect::<Vec<_>>(), ["deblur"]);
        let request = Request {
            preset: Some(Preset::Strong),
            steps: vec![asked("fade", Some(0.0))],
            ..Request::default()
        };
        let left = steps(request).unwrap();
        assert!(left.len() > 2 && left.iter().all(|step| step.0 != "fade"), "{left:?}");
    }

    #[test]
    fn a_mask_brings_the_step_that_uses_it() {
        let mask = Some(bytes::Bytes::from_static(b"png"));
        let request = Request { steps: vec![asked("fade", Some(1.0))], mask, ..Request::default() };
        assert_eq!(steps(request).unwrap(), [("fade", 1.0), ("inpaint", 1.0)]);
    }

    #[test]
    fn what_no_engine_can_do_is_refused() {
        let one = |step: AskedStep| steps(Request { steps: vec![step], ..Request::default() }).unwrap_err();
        assert!(
            matches!(one(asked("sharpen", None)), Error::UnknownStep { known, .. } if known.contains("deblur"))
        );
        assert!(matches!(one(asked("colorize", None)), Error::UnknownStep { .. }));
        for strength in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(matches!(one(asked("fade", Some(strength))), Error::BadStrength { step: Step::Fade }));
        }
        let elsewhere = AskedStep { engine: Some("moon".into()), ..asked("fade", None) };
        assert!(matches!(one(elsewhere), Error::UnknownEngine { name } if name == "moon"));
        let tuned = AskedStep {
            parameters: [("sigma".into(), 3.into())].into_iter().collect(),
            ..asked("fade", None)
        };
        assert!(matches!(one(tuned), Error::UnknownParameter { name, .. } if name == "sigma"));
    }

    #[test]
    fn results_are_named_after_the_original() {
        assert_eq!(rendition_name("Oma 1931.jpg", "jpg", 1), "Oma 1931 (restored).jpg");
        assert_eq!(rendition_name("scan.old.tif", "tif", 3), "scan.old (restored 3).tif");
        assert_eq!(rendition_name("noname", "png", 1), "noname (restored).png");
        assert_eq!(rendition_name(".hidden", "png", 1), ".hidden (restored).png");
        let long = rendition_name(&format!("{}.jpg", "ä".repeat(125)), "jpg", 12);
        assert!(long.len() <= 255 && long.ends_with("ä (restored 12).jpg"), "{long}");
    }
}
