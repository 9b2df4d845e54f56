//! The integration tests: one binary, one module per feature.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod architecture;
mod cli_restore;
mod database;
mod jobs;
mod mounts;
mod photographs;
mod power_loss;
mod restore;
mod storage;
mod support;
