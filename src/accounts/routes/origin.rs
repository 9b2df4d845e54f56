//! The guard against other sites' pages that use a browser's cookie.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::session::has_session_cookie;
use crate::api::{Client, Problem};
use crate::app::App;
use axum::extract::FromRequestParts;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request that may change something and brings a session cookie pass only from a page of our own: its
/// `Origin` is ours, or the browser itself says `Sec-Fetch-Site: same-origin`.
///
/// `SameSite=Lax` alone does not do it: another host of the same domain counts as the same site. Whoever brings
/// neither header is refused too; browsers always bring one.
pub async fn check_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || !has_session_cookie(request.headers()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(client) = Client::from_request_parts(&mut parts, &app).await;
    if is_own_page(&parts, &app, client.secure) {
        next.run(Request::from_parts(parts, body)).await
    } else {
        Problem::new(
            StatusCode::FORBIDDEN,
            "cross-origin",
            "This request came from another site's page. Open Safelight itself and try again there.",
        )
        .into_response()
    }
}

fn is_own_page(parts: &Parts, app: &App, secure: bool) -> bool {
    let header = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(&ORIGIN) else {
        return header(&SEC_FETCH_SITE) == Some("same-origin");
    };
    let ours = |https: bool, authority: &str| {
        let scheme = if https { "https://" } else { "http://" };
        let default_port = if https { ":443" } else { ":80" };
        let authority = authority.strip_suffix(default_port).unwrap_or(authority);
        origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(authority))
    };
    let host = parts.uri.authority().map(|a| a.as_str()).or_else(|| header(&HOST));
    let public = app.config.server.public_url.as_ref();
    header(&SEC_FETCH_SITE) == Some("same-origin")
        || public.is_some_and(|url| ours(url.is_https(), url.authority()))
        || host.is_some_and(|host| ours(secure, host))
}
