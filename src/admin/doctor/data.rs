//! The data directory: markers, file systems, rights, space, what crashes left, the database and the secrets.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{CheckState, Outcome, Patient, Repair, blocking, chain};
use crate::db;
use crate::keys::{Keys, Purpose};
use crate::library;
use crate::storage;

/// How long something may lie among the unfinished uploads before nobody will finish it.
pub(super) const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// A log of the database above this is not checkpointed as it should be.
const LOG_LARGE_BYTES: u64 = 256 << 20;

/// Inodes below which a file system is as good as full.
const INODES_LOW: u64 = 10_000;

/// How many files a check names.
const NAMED: usize = 3;

/// Bytes in the unit that tells them well.
pub(in crate::admin) fn in_bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut unit = units.len();
    while unit > 0 && bytes < 1 << (10 * unit) {
        unit -= 1;
    }
    match unit.checked_sub(1).and_then(|unit| units.get(unit)) {
        None => format!("{bytes} bytes"),
        Some(name) => {
            let tenths = bytes.saturating_mul(10) >> (10 * unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

pub(super) async fn directory(patient: &Patient) -> Outcome {
    let (root, blobs) = (patient.root(), patient.data_dir.blobs());
    let looked = blocking(move || markers(&root, &blobs)).await;
    if looked.state != CheckState::Failed || !patient.data_dir.database().is_file() {
        return looked;
    }
    // The files are all there although the marker is not: somebody has copied them without hidden files.
    let database = patient.data_dir.database();
    let blobs = patient.data_dir.blobs();
    blocking(move || {
        let Ok(known) = db::look(&database, |conn| library::known_blobs(conn, 5)) else { return looked };
        let present =
            |blob: &storage::BlobId| blobs.join(&blob.to_string()[..2]).join(blob.to_string()).is_file();
        if known.is_empty() || !known.iter().all(present) || !blobs.parent().is_some_and(Path::is_dir) {
            return looked;
        }
        let missing = [blobs.parent().map(Path::to_owned), Some(blobs.clone())].into_iter().flatten();
        missing.filter(|folder| !storage::has_marker(folder).unwrap_or(true)).fold(
            looked,
            |looked, folder| {
                let mut looked = looked.with(Repair::Marker(folder));
                looked.advice = Some(
                    "The files of the library are there, so only the marker is missing: `safelight doctor --fix` puts it back."
                        .into(),
                );
                looked
            },
        )
    })
    .await
}

fn markers(root: &Path, blobs: &Path) -> Outcome {
    let advice = "Mount the disk that belongs there. If this is a new server, start it once.";
    for folder in [root, blobs] {
        match storage::has_marker(folder) {
            Ok(true) => {}
            Ok(false) => {
                let what =
                    if folder.is_dir() { "lacks its marker file «.safelight»" } else { "does not exist" };
                return Outcome::failed(format!("{} {what}: is its disk mounted?", folder.display()), advice);
            }
            Err(e) => return unreadable(&e),
        }
    }
    Outcome::ok(format!("{}, with both markers in their places", root.display()))
}

fn unreadable(error: &dyn std::error::Error) -> Outcome {
    Outcome::failed(chain(error), "Run this as the user that the server runs as, or as root.")
}

pub(super) async fn file_system(patient: &Patient) -> Outcome {
    let (root, blobs) = (patient.root(), patient.data_dir.blobs());
    blocking(move || {
        let mut findings = Vec::new();
        let mut kinds: Vec<&str> = Vec::new();
        for folder in [root, blobs] {
            let Ok(disk) = rustix::fs::statfs(&folder) else { continue };
            #[expect(
                clippy::cast_sign_loss,
                clippy::cast_possible_truncation,
                reason = "a magic number of 32 bits"
            )]
            let (kind, finding) = judge(disk.f_type as u32, &folder);
            findings.extend(finding);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            return Outcome::skipped("there is no data directory to look at");
        }
        Outcome::worst(findings, kinds.join(" and "))
    })
    .await
}

/// What a file system is, by the kernel's number for it, and what is wrong with it for us.
fn judge(kind: u32, folder: &Path) -> (&'static str, Option<Outcome>) {
    let at = folder.display();
    let network = |name| {
        let finding = Outcome::warning(
            format!("{at} is on a network file system ({name})"),
            "Locks and the database's log need a local disk: keep the data directory on one; only blobs/ may be elsewhere.",
        );
        (name, Some(finding))
    };
    match kind {
        0x6969 => network("NFS"),
        0xff53_4d42 | 0xfe53_4d42 => network("SMB"),
        0x0102_1997 => network("9P"),
        0x00c3_6400 => network("Ceph"),
        0x0102_1994 => {
            let finding = Outcome::failed(
                format!("{at} is in memory (tmpfs)"),
                "Everything is lost when the machine restarts: set data_dir to a folder on a disk.",
            );
            ("tmpfs", Some(finding))
        }
        0x794c_7630 => {
            let finding = Outcome::failed(
                format!("{at} is in the container's own layer (overlay)"),
                "Everything is lost with the container: mount a volume at the data directory.",
            );
            ("overlay", Some(finding))
        }
        0x6573_5546 => {
            let finding = Outcome::warning(
                format!("{at} is on a file system outside the kernel (FUSE)"),
                "Whether it keeps what it acknowledges is up to that program: a file system of the kernel is safer.",
            );
            ("FUSE", Some(finding))
        }
        0xef53 => ("ext4", None),
        0x5846_5342 => ("XFS", None),
        0x9123_683e => ("Btrfs", None),
        0x2fc1_2fc1 => ("ZFS", None),
        _ => ("a local file system", None),
    }
}

pub(super) async fn file_rights(patient: &Patient) -> Outcome {
    let data_dir = patient.data_dir.clone();
    blocking(move || {
        let root = data_dir.root();
        let Ok(home) = fs::metadata(root) else {
            return Outcome::skipped("there is no data directory to look at");
        };
        let mut looked = Rights { owner: home.uid(), ..Rights::default() };
        looked.look(root, 0o700, 0o007);
        looked.look_into(&data_dir.keys(), 0o077);
        looked.look_into(&data_dir.acme(), 0o077);
        let database = data_dir.database();
        for ending in ["", "-wal", "-shm"] {
            let mut name = database.clone().into_os_string();
            name.push(ending);
            looked.look(Path::new(&name), 0o600, 0o077);
        }
        for folder in [data_dir.blobs(), data_dir.blobs().join("incoming"), data_dir.cache()] {
            looked.look(&folder, 0o700, 0o007);
        }
        looked.outcome(root)
    })
    .await
}

#[derive(Default)]
struct Rights {
    owner: u32,
    looked_at: usize,
    strangers: Vec<PathBuf>,
    open: Vec<(PathBuf, u32)>,
    unreadable: Vec<PathBuf>,
}

impl Rights {
    /// Looks at one file or folder, which may not give any of the `forbidden` rights.
    fn look(&mut self, path: &Path, mode: u32, forbidden: u32) {
        let Ok(file) = fs::symlink_metadata(path) else {
            if path.try_exists().is_err() {
                self.unreadable.push(path.to_owned());
            }
            return;
        };
        self.looked_at += 1;
        if file.uid() != self.owner {
            self.strangers.push(path.to_owned());
        }
        // What somebody else has put there is not ours to change.
        if !file.is_symlink() && file.uid() == self.owner && file.mode() & forbidden != 0 {
            self.open.push((path.to_owned(), mode));
        }
    }

    /// Looks at a folder and all that is in it.
    fn look_into(&mut self, folder: &Path, forbidden: u32) {
        self.look(folder, 0o700, forbidden);
        // Where a link leads is nobody's promise.
        if !fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.look_into(&entry.path(), forbidden),
                _ => self.look(&entry.path(), 0o600, forbidden),
            }
        }
    }

    fn outcome(self, root: &Path) -> Outcome {
        let mut findings = Vec::new();
        if !self.unreadable.is_empty() {
            let seen = format!("{} can't be looked at", named(&self.unreadable));
            findings.push(Outcome::failed(seen, "Run this as the user that the server runs as, or as root."));
        }
        if !self.strangers.is_empty() {
            findings.push(Outcome::failed(
                format!("{} belong to another user than {}", named(&self.strangers), root.display()),
                format!("As root: chown -R --reference={0} {0}", root.display()),
            ));
        }
        if !self.open.is_empty() {
            let paths: Vec<PathBuf> = self.open.iter().map(|(path, _)| path.clone()).collect();
            let seen = format!("others on this machine may read or change {}", named(&paths));
            let open = Outcome::failed(
                seen,
                "Only the server's user may: `safelight doctor --fix` takes the rights from the others.",
            );
            findings.push(
                self.open
                    .into_iter()
                    .fold(open, |open, (path, mode)| open.with(Repair::Rights { path, mode })),
            );
        }
        Outcome::worst(findings, format!("{} files and folders are their owner's alone", self.looked_at))
    }
}

