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
use crate::logs::Logs;
use crate::mail::Mailer;
use crate::outbound::Outbound;
use crate::settings::Settings;
use crate::storage::Storage;
use crate::tls::Tls;

/// The running appliance as features see it.
#[derive(Clone)]
pub struct App {
    /// What was configured when the process started: what only a restart changes.
    pub config: Arc<Config>,
    /// What holds now: what an admin may change meanwhile is read here, each time anew.
    pub settings: Settings,
    /// What the process says about itself.
    pub logs: Logs,
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

impl App {
    /// Tells the tools that keep settings what holds, now and after each change.
    pub fn keep_tools_current(&self) {
        let (outbound, engines) = (self.outbound.clone(), self.engines.clone());
        let (mailer, cache, logs) = (self.mailer.clone(), self.cache.clone(), self.logs.clone());
        self.settings.on_change(move |config| {
            outbound.configure(&config.outbound);
            mailer.configure(&config.outbound);
            engines.configure(&config.engines);
            cache.set_limit(config.delivery.cache_bytes);
            logs.set_level(config.log.level);
        });
    }
}
