//! Certificates from an authority: Debian's Pebble, which checks names as the great ones do.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use reqwest::{Certificate, Client};
use safelight::clock::Clock;
use safelight::config::{Challenge, Config, Secret};
use safelight::outbound::Outbound;
use safelight::server::{self, Door, Listening};
use safelight::tls::{CertificateState, CertificateStatus, Pace, Tls, TryNow};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::certificates::{Issuer, server_config, until};
use super::dns::Bind;

/// The key of the account that can be arranged with Pebble.
const ARRANGED_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// The lines of a long download.
const LINES: usize = 60;

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A child that ends with the test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let program = command.get_program().to_string_lossy().into_owned();
        Self(started.unwrap_or_else(|e| {
            panic!("{program} can't be started ({e}): install it with `apt-get install pebble`, or run scripts/bootstrap test")
        }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pebble with its DNS, which says 127.0.0.1 for every name.
struct Authority {
    /// What our side takes for the time.
    clock: Clock,
    dir: tempfile::TempDir,
    issuer: Issuer,
    acme: u16,
    management: u16,
    dns: u16,
    records: u16,
    http: u16,
    https: u16,
    /// Whether it only serves accounts that were arranged.
    arranged: bool,
    _dns: Running,
    pebble: Option<Running>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let issuer = Issuer::new();
        let (chain, key) = issuer.issue(&["localhost", "127.0.0.1"]);
        std::fs::write(dir.path().join("root.pem"), issuer.root()).unwrap();
        std::fs::write(dir.path().join("chain.pem"), chain).unwrap();
        std::fs::write(dir.path().join("key.pem"), key).unwrap();
        let (dns, records) = (free_port(), free_port());
        let mut command = Command::new("pebble-challtestsrv");
        for (flag, value) in [
            ("-http01", String::new()),
            ("-https01", String::new()),
            ("-tlsalpn01", String::new()),
            ("-dns01", format!("127.0.0.1:{dns}")),
            ("-management", format!("127.0.0.1:{records}")),
            ("-defaultIPv4", "127.0.0.1".to_owned()),
            ("-defaultIPv6", String::new()),
        ] {
            command.arg(flag).arg(value);
        }
        let (acme, management, http, https) = (free_port(), free_port(), free_port(), free_port());
        let _dns = Running::start(&mut command);
        Self {
            clock: Clock::system(),
            dir,
            issuer,
            acme,
            management,
            dns,
            records,
            http,
            https,
            arranged: false,
            _dns,
            pebble: None,
        }
    }

    /// Starts Pebble; what one before it knew is forgotten.
    async fn start(&mut self) {
        self.pebble = None;
        let file = |name: &str| self.dir.path().join(name).to_string_lossy().into_owned();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.acme),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": file("chain.pem"),
            "privateKey": file("key.pem"),
            "httpPort": self.http,
            "tlsPort": self.https,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.arranged,
            "externalAccountMACKeys": { "kid-1": ARRANGED_KEY },
            "domainBlocklist": ["blocked.test"],
            "retryAfter": { "authz": 1, "order": 1 },
            "certificateValidityPeriod": 86400,
        }});
        std::fs::write(self.dir.path().join("pebble.json"), config.to_string()).unwrap();
        let mut command = Command::new("pebble");
        command.arg("-config").arg(file("pebble.json")).arg("-strict=false");
        command.arg("-dnsserver").arg(format!("127.0.0.1:{}", self.dns));
        command
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", "5");
        let client = self.client();
        // Another test may have been given the port in between: the second try has it.
        until("Pebble answers", async || {
            let has_ended = |child: &mut Running| !matches!(child.0.try_wait(), Ok(None));
            if self.pebble.as_mut().is_none_or(has_ended) {
                self.pebble = Some(Running::start(&mut command));
            }
            client.get(self.directory()).send().await.is_ok().then_some(())
        })
        .await;
    }

    fn stop(&mut self) {
        self.pebble = None;
    }

    fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.acme)
    }

    /// Who trusts the authority's own server.
    fn client(&self) -> Client {
        let root = Certificate::from_pem(self.issuer.root().as_bytes()).unwrap();
        Client::builder().tls_certs_only([root]).no_proxy().build().unwrap()
    }

    /// Who trusts what the authority issues, and finds our names.
    async fn visitor(&self, names: &[&str]) -> Client {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let root = self.client().get(url).send().await.unwrap().bytes().await.unwrap();
        let mut builder =
            Client::builder().tls_certs_only([Certificate::from_pem(&root).unwrap()]).no_proxy();
        for name in names {
            builder = builder.resolve(name, SocketAddr::from(([127, 0, 0, 1], self.https)));
        }
        builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
    }

    fn config(&self, data: &Path, change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::defaults(data);
        config.tls.acme.directory_url = self.directory();
        config.tls.acme.ca_file = Some(self.dir.path().join("root.pem"));
        config.tls.email = Some("admin@example.org".to_owned());
        change(&mut config);
        config
    }

    fn tls(&self, config: &Config) -> Tls {
        let outbound = Outbound::new(&config.outbound);
        let pace = Pace {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(400),
            poll: Duration::from_millis(50),
            answer: Duration::from_secs(5),
            between: Duration::ZERO,
            nap: Duration::from_millis(100),
            ..Pace::default()
        };
        let folder = config.data_dir.join("acme");
        Tls::open(&config.tls, folder, &outbound, self.clock.clone(), pace).unwrap()
    }

    async fn site(&self, data: &Path, change: impl FnOnce(&mut Config)) -> Site {
        let config = self.config(data, change);
        let tls = self.tls(&config);
        let listening = Listening::new(&config)
            .open(
                ([127, 0, 0, 1], self.https).into(),
                Door::Tls(tls.server_config().unwrap(), Duration::ZERO),
            )
            .await
            .unwrap()
            .open(([127, 0, 0, 1], self.http).into(), Door::Other(server::front(tls.clone(), self.https)))
            .await
            .unwrap();
        let stopping = CancellationToken::new();
        let pages = Router::new().route("/", get(async || "hello")).route("/long", get(long));
        let served = tokio::spawn(server::serve(listening, pages, stopping.clone()));
        let keeping = tokio::spawn({
            let (tls, stopping) = (tls.clone(), stopping.clone());
            async move { tls.run(stopping).await }
        });
        Site { tls, stopping, tasks: Some((served, keeping)) }
    }
}

