//! One deed for many media: selections, searches, jobs.

use safelight::db;
use serde_json::{Value, json};

use crate::fill::fill;
use crate::support::{Browser, TestServer, problem};

async fn bulk(browser: &Browser, request: Value) -> Value {
    let answer = browser.post("/api/v1/media/bulk").json(&request).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{request}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn count(browser: &Browser, query: &str) -> usize {
    browser.json(&format!("/api/v1/media?limit=500&{query}")).await["items"].as_array().unwrap().len()
}

async fn upload(browser: &Browser, names: &[&str]) -> Vec<Value> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(browser.upload_ok(name, *name).await["id"].clone());
    }
    ids
}

/// Starts what is too much to be done at once, and returns the address of its progress.
async fn begin(browser: &Browser, request: Value) -> String {
    let answer = browser.post("/api/v1/media/bulk").json(&request).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{request}: {}", answer.text().await.unwrap());
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert!(location.ends_with(body["job_id"].as_str().unwrap()), "{location} {body}");
    location
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_goes_through_every_deed() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let made = owner.post("/api/v1/buckets").json(&json!({ "slug": "other" })).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let ids = upload(&owner, &["a.txt", "b.txt", "c.txt"]).await;
    let done =
        |answer: &Value| (answer["done"].as_u64().unwrap(), answer["failed"].as_array().unwrap().len());

    let tagged = bulk(&owner, json!({ "action": "tag", "ids": ids, "tags": ["Sea", "boat"] })).await;
    assert_eq!((done(&tagged), tagged["more"].as_bool()), ((3, 0), Some(false)));
    assert_eq!(count(&owner, "tag=sea").await, 3);
    bulk(&owner, json!({ "action": "untag", "ids": [ids[0]], "tags": ["SEA", "nothing"] })).await;
    assert_eq!(count(&owner, "tag=sea").await, 2);
    bulk(&owner, json!({ "action": "favourite", "search": { "tag": "sea" } })).await;
    assert_eq!(count(&owner, "favourite=true").await, 2);
    bulk(&owner, json!({ "action": "unfavourite", "search": { "favourite": true } })).await;
    assert_eq!(count(&owner, "favourite=true").await, 0);

    bulk(&owner, json!({ "action": "move", "ids": ids, "bucket": "other", "folder": "in/here" })).await;
    assert_eq!(count(&owner, "bucket=other&folder=in/here").await, 3);
    bulk(
        &owner,
        json!({ "action": "copy", "search": { "bucket": "other", "tag": "sea" }, "bucket": "photos" }),
    )
    .await;
    assert_eq!(count(&owner, "bucket=photos&folder=in/here&tag=sea").await, 2);
    let again = json!({ "action": "copy", "search": { "bucket": "other", "tag": "sea" }, "bucket": "photos",
        "on_conflict": "refuse" });
    let again = bulk(&owner, again).await;
    assert_eq!(done(&again), (0, 2));
    assert_eq!(again["failed"][0]["problem"]["type"], "/problems/name-taken");

    bulk(&owner, json!({ "action": "trash", "search": { "bucket": "other" } })).await;
    assert_eq!(
        (count(&owner, "bucket=other").await, count(&owner, "bucket=other&trashed=true").await),
        (0, 3)
    );
    let refused = bulk(&owner, json!({ "action": "tag", "ids": [ids[0]], "tags": ["x"] })).await;
    assert_eq!(refused["failed"][0]["problem"]["type"], "/problems/in-trash");
    bulk(&owner, json!({ "action": "untrash", "ids": [ids[0], ids[0]] })).await;
    assert_eq!(count(&owner, "bucket=other").await, 1);
    let kept = bulk(&owner, json!({ "action": "purge", "ids": [ids[0], ids[1]] })).await;
    assert_eq!(done(&kept), (1, 1));
    assert_eq!(kept["failed"][0]["problem"]["type"], "/problems/not-in-trash");
    let emptied = bulk(&owner, json!({ "action": "purge", "search": { "state": "trashed" } })).await;
    assert_eq!(done(&emptied), (1, 0));
    assert_eq!(count(&owner, "trashed=true").await, 0);

    let audit = owner.json("/api/v1/audit?action=media.bulk").await;
    let entries = audit["items"].as_array().unwrap();
    assert_eq!(entries.len(), 12, "one for each action that had something to do");
    assert_eq!(
        (&entries[0]["details"]["action"], &entries[0]["details"]["count"]),
        (&json!("purge"), &json!(1))
    );
    assert_eq!(entries[0]["details"]["search"], json!({ "state": "trashed" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_action_is_checked_before_anything_is_done() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let ids = upload(&owner, &["a.txt"]).await;
    let unknown = "01890000-0000-7000-8000-000000000000";
    for (request, status, code) in [
        (json!({ "action": "trash" }), 422, "validation"),
        (json!({ "action": "trash", "ids": ids, "search": {} }), 422, "validation"),
        (json!({ "action": "burn", "ids": ids }), 422, "validation"),
        (json!({ "action": "tag", "ids": ids }), 422, "validation"),
        (json!({ "action": "tag", "ids": ids, "tags": [" "] }), 422, "validation"),
        (json!({ "action": "move", "ids": ids }), 422, "validation"),
        (json!({ "action": "move", "ids": ids, "folder": "../x" }), 422, "bad-name"),
        (json!({ "action": "move", "search": {}, "bucket": "nowhere" }), 404, "not-found"),
        (json!({ "action": "trash", "search": { "bucket": "nowhere" } }), 404, "not-found"),
        (json!({ "action": "trash", "search": { "type": "thing" } }), 400, "bad-query"),
        (json!({ "action": "trash", "ids": vec![unknown; 1001] }), 422, "validation"),
    ] {
        let refused = owner.post("/api/v1/media/bulk").json(&request).send().await.unwrap();
        problem(refused, status, code).await;
    }
    for action in ["trash", "move", "tag"] {
        let request = json!({ "action": action, "ids": ids, "tags": ["x"], "folder": "x" });
        problem(viewer.post("/api/v1/media/bulk").json(&request).send().await.unwrap(), 403, "forbidden")
            .await;
    }
    assert_eq!(bulk(&viewer, json!({ "action": "favourite", "ids": ids })).await["done"], 1);
    let missing = bulk(&owner, json!({ "action": "trash", "ids": [unknown] })).await;
    assert_eq!(missing["failed"][0]["problem"]["status"], 404);
    assert_eq!(bulk(&owner, json!({ "action": "trash", "search": { "q": "nothing" } })).await["done"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_search_becomes_a_job_that_does_each_once() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    fill(&server.app.db, 3000).await.unwrap();
    let location =
        begin(&editor, json!({ "action": "tag", "search": { "type": "image" }, "tags": ["all"] })).await;
    let waiting = editor.json(&location).await;
    assert_eq!((waiting["state"].as_str(), waiting["total"].as_u64()), (Some("queued"), Some(2940)));
    let other = server.add_user(&owner, "viewer").await;
    problem(other.get(&location).send().await.unwrap(), 404, "not-found").await;
    server.run_jobs().await;
    let over = owner.json(&location).await;
    assert_eq!((over["state"].as_str(), over["done"].as_u64()), (Some("succeeded"), Some(2940)));
    let tags = owner.json("/api/v1/tags?q=all").await;
    assert_eq!(tags["items"], json!([{ "name": "all", "count": 2940 }]));

    // Copies land where the search looks, and are not copied themselves; nor is anything when the job runs again.
    let location =
        begin(&editor, json!({ "action": "copy", "search": { "tag": "all" }, "folder": "copies" })).await;
    server.run_jobs().await;
    let copies = || async {
        let bucket = owner.json("/api/v1/buckets/photos").await;
        bucket["media_count"].as_u64().unwrap()
    };
    let first = copies().await;
    assert_eq!(owner.json(&location).await["state"], "succeeded");
    let again = server.app.db.write(|tx| {
        tx.execute("UPDATE jobs SET state = 'queued', run_at = 0 WHERE kind = 'library.bulk'", [])?;
        Ok::<_, db::Error>(())
    });
    again.await.unwrap();
    server.run_jobs().await;
    assert_eq!(copies().await, first);

    let location = begin(&editor, json!({ "action": "trash", "search": { "bucket": "photos" } })).await;
    server.run_jobs().await;
    assert_eq!(owner.json(&location).await["done"].as_u64(), Some(first));
    assert_eq!(count(&owner, "").await, 0);
    let location = begin(&editor, json!({ "action": "purge", "search": { "state": "trashed" } })).await;
    let cancelled = editor.post(&format!("{location}/cancel")).send().await.unwrap();
    assert_eq!(cancelled.status(), 200);
    server.run_jobs().await;
    assert_eq!(owner.json(&location).await["state"], "cancelled");
    assert_eq!(count(&owner, "trashed=true").await, 500);
    begin(&editor, json!({ "action": "purge", "search": { "state": "trashed" } })).await;
    server.run_jobs().await;
    assert_eq!(count(&owner, "trashed=true").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_folder_moves_and_goes_by_a_job() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    fill(&server.app.db, 6000).await.unwrap();
    let everything = json!({ "action": "move", "search": {}, "folder": "all/in" });
    begin(&owner, everything).await;
    server.run_jobs().await;
    let route = "/api/v1/buckets/photos/folders";
    let moved = owner.post(&format!("{route}/move")).json(&json!({ "from": "all", "to": "one" }));
    let moved = moved.send().await.unwrap();
    assert_eq!(moved.status(), 202, "{}", moved.text().await.unwrap());
    server.run_jobs().await;
    let folders = owner.json(&format!("{route}?parent=one")).await;
    assert_eq!(folders["items"], json!([{ "path": "one/in", "name": "in", "media_count": 6000 }]));
    problem(owner.delete(&format!("{route}?path=all")).send().await.unwrap(), 404, "not-found").await;
    let removed = owner.delete(&format!("{route}?path=one")).send().await.unwrap();
    assert_eq!(removed.status(), 202);
    server.run_jobs().await;
    assert_eq!(count(&owner, "").await, 0);
    problem(owner.delete(&format!("{route}?path=one")).send().await.unwrap(), 404, "not-found").await;

    let renamed = owner.post("/api/v1/tags/rename").json(&json!({ "from": "family", "to": "kin" }));
    let renamed = renamed.send().await.unwrap();
    assert_eq!(renamed.status(), 200, "600 are done at once: {}", renamed.text().await.unwrap());
    assert_eq!(renamed.json::<Value>().await.unwrap()["done"], 600);
}
