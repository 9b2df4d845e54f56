//! All SQL of the table `restoration_steps`, and whether a blob that the library keeps for a media is still needed.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::library::{MediaId, RestorationId};
use crate::restore::model::KeptStep;
use crate::storage::BlobId;

const COLUMNS: &str = "place, picture, content_type, width, height, recreated";

fn from_row(row: &Row<'_>) -> rusqlite::Result<KeptStep> {
    Ok(KeptStep {
        place: row.get("place")?,
        picture: row.get("picture")?,
        content_type: row.get("content_type")?,
        width: row.get("width")?,
        height: row.get("height")?,
        recreated: row.get("recreated")?,
    })
}

/// Writes down the picture after a step.
pub(in crate::restore) fn put(tx: &Tx<'_>, id: RestorationId, media: MediaId, step: &KeptStep) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO restoration_steps (restoration_id, place, media_id, picture, content_type, width, height, recreated,
                                        created_at)
         VALUES (:id, :place, :media, :picture, :content_type, :width, :height, :recreated, :now)
         ON CONFLICT (restoration_id, place) DO UPDATE SET picture = excluded.picture,
             content_type = excluded.content_type, width = excluded.width, height = excluded.height,
             recreated = excluded.recreated, created_at = excluded.created_at",
    )?
    .execute(named_params! {
        ":id": id,
        ":place": step.place,
        ":media": media,
        ":picture": step.picture,
        ":content_type": step.content_type,
        ":width": step.width,
        ":height": step.height,
        ":recreated": step.recreated,
        ":now": tx.now(),
    })?;
    Ok(())
}

pub(in crate::restore) fn find(conn: &Connection, id: RestorationId, place: u32) -> Result<Option<KeptStep>> {
    let sql = format!("SELECT {COLUMNS} FROM restoration_steps WHERE restoration_id = ?1 AND place = ?2");
    Ok(conn.prepare_cached(&sql)?.query_row(params![id, place], from_row).optional()?)
}

/// Those of a restoration, in their order.
pub(in crate::restore) fn list(conn: &Connection, id: RestorationId) -> Result<Vec<KeptStep>> {
    let sql = format!("SELECT {COLUMNS} FROM restoration_steps WHERE restoration_id = ?1 ORDER BY place");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The restorations of a media with pictures, the newest first, without the newest `most`.
pub(in crate::restore) fn of_media(
    conn: &Connection,
    media: MediaId,
    most: usize,
) -> Result<Vec<RestorationId>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT restoration_id FROM restoration_steps WHERE media_id = ?1
         ORDER BY restoration_id DESC LIMIT -1 OFFSET ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found = statement.query_map(params![media, most], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Restorations that have gone themselves and have pictures still. Goes through all of them.
pub(in crate::restore) fn orphans(conn: &Connection) -> Result<Vec<(RestorationId, MediaId)>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT restoration_id, media_id FROM restoration_steps
         WHERE NOT EXISTS (SELECT 1 FROM restorations WHERE restorations.id = restoration_id)",
    )?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Restorations with pictures that were kept before a moment, at most `rows`.
pub(in crate::restore) fn outdated(
    conn: &Connection,
    before: Timestamp,
    rows: usize,
) -> Result<Vec<(RestorationId, MediaId)>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT restoration_id, media_id FROM restoration_steps
         WHERE created_at < ?1 LIMIT ?2",
    )?;
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let found = statement.query_map(params![before, rows], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::restore) fn delete(tx: &Tx<'_>, id: RestorationId) -> Result<()> {
    tx.prepare_cached("DELETE FROM restoration_steps WHERE restoration_id = ?1")?.execute([id])?;
    Ok(())
}

/// Whether a blob of a media is a mask, the result of a call, a picture after a step, or where a restoration that has not
/// ended begins.
pub(in crate::restore) fn is_needed(conn: &Connection, media: MediaId, blob: BlobId) -> Result<bool> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM restoration_steps WHERE media_id = :media AND picture = :blob)
             OR EXISTS (SELECT 1 FROM restorations r WHERE r.media_id = :media AND (
                 r.mask = :blob OR instr(r.steps, :name)
                 OR (r.state IN ('queued', 'running') AND instr(coalesce(r.beginning, ''), :name))
                 OR EXISTS (SELECT 1 FROM restoration_calls c WHERE c.restoration_id = r.id AND c.result = :blob)))",
    )?;
    let name = blob.to_string();
    Ok(statement
        .query_row(named_params! { ":media": media, ":blob": blob, ":name": name }, |row| row.get(0))?)
}
