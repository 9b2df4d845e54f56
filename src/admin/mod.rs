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

/// Keeps the database quick and small: statistics, and free pages given back to the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upkeep {}

impl Job for Upkeep {
    const KIND: &'static str = "db_upkeep";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        app.db.write(db::study).await.map_err(Failure::retry)?;
        // In pieces, so that nobody who writes waits long.
        loop {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            match app.db.write(db::give_back).await.map_err(Failure::retry)? {
                db::GiveBack::Some => {}
                db::GiveBack::Done | db::GiveBack::Fixed => return Ok(()),
            }
        }
    }
}
