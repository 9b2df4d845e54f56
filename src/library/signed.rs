//! Addresses that anybody may use until they are over: what is signed, and whether a signature fits.
//!
//! A signature binds bucket, key, the content of the time of signing, and the rendering. Its key is one of the
//! instance's own ([`crate::keys`]), named in the address so that a rotation leaves older addresses valid.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::model::{Media, MediaId, RenditionId};
use super::rights::get_for_in;
use super::wish::Wish;
use super::{Error, Result, presets, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::clock::Timestamp;
use crate::keys::{Key, Purpose};
use crate::storage::BlobId;

/// The shortest and the longest life of an address.
const LIFE: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Purpose::SignedUrls.longest_life();

/// Bytes of the SHA-256 that name a content in an address.
const VERSION_BYTES: usize = 8;

/// Said first in everything that is signed here, so that a key's signatures mean nothing elsewhere.
const CONTEXT: &str = "safelight /storage 1";

/// What the parameters of an address say about its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key: String,
    expires_s: i64,
    code: [u8; 32],
}

impl Signature {
    /// Reads the parameters of a query; none if it is not signed.
    ///
    /// # Errors
    /// [`Error::SignatureInvalid`] when there is a part of a signature, or one that can't be read.
    pub fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Option<Self>> {
        let (mut key, mut expires, mut code) = (None, None, None);
        for (name, value) in pairs {
            let place = match name {
                "kid" => &mut key,
                "expires" => &mut expires,
                "signature" => &mut code,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(Error::SignatureInvalid);
            }
        }
        let (key, expires, code) = match (key, expires, code) {
            (None, None, None) => return Ok(None),
            (Some(key), Some(expires), Some(code)) => (key, expires, code),
            _ => return Err(Error::SignatureInvalid),
        };
        let digits = (1..=12).contains(&expires.len()) && expires.bytes().all(|b| b.is_ascii_digit());
        let expires_s = expires.parse().ok().filter(|_| digits).ok_or(Error::SignatureInvalid)?;
        let mut bytes = [0; 32];
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(code, &mut bytes).unwrap_or(0);
        if length != bytes.len() || key.len() > 64 {
            return Err(Error::SignatureInvalid);
        }
        Ok(Some(Self { key: key.to_owned(), expires_s, code: bytes }))
    }

    /// Checks it against what is asked for, and returns for how long it is still good.
    ///
    /// # Errors
    /// [`Error::SignatureInvalid`], [`Error::SignatureExpired`], [`Error::Keys`].
    pub(super) fn check(&self, app: &App, asked: &Asked<'_>) -> Result<Duration> {
        let key = app.keys.find(Purpose::SignedUrls, &self.key)?.ok_or(Error::SignatureInvalid)?;
        if !key.verify(&asked.message(&self.key, self.expires_s), &self.code) {
            return Err(Error::SignatureInvalid);
        }
        let ends_at = Timestamp::from_millis(self.expires_s.saturating_mul(1000));
        match ends_at.since(app.clock.now()) {
            Duration::ZERO => Err(Error::SignatureExpired),
            left => Ok(left),
        }
    }
}

/// What a signature binds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    /// The beginning of the content's SHA-256, as it stands in the address.
    pub(super) version: &'a str,
    /// The canonical wish.
    pub(super) rendering: &'a str,
}

impl Asked<'_> {
    /// Each part with its length before it: no two different wishes make the same message.
    fn message(&self, key: &str, expires_s: i64) -> Vec<u8> {
        let expires = expires_s.to_string();
        let parts = [CONTEXT, self.bucket, self.key, self.version, self.rendering, key, &expires];
        parts.iter().flat_map(|part| format!("{}:{part},", part.len()).into_bytes()).collect()
    }

    fn sign(&self, key: &Key, expires_s: i64) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(key.sign(&self.message(key.id(), expires_s)))
    }
}

/// The beginning of a content's SHA-256 that stands in signed addresses.
fn version_name(blob: BlobId) -> String {
    blob.to_string()[..2 * VERSION_BYTES].to_owned()
}

/// Reads what [`version_name`] has written.
pub(super) fn version_bytes(name: &str) -> Option<[u8; VERSION_BYTES]> {
    let lower =
        name.len() == 2 * VERSION_BYTES && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    lower.then(|| u64::from_str_radix(name, 16).ok()).flatten().map(u64::to_be_bytes)
}

/// An address that anybody may use until it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// The address.
    pub url: String,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// For how long an address is to be good.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// How long that is wished.
    pub wanted: Duration,
    /// When it is over at the latest, because then whoever signs it is.
    pub until: Option<Timestamp>,
}

impl Life {
    /// The second at which it is over. Addresses count in whole ones: a part of one is given, never beyond the end.
    fn end_s(self, now: Timestamp) -> i64 {
        let wanted = (now + self.wanted).as_millis().saturating_add(999) / 1000;
        self.until.map_or(wanted, |until| wanted.min(until.as_millis() / 1000))
    }
}

/// What of a media an address is to stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signed {
    /// The rendition that the media is shared as, or else the original.
    #[default]
    Shared,
    /// The present content, whatever is shared.
    Original,
    /// One of its renditions.
    Rendition(RenditionId),
}

