//! Many at once: whatever eight uploaders and sixteen readers ask for is answered, and never with «busy».

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use super::appliance::Appliance;
use super::photographs::noisy_jpeg;
use super::storage::noise;
use super::support::Browser;

const UPLOADERS: u64 = 8;
const READERS: usize = 16;

/// What every picture of this test shows.
static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(noisy_jpeg);

/// What each kind of request has come to.
#[derive(Default)]
struct Tally {
    uploads: AtomicU64,
    lists: AtomicU64,
    gets: AtomicU64,
    contents: AtomicU64,
    thumbs: AtomicU64,
    slowest_ms: AtomicU64,
}

impl Tally {
    fn count(&self, kind: &AtomicU64, began: Instant) {
        kind.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        self.slowest_ms.fetch_max(took, Ordering::Relaxed);
    }
}

/// Media that readers may ask for, as `(id, bytes, is a picture)`.
type Known = Arc<RwLock<Vec<(String, usize, bool)>>>;

#[tokio::test(flavor = "multi_thread")]
async fn eight_uploaders_and_sixteen_readers_are_all_answered() {
    everybody_at_once(Duration::from_secs(15)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: takes a minute"]
async fn soak_eight_uploaders_and_sixteen_readers_for_a_minute() {
    everybody_at_once(Duration::from_secs(60)).await;
}

async fn everybody_at_once(time: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let appliance = Appliance::start(&dir.path().join("data"));
    let owner = appliance.setup_owner().await;
    let tally = Arc::new(Tally::default());
    let known = Known::default();
    upload(&owner, &tally, &known, u64::MAX).await;

    let end = Instant::now() + time;
    let mut crowd = JoinSet::new();
    for uploader in 0..UPLOADERS {
        let (owner, tally, known) = (owner.clone(), Arc::clone(&tally), Arc::clone(&known));
        crowd.spawn(async move {
            for number in 0.. {
                if Instant::now() >= end {
                    break;
                }
                upload(&owner, &tally, &known, number * UPLOADERS + uploader).await;
            }
        });
    }
    for reader in 0..READERS {
        let (owner, tally, known) = (owner.clone(), Arc::clone(&tally), Arc::clone(&known));
        crowd.spawn(async move {
            for number in reader.. {
                if Instant::now() >= end {
                    break;
                }
                read(&owner, &tally, &known, number).await;
            }
        });
    }
    while let Some(done) = crowd.join_next().await {
        done.unwrap();
    }

    let seconds = time.as_secs_f64();
    let rate = |kind: &AtomicU64| kind.load(Ordering::Relaxed) as f64 / seconds;
    println!(
        "per second: {:.0} uploads, {:.0} lists, {:.0} media, {:.0} contents, {:.0} thumbs; the slowest answer took {} ms",
        rate(&tally.uploads),
        rate(&tally.lists),
        rate(&tally.gets),
        rate(&tally.contents),
        rate(&tally.thumbs),
        tally.slowest_ms.load(Ordering::Relaxed)
    );
    let uploads = tally.uploads.load(Ordering::Relaxed);
    let bucket = owner.json("/api/v1/buckets/photos").await;
    assert_eq!(bucket["media_count"], uploads);
    let failed = owner.json("/api/v1/jobs?state=failed").await;
    assert!(failed["items"].as_array().unwrap().is_empty(), "{failed}");
    let complaints: Vec<_> =
        appliance.log_lines().into_iter().filter(|(level, _)| level == "ERROR").collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(!appliance.log().to_lowercase().contains("busy") && !appliance.log().contains("locked"));
    appliance.stop();
}

/// Every third file is a picture, every fourth has the bytes that the uploader next to it sends.
async fn upload(owner: &Browser, tally: &Tally, known: &Known, number: u64) {
    let content = if number % 4 == 1 { number - 1 } else { number };
    let is_picture = content.is_multiple_of(3);
    let bytes = if is_picture {
        // What follows the end of a JPEG makes it another file, and the same picture.
        [&PICTURE[..], &content.to_le_bytes()].concat()
    } else {
        noise(content, usize::try_from(content.wrapping_mul(7919) % 120_000).unwrap()).to_vec()
    };
    let length = bytes.len();
    let began = Instant::now();
    let name = if is_picture { "picture.jpg" } else { "file.bin" };
    let answer = owner.upload(&format!("{number} {name}"), bytes).await;
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(status, 201, "{text}");
    tally.count(&tally.uploads, began);
    let id = serde_json::from_str::<Value>(&text).unwrap()["items"][0]["id"].as_str().unwrap().to_owned();
    known.write().await.push((id, length, is_picture));
}

async fn read(owner: &Browser, tally: &Tally, known: &Known, number: usize) {
    let (id, length, is_picture) = {
        let known = known.read().await;
        known[number * 31 % known.len()].clone()
    };
    let (path, kind) = match number % 4 {
        0 => ("/api/v1/media?limit=50&bucket=photos".to_owned(), &tally.lists),
        1 => (format!("/api/v1/media/{id}"), &tally.gets),
        2 if is_picture => (format!("/api/v1/media/{id}/content?preset=thumb"), &tally.thumbs),
        _ => (format!("/api/v1/media/{id}/content"), &tally.contents),
    };
    let began = Instant::now();
    let answer = owner.get(&path).send().await.unwrap();
    let status = answer.status();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&bytes));
    if path.ends_with("/content") {
        assert_eq!(bytes.len(), length);
    }
    tally.count(kind, began);
}
