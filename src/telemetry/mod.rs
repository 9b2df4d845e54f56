//! Tells programs that watch this one what it does: traces and logs to an OpenTelemetry collector, errors to a server that
//! speaks Sentry's language. Nothing is sent before an address is set.
//!
//! Both are small documented formats (OTLP over HTTP in JSON, Sentry's envelopes), written here by hand over the one
//! client of `outbound`. Whoever logs never waits: what does not fit into the queue is counted and dropped. What leaves is
//! cleaned of addresses, paths and names first.

mod clean;
mod otlp;
mod sentry;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Level};

use crate::config::{self, Dsn, Secret};
use crate::logs::{Logs, Observer, Record, Span};
use crate::outbound::{self, Answer, Call, Outbound, StatusCode};

/// Records and spans that may wait.
const QUEUE: usize = 2048;

/// The most of them in one request.
const BATCH: usize = 512;

/// How long they are gathered.
const EVERY: Duration = Duration::from_secs(2);

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last of them.
const FAREWELL: Duration = Duration::from_secs(2);

/// The first pause after a failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How often the same is tried.
const TRIES: u32 = 4;

/// Errors that are reported in a minute; the rest is counted.
const ERRORS_A_MINUTE: u32 = 30;

/// The telemetry of a process. Clones share it.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    outbound: Outbound,
    feed: Arc<Feed>,
    settings: ArcSwap<Settings>,
    inbox: Mutex<Option<Receiver<Item>>>,
}

#[derive(Debug, Default, Clone)]
struct Settings {
    /// Where traces and logs go, without a slash at the end.
    collector: Option<String>,
    headers: Option<Secret>,
    errors: Option<Dsn>,
}

enum Item {
    Record(Arc<Record>),
    Span(Span),
}

/// What hears the log. It never waits.
struct Feed {
    queue: Sender<Item>,
    wants_all: AtomicBool,
    wants_errors: AtomicBool,
    dropped: AtomicU64,
}

