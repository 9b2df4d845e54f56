//! Several ranges of a content in one body: `multipart/byteranges` (RFC 9110, 14.6).

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::api::ByteRange;
use crate::library::Piece;

/// A body of several ranges, its length and its media type.
pub(super) struct Byteranges {
    pub(super) content_type: String,
    pub(super) length: u64,
    pub(super) body: Body,
}

/// Puts a frame around each range.
pub(super) fn join(parts: Vec<(ByteRange, Piece)>, content_type: &str, size_bytes: u64) -> Byteranges {
    // Nobody who uploads a file knows beforehand what separates its parts.
    let boundary = crate::id::fresh().simple().to_string();
    let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
    let mut length = end.len() as u64;
    let mut pieces: Vec<BoxStream<'static, std::io::Result<Bytes>>> = Vec::with_capacity(parts.len() * 2 + 1);
    for (range, piece) in parts {
        let head = Bytes::from(head(&boundary, content_type, range, size_bytes));
        length += head.len() as u64 + range.len();
        pieces.push(stream::iter([Ok(head)]).boxed());
        match piece {
            Piece::Nothing => {}
            Piece::Bytes(bytes) => pieces.push(stream::iter([Ok(bytes)]).boxed()),
            Piece::Stream(stream) => pieces.push(stream.boxed()),
            Piece::Redacted(stream) => pieces.push(stream.boxed()),
        }
    }
    pieces.push(stream::iter([Ok(end)]).boxed());
    Byteranges {
        content_type: format!("multipart/byteranges; boundary={boundary}"),
        length,
        body: Body::from_stream(stream::iter(pieces).flatten()),
    }
}

fn head(boundary: &str, content_type: &str, range: ByteRange, size_bytes: u64) -> String {
    let ByteRange { first, last } = range;
    format!(
        "\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes {first}-{last}/{size_bytes}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PART_FRAME_BYTES;

    #[test]
    fn a_frame_takes_no_more_than_was_reckoned_with() {
        let range = ByteRange { first: u64::MAX - 1, last: u64::MAX - 1 };
        let longest = "text/plain; charset=utf-8";
        assert!(head(&"b".repeat(32), longest, range, u64::MAX).len() as u64 + 40 <= PART_FRAME_BYTES);
    }
}
