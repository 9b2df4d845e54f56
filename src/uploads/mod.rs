//! Files that arrive in several goes, over any connection: the door of tus 1.0.0 (<https://tus.io/protocols/resumable-upload>).
//!
//! An offset that was told is on disk and will be there after power loss; what came after it may be gone, and is sent
//! again. The last bytes end in the library's intake like every other upload, and are answered when the row is committed.
//! The room translates a protocol and keeps the books of what is unfinished; what may come in, and what becomes of it, is
//! the library's business.

mod checksum;
mod error;
pub mod headers;
mod jobs;
mod model;
mod routes;
mod store;
mod turns;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use rusqlite::Connection;
use tokio::time::Instant;

use crate::api::{BodyTooSlow, Problem};
use crate::app::App;
use crate::audit::{Actor, UserId};
use crate::clock::Timestamp;
use crate::db;
use crate::library::{self, MediaId};
use crate::storage::{self, Staging};

use checksum::Check;
use headers::Checksum;
use turns::{Turn, Wish};

pub use error::Error;
pub use jobs::{Tidy, pick_up};
pub use model::{Ended, Kind, NewUpload, Stage, Upload, UploadId};
pub use routes::router;
pub use turns::Turns;
pub use watch::{TakeWatched, files_below, look_into_folder, watch};

/// What uploads functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How many uploads of everybody are not finished.
///
/// # Errors
/// When the rows can't be read.
pub fn count_all_unfinished(conn: &Connection, now: Timestamp) -> db::Result<u64> {
    store::count_all_unfinished(conn, now)
}

/// How long a sender may pause.
const IDLE: Duration = Duration::from_secs(30);

/// After how many bytes, and after what time while some come, the offset moves on in the middle of a request: so much is
/// sent again after a crash.
const SAVE_BYTES: u64 = 32 << 20;
const SAVE_AFTER: Duration = Duration::from_secs(5);

/// How long a program can ask what has become of an upload that has ended.
const ENDED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A request's body.
pub type Body = BoxStream<'static, Result<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

/// Begins an upload. One that has no bytes, or is put together from pieces, is finished when this returns.
///
/// # Errors
/// What [`library::admit`] says; [`Error::TooMany`]; of one that is put together, [`Error::NotAPart`] and what finishing
/// says.
pub async fn begin(
    app: &App,
    turns: &Arc<Turns>,
    user: UserId,
    actor: &Actor,
    mut new: NewUpload,
) -> Result<Upload> {
    if let Kind::Final(parts) = &new.kind {
        new.length_bytes = Some(length_of(app, user, parts.clone()).await?);
    }
    (new.to, _) = library::admit(app, actor, new.to, new.length_bytes).await?;
    let (actor, most, expires_at) =
        (actor.clone(), app.settings.current().uploads.max_unfinished, expiry(app));
    let upload = app
        .db
        .write(move |tx| {
            if store::count_unfinished(tx, user, tx.now())? >= most {
                return Err(Error::TooMany { most });
            }
            let id = store::insert(tx, user, &actor, &new, expires_at)?;
            get_in(tx, id)
        })
        .await?;
    if upload.can_be_ended() { finish(app, turns, upload).await } else { Ok(upload) }
}

/// The length of what some pieces come to.
async fn length_of(app: &App, user: UserId, parts: Vec<UploadId>) -> Result<u64> {
    let now = app.clock.now();
    app.db
        .read(move |conn| {
            let mut total: u64 = 0;
            for id in parts {
                let part = store::find(conn, id)?.filter(|part| part.user == user && part.expires_at > now);
                let part = part.filter(|part| part.kind == Kind::Partial && part.is_complete());
                total = total.saturating_add(part.ok_or(Error::NotAPart)?.offset_bytes);
            }
            Ok(total)
        })
        .await
}

/// Finds an upload of somebody's, finished or not.
///
/// # Errors
/// [`Error::NoSuchUpload`] when there is none or it is somebody else's, [`Error::Expired`].
pub async fn get(app: &App, user: UserId, id: UploadId) -> Result<Upload> {
    let now = app.clock.now();
    let upload = app.db.read(move |conn| get_in(conn, id)).await?;
    if upload.user != user {
        return Err(Error::NoSuchUpload);
    }
    if upload.expires_at <= now {
        return Err(Error::Expired);
    }
    Ok(upload)
}

