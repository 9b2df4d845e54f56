//! The integration tests: one binary, one module per feature.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod architecture;
mod database;
mod jobs;
mod mounts;
mod power_loss;
mod storage;
mod support;
