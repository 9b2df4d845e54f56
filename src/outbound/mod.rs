//! The one HTTP client. Every request to another machine goes through here, so that the rules about where it may go
//! hold for all of them; knows no provider, no feature and no database.
//!
//! An origin (scheme, host, port) that an admin configured is trusted, wherever it is. An address that comes from
//! outside, a result's or a redirect's, must be on the call's list of hosts and may not lead to a private network, not
//! even by its name's DNS answer, unless `outbound.allow_private` names the address. Redirects are followed here and
//! not by the HTTP library: what is secret goes to the origin it was given for and to no other. Bodies are counted
//! while they arrive.

mod address;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
pub use reqwest::multipart::{Form, Part};
pub use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::config::{self, Network, Secret};
pub use address::is_public;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(15);

/// How long a call takes at most where nothing else is said.
const DEADLINE: Duration = Duration::from_secs(60);

/// How many redirects one call follows.
const REDIRECTS_MAX: usize = 5;

/// The largest answer that is read to be understood rather than kept.
const TALK_BYTES_MAX: u64 = 8 << 20;

/// Why a request was not made or its answer not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `outbound.offline` is set.
    #[error("connections to other machines are forbidden by the setting outbound.offline")]
    Offline,
    /// The certificates of the system can't be read.
    #[error(
        "no secure connection can be made: are the system's certificates (the package ca-certificates) installed?"
    )]
    NoCertificates {
        /// What the TLS library says.
        #[source]
        source: reqwest::Error,
    },
    /// The address is not one that can be fetched.
    #[error("{0:?} is not an address that can be fetched")]
    BadUrl(String),
    /// The host is not on the list of the call.
    #[error("the answer lies at {host}, which is none of the hosts that are known for it")]
    ForeignHost {
        /// Which host.
        host: String,
    },
    /// An address from outside leads to a private network.
    #[error("{host} leads to a private network, which only outbound.allow_private can permit")]
    Private {
        /// Which host.
        host: String,
    },
    /// A redirect came where none is followed, or too many did.
    #[error("{host} redirects to somewhere else")]
    Redirected {
        /// Who redirected.
        host: String,
    },
    /// No connection came about: nothing was sent.
    #[error("{host} can't be reached")]
    Unreachable {
        /// Which host.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing came in time; what was sent may have arrived.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// Which host.
        host: String,
    },
    /// The connection broke; what was sent may have arrived.
    #[error("the connection to {host} broke")]
    Broken {
        /// Which host.
        host: String,
        /// How.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than is taken.
    #[error("the answer of {host} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// Whose answer.
        host: String,
        /// What is taken at most.
        limit_bytes: u64,
    },
    /// The answer is not what was agreed.
    #[error("the answer of {host} can't be understood")]
    NotUnderstood {
        /// Whose answer.
        host: String,
    },
}

impl Error {
    /// Whether it is certain that the request did no work at the other side.
    pub const fn nothing_sent(&self) -> bool {
        matches!(
            self,
            Self::Offline
                | Self::NoCertificates { .. }
                | Self::BadUrl(_)
                | Self::ForeignHost { .. }
                | Self::Private { .. }
                | Self::Unreachable { .. }
        )
    }

    /// Whether the same may succeed later.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. })
    }
}

/// What outbound functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The client. Cheap to clone; sockets and certificates are only touched by the first request.
#[derive(Clone)]
pub struct Outbound(Arc<Inner>);

struct Inner {
    /// Clients with other roots share it.
    rules: Arc<ArcSwap<Rules>>,
    /// Trusted beside the system's, by trusted origins only.
    roots: Vec<reqwest::Certificate>,
    /// For origins that an admin configured, and for all others.
    trusted: OnceLock<reqwest::Client>,
    foreign: OnceLock<reqwest::Client>,
}

/// What an admin may change while requests are made.
struct Rules {
    offline: bool,
    allow_private: Vec<Network>,
}

impl Rules {
    fn of(settings: &config::Outbound) -> Self {
        Self { offline: settings.offline, allow_private: settings.allow_private.clone() }
    }

    fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allow_private.iter().any(|network| network.contains(address))
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("offline", &self.is_offline()).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Makes the client of a process.
    pub fn new(settings: &config::Outbound) -> Self {
        Self(Arc::new(Inner {
            rules: Arc::new(ArcSwap::from_pointee(Rules::of(settings))),
            roots: Vec::new(),
            trusted: OnceLock::new(),
            foreign: OnceLock::new(),
        }))
    }

