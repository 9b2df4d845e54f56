//! The conversation with a mail server (RFC 5321), one step after the other, on lettre's connection.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Quit, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use lettre::transport::smtp::{self};
use lettre::{Address, Message};
use tokio::net::TcpStream;

use super::{Error, Letter, Mailer, Result, Step};
use crate::clock::Timestamp;
use crate::config::{MailSecurity, MailServer};

/// What is kept of one answer of a server: it goes onto terminals and pages.
const SAID_CHARS_MAX: usize = 500;

/// Who writes to whom.
pub(super) struct Envelope {
    from: Mailbox,
    to: Address,
}

impl Envelope {
    pub(super) fn new(from: &str, to: &str) -> Result<Self> {
        let bad = |address: &str| Error::BadAddress(address.chars().take(200).collect());
        let from: Mailbox = from.trim().parse().map_err(|_| bad(from))?;
        let to: Mailbox = to.trim().parse().map_err(|_| bad(to))?;
        Ok(Self { from, to: to.email })
    }

    /// The message as it goes over the wire: both forms of the letter, everything in ASCII.
    pub(super) fn message(&self, letter: &Letter, now: Timestamp) -> Result<Vec<u8>> {
        let id = format!("<{}@{}>", crate::id::fresh(), self.from.email.domain());
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(letter.subject.clone())
            .date(UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(id))
            .raw_header(automatic())
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|_| Error::BadAddress(self.to.to_string()))?;
        Ok(message.formatted())
    }
}

/// Tells programs that answer mail by themselves not to (RFC 3834).
fn automatic() -> lettre::message::header::HeaderValue {
    let name = lettre::message::header::HeaderName::new_from_ascii_str("Auto-Submitted");
    lettre::message::header::HeaderValue::new(name, "auto-generated".to_owned())
}

/// A server that has greeted us, and knows who we are where it wants to.
pub(super) struct Talk {
    connection: AsyncSmtpConnection,
    host: String,
    step: Duration,
}

impl Talk {
    pub(super) async fn begin(
        mailer: &Mailer,
        server: &MailServer,
        tell: &mut (impl FnMut(String) + Send),
    ) -> Result<Self> {
        let addresses = resolve(mailer, server).await?;
        let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        tell(format!("{} is at {}", server.host, shown.join(", ")));
        let mut talk = Self::connect(mailer, server, &addresses, tell).await?;
        if let (Some(username), Some(password)) = (&server.username, &server.password) {
            let near = addresses.iter().all(|address| address.ip().is_loopback());
            if server.security == MailSecurity::None && !near {
                return Err(Error::PasswordInTheClear { host: server.host.clone() });
            }
            let credentials = Credentials::new(username.clone(), password.expose().to_owned());
            let said = talk.log_in(&credentials).await?;
            tell(format!("logged in as {username}: {said}"));
        }
        Ok(talk)
    }

    /// The first of the server's addresses that answers, encrypted as it is to be.
    async fn connect(
        mailer: &Mailer,
        server: &MailServer,
        addresses: &[SocketAddr],
        tell: &mut (impl FnMut(String) + Send),
    ) -> Result<Self> {
        let mut failure = None;
        for address in addresses {
            match Self::connect_to(mailer, server, *address, tell).await {
                // Only who can't be reached is passed over: what a server says holds for all of its addresses.
                Err(e @ (Error::ConnectionRefused { .. } | Error::Unreachable { .. })) => failure = Some(e),
                other => return other,
            }
        }
        let lost = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
        Err(failure.unwrap_or_else(|| Error::Unresolved { host: server.host.clone(), source: lost() }))
    }

