//! `kill -9` in the middle of everything: what was acknowledged is there afterwards, what was begun is finished, and
//! nothing half-done is left.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::appliance::{Appliance, serve_on, until};
use super::mounts::entries;
use super::photographs::noisy_jpeg;
use super::storage::noise;
use super::support::Browser;

const UPLOADERS: u64 = 4;

/// Requests that may be under way when the process dies: each may leave bytes that no row knows.
const AT_ONCE: usize = UPLOADERS as usize + 1;

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_it_has_kept_everything_it_acknowledged() {
    kill_again_and_again(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: a hundred rounds"]
async fn soak_killed_a_hundred_times_it_has_kept_everything_it_acknowledged() {
    kill_again_and_again(100).await;
}

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    /// Below `limit`.
    fn roll(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The seed of this run: a new one each time, or that of a run that is to be repeated.
#[expect(clippy::disallowed_methods, reason = "the seed is the test's own, not a setting")]
fn seed() -> u64 {
    let given = std::env::var("CRASH_SEED").ok().map(|text| text.parse().expect("CRASH_SEED is a number"));
    given.unwrap_or_else(|| safelight::id::fresh().as_u64_pair().1)
}

/// What somebody outside knows to have been promised.
#[derive(Default)]
struct Promises {
    /// Uploads by id, with the hash of what was sent.
    uploads: Mutex<HashMap<String, String>>,
    /// Restorations that were accepted.
    restorations: Mutex<HashSet<String>>,
    /// The contents of the one file that is replaced again and again: the last acknowledged one and those after it.
    replaced: Mutex<Vec<String>>,
}

async fn kill_again_and_again(rounds: u64) {
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut dice = Dice(seed);
    let mut appliance = Appliance::start(&data);
    let mut owner = appliance.setup_owner().await;
    let picture = owner.upload_ok("old.jpg", noisy_jpeg()).await["id"].as_str().unwrap().to_owned();
    let promises = Arc::new(Promises::default());
    let contents = Arc::new(AtomicU64::new(seed >> 1));
    let mut orphans = 0;
    for round in 1..=rounds {
        let killed = Arc::new(AtomicBool::new(false));
        let mut crowd = JoinSet::new();
        for uploader in 0..UPLOADERS {
            let dice = Dice(dice.roll(u64::MAX));
            let share = (owner.clone(), Arc::clone(&promises), Arc::clone(&contents), Arc::clone(&killed));
            crowd.spawn(send_files(share, uploader, dice));
        }
        let asking = (owner.clone(), Arc::clone(&promises), Arc::clone(&killed));
        crowd.spawn(ask_for_restorations(asking, picture.clone()));
        tokio::time::sleep(Duration::from_millis(100 + dice.roll(1500))).await;
        killed.store(true, Ordering::SeqCst);
        appliance.kill();
        while let Some(ended) = crowd.join_next().await {
            ended.unwrap();
        }
        orphans += AT_ONCE;

        // Now and then it dies again while it picks up the pieces; twice at most, for a job gives up after four times.
        for _ in 0..dice.roll(3) {
            let restarted = Appliance::spawn(serve_on(&data));
            tokio::time::sleep(Duration::from_millis(dice.roll(600))).await;
            restarted.kill();
            orphans += 1;
        }

        appliance = Appliance::start(&data);
        owner = owner.moved_to(appliance.url());
        assert_eq!(entries(&data.join("blobs/incoming")), 0, "round {round}: temporary files are left");
        until("all jobs have ended", async || {
            let jobs = owner.json("/api/v1/dashboard").await;
            jobs["jobs"]["queued"] == 0 && jobs["jobs"]["running"] == 0
        })
        .await;
        check_promises(&owner, &promises, &picture, round).await;
        check_database(&data, orphans, round);
        let errors: Vec<_> =
            appliance.log_lines().into_iter().filter(|(level, _)| level == "ERROR").collect();
        assert!(errors.is_empty(), "round {round}: {errors:?}");
    }
    let total = promises.uploads.lock().unwrap().len();
    println!(
        "{rounds} rounds, {total} uploads and {} restorations",
        promises.restorations.lock().unwrap().len()
    );
    assert!(total as u64 > rounds * 2, "only {total} uploads were acknowledged");

    check_every_blob(&data);
    // The daily search finds what nobody refers to, and puts it on record to be removed.
    open(&data, true).execute("UPDATE schedules SET next_run_at = 0", []).unwrap();
    let unknown = || files(&data).into_iter().filter(|(name, _)| !known(&data).contains(name)).count();
    until("all orphans are found", async || unknown() == 0).await;
    appliance.stop();
    assert_eq!(entries(&data.join("blobs/incoming")), 0);
}

type Share = (Browser, Arc<Promises>, Arc<AtomicU64>, Arc<AtomicBool>);

/// Sends files until the process is gone. Two of the uploaders send the same bytes at the same time, one sends large
/// files slowly, one always replaces the same file.
async fn send_files((owner, promises, contents, killed): Share, uploader: u64, mut dice: Dice) {
    for number in 0.. {
        let (content, length) = match uploader {
            0 | 1 => (contents.load(Ordering::SeqCst) ^ (number << 1), 1 + number * 7919 % 200_000),
            2 => (contents.fetch_add(1, Ordering::SeqCst), 500_000 + dice.roll(4_000_000)),
            _ => (contents.fetch_add(1, Ordering::SeqCst), dice.roll(60_000)),
        };
        let bytes = noise(content, usize::try_from(length).unwrap());
        let hash = hex(&Sha256::digest(&bytes));
        let form = if uploader == 3 {
            promises.replaced.lock().unwrap().push(hash.clone());
            Form::new().text("on_conflict", "replace").part("file", part("replaced.bin".into(), bytes, None))
        } else {
            let pause = (uploader == 2).then(|| Duration::from_millis(dice.roll(30)));
            Form::new()
                .text("folder", format!("uploader {uploader}"))
                .part("file", part(format!("{number}.bin"), bytes, pause))
        };
        let answer = match owner.post("/api/v1/media").multipart(form).send().await {
            Ok(answer) if answer.status() == 201 => answer.json::<Value>().await,
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()),
            Err(e) => Err(e),
        };
        let media = match answer {
            Ok(answer) => answer["items"][0].clone(),
            Err(e) => {
                assert!(killed.load(Ordering::SeqCst), "it failed before the process was killed: {e}");
                return;
            }
        };
        assert_eq!(media["sha256"], hash.as_str());
        if uploader == 3 {
            let mut replaced = promises.replaced.lock().unwrap();
            let older = replaced.len() - 1;
            replaced.drain(..older);
        } else {
            let id = media["id"].as_str().unwrap().to_owned();
            assert_eq!(promises.uploads.lock().unwrap().insert(id, hash), None);
        }
    }
}

/// A file of a form, sent in pieces with pauses between them where one is given.
fn part(name: String, bytes: Bytes, pause: Option<Duration>) -> Part {
    let body = match pause {
        None => Body::from(bytes),
        Some(pause) => {
            let pieces: Vec<Bytes> = bytes.chunks(200_000).map(Bytes::copy_from_slice).collect();
            Body::wrap_stream(stream::iter(pieces).then(move |piece| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, std::io::Error>(piece)
            }))
        }
    };
    Part::stream(body).file_name(name)
}

/// Asks for one restoration after the other until the process is gone; a few may wait.
async fn ask_for_restorations(
    (owner, promises, killed): (Browser, Arc<Promises>, Arc<AtomicBool>),
    picture: String,
) {
    let path = format!("/api/v1/media/{picture}/restorations");
    let ask = async || -> reqwest::Result<()> {
        let asked = owner.post(&path).json(&json!({ "preset": "strong" })).send().await?;
        assert_eq!(asked.status(), 202);
        let asked: Value = asked.json().await?;
        promises.restorations.lock().unwrap().insert(asked["id"].as_str().unwrap().to_owned());
        loop {
            let waiting =
                owner.get("/api/v1/restorations?state=queued").send().await?.json::<Value>().await?;
            if waiting["items"].as_array().unwrap().len() < 3 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    loop {
        if let Err(e) = ask().await {
            assert!(killed.load(Ordering::SeqCst), "it failed before the process was killed: {e}");
            return;
        }
    }
}

/// Asks for everything that was promised, through the front door.
async fn check_promises(owner: &Browser, promises: &Promises, picture: &str, round: u64) {
    let mut list = HashMap::new();
    let mut after = String::new();
    loop {
        let page = owner.json(&format!("/api/v1/media?limit=500&sort=created{after}")).await;
        for media in page["items"].as_array().unwrap() {
            list.insert(media["id"].as_str().unwrap().to_owned(), media.clone());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        after = format!("&cursor={next}");
    }
    let uploads = promises.uploads.lock().unwrap().clone();
    for (id, hash) in &uploads {
        let media =
            list.get(id).unwrap_or_else(|| panic!("round {round}: the acknowledged upload {id} is lost"));
        assert_eq!(media["sha256"], hash.as_str(), "round {round}: {media}");
    }
    // All bytes of all uploads are looked at once more at the end; here those of some, through the front door.
    for (id, hash) in uploads.iter().take(20) {
        let content = owner.get(&format!("/api/v1/media/{id}/content")).send().await.unwrap();
        assert_eq!(content.status(), 200);
        assert_eq!(hex(&Sha256::digest(content.bytes().await.unwrap())), *hash);
    }
    if let Some(media) = list.values().find(|media| media["name"] == "replaced.bin") {
        let now = media["sha256"].as_str().unwrap().to_owned();
        let mut replaced = promises.replaced.lock().unwrap();
        assert!(
            replaced.contains(&now),
            "round {round}: an acknowledged content was replaced by an older one"
        );
        *replaced = vec![now];
    }

    let renditions = pages(owner, &format!("/api/v1/media/{picture}/renditions?limit=500")).await;
    let mut of_restoration: HashMap<String, usize> = HashMap::new();
    for rendition in &renditions {
        *of_restoration.entry(rendition["restoration_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let restorations = pages(owner, &format!("/api/v1/restorations?media_id={picture}&limit=500")).await;
    for restoration in &restorations {
        assert_eq!(restoration["state"], "succeeded", "round {round}: {restoration}");
        assert_eq!(restoration["outcome"], "restored", "round {round}: {restoration}");
        let made = of_restoration.get(restoration["id"].as_str().unwrap());
        assert_eq!(made, Some(&1), "round {round}: {restoration}");
    }
    assert_eq!(renditions.len(), restorations.len());
    let known: HashSet<&str> = restorations.iter().map(|r| r["id"].as_str().unwrap()).collect();
    for id in promises.restorations.lock().unwrap().iter() {
        assert!(known.contains(id.as_str()), "round {round}: the accepted restoration {id} is lost");
    }
    let failed = owner.json("/api/v1/jobs?state=failed").await;
    assert!(failed["items"].as_array().unwrap().is_empty(), "round {round}: {failed}");
}

/// All items of a list.
async fn pages(owner: &Browser, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let page = owner.json(&format!("{path}{after}")).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return items };
        after = format!("&cursor={next}");
    }
}

fn open(data: &Path, to_write: bool) -> Connection {
    let flags = if to_write { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let conn = Connection::open_with_flags(data.join("safelight.db"), flags).unwrap();
    conn.busy_timeout(Duration::from_secs(30)).unwrap();
    conn
}

/// Looks at the tables from outside, and at the names on disk.
fn check_database(data: &Path, most_orphans: usize, round: u64) {
    let db = open(data, false);
    let text = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok", "round {round}");
    assert_eq!(number("SELECT count(*) FROM pragma_foreign_key_check"), 0, "round {round}");
    for (what, sql) in [
        (
            "a bucket counts wrong",
            "SELECT count(*) FROM buckets b WHERE
                 media_count <> (SELECT count(*) FROM media m WHERE m.bucket_seq = b.seq AND trashed_at IS NULL)
                 OR size_bytes <> (SELECT coalesce(sum(m.size_bytes), 0) FROM media m
                                   WHERE m.bucket_seq = b.seq AND trashed_at IS NULL)",
        ),
        (
            "a folder counts wrong",
            "SELECT count(*) FROM folders f WHERE media_count <>
                 (SELECT count(*) FROM media m WHERE m.bucket_seq = f.bucket_seq AND m.folder = f.path)",
        ),
        (
            "a media has no such version",
            "SELECT count(*) FROM media m WHERE NOT EXISTS
                 (SELECT 1 FROM versions v WHERE v.id = m.version_id AND v.media_seq = m.seq)",
        ),
        (
            "versions have gaps",
            "SELECT count(*) FROM (SELECT max(number) AS last, count(*) AS versions FROM versions GROUP BY media_seq)
                 WHERE last <> versions",
        ),
        (
            "what is referred to is condemned",
            "SELECT count(*) FROM blobs WHERE condemned_at IS NOT NULL AND
                 (sha256 IN (SELECT sha256 FROM versions) OR sha256 IN (SELECT sha256 FROM renditions))",
        ),
        ("a job holds a lease that nobody has", "SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL"),
        (
            "an upload is not in the audit",
            "SELECT count(*) FROM media m WHERE NOT EXISTS
                 (SELECT 1 FROM audit a WHERE a.action = 'media.upload' AND a.target_name = m.key)",
        ),
    ] {
        assert_eq!(number(sql), 0, "round {round}: {what}");
    }
    let files = files(data);
    let names: HashSet<&String> = files.iter().map(|(name, _)| name).collect();
    let known = known(data);
    let bare: Vec<_> = known.iter().filter(|name| !names.contains(name)).collect();
    assert!(bare.is_empty(), "round {round}: rows without their bytes: {bare:?}");
    let orphans = names.iter().filter(|name| !known.contains(**name)).count();
    assert!(
        orphans <= most_orphans,
        "round {round}: {orphans} blobs without a row are more than can have been under way"
    );
}

/// The blobs that the database knows, in hexadecimal digits.
fn known(data: &Path) -> HashSet<String> {
    let db = open(data, false);
    let mut statement = db.prepare("SELECT lower(hex(sha256)) FROM blobs").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The blobs on disk.
fn files(data: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(data.join("blobs")).unwrap().map(|entry| entry.unwrap()) {
        if folder.file_name().len() != 2 {
            continue;
        }
        for file in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()) {
            found.push((file.file_name().into_string().unwrap(), file.path()));
        }
    }
    found
}

/// Every blob, also one that nobody refers to, has the bytes that its name says.
fn check_every_blob(data: &Path) {
    for (name, path) in files(data) {
        assert_eq!(hex(&Sha256::digest(fs::read(&path).unwrap())), name);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
