//! Many pictures that are restored in the same way: one after the other, so that a batch can be paused, resumed and
//! stopped, and so that a single picture which somebody waits for goes before it.
//!
//! A batch has no job of its own. Whatever ends one of its restorations begins the next in the same transaction; a
//! crash leaves it at the picture where it was.

mod archive;
mod model;
mod routes;
mod store;

use rusqlite::Connection;

use super::model::{Complaint, Request, RestorationId, Settled};
use super::registry::{self, Entry};
use super::{Error, Result, Wish, enqueue_in, settle, stop_in};
use crate::accounts::Permission;
use crate::api::Problem;
use crate::api::events::{self, Audience};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::{self, Tx};
use crate::library::{self, Caller, MediaId, Which};

pub use archive::{Archive, archive};
pub use model::{Batch, BatchId, BatchItem, BatchState, Counts, Estimate, ItemState, NewBatch, PICTURES_MAX};
pub(super) use routes::router;

use model::NAME_CHARS_MAX;

/// Pictures of a batch that are with the queue at a time: one that runs, and one that follows without a pause.
const IN_FLIGHT: usize = 2;

/// Those who wait for a single picture go before.
const PRIORITY: i32 = 1;

/// Makes a batch and begins with its first pictures. Of what a search finds only the pictures count; what was named
/// one by one and is no picture fails by its name.
///
/// # Errors
/// What is wrong with the steps; [`Error::BadName`], [`Error::EmptyBatch`], [`Error::LargeBatch`]; [`Error::Library`] for
/// a search that can't be made.
pub async fn add(app: &App, actor: &Actor, which: Which, new: NewBatch) -> Result<Batch> {
    let name = new.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
        return Err(Error::BadName);
    }
    let settled = settle(app, &request(new.wish)?).await?;
    let chosen = choose(app, actor, which).await?;
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let id = BatchId::new();
            let count = chosen.pictures.len();
            let row = store::NewRow {
                id,
                name: &name.unwrap_or_else(|| model::usual_name(count)),
                settled: &settled,
                skipped: chosen.skipped,
                created_by: actor.user_id(),
            };
            store::insert(tx, &row, &chosen.pictures)?;
            let details = serde_json::json!({
                "pictures": count, "engine": settled.engine, "preset": settled.preset, "steps": settled.steps,
            });
            audit::record(tx, &actor, "batch.add", Target::new("batch", id).named(row.name), &details)?;
            advance_in(tx, &actor, id)?;
            find_in(tx, id)
        })
        .await
}

/// Says what a batch would take, without making it.
///
/// # Errors
/// As [`add`].
pub async fn estimate(app: &App, actor: &Actor, which: Which, new: NewBatch) -> Result<Estimate> {
    let settled = settle(app, &request(new.wish)?).await?;
    let models = registry::list(app).await?;
    let chosen = choose(app, actor, which).await?;
    #[expect(clippy::cast_precision_loss, reason = "money for people")]
    let cost_usd = price(&settled, &models).map(|each| each * chosen.pictures.len() as f64);
    app.db
        .read(move |conn| {
            #[expect(clippy::cast_precision_loss, reason = "millions of pixels for people")]
            let megapixels = chosen.pixels as f64 / 1e6;
            Ok(Estimate {
                pictures: chosen.pictures.len() as u64,
                skipped: chosen.skipped,
                megapixels,
                seconds: ms_per_megapixel(conn)?
                    .map(|each| store::whole((each * megapixels / 1000.0).ceil())),
                cost_usd,
            })
        })
        .await
}

/// What is asked for each picture, which has no mask.
fn request(wish: Request) -> Result<Request> {
    if wish.steps.iter().any(|step| step.mask.is_some()) { Err(Error::MaskInBatch) } else { Ok(wish) }
}

/// What the models of a picture's steps cost in US dollars; none if one does not say.
fn price(settled: &Settled, models: &[Entry]) -> Option<f64> {
    let named = settled.steps.iter().filter_map(|step| step.model.as_ref());
    named.map(|id| models.iter().find(|entry| entry.model.id == *id)?.model.price_usd).sum()
}

/// Milliseconds that a million pixels took, on average over the pictures that were restored last.
fn ms_per_megapixel(conn: &Connection) -> Result<Option<f64>> {
    let (mut pixels, mut took_ms) = (0, 0);
    for (media, version, took) in store::lately(conn)? {
        // It may be gone.
        if let Ok((_, version)) = library::get_version_in(conn, media, Some(version)) {
            pixels += u64::from(version.width.unwrap_or(0)) * u64::from(version.height.unwrap_or(0));
            took_ms += took;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "an average for people")]
    Ok((pixels > 0).then(|| took_ms as f64 / (pixels as f64 / 1e6)))
}

