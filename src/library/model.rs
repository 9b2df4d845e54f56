//! Buckets, folders, media, versions and renditions. No I/O.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};

use super::Error;
use super::limits::BucketLimits;
use super::query::Query;
use super::rights::{BucketAccess, BucketRole};
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::config::WebOrigins;
use crate::storage::BlobId;

crate::typed_id!(
    /// Names a bucket. People and programs use its slug.
    BucketId
);
crate::typed_id!(
    /// Names a photograph or file.
    MediaId
);
crate::typed_id!(
    /// Names one content of a media.
    VersionId
);
crate::typed_id!(
    /// Names a picture that was made from a version.
    RenditionId
);
crate::typed_id!(
    /// Names a restoration. It lives here because a rendition tells which one made it.
    RestorationId
);

/// The row number of a bucket or of a media: what indexes and references use inside the database.
pub(super) type Seq = i64;

/// Who may see a bucket without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// People with an account.
    Private,
    /// Everybody who knows the address.
    Public,
}

impl Visibility {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

impl ToSql for Visibility {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Visibility {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "private" => Ok(Self::Private),
            "public" => Ok(Self::Public),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// The name of a bucket in addresses: 3 to 63 of `a-z`, `0-9` and `-`, no `-` at the ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
pub struct Slug(String);

impl Slug {
    /// Reads a slug.
    ///
    /// # Errors
    /// [`Error::BadSlug`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (3..=63).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits { Ok(Self(text.to_owned())) } else { Err(Error::BadSlug) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl ToSql for Slug {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_str().into())
    }
}

impl FromSql for Slug {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}

/// A set of media with a name and a visibility.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Bucket {
    /// Its id.
    pub id: BucketId,
    /// Its name in addresses.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// Who may see it without being asked.
    pub visibility: Visibility,
    /// Who may use it.
    pub access: BucketAccess,
    /// What you are in it.
    pub my_role: BucketRole,
    /// Whether pictures that leave by a public or signed address may say where they were taken.
    pub keep_location: bool,
    /// Sites whose pages may read what `/storage` sends from it: origins such as `https://example.org`, or `*` for all.
    #[schema(value_type = Vec<String>)]
    pub cors_origins: WebOrigins,
    /// When it was made.
    pub created_at: Timestamp,
    /// Media in it, the trash not counted.
    pub media_count: u64,
    /// Bytes of their current versions.
    pub size_bytes: u64,
    /// What it lets in and keeps.
    #[serde(flatten)]
    pub limits: BucketLimits,
    #[serde(skip)]
    pub(super) seq: Seq,
}

/// A folder of a bucket.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Folder {
    /// Its path from the top of the bucket.
    pub path: String,
    /// The last part of the path.
    pub name: String,
    /// Media that lie directly in it.
    pub media_count: u64,
}

/// A word by which people find media again.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Media that have it, the trash not counted.
    pub count: u64,
}

/// A month and the media that were taken in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Month {
    /// Year and month: `2019-07`.
    pub month: String,
    /// How many.
    pub count: u64,
}

impl Month {
    /// Makes one of year * 100 + month.
    pub(super) fn new(number: i64, count: u64) -> Self {
        Self { month: format!("{:04}-{:02}", number / 100, number % 100), count }
    }
}

/// Where a media stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its scan.
    Pending,
    /// It can be used.
    Ready,
    /// A scan has found something in it.
    Quarantined,
    /// It lies in the trash.
    Trashed,
}

