//! What the process counts about itself, for programs that watch it: atomics that every room may move, and the page of
//! text that shows them. Knows neither HTTP nor any table; what is told at the moment somebody asks (lengths of queues,
//! free space) is gathered by the server.
//!
//! The counters belong to the process and not to an `App`: a counter that has to be handed through every signature is
//! one that is not counted. Labels have values from fixed lists only (routes, methods, kinds of jobs), so that nobody
//! outside can make more of them. Ours instead of `prometheus-client`, whose families look each sample up behind a lock:
//! what is here is known when the program is built, so most counting is one addition.

mod http;
mod process;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use http::{HTTP, Http};
pub use process::show_process;
pub use text::{Family, Kind, Page};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Begins at zero.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts several.
    pub fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Where it stands.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something there are at the moment.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Begins at zero.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// One more.
    pub fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more for as long as the guard lives.
    pub fn enter(&'static self) -> Entered {
        self.inc();
        Entered(self)
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// One that a [`Gauge`] counts.
#[derive(Debug)]
pub struct Entered(&'static Gauge);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// How long things took, in boxes.
#[derive(Debug)]
pub struct Histogram {
    /// The upper ends of the boxes in microseconds, ascending; what is beyond counts in no box.
    bounds: &'static [u64],
    boxes: [AtomicU64; BOXES_MAX],
    count: Counter,
    sum_micros: Counter,
}

/// The most boxes that a histogram has.
const BOXES_MAX: usize = 10;

/// Boxes for requests and waits: a millisecond to ten seconds.
pub const QUICK: &[u64] =
    &[1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000, 10_000_000];

/// Boxes for work in the background: a tenth of a second to an hour.
pub const LONG: &[u64] =
    &[100_000, 1_000_000, 5_000_000, 15_000_000, 60_000_000, 300_000_000, 900_000_000, 3_600_000_000];

impl Histogram {
    /// Begins empty, with [`QUICK`] or [`LONG`].
    pub const fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.len() <= BOXES_MAX, "too many boxes");
        Self {
            bounds,
            boxes: [const { AtomicU64::new(0) }; BOXES_MAX],
            count: Counter::new(),
            sum_micros: Counter::new(),
        }
    }

    /// Counts something that took so long.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(place) = self.bounds.iter().position(|bound| micros <= *bound) {
            self.boxes[place].fetch_add(1, Ordering::Relaxed);
        }
        self.count.inc();
        self.sum_micros.add(micros);
    }

    /// How many things were counted.
    pub fn count(&self) -> u64 {
        self.count.get()
    }
}

/// Connections of all doors.
#[derive(Debug)]
pub struct Connections {
    /// Those that there are.
    pub open: Gauge,
    /// Those that were accepted.
    pub accepted: Counter,
    /// Those that were closed at once, because their address had too many.
    pub refused: Counter,
    /// Bytes that came in, after decryption.
    pub received_bytes: Counter,
    /// Bytes that went out, before encryption.
    pub sent_bytes: Counter,
}

/// The connections of this process.
pub static CONNECTIONS: Connections = Connections {
    open: Gauge::new(),
    accepted: Counter::new(),
    refused: Counter::new(),
    received_bytes: Counter::new(),
    sent_bytes: Counter::new(),
};

/// The database, as its users feel it.
#[derive(Debug)]
pub struct Database {
    /// Writes that wait for their turn or their commit.
    pub writes_waiting: Gauge,
    /// Writes that were asked for.
    pub writes: Counter,
    /// How long a group of writes took, with its commit.
    pub commits: Histogram,
    /// How long reads waited for a connection.
    pub reader_waits: Histogram,
    /// Statements that took longer than `log.slow_query`.
    pub slow_queries: Counter,
}

/// The database of this process.
pub static DATABASE: Database = Database {
    writes_waiting: Gauge::new(),
    writes: Counter::new(),
    commits: Histogram::new(QUICK),
    reader_waits: Histogram::new(QUICK),
    slow_queries: Counter::new(),
};

/// How often something was found where it was looked for first.
#[derive(Debug, Default)]
pub struct Hits {
    /// It was there.
    pub hits: Counter,
    /// It was not.
    pub misses: Counter,
}

impl Hits {
    const fn new() -> Self {
        Self { hits: Counter::new(), misses: Counter::new() }
    }

    /// Counts one look.
    pub fn note(&self, found: bool) {
        if found { self.hits.inc() } else { self.misses.inc() }
    }
}

