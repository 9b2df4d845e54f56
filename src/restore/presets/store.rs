//! All SQL of the table `restoration_presets`.

use rusqlite::{Connection, named_params};

use super::super::store::{from_json, json};
use super::model::OwnPreset;
use crate::db::{Result, Tx};

/// All of them, by title.
pub(in crate::restore) fn list(conn: &Connection) -> Result<Vec<OwnPreset>> {
    let mut statement = conn.prepare_cached(
        "SELECT name, title, description, steps, created_by, created_at, updated_at FROM restoration_presets
         ORDER BY title COLLATE NOCASE, name",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(OwnPreset {
            name: row.get("name")?,
            title: row.get("title")?,
            description: row.get("description")?,
            steps: from_json(row, "steps")?,
            created_by: row.get("created_by")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a preset, or changes the one of its name; whose it is and since when stays then.
pub(super) fn put(tx: &Tx<'_>, preset: &OwnPreset) -> Result<()> {
    tx.execute(
        "INSERT INTO restoration_presets (name, title, description, steps, created_by, created_at, updated_at)
         VALUES (:name, :title, :description, :steps, :created_by, :now, :now)
         ON CONFLICT (name) DO UPDATE SET title = excluded.title, description = excluded.description,
             steps = excluded.steps, updated_at = excluded.updated_at",
        named_params! {
            ":name": preset.name,
            ":title": preset.title,
            ":description": preset.description,
            ":steps": json(&preset.steps),
            ":created_by": preset.created_by,
            ":now": tx.now(),
        },
    )?;
    Ok(())
}

pub(super) fn delete(tx: &Tx<'_>, name: &str) -> Result<()> {
    tx.execute("DELETE FROM restoration_presets WHERE name = ?1", [name])?;
    Ok(())
}
