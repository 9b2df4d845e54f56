//! A name for each request, in and out, and one log line for each answer.

use std::fmt;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::problem::{Cause, chain};
use crate::metrics;

static HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The id of a request: what the caller sent as `X-Request-Id` if it is short and plain, otherwise ours.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id of the request that this task answers.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    fn of(request: &Request) -> Self {
        let plain = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=64).contains(&bytes.len())
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let sent = request.headers().get(&HEADER).filter(plain).cloned();
        Self(sent.unwrap_or_else(|| {
            HeaderValue::from_str(&crate::id::fresh().to_string()).expect("a UUID is a header value")
        }))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Names the request, answers `X-Request-Id`, and logs the outcome once, with the cause of a failure.
///
/// Neither addresses nor paths are logged: names of files and of people stand in them. The route's pattern is.
pub async fn trace_requests(request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    // The trace that the request belongs to, where somebody in front has begun one (W3C Trace Context).
    let parent = request.headers().get("traceparent").and_then(|parent| parent.to_str().ok());
    // On the level of errors, so that a log of little holds it too: what is logged in between should say where.
    let span = tracing::error_span!(
        "request", request.id = %id, http.method = %method, http.route = route,
        http.status = tracing::field::Empty, user.id = tracing::field::Empty, trace.parent = parent
    );
    let started = Instant::now();
    let mut response = CURRENT.scope(id.clone(), next.run(request)).instrument(span.clone()).await;
    response.headers_mut().insert(HEADER.clone(), id.0);
    let took = started.elapsed();
    metrics::HTTP.answered(&route, method.as_str(), response.status().as_u16(), took);
    span.in_scope(|| {
        let status = response.status().as_u16();
        tracing::Span::current().record("http.status", status);
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match response.extensions().get::<Cause>() {
            Some(Cause(cause)) if response.status().is_server_error() => {
                tracing::error!(http.status = status, duration_ms, error = %chain(&**cause), "failed");
            }
            Some(Cause(cause)) => {
                tracing::debug!(http.status = status, duration_ms, error = %chain(&**cause), "refused");
            }
            None => tracing::debug!(http.status = status, duration_ms, "answered"),
        }
    });
    response
}
