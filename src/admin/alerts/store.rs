//! The SQL of `alerts`.

use rusqlite::{Connection, Row, named_params, params};

use super::{Alert, Channels, Condition, Stage};
use crate::db::{Result, Tx};

const COLUMNS: &str = "name, level, title, what, advice, stage, since, absent_since, mail_due, webhook_due";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        condition: Condition {
            name: row.get(0)?,
            level: row.get(1)?,
            title: row.get(2)?,
            what: row.get(3)?,
            advice: row.get(4)?,
        },
        stage: if row.get::<_, String>(5)? == "over" { Stage::Over } else { Stage::Begun },
        since: row.get(6)?,
        absent_since: row.get(7)?,
        due: Channels { mail: row.get(8)?, webhook: row.get(9)? },
    })
}

pub(super) fn all(conn: &Connection) -> Result<Vec<Alert>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM alerts ORDER BY since, name"))?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes an alert as it now is, in the place of what was known of it.
pub(super) fn put(tx: &Tx<'_>, alert: &Alert) -> Result<()> {
    let Alert { condition, stage, since, absent_since, due } = alert;
    tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO alerts ({COLUMNS}) VALUES (:name, :level, :title, :what, :advice, :stage, :since,
             :absent_since, :mail_due, :webhook_due)"
    ))?
    .execute(named_params! {
        ":name": condition.name,
        ":level": condition.level,
        ":title": condition.title,
        ":what": condition.what,
        ":advice": condition.advice,
        ":stage": stage.name(),
        ":since": since,
        ":absent_since": absent_since,
        ":mail_due": due.mail,
        ":webhook_due": due.webhook,
    })?;
    Ok(())
}

pub(super) fn remove(tx: &Tx<'_>, name: &str) -> Result<()> {
    tx.execute("DELETE FROM alerts WHERE name = ?1", params![name])?;
    Ok(())
}
