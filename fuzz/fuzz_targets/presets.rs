//! Files of presets that somebody imports: `cargo +nightly fuzz run presets`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::restore::presets::file;

fuzz_target!(|text: &str| {
    let Ok(presets) = file::read(text) else { return };
    assert!(!presets.is_empty());
    for preset in &presets {
        assert!((1..=20).contains(&preset.steps.len()) && preset.name.is_some());
    }
    // Whatever they include of each other, it comes to an end.
    let _ = file::builtin_steps(text);
});
