//! Names, ports, the proxy in front, and certificates.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::{Outcome, Patient, in_words};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::tls::{CertificateSource, CertificateState, CertificateStatus};

/// How long a connection to ourselves may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Before a certificate ends so soon somebody should know, and so soon somebody must act.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const VERY_SOON: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// What the request says that asks for the report: who connects, and what a proxy added.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Who is at the other end of the connection.
    pub peer: IpAddr,
    /// Whether that one is in `server.trusted_proxies`.
    pub is_trusted: bool,
    /// Who asks, as the rest of the program believes it.
    pub caller: IpAddr,
    /// Whether the caller's connection is believed to be encrypted.
    pub is_secure: bool,
    /// The headers of proxies that were there, by name.
    pub headers: Vec<&'static str>,
    /// The host that was asked for.
    pub host: Option<String>,
}

/// The headers with which proxies speak for somebody else.
pub const PROXY_HEADERS: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
];

pub(super) async fn ports(patient: &Patient) -> Outcome {
    let server = &patient.config.server;
    let mut wanted: Vec<SocketAddr> = server.listen.into_iter().collect();
    if patient.config.tls.is_on() {
        wanted.extend([server.https_listen, server.http_listen]);
    }
    wanted.retain(|address| address.port() != 0);
    if wanted.is_empty() {
        return Outcome::ok("any free port is taken");
    }
    let runs = patient.server().is_some();
    let mut findings = Vec::new();
    for address in &wanted {
        findings.push(if runs { answers(*address).await } else { is_free(*address) });
    }
    let shown: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let how = if runs { "answering" } else { "free" };
    let fine =
        format!("{how}: {}; whether the internet gets through can't be seen from here", shown.join(", "));
    Outcome::worst(findings, fine)
}

/// Whether the server that runs answers where it should.
async fn answers(address: SocketAddr) -> Outcome {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let near = SocketAddr::new(ip, address.port());
    match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(near)).await {
        Ok(Ok(_)) => Outcome::ok(""),
        _ => Outcome::failed(
            format!("the server runs, but nothing answers at {address}"),
            "It may have been started with other settings than these: restart it, and check that this command reads the same configuration.",
        ),
    }
}

/// Whether a server that is started now could listen.
fn is_free(address: SocketAddr) -> Outcome {
    match std::net::TcpListener::bind(address) {
        Ok(_) => Outcome::ok(""),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Outcome::failed(
            format!("another program listens at {address}"),
            format!(
                "Find it with `ss -ltnp 'sport = :{}'` and stop it, or choose another port.",
                address.port()
            ),
        ),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Outcome::warning(
            format!("this user may not listen at {address}"),
            "Ports below 1024 need the capability CAP_NET_BIND_SERVICE, which the unit of the package gives the server.",
        ),
        Err(e) if e.kind() == ErrorKind::AddrNotAvailable => Outcome::failed(
            format!("{} is no address of this machine", address.ip()),
            "Set the address in server.listen, server.https_listen or server.http_listen to one that it has.",
        ),
        Err(e) => {
            Outcome::failed(format!("{address} can't be listened at: {e}"), "Choose another address or port.")
        }
    }
}

pub(super) async fn names(patient: &Patient) -> Outcome {
    let config = &patient.config;
    let mut names: Vec<&str> = config.tls.domains.iter().flatten().map(String::as_str).collect();
    names.retain(|name| !name.starts_with("*."));
    if names.is_empty() {
        return Outcome::skipped("tls.domains is empty");
    }
    if patient.outbound.is_offline() {
        return Outcome::skipped("outbound.offline is set, so no name server is asked");
    }
    let entrance = entrance(config).await;
    let mut findings = Vec::new();
    for name in &names {
        findings.push(leads_here(name, &entrance).await);
    }
    Outcome::worst(findings, format!("{} lead to this machine", names.join(", ")))
}

/// The addresses at which people come in, as far as the configuration tells: those of the public address.
async fn entrance(config: &Config) -> Vec<IpAddr> {
    let Some(url) = &config.server.public_url else { return Vec::new() };
    let authority = url.authority();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    addresses(host.trim_start_matches('[').trim_end_matches(']')).await.unwrap_or_default()
}

