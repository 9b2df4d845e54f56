//! The one way in: stream, hash, count, look, keep, and only then the row and the work that it makes due.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio_util::io::ReaderStream;

use super::jobs::{Describe, WarmUp};
use super::limits::{self, Allowance};
use super::model::{Bucket, Media, OnConflict, Seq, Slug, VersionId};
use super::rights;
use super::store::{NewVersion, Place};
use super::{
    Error, OldAddress, Result, What, add_old_address_in, emit, free_place, get_as_in, get_in, names, store,
};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::clock::Timestamp;
use crate::db::{self, Tx};
use crate::imaging;
use crate::jobs;
use crate::storage::{BlobId, Kept, Received, Staging};

/// Bytes read from a file of this machine at a time.
const FILE_PIECE_BYTES: usize = 256 * 1024;

/// Where an upload goes, as people typed it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The bucket; the oldest one that may take it where it is not said.
    pub bucket: Option<Slug>,
    /// The folder; empty for the top.
    pub folder: String,
    /// The name.
    pub name: String,
    /// What to do when the name is taken.
    pub on_conflict: OnConflict,
}

/// Bytes that are stored durably, and what they are. While it lives they can't be swept away: keep it until the row
/// that names them is committed.
#[derive(Debug)]
#[must_use = "nothing refers to these bytes yet"]
pub struct Arrived {
    kept: Kept,
    facts: Box<Facts>,
}

impl Arrived {
    /// The name of the blob: the SHA-256 of the bytes.
    pub fn blob(&self) -> BlobId {
        self.kept.blob()
    }

    /// The number of bytes.
    pub fn size_bytes(&self) -> u64 {
        self.kept.size_bytes()
    }

    /// Notes when the file was last changed before it came here. A picture that does not say when it was taken is sorted
    /// by it.
    pub fn modified_at(mut self, modified_at: Option<Timestamp>) -> Self {
        self.facts.modified_at = modified_at;
        self
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// What a look at the first bytes and the headers tells.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) content_type: String,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
    pub(super) orientation: u16,
    pub(super) frames: u32,
    pub(super) taken_at: Option<Timestamp>,
    pub(super) modified_at: Option<Timestamp>,
    pub(super) camera: Option<String>,
}

/// Takes a file in and gives it its place: all of [`admit`], [`receive`] and [`add_in`].
///
/// # Errors
/// Theirs. What can be known beforehand is told before the first byte is read.
pub async fn add(
    app: &App,
    actor: &Actor,
    to: Destination,
    body: impl Stream<Item = Result<Bytes>> + Send,
) -> Result<Media> {
    let (to, allowance) = admit(app, actor, to, None).await?;
    let arrived = receive_allowed(app, &allowance, &to.name, body).await?;
    place(app, actor, to, arrived).await
}

/// A file of this machine that is to come in.
#[derive(Debug, Clone, Copy)]
pub struct FromDisk<'a> {
    /// Where it is.
    pub file: &'a Path,
    /// Whether its bytes are shared instead of copied, where the file system can, as [`crate::storage::Storage::share`]
    /// says.
    pub share: bool,
    /// When it was last changed; the file's own date where that is not said.
    pub modified_at: Option<Timestamp>,
    /// The address by which it was known elsewhere, which leads to it from the same transaction on.
    pub old_address: Option<&'a str>,
}

/// Takes a file of this machine in, with the date of its last change.
///
/// # Errors
/// As [`add_file_from`].
pub async fn add_file(app: &App, actor: &Actor, to: Destination, file: &Path, share: bool) -> Result<Media> {
    add_file_from(app, actor, to, FromDisk { file, share, modified_at: None, old_address: None }).await
}

/// Takes a file of this machine in, with what is known about it.
///
/// # Errors
/// As [`add`]; [`Error::Interrupted`] when the file can't be read.
pub async fn add_file_from(app: &App, actor: &Actor, to: Destination, from: FromDisk<'_>) -> Result<Media> {
    let size_bytes = tokio::fs::metadata(from.file).await.map_err(unreadable)?.len();
    let (to, allowance) = admit(app, actor, to, (!from.share).then_some(size_bytes)).await?;
    let arrived = receive_file(app, Some(&allowance), &to.name, from).await?;
    let (actor, old_address) = (actor.clone(), from.old_address.map(str::to_owned));
    let (media, _arrived) = app
        .db
        .write(move |tx| {
            let media = add_in(tx, &actor, &to, &arrived)?;
            if let Some(path) = old_address {
                add_old_address_in(tx, &path, OldAddress { media: media.id, rendition: None })?;
            }
            Ok::<_, Error>((media, arrived))
        })
        .await?;
    Ok(media)
}

