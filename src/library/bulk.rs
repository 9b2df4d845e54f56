//! One deed for many media: a selection, or a whole search of any size.
//!
//! A selection is done at once, a few hundred rows a transaction; a larger search becomes a job that goes through the
//! media in the order in which they came, as far as those that were there when it began. How far it has come is written
//! with each chunk, so that whoever carries on after a crash does nothing twice. What can't be done to one of them is
//! told and stops nothing.

use std::collections::HashMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Filter, Media, MediaId, OnConflict, Position, Search, Seq, Slug, Sort, SortBy, State};
use super::organise::{Goal, copy_in, delete_in, move_in, take_back_in};
use super::rights::{self, BucketRole};
use super::tags::{TagName, TagNames};
use super::{Error, Result, buckets, emit_many, get_in, names, narrow, store};
use crate::accounts::Permission;
use crate::api::{Problem, ProblemBody};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::{self, Tx};
use crate::jobs::{self, Ending, Failure, Job, JobId, JobState, Running};
use crate::storage;

/// The most media that a request may name, or that are done while it waits.
pub const AT_ONCE_MAX: usize = 1000;

/// Media that one transaction handles, so that nobody waits long for it.
const CHUNK: usize = 250;

/// Failures that are told one by one.
const FAILURES_MAX: usize = 100;

/// A folder with more media than this is moved or removed by a job.
const FOLDER_AT_ONCE_MAX: u64 = 5000;

/// What is to be done to each of many media.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Deed {
    /// Move to the trash.
    Trash,
    /// Take back from the trash.
    Untrash,
    /// Remove from the trash for good.
    Purge,
    /// Put somewhere else; what is not said stays as it is.
    Move {
        /// The bucket.
        bucket: Option<String>,
        /// The folder.
        folder: Option<String>,
        /// What to do with names that are taken.
        on_conflict: OnConflict,
    },
    /// Put somewhere else too.
    Copy {
        /// The bucket.
        bucket: Option<String>,
        /// The folder.
        folder: Option<String>,
        /// What to do with names that are taken.
        on_conflict: OnConflict,
    },
    /// Give tags.
    Tag {
        /// Their names.
        tags: Vec<String>,
    },
    /// Take tags away.
    Untag {
        /// Their names.
        tags: Vec<String>,
    },
    /// Mark as what the person who asks likes best.
    Favourite,
    /// Take that mark away.
    Unfavourite,
    /// Part of moving a folder: from below one path to below another.
    MoveFolder {
        /// The bucket.
        bucket: String,
        /// The folder's path.
        from: String,
        /// Its path from now on.
        to: String,
    },
    /// Part of removing a folder.
    TrashFolder {
        /// The bucket.
        bucket: String,
        /// The folder's path.
        path: String,
    },
    /// Part of giving a tag another name.
    Retag {
        /// The folded name.
        from: String,
        /// The name from now on.
        to: String,
    },
    /// Part of removing a tag.
    RemoveTag {
        /// The folded name.
        tag: String,
    },
}

impl Deed {
    /// What somebody must be allowed to do for it.
    pub const fn permission(&self) -> Permission {
        match self {
            Self::Trash | Self::Untrash | Self::Purge | Self::TrashFolder { .. } => Permission::LibraryDelete,
            Self::Favourite | Self::Unfavourite => Permission::LibraryRead,
            _ => Permission::LibraryWrite,
        }
    }

    /// What somebody must be allowed to do in the bucket that a media lies in; where it goes to is another question.
    const fn permission_there(&self) -> Permission {
        match self {
            Self::Copy { .. } => Permission::LibraryRead,
            _ => self.permission(),
        }
    }

    /// Whether it may move what is in its way to the trash.
    pub const fn replaces(&self) -> bool {
        matches!(self, Self::Move { on_conflict: OnConflict::Replace, .. })
    }