    /// The same client, which also trusts other servers' certificates: PEM, with at least one.
    ///
    /// # Errors
    /// [`Error::NoCertificates`] when there is none in it.
    pub fn with_roots(&self, pem: &[u8]) -> Result<Self> {
        let roots =
            reqwest::Certificate::from_pem_bundle(pem).map_err(|source| Error::NoCertificates { source })?;
        Ok(Self(Arc::new(Inner {
            rules: Arc::clone(&self.0.rules),
            roots,
            trusted: OnceLock::new(),
            foreign: OnceLock::new(),
        })))
    }

    /// Takes other rules, for every request that begins from now on, by any clone.
    pub fn configure(&self, settings: &config::Outbound) {
        self.0.rules.store(Arc::new(Rules::of(settings)));
    }

    /// Whether every request is refused.
    pub fn is_offline(&self) -> bool {
        self.0.rules.load().offline
    }

    /// Begins a request to an address below an origin that an admin configured.
    ///
    /// # Errors
    /// [`Error::BadUrl`].
    pub fn call(&self, method: Method, url: &str) -> Result<Call> {
        let url = parse(url)?;
        Ok(Call::new(self.clone(), method, Some(url.clone()), url))
    }

    /// Begins fetching an address that came from outside. It must be at one of `hosts` or at the configured origin of
    /// `home`, which alone is trusted and alone gets what is secret.
    ///
    /// # Errors
    /// [`Error::BadUrl`].
    pub fn fetch(&self, url: &str, home: &str, hosts: &[String]) -> Result<Call> {
        let mut call = Call::new(self.clone(), Method::GET, Some(parse(home)?), parse(url)?);
        call.hosts = hosts.to_vec();
        Ok(call)
    }

