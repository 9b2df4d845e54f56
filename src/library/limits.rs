//! What may come into a bucket, how much, and how long it stays.
//!
//! A limit is asked twice: before and while bytes stream in, so that nobody sends in vain, and in the transaction that
//! gives them their place, because others may have been quicker. Quotas count what the bucket shows: the current
//! versions of what is not in the trash.

use rusqlite::Connection;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::model::{Bucket, OnConflict, Seq};
use super::rights::{self, Caller};
use super::{Destination, Error, Result, emit_many, names, store};
use crate::accounts;
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::Tx;
use crate::jobs::{Failure, Job, Running};
use crate::storage;

/// The most entries in a list of media types.
const TYPES_MAX: usize = 100;

/// The longest time after which things expire: a hundred years.
const EXPIRE_DAYS_MAX: u32 = 36_500;

/// Rows that one transaction handles.
const CHUNK: usize = 250;

/// Whose quota is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaOf {
    /// The bucket's.
    Bucket,
    /// That of the person who uploads.
    Person,
}

impl std::fmt::Display for QuotaOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Bucket => "this bucket",
            Self::Person => "you",
        })
    }
}

/// What a bucket lets in and keeps, as changed by a request; what is missing stays, null takes a limit away.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct LimitChange {
    /// Days after which things move to the trash.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub expire_days: Option<Option<u32>>,
    /// Media types that may come in, such as `image/*` or `application/pdf`; empty for all.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<Vec<String>>)]
    pub allowed_types: Option<Option<Vec<String>>>,
    /// The largest file.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u64>)]
    pub max_upload_bytes: Option<Option<u64>>,
    /// How much the bucket may hold.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u64>)]
    pub quota_bytes: Option<Option<u64>>,
    /// Versions that a media keeps, the current one included; older ones go when the next comes.
    #[serde(deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub keep_versions: Option<Option<u32>>,
}

/// Tells what was said to be null from what was not said.
#[expect(clippy::option_option, reason = "the two mean different things")]
pub(super) fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What a bucket lets in and keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BucketLimits {
    /// Days after which things move to the trash; null for never.
    pub expire_days: Option<u32>,
    /// Media types that may come in, such as `image/*` or `application/pdf`; empty for all.
    pub allowed_types: Vec<String>,
    /// The largest file; null for no limit of its own.
    pub max_upload_bytes: Option<u64>,
    /// How much the bucket may hold; null for no limit.
    pub quota_bytes: Option<u64>,
    /// Versions that a media keeps, the current one included; null for all.
    pub keep_versions: Option<u32>,
}

impl BucketLimits {
    /// The same with a change.
    pub(super) fn changed(mut self, change: LimitChange) -> Result<Self> {
        let LimitChange { expire_days, allowed_types, max_upload_bytes, quota_bytes, keep_versions } = change;
        if let Some(days) = expire_days {
            within("expire_days", days.map(u64::from), 1, u64::from(EXPIRE_DAYS_MAX))?;
            self.expire_days = days;
        }
        if let Some(types) = allowed_types {
            self.allowed_types = media_types(types.unwrap_or_default())?;
        }
        if let Some(bytes) = max_upload_bytes {
            within("max_upload_bytes", bytes, 1, i64::MAX as u64)?;
            self.max_upload_bytes = bytes;
        }
        if let Some(bytes) = quota_bytes {
            within("quota_bytes", bytes, 0, i64::MAX as u64)?;
            self.quota_bytes = bytes;
        }
        if let Some(versions) = keep_versions {
            within("keep_versions", versions.map(u64::from), 1, 1_000_000)?;
            self.keep_versions = versions;
        }
        Ok(self)
    }

    /// Whether a media type may come in.
    fn allow(&self, content_type: &str) -> Result<()> {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => content_type.starts_with(start),
            None => pattern == content_type,
        };
        if self.allowed_types.is_empty() || self.allowed_types.iter().any(fits) {
            return Ok(());
        }
        Err(Error::TypeNotAllowed {
            content_type: content_type.to_owned(),
            allowed: self.allowed_types.join(", "),
        })
    }
}

fn within(field: &'static str, value: Option<u64>, min: u64, max: u64) -> Result<()> {
    match value {
        Some(value) if !(min..=max).contains(&value) => Err(Error::BadLimit { field, min, max }),
        _ => Ok(()),
    }
}

/// Reads media types: `image/png`, `image/*`.
fn media_types(texts: Vec<String>) -> Result<Vec<String>> {
    let mut types = Vec::new();
    for text in texts {
        let text = text.trim().to_ascii_lowercase();
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let fits = text.len() <= 127
            && text.split_once('/').is_some_and(|(kind, rest)| plain(kind) && (rest == "*" || plain(rest)));
        if !fits || types.len() == TYPES_MAX {
            return Err(Error::BadMediaType {
                text: text.chars().filter(|c| !c.is_control()).take(80).collect(),
            });
        }
        if !types.contains(&text) {
            types.push(text);
        }
    }
    Ok(types)
}

