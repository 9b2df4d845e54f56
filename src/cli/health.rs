//! `safelight health`: asks the server on this machine whether it can work. For containers and scripts.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::{GlobalArgs, ListenArgs, put, settings};
use crate::config::{Config, Environment};

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that is read of an answer.
const ANSWER_MAX: u64 = 64 << 10;

/// `safelight health`
#[derive(Debug, Clone, clap::Args)]
pub struct HealthArgs {
    #[command(flatten)]
    listen: ListenArgs,
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Prints what the server answers; fails unless it can work.
///
/// # Errors
/// When nobody answers.
pub fn run(args: &HealthArgs, global: &GlobalArgs, environment: &Environment) -> anyhow::Result<ExitCode> {
    let mut flags = global.flags();
    flags.listen.clone_from(&args.listen.listen);
    let config = settings(&flags, environment)?;
    let (status, body) = ask(&config)?;
    put(format!("{}\n", body.trim_end()).as_bytes())?;
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask(config: &Config) -> anyhow::Result<(u16, String)> {
    let (address, encrypted) = match config.server.listen {
        Some(address) => (address, false),
        None => (config.server.https_listen, true),
    };
    let socket = connect(address).with_context(|| format!("nobody answers at {address}"))?;
    let peer = socket.peer_addr()?.ip();
    let mut greeting = String::new();
    let server = &config.server;
    if server.proxy_protocol && server.trusted_proxies.iter().any(|network| network.contains(peer)) {
        greeting.push_str("PROXY UNKNOWN\r\n");
    }
    let mut socket = socket;
    socket.write_all(greeting.as_bytes())?;
    let mut stream: Box<dyn Stream> =
        if encrypted { Box::new(encrypt(socket, peer)?) } else { Box::new(socket) };
    let request = format!(
        "GET {}/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        config.server.base_path
    );
    stream.write_all(request.as_bytes()).context("the server does not listen")?;
    let mut answer = Vec::new();
    match stream.take(ANSWER_MAX).read_to_end(&mut answer) {
        Err(e) if e.kind() != ErrorKind::UnexpectedEof => Err(e).context("the server does not answer")?,
        _ => {}
    }
    understand(&answer).context("what answers is not Safelight")
}

/// `0.0.0.0` and `[::]` are this machine, and the latter by IPv4 where it has nothing else.
fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let candidates = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]
        }
        ip => vec![ip],
    };
    let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
    for ip in candidates {
        match TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn understand(answer: &[u8]) -> Option<(u16, String)> {
    let answer = String::from_utf8_lossy(answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.to_owned()))
}

fn encrypt(socket: TcpStream, peer: IpAddr) -> anyhow::Result<StreamOwned<ClientConnection, TcpStream>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::IpAddress(peer.into()))?;
    Ok(StreamOwned::new(connection, socket))
}

/// Takes every certificate: what is asked is on this machine, no name of it is known, and nothing secret is said.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_http_is_understood() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(understand(answer), Some((503, "{}".to_owned())));
        for nonsense in [&b""[..], b"HTTP/1.1 ", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 \xc3\xa9\xc3\r\n\r\n"]
        {
            assert_eq!(understand(nonsense), None);
        }
    }
}
