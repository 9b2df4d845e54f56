//! What holds for every answer: headers, names of requests, bodies that are too large, compression.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::{Client, Method, Response};
use safelight::outbound::Outbound;
use safelight::server::{self, Door, Listening};
use safelight::tls::Tls;

use crate::support::{TestServer, problem};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_has_the_headers_that_protect_people() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("page.html", "<script>alert(1)</script>").await;
    let public = owner.patch("/api/v1/buckets/photos").json(&serde_json::json!({ "visibility": "public" }));
    assert_eq!(public.send().await.unwrap().status(), 200);
    let content = format!("/api/v1/media/{}/content", media["id"].as_str().unwrap());
    let mut answers: Vec<(String, Response)> = Vec::new();
    for (method, path, status) in [
        (Method::GET, "/", 200),
        (Method::GET, "/login", 200),
        (Method::GET, "/assets/gone.js", 404),
        (Method::POST, "/library", 405),
        (Method::GET, "/health", 200),
        (Method::GET, "/metrics", 200),
        (Method::POST, "/metrics", 405),
        (Method::GET, "/api/docs", 200),
        (Method::GET, "/api/nothing", 404),
        (Method::PUT, "/api/v1/media", 405),
        (Method::OPTIONS, "/api/v1/media", 405),
        (Method::GET, "/api/v1/media", 200),
        (Method::HEAD, "/api/v1/media", 200),
        (Method::GET, "/api/v1/media?limit=x", 400),
        (Method::GET, "/api/v1/events", 200),
        (Method::GET, &content, 200),
        (Method::GET, "/storage/photos/page.html", 200),
        (Method::GET, "/storage/photos/gone.html", 404),
    ] {
        let answer = owner.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        answers.push((format!("{method} {path}"), answer));
    }
    answers.push(("a redirect".into(), redirect(&server).await));
    for (what, answer) in &answers {
        let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let csp = header("content-security-policy");
        // What people have uploaded stands in a sandbox, where a page may have its own styles and nothing else.
        let safe =
            csp.starts_with("sandbox; default-src 'none'") || csp.starts_with("default-src 'self'; base-uri");
        assert!(safe && !csp.replace("style-src 'unsafe-inline'", "").contains("unsafe"), "{what}: {csp}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
        assert_eq!(header("referrer-policy"), "same-origin", "{what}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
        assert!(["same-origin", "cross-origin"].contains(&header("cross-origin-resource-policy")), "{what}");
        assert!(header("permissions-policy").contains("camera=()"), "{what}");
        if what != "a redirect" {
            assert!(!header("x-request-id").is_empty(), "{what}");
        }
    }
}

/// What somebody gets who comes without encryption where there is encryption.
async fn redirect(server: &TestServer) -> Response {
    let mut config = (*server.app.config).clone();
    config.tls.domains = vec![vec!["localhost.example".into()]];
    let folder = tempfile::tempdir().unwrap();
    let outbound = Outbound::new(&config.outbound);
    let clock = server.clock.clone();
    let pace = safelight::tls::Pace::default();
    let tls = Tls::open(&config.tls, folder.path().to_owned(), &outbound, clock, pace).unwrap();
    let door = Door::Other(server::front(tls, 443));
    let listening = Listening::new(&config).open("127.0.0.1:0".parse().unwrap(), door).await.unwrap();
    let address = listening.address();
    tokio::spawn(server::serve(listening, axum_router(), server.app.stopping.clone()));
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client.get(format!("http://{address}/a?b=c")).header("host", "localhost.example");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["location"], "https://localhost.example/a?b=c");
    answer
}

fn axum_router() -> axum::Router {
    axum::Router::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_a_plain_name_and_gets_another_one_instead_of_a_strange_one() {
    let server = TestServer::start().await;
    let long = "x".repeat(65);
    for (sent, kept) in
        [("job-17.retry_2", true), ("a b", false), ("<script>", false), (&long, false), ("", false)]
    {
        let answer = server.browser().get("/api/nothing").header("x-request-id", sent).send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == sent, kept, "{sent}");
        assert!(!id.is_empty());
        assert_eq!(problem(answer, 404, "not-found").await["request_id"], id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_before_it_has_ended() {
    let server = TestServer::start().await;
    // Nobody has to be logged in for these.
    for path in ["/api/v1/auth/login", "/api/v1/setup"] {
        let address = server.address;
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\n\
                 content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{{\"a\":          \"\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let piece = [b"10000\r\n".as_slice(), &[b'x'; 65536], b"\r\n"].concat();
            // Three megabytes, and never an end. Who answers early may close before all has been taken.
            for _ in 0..48 {
                if stream.write_all(&piece).is_err() {
                    break;
                }
            }
            let mut answer = [0; 64];
            let read = stream.read(&mut answer).unwrap_or(0);
            String::from_utf8_lossy(&answer[..read]).into_owned()
        });
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_compressed_and_files_and_events_are_not() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("long.txt", "word ".repeat(2000)).await;
    let public = owner.patch("/api/v1/buckets/photos").json(&serde_json::json!({ "visibility": "public" }));
    assert_eq!(public.send().await.unwrap().status(), 200);
    for (path, accepted, encoding) in [
        ("/api/openapi.json", "gzip, deflate, br", "br"),
        ("/api/openapi.json", "gzip", "gzip"),
        ("/api/openapi.json", "br;q=0, gzip;q=0.5", "gzip"),
        ("/api/openapi.json", "zstd", ""),
        ("/api/docs", "br", "br"),
        ("/metrics", "gzip", "gzip"),
        ("/health", "gzip, br", ""),
        ("/api/v1/events", "gzip, br", ""),
        ("/storage/photos/long.txt", "gzip, br", ""),
    ] {
        let answer = owner.get(path).header("accept-encoding", accepted).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let found = answer.headers().get("content-encoding").map_or("", |value| value.to_str().unwrap());
        assert_eq!(found, encoding, "{path} {accepted}");
    }
}
