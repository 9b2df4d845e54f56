//! Work in the background: place-holders, renderings for the grid, the trash, the blob sweeper.
//!
//! A blob that nothing refers to is condemned in the transaction that took the last reference, and unlinked
//! [`GRACE`] later, under the store's lock, after asking again. Whoever stores the same bytes meanwhile pardons it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::delivery::Recipe;
use super::duplicates::FindAlike;
use super::model::{Looked, VersionId};
use super::organise::purge_in;
use super::{Error, What, emit, store};
use crate::app::App;
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::db::{self, Tx};
use crate::imaging::{self, Limits, Preset};
use crate::jobs::{self, Ending, Failure, Job, JobId, Running};
use crate::storage::{self, BlobId, Listed, Removal};

/// How long a blob without references stays on disk: longer than any backup or upload that still wants it takes.
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a media stays in the trash before it is removed for good.
pub const TRASH_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Rows that one transaction of a sweep handles, so that nobody waits for it.
const BATCH: usize = 100;

/// The longest side of the picture that a place-holder is computed from.
const THUMBHASH_SIDE: u32 = 100;

/// Removes what a crash has left half-uploaded; once at the start of a server. Returns how many files that were. Blocks.
///
/// # Errors
/// When the folder can't be read or written.
pub fn clean_up(app: &App) -> Result<u64, storage::Error> {
    app.storage.clean_incoming(app.clock.now())
}

/// Looks at a picture: computes its place-holder, and the hash by which pictures that are alike are found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Describe {
    /// The version whose bytes are looked at.
    pub version: VersionId,
}

impl Job for Describe {
    const KIND: &'static str = "library.describe";
    const MAX_ATTEMPTS: u32 = 3;
    type Context = App;
    type Output = Looked;

    async fn run(&self, app: &App, _: &Running) -> Result<Looked, Failure> {
        let version = self.version;
        let blob =
            app.db.read(move |conn| store::version_blob(conn, version)).await.map_err(Failure::retry)?;
        let Some(blob) = blob else { return Ok(Looked::default()) };
        let app = app.clone();
        tokio::task::spawn_blocking(move || look(&app, blob)).await.map_err(Failure::retry)?
    }

    fn finish(&self, tx: &Tx<'_>, _: JobId, ending: Ending<Looked>) -> db::Result<()> {
        let looked = match ending {
            Ending::Succeeded(looked) => looked,
            // It will not be tried again.
            Ending::Failed(_) => Looked::default(),
            _ => return Ok(()),
        };
        let media = store::duplicates::set_looked(tx, self.version, &looked)?;
        if media.is_some() && looked.hash.is_some() {
            FindAlike::enqueue(tx)?;
        }
        let Some(media) = media.filter(|_| looked.thumbhash.is_some()) else { return Ok(()) };
        match store::find_media(tx, None, media)? {
            Some(media) => emit(tx, &media, What::Updated),
            None => Ok(()),
        }
    }
}

/// Nothing for a picture that can't be decoded: trying again would not help, and nothing is wrong with us.
fn look(app: &App, blob: BlobId) -> Result<Looked, Failure> {
    let mut reader = match app.storage.reader(blob) {
        Err(storage::Error::NotFound(_)) => return Ok(Looked::default()),
        reader => reader.map_err(Failure::retry)?,
    };
    let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
    let small = imaging::thumbnail(&mut reader, THUMBHASH_SIDE, &limits, &app.budget);
    let looked = small.and_then(|small| {
        Ok(Looked { thumbhash: Some(imaging::thumbhash(&small)?), hash: imaging::perceptual_hash(&small)? })
    });
    match looked {
        Ok(looked) => Ok(looked),
        Err(e @ imaging::Error::Read(_)) => Err(Failure::retry(e)),
        Err(e) => {
            tracing::debug!(error = %e, "a picture has no place-holder");
            Ok(Looked::default())
        }
    }
}

/// What the browsers of today accept: what is made for one of them serves them all.
const BROWSERS_ACCEPT: &str = "image/avif,image/webp";

/// Renders a new picture for the grid before anybody scrolls there. It waits for everything else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WarmUp {
    /// The picture.
    pub blob: BlobId,
}

impl WarmUp {
    /// Puts it into the queue, behind all that a person might wait for.
    pub(super) fn enqueue(tx: &Tx<'_>, blob: BlobId) -> db::Result<()> {
        let options =
            jobs::Options { priority: -10, unique_key: Some(blob.to_string()), ..jobs::Options::default() };
        jobs::enqueue(tx, &Self { blob }, options)?;
        Ok(())
    }
}