/// Signs the address of what a media has now below `origin`, for a rendering of it or for its bytes, if the actor sees
/// it. The address then stands for itself: it goes on when its maker sees the media no more.
///
/// # Errors
/// [`Error::BadLife`], [`Error::NoSuchMedia`], [`Error::NoSuchRendition`], [`Error::InTrash`], [`Error::BadTransform`] for a preset that does not
/// exist, [`Error::Keys`], [`Error::Db`].
pub async fn sign_url(
    app: &App,
    actor: &Actor,
    id: MediaId,
    (what, wish): (Signed, Wish),
    life: Life,
    origin: &str,
) -> Result<SignedUrl> {
    if !LIFE.contains(&life.wanted) {
        return Err(Error::BadLife);
    }
    let keys = app.keys.clone();
    let key = tokio::task::spawn_blocking(move || keys.newest(Purpose::SignedUrls))
        .await
        .map_err(Error::Task)??;
    let expires_s = life.end_s(app.clock.now());
    let expires_at = Timestamp::from_millis(expires_s * 1000);
    let (actor, origin) = (actor.clone(), origin.to_owned());
    app.db
        .write(move |tx| {
            let media = get_for_in(tx, &actor, id, Permission::LibraryRead)?;
            if media.state == super::State::Trashed {
                return Err(Error::InTrash);
            }
            presets::resolve_in(tx, &wish)?;
            let rendering = wish.canonical();
            let rendition = match what {
                Signed::Shared => media.shared_rendition_id,
                Signed::Original => None,
                Signed::Rendition(id) => Some(id),
            };
            let content = match rendition {
                Some(id) => store::find_rendition(tx, media.seq, id)?.ok_or(Error::NoSuchRendition)?.sha256,
                None => media.sha256,
            };
            let details = serde_json::json!({
                "bucket": media.bucket, "expires_at": expires_at, "rendering": rendering, "rendition": rendition,
            });
            audit::record(tx, &actor, "media.sign", Target::new("media", id).named(&media.key), &details)?;
            let path = signed_path(&media, content, &rendering, &key, expires_s);
            Ok(SignedUrl { url: origin + &path, expires_at })
        })
        .await
}

fn signed_path(media: &Media, content: BlobId, rendering: &str, key: &Key, expires_s: i64) -> String {
    let version = version_name(content);
    let asked = Asked { bucket: media.bucket.as_str(), key: &media.key, version: &version, rendering };
    let signature = asked.sign(key, expires_s);
    let separator = if rendering.is_empty() { "" } else { "&" };
    format!(
        "/storage/{}/{}?{rendering}{separator}v={version}&expires={expires_s}&kid={}&signature={signature}",
        media.bucket,
        escaped(&media.key, b"/"),
        key.id(),
    )
}

/// Percent-encodes all but letters, digits, `-._~` and what else is named.
pub(super) fn escaped(text: &str, also: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Signature>> {
        Signature::read(text.split('&').map(|part| part.split_once('=').unwrap_or((part, ""))))
    }

    #[test]
    fn a_signature_is_whole_or_none() {
        let code = "A".repeat(43);
        assert!(read("w=5&v=1").unwrap().is_none());
        assert!(read(&format!("kid=a&expires=1&signature={code}")).unwrap().is_some());
        for bad in [
            "kid=a".to_owned(),
            "signature=".to_owned(),
            format!("kid=a&signature={code}"),
            format!("kid=a&expires=&signature={code}"),
            format!("kid=a&expires=-1&signature={code}"),
            format!("kid=a&expires=+1&signature={code}"),
            format!("kid=a&expires=9999999999999&signature={code}"),
            format!("kid=a&expires=1&expires=1&signature={code}"),
            format!("kid=a&expires=1&signature={code}="),
            format!("kid=a&expires=1&signature={code}A"),
            format!("kid=a&expires=1&signature={}B", &code[..42]),
            format!("kid=a&expires=1&signature={}+", &code[..42]),
            format!("kid={}&expires=1&signature={code}", "a".repeat(65)),
            "kid=a&expires=1&signature=é".to_owned(),
        ] {
            assert!(matches!(read(&bad), Err(Error::SignatureInvalid)), "{bad}");
        }
    }

    #[test]
    fn no_two_wishes_make_one_message() {
        let base = Asked { bucket: "photos", key: "a/b", version: "0123456789abcdef", rendering: "w=5" };
        let others = [
            Asked { bucket: "photo", key: "sa/b", ..base },
            Asked { key: "a/b1:", ..base },
            Asked { version: "0123456789abcdee", ..base },
            Asked { rendering: "", ..base },
            Asked { key: "a/b,16:0123456789abcdef,3:w=5", version: "", rendering: "", ..base },
        ];
        for other in others {
            assert_ne!(base.message("k", 1), other.message("k", 1), "{other:?}");
        }
        assert_ne!(base.message("k", 1), base.message("k", 11));
        assert_ne!(base.message("k", 1), base.message("k1", 1));
    }

    #[test]
    fn an_address_ends_with_whoever_signed_it() {
        let now = Timestamp::from_millis(10_400);
        let wanted = Duration::from_secs(60);
        assert_eq!(Life { wanted, until: None }.end_s(now), 71);
        assert_eq!(Life { wanted, until: Some(Timestamp::from_millis(30_900)) }.end_s(now), 30);
        assert_eq!(Life { wanted, until: Some(Timestamp::from_millis(90_000)) }.end_s(now), 71);
    }

    #[test]
    fn addresses_hold_any_key() {
        assert_eq!(escaped("a b/ü?#%&.jpg", b"/"), "a%20b/%C3%BC%3F%23%25%26.jpg");
        assert_eq!(version_bytes("0123456789abcdef"), Some([1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]));
        for bad in ["", "0123456789ABCDEF", "+123456789abcdef", "0123456789abcde", "0123456789abcdeé"] {
            assert_eq!(version_bytes(bad), None, "{bad}");
        }
    }
}
