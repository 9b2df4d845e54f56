//! The library: buckets, folders, lists, the trash, versions, renditions, the sweeper.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::multipart::{Form, Part};
use safelight::audit::Actor;
use safelight::library::{
    self, Destination, Filter, Media, MediaId, NewRendition, OnConflict, Slug, Sort, SortBy,
};
use safelight::storage::Storage;
use serde_json::{Value, json};

use crate::pictures;
use crate::support::{Browser, TestServer, problem};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn add(server: &TestServer, folder: &str, name: &str, bytes: &[u8], on_conflict: OnConflict) -> Media {
    let to = Destination { bucket: None, folder: folder.into(), name: name.into(), on_conflict };
    let body = stream::iter([Ok(Bytes::copy_from_slice(bytes))]);
    library::add(&server.app, &Actor::cli(), to, body).await.unwrap()
}

fn id(media: &Value) -> MediaId {
    media["id"].as_str().unwrap().parse().unwrap()
}

async fn sweep(server: &TestServer, after: Duration) {
    server.clock.advance(after);
    for job in [true, false] {
        server
            .app
            .db
            .write(move |tx| {
                let options = safelight::jobs::Options::default();
                if job {
                    safelight::jobs::enqueue(tx, &library::FindOrphans {}, options)
                } else {
                    safelight::jobs::enqueue(tx, &library::Sweep {}, options)
                }
            })
            .await
            .unwrap();
        server.run_jobs().await;
    }
}

