//! `safelight config`: is the configuration right, what is it, what could it be.

use std::process::ExitCode;

use super::{GlobalArgs, ListenArgs, put, put_json};
use crate::config::{self, Environment, Loaded};

/// `safelight config …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum ConfigCommand {
    /// Lists everything that is wrong with the configuration, with file and line
    Check(CheckArgs),
    /// Prints each value with where it came from; secrets are hidden
    Show(CheckArgs),
    /// Prints the reference page of all settings in Markdown
    Reference,
}

/// What `config check` and `config show` take.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    listen: ListenArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Runs `safelight config …`. The exit code is 1 when the configuration is wrong.
///
/// # Errors
/// When the answer can't be written.
pub fn run(
    command: &ConfigCommand,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let (args, say): (_, fn(&Loaded, bool) -> anyhow::Result<()>) = match command {
        ConfigCommand::Check(args) => (args, say_fine),
        ConfigCommand::Show(args) => (args, show),
        ConfigCommand::Reference => {
            put(config::reference().as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let mut flags = global.flags();
    flags.listen.clone_from(&args.listen.listen);
    match config::load(&flags, environment) {
        Ok(loaded) => {
            say(&loaded, args.json)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            if args.json {
                put_json(&error.to_json())?;
            } else {
                eprintln!("{error}");
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn say_fine(loaded: &Loaded, json: bool) -> anyhow::Result<()> {
    if json {
        return put_json(&serde_json::json!({ "mistakes": [] }));
    }
    match &loaded.file {
        Some(file) => eprintln!("The configuration is fine; the file is {}.", file.display()),
        None => eprintln!("The configuration is fine; there is no file."),
    }
    Ok(())
}

fn show(loaded: &Loaded, json: bool) -> anyhow::Result<()> {
    if json { put_json(&loaded.show_json()) } else { put(loaded.show().as_bytes()) }
}
