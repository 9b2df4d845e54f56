//! Headers of whatever is called a picture, and what XMP and IPTC say: `cargo +nightly fuzz run probe`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging;

fuzz_target!(|bytes: &[u8]| {
    imaging::sniff(bytes, "picture.jpg");
    if let Ok(probe) = imaging::probe_bytes(bytes) {
        assert!(probe.width > 0 && probe.height > 0 && probe.frames > 0);
        assert!(probe.decode_bytes() >= probe.image_bytes());
        imaging::written_entries(&mut std::io::Cursor::new(bytes), &probe);
    }
});
