//! Presets that people save: lists of steps, of other presets too, that run exactly in their order. Everybody who may
//! restore sees and uses them; whoever saved one, or an admin, changes it.

pub mod file;
mod model;
mod routes;
mod store;

use rusqlite::Connection;

use super::model::{Catalogue, settle_step};
use super::registry::{self, Entry};
use super::{Error, Result};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::{self, Tx};
use crate::engine::{Engines, Preset};

pub use model::{NewPreset, PresetInfo, PresetStep};
pub(super) use model::{OwnPreset, expand};
pub(super) use routes::router;

use model::{PRESETS_MAX, changed_texts, check_steps};

/// What is to be changed about a preset; what is missing stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// What a person calls it.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// All its steps.
    pub steps: Option<Vec<PresetStep>>,
}

/// On whose behalf presets are saved.
#[derive(Debug, Clone)]
pub struct Author {
    /// Who does it.
    pub actor: Actor,
    /// Whether those of others are theirs too, and models that are not listed may be named.
    pub is_admin: bool,
}

impl Author {
    fn may_change(&self, preset: &OwnPreset) -> Result<()> {
        let own = preset.created_by.is_some() && preset.created_by == self.user();
        if own || self.is_admin { Ok(()) } else { Err(Error::NotYourPreset) }
    }

    fn user(&self) -> Option<UserId> {
        self.actor.user_id()
    }
}

/// All presets: those that came with the program first.
///
/// # Errors
/// [`Error::Db`].
pub async fn list(app: &App) -> Result<Vec<PresetInfo>> {
    let engines = app.engines.clone();
    app.db
        .read(move |conn| {
            let (own, models) = (store::list(conn)?, registry::read(conn)?);
            let shipped = Preset::ALL.map(PresetInfo::from).into_iter();
            Ok(shipped.chain(own.iter().map(|preset| shown(&engines, &models, &own, preset))).collect())
        })
        .await
}

fn shown(engines: &Engines, models: &[Entry], own: &[OwnPreset], preset: &OwnPreset) -> PresetInfo {
    let recreates = |model: &str| match models.iter().find(|entry| entry.model.id == model) {
        Some(entry) => entry.model.recreates,
        // Nobody knows what an unlisted model does.
        None => engines.find(model).is_none_or(|engine| engine.recreates()),
    };
    let steps = expand(own, &preset.name).unwrap_or_default();
    let OwnPreset { name, title, description, steps: own_steps, created_by, created_at, updated_at } =
        preset.clone();
    PresetInfo {
        name,
        title,
        description,
        steps: own_steps,
        shipped: false,
        recreates: steps.iter().filter_map(|step| step.model.as_deref()).any(recreates),
        created_by,
        created_at: Some(created_at),
        updated_at: Some(updated_at),
    }
}

/// Saves a preset.
///
/// # Errors
/// [`Error::PresetExists`], [`Error::TooManyPresets`], and everything that may be wrong with its words and steps.
pub async fn add(app: &App, author: Author, new: NewPreset) -> Result<PresetInfo> {
    let preset = new.checked()?;
    let mut saved = save(app, author, vec![preset], false).await?;
    saved.pop().ok_or(Error::NoSuchPreset)
}

/// Saves the presets of a file, all or none. One that is there already, word for word, is left as it is.
///
/// # Errors
/// As [`file::read`] and [`add`].
pub async fn import(app: &App, author: Author, text: &str) -> Result<Vec<PresetInfo>> {
    save(app, author, file::read_own(text)?, true).await
}

async fn save(app: &App, author: Author, new: Vec<OwnPreset>, same_is_fine: bool) -> Result<Vec<PresetInfo>> {
    let engines = app.engines.clone();
    app.db
        .write(move |tx| {
            let (mut own, models) = (store::list(tx)?, registry::read(tx)?);
            let catalogue =
                Catalogue { engines: &engines, models: &models, presets: &[], unlisted: author.is_admin };
            let mut names = Vec::new();
            let mut added = Vec::new();
            for mut preset in new {
                settle(&catalogue, &mut preset)?;
                names.push(preset.name.clone());
                let there = own.iter().find(|known| known.name == preset.name);
                if same_is_fine && there.is_some_and(|known| known.says_the_same(&preset)) {
                    continue;
                }
                if there.is_some() || preset.name.parse::<Preset>().is_ok() {
                    return Err(Error::PresetExists { name: preset.name });
                }
                preset.created_by = author.user();
                added.push(preset.name.clone());
                own.push(preset);
            }
            if own.len() > PRESETS_MAX {
                return Err(Error::TooManyPresets { most: PRESETS_MAX });
            }
            check_all(&own)?;
            for name in added {
                let preset = find(&own, &name)?;
                store::put(tx, preset)?;
                record(tx, &author.actor, "preset.add", preset)?;
            }
            let own = store::list(tx)?;
            names.iter().map(|name| Ok(shown(&engines, &models, &own, find(&own, name)?))).collect()
        })
        .await
}

