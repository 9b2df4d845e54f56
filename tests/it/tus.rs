//! Files that arrive in several goes: tus 1.0.0, with senders that lie, hang, come twice or never come back.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use md5::{Digest, Md5};
use reqwest::{Body, Method, RequestBuilder, Response};
use safelight::storage::Storage;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::appliance::{Appliance, until};
use crate::mounts::skipped;
use crate::storage::noise;
use crate::support::{Browser, PASSWORD, TestServer, problem};

const UPLOADS: &str = "/api/v1/uploads";
const BYTES: &str = "application/offset+octet-stream";

/// What a sender says about a file.
fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k} {}", BASE64_STANDARD.encode(v))).collect();
    pairs.join(",")
}

fn tus(request: RequestBuilder) -> RequestBuilder {
    request.header("tus-resumable", "1.0.0")
}

fn creation(browser: &Browser, length: usize, name: &str) -> RequestBuilder {
    tus(browser.post(UPLOADS))
        .header("upload-length", length)
        .header("upload-metadata", metadata(&[("filename", name)]))
}

/// Begins an upload and returns its address.
async fn create(browser: &Browser, length: usize, name: &str) -> String {
    location(creation(browser, length, name).send().await.unwrap()).await
}

async fn location(answer: Response) -> String {
    let location = answer.headers().get("location").map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    location.unwrap()
}

fn patch(browser: &Browser, address: &str, offset: usize, body: impl Into<Body>) -> RequestBuilder {
    tus(browser.patch(address)).header("upload-offset", offset).header("content-type", BYTES).body(body)
}

async fn send(browser: &Browser, address: &str, offset: usize, body: impl Into<Body>) -> Response {
    patch(browser, address, offset, body).send().await.unwrap()
}

async fn head(browser: &Browser, address: &str) -> Response {
    tus(browser.request(Method::HEAD, address)).send().await.unwrap()
}

fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name).unwrap_or_else(|| panic!("{}: no {name}", answer.status()));
    value.to_str().unwrap().to_owned()
}

/// Where an upload stands.
async fn offset(browser: &Browser, address: &str) -> usize {
    let answer = head(browser, address).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    header(&answer, "upload-offset").parse().unwrap()
}

/// A body of whose length nothing is said.
fn endless_or_not(pieces: Vec<Bytes>) -> Body {
    Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
}

async fn content(browser: &Browser, answer: &Response) -> Bytes {
    let id = header(answer, "safelight-media-id");
    browser.get(&format!("/api/v1/media/{id}/content")).send().await.unwrap().bytes().await.unwrap()
}

fn staged(server: &TestServer) -> usize {
    server.app.storage.list_staged().unwrap().len()
}

/// Lets the job run that the schedule runs every hour.
async fn tidy(server: &TestServer) {
    safelight::uploads::pick_up(&server.app).await.unwrap();
    assert!(server.run_jobs().await > 0);
}

