//! Events of a Gradio app, which come from outside: however they are cut, they are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use safelight::engine::space::{Event, Events};

fuzz_target!(|bytes: &[u8]| {
    let whole = Events::new(1 << 20).push(bytes);
    let mut events = Events::new(1 << 20);
    let pieces: Result<Vec<Vec<Event>>, _> = bytes.chunks(3).map(|piece| events.push(piece)).collect();
    if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces.concat());
    }
});
