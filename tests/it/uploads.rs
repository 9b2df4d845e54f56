//! The way in by form: limits, names, senders that stall, hang up or send rubbish, and a full disk.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use safelight::storage::Storage;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pictures;
use crate::support::{Browser, TestServer, problem};

fn file(name: &str, bytes: impl Into<Vec<u8>>) -> Part {
    Part::bytes(bytes.into()).file_name(name.to_owned())
}

async fn send(browser: &Browser, form: Form) -> reqwest::Response {
    browser.post("/api/v1/media").multipart(form).send().await.unwrap()
}

async fn count(browser: &Browser) -> usize {
    browser.json("/api/v1/media").await["items"].as_array().unwrap().len()
}

/// Temporary files of uploads that are not complete.
fn incoming(server: &TestServer) -> usize {
    std::fs::read_dir(server.dir.path().join("data/blobs/incoming")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_reported_beside_the_good_ones() {
    let server = TestServer::start_with(|config| config.limits.max_upload_bytes = Some(100_000)).await;
    let owner = server.setup_owner().await;
    let form = Form::new()
        .text("bucket", "photos")
        .text("folder", "trip")
        .text("unheard-of", "x")
        .part("file", file("a.jpg", pictures::jpeg(40, 30)))
        .part("file", file("evil\u{202e}gpj.exe", "x"))
        .part("file", file("large.bin", vec![7; 300_000]))
        .part("file", file("b.txt", "hello"));
    let answer = send(&owner, form).await;
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json().await.unwrap();
    let keys: Vec<_> = body["items"].as_array().unwrap().iter().map(|m| m["key"].clone()).collect();
    assert_eq!(keys, ["trip/a.jpg", "trip/b.txt"]);
    let codes: Vec<_> =
        body["problems"].as_array().unwrap().iter().map(|p| p["problem"]["type"].clone()).collect();
    assert_eq!(codes, ["/problems/bad-name", "/problems/too-large"]);
    assert_eq!(body["problems"][1]["name"], "large.bin");
    assert_eq!(incoming(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_file_is_taken_the_first_problem_is_the_answer() {
    let server = TestServer::start_with(|config| config.limits.max_upload_bytes = Some(1000)).await;
    let owner = server.setup_owner().await;
    let body = problem(owner.upload("a.bin", vec![1; 1001]).await, 413, "too-large").await;
    assert_eq!(body["items"], Value::Array(vec![]));
    assert_eq!(body["problems"][0]["name"], "a.bin");
    assert_eq!(owner.upload("a.bin", vec![1; 1000]).await.status(), 201);

    let refuse = || Form::new().text("on_conflict", "refuse").part("file", file("a.bin", "x"));
    problem(send(&owner, refuse()).await, 409, "name-taken").await;
    for name in ["../x", "a/b.jpg", "a\\b.jpg", ".", "..", " ", "nul\u{0}l", "tab\tbed", &"x".repeat(256)] {
        let form = Form::new().part("file", file(name, "x"));
        let answer = send(&owner, form).await;
        assert!(matches!(answer.status().as_u16(), 400 | 422), "{name:?}: {}", answer.status());
    }
    let long = "x".repeat(255);
    assert_eq!(owner.upload(&long, "x").await.status(), 201);
    problem(
        send(&owner, Form::new().text("folder", "a/../b").part("file", file("a", "x"))).await,
        422,
        "bad-name",
    )
    .await;
    problem(
        send(&owner, Form::new().text("bucket", "nowhere").part("file", file("a", "x"))).await,
        404,
        "not-found",
    )
    .await;
    problem(
        send(&owner, Form::new().text("on_conflict", "maybe").part("file", file("a", "x"))).await,
        422,
        "validation",
    )
    .await;
    problem(send(&owner, Form::new().text("folder", "x")).await, 422, "validation").await;
    let none = owner.post("/api/v1/media").body("x").send().await.unwrap();
    problem(none, 400, "bad-multipart").await;
    assert_eq!(count(&owner).await, 2);
    assert_eq!(incoming(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_normalised_as_people_expect() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    assert_eq!(owner.upload_ok("Cafe\u{301}.jpg", "x").await["name"], "Caf\u{e9}.jpg");
    assert_eq!(owner.upload_ok(" spaces .txt ", "x").await["name"], "spaces .txt");
    let twice = owner.upload_ok("Caf\u{e9}.jpg", "y").await;
    assert_eq!(twice["name"], "Caf\u{e9} (2).jpg");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_files_than_allowed_are_refused_one_by_one() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form = (0..12).fold(Form::new(), |form, i| form.part("file", file(&format!("{i:02}.txt"), "x")));
    let answer = send(&owner, form).await;
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["items"].as_array().unwrap().len(), 10);
    let problems = body["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2);
    assert_eq!(
        (problems[0]["name"].as_str(), problems[0]["problem"]["type"].as_str()),
        (Some("10.txt"), Some("/problems/too-many-files"))
    );

    let late = Form::new().part("file", file("a.txt", "x")).text("bucket", "photos");
    let body: Value = send(&owner, late).await.json().await.unwrap();
    assert_eq!(body["problems"][0]["name"], "bucket", "a field that comes too late is not overlooked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_nothing_is_half_stored() {
    let server = TestServer::start_on(|_| (), Some(Storage::memory_of(1_000_000))).await;
    let owner = server.setup_owner().await;
    owner.upload_ok("fits.bin", vec![1; 600_000]).await;
    problem(owner.upload("not.bin", vec![2; 600_000]).await, 507, "disk-full").await;
    // The same without a length to know beforehand.
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(
        (0..6).map(|i| Ok::<_, std::io::Error>(vec![i; 100_000])),
    ));
    let form = Form::new().part("file", Part::stream(body).file_name("stream.bin"));
    problem(send(&owner, form).await, 507, "disk-full").await;
    assert_eq!(count(&owner).await, 1);
    assert_eq!(server.app.storage.free_space().unwrap().free_bytes, 400_000);
    owner.upload_ok("small.bin", vec![3; 300_000]).await;
}

/// A request by hand, to do what no well-behaved program does.
async fn raw(server: &TestServer, browser: &Browser) -> (TcpStream, String) {
    let cookie = browser.get("/api/v1/auth/me").send().await.unwrap();
    drop(cookie);
    let login = server.browser();
    let form = serde_json::json!({ "email": "olive@example.org", "password": crate::support::PASSWORD });
    let answer = login.post("/api/v1/auth/login").json(&form).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    (TcpStream::connect(server.address).await.unwrap(), cookie)
}

fn head(cookie: &str, length: usize) -> String {
    format!(
        "POST /api/v1/media HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\nsec-fetch-site: same-origin\r\n\
         content-type: multipart/form-data; boundary=XX\r\ncontent-length: {length}\r\n\r\n"
    )
}

const PART: &str = "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_hangs_up_leaves_nothing() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let (mut connection, cookie) = raw(&server, &owner).await;
    connection.write_all(head(&cookie, 5_000_000).as_bytes()).await.unwrap();
    connection.write_all(PART.as_bytes()).await.unwrap();
    connection.write_all(&vec![7; 2_000_000]).await.unwrap();
    while incoming(&server) == 0 {
        tokio::task::yield_now().await;
    }
    drop(connection);
    while incoming(&server) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(count(&owner).await, 0);
    assert_eq!(server.app.storage.list().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end_are_not_collected() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let (mut connection, cookie) = raw(&server, &owner).await;
    connection.write_all(head(&cookie, 1_000_000_000).as_bytes()).await.unwrap();
    connection.write_all(b"--XX\r\nx-long: ").await.unwrap();
    let (mut reader, mut writer) = connection.split();
    let endless = async {
        // Ends when the server closes.
        while writer.write_all(&[b'a'; 65_536]).await.is_ok() {}
    };
    let mut answer = vec![0; 12];
    let answered = async { reader.read_exact(&mut answer).await.map(|_| ()) };
    tokio::select! {
        read = answered => read.unwrap(),
        () = endless => {}
    }
    assert_eq!(count(&owner).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_ends_early_is_an_error_with_a_name() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let body = format!("{PART}half a fi");
    let answer = owner
        .post("/api/v1/media")
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(body)
        .send()
        .await
        .unwrap();
    problem(answer, 400, "upload-interrupted").await;
    assert_eq!((count(&owner).await, incoming(&server)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_passes_through_a_small_memory() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let piece = bytes::Bytes::from(vec![42_u8; 256 * 1024]);
    let pieces = (0..200).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let form = Form::new().part("file", Part::stream(body).file_name("large.bin"));
    let answer = tokio::time::timeout(Duration::from_secs(60), send(&owner, form)).await.unwrap();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["items"][0]["size_bytes"], 200 * 256 * 1024);
}
