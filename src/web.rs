//! The web UI as files in the program: negotiated encodings, caching, and the one page for all client routes.
//!
//! The program builds and runs without the UI (`web/dist` absent); the page then says how to make it.

mod brand;

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::api::{Preconditions, Problem};
use crate::app::App;
use crate::config::Brand;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Files;

/// What a file with a hash in its name is served with.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where the page says under which path the UI stands.
const ROOT: &str = "<base href=\"/\"";

const NO_UI: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Safelight</title>\
    <h1>Safelight is running, but without its web UI</h1>\
    <p>This program was built without it. Run <code>make web</code> and build again, or use <code>make run</code>.</p>\
    <p>The API is at <a href=\"api/docs\">api/docs</a>.</p></html>";

/// Answers every address that no other route has: a file of the UI, or its page.
pub(crate) async fn serve(State(app): State<App>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") || path.starts_with("storage/") {
        return Problem::not_found("address").into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        let mut response = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "This address can only be read.",
        )
        .into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let settings = app.settings.current();
    if let Some(response) = branded(path, &settings.brand).await {
        return response;
    }
    if !path.is_empty() {
        // Encoded twins are chosen by negotiation only.
        let is_twin = path.ends_with(".br") || path.ends_with(".gz");
        if let Some(file) = Files::get(path).filter(|_| !is_twin) {
            let cache = if path.starts_with("assets/") { FOR_EVER } else { "no-cache" };
            return file_response(path, &file, cache, &headers);
        }
        // A folder's name may hold a dot, but no page of the UI stands at the top with one.
        if path.starts_with("assets/") || (path.contains('.') && !path.contains('/')) {
            return Problem::not_found("file").into_response();
        }
    }
    let base_path = &app.config.server.base_path;
    match Files::get("index.html") {
        Some(page) if base_path.is_empty() && !brand::is_set(&settings.brand) => {
            file_response("index.html", &page, "no-cache", &headers)
        }
        Some(page) => {
            let html =
                String::from_utf8_lossy(&page.data).replace(ROOT, &format!("<base href=\"{base_path}/\""));
            let html =
                if brand::is_set(&settings.brand) { brand::page(&html, &settings.brand) } else { html };
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], html)
                .into_response()
        }
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NO_UI).into_response(),
    }
}

/// A file that the instance's brand changes or adds.
async fn branded(path: &str, brand: &Brand) -> Option<Response> {
    match path {
        brand::STYLES => brand.accent.as_ref().map(brand::styles),
        brand::SIGN => brand::sign(brand).await,
        brand::MANIFEST => brand::manifest(&Files::get(path)?.data, brand.name.as_deref()?),
        _ => None,
    }
}

fn file_response(path: &str, plain: &EmbeddedFile, cache: &'static str, headers: &HeaderMap) -> Response {
    let (encoding, file) = encoded(path, headers);
    let data = file.map_or_else(|| plain.data.clone(), |file| file.data);
    let hash: String = plain.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{hash}{}\"", encoding.unwrap_or_default());
    let mut out = HeaderMap::new();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(value) = HeaderValue::from_str(&etag) {
        out.insert(header::ETAG, value);
    }
    if Preconditions::from_headers(headers).not_modified(&etag) {
        return (StatusCode::NOT_MODIFIED, out).into_response();
    }
    if let Some(encoding) = encoding {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    let body = match data {
        Cow::Borrowed(bytes) => bytes::Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    (out, body).into_response()
}

/// The smallest twin of a file that the caller can read.
fn encoded(path: &str, headers: &HeaderMap) -> (Option<&'static str>, Option<EmbeddedFile>) {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let accepts = |wanted: &str| {
        accepted.split(',').any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let refused =
                |quality: &str| quality.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted)) && !parts.any(refused)
        })
    };
    for (encoding, suffix) in [("br", "br"), ("gzip", "gz")] {
        if accepts(encoding)
            && let Some(file) = Files::get(&format!("{path}.{suffix}"))
        {
            return (Some(encoding), Some(file));
        }
    }
    (None, None)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