fn get_in(conn: &Connection, id: UploadId) -> Result<Upload> {
    store::find(conn, id)?.ok_or(Error::NoSuchUpload)
}

/// What somebody has not finished, oldest first; pieces are left out.
///
/// # Errors
/// [`Error::Db`].
pub async fn list(app: &App, user: UserId) -> Result<Vec<Upload>> {
    let now = app.clock.now();
    app.db.read(move |conn| Ok(store::list_unfinished(conn, user, now)?)).await
}

/// Looks how far an upload has come, for somebody who wants to go on with it: a connection that has gone silent is
/// brought to its end first, and what only has to be put into its place is.
///
/// # Errors
/// As [`get`]; [`Error::Failed`]; [`Error::Locked`] when it is complete and being put into its place for long: that all
/// is there must not be told before it is in the library.
pub async fn look(app: &App, turns: &Arc<Turns>, user: UserId, id: UploadId) -> Result<Upload> {
    let mut upload = get(app, user, id).await?;
    if let Some(turn) = turns.take(id, Wish::Look).await {
        drop(turn);
        upload = get(app, user, id).await?;
    } else if upload.can_be_ended() && turns.wait(id).await {
        upload = get(app, user, id).await?;
    }
    if upload.can_be_ended() {
        upload = finish(app, turns, upload).await?;
    }
    match upload.ended {
        Some(Ended::Failed(problem)) => Err(Error::Failed(problem)),
        _ => Ok(upload),
    }
}

/// What a request wants to add.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Where it begins.
    pub offset_bytes: u64,
    /// Its length, where the request says it.
    pub size_bytes: Option<u64>,
    /// The length of the whole, if it is said only now.
    pub length_bytes: Option<u64>,
    /// What it must come to.
    pub checksum: Option<Checksum>,
}

/// Adds bytes to an upload, and finishes it with the last ones.
///
/// It goes on when the caller gives up: what has arrived is brought to the disk and noted.
///
/// # Errors
/// As [`get`]; [`Error::Locked`], [`Error::WrongOffset`], [`Error::Assembled`], [`Error::LengthKnown`] before anything is
/// read; [`Error::WrongChecksum`], [`Error::TooLong`] and storage's when nothing of the chunk, or of its last part,
/// was kept; [`Error::Interrupted`], [`Error::Stalled`], [`Error::Stopping`] when what came was; and what finishing says.
pub async fn append(
    app: &App,
    turns: &Arc<Turns>,
    user: UserId,
    id: UploadId,
    chunk: Chunk,
    body: Body,
) -> Result<Upload> {
    let (app, turns) = (app.clone(), Arc::clone(turns));
    let appending = tokio::spawn(async move {
        let mut body = body;
        let appended = append_here(&app, &turns, user, id, chunk, &mut body).await;
        match appended {
            Ok(_) | Err(Error::Stopping | Error::Interrupted(_) | Error::Stalled { .. }) => {}
            Err(_) => drop(tokio::spawn(drain(body))),
        }
        appended
    });
    appending.await.map_err(Error::Task)?
}

async fn append_here(
    app: &App,
    turns: &Arc<Turns>,
    user: UserId,
    id: UploadId,
    chunk: Chunk,
    body: &mut Body,
) -> Result<Upload> {
    // Only its own maker can disturb an upload.
    get(app, user, id).await?;
    let turn = turns.take(id, Wish::Append { from_bytes: chunk.offset_bytes }).await.ok_or(Error::Locked)?;
    let upload = get(app, user, id).await?;
    let Some(upload) = ready(app, upload, &chunk).await? else {
        // Everything was there already: the answer to the last bytes was lost on its way.
        return end(app, get(app, user, id).await?).await;
    };
    turn.began(chunk.offset_bytes);
    let staging = open(app, &upload).await?;
    let allowance = match upload.length_bytes {
        Some(_) => None,
        None => Some(library::allowance(app, &upload.actor, &upload.to).await?),
    };
    let mut arriving = Arriving {
        app,
        allowance,
        turn: &turn,
        upload,
        staging,
        saved: Instant::now(),
        check: chunk.checksum.map(Check::new),
    };
    let outcome = arriving.take_in(body).await;
    let upload = arriving.settle(outcome).await?;
    end(app, upload).await
}