impl Job for WarmUp {
    const KIND: &'static str = "library.warm_up";
    const CONCURRENCY: usize = 1;
    const MAX_ATTEMPTS: u32 = 2;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, _: &Running) -> Result<(), Failure> {
        let recipe = Recipe::of(self.blob, Preset::Grid.transform(), Some(BROWSERS_ACCEPT));
        if app.settings.current().delivery.cache_bytes == 0 || recipe.is_made(app).await {
            return Ok(());
        }
        match recipe.make(app).await {
            Ok(_) => Ok(()),
            // A picture that has gone, or can't be rendered, is nobody's failure.
            Err(
                Error::NotAPicture
                | Error::PictureTooLarge
                | Error::PictureDamaged { .. }
                | Error::Storage(storage::Error::NotFound(_)),
            ) => Ok(()),
            Err(e) => Err(Failure::retry(e)),
        }
    }
}

/// Empties what has lain in the trash for long, and unlinks blobs that have been condemned for long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sweep {}

impl Job for Sweep {
    const KIND: &'static str = "library.sweep";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        empty_trash(app, running).await?;
        app.db.write(store::tags::forget_unused).await.map_err(Failure::retry)?;
        sweep(app, running).await
    }
}

async fn empty_trash(app: &App, running: &Running) -> Result<(), Failure> {
    let before = app.clock.now() - TRASH_KEPT;
    loop {
        if running.cancelled().is_cancelled() {
            return Err(Failure::Interrupted);
        }
        let purged = app
            .db
            .write(move |tx| {
                let old = store::trashed_before(tx, before, BATCH)?;
                for id in &old {
                    purge_in(tx, &Actor::system(), *id)?;
                }
                Ok::<_, Error>(old.len())
            })
            .await
            .map_err(Failure::retry)?;
        if purged < BATCH {
            return Ok(());
        }
    }
}

async fn sweep(app: &App, running: &Running) -> Result<(), Failure> {
    let before = app.clock.now() - GRACE;
    loop {
        let condemned = app
            .db
            .read(move |conn| store::blobs::condemned_before(conn, before, 10 * BATCH))
            .await
            .map_err(Failure::retry)?;
        let mut removed = 0;
        for blob in condemned {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            removed += usize::from(sweep_one(app, blob, before).await?);
        }
        // Those that are held now are asked for again at the next sweep.
        if removed == 0 {
            return Ok(());
        }
    }
}

/// Removes a condemned blob with what was rendered from it, unless somebody wants it again; whether it is gone.
async fn sweep_one(app: &App, blob: BlobId, before: Timestamp) -> Result<bool, Failure> {
    let db = app.db.clone();
    let runtime = tokio::runtime::Handle::current();
    let forget = move || {
        let forgotten = runtime.block_on(db.write(move |tx| store::blobs::forget(tx, blob, before)));
        forgotten.unwrap_or_else(|e| {
            tracing::error!(error = %e, "a condemned blob could not be taken off the records");
            false
        })
    };
    match app.storage.remove(blob, forget).await.map_err(Failure::retry)? {
        Removal::Removed => tracing::debug!(%blob, "a blob that nothing refers to was removed"),
        // Its file is gone already: only the row is left.
        Removal::Missing => {
            app.db.write(move |tx| store::blobs::forget(tx, blob, before)).await.map_err(Failure::retry)?;
        }
        Removal::Held | Removal::Wanted => return Ok(false),
    }
    app.hot.remove_all(&blob.to_string());
    let cache = app.cache.clone();
    let cleared = tokio::task::spawn_blocking(move || cache.remove_all(&format!("{blob}-"))).await;
    if let Ok(Err(e)) = cleared {
        tracing::warn!(error = %e, "what was rendered from a blob could not be removed");
    }
    Ok(true)
}

/// Looks for blobs on disk that no row knows, which a crash between storing and committing leaves, and condemns them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindOrphans {}

impl Job for FindOrphans {
    const KIND: &'static str = "library.find_orphans";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        let mut files = app.storage.list();
        loop {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            let read = tokio::task::spawn_blocking(move || {
                let batch = files.by_ref().take(10 * BATCH).collect::<storage::Result<Vec<Listed>>>();
                (files, batch)
            });
            let (rest, batch) = read.await.map_err(Failure::retry)?;
            files = rest;
            let batch = batch.map_err(Failure::retry)?;
            if batch.is_empty() {
                return Ok(());
            }
            let found =
                app.db.read(move |conn| store::blobs::unknown(conn, &batch)).await.map_err(Failure::retry)?;
            if !found.is_empty() {
                tracing::info!(count = found.len(), "blobs without a row were found");
                app.db.write(move |tx| condemn_found(tx, &found)).await.map_err(Failure::retry)?;
            }
        }
    }
}

fn condemn_found(tx: &Tx<'_>, found: &[Listed]) -> db::Result<()> {
    found.iter().try_for_each(|found| store::blobs::condemn_found(tx, *found))
}
