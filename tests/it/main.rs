//! The integration tests: one binary, one module per feature.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod appliance;
mod architecture;
mod cli_restore;
mod crash;
mod database;
mod hostile;
mod jobs;
mod load;
mod mounts;
mod photographs;
mod power_loss;
mod process;
mod restore;
mod storage;
mod support;
