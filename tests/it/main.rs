//! The integration tests: one binary, one module per feature.
mod database;
mod jobs;
