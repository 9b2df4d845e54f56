//! The SQL of `buckets` and `folders`.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{json, limit, unsigned};
use crate::config::WebOrigins;
use crate::db::{Result, Tx};
use crate::library::limits::BucketLimits;
use crate::library::model::{Bucket, BucketId, Folder, Seq, Slug, Visibility};
use crate::library::names;
use crate::library::rights::{BucketAccess, BucketRole};

const COLUMNS: &str = "seq, id, slug, name, visibility, created_at, media_count, size_bytes, expire_days, \
                       allowed_types, max_upload_bytes, quota_bytes, keep_versions, keep_location, access, cors_origins";

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
        limits: BucketLimits {
            expire_days: row.get(8)?,
            allowed_types: row.get_ref(9)?.as_str()?.split_whitespace().map(str::to_owned).collect(),
            max_upload_bytes: row.get::<_, Option<i64>>(10)?.map(i64::unsigned_abs),
            quota_bytes: row.get::<_, Option<i64>>(11)?.map(i64::unsigned_abs),
            keep_versions: row.get(12)?,
        },
        keep_location: row.get(13)?,
        access: row.get(14)?,
        // As the machine sees it; whoever asks for somebody says what that one is.
        my_role: BucketRole::Manager,
        cors_origins: WebOrigins::parse(row.get_ref(15)?.as_str()?.split_whitespace()).unwrap_or_default(),
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
    access: BucketAccess,
) -> Result<bool> {
    let inserted = tx.execute(
        "INSERT INTO buckets (id, slug, name, visibility, access, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (slug) DO NOTHING",
        params![BucketId::new(), slug, name, visibility, access, tx.now()],
    )?;
    Ok(inserted == 1)
}

pub(in crate::library) fn find(conn: &Connection, slug: &Slug) -> Result<Option<Bucket>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM buckets WHERE slug = ?1"))?;
    Ok(statement.query_row([slug], bucket_from_row).optional()?)
}

pub(in crate::library) fn find_by_seq(conn: &Connection, bucket: Seq) -> Result<Option<Bucket>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM buckets WHERE seq = ?1"))?;
    Ok(statement.query_row([bucket], bucket_from_row).optional()?)
}

pub(in crate::library) fn id_of(conn: &Connection, slug: &Slug) -> Result<Option<BucketId>> {
    let mut statement = conn.prepare_cached("SELECT id FROM buckets WHERE slug = ?1")?;
    Ok(statement.query_row([slug], |row| row.get(0)).optional()?)
}

pub(in crate::library) fn seq_of(conn: &Connection, id: BucketId) -> Result<Option<Seq>> {
    let mut statement = conn.prepare_cached("SELECT seq FROM buckets WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// The sites whose pages may read what is in a bucket; none if there is no such bucket.
pub(in crate::library) fn cors_origins(conn: &Connection, slug: &Slug) -> Result<Option<WebOrigins>> {
    let mut statement = conn.prepare_cached("SELECT cors_origins FROM buckets WHERE slug = ?1")?;
    let found = statement.query_row([slug], |row| {
        Ok(WebOrigins::parse(row.get_ref(0)?.as_str()?.split_whitespace()).unwrap_or_default())
    });
    Ok(found.optional()?)
}

/// Those among some, in the order of their slugs.
pub(in crate::library) fn list(
    conn: &Connection,
    among: &[Seq],
    after: Option<&str>,
    rows: usize,
) -> Result<Vec<Bucket>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM buckets WHERE seq IN (SELECT value FROM json_each(?1)) AND slug > ?2
         ORDER BY slug LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let values = params![json(among), after.unwrap_or(""), limit(rows)];
    let rows = statement.query_map(values, bucket_from_row)?;
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
    access: BucketAccess,
    keep_location: bool,
    cors_origins: &WebOrigins,
) -> Result<()> {
    tx.execute(
        "UPDATE buckets SET name = ?2, visibility = ?3, access = ?4, keep_location = ?5, cors_origins = ?6
         WHERE seq = ?1",
        params![bucket, name, visibility, access, keep_location, cors_origins.as_slice().join(" ")],
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
