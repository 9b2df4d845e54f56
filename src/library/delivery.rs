//! The one way out: which bytes, which part of them, and how they may be shown.
//!
//! What a door sends is decided here, in terms that every protocol has; whether the caller may read the library at all
//! was decided by who may call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::model::{Media, Rendition, Version};
use super::{Error, Result};
use crate::api::{ByteRange, Preconditions, RangeOutcome};
use crate::app::App;
use crate::cache::Failure;
use crate::imaging::{self, Limits, OutputFormat, Redaction, Transform};
use crate::storage::{self, BlobId, BlobStream};

/// Bytes of the library, with what is said about them.
#[derive(Debug, Clone)]
pub struct Content {
    blob: BlobId,
    content_type: String,
    name: String,
    is_picture: bool,
    /// Whether the address always stands for these bytes.
    is_fixed: bool,
    /// Whether the place where a picture was taken may go out with it.
    tells_place: bool,
}

impl Content {
    /// The current content of a media.
    pub fn current(media: &Media) -> Self {
        Self {
            blob: media.sha256,
            content_type: media.content_type.clone(),
            name: media.name.clone(),
            is_picture: media.width.is_some(),
            is_fixed: false,
            tells_place: true,
        }
    }

    /// One of its versions.
    pub fn version(media: &Media, version: &Version) -> Self {
        Self {
            blob: version.sha256,
            content_type: version.content_type.clone(),
            name: media.name.clone(),
            is_picture: version.width.is_some(),
            is_fixed: true,
            tells_place: true,
        }
    }

    /// A rendition.
    pub fn rendition(rendition: &Rendition) -> Self {
        Self {
            blob: rendition.sha256,
            content_type: rendition.content_type.clone(),
            name: rendition.name.clone(),
            is_picture: true,
            is_fixed: true,
            tells_place: true,
        }
    }

    /// The rendition that a media is shared as, which may be another one tomorrow.
    pub fn shared(rendition: &Rendition) -> Self {
        Self { is_fixed: false, ..Self::rendition(rendition) }
    }

    /// A picture that another feature has attached to a media.
    pub fn attached(blob: BlobId, content_type: String, name: String) -> Self {
        Self { blob, content_type, name, is_picture: true, is_fixed: false, tells_place: true }
    }

    /// The same for people who may not learn where a picture was taken.
    #[must_use]
    pub fn without_place(self) -> Self {
        Self { tells_place: false, ..self }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A rendering instead of the bytes themselves.
    pub rendering: Option<Rendering>,
    /// The formats that the caller accepts, as the `Accept` header names them.
    pub accept: Option<String>,
    /// To be saved, not shown.
    pub download: bool,
    /// The beginning of the SHA-256 that the caller expects; if it is right the answer may be cached for ever.
    pub expected: Option<String>,
    /// Conditions and range.
    pub conditions: Preconditions,
    /// Only what is said about the bytes, not the bytes.
    pub head: bool,
}

/// A rendering that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendering {
    /// What it is to be.
    pub transform: Transform,
    /// Whether the address may stand for another one some day: it names a preset that an admin edits.
    pub may_change: bool,
}

/// An answer, before it is put into a protocol's words.
#[derive(Debug)]
pub struct Delivery {
    /// The strong validator, with its quotes.
    pub etag: String,
    /// The media type.
    pub content_type: String,
    /// The name to save it under; none while nobody knows what a rendering will be.
    pub name: Option<String>,
    /// Whether it is to be saved, not shown.
    pub attachment: bool,
    /// Whether what is shown may neither run nor load anything.
    pub sandbox: bool,
    /// Whether the address will never stand for other bytes.
    pub immutable: bool,
    /// Whether the bytes depend on what the caller accepts.
    pub varies: bool,
    /// Which bytes.
    pub outcome: Outcome,
}

