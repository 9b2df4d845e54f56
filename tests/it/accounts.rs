//! People, sessions, passwords, roles, and the audit that goes with them.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use safelight::accounts::{self, Login, NewUser, Password, Setup, Token};
use safelight::audit;
use safelight::config::{self, Config, Environment, Flags};
use safelight::db;
use serde_json::{Value, json};

use crate::support::{Browser, PASSWORD, TestServer, problem};

const SETUP: &str = "/api/v1/setup";
const LOGIN: &str = "/api/v1/auth/login";
const ME: &str = "/api/v1/auth/me";
const SESSIONS: &str = "/api/v1/auth/sessions";
const USERS: &str = "/api/v1/users";

async fn post(browser: &Browser, path: &str, body: Value) -> Response {
    browser.post(path).json(&body).send().await.unwrap()
}

async fn patch(browser: &Browser, path: &str, body: Value) -> Response {
    browser.patch(path).json(&body).send().await.unwrap()
}

async fn status(browser: &Browser, path: &str) -> u16 {
    browser.get(path).send().await.unwrap().status().as_u16()
}

async fn try_login(server: &TestServer, email: &str, password: &str) -> Response {
    post(&server.browser(), LOGIN, json!({ "email": email, "password": password })).await
}

async fn assert_status(answer: Response, expected: u16) {
    let status = answer.status().as_u16();
    assert_eq!(status, expected, "{}", answer.text().await.unwrap());
}

/// The value of the cookie that an answer sets, and the whole header.
fn cookie(answer: &Response) -> (String, String) {
    let header = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let value = header.split_once('=').unwrap().1.split(';').next().unwrap().to_owned();
    (value, header)
}