/// A page that takes its time.
async fn long() -> Body {
    let lines = stream::iter(0..LINES).then(async |line| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok::<_, std::io::Error>(Bytes::from(format!("{line}\n")))
    });
    Body::from_stream(lines)
}

/// Our side: an encrypted door, the one beside it, and what keeps the certificates.
struct Site {
    tls: Tls,
    stopping: CancellationToken,
    tasks: Option<(tokio::task::JoinHandle<()>, tokio::task::JoinHandle<()>)>,
}

impl Site {
    fn first(&self) -> CertificateStatus {
        self.tls.status().remove(0)
    }

    async fn until_valid(&self) {
        until("every certificate is there", async || {
            let status = self.tls.status();
            status
                .iter()
                .all(|one| one.state == CertificateState::Valid && one.failed_attempts == 0)
                .then_some(())
        })
        .await;
    }

    async fn stop(mut self) {
        self.stopping.cancel();
        let (served, keeping) = self.tasks.take().unwrap();
        served.await.unwrap();
        keeping.await.unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

fn groups(groups: &[&[&str]]) -> Vec<Vec<String>> {
    groups.iter().map(|names| names.iter().map(ToString::to_string).collect()).collect()
}

/// The number of the certificate that a new visitor gets.
async fn page(visitor: &Client, name: &str, https: u16) -> StatusCode {
    visitor.get(format!("https://{name}:{https}/")).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_come_by_each_challenge_for_several_names() {
    let mut authority = Authority::new();
    authority.start().await;
    let data = tempfile::tempdir().unwrap();
    let hook = hook(data.path(), authority.records);
    for (challenge, domains, asked) in [
        (Challenge::TlsAlpn01, groups(&[&["a.test", "b.test"], &["c.test"]]), ["a.test", "b.test", "c.test"]),
        (
            Challenge::Http01,
            groups(&[&["d.test"], &["127.0.0.1", "e.test"]]),
            ["d.test", "e.test", "127.0.0.1"],
        ),
        (Challenge::Dns01, groups(&[&["*.w.test", "w.test"]]), ["w.test", "x.w.test", "y.w.test"]),
    ] {
        let began = Instant::now();
        let site = authority
            .site(data.path(), |config| {
                config.tls.domains = domains;
                config.tls.acme.challenges = vec![challenge];
                config.tls.acme.dns_hook = Some(hook.clone());
            })
            .await;
        assert_eq!(site.first().state, CertificateState::Makeshift);
        site.until_valid().await;
        println!("{challenge:?}: {} certificates after {:?}", site.tls.status().len(), began.elapsed());
        let visitor = authority.visitor(&asked).await;
        for name in asked {
            assert_eq!(page(&visitor, name, authority.https).await, 200, "{name}");
            // Beside it, people are shown the way, but only to names that are ours.
            let plain = format!("http://127.0.0.1:{}/a?b=c", authority.http);
            let shown = visitor.get(&plain).header("host", name).send().await.unwrap();
            let expected = format!("https://{name}:{}/a?b=c", authority.https);
            assert_eq!(shown.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(shown.headers()["location"], expected);
            let other = visitor.get(&plain).header("host", "other.example").send().await.unwrap();
            assert_eq!(other.status(), StatusCode::MISDIRECTED_REQUEST);
        }
        let status = site.first();
        assert!(status.issuer.is_some() && status.cause.is_none(), "{status:?}");
        assert!(status.next_attempt_at.is_none_or(|next| Some(next) < status.not_after), "{status:?}");
        site.stop().await;
    }
    // One account for all of them.
    assert_eq!(std::fs::read_dir(data.path().join("acme/accounts")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_comes_by_changes_at_a_name_server() {
    let bind = Bind::start().await;
    let mut authority = Authority::new();
    authority.dns = bind.port;
    authority.start().await;
    let data = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let site = authority
        .site(data.path(), |config| {
            config.tls.domains = groups(&[&["*.w.test", "w.test"]]);
            config.tls.acme.challenges = vec![Challenge::Dns01];
            bind.settings(&mut config.tls.acme.dns);
        })
        .await;
    site.until_valid().await;
    println!("a wildcard came by RFC 2136 after {:?}", began.elapsed());
    let visitor = authority.visitor(&["w.test", "x.w.test"]).await;
    for name in ["w.test", "x.w.test"] {
        assert_eq!(page(&visitor, name, authority.https).await, 200, "{name}");
    }
    until("the records are gone", async || {
        bind.texts("_acme-challenge.w.test").filter(Vec::is_empty).map(|_| ())
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arranged_accounts_a_second_authority_and_rehearsals_work() {
    let mut authority = Authority::new();
    authority.arranged = true;
    authority.start().await;
    let data = tempfile::tempdir().unwrap();
    let domains = |name: &'static str| move |config: &mut Config| config.tls.domains = groups(&[&[name]]);
    let site = authority.site(data.path(), domains("a.test")).await;
    let cause = until("a failure is told", async || site.first().cause).await;
    assert!(cause.contains("set tls.acme.eab_kid and tls.acme.eab_hmac_key"), "{cause}");
    site.stop().await;

    let arranged = |name| {
        move |config: &mut Config| {
            domains(name)(config);
            config.tls.acme.eab_kid = Some("kid-1".to_owned());
            config.tls.acme.eab_hmac_key = Some(Secret::new(ARRANGED_KEY));
        }
    };
    let site = authority.site(data.path(), arranged("a.test")).await;
    site.until_valid().await;
    let serial = site.first().serial;

    // Whether it would work again can be asked, by this process and by one beside it, and changes nothing.
    let rehearsed = site.tls.dry_run(false).await.remove(0);
    assert!(rehearsed.passed && rehearsed.causes.is_empty(), "{rehearsed:?}");
    for challenge in [Challenge::TlsAlpn01, Challenge::Http01] {
        let config = authority.config(data.path(), |config| {
            arranged("a.test")(config);
            config.tls.acme.challenges = vec![challenge];
        });
        let rehearsed = authority.tls(&config).dry_run(true).await.remove(0);
        assert!(rehearsed.passed, "{challenge:?}: {rehearsed:?}");
        assert_eq!(std::fs::read_dir(data.path().join("acme/answers")).unwrap().count(), 0);
    }
    let config = authority.config(data.path(), arranged("blocked.test"));
    let rehearsed = authority.tls(&config).dry_run(true).await.remove(0);
    assert!(!rehearsed.passed, "{rehearsed:?}");
    assert!(rehearsed.causes[0].contains("it gives no certificate for this name"), "{rehearsed:?}");
    assert_eq!(site.first().serial, serial);
    assert!(!data.path().join("acme/certificates/blocked.test.pem").exists());

    // An admin who can't wait; who asks for a name that is not ours is told so.
    assert_eq!(site.tls.try_now("other.test"), TryNow::Unknown);
    assert_eq!(site.tls.try_now("a.test"), TryNow::Begun);
    until("it is another one", async || (site.first().serial != serial).then_some(())).await;
    site.stop().await;

    // The first authority is down, the other one is asked.
    let nobody = format!("https://localhost:{}/dir", free_port());
    let fallback = authority.directory();
    let site = authority
        .site(data.path(), |config| {
            domains("b.test")(config);
            config.tls.acme.directory_url = nobody.clone();
            config.tls.acme.fallback_directory_url = Some(fallback.clone());
        })
        .await;
    site.until_valid().await;
    assert_eq!(site.first().authority, Some(fallback));
    let rehearsed = site.tls.dry_run(false).await.remove(0);
    assert!(!rehearsed.passed && rehearsed.causes[0].contains("can't be reached"), "{rehearsed:?}");
    site.stop().await;
}

/// A program that sets records at the test's DNS.
fn hook(dir: &Path, records: u16) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join("hook");
    let text = format!(
        "#!/usr/bin/env python3\n\
         import json, sys, urllib.request\n\
         what, name, value = sys.argv[1:]\n\
         path, body = ('set-txt', {{'host': name + '.', 'value': value}}) if what == 'set' else ('clear-txt', {{'host': name + '.'}})\n\
         opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))\n\
         opener.open('http://127.0.0.1:{records}/' + path, json.dumps(body).encode())\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_comes_in_time_and_does_not_disturb_downloads() {
    let mut authority = Authority::new();
    authority.start().await;
    let data = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let site = authority.site(data.path(), |config| config.tls.domains = groups(&[&["a.test"]])).await;
    site.until_valid().await;
    println!("the first certificate came after {:?}", began.elapsed());
    let visitor = authority.visitor(&["a.test"]).await;
    let url = format!("https://a.test:{}/long", authority.https);
    let mut downloads = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let begun = visitor.get(&url).send().await.unwrap();
        downloads.spawn(async move { begun.text().await.unwrap() });
    }
    for _ in 0..2 {
        let before = site.first().serial;
        site.tls.renew();
        until("the certificate is another one", async || (site.first().serial != before).then_some(())).await;
        // A stranger gets the new one.
        let stranger = authority.visitor(&["a.test"]).await;
        assert_eq!(page(&stranger, "a.test", authority.https).await, 200);
    }
    while let Some(text) = downloads.join_next().await {
        assert_eq!(text.unwrap().lines().count(), LINES);
    }
    let last = site.first().serial;
    site.stop().await;

    // The next day, for a machine whose clock was wrong, may come at once. Certificates here hold for a day.
    authority.clock = Clock::manual(Clock::system().now());
    let site = authority.site(data.path(), |config| config.tls.domains = groups(&[&["a.test"]])).await;
    until("the next renewal is planned", async || site.first().next_attempt_at).await;
    assert_eq!(site.first().serial, last);
    authority.clock.advance(Duration::from_secs(20 * 60 * 60));
    until("it is renewed", async || (site.first().serial != last).then_some(())).await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_an_authority_or_a_disk_does_is_final() {
    let mut authority = Authority::new();
    let data = tempfile::tempdir().unwrap();
    let one = |config: &mut Config| config.tls.domains = groups(&[&["a.test"]]);
    // Nobody answers at the start.
    let site = authority.site(data.path(), one).await;
    let status =
        until("a failure is told", async || Some(site.first()).filter(|one| one.failed_attempts > 0)).await;
    let cause = status.cause.unwrap();
    assert!(cause.contains("localhost") && cause.contains("can't be reached"), "{cause}");
    assert!(status.next_attempt_at.is_some() && status.state == CertificateState::Makeshift);
    authority.start().await;
    site.until_valid().await;
    let first = site.first().serial;
    site.stop().await;

    // Nobody answers at a later start: what is stored is served.
    authority.stop();
    let site = authority.site(data.path(), one).await;
    assert_eq!((site.first().state, site.first().serial), (CertificateState::Valid, first.clone()));
    // The authority has forgotten everything: there is a new account, and the certificate is renewed.
    authority.start().await;
    site.tls.renew();
    until("the certificate is renewed", async || (site.first().serial != first).then_some(())).await;
    assert_eq!(site.first().cause, None);
    site.stop().await;

    // The certificate is wanted for one more name: what is there is served until the new one has come.
    authority.stop();
    let wider = |config: &mut Config| config.tls.domains = groups(&[&["a.test", "b.test"]]);
    let site = authority.site(data.path(), wider).await;
    assert_eq!(site.first().state, CertificateState::Valid);
    authority.start().await;
    let has_both = || site.first().names.contains(&"b.test".to_owned());
    until("the new name is there", async || has_both().then_some(())).await;
    site.stop().await;

    // What is stored is damaged, the certificate as well as the account.
    std::fs::write(data.path().join("acme/certificates/a.test.pem"), "-----BEGIN").unwrap();
    for account in std::fs::read_dir(data.path().join("acme/accounts")).unwrap() {
        std::fs::write(account.unwrap().path(), "{}").unwrap();
    }
    let site = authority.site(data.path(), one).await;
    assert_eq!(site.first().state, CertificateState::Makeshift);
    site.until_valid().await;
    site.stop().await;

    // What the authority says about a name is told; other names don't suffer.
    let both = |config: &mut Config| config.tls.domains = groups(&[&["blocked.test"], &["b.test"]]);
    let site = authority.site(data.path(), both).await;
    until("the other one is there", async || {
        (site.tls.status()[1].state == CertificateState::Valid && site.first().failed_attempts > 1)
            .then_some(())
    })
    .await;
    let cause = site.first().cause.unwrap();
    assert!(cause.contains("it gives no certificate for this name"), "{cause}");
    site.stop().await;
}

/// An authority in front of the real one that has too much to do, and wishes of its own.
#[derive(Clone)]
struct Busy {
    client: Client,
    behind: String,
    host: String,
    orders: Arc<AtomicUsize>,
    /// Whether it says when it would like to be asked for a renewal: an hour ago.
    wishes: Arc<AtomicBool>,
    /// Orders that named the certificate that they replace.
    replacing: Arc<AtomicUsize>,
    /// Orders that named the kind of certificate that they are for.
    profiled: Arc<AtomicUsize>,
}

/// What is inside of a signed request.
fn payload(body: &[u8]) -> Value {
    use base64::Engine as _;
    let signed: Value = serde_json::from_slice(body).unwrap_or_default();
    let payload = signed["payload"].as_str().unwrap_or_default();
    let decoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&decoded).unwrap_or_default()
}

async fn busy(
    State(busy): State<Busy>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path().contains("order-plz") {
        let problem = r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"slow down"}"#;
        match busy.orders.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let headers = [("content-type", "application/problem+json"), ("retry-after", "2")];
                return (StatusCode::TOO_MANY_REQUESTS, headers, problem).into_response();
            }
            1 => {
                let headers = [("content-type", "text/html"), ("retry-after", "1")];
                return (StatusCode::SERVICE_UNAVAILABLE, headers, "<h1>Back soon</h1>").into_response();
            }
            // It hangs.
            2 => std::future::pending().await,
            _ => {}
        }
        if payload(&body)["profile"] == "shortlived" {
            busy.profiled.fetch_add(1, Ordering::SeqCst);
        }
        if payload(&body)["replaces"].is_string() {
            busy.replacing.fetch_add(1, Ordering::SeqCst);
            busy.wishes.store(false, Ordering::SeqCst);
            let problem =
                r#"{"type":"urn:ietf:params:acme:error:alreadyReplaced","detail":"by another one"}"#;
            return (StatusCode::CONFLICT, [("content-type", "application/problem+json")], problem)
                .into_response();
        }
    }
    if uri.path().starts_with("/renewal/") {
        let (hour, now) = (Duration::from_secs(3600), Clock::system().now());
        let window = match busy.wishes.load(Ordering::SeqCst) {
            true => (now - hour * 2, now - hour),
            false => (now + hour, now + hour * 2),
        };
        let info = json!({ "suggestedWindow": { "start": window.0, "end": window.1 } });
        return ([("retry-after", "3600")], axum::Json(info)).into_response();
    }
    let mut request = busy.client.request(method, format!("{}{}", busy.behind, uri.path())).body(body);
    if let Some(kind) = headers.get("content-type") {
        request = request.header("content-type", kind);
    }
    // From this the authority makes the addresses that it gives out.
    let answer = request.header("host", &busy.host).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if !matches!(name.as_str(), "transfer-encoding" | "content-length" | "connection") {
            response = response.header(name, value);
        }
    }
    let mut body = answer.bytes().await.unwrap();
    if uri.path() == "/dir" && busy.wishes.load(Ordering::SeqCst) {
        let mut directory: Value = serde_json::from_slice(&body).unwrap();
        directory["meta"]["profiles"] = json!({ "shortlived": "six days", "classic": "ninety" });
        directory["renewalInfo"] = format!("https://{}/renewal", busy.host).into();
        body = directory.to_string().into();
    }
    response.body(Body::from(body)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_left_alone_when_it_wants_that_and_has_its_wishes_granted() {
    let mut authority = Authority::new();
    authority.start().await;
    let (chain, key) = authority.issuer.issue(&["localhost"]);
    let data = tempfile::tempdir().unwrap();
    let door = Door::Tls(server_config(&chain, &key), Duration::ZERO);
    let listening = Listening::new(&Config::defaults(data.path()));
    let listening = listening.open("127.0.0.1:0".parse().unwrap(), door).await.unwrap();
    let host = format!("localhost:{}", listening.address().port());
    let orders = Arc::new(AtomicUsize::new(0));
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(authority.issuer.root().as_bytes()).unwrap()])
        .no_proxy()
        .http1_only()
        .build()
        .unwrap();
    let state = Busy {
        client,
        behind: format!("https://localhost:{}", authority.acme),
        host: host.clone(),
        orders: Arc::clone(&orders),
        wishes: Arc::new(AtomicBool::new(false)),
        replacing: Arc::default(),
        profiled: Arc::default(),
    };
    let (wishes, replacing) = (Arc::clone(&state.wishes), Arc::clone(&state.replacing));
    let profiled = Arc::clone(&state.profiled);
    let stopping = CancellationToken::new();
    tokio::spawn(server::serve(listening, Router::new().fallback(busy).with_state(state), stopping.clone()));
    let began = Instant::now();
    let through_proxy = |config: &mut Config| {
        config.tls.domains = groups(&[&["a.test"]]);
        config.tls.acme.directory_url = format!("https://{host}/dir");
    };
    let site = authority.site(data.path(), through_proxy).await;
    let told = |words: &'static str| {
        let site = &site;
        async move {
            until(words, async || {
                let cause = site.first().cause?;
                cause.contains(words).then_some(())
            })
            .await;
        }
    };
    told("it has had too many requests (slow down)").await;
    assert!(matches!(site.tls.try_now("a.test"), TryNow::LeftAlone(_)));
    told("it answers with HTTP 503 Service Unavailable and gives no reason").await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    told("did not answer in time").await;
    site.until_valid().await;
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(orders.load(Ordering::SeqCst), 4, "nobody asks in between");
    let first = site.first().serial;
    site.stop().await;

    // The authority would like the certificate to be renewed, but not to hear which one that is.
    wishes.store(true, Ordering::SeqCst);
    let of_a_kind = |config: &mut Config| {
        through_proxy(config);
        config.tls.acme.profile = Some("shortlived".to_owned());
    };
    let site = authority.site(data.path(), of_a_kind).await;
    until("its wish is granted", async || (site.first().serial != first).then_some(())).await;
    assert_eq!((replacing.load(Ordering::SeqCst), profiled.load(Ordering::SeqCst)), (1, 1));
    until("the next one is planned", async || {
        let status = site.first();
        (status.next_attempt_at > status.last_attempt_at).then_some(())
    })
    .await;
    site.stop().await;
    stopping.cancel();
}
