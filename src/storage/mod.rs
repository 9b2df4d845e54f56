//! Content-addressed blobs: bytes in, bytes out, each content kept once under its SHA-256.
//!
//! This room promises that what [`Received::keep`] acknowledged survives power loss, that a limit or a full disk
//! stops an upload while it streams, and that no temporary file outlives its upload. It must not know what the
//! bytes are, who owns them or what they are called: no SQL, no routes, no media.
//!
//! A blob passes three hands on its way in: [`Incoming`], or [`Staging`] for bytes that come in several goes, collects and hashes, [`Received`] may be looked at
//! before anybody decides to keep it, [`Kept`] is durable and can't be removed until its holder lets go, which is
//! after the commit of the row that names it.

mod blob;
mod blob_id;
mod data_dir;
mod incoming;
mod local;
mod memory;
mod pipe;
mod staging;
mod sums;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use blob::{Blob, BlobReader, BlobStream};
pub use blob_id::{BlobId, InvalidBlobId};
pub use data_dir::{DataDir, ServerLock, has_marker, write_marker};
pub use incoming::{Incoming, Kept, Received};
pub use local::count_stale;
pub use staging::{ListedStaging, Staging, StagingId};

use crate::clock::Timestamp;

/// What can go wrong with blobs and with the directory that they lie in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The upload is larger than its limit.
    #[error("the upload is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit that was passed to [`Storage::receive`].
        limit_bytes: u64,
    },
    /// The disk, the quota or the space above the configured floor is used up.
    #[error("there is not enough free space to store this")]
    Full,
    /// Nothing is stored under this name.
    #[error("there is no blob {0}")]
    NotFound(BlobId),
    /// Nothing is staged under this name.
    #[error("nothing is staged as {0}")]
    NotStaged(StagingId),
    /// The bytes on disk are not the bytes that were received.
    #[error("{path} has {found_bytes} bytes where {expected_bytes} were received")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its length now.
        found_bytes: u64,
        /// The length it must have.
        expected_bytes: u64,
    },
    /// A directory that held blobs lacks its marker file: most likely its disk is not mounted.
    #[error(
        "{path} lacks the marker file «{}», although files were stored there before: is its disk mounted? \
         If the files were moved on purpose, create the marker as an empty file",
        data_dir::MARKER
    )]
    MarkerMissing {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that should become the data directory holds something else.
    #[error(
        "{path} is not empty and is no data directory of Safelight (it lacks the marker file «{}»): choose \
         an empty directory, or mount the disk that belongs here",
        data_dir::MARKER
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// A command needs a data directory where there is none yet.
    #[error("there is no data directory at {path}: start the server once, or check the path")]
    NoDataDir {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// This process may not write where it has to.
    #[error(
        "{path} can't be written: check its owner and permissions, and that its disk is not mounted read-only"
    )]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another server works on the same data directory.
    #[error("another Safelight server{} is already running on the data directory {path}", by_process(*.process))]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The other server's process id, where it could be read.
        process: Option<u32>,
    },
    /// Anything else that the system refuses.
    #[error("could not {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn by_process(process: Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

/// The result of everything in this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Turns a system error into the variant that a caller can act on.
fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::NotWritable { path: path.to_owned(), source }
        }
        _ => Error::Io { action, path: path.to_owned(), source },
    }
}

/// Runs blocking work on the pool; a panic over there goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

/// Free and total space of the disk that the blobs lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still use.
    pub free_bytes: u64,
    /// Bytes altogether.
    pub total_bytes: u64,
}

/// How [`Storage::local`] treats its directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalOptions {
    /// Whether blobs are on record: a directory without its marker is then refused instead of furnished.
    pub expect_marker: bool,
    /// Uploads are refused as [`Error::Full`] when they would leave less than this free, so that the database
    /// can still write.
    pub min_free_bytes: u64,
}

/// One blob in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub blob: BlobId,
    /// Its length.
    pub size_bytes: u64,
}

