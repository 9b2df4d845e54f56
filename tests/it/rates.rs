//! How often somebody may ask, by whom they are, and that what must not be counted is not.

use std::time::Duration;

use reqwest::{Client, Response};
use safelight::config::{Config, Rate, WebOrigins};
use serde_json::{Value, json};

use crate::support::{PASSWORD, TestServer, problem};

/// A server with small buckets, which believes whoever asks about the address.
async fn server() -> TestServer {
    TestServer::start_with(|config| {
        config.server.trusted_proxies = behind_a_proxy();
        config.limits.anonymous = Rate { per_second: 2, burst: 3 };
        config.limits.signed_in = Rate { per_second: 4, burst: 10 };
        config.cors.origins = WebOrigins::parse(["https://app.example.org"]).unwrap();
    })
    .await
}

fn behind_a_proxy() -> Vec<safelight::config::Network> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "data_dir = \"x\"\n[server]\ntrusted_proxies = [\"127.0.0.1\"]\n").unwrap();
    let flags = safelight::config::Flags { config: Some(file.path().to_owned()), ..Default::default() };
    let loaded = safelight::config::load(&flags, &safelight::config::Environment::empty()).unwrap();
    loaded.config.server.trusted_proxies
}

async fn ask(server: &TestServer, path: &str, from: &str) -> Response {
    Client::new().get(server.url(path)).header("x-forwarded-for", from).send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn the_limits_are_those_of_the_design_unless_somebody_changes_them() {
    let limits = Config::defaults("unused").limits;
    assert_eq!(limits.anonymous, Rate { per_second: 30, burst: 50 });
    assert_eq!(limits.signed_in, Rate { per_second: 300, burst: 1000 });
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_counted_by_address_and_told_what_is_left() {
    let server = server().await;
    for left in ["\"anonymous\";r=2;t=1", "\"anonymous\";r=1;t=1", "\"anonymous\";r=0;t=2"] {
        let answer = ask(&server, "/api/v1/setup", "192.0.2.1").await;
        assert_eq!((answer.status().as_u16(), header(&answer, "ratelimit")), (200, left));
        assert_eq!(header(&answer, "ratelimit-policy"), "\"anonymous\";q=3;w=2");
    }
    let answer = ask(&server, "/api/v1/setup", "192.0.2.1").await;
    assert_eq!(
        (header(&answer, "ratelimit"), header(&answer, "retry-after")),
        ("\"anonymous\";r=0;t=1", "1")
    );
    problem(answer, 429, "rate-limited").await;
    // Pages of other sites learn why, too.
    let asked = Client::new().get(server.url("/api/v1/setup")).header("x-forwarded-for", "192.0.2.1");
    let answer = asked.header("origin", "https://app.example.org").send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), "https://app.example.org");
    assert!(
        header(&answer, "access-control-expose-headers").contains("ratelimit, ratelimit-policy, retry-after")
    );
    // What somebody wants who watches or looks at pictures is free.
    for free in ["/health", "/api/health", "/", "/storage/photos/a.jpg", "/assets/a.js"] {
        for _ in 0..5 {
            let answer = ask(&server, free, "192.0.2.1").await;
            assert_ne!(answer.status(), 429, "{free}");
            assert_eq!(header(&answer, "ratelimit"), "", "{free}");
        }
    }
    // Neither a neighbour nor time is held against anybody; one IPv6 network is one.
    assert_eq!(ask(&server, "/api/v1/setup", "192.0.2.2").await.status(), 200);
    for (address, status) in
        [("2001:db8::1", 200), ("2001:db8::2", 200), ("2001:db8::3", 200), ("2001:db8::4", 429)]
    {
        assert_eq!(ask(&server, "/api/v1/setup", address).await.status(), status, "{address}");
    }
    assert_eq!(ask(&server, "/api/v1/setup", "2001:db8:0:1::1").await.status(), 200);
    server.clock.advance(Duration::from_millis(500));
    assert_eq!(ask(&server, "/api/v1/setup", "192.0.2.1").await.status(), 200);
    assert_eq!(ask(&server, "/api/v1/setup", "192.0.2.1").await.status(), 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_counted_over_all_that_is_theirs_and_a_bad_token_is_nobodys() {
    let server = server().await;
    let owner = server.setup_owner().await;
    let form = json!({ "name": "program", "scopes": ["library.read"] });
    let made: Value = owner.post("/api/v1/tokens").json(&form).send().await.unwrap().json().await.unwrap();
    let token = made["token"].as_str().unwrap();
    let with_token = || Client::new().get(server.url("/api/v1/media")).bearer_auth(token).send();
    // The token was made with the first of ten.
    for left in (0..9).rev() {
        let answer = if left % 2 == 0 {
            with_token().await.unwrap()
        } else {
            owner.get("/api/v1/media").send().await.unwrap()
        };
        assert_eq!(answer.status(), 200);
        assert!(
            header(&answer, "ratelimit").starts_with(&format!("\"signed-in\";r={left};t=")),
            "{answer:?}"
        );
        assert_eq!(header(&answer, "ratelimit-policy"), "\"signed-in\";q=10;w=3");
    }
    problem(with_token().await.unwrap(), 429, "rate-limited").await;
    problem(owner.get("/api/v1/media").send().await.unwrap(), 429, "rate-limited").await;
    // At home in the same house, but nobody: a bucket apart. Making the owner took one of the three.
    let bad = || Client::new().get(server.url("/api/v1/media")).bearer_auth("slt_nonsense").send();
    for status in [401, 401, 429] {
        let answer = bad().await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(header(&answer, "ratelimit").starts_with("\"anonymous\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_wrong_passwords_are_answered_with_their_own_limit() {
    let server = server().await;
    let owner = server.setup_owner().await;
    let guess = async |password: &str| {
        server.clock.advance(Duration::from_secs(2));
        let form = json!({ "email": "olive@example.org", "password": password });
        server.browser().post("/api/v1/auth/login").json(&form).send().await.unwrap()
    };
    let mut last = guess(PASSWORD).await;
    assert_eq!(last.status(), 200);
    for _ in 0..40 {
        last = guess("wrong, as before").await;
        if last.status() == 429 {
            break;
        }
        assert_eq!(last.status(), 401);
    }
    let all = |name: &str| -> Vec<String> {
        last.headers().get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let wait = header(&last, "retry-after");
    assert_eq!(all("ratelimit"), [format!("\"login\";r=0;t={wait}"), "\"anonymous\";r=2;t=1".into()]);
    assert_eq!(all("ratelimit-policy"), ["\"login\";q=5", "\"anonymous\";q=3;w=2"]);
    problem(last, 429, "too-many-attempts").await;
    drop(owner);
}
