//! The models that can be named in a request: those that Safelight knows by itself and those that an admin has added.

pub mod listing;

use std::collections::HashMap;

use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::model::PlannedStep;
use super::store::models::{self as store, State};
use super::{Error, Result};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::clock::Timestamp;
use crate::db::{self, Tx};
use crate::engine::remote::{Form, Found, Lookup, Model, Remote};
use crate::engine::{Engines, Step, hugging_face, onnx, replicate, space};
use listing::{Listed, Mistake};

/// The longest JSON of a model's own parameters.
const PARAMETERS_BYTES_MAX: usize = 16 << 10;

/// The longest name of a model at its provider.
const TARGET_BYTES_MAX: usize = 500;

/// Names that are parts of addresses of the list itself.
const RESERVED: [&str; 3] = ["lookup", "import", "toml"];

/// A model and what has become of it.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// The model.
    pub model: Model,
    /// Whether Safelight knows it by itself.
    pub shipped: bool,
    /// Whether it is a file in a folder of this machine.
    pub installed: bool,
    /// Whether it may be used.
    pub enabled: bool,
    /// When its provider said that it is no longer offered.
    pub retired_at: Option<Timestamp>,
}

impl Entry {
    /// Checks that it may be used.
    ///
    /// # Errors
    /// [`Error::ModelDisabled`], [`Error::ModelRetired`].
    pub(super) fn check(&self) -> Result<()> {
        let model = || self.model.name.clone();
        match self {
            Self { enabled: false, .. } => Err(Error::ModelDisabled { model: model() }),
            Self { retired_at: Some(_), .. } => Err(Error::ModelRetired { model: model() }),
            _ => Ok(()),
        }
    }
}

/// What an editor of pictures is told where the request says nothing else.
const RESTORE_PROMPT: &str = "Restore this old photograph: remove scratches, dust, stains and fading. Keep every person, \
                              face, expression, pose, object and the composition exactly as they are. Do not add \
                              anything.";

const COLORIZE_PROMPT: &str = "Colorize this black-and-white photograph with natural, muted colours. Keep every person, \
                               face, object and the composition exactly as they are.";