async fn id_of(owner: &Browser, email: &str) -> String {
    let users = owner.json(USERS).await;
    let found = users["items"].as_array().unwrap().iter().find(|user| user["email"] == email).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

fn retry_after(answer: &Response) -> u64 {
    answer.headers()["retry-after"].to_str().unwrap().parse().unwrap()
}

/// A configuration in which the test's own connection counts as a proxy, so that a request can name its address.
fn behind_a_proxy(config: &mut Config) {
    let environment = [("SAFELIGHT_SERVER__TRUSTED_PROXIES", "127.0.0.1")].into_iter().collect();
    config.server = settings(&environment).server;
}

fn settings(environment: &Environment) -> Config {
    let flags = Flags { config: Some("/dev/null".into()), ..Flags::default() };
    config::load(&flags, environment).unwrap().config
}

fn setup_form(token: &str) -> Value {
    json!({ "token": token, "name": "Olive", "email": "Olive@Example.org ", "password": PASSWORD, "sample": false })
}

// Setup

#[tokio::test]
async fn the_setup_token_works_once_and_only_the_newest() {
    let server = TestServer::start().await;
    let browser = server.browser();
    assert_eq!(browser.json(SETUP).await, json!({ "needed": true, "signed_in": false }));
    let old = accounts::setup_token(&server.app).await.unwrap().unwrap();
    let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    for wrong in [old.as_str(), "", "guess", &"0".repeat(40), &token.to_uppercase()] {
        problem(post(&browser, SETUP, setup_form(wrong)).await, 403, "setup-token-invalid").await;
    }

    let made = post(&browser, SETUP, setup_form(&token)).await;
    assert_eq!(made.status(), 201);
    let user: Value = made.json().await.unwrap();
    assert_eq!(user["email"], "olive@example.org");
    assert_eq!(user["role"], "owner");
    assert!(user.get("password_hash").is_none());
    assert_eq!(browser.json(ME).await["id"], user["id"], "the owner is logged in");

    problem(post(&server.browser(), SETUP, setup_form(&token)).await, 409, "setup-done").await;
    assert_eq!(browser.json(SETUP).await, json!({ "needed": false, "signed_in": true }));
    assert!(accounts::setup_token(&server.app).await.unwrap().is_none());
}

#[tokio::test]
async fn the_setup_token_is_over_after_half_an_hour() {
    let server = TestServer::start().await;
    let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    server.clock.advance(Duration::from_secs(30 * 60));
    let answer = post(&server.browser(), SETUP, setup_form(&token)).await;
    problem(answer, 403, "setup-token-invalid").await;
    let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    server.clock.advance(Duration::from_secs(30 * 60 - 1));
    assert_status(post(&server.browser(), SETUP, setup_form(&token)).await, 201).await;
}

#[tokio::test]
async fn a_mistake_in_the_setup_form_does_not_use_the_token_up() {
    let server = TestServer::start().await;
    let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    let form = json!({ "token": token, "name": " ", "email": "nowhere", "password": "short" });
    let body = problem(post(&server.browser(), SETUP, form).await, 422, "validation").await;
    let fields: Vec<_> = body["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["name", "email", "password"], "all at once");
    assert_status(post(&server.browser(), SETUP, setup_form(&token)).await, 201).await;
}

#[tokio::test]
async fn of_two_setups_at_once_one_makes_the_owner() {
    let server = TestServer::start().await;
    let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    let (one, two) = (server.browser(), server.browser());
    let (a, b) = tokio::join!(post(&one, SETUP, setup_form(&token)), post(&two, SETUP, setup_form(&token)));
    let mut statuses = [a.status().as_u16(), b.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

// Login

#[tokio::test]
async fn wrong_unknown_and_disabled_get_the_same_answer() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    server.add_user(&owner, "viewer").await;
    let viewer = id_of(&owner, "viewer@example.org").await;
    assert_status(patch(&owner, &format!("{USERS}/{viewer}"), json!({ "disabled": true })).await, 200).await;

    let mut answers = Vec::new();
    for (email, password) in [
        ("olive@example.org", "wrong password"),
        ("nobody@example.org", PASSWORD),
        ("not an email", PASSWORD),
        ("", ""),
        ("viewer@example.org", PASSWORD),
        ("viewer@example.org", "wrong password"),
    ] {
        let answer = try_login(&server, email, password).await;
        assert!(answer.headers().get("set-cookie").is_none());
        let mut body = problem(answer, 401, "wrong-credentials").await;
        body["request_id"].take();
        answers.push(body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn an_email_fits_in_any_case() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    let answer = try_login(&server, " OLIVE@example.ORG", PASSWORD).await;
    assert_eq!(answer.status(), 200);
    let me: Value = answer.json().await.unwrap();
    assert_eq!(me["permissions"].as_array().unwrap().len(), 9);
    assert_eq!(me["last_login_at"], server.clock.now().to_string());
}

#[tokio::test]
async fn wrong_passwords_make_the_account_wait_longer_and_longer() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    for _ in 0..5 {
        assert_status(try_login(&server, "olive@example.org", "wrong password").await, 401).await;
    }
    for expected in [1, 2, 4, 8] {
        let answer = try_login(&server, "OLIVE@example.org", PASSWORD).await;
        assert_eq!(retry_after(&answer), expected);
        problem(answer, 429, "too-many-attempts").await;
        server.clock.advance(Duration::from_millis(expected * 1000 - 1));
        assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 429).await;
        server.clock.advance(Duration::from_millis(1));
        assert_status(try_login(&server, "olive@example.org", "wrong password").await, 401).await;
    }
    server.clock.advance(Duration::from_secs(16));
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 200).await;
    for _ in 0..5 {
        assert_status(try_login(&server, "olive@example.org", "wrong password").await, 401).await;
    }
}

#[tokio::test]
async fn an_account_that_does_not_exist_waits_as_well() {
    let server = TestServer::start().await;
    for _ in 0..5 {
        assert_status(try_login(&server, "nobody@example.org", "wrong password").await, 401).await;
    }
    assert_status(try_login(&server, "nobody@example.org", "wrong password").await, 429).await;
}

#[tokio::test]
async fn wrong_passwords_for_many_accounts_make_the_address_wait() {
    let server = TestServer::start_with(|config| config.limits.login.attempts_per_address = 4).await;
    server.setup_owner().await;
    for n in 0..4 {
        assert_status(try_login(&server, &format!("user{n}@example.org"), "wrong password").await, 401).await;
    }
    let answer = try_login(&server, "olive@example.org", PASSWORD).await;
    assert_eq!(retry_after(&answer), 1);
    problem(answer, 429, "too-many-attempts").await;
    server.clock.advance(Duration::from_secs(1));
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 200).await;
    // The right password has taken back its own attempt only.
    assert_status(try_login(&server, "user9@example.org", "wrong password").await, 401).await;
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 429).await;
}

#[tokio::test]
async fn guesses_that_come_at_once_are_all_counted() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    let guesses = (0..12).map(|_| try_login(&server, "olive@example.org", "wrong password"));
    let answers = futures_util::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status() == 401).count();
    let refused = answers.iter().filter(|answer| answer.status() == 429).count();
    assert_eq!((looked_at, refused), (5, 7));
}

