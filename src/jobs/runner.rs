//! Claims jobs, runs them, and writes what has become of them.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::model::{JobId, JobRow, JobState};
use super::store::{self, Claimed};
use super::{Ending, Failure, Job, Options, Running};
use crate::clock::{Clock, Timestamp};
use crate::db::{self, Db, Tx};
use crate::metrics;

/// How long a process may be silent before another takes its jobs.
const LEASE: Duration = Duration::from_secs(60);

/// How often leases are renewed.
const RENEW: Duration = Duration::from_secs(20);

/// How often is looked whether another process has committed, or something is due.
const BEAT: Duration = Duration::from_secs(1);

/// How long jobs have to stop when the process does; what still runs then is handed back anyway.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// The pause after the first failure; each further one is four times as long.
const BACK_OFF: Duration = Duration::from_secs(5);

const BACK_OFF_MAX: Duration = Duration::from_secs(60 * 60);

/// The name under which the one server holds leases; the next server knows that they are dead.
const SERVER: &str = "server:";

/// Told of each change of a job, in its transaction.
type Observer = Arc<dyn Fn(&Tx<'_>, &JobRow) -> db::Result<()> + Send + Sync>;

type Write = Box<dyn FnOnce(&Tx<'_>) -> db::Result<()> + Send>;

/// Writes a recurring job into the queue.
type Enqueue = Arc<dyn Fn(&Tx<'_>, Options) -> db::Result<JobId> + Send + Sync>;

type Attempt = Pin<Box<dyn Future<Output = Result<Write, Failure>> + Send>>;

/// A kind of job without its type.
trait Handler<C>: Send + Sync {
    fn concurrency(&self) -> usize;
    fn run(&self, context: C, payload: Arc<str>, running: Running) -> Attempt;
    fn finish(&self, tx: &Tx<'_>, payload: &str, id: JobId, ending: Ending<()>) -> db::Result<()>;
    fn progressed(&self, tx: &Tx<'_>, payload: &str, id: JobId, progress: f32, note: &str) -> db::Result<()>;
}

struct Kind<J>(std::marker::PhantomData<fn() -> J>);

impl<J: Job> Handler<J::Context> for Kind<J> {
    fn concurrency(&self) -> usize {
        J::CONCURRENCY
    }

    fn run(&self, context: J::Context, payload: Arc<str>, running: Running) -> Attempt {
        Box::pin(async move {
            let job: J = serde_json::from_str(&payload).map_err(Failure::permanent)?;
            let output = job.run(&context, &running).await?;
            let id = running.id();
            Ok(Box::new(move |tx: &Tx<'_>| job.finish(tx, id, Ending::Succeeded(output))) as Write)
        })
    }

    fn finish(&self, tx: &Tx<'_>, payload: &str, id: JobId, ending: Ending<()>) -> db::Result<()> {
        // A payload that can't be read has nobody to tell.
        let Ok(job) = serde_json::from_str::<J>(payload) else { return Ok(()) };
        let ending = match ending {
            Ending::Succeeded(()) => return Ok(()),
            Ending::Retrying(why) => Ending::Retrying(why),
            Ending::Failed(why) => Ending::Failed(why),
            Ending::Cancelled => Ending::Cancelled,
            Ending::Returned => Ending::Returned,
        };
        job.finish(tx, id, ending)
    }

    fn progressed(&self, tx: &Tx<'_>, payload: &str, id: JobId, progress: f32, note: &str) -> db::Result<()> {
        let Ok(job) = serde_json::from_str::<J>(payload) else { return Ok(()) };
        job.progressed(tx, id, progress, note)
    }
}

struct Recurring {
    kind: &'static str,
    every: Duration,
    enqueue: Enqueue,
}

/// Runs the jobs of the kinds it was given.
pub struct Runner<C> {
    context: C,
    shared: Shared<C>,
    workers: usize,
    schedule: Vec<Recurring>,
}

/// What the tasks of single jobs need.
struct Shared<C> {
    db: Db,
    clock: Clock,
    owner: Arc<str>,
    handlers: Arc<HashMap<&'static str, Arc<dyn Handler<C>>>>,
    observer: Option<Observer>,
    /// Attempts that take longer are logged.
    slow: Option<Duration>,
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Self {
        Self {
            db: self.db.clone(),
            clock: self.clock.clone(),
            owner: Arc::clone(&self.owner),
            handlers: Arc::clone(&self.handlers),
            observer: self.observer.clone(),
            slow: self.slow,
        }
    }
}

/// A job that runs in this process.
struct Active {
    kind: String,
    payload: Arc<str>,
    running: Running,
    /// The progress that was written last, in millionths.
    told: u32,
    task: tokio::task::Id,
}

impl<C: Clone + Send + Sync + 'static> Runner<C> {
    /// Makes a runner for the one server of a data directory, with so many jobs at once in all.
    pub fn server(context: C, db: Db, clock: Clock, workers: usize) -> Self {
        Self::new(context, db, clock, workers, SERVER)
    }

    /// Makes a runner for a further process on the same data directory.
    pub fn worker(context: C, db: Db, clock: Clock, workers: usize) -> Self {
        Self::new(context, db, clock, workers, "worker:")
    }

    fn new(context: C, db: Db, clock: Clock, workers: usize, prefix: &str) -> Self {
        let owner = format!("{prefix}{}", crate::id::fresh()).into();
        let shared = Shared { db, clock, owner, handlers: Arc::default(), observer: None, slow: None };
        Self { context, shared, workers: workers.max(1), schedule: Vec::new() }
    }

    /// Adds a kind of job.
    #[must_use]
    pub fn register<J: Job<Context = C>>(mut self) -> Self {
        let handlers =
            Arc::get_mut(&mut self.shared.handlers).expect("kinds are registered before the start");
        handlers.insert(J::KIND, Arc::new(Kind::<J>(std::marker::PhantomData)));
        self
    }

    /// Adds a kind of job that the server also puts into the queue by itself, for the first time when one interval
    /// has passed.
    #[must_use]
    pub fn every<J: Job<Context = C> + Clone>(mut self, every: Duration, job: J) -> Self {
        let enqueue: Enqueue = Arc::new(move |tx, options| super::enqueue(tx, &job, options));
        self.schedule.push(Recurring { kind: J::KIND, every, enqueue });
        self.register::<J>()
    }

    /// Calls `observer` with each change of a job, in its transaction.
    #[must_use]
    pub fn observe(
        mut self,
        observer: impl Fn(&Tx<'_>, &JobRow) -> db::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.shared.observer = Some(Arc::new(observer));
        self
    }

    /// Logs attempts that take longer than this; none where it is zero.
    #[must_use]
    pub fn log_slower_than(mut self, limit: Duration) -> Self {
        self.shared.slow = Some(limit).filter(|limit| !limit.is_zero());
        self
    }

    /// Runs jobs until `stopping` fires, then hands back what does not stop within [`STOP_GRACE`].
    pub async fn run(self, stopping: CancellationToken) {
        if self.is_server() {
            log_failure("recover jobs", self.recover(Some(SERVER.to_owned())).await);
            log_failure("read the schedule", self.enqueue_scheduled().await);
        }
        let mut commits = self.shared.db.commits();
        let pulse = Pulse::start(self.shared.db.clone(), self.shared.clock.clone());
        let mut report = tokio::time::interval(Duration::from_millis(500));
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut active: HashMap<JobId, Active> = HashMap::new();
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut renewed = self.shared.clock.now();
        let mut scheduled = self.is_server().then_some(renewed);
        loop {
            // A commit from here on wakes the loop again; what came before is looked at now.
            commits.mark_unchanged();
            if !active.is_empty() {
                log_failure("look for cancelled jobs", self.tell_cancelled(&active).await);
            }
            let due = match self.claim(&active).await {
                Ok((claimed, due)) => {
                    for job in claimed {
                        let entry = self.start(&mut tasks, job);
                        active.insert(entry.running.id(), entry);
                    }
                    due
                }
                Err(e) => {
                    tracing::error!(error = %e, "jobs could not be claimed");
                    Some(self.shared.clock.now())
                }
            };
            pulse.wake_at([due, scheduled, Some(renewed + RENEW)].into_iter().flatten().min());
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(ended) = tasks.join_next_with_id() => {
                    // A task that panicked leaves its job to the lease.
                    let task = match &ended {
                        Ok((task, ())) => *task,
                        Err(e) => e.id(),
                    };
                    active.retain(|_, entry| entry.task != task);
                }
                _ = report.tick(), if !active.is_empty() => {
                    log_failure("write progress", self.report(&mut active).await);
                }
                () = pulse.due() => {
                    let now = self.shared.clock.now();
                    if now.since(renewed) >= RENEW {
                        renewed = now;
                        if !active.is_empty() { log_failure("renew leases", self.renew(&active).await); }
                        log_failure("take over jobs", self.take_over().await);
                    }
                    if self.is_server() {
                        match self.enqueue_scheduled_if_due().await {
                            Ok(next) => scheduled = next,
                            Err(e) => log_failure("queue recurring jobs", Err(e)),
                        }
                    }
                }
                // Last, because under load there is always one.
                changed = commits.changed() => {
                    if changed.is_err() { break; }
                }
            }
        }
        for entry in active.values() {
            entry.running.cancelled().cancel();
        }
        let drained = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, drained).await.is_err() {
            tasks.shutdown().await;
        }
        log_failure("hand jobs back", self.recover(Some(self.shared.owner.to_string())).await);
    }

    /// Runs everything that is due, one after the other, until nothing is; returns how many attempts that took.
    ///
    /// # Errors
    /// When a row can't be read or written.
    pub async fn run_pending(&self) -> db::Result<usize> {
        let mut count = 0;
        loop {
            let mut tasks = JoinSet::new();
            let (claimed, _) = self.claim(&HashMap::new()).await?;
            if claimed.is_empty() {
                return Ok(count);
            }
            for job in claimed {
                count += 1;
                self.start(&mut tasks, job);
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    fn is_server(&self) -> bool {
        self.shared.owner.starts_with(SERVER)
    }

    /// Claims what is due and has room, and tells when the next of those kinds will be.
    async fn claim(&self, active: &HashMap<JobId, Active>) -> db::Result<(Vec<Claimed>, Option<Timestamp>)> {
        let free = self.workers.saturating_sub(active.len());
        let room: Vec<(&'static str, usize)> = self
            .shared
            .handlers
            .iter()
            .map(|(kind, handler)| {
                let used = active.values().filter(|entry| entry.kind == *kind).count();
                (*kind, handler.concurrency().saturating_sub(used))
            })
            .filter(|(_, left)| *left > 0)
            .collect();
        if free == 0 || room.is_empty() {
            return Ok((Vec::new(), None));
        }
        let now = self.shared.clock.now();
        let kinds: Vec<&'static str> = room.iter().map(|(kind, _)| *kind).collect();
        let due: Option<Timestamp> = self.shared.db.read(move |conn| store::next_due(conn, &kinds)).await?;
        if due.is_none_or(|due| due > now) {
            return Ok((Vec::new(), due));
        }
        let owner = Arc::clone(&self.shared.owner);
        let observer = self.shared.observer.clone();
        // The claim is a commit, after which the loop comes here again and learns what is due next.
        let claimed: db::Result<Vec<Claimed>> = self
            .shared
            .db
            .write(move |tx| {
                let claimed = store::claim(tx, &owner, LEASE, &room, free)?;
                for job in &claimed {
                    observe(tx, observer.as_ref(), job.id)?;
                }
                Ok(claimed)
            })
            .await;
        Ok((claimed?, Some(now)))
    }

    fn start(&self, tasks: &mut JoinSet<()>, job: Claimed) -> Active {
        let running = Running::new(job.id, job.attempt);
        let payload: Arc<str> = job.payload.as_str().into();
        let (kind, line) = (job.kind.clone(), running.clone());
        let told = Arc::clone(&payload);
        let shared = self.shared.clone();
        let context = self.context.clone();
        let task = tasks.spawn(async move {
            let id = job.id;
            if let Err(e) = shared.attempt(context, job, payload, running).await {
                // The lease runs out and the job is taken up again.
                tracing::error!(error = %e, job.id = %id, "the end of a job could not be written");
            }
        });
        Active { kind, payload: told, running: line, told: 0, task: task.id() }
    }

    async fn tell_cancelled(&self, active: &HashMap<JobId, Active>) -> db::Result<()> {
        let owner = Arc::clone(&self.shared.owner);
        for id in self.shared.db.read(move |conn| store::to_cancel(conn, &owner)).await? {
            if let Some(entry) = active.get(&id) {
                entry.running.cancelled().cancel();
            }
        }
        Ok(())
    }

    async fn report(&self, active: &mut HashMap<JobId, Active>) -> db::Result<()> {
        let mut news = Vec::new();
        for (id, entry) in active.iter_mut() {
            let (millionths, note) = entry.running.reading();
            if entry.told != millionths {
                entry.told = millionths;
                if let Some(handler) = self.shared.handlers.get(entry.kind.as_str()) {
                    news.push((*id, millionths, note, Arc::clone(handler), Arc::clone(&entry.payload)));
                }
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        let owner = Arc::clone(&self.shared.owner);
        let observer = self.shared.observer.clone();
        self.shared
            .db
            .write(move |tx| {
                for (id, millionths, note, handler, payload) in news {
                    #[expect(clippy::cast_precision_loss, reason = "at most a million")]
                    let progress = millionths as f32 / 1_000_000.0;
                    if store::set_progress(tx, id, &owner, progress)? {
                        handler.progressed(tx, &payload, id, progress, &note)?;
                        observe(tx, observer.as_ref(), id)?;
                    }
                }
                Ok(())
            })
            .await
    }

    async fn renew(&self, active: &HashMap<JobId, Active>) -> db::Result<()> {
        let owner = Arc::clone(&self.shared.owner);
        let jobs: Vec<JobId> = active.keys().copied().collect();
        self.shared.db.write(move |tx| store::renew(tx, &owner, LEASE, &jobs)).await
    }

    async fn take_over(&self) -> db::Result<()> {
        let now = self.shared.clock.now();
        if self.shared.db.read(move |conn| store::has_expired(conn, now)).await? {
            self.recover(None).await?;
        }
        Ok(())
    }

    /// Queues the jobs of dead processes again, or gives them up when they have died too often.
    async fn recover(&self, dead_prefix: Option<String>) -> db::Result<()> {
        let handlers = Arc::clone(&self.shared.handlers);
        let observer = self.shared.observer.clone();
        let own = dead_prefix.as_deref() == Some(&*self.shared.owner);
        self.shared
            .db
            .write(move |tx| {
                for job in store::expired(tx, dead_prefix.as_deref())? {
                    let id = job.id;
                    let ending = if own || job.attempt < job.max_attempts {
                        store::end(tx, id, None, JobState::Queued, None, None, own)?;
                        Ending::Returned
                    } else {
                        let why = format!("The program stopped {} times while it ran this job.", job.attempt);
                        store::end(tx, id, None, JobState::Failed, Some(&why), None, false)?;
                        Ending::Failed(why)
                    };
                    if let Some(handler) = handlers.get(job.kind.as_str()) {
                        handler.finish(tx, &job.payload, id, ending)?;
                    }
                    observe(tx, observer.as_ref(), id)?;
                }
                Ok(())
            })
            .await
    }

    /// Returns when the next recurring job is due.
    async fn enqueue_scheduled_if_due(&self) -> db::Result<Option<Timestamp>> {
        let next = self.next_scheduled().await?;
        if next.is_none_or(|next| next > self.shared.clock.now()) {
            return Ok(next);
        }
        self.enqueue_scheduled().await?;
        self.next_scheduled().await
    }

    async fn next_scheduled(&self) -> db::Result<Option<Timestamp>> {
        let kinds: Vec<&'static str> = self.schedule.iter().map(|recurring| recurring.kind).collect();
        self.shared.db.read(move |conn| store::next_scheduled(conn, &kinds)).await
    }

    async fn enqueue_scheduled(&self) -> db::Result<()> {
        let recurring: Vec<(&'static str, Duration, Enqueue)> =
            self.schedule.iter().map(|r| (r.kind, r.every, Arc::clone(&r.enqueue))).collect();
        self.shared
            .db
            .write(move |tx| {
                for (kind, every, enqueue) in recurring {
                    if store::scheduled(tx, kind, tx.now() + every)? <= tx.now() {
                        enqueue(tx, Options { unique_key: Some("scheduled".into()), ..Options::default() })?;
                        store::reschedule(tx, kind, tx.now() + every)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

/// Wakes a runner when something is due by the clock, and has the database look for commits of other processes.
///
/// A thread of its own instead of a timer of the runtime, whose wheel wakes the process two more times for each second.
struct Pulse {
    line: Arc<PulseLine>,
    /// Dropped to end the thread.
    stop: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but the writer, and its hold on the database ends with it.
            let _ = thread.join();
        }
    }
}

struct PulseLine {
    wake_at: AtomicI64,
    due: Notify,
}

impl Pulse {
    /// The first moment is due at once.
    fn start(db: Db, clock: Clock) -> Self {
        let line = Arc::new(PulseLine { wake_at: AtomicI64::new(i64::MIN), due: Notify::new() });
        let (stop, stopped) = std::sync::mpsc::channel();
        let (runtime, told) = (tokio::runtime::Handle::current(), Arc::clone(&line));
        let beat = move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                runtime.block_on(db.notice_foreign_commits());
                if clock.now().as_millis() >= told.wake_at.load(Ordering::Relaxed) {
                    told.due.notify_one();
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("jobs-pulse".into())
            .spawn(beat)
            .expect("the operating system starts a thread");
        Self { line, stop: Some(stop), thread: Some(thread) }
    }

    fn wake_at(&self, moment: Option<Timestamp>) {
        self.line.wake_at.store(moment.map_or(i64::MAX, Timestamp::as_millis), Ordering::Relaxed);
    }

    async fn due(&self) {
        self.line.due.notified().await;
    }
}

impl<C: Clone + Send + Sync + 'static> Shared<C> {
    async fn attempt(self, context: C, job: Claimed, payload: Arc<str>, running: Running) -> db::Result<()> {
        let Some((kind, handler)) = self.handlers.get_key_value(job.kind.as_str()) else { return Ok(()) };
        let (kind, handler) = (*kind, Arc::clone(handler));
        let begun = Instant::now();
        let span =
            tracing::info_span!("job", job.id = %job.id, job.kind = %job.kind, job.attempt = job.attempt);
        let outcome = if job.cancel_requested {
            Err(Failure::Interrupted)
        } else {
            let attempt = handler.run(context, Arc::clone(&payload), running);
            let attempt = tracing::Instrument::instrument(attempt, span.clone());
            AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|panic| {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(ToString::to_string)
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                Err(Failure::retry(format!("it panicked: {text}")))
            })
        };
        let outcome = match outcome {
            Ok(write) => self.succeed(job.id, write).await.map_err(Failure::retry),
            Err(failure) => Err(failure),
        };
        let took = begun.elapsed();
        metrics::job_ran(kind, what_became(&outcome, &job), took);
        if self.slow.is_some_and(|limit| took > limit) {
            span.in_scope(|| tracing::warn!(duration_ms = took.as_millis(), "a job took long"));
        }
        let Err(failure) = outcome else { return Ok(()) };
        span.in_scope(|| match &failure {
            Failure::Interrupted => tracing::info!("stopped"),
            Failure::Retry(e) | Failure::Permanent(e) => {
                tracing::warn!(error = %chain(&**e), "an attempt failed")
            }
        });
        self.fail(job, handler, payload, failure).await
    }

    async fn succeed(&self, id: JobId, write: Write) -> db::Result<()> {
        let owner = Arc::clone(&self.owner);
        let observer = self.observer.clone();
        self.db
            .write(move |tx| {
                // Another process has taken over: its result counts.
                if store::end(tx, id, Some(&owner), JobState::Succeeded, None, None, false)? {
                    write(tx)?;
                    observe(tx, observer.as_ref(), id)?;
                }
                Ok(())
            })
            .await
    }

    async fn fail(
        &self,
        job: Claimed,
        handler: Arc<dyn Handler<C>>,
        payload: Arc<str>,
        failure: Failure,
    ) -> db::Result<()> {
        let owner = Arc::clone(&self.owner);
        let observer = self.observer.clone();
        self.db
            .write(move |tx| {
                let owner = Some(&*owner);
                let (held, ending) = match failure {
                    Failure::Interrupted if job.cancel_requested || store::is_cancelled(tx, job.id)? => {
                        let held = store::end(tx, job.id, owner, JobState::Cancelled, None, None, false)?;
                        (held, Ending::Cancelled)
                    }
                    Failure::Interrupted => {
                        let held = store::end(tx, job.id, owner, JobState::Queued, None, None, true)?;
                        (held, Ending::Returned)
                    }
                    Failure::Retry(e) if job.attempt < job.max_attempts => {
                        let why = chain(&*e);
                        let again = tx.now() + back_off(job.attempt);
                        let held =
                            store::end(tx, job.id, owner, JobState::Queued, Some(&why), Some(again), false)?;
                        (held, Ending::Retrying(why))
                    }
                    Failure::Retry(e) | Failure::Permanent(e) => {
                        let why = chain(&*e);
                        let held = store::end(tx, job.id, owner, JobState::Failed, Some(&why), None, false)?;
                        (held, Ending::Failed(why))
                    }
                };
                if held {
                    handler.finish(tx, &payload, job.id, ending)?;
                    observe(tx, observer.as_ref(), job.id)?;
                }
                Ok(())
            })
            .await
    }
}

/// What became of an attempt, in a word for those who count.
fn what_became(outcome: &Result<(), Failure>, job: &Claimed) -> &'static str {
    match outcome {
        Ok(()) => "succeeded",
        Err(Failure::Interrupted) => "stopped",
        Err(Failure::Retry(_)) if job.attempt < job.max_attempts => "retried",
        Err(Failure::Retry(_) | Failure::Permanent(_)) => "failed",
    }
}

fn observe(tx: &Tx<'_>, observer: Option<&Observer>, id: JobId) -> db::Result<()> {
    if let Some(observer) = observer
        && let Some(row) = store::find(tx, id)?
    {
        observer(tx, &row)?;
    }
    Ok(())
}

/// The pause after so many attempts: four times as long each time, with up to a quarter added by chance, so that jobs
/// which failed together don't come back together.
fn back_off(attempt: u32) -> Duration {
    let pause = BACK_OFF.saturating_mul(4_u32.saturating_pow(attempt.saturating_sub(1))).min(BACK_OFF_MAX);
    let chance = u32::from(crate::id::fresh().as_bytes()[15]);
    pause + pause / 1024 * chance
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn log_failure(what: &str, result: db::Result<()>) {
    if let Err(e) = result {
        tracing::error!(error = %e, what, "the job runner could not do its rounds");
    }
}