    async fn connect_to(
        mailer: &Mailer,
        server: &MailServer,
        address: SocketAddr,
        tell: &mut (impl FnMut(String) + Send),
    ) -> Result<Self> {
        let host = server.host.clone();
        let within = Within { host: &host, limit: mailer.step };
        let stream = within.io(Step::Connect, TcpStream::connect(address)).await?;
        let stream = stream.map_err(|source| unreachable(server, source))?;
        let name = stream.local_addr().map_or(ClientId::default(), |own| match own.ip().to_canonical() {
            std::net::IpAddr::V4(own) => ClientId::Ipv4(own),
            std::net::IpAddr::V6(own) => ClientId::Ipv6(own),
        });
        tell(format!("connected to {address}"));
        let connection = match server.security {
            MailSecurity::Tls => {
                // lettre makes this connection by itself; the first one has told that somebody is there.
                drop(stream);
                let encryption = encryption(mailer, &host)?;
                let connecting =
                    AsyncSmtpConnection::connect_tokio1(address, None, &name, Some(encryption), None);
                let connection = within.step(Step::Encrypt, connecting).await?;
                tell("the connection is encrypted".to_owned());
                connection
            }
            security => {
                let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name);
                let mut connection = within.step(Step::Greet, connecting).await?;
                if security == MailSecurity::StartTls {
                    if !connection.can_starttls() {
                        return Err(Error::NoStartTls { host });
                    }
                    let upgrade = connection.starttls(encryption(mailer, &host)?, &name);
                    within.step(Step::Encrypt, upgrade).await?;
                    tell("the connection is encrypted (STARTTLS)".to_owned());
                }
                connection
            }
        };
        tell(format!("{} is ready", connection.server_info().name()));
        Ok(Self { connection, host: server.host.clone(), step: mailer.step })
    }

    async fn log_in(&mut self, credentials: &Credentials) -> Result<String> {
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if self.connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
            return Err(Error::NoLogin { host: self.host.clone() });
        }
        let within = Within { host: &self.host, limit: self.step };
        let said = within.step(Step::LogIn, self.connection.auth(&mechanisms, credentials)).await?;
        Ok(in_words(&said))
    }

    /// Hands the message over; what the server said to it.
    pub(super) async fn hand_over(
        &mut self,
        envelope: &Envelope,
        message: &[u8],
        tell: &mut (impl FnMut(String) + Send),
    ) -> Result<String> {
        let sender = &envelope.from.email;
        let mut parameters = Vec::new();
        if let Some(beyond) = [sender, &envelope.to].into_iter().find(|address| !address_is_ascii(address)) {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Error::BadAddress(beyond.to_string()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let said = self.command(Step::Sender, Mail::new(Some(sender.clone()), parameters)).await?;
        tell(format!("the sender {sender} is accepted: {said}"));
        let said = self.command(Step::Recipient, Rcpt::new(envelope.to.clone(), Vec::new())).await?;
        tell(format!("the recipient {} is accepted: {said}", envelope.to));
        self.command(Step::Message, Data).await?;
        let within = Within { host: &self.host, limit: self.step };
        let said = within.step(Step::Message, self.connection.message(message)).await?;
        let said = in_words(&said);
        // It is taken: how the farewell goes does not matter any more.
        let _ = self.command(Step::Message, Quit).await;
        Ok(said)
    }

    /// Says goodbye without having sent anything.
    pub(super) async fn end(mut self) {
        let _ = self.command(Step::Message, Quit).await;
    }

    async fn command(&mut self, step: Step, command: impl Display) -> Result<String> {
        let within = Within { host: &self.host, limit: self.step };
        Ok(in_words(&within.step(step, self.connection.command(command)).await?))
    }
}

fn address_is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

async fn resolve(mailer: &Mailer, server: &MailServer) -> Result<Vec<SocketAddr>> {
    let host = server.host.trim_start_matches('[').trim_end_matches(']');
    let within = Within { host: &server.host, limit: mailer.step };
    let found = within.io(Step::Resolve, tokio::net::lookup_host((host, server.port))).await?;
    let found = found.map_err(|source| Error::Unresolved { host: server.host.clone(), source })?;
    Ok(found.collect())
}

fn unreachable(server: &MailServer, source: io::Error) -> Error {
    let (host, port) = (server.host.clone(), server.port);
    match source.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused { host, port },
        _ => Error::Unreachable { host, port, source },
    }
}

fn encryption(mailer: &Mailer, host: &str) -> Result<TlsParameters> {
    let failed = |e: smtp::Error| Error::Tls { host: host.to_owned(), reason: e.to_string() };
    let mut builder = TlsParametersBuilder::new(host.to_owned());
    if let Some(pem) = &mailer.roots {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(failed)?);
    }
    builder.build().map_err(failed)
}

/// A server's patience with us is its own affair; this is ours with it.
struct Within<'a> {
    host: &'a str,
    limit: Duration,
}

impl Within<'_> {
    async fn io<T>(&self, step: Step, work: impl Future<Output = T>) -> Result<T> {
        let late = |_| Error::TimedOut { host: self.host.to_owned(), step };
        tokio::time::timeout(self.limit, work).await.map_err(late)
    }

    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<T, smtp::Error>>) -> Result<T> {
        self.io(step, work).await?.map_err(|e| self.failure(step, &e))
    }

    fn failure(&self, step: Step, error: &smtp::Error) -> Error {
        let host = self.host.to_owned();
        if let Some(code) = error.status() {
            let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            // The greeting comes in the same step as the handshake when there is one from the beginning.
            let step = if step == Step::Encrypt { Step::Greet } else { step };
            return Error::Refused {
                host,
                step,
                may_pass: error.is_transient(),
                said: shorten(&format!("{code} {words}")),
            };
        }
        if step == Step::Encrypt && !error.is_response() {
            return Error::Tls { host, reason: encryption_failure(error) };
        }
        let mut reason = error.to_string();
        if error.is_response() {
            "it said what SMTP does not know, or hung up".clone_into(&mut reason);
        }
        Error::Broken { host, step, reason: shorten(&reason) }
    }
}

/// What went wrong with the encryption, in plain words where it is one of the usual things.
fn encryption_failure(error: &smtp::Error) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(at) = cause {
        text = at.to_string();
        cause = at.source();
    }
    let plain = [
        ("UnknownIssuer", "its certificate is from an issuer that this system does not trust"),
        ("BadSignature", "its certificate is from an issuer that this system does not trust"),
        ("not valid for name", "its certificate is for another name"),
        ("NotValidForName", "its certificate is for another name"),
        ("expired", "its certificate has expired"),
        ("Expired", "its certificate has expired"),
        ("InvalidContentType", "it does not speak TLS at this port"),
        ("corrupt message", "it does not speak TLS at this port"),
    ];
    let known = plain.iter().find(|(sign, _)| text.contains(sign)).map(|(_, plain)| *plain);
    known.map_or_else(|| shorten(&text), str::to_owned)
}

/// An answer with its number, on one line.
fn in_words(response: &Response) -> String {
    shorten(&format!("{} {}", response.code(), response.message().collect::<Vec<_>>().join(" ")))
}

/// Foreign words as one line without anything that moves a terminal's cursor.
fn shorten(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}
