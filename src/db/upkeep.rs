//! What keeps a database quick and small: statistics for the planner, and pages that are given back to the disk.

use rusqlite::Connection;

use super::{Result, Tx};

/// How large the database is. Read without looking at any table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of all pages.
    pub bytes: u64,
    /// Bytes of pages that hold nothing and are used again before the file grows.
    pub free_bytes: u64,
}

/// Tells how large the database is.
///
/// # Errors
/// When SQLite can't read its first page.
pub fn size(conn: &Connection) -> Result<Size> {
    let ask = |pragma: &str| -> Result<u64> {
        let number: i64 = conn.pragma_query_value(None, pragma, |row| row.get(0))?;
        Ok(number.unsigned_abs())
    };
    let page = ask("page_size")?;
    Ok(Size { bytes: ask("page_count")? * page, free_bytes: ask("freelist_count")? * page })
}

/// Lets SQLite refresh the statistics from which it plans, of tables that have changed much. A limit keeps it to some
/// thousand rows of each index.
///
/// # Errors
/// When they can't be written.
pub fn study(tx: &Tx<'_>) -> Result<()> {
    // 0x10000: all tables, also those that this connection has not asked; 0x10: with a limit, which it has not by
    // itself; 2: do it (https://sqlite.org/pragma.html).
    run_through(tx, "PRAGMA optimize(0x10012)")
}

/// What became of giving pages back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveBack {
    /// There may be more.
    Some,
    /// What is left is too little to care.
    Done,
    /// The file was made in a way that keeps its pages for ever.
    Fixed,
}

/// Pages that stay in the file: a library that has shrunk today grows tomorrow.
const SPARE_PAGES: i64 = 2048;

/// Pages that are given back in one go, while other writers wait.
const PAGES_AT_ONCE: i64 = 512;

/// Gives some free pages at the end of the file back to the disk, where there are many.
///
/// # Errors
/// When pages can't be moved.
pub fn give_back(tx: &Tx<'_>) -> Result<GiveBack> {
    let ask = |pragma: &str| -> Result<i64> { Ok(tx.pragma_query_value(None, pragma, |row| row.get(0))?) };
    if ask("auto_vacuum")? != INCREMENTAL {
        return Ok(GiveBack::Fixed);
    }
    let free = ask("freelist_count")?;
    if free <= SPARE_PAGES {
        return Ok(GiveBack::Done);
    }
    run_through(tx, &format!("PRAGMA incremental_vacuum({})", PAGES_AT_ONCE.min(free - SPARE_PAGES)))?;
    Ok(if ask("freelist_count")? < free { GiveBack::Some } else { GiveBack::Done })
}

/// SQLite's number of `auto_vacuum` for files whose free pages can be given back.
const INCREMENTAL: i64 = 2;

/// Makes an empty file one whose free pages can be given back. Later that would mean writing it anew.
pub(super) fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update(None, "auto_vacuum", INCREMENTAL)
}

/// Steps through a statement to its end: these pragmas do a piece of their work at each step.
fn run_through(conn: &Connection, sql: &str) -> Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
