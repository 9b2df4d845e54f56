//! Taking bytes in: collected in batches, hashed and written off the async threads, counted while they come.

use std::fmt;

use bytes::{Buf, Bytes};
use md5::{Digest, Md5};
use sha2::Sha256;
use tokio::task::JoinHandle;

use super::{Backend, BlobId, BlobReader, Error, Result, blocking, local, memory};

/// Bytes per visit to the blocking pool. One batch fills while the one before it is hashed and written, so an
/// upload holds at most two.
const BATCH_BYTES: usize = 512 * 1024;

/// Bytes kept from the beginning, for telling what kind of file it is.
const HEAD_BYTES: usize = 64 * 1024;

/// An upload that is under way. Dropping it removes what has been written.
#[derive(Debug)]
pub struct Incoming {
    limit_bytes: Option<u64>,
    size_bytes: u64,
    batch: Vec<u8>,
    state: State,
}

enum State {
    Idle(Box<Sink>),
    /// The batch before is being absorbed; its buffer comes back for reuse.
    Busy(JoinHandle<Result<(Box<Sink>, Vec<u8>)>>),
    Failed,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle(_) => "Idle",
            Self::Busy(_) => "Busy",
            Self::Failed => "Failed",
        })
    }
}

impl Incoming {
    pub(super) fn new(backend: Backend, limit_bytes: Option<u64>) -> Self {
        let sink = Sink {
            backend,
            sha256: Sha256::new(),
            md5: Md5::new(),
            head: Vec::new(),
            size_bytes: 0,
            draft: None,
        };
        Self { limit_bytes, size_bytes: 0, batch: Vec::new(), state: State::Idle(Box::new(sink)) }
    }

    /// Bytes taken so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Takes the next bytes, waiting while the disk is behind. After an error, or when the returned future is
    /// dropped half-way, the upload can only be dropped.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as the limit is passed, [`Error::Full`], [`Error::NotWritable`],
    /// [`Error::Io`].
    pub async fn write(&mut self, mut chunk: Bytes) -> Result<()> {
        let size_bytes = self.size_bytes + chunk.len() as u64;
        if let Some(limit_bytes) = self.limit_bytes
            && size_bytes > limit_bytes
        {
            self.state = State::Failed;
            return Err(Error::TooLarge { limit_bytes });
        }
        self.size_bytes = size_bytes;
        while !chunk.is_empty() {
            let part = chunk.len().min(BATCH_BYTES - self.batch.len());
            reserve(&mut self.batch, part);
            self.batch.extend_from_slice(&chunk[..part]);
            chunk.advance(part);
            if self.batch.len() == BATCH_BYTES {
                let (mut sink, spare) = self.idle().await?;
                let mut batch = std::mem::replace(&mut self.batch, spare);
                self.state = State::Busy(tokio::task::spawn_blocking(move || {
                    sink.absorb(&batch)?;
                    batch.clear();
                    Ok((sink, batch))
                }));
            }
        }
        Ok(())
    }

    /// Ends the upload: everything is written and hashed, though not yet durable.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NotWritable`], [`Error::Io`].
    pub async fn finish(mut self) -> Result<Received> {
        let (mut sink, _) = self.idle().await?;
        let batch = std::mem::take(&mut self.batch);
        blocking(move || {
            sink.absorb(&batch)?;
            sink.finish()
        })
        .await
    }

    /// Waits for the batch before and returns the sink with a buffer to use next.
    async fn idle(&mut self) -> Result<(Box<Sink>, Vec<u8>)> {
        // A busy task stays in place while it is awaited, so that dropping this future does not lose it.
        if let State::Busy(task) = &mut self.state {
            let absorbed = task.await;
            self.state = State::Failed;
            return match absorbed {
                Ok(done) => done,
                Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
            };
        }
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(sink) => Ok((sink, Vec::new())),
            State::Busy(_) | State::Failed => Err(Error::Io {
                action: "go on with",
                path: "an upload".into(),
                source: std::io::Error::other("it failed before"),
            }),
        }
    }
}

