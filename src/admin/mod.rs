//! What those who run the appliance look at: numbers, jobs, the audit; the doctor, and alerts to those in charge; the first setup; the
//! API's documentation.

mod alerts;
mod docs;
pub mod doctor;
mod routes;

pub use alerts::{EVERY as ALERTS_EVERY, Watch, are_on as alerts_are_on};
pub use routes::{documentation, first_bucket, router, sample};

use serde::{Deserialize, Serialize};

use crate::accounts;
use crate::api::events;
use crate::app::App;
use crate::db;
use crate::jobs::{self, Failure, Job, Running};

/// Rows removed in one transaction.
const BATCH: usize = 1000;

/// Removes what has had its time: events, ended jobs, sessions, login attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prune {}

impl Job for Prune {
    const KIND: &'static str = "prune";
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, _: &Running) -> Result<(), Failure> {
        // In pieces, so that nobody who writes waits long.
        loop {
            let pruned = app
                .db
                .write(|tx| Ok::<_, db::Error>(events::prune(tx, BATCH)? + jobs::prune(tx, BATCH)?))
                .await
                .map_err(Failure::retry)?;
            if pruned == 0 {
                break;
            }
        }
        app.db.write(accounts::prune).await.map_err(Failure::retry)?;
        Ok(())
    }
}
