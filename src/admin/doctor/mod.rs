//! The doctor: looks at everything that a deployment guide would list, says what was seen, and what to do about it.
//!
//! Every check ends in time and all of them run at once. None changes anything; what can be put right without a decision
//! is offered as a [`Repair`] and done by [`fix`], which only the command line calls. It works beside a running server
//! and without one, also on a data directory that no server can open: what a check needs and can't have, it says.

mod data;
mod machine;
mod network;
mod repair;
mod services;
mod work;

use std::fmt::Write;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::storage::DataDir;
use crate::tls::Tls;

pub(super) use data::disk_space;
use data::in_bytes;
pub use network::{PROXY_HEADERS, Seen};
pub use repair::{Fixed, Repair, fix};
pub(super) use services::retired_models;
pub(super) use work::queue;

/// How long a check may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long one may take that reads the whole database.
const LONG_DEADLINE: Duration = Duration::from_secs(600);

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// There was nothing to look at.
    Skipped,
    /// It is as it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// Something does not work, or will not soon.
    Failed,
}

impl CheckState {
    /// Its name on the wire and in the terminal.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckGroup {
    /// What was configured.
    Configuration,
    /// The computer.
    Machine,
    /// Files and the database.
    Data,
    /// Jobs.
    Work,
    /// Names, ports, proxies and certificates.
    Network,
    /// Other machines that are used.
    Services,
}

impl CheckGroup {
    const fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Machine => "Machine",
            Self::Data => "Data",
            Self::Work => "Work",
            Self::Network => "Network",
            Self::Services => "Services",
        }
    }
}

/// What came out of looking at one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DoctorCheck)]
pub struct Check {
    /// What it belongs to.
    pub group: CheckGroup,
    /// Its name for programs; it does not change.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How it came out.
    pub state: CheckState,
    /// What was seen.
    pub seen: String,
    /// What to do, where there is something to do.
    pub advice: Option<String>,
    /// Whether `safelight doctor --fix` puts it right.
    pub fixable: bool,
    /// How.
    #[serde(skip)]
    #[schema(ignore)]
    pub repairs: Vec<Repair>,
}

/// Everything that the doctor looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DoctorReport)]
pub struct Report {
    /// The worst state of all.
    pub state: CheckState,
    /// The program's version.
    pub version: &'static str,
    /// When it was looked.
    pub checked_at: Timestamp,
    /// How many checks failed.
    pub failed: usize,
    /// How many ended with a warning.
    pub warnings: usize,
    /// Every check, those of a group together.
    pub checks: Vec<Check>,
}

/// What one check has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) state: CheckState,
    pub(super) seen: String,
    pub(super) advice: Option<String>,
    repairs: Vec<Repair>,
}

impl Outcome {
    fn new(state: CheckState, seen: impl Into<String>) -> Self {
        Self { state, seen: seen.into(), advice: None, repairs: Vec::new() }
    }

    pub(super) fn ok(seen: impl Into<String>) -> Self {
        Self::new(CheckState::Ok, seen)
    }

    fn skipped(seen: impl Into<String>) -> Self {
        Self::new(CheckState::Skipped, seen)
    }

    pub(super) fn warning(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(CheckState::Warning, seen) }
    }

    pub(super) fn failed(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(CheckState::Failed, seen) }
    }

    fn with(mut self, repair: Repair) -> Self {
        self.repairs.push(repair);
        self
    }

    /// Several findings of one check as one: the worst counts, and all that is not fine is said.
    fn worst(findings: Vec<Self>, fine: impl Into<String>) -> Self {
        let Some(state) = findings.iter().map(|finding| finding.state).max() else { return Self::ok(fine) };
        if state <= CheckState::Ok {
            return Self::ok(fine);
        }
        let mut worst = Self::new(state, "");
        let mut advice: Vec<String> = Vec::new();
        let loud: Vec<Self> =
            findings.into_iter().filter(|finding| finding.state >= CheckState::Warning).collect();
        worst.seen = loud.iter().map(|finding| finding.seen.as_str()).collect::<Vec<_>>().join("; ");
        for finding in loud {
            if let Some(said) = finding.advice.filter(|said| !advice.contains(said)) {
                advice.push(said);
            }
            worst.repairs.extend(finding.repairs);
        }
        worst.advice = (!advice.is_empty()).then(|| advice.join(" "));
        worst
    }
}