/// Sees whether a chunk can be added where it says; none when the upload needs no more.
async fn ready(app: &App, mut upload: Upload, chunk: &Chunk) -> Result<Option<Upload>> {
    if let Some(Ended::Failed(problem)) = upload.ended {
        return Err(Error::Failed(problem));
    }
    if matches!(upload.kind, Kind::Final(_)) {
        return Err(Error::Assembled);
    }
    if upload.offset_bytes != chunk.offset_bytes {
        return Err(Error::WrongOffset { offset_bytes: upload.offset_bytes });
    }
    if let Some(length_bytes) = chunk.length_bytes
        && upload.length_bytes != Some(length_bytes)
    {
        if upload.length_bytes.is_some() || length_bytes < upload.offset_bytes {
            return Err(Error::LengthKnown);
        }
        library::allowance(app, &upload.actor, &upload.to).await?.check_size(length_bytes)?;
        app.storage.ensure_room(length_bytes - upload.offset_bytes).map_err(library::Error::from)?;
        let id = upload.id;
        app.db.write(move |tx| store::set_length(tx, id, length_bytes)).await?;
        upload.length_bytes = Some(length_bytes);
    }
    if let Some(length_bytes) = upload.length_bytes
        && chunk.size_bytes.is_some_and(|size_bytes| size_bytes > length_bytes - upload.offset_bytes)
    {
        return Err(Error::TooLong { length_bytes });
    }
    Ok(if upload.is_complete() { None } else { Some(upload) })
}

/// Opens what has arrived so far. Less than was thought is noted, and told as a wrong offset.
async fn open(app: &App, upload: &Upload) -> Result<Staging> {
    let staging = match app.storage.resume(upload.id, upload.offset_bytes).await {
        Err(storage::Error::NotStaged(id)) if !upload.can_be_ended() || upload.offset_bytes == 0 => {
            app.storage.stage(id).await?
        }
        resumed => resumed?,
    };
    let offset_bytes = staging.durable_bytes();
    if offset_bytes != upload.offset_bytes {
        save(app, upload.id, offset_bytes).await?;
        app.storage.park(staging);
        return Err(Error::WrongOffset { offset_bytes });
    }
    Ok(staging)
}

/// Notes how much is safe.
async fn save(app: &App, id: UploadId, offset_bytes: u64) -> Result<()> {
    let expires_at = expiry(app);
    let saved = app.db.write(move |tx| store::set_offset(tx, id, offset_bytes, expires_at)).await?;
    if saved { Ok(()) } else { Err(Error::NoSuchUpload) }
}

fn expiry(app: &App) -> Timestamp {
    app.clock.now() + app.settings.current().uploads.expire
}

/// A chunk on its way to the disk.
struct Arriving<'a> {
    app: &'a App,
    /// What may come of a file whose length nobody has said yet.
    allowance: Option<library::Allowance>,
    turn: &'a Turn,
    upload: Upload,
    staging: Staging,
    saved: Instant,
    check: Option<Check>,
}