/// What became of a request to remove a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It was not there.
    Missing,
    /// Somebody is just storing the same bytes again; ask later.
    Held,
    /// The question that was asked under the lock was answered with no.
    Wanted,
}

/// The place where blobs are kept. Cheap to clone; all clones are the same place.
#[derive(Debug, Clone)]
pub struct Storage(Backend, Arc<staging::Desk>);

#[derive(Debug, Clone)]
enum Backend {
    Local(Arc<local::Local>),
    Memory(Arc<memory::Memory>),
}

impl Storage {
    /// Opens the store in `root` (`<data directory>/blobs`), furnishing it if it is new. Blocks.
    ///
    /// # Errors
    /// [`Error::MarkerMissing`] when blobs are expected and the directory is not theirs, [`Error::NotWritable`]
    /// when it is read-only, [`Error::Full`], [`Error::Io`].
    pub fn local(root: &Path, options: LocalOptions) -> Result<Self> {
        Ok(Self(Backend::Local(Arc::new(local::Local::open(root, options)?)), Arc::default()))
    }

    /// Makes a store in memory, for tests and throw-away instances.
    pub fn memory() -> Self {
        Self::memory_of(u64::MAX)
    }

    /// Makes a store in memory that is full at `capacity_bytes`.
    pub fn memory_of(capacity_bytes: u64) -> Self {
        Self(Backend::Memory(Arc::new(memory::Memory::new(capacity_bytes))), Arc::default())
    }

    /// Begins to take bytes in; at most `limit_bytes` of them.
    pub fn receive(&self, limit_bytes: Option<u64>) -> Incoming {
        Incoming::new(self.0.clone(), limit_bytes)
    }

    /// Stores bytes that are in memory already.
    ///
    /// # Errors
    /// As [`Incoming::write`] and [`Received::keep`].
    pub async fn put_bytes(&self, bytes: Bytes) -> Result<Kept> {
        let mut incoming = self.receive(None);
        incoming.write(bytes).await?;
        incoming.finish().await?.keep().await
    }

    /// Takes a file in without copying it, where the file system can share its bytes: as a clone, or else by a second name.
    /// A file with a second name is made read-only, for whoever changed it would change the blob. None where that can't be.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NotWritable`], [`Error::Io`] also when the file can't be read.
    pub async fn share(&self, source: &Path) -> Result<Option<Received>> {
        let (backend, source) = (self.0.clone(), source.to_owned());
        blocking(move || incoming::share(&backend, &source)).await
    }

    /// Begins to take bytes in that will come in several goes.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NotWritable`], [`Error::Io`], also when the name is taken.
    pub async fn stage(&self, id: StagingId) -> Result<Staging> {
        let backend = self.0.clone();
        blocking(move || Staging::create(&backend, id)).await
    }

    /// Goes on with bytes that are staged. `durable_bytes` of them count, as the last [`Staging::sync`] has said; what is
    /// there beyond is cut off. Unless they were parked they are read and hashed again, which takes a second for each
    /// gigabyte or so.
    ///
    /// # Errors
    /// [`Error::NotStaged`], [`Error::NotWritable`], [`Error::Damaged`], [`Error::Io`].
    pub async fn resume(&self, id: StagingId, durable_bytes: u64) -> Result<Staging> {
        if let Some(parked) = self.1.take(id)
            && parked.durable_bytes() == durable_bytes
        {
            return Ok(parked);
        }
        let backend = self.0.clone();
        blocking(move || Staging::reopen(&backend, id, durable_bytes)).await
    }

    /// Puts a staging aside from which more is expected soon. One that is not durable to its end is dropped instead.
    pub fn park(&self, staging: Staging) {
        self.1.park(staging);
    }

    /// Removes staged bytes; false when there are none. A blob that was made of them stays.
    ///
    /// # Errors
    /// [`Error::NotWritable`], [`Error::Io`].
    pub async fn discard(&self, id: StagingId) -> Result<bool> {
        drop(self.1.take(id));
        let backend = self.0.clone();
        blocking(move || match backend {
            Backend::Local(local) => local.discard(id),
            Backend::Memory(memory) => Ok(memory.discard(id)),
        })
        .await
    }

