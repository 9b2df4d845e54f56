//! Files that can be made again, kept on disk within a limit: what was used least recently goes first.
//!
//! One maker per key works at a time and everybody who asked meanwhile gets its result, also when the one who asked
//! first has gone. A failure is told to those who wait and then forgotten. Whatever is lost here is only made again, so
//! nothing but a half-written file can do harm, and renaming after a sync prevents that. Knows nothing of what it keeps.

mod memory;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

use crate::clock::{Clock, Timestamp};
use crate::metrics;

pub use memory::{HOT_FILE_BYTES_MAX, HotFiles};

/// Why a maker could not make something; callers look inside with `downcast_ref`.
pub type Failure = Arc<dyn StdError + Send + Sync>;

/// How often the time of the last use is written to a file: the order needs no more precision than that.
const TOUCH_EVERY: Duration = Duration::from_secs(60 * 60);

/// Subfolder of what is being written.
const INCOMING: &str = "incoming";

/// A folder of files that can be made again. Clones share it.
#[derive(Clone)]
pub struct DiskCache(Arc<Inner>);

struct Inner {
    root: PathBuf,
    limit_bytes: AtomicU64,
    clock: Clock,
    /// Makers that may work at once: as many as there are processors.
    makers: Semaphore,
    shelf: Mutex<Shelf>,
    flights: Mutex<HashMap<String, Flight>>,
}

type Flight = Shared<BoxFuture<'static, Result<Bytes, Failure>>>;

/// What is on disk, as far as this process knows. Filled by the first visit.
#[derive(Default)]
struct Shelf {
    loaded: bool,
    total_bytes: u64,
    files: HashMap<String, Entry>,
}

struct Entry {
    size_bytes: u64,
    used_at: Timestamp,
    touched_at: Timestamp,
}

impl std::fmt::Debug for DiskCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskCache").field("root", &self.0.root).finish_non_exhaustive()
    }
}

impl DiskCache {
    /// Makes a cache in `root`, which need not exist, of at most `limit_bytes`; with 0 nothing is kept.
    pub fn new(root: impl Into<PathBuf>, limit_bytes: u64, clock: Clock) -> Self {
        let makers = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            root: root.into(),
            limit_bytes: AtomicU64::new(limit_bytes),
            clock,
            makers: Semaphore::new(makers),
            shelf: Mutex::default(),
            flights: Mutex::default(),
        }))
    }

    /// Sets another limit. What is too much goes with the next file that comes.
    pub fn set_limit(&self, limit_bytes: u64) {
        self.0.limit_bytes.store(limit_bytes, Ordering::Relaxed);
    }

    /// Returns the file of that name, or makes it on the blocking pool and keeps it. Names consist of letters, digits,
    /// `.`, `=`, `-` and `_`, begin with a letter or digit, and always stand for the same bytes.
    ///
    /// # Errors
    /// What `make` returns. A disk that can't be read or written is logged and worked around.
    pub async fn get_or_make<F>(&self, name: &str, make: F) -> Result<Bytes, Failure>
    where
        F: FnOnce() -> Result<Vec<u8>, Failure> + Send + 'static,
    {
        debug_assert!(is_name(name));
        let flight = {
            let mut flights = lock(&self.0.flights);
            match flights.get(name) {
                Some(flight) => flight.clone(),
                None => {
                    let flight = self.clone().take_off(name.to_owned(), make);
                    flights.insert(name.to_owned(), flight.clone());
                    flight
                }
            }
        };
        flight.await
    }

    /// Whether the file of that name is on disk, as far as this process knows. Blocks.
    pub fn holds(&self, name: &str) -> bool {
        self.0.load().is_ok() && lock(&self.0.shelf).files.contains_key(name)
    }

    /// Removes the files whose name begins so. Blocks.
    ///
    /// # Errors
    /// When the folder can't be read or a file can't be removed.
    pub fn remove_all(&self, prefix: &str) -> io::Result<()> {
        self.0.load()?;
        let names: Vec<String> = {
            let mut shelf = lock(&self.0.shelf);
            let names: Vec<String> =
                shelf.files.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
            for name in &names {
                shelf.forget(name);
            }
            names
        };
        for name in names {
            match fs::remove_file(self.0.path(&name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Bytes on disk, as far as this process knows.
    pub fn size_bytes(&self) -> u64 {
        lock(&self.0.shelf).total_bytes
    }

    /// The most bytes that it keeps on disk.
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit_bytes.load(Ordering::Relaxed)
    }

    /// Starts the work in a task of its own, so that it goes on when the one who asked hangs up.
    fn take_off<F>(self, name: String, make: F) -> Flight
    where
        F: FnOnce() -> Result<Vec<u8>, Failure> + Send + 'static,
    {
        let task = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(self.find_or_make(&name, make)).catch_unwind().await;
            lock(&self.0.flights).remove(&name);
            outcome.unwrap_or_else(|_| Err(failure("making a file panicked")))
        });
        async move { task.await.unwrap_or_else(|e| Err(Arc::new(e))) }.boxed().shared()
    }

    async fn find_or_make<F>(&self, name: &str, make: F) -> Result<Bytes, Failure>
    where
        F: FnOnce() -> Result<Vec<u8>, Failure> + Send + 'static,
    {
        let reader = self.clone();
        let wanted = name.to_owned();
        let found = tokio::task::spawn_blocking(move || reader.0.find(&wanted)).await;
        metrics::DISK_CACHE.note(matches!(found, Ok(Ok(Some(_)))));
        match found {
            Ok(Ok(Some(bytes))) => return Ok(bytes),
            Ok(Ok(None)) => {}
            Ok(Err(e)) => tracing::warn!(error = %e, "a cached file could not be read"),
            Err(e) => return Err(Arc::new(e)),
        }
        let _turn = self.0.makers.acquire().await.map_err(|e| Arc::new(e) as Failure)?;
        let keeper = self.clone();
        let name = name.to_owned();
        let made = tokio::task::spawn_blocking(move || {
            let bytes = make()?;
            if let Err(e) = keeper.0.keep(&name, &bytes) {
                tracing::warn!(error = %e, "a file could not be cached");
            }
            Ok(Bytes::from(bytes))
        });
        made.await.unwrap_or_else(|e| Err(Arc::new(e) as Failure))
    }
}