impl Arriving<'_> {
    /// Takes bytes as they come, until there are no more or something is wrong.
    async fn take_in(&mut self, body: &mut Body) -> Result<()> {
        loop {
            self.turn.waits(self.staging.size_bytes());
            let next = tokio::select! {
                biased;
                () = self.turn.leave().cancelled() => return Err(Error::Locked),
                () = self.app.stopping.cancelled() => return Err(Error::Stopping),
                next = tokio::time::timeout(IDLE, body.next()) => next,
            };
            self.turn.works();
            match next {
                Err(_) => return Err(Error::Stalled { after: IDLE }),
                Ok(None) => return Ok(()),
                Ok(Some(Err(e))) => {
                    let slow = BodyTooSlow::within(&*e).map(|slow| Error::Stalled { after: slow.after });
                    return Err(slow.unwrap_or(Error::Interrupted(e)));
                }
                Ok(Some(Ok(piece))) => self.take(piece).await?,
            }
        }
    }

    async fn take(&mut self, piece: Bytes) -> Result<()> {
        let size_bytes = self.staging.size_bytes() + piece.len() as u64;
        match self.upload.length_bytes {
            Some(length_bytes) if size_bytes > length_bytes => return Err(Error::TooLong { length_bytes }),
            Some(_) => {}
            None => self.allowance.as_ref().map_or(Ok(()), |allowance| allowance.check_size(size_bytes))?,
        }
        if let Some(check) = &mut self.check {
            check.update(&piece);
        }
        self.staging.write(piece).await?;
        // What is to be checked counts only when it was, and what is complete is noted at the end.
        let unsaved_bytes = size_bytes - self.staging.durable_bytes();
        let is_due = unsaved_bytes >= SAVE_BYTES || self.saved.elapsed() >= SAVE_AFTER;
        if is_due && self.check.is_none() && self.upload.length_bytes != Some(size_bytes) {
            self.save().await?;
        }
        Ok(())
    }

    async fn save(&mut self) -> Result<()> {
        let offset_bytes = self.staging.sync().await?;
        save(self.app, self.upload.id, offset_bytes).await?;
        self.upload.offset_bytes = offset_bytes;
        self.saved = Instant::now();
        Ok(())
    }

    /// Decides what counts of the chunk, and notes it.
    async fn settle(mut self, outcome: Result<()>) -> Result<Upload> {
        let (was_checked, holds) = (self.check.is_some(), self.check.take().is_none_or(Check::holds));
        let outcome = if holds { outcome } else { outcome.and(Err(Error::WrongChecksum)) };
        // Half a chunk can't be checked, and of one that is wrong nothing may stay.
        let is_wrong = matches!(outcome, Err(Error::TooLong { .. } | Error::Storage(_) | Error::Library(_)));
        if is_wrong || outcome.is_err() && was_checked {
            self.staging.revert().await?;
        }
        if self.staging.size_bytes() != self.upload.offset_bytes
            && let Err(e) = self.save().await
        {
            // The disk may say only now that it has no room.
            if let Error::Storage(_) = e {
                self.staging.revert().await?;
                self.app.storage.park(self.staging);
            }
            return Err(outcome.err().unwrap_or(e));
        }
        let is_too_large =
            matches!(outcome, Err(Error::Library(library::Error::Storage(storage::Error::TooLarge { .. }))));
        self.app.storage.park(self.staging);
        match outcome {
            Ok(()) => Ok(self.upload),
            Err(e) if is_too_large => Err(fail(self.app, self.upload.id, e).await?),
            Err(e) => Err(e),
        }
    }
}

/// Ends an upload if all of it is there; whoever calls has the turn.
async fn end(app: &App, upload: Upload) -> Result<Upload> {
    if !upload.can_be_ended() {
        return Ok(upload);
    }
    let (id, is_joined) = (upload.id, matches!(upload.kind, Kind::Final(_)));
    match put_into_place(app, &upload, upload.actor.clone()).await {
        Ok(()) => app.db.read(move |conn| get_in(conn, id)).await,
        // There is less than was thought, which was noted: the rest can be sent again.
        Err(e @ Error::WrongOffset { .. }) => Err(e),
        // Somebody else was quicker, or it was removed meanwhile.
        Err(
            Error::Storage(storage::Error::NotStaged(_))
            | Error::Library(library::Error::Storage(storage::Error::NotStaged(_))),
        ) => {
            let upload = app.db.read(move |conn| get_in(conn, id)).await?;
            if upload.ended.is_some() {
                return Ok(upload);
            }
            if is_joined {
                // Somebody else puts it together too, and its pieces are there.
                return Err(Error::Locked);
            }
            tracing::warn!("the bytes of an upload are gone");
            app.db.write(move |tx| store::delete(tx, id)).await?;
            Err(Error::NoSuchUpload)
        }
        Err(e) => Err(fail(app, id, e).await?),
    }
}