#[tokio::test]
async fn a_strangers_guessing_does_not_lock_out_whoever_is_logged_in() {
    let server = TestServer::start_with(behind_a_proxy).await;
    let login = async |address: &str, password: &str| {
        let body = json!({ "email": "olive@example.org", "password": password });
        let request = server.browser().post(LOGIN).header("x-forwarded-for", address).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    server.setup_owner().await;
    assert_eq!(login("192.0.2.1", PASSWORD).await, 200);
    for _ in 0..5 {
        assert_eq!(login("198.51.100.7", "wrong password").await, 401);
    }
    assert_eq!(login("198.51.100.7", PASSWORD).await, 429);
    assert_eq!(login("203.0.113.9", PASSWORD).await, 429, "the account waits for the rest of the world");
    assert_eq!(login("192.0.2.1", PASSWORD).await, 200, "but not where its user is at home");
}

#[tokio::test]
async fn a_hash_of_older_parameters_is_replaced_at_the_next_login() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    let hash = async || -> String {
        let read = server.app.db.read(|conn| {
            let hash = conn.query_row("SELECT password_hash FROM users", [], |row| row.get(0));
            hash.map_err(db::Error::from)
        });
        read.await.unwrap()
    };
    let old = {
        use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        weak.hash_password(PASSWORD.as_bytes()).unwrap().to_string()
    };
    let stored = old.clone();
    let write = server.app.db.write(move |tx| {
        tx.execute("UPDATE users SET password_hash = ?1", [stored]).map_err(db::Error::from)
    });
    write.await.unwrap();
    assert_status(try_login(&server, "olive@example.org", "wrong password").await, 401).await;
    assert_eq!(hash().await, old);
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 200).await;
    assert!(hash().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 200).await;
}

// Sessions

#[tokio::test]
async fn nobody_is_logged_in_without_a_good_cookie() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    for value in ["", "nonsense", "0000000000000000000000000000000000000000", "\"quoted\"", "a=b"] {
        let request = server.browser().get(ME).header("cookie", format!("safelight_session={value}"));
        problem(request.send().await.unwrap(), 401, "not-signed-in").await;
    }
    problem(server.browser().get(ME).send().await.unwrap(), 401, "not-signed-in").await;
    assert_status(post(&server.browser(), "/api/v1/auth/logout", json!({})).await, 204).await;
}

