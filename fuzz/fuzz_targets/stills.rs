//! AVIF, HEIC and JPEG XL: the first byte says which, so that the search need not find their first bytes by itself:
//! `cargo +nightly fuzz run stills -- -rss_limit_mb=1024 -timeout=20`. The files in `src/imaging/tests/fixtures`, with a
//! byte before them, are a good beginning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging::{self, Budget, Limits, Options, Samples};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let head: &[u8] = match kind % 5 {
        0 => b"\0\0\0\x10ftypavif\0\0\0\0",
        1 => b"\0\0\0\x10ftypheic\0\0\0\0",
        2 => b"\xff\x0a",
        3 => b"\0\0\0\x0cJXL \r\n\x87\n",
        _ => b"",
    };
    let file = [head, rest].concat();
    let limits = Limits { max_pixels: 500_000 };
    let budget = Budget::new(256 << 20);
    if let Ok(decoded) = imaging::decode_bytes(&file, &Options::new(limits, &budget)) {
        let image = &decoded.image;
        let samples = match &image.samples {
            Samples::U8(samples) => samples.len(),
            Samples::U16(samples) => samples.len(),
        };
        assert_eq!(samples as u64, image.pixels() * image.channels.count() as u64);
        assert_eq!((image.width, image.height), (decoded.source.width, decoded.source.height));
    }
    assert_eq!(budget.free_bytes(), budget.total_bytes());
});
