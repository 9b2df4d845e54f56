//! Use cases around renditions.

use super::intake::Arrived;
use super::model::{Media, MediaId, Rendition, RenditionId, RestorationId, VersionId};
use super::rights::{Caller, get_for_in};
use super::store::NewRow;
use super::{Error, Result, What, emit, get_in, names, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::clock::Timestamp;
use crate::db::Tx;

/// A picture that was made from a version and whose bytes are stored.
#[derive(Debug)]
pub struct NewRendition<'a> {
    /// The media that it belongs to.
    pub media: MediaId,
    /// The version that it was made from.
    pub version: VersionId,
    /// Its bytes, which must be a readable picture.
    pub arrived: &'a Arrived,
    /// The restoration that made it.
    pub restoration: Option<RestorationId>,
    /// The name under which it is downloaded.
    pub name: &'a str,
    /// Whether an engine drew what the camera did not see.
    pub ai_generated: bool,
    /// Engine, preset, and steps with what each has done.
    pub provenance: &'a serde_json::Value,
}

/// Adds a rendition in the transaction that ends the work which made it. Keep `arrived` until that is committed, or
/// move it into the closure.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NoSuchVersion`] when they have gone meanwhile, [`Error::NotAPicture`],
/// [`Error::BadName`], [`Error::Db`].
pub fn add_rendition_in(tx: &Tx<'_>, actor: &Actor, new: &NewRendition<'_>) -> Result<Rendition> {
    insert(tx, actor, new, None)
}

/// When and for whom another program made a picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct MadeElsewhere {
    /// When; now where that is not known.
    pub at: Option<Timestamp>,
    /// Who asked for it, where that is somebody here.
    pub by: Option<UserId>,
}

/// Adds a rendition that another program has made. Whether an engine drew in it is unknown, whatever `new` says.
///
/// # Errors
/// As [`add_rendition_in`].
pub fn add_rendition_made_elsewhere_in(
    tx: &Tx<'_>,
    actor: &Actor,
    new: &NewRendition<'_>,
    made: MadeElsewhere,
) -> Result<Rendition> {
    insert(tx, actor, new, Some(made))
}

fn insert(
    tx: &Tx<'_>,
    actor: &Actor,
    new: &NewRendition<'_>,
    elsewhere: Option<MadeElsewhere>,
) -> Result<Rendition> {
    let media = get_in(tx, new.media)?;
    store::find_version(tx, media.seq, new.version)?.ok_or(Error::NoSuchVersion)?;
    let facts = new.arrived.facts();
    let (Some(width), Some(height)) = (facts.width, facts.height) else { return Err(Error::NotAPicture) };
    let name = names::file_name(new.name)?;
    store::blobs::pardon(tx, new.arrived.kept())?;
    let row = NewRow {
        media: media.seq,
        version: new.version,
        blob: new.arrived.blob(),
        restoration: new.restoration,
        name: &name,
        content_type: &facts.content_type,
        width,
        height,
        ai_generated: elsewhere.is_none().then_some(new.ai_generated),
        provenance: new.provenance,
        created_at: elsewhere.and_then(|made| made.at),
        created_by: elsewhere.map_or(actor.user_id(), |made| made.by),
    };
    let id = store::insert_rendition(tx, &row)?;
    store::touch_media(tx, media.seq)?;
    let details = serde_json::json!({ "bucket": media.bucket, "rendition": id });
    let target = Target::new("media", media.id).named(&media.key);
    audit::record(tx, actor, "rendition.add", target, &details)?;
    emit(tx, &media, What::Updated)?;
    store::find_rendition(tx, media.seq, id)?.ok_or(Error::NoSuchRendition)
}

/// Finds a media and one of its renditions, for somebody who sees them.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NoSuchRendition`], [`Error::Db`].
pub async fn get_rendition(
    app: &App,
    caller: impl Into<Caller>,
    media: MediaId,
    id: RenditionId,
) -> Result<(Media, Rendition)> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let media = get_for_in(conn, caller, media, Permission::LibraryRead)?;
            let rendition = store::find_rendition(conn, media.seq, id)?.ok_or(Error::NoSuchRendition)?;
            Ok((media, rendition))
        })
        .await
}

/// The renditions of a media, newest first, at most `rows`, those before an id.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub async fn list_renditions(
    app: &App,
    caller: impl Into<Caller>,
    media: MediaId,
    before: Option<RenditionId>,
    rows: usize,
) -> Result<Vec<Rendition>> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let media = get_for_in(conn, caller, media, Permission::LibraryRead)?;
            Ok(store::list_renditions(conn, media.seq, before, rows)?)
        })
        .await
}

/// Removes a rendition for good.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Forbidden`], [`Error::NoSuchRendition`], [`Error::Db`].
pub async fn remove_rendition(app: &App, actor: &Actor, media: MediaId, id: RenditionId) -> Result<()> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let media = get_for_in(tx, &actor, media, Permission::LibraryDelete)?;
            let rendition = store::find_rendition(tx, media.seq, id)?.ok_or(Error::NoSuchRendition)?;
            if media.shared_rendition_id == Some(id) {
                return Err(Error::RenditionShared);
            }
            store::delete_rendition(tx, id)?;
            store::blobs::condemn_if_unused(tx, rendition.sha256)?;
            store::touch_media(tx, media.seq)?;
            let details =
                serde_json::json!({ "bucket": media.bucket, "rendition": id, "name": rendition.name });
            let target = Target::new("media", media.id).named(&media.key);
            audit::record(tx, &actor, "rendition.remove", target, &details)?;
            Ok(emit(tx, &media, What::Updated)?)
        })
        .await
}
