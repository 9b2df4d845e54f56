//! The door under people who do not play by the rules: slow, broken, enormous, and in nobody's protocol.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use safelight::server::{self, Door, Listening, Patience};

use super::appliance::{setup_form, until};
use super::mounts::entries;
use super::photographs::noisy_jpeg;
use super::storage::noise;
use super::support::{Browser, TestServer, problem};

const SOON: Duration = Duration::from_secs(30);

/// Sends bytes as they are and returns everything that comes until the connection ends.
async fn say(server: &TestServer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let (mut input, mut output) = stream.split();
    // A server that has heard enough may close before everything is sent.
    let sending = async { _ = output.write_all(bytes).await };
    let mut answer = Vec::new();
    let reading = async { _ = input.read_to_end(&mut answer).await };
    tokio::time::timeout(SOON, futures_util::future::join(sending, reading))
        .await
        .expect("the connection ends");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request that closes its connection.
fn request(line: &str, more: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: safelight.test\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

async fn is_alive(server: &TestServer) {
    assert_eq!(server.browser().get("/health").send().await.unwrap().status(), 200);
}

fn status_of(answer: &str) -> u16 {
    let line = answer.lines().next().unwrap_or_default();
    line.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_ends_a_request_is_cut_off() {
    let server = TestServer::start().await;
    let patience = Duration::from_millis(300);
    let listening = Listening::new(&server.app.config)
        .open("127.0.0.1:0".parse().unwrap(), Door::Plain)
        .await
        .unwrap()
        .with_patience(Patience { header: patience, idle: patience, body: SOON });
    let address = listening.address();
    let router = server::router(server.app.clone());
    tokio::spawn(server::serve(listening, router, server.app.stopping.clone()));
    let began = Instant::now();
    let mut slow = tokio::task::JoinSet::new();
    for beginning in [
        "",
        "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        // The beginning of what HTTP/2 begins with.
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // An idle connection after a request that was answered.
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTT",
    ] {
        slow.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(beginning.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
            assert!(ended.is_ok(), "{beginning:?} is waited for");
        });
    }
    // One that goes on with a byte now and then does not live longer.
    slow.spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
        let drip = async {
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, drip).await.expect("a dripping head is cut off");
    });
    while let Some(ended) = slow.join_next().await {
        ended.unwrap();
    }
    assert!(began.elapsed() >= patience);
    // Who has sent a request may wait for its answer for as long as it takes.
    let owner = server.setup_owner().await.moved_to(format!("http://{address}"));
    let mut live = owner.get("/api/v1/events").send().await.unwrap();
    live.chunk().await.unwrap().unwrap();
    tokio::time::sleep(patience * 2).await;
    owner.upload_ok("news.txt", "news").await;
    let news = tokio::time::timeout(SOON, live.chunk()).await.expect("an event").unwrap().unwrap();
    assert!(String::from_utf8_lossy(&news).contains("created"));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_harms_nobody() {
    let server = TestServer::start().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nX: \x00\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ] {
        let answer = say(&server, garbage).await;
        let shown = String::from_utf8_lossy(garbage);
        assert!(
            answer.is_empty() || status_of(&answer) == 400 || status_of(&answer) == 505,
            "{shown:?}: {answer}"
        );
    }
    assert_eq!(status_of(&say(&server, b"GET\r\n\r\n").await), 400);
    let mut noisy = b"GET / HTTP/1.1\r\nHost: ".to_vec();
    noisy.extend_from_slice(&noise(3, 300_000));
    say(&server, &noisy).await;
    // What smuggles requests: both lengths at once. The chunked one counts, and the connection ends after it.
    let both = request(
        "POST /api/v1/auth/login",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n",
    );
    let smuggled = [&both[..], b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let answer = say(&server, &smuggled).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    is_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_measure_are_refused() {
    let server = TestServer::start().await;
    let long = format!("X-Long: {}\r\n", "a".repeat(900_000));
    let many: String = (0..300).map(|n| format!("X-Many-{n}: y\r\n")).collect();
    for more in [long, many] {
        let answer = say(&server, &request("GET /health", &more)).await;
        assert_eq!(status_of(&answer), 431, "{answer}");
    }
    let address = format!("GET /{}", "a".repeat(200_000));
    let status = status_of(&say(&server, &request(&address, "")).await);
    assert!(status == 414 || status == 431, "{status}");
    is_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_and_hasty_ones_are_served() {
    let server = TestServer::start().await;
    let answer = say(&server, b"GET /health HTTP/1.0\r\n\r\n").await;
    assert_eq!(status_of(&answer), 200);
    assert!(answer.ends_with('}') && !answer.contains("transfer-encoding"), "{answer}");
    let answer = say(&server, b"GET /api/openapi.json HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").await;
    assert_eq!(status_of(&answer), 200);
    assert!(!answer.contains("transfer-encoding"), "HTTP/1.0 knows no chunks");
    let mut pipeline = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    pipeline.extend_from_slice(&request("GET /api/v1/auth/me", ""));
    let answer = say(&server, &pipeline).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 20);
    assert_eq!(answer.matches("HTTP/1.1 401").count(), 1);
    let expecting = request(
        "POST /api/v1/auth/login",
        "Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n",
    );
    let answer = say(&server, &[&expecting[..], b"{}"].concat()).await;
    assert!(answer.contains("HTTP/1.1 422"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_a_body() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("a.jpg", noisy_jpeg()).await;
    let id = media["id"].as_str().unwrap();
    for path in [
        "/health".to_owned(),
        "/".to_owned(),
        "/api/v1/media".to_owned(),
        format!("/api/v1/media/{id}"),
        format!("/api/v1/media/{id}/content"),
    ] {
        let get = owner.get(&path).send().await.unwrap();
        let head = owner.http.head(server.url(&path)).send().await.unwrap();
        assert_eq!(head.status(), get.status(), "{path}");
        for name in ["content-type", "content-length", "etag", "cache-control", "accept-ranges"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{name} of {path}");
        }
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_an_address_does_not_have_are_a_problem_with_a_name() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for (method, path, allow) in [
        ("BREW", "/api/v1/media", "POST"),
        ("DELETE", "/api/v1/auth/login", "POST"),
        ("PUT", "/api/v1/media", "GET"),
        ("POST", "/health", "GET"),
        ("TRACE", "/api/v1/setup", "POST"),
        ("POST", "/library", "GET"),
        ("DELETE", "/assets/app.js", "GET"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = owner.http.request(method.clone(), server.url(path)).send().await.unwrap();
        let allowed = answer.headers().get("allow").map(|v| v.to_str().unwrap().to_owned());
        assert!(allowed.as_deref().is_some_and(|a| a.contains(allow)), "{method} {path}: {allowed:?}");
        problem(answer, 405, "method-not-allowed").await;
    }
    is_alive(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_what_they_should_be_are_told_apart() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let send = async |content_type: &str, body: Vec<u8>| {
        owner.post("/api/v1/buckets").header("content-type", content_type).body(body).send().await.unwrap()
    };
    let json = "application/json";
    problem(send("text/plain", b"{}".to_vec()).await, 415, "not-json").await;
    problem(send("application/x-www-form-urlencoded", b"slug=abc".to_vec()).await, 415, "not-json").await;
    problem(owner.post("/api/v1/buckets").send().await.unwrap(), 415, "not-json").await;
    problem(send(json, b"{\"slug\": ".to_vec()).await, 400, "bad-json").await;
    problem(send(json, b"\xff\xfe{}".to_vec()).await, 400, "bad-json").await;
    problem(send(json, Vec::new()).await, 400, "bad-json").await;
    problem(send(json, b"[]".to_vec()).await, 422, "validation").await;
    problem(send(json, b"{\"slug\": 7, \"name\": \"x\"}".to_vec()).await, 422, "validation").await;
    // Ten thousands of brackets must not use up the stack, wherever they stand.
    let deep = b"[".repeat(200_000);
    problem(send(json, deep.clone()).await, 422, "validation").await;
    problem(send(json, [&b"{\"slug\":"[..], &deep].concat()).await, 422, "validation").await;
    problem(send(json, [&b"{\"other\":"[..], &deep].concat()).await, 400, "bad-json").await;
    let media = owner.upload_ok("a.jpg", noisy_jpeg()).await;
    let steps = [&b"{\"steps\":[{\"step\":\"denoise\",\"parameters\":"[..], &deep].concat();
    let path = format!("/api/v1/media/{}/restorations", media["id"].as_str().unwrap());
    let answer = owner.post(&path).header("content-type", json).body(steps).send().await.unwrap();
    assert!(matches!(answer.status().as_u16(), 400 | 422), "{}", answer.status());
    let large = format!("{{\"slug\": \"{}\"}}", "a".repeat(2 << 20));
    problem(send(json, large.into_bytes()).await, 413, "too-large").await;
    let answer = owner.post("/api/v1/media").header("content-type", json).body("{}").send().await.unwrap();
    problem(answer, 400, "bad-multipart").await;
    problem(owner.get("/api/v1/media?limit=many").send().await.unwrap(), 400, "bad-query").await;
    problem(owner.get("/api/v1/media?cursor=zz").send().await.unwrap(), 400, "bad-cursor").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_nowhere_but_into_the_ui() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for path in [
        "/../Cargo.toml",
        "/assets/../../Cargo.toml",
        "/assets/../../../../../../../../etc/passwd",
        "/%2e%2e/Cargo.toml",
        "/%2e%2e%2fCargo.toml",
        "/..%2fCargo.toml",
        "/assets/..%5c..%5cCargo.toml",
        "/assets//etc/passwd",
        "//etc/passwd",
        "/assets/%00",
        "/index.html%00.js",
        "/./../web/package.json",
        "/src/main.rs",
    ] {
        let answer = say(&server, &request(&format!("GET {path}"), "")).await;
        let status = status_of(&answer);
        assert!(
            status == 404 || (status == 200 && answer.contains("content-type: text/html")),
            "{path}: {answer}"
        );
        for secret in ["[package]", "root:", "devDependencies", "ExitCode"] {
            assert!(!answer.contains(secret), "{path}");
        }
    }
    for path in [
        "/api/v1/media/%00",
        "/api/v1/media/..%2f..%2fetc%2fpasswd",
        "/api/v1/media/%ff%fe",
        "/api/v1/buckets/%00",
        "/api/v1/buckets/..",
        "/api/v1/buckets/%ff",
        "/api/v1/restorations/%00",
        "/api/v1/media/00000000-0000-0000-0000-000000000000/content",
        "/api/v1/nothing",
        "/api/",
        "/api",
    ] {
        problem(owner.get(path).send().await.unwrap(), 404, "not-found").await;
    }
    // A NUL in a parameter is a character like others to the database, and finds nothing.
    let found = owner.json("/api/v1/media?q=%00%00%00").await;
    assert_eq!(found["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_the_name_that_its_sender_gave_it() {
    let server = TestServer::start().await;
    let ask = async |id: &str| {
        let answer = server.browser().get("/api/v1/auth/me").header("x-request-id", id).send().await.unwrap();
        let header = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["request_id"], header.as_str());
        header
    };
    for id in ["abc-123", "a.b_c", &"x".repeat(64)] {
        assert_eq!(ask(id).await, id);
    }
    for id in ["", "two words", "<script>", "a\tb", &"x".repeat(65), "a;b", "{}"] {
        let given = ask(id).await;
        assert_ne!(given, id);
        assert_eq!(given.len(), 36, "{given}");
    }
    let first = server.browser().get("/").send().await.unwrap().headers()["x-request-id"].clone();
    let second = server.browser().get("/").send().await.unwrap().headers()["x-request-id"].clone();
    assert_ne!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_carries_the_security_headers() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let picture = owner.upload_ok("a.jpg", noisy_jpeg()).await;
    let page = owner.upload_ok("page.html", "<script>alert(1)</script>").await;
    let content = format!("/api/v1/media/{}/content", picture["id"].as_str().unwrap());
    let etag = owner.get(&content).send().await.unwrap().headers()["etag"].clone();
    let get = |path: &str| owner.get(path);
    let requests = [
        (200, get("/")),
        (200, get("/health")),
        (200, get("/api/v1/media")),
        (200, get(&content)),
        (206, get(&content).header("range", "bytes=0-9")),
        (304, get(&content).header("if-none-match", etag)),
        (416, get(&content).header("range", "bytes=999999-")),
        (200, get(&format!("{content}?preset=thumb"))),
        (200, get("/api/openapi.json")),
        (200, get("/api/docs")),
        (200, get("/api/v1/events")),
        (204, server.browser().post("/api/v1/auth/logout")),
        (400, get("/api/v1/media?limit=x")),
        (401, server.browser().get("/api/v1/media")),
        (409, server.browser().post("/api/v1/setup").json(&setup_form("late"))),
        (404, get("/api/v1/nothing")),
        (404, get("/assets/nothing.js")),
        (405, owner.delete("/health")),
        (415, owner.post("/api/v1/buckets")),
        (422, owner.post("/api/v1/buckets").json(&json!({}))),
    ];
    for (status, request) in requests {
        let answer = request.send().await.unwrap();
        let what = answer.url().path().to_owned();
        assert_eq!(answer.status(), status, "{what}");
        let header = |name: &str| answer.headers().get(name).map(|v| v.to_str().unwrap()).unwrap_or_default();
        if what != "/api/docs" {
            assert_eq!(
                header("content-security-policy"),
                "default-src 'self'; base-uri 'self'; object-src 'none'; form-action 'self'; frame-ancestors 'none'",
                "{what}"
            );
        }
        assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(header("referrer-policy"), "same-origin", "{what}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{what}");
        assert!(header("permissions-policy").contains("camera=()"), "{what}");
        assert!(!header("x-request-id").is_empty(), "{what}");
        assert!(header("server").is_empty() && header("x-powered-by").is_empty());
        assert_eq!(answer.headers().get_all("content-security-policy").iter().count(), 1, "{what}");
    }
    let answer =
        owner.get(&format!("/api/v1/media/{}/content", page["id"].as_str().unwrap())).send().await.unwrap();
    assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_json_is_compressed_on_the_way() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let text = owner.upload_ok("a.txt", "the same again and again\n".repeat(500)).await;
    let data = owner.upload_ok("a.json", format!("[{}1]", "1, ".repeat(5000))).await;
    let picture = owner.upload_ok("a.jpg", noisy_jpeg()).await;
    let encoding = async |path: &str| {
        let answer = owner.get(path).header("accept-encoding", "gzip, br").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.headers().get("content-encoding").map(|v| v.to_str().unwrap().to_owned())
    };
    for path in ["/api/openapi.json", "/api/v1/media"] {
        assert!(matches!(encoding(path).await.as_deref(), Some("br" | "gzip")), "{path}");
    }
    let content = |media: &Value| format!("/api/v1/media/{}/content", media["id"].as_str().unwrap());
    for path in [
        content(&text),
        content(&data),
        content(&picture),
        format!("{}?preset=thumb", content(&picture)),
        "/health".into(),
        "/api/v1/events".into(),
    ] {
        assert_eq!(encoding(&path).await, None, "{path}");
    }
    let plain = owner.get("/api/openapi.json").header("accept-encoding", "identity").send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    assert!(plain.headers()["vary"].to_str().unwrap().contains("accept-encoding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_never_changes_is_cached_for_ever() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let cache = async |path: &str| {
        let answer = owner.get(path).send().await.unwrap();
        answer.headers().get("cache-control").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert!(!cache("/assets/gone-1a2b3c.js").await.contains("immutable"), "a missing asset may come back");
    for path in ["/", "/library", "/api/v1/media", "/api/v1/auth/me"] {
        assert!(!cache(path).await.contains("max-age=3"), "{path}");
    }
    assert_eq!(cache("/api/v1/nothing").await, "no-store");
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist/assets");
    for file in std::fs::read_dir(assets).into_iter().flatten() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let path = format!("/assets/{name}");
        if name.ends_with(".br") || name.ends_with(".gz") {
            let answer = owner.get(&path).send().await.unwrap();
            assert_eq!(answer.status(), 404, "{path}: twins are chosen by negotiation only");
            continue;
        }
        assert_eq!(cache(&path).await, "public, max-age=31536000, immutable", "{path}");
        let answer = owner.get(&path).send().await.unwrap();
        let again =
            owner.get(&path).header("if-none-match", answer.headers()["etag"].clone()).send().await.unwrap();
        assert_eq!(again.status(), 304, "{path}");
    }
}

/// Begins an upload with as much of its body as is said, and leaves.
async fn hang_up_after(server: &TestServer, cookie: &str, sent: usize) {
    let mut body =
        b"--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n".to_vec();
    body.extend_from_slice(&noise(sent as u64, 3 << 20));
    body.extend_from_slice(b"\r\n--line--\r\n");
    let head = request(
        "POST /api/v1/media",
        &format!(
            "Cookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {}\r\n\
             Content-Type: multipart/form-data; boundary=line\r\n",
            body.len()
        ),
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&head).await.unwrap();
    stream.write_all(&body[..sent]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_hang_up_leave_nothing_behind() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form = json!({ "email": "olive@example.org", "password": super::support::PASSWORD });
    let answer = owner.post("/api/v1/auth/login").json(&form).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let lengths = [0, 40, 200, 300_000, 600_000, 1 << 20, 2 << 20, (3 << 20) - 1];
    let visits = lengths.map(|sent| hang_up_after(&server, &cookie, sent));
    futures_util::future::join_all(visits).await;
    let incoming = server.dir.path().join("data/blobs/incoming");
    let count = async |owner: &Browser| owner.json("/api/v1/media").await["items"].as_array().unwrap().len();
    let owner = server.login("olive@example.org").await;
    // Their requests are still being noticed; each ends by itself.
    owner.upload_ok("well.txt", "behaved").await;
    until("all temporary files are gone", async || entries(&incoming) == 0).await;
    assert_eq!(count(&owner).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "soak: waits for half a minute"]
async fn soak_an_upload_that_pauses_for_too_long_is_answered_and_forgotten() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form = json!({ "email": "olive@example.org", "password": super::support::PASSWORD });
    let answer = owner.post("/api/v1/auth/login").json(&form).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let head = request(
        "POST /api/v1/media",
        &format!(
            "Cookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 3000000\r\n\
             Content-Type: multipart/form-data; boundary=line\r\n"
        ),
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&head).await.unwrap();
    let part = b"--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
    stream.write_all(part).await.unwrap();
    stream.write_all(&noise(1, 1 << 20)).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(3 * SOON, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    assert_eq!(status_of(&answer), 408, "{answer}");
    assert!(answer.contains("/problems/upload-stalled"), "{answer}");
    assert_eq!(entries(&server.dir.path().join("data/blobs/incoming")), 0);
}
