//! The doctor's report, for those in charge.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::request::Parts;
use axum::response::IntoResponse;

use crate::accounts::{Allowed, may};
use crate::admin::doctor::{self, PROXY_HEADERS, Patient, Report, Seen};
use crate::api::{Client, Json, Problem};
use crate::app::App;

impl FromRequestParts<App> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let Ok(Client { address, secure, .. }) = Client::from_request_parts(parts, app).await;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip().to_canonical());
        let host = parts.uri.authority().map(|authority| authority.as_str().to_owned());
        let header = || Some(parts.headers.get(HOST)?.to_str().ok()?.to_owned());
        Ok(Self {
            peer,
            is_trusted: app.config.server.trusts(peer),
            caller: address,
            is_secure: secure,
            headers: PROXY_HEADERS.into_iter().filter(|name| parts.headers.contains_key(*name)).collect(),
            host: host.or_else(header),
        })
    }
}

/// Looks at everything that a deployment depends on
///
/// All checks run at once and end within half a minute. The one of the proxy is about this very request.
#[utoipa::path(get, path = "/doctor", tag = "admin", responses((status = 200, body = Report)))]
pub(super) async fn examine(
    State(app): State<App>,
    _user: Allowed<may::SettingsManage>,
    seen: Seen,
) -> Result<impl IntoResponse, Problem> {
    let patient = Patient::of_server(&app, seen);
    // On a task of its own: who goes away does not leave half of it behind on the threads of others.
    let report =
        tokio::spawn(async move { doctor::examine(&patient).await }).await.map_err(Problem::internal)?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(report)))
}
