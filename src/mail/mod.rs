//! Mail: one message to one person, handed to the server that an admin has set up.
//!
//! The conversation is held step by step, so that whoever asks learns what the server answered to each of them, in its
//! own words. Every step has a deadline. Knows nobody's account and no reason to write; `outbound.offline` holds here too.

mod smtp;
mod template;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::config;

pub use template::{Letter, Template};

/// How long one step of the conversation may take.
const STEP: Duration = Duration::from_secs(20);

/// One step of handing a message over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Finding the server's address.
    Resolve,
    /// Reaching it.
    Connect,
    /// Encrypting the connection.
    Encrypt,
    /// Its first words and ours.
    Greet,
    /// The login.
    LogIn,
    /// Naming the sender.
    Sender,
    /// Naming the recipient.
    Recipient,
    /// The message itself.
    Message,
}

impl Step {
    /// What the server did not let us do, as in “the server refused …”.
    const fn refused(self) -> &'static str {
        match self {
            Self::Resolve | Self::Connect | Self::Greet => "to talk to us",
            Self::Encrypt => "to encrypt the connection",
            Self::LogIn => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Message => "the message",
        }
    }

    /// What was going on, as in “while …”.
    const fn doing(self) -> &'static str {
        match self {
            Self::Resolve => "its address was looked up",
            Self::Connect => "the connection was made",
            Self::Encrypt => "the connection was being encrypted",
            Self::Greet => "its greeting was awaited",
            Self::LogIn => "logging in",
            Self::Sender => "the sender was named",
            Self::Recipient => "the recipient was named",
            Self::Message => "the message was handed over",
        }
    }
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no mail server in the configuration.
    #[error("no mail server is set up")]
    NotSetUp,
    /// `outbound.offline` is set.
    #[error("connections to other machines are forbidden by the setting outbound.offline")]
    Offline,
    /// Something that should be an address is none.
    #[error("{0:?} is no e-mail address that this server takes")]
    BadAddress(String),
    /// The server's name leads nowhere.
    #[error("the name {host} can't be resolved")]
    Unresolved {
        /// The name.
        host: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nobody answers at the port.
    #[error("{host} refuses connections at port {port}: nothing listens there, or a firewall is in between")]
    ConnectionRefused {
        /// The server.
        host: String,
        /// The port.
        port: u16,
    },
    /// The server can't be reached.
    #[error("{host} can't be reached at port {port}")]
    Unreachable {
        /// The server.
        host: String,
        /// The port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A step took too long.
    #[error("{host} did not answer in time while {}", step.doing())]
    TimedOut {
        /// The server.
        host: String,
        /// Which step.
        step: Step,
    },
    /// The server has no STARTTLS.
    #[error("{host} does not offer STARTTLS, so nothing was sent")]
    NoStartTls {
        /// The server.
        host: String,
    },
    /// The connection could not be encrypted.
    #[error("the connection to {host} could not be encrypted: {reason}")]
    Tls {
        /// The server.
        host: String,
        /// Why, in plain words.
        reason: String,
    },
    /// A password would go over the network in the clear.
    #[error("the password is not sent to {host} without encryption")]
    PasswordInTheClear {
        /// The server.
        host: String,
    },
    /// The server offers no login that we can do.
    #[error("{host} offers no login (neither AUTH PLAIN nor AUTH LOGIN)")]
    NoLogin {
        /// The server.
        host: String,
    },
    /// The server said no.
    #[error("{host} refused {}: {said}", step.refused())]
    Refused {
        /// The server.
        host: String,
        /// At which step.
        step: Step,
        /// Whether trying later may help: an answer of the 400s.
        may_pass: bool,
        /// Its answer with its number.
        said: String,
    },
    /// The connection broke, or the server said what SMTP does not know.
    #[error("the conversation with {host} broke off while {}: {reason}", step.doing())]
    Broken {
        /// The server.
        host: String,
        /// At which step.
        step: Step,
        /// How.
        reason: String,
    },
}

impl Error {
    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotSetUp => "Set mail.host and mail.from.",
            Self::Offline => "Mail needs outbound.offline = false.",
            Self::BadAddress(_) => "Check the address; beyond ASCII the server must know SMTPUTF8.",
            Self::Unresolved { .. } => "Check mail.host and this machine's name server.",
            Self::ConnectionRefused { .. } | Self::Unreachable { .. } => {
                "Check mail.host and mail.port; many providers block port 25, so use 587 or 465."
            }
            Self::TimedOut { step: Step::Connect, .. } => {
                "A firewall may be in between: many providers block port 25, so use 587 or 465."
            }
            Self::TimedOut { step: Step::Greet, .. } => {
                "The server may want encryption from the beginning: try mail.security = \"tls\" (port 465)."
            }
            Self::TimedOut { .. } | Self::Broken { .. } => {
                "Try again later, and look into the mail server's log."
            }
            Self::NoStartTls { .. } => {
                "Set mail.security to \"tls\" (port 465) if the server has that, to \"none\" only for a server on this machine."
            }
            Self::Tls { .. } => {
                "mail.host must be the name in the server's certificate, and its issuer one that this system trusts; \
                 \"starttls\" belongs to port 587, \"tls\" to port 465."
            }
            Self::PasswordInTheClear { .. } => "Set mail.security to \"starttls\" or \"tls\".",
            Self::NoLogin { .. } => {
                "Remove mail.username and mail.password if the server wants no login; some offer it only once encrypted."
            }
            Self::Refused { step: Step::LogIn, .. } => {
                "Check mail.username and mail.password; providers with a second factor want a password for applications."
            }
            Self::Refused { step: Step::Sender, .. } => {
                "Check mail.from: most servers only take the account's own address."
            }
            Self::Refused { step: Step::Recipient, .. } => {
                "Check the address; a server that says «relay» wants a login or does not know this machine."
            }
            Self::Refused { .. } => "The server's words above say why.",
        }
    }

    /// Whether the same may succeed later.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Refused { may_pass, .. } => *may_pass,
            Self::Unresolved { .. }
            | Self::ConnectionRefused { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. } => true,
            _ => false,
        }
    }
}

