//! Whole renderings: a query in the first line, a picture behind it:
//! `cargo +nightly fuzz run render -- -rss_limit_mb=512 -timeout=20`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging::{self, Budget, Limits, Transform};

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().take(200).position(|byte| *byte == b'\n').unwrap_or(0);
    let Ok(query) = std::str::from_utf8(&bytes[..end]) else { return };
    let Ok(transform) = query.parse::<Transform>() else { return };
    let picture = &bytes[end..];
    let limits = Limits { max_pixels: 500_000 };
    let budget = Budget::new(256 << 20);
    let Ok(probe) = imaging::probe_bytes(picture) else { return };
    let format = transform.negotiate(Some("image/avif,image/webp"), &probe);
    if let Ok(variant) = imaging::render_bytes(picture, &transform, format, &limits, &budget) {
        assert!(variant.width <= probe.width.max(probe.height) && variant.height <= probe.width.max(probe.height));
        assert_eq!((variant.width, variant.height), transform.size(&probe));
        assert_eq!(imaging::OutputFormat::sniff(&variant.bytes), Some(format));
    }
    assert_eq!(budget.free_bytes(), budget.total_bytes());
});
