//! What is looked at: only what costs next to nothing. The doctor looks at the rest when it is asked.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::Condition;
use crate::admin::doctor::{self, CheckState, Outcome};
use crate::app::App;
use crate::audit;
use crate::clock::Timestamp;
use crate::db;
use crate::jobs;
use crate::storage::DataDir;
use crate::tls::{CertificateSource, CertificateState, CertificateStatus};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before a certificate of one's own ends is told, and told again.
const DAYS_LEFT: [u32; 4] = [30, 14, 7, 1];

/// Attempts to get a certificate that must have failed: the first pauses are minutes, and the network may have had a cold.
const ATTEMPTS: u32 = 3;

/// Wrong passwords in an hour that no household mistypes.
const WRONG_PASSWORDS: usize = 100;

/// Everything that is wrong now, as far as can be seen cheaply.
pub(super) async fn look(app: &App) -> Vec<Condition> {
    let now = app.clock.now();
    let mut found = disks(app).await;
    found.extend(app.tls.status().iter().filter_map(|status| certificate(status, now)));
    match app.db.read(move |conn| rows(conn, now)).await {
        Ok(rows) => found.extend(rows),
        Err(e) => tracing::error!(error = &e as &dyn std::error::Error, "the queue can't be looked at"),
    }
    if let Some(outcome) = doctor::retired_models(app).await {
        found.push(of("models", 1, "A model is gone", outcome));
    }
    found
}

fn of(name: impl Into<String>, level: i64, title: &str, outcome: Outcome) -> Condition {
    Condition {
        name: name.into(),
        level,
        title: title.to_owned(),
        what: outcome.seen,
        advice: outcome.advice.unwrap_or_default(),
    }
}

