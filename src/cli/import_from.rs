//! `safelight import --from`: the data directory of another program, with its people and the addresses of its files.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::put_json;
use crate::app::App;
use crate::imports::{self, BucketManager, Complaint, Report, RestorationApp, Step};
use crate::library::{BucketAccess, Slug, Visibility};

/// A program whose data can be brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Program {
    /// A restoration app: DIR holds photo_restoration.db, uploads and processed
    RestorationApp,
    /// A bucket manager: each folder of DIR is a bucket
    BucketManager,
}

/// What `import` takes beside the folder when that is another program's.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Moving from another program")]
pub(super) struct FromArgs {
    /// DIR belongs to another program: its people, files and links come too
    #[arg(long, value_name = "PROGRAM", value_enum, conflicts_with_all = ["folder", "on_conflict", "hidden"])]
    from: Option<Program>,
    /// People of the bucket manager: a file of tab-separated or comma-separated text whose first line names the columns email,
    /// name and role
    #[arg(long, value_name = "FILE", requires = "from", value_hint = clap::ValueHint::FilePath)]
    users: Option<PathBuf>,
    /// Buckets that everybody may see, as they were at the bucket manager; the others are private
    #[arg(long, value_name = "SLUG", value_delimiter = ',', requires = "from")]
    public: Vec<String>,
    /// Who may use the buckets that are made: members, or everyone with an account [default: members for a restoration
    /// app, where nobody saw the pictures of others, and everyone for a bucket manager]
    #[arg(long, value_name = "WHO", value_enum, requires = "from")]
    access: Option<Access>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Access {
    /// Only members of the bucket, owners and admins
    Members,
    /// Everybody with an account
    Everyone,
}

impl FromArgs {
    /// The other program, where there is one.
    pub(super) fn program(&self) -> Option<Program> {
        self.from
    }
}

/// Runs `safelight import --from`. What can't be taken is reported and the rest goes on; the exit code is then 1.
///
/// # Errors
/// When the folder is not what it should be, or can't be read at all.
pub(super) async fn run(
    app: &App,
    program: Program,
    args: &FromArgs,
    dir: PathBuf,
    bucket: Option<&str>,
    (link, as_json): (bool, bool),
) -> anyhow::Result<ExitCode> {
    if !dir.is_dir() {
        bail!("{} is not a folder", dir.display());
    }
    let access = match args.access {
        Some(Access::Members) => BucketAccess::Members,
        Some(Access::Everyone) => BucketAccess::Everyone,
        None if program == Program::RestorationApp => BucketAccess::Members,
        None => BucketAccess::Everyone,
    };
    let bar = progress();
    let watch = |step: Step<'_>| match step {
        Step::Expect(files) => bar.inc_length(files),
        Step::Done => bar.inc(1),
        Step::Failed(Complaint { what, why }) => bar.suspend(|| eprintln!("{what}: {why}")),
    };
    let report = match program {
        Program::RestorationApp => {
            if args.users.is_some() || !args.public.is_empty() {
                bail!("--users and --public belong to --from bucket-manager");
            }
            let bucket = Slug::parse(bucket.unwrap_or("restored-photos"))?;
            let from = RestorationApp { dir, bucket, access, link };
            imports::import_restoration_app(app, &from, &watch).await?
        }
        Program::BucketManager => {
            if bucket.is_some() {
                bail!(
                    "--bucket does not go with --from bucket-manager: each folder becomes a bucket of its own"
                );
            }
            let FromArgs { users, public, .. } = args.clone();
            let from = BucketManager { root: dir, public, access, users, link };
            imports::import_bucket_manager(app, &from, &watch).await?
        }
    };
    bar.finish_and_clear();
    tell(&report, as_json)?;
    Ok(if report.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn progress() -> ProgressBar {
    let is_shown = std::io::stderr().is_terminal();
    let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} files, {eta} to go");
    ProgressBar::with_draw_target(Some(0), target).with_style(style.expect("the template is right"))
}

fn tell(report: &Report, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return put_json(&serde_json::to_value(report)?);
    }
    let Report { people, media, renditions, added_bytes, buckets, notes, failed } = report;
    for Complaint { what, why } in notes {
        eprintln!("{what}: {why}");
    }
    for taker in buckets {
        let seen = match taker.visibility {
            Visibility::Public => "everybody may see it",
            Visibility::Private => "private",
        };
        eprintln!("Bucket {}: {seen}.", taker.slug);
    }
    eprintln!(
        "People: {} added, {} there already. Files: {} added, {} there already. Restored pictures: {} added, {} there \
         already. {added_bytes} bytes came in, {} things could not be taken.",
        people.added,
        people.unchanged,
        media.added,
        media.unchanged,
        renditions.added,
        renditions.unchanged,
        failed.len(),
    );
    if people.added > 0 {
        eprintln!("Nobody of them has a password yet: `safelight user passwd EMAIL` gives one.");
    }
    Ok(())
}
