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

    let asked = json!({ "from": "Boats", "to": "Sea", "merge": false });
    problem(owner.post("/api/v1/tags/rename").json(&asked).send().await.unwrap(), 409, "tag-taken").await;
    post(&owner, "/api/v1/tags/rename", json!({ "from": "Boats", "to": "Ships", "merge": false }), 200).await;

    // A tag that goes leaves the files, also those in the trash.
    owner.delete(&path(&media[1])).send().await.unwrap();
    let removed = owner.delete("/api/v1/tags?name=sea").send().await.unwrap();
    assert_eq!(removed.json::<Value>().await.unwrap()["done"], 3);
    assert_eq!(tags(&owner, "").await, count(&[("Ships", 1)]));
    assert_eq!(owner.json(&path(&media[0])).await["tags"], json!(["Ships"]));
    assert_eq!(owner.json(&path(&media[1])).await["tags"], json!([]));
    assert!(keys(&owner, "tag=sea").await.is_empty());
    problem(owner.delete("/api/v1/tags?name=sea").send().await.unwrap(), 404, "not-found").await;
    let viewer = server.add_user(&owner, "viewer").await;
    problem(viewer.delete("/api/v1/tags?name=ships").send().await.unwrap(), 403, "forbidden").await;

    owner.delete(&path(&media[0])).send().await.unwrap();
    owner.delete(&format!("{}?purge=true", path(&media[0]))).send().await.unwrap();
    assert_eq!(tags(&owner, "").await, count(&[]));
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
    let plain = json!({ "folder": "plain", "name": "mine.jpg", "plain": true });
    let plain = post(&owner, &route, plain, 201).await;
    assert_eq!((&plain["key"], &plain["sha256"]), (&json!("plain/mine.jpg"), &media["sha256"]));
    assert_eq!((&plain["tags"], &plain["description"]), (&json!([]), &json!("")));
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

#[tokio::test(flavor = "multi_thread")]
async fn a_list_begins_anywhere_and_goes_on_both_ways() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let mut media = Vec::new();
    for number in 0..7 {
        // Some came at the same moment: then their order is that of their coming.
        if number % 3 == 0 {
            server.clock.advance(std::time::Duration::from_secs(60));
        }
        media.push(owner.upload_ok(&format!("{number}.txt"), vec![b'a'; number + 1]).await);
    }
    let id = |number: usize| media[number]["id"].as_str().unwrap();
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|one| one["name"].as_str().unwrap()[..1].to_owned()).collect()
    };
    for sort in ["created", "-created", "name", "-name", "taken", "-taken", "size", "-size"] {
        let list = format!("/api/v1/media?sort={sort}");
        let all = names(&owner.json(&list).await);
        let at = all.iter().position(|name| name == "3").unwrap();
        let from = owner.json(&format!("{list}&limit=2&from={}", id(3))).await;
        assert_eq!(names(&from), all[at..at + 2], "{sort}");
        let cursor = from["next_cursor"].as_str().unwrap();
        let on = owner.json(&format!("{list}&limit=2&cursor={cursor}")).await;
        assert_eq!(names(&on), all[at + 2..], "{sort}");

        let back = owner.json(&format!("{list}&limit=2&before={}", id(3))).await;
        assert_eq!(names(&back), all[at - 2..at], "{sort}");
        let cursor = back["next_cursor"].as_str().unwrap();
        let further = owner.json(&format!("{list}&limit=2&cursor={cursor}")).await;
        assert_eq!(names(&further), all[..at - 2], "{sort}");
        assert!(further["next_cursor"].is_null());
    }
    // What lies elsewhere by now still says where to begin; what never was does not.
    owner.delete(&path(&media[3])).send().await.unwrap();
    let from = owner.json(&format!("/api/v1/media?sort=name&limit=2&from={}", id(3))).await;
    assert_eq!(names(&from), ["4", "5"]);
    let found = owner.json(&format!("/api/v1/media?sort=name&q=txt&before={}", id(3))).await;
    assert_eq!(names(&found), ["0", "1", "2"]);
    let unknown = "/api/v1/media?from=01890000-0000-7000-8000-000000000000";
    problem(owner.get(unknown).send().await.unwrap(), 404, "not-found").await;
}