fn named(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().take(NAMED).map(|path| path.display().to_string()).collect();
    match paths.len().checked_sub(shown.len()) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

pub(super) async fn disk(patient: &Patient) -> Outcome {
    let (root, blobs) = (patient.root(), patient.data_dir.blobs());
    let floor = patient.config.limits.min_free_bytes;
    blocking(move || {
        if !root.is_dir() {
            return Outcome::skipped("there is no data directory to look at");
        }
        let mut folders = vec![root];
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        if device(&blobs).is_some_and(|own| Some(own) != device(&folders[0])) {
            folders.push(blobs);
        }
        let looked: Vec<Outcome> = folders.iter().map(|folder| disk_space(folder, floor)).collect();
        let fine: Vec<&str> = looked.iter().map(|outcome| outcome.seen.as_str()).collect();
        let fine = fine.join("; ");
        Outcome::worst(looked, fine)
    })
    .await
}

/// The space and the inodes of the disk that a folder lies on, against the floor at which uploads are refused.
pub(in crate::admin) fn disk_space(folder: &Path, floor_bytes: u64) -> Outcome {
    let at = folder.display();
    let disk = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk,
        Err(e) => return unreadable(&std::io::Error::from(e)),
    };
    let (free, total) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let seen = format!("{} of {} are free at {at}", in_bytes(free), in_bytes(total));
    let floor = in_bytes(floor_bytes);
    if free <= floor_bytes {
        let advice =
            "Free some space or take a larger disk; limits.min_free_bytes is what uploads leave free.";
        return Outcome::failed(format!("{seen}; uploads are refused below {floor}"), advice);
    }
    if disk.f_files > 0 && disk.f_favail < INODES_LOW {
        let seen = format!("only {} files more can be made at {at} (inodes)", disk.f_favail);
        return Outcome::failed(seen, "Remove small files, or make the file system anew with more inodes.");
    }
    if free < floor_bytes.saturating_mul(2) {
        let seen = format!("{seen}; uploads are refused below {floor}, which is near");
        return Outcome::warning(seen, "Free some space or take a larger disk.");
    }
    Outcome::ok(seen)
}

