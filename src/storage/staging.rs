//! Taking bytes in that come in several goes, over days, connections and restarts.
//!
//! Nothing of a staging is promised before [`Staging::sync`] has returned: what was written since then may be gone after a
//! crash, and whoever resumes says up to where the bytes count. Staged bytes go when they are discarded by their name and
//! not before: also after they were kept as a blob, for only then is it known that a row names that blob.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::incoming::{Draft, Hold, Received};
use super::pipe::{Absorb, Pipe};
use super::sums::Sums;
use super::{Backend, BlobId, BlobReader, Result, local, memory};
use crate::clock::Timestamp;

crate::typed_id!(
    /// Names bytes that are staged.
    StagingId
);

/// How much of the disk one visit reads when bytes from before a restart are hashed again.
const READ_BYTES: usize = 1 << 20;

/// How many stagings stay open while nothing comes for them: a file descriptor and 64 KiB each.
const PARKED_MAX: usize = 64;

/// Bytes that are staged, in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedStaging {
    /// Their name.
    pub id: StagingId,
    /// How many there are, durable or not.
    pub size_bytes: u64,
    /// When they were last written to.
    pub written_at: Timestamp,
}

/// Bytes that arrive in several goes. Dropping it leaves them where they are.
///
/// Only one may be open for a name at a time; whoever opens the next waits until the last write of the one before is over.
#[derive(Debug)]
pub struct Staging {
    id: StagingId,
    size_bytes: u64,
    durable_bytes: u64,
    pipe: Pipe<Sink>,
}

impl Staging {
    /// Begins with nothing. Blocks.
    pub(super) fn create(backend: &Backend, id: StagingId) -> Result<Self> {
        let bytes = match backend {
            Backend::Local(local) => Staged::Local(local.stage(id)?),
            Backend::Memory(memory) => Staged::Memory(memory.stage(id)?),
        };
        Ok(Self::new(id, Sink { bytes, sums: Sums::default(), safe: Sums::default() }))
    }

    /// Opens what is there, cuts it back to what is known to be durable, and hashes it anew. Blocks.
    pub(super) fn reopen(backend: &Backend, id: StagingId, durable_bytes: u64) -> Result<Self> {
        let mut bytes = match backend {
            Backend::Local(local) => Staged::Local(local.find_staged(id)?),
            Backend::Memory(memory) => Staged::Memory(memory.find_staged(id)?),
        };
        let found_bytes = bytes.size_bytes()?;
        if found_bytes < durable_bytes {
            tracing::warn!(found_bytes, durable_bytes, "an unfinished upload has lost bytes on disk");
        }
        let durable_bytes = durable_bytes.min(found_bytes);
        bytes.cut(durable_bytes)?;
        let mut sums = Sums::default();
        let mut piece = vec![0; READ_BYTES];
        while sums.size_bytes() < durable_bytes {
            let wanted =
                usize::try_from(durable_bytes - sums.size_bytes()).unwrap_or(usize::MAX).min(READ_BYTES);
            bytes.read(&mut piece[..wanted], sums.size_bytes())?;
            sums.update(&piece[..wanted]);
        }
        Ok(Self::new(id, Sink { bytes, safe: sums.clone(), sums }))
    }

    fn new(id: StagingId, sink: Sink) -> Self {
        let size_bytes = sink.safe.size_bytes();
        Self { id, size_bytes, durable_bytes: size_bytes, pipe: Pipe::new(sink) }
    }

    /// The name.
    pub fn id(&self) -> StagingId {
        self.id
    }

    /// Bytes taken so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Bytes that survive power loss.
    pub fn durable_bytes(&self) -> u64 {
        self.durable_bytes
    }

