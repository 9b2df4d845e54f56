//! A delivery in the words of HTTP.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::byteranges;
use crate::api::{Preconditions, Problem};
use crate::app::App;
use crate::imaging::Preset;
use crate::library::{Content, Delivery, Outcome, Piece, Wanted, deliver};

/// For what may be shown but not trusted: it can neither run nor load anything, and is nobody's frame.
const SANDBOX: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'";

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ContentQuery {
    /// `thumb`, `grid` or `screen`: a rendering instead of the bytes themselves.
    preset: Option<String>,
    /// `1`: to be saved, not shown.
    download: Option<String>,
    /// The first 8 or more digits of the SHA-256 that is expected; when they are right, the answer may be cached for
    /// ever.
    v: Option<String>,
}

impl ContentQuery {
    fn wanted(self, method: &Method, headers: &HeaderMap) -> Result<Wanted, Problem> {
        let preset = self.preset.as_deref().map(str::parse::<Preset>).transpose().map_err(|()| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "bad-query",
                "The address has a parameter that can't be read.",
            )
            .field("preset", "It may be thumb, grid or screen.")
        })?;
        Ok(Wanted {
            preset,
            download: self.download.is_some_and(|text| matches!(text.as_str(), "1" | "true" | "")),
            expected: self.v,
            conditions: Preconditions::from_headers(headers),
            head: *method == Method::HEAD,
        })
    }
}

/// Sends a content.
pub(super) async fn send(
    app: &App,
    content: &Content,
    query: ContentQuery,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let delivery = deliver(app, content, &query.wanted(method, headers)?).await?;
    if let Outcome::PreconditionFailed = delivery.outcome {
        let detail = "The content has changed.";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail));
    }
    Ok(respond(delivery))
}

fn respond(delivery: Delivery) -> Response {
    let Delivery { etag, content_type, name, attachment, sandbox, immutable, outcome } = delivery;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let cache = if immutable { "private, max-age=31536000, immutable" } else { "private, no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::ETAG, value(&etag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(attachment, &name));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if sandbox {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    }
    let (status, length, piece) = match outcome {
        Outcome::Parts { parts, size_bytes } => {
            let parts = byteranges::join(parts, shown_type(&content_type), size_bytes);
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(parts.length));
            headers.insert(header::CONTENT_TYPE, value(&parts.content_type));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            *response.body_mut() = parts.body;
            return response;
        }
        // A cache takes the headers of this answer over into the content that it has.
        Outcome::NotModified | Outcome::PreconditionFailed => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        Outcome::Unsatisfiable { size_bytes } => {
            headers.insert(header::CONTENT_RANGE, value(&format!("bytes */{size_bytes}")));
            (StatusCode::RANGE_NOT_SATISFIABLE, 0, Piece::Nothing)
        }
        Outcome::Whole { size_bytes, piece } => (StatusCode::OK, size_bytes, piece),
        Outcome::Part { range, size_bytes, piece } => {
            let text = format!("bytes {}-{}/{size_bytes}", range.first, range.last);
            headers.insert(header::CONTENT_RANGE, value(&text));
            (StatusCode::PARTIAL_CONTENT, range.len(), piece)
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if status != StatusCode::RANGE_NOT_SATISFIABLE {
        headers.insert(header::CONTENT_TYPE, value(shown_type(&content_type)));
    }
    *response.status_mut() = status;
    *response.body_mut() = match piece {
        Piece::Nothing => Body::empty(),
        Piece::Bytes(bytes) => bytes.into(),
        Piece::Stream(stream) => Body::from_stream(stream),
    };
    response
}

/// The media type with what browsers would otherwise guess.
fn shown_type(content_type: &str) -> &str {
    if content_type == "text/plain" { "text/plain; charset=utf-8" } else { content_type }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// `Content-Disposition` with a name that old programs understand and the true one beside it (RFC 6266, RFC 8187).
fn disposition(attachment: bool, name: &str) -> HeaderValue {
    let kind = if attachment { "attachment" } else { "inline" };
    let plain: String = name
        .chars()
        .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let mut text = format!("{kind}; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    HeaderValue::try_from(text).expect("everything but plain ASCII was replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_header_whatever_is_in_them() {
        for (name, expected) in [
            ("photo.jpg", "inline; filename=\"photo.jpg\""),
            ("a b.jpg", "inline; filename=\"a b.jpg\""),
            ("Café.jpg", "inline; filename=\"Caf_.jpg\"; filename*=UTF-8''Caf%C3%A9.jpg"),
            ("a\"b;c.jpg", "inline; filename=\"a_b;c.jpg\"; filename*=UTF-8''a%22b%3Bc.jpg"),
            ("50%.jpg", "inline; filename=\"50_.jpg\"; filename*=UTF-8''50%25.jpg"),
            ("a\r\nb", "inline; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
        ] {
            assert_eq!(disposition(false, name).to_str().unwrap(), expected);
        }
        assert!(disposition(true, "x").to_str().unwrap().starts_with("attachment"));
    }
}
