//! `/metrics`: what programs that watch the appliance read, and who may.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use crate::api::Problem;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db;
use crate::jobs::Backlog;
use crate::metrics::{self, Kind, Page};
use crate::storage::Space;
use crate::tls::CertificateState;
use crate::{accounts, jobs, library, uploads};

/// How long what was counted in the database is told again: several may watch, and nobody should count all the time.
const KEPT_MS: u128 = 5_000;

/// What only a proxy sends.
static PROXY_HEADERS: [HeaderName; 6] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

#[derive(Clone)]
struct Watch {
    app: App,
    last: Arc<Mutex<Option<Last>>>,
}

/// What was counted last, and when.
struct Last {
    at: Timestamp,
    counted: Arc<Counted>,
}

/// The address that monitors ask, in both spellings.
pub(super) fn router<S: Clone + Send + Sync + 'static>(app: App) -> Router<S> {
    Router::new()
        .route("/metrics", get(show))
        .route("/api/metrics", get(show))
        .with_state(Watch { app, last: Arc::default() })
}

async fn show(State(watch): State<Watch>, request: Request) -> Result<Response, Problem> {
    may_read(&watch.app, &request)?;
    let counted = watch.count().await?;
    let mut page = Page::new();
    let help = "The version of the program; always 1.";
    page.family("safelight_build_info", Kind::Gauge, help)
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    metrics::show_process(&mut page, watch.app.started_at);
    metrics::show_counters(&mut page);
    counted.show(&mut page, watch.app.clock.now());
    show_caches(&mut page, &watch.app);
    show_certificates(&mut page, &watch.app);
    let headers = [(header::CONTENT_TYPE, Page::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, page.finish()).into_response())
}

/// Lets those read who bring the token, and programs on this machine.
fn may_read(app: &App, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer
        .map(|text| text.split_once(' ').unwrap_or((text, "")))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = app.config.metrics.token.as_ref();
    match (bearer, token) {
        (Some((_, brought)), Some(token))
            if bool::from(brought.trim().as_bytes().ct_eq(token.expose().as_bytes())) =>
        {
            Ok(())
        }
        (None, _) if is_from_this_machine(app, request) => Ok(()),
        (_, Some(_)) => {
            let detail = "This needs the token of metrics.token as a bearer.";
            Err(Problem::new(StatusCode::UNAUTHORIZED, "metrics-token", detail))
        }
        (_, None) => Err(Problem::not_found("address")),
    }
}

/// Whether a program on this machine asks for itself. A proxy on this machine comes from the same address and speaks for
/// anybody, so whatever hints at one counts against it.
fn is_from_this_machine(app: &App, request: &Request) -> bool {
    let server = &app.config.server;
    let proxied = !server.trusted_proxies.is_empty()
        || (server.public_url.is_some() && !app.tls.is_on())
        // The least that nginx is told makes it ask in a version that nobody else speaks any more.
        || request.version() < axum::http::Version::HTTP_11
        || PROXY_HEADERS.iter().any(|name| request.headers().contains_key(name));
    let peer = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    !proxied
        && peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback())
        && asks_for_loopback(request.headers(), request.uri().host())
}

