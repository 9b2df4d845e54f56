//! The proxies that the guide to installing describes, with the very files that it links to, in front of an appliance.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::{Certificate, Client};
use safelight::accounts;
use safelight::config::PublicUrl;
use serde_json::{Value, json};

use super::appliance::until;
use super::certificates::Issuer;
use super::mounts::skipped;
use super::support::{PASSWORD, TestServer};

/// Where the visitor of these tests comes from: an address of this machine that is not the proxy's.
const VISITOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const NAME: &str = "localhost";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    Caddy,
    Apache,
}

/// A proxy of the test's own; it ends with the test.
struct Proxy {
    child: Child,
    plain: SocketAddr,
    client: Client,
    base: String,
    server: TestServer,
    folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free again when the proxy wants it; who takes it meanwhile makes the test fail, not lie.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Replaces something that must be there: a file that has changed is to be looked at again.
fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in:\n{text}");
    text.replace(from, to)
}

impl Kind {
    /// The program, where it is installed.
    fn program(self) -> Option<&'static str> {
        let places: &[&str] = match self {
            Self::Nginx => &["/usr/sbin/nginx", "/usr/bin/nginx"],
            Self::Caddy => &["/usr/bin/caddy", "/usr/local/bin/caddy"],
            Self::Apache => &["/usr/sbin/apache2"],
        };
        places.iter().copied().find(|path| Path::new(path).exists())
    }

    fn file(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("../../packaging/proxies/nginx.conf"),
            Self::Caddy => include_str!("../../packaging/proxies/Caddyfile"),
            Self::Apache => include_str!("../../packaging/proxies/apache.conf"),
        }
    }

    /// The file, moved to ports, a name, a certificate and folders of the test, with what a whole configuration has beside it.
    fn config(
        self,
        root: &Path,
        appliance: SocketAddr,
        (plain, secure): (u16, u16),
        base_path: &str,
    ) -> String {
        let root = root.display();
        let site = replace(self.file(), "127.0.0.1:8080", &appliance.to_string());
        let site = replace(&site, "photos.example.org", NAME);
        let letsencrypt = format!("/etc/letsencrypt/live/{NAME}");
        match self {
            Self::Nginx => {
                let site = replace(&site, "listen 80;", &format!("listen 127.0.0.1:{plain};"));
                let site = replace(&site, "listen 443 ssl", &format!("listen 127.0.0.1:{secure} ssl"));
                let site = replace(
                    &site,
                    "https://$host$request_uri",
                    &format!("https://$host:{secure}$request_uri"),
                );
                let mut site = replace(&site, &letsencrypt, &root.to_string());
                if !base_path.is_empty() {
                    site = replace(
                        &site,
                        "    location / {\n        proxy_pass",
                        &format!("    location {base_path}/ {{\n        proxy_pass"),
                    );
                }
                format!(
                    "daemon off; master_process off; pid {root}/pid; error_log {root}/error; events {{}}
                     http {{
                       access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/t;
                       fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
                       {site}
                     }}"
                )
            }
            Self::Caddy => {
                let opened = format!("{NAME} {{\n\ttls {root}/fullchain.pem {root}/privkey.pem");
                let mut site = replace(&site, &format!("{NAME} {{"), &opened);
                if !base_path.is_empty() {
                    site = replace(&site, "\treverse_proxy 1", &format!("\treverse_proxy {base_path}/* 1"));
                }
                format!("{{\n\tadmin off\n\thttp_port {plain}\n\thttps_port {secure}\n}}\n{site}")
            }
            Self::Apache => {
                let site = replace(&site, "*:80>", &format!("127.0.0.1:{plain}>"));
                let site = replace(&site, "*:443>", &format!("127.0.0.1:{secure}>"));
                let site = replace(&site, &format!("https://{NAME}/"), &format!("https://{NAME}:{secure}/"));
                let mut site = replace(&site, &letsencrypt, &root.to_string());
                if !base_path.is_empty() {
                    site = replace(
                        &site,
                        &format!("ProxyPass / http://{appliance}/"),
                        &format!("ProxyPass {base_path}/ http://{appliance}{base_path}/"),
                    );
                }
                let modules = [
                    "mpm_event",
                    "authz_core",
                    "alias",
                    "headers",
                    "proxy",
                    "proxy_http",
                    "reqtimeout",
                    "ssl",
                ];
                let modules = modules
                    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
                format!(
                    "ServerRoot {root}\nPidFile {root}/pid\nDefaultRuntimeDir {root}\nMutex file:{root}\nErrorLog {root}/error\n\
                     {}User www-data\nGroup www-data\nServerName {NAME}\nListen 127.0.0.1:{plain}\nListen 127.0.0.1:{secure}\n{site}",
                    modules.concat()
                )
            }
        }
    }

    fn command(self, program: &str, root: &Path, config: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Self::Nginx => command.arg("-e").arg(root.join("error")).arg("-c").arg(config),
            Self::Caddy => {
                command.env("HOME", root).env("XDG_DATA_HOME", root).env("XDG_CONFIG_HOME", root);
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config)
            }
            // One process: it ends when it is told to.
            Self::Apache => command.arg("-X").arg("-f").arg(config),
        };
        command.stdout(Stdio::null()).stderr(std::fs::File::create(root.join("said")).unwrap());
        command
    }
}

