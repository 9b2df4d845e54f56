//! The SQL of `uploads` and `watched_files`.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::de::DeserializeOwned;

use super::model::{Ended, Kind, NewUpload, Upload, UploadId};
use super::watch::Watched;
use crate::audit::{Actor, UserId};
use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::library::{Destination, MediaId, OnConflict, Slug};

const COLUMNS: &str = "id, user_id, actor, kind, parts, length_bytes, offset_bytes, bucket, folder, name, on_conflict, \
                       modified_at, metadata, ended, media_id, problem, expires_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let kind: String = row.get(3)?;
    let bucket: Option<String> = row.get(7)?;
    let on_conflict: String = row.get(10)?;
    let ended: Option<String> = row.get(13)?;
    Ok(Upload {
        id: row.get(0)?,
        user: row.get(1)?,
        actor: json(row, 2)?,
        kind: match kind.as_str() {
            "partial" => Kind::Partial,
            "final" => Kind::Final(json(row, 4)?),
            _ => Kind::Whole,
        },
        length_bytes: row.get::<_, Option<i64>>(5)?.map(unsigned),
        offset_bytes: unsigned(row.get(6)?),
        to: Destination {
            bucket: bucket.as_deref().and_then(|slug| Slug::parse(slug).ok()),
            folder: row.get(8)?,
            name: row.get(9)?,
            on_conflict: OnConflict::parse(&on_conflict).unwrap_or_default(),
        },
        modified_at: row.get(11)?,
        metadata: row.get(12)?,
        ended: match ended.as_deref() {
            Some("done") => Some(Ended::Done(row.get(14)?)),
            Some(_) => Some(Ended::Failed(json(row, 15)?)),
            None => None,
        },
        expires_at: row.get(16)?,
    })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// Sizes are never negative, and never near the end of 63 bits.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn insert(
    tx: &Tx<'_>,
    user: UserId,
    actor: &Actor,
    new: &NewUpload,
    expires_at: Timestamp,
) -> Result<UploadId> {
    let id = UploadId::new();
    let (kind, parts) = match &new.kind {
        Kind::Whole => ("whole", None),
        Kind::Partial => ("partial", None),
        Kind::Final(parts) => ("final", Some(text(parts))),
    };
    tx.prepare_cached(
        "INSERT INTO uploads (id, user_id, actor, kind, parts, length_bytes, bucket, folder, name, on_conflict,
                              modified_at, metadata, created_at, updated_at, expires_at)
         VALUES (:id, :user_id, :actor, :kind, :parts, :length_bytes, :bucket, :folder, :name, :on_conflict,
                 :modified_at, :metadata, :now, :now, :expires_at)",
    )?
    .execute(named_params! {
        ":id": id,
        ":user_id": user,
        ":actor": text(actor),
        ":kind": kind,
        ":parts": parts,
        ":length_bytes": new.length_bytes.map(signed),
        ":bucket": new.to.bucket,
        ":folder": new.to.folder,
        ":name": new.to.name,
        ":on_conflict": new.to.on_conflict.as_str(),
        ":modified_at": new.modified_at,
        ":metadata": new.metadata,
        ":now": tx.now(),
        ":expires_at": expires_at,
    })?;
    Ok(id)
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

pub(super) fn find(conn: &Connection, id: UploadId) -> Result<Option<Upload>> {
    let sql = format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], from_row).optional()?)
}

/// What somebody has not finished and can still go on with, pieces left out, oldest first.
pub(super) fn list_unfinished(conn: &Connection, user: UserId, now: Timestamp) -> Result<Vec<Upload>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM uploads
         WHERE user_id = ?1 AND expires_at > ?2 AND ended IS NULL AND kind <> 'partial' ORDER BY id"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![user, now], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn count_unfinished(conn: &Connection, user: UserId, now: Timestamp) -> Result<u32> {
    let mut statement = conn.prepare_cached(
        "SELECT count(*) FROM uploads WHERE user_id = ?1 AND expires_at > ?2 AND ended IS NULL",
    )?;
    Ok(statement.query_row(params![user, now], |row| row.get(0))?)
}

