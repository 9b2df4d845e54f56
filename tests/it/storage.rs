//! Blobs: one contract for every backend, then what only a disk can do wrong.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use md5::{Digest, Md5};
use safelight::clock::Timestamp;
use safelight::storage::{
    BlobId, DataDir, Error, Incoming, LocalOptions, Received, Removal, StagingId, Storage,
};
use sha2::Sha256;

use crate::mounts::{Mount, entries, skipped};

/// A store with a way to see whether anything temporary is left in it.
struct Place {
    storage: Storage,
    directory: Option<tempfile::TempDir>,
}

impl Place {
    fn on_disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::local(&directory.path().join("blobs"), LocalOptions::default()).unwrap();
        Self { storage, directory: Some(directory) }
    }

    fn in_memory() -> Self {
        Self { storage: Storage::memory_of(256 << 20), directory: None }
    }

    fn blobs(&self) -> PathBuf {
        self.directory.as_ref().unwrap().path().join("blobs")
    }

    fn path(&self, blob: BlobId) -> PathBuf {
        let name = blob.to_string();
        self.blobs().join(&name[..2]).join(name)
    }

    fn has_temporary_files(&self) -> bool {
        match &self.directory {
            Some(_) => entries(&self.blobs().join("incoming")) > 0,
            None => {
                let space = self.storage.free_space().unwrap();
                let kept: u64 = self.storage.list().map(|b| b.unwrap().size_bytes).sum();
                space.total_bytes - space.free_bytes != kept
            }
        }
    }

    /// A batch that is being written when its upload is dropped goes away when it is done.
    async fn wait_until_clean(&self) {
        let begin = Instant::now();
        while self.has_temporary_files() {
            assert!(begin.elapsed() < Duration::from_secs(20), "a temporary file is left");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn listed(&self) -> Vec<(BlobId, u64)> {
        let mut all: Vec<_> =
            self.storage.list().map(|b| b.unwrap()).map(|b| (b.blob, b.size_bytes)).collect();
        all.sort();
        all
    }
}

/// Bytes that repeat nowhere, always the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

fn name_of(bytes: &[u8]) -> BlobId {
    BlobId::from_bytes(Sha256::digest(bytes).into())
}

/// Sends bytes in pieces of the given size.
async fn send(incoming: &mut Incoming, bytes: &Bytes, piece_bytes: usize) -> Result<(), Error> {
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        incoming.write(rest.split_to(piece_bytes.min(rest.len()))).await?;
    }
    Ok(())
}

async fn receive(storage: &Storage, bytes: &Bytes) -> Received {
    let mut incoming = storage.receive(None);
    send(&mut incoming, bytes, 10_007).await.unwrap();
    incoming.finish().await.unwrap()
}

async fn read(storage: &Storage, blob: BlobId, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut stream = storage.open(blob).await.unwrap().stream(range);
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.unwrap();
        assert!((1..=256 * 1024).contains(&piece.len()), "a piece of {} bytes", piece.len());
        all.extend_from_slice(&piece);
    }
    all
}

/// Runs every test of the contract on every backend.
macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod on_disk {
            $(#[tokio::test] async fn $name() { super::contract::$name(super::Place::on_disk()).await })*
        }
        mod in_memory {
            $(#[tokio::test] async fn $name() { super::contract::$name(super::Place::in_memory()).await })*
        }
    };
}

contract! {
    the_same_bytes_are_stored_once,
    two_uploads_of_the_same_bytes_at_once_both_succeed,
    an_upload_over_its_limit_stops_while_it_streams,
    an_upload_of_exactly_its_limit_is_fine,
    a_dropped_upload_leaves_nothing,
    an_upload_that_nobody_keeps_leaves_nothing,
    bytes_can_be_looked_at_before_they_are_kept,
    nothing_at_all_is_a_blob_too,
    a_large_blob_comes_back_whole_and_in_any_range,
    a_trickle_of_single_bytes_is_one_blob,
    a_removed_blob_is_gone_but_open_readers_go_on,
    a_blob_is_not_removed_against_the_answer,
    a_kept_blob_can_not_be_removed_before_its_holder_lets_go,
    storing_waits_for_a_removal_under_way_and_stores_afresh,
    a_missing_blob_is_said_to_be_missing,
    a_failed_upload_stays_failed,
    what_is_staged_waits_and_is_cut_back_to_what_counts,
    a_staging_that_goes_wrong_goes_back_to_where_it_was_safe,
    staged_bytes_can_be_kept_again_until_they_are_discarded,
    a_parked_staging_goes_on_where_it_was,
    stagings_can_be_joined,
}