async fn disks(app: &App) -> Vec<Condition> {
    let data_dir = DataDir::at(&app.config.data_dir);
    let floor = app.settings.current().limits.min_free_bytes;
    let look = move || {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let mut folders = vec![("disk", data_dir.root().to_owned())];
        if device(&data_dir.blobs()) != device(data_dir.root()) {
            folders.push(("disk:blobs", data_dir.blobs()));
        }
        let judge = |(name, folder): (&str, std::path::PathBuf)| {
            let outcome = doctor::disk_space(&folder, floor);
            match outcome.state {
                CheckState::Failed => Some(of(name, 2, "The disk is full", outcome)),
                CheckState::Warning => Some(of(name, 1, "The disk is filling up", outcome)),
                CheckState::Ok | CheckState::Skipped => None,
            }
        };
        folders.into_iter().filter_map(judge).collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

fn certificate(status: &CertificateStatus, now: Timestamp) -> Option<Condition> {
    let names = status.names.join(" ");
    let left = status.not_after.map(|end| end.since(now)).unwrap_or_default();
    let passed = DAYS_LEFT.iter().filter(|days| left <= DAY * **days).count();
    let cause =
        status.cause.as_ref().map(|cause| format!(" The last attempt failed: {cause}.")).unwrap_or_default();
    let days = left.as_secs() / DAY.as_secs();
    let ends = match status.state {
        CertificateState::Makeshift => "there is none yet".to_owned(),
        CertificateState::Expired => "it has ended".to_owned(),
        CertificateState::Valid => format!("it ends in {days} days"),
    };
    let life =
        status.not_after.zip(status.not_before).map(|(end, begin)| end.since(begin)).unwrap_or_default();
    let is_wrong = match (status.source, status.state) {
        (_, CertificateState::Expired) => true,
        (CertificateSource::Files, CertificateState::Makeshift) => true,
        (CertificateSource::Files, CertificateState::Valid) => passed > 0,
        (CertificateSource::Acme, CertificateState::Makeshift) => status.failed_attempts > 0,
        // One that lives six days is always near its end, and renewed in time.
        (CertificateSource::Acme, CertificateState::Valid) => {
            status.failed_attempts >= ATTEMPTS || (passed > 0 && left < life / 5)
        }
    };
    is_wrong.then(|| {
        let advice = match status.source {
            CertificateSource::Acme => {
                "Mend the cause: usually a name that leads elsewhere, or port 80 or 443 closed. `safelight doctor` and `safelight tls status` say more."
            }
            CertificateSource::Files => "Put a new certificate into the file of tls.certificate.",
        };
        let level = match status.state {
            CertificateState::Expired => DAYS_LEFT.len() + 1,
            CertificateState::Makeshift => 1,
            CertificateState::Valid => passed,
        };
        let what = format!("The certificate for {names}: {ends}.{cause}");
        let level = i64::try_from(level).unwrap_or(i64::MAX);
        of(format!("certificate:{names}"), level, "A certificate needs you", Outcome::warning(what, advice))
    })
}

/// What the database tells: the queue, and wrong passwords.
fn rows(conn: &rusqlite::Connection, now: Timestamp) -> db::Result<Vec<Condition>> {
    let mut found = Vec::new();
    let mut health = jobs::health(conn, now, now - DAY)?;
    // Kinds that fail are told one by one, so that another one is told although the first still fails.
    for failing in std::mem::take(&mut health.failing) {
        let name = format!("jobs:{}", failing.kind);
        let alone = jobs::Health { oldest_due: None, abandoned: 0, failing: vec![failing], ..health.clone() };
        found.push(of(name, 1, "Jobs fail", doctor::queue(&alone, now, true)));
    }
    health.abandoned = 0;
    let waiting = doctor::queue(&health, now, true);
    if waiting.state == CheckState::Failed {
        found.push(of("queue", 1, "The queue stands still", waiting));
    }
    let wrong =
        audit::Filter { actor: None, action: Some("auth.login_failed".into()), since: Some(now - HOUR) };
    if audit::list(conn, &wrong, None, WRONG_PASSWORDS)?.len() >= WRONG_PASSWORDS {
        let outcome = Outcome::warning(
            format!("There were more than {WRONG_PASSWORDS} wrong passwords within an hour."),
            "Somebody tries passwords: they are slowed down, and the page «Audit» shows from where. Long passwords are safe.",
        );
        found.push(of("logins", 1, "Somebody guesses passwords", outcome));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(source: CertificateSource, life_days: i64, left_days: i64, failed: u32) -> CertificateStatus {
        let day = |days: i64| Timestamp::from_millis(1_795_000_000_000 + days * 86_400_000);
        CertificateStatus {
            names: vec!["a.test".into()],
            source,
            state: if left_days < 0 { CertificateState::Expired } else { CertificateState::Valid },
            issuer: None,
            serial: None,
            not_before: Some(day(left_days - life_days)),
            not_after: Some(day(left_days)),
            authority: None,
            last_attempt_at: None,
            next_attempt_at: None,
            failed_attempts: failed,
            is_trying: false,
            cause: (failed > 0).then(|| "port 80 is closed".into()),
        }
    }

    #[test]
    fn certificates_are_told_in_time_and_those_that_renew_themselves_only_in_trouble() {
        use CertificateSource::{Acme, Files};
        let now = Timestamp::from_millis(1_795_000_000_000);
        let level = |status| certificate(&status, now).map(|condition| condition.level);
        for (left, expected) in [
            (31, None),
            (30, Some(1)),
            (14, Some(2)),
            (8, Some(2)),
            (7, Some(3)),
            (1, Some(4)),
            (-1, Some(5)),
        ] {
            assert_eq!(level(status(Files, 365, left, 0)), expected, "{left}");
        }
        assert_eq!(level(status(Acme, 90, 29, 0)), None, "it is being renewed");
        assert_eq!(level(status(Acme, 90, 29, 2)), None, "so far nothing unusual");
        assert_eq!(level(status(Acme, 90, 29, 3)), Some(1));
        assert_eq!(level(status(Acme, 90, 6, 0)), Some(3), "it should have been renewed long ago");
        assert_eq!(level(status(Acme, 6, 3, 0)), None);
        let told = certificate(&status(Acme, 90, 29, 3), now).unwrap();
        assert!(told.what.contains("port 80 is closed") && told.name == "certificate:a.test", "{told:?}");
    }
}
