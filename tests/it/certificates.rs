//! Encryption with certificates of one's own: the door, the cookie, the file that changes. And a small authority for tests.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Signer, KeyPair};
use reqwest::{Certificate, Client};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use safelight::accounts;
use safelight::clock::Clock;
use safelight::config::{CertificateFiles, Config};
use safelight::outbound::Outbound;
use safelight::server::{self, Door, Listening};
use safelight::tls::{Pace, Tls};
use serde_json::{Value, json};

use super::acme::free_port;
use super::appliance::{Appliance, PATIENCE, safelight_on, said};
use super::support::{PASSWORD, TestServer};

/// Who issues certificates in tests.
pub(crate) struct Issuer {
    root: String,
    signer: Signer<'static, KeyPair>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Root of a test");
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        Self { root, signer: Signer::new(params, key) }
    }

    /// The root, as PEM.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// A certificate and its key, as PEM.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.signer).unwrap().pem();
        (chain, key.serialize_pem())
    }
}

/// Waits until there is something.
pub(crate) async fn until<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = done().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come about that {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The encrypted side of a stand-in.
pub(crate) fn server_config(chain: &str, key: &str) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// Puts a certificate and its key where the configuration says that they are.
pub(crate) fn put(files: &CertificateFiles, (chain, key): (String, String)) {
    std::fs::write(&files.certificate, chain).unwrap();
    std::fs::write(&files.key, key).unwrap();
}

pub(crate) fn files_in(dir: &Path) -> CertificateFiles {
    CertificateFiles { certificate: dir.join("chain.pem"), key: dir.join("key.pem") }
}

/// Certificates from files, which are looked at often.
pub(crate) fn tls_of(files: &CertificateFiles) -> Tls {
    let mut config = Config::defaults("unused");
    config.tls.files = Some(files.clone());
    let outbound = Outbound::new(&config.outbound);
    let pace = Pace { look: Duration::from_millis(30), ..Pace::default() };
    Tls::open(&config.tls, "unused".into(), &outbound, Clock::system(), pace).unwrap()
}

fn visitor(issuer: &Issuer, name: &str, address: SocketAddr) -> reqwest::ClientBuilder {
    let root = Certificate::from_pem(issuer.root().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([root])
        .no_proxy()
        .resolve(name, address)
        .redirect(reqwest::redirect::Policy::none())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_both_http_versions_have_safe_cookies_and_say_that_there_is_tls() {
    let server = TestServer::start().await;
    let (dir, issuer) = (tempfile::tempdir().unwrap(), Issuer::new());
    let files = files_in(dir.path());
    put(&files, issuer.issue(&["photos.test"]));
    let tls = tls_of(&files);
    let encryption = tls.server_config().unwrap();
    let group = encryption.crypto_provider().kx_groups[0].name();
    assert_eq!(
        group,
        rustls::NamedGroup::X25519MLKEM768,
        "what a later quantum computer does not undo comes first"
    );
    let door = Door::Tls(encryption, Duration::from_secs(86_400));
    let front = Door::Other(server::front(tls.clone(), 443));
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listening =
        Listening::new(&server.app.config).open(any, door).await.unwrap().open(any, front).await.unwrap();
    let [https, http] = listening.addresses()[..] else { panic!("two doors") };
    let router = server::router(server.app.clone());
    tokio::spawn(server::serve(listening, router, server.app.stopping.clone()));
    let base = format!("https://photos.test:{}", https.port());

    let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    let form = json!({ "token": token, "name": "O", "email": "o@example.org", "password": PASSWORD, "sample": false });
    let second = visitor(&issuer, "photos.test", https).build().unwrap();
    let made = second.post(format!("{base}/api/v1/setup")).json(&form).send().await.unwrap();
    assert_eq!((made.status().as_u16(), made.version()), (201, reqwest::Version::HTTP_2));
    let cookie = made.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");

    let first = visitor(&issuer, "photos.test", https).http1_only().build().unwrap();
    let answer = first.get(format!("{base}/health")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=86400");
    // Without encryption nobody claims that there is any.
    let plain = server.browser().get("/health").send().await.unwrap();
    assert!(!plain.headers().contains_key("strict-transport-security"));
    let shown = first.get(format!("http://{http}/a")).header("host", "PHOTOS.test:80").send().await.unwrap();
    assert_eq!(shown.status(), 308);
    assert_eq!(shown.headers()["location"], "https://PHOTOS.test/a");
    let unknown = first.get(format!("http://{http}/.well-known/acme-challenge/x")).send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    // Who has other roots, or says another name, is not deceived.
    let stranger = visitor(&Issuer::new(), "photos.test", https).build().unwrap();
    assert!(stranger.get(format!("{base}/health")).send().await.is_err());
    let lost = visitor(&issuer, "other.test", https).build().unwrap();
    assert!(lost.get(format!("https://other.test:{}/health", https.port())).send().await.is_err());
    let old = visitor(&issuer, "photos.test", https).tls_version_max(reqwest::tls::Version::TLS_1_2);
    assert_eq!(old.build().unwrap().get(format!("{base}/health")).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_served_and_broken_ones_are_not() {
    let server = TestServer::start().await;
    let (dir, issuer) = (tempfile::tempdir().unwrap(), Issuer::new());
    let files = files_in(dir.path());
    put(&files, issuer.issue(&["photos.test"]));
    let tls = tls_of(&files);
    tokio::spawn({
        let (tls, stopping) = (tls.clone(), server.app.stopping.clone());
        async move { tls.run(stopping).await }
    });
    let serial = || tls.status()[0].serial.clone();
    let first = serial();
    put(&files, issuer.issue(&["photos.test", "fotos.test"]));
    until("the new one is served", async || (serial() != first && tls.serves("fotos.test")).then_some(()))
        .await;
    let second = serial();
    std::fs::write(&files.key, "no key").unwrap();
    let cause = until("the fault is told", async || tls.status()[0].cause.clone()).await;
    assert!(cause.contains("the key can't be read") && serial() == second, "{cause}");
    put(&files, issuer.issue(&["photos.test"]));
    until("it is good again", async || (tls.status()[0].cause.is_none() && serial() != second).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_shown_to_those_in_charge() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    assert_eq!(owner.json("/api/v1/certificates").await, json!({ "items": [], "next_cursor": null }));
    let editor = server.add_user(&owner, "editor").await;
    assert_eq!(editor.get("/api/v1/certificates").send().await.unwrap().status(), 403);

    // And on the command line, which finds what a server has left behind.
    let data = server.dir.path().join("data");
    let mut status = safelight_on(&data, &["tls", "status", "--json"]);
    let output = status.env("SAFELIGHT_TLS__DOMAINS", "a.example.org b.example.org").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["items"][0]["state"], "makeshift");
    assert_eq!(shown["items"][0]["names"], json!(["a.example.org", "b.example.org"]));
    let output = safelight_on(&data, &["tls", "status"]).output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("HTTPS is off"));
    let mut missing = safelight_on(&data, &["serve"]);
    missing.env("SAFELIGHT_TLS__CERTIFICATE", "/nowhere/c.pem").env("SAFELIGHT_TLS__KEY", "/nowhere/k.pem");
    let output = missing.output().unwrap();
    assert!(
        !output.status.success() && said(&output).contains("could not read /nowhere/c.pem"),
        "{}",
        said(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_or_an_admin_has_changed_files_looked_at_at_once() {
    let (dir, issuer) = (tempfile::tempdir().unwrap(), Issuer::new());
    let files = files_in(dir.path());
    put(&files, issuer.issue(&["photos.test"]));
    let data = dir.path().join("data");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut command = safelight_on(&data, &["serve", "--listen", &address]);
    let with_files = |command: &mut Command| {
        command.env("SAFELIGHT_TLS__CERTIFICATE", &files.certificate).env("SAFELIGHT_TLS__KEY", &files.key);
    };
    with_files(&mut command);
    command
        .env("SAFELIGHT_SERVER__HTTPS_LISTEN", "127.0.0.1:0")
        .env("SAFELIGHT_SERVER__HTTP_LISTEN", "127.0.0.1:0")
        .env("SAFELIGHT_SERVER__PUBLIC_URL", format!("http://{address}"));
    let appliance = Appliance::start_as(command);
    let owner = appliance.setup_owner().await;
    let serial = async || owner.json("/api/v1/certificates").await["items"][0]["serial"].clone();
    let first = serial().await;
    put(&files, issuer.issue(&["photos.test"]));
    appliance.hang_up();
    until("the new one is served", async || (serial().await != first).then_some(())).await;
    let second = serial().await;
    put(&files, issuer.issue(&["photos.test"]));
    let renewed = owner.post("/api/v1/certificates/photos.test/renew").send().await.unwrap();
    assert_eq!(renewed.status(), 202);
    until("the third one is served", async || (serial().await != second).then_some(())).await;
    let entry = owner.json("/api/v1/audit?action=certificate.renew").await["items"][0].clone();
    assert_eq!(entry["target_id"], "photos.test", "{entry}");
    let unknown = owner.post("/api/v1/certificates/other.test/renew").send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    // Whether the files are good can be asked beside it.
    let mut test = safelight_on(&data, &["tls", "test"]);
    with_files(&mut test);
    let output = test.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout)
            .contains("photos.test: the certificate and its key can be used")
    );
    appliance.stop();
}
