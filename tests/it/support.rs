//! The appliance under test: the real router on a free port, a real database and real blobs in a temporary directory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};
use safelight::accounts;
use safelight::app::App;
use safelight::cache::{DiskCache, HotFiles};
use safelight::clock::{Clock, Timestamp};
use safelight::config::{self, Base, Config, Flags};
use safelight::db::{Db, Role};
use safelight::engine::remote::{Line, Pace};
use safelight::engine::{Engines, Previews};
use safelight::imaging::Budget;
use safelight::keys::Keys;
use safelight::logs::Logs;
use safelight::mail::Mailer;
use safelight::outbound::Outbound;
use safelight::server::{self, Door, Listening};
use safelight::settings::Settings;
use safelight::storage::{DataDir, LocalOptions, Storage};
use safelight::tls::Tls;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The owner's password in tests; others have it too.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running appliance. Jobs run only when a test says so.
pub(crate) struct TestServer {
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts with another configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(change, None).await
    }

    /// Starts with another configuration and another store.
    pub(crate) async fn start_on(change: impl FnOnce(&mut Config), storage: Option<Storage>) -> Self {
        Self::start_in(change, storage, Duration::from_secs(60)).await
    }

    /// Starts with another configuration, for engines whose minutes are as short as that.
    pub(crate) async fn start_hurried(change: impl FnOnce(&mut Config), minute: Duration) -> Self {
        Self::start_in(change, None, minute).await
    }

    /// Starts with what is typed in a configuration file and in the environment.
    pub(crate) async fn start_typed(file: &str, environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("safelight.toml");
        std::fs::write(&path, file).unwrap();
        let data_dir = Some(dir.path().join("data"));
        let flags = Flags { config: Some(path), data_dir, ..Flags::default() };
        let loaded = config::load(&flags, &environment.iter().copied().collect()).unwrap();
        Self::start_from(dir, loaded.config, Some(loaded.base), None, Duration::from_secs(60)).await
    }

    async fn start_in(change: impl FnOnce(&mut Config), storage: Option<Storage>, minute: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::create(&dir.path().join("data")).unwrap();
        let mut config = Config::defaults(data_dir.root());
        config.limits.min_free_bytes = 0;
        // The clock stands still, so nobody's bucket would ever fill again.
        config.limits.anonymous.per_second = 0;
        config.limits.signed_in.per_second = 0;
        change(&mut config);
        Self::start_from(dir, config, None, storage, minute).await
    }

    async fn start_from(
        dir: tempfile::TempDir,
        config: Config,
        base: Option<Base>,
        storage: Option<Storage>,
        minute: Duration,
    ) -> Self {
        let data_dir = DataDir::create(&dir.path().join("data")).unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
        let db = Db::open(&data_dir.database(), Role::Server, clock.clone()).unwrap();
        let storage =
            storage.unwrap_or_else(|| Storage::local(&data_dir.blobs(), LocalOptions::default()).unwrap());
        let outbound = Outbound::new(&config.outbound);
        let keys = Keys::new(data_dir.keys(), clock.clone());
        let settings = match base {
            Some(base) => Settings::open(base, &db, &keys).await.unwrap(),
            None => Settings::fixed(config.clone()),
        };
        let app = App {
            settings,
            logs: Logs::silent(),
            db,
            storage,
            engines: engines(&config, &outbound, minute),
            tls: Tls::off(&outbound, clock.clone()),
            outbound,
            mailer: Mailer::new(&config.mail, &config.outbound, clock.clone()),
            budget: Budget::new(1 << 30),
            previews: Previews::new(),
            cache: DiskCache::new(data_dir.cache(), config.delivery.cache_bytes, clock.clone()),
            hot: HotFiles::new(16 << 20),
            keys,
            started_at: clock.now(),
            clock: clock.clone(),
            config: Arc::new(config),
            stopping: CancellationToken::new(),
        };
        app.keep_tools_current();
        let listening = Listening::new(&app.config);
        let listening = listening.open("127.0.0.1:0".parse().unwrap(), Door::Plain).await.unwrap();
        let address = listening.address();
        tokio::spawn(server::serve(listening, server::router(app.clone()), app.stopping.clone()));
        Self { app, clock, address, dir }
    }

    /// An address on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A browser that nobody has logged in with.
    pub(crate) fn browser(&self) -> Browser {
        Browser::at(format!("http://{}", self.address))
    }

    /// Makes the owner and returns the owner's browser. There is no sample picture.
    pub(crate) async fn setup_owner(&self) -> Browser {
        let browser = self.browser();
        let token = accounts::setup_token(&self.app).await.unwrap().expect("there is no owner yet");
        let form = json!({
            "token": token, "name": "Olive Owner", "email": "olive@example.org", "password": PASSWORD, "sample": false
        });
        let made = browser.post("/api/v1/setup").json(&form).send().await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        browser
    }

    /// Adds a person with a role through the owner's browser, and logs that person in.
    pub(crate) async fn add_user(&self, owner: &Browser, role: &str) -> Browser {
        let email = format!("{role}@example.org");
        let form =
            json!({ "name": format!("The {role}"), "email": email, "role": role, "password": PASSWORD });
        let made = owner.post("/api/v1/users").json(&form).send().await.unwrap();
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        self.login(&email).await
    }

    /// Logs somebody in.
    pub(crate) async fn login(&self, email: &str) -> Browser {
        let browser = self.browser();
        let form = json!({ "email": email, "password": PASSWORD });
        let answer = browser.post("/api/v1/auth/login").json(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        browser
    }

    /// Runs the jobs that are due; returns how many attempts that took.
    pub(crate) async fn run_jobs(&self) -> usize {
        server::runner(&self.app).run_pending().await.unwrap()
    }
}

