//! What people type into the search field: `cargo +nightly fuzz run query`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::library::Query;

fuzz_target!(|text: &str| {
    let query = Query::parse(text);
    assert_eq!(query, Query::parse(text));
});
