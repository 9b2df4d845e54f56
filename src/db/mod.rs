//! One SQLite file: one writer, many read-only readers. Knows no table.
//!
//! Writes go to a thread that owns the only write connection. It takes what is waiting, up to [`GROUP_MAX`] requests,
//! into one `BEGIN IMMEDIATE` transaction with a savepoint each, and answers after the commit: with
//! `synchronous=FULL` an answer means that the data is on disk, and grouping pays for the fsync. Several processes may
//! open the file; only the server checkpoints.

mod examine;
mod schema;
mod slow;
mod upgrade;
mod upkeep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::metrics;

pub use examine::{Examined, checkpoint, examine, look};
pub use schema::{Status, status};
pub use slow::log_slower_than;
pub use upgrade::{Snapshot, go_back, snapshots};
pub use upkeep::{GiveBack, Size, give_back, size, study};
use writer::Writer;

/// The most requests that share one transaction.
pub const GROUP_MAX: usize = 64;

/// Readers that may run at once; each is a connection with its own page cache.
const READERS: u32 = 8;

/// How long one attempt waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a process may do to the file besides reading and writing rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one server: checkpoints the log and truncates it when idle.
    Server,
    /// A worker or a command: never checkpoints, so that the server alone decides what becomes of the log.
    Guest,
}

/// Why the database could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// SQLite refused a statement.
    #[error("a database statement failed")]
    Query(#[source] Arc<rusqlite::Error>),
    /// The group's transaction could not be committed; nothing of it was kept.
    #[error("the database could not commit")]
    Commit(#[source] Arc<rusqlite::Error>),
    /// No reading connection became free in time.
    #[error("no database connection became free")]
    Pool(#[source] Arc<r2d2::Error>),
    /// The file could not be opened.
    #[error("the database {path} could not be opened")]
    Open {
        /// Where the file is.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A migration failed, and all that were to be applied with it; the database is as it was.
    #[error(
        "the database could not be upgraded and is as it was: the version of Safelight that last used it can go on \
         with it"
    )]
    Migrate(#[source] Arc<refinery::Error>),
    /// The database was broken before an upgrade touched it.
    #[error("the database {path} is damaged and was not upgraded: {damage}; restore a backup of it")]
    Damaged {
        /// Where the file is.
        path: PathBuf,
        /// What SQLite said.
        damage: String,
    },
    /// What the migrations made of the database did not hold; it was put back.
    #[error(
        "the upgrade of the database was taken back, because afterwards {wrong}; it has schema {schema} as before, and \
         the version of Safelight that last used it can go on with it"
    )]
    TakenBack {
        /// What was wrong.
        wrong: String,
        /// The schema that it has again.
        schema: i64,
    },
    /// There is no copy to go back to if an upgrade fails, so none is begun.
    #[error("no copy of the database could be put at {path}, and without one it is not changed")]
    Snapshot {
        /// Where it should have been.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A newer Safelight has written this database.
    #[error(
        "the database has schema {found}, but this Safelight knows schemas up to {known}: start the newer version \
         that wrote it, or put back what was there before the upgrade: `safelight migrate back` tells how"
    )]
    TooNew {
        /// The schema in the file.
        found: i64,
        /// The newest schema in this program.
        known: i64,
    },
    /// The database lacks migrations, and this process may not apply them: a server of the older version may be using it.
    #[error(
        "the database has schema {found}, but this program works with schema {known}: stop the server, then start \
         the new one or run `safelight migrate up`"
    )]
    Outdated {
        /// The schema in the file.
        found: i64,
        /// The newest schema in this program.
        known: i64,
    },
    /// The file is an SQLite database, but not Safelight's.
    #[error("{0} is not a Safelight database")]
    Foreign(PathBuf),
    /// The writer has stopped; the process is shutting down.
    #[error("the database is closed")]
    Closed,
    /// The closure that was to run against the database panicked; nothing of it was kept.
    #[error("a database operation panicked: {0}")]
    Panicked(String),
}

impl Error {
    /// The SQLite result code behind this error, where there is one.
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Query(e) | Self::Commit(e) | Self::Open { source: e, .. } => e.sqlite_error_code(),
            _ => None,
        }
    }

    /// Whether trying again can't help before somebody has done something: the file's schema and this program don't
    /// fit together.
    pub const fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Migrate(_)
                | Self::Damaged { .. }
                | Self::TakenBack { .. }
                | Self::Snapshot { .. }
                | Self::TooNew { .. }
                | Self::Outdated { .. }
                | Self::Foreign(_)
        )
    }

    /// Whether the disk was full.
    pub fn is_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    /// Whether a unique or foreign key constraint was violated.
    pub fn is_constraint(&self) -> bool {
        self.code() == Some(ErrorCode::ConstraintViolation)
    }

    /// Whether the file or its folder can't be written.
    pub fn is_read_only(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Query(Arc::new(source))
    }
}

