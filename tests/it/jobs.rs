//! What the queue promises: at least once, one effect, retries, cancel, and that a dead process loses its jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use safelight::clock::{Clock, Timestamp};
use safelight::db::{self, Db, Role, Tx};
use safelight::jobs::{self, Ending, Failure, Job, JobId, JobRow, JobState, Options, Runner, Running};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// What the test jobs share.
#[derive(Clone, Default)]
struct Stage {
    runs: Arc<AtomicUsize>,
    started: Arc<tokio::sync::Notify>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Play {
    Work,
    FailTimes(usize),
    FailForGood,
    Panic,
    WaitUntilTold,
}

impl Job for Play {
    const KIND: &'static str = "play";
    const CONCURRENCY: usize = 4;
    const MAX_ATTEMPTS: u32 = 3;
    type Context = Stage;
    type Output = String;

    async fn run(&self, stage: &Stage, running: &Running) -> Result<String, Failure> {
        let run = stage.runs.fetch_add(1, Ordering::SeqCst) + 1;
        running.progress(0.5, "half way");
        stage.started.notify_one();
        match self {
            Self::Work => Ok("done".into()),
            Self::FailTimes(n) if run > *n => Ok("done at last".into()),
            Self::FailTimes(_) => Err(Failure::retry("not yet")),
            Self::FailForGood => Err(Failure::permanent("never")),
            Self::Panic => panic!("on purpose"),
            Self::WaitUntilTold => {
                running.cancelled().cancelled().await;
                Err(Failure::Interrupted)
            }
        }
    }

    fn finish(&self, tx: &Tx<'_>, id: JobId, ending: Ending<String>) -> db::Result<()> {
        let text = match ending {
            Ending::Succeeded(text) => text,
            Ending::Retrying(why) => format!("retrying: {why}"),
            Ending::Failed(why) => format!("failed: {why}"),
            Ending::Cancelled => "cancelled".into(),
            Ending::Returned => "returned".into(),
        };
        tx.execute("INSERT INTO endings (job, text) VALUES (?1, ?2)", rusqlite::params![id, text])?;
        Ok(())
    }
}

struct Theatre {
    db: Db,
    clock: Clock,
    stage: Stage,
    _dir: tempfile::TempDir,
}

impl Theatre {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
        let db = Db::open(&dir.path().join("safelight.db"), Role::Server, clock.clone()).unwrap();
        db.write(|tx| {
            Ok::<_, db::Error>(tx.execute_batch("CREATE TABLE endings (job BLOB, text TEXT) STRICT")?)
        })
        .await
        .unwrap();
        Self { db, clock, stage: Stage::default(), _dir: dir }
    }

    fn runner(&self) -> Runner<Stage> {
        Runner::server(self.stage.clone(), self.db.clone(), self.clock.clone(), 4).register::<Play>()
    }

    async fn enqueue(&self, play: Play, options: Options) -> JobId {
        self.db.write(move |tx| jobs::enqueue(tx, &play, options)).await.unwrap()
    }

    async fn job(&self, id: JobId) -> JobRow {
        self.db.read(move |conn| jobs::find(conn, id)).await.unwrap().unwrap()
    }

    async fn endings(&self) -> Vec<String> {
        self.db
            .read(|conn| {
                let mut statement = conn.prepare("SELECT text FROM endings ORDER BY rowid")?;
                let rows = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
                Ok::<_, db::Error>(rows)
            })
            .await
            .unwrap()
    }