/// The models that are known without an admin. Only what is documented to take a picture and give one; prices and
/// availability are the providers'.
pub fn shipped() -> Vec<Model> {
    let model = |id: &str, name: &str, engine: &str, target: &str, steps: &[Step]| Model {
        id: id.to_owned(),
        name: name.to_owned(),
        steps: steps.to_vec(),
        ..Model::unlisted(engine, target)
    };
    let text = |value: &str| Value::from(value);
    let parameters = |pairs: &[(&str, Value)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let tags = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    vec![
        Model {
            description:
                "Restores faces in old photographs. The face is drawn by a model and may not be the person's."
                    .into(),
            tags: tags(&["faces"]),
            image_input: Some("img".into()),
            parameters: parameters(&[("version", text("v1.4")), ("scale", json!(2))]),
            ..model(
                "replicate-gfpgan",
                "GFPGAN",
                replicate::NAME,
                "tencentarc/gfpgan",
                &[Step::Face, Step::Upscale],
            )
        },
        Model {
            description: "Removes scratches and fading and gives colours, by drawing the picture anew."
                .into(),
            tags: tags(&["scratches", "colours"]),
            image_input: Some("input_image".into()),
            ..model(
                "replicate-restore-image",
                "Restore Image (FLUX Kontext)",
                replicate::NAME,
                "flux-kontext-apps/restore-image",
                &[Step::Enhance, Step::RemoveScratches, Step::Colorize],
            )
        },
        Model {
            description: "Draws the picture anew as its prompt says; here, restored.".into(),
            tags: tags(&["prompt"]),
            parameters: parameters(&[("prompt", text(RESTORE_PROMPT))]),
            ..model(
                "hf-flux-kontext",
                "FLUX.1 Kontext",
                hugging_face::NAME,
                "black-forest-labs/FLUX.1-Kontext-dev",
                &[Step::Enhance, Step::RemoveScratches],
            )
        },
        Model {
            description: "Draws the picture anew as its prompt says; here, with colours.".into(),
            tags: tags(&["prompt", "colours"]),
            parameters: parameters(&[("prompt", text(COLORIZE_PROMPT))]),
            ..model(
                "hf-qwen-image-edit",
                "Qwen Image Edit",
                hugging_face::NAME,
                "Qwen/Qwen-Image-Edit-2509",
                &[Step::Colorize, Step::Enhance],
            )
        },
        Model {
            description: "A public Space with GFPGAN. It belongs to its maker, who sees what is sent to it."
                .into(),
            tags: tags(&["faces", "free"]),
            ..model(
                "space-gfpgan",
                "GFPGAN (Space)",
                space::NAME,
                "Xintao/GFPGAN",
                &[Step::Face, Step::Upscale],
            )
        },
    ]
}

/// All models with what has become of them: the shipped ones, those that are files of this machine, the admin's own.
pub(super) fn read(conn: &Connection, installed: &[Model]) -> db::Result<Vec<Entry>> {
    let mut states: HashMap<String, State> = store::states(conn)?;
    let mut entry = |model: Model, shipped: bool, installed: bool| {
        let state = states.remove(&model.id).unwrap_or(State { enabled: true, retired_at: None });
        Entry { model, shipped, installed, enabled: state.enabled, retired_at: state.retired_at }
    };
    let mut entries: Vec<Entry> = shipped().into_iter().map(|model| entry(model, true, false)).collect();
    entries.extend(installed.iter().map(|model| entry(model.clone(), false, true)));
    entries.extend(store::list(conn)?.into_iter().map(|model| entry(model, false, false)));
    Ok(entries)
}

/// The models that engines find by themselves, in folders of this machine.
async fn installed(app: &App) -> Vec<Model> {
    let engines = app.engines.clone();
    let looking = tokio::task::spawn_blocking(move || {
        engines.all().filter_map(|engine| engine.remote()).flat_map(|engine| engine.installed()).collect()
    });
    looking.await.unwrap_or_default()
}

/// All models.
///
/// # Errors
/// [`Error::Db`].
pub async fn list(app: &App) -> Result<Vec<Entry>> {
    let installed = installed(app).await;
    app.db.read(move |conn| Ok(read(conn, &installed)?)).await
}

/// Finds a model.
///
/// # Errors
/// [`Error::NoSuchModel`], [`Error::Db`].
pub async fn get(app: &App, id: &str) -> Result<Entry> {
    let found = list(app).await?.into_iter().find(|entry| entry.model.id == id);
    found.ok_or_else(|| Error::NoSuchModel)
}

/// Adds a model of the admin's own.
///
/// # Errors
/// [`Error::BadModel`], [`Error::ModelExists`], [`Error::Db`].
pub async fn add(app: &App, actor: &Actor, model: Model) -> Result<Entry> {
    check(&app.engines, &model)?;
    let (actor, installed) = (actor.clone(), installed(app).await);
    app.db
        .write(move |tx| {
            if read(tx, &installed)?.iter().any(|entry| entry.model.id == model.id) {
                return Err(Error::ModelExists);
            }
            store::put(tx, &model)?;
            record(tx, &actor, "model.add", &model)?;
            find_in(tx, &installed, &model.id)
        })
        .await
}

/// Changes members of a model; of a shipped one only whether it is enabled.
///
/// # Errors
/// [`Error::NoSuchModel`], [`Error::BadModel`], [`Error::ModelShipped`], [`Error::ModelInstalled`], [`Error::Db`].
pub async fn change(
    app: &App,
    actor: &Actor,
    id: String,
    enabled: Option<bool>,
    changes: Map<String, Value>,
) -> Result<Entry> {
    let (actor, engines, installed) = (actor.clone(), app.engines.clone(), installed(app).await);
    app.db
        .write(move |tx| {
            let entry = find_in(tx, &installed, &id)?;
            if !changes.is_empty() {
                is_own(&entry)?;
                store::put(tx, &changed(&engines, &entry.model, changes)?)?;
            }
            if let Some(enabled) = enabled {
                store::set_enabled(tx, &id, enabled)?;
            }
            record(tx, &actor, "model.change", &entry.model)?;
            find_in(tx, &installed, &id)
        })
        .await
}

fn changed(engines: &Engines, model: &Model, changes: Map<String, Value>) -> Result<Model> {
    let mut whole = match serde_json::to_value(model) {
        Ok(Value::Object(whole)) => whole,
        _ => Map::new(),
    };
    for (name, value) in changes {
        if name == "id" {
            return Err(bad("id", "The name to ask for a model by can't be changed: add another one."));
        }
        whole.insert(name, value);
    }
    let model: Model = serde_json::from_value(whole.into())
        .map_err(|error| bad("model", format!("This is not a model: {error}.")))?;
    check(engines, &model)?;
    Ok(model)
}

/// Removes a model of the admin's own.
///
/// # Errors
/// [`Error::NoSuchModel`], [`Error::ModelShipped`], [`Error::ModelInstalled`], [`Error::Db`].
pub async fn remove(app: &App, actor: &Actor, id: String) -> Result<()> {
    let (actor, installed) = (actor.clone(), installed(app).await);
    app.db
        .write(move |tx| {
            let entry = find_in(tx, &installed, &id)?;
            is_own(&entry)?;
            store::delete(tx, &id)?;
            Ok(record(tx, &actor, "model.remove", &entry.model)?)
        })
        .await
}

/// Notes that a provider no longer offers a model, which the steps name by its id and the provider by its own name.
///
/// # Errors
/// When the row can't be written.
pub(super) fn retire_in(tx: &Tx<'_>, steps: &[PlannedStep], target: &str) -> db::Result<()> {
    for Entry { model, .. } in read(tx, &[])? {
        if model.target == target && steps.iter().any(|step| step.model.as_ref() == Some(&model.id)) {
            store::retire(tx, &model.id)?;
        }
    }
    Ok(())
}

/// Asks a model's provider what the model wants to know. Costs nothing, and shows whether it can be used.
///
/// # Errors
/// [`Error::NoSuchModel`], [`Error::UnknownEngine`], [`Error::Remote`].
pub async fn inspect(app: &App, id: &str) -> Result<Form> {
    let entry = get(app, id).await?;
    Ok(engine(&app.engines, &entry.model.engine)?.inspect(&entry.model).await?)
}

/// Asks a provider about a model that is not in the list, for a draft of it. Costs nothing.
///
/// # Errors
/// [`Error::UnknownEngine`], [`Error::Remote`], [`Error::Db`].
pub async fn look_up(app: &App, name: &str, wanted: &Lookup) -> Result<Found> {
    if wanted.target.trim().is_empty() || wanted.target.len() > TARGET_BYTES_MAX {
        return Err(bad("target", "The provider's name of the model is missing or too long."));
    }
    let mut found = engine(&app.engines, name)?.look_up(wanted).await?;
    let taken: Vec<String> = list(app).await?.into_iter().map(|entry| entry.model.id).collect();
    let plain = found.model.id.clone();
    for number in 2.. {
        if !taken.contains(&found.model.id) {
            break;
        }
        found.model.id = format!("{plain}-{number}");
    }
    Ok(found)
}

/// The admin's own models as a TOML file.
///
/// # Errors
/// [`Error::Db`].
pub async fn export(app: &App) -> Result<String> {
    let entries = list(app).await?;
    let own = entries.iter().filter(|entry| is_own(entry).is_ok());
    Ok(listing::write(own.map(|entry| (&entry.model, entry.enabled))))
}

/// Takes models from a TOML file: all of them or none. Who has the id of one of the admin's own replaces it.
///
/// # Errors
/// [`Error::BadListing`] with everything that is wrong, [`Error::Db`].
pub async fn import(app: &App, actor: &Actor, text: &str) -> Result<Vec<Entry>> {
    let mistakes = |mistakes: Vec<Mistake>| Error::BadListing { mistakes };
    let listed = listing::parse(text).map_err(mistakes)?;
    let mut wrong = Vec::new();
    for (index, one) in listed.iter().enumerate() {
        if let Err(Error::BadModel { field, detail }) = check(&app.engines, &one.model) {
            wrong.push(Mistake {
                line: one.line_of(field),
                field: format!("model[{index}].{field}"),
                detail,
            });
        }
    }
    if !wrong.is_empty() {
        return Err(mistakes(wrong));
    }
    let (actor, installed) = (actor.clone(), installed(app).await);
    app.db.write(move |tx| import_in(tx, &actor, &installed, &listed)).await
}

fn import_in(tx: &Tx<'_>, actor: &Actor, installed: &[Model], listed: &[Listed]) -> Result<Vec<Entry>> {
    let before = read(tx, installed)?;
    let mut wrong = Vec::new();
    for (index, one) in listed.iter().enumerate() {
        let known = before.iter().find(|entry| entry.model.id == one.model.id);
        if known.is_some_and(|entry| is_own(entry).is_err()) {
            let detail = "This is the id of a model that can't be replaced: choose another one.".to_owned();
            wrong.push(Mistake { line: one.line_of("id"), field: format!("model[{index}].id"), detail });
            continue;
        }
        store::put(tx, &one.model)?;
        store::set_enabled(tx, &one.model.id, one.enabled)?;
        record(tx, actor, if known.is_some() { "model.change" } else { "model.add" }, &one.model)?;
    }
    if !wrong.is_empty() {
        return Err(Error::BadListing { mistakes: wrong });
    }
    listed.iter().map(|one| find_in(tx, installed, &one.model.id)).collect()
}

fn engine<'a>(engines: &'a Engines, name: &str) -> Result<&'a dyn Remote> {
    let engine = engines.find(name).and_then(|engine| engine.remote());
    engine.ok_or_else(|| Error::UnknownEngine { name: name.to_owned() })
}