/// What may still come to a place, as it was when it was asked.
#[derive(Debug, Clone)]
pub struct Allowance {
    limits: BucketLimits,
    /// The limit for one file, the appliance's or the bucket's.
    max_bytes: Option<u64>,
    /// What a quota leaves, whose it is and how much it is.
    room: Option<(u64, QuotaOf, u64)>,
}

impl Allowance {
    /// The most bytes that may come, for [`storage::Storage::receive`].
    pub fn max_bytes(&self) -> Option<u64> {
        [self.max_bytes, self.room.map(|(room, ..)| room)].into_iter().flatten().min()
    }

    /// Whether a length that was announced may come.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], [`Error::Storage`] with `TooLarge`.
    pub fn check_size(&self, size_bytes: u64) -> Result<()> {
        match self.max_bytes() {
            Some(most) if size_bytes > most => {
                Err(self.explain(storage::Error::TooLarge { limit_bytes: most }.into()))
            }
            _ => Ok(()),
        }
    }

    /// Whether a media type may come.
    ///
    /// # Errors
    /// [`Error::TypeNotAllowed`].
    pub fn check_type(&self, content_type: &str) -> Result<()> {
        self.limits.allow(content_type)
    }

    /// Whether only some media types may come.
    pub fn is_choosy(&self) -> bool {
        !self.limits.allowed_types.is_empty()
    }

    /// Says what it is that was passed when [`Allowance::max_bytes`] was: other errors are left as they are.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        match (error, self.room) {
            (Error::Storage(storage::Error::TooLarge { limit_bytes }), Some((room, of, quota_bytes)))
                if limit_bytes == room && self.max_bytes.is_none_or(|max| room < max) =>
            {
                Error::QuotaExceeded { of, quota_bytes }
            }
            (error, _) => error,
        }
    }
}

/// Asks what may still come to a place from somebody.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::NoBucket`], [`Error::Forbidden`], [`Error::BadName`], [`Error::NameTaken`] where names that are taken are
/// refused, [`Error::Db`].
pub async fn allowance(app: &App, actor: &Actor, to: &Destination) -> Result<Allowance> {
    let (to, caller, most) =
        (to.clone(), Caller::from(actor), app.settings.current().limits.max_upload_bytes);
    app.db.read(move |conn| allowance_in(conn, caller, &to, most)).await
}

fn allowance_in(conn: &Connection, caller: Caller, to: &Destination, most: Option<u64>) -> Result<Allowance> {
    let name = names::file_name(&to.name)?;
    let key = names::key(&names::folder(&to.folder)?, &name)?;
    let bucket = rights::destination_for(conn, caller, to.bucket.as_ref())?;
    let there = match to.on_conflict {
        OnConflict::Rename => None,
        OnConflict::Refuse if store::is_taken(conn, bucket.seq, &key)? => {
            return Err(Error::NameTaken { name });
        }
        OnConflict::Refuse => None,
        OnConflict::Replace => store::find_media_by_key(conn, bucket.seq, &key)?,
    };
    // What is replaced makes room.
    let freed = there.map_or(0, |media| media.size_bytes);
    let room = |quota: u64, used: u64| quota.saturating_sub(used.saturating_sub(freed));
    let mut rooms = Vec::new();
    if let Some(quota) = bucket.limits.quota_bytes {
        rooms.push((room(quota, bucket.size_bytes), QuotaOf::Bucket, quota));
    }
    if let Some(user) = caller.user_id() {
        let storage = store::limits::user_storage(conn, user)?;
        if let Some(quota) = storage.quota_bytes {
            rooms.push((room(quota, storage.size_bytes), QuotaOf::Person, quota));
        }
    }
    Ok(Allowance {
        max_bytes: [most, bucket.limits.max_upload_bytes].into_iter().flatten().min(),
        room: rooms.into_iter().min_by_key(|(room, ..)| *room),
        limits: bucket.limits,
    })
}

/// Refuses what a bucket does not let in, in the transaction that would give it its place.
pub(super) fn check_in(bucket: &Bucket, content_type: &str, size_bytes: u64) -> Result<()> {
    bucket.limits.allow(content_type)?;
    match bucket.limits.max_upload_bytes {
        Some(limit_bytes) if size_bytes > limit_bytes => Err(storage::Error::TooLarge { limit_bytes }.into()),
        _ => Ok(()),
    }
}

