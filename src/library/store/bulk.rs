//! The SQL of `bulk_runs`, and the changes of a whole folder at once.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::{signed, unsigned};
use crate::audit::UserId;
use crate::db::{Result, Tx};
use crate::jobs::JobId;
use crate::library::model::{MediaId, Position, Seq};

/// How long what has become of a bulk action can be asked for.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How far a bulk action has come.
#[derive(Debug, Clone)]
pub(in crate::library) struct Run {
    pub(in crate::library) user: Option<UserId>,
    pub(in crate::library) total: u64,
    pub(in crate::library) done: u64,
    pub(in crate::library) failed: u64,
    /// JSON.
    pub(in crate::library) failures: Vec<serde_json::Value>,
    pub(in crate::library) position: Option<Position>,
}

pub(in crate::library) fn insert(tx: &Tx<'_>, job: JobId, user: Option<UserId>, total: u64) -> Result<()> {
    tx.execute("DELETE FROM bulk_runs WHERE created_at < ?1", [tx.now() - KEPT_FOR])?;
    tx.execute(
        "INSERT INTO bulk_runs (job_id, user_id, total, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![job, user, signed(total), tx.now()],
    )?;
    Ok(())
}

pub(in crate::library) fn find(conn: &Connection, job: JobId) -> Result<Option<Run>> {
    let mut statement = conn.prepare_cached(
        "SELECT user_id, total, done, failed, failures, position FROM bulk_runs WHERE job_id = ?1",
    )?;
    let found = statement.query_row([job], |row| {
        let position: Option<String> = row.get(5)?;
        Ok(Run {
            user: row.get(0)?,
            total: unsigned(row, 1)?,
            done: unsigned(row, 2)?,
            failed: unsigned(row, 3)?,
            failures: serde_json::from_str(row.get_ref(4)?.as_str()?).unwrap_or_default(),
            position: position.and_then(|json| serde_json::from_str(&json).ok()),
        })
    });
    Ok(found.optional()?)
}

pub(in crate::library) fn update(tx: &Tx<'_>, job: JobId, run: &Run) -> Result<()> {
    let position = run.position.as_ref().map(|position| serde_json::to_string(position).unwrap_or_default());
    tx.prepare_cached(
        "UPDATE bulk_runs SET done = ?2, failed = ?3, failures = ?4, position = ?5 WHERE job_id = ?1",
    )?
    .execute(params![
        job,
        signed(run.done),
        signed(run.failed),
        serde_json::Value::from(run.failures.clone()).to_string(),
        position
    ])?;
    Ok(())
}

