//! The integration tests: one binary, one module per feature.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod acme;
mod appliance;
mod architecture;
mod batches;
mod bucket_roles;
mod bulk;
mod caching_proxy;
mod certificates;
mod cli_restore;
mod connections;
mod cors;
mod crash;
mod database;
mod delivery;
mod duplicates;
mod engines;
#[path = "../../benches/fill.rs"]
mod fill;
mod hostile;
mod import;
mod jobs;
mod library;
mod limits;
mod listing;
mod load;
mod migrations;
mod mounts;
mod organise;
mod photographs;
mod pictures;
mod power_loss;
mod process;
mod providers;
mod restore;
mod search;
mod storage;
mod storage_door;
mod support;
mod tokens;
mod tus;
mod uploads;
mod web;
