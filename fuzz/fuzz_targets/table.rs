//! Lists of people that an admin was given from somewhere: whatever they hold, they are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imports::table::{Table, cell};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(table) = Table::parse(text) {
        let column = table.column(&["email", "name"]);
        for (number, row) in table.rows() {
            assert!(number > 0);
            assert!(cell(row, column).is_none_or(|text| !text.trim().is_empty()));
        }
    }
});
