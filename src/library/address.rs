//! What stands at an address below `/storage`, and by what right it goes out.

use std::time::Duration;

use super::delivery::{Content, Rendering};
use super::model::{Slug, Visibility};
use super::signed::{Asked, Signature, version_bytes};
use super::wish::Wish;
use super::{Error, Result, buckets, presets, store};
use crate::app::App;

/// An address below `/storage`, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    /// The bucket.
    pub bucket: String,
    /// The key in it.
    pub key: String,
    /// What the address says about the content that it means: the beginning of its SHA-256.
    pub version: Option<String>,
    /// The rendering.
    pub wish: Wish,
    /// The signature, where there is one.
    pub signature: Option<Signature>,
}

/// By what right something goes out; what caches may do with it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// The caller may read the library.
    Reader,
    /// Everybody may have it.
    Public,
    /// Whoever has the address may have it, for so long.
    Signed {
        /// How long.
        left: Duration,
    },
}

/// What an address stands for.
#[derive(Debug)]
pub struct Addressed {
    /// The bytes.
    pub content: Content,
    /// The rendering of them, or why there is none. Whoever has no right to the bytes is not told.
    pub rendering: Result<Option<Rendering>>,
    /// By what right whoever asks may have it, or what strangers are told. Readers of the library may have it all the
    /// same.
    pub right: Result<Right>,
}

/// Finds what stands at an address. What is not there and what is nobody's business are told alike.
///
/// # Errors
/// [`Error::SignatureInvalid`] and [`Error::SignatureExpired`] before anything is looked up; [`Error::NoSuchMedia`],
/// [`Error::Keys`], [`Error::Db`].
pub async fn find_by_address(app: &App, address: Address) -> Result<Addressed> {
    let signed_for = match &address.signature {
        Some(signature) => {
            let asked = Asked {
                bucket: &address.bucket,
                key: &address.key,
                version: address.version.as_deref().unwrap_or_default(),
                rendering: &address.wish.canonical(),
            };
            Some(signature.check(app, &asked)?)
        }
        None => None,
    };
    let bucket = Slug::parse(&address.bucket).map_err(|_| Error::NoSuchMedia)?;
    app.db
        .read(move |conn| {
            let missing = |e| if matches!(e, Error::NoSuchBucket) { Error::NoSuchMedia } else { e };
            let bucket = buckets::get_in(conn, &bucket).map_err(missing)?;
            let media =
                store::find_media_by_key(conn, bucket.seq, &address.key)?.ok_or(Error::NoSuchMedia)?;
            let is_public = bucket.visibility == Visibility::Public;
            let mut content = Content::current(&media);
            if signed_for.is_some() {
                // The address means the content of the time when it was signed, also when there is a newer one.
                let name =
                    address.version.as_deref().and_then(version_bytes).ok_or(Error::SignatureInvalid)?;
                let version =
                    store::find_version_by_name(conn, media.seq, name)?.ok_or(Error::NoSuchMedia)?;
                content = Content::version(&media, &version);
            }
            if (is_public || signed_for.is_some()) && !bucket.keep_location {
                content = content.without_place();
            }
            let right = match (signed_for, &address.wish) {
                (Some(left), _) => Ok(Right::Signed { left }),
                (None, Wish::Original | Wish::Preset(_)) if is_public => Ok(Right::Public),
                (None, Wish::Own(_)) if is_public => Err(Error::SignatureNeeded),
                _ => Err(Error::NoSuchMedia),
            };
            let rendering = presets::resolve_in(conn, &address.wish);
            Ok(Addressed { content, rendering, right })
        })
        .await
}
