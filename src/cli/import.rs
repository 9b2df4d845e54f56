//! `safelight import`: a folder of files into the library, through the same intake as every other door.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::import_from::{self, FromArgs};
use super::put_json;
use crate::app::App;
use crate::audit::Actor;
use crate::library::{self, Destination, Media, OnConflict, Slug};
use crate::uploads;

/// Files that are on their way at once: while one waits for the disk, others are read.
const AT_ONCE: usize = 4;

/// `safelight import`
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// Folder whose files come into the library, with the folders in it and the dates of the files; run again, it goes on
    /// where it stopped
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// Bucket that they go into [default: the oldest one, or restored-photos with --from restoration-app]
    #[arg(long, value_name = "SLUG")]
    bucket: Option<String>,
    /// Folder of the bucket that they go into [default: the top]
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    folder: String,
    /// What becomes of a file whose name is taken by another content
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Conflict::Replace)]
    on_conflict: Conflict,
    /// Share the bytes with the files instead of copying them, where the file system can: as clones, or else by a second
    /// name, which makes the files read-only
    #[arg(long)]
    link: bool,
    /// Also take files and folders whose name begins with a dot
    #[arg(long)]
    hidden: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: FromArgs,
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
    if let Some(program) = args.from.program() {
        let (dir, bucket) = (args.dir.clone(), args.bucket.as_deref());
        return import_from::run(app, program, &args.from, dir, bucket, (args.link, args.json)).await;
    }
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
    let walked = tokio::task::spawn_blocking(move || uploads::files_below(&dir, hidden));
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

/// Takes one file in; none when it is there already.
async fn import(app: &App, args: &ImportArgs, bucket: &Slug, file: &Path) -> anyhow::Result<Option<Media>> {
    let relative = file.strip_prefix(&args.dir).context("a file lies outside of the folder")?;
    let name = relative.file_name().and_then(|name| name.to_str()).context("its name is not UTF-8")?;
    let inner =
        relative.parent().unwrap_or(Path::new("")).to_str().context("its folder's name is not UTF-8")?;
    let folder = library::folder(&format!("{}/{inner}", args.folder))?;
    let key = library::key(&folder, &library::file_name(name)?)?;
    if let Some(existing) = library::find_by_key(app, bucket, &key).await?
        && library::is_same(&existing, file).await?
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
    Ok(Some(library::add_file(app, &Actor::cli(), to, file, args.link).await?))
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
