//! Reading: ranges of a blob for delivery, and plain readers for blocking code.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::JoinHandle;

use super::{Result, failed};

/// Up to here a blob is read whole when it is opened: one visit to the blocking pool instead of two.
const SMALL_BYTES: u64 = 256 * 1024;

/// What one visit to the blocking pool reads of a larger blob.
const CHUNK_BYTES: u64 = 256 * 1024;

/// An open blob. It stays readable even if it is removed meanwhile.
#[derive(Debug, Clone)]
pub struct Blob {
    size_bytes: u64,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Bytes),
    File(Arc<File>),
}

impl Blob {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { size_bytes: bytes.len() as u64, content: Content::Whole(bytes) }
    }

    pub(super) fn load(file: File, path: &Path) -> Result<Self> {
        let size_bytes = file.metadata().map_err(failed("look at", path))?.len();
        if size_bytes <= SMALL_BYTES {
            return Ok(Self::whole(read_range(&file, 0..size_bytes).map_err(failed("read", path))?));
        }
        Ok(Self { size_bytes, content: Content::File(Arc::new(file)) })
    }

    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Streams a range of bytes in pieces of up to 256 KiB, reading one piece ahead. The range is clipped to the
    /// blob. A blob that turns out shorter than it was ends in an error of kind `UnexpectedEof`.
    pub fn stream(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.size_bytes);
        let rest = range.start.min(end)..end;
        let mut stream = BlobStream { rest, content: self.content.clone(), ahead: None };
        stream.read_ahead();
        stream
    }

    /// Streams the whole blob.
    pub fn stream_all(&self) -> BlobStream {
        self.stream(0..self.size_bytes)
    }
}

/// A range of a blob on its way out; at most two pieces of 256 KiB are in memory.
#[derive(Debug)]
pub struct BlobStream {
    /// What no read has been started for.
    rest: Range<u64>,
    content: Content,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl BlobStream {
    /// Bytes that no read has been started for yet: all of them, for a blob that is already in memory.
    fn read_ahead(&mut self) {
        if let Content::File(file) = &self.content
            && !self.rest.is_empty()
        {
            let piece = self.rest.start..self.rest.end.min(self.rest.start + CHUNK_BYTES);
            self.rest.start = piece.end;
            let file = Arc::clone(file);
            self.ahead = Some(tokio::task::spawn_blocking(move || read_range(&file, piece)));
        }
    }
}

impl Stream for BlobStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Content::Whole(bytes) = &self.content {
            if self.rest.is_empty() {
                return Poll::Ready(None);
            }
            // The range was clipped to bytes that are in memory, so it fits into usize.
            let piece = bytes.slice(self.rest.start as usize..self.rest.end as usize);
            self.rest.start = self.rest.end;
            return Poll::Ready(Some(Ok(piece)));
        }
        let Some(ahead) = &mut self.ahead else { return Poll::Ready(None) };
        let piece = ready!(Pin::new(ahead).poll(cx)).unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        self.ahead = None;
        if piece.is_ok() {
            self.read_ahead();
        } else {
            self.rest = 0..0;
        }
        Poll::Ready(Some(piece))
    }
}

fn read_range(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = (range.end - range.start) as usize;
    let mut buffer = Vec::with_capacity(length);
    while buffer.len() < length {
        let at = range.start + buffer.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    // The allocator may have given more room than was asked for, and a growing file would fill it.
    buffer.truncate(length);
    Ok(buffer.into())
}

/// A blob for blocking code.
#[derive(Debug)]
pub struct BlobReader(Source);

#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Cursor<Bytes>),
}

impl BlobReader {
    pub(super) fn file(file: File) -> Self {
        Self(Source::File(file))
    }

    pub(super) fn bytes(bytes: Bytes) -> Self {
        Self(Source::Bytes(Cursor::new(bytes)))
    }

    /// Its length.
    ///
    /// # Errors
    /// When the file can't be looked at.
    pub fn size_bytes(&self) -> io::Result<u64> {
        match &self.0 {
            Source::File(file) => Ok(file.metadata()?.len()),
            Source::Bytes(bytes) => Ok(bytes.get_ref().len() as u64),
        }
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Source::File(file) => file.read(buffer),
            Source::Bytes(bytes) => bytes.read(buffer),
        }
    }

    fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match &mut self.0 {
            Source::File(file) => file.read_to_end(buffer),
            Source::Bytes(bytes) => bytes.read_to_end(buffer),
        }
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Source::File(file) => file.seek(to),
            Source::Bytes(bytes) => bytes.seek(to),
        }
    }
}
