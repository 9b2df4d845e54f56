//! Blobs in memory: for tests and throw-away instances.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{BlobId, Error, Listed, ListedStaging, Removal, Result, Space, StagingId};
use crate::clock::Timestamp;

#[derive(Debug)]
pub(super) struct Memory {
    capacity_bytes: u64,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    blobs: HashMap<BlobId, Bytes>,
    /// How many holders a blob has that may not lose it now.
    held: HashMap<BlobId, usize>,
    staged: HashMap<StagingId, Heap>,
    /// Bytes of blobs, drafts and what is staged.
    used_bytes: u64,
}

/// Bytes that are staged.
#[derive(Debug, Default)]
struct Heap {
    bytes: Vec<u8>,
    /// Counts who has opened them: only the last one may change them.
    opened: u64,
}

impl Memory {
    pub(super) fn new(capacity_bytes: u64) -> Self {
        Self { capacity_bytes, shelf: Mutex::default() }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A question that panicked in `remove` has changed nothing yet.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ensure_room(&self, size_bytes: u64) -> Result<()> {
        if self.free_space().free_bytes < size_bytes { Err(Error::Full) } else { Ok(()) }
    }

    pub(super) fn draft(self: &Arc<Self>) -> Draft {
        Draft { memory: Arc::clone(self), bytes: Vec::new() }
    }

    pub(super) fn find(&self, blob: BlobId) -> Result<Bytes> {
        self.shelf().blobs.get(&blob).cloned().ok_or(Error::NotFound(blob))
    }

    pub(super) fn exists(&self, blob: BlobId) -> bool {
        self.shelf().blobs.contains_key(&blob)
    }

    pub(super) fn remove(&self, blob: BlobId, is_unwanted: impl FnOnce() -> bool) -> Removal {
        let mut shelf = self.shelf();
        if shelf.held.contains_key(&blob) {
            return Removal::Held;
        }
        let Some(size_bytes) = shelf.blobs.get(&blob).map(Bytes::len) else { return Removal::Missing };
        if !is_unwanted() {
            return Removal::Wanted;
        }
        shelf.blobs.remove(&blob);
        shelf.used_bytes -= size_bytes as u64;
        Removal::Removed
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        let listed =
            |(blob, bytes): (&BlobId, &Bytes)| Listed { blob: *blob, size_bytes: bytes.len() as u64 };
        self.shelf().blobs.iter().map(listed).collect()
    }

    pub(super) fn stage(self: &Arc<Self>, id: StagingId) -> Result<Staged> {
        let mut shelf = self.shelf();
        if shelf.staged.contains_key(&id) {
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(Error::Io { action: "create", path: id.to_string().into(), source });
        }
        shelf.staged.insert(id, Heap::default());
        Ok(Staged { memory: Arc::clone(self), id, opened: 0 })
    }

    pub(super) fn find_staged(self: &Arc<Self>, id: StagingId) -> Result<Staged> {
        let mut shelf = self.shelf();
        let heap = shelf.staged.get_mut(&id).ok_or(Error::NotStaged(id))?;
        heap.opened += 1;
        Ok(Staged { memory: Arc::clone(self), id, opened: heap.opened })
    }

    pub(super) fn discard(&self, id: StagingId) -> bool {
        let mut shelf = self.shelf();
        let Some(heap) = shelf.staged.remove(&id) else { return false };
        shelf.used_bytes -= heap.bytes.len() as u64;
        true
    }

    pub(super) fn list_staged(&self) -> Vec<ListedStaging> {
        let listed = |(id, heap): (&StagingId, &Heap)| ListedStaging {
            id: *id,
            size_bytes: heap.bytes.len() as u64,
            written_at: Timestamp::from_millis(0),
        };
        self.shelf().staged.iter().map(listed).collect()
    }

    pub(super) fn free_space(&self) -> Space {
        let total_bytes = self.capacity_bytes;
        Space { free_bytes: total_bytes.saturating_sub(self.shelf().used_bytes), total_bytes }
    }
}

#[derive(Debug)]
pub(super) struct Draft {
    memory: Arc<Memory>,
    bytes: Vec<u8>,
}

impl Draft {
    pub(super) fn append(&mut self, batch: &[u8]) -> Result<()> {
        let mut shelf = self.memory.shelf();
        let used_bytes = shelf.used_bytes.saturating_add(batch.len() as u64);
        if used_bytes > self.memory.capacity_bytes {
            return Err(Error::Full);
        }
        shelf.used_bytes = used_bytes;
        self.bytes.extend_from_slice(batch);
        Ok(())
    }

