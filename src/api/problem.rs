//! The one place where a failure becomes a response.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::RequestId;
use crate::{db, storage};

/// What is left of a limit (draft-ietf-httpapi-ratelimit-headers-10).
pub static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a limit allows.
pub static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The value of [`RATE_LIMIT`]: how many requests are left, and in how many seconds there are more.
pub fn rate_limit_value(policy: &str, left: u32, seconds: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{policy}\";r={left};t={seconds}"))
        .expect("names and numbers fit into a header")
}

/// A failure as the caller sees it, with the cause that only the log sees.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    limited_by: Option<(&'static str, u32)>,
    extra: serde_json::Map<String, serde_json::Value>,
    cause: Option<Cause>,
}

/// One field of a request that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The name of the field as in the request.
    pub field: String,
    /// A sentence for the person who filled it in.
    pub detail: String,
}

/// The problem document on the wire (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `/problems/` and a stable code that programs may depend on.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A sentence for a person.
    pub detail: String,
    /// Which fields are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The id under which the server's log knows this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Members that one kind of problem has beyond these.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// The cause of a failure, carried in the response's extensions to the layer that logs it once.
#[derive(Debug, Clone)]
pub(super) struct Cause(pub(super) Arc<dyn std::error::Error + Send + Sync>);

impl Problem {
    /// Makes a problem of a stable code and a sentence for the caller.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            limited_by: None,
            extra: serde_json::Map::new(),
            cause: None,
        }))
    }

    /// A failure of ours: the caller learns that it happened, the log learns why. A full disk is told as such.
    pub fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let mut problem = if is_full(&cause) {
            Self::disk_full()
        } else {
            Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on the server.")
        };
        problem.0.cause = Some(Cause(Arc::new(cause)));
        problem
    }

    /// There is no such thing, or it is not the caller's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("There is no such {what}."))
    }

    /// The request's content is understood but wrong; add the fields with [`Problem::field`].
    pub fn validation(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", detail)
    }

    /// The disk has no room for what was sent; nothing of it was kept.
    pub fn disk_full() -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk-full",
            "The server's disk is full. Nothing of this was kept.",
        )
    }

    /// Adds a wrong field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { field: field.into(), detail: detail.into() });
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    /// Names the limit that was reached and how much it allows; beside [`Problem::retry_after`].
    #[must_use]
    pub fn limited_by(mut self, policy: &'static str, quota: u32) -> Self {
        self.0.limited_by = Some((policy, quota));
        self
    }

    /// Adds a member that only this kind of problem has.
    #[must_use]
    pub fn with(mut self, member: &str, value: serde_json::Value) -> Self {
        self.0.extra.insert(member.into(), value);
        self
    }

    /// Adds what the log should know.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Cause(Arc::new(cause)));
        self
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code, without `/problems/`.
    pub const fn code(&self) -> &'static str {
        self.0.code
    }

    /// The document, for a place inside another answer.
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            r#type: format!("/problems/{}", self.0.code),
            title: self.0.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.0.status.as_u16(),
            detail: self.0.detail.clone(),
            errors: self.0.errors.clone(),
            request_id: RequestId::current().map(|id| id.to_string()),
            extra: self.0.extra.clone(),
        }
    }

    /// Logs the cause, for a problem that is reported inside another answer instead of being one.
    pub fn log(&self) {
        if let Some(Cause(cause)) = &self.0.cause {
            let (error, status) = (chain(&**cause), self.0.status);
            // Nobody has to look when it was the caller who gave up, or was too slow.
            if status.is_server_error() {
                tracing::error!(error, status = status.as_u16(), "a part of a request failed");
            } else {
                tracing::debug!(error, status = status.as_u16(), "a part of a request failed");
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let content_type =
            [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (self.0.status, content_type, body).into_response();
        if let Some(after) = self.0.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            if let Some((policy, quota)) = self.0.limited_by {
                let quota = HeaderValue::try_from(format!("\"{policy}\";q={quota}"));
                let quota = quota.expect("names and numbers fit into a header");
                response.headers_mut().insert(&RATE_LIMIT_POLICY, quota);
                response.headers_mut().insert(&RATE_LIMIT, rate_limit_value(policy, 0, seconds));
            }
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 11.6.1. Browsers ask nobody for a bearer.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        Self::internal(error)
    }
}

impl From<storage::Error> for Problem {
    fn from(error: storage::Error) -> Self {
        Self::internal(error)
    }
}

/// An error and its sources in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<db::Error>().is_some_and(db::Error::is_full)
            || error.downcast_ref::<storage::Error>().is_some_and(|e| matches!(e, storage::Error::Full))
            || error.downcast_ref::<std::io::Error>().is_some_and(|e| {
                matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            })
        {
            return true;
        }
        next = error.source();
    }
    false
}
/// An error's text as a sentence for a person: with a capital at its beginning and a full stop, if it has no other end.
pub fn as_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    first.chain(letters).chain(end.chars()).collect()
}