    /// Reads what people typed.
    fn parse(&self) -> Result<Parsed> {
        let goal = |bucket: &Option<String>, folder: &Option<String>, on_conflict| {
            let bucket = bucket.as_deref().map(Slug::parse).transpose().map_err(|_| Error::NoSuchBucket)?;
            if bucket.is_none() && folder.is_none() {
                return Err(Error::NoGoal);
            }
            Goal::parse(bucket, folder.as_deref(), None, on_conflict)
        };
        Ok(match self {
            Self::Trash | Self::TrashFolder { .. } => Parsed::Trash,
            Self::Untrash => Parsed::Untrash,
            Self::Purge => Parsed::Purge,
            Self::Move { bucket, folder, on_conflict } => Parsed::Move(goal(bucket, folder, *on_conflict)?),
            Self::Copy { bucket, folder, on_conflict } => Parsed::Copy(goal(bucket, folder, *on_conflict)?),
            Self::Tag { tags } => Parsed::Tag(some_tags(tags)?),
            Self::Untag { tags } => Parsed::Untag(some_tags(tags)?),
            Self::Favourite => Parsed::Favourite(true),
            Self::Unfavourite => Parsed::Favourite(false),
            Self::MoveFolder { from, to, .. } => Parsed::MoveFolder { from: from.clone(), to: to.clone() },
            Self::Retag { from, to } => Parsed::Retag { from: from.clone(), to: TagName::parse(to)? },
            Self::RemoveTag { tag } => Parsed::RemoveTag(tag.clone()),
        })
    }

