//! What can be put right without a decision: nothing here removes or overwrites what somebody may want.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use serde::Serialize;

use super::data::STALE;
use super::{Patient, Report, chain};
use crate::clock::Clock;
use crate::db;
use crate::keys::{Keys, Purpose};
use crate::storage::{self, LocalOptions, Storage};

/// Something that `safelight doctor --fix` can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Gives a file or folder these rights.
    Rights {
        /// Which.
        path: PathBuf,
        /// The rights.
        mode: u32,
    },
    /// Puts a marker back, where the files themselves are known to be there.
    Marker(PathBuf),
    /// Removes what uploads of long ago have left.
    Incoming,
    /// Empties the database's log, when no server runs.
    Checkpoint,
    /// Makes the keys that are missing.
    Secrets,
}

/// What was done, or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fixed {
    /// In words.
    pub what: String,
    /// Why it did not succeed.
    pub error: Option<String>,
}

/// Does every repair of a report. Blocks.
pub fn fix(patient: &Patient, report: &Report) -> Vec<Fixed> {
    let repairs = report.checks.iter().flat_map(|check| &check.repairs);
    repairs.map(|repair| repair.attempt(patient)).collect()
}

impl Repair {
    fn attempt(&self, patient: &Patient) -> Fixed {
        let done = match self {
            // What root makes here the server could not read.
            Self::Marker(_) | Self::Secrets if is_another_users(patient) => {
                Err("run this as the user that the data directory belongs to".to_owned())
            }
            Self::Rights { path, mode } => {
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).map_err(|e| chain(&e))
            }
            Self::Marker(folder) => storage::write_marker(folder).map_err(|e| chain(&e)),
            Self::Incoming => self.clean(patient),
            Self::Checkpoint => match patient.server() {
                Some(_) => Err("a server runs".to_owned()),
                None => db::checkpoint(&patient.data_dir.database()).map_err(|e| chain(&e)),
            },
            Self::Secrets => {
                let keys = Keys::new(patient.data_dir.keys(), patient.clock.clone());
                Purpose::ALL
                    .into_iter()
                    .try_for_each(|purpose| keys.generate(purpose).map(drop))
                    .map_err(|e| chain(&e))
            }
        };
        Fixed { what: self.in_words(), error: done.err() }
    }

    fn clean(&self, patient: &Patient) -> Result<(), String> {
        // Only with its marker is it sure whose folder this is.
        let options = LocalOptions { expect_marker: true, min_free_bytes: 0 };
        let store = Storage::local(&patient.data_dir.blobs(), options).map_err(|e| chain(&e))?;
        store.clean_incoming(Clock::system().now() - STALE).map(drop).map_err(|e| chain(&e))
    }

    fn in_words(&self) -> String {
        match self {
            Self::Rights { path, .. } => {
                format!("took the rights to {} from everybody but its owner", path.display())
            }
            Self::Marker(folder) => format!("put the marker back into {}", folder.display()),
            Self::Incoming => "removed what old uploads had left".to_owned(),
            Self::Checkpoint => "emptied the database's log".to_owned(),
            Self::Secrets => "made the keys that were missing".to_owned(),
        }
    }
}

fn is_another_users(patient: &Patient) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::metadata(patient.data_dir.root()).is_ok_and(|root| root.uid() != own)
}
