//! Mail: what the server answered is told step by step, in its own words. The servers are stand-ins that speak SMTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use safelight::clock::{Clock, Timestamp};
use safelight::config::{Config, Mail, MailSecurity, MailServer, Secret};
use safelight::mail::{Error, Letter, Mailer, Step, Template};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::appliance::{safelight, said};
use super::certificates::{Issuer, server_config, until};

/// The password that the stand-in takes.
pub(crate) const MAIL_PASSWORD: &str = "pass word";

/// How a stand-in behaves where it is not simply friendly.
#[derive(Clone, Default)]
pub(crate) struct Manner {
    /// Answers instead of the usual ones, by the first word of the command; `greeting` and `.` are words too.
    pub(crate) answers: Vec<(&'static str, &'static str)>,
    /// The command after which it says nothing any more.
    pub(crate) hangs_at: Option<&'static str>,
    /// What it offers after `EHLO`, beside `STARTTLS`.
    pub(crate) offers: &'static str,
    /// Its encryption, with which it offers STARTTLS or begins.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) tls_first: bool,
}

/// A mail server for tests: one message after the other, kept with its envelope.
pub(crate) struct Post {
    pub(crate) address: SocketAddr,
    /// The lines of all conversations.
    pub(crate) heard: Arc<Mutex<Vec<String>>>,
    /// The messages.
    pub(crate) taken: Arc<Mutex<Vec<String>>>,
}

impl Post {
    pub(crate) async fn open(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, taken) = (Arc::default(), Arc::default());
        let post = Self { address, heard: Arc::clone(&heard), taken: Arc::clone(&taken) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let clerk =
                    Clerk { manner: manner.clone(), heard: Arc::clone(&heard), taken: Arc::clone(&taken) };
                tokio::spawn(async move { clerk.serve(stream).await });
            }
        });
        post
    }

    /// What to write into the configuration to have it used.
    pub(crate) fn settings(&self) -> Mail {
        let server = MailServer {
            host: "127.0.0.1".into(),
            port: self.address.port(),
            security: MailSecurity::None,
            username: None,
            password: None,
            from: "Safelight <safelight@example.org>".into(),
        };
        Mail { server: Some(server), admin: Some("admin@example.org".into()) }
    }

    pub(crate) fn mails(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

struct Clerk {
    manner: Manner,
    heard: Arc<Mutex<Vec<String>>>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Clerk {
    async fn serve(self, stream: TcpStream) -> Option<()> {
        let acceptor = self.manner.tls.clone().map(TlsAcceptor::from);
        if self.manner.tls_first {
            let stream = acceptor?.accept(stream).await.ok()?;
            self.talk(BufReader::new(stream), true, true).await.map(drop)
        } else if let Some(stream) = self.talk(BufReader::new(stream), true, false).await {
            // After STARTTLS everything begins anew, but for the greeting.
            let stream = acceptor?.accept(stream.into_inner()).await.ok()?;
            self.talk(BufReader::new(stream), false, true).await.map(drop)
        } else {
            None
        }
    }

    /// Speaks until the other side goes, or wants encryption.
    async fn talk<S>(&self, mut stream: BufReader<S>, greets: bool, encrypted: bool) -> Option<BufReader<S>>
    where
        S: tokio::io::AsyncRead + AsyncWrite + Unpin,
    {
        if greets {
            self.say(&mut stream, "greeting", "220 post.test at your service").await?;
        }
        loop {
            let line = hear(&mut stream).await?;
            self.heard.lock().unwrap().push(line.clone());
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let usual = match word.as_str() {
                "EHLO" if encrypted || self.manner.tls.is_none() => {
                    format!("250-post.test\r\n250 {}", self.offers())
                }
                "EHLO" => format!("250-post.test\r\n250-STARTTLS\r\n250 {}", self.offers()),
                "STARTTLS" => {
                    self.say(&mut stream, "STARTTLS", "220 go ahead").await?;
                    return Some(stream);
                }
                "AUTH" => self.log_in(&mut stream, &line).await?,
                "MAIL" | "RCPT" => "250 2.1.0 Ok".to_owned(),
                "DATA" => {
                    self.say(&mut stream, "DATA", "354 go on").await?;
                    let mut message = String::new();
                    loop {
                        match hear(&mut stream).await?.as_str() {
                            "." => break,
                            line => {
                                message += &format!(
                                    "{}\n",
                                    line.strip_prefix("..")
                                        .map_or(line.to_owned(), |rest| format!(".{rest}"))
                                )
                            }
                        }
                    }
                    self.say(&mut stream, ".", "250 2.0.0 Ok: queued as 4F2A1").await?;
                    self.taken.lock().unwrap().push(message);
                    continue;
                }
                "QUIT" => {
                    self.say(&mut stream, "QUIT", "221 bye").await?;
                    return None;
                }
                _ => "500 what?".to_owned(),
            };
            self.say(&mut stream, &word, &usual).await?;
        }
    }

    fn offers(&self) -> &'static str {
        if self.manner.offers.is_empty() { "8BITMIME" } else { self.manner.offers }
    }

    async fn log_in<S: tokio::io::AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        line: &str,
    ) -> Option<String> {
        let decoded =
            |text: &str| String::from_utf8_lossy(&BASE64_STANDARD.decode(text).unwrap()).into_owned();
        let given = if let Some(first) = line.strip_prefix("AUTH PLAIN ") {
            decoded(first)
        } else {
            stream.write_all(b"334 VXNlcm5hbWU6\r\n").await.ok()?;
            let name = decoded(&hear(stream).await?);
            stream.write_all(b"334 UGFzc3dvcmQ6\r\n").await.ok()?;
            format!("\0{name}\0{}", decoded(&hear(stream).await?))
        };
        let right = given == format!("\0lamp\0{MAIL_PASSWORD}");
        Some(
            if right { "235 2.7.0 welcome" } else { "535-5.7.8 no such\r\n535 5.7.8 user or password" }
                .to_owned(),
        )
    }

    async fn say<W: AsyncWrite + Unpin>(&self, stream: &mut W, word: &str, usual: &str) -> Option<()> {
        if self.manner.hangs_at == Some(word) {
            std::future::pending::<()>().await;
        }
        let other = self.manner.answers.iter().find(|(at, _)| *at == word).map(|(_, answer)| *answer);
        stream.write_all(format!("{}\r\n", other.unwrap_or(usual)).as_bytes()).await.ok()
    }
}

