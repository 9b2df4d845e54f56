//! Blobs as files: `blobs/ab/<64 hexadecimal digits>`, with `blobs/incoming/` for what is not kept yet.
//!
//! One level of 256 folders, all made at the beginning: two levels would make nearly every upload of the first
//! hundred thousand create a folder and sync three instead of one, and 65,536 folders weigh 256 MiB on ext4.
//!
//! Every file that may not vanish under somebody's hands carries a shared `flock` of whoever has an interest in
//! it, from the moment it is a temporary file until its row is committed; who removes must win an exclusive one.
//! Locks end with the process that holds them, so a crash blocks nobody and its temporary files can be told from
//! those that are in use by other processes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::data_dir::{has_marker, make_directory, sync_directory, write_marker};
use super::{BlobId, Error, Listed, ListedStaging, LocalOptions, Removal, Result, Space, StagingId, failed};
use crate::clock::Timestamp;

const INCOMING: &str = "incoming";

/// What the names of staged files end in: a start does not clean them up.
const STAGED: &str = ".part";

/// Unsynced bytes that one upload may pile up. A database commit on the same disk can have to wait until they are
/// written, so they are written as the upload goes rather than all at its end.
const SYNC_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// A draft above this is unlinked on the blocking pool: freeing gigabytes takes a file system a while.
const LARGE_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Local {
    root: PathBuf,
    incoming: PathBuf,
    min_free_bytes: u64,
}

