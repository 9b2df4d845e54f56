//! The rows behind the live stream: a deed and the news of it are one transaction. They live for a day.

use std::time::Duration;

use rusqlite::{Connection, params};
use serde::Serialize;

use crate::db::{self, Tx};

/// How long an event can be caught up with.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Who may see an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// One user, by the text of the id.
    User(String),
    /// Everybody with a permission, by its name.
    Permission(&'static str),
    /// Everybody who sees a bucket at the time of telling, by the text of its id.
    Bucket(String),
}

impl Audience {
    fn text(&self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Permission(name) => format!("permission:{name}"),
            Self::Bucket(id) => format!("bucket:{id}"),
        }
    }
}

/// One event as stored.
#[derive(Debug, Clone)]
pub struct Event {
    /// Grows with each event; what `Last-Event-ID` holds.
    pub id: i64,
    /// What happened: `media`, `buckets`, `restoration`, `job`, `session-ended`.
    pub name: String,
    /// `user:<id>`, `permission:<name>` or `bucket:<id>`.
    pub audience: String,
    /// JSON.
    pub data: String,
}

/// Writes an event in the transaction of the deed.
///
/// # Errors
/// When the row can't be written.
pub fn emit(tx: &Tx<'_>, name: &str, audience: &Audience, data: &impl Serialize) -> db::Result<()> {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "null".into());
    tx.prepare_cached("INSERT INTO events (at, name, audience, data) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![tx.now(), name, audience.text(), data])?;
    Ok(())
}

/// Events after an id, oldest first, at most `limit`.
///
/// # Errors
/// When the rows can't be read.
pub fn after(conn: &Connection, id: i64, limit: usize) -> db::Result<Vec<Event>> {
    let mut statement = conn
        .prepare_cached("SELECT id, name, audience, data FROM events WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![id, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(Event { id: row.get(0)?, name: row.get(1)?, audience: row.get(2)?, data: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The id of the newest event; 0 when there was none yet.
///
/// # Errors
/// When the row can't be read.
pub fn newest(conn: &Connection) -> db::Result<i64> {
    let mut statement =
        conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Removes events that nobody will catch up with, at most `limit`; returns how many.
///
/// # Errors
/// When the rows can't be removed.
pub fn prune(tx: &Tx<'_>, limit: usize) -> db::Result<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let removed = tx
        .prepare_cached(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute(params![tx.now() - KEPT_FOR, limit])?;
    Ok(removed)
}
