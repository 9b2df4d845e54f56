//! Addresses below `/storage` as strangers write them: `cargo +nightly fuzz run storage_query`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::library::{Signature, Wish};

fuzz_target!(|query: &str| {
    let pairs = || query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
    let _ = Signature::read(pairs());
    let Ok(wish) = Wish::read(pairs()) else { return };
    let canonical = wish.canonical();
    assert_eq!(canonical.is_empty(), wish == Wish::Original, "only the original has nothing to say");
    assert!(canonical.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=&.-_~%".contains(&byte)));
    if let Wish::Own(_) = &wish {
        let again = canonical.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
        assert_eq!(Wish::read(again).unwrap(), wish, "it reads back as the same");
    }
});