#[tokio::test]
async fn each_login_makes_a_new_session_and_ends_the_browsers_old_one() {
    let server = TestServer::start().await;
    let browser = server.setup_owner().await;
    let form = json!({ "email": "olive@example.org", "password": PASSWORD });
    let (first, _) = cookie(&post(&browser, LOGIN, form.clone()).await);
    let (second, _) = cookie(&post(&browser, LOGIN, form).await);
    assert_ne!(first, second);
    let me = async |token: &str| {
        let request =
            Client::new().get(server.url(ME)).header("cookie", format!("safelight_session={token}"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(me(&first).await, 401);
    assert_eq!(me(&second).await, 200);
    assert_eq!(browser.json(SESSIONS).await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn logging_out_ends_the_session_and_removes_the_cookie() {
    let server = TestServer::start().await;
    let browser = server.setup_owner().await;
    let (token, _) = {
        let form = json!({ "email": "olive@example.org", "password": PASSWORD });
        cookie(&post(&browser, LOGIN, form).await)
    };
    let answer = post(&browser, "/api/v1/auth/logout", json!({})).await;
    assert_eq!(answer.status(), 204);
    let (value, header) = cookie(&answer);
    assert_eq!(value, "");
    assert!(header.ends_with("; Max-Age=0"), "{header}");
    assert_eq!(status(&browser, ME).await, 401);
    let request = Client::new().get(server.url(ME)).header("cookie", format!("safelight_session={token}"));
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_session_ends_some_days_after_its_last_use_and_a_remembered_one_later() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = TestServer::start().await;
    let plain = server.setup_owner().await;
    let remembered = server.browser();
    let form = json!({ "email": "olive@example.org", "password": PASSWORD, "remember": true });
    let answer = post(&remembered, LOGIN, form).await;
    assert!(cookie(&answer).1.contains("; Max-Age=34560000"), "400 days, the longest that browsers keep one");
    server.clock.advance(13 * DAY);
    assert_eq!(status(&plain, ME).await, 200);
    server.clock.advance(13 * DAY);
    assert_eq!(status(&plain, ME).await, 200, "its use has moved its end");
    server.clock.advance(14 * DAY);
    assert_eq!(status(&plain, ME).await, 401);
    server.clock.advance(49 * DAY);
    assert_eq!(status(&remembered, ME).await, 200);
    server.clock.advance(90 * DAY);
    assert_eq!(status(&remembered, ME).await, 401);
}

#[tokio::test]
async fn the_use_of_a_session_is_written_down_once_a_minute() {
    let server = TestServer::start().await;
    let browser = server.setup_owner().await;
    let commits = server.app.db.commits();
    let before = *commits.borrow();
    server.clock.advance(Duration::from_secs(59));
    assert_eq!(status(&browser, ME).await, 200);
    assert_eq!(*commits.borrow(), before);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(status(&browser, ME).await, 200);
    assert_eq!(status(&browser, ME).await, 200);
    assert_eq!(*commits.borrow(), before + 1);
    let session = &browser.json(SESSIONS).await["items"][0];
    assert_eq!(session["last_seen_at"], server.clock.now().to_string());
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions_only() {
    let server = TestServer::start().await;
    let here = server.setup_owner().await;
    let there = server.login("olive@example.org").await;
    let third = server.login("olive@example.org").await;
    let viewer = server.add_user(&here, "viewer").await;

    let list = here.json(SESSIONS).await;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items.iter().filter(|s| s["current"] == true).count(), 1);
    assert!(items.iter().all(|s| s["address"] == "127.0.0.1" && s.get("token").is_none()), "{list}");
    let there_id = there.json(SESSIONS).await["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["current"] == true)
        .map(|s| s["id"].as_str().unwrap().to_owned())
        .unwrap();

    let path = format!("{SESSIONS}/{there_id}");
    problem(viewer.delete(&path).send().await.unwrap(), 404, "not-found").await;
    problem(here.delete(&format!("{SESSIONS}/nonsense")).send().await.unwrap(), 404, "not-found").await;
    assert_eq!(status(&there, ME).await, 200);
    assert_status(here.delete(&path).send().await.unwrap(), 204).await;
    assert_eq!(status(&there, ME).await, 401);
    problem(here.delete(&path).send().await.unwrap(), 404, "not-found").await;

    assert_status(here.delete(SESSIONS).send().await.unwrap(), 204).await;
    assert_eq!(status(&third, ME).await, 401);
    assert_eq!(status(&here, ME).await, 200);
    assert_eq!(status(&viewer, ME).await, 200);
}

#[tokio::test]
async fn the_end_of_a_session_is_told_to_its_user() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let session = viewer.json(SESSIONS).await["items"][0]["id"].clone();
    let id = id_of(&owner, "viewer@example.org").await;
    assert_status(patch(&owner, &format!("{USERS}/{id}"), json!({ "disabled": true })).await, 200).await;
    let events = server.app.db.read(|conn| safelight::api::events::after(conn, 0, 100)).await.unwrap();
    let ended: Vec<_> = events.iter().filter(|event| event.name == "session-ended").collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].audience, format!("user:{id}"));
    assert_eq!(serde_json::from_str::<Value>(&ended[0].data).unwrap(), json!({ "session": session }));
    let access = accounts::Access::Session(session.as_str().unwrap().parse().unwrap());
    assert!(!accounts::is_alive(&server.app, &access).await.unwrap());
}

#[tokio::test]
async fn pruning_removes_what_is_over_and_nothing_else() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    assert_status(try_login(&server, "nobody@example.org", "wrong password").await, 401).await;
    let rows = async || {
        server.app.db.write(accounts::prune).await.unwrap();
        let count = |conn: &rusqlite::Connection, table: &str| -> i64 {
            conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        let read = server
            .app
            .db
            .read(move |conn| Ok::<_, db::Error>((count(conn, "sessions"), count(conn, "login_attempts"))));
        read.await.unwrap()
    };
    assert_eq!(rows().await, (1, 2));
    server.clock.advance(Duration::from_secs(24 * 60 * 60 + 1));
    assert_eq!(rows().await, (1, 0));
    server.clock.advance(Duration::from_secs(14 * 24 * 60 * 60));
    assert_eq!(rows().await, (0, 0));
}

#[tokio::test]
async fn the_cookie_is_as_strict_as_the_connection_allows() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    let (_, header) = cookie(&try_login(&server, "olive@example.org", PASSWORD).await);
    assert!(header.starts_with("safelight_session="), "{header}");
    assert!(header.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{header}");

    for (base_path, expected_name, expected_tail) in [
        ("", "__Host-safelight_session", "; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ("/photos", "safelight_session", "; Path=/photos; HttpOnly; SameSite=Lax; Secure"),
    ] {
        let server = TestServer::start_with(|config| {
            let environment = [("SAFELIGHT_SERVER__PUBLIC_URL", "https://photos.example.org")];
            config.server = settings(&environment.into_iter().collect()).server;
            config.server.base_path = base_path.into();
        })
        .await;
        let token = accounts::setup_token(&server.app).await.unwrap().unwrap();
        let answer = post(&server.browser(), &format!("{base_path}{SETUP}"), setup_form(&token)).await;
        let (token, header) = cookie(&answer);
        assert!(header.starts_with(&format!("{expected_name}=")), "{header}");
        assert!(header.ends_with(expected_tail), "{header}");
        for name in ["safelight_session", "__Host-safelight_session"] {
            let url = server.url(&format!("{base_path}{ME}"));
            let request = Client::new().get(url).header("cookie", format!("{name}={token}"));
            let expected = if name == expected_name { 200 } else { 401 };
            assert_eq!(request.send().await.unwrap().status(), expected, "{name}");
        }
    }
}

// The own password

#[tokio::test]
async fn changing_the_password_ends_all_other_sessions() {
    let server = TestServer::start().await;
    let here = server.setup_owner().await;
    let there = server.login("olive@example.org").await;
    let form = json!({ "current": PASSWORD, "new": "another fine horse" });
    assert_status(post(&here, "/api/v1/auth/password", form).await, 204).await;
    assert_eq!(status(&here, ME).await, 200);
    assert_eq!(status(&there, ME).await, 401);
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 401).await;
    assert_status(try_login(&server, "olive@example.org", "another fine horse").await, 200).await;
}

#[tokio::test]
async fn a_weak_or_same_or_unproven_password_is_refused_with_its_field() {
    let server = TestServer::start().await;
    let here = server.setup_owner().await;
    for (current, new, field) in [
        (PASSWORD, "short", "new"),
        (PASSWORD, PASSWORD, "new"),
        (PASSWORD, "olive@example.org", "new"),
        (PASSWORD, "OLIVE OWNER", "new"),
        (PASSWORD, "1234567890", "new"),
        ("wrong password", "another fine horse", "current"),
    ] {
        let form = json!({ "current": current, "new": new });
        let body = problem(post(&here, "/api/v1/auth/password", form).await, 422, "validation").await;
        assert_eq!(body["errors"][0]["field"], field, "{body}");
        assert_eq!(body["errors"].as_array().unwrap().len(), 1);
    }
    assert_status(try_login(&server, "olive@example.org", PASSWORD).await, 200).await;
}

#[tokio::test]
async fn a_stolen_session_is_no_way_to_guess_the_password() {
    let server = TestServer::start().await;
    let here = server.setup_owner().await;
    let form = json!({ "current": "wrong password", "new": "another fine horse" });
    for _ in 0..5 {
        assert_status(post(&here, "/api/v1/auth/password", form.clone()).await, 422).await;
    }
    problem(post(&here, "/api/v1/auth/password", form).await, 429, "too-many-attempts").await;
}

// Users and roles

#[tokio::test]
async fn each_role_may_do_what_the_contract_says() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let work = ["library.read", "library.write", "library.delete", "restore"];
    let run = ["buckets.manage", "users.manage", "jobs.manage", "audit.read", "settings.manage"];
    let all = [&work[..], &run[..]].concat();
    for (role, permissions, users) in
        [("admin", &all[..], 200), ("editor", &work[..], 403), ("viewer", &work[..1], 403)]
    {
        let browser = server.add_user(&owner, role).await;
        let me = browser.json(ME).await;
        assert_eq!(me["permissions"], json!(permissions), "{role}");
        assert_eq!(me["role"], role);
        assert_eq!(status(&browser, USERS).await, users, "{role}");
        let form = json!({ "name": "New", "email": format!("new-{role}@example.org"), "role": "viewer",
                           "password": PASSWORD });
        let made = post(&browser, USERS, form).await;
        if users == 403 {
            problem(made, 403, "forbidden").await;
        } else {
            assert_eq!(made.status(), 201);
            let made: Value = made.json().await.unwrap();
            assert!(made.get("permissions").is_none() && made.get("password").is_none(), "{made}");
        }
        let id = id_of(&owner, "olive@example.org").await;
        for path in [format!("{USERS}/{id}"), format!("{USERS}/{}", me["id"].as_str().unwrap())] {
            if users == 403 {
                problem(patch(&browser, &path, json!({ "role": "admin" })).await, 403, "forbidden").await;
                let form = json!({ "password": "another fine horse" });
                problem(post(&browser, &format!("{path}/password"), form).await, 403, "forbidden").await;
            }
        }
        assert_eq!(status(&browser, "/api/v1/roles").await, 200);
    }
    let stranger = server.browser();
    for path in [USERS, "/api/v1/roles", SESSIONS, ME] {
        assert_eq!(status(&stranger, path).await, 401, "{path}");
    }
    let roles = owner.json("/api/v1/roles").await;
    assert_eq!(roles["items"][0], json!({ "name": "owner", "permissions": all }));
    assert_eq!(roles["items"][3], json!({ "name": "viewer", "permissions": ["library.read"] }));
}

#[tokio::test]
async fn only_owners_make_and_change_owners() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let admin = server.add_user(&owner, "admin").await;
    let owner_path = format!("{USERS}/{}", id_of(&owner, "olive@example.org").await);
    let admin_path = format!("{USERS}/{}", id_of(&owner, "admin@example.org").await);
    for change in [json!({ "name": "Mallory" }), json!({ "role": "viewer" }), json!({ "disabled": true })] {
        problem(patch(&admin, &owner_path, change).await, 403, "forbidden").await;
    }
    let reset = json!({ "password": "another fine horse" });
    problem(post(&admin, &format!("{owner_path}/password"), reset).await, 403, "forbidden").await;
    problem(patch(&admin, &admin_path, json!({ "role": "owner" })).await, 403, "forbidden").await;
    let form = json!({ "name": "M", "email": "m@example.org", "role": "owner", "password": PASSWORD });
    problem(post(&admin, USERS, form).await, 403, "forbidden").await;
    assert_status(patch(&owner, &admin_path, json!({ "role": "owner" })).await, 200).await;
    assert_status(patch(&admin, &owner_path, json!({ "name": "Olive O." })).await, 200).await;
}

#[tokio::test]
async fn the_last_owner_stays() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let second = server.add_user(&owner, "owner").await;
    let first_path = format!("{USERS}/{}", id_of(&owner, "olive@example.org").await);
    let second_path = format!("{USERS}/{}", id_of(&owner, "owner@example.org").await);
    assert_status(patch(&owner, &second_path, json!({ "disabled": true })).await, 200).await;
    for change in [json!({ "role": "admin" }), json!({ "disabled": true })] {
        problem(patch(&owner, &first_path, change).await, 409, "last-owner").await;
    }
    assert_eq!(owner.json(ME).await["role"], "owner");
    assert_eq!(status(&second, ME).await, 401);
    assert_status(patch(&owner, &second_path, json!({ "disabled": false })).await, 200).await;
    assert_status(patch(&owner, &first_path, json!({ "role": "admin" })).await, 200).await;
}

