//! `/storage/{bucket}/{key…}`: who may have what without a login, and for how long.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use safelight::config::Config;
use safelight::imaging;
use safelight::keys::Purpose;
use serde_json::{Value, json};

use crate::pictures;
use crate::support::{Browser, TestServer, problem};

/// An appliance with a private bucket that holds `trips/harbour.jpg`, and its owner.
async fn start(change: impl FnOnce(&mut Config)) -> (TestServer, Browser, Value) {
    let server = TestServer::start_with(change).await;
    let owner = server.setup_owner().await;
    let media = upload(&owner, "trips", "harbour.jpg", pictures::jpeg_with_place(900, 600)).await;
    (server, owner, media)
}

async fn upload(owner: &Browser, folder: &str, name: &str, bytes: Vec<u8>) -> Value {
    let part = reqwest::multipart::Part::bytes(bytes).file_name(name.to_owned());
    let form = reqwest::multipart::Form::new()
        .text("folder", folder.to_owned())
        .text("on_conflict", "replace")
        .part("file", part);
    let answer = owner.post("/api/v1/media").multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    answer.json::<Value>().await.unwrap()["items"][0].clone()
}

fn path(media: &Value) -> String {
    format!("/storage/{}/{}", media["bucket"].as_str().unwrap(), media["key"].as_str().unwrap())
}

async fn publish(owner: &Browser, media: &Value, change: Value) {
    let bucket = format!("/api/v1/buckets/{}", media["bucket"].as_str().unwrap());
    let changed = owner.patch(&bucket).json(&change).send().await.unwrap();
    assert_eq!(changed.status(), 200);
}

