//! The configuration: from what an admin typed to checked values.
//!
//! Two stages. `raw` gathers what was typed in the file, the environment, systemd credentials and flags, each value
//! with its origin; [`load`] then checks all of it against the one list of [`SETTINGS`] and builds one plain struct
//! per room. Every mistake is found before any is reported.
//!
//! Other rooms take the struct that is theirs, never the whole [`Config`]. This room knows nothing of what the
//! values are used for, and it is the only one that reads the environment.

mod accent;
mod declared;
mod dsn;
mod error;
mod origins;
mod raw;
mod show;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use accent::Accent;
pub use declared::{Default, SETTINGS, Setting};
pub use dsn::Dsn;
pub use error::{Error, Fault, Mistake, Origin};
pub use origins::WebOrigins;
pub use raw::{Environment, Flags, line_at, nearest};
pub use show::{Shown, reference};
pub use value::{Kind, Network, PublicUrl, Secret};

use value::Value;

/// Everything that can be configured, checked. One field per room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The folder under which everything lives; relative to the working folder unless absolute.
    pub data_dir: PathBuf,
    /// Where Safelight listens.
    pub server: Server,
    /// Encryption.
    pub tls: Tls,
    /// What a request or a picture may cost.
    pub limits: Limits,
    /// Files that arrive in several goes.
    pub uploads: Uploads,
    /// A folder whose files come in by themselves.
    pub import: Import,
    /// People and sessions.
    pub accounts: Accounts,
    /// Work in the background.
    pub jobs: Jobs,
    /// Restored pictures.
    pub restore: Restore,
    /// What goes out.
    pub delivery: Delivery,
    /// Pages of other sites that may use the API.
    pub cors: Cors,
    /// What may leave the machine.
    pub outbound: Outbound,
    /// Models on other machines.
    pub engines: Engines,
    /// How mail is sent.
    pub mail: Mail,
    /// Who is told when something is wrong.
    pub alerts: Alerts,
    /// What this instance is called and how it looks.
    pub brand: Brand,
    /// Numbers for programs that watch.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// What is told to programs that watch this one.
    pub telemetry: Telemetry,
}

/// Where Safelight listens and under which address people reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Plain HTTP listens here; `None` where HTTPS took its place.
    pub listen: Option<SocketAddr>,
    /// HTTPS listens here, where it is on.
    pub https_listen: SocketAddr,
    /// Beside HTTPS, the way to it is shown here.
    pub http_listen: SocketAddr,
    /// Scheme and host that people type, if the admin said so.
    pub public_url: Option<PublicUrl>,
    /// The subpath: empty, or with a leading and without a trailing slash.
    pub base_path: String,
    /// Proxies whose `X-Forwarded-*` counts.
    pub trusted_proxies: Vec<Network>,
    /// Whether their connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

impl Server {
    /// Whether headers of a connection from this address may speak for somebody else.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// Encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The names of each certificate that is to be obtained: host names, with `*.` before them or not, and IP addresses.
    pub domains: Vec<Vec<String>>,
    /// A certificate of the admin's own, and its key.
    pub files: Option<CertificateFiles>,
    /// Whom the certificate authority may write to.
    pub email: Option<String>,
    /// How long browsers remember that there is encryption.
    pub hsts: Duration,
    /// How certificates are obtained.
    pub acme: Acme,
}

impl Tls {
    /// Whether HTTPS is on.
    pub fn is_on(&self) -> bool {
        self.files.is_some() || !self.domains.is_empty()
    }
}

/// PEM files of the admin's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those between it and its root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How certificates are obtained (RFC 8555).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// The authority's directory.
    pub directory_url: String,
    /// Another one's, for when that fails.
    pub fallback_directory_url: Option<String>,
    /// Roots to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The key identifier of an arranged account.
    pub eab_kid: Option<String>,
    /// Its key, in base64url.
    pub eab_hmac_key: Option<Secret>,
    /// How the authority may check names, the best way first. Never empty.
    pub challenges: Vec<Challenge>,
    /// Which kind of certificate to ask for.
    pub profile: Option<String>,
    /// The program that sets TXT records.
    pub dns_hook: Option<PathBuf>,
    /// Who else sets them.
    pub dns: AcmeDns,
}

