//! The one way in: stream, hash, count, look, keep, and only then the row and the work that it makes due.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::jobs::{Describe, WarmUp};
use super::model::{Media, OnConflict, Slug};
use super::store::{NewVersion, Place};
use super::{Error, Result, What, buckets, emit, free_place, get_as_in, get_in, names, store};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::clock::Timestamp;
use crate::db::Tx;
use crate::imaging::{self, Format};
use crate::jobs;
use crate::storage::{self, BlobId, Kept, Received, Staging};

/// Where an upload goes, as people typed it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The bucket; the oldest one where it is not said.
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
    let to = admit(app, to, None).await?;
    let arrived = receive(app, &to.name, body).await?;
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

/// Says beforehand, as far as that can be known, whether a file may come in, and returns where it goes with the names in
/// the form in which they are stored. `size_bytes` is its length, if somebody has said so.
///
/// # Errors
/// [`Error::BadName`], [`Error::NoSuchBucket`], [`Error::NoBucket`], [`Error::NameTaken`] where a taken name is refused,
/// [`Error::Storage`] with `TooLarge` or `Full`, [`Error::Db`].
pub async fn admit(app: &App, to: Destination, size_bytes: Option<u64>) -> Result<Destination> {
    let name = names::file_name(&to.name)?;
    let folder = names::folder(&to.folder)?;
    let key = names::key(&folder, &name)?;
    if let Some(size_bytes) = size_bytes {
        fits(app, size_bytes)?;
        app.storage.ensure_room(size_bytes)?;
    }
    let to = Destination { name, folder, ..to };
    app.db
        .read(move |conn| {
            let bucket = buckets::get_or_first_in(conn, to.bucket.as_ref())?;
            if to.on_conflict == OnConflict::Refuse && store::is_taken(conn, bucket.seq, &key)? {
                return Err(Error::NameTaken { name: to.name });
            }
            Ok(to)
        })
        .await
}

/// Says whether so many bytes are within the limit for one file.
///
/// # Errors
/// [`Error::Storage`] with `TooLarge`.
pub fn fits(app: &App, size_bytes: u64) -> Result<()> {
    match app.config.limits.max_upload_bytes {
        Some(limit_bytes) if size_bytes > limit_bytes => Err(storage::Error::TooLarge { limit_bytes }.into()),
        _ => Ok(()),
    }
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
    receive_within(app, app.config.limits.max_upload_bytes, name, body).await
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

/// Gives stored bytes a place in the library, in a transaction.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::NoBucket`], [`Error::BadName`], [`Error::NameTaken`], [`Error::Db`].
pub fn add_in(tx: &Tx<'_>, actor: &Actor, to: &Destination, arrived: &Arrived) -> Result<Media> {
    let name = names::file_name(&to.name)?;
    let folder = names::folder(&to.folder)?;
    let key = names::key(&folder, &name)?;
    let bucket = buckets::get_or_first_in(tx, to.bucket.as_ref())?;
    let version = arrived.version(actor);
    store::blobs::pardon(tx, &arrived.kept)?;
    store::buckets::ensure_folder(tx, bucket.seq, &folder)?;
    let existing = store::find_media_by_key(tx, bucket.seq, &key)?;
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
            (media.id, "media.replace", What::Updated)
        }
        Some(_) => return Err(Error::NameTaken { name }),
    };
    let media = get_in(tx, id)?;
    describe(tx, &media)?;
    let details = serde_json::json!({ "bucket": media.bucket, "size_bytes": media.size_bytes });
    audit::record(tx, actor, action, Target::new("media", id).named(&media.key), &details)?;
    emit(tx, &media, what)?;
    get_as_in(tx, actor.user_id(), id)
}

/// Takes over the place-holder that the same bytes have already, or has one made, and after it what the grid shows.
pub(super) fn describe(tx: &Tx<'_>, media: &Media) -> Result<()> {
    if media.width.is_none() {
        return Ok(());
    }
    if let Some(thumbhash) = store::known_thumbhash(tx, media.sha256)? {
        store::set_thumbhash(tx, media.version_id, &thumbhash)?;
        return Ok(());
    }
    let options =
        jobs::Options { unique_key: Some(media.version_id.to_string()), ..jobs::Options::default() };
    jobs::enqueue(tx, &Describe { version: media.version_id }, options)?;
    Ok(WarmUp::enqueue(tx, media.sha256)?)
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
    if Format::sniff(head).is_none() {
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
