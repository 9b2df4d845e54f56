//! The SQL of `blobs`. A blob is in use while a version, a rendition or an attachment names it.

use rusqlite::{Connection, Row, params};

use super::{limit, signed};
use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::library::model::{Seq, Stored};
use crate::storage::{BlobId, Kept, Listed};

/// True where nothing refers to the blob of the row.
const UNUSED: &str = "NOT EXISTS (SELECT 1 FROM versions WHERE versions.sha256 = blobs.sha256)
                      AND NOT EXISTS (SELECT 1 FROM renditions WHERE renditions.sha256 = blobs.sha256)
                      AND NOT EXISTS (SELECT 1 FROM attachments WHERE attachments.sha256 = blobs.sha256)";

/// How many there are, from the row that triggers keep.
pub(in crate::library) fn stored(conn: &Connection) -> Result<Stored> {
    let mut statement = conn.prepare_cached("SELECT blob_count, size_bytes FROM blob_totals")?;
    let number = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(statement.query_row([], |row| Ok(Stored { blobs: number(row, 0)?, size_bytes: number(row, 1)? }))?)
}

/// Writes down that a blob is there and wanted; one that was condemned is pardoned.
pub(in crate::library) fn pardon(tx: &Tx<'_>, kept: &Kept) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO blobs (sha256, md5, size_bytes, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (sha256) DO UPDATE SET md5 = excluded.md5, condemned_at = NULL",
    )?
    .execute(params![kept.blob(), kept.md5(), signed(kept.size_bytes()), tx.now()])?;
    Ok(())
}

/// Ties a blob to a media.
pub(in crate::library) fn attach(tx: &Tx<'_>, media: Seq, kept: &Kept) -> Result<()> {
    pardon(tx, kept)?;
    tx.prepare_cached("INSERT INTO attachments (media_seq, sha256) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![media, kept.blob()])?;
    Ok(())
}

/// Unties a blob from a media; it is condemned if nothing else refers to it.
pub(in crate::library) fn detach(tx: &Tx<'_>, media: Seq, blob: BlobId) -> Result<()> {
    tx.prepare_cached("DELETE FROM attachments WHERE media_seq = ?1 AND sha256 = ?2")?
        .execute(params![media, blob])?;
    condemn_if_unused(tx, blob)
}

/// Whether any blob is on record.
pub(in crate::library) fn exist(conn: &Connection) -> Result<bool> {
    Ok(conn.query_row("SELECT EXISTS (SELECT 1 FROM blobs)", [], |row| row.get(0))?)
}

/// Some that are wanted.
pub(in crate::library) fn some(conn: &Connection, count: usize) -> Result<Vec<BlobId>> {
    let mut statement =
        conn.prepare_cached("SELECT sha256 FROM blobs WHERE condemned_at IS NULL ORDER BY sha256 LIMIT ?1")?;
    let rows = statement.query_map([limit(count)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Marks a blob for removal if nothing refers to it.
pub(in crate::library) fn condemn_if_unused(tx: &Tx<'_>, blob: BlobId) -> Result<()> {
    tx.prepare_cached(&format!(
        "UPDATE blobs SET condemned_at = ?2 WHERE sha256 = ?1 AND condemned_at IS NULL AND {UNUSED}"
    ))?
    .execute(params![blob, tx.now()])?;
    Ok(())
}

/// Blobs that were condemned before a moment, the longest condemned first.
pub(in crate::library) fn condemned_before(
    conn: &Connection,
    before: Timestamp,
    rows: usize,
) -> Result<Vec<BlobId>> {
    let mut statement = conn.prepare_cached(
        "SELECT sha256 FROM blobs WHERE condemned_at IS NOT NULL AND condemned_at < ?1 ORDER BY condemned_at LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before, limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Takes a blob off the records if it is still condemned and nothing refers to it; false if it is wanted.
pub(in crate::library) fn forget(tx: &Tx<'_>, blob: BlobId, condemned_before: Timestamp) -> Result<bool> {
    let deleted = tx
        .prepare_cached(&format!("DELETE FROM blobs WHERE sha256 = ?1 AND condemned_at < ?2 AND {UNUSED}"))?
        .execute(params![blob, condemned_before])?;
    Ok(deleted == 1)
}

/// Of some blobs, those that have no row.
pub(in crate::library) fn unknown(conn: &Connection, listed: &[Listed]) -> Result<Vec<Listed>> {
    let mut statement = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM blobs WHERE sha256 = ?1)")?;
    let mut unknown = Vec::new();
    for blob in listed {
        if !statement.query_row([blob.blob], |row| row.get::<_, bool>(0))? {
            unknown.push(*blob);
        }
    }
    Ok(unknown)
}

/// Writes down a file that was found on disk without a row, condemned from now on.
pub(in crate::library) fn condemn_found(tx: &Tx<'_>, found: Listed) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO blobs (sha256, size_bytes, created_at, condemned_at) VALUES (?1, ?2, ?3, ?3)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![found.blob, signed(found.size_bytes), tx.now()])?;
    Ok(())
}