/// What store functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// A write transaction: the connection, and the one clock reading that everything in it shares.
///
/// Only [`Db::write`] makes one, so a function that takes `&Tx` can't run outside a transaction.
pub struct Tx<'a> {
    conn: &'a Connection,
    now: Timestamp,
}

impl Tx<'_> {
    /// The moment that this transaction uses for everything it writes.
    pub const fn now(&self) -> Timestamp {
        self.now
    }
}

impl std::ops::Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.conn
    }
}

/// The database. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    readers: r2d2::Pool<SqliteConnectionManager>,
    writer: Writer,
    path: PathBuf,
    clock: Clock,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Db {
    /// Opens the file, creates it where there is none, and as the server brings its schema up to date. Blocks.
    ///
    /// # Errors
    /// [`Error::Outdated`] when a guest would have to migrate, [`Error::TooNew`] when a newer version wrote it, [`Error::Foreign`] when somebody else did, [`Error::Migrate`]
    /// and [`Error::Open`] when SQLite can't.
    pub fn open(path: &Path, role: Role, clock: Clock) -> Result<Self> {
        let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let open_error = |source| Error::Open { path: path.to_owned(), source: Arc::new(source) };
        schema::claim(&conn, path)?;
        conn.pragma_update(None, "journal_mode", "WAL").map_err(open_error)?;
        conn.pragma_update(None, "synchronous", "FULL").map_err(open_error)?;
        conn.pragma_update(None, "wal_autocheckpoint", 0).map_err(open_error)?;
        conn.pragma_update(None, "journal_size_limit", 64 << 20).map_err(open_error)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, role == Role::Guest)
            .map_err(open_error)?;
        schema::migrate(&mut conn, path, role)?;

        let reader_path = path.to_owned();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let manager = SqliteConnectionManager::file(reader_path).with_flags(flags).with_init(|conn| {
            conn.busy_timeout(BUSY_TIMEOUT)?;
            conn.execute_batch("PRAGMA query_only=ON; PRAGMA foreign_keys=ON; PRAGMA mmap_size=268435456;")?;
            conn.set_prepared_statement_cache_capacity(128);
            slow::watch(conn);
            Ok(())
        });
        let readers = r2d2::Pool::builder()
            .max_size(READERS)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .build(manager)
            .map_err(|e| Error::Pool(Arc::new(e)))?;
        let writer = Writer::start(conn, role, clock.clone());
        Ok(Self(Arc::new(Inner { readers, writer, path: path.to_owned(), clock })))
    }

    /// Runs `f` against one consistent snapshot on a read-only connection, off the async threads.
    ///
    /// # Errors
    /// What `f` returns; [`Error::Pool`] when all readers stay busy; [`Error::Panicked`].
    pub async fn read<T, E, F>(&self, f: F) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&Connection) -> std::result::Result<T, E> + Send + 'static,
    {
        let readers = self.0.readers.clone();
        // What is logged down there belongs to who asked.
        let (asked, span) = (Instant::now(), tracing::Span::current());
        let joined = tokio::task::spawn_blocking(move || {
            let _inside = span.entered();
            let conn = readers.get().map_err(|e| Error::Pool(Arc::new(e)))?;
            metrics::DATABASE.reader_waits.observe(asked.elapsed());
            let snapshot = conn.unchecked_transaction().map_err(Error::from)?;
            f(&snapshot)
        })
        .await;
        joined.unwrap_or_else(|e| Err(Error::Panicked(e.to_string()).into()))
    }

    /// Runs `f` in a write transaction and returns after it is on disk. An error from `f` keeps nothing of it.
    ///
    /// No network, pixels or waiting belong into `f`: every other writer waits for it.
    ///
    /// # Errors
    /// What `f` returns; [`Error::Commit`] when the transaction can't be kept; [`Error::Panicked`]; [`Error::Closed`].
    pub async fn write<T, E, F>(&self, f: F) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&Tx<'_>) -> std::result::Result<T, E> + Send + 'static,
    {
        let clock = self.0.clock.clone();
        self.0.writer.run(move |conn| f(&Tx { conn, now: clock.now() })).await
    }

    /// A counter that grows with each commit, this process's or another's.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.0.writer.commits()
    }

    /// Asks the writer to look whether another process has committed; [`Db::commits`] tells.
    pub async fn notice_foreign_commits(&self) {
        self.0.writer.notice_foreign_commits().await;
    }

    /// Whether the writer takes its turn; waits for what is before it.
    pub async fn answers(&self) -> bool {
        self.0.writer.notice_foreign_commits().await
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Finishes what is waiting, checkpoints if this is the server, and closes the write connection. Later writes
    /// are answered [`Error::Closed`]. Blocks.
    pub fn close(&self) {
        self.0.writer.close();
    }
}

/// Opens a connection with the pragmas that readers and the writer share.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let open = || {
        let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.execute_batch("PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;")?;
        conn.set_prepared_statement_cache_capacity(128);
        slow::watch(&conn);
        Ok(conn)
    };
    open().map_err(|source: rusqlite::Error| Error::Open { path: path.to_owned(), source: Arc::new(source) })
}
