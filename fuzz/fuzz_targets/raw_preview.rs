//! Raw files of cameras that are told by their first bytes, and what is taken out of them on their way out:
//! `cargo +nightly fuzz run raw_preview -- -rss_limit_mb=512 -timeout=10`.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use safelight::imaging;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let head: &[u8] = match kind % 5 {
        0 => b"FUJIFILMCCD-RAW ",
        1 => b"IIU\0",
        2 => b"IIRO",
        3 => b"\0\0\0\x10ftypcrx \0\0\0\0",
        _ => b"II*\0",
    };
    let file = [head, rest].concat();
    if let Ok(probe) = imaging::probe_bytes(&file) {
        assert!(probe.width > 0 && probe.height > 0);
    }
    let found = imaging::redactions(&mut Cursor::new(&file)).unwrap_or_default();
    let length = file.len();
    assert_eq!(imaging::Redaction::apply(&found, 0, file.into()).len(), length);
});