impl Local {
    pub(super) fn open(root: &Path, options: LocalOptions) -> Result<Self> {
        let LocalOptions { expect_marker, min_free_bytes } = options;
        let local = Self { root: root.to_owned(), incoming: root.join(INCOMING), min_free_bytes };
        if !has_marker(root)? {
            if expect_marker {
                return Err(Error::MarkerMissing { path: root.to_owned() });
            }
            make_directory(root)?;
            for first in 0..=u8::MAX {
                let folder = local.folder(first);
                match fs::create_dir(&folder) {
                    Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                        return Err(failed("create", &folder)(e));
                    }
                    _ => {}
                }
            }
            sync_directory(root)?;
            // The marker comes last: where it is, the folders are.
            write_marker(root)?;
        }
        make_directory(&local.incoming)?;
        // A directory that can't be written is better found out now than by the first upload.
        drop(Temporary::create(&local.incoming)?);
        Ok(local)
    }

    fn folder(&self, first: u8) -> PathBuf {
        self.root.join(format!("{first:02x}"))
    }

    pub(super) fn path(&self, blob: BlobId) -> PathBuf {
        let mut path = self.folder(blob.as_bytes()[0]);
        path.push(blob.to_string());
        path
    }

    pub(super) fn find(&self, blob: BlobId) -> Result<File> {
        self.look(blob)?.ok_or(Error::NotFound(blob))
    }

    fn look(&self, blob: BlobId) -> Result<Option<File>> {
        let path = self.path(blob);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("open", &path)(e)),
        }
    }

    pub(super) fn exists(&self, blob: BlobId) -> Result<bool> {
        let path = self.path(blob);
        path.try_exists().map_err(failed("look at", &path))
    }

    pub(super) fn draft(self: &Arc<Self>) -> Result<Draft> {
        self.ensure_room(0)?;
        let temporary = Temporary::create(&self.incoming)?;
        Ok(Draft { local: Arc::clone(self), temporary, unsynced_bytes: 0 })
    }

    /// A draft that shares its bytes with a file instead of copying them; none where the file system can't do that.
    ///
    /// Best is a clone, which goes its own way as soon as one of the two is changed. A second name does not, so the file is
    /// made read-only with it.
    pub(super) fn share(self: &Arc<Self>, source: &Path) -> Result<Option<Draft>> {
        let file = File::open(source).map_err(failed("open", source))?;
        let temporary = Temporary::create(&self.incoming)?;
        if rustix::fs::ioctl_ficlone(&temporary.file, &file).is_ok() {
            return Ok(Some(Draft { local: Arc::clone(self), temporary, unsynced_bytes: 0 }));
        }
        drop(temporary);
        Ok(Temporary::link(&self.incoming, source, file)?.map(|temporary| Draft {
            local: Arc::clone(self),
            temporary,
            unsynced_bytes: 0,
        }))
    }

    pub(super) fn remove(&self, blob: BlobId, is_unwanted: impl FnOnce() -> bool) -> Result<Removal> {
        let path = self.path(blob);
        let Some(file) = self.look(blob)? else { return Ok(Removal::Missing) };
        if !try_lock(&file, &path)? {
            return Ok(Removal::Held);
        }
        if !has_name(&file, &path)? {
            return Ok(Removal::Missing);
        }
        if !is_unwanted() {
            return Ok(Removal::Wanted);
        }
        fs::remove_file(&path).map_err(failed("remove", &path))?;
        Ok(Removal::Removed)
    }

    pub(super) fn list(&self) -> impl Iterator<Item = Result<Listed>> + Send + use<> {
        let folders = (0..=u8::MAX).map(|first| self.folder(first)).collect::<Vec<_>>();
        folders.into_iter().flat_map(|folder| match fs::read_dir(&folder) {
            Ok(entries) => {
                Box::new(entries.filter_map(move |entry| listed(entry, &folder).transpose())) as Box<_>
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Box::new(std::iter::empty()) as Box<_>,
            Err(e) => Box::new(std::iter::once(Err(failed("list", &folder)(e))))
                as Box<dyn Iterator<Item = Result<Listed>> + Send>,
        })
    }

    pub(super) fn clean_incoming(&self, before: Timestamp) -> Result<u64> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.incoming).map_err(failed("list", &self.incoming))? {
            let path = entry.map_err(failed("list", &self.incoming))?.path();
            if staged(&path).is_some() {
                continue;
            }
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(failed("open", &path)(e)),
            };
            let metadata = file.metadata().map_err(failed("look at", &path))?;
            if metadata.is_file() && written_at(&metadata) < before && try_lock(&file, &path)? {
                match fs::remove_file(&path) {
                    Ok(()) => removed += 1,
                    // Its upload ended, one way or the other, before we had the lock.
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(failed("remove", &path)(e)),
                }
            }
        }
        Ok(removed)
    }

    fn staged_path(&self, id: StagingId) -> PathBuf {
        self.incoming.join(format!("{id}{STAGED}"))
    }

    pub(super) fn stage(self: &Arc<Self>, id: StagingId) -> Result<Staged> {
        self.ensure_room(0)?;
        let path = self.staged_path(id);
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path).map_err(failed("create", &path))?;
        file.lock().map_err(failed("lock", &path))?;
        Ok(Staged { local: Arc::clone(self), file, id, path, name_is_durable: false })
    }

    pub(super) fn find_staged(self: &Arc<Self>, id: StagingId) -> Result<Staged> {
        let path = self.staged_path(id);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Err(Error::NotStaged(id)),
            Err(e) => return Err(failed("open", &path)(e)),
        };
        // A write of whoever had it before may still be under way.
        file.lock().map_err(failed("lock", &path))?;
        if !has_name(&file, &path)? {
            return Err(Error::NotStaged(id));
        }
        Ok(Staged { local: Arc::clone(self), file, id, path, name_is_durable: false })
    }

    pub(super) fn discard(&self, id: StagingId) -> Result<bool> {
        let path = self.staged_path(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed("remove", &path)(e)),
        }
    }

    pub(super) fn list_staged(&self) -> Result<Vec<ListedStaging>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.incoming).map_err(failed("list", &self.incoming))? {
            let path = entry.map_err(failed("list", &self.incoming))?.path();
            let Some(id) = staged(&path) else { continue };
            match fs::metadata(&path) {
                Ok(metadata) => found.push(ListedStaging {
                    id,
                    size_bytes: metadata.len(),
                    written_at: written_at(&metadata),
                }),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(failed("look at", &path)(e)),
            }
        }
        Ok(found)
    }

    pub(super) fn ensure_room(&self, size_bytes: u64) -> Result<()> {
        let needed_bytes = self.min_free_bytes.saturating_add(size_bytes);
        if self.free_space()?.free_bytes < needed_bytes { Err(Error::Full) } else { Ok(()) }
    }

    pub(super) fn free_space(&self) -> Result<Space> {
        let disk = rustix::fs::statvfs(&self.root)
            .map_err(|e| failed("ask for the free space of", &self.root)(e.into()))?;
        Ok(Space { free_bytes: disk.f_bavail * disk.f_frsize, total_bytes: disk.f_blocks * disk.f_frsize })
    }
}

fn listed(entry: io::Result<fs::DirEntry>, folder: &Path) -> Result<Option<Listed>> {
    let entry = entry.map_err(failed("list", folder))?;
    let Some(blob) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { return Ok(None) };
    match entry.metadata() {
        Ok(metadata) => Ok(Some(Listed { blob, size_bytes: metadata.len() })),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("look at", &entry.path())(e)),
    }
}

/// Tries for the exclusive lock that removing takes.
fn try_lock(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(failed("lock", path)(e)),
    }
}

/// Whether an open file still has its name, or was removed or replaced since it was opened. That it has some name is not
/// enough: what is staged and kept has two.
fn has_name(file: &File, path: &Path) -> Result<bool> {
    let ours = file.metadata().map_err(failed("look at", path))?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(failed("look at", path)(e)),
    }
}

