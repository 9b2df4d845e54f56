//! Photographs and files: buckets, folders, media, versions, renditions, the trash.
//!
//! Every byte comes in through [`receive`] and every byte goes out through [`deliver`]; a door translates a protocol and
//! holds no rules. Contents are immutable: a new content is a new version, a picture made from one is a rendition.
//! The room knows nothing of restoring, sharing or of any protocol.

mod buckets;
mod delivery;
mod error;
mod intake;
mod jobs;
mod model;
mod names;
mod renditions;
mod routes;
mod store;

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::Connection;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::accounts::Permission;
use crate::api::events::{self, Audience};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::db::{self, Tx};
use crate::imaging::{self, MetadataEntry};
use crate::storage::{BlobId, BlobReader, Kept, Storage};

pub use buckets::{
    BucketChange, NewBucket, add_bucket, add_bucket_in, add_folder, change_bucket, first_bucket, get_bucket,
    list_buckets, list_folders, remove_bucket,
};
pub use delivery::{Content, Delivery, Outcome, Piece, Wanted, deliver};
pub use error::Error;
pub use intake::{
    Arrived, Destination, add, add_file, add_in, admit, fits, receive, receive_bytes, receive_staged,
};
pub use jobs::{Describe, FindOrphans, GRACE, Sweep, TRASH_KEPT, clean_up};
pub use model::{
    Bucket, BucketId, Filter, Folder, Kind, Media, MediaId, OnConflict, Position, Rendition, RenditionId,
    RestorationId, Slug, Sort, SortBy, State, Version, VersionId, Visibility,
};
pub use names::{KEY_BYTES_MAX, SEGMENT_BYTES_MAX, file_name, folder, key};
pub use renditions::{NewRendition, add_rendition_in, get_rendition, list_renditions, remove_rendition};
pub use routes::router;

use model::Seq;
use store::Place;

/// What library functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Finds a media, in the trash or not.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub async fn get(app: &App, id: MediaId) -> Result<Media> {
    app.db.read(move |conn| get_in(conn, id)).await
}

/// Does the same on a connection or in a transaction.
///
/// # Errors
/// As [`get`].
pub fn get_in(conn: &Connection, id: MediaId) -> Result<Media> {
    store::find_media(conn, id)?.ok_or(Error::NoSuchMedia)
}

/// Finds what has a key in a bucket and is not in the trash.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub async fn find_by_key(app: &App, bucket: &Slug, key: &str) -> Result<Option<Media>> {
    let (bucket, key) = (bucket.clone(), key.to_owned());
    app.db
        .read(move |conn| {
            let bucket = buckets::get_in(conn, &bucket)?;
            Ok(store::find_media_by_key(conn, bucket.seq, &key)?)
        })
        .await
}

/// Of some contents with their lengths, those that something in the library has now. For somebody who may read all of it.
///
/// # Errors
/// [`Error::Db`].
pub async fn known(app: &App, contents: Vec<(BlobId, u64)>) -> Result<Vec<BlobId>> {
    app.db
        .read(move |conn| {
            let mut known = Vec::new();
            for (blob, size_bytes) in contents {
                if store::is_current_content(conn, blob, size_bytes)? {
                    known.push(blob);
                }
            }
            Ok(known)
        })
        .await
}

/// Whether a file of this machine is what a media has now. Only one of the same length is read.
///
/// # Errors
/// [`Error::Interrupted`] when the file can't be read.
pub async fn is_same(media: &Media, file: &Path) -> Result<bool> {
    let (path, size_bytes, expected) = (file.to_owned(), media.size_bytes, media.sha256);
    let compared = tokio::task::spawn_blocking(move || {
        let mut file = File::open(&path)?;
        if file.metadata()?.len() != size_bytes {
            return Ok(false);
        }
        let mut hash = Sha256::new();
        let mut piece = vec![0; 256 * 1024];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(BlobId::from_bytes(hash.finalize().into()) == expected),
                read => hash.update(&piece[..read]),
            }
        }
    });
    compared.await.map_err(Error::Task)?.map_err(|e: std::io::Error| Error::Interrupted(e.into()))
}

