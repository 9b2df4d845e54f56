//! The headers of an upload in several goes, which come from outside: whatever they say, they are read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::uploads::headers;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(pairs) = headers::metadata(text) {
        for (i, (key, _)) in pairs.iter().enumerate() {
            assert!(!key.is_empty() && key.is_ascii());
            assert!(pairs[..i].iter().all(|(other, _)| other != key));
        }
    }
    if let Ok(headers::Concat::Final(parts)) = headers::concat(text) {
        assert!(!parts.is_empty());
    }
    if let Ok(checksum) = headers::checksum(text) {
        assert_eq!(checksum.digest.len(), checksum.algorithm.bytes());
    }
    if let Ok(size) = headers::size("Upload-Length", text) {
        assert!(i64::try_from(size).is_ok());
    }
});
