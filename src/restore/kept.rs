//! The pictures after the steps of a restoration: kept for some weeks, so that one can look at them, begin again from one
//! of them, or keep one instead of the result.
//!
//! They count against nobody's quota: they are working copies that go by themselves after `restore.keep_steps_days`, and a
//! quota that fills and empties by itself would be nobody's to understand. What bounds them is that time, and that only
//! those of the last few restorations of a media are kept.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::model::{Beginning, KeptStep, Origin, Request, Restoration, RestorationId, StepView};
use super::names::{marked_name, rendition_name};
use super::pipeline::{self, Shelf, Shelved};
use super::store::{self, steps};
use super::{Error, Result, get_for_in, jobs};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::db::{self, Tx};
use crate::engine::StepReport;
use crate::imaging::Format;
use crate::jobs::{Failure, Job, Running};
use crate::library::{self, Caller, Content, Media, MediaId, NewRendition, Rendition, Version, VersionId};
use crate::storage::{BlobId, Kept, Storage};

/// Restorations whose pictures one transaction lets go of.
const BATCH: usize = 50;

/// Restorations of one media whose pictures are kept; those of older ones go.
const RESTORATIONS_MAX: usize = 5;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Pictures on their way into the database. Their bytes are stored already, and held.
#[derive(Debug)]
pub(super) struct Pictures {
    storage: Storage,
    runtime: Handle,
    put: Mutex<Vec<(u32, Put)>>,
}

#[derive(Debug)]
pub(super) enum Put {
    Changed { kept: Kept, content_type: &'static str, width: u32, height: u32, recreated: bool },
    Same,
    Lost,
}

impl Pictures {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage, runtime: Handle::current(), put: Mutex::default() }
    }

    /// What was put, by place.
    pub(super) fn take(&self) -> Vec<(u32, Put)> {
        let mut put = std::mem::take(&mut *self.put.lock().unwrap_or_else(PoisonError::into_inner));
        put.sort_by_key(|(place, _)| *place);
        put
    }
}

impl Shelf for Pictures {
    fn put(&self, place: u32, picture: Shelved) {
        let put = match picture {
            Shelved::Same => Put::Same,
            Shelved::Lost => Put::Lost,
            Shelved::Changed { file, width, height, recreated } => {
                let content_type = file.format.content_type();
                match self.runtime.block_on(self.storage.put_bytes(Bytes::from(file.bytes))) {
                    Ok(kept) => Put::Changed { kept, content_type, width, height, recreated },
                    // The restoration is worth more than what it leaves by the way.
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "the picture after a step was not kept"
                        );
                        Put::Lost
                    }
                }
            }
        };
        self.put.lock().unwrap_or_else(PoisonError::into_inner).push((place, put));
    }
}

/// Writes down the pictures after the steps of a restoration, which has just ended.
pub(super) fn put_in(tx: &Tx<'_>, restoration: &Restoration, pictures: &[(u32, Put)]) -> db::Result<()> {
    let (id, media) = (restoration.id, restoration.media_id);
    let old = steps::list(tx, id)?;
    steps::delete(tx, id)?;
    let mut current = first(tx, restoration)?;
    for (place, put) in pictures {
        current = match put {
            Put::Lost => None,
            Put::Same => current,
            Put::Changed { kept, content_type, width, height, recreated } => {
                match library::attach_in(tx, media, kept) {
                    Ok(()) => {}
                    Err(library::Error::Db(error)) => return Err(error),
                    // There is no media any more to keep it for.
                    Err(_) => return Ok(()),
                }
                Some(KeptStep {
                    place: *place,
                    picture: kept.blob(),
                    content_type: (*content_type).to_owned(),
                    width: *width,
                    height: *height,
                    recreated: *recreated,
                })
            }
        };
        if let Some(step) = &current {
            steps::put(tx, id, media, &KeptStep { place: *place, ..step.clone() })?;
        }
    }
    old.iter().try_for_each(|step| let_go(tx, media, step.picture))?;
    steps::of_media(tx, media, RESTORATIONS_MAX)?
        .into_iter()
        .try_for_each(|older| forget_in(tx, older, media))
}

/// Lets go of all pictures after the steps of a restoration.
fn forget_in(tx: &Tx<'_>, id: RestorationId, media: MediaId) -> db::Result<()> {
    let kept = steps::list(tx, id)?;
    steps::delete(tx, id)?;
    kept.iter().try_for_each(|step| let_go(tx, media, step.picture))
}

/// Lets go of the picture that a restoration has begun with, now that it has ended, if nothing else needs it.
pub(super) fn ended_in(tx: &Tx<'_>, id: RestorationId) -> db::Result<()> {
    let Some(restoration) = store::find(tx, id)? else { return Ok(()) };
    match &restoration.beginning {
        Some(Beginning { picture: Some(picture), .. }) => let_go(tx, restoration.media_id, *picture),
        _ => Ok(()),
    }
}

