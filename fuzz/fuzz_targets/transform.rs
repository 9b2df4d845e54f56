//! Queries as strangers write them: `cargo +nightly fuzz run transform`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::imaging::Transform;

fuzz_target!(|text: &str| {
    // An `Accept` header stands in front of the query.
    let (accept, query) = text.split_once('\n').unwrap_or(("", text));
    let pairs = || query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
    let Ok(Some(transform)) = Transform::parse(pairs()) else { return };
    let canonical = transform.canonical();
    assert!(canonical.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=&.".contains(&byte)));
    assert_eq!(canonical.parse(), Ok(transform), "it reads back as the same");
    let key = transform.key(Some(accept));
    assert!(key.len() < 200 && !key.contains(['/', '\0']), "it can name a file");
});
