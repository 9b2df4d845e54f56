//! Requests and what becomes of them. No I/O.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Error;
use super::presets::{OwnPreset, expand};
use super::registry::Entry;
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::engine::remote::Model;
use crate::engine::{
    self, Decision, Engine, Engines, Outcome, Preset, Step, StepInfo, StepReport, StepRequest,
};
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
    /// The name of the preset that was asked for.
    pub preset: Option<String>,
    /// The steps in the order in which they run, those of the preset included.
    pub steps: Vec<PlannedStep>,
    /// Where it begins, if not with the version.
    pub from: Option<Origin>,
    /// Whether there are pictures that were kept after steps of it.
    pub kept_steps: bool,
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
    #[serde(skip)]
    pub(super) keep_steps: bool,
    #[serde(skip)]
    pub(super) beginning: Option<Beginning>,
}

/// The picture before a step of another restoration of the same media, which was kept then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RestorationFrom)]
pub struct Origin {
    /// The other restoration.
    pub restoration_id: RestorationId,
    /// The place of the step in it, from 0; the number of its steps stands for its end.
    pub place: u32,
}

/// Where a restoration begins, if not with the version: what somebody has asked for, and what that comes to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Beginning {
    #[serde(flatten)]
    pub(super) from: Origin,
    /// The kept picture; none for the version itself.
    pub(super) picture: Option<BlobId>,
    /// Whether a model has drawn in it what the camera did not see.
    pub(super) recreated: bool,
    /// What was done to it before.
    pub(super) report: Vec<StepReport>,
}

impl Beginning {
    /// Whether the picture is another than the version.
    pub(super) fn is_changed(&self) -> bool {
        self.report.iter().any(|step| step.decision == Decision::Applied)
    }
}

/// A step of a restoration with what came of it, and whether its picture is kept.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RestorationStep)]
pub struct StepView {
    /// Its place among the steps, from 0.
    pub place: u32,
    /// What was to be done.
    pub step: Step,
    /// How much of it.
    pub strength: f32,
    /// The engine.
    pub engine: String,
    /// The model, where the engine works with models.
    pub model: Option<String>,
    /// Whether it changed the picture; null until the restoration has succeeded.
    pub decision: Option<Decision>,
    /// Width of the picture after it in pixels as displayed; null where it is not kept.
    pub width: Option<u32>,
    /// Height of the picture after it.
    pub height: Option<u32>,
    /// Whether the picture after it is kept.
    pub has_picture: bool,
}

/// A picture that was kept after a step.
#[derive(Debug, Clone)]
pub(super) struct KeptStep {
    pub(super) place: u32,
    pub(super) picture: BlobId,
    pub(super) content_type: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) recreated: bool,
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
    /// The name of a list of steps. Without it and without steps it is [`Preset::Auto`].
    pub preset: Option<String>,
    /// Steps that change the preset, or that are all.
    pub steps: Vec<AskedStep>,
    /// Whether the steps run exactly in this order, instead of the one in which they do best.
    pub in_order: bool,
    /// Whether the picture after each step is kept.
    pub keep_steps: bool,
    /// Where to begin, if not with the version.
    pub from: Option<Origin>,
    /// A picture file of the size that the picture has when displayed, bright where it is damaged.
    pub mask: Option<Bytes>,
    /// Whether whoever asks may name models that are not in the list.
    pub unlisted_models: bool,
}

/// A step as somebody has asked for it.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct AskedStep {
    /// Its name.
    pub step: String,
    /// How much of it, 0 (off) to 1; the engine's own suggestion where it is not said.
    pub strength: Option<f32>,
    /// The engine that does it; that of the model where one is named, else the built-in one.
    pub engine: Option<String>,
    /// The model, by its id in the list of models; for the built-in engine that is its name. An admin may also name an
    /// engine and any model that its provider has.
    pub model: Option<String>,
    /// What the model wants to know besides; the built-in engine has no such parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// A PNG in base64, of the size that the picture has when displayed: the step applies only where it is white, or any
    /// bright colour on transparent ground. For `inpaint` it is the damage.
    pub mask: Option<String>,
}