/// A photograph or file with the content that it has now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Media {
    /// Its id.
    pub id: MediaId,
    /// The slug of its bucket.
    pub bucket: Slug,
    /// Folder, `/` and name.
    pub key: String,
    /// The folder that it lies in; empty for the top.
    pub folder: String,
    /// Its name.
    pub name: String,
    /// The media type, found out from the bytes.
    pub content_type: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes.
    pub sha256: BlobId,
    /// Width in pixels as displayed; null for what is no readable picture.
    pub width: Option<u32>,
    /// Height in pixels as displayed.
    pub height: Option<u32>,
    /// When the shutter was open.
    pub taken_at: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// When it came here.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// ThumbHash in base64; null until it has been computed.
    #[serde(serialize_with = "base64")]
    #[schema(value_type = Option<String>)]
    pub thumbhash: Option<Vec<u8>>,
    /// Contents that it has had, the current one included.
    pub versions: u32,
    /// Pictures made from it.
    pub renditions: u32,
    /// The one of them that public and newly signed addresses stand for; null for the original itself. A new content takes
    /// it back.
    pub shared_rendition_id: Option<RenditionId>,
    /// What somebody wrote about it; empty where nobody did.
    pub description: String,
    /// Whether whoever asks likes it best.
    pub favourite: bool,
    /// Its tags, by name.
    pub tags: Vec<String>,
    /// The camera that took it.
    pub camera: Option<String>,
    /// The scan that it was cut out of.
    pub scan_id: Option<MediaId>,
    /// The current version.
    #[serde(skip)]
    pub version_id: VersionId,
    #[serde(skip)]
    pub(super) seq: Seq,
    #[serde(skip)]
    pub(super) bucket_seq: Seq,
    #[serde(skip)]
    pub(super) taken_or_created_at: Timestamp,
}

fn base64<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => serializer.serialize_str(&BASE64_STANDARD.encode(bytes)),
        None => serializer.serialize_none(),
    }
}

/// One content of a media.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Version {
    /// Its id.
    pub id: VersionId,
    /// The first is 1.
    pub number: u32,
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes: the name of the blob.
    pub sha256: BlobId,
    /// The media type, found out from the bytes.
    pub content_type: String,
    /// Width in pixels as displayed.
    pub width: Option<u32>,
    /// Height in pixels as displayed.
    pub height: Option<u32>,
    /// When it came here.
    pub created_at: Timestamp,
    /// Who brought it.
    pub created_by: Option<UserId>,
}

/// What a look at a picture has found.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// The place-holder; none for what can't be shown.
    pub thumbhash: Option<Vec<u8>>,
    /// The hash of what it shows; none for what has no structure.
    pub hash: Option<u64>,
}

/// A picture that was made from a version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Rendition {
    /// Its id.
    pub id: RenditionId,
    /// The media that it belongs to.
    pub media_id: MediaId,
    /// The version that it was made from.
    pub version_id: VersionId,
    /// The restoration that made it.
    pub restoration_id: Option<RestorationId>,
    /// The name under which it is downloaded.
    pub name: String,
    /// The media type.
    pub content_type: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Width in pixels as displayed.
    pub width: u32,
    /// Height in pixels as displayed.
    pub height: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who asked for it.
    pub created_by: Option<UserId>,
    /// Whether an engine drew what the camera did not see; null where nobody knows, because another program made it.
    pub ai_generated: Option<bool>,
    /// Engine, preset, and steps with what each has done; `made_elsewhere` where another program made it.
    #[schema(value_type = Object)]
    pub provenance: serde_json::Value,
    /// The blob.
    #[serde(skip)]
    pub sha256: BlobId,
}

/// What to do with a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// Number the new one: `photo (2).jpg`.
    #[default]
    Rename,
    /// Take the place of what is there: a new version of it.
    Replace,
    /// Leave everything as it is.
    Refuse,
}

impl OnConflict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rename => "rename",
            Self::Replace => "replace",
            Self::Refuse => "refuse",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Rename, Self::Replace, Self::Refuse].into_iter().find(|choice| choice.as_str() == text)
    }
}

/// Which media are wanted; everything that is set must fit.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those in this bucket.
    pub bucket: Option<Slug>,
    /// Those that lie directly in this folder; empty is the top of the bucket.
    pub folder: Option<String>,
    /// Those in the folders below it too.
    pub recursive: bool,
    /// Those that fit what was typed.
    pub query: Query,
    /// Those in the trash instead of those that are not.
    pub trashed: bool,
    /// Who asks: the one whose favourites are meant and whose buckets are looked into; the machine if it is nobody.
    pub viewer: Option<UserId>,
    /// Those that were there when something began: up to this row number.
    pub up_to: Option<i64>,
}

