//! The instance's own name, sign and colour in the files of the web UI.
//!
//! An instance without a brand is served the files as they were built. One with a brand gets three things more in its
//! page: its name, a style sheet with its colour, and a small script that puts the name in place of ours. Nothing of it
//! is inline, and nothing of it weighs on those who have no brand.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::config::{Accent, Brand};

/// The largest sign.
const LOGO_BYTES_MAX: u64 = 512 << 10;

/// The style sheet's address.
pub(super) const STYLES: &str = "brand.css";
/// The address of the sign, ours or the instance's.
pub(super) const SIGN: &str = "icon.svg";
/// The address of what an installed app is called.
pub(super) const MANIFEST: &str = "app.webmanifest";

/// What a picture from a file is sent with: an SVG must not act as a page.
const HARMLESS: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// The page with the brand in it.
pub(super) fn page(html: &str, brand: &Brand) -> String {
    let mut head = String::new();
    if let Some(name) = &brand.name {
        let name = escaped(name);
        head.push_str(&format!("<meta name=\"application-name\" content=\"{name}\" />"));
        head.push_str("<script src=\"brand.js\" defer></script>");
    }
    if brand.accent.is_some() {
        head.push_str(&format!("<link rel=\"stylesheet\" href=\"{STYLES}\" />"));
    }
    let mut html = html.replacen("</head>", &format!("{head}</head>"), 1);
    if let Some(name) = &brand.name {
        html = html.replacen("<title>Safelight</title>", &format!("<title>{}</title>", escaped(name)), 1);
    }
    if brand.logo.is_some() {
        html = html.replacen("type=\"image/svg+xml\"", "", 1);
    }
    html
}

/// Whether the page differs from the one that was built.
pub(super) fn is_set(brand: &Brand) -> bool {
    brand.name.is_some() || brand.accent.is_some() || brand.logo.is_some()
}

/// The style sheet of a colour.
pub(super) fn styles(accent: &Accent) -> Response {
    let light = rules(&accent.on_light(), accent, &accent.soft_light());
    let dark = rules(&accent.on_dark(), accent, &accent.soft_dark());
    let text = format!(
        ":root{{{light}}}:root[data-theme='dark']{{{dark}}}\
         @media (prefers-color-scheme:dark){{:root:not([data-theme='light']){{{dark}}}}}"
    );
    answer("text/css; charset=utf-8", text.into_bytes())
}

fn rules(text: &str, accent: &Accent, soft: &str) -> String {
    let (solid, hover) = (accent.solid(), accent.hover());
    format!("--accent:{text};--accent-solid:{solid};--accent-hover:{hover};--accent-soft:{soft}")
}

/// What an installed app is called.
pub(super) fn manifest(text: &[u8], name: &str) -> Option<Response> {
    let mut manifest: serde_json::Value = serde_json::from_slice(text).ok()?;
    manifest["name"] = name.into();
    manifest["short_name"] = name.into();
    Some(answer("application/manifest+json", manifest.to_string().into_bytes()))
}

/// The instance's sign; nothing where its file can't be read or is no picture.
pub(super) async fn sign(brand: &Brand) -> Option<Response> {
    let path = brand.logo.clone()?;
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read;
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(LOGO_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    });
    let bytes = match read.await.ok()? {
        Ok(bytes) if bytes.len() as u64 <= LOGO_BYTES_MAX => bytes,
        Ok(_) => {
            tracing::warn!("the file of brand.logo is larger than 512 KiB");
            return None;
        }
        Err(error) => {
            tracing::warn!(error = %error, "the file of brand.logo can't be read");
            return None;
        }
    };
    let Some(kind) = kind(&bytes) else {
        tracing::warn!("the file of brand.logo is no PNG, JPEG, WebP or SVG");
        return None;
    };
    let mut response = answer(kind, bytes);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(HARMLESS));
    Some(response)
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    if begins(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if begins(&[0xff, 0xd8, 0xff]) {
        return Some("image/jpeg");
    }
    if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let is_svg = start.starts_with("<svg")
        || (start.starts_with("<?xml") || start.starts_with("<!--")) && text.contains("<svg");
    is_svg.then_some("image/svg+xml")
}

fn answer(kind: &'static str, body: Vec<u8>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    (headers, body).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
