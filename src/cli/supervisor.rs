//! What systemd, or whoever else started the process, hands over and wants to hear: sockets, readiness, a heartbeat.
//!
//! Speaks the protocols of sd_listen_fds(3) and sd_notify(3). Without a supervisor nothing here does anything. Knows
//! no door: which socket is for what is said by its name or its port.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Environment};
use crate::db::{self, Db};

/// The names that a socket may have in `FileDescriptorName=`.
const NAMES: [&str; 3] = ["plain", "http", "https"];

/// More sockets than anybody needs.
const SOCKETS_MAX: usize = 64;

/// `EX_CONFIG` of sysexits.h: the unit does not restart after it, because nothing would be different.
const NOT_AGAIN: u8 = 78;

/// Sockets that were bound before the process began and outlive it, so that a restart refuses nobody.
#[derive(Debug, Default)]
pub(super) struct Handed(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    name: String,
    address: SocketAddr,
    listener: TcpListener,
}

impl Handed {
    /// Takes what was handed over to this process; once, and before there are threads, because it changes the
    /// environment.
    ///
    /// # Errors
    /// When something is handed over that is no listening socket of TCP.
    pub(super) fn take(environment: &Environment) -> anyhow::Result<Self> {
        let count = environment.variable("LISTEN_FDS").and_then(|count| count.parse().ok()).unwrap_or(0);
        if count == 0_usize {
            return Ok(Self::default());
        }
        if count > SOCKETS_MAX {
            bail!("{count} sockets are handed over in LISTEN_FDS; no more than {SOCKETS_MAX} make sense");
        }
        let mut handed = listenfd::ListenFd::from_env();
        let names: Vec<&str> =
            environment.variable("LISTEN_FDNAMES").unwrap_or_default().split(':').collect();
        let mut sockets = Vec::new();
        for index in 0..handed.len() {
            let listener = handed
                .take_tcp_listener(index)
                .with_context(|| format!("socket {} that was handed over can't be used", index + 1))?
                .context("a socket was handed over twice")?;
            let address = listener.local_addr().context("a socket that was handed over has no address")?;
            let name = names.get(index).copied().unwrap_or_default().to_owned();
            sockets.push(Socket { name, address, listener });
        }
        Ok(Self(sockets))
    }

    /// The sockets of a door: those with its name, and those without a name of a door but with the door's port.
    pub(super) fn for_door(&mut self, name: &str, address: Option<SocketAddr>) -> Vec<TcpListener> {
        let port = address.map(|address| address.port());
        let fits = |socket: &mut Socket| {
            socket.name == name
                || (!NAMES.contains(&socket.name.as_str()) && port == Some(socket.address.port()))
        };
        self.0.extract_if(.., fits).map(|socket| socket.listener).collect()
    }

    /// Makes sure that somebody serves every socket: nobody should wait at one for ever.
    ///
    /// # Errors
    /// When one is left.
    pub(super) fn all_taken(self) -> anyhow::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(socket) if socket.name == "https" => bail!(
                "a socket for https is handed over at {}, but there is no certificate: set tls.domains or \
                 tls.certificate, or disable that socket",
                socket.address
            ),
            Some(socket) => bail!(
                "nothing is served at {}, which is handed over as {:?}: name it plain, http or https \
                 (FileDescriptorName=), or give it the port of server.listen, server.http_listen or \
                 server.https_listen",
                socket.address,
                socket.name
            ),
        }
    }
}

/// Says that everything works.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("Serving")]);
}

/// Says that the end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Finishing what has begun")]);
}

/// Says that files are read anew while `work` does it.
pub(super) fn reloading(work: impl FnOnce()) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => tracing::debug!(error = %e, "there is no time to tell"),
    }
    work();
    ready();
}

/// Says every quarter of the time that the supervisor allows that the process works, as long as that is so: this task
/// gets its turn, and the database's writer answers.
pub(super) async fn beat(db: Db, stopping: CancellationToken) {
    let Some(allowed) = sd_notify::watchdog_enabled().filter(|allowed| !allowed.is_zero()) else { return };
    let mut ticks = tokio::time::interval(pause(allowed));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stopping.cancelled() => return,
        }
        // One that is missed is not the last chance: there are two more.
        match tokio::time::timeout(allowed / 4, db.answers()).await {
            Ok(true) => tell(&[NotifyState::Watchdog]),
            _ => tracing::warn!("the database does not answer; the supervisor is not told that all is well"),
        }
    }
}

fn pause(allowed: Duration) -> Duration {
    (allowed / 4).max(Duration::from_millis(1))
}

fn tell(states: &[NotifyState]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::warn!(error = %e, "whoever started this process can't be told how it is");
    }
}

/// The status of a command that failed. To a supervisor it also says whether trying again can help.
pub(super) fn status_of(error: &anyhow::Error, environment: &Environment) -> ExitCode {
    if environment.variable("NOTIFY_SOCKET").is_some() && error.chain().any(stays) {
        return ExitCode::from(NOT_AGAIN);
    }
    ExitCode::FAILURE
}

/// Whether a start will fail in the same way until a person has done something.
fn stays(cause: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<db::Error>() {
        return error.needs_a_person();
    }
    cause.is::<config::Error>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(sockets: &[&str]) -> (Handed, Vec<SocketAddr>) {
        let bind = |name: &&str| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Socket { name: (*name).to_owned(), address: listener.local_addr().unwrap(), listener }
        };
        let sockets: Vec<_> = sockets.iter().map(bind).collect();
        let addresses = sockets.iter().map(|socket| socket.address).collect();
        (Handed(sockets), addresses)
    }

    #[test]
    fn a_socket_belongs_to_the_door_of_its_name_or_else_of_its_port() {
        let (mut sockets, at) = handed(&["https", "safelight.socket", "plain", "https"]);
        // A name is stronger than a port.
        assert_eq!(sockets.for_door("http", Some(at[0])).len(), 0);
        let https = sockets.for_door("https", Some(at[1]));
        let got: Vec<_> = https.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(got, [at[0], at[1], at[3]]);
        assert_eq!(sockets.for_door("plain", None).len(), 1);
        sockets.all_taken().unwrap();
    }

    #[test]
    fn a_socket_that_nobody_would_serve_stops_the_start() {
        for (name, said) in [("https", "tls.domains"), ("ftp", "FileDescriptorName=")] {
            let error = handed(&[name]).0.all_taken().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn only_a_supervisor_hears_that_another_start_is_of_no_use() {
        let supervised = Environment::from_iter([("NOTIFY_SOCKET", "/run/x")]);
        let newer = anyhow::Error::new(db::Error::TooNew { found: 2, known: 1 }).context("can't start");
        let full = anyhow::Error::new(db::Error::Closed);
        let text = |code: ExitCode| format!("{code:?}");
        let not_again = text(ExitCode::from(NOT_AGAIN));
        assert_eq!(text(status_of(&newer, &supervised)), not_again);
        assert_eq!(text(status_of(&newer, &Environment::empty())), text(ExitCode::FAILURE));
        assert_eq!(text(status_of(&full, &supervised)), text(ExitCode::FAILURE));
    }
}