/// The ids of media, in the order of their row numbers.
pub(in crate::library) fn ids(conn: &Connection, positions: &[Position]) -> Result<Vec<MediaId>> {
    let seqs: Vec<Seq> = positions.iter().map(|position| position.1).collect();
    let seqs = serde_json::to_string(&seqs).unwrap_or_default();
    let mut statement = conn
        .prepare_cached("SELECT id FROM media WHERE seq IN (SELECT value FROM json_each(?1)) ORDER BY seq")?;
    let rows = statement.query_map([seqs], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Media of some buckets that have a tag, in the trash or not, by row number, those after one.
pub(in crate::library) fn tagged(
    conn: &Connection,
    buckets: &[Seq],
    folded: &str,
    after: Seq,
    rows: usize,
) -> Result<Vec<Position>> {
    let mut statement = conn.prepare_cached(
        "SELECT media_seq FROM media_tags g JOIN media m ON m.seq = g.media_seq
         WHERE tag_seq = (SELECT seq FROM tags WHERE name_folded = ?1) AND media_seq > ?2
             AND +m.bucket_seq IN (SELECT value FROM json_each(?4))
         ORDER BY media_seq LIMIT ?3",
    )?;
    let values = params![folded, after, super::limit(rows), super::json(buckets)];
    let rows = statement
        .query_map(values, |row| Ok(Position(crate::library::model::SortValue::Number(0), row.get(0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Does something that is undone alone when it fails, without what came before it in the transaction.
pub(in crate::library) fn alone<T, E: From<crate::db::Error>>(
    tx: &Tx<'_>,
    deed: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let run = |sql: &str| tx.execute_batch(sql).map_err(crate::db::Error::from);
    run("SAVEPOINT one")?;
    let outcome = deed();
    if outcome.is_err() {
        run("ROLLBACK TO one")?;
    }
    run("RELEASE one")?;
    outcome
}

/// Media in a folder and below it, those in the trash too, and the bytes of the longest key.
pub(in crate::library) fn measure_folder(conn: &Connection, bucket: Seq, path: &str) -> Result<(u64, u64)> {
    let mut statement = conn.prepare_cached(
        "SELECT count(*), coalesce(max(length(CAST(key AS BLOB))), 0) FROM media
         WHERE bucket_seq = :bucket AND trashed IN (0, 1)
             AND (folder = :path OR (folder > :path || '/' AND folder < :path || '0'))",
    )?;
    let values = named_params! { ":bucket": bucket, ":path": path };
    Ok(statement.query_row(values, |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?)
}

/// Makes the folders below one below another too; that one's parent must be there.
pub(in crate::library) fn copy_folders(tx: &Tx<'_>, bucket: Seq, from: &str, to: &str) -> Result<()> {
    let (parent, name) = to.rsplit_once('/').unwrap_or(("", to));
    tx.execute(
        "INSERT INTO folders (bucket_seq, path, parent, name, name_folded, created_at)
         SELECT bucket_seq, :to || substr(path, length(:from) + 1),
                iif(path = :from, :parent, :to || substr(parent, length(:from) + 1)),
                iif(path = :from, :name, name), iif(path = :from, :name_folded, name_folded), created_at
         FROM folders WHERE bucket_seq = :bucket AND (path = :from OR (path > :from || '/' AND path < :from || '0'))
         ON CONFLICT DO NOTHING",
        named_params! {
            ":bucket": bucket,
            ":from": from,
            ":to": to,
            ":parent": parent,
            ":name": name,
            ":name_folded": crate::library::names::fold(name),
        },
    )?;
    Ok(())
}

/// Gives all media in a folder and below it, those in the trash too, their place below another; returns how many.
pub(in crate::library) fn move_folder(tx: &Tx<'_>, bucket: Seq, from: &str, to: &str) -> Result<usize> {
    Ok(tx.execute(
        "UPDATE media SET key = :to || substr(key, length(:from) + 1), folder = :to || substr(folder, length(:from) + 1),
                updated_at = :now
         WHERE bucket_seq = :bucket AND trashed IN (0, 1)
             AND (folder = :from OR (folder > :from || '/' AND folder < :from || '0'))",
        named_params! { ":bucket": bucket, ":from": from, ":to": to, ":now": tx.now() },
    )?)
}

/// Moves all media in a folder and below it to the trash; returns how many.
pub(in crate::library) fn trash_folder(tx: &Tx<'_>, bucket: Seq, path: &str) -> Result<usize> {
    Ok(tx.execute(
        "UPDATE media SET trashed_at = :now, updated_at = :now
         WHERE bucket_seq = :bucket AND trashed = 0
             AND (folder = :path OR (folder > :path || '/' AND folder < :path || '0'))",
        named_params! { ":bucket": bucket, ":path": path, ":now": tx.now() },
    )?)
}

/// Removes a folder and those below it that hold nothing but the trash, with what is empty because of that.
pub(in crate::library) fn drop_folders(tx: &Tx<'_>, bucket: Seq, path: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM folders WHERE bucket_seq = :bucket AND (path = :path OR (path > :path || '/' AND path < :path || '0'))
             AND NOT EXISTS (SELECT 1 FROM folders f WHERE f.bucket_seq = :bucket AND f.media_count > 0
                 AND (f.path = folders.path OR (f.path > folders.path || '/' AND f.path < folders.path || '0')))",
        named_params! { ":bucket": bucket, ":path": path },
    )?;
    Ok(())
}
