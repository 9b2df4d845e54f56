//! Photographs and files: buckets, folders, media, versions, renditions, the trash.
//!
//! Every byte comes in through [`receive`] and every byte goes out through [`deliver`]; a door translates a protocol and
//! holds no rules. Contents are immutable: a new content is a new version, a picture made from one is a rendition.
//! The room knows nothing of restoring, sharing or of any protocol.

mod address;
mod buckets;
mod bulk;
mod delivery;
mod duplicates;
mod error;
mod intake;
mod jobs;
mod limits;
mod members;
mod model;
mod names;
mod old_addresses;
mod organise;
mod presets;
mod query;
mod renditions;
mod rights;
mod routes;
mod scans;
mod signed;
mod store;
mod tags;
mod wish;

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
use crate::audit::{self, Actor, Target, UserId};
use crate::db::{self, Tx};
use crate::imaging::{self, MetadataEntry};
use crate::storage::{BlobId, BlobReader, Kept, Storage};

pub use address::{Address, Addressed, Lookups, Right, find_by_address};
pub use buckets::{
    BucketChange, NewBucket, add_bucket, add_bucket_in, add_folder, change_bucket, find_bucket_in,
    first_bucket, get_bucket, get_bucket_for, list_buckets, list_folders, remove_bucket,
};
pub use bulk::{
    AT_ONCE_MAX, Begun, Bulk, Deed, Failed, Outcome as BulkOutcome, Run, Which, bulk, cancel_run, get_run,
    move_folder, remove_folder, remove_tag, rename_tag, select,
};
pub use delivery::{Content, Delivery, Outcome, Piece, Redacted, Rendering, Wanted, deliver};
pub use duplicates::{DISTANCE_MAX, FindAlike, Group, Likeness, dismiss_duplicates, list_duplicates};
pub use error::Error;
pub use intake::{
    Arrived, Destination, FromDisk, add, add_file, add_file_from, add_in, admit, receive, receive_allowed,
    receive_bytes, receive_file, receive_staged,
};
pub use jobs::{Describe, FindOrphans, GRACE, Sweep, TRASH_KEPT, WarmUp, clean_up};
pub use limits::{
    Allowance, BucketLimits, Expire, LimitChange, QuotaOf, UserStorage, allowance, set_user_quota,
    user_storage,
};
pub use members::{Member, Person, list_members, list_people, put_member, remove_member};
pub use model::{
    Bucket, BucketId, Filter, Folder, Kind, Looked, Media, MediaId, Month, OnConflict, Position, Rendition,
    RenditionId, RestorationId, Search, Slug, Sort, SortBy, State, Stored, Tag, Version, VersionId,
    Visibility,
};
pub use names::{KEY_BYTES_MAX, SEGMENT_BYTES_MAX, file_name, folder, key};
pub use old_addresses::{
    Led, OldAddress, add_old_address_in, add_old_bucket_in, find_old_address, find_old_bucket_in, lead,
};
pub use organise::{Change, CopyTo, DESCRIPTION_BYTES_MAX, change, copy, purge, trash, untrash};
pub use presets::{DeliveryPreset, list_presets, put_preset, remove_preset, resolve};
pub use query::Query;
pub use renditions::{
    MadeElsewhere, NewRendition, add_rendition_in, add_rendition_made_elsewhere_in, get_rendition,
    list_renditions, remove_rendition,
};
pub use rights::{
    BucketAccess, BucketRole, Caller, audience_of, get_for_in, hears, may_somewhere, permissions_somewhere,
    seen_buckets,
};
pub use routes::{ContentQuery, Pairs, Somewhere, router, send as send_content, storage_router};
pub use scans::{add_from_scan_in, list_of_scan};
pub use signed::{Life, Signature, Signed, SignedUrl, sign_url};
pub use store::MEDIA_IS_SEEN;
pub use tags::{TAGS_MAX, list_tags};
pub use wish::Wish;

use model::Seq;
use store::Place;

