//! The SQL of limits: quotas of buckets and people, what expires, old versions.

use rusqlite::{Connection, OptionalExtension, params};

use super::{limit, signed, unsigned};
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::library::limits::{BucketLimits, UserStorage};
use crate::library::model::{Seq, Slug};
use crate::storage::BlobId;

pub(in crate::library) fn set(tx: &Tx<'_>, bucket: Seq, limits: &BucketLimits) -> Result<()> {
    tx.execute(
        "UPDATE buckets SET expire_days = ?2, allowed_types = ?3, max_upload_bytes = ?4, quota_bytes = ?5,
                keep_versions = ?6
         WHERE seq = ?1",
        params![
            bucket,
            limits.expire_days,
            limits.allowed_types.join(" "),
            limits.max_upload_bytes.map(signed),
            limits.quota_bytes.map(signed),
            limits.keep_versions
        ],
    )?;
    Ok(())
}

/// What a bucket holds, and how much it may.
pub(in crate::library) fn bucket_storage(conn: &Connection, bucket: Seq) -> Result<(u64, Option<u64>)> {
    let mut statement = conn.prepare_cached("SELECT size_bytes, quota_bytes FROM buckets WHERE seq = ?1")?;
    Ok(statement.query_row([bucket], |row| {
        Ok((unsigned(row, 0)?, row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs)))
    })?)
}

pub(in crate::library) fn user_storage(conn: &Connection, user: UserId) -> Result<UserStorage> {
    let mut statement =
        conn.prepare_cached("SELECT size_bytes, quota_bytes FROM user_storage WHERE user_id = ?1")?;
    let found = statement.query_row([user], |row| {
        Ok(UserStorage {
            size_bytes: unsigned(row, 0)?,
            quota_bytes: row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs),
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

pub(in crate::library) fn set_user_quota(tx: &Tx<'_>, user: UserId, quota_bytes: Option<u64>) -> Result<()> {
    tx.execute(
        "INSERT INTO user_storage (user_id, quota_bytes) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET quota_bytes = excluded.quota_bytes",
        params![user, quota_bytes.map(signed)],
    )?;
    Ok(())
}

/// Buckets whose media expire, with the days after which they do.
pub(in crate::library) fn expiring(conn: &Connection) -> Result<Vec<(Seq, Slug, u32)>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, slug, expire_days FROM buckets WHERE expire_days IS NOT NULL ORDER BY seq",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Moves media of a bucket to the trash that came before a moment and were left alone since, at most `rows`; returns how
/// many. What was moved here, taken out of the trash or got another content has come anew.
pub(in crate::library) fn expire(tx: &Tx<'_>, bucket: Seq, before: Timestamp, rows: usize) -> Result<usize> {
    Ok(tx
        .prepare_cached(
            "UPDATE media SET trashed_at = ?3, updated_at = ?3 WHERE seq IN
                 (SELECT seq FROM media INDEXED BY media_by_created
                  WHERE bucket_seq = ?1 AND trashed = 0 AND created_at < ?2 AND updated_at < ?2
                  ORDER BY created_at, seq LIMIT ?4)",
        )?
        .execute(params![bucket, before, tx.now(), limit(rows)])?)
}

/// Who has brought the current content of a media, and whose quota it counts against.
pub(in crate::library) fn added_by(conn: &Connection, media: Seq) -> Result<Option<UserId>> {
    let mut statement = conn.prepare_cached("SELECT added_by FROM media WHERE seq = ?1")?;
    Ok(statement.query_row([media], |row| row.get(0))?)
}

/// Removes all versions of a media but the newest ones and those that something was made from; returns the blobs that they
/// referred to.
pub(in crate::library) fn drop_old_versions(tx: &Tx<'_>, media: Seq, keep: u32) -> Result<Vec<BlobId>> {
    let oldest: Option<u32> = tx
        .prepare_cached(
            "SELECT number FROM versions WHERE media_seq = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2",
        )?
        .query_row(params![media, keep], |row| row.get(0))
        .optional()?;
    let Some(oldest) = oldest else { return Ok(Vec::new()) };
    let blobs = tx
        .prepare_cached(
            "SELECT sha256 FROM versions v WHERE media_seq = ?1 AND number <= ?2
                 AND NOT EXISTS (SELECT 1 FROM renditions WHERE version_id = v.id)",
        )?
        .query_map(params![media, oldest], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    tx.prepare_cached(
        "DELETE FROM versions WHERE media_seq = ?1 AND number <= ?2
             AND NOT EXISTS (SELECT 1 FROM renditions WHERE version_id = versions.id)",
    )?
    .execute(params![media, oldest])?;
    Ok(blobs)
}
