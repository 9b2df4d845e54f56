//! Who is at the other end of the connection.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;

use crate::app::App;
use crate::config::PublicUrl;

/// Marks a request that came over our own encrypted connection.
#[derive(Debug, Clone, Copy)]
pub struct Encrypted;

/// The caller's address and program. Behind a trusted proxy the address is the one that the proxy names.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where the request came from.
    pub address: IpAddr,
    /// What the program calls itself, at most 256 bytes.
    pub user_agent: Option<String>,
    /// Whether the caller's own connection is encrypted: here, or at a trusted proxy.
    pub secure: bool,
}

impl FromRequestParts<App> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip().to_canonical());
        // A header may come in several lines, which count as one: a proxy adds its own after the caller's.
        let last_first = |name: &str| {
            let lines: Vec<&str> =
                parts.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
            lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim)
        };
        let trusted = |address: IpAddr| app.config.server.trusts(address);
        let mut address = peer;
        let mut secure = parts.extensions.get::<Encrypted>().is_some()
            || app.config.server.public_url.as_ref().is_some_and(PublicUrl::is_https);
        if trusted(peer) {
            // Each proxy appends the address it saw: the last one that is not itself a trusted proxy is the caller.
            for hop in last_first("x-forwarded-for") {
                let Ok(hop) = hop.parse::<IpAddr>() else { break };
                address = hop.to_canonical();
                if !trusted(address) {
                    break;
                }
            }
            if let Some(proto) = last_first("x-forwarded-proto").next() {
                secure = proto.eq_ignore_ascii_case("https");
            }
        }
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).map(|text| {
            let end = text.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|end| *end <= 256).last();
            text[..end.unwrap_or(0)].to_owned()
        });
        Ok(Self { address, user_agent, secure })
    }
}