    /// What is left to do when all media are done.
    fn conclude_in(&self, tx: &Tx<'_>) -> Result<()> {
        match self {
            Self::MoveFolder { bucket, from: path, .. } | Self::TrashFolder { bucket, path } => {
                let bucket = buckets::get_in(tx, &Slug::parse(bucket)?)?;
                Ok(store::bulk::drop_folders(tx, bucket.seq, path)?)
            }
            Self::Retag { from: tag, .. } | Self::RemoveTag { tag } => match store::tags::find(tx, tag)? {
                Some(tag) => Ok(store::tags::forget_if_unused(tx, tag)?),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn some_tags(tags: &[String]) -> Result<TagNames> {
    let names = TagName::parse_all(tags)?;
    if names.is_empty() { Err(Error::BadTag) } else { Ok(names) }
}

/// A deed whose names have been read.
enum Parsed {
    Trash,
    Untrash,
    Purge,
    Move(Goal),
    Copy(Goal),
    Tag(TagNames),
    Untag(TagNames),
    Favourite(bool),
    MoveFolder { from: String, to: String },
    Retag { from: String, to: TagName },
    RemoveTag(String),
}

impl Parsed {
    fn apply_in(&self, tx: &Tx<'_>, actor: &Actor, media: &Media) -> Result<()> {
        let is_trashed = media.state == State::Trashed;
        match self {
            Self::Trash if is_trashed => Ok(()),
            Self::Trash => Ok(store::trash_media(tx, media.seq)?),
            Self::Untrash => take_back_in(tx, media).map(drop),
            Self::Purge => delete_in(tx, media),
            Self::Favourite(favourite) => match actor.user_id() {
                Some(user) => Ok(store::set_favourite(tx, user, media.seq, *favourite).map(drop)?),
                None => Ok(()),
            },
            Self::Retag { from, to } => {
                let wanted = to.ensure_in(tx)?;
                if let Some(old) = store::tags::find(tx, from)?.filter(|old| *old != wanted) {
                    store::tags::give(tx, media.seq, wanted)?;
                    store::tags::take(tx, media.seq, old)?;
                }
                Ok(store::tags::note(tx, media.seq)?)
            }
            Self::RemoveTag(tag) => {
                if let Some(tag) = store::tags::find(tx, tag)? {
                    store::tags::take(tx, media.seq, tag)?;
                }
                Ok(store::tags::note(tx, media.seq)?)
            }
            _ if is_trashed => Err(Error::InTrash),
            Self::Move(goal) => move_in(tx, actor, media, goal).map(drop),
            Self::Copy(goal) => copy_in(tx, actor, media, goal).map(drop),
            Self::Tag(tags) => tags.add_in(tx, media.seq).map(drop),
            Self::Untag(tags) => tags.remove_in(tx, media.seq).map(drop),
            Self::MoveFolder { from, to } => {
                let Some(rest) = media.folder.strip_prefix(from.as_str()) else { return Ok(()) };
                let goal = Goal { folder: Some(format!("{to}{rest}")), ..Goal::default() };
                move_in(tx, actor, media, &goal).map(drop)
            }
        }
    }
}

/// Which media.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// These.
    Ids(Vec<MediaId>),
    /// All that a search finds.
    Search(Box<Search>),
    /// All that have a tag, by its folded name, and may be changed, in the trash or not.
    Tagged(String),
}

impl Which {
    /// Some of them in the order in which they came, those after a position.
    fn some(
        &self,
        conn: &Connection,
        viewer: Option<UserId>,
        up_to: Option<Seq>,
        after: Option<&Position>,
        rows: usize,
    ) -> Result<Vec<Position>> {
        match self {
            Self::Ids(_) => Ok(Vec::new()),
            Self::Tagged(tag) => {
                let after = after.map_or(0, |position| position.1);
                let buckets = rights::where_in(conn, viewer, Permission::LibraryWrite)?;
                Ok(store::bulk::tagged(conn, &buckets, tag, after, rows)?)
            }
            Self::Search(search) => {
                let filter = Filter { up_to, ..search.filter(viewer)? };
                let (buckets, filter) = narrow(conn, filter)?;
                let sort = Sort { by: SortBy::Created, descending: false };
                Ok(store::list::positions(conn, &buckets, &filter, sort, after, rows)?)
            }
        }
    }
}

/// What has become of a bulk action that was done at once.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = BulkOutcome)]
pub struct Outcome {
    /// Media that are done.
    pub done: u64,
    /// Those that could not be, with the reason; the first hundred of them.
    pub failed: Vec<Failed>,
    /// Whether more failed than are told.
    pub more: bool,
}

/// A media that something could not be done to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failed {
    /// Its id.
    id: MediaId,
    /// Why.
    problem: ProblemBody,
}

/// How a bulk action goes on.
#[derive(Debug)]
pub enum Begun {
    /// It is done.
    Done(Outcome),
    /// A job does it.
    Job(JobId),
}

/// Does something to many media. A search that finds more than [`AT_ONCE_MAX`] becomes a job.
///
/// # Errors
/// What is wrong with the deed or the search: [`Error::NoSuchBucket`], [`Error::BadName`], [`Error::BadTag`],
/// [`Error::NoGoal`], [`Error::BadFilter`]; [`Error::TooManyIds`]; [`Error::Db`].
pub async fn bulk(app: &App, actor: &Actor, deed: Deed, which: Which) -> Result<Begun> {
    let parsed = deed.parse()?;
    let viewer = actor.user_id();
    let door = actor.clone();
    let (ids, which) = match which {
        Which::Ids(mut ids) => {
            if ids.len() > AT_ONCE_MAX {
                return Err(Error::TooManyIds { most: AT_ONCE_MAX });
            }
            let mut seen = std::collections::HashSet::new();
            ids.retain(|id| seen.insert(*id));
            (ids, None)
        }
        which => {
            let asked = which.clone();
            let found = app.db.read(move |conn| {
                if let Parsed::Move(Goal { bucket: Some(bucket), .. })
                | Parsed::Copy(Goal { bucket: Some(bucket), .. }) = &parsed
                {
                    rights::bucket_for(conn, &door, bucket, Permission::LibraryWrite)?;
                }
                let found = asked.some(conn, viewer, None, None, AT_ONCE_MAX + 1)?;
                let few = found.len() <= AT_ONCE_MAX;
                Ok::<_, Error>(if few { Some(store::bulk::ids(conn, &found)?) } else { None })
            });
            match found.await? {
                Some(ids) => (ids, Some(which)),
                None => return begin(app, actor, deed, which).await.map(Begun::Job),
            }
        }
    };
    at_once(app, actor, deed, ids, which).await.map(Begun::Done)
}

/// The media that are named, each once, or that a search finds in the order in which they came; at most `most`.
///
/// # Errors
/// What is wrong with the search; [`Error::Db`].
pub async fn select(app: &App, actor: &Actor, which: Which, most: usize) -> Result<Vec<MediaId>> {
    if let Which::Ids(mut ids) = which {
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(*id));
        ids.truncate(most);
        return Ok(ids);
    }
    let viewer = actor.user_id();
    app.db.read(move |conn| Ok(store::bulk::ids(conn, &which.some(conn, viewer, None, None, most)?)?)).await
}

/// Does it while the caller waits; the entry of the audit comes with the first chunk.
async fn at_once(
    app: &App,
    actor: &Actor,
    deed: Deed,
    ids: Vec<MediaId>,
    which: Option<Which>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let count = ids.len();
    // What is left to do at the end is done even if there was nothing.
    let chunks: Vec<Vec<MediaId>> =
        if ids.is_empty() { vec![ids] } else { ids.chunks(CHUNK).map(<[_]>::to_vec).collect() };
    let last = chunks.len() - 1;
    for (number, chunk) in chunks.into_iter().enumerate() {
        let (actor, deed, which) = (actor.clone(), deed.clone(), which.clone());
        let (done, failed) = app
            .db
            .write(move |tx| {
                if number == 0 && count > 0 {
                    record(tx, &actor, &deed, which.as_ref(), count as u64)?;
                }
                let changed = chunk_in(tx, &actor, &deed, &chunk)?;
                if number == last {
                    deed.conclude_in(tx)?;
                }
                Ok::<_, Error>(changed)
            })
            .await?;
        outcome.done += done;
        outcome.failed.extend(failed);
    }
    outcome.more = outcome.failed.len() > FAILURES_MAX;
    outcome.failed.truncate(FAILURES_MAX);
    Ok(outcome)
}

/// Queues the job, with the entry of the audit.
async fn begin(app: &App, actor: &Actor, deed: Deed, which: Which) -> Result<JobId> {
    let actor = actor.clone();
    let asked = which.clone();
    let viewer = actor.user_id();
    let (up_to, total) = app
        .db
        .read(move |conn| {
            let up_to = store::list::newest(conn)?;
            let found = asked.some(conn, viewer, Some(up_to), None, usize::MAX)?;
            Ok::<_, Error>((up_to, found.len() as u64))
        })
        .await?;
    app.db.write(move |tx| begin_in(tx, &actor, deed, which, up_to, total)).await
}

fn begin_in(tx: &Tx<'_>, actor: &Actor, deed: Deed, which: Which, up_to: Seq, total: u64) -> Result<JobId> {
    record(tx, actor, &deed, Some(&which), total)?;
    let job = Bulk { actor: actor.clone().later(), deed, which, up_to };
    let id = jobs::enqueue(tx, &job, jobs::Options { priority: 1, ..jobs::Options::default() })?;
    store::bulk::insert(tx, id, actor.user_id(), total)?;
    Ok(id)
}

fn record(tx: &Tx<'_>, actor: &Actor, deed: &Deed, which: Option<&Which>, count: u64) -> Result<()> {
    let mut details = serde_json::to_value(deed).unwrap_or_default();
    details["count"] = count.into();
    if let Some(Which::Search(search)) = which {
        let mut search = serde_json::to_value(search).unwrap_or_default();
        if let Some(search) = search.as_object_mut() {
            search.retain(|_, value| !value.is_null());
        }
        details["search"] = search;
    }
    Ok(audit::record(tx, actor, "media.bulk", Target::nothing("media"), &details)?)
}

/// Does it to some, each for itself, as far as the actor may; returns how many are done, and the others.
fn chunk_in(tx: &Tx<'_>, actor: &Actor, deed: &Deed, ids: &[MediaId]) -> Result<(u64, Vec<Failed>)> {
    let needed = deed.permission_there();
    let deed = deed.parse()?;
    let (mut done, mut failed) = (0, Vec::new());
    let mut slugs: Vec<Slug> = Vec::new();
    let mut roles: HashMap<Seq, Option<BucketRole>> = HashMap::new();
    for id in ids {
        let outcome = store::bulk::alone(tx, || {
            let media = get_in(tx, *id)?;
            let role = match roles.get(&media.bucket_seq) {
                Some(role) => *role,
                None => rights::role_in(tx, actor, media.bucket_seq)?,
            };
            roles.insert(media.bucket_seq, role);
            rights::check(role, needed, Error::NoSuchMedia)?;
            deed.apply_in(tx, actor, &media)?;
            Ok::<_, Error>(media.bucket)
        });
        match outcome {
            Ok(slug) => {
                done += 1;
                if !slugs.contains(&slug) {
                    slugs.push(slug);
                }
            }
            Err(error @ Error::Storage(storage::Error::TooLarge { .. })) => {
                failed.push(Failed { id: *id, problem: Problem::from(error).body() });
            }
            Err(error @ (Error::Db(_) | Error::Storage(_) | Error::Task(_))) => return Err(error),
            Err(error) => failed.push(Failed { id: *id, problem: Problem::from(error).body() }),
        }
    }
    if done > 0 {
        if let Parsed::Move(Goal { bucket: Some(bucket), .. })
        | Parsed::Copy(Goal { bucket: Some(bucket), .. }) = &deed
            && !slugs.contains(bucket)
        {
            slugs.push(bucket.clone());
        }
        for slug in &slugs {
            emit_many(tx, slug, done)?;
        }
    }
    Ok((done, failed))
}

/// Goes through a search and does something to each media that it finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bulk {
    actor: Actor,
    deed: Deed,
    which: Which,
    /// The newest media when it began; what comes later, such as its own copies, is none of its business.
    up_to: Seq,
}