    /// Takes the next bytes, waiting while the disk is behind. After an error [`Staging::revert`] brings it back to
    /// what it was at the last [`Staging::sync`].
    ///
    /// # Errors
    /// `Error::Full`, `Error::NotWritable`, `Error::NotStaged` when it was discarded meanwhile, `Error::Io`.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let taken = chunk.len() as u64;
        self.pipe.write(chunk).await?;
        self.size_bytes += taken;
        Ok(())
    }

    /// Makes everything durable that was taken, and returns how much that is.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub async fn sync(&mut self) -> Result<u64> {
        self.durable_bytes = self.pipe.flush(Sink::sync).await?;
        Ok(self.durable_bytes)
    }

    /// Gives up what came since the last [`Staging::sync`], and returns how much is left.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub async fn revert(&mut self) -> Result<u64> {
        self.size_bytes = self.pipe.forget(Sink::revert).await?;
        Ok(self.size_bytes)
    }

    /// Puts the bytes of another staging behind its own, whatever is known of their hash.
    ///
    /// # Errors
    /// As [`Staging::write`], and `Error::Damaged` when the other is shorter than it should be.
    pub async fn append(&mut self, part: Staging) -> Result<()> {
        let part = part.pipe.into_sink();
        let appended = part.safe.size_bytes();
        self.pipe
            .flush(move |sink| {
                let mut piece = vec![0; READ_BYTES];
                let mut at = 0;
                while at < appended {
                    let wanted = usize::try_from(appended - at).unwrap_or(usize::MAX).min(READ_BYTES);
                    part.bytes.read(&mut piece[..wanted], at)?;
                    sink.absorb(&piece[..wanted])?;
                    at += wanted as u64;
                }
                Ok(())
            })
            .await?;
        self.size_bytes += appended;
        Ok(())
    }

    /// Ends it: everything is durable and hashed. The bytes stay staged until they are discarded, also when they have been
    /// kept.
    ///
    /// # Errors
    /// As [`Staging::write`].
    pub async fn finish(mut self) -> Result<Received> {
        self.sync().await?;
        let Sink { bytes, sums, .. } = self.pipe.into_sink();
        Ok(sums.received(Draft::Staged(bytes)))
    }
}

/// The blocking side of a staging.
#[derive(Debug)]
struct Sink {
    bytes: Staged,
    sums: Sums,
    /// What it was when everything was durable.
    safe: Sums,
}

impl Sink {
    fn sync(&mut self) -> Result<u64> {
        if self.safe.size_bytes() < self.sums.size_bytes() {
            self.bytes.sync()?;
            self.safe = self.sums.clone();
        }
        Ok(self.safe.size_bytes())
    }

    fn revert(&mut self) -> Result<u64> {
        self.bytes.cut(self.safe.size_bytes())?;
        self.sums = self.safe.clone();
        Ok(self.sums.size_bytes())
    }
}

impl Absorb for Sink {
    fn absorb(&mut self, batch: &[u8]) -> Result<()> {
        self.bytes.append(batch, self.sums.size_bytes())?;
        self.sums.update(batch);
        Ok(())
    }
}

/// Where staged bytes lie.
#[derive(Debug)]
pub(super) enum Staged {
    Local(local::Staged),
    Memory(memory::Staged),
}

impl Staged {
    fn size_bytes(&self) -> Result<u64> {
        match self {
            Self::Local(file) => file.size_bytes(),
            Self::Memory(bytes) => bytes.size_bytes(),
        }
    }

    fn append(&mut self, batch: &[u8], at: u64) -> Result<()> {
        match self {
            Self::Local(file) => file.append(batch, at),
            Self::Memory(bytes) => bytes.append(batch),
        }
    }

    fn sync(&mut self) -> Result<()> {
        match self {
            Self::Local(file) => file.sync(),
            Self::Memory(bytes) => bytes.size_bytes().map(drop),
        }
    }

    fn cut(&mut self, size_bytes: u64) -> Result<()> {
        match self {
            Self::Local(file) => file.cut(size_bytes),
            Self::Memory(bytes) => bytes.cut(size_bytes),
        }
    }

    fn read(&self, piece: &mut [u8], at: u64) -> Result<()> {
        match self {
            Self::Local(file) => file.read(piece, at),
            Self::Memory(bytes) => bytes.read(piece, at),
        }
    }

    pub(super) fn open(&self) -> Result<BlobReader> {
        match self {
            Self::Local(file) => Ok(BlobReader::file(file.open()?)),
            Self::Memory(bytes) => Ok(BlobReader::bytes(bytes.open()?)),
        }
    }

    pub(super) fn keep(self, blob: BlobId, size_bytes: u64) -> Result<(bool, Hold)> {
        match self {
            Self::Local(file) => {
                let (was_there, lock) = file.keep(blob, size_bytes)?;
                Ok((was_there, Hold::Local(lock)))
            }
            Self::Memory(bytes) => {
                let (was_there, hold) = bytes.keep(blob)?;
                Ok((was_there, Hold::Memory(hold)))
            }
        }
    }
}

/// Stagings between two goes, with their hashes: who goes on soon finds them as they were, instead of reading everything
/// again.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<VecDeque<Staging>>);

impl Desk {
    /// Puts one aside; the one that has lain there longest goes when there are too many.
    pub(super) fn park(&self, staging: Staging) {
        if staging.size_bytes != staging.durable_bytes {
            return;
        }
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parked.push_back(staging);
        if parked.len() > PARKED_MAX {
            let oldest = parked.pop_front();
            drop(parked);
            drop(oldest);
        }
    }

    /// Takes one back.
    pub(super) fn take(&self, id: StagingId) -> Option<Staging> {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = parked.iter().position(|staging| staging.id == id)?;
        parked.remove(at)
    }
}