/// Refuses, after something has grown, what is more than a quota allows; the transaction then keeps nothing of it.
pub(super) fn check_quotas_in(tx: &Tx<'_>, bucket: Seq, user: Option<UserId>) -> Result<()> {
    let (size_bytes, quota) = store::limits::bucket_storage(tx, bucket)?;
    if let Some(quota_bytes) = quota.filter(|quota| size_bytes > *quota) {
        return Err(Error::QuotaExceeded { of: QuotaOf::Bucket, quota_bytes });
    }
    if let Some(user) = user {
        let storage = store::limits::user_storage(tx, user)?;
        if let Some(quota_bytes) = storage.quota_bytes.filter(|quota| storage.size_bytes > *quota) {
            return Err(Error::QuotaExceeded { of: QuotaOf::Person, quota_bytes });
        }
    }
    Ok(())
}

/// What a person has brought, and how much it may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserStorage {
    /// Bytes of what the person has brought and what is not in the trash.
    pub size_bytes: u64,
    /// How much it may be; null for no limit.
    pub quota_bytes: Option<u64>,
}

/// Tells what a person has brought, and how much it may be.
///
/// # Errors
/// [`Error::NoSuchUser`], [`Error::Db`].
pub async fn user_storage(app: &App, user: UserId) -> Result<UserStorage> {
    app.db
        .read(move |conn| {
            accounts::exists(conn, user)?.then_some(()).ok_or(Error::NoSuchUser)?;
            Ok(store::limits::user_storage(conn, user)?)
        })
        .await
}

/// Says how much a person may bring; none for no limit.
///
/// # Errors
/// [`Error::NoSuchUser`], [`Error::BadLimit`], [`Error::Db`].
pub async fn set_user_quota(
    app: &App,
    actor: &Actor,
    user: UserId,
    quota_bytes: Option<u64>,
) -> Result<UserStorage> {
    within("quota_bytes", quota_bytes, 0, i64::MAX as u64)?;
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            accounts::exists(tx, user)?.then_some(()).ok_or(Error::NoSuchUser)?;
            store::limits::set_user_quota(tx, user, quota_bytes)?;
            let details = serde_json::json!({ "quota_bytes": quota_bytes });
            audit::record(tx, &actor, "user.quota", Target::new("user", user), &details)?;
            Ok(store::limits::user_storage(tx, user)?)
        })
        .await
}

/// Moves to the trash what has lain in its bucket for as long as it may.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expire {}

impl Job for Expire {
    const KIND: &'static str = "library.expire";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        let buckets = app.db.read(store::limits::expiring).await.map_err(Failure::retry)?;
        for (bucket, slug, days) in buckets {
            let before = app.clock.now() - std::time::Duration::from_secs(u64::from(days) * 24 * 60 * 60);
            loop {
                if running.cancelled().is_cancelled() {
                    return Err(Failure::Interrupted);
                }
                let slug = slug.clone();
                let expired = app.db.write(move |tx| {
                    let count = store::limits::expire(tx, bucket, before, CHUNK)?;
                    if count > 0 {
                        let details = serde_json::json!({ "count": count, "expire_days": days });
                        let target = Target::new("bucket", &slug).named(slug.as_str());
                        audit::record(tx, &Actor::system(), "media.expire", target, &details)?;
                        emit_many(tx, &slug, count as u64)?;
                    }
                    Ok::<_, Error>(count)
                });
                if expired.await.map_err(Failure::retry)? < CHUNK {
                    break;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_and_compared() {
        let texts = ["image/*", " Application/PDF ", "image/*"].map(str::to_owned).to_vec();
        let limits = BucketLimits { allowed_types: media_types(texts).unwrap(), ..BucketLimits::default() };
        assert_eq!(limits.allowed_types, ["image/*", "application/pdf"]);
        assert!(limits.allow("image/png").is_ok() && limits.allow("application/pdf").is_ok());
        assert!(limits.allow("imagex/png").is_err() && limits.allow("text/plain").is_err());
        for bad in ["", "image", "*/*", "image/", "/png", "image/p*", "a b/c", "image/png;x=1", "a/b/c"] {
            assert!(media_types(vec![bad.to_owned()]).is_err(), "{bad}");
        }
        assert!(BucketLimits::default().allow("text/plain").is_ok());
    }

    #[test]
    fn null_takes_a_limit_away_and_silence_keeps_it() {
        let change = |json: &str| serde_json::from_str::<LimitChange>(json).unwrap();
        let limits =
            BucketLimits::default().changed(change(r#"{"expire_days":30,"quota_bytes":0}"#)).unwrap();
        assert_eq!((limits.expire_days, limits.quota_bytes), (Some(30), Some(0)));
        let limits = limits.changed(change(r#"{"expire_days":null}"#)).unwrap();
        assert_eq!((limits.expire_days, limits.quota_bytes), (None, Some(0)));
        for bad in [r#"{"expire_days":0}"#, r#"{"max_upload_bytes":0}"#, r#"{"keep_versions":0}"#] {
            assert!(matches!(limits.clone().changed(change(bad)), Err(Error::BadLimit { .. })), "{bad}");
        }
    }
}