/// Changes a preset.
///
/// # Errors
/// [`Error::NoSuchPreset`], [`Error::PresetShipped`], [`Error::NotYourPreset`], and what is wrong with words and steps.
pub async fn change(app: &App, author: Author, name: String, change: Change) -> Result<PresetInfo> {
    let engines = app.engines.clone();
    app.db
        .write(move |tx| {
            let (mut own, models) = (store::list(tx)?, registry::read(tx)?);
            let mut preset = find_own(&own, &name)?.clone();
            author.may_change(&preset)?;
            changed_texts(change.title, change.description, &mut preset)?;
            if let Some(steps) = change.steps {
                check_steps(&steps)?;
                preset.steps = steps;
                let catalogue =
                    Catalogue { engines: &engines, models: &models, presets: &[], unlisted: author.is_admin };
                settle(&catalogue, &mut preset)?;
                own.retain(|known| known.name != name);
                own.push(preset.clone());
                check_all(&own)?;
            }
            store::put(tx, &preset)?;
            record(tx, &author.actor, "preset.change", &preset)?;
            let own = store::list(tx)?;
            Ok(shown(&engines, &models, &own, find(&own, &name)?))
        })
        .await
}

/// Removes a preset.
///
/// # Errors
/// [`Error::NoSuchPreset`], [`Error::PresetShipped`], [`Error::NotYourPreset`], [`Error::PresetIncluded`].
pub async fn remove(app: &App, author: Author, name: String) -> Result<()> {
    app.db
        .write(move |tx| {
            let own = store::list(tx)?;
            let preset = find_own(&own, &name)?;
            author.may_change(preset)?;
            if let Some(by) = own.iter().find(|other| other.includes(&name)) {
                return Err(Error::PresetIncluded { by: by.title.clone() });
            }
            store::delete(tx, &name)?;
            Ok(record(tx, &author.actor, "preset.remove", preset)?)
        })
        .await
}

/// A preset as a TOML file, with those that it includes.
///
/// # Errors
/// [`Error::NoSuchPreset`], [`Error::Db`].
pub async fn export(app: &App, name: String) -> Result<String> {
    app.db
        .read(move |conn| {
            if let Ok(preset) = name.parse::<Preset>() {
                let PresetInfo { name, title, description, steps, .. } = preset.into();
                return file::write(&[], &OwnPreset::new(name, title, description, steps));
            }
            let own = store::list(conn)?;
            file::write(&own, find(&own, &name)?)
        })
        .await
}

/// Checks a preset's steps against engines and models, and fills in what was not said. Whether a model can be used today is
/// asked when it is.
fn settle(catalogue: &Catalogue<'_>, preset: &mut OwnPreset) -> Result<()> {
    for step in &mut preset.steps {
        if let Some(asked) = step.as_asked() {
            *step = settle_step(catalogue, &asked, false)?.into();
        }
    }
    Ok(())
}

/// Checks that every preset comes to some steps: a change of one may break those that include it.
fn check_all(own: &[OwnPreset]) -> Result<()> {
    own.iter().try_for_each(|preset| expand(own, &preset.name).map(drop))
}

fn find<'a>(own: &'a [OwnPreset], name: &str) -> Result<&'a OwnPreset> {
    own.iter().find(|preset| preset.name == name).ok_or(Error::NoSuchPreset)
}

fn find_own<'a>(own: &'a [OwnPreset], name: &str) -> Result<&'a OwnPreset> {
    if name.parse::<Preset>().is_ok() { Err(Error::PresetShipped) } else { find(own, name) }
}

/// All presets that people have saved.
///
/// # Errors
/// When the rows can't be read.
pub(super) fn read(conn: &Connection) -> db::Result<Vec<OwnPreset>> {
    store::list(conn)
}

fn record(tx: &Tx<'_>, actor: &Actor, action: &'static str, preset: &OwnPreset) -> db::Result<()> {
    let details = serde_json::json!({ "steps": preset.steps });
    audit::record(tx, actor, action, Target::new("preset", &preset.name).named(&preset.title), &details)
}