/// What is looked at, and from where.
#[derive(Clone)]
pub struct Patient {
    /// What was configured.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// The data directory, whether it is there or not.
    pub data_dir: DataDir,
    /// All that a process works with, or why it can't.
    pub app: Result<App, String>,
    /// The certificates, or why they can't be read.
    pub tls: Result<Tls, String>,
    /// The way to other machines.
    pub outbound: Outbound,
    /// Mail.
    pub mailer: Mailer,
    /// Whether this process is the server itself.
    pub is_server: bool,
    /// The request that asks, where there is one.
    pub request: Option<Seen>,
    /// Whether the database is read from end to end.
    pub full: bool,
}

impl Patient {
    /// The running server, as a request sees it.
    pub fn of_server(app: &App, request: Seen) -> Self {
        Self {
            config: Arc::clone(&app.config),
            clock: app.clock.clone(),
            data_dir: DataDir::at(&app.config.data_dir),
            app: Ok(app.clone()),
            tls: Ok(app.tls.clone()),
            outbound: app.outbound.clone(),
            mailer: app.mailer.clone(),
            is_server: true,
            request: Some(request),
            full: false,
        }
    }

    /// The process of the server on this data directory, which may be this one: 0 where its number is not known.
    fn server(&self) -> Option<u32> {
        if self.is_server { Some(std::process::id()) } else { self.data_dir.server() }
    }

    fn root(&self) -> PathBuf {
        self.data_dir.root().to_owned()
    }
}

type Examination<'a> = Pin<Box<dyn Future<Output = Check> + Send + 'a>>;

/// Wraps a check: it gets its name, and ends in time whatever it does.
fn check<'a>(
    group: CheckGroup,
    name: &'static str,
    title: &'static str,
    deadline: Duration,
    work: impl Future<Output = Outcome> + Send + 'a,
) -> Examination<'a> {
    Box::pin(async move {
        let late = |_| {
            Outcome::failed(
                format!("it did not end within {} s", deadline.as_secs()),
                "What is looked at hangs: a disk, a network file system or another machine.",
            )
        };
        let Outcome { state, seen, advice, repairs } =
            tokio::time::timeout(deadline, work).await.unwrap_or_else(late);
        Check { group, name, title, state, seen, advice, fixable: !repairs.is_empty(), repairs }
    })
}

/// Looks at everything, all at once.
pub async fn examine(patient: &Patient) -> Report {
    use CheckGroup::{Configuration, Data, Machine, Network, Services, Work};
    let p = patient;
    let reading = if p.full { LONG_DEADLINE } else { 2 * DEADLINE };
    let usual = DEADLINE;
    let checks = join_all([
        check(Configuration, "configuration", "Configuration", usual, configuration(p)),
        check(Machine, "system", "System", usual, machine::system()),
        check(Machine, "memory", "Memory", usual, machine::memory(p)),
        check(Machine, "open_files", "Open files", usual, machine::open_files(p)),
        check(Machine, "clock", "Clock", 2 * usual, machine::clock(p)),
        check(Machine, "time_zone", "Time zone", usual, machine::time_zone()),
        check(Data, "data_directory", "Data directory", usual, data::directory(p)),
        check(Data, "file_system", "File system", usual, data::file_system(p)),
        check(Data, "file_rights", "File rights", usual, data::file_rights(p)),
        check(Data, "disk_space", "Disk space", usual, data::disk(p)),
        check(Data, "incoming", "Unfinished uploads", usual, data::incoming(p)),
        check(Data, "database", "Database", reading, data::database(p, reading)),
        check(Data, "database_log", "Database log", usual, data::database_log(p)),
        check(Data, "secrets", "Secrets", usual, data::secrets(p)),
        check(Work, "server", "Server", usual, work::server(p)),
        check(Work, "queue", "Jobs", usual, work::jobs(p)),
        check(Network, "ports", "Ports", usual, network::ports(p)),
        check(Network, "names", "Names", 2 * usual, network::names(p)),
        check(Network, "proxy", "Proxy", usual, network::proxy(p)),
        check(Network, "certificates", "Certificates", usual, network::certificates(p)),
        check(Network, "authority", "Certificate authority", 2 * usual, network::authority(p)),
        check(Network, "outbound", "Connections to others", usual, services::outbound(p)),
        check(Services, "mail", "Mail", 3 * usual, services::mail(p)),
        check(Services, "engines", "Models on other machines", 2 * usual, services::engines(p)),
    ])
    .await;
    Report::of(checks, patient.clock.now())
}