/// Which bytes are sent.
#[derive(Debug)]
pub enum Outcome {
    /// The caller has them already.
    NotModified,
    /// The caller wants others.
    PreconditionFailed,
    /// The range lies outside of them.
    Unsatisfiable {
        /// How many there are.
        size_bytes: u64,
    },
    /// All of them.
    Whole {
        /// How many there are.
        size_bytes: u64,
        /// The bytes.
        piece: Piece,
    },
    /// Some of them.
    Part {
        /// Which ones.
        range: ByteRange,
        /// How many there are in all.
        size_bytes: u64,
        /// The bytes of the range.
        piece: Piece,
    },
    /// Several ranges, in the order in which they were asked for.
    Parts {
        /// Each with its bytes.
        parts: Vec<(ByteRange, Piece)>,
        /// How many bytes there are in all.
        size_bytes: u64,
    },
}

/// Bytes on their way out.
#[derive(Debug)]
pub enum Piece {
    /// None, because only the head was asked for.
    Nothing,
    /// In memory.
    Bytes(Bytes),
    /// From the disk.
    Stream(BlobStream),
    /// From the disk, without the place where a picture was taken.
    Redacted(Redacted),
}

/// A stream of a file in which some bytes are others.
#[derive(Debug)]
pub struct Redacted {
    stream: BlobStream,
    at: u64,
    redactions: Arc<[Redaction]>,
}

impl Stream for Redacted {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = Pin::new(&mut self.stream).poll_next(cx);
        piece.map_ok(|piece| {
            let at = self.at;
            self.at += piece.len() as u64;
            Redaction::apply(&self.redactions, at, piece)
        })
    }
}

/// Decides what is sent of a content, and makes the variant that is asked for.
///
/// # Errors
/// [`Error::NotAPicture`], [`Error::PictureTooLarge`], [`Error::PictureDamaged`] for variants; [`Error::Storage`].
pub async fn deliver(app: &App, content: &Content, wanted: &Wanted) -> Result<Delivery> {
    let recipe = match wanted.rendering {
        Some(_) if !content.is_picture => return Err(Error::NotAPicture),
        Some(rendering) => Some(Recipe::new(content, rendering.transform, wanted.accept.as_deref())),
        None => None,
    };
    let mut delivery = describe(content, wanted, recipe.as_ref());
    if wanted.conditions.failed(&delivery.etag) {
        delivery.outcome = Outcome::PreconditionFailed;
        return Ok(delivery);
    }
    if wanted.conditions.not_modified(&delivery.etag) {
        return Ok(delivery);
    }
    let Some(recipe) = recipe else {
        delivery.outcome = original(app, content, wanted, &delivery.etag).await?;
        return Ok(delivery);
    };
    let bytes = match app.hot.get(&recipe.name) {
        Some(bytes) => bytes,
        None => {
            let bytes = recipe.make(app).await?;
            app.hot.put(&recipe.name, &bytes);
            bytes
        }
    };
    let format = OutputFormat::sniff(&bytes).unwrap_or(OutputFormat::Jpeg);
    delivery.content_type = format.content_type().to_owned();
    let (stem, _) = super::names::split(&content.name);
    delivery.name = Some(format!("{stem}.{}", format.extension()));
    delivery.outcome = choose(wanted, &delivery.etag, bytes.len() as u64, |range| slice(&bytes, range));
    Ok(delivery)
}