    fn client(&self, trusted: bool) -> Result<reqwest::Client> {
        let slot = if trusted { &self.0.trusted } else { &self.0.foreign };
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("Safelight/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(30))
            // A proxy would resolve names where the rule about private networks can't see it.
            .no_proxy();
        let builder = if trusted {
            builder.tls_certs_merge(self.0.roots.iter().cloned())
        } else {
            builder.dns_resolver(Arc::new(Watchful { rules: Arc::clone(&self.0.rules) }))
        };
        let client = builder.build().map_err(|source| Error::NoCertificates { source })?;
        Ok(slot.get_or_init(|| client).clone())
    }

    fn permits(&self, address: IpAddr) -> bool {
        self.0.rules.load().permits(address)
    }
}

fn parse(url: &str) -> Result<Url> {
    let bad = || Error::BadUrl(url.chars().take(200).collect());
    let parsed = Url::parse(url).map_err(|_| bad())?;
    let fine = matches!(parsed.scheme(), "http" | "https")
        && parsed.host_str().is_some()
        && parsed.username().is_empty()
        && parsed.password().is_none();
    if fine { Ok(parsed) } else { Err(bad()) }
}

/// Resolves names and leaves the private addresses out, so that no name can lead where an address may not.
struct Watchful {
    rules: Arc<ArcSwap<Rules>>,
}

impl Resolve for Watchful {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.rules.load_full();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| rules.permits(found.ip())).collect();
            if public.is_empty() {
                return Err(PrivateName.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to a private network")]
struct PrivateName;

/// A request that is being put together.
pub struct Call {
    outbound: Outbound,
    method: Method,
    url: Url,
    /// The address whose origin is trusted.
    home: Option<Url>,
    /// Other hosts that may be spoken to; a host also stands for the names below it.
    hosts: Vec<String>,
    headers: HeaderMap,
    /// Goes to the trusted origin only.
    secret: Option<HeaderValue>,
    body: Body,
    deadline: Duration,
}

enum Body {
    None,
    Bytes(Bytes),
    Form(Form),
}

impl Call {
    fn new(outbound: Outbound, method: Method, home: Option<Url>, url: Url) -> Self {
        Self {
            outbound,
            method,
            url,
            home,
            hosts: Vec::new(),
            headers: HeaderMap::new(),
            secret: None,
            body: Body::None,
            deadline: DEADLINE,
        }
    }

    /// Sends a token as `Authorization: <scheme> <token>`, to the trusted origin only.
    #[must_use]
    pub fn token(mut self, scheme: &str, token: Option<&Secret>) -> Self {
        let value = token.map(|token| HeaderValue::try_from(format!("{scheme} {}", token.expose().trim())));
        // A token with a line break in it is no token; the other side will say that there is none.
        self.secret = value.and_then(|value| value.ok()).map(|mut value| {
            value.set_sensitive(true);
            value
        });
        self
    }

    /// Sends a header; one whose value no header can have is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sends a header of any name, which is not shown anywhere; one that no header can be is left out.
    #[must_use]
    pub fn sensitive(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(self, value: &serde_json::Value) -> Self {
        self.bytes("application/json", value.to_string().into())
    }

    /// Sends bytes of a media type.
    #[must_use]
    pub fn bytes(mut self, content_type: &str, bytes: Bytes) -> Self {
        self.body = Body::Bytes(bytes);
        self.header("content-type", content_type)
    }

    /// Sends a form with files. It can't be sent twice, so a redirect is not followed.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.body = Body::Form(form);
        self
    }

    /// Sets how long everything may take, the reading of the answer included.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends the request and waits for the head of the answer. Redirects of a GET are followed.
    ///
    /// # Errors
    /// Every variant but [`Error::TooLarge`] and [`Error::NotUnderstood`]; whatever the other side answers is no error.
    pub async fn send(mut self) -> Result<Answer> {
        if self.outbound.is_offline() {
            return Err(Error::Offline);
        }
        let ends = tokio::time::Instant::now() + self.deadline;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.send_once(ends).await?;
            let follows = answer.inner.status().is_redirection() && self.method == Method::GET;
            let Some(next) = answer.inner.headers().get(LOCATION).filter(|_| follows) else {
                if answer.inner.status().is_redirection() {
                    return Err(Error::Redirected { host: answer.host });
                }
                return Ok(answer);
            };
            let next = next.to_str().ok().and_then(|next| self.url.join(next).ok());
            let next = next.ok_or_else(|| Error::Redirected { host: answer.host.clone() })?;
            // From encryption there is no way back.
            if self.url.scheme() == "https" && next.scheme() != "https" {
                return Err(Error::Redirected { host: answer.host });
            }
            self.url = parse(next.as_str())?;
        }
        Err(Error::Redirected { host: host_of(&self.url) })
    }

    async fn send_once(&mut self, ends: tokio::time::Instant) -> Result<Answer> {
        let trusted = self.home.as_ref().is_some_and(|home| home.origin() == self.url.origin());
        let host = host_of(&self.url);
        if !trusted {
            self.check_foreign(&host)?;
        }
        let mut headers = self.headers.clone();
        if let Some(secret) = self.secret.clone().filter(|_| trusted) {
            headers.insert(AUTHORIZATION, secret);
        }
        let left = ends.saturating_duration_since(tokio::time::Instant::now());
        let mut request = self
            .outbound
            .client(trusted)?
            .request(self.method.clone(), self.url.clone())
            .headers(headers)
            .timeout(left);
        request = match std::mem::replace(&mut self.body, Body::None) {
            Body::None => request,
            Body::Bytes(bytes) => request.body(bytes),
            Body::Form(form) => request.multipart(form),
        };
        tracing::debug!(outbound.host = %host, outbound.method = %self.method, "asking another machine");
        match request.send().await {
            Ok(inner) => Ok(Answer { inner, host }),
            Err(error) => Err(failure(error, host)),
        }
    }

    fn check_foreign(&self, host: &str) -> Result<()> {
        let known = self.hosts.iter().any(|known| {
            host == known || host.strip_suffix(known.as_str()).is_some_and(|rest| rest.ends_with('.'))
        });
        if !known {
            return Err(Error::ForeignHost { host: host.to_owned() });
        }
        // Names are checked when they are resolved; an address is never resolved.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        match literal {
            Some(address) if !self.outbound.permits(address) => Err(Error::Private { host: host.to_owned() }),
            _ => Ok(()),
        }
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase()
}

fn failure(error: reqwest::Error, host: String) -> Error {
    let error = error.without_url();
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
    while let Some(cause) = source {
        if cause.is::<PrivateName>() {
            return Error::Private { host };
        }
        source = cause.source();
    }
    if error.is_connect() {
        Error::Unreachable { host, source: error }
    } else if error.is_timeout() {
        Error::TimedOut { host }
    } else {
        Error::Broken { host, source: error }
    }
}

/// The head of an answer, whose body has yet to come.
#[derive(Debug)]
pub struct Answer {
    inner: reqwest::Response,
    host: String,
}

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// Who answered.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// How long the other side wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.header("retry-after"), self.header("ratelimit"))
    }

