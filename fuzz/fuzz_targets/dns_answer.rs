//! What a name server answers: `cargo +nightly fuzz run dns_answer -- -rss_limit_mb=256`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::tls::{DnsData, read_dns_answer};

fuzz_target!(|bytes: &[u8]| {
    let Some(answer) = read_dns_answer(bytes) else { return };
    for record in &answer.records {
        // Names are short, whatever the pointers in them say.
        assert!(record.name.len() <= 1500);
        match &record.data {
            DnsData::Text(text) => assert!(text.len() < bytes.len()),
            DnsData::Name(name) => assert!(name.len() <= 1500),
            _ => {}
        }
    }
    assert_eq!(read_dns_answer(bytes), Some(answer));
});