mod contract {
    use super::*;

    pub(super) async fn the_same_bytes_are_stored_once(place: Place) {
        let (one, two) = (noise(1, 300_000), noise(2, 5));
        let first = place.storage.put_bytes(one.clone()).await.unwrap();
        let again = place.storage.put_bytes(one.clone()).await.unwrap();
        let other = place.storage.put_bytes(two.clone()).await.unwrap();
        assert_eq!((first.was_there(), again.was_there(), other.was_there()), (false, true, false));
        assert_eq!((first.blob(), first.blob()), (again.blob(), name_of(&one)));
        assert_eq!(first.md5(), <[u8; 16]>::from(Md5::digest(&one)));
        assert_eq!(again.size_bytes(), 300_000);
        let mut expected = vec![(first.blob(), 300_000), (other.blob(), 5)];
        expected.sort();
        assert_eq!(place.listed(), expected);
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn two_uploads_of_the_same_bytes_at_once_both_succeed(place: Place) {
        for seed in 0..20 {
            let bytes = noise(seed, 100_000);
            let uploads = (0..4).map(|_| receive(&place.storage, &bytes)).collect::<Vec<_>>();
            let received = futures_util::future::join_all(uploads).await;
            let kept = futures_util::future::join_all(received.into_iter().map(Received::keep)).await;
            let fresh = kept.iter().filter(|k| !k.as_ref().unwrap().was_there()).count();
            assert_eq!(fresh, 1, "exactly one of them stored it");
            assert_eq!(read(&place.storage, name_of(&bytes), 0..u64::MAX).await, bytes);
        }
        assert_eq!(place.listed().len(), 20);
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn an_upload_over_its_limit_stops_while_it_streams(place: Place) {
        for limit in [0, 10, 3_000_000] {
            let mut incoming = place.storage.receive(Some(limit));
            send(&mut incoming, &noise(3, limit as usize), 65_536).await.unwrap();
            let error = incoming.write(Bytes::from_static(b"!")).await.unwrap_err();
            assert!(matches!(error, Error::TooLarge { limit_bytes } if limit_bytes == limit), "{error:?}");
            drop(incoming);
            place.wait_until_clean().await;
        }
        assert_eq!(place.listed(), []);
    }

    pub(super) async fn an_upload_of_exactly_its_limit_is_fine(place: Place) {
        let bytes = noise(4, 512 * 1024);
        let mut incoming = place.storage.receive(Some(bytes.len() as u64));
        send(&mut incoming, &bytes, 100_000).await.unwrap();
        assert_eq!(incoming.size_bytes(), bytes.len() as u64);
        let kept = incoming.finish().await.unwrap().keep().await.unwrap();
        assert_eq!(kept.blob(), name_of(&bytes));
    }

    pub(super) async fn a_dropped_upload_leaves_nothing(place: Place) {
        for length in [0, 1, 600_000, 20_000_000] {
            let mut incoming = place.storage.receive(None);
            send(&mut incoming, &noise(5, length), 1 << 20).await.unwrap();
            drop(incoming);
            place.wait_until_clean().await;
        }
        assert_eq!(place.listed(), []);
    }

    pub(super) async fn an_upload_that_nobody_keeps_leaves_nothing(place: Place) {
        for length in [0, 1, 600_000, 20_000_000] {
            drop(receive(&place.storage, &noise(6, length)).await);
            place.wait_until_clean().await;
        }
        assert_eq!(place.listed(), []);
    }

    pub(super) async fn bytes_can_be_looked_at_before_they_are_kept(place: Place) {
        let bytes = noise(7, 700_001);
        let received = receive(&place.storage, &bytes).await;
        assert_eq!(received.head()[..], bytes[..64 * 1024]);
        assert_eq!((received.blob(), received.size_bytes()), (name_of(&bytes), 700_001));
        let mut reader = received.open().unwrap();
        assert_eq!(reader.size_bytes().unwrap(), 700_001);
        let mut end = Vec::new();
        reader.seek(SeekFrom::End(-1000)).unwrap();
        reader.read_to_end(&mut end).unwrap();
        assert_eq!(end[..], bytes[699_001..]);
        assert!(!place.storage.exists(received.blob()).await.unwrap());
        let kept = received.keep().await.unwrap();
        assert!(place.storage.exists(kept.blob()).await.unwrap());
    }

    pub(super) async fn nothing_at_all_is_a_blob_too(place: Place) {
        let kept = place.storage.put_bytes(Bytes::new()).await.unwrap();
        assert_eq!(kept.blob(), name_of(b""));
        assert_eq!(place.storage.open(kept.blob()).await.unwrap().size_bytes(), 0);
        assert_eq!(read(&place.storage, kept.blob(), 0..1).await, b"");
        let mut reader = place.storage.reader(kept.blob()).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }

    pub(super) async fn a_large_blob_comes_back_whole_and_in_any_range(place: Place) {
        let bytes = noise(8, (8 << 20) + 3);
        let length = bytes.len() as u64;
        let received = receive(&place.storage, &bytes).await;
        assert_eq!(received.md5(), <[u8; 16]>::from(Md5::digest(&bytes)));
        let blob = received.keep().await.unwrap().blob();
        let mut stream = place.storage.open(blob).await.unwrap().stream_all();
        let mut hash = Sha256::new();
        while let Some(piece) = stream.next().await {
            hash.update(piece.unwrap());
        }
        assert_eq!(blob.as_bytes()[..], hash.finalize()[..]);
        for range in [0..1, 262_143..262_145, 5_000_000..7_000_000, length - 1..length, 0..262_144] {
            let expected = &bytes[range.start as usize..range.end as usize];
            if place.directory.is_some() {
                assert_eq!(read(&place.storage, blob, range).await, expected);
            }
        }
        for (start, end) in [(7, 7), (9, 3), (length, length + 5), (u64::MAX, u64::MAX)] {
            assert_eq!(read(&place.storage, blob, start..end).await, b"");
        }
        let mut reader = place.storage.reader(blob).unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes);
    }

    pub(super) async fn a_trickle_of_single_bytes_is_one_blob(place: Place) {
        let bytes = noise(9, 40_000);
        let mut incoming = place.storage.receive(None);
        send(&mut incoming, &bytes, 1).await.unwrap();
        assert_eq!(incoming.finish().await.unwrap().keep().await.unwrap().blob(), name_of(&bytes));
    }

    pub(super) async fn a_removed_blob_is_gone_but_open_readers_go_on(place: Place) {
        let bytes = noise(10, 2_000_000);
        let blob = place.storage.put_bytes(bytes.clone()).await.unwrap().blob();
        let open = place.storage.open(blob).await.unwrap();
        assert_eq!(place.storage.remove(blob, || true).await.unwrap(), Removal::Removed);
        assert!(!place.storage.exists(blob).await.unwrap());
        assert_eq!(place.listed(), []);
        let pieces: Vec<_> = open.stream(1_000_000..2_000_000).map(|p| p.unwrap()).collect().await;
        assert_eq!(pieces.concat(), bytes[1_000_000..]);
        assert_eq!(
            place.storage.remove(blob, || panic!("there is nothing to ask about")).await.unwrap(),
            Removal::Missing
        );
        let again = place.storage.put_bytes(bytes).await.unwrap();
        assert!(!again.was_there());
    }

    pub(super) async fn a_blob_is_not_removed_against_the_answer(place: Place) {
        let blob = place.storage.put_bytes(noise(11, 10)).await.unwrap().blob();
        assert_eq!(place.storage.remove(blob, || false).await.unwrap(), Removal::Wanted);
        assert!(place.storage.exists(blob).await.unwrap());
    }

    pub(super) async fn a_kept_blob_can_not_be_removed_before_its_holder_lets_go(place: Place) {
        let bytes = noise(12, 10);
        let first = place.storage.put_bytes(bytes.clone()).await.unwrap();
        let second = place.storage.put_bytes(bytes).await.unwrap();
        let blob = first.blob();
        let never = || panic!("nobody may be asked while it is held");
        assert_eq!(place.storage.remove(blob, never).await.unwrap(), Removal::Held);
        drop(first);
        assert_eq!(place.storage.remove(blob, never).await.unwrap(), Removal::Held);
        drop(second);
        assert_eq!(place.storage.remove(blob, || true).await.unwrap(), Removal::Removed);
    }

    pub(super) async fn storing_waits_for_a_removal_under_way_and_stores_afresh(place: Place) {
        let bytes = noise(13, 1000);
        let blob = place.storage.put_bytes(bytes.clone()).await.unwrap().blob();
        let received = receive(&place.storage, &bytes).await;
        let (asked, was_asked) = std::sync::mpsc::channel();
        let (answer, answered) = std::sync::mpsc::channel::<()>();
        let storage = place.storage.clone();
        let removal = tokio::spawn(async move {
            storage
                .remove(blob, move || {
                    asked.send(()).unwrap();
                    answered.recv().unwrap();
                    true
                })
                .await
        });
        tokio::task::spawn_blocking(move || was_asked.recv().unwrap()).await.unwrap();
        let keep = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(received.keep())
        });
        answer.send(()).unwrap();
        assert_eq!(removal.await.unwrap().unwrap(), Removal::Removed);
        let kept = tokio::task::spawn_blocking(|| keep.join().unwrap()).await.unwrap().unwrap();
        assert!(!kept.was_there());
        assert_eq!(read(&place.storage, blob, 0..1000).await, bytes);
    }

    pub(super) async fn a_missing_blob_is_said_to_be_missing(place: Place) {
        let blob = name_of(b"never stored");
        assert!(matches!(place.storage.open(blob).await, Err(Error::NotFound(b)) if b == blob));
        assert!(matches!(place.storage.reader(blob), Err(Error::NotFound(b)) if b == blob));
        assert!(!place.storage.exists(blob).await.unwrap());
    }

    pub(super) async fn what_is_staged_waits_and_is_cut_back_to_what_counts(place: Place) {
        let bytes = noise(20, 1_500_000);
        let id = StagingId::new();
        let mut staging = place.storage.stage(id).await.unwrap();
        staging.write(bytes.slice(..900_000)).await.unwrap();
        assert_eq!((staging.size_bytes(), staging.durable_bytes()), (900_000, 0));
        assert_eq!(staging.sync().await.unwrap(), 900_000);
        staging.write(bytes.slice(..600_000)).await.unwrap();
        drop(staging);
        assert!(place.storage.stage(id).await.is_err(), "the name is taken");

        let mut staging = place.storage.resume(id, 900_000).await.unwrap();
        assert_eq!((staging.size_bytes(), staging.durable_bytes()), (900_000, 900_000));
        staging.write(bytes.slice(900_000..)).await.unwrap();
        let received = staging.finish().await.unwrap();
        assert_eq!((received.blob(), received.size_bytes()), (name_of(&bytes), 1_500_000));
        assert_eq!(received.md5(), <[u8; 16]>::from(Md5::digest(&bytes)));
        assert_eq!(received.head()[..], bytes[..64 * 1024]);
        let kept = received.keep().await.unwrap();
        assert_eq!(read(&place.storage, kept.blob(), 0..10).await, bytes[..10]);

        assert_eq!(place.storage.list_staged().unwrap().len(), 1);
        assert!(place.storage.discard(id).await.unwrap());
        assert!(!place.storage.discard(id).await.unwrap());
        assert!(matches!(place.storage.resume(id, 0).await, Err(Error::NotStaged(i)) if i == id));
        assert_eq!(read(&place.storage, kept.blob(), 1_499_990..1_500_000).await, bytes[1_499_990..]);
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn a_staging_that_goes_wrong_goes_back_to_where_it_was_safe(place: Place) {
        let bytes = noise(21, 2_000_000);
        let id = StagingId::new();
        let mut staging = place.storage.stage(id).await.unwrap();
        staging.write(bytes.slice(..30)).await.unwrap();
        staging.sync().await.unwrap();
        staging.write(noise(22, 1_200_000)).await.unwrap();
        assert_eq!(staging.revert().await.unwrap(), 30);
        staging.write(bytes.slice(30..)).await.unwrap();
        assert_eq!(staging.finish().await.unwrap().blob(), name_of(&bytes));
        place.storage.discard(id).await.unwrap();

        if place.directory.is_none() {
            let id = StagingId::new();
            let mut staging = place.storage.stage(id).await.unwrap();
            staging.write(bytes.slice(..1000)).await.unwrap();
            staging.sync().await.unwrap();
            let large = Bytes::from(vec![0; 300 << 20]);
            assert!(matches!(staging.write(large).await, Err(Error::Full)));
            assert_eq!(staging.revert().await.unwrap(), 1000);
            assert_eq!(staging.finish().await.unwrap().blob(), name_of(&bytes[..1000]));
            place.storage.discard(id).await.unwrap();
        }
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn staged_bytes_can_be_kept_again_until_they_are_discarded(place: Place) {
        let bytes = noise(23, 300_000);
        let id = StagingId::new();
        let mut staging = place.storage.stage(id).await.unwrap();
        staging.write(bytes.clone()).await.unwrap();
        staging.sync().await.unwrap();
        let kept = staging.finish().await.unwrap().keep().await.unwrap();
        assert!(!kept.was_there());
        drop(kept);
        // No row names the blob: as far as anybody knows, the process died here, and the sweeper was quicker.
        assert_eq!(place.storage.remove(name_of(&bytes), || true).await.unwrap(), Removal::Removed);
        let again = place.storage.resume(id, 300_000).await.unwrap().finish().await.unwrap();
        let kept = again.keep().await.unwrap();
        assert!(!kept.was_there());
        drop(kept);
        let third = place.storage.resume(id, 300_000).await.unwrap().finish().await.unwrap();
        let kept = third.keep().await.unwrap();
        assert!(kept.was_there());
        place.storage.discard(id).await.unwrap();
        let mut all = Vec::new();
        place.storage.reader(kept.blob()).unwrap().read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes);
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn a_parked_staging_goes_on_where_it_was(place: Place) {
        let bytes = noise(24, 10_000);
        let ids: Vec<_> = (0..70).map(|_| StagingId::new()).collect();
        for id in &ids {
            let mut staging = place.storage.stage(*id).await.unwrap();
            staging.write(bytes.slice(..5000)).await.unwrap();
            staging.sync().await.unwrap();
            place.storage.park(staging);
        }
        for id in &ids {
            let mut staging = place.storage.resume(*id, 5000).await.unwrap();
            staging.write(bytes.slice(5000..)).await.unwrap();
            assert_eq!(staging.finish().await.unwrap().blob(), name_of(&bytes));
            place.storage.discard(*id).await.unwrap();
        }
        // What is parked beyond what is durable does not count.
        let id = ids[0];
        let mut staging = place.storage.stage(id).await.unwrap();
        staging.write(bytes.slice(..5000)).await.unwrap();
        staging.sync().await.unwrap();
        staging.write(bytes.slice(..1)).await.unwrap();
        place.storage.park(staging);
        let mut staging = place.storage.resume(id, 5000).await.unwrap();
        staging.write(bytes.slice(5000..)).await.unwrap();
        assert_eq!(staging.finish().await.unwrap().blob(), name_of(&bytes));
        place.storage.discard(id).await.unwrap();
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn stagings_can_be_joined(place: Place) {
        let bytes = noise(25, 3_000_000);
        let whole = StagingId::new();
        let mut staging = place.storage.stage(whole).await.unwrap();
        for part in [bytes.slice(..1_100_000), bytes.slice(1_100_000..1_100_001), bytes.slice(1_100_001..)] {
            let id = StagingId::new();
            let mut piece = place.storage.stage(id).await.unwrap();
            piece.write(part).await.unwrap();
            piece.sync().await.unwrap();
            staging.append(piece).await.unwrap();
            place.storage.discard(id).await.unwrap();
        }
        assert_eq!(staging.size_bytes(), 3_000_000);
        assert_eq!(staging.finish().await.unwrap().keep().await.unwrap().blob(), name_of(&bytes));
        place.storage.discard(whole).await.unwrap();
        assert!(!place.has_temporary_files());
    }

    pub(super) async fn a_failed_upload_stays_failed(place: Place) {
        let mut incoming = place.storage.receive(Some(4));
        assert!(incoming.write(Bytes::from_static(b"hello")).await.is_err());
        assert!(incoming.finish().await.is_err());
        assert_eq!(place.listed(), []);
    }
}

#[tokio::test]
async fn memory_fills_up_too() {
    let storage = Storage::memory_of(1000);
    let kept = storage.put_bytes(noise(1, 600)).await.unwrap();
    assert!(matches!(storage.put_bytes(noise(2, 600)).await, Err(Error::Full)));
    assert!(matches!(storage.ensure_room(401), Err(Error::Full)));
    storage.ensure_room(400).unwrap();
    drop(kept);
    storage.put_bytes(noise(1, 600)).await.unwrap_err();
    assert_eq!(storage.free_space().unwrap().free_bytes, 400);
}

#[tokio::test]
async fn a_store_comes_back_with_what_was_in_it() {
    let place = Place::on_disk();
    let blob = place.storage.put_bytes(noise(1, 10)).await.unwrap().blob();
    let again =
        Storage::local(&place.blobs(), LocalOptions { expect_marker: true, ..LocalOptions::default() })
            .unwrap();
    assert!(again.exists(blob).await.unwrap());
}

#[tokio::test]
async fn a_store_whose_disk_is_not_mounted_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let expecting = LocalOptions { expect_marker: true, ..LocalOptions::default() };
    for root in [directory.path().to_owned(), directory.path().join("absent")] {
        let error = Storage::local(&root, expecting).unwrap_err();
        assert!(matches!(&error, Error::MarkerMissing { path } if *path == root), "{error:?}");
        assert!(error.to_string().contains("is its disk mounted?"));
    }
    assert_eq!(entries(directory.path()), 0, "nothing is put on the wrong disk");
}

#[tokio::test]
async fn a_blob_cut_short_is_found_out_and_healed_by_the_next_upload() {
    let place = Place::on_disk();
    let bytes = noise(1, 1_000_000);
    let blob = place.storage.put_bytes(bytes.clone()).await.unwrap().blob();
    let open = place.storage.open(blob).await.unwrap();
    fs::OpenOptions::new().write(true).open(place.path(blob)).unwrap().set_len(600_000).unwrap();
    let pieces: Vec<_> = open.stream_all().collect().await;
    let last = pieces.last().unwrap().as_ref().unwrap_err();
    assert_eq!(last.kind(), std::io::ErrorKind::UnexpectedEof);
    let kept = place.storage.put_bytes(bytes.clone()).await.unwrap();
    assert!(!kept.was_there());
    assert_eq!(read(&place.storage, blob, 0..u64::MAX).await, bytes);
    assert_eq!(place.storage.remove(blob, || true).await.unwrap(), Removal::Held);
}

#[tokio::test]
async fn a_temporary_file_that_somebody_cut_short_is_not_kept() {
    let place = Place::on_disk();
    let received = receive(&place.storage, &noise(1, 1000)).await;
    let temporary = fs::read_dir(place.blobs().join("incoming")).unwrap().next().unwrap().unwrap().path();
    fs::OpenOptions::new().write(true).open(temporary).unwrap().set_len(10).unwrap();
    let error = received.keep().await.unwrap_err();
    assert!(matches!(error, Error::Damaged { found_bytes: 10, expected_bytes: 1000, .. }), "{error:?}");
    assert_eq!(place.listed(), []);
    assert!(!place.has_temporary_files());
}

#[tokio::test]
async fn a_folder_that_vanished_is_made_again() {
    let place = Place::on_disk();
    let bytes = noise(1, 10);
    fs::remove_dir(place.path(name_of(&bytes)).parent().unwrap()).unwrap();
    let kept = place.storage.put_bytes(bytes.clone()).await.unwrap();
    assert_eq!(read(&place.storage, kept.blob(), 0..10).await, bytes);
}

#[tokio::test]
async fn foreign_files_are_not_listed() {
    let place = Place::on_disk();
    fs::write(place.blobs().join("00").join("notes.txt"), "hello").unwrap();
    let blob = place.storage.put_bytes(noise(1, 10)).await.unwrap().blob();
    assert_eq!(place.listed(), [(blob, 10)]);
}

#[tokio::test]
async fn only_temporary_files_that_nobody_uses_are_cleaned_up() {
    let place = Place::on_disk();
    let incoming = place.blobs().join("incoming");
    let bytes = noise(1, 2_000_000);
    let received = receive(&place.storage, &bytes).await;
    fs::write(incoming.join("left-over-1"), "from a crash").unwrap();
    fs::write(incoming.join("left-over-2"), "from a crash").unwrap();
    let far_future = Timestamp::from_millis(i64::MAX);
    assert_eq!(place.storage.clean_incoming(Timestamp::from_millis(0)).unwrap(), 0, "too young");
    assert_eq!(place.storage.clean_incoming(far_future).unwrap(), 2);
    assert_eq!(place.storage.clean_incoming(far_future).unwrap(), 0);
    let kept = received.keep().await.unwrap();
    assert_eq!(read(&place.storage, kept.blob(), 0..u64::MAX).await, bytes);
}

#[tokio::test]
async fn what_is_staged_is_not_cleaned_up_and_its_blob_is_not_cut() {
    let place = Place::on_disk();
    let bytes = noise(1, 100_000);
    let id = StagingId::new();
    let mut staging = place.storage.stage(id).await.unwrap();
    staging.write(bytes.clone()).await.unwrap();
    staging.sync().await.unwrap();
    drop(staging);
    assert_eq!(place.storage.clean_incoming(Timestamp::from_millis(i64::MAX)).unwrap(), 0);
    let received = place.storage.resume(id, 100_000).await.unwrap().finish().await.unwrap();
    let kept = received.keep().await.unwrap();
    let blob = kept.blob();
    drop(kept);
    // The same bytes have two names now. Whatever is believed about one of them must not harm the other.
    assert!(matches!(place.storage.resume(id, 10).await, Err(Error::Damaged { .. })));
    assert_eq!(read(&place.storage, blob, 0..u64::MAX).await, bytes);
    assert!(place.storage.discard(id).await.unwrap());
    assert_eq!(read(&place.storage, blob, 0..u64::MAX).await, bytes);
}

#[tokio::test]
async fn uploads_survive_a_cleaner_that_never_rests() {
    let place = Place::on_disk();
    let (storage, done) =
        (place.storage.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let is_done = done.clone();
    let cleaner = std::thread::spawn(move || {
        while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
            storage.clean_incoming(Timestamp::from_millis(i64::MAX)).unwrap();
        }
    });
    for seed in 0..200 {
        drop(place.storage.put_bytes(noise(seed, 100)).await.unwrap());
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    cleaner.join().unwrap();
    assert_eq!(place.listed().len(), 200);
}

#[tokio::test]
async fn an_upload_that_would_leave_less_than_the_floor_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let greedy = LocalOptions { min_free_bytes: u64::MAX, ..LocalOptions::default() };
    let storage = Storage::local(&directory.path().join("blobs"), greedy).unwrap();
    assert!(matches!(storage.ensure_room(0), Err(Error::Full)));
    assert!(matches!(storage.put_bytes(noise(1, 10)).await, Err(Error::Full)));
    assert_eq!(entries(&directory.path().join("blobs/incoming")), 0);
}

#[tokio::test]
async fn a_full_disk_refuses_an_upload_and_keeps_what_it_has() {
    let Some(disk) = Mount::in_memory(8 << 20, "a_full_disk_refuses_an_upload_and_keeps_what_it_has") else {
        return;
    };
    let blobs = disk.path().join("blobs");
    let storage = Storage::local(&blobs, LocalOptions::default()).unwrap();
    let small = noise(1, 1 << 20);
    let kept = storage.put_bytes(small.clone()).await.unwrap();
    let mut incoming = storage.receive(None);
    let error = match send(&mut incoming, &noise(2, 12 << 20), 65_536).await {
        Err(error) => error,
        Ok(()) => incoming.finish().await.unwrap_err(),
    };
    assert!(matches!(error, Error::Full), "{error:?}");
    drop(error);
    // With the floor out of the way it is the disk itself that refuses.
    let filler = disk.path().join("filler");
    let filled = fs::write(&filler, noise(3, 16 << 20)).unwrap_err();
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
    assert!(matches!(storage.put_bytes(noise(4, 100_000)).await, Err(Error::Full)));
    fs::remove_file(filler).unwrap();
    assert_eq!(read(&storage, kept.blob(), 0..u64::MAX).await, small);
    let later = storage.put_bytes(noise(4, 100_000)).await.unwrap();
    assert_eq!(later.size_bytes(), 100_000);
    assert_eq!(entries(&blobs.join("incoming")), 0);
}

#[tokio::test]
async fn a_read_only_disk_is_said_to_be_one() {
    let Some(disk) = Mount::in_memory(8 << 20, "a_read_only_disk_is_said_to_be_one") else { return };
    let data_dir = DataDir::create(&disk.path()).unwrap();
    let storage = Storage::local(&data_dir.blobs(), LocalOptions::default()).unwrap();
    let blob = storage.put_bytes(noise(1, 10)).await.unwrap().blob();
    disk.make_read_only();
    let unwritable = |error: Error| {
        assert!(matches!(error, Error::NotWritable { .. }), "{error:?}");
        assert!(error.to_string().contains("read-only"), "{error}");
    };
    unwritable(Storage::local(&data_dir.blobs(), LocalOptions::default()).unwrap_err());
    unwritable(storage.put_bytes(noise(2, 10)).await.unwrap_err());
    unwritable(DataDir::open(&disk.path()).unwrap().lock_for_server().unwrap_err());
    unwritable(DataDir::create(&disk.path().join("new")).unwrap_err());
    assert_eq!(read(&storage, blob, 0..10).await, noise(1, 10));
}

#[tokio::test]
async fn a_directory_without_permission_is_said_to_be_one() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let refused = DataDir::create(&directory.path().join("data"));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    match refused {
        Err(error) => assert!(matches!(error, Error::NotWritable { .. }), "{error:?}"),
        Ok(_) => skipped("a_directory_without_permission_is_said_to_be_one", "root may write everywhere"),
    }
}

