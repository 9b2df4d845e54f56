//! What a bucket lets in, how much, and how long it stays; how much a person may store.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::multipart::{Form, Part};
use safelight::audit::Actor;
use safelight::jobs;
use safelight::library::{self, Destination, Error, Expire, OnConflict, QuotaOf, Slug};
use serde_json::{Value, json};

use crate::pictures;
use crate::support::{Browser, TestServer, problem};

async fn limit(browser: &Browser, change: Value) -> Value {
    let answer = browser.patch("/api/v1/buckets/photos").json(&change).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{change}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn upload(browser: &Browser, name: &str, bytes: Vec<u8>, on_conflict: &str) -> reqwest::Response {
    let form = Form::new()
        .text("on_conflict", on_conflict.to_owned())
        .part("file", Part::bytes(bytes).file_name(name.to_owned()));
    browser.post("/api/v1/media").multipart(form).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_shown_and_taken_away() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let all = json!({ "expire_days": 30, "allowed_types": ["image/*", "Text/Plain"], "max_upload_bytes": 1000,
        "quota_bytes": 5000, "keep_versions": 2 });
    let bucket = limit(&owner, all).await;
    assert_eq!(bucket["allowed_types"], json!(["image/*", "text/plain"]));
    assert_eq!((bucket["expire_days"].as_u64(), bucket["quota_bytes"].as_u64()), (Some(30), Some(5000)));
    let bucket = limit(&owner, json!({ "name": "Pictures", "expire_days": null, "allowed_types": [] })).await;
    assert_eq!((&bucket["expire_days"], &bucket["allowed_types"]), (&Value::Null, &json!([])));
    assert_eq!(bucket["keep_versions"], 2, "what is not said stays");
    assert_eq!(owner.json("/api/v1/buckets").await["items"][0], bucket);
    for (bad, field) in [
        (json!({ "expire_days": 0 }), "expire_days"),
        (json!({ "max_upload_bytes": 0 }), "max_upload_bytes"),
        (json!({ "keep_versions": 0 }), "keep_versions"),
        (json!({ "allowed_types": ["pictures"] }), "allowed_types"),
    ] {
        let refused = owner.patch("/api/v1/buckets/photos").json(&bad).send().await.unwrap();
        assert_eq!(problem(refused, 422, "validation").await["errors"][0]["field"], field);
    }
    let audit = owner.json("/api/v1/audit?action=bucket.change").await;
    assert_eq!(audit["items"][0]["details"]["from"]["limits"]["expire_days"], 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_takes_only_what_it_allows() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    limit(&owner, json!({ "allowed_types": ["image/*"], "max_upload_bytes": 20_000 })).await;
    owner.upload_ok("a.jpg", pictures::jpeg(30, 20)).await;
    let refused = problem(owner.upload("a.txt", "hello").await, 415, "type-not-allowed").await;
    assert!(refused["detail"].as_str().unwrap().contains("image/*"), "{refused}");
    problem(owner.upload("b.jpg", "not a picture at all").await, 415, "type-not-allowed").await;
    problem(
        owner.upload("large.jpg", [pictures::jpeg(30, 20), vec![0; 20_000]].concat()).await,
        413,
        "too-large",
    )
    .await;
    assert_eq!(owner.json("/api/v1/buckets/photos").await["media_count"], 1);

    // The first bytes say what it is; nobody has to send the rest.
    let to = Destination {
        bucket: None,
        folder: String::new(),
        name: "x.txt".into(),
        on_conflict: OnConflict::Rename,
    };
    limit(&owner, json!({ "max_upload_bytes": null })).await;
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 4096])));
    let refused = library::add(&server.app, &Actor::cli(), to, endless).await;
    assert!(matches!(refused, Err(Error::TypeNotAllowed { .. })), "{refused:?}");

    // Nor does anything come in by moving or copying.
    owner.post("/api/v1/buckets").json(&json!({ "slug": "other" })).send().await.unwrap();
    let to = Destination {
        bucket: Slug::parse("other").ok(),
        folder: String::new(),
        name: "b.txt".into(),
        on_conflict: OnConflict::Rename,
    };
    let text =
        library::add(&server.app, &Actor::cli(), to, stream::iter([Ok(Bytes::from_static(b"text"))])).await;
    let path = format!("/api/v1/media/{}", text.unwrap().id);
    let change = json!({ "bucket": "photos" });
    problem(owner.patch(&path).json(&change).send().await.unwrap(), 415, "type-not-allowed").await;
    problem(owner.post(&format!("{path}/copy")).json(&change).send().await.unwrap(), 415, "type-not-allowed")
        .await;
    assert_eq!(owner.json(&path).await["bucket"], "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_no_more_than_its_quota() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    limit(&owner, json!({ "quota_bytes": 1000 })).await;
    let first = owner.upload_ok("a.bin", vec![1; 600]).await;
    let refused = problem(owner.upload("b.bin", vec![2; 600]).await, 507, "quota-exceeded").await;
    assert!(refused["detail"].as_str().unwrap().contains("1000"), "{refused}");
    owner.upload_ok("c.bin", vec![3; 400]).await;
    problem(owner.upload("d.bin", vec![4; 1]).await, 507, "quota-exceeded").await;
    // What is replaced makes room for what comes.
    assert_eq!(upload(&owner, "a.bin", vec![5; 500], "replace").await.status(), 201);
    problem(upload(&owner, "a.bin", vec![6; 601], "replace").await, 507, "quota-exceeded").await;
    let path = format!("/api/v1/media/{}", first["id"].as_str().unwrap());
    problem(
        owner.post(&format!("{path}/copy")).json(&json!({})).send().await.unwrap(),
        507,
        "quota-exceeded",
    )
    .await;
    // The trash does not count, but what comes back from it does.
    owner.delete(&path).send().await.unwrap();
    owner.upload_ok("e.bin", vec![7; 600]).await;
    problem(owner.post(&format!("{path}/untrash")).send().await.unwrap(), 507, "quota-exceeded").await;
    // The rest of a form still has its chance.
    let file = |name: &'static str, size: usize| Part::bytes(vec![9; size]).file_name(name);
    limit(&owner, json!({ "quota_bytes": 1100 })).await;
    let form = Form::new().part("file", file("f.bin", 500)).part("file", file("g.bin", 50));
    let answer = owner.post("/api/v1/media").multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["items"][0]["name"], "g.bin");
    assert_eq!(answer["problems"][0]["problem"]["type"], "/problems/quota-exceeded");

    // While it streams: an endless upload ends at the quota.
    let to = Destination {
        bucket: None,
        folder: String::new(),
        name: "x".into(),
        on_conflict: OnConflict::Rename,
    };
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 4096])));
    let refused = library::add(&server.app, &Actor::cli(), to, endless).await;
    assert!(
        matches!(refused, Err(Error::QuotaExceeded { of: QuotaOf::Bucket, quota_bytes: 1100 })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_once_can_not_pass_a_quota_together() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    limit(&owner, json!({ "quota_bytes": 3500 })).await;
    let uploads = (0..8_u8).map(|number| {
        let owner = owner.clone();
        tokio::spawn(async move { owner.upload(&format!("{number}.bin"), vec![number; 1000]).await.status() })
    });
    let mut taken = 0;
    for upload in uploads.collect::<Vec<_>>() {
        match upload.await.unwrap().as_u16() {
            201 => taken += 1,
            507 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(taken, 3);
    assert_eq!(owner.json("/api/v1/buckets/photos").await["size_bytes"], 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stores_no_more_than_the_quota() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    let id = editor.json("/api/v1/auth/me").await["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/users/{id}/storage");
    let set = async |quota: Value| {
        let url = server.url(&path);
        owner.http.put(url).json(&json!({ "quota_bytes": quota })).send().await.unwrap()
    };
    let answer = set(json!(1000)).await;
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "size_bytes": 0, "quota_bytes": 1000 }));
    let media = editor.upload_ok("a.bin", vec![1; 700]).await;
    problem(editor.upload("b.bin", vec![2; 400]).await, 507, "quota-exceeded").await;
    owner.upload_ok("c.bin", vec![3; 5000]).await;
    assert_eq!(
        editor.json("/api/v1/auth/me/storage").await,
        json!({ "size_bytes": 700, "quota_bytes": 1000 })
    );
    let media = format!("/api/v1/media/{}", media["id"].as_str().unwrap());
    problem(
        editor.post(&format!("{media}/copy")).json(&json!({})).send().await.unwrap(),
        507,
        "quota-exceeded",
    )
    .await;
    editor.delete(&media).send().await.unwrap();
    assert_eq!(editor.json("/api/v1/auth/me/storage").await["size_bytes"], 0);
    // Who replaces something stores it from then on.
    assert_eq!(upload(&owner, "a.bin", vec![4; 10], "rename").await.status(), 201);
    assert_eq!(upload(&editor, "a.bin", vec![5; 900], "replace").await.status(), 201);
    assert_eq!(owner.json(&path).await["size_bytes"], 900);
    assert_eq!(set(Value::Null).await.json::<Value>().await.unwrap()["quota_bytes"], Value::Null);
    editor.upload_ok("d.bin", vec![6; 4000]).await;
    let unknown = "/api/v1/users/01890000-0000-7000-8000-000000000000/storage";
    problem(owner.get(unknown).send().await.unwrap(), 404, "not-found").await;
    problem(editor.get(&path).send().await.unwrap(), 403, "forbidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn things_expire_to_the_trash() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let expire = async || {
        let queued = server.app.db.write(|tx| jobs::enqueue(tx, &Expire {}, jobs::Options::default()));
        queued.await.unwrap();
        server.run_jobs().await;
        owner.json("/api/v1/buckets/photos").await["media_count"].as_u64().unwrap()
    };
    owner.upload_ok("old.txt", "old").await;
    server.clock.advance(2 * DAY);
    let owner_again = server.login("olive@example.org").await;
    owner_again.upload_ok("new.txt", "new").await;
    assert_eq!(expire().await, 2);
    limit(&owner, json!({ "expire_days": 3 })).await;
    assert_eq!(expire().await, 2);
    server.clock.advance(DAY + Duration::from_secs(1));
    assert_eq!(expire().await, 1);
    let audit = owner.json("/api/v1/audit?action=media.expire").await;
    assert_eq!(audit["items"][0]["details"]["count"], 1);
    assert_eq!(owner.json("/api/v1/media?trashed=true").await["items"][0]["name"], "old.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_so_many_versions() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("a.txt", "1").await;
    for number in 2..=4 {
        assert_eq!(upload(&owner, "a.txt", number.to_string().into(), "replace").await.status(), 201);
    }
    let numbers = async || {
        let path = format!("/api/v1/media/{}/versions", media["id"].as_str().unwrap());
        let versions = owner.json(&path).await;
        let number = |version: &Value| version["number"].as_u64().unwrap();
        versions["items"].as_array().unwrap().iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, [4, 3, 2, 1]);
    limit(&owner, json!({ "keep_versions": 2 })).await;
    assert_eq!(numbers().await, [4, 3, 2, 1], "until the next comes");
    assert_eq!(upload(&owner, "a.txt", "5".into(), "replace").await.status(), 201);
    assert_eq!(numbers().await, [5, 4]);
}