/// The picture that a restoration begins with.
fn first(conn: &Connection, restoration: &Restoration) -> db::Result<Option<KeptStep>> {
    if let Some(Beginning { from, picture: Some(_), .. }) = &restoration.beginning {
        return steps::find(conn, from.restoration_id, from.place.saturating_sub(1));
    }
    let found = library::get_version_in(conn, restoration.media_id, Some(restoration.version_id));
    let Ok((_, Version { sha256, content_type, width: Some(width), height: Some(height), .. })) = found
    else {
        return Ok(None);
    };
    Ok(Some(KeptStep { place: 0, picture: sha256, content_type, width, height, recreated: false }))
}

/// Lets the library go of a blob that nothing here needs any more.
fn let_go(tx: &Tx<'_>, media: MediaId, blob: BlobId) -> db::Result<()> {
    if steps::is_needed(tx, media, blob)? {
        return Ok(());
    }
    match library::detach_in(tx, media, blob) {
        Err(library::Error::Db(error)) => Err(error),
        // It has gone with its media.
        _ => Ok(()),
    }
}

/// Where a restoration is to begin.
pub(super) struct Begun {
    pub(super) version: VersionId,
    pub(super) beginning: Beginning,
    /// The size of the picture as displayed, if it is not the version itself.
    pub(super) size: Option<(u32, u32)>,
}

/// Finds where a restoration of a media is to begin, if that was asked for.
///
/// # Errors
/// [`Error::NoSuchRestoration`], also for one of another media; [`Error::NoSuchStep`].
pub(super) async fn begin(
    app: &App,
    actor: &Actor,
    media: MediaId,
    request: &Request,
) -> Result<Option<Begun>> {
    let Some(from) = request.from else { return Ok(None) };
    let (caller, version) = (Caller::from(actor), request.version);
    let found = app.db.read(move |conn| {
        let earlier = get_for_in(conn, caller, from.restoration_id, Permission::Restore)?;
        if earlier.media_id != media || version.is_some_and(|version| version != earlier.version_id) {
            return Err(Error::NoSuchRestoration);
        }
        begin_in(conn, from, &earlier)
    });
    found.await.map(Some)
}

fn begin_in(conn: &Connection, from: Origin, earlier: &Restoration) -> Result<Begun> {
    let version = earlier.version_id;
    if from.place as usize > earlier.steps.len() {
        return Err(Error::NoSuchStep);
    }
    if from.place == 0 {
        // Before its first step there is what that restoration began with itself.
        let beginning = match &earlier.beginning {
            None => Beginning { from, picture: None, recreated: false, report: Vec::new() },
            Some(it) if it.picture.is_none() => Beginning { from, ..it.clone() },
            Some(it) => return begin_in_kept(conn, it.from, version, it.report.clone()),
        };
        return Ok(Begun { version, beginning, size: None });
    }
    begin_in_kept(conn, from, version, done_before(earlier, from.place))
}

fn begin_in_kept(
    conn: &Connection,
    from: Origin,
    version: VersionId,
    report: Vec<StepReport>,
) -> Result<Begun> {
    let last = from.place.checked_sub(1).ok_or(Error::NoSuchStep)?;
    let kept = steps::find(conn, from.restoration_id, last)?.ok_or(Error::NoSuchStep)?;
    let beginning = Beginning { from, picture: Some(kept.picture), recreated: kept.recreated, report };
    Ok(Begun { version, beginning, size: Some((kept.width, kept.height)) })
}

/// Everything that was done to a version before the step at a place.
fn done_before(restoration: &Restoration, place: u32) -> Vec<StepReport> {
    let earlier = restoration.beginning.iter().flat_map(|beginning| &beginning.report);
    earlier.chain(restoration.report.iter().take(place as usize)).cloned().collect()
}

/// Checks that the picture that a restoration begins with is still kept.
pub(super) fn check_in(conn: &Connection, beginning: &Beginning) -> Result<()> {
    let Beginning { from, picture: Some(picture), .. } = beginning else { return Ok(()) };
    let kept = steps::find(conn, from.restoration_id, from.place.saturating_sub(1))?;
    if kept.is_some_and(|kept| kept.picture == *picture) { Ok(()) } else { Err(Error::NoSuchStep) }
}

/// The steps of a restoration, with what came of each and whether its picture is kept.
///
/// # Errors
/// [`Error::NoSuchRestoration`], [`Error::Db`].
pub async fn list_steps(app: &App, caller: impl Into<Caller>, id: RestorationId) -> Result<Vec<StepView>> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let restoration = get_for_in(conn, caller, id, Permission::LibraryRead)?;
            let kept = steps::list(conn, id)?;
            Ok(views(&restoration, &kept))
        })
        .await
}

