//! The SQL of `tags`, `media_tags` and `tag_counts`.

use rusqlite::{Connection, OptionalExtension, params};

use super::{json, limit, unsigned};
use crate::db::{Result, Tx};
use crate::library::model::{Seq, Tag};

/// A tag by its folded name.
pub(in crate::library) fn find(conn: &Connection, folded: &str) -> Result<Option<Seq>> {
    let mut statement = conn.prepare_cached("SELECT seq FROM tags WHERE name_folded = ?1")?;
    Ok(statement.query_row([folded], |row| row.get(0)).optional()?)
}

/// A tag, which is made if it is missing.
pub(in crate::library) fn ensure(tx: &Tx<'_>, name: &str, folded: &str) -> Result<Seq> {
    if let Some(tag) = find(tx, folded)? {
        return Ok(tag);
    }
    tx.prepare_cached("INSERT INTO tags (name, name_folded) VALUES (?1, ?2)")?.execute([name, folded])?;
    Ok(tx.last_insert_rowid())
}

/// The tags of a media.
pub(in crate::library) fn of_media(conn: &Connection, media: Seq) -> Result<Vec<Seq>> {
    let mut statement = conn.prepare_cached("SELECT tag_seq FROM media_tags WHERE media_seq = ?1")?;
    let rows = statement.query_map([media], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(in crate::library) fn give(tx: &Tx<'_>, media: Seq, tag: Seq) -> Result<()> {
    tx.prepare_cached("INSERT INTO media_tags (media_seq, tag_seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute([media, tag])?;
    Ok(())
}

pub(in crate::library) fn take(tx: &Tx<'_>, media: Seq, tag: Seq) -> Result<()> {
    tx.prepare_cached("DELETE FROM media_tags WHERE media_seq = ?1 AND tag_seq = ?2")?
        .execute([media, tag])?;
    Ok(())
}

/// Writes the names of a media's tags into its row, where lists and searches read them.
pub(in crate::library) fn note(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached(
        "UPDATE media SET updated_at = ?2, tags = (SELECT coalesce(group_concat(name, char(10)), '') FROM
             (SELECT t.name FROM media_tags g JOIN tags t ON t.seq = g.tag_seq WHERE g.media_seq = ?1
              ORDER BY t.name_folded))
         WHERE seq = ?1",
    )?
    .execute(params![media, tx.now()])?;
    Ok(())
}

/// Gives a tag another name, which no other has.
pub(in crate::library) fn rename(tx: &Tx<'_>, tag: Seq, name: &str, folded: &str) -> Result<()> {
    tx.prepare_cached("UPDATE tags SET name = ?2, name_folded = ?3 WHERE seq = ?1")?
        .execute(params![tag, name, folded])?;
    Ok(())
}

/// Whether media in some buckets have a tag, in the trash or not, and whether others have it.
pub(in crate::library) fn is_used(conn: &Connection, tag: Seq, buckets: &[Seq]) -> Result<(bool, bool)> {
    let mut statement = conn.prepare_cached(
        "SELECT coalesce(max(inside), 0), coalesce(max(NOT inside), 0) FROM
             (SELECT m.bucket_seq IN (SELECT value FROM json_each(?2)) AS inside
              FROM media_tags g JOIN media m ON m.seq = g.media_seq WHERE g.tag_seq = ?1)",
    )?;
    Ok(statement.query_row(params![tag, json(buckets)], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Forgets a tag if no media has it.
pub(in crate::library) fn forget_if_unused(tx: &Tx<'_>, tag: Seq) -> Result<()> {
    tx.prepare_cached(
        "DELETE FROM tags WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM media_tags WHERE tag_seq = ?1)",
    )?
    .execute([tag])?;
    Ok(())
}

/// Forgets tags that no media has.
pub(in crate::library) fn forget_unused(tx: &Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM tags WHERE NOT EXISTS (SELECT 1 FROM media_tags WHERE tag_seq = tags.seq)", [])?;
    Ok(())
}

/// Tags by their folded names, those after one, with the media that have them and are not in the trash; only those whose
/// folded name contains a text, and only what is in some buckets.
pub(in crate::library) fn list(
    conn: &Connection,
    buckets: &[Seq],
    text: &str,
    after: &str,
    rows: usize,
) -> Result<Vec<Tag>> {
    let mut statement = conn.prepare_cached(
        "SELECT t.name, (SELECT coalesce(sum(media_count), 0) FROM tag_counts c
             WHERE c.tag_seq = t.seq AND c.bucket_seq IN (SELECT value FROM json_each(?1))) AS count
         FROM tags t WHERE t.name_folded > ?2 AND instr(t.name_folded, ?3) > 0 AND count > 0
         ORDER BY t.name_folded LIMIT ?4",
    )?;
    let rows = statement.query_map(params![json(buckets), after, text, limit(rows)], |row| {
        Ok(Tag { name: row.get(0)?, count: unsigned(row, 1)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