/// What is said about the bytes. It is decided before anything is left out: a cache takes the headers of an answer
/// without bytes over into the content that it has.
fn describe(content: &Content, wanted: &Wanted, recipe: Option<&Recipe>) -> Delivery {
    let expected = wanted.expected.as_deref().is_some_and(|start| {
        start.len() >= 8 && content.blob.to_string().starts_with(&start.to_ascii_lowercase())
    });
    let manner = if recipe.is_some() { Manner::Shown } else { Manner::of(&content.content_type) };
    let etag = match recipe {
        Some(recipe) => format!("\"{}\"", recipe.name),
        None if content.is_redacted() => format!("\"{}-{REDACTION}\"", content.blob),
        None => format!("\"{}\"", content.blob),
    };
    Delivery {
        etag,
        content_type: content.content_type.clone(),
        name: recipe.is_none().then(|| content.name.clone()),
        attachment: wanted.download || manner == Manner::Saved,
        sandbox: manner != Manner::Shown,
        immutable: (content.is_fixed || expected) && !wanted.rendering.is_some_and(|it| it.may_change),
        varies: wanted.rendering.is_some_and(|it| it.transform.depends_on_accept()),
        outcome: Outcome::NotModified,
    }
}

async fn original(app: &App, content: &Content, wanted: &Wanted, etag: &str) -> Result<Outcome> {
    let redactions = if content.is_redacted() { redactions(app, content.blob).await? } else { Arc::new([]) };
    let name = content.blob.to_string();
    let blob = match app.hot.get(&name) {
        Some(bytes) => Ok(bytes),
        None => {
            let blob = app.storage.open(content.blob).await?;
            match blob.bytes() {
                Some(bytes) => {
                    app.hot.put(&name, bytes);
                    Ok(bytes.clone())
                }
                None => Err(blob),
            }
        }
    };
    Ok(match blob {
        Ok(bytes) => {
            let bytes = Redaction::apply(&redactions, 0, bytes);
            choose(wanted, etag, bytes.len() as u64, |range| slice(&bytes, range))
        }
        Err(blob) => choose(wanted, etag, blob.size_bytes(), |range| {
            let at = range.start;
            let stream = blob.stream(range);
            if redactions.is_empty() {
                Piece::Stream(stream)
            } else {
                Piece::Redacted(Redacted { stream, at, redactions: Arc::clone(&redactions) })
            }
        }),
    })
}

fn slice(bytes: &Bytes, range: std::ops::Range<u64>) -> Piece {
    Piece::Bytes(bytes.slice(range.start as usize..range.end as usize))
}

/// Raised whenever another thing is taken out, so that what caches have is left behind.
const REDACTION: &str = "place1";

impl Content {
    /// Whether what tells a place has to be taken out of the original bytes.
    fn is_redacted(&self) -> bool {
        !self.tells_place && (self.is_picture || self.content_type.starts_with("image/"))
    }
}

/// What has to be taken out of a picture so that it does not tell where it was taken. Found once, and remembered like
/// a rendering.
async fn redactions(app: &App, blob: BlobId) -> Result<Arc<[Redaction]>> {
    let name = format!("{blob}-{REDACTION}");
    let bytes = match app.hot.get(&name) {
        Some(bytes) => bytes,
        None => {
            let storage = app.storage.clone();
            let make = move || {
                let mut reader = storage.reader(blob).map_err(failure)?;
                Ok(Redaction::write(&imaging::redactions(&mut reader).map_err(failure)?))
            };
            let bytes = app.cache.get_or_make(&name, make).await.map_err(explain)?;
            app.hot.put(&name, &bytes);
            bytes
        }
    };
    let list = Redaction::read(&bytes)
        .ok_or_else(|| Error::Render(failure(std::io::Error::from(std::io::ErrorKind::InvalidData))))?;
    Ok(list.into())
}

fn choose(
    wanted: &Wanted,
    etag: &str,
    size_bytes: u64,
    piece: impl Fn(std::ops::Range<u64>) -> Piece,
) -> Outcome {
    if wanted.head {
        // RFC 9110, 14.2: a range means something for GET only.
        return Outcome::Whole { size_bytes, piece: Piece::Nothing };
    }
    match wanted.conditions.range(etag, size_bytes) {
        RangeOutcome::Whole => Outcome::Whole { size_bytes, piece: piece(0..size_bytes) },
        RangeOutcome::Part(range) => {
            Outcome::Part { range, size_bytes, piece: piece(range.first..range.last + 1) }
        }
        RangeOutcome::Parts(ranges) => {
            let parts = ranges.into_iter().map(|range| (range, piece(range.first..range.last + 1))).collect();
            Outcome::Parts { parts, size_bytes }
        }
        RangeOutcome::Unsatisfiable => Outcome::Unsatisfiable { size_bytes },
    }
}

