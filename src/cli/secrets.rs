//! `safelight secrets`: the instance's own keys, beside a running server or without one.

use anyhow::Context;

use super::put;
use crate::accounts;
use crate::audit::{self, Actor, Target};
use crate::db::{self, Db};
use crate::keys::{Keys, Purpose};

/// `safelight secrets …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum SecretsCommand {
    /// Makes the keys that are missing; the server does the same when it needs one
    Generate,
    /// Makes new keys, which count from now on; what older ones have signed stays good until it ends
    Rotate(RotateArgs),
}

/// What `secrets rotate` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RotateArgs {
    /// Which keys [default: all]
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Purpose::ALL.map(Purpose::name)))]
    purpose: Option<String>,
    /// End what older keys have signed at once: every session, every signed address
    #[arg(long)]
    now: bool,
}

/// Runs `safelight secrets …` on the keys and the database of a data directory.
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
                say(purpose, what)?;
            }
        }
        SecretsCommand::Rotate(RotateArgs { purpose, now }) => {
            let one =
                purpose.as_deref().map(str::parse::<Purpose>).transpose().map_err(anyhow::Error::msg)?;
            anyhow::ensure!(
                !(one == Some(Purpose::Instance) && *now),
                "what is stored encrypted could not be read any more: rotate this one without --now"
            );
            for purpose in Purpose::ALL.into_iter().filter(|purpose| one.is_none_or(|one| one == *purpose)) {
                let now = *now && purpose != Purpose::Instance;
                let id = keys.rotate(purpose, now)?;
                let details = serde_json::json!({ "key": id, "now": now });
                write_down(db, purpose, "secrets.rotate", details).await?;
                let old = after(purpose, now);
                say(purpose, &format!("key {id} counts from now on; {old}"))?;
            }
        }
    }
    Ok(())
}

/// What becomes of what older keys have signed.
fn after(purpose: Purpose, now: bool) -> String {
    match (purpose, now) {
        (Purpose::Sessions, true) => "every session is over, everybody has to log in again".to_owned(),
        (Purpose::Sessions, false) => {
            let days = purpose.longest_life().as_secs() / 86_400;
            format!("sessions that have begun stay good for {days} days at most")
        }
        (Purpose::Instance, _) => "what older keys encrypted can still be read".to_owned(),
        (_, true) => "what older keys signed is over".to_owned(),
        (_, false) => "what older keys signed stays good until it ends".to_owned(),
    }
}

fn say(purpose: Purpose, what: &str) -> anyhow::Result<()> {
    let unused = if purpose.is_used() { "" } else { " (nothing in this version uses it)" };
    put(format!("{}: {what}{unused}\n", purpose.name()).as_bytes())
}

/// Writes the deed down, and ends the rows that hang on keys that are over.
async fn write_down(
    db: &Db,
    purpose: Purpose,
    action: &'static str,
    details: serde_json::Value,
) -> anyhow::Result<()> {
    db.write(move |tx| {
        if purpose == Purpose::Sessions && details["now"] == true {
            accounts::end_all_sessions(tx)?;
        }
        let target = Target::new("secret", purpose.name());
        audit::record(tx, &Actor::cli(), action, target, &details)?;
        Ok::<_, db::Error>(())
    })
    .await
    .context("it is done, but could not be written down in the audit")
}
