//! What a proxy says before anything else: `cargo +nightly fuzz run proxy_header -- -rss_limit_mb=256`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::server::{ProxyHeader, read_proxy_header};

fuzz_target!(|bytes: &[u8]| {
    match read_proxy_header(bytes) {
        // What is whole is whole without what follows, and not before its end.
        ProxyHeader::Complete { source, bytes: length } => {
            assert!(length <= bytes.len());
            assert_eq!(read_proxy_header(&bytes[..length]), ProxyHeader::Complete { source, bytes: length });
            assert_eq!(read_proxy_header(&bytes[..length - 1]), ProxyHeader::Incomplete);
        }
        ProxyHeader::Incomplete => assert!(bytes.len() < 4096),
        ProxyHeader::Invalid => {}
    }
});