/// A step that is going to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlannedStep {
    /// What to do.
    pub step: Step,
    /// How much of it, above 0 and up to 1.
    pub strength: f32,
    /// The engine, where it is not the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The model, where the engine works with models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the model is told besides.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// The SHA-256 of the mask, where the step applies to a part of the picture only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<BlobId>,
    /// The mask before it is stored.
    #[serde(skip)]
    pub(super) painted: Option<Bytes>,
}

impl From<StepRequest> for PlannedStep {
    fn from(request: StepRequest) -> Self {
        let StepRequest { step, strength } = request;
        let parameters = serde_json::Map::new();
        Self { step, strength, engine: None, model: None, parameters, mask: None, painted: None }
    }
}

impl PlannedStep {
    /// The engine's name.
    pub(super) fn engine(&self) -> &str {
        self.engine.as_deref().unwrap_or(engine::builtin::NAME)
    }
}

/// What a request is held against.
pub(super) struct Catalogue<'a> {
    pub(super) engines: &'a Engines,
    pub(super) models: &'a [Entry],
    /// The presets that people have saved.
    pub(super) presets: &'a [OwnPreset],
    /// Whether whoever asks may name models that are not listed.
    pub(super) unlisted: bool,
}

/// A request against the engines and models that there are.
#[derive(Debug)]
pub(super) struct Settled {
    /// The engines' names, in the order of their first steps.
    pub(super) engine: String,
    pub(super) preset: Option<String>,
    /// In the order in which they run.
    pub(super) steps: Vec<PlannedStep>,
}

/// The most steps that a request or a preset may have.
pub(super) const STEPS_MAX: usize = 20;

/// The longest JSON of a step's parameters.
const PARAMETERS_BYTES_MAX: usize = 16 << 10;

/// Checks a request's steps, fills in what was not said, and puts them into the order in which they run.
///
/// Steps of this machine that follow each other run in their engine's order, unless the request or a preset that somebody
/// has saved says otherwise. Models of other machines keep their places, and a preset comes first.
pub(super) fn settle(catalogue: &Catalogue<'_>, request: &Request) -> Result<Settled, Error> {
    if request.steps.len() > STEPS_MAX {
        return Err(Error::TooManySteps { most: STEPS_MAX });
    }
    let by_hand = request.steps.iter().map(|asked| settle_step(catalogue, asked, true));
    let by_hand = by_hand.collect::<Result<Vec<_>, _>>()?;
    let nothing = by_hand.is_empty() && request.from.is_none();
    let preset = request.preset.clone().or(nothing.then(|| Preset::Auto.as_str().to_owned()));
    let is_own = preset.as_deref().is_some_and(|name| name.parse::<Preset>().is_err());
    let in_order = request.in_order || is_own;
    let mut steps = match &preset {
        Some(name) => merged(preset_steps(catalogue, name)?, by_hand),
        // Said twice, the last word counts; a list in its own order may well do something twice.
        None if !in_order && by_hand.iter().all(|step| step.model.is_none()) => merged(Vec::new(), by_hand),
        None => by_hand,
    };
    if request.mask.is_some() && steps.iter().all(|step| step.step != Step::Inpaint) {
        steps.insert(0, StepRequest { step: Step::Inpaint, strength: 1.0 }.into());
    }
    steps.retain(|step| step.strength > 0.0);
    if steps.len() > STEPS_MAX {
        return Err(Error::TooManySteps { most: STEPS_MAX });
    }
    let builtin = catalogue.engines.get(None).map_err(|_| Error::UnknownEngine { name: String::new() })?;
    let stranger = steps.iter().find(|step| step.model.is_none() && info(&**builtin, step.step).is_none());
    if let Some(step) = stranger {
        return Err(unknown(&**builtin, step.step.as_str()));
    }
    if !in_order {
        for here in steps.chunk_by_mut(|one, next| one.model.is_none() && next.model.is_none()) {
            here.sort_by_key(|step| place(&**builtin, step.step));
        }
    }
    Ok(Settled { engine: engine_names(&steps), preset, steps })
}

/// The steps of a preset, its own or somebody's. What it names was allowed to whoever saved it.
fn preset_steps(catalogue: &Catalogue<'_>, name: &str) -> Result<Vec<PlannedStep>, Error> {
    let trusted = Catalogue { unlisted: true, ..*catalogue };
    expand(catalogue.presets, name)?.iter().map(|asked| settle_step(&trusted, asked, true)).collect()
}

