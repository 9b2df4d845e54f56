//! `safelight tls`: certificates as they are stored, and whether they could be had, beside a running server or without
//! one.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{GlobalArgs, put, put_json, settings};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Environment};
use crate::outbound::Outbound;
use crate::server::{self, Door, Listening};
use crate::storage::DataDir;
use crate::tls::{CertificateState, CertificateStatus, Pace, Rehearsal, Tls};

/// `safelight tls …`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum TlsCommand {
    /// Shows each certificate: its names, its end, the next attempt, and what went wrong
    Status(StatusArgs),
    /// Tries to get each certificate, and stores none: from Let's Encrypt's staging directory, from any other authority up
    /// to the last step
    Test(TestArgs),
}

/// What `tls test` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct TestArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `tls status` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs `safelight tls …`. Fails when a certificate is missing, has ended or can't be had, so that scripts can ask.
///
/// # Errors
/// When the data directory or a certificate of the admin's own can't be read.
pub fn run(command: &TlsCommand, global: &GlobalArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let config = settings(&global.flags(), environment)?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let outbound = Outbound::new(&config.outbound);
    let tls = Tls::open(&config.tls, data_dir.acme(), &outbound, Clock::system(), Pace::default())?;
    match command {
        TlsCommand::Status(args) => status(args, &tls),
        TlsCommand::Test(args) => test(args, &config, tls),
    }
}

fn status(args: &StatusArgs, tls: &Tls) -> anyhow::Result<ExitCode> {
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

fn test(args: &TestArgs, config: &Config, tls: Tls) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start")?;
    let rehearsals = runtime.block_on(rehearse(config, tls))?;
    runtime.shutdown_background();
    if args.json {
        put_json(&serde_json::json!({ "items": rehearsals }))?;
    } else if rehearsals.is_empty() {
        put(b"HTTPS is off: neither tls.domains nor tls.certificate is set.\n")?;
    } else {
        put(rehearsals.iter().map(tell).collect::<String>().as_bytes())?;
    }
    let fine = rehearsals.iter().all(|rehearsal| rehearsal.passed);
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Answers the authority at the doors that are free; at the others a running server does.
async fn rehearse(config: &Config, tls: Tls) -> anyhow::Result<Vec<Rehearsal>> {
    let stopping = CancellationToken::new();
    if tls.is_on() && config.tls.files.is_none() {
        let front = server::front(tls.clone(), server::outer_https_port(&config.server));
        let doors = [
            (config.server.https_listen, Door::Tls(tls.server_config()?, Duration::ZERO)),
            (config.server.http_listen, Door::Other(front.clone())),
        ];
        for (address, door) in doors {
            match Listening::new(config).open(address, door).await {
                Ok(listening) => {
                    drop(tokio::spawn(server::serve(listening, front.clone(), stopping.clone())))
                }
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(e) => eprintln!("Nobody can be answered at {address}: {e}"),
            }
        }
    }
    let rehearsals = tls.dry_run(true).await;
    stopping.cancel();
    Ok(rehearsals)
}

fn tell(rehearsal: &Rehearsal) -> String {
    let names = rehearsal.names.join(" ");
    let mut text = match (rehearsal.passed, &rehearsal.authority) {
        (true, Some(authority)) => format!("{names}: a certificate can be had ({authority})\n"),
        (true, None) => format!("{names}: the certificate and its key can be used\n"),
        (false, _) => format!("{names}: FAILED\n"),
    };
    for cause in &rehearsal.causes {
        writeln!(text, "  {cause}").expect("a String takes everything");
    }
    text
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