impl Bulk {
    /// Does the next chunk; false when nothing is left.
    async fn step(&self, app: &App, running: &Running) -> Result<bool> {
        let (this, job) = (self.clone(), running.id());
        let next = app.db.read(move |conn| {
            let Some(run) = store::bulk::find(conn, job)? else { return Ok(None) };
            let viewer = this.actor.user_id();
            let found = this.which.some(conn, viewer, Some(this.up_to), run.position.as_ref(), CHUNK)?;
            let ids = store::bulk::ids(conn, &found)?;
            Ok::<_, Error>(found.last().map(|last| (run.position, last.clone(), ids)))
        });
        let Some((from, to, ids)) = next.await? else { return Ok(false) };
        let this = self.clone();
        let run = app.db.write(move |tx| {
            let Some(mut run) = store::bulk::find(tx, job)? else { return Ok(None) };
            // Another process may have taken over, and be further on.
            if run.position == from {
                let (done, failed) = chunk_in(tx, &this.actor, &this.deed, &ids)?;
                run.done += done;
                run.failed += failed.len() as u64;
                let room = FAILURES_MAX.saturating_sub(run.failures.len());
                run.failures
                    .extend(failed.iter().take(room).filter_map(|failed| serde_json::to_value(failed).ok()));
                run.position = Some(to);
                store::bulk::update(tx, job, &run)?;
            }
            Ok::<_, Error>(Some(run))
        });
        let Some(run) = run.await? else { return Ok(false) };
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        running.progress((run.done + run.failed) as f32 / run.total.max(1) as f32, "");
        Ok(true)
    }
}