/// Which media are wanted, as said in an address or in a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct Search {
    /// Only those in this bucket.
    pub bucket: Option<String>,
    /// Only those directly in this folder; empty is the top of the bucket.
    pub folder: Option<String>,
    /// Those in the folders below it too.
    pub recursive: Option<bool>,
    /// Only those that fit these words: in name, folder, tags, description or camera, all of them, the last may be a
    /// beginning. `"a phrase"`, `-without`, `tag:`, `camera:`, `folder:`, `type:`, `size:>2mb`, `taken:2019-07`,
    /// `taken:2019..2021`, `before:`, `after:`, `is:favourite`, `is:restored`, `is:described` and `is:untagged` say more.
    pub q: Option<String>,
    /// Only `image`, `video`, `other`, or a media type.
    pub r#type: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those whose camera's name has these words.
    pub camera: Option<String>,
    /// Only those that you like best.
    pub favourite: Option<bool>,
    /// Only those taken from this year, month, day or moment on.
    pub taken_from: Option<String>,
    /// Only those taken until this year, month, day or moment, which is part of it.
    pub taken_to: Option<String>,
    /// Only those of so many bytes or more.
    pub size_min: Option<u64>,
    /// Only those of so many bytes or fewer.
    pub size_max: Option<u64>,
    /// Only those that stand there: `ready`, `trashed`, `pending` or `quarantined`; all but those in the trash where it
    /// is not said.
    pub state: Option<State>,
    /// Those in the trash instead of those that are not.
    pub trashed: Option<bool>,
}

impl Search {
    /// Reads what was said.
    ///
    /// # Errors
    /// [`Error::BadFilter`], [`Error::NoSuchBucket`] for a bucket that can't be one.
    pub fn filter(&self, viewer: Option<UserId>) -> Result<Filter, Error> {
        let mut query = Query::parse(self.q.as_deref().unwrap_or_default());
        if let Some(kind) = &self.r#type {
            query = query.of_kind(Kind::parse(kind)?);
        }
        if let Some(tag) = &self.tag {
            query = query.tagged(tag);
        }
        if let Some(camera) = &self.camera {
            query = query.by_camera(camera);
        }
        if let Some(favourite) = self.favourite {
            query = query.favourite(favourite);
        }
        let taken = (moment("taken_from", &self.taken_from)?, moment("taken_to", &self.taken_to)?);
        if taken != (None, None) {
            query = query.taken(taken.0.map(|(from, _)| from), taken.1.map(|(_, until)| until));
        }
        if self.size_min.is_some() || self.size_max.is_some() {
            query = query.sized(self.size_min.unwrap_or(0), self.size_max.unwrap_or(u64::MAX));
        }
        if matches!(self.state, Some(State::Pending | State::Quarantined)) {
            // Nothing stands there while nothing is scanned.
            query = query.sized(1, 0);
        }
        Ok(Filter {
            bucket: match &self.bucket {
                Some(slug) => Some(Slug::parse(slug).map_err(|_| Error::NoSuchBucket)?),
                None => None,
            },
            folder: self.folder.clone(),
            recursive: self.recursive.unwrap_or(false),
            query,
            trashed: self.state.map_or(self.trashed.unwrap_or(false), |state| state == State::Trashed),
            viewer,
            up_to: None,
        })
    }
}

/// The first millisecond of what is meant by a date or a moment, and the first one after it.
fn moment(field: &'static str, text: &Option<String>) -> Result<Option<(i64, i64)>, Error> {
    let Some(text) = text.as_deref().map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let exact =
        || text.parse::<Timestamp>().ok().map(|at| (at.as_millis(), at.as_millis().saturating_add(1)));
    let found = super::query::period(text).or_else(exact);
    let allowed =
        "a year, a month, a day or a moment, such as 2019, 2019-07, 2019-07-31 or 2019-07-31T12:00:00Z";
    found.map(Some).ok_or(Error::BadFilter { field, allowed })
}

/// A kind of content to filter by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Image,
    /// Moving pictures.
    Video,
    /// Everything else.
    Other,
    /// Exactly this media type.
    Type(String),
}