/// What a browser may do with a content of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Show it.
    Shown,
    /// Show it, but let it do nothing.
    Sandboxed,
    /// Save it: it can run, or nobody knows what it is.
    Saved,
}

impl Manner {
    fn of(content_type: &str) -> Self {
        match content_type {
            "image/jpeg" | "image/png" | "image/webp" | "image/gif" | "image/avif" | "image/tiff"
            | "image/bmp" | "image/heic" | "image/heif" | "image/jxl" => Self::Shown,
            "text/plain" | "text/csv" | "text/markdown" | "application/json" => Self::Sandboxed,
            media if media.starts_with("video/") || media.starts_with("audio/") => Self::Sandboxed,
            _ => Self::Saved,
        }
    }
}

/// A variant of a picture: the same name always stands for the same bytes.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    blob: BlobId,
    transform: Transform,
    accept: Option<String>,
    name: String,
}

impl Recipe {
    fn new(content: &Content, transform: Transform, accept: Option<&str>) -> Self {
        let transform = if content.tells_place { transform.keeping_position() } else { transform };
        Self::of(content.blob, transform, accept)
    }

    /// How a picture is rendered for a caller who accepts these formats.
    pub(super) fn of(blob: BlobId, transform: Transform, accept: Option<&str>) -> Self {
        // The name is also the validator, and lists of validators have commas between them.
        let name = format!("{blob}-{}", transform.key(accept).replace(',', "_"));
        Self { blob, transform, accept: accept.map(str::to_owned), name }
    }

    /// Whether it lies in the cache already.
    pub(super) async fn is_made(&self, app: &App) -> bool {
        let (cache, name) = (app.cache.clone(), self.name.clone());
        tokio::task::spawn_blocking(move || cache.holds(&name)).await.unwrap_or(false)
    }

    /// Finds the variant or makes it.
    ///
    /// # Errors
    /// Those of [`deliver`].
    pub(super) async fn make(&self, app: &App) -> Result<Bytes> {
        let Self { blob, transform, accept, .. } = self.clone();
        let (storage, budget) = (app.storage.clone(), app.budget.clone());
        let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
        let make = move || {
            let mut reader = storage.reader(blob).map_err(failure)?;
            let probe = imaging::probe(&mut reader).map_err(failure)?;
            let format = transform.negotiate(accept.as_deref(), &probe);
            let variant = imaging::render(&mut reader, &transform, format, &limits, &budget);
            Ok(variant.map_err(failure)?.bytes)
        };
        app.cache.get_or_make(&self.name, make).await.map_err(explain)
    }
}

fn failure(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Arc::new(error)
}

/// Tells what lies with the picture from what lies with us.
fn explain(failure: Failure) -> Error {
    if let Some(storage::Error::NotFound(blob)) = failure.downcast_ref() {
        return Error::Storage(storage::Error::NotFound(*blob));
    }
    match failure.downcast_ref::<imaging::Error>() {
        Some(imaging::Error::NotAPicture { .. } | imaging::Error::Unsupported { .. }) => Error::NotAPicture,
        Some(
            imaging::Error::TooLarge { .. }
            | imaging::Error::TooLargeFor { .. }
            | imaging::Error::Budget { .. },
        ) => Error::PictureTooLarge,
        Some(e @ (imaging::Error::Truncated { .. } | imaging::Error::Broken { .. })) => {
            Error::PictureDamaged { reason: e.to_string() }
        }
        Some(imaging::Error::Encode { .. } | imaging::Error::Read(_)) | None => Error::Render(failure),
    }
}