impl Inner {
    fn find(&self, name: &str) -> io::Result<Option<Bytes>> {
        self.load()?;
        let now = self.clock.now();
        let touch = {
            let mut shelf = lock(&self.shelf);
            let Some(entry) = shelf.files.get_mut(name) else { return Ok(None) };
            entry.used_at = now;
            let touch = now.since(entry.touched_at) >= TOUCH_EVERY;
            if touch {
                entry.touched_at = now;
            }
            touch
        };
        let path = self.path(name);
        let mut file = match File::options().read(true).write(touch).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // Another process, or a person, has removed it.
                lock(&self.shelf).forget(name);
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        if touch {
            file.set_times(FileTimes::new().set_modified(system_time(now)))?;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes.into()))
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let size_bytes = bytes.len() as u64;
        if size_bytes > self.limit_bytes.load(Ordering::Relaxed) {
            return Ok(());
        }
        let now = self.clock.now();
        let victims = {
            let mut shelf = lock(&self.shelf);
            shelf.insert(name, Entry { size_bytes, used_at: now, touched_at: now });
            shelf.make_room(self.limit_bytes.load(Ordering::Relaxed), name)
        };
        for victim in victims {
            match fs::remove_file(self.path(&victim)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        let written = self.write(name, bytes, now);
        if written.is_err() {
            lock(&self.shelf).forget(name);
        }
        written
    }

    fn write(&self, name: &str, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        let temporary = self.root.join(INCOMING).join(crate::id::fresh().to_string());
        let written = (|| {
            let mut file = File::create_new(&temporary)?;
            file.write_all(bytes)?;
            file.set_times(FileTimes::new().set_modified(system_time(now)))?;
            // Without this, a power cut may leave the name with no bytes behind it.
            file.sync_data()?;
            let path = self.path(name);
            match fs::rename(&temporary, &path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    path.parent().map_or(Ok(()), fs::create_dir_all)?;
                    fs::rename(&temporary, &path)
                }
                renamed => renamed,
            }
        })();
        if written.is_err() {
            // What can't be removed now is removed at the next start.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Names are spread over folders by their first two characters.
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.get(..2).unwrap_or("_")).join(name)
    }

    /// Learns what an earlier process has left, once.
    fn load(&self) -> io::Result<()> {
        let mut shelf = lock(&self.shelf);
        if shelf.loaded {
            return Ok(());
        }
        let incoming = self.root.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        for left_over in fs::read_dir(&incoming)? {
            let left_over = left_over?;
            // Another process may be writing it just now.
            let age = self.clock.now().since(modified(&left_over.metadata()?)?);
            if age > TOUCH_EVERY {
                fs::remove_file(left_over.path())?;
            }
        }
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if folder.file_name() != INCOMING && folder.file_type()?.is_dir() {
                load_folder(&folder.path(), &mut shelf)?;
            }
        }
        shelf.loaded = true;
        Ok(())
    }
}