pub(super) async fn incoming(patient: &Patient) -> Outcome {
    let blobs = patient.data_dir.blobs();
    // The files bear the computer's time, whatever clock this process has.
    let before = crate::clock::Clock::system().now() - STALE;
    blocking(move || match storage::count_stale(&blobs, before) {
        Ok(0) => Outcome::ok("nothing was left behind"),
        Ok(count) => Outcome::warning(
            format!(
                "{count} files in {} were left by uploads that ended long ago",
                blobs.join("incoming").display()
            ),
            "They only take space: the next start of the server removes them, or `safelight doctor --fix`.",
        )
        .with(Repair::Incoming),
        Err(_) => Outcome::skipped("there is no folder of unfinished uploads to look at"),
    })
    .await
}

pub(super) async fn database(patient: &Patient, deadline: Duration) -> Outcome {
    let (path, full) = (patient.data_dir.database(), patient.full);
    let why = patient.app.as_ref().err().cloned();
    blocking(move || {
        if !path.is_file() {
            return Outcome::skipped(format!("there is no {} yet", path.display()));
        }
        let status = match db::status(&path) {
            Ok(status) => status,
            Err(e) => return broken(&chain(&e)),
        };
        let ends = Instant::now() + deadline.saturating_sub(Duration::from_secs(2));
        let examined = match db::examine(&path, full, ends) {
            Ok(Some(examined)) => examined,
            Ok(None) => {
                return Outcome::warning(
                    "it is too large to be looked through in this time",
                    "Run `safelight doctor --full`, which takes its time.",
                );
            }
            Err(e) => return broken(&chain(&e)),
        };
        if let Some(fault) = examined.faults.first() {
            return broken(fault);
        }
        if status.applied > status.known {
            let seen = format!("it has schema {}, and this program knows {}", status.applied, status.known);
            return Outcome::failed(seen, "A newer version wrote it: install that again.");
        }
        if !status.pending.is_empty() {
            let seen =
                format!("it has schema {}, and this program works with {}", status.applied, status.known);
            return Outcome::warning(
                seen,
                "Start the server, which brings it up to date, or run `safelight migrate up`.",
            );
        }
        if let Some(why) = why {
            return Outcome::failed(
                format!("it is sound, but the data directory can't be used: {why}"),
                "See the other checks.",
            );
        }
        let how = if full {
            "every page and index was read"
        } else {
            "quickly looked through; --full reads everything"
        };
        Outcome::ok(format!("{}, schema {}, sound ({how})", in_bytes(examined.size_bytes), status.applied))
    })
    .await
}