/// Renderings on disk.
pub static DISK_CACHE: Hits = Hits::new();

/// Small files in memory.
pub static MEMORY_CACHE: Hits = Hits::new();

/// Requests that a limit has let pass or turned away.
#[derive(Debug)]
pub struct RateLimit {
    /// Requests that passed.
    pub allowed: Counter,
    /// Requests that were told to wait.
    pub blocked: Counter,
}

impl RateLimit {
    const fn new() -> Self {
        Self { allowed: Counter::new(), blocked: Counter::new() }
    }
}

/// What `limits.anonymous` did.
pub static ANONYMOUS_LIMIT: RateLimit = RateLimit::new();

/// What `limits.signed_in` did.
pub static SIGNED_IN_LIMIT: RateLimit = RateLimit::new();

/// What `limits.login` did.
pub static LOGIN_LIMIT: RateLimit = RateLimit::new();

/// The attempts of one kind of job.
#[derive(Debug)]
struct JobRuns {
    /// Attempts by what became of them.
    outcomes: BTreeMap<&'static str, u64>,
    took: Histogram,
}

static JOBS: Mutex<BTreeMap<&'static str, JobRuns>> = Mutex::new(BTreeMap::new());

/// Counts an attempt of a job; kind and outcome are words from the program's own lists.
pub fn job_ran(kind: &'static str, outcome: &'static str, took: Duration) {
    let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    let runs =
        jobs.entry(kind).or_insert_with(|| JobRuns { outcomes: BTreeMap::new(), took: Histogram::new(LONG) });
    *runs.outcomes.entry(outcome).or_default() += 1;
    runs.took.observe(took);
}

/// What one engine has done.
#[derive(Debug, Default)]
struct Engine {
    outcomes: BTreeMap<&'static str, u64>,
    micros: u64,
    pixels: u64,
}

static ENGINES: Mutex<BTreeMap<&'static str, Engine>> = Mutex::new(BTreeMap::new());

/// The engines that are told apart.
const ENGINE_NAMES: [&str; 6] = ["builtin", "hugging_face", "replicate", "space", "onnx", "other"];

/// Counts an attempt to restore a picture of so many pixels; the outcome is a word from the program's own list.
pub fn restoration_ran(engine: &str, outcome: &'static str, took: Duration, pixels: u64) {
    let name = ENGINE_NAMES.iter().find(|name| **name == engine).unwrap_or(&"other");
    let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = engines.entry(name).or_default();
    *engine.outcomes.entry(outcome).or_default() += 1;
    engine.micros += u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    engine.pixels += pixels;
}

/// Seconds of so many microseconds.
#[expect(clippy::cast_precision_loss, reason = "a sum of microseconds is exact for 285 years")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Writes down everything that this room counts.
pub fn show_counters(page: &mut Page) {
    HTTP.show(page);
    show_connections(page);
    show_limits(page);
    show_jobs(page);
    show_restorations(page);
    show_database(page);
    let mut family = page.family(
        "safelight_cache_requests_total",
        Kind::Counter,
        "Look-ups of renderings, by cache and by whether they were there.",
    );
    for (cache, hits) in [("disk", &DISK_CACHE), ("memory", &MEMORY_CACHE)] {
        family.sample(&[("cache", cache), ("outcome", "hit")], hits.hits.get());
        family.sample(&[("cache", cache), ("outcome", "miss")], hits.misses.get());
    }
}

fn show_connections(page: &mut Page) {
    let Connections { open, accepted, refused, received_bytes, sent_bytes } = &CONNECTIONS;
    page.gauge("safelight_connections", "Open connections of all doors.", open.get());
    page.counter("safelight_connections_accepted_total", "Connections that were accepted.", accepted.get());
    let help = "Connections that were closed at once, because their address had too many.";
    page.counter("safelight_connections_refused_total", help, refused.get());
    let help = "Bytes that came in over all connections, without encryption.";
    page.counter("safelight_received_bytes_total", help, received_bytes.get());
    let help = "Bytes that went out over all connections, without encryption.";
    page.counter("safelight_sent_bytes_total", help, sent_bytes.get());
}

