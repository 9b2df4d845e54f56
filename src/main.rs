//! Starts Safelight.
fn main() {}