async fn names(browser: &Browser, path: &str) -> Vec<String> {
    let page = browser.json(path).await;
    page["items"].as_array().unwrap().iter().map(|media| media["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_in_with_everything_that_its_headers_say() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpg", pictures::jpeg_with_exif(60, 40)).await;
    assert_eq!(media["bucket"], "photos");
    assert_eq!(media["key"], "harbour.jpg");
    assert_eq!(media["content_type"], "image/jpeg");
    assert_eq!((media["width"].as_u64(), media["height"].as_u64()), (Some(40), Some(60)), "as displayed");
    assert_eq!(media["taken_at"], "2019-08-07T06:05:04.000Z");
    assert_eq!(media["state"], "ready");
    assert_eq!((media["versions"].as_u64(), media["renditions"].as_u64()), (Some(1), Some(0)));
    assert!(media["thumbhash"].is_null());
    let facts = owner.json(&format!("/api/v1/media/{}/metadata", id(&media))).await;
    let facts = facts["items"].as_array().unwrap();
    assert!(facts.iter().any(|fact| fact["group"] == "Camera" && fact["value"] == "Model X"), "{facts:?}");

    assert_eq!(server.run_jobs().await, 2, "a place-holder, and a rendering for the grid");
    let media = owner.json(&format!("/api/v1/media/{}", id(&media))).await;
    assert!(media["thumbhash"].as_str().unwrap().len() > 8);
    let again = owner.upload_ok("again.jpg", pictures::jpeg_with_exif(60, 40)).await;
    assert_eq!(again["thumbhash"], media["thumbhash"], "the same bytes need no second look");
    assert_eq!(server.run_jobs().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_made_changed_and_removed_when_empty() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let new = json!({ "slug": "trip-2026", "name": "Trip", "visibility": "public" });
    let made = owner.post("/api/v1/buckets").json(&new).send().await.unwrap();
    assert_eq!(made.status(), 201);
    problem(owner.post("/api/v1/buckets").json(&new).send().await.unwrap(), 409, "slug-taken").await;
    let bad = json!({ "slug": "Trip!" });
    problem(owner.post("/api/v1/buckets").json(&bad).send().await.unwrap(), 422, "validation").await;
    let bad = json!({ "slug": "nameless", "name": " \u{202e} " });
    problem(owner.post("/api/v1/buckets").json(&bad).send().await.unwrap(), 422, "validation").await;

    let changed =
        owner.patch("/api/v1/buckets/trip-2026").json(&json!({ "name": "Journey" })).send().await.unwrap();
    let changed: Value = changed.json().await.unwrap();
    assert_eq!((changed["name"].as_str(), changed["visibility"].as_str()), (Some("Journey"), Some("public")));
    let listed = owner.json("/api/v1/buckets").await;
    let slugs: Vec<_> = listed["items"].as_array().unwrap().iter().map(|b| b["slug"].clone()).collect();
    assert_eq!(slugs, ["photos", "trip-2026"]);

    let media = owner.upload_ok("a.txt", "12345").await;
    let photos = owner.json("/api/v1/buckets/photos").await;
    assert_eq!((photos["media_count"].as_u64(), photos["size_bytes"].as_u64()), (Some(1), Some(5)));
    let refused = owner.delete("/api/v1/buckets/photos").send().await.unwrap();
    problem(refused, 409, "bucket-not-empty").await;
    let path = format!("/api/v1/media/{}", id(&media));
    owner.delete(&path).send().await.unwrap();
    let refused = owner.delete("/api/v1/buckets/photos").send().await.unwrap();
    problem(refused, 409, "bucket-not-empty").await;
    owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
    assert_eq!(owner.delete("/api/v1/buckets/photos").send().await.unwrap().status(), 204);
    problem(owner.get("/api/v1/buckets/photos").send().await.unwrap(), 404, "not-found").await;
    problem(owner.get("/api/v1/buckets/No%20Slug").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_have_parents_and_count_what_lies_in_them() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let path = "/api/v1/buckets/photos/folders";
    let made = owner.post(path).json(&json!({ "path": "/2026/Summer/" })).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    assert_eq!(made, json!({ "path": "2026/Summer", "name": "Summer", "media_count": 0 }));
    add(&server, "2026/Summer", "a.txt", b"a", OnConflict::Rename).await;
    add(&server, "2026/winter", "a.txt", b"a", OnConflict::Rename).await;
    add(&server, "", "top.txt", b"a", OnConflict::Rename).await;

    let top = owner.json(path).await;
    assert_eq!(top["items"], json!([{ "path": "2026", "name": "2026", "media_count": 0 }]));
    let inner = owner.json(&format!("{path}?parent=2026&limit=1")).await;
    assert_eq!(inner["items"], json!([{ "path": "2026/Summer", "name": "Summer", "media_count": 1 }]));
    let cursor = inner["next_cursor"].as_str().unwrap();
    let rest = owner.json(&format!("{path}?parent=2026&limit=1&cursor={cursor}")).await;
    assert_eq!(rest["items"][0]["name"], "winter");
    assert!(rest["next_cursor"].is_null());

    for bad in ["", "a/../b", "a//b", "x\u{202e}y"] {
        let refused = owner.post(path).json(&json!({ "path": bad })).send().await.unwrap();
        problem(refused, 422, "bad-name").await;
    }
    assert_eq!(names(&owner, "/api/v1/media?bucket=photos&folder=").await, ["top.txt"]);
    assert_eq!(names(&owner, "/api/v1/media?bucket=photos&folder=2026/Summer").await, ["a.txt"]);
    assert_eq!(names(&owner, "/api/v1/media?bucket=photos").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_numbered_replaced_or_refused() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let first = add(&server, "f", "a.txt", b"1", OnConflict::Rename).await;
    assert_eq!(add(&server, "f", "a.txt", b"2", OnConflict::Rename).await.key, "f/a (2).txt");
    assert_eq!(add(&server, "f", "a.txt", b"1", OnConflict::Rename).await.key, "f/a (3).txt");
    assert_eq!(add(&server, "", "a.txt", b"2", OnConflict::Rename).await.key, "a.txt");

    let replaced = add(&server, "f", "a.txt", b"new", OnConflict::Replace).await;
    assert_eq!((replaced.id, replaced.versions), (first.id, 2));
    let again = add(&server, "f", "a.txt", b"new", OnConflict::Replace).await;
    assert_eq!(again.versions, 2, "the same bytes are no new version");
    let versions = owner.json(&format!("/api/v1/media/{}/versions", first.id)).await;
    let numbers: Vec<_> = versions["items"].as_array().unwrap().iter().map(|v| v["number"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    let old = versions["items"][1]["id"].as_str().unwrap();
    let old = owner.get(&format!("/api/v1/media/{}/versions/{old}/content", first.id)).send().await.unwrap();
    assert_eq!(old.text().await.unwrap(), "1");

    let to = Destination {
        bucket: None,
        folder: "f".into(),
        name: "a.txt".into(),
        on_conflict: OnConflict::Refuse,
    };
    let unread = stream::iter([Err(library::Error::NoSuchMedia)]);
    let refused = library::add(&server.app, &Actor::cli(), to, unread).await;
    assert!(matches!(refused, Err(library::Error::NameTaken { .. })), "told before the first byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_may_be_long_and_still_be_numbered() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    let name = format!("{}.jpg", "é".repeat(125));
    add(&server, "", &name, b"1", OnConflict::Rename).await;
    let second = add(&server, "", &name, b"2", OnConflict::Rename).await;
    assert!(second.name.len() <= 255 && second.name.ends_with(" (2).jpg"), "{}", second.name);
    let third = add(&server, "", &name, b"3", OnConflict::Rename).await;
    assert!(third.name.ends_with(" (3).jpg"), "{}", third.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_one_name_and_of_the_same_bytes_at_once_are_all_kept() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let same = pictures::jpeg(80, 60);
    let uploads = (0..8).map(|i| {
        let (owner, bytes) = (owner.clone(), if i % 2 == 0 { same.clone() } else { vec![i; 300_000] });
        tokio::spawn(async move { owner.upload_ok("photo.jpg", bytes).await })
    });
    let mut keys = Vec::new();
    for upload in uploads.collect::<Vec<_>>() {
        keys.push(upload.await.unwrap()["key"].as_str().unwrap().to_owned());
    }
    keys.sort();
    let mut expected: Vec<String> = (2..=8).map(|n| format!("photo ({n}).jpg")).collect();
    expected.push("photo.jpg".into());
    expected.sort();
    assert_eq!(keys, expected);
    assert_eq!(server.app.storage.list().count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_is_renamed_and_moved() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let a = add(&server, "", "a.txt", b"a", OnConflict::Rename).await;
    let b = add(&server, "x", "b.txt", b"b", OnConflict::Rename).await;
    let path = format!("/api/v1/media/{}", a.id);
    let patch = |body: Value| {
        let request = owner.patch(&path).json(&body);
        async move { request.send().await.unwrap() }
    };
    problem(patch(json!({ "name": "b.txt", "folder": "x" })).await, 409, "name-taken").await;
    problem(patch(json!({ "name": "../etc" })).await, 422, "bad-name").await;
    let moved: Value =
        patch(json!({ "name": "b.txt", "folder": "x", "on_conflict": "rename" })).await.json().await.unwrap();
    assert_eq!(moved["key"], "x/b (2).txt");
    let moved: Value =
        patch(json!({ "name": "b.txt", "on_conflict": "replace" })).await.json().await.unwrap();
    assert_eq!(moved["key"], "x/b.txt");
    let other = owner.json(&format!("/api/v1/media/{}", b.id)).await;
    assert_eq!(other["state"], "trashed", "what was replaced can be taken back");
    let back = owner.post(&format!("/api/v1/media/{}/untrash", b.id)).send().await.unwrap();
    assert_eq!(back.json::<Value>().await.unwrap()["key"], "x/b (2).txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trash_gives_back_until_it_is_emptied() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("a.jpg", pictures::jpeg(50, 40)).await;
    let path = format!("/api/v1/media/{}", id(&media));
    let early = owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
    problem(early, 409, "not-in-trash").await;
    assert_eq!(owner.delete(&path).send().await.unwrap().status(), 204);
    assert_eq!(owner.delete(&path).send().await.unwrap().status(), 204, "twice is as good as once");
    assert!(names(&owner, "/api/v1/media").await.is_empty());
    assert_eq!(names(&owner, "/api/v1/media?trashed=true&bucket=photos").await, ["a.jpg"]);
    problem(owner.patch(&path).json(&json!({ "name": "b.jpg" })).send().await.unwrap(), 409, "in-trash")
        .await;

    owner.upload_ok("a.jpg", pictures::jpeg(51, 40)).await;
    let back: Value = owner.post(&format!("{path}/untrash")).send().await.unwrap().json().await.unwrap();
    assert_eq!((back["name"].as_str(), back["state"].as_str()), (Some("a (2).jpg"), Some("ready")));

    owner.delete(&path).send().await.unwrap();
    assert_eq!(owner.delete(&format!("{path}?purge=true")).send().await.unwrap().status(), 204);
    problem(owner.get(&path).send().await.unwrap(), 404, "not-found").await;
    assert_eq!(server.app.storage.list().count(), 2, "the bytes stay for a day");
    sweep(&server, DAY + Duration::from_secs(1)).await;
    assert_eq!(server.app.storage.list().count(), 1);

    let rest = owner.json("/api/v1/media").await;
    owner.delete(&format!("/api/v1/media/{}", id(&rest["items"][0]))).send().await.unwrap();
    sweep(&server, 29 * DAY).await;
    // The login has not lasted that long.
    let owner = server.login("olive@example.org").await;
    assert_eq!(names(&owner, "/api/v1/media?trashed=true").await.len(), 1);
    sweep(&server, 2 * DAY).await;
    assert!(names(&owner, "/api/v1/media?trashed=true").await.is_empty(), "the trash empties itself");
    sweep(&server, 2 * DAY).await;
    assert_eq!(server.app.storage.list().count(), 0);
    let photos = owner.json("/api/v1/buckets/photos").await;
    assert_eq!((photos["media_count"].as_u64(), photos["size_bytes"].as_u64()), (Some(0), Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_pardons_condemned_bytes_and_orphans_are_found() {
    for storage in [None, Some(Storage::memory())] {
        let server = TestServer::start_on(|_| (), storage).await;
        let owner = server.setup_owner().await;
        let media = owner.upload_ok("a.bin", "some bytes").await;
        let path = format!("/api/v1/media/{}", id(&media));
        owner.delete(&path).send().await.unwrap();
        owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
        server.clock.advance(DAY + DAY);
        let again = owner.upload_ok("a.bin", "some bytes").await;
        drop(server.app.storage.put_bytes(Bytes::from_static(b"nobody knows me")).await.unwrap());
        sweep(&server, Duration::ZERO).await;
        assert_eq!(server.app.storage.list().count(), 2, "the pardoned one, and the orphan found just now");
        sweep(&server, DAY + DAY).await;
        assert_eq!(server.app.storage.list().count(), 1);
        let content = owner.get(&format!("/api/v1/media/{}/content", id(&again))).send().await.unwrap();
        assert_eq!(content.text().await.unwrap(), "some bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeping_and_uploading_the_same_bytes_at_once_loses_nothing() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for round in 0..20 {
        let media = owner.upload_ok("a.bin", "the same bytes").await;
        let path = format!("/api/v1/media/{}", id(&media));
        owner.delete(&path).send().await.unwrap();
        owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
        server.clock.advance(DAY + DAY);
        let (uploaded, ()) =
            tokio::join!(owner.upload_ok("b.bin", "the same bytes"), sweep(&server, Duration::ZERO));
        let path = format!("/api/v1/media/{}", id(&uploaded));
        let content = owner.get(&format!("{path}/content")).send().await.unwrap();
        assert_eq!(content.text().await.unwrap(), "the same bytes", "round {round}");
        owner.delete(&path).send().await.unwrap();
        owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_for_uploads_is_not_one_for_what_is_made_here() {
    let server = TestServer::start_with(|config| config.limits.max_upload_bytes = Some(100)).await;
    let bytes = Bytes::from(pictures::jpeg(50, 40));
    assert!(bytes.len() > 100);
    drop(library::receive_bytes(&server.app, "x.jpg", bytes.clone()).await.unwrap());
    let uploaded = stream::iter([Ok(bytes)]);
    let error = library::receive(&server.app, "x.jpg", uploaded).await.unwrap_err();
    assert!(matches!(error, library::Error::Storage(safelight::storage::Error::TooLarge { .. })), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renditions_belong_to_a_version_and_go_with_it() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("old.jpg", pictures::jpeg(50, 40)).await;
    let wanted = id(&media);
    let found = server.app.db.read(move |conn| library::get_version_in(conn, wanted, None)).await;
    let (media, version) = found.unwrap();
    let bytes = pictures::jpeg(48, 38);
    let arrived = library::receive_bytes(&server.app, "x.jpg", bytes.clone().into()).await.unwrap();
    let provenance = json!({ "engine": "builtin", "preset": "auto", "steps": [] });
    let (media_id, version_id) = (media.id, version.id);
    let (rendition, _arrived) = server
        .app
        .db
        .write(move |tx| {
            let new = NewRendition {
                media: media_id,
                version: version_id,
                arrived: &arrived,
                restoration: None,
                name: "old (restored).jpg",
                ai_generated: false,
                provenance: &provenance,
            };
            let rendition = library::add_rendition_in(tx, &Actor::system(), &new)?;
            Ok::<_, library::Error>((rendition, arrived))
        })
        .await
        .unwrap();
    let path = format!("/api/v1/media/{media_id}/renditions");
    let listed = owner.json(&path).await;
    assert_eq!(listed["items"][0]["id"], rendition.id.to_string());
    assert_eq!(listed["items"][0]["provenance"]["preset"], "auto");
    assert_eq!(
        (listed["items"][0]["width"].as_u64(), listed["items"][0]["height"].as_u64()),
        (Some(48), Some(38))
    );
    let content = owner.get(&format!("{path}/{}/content?download=1", rendition.id)).send().await.unwrap();
    let disposition = content.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert_eq!(disposition, "attachment; filename=\"old (restored).jpg\"");
    assert_eq!(content.bytes().await.unwrap(), bytes);
    let thumb = owner.get(&format!("{path}/{}/content?preset=thumb", rendition.id)).send().await.unwrap();
    assert_eq!(thumb.headers()["content-type"], "image/jpeg");
    assert_eq!(owner.json(&format!("/api/v1/media/{media_id}")).await["renditions"], 1);

    let one = format!("{path}/{}", rendition.id);
    assert_eq!(owner.delete(&one).send().await.unwrap().status(), 204);
    problem(owner.get(&one).send().await.unwrap(), 404, "not-found").await;
    let other = add(&server, "", "other.txt", b"x", OnConflict::Rename).await;
    let foreign = format!("/api/v1/media/{}/versions/{version_id}/content", other.id);
    problem(owner.get(&foreign).send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_stable_in_every_order_while_things_come_and_go() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    library::add_bucket(
        &server.app,
        &Actor::cli(),
        library::NewBucket { slug: "other".into(), name: None, visibility: None, access: None },
    )
    .await
    .unwrap();
    for i in 0..23_u32 {
        let bucket = if i % 3 == 0 { "other" } else { "photos" };
        let to = Destination {
            bucket: Some(Slug::parse(bucket).unwrap()),
            folder: if i % 2 == 0 { "f".into() } else { String::new() },
            name: format!("{}{:02}.txt", if i % 4 == 0 { "B" } else { "a" }, (i * 7) % 23),
            on_conflict: OnConflict::Rename,
        };
        let body = stream::iter([Ok(Bytes::from(vec![b'x'; (i as usize * 5) % 11]))]);
        library::add(&server.app, &Actor::cli(), to, body).await.unwrap();
        // Every third shares its moment with the one before.
        if i % 3 != 0 {
            server.clock.advance(Duration::from_millis(10));
        }
    }
    for by in [SortBy::Created, SortBy::Name, SortBy::Taken, SortBy::Size] {
        for descending in [false, true] {
            for (bucket, folder) in
                [(None, None), (Some("photos"), None), (Some("photos"), Some("f")), (None, Some(""))]
            {
                let sort = Sort { by, descending };
                let filter = Filter {
                    bucket: bucket.map(|slug| Slug::parse(slug).unwrap()),
                    folder: folder.map(str::to_owned),
                    ..Filter::default()
                };
                let whole = library::list(&server.app, filter.clone(), sort, None, 500).await.unwrap();
                assert!(whole.len() >= 4);
                let ordered = whole.windows(2).all(|pair| {
                    let (a, b) = (pair[0].position(sort), pair[1].position(sort));
                    if descending { a > b } else { a < b }
                });
                assert!(ordered, "{sort:?} {bucket:?} {folder:?}");

                let mut paged: Vec<Media> = Vec::new();
                let mut added = Vec::new();
                let mut after = None;
                loop {
                    let page = library::list(&server.app, filter.clone(), sort, after, 5).await.unwrap();
                    after = page.last().map(|media| media.position(sort));
                    paged.extend(page.iter().filter(|m| !added.contains(&m.id)).cloned());
                    if page.len() < 5 {
                        break;
                    }
                    // Where new ones come last there would be a further page each time.
                    if added.len() < 3 {
                        let new = add(&server, "f", "between.txt", b"zzzzzz", OnConflict::Rename).await;
                        added.push(new.id);
                    }
                }
                let ids = |list: &[Media]| list.iter().map(|m| m.id).collect::<Vec<_>>();
                assert_eq!(ids(&paged), ids(&whole), "{sort:?} {bucket:?} {folder:?}");
                for id in added {
                    library::trash(&server.app, &Actor::cli(), id).await.unwrap();
                    library::purge(&server.app, &Actor::cli(), id).await.unwrap();
                }
            }
        }
    }
    let first = owner.json("/api/v1/media?sort=name&limit=3").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let foreign =
        owner.get(&format!("/api/v1/media?sort=-name&limit=3&cursor={cursor}")).send().await.unwrap();
    problem(foreign, 400, "bad-cursor").await;
    problem(owner.get("/api/v1/media?sort=colour").send().await.unwrap(), 400, "bad-query").await;
    problem(owner.get("/api/v1/media?bucket=nowhere").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_by_name_and_kind() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("Grandmother at the SEA.jpg", pictures::jpeg(30, 20)).await;
    owner
        .upload_ok(
            "Été 100%_\"x\".png",
            pictures::encoded(20, 20, safelight::imaging::Channels::Rgb, safelight::imaging::Format::Png),
        )
        .await;
    owner.upload_ok("notes.txt", "hello").await;
    for (query, expected) in [
        ("q=the%20sea", vec!["Grandmother at the SEA.jpg"]),
        ("q=ÉT", vec!["Été 100%_\"x\".png"]),
        ("q=été%20100", vec!["Été 100%_\"x\".png"]),
        ("q=%25_%22X", vec!["Été 100%_\"x\".png"]),
        ("q=ae", vec![]),
        ("q=mother%20sea", vec!["Grandmother at the SEA.jpg"]),
        ("q=mother%20lake", vec![]),
        ("type=image&sort=name", vec!["Grandmother at the SEA.jpg", "Été 100%_\"x\".png"]),
        ("type=other", vec!["notes.txt"]),
        ("type=image/png", vec!["Été 100%_\"x\".png"]),
        ("type=image/png&q=notes", vec![]),
        ("q=", vec!["notes.txt", "Été 100%_\"x\".png", "Grandmother at the SEA.jpg"]),
    ] {
        assert_eq!(names(&owner, &format!("/api/v1/media?{query}")).await, expected, "{query}");
    }
    problem(owner.get("/api/v1/media?type=picture").send().await.unwrap(), 400, "bad-query").await;
    let media = owner.json("/api/v1/media?q=notes").await;
    let path = format!("/api/v1/media/{}", id(&media["items"][0]));
    owner.patch(&path).json(&json!({ "name": "renamed.txt" })).send().await.unwrap();
    assert!(names(&owner, "/api/v1/media?q=notes").await.is_empty());
    assert_eq!(names(&owner, "/api/v1/media?q=renamed").await, ["renamed.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_what_it_may_and_no_more() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    let viewer = server.add_user(&owner, "viewer").await;
    let stranger = server.browser();
    let media = editor.upload_ok("a.txt", "a").await;
    let path = format!("/api/v1/media/{}", id(&media));
    for path in [
        "/api/v1/media",
        "/api/v1/buckets",
        "/api/v1/buckets/photos/folders",
        &path,
        &format!("{path}/content"),
    ] {
        assert_eq!(viewer.get(path).send().await.unwrap().status(), 200, "{path}");
        problem(stranger.get(path).send().await.unwrap(), 401, "not-signed-in").await;
    }
    problem(viewer.upload("b.txt", "b").await, 403, "forbidden").await;
    problem(stranger.upload("b.txt", "b").await, 401, "not-signed-in").await;
    let rename = json!({ "name": "b.txt" });
    problem(viewer.patch(&path).json(&rename).send().await.unwrap(), 403, "forbidden").await;
    problem(viewer.delete(&path).send().await.unwrap(), 403, "forbidden").await;
    problem(viewer.post(&format!("{path}/untrash")).send().await.unwrap(), 403, "forbidden").await;
    assert_eq!(editor.patch(&path).json(&rename).send().await.unwrap().status(), 200);
    assert_eq!(editor.delete(&path).send().await.unwrap().status(), 204);
    let bucket = json!({ "slug": "mine" });
    problem(editor.post("/api/v1/buckets").json(&bucket).send().await.unwrap(), 403, "forbidden").await;
    let folder = json!({ "path": "x" });
    let made = editor.post("/api/v1/buckets/photos/folders").json(&folder).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made = viewer.post("/api/v1/buckets/photos/folders").json(&folder).send().await.unwrap();
    problem(made, 403, "forbidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_in_the_audit_and_in_the_stream() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form = Form::new().text("folder", "f").part("file", Part::bytes(b"a".to_vec()).file_name("a.txt"));
    owner.post("/api/v1/media").multipart(form).send().await.unwrap();
    let listed = owner.json("/api/v1/media").await;
    let path = format!("/api/v1/media/{}", id(&listed["items"][0]));
    owner.patch(&path).json(&json!({ "name": "b.txt" })).send().await.unwrap();
    owner.delete(&path).send().await.unwrap();
    owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
    let (actions, events) = server
        .app
        .db
        .read(|conn| {
            let entries = safelight::audit::list(conn, &safelight::audit::Filter::default(), None, 100)?;
            let actions: Vec<String> = entries.into_iter().rev().map(|entry| entry.action).collect();
            let events = safelight::api::events::after(conn, 0, 100)?;
            let media: Vec<Value> = events
                .into_iter()
                .filter(|event| event.name == "media")
                .map(|event| serde_json::from_str(&event.data).unwrap())
                .collect();
            Ok::<_, safelight::db::Error>((actions, media))
        })
        .await
        .unwrap();
    let media: Vec<_> = actions.iter().filter(|action| action.starts_with("media.")).collect();
    assert_eq!(media, ["media.upload", "media.move", "media.trash", "media.purge"]);
    let changes: Vec<_> = events.iter().map(|event| event["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["created", "updated", "trashed", "removed"]);
    assert_eq!(events[0]["bucket"], "photos");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_sorts_what_an_index_could_give() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    // The statements name their index; SQLite refuses them if it can't be used. What is left to see is the sorting.
    let plans = server
        .app
        .db
        .read(|conn| {
            let mut plans = Vec::new();
            for (index, column) in [
                ("created", "created_at"),
                ("name", "name_folded"),
                ("taken", "taken_or_created_at"),
                ("size", "size_bytes"),
            ] {
                for (prefix, folder) in [("media_by", ""), ("media_in_folder_by", "AND folder = 'x'")] {
                    let sql = format!(
                        "EXPLAIN QUERY PLAN SELECT seq FROM media INDEXED BY {prefix}_{index}
                         WHERE bucket_seq = 1 AND trashed = 0 {folder} AND ({column}, seq) < (5, 5)
                         ORDER BY {column} DESC, seq DESC LIMIT 10"
                    );
                    let mut statement = conn.prepare(&sql)?;
                    let lines = statement.query_map([], |row| row.get::<_, String>(3))?;
                    plans.push(lines.collect::<Result<Vec<_>, _>>()?.join("; "));
                }
            }
            Ok::<_, safelight::db::Error>(plans)
        })
        .await
        .unwrap();
    for plan in plans {
        assert!(!plan.contains("TEMP B-TREE") && plan.contains('<'), "{plan}");
    }
}
