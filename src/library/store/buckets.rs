//! The SQL of `buckets` and `folders`.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{limit, unsigned};
use crate::db::{Result, Tx};
use crate::library::model::{Bucket, BucketId, Folder, Seq, Slug, Visibility};
use crate::library::names;

const COLUMNS: &str = "seq, id, slug, name, visibility, created_at, media_count, size_bytes, keep_location";

fn bucket_from_row(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    Ok(Bucket {
        seq: row.get(0)?,
        id: row.get(1)?,
        slug: row.get(2)?,
        name: row.get(3)?,
        visibility: row.get(4)?,
        created_at: row.get(5)?,
        media_count: unsigned(row, 6)?,
        size_bytes: unsigned(row, 7)?,
        keep_location: row.get(8)?,
    })
}

fn folder_from_row(row: &Row<'_>) -> rusqlite::Result<Folder> {
    Ok(Folder { path: row.get(0)?, name: row.get(1)?, media_count: unsigned(row, 2)? })
}

/// False when the slug is taken.
pub(in crate::library) fn insert(
    tx: &Tx<'_>,
    slug: &Slug,
    name: &str,
    visibility: Visibility,
) -> Result<bool> {
    let inserted = tx.execute(
        "INSERT INTO buckets (id, slug, name, visibility, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (slug) DO NOTHING",
        params![BucketId::new(), slug, name, visibility, tx.now()],
    )?;
    Ok(inserted == 1)
}

pub(in crate::library) fn find(conn: &Connection, slug: &Slug) -> Result<Option<Bucket>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM buckets WHERE slug = ?1"))?;
    Ok(statement.query_row([slug], bucket_from_row).optional()?)
}

/// The oldest one.
pub(in crate::library) fn first(conn: &Connection) -> Result<Option<Bucket>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM buckets ORDER BY seq LIMIT 1"))?;
    Ok(statement.query_row([], bucket_from_row).optional()?)
}

/// In the order of their slugs.
pub(in crate::library) fn list(conn: &Connection, after: Option<&str>, rows: usize) -> Result<Vec<Bucket>> {
    let sql = format!("SELECT {COLUMNS} FROM buckets WHERE slug > ?1 ORDER BY slug LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![after.unwrap_or(""), limit(rows)], bucket_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::library) fn seqs(conn: &Connection) -> Result<Vec<Seq>> {
    let mut statement = conn.prepare_cached("SELECT seq FROM buckets ORDER BY seq")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::library) fn update(
    tx: &Tx<'_>,
    bucket: Seq,
    name: &str,
    visibility: Visibility,
    keep_location: bool,
) -> Result<()> {
    tx.execute(
        "UPDATE buckets SET name = ?2, visibility = ?3, keep_location = ?4 WHERE seq = ?1",
        params![bucket, name, visibility, keep_location],
    )?;
    Ok(())
}

/// Media in it: those in the trash, and all others.
pub(in crate::library) fn count(conn: &Connection, bucket: Seq) -> Result<(u64, u64)> {
    let mut statement = conn.prepare_cached(
        "SELECT (SELECT count(*) FROM media WHERE bucket_seq = ?1 AND trashed = 1), media_count
         FROM buckets WHERE seq = ?1",
    )?;
    Ok(statement.query_row([bucket], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?)
}

/// Media and bytes of all buckets.
pub(in crate::library) fn totals(conn: &Connection) -> Result<(u64, u64)> {
    let mut statement = conn
        .prepare_cached("SELECT coalesce(sum(media_count), 0), coalesce(sum(size_bytes), 0) FROM buckets")?;
    Ok(statement.query_row([], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?)
}

pub(in crate::library) fn delete(tx: &Tx<'_>, bucket: Seq) -> Result<()> {
    tx.execute("DELETE FROM buckets WHERE seq = ?1", [bucket])?;
    Ok(())
}

/// Makes the folder and its parents where they are missing; the top always exists.
pub(in crate::library) fn ensure_folder(tx: &Tx<'_>, bucket: Seq, path: &str) -> Result<()> {
    let mut path = path;
    while !path.is_empty() {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let inserted = tx
            .prepare_cached(
                "INSERT INTO folders (bucket_seq, path, parent, name, name_folded, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute(params![bucket, path, parent, name, names::fold(name), tx.now()])?;
        if inserted == 0 {
            // Where a folder is, its parents are.
            return Ok(());
        }
        path = parent;
    }
    Ok(())
}

pub(in crate::library) fn find_folder(conn: &Connection, bucket: Seq, path: &str) -> Result<Option<Folder>> {
    let mut statement = conn
        .prepare_cached("SELECT path, name, media_count FROM folders WHERE bucket_seq = ?1 AND path = ?2")?;
    Ok(statement.query_row(params![bucket, path], folder_from_row).optional()?)
}

/// The folders directly in `parent`, by name, after a folded name and path.
pub(in crate::library) fn list_folders(
    conn: &Connection,
    bucket: Seq,
    parent: &str,
    after: Option<&(String, String)>,
    rows: usize,
) -> Result<Vec<Folder>> {
    let mut statement = conn.prepare_cached(
        "SELECT path, name, media_count FROM folders
         WHERE bucket_seq = ?1 AND parent = ?2 AND (name_folded, path) > (?3, ?4)
         ORDER BY name_folded, path LIMIT ?5",
    )?;
    let (name, path) = after.map_or(("", ""), |(name, path)| (name, path));
    let rows = statement.query_map(params![bucket, parent, name, path, limit(rows)], folder_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A folder and those below it that hold something, at most `rows`.
pub(in crate::library) fn tree(
    conn: &Connection,
    bucket: Seq,
    path: &str,
    rows: usize,
) -> Result<Vec<String>> {
    let mut statement = conn.prepare_cached(
        "SELECT path FROM folders WHERE bucket_seq = ?1 AND path = ?2 AND media_count > 0
         UNION ALL
         SELECT path FROM folders WHERE bucket_seq = ?1 AND path > ?2 || '/' AND path < ?2 || '0' AND media_count > 0
         LIMIT ?3",
    )?;
    let rows = statement.query_map(params![bucket, path, limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