/// Who keeps the zones of the names, and what it takes to change them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeDns {
    /// Which service.
    pub provider: Option<DnsService>,
    /// The token for its API.
    pub token: Option<Secret>,
    /// The zone, where it is not to be found by the name.
    pub zone: Option<String>,
    /// The name server, with a port or without, or the address of the API.
    pub server: Option<String>,
    /// The name of the key that changes are signed with.
    pub tsig_name: Option<String>,
    /// That key, in base64.
    pub tsig_secret: Option<Secret>,
    /// How long to wait for a record; without it the zone's servers are asked.
    pub wait: Option<Duration>,
}

/// A service that keeps zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsService {
    /// A name server that takes changes (RFC 2136).
    Rfc2136,
    /// Cloudflare.
    Cloudflare,
    /// Hetzner.
    Hetzner,
    /// DigitalOcean.
    Digitalocean,
    /// deSEC.
    Desec,
    /// Gandi LiveDNS.
    Gandi,
}

/// A way to check that a name is somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// In the handshake at port 443 (RFC 8737).
    TlsAlpn01,
    /// By a request at port 80.
    Http01,
    /// By a TXT record.
    Dns01,
}

/// What connections may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    /// How many there may be.
    pub max: usize,
    /// How many of one address.
    pub max_per_address: usize,
    /// How long the head of a request may take.
    pub header_timeout: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How long a kilobyte of a body may take.
    pub body_timeout: Duration,
}

/// What a request or a picture may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest file in bytes; `None` leaves it to the free space.
    pub max_upload_bytes: Option<u64>,
    /// The largest picture that is decoded, width times height.
    pub max_pixels: u64,
    /// Files in one upload request.
    pub max_files_per_request: usize,
    /// Bytes that uploads leave free on the disk.
    pub min_free_bytes: u64,
    /// What connections may do.
    pub connections: Connections,
    /// How often somebody may ask who is not logged in.
    pub anonymous: Rate,
    /// How often somebody may ask who is.
    pub signed_in: Rate,
    /// How failed logins are slowed down.
    pub login: LoginLimits,
}

/// How often somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run; 0 where there is no limit.
    pub per_second: u32,
    /// At once after a rest; at least 1.
    pub burst: u32,
}

/// Numbers for programs that watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// What those bring that are not on this machine.
    pub token: Option<Secret>,
}

/// How failed logins are slowed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginLimits {
    /// Wrong passwords for one account before it has to wait.
    pub attempts: u32,
    /// Wrong passwords from one address, over all accounts, before it has to wait.
    pub attempts_per_address: u32,
    /// The longest wait.
    pub longest_wait: Duration,
}

/// Restored pictures and what leads to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// For how many days the pictures after single steps are kept.
    pub keep_steps_days: u32,
}

/// Files that arrive in several goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploads {
    /// How long an unfinished one is kept after something last came for it.
    pub expire: Duration,
    /// How many of them one person may have.
    pub max_unfinished: u32,
}

/// A folder whose files come in by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The folder, where there is one.
    pub watch: Option<PathBuf>,
    /// What becomes of a file that was taken.
    pub taken: Taken,
}

/// What becomes of a file that was taken from the watched folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is moved into `done`.
    Move,
    /// It stays.
    Leave,
}

/// People and sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// How long a session lives without a visit.
    pub session: Duration,
    /// The same when “Remember me” was ticked; never shorter.
    pub remembered_session: Duration,
}

/// Work in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs {
    /// Jobs that run at the same time.
    pub workers: NonZeroUsize,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Bytes of disk for renderings made on demand.
    pub cache_bytes: u64,
    /// Scheme and host of a CDN, with which signed addresses begin.
    pub public_base_url: Option<PublicUrl>,
    /// The name under which only files are answered.
    pub host: Option<String>,
}

/// Pages of other sites that may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// The sites.
    pub origins: WebOrigins,
}

/// What may leave the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Forbids every connection to another machine.
    pub offline: bool,
    /// Private addresses that may be reached although they come from outside.
    pub allow_private: Vec<Network>,
}

