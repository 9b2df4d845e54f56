//! All SQL of the library: media, versions and renditions here, the rest below.

pub(super) mod blobs;
pub(super) mod buckets;
pub(super) mod bulk;
pub(super) mod duplicates;
pub(super) mod limits;
pub(super) mod list;
pub(super) mod members;
mod months;
pub(super) mod old_addresses;
pub(super) mod presets;
mod proposals;
pub(super) mod tags;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};

use super::model::{Media, MediaId, Rendition, RenditionId, RestorationId, Seq, State, Version, VersionId};
use super::names;
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::{Result, Tx};
use crate::storage::BlobId;

/// What [`media_from_row`] reads; `media` is `m` there, its bucket `b` and its current version `v`. `:viewer` is the one
/// whose favourites are told.
const MEDIA_COLUMNS: &str = "m.seq, m.id, b.slug, m.key, m.folder, m.name, m.content_type, m.size_bytes, v.sha256, \
     v.width, v.height, v.taken_at, m.trashed, m.created_at, m.updated_at, v.thumbhash, \
     (SELECT count(*) FROM versions WHERE media_seq = m.seq), \
     (SELECT count(*) FROM renditions WHERE media_seq = m.seq), \
     m.version_id, m.bucket_seq, m.taken_or_created_at, m.description, m.tags, m.camera, \
     EXISTS (SELECT 1 FROM favourites WHERE user_id = :viewer AND media_seq = m.seq), m.shared_rendition_id, m.scan_id";

const MEDIA_JOINS: &str =
    "CROSS JOIN buckets b ON b.seq = m.bucket_seq CROSS JOIN versions v ON v.id = m.version_id";

const VERSION_COLUMNS: &str = "versions.id, number, blobs.size_bytes, versions.sha256, content_type, width, height, \
     versions.created_at, created_by";

const RENDITION_COLUMNS: &str = "r.id, m.id, r.version_id, r.restoration_id, r.name, r.content_type, blobs.size_bytes, \
     r.width, r.height, r.created_at, r.created_by, iif(r.made_elsewhere, NULL, r.ai_generated), r.provenance, r.sha256";

fn media_from_row(row: &Row<'_>) -> rusqlite::Result<Media> {
    Ok(Media {
        seq: row.get(0)?,
        id: row.get(1)?,
        bucket: row.get(2)?,
        key: row.get(3)?,
        folder: row.get(4)?,
        name: row.get(5)?,
        content_type: row.get(6)?,
        size_bytes: unsigned(row, 7)?,
        sha256: row.get(8)?,
        width: row.get(9)?,
        height: row.get(10)?,
        taken_at: row.get(11)?,
        state: if row.get(12)? { State::Trashed } else { State::Ready },
        created_at: row.get(13)?,
        updated_at: row.get(14)?,
        thumbhash: row.get(15)?,
        versions: row.get(16)?,
        renditions: row.get(17)?,
        version_id: row.get(18)?,
        bucket_seq: row.get(19)?,
        taken_or_created_at: row.get(20)?,
        description: row.get(21)?,
        tags: row.get_ref(22)?.as_str()?.lines().map(str::to_owned).collect(),
        camera: row.get(23)?,
        favourite: row.get(24)?,
        shared_rendition_id: row.get(25)?,
        scan_id: row.get(26)?,
    })
}

fn version_from_row(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version {
        id: row.get(0)?,
        number: row.get(1)?,
        size_bytes: unsigned(row, 2)?,
        sha256: row.get(3)?,
        content_type: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        created_at: row.get(7)?,
        created_by: row.get(8)?,
    })
}