fn views(restoration: &Restoration, kept: &[KeptStep]) -> Vec<StepView> {
    let view = |(place, planned): (u32, &super::PlannedStep)| {
        let picture = kept.iter().find(|step| step.place == place);
        StepView {
            place,
            step: planned.step,
            strength: planned.strength,
            engine: planned.engine().to_owned(),
            model: planned.model.clone(),
            decision: restoration.report.get(place as usize).map(|told| told.decision),
            width: picture.map(|step| step.width),
            height: picture.map(|step| step.height),
            has_picture: picture.is_some(),
        }
    };
    (0..).zip(&restoration.steps).map(view).collect()
}

/// The picture after a step, for somebody who sees the media.
///
/// # Errors
/// [`Error::NoSuchRestoration`], [`Error::NoSuchStep`], [`Error::Db`].
pub(super) async fn step_content(
    app: &App,
    caller: impl Into<Caller>,
    id: RestorationId,
    place: u32,
) -> Result<Content> {
    let caller = caller.into();
    let read = Permission::LibraryRead;
    let (media, _, step) = app.db.read(move |conn| find(conn, caller, id, place, read)).await?;
    let name = marked_name(&media.name, &format!("step {}", place + 1), extension(&step));
    Ok(Content::attached(step.picture, step.content_type, name))
}

fn find(
    conn: &Connection,
    caller: Caller,
    id: RestorationId,
    place: u32,
    permission: Permission,
) -> Result<(Media, Restoration, KeptStep)> {
    let restoration = get_for_in(conn, caller, id, permission)?;
    let step = steps::find(conn, id, place)?.ok_or(Error::NoSuchStep)?;
    Ok((library::get_in(conn, restoration.media_id)?, restoration, step))
}

/// The extension of a picture's file.
fn extension(step: &KeptStep) -> &'static str {
    Format::of_content_type(&step.content_type).unwrap_or(Format::Jpeg).extension()
}

/// Makes a rendition of the picture after a step: all steps up to it count, those behind it do not.
///
/// # Errors
/// [`Error::NoSuchRestoration`], [`Error::NoSuchStep`], [`library::Error::Forbidden`] and [`library::Error::InTrash`]
/// inside [`Error::Library`], [`Error::Storage`], [`Error::Db`].
pub async fn keep_step(app: &App, actor: &Actor, id: RestorationId, place: u32) -> Result<Rendition> {
    let caller = Caller::from(actor);
    let (media, _, step) =
        app.db.read(move |conn| find(conn, caller, id, place, Permission::Restore)).await?;
    if media.state == library::State::Trashed {
        return Err(library::Error::InTrash.into());
    }
    let size = app.storage.open(step.picture).await?.size_bytes();
    let _permit = app.budget.acquire(size).await.map_err(|error| Error::NotLookedAt(error.into()))?;
    let storage = app.storage.clone();
    let read = tokio::task::spawn_blocking(move || jobs::read(&storage, step.picture));
    let bytes = read
        .await
        .map_err(|stopped| Error::NotLookedAt(pipeline::Error::Panicked(stopped.to_string())))??;
    let arrived = library::receive_bytes(app, &media.name, Bytes::from(bytes)).await?;
    let actor = actor.clone();
    // What arrived goes into the transaction and comes back after it, so that nobody sweeps it away in between.
    let (rendition, _arrived) = app
        .db
        .write(move |tx| {
            let (media, restoration, step) = find(tx, Caller::from(&actor), id, place, Permission::Restore)?;
            let number = store::count_restored(tx, media.id)?.max(media.renditions) + 1;
            let done = done_before(&restoration, place + 1);
            let rendition = NewRendition {
                media: media.id,
                version: restoration.version_id,
                arrived: &arrived,
                restoration: Some(id),
                name: &rendition_name(&media.name, extension(&step), number),
                ai_generated: step.recreated,
                provenance: &jobs::provenance(&restoration, &done),
            };
            let made = library::add_rendition_in(tx, &actor, &rendition)?;
            let details = serde_json::json!({ "restoration": id, "place": place, "rendition": made.id });
            let target = Target::new("media", media.id).named(&media.key);
            audit::record(tx, &actor, "restoration.keep_step", target, &details)?;
            Ok::<_, Error>((made, arrived))
        })
        .await?;
    Ok(rendition)
}

/// Lets go of pictures after steps that were kept for long enough.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tidy {}

impl Job for Tidy {
    const KIND: &'static str = "restore.tidy";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        let before = app.clock.now() - DAY * app.settings.current().restore.keep_steps_days;
        loop {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            let tidied = app.db.write(move |tx| {
                let outdated = steps::outdated(tx, before, BATCH)?;
                outdated.iter().try_for_each(|(id, media)| forget_in(tx, *id, *media))?;
                Ok::<_, db::Error>(outdated.len())
            });
            if tidied.await.map_err(Failure::retry)? < BATCH {
                break;
            }
        }
        // Nobody reads these any more, so they are looked for without keeping writers waiting.
        let orphans = app.db.read(steps::orphans).await.map_err(Failure::retry)?;
        for (id, media) in orphans {
            app.db.write(move |tx| forget_in(tx, id, media)).await.map_err(Failure::retry)?;
        }
        Ok(())
    }
}