fn broken(fault: &str) -> Outcome {
    Outcome::failed(
        format!("it is damaged or can't be read: {fault}"),
        "Stop the server, keep a copy of safelight.db with its -wal, and restore a backup. Check the disk too: damage comes from somewhere.",
    )
}

pub(super) async fn database_log(patient: &Patient) -> Outcome {
    let database = patient.data_dir.database();
    let mut name = database.clone().into_os_string();
    name.push("-wal");
    let server = patient.server();
    blocking(move || {
        if !database.is_file() {
            return Outcome::skipped("there is no database yet");
        }
        let bytes = fs::metadata(&name).map_or(0, |file| file.len());
        if bytes <= LOG_LARGE_BYTES {
            return Outcome::ok(in_bytes(bytes));
        }
        let seen = format!("{}, which is more than it should ever be", in_bytes(bytes));
        if server.is_some() {
            let advice = "A program that reads the database for long, or a crashed one, keeps the server from emptying it: restart the server.";
            return Outcome::warning(seen, advice);
        }
        Outcome::warning(seen, "The next start of the server empties it, or `safelight doctor --fix`.").with(Repair::Checkpoint)
    })
    .await
}

pub(super) async fn secrets(patient: &Patient) -> Outcome {
    let keys = Keys::new(patient.data_dir.keys(), patient.clock.clone());
    let exists = patient.root().is_dir();
    blocking(move || {
        if !exists {
            return Outcome::skipped("there is no data directory to look at");
        }
        let (mut there, mut missing, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        for purpose in Purpose::ALL {
            match keys.count(purpose) {
                Ok(0) => missing.push(purpose.name()),
                Ok(_) => there.push(purpose.name()),
                Err(e) => findings.push(Outcome::failed(
                    chain(&e),
                    "Put the file back from a backup, or remove it and restart: links and sessions that hang on it are over then.",
                )),
            }
        }
        let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let fine = match missing.is_empty() {
            true => list(&there),
            false => format!("{}; {} will be made when first needed", list(&there), list(&missing)),
        };
        let looked = Outcome::worst(findings, fine);
        if missing.is_empty() { looked } else { looked.with(Repair::Secrets) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_their_unit() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX / 20, "838860.7 TiB"),
        ] {
            assert_eq!(in_bytes(bytes), text);
        }
    }

    #[test]
    fn file_systems_that_lose_data_are_known() {
        let judged = |kind| judge(kind, Path::new("/data")).1.map(|outcome| outcome.state);
        assert_eq!(judged(0xef53), None);
        assert_eq!(judged(0x6969), Some(CheckState::Warning));
        assert_eq!(judged(0x0102_1994), Some(CheckState::Failed));
        assert_eq!(judged(0x794c_7630), Some(CheckState::Failed));
    }
}