async fn sign(owner: &Browser, media: &Value, form: Value) -> Value {
    let answer = ask_to_sign(owner, media, form).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn ask_to_sign(owner: &Browser, media: &Value, form: Value) -> Response {
    let path = format!("/api/v1/media/{}/signed-urls", media["id"].as_str().unwrap());
    owner.post(&path).json(&form).send().await.unwrap()
}

/// Fetches without cookies.
async fn fetch(url: &str) -> Response {
    reqwest::get(url).await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn tells_place(bytes: &[u8]) -> bool {
    imaging::probe_bytes(bytes).unwrap().metadata.position.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_public_buckets_and_readers_see_all() {
    let (server, owner, media) = start(|_| ()).await;
    let stranger = server.browser();
    let get = async |browser: &Browser, query: &str| {
        browser.get(&format!("{}{query}", path(&media))).send().await.unwrap()
    };
    // What is private looks like what does not exist.
    let hidden = problem(get(&stranger, "").await, 404, "not-found").await;
    let nothing =
        problem(stranger.get("/storage/nothing/a.jpg").send().await.unwrap(), 404, "not-found").await;
    assert_eq!(hidden["detail"], nothing["detail"]);
    for query in ["?w=10", "?preset=thumb", "?preset=unheard-of", "?v=12345678"] {
        problem(get(&stranger, query).await, 404, "not-found").await;
    }
    let viewer = server.add_user(&owner, "viewer").await;
    for query in ["", "?w=10", "?preset=thumb"] {
        let answer = get(&viewer, query).await;
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(header(&answer, "cache-control"), "private, no-cache");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin");
    }
    problem(get(&viewer, "?preset=unheard-of").await, 400, "bad-transform").await;
    let original = get(&viewer, "").await.bytes().await.unwrap();
    assert!(tells_place(&original), "who may read the library gets what was uploaded");
    let token = json!({ "name": "t", "scopes": ["library.write"] });
    let made: Value = owner.post("/api/v1/tokens").json(&token).send().await.unwrap().json().await.unwrap();
    let blind =
        reqwest::Client::new().get(server.url(&path(&media))).bearer_auth(made["token"].as_str().unwrap());
    problem(blind.send().await.unwrap(), 404, "not-found").await;

    publish(&owner, &media, json!({ "visibility": "public" })).await;
    for query in ["", "?preset=thumb", "?preset=grid", "?preset=screen"] {
        let answer = get(&stranger, query).await;
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=300, must-revalidate");
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "cross-origin");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        let named = format!(
            "{query}{}v={}",
            if query.is_empty() { "?" } else { "&" },
            &media["sha256"].as_str().unwrap()[..16]
        );
        assert_eq!(
            header(&get(&stranger, &named).await, "cache-control"),
            "public, max-age=31536000, immutable"
        );
    }
    problem(get(&stranger, "?w=10").await, 403, "signature-invalid").await;
    problem(get(&stranger, "?preset=unheard-of").await, 400, "bad-transform").await;
    let own = get(&owner, "?w=10").await;
    assert_eq!((own.status(), header(&own, "cache-control")), (StatusCode::OK, "private, no-cache"));
    let head = stranger.http.head(server.url(&path(&media))).send().await.unwrap();
    assert_eq!(
        (head.status(), header(&head, "content-length")),
        (StatusCode::OK, original.len().to_string().as_str())
    );
    let url = server.url(&path(&media));
    assert_eq!(stranger.http.put(&url).body("x").send().await.unwrap().status(), 405);
    for odd in [
        "/storage/",
        "/storage/main",
        "/storage/main/",
        "/storage/Main/a",
        "/storage/main/%FF",
        "/storage/main/%00",
    ] {
        assert_eq!(stranger.get(odd).send().await.unwrap().status(), 404, "{odd}");
    }
    // A name with everything in it.
    let odd = upload(&owner, "a b/ü?#", "100% \"ja\" +&=.txt", b"odd".to_vec()).await;
    let signed = sign(&owner, &odd, json!({})).await;
    assert_eq!(fetch(signed["url"].as_str().unwrap()).await.bytes().await.unwrap(), "odd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_goes_public_does_not_tell_where_it_was_taken() {
    let (server, owner, media) = start(|_| ()).await;
    let address = server.url(&path(&media));
    let signed = sign(&owner, &media, json!({})).await;
    let rendered = sign(&owner, &media, json!({ "transform": "strip=0&w=90&format=jpeg" })).await;
    publish(&owner, &media, json!({ "visibility": "public" })).await;
    let original = owner.get(&format!("/api/v1/media/{}/content", media["id"].as_str().unwrap()));
    let original = original.send().await.unwrap().bytes().await.unwrap();
    assert!(tells_place(&original));

    let public = fetch(&address).await;
    let etag = header(&public, "etag").to_owned();
    assert_ne!(etag, format!("\"{}\"", media["sha256"].as_str().unwrap()));
    let bytes = public.bytes().await.unwrap();
    assert_eq!(bytes.len(), original.len());
    assert!(!tells_place(&bytes) && bytes != original);
    for url in [signed["url"].as_str().unwrap(), rendered["url"].as_str().unwrap()] {
        assert!(!tells_place(&fetch(url).await.bytes().await.unwrap()), "{url}");
    }
    // Ranges are ranges of what is sent, and conditions compare with it.
    let client = reqwest::Client::new();
    let part =
        client.get(&address).header("range", "bytes=0-199").header("if-range", &etag).send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), bytes[..200]);
    let same = client.get(&address).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(same.status(), 304);

    publish(&owner, &media, json!({ "keep_location": true })).await;
    let kept = fetch(&address).await;
    assert_eq!(header(&kept, "etag"), format!("\"{}\"", media["sha256"].as_str().unwrap()));
    assert_eq!(kept.bytes().await.unwrap(), original);

    // A large one is streamed from the disk.
    publish(&owner, &media, json!({ "keep_location": false })).await;
    let mut large = pictures::jpeg_with_place(200, 200);
    large.extend(vec![0; 700_000]);
    let hidden = pictures::jpeg_with_place(64, 64);
    large.extend(&hidden);
    let media = upload(&owner, "", "large.jpg", large.clone()).await;
    let sent = fetch(&server.url(&path(&media))).await.bytes().await.unwrap();
    assert_eq!(sent.len(), large.len());
    let behind = large.len() - hidden.len();
    assert!(!tells_place(&sent) && !tells_place(&sent[behind..]));
    let part = client
        .get(server.url(&path(&media)))
        .header("range", format!("bytes={behind}-"))
        .send()
        .await
        .unwrap();
    assert_eq!(part.bytes().await.unwrap(), sent[behind..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_address_is_good_for_what_it_says_until_it_is_over() {
    let (server, owner, media) = start(|_| ()).await;
    let form = json!({ "expires_in_s": 3600, "transform": { "w": 90, "format": "webp" } });
    let signed = sign(&owner, &media, form).await;
    let url = signed["url"].as_str().unwrap();
    assert!(url.starts_with(&server.url("/storage/")), "{url}");
    let answer = fetch(url).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), "image/webp");
    assert_eq!(header(&answer, "cache-control"), "public, max-age=3600, must-revalidate");
    assert_eq!(header(&answer, "cross-origin-resource-policy"), "cross-origin");
    assert_eq!(answer.headers().get_all("vary").iter().filter(|value| *value == "accept").count(), 0);

    // Everything that it binds.
    let other = upload(&owner, "trips", "boat.jpg", pictures::jpeg(80, 60)).await;
    let tampered = [
        url.replace("harbour", "boat"),
        url.replace("w=90", "w=91"),
        url.replace("format=webp&", ""),
        format!("{url}&h=10"),
        format!("{url}&preset=thumb"),
        url.replace("v=", "v=0"),
        url.replace("expires=", "expires=1"),
        url.replace("kid=", "kid=0"),
        url.replace("signature=", "signature=A"),
        url[..url.len() - 1].to_owned(),
        url.split("&signature").next().unwrap().to_owned(),
        format!("{url}&signature=A"),
        url.replace("/storage/", "/storage/x"),
    ];
    for bad in &tampered {
        let answer = fetch(bad).await;
        let body =
            if answer.status() == 400 { continue } else { problem(answer, 403, "signature-invalid").await };
        assert!(!body.to_string().contains("harbour"));
    }
    // What is not bound does no harm, and the order of parameters is free.
    assert_eq!(fetch(&format!("{url}&download=1&utm_source=mail")).await.status(), 200);
    let (start, query) = url.split_once('?').unwrap();
    let reversed: Vec<&str> = query.split('&').rev().collect();
    assert_eq!(fetch(&format!("{start}?{}", reversed.join("&"))).await.status(), 200);

    // The content of the time of signing, not a later one.
    let plain = sign(&owner, &media, json!({})).await;
    let before = fetch(plain["url"].as_str().unwrap()).await.bytes().await.unwrap();
    upload(&owner, "trips", "harbour.jpg", pictures::jpeg(333, 222)).await;
    assert_eq!(fetch(plain["url"].as_str().unwrap()).await.bytes().await.unwrap(), before);
    // What lies in the trash is not there.
    let boat = sign(&owner, &other, json!({})).await;
    let id = other["id"].as_str().unwrap();
    assert_eq!(owner.delete(&format!("/api/v1/media/{id}")).send().await.unwrap().status(), 204);
    problem(fetch(boat["url"].as_str().unwrap()).await, 404, "not-found").await;
    problem(ask_to_sign(&owner, &other, json!({})).await, 409, "in-trash").await;

    server.clock.advance(Duration::from_secs(3599));
    let last = fetch(url).await;
    assert_eq!(
        (last.status(), header(&last, "cache-control")),
        (StatusCode::OK, "public, max-age=1, must-revalidate")
    );
    server.clock.advance(Duration::from_secs(1));
    let over = fetch(url).await;
    assert_eq!(header(&over, "cache-control"), "no-store");
    problem(over, 403, "signature-expired").await;
    // Over is told only to whoever has the real one.
    problem(fetch(&url.replace("w=90", "w=91")).await, 403, "signature-invalid").await;
    // A login does not mend an address that is over.
    let (_, path) = url.split_at(server.url("").len());
    problem(owner.get(path).send().await.unwrap(), 403, "signature-expired").await;

    for (form, status, code) in [
        (json!({ "expires_in_s": 59 }), 422, "validation"),
        (json!({ "expires_in_s": 31_536_001 }), 422, "validation"),
        (json!({ "transform": "w=0" }), 400, "bad-transform"),
        (json!({ "transform": { "width": 5 } }), 400, "bad-transform"),
        (json!({ "transform": "preset=unheard-of" }), 400, "bad-transform"),
    ] {
        problem(ask_to_sign(&owner, &media, form).await, status, code).await;
    }
    problem(ask_to_sign(&server.browser(), &media, json!({})).await, 401, "not-signed-in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_leaves_old_addresses_good_unless_they_are_to_end() {
    let (server, owner, media) = start(|_| ()).await;
    let first = sign(&owner, &media, json!({})).await["url"].as_str().unwrap().to_owned();
    // As another process, the command line, does it.
    let keys = safelight::keys::Keys::new(server.dir.path().join("data/keys"), server.clock.clone());
    keys.rotate(Purpose::SignedUrls, false).unwrap();
    let second = sign(&owner, &media, json!({})).await["url"].as_str().unwrap().to_owned();
    let kid = |url: &str| url.split("kid=").nth(1).unwrap()[..8].to_owned();
    assert_ne!(kid(&first), kid(&second));
    assert_eq!(
        (fetch(&first).await.status(), fetch(&second).await.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    // A signature of one key under the name of the other is none.
    problem(fetch(&first.replace(&kid(&first), &kid(&second))).await, 403, "signature-invalid").await;
    keys.rotate(Purpose::SignedUrls, true).unwrap();
    for old in [&first, &second] {
        problem(fetch(old).await, 403, "signature-invalid").await;
    }
    let third = sign(&owner, &media, json!({})).await;
    assert_eq!(fetch(third["url"].as_str().unwrap()).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_begin_as_the_configuration_says() {
    let (_server, owner, media) = start(|config| {
        config.server.public_url = safelight::config::PublicUrl::parse("https://photos.example.org").ok();
    })
    .await;
    let url = sign(&owner, &media, json!({})).await["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://photos.example.org/storage/"), "{url}");
    let (_server, owner, media) = start(|config| {
        config.server.public_url = safelight::config::PublicUrl::parse("https://photos.example.org").ok();
        config.delivery.public_base_url = safelight::config::PublicUrl::parse("https://cdn.example.org").ok();
    })
    .await;
    let url = sign(&owner, &media, json!({})).await["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://cdn.example.org/storage/"), "{url}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_names_renderings_and_a_change_is_seen_at_once() {
    let (server, owner, media) = start(|_| ()).await;
    publish(&owner, &media, json!({ "visibility": "public" })).await;
    let put = async |browser: &Browser, name: &str, transform: Value| {
        let path = server.url(&format!("/api/v1/delivery/presets/{name}"));
        browser.http.put(path).json(&json!({ "transform": transform })).send().await.unwrap()
    };
    let made = put(&owner, "hero", json!({ "h": 100, "w": 120, "fit": "cover", "format": "jpeg" })).await;
    assert_eq!(made.status(), 200);
    let made: Value = made.json().await.unwrap();
    assert_eq!(
        made,
        json!({ "name": "hero", "transform": "fit=cover&format=jpeg&h=100&w=120", "builtin": false })
    );
    let listed = owner.json("/api/v1/delivery/presets").await;
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|preset| preset["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["thumb", "grid", "screen", "hero"]);

    let address =
        format!("{}?preset=hero&v={}", server.url(&path(&media)), &media["sha256"].as_str().unwrap()[..16]);
    let signed = sign(&owner, &media, json!({ "transform": "preset=hero" })).await;
    let mut etags = Vec::new();
    for (transform, size) in [(Value::Null, (120, 100)), (json!("w=60&format=jpeg"), (60, 40))] {
        if !transform.is_null() {
            assert_eq!(put(&owner, "hero", transform).await.status(), 200);
        }
        for url in [&address, signed["url"].as_str().unwrap()] {
            let answer = fetch(url).await;
            assert_eq!(answer.status(), 200, "{url}");
            assert!(!header(&answer, "cache-control").contains("immutable"), "an admin may change it");
            etags.push(header(&answer, "etag").to_owned());
            let probe = imaging::probe_bytes(&answer.bytes().await.unwrap()).unwrap();
            assert_eq!((probe.width, probe.height), size);
        }
    }
    assert!(etags[0] == etags[1] && etags[1] != etags[2] && etags[2] == etags[3], "{etags:?}");

    problem(put(&owner, "thumb", json!("w=5")).await, 409, "builtin-preset").await;
    problem(put(&owner, "Hero", json!("w=5")).await, 422, "validation").await;
    problem(put(&owner, &"x".repeat(65), json!("w=5")).await, 422, "validation").await;
    for bad in [json!("w=0"), json!("width=5"), json!(""), json!("preset=hero"), json!({ "w": "5&h=5" })] {
        problem(put(&owner, "hero", bad).await, 400, "bad-transform").await;
    }
    let editor = server.add_user(&owner, "editor").await;
    problem(put(&editor, "mine", json!("w=5")).await, 403, "forbidden").await;
    assert_eq!(editor.json("/api/v1/delivery/presets").await["items"].as_array().unwrap().len(), 4);

    let remove = async || owner.delete("/api/v1/delivery/presets/hero").send().await.unwrap();
    assert_eq!(remove().await.status(), 204);
    problem(remove().await, 404, "not-found").await;
    problem(fetch(&address).await, 400, "bad-transform").await;
    problem(owner.delete("/api/v1/delivery/presets/grid").send().await.unwrap(), 409, "builtin-preset").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_is_forgotten_with_the_next_change() {
    let (server, owner, media) = start(|_| ()).await;
    let address = server.url(&path(&media));
    let status = async || fetch(&address).await.status().as_u16();
    for _ in 0..2 {
        publish(&owner, &media, json!({ "visibility": "public" })).await;
        assert_eq!((status().await, status().await), (200, 200));
        publish(&owner, &media, json!({ "visibility": "private" })).await;
        assert_eq!((status().await, status().await), (404, 404));
    }
    publish(&owner, &media, json!({ "visibility": "public" })).await;
    let before = fetch(&address).await.bytes().await.unwrap();
    upload(&owner, "trips", "harbour.jpg", pictures::jpeg(50, 40)).await;
    assert_ne!(fetch(&address).await.bytes().await.unwrap(), before);
    let id = media["id"].as_str().unwrap();
    assert_eq!(owner.delete(&format!("/api/v1/media/{id}")).send().await.unwrap().status(), 204);
    assert_eq!(status().await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_run_is_never_shown_to_strangers_either() {
    let (server, owner, media) = start(|_| ()).await;
    publish(&owner, &media, json!({ "visibility": "public" })).await;
    for (name, bytes) in [
        ("page.html", "<!DOCTYPE html><script>1</script>"),
        ("a.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ] {
        let media = upload(&owner, "", name, bytes.as_bytes().to_vec()).await;
        let answer = fetch(&server.url(&path(&media))).await;
        assert!(header(&answer, "content-disposition").starts_with("attachment"));
        assert!(header(&answer, "content-security-policy").starts_with("sandbox"));
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
}
