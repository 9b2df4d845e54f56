//! The integration tests: one binary, one module per feature.
mod database;
mod jobs;

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mounts;
mod power_loss;
mod storage;