#[tokio::test]
async fn a_lesser_role_logs_out_and_a_greater_one_does_not() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    let path = format!("{USERS}/{}", id_of(&owner, "editor@example.org").await);
    assert_status(patch(&owner, &path, json!({ "role": "admin" })).await, 200).await;
    assert_eq!(editor.json(ME).await["role"], "admin");
    assert_status(patch(&owner, &path, json!({ "role": "viewer" })).await, 200).await;
    assert_eq!(status(&editor, ME).await, 401);
}

#[tokio::test]
async fn a_password_given_by_an_admin_ends_the_sessions() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let path = format!("{USERS}/{}/password", id_of(&owner, "viewer@example.org").await);
    problem(post(&owner, &path, json!({ "password": "short" })).await, 422, "validation").await;
    assert_eq!(status(&viewer, ME).await, 200);
    assert_status(post(&owner, &path, json!({ "password": "another fine horse" })).await, 204).await;
    assert_eq!(status(&viewer, ME).await, 401);
    assert_status(try_login(&server, "viewer@example.org", "another fine horse").await, 200).await;
}

#[tokio::test]
async fn an_email_belongs_to_one_account() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form =
        json!({ "name": "Twin", "email": " OLIVE@EXAMPLE.ORG", "role": "viewer", "password": PASSWORD });
    problem(post(&owner, USERS, form).await, 409, "email-taken").await;
    assert_eq!(owner.json(USERS).await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_about_a_new_user_is_told_at_once() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let form = json!({ "name": "a\u{202e}b", "email": "@", "role": "viewer", "password": "aaaaaaaaaaaa" });
    let body = problem(post(&owner, USERS, form).await, 422, "validation").await;
    assert_eq!(body["errors"].as_array().unwrap().len(), 3, "{body}");
    let form = json!({ "name": "K", "email": "k@example.org", "role": "king", "password": PASSWORD });
    problem(post(&owner, USERS, form).await, 422, "validation").await;
    let nobody = format!("{USERS}/019ff000-0000-7000-8000-000000000000");
    problem(patch(&owner, &nobody, json!({ "name": "x" })).await, 404, "not-found").await;
    let form = json!({ "password": "another fine horse" });
    problem(post(&owner, &format!("{nobody}/password"), form).await, 404, "not-found").await;
}

