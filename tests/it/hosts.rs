//! Names: which of them lead to the appliance, which to its files alone, and which to nothing.

use reqwest::StatusCode;
use safelight::config::PublicUrl;

use super::support::TestServer;

#[tokio::test]
async fn a_name_leads_to_what_it_was_given_for() {
    let server = TestServer::start_with(|config| {
        config.server.public_url = Some(PublicUrl::parse("https://photos.example.org").unwrap());
        config.delivery.host = Some("cdn-origin.example.org".to_owned());
    })
    .await;
    let browser = server.browser();
    let status =
        async |host: &str, path: &str| browser.get(path).header("host", host).send().await.unwrap().status();
    for host in
        ["photos.example.org", "PHOTOS.example.org:443", "127.0.0.1:8080", "[::1]", "localhost", "nas.local"]
    {
        assert_eq!(status(host, "/api/v1/auth/me").await, StatusCode::UNAUTHORIZED, "{host}");
    }
    // A name that somebody else made lead here.
    let refused = browser.get("/api/v1/auth/me").header("host", "evil.example").send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    assert!(refused.headers().contains_key("content-security-policy"));
    assert_eq!(status("evil.example", "/").await, StatusCode::MISDIRECTED_REQUEST);
    for watched in ["/health", "/health/ready", "/api/health"] {
        assert_eq!(status("evil.example", watched).await, StatusCode::OK, "{watched}");
    }

    // Where files are fetched there is nothing else: no page, no API, nobody logged in.
    let origin = "cdn-origin.example.org";
    for path in ["/", "/login", "/api/v1/auth/me", "/api/openapi.json", "/setup"] {
        assert_eq!(status(origin, path).await, StatusCode::NOT_FOUND, "{path}");
    }
    let posted = browser.post("/api/v1/auth/login").header("host", origin).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::NOT_FOUND);
    assert_eq!(status(origin, "/health").await, StatusCode::OK);
}

#[tokio::test]
async fn files_are_fetched_at_their_own_name_by_nobody() {
    let server = TestServer::start_with(|config| {
        config.delivery.host = Some("cdn-origin.example.org".to_owned());
    })
    .await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("a.txt", "hello").await;
    let key = media["key"].as_str().unwrap();
    let path = format!("/storage/{}/{key}", media["bucket"].as_str().unwrap());
    // The owner's own browser may see a private file, at the appliance's name only.
    assert_eq!(owner.get(&path).send().await.unwrap().status(), StatusCode::OK);
    let at_origin = owner.get(&path).header("host", "cdn-origin.example.org").send().await.unwrap();
    assert_ne!(at_origin.status(), StatusCode::OK);
    assert!(!at_origin.headers().contains_key("set-cookie"));
    // Without a public address any other name is the appliance's.
    let other = owner.get(&path).header("host", "whatever.example").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}
