//! What is kept of certificates: one file for each with its key, one for each account, what is known about the next
//! attempt. Files are replaced whole, readable by their owner only; a lock for each certificate keeps two processes from
//! asking for the same one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::{Error, Result};
use crate::clock::Timestamp;

/// The folder `acme/` of the data directory.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
}

/// What is remembered about the attempts to get a certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// How many have failed since the last success.
    #[serde(default)]
    pub(super) failed: u32,
    #[serde(default)]
    pub(super) last_at: Option<Timestamp>,
    /// Why the last one failed.
    #[serde(default)]
    pub(super) cause: Option<String>,
    #[serde(default)]
    pub(super) next_at: Option<Timestamp>,
    /// Until when the authority wants to be left alone.
    #[serde(default)]
    pub(super) not_before: Option<Timestamp>,
    /// Who issued the certificate in use.
    #[serde(default)]
    pub(super) authority: Option<String>,
}

impl Files {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn certificate(&self, name: &str, ending: &str) -> PathBuf {
        self.root.join("certificates").join(format!("{}.{ending}", file_name(name)))
    }

    fn account(&self, directory_url: &str) -> PathBuf {
        let name = directory_url.strip_prefix("https://").unwrap_or(directory_url);
        self.root.join("accounts").join(format!("{}.json", file_name(name)))
    }

    /// The stored certificate with its key; `None` when there is none.
    pub(super) fn load(&self, name: &str) -> Result<Option<Certificate>> {
        let path = self.certificate(name, "pem");
        match fs::read(&path) {
            Ok(pem) => Certificate::from_pem(&pem, &pem).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { action: "read", path, source }),
        }
    }

    /// Stores a certificate, with its key in the same file, so that the two can't part.
    pub(super) fn save(&self, name: &str, key: &str, chain: &str) -> Result<()> {
        write(&self.certificate(name, "pem"), format!("{key}{chain}").as_bytes())
    }

    pub(super) fn attempts(&self, name: &str) -> Attempts {
        let read = fs::read(self.certificate(name, "json")).ok();
        read.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
    }

    pub(super) fn save_attempts(&self, name: &str, attempts: &Attempts) -> Result<()> {
        let json = serde_json::to_vec_pretty(attempts).unwrap_or_default();
        write(&self.certificate(name, "json"), &json)
    }

    /// The account with an authority: what was stored, if it can be read.
    pub(super) fn load_account<T: serde::de::DeserializeOwned>(&self, directory_url: &str) -> Option<T> {
        let path = self.account(directory_url);
        let json = fs::read(&path).ok()?;
        match serde_json::from_slice(&json) {
            Ok(account) => Some(account),
            Err(_) => {
                tracing::warn!(path = %path.display(), "the account with the certificate authority is damaged; a new one is made");
                None
            }
        }
    }

    pub(super) fn has_account(&self, directory_url: &str) -> bool {
        self.account(directory_url).is_file()
    }

    pub(super) fn save_account(&self, directory_url: &str, account: &impl Serialize) -> Result<()> {
        let json = serde_json::to_vec_pretty(account)
            .map_err(|e| Error::BadCertificate(format!("the account can't be stored: {e}")))?;
        write(&self.account(directory_url), &json)
    }

    /// What another process has put there for an authority's question: a proof by its token, a certificate by its name.
    pub(super) fn answer(&self, name: &str) -> Option<String> {
        let path = self.answer_path(name)?;
        fs::read_to_string(path).ok()
    }

    pub(super) fn put_answer(&self, name: &str, answer: &str) -> Result<()> {
        let bad = || Error::BadCertificate(format!("{name} is no token"));
        write(&self.answer_path(name).ok_or_else(bad)?, answer.as_bytes())
    }

    pub(super) fn remove_answer(&self, name: &str) {
        if let Some(path) = self.answer_path(name) {
            let _ = fs::remove_file(path);
        }
    }

    /// Removes what a process that was killed has left.
    pub(super) fn forget_answers(&self) {
        let _ = fs::remove_dir_all(self.root.join("answers"));
    }

    fn answer_path(&self, name: &str) -> Option<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fine = (1..=200).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.');
        fine.then(|| self.root.join("answers").join(name))
    }

    pub(super) fn forget_account(&self, directory_url: &str) {
        let _ = fs::remove_file(self.account(directory_url));
    }

    /// Claims a certificate for as long as the lock lives; `None` when another process has it.
    pub(super) fn lock(&self, name: &str) -> Result<Option<File>> {
        let path = self.certificate(name, "lock");
        make_folder(&path)?;
        let failed = |source| Error::Io { action: "lock", path: path.clone(), source };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// A name as a file's: what names and URLs may hold besides letters, digits, dots and dashes becomes `_`.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
    name.chars().map(plain).collect()
}

fn make_folder(file: &Path) -> Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| Error::Io { action: "create", path: folder.to_owned(), source })
}

/// Replaces a file as a whole, durably, readable by its owner only.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    make_folder(path)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let half = path.with_extension(format!("{}-{number}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&half, path))
        .and_then(|()| path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()));
    written.map_err(|source| {
        let _ = fs::remove_file(&half);
        Error::Io { action: "write", path: path.to_owned(), source }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_stored_is_the_owners_alone_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().join("acme"));
        assert!(files.load("*.example.org").unwrap().is_none());
        let attempts = Attempts { failed: 3, cause: Some("why".into()), ..Attempts::default() };
        files.save_attempts("*.example.org", &attempts).unwrap();
        assert_eq!(files.attempts("*.example.org").failed, 3);
        let path = dir.path().join("acme/certificates/_.example.org.json");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{").unwrap();
        assert_eq!(files.attempts("*.example.org").failed, 0, "what is damaged is forgotten");
        fs::write(dir.path().join("acme/certificates/a.test.pem"), "damaged").unwrap();
        assert!(files.load("a.test").is_err());
    }

    #[test]
    fn answers_are_found_by_names_that_are_no_paths() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().join("acme"));
        files.put_answer("a_Token-1", "proof").unwrap();
        assert_eq!(files.answer("a_Token-1").as_deref(), Some("proof"));
        for bad in ["", "../certificates/a.test.pem", "..", ".", "a/b", &"a".repeat(201)] {
            assert!(files.answer(bad).is_none() && files.put_answer(bad, "x").is_err(), "{bad}");
        }
        files.remove_answer("a_Token-1");
        assert!(files.answer("a_Token-1").is_none());
    }

    #[test]
    fn only_one_asks_for_a_certificate_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path().to_owned());
        let lock = files.lock("a.test").unwrap();
        assert!(lock.is_some() && files.lock("a.test").unwrap().is_none());
        assert!(files.lock("b.test").unwrap().is_some());
        drop(lock);
        assert!(files.lock("a.test").unwrap().is_some());
    }
}