/// Models on other machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engines {
    /// Hosts from which results are fetched, with the names below them.
    pub result_hosts: Vec<String>,
    /// Models on Hugging Face.
    pub hugging_face: HuggingFace,
    /// Models on Replicate.
    pub replicate: Replicate,
    /// Networks in files of this machine.
    pub onnx: Onnx,
    /// Gradio apps.
    pub space: Space,
}

/// Models on Hugging Face.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HuggingFace {
    /// The access token.
    pub token: Option<Secret>,
    /// Where models are called.
    pub router_url: PublicUrl,
    /// Where is asked who serves a model.
    pub hub_url: PublicUrl,
    /// Who pays instead of the token's owner.
    pub bill_to: Option<String>,
    /// Servers that take a picture and answer with one.
    pub endpoints: Vec<PublicUrl>,
}

/// Models on Replicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicate {
    /// The API token.
    pub token: Option<Secret>,
    /// Where models are called.
    pub base_url: PublicUrl,
    /// Where Replicate shall say that a picture is ready; nowhere if there is none.
    pub webhook_url: Option<String>,
}

/// Networks in files of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onnx {
    /// The folder that they lie in.
    pub models_dir: Option<PathBuf>,
}

/// Gradio apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Whether public Spaces may be used.
    pub enabled: bool,
    /// Apps of the admin's own.
    pub urls: Vec<PublicUrl>,
    /// What Spaces get as a token.
    pub token: Option<Secret>,
}

/// How mail is sent, and to whom the appliance's own goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The server that takes it, if one is set.
    pub server: Option<MailServer>,
    /// Who is told when something is wrong.
    pub admin: Option<String>,
}

/// The server that takes mail (RFC 6409).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub security: MailSecurity,
    /// Who logs in, where a login is wanted.
    pub username: Option<String>,
    /// The password of the login.
    pub password: Option<Secret>,
    /// The sender: an address, or `Name <address>`.
    pub from: String,
}

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// From the beginning.
    Tls,
    /// After a command in the clear; nothing is sent if the server can't.
    StartTls,
    /// Not at all.
    None,
}

/// Who is told when something is wrong, beside the one in [`Mail::admin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// An address that takes `{"text": …}`. The address itself is the key to it.
    pub webhook_url: Option<Secret>,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// This level and the more serious ones are written.
    pub level: LogLevel,
    /// How it looks.
    pub format: LogFormat,
    /// A file that it is written to as well.
    pub file: Option<PathBuf>,
    /// How large that may grow before it is put aside.
    pub file_max_bytes: u64,
    /// How many that were put aside are kept.
    pub files_kept: usize,
    /// Statements that take longer are logged; none where it is zero.
    pub slow_query: Duration,
    /// Jobs that take longer are logged; none where it is zero.
    pub slow_job: Duration,
}

/// What this instance is called and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brand {
    /// Its name, instead of Safelight's.
    pub name: Option<String>,
    /// A picture to stand for it.
    pub logo: Option<PathBuf>,
    /// The colour of buttons and links.
    pub accent: Option<Accent>,
}

/// What is told to programs that watch this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// An OpenTelemetry collector, without a slash at the end.
    pub otlp_endpoint: Option<String>,
    /// Headers that it wants.
    pub otlp_headers: Option<Secret>,
    /// Where errors are reported.
    pub sentry_dsn: Option<Secret>,
}

/// How serious an event must be to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name that tracing's filters use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// A checked configuration together with where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Every setting with its value and origin, in the order of [`SETTINGS`]; secrets are hidden in it.
    pub shown: Vec<Shown>,
    /// What it was made of, to be made anew with values of the web UI.
    pub base: Base,
}

/// What was typed, without mistakes: what values of the web UI are laid under.
#[derive(Clone)]
pub struct Base(raw::Raw);

/// Hides what was typed: secrets are among it.
impl std::fmt::Debug for Base {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base").finish_non_exhaustive()
    }
}

impl Base {
    /// Nothing but the defaults, with everything under `data_dir`.
    pub fn defaults(data_dir: impl Into<PathBuf>) -> Self {
        let flags = Flags { data_dir: Some(data_dir.into()), ..Flags::default() };
        Self(raw::gather(SETTINGS, &flags, &Environment::empty(), Path::new("")))
    }

