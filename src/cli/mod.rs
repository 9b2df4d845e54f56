//! The command line: arguments in, exit code out. The only room besides `main.rs` that uses `anyhow`.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 fine, 1 it failed, 2 wrong usage.

mod allocator;
mod command;
pub mod config;
mod demo;
pub mod doctor;
pub mod generated;
pub mod health;
pub mod import;
mod import_from;
pub mod mail;
pub mod migrate;
pub mod model;
mod openapi;
pub mod restore;
pub mod secrets;
pub mod serve;
mod supervisor;
pub mod tls;
pub mod user;

pub use command::main;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::config::{self as settings_room, Config, Environment, Flags, Loaded};

/// The flags that every command understands.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Configuration file [default: /etc/safelight/safelight.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Folder under which everything lives [default: ./safelight-data]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How the log looks: auto, pretty or json [default: auto]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl GlobalArgs {
    /// What was typed, for [`crate::config::load`], which checks it together with everything else.
    pub fn flags(&self) -> Flags {
        let Self { config, data_dir, log_level, log_format } = self.clone();
        Flags { config, data_dir, log_level, log_format, listen: None }
    }
}

/// The flag of the commands that listen, or show what would listen.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ListenArgs {
    /// Address and port for plain HTTP [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

/// Writes a command's data to standard output. A reader that has seen enough, as in `| head`, is no failure.
pub(crate) fn put(data: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(data).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("can't write to standard output")
        }
        _ => Ok(()),
    }
}

/// Writes JSON to standard output, indented for people, with a line end.
pub(crate) fn put_json(value: &serde_json::Value) -> anyhow::Result<()> {
    put(format!("{value:#}\n").as_bytes())
}

/// Makes every file that this process creates its owner's alone: the database holds what nobody else should read.
pub(crate) fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// The checked configuration of a command. What it says when something is wrong names every mistake.
pub(crate) fn settings(flags: &Flags, environment: &Environment) -> anyhow::Result<Config> {
    Ok(loaded(flags, environment)?.config)
}

/// The same with where each value came from.
pub(crate) fn loaded(flags: &Flags, environment: &Environment) -> anyhow::Result<Loaded> {
    Ok(settings_room::load(flags, environment)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        global: GlobalArgs,
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        #[command(subcommand)]
        Config(config::ConfigCommand),
        Completions(generated::CompletionsArgs),
        Man(generated::ManArgs),
        Version(generated::VersionArgs),
    }

    #[test]
    fn the_arguments_fit_together() {
        Line::command().debug_assert();
    }

    #[test]
    fn global_flags_may_stand_before_and_after_the_command() {
        let words = [
            "safelight",
            "--data-dir",
            "d",
            "config",
            "show",
            "--config",
            "f",
            "--log-level",
            "loud",
            "--json",
        ];
        let line = Line::try_parse_from(words).unwrap();
        let flags = line.global.flags();
        assert_eq!(flags.data_dir, Some("d".into()));
        assert_eq!(flags.config, Some("f".into()));
        assert_eq!(flags.log_level.as_deref(), Some("loud"), "checked later, with everything else");
    }
}
