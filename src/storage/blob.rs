//! Reading: ranges of a blob for delivery, and plain readers for blocking code.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::JoinHandle;

use super::{Result, failed};

/// Up to here a blob is read whole when it is opened: one visit to the blocking pool instead of two.
const SMALL_BYTES: u64 = 256 * 1024;

/// What is read of a larger blob at once. Buffers of this size come from the heap; twice that, and each would be a
/// mapping of its own with a fault for every page (`cli/allocator.rs`).
const CHUNK_BYTES: u64 = 128 * 1024;

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

    /// All of it, if it was small enough to be read when it was opened.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Whole(bytes) => Some(bytes),
            Content::File(_) => None,
        }
    }

    /// Streams a range of bytes in pieces of up to 128 KiB. The range is clipped to the blob. A blob that turns out
    /// shorter than it was ends in an error of kind `UnexpectedEof`.
    pub fn stream(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.size_bytes);
        let rest = range.start.min(end)..end;
        BlobStream { rest, content: self.content.clone(), reading: None, at_once: true, home: Arc::default() }
    }

    /// Streams the whole blob.
    pub fn stream_all(&self) -> BlobStream {
        self.stream(0..self.size_bytes)
    }
}

/// A range of a blob on its way out; whoever polls it decides how many pieces of it are in memory.
///
/// What the system has in memory is read where the stream is polled: a visit to the blocking pool for each piece costs
/// more than the copying. Only what would have to wait for the disk goes there.
#[derive(Debug)]
pub struct BlobStream {
    /// What no read has been started for.
    rest: Range<u64>,
    content: Content,
    /// A piece that the disk is asked for.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// Whether the file system can say that it would have to wait.
    at_once: bool,
    home: Arc<Home>,
}

/// Buffers that have been sent and wait to be filled again: making a new one for each piece, which has to be zeroed,
/// takes a tenth of the time that reading and sending take.
#[derive(Debug, Default)]
struct Home(Mutex<Vec<Vec<u8>>>);

/// As many as a connection takes before it sends them.
const BUFFERS_MAX: usize = 4;

impl Home {
    /// A buffer of at least `length`, at most a chunk, with whatever was in it before.
    fn lend(self: &Arc<Self>, length: usize) -> Lent {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { buffer: spare.unwrap_or_else(|| vec![0; length]), home: Arc::downgrade(self) }
    }
}

/// A buffer that goes home when nobody needs its bytes any more.
struct Lent {
    buffer: Vec<u8>,
    home: Weak<Home>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let mut spare = home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < BUFFERS_MAX && self.buffer.len() as u64 == CHUNK_BYTES {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl BlobStream {
    /// Takes the next piece off the rest.
    fn take(&mut self, length: u64) -> Range<u64> {
        let piece = self.rest.start..self.rest.end.min(self.rest.start + length);
        self.rest.start = piece.end;
        piece
    }

    /// Ends the stream with what came of a read.
    fn settle(&mut self, piece: io::Result<Bytes>) -> Poll<Option<io::Result<Bytes>>> {
        if piece.is_err() {
            self.rest = 0..0;
        }
        Poll::Ready(Some(piece))
    }
}

impl Stream for BlobStream {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(reading) = &mut self.reading {
            let piece = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            return self.settle(piece.unwrap_or_else(|stopped| Err(io::Error::other(stopped))));
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let file = match &self.content {
            Content::Whole(bytes) => {
                // The range was clipped to bytes that are in memory, so it fits into usize.
                let piece = bytes.slice(self.rest.start as usize..self.rest.end as usize);
                self.rest.start = self.rest.end;
                return Poll::Ready(Some(Ok(piece)));
            }
            Content::File(file) => Arc::clone(file),
        };
        if self.at_once {
            let length = (self.rest.end - self.rest.start).min(CHUNK_BYTES) as usize;
            match read_cached(&file, self.rest.start, length, &self.home) {
                Cached::Bytes(bytes) => {
                    self.take(bytes.len() as u64);
                    return self.settle(Ok(bytes));
                }
                Cached::Later => {}
                Cached::Unknown => self.at_once = false,
            }
        }
        let piece = self.take(CHUNK_BYTES);
        let mut reading = tokio::task::spawn_blocking(move || read_range(&file, piece));
        match Pin::new(&mut reading).poll(cx) {
            Poll::Ready(piece) => self.settle(piece.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))),
            Poll::Pending => {
                self.reading = Some(reading);
                Poll::Pending
            }
        }
    }
}

/// What could be read without waiting.
enum Cached {
    /// These bytes, perhaps fewer than were asked for.
    Bytes(Bytes),
    /// The disk would have to be asked.
    Later,
    /// The file system does not tell.
    Unknown,
}

/// Reads what the system has in memory (`preadv2` with `RWF_NOWAIT`).
#[cfg(target_os = "linux")]
fn read_cached(file: &File, at: u64, length: usize, home: &Arc<Home>) -> Cached {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut lent = home.lend(length);
    let mut slices = [io::IoSliceMut::new(&mut lent.buffer[..length])];
    match preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT) {
        // The blocking read finds out whether the file has become shorter.
        Ok(0) | Err(Errno::AGAIN | Errno::INTR) => Cached::Later,
        Ok(read) => Cached::Bytes(Bytes::from_owner(lent).slice(..read)),
        Err(_) => Cached::Unknown,
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: u64, _: usize, _: &Arc<Home>) -> Cached {
    Cached::Unknown
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