fn rendition_from_row(row: &Row<'_>) -> rusqlite::Result<Rendition> {
    Ok(Rendition {
        id: row.get(0)?,
        media_id: row.get(1)?,
        version_id: row.get(2)?,
        restoration_id: row.get(3)?,
        name: row.get(4)?,
        content_type: row.get(5)?,
        size_bytes: unsigned(row, 6)?,
        width: row.get(7)?,
        height: row.get(8)?,
        created_at: row.get(9)?,
        created_by: row.get(10)?,
        ai_generated: row.get(11)?,
        provenance: serde_json::from_str(&row.get::<_, String>(12)?).unwrap_or_default(),
        sha256: row.get(13)?,
    })
}

/// Sizes and counts are never negative, and never near the end of 63 bits.
fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| u64::try_from(number).unwrap_or(0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Row numbers as what `json_each` reads.
pub(super) fn json(seqs: &[Seq]) -> String {
    serde_json::to_string(seqs).unwrap_or_else(|_| "[]".into())
}

/// A condition on the column `media_id` of another feature's table: the media lies in some buckets. `:buckets` is a JSON
/// array of their row numbers.
pub const MEDIA_IS_SEEN: &str = "EXISTS (SELECT 1 FROM media WHERE media.id = media_id
    AND +media.bucket_seq IN (SELECT value FROM json_each(:buckets)))";

/// A version before it has a row.
#[derive(Debug, Clone)]
pub(super) struct NewVersion {
    pub(super) blob: BlobId,
    pub(super) size_bytes: u64,
    pub(super) content_type: String,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) orientation: u16,
    pub(super) frames: u32,
    pub(super) taken_at: Option<Timestamp>,
    pub(super) modified_at: Option<Timestamp>,
    pub(super) camera: Option<String>,
    pub(super) created_by: Option<UserId>,
}

/// Where a media lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) key: &'a str,
    pub(super) folder: &'a str,
    pub(super) name: &'a str,
}

pub(super) fn insert_media(
    tx: &Tx<'_>,
    bucket: Seq,
    place: Place<'_>,
    version: &NewVersion,
) -> Result<MediaId> {
    let (id, version_id) = (MediaId::new(), VersionId::new());
    tx.prepare_cached(
        "INSERT INTO media (id, bucket_seq, key, folder, name, name_folded, version_id, content_type, size_bytes,
                            taken_or_created_at, camera, added_by, created_at, updated_at)
         VALUES (:id, :bucket_seq, :key, :folder, :name, :name_folded, :version_id, :content_type, :size_bytes,
                 coalesce(:taken_at, :modified_at, :now), :camera, :added_by, :now, :now)",
    )?
    .execute(named_params! {
        ":id": id,
        ":bucket_seq": bucket,
        ":key": place.key,
        ":folder": place.folder,
        ":name": place.name,
        ":name_folded": names::fold(place.name),
        ":version_id": version_id,
        ":content_type": version.content_type,
        ":size_bytes": signed(version.size_bytes),
        ":taken_at": version.taken_at,
        ":camera": version.camera,
        ":modified_at": version.modified_at,
        ":added_by": version.created_by,
        ":now": tx.now(),
    })?;
    insert_version(tx, version_id, tx.last_insert_rowid(), version)?;
    Ok(id)
}

/// Makes a content the current one of a media that exists.
pub(super) fn add_version(tx: &Tx<'_>, media: Seq, version: &NewVersion) -> Result<()> {
    let id = VersionId::new();
    insert_version(tx, id, media, version)?;
    tx.prepare_cached(
        "UPDATE media SET version_id = :version_id, content_type = :content_type, size_bytes = :size_bytes,
                taken_or_created_at = coalesce(:taken_at, :modified_at, created_at), camera = :camera,
                added_by = :added_by, shared_rendition_id = NULL, updated_at = :now
         WHERE seq = :seq",
    )?
    .execute(named_params! {
        ":seq": media,
        ":version_id": id,
        ":content_type": version.content_type,
        ":size_bytes": signed(version.size_bytes),
        ":taken_at": version.taken_at,
        ":camera": version.camera,
        ":modified_at": version.modified_at,
        ":added_by": version.created_by,
        ":now": tx.now(),
    })?;
    Ok(())
}