/// Stores the bytes of a file of this machine durably and finds out what they are, with the date of its last change. They
/// stay within an allowance where there is one; pictures that were made from others need none.
///
/// # Errors
/// As [`receive_allowed`]; [`Error::Interrupted`] when the file can't be read.
pub async fn receive_file(
    app: &App,
    allowance: Option<&Allowance>,
    name: &str,
    from: FromDisk<'_>,
) -> Result<Arrived> {
    let opened = tokio::fs::File::open(from.file).await.map_err(unreadable)?;
    let metadata = opened.metadata().await.map_err(unreadable)?;
    if let Some(allowance) = allowance {
        allowance.check_size(metadata.len())?;
    }
    let shared = if from.share { app.storage.share(from.file).await? } else { None };
    let arrived = match shared {
        Some(received) => keep(received, name).await?,
        None => {
            let body =
                ReaderStream::with_capacity(opened, FILE_PIECE_BYTES).map(|piece| piece.map_err(unreadable));
            match allowance {
                Some(allowance) => receive_allowed(app, allowance, name, body).await?,
                None => receive_within(app, None, name, body).await?,
            }
        }
    };
    let own_date = Timestamp::from_millis(metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000);
    Ok(arrived.modified_at(Some(from.modified_at.unwrap_or(own_date))))
}

fn unreadable(error: std::io::Error) -> Error {
    Error::Interrupted(error.into())
}

/// Does [`add_in`] in a transaction of its own.
async fn place(app: &App, actor: &Actor, to: Destination, arrived: Arrived) -> Result<Media> {
    let actor = actor.clone();
    // The bytes' hold goes into the transaction and comes back after it: they stay while it can still be committed,
    // even if whoever waits for it here gives up.
    let (media, _arrived) = app
        .db
        .write(move |tx| {
            let media = add_in(tx, &actor, &to, &arrived)?;
            Ok::<_, Error>((media, arrived))
        })
        .await?;
    Ok(media)
}

/// Says beforehand, as far as that can be known, whether a file may come in. Returns where it goes, with the names in the
/// form in which they are stored, and what may come. `size_bytes` is its length, if somebody has said so.
///
/// # Errors
/// [`Error::BadName`], [`Error::NoSuchBucket`], [`Error::NoBucket`], [`Error::Forbidden`], [`Error::NameTaken`] where a taken name is refused,
/// [`Error::QuotaExceeded`], [`Error::Storage`] with `TooLarge` or `Full`, [`Error::Db`].
pub async fn admit(
    app: &App,
    actor: &Actor,
    to: Destination,
    size_bytes: Option<u64>,
) -> Result<(Destination, Allowance)> {
    let to = Destination { name: names::file_name(&to.name)?, folder: names::folder(&to.folder)?, ..to };
    let allowance = limits::allowance(app, actor, &to).await?;
    if let Some(size_bytes) = size_bytes {
        allowance.check_size(size_bytes)?;
        app.storage.ensure_room(size_bytes)?;
    }
    Ok((to, allowance))
}

/// Stores bytes durably, within the limit for uploads and the free space, and finds out what they are. `name` only
/// refines what the bytes tell.
///
/// # Errors
/// [`Error::Storage`] with `TooLarge` or `Full` while it streams, and whatever the stream itself says. Nothing stays of
/// what failed.
pub async fn receive(
    app: &App,
    name: &str,
    body: impl Stream<Item = Result<Bytes>> + Send,
) -> Result<Arrived> {
    receive_within(app, app.settings.current().limits.max_upload_bytes, name, body).await
}

