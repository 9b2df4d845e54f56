//! Safelight: a home for photographs and files on one small server.
//!
//! One crate of rooms; a room uses only rooms above it in this list (`tests/it/architecture.rs` keeps it so).

// Base: know nothing of photographs.
pub mod clock;
pub mod config;
pub mod db;
pub mod id;
pub mod jobs;
pub mod keys;
pub mod logs;
pub mod metrics;
pub mod settings;

// Tools: the outside world; no SQL, no routes.
pub mod cache;
pub mod engine;
pub mod imaging;
pub mod mail;
pub mod outbound;
pub mod storage;
pub mod telemetry;
pub mod tls;

// What every feature stands on.
pub mod api;
pub mod app;

// Features: vertical slices.
pub mod accounts;
pub mod admin;
pub mod audit;
pub mod imports;
pub mod library;
pub mod notify;
pub mod restore;
pub mod uploads;

// Top.
pub mod cli;
pub mod server;
mod web;