impl Feed {
    fn put(&self, item: Item) {
        if self.queue.try_send(item).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Feed {
    fn record(&self, record: &Arc<Record>) {
        let is_error = record.level == Level::ERROR && self.wants_errors.load(Ordering::Relaxed);
        if is_error || self.wants_all.load(Ordering::Relaxed) {
            self.put(Item::Record(Arc::clone(record)));
        }
    }

    fn span(&self, span: Span) {
        if self.wants_all.load(Ordering::Relaxed) {
            self.put(Item::Span(span));
        }
    }

    fn wants_spans(&self) -> bool {
        self.wants_all.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// Hears a log. Nothing is kept before [`Telemetry::configure`] says where it goes, and nothing sent before
    /// [`Telemetry::run`].
    pub fn of(logs: &Logs, outbound: Outbound) -> Self {
        let (queue, inbox) = mpsc::channel(QUEUE);
        let feed = Arc::new(Feed {
            queue,
            wants_all: AtomicBool::new(false),
            wants_errors: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        logs.observe(feed.clone());
        let inbox = Mutex::new(Some(inbox));
        Self(Arc::new(Inner { outbound, feed, settings: ArcSwap::default(), inbox }))
    }

    /// Takes other settings, at once.
    pub fn configure(&self, settings: &config::Telemetry) {
        let settings = Settings {
            collector: settings.otlp_endpoint.clone(),
            headers: settings.otlp_headers.clone(),
            // The configuration was checked.
            errors: settings.sentry_dsn.as_ref().and_then(|dsn| Dsn::parse(dsn.expose()).ok()),
        };
        self.0.feed.wants_all.store(settings.collector.is_some(), Ordering::Relaxed);
        self.0.feed.wants_errors.store(settings.errors.is_some(), Ordering::Relaxed);
        self.0.settings.store(Arc::new(settings));
    }

    /// How many records and spans have been dropped: because too many came, or nobody took them.
    pub fn dropped(&self) -> u64 {
        self.0.feed.dropped.load(Ordering::Relaxed)
    }

    /// Sends what comes until the process stops, and then for two seconds what is left.
    pub async fn run(self, stopping: CancellationToken) {
        let inbox = self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(inbox) = inbox else { return };
        // Under this name nothing that happens here is told to ourselves.
        let span = tracing::info_span!("telemetry");
        let mut sending = Sending { telemetry: self, inbox, told: 0, minute: (Instant::now(), 0) };
        let late = async {
            stopping.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        let work = async {
            while sending.next(&stopping).await {}
            while let Some(batch) = sending.waiting() {
                sending.send(batch, 1, &stopping).await;
            }
        };
        // One that hangs must not keep the process.
        let work = async {
            tokio::select! {
                () = work => {}
                () = late => {}
            }
        };
        work.instrument(span).await;
    }
}

/// The one task that sends.
struct Sending {
    telemetry: Telemetry,
    inbox: Receiver<Item>,
    /// How many dropped ones have been told.
    told: u64,
    /// When the minute began in which errors are counted, and how many were reported in it.
    minute: (Instant, u32),
}

impl Sending {
    /// Gathers a batch and sends it; false when the process stops.
    async fn next(&mut self, stopping: &CancellationToken) -> bool {
        let first = tokio::select! {
            () = stopping.cancelled() => return false,
            first = self.inbox.recv() => first,
        };
        let Some(first) = first else { return false };
        let mut batch = vec![first];
        let ends = Instant::now() + EVERY;
        while batch.len() < BATCH {
            tokio::select! {
                () = stopping.cancelled() => break,
                item = timeout_at(ends, self.inbox.recv()) => match item {
                    Ok(Some(item)) => batch.push(item),
                    _ => break,
                },
            }
        }
        let tries = if stopping.is_cancelled() { 1 } else { TRIES };
        self.send(batch, tries, stopping).await;
        self.tell_losses();
        !stopping.is_cancelled()
    }

    /// What waits already.
    fn waiting(&mut self) -> Option<Vec<Item>> {
        let mut batch = Vec::new();
        while let (true, Ok(item)) = (batch.len() < BATCH, self.inbox.try_recv()) {
            batch.push(item);
        }
        (!batch.is_empty()).then_some(batch)
    }

    async fn send(&mut self, batch: Vec<Item>, tries: u32, stopping: &CancellationToken) {
        let settings = self.telemetry.0.settings.load_full();
        let (mut records, mut spans) = (Vec::new(), Vec::new());
        for item in batch {
            match item {
                Item::Record(record) => records.push(record),
                Item::Span(span) => spans.push(span),
            }
        }
        if let Some(dsn) = &settings.errors {
            let errors: Vec<_> =
                records.iter().filter(|record| record.level == Level::ERROR).cloned().collect();
            for record in errors {
                if !self.may_report() {
                    self.lose(1);
                    continue;
                }
                let (body, auth) = (sentry::envelope(dsn, &record), sentry::auth(dsn));
                let make = |outbound: &Outbound| {
                    let call = outbound.call(outbound::Method::POST, &dsn.envelope_url())?;
                    Ok(call
                        .bytes("application/x-sentry-envelope", body.clone().into())
                        .sensitive("x-sentry-auth", &auth))
                };
                self.deliver(make, 1, tries, stopping).await;
            }
        }
        let Some(collector) = &settings.collector else { return };
        for (path, body, count) in
            [("traces", otlp::traces(&spans), spans.len()), ("logs", otlp::logs(&records), records.len())]
        {
            if count == 0 {
                continue;
            }
            let make = |outbound: &Outbound| {
                let call =
                    outbound.call(outbound::Method::POST, &format!("{collector}/v1/{path}"))?.json(&body);
                Ok(settings
                    .headers
                    .iter()
                    .flat_map(otlp::headers)
                    .fold(call, |call, (name, value)| call.sensitive(&name, &value)))
            };
            self.deliver(make, count, tries, stopping).await;
        }
    }

    /// Sends a request, several times if it must be; what nobody takes is counted as lost.
    async fn deliver(
        &self,
        make: impl Fn(&Outbound) -> outbound::Result<Call>,
        count: usize,
        tries: u32,
        stopping: &CancellationToken,
    ) {
        let mut pause = PAUSE;
        for attempt in 1..=tries {
            let sent = match make(&self.telemetry.0.outbound) {
                Ok(call) => call.within(DEADLINE).send().await,
                Err(error) => Err(error),
            };
            let again = match sent {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) if may_pass(answer.status()) => Some(wanted_pause(&answer)),
                Ok(answer) => {
                    tracing::warn!(
                        outbound.host = answer.host(),
                        http.status = answer.status().as_u16(),
                        "telemetry is refused"
                    );
                    None
                }
                Err(error) if error.may_pass() => Some(None),
                Err(error) => {
                    tracing::debug!(error = %error, "telemetry can't be sent");
                    None
                }
            };
            let Some(wanted) = again.filter(|_| attempt < tries) else { break };
            if stopping.is_cancelled() {
                break;
            }
            let wait = wanted.unwrap_or(pause).min(PAUSE_MAX);
            pause *= 2;
            tokio::select! {
                () = stopping.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.lose(count);
    }

    fn may_report(&mut self) -> bool {
        let (began, reported) = &mut self.minute;
        if began.elapsed() >= Duration::from_secs(60) {
            (*began, *reported) = (Instant::now(), 0);
        }
        *reported += 1;
        *reported <= ERRORS_A_MINUTE
    }

    fn lose(&self, count: usize) {
        self.telemetry.0.feed.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn tell_losses(&mut self) {
        let dropped = self.telemetry.dropped();
        if dropped > self.told {
            tracing::warn!(dropped = dropped - self.told, "telemetry was dropped");
            self.told = dropped;
        }
    }
}

/// Whether the same may be taken later (OTLP 1.5, Failures).
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

fn wanted_pause(answer: &Answer) -> Option<Duration> {
    answer.retry_after()
}
