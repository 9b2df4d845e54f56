//! The table of settings.

use rusqlite::{Connection, params};

use crate::db::{self, Tx};

/// A value as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: String,
    /// JSON; nothing for a secret.
    pub(super) value: Option<String>,
    /// A secret, encrypted.
    pub(super) sealed: Option<Vec<u8>>,
}

pub(super) fn all(conn: &Connection) -> db::Result<Vec<Row>> {
    let mut statement = conn.prepare_cached("SELECT key, value, sealed FROM settings ORDER BY key")?;
    let rows = statement.query_map([], |row| {
        Ok(Row { key: row.get("key")?, value: row.get("value")?, sealed: row.get("sealed")? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn put(tx: &Tx<'_>, row: &Row) -> db::Result<()> {
    tx.prepare_cached(
        "INSERT INTO settings (key, value, sealed, changed_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, sealed = excluded.sealed,
             changed_at = excluded.changed_at",
    )?
    .execute(params![row.key, row.value, row.sealed, tx.now().as_millis()])?;
    Ok(())
}

pub(super) fn remove(tx: &Tx<'_>, key: &str) -> db::Result<()> {
    tx.prepare_cached("DELETE FROM settings WHERE key = ?1")?.execute([key])?;
    Ok(())
}
