//! Proof by DNS: TXT records that are set for an authority, seen, and taken away again. One trait, and behind it a
//! program of the admin's own, a name server that takes changes, or the API of a company that keeps zones. Other records
//! of the same name stay: a name and its wildcard have one each.

mod api;
mod cloudflare;
mod desec;
mod digitalocean;
mod gandi;
mod hetzner;
mod hook;
mod message;
mod rfc2136;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

pub use message::{DnsAnswer, DnsData, DnsRecord, read_dns_answer};

use crate::clock::Clock;
use crate::config::{self, DnsService};
use crate::outbound::Outbound;
use api::Api;

/// How long is waited at most until every server in charge shows the records.
const SEEN_MAX: Duration = Duration::from_secs(180);

/// How long is waited where the servers in charge can't be asked.
const UNSEEN_PAUSE: Duration = Duration::from_secs(30);

/// Why a record could not be set or removed.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Error {
    /// A clause for people, without its full stop.
    pub cause: String,
    /// How long the service wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Error {
    fn plain(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), retry_after: None }
    }
}

/// What this part of the room returns.
pub(super) type Result<T> = std::result::Result<T, Error>;

/// A TXT record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxtRecord {
    /// The whole name, in lower case and without the last dot.
    pub name: String,
    /// The text.
    pub value: String,
}

/// Who sets and removes TXT records. Other values of the same name stay as they are, and doing a thing twice does no
/// harm.
trait DnsProvider: Send + Sync {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>>;
    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>>;

    /// Whether a record can be seen as soon as it has been set.
    fn waits_itself(&self) -> bool {
        false
    }

    /// The server that knows who is in charge of a name.
    fn resolver(&self) -> BoxFuture<'_, Option<SocketAddr>> {
        Box::pin(server::of_this_machine())
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// The configured way to records.
pub struct Dns {
    provider: Box<dyn DnsProvider>,
    /// How long to wait; without it the servers in charge are asked.
    wait: Option<Duration>,
}

impl Dns {
    /// The configured way; nothing where none is.
    ///
    /// # Errors
    /// When a setting can't be used.
    pub fn open(settings: &config::Acme, outbound: &Outbound, clock: &Clock) -> Result<Option<Self>> {
        let dns = &settings.dns;
        let provider: Box<dyn DnsProvider> = match (dns.provider, &settings.dns_hook) {
            (None, None) => return Ok(None),
            (None, Some(hook)) => Box::new(hook::Hook(hook.clone())),
            (Some(DnsService::Rfc2136), _) => Box::new(rfc2136::NameServer::new(dns, clock.clone())?),
            (Some(DnsService::Cloudflare), _) => Box::new(cloudflare::Cloudflare(Api::new(
                dns,
                outbound,
                "https://api.cloudflare.com/client/v4",
                "Bearer",
            ))),
            (Some(DnsService::Hetzner), _) => {
                Box::new(hetzner::Hetzner(Api::new(dns, outbound, "https://api.hetzner.cloud/v1", "Bearer")))
            }
            (Some(DnsService::Digitalocean), _) => Box::new(digitalocean::DigitalOcean(Api::new(
                dns,
                outbound,
                "https://api.digitalocean.com/v2",
                "Bearer",
            ))),
            (Some(DnsService::Desec), _) => {
                Box::new(desec::Desec::new(Api::new(dns, outbound, "https://desec.io/api/v1", "Token")))
            }
            (Some(DnsService::Gandi), _) => Box::new(gandi::Gandi::new(Api::new(
                dns,
                outbound,
                "https://api.gandi.net/v5/livedns",
                "Bearer",
            ))),
        };
        Ok(Some(Self { provider, wait: dns.wait }))
    }

    /// Sets a record beside others of its name.
    ///
    /// # Errors
    /// A clause that says what the admin can do.
    pub async fn set(&self, record: &TxtRecord) -> Result<()> {
        self.provider.set(record).await
    }

    /// Removes a record, and no other.
    ///
    /// # Errors
    /// As [`Dns::set`].
    pub async fn remove(&self, record: &TxtRecord) -> Result<()> {
        self.provider.remove(record).await
    }

    /// Waits until an authority will see the records, as far as that can be known. It goes on in any case: the authority
    /// decides.
    pub async fn until_seen(&self, records: &[TxtRecord]) {
        if records.is_empty() || self.provider.waits_itself() {
            return;
        }
        if let Some(wait) = self.wait {
            return tokio::time::sleep(wait).await;
        }
        if tokio::time::timeout(SEEN_MAX, self.look(records)).await.is_err() {
            tracing::warn!(
                "some name servers in charge don't show the records yet; the authority is asked all the same"
            );
        }
    }

    async fn look(&self, records: &[TxtRecord]) {
        let resolver = self.provider.resolver().await;
        for record in records {
            let servers = match resolver {
                Some(resolver) => server::in_charge(resolver, &record.name).await,
                None => Vec::new(),
            };
            let mut pause = Duration::from_millis(100);
            loop {
                let (mut shown, mut missing) = (0, 0);
                let looks = servers.iter().map(|server| server::shows(*server, &record.name, &record.value));
                for look in join_all(looks).await {
                    match look {
                        Some(true) => shown += 1,
                        Some(false) => missing += 1,
                        // This machine may have no IPv6, or the server none.
                        None => {}
                    }
                }
                match (shown, missing) {
                    (0, 0) => {
                        tracing::info!("the name servers in charge can't be asked; waiting a while instead");
                        return tokio::time::sleep(UNSEEN_PAUSE).await;
                    }
                    (_, 0) => break,
                    _ => {}
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(4));
            }
        }
    }
}

/// A name and what is left of it without its first parts, the longest first; what has no dot is nobody's zone.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, rest)| rest))
        .filter(|name| name.contains('.'))
}