async fn addresses(name: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((name, 443)).await?.map(|found| found.ip().to_canonical()).collect())
}

async fn leads_here(name: &str, entrance: &[IpAddr]) -> Outcome {
    let found = match addresses(name).await {
        Ok(found) if !found.is_empty() => found,
        _ => {
            return Outcome::failed(
                format!("the name {name} can't be resolved"),
                "Make an A or AAAA record for it at whoever runs the domain, and wait until it is known; or take it out of tls.domains.",
            );
        }
    };
    let lost: Vec<String> = found
        .iter()
        .filter(|address| !is_ours(**address) && !entrance.contains(address))
        .map(ToString::to_string)
        .collect();
    if lost.is_empty() {
        return Outcome::ok("");
    }
    Outcome::warning(
        format!("{name} leads to {}, which is no address of this machine", lost.join(", ")),
        "That is right where a router, a load balancer or a CDN passes ports 80 and 443 on to this machine; else correct the record.",
    )
}

/// Whether this machine has an address: only then can something be bound to it. Nothing is sent.
fn is_ours(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_ok()
}

pub(super) async fn proxy(patient: &Patient) -> Outcome {
    match &patient.request {
        Some(seen) => judge_proxy(seen, &patient.config),
        None => Outcome::skipped(
            "it is seen in requests only: open the page «Doctor» in the browser as people reach it",
        ),
    }
}

fn judge_proxy(seen: &Seen, config: &Config) -> Outcome {
    let Seen { peer, caller, .. } = seen;
    let listed: Vec<&str> = seen.headers.clone();
    let names_caller = listed.iter().any(|name| matches!(*name, "x-forwarded-for" | "forwarded"));
    let names_scheme = listed.iter().any(|name| matches!(*name, "x-forwarded-proto" | "forwarded"));
    if !seen.is_trusted && !listed.is_empty() {
        return Outcome::warning(
            format!("your request came from {peer} with {}, which is not believed", listed.join(", ")),
            format!(
                "If {peer} is your proxy, set server.trusted_proxies = [\"{peer}\"] and restart: until then everybody has one address and cookies may lack «Secure»."
            ),
        );
    }
    if seen.is_trusted && !names_caller && !config.server.proxy_protocol {
        return Outcome::warning(
            format!("your request came from the trusted proxy {peer}, which does not say for whom"),
            "Let it send X-Forwarded-For: until then everybody has its address, and one person's wrong passwords slow all down.",
        );
    }
    if seen.is_trusted && !names_scheme && !seen.is_secure {
        return Outcome::warning(
            format!("the proxy {peer} does not say whether people come over https"),
            "Let it send X-Forwarded-Proto, or set server.public_url to the https address.",
        );
    }
    if let (Some(url), Some(host)) = (&config.server.public_url, &seen.host)
        && !host.eq_ignore_ascii_case(url.authority())
    {
        return Outcome::warning(
            format!("your request is for {host}, and server.public_url says {}", url.authority()),
            "If people come as you do, correct server.public_url, or let the proxy pass the Host header on.",
        );
    }
    let how = if seen.is_secure { "encrypted" } else { "not encrypted" };
    match seen.is_trusted {
        true => Outcome::ok(format!(
            "your request came through {peer} for {caller}, {how}; its headers are believed"
        )),
        false => Outcome::ok(format!("your request came straight from {caller}, {how}")),
    }
}

pub(super) async fn certificates(patient: &Patient) -> Outcome {
    match &patient.tls {
        Err(why) => Outcome::failed(why.clone(), "Check tls.certificate, tls.key and tls.acme.ca_file."),
        Ok(tls) if !tls.is_on() => {
            Outcome::skipped("HTTPS is off: neither tls.domains nor tls.certificate is set")
        }
        Ok(tls) => {
            let now = patient.clock.now();
            let status = tls.status();
            let ends: Vec<String> = status.iter().map(|status| until(status, now)).collect();
            Outcome::worst(status.iter().map(|status| certificate(status, now)).collect(), ends.join("; "))
        }
    }
}

