//! Renderings with a name: those that are built in, and those that an admin has made.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::delivery::Rendering;
use super::wish::Wish;
use super::{Error, Result, store};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::imaging::{BadTransform, Preset, Transform};

/// The most that an admin can make: everybody may ask for each of them, of each public picture.
const PRESETS_MAX: usize = 100;

/// A rendering with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeliveryPreset {
    /// The name in addresses: up to 64 of `a-z`, `0-9`, `-` and `_`.
    pub name: String,
    /// What it is, as a query in its one spelling.
    pub transform: String,
    /// Whether it is always there.
    pub builtin: bool,
}

/// All presets: the built-in ones, then the others by name.
///
/// # Errors
/// [`Error::Db`].
pub async fn list_presets(app: &App) -> Result<Vec<DeliveryPreset>> {
    let made = app.db.read(|conn| Ok::<_, Error>(store::presets::list(conn)?)).await?;
    let builtin = Preset::ALL.map(|preset| DeliveryPreset {
        name: preset.name().to_owned(),
        transform: preset.transform().canonical(),
        builtin: true,
    });
    let made = made.into_iter().map(|(name, transform)| DeliveryPreset { name, transform, builtin: false });
    Ok(builtin.into_iter().chain(made).collect())
}

/// Makes a preset or changes what it is. Addresses that name it stand for the new rendering at once.
///
/// # Errors
/// [`Error::BadPresetName`], [`Error::BuiltinPreset`], [`Error::TooManyPresets`], [`Error::Db`].
pub async fn put_preset(
    app: &App,
    actor: &Actor,
    name: &str,
    transform: Transform,
) -> Result<DeliveryPreset> {
    let name = own_name(name)?;
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let preset = DeliveryPreset { transform: transform.canonical(), name, builtin: false };
            let before = store::presets::find(tx, &preset.name)?;
            if before.is_none() && store::presets::list(tx)?.len() >= PRESETS_MAX {
                return Err(Error::TooManyPresets { max: PRESETS_MAX });
            }
            store::presets::put(tx, &preset.name, &preset.transform)?;
            let details = serde_json::json!({ "from": before, "to": preset.transform });
            let target = Target::new("preset", &preset.name).named(&preset.name);
            audit::record(tx, &actor, "preset.put", target, &details)?;
            Ok(preset)
        })
        .await
}

/// Removes a preset; addresses that name it lead nowhere then.
///
/// # Errors
/// [`Error::NoSuchPreset`], [`Error::BuiltinPreset`], [`Error::Db`].
pub async fn remove_preset(app: &App, actor: &Actor, name: &str) -> Result<()> {
    let name = own_name(name)
        .map_err(|e| if matches!(e, Error::BadPresetName) { Error::NoSuchPreset } else { e })?;
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            if !store::presets::delete(tx, &name)? {
                return Err(Error::NoSuchPreset);
            }
            let target = Target::new("preset", &name).named(&name);
            Ok(audit::record(tx, &actor, "preset.remove", target, &serde_json::Value::Null)?)
        })
        .await
}

fn own_name(name: &str) -> Result<String> {
    if name.parse::<Preset>().is_ok() {
        return Err(Error::BuiltinPreset);
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(plain);
    if fits { Ok(name.to_owned()) } else { Err(Error::BadPresetName) }
}

/// Looks up what a wish means.
///
/// # Errors
/// [`Error::BadTransform`] for a name that no preset has, [`Error::Db`].
pub async fn resolve(app: &App, wish: Wish) -> Result<Option<Rendering>> {
    match without_store(&wish) {
        Some(known) => Ok(known),
        None => app.db.read(move |conn| resolve_in(conn, &wish)).await,
    }
}

/// Does the same on a connection or in a transaction.
///
/// # Errors
/// As [`resolve`].
pub(super) fn resolve_in(conn: &Connection, wish: &Wish) -> Result<Option<Rendering>> {
    if let Some(known) = without_store(wish) {
        return Ok(known);
    }
    let Wish::Preset(name) = wish else { return Ok(None) };
    let found = store::presets::find(conn, name)?.and_then(|text| text.parse().ok());
    let transform = found.ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        Error::BadTransform(BadTransform {
            parameter: "preset",
            why: format!("There is no preset {name:?}."),
        })
    })?;
    Ok(Some(Rendering { transform, may_change: true }))
}

/// What a wish means, where no admin has a say in it.
fn without_store(wish: &Wish) -> Option<Option<Rendering>> {
    let fixed = |transform| Some(Rendering { transform, may_change: false });
    match wish {
        Wish::Original => Some(None),
        Wish::Own(transform) => Some(fixed(*transform)),
        Wish::Preset(name) => name.parse::<Preset>().ok().map(|preset| fixed(preset.transform())),
    }
}