fn insert_version(tx: &Tx<'_>, id: VersionId, media: Seq, version: &NewVersion) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO versions (id, media_seq, number, sha256, content_type, width, height, orientation, frames,
                               taken_at, modified_at, camera, created_at, created_by)
         VALUES (:id, :media_seq, (SELECT coalesce(max(number), 0) + 1 FROM versions WHERE media_seq = :media_seq),
                 :sha256, :content_type, :width, :height, :orientation, :frames, :taken_at, :modified_at, :camera, :now,
                 :created_by)",
    )?
    .execute(named_params! {
        ":id": id,
        ":media_seq": media,
        ":sha256": version.blob,
        ":content_type": version.content_type,
        ":width": version.width,
        ":height": version.height,
        ":orientation": version.orientation,
        ":frames": version.frames,
        ":taken_at": version.taken_at,
        ":modified_at": version.modified_at,
        ":camera": version.camera,
        ":now": tx.now(),
        ":created_by": version.created_by,
    })?;
    Ok(())
}

pub(super) fn find_media(conn: &Connection, viewer: Option<UserId>, id: MediaId) -> Result<Option<Media>> {
    find_media_where(conn, "m.id = :id", named_params! { ":viewer": viewer, ":id": id })
}

/// Among what is not in the trash.
pub(super) fn find_media_by_key(conn: &Connection, bucket: Seq, key: &str) -> Result<Option<Media>> {
    let condition = "m.bucket_seq = :bucket AND m.key = :key AND m.trashed_at IS NULL";
    let viewer: Option<UserId> = None;
    find_media_where(conn, condition, named_params! { ":viewer": viewer, ":bucket": bucket, ":key": key })
}

fn find_media_where(
    conn: &Connection,
    condition: &str,
    values: &[(&str, &dyn ToSql)],
) -> Result<Option<Media>> {
    let sql = format!("SELECT {MEDIA_COLUMNS} FROM media m {MEDIA_JOINS} WHERE {condition}");
    Ok(conn.prepare_cached(&sql)?.query_row(values, media_from_row).optional()?)
}

/// Whether a name is taken by something that is not in the trash.
pub(super) fn is_taken(conn: &Connection, bucket: Seq, key: &str) -> Result<bool> {
    let mut statement = conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM media WHERE bucket_seq = ?1 AND key = ?2 AND trashed_at IS NULL)",
    )?;
    Ok(statement.query_row(params![bucket, key], |row| row.get(0))?)
}

