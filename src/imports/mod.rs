//! The data directories of other programs, brought into the library: people without their passwords, files, and what was
//! made from them, with the addresses under which they were known.
//!
//! Everything comes in through the library's intake and is noted with its old address in the same transaction. So an
//! import can be ended at any moment and run again: what is here is found and passed over. What can't be taken is named
//! with the reason, and the rest goes on. Nothing is ever written into what is read. The room knows what other programs
//! leave on a disk; what may come in is the library's business.

mod bucket_manager;
mod files;
mod people;
mod restoration_app;
mod store;
pub mod table;

use std::path::PathBuf;

use crate::library::{Slug, Visibility};
use crate::{accounts, db, library};

pub use bucket_manager::{BucketManager, import_bucket_manager};
pub use restoration_app::{RestorationApp, import_restoration_app};

/// Files that are on their way at once: while one waits for the disk, others are read.
const AT_ONCE: usize = 4;

/// Why nothing could be imported. What concerns a single file or person stands in the [`Report`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file can't be read.
    #[error("{path} can't be read", path = path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database of a restoration app is missing.
    #[error("{dir} has no photo_restoration.db: name the folder that holds it, `uploads` and `processed`", dir = dir.display())]
    NoDatabase {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A database that is not what it should be.
    #[error("{path} is not the database of a restoration app: {why}", path = path.display())]
    NotItsDatabase {
        /// Which file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// A list of people without a line that says what is what.
    #[error("{path} can't be used as a list of people: {why}", path = path.display())]
    BadTable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A bucket that is to become public, and is not there.
    #[error("there is no bucket “{name}” to make public; there are: {known}")]
    NoSuchFolder {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The library could not.
    #[error("the library could not take it")]
    Library(#[from] library::Error),
    /// The accounts could not.
    #[error("the accounts could not be looked up")]
    Accounts(#[from] accounts::Error),
    /// The database could not.
    #[error("the database could not be used")]
    Db(#[from] db::Error),
    /// A task on the blocking pool died.
    #[error("a task stopped unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}

/// What imports return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an import tells while it goes on.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// So many files will be looked at.
    Expect(u64),
    /// One of them is done.
    Done,
    /// Something could not be taken.
    Failed(&'a Complaint),
}

/// Who is told.
pub type Watch<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

/// Something that could not be taken, or was left out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Complaint {
    /// What it is, as it is called there.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Things of a kind that came in, and that were here already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// How many came in.
    pub added: u64,
    /// How many were here.
    pub unchanged: u64,
}

/// A bucket that took something.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Taker {
    /// Its name there; none where there were no buckets.
    pub folder: Option<String>,
    /// Its name in addresses.
    pub slug: Slug,
    /// Who may see it without being asked.
    pub visibility: Visibility,
}

/// What has become of everything.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    /// People.
    pub people: Count,
    /// Photographs and files.
    pub media: Count,
    /// Their bytes, those of pictures made from them included, as far as they came in now.
    pub added_bytes: u64,
    /// Pictures made from them.
    pub renditions: Count,
    /// Buckets that took something.
    pub buckets: Vec<Taker>,
    /// What was left out on purpose, or is other than before.
    pub notes: Vec<Complaint>,
    /// What could not be taken.
    pub failed: Vec<Complaint>,
}

impl Report {
    fn note(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.notes.push(Complaint { what: what.into(), why: why.into() });
    }

    fn fail(&mut self, watch: Watch<'_>, what: impl Into<String>, why: impl Into<String>) {
        let complaint = Complaint { what: what.into(), why: why.into() };
        watch(Step::Failed(&complaint));
        self.failed.push(complaint);
    }

    /// Adds what has become of a part.
    fn take(&mut self, part: Self) {
        let add = |count: &mut Count, more: Count| {
            count.added += more.added;
            count.unchanged += more.unchanged;
        };
        add(&mut self.people, part.people);
        add(&mut self.media, part.media);
        add(&mut self.renditions, part.renditions);
        self.added_bytes += part.added_bytes;
        self.buckets.extend(part.buckets);
        self.notes.extend(part.notes);
        self.failed.extend(part.failed);
    }
}

/// An error with its causes, in one line.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}
