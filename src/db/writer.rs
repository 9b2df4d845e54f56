//! The thread that owns the write connection: group commit, checkpoints, the commit signal.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Error, GROUP_MAX, Role};
use crate::clock::Clock;
use crate::metrics::DATABASE;

/// Requests that may wait; more callers wait for a place.
const QUEUE: usize = 1024;

/// The log is checkpointed when it has grown by so many pages of 4 KiB since the last time.
const CHECKPOINT_FRAMES: i32 = 1024;

/// The log is checkpointed and truncated when nothing was written for this long.
const IDLE: Duration = Duration::from_secs(60);

/// The log should never have so many pages (256 MiB); somebody holds a read transaction open.
const ALARM_FRAMES: i32 = 65_536;

thread_local! {
    /// Pages in the log after the last commit of this thread. SQLite's hook takes a plain function, and the thread
    /// that commits is the only one that asks. The file's length does not tell: it stays when the log begins anew.
    static LOG_FRAMES: Cell<i32> = const { Cell::new(0) };
}

/// How often a transaction is begun anew while another process holds the lock, each time for the busy timeout.
const BEGIN_ATTEMPTS: u32 = 12;

/// One caller's closure, its outcome, and the way back to the caller.
trait Operation: Send {
    /// Runs the closure; true when its savepoint is to be kept.
    fn run(&mut self, conn: &Connection) -> bool;
    /// Tells the caller, once the outcome of the commit is known.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

struct Write<T, E, F> {
    f: Option<F>,
    out: Option<Result<T, E>>,
    /// Where it was asked for: what is logged while it runs belongs there.
    span: tracing::Span,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Operation for Write<T, E, F>
where
    T: Send,
    E: From<Error> + Send,
    F: FnOnce(&Connection) -> Result<T, E> + Send,
{
    fn run(&mut self, conn: &Connection) -> bool {
        let Some(f) = self.f.take() else { return false };
        let _inside = self.span.enter();
        let out = catch_unwind(AssertUnwindSafe(|| f(conn)))
            .unwrap_or_else(|panic| Err(Error::Panicked(panic_text(&*panic)).into()));
        self.out.insert(out).is_ok()
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let out = match (self.out, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(e)) => Err(e.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Closed.into()),
        };
        // The caller may have gone; what was committed stays committed.
        let _ = self.caller.send(out);
    }
}

enum Request {
    Write(Box<dyn Operation>),
    NoticeForeignCommits(oneshot::Sender<()>),
    Idle,
    Close,
}

pub(super) struct Writer {
    requests: mpsc::Sender<Request>,
    commits: watch::Sender<u64>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(conn: Connection, role: Role, clock: Clock) -> Self {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let commits = watch::Sender::new(0);
        let thread =
            Thread { conn, role, commits: commits.clone(), data_version: 0, checkpointed_frames: 0, clock };
        let handle = std::thread::Builder::new()
            .name("db-writer".into())
            .spawn(move || thread.run(inbox))
            .expect("the operating system starts a thread");
        if role == Role::Server
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(truncate_when_idle(commits.subscribe(), requests.downgrade()));
        }
        Self { requests, commits, thread: Mutex::new(Some(handle)) }
    }

    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    pub(super) async fn run<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (caller, receiver) = oneshot::channel();
        let operation = Box::new(Write { f: Some(f), out: None, span: tracing::Span::current(), caller });
        DATABASE.writes.inc();
        // Also when the caller gives up waiting.
        let _waiting = DATABASE.writes_waiting.enter();
        if self.requests.send(Request::Write(operation)).await.is_err() {
            return Err(Error::Closed.into());
        }
        receiver.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    /// Whether there was an answer.
    pub(super) async fn notice_foreign_commits(&self) -> bool {
        let (sender, receiver) = oneshot::channel();
        self.requests.send(Request::NoticeForeignCommits(sender)).await.is_ok() && receiver.await.is_ok()
    }

