//! `safelight openapi`: the document of the HTTP API.

use std::process::ExitCode;

use anyhow::Context;

use super::put;

/// Prints the OpenAPI document as JSON.
///
/// # Errors
/// When standard output can't be written.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let text = crate::server::openapi().to_pretty_json().context("can't write the OpenAPI document")?;
    put(format!("{text}\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
