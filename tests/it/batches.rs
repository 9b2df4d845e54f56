//! Batches: many pictures restored in the same way, with what goes wrong among them, through pauses and crashes.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use serde_json::{Value, json};
use zip::ZipArchive;

use super::appliance::{Appliance, until};
use super::photographs::{noisy_jpeg, scene};
use super::support::{Browser, TestServer, problem};
use safelight::imaging::{self, Channels, EncodeOptions, Format};

async fn begin(browser: &Browser, body: Value) -> Value {
    let answer = browser.post("/api/v1/batches").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let batch: Value = answer.json().await.unwrap();
    assert_eq!(location, path(&batch));
    batch
}

fn path(batch: &Value) -> String {
    format!("/api/v1/batches/{}", batch["id"].as_str().unwrap())
}

async fn tell(browser: &Browser, batch: &Value, deed: &str) -> Value {
    let answer = browser.post(&format!("{}/{deed}", path(batch))).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{deed}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn items(browser: &Browser, batch: &Value) -> Vec<Value> {
    let list = browser.json(&format!("{}/items?limit=500", path(batch))).await;
    list["items"].as_array().unwrap().clone()
}

async fn ids(browser: &Browser, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let media = browser.upload_ok(&format!("roll-{number:03}.jpg"), noisy_jpeg()).await;
        ids.push(media["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// A picture whose head is fine and whose end is missing.
fn cut_off() -> Vec<u8> {
    let mut bytes = noisy_jpeg();
    bytes.truncate(bytes.len() / 2);
    bytes
}

/// The files of an archive by their names.
async fn archive(browser: &Browser, batch: &Value) -> HashMap<String, Vec<u8>> {
    let answer = browser.get(&format!("{}/archive", path(batch))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zip");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().contains(".zip"));
    let mut zip = ZipArchive::new(Cursor::new(answer.bytes().await.unwrap())).unwrap();
    let mut files = HashMap::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert!(files.insert(file.name().unwrap().into_owned(), bytes).is_none(), "a name comes once");
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_restores_what_it_can_and_names_what_it_cannot() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let good = ids(&owner, 2).await;
    let broken = owner.upload_ok("broken.jpg", cut_off()).await;
    let text = owner.upload_ok("notes.txt", "grandmother").await;
    server.run_jobs().await;

    let by_name = json!({ "ids": [good[0], broken["id"], text["id"], good[1], good[0]], "preset": "strong" });
    let estimate = owner.post("/api/v1/batches/estimate").json(&by_name).send().await.unwrap();
    assert_eq!(estimate.status(), 200);
    let estimate: Value = estimate.json().await.unwrap();
    assert_eq!((&estimate["pictures"], &estimate["cost_usd"]), (&json!(4), &json!(0.0)), "{estimate}");

    let batch = begin(&owner, by_name).await;
    assert_eq!((&batch["state"], &batch["name"]), (&json!("running"), &json!("4 pictures")), "{batch}");
    server.run_jobs().await;
    let batch = owner.json(&path(&batch)).await;
    assert_eq!((&batch["state"], &batch["progress"]), (&json!("finished"), &json!(1.0)), "{batch}");
    assert_eq!(batch["counts"]["restored"], 2, "{batch}");
    assert_eq!(batch["counts"]["failed"], 2, "{batch}");
    let all = items(&owner, &batch).await;
    let names: Vec<_> = all.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["roll-000.jpg", "broken.jpg", "notes.txt", "roll-001.jpg"]);
    assert_eq!(all[1]["error"]["code"], "truncated", "{}", all[1]);
    assert_eq!(all[2]["error"]["code"], "not-a-picture", "{}", all[2]);
    assert!(all[0]["rendition_id"].is_string() && all[3]["error"].is_null());
    let failed = owner.json(&format!("{}/items?state=failed&limit=1", path(&batch))).await;
    assert_eq!(failed["items"][0]["name"], "broken.jpg");
    let next = failed["next_cursor"].as_str().unwrap();
    let rest = owner.json(&format!("{}/items?state=failed&limit=1&cursor={next}", path(&batch))).await;
    assert_eq!((&rest["items"][0]["name"], &rest["next_cursor"]), (&json!("notes.txt"), &Value::Null));

    let files = archive(&owner, &batch).await;
    assert_eq!(files.len(), 3, "{:?}", files.keys());
    assert!(imaging::probe_bytes(&files["roll-000 (restored).jpg"]).is_ok());
    let report = String::from_utf8(files["About these pictures.txt"].clone()).unwrap();
    assert!(
        report.contains("broken.jpg: not restored. ") && report.contains("notes.txt: not restored. "),
        "{report}"
    );

    // What failed is tried again, and fails again; what was done is not done twice.
    let again = tell(&owner, &batch, "retry").await;
    assert_eq!(again["counts"]["restored"], 2, "{again}");
    server.run_jobs().await;
    let again = owner.json(&path(&batch)).await;
    assert_eq!((&again["state"], &again["counts"]), (&json!("finished"), &batch["counts"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_can_not_be_made_to_its_end_does_not_look_whole() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let ids = ids(&owner, 1).await;
    let batch = begin(&owner, json!({ "ids": ids, "preset": "strong" })).await;
    server.run_jobs().await;
    assert_eq!(archive(&owner, &batch).await.len(), 2);
    // A folder in the place of the result: it can be opened and not be read, as on a disk that fails.
    let made = owner.json(&format!("/api/v1/media/{}/renditions", ids[0])).await;
    let content =
        format!("/api/v1/media/{}/renditions/{}/content", ids[0], made["items"][0]["id"].as_str().unwrap());
    let etag = owner.get(&content).send().await.unwrap().headers()["etag"].to_str().unwrap().to_owned();
    let name = etag.trim_matches('"');
    let file = walk(&server.dir.path().join("data")).into_iter().find(|file| file.ends_with(name)).unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    // The connection may break off before what was written first has left.
    if let Ok(answer) = owner.get(&format!("{}/archive", path(&batch))).send().await {
        assert_eq!(answer.status(), 200, "it has begun by then");
        assert!(answer.bytes().await.is_err(), "the transfer breaks off");
    }
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_folder_takes_its_pictures_only() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let plain = scene(64, 48, Channels::Rgb, 8, 0.0);
    let fine = imaging::encode(&plain, &EncodeOptions::new(Format::Png)).unwrap();
    owner.upload_ok("fine.png", fine.clone()).await;
    owner.upload_ok("notes.txt", "grandmother").await;
    server.run_jobs().await;
    let search = json!({ "search": { "bucket": "photos", "folder": "", "recursive": true }, "name": "Attic",
        "steps": [{ "step": "inpaint" }] });
    let batch = begin(&owner, search.clone()).await;
    assert_eq!((&batch["counts"]["total"], &batch["skipped"]), (&json!(1), &json!(1)), "{batch}");
    server.run_jobs().await;
    // Without a mask there is nothing to fill: the archive has the original.
    let batch = owner.json(&path(&batch)).await;
    assert_eq!(batch["counts"]["unchanged"], 1, "{batch}");
    assert_eq!(archive(&owner, &batch).await["fine.png"], fine);

    let empty = json!({ "search": { "bucket": "photos", "q": "nothing-like-it" } });
    problem(owner.post("/api/v1/batches").json(&empty).send().await.unwrap(), 422, "empty-batch").await;
    for wrong in [
        json!({}),
        json!({ "ids": [], "search": {} }),
        json!({ "ids": [batch["id"]], "name": "x".repeat(121) }),
    ] {
        problem(owner.post("/api/v1/batches").json(&wrong).send().await.unwrap(), 422, "validation").await;
    }
    let unknown = json!({ "ids": [batch["id"]] });
    problem(owner.post("/api/v1/batches").json(&unknown).send().await.unwrap(), 404, "not-found").await;

    // Batches are their maker's, and of those who manage jobs.
    let editor = server.add_user(&owner, "editor").await;
    problem(editor.get(&path(&batch)).send().await.unwrap(), 404, "not-found").await;
    let theirs = begin(&editor, search).await;
    assert_eq!(editor.json("/api/v1/batches").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(owner.json("/api/v1/batches").await["items"].as_array().unwrap().len(), 2);
    let viewer = server.add_user(&owner, "viewer").await;
    let refused =
        viewer.post("/api/v1/batches").json(&json!({ "ids": [theirs["id"]] })).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(editor.delete(&path(&theirs)).send().await.unwrap().status(), 204);
    assert!(editor.json("/api/v1/batches").await["items"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_paused_stopped_and_resumed() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let ids = ids(&owner, 5).await;
    server.run_jobs().await;
    let batch = begin(&owner, json!({ "ids": ids })).await;
    assert_eq!((&batch["counts"]["running"], &batch["counts"]["waiting"]), (&json!(2), &json!(3)), "{batch}");

    let paused = tell(&owner, &batch, "pause").await;
    assert_eq!((&paused["state"], &paused["counts"]["waiting"]), (&json!("paused"), &json!(5)), "{paused}");
    server.run_jobs().await;
    assert_eq!(owner.json(&path(&batch)).await["counts"], paused["counts"]);

    let resumed = tell(&owner, &batch, "resume").await;
    assert_eq!(
        (&resumed["state"], &resumed["counts"]["running"]),
        (&json!("running"), &json!(2)),
        "{resumed}"
    );
    let stopped = tell(&owner, &batch, "cancel").await;
    assert_eq!(
        (&stopped["state"], &stopped["counts"]["cancelled"]),
        (&json!("cancelled"), &json!(5)),
        "{stopped}"
    );
    server.run_jobs().await;
    assert_eq!(owner.json(&path(&batch)).await["counts"], stopped["counts"]);

    // One of them is removed for good meanwhile, and one lies in the trash.
    for id in &ids[..2] {
        let media = format!("/api/v1/media/{id}");
        assert!(owner.delete(&media).send().await.unwrap().status().is_success());
    }
    assert!(
        owner
            .delete(&format!("/api/v1/media/{}?purge=true", ids[0]))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    tell(&owner, &batch, "resume").await;
    server.run_jobs().await;
    let done = owner.json(&path(&batch)).await;
    assert_eq!((&done["state"], &done["counts"]["total"]), (&json!("finished"), &json!(4)), "{done}");
    assert_eq!((&done["counts"]["failed"], &done["counts"]["cancelled"]), (&json!(1), &json!(0)), "{done}");
    let failed = owner.json(&format!("{}/items?state=failed", path(&batch))).await;
    assert_eq!(failed["items"][0]["error"]["code"], "in-trash", "{failed}");
    assert_eq!(tell(&owner, &batch, "pause").await["state"], "finished");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_pictures_survive_a_stop_and_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut appliance = Appliance::start(&data);
    let mut owner = appliance.setup_owner().await;
    let mut ids = Vec::new();
    for number in 0..200 {
        let bytes = if number % 40 == 7 { cut_off() } else { noisy_jpeg() };
        let media = owner.upload_ok(&format!("roll-{number:03}.jpg"), bytes).await;
        ids.push(media["id"].as_str().unwrap().to_owned());
    }
    let batch = begin(&owner, json!({ "ids": ids, "preset": "strong" })).await;
    let counts = async |owner: &Browser| owner.json(&path(&batch)).await["counts"].clone();
    let ended = |counts: &Value| {
        ["restored", "unchanged", "failed"].iter().map(|name| counts[name].as_u64().unwrap()).sum::<u64>()
    };
    until("twenty are done", async || ended(&counts(&owner).await) >= 20).await;
    tell(&owner, &batch, "cancel").await;
    until("nothing runs", async || counts(&owner).await["running"] == 0).await;
    assert!(counts(&owner).await["cancelled"].as_u64().unwrap() > 0);
    tell(&owner, &batch, "resume").await;
    let before = ended(&counts(&owner).await);
    until("it goes on", async || ended(&counts(&owner).await) >= before + 20).await;
    appliance.kill();

    appliance = Appliance::start(&data);
    owner = owner.moved_to(appliance.url());
    until("all are done", async || owner.json(&path(&batch)).await["state"] == "finished").await;
    let last = counts(&owner).await;
    assert_eq!(
        (&last["restored"], &last["failed"], &last["total"]),
        (&json!(195), &json!(5), &json!(200)),
        "{last}"
    );
    let failed = owner.json(&format!("{}/items?state=failed", path(&batch))).await;
    let names: Vec<_> = failed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["roll-007.jpg", "roll-047.jpg", "roll-087.jpg", "roll-127.jpg", "roll-167.jpg"]);
    // Each was restored once, whatever happened in between.
    let renditions: Vec<_> = items(&owner, &batch).await;
    for item in renditions.iter().filter(|item| item["state"] == "succeeded") {
        let list = format!("/api/v1/media/{}/renditions", item["media_id"].as_str().unwrap());
        assert_eq!(owner.json(&list).await["items"].as_array().unwrap().len(), 1, "{item}");
    }
    assert_eq!(archive(&owner, &batch).await.len(), 196);
    appliance.stop();
}
