//! Asking name servers: over UDP, and over TCP for what is long or must arrive.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message::{self, DnsAnswer, DnsData};

/// How long one try may take.
const TRY: Duration = Duration::from_secs(3);

/// How long a question that is asked once may take.
const ONCE: Duration = Duration::from_secs(10);

pub(super) fn number() -> u16 {
    getrandom::u32().map_or(0x5afe, |number| number as u16)
}

/// Asks for records of a name.
pub(super) async fn ask(server: SocketAddr, name: &str, kind: u16, recursive: bool) -> io::Result<DnsAnswer> {
    let question = message::question(number(), name, kind, recursive).ok_or(io::ErrorKind::InvalidInput)?;
    for _ in 0..2 {
        if let Ok(Ok(answer)) = tokio::time::timeout(TRY, by_udp(server, &question)).await {
            if answer.is_cut {
                break;
            }
            return Ok(answer);
        }
    }
    by_tcp(server, &question).await.map(|(_, answer)| answer)
}

async fn by_udp(server: SocketAddr, question: &[u8]) -> io::Result<DnsAnswer> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut bytes = [0; 4096];
    loop {
        let length = socket.recv(&mut bytes).await?;
        // What somebody else has guessed is no answer.
        let answer = message::read_dns_answer(&bytes[..length]);
        if let Some(answer) = answer.filter(|answer| answer.id.to_be_bytes() == question[..2]) {
            return Ok(answer);
        }
    }
}

/// Asks once and returns the answer, as it came and as it was read.
pub(super) async fn by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<(Vec<u8>, DnsAnswer)> {
    let talk = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        let answer =
            message::read_dns_answer(&bytes).filter(|answer| answer.id.to_be_bytes() == question[..2]);
        Ok((bytes, answer.ok_or(io::ErrorKind::InvalidData)?))
    };
    tokio::time::timeout(ONCE, talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The servers in charge of a name, as this one knows them; those that are asked about have the same port.
pub(super) async fn in_charge(resolver: SocketAddr, name: &str) -> Vec<SocketAddr> {
    for zone in super::suffixes(name) {
        let Ok(answer) = ask(resolver, zone, message::NS, true).await else { return Vec::new() };
        let own = answer.records.iter().filter(|record| record.name == zone);
        let names: Vec<String> = own
            .filter_map(|record| match &record.data {
                DnsData::Name(name) => Some(name.clone()),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            continue;
        }
        let mut found = Vec::new();
        for name in &names {
            found.extend(
                addresses(resolver, name).await.into_iter().map(|ip| SocketAddr::new(ip, resolver.port())),
            );
        }
        return found;
    }
    Vec::new()
}

async fn addresses(resolver: SocketAddr, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for kind in [message::A, message::AAAA] {
        let Ok(answer) = ask(resolver, name, kind, true).await else { continue };
        found.extend(answer.records.into_iter().filter_map(|record| match record.data {
            DnsData::Address(address) => Some(address),
            _ => None,
        }));
    }
    if found.is_empty() {
        // A server that knows its own zone only.
        found.extend(tokio::net::lookup_host((name, 53)).await.into_iter().flatten().map(|at| at.ip()));
    }
    found
}

/// Whether a server shows a text at a name; nothing when it does not answer.
pub(super) async fn shows(server: SocketAddr, name: &str, value: &str) -> Option<bool> {
    let answer = ask(server, name, message::TXT, false).await.ok()?;
    // One that refuses or fails says nothing about the record; 3 is: there is no such name.
    if !matches!(answer.code, 0 | 3) {
        return None;
    }
    let wanted = DnsData::Text(value.as_bytes().to_vec());
    Some(answer.records.iter().any(|record| record.data == wanted))
}

/// The name server that this machine uses.
pub(super) async fn of_this_machine() -> Option<SocketAddr> {
    let text = tokio::fs::read_to_string("/etc/resolv.conf").await.ok()?;
    let address = text.lines().find_map(|line| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        address.split('%').next()?.parse::<IpAddr>().ok()
    })?;
    Some(SocketAddr::new(address, 53))
}