/// Media that fit a filter, in an order, at most `rows`, those after a position.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::BadName`] for a folder that can't be one, [`Error::Db`].
pub async fn list(
    app: &App,
    mut filter: Filter,
    sort: Sort,
    after: Option<Position>,
    rows: usize,
) -> Result<Vec<Media>> {
    if let Some(folder) = &mut filter.folder {
        *folder = names::folder(folder)?;
    }
    // No name holds what can't be typed, or is longer than a name may be.
    let unheard_of =
        |name: &String| name.len() > names::SEGMENT_BYTES_MAX || name.chars().any(char::is_control);
    let nothing = filter.name.as_ref().is_some_and(unheard_of);
    app.db
        .read(move |conn| {
            let bucket = match &filter.bucket {
                Some(slug) => Some(buckets::get_in(conn, slug)?.seq),
                None => None,
            };
            if nothing {
                return Ok(Vec::new());
            }
            Ok(store::list::list(conn, bucket, &filter, sort, after.as_ref(), rows)?)
        })
        .await
}

/// What is to be changed about a media.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Its name from now on.
    pub name: Option<String>,
    /// The folder that it lies in from now on.
    pub folder: Option<String>,
    /// What to do when the name is taken there; it is refused where it is not said. Replacing moves what is there to
    /// the trash.
    pub on_conflict: Option<OnConflict>,
}

/// Renames or moves a media within its bucket.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::InTrash`], [`Error::BadName`], [`Error::NameTaken`], [`Error::Db`].
pub async fn change(app: &App, actor: &Actor, id: MediaId, change: Change) -> Result<Media> {
    let name = change.name.as_deref().map(names::file_name).transpose()?;
    let folder = change.folder.as_deref().map(names::folder).transpose()?;
    let on_conflict = change.on_conflict.unwrap_or(OnConflict::Refuse);
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let media = get_in(tx, id)?;
            if media.state == State::Trashed {
                return Err(Error::InTrash);
            }
            let name = name.unwrap_or_else(|| media.name.clone());
            let folder = folder.unwrap_or_else(|| media.folder.clone());
            let key = names::key(&folder, &name)?;
            if key == media.key {
                return Ok(media);
            }
            let wanted = Place { key: &key, folder: &folder, name: &name };
            let found;
            let place = match store::find_media_by_key(tx, media.bucket_seq, &key)? {
                None => wanted,
                Some(_) if on_conflict == OnConflict::Rename => {
                    found = free_place(tx, media.bucket_seq, &folder, &name)?;
                    found.place(&folder)
                }
                Some(other) if on_conflict == OnConflict::Replace => {
                    trash_in(tx, &actor, &other)?;
                    wanted
                }
                Some(_) => return Err(Error::NameTaken { name }),
            };
            store::buckets::ensure_folder(tx, media.bucket_seq, &folder)?;
            store::move_media(tx, media.seq, place)?;
            let details = serde_json::json!({ "bucket": media.bucket, "from": media.key });
            let target = Target::new("media", id).named(place.key);
            audit::record(tx, &actor, "media.move", target, &details)?;
            let media = get_in(tx, id)?;
            emit(tx, &media, What::Updated)?;
            Ok(media)
        })
        .await
}

/// Moves a media to the trash; one that lies there already stays.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub async fn trash(app: &App, actor: &Actor, id: MediaId) -> Result<()> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let media = get_in(tx, id)?;
            if media.state == State::Trashed { Ok(()) } else { trash_in(tx, &actor, &media) }
        })
        .await
}

fn trash_in(tx: &Tx<'_>, actor: &Actor, media: &Media) -> Result<()> {
    store::trash_media(tx, media.seq)?;
    record(tx, actor, "media.trash", media)?;
    Ok(emit(tx, media, What::Trashed)?)
}

