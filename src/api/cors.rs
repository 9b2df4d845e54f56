//! Answers that pages of other sites may read (Fetch, 3.3). Never with anybody's login: `Access-Control-Allow-Credentials`
//! is not said here, so that a browser hands out nothing that it fetched with our cookie.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::config::WebOrigins;

/// How long a browser may remember what it was allowed, in seconds.
const REMEMBERED_S: &str = "600";

/// What pages of other sites may send to some addresses, and read of their answers.
#[derive(Debug, Clone, Copy)]
pub struct Sharing {
    /// The methods, as a header lists them.
    pub methods: &'static str,
    /// The request's headers beside those that are always allowed.
    pub headers: &'static str,
    /// The answer's headers beside those that can always be read.
    pub exposed: &'static str,
}

impl Sharing {
    /// Whether a request is a browser's question before another one (Fetch, 3.3.2).
    pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Answers that question. A site that may not is told nothing, and its browser takes that for a no.
    pub fn preflight(&self, origins: &WebOrigins, asked: &HeaderMap) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        if allow(headers, origins, asked) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(self.methods));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(self.headers));
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(REMEMBERED_S));
        }
        response
    }

    /// Lets the page that asked read an answer, if its site may.
    pub fn share(&self, response: &mut Response, origins: &WebOrigins, asked: &HeaderMap) {
        if allow(response.headers_mut(), origins, asked) {
            let exposed = HeaderValue::from_static(self.exposed);
            response.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// Names the site; whether it may. Where it depends on the site, caches are told so, also by answers to those who have
/// none: else a cache would hand one site's answer, or nobody's, to another.
fn allow(headers: &mut HeaderMap, origins: &WebOrigins, asked: &HeaderMap) -> bool {
    if origins.is_empty() {
        return false;
    }
    if origins.is_any() {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return true;
    }
    headers.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = asked.get(ORIGIN) else { return false };
    let allowed = origin.to_str().is_ok_and(|origin| origins.allow(origin));
    if allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    allowed
}
