//! The SQL of `delivery_presets`.

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::{Result, Tx};

/// What a preset is, as a query.
pub(in crate::library) fn find(conn: &Connection, name: &str) -> Result<Option<String>> {
    Ok(conn
        .prepare_cached("SELECT transform FROM delivery_presets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Names with what they are, by name.
pub(in crate::library) fn list(conn: &Connection) -> Result<Vec<(String, String)>> {
    let mut statement = conn.prepare_cached("SELECT name, transform FROM delivery_presets ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::library) fn put(tx: &Tx<'_>, name: &str, transform: &str) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO delivery_presets (name, transform, updated_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET transform = excluded.transform, updated_at = excluded.updated_at",
    )?
    .execute(params![name, transform, tx.now()])?;
    Ok(())
}

/// False when there is none of that name.
pub(in crate::library) fn delete(tx: &Tx<'_>, name: &str) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM delivery_presets WHERE name = ?1")?.execute([name])? == 1)
}