/// What this room returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Hands messages over. Cheap to clone; nothing is reached before the first one.
#[derive(Debug, Clone)]
pub struct Mailer {
    server: Option<config::MailServer>,
    offline: Arc<AtomicBool>,
    step: Duration,
    /// Trusted beside the system's, as PEM.
    roots: Option<Vec<u8>>,
    clock: Clock,
}

impl Mailer {
    /// Makes the mailer of a process.
    pub fn new(mail: &config::Mail, outbound: &config::Outbound, clock: Clock) -> Self {
        let offline = Arc::new(AtomicBool::new(outbound.offline));
        Self { server: mail.server.clone(), offline, step: STEP, roots: None, clock }
    }

    /// The same with other patience and other roots; for tests.
    #[must_use]
    pub fn hurried(mut self, step: Duration, roots: Option<Vec<u8>>) -> Self {
        (self.step, self.roots) = (step, roots);
        self
    }

    /// Sets what may change while the process runs, for all clones.
    pub fn configure(&self, outbound: &config::Outbound) {
        self.offline.store(outbound.offline, Ordering::Relaxed);
    }

    /// Whether mail can be sent as far as the configuration goes.
    pub fn is_set_up(&self) -> bool {
        self.server.is_some() && !self.offline.load(Ordering::Relaxed)
    }

    /// The server as people know it, `host:port`.
    pub fn server(&self) -> Option<String> {
        self.server.as_ref().map(|server| format!("{}:{}", server.host, server.port))
    }

    /// Hands a message over and returns what the server said when it took it, with the id that it gave it. Each step is
    /// told to `tell` when it has succeeded.
    ///
    /// # Errors
    /// The first step that failed.
    pub async fn send(
        &self,
        to: &str,
        letter: &Letter,
        mut tell: impl FnMut(String) + Send,
    ) -> Result<String> {
        let server = self.ready()?;
        let envelope = smtp::Envelope::new(&server.from, to)?;
        let message = envelope.message(letter, self.clock.now())?;
        let mut talk = smtp::Talk::begin(self, server, &mut tell).await?;
        talk.hand_over(&envelope, &message, &mut tell).await
    }

    /// Connects and logs in without sending anything.
    ///
    /// # Errors
    /// The first step that failed.
    pub async fn check(&self, mut tell: impl FnMut(String) + Send) -> Result<()> {
        let server = self.ready()?;
        smtp::Envelope::new(&server.from, &server.from)?;
        smtp::Talk::begin(self, server, &mut tell).await?.end().await;
        Ok(())
    }

    fn ready(&self) -> Result<&config::MailServer> {
        let server = self.server.as_ref().ok_or(Error::NotSetUp)?;
        if self.offline.load(Ordering::Relaxed) { Err(Error::Offline) } else { Ok(server) }
    }
}