    /// The configuration with these values of the web UI, by key; null is no value, and keys that don't exist in this
    /// version are passed over.
    ///
    /// # Errors
    /// Lists everything that is wrong with the values, alone or beside the others.
    pub fn with(&self, web: &[(String, serde_json::Value)]) -> Result<(Config, Vec<Shown>), Error> {
        let known = web.iter().filter_map(|(key, value)| Some((find(key)?, raw::given_json(value)?)));
        let Checked { values, mut mistakes, .. } = check(self.0.with(known.collect()));
        mistakes.extend(values.contradictions());
        if !mistakes.is_empty() {
            return Err(Error { mistakes });
        }
        Ok((values.config(), values.shown(SETTINGS)))
    }
}

/// The setting of a key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The setting that somebody probably meant by a key that doesn't exist.
pub fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(key, SETTINGS.iter().map(|setting| setting.key))
}

/// The configuration file that is read when none is named, if it exists.
pub const DEFAULT_FILE: &str = "/etc/safelight/safelight.toml";

/// Reads the configuration: flags before environment before credentials before the file before defaults.
///
/// The file is the one `--config` or `SAFELIGHT_CONFIG` names, else [`DEFAULT_FILE`] if it exists.
///
/// # Errors
/// Lists everything that is wrong, with its origin and, for a name that doesn't exist, the nearest one that does.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Error> {
    let raw = raw::gather(SETTINGS, flags, environment, Path::new(DEFAULT_FILE));
    let base = Base(raw.clone());
    let checked = check(raw);
    let Checked { values, mut mistakes, file } = checked;
    mistakes.extend(values.contradictions());
    if !mistakes.is_empty() {
        mistakes.sort_by(|a, b| a.origin.cmp(&b.origin));
        return Err(Error { mistakes });
    }
    Ok(Loaded { config: values.config(), shown: values.shown(SETTINGS), file, base })
}

impl Config {
    /// The defaults, with everything under `data_dir`, which isn't empty; nothing is read. For tests and throw-away
    /// instances.
    pub fn defaults(data_dir: impl Into<PathBuf>) -> Self {
        check(Base::defaults(data_dir).0).values.config()
    }
}

/// What is left of the raw values after the second stage.
struct Checked {
    values: Values,
    mistakes: Vec<Mistake>,
    file: Option<PathBuf>,
}

