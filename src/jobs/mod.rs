//! Durable work: a row written in the caller's transaction, run later, at least once. Knows no feature.
//!
//! A job is claimed with a lease that its process renews; a process that dies loses it and another takes over. The
//! result of a job and its end are one transaction ([`Job::finish`]), so that a job which ran twice has had one
//! effect. Failures are retried with growing pauses until the attempts are used up; what is left then waits for a
//! person.

mod model;
mod runner;
mod store;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::clock::Timestamp;
use crate::db::{self, Tx};

pub use model::{Backlog, Counts, Failing, Health, JobId, JobRow, JobState};
pub use runner::{Runner, STOP_GRACE};

/// A kind of work. The value itself is stored as JSON, so old rows must stay readable.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name under which rows of this kind are stored; never changes.
    const KIND: &'static str;
    /// How many of this kind one process runs at once.
    const CONCURRENCY: usize = 2;
    /// How often it is tried, the first time included.
    const MAX_ATTEMPTS: u32 = 5;
    /// What it needs to run.
    type Context: Clone + Send + Sync + 'static;
    /// What it has made, for [`Job::finish`].
    type Output: Send + 'static;

    /// Does the work. It may run more than once: whatever it does outside the database must be repeatable.
    fn run(
        &self,
        context: &Self::Context,
        running: &Running,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// Writes what has become of it, in the transaction that ends the job.
    ///
    /// # Errors
    /// When a row can't be written; the attempt then counts as failed.
    fn finish(&self, tx: &Tx<'_>, id: JobId, ending: Ending<Self::Output>) -> db::Result<()> {
        let _ = (tx, id, ending);
        Ok(())
    }

    /// Writes how far it has come; called at most twice a second while the progress changes.
    ///
    /// # Errors
    /// When a row can't be written.
    fn progressed(&self, tx: &Tx<'_>, id: JobId, progress: f32, note: &str) -> db::Result<()> {
        let _ = (tx, id, progress, note);
        Ok(())
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Ending<T> {
    /// It is done.
    Succeeded(T),
    /// It will be tried again; the sentence says what went wrong.
    Retrying(String),
    /// It will not be tried again; the sentence says what went wrong.
    Failed(String),
    /// Somebody asked for it to stop.
    Cancelled,
    /// The process stops or has died; the job is queued as if it had not been claimed.
    Returned,
}

/// Why an attempt did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Trying again may help.
    Retry(Box<dyn std::error::Error + Send + Sync>),
    /// Trying again can't help.
    Permanent(Box<dyn std::error::Error + Send + Sync>),
    /// It has noticed [`Running::cancelled`].
    Interrupted,
}

impl Failure {
    /// A failure that trying again can't mend.
    pub fn permanent(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Permanent(error.into())
    }

    /// A failure that may pass.
    pub fn retry(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Retry(error.into())
    }
}

/// How a job is put into the queue.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Higher runs first; 0 for what a person does not wait for.
    pub priority: i32,
    /// When it may run at the earliest; at once where it is not said.
    pub run_at: Option<crate::clock::Timestamp>,
    /// If a job of this kind with this key is already waiting, it stands for this one.
    pub unique_key: Option<String>,
}

/// A claimed job's line to the runner. Cheap to clone; may be used from any thread.
#[derive(Debug, Clone)]
pub struct Running(Arc<Line>);

#[derive(Debug)]
struct Line {
    id: JobId,
    attempt: u32,
    cancelled: CancellationToken,
    /// Progress in millionths.
    progress: AtomicU32,
    note: std::sync::Mutex<String>,
}

impl Running {
    fn new(id: JobId, attempt: u32) -> Self {
        let line = Line {
            id,
            attempt,
            cancelled: CancellationToken::new(),
            progress: AtomicU32::new(0),
            note: std::sync::Mutex::new(String::new()),
        };
        Self(Arc::new(line))
    }

    /// Which job this is.
    pub fn id(&self) -> JobId {
        self.0.id
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Fires when the job was cancelled or the process stops: return [`Failure::Interrupted`] soon.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.0.cancelled
    }

    /// Says how far the job has come, 0 to 1, and what it is doing; cheap, call it as often as you like.
    pub fn progress(&self, fraction: f32, note: &str) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..=1,000,000"
        )]
        let millionths = (fraction.clamp(0.0, 1.0) * 1_000_000.0) as u32;
        self.0.progress.store(millionths, Ordering::Relaxed);
        let mut current = self.0.note.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *current != note {
            note.clone_into(&mut current);
        }
    }

    fn reading(&self) -> (u32, String) {
        let note = self.0.note.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        (self.0.progress.load(Ordering::Relaxed), note)
    }
}

/// Puts a job into the queue, in the transaction that makes it due.
///
/// # Errors
/// When the row can't be written.
pub fn enqueue<J: Job>(tx: &Tx<'_>, job: &J, options: Options) -> db::Result<JobId> {
    let payload = serde_json::to_string(job).expect("jobs are plain data");
    store::enqueue(tx, J::KIND, &payload, J::MAX_ATTEMPTS, &options)
}

/// Asks for a job to stop: a waiting one will not start, a running one is told. False when it has ended already.
///
/// # Errors
/// When the row can't be written.
pub fn cancel(tx: &Tx<'_>, id: JobId) -> db::Result<bool> {
    store::request_cancel(tx, id)
}

/// Whether somebody has asked for a job to stop: a running one can tell that from the end of its process.
///
/// # Errors
/// When the row can't be read.
pub fn is_cancelling(conn: &Connection, id: JobId) -> db::Result<bool> {
    store::is_cancelled(conn, id)
}

/// Queues a failed or cancelled job again with all its attempts. False when it is neither.
///
/// # Errors
/// When the row can't be written.
pub fn retry(tx: &Tx<'_>, id: JobId) -> db::Result<bool> {
    store::retry(tx, id)
}

/// Looks a job up.
///
/// # Errors
/// When the row can't be read.
pub fn find(conn: &Connection, id: JobId) -> db::Result<Option<JobRow>> {
    store::find(conn, id)
}

/// Jobs, newest first, at most `limit`, those older than `before`.
///
/// # Errors
/// When the rows can't be read.
pub fn list(
    conn: &Connection,
    state: Option<JobState>,
    before: Option<JobId>,
    limit: usize,
) -> db::Result<Vec<JobRow>> {
    store::list(conn, state, before, limit)
}

/// How many jobs wait, run and have failed.
///
/// # Errors
/// When the rows can't be read.
pub fn counts(conn: &Connection) -> db::Result<Counts> {
    store::counts(conn)
}

/// How the queue is doing: what waits although it is due, what nobody runs, what was given up since a moment.
///
/// # Errors
/// When the rows can't be read.
pub fn health(conn: &Connection, now: Timestamp, failed_since: Timestamp) -> db::Result<Health> {
    store::health(conn, now, failed_since)
}

/// How the queue stands, by kind.
///
/// # Errors
/// When the rows can't be read.
pub fn backlog(conn: &Connection) -> db::Result<Vec<Backlog>> {
    store::backlog(conn)
}

/// Removes ended jobs, at most `limit` of each state: succeeded and cancelled ones after a week, failed ones after 90
/// days. Returns how many.
///
/// # Errors
/// When the rows can't be removed.
pub fn prune(tx: &Tx<'_>, limit: usize) -> db::Result<usize> {
    store::prune(tx, limit)
}
