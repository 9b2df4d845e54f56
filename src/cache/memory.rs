//! Small files that are asked for again and again, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::metrics;

/// The largest file that is kept: a larger one costs more to send than to read.
pub const HOT_FILE_BYTES_MAX: usize = 256 * 1024;

/// What each file takes beside its bytes, roughly: its name twice, and the nodes of two maps.
const OVERHEAD_BYTES: usize = 512;

/// Small files in memory, within a limit: what was used least recently goes first. Names always stand for the same
/// bytes. Clones share it; an empty one takes no memory.
#[derive(Debug, Clone)]
pub struct HotFiles {
    limit_bytes: usize,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    files: HashMap<Arc<str>, (Bytes, u64)>,
    /// Names by the turn in which they were last used.
    by_use: BTreeMap<u64, Arc<str>>,
    turn: u64,
    total_bytes: usize,
}

impl HotFiles {
    /// Makes an empty one of at most `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, shelf: Arc::default() }
    }

    /// The file of that name, if it is here.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let Shelf { files, by_use, turn, .. } = &mut *shelf;
        let found = files.get_mut(name);
        metrics::MEMORY_CACHE.note(found.is_some());
        let (bytes, used) = found?;
        *turn += 1;
        if let Some(name) = by_use.remove(used) {
            by_use.insert(*turn, name);
        }
        *used = *turn;
        Some(bytes.clone())
    }

    /// Keeps a file unless it is too large. The bytes must be an allocation of their own, not a slice of a larger one.
    pub fn put(&self, name: &str, bytes: &Bytes) {
        if bytes.len() > HOT_FILE_BYTES_MAX || bytes.len() + OVERHEAD_BYTES > self.limit_bytes {
            return;
        }
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.remove(name);
        while shelf.total_bytes + bytes.len() + OVERHEAD_BYTES > self.limit_bytes {
            let Some((_, oldest)) = shelf.by_use.pop_first() else { break };
            shelf.remove(&oldest);
        }
        let name: Arc<str> = name.into();
        shelf.turn += 1;
        let turn = shelf.turn;
        shelf.total_bytes += bytes.len() + OVERHEAD_BYTES;
        shelf.by_use.insert(turn, Arc::clone(&name));
        shelf.files.insert(name, (bytes.clone(), turn));
    }

    /// Forgets the files whose name begins so.
    pub fn remove_all(&self, prefix: &str) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<Arc<str>> =
            shelf.files.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        names.iter().for_each(|name| shelf.remove(name));
    }

    /// Bytes that it takes.
    pub fn size_bytes(&self) -> usize {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).total_bytes
    }
}

impl Shelf {
    fn remove(&mut self, name: &str) {
        if let Some((bytes, used)) = self.files.remove(name) {
            self.by_use.remove(&used);
            self.total_bytes -= bytes.len() + OVERHEAD_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_limit_holds() {
        let hot = HotFiles::new(3 * (1000 + OVERHEAD_BYTES));
        let file = |byte: u8| Bytes::from(vec![byte; 1000]);
        for (name, byte) in [("a", 1), ("b", 2), ("c", 3)] {
            hot.put(name, &file(byte));
        }
        assert_eq!(hot.get("a"), Some(file(1)));
        hot.put("d", &file(4));
        assert_eq!((hot.get("b"), hot.get("a")), (None, Some(file(1))));
        hot.put("a", &file(1));
        assert_eq!(hot.size_bytes(), 3 * (1000 + OVERHEAD_BYTES));
        hot.put("large", &Bytes::from(vec![0; HOT_FILE_BYTES_MAX + 1]));
        assert_eq!(hot.get("large"), None);
        hot.remove_all("a");
        assert_eq!((hot.get("a"), hot.get("d")), (None, Some(file(4))));
        for i in 0..10_000 {
            hot.put(&i.to_string(), &Bytes::from_static(b"tiny"));
        }
        assert!(hot.size_bytes() <= 3 * (1000 + OVERHEAD_BYTES));
    }
}
