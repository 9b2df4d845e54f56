//! Encryption: certificates, where they come from, and the settings of TLS.
//!
//! There is a slot for each certificate. An admin's own files fill one; every group of names in `tls.domains` has one
//! that is filled from an ACME authority (RFC 8555), stored under `acme/` in the data directory and renewed in time.
//! Until the first one arrives a makeshift certificate is served. Certificates are swapped while connections go on.
//! Knows no routes: the server asks it for answers to challenges, and for its configuration.

mod acme;
mod certificate;
mod dns;
mod files;
mod keeper;
mod probe;
mod resolver;
mod transport;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::clock::{Clock, Timestamp};
use crate::config::{self, CertificateFiles};
use crate::outbound::{self, Outbound};
use acme::Authority;
use certificate::Certificate;
pub use dns::{Dns, DnsAnswer, DnsData, DnsRecord, Error as DnsError, TxtRecord, read_dns_answer};
use files::{Attempts, Files};
use resolver::Resolver;

/// The protocol of TLS-ALPN-01 (RFC 8737), on which nothing but a challenge's certificate is ever served.
pub const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// Why encryption can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate, its key or both can't be used.
    #[error("{0}")]
    BadCertificate(String),
    /// The admin's own files can't be used.
    #[error("the certificate {certificate} with the key {key} can't be used: {reason}")]
    BadFiles {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file can't be read or written.
    #[error("could not {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The roots in `tls.acme.ca_file` can't be used.
    #[error("tls.acme.ca_file has no certificate that can be used")]
    BadRoots {
        /// Why not.
        #[source]
        source: outbound::Error,
    },
    /// The settings for TXT records can't be used.
    #[error(transparent)]
    BadDns(DnsError),
    /// The TLS library refuses its settings.
    #[error("encryption can't be set up")]
    Setup {
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// What this room returns.
pub type Result<T> = std::result::Result<T, Error>;

/// How long is waited between attempts, and in them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The pause after the first failure; each further one doubles it.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long the authority may take for one answer.
    pub answer: Duration,
    /// How long it may take to check names.
    pub order: Duration,
    /// The first pause before it is asked how far it is.
    pub poll: Duration,
    /// The shortest time between two renewals, where certificates live long enough for it.
    pub between: Duration,
    /// The longest sleep: the clock may be set meanwhile.
    pub nap: Duration,
    /// How often the admin's own files are looked at.
    pub look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(60),
            longest_pause: Duration::from_secs(6 * 60 * 60),
            answer: Duration::from_secs(20),
            order: Duration::from_secs(120),
            poll: Duration::from_millis(150),
            between: Duration::from_secs(6 * 60 * 60),
            nap: Duration::from_secs(10 * 60),
            look: Duration::from_secs(30),
        }
    }
}

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateSource {
    /// From an authority, by ACME.
    Acme,
    /// From files of the admin's own.
    Files,
}

/// What visitors get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// A certificate that holds.
    Valid,
    /// One that nobody trusts, until the right one arrives.
    Makeshift,
    /// One that has ended or has not begun.
    Expired,
}

/// One certificate as people want to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CertificateStatus {
    /// The names that it is for.
    pub names: Vec<String>,
    /// Where it comes from.
    pub source: CertificateSource,
    /// What visitors get now.
    pub state: CertificateState,
    /// Who issued it.
    pub issuer: Option<String>,
    /// Its number.
    pub serial: Option<String>,
    /// From when it holds.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// The directory of the authority that issued it.
    pub authority: Option<String>,
    /// When one was last asked for.
    pub last_attempt_at: Option<Timestamp>,
    /// When one will be asked for.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether one is being asked for.
    pub is_trying: bool,
    /// Attempts that failed since the last success.
    pub failed_attempts: u32,
    /// Why the last one failed, in plain language.
    pub cause: Option<String>,
}

/// What came of the wish to have a certificate now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryNow {
    /// It is being asked for.
    Begun,
    /// The authority or the keeper of the zone wants to be left alone until then.
    LeftAlone(Timestamp),
    /// There is no certificate for this name.
    Unknown,
}