/// Does the same within what may still come to a place, which is told as soon as it is known: of a length with the bytes
/// that are too many, of a media type with the first ones.
///
/// # Errors
/// As [`receive`], and [`Error::QuotaExceeded`], [`Error::TypeNotAllowed`].
pub async fn receive_allowed(
    app: &App,
    allowance: &Allowance,
    name: &str,
    body: impl Stream<Item = Result<Bytes>> + Send,
) -> Result<Arrived> {
    let mut head = Vec::new();
    let mut is_known = !allowance.is_choosy();
    let looked_at = body.map(|chunk| {
        let chunk = chunk?;
        if !is_known {
            head.extend_from_slice(&chunk[..chunk.len().min(imaging::SNIFF_BYTES - head.len())]);
            if head.len() == imaging::SNIFF_BYTES {
                is_known = true;
                allowance.check_type(imaging::sniff(&head, name))?;
            }
        }
        Ok(chunk)
    });
    let received = receive_within(app, allowance.max_bytes(), name, looked_at).await;
    let arrived = received.map_err(|error| allowance.explain(error))?;
    allowance.check_type(&arrived.facts.content_type)?;
    Ok(arrived)
}

async fn receive_within(
    app: &App,
    limit_bytes: Option<u64>,
    name: &str,
    body: impl Stream<Item = Result<Bytes>> + Send,
) -> Result<Arrived> {
    let mut incoming = app.storage.receive(limit_bytes);
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        incoming.write(chunk?).await?;
    }
    keep(incoming.finish().await?, name).await
}

/// Does the same with bytes that came in several goes and are all there; whoever took them in has counted them. What was
/// staged stays, for it is needed again if the row can't be committed: discard it afterwards.
///
/// # Errors
/// [`Error::Storage`].
pub async fn receive_staged(name: &str, staging: Staging) -> Result<Arrived> {
    keep(staging.finish().await?, name).await
}

/// Finds out what the bytes are, and makes them durable under their name.
async fn keep(received: Received, name: &str) -> Result<Arrived> {
    let name = name.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let facts = look(&received, &name)?;
        Ok::<_, Error>((received, facts))
    });
    let (received, facts) = looked.await.map_err(Error::Task)??;
    let kept = received.keep().await?;
    Ok(Arrived { kept, facts: Box::new(facts) })
}

/// Does the same with bytes that were made here, such as a rendition. The limit for uploads is not theirs: a restored
/// picture may well be larger than what was uploaded.
///
/// # Errors
/// [`Error::Storage`] with `Full`.
pub async fn receive_bytes(app: &App, name: &str, bytes: Bytes) -> Result<Arrived> {
    receive_within(app, None, name, stream::iter([Ok(bytes)])).await
}

/// Gives stored bytes a place in the library, in a transaction, if the actor may put them there.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::NoBucket`], [`Error::Forbidden`], [`Error::BadName`], [`Error::NameTaken`], [`Error::TypeNotAllowed`],
/// [`Error::QuotaExceeded`], [`Error::Storage`] with `TooLarge`, [`Error::Db`].
pub fn add_in(tx: &Tx<'_>, actor: &Actor, to: &Destination, arrived: &Arrived) -> Result<Media> {
    let name = names::file_name(&to.name)?;
    let folder = names::folder(&to.folder)?;
    let key = names::key(&folder, &name)?;
    let bucket = rights::destination_for(tx, actor, to.bucket.as_ref())?;
    let version = arrived.version(actor);
    limits::check_in(&bucket, &version.content_type, version.size_bytes)?;
    store::blobs::pardon(tx, &arrived.kept)?;
    store::buckets::ensure_folder(tx, bucket.seq, &folder)?;
    let existing = store::find_media_by_key(tx, bucket.seq, &key)?;
    // What somebody else has brought makes no room for whoever replaces it.
    let before = match &existing {
        Some(media) if store::limits::added_by(tx, media.seq)? == actor.user_id() => media.size_bytes,
        _ => 0,
    };
    let (id, action, what) = match existing {
        None => {
            let place = Place { key: &key, folder: &folder, name: &name };
            (store::insert_media(tx, bucket.seq, place, &version)?, "media.upload", What::Created)
        }
        Some(_) if to.on_conflict == OnConflict::Rename => {
            let free = free_place(tx, bucket.seq, &folder, &name)?;
            let id = store::insert_media(tx, bucket.seq, free.place(&folder), &version)?;
            (id, "media.upload", What::Created)
        }
        Some(media) if to.on_conflict == OnConflict::Replace => {
            // The same bytes again are no new content; a repeated request has no second effect.
            if media.sha256 == arrived.blob() {
                return Ok(media);
            }
            store::add_version(tx, media.seq, &version)?;
            drop_old_versions(tx, &bucket, media.seq)?;
            (media.id, "media.replace", What::Updated)
        }
        Some(_) => return Err(Error::NameTaken { name }),
    };
    if version.size_bytes > before || what == What::Created {
        limits::check_quotas_in(tx, bucket.seq, actor.user_id())?;
    }
    let media = get_in(tx, id)?;
    describe(tx, &media)?;
    let details = serde_json::json!({ "bucket": media.bucket, "size_bytes": media.size_bytes });
    audit::record(tx, actor, action, Target::new("media", id).named(&media.key), &details)?;
    emit(tx, &media, what)?;
    get_as_in(tx, actor.user_id(), id)
}

