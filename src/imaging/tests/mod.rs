//! What the whole room promises: every format both ways, and an answer to whatever is called a picture.

mod formats;
mod hostile;
mod jpeg_dc;
mod samples;
mod scan;
mod stills;
mod variants;

use super::*;

/// Options for tests that are not about memory.
fn free() -> Options<'static> {
    Options::held(Limits::default())
}
