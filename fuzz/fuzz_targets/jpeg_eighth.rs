//! JPEG files of which only the first coefficients are read:
//! `cargo +nightly fuzz run jpeg_eighth -- -rss_limit_mb=512 -timeout=10`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging::{self, Budget, Limits, OutputFormat, Transform};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1_000_000 };
    let budget = Budget::new(256 << 20);
    // Everything from 12 pixels a side on is reduced by eight.
    let format = OutputFormat::ALL[bytes.len() % OutputFormat::ALL.len()];
    let result = imaging::render_bytes(bytes, &Transform::inside(1, 1), format, &limits, &budget);
    if let Ok(variant) = result {
        assert_eq!((variant.width, variant.height), (1, 1));
    }
    assert_eq!(budget.free_bytes(), budget.total_bytes());
});
