//! Lists of models, which people write by hand and pass on: nothing in one may stop the program, and every mistake has
//! a line that is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::restore::registry::listing;

fuzz_target!(|text: &str| {
    if let Err(mistakes) = listing::parse(text) {
        assert!(!mistakes.is_empty());
        let lines = text.matches('\n').count() + 1;
        assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)));
    }
});