    /// Lists what is staged. Blocks.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list_staged(&self) -> Result<Vec<ListedStaging>> {
        match &self.0 {
            Backend::Local(local) => local.list_staged(),
            Backend::Memory(memory) => Ok(memory.list_staged()),
        }
    }

    /// Says early whether an upload of `size_bytes` could be stored, before its body is read.
    ///
    /// # Errors
    /// [`Error::Full`] if not.
    pub fn ensure_room(&self, size_bytes: u64) -> Result<()> {
        match &self.0 {
            Backend::Local(local) => local.ensure_room(size_bytes),
            Backend::Memory(memory) => memory.ensure_room(size_bytes),
        }
    }

    /// Opens a blob for delivery. A small one (up to 256 KiB) is read by the same visit to the disk.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub async fn open(&self, blob: BlobId) -> Result<Blob> {
        match &self.0 {
            Backend::Local(local) => {
                let local = Arc::clone(local);
                blocking(move || Blob::load(local.find(blob)?, &local.path(blob))).await
            }
            Backend::Memory(memory) => Ok(Blob::whole(memory.find(blob)?)),
        }
    }

    /// Opens a blob for blocking code, such as a picture decoder. Blocks.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub fn reader(&self, blob: BlobId) -> Result<BlobReader> {
        match &self.0 {
            Backend::Local(local) => Ok(BlobReader::file(local.find(blob)?)),
            Backend::Memory(memory) => Ok(BlobReader::bytes(memory.find(blob)?)),
        }
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// [`Error::Io`] when that can't be found out.
    pub async fn exists(&self, blob: BlobId) -> Result<bool> {
        match &self.0 {
            Backend::Local(local) => {
                let local = Arc::clone(local);
                blocking(move || local.exists(blob)).await
            }
            Backend::Memory(memory) => Ok(memory.exists(blob)),
        }
    }

    /// Removes a blob that nobody is just storing, after asking `is_unwanted` once more.
    ///
    /// From the question to the unlinking no [`Kept`] of this blob exists and none can come into being, in this
    /// process or another: who stores the same bytes meanwhile waits and then stores them afresh. `is_unwanted`
    /// runs on a blocking thread; it should take the blob off the records, so that a crash leaves an orphan
    /// rather than a record without bytes.
    ///
    /// # Errors
    /// [`Error::NotWritable`], [`Error::Io`].
    pub async fn remove(
        &self,
        blob: BlobId,
        is_unwanted: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<Removal> {
        let backend = self.0.clone();
        blocking(move || match backend {
            Backend::Local(local) => local.remove(blob, is_unwanted),
            Backend::Memory(memory) => Ok(memory.remove(blob, is_unwanted)),
        })
        .await
    }

    /// Lists every blob, in no promised order. Blocks; what comes and goes meanwhile may or may not be listed.
    pub fn list(&self) -> Box<dyn Iterator<Item = Result<Listed>> + Send> {
        match &self.0 {
            Backend::Local(local) => Box::new(local.list()),
            Backend::Memory(memory) => Box::new(memory.list().into_iter().map(Ok)),
        }
    }

    /// Removes temporary files that a crash left, last written before `before` and in use by no process, and
    /// returns how many there were. Blocks.
    ///
    /// # Errors
    /// [`Error::NotWritable`], [`Error::Io`].
    pub fn clean_incoming(&self, before: Timestamp) -> Result<u64> {
        match &self.0 {
            Backend::Local(local) => local.clean_incoming(before),
            Backend::Memory(_) => Ok(0),
        }
    }

    /// Reads how much space there is.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn free_space(&self) -> Result<Space> {
        match &self.0 {
            Backend::Local(local) => local.free_space(),
            Backend::Memory(memory) => Ok(memory.free_space()),
        }
    }
}
