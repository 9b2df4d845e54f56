//! A name server that takes changes (RFC 2136) which are signed with a shared secret (TSIG): BIND, Knot, PowerDNS.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;

use super::message::{self, SharedKey};
use super::{DnsProvider, Error, Result, TxtRecord, server};
use crate::clock::Clock;
use crate::config;

pub(super) struct NameServer {
    /// Name or address, perhaps with a port.
    host: String,
    port: u16,
    zone: Option<String>,
    key: Option<SharedKey>,
    clock: Clock,
}

impl NameServer {
    pub(super) fn new(settings: &config::AcmeDns, clock: Clock) -> Result<Self> {
        let server = settings.server.as_deref().unwrap_or_default();
        let (host, port) = host_and_port(server);
        let key = match (&settings.tsig_name, &settings.tsig_secret) {
            (Some(name), Some(secret)) => {
                let secret = STANDARD.decode(secret.expose().trim());
                let secret =
                    secret.map_err(|_| Error::plain("the setting tls.acme.dns.tsig_secret is not base64"))?;
                Some(SharedKey { name: name.clone(), secret })
            }
            _ => None,
        };
        Ok(Self { host, port, zone: settings.zone.clone(), key, clock })
    }

    pub(super) async fn address(&self) -> Result<SocketAddr> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let unknown = || Error::plain(format!("the name server {} can't be found", self.host));
        found.ok().and_then(|mut found| found.next()).ok_or_else(unknown)
    }

    /// The zone that a name lies in, as the server tells it.
    async fn zone_of(&self, address: SocketAddr, name: &str) -> Result<String> {
        if let Some(zone) = &self.zone {
            return Ok(zone.clone());
        }
        let answer = server::ask(address, name, message::SOA, false).await.map_err(|e| self.silent(&e))?;
        let inside =
            |zone: &&str| name == *zone || name.strip_suffix(*zone).is_some_and(|rest| rest.ends_with('.'));
        let zone = answer.owners(message::SOA).find(inside).map(str::to_owned);
        zone.ok_or_else(|| Error::plain(format!("the name server {} is not in charge of {name}", self.host)))
    }

    fn silent(&self, error: &std::io::Error) -> Error {
        Error::plain(format!("the name server {} does not answer: {error}", self.host))
    }

    async fn change(&self, record: &TxtRecord, add: bool) -> Result<()> {
        let address = self.address().await?;
        let zone = self.zone_of(address, &record.name).await?;
        let unusable = || Error::plain(format!("{} is no name for a record", record.name));
        let mut bytes = message::update(server::number(), &zone, &record.name, &record.value, add)
            .ok_or_else(unusable)?;
        let now = || u64::try_from(self.clock.now().as_millis() / 1000).unwrap_or_default();
        let code = match &self.key {
            Some(key) => Some(message::sign(&mut bytes, key, now()).ok_or_else(|| {
                Error::plain("the setting tls.acme.dns.tsig_name is not the name of a key")
            })?),
            None => None,
        };
        let (bytes, answer) = server::by_tcp(address, &bytes).await.map_err(|e| self.silent(&e))?;
        let host = &self.host;
        if answer.code != 0 {
            let why = message::signature_fault(&answer).unwrap_or(match answer.code {
                5 => "it refuses the change: is the key allowed to change TXT records in the zone?",
                9 => "it is not in charge of the zone, or does not know the key",
                2 => "it failed; its log says why",
                _ => "it does not take the change",
            });
            return Err(Error::plain(format!("the name server {host}, zone {zone}: {why}")));
        }
        if let (Some(key), Some(code)) = (&self.key, &code)
            && !message::is_signed(&bytes, &answer, key, code, now())
        {
            return Err(Error::plain(format!(
                "the answer of the name server {host} is not signed with the key"
            )));
        }
        Ok(())
    }
}

impl DnsProvider for NameServer {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change(record, true))
    }

    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change(record, false))
    }

    fn resolver(&self) -> BoxFuture<'_, Option<SocketAddr>> {
        Box::pin(async { self.address().await.ok() })
    }
}

/// Splits `ns1.example.org`, `192.0.2.1:5353` or `[2001:db8::1]:53`; port 53 is the usual one.
fn host_and_port(server: &str) -> (String, u16) {
    if let Ok(address) = server.parse::<SocketAddr>() {
        return (address.ip().to_string(), address.port());
    }
    match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host.to_owned(), port),
            Err(_) => (server.to_owned(), 53),
        },
        _ => (server.trim_start_matches('[').trim_end_matches(']').to_owned(), 53),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_in_each_usual_way() {
        for (text, host, port) in [
            ("ns1.example.org", "ns1.example.org", 53),
            ("ns1.example.org:5353", "ns1.example.org", 5353),
            ("192.0.2.1:54", "192.0.2.1", 54),
            ("2001:db8::1", "2001:db8::1", 53),
            ("[2001:db8::1]:54", "2001:db8::1", 54),
            ("[2001:db8::1]", "2001:db8::1", 53),
        ] {
            assert_eq!(host_and_port(text), (host.to_owned(), port), "{text}");
        }
    }
}
