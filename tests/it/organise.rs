//! Descriptions, tags, favourites, moving between buckets, copies, folders as a whole, the timeline.

use std::time::Duration;

use serde_json::{Value, json};

use crate::pictures;
use crate::support::{Browser, TestServer, problem};

fn path(media: &Value) -> String {
    format!("/api/v1/media/{}", media["id"].as_str().unwrap())
}

async fn patch(browser: &Browser, media: &Value, change: Value) -> Value {
    let answer = browser.patch(&path(media)).json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{change}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn post(browser: &Browser, path: &str, body: Value, status: u16) -> Value {
    let answer = browser.post(path).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), status, "{path} {body}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn keys(browser: &Browser, query: &str) -> Vec<String> {
    let page = browser.json(&format!("/api/v1/media?sort=name&{query}")).await;
    page["items"].as_array().unwrap().iter().map(|media| media["key"].as_str().unwrap().to_owned()).collect()
}

async fn tags(browser: &Browser, query: &str) -> Vec<(String, u64)> {
    let page = browser.json(&format!("/api/v1/tags?{query}")).await;
    let tag = |tag: &Value| (tag["name"].as_str().unwrap().to_owned(), tag["count"].as_u64().unwrap());
    page["items"].as_array().unwrap().iter().map(tag).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_is_described_and_tagged() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpg", pictures::jpeg_with_exif(60, 40)).await;
    assert_eq!(media["description"], "");
    assert_eq!(media["tags"], json!([]));
    assert_eq!(media["favourite"], false);
    assert_eq!(media["camera"], "Maker01 Model X");

    let change = json!({ "description": " Our boat,\r\nthe old one. ", "tags": ["Sea", "boats", "sea", " summer  house "] });
    let media = patch(&owner, &media, change).await;
    assert_eq!(media["description"], "Our boat,\nthe old one.");
    assert_eq!(media["tags"], json!(["boats", "Sea", "summer house"]));
    assert_eq!(owner.json(&path(&media)).await, media);
    assert_eq!(owner.json("/api/v1/media").await["items"][0], media);
    assert_eq!(patch(&owner, &media, json!({ "tags": ["SEA"] })).await["tags"], json!(["Sea"]));

    for (change, field) in [
        (json!({ "tags": [""] }), "tags"),
        (json!({ "tags": ["a\u{202e}b"] }), "tags"),
        (json!({ "tags": (0..101).map(|n| n.to_string()).collect::<Vec<_>>() }), "tags"),
        (json!({ "description": "x".repeat(10_001) }), "description"),
    ] {
        let refused = owner.patch(&path(&media)).json(&change).send().await.unwrap();
        let refused = problem(refused, 422, "validation").await;
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let audit = owner.json("/api/v1/audit?action=media.describe").await;
    assert_eq!(
        audit["items"].as_array().unwrap().len(),
        2,
        "what was refused, and what changed nothing, is no deed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn favourites_are_everybodys_own() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let media = owner.upload_ok("a.txt", "a").await;
    owner.upload_ok("b.txt", "b").await;
    assert_eq!(patch(&viewer, &media, json!({ "favourite": true })).await["favourite"], true);
    assert_eq!(owner.json(&path(&media)).await["favourite"], false);
    assert_eq!(keys(&viewer, "favourite=true").await, ["a.txt"]);
    assert_eq!(keys(&viewer, "q=is:favourite").await, ["a.txt"]);
    assert_eq!(keys(&viewer, "favourite=false").await, ["b.txt"]);
    assert!(keys(&owner, "favourite=true").await.is_empty());
    assert_eq!(viewer.json("/api/v1/media?q=a.txt").await["items"][0]["favourite"], true);
    let more = json!({ "favourite": false, "description": "mine" });
    problem(viewer.patch(&path(&media)).json(&more).send().await.unwrap(), 403, "forbidden").await;
    assert_eq!(viewer.json(&path(&media)).await["favourite"], true);
    patch(&viewer, &media, json!({ "favourite": false })).await;
    assert!(keys(&viewer, "favourite=true").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_counted_renamed_and_merged() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    post(&owner, "/api/v1/buckets", json!({ "slug": "other" }), 201).await;
    let mut media = Vec::new();
    for (name, tags) in [("a.txt", vec!["Sea", "boat"]), ("b.txt", vec!["sea"]), ("c.txt", vec!["See"])] {
        let one = owner.upload_ok(name, name).await;
        media.push(patch(&owner, &one, json!({ "tags": tags })).await);
    }
    let count =
        |counts: &[(&str, u64)]| counts.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect::<Vec<_>>();
    assert_eq!(tags(&owner, "").await, count(&[("boat", 1), ("Sea", 2), ("See", 1)]));
    assert_eq!(tags(&owner, "q=SE").await, count(&[("Sea", 2), ("See", 1)]));
    patch(&owner, &media[1], json!({ "bucket": "other" })).await;
    assert_eq!(tags(&owner, "bucket=other").await, count(&[("Sea", 1)]));
    assert_eq!(tags(&owner, "bucket=photos").await, count(&[("boat", 1), ("Sea", 1), ("See", 1)]));
    owner.delete(&path(&media[0])).send().await.unwrap();
    assert_eq!(tags(&owner, "").await, count(&[("Sea", 1), ("See", 1)]), "the trash is not counted");
    post(&owner, &format!("{}/untrash", path(&media[0])), json!({}), 200).await;
    let first = owner.json("/api/v1/tags?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(tags(&owner, &format!("cursor={cursor}")).await, count(&[("See", 1)]));

    let renamed = post(&owner, "/api/v1/tags/rename", json!({ "from": "BOAT", "to": "Boats" }), 200).await;
    assert_eq!(renamed["done"], 1);
    let merged = post(&owner, "/api/v1/tags/rename", json!({ "from": "see", "to": "sea" }), 200).await;
    assert_eq!(merged["done"], 1);
    assert_eq!(tags(&owner, "").await, count(&[("Boats", 1), ("Sea", 3)]));
    post(&owner, "/api/v1/tags/rename", json!({ "from": "sea", "to": "SEA" }), 200).await;
    assert_eq!(owner.json(&path(&media[0])).await["tags"], json!(["Boats", "SEA"]));
    assert_eq!(keys(&owner, "tag=sea").await, ["a.txt", "b.txt", "c.txt"]);
    let unknown = json!({ "from": "lake", "to": "sea" });
    problem(owner.post("/api/v1/tags/rename").json(&unknown).send().await.unwrap(), 404, "not-found").await;

    owner.delete(&path(&media[0])).send().await.unwrap();
    owner.delete(&format!("{}?purge=true", path(&media[0]))).send().await.unwrap();
    assert_eq!(tags(&owner, "").await, count(&[("SEA", 2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_move_between_buckets_with_all_that_is_known_of_them() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    post(&owner, "/api/v1/buckets", json!({ "slug": "other" }), 201).await;
    let media = owner.upload_ok("a.txt", "12345").await;
    let media = patch(&owner, &media, json!({ "bucket": "other", "folder": "x/y" })).await;
    assert_eq!((media["bucket"].as_str(), media["key"].as_str()), (Some("other"), Some("x/y/a.txt")));
    assert_eq!(keys(&owner, "bucket=other&q=a.txt").await, ["x/y/a.txt"]);
    assert!(keys(&owner, "bucket=photos").await.is_empty());
    for (slug, count) in [("photos", 0), ("other", 1)] {
        let bucket = owner.json(&format!("/api/v1/buckets/{slug}")).await;
        assert_eq!(
            (bucket["media_count"].as_u64(), bucket["size_bytes"].as_u64()),
            (Some(count), Some(count * 5))
        );
    }
    let folders = owner.json("/api/v1/buckets/other/folders?parent=x").await;
    assert_eq!(folders["items"][0]["media_count"], 1);
    let taken = owner.upload_ok("a.txt", "other").await;
    let change = json!({ "bucket": "other", "folder": "x/y" });
    problem(owner.patch(&path(&taken)).json(&change).send().await.unwrap(), 409, "name-taken").await;
    let nowhere = json!({ "bucket": "nowhere" });
    problem(owner.patch(&path(&taken)).json(&nowhere).send().await.unwrap(), 404, "not-found").await;
    let change = json!({ "bucket": "other", "folder": "x/y", "on_conflict": "rename" });
    assert_eq!(patch(&owner, &taken, change).await["key"], "x/y/a (2).txt");
    assert_eq!(
        owner.get(&format!("{}/content", path(&media))).send().await.unwrap().text().await.unwrap(),
        "12345"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_shares_the_bytes_and_outlives_the_first() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpg", pictures::jpeg_with_exif(60, 40)).await;
    server.run_jobs().await;
    let media = patch(&owner, &media, json!({ "tags": ["sea"], "description": "Boats" })).await;
    let route = format!("{}/copy", path(&media));
    let copy = post(&owner, &route, json!({ "folder": "copies" }), 201).await;
    assert_eq!(copy["key"], "copies/harbour.jpg");
    for same in ["sha256", "taken_at", "camera", "tags", "description", "thumbhash", "width"] {
        assert_eq!(copy[same], owner.json(&path(&media)).await[same], "{same}");
    }
    assert_ne!(copy["id"], media["id"]);
    assert_eq!(post(&owner, &route, json!({}), 201).await["key"], "harbour (2).jpg");
    let refuse = json!({ "on_conflict": "refuse" });
    problem(owner.post(&route).json(&refuse).send().await.unwrap(), 409, "name-taken").await;
    let text = owner.upload_ok("a.txt", "a").await;
    let replaced = post(&owner, &route, json!({ "name": "a.txt", "on_conflict": "replace" }), 201).await;
    assert_eq!((&replaced["id"], replaced["versions"].as_u64()), (&text["id"], Some(2)));

    owner.delete(&path(&media)).send().await.unwrap();
    problem(owner.post(&route).json(&json!({})).send().await.unwrap(), 409, "in-trash").await;
    owner.delete(&format!("{}?purge=true", path(&media))).send().await.unwrap();
    server.clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    server.run_jobs().await;
    let content = owner.get(&format!("{}/content", path(&copy))).send().await.unwrap();
    assert_eq!(content.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_moves_with_all_that_lies_in_it() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let folders = "/api/v1/buckets/photos/folders";
    for folder in ["a/b/c", "ab", "x"] {
        post(&owner, folders, json!({ "path": folder }), 201).await;
    }
    let mut trashed = Value::Null;
    for (name, folder) in
        [("1.txt", "a"), ("2.txt", "a/b"), ("3.txt", "a/b/c"), ("4.txt", "ab"), ("5.txt", "a/b")]
    {
        let media = owner.upload_ok(name, name).await;
        trashed = patch(&owner, &media, json!({ "folder": folder })).await;
    }
    owner.delete(&path(&trashed)).send().await.unwrap();
    let route = format!("{folders}/move");
    for (from, to, status, code) in [
        ("a/b", "x", 409, "folder-taken"),
        ("a", "a/d", 422, "validation"),
        ("a", "", 422, "validation"),
        ("nothing", "y", 404, "not-found"),
        ("a", "../y", 422, "bad-name"),
        ("a", &["x".repeat(250).as_str(); 4].join("/"), 200, ""),
    ] {
        let answer = owner.post(&route).json(&json!({ "from": from, "to": to })).send().await.unwrap();
        if status == 200 {
            assert_eq!(answer.status(), 200);
            let back = json!({ "from": to, "to": from });
            post(&owner, &route, back, 200).await;
        } else {
            problem(answer, status, code).await;
        }
    }
    let moved = post(&owner, &route, json!({ "from": "a/b", "to": "new/Place" }), 200).await;
    assert_eq!(moved["done"], 3);
    assert_eq!(keys(&owner, "").await, ["a/1.txt", "new/Place/2.txt", "new/Place/c/3.txt", "ab/4.txt"]);
    assert_eq!(keys(&owner, "bucket=photos&folder=new&recursive=true").await.len(), 2);
    assert_eq!(keys(&owner, "q=folder:place").await.len(), 2);
    let listed = owner.json(&format!("{folders}?parent=new")).await;
    assert_eq!(listed["items"], json!([{ "path": "new/Place", "name": "Place", "media_count": 1 }]));
    let listed = owner.json(&format!("{folders}?parent=a")).await;
    assert_eq!(listed["items"], json!([]));
    let back = post(&owner, &format!("{}/untrash", path(&trashed)), json!({}), 200).await;
    assert_eq!(back["key"], "new/Place/5.txt");

    let removed = owner.delete(&format!("{folders}?path=new")).send().await.unwrap();
    assert_eq!(removed.status(), 200);
    assert_eq!(removed.json::<Value>().await.unwrap()["done"], 3);
    assert_eq!(keys(&owner, "").await, ["a/1.txt", "ab/4.txt"]);
    assert_eq!(keys(&owner, "state=trashed").await.len(), 3);
    let listed = owner.json(folders).await;
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|f| f["path"].clone()).collect();
    assert!(!names.contains(&json!("new")), "{names:?}");
    problem(owner.delete(&format!("{folders}?path=new")).send().await.unwrap(), 404, "not-found").await;
    let audit = owner.json("/api/v1/audit?action=folder").await;
    let deeds: Vec<_> = audit["items"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(deeds[..2], ["folder.remove", "folder.move"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_counts_by_month() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let picture = owner.upload_ok("harbour.jpg", pictures::jpeg_with_exif(60, 40)).await;
    owner.upload_ok("now.txt", "now").await;
    let months =
        async |query: &str| owner.json(&format!("/api/v1/media/timeline?{query}")).await["items"].clone();
    let (old, new) = (json!({ "month": "2019-08", "count": 1 }), json!({ "month": "2026-11", "count": 1 }));
    assert_eq!(months("").await, json!([new, old]));
    assert_eq!(months("bucket=photos&folder=").await, json!([new, old]));
    assert_eq!(months("q=harbour").await, json!([old]));
    assert_eq!(months("type=other&bucket=photos").await, json!([new]));
    assert_eq!(months("taken_to=2019").await, json!([old]));
    assert_eq!(months("folder=none&recursive=true").await, json!([]));
    owner.delete(&path(&picture)).send().await.unwrap();
    assert_eq!(months("").await, json!([new]));
    assert_eq!(months("trashed=true").await, json!([old]));
}
