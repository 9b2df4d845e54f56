//! Work in the background: what a crash has left unfinished is finished, what nobody goes on with is removed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{Upload, UploadId};
use super::{Error, Result, end, get_in, store};
use crate::app::App;
use crate::db::{self, Tx};
use crate::jobs::{self, Failure, Job, Options, Running};

/// Rows that one transaction handles.
const BATCH: u32 = 100;

/// How long an upload that is complete is left to whoever is just finishing it.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// Finishes uploads that have all their bytes, and removes those whose time is over with what was staged of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tidy {}

/// Has what the last run has left finished soon; once at the start of a server.
///
/// # Errors
/// When the job can't be enqueued.
pub async fn pick_up(app: &App) -> db::Result<()> {
    let options = Options { unique_key: Some("start".to_owned()), ..Options::default() };
    app.db.write(move |tx| jobs::enqueue(tx, &Tidy {}, options).map(drop)).await
}

impl Job for Tidy {
    const KIND: &'static str = "uploads.tidy";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        remove_expired(app).await.map_err(Failure::retry)?;
        remove_unknown(app).await.map_err(Failure::retry)?;
        // What was received before this process started has nobody else to finish it.
        let left_alone = app.started_at.max(app.clock.now() - LEFT_ALONE);
        let started_at = app.started_at;
        let waiting = app
            .db
            .read(move |conn| store::waiting(conn, left_alone, started_at))
            .await
            .map_err(Failure::retry)?;
        for upload in waiting {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            finish(app, upload).await.map_err(Failure::retry)?;
        }
        Ok(())
    }
}

/// What the library refuses for good is noted as such, and what it can't take now waits for its maker or the next hour:
/// neither is a failure of the job, nor keeps others waiting.
async fn finish(app: &App, mut upload: Upload) -> Result<()> {
    upload.actor = upload.actor.later();
    let id = upload.id;
    match end(app, upload).await {
        Ok(_) | Err(Error::NoSuchUpload | Error::Locked | Error::Unfinished(_)) => Ok(()),
        Err(e) => match app.db.read(move |conn| get_in(conn, id)).await {
            Ok(upload) if upload.ended.is_none() => Err(e),
            _ => Ok(()),
        },
    }
}

async fn remove_expired(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let expired = app.db.read(move |conn| store::expired(conn, now, BATCH)).await?;
        if expired.is_empty() {
            return Ok(());
        }
        let gone = expired.clone();
        app.db.write(move |tx| delete_all(tx, &gone)).await?;
        for id in expired {
            app.storage.discard(id).await?;
        }
    }
}

fn delete_all(tx: &Tx<'_>, ids: &[UploadId]) -> db::Result<()> {
    ids.iter().try_for_each(|id| store::delete(tx, *id).map(drop))
}

/// Rows come before files, so a file whose row is not there never gets one.
async fn remove_unknown(app: &App) -> Result<()> {
    let storage = app.storage.clone();
    let staged = tokio::task::spawn_blocking(move || storage.list_staged()).await.map_err(Error::Task)??;
    let ids: Vec<UploadId> = staged.into_iter().map(|staged| staged.id).collect();
    for id in app.db.read(move |conn| store::unknown(conn, &ids)).await? {
        app.storage.discard(id).await?;
    }
    Ok(())
}
