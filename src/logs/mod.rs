//! What the program says about itself: one collector of events, and the places that they go to.
//!
//! The collector makes a [`Record`] of each event, with the fields of the spans around it beside its own, and hands it to
//! standard error, a file, a ring of the newest ones in memory, and an [`Observer`] that tells other programs. The level
//! can change at any time. The room knows nothing of what is logged and nobody who reads it.

mod collector;
mod file;
mod record;
mod ring;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, LogLevel};

use file::LogFile;
use ring::Ring;

pub(crate) use record::hexadecimal;
pub use record::{Field, Record, Span, Trace};
pub use ring::{RECORDS_MAX, Wanted};

/// Targets of our own; others are heard from [`Level::WARN`] on.
const OWN_TARGET: &str = "safelight";

/// Somebody who hears every record and every span that has ended. It must neither block nor log.
pub trait Observer: Send + Sync {
    /// Hears a record.
    fn record(&self, record: &Arc<Record>);
    /// Hears a span that has ended.
    fn span(&self, span: Span);
    /// Whether spans are wanted; without it they get no ids.
    fn wants_spans(&self) -> bool;
}

/// The log of a process. Clones share it.
#[derive(Clone)]
pub struct Logs(Arc<Inner>);

struct Inner {
    /// The level of our own targets, as a number that grows with what is said.
    level: AtomicUsize,
    ring: Ring,
    stderr: Option<Looks>,
    file: Option<Mutex<LogFile>>,
    observer: OnceLock<Arc<dyn Observer>>,
}

/// How lines on standard error look.
#[derive(Debug, Clone, Copy)]
enum Looks {
    Json,
    Plain,
    Coloured,
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").field("level", &self.level()).finish_non_exhaustive()
    }
}

impl Logs {
    /// A log that nothing is written to: that of a command, which speaks for itself, and of tests.
    pub fn silent() -> Self {
        Self::new(LogLevel::Info, None, None)
    }

    /// The log as it is configured. It hears nothing before [`Logs::listen`].
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn open(settings: &Log) -> std::io::Result<Self> {
        let is_terminal = std::io::stderr().is_terminal();
        let looks = match settings.format {
            LogFormat::Json => Looks::Json,
            LogFormat::Auto if !is_terminal => Looks::Json,
            _ if is_terminal => Looks::Coloured,
            _ => Looks::Plain,
        };
        let file = |path: &Path| LogFile::open(path, settings.file_max_bytes, settings.files_kept);
        let file = settings.file.as_deref().map(file).transpose()?;
        Ok(Self::new(settings.level, Some(looks), file))
    }

    fn new(level: LogLevel, stderr: Option<Looks>, file: Option<LogFile>) -> Self {
        Self(Arc::new(Inner {
            level: AtomicUsize::new(level as usize),
            ring: Ring::default(),
            stderr,
            file: file.map(Mutex::new),
            observer: OnceLock::new(),
        }))
    }

    /// Hears everything that this process logs from now on.
    ///
    /// # Errors
    /// When somebody else does already.
    pub fn listen(&self) -> Result<(), tracing_subscriber::util::TryInitError> {
        self.subscriber().try_init()
    }

    /// The same for a part of a program.
    pub fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        tracing_subscriber::registry().with(collector::Collector(self.clone()))
    }

    /// Sets how much is said, at once.
    pub fn set_level(&self, level: LogLevel) {
        if self.0.level.swap(level as usize, Ordering::Relaxed) != level as usize {
            // Each place in the code remembers whether anybody listens.
            tracing::callsite::rebuild_interest_cache();
        }
    }

    /// Tells somebody everything from now on; only the first one is heard.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        let _ = self.0.observer.set(observer);
    }

    /// Opens the file again, after somebody has moved it away.
    pub fn reopen(&self) {
        if let Some(file) = &self.0.file {
            file.lock().unwrap_or_else(PoisonError::into_inner).reopen();
        }
    }

    /// The newest records that are wanted, the newest first.
    pub fn newest(&self, wanted: &Wanted, limit: usize) -> Vec<Arc<Record>> {
        self.0.ring.newest(wanted, limit)
    }

    fn level(&self) -> LevelFilter {
        match self.0.level.load(Ordering::Relaxed) {
            0 => LevelFilter::ERROR,
            1 => LevelFilter::WARN,
            2 => LevelFilter::INFO,
            3 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    fn hears(&self, metadata: &Metadata<'_>) -> bool {
        let own = metadata.target().split("::").next() == Some(OWN_TARGET);
        let level = if own { self.level() } else { self.level().min(LevelFilter::WARN) };
        // A span says nothing by itself, but what is said in it has its fields.
        *metadata.level() <= level || (metadata.is_span() && own && *metadata.level() <= Level::INFO)
    }

    /// Hands a record to everybody; `ours` is false for what an observer itself has caused.
    fn take(&self, record: Record, tell_observer: bool) {
        let record = self.0.ring.push(record);
        let mut json = None;
        if let Some(looks) = self.0.stderr {
            let line = match looks {
                Looks::Json => json.get_or_insert_with(|| record.to_json_line()).clone(),
                Looks::Plain => record.to_plain_line(false),
                Looks::Coloured => record.to_plain_line(true),
            };
            // Whoever closed standard error does not want to read it.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
        if let Some(file) = &self.0.file {
            let line = json.unwrap_or_else(|| record.to_json_line());
            file.lock().unwrap_or_else(PoisonError::into_inner).write(&line);
        }
        if let Some(observer) = self.0.observer.get().filter(|_| tell_observer) {
            observer.record(&record);
        }
    }
}
