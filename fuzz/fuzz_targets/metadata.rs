//! EXIF blocks: `cargo +nightly fuzz run metadata`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging::{self, Metadata};

fuzz_target!(|block: &[u8]| {
    Metadata::read(block);
    imaging::metadata_entries(block);
    let cleaned = imaging::without_gps(block);
    assert!(Metadata::read(&cleaned).position.is_none());
});
