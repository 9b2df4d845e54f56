//! The SQL of the table `audit`.

use rusqlite::{Connection, Row, named_params};

use super::{Actor, ActorName, Entry, EntryId, Filter, Key, Target};
use crate::db::{self, Tx};

const COLUMNS: &str =
    "id, at, actor_id, actor_name, door, action, target_kind, target_id, target_name, address, details";

pub(super) fn insert(
    tx: &Tx<'_>,
    id: EntryId,
    actor: &Actor,
    action: &str,
    target: &Target<'_>,
    details: &serde_json::Value,
) -> db::Result<()> {
    let details = if details.is_null() { "{}".to_owned() } else { details.to_string() };
    tx.prepare_cached(
        "INSERT INTO audit (id, at, actor_id, actor_name, door, action, target_kind, target_id, target_name,
                            address, details)
         VALUES (:id, :at, :actor_id, :actor_name, :door, :action, :target_kind, :target_id, :target_name,
                 :address, :details)",
    )?
    .execute(named_params! {
        ":id": id,
        ":at": tx.now(),
        ":actor_id": actor.user.as_ref().map(|(id, _)| *id),
        ":actor_name": actor.user.as_ref().map(|(_, name)| name),
        ":door": actor.door.as_str(),
        ":action": action,
        ":target_kind": target.kind,
        ":target_id": target.id,
        ":target_name": target.name,
        ":address": actor.address.map(|address| address.to_string()),
        ":details": details,
    })?;
    Ok(())
}

pub(super) fn list(
    conn: &Connection,
    filter: &Filter,
    before: Option<Key>,
    limit: usize,
) -> db::Result<Vec<Entry>> {
    // Conditions that are not asked for are left out, so that each combination may use its index.
    let mut sql = format!("SELECT {COLUMNS} FROM audit WHERE 1");
    let mut values: Vec<(&str, &dyn rusqlite::ToSql)> = Vec::new();
    if let Some(actor) = &filter.actor {
        sql.push_str(" AND actor_id = :actor");
        values.push((":actor", actor));
    }
    // A group is everything between "media." and "media/", the character after the dot.
    let group = filter.action.as_ref().map(|noun| (format!("{noun}."), format!("{noun}/")));
    if let (Some(action), Some((from, to))) = (&filter.action, &group) {
        if action.contains('.') {
            sql.push_str(" AND action = :action");
            values.push((":action", action));
        } else {
            sql.push_str(" AND action >= :from AND action < :to");
            values.push((":from", from));
            values.push((":to", to));
        }
    }
    if let Some(since) = &filter.since {
        sql.push_str(" AND at >= :since");
        values.push((":since", since));
    }
    if let Some((at, id)) = &before {
        sql.push_str(" AND (at, id) < (:at, :id)");
        values.push((":at", at));
        values.push((":id", id));
    }
    sql.push_str(" ORDER BY at DESC, id DESC LIMIT :limit");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    values.push((":limit", &limit));
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(&*values, from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let actor_id = row.get("actor_id")?;
    let actor_name: Option<String> = row.get("actor_name")?;
    Ok(Entry {
        id: row.get("id")?,
        at: row.get("at")?,
        actor: Option::zip(actor_id, actor_name).map(|(id, name)| ActorName { id, name }),
        action: row.get("action")?,
        target_kind: row.get("target_kind")?,
        target_id: row.get("target_id")?,
        target_name: row.get("target_name")?,
        address: row.get("address")?,
        door: row.get("door")?,
        details: serde_json::from_str(&row.get::<_, String>("details")?).unwrap_or_default(),
    })
}