/// Takes a media back from the trash. If its name is taken by now, it is numbered.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NameTaken`] when no number fits the length of a key, [`Error::Db`].
pub async fn untrash(app: &App, actor: &Actor, id: MediaId) -> Result<Media> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let media = get_in(tx, id)?;
            if media.state != State::Trashed {
                return Ok(media);
            }
            let found;
            let place = if store::is_taken(tx, media.bucket_seq, &media.key)? {
                found = free_place(tx, media.bucket_seq, &media.folder, &media.name)?;
                found.place(&media.folder)
            } else {
                Place { key: &media.key, folder: &media.folder, name: &media.name }
            };
            store::buckets::ensure_folder(tx, media.bucket_seq, &media.folder)?;
            store::untrash_media(tx, media.seq, place)?;
            let media = get_in(tx, id)?;
            record(tx, &actor, "media.untrash", &media)?;
            emit(tx, &media, What::Updated)?;
            Ok(media)
        })
        .await
}

/// Removes a media from the trash for good, with its versions and renditions. Bytes that nothing else refers to are
/// unlinked a day later.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NotInTrash`], [`Error::Db`].
pub async fn purge(app: &App, actor: &Actor, id: MediaId) -> Result<()> {
    let actor = actor.clone();
    app.db.write(move |tx| purge_in(tx, &actor, id)).await
}

fn purge_in(tx: &Tx<'_>, actor: &Actor, id: MediaId) -> Result<()> {
    let media = get_in(tx, id)?;
    if media.state != State::Trashed {
        return Err(Error::NotInTrash);
    }
    for blob in store::delete_media(tx, media.seq)? {
        store::blobs::condemn_if_unused(tx, blob)?;
    }
    record(tx, actor, "media.purge", &media)?;
    Ok(emit(tx, &media, What::Removed)?)
}

/// The contents that a media has had, newest first, at most `rows`, those before a number.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub async fn list_versions(app: &App, id: MediaId, before: Option<u32>, rows: usize) -> Result<Vec<Version>> {
    app.db.read(move |conn| Ok(store::list_versions(conn, get_in(conn, id)?.seq, before, rows)?)).await
}

/// Finds a media and one of its versions; the current one where none is named.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NoSuchVersion`], [`Error::Db`].
pub async fn get_version(app: &App, id: MediaId, version: Option<VersionId>) -> Result<(Media, Version)> {
    app.db.read(move |conn| get_version_in(conn, id, version)).await
}

/// Does the same on a connection or in a transaction.
///
/// # Errors
/// As [`get_version`].
pub fn get_version_in(
    conn: &Connection,
    id: MediaId,
    version: Option<VersionId>,
) -> Result<(Media, Version)> {
    let media = get_in(conn, id)?;
    let version = store::find_version(conn, media.seq, version.unwrap_or(media.version_id))?;
    Ok((media, version.ok_or(Error::NoSuchVersion)?))
}

/// Opens a version's bytes for blocking code, such as a decoder. Blocks.
///
/// # Errors
/// [`Error::Storage`].
pub fn open_version(storage: &Storage, version: &Version) -> Result<BlobReader> {
    Ok(storage.reader(version.sha256)?)
}

/// Keeps a blob that another feature needs for a media, such as the mask of a restoration, as long as the media is there.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub fn attach_in(tx: &Tx<'_>, media: MediaId, kept: &Kept) -> Result<()> {
    Ok(store::blobs::attach(tx, get_in(tx, media)?.seq, kept)?)
}

/// One line of what is known about a media, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fact {
    /// Where it belongs: `File`, `Picture`, `Camera` or `Place`.
    pub group: &'static str,
    /// What it is.
    pub name: String,
    /// The value with its unit.
    pub value: String,
}

