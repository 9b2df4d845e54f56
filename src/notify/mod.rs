//! Turns events, rows written with the deed, into what people are told. Today that is the live stream of the web UI.
//! Nobody calls this room to send anything.

mod routes;

pub use routes::router;

use crate::accounts::Permission;
use crate::api::events::{self, Audience};
use crate::db::{self, Tx};
use crate::jobs::JobRow;

/// Tells those who manage jobs of a change; the job runner calls it in the transaction of the change.
///
/// # Errors
/// When the event can't be written.
pub fn job_changed(tx: &Tx<'_>, job: &JobRow) -> db::Result<()> {
    events::emit(tx, "job", &Audience::Permission(Permission::JobsManage.as_str()), job)
}