impl Job for Bulk {
    const KIND: &'static str = "library.bulk";
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        loop {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            if !self.step(app, running).await.map_err(Failure::retry)? {
                return Ok(());
            }
        }
    }

    fn finish(&self, tx: &Tx<'_>, _: JobId, ending: Ending<()>) -> db::Result<()> {
        if !matches!(ending, Ending::Succeeded(())) {
            return Ok(());
        }
        match self.deed.conclude_in(tx) {
            Err(Error::Db(error)) => Err(error),
            // The bucket may be gone.
            _ => Ok(()),
        }
    }
}

/// How far a bulk action has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BulkRun)]
pub struct Run {
    /// The job that does it.
    pub job_id: JobId,
    /// Where the job stands; null when it has been forgotten.
    pub state: Option<JobState>,
    /// Media that it was asked for when it began.
    pub total: u64,
    /// Media that are done.
    pub done: u64,
    /// Media that could not be.
    pub failed_count: u64,
    /// The first hundred of them, with the reasons.
    #[schema(value_type = Vec<Failed>)]
    pub failed: Vec<serde_json::Value>,
}

/// Tells how far a bulk action has come, to whoever began it and to those who manage jobs.
///
/// # Errors
/// [`Error::NoSuchRun`], [`Error::Db`].
pub async fn get_run(app: &App, job: JobId, user: UserId, manages_jobs: bool) -> Result<Run> {
    app.db.read(move |conn| run_in(conn, job, user, manages_jobs)).await
}