#[tokio::test]
async fn users_come_in_pages() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for role in ["admin", "editor", "viewer"] {
        server.add_user(&owner, role).await;
    }
    let mut emails = Vec::new();
    let mut path = format!("{USERS}?limit=3");
    loop {
        let page = owner.json(&path).await;
        emails.extend(page["items"].as_array().unwrap().iter().map(|user| user["email"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{USERS}?limit=3&cursor={cursor}");
    }
    assert_eq!(emails, ["olive", "admin", "editor", "viewer"].map(|name| format!("{name}@example.org")));
    problem(owner.get(&format!("{USERS}?cursor=zz")).send().await.unwrap(), 400, "bad-cursor").await;
}

// The guard against other sites' pages

#[tokio::test]
async fn a_write_with_a_cookie_must_come_from_a_page_of_ours() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let (token, _) = cookie(&try_login(&server, "olive@example.org", PASSWORD).await);
    let id = id_of(&owner, "olive@example.org").await;
    let own = format!("http://{}", server.address);
    let encrypted = format!("https://{}", server.address);
    let other_port = "http://127.0.0.1:1".to_owned();
    let send = async |method: reqwest::Method, headers: &[(&str, &str)]| {
        let mut request = Client::new()
            .request(method, server.url(&format!("{USERS}/{id}")))
            .header("cookie", format!("safelight_session={token}"))
            .json(&json!({ "name": "Olive" }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let patch = reqwest::Method::PATCH;
    for good in [
        &[("origin", own.as_str())][..],
        &[("origin", own.as_str()), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "same-origin")],
    ] {
        assert_status(send(patch.clone(), good).await, 200).await;
    }
    for bad in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", encrypted.as_str())],
        &[("origin", other_port.as_str())],
        &[("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "http://photos.evil.example"), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
    ] {
        problem(send(patch.clone(), bad).await, 403, "cross-origin").await;
    }
    let read = Client::new().get(server.url(ME)).header("cookie", format!("safelight_session={token}"));
    assert_eq!(read.header("origin", "http://evil.example").send().await.unwrap().status(), 200);
    let login = Client::new().post(server.url(LOGIN));
    let form = json!({ "email": "olive@example.org", "password": PASSWORD });
    assert_eq!(login.json(&form).send().await.unwrap().status(), StatusCode::OK, "no cookie, no check");
}

#[tokio::test]
async fn the_public_url_is_an_origin_of_ours() {
    let server = TestServer::start_with(|config| {
        let environment = [("SAFELIGHT_SERVER__PUBLIC_URL", "https://photos.example.org")];
        config.server = settings(&environment.into_iter().collect()).server;
    })
    .await;
    server.setup_owner().await;
    for (origin, host, expected) in [
        ("https://photos.example.org", "127.0.0.1:8080", 204),
        ("http://photos.example.org", "127.0.0.1:8080", 403),
        ("https://photos.example.org:8443", "127.0.0.1:8080", 403),
        ("https://photos.example.org.evil.example", "127.0.0.1:8080", 403),
        ("https://home.lan", "home.lan:443", 204),
    ] {
        let (token, _) = cookie(&try_login(&server, "olive@example.org", PASSWORD).await);
        let request = Client::new()
            .post(server.url("/api/v1/auth/logout"))
            .header("cookie", format!("__Host-safelight_session={token}"))
            .header("host", host)
            .header("origin", origin);
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{origin}");
    }
}

// Secrets

#[tokio::test]
async fn no_secret_lies_in_the_data_folder() {
    let server = TestServer::start().await;
    let setup_token = accounts::setup_token(&server.app).await.unwrap().unwrap();
    let made = post(&server.browser(), SETUP, setup_form(&setup_token)).await;
    let (first, _) = cookie(&made);
    // The password, typed into the wrong field.
    assert_status(try_login(&server, "slip of the hand 77", "wrong password").await, 401).await;
    let (second, _) = cookie(&try_login(&server, "olive@example.org", PASSWORD).await);
    let unhexed = |token: &str| -> Vec<u8> {
        (0..token.len()).step_by(2).map(|at| u8::from_str_radix(&token[at..at + 2], 16).unwrap()).collect()
    };
    let mut secrets: Vec<Vec<u8>> = vec![PASSWORD.into(), "wrong password".into(), "slip of the hand".into()];
    for token in [&setup_token, &first, &second] {
        secrets.push(token.as_bytes().to_vec());
        secrets.push(unhexed(token));
    }
    let path = server.app.db.path();
    let folder = path.parent().unwrap();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            looked_at += bytes.len();
            for secret in &secrets {
                assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{}", path.display());
            }
            if path.extension().is_some_and(|e| e == "db-wal") {
                assert!(
                    bytes.windows(17).any(|w| w == b"olive@example.org"),
                    "the test looks at the right file"
                );
            }
        }
    }
    assert!(looked_at > 100_000);
}

#[test]
fn debug_shows_no_secret() {
    let secret = "a very secret horse";
    let hex = "ab".repeat(20);
    let password = || Password::from(secret.to_owned());
    let login = Login { email: "a@b".into(), password: password(), remember: true };
    let new =
        NewUser { name: "A".into(), email: "a@b".into(), role: accounts::Role::Viewer, password: password() };
    let form = json!({ "token": hex, "name": "A", "email": "a@b", "password": secret });
    let setup: Setup = serde_json::from_value(form).unwrap();
    assert_eq!(setup.token.as_ref().map(Token::expose), Some(hex.clone()));
    let shown = format!("{login:?} {new:?} {setup:?}");
    assert!(!shown.contains("horse") && !shown.contains(&hex), "{shown}");
}

// The audit

async fn trail(server: &TestServer, filter: audit::Filter) -> Vec<audit::Entry> {
    server.app.db.read(move |conn| audit::list(conn, &filter, None, 100)).await.unwrap()
}

fn actions(entries: &[audit::Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.action.as_str()).collect()
}

#[tokio::test]
async fn each_deed_has_its_entry_and_a_deed_that_failed_has_none() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let id = id_of(&owner, "viewer@example.org").await;
    let path = format!("{USERS}/{id}");
    assert_status(patch(&owner, &path, json!({ "role": "editor", "name": "Vi" })).await, 200).await;
    assert_status(patch(&owner, &path, json!({ "role": "editor" })).await, 200).await;
    let form = json!({ "name": "T", "email": "viewer@example.org", "role": "viewer", "password": PASSWORD });
    problem(post(&owner, USERS, form).await, 409, "email-taken").await;
    assert_status(post(&viewer, "/api/v1/auth/logout", json!({})).await, 204).await;
    assert_status(try_login(&server, "viewer@example.org", "wrong password").await, 401).await;
    assert_status(try_login(&server, "nobody@example.org", "wrong password").await, 401).await;

    let mut entries = trail(&server, audit::Filter::default()).await;
    entries.retain(|entry| !entry.action.starts_with("bucket."));
    assert_eq!(
        actions(&entries),
        [
            "auth.login_failed",
            "auth.login_failed",
            "auth.logout",
            "user.change",
            "auth.login",
            "user.add",
            "auth.setup"
        ],
        "the newest first; a change that changes nothing is no deed"
    );
    let change = &entries[3];
    assert_eq!(change.actor.as_ref().unwrap().name, "Olive Owner");
    assert_eq!((change.target_kind.as_str(), &change.target_id), ("user", &id));
    assert_eq!(change.target_name.as_deref(), Some("Vi"));
    assert_eq!(change.address.as_deref(), Some("127.0.0.1"));
    assert_eq!(change.door, audit::Door::Web);
    assert_eq!(
        change.details,
        json!({ "name": { "from": "The viewer", "to": "Vi" }, "role": { "from": "viewer", "to": "editor" } })
    );
    assert!(entries[0].actor.is_none() && entries[0].target_id.is_empty(), "nobody tried to be nobody");
    assert!(entries[1].actor.is_none());
    assert_eq!(entries[1].target_id, id);
}

#[tokio::test]
async fn the_audit_is_filtered_and_paged() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    server.clock.advance(Duration::from_secs(1));
    let later = server.clock.now();
    server.add_user(&owner, "viewer").await;
    let viewer = id_of(&owner, "viewer@example.org").await.parse().unwrap();

    let by = |filter| trail(&server, filter);
    let found = by(audit::Filter { actor: Some(viewer), ..Default::default() }).await;
    assert_eq!(actions(&found), ["auth.login"]);
    let found = by(audit::Filter { action: Some("auth".into()), ..Default::default() }).await;
    assert_eq!(actions(&found), ["auth.login", "auth.setup"]);
    let found = by(audit::Filter { action: Some("user.add".into()), ..Default::default() }).await;
    assert_eq!(actions(&found), ["user.add"]);
    let found = by(audit::Filter { action: Some("*".into()), ..Default::default() }).await;
    assert!(found.is_empty());
    let found = by(audit::Filter { since: Some(later), ..Default::default() }).await;
    assert_eq!(actions(&found), ["auth.login", "user.add"]);

    let (mut paged, mut before) = (Vec::new(), None);
    loop {
        let page = server
            .app
            .db
            .read(move |conn| audit::list(conn, &audit::Filter::default(), before, 1))
            .await
            .unwrap();
        let Some(entry) = page.into_iter().next() else { break };
        before = Some(entry.key());
        paged.push(entry);
    }
    assert_eq!(actions(&paged), ["auth.login", "user.add", "bucket.add", "auth.setup"]);
}

