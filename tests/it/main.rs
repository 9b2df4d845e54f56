//! The integration tests: one binary, one module per feature.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod architecture;
mod cli_restore;
mod database;
mod delivery;
#[path = "../../benches/fill.rs"]
mod fill;
mod import;
mod jobs;
mod library;
mod listing;
mod mounts;
mod pictures;
mod photographs;
mod power_loss;
mod restore;
mod storage;
mod support;
mod uploads;
mod web;
