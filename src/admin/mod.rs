//! What those who run the appliance look at: numbers, jobs, the audit; the first setup; the API's documentation.

mod docs;
mod routes;

pub use routes::{documentation, first_bucket, router, sample};

use serde::{Deserialize, Serialize};

use crate::accounts;
use crate::api::events;
use crate::app::App;
use crate::jobs::{self, Failure, Job, Running};

/// Removes what has had its time: events, ended jobs, sessions, login attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prune {}

impl Job for Prune {
    const KIND: &'static str = "prune";
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, _: &Running) -> Result<(), Failure> {
        app.db
            .write(|tx| {
                events::prune(tx)?;
                jobs::prune(tx)?;
                accounts::prune(tx)
            })
            .await
            .map_err(Failure::retry)?;
        Ok(())
    }
}
