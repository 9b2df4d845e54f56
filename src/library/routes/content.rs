//! A delivery in the words of HTTP.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, Required, Type};

use super::byteranges;
use crate::api::{Preconditions, Problem, content_disposition};
use crate::app::App;
use crate::imaging::BadTransform;
use crate::library::{
    Content, Delivery, Error, Outcome, Piece, Rendering, Right, Wanted, Wish, deliver, resolve,
};

/// For what may be shown but not trusted: it can neither run nor load anything, and is nobody's frame.
const SANDBOX: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'";

/// What a browser may do with the bytes on the pages of other sites (Fetch, 3.7).
pub(super) static RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How long caches may hand out what everybody may have before they ask whether it is still so.
const PUBLIC_S: u64 = 300;

/// The parameters of an address, in their order.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The rendering that is asked for.
    pub(super) fn wish(&self) -> Result<Wish, Problem> {
        Wish::read(self.iter()).map_err(|bad: BadTransform| Error::BadTransform(bad).into())
    }

    pub(super) fn wanted(
        &self,
        rendering: Option<Rendering>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Wanted {
        let accepts: Vec<&str> =
            headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
        Wanted {
            rendering,
            accept: (!accepts.is_empty()).then(|| accepts.join(",")),
            download: self.find("download").is_some_and(|text| matches!(text, "1" | "true" | "")),
            expected: self.find("v").map(str::to_owned),
            conditions: Preconditions::from_headers(headers),
            head: *method == Method::HEAD,
        }
    }
}

/// The parameters that contents understand, for the document of the API.
#[derive(Debug)]
pub struct ContentQuery;

const PARAMETERS: [(&str, &str); 15] = [
    (
        "preset",
        "A rendering with a name instead of the bytes: thumb, grid, screen, or one that an admin has made.",
    ),
    ("download", "1: to be saved, not shown."),
    (
        "v",
        "The first 8 or more digits of the SHA-256 that is expected; when they are right, the answer may be cached for \
         ever.",
    ),
    ("w", "Width of the box in pixels, 1 to 8192."),
    ("h", "Height of the box in pixels, 1 to 8192."),
    ("fit", "How the picture fills the box: contain (usual), inside (the same), cover or fill."),
    (
        "gravity",
        "Which part stays when something is cut off: center (usual), n, ne, e, se, s, sw, w, nw or smart.",
    ),
    ("format", "auto (what the caller accepts; usual), jpeg, webp, avif or png."),
    ("q", "Quality, 1 to 100; 80 where it is not said."),
    ("dpr", "Pixels of the screen for each of the box, 0.1 to 4."),
    ("rotate", "Degrees clockwise: 0, 90, 180 or 270."),
    ("blur", "Standard deviation in pixels, 0.3 to 100."),
    ("sharpen", "Standard deviation in pixels, 0.1 to 10."),
    ("strip", "0: keeps what the camera wrote down, without the place unless that may be told."),
    ("animate", "0: stills what moves."),
];

impl IntoParams for ContentQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = |(name, doc): (&str, &str)| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(doc))
                .schema(Some(text()))
                .build()
        };
        PARAMETERS.map(parameter).into()
    }
}

/// Sends a content, or a rendering of it, to somebody who may read it.
///
/// # Errors
/// What is wrong with the rendering that is asked for, and those of [`deliver`].
pub async fn send(
    app: &App,
    content: &Content,
    pairs: &Pairs,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let rendering = resolve(app, pairs.wish()?).await?;
    send_by(app, content, &pairs.wanted(rendering, method, headers), Right::Reader).await
}

/// Sends a content by a right that was found out already.
pub(super) async fn send_by(
    app: &App,
    content: &Content,
    wanted: &Wanted,
    right: Right,
) -> Result<Response, Problem> {
    let delivery = deliver(app, content, wanted).await?;
    if let Outcome::PreconditionFailed = delivery.outcome {
        let detail = "The content has changed.";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail));
    }
    Ok(respond(delivery, right))
}

/// What caches may do: nobody's but the reader's own, everybody's for a while, or everybody's until the address is
/// over.
fn cache_control(right: Right, immutable: bool) -> HeaderValue {
    let always = |text| HeaderValue::from_static(text);
    match right {
        Right::Reader if immutable => always("private, max-age=31536000, immutable"),
        Right::Reader => always("private, no-cache"),
        Right::Public if immutable => always("public, max-age=31536000, immutable"),
        Right::Public => value(&format!("public, max-age={PUBLIC_S}, must-revalidate")),
        Right::Signed { left } => value(&format!("public, max-age={}, must-revalidate", left.as_secs())),
    }
}

fn respond(delivery: Delivery, right: Right) -> Response {
    let Delivery { etag, content_type, name, attachment, sandbox, immutable, varies, outcome } = delivery;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache_control(right, immutable));
    if right != Right::Reader {
        headers.insert(RESOURCE_POLICY.clone(), HeaderValue::from_static("cross-origin"));
    }
    if varies {
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
    }
    headers.insert(header::ETAG, value(&etag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(name) = name {
        headers.insert(header::CONTENT_DISPOSITION, content_disposition(attachment, &name));
    }
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
        Piece::Redacted(stream) => Body::from_stream(stream),
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