/// Takes over the place-holder that the same bytes have already, or has one made, and after it what the grid shows.
pub(super) fn describe(tx: &Tx<'_>, media: &Media) -> Result<()> {
    store::duplicates::wait_if_shared(tx, media.seq)?;
    if media.width.is_none() {
        return Ok(());
    }
    if let Some(looked) = store::duplicates::known(tx, media.sha256)? {
        store::duplicates::set_looked(tx, media.version_id, &looked)?;
        return Ok(());
    }
    describe_again(tx, media.version_id)?;
    Ok(WarmUp::enqueue(tx, media.sha256)?)
}

/// Has a version looked at.
pub(super) fn describe_again(tx: &Tx<'_>, version: VersionId) -> db::Result<()> {
    let options = jobs::Options { unique_key: Some(version.to_string()), ..jobs::Options::default() };
    jobs::enqueue(tx, &Describe { version }, options).map(drop)
}

/// Removes the versions of a media that are more than its bucket keeps.
pub(super) fn drop_old_versions(tx: &Tx<'_>, bucket: &Bucket, media: Seq) -> Result<()> {
    let Some(keep) = bucket.limits.keep_versions else { return Ok(()) };
    for blob in store::limits::drop_old_versions(tx, media, keep)? {
        store::blobs::condemn_if_unused(tx, blob)?;
    }
    Ok(())
}

impl Arrived {
    fn version(&self, actor: &Actor) -> NewVersion {
        let Facts { content_type, width, height, orientation, frames, taken_at, modified_at, camera } =
            (*self.facts).clone();
        NewVersion {
            blob: self.blob(),
            size_bytes: self.size_bytes(),
            content_type,
            width,
            height,
            orientation,
            frames,
            taken_at,
            modified_at,
            camera,
            created_by: actor.user_id(),
        }
    }
}

/// Looks at the headers. A picture whose headers can't be read is stored like any other file.
fn look(received: &Received, name: &str) -> Result<Facts> {
    let head = received.head();
    let mut facts = Facts {
        content_type: imaging::sniff(&head[..head.len().min(imaging::SNIFF_BYTES)], name).to_owned(),
        width: None,
        height: None,
        orientation: 1,
        frames: 1,
        taken_at: None,
        modified_at: None,
        camera: None,
    };
    if !imaging::may_be_shown(head) {
        return Ok(facts);
    }
    match imaging::probe(&mut received.open()?) {
        Ok(probe) => {
            let (width, height) = probe.displayed_size();
            let metadata = &probe.metadata;
            facts.width = Some(width);
            facts.height = Some(height);
            facts.orientation = probe.orientation.to_exif();
            facts.frames = probe.frames;
            facts.taken_at = metadata.taken_at.map(|taken| Timestamp::from_millis(taken.utc_millis()));
            facts.camera = camera(metadata.camera_make.as_deref(), metadata.camera_model.as_deref());
        }
        Err(imaging::Error::Read(source)) => return Err(Error::Interrupted(source.into())),
        Err(e) => tracing::debug!(error = %e, "the headers of a picture can't be read"),
    }
    Ok(facts)
}

/// Most makers begin the model's name with their own; then it is said once.
fn camera(make: Option<&str>, model: Option<&str>) -> Option<String> {
    match (make, model) {
        (Some(make), Some(model)) if !model.to_lowercase().starts_with(&make.to_lowercase()) => {
            Some(format!("{make} {model}"))
        }
        (make, model) => model.or(make).map(str::to_owned),
    }
}
