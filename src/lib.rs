//! Safelight: a home for photographs and files on one small server.
//!
//! One crate of rooms; a room uses only rooms above it in this list (`tests/it/architecture.rs` keeps it so).

// Base: know nothing of photographs.
pub mod clock;
pub mod db;
pub mod config;
>>>>>>> config
pub mod id;

// Tools: the outside world; no SQL, no routes.
pub mod engine;
pub mod imaging;

// Top.
pub mod cli;
pub mod storage;