    pub(super) fn open(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes)
    }

    pub(super) fn keep(mut self, blob: BlobId) -> Result<(bool, Hold)> {
        let mut shelf = self.memory.shelf();
        let was_there = shelf.blobs.contains_key(&blob);
        if !was_there {
            // What has moved to the blobs is no longer the draft's to give back.
            shelf.blobs.insert(blob, std::mem::take(&mut self.bytes).into());
        }
        *shelf.held.entry(blob).or_default() += 1;
        drop(shelf);
        Ok((was_there, Hold { memory: Arc::clone(&self.memory), blob }))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.memory.shelf().used_bytes -= self.bytes.len() as u64;
    }
}

#[derive(Debug)]
pub(super) struct Staged {
    memory: Arc<Memory>,
    id: StagingId,
    opened: u64,
}

impl Staged {
    /// The bytes, if nobody has discarded or opened them since.
    fn heap<'a>(&self, shelf: &'a mut Shelf) -> Result<&'a mut Heap> {
        shelf
            .staged
            .get_mut(&self.id)
            .filter(|heap| heap.opened == self.opened)
            .ok_or(Error::NotStaged(self.id))
    }

    pub(super) fn size_bytes(&self) -> Result<u64> {
        Ok(self.heap(&mut self.memory.shelf())?.bytes.len() as u64)
    }

    pub(super) fn append(&mut self, batch: &[u8]) -> Result<()> {
        let mut shelf = self.memory.shelf();
        let used_bytes = shelf.used_bytes.saturating_add(batch.len() as u64);
        if used_bytes > self.memory.capacity_bytes {
            return Err(Error::Full);
        }
        self.heap(&mut shelf)?.bytes.extend_from_slice(batch);
        shelf.used_bytes = used_bytes;
        Ok(())
    }

    pub(super) fn cut(&mut self, size_bytes: u64) -> Result<()> {
        let mut shelf = self.memory.shelf();
        let bytes = &mut self.heap(&mut shelf)?.bytes;
        let before = bytes.len();
        bytes.truncate(usize::try_from(size_bytes).unwrap_or(usize::MAX));
        let gone = before - bytes.len();
        shelf.used_bytes -= gone as u64;
        Ok(())
    }

    pub(super) fn read(&self, piece: &mut [u8], at: u64) -> Result<()> {
        let mut shelf = self.memory.shelf();
        let bytes = &self.heap(&mut shelf)?.bytes;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(found) = bytes.get(at..).and_then(|rest| rest.get(..piece.len())) else {
            let source = std::io::ErrorKind::UnexpectedEof.into();
            return Err(Error::Io { action: "read", path: self.id.to_string().into(), source });
        };
        piece.copy_from_slice(found);
        Ok(())
    }

    pub(super) fn open(&self) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(&self.heap(&mut self.memory.shelf())?.bytes))
    }

    /// Copies the bytes to the blobs: on a disk they would get a second name, which here costs room.
    pub(super) fn keep(self, blob: BlobId) -> Result<(bool, Hold)> {
        let mut shelf = self.memory.shelf();
        let was_there = shelf.blobs.contains_key(&blob);
        if !was_there {
            let bytes = Bytes::copy_from_slice(&self.heap(&mut shelf)?.bytes);
            let used_bytes = shelf.used_bytes.saturating_add(bytes.len() as u64);
            if used_bytes > self.memory.capacity_bytes {
                return Err(Error::Full);
            }
            shelf.used_bytes = used_bytes;
            shelf.blobs.insert(blob, bytes);
        }
        *shelf.held.entry(blob).or_default() += 1;
        drop(shelf);
        Ok((was_there, Hold { memory: self.memory, blob }))
    }
}

#[derive(Debug)]
pub(super) struct Hold {
    memory: Arc<Memory>,
    blob: BlobId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut shelf = self.memory.shelf();
        if let Some(count) = shelf.held.get_mut(&self.blob) {
            *count -= 1;
            if *count == 0 {
                shelf.held.remove(&self.blob);
            }
        }
    }
}
