//! `safelight model`: the list of models from the shell, beside a running server or without one.

use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{put, put_json};
use crate::app::App;
use crate::audit::Actor;
use crate::restore::Error;
use crate::restore::registry::{self, Entry, listing};

/// `safelight model …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ModelCommand {
    /// Lists the models that restorations can name
    List(ListArgs),
    /// Takes models from a TOML file: all of them or none
    Import(ImportModelsArgs),
    /// Writes the models that were added as TOML, as `import` takes it
    Export,
}

/// What `model list` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ListArgs {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What `model import` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportModelsArgs {
    /// The file; - is standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
}

/// Runs `safelight model …`.
///
/// # Errors
/// With every mistake of a list and its line, or when the file or the database can't be used.
pub async fn run(command: &ModelCommand, app: &App) -> anyhow::Result<()> {
    match command {
        ModelCommand::List(args) => {
            let entries = registry::list(app).await?;
            if args.json {
                put_json(&serde_json::to_value(&entries)?)
            } else {
                put(table(app, &entries).as_bytes())
            }
        }
        ModelCommand::Export => put(registry::export(app).await?.as_bytes()),
        ModelCommand::Import(args) => {
            let taken = import(app, args).await?;
            eprintln!("Took {taken} models.");
            Ok(())
        }
    }
}

async fn import(app: &App, args: &ImportModelsArgs) -> anyhow::Result<usize> {
    let name = args.file.display();
    let mut bytes = Vec::new();
    let most = listing::FILE_BYTES_MAX as u64 + 1;
    let read = if args.file.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(&args.file).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("can't read {name}"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("{name} is not text in UTF-8"))?;
    match registry::import(app, &Actor::cli(), &text).await {
        Ok(taken) => Ok(taken.len()),
        Err(Error::BadListing { mistakes }) => {
            let mut said = String::from("nothing was taken:");
            for mistake in mistakes {
                let _ = write!(said, "\n{name}:{}: {}: {}", mistake.line, mistake.field, mistake.detail);
            }
            bail!(said)
        }
        Err(error) => Err(error.into()),
    }
}

fn table(app: &App, entries: &[Entry]) -> String {
    let width =
        |of: fn(&Entry) -> &str| entries.iter().map(|entry| of(entry).chars().count()).max().unwrap_or(0);
    let (ids, engines) = (width(|entry| &entry.model.id), width(|entry| &entry.model.engine));
    let mut text = String::new();
    for entry in entries {
        let steps: Vec<&str> = entry.model.steps.iter().map(|step| step.as_str()).collect();
        let engine = app.engines.find(&entry.model.engine).and_then(|engine| engine.remote());
        let state = match engine {
            _ if !entry.enabled => "switched off",
            _ if entry.retired_at.is_some() => "no longer offered",
            Some(engine) if engine.unavailable(&entry.model).is_none() => "ready",
            _ => "not available",
        };
        let _ = writeln!(
            text,
            "{:ids$}  {:engines$}  {:17}  {}  {}",
            entry.model.id,
            entry.model.engine,
            state,
            steps.join(","),
            entry.model.name
        );
    }
    text
}
