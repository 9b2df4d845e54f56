//! Pixels of whatever is called a picture, as the library and a delivery would read them:
//! `cargo +nightly fuzz run decode -- -rss_limit_mb=512 -timeout=10`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging::{self, Budget, Limits, Options, OutputFormat, Preset, Samples};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { max_pixels: 1_000_000 };
    let budget = Budget::new(256 << 20);
    if let Ok(decoded) = imaging::decode_bytes(bytes, &Options::new(limits, &budget)) {
        let image = &decoded.image;
        let samples = match &image.samples {
            Samples::U8(samples) => samples.len(),
            Samples::U16(samples) => samples.len(),
        };
        assert_eq!(samples as u64, image.pixels() * image.channels.count() as u64);
        let (image, _) = imaging::to_srgb(decoded.image, decoded.icc.as_deref());
        imaging::orient(image, decoded.orientation);
    }
    let _ = imaging::render_bytes(bytes, &Preset::Thumb.transform(), OutputFormat::Webp, &limits, &budget);
});