/// Some steps with others set by hand: what does the same with the same model is replaced, the rest is added. Enlarging
/// twice is not enlarging once, so that step is added as often as it is named.
fn merged(mut steps: Vec<PlannedStep>, by_hand: Vec<PlannedStep>) -> Vec<PlannedStep> {
    let enlarges = |step: &PlannedStep| step.step == Step::Upscale && step.model.is_none();
    if by_hand.iter().any(enlarges) {
        steps.retain(|step| !enlarges(step));
    }
    for step in by_hand {
        let same = |known: &&mut PlannedStep| known.step == step.step && known.model == step.model;
        match steps.iter_mut().find(same).filter(|_| !enlarges(&step)) {
            Some(known) => *known = step,
            None => steps.push(step),
        }
    }
    steps
}

/// The engines' names, in the order of their first steps.
fn engine_names(steps: &[PlannedStep]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for step in steps {
        if !names.contains(&step.engine()) {
            names.push(step.engine());
        }
    }
    if names.is_empty() { engine::builtin::NAME.to_owned() } else { names.join("+") }
}

/// Where a step stands in an engine's own order.
pub(super) fn place(engine: &dyn Engine, step: Step) -> Option<usize> {
    engine.steps().iter().position(|info| info.step == step)
}

/// Checks a step that only the built-in engine may be asked for.
pub(super) fn settle_builtin(engines: &Engines, asked: &AskedStep) -> Result<PlannedStep, Error> {
    settle_step(&Catalogue { engines, models: &[], presets: &[], unlisted: false }, asked, false)
}

/// Reads a mask as it stands in a request.
pub(super) fn decode_mask(text: &str) -> Result<Bytes, Error> {
    // Browsers hand out canvases as data URLs.
    let text = text.strip_prefix("data:image/png;base64,").unwrap_or(text);
    BASE64_STANDARD.decode(text).map(Bytes::from).map_err(|_| Error::MaskText)
}

/// Checks steps that are to be tried out: only this machine's own engine can, at once. Those that are switched off are
/// left out; the order is the request's, or the engine's.
pub(super) fn settle_preview(
    catalogue: &Catalogue<'_>,
    asked: &[AskedStep],
    in_order: bool,
) -> Result<Vec<StepRequest>, Error> {
    if asked.len() > STEPS_MAX {
        return Err(Error::TooManySteps { most: STEPS_MAX });
    }
    let mut steps = Vec::with_capacity(asked.len());
    for asked in asked {
        let PlannedStep { step, strength, engine, .. } = settle_step(catalogue, asked, true)?;
        if engine.is_some() {
            return Err(Error::NoPreview { step });
        }
        if strength > 0.0 {
            steps.push(StepRequest { step, strength });
        }
    }
    Ok(if in_order { steps } else { engine::builtin::sorted(steps) })
}