/// Those of everybody.
pub(super) fn count_all_unfinished(conn: &Connection, now: Timestamp) -> Result<u64> {
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM uploads WHERE expires_at > ?1 AND ended IS NULL")?
        .query_row([now], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Says how long it will be; false when that was said before.
pub(super) fn set_length(tx: &Tx<'_>, id: UploadId, length_bytes: u64) -> Result<bool> {
    let set = tx
        .prepare_cached("UPDATE uploads SET length_bytes = ?2 WHERE id = ?1 AND length_bytes IS NULL")?
        .execute(params![id, signed(length_bytes)])?;
    Ok(set == 1)
}

/// Notes how much is safe; false when the upload is gone.
pub(super) fn set_offset(
    tx: &Tx<'_>,
    id: UploadId,
    offset_bytes: u64,
    expires_at: Timestamp,
) -> Result<bool> {
    let set = tx
        .prepare_cached(
            "UPDATE uploads SET offset_bytes = ?2, expires_at = ?3, updated_at = ?4 WHERE id = ?1 AND ended IS NULL",
        )?
        .execute(params![id, signed(offset_bytes), expires_at, tx.now()])?;
    Ok(set == 1)
}

pub(super) fn set_done(tx: &Tx<'_>, id: UploadId, media: MediaId, expires_at: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "UPDATE uploads SET ended = 'done', media_id = ?2, expires_at = ?3, updated_at = ?4 WHERE id = ?1",
    )?
    .execute(params![id, media, expires_at, tx.now()])?;
    Ok(())
}

pub(super) fn set_failed(
    tx: &Tx<'_>,
    id: UploadId,
    problem: &serde_json::Value,
    expires_at: Timestamp,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE uploads SET ended = 'failed', problem = ?2, expires_at = ?3, updated_at = ?4
         WHERE id = ?1 AND ended IS NULL",
    )?
    .execute(params![id, text(problem), expires_at, tx.now()])?;
    Ok(())
}

/// False when it was gone.
pub(super) fn delete(tx: &Tx<'_>, id: UploadId) -> Result<bool> {
    Ok(tx.prepare_cached("DELETE FROM uploads WHERE id = ?1")?.execute([id])? == 1)
}

/// Those whose time is over, at most `rows`.
pub(super) fn expired(conn: &Connection, now: Timestamp, rows: u32) -> Result<Vec<UploadId>> {
    let mut statement =
        conn.prepare_cached("SELECT id FROM uploads WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2")?;
    let rows = statement.query_map(params![now, rows], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Those that have all their bytes and were left alone since a moment, and those to be put together that were begun before
/// this process: putting together takes long, and what this process has begun it is still at.
pub(super) fn waiting(
    conn: &Connection,
    left_alone_since: Timestamp,
    process_since: Timestamp,
) -> Result<Vec<Upload>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM uploads
         WHERE ended IS NULL AND updated_at <= ?1
               AND (kind = 'final' AND updated_at < ?2 OR kind = 'whole' AND offset_bytes = length_bytes) ORDER BY id"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([left_alone_since, process_since], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Of some names, those that are no upload's any more: what is staged under them is of no use.
pub(super) fn unknown(conn: &Connection, ids: &[UploadId]) -> Result<Vec<UploadId>> {
    let mut statement =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM uploads WHERE id = ?1 AND ended IS NULL)")?;
    let mut unknown = Vec::new();
    for id in ids {
        if !statement.query_row([id], |row| row.get::<_, bool>(0))? {
            unknown.push(*id);
        }
    }
    Ok(unknown)
}

/// Of some files of the watched folder, those that are not noted as they are.
pub(super) fn new_watched(conn: &Connection, files: Vec<Watched>) -> Result<Vec<Watched>> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM watched_files WHERE path = ?1 AND size_bytes = ?2 AND modified_at = ?3)",
    )?;
    let mut new = Vec::new();
    for file in files {
        let values = params![file.path, signed(file.size_bytes), file.modified_at];
        if !statement.query_row(values, |row| row.get::<_, bool>(0))? {
            new.push(file);
        }
    }
    Ok(new)
}

/// Whether an earlier content of a file of the watched folder was taken.
pub(super) fn was_taken(conn: &Connection, path: &str) -> Result<bool> {
    let mut statement = conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM watched_files WHERE path = ?1 AND problem IS NULL)")?;
    Ok(statement.query_row([path], |row| row.get(0))?)
}

/// Notes that a file of the watched folder was taken, or why it can't be.
pub(super) fn note_watched(tx: &Tx<'_>, file: &Watched, problem: Option<&str>) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO watched_files (path, size_bytes, modified_at, problem) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (path) DO UPDATE SET size_bytes = excluded.size_bytes, modified_at = excluded.modified_at,
                                          problem = excluded.problem",
    )?
    .execute(params![file.path, signed(file.size_bytes), file.modified_at, problem])?;
    Ok(())
}
