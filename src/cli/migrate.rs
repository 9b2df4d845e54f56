//! `safelight migrate`: what the database's schema lacks, and the way back from an upgrade.

use std::process::ExitCode;

use anyhow::Context;

use super::{GlobalArgs, put, put_json, settings};
use crate::clock::{Clock, Timestamp};
use crate::config::Environment;
use crate::db::{self, Db, Role};
use crate::storage::DataDir;

/// `safelight migrate …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum MigrateCommand {
    /// Lists the migrations that are not applied yet
    Status {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Applies them; a start of the server does the same
    Up,
    /// Tells how to go back to the version before an upgrade, and puts the database of that time back
    Back {
        /// Puts it back; without this it is only told what would happen
        #[arg(long)]
        yes: bool,
    },
}

/// Runs `safelight migrate …`.
///
/// # Errors
/// When there is no data directory, or its database can't be read or migrated.
pub fn run(
    command: &MigrateCommand,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let config = settings(&global.flags(), environment)?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let database = data_dir.database();
    match command {
        MigrateCommand::Status { json } => {
            let status = db::status(&database)?;
            let copies = db::snapshots(&database).context("can't look for copies of the database")?;
            if *json {
                let pending: Vec<_> = status
                    .pending
                    .iter()
                    .map(|(version, name)| serde_json::json!({ "version": version, "name": name }))
                    .collect();
                put_json(&serde_json::json!({
                    "applied": status.applied, "known": status.known, "pending": pending,
                    "copies": copies.iter().map(|copy| copy.schema).collect::<Vec<_>>()
                }))?;
            } else if status.applied > status.known {
                put(format!(
                    "schema {}: newer than this program, which knows {}\n",
                    status.applied, status.known
                )
                .as_bytes())?;
            } else if status.pending.is_empty() {
                put(format!("schema {}: up to date\n", status.applied).as_bytes())?;
            } else {
                let mut text = format!("schema {} of {}; to apply:\n", status.applied, status.known);
                for (version, name) in &status.pending {
                    text.push_str(&format!("  {version} {name}\n"));
                }
                put(text.as_bytes())?;
            }
            if let Some(copy) = copies.iter().find(|copy| !*json && copy.schema < status.applied) {
                put(format!("schema {} can be gone back to: safelight migrate back\n", copy.schema)
                    .as_bytes())?;
            }
            Ok(if status.applied > status.known { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        MigrateCommand::Up => {
            let before = db::status(&database)?;
            let _lock = data_dir.lock_for_server()?;
            Db::open(&database, Role::Server, Clock::system())?.close();
            let after = db::status(&database)?;
            eprintln!("schema {} -> {}", before.applied, after.applied);
            Ok(ExitCode::SUCCESS)
        }
        MigrateCommand::Back { yes } => {
            back(&data_dir, *yes)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Puts the database from before the last upgrade back, or says what that would mean.
fn back(data_dir: &DataDir, yes: bool) -> anyhow::Result<()> {
    let database = data_dir.database();
    let applied = db::status(&database)?.applied;
    let copies = db::snapshots(&database).context("can't look for copies of the database")?;
    let Some(copy) = copies.into_iter().find(|copy| copy.schema < applied) else {
        anyhow::bail!("there is no copy of the database from before an upgrade");
    };
    let taken = Timestamp::from(copy.taken_at);
    if !yes {
        put(format!(
            "{path} is the database as it was with schema {schema}, taken {taken} before the upgrade to {applied}.\n\
             \n\
             To go back:\n\
             \x20 1. Stop Safelight.\n\
             \x20 2. sudo -u safelight safelight migrate back --yes\n\
             \x20 3. Start the version that you had before. The package keeps it as\n\
             \x20    /usr/lib/safelight/safelight.previous\n\
             \n\
             What was changed or added since then is not in that database. The one of now is kept beside it, but the\n\
             older version removes the files that it does not know from the disk after a day: copy the folder blobs\n\
             first if you want to come back. Files that were purged since then are gone.\n",
            path = copy.path.display(),
            schema = copy.schema,
        )
        .as_bytes())?;
        return Ok(());
    }
    let _lock = data_dir.lock_for_server()?;
    let aside = db::go_back(&database, &copy)?;
    eprintln!("the database has schema {} again; the one before lies at {}", copy.schema, aside.display());
    Ok(())
}