async fn configuration(patient: &Patient) -> Outcome {
    let config = &patient.config;
    let secure = config.tls.is_on() || config.server.public_url.as_ref().is_some_and(|url| url.is_https());
    let open = config.server.listen.is_some_and(|address| !address.ip().is_loopback());
    if open && !secure {
        return Outcome::warning(
            "it can be read, but passwords would go over the network without encryption",
            "Set tls.domains, or let a proxy that encrypts stand in front and set server.public_url to its https address.",
        );
    }
    Outcome::ok("every value is right, and they fit together")
}

impl Report {
    fn of(checks: Vec<Check>, checked_at: Timestamp) -> Self {
        let count = |state| checks.iter().filter(|check| check.state == state).count();
        Self {
            state: checks.iter().map(|check| check.state).max().unwrap_or(CheckState::Ok),
            version: env!("CARGO_PKG_VERSION"),
            checked_at,
            failed: count(CheckState::Failed),
            warnings: count(CheckState::Warning),
            checks,
        }
    }

    /// What there is to say when the configuration can't be read: nothing else can be looked at then.
    pub fn of_bad_configuration(mistakes: &str, clock: &Clock) -> Self {
        let check = Check {
            group: CheckGroup::Configuration,
            name: "configuration",
            title: "Configuration",
            state: CheckState::Failed,
            seen: mistakes.to_owned(),
            advice: Some(
                "Correct it; `safelight config check` says the same. Nothing else was looked at.".into(),
            ),
            fixable: false,
            repairs: Vec::new(),
        };
        Self::of(vec![check], clock.now())
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut group = None;
        for check in &self.checks {
            if group.replace(check.group) != Some(check.group) {
                let gap = if text.is_empty() { "" } else { "\n" };
                push(&mut text, format_args!("{gap}{}\n", check.group.title()));
            }
            let seen = check.seen.replace('\n', "\n            ");
            push(&mut text, format_args!("  {:8}  {}: {seen}\n", check.state.name(), check.title));
            if let Some(advice) = &check.advice {
                push(&mut text, format_args!("            → {advice}\n"));
            }
        }
        let wrong = |check: &&Check| check.fixable && check.state >= CheckState::Warning;
        let fixable = self.checks.iter().filter(wrong).count();
        push(&mut text, format_args!("\n{} failed, {} warnings", self.failed, self.warnings));
        if fixable > 0 {
            push(&mut text, format_args!("; `safelight doctor --fix` can put {fixable} of them right"));
        }
        text.push('\n');
        text
    }
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes everything");
}

/// Runs what blocks where it may; a panic over there is a finding like another.
async fn blocking(work: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        Outcome::failed(
            format!("the check itself failed: {e}"),
            "This is a mistake in Safelight: please report it.",
        )
    })
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(at) = cause {
        push(&mut text, format_args!(": {at}"));
        cause = at.source();
    }
    text
}

/// A span of time in the largest unit that tells it well.
fn in_words(span: Duration) -> String {
    let (count, unit) = match span.as_secs() {
        seconds @ 0..120 => (seconds, "s"),
        seconds @ 120..7200 => (seconds / 60, "min"),
        seconds @ 7200..172_800 => (seconds / 3600, "h"),
        seconds => (seconds / 86_400, "days"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_findings_counts_and_all_of_them_are_told() {
        let findings =
            || vec![Outcome::ok("a"), Outcome::warning("b", "do b."), Outcome::failed("c", "do b.")];
        let worst = Outcome::worst(findings(), "fine");
        assert_eq!((worst.state, worst.seen.as_str()), (CheckState::Failed, "b; c"));
        assert_eq!(worst.advice.as_deref(), Some("do b."), "said once");
        assert_eq!(Outcome::worst(vec![Outcome::ok("a")], "fine"), Outcome::ok("fine"));
        assert_eq!(Outcome::worst(Vec::new(), "fine"), Outcome::ok("fine"));
    }

    #[tokio::test]
    async fn a_check_that_hangs_ends_in_time() {
        let hanging = std::future::pending::<Outcome>();
        let found = check(CheckGroup::Data, "disk", "Disk", Duration::from_millis(1), hanging).await;
        assert_eq!((found.state, found.seen.as_str()), (CheckState::Failed, "it did not end within 0 s"));
    }

    #[test]
    fn the_text_shows_groups_and_what_to_do() {
        let report = Report::of_bad_configuration("a.toml:1: wrong\na.toml:2: worse", &Clock::system());
        let text = report.text();
        assert!(
            text.starts_with(
                "Configuration\n  failed    Configuration: a.toml:1: wrong\n            a.toml:2"
            )
        );
        assert!(text.contains("→ Correct it") && text.ends_with("1 failed, 0 warnings\n"), "{text}");
    }
}
