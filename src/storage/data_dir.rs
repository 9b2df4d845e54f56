//! The data directory: who made it, where things lie in it, and which server owns it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Error, Result, failed};

/// The file that tells a directory of ours from the empty mount point of a disk that is missing.
pub(super) const MARKER: &str = ".safelight";

const MARKER_TEXT: &str =
    "This directory belongs to Safelight. This file tells it that the right disk is mounted.\n";
const LOCK: &str = "server.lock";

/// The directory that everything of one instance lies in.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
    is_new: bool,
}

impl DataDir {
    /// Opens the data directory, or makes one (mode 0700) where there is nothing or an empty directory.
    ///
    /// An empty directory looks the same whether it is new or the mount point of a missing disk. Who mounts a
    /// disk there can put any file into the bare mount point: it is then refused as not ours.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it holds something else, [`Error::NotWritable`], [`Error::Full`], [`Error::Io`].
    pub fn create(root: &Path) -> Result<Self> {
        make_directory(root)?;
        let is_new = !has_marker(root)?;
        if is_new {
            // The marker is the first thing that comes into a data directory, so whatever lies in one without it
            // was put there by others. A fresh ext4 disk brings its `lost+found`.
            for entry in fs::read_dir(root).map_err(failed("list", root))? {
                if entry.map_err(failed("list", root))?.file_name() != "lost+found" {
                    // Another process may have begun with the same new directory a moment ago.
                    if has_marker(root)? {
                        break;
                    }
                    return Err(Error::Foreign { path: root.to_owned() });
                }
            }
            write_marker(root)?;
        }
        Ok(Self { root: root.to_owned(), is_new })
    }

    /// Opens a data directory that must exist.
    ///
    /// # Errors
    /// [`Error::NoDataDir`] when it does not, [`Error::Io`].
    pub fn open(root: &Path) -> Result<Self> {
        if !has_marker(root)? {
            return Err(Error::NoDataDir { path: root.to_owned() });
        }
        Ok(Self { root: root.to_owned(), is_new: false })
    }

    /// Names the places in a directory that nobody has looked at: for who wants to know what is wrong with it.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), is_new: false }
    }

    /// The process that has claimed the directory as its server; 0 where its number is not known. Nothing is locked for
    /// that: a server that starts at the same moment is not disturbed.
    pub fn server(&self) -> Option<u32> {
        let path = self.root.join(LOCK);
        let inode = fs::metadata(&path).ok()?.ino().to_string();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        locks.lines().any(|line| holds(line, &inode)).then(|| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        })
    }

    /// Claims the directory for this server for as long as the returned lock lives. Workers and the command line
    /// need no lock: they work beside the server.
    ///
    /// # Errors
    /// [`Error::InUse`] when another server has it, [`Error::NotWritable`] when the directory is read-only,
    /// [`Error::Io`].
    pub fn lock_for_server(&self) -> Result<ServerLock> {
        let path = self.root.join(LOCK);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The number only makes the sentence more helpful; without it the sentence is still true.
                let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(Error::InUse { path: self.root.clone(), process });
            }
            Err(fs::TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed("write", &path))?;
        Ok(ServerLock { _file: file })
    }

    /// Whether this call of [`DataDir::create`] made it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `safelight.db`.
    pub fn database(&self) -> PathBuf {
        self.root.join("safelight.db")
    }

    /// `blobs/`, for [`Storage::local`](super::Storage::local).
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// `cache/`: what can be made again.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// `backups/`.
    pub fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    /// `acme/`: certificates and the account that gets them.
    pub fn acme(&self) -> PathBuf {
        self.root.join("acme")
    }

    /// `keys/`: the instance's own secrets.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
}

/// Whether a line of the kernel's list of locks, as in `1: FLOCK  ADVISORY  WRITE 4242 08:02:1317 0 EOF`, is the lock of
/// a whole file.
fn holds(line: &str, inode: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", _, file, ..] = words[..] else { return false };
    file.rsplit(':').next() == Some(inode)
}

/// The proof that this process is the one server of its data directory. The system takes it back when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

/// Makes a directory (mode 0700) with its parents, durably; content with one that is there.
pub(super) fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        make_directory(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_directory(parent),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(failed("create", path)(e)),
    }
}

/// Whether a directory has the marker of ours.
///
/// # Errors
/// [`Error::Io`] when that can't be found out.
pub fn has_marker(directory: &Path) -> Result<bool> {
    let path = directory.join(MARKER);
    path.try_exists().map_err(failed("look at", &path))
}

/// Marks a directory as ours, durably.
///
/// # Errors
/// [`Error::NotWritable`], [`Error::Full`], [`Error::Io`].
pub fn write_marker(directory: &Path) -> Result<()> {
    let path = directory.join(MARKER);
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(
            |mut f| {
                f.write_all(MARKER_TEXT.as_bytes())?;
                f.sync_all()
            },
        );
    written.map_err(failed("write", &path))?;
    sync_directory(directory)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<()> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(failed("sync", path))
}