fn show_limits(page: &mut Page) {
    let mut family = page.family(
        "safelight_rate_limit_requests_total",
        Kind::Counter,
        "Requests that fall under a limit, by limit and by whether they passed.",
    );
    let limits = [("anonymous", &ANONYMOUS_LIMIT), ("signed-in", &SIGNED_IN_LIMIT), ("login", &LOGIN_LIMIT)];
    for (policy, limit) in limits {
        family.sample(&[("policy", policy), ("outcome", "allowed")], limit.allowed.get());
        family.sample(&[("policy", policy), ("outcome", "blocked")], limit.blocked.get());
    }
}

fn show_jobs(page: &mut Page) {
    let jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut family = page.family(
        "safelight_job_runs_total",
        Kind::Counter,
        "Attempts of jobs in this process, by kind and by what became of them.",
    );
    for (kind, runs) in &*jobs {
        for (outcome, count) in &runs.outcomes {
            family.sample(&[("kind", *kind), ("outcome", *outcome)], *count);
        }
    }
    let mut family =
        page.family("safelight_job_run_duration_seconds", Kind::Histogram, "How long attempts of jobs took.");
    for (kind, runs) in &*jobs {
        family.histogram(&[("kind", *kind)], &runs.took);
    }
}

fn show_restorations(page: &mut Page) {
    let engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut family = page.family(
        "safelight_restorations_total",
        Kind::Counter,
        "Attempts to restore a picture in this process, by engine and by what became of them.",
    );
    for (name, engine) in &*engines {
        for (outcome, count) in &engine.outcomes {
            family.sample(&[("engine", *name), ("outcome", *outcome)], *count);
        }
    }
    let help = "Seconds that restoring took, from reading the picture to storing the result.";
    let mut family = page.family("safelight_restoration_seconds_total", Kind::Counter, help);
    for (name, engine) in &*engines {
        family.sample(&[("engine", *name)], seconds(engine.micros));
    }
    let help = "Pixels of the pictures that were restored.";
    let mut family = page.family("safelight_restoration_pixels_total", Kind::Counter, help);
    for (name, engine) in &*engines {
        family.sample(&[("engine", *name)], engine.pixels);
    }
}

fn show_database(page: &mut Page) {
    let Database { writes_waiting, writes, commits, reader_waits, slow_queries } = &DATABASE;
    let help = "Writes that wait for their turn or their commit.";
    page.gauge("safelight_db_writes_waiting", help, writes_waiting.get());
    page.counter("safelight_db_writes_total", "Writes that were asked for.", writes.get());
    let help = "How long groups of writes took, with their commit.";
    page.family("safelight_db_commit_duration_seconds", Kind::Histogram, help).histogram(&[], commits);
    let help = "How long reads waited for a connection.";
    page.family("safelight_db_reader_wait_seconds", Kind::Histogram, help).histogram(&[], reader_waits);
    let help = "Statements that took longer than log.slow_query.";
    page.counter("safelight_db_slow_queries_total", help, slow_queries.get());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_can_be_read() {
        static OPEN: Gauge = Gauge::new();
        let (one, two) = (OPEN.enter(), OPEN.enter());
        assert_eq!(OPEN.get(), 2);
        drop(one);
        assert_eq!(OPEN.get(), 1);
        drop(two);
        assert_eq!(OPEN.get(), 0);
        let took = Histogram::new(QUICK);
        for millis in [0, 1, 2, 30, 20_000] {
            took.observe(Duration::from_millis(millis));
        }
        let mut page = Page::new();
        page.family("x_seconds", Kind::Histogram, "X.").histogram(&[("route", "/a\"b")], &took);
        let text = page.finish();
        for line in [
            "# TYPE x_seconds histogram",
            "x_seconds_bucket{route=\"/a\\\"b\",le=\"0.001\"} 2",
            "x_seconds_bucket{route=\"/a\\\"b\",le=\"0.005\"} 3",
            "x_seconds_bucket{route=\"/a\\\"b\",le=\"10\"} 4",
            "x_seconds_bucket{route=\"/a\\\"b\",le=\"+Inf\"} 5",
            "x_seconds_sum{route=\"/a\\\"b\"} 20.033",
            "x_seconds_count{route=\"/a\\\"b\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn an_engine_that_nobody_knows_makes_no_series_of_its_own() {
        for name in ["builtin", "made-up-1", "made-up-2"] {
            restoration_ran(name, "restored", Duration::from_secs(2), 12_000_000);
        }
        let engines = ENGINES.lock().unwrap();
        assert_eq!(engines.keys().copied().collect::<Vec<_>>(), ["builtin", "other"]);
        assert_eq!(engines["other"].pixels, 24_000_000);
    }
}