fn is_own(entry: &Entry) -> Result<()> {
    match entry {
        Entry { shipped: true, .. } => Err(Error::ModelShipped),
        Entry { installed: true, .. } => Err(Error::ModelInstalled),
        _ => Ok(()),
    }
}

fn find_in(conn: &Connection, installed: &[Model], id: &str) -> Result<Entry> {
    read(conn, installed)?.into_iter().find(|entry| entry.model.id == id).ok_or(Error::NoSuchModel)
}

fn record(tx: &Tx<'_>, actor: &Actor, action: &'static str, model: &Model) -> db::Result<()> {
    let details = json!({ "engine": model.engine, "target": model.target });
    audit::record(tx, actor, action, Target::new("model", &model.id).named(&model.name), &details)
}

fn bad(field: &'static str, detail: impl Into<String>) -> Error {
    Error::BadModel { field, detail: detail.into() }
}

/// Checks what an admin has written.
fn check(engines: &Engines, model: &Model) -> Result<()> {
    let fits = |text: &str, max: usize| {
        !text.trim().is_empty() && text.len() <= max && !text.contains(char::is_control)
    };
    let is_id = model.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_id || !fits(&model.id, 100) {
        return Err(bad("id", "Letters, digits and - _ . make a name, up to 100 of them."));
    }
    if engines.find(&model.id).is_some() {
        return Err(bad("id", "This is the name of an engine."));
    }
    if RESERVED.contains(&model.id.as_str()) || model.id.starts_with(onnx::ID_PREFIX) {
        return Err(bad("id", "This name is needed for something else: choose another one."));
    }
    if !fits(&model.name, 200) {
        return Err(bad("name", "A name has 1 to 200 bytes and one line."));
    }
    if !fits(&model.target, TARGET_BYTES_MAX) {
        return Err(bad("target", "The provider's name of the model is missing or too long."));
    }
    if model.description.len() > 2000 || model.tags.len() > 20 || !model.tags.iter().all(|tag| fits(tag, 50))
    {
        return Err(bad("description", "The description or the tags are too long."));
    }
    // Models of engines that find theirs by themselves are files, and not entries of a list.
    let takes = |engine: &dyn crate::engine::Engine| engine.remote().is_some_and(|engine| !engine.is_here());
    let Some(engine) = engines.find(&model.engine).filter(|engine| takes(&***engine)) else {
        let known: Vec<&str> =
            engines.all().filter(|engine| takes(&***engine)).map(|engine| engine.name()).collect();
        return Err(bad(
            "engine",
            format!("There is no such engine for models: there are {}.", known.join(", ")),
        ));
    };
    let known = |step: &Step| engine.steps().iter().any(|info| info.step == *step);
    if model.steps.is_empty() || !model.steps.iter().all(known) {
        let known: Vec<&str> = engine.steps().iter().map(|info| info.step.as_str()).collect();
        return Err(bad("steps", format!("A model is used for one or more of {}.", known.join(", "))));
    }
    if !(64..=16_384).contains(&model.max_side) {
        return Err(bad("max_side", "The longest side that is sent is 64 to 16384 pixels."));
    }
    if !(1..=120).contains(&model.deadline_minutes) {
        return Err(bad("deadline_minutes", "Results are waited for 1 to 120 minutes."));
    }
    if model.price_usd.is_some_and(|price| !(0.0..=1000.0).contains(&price)) {
        return Err(bad("price_usd", "A picture costs 0 to 1000 US dollars."));
    }
    if model.price_usd_per_second.is_some_and(|price| !(0.0..=100.0).contains(&price)) {
        return Err(bad("price_usd_per_second", "A second of computing costs 0 to 100 US dollars."));
    }
    if serde_json::to_string(&model.parameters).map_or(usize::MAX, |text| text.len()) > PARAMETERS_BYTES_MAX {
        return Err(bad("parameters", "The parameters are too long."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::outbound::Outbound;

    #[test]
    fn the_shipped_models_are_right() {
        let config = Config::defaults("x");
        let engines = Engines::configured(&config.engines, &Outbound::new(&config.outbound));
        for model in shipped() {
            check(&engines, &model).unwrap();
            assert!(model.recreates, "{}", model.id);
        }
        let wrong = Model { steps: vec![Step::Fade], ..shipped().remove(0) };
        assert!(matches!(check(&engines, &wrong), Err(Error::BadModel { field: "steps", .. })));
    }
}
