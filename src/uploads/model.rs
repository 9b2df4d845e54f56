//! Uploads. No I/O.

use serde::Serialize;
use utoipa::ToSchema;

use crate::audit::{Actor, UserId};
use crate::clock::Timestamp;
use crate::library::{Destination, MediaId};

/// Names an upload, and what has been staged of it.
pub use crate::storage::StagingId as UploadId;

/// What an upload is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Whole,
    /// A piece of one.
    Partial,
    /// A file that is put together from pieces.
    Final(Vec<UploadId>),
}

/// An upload, finished or not.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Who makes it.
    pub user: UserId,
    /// The same with the door, for the audit.
    pub actor: Actor,
    /// What it is to become.
    pub kind: Kind,
    /// How many bytes it will have, once somebody has said so.
    pub length_bytes: Option<u64>,
    /// How many have arrived and are safe.
    pub offset_bytes: u64,
    /// Where it goes.
    pub to: Destination,
    /// When the file was last changed, as its sender says.
    pub modified_at: Option<Timestamp>,
    /// What the sender said about it, as it came.
    pub metadata: String,
    /// How it ended.
    pub ended: Option<Ended>,
    /// When it is given up.
    pub expires_at: Timestamp,
}

/// How an upload ended.
#[derive(Debug, Clone)]
pub enum Ended {
    /// It has become a media.
    Done(MediaId),
    /// It can't become one; a problem document says why.
    Failed(serde_json::Value),
}

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// More is to come.
    Receiving,
    /// All is there, and is being put into its place.
    Finishing,
    /// It is in the library; a piece waits for the others.
    Done,
    /// It can't be put into its place.
    Failed,
}

impl Upload {
    /// Whether all bytes are there.
    pub fn is_complete(&self) -> bool {
        self.length_bytes == Some(self.offset_bytes)
    }

    /// Whether all is there, or can be put together, that is needed to end it.
    pub fn can_be_ended(&self) -> bool {
        self.ended.is_none()
            && match self.kind {
                Kind::Whole => self.is_complete(),
                Kind::Partial => false,
                Kind::Final(_) => true,
            }
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match (&self.ended, &self.kind) {
            (Some(Ended::Done(_)), _) => Stage::Done,
            (Some(Ended::Failed(_)), _) => Stage::Failed,
            (None, Kind::Partial) if self.is_complete() => Stage::Done,
            (None, _) if self.can_be_ended() => Stage::Finishing,
            (None, _) => Stage::Receiving,
        }
    }

    /// What it has become.
    pub fn media(&self) -> Option<MediaId> {
        match self.ended {
            Some(Ended::Done(media)) => Some(media),
            _ => None,
        }
    }
}

/// An upload to be begun.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// What it is to become; of one that is put together, the pieces.
    pub kind: Kind,
    /// How many bytes it will have, if that is known.
    pub length_bytes: Option<u64>,
    /// Where it goes.
    pub to: Destination,
    /// When the file was last changed.
    pub modified_at: Option<Timestamp>,
    /// What the sender said about it, as it came.
    pub metadata: String,
}
