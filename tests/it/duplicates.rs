//! What is there twice: the same bytes, pictures that hardly differ, and what people say about it.

use safelight::imaging::{Channels, EncodeOptions, Format, Image, Samples, encode};
use safelight::jobs;
use safelight::library::FindAlike;
use serde_json::{Value, json};

use crate::fill::fill;
use crate::support::{Browser, TestServer, problem};

/// A scene with large shapes; the same seed shows the same in every size and quality.
fn scene(seed: u32, width: u32, height: u32, quality: u8) -> Vec<u8> {
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
            let mut value = 120.0;
            for wave in 1..6_u32 {
                let phase = f64::from(seed.wrapping_mul(2_654_435_761).rotate_left(wave * 5) % 628) / 100.0;
                let (a, b) = (f64::from((seed * 7 + wave * 3) % 5), f64::from((seed * 3 + wave * 5) % 6));
                value += 22.0 * (6.0 * (a * x + b * y) + phase).sin();
            }
            let value = value.clamp(0.0, 255.0) as u8;
            samples.extend([value, value / 2 + 40, 255 - value]);
        }
    }
    let image = Image { width, height, channels: Channels::Rgb, samples: Samples::U8(samples) };
    let mut options = EncodeOptions::new(Format::Jpeg);
    options.quality = quality;
    encode(&image, &options).unwrap()
}

async fn compare(server: &TestServer) {
    server.run_jobs().await;
    let queued = server.app.db.write(|tx| jobs::enqueue(tx, &FindAlike {}, jobs::Options::default()));
    queued.await.unwrap();
    server.run_jobs().await;
}

/// The groups as kind and names.
async fn groups(browser: &Browser, query: &str) -> Vec<(String, Vec<String>)> {
    let page = browser.json(&format!("/api/v1/duplicates?{query}")).await;
    let group = |group: &Value| {
        let names = group["items"].as_array().unwrap().iter();
        assert_eq!(group["key"], group["items"][0]["id"]);
        assert!(group["distance"].as_u64().unwrap() <= 6, "{group}");
        let names = names.map(|media| media["name"].as_str().unwrap().to_owned()).collect();
        (group["kind"].as_str().unwrap().to_owned(), names)
    };
    page["items"].as_array().unwrap().iter().map(group).collect()
}