/// Keys that begin with `prefix` and are not in the trash.
pub(super) fn keys_beginning(conn: &Connection, bucket: Seq, prefix: &str) -> Result<Vec<String>> {
    let mut statement = conn.prepare_cached(
        "SELECT key FROM media WHERE bucket_seq = ?1 AND key >= ?2 AND key < ?3 AND trashed_at IS NULL",
    )?;
    // Nothing in UTF-8 sorts behind the last code point.
    let rows =
        statement.query_map(params![bucket, prefix, format!("{prefix}\u{10ffff}")], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Puts a media somewhere, in another bucket if need be.
pub(super) fn move_media(tx: &Tx<'_>, media: Seq, bucket: Seq, place: Place<'_>) -> Result<()> {
    tx.prepare_cached(
        "UPDATE media SET bucket_seq = ?2, key = ?3, folder = ?4, name = ?5, name_folded = ?6, updated_at = ?7
         WHERE seq = ?1",
    )?
    .execute(params![
        media,
        bucket,
        place.key,
        place.folder,
        place.name,
        names::fold(place.name),
        tx.now()
    ])?;
    Ok(())
}

/// Notes which scan a media was cut out of.
pub(super) fn set_scan(tx: &Tx<'_>, media: Seq, scan: MediaId) -> Result<()> {
    tx.prepare_cached("UPDATE media SET scan_id = ?2 WHERE seq = ?1")?.execute(params![media, scan])?;
    Ok(())
}

/// What was cut out of a scan, in that order, at most `rows`; `buckets` is a JSON array of those that are looked into.
pub(super) fn list_of_scan(
    conn: &Connection,
    viewer: Option<UserId>,
    buckets: &str,
    scan: MediaId,
    rows: usize,
) -> Result<Vec<Media>> {
    let sql = format!(
        "SELECT {MEDIA_COLUMNS} FROM media m {MEDIA_JOINS}
         WHERE m.scan_id = :scan AND m.trashed_at IS NULL
           AND +m.bucket_seq IN (SELECT value FROM json_each(:buckets))
         ORDER BY m.seq LIMIT :rows"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let values =
        named_params! { ":viewer": viewer, ":buckets": buckets, ":scan": scan, ":rows": limit(rows) };
    let rows = statement.query_map(values, media_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn set_description(tx: &Tx<'_>, media: Seq, description: &str) -> Result<()> {
    tx.prepare_cached("UPDATE media SET description = ?2, updated_at = ?3 WHERE seq = ?1")?
        .execute(params![media, description, tx.now()])?;
    Ok(())
}

/// Says which rendition public and newly signed addresses of a media stand for.
pub(super) fn share_rendition(tx: &Tx<'_>, media: Seq, rendition: Option<RenditionId>) -> Result<()> {
    tx.prepare_cached("UPDATE media SET shared_rendition_id = ?2, updated_at = ?3 WHERE seq = ?1")?
        .execute(params![media, rendition, tx.now()])?;
    Ok(())
}

/// Marks a media as one that somebody likes best, or as none; whether that is a change.
pub(super) fn set_favourite(tx: &Tx<'_>, user: UserId, media: Seq, favourite: bool) -> Result<bool> {
    let sql = if favourite {
        "INSERT INTO favourites (user_id, media_seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
    } else {
        "DELETE FROM favourites WHERE user_id = ?1 AND media_seq = ?2"
    };
    Ok(tx.prepare_cached(sql)?.execute(params![user, media])? == 1)
}

/// The current content of a media as a new version.
pub(super) fn current_version(conn: &Connection, media: Seq) -> Result<NewVersion> {
    let mut statement = conn.prepare_cached(
        "SELECT v.sha256, m.size_bytes, v.content_type, v.width, v.height, v.orientation, v.frames, v.taken_at,
                v.camera, v.created_by, v.modified_at
         FROM media m JOIN versions v ON v.id = m.version_id WHERE m.seq = ?1",
    )?;
    Ok(statement.query_row([media], |row| {
        Ok(NewVersion {
            blob: row.get(0)?,
            size_bytes: unsigned(row, 1)?,
            content_type: row.get(2)?,
            width: row.get(3)?,
            height: row.get(4)?,
            orientation: row.get(5)?,
            frames: row.get(6)?,
            taken_at: row.get(7)?,
            camera: row.get(8)?,
            created_by: row.get(9)?,
            modified_at: row.get(10)?,
        })
    })?)
}

pub(super) fn trash_media(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached("UPDATE media SET trashed_at = ?2, updated_at = ?2 WHERE seq = ?1")?
        .execute(params![media, tx.now()])?;
    Ok(())
}

pub(super) fn untrash_media(tx: &Tx<'_>, media: Seq, place: Place<'_>) -> Result<()> {
    tx.prepare_cached(
        "UPDATE media SET trashed_at = NULL, key = ?2, folder = ?3, name = ?4, name_folded = ?5, updated_at = ?6
         WHERE seq = ?1",
    )?
    .execute(params![media, place.key, place.folder, place.name, names::fold(place.name), tx.now()])?;
    Ok(())
}

/// Removes a media with its versions and renditions, and returns the blobs that they referred to.
pub(super) fn delete_media(tx: &Tx<'_>, media: Seq) -> Result<Vec<BlobId>> {
    let blobs = tx
        .prepare_cached(
            "SELECT sha256 FROM versions WHERE media_seq = ?1 UNION SELECT sha256 FROM renditions WHERE media_seq = ?1
             UNION SELECT sha256 FROM attachments WHERE media_seq = ?1",
        )?
        .query_map([media], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    tx.prepare_cached("DELETE FROM media WHERE seq = ?1")?.execute([media])?;
    Ok(blobs)
}

/// Media that have lain in the trash since before a moment, oldest first.
pub(super) fn trashed_before(conn: &Connection, before: Timestamp, rows: usize) -> Result<Vec<MediaId>> {
    let mut statement = conn.prepare_cached(
        "SELECT id FROM media WHERE trashed_at IS NOT NULL AND trashed_at < ?1 ORDER BY trashed_at LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before, limit(rows)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn find_version(conn: &Connection, media: Seq, id: VersionId) -> Result<Option<Version>> {
    let sql = format!(
        "SELECT {VERSION_COLUMNS} FROM versions JOIN blobs USING (sha256) WHERE versions.id = ?1 AND media_seq = ?2"
    );
    Ok(conn.prepare_cached(&sql)?.query_row(params![id, media], version_from_row).optional()?)
}

/// The newest content of a media whose SHA-256 begins so.
pub(super) fn find_version_by_name(conn: &Connection, media: Seq, name: [u8; 8]) -> Result<Option<Version>> {
    let sql = format!(
        "SELECT {VERSION_COLUMNS} FROM versions JOIN blobs USING (sha256)
         WHERE media_seq = ?1 AND substr(versions.sha256, 1, 8) = ?2 ORDER BY number DESC LIMIT 1"
    );
    Ok(conn.prepare_cached(&sql)?.query_row(params![media, name], version_from_row).optional()?)
}

/// Newest first.
pub(super) fn list_versions(
    conn: &Connection,
    media: Seq,
    before: Option<u32>,
    rows: usize,
) -> Result<Vec<Version>> {
    let sql = format!(
        "SELECT {VERSION_COLUMNS} FROM versions JOIN blobs USING (sha256)
         WHERE media_seq = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let before = before.map_or(i64::MAX, i64::from);
    let rows = statement.query_map(params![media, before, limit(rows)], version_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The blob of a version of whatever media, for the job that looks at it. None when it is gone.
pub(super) fn version_blob(conn: &Connection, id: VersionId) -> Result<Option<BlobId>> {
    let mut statement = conn.prepare_cached("SELECT sha256 FROM versions WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// Something in some buckets, a JSON array, that is not in the trash and has this content now, and whether it lies in a
/// folder, given with the slug of its bucket; what does is found first.
pub(super) fn find_current_content(
    conn: &Connection,
    buckets: &str,
    blob: BlobId,
    size_bytes: u64,
    place: Option<(&str, &str)>,
) -> Result<Option<(MediaId, bool)>> {
    let mut statement = conn.prepare_cached(
        "SELECT m.id, (b.slug = ?3 AND m.folder = ?4) IS TRUE AS here
         FROM versions v JOIN media m ON m.seq = v.media_seq AND m.version_id = v.id
                         JOIN buckets b ON b.seq = m.bucket_seq
         WHERE v.sha256 = ?1 AND m.size_bytes = ?2 AND m.trashed_at IS NULL
             AND +m.bucket_seq IN (SELECT value FROM json_each(?5))
         ORDER BY here DESC, m.seq LIMIT 1",
    )?;
    let (bucket, folder) = place.unzip();
    Ok(statement
        .query_row(params![blob, signed(size_bytes), bucket, folder, buckets], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?)
}

/// A rendition before it has a row.
pub(super) struct NewRow<'a> {
    pub(super) media: Seq,
    pub(super) version: VersionId,
    pub(super) blob: BlobId,
    pub(super) restoration: Option<RestorationId>,
    pub(super) name: &'a str,
    pub(super) content_type: &'a str,
    pub(super) width: u32,
    pub(super) height: u32,
    /// None for one that was made elsewhere.
    pub(super) ai_generated: Option<bool>,
    pub(super) provenance: &'a serde_json::Value,
    /// Now where it is not said.
    pub(super) created_at: Option<Timestamp>,
    pub(super) created_by: Option<UserId>,
}

pub(super) fn insert_rendition(tx: &Tx<'_>, row: &NewRow<'_>) -> Result<RenditionId> {
    let id = RenditionId::new();
    tx.prepare_cached(
        "INSERT INTO renditions (id, media_seq, version_id, sha256, restoration_id, name, content_type, width, height,
                                 ai_generated, made_elsewhere, provenance, created_at, created_by)
         VALUES (:id, :media_seq, :version_id, :sha256, :restoration_id, :name, :content_type, :width, :height,
                 :ai_generated, :made_elsewhere, :provenance, :created_at, :created_by)",
    )?
    .execute(named_params! {
        ":id": id,
        ":media_seq": row.media,
        ":version_id": row.version,
        ":sha256": row.blob,
        ":restoration_id": row.restoration,
        ":name": row.name,
        ":content_type": row.content_type,
        ":width": row.width,
        ":height": row.height,
        ":ai_generated": row.ai_generated.unwrap_or(false),
        ":made_elsewhere": row.ai_generated.is_none(),
        ":provenance": row.provenance.to_string(),
        ":created_at": row.created_at.unwrap_or(tx.now()),
        ":created_by": row.created_by,
    })?;
    Ok(id)
}

pub(super) fn find_rendition(conn: &Connection, media: Seq, id: RenditionId) -> Result<Option<Rendition>> {
    let sql = format!(
        "SELECT {RENDITION_COLUMNS} FROM renditions r JOIN media m ON m.seq = r.media_seq JOIN blobs USING (sha256)
         WHERE r.id = ?1 AND r.media_seq = ?2"
    );
    Ok(conn.prepare_cached(&sql)?.query_row(params![id, media], rendition_from_row).optional()?)
}

/// The newest rendition of a media whose SHA-256 begins so.
pub(super) fn find_rendition_by_name(
    conn: &Connection,
    media: Seq,
    name: [u8; 8],
) -> Result<Option<Rendition>> {
    let sql = format!(
        "SELECT {RENDITION_COLUMNS} FROM renditions r JOIN media m ON m.seq = r.media_seq JOIN blobs USING (sha256)
         WHERE r.media_seq = ?1 AND substr(r.sha256, 1, 8) = ?2 ORDER BY r.id DESC LIMIT 1"
    );
    Ok(conn.prepare_cached(&sql)?.query_row(params![media, name], rendition_from_row).optional()?)
}

/// Newest first.
pub(super) fn list_renditions(
    conn: &Connection,
    media: Seq,
    before: Option<RenditionId>,
    rows: usize,
) -> Result<Vec<Rendition>> {
    let before_clause = if before.is_some() { "r.id < ?2" } else { "?2 IS NULL" };
    let sql = format!(
        "SELECT {RENDITION_COLUMNS} FROM renditions r JOIN media m ON m.seq = r.media_seq JOIN blobs USING (sha256)
         WHERE r.media_seq = ?1 AND {before_clause} ORDER BY r.id DESC LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(params![media, before, limit(rows)], rendition_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn delete_rendition(tx: &Tx<'_>, id: RenditionId) -> Result<()> {
    tx.prepare_cached("DELETE FROM renditions WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Moves the time of the last change of a media, whatever it was.
pub(super) fn touch_media(tx: &Tx<'_>, media: Seq) -> Result<()> {
    tx.prepare_cached("UPDATE media SET updated_at = ?2 WHERE seq = ?1")?
        .execute(params![media, tx.now()])?;
    Ok(())
}
