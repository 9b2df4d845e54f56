//! The one way out: which bytes, which part of them, and how they may be shown.
//!
//! What a door sends is decided here, in terms that every protocol has; whether the caller may read the library at all
//! was decided by who may call.

use std::sync::Arc;

use bytes::Bytes;

use super::model::{Media, Rendition, Version};
use super::{Error, Result};
use crate::api::{ByteRange, Preconditions, RangeOutcome};
use crate::app::App;
use crate::cache::Failure;
use crate::imaging::{self, Format, Limits, OutputFormat, Preset};
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
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A rendering instead of the bytes themselves.
    pub preset: Option<Preset>,
    /// To be saved, not shown.
    pub download: bool,
    /// The beginning of the SHA-256 that the caller expects; if it is right the answer may be cached for ever.
    pub expected: Option<String>,
    /// Conditions and range.
    pub conditions: Preconditions,
    /// Only what is said about the bytes, not the bytes.
    pub head: bool,
}

/// An answer, before it is put into a protocol's words.
#[derive(Debug)]
pub struct Delivery {
    /// The strong validator, with its quotes.
    pub etag: String,
    /// The media type.
    pub content_type: String,
    /// The name to save it under.
    pub name: String,
    /// Whether it is to be saved, not shown.
    pub attachment: bool,
    /// Whether what is shown may neither run nor load anything.
    pub sandbox: bool,
    /// Whether the address will never stand for other bytes.
    pub immutable: bool,
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
}

/// Decides what is sent of a content, and makes the variant that is asked for.
///
/// # Errors
/// [`Error::NotAPicture`], [`Error::PictureTooLarge`], [`Error::PictureDamaged`] for variants; [`Error::Storage`].
pub async fn deliver(app: &App, content: &Content, wanted: &Wanted) -> Result<Delivery> {
    let variant = match wanted.preset {
        Some(_) if !content.is_picture => return Err(Error::NotAPicture),
        Some(preset) => Some(Recipe::new(content.blob, preset)),
        None => None,
    };
    let etag = match &variant {
        Some(recipe) => format!("\"{}\"", recipe.name),
        None => format!("\"{}\"", content.blob),
    };
    let expected = wanted.expected.as_deref().is_some_and(|start| {
        start.len() >= 8 && content.blob.to_string().starts_with(&start.to_ascii_lowercase())
    });
    // Decided before anything is left out: a cache takes the headers of an answer without bytes over into the content
    // that it has.
    let manner = if variant.is_some() { Manner::Shown } else { Manner::of(&content.content_type) };
    let mut delivery = Delivery {
        content_type: content.content_type.clone(),
        name: content.name.clone(),
        attachment: wanted.download || manner == Manner::Saved,
        sandbox: manner != Manner::Shown,
        immutable: content.is_fixed || expected,
        outcome: Outcome::NotModified,
        etag,
    };
    if wanted.conditions.failed(&delivery.etag) {
        delivery.outcome = Outcome::PreconditionFailed;
        return Ok(delivery);
    }
    if wanted.conditions.not_modified(&delivery.etag) {
        return Ok(delivery);
    }
    delivery.outcome = match variant {
        Some(recipe) => {
            let bytes = recipe.make(app).await?;
            let format = Format::sniff(&bytes).unwrap_or(Format::Jpeg);
            delivery.content_type = format.content_type().to_owned();
            let (stem, _) = super::names::split(&content.name);
            delivery.name = format!("{stem}.{}", format.extension());
            choose(wanted, &delivery.etag, bytes.len() as u64, |range| {
                Piece::Bytes(bytes.slice(range.start as usize..range.end as usize))
            })
        }
        None => {
            let blob = app.storage.open(content.blob).await?;
            choose(wanted, &delivery.etag, blob.size_bytes(), |range| Piece::Stream(blob.stream(range)))
        }
    };
    Ok(delivery)
}

fn choose(
    wanted: &Wanted,
    etag: &str,
    size_bytes: u64,
    piece: impl FnOnce(std::ops::Range<u64>) -> Piece,
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
struct Recipe {
    blob: BlobId,
    preset: Preset,
    name: String,
}

impl Recipe {
    fn new(blob: BlobId, preset: Preset) -> Self {
        // Whether it becomes a JPEG or keeps its alpha in a WebP follows from the picture.
        Self { blob, preset, name: format!("{blob}-{}", preset.transform().key(None)) }
    }

    async fn make(&self, app: &App) -> Result<Bytes> {
        let (blob, preset) = (self.blob, self.preset);
        let (storage, budget) = (app.storage.clone(), app.budget.clone());
        let limits = Limits { max_pixels: app.config.limits.max_pixels };
        let make = move || {
            let mut reader = storage.reader(blob).map_err(failure)?;
            let probe = imaging::probe(&mut reader).map_err(failure)?;
            let format = if probe.colour.has_alpha() { OutputFormat::Webp } else { OutputFormat::Jpeg };
            let variant = imaging::render(&mut reader, &preset.transform(), format, &limits, &budget);
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