#[test]
fn a_data_directory_is_private_and_remembered() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("deep/er/data");
    assert!(matches!(DataDir::open(&root), Err(Error::NoDataDir { .. })));
    assert!(DataDir::create(&root).unwrap().is_new());
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!DataDir::create(&root).unwrap().is_new());
    assert_eq!(DataDir::open(&root).unwrap().database(), root.join("safelight.db"));
}

#[test]
fn a_directory_that_holds_something_else_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("lost+found")).unwrap();
    fs::write(directory.path().join("holiday.jpg"), "mine").unwrap();
    let error = DataDir::create(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
    assert_eq!(entries(directory.path()), 2);
    fs::remove_file(directory.path().join("holiday.jpg")).unwrap();
    assert!(DataDir::create(directory.path()).unwrap().is_new(), "a fresh disk has a lost+found");
}

#[test]
fn a_file_in_place_of_the_data_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("data");
    fs::write(&root, "a file").unwrap();
    assert!(matches!(DataDir::create(&root), Err(Error::Io { .. })));
    assert_eq!(fs::read(&root).unwrap(), b"a file");
}

#[test]
fn two_servers_on_one_data_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let one = DataDir::create(directory.path()).unwrap();
    let two = DataDir::open(directory.path()).unwrap();
    let lock = one.lock_for_server().unwrap();
    let error = two.lock_for_server().unwrap_err();
    let process = std::process::id();
    assert!(matches!(&error, Error::InUse { process: Some(p), .. } if *p == process), "{error:?}");
    assert!(error.to_string().contains(&format!("(process {process}) is already running")), "{error}");
    drop(lock);
    drop(two.lock_for_server().unwrap());
}

#[test]
fn a_server_in_another_process_is_noticed_and_its_death_too() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = DataDir::create(directory.path()).unwrap();
    drop(data_dir.lock_for_server().unwrap());
    let other = std::process::Command::new("flock")
        .args(["--exclusive", "--no-fork"])
        .arg(directory.path().join("server.lock"))
        .args(["sh", "-c", "echo locked; exec sleep 600"])
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut other) = other else {
        return skipped(
            "a_server_in_another_process_is_noticed_and_its_death_too",
            "there is no flock command",
        );
    };
    other.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    assert!(matches!(data_dir.lock_for_server(), Err(Error::InUse { .. })));
    other.kill().unwrap();
    other.wait().unwrap();
    drop(data_dir.lock_for_server().unwrap());
}