/// What library functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Finds a media, in the trash or not, for whoever may do this with it, and with that person's favourites.
///
/// # Errors
/// As [`get_for_in`].
pub async fn get_for(
    app: &App,
    caller: impl Into<Caller>,
    id: MediaId,
    permission: Permission,
) -> Result<Media> {
    let caller = caller.into();
    app.db.read(move |conn| get_for_in(conn, caller, id, permission)).await
}

/// Finds a media, in the trash or not, whoever may see it: for work that somebody was allowed to begin.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub fn get_in(conn: &Connection, id: MediaId) -> Result<Media> {
    get_as_in(conn, None, id)
}

fn get_as_in(conn: &Connection, viewer: Option<UserId>, id: MediaId) -> Result<Media> {
    store::find_media(conn, viewer, id)?.ok_or(Error::NoSuchMedia)
}

/// Finds what has a key in a bucket and is not in the trash, for the machine.
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

/// A content that something in the library has.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct KnownContent {
    /// SHA-256 of its bytes.
    pub sha256: BlobId,
    /// Something that has it; in the folder that was named, if that has it there.
    pub media_id: MediaId,
    /// Whether that lies in the folder that was named.
    pub here: bool,
}

/// Of some contents with their lengths, those that something which the caller may read has now, and whether it lies in a
/// folder.
///
/// # Errors
/// [`Error::BadName`] for a folder that can't be one, [`Error::Db`].
pub async fn known(
    app: &App,
    caller: impl Into<Caller>,
    contents: Vec<(BlobId, u64)>,
    place: Option<(Slug, String)>,
) -> Result<Vec<KnownContent>> {
    let caller = caller.into();
    let place =
        place.map(|(bucket, folder)| names::folder(&folder).map(|folder| (bucket, folder))).transpose()?;
    app.db
        .read(move |conn| {
            let buckets = store::json(&rights::where_in(conn, caller, Permission::LibraryRead)?);
            let place = place.as_ref().map(|(bucket, folder)| (bucket.as_str(), folder.as_str()));
            let mut known = Vec::new();
            for (sha256, size_bytes) in contents {
                let found = store::find_current_content(conn, &buckets, sha256, size_bytes, place)?;
                if let Some((media_id, here)) = found {
                    known.push(KnownContent { sha256, media_id, here });
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
    filter: Filter,
    sort: Sort,
    after: Option<Position>,
    rows: usize,
) -> Result<Vec<Media>> {
    app.db
        .read(move |conn| {
            let (buckets, filter) = narrow(conn, filter)?;
            Ok(store::list::list(conn, &buckets, &filter, sort, after.as_ref(), rows)?)
        })
        .await
}

/// Counts the media that fit a filter by the month in which they were taken, or else came here; newest first.
///
/// # Errors
/// As [`list`].
pub async fn timeline(app: &App, filter: Filter) -> Result<Vec<Month>> {
    app.db
        .read(move |conn| {
            let (buckets, filter) = narrow(conn, filter)?;
            let months = store::list::months(conn, &buckets, &filter)?;
            Ok(months.into_iter().rev().map(|(month, count)| Month::new(month, count)).collect())
        })
        .await
}

/// Brings a filter into the form in which things are stored, and finds its buckets: the one that it names, or all that its
/// viewer sees.
fn narrow(conn: &Connection, mut filter: Filter) -> Result<(Vec<Seq>, Filter)> {
    if let Some(folder) = &mut filter.folder {
        *folder = names::folder(folder)?;
    }
    let buckets = seen(conn, filter.viewer.into(), filter.bucket.as_ref())?;
    Ok((buckets, filter))
}

/// The bucket that is named, if the caller sees it, or else all that the caller sees.
fn seen(conn: &Connection, caller: Caller, bucket: Option<&Slug>) -> Result<Vec<Seq>> {
    Ok(match bucket {
        Some(slug) => vec![rights::bucket_for(conn, caller, slug, Permission::LibraryRead)?.seq],
        None => rights::where_in(conn, caller, Permission::LibraryRead)?,
    })
}

/// The contents that a media has had, newest first, at most `rows`, those before a number.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub async fn list_versions(
    app: &App,
    caller: impl Into<Caller>,
    id: MediaId,
    before: Option<u32>,
    rows: usize,
) -> Result<Vec<Version>> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let media = get_for_in(conn, caller, id, Permission::LibraryRead)?;
            Ok(store::list_versions(conn, media.seq, before, rows)?)
        })
        .await
}

