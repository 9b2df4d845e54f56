//! Calls of providers that say that a job has ended.

use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Problem, ProblemBody};
use crate::app::App;
use crate::engine::remote::{Heard, WebhookCall, WebhookError};
use crate::engine::replicate;

/// The largest call: a prediction holds what it was given, a picture of 256 kB in base64 among it, and its log.
const BODY_BYTES_MAX: usize = 2 << 20;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(replicate_calls)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Hears Replicate say that a prediction has ended
///
/// Signed by Replicate; whoever waits for the prediction then asks for it. Nothing else in the call counts.
#[utoipa::path(post, path = "/hooks/replicate", tag = "restorations",
    request_body(content = String, content_type = "application/json"), responses(
    (status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 413, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn replicate_calls(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "This call is too large.")
        }
        status => Problem::new(status, "bad-body", "The request's body could not be read."),
    })?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let call = WebhookCall {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: &body,
        now_s: app.clock.now().as_millis().div_euclid(1000),
    };
    let engine = app.engines.find(replicate::NAME).and_then(|engine| engine.remote());
    let engine = engine.ok_or_else(|| Problem::not_found("address"))?;
    match engine.hear(call).await {
        Ok(Heard::Woken | Heard::Nobody | Heard::Again) => Ok(StatusCode::NO_CONTENT),
        Err(WebhookError::Off) => Err(Problem::not_found("address")),
        Err(WebhookError::Refused) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "bad-signature",
            "The signature of this call is missing, wrong or too old.",
        )),
        Err(WebhookError::NoSecret) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no-secret",
            "The secret that signs these calls can't be had at the moment.",
        )),
    }
}
