//! The log in a file, put aside when it has grown large.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that is put aside as `name.1` when it has grown large; `name.1` becomes `name.2` and so on.
pub(super) struct LogFile {
    path: PathBuf,
    max_bytes: u64,
    kept: usize,
    /// Nothing while it can't be written.
    file: Option<File>,
    size_bytes: u64,
    /// Lines to skip before the next try after one that failed.
    pause: u32,
}

/// After a failure so many lines are lost before the file is tried again: a full disk is asked now and then.
const PAUSE: u32 = 100;

impl LogFile {
    pub(super) fn open(path: &Path, max_bytes: u64, kept: usize) -> io::Result<Self> {
        let mut log = Self { path: path.to_owned(), max_bytes, kept, file: None, size_bytes: 0, pause: 0 };
        log.try_open()?;
        Ok(log)
    }

    /// Opens the file of that name, which may be another one now.
    pub(super) fn reopen(&mut self) {
        self.file = None;
        self.pause = 0;
        if self.try_open().is_err() {
            self.pause = PAUSE;
        }
    }

    /// Appends a line. A disk that can't be written costs lines and nothing else.
    pub(super) fn write(&mut self, line: &str) {
        if self.file.is_none() {
            self.pause = self.pause.saturating_sub(1);
            if self.pause > 0 || self.try_open().is_err() {
                self.pause = if self.pause == 0 { PAUSE } else { self.pause };
                return;
            }
        }
        let added = line.len() as u64;
        if self.size_bytes > 0 && self.size_bytes + added > self.max_bytes {
            self.put_aside();
        }
        let written = self.file.as_mut().map(|file| file.write_all(line.as_bytes()));
        match written {
            Some(Ok(())) => self.size_bytes += added,
            _ => (self.file, self.pause) = (None, PAUSE),
        }
    }

    fn try_open(&mut self) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        self.size_bytes = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    fn put_aside(&mut self) {
        self.file = None;
        let aside = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        // Those that are missing are no failure.
        for number in (1..self.kept).rev() {
            let _ = fs::rename(aside(number), aside(number + 1));
        }
        let _ = if self.kept == 0 { fs::remove_file(&self.path) } else { fs::rename(&self.path, aside(1)) };
        let _ = self.try_open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_put_aside_and_only_some_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("safelight.log");
        let mut log = LogFile::open(&path, 100, 2).unwrap();
        for n in 0..39 {
            log.write(&format!("line {n:04} of twenty bytes\n")[..20]);
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(read("safelight.log.1").starts_with("line 0030"), "{}", read("safelight.log.1"));
        assert!(read("safelight.log").starts_with("line 0035") && read("safelight.log.2").len() == 100);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);

        // logrotate moves it away and says so.
        let mut log = LogFile::open(&path, 1000, 2).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        log.write("still there\n");
        log.reopen();
        log.write("anew\n");
        assert!(read("moved").ends_with("still there\n") && read("safelight.log") == "anew\n");

        let mut log = LogFile::open(&path, 100, 0).unwrap();
        log.write(&"x".repeat(99));
        log.write("y\n");
        assert_eq!(read("safelight.log"), "y\n");
        assert!(LogFile::open(&folder.path().join("no/folder.log"), 100, 0).is_err());
    }

    #[test]
    fn a_file_that_goes_away_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).unwrap();
        let mut log = LogFile::open(&inner.join("a.log"), 10, 0).unwrap();
        fs::remove_dir_all(&inner).unwrap();
        log.reopen();
        for _ in 0..2 * PAUSE {
            log.write("lost\n");
        }
        fs::create_dir(&inner).unwrap();
        for _ in 0..PAUSE {
            log.write("kept\n");
        }
        assert!(fs::read_to_string(inner.join("a.log")).unwrap().starts_with("kept"));
    }
}