/// Finds a media and one of its versions, for whoever may do this with it; the current one where none is named.
///
/// # Errors
/// As [`get_for_in`]; [`Error::NoSuchVersion`].
pub async fn get_version_for(
    app: &App,
    caller: impl Into<Caller>,
    id: MediaId,
    version: Option<VersionId>,
    permission: Permission,
) -> Result<(Media, Version)> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            get_for_in(conn, caller, id, permission)?;
            get_version_in(conn, id, version)
        })
        .await
}

/// Finds a media and one of its versions, whoever may see them: for work that somebody was allowed to begin.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NoSuchVersion`], [`Error::Db`].
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

/// Lets go of a blob that was attached to a media. Whoever attached it knows that it is not needed any more.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub fn detach_in(tx: &Tx<'_>, media: MediaId, blob: BlobId) -> Result<()> {
    Ok(store::blobs::detach(tx, get_in(tx, media)?.seq, blob)?)
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

/// Everything that the file says about its current content: format, size, what the camera wrote and what programs wrote
/// for people.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Storage`], [`Error::Db`]. A damaged file just says less.
pub async fn list_facts(app: &App, caller: impl Into<Caller>, id: MediaId) -> Result<Vec<Fact>> {
    let media = get_for(app, caller, id, Permission::LibraryRead).await?;
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
                let block = probe.exif.as_deref().unwrap_or_default();
                facts.extend(imaging::metadata_entries(block).into_iter().filter_map(camera_fact));
                let written = imaging::written_entries(&mut reader, &probe).into_iter();
                facts.extend(written.map(|entry| Fact {
                    group: entry.group,
                    name: entry.name,
                    value: entry.value,
                }));
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
    emit_as(tx, media.id, &media.bucket, change)
}

/// Tells those who see a bucket that a media was moved into another one: there it is gone.
fn emit_left(tx: &Tx<'_>, before: &Media) -> db::Result<()> {
    emit_as(tx, before.id, &before.bucket, What::Removed)
}

fn emit_as(tx: &Tx<'_>, id: MediaId, bucket: &Slug, change: What) -> db::Result<()> {
    match audience(tx, bucket)? {
        Some(audience) => events::emit(tx, "media", &audience, &News { id, bucket, change }),
        None => Ok(()),
    }
}

/// Who hears of what happens in a bucket; none if there is no such bucket.
fn audience(conn: &Connection, bucket: &Slug) -> db::Result<Option<Audience>> {
    Ok(store::buckets::id_of(conn, bucket)?.map(|id| Audience::Bucket(id.to_string())))
}

/// Tells of several at once: whoever looks at the bucket reads the list again.
fn emit_many(tx: &Tx<'_>, bucket: &Slug, count: u64) -> db::Result<()> {
    let news = serde_json::json!({ "change": "many", "bucket": bucket, "count": count });
    match audience(tx, bucket)? {
        Some(audience) => events::emit(tx, "media", &audience, &news),
        None => Ok(()),
    }
}

/// Tells one person of what concerns nobody else.
fn emit_to(tx: &Tx<'_>, user: UserId, media: &Media) -> db::Result<()> {
    let news = News { id: media.id, bucket: &media.bucket, change: What::Updated };
    events::emit(tx, "media", &Audience::User(user.to_string()), &news)
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

/// Some of the blobs that are on record, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub fn known_blobs(conn: &Connection, limit: usize) -> db::Result<Vec<BlobId>> {
    store::blobs::some(conn, limit)
}

/// How many blobs are stored, from a count that is kept beside them.
///
/// # Errors
/// When the rows can't be read.
pub fn stored(conn: &Connection) -> db::Result<Stored> {
    store::blobs::stored(conn)
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
