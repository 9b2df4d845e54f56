//! Extractors whose rejections are problem documents.

use std::error::Error as StdError;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Problem;

/// How long a body of JSON or text may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What is said when it took longer.
const STALLED: &str = "The request's body took too long to arrive.";

/// The body of a request is not waited for any longer: too little of it came in this time.
#[derive(Debug, thiserror::Error)]
#[error("too little of the request's body came in {} s", .after.as_secs())]
pub struct BodyTooSlow {
    /// How long it was waited for.
    pub after: Duration,
}

impl BodyTooSlow {
    /// Looks for it in what others have wrapped around it.
    pub fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // The source of an error of input and output is that of what it wraps, and not what it wraps.
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }
}

fn stalled() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "request-stalled", STALLED)
}

/// A JSON body, in and out.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = axum::Json::<T>::from_request(request, state);
        match tokio::time::timeout(BODY_TIME, read).await {
            Ok(Ok(axum::Json(value))) => Ok(Self(value)),
            Ok(Err(rejection)) => Err(rejection.into()),
            Err(_) => Err(stalled()),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body of plain text in UTF-8, of whatever media type; its length is limited by the route.
#[derive(Debug, Clone)]
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = Bytes::from_request(request, state);
        let read = tokio::time::timeout(BODY_TIME, read).await.map_err(|_| stalled())?;
        let bytes = read.map_err(|rejection| {
            if BodyTooSlow::within(&rejection).is_some() {
                stalled()
            } else if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request's body is too large.")
            } else {
                Problem::new(StatusCode::BAD_REQUEST, "bad-text", "The request's body could not be read.")
            }
        })?;
        let text = String::from_utf8(bytes.into());
        let text = text.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad-text", "The request's body is not text in UTF-8.")
        })?;
        Ok(Self(text))
    }
}

/// Parameters in the path.
#[derive(Debug, Clone, Copy, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// Parameters in the query.
#[derive(Debug, Clone, Copy, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(e) => {
                Self::validation("The request is JSON, but not what is expected here.")
                    .field("body", innermost(&e))
            }
            JsonRejection::MissingJsonContentType(_) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "The request needs a JSON body with Content-Type: application/json.",
            ),
            JsonRejection::BytesRejection(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request's body is too large.")
            }
            JsonRejection::BytesRejection(e) if BodyTooSlow::within(&e).is_some() => stalled(),
            other => Self::new(StatusCode::BAD_REQUEST, "bad-json", "The request's body is not valid JSON.")
                .field("body", innermost(&other)),
        }
    }
}

impl From<PathRejection> for Problem {
    /// A path that can't name anything names nothing.
    fn from(_: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing at this address.")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-query", "The address has a parameter that can't be read.")
            .field("query", innermost(&rejection))
    }
}

/// The text of the error at the bottom of the chain: it names the field.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
