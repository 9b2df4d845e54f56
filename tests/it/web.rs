//! The door as browsers see it: pages, addresses that are nobody's, headers, the API's own description.

use serde_json::Value;

use crate::support::{TestServer, problem};

#[test]
fn the_checked_in_api_document_is_the_one_that_the_code_describes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let written = std::fs::read_to_string(path).unwrap();
    let described = safelight::server::openapi().to_pretty_json().unwrap();
    assert!(written.trim_end() == described, "docs/openapi.json is old: run `make openapi`");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_document_names_every_operation_once_and_says_what_it_does() {
    let server = TestServer::start().await;
    let document: Value = server.browser().json("/api/openapi.json").await;
    let mut ids = std::collections::HashSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(ids.insert(operation["operationId"].to_string()), "{method} {path}: the id is taken");
        }
    }
    assert!(ids.len() > 30, "{}", ids.len());
    let page = server.browser().get("/api/docs").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("/api/v1/media/{id}/restorations"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_address_gets_the_ui_or_a_page_that_says_it_is_not_built() {
    let server = TestServer::start().await;
    for path in ["/", "/library/photos/Scans%20vol.2", "/studio/0190c8b7-0000-7000-8000-000000000000"] {
        let answer = server.browser().get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        let html = answer.text().await.unwrap();
        assert!(html.contains("<base href=\"/\"") || html.contains("without its web UI"), "{html}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_nobodys_is_a_problem_document() {
    let server = TestServer::start().await;
    let browser = server.browser();
    for path in ["/api/v1/nothing", "/api", "/assets/gone.js", "/favicon.ico"] {
        problem(browser.get(path).send().await.unwrap(), 404, "not-found").await;
    }
    let answer = browser.post("/library").send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET, HEAD");
    problem(answer, 405, "method-not-allowed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subpath_holds_everything_but_the_health_of_the_process() {
    let server = TestServer::start_with(|config| config.server.base_path = "/photographs".into()).await;
    let browser = server.browser();
    let page = browser.get("/photographs/login").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("<base href=\"/photographs/\"") || html.contains("without its web UI"), "{html}");
    assert_eq!(browser.json("/photographs/api/v1/setup").await["needed"], true);
    assert_eq!(browser.json("/health").await["status"], "ok");
    assert_eq!(browser.json("/photographs/health/ready").await["status"], "ok");
    problem(browser.get("/login").send().await.unwrap(), 404, "not-found").await;
    problem(browser.get("/api/v1/setup").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_that_the_process_lives_and_whether_it_can_work() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let health = browser.json("/health").await;
    assert_eq!((health["status"].as_str(), health["app"].as_str()), (Some("ok"), Some("safelight")));
    let ready = browser.json("/api/health").await;
    assert_eq!(ready["db"], "ok");
    server.app.stopping.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_learns_whether_it_is_logged_in_without_an_error() {
    let server = TestServer::start().await;
    let before = server.browser().json("/api/v1/setup").await;
    assert_eq!((&before["needed"], &before["signed_in"]), (&true.into(), &false.into()));
    let owner = server.setup_owner().await;
    let after = owner.json("/api/v1/setup").await;
    assert_eq!((&after["needed"], &after["signed_in"]), (&false.into(), &true.into()));
}
