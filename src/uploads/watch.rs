//! A folder of this machine whose files come into the library by themselves.
//!
//! A file is taken when nothing has happened to it for some seconds. Afterwards it is moved into `done/`, or stays and is
//! noted, as the setting says; what can't be taken stays and is left alone until it changes.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Error, Result, store};
use crate::api::Problem;
use crate::app::App;
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::config::Taken;
use crate::jobs::{self, Failure, Job, Options, Running};
use crate::library::{self, Destination, OnConflict};

/// How often the folder is looked into.
const EVERY: Duration = Duration::from_secs(20);

/// How long nothing must have happened to a file.
const SETTLED: Duration = Duration::from_secs(10);

/// Where files go that were taken.
const DONE: &str = "done";

/// A file of the watched folder.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    /// Below the folder.
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) modified_at: Timestamp,
}

/// Looks into the watched folder now and then, until the process stops.
pub async fn watch(app: App) {
    if app.config.import.watch.is_none() {
        return;
    }
    loop {
        if let Err(error) = look_into_folder(&app).await {
            tracing::warn!(%error, "the watched folder can't be looked into");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.stopping.cancelled() => return,
        }
    }
}

/// Looks into the watched folder once, and has a job take what is new.
///
/// # Errors
/// When the database can't be read or written.
pub async fn look_into_folder(app: &App) -> Result<()> {
    if find_new(app).await?.is_empty() {
        return Ok(());
    }
    let options = Options { unique_key: Some("watch".to_owned()), ..Options::default() };
    app.db.write(move |tx| Ok(jobs::enqueue(tx, &TakeWatched {}, options).map(drop)?)).await
}

/// Takes the files of the watched folder that are new or have changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TakeWatched {}

impl Job for TakeWatched {
    const KIND: &'static str = "uploads.take_watched";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        let files = find_new(app).await.map_err(Failure::retry)?;
        let count = files.len();
        let mut first = None;
        for (i, file) in files.into_iter().enumerate() {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            #[expect(clippy::cast_precision_loss, reason = "a fraction for people")]
            running.progress(i as f32 / count as f32, "");
            // One that can't be taken now keeps no other waiting.
            if let Err(e) = take(app, file).await {
                tracing::warn!(error = %e, "a file of the watched folder could not be taken");
                first = first.or(Some(e));
            }
        }
        first.map_or(Ok(()), |e| Err(Failure::retry(e)))
    }
}

/// Takes one file. What trying again can't mend is noted and not tried again.
async fn take(app: &App, file: Watched) -> Result<()> {
    let Some(root) = &app.config.import.watch else { return Ok(()) };
    let leave = app.config.import.taken == Taken::Leave;
    let problem = match bring_in(app, &root.join(&file.path), &file, leave).await {
        Ok(()) if leave => None,
        Ok(()) => {
            let (root, path, before) = (root.clone(), file.path.clone(), file.modified_at);
            let away = tokio::task::spawn_blocking(move || put_away(&root, &path, before)).await;
            match away.map_err(Error::Task)? {
                Ok(()) => return Ok(()),
                // It is in the library: taking it again would double it.
                Err(e) => {
                    tracing::warn!(error = %e, "a file of the watched folder could not be moved away");
                    Some(e.to_string())
                }
            }
        }
        // It may be readable the next time.
        Err(error @ library::Error::Interrupted(_)) => return Err(error.into()),
        Err(error) => {
            let text = error.to_string();
            let problem = Problem::from(error);
            if problem.status().is_server_error() {
                return Err(Error::Unfinished(problem));
            }
            tracing::warn!(reason = problem.code(), "a file of the watched folder can't be taken");
            Some(text)
        }
    };
    app.db.write(move |tx| Ok(store::note_watched(tx, &file, problem.as_deref())?)).await
}

