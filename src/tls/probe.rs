//! What can be asked of a certificate authority without asking for a certificate.

use std::time::Duration;

use super::Tls;
use crate::outbound::Method;

/// How long its directory may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl Tls {
    /// Fetches the authority's directory, as every order begins, and returns the authority's name.
    ///
    /// # Errors
    /// A sentence that says why it is not there.
    pub async fn look_at_authority(&self) -> Result<String, String> {
        let url = &self.0.settings.acme.directory_url;
        let call = self.0.outbound.call(Method::GET, url).map_err(|e| e.to_string())?;
        let answer = call.within(PATIENCE).send().await.map_err(|e| {
            let cause = std::error::Error::source(&e).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{e}{cause}")
        })?;
        let (host, status) = (answer.host().to_owned(), answer.status());
        if !status.is_success() {
            return Err(format!("{host} answers {status} where its directory should be"));
        }
        let directory: serde_json::Value = answer.json().await.map_err(|e| e.to_string())?;
        match directory["newOrder"].is_string() {
            true => Ok(host),
            false => Err(format!("what {host} answers is no directory of an ACME authority")),
        }
    }

    /// Whether there is an account with the authority already.
    pub fn has_account(&self) -> bool {
        self.0.files.has_account(&self.0.settings.acme.directory_url)
    }
}
