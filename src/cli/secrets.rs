//! `safelight secrets`: the instance's own keys, beside a running server or without one.

use anyhow::Context;

use super::put;
use crate::audit::{self, Actor, Target};
use crate::db::Db;
use crate::keys::{Keys, Purpose};

/// `safelight secrets …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum SecretsCommand {
    /// Makes the keys that are missing; the server does the same when it needs one
    Generate,
    /// Makes new keys, which sign from now on; what older ones have signed stays good until it ends
    Rotate(RotateArgs),
}

/// What `secrets rotate` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RotateArgs {
    /// Which keys [default: all]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Purpose::ALL.map(Purpose::name)))]
    purpose: Option<String>,
    /// End what older keys have signed at once
    #[arg(long)]
    now: bool,
}

/// Runs `safelight secrets …` on the keys and the audit of a data directory.
///
/// # Errors
/// When keys can't be read or written, or the deed can't be written down.
pub async fn run(command: &SecretsCommand, keys: &Keys, db: &Db) -> anyhow::Result<()> {
    match command {
        SecretsCommand::Generate => {
            for purpose in Purpose::ALL {
                let made = keys.generate(purpose)?;
                if made {
                    write_down(db, purpose, "secrets.generate", serde_json::Value::Null).await?;
                }
                let what = if made { "a key was made" } else { "there is a key already" };
                put(format!("{}: {what}\n", purpose.name()).as_bytes())?;
            }
        }
        SecretsCommand::Rotate(RotateArgs { purpose, now }) => {
            let one =
                purpose.as_deref().map(str::parse::<Purpose>).transpose().map_err(anyhow::Error::msg)?;
            for purpose in Purpose::ALL.into_iter().filter(|purpose| one.is_none_or(|one| one == *purpose)) {
                let id = keys.rotate(purpose, *now)?;
                let details = serde_json::json!({ "key": id, "now": now });
                write_down(db, purpose, "secrets.rotate", details).await?;
                let old =
                    if *now { "what older keys signed is over" } else { "what older keys signed stays good" };
                put(format!("{}: key {id} signs from now on; {old}\n", purpose.name()).as_bytes())?;
            }
        }
    }
    Ok(())
}

async fn write_down(
    db: &Db,
    purpose: Purpose,
    action: &'static str,
    details: serde_json::Value,
) -> anyhow::Result<()> {
    db.write(move |tx| {
        let target = Target::new("secret", purpose.name());
        audit::record(tx, &Actor::cli(), action, target, &details)
    })
    .await
    .context("it is done, but could not be written down in the audit")
}