/// How many temporary files in the store at `root` were last written before a moment: uploads that have ended without
/// them. Blocks.
///
/// # Errors
/// [`Error::Io`].
pub fn count_stale(root: &Path, before: Timestamp) -> Result<u64> {
    let incoming = root.join(INCOMING);
    let mut count = 0;
    for entry in fs::read_dir(&incoming).map_err(failed("list", &incoming))? {
        let path = entry.map_err(failed("list", &incoming))?.path();
        let is_old =
            fs::symlink_metadata(&path).is_ok_and(|file| file.is_file() && written_at(&file) < before);
        count += u64::from(is_old && staged(&path).is_none());
    }
    Ok(count)
}

/// The name of a staged file.
fn staged(path: &Path) -> Option<StagingId> {
    path.file_name()?.to_str()?.strip_suffix(STAGED)?.parse().ok()
}

fn written_at(metadata: &fs::Metadata) -> Timestamp {
    Timestamp::from_millis(metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000)
}

fn length(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(failed("look at", path))?.len())
}

/// A file in `incoming/` that goes away with its owner unless it is renamed.
#[derive(Debug)]
struct Temporary {
    file: File,
    name: Name,
}

/// The name of a temporary file; dropping it removes the file.
#[derive(Debug)]
struct Name(Option<PathBuf>);

impl Drop for Name {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else { return };
        let is_large = fs::metadata(&path).is_ok_and(|file| file.len() > LARGE_BYTES);
        let remove = move || {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "a temporary file could not be removed; the next start will try again");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if is_large => drop(runtime.spawn_blocking(remove)),
            _ => remove(),
        }
    }
}

impl Temporary {
    fn create(incoming: &Path) -> Result<Self> {
        loop {
            let path = incoming.join(crate::id::fresh().to_string());
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed("create", &path))?;
            let temporary = Self { file, name: Name(Some(path)) };
            // Between its creation and this lock the file looks left over, and another process that cleans up
            // may have taken it.
            temporary.file.lock_shared().map_err(failed("lock", temporary.path()))?;
            if has_name(&temporary.file, temporary.path())? {
                return Ok(temporary);
            }
            temporary.into_renamed();
        }
    }

    /// A second name for a file that stays where it is; none where there can't be one.
    fn link(incoming: &Path, source: &Path, file: File) -> Result<Option<Self>> {
        let path = incoming.join(crate::id::fresh().to_string());
        let mut read_only = file.metadata().map_err(failed("look at", source))?.permissions();
        read_only.set_readonly(true);
        if fs::hard_link(source, &path).is_err() {
            return Ok(None);
        }
        let temporary = Self { file, name: Name(Some(path)) };
        // Whoever may not make it read-only can't keep others from changing it.
        if temporary.file.set_permissions(read_only).is_err() {
            return Ok(None);
        }
        temporary.file.lock_shared().map_err(failed("lock", temporary.path()))?;
        // Somebody may have put another file in its place before it was linked.
        if has_name(&temporary.file, temporary.path())? { Ok(Some(temporary)) } else { Ok(None) }
    }

    fn path(&self) -> &Path {
        self.name.0.as_deref().expect("the name is taken only when the file is given up")
    }

    /// Gives the file up after it got another name, or lost its own.
    fn into_renamed(self) -> File {
        let Self { file, mut name } = self;
        name.0 = None;
        file
    }
}

/// Bytes that are not kept yet.
#[derive(Debug)]
pub(super) struct Draft {
    local: Arc<Local>,
    temporary: Temporary,
    unsynced_bytes: u64,
}

