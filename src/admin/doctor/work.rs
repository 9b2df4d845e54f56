//! The server as a process, and its queue.

use std::time::Duration;

use super::{Outcome, Patient, blocking, in_words};
use crate::clock::Timestamp;
use crate::jobs;

/// How long a job may wait although it is due.
const WAITS: Duration = Duration::from_secs(60 * 60);

/// Failed jobs of this long ago still count.
const RECENT: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn server(patient: &Patient) -> Outcome {
    let (data_dir, is_server) = (patient.data_dir.clone(), patient.is_server);
    let uptime = patient.app.as_ref().ok().map(|app| patient.clock.now().since(app.started_at));
    blocking(move || match (is_server, data_dir.server()) {
        (true, _) => Outcome::ok(format!("this one, up for {}", in_words(uptime.unwrap_or_default()))),
        (false, Some(0)) => Outcome::ok("it runs"),
        (false, Some(process)) => Outcome::ok(format!("it runs as process {process}")),
        (false, None) => Outcome::skipped("no server runs on this data directory"),
    })
    .await
}

pub(super) async fn jobs(patient: &Patient) -> Outcome {
    let Ok(app) = &patient.app else {
        return Outcome::skipped("the database can't be used");
    };
    let (now, runs) = (patient.clock.now(), patient.server().is_some());
    match app.db.read(move |conn| jobs::health(conn, now, now - RECENT)).await {
        Ok(health) => queue(&health, now, runs),
        Err(e) => Outcome::failed(super::chain(&e), "See the check of the database."),
    }
}

/// How the queue is doing. What waits while nobody works is no fault of the queue.
pub(in crate::admin) fn queue(health: &jobs::Health, now: Timestamp, server_runs: bool) -> Outcome {
    let mut findings = Vec::new();
    if let Some((kind, due)) =
        health.oldest_due.as_ref().filter(|(_, due)| server_runs && now.since(*due) > WAITS)
    {
        findings.push(Outcome::failed(
            format!("a job «{kind}» has been waiting for {}", in_words(now.since(*due))),
            "Look at what runs on the page «Jobs»; restart the server if nothing moves, raise jobs.workers if all of them are busy.",
        ));
    }
    if health.abandoned > 0 && server_runs {
        findings.push(Outcome::warning(
            format!("{} running jobs show no sign of life", health.abandoned),
            "A process has died or hangs: they are taken over within a minute; restart the server if they stay.",
        ));
    }
    for failure in &health.failing {
        let why = failure.error.as_deref().unwrap_or("no reason is known");
        findings.push(Outcome::warning(
            format!(
                "{} jobs «{}» were given up in the last 24 hours; the last one: {why}",
                failure.count, failure.kind
            ),
            "Mend the cause, then try them again on the page «Jobs».",
        ));
    }
    let jobs::Counts { queued, running, .. } = health.counts;
    Outcome::worst(findings, format!("{queued} wait, {running} run, none was given up in the last 24 hours"))
}
