//! What can go wrong with an upload, in cases that a caller can act on.

use std::time::Duration;

use crate::api::Problem;
use crate::{db, library, storage};

/// Why an upload could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such upload, or it is somebody else's.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// Its time is over.
    #[error("the upload has expired: begin it again")]
    Expired,
    /// Somebody else writes to it right now.
    #[error("another connection is sending to this upload right now")]
    Locked,
    /// A chunk does not begin where the upload stands.
    #[error("the upload stands at {offset_bytes} bytes: go on from there")]
    WrongOffset {
        /// Where it stands.
        offset_bytes: u64,
    },
    /// The length was said before, or can't be.
    #[error("the length of the upload was said before, and it is another one")]
    LengthKnown,
    /// More came than was promised.
    #[error("more bytes came than the {length_bytes} that were announced")]
    TooLong {
        /// What was promised.
        length_bytes: u64,
    },
    /// A chunk came damaged.
    #[error("the chunk does not have the checksum that was sent with it; nothing of it was kept")]
    WrongChecksum,
    /// Nothing can be added to what is put together from pieces.
    #[error("this upload is put together from others: nothing can be added to it")]
    Assembled,
    /// What was named as a piece is none.
    #[error("one of the pieces does not exist, is not a piece, or is not complete")]
    NotAPart,
    /// Somebody has too many unfinished uploads.
    #[error("there are {most} unfinished uploads of yours already: finish or remove some")]
    TooMany {
        /// How many there may be.
        most: u32,
    },
    /// The connection ended in the middle; what came is kept.
    #[error("the connection ended; what has arrived is kept")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The sender paused for too long; what came is kept.
    #[error("too little came in {} s; what has arrived is kept", .after.as_secs())]
    Stalled {
        /// How long nothing came.
        after: Duration,
    },
    /// The process stops; what came is kept.
    #[error("the server is stopping; what has arrived is kept")]
    Stopping,
    /// It failed before, as the problem document says.
    #[error("the upload has failed")]
    Failed(serde_json::Value),
    /// Everything is there, but could not be put into its place.
    #[error("the upload could not be put into its place")]
    Unfinished(Problem),
    /// The library said no.
    #[error(transparent)]
    Library(#[from] library::Error),
    /// The bytes could not be stored or read.
    #[error("the bytes could not be stored or read")]
    Storage(#[from] storage::Error),
    /// The database could not.
    #[error("the uploads could not be read or written")]
    Db(#[from] db::Error),
    /// A task died.
    #[error("a task stopped unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}