/// The configured engines, which wait as briefly as a test wants them to.
fn engines(config: &Config, outbound: &Outbound, minute: Duration) -> Engines {
    let pace = Pace {
        poll: Duration::from_millis(5),
        pause: Duration::from_millis(10),
        patience: Duration::from_secs(2),
        minute,
    };
    let line = Line { outbound: outbound.clone(), result_hosts: config.engines.result_hosts.clone(), pace };
    let mut engines = Engines::new();
    engines.add_remote(&config.engines, &line);
    engines
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.app.stopping.cancel();
    }
}

/// Somebody's browser: a cookie jar and the headers that browsers send.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) http: Client,
    base: String,
}

impl Browser {
    /// A browser that nobody has logged in with, for an appliance at an address.
    pub(crate) fn at(base: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("sec-fetch-site"), HeaderValue::from_static("same-origin"));
        let http = Client::builder()
            .cookie_store(true)
            .default_headers(headers)
            .timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { http, base }
    }

    /// The same browser, with its cookies, after the appliance has started anew on another port.
    pub(crate) fn moved_to(&self, base: String) -> Self {
        Self { http: self.http.clone(), base }
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base))
    }

    pub(crate) fn patch(&self, path: &str) -> RequestBuilder {
        self.http.patch(format!("{}{path}", self.base))
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.http.delete(format!("{}{path}", self.base))
    }

    /// Fetches JSON that must be there.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "GET {path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Uploads one file into the first bucket and returns the answer.
    pub(crate) async fn upload(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Response {
        let part = reqwest::multipart::Part::bytes(bytes.into()).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part);
        self.post("/api/v1/media").multipart(form).send().await.unwrap()
    }

    /// Uploads one file that must be taken and returns it.
    pub(crate) async fn upload_ok(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let answer = self.upload(name, bytes).await;
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        answer.json::<Value>().await.unwrap()["items"][0].clone()
    }
}

/// Reads a problem document and checks its status and code.
pub(crate) async fn problem(answer: Response, status: u16, code: &str) -> Value {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["type"], format!("/problems/{code}"), "{body}");
    assert_eq!(body["status"], status);
    assert!(body["request_id"].is_string(), "{body}");
    body
}
