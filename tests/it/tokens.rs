//! Tokens of programs: what they may, when they are over, and what needs a person.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Browser, PASSWORD, TestServer, problem};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A program without cookies that sends a token.
struct Program {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Program {
    fn new(server: &TestServer, made: &Value) -> Self {
        let token = made["token"].as_str().unwrap().to_owned();
        Self { http: reqwest::Client::new(), base: server.url(""), token }
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }
}

async fn make(browser: &Browser, form: Value) -> Value {
    let answer = browser.post("/api/v1/tokens").json(&form).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    assert_eq!(answer.headers()["cache-control"], "no-store");
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_what_its_scopes_and_its_owner_may() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form = json!({ "name": " Backup script ", "scopes": ["library.read", "library.read"] });
    let made = make(&owner, form).await;
    let text = made["token"].as_str().unwrap();
    assert!(text.starts_with("slt_") && text.len() == 44, "{text}");
    assert!(text.starts_with(made["prefix"].as_str().unwrap()));
    assert_eq!((made["name"].as_str(), made["expires_at"].is_null()), (Some("Backup script"), true));

    let program = Program::new(&server, &made);
    assert_eq!(program.get("/api/v1/media").await.status(), 200);
    let me: Value = program.get("/api/v1/auth/me").await.json().await.unwrap();
    assert_eq!(me["permissions"], json!(["library.read"]));
    problem(program.get("/api/v1/users").await, 403, "forbidden").await;
    let bucket = json!({ "slug": "made-by-program" });
    let refused = program.ask(Method::POST, "/api/v1/buckets").json(&bucket).send().await.unwrap();
    problem(refused, 403, "forbidden").await;

    // No origin stands in a program's request, and a cookie beside the token changes nothing.
    let mighty = Program::new(
        &server,
        &make(
            &owner,
            json!({ "name": "all", "scopes": ["buckets.manage", "library.write", "library.read"] }),
        )
        .await,
    );
    let made = mighty
        .ask(Method::POST, "/api/v1/buckets")
        .header("origin", "https://elsewhere.example")
        .header("cookie", "safelight_session=0123456789012345678901234567890123456789")
        .json(&bucket)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 201);
    let part = reqwest::multipart::Part::bytes(b"hello".to_vec()).file_name("hello.txt");
    let form = reqwest::multipart::Form::new().part("file", part);
    let uploaded = mighty.ask(Method::POST, "/api/v1/media").multipart(form).send().await.unwrap();
    assert_eq!(uploaded.status(), 201);
    let audit = owner.json("/api/v1/audit?action=token").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["token.add", "token.add"]);

    // What the owner loses, the token loses.
    let editor = server.add_user(&owner, "editor").await;
    let writer = make(&editor, json!({ "name": "w", "scopes": ["library.read", "library.write"] })).await;
    let writer = Program::new(&server, &writer);
    let id = owner.json("/api/v1/users").await["items"][1]["id"].as_str().unwrap().to_owned();
    let folder = json!({ "path": "a" });
    let ask = || writer.ask(Method::POST, "/api/v1/buckets/made-by-program/folders").json(&folder).send();
    assert_eq!(ask().await.unwrap().status(), 201);
    let lesser = owner.patch(&format!("/api/v1/users/{id}")).json(&json!({ "role": "viewer" }));
    assert_eq!(lesser.send().await.unwrap().status(), 200);
    problem(ask().await.unwrap(), 403, "forbidden").await;
    assert_eq!(writer.get("/api/v1/media").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_time_its_withdrawal_and_its_owner() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    let scopes = json!(["library.read"]);
    let short = make(&editor, json!({ "name": "a", "scopes": scopes, "expires_in_days": 2 })).await;
    let long = make(&editor, json!({ "name": "b", "scopes": scopes })).await;
    let gone = make(&editor, json!({ "name": "c", "scopes": scopes })).await;
    let [short_lived, for_ever, withdrawn] = [&short, &long, &gone].map(|made| Program::new(&server, made));

    assert_eq!(withdrawn.get("/api/v1/media").await.status(), 200);
    // Another person's token does not exist, not even for an owner.
    let path = format!("/api/v1/tokens/{}", gone["id"].as_str().unwrap());
    problem(owner.delete(&path).send().await.unwrap(), 404, "not-found").await;
    assert_eq!(editor.delete(&path).send().await.unwrap().status(), 204);
    let refused = withdrawn.get("/api/v1/media").await;
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    problem(refused, 401, "token-refused").await;

    server.clock.advance(2 * DAY - Duration::from_secs(1));
    assert_eq!(short_lived.get("/api/v1/media").await.status(), 200);
    server.clock.advance(Duration::from_secs(1));
    problem(short_lived.get("/api/v1/media").await, 401, "token-refused").await;
    assert_eq!(for_ever.get("/api/v1/media").await.status(), 200);
    // Its owner still sees why the program stopped; later it is forgotten.
    let listed = editor.json("/api/v1/tokens").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    server.app.db.write(safelight::accounts::prune).await.unwrap();
    server.clock.advance(31 * DAY);
    server.app.db.write(safelight::accounts::prune).await.unwrap();
    let own: Value = for_ever.get("/api/v1/tokens").await.json().await.unwrap();
    assert_eq!(own["items"].as_array().unwrap().len(), 1);

    let owner = server.login("olive@example.org").await;
    let id = owner.json("/api/v1/users").await["items"][1]["id"].as_str().unwrap().to_owned();
    let disable = owner.patch(&format!("/api/v1/users/{id}")).json(&json!({ "disabled": true }));
    assert_eq!(disable.send().await.unwrap().status(), 200);
    problem(for_ever.get("/api/v1/media").await, 401, "token-refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_noted_at_most_once_a_minute() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let made = make(&owner, json!({ "name": "a", "scopes": ["library.read"] })).await;
    assert!(made["last_used_at"].is_null());
    let program = Program::new(&server, &made);
    let mut seen = Vec::new();
    for pause in [0, 59, 2] {
        server.clock.advance(Duration::from_secs(pause));
        assert_eq!(program.get("/api/v1/auth/me").await.status(), 200);
        seen.push(owner.json("/api/v1/tokens").await["items"][0]["last_used_at"].clone());
    }
    assert!(seen[0].is_string());
    assert_eq!(seen[0], seen[1], "within the minute nothing is written");
    assert_ne!(seen[1], seen[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_person_is_refused_to_a_token() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let all = owner.json("/api/v1/auth/me").await["permissions"].clone();
    let made = make(&owner, json!({ "name": "all", "scopes": all })).await;
    let other = make(&owner, json!({ "name": "other", "scopes": ["library.read"] })).await;
    let program = Program::new(&server, &made);
    let editor = json!({ "name": "E", "email": "e@example.org", "role": "editor", "password": PASSWORD });
    let added = program.ask(Method::POST, "/api/v1/users").json(&editor).send().await.unwrap();
    assert_eq!(added.status(), 201);
    let id = added.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    for (method, path, body) in [
        (Method::POST, "/api/v1/tokens".to_owned(), json!({ "name": "x", "scopes": ["library.read"] })),
        (Method::DELETE, format!("/api/v1/tokens/{}", other["id"].as_str().unwrap()), Value::Null),
        (
            Method::POST,
            "/api/v1/auth/password".to_owned(),
            json!({ "current": PASSWORD, "new": "another long one" }),
        ),
        (Method::POST, format!("/api/v1/users/{id}/password"), json!({ "password": "another long one" })),
        (Method::POST, "/api/v1/auth/logout".to_owned(), Value::Null),
        (Method::GET, "/api/v1/auth/sessions".to_owned(), Value::Null),
        (Method::DELETE, "/api/v1/auth/sessions".to_owned(), Value::Null),
    ] {
        let answer = program.ask(method, &path).json(&body).send().await.unwrap();
        problem(answer, 403, "session-needed").await;
    }
    // An owner's token makes no owners: whoever found it could log in as one.
    let form = json!({ "name": "O", "email": "o@example.org", "role": "owner", "password": PASSWORD });
    let refused = program.ask(Method::POST, "/api/v1/users").json(&form).send().await.unwrap();
    problem(refused, 403, "forbidden").await;
    // One that manages people hands out nothing that it may not do itself.
    let made_lesser =
        make(&owner, json!({ "name": "people", "scopes": ["users.manage", "library.read"] })).await;
    let lesser = Program::new(&server, &made_lesser);
    let mut form = json!({ "name": "A", "email": "a@example.org", "role": "admin", "password": PASSWORD });
    problem(lesser.ask(Method::POST, "/api/v1/users").json(&form).send().await.unwrap(), 403, "forbidden")
        .await;
    let change = lesser.ask(Method::PATCH, &format!("/api/v1/users/{id}")).json(&json!({ "role": "admin" }));
    problem(change.send().await.unwrap(), 403, "forbidden").await;
    form["role"] = json!("viewer");
    assert_eq!(lesser.ask(Method::POST, "/api/v1/users").json(&form).send().await.unwrap().status(), 201);
    // A program may withdraw its own.
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(program.ask(Method::DELETE, &path).send().await.unwrap().status(), 204);
    assert_eq!(program.get("/api/v1/auth/me").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_and_bad_wishes_are_refused() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for (form, field) in [
        (json!({ "name": "", "scopes": ["library.read"] }), "name"),
        (json!({ "name": "a\u{202e}", "scopes": ["library.read"] }), "name"),
        (json!({ "name": "a", "scopes": [] }), "scopes"),
        (json!({ "name": "a", "scopes": ["everything"] }), "scopes"),
        (json!({ "name": "a", "scopes": ["library.read"], "expires_in_days": 0 }), "expires_in_days"),
        (json!({ "name": "a", "scopes": ["library.read"], "expires_in_days": 3651 }), "expires_in_days"),
    ] {
        let answer = owner.post("/api/v1/tokens").json(&form).send().await.unwrap();
        let body = problem(answer, 422, "validation").await;
        assert_eq!(body["errors"][0]["field"], field, "{form}");
    }
    let viewer = server.add_user(&owner, "viewer").await;
    let form = json!({ "name": "a", "scopes": ["library.write"] });
    problem(viewer.post("/api/v1/tokens").json(&form).send().await.unwrap(), 422, "validation").await;

    let ask =
        |authorization: String| owner.get("/api/v1/media").header("authorization", authorization).send();
    for bad in ["Bearer ", "Bearer x", "bearer slt_", &format!("Bearer slt_{}", "0".repeat(40))] {
        // The owner's cookie comes along and does not count.
        problem(ask(bad.to_owned()).await.unwrap(), 401, "token-refused").await;
    }
    assert_eq!(ask("Basic dXNlcjpwYXNz".into()).await.unwrap().status(), 200, "a proxy's own affair");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_stream_ends_with_its_token() {
    use futures_util::StreamExt;

    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let made = make(&owner, json!({ "name": "a", "scopes": ["library.read"] })).await;
    let program = Program::new(&server, &made);
    let stream = program.get("/api/v1/events").await;
    assert_eq!(stream.status(), 200);
    let mut stream = stream.bytes_stream();
    let mut text = String::new();
    owner.upload_ok("a.txt", b"a".to_vec()).await;
    while !text.contains("event: media") {
        text += &String::from_utf8_lossy(&stream.next().await.expect("the stream goes on").unwrap());
    }
    assert!(!text.contains("event: job"), "the scope does not show jobs");
    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(owner.delete(&path).send().await.unwrap().status(), 204);
    let rest = async {
        while let Some(Ok(chunk)) = stream.next().await {
            text += &String::from_utf8_lossy(&chunk);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), rest).await.expect("the stream ends");
    assert!(text.contains("event: session-ended"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_manages_people_sees_and_withdraws_their_tokens() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let admin = server.add_user(&owner, "admin").await;
    let editor = server.add_user(&owner, "editor").await;
    let form = json!({ "name": "script", "scopes": ["library.read"] });
    let mut made = Vec::new();
    for browser in [&owner, &admin, &editor, &editor] {
        made.push(make(browser, form.clone()).await);
    }
    let path = |number: usize| format!("/api/v1/users/tokens/{}", made[number]["id"].as_str().unwrap());
    let first = admin.json("/api/v1/users/tokens?limit=3").await;
    let roles = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|one| one["user"]["role"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(roles(&first), ["editor", "editor", "admin"]);
    assert_eq!(first["items"][0]["prefix"], made[3]["prefix"]);
    assert!(first["items"][0]["token"].is_null(), "the secret is never told again");
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(roles(&admin.json(&format!("/api/v1/users/tokens?cursor={cursor}")).await), ["owner"]);
    problem(editor.get("/api/v1/users/tokens").send().await.unwrap(), 403, "forbidden").await;

    problem(admin.delete(&path(0)).send().await.unwrap(), 403, "forbidden").await;
    let all = json!({ "name": "all", "scopes": ["users.manage"] });
    let mighty = Program::new(&server, &make(&owner, all).await);
    problem(mighty.ask(Method::DELETE, &path(2)).send().await.unwrap(), 403, "session-needed").await;
    let program = Program::new(&server, &made[2]);
    assert_eq!(program.get("/api/v1/media").await.status(), 200);
    assert_eq!(admin.delete(&path(2)).send().await.unwrap().status(), 204);
    problem(program.get("/api/v1/media").await, 401, "token-refused").await;
    problem(admin.delete(&path(2)).send().await.unwrap(), 404, "not-found").await;
    let audit = owner.json("/api/v1/audit?limit=1").await;
    assert_eq!(audit["items"][0]["action"], "token.withdraw");
    assert_eq!(audit["items"][0]["details"]["user_name"], first["items"][0]["user"]["name"]);

    // A new password withdraws the rest, unless they are to stay.
    let id = first["items"][0]["user"]["id"].as_str().unwrap();
    let reset = async |keep: bool| {
        let form = json!({ "password": "a quiet evening by the sea", "keep_tokens": keep });
        owner.post(&format!("/api/v1/users/{id}/password")).json(&form).send().await.unwrap().status()
    };
    let program = Program::new(&server, &made[3]);
    assert_eq!(reset(true).await, 204);
    assert_eq!(program.get("/api/v1/media").await.status(), 200);
    assert_eq!(reset(false).await, 204);
    problem(program.get("/api/v1/media").await, 401, "token-refused").await;
    let audit = owner.json("/api/v1/audit?limit=1").await;
    assert_eq!(audit["items"][0]["details"]["tokens_withdrawn"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_signs_is_over_with_it() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("a.txt", "a").await;
    let sign = format!("/api/v1/media/{}/signed-urls", media["id"].as_str().unwrap());
    let form = json!({ "name": "frame", "scopes": ["library.read"], "expires_in_days": 2 });
    let made = make(&owner, form).await;
    let program = Program::new(&server, &made);
    let ask = async |seconds: u64| -> Value {
        let form = json!({ "expires_in_s": seconds });
        let answer = program.ask(Method::POST, &sign).json(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    };
    let short = ask(3600).await;
    assert!(short["expires_at"].as_str().unwrap() < made["expires_at"].as_str().unwrap());
    let long = ask(30 * 24 * 3600).await;
    assert!(long["expires_at"].as_str().unwrap() <= made["expires_at"].as_str().unwrap());
    let url = long["url"].as_str().unwrap();
    assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
    server.clock.advance(2 * DAY);
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);
}
