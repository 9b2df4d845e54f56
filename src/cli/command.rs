//! The commands as clap sees them, and the way from each to what runs it.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    GlobalArgs, allocator, config, doctor, generated, health, import, loaded, mail, migrate, model, openapi,
    restore, secrets, serve, settings, supervisor, tls, user,
};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Environment;
use crate::db::{Db, Role};
use crate::keys::Keys;
use crate::logs::Logs;
use crate::storage::DataDir;

/// A home for photographs and files on one small server: store, restore, share.
#[derive(Debug, Parser)]
#[command(
    name = "safelight",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the appliance: web, API and jobs
    Serve(serve::ServeArgs),
    /// Asks the server on this machine whether it can work
    Health(health::HealthArgs),
    /// Restores photographs without a server
    Restore(restore::RestoreArgs),
    /// Manages people, also when nobody can log in
    #[command(subcommand)]
    User(user::UserCommand),
    /// Makes and rotates the instance's own keys
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Shows certificates and how their renewal is doing
    #[command(subcommand)]
    Tls(tls::TlsCommand),
    /// Looks at everything that the server needs, and says what to do
    Doctor(doctor::DoctorArgs),
    /// Tries whether mail can be sent
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Lists, takes in and writes out the models that restorations can name
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Takes a folder of files into the library
    Import(import::ImportArgs),
    /// Checks, shows and documents the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Shows and applies what the database's schema lacks
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Prints the OpenAPI document
    Openapi,
    /// Prints completions for a shell
    Completions(generated::CompletionsArgs),
    /// Prints the manual pages
    Man(generated::ManArgs),
    /// Prints the version
    Version(generated::VersionArgs),
}

/// Reads the arguments, runs the command and says what went wrong.
///
/// Exit codes: 0 fine, 1 it failed, 2 wrong usage; 78 tells a supervisor that another start would fail alike.
pub fn main() -> ExitCode {
    allocator::return_large_buffers();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            // Help and the version are no failure; a broken pipe on the way is none either.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let environment = Environment::of_process();
    match run(arguments, &environment) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("safelight: {e:#}");
            supervisor::status_of(&e, &environment)
        }
    }
}

fn run(arguments: Arguments, environment: &Environment) -> anyhow::Result<ExitCode> {
    let Arguments { global, command } = arguments;
    match command {
        Command::Serve(args) => serve::run(&args, &global, environment),
        Command::Health(args) => health::run(&args, &global, environment),
        Command::Restore(args) => restore::run(&args),
        Command::User(command) => manage_people(&command, &global, environment),
        Command::Secrets(command) => manage_secrets(&command, &global, environment),
        Command::Tls(command) => tls::run(&command, &global, environment),
        Command::Doctor(args) => doctor::run(&args, &global, environment),
        Command::Mail(command) => mail::run(&command, &global, environment),
        Command::Model(command) => manage_models(&command, &global, environment),
        Command::Import(args) => import_folder(&args, &global, environment),
        Command::Config(command) => config::run(&command, &global, environment),
        Command::Migrate(command) => migrate::run(&command, &global, environment),
        Command::Openapi => openapi::run(),
        Command::Completions(args) => {
            generated::completions(&args, Arguments::command()).map(|()| ExitCode::SUCCESS)
        }
        Command::Man(args) => generated::man(&args, Arguments::command()).map(|()| ExitCode::SUCCESS),
        Command::Version(args) => generated::version(&args).map(|()| ExitCode::SUCCESS),
    }
}

fn manage_people(
    command: &user::UserCommand,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let config = settings(&global.flags(), environment)?;
    super::keep_files_private();
    let data_dir = DataDir::create(&config.data_dir)?;
    let db = Db::open(&data_dir.database(), Role::Guest, Clock::system())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(user::run(command, &db))?;
    db.close();
    Ok(ExitCode::SUCCESS)
}

fn manage_secrets(
    command: &secrets::SecretsCommand,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let config = settings(&global.flags(), environment)?;
    super::keep_files_private();
    let data_dir = DataDir::create(&config.data_dir)?;
    let clock = Clock::system();
    let db = Db::open(&data_dir.database(), Role::Guest, clock.clone())?;
    let keys = Keys::new(data_dir.keys(), clock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(secrets::run(command, &keys, &db))?;
    db.close();
    Ok(ExitCode::SUCCESS)
}

fn manage_models(
    command: &model::ModelCommand,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    beside_the_server(global, environment, async |app| model::run(command, &app).await)?;
    Ok(ExitCode::SUCCESS)
}

fn import_folder(
    args: &import::ImportArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    beside_the_server(global, environment, async |app| import::run(args, &app).await)
}

/// Does something with all that a process works with, on a data directory that a server may be using.
fn beside_the_server<T>(
    global: &GlobalArgs,
    environment: &Environment,
    work: impl AsyncFnOnce(App) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let loaded = loaded(&global.flags(), environment)?;
    super::keep_files_private();
    let data_dir = DataDir::open(&loaded.config.data_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        work(serve::open(loaded, &data_dir, Role::Guest, Logs::silent(), None).await?).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_of_the_commands_is_consistent() {
        Arguments::command().debug_assert();
    }
}
