//! What can go wrong in the library, in cases that a caller can act on.

use super::limits::QuotaOf;
use crate::imaging::BadTransform;
use crate::{db, keys, storage};

/// Why the library could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// There is no bucket at all yet.
    #[error("there is no bucket yet")]
    NoBucket,
    /// The caller sees the bucket, and may not do this in it.
    #[error("what you are in this bucket does not allow this")]
    Forbidden,
    /// Only those who manage all buckets say how much one may hold.
    #[error("only those who manage all buckets may change how much this one may hold")]
    QuotaIsNotYours,
    /// Somebody is no member of the bucket.
    #[error("there is no such member of this bucket")]
    NoSuchMember,
    /// The tag is also on what the caller may not change.
    #[error(
        "this tag is also on photographs or files that you may not change, so its letters stay as they are"
    )]
    TagShared,
    /// What is no origin of a site.
    #[error("{why}")]
    BadOrigin {
        /// What is wrong.
        why: String,
    },
    /// There is no such media.
    #[error("there is no such photograph or file")]
    NoSuchMedia,
    /// The media has no such version.
    #[error("there is no such version")]
    NoSuchVersion,
    /// The media has no such rendition.
    #[error("there is no such rendition")]
    NoSuchRendition,
    /// A rendition is what addresses of its media stand for.
    #[error(
        "this result is what others see at the picture's addresses: choose another one, or the original, before it is removed"
    )]
    RenditionShared,
    /// A rendition was made from a content that has been replaced.
    #[error("this result was made from an earlier content of the picture and can't be shared in its place")]
    RenditionOutdated,
    /// A name that can't be stored.
    #[error("the name “{name}” can't be used: {why}")]
    BadName {
        /// The name, without what makes it dangerous to show.
        name: String,
        /// A sentence.
        why: &'static str,
    },
    /// A slug that can't be one.
    #[error("a bucket's address has 3 to 63 of a-z, 0-9 and -, and no - at its ends")]
    BadSlug,
    /// A bucket's name that is empty or too long.
    #[error("a bucket's name has 1 to 100 characters that can be seen")]
    BadBucketName,
    /// A filter or an order that does not exist.
    #[error("{field} may be {allowed}")]
    BadFilter {
        /// Which parameter.
        field: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// Something else has the name.
    #[error("the name “{name}” is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Another bucket has the slug.
    #[error("another bucket has this address")]
    SlugTaken,
    /// The bucket still holds something.
    #[error("the bucket is not empty: it holds {media} media and {trashed} in the trash")]
    BucketNotEmpty {
        /// Media that are not in the trash.
        media: u64,
        /// Media in the trash.
        trashed: u64,
    },
    /// There is no such folder.
    #[error("there is no such folder")]
    NoSuchFolder,
    /// There is no such tag.
    #[error("there is no such tag")]
    NoSuchTag,
    /// Another tag has the name.
    #[error("there is a tag “{name}” already: the two would become one")]
    TagTaken {
        /// The name.
        name: String,
    },
    /// There is no such bulk action, or it is somebody else's.
    #[error("there is no such bulk action")]
    NoSuchRun,
    /// A folder is there already.
    #[error("there is a folder “{path}” already: choose another name, or move what lies in it")]
    FolderTaken {
        /// Its path.
        path: String,
    },
    /// A folder can't be moved below itself, and the top of a bucket can't be one.
    #[error("a folder can be moved neither into itself nor to the place of the bucket's top")]
    FolderInItself,
    /// A tag's name that is empty or too long.
    #[error("a tag has 1 to 100 characters that can be seen")]
    BadTag,
    /// Too many tags on one media.
    #[error("a photograph or file can have at most {most} tags")]
    TooManyTags {
        /// The limit.
        most: usize,
    },
    /// A text that is too long.
    #[error("the {field} is longer than {max_bytes} bytes")]
    TooLong {
        /// Which one.
        field: &'static str,
        /// The limit.
        max_bytes: usize,
    },
    /// Something is to be moved or copied, but not said where to.
    #[error("say where to: a bucket, a folder, or both")]
    NoGoal,
    /// Too many ids in one request.
    #[error("at most {most} ids can be named at once: use a search for more")]
    TooManyIds {
        /// The limit.
        most: usize,
    },
    /// More than a quota allows.
    #[error("this is more than {of} may store: the limit is {quota_bytes} bytes")]
    QuotaExceeded {
        /// Whose quota it is.
        of: QuotaOf,
        /// How much it is.
        quota_bytes: u64,
    },
    /// A media type that the bucket does not let in.
    #[error("this bucket takes {allowed} only, and this is {content_type}")]
    TypeNotAllowed {
        /// What it is.
        content_type: String,
        /// What may come in.
        allowed: String,
    },
    /// A limit that makes no sense.
    #[error("this may be {min} to {max}, or nothing for no limit")]
    BadLimit {
        /// Which one.
        field: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// What is no media type, or one too many.
    #[error("“{text}” is no media type such as image/png or image/*, or there are more than a hundred")]
    BadMediaType {
        /// What was typed.
        text: String,
    },
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// What lies in the trash can't be changed.
    #[error("this lies in the trash: take it back first")]
    InTrash,
    /// Only what lies in the trash can be removed for good.
    #[error("only what lies in the trash can be removed for good")]
    NotInTrash,
    /// A rendering that can't be understood.
    #[error("the rendering can't be understood: {0}")]
    BadTransform(BadTransform),
    /// A rendering of one's own needs a signature, or somebody who may read the library.
    #[error("only the file itself and presets may be fetched here without a signature")]
    SignatureNeeded,
    /// The signature is not ours, or of something else.
    #[error("the signature does not fit this address")]
    SignatureInvalid,
    /// The address is over.
    #[error("this address is over")]
    SignatureExpired,
    /// An address can't live so long.
    #[error("a signed address lives 60 seconds to 365 days")]
    BadLife,
    /// There is no such preset.
    #[error("there is no such preset")]
    NoSuchPreset,
    /// A preset's name that can't be one.
    #[error("a preset's name has 1 to 64 of a-z, 0-9, - and _")]
    BadPresetName,
    /// A preset that is always what it is.
    #[error("this preset is built in and stays as it is: choose another name")]
    BuiltinPreset,
    /// There are as many presets as there may be.
    #[error("there are {max} presets already, and more are not possible: remove one first")]
    TooManyPresets {
        /// How many there may be.
        max: usize,
    },
    /// The instance's secrets could not be had.
    #[error("the keys could not be read or written")]
    Keys(#[from] keys::Error),
    /// The sender paused for too long.
    #[error("the upload stalled: too little came in {} s", .after.as_secs())]
    Stalled {
        /// How long nothing came.
        after: std::time::Duration,
    },
    /// The bytes ended before they were complete, or came broken.
    #[error("the bytes could not be read to their end")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Variants exist of pictures only.
    #[error("this is not a picture that can be shown")]
    NotAPicture,
    /// The picture has too many pixels to be shown.
    #[error("the picture has more pixels than are allowed, or needs more memory than there is")]
    PictureTooLarge,
    /// The picture is damaged or cut off.
    #[error("the picture is damaged: {reason}")]
    PictureDamaged {
        /// What was found.
        reason: String,
    },
    /// A picture could not be rendered, for a reason that lies with us.
    #[error("a picture could not be rendered")]
    Render(#[source] std::sync::Arc<dyn std::error::Error + Send + Sync>),
    /// The blobs could not.
    #[error("the bytes could not be stored or read")]
    Storage(#[from] storage::Error),
    /// The database could not.
    #[error("the library could not be read or written")]
    Db(#[from] db::Error),
    /// A task on the blocking pool died.
    #[error("a task stopped unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}
