//! `safelight mail`: whether mail can be sent.

use std::process::ExitCode;

use super::{GlobalArgs, put, settings};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::mail::{Mailer, Template};

/// `safelight mail …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum MailCommand {
    /// Sends one real message and says what the server answered to each step
    Test(TestArgs),
}

/// What `mail test` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct TestArgs {
    /// Who gets the message
    #[arg(long, value_name = "ADDRESS", value_hint = clap::ValueHint::EmailAddress)]
    to: String,
}

/// Runs `safelight mail …`.
///
/// # Errors
/// When the configuration can't be read. That the message was not taken is said, with exit code 1.
pub fn run(
    command: &MailCommand,
    global: &GlobalArgs,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let MailCommand::Test(args) = command;
    let config = settings(&global.flags(), environment)?;
    let mailer = Mailer::new(&config.mail, &config.outbound, Clock::system());
    let server = mailer.server().unwrap_or_default();
    let letter =
        Template::Test.write("A test message from Safelight", &instance(&config), &[("server", &server)]);
    let tell = |line: String| {
        // Whoever has closed the terminal still gets the message.
        let _ = put(format!("{line}\n").as_bytes());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sent = runtime.block_on(mailer.send(&args.to, &letter, tell));
    runtime.shutdown_background();
    match sent {
        Ok(said) => {
            put(format!("the message is accepted: {said}\n").as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(e) => {
            let advice = e.advice();
            eprintln!("safelight: {:#}\n{advice}", anyhow::Error::new(e));
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The instance as people know it.
fn instance(config: &Config) -> String {
    config.server.public_url.as_ref().map_or_else(|| "this machine".to_owned(), ToString::to_string)
}
