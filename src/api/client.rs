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
            let usual = parts.headers.contains_key("x-forwarded-for");
            let hops: Vec<Hop> = match usual {
                true => last_first("x-forwarded-for")
                    .map(|hop| Hop { caller: hop.parse().ok(), proto: None })
                    .collect(),
                false => last_first("forwarded").map(Hop::read).collect(),
            };
            // Each proxy appends the address it saw: the last one that is not itself a trusted proxy is the caller.
            for hop in &hops {
                let Some(hop) = hop.caller else { break };
                address = hop.to_canonical();
                if !trusted(address) {
                    break;
                }
            }
            let proto = last_first("x-forwarded-proto").next().or_else(|| hops.first()?.proto);
            if let Some(proto) = proto {
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

/// What one proxy says of a request.
#[derive(Debug, PartialEq, Eq)]
struct Hop<'a> {
    /// Who came to it, if it says an address.
    caller: Option<IpAddr>,
    /// How.
    proto: Option<&'a str>,
}

impl<'a> Hop<'a> {
    /// Reads an element of `Forwarded` (RFC 7239). The comma that parts elements stands in no address.
    fn read(element: &'a str) -> Self {
        let mut hop = Self { caller: None, proto: None };
        for pair in element.split(';') {
            let Some((name, value)) = pair.trim().split_once('=') else { continue };
            let value = value.trim_matches('"');
            if name.eq_ignore_ascii_case("proto") {
                hop.proto = Some(value);
            } else if name.eq_ignore_ascii_case("for") {
                let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
                let with_port = || value.parse::<SocketAddr>().ok().map(|node| node.ip());
                hop.caller = bare.parse().ok().or_else(with_port);
            }
        }
        hop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_of_forwarded_says_who_came_and_how() {
        let by = |text| Hop::read(text).caller.map(|address| address.to_string());
        assert_eq!(by("for=192.0.2.60;proto=http;by=203.0.113.43").as_deref(), Some("192.0.2.60"));
        assert_eq!(by("For=\"[2001:db8:cafe::17]:4711\"").as_deref(), Some("2001:db8:cafe::17"));
        assert_eq!(by("for=\"[2001:db8::1]\"").as_deref(), Some("2001:db8::1"));
        assert_eq!(by("for=192.0.2.43:47011").as_deref(), Some("192.0.2.43"));
        for nobody in ["for=unknown", "for=_hidden", "for", "", "by=192.0.2.1", "for=\"", ";;==;"] {
            assert_eq!(by(nobody), None, "{nobody}");
        }
        assert_eq!(Hop::read("proto=https;for=192.0.2.1").proto, Some("https"));
    }
}
