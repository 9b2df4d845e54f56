//! `safelight import`: a folder of files into the library, through the same intake as every other door.

use std::fs;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;

use super::put_json;
use crate::app::App;
use crate::audit::Actor;
use crate::library::{self, Destination, Media, OnConflict, Slug};
use crate::storage::BlobId;

/// Files that are on their way at once: while one waits for the disk, others are read.
const AT_ONCE: usize = 4;

/// Bytes read from a file at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// `safelight import`
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// Folder whose files are copied into the library, with the folders in it
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// Bucket that they go into [default: the oldest one]
    #[arg(long, value_name = "SLUG")]
    bucket: Option<String>,
    /// Folder of the bucket that they go into [default: the top]
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    folder: String,
    /// What becomes of a file whose name is taken by another content
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Conflict::Replace)]
    on_conflict: Conflict,
    /// Also take files and folders whose name begins with a dot
    #[arg(long)]
    hidden: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Conflict {
    /// It becomes a new version of what is there
    Replace,
    /// It gets a number
    Rename,
    /// It is left out and reported
    Refuse,
}

/// What has become of the files.
#[derive(Debug, Default)]
struct Summary {
    added: u64,
    added_bytes: u64,
    unchanged: u64,
    failed: Vec<(PathBuf, String)>,
}

/// Runs `safelight import`. Files that can't be taken are reported and the rest goes on; the exit code is then 1.
///
/// # Errors
/// When the folder can't be read at all, or there is no such bucket.
pub async fn run(args: &ImportArgs, app: &App) -> anyhow::Result<ExitCode> {
    let bucket = match &args.bucket {
        Some(slug) => {
            let slug = Slug::parse(slug)?;
            library::get_bucket(app, &slug).await.with_context(|| format!("the bucket {slug}"))?.slug
        }
        None => library::first_bucket(app).await?.slug,
    };
    if !args.dir.is_dir() {
        bail!("{} is not a folder", args.dir.display());
    }
    let mut summary = Summary::default();
    let (dir, hidden) = (args.dir.clone(), args.hidden);
    let walked = tokio::task::spawn_blocking(move || walk(&dir, hidden));
    let (files, unreadable) = walked.await.context("the folder could not be read")?;
    summary.failed.extend(unreadable);

    let bar = progress(files.len() as u64);
    let mut outcomes = stream::iter(files)
        .map(|file| async {
            let outcome = import(app, args, &bucket, &file).await;
            (file, outcome)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((file, outcome)) = outcomes.next().await {
        bar.inc(1);
        match outcome {
            Ok(Some(media)) => {
                summary.added += 1;
                summary.added_bytes += media.size_bytes;
            }
            Ok(None) => summary.unchanged += 1,
            Err(e) => {
                bar.suspend(|| eprintln!("{}: {e:#}", file.display()));
                summary.failed.push((file, format!("{e:#}")));
            }
        }
    }
    bar.finish_and_clear();
    summary.tell(args.json)?;
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Copies one file; none when it is there already.
async fn import(app: &App, args: &ImportArgs, bucket: &Slug, file: &Path) -> anyhow::Result<Option<Media>> {
    let relative = file.strip_prefix(&args.dir).context("a file lies outside of the folder")?;
    let name = relative.file_name().and_then(|name| name.to_str()).context("its name is not UTF-8")?;
    let inner =
        relative.parent().unwrap_or(Path::new("")).to_str().context("its folder's name is not UTF-8")?;
    let folder = library::folder(&format!("{}/{inner}", args.folder))?;
    let key = library::key(&folder, &library::file_name(name)?)?;
    if let Some(existing) = library::find_by_key(app, bucket, &key).await?
        && is_same(&existing, file).await?
    {
        return Ok(None);
    }
    let to = Destination {
        bucket: Some(bucket.clone()),
        folder,
        name: name.to_owned(),
        on_conflict: match args.on_conflict {
            Conflict::Replace => OnConflict::Replace,
            Conflict::Rename => OnConflict::Rename,
            Conflict::Refuse => OnConflict::Refuse,
        },
    };
    let opened = tokio::fs::File::open(file).await.context("can't open it")?;
    let body = ReaderStream::with_capacity(opened, PIECE_BYTES)
        .map_err(|e| library::Error::Interrupted(Box::new(e)));
    Ok(Some(library::add(app, &Actor::cli(), to, body).await?))
}

/// Whether a file has the bytes of a media. Only one of the same length is read.
async fn is_same(media: &Media, file: &Path) -> anyhow::Result<bool> {
    let (path, size_bytes) = (file.to_owned(), media.size_bytes);
    let hash = tokio::task::spawn_blocking(move || {
        let mut file = fs::File::open(&path)?;
        if file.metadata()?.len() != size_bytes {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Some(BlobId::from_bytes(hash.finalize().into()))),
                read => hash.update(&piece[..read]),
            }
        }
    });
    let hash: std::io::Result<Option<BlobId>> = hash.await?;
    Ok(hash.context("can't read it")? == Some(media.sha256))
}

/// All files below a folder in the order of their names, and what could not be read. Links are not followed: they may
/// lead out of the folder, or round in a circle.
fn walk(dir: &Path, hidden: bool) -> (Vec<PathBuf>, Vec<(PathBuf, String)>) {
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

fn progress(files: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(files), target);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} files, {eta} to go");
    bar.with_style(style.expect("the template is right"))
}

impl Summary {
    fn tell(&self, as_json: bool) -> anyhow::Result<()> {
        let Self { added, added_bytes, unchanged, failed } = self;
        if as_json {
            let failed: Vec<_> = failed
                .iter()
                .map(|(path, why)| json!({ "path": path.to_string_lossy(), "error": why }))
                .collect();
            return put_json(&json!({
                "added": added, "added_bytes": added_bytes, "unchanged": unchanged, "failed": failed
            }));
        }
        eprintln!(
            "{added} files added ({added_bytes} bytes), {unchanged} there already, {} failed.",
            failed.len()
        );
        Ok(())
    }
}
