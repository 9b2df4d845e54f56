//! A look at a file from outside: without a writer, and without changing anything but by [`checkpoint`].

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Result, connect};

/// How many faults are told: one is enough to know that something is wrong.
const FAULTS_MAX: u32 = 5;

/// Steps of SQLite's machine between two looks at the time.
const STEPS: i32 = 100_000;

/// What an examination found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The size of the file, without its log.
    pub size_bytes: u64,
    /// What SQLite has to say about it; nothing if it is sound.
    pub faults: Vec<String>,
}

/// Looks through a database: its pages, and in `full` every index against its table too. None when it takes longer than
/// until `ends`. Blocks.
///
/// # Errors
/// [`super::Error::Open`], [`super::Error::Query`]: it can't be read at all.
pub fn examine(path: &Path, full: bool, ends: Instant) -> Result<Option<Examined>> {
    look(path, |conn| {
        conn.progress_handler(STEPS, Some(move || Instant::now() > ends))?;
        let check = if full { "integrity_check" } else { "quick_check" };
        let read = || {
            let mut statement = conn.prepare(&format!("PRAGMA {check}({FAULTS_MAX})"))?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>()
        };
        match read() {
            Ok(said) => Ok(Some(Examined {
                size_bytes: std::fs::metadata(path).map_or(0, |file| file.len()),
                faults: said.into_iter().filter(|fault| fault != "ok").collect(),
            })),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
            Err(e) => Err(e.into()),
        }
    })
}

/// Reads something from a file that this process does not work with. Blocks.
///
/// # Errors
/// [`super::Error::Open`], and what `f` returns.
pub fn look<T>(path: &Path, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    f(&connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// Moves the log of a database that nobody works with into it, and empties the log. Blocks.
///
/// # Errors
/// [`super::Error::Open`], [`super::Error::Query`].
pub fn checkpoint(path: &Path) -> Result<()> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