async fn hear<S: AsyncReadExt + Unpin>(stream: &mut BufReader<S>) -> Option<String>
where
    BufReader<S>: AsyncBufReadExt,
{
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

fn letter() -> Letter {
    Template::Test.write("Grüße – ein Versuch", "photos.example.org", &[("server", "post.test")])
}

fn mailer(mail: &Mail, roots: Option<&Issuer>) -> Mailer {
    let offline = Config::defaults("unused").outbound;
    let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
    // Long where an answer comes, short where none does: only the test about hanging waits for it.
    Mailer::new(mail, &offline, clock)
        .hurried(Duration::from_secs(20), roots.map(|issuer| issuer.root().as_bytes().to_vec()))
}

async fn send(mailer: &Mailer) -> (Result<String, Error>, Vec<String>) {
    let mut steps = Vec::new();
    let sent = mailer.send("olive@example.org", &letter(), |line| steps.push(line)).await;
    (sent, steps)
}

fn with_login(post: &Post, security: MailSecurity, password: &str) -> Mail {
    let mut mail = post.settings();
    let server = mail.server.as_mut().unwrap();
    (server.security, server.host) = (security, "localhost".into());
    server.username = Some("lamp".into());
    server.password = Some(Secret::new(password));
    mail
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_handed_over_and_every_answer_told() {
    let post = Post::open(Manner::default()).await;
    let (sent, steps) = send(&mailer(&post.settings(), None)).await;
    assert_eq!(sent.unwrap(), "250 2.0.0 Ok: queued as 4F2A1");
    assert_eq!(
        steps,
        [
            "127.0.0.1 is at 127.0.0.1".to_owned(),
            format!("connected to {}", post.address),
            "post.test is ready".into(),
            "the sender safelight@example.org is accepted: 250 2.1.0 Ok".into(),
            "the recipient olive@example.org is accepted: 250 2.1.0 Ok".into(),
        ]
    );
    let mail = post.mails().remove(0);
    for line in [
        "From: Safelight <safelight@example.org>",
        "To: olive@example.org",
        "Date: Wed, 18 Nov 2026 11:06:40 +0000",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
    ] {
        assert!(mail.contains(line), "{line}\n{mail}");
    }
    assert!(
        mail.is_ascii() && mail.contains("Subject: =?utf-8?") && mail.contains("@example.org>"),
        "{mail}"
    );
    assert!(mail.contains("multipart/alternative") && mail.contains("text/html"), "{mail}");
    assert_eq!(post.heard.lock().unwrap()[0], "EHLO [127.0.0.1]");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_go_over_encrypted_connections_and_certificates_are_checked() {
    let issuer = Issuer::new();
    let (chain, key) = issuer.issue(&["localhost"]);
    let tls = Some(server_config(&chain, &key));
    for (security, tls_first, offers) in [
        (MailSecurity::StartTls, false, "AUTH PLAIN LOGIN"),
        (MailSecurity::StartTls, false, "AUTH LOGIN"),
        (MailSecurity::Tls, true, "AUTH PLAIN"),
    ] {
        let post = Post::open(Manner { tls: tls.clone(), tls_first, offers, ..Manner::default() }).await;
        let (sent, steps) = send(&mailer(&with_login(&post, security, MAIL_PASSWORD), Some(&issuer))).await;
        assert_eq!(sent.unwrap(), "250 2.0.0 Ok: queued as 4F2A1", "{steps:?}");
        assert!(steps.iter().any(|step| step.starts_with("the connection is encrypted")), "{steps:?}");
        assert!(steps.contains(&"logged in as lamp: 235 2.7.0 welcome".to_owned()), "{steps:?}");

        let (sent, _) = send(&mailer(&with_login(&post, security, "wrong"), Some(&issuer))).await;
        let refused = sent.unwrap_err();
        assert!(matches!(refused, Error::Refused { step: Step::LogIn, may_pass: false, .. }));
        assert_eq!(refused.to_string(), "localhost refused the login: 535 5.7.8 no such user or password");

        // A certificate of somebody else, or for somebody else, ends it before anything is said.
        let (sent, _) =
            send(&mailer(&with_login(&post, security, MAIL_PASSWORD), Some(&Issuer::new()))).await;
        let Err(Error::Tls { reason, .. }) = sent else { panic!("{sent:?}") };
        assert_eq!(reason, "its certificate is from an issuer that this system does not trust");
        let mut other = with_login(&post, security, MAIL_PASSWORD);
        other.server.as_mut().unwrap().host = "127.0.0.1".into();
        let (sent, _) = send(&mailer(&other, Some(&issuer))).await;
        let Err(Error::Tls { reason, .. }) = sent else { panic!("{sent:?}") };
        assert_eq!(reason, "its certificate is for another name");
    }
    // Who knows no STARTTLS gets nothing; who knows only TLS, or no TLS at all, is told apart.
    let plain = Post::open(Manner::default()).await;
    let (sent, _) = send(&mailer(&with_login(&plain, MailSecurity::StartTls, MAIL_PASSWORD), None)).await;
    assert!(matches!(sent, Err(Error::NoStartTls { .. })), "{sent:?}");
    let (sent, _) = send(&mailer(&with_login(&plain, MailSecurity::Tls, MAIL_PASSWORD), None)).await;
    let Err(Error::Tls { reason, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(reason, "it does not speak TLS at this port");
    let (sent, _) = send(&mailer(&with_login(&plain, MailSecurity::None, MAIL_PASSWORD), None)).await;
    assert!(matches!(sent, Err(Error::NoLogin { .. })), "{sent:?}");
    assert!(plain.mails().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_ours_takes_a_message_too() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("127.0.0.1:{port}");
    let mut server = std::process::Command::new("/usr/bin/python3")
        .args(["-u", "-m", "aiosmtpd", "-n", "-l", &listen, "-c", "aiosmtpd.handlers.Debugging", "stdout"])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("Debian's python3 is there");
    let address: SocketAddr = listen.parse().unwrap();
    let post = Post { address, heard: Arc::default(), taken: Arc::default() };
    until("the mail server listens", async || {
        let ended = server.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "install it with `apt-get install python3-aiosmtpd`, or run scripts/bootstrap test"
        );
        TcpStream::connect(address).await.is_ok().then_some(())
    })
    .await;
    let (sent, steps) = send(&mailer(&post.settings(), None)).await;
    server.kill().unwrap();
    let output = server.wait_with_output().unwrap();
    assert!(sent.as_ref().is_ok_and(|said| said.starts_with("250 ")), "{sent:?} {steps:?}");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("To: olive@example.org") && printed.contains("multipart/alternative"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_in_the_servers_own_words() {
    for (word, answer, expected, may_pass) in [
        ("greeting", "554 no service for you", "refused to talk to us: 554 no service for you", false),
        ("MAIL", "550 5.7.1 not yours", "refused the sender: 550 5.7.1 not yours", false),
        ("RCPT", "550-5.1.1 nobody\r\n550 5.1.1 here", "refused the recipient: 550 5.1.1 nobody here", false),
        ("RCPT", "450 4.2.0 grey\x1b[31mlisted", "refused the recipient: 450 4.2.0 grey [31mlisted", true),
        ("DATA", "451 later", "refused the message: 451 later", true),
        (".", "552 5.2.3 too large", "refused the message: 552 5.2.3 too large", false),
    ] {
        let post = Post::open(Manner { answers: vec![(word, answer)], ..Manner::default() }).await;
        let (sent, _) = send(&mailer(&post.settings(), None)).await;
        let refused = sent.unwrap_err();
        assert_eq!(refused.to_string(), format!("127.0.0.1 {expected}"));
        assert_eq!(refused.may_pass(), may_pass, "{refused}");
        assert!(!refused.advice().is_empty());
    }
    // Nonsense, and a server that hangs up in the middle.
    for answer in ["nonsense", "", "250", "999 x"] {
        let post = Post::open(Manner { answers: vec![("EHLO", answer)], ..Manner::default() }).await;
        let waiting = mailer(&post.settings(), None).hurried(Duration::from_millis(300), None);
        let (sent, _) = send(&waiting).await;
        assert!(sent.is_err(), "{answer:?} is no answer to EHLO");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_absence_are_told_apart() {
    for (word, step) in [("greeting", Step::Greet), ("RCPT", Step::Recipient), (".", Step::Message)] {
        let post = Post::open(Manner { hangs_at: Some(word), ..Manner::default() }).await;
        let hurried = mailer(&post.settings(), None).hurried(Duration::from_millis(300), None);
        let (sent, _) = send(&hurried).await;
        assert!(matches!(&sent, Err(Error::TimedOut { step: at, .. }) if *at == step), "{word}: {sent:?}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut mail = Post { address: gone, heard: Arc::default(), taken: Arc::default() }.settings();
    let (sent, _) = send(&mailer(&mail, None)).await;
    assert!(matches!(sent, Err(Error::ConnectionRefused { .. })), "{sent:?}");
    mail.server.as_mut().unwrap().host = "mail.invalid".into();
    let (sent, _) = send(&mailer(&mail, None)).await;
    assert_eq!(sent.unwrap_err().to_string(), "the name mail.invalid can't be resolved");
    let nothing = mailer(&Mail { server: None, admin: None }, None);
    assert!(matches!(send(&nothing).await.0, Err(Error::NotSetUp)));
    let mut offline = Config::defaults("unused").outbound;
    offline.offline = true;
    let silent = Mailer::new(&mail, &offline, Clock::system());
    assert!(matches!(send(&silent).await.0, Err(Error::Offline)) && !silent.is_set_up());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_every_step_and_exits_with_what_became_of_it() {
    let issuer = Issuer::new();
    let (chain, key) = issuer.issue(&["localhost"]);
    let tls = Some(server_config(&chain, &key));
    let post = Post::open(Manner { tls, offers: "AUTH PLAIN", ..Manner::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root.pem");
    std::fs::write(&root, issuer.root()).unwrap();
    let command = |password: &str| {
        let mut command = safelight(&["mail", "test", "--to", "olive@example.org"]);
        command
            .env("SSL_CERT_FILE", &root)
            .env("SAFELIGHT_MAIL__HOST", "localhost")
            .env("SAFELIGHT_MAIL__PORT", post.address.port().to_string())
            .env("SAFELIGHT_MAIL__FROM", "safelight@example.org")
            .env("SAFELIGHT_MAIL__USERNAME", "lamp")
            .env("SAFELIGHT_MAIL__PASSWORD", password);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = command(MAIL_PASSWORD).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}{}", said(&output));
    assert!(told.ends_with("the message is accepted: 250 2.0.0 Ok: queued as 4F2A1\n"), "{told}");
    let output = command("something else").await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    assert!(
        told.contains("localhost refused the login: 535 5.7.8") && told.contains("Check mail.username"),
        "{told}"
    );
    assert!(!told.contains("something else"));
    let output = safelight(&["mail", "test", "--to", "olive@example.org"]).output().unwrap();
    assert!(output.status.code() == Some(1) && said(&output).contains("no mail server is set up"));
}