/// The pictures of a batch to be.
struct Chosen {
    pictures: Vec<MediaId>,
    pixels: u64,
    skipped: u64,
}

async fn choose(app: &App, actor: &Actor, which: Which) -> Result<Chosen> {
    let is_search = matches!(which, Which::Search(_));
    let ids = library::select(app, actor, which, PICTURES_MAX + 1).await?;
    let caller = Caller::from(actor);
    if ids.len() > PICTURES_MAX {
        return Err(Error::LargeBatch { most: PICTURES_MAX });
    }
    let chosen = app.db.read(move |conn| {
        let mut chosen = Chosen { pictures: Vec::new(), pixels: 0, skipped: 0 };
        for id in ids {
            let found = library::get_for_in(conn, caller, id, Permission::Restore)
                .and_then(|media| library::get_version_in(conn, media.id, None));
            let is_picture = matches!(&found, Ok((_, version)) if version.content_type.starts_with("image/"));
            if is_search && !is_picture {
                chosen.skipped += 1;
                continue;
            }
            // Whoever names what does not exist hears so.
            let (_, version) = found?;
            chosen.pixels += u64::from(version.width.unwrap_or(0)) * u64::from(version.height.unwrap_or(0));
            chosen.pictures.push(id);
        }
        Ok::<_, Error>(chosen)
    });
    let chosen = chosen.await?;
    if chosen.pictures.is_empty() { Err(Error::EmptyBatch) } else { Ok(chosen) }
}

/// Whose batches somebody may see: one's own, or all.
#[derive(Debug, Clone, Copy)]
pub struct Viewer {
    /// Who looks.
    pub user: UserId,
    /// Whether those of others too.
    pub sees_all: bool,
}

/// Finds a batch.
///
/// # Errors
/// [`Error::NoSuchBatch`], [`Error::Db`].
pub async fn get(app: &App, viewer: Viewer, id: BatchId) -> Result<Batch> {
    app.db.read(move |conn| seen_in(conn, viewer, id)).await
}

/// Batches that somebody may see, newest first, at most `rows`, those before an id.
///
/// # Errors
/// [`Error::Db`].
pub async fn list(app: &App, viewer: Viewer, before: Option<BatchId>, rows: usize) -> Result<Vec<Batch>> {
    let user = (!viewer.sees_all).then_some(viewer.user);
    app.db.read(move |conn| Ok(store::list(conn, user, before, rows)?)).await
}

/// Pictures of a batch in their order, at most `rows`, those after a position.
///
/// # Errors
/// [`Error::NoSuchBatch`], [`Error::Db`].
pub async fn list_items(
    app: &App,
    viewer: Viewer,
    id: BatchId,
    state: Option<ItemState>,
    after: Option<u64>,
    rows: usize,
) -> Result<Vec<BatchItem>> {
    app.db
        .read(move |conn| {
            seen_in(conn, viewer, id)?;
            named(conn, viewer, store::items(conn, id, state, after, rows)?)
        })
        .await
}

/// Gives pictures their names, unless they have moved to where the viewer does not see them.
fn named(conn: &Connection, viewer: Viewer, mut items: Vec<BatchItem>) -> Result<Vec<BatchItem>> {
    for item in &mut items {
        let found = library::get_for_in(conn, viewer.user, item.media_id, Permission::LibraryRead);
        (item.name, item.is_picture) = match found {
            Ok(media) => (media.name, media.width.is_some()),
            Err(library::Error::NoSuchMedia | library::Error::Forbidden) => {
                ("A picture of others".to_owned(), false)
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(items)
}

/// What somebody wants of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Begin no more pictures for now.
    Pause,
    /// Go on, also after it was stopped.
    Resume,
    /// Stop.
    Cancel,
    /// Try those again that failed.
    Retry,
    /// Forget it; what it has made stays.
    Remove,
}

impl Deed {
    const fn action(self) -> &'static str {
        match self {
            Self::Pause => "batch.pause",
            Self::Resume => "batch.resume",
            Self::Cancel => "batch.cancel",
            Self::Retry => "batch.retry",
            Self::Remove => "batch.remove",
        }
    }
}

/// Does it, and returns how the batch stands then, or stood last.
///
/// # Errors
/// [`Error::NoSuchBatch`], [`Error::Db`].
pub async fn change(app: &App, actor: &Actor, viewer: Viewer, id: BatchId, deed: Deed) -> Result<Batch> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let batch = seen_in(tx, viewer, id)?;
            match deed {
                Deed::Pause | Deed::Cancel if batch.state == BatchState::Finished => return Ok(batch),
                Deed::Pause => pause_in(tx, id)?,
                Deed::Cancel | Deed::Remove => cancel_in(tx, id)?,
                Deed::Resume => {
                    store::again(tx, id, false)?;
                    store::set_state(tx, id, "running")?;
                }
                Deed::Retry => {
                    store::again(tx, id, true)?;
                    store::set_state(tx, id, "running")?;
                }
            }
            let target = Target::new("batch", id).named(&batch.name);
            audit::record(tx, &actor, deed.action(), target, &serde_json::Value::Null)?;
            if deed == Deed::Remove {
                store::delete(tx, id)?;
                return Ok(batch);
            }
            advance_in(tx, &actor, id)?;
            find_in(tx, id)
        })
        .await
}