fn run_in(conn: &Connection, job: JobId, user: UserId, manages_jobs: bool) -> Result<Run> {
    let run = store::bulk::find(conn, job)?.ok_or(Error::NoSuchRun)?;
    if run.user != Some(user) && !manages_jobs {
        return Err(Error::NoSuchRun);
    }
    Ok(Run {
        job_id: job,
        state: jobs::find(conn, job)?.map(|job| job.state),
        total: run.total,
        done: run.done,
        failed_count: run.failed,
        failed: run.failures,
    })
}

/// Asks for a bulk action to stop; what is done stays done.
///
/// # Errors
/// As [`get_run`].
pub async fn cancel_run(
    app: &App,
    actor: &Actor,
    job: JobId,
    user: UserId,
    manages_jobs: bool,
) -> Result<Run> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            run_in(tx, job, user, manages_jobs)?;
            if jobs::cancel(tx, job)? {
                let target = Target::new("job", job).named(Bulk::KIND);
                audit::record(tx, &actor, "job.cancel", target, &serde_json::Value::Null)?;
            }
            run_in(tx, job, user, manages_jobs)
        })
        .await
}

/// Renames a folder or moves it below another, with all that lies in it, the trash included. Nothing is done by halves: a
/// large folder is moved by a job, which keeps what lies in the trash where it was.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Forbidden`], [`Error::NoSuchFolder`], [`Error::BadName`], [`Error::FolderTaken`],
/// [`Error::FolderInItself`], [`Error::Db`].
pub async fn move_folder(app: &App, actor: &Actor, slug: &Slug, from: &str, to: &str) -> Result<Begun> {
    let (from, to) = (names::folder(from)?, names::folder(to)?);
    let (actor, slug) = (actor.clone(), slug.clone());
    app.db
        .write(move |tx| {
            let bucket = rights::bucket_for(tx, &actor, &slug, Permission::LibraryWrite)?;
            store::buckets::find_folder(tx, bucket.seq, &from)?.ok_or(Error::NoSuchFolder)?;
            if from == to {
                return Ok(Begun::Done(Outcome::default()));
            }
            if to.is_empty() || to.starts_with(&format!("{from}/")) {
                return Err(Error::FolderInItself);
            }
            if store::buckets::find_folder(tx, bucket.seq, &to)?.is_some() {
                return Err(Error::FolderTaken { path: to });
            }
            let (count, longest) = store::bulk::measure_folder(tx, bucket.seq, &from)?;
            let longest = (longest + to.len() as u64).saturating_sub(from.len() as u64);
            if longest > names::KEY_BYTES_MAX as u64 {
                let why = "Folder and name together would be longer than 1,024 bytes for something in it.";
                return Err(Error::BadName { name: to, why });
            }
            let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
            store::buckets::ensure_folder(tx, bucket.seq, parent)?;
            store::bulk::copy_folders(tx, bucket.seq, &from, &to)?;
            if count > FOLDER_AT_ONCE_MAX {
                let deed = Deed::MoveFolder { bucket: slug.to_string(), from: from.clone(), to };
                return begin_folder_in(tx, &actor, deed, &slug, from, count);
            }
            let moved = store::bulk::move_folder(tx, bucket.seq, &from, &to)? as u64;
            store::bulk::drop_folders(tx, bucket.seq, &from)?;
            let target = Target::new("folder", format_args!("{slug}/{to}")).named(&to);
            let details = serde_json::json!({ "from": from, "count": moved });
            audit::record(tx, &actor, "folder.move", target, &details)?;
            emit_many(tx, &slug, moved)?;
            Ok(Begun::Done(Outcome { done: moved, ..Outcome::default() }))
        })
        .await
}

