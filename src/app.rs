//! The tools that every feature may use, in one cloneable bundle. Holds no feature type, so features may depend on it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::cache::{DiskCache, HotFiles};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::db::Db;
use crate::engine::{Engines, Previews};
use crate::imaging::Budget;
use crate::keys::Keys;
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::storage::Storage;
use crate::tls::Tls;

/// The running appliance as features see it.
#[derive(Clone)]
pub struct App {
    /// What was configured.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// The blobs.
    pub storage: Storage,
    /// The way to other machines.
    pub outbound: Outbound,
    /// Mail.
    pub mailer: Mailer,
    /// The certificates.
    pub tls: Tls,
    /// The engines that restore pictures.
    pub engines: Engines,
    /// The memory that all pictures share.
    pub budget: Budget,
    /// The pictures that somebody is looking at right now.
    pub previews: Previews,
    /// Renderings that can be made again.
    pub cache: DiskCache,
    /// Small files that are asked for often.
    pub hot: HotFiles,
    /// The instance's own secrets.
    pub keys: Keys,
    /// When this process started.
    pub started_at: Timestamp,
    /// Fires when the process is about to stop: streams end, jobs are handed back.
    pub stopping: CancellationToken,
}