/// What has not begun waits again; what runs comes to its end.
fn pause_in(tx: &Tx<'_>, id: BatchId) -> Result<()> {
    store::set_state(tx, id, "paused")?;
    for restoration in store::in_flight(tx, id)? {
        if super::withdraw_in(tx, restoration)? {
            store::take_back(tx, restoration)?;
        }
    }
    Ok(())
}

fn cancel_in(tx: &Tx<'_>, id: BatchId) -> Result<()> {
    store::set_state(tx, id, "cancelled")?;
    for restoration in store::in_flight(tx, id)? {
        stop_in(tx, restoration)?;
    }
    Ok(())
}

/// Goes on with the batch that a restoration belongs to, when that has ended. It belongs into the transaction that ends
/// it.
pub(super) fn ended_in(tx: &Tx<'_>, actor: &Actor, restoration: RestorationId) -> db::Result<()> {
    let Some(batch) = store::of_restoration(tx, restoration)? else { return Ok(()) };
    match advance_in(tx, actor, batch) {
        Err(Error::Db(error)) => Err(error),
        // Whatever else is wrong was written down with the picture.
        _ => Ok(()),
    }
}

/// Begins the pictures that are next, unless the batch rests, and tells its maker how it stands.
fn advance_in(tx: &Tx<'_>, actor: &Actor, id: BatchId) -> Result<()> {
    if find_in(tx, id)?.state == BatchState::Running
        && let Some(settled) = store::settled(tx, id)?
    {
        let mut running = store::in_flight(tx, id)?.len();
        while running < IN_FLIGHT {
            let Some((position, media)) = store::next_waiting(tx, id)? else { break };
            match begin_in(tx, actor, media, &settled) {
                Ok(restoration) => {
                    store::begin_item(tx, id, position, restoration)?;
                    running += 1;
                }
                Err(Error::Db(error) | Error::Library(library::Error::Db(error))) => return Err(error.into()),
                Err(error) => {
                    let told = Problem::from(error).body();
                    let code = told.r#type.trim_start_matches("/problems/").to_owned();
                    store::fail_item(tx, id, position, &Complaint { code, detail: told.detail })?;
                }
            }
        }
    }
    let batch = find_in(tx, id)?;
    if let Some(maker) = batch.created_by {
        events::emit(tx, "batch", &Audience::User(maker.to_string()), &batch)?;
    }
    Ok(())
}

fn begin_in(tx: &Tx<'_>, actor: &Actor, media: MediaId, settled: &Settled) -> Result<RestorationId> {
    library::get_for_in(tx, actor, media, Permission::Restore)?;
    let (media, version) = library::get_version_in(tx, media, None)?;
    if media.state == library::State::Trashed {
        return Err(library::Error::InTrash.into());
    }
    if version.width.is_none() {
        return Err(Error::NotAPicture);
    }
    enqueue_in(tx, actor, (media.id, version.id), settled, &Wish::new(PRIORITY))
}

fn find_in(conn: &Connection, id: BatchId) -> Result<Batch> {
    store::find(conn, id)?.ok_or(Error::NoSuchBatch)
}

fn seen_in(conn: &Connection, viewer: Viewer, id: BatchId) -> Result<Batch> {
    let batch = find_in(conn, id)?;
    if viewer.sees_all || batch.created_by == Some(viewer.user) { Ok(batch) } else { Err(Error::NoSuchBatch) }
}
