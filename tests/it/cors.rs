//! Which pages of other sites may read what, and that none of them gets at anybody's login.

use reqwest::{Client, Method, Response};
use safelight::config::WebOrigins;
use serde_json::{Value, json};

use crate::support::{TestServer, problem};

const SITE: &str = "https://www.example.org";

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

fn vary(answer: &Response) -> String {
    let all: Vec<&str> =
        answer.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    all.join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_names_the_sites_whose_pages_may_read_it() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("a.txt", "hello").await;
    let patch = async |change: Value| {
        let answer = owner.patch("/api/v1/buckets/photos").json(&change).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json::<Value>().await.unwrap()
    };
    let site = Client::new();
    let ask = async |method: Method, path: &str, origin: Option<&str>| {
        let mut request = site.request(method, server.url(path)).header("range", "bytes=0-1");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send().await.unwrap()
    };
    let preflight = async |path: &str, origin: &str| {
        let request = site.request(Method::OPTIONS, server.url(path)).header("origin", origin);
        request.header("access-control-request-method", "GET").send().await.unwrap()
    };

    // As long as nobody is named, nothing is said.
    patch(json!({ "visibility": "public" })).await;
    let answer = ask(Method::GET, "/storage/photos/a.txt", Some(SITE)).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (206, None));
    assert!(!vary(&answer).contains("origin"));

    let changed =
        patch(json!({ "cors_origins": ["HTTPS://www.Example.org/", "http://localhost:5173"] })).await;
    assert_eq!(changed["cors_origins"], json!([SITE, "http://localhost:5173"]));
    for (path, origin, allowed, status) in [
        ("/storage/photos/a.txt", Some(SITE), Some(SITE), 206),
        ("/storage/photos/a.txt", Some("http://localhost:5173"), Some("http://localhost:5173"), 206),
        ("/storage/photos/a.txt", Some("http://www.example.org"), None, 206),
        ("/storage/photos/a.txt", Some("https://www.example.org.evil.example"), None, 206),
        ("/storage/photos/a.txt", Some("null"), None, 206),
        ("/storage/photos/a.txt", None, None, 206),
        // A page learns also why it gets nothing.
        ("/storage/photos/missing.txt", Some(SITE), Some(SITE), 404),
        ("/storage/photos/a.txt?signature=x", Some(SITE), Some(SITE), 403),
        ("/storage/nowhere/a.txt", Some(SITE), None, 404),
    ] {
        let answer = ask(Method::GET, path, origin).await;
        let told = header(&answer, "access-control-allow-origin");
        assert_eq!((answer.status().as_u16(), told), (status, allowed), "{path} {origin:?}");
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        // A cache must not hand the answer to one site, or to none, out to another.
        assert_eq!(vary(&answer).contains("origin"), path.contains("/photos/"), "{path}");
        let exposed = header(&answer, "access-control-expose-headers").unwrap_or_default();
        for name in ["etag", "content-length", "content-range", "accept-ranges"] {
            assert_eq!(
                exposed.split(", ").any(|it| it == name),
                allowed.is_some(),
                "{path} {origin:?} {name}"
            );
        }
    }
    let head = ask(Method::HEAD, "/storage/photos/a.txt", Some(SITE)).await;
    assert_eq!(header(&head, "access-control-allow-origin"), Some(SITE));
    let answer = preflight("/storage/photos/a.txt", SITE).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (204, Some(SITE)));
    assert_eq!(header(&answer, "access-control-allow-methods"), Some("GET, HEAD"));
    assert!(header(&answer, "access-control-allow-headers").unwrap().contains("range"));
    assert_eq!(header(&answer, "access-control-allow-credentials"), None);
    for (path, origin) in
        [("/storage/photos/a.txt", "https://evil.example"), ("/storage/nowhere/a.txt", SITE)]
    {
        let answer = preflight(path, origin).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (204, None));
        assert_eq!(header(&answer, "access-control-allow-methods"), None);
    }

    // For all sites the answer is the same for all, and so is the cached one.
    patch(json!({ "cors_origins": ["*"] })).await;
    for origin in [Some("https://anybody.example"), None] {
        let answer = ask(Method::GET, "/storage/photos/a.txt", origin).await;
        assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
        assert!(!vary(&answer).contains("origin"));
    }
    // In a private bucket a page sees what strangers see, also with somebody's cookie.
    patch(json!({ "visibility": "private" })).await;
    let answer = ask(Method::GET, "/storage/photos/a.txt", Some(SITE)).await;
    assert_eq!(answer.status(), 404);
    let with_cookie = owner.get("/storage/photos/a.txt").header("origin", SITE).send().await.unwrap();
    assert_eq!(header(&with_cookie, "access-control-allow-credentials"), None);

    for bad in
        [json!(["example.org"]), json!(["https://a.example/path"]), json!(["*", SITE]), json!(["null"])]
    {
        let refused = owner.patch("/api/v1/buckets/photos").json(&json!({ "cors_origins": bad }));
        let body = problem(refused.send().await.unwrap(), 422, "validation").await;
        assert_eq!(body["errors"][0]["field"], "cors_origins", "{bad}");
    }
    assert_eq!(patch(json!({ "cors_origins": [] })).await["cors_origins"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_configured_sites_use_the_api_with_a_token_only() {
    let configure = |config: &mut safelight::config::Config| {
        config.cors.origins = WebOrigins::parse([SITE]).unwrap();
    };
    let server = TestServer::start_with(configure).await;
    let owner = server.setup_owner().await;
    let form = json!({ "name": "page", "scopes": ["library.read", "library.write"] });
    let made: Value = owner.post("/api/v1/tokens").json(&form).send().await.unwrap().json().await.unwrap();
    let token = made["token"].as_str().unwrap();
    let page = Client::new();

    // Its browser asks first, without the token.
    for (path, method) in [
        ("/api/v1/uploads", "POST"),
        ("/api/v1/uploads/0190a000-0000-7000-8000-000000000000", "PATCH"),
        ("/api/v1/media", "GET"),
        ("/api/v1/users", "DELETE"),
    ] {
        let asked = |origin: &str| {
            page.request(Method::OPTIONS, server.url(path))
                .header("origin", origin)
                .header("access-control-request-method", method)
                .header("access-control-request-headers", "authorization,tus-resumable,upload-offset")
                .send()
        };
        let answer = asked(SITE).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "access-control-allow-origin")),
            (204, Some(SITE))
        );
        assert!(header(&answer, "access-control-allow-methods").unwrap().contains(method));
        let headers = header(&answer, "access-control-allow-headers").unwrap();
        for name in ["authorization", "tus-resumable", "upload-offset", "upload-metadata", "content-type"] {
            assert!(headers.split(", ").any(|it| it == name), "{name}");
        }
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        let answer = asked("https://evil.example").await.unwrap();
        assert_eq!(header(&answer, "access-control-allow-origin"), None);
        assert_eq!(header(&answer, "access-control-allow-methods"), None);
    }
    let begun = page
        .post(server.url("/api/v1/uploads"))
        .bearer_auth(token)
        .header("origin", SITE)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", 5)
        .header("content-type", "application/offset+octet-stream")
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!((begun.status().as_u16(), header(&begun, "access-control-allow-origin")), (201, Some(SITE)));
    let exposed = header(&begun, "access-control-expose-headers").unwrap();
    for name in ["location", "upload-offset", "upload-length", "tus-resumable", "safelight-media-id"] {
        assert!(exposed.split(", ").any(|it| it == name), "{name}");
    }
    // A refusal can be read too, and each answer says that it depends on the site.
    let refused =
        page.get(server.url("/api/v1/users")).bearer_auth(token).header("origin", SITE).send().await;
    let refused = refused.unwrap();
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "access-control-allow-origin")),
        (403, Some(SITE))
    );
    for origin in ["https://evil.example", "null"] {
        let answer = page.get(server.url("/api/v1/media")).bearer_auth(token).header("origin", origin);
        let answer = answer.send().await.unwrap();
        assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
        assert!(vary(&answer).contains("origin"));
    }
    // The cookie is no ticket for pages of that site: what would change something is refused, the rest unreadable.
    let cross = server.login("olive@example.org").await;
    let folder = json!({ "path": "x" });
    let refused = cross
        .http
        .post(server.url("/api/v1/buckets/photos/folders"))
        .header("origin", SITE)
        .header("sec-fetch-site", "cross-site")
        .json(&folder)
        .send()
        .await
        .unwrap();
    problem(refused, 403, "cross-origin").await;
    let read = cross.http.get(server.url("/api/v1/media")).header("origin", SITE).send().await.unwrap();
    assert_eq!(header(&read, "access-control-allow-credentials"), None);
    // The pages of the appliance itself are nobody else's business.
    let own = page.get(server.url("/")).header("origin", SITE).send().await.unwrap();
    assert_eq!(header(&own, "access-control-allow-origin"), None);
}
