//! Which name a request came for, and what answers there: the appliance, only files, or nothing.
//!
//! A request for a name that is nobody's here is refused once an admin has said which one is ours: a page of somebody
//! else, whose name was made to lead to this machine (DNS rebinding), must not act in it, and caches and proxies should
//! learn of a mistake. Addresses, and names that only this machine or this network can have, are nobody else's.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, SET_COOKIE};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::Problem;
use crate::app::App;

/// What watches the process asks by whatever name it has for it.
const FOR_WATCHERS: [&str; 5] = ["/health", "/health/ready", "/api/health", "/metrics", "/api/metrics"];

/// Ends of names that nobody can have in public (RFC 6761, 6762, 8375, and ICANN's `.internal`).
const PRIVATE_ENDS: [&str; 5] = [".localhost", ".local", ".lan", ".home.arpa", ".internal"];

/// What is behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Everything,
    /// Files alone: a content delivery network fetches them here.
    Files,
    Nothing,
}

/// Passes a request on if there is something for it under the name that it came for.
pub(super) async fn route(State(app): State<App>, request: Request, next: Next) -> Response {
    let base_path = &app.config.server.base_path;
    let path = request.uri().path();
    let inside = path.strip_prefix(base_path.as_str()).unwrap_or(path);
    if FOR_WATCHERS.contains(&inside) || FOR_WATCHERS.contains(&path) {
        return next.run(request).await;
    }
    let host = host_of(&app, &request);
    match host.map_or(Behind::Everything, |host| behind(&app, &host)) {
        Behind::Everything => next.run(request).await,
        Behind::Files => {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            if !reads || !inside.starts_with("/storage/") {
                return Problem::not_found("address").into_response();
            }
            files(request, next).await
        }
        Behind::Nothing => {
            let detail =
                "Nothing is here under this name. Use the address that Safelight was given for its own.";
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", detail).into_response()
        }
    }
}

/// Nobody is logged in here, whatever a cache in between sends along.
async fn files(mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(COOKIE);
    request.headers_mut().remove(AUTHORIZATION);
    let mut response = next.run(request).await;
    response.headers_mut().remove(SET_COOKIE);
    response
}

/// The name that a request is for, in lower case and without its port. A trusted proxy says which one people typed; what
/// it calls us itself does not count.
fn host_of(app: &App, request: &Request) -> Option<String> {
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let named = if peer.is_some_and(|peer| app.config.server.trusts(peer)) {
        let lines = headers.get_all("x-forwarded-host").iter().filter_map(|line| line.to_str().ok());
        let last = lines.flat_map(|line| line.split(',')).last().map(str::trim);
        match last {
            Some(last) => last.parse::<Authority>().ok(),
            None => own(request).filter(|host| is_told(app, host.host())),
        }
    } else {
        own(request)
    };
    named.map(|authority| authority.host().trim_end_matches('.').to_ascii_lowercase())
}

fn own(request: &Request) -> Option<Authority> {
    let header = || request.headers().get(HOST)?.to_str().ok()?.parse().ok();
    request.uri().authority().cloned().or_else(header)
}

/// Whether an admin has said what is behind this name.
fn is_told(app: &App, host: &str) -> bool {
    let config = app.settings.current();
    config.delivery.host.as_deref().is_some_and(|told| told.eq_ignore_ascii_case(host))
}

fn behind(app: &App, host: &str) -> Behind {
    let config = app.settings.current();
    if is_told(app, host) {
        return Behind::Files;
    }
    let Some(public) = &config.server.public_url else { return Behind::Everything };
    let urls = [Some(public), config.delivery.public_base_url.as_ref()];
    let is_own = urls.into_iter().flatten().any(|url| {
        url.authority().parse::<Authority>().is_ok_and(|own| own.host().eq_ignore_ascii_case(host))
    });
    if is_own || is_private(host) || app.tls.serves(host) { Behind::Everything } else { Behind::Nothing }
}

/// Whether a name can't be one of somebody else's site: an address, a name without a dot, or one that ends as private ones
/// do.
fn is_private(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || PRIVATE_ENDS.iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_private_names_are_nobody_elses() {
        for host in [
            "127.0.0.1",
            "[::1]",
            "192.168.1.5",
            "localhost",
            "safelight",
            "nas.local",
            "nas.lan",
            "photos.home.arpa",
        ] {
            assert!(is_private(host), "{host}");
        }
        for host in ["example.org", "local.example.org", "127.0.0.1.example.org", "localhost.example"] {
            assert!(!is_private(host), "{host}");
        }
    }
}
