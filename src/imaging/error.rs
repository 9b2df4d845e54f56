//! What can go wrong with a picture, in cases that a caller can act on.

use std::io;

/// Why a picture could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a picture at all.
    #[error("this is not a picture but {content_type}")]
    NotAPicture {
        /// What the bytes look like, as a media type.
        content_type: &'static str,
    },
    /// A picture, but of a kind that Safelight does not read or write.
    #[error("{format} pictures with {what} can't be handled")]
    Unsupported {
        /// The format's name.
        format: &'static str,
        /// The feature that is missing.
        what: String,
    },
    /// The file ends before the picture does.
    #[error("the {format} file is cut off: its end is missing")]
    Truncated {
        /// The format's name.
        format: &'static str,
    },
    /// More pixels than the limit allows; found in the header, before anything was allocated.
    #[error("{width} x {height} pixels are more than the {max_pixels} that are allowed")]
    TooLarge {
        /// Width in pixels, as the header claims.
        width: u32,
        /// Height in pixels, as the header claims.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// More pixels than a format is written with.
    #[error(
        "{width} x {height} pixels are more than the {max_pixels} that {format} is written with: ask for a smaller size or another format"
    )]
    TooLargeFor {
        /// The format's name.
        format: &'static str,
        /// Width in pixels of what would be written.
        width: u32,
        /// Height in pixels of what would be written.
        height: u32,
        /// The most that is written.
        max_pixels: u64,
    },
    /// The file contradicts itself or its compressed data is damaged.
    #[error("the {format} file is damaged: {reason}")]
    Broken {
        /// The format's name.
        format: &'static str,
        /// What was found.
        reason: String,
    },
    /// The picture needs more memory than the whole budget; waiting would not help.
    #[error("the picture needs {needed_bytes} bytes of memory, the budget is {budget_bytes}")]
    Budget {
        /// Bytes that the work would take.
        needed_bytes: u64,
        /// Bytes that exist in all.
        budget_bytes: u64,
    },
    /// The picture can't be written in that format.
    #[error("writing {format} failed: {reason}")]
    Encode {
        /// The format's name.
        format: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// The bytes could not be read.
    #[error("reading the picture failed")]
    Read(#[source] io::Error),
}

impl Error {
    pub(super) fn broken(format: &'static str, reason: impl ToString) -> Self {
        Self::Broken { format, reason: reason.to_string() }
    }

    pub(super) fn unsupported(format: &'static str, what: impl ToString) -> Self {
        Self::Unsupported { format, what: what.to_string() }
    }

    pub(super) fn encode(format: &'static str, reason: impl ToString) -> Self {
        Self::Encode { format, reason: reason.to_string() }
    }

    /// Tells an early end from a disk that fails.
    pub(super) fn from_io(format: &'static str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated { format },
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::broken(format, error)
            }
            _ => Self::Read(error),
        }
    }
}