/// Does the same in a task of its own, which goes on when the caller gives up.
async fn finish(app: &App, turns: &Arc<Turns>, upload: Upload) -> Result<Upload> {
    let (app, turns) = (app.clone(), Arc::clone(turns));
    let finishing = tokio::spawn(async move {
        let _turn = turns.take(upload.id, Wish::Look).await.ok_or(Error::Locked)?;
        let id = upload.id;
        let upload = app.db.read(move |conn| get_in(conn, id)).await?;
        end(&app, upload).await
    });
    finishing.await.map_err(Error::Task)?
}

/// Notes why an upload can't become what it should, if trying again can't help, and returns the error.
async fn fail(app: &App, id: UploadId, error: Error) -> Result<Error> {
    let problem = Problem::from(error);
    if problem.status().is_server_error() {
        return Ok(Error::Unfinished(problem));
    }
    let document = serde_json::to_value(problem.body()).unwrap_or_default();
    let (noted, expires_at) = (document.clone(), app.clock.now() + ENDED_KEPT);
    app.db.write(move |tx| store::set_failed(tx, id, &noted, expires_at)).await?;
    app.storage.discard(id).await?;
    Ok(Error::Unfinished(problem))
}

/// Gives an upload its place in the library: the row, the end of the upload, and that its pieces are not needed any more
/// are one transaction.
async fn put_into_place(app: &App, upload: &Upload, actor: Actor) -> Result<()> {
    let staging = match &upload.kind {
        Kind::Final(parts) => join(app, upload, parts).await?,
        Kind::Whole | Kind::Partial => open(app, upload).await?,
    };
    let arrived = library::receive_staged(&upload.to.name, staging).await?.modified_at(upload.modified_at);
    let (id, to, kind) = (upload.id, upload.to.clone(), upload.kind.clone());
    let ended_until = app.clock.now() + ENDED_KEPT;
    let (arrived, _) = app
        .db
        .write(move |tx| {
            if get_in(tx, id)?.ended.is_some() {
                return Ok((arrived, None));
            }
            let media: MediaId = library::add_in(tx, &actor, &to, &arrived)?.id;
            store::set_done(tx, id, media, ended_until)?;
            if let Kind::Final(parts) = &kind {
                for part in parts {
                    store::delete(tx, *part)?;
                }
            }
            Ok::<_, Error>((arrived, Some(media)))
        })
        .await?;
    // The row is there, so the bytes may lose the name that they had before.
    drop(arrived);
    let parts = if let Kind::Final(parts) = &upload.kind { parts.as_slice() } else { &[] };
    for staged in parts.iter().chain([&upload.id]) {
        app.storage.discard(*staged).await?;
    }
    Ok(())
}

/// Puts the pieces of an upload one behind the other, from the beginning each time.
async fn join(app: &App, upload: &Upload, parts: &[UploadId]) -> Result<Staging> {
    app.storage.discard(upload.id).await?;
    let mut staging = app.storage.stage(upload.id).await?;
    for id in parts {
        let id = *id;
        let part = app.db.read(move |conn| get_in(conn, id)).await?;
        if part.offset_bytes > 0 {
            let piece = app.storage.resume(id, part.offset_bytes).await?;
            if piece.size_bytes() != part.offset_bytes {
                return Err(Error::NotAPart);
            }
            staging.append(piece).await?;
        }
    }
    Ok(staging)
}

/// Removes an upload with what has arrived of it; a media that it has become stays.
///
/// # Errors
/// As [`get`]; [`Error::Locked`] when whoever writes to it does not leave.
pub async fn remove(app: &App, turns: &Arc<Turns>, user: UserId, id: UploadId) -> Result<()> {
    get(app, user, id).await?;
    let _turn = turns.take(id, Wish::Remove).await.ok_or(Error::Locked)?;
    app.db.write(move |tx| store::delete(tx, id)).await?;
    app.storage.discard(id).await?;
    Ok(())
}

/// Reads on for a while without looking, so that a sender which does not listen before it has sent everything gets to see
/// the answer.
async fn drain(mut body: Body) {
    const MOST_BYTES: u64 = 64 << 20;
    let mut drained = 0;
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(IDLE / 3, body.next()).await {
        drained += piece.len() as u64;
        if drained > MOST_BYTES {
            return;
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(db::Error::from(error))
    }
}