async fn count(browser: &Browser) -> usize {
    browser.json("/api/v1/media").await["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_abilities_are_told_and_other_versions_refused() {
    let server = TestServer::start_with(|config| config.limits.max_upload_bytes = Some(5000)).await;
    let options = server.browser().request(Method::OPTIONS, UPLOADS).send().await.unwrap();
    assert_eq!(options.status(), 204);
    assert_eq!(header(&options, "tus-version"), "1.0.0");
    assert_eq!(header(&options, "tus-max-size"), "5000");
    assert_eq!(header(&options, "tus-checksum-algorithm"), "sha1,sha256,md5,crc32");
    let extensions = header(&options, "tus-extension");
    for extension in [
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "termination",
        "concatenation",
    ] {
        assert!(extensions.split(',').any(|e| e == extension), "{extensions}");
    }
    let owner = server.setup_owner().await;
    let address = create(&owner, 3, "a").await;
    for request in [
        owner.post(UPLOADS).header("upload-length", 3),
        owner.post(UPLOADS).header("upload-length", 3).header("tus-resumable", "0.2.2"),
        owner.patch(&address).header("upload-offset", 0).header("content-type", BYTES).body("abc"),
        owner.delete(&address),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(header(&answer, "tus-version"), "1.0.0");
        assert_eq!(header(&answer, "tus-resumable"), "1.0.0");
        problem(answer, 412, "tus-version").await;
    }
    assert_eq!(offset(&owner, &address).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_arrives_in_pieces_and_is_in_the_library_when_that_is_answered() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let bytes = noise(1, 1_200_000);
    let said = metadata(&[
        ("filename", "Cafe\u{301}.bin"),
        ("filetype", "image/png"),
        ("bucket", "photos"),
        ("folder", "trip/day 1"),
        ("modified", "1234567890000"),
    ]);
    let create =
        tus(owner.post(UPLOADS)).header("upload-length", bytes.len()).header("upload-metadata", &said);
    let address = location(create.send().await.unwrap()).await;
    assert!(address.starts_with("/api/v1/uploads/"), "{address}");

    let answer = head(&owner, &address).await;
    assert_eq!(header(&answer, "upload-length"), "1200000");
    assert_eq!(header(&answer, "upload-metadata"), said);
    assert!(header(&answer, "upload-expires").ends_with(" GMT"));
    let mut at = 0;
    for end in [1, 500_000, 1_100_000] {
        let answer = send(&owner, &address, at, bytes.slice(at..end)).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "upload-offset")), (204, end.to_string()));
        assert_eq!(offset(&owner, &address).await, end);
        at = end;
    }
    assert_eq!(count(&owner).await, 0);
    let unfinished = owner.json(UPLOADS).await;
    let one = &unfinished["items"][0];
    assert_eq!((one["state"].as_str(), one["offset"].as_u64()), (Some("receiving"), Some(1_100_000)));
    assert_eq!(
        (one["filename"].as_str(), one["folder"].as_str()),
        (Some("Caf\u{e9}.bin"), Some("trip/day 1"))
    );

    let last = send(&owner, &address, at, bytes.slice(at..)).await;
    assert_eq!(last.status(), 204);
    assert_eq!(content(&owner, &last).await, bytes);
    let info = owner.json(&address).await;
    assert_eq!(
        (info["state"].as_str(), info["media_id"].as_str()),
        (Some("done"), Some(header(&last, "safelight-media-id").as_str()))
    );
    let media = owner.json(&format!("/api/v1/media/{}", info["media_id"].as_str().unwrap())).await;
    assert_eq!(media["key"], "trip/day 1/Caf\u{e9}.bin");
    assert_eq!(media["content_type"], "application/octet-stream", "what it is is found out, not believed");
    assert_eq!(staged(&server), 0);
    assert_eq!(owner.json(UPLOADS).await["items"], json!([]));
    // The answer may be lost on its way: asking again, and sending nothing again, tells the same.
    let again = head(&owner, &address).await;
    assert_eq!(header(&again, "upload-offset"), "1200000");
    assert_eq!(header(&again, "safelight-media-id"), header(&last, "safelight-media-id"));
    let again = send(&owner, &address, bytes.len(), "").await;
    assert_eq!(
        (again.status().as_u16(), header(&again, "safelight-media-id")),
        (204, header(&last, "safelight-media-id"))
    );
    assert_eq!(count(&owner).await, 1);
    // It is sorted by the date that its sender gave.
    owner.upload_ok("today.bin", "x").await;
    let oldest = owner.json("/api/v1/media?sort=taken&limit=1").await;
    assert_eq!(oldest["items"][0]["name"], "Caf\u{e9}.bin");
    let audit = owner.json("/api/v1/audit?action=media.upload").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
    assert_eq!(audit["items"][1]["actor"]["name"], "Olive Owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_begin_with_bytes_without_any_and_without_a_length() {
    let server = TestServer::start_with(|config| config.server.base_path = "/photos".into()).await;
    let below = |path: &str| format!("/photos{path}");
    let browser = server.browser();
    let token = safelight::accounts::setup_token(&server.app).await.unwrap().unwrap();
    let form = json!({ "token": token, "name": "Olive", "email": "olive@example.org", "password": PASSWORD, "sample": false });
    assert_eq!(browser.post(&below("/api/v1/setup")).json(&form).send().await.unwrap().status(), 201);
    let begin = || tus(browser.post(&below(UPLOADS)));
    let named = |name: &str| metadata(&[("filename", name)]);

    let all = begin()
        .header("upload-length", 5)
        .header("upload-metadata", named("all"))
        .header("content-type", BYTES)
        .body("hello");
    let all = all.send().await.unwrap();
    assert_eq!(
        (header(&all, "upload-offset").as_str(), all.headers().contains_key("safelight-media-id")),
        ("5", true)
    );
    let some = begin()
        .header("upload-length", 5)
        .header("upload-metadata", named("some"))
        .header("content-type", BYTES)
        .body("he");
    let some = some.send().await.unwrap();
    assert_eq!(header(&some, "upload-offset"), "2");
    let address = location(some).await;
    assert!(address.starts_with("/photos/api/v1/uploads/"), "{address}");
    assert_eq!(send(&browser, &address, 2, "llo").await.status(), 204);
    let empty =
        begin().header("upload-length", 0).header("upload-metadata", named("empty")).send().await.unwrap();
    assert!(empty.headers().contains_key("safelight-media-id"));

    let later = begin().header("upload-defer-length", 1).header("upload-metadata", named("later"));
    let address = location(later.send().await.unwrap()).await;
    assert_eq!(send(&browser, &address, 0, "hel").await.status(), 204);
    let answer = head(&browser, &address).await;
    assert_eq!(
        (header(&answer, "upload-defer-length").as_str(), header(&answer, "upload-offset").as_str()),
        ("1", "3")
    );
    let short = patch(&browser, &address, 3, "lo").header("upload-length", 2).send().await.unwrap();
    problem(short, 400, "length-known").await;
    let last = patch(&browser, &address, 3, "lo").header("upload-length", 5).send().await.unwrap();
    assert_eq!((last.status().as_u16(), last.headers().contains_key("safelight-media-id")), (204, true));

    let media = browser.json(&below("/api/v1/media?sort=name")).await;
    let names: Vec<_> = media["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["name"].as_str().unwrap(), m["size_bytes"].as_u64().unwrap()))
        .collect();
    assert_eq!(names, [("all", 5), ("empty", 0), ("later", 5), ("some", 5)]);
    assert_eq!(staged(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_about_offset_length_and_type_change_nothing() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let address = create(&owner, 10, "a.bin").await;
    assert_eq!(send(&owner, &address, 0, "01234").await.status(), 204);
    for lie in [0, 4, 6, 10, 1_000_000] {
        let told = problem(send(&owner, &address, lie, "56789").await, 409, "wrong-offset").await;
        assert_eq!(told["offset"], 5);
    }
    let without = |name: &str| {
        let mut request = tus(owner.patch(&address)).body("56789");
        if name != "upload-offset" {
            request = request.header("upload-offset", 5);
        }
        if name != "content-type" {
            request = request.header("content-type", BYTES);
        }
        request.send()
    };
    problem(without("upload-offset").await.unwrap(), 400, "bad-header").await;
    problem(without("content-type").await.unwrap(), 415, "not-bytes").await;
    for wrong in ["-1", "5.0", "0x5", "99999999999999999999", "five", ""] {
        let request = tus(owner.patch(&address)).header("upload-offset", wrong).header("content-type", BYTES);
        problem(request.body("56789").send().await.unwrap(), 400, "bad-header").await;
    }
    problem(send(&owner, &address, 5, "567890").await, 413, "upload-too-long").await;
    let pieces = vec![Bytes::from_static(b"56789"), Bytes::from(vec![b'!'; 2_000_000])];
    problem(send(&owner, &address, 5, endless_or_not(pieces)).await, 413, "upload-too-long").await;
    let longer = patch(&owner, &address, 5, "56789").header("upload-length", 11).send().await.unwrap();
    problem(longer, 400, "length-known").await;
    assert_eq!(offset(&owner, &address).await, 5);
    let last = send(&owner, &address, 5, "56789").await;
    assert_eq!(content(&owner, &last).await, "0123456789");
    problem(send(&owner, &address, 5, "56789").await, 409, "wrong-offset").await;

    for (name, values) in [
        ("upload-length", ["-1", "x", "1e9", "99999999999999999999"]),
        ("upload-defer-length", ["0", "2", "yes", ""]),
        ("upload-concat", ["x", "final;", "partial;1", "final"]),
        ("upload-metadata", ["a b c", "a ?", "a YQ==,a YQ==", ","]),
    ] {
        for value in values {
            let mut request = tus(owner.post(UPLOADS)).header(name, value);
            if name == "upload-concat" || name == "upload-metadata" {
                request = request.header("upload-length", 1);
            }
            problem(request.send().await.unwrap(), 400, "bad-header").await;
        }
    }
    problem(tus(owner.post(UPLOADS)).send().await.unwrap(), 400, "bad-header").await;
    assert_eq!((count(&owner).await, staged(&server)), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_places_are_looked_at_before_anything_is_sent() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let ask = |pairs: &[(&str, &str)]| {
        tus(owner.post(UPLOADS)).header("upload-length", 1).header("upload-metadata", metadata(pairs)).send()
    };
    let (long, too_long) = ("x".repeat(255), "x".repeat(256));
    for name in ["", ".", "..", "a/b", "a\\b", "nul\0l", "tab\tbed", "evil\u{202e}gpj.exe", &too_long] {
        problem(ask(&[("filename", name)]).await.unwrap(), 422, "bad-name").await;
    }
    problem(ask(&[("filename", "a"), ("folder", "a/../b")]).await.unwrap(), 422, "bad-name").await;
    problem(ask(&[("filename", "a"), ("bucket", "nowhere")]).await.unwrap(), 404, "not-found").await;
    problem(ask(&[("filename", "a"), ("on_conflict", "maybe")]).await.unwrap(), 422, "validation").await;
    problem(ask(&[("filename", "a"), ("modified", "yesterday")]).await.unwrap(), 422, "validation").await;
    let binary = format!("filename {}", BASE64_STANDARD.encode([0xff, 0xfe]));
    let binary = tus(owner.post(UPLOADS)).header("upload-length", 1).header("upload-metadata", binary);
    problem(binary.send().await.unwrap(), 422, "validation").await;
    let address = location(ask(&[("filename", &long)]).await.unwrap()).await;
    assert_eq!(send(&owner, &address, 0, "x").await.status(), 204);
    assert_eq!(owner.json("/api/v1/media").await["items"][0]["name"], long);
    // Programs that say nothing about the file are served too.
    let address = location(tus(owner.post(UPLOADS)).header("upload-length", 1).send().await.unwrap()).await;
    assert_eq!(send(&owner, &address, 0, "x").await.status(), 204);
    assert_eq!(owner.json("/api/v1/media?q=untitled").await["items"][0]["name"], "Untitled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_numbered_replaced_or_refused_as_asked() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("a.txt", "old").await;
    let ask = |name: &str, on_conflict: &str| {
        let said = metadata(&[("filename", name), ("on_conflict", on_conflict)]);
        tus(owner.post(UPLOADS)).header("upload-length", 3).header("upload-metadata", said).send()
    };
    problem(ask("a.txt", "refuse").await.unwrap(), 409, "name-taken").await;
    for (how, name, versions) in [("rename", "a (2).txt", 1), ("replace", "a.txt", 2)] {
        let address = location(ask("a.txt", how).await.unwrap()).await;
        let last = send(&owner, &address, 0, "new").await;
        let media = owner.json(&format!("/api/v1/media/{}", header(&last, "safelight-media-id"))).await;
        assert_eq!((media["name"].as_str(), media["versions"].as_u64()), (Some(name), Some(versions)));
    }
    // Somebody else takes the name while the bytes are on their way.
    let address = location(ask("b.txt", "refuse").await.unwrap()).await;
    owner.upload_ok("b.txt", "other").await;
    problem(send(&owner, &address, 0, "new").await, 409, "name-taken").await;
    let info = owner.json(&address).await;
    assert_eq!(
        (info["state"].as_str(), info["problem"]["type"].as_str()),
        (Some("failed"), Some("/problems/name-taken"))
    );
    assert_eq!(head(&owner, &address).await.status(), 410);
    problem(send(&owner, &address, 3, "").await, 410, "upload-failed").await;
    assert_eq!(staged(&server), 0);
    assert_eq!(count(&owner).await, 3);
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    crc32fast::hash(bytes).to_be_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_chunk_with_a_wrong_checksum_nothing_stays() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let bytes = noise(7, 4_000_000);
    let address = create(&owner, bytes.len(), "checked.bin").await;
    let digest = |algorithm: &str, part: &[u8]| {
        let digest = match algorithm {
            "sha1" => Sha1::digest(part).to_vec(),
            "sha256" => Sha256::digest(part).to_vec(),
            "md5" => Md5::digest(part).to_vec(),
            _ => crc32(part).to_vec(),
        };
        format!("{algorithm} {}", BASE64_STANDARD.encode(digest))
    };
    for (i, algorithm) in ["sha1", "sha256", "md5", "crc32"].into_iter().enumerate() {
        let (from, to) = (i * 1_000_000, (i + 1) * 1_000_000);
        let part = bytes.slice(from..to);
        let wrong =
            patch(&owner, &address, from, part.clone()).header("upload-checksum", digest(algorithm, b"x"));
        problem(wrong.send().await.unwrap(), 460, "wrong-checksum").await;
        assert_eq!(offset(&owner, &address).await, from);
        if algorithm == "sha256" {
            // Half a chunk can't be checked, so it does not count.
            let broken: Vec<Result<Bytes, std::io::Error>> =
                vec![Ok(part.slice(..700_000)), Err(std::io::Error::other("the network is gone"))];
            let broken = patch(&owner, &address, from, Body::wrap_stream(stream::iter(broken)));
            broken.header("upload-checksum", digest(algorithm, &part)).send().await.unwrap_err();
            until("the broken chunk is given up", async || {
                send(&owner, &address, from, "").await.status() == 204
            })
            .await;
            assert_eq!(offset(&owner, &address).await, from);
        }
        let right =
            patch(&owner, &address, from, part.clone()).header("upload-checksum", digest(algorithm, &part));
        let right = right.send().await.unwrap();
        assert_eq!(right.status(), 204, "{algorithm}: {}", right.text().await.unwrap());
    }
    let again = head(&owner, &address).await;
    assert_eq!(content(&owner, &again).await, bytes);

    let address = create(&owner, 3, "x").await;
    for nonsense in ["sha512 AAAA", "sha1", "sha1 AAAA", "sha1 ?", "md5 AAAAAA=="] {
        let request = patch(&owner, &address, 0, "abc").header("upload-checksum", nonsense);
        problem(request.send().await.unwrap(), 400, "bad-header").await;
    }
    let wrong =
        creation(&owner, 3, "y").header("content-type", BYTES).header("upload-checksum", digest("md5", b"x"));
    problem(wrong.body("abc").send().await.unwrap(), 460, "wrong-checksum").await;
    assert_eq!(
        owner.json(UPLOADS).await["items"].as_array().unwrap().len(),
        1,
        "what nobody was told of is gone"
    );
}

/// Logs in by hand and returns the cookie, to do what no well-behaved program does.
async fn cookie(browser: &Browser) -> String {
    let form = json!({ "email": "olive@example.org", "password": PASSWORD });
    let answer = browser.post("/api/v1/auth/login").json(&form).send().await.unwrap();
    answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Begins to send and then falls silent, with the connection open.
async fn stuck(server: &TestServer, address: &str, from: usize, length: usize, bytes: &[u8]) -> TcpStream {
    let cookie = cookie(&server.browser()).await;
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "PATCH {address} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nsec-fetch-site: same-origin\r\n\
         tus-resumable: 1.0.0\r\nupload-offset: {from}\r\ncontent-type: {BYTES}\r\ncontent-length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn two_senders_don_t_meet_and_a_dead_one_blocks_nobody() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let bytes = noise(3, 3_000_000);
    let address = create(&owner, bytes.len(), "once.bin").await;
    // Both begin at the same place: one is served, the other is told at once.
    let slowly = |bytes: Bytes| {
        let pieces: Vec<Bytes> = bytes.chunks(100_000).map(Bytes::copy_from_slice).collect();
        Body::wrap_stream(stream::iter(pieces).then(|piece| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, std::io::Error>(piece)
        }))
    };
    let first = patch(&owner, &address, 0, slowly(bytes.slice(..2_000_000))).send();
    let second = async {
        until("the first one is under way", async || staged(&server) == 1).await;
        patch(&owner, &address, 0, bytes.slice(..1000)).send().await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().status(), 204);
    problem(second.unwrap(), 423, "upload-locked").await;
    assert_eq!(offset(&owner, &address).await, 2_000_000);

    let connection = stuck(&server, &address, 2_000_000, 1_000_000, &bytes[2_000_000..2_600_000]).await;
    // Whoever asks gets an answer, and once the other has been silent for a while all that it sent.
    until("the silent one has left", async || offset(&owner, &address).await == 2_600_000).await;
    let last = send(&owner, &address, 2_600_000, bytes.slice(2_600_000..)).await;
    assert_eq!(last.status(), 204);
    assert_eq!(content(&owner, &last).await, bytes);
    drop(connection);

    // One that does not even ask takes over too.
    let address = create(&owner, 1000, "twice.bin").await;
    let _connection = stuck(&server, &address, 0, 1000, &bytes[..400]).await;
    until("it is under way", async || staged(&server) == 1).await;
    let mut refused = 0;
    let last = loop {
        let answer = send(&owner, &address, 400, bytes.slice(400..1000)).await;
        match answer.status().as_u16() {
            204 => break answer,
            // Too early: nothing of the other has arrived.
            423 => refused += 1,
            other => panic!("{other}"),
        }
        assert!(refused < 1000);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(content(&owner, &last).await, bytes.slice(..1000));
    // One that is in the middle of sending is ended by removing.
    let address = create(&owner, 1000, "gone.bin").await;
    let _connection = stuck(&server, &address, 0, 1000, &bytes[..400]).await;
    until("it is under way", async || staged(&server) == 1).await;
    assert_eq!(tus(owner.delete(&address)).send().await.unwrap().status(), 204);
    assert_eq!((staged(&server), head(&owner, &address).await.status().as_u16()), (0, 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_connection_broke_counts() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let bytes = noise(4, 2_000_000);
    let address = create(&owner, bytes.len(), "broken.bin").await;
    drop(stuck(&server, &address, 0, 2_000_000, &bytes[..1_234_567]).await);
    until("it is noted", async || offset(&owner, &address).await == 1_234_567).await;
    let last = send(&owner, &address, 1_234_567, bytes.slice(1_234_567..)).await;
    assert_eq!(content(&owner, &last).await, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_goes_on_with_expires() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let day = Duration::from_secs(24 * 3600);
    let (old, young) = (create(&owner, 10, "old").await, create(&owner, 10, "young").await);
    for address in [&old, &young] {
        assert_eq!(send(&owner, address, 0, "01234").await.status(), 204);
    }
    server.clock.advance(6 * day);
    assert_eq!(send(&owner, &young, 5, "5").await.status(), 204);
    server.clock.advance(2 * day);
    assert_eq!(head(&owner, &old).await.status(), 410);
    problem(send(&owner, &old, 5, "56789").await, 410, "upload-expired").await;
    assert_eq!(owner.json(UPLOADS).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(staged(&server), 2);
    // A file that no row knows goes with it.
    let stray = safelight::storage::StagingId::new();
    drop(server.app.storage.stage(stray).await.unwrap());
    tidy(&server).await;
    assert_eq!(staged(&server), 1);
    assert_eq!(head(&owner, &old).await.status(), 404);
    let last = send(&owner, &young, 6, "6789").await;
    assert_eq!(content(&owner, &last).await, "0123456789");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_holds_at_the_beginning_and_in_the_middle() {
    let server = TestServer::start_with(|config| {
        config.limits.max_upload_bytes = Some(1_000_000);
        config.uploads.max_unfinished = 3;
    })
    .await;
    let owner = server.setup_owner().await;
    problem(creation(&owner, 1_000_001, "a").send().await.unwrap(), 413, "too-large").await;
    let deferred = tus(owner.post(UPLOADS)).header("upload-defer-length", 1);
    let address = location(deferred.send().await.unwrap()).await;
    assert_eq!(send(&owner, &address, 0, vec![1; 600_000]).await.status(), 204);
    let announced =
        patch(&owner, &address, 600_000, "x").header("upload-length", 1_000_001).send().await.unwrap();
    problem(announced, 413, "too-large").await;
    let pieces = vec![Bytes::from(vec![2; 300_000]), Bytes::from(vec![3; 300_000])];
    problem(send(&owner, &address, 600_000, endless_or_not(pieces)).await, 413, "too-large").await;
    assert_eq!(owner.json(&address).await["state"], "failed");
    assert_eq!(staged(&server), 0);

    for i in 0..3 {
        create(&owner, 1, &format!("{i}")).await;
    }
    problem(creation(&owner, 1, "one too many").send().await.unwrap(), 429, "too-many-uploads").await;
    // Others have their own.
    let editor = server.add_user(&owner, "editor").await;
    create(&editor, 1, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_what_has_arrived_stays() {
    let server = TestServer::start_on(|_| (), Some(Storage::memory_of(3_000_000))).await;
    let owner = server.setup_owner().await;
    let filler = owner.upload_ok("filler.bin", vec![1; 1_500_000]).await;
    problem(creation(&owner, 1_600_000, "a").send().await.unwrap(), 507, "disk-full").await;
    let bytes = noise(5, 1_400_000);
    let address = create(&owner, bytes.len(), "b.bin").await;
    assert_eq!(send(&owner, &address, 0, bytes.slice(..300_000)).await.status(), 204);
    // Somebody else takes the room meanwhile.
    let other = owner.upload_ok("other.bin", vec![2; 1_000_000]).await;
    problem(send(&owner, &address, 300_000, bytes.slice(300_000..)).await, 507, "disk-full").await;
    assert_eq!(offset(&owner, &address).await, 300_000);
    for media in [filler, other] {
        let blob = media["sha256"].as_str().unwrap().parse().unwrap();
        server.app.storage.remove(blob, || true).await.unwrap();
    }
    let last = send(&owner, &address, 300_000, bytes.slice(300_000..)).await;
    assert_eq!(content(&owner, &last).await, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_are_put_together() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let bytes = noise(6, 2_500_000);
    let mut pieces = Vec::new();
    for part in [bytes.slice(..1_000_000), Bytes::new(), bytes.slice(1_000_000..)] {
        let begin =
            tus(owner.post(UPLOADS)).header("upload-length", part.len()).header("upload-concat", "partial");
        let address = location(begin.send().await.unwrap()).await;
        let answer = send(&owner, &address, 0, part).await;
        assert_eq!(answer.status(), 204);
        assert!(!answer.headers().contains_key("safelight-media-id"));
        assert_eq!(header(&head(&owner, &address).await, "upload-concat"), "partial");
        pieces.push(address);
    }
    assert_eq!(owner.json(UPLOADS).await["items"], json!([]), "pieces are nobody's file");
    let join = |browser: &Browser, list: &str| {
        let said = metadata(&[("filename", "whole.bin"), ("folder", "joined")]);
        tus(browser.post(UPLOADS))
            .header("upload-concat", format!("final;{list}"))
            .header("upload-metadata", said)
            .send()
    };
    // Pieces that are not complete, not pieces, not there, or not one's own can't be put together.
    let begun = tus(owner.post(UPLOADS)).header("upload-length", 5).header("upload-concat", "partial").send();
    let begun = location(begun.await.unwrap()).await;
    let whole = create(&owner, 5, "whole").await;
    let nothing = "/api/v1/uploads/0190a5c0-0000-7000-8000-000000000000".to_owned();
    for wrong in [&begun, &whole, &nothing, &"nonsense".to_owned()] {
        problem(join(&owner, &format!("{} {wrong}", pieces[0])).await.unwrap(), 400, "not-a-part").await;
    }
    let editor = server.add_user(&owner, "editor").await;
    problem(join(&editor, &pieces[0]).await.unwrap(), 400, "not-a-part").await;

    let absolute: Vec<_> = pieces.iter().map(|path| server.url(path)).collect();
    let joined = join(&owner, &absolute.join(" ")).await.unwrap();
    assert_eq!(joined.status(), 201);
    assert_eq!(content(&owner, &joined).await, bytes);
    let address = location(joined).await;
    let answer = head(&owner, &address).await;
    assert_eq!(
        (header(&answer, "upload-length").as_str(), header(&answer, "upload-offset").as_str()),
        ("2500000", "2500000")
    );
    assert!(header(&answer, "upload-concat").starts_with("final;/api/v1/uploads/"));
    problem(send(&owner, &address, 2_500_000, "x").await, 403, "upload-assembled").await;
    assert_eq!(owner.json("/api/v1/media").await["items"][0]["key"], "joined/whole.bin");
    assert_eq!(head(&owner, &pieces[0]).await.status(), 404);
    assert_eq!(staged(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_makers_alone() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    let viewer = server.add_user(&owner, "viewer").await;
    let address = create(&owner, 5, "mine").await;
    assert_eq!(head(&editor, &address).await.status(), 404);
    problem(send(&editor, &address, 0, "hello").await, 404, "not-found").await;
    problem(tus(editor.delete(&address)).send().await.unwrap(), 404, "not-found").await;
    problem(editor.get(&address).send().await.unwrap(), 404, "not-found").await;
    assert_eq!(editor.json(UPLOADS).await["items"], json!([]));
    problem(creation(&viewer, 5, "x").send().await.unwrap(), 403, "forbidden").await;
    problem(creation(&server.browser(), 5, "x").send().await.unwrap(), 401, "not-signed-in").await;
    let nowhere = format!("{UPLOADS}/nonsense");
    assert_eq!(head(&owner, &nowhere).await.status(), 404);
    problem(send(&owner, &nowhere, 0, "x").await, 404, "not-found").await;

    // A way that lets nothing but POST pass.
    let override_as = |method: &str| tus(owner.post(&address)).header("x-http-method-override", method);
    let asked = override_as("HEAD").send().await.unwrap();
    assert_eq!(header(&asked, "upload-length"), "5");
    let sent = override_as("PATCH").header("upload-offset", 0).header("content-type", BYTES).body("hel");
    assert_eq!(sent.send().await.unwrap().status(), 204);
    problem(override_as("PUT").send().await.unwrap(), 405, "method-not-allowed").await;
    assert_eq!(override_as("DELETE").send().await.unwrap().status(), 204);
    assert_eq!(head(&owner, &address).await.status(), 404);
    assert_eq!(staged(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_complete_when_the_process_died_is_finished_by_asking_or_by_itself() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let (asked, left) = (create(&owner, 6, "asked.txt").await, create(&owner, 6, "left.txt").await);
    for address in [&asked, &left] {
        assert_eq!(send(&owner, address, 0, "hello").await.status(), 204);
    }
    // All bytes are noted as safe, and nothing more: so it looks when the process dies just then.
    server
        .app
        .db
        .write(|tx| Ok::<_, safelight::db::Error>(tx.execute("UPDATE uploads SET length_bytes = 5", [])?))
        .await
        .unwrap();
    assert_eq!(owner.json(&asked).await["state"], "finishing");
    let answer = head(&owner, &asked).await;
    assert_eq!(content(&owner, &answer).await, "hello");
    server.clock.advance(Duration::from_secs(3700));
    tidy(&server).await;
    assert_eq!(owner.json(&left).await["state"], "done");
    assert_eq!((count(&owner).await, staged(&server)), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_may_read_need_not_be_sent_again() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let here = owner.upload_ok("here.txt", "here").await;
    let gone = owner.upload_ok("gone.txt", "gone").await;
    let gone_id = gone["id"].as_str().unwrap();
    assert_eq!(owner.delete(&format!("/api/v1/media/{gone_id}")).send().await.unwrap().status(), 204);
    let items = json!([
        { "sha256": here["sha256"], "size_bytes": 4 },
        { "sha256": gone["sha256"], "size_bytes": 4 },
        { "sha256": here["sha256"], "size_bytes": 5 },
        { "sha256": "00".repeat(32), "size_bytes": 4 },
    ]);
    let ask = |browser: &Browser, items: Value| {
        browser.post("/api/v1/uploads/known").json(&json!({ "items": items })).send()
    };
    let known: Value = ask(&owner, items.clone()).await.unwrap().json().await.unwrap();
    assert_eq!(known["known"], json!([here["sha256"]]));
    let item = |here_too| json!([{ "sha256": here["sha256"], "media_id": here["id"], "here": here_too }]);
    assert_eq!(known["items"], item(false));
    for (bucket, folder, here_too) in
        [("photos", "", true), ("photos", "/else/", false), ("no-such", "", false)]
    {
        let asked = json!({ "items": items, "bucket": bucket, "folder": folder });
        let answer = owner.post("/api/v1/uploads/known").json(&asked).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["items"], item(here_too), "{bucket}/{folder}");
    }
    let viewer = server.add_user(&owner, "viewer").await;
    problem(ask(&viewer, items.clone()).await.unwrap(), 403, "forbidden").await;
    problem(ask(&server.browser(), items).await.unwrap(), 401, "not-signed-in").await;
    let many: Vec<_> = (0..1001).map(|_| json!({ "sha256": "00".repeat(32), "size_bytes": 1 })).collect();
    problem(ask(&owner, many.into()).await.unwrap(), 422, "validation").await;
    problem(ask(&owner, json!([{ "sha256": "xyz", "size_bytes": 1 }])).await.unwrap(), 422, "validation")
        .await;
}

// ---- the long way: kill -9, a network that breaks ----

/// A stretch of network between a program and the appliance, which can be cut.
struct Wire {
    address: String,
    target: Arc<Mutex<String>>,
    connections: Arc<Mutex<CancellationToken>>,
}

impl Wire {
    async fn to(target: &str) -> Self {
        // The system may keep tens of megabytes in a connection's buffers, which nobody has received.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(256 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let target = Arc::new(Mutex::new(target.to_owned()));
        let connections = Arc::new(Mutex::new(CancellationToken::new()));
        let (to, living) = (Arc::clone(&target), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, cut) = (to.lock().unwrap().clone(), living.lock().unwrap().clone());
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
        });
        Self { address, target, connections }
    }

    fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().unwrap());
    }

    fn cut(&self) {
        std::mem::take(&mut *self.connections.lock().unwrap()).cancel();
    }
}

/// Bytes that repeat nowhere, made anew whenever they are needed: piece `i` of a large file.
fn piece(base: &Bytes, i: u64) -> Bytes {
    let mut bytes = base.to_vec();
    bytes[..8].copy_from_slice(&i.to_le_bytes());
    bytes.into()
}

const PIECE: u64 = 1 << 20;

/// Sends from an offset on; says so and falls silent where trouble is due.
fn large_body(
    base: Bytes,
    from: u64,
    size: u64,
    trouble: Option<u64>,
    due: mpsc::UnboundedSender<()>,
) -> Body {
    let pieces = stream::unfold(from, move |at| {
        let (base, due) = (base.clone(), due.clone());
        async move {
            if at >= size {
                return None;
            }
            if trouble.is_some_and(|trouble| at >= trouble) {
                let _ = due.send(());
                std::future::pending::<()>().await;
            }
            let i = at / PIECE;
            let end = ((i + 1) * PIECE).min(size);
            let bytes = piece(&base, i).slice((at % PIECE) as usize..(at % PIECE + end - at) as usize);
            Some((Ok::<_, std::io::Error>(bytes), end))
        }
    });
    Body::wrap_stream(pieces)
}

/// A line of `/proc/<pid>/status` in KiB.
fn memory_kib(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let found = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    found.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    Kill,
    Cut,
}

async fn through_all_trouble(size: u64) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut appliance = Some(Appliance::start(&data));
    let wire = Wire::to(appliance.as_ref().unwrap().address()).await;
    let owner = appliance.as_ref().unwrap().setup_owner().await.moved_to(wire.address.clone());
    owner.upload_ok("warm.bin", noise(1, 3_000_000).to_vec()).await;
    let base = noise(2, PIECE as usize);
    let mut hash = Sha256::new();
    for i in 0..size.div_ceil(PIECE) {
        let bytes = piece(&base, i);
        hash.update(&bytes[..PIECE.min(size - i * PIECE) as usize]);
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();

    let address = create(&owner, size as usize, "large.bin").await;
    let mut troubles =
        [(1, Trouble::Kill), (3, Trouble::Cut), (4, Trouble::Kill), (6, Trouble::Cut), (8, Trouble::Kill)]
            .map(|(tenth, what)| (size / 10 * tenth, what))
            .into_iter()
            .peekable();
    let mut resting_kib = memory_kib(appliance.as_ref().unwrap().process_id(), "VmRSS");
    let mut at = 0;
    let last = loop {
        let trouble = troubles.peek().map(|(at, _)| *at);
        // One for each request: what one that was refused has sent is not on its way.
        let (due, mut is_due) = mpsc::unbounded_channel();
        let body = large_body(base.clone(), at, size, trouble, due);
        let sending = patch(&owner, &address, at as usize, body).timeout(Duration::from_secs(600)).send();
        let mut sending = std::pin::pin!(sending);
        let answer = tokio::select! {
            answer = &mut sending => Some(answer),
            // Who was refused sends on for a while; the answer is on its way then.
            Some(()) = is_due.recv() => tokio::time::timeout(Duration::from_millis(300), &mut sending).await.ok(),
        };
        if let Some(answer) = answer {
            let answer = answer.unwrap();
            if !matches!(answer.status().as_u16(), 409 | 423) {
                break answer;
            }
            // The connection that was cut has only now been given up. Real programs ask again, too.
            tokio::time::sleep(Duration::from_millis(100)).await;
            at = offset(&owner, &address).await as u64;
            continue;
        }
        let process = appliance.as_ref().unwrap().process_id();
        let grown_kib = memory_kib(process, "VmHWM").saturating_sub(resting_kib);
        assert!(grown_kib < 64 << 10, "it has grown by {grown_kib} KiB");
        let (reached, what) = troubles.next().unwrap();
        match what {
            Trouble::Cut => wire.cut(),
            Trouble::Kill => {
                appliance.take().unwrap().kill();
                let started = Appliance::start(&data);
                wire.lead_to(started.address());
                resting_kib = memory_kib(started.process_id(), "VmRSS");
                appliance = Some(started);
            }
        }
        let mut asked = 0;
        let before = at;
        at = loop {
            // The first connection may be one that died with the process.
            match tus(owner.request(Method::HEAD, &address)).send().await {
                Ok(answer) => break header(&answer, "upload-offset").parse().unwrap(),
                Err(_) if asked < 100 => asked += 1,
                Err(e) => panic!("{e}"),
            }
        };
        println!("{what:?} at {reached}: goes on from {at}, the process had grown by {grown_kib} KiB");
        // 32 MiB may not have been noted yet, and as many wait in the buffers before the process.
        assert!(
            at <= reached + PIECE && reached.saturating_sub(at) <= 96 << 20 && at >= before,
            "{before}: {at} of {reached}"
        );
    };
    assert_eq!(last.status(), 204);
    assert_eq!(troubles.next(), None);
    let running = appliance.unwrap();
    let grown_kib = memory_kib(running.process_id(), "VmHWM").saturating_sub(resting_kib);
    println!("at the end the process had grown by {grown_kib} KiB");
    assert!(grown_kib < 64 << 10, "it has grown by {grown_kib} KiB");
    let media = owner.json(&format!("/api/v1/media/{}", header(&last, "safelight-media-id"))).await;
    assert_eq!((media["sha256"].as_str(), media["size_bytes"].as_u64()), (Some(hash.as_str()), Some(size)));
    let mut sent = owner.get(&format!("/api/v1/media/{}/content", media["id"].as_str().unwrap()));
    sent = sent.timeout(Duration::from_secs(600));
    let mut stored = Sha256::new();
    let mut pieces = sent.send().await.unwrap().bytes_stream();
    while let Some(piece) = pieces.next().await {
        stored.update(piece.unwrap());
    }
    let stored: String = stored.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(stored, hash);
    assert_eq!(crate::mounts::entries(&data.join("blobs/incoming")), 0);
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_megabytes_survive_three_deaths_and_two_cuts() {
    through_all_trouble(400_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: five gigabytes"]
async fn soak_five_gigabytes_survive_three_deaths_and_two_cuts() {
    through_all_trouble(5_000_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_the_last_bytes_are_put_into_place_makes_neither_none_nor_two() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut appliance = Appliance::start(&data);
    let mut owner = appliance.setup_owner().await;
    for round in 0..8_u64 {
        let bytes = noise(100 + round, 3_000_000);
        let address = create(&owner, bytes.len(), &format!("{round}.bin")).await;
        assert_eq!(send(&owner, &address, 0, bytes.slice(..2_999_000)).await.status(), 204);
        let last = tokio::spawn(patch(&owner, &address, 2_999_000, bytes.slice(2_999_000..)).send());
        // A different moment in each round: before it arrives, while it is synced, linked, committed, answered.
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        appliance.kill();
        drop(last.await.unwrap());
        appliance = Appliance::start(&data);
        owner = owner.moved_to(appliance.url());
        let asked = head(&owner, &address).await;
        assert_eq!(asked.status(), 200, "round {round}: {}", appliance.log());
        let at: usize = header(&asked, "upload-offset").parse().unwrap();
        if at < bytes.len() {
            assert_eq!(at, 2_999_000);
            assert_eq!(send(&owner, &address, at, bytes.slice(at..)).await.status(), 204);
        }
        let answer = head(&owner, &address).await;
        assert_eq!(content(&owner, &answer).await, bytes, "round {round}");
        let media = owner.json("/api/v1/media?limit=500").await;
        assert_eq!(media["items"].as_array().unwrap().len() as u64, round + 1, "round {round}");
    }
    assert_eq!(crate::mounts::entries(&data.join("blobs/incoming")), 0);
    appliance.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_keeps_what_has_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let appliance = Appliance::start(&data);
    let owner = appliance.setup_owner().await;
    let base = noise(2, PIECE as usize);
    let size = 30 * PIECE;
    let address = create(&owner, size as usize, "stopped.bin").await;
    let (due, mut is_due) = mpsc::unbounded_channel();
    let body = large_body(base.clone(), 0, size, Some(20 * PIECE), due.clone());
    let sending = tokio::spawn(patch(&owner, &address, 0, body).send());
    is_due.recv().await.unwrap();
    tokio::task::block_in_place(|| appliance.stop());
    drop(sending.await);
    let again = Appliance::start(&data);
    let owner = owner.moved_to(again.url());
    let at = offset(&owner, &address).await as u64;
    // The rest was still on its way through the system's buffers.
    assert!(at >= 10 * PIECE, "{at}");
    let body = large_body(base, at, size, None, due);
    let last = send(&owner, &address, at as usize, body).await;
    assert_eq!(last.status(), 204);
    again.stop();
}

// ---- other people's programs ----

async fn interop(test: &str, mut command: Command) {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("Ünïcode & more.bin");
    let bytes = noise(11, 5_300_000);
    std::fs::write(&file, &bytes).unwrap();
    command.arg(server.url(UPLOADS)).arg(cookie(&server.browser()).await).arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{test}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    let media = owner.json("/api/v1/media").await;
    let items = media["items"].as_array().unwrap();
    let uploads: usize = said.lines().filter(|line| line.starts_with("uploaded")).count();
    assert!(uploads > 0 && items.len() == uploads, "{said}\n{media}");
    for media in items {
        assert!(media["name"].as_str().unwrap().starts_with("Ünïcode & more"), "{media}");
        assert_eq!(media["size_bytes"], bytes.len());
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(media["sha256"], hash.as_str());
    }
    assert_eq!(staged(&server), 0);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_js_client_gets_along_with_it() {
    let test = "tus_js_client_gets_along_with_it";
    if !root().join("web/node_modules/tus-js-client").exists() {
        return skipped(test, "web/node_modules has no tus-js-client: scripts/bootstrap test installs it");
    }
    let mut command = Command::new("node");
    command.arg(root().join("tests/interop/tus-js-client.mjs"));
    interop(test, command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tuspy_gets_along_with_it() {
    let test = "tuspy_gets_along_with_it";
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("interop/bin/python");
    if !python.exists() {
        return skipped(test, "there is no tuspy: scripts/bootstrap test installs it");
    }
    let mut command = Command::new(python);
    command.arg(root().join("tests/interop/tuspy_client.py"));
    interop(test, command).await;
}
