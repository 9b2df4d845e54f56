//! The line or block with which a proxy says who is behind a connection: HAProxy's PROXY protocol, versions 1 and 2.
//!
//! Only read on connections of trusted proxies, and there it must come: who may leave it out may also forge it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest first line of version 1, with its end.
const LINE_BYTES_MAX: usize = 107;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2: signature, version and command, family, length.
const BLOCK_HEAD_BYTES: usize = 16;

/// What version 2 may add to the addresses. Nobody sends more; the length's 16 bits would allow it.
const BLOCK_BYTES_MAX: usize = 2048;

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyHeader {
    /// So far it may become a header.
    Incomplete,
    /// It is none.
    Invalid,
    /// It is one.
    Complete {
        /// Who is behind the proxy; `None` when the proxy speaks for itself, as in a health check.
        source: Option<SocketAddr>,
        /// How many bytes it takes.
        bytes: usize,
    },
}

/// Reads the header from the first bytes of a connection (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
pub fn read_proxy_header(bytes: &[u8]) -> ProxyHeader {
    let begins = |with: &[u8]| {
        let length = with.len().min(bytes.len());
        bytes[..length] == with[..length]
    };
    if begins(SIGNATURE) && !bytes.is_empty() {
        block(bytes)
    } else if begins(b"PROXY ") {
        line(bytes)
    } else {
        ProxyHeader::Invalid
    }
}

fn line(bytes: &[u8]) -> ProxyHeader {
    let window = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == LINE_BYTES_MAX { ProxyHeader::Invalid } else { ProxyHeader::Incomplete };
    };
    let complete = |source| ProxyHeader::Complete { source, bytes: end + 2 };
    let Ok(text) = std::str::from_utf8(&window[..end]) else { return ProxyHeader::Invalid };
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => complete(None),
        ["PROXY", family, source, _, port, _] => {
            let address: Option<IpAddr> = match *family {
                "TCP4" => source.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
                "TCP6" => source.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
                _ => None,
            };
            match (address, port.parse::<u16>()) {
                (Some(address), Ok(port)) => complete(Some(SocketAddr::new(address, port))),
                _ => ProxyHeader::Invalid,
            }
        }
        _ => ProxyHeader::Invalid,
    }
}

fn block(bytes: &[u8]) -> ProxyHeader {
    let Some((head, rest)) = bytes.split_first_chunk::<BLOCK_HEAD_BYTES>() else {
        return ProxyHeader::Incomplete;
    };
    let (version, command) = (head[12] >> 4, head[12] & 15);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if version != 2 || command > 1 || length > BLOCK_BYTES_MAX {
        return ProxyHeader::Invalid;
    }
    let Some(block) = rest.get(..length) else { return ProxyHeader::Incomplete };
    let complete = |source| ProxyHeader::Complete { source, bytes: BLOCK_HEAD_BYTES + length };
    // Command 0: the proxy itself. Families other than TCP over IP: nobody that we could name.
    let family = if command == 0 { 0 } else { head[13] };
    match family {
        0x11 => match (block.first_chunk::<4>(), block.get(8..10)) {
            (Some(address), Some(&[high, low])) => {
                let port = u16::from_be_bytes([high, low]);
                if block.len() < 12 {
                    return ProxyHeader::Invalid;
                }
                complete(Some(SocketAddr::new(IpAddr::from(*address), port)))
            }
            _ => ProxyHeader::Invalid,
        },
        0x21 => match (block.first_chunk::<16>(), block.get(32..34)) {
            (Some(address), Some(&[high, low])) => {
                let port = u16::from_be_bytes([high, low]);
                if block.len() < 36 {
                    return ProxyHeader::Invalid;
                }
                complete(Some(SocketAddr::new(IpAddr::from(*address), port)))
            }
            _ => ProxyHeader::Invalid,
        },
        _ => complete(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[0x20 | command, family], &length, addresses].concat()
    }

    #[test]
    fn both_versions_are_read_and_every_beginning_of_them_waits_for_more() {
        let v4 = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x34, 1, 187];
        let v6 =
            [&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0; 16], &[0, 80, 1, 187, 4, 0]];
        for (header, source) in [
            (b"PROXY TCP4 203.0.113.7 10.0.0.1 4660 443\r\n".to_vec(), Some("203.0.113.7:4660")),
            (b"PROXY TCP6 2001:db8::9 ::1 80 443\r\n".to_vec(), Some("[2001:db8::9]:80")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n".to_vec(), None),
            (block(1, 0x11, &v4), Some("203.0.113.7:4660")),
            (block(1, 0x21, &v6.concat()), Some("[2001:db8::9]:80")),
            (block(0, 0x11, &v4), None),
            (block(0, 0, &[]), None),
            (block(1, 0x31, &[0; 216]), None),
        ] {
            let source = source.map(|text| text.parse().unwrap());
            let whole = ProxyHeader::Complete { source, bytes: header.len() };
            assert_eq!(
                read_proxy_header(&[&header[..], b"GET / HTTP/1.1\r\n"].concat()),
                whole,
                "{header:?}"
            );
            for end in 0..header.len() {
                assert_eq!(read_proxy_header(&header[..end]), ProxyHeader::Incomplete, "{end} of {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::9 ::1 80 443\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.7 10.0.0.1 99999 443\r\n".to_vec(),
            b"PROXY \xff\xfe\r\n".to_vec(),
            [b"PROXY TCP4 ".as_slice(), &[b'1'; 120]].concat(),
            block(1, 0x11, &[0; 11]),
            block(1, 0x21, &[0; 35]),
            block(2, 0x11, &[0; 12]),
            [SIGNATURE.as_slice(), &[0x11, 0x11, 0, 12]].concat(),
            [SIGNATURE.as_slice(), &[0x21, 0x11, 255, 255]].concat(),
        ] {
            assert_eq!(read_proxy_header(&bad), ProxyHeader::Invalid, "{bad:?}");
        }
    }
}