/// How a rehearsal for one certificate went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rehearsal {
    /// The names that it would be for.
    pub names: Vec<String>,
    /// The directory that was asked; none for files of the admin's own.
    pub authority: Option<String>,
    /// Whether there would be a certificate.
    pub passed: bool,
    /// What went wrong, also where another way was found then: sentences without their full stops.
    pub causes: Vec<String>,
}

/// The authority that nearly everybody uses, and its twin whose certificates nobody trusts and whose limits are wide.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// All certificates of a process. Cheap to clone.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    settings: config::Tls,
    clock: Clock,
    pace: Pace,
    outbound: Outbound,
    dns: Option<Dns>,
    files: Arc<Files>,
    resolver: Arc<Resolver>,
    slots: Vec<Slot>,
    /// Answers to challenges at port 80, by their tokens.
    answers: RwLock<HashMap<String, String>>,
    /// One at a time makes an account.
    accounts: tokio::sync::Mutex<()>,
}

/// The place of one certificate.
struct Slot {
    /// Empty where the files say it.
    names: Vec<String>,
    source: CertificateSource,
    attempts: Mutex<Attempts>,
    is_trying: AtomicBool,
    wake: Notify,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("slots", &self.0.slots.len()).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads what is stored and configured; with encryption turned off there is nothing in it.
    ///
    /// # Errors
    /// [`Error::BadFiles`], [`Error::BadRoots`], [`Error::Io`] for what an admin configured. A stored certificate that is
    /// damaged is no error: another one is obtained.
    pub fn open(
        settings: &config::Tls,
        folder: PathBuf,
        outbound: &Outbound,
        clock: Clock,
        pace: Pace,
    ) -> Result<Self> {
        let files = Arc::new(Files::new(folder));
        let slot = |names: &[String], source, attempts| Slot {
            names: names.to_vec(),
            source,
            attempts: Mutex::new(attempts),
            is_trying: AtomicBool::new(false),
            wake: Notify::new(),
        };
        let slots: Vec<Slot> = match &settings.files {
            Some(_) => vec![slot(&[], CertificateSource::Files, Attempts::default())],
            None => settings
                .domains
                .iter()
                .map(|names| slot(names, CertificateSource::Acme, files.attempts(&names[0])))
                .collect(),
        };
        let outbound = match settings.acme.ca_file.as_ref().filter(|_| !slots.is_empty()) {
            Some(path) => {
                let failed = |source| Error::Io { action: "read", path: path.clone(), source };
                let pem = std::fs::read(path).map_err(failed)?;
                outbound.with_roots(&pem).map_err(|source| Error::BadRoots { source })?
            }
            None => outbound.clone(),
        };
        let dns = Dns::open(&settings.acme, &outbound, &clock).map_err(Error::BadDns)?;
        let resolver = Arc::new(Resolver::new(slots.len(), Arc::clone(&files)));
        let inner = Inner {
            settings: settings.clone(),
            clock,
            pace,
            outbound,
            dns,
            files,
            resolver,
            slots,
            answers: RwLock::default(),
            accounts: tokio::sync::Mutex::new(()),
        };
        for slot in 0..inner.slots.len() {
            let first = inner.first_certificate(slot)?;
            inner.resolver.install(slot, Arc::new(first));
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Encryption that is turned off, for processes that don't listen.
    pub fn off(outbound: &Outbound, clock: Clock) -> Self {
        let settings =
            config::Tls { domains: Vec::new(), files: None, ..config::Config::defaults("off").tls };
        Self::open(&settings, PathBuf::new(), outbound, clock, Pace::default()).expect("nothing is read")
    }

    /// Whether there is any certificate to serve.
    pub fn is_on(&self) -> bool {
        !self.0.slots.is_empty()
    }

    /// The settings of the encrypted door: TLS 1.2 and 1.3, post-quantum key exchange first, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// [`Error::Setup`].
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>> {
        let failed = |source| Error::Setup { source };
        let resolver: Arc<Resolver> = Arc::clone(&self.0.resolver);
        let mut config = rustls::ServerConfig::builder_with_provider(certificate::provider())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
        // Sessions are resumed from what the visitor keeps, not from our memory.
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(failed)?;
        Ok(Arc::new(config))
    }

    /// Obtains, renews and reloads certificates until `stopping` fires, or until that is no longer done.
    pub async fn run(&self, stopping: CancellationToken) {
        if self.is_on() {
            self.0.files.forget_answers();
        }
        let mut tasks = tokio::task::JoinSet::new();
        for slot in 0..self.0.slots.len() {
            match &self.0.settings.files {
                Some(files) => tasks.spawn(keeper::watch(Arc::clone(&self.0), slot, files.clone())),
                None => tasks.spawn(keeper::keep(Arc::clone(&self.0), slot)),
            };
        }
        if tasks.is_empty() {
            stopping.cancelled().await;
            return;
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            ended = tasks.join_next() => {
                tracing::error!(?ended, "a certificate is not looked after any longer");
            }
        }
    }

    /// The answer to a challenge at port 80, by its token: ours, or that of a rehearsal beside us.
    pub fn answer(&self, token: &str) -> Option<String> {
        let ours = self.0.answers.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        ours.or_else(|| self.0.files.answer(token))
    }

    /// Asks for certificates as [`Tls::run`] does, and stores and serves none. Let's Encrypt is asked at its staging
    /// directory; with any other authority the last step is left out. `beside` is for a process whose own doors nobody
    /// can reach: the server on the same data directory then gives its answers.
    pub async fn dry_run(&self, beside: bool) -> Vec<Rehearsal> {
        let mut rehearsals = Vec::new();
        for slot in 0..self.0.slots.len() {
            rehearsals.push(match &self.0.settings.files {
                Some(files) => self.0.rehearse_files(files),
                None => self.0.rehearse(slot, beside).await,
            });
        }
        rehearsals
    }

    /// Asks for one certificate anew, now; it is found by any of its names.
    pub fn try_now(&self, name: &str) -> TryNow {
        let inner = &self.0;
        let is_for = |slot: &usize| inner.status(*slot).names.iter().any(|known| known == name);
        let Some(slot) = (0..inner.slots.len()).find(is_for) else { return TryNow::Unknown };
        let left_alone = inner.attempts(slot).not_before.filter(|until| *until > inner.clock.now());
        if let Some(until) = left_alone {
            return TryNow::LeftAlone(until);
        }
        if !inner.slots[slot].is_trying.load(Ordering::Relaxed) {
            inner.slots[slot].wake.notify_one();
        }
        TryNow::Begun
    }

    /// Whether a certificate is for this host: a name, or an address in brackets or not.
    pub fn serves(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let wild = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let is_ours = |name: &String| *name == host || Some(name) == wild.as_ref();
        (0..self.0.slots.len())
            .filter_map(|slot| self.0.resolver.installed(slot))
            .any(|certificate| certificate.names.iter().any(is_ours))
    }

    /// Asks for every certificate anew, now.
    pub fn renew(&self) {
        self.wake(CertificateSource::Acme);
    }

    /// Looks at the admin's own files, now.
    pub fn reload(&self) {
        self.wake(CertificateSource::Files);
    }

    fn wake(&self, source: CertificateSource) {
        for slot in self.0.slots.iter().filter(|slot| slot.source == source) {
            slot.wake.notify_one();
        }
    }

    /// The certificates and how they are doing.
    pub fn status(&self) -> Vec<CertificateStatus> {
        (0..self.0.slots.len()).map(|slot| self.0.status(slot)).collect()
    }
}

impl Inner {
    /// What is served first: the admin's own, the stored one, also when it lacks some of the names, or a makeshift one.
    fn first_certificate(&self, slot: usize) -> Result<Certificate> {
        if let Some(files) = &self.settings.files {
            return read_files(files);
        }
        let names = &self.slots[slot].names;
        match self.files.load(&names[0]) {
            Ok(Some(stored)) if stored.covers_some(names) && stored.is_valid_at(self.clock.now()) => {
                return Ok(stored);
            }
            Ok(_) => {}
            Err(e) => tracing::warn!(error = %e, "a stored certificate is damaged; another one is obtained"),
        }
        Certificate::makeshift(names)
    }

    fn rehearse_files(&self, files: &CertificateFiles) -> Rehearsal {
        let (names, cause) = match read_files(files) {
            Ok(read) if read.is_valid_at(self.clock.now()) => (read.names, None),
            Ok(read) => {
                let cause = format!("the certificate holds from {} to {}", read.not_before, read.not_after);
                (read.names, Some(cause))
            }
            Err(e) => (Vec::new(), Some(e.to_string())),
        };
        Rehearsal { names, authority: None, passed: cause.is_none(), causes: cause.into_iter().collect() }
    }

    async fn rehearse(&self, slot: usize, beside: bool) -> Rehearsal {
        let names = &self.slots[slot].names;
        let configured = self.settings.acme.directory_url.as_str();
        let directory_url = if configured == LETS_ENCRYPT { LETS_ENCRYPT_STAGING } else { configured };
        let is_for_trying = directory_url == LETS_ENCRYPT_STAGING;
        let mut causes = Vec::new();
        let mut passed = false;
        // Each way once, as one attempt after the other would take them.
        for turn in (0..).take(self.settings.acme.challenges.len()) {
            let authority = Authority::new(self, directory_url);
            match authority.rehearse(names, turn, is_for_trying, beside).await {
                Ok(()) => {
                    passed = true;
                    break;
                }
                Err(failure) => {
                    if !causes.contains(&failure.cause) {
                        causes.push(failure.cause);
                    }
                    if failure.until.is_some() {
                        break;
                    }
                }
            }
        }
        Rehearsal { names: names.clone(), authority: Some(directory_url.to_owned()), passed, causes }
    }

    /// The certificate that a slot is for; `None` where a makeshift one is served, or one that lacks a name.
    fn held(&self, slot: usize) -> Option<Arc<Certificate>> {
        let names = &self.slots[slot].names;
        self.resolver.installed(slot).filter(|held| !held.is_makeshift && held.covers(names))
    }

    fn attempts(&self, slot: usize) -> Attempts {
        self.slots[slot].attempts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, slot: usize, change: impl FnOnce(&mut Attempts)) {
        change(&mut self.slots[slot].attempts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Writes down how the attempts went, for the next start and for the command line.
    fn remember(&self, slot: usize) {
        let attempts = self.attempts(slot);
        if let Err(e) = self.files.save_attempts(&self.slots[slot].names[0], &attempts) {
            tracing::warn!(error = %e, "the state of a certificate could not be stored");
        }
    }

    fn put_answer(&self, token: &str, answer: Option<String>) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Some(answer) => answers.insert(token.to_owned(), answer),
            None => answers.remove(token),
        };
    }

    fn status(&self, slot: usize) -> CertificateStatus {
        let Slot { names, source, .. } = &self.slots[slot];
        let attempts = self.attempts(slot);
        let held = self.resolver.installed(slot);
        let real = held.as_ref().filter(|held| !held.is_makeshift);
        let state = match real {
            None => CertificateState::Makeshift,
            Some(held) if held.is_valid_at(self.clock.now()) => CertificateState::Valid,
            Some(_) => CertificateState::Expired,
        };
        CertificateStatus {
            names: real.map_or_else(|| names.clone(), |held| held.names.clone()),
            source: *source,
            state,
            issuer: real.map(|held| held.issuer.clone()),
            serial: real.map(|held| held.serial.clone()),
            not_before: real.map(|held| held.not_before),
            not_after: real.map(|held| held.not_after),
            authority: attempts.authority,
            last_attempt_at: attempts.last_at,
            next_attempt_at: attempts.next_at,
            is_trying: self.slots[slot].is_trying.load(Ordering::Relaxed),
            failed_attempts: attempts.failed,
            cause: attempts.cause,
        }
    }
}

fn read_files(files: &CertificateFiles) -> Result<Certificate> {
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })
    };
    Certificate::from_pem(&read(&files.certificate)?, &read(&files.key)?).map_err(|e| Error::BadFiles {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason: e.to_string(),
    })
}
