//! Taking the place out of whatever is called a picture: `cargo +nightly fuzz run location -- -rss_limit_mb=512`.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use safelight::imaging::{Redaction, redactions};

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = redactions(&mut Cursor::new(bytes)) else { return };
    assert_eq!(Redaction::read(&Redaction::write(&found)).as_ref(), Some(&found));
    let whole = Redaction::apply(&found, 0, bytes.to_vec().into());
    assert_eq!(whole.len(), bytes.len());
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let left = Redaction::apply(&found, 0, left.to_vec().into());
    let right = Redaction::apply(&found, left.len() as u64, right.to_vec().into());
    assert_eq!([left, right].concat(), whole);
});
