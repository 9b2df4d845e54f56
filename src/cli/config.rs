//! `safelight config`: is the configuration right, what is it, what could it be.

use std::process::ExitCode;

use super::{GlobalArgs, ListenArgs, put, put_json};
use crate::clock::Clock;
use crate::config::{self, Environment, Loaded};
use crate::db::{Db, Role};
use crate::keys::Keys;
use crate::settings::Settings;
use crate::storage::DataDir;

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
        Ok(mut loaded) => {
            if let (ConfigCommand::Show(_), Err(error)) = (command, lay_over(&mut loaded)) {
                eprintln!("What was set in the web UI can't be read: {error:#}");
            }
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

/// Adds what was set in the web UI, where there is a database.
fn lay_over(loaded: &mut Loaded) -> anyhow::Result<()> {
    let Ok(data_dir) = DataDir::open(&loaded.config.data_dir) else { return Ok(()) };
    if !data_dir.database().exists() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    loaded.shown = runtime.block_on(async {
        let clock = Clock::system();
        let db = Db::open(&data_dir.database(), Role::Guest, clock.clone())?;
        let settings = Settings::open(loaded.base.clone(), &db, &Keys::new(data_dir.keys(), clock)).await?;
        db.close();
        anyhow::Ok(settings.list().into_iter().map(|state| state.shown).collect())
    })?;
    Ok(())
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