async fn bring_in(app: &App, path: &Path, file: &Watched, leave: bool) -> library::Result<()> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let key = library::key(&library::folder(folder)?, &library::file_name(name)?)?;
    let bucket = library::first_bucket(app).await?.slug;
    // It may have been taken just before the process died.
    if let Some(media) = library::find_by_key(app, &bucket, &key).await?
        && library::is_same(&media, path).await?
    {
        return Ok(());
    }
    // A file that stays and changes is the same file; one that comes after another was moved away is a new one.
    let path_here = file.path.clone();
    let came_before = app.db.read(move |conn| store::was_taken(conn, &path_here)).await?;
    let on_conflict = if leave && came_before { OnConflict::Replace } else { OnConflict::Rename };
    let to =
        Destination { bucket: Some(bucket), folder: folder.to_owned(), name: name.to_owned(), on_conflict };
    library::add_file(app, &Actor::system(), to, path, false).await?;
    Ok(())
}

/// Moves a file into `done/`, with its folders. One of the same name there gets company. Blocks.
/// One that was written to after it was listed stays, for the next look.
fn put_away(root: &Path, path: &str, listed: Timestamp) -> Result<()> {
    let failed = |e: std::io::Error| Error::Library(library::Error::Interrupted(e.into()));
    let (from, wanted) = (root.join(path), root.join(DONE).join(path));
    let metadata = fs::symlink_metadata(&from).map_err(failed)?;
    if Timestamp::from_millis(metadata.mtime() * 1000 + metadata.mtime_nsec() / 1_000_000) != listed {
        return Ok(());
    }
    fs::create_dir_all(wanted.parent().unwrap_or(root)).map_err(failed)?;
    let mut to = wanted.clone();
    for number in 2.. {
        match fs::hard_link(&from, &to) {
            Ok(()) => return fs::remove_file(&from).map_err(failed),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let stem = wanted.file_stem().unwrap_or_default().to_string_lossy();
                let extension = wanted.extension().map(|e| format!(".{}", e.to_string_lossy()));
                to.set_file_name(format!("{stem} ({number}){}", extension.unwrap_or_default()));
            }
            // Not every file system gives a file two names, nor does any for another person's file.
            Err(_) if !to.exists() => return fs::rename(&from, &to).map_err(failed),
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(())
}

/// The files that have settled and were not taken, or have changed since.
async fn find_new(app: &App) -> Result<Vec<Watched>> {
    let Some(root) = app.config.import.watch.clone() else { return Ok(Vec::new()) };
    let settled_before = app.clock.now() - SETTLED;
    let settled = tokio::task::spawn_blocking(move || settled(&root, settled_before)).await;
    let settled = settled.map_err(Error::Task)?;
    app.db.read(move |conn| Ok(store::new_watched(conn, settled)?)).await
}

fn settled(root: &Path, before: Timestamp) -> Vec<Watched> {
    let millis =
        |seconds: i64, nanoseconds: i64| Timestamp::from_millis(seconds * 1000 + nanoseconds / 1_000_000);
    let (files, _) = files_below(root, false);
    let look = |path: PathBuf| {
        let metadata = fs::metadata(&path).ok()?;
        // The time of its last change can be set by whoever copies it; that of its inode can't.
        let settled = millis(metadata.ctime(), metadata.ctime_nsec()) <= before;
        let path = path.strip_prefix(root).ok()?.to_str()?.to_owned();
        let is_done = path.starts_with("done/");
        let modified_at = millis(metadata.mtime(), metadata.mtime_nsec());
        (settled && !is_done).then_some(Watched { path, size_bytes: metadata.len(), modified_at })
    };
    files.into_iter().filter_map(look).collect()
}

/// All files below a folder in the order of their names, and what could not be read. Links are not followed: they may
/// lead out of the folder, or round in a circle.
pub fn files_below(dir: &Path, hidden: bool) -> (Vec<PathBuf>, Vec<(PathBuf, String)>) {
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                failed.push((folder, e.to_string()));
                continue;
            }
        };
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.path(), entry.file_name(), entry.file_type()?)));
            match found {
                Ok((_, name, _)) if !hidden && name.as_encoded_bytes().starts_with(b".") => {}
                Ok((path, _, kind)) if kind.is_dir() => folders.push(path),
                Ok((path, _, kind)) if kind.is_file() => files.push(path),
                Ok((path, ..)) => failed.push((path, "it is neither a file nor a folder".to_owned())),
                Err(e) => failed.push((folder.clone(), e.to_string())),
            }
        }
    }
    files.sort_unstable();
    (files, failed)
}