fn load_folder(folder: &Path, shelf: &mut Shelf) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        let metadata = match file.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if let Some(name) = file.file_name().to_str()
            && metadata.is_file()
            && is_name(name)
        {
            let used_at = modified(&metadata)?;
            shelf.insert(name, Entry { size_bytes: metadata.len(), used_at, touched_at: used_at });
        }
    }
    Ok(())
}

impl Shelf {
    fn insert(&mut self, name: &str, entry: Entry) {
        self.forget(name);
        self.total_bytes += entry.size_bytes;
        self.files.insert(name.to_owned(), entry);
    }

    fn forget(&mut self, name: &str) {
        if let Some(entry) = self.files.remove(name) {
            self.total_bytes -= entry.size_bytes;
        }
    }

    /// Takes the least recently used off the shelf until a tenth is free again, so that the next files find room
    /// without sorting.
    fn make_room(&mut self, limit_bytes: u64, newest: &str) -> Vec<String> {
        if self.total_bytes <= limit_bytes {
            return Vec::new();
        }
        let mut by_age: Vec<(Timestamp, String)> = self
            .files
            .iter()
            .filter(|(name, _)| *name != newest)
            .map(|(name, entry)| (entry.used_at, name.clone()))
            .collect();
        by_age.sort_unstable();
        let mut victims = Vec::new();
        for (_, name) in by_age {
            if self.total_bytes <= limit_bytes - limit_bytes / 10 {
                break;
            }
            self.forget(&name);
            victims.push(name);
        }
        victims
    }
}

fn is_name(name: &str) -> bool {
    name.len() > 2
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'=' | b'-' | b'_'))
        && name.bytes().take(2).all(|b| b.is_ascii_alphanumeric())
}

fn failure(text: &'static str) -> Failure {
    Arc::from(Box::<dyn StdError + Send + Sync>::from(text))
}

fn modified(metadata: &fs::Metadata) -> io::Result<Timestamp> {
    let age = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
}

fn system_time(at: Timestamp) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section leaves its map whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn cache(root: &Path, limit_bytes: u64) -> (DiskCache, Clock) {
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        (DiskCache::new(root, limit_bytes, clock.clone()), clock)
    }

    #[tokio::test]
    async fn everybody_who_asks_meanwhile_gets_the_one_result() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = cache(folder.path(), 1000);
        let made = Arc::new(AtomicUsize::new(0));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let mut wait = Some(wait);
        let asks: Vec<_> = (0..8)
            .map(|_| {
                let (cache, made, wait) = (cache.clone(), Arc::clone(&made), wait.take());
                tokio::spawn(async move {
                    let make = move || {
                        made.fetch_add(1, Ordering::SeqCst);
                        wait.map(|wait| wait.recv());
                        Ok(vec![7; 10])
                    };
                    cache.get_or_make("aa1", make).await
                })
            })
            .collect();
        drop(go);
        for ask in asks {
            assert_eq!(ask.await.unwrap().unwrap(), vec![7; 10]);
        }
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_first_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (first, clock) = cache(folder.path(), 100);
        for name in ["aa1", "bb2"] {
            first.get_or_make(name, || Ok(vec![1; 40])).await.unwrap();
            clock.advance(Duration::from_secs(2 * 60 * 60));
        }
        first.get_or_make("aa1", || panic!("it is cached")).await.unwrap();
        let again = DiskCache::new(folder.path(), 100, clock.clone());
        clock.advance(Duration::from_secs(1));
        again.get_or_make("cc3", || Ok(vec![3; 40])).await.unwrap();
        assert_eq!(again.size_bytes(), 80);
        again.get_or_make("aa1", || panic!("it was used later")).await.unwrap();
        assert_eq!(again.get_or_make("bb2", || Ok(vec![9])).await.unwrap(), vec![9]);
    }

    #[tokio::test]
    async fn failures_and_panics_are_told_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, _) = cache(folder.path(), 100);
        assert!(cache.get_or_make("aa1", || Err(failure("no"))).await.is_err());
        assert!(cache.get_or_make("aa1", || panic!("no")).await.is_err());
        assert_eq!(cache.get_or_make("aa1", || Ok(vec![1])).await.unwrap(), vec![1]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_only_costs_time() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        fs::write(&blocked, "not a folder").unwrap();
        let (cache, _) = cache(&blocked, 100);
        for _ in 0..2 {
            assert_eq!(cache.get_or_make("aa1", || Ok(vec![1])).await.unwrap(), vec![1]);
        }
    }
}