/// Grows a batch by doubling, but never past a full one.
fn reserve(batch: &mut Vec<u8>, part: usize) {
    let needed = batch.len() + part;
    if needed > batch.capacity() {
        let capacity = needed.max(batch.capacity() * 2).min(BATCH_BYTES);
        batch.reserve_exact(capacity - batch.len());
    }
}

/// The blocking side of an upload.
struct Sink {
    backend: Backend,
    sha256: Sha256,
    md5: Md5,
    head: Vec<u8>,
    size_bytes: u64,
    draft: Option<Draft>,
}

/// Where the bytes wait until somebody decides to keep them.
#[derive(Debug)]
pub(super) enum Draft {
    Local(local::Draft),
    Memory(memory::Draft),
}

impl Sink {
    fn absorb(&mut self, batch: &[u8]) -> Result<()> {
        let draft = match &mut self.draft {
            Some(draft) => draft,
            None => self.draft.insert(match &self.backend {
                Backend::Local(local) => Draft::Local(local::Local::draft(local)?),
                Backend::Memory(memory) => Draft::Memory(memory::Memory::draft(memory)),
            }),
        };
        match draft {
            Draft::Local(draft) => draft.append(batch)?,
            Draft::Memory(draft) => draft.append(batch)?,
        }
        self.sha256.update(batch);
        self.md5.update(batch);
        let head = batch.len().min(HEAD_BYTES - self.head.len());
        self.head.extend_from_slice(&batch[..head]);
        self.size_bytes += batch.len() as u64;
        Ok(())
    }

    fn finish(self) -> Result<Received> {
        Ok(Received {
            blob: BlobId::from_bytes(self.sha256.finalize().into()),
            md5: self.md5.finalize().into(),
            size_bytes: self.size_bytes,
            head: self.head.into(),
            draft: self.draft.expect("absorb, which comes before, makes the draft"),
        })
    }
}

/// A complete upload that nobody has decided to keep yet. Dropping it removes it.
#[derive(Debug)]
pub struct Received {
    blob: BlobId,
    md5: [u8; 16],
    size_bytes: u64,
    head: Bytes,
    draft: Draft,
}

impl Received {
    /// The name it will have: the SHA-256 of its bytes.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// The MD5 of its bytes.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Its first bytes, up to 64 KiB.
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// Opens it for a look before it is kept. Blocks.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(&self) -> Result<BlobReader> {
        match &self.draft {
            Draft::Local(draft) => Ok(BlobReader::file(draft.open()?)),
            Draft::Memory(draft) => Ok(BlobReader::bytes(draft.open())),
        }
    }

    /// Makes it durable under its name: when this returns, it survives power loss.
    ///
    /// Bytes that are already stored are not stored twice. If the returned future is dropped half-way the blob
    /// may or may not be there.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NotWritable`], [`Error::Damaged`] when somebody tampered with the temporary
    /// file, [`Error::Io`].
    pub async fn keep(self) -> Result<Kept> {
        let Self { blob, md5, size_bytes, head: _, draft } = self;
        let (was_there, hold) = match draft {
            Draft::Local(draft) => {
                let (was_there, lock) = blocking(move || draft.keep(blob, size_bytes)).await?;
                (was_there, Hold::Local(lock))
            }
            Draft::Memory(draft) => {
                let (was_there, hold) = draft.keep(blob)?;
                (was_there, Hold::Memory(hold))
            }
        };
        Ok(Kept { blob, md5, size_bytes, was_there, _hold: hold })
    }
}

/// A durable blob that can't be removed while this lives: hold on to it until the row that names the blob is
/// committed.
#[derive(Debug)]
#[must_use = "while it lives the blob can't be removed: hold it until its row is committed"]
pub struct Kept {
    blob: BlobId,
    md5: [u8; 16],
    size_bytes: u64,
    was_there: bool,
    _hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Local(#[expect(dead_code, reason = "held for its lock")] std::fs::File),
    Memory(#[expect(dead_code, reason = "held for its count")] memory::Hold),
}

impl Kept {
    /// Its name: the SHA-256 of its bytes.
    pub fn blob(&self) -> BlobId {
        self.blob
    }

    /// The MD5 of its bytes.
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// Its length.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether the same bytes were stored before.
    pub fn was_there(&self) -> bool {
        self.was_there
    }
}