/// The winning value of each setting, by key; `None` where it is absent. One whose winner is wrong is missing.
struct Values(BTreeMap<&'static str, (Option<Value>, Origin)>);

/// Turns what was typed into values and picks the strongest of each setting. Overridden values are checked too: a
/// wrong line in the file stays wrong when a variable hides it today.
fn check(raw: raw::Raw) -> Checked {
    let raw::Raw { typed, mut mistakes, file } = raw;
    let mut values = BTreeMap::new();
    for raw::Typed { setting, given, origin } in typed {
        match value::check(setting, given, &origin) {
            Ok(value) => {
                values.insert(setting.key, (value, origin));
            }
            Err(fault) => {
                values.remove(setting.key);
                mistakes.push(Mistake { origin, fault });
            }
        }
    }
    Checked { values: Values(values), mistakes, file }
}

/// The most characters of an instance's name.
const BRAND_NAME_MAX: usize = 40;

/// The length of a day of 24 hours.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Values {
    fn find(&self, key: &'static str) -> Option<&Value> {
        let (value, _) = self.0.get(key).expect("every declared setting has at least its default");
        value.as_ref()
    }

    fn integer(&self, key: &'static str) -> Option<u64> {
        self.find(key).map(Value::integer)
    }

    fn required(&self, key: &'static str) -> &Value {
        self.find(key).expect("a setting with a default value can't be absent")
    }

    fn count(&self, key: &'static str) -> u32 {
        u32::try_from(self.required(key).integer()).expect("the declared maximum fits")
    }

    fn days(&self, key: &'static str) -> Duration {
        DAY * self.count(key)
    }

    /// Finds values that are right one by one but not together.
    fn contradictions(&self) -> Vec<Mistake> {
        let alone = [
            self.sessions_that_shrink(),
            self.webhooks_to_nowhere(),
            self.name_that_is_long(),
            self.no_dsn(),
            self.files_alone(),
        ];
        let alone = alone.into_iter().flatten();
        alone.chain(self.tls_contradictions()).chain(self.mail_contradictions()).collect()
    }

    fn mail_contradictions(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let given = |key: &'static str| Some((self.0.get(key)?.0.as_ref()?, &self.0.get(key)?.1));
        let mut wrong = |key: &str, origin: &Origin, reason: &str| {
            let fault = Fault::WrongValue { key: key.to_owned(), reason: reason.to_owned() };
            mistakes.push(Mistake { origin: origin.clone(), fault });
        };
        let pairs = [
            ("mail.host", "mail.from"),
            ("mail.from", "mail.host"),
            ("mail.admin", "mail.host"),
            ("mail.username", "mail.password"),
            ("mail.password", "mail.username"),
        ];
        for (one, other) in pairs {
            let is_missing = matches!(self.0.get(other), Some((None, _)));
            if let (Some((_, origin)), true) = (given(one), is_missing) {
                wrong(one, origin, &format!("it needs {other} beside it"));
            }
        }
        for key in ["mail.from", "mail.admin"] {
            if let Some((value, origin)) = given(key)
                && !value
                    .text()
                    .split_once('@')
                    .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
            {
                wrong(key, origin, "this is no e-mail address");
            }
        }
        if let Some((value, origin)) = given("alerts.webhook_url") {
            let address = value.secret();
            let address = address.expose().trim();
            if !(address.starts_with("https://") || address.starts_with("http://")) {
                wrong("alerts.webhook_url", origin, "it should start with https:// or http://");
            }
        }
        mistakes
    }

    fn mail(&self) -> Mail {
        let text = |key| self.find(key).map(Value::text);
        let security = match self.required("mail.security").text().as_str() {
            "tls" => MailSecurity::Tls,
            "none" => MailSecurity::None,
            _ => MailSecurity::StartTls,
        };
        let usual = match security {
            MailSecurity::Tls => 465,
            MailSecurity::StartTls => 587,
            MailSecurity::None => 25,
        };
        let port = self.integer("mail.port").and_then(|port| u16::try_from(port).ok());
        let server = text("mail.host").zip(text("mail.from")).map(|(host, from)| MailServer {
            host,
            port: port.unwrap_or(usual),
            security,
            username: text("mail.username"),
            password: self.find("mail.password").map(Value::secret),
            from,
        });
        Mail { server, admin: text("mail.admin") }
    }

    fn webhooks_to_nowhere(&self) -> Option<Mistake> {
        let key = "engines.replicate.webhooks";
        let (wanted, origin) = self.0.get(key)?;
        let (public_url, _) = self.0.get("server.public_url")?;
        let reason = match public_url {
            None => "server.public_url is missing, which tells Replicate where to call",
            Some(url) if !url.url().to_string().starts_with("https://") => {
                "server.public_url is not an https address, and Replicate calls no other"
            }
            Some(_) => return None,
        };
        let fault = Fault::WrongValue { key: key.to_owned(), reason: reason.to_owned() };
        wanted.as_ref()?.flag().then(|| Mistake { origin: origin.clone(), fault })
    }

    fn name_that_is_long(&self) -> Option<Mistake> {
        let key = "brand.name";
        let (name, origin) = self.0.get(key)?;
        let reason = format!("a name may have {BRAND_NAME_MAX} characters");
        let fault = Fault::WrongValue { key: key.to_owned(), reason };
        let is_long = name.as_ref()?.text().chars().count() > BRAND_NAME_MAX;
        is_long.then(|| Mistake { origin: origin.clone(), fault })
    }

    fn no_dsn(&self) -> Option<Mistake> {
        let key = "telemetry.sentry_dsn";
        let (dsn, origin) = self.0.get(key)?;
        let reason = Dsn::parse(dsn.as_ref()?.secret().expose()).err()?.to_owned();
        Some(Mistake { origin: origin.clone(), fault: Fault::WrongValue { key: key.to_owned(), reason } })
    }

    fn files_alone(&self) -> Option<Mistake> {
        let key = "delivery.host";
        let (host, origin) = self.0.get(key)?;
        let public = self.0.get("server.public_url")?.0.as_ref()?.url();
        let authority = public.authority();
        let same = authority.rsplit_once(':').map_or(authority, |(name, _)| name) == host.as_ref()?.text();
        let reason = "server.public_url has the same name; only files would be there".to_owned();
        same.then(|| Mistake {
            origin: origin.clone(),
            fault: Fault::WrongValue { key: key.to_owned(), reason },
        })
    }

    fn sessions_that_shrink(&self) -> Option<Mistake> {
        let key = "accounts.remember_days";
        let (Some(remember), Some(session)) = (self.0.get(key), self.0.get("accounts.session_days")) else {
            return None;
        };
        let (Some(days), Some(session_days)) = (&remember.0, &session.0) else { return None };
        let (days, session_days) = (days.integer(), session_days.integer());
        if days >= session_days {
            return None;
        }
        // Blame the one that somebody typed.
        let origin = if remember.1 == Origin::Default { &session.1 } else { &remember.1 };
        let reason = format!("{days} is less than accounts.session_days, {session_days}");
        Some(Mistake { origin: origin.clone(), fault: Fault::WrongValue { key: key.to_owned(), reason } })
    }

    fn tls_contradictions(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        // What is wrong by itself is missing here and has been reported.
        let given = |key: &'static str| Some((self.0.get(key)?.0.as_ref()?, &self.0.get(key)?.1));
        let mut wrong = |key: &str, origin: &Origin, reason: &str| {
            let fault = Fault::WrongValue { key: key.to_owned(), reason: reason.to_owned() };
            mistakes.push(Mistake { origin: origin.clone(), fault });
        };
        for (one, other) in [
            ("tls.certificate", "tls.key"),
            ("tls.acme.eab_kid", "tls.acme.eab_hmac_key"),
            ("tls.acme.dns.tsig_name", "tls.acme.dns.tsig_secret"),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let is_missing = matches!(self.0.get(other), Some((None, _)));
                if let (Some((_, origin)), true) = (given(one), is_missing) {
                    wrong(one, origin, &format!("it needs {other} beside it"));
                }
            }
        }
        let service = given("tls.acme.dns.provider");
        let sets_records = given("tls.acme.dns_hook").is_some() || service.is_some();
        if let Some((provider, origin)) = &service {
            let needed =
                if provider.text() == "rfc2136" { "tls.acme.dns.server" } else { "tls.acme.dns.token" };
            if matches!(self.0.get(needed), Some((None, _))) {
                wrong("tls.acme.dns.provider", origin, &format!("it needs {needed} beside it"));
            }
        }
        let challenges =
            given("tls.acme.challenges").map(|(challenges, origin)| (challenges.texts(), origin));
        let dns = challenges.as_ref().is_some_and(|(names, _)| names.iter().any(|name| name == "dns-01"));
        if let (true, false, Some((_, origin))) = (dns, sets_records, &challenges) {
            let reason = "dns-01 needs somebody who sets records: tls.acme.dns.provider or tls.acme.dns_hook";
            wrong("tls.acme.challenges", origin, reason);
        }
        if let (false, true, Some((_, origin))) = (dns, challenges.is_some(), &service) {
            wrong("tls.acme.dns.provider", origin, "it is of no use without dns-01 in tls.acme.challenges");
        }
        if let (Some((domains, origin)), false, true) = (given("tls.domains"), dns, challenges.is_some())
            && given("tls.certificate").is_none()
            && domains.texts().iter().any(|names| names.contains('*'))
        {
            wrong("tls.domains", origin, "a name with * needs dns-01 in tls.acme.challenges");
        }
        mistakes
    }

    /// Plain HTTP gives way to HTTPS unless somebody asked for it.
    fn plain_listen(&self) -> Option<SocketAddr> {
        let key = "server.listen";
        let is_default = self.0.get(key).is_some_and(|(_, origin)| *origin == Origin::Default);
        (!(is_default && self.tls().is_on())).then(|| self.required(key).address())
    }

    fn tls(&self) -> Tls {
        let path = |key| self.find(key).map(Value::path);
        let text = |key| self.find(key).map(Value::text);
        let files = path("tls.certificate").zip(path("tls.key"));
        let challenge = |name: &String| match name.as_str() {
            "http-01" => Challenge::Http01,
            "dns-01" => Challenge::Dns01,
            _ => Challenge::TlsAlpn01,
        };
        Tls {
            domains: self
                .required("tls.domains")
                .texts()
                .iter()
                .map(|names| names.split(' ').map(str::to_owned).collect())
                .collect(),
            files: files.map(|(certificate, key)| CertificateFiles { certificate, key }),
            email: text("tls.email"),
            hsts: self.required("tls.hsts").duration(),
            acme: Acme {
                directory_url: self.required("tls.acme.directory_url").text(),
                fallback_directory_url: text("tls.acme.fallback_directory_url"),
                ca_file: path("tls.acme.ca_file"),
                eab_kid: text("tls.acme.eab_kid"),
                eab_hmac_key: self.find("tls.acme.eab_hmac_key").map(Value::secret),
                challenges: self.required("tls.acme.challenges").texts().iter().map(challenge).collect(),
                profile: text("tls.acme.profile"),
                dns_hook: path("tls.acme.dns_hook"),
                dns: self.acme_dns(),
            },
        }
    }

    fn acme_dns(&self) -> AcmeDns {
        let text = |key| self.find(key).map(Value::text);
        let service = |name: String| match name.as_str() {
            "cloudflare" => DnsService::Cloudflare,
            "hetzner" => DnsService::Hetzner,
            "digitalocean" => DnsService::Digitalocean,
            "desec" => DnsService::Desec,
            "gandi" => DnsService::Gandi,
            _ => DnsService::Rfc2136,
        };
        AcmeDns {
            provider: text("tls.acme.dns.provider").map(service),
            token: self.find("tls.acme.dns.token").map(Value::secret),
            zone: text("tls.acme.dns.zone").map(|zone| zone.trim_end_matches('.').to_ascii_lowercase()),
            server: text("tls.acme.dns.server"),
            tsig_name: text("tls.acme.dns.tsig_name"),
            tsig_secret: self.find("tls.acme.dns.tsig_secret").map(Value::secret),
            wait: self.find("tls.acme.dns.wait").map(Value::duration),
        }
    }

    fn engines(&self) -> Engines {
        Engines {
            result_hosts: self
                .required("engines.result_hosts")
                .texts()
                .into_iter()
                .map(|host| host.to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect(),
            hugging_face: HuggingFace {
                token: self.find("engines.hugging_face.token").map(Value::secret),
                router_url: self.required("engines.hugging_face.router_url").url(),
                hub_url: self.required("engines.hugging_face.hub_url").url(),
                bill_to: self.find("engines.hugging_face.bill_to").map(Value::text),
                endpoints: self.required("engines.hugging_face.endpoints").urls(),
            },
            replicate: Replicate {
                token: self.find("engines.replicate.token").map(Value::secret),
                base_url: self.required("engines.replicate.base_url").url(),
                webhook_url: self
                    .find("server.public_url")
                    .filter(|_| self.required("engines.replicate.webhooks").flag())
                    .map(|url| {
                        let base_path = self.required("server.base_path").text();
                        format!("{}{base_path}/api/v1/hooks/replicate", url.url())
                    }),
            },
            onnx: Onnx { models_dir: self.find("engines.onnx.models_dir").map(Value::path) },
            space: Space {
                enabled: self.required("engines.space.enabled").flag(),
                urls: self.required("engines.space.urls").urls(),
                token: self.find("engines.space.token").map(Value::secret),
            },
        }
    }

    fn config(&self) -> Config {
        Config {
            data_dir: self.required("data_dir").path(),
            server: Server {
                listen: self.plain_listen(),
                https_listen: self.required("server.https_listen").address(),
                http_listen: self.required("server.http_listen").address(),
                public_url: self.find("server.public_url").map(Value::url),
                base_path: self.required("server.base_path").text(),
                trusted_proxies: self.required("server.trusted_proxies").networks(),
                proxy_protocol: self.required("server.proxy_protocol").flag(),
            },
            tls: self.tls(),
            limits: Limits {
                max_upload_bytes: self.integer("limits.max_upload_bytes"),
                max_pixels: self.required("limits.max_pixels").integer(),
                max_files_per_request: self.count("limits.max_files_per_request") as usize,
                min_free_bytes: self.required("limits.min_free_bytes").integer(),
                connections: Connections {
                    max: self.count("limits.connections.max") as usize,
                    max_per_address: self.count("limits.connections.max_per_address") as usize,
                    header_timeout: self.required("limits.connections.header_timeout").duration(),
                    idle_timeout: self.required("limits.connections.idle_timeout").duration(),
                    body_timeout: self.required("limits.connections.body_timeout").duration(),
                },
                anonymous: Rate {
                    per_second: self.count("limits.anonymous.per_second"),
                    burst: self.count("limits.anonymous.burst"),
                },
                signed_in: Rate {
                    per_second: self.count("limits.signed_in.per_second"),
                    burst: self.count("limits.signed_in.burst"),
                },
                login: LoginLimits {
                    attempts: self.count("limits.login.attempts"),
                    attempts_per_address: self.count("limits.login.attempts_per_address"),
                    longest_wait: self.required("limits.login.longest_wait").duration(),
                },
            },
            uploads: Uploads {
                expire: self.required("uploads.expire").duration(),
                max_unfinished: self.count("uploads.max_unfinished"),
            },
            import: Import {
                watch: self.find("import.watch").map(Value::path),
                taken: match self.required("import.taken").text().as_str() {
                    "leave" => Taken::Leave,
                    _ => Taken::Move,
                },
            },
            accounts: Accounts {
                session: self.days("accounts.session_days"),
                remembered_session: self.days("accounts.remember_days"),
            },
            jobs: Jobs {
                workers: self
                    .integer("jobs.workers")
                    .and_then(|workers| NonZeroUsize::new(usize::try_from(workers).ok()?))
                    .unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            },
            restore: Restore { keep_steps_days: self.count("restore.keep_steps_days") },
            delivery: Delivery {
                cache_bytes: self.required("delivery.cache_bytes").integer(),
                public_base_url: self.find("delivery.public_base_url").map(Value::url),
                host: self.find("delivery.host").map(Value::text),
            },
            cors: Cors { origins: self.required("cors.origins").origins() },
            outbound: Outbound {
                offline: self.required("outbound.offline").flag(),
                allow_private: self.required("outbound.allow_private").networks(),
            },
            engines: self.engines(),
            mail: self.mail(),
            alerts: Alerts { webhook_url: self.find("alerts.webhook_url").map(Value::secret) },
            brand: Brand {
                name: self.find("brand.name").map(Value::text),
                logo: self.find("brand.logo").map(Value::path),
                accent: self.find("brand.accent").and_then(|text| Accent::parse(&text.text()).ok()),
            },
            telemetry: Telemetry {
                otlp_endpoint: self.find("telemetry.otlp_endpoint").map(Value::text),
                otlp_headers: self.find("telemetry.otlp_headers").map(Value::secret),
                sentry_dsn: self.find("telemetry.sentry_dsn").map(Value::secret),
            },
            metrics: Metrics { token: self.find("metrics.token").map(Value::secret) },
            log: Log {
                file: self.find("log.file").map(Value::path),
                file_max_bytes: self.required("log.file_max_bytes").integer(),
                files_kept: self.count("log.files_kept") as usize,
                level: match self.required("log.level").text().as_str() {
                    "error" => LogLevel::Error,
                    "warn" => LogLevel::Warn,
                    "debug" => LogLevel::Debug,
                    "trace" => LogLevel::Trace,
                    _ => LogLevel::Info,
                },
                format: match self.required("log.format").text().as_str() {
                    "pretty" => LogFormat::Pretty,
                    "json" => LogFormat::Json,
                    _ => LogFormat::Auto,
                },
                slow_query: self.required("log.slow_query").duration(),
                slow_job: self.required("log.slow_job").duration(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
