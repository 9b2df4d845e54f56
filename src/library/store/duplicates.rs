//! The SQL of hashes, bands and pairs of what is alike.

use rusqlite::{Connection, OptionalExtension, params};

use super::limit;
use crate::db::{Result, Tx};
use crate::library::duplicates::bands;
use crate::library::model::{Looked, MediaId, Seq, VersionId};

pub(in crate::library) fn is_waiting(conn: &Connection) -> Result<bool> {
    Ok(conn.query_row("SELECT EXISTS (SELECT 1 FROM alike_waiting)", [], |row| row.get(0))?)
}

pub(in crate::library) fn waiting(conn: &Connection, rows: usize) -> Result<Vec<Seq>> {
    let mut statement =
        conn.prepare_cached("SELECT media_seq FROM alike_waiting ORDER BY media_seq LIMIT ?1")?;
    let rows = statement.query_map([limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that a media has to be compared.
pub(in crate::library) fn wait(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached("INSERT INTO alike_waiting (media_seq) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([media])?;
    Ok(())
}

/// Notes that a media has to be compared if it shares its bytes with another, or was compared with other bytes before.
pub(in crate::library) fn wait_if_shared(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO alike_waiting (media_seq)
         SELECT m.seq FROM media m JOIN versions v ON v.id = m.version_id WHERE m.seq = ?1
             AND (EXISTS (SELECT 1 FROM versions w WHERE w.sha256 = v.sha256 AND w.media_seq <> m.seq)
                  OR EXISTS (SELECT 1 FROM picture_bands b WHERE b.media_seq = m.seq)
                  OR EXISTS (SELECT 1 FROM alike a WHERE a.one_seq = m.seq)
                  OR EXISTS (SELECT 1 FROM alike a WHERE a.other_seq = m.seq))
         ON CONFLICT DO NOTHING",
    )?
    .execute([media])?;
    Ok(())
}

pub(in crate::library) fn done(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached("DELETE FROM alike_waiting WHERE media_seq = ?1")?.execute([media])?;
    Ok(())
}

/// Current versions of pictures that nobody has looked at and that no job is about to.
pub(in crate::library) fn unhashed(conn: &Connection, rows: usize) -> Result<Vec<VersionId>> {
    let mut statement = conn.prepare_cached(
        "SELECT v.id FROM versions v INDEXED BY versions_unhashed JOIN media m ON m.seq = v.media_seq
         WHERE v.hashed = 0 AND v.width IS NOT NULL AND m.version_id = v.id ORDER BY v.created_at LIMIT ?1",
    )?;
    let rows = statement.query_map([limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What a look at the same bytes has found before.
pub(in crate::library) fn known(conn: &Connection, blob: crate::storage::BlobId) -> Result<Option<Looked>> {
    let mut statement = conn.prepare_cached(
        "SELECT thumbhash, perceptual_hash FROM versions WHERE sha256 = ?1 AND hashed = 1 AND thumbhash IS NOT NULL
         LIMIT 1",
    )?;
    let found = statement.query_row([blob], |row| {
        Ok(Looked { thumbhash: row.get(0)?, hash: row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned) })
    });
    Ok(found.optional()?)
}

/// Writes down what a look at a version has found; returns the media if it is the current version of one. One that has
/// a hash has to be compared.
pub(in crate::library) fn set_looked(tx: &Tx<'_>, id: VersionId, looked: &Looked) -> Result<Option<MediaId>> {
    tx.prepare_cached(
        "UPDATE versions SET thumbhash = coalesce(?2, thumbhash), perceptual_hash = ?3, hashed = 1 WHERE id = ?1",
    )?
    .execute(params![id, looked.thumbhash, looked.hash.map(u64::cast_signed)])?;
    let mut statement = tx.prepare_cached(
        "SELECT m.id, m.seq FROM versions v JOIN media m ON m.seq = v.media_seq WHERE v.id = ?1 AND m.version_id = v.id",
    )?;
    let media: Option<(MediaId, Seq)> =
        statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let (Some((_, seq)), Some(_)) = (media, looked.hash) {
        wait(tx, seq)?;
    }
    Ok(media.map(|(id, _)| id))
}

/// The hash of what a media shows now.
pub(in crate::library) fn hash_of(conn: &Connection, media: Seq) -> Result<Option<u64>> {
    let mut statement = conn.prepare_cached(
        "SELECT v.perceptual_hash FROM media m JOIN versions v ON v.id = m.version_id WHERE m.seq = ?1",
    )?;
    let hash: Option<Option<i64>> = statement.query_row([media], |row| row.get(0)).optional()?;
    Ok(hash.flatten().map(i64::cast_unsigned))
}

/// The media is named by its number too: by the version alone SQLite goes through all of them, as they are in order.
const SAME_BYTES: &str = "SELECT m.seq FROM media n JOIN versions w ON w.id = n.version_id
         JOIN versions v ON v.sha256 = w.sha256 JOIN media m ON m.seq = v.media_seq AND m.version_id = v.id
     WHERE n.seq = ?1 AND m.seq <> n.seq ORDER BY m.seq LIMIT ?2";

/// Other media whose current bytes are the same.
pub(in crate::library) fn same_bytes(conn: &Connection, media: Seq, rows: usize) -> Result<Vec<Seq>> {
    let mut statement = conn.prepare_cached(SAME_BYTES)?;
    let rows = statement.query_map(params![media, limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Hands out the pictures that have a value in a band, with their hashes.
pub(in crate::library) fn each_in_band(
    conn: &Connection,
    band: usize,
    value: u16,
    mut take: impl FnMut(Seq, u64),
) -> Result<()> {
    let mut statement =
        conn.prepare_cached("SELECT media_seq, hash FROM picture_bands WHERE band = ?1 AND value = ?2")?;
    let mut rows = statement.query(params![limit(band), value])?;
    while let Some(row) = rows.next()? {
        take(row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(())
}

pub(in crate::library) fn add_bands(tx: &Tx<'_>, media: Seq, hash: u64) -> Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO picture_bands (band, value, media_seq, hash) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?;
    for (band, value) in bands(hash).into_iter().enumerate() {
        statement.execute(params![limit(band), value, media, hash.cast_signed()])?;
    }
    Ok(())
}

/// Forgets what a media was compared with, but not what somebody has said about it.
pub(in crate::library) fn forget(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached("DELETE FROM picture_bands WHERE media_seq = ?1")?.execute([media])?;
    tx.prepare_cached("DELETE FROM alike WHERE one_seq = ?1 AND dismissed = 0")?.execute([media])?;
    tx.prepare_cached("DELETE FROM alike WHERE other_seq = ?1 AND dismissed = 0")?.execute([media])?;
    Ok(())
}

pub(in crate::library) fn add_pair(
    tx: &Tx<'_>,
    one: Seq,
    other: Seq,
    distance: u32,
    exact: bool,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO alike (one_seq, other_seq, distance, exact) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET distance = excluded.distance, exact = excluded.exact",
    )?
    .execute(params![one, other, distance, exact])?;
    Ok(())
}

/// Media in some buckets, a JSON array, that are the older one of a pair and of none the newer, the newest first, those before one.
pub(in crate::library) fn leaders(
    conn: &Connection,
    buckets: &str,
    exact: bool,
    before: Seq,
    rows: usize,
) -> Result<Vec<Seq>> {
    let mut statement = conn.prepare_cached(
        "SELECT DISTINCT a.one_seq FROM alike a JOIN media m ON m.seq = a.one_seq JOIN media n ON n.seq = a.other_seq
         WHERE a.one_seq < ?1 AND a.dismissed = 0 AND a.exact >= ?2 AND m.trashed = 0 AND n.trashed = 0
             AND +m.bucket_seq IN (SELECT value FROM json_each(?3))
             AND +n.bucket_seq IN (SELECT value FROM json_each(?3))
             AND NOT EXISTS (SELECT 1 FROM alike b JOIN media o ON o.seq = b.one_seq
                 WHERE b.other_seq = a.one_seq AND b.dismissed = 0 AND b.exact >= ?2 AND o.trashed = 0
                     AND +o.bucket_seq IN (SELECT value FROM json_each(?3)))
         ORDER BY a.one_seq DESC LIMIT ?4",
    )?;
    let rows = statement.query_map(params![before, exact, buckets, limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Another media that is alike.
pub(in crate::library) struct Pair {
    pub(in crate::library) other: Seq,
    pub(in crate::library) distance: u32,
    pub(in crate::library) exact: bool,
}

/// What in some buckets, a JSON array, is alike to a media and not in the trash.
pub(in crate::library) fn pairs(
    conn: &Connection,
    buckets: &str,
    exact: bool,
    media: Seq,
) -> Result<Vec<Pair>> {
    let mut statement = conn.prepare_cached(
        "SELECT p.seq, p.distance, p.exact FROM
             (SELECT other_seq AS seq, distance, exact, dismissed FROM alike WHERE one_seq = ?1
              UNION ALL SELECT one_seq, distance, exact, dismissed FROM alike WHERE other_seq = ?1) p
             JOIN media m ON m.seq = p.seq
         WHERE p.dismissed = 0 AND p.exact >= ?2 AND m.trashed = 0
             AND +m.bucket_seq IN (SELECT value FROM json_each(?3))",
    )?;
    let rows = statement.query_map(params![media, exact, buckets], |row| {
        Ok(Pair { other: row.get(0)?, distance: row.get(1)?, exact: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Marks the pairs among some media as wanted; returns how many.
pub(in crate::library) fn dismiss(tx: &Tx<'_>, ids: &[MediaId]) -> Result<usize> {
    let mut seqs: Vec<Seq> = Vec::new();
    let mut find = tx.prepare_cached("SELECT seq FROM media WHERE id = ?1")?;
    for id in ids {
        seqs.extend(find.query_row([id], |row| row.get::<_, Seq>(0)).optional()?);
    }
    let seqs = serde_json::to_string(&seqs).unwrap_or_default();
    Ok(tx
        .prepare_cached(
            "UPDATE alike SET dismissed = 1 WHERE dismissed = 0
                 AND one_seq IN (SELECT value FROM json_each(?1)) AND other_seq IN (SELECT value FROM json_each(?1))",
        )?
        .execute([seqs])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::db::{Db, Error, Role};

    #[tokio::test]
    async fn same_bytes_are_found_without_going_through_the_library() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("safelight.db"), Role::Server, Clock::system()).unwrap();
        let plan: Vec<String> = db
            .read(|conn| {
                let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {SAME_BYTES}"))?;
                let steps = statement.query_map(params![1, 50], |row| row.get(3))?;
                Ok::<_, Error>(steps.collect::<rusqlite::Result<_>>()?)
            })
            .await
            .unwrap();
        assert!(!plan.is_empty() && plan.iter().all(|step| !step.starts_with("SCAN")), "{plan:?}");
    }
}