/// Everything that the file says about its current content: format, size, and what the camera wrote.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Storage`], [`Error::Db`]. A damaged file just says less.
pub async fn list_facts(app: &App, id: MediaId) -> Result<Vec<Fact>> {
    let media = get(app, id).await?;
    let storage = app.storage.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut facts = vec![
            fact("File", "Name", &media.name),
            fact("File", "Type", &media.content_type),
            fact("File", "Size", format!("{} bytes", media.size_bytes)),
            fact("File", "SHA-256", media.sha256),
        ];
        if let (Some(width), Some(height)) = (media.width, media.height) {
            let mut reader = storage.reader(media.sha256)?;
            facts.push(fact("Picture", "Size", format!("{width} × {height} pixels")));
            if let Ok(probe) = imaging::probe(&mut reader) {
                facts.push(fact("Picture", "Format", probe.format.name()));
                facts.push(fact("Picture", "Bit depth", probe.bit_depth));
                facts.push(fact(
                    "Picture",
                    "Colour profile",
                    if probe.has_icc { "embedded" } else { "none" },
                ));
                if probe.frames > 1 {
                    facts.push(fact("Picture", "Frames", probe.frames));
                }
                let block = probe.exif.unwrap_or_default();
                facts.extend(imaging::metadata_entries(&block).into_iter().filter_map(camera_fact));
            }
        }
        Ok(facts)
    });
    read.await.unwrap_or_else(|e| Err(Error::Task(e)))
}

fn fact(group: &'static str, name: &str, value: impl ToString) -> Fact {
    Fact { group, name: name.to_owned(), value: value.to_string() }
}

fn camera_fact(entry: MetadataEntry) -> Option<Fact> {
    let group = match entry.group {
        "image" | "exif" => "Camera",
        "gps" => "Place",
        // The embedded thumbnail and compatibility notes are nobody's concern.
        _ => return None,
    };
    Some(Fact { group, name: entry.name, value: entry.value })
}

/// What has become of a media, for those who watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Created,
    Updated,
    Trashed,
    Removed,
}

#[derive(Serialize)]
struct News<'a> {
    id: MediaId,
    bucket: &'a Slug,
    change: What,
}

fn emit(tx: &Tx<'_>, media: &Media, change: What) -> db::Result<()> {
    let audience = Audience::Permission(Permission::LibraryRead.as_str());
    events::emit(tx, "media", &audience, &News { id: media.id, bucket: &media.bucket, change })
}

fn record(tx: &Tx<'_>, actor: &Actor, action: &'static str, media: &Media) -> db::Result<()> {
    let details = serde_json::json!({ "bucket": media.bucket });
    audit::record(tx, actor, action, Target::new("media", media.id).named(&media.key), &details)
}

/// A numbered name that is free.
struct FreePlace {
    key: String,
    name: String,
}

impl FreePlace {
    fn place<'a>(&'a self, folder: &'a str) -> Place<'a> {
        Place { key: &self.key, folder, name: &self.name }
    }
}

/// Finds the first number that makes a name free in a folder.
fn free_place(tx: &Tx<'_>, bucket: Seq, folder: &str, name: &str) -> Result<FreePlace> {
    let room = names::KEY_BYTES_MAX - if folder.is_empty() { 0 } else { folder.len() + 1 };
    let (stem, _) = names::split(name);
    let prefix = if folder.is_empty() { format!("{stem} (") } else { format!("{folder}/{stem} (") };
    // One question instead of one for each number; names that had to be cut are not among them.
    let taken: HashSet<String> = store::keys_beginning(tx, bucket, &prefix)?.into_iter().collect();
    for number in 2.. {
        let name = names::numbered(name, number, room);
        let key = names::key(folder, &name).map_err(|_| Error::NameTaken { name: name.clone() })?;
        if !taken.contains(&key) && !store::is_taken(tx, bucket, &key)? {
            return Ok(FreePlace { key, name });
        }
    }
    Err(Error::NameTaken { name: name.to_owned() })
}

/// Whether any blob is on record: an empty store then means that its disk is missing.
///
/// # Errors
/// When the database can't be read.
pub async fn has_blobs(db: &db::Db) -> db::Result<bool> {
    db.read(store::blobs::exist).await
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Media that are not in the trash.
    pub media: u64,
    /// Bytes of their current versions.
    pub size_bytes: u64,
}

/// Counts what is in all buckets.
///
/// # Errors
/// When the database can't be read.
pub fn totals(conn: &Connection) -> db::Result<Totals> {
    let (media, size_bytes) = store::buckets::totals(conn)?;
    Ok(Totals { media, size_bytes })
}