/// Checks a step and fills in what was not said. Only what is to run now has to be of models that can be used now.
pub(super) fn settle_step(
    catalogue: &Catalogue<'_>,
    asked: &AskedStep,
    now: bool,
) -> Result<PlannedStep, Error> {
    let nobody = |name: &str| Error::UnknownEngine { name: name.to_owned() };
    let listed = asked.model.as_deref().and_then(|id| {
        let fits = |entry: &&Entry| {
            entry.model.id == id && asked.engine.as_ref().is_none_or(|name| *name == entry.model.engine)
        };
        catalogue.models.iter().find(fits)
    });
    let name = listed.map(|entry| entry.model.engine.as_str()).or(asked.engine.as_deref());
    let name = name.or(asked.model.as_deref());
    let engine = catalogue.engines.get(name).map_err(|_| nobody(name.unwrap_or_default()))?;
    let known = asked.step.parse::<Step>().ok().and_then(|step| info(&**engine, step));
    let known = known.ok_or_else(|| unknown(&**engine, &asked.step))?;
    let step = known.step;
    let strength = asked.strength.unwrap_or(known.default_strength);
    if !(0.0..=1.0).contains(&strength) {
        return Err(Error::BadStrength { step });
    }
    let painted = asked.mask.as_deref().map(decode_mask).transpose()?;
    let Some(remote) = engine.remote() else {
        if let Some(model) = asked.model.as_deref().filter(|model| *model != engine.name()) {
            return Err(nobody(model));
        }
        if let Some(name) = asked.parameters.keys().next() {
            return Err(Error::UnknownParameter { step, name: name.clone() });
        }
        return Ok(PlannedStep { painted, ..StepRequest { step, strength }.into() });
    };
    match (listed, &asked.model) {
        (Some(entry), _) => {
            if now {
                entry.check()?;
            }
            if !entry.model.steps.contains(&step) {
                let known: Vec<&str> = entry.model.steps.iter().map(|step| step.as_str()).collect();
                return Err(Error::UnknownStep { name: asked.step.clone(), known: known.join(", ") });
            }
        }
        (None, Some(_)) if catalogue.unlisted && asked.engine.is_some() => {}
        (None, Some(model)) => return Err(nobody(model)),
        (None, None) => return Err(Error::NeedsModel { engine: engine.name() }),
    }
    let unlisted;
    let model = match listed {
        Some(entry) => &entry.model,
        None => {
            unlisted = Model::unlisted(engine.name(), asked.model.as_deref().unwrap_or_default());
            &unlisted
        }
    };
    if let Some(why) = remote.unavailable(model).filter(|_| now) {
        return Err(why.into());
    }
    if serde_json::to_string(&asked.parameters).map_or(usize::MAX, |text| text.len()) > PARAMETERS_BYTES_MAX {
        return Err(Error::LongParameters { step });
    }
    Ok(PlannedStep {
        step,
        strength,
        engine: Some(engine.name().to_owned()),
        model: asked.model.clone(),
        parameters: asked.parameters.clone(),
        mask: None,
        painted,
    })
}

fn info(engine: &dyn Engine, step: Step) -> Option<&'static StepInfo> {
    engine.steps().iter().find(|info| info.step == step)
}

fn unknown(engine: &dyn Engine, name: &str) -> Error {
    let known: Vec<&str> = engine.steps().iter().map(|info| info.step.as_str()).collect();
    Error::UnknownStep { name: name.to_owned(), known: known.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(step: &str, strength: Option<f32>) -> AskedStep {
        AskedStep { step: step.into(), strength, ..AskedStep::default() }
    }

    fn settle_here(request: &Request) -> Result<Settled, Error> {
        settle(&Catalogue { engines: &Engines::new(), models: &[], presets: &[], unlisted: false }, request)
    }

    fn steps(request: Request) -> Result<Vec<(&'static str, f32)>, Error> {
        let settled = settle_here(&request)?;
        Ok(settled.steps.iter().map(|step| (step.step.as_str(), step.strength)).collect())
    }

    #[test]
    fn who_says_nothing_gets_the_automatic_preset() {
        let settled = settle_here(&Request::default()).unwrap();
        assert_eq!(settled.preset.as_deref(), Some("auto"));
        assert!(settled.steps.iter().any(|step| step.step == Step::Denoise));
    }

    #[test]
    fn steps_alone_are_all_there_is_and_zero_switches_off() {
        let request =
            Request { steps: vec![asked("deblur", None), asked("fade", Some(0.0))], ..Request::default() };
        assert_eq!(steps(request).unwrap().iter().map(|step| step.0).collect::<Vec<_>>(), ["deblur"]);
        let request = Request {
            preset: Some("strong".into()),
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
        assert_eq!(steps(request).unwrap(), [("inpaint", 1.0), ("fade", 1.0)]);
    }

    #[test]
    fn steps_run_in_the_order_that_suits_them_unless_theirs_is_asked_for() {
        let list = vec![asked("deblur", Some(0.5)), asked("fade", None), asked("deblur", Some(0.2))];
        let request = Request { steps: list, ..Request::default() };
        assert_eq!(steps(request.clone()).unwrap(), [("fade", 1.0), ("deblur", 0.2)]);
        let request = Request { in_order: true, ..request };
        assert_eq!(steps(request).unwrap(), [("deblur", 0.5), ("fade", 1.0), ("deblur", 0.2)]);
        let many = Request { in_order: true, steps: vec![asked("fade", None); 21], ..Request::default() };
        assert!(matches!(steps(many), Err(Error::TooManySteps { most: 20 })));
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
}