    pub(super) fn close(&self) {
        let handle = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            // A full queue drains by itself: the thread answers until it reaches this request.
            let mut request = Request::Close;
            while let Err(mpsc::error::TrySendError::Full(back)) = self.requests.try_send(request) {
                request = back;
                std::thread::yield_now();
            }
            let _ = handle.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

struct Thread {
    conn: Connection,
    role: Role,
    commits: watch::Sender<u64>,
    data_version: i64,
    /// Pages that were in the log at the last checkpoint.
    checkpointed_frames: i32,
    clock: Clock,
}

impl Thread {
    fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        self.conn.wal_hook(Some(|_, frames| {
            LOG_FRAMES.set(frames);
            Ok(())
        }));
        self.foreign_commit();
        while let Some(first) = inbox.blocking_recv() {
            let mut group: VecDeque<Box<dyn Operation>> = VecDeque::new();
            let mut others = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next.take() {
                match request {
                    Request::Write(operation) => group.push_back(operation),
                    other => others.push(other),
                }
                if group.len() < GROUP_MAX && others.is_empty() {
                    next = inbox.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.commit_group(group);
            }
            for other in others {
                match other {
                    Request::Write(_) => {}
                    Request::NoticeForeignCommits(done) => {
                        if self.foreign_commit() {
                            self.commits.send_modify(|n| *n += 1);
                        }
                        let _ = done.send(());
                    }
                    Request::Idle => self.checkpoint("TRUNCATE"),
                    Request::Close => {
                        if self.role == Role::Server {
                            self.checkpoint("TRUNCATE");
                        }
                        return;
                    }
                }
            }
        }
    }

    fn commit_group(&mut self, mut waiting: VecDeque<Box<dyn Operation>>) {
        // More than one round only when SQLite gave up a whole transaction in the middle of a group.
        while !waiting.is_empty() {
            let started = self.clock.now();
            let begun = Instant::now();
            let mut done = Vec::with_capacity(waiting.len());
            let changes = self.conn.total_changes();
            let result = self.transaction(&mut waiting, &mut done);
            DATABASE.commits.observe(begun.elapsed());
            // Whoever waits for a commit looks for news: where nothing changed there is none.
            if result.is_ok() && self.conn.total_changes() != changes {
                self.commits.send_modify(|n| *n += 1);
            }
            let took = self.clock.now().since(started);
            if took > Duration::from_secs(2) {
                tracing::warn!(group = done.len(), duration_ms = took.as_millis(), "a commit took long");
            }
            for operation in done {
                operation.answer(result.clone());
            }
        }
        let frames = LOG_FRAMES.get();
        if frames < self.checkpointed_frames {
            self.checkpointed_frames = 0;
        }
        if self.role == Role::Server && frames - self.checkpointed_frames >= CHECKPOINT_FRAMES {
            self.checkpoint("PASSIVE");
            self.checkpointed_frames = frames;
            if frames > ALARM_FRAMES {
                tracing::error!(frames, "the database log does not shrink: a reader holds it");
            }
        }
    }

    /// Moves what it has run, or could not run, from `waiting` to `done`: at least one of them.
    fn transaction(
        &mut self,
        waiting: &mut VecDeque<Box<dyn Operation>>,
        done: &mut Vec<Box<dyn Operation>>,
    ) -> Result<(), Error> {
        if let Err(e) = self.begin() {
            done.extend(waiting.drain(..));
            return Err(self.give_up(e));
        }
        while let Some(mut operation) = waiting.pop_front() {
            let ran = self.conn.execute_batch("SAVEPOINT request").map(|()| operation.run(&self.conn));
            done.push(operation);
            if self.conn.is_autocommit() {
                // SQLite has rolled everything back by itself: the disk is full or broken.
                return Err(self.give_up(rolled_back()));
            }
            let end = match ran {
                Ok(true) => "RELEASE request",
                Ok(false) => "ROLLBACK TO request; RELEASE request",
                Err(e) => return Err(self.give_up(e)),
            };
            if let Err(e) = self.conn.execute_batch(end) {
                return Err(self.give_up(e));
            }
        }
        self.conn.execute_batch("COMMIT").map_err(|e| self.give_up(e))
    }

    fn begin(&self) -> rusqlite::Result<()> {
        let mut attempt = 1;
        loop {
            match self.conn.execute_batch("BEGIN IMMEDIATE") {
                Err(e)
                    if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempt < BEGIN_ATTEMPTS =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    fn give_up(&self, error: rusqlite::Error) -> Error {
        if !self.conn.is_autocommit()
            && let Err(e) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %e, "a failed transaction could not be rolled back");
        }
        Error::Commit(Arc::new(error))
    }

    /// Whether another process has committed since the last question.
    fn foreign_commit(&mut self) -> bool {
        let version: i64 =
            self.conn.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap_or(self.data_version);
        std::mem::replace(&mut self.data_version, version) != version
    }

    fn checkpoint(&self, mode: &str) {
        // A checkpoint that a reader holds up is no failure: the next one gets further.
        let out =
            self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(0));
        match out {
            Ok(_) => {}
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseLocked) => {}
            Err(e) => tracing::error!(error = %e, "the database log could not be checkpointed"),
        }
    }
}

/// The error of a transaction that SQLite ended by itself, which it does when it can't write.
fn rolled_back() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    rusqlite::Error::SqliteFailure(code, Some("the transaction was rolled back".into()))
}

/// Sends an idle request once when [`IDLE`] has passed after a commit without another; ends with the database.
async fn truncate_when_idle(mut commits: watch::Receiver<u64>, requests: mpsc::WeakSender<Request>) {
    while commits.changed().await.is_ok() {
        loop {
            match tokio::time::timeout(IDLE, commits.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        let Some(requests) = requests.upgrade() else { return };
        if requests.send(Request::Idle).await.is_err() {
            return;
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".into())
}
