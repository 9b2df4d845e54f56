//! `safelight tls`: certificates as they are stored, beside a running server or without one.

use std::fmt::Write;
use std::process::ExitCode;

use super::{GlobalArgs, put, put_json, settings};
use crate::clock::{Clock, Timestamp};
use crate::config::Environment;
use crate::outbound::Outbound;
use crate::storage::DataDir;
use crate::tls::{CertificateState, CertificateStatus, Pace, Tls};

/// `safelight tls …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TlsCommand {
    /// Shows each certificate: its names, its end, the next attempt, and what went wrong
    Status(StatusArgs),
}

/// What `tls status` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `safelight tls …`. Fails when a certificate is missing or has ended, so that scripts can ask.
///
/// # Errors
/// When the data directory or a certificate of the admin's own can't be read.
pub fn run(command: &TlsCommand, global: &GlobalArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let TlsCommand::Status(args) = command;
    let config = settings(&global.flags(), environment)?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let outbound = Outbound::new(&config.outbound);
    let tls = Tls::open(&config.tls, data_dir.acme(), &outbound, Clock::system(), Pace::default())?;
    let certificates = tls.status();
    if args.json {
        put_json(&serde_json::json!({ "items": certificates }))?;
    } else if certificates.is_empty() {
        put(b"HTTPS is off: neither tls.domains nor tls.certificate is set.\n")?;
    } else {
        put(certificates.iter().map(describe).collect::<Vec<_>>().join("\n").as_bytes())?;
    }
    let fine = certificates.iter().all(|certificate| certificate.state == CertificateState::Valid);
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn describe(certificate: &CertificateStatus) -> String {
    let state = match certificate.state {
        CertificateState::Valid => "valid",
        CertificateState::Makeshift => "none yet (visitors get a makeshift one)",
        CertificateState::Expired => "EXPIRED",
    };
    let mut text = format!("{}\n", certificate.names.join(" "));
    let mut line = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            writeln!(text, "  {what:14}{value}").expect("a String takes everything");
        }
    };
    let shown = |at: Option<Timestamp>| at.map(|at| at.to_string());
    line("certificate", Some(state.to_owned()));
    line("issued by", certificate.issuer.clone());
    line("holds until", shown(certificate.not_after));
    line("last attempt", shown(certificate.last_attempt_at));
    line("next attempt", shown(certificate.next_attempt_at));
    if certificate.failed_attempts > 0 {
        line("failed", Some(format!("{} times", certificate.failed_attempts)));
        line("cause", certificate.cause.clone());
    }
    text
}