    async fn until(&self, id: JobId, state: JobState) -> JobRow {
        let mut commits = self.db.commits();
        tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                commits.mark_unchanged();
                let job = self.job(id).await;
                if job.state == state {
                    return job;
                }
                commits.changed().await.unwrap();
            }
        })
        .await
        .expect("the job gets there")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_vanishes_with_the_transaction_that_enqueued_it() {
    let theatre = Theatre::open().await;
    let out: Result<(), db::Error> = theatre
        .db
        .write(|tx| {
            jobs::enqueue(tx, &Play::Work, Options::default())?;
            tx.execute("INSERT INTO nowhere VALUES (1)", [])?;
            Ok(())
        })
        .await;
    assert!(out.is_err());
    assert_eq!(theatre.runner().run_pending().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_retried_after_growing_pauses_until_it_works() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::FailTimes(2), Options::default()).await;
    let runner = theatre.runner();
    assert_eq!(runner.run_pending().await.unwrap(), 1);
    let first = theatre.job(id).await;
    assert_eq!((first.state, first.attempts), (JobState::Queued, 1));
    assert_eq!(first.error.as_deref(), Some("not yet"));
    let pause = first.run_at.since(theatre.clock.now());
    assert!((5..=7).contains(&pause.as_secs()), "{pause:?}");
    assert_eq!(runner.run_pending().await.unwrap(), 0, "it waits for its time");
    theatre.clock.advance(pause);
    assert_eq!(runner.run_pending().await.unwrap(), 1);
    let pause = theatre.job(id).await.run_at.since(theatre.clock.now());
    assert!((20..=26).contains(&pause.as_secs()), "{pause:?}");
    theatre.clock.advance(pause);
    assert_eq!(runner.run_pending().await.unwrap(), 1);
    assert_eq!(theatre.job(id).await.state, JobState::Succeeded);
    assert_eq!(theatre.endings().await, ["retrying: not yet", "retrying: not yet", "done at last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_failing_is_given_up_and_can_be_queued_again() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::FailTimes(99), Options::default()).await;
    let runner = theatre.runner();
    for _ in 0..3 {
        assert_eq!(runner.run_pending().await.unwrap(), 1);
        theatre.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(theatre.job(id).await.state, JobState::Failed);
    assert_eq!(runner.run_pending().await.unwrap(), 0);
    assert!(theatre.db.write(move |tx| jobs::retry(tx, id)).await.unwrap());
    assert_eq!(theatre.job(id).await.attempts, 0);
    assert_eq!(runner.run_pending().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_mended_is_tried_once() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::FailForGood, Options::default()).await;
    theatre.runner().run_pending().await.unwrap();
    let job = theatre.job(id).await;
    assert_eq!((job.state, job.attempts, job.error.as_deref()), (JobState::Failed, 1, Some("never")));
    assert_eq!(theatre.endings().await, ["failed: never"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_like_others() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::Panic, Options::default()).await;
    theatre.runner().run_pending().await.unwrap();
    let job = theatre.job(id).await;
    assert_eq!(job.state, JobState::Queued);
    assert_eq!(job.error.as_deref(), Some("it panicked: on purpose"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_urgent_goes_first_and_waiting_twins_are_one() {
    let theatre = Theatre::open().await;
    let twin = || Options { unique_key: Some("k".into()), ..Options::default() };
    let slow = theatre.enqueue(Play::Work, twin()).await;
    assert_eq!(theatre.enqueue(Play::Work, twin()).await, slow);
    let urgent = theatre.enqueue(Play::Work, Options { priority: 9, ..Options::default() }).await;
    // One worker, so that the order shows.
    let runner = Runner::server(theatre.stage.clone(), theatre.db.clone(), theatre.clock.clone(), 1)
        .register::<Play>();
    assert_eq!(runner.run_pending().await.unwrap(), 2);
    let order: Vec<JobId> = theatre
        .db
        .read(|conn| {
            let mut statement = conn.prepare("SELECT job FROM endings ORDER BY rowid")?;
            let rows = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok::<_, db::Error>(rows)
        })
        .await
        .unwrap();
    assert_eq!(order, [urgent, slow]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_that_is_cancelled_does_not_start() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::Work, Options::default()).await;
    assert!(theatre.db.write(move |tx| jobs::cancel(tx, id)).await.unwrap());
    theatre.runner().run_pending().await.unwrap();
    assert_eq!(theatre.job(id).await.state, JobState::Cancelled);
    assert_eq!(theatre.stage.runs.load(Ordering::SeqCst), 0);
    assert_eq!(theatre.endings().await, ["cancelled"]);
    assert!(!theatre.db.write(move |tx| jobs::cancel(tx, id)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_told_that_it_is_cancelled() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::WaitUntilTold, Options::default()).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(theatre.runner().run(stopping.clone()));
    theatre.stage.started.notified().await;
    assert!(theatre.db.write(move |tx| jobs::cancel(tx, id)).await.unwrap());
    theatre.until(id, JobState::Cancelled).await;
    stopping.cancel();
    running.await.unwrap();
    assert_eq!(theatre.endings().await, ["cancelled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_hands_its_jobs_back_without_costing_an_attempt() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::WaitUntilTold, Options::default()).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(theatre.runner().run(stopping.clone()));
    theatre.stage.started.notified().await;
    stopping.cancel();
    running.await.unwrap();
    let job = theatre.job(id).await;
    assert_eq!((job.state, job.attempts), (JobState::Queued, 0));
    assert_eq!(theatre.endings().await, ["returned"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_server_takes_up_what_the_dead_one_left() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::Work, Options::default()).await;
    // What a process that was killed leaves behind.
    theatre
        .db
        .write(|tx| {
            Ok::<_, db::Error>(tx.execute(
                "UPDATE jobs SET state = 'running', lease_owner = 'server:dead', lease_until = ?1, attempts = 1",
                [tx.now() + Duration::from_secs(60)],
            )?)
        })
        .await
        .unwrap();
    let stopping = CancellationToken::new();
    let running = tokio::spawn(theatre.runner().run(stopping.clone()));
    let job = theatre.until(id, JobState::Succeeded).await;
    assert_eq!(job.attempts, 2);
    stopping.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_process_again_and_again_is_given_up() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::Work, Options::default()).await;
    theatre
        .db
        .write(|tx| {
            Ok::<_, db::Error>(tx.execute(
                "UPDATE jobs SET state = 'running', lease_owner = 'server:dead', lease_until = 0, attempts = 3",
                [],
            )?)
        })
        .await
        .unwrap();
    let stopping = CancellationToken::new();
    let running = tokio::spawn(theatre.runner().run(stopping.clone()));
    let job = theatre.until(id, JobState::Failed).await;
    assert!(job.error.unwrap().contains("3 times"));
    stopping.cancel();
    running.await.unwrap();
    assert_eq!(theatre.stage.runs.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_process_that_has_lost_its_lease_does_not_count() {
    let theatre = Theatre::open().await;
    let id = theatre.enqueue(Play::WaitUntilTold, Options::default()).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(theatre.runner().run(stopping.clone()));
    theatre.stage.started.notified().await;
    theatre
        .db
        .write(|tx| Ok::<_, db::Error>(tx.execute("UPDATE jobs SET lease_owner = 'worker:other'", [])?))
        .await
        .unwrap();
    stopping.cancel();
    running.await.unwrap();
    assert_eq!(theatre.job(id).await.state, JobState::Running, "it is the other one's now");
    assert!(theatre.endings().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recurring_job_is_queued_when_its_interval_has_passed() {
    let theatre = Theatre::open().await;
    let hour = Duration::from_secs(3600);
    let stopping = CancellationToken::new();
    let runner = theatre.runner().every(hour, Play::Work);
    let running = tokio::spawn(runner.run(stopping.clone()));
    let mut commits = theatre.db.commits();
    // The first commit writes the schedule down.
    while theatre
        .db
        .read(|c| Ok::<i64, db::Error>(c.query_row("SELECT count(*) FROM schedules", [], |r| r.get(0))?))
        .await
        .unwrap()
        == 0
    {
        commits.changed().await.unwrap();
    }
    assert_eq!(theatre.stage.runs.load(Ordering::SeqCst), 0);
    theatre.clock.advance(hour);
    tokio::time::timeout(Duration::from_secs(30), theatre.stage.started.notified()).await.expect("it runs");
    stopping.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_reaches_those_who_watch() {
    let theatre = Theatre::open().await;
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let runner = theatre.runner().observe({
        let seen = Arc::clone(&seen);
        move |_, job| {
            seen.lock().unwrap().push((job.state, job.progress));
            Ok(())
        }
    });
    let id = theatre.enqueue(Play::WaitUntilTold, Options::default()).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(runner.run(stopping.clone()));
    let mut commits = theatre.db.commits();
    while theatre.job(id).await.progress < 0.5 {
        tokio::time::timeout(Duration::from_secs(30), commits.changed()).await.expect("progress").unwrap();
    }
    stopping.cancel();
    running.await.unwrap();
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen[0], (JobState::Running, 0.0));
    assert!(seen.contains(&(JobState::Running, 0.5)), "{seen:?}");
    assert_eq!(seen.last().unwrap().0, JobState::Queued);
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_jobs_are_forgotten_after_a_while() {
    let theatre = Theatre::open().await;
    theatre.enqueue(Play::Work, Options::default()).await;
    theatre.enqueue(Play::FailForGood, Options::default()).await;
    theatre.runner().run_pending().await.unwrap();
    theatre.clock.advance(Duration::from_secs(8 * 24 * 3600));
    assert_eq!(theatre.db.write(|tx| jobs::prune(tx, 100)).await.unwrap(), 1);
    theatre.clock.advance(Duration::from_secs(90 * 24 * 3600));
    assert_eq!(theatre.db.write(|tx| jobs::prune(tx, 100)).await.unwrap(), 1);
}

/// A kind that never has room for a second one.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Alone;

impl Job for Alone {
    const KIND: &'static str = "alone";
    const CONCURRENCY: usize = 1;
    type Context = Stage;
    type Output = ();

    async fn run(&self, stage: &Stage, running: &Running) -> Result<(), Failure> {
        stage.started.notify_one();
        running.cancelled().cancelled().await;
        Err(Failure::Interrupted)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_room_keeps_nobody_busy() {
    let theatre = Theatre::open().await;
    for _ in 0..2 {
        theatre.db.write(|tx| jobs::enqueue(tx, &Alone, Options::default())).await.unwrap();
    }
    let runner = Runner::server(theatre.stage.clone(), theatre.db.clone(), theatre.clock.clone(), 4)
        .register::<Alone>();
    let stopping = CancellationToken::new();
    let running = tokio::spawn(runner.run(stopping.clone()));
    theatre.stage.started.notified().await;
    let mut commits = theatre.db.commits();
    // The claim itself may still be on its way to being seen.
    tokio::time::timeout(Duration::from_millis(500), commits.changed()).await.ok();
    let before = *commits.borrow_and_update();
    let more = tokio::time::timeout(Duration::from_secs(1), async {
        while *commits.borrow_and_update() < before + 5 {
            commits.changed().await.unwrap();
        }
    })
    .await;
    assert!(more.is_err(), "the runner committed again and again while there was nothing to do");
    stopping.cancel();
    running.await.unwrap();
}
