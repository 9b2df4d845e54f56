//! `safelight migrate`: what the database's schema lacks.

use std::process::ExitCode;

use anyhow::Context;

use super::{GlobalArgs, put, put_json, settings};
use crate::clock::Clock;
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
            if *json {
                let pending: Vec<_> = status
                    .pending
                    .iter()
                    .map(|(version, name)| serde_json::json!({ "version": version, "name": name }))
                    .collect();
                put_json(&serde_json::json!({
                    "applied": status.applied, "known": status.known, "pending": pending
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
            Ok(if status.applied > status.known { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        MigrateCommand::Up => {
            let before = db::status(&database)?;
            let db =
                Db::open(&database, Role::Guest, Clock::system()).context("can't migrate the database")?;
            db.close();
            let after = db::status(&database)?;
            eprintln!("schema {} -> {}", before.applied, after.applied);
            Ok(ExitCode::SUCCESS)
        }
    }
}
