//! Power loss: an acknowledged item survives it, and no row stands without its bytes. A disk in a file is shut
//! down in the middle of uploads without writing back what it has in memory, and mounted again.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, params};
use safelight::clock::Timestamp;
use safelight::storage::{BlobId, LocalOptions, Removal, Storage};
use sha2::{Digest, Sha256};

use crate::mounts::Mount;
use crate::storage::noise;

const UPLOADERS: i64 = 4;

#[test]
fn acknowledged_uploads_survive_power_loss() {
    let Some(disk) = Mount::ext4(192 << 20, "acknowledged_uploads_survive_power_loss") else { return };
    cut_the_power_again_and_again(&disk, 8);
}

#[test]
#[ignore = "soak: forty power cuts"]
fn soak_acknowledged_uploads_survive_forty_power_losses() {
    let name = "soak_acknowledged_uploads_survive_forty_power_losses";
    let Some(disk) = Mount::ext4(1536 << 20, name) else { return };
    cut_the_power_again_and_again(&disk, 40);
}

fn cut_the_power_again_and_again(disk: &Mount, rounds: i64) {
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        // A different moment in every round; the number of items, not the time, decides when.
        let items = 20 + 13 * usize::try_from(round % 20).unwrap();
        acknowledged.extend(upload_until_the_power_goes(disk, round, items));
        disk.restore_power();
        check(&disk.path(), &acknowledged);
    }
    assert!(acknowledged.len() > 300, "{} items", acknowledged.len());
}

fn database(directory: &Path, may_be_new: bool) -> Connection {
    let connection = Connection::open(directory.join("items.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    if may_be_new {
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, blob BLOB NOT NULL) STRICT",
            )
            .unwrap();
    }
    connection
}

/// Returns the ids of the items that were acknowledged before the power went.
fn upload_until_the_power_goes(disk: &Mount, round: i64, items: usize) -> Vec<i64> {
    let options = LocalOptions { expect_marker: round > 0, ..LocalOptions::default() };
    let storage = Storage::local(&disk.path().join("blobs"), options).unwrap();
    let switch = disk.power_switch();
    let connection = Arc::new(Mutex::new(database(&disk.path(), round == 0)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let acknowledged = runtime.block_on(async {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut uploaders = tokio::task::JoinSet::new();
        for uploader in 0..UPLOADERS {
            let (storage, connection, sender) = (storage.clone(), connection.clone(), sender.clone());
            uploaders.spawn(async move {
                for number in 0.. {
                    let id = (round << 32) + number * UPLOADERS + uploader;
                    // Uploaders work in pairs on the same bytes, so that they meet in the store.
                    let content = id / 2;
                    let length = usize::try_from(content * 7919 % 150_000).unwrap();
                    let Ok(kept) = storage.put_bytes(noise(content.unsigned_abs() + 1, length)).await else {
                        return;
                    };
                    let connection = connection.clone();
                    let stored = tokio::task::spawn_blocking(move || {
                        let row = params![id, kept.blob()];
                        connection.lock().unwrap().execute("INSERT INTO item (id, blob) VALUES (?1, ?2)", row)
                    });
                    if stored.await.unwrap().is_err() || sender.send(id).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut switch = Some(switch);
        let mut acknowledged = Vec::new();
        let all = async {
            while let Some(id) = receiver.recv().await {
                acknowledged.push(id);
                if acknowledged.len() == items
                    && let Some(switch) = switch.take()
                {
                    // The uploaders go on while the power goes.
                    tokio::task::block_in_place(|| switch.cut_power());
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all)
            .await
            .expect("the uploaders stop when the power is gone");
        uploaders.join_all().await;
        // The kernel may report success for a sync that the shutdown overtook, which no real power cut can do: nobody
        // is left to hear it. What was acknowledged before the cut is what counts.
        acknowledged.truncate(items);
        acknowledged
    });
    drop(runtime);
    acknowledged
}

fn check(directory: &Path, acknowledged: &[i64]) {
    let options = LocalOptions { expect_marker: true, ..LocalOptions::default() };
    let storage = Storage::local(&directory.join("blobs"), options).unwrap();
    storage.clean_incoming(Timestamp::from_millis(i64::MAX)).unwrap();
    assert_eq!(std::fs::read_dir(directory.join("blobs/incoming")).unwrap().count(), 0);

    let connection = database(directory, false);
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let mut statement = connection.prepare("SELECT id, blob FROM item").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, BlobId>(1)?))).unwrap();
    let rows = rows.map(Result::unwrap).collect::<Vec<_>>();

    let ids = rows.iter().map(|(id, _)| *id).collect::<HashSet<_>>();
    let lost = acknowledged.iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>();
    assert!(lost.is_empty(), "acknowledged, but their rows are lost: {lost:?}");

    let mut stored = HashSet::new();
    for listed in storage.list() {
        let blob = listed.unwrap().blob;
        let mut hash = Sha256::new();
        std::io::copy(&mut storage.reader(blob).unwrap(), &mut HashWriter(&mut hash)).unwrap();
        assert_eq!(blob.as_bytes()[..], hash.finalize()[..], "a blob whose bytes are not its name's");
        stored.insert(blob);
    }
    let bare = rows.iter().filter(|(_, blob)| !stored.contains(blob)).collect::<Vec<_>>();
    assert!(bare.is_empty(), "rows without their bytes: {bare:?}");

    // What was kept but not acknowledged is an orphan, which the sweeper may remove.
    let wanted = rows.iter().map(|(_, blob)| *blob).collect::<HashSet<_>>();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for orphan in stored.difference(&wanted) {
        assert_eq!(runtime.block_on(storage.remove(*orphan, || true)).unwrap(), Removal::Removed);
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