fn group(kind: &str, names: &[&str]) -> (String, Vec<String>) {
    (kind.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
}

fn path(media: &Value) -> String {
    format!("/api/v1/media/{}", media["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_twice_is_found_once_it_was_looked_at() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    assert!(groups(&owner, "").await.is_empty());
    let large = owner.upload_ok("large.jpg", scene(1, 480, 360, 90)).await;
    owner.upload_ok("other.jpg", scene(2, 480, 360, 90)).await;
    owner.upload_ok("text.txt", "same").await;
    let small = owner.upload_ok("small.jpg", scene(1, 200, 150, 60)).await;
    owner.upload_ok("copy.txt", "same").await;
    compare(&server).await;
    let (text, picture) =
        (group("exact", &["text.txt", "copy.txt"]), group("similar", &["large.jpg", "small.jpg"]));
    assert_eq!(groups(&owner, "").await, [text.clone(), picture.clone()]);
    assert_eq!(groups(&owner, "kind=exact").await, std::slice::from_ref(&text));
    assert_eq!(groups(&owner, "kind=similar").await, std::slice::from_ref(&picture));

    // What comes later is compared with what is there, and joins it.
    owner.upload_ok("again.jpg", scene(1, 300, 225, 75)).await;
    let copied = owner.post(&format!("{}/copy", path(&small))).json(&json!({})).send().await.unwrap();
    assert_eq!(copied.status(), 201);
    compare(&server).await;
    let all = group("similar", &["large.jpg", "small.jpg", "again.jpg", "small (2).jpg"]);
    assert_eq!(groups(&owner, "kind=similar").await, [all]);
    assert_eq!(
        groups(&owner, "kind=exact").await,
        [group("exact", &["small.jpg", "small (2).jpg"]), text.clone()]
    );
    let first = owner.json("/api/v1/duplicates?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = groups(&owner, &format!("cursor={cursor}")).await;
    assert_eq!(rest.len() + 1, groups(&owner, "").await.len());

    // The trash is not there.
    owner.delete(&path(&large)).send().await.unwrap();
    let rest = group("similar", &["small.jpg", "again.jpg", "small (2).jpg"]);
    assert_eq!(groups(&owner, "kind=similar").await, [rest]);
    owner.delete(&format!("{}?purge=true", path(&large))).send().await.unwrap();
    compare(&server).await;
    assert_eq!(groups(&owner, "").await.len(), 2);
    assert!(groups(&owner, "bucket=photos").await.len() == 2);
    problem(owner.get("/api/v1/duplicates?bucket=nowhere").send().await.unwrap(), 404, "not-found").await;
    problem(owner.get("/api/v1/duplicates?kind=odd").send().await.unwrap(), 400, "bad-query").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_twice_is_not_shown_again() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let one = owner.upload_ok("one.jpg", scene(3, 480, 360, 90)).await;
    let two = owner.upload_ok("two.jpg", scene(3, 240, 180, 80)).await;
    compare(&server).await;
    assert_eq!(groups(&viewer, "").await.len(), 1);
    let ids = json!({ "ids": [one["id"], two["id"]] });
    let refused = viewer.post("/api/v1/duplicates/dismiss").json(&ids).send().await.unwrap();
    problem(refused, 403, "forbidden").await;
    let dismissed = owner.post("/api/v1/duplicates/dismiss").json(&ids).send().await.unwrap();
    assert_eq!(dismissed.json::<Value>().await.unwrap(), json!({ "dismissed": 1 }));
    assert!(groups(&owner, "").await.is_empty());
    owner.upload_ok("three.jpg", scene(3, 160, 120, 80)).await;
    compare(&server).await;
    let all = group("similar", &["one.jpg", "two.jpg", "three.jpg"]);
    assert_eq!(groups(&owner, "").await, [all], "the third is like both");
    let many = json!({ "ids": vec![one["id"].clone(); 101] });
    problem(owner.post("/api/v1/duplicates/dismiss").json(&many).send().await.unwrap(), 422, "validation")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_compared_anew_and_never_with_its_own_past() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("one.jpg", scene(4, 480, 360, 90)).await;
    owner.upload_ok("two.jpg", scene(4, 240, 180, 80)).await;
    compare(&server).await;
    assert_eq!(groups(&owner, "").await.len(), 1);
    let replace = async |name: &str, bytes: Vec<u8>| {
        let form = reqwest::multipart::Form::new()
            .text("on_conflict", "replace")
            .part("file", reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned()));
        let answer = owner.post("/api/v1/media").multipart(form).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    };
    replace("two.jpg", scene(5, 240, 180, 80)).await;
    compare(&server).await;
    assert!(groups(&owner, "").await.is_empty());
    replace("two.jpg", scene(5, 480, 360, 80)).await;
    compare(&server).await;
    assert!(groups(&owner, "").await.is_empty());
    replace("two.jpg", b"no picture".to_vec()).await;
    replace("one.jpg", b"no picture".to_vec()).await;
    compare(&server).await;
    assert_eq!(groups(&owner, "").await, [group("exact", &["one.jpg", "two.jpg"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_before_are_looked_at_in_time() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("one.jpg", scene(6, 480, 360, 90)).await;
    owner.upload_ok("two.jpg", scene(6, 240, 180, 80)).await;
    server.run_jobs().await;
    // As the migration leaves them; the others have no bytes to look at.
    let forget = server.app.db.write(|tx| {
        tx.execute_batch(
            "UPDATE versions SET hashed = 0, perceptual_hash = NULL; DELETE FROM alike_waiting;
             DELETE FROM picture_bands; DELETE FROM alike;",
        )?;
        Ok::<_, safelight::db::Error>(())
    });
    forget.await.unwrap();
    fill(&server.app.db, 700).await.unwrap();
    for _ in 0..3 {
        compare(&server).await;
    }
    assert_eq!(groups(&owner, "").await, [group("similar", &["one.jpg", "two.jpg"])]);
    let left = server.app.db.read(|conn| {
        let count: i64 = conn.query_row(
            "SELECT count(*) FROM versions WHERE hashed = 0 AND width IS NOT NULL",
            [],
            |row| row.get(0),
        )?;
        Ok::<_, safelight::db::Error>(count)
    });
    assert_eq!(left.await.unwrap(), 0);
}
