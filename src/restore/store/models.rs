//! All SQL of the tables `models` and `model_states`.

use std::collections::HashMap;

use rusqlite::types::Type;
use rusqlite::{Connection, params};

use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::engine::remote::Model;

/// What has become of a model.
#[derive(Debug, Clone, Copy)]
pub(in crate::restore) struct State {
    pub(in crate::restore) enabled: bool,
    pub(in crate::restore) retired_at: Option<Timestamp>,
}

/// The admin's own models, by id.
pub(in crate::restore) fn list(conn: &Connection) -> Result<Vec<Model>> {
    let mut statement = conn.prepare_cached("SELECT model FROM models ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let text: String = row.get(0)?;
        serde_json::from_str(&text)
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(e)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::restore) fn states(conn: &Connection) -> Result<HashMap<String, State>> {
    let mut statement = conn.prepare_cached("SELECT id, enabled, retired_at FROM model_states")?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, State { enabled: row.get(1)?, retired_at: row.get(2)? })))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a model, or changes the one with its id.
pub(in crate::restore) fn put(tx: &Tx<'_>, model: &Model) -> Result<()> {
    let text = serde_json::to_string(model).expect("models are plain data");
    tx.execute(
        "INSERT INTO models (id, model, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT (id) DO UPDATE SET model = excluded.model, updated_at = excluded.updated_at",
        params![model.id, text, tx.now()],
    )?;
    Ok(())
}

/// False if there is none.
pub(in crate::restore) fn delete(tx: &Tx<'_>, id: &str) -> Result<bool> {
    tx.execute("DELETE FROM model_states WHERE id = ?1", [id])?;
    Ok(tx.execute("DELETE FROM models WHERE id = ?1", [id])? > 0)
}

/// Enables or disables a model. What is enabled anew is given another chance.
pub(in crate::restore) fn set_enabled(tx: &Tx<'_>, id: &str, enabled: bool) -> Result<()> {
    tx.execute(
        "INSERT INTO model_states (id, enabled) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET enabled = excluded.enabled,
             retired_at = CASE WHEN excluded.enabled THEN NULL ELSE retired_at END",
        params![id, enabled],
    )?;
    Ok(())
}

pub(in crate::restore) fn retire(tx: &Tx<'_>, id: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO model_states (id, retired_at) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET retired_at = coalesce(retired_at, excluded.retired_at)",
        params![id, tx.now()],
    )?;
    Ok(())
}