#[tokio::test]
async fn the_audit_is_shown_to_those_who_may_read_it() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    problem(viewer.get("/api/v1/audit").send().await.unwrap(), 403, "forbidden").await;
    let id = id_of(&owner, "olive@example.org").await;
    let page = owner.json(&format!("/api/v1/audit?actor={id}&action=user&limit=1")).await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    let entry = &page["items"][0];
    assert_eq!(entry["action"], "user.add");
    assert_eq!(entry["actor"], json!({ "id": id, "name": "Olive Owner" }));
    assert_eq!(entry["door"], "web");
    assert_eq!(entry["at"], server.clock.now().to_string());
    let cursor = owner.json("/api/v1/audit?limit=1").await["next_cursor"].clone();
    let next = owner.json(&format!("/api/v1/audit?limit=1&cursor={}", cursor.as_str().unwrap())).await;
    assert_ne!(next["items"][0]["action"], "auth.login", "{next}");
}

#[tokio::test]
async fn an_entry_goes_with_its_transaction() {
    let server = TestServer::start().await;
    let outcome: Result<(), db::Error> = server
        .app
        .db
        .write(|tx| {
            let target = audit::Target::new("media", 1);
            audit::record(tx, &audit::Actor::system(), "media.remove", target, &Value::Null)?;
            Err(rusqlite::Error::QueryReturnedNoRows.into())
        })
        .await;
    assert!(outcome.is_err());
    assert!(trail(&server, audit::Filter::default()).await.is_empty());
}