impl Draft {
    pub(super) fn append(&mut self, batch: &[u8]) -> Result<()> {
        let Temporary { file, .. } = &mut self.temporary;
        self.local.ensure_room(batch.len() as u64)?;
        file.write_all(batch).map_err(failed("write", &self.local.incoming))?;
        self.unsynced_bytes += batch.len() as u64;
        if self.unsynced_bytes >= SYNC_EVERY_BYTES {
            file.sync_data().map_err(failed("sync", &self.local.incoming))?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    pub(super) fn open(&self) -> Result<File> {
        let path = self.temporary.path();
        File::open(path).map_err(failed("open", path))
    }

    /// Moves the bytes to their place, durably, and returns whether they were there before, with the locked file.
    pub(super) fn keep(self, blob: BlobId, size_bytes: u64) -> Result<(bool, File)> {
        let Self { local, temporary, .. } = self;
        let place = |target: &Path, replace: bool| {
            if replace { fs::rename(temporary.path(), target) } else { rename_new(temporary.path(), target) }
        };
        match local.place(&temporary.file, temporary.path(), blob, size_bytes, place)? {
            Some(existing) => Ok((true, existing)),
            None => Ok((false, temporary.into_renamed())),
        }
    }
}

impl Local {
    /// Brings bytes to their place, durably, by `place`, which fails if something is there that it may not replace.
    /// Returns the locked file that was there before, if the same bytes were.
    fn place(
        &self,
        file: &File,
        path: &Path,
        blob: BlobId,
        size_bytes: u64,
        place: impl Fn(&Path, bool) -> io::Result<()>,
    ) -> Result<Option<File>> {
        let folder = self.folder(blob.as_bytes()[0]);
        let target = self.path(blob);
        let found_bytes = length(file, path)?;
        if found_bytes != size_bytes {
            return Err(Error::Damaged { path: path.to_owned(), found_bytes, expected_bytes: size_bytes });
        }
        loop {
            let existing = self.look(blob)?;
            if let Some(file) = &existing {
                // Waits for somebody who is just removing it.
                file.lock_shared().map_err(failed("lock", &target))?;
                if !has_name(file, &target)? {
                    continue;
                }
            }
            let sync = || file.sync_all().map_err(failed("sync", path));
            let placed = match existing {
                Some(file) if length(&file, &target)? == size_bytes => {
                    // Whoever stored it may not have come as far as this yet.
                    file.sync_all().map_err(failed("sync", &target))?;
                    sync_directory(&folder)?;
                    return Ok(Some(file));
                }
                Some(_locked) => {
                    tracing::warn!(%blob, size_bytes, "a blob of the wrong length is replaced");
                    sync()?;
                    place(&target, true)
                }
                None => {
                    sync()?;
                    place(&target, false)
                }
            };
            match placed {
                Ok(()) => {
                    sync_directory(&folder)?;
                    return Ok(None);
                }
                // The same bytes have arrived by another upload since we looked.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) if e.kind() == ErrorKind::NotFound && !folder.is_dir() => make_directory(&folder)?,
                Err(e) => return Err(failed("rename to", &target)(e)),
            }
        }
    }
}

/// A file that stays until it is discarded by its name. Its exclusive lock keeps others from it while it is open.
#[derive(Debug)]
pub(super) struct Staged {
    local: Arc<Local>,
    file: File,
    id: StagingId,
    path: PathBuf,
    /// Whether its folder was synced since it came into being, or since it was opened.
    name_is_durable: bool,
}

impl Staged {
    pub(super) fn size_bytes(&self) -> Result<u64> {
        length(&self.file, &self.path)
    }

    pub(super) fn append(&mut self, batch: &[u8], at: u64) -> Result<()> {
        self.local.ensure_room(batch.len() as u64)?;
        self.file.write_all_at(batch, at).map_err(failed("write", &self.path))
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(failed("sync", &self.path))?;
        if !self.name_is_durable {
            sync_directory(&self.local.incoming)?;
            self.name_is_durable = true;
        }
        Ok(())
    }

    pub(super) fn cut(&mut self, size_bytes: u64) -> Result<()> {
        let metadata = self.file.metadata().map_err(failed("look at", &self.path))?;
        if metadata.len() == size_bytes {
            return Ok(());
        }
        if metadata.nlink() > 1 {
            // It was kept: the blob may not be harmed, whatever is believed about these bytes.
            let (found_bytes, expected_bytes) = (metadata.len(), size_bytes);
            return Err(Error::Damaged { path: self.path.clone(), found_bytes, expected_bytes });
        }
        self.file.set_len(size_bytes).map_err(failed("shorten", &self.path))
    }

    pub(super) fn read(&self, piece: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(piece, at).map_err(failed("read", &self.path))
    }

    pub(super) fn open(&self) -> Result<File> {
        match File::open(&self.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::NotStaged(self.id)),
            opened => opened.map_err(failed("open", &self.path)),
        }
    }

    /// Gives the bytes a second name as a blob, durably, and returns whether they were there before, with the locked file.
    pub(super) fn keep(self, blob: BlobId, size_bytes: u64) -> Result<(bool, File)> {
        let Self { local, file, id, path, .. } = self;
        // From here on it has the lock of everything that may not vanish.
        file.lock_shared().map_err(failed("lock", &path))?;
        if !has_name(&file, &path)? {
            return Err(Error::NotStaged(id));
        }
        let place = |target: &Path, replace: bool| {
            if replace { fs::rename(&path, target) } else { link_new(&path, target) }
        };
        match local.place(&file, &path, blob, size_bytes, place) {
            Ok(Some(existing)) => Ok((true, existing)),
            Ok(None) => Ok((false, file)),
            // Somebody has discarded it meanwhile.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Err(Error::NotStaged(id))
            }
            Err(e) => Err(e),
        }
    }
}

/// Gives a file a second name that nobody has. A file system without second names gives it that name instead of its own.
fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::Unsupported | ErrorKind::PermissionDenied | ErrorKind::TooManyLinks
            ) =>
        {
            rename_new(from, to)
        }
        done => done,
    }
}

/// Renames, and where the file system can, leaves alone what another upload has put there meanwhile.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(from, to),
        done => Ok(done?),
    }
}
