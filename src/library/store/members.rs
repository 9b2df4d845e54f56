//! The SQL of `bucket_members`, and what a decision about somebody's rights needs to know.

use rusqlite::{Connection, OptionalExtension, params};

use super::limit;
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::library::model::{BucketId, MediaId, Seq};
use crate::library::rights::{BucketAccess, BucketRole};

/// Who may use a bucket, and what somebody is in it as a member; none if there is no such bucket.
pub(in crate::library) fn standing(
    conn: &Connection,
    bucket: Seq,
    user: UserId,
) -> Result<Option<(BucketAccess, Option<BucketRole>)>> {
    let mut statement = conn.prepare_cached(
        "SELECT access, (SELECT role FROM bucket_members WHERE bucket_seq = seq AND user_id = ?2)
         FROM buckets WHERE seq = ?1",
    )?;
    Ok(statement.query_row(params![bucket, user], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The same of all buckets.
pub(in crate::library) fn standings(
    conn: &Connection,
    user: UserId,
) -> Result<Vec<(Seq, BucketAccess, Option<BucketRole>)>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, access, (SELECT role FROM bucket_members WHERE bucket_seq = seq AND user_id = ?1) FROM buckets",
    )?;
    let rows = statement.query_map([user], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A row of the table.
pub(in crate::library) struct Membership {
    pub(in crate::library) user: UserId,
    pub(in crate::library) role: BucketRole,
    pub(in crate::library) added_at: Timestamp,
}

pub(in crate::library) fn find(conn: &Connection, bucket: Seq, user: UserId) -> Result<Option<Membership>> {
    let mut statement = conn
        .prepare_cached("SELECT role, added_at FROM bucket_members WHERE bucket_seq = ?1 AND user_id = ?2")?;
    let found = statement.query_row(params![bucket, user], |row| {
        Ok(Membership { user, role: row.get(0)?, added_at: row.get(1)? })
    });
    Ok(found.optional()?)
}

/// In the order of the members' ids, those after one.
pub(in crate::library) fn list(
    conn: &Connection,
    bucket: Seq,
    after: Option<UserId>,
    rows: usize,
) -> Result<Vec<Membership>> {
    let mut statement = conn.prepare_cached(
        "SELECT user_id, role, added_at FROM bucket_members
         WHERE bucket_seq = ?1 AND (?2 IS NULL OR user_id > ?2) ORDER BY user_id LIMIT ?3",
    )?;
    let rows = statement.query_map(params![bucket, after, limit(rows)], |row| {
        Ok(Membership { user: row.get(0)?, role: row.get(1)?, added_at: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::library) fn put(tx: &Tx<'_>, bucket: Seq, user: UserId, role: BucketRole) -> Result<()> {
    tx.execute(
        "INSERT INTO bucket_members (bucket_seq, user_id, role, added_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET role = excluded.role",
        params![bucket, user, role, tx.now()],
    )?;
    Ok(())
}

pub(in crate::library) fn delete(tx: &Tx<'_>, bucket: Seq, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM bucket_members WHERE bucket_seq = ?1 AND user_id = ?2", params![bucket, user])?;
    Ok(())
}

/// The bucket that a media lies in; none if the media is gone.
pub(in crate::library) fn bucket_of(conn: &Connection, media: MediaId) -> Result<Option<BucketId>> {
    let mut statement = conn
        .prepare_cached("SELECT b.id FROM media m JOIN buckets b ON b.seq = m.bucket_seq WHERE m.id = ?1")?;
    Ok(statement.query_row([media], |row| row.get(0)).optional()?)
}
