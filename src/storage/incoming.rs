//! Taking bytes in that come in one go: counted while they come, gone when they don't come to their end.

use bytes::Bytes;

use super::pipe::{Absorb, Pipe};
use super::staging::Staged;
use super::sums::Sums;
use super::{Backend, BlobId, BlobReader, Error, Result, blocking, local, memory};

/// An upload that is under way. Dropping it removes what has been written.
#[derive(Debug)]
pub struct Incoming {
    limit_bytes: Option<u64>,
    size_bytes: u64,
    /// None once a write has failed.
    pipe: Option<Pipe<Sink>>,
}

impl Incoming {
    pub(super) fn new(backend: Backend, limit_bytes: Option<u64>) -> Self {
        let sink = Sink { backend, sums: Sums::default(), draft: None };
        Self { limit_bytes, size_bytes: 0, pipe: Some(Pipe::new(sink)) }
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
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let size_bytes = self.size_bytes + chunk.len() as u64;
        let mut pipe = self.pipe.take().ok_or_else(failed_before)?;
        if let Some(limit_bytes) = self.limit_bytes
            && size_bytes > limit_bytes
        {
            return Err(Error::TooLarge { limit_bytes });
        }
        pipe.write(chunk).await?;
        self.size_bytes = size_bytes;
        self.pipe = Some(pipe);
        Ok(())
    }

    /// Ends the upload: everything is written and hashed, though not yet durable.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::NotWritable`], [`Error::Io`].
    pub async fn finish(mut self) -> Result<Received> {
        let mut pipe = self.pipe.take().ok_or_else(failed_before)?;
        // Also an upload of nothing has a draft.
        pipe.flush(|sink| sink.draft().map(drop)).await?;
        pipe.into_sink().finish()
    }
}

fn failed_before() -> Error {
    let source = std::io::Error::other("it failed before");
    Error::Io { action: "go on with", path: "an upload".into(), source }
}

/// The blocking side of an upload.
#[derive(Debug)]
struct Sink {
    backend: Backend,
    sums: Sums,
    draft: Option<Draft>,
}

/// Where the bytes wait until somebody decides to keep them.
#[derive(Debug)]
pub(super) enum Draft {
    Local(local::Draft),
    Memory(memory::Draft),
    /// Bytes that stay where they are until they are discarded by their name.
    Staged(Staged),
}

impl Sink {
    fn draft(&mut self) -> Result<&mut Draft> {
        match &mut self.draft {
            Some(draft) => Ok(draft),
            none => Ok(none.insert(match &self.backend {
                Backend::Local(local) => Draft::Local(local::Local::draft(local)?),
                Backend::Memory(memory) => Draft::Memory(memory::Memory::draft(memory)),
            })),
        }
    }

    fn finish(self) -> Result<Received> {
        Ok(self.sums.received(self.draft.expect("flushing, which comes before, makes the draft")))
    }
}

impl Absorb for Sink {
    fn absorb(&mut self, batch: &[u8]) -> Result<()> {
        match self.draft()? {
            Draft::Local(draft) => draft.append(batch)?,
            Draft::Memory(draft) => draft.append(batch)?,
            Draft::Staged(_) => unreachable!("only a staging makes one"),
        }
        self.sums.update(batch);
        Ok(())
    }
}

/// A complete upload that nobody has decided to keep yet. Dropping it removes it.
#[derive(Debug)]
pub struct Received {
    pub(super) blob: BlobId,
    pub(super) md5: [u8; 16],
    pub(super) size_bytes: u64,
    pub(super) head: Bytes,
    pub(super) draft: Draft,
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
            Draft::Staged(staged) => staged.open(),
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
            Draft::Staged(staged) => blocking(move || staged.keep(blob, size_bytes)).await?,
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
pub(super) enum Hold {
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