/// Moves all that lies in a folder to the trash, and removes the folder.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Forbidden`], [`Error::NoSuchFolder`], [`Error::BadName`], [`Error::Db`].
pub async fn remove_folder(app: &App, actor: &Actor, slug: &Slug, path: &str) -> Result<Begun> {
    let path = names::folder(path)?;
    let (actor, slug) = (actor.clone(), slug.clone());
    app.db
        .write(move |tx| {
            let bucket = rights::bucket_for(tx, &actor, &slug, Permission::LibraryDelete)?;
            store::buckets::find_folder(tx, bucket.seq, &path)?.ok_or(Error::NoSuchFolder)?;
            let (count, _) = store::bulk::measure_folder(tx, bucket.seq, &path)?;
            if count > FOLDER_AT_ONCE_MAX {
                let deed = Deed::TrashFolder { bucket: slug.to_string(), path: path.clone() };
                return begin_folder_in(tx, &actor, deed, &slug, path, count);
            }
            let trashed = store::bulk::trash_folder(tx, bucket.seq, &path)? as u64;
            store::bulk::drop_folders(tx, bucket.seq, &path)?;
            let target = Target::new("folder", format_args!("{slug}/{path}")).named(&path);
            let details = serde_json::json!({ "count": trashed });
            audit::record(tx, &actor, "folder.remove", target, &details)?;
            emit_many(tx, &slug, trashed)?;
            Ok(Begun::Done(Outcome { done: trashed, ..Outcome::default() }))
        })
        .await
}

fn begin_folder_in(
    tx: &Tx<'_>,
    actor: &Actor,
    deed: Deed,
    slug: &Slug,
    folder: String,
    total: u64,
) -> Result<Begun> {
    let search = Search {
        bucket: Some(slug.to_string()),
        folder: Some(folder),
        recursive: Some(true),
        ..Search::default()
    };
    let up_to = store::list::newest(tx)?;
    begin_in(tx, actor, deed, Which::Search(Box::new(search)), up_to, total).map(Begun::Job)
}

/// Gives a tag another name on all media that the actor may change; if another tag has it, the two become one there, or it
/// is refused. Where only its letters become other ones, no media may be left over: a tag is spelled alike everywhere.
///
/// # Errors
/// [`Error::NoSuchTag`] also where nothing that the actor may change has it; [`Error::TagShared`], [`Error::TagTaken`],
/// [`Error::BadTag`], [`Error::Db`].
pub async fn rename_tag(app: &App, actor: &Actor, from: &str, to: &str, merge: bool) -> Result<Begun> {
    let (from, to) = (TagName::parse(from)?, TagName::parse(to)?);
    let (old, name, caller) = (from.clone(), to.clone(), actor.clone());
    app.db
        .write(move |tx| {
            let tag = store::tags::find(tx, old.folded())?.ok_or(Error::NoSuchTag)?;
            let buckets = rights::where_in(tx, &caller, Permission::LibraryWrite)?;
            let (here, elsewhere) = store::tags::is_used(tx, tag, &buckets)?;
            if !here && (elsewhere || !rights::manages_all_in(tx, &caller)?) {
                return Err(Error::NoSuchTag);
            }
            // The same word in other letters: the media follow.
            if old.folded() == name.folded() {
                return if elsewhere { Err(Error::TagShared) } else { name.give_to(tx, tag) };
            }
            if !merge && store::tags::find(tx, name.folded())?.is_some() {
                return Err(Error::TagTaken { name: name.name().to_owned() });
            }
            Ok(())
        })
        .await?;
    let deed = Deed::Retag { from: from.folded().to_owned(), to: to.name().to_owned() };
    bulk(app, actor, deed, Which::Tagged(from.folded().to_owned())).await
}

/// Takes a tag from all that has it, in the trash or not, and forgets it.
///
/// # Errors
/// [`Error::NoSuchTag`], [`Error::BadTag`], [`Error::Db`].
pub async fn remove_tag(app: &App, actor: &Actor, name: &str) -> Result<Begun> {
    let tag = TagName::parse(name)?.folded().to_owned();
    let wanted = tag.clone();
    app.db.read(move |conn| store::tags::find(conn, &wanted)?.map(drop).ok_or(Error::NoSuchTag)).await?;
    bulk(app, actor, Deed::RemoveTag { tag: tag.clone() }, Which::Tagged(tag)).await
}
