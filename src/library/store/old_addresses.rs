//! The SQL of `old_addresses` and `old_buckets`.

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::{Result, Tx};
use crate::library::OldAddress;
use crate::library::model::{RenditionId, Seq};

/// What an address is said to stand for last is what it stands for.
pub(in crate::library) fn put(
    tx: &Tx<'_>,
    path: &str,
    media: Seq,
    rendition: Option<RenditionId>,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO old_addresses (path, media_seq, rendition_id) VALUES (?1, ?2, ?3)
         ON CONFLICT (path) DO UPDATE SET media_seq = excluded.media_seq, rendition_id = excluded.rendition_id",
    )?
    .execute(params![path, media, rendition])?;
    Ok(())
}

pub(in crate::library) fn find(conn: &Connection, path: &str) -> Result<Option<OldAddress>> {
    let mut statement = conn.prepare_cached(
        "SELECT m.id, o.rendition_id FROM old_addresses o JOIN media m ON m.seq = o.media_seq WHERE o.path = ?1",
    )?;
    let read = |row: &rusqlite::Row<'_>| Ok(OldAddress { media: row.get(0)?, rendition: row.get(1)? });
    Ok(statement.query_row([path], read).optional()?)
}

pub(in crate::library) fn put_bucket(tx: &Tx<'_>, name: &str, bucket: Seq) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO old_buckets (name, bucket_seq) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET bucket_seq = excluded.bucket_seq",
    )?
    .execute(params![name, bucket])?;
    Ok(())
}

pub(in crate::library) fn find_bucket(conn: &Connection, name: &str) -> Result<Option<Seq>> {
    let mut statement = conn.prepare_cached("SELECT bucket_seq FROM old_buckets WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}
