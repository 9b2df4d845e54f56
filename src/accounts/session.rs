//! The session cookie, the extractors that say in a handler's signature who may call it, and the guard against other
//! sites' pages that use a browser's cookie.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::model::{CurrentUser, Needs, SignedIn, Visitor};
use super::secret::Token;
use super::{Error, login, tokens};
use crate::api::{Client, Problem};
use crate::app::App;

/// The cookie's name, and the one where browsers can be told that no other host has set it (RFC 6265bis, 4.1.3.2).
const NAME: &str = "safelight_session";
const HOST_NAME: &str = "__Host-safelight_session";

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The longest life that browsers give a cookie: 400 days.
const LONGEST_LIFE_S: u32 = 400 * 24 * 60 * 60;

/// The session cookie as this connection and this configuration want it, and the token that it brought.
#[derive(Debug)]
pub struct SessionCookie {
    name: &'static str,
    path: String,
    secure: bool,
    token: Option<Token>,
}

impl SessionCookie {
    /// The header that logs the browser in.
    ///
    /// A remembered cookie lives as long as browsers let it; the session behind it ends earlier, some days after its
    /// last use, and only the server can move that end.
    pub fn set(&self, signed_in: &SignedIn) -> HeaderValue {
        let life = signed_in.remembered.then_some(LONGEST_LIFE_S);
        self.header(&signed_in.token.expose(), life)
    }

    /// The header that removes the cookie.
    pub fn clear(&self) -> HeaderValue {
        self.header("", Some(0))
    }

    fn header(&self, value: &str, max_age_s: Option<u32>) -> HeaderValue {
        let Self { name, path, .. } = self;
        let secure = if self.secure { "; Secure" } else { "" };
        let max_age = max_age_s.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax{secure}{max_age}");
        let mut header = HeaderValue::try_from(text).expect("a token and a checked path fit into a header");
        header.set_sensitive(true);
        header
    }
}

/// Whether a request brings a session cookie of either name, good or bad.
fn has_session_cookie(headers: &HeaderMap) -> bool {
    find(headers, NAME).is_some() || find(headers, HOST_NAME).is_some()
}

fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// What stands behind `Authorization: Bearer`. Other schemes are a proxy's business, which browsers repeat to us.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl FromRequestParts<App> for SessionCookie {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(client) = Client::from_request_parts(parts, app).await;
        let base_path = &app.config.server.base_path;
        let name = if client.secure && base_path.is_empty() { HOST_NAME } else { NAME };
        let path = if base_path.is_empty() { "/".to_owned() } else { base_path.clone() };
        let token = find(&parts.headers, name).and_then(Token::parse);
        Ok(Self { name, path, secure: client.secure, token })
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(Client { address, user_agent, .. }) = Client::from_request_parts(parts, app).await;
        let SessionCookie { token, .. } = SessionCookie::from_request_parts(parts, app).await?;
        Ok(Self { address, user_agent, token })
    }
}

impl OptionalFromRequestParts<App> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Problem> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(Some(known.clone()));
        }
        let visitor = <Visitor as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        // Whoever brings a token is not taken for the owner of a cookie that came along.
        let current = if let Some(text) = bearer(&parts.headers) {
            let found = tokens::find_by_token(app, text, visitor.address).await?;
            Some(found.ok_or(Error::TokenRefused)?)
        } else if let Some(token) = &visitor.token {
            login::find_current(app, token, visitor.address).await?
        } else {
            None
        };
        if let Some(current) = &current {
            tracing::Span::current().record("user.id", tracing::field::display(current.id()));
            parts.extensions.insert(current.clone());
        }
        Ok(current)
    }
}

impl FromRequestParts<App> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let current = <Self as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await?;
        current.ok_or_else(|| {
            Problem::new(StatusCode::UNAUTHORIZED, "not-signed-in", "You need to log in for this.")
        })
    }
}

/// Somebody who is logged in and has a permission: `Allowed<may::LibraryWrite>`.
///
/// As an extractor it answers 401 `not-signed-in` or 403 `forbidden` to everybody else.
#[derive(Debug, Clone)]
pub struct Allowed<P> {
    user: CurrentUser,
    permission: PhantomData<P>,
}

impl<P> Deref for Allowed<P> {
    type Target = CurrentUser;
    fn deref(&self) -> &CurrentUser {
        &self.user
    }
}

impl<P: Needs> FromRequestParts<App> for Allowed<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = <CurrentUser as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        user.require(P::PERMISSION)?;
        Ok(Self { user, permission: PhantomData })
    }
}

/// Lets a request that may change something and brings a session cookie pass only from a page of our own: its
/// `Origin` is ours, or the browser itself says `Sec-Fetch-Site: same-origin`.
///
/// `SameSite=Lax` alone does not do it: another host of the same domain counts as the same site. Whoever brings
/// neither header is refused too; browsers always bring one. A request with a token is nobody's page: no browser adds
/// one by itself, and the cookie beside it does not count.
pub async fn check_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if request.method().is_safe() || bearer(headers).is_some() || !has_session_cookie(headers) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_in_several_headers() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; xsafelight_session=no;safelight_session=yes"));
        headers.append(COOKIE, HeaderValue::from_static("__Host-safelight_session=also"));
        assert_eq!(find(&headers, NAME), Some("yes"));
        assert_eq!(find(&headers, HOST_NAME), Some("also"));
        assert_eq!(find(&headers, "b"), None);
    }

    #[test]
    fn only_a_bearer_is_a_token() {
        let with = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with("Bearer slt_1"), Some("slt_1".into()));
        assert_eq!(with("bearer  slt_1 "), Some("slt_1".into()));
        assert_eq!(with("Basic dXNlcjpwYXNz"), None);
        assert_eq!(with("Bearer"), Some(String::new()));
    }

    #[test]
    fn the_cookie_of_an_encrypted_connection_can_be_removed_again() {
        let cookie = SessionCookie { name: HOST_NAME, path: "/".into(), secure: true, token: None };
        let removal = cookie.clear();
        assert_eq!(
            removal.to_str().unwrap(),
            "__Host-safelight_session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
        assert!(removal.is_sensitive());
    }
}