fn until(status: &CertificateStatus, now: Timestamp) -> String {
    let left = status.not_after.map_or_else(String::new, |end| format!(" for {}", in_words(end.since(now))));
    format!("{} is good{left}", status.names.join(" "))
}

fn certificate(status: &CertificateStatus, now: Timestamp) -> Outcome {
    let names = status.names.join(" ");
    let cause =
        status.cause.as_ref().map(|cause| format!("; the last attempt failed: {cause}")).unwrap_or_default();
    let next = status.next_attempt_at.map(|at| format!("; the next one is at {at}")).unwrap_or_default();
    let advice = match status.source {
        CertificateSource::Acme => {
            "Mend the cause, then restart or wait for the next attempt. Usual ones: a name that leads elsewhere, port 80 or 443 closed."
        }
        CertificateSource::Files => {
            "Put a new certificate into the file of tls.certificate; it is noticed within half a minute."
        }
    };
    let seen = |what: &str| format!("{names}: {what}{cause}{next}");
    let left = status.not_after.map(|end| end.since(now));
    match (status.state, left) {
        (CertificateState::Makeshift, _) => {
            Outcome::failed(seen("there is none yet, visitors are warned"), advice)
        }
        (CertificateState::Expired, _) => Outcome::failed(seen("it has ended or not begun"), advice),
        (CertificateState::Valid, Some(left))
            if left < VERY_SOON && status.source == CertificateSource::Files =>
        {
            Outcome::failed(seen(&format!("it ends in {}", in_words(left))), advice)
        }
        (CertificateState::Valid, Some(left)) if left < SOON && status.source == CertificateSource::Files => {
            Outcome::warning(seen(&format!("it ends in {}", in_words(left))), advice)
        }
        (CertificateState::Valid, Some(left)) if status.failed_attempts > 0 => {
            Outcome::warning(seen(&format!("it ends in {}", in_words(left))), advice)
        }
        (CertificateState::Valid, _) => Outcome::ok(""),
    }
}

pub(super) async fn authority(patient: &Patient) -> Outcome {
    if patient.config.tls.domains.is_empty() {
        return Outcome::skipped("no certificate is asked for: tls.domains is empty");
    }
    let Ok(tls) = &patient.tls else { return Outcome::skipped("see the check of the certificates") };
    let account = if tls.has_account() {
        "there is an account"
    } else {
        "the account is made with the first certificate"
    };
    match tls.look_at_authority().await {
        Ok(host) => Outcome::ok(format!("{host} answers; {account}")),
        Err(why) => Outcome::failed(
            why,
            "Check tls.acme.directory_url and tls.acme.ca_file, and that this machine may connect to it (port 443, name server, clock).",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckState;
    use super::*;

    fn seen(peer: &str, is_trusted: bool, headers: &[&'static str]) -> Seen {
        let peer = peer.parse().unwrap();
        Seen {
            peer,
            is_trusted,
            caller: peer,
            is_secure: false,
            headers: headers.to_vec(),
            host: Some("a.test".into()),
        }
    }

    #[test]
    fn proxies_that_are_not_believed_or_say_too_little_are_told() {
        let config = Config::defaults("unused");
        let judged = |seen: &Seen| judge_proxy(seen, &config);
        let stranger = judged(&seen("10.0.0.1", false, &["x-forwarded-for"]));
        assert_eq!(stranger.state, CheckState::Warning);
        assert!(stranger.advice.unwrap().contains("server.trusted_proxies = [\"10.0.0.1\"]"));
        assert!(judged(&seen("10.0.0.1", true, &[])).seen.contains("does not say for whom"));
        assert!(judged(&seen("10.0.0.1", true, &["x-forwarded-for"])).seen.contains("over https"));
        assert_eq!(
            judged(&seen("10.0.0.1", true, &["x-forwarded-for", "x-forwarded-proto"])).state,
            CheckState::Ok
        );
        assert_eq!(judged(&seen("10.0.0.1", false, &[])).state, CheckState::Ok);
    }

    #[test]
    fn addresses_of_this_machine_are_known_without_sending_anything() {
        assert!(is_ours("127.0.0.1".parse().unwrap()));
        assert!(!is_ours("192.0.2.1".parse().unwrap()), "an address of documentation");
    }
}
