//! What the statuses and complaints of providers mean.

use serde_json::Value;

use super::{Error, Model};
use crate::outbound::{Answer, StatusCode};

/// The longest complaint that is passed on.
const COMPLAINT_CHARS_MAX: usize = 300;

/// How much of an answer is read for a complaint in it.
const COMPLAINT_BYTES_MAX: u64 = 64 << 10;

/// Turns an answer that is no success into an error.
pub(in crate::engine) async fn refusal(engine: &'static str, model: &Model, answer: Answer) -> Error {
    let status = answer.status();
    let after = answer.retry_after();
    let body = answer.read(COMPLAINT_BYTES_MAX).await.unwrap_or_default();
    let detail = complaint(&body);
    let name = || model.target.clone();
    match status {
        StatusCode::UNAUTHORIZED => Error::BadToken { engine },
        StatusCode::PAYMENT_REQUIRED => Error::Credits { engine, detail },
        StatusCode::FORBIDDEN => Error::NotAllowed { engine, detail },
        StatusCode::NOT_FOUND => Error::NoSuchModel { model: name(), detail },
        StatusCode::GONE => Error::Retired { model: name() },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Error::Busy { engine, after: after.or_else(|| estimated(&body)) }
        }
        status if status.is_client_error() => Error::BadRequest { engine, detail },
        status => Error::Unclear { engine, status: status.as_u16(), detail },
    }
}

/// How long a model says that it takes to load: a field of the old serverless API.
fn estimated(body: &[u8]) -> Option<std::time::Duration> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let seconds = body.get("estimated_time")?.as_f64().filter(|seconds| (0.0..=3600.0).contains(seconds))?;
    Some(std::time::Duration::from_secs_f64(seconds))
}

/// Finds what an answer complains about, as it follows a sentence: `: too large`. Nothing if it says nothing that a
/// person could read.
pub(in crate::engine) fn complaint(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => said(&value).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    // Pages for browsers are no complaints.
    if text.trim_start().starts_with('<') {
        return String::new();
    }
    let clean: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(COMPLAINT_CHARS_MAX)
        .collect();
    let clean = clean.trim();
    if clean.is_empty() { String::new() } else { format!(": {clean}") }
}

fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(object) => {
            ["detail", "error", "message", "msg"].iter().find_map(|name| said(object.get(*name)?))
        }
        Value::Array(items) => items.first().and_then(said),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_and_kept_short() {
        for (body, found) in [
            (r#"{"error":"Too large"}"#, ": Too large"),
            (r#"{"error":{"message":"no\nway"}}"#, ": no way"),
            (
                r#"{"detail":[{"loc":["input"],"msg":"scale: must be an integer"}]}"#,
                ": scale: must be an integer",
            ),
            ("plain words", ": plain words"),
            ("<!doctype html><p>502</p>", ""),
            (r#"{"error":null}"#, ""),
            ("", ""),
        ] {
            assert_eq!(complaint(body.as_bytes()), found, "{body}");
        }
        assert_eq!(complaint("x".repeat(5000).as_bytes()).len(), COMPLAINT_CHARS_MAX + 2);
    }
}