impl Kind {
    /// Reads `image`, `video`, `other` or a media type.
    ///
    /// # Errors
    /// [`Error::BadFilter`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "image" => Ok(Self::Image),
            "video" => Ok(Self::Video),
            "other" => Ok(Self::Other),
            mime if mime.split('/').filter(|part| !part.is_empty()).count() == 2 => {
                Ok(Self::Type(mime.to_owned()))
            }
            _ => Err(Error::BadFilter {
                field: "type",
                allowed: "image, video, other or a media type such as image/png",
            }),
        }
    }

    /// Whether a media type is of this kind.
    pub(super) fn includes(&self, content_type: &str) -> bool {
        let (image, video) = (content_type.starts_with("image/"), content_type.starts_with("video/"));
        match self {
            Self::Image => image,
            Self::Video => video,
            Self::Other => !image && !video,
            Self::Type(mime) => mime == content_type,
        }
    }
}

/// What a list of media is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortBy {
    /// When it came here.
    Created,
    /// The name without regard to case.
    Name,
    /// When the picture was taken, or else when it came here.
    Taken,
    /// Length.
    Size,
}

/// The order of a list of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// The first criterion; among equals the older comes first.
    pub by: SortBy,
    /// From the largest to the smallest.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { by: SortBy::Created, descending: true }
    }
}

impl Sort {
    /// Reads `created`, `name`, `taken` or `size`, with `-` before it for the other direction.
    ///
    /// # Errors
    /// [`Error::BadFilter`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (by, descending) = text.strip_prefix('-').map_or((text, false), |by| (by, true));
        let by = match by {
            "created" => SortBy::Created,
            "name" => SortBy::Name,
            "taken" => SortBy::Taken,
            "size" => SortBy::Size,
            _ => {
                return Err(Error::BadFilter {
                    field: "sort",
                    allowed: "created, name, taken or size, with a - before it for the other direction",
                });
            }
        };
        Ok(Self { by, descending })
    }
}

impl Sort {
    /// The same order from its end.
    pub const fn reversed(self) -> Self {
        Self { by: self.by, descending: !self.descending }
    }
}

/// Where a media stands in a sorted list; the order goes with it, because another one makes no sense of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(pub(super) SortValue, pub(super) Seq);

impl Position {
    /// The place just before it, so that what follows begins with what stands here.
    pub fn including(self, sort: Sort) -> Self {
        let Self(value, seq) = self;
        Self(value, if sort.descending { seq.saturating_add(1) } else { seq.saturating_sub(1) })
    }
}

/// The first part of a position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SortValue {
    Number(i64),
    Text(String),
}

impl FromSql for SortValue {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => Ok(Self::Number(number)),
            other => other.as_str().map(|text| Self::Text(text.to_owned())),
        }
    }
}

impl ToSql for SortValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Number(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

impl Media {
    /// Where it stands in a list of that order.
    pub fn position(&self, sort: Sort) -> Position {
        let value = match sort.by {
            SortBy::Created => SortValue::Number(self.created_at.as_millis()),
            SortBy::Name => SortValue::Text(super::names::fold(&self.name)),
            SortBy::Taken => SortValue::Number(self.taken_or_created_at.as_millis()),
            SortBy::Size => SortValue::Number(i64::try_from(self.size_bytes).unwrap_or(i64::MAX)),
        };
        Position(value, self.seq)
    }
}

/// What is stored altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Contents, each counted once, also those that nothing refers to any more.
    pub blobs: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_what_addresses_can_hold() {
        for good in ["abc", "photos", "a-1", &"x".repeat(63)] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "-abc", "abc-", "Abc", "a_b", "a.b", "äbc", &"x".repeat(64)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn orders_and_kinds_are_read_as_the_contract_says() {
        assert_eq!(Sort::parse("-taken").unwrap(), Sort { by: SortBy::Taken, descending: true });
        assert_eq!(Sort::parse("name").unwrap(), Sort { by: SortBy::Name, descending: false });
        assert!(Sort::parse("--name").is_err() && Sort::parse("").is_err());
        assert_eq!(Kind::parse("image/png").unwrap(), Kind::Type("image/png".into()));
        assert!(Kind::parse("picture").is_err() && Kind::parse("/").is_err());
    }
}
