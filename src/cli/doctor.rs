//! `safelight doctor`: looks at everything, beside a running server or without one.

use std::process::ExitCode;
use std::sync::Arc;

use super::{GlobalArgs, put, put_json, serve};
use crate::admin::doctor::{self, CheckState, Fixed, Patient, Report};
use crate::app::App;
use crate::clock::Clock;
use crate::config::{self, Environment, Loaded};
use crate::db::{self, Role};
use crate::logs::Logs;
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::storage::{self, DataDir};
use crate::tls::{Pace, Tls};

/// `safelight doctor`
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Put right what needs no decision: file rights, a marker that was lost, old leftovers, missing keys
    #[arg(long)]
    fix: bool,
    /// Read the whole database, which may take minutes
    #[arg(long)]
    full: bool,
}

/// Runs `safelight doctor`. Exit code 1 when something failed; warnings are none.
///
/// # Errors
/// When the answer can't be written.
pub fn run(args: &DoctorArgs, global: &GlobalArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    super::keep_files_private();
    let loaded = match config::load(&global.flags(), environment) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let report = Report::of_bad_configuration(&mistakes.to_string(), &Clock::system());
            say(args, &report, &[])?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (report, fixed) = runtime.block_on(examine(loaded, args));
    // A disk that hangs must not keep the command.
    runtime.shutdown_background();
    say(args, &report, &fixed)?;
    let well = report.state != CheckState::Failed && fixed.iter().all(|fixed| fixed.error.is_none());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(loaded: Loaded, args: &DoctorArgs) -> (Report, Vec<Fixed>) {
    let patient = admit(loaded.clone(), args.full).await;
    let report = doctor::examine(&patient).await;
    if !args.fix {
        return (report, Vec::new());
    }
    let fixed = doctor::fix(&patient, &report);
    if fixed.is_empty() {
        return (report, fixed);
    }
    // What was wrong may have kept others from being looked at.
    let patient = admit(loaded, args.full).await;
    (doctor::examine(&patient).await, fixed)
}

async fn admit(loaded: Loaded, full: bool) -> Patient {
    let config = loaded.config.clone();
    let (clock, outbound) = (Clock::system(), Outbound::new(&config.outbound));
    let data_dir = DataDir::at(&config.data_dir);
    let app = open(loaded, &data_dir).await;
    // What was changed in the web UI counts here too.
    let config = app.as_ref().map_or(config, |app| app.settings.current().as_ref().clone());
    outbound.configure(&config.outbound);
    let tls = Tls::open(&config.tls, data_dir.acme(), &outbound, clock.clone(), Pace::default());
    Patient {
        app,
        mailer: Mailer::new(&config.mail, &config.outbound, clock.clone()),
        tls: tls.map_err(|e| format!("{:#}", anyhow::Error::new(e))),
        config: Arc::new(config),
        clock,
        data_dir,
        outbound,
        is_server: false,
        request: None,
        full,
    }
}

/// Opens what a process works with, if that changes nothing: everything must be there.
async fn open(loaded: Loaded, data_dir: &DataDir) -> Result<App, String> {
    for folder in [data_dir.root().to_owned(), data_dir.blobs()] {
        match storage::has_marker(&folder) {
            Ok(true) => {}
            Ok(false) => return Err(format!("{} lacks its marker", folder.display())),
            Err(e) => return Err(format!("{:#}", anyhow::Error::new(e))),
        }
    }
    let status = db::status(&data_dir.database()).map_err(|e| format!("{:#}", anyhow::Error::new(e)))?;
    if status.applied != status.known {
        return Err(format!("the database has schema {}, not {}", status.applied, status.known));
    }
    serve::open(loaded, data_dir, Role::Guest, Logs::silent(), None).await.map_err(|e| format!("{e:#}"))
}

fn say(args: &DoctorArgs, report: &Report, fixed: &[Fixed]) -> anyhow::Result<()> {
    if args.json {
        let mut json = serde_json::to_value(report)?;
        if args.fix {
            json["fixed"] = serde_json::to_value(fixed)?;
        }
        return put_json(&json);
    }
    for Fixed { what, error } in fixed {
        let line = match error {
            None => format!("fixed: {what}\n"),
            Some(error) => format!("NOT FIXED: {what}: {error}\n"),
        };
        put(line.as_bytes())?;
    }
    put(report.text().as_bytes())
}
