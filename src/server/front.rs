//! The door at port 80 beside an encrypted one: answers to the certificate authority's questions, and the way to HTTPS.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::api::Problem;
use crate::config;
use crate::tls::Tls;

#[derive(Clone)]
struct Front {
    tls: Tls,
    https_port: u16,
}

/// The port at which people reach the encrypted door: a router may have another one than we listen at.
pub fn outer_https_port(settings: &config::Server) -> u16 {
    match settings.public_url.as_ref().filter(|url| url.is_https()) {
        Some(url) => url.authority().parse::<Authority>().ok().and_then(|own| own.port_u16()).unwrap_or(443),
        None => settings.https_listen.port(),
    }
}

/// Answers challenges and sends everybody else to the encrypted door at this port.
pub fn front(tls: Tls, https_port: u16) -> Router {
    let router = Router::new()
        .route("/.well-known/acme-challenge/{token}", get(answer))
        .fallback(redirect)
        .with_state(Front { tls, https_port });
    super::harden(router)
}

async fn answer(State(front): State<Front>, Path(token): Path<String>) -> Response {
    match front.tls.answer(&token) {
        Some(answer) => ([(header::CONTENT_TYPE, "application/octet-stream")], answer).into_response(),
        None => Problem::not_found("challenge").into_response(),
    }
}

async fn redirect(State(front): State<Front>, headers: HeaderMap, uri: Uri) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = uri.authority().cloned().or_else(|| host.and_then(|host| host.parse::<Authority>().ok()));
    // Only names that we have a certificate for: nobody should be sent anywhere by what a request says.
    let Some(host) = asked.as_ref().map(Authority::host).filter(|host| front.tls.serves(host)) else {
        let detail = "Nothing is here under this name. Use the name that this server's certificate is for.";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", detail).into_response();
    };
    let port = if front.https_port == 443 { String::new() } else { format!(":{}", front.https_port) };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let target = format!("https://{host}{port}{path}");
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, PublicUrl};

    #[test]
    fn people_are_sent_to_the_port_that_the_public_url_names() {
        let mut settings = Config::defaults("unused").server;
        settings.https_listen = "[::]:8443".parse().unwrap();
        assert_eq!(outer_https_port(&settings), 8443);
        for (url, port) in [
            ("https://photos.example.org", 443),
            ("https://[2001:db8::1]", 443),
            ("https://photos.example.org:4443", 4443),
            ("http://photos.example.org:8080", 8443),
        ] {
            settings.public_url = Some(PublicUrl::parse(url).unwrap());
            assert_eq!(outer_https_port(&settings), port, "{url}");
        }
    }
}