    /// Reads the next part of the body; nothing at its end.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Broken`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        self.inner.chunk().await.map_err(|error| failure(error, self.host.clone()))
    }

    /// Reads the body, which may have so many bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::TimedOut`], [`Error::Broken`].
    pub async fn read(mut self, limit_bytes: u64) -> Result<Vec<u8>> {
        let too_large = |host: &str| Error::TooLarge { host: host.to_owned(), limit_bytes };
        if self.inner.content_length().is_some_and(|length| length > limit_bytes) {
            return Err(too_large(&self.host));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() as u64 + chunk.len() as u64 > limit_bytes {
                return Err(too_large(&self.host));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads a body of JSON.
    ///
    /// # Errors
    /// As [`Answer::read`], and [`Error::NotUnderstood`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let host = self.host.clone();
        let bytes = self.read(TALK_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map_err(|_| Error::NotUnderstood { host })
    }
}

/// The longest pause that a header may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `Retry-After` (seconds) and `RateLimit: "name";r=0;t=12` (IETF draft 9, of which `t` counts where nothing is
/// left).
fn retry_after(retry_after: Option<&str>, rate_limit: Option<&str>) -> Option<Duration> {
    let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
    let from_limit = || {
        let parameter = |name: &str| {
            rate_limit?.split(';').find_map(|part| part.trim().strip_prefix(name)?.parse::<u64>().ok())
        };
        (parameter("r=") == Some(0)).then(|| parameter("t=").map(|t| t.saturating_add(1))).flatten()
    };
    seconds.or_else(from_limit).map(|seconds| Duration::from_secs(seconds).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_read_from_both_headers() {
        let seconds = |a, b| retry_after(a, b).map(|pause| pause.as_secs());
        assert_eq!(seconds(Some("7"), Some("\"api\";r=0;t=99")), Some(7));
        assert_eq!(seconds(None, Some("\"api\";r=0;t=11")), Some(12));
        assert_eq!(seconds(None, Some("\"api\";r=3;t=11")), None);
        assert_eq!(seconds(Some("Wed, 21 Oct 2026 07:28:00 GMT"), None), None);
        assert_eq!(seconds(Some("99999999999"), None), Some(86_400));
        assert_eq!(seconds(Some("-1"), Some("r=;t=;;")), None);
    }

    #[test]
    fn addresses_that_are_not_fetched_are_refused() {
        for bad in
            ["", "ftp://example.org/", "file:///etc/passwd", "http://", "https://a:b@example.org/", "//x"]
        {
            assert!(matches!(parse(bad), Err(Error::BadUrl(_))), "{bad}");
        }
        assert!(parse("https://example.org/a?b").is_ok());
    }

    fn foreign(url: &str, hosts: &[&str]) -> Result<()> {
        let outbound = Outbound::new(&config::Outbound { offline: false, allow_private: Vec::new() });
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let call = outbound.fetch(url, "https://api.example.org", &hosts)?;
        call.check_foreign(&host_of(&call.url))
    }

    #[test]
    fn only_listed_hosts_and_public_addresses_are_fetched_from() {
        assert!(foreign("https://x.example.com/a", &["example.com"]).is_ok());
        assert!(foreign("https://EXAMPLE.com./a", &["example.com"]).is_ok());
        assert!(matches!(
            foreign("https://badexample.com/", &["example.com"]),
            Err(Error::ForeignHost { .. })
        ));
        for inside in ["http://127.0.0.1/", "http://[::1]/", "http://0x7f.1/", "http://[::ffff:10.0.0.1]/"] {
            let hosts = ["127.0.0.1", "[::1]", "[::ffff:a00:1]"];
            assert!(matches!(foreign(inside, &hosts), Err(Error::Private { .. })), "{inside}");
        }
    }
}