impl Proxy {
    /// Starts an appliance and a proxy in front of it. None, loudly, where the proxy is not installed.
    async fn start(test: &str, kind: Kind, base_path: &str) -> Option<Self> {
        let Some(program) = kind.program() else {
            skipped(test, &format!("{kind:?} is not installed"));
            return None;
        };
        let ports = (port(), port());
        let server = TestServer::start_with(|config| {
            config.server.public_url = PublicUrl::parse(&format!("https://{NAME}:{}", ports.1)).ok();
            config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
            config.server.base_path = base_path.to_owned();
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::new();
        let (chain, key) = issuer.issue(&[NAME]);
        std::fs::write(folder.path().join("fullchain.pem"), chain).unwrap();
        std::fs::write(folder.path().join("privkey.pem"), key).unwrap();
        let config = folder.path().join("config");
        std::fs::write(&config, kind.config(folder.path(), server.address, ports, base_path)).unwrap();
        let child = kind.command(program, folder.path(), &config).spawn().unwrap();
        let secure = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.1));
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(issuer.root().as_bytes()).unwrap()])
            .resolve(NAME, secure)
            .local_address(IpAddr::from(VISITOR))
            .redirect(reqwest::redirect::Policy::none())
            .cookie_store(true)
            .default_headers(
                [("sec-fetch-site".parse().unwrap(), "same-origin".parse().unwrap())].into_iter().collect(),
            )
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .unwrap();
        let plain = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.0));
        let mut this = Self {
            child,
            plain,
            client,
            base: format!("https://{NAME}:{}{base_path}", ports.1),
            server,
            folder,
        };
        until("the proxy listens", async || {
            if let Some(status) = this.child.try_wait().unwrap() {
                let read = |name| std::fs::read_to_string(this.folder.path().join(name)).unwrap_or_default();
                panic!("the proxy ended with {status}: {} {}", read("said"), read("error"));
            }
            this.client.get(format!("{}/health", this.base)).send().await.is_ok()
        })
        .await;
        Some(this)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn setup_owner(&self) {
        let token = accounts::setup_token(&self.server.app).await.unwrap().unwrap();
        let form = json!({
            "token": token, "name": "Olive Owner", "email": "olive@example.org", "password": PASSWORD, "sample": false
        });
        // Somebody says to be somebody else.
        let request = self.client.post(self.url("/api/v1/setup")).header("x-forwarded-for", "203.0.113.9");
        let made = request.json(&form).send().await.unwrap();
        assert_eq!(made.status(), 201);
        let cookie = made.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("Secure"), "the proxy says that it is HTTPS: {cookie}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_as_the_guide_has_it() {
    check("nginx_as_the_guide_has_it", Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_as_the_guide_has_it() {
    check("caddy_as_the_guide_has_it", Kind::Caddy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_as_the_guide_has_it() {
    check("apache_as_the_guide_has_it", Kind::Apache).await;
}

async fn check(test: &str, kind: Kind) {
    let Some(proxy) = Proxy::start(test, kind, "").await else { return };
    // Port 80 leads to HTTPS once, and HTTPS leads nowhere.
    let plain = format!("http://{NAME}:{}/login?x=1", proxy.plain.port());
    let client = Client::builder()
        .resolve(NAME, proxy.plain)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let moved = client.get(plain).send().await.unwrap();
    assert!([301, 308].contains(&moved.status().as_u16()), "{}", moved.status());
    // Caddy knows that people come to port 443, whatever it listens at.
    let goal = if kind == Kind::Caddy { format!("https://{NAME}") } else { proxy.base.clone() };
    assert_eq!(moved.headers()["location"], format!("{goal}/login?x=1"));
    assert_eq!(proxy.client.get(proxy.url("/login?x=1")).send().await.unwrap().status(), 200);

    proxy.setup_owner().await;
    let sessions = proxy.json("/api/v1/auth/sessions").await;
    assert_eq!(
        sessions["items"][0]["address"],
        VISITOR.to_string(),
        "the visitor's address is seen, not a claimed one"
    );

    check_uploads(&proxy).await;
    check_events(&proxy).await;
    drop(proxy);

    let Some(proxy) = Proxy::start(test, kind, "/photos").await else { return };
    proxy.setup_owner().await;
    assert_eq!(proxy.json("/api/v1/auth/me").await["role"], "owner");
    let page = proxy.client.get(proxy.url("/login")).send().await.unwrap();
    assert_eq!(page.status(), 200);
}

/// A large upload goes on to the appliance while it comes, and ranges and names of all kinds come back.
async fn check_uploads(proxy: &Proxy) {
    const PIECE: usize = 256 * 1024;
    let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
    let first = stream::iter((0..32).map(|_| Ok::<_, std::io::Error>(vec![1u8; PIECE])));
    let rest = stream::once(async move {
        wait.await.unwrap();
        Ok(vec![2u8; PIECE])
    });
    let body = reqwest::Body::wrap_stream(first.chain(rest));
    let part = reqwest::multipart::Part::stream(body).file_name("large.bin");
    let form = reqwest::multipart::Form::new().part("file", part);
    let sending = tokio::spawn(proxy.client.post(proxy.url("/api/v1/media")).multipart(form).send());
    let incoming = proxy.server.dir.path().join("data/blobs/incoming");
    until("the first half has reached the appliance", async || {
        let files = std::fs::read_dir(&incoming).unwrap().flatten();
        files.filter_map(|file| file.metadata().ok()).any(|metadata| metadata.len() >= 4 << 20)
    })
    .await;
    go_on.send(()).unwrap();
    let answer = sending.await.unwrap().unwrap();
    assert_eq!(answer.status(), 201);
    let answer: Value = answer.json().await.unwrap();
    let media = &answer["items"][0];
    assert_eq!(media["size_bytes"].as_u64(), Some(33 * PIECE as u64));
    let renamed = proxy.client.patch(proxy.url(&format!("/api/v1/media/{}", media["id"].as_str().unwrap())));
    let renamed = renamed.json(&json!({ "name": "100% ü#.bin" })).send().await.unwrap();
    assert_eq!(renamed.status(), 200);
    let path = format!("/storage/{}/100%25%20%C3%BC%23.bin", media["bucket"].as_str().unwrap());
    let range = format!("bytes={}-{}", 32 * PIECE - 2, 32 * PIECE + 1);
    let part = proxy.client.get(proxy.url(&path)).header("range", range).send().await.unwrap();
    assert_eq!(part.status(), 206, "{path}");
    assert_eq!(part.bytes().await.unwrap()[..], [1, 1, 2, 2]);
    let whole = proxy.client.get(proxy.url(&path)).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(whole.len(), 33 * PIECE);
}

/// What happens is told when it happens.
async fn check_events(proxy: &Proxy) {
    let mut stream = proxy.client.get(proxy.url("/api/v1/events")).send().await.unwrap().bytes_stream();
    let form = json!({ "slug": "another", "name": "Another" });
    let made = proxy.client.post(proxy.url("/api/v1/buckets")).json(&form).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let part = reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("news.txt");
    let form = reqwest::multipart::Form::new().text("bucket", "another").part("file", part);
    let sent = proxy.client.post(proxy.url("/api/v1/media")).multipart(form).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    let mut heard = String::new();
    let listen = async {
        while !heard.contains("\"created\"") {
            heard += &String::from_utf8_lossy(&stream.next().await.unwrap().unwrap());
        }
    };
    // Less than a heartbeat: what is held back until something follows comes too late.
    tokio::time::timeout(Duration::from_secs(12), listen).await.unwrap();
}