/// Whether the name that is asked for is this machine's own: a page of another site whose name was pointed here has none
/// of these.
fn asks_for_loopback(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = authority.or(host) else { return false };
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// What was counted in the database and looked up on the disk.
struct Counted {
    backlog: Vec<Backlog>,
    sessions: u64,
    uploads: u64,
    library: library::Totals,
    stored: library::Stored,
    size: db::Size,
    /// Nothing where the disk can't be asked.
    space: Option<Space>,
    wal_bytes: u64,
}

impl Watch {
    async fn count(&self) -> Result<Arc<Counted>, Problem> {
        // Held while it is counted: who comes meanwhile gets the same.
        let mut last = self.last.lock().await;
        let app = &self.app;
        let now = app.clock.now();
        if let Some(Last { at, counted }) = &*last
            && now.since(*at).as_millis() < KEPT_MS
            && *at <= now
        {
            return Ok(Arc::clone(counted));
        }
        let storage = app.storage.clone();
        let space = tokio::task::spawn_blocking(move || storage.free_space().ok()).await.ok().flatten();
        let wal = app.db.path().with_extension("db-wal");
        let wal_bytes = tokio::fs::metadata(wal).await.map_or(0, |file| file.len());
        let read = app.db.read(move |conn| {
            Ok::<_, db::Error>(Counted {
                backlog: jobs::backlog(conn)?,
                sessions: accounts::count_sessions(conn, now)?,
                uploads: uploads::count_all_unfinished(conn, now)?,
                library: library::totals(conn)?,
                stored: library::stored(conn)?,
                size: db::size(conn)?,
                space,
                wal_bytes,
            })
        });
        let counted = Arc::new(read.await?);
        *last = Some(Last { at: now, counted: Arc::clone(&counted) });
        Ok(counted)
    }
}

impl Counted {
    fn show(&self, page: &mut Page, now: Timestamp) {
        let mut family = page.family("safelight_jobs", Kind::Gauge, "Jobs in the queue, by kind and state.");
        for Backlog { kind, queued, running, failed, .. } in &self.backlog {
            for (state, count) in [("queued", queued), ("running", running), ("failed", failed)] {
                family.sample(&[("kind", kind.as_str()), ("state", state)], count);
            }
        }
        let help = "For how long the oldest job has been waiting that could run.";
        let mut family = page.family("safelight_jobs_oldest_age_seconds", Kind::Gauge, help);
        for Backlog { kind, due_since, .. } in &self.backlog {
            let age = due_since.map_or(0.0, |since| now.since(since).as_secs_f64());
            family.sample(&[("kind", kind.as_str())], age);
        }
        page.gauge("safelight_sessions", "Sessions of browsers that have not ended.", self.sessions);
        page.gauge("safelight_uploads_unfinished", "Resumable uploads that are not finished.", self.uploads);
        page.gauge("safelight_media", "Media that are not in the trash.", self.library.media);
        page.gauge("safelight_media_bytes", "Bytes of their current versions.", self.library.size_bytes);
        page.gauge("safelight_storage_blobs", "Stored contents, each counted once.", self.stored.blobs);
        page.gauge("safelight_storage_blob_bytes", "Bytes of stored contents.", self.stored.size_bytes);
        let mut family =
            page.family("safelight_storage_free_bytes", Kind::Gauge, "Free space on the disk of the blobs.");
        self.space.iter().for_each(|space| family.sample(&[], space.free_bytes));
        let mut family =
            page.family("safelight_storage_size_bytes", Kind::Gauge, "Size of the disk of the blobs.");
        self.space.iter().for_each(|space| family.sample(&[], space.total_bytes));
        page.gauge("safelight_db_size_bytes", "Bytes of the database without its log.", self.size.bytes);
        page.gauge("safelight_db_free_bytes", "Bytes in it that hold nothing.", self.size.free_bytes);
        page.gauge("safelight_db_wal_size_bytes", "Bytes of the database's log.", self.wal_bytes);
    }
}

fn show_caches(page: &mut Page, app: &App) {
    let mut family =
        page.family("safelight_cache_bytes", Kind::Gauge, "Bytes of renderings that are kept, by cache.");
    family.sample(&[("cache", "disk")], app.cache.size_bytes());
    family.sample(&[("cache", "memory")], app.hot.size_bytes());
    page.gauge(
        "safelight_cache_limit_bytes",
        "What renderings may take of the disk.",
        app.cache.limit_bytes(),
    );
}

fn show_certificates(page: &mut Page, app: &App) {
    let certificates = app.tls.status();
    let seconds = |moment: Timestamp| moment.as_millis() / 1000;
    let mut show = |name, help, value: &dyn Fn(&crate::tls::CertificateStatus) -> Option<i64>| {
        let mut family = page.family(name, Kind::Gauge, help);
        for certificate in &certificates {
            if let (Some(name), Some(value)) = (certificate.names.first(), value(certificate)) {
                family.sample(&[("name", name.as_str())], value);
            }
        }
    };
    show("safelight_certificate_valid", "Whether visitors get a certificate that holds.", &|certificate| {
        Some(i64::from(certificate.state == CertificateState::Valid))
    });
    let help = "When the certificate ends, in seconds since 1970.";
    show("safelight_certificate_expiry_timestamp_seconds", help, &|certificate| {
        certificate.not_after.map(seconds)
    });
    let help = "When one was last asked for, in seconds since 1970.";
    show("safelight_certificate_last_attempt_timestamp_seconds", help, &|certificate| {
        certificate.last_attempt_at.map(seconds)
    });
    let help = "Whether the last attempt to get one succeeded.";
    show("safelight_certificate_last_attempt_success", help, &|certificate| {
        certificate.last_attempt_at.map(|_| i64::from(certificate.failed_attempts == 0))
    });
    let help = "Attempts that have failed since the last success.";
    show("safelight_certificate_failed_attempts", help, &|certificate| {
        Some(certificate.failed_attempts.into())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        let asks = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, header::HeaderValue::from_static(host));
            asks_for_loopback(&headers, None)
        };
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(asks(own), "{own}");
        }
        for other in
            ["photos.example.org", "localhost.example.org", "10.0.0.1:8080", "[2001:db8::1]", "", "[", "::1"]
        {
            assert!(!asks(other), "{other}");
        }
        assert!(!asks_for_loopback(&HeaderMap::new(), None));
    }
}
