//! Settings that are changed while the server runs: what acts at once, who has the last word, what is never shown.

use safelight::clock::Clock;
use safelight::config::{self, Config, Flags, Origin, SETTINGS};
use safelight::db::{Db, Role};
use safelight::keys::Keys;
use safelight::settings::Settings;
use serde_json::{Value, json};

use super::appliance::{Appliance, safelight_on, said, serve_on, until};
use super::support::{Browser, TestServer, problem};

async fn change(browser: &Browser, values: Value) -> reqwest::Response {
    browser.patch("/api/v1/settings").json(&json!({ "values": values })).send().await.unwrap()
}

async fn change_ok(browser: &Browser, values: Value) -> Value {
    let answer = change(browser, values).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

fn item<'a>(list: &'a Value, key: &str) -> &'a Value {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["key"] == key)
        .unwrap_or_else(|| panic!("{key}"))
}

#[tokio::test]
async fn a_change_acts_at_once_is_audited_and_can_be_taken_back() {
    let server = TestServer::start_typed("", &[]).await;
    let owner = server.setup_owner().await;
    let list = owner.json("/api/v1/settings").await;
    assert_eq!(list["items"].as_array().unwrap().len(), SETTINGS.len());
    let most = item(&list, "limits.max_upload_bytes");
    assert_eq!(
        (&most["value"], &most["origin"], &most["changeable"]),
        (&Value::Null, &json!("default"), &json!(true))
    );
    assert_eq!(
        (&most["section"], &most["kind"], &most["absent"]),
        (&json!("limits"), &json!("bytes"), &json!("none"))
    );
    owner.upload_ok("large.bin", vec![1; 5000]).await;

    let after = change_ok(
        &owner,
        json!({
            "limits.max_upload_bytes": "2 KiB", "limits.max_files_per_request": "3", "cors.origins": ["https://app.example.org"],
            "outbound.offline": true, "accounts.session_days": 1, "log.level": "debug", "delivery.cache_bytes": 0,
        }),
    )
    .await;
    let most = item(&after, "limits.max_upload_bytes");
    assert_eq!(
        (&most["value"], &most["origin"], &most["default"]),
        (&json!(2048), &json!("web"), &Value::Null)
    );
    problem(owner.upload("larger.bin", vec![2; 5000]).await, 413, "too-large").await;
    assert_eq!(server.app.settings.current().limits.max_files_per_request, 3);
    assert!(server.app.outbound.is_offline(), "the tools are told");
    let shared =
        owner.get("/api/v1/auth/me").header("origin", "https://app.example.org").send().await.unwrap();
    assert_eq!(shared.headers()["access-control-allow-origin"], "https://app.example.org");

    let audit = owner.json("/api/v1/audit?action=settings.change").await;
    let entry =
        |key: &str| audit["items"].as_array().unwrap().iter().find(|e| e["target_name"] == key).cloned();
    assert_eq!(entry("limits.max_upload_bytes").unwrap()["details"], json!({ "old": null, "new": 2048 }));
    assert_eq!(audit["items"].as_array().unwrap().len(), 7);

    // It outlives the process: the same table is read anew.
    let keys = Keys::new(server.dir.path().join("data/keys"), Clock::system());
    let base = safelight::config::Base::defaults(server.dir.path().join("data"));
    let again = Settings::open(base, &server.app.db, &keys).await.unwrap();
    assert_eq!(again.current().limits.max_upload_bytes, Some(2048));
    let shown = again.list().into_iter().find(|state| state.setting.key == "log.level").unwrap().shown;
    assert_eq!((shown.origin.clone(), shown.origin.to_string()), (Origin::Web, "web UI".to_owned()));

    let back = change_ok(&owner, json!({ "limits.max_upload_bytes": null, "outbound.offline": null })).await;
    assert_eq!(item(&back, "limits.max_upload_bytes")["origin"], "default");
    owner.upload_ok("larger.bin", vec![2; 5000]).await;
    assert!(!server.app.outbound.is_offline());

    // What does not change anything is no deed.
    change_ok(&owner, json!({ "accounts.session_days": 1 })).await;
    let audit = owner.json("/api/v1/audit?action=settings.change").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 9);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_nothing_is_changed() {
    let file = "[limits]\nmax_pixels = 1_000_000\n[accounts]\nremember_days = 30\n";
    let server =
        TestServer::start_typed(file, &[("SAFELIGHT_LOG__LEVEL", "warn"), ("HF_TOKEN", "hf_env")]).await;
    let owner = server.setup_owner().await;
    let list = owner.json("/api/v1/settings").await;
    let pixels = item(&list, "limits.max_pixels");
    assert_eq!((&pixels["origin"], &pixels["value"]), (&json!("file"), &json!(1_000_000)));
    assert!(pixels["where"].as_str().unwrap().ends_with("safelight.toml:2"), "{pixels}");
    assert_eq!(item(&list, "log.level")["where"], "SAFELIGHT_LOG__LEVEL");
    let token = item(&list, "engines.hugging_face.token");
    assert_eq!(
        (&token["origin"], &token["value"], &token["is_set"]),
        (&json!("environment"), &Value::Null, &json!(true))
    );

    let fixed =
        json!({ "limits.max_pixels": 5, "log.level": "debug", "engines.hugging_face.token": "hf_web" });
    let body = problem(change(&owner, fixed).await, 409, "setting-fixed").await;
    let errors = body["errors"].to_string();
    assert_eq!(body["errors"].as_array().unwrap().len(), 3, "{errors}");
    assert!(errors.contains("line 2 of") && errors.contains("environment variable HF_TOKEN"), "{errors}");

    let wrong = json!({
        "limits.max_files_per_request": 0, "limits.max_upload_bytes": "2 K", "uploads.expire": "5 m", "accounts.session_days": 60,
        "cors.origins": ["https://a.example/path"], "engines.space.enabled": "maybe", "limits.max_pixel": 1,
        "server.listen": "0.0.0.0:1", "limits.max_pixels": 5, "brand.accent": "#ffffff", "brand.name": "x".repeat(41),
        "outbound.allow_private": [7], "uploads.max_unfinished": { "a": 1 }, "limits.login.attempts": 1.5,
        "telemetry.otlp_endpoint": "ftp://x", "engines.replicate.token": 5,
    });
    let count = wrong.as_object().unwrap().len();
    let body = problem(change(&owner, wrong).await, 422, "validation").await;
    let mut fields: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    fields.dedup();
    // `remember_days` stands in for `session_days`, which contradicts it; with other mistakes it may not be looked at yet.
    assert!(fields.len() >= count - 2, "{fields:?}");
    let detail = |key: &str| {
        let errors = body["errors"].as_array().unwrap();
        errors.iter().find(|e| e["field"] == key).map(|e| e["detail"].as_str().unwrap().to_owned()).unwrap()
    };
    assert_eq!(detail("limits.max_pixel"), "There is no such setting. Did you mean limits.max_pixels?");
    assert!(
        detail("limits.max_upload_bytes").starts_with("\"2 K\" is ambiguous"),
        "{}",
        detail("limits.max_upload_bytes")
    );
    assert!(detail("brand.accent").contains("light page"), "{}", detail("brand.accent"));
    assert!(detail("server.listen").contains("started again"));
    let body = problem(change(&owner, json!({ "accounts.session_days": 60 })).await, 422, "validation").await;
    assert!(body["errors"].to_string().contains("less than accounts.session_days"), "{body}");
    assert_eq!(owner.json("/api/v1/settings").await, list, "nothing was changed");

    // What does not count anyway may be taken back, and nobody else may change anything.
    change_ok(&owner, json!({ "limits.max_pixels": null })).await;
    let editor = server.add_user(&owner, "editor").await;
    problem(editor.get("/api/v1/settings").send().await.unwrap(), 403, "forbidden").await;
    problem(change(&editor, json!({ "log.level": "info" })).await, 403, "forbidden").await;
    problem(editor.get("/api/v1/logs").send().await.unwrap(), 403, "forbidden").await;
}

#[tokio::test]
async fn a_secret_is_kept_encrypted_and_never_shown_again() {
    const TOKEN: &str = "hf_a-very-secret-token-of-somebody";
    let server = TestServer::start_typed("", &[]).await;
    let owner = server.setup_owner().await;
    let after = change_ok(&owner, json!({ "engines.hugging_face.token": TOKEN })).await;
    let token = item(&after, "engines.hugging_face.token");
    assert_eq!(
        (&token["value"], &token["is_set"], &token["origin"]),
        (&Value::Null, &json!(true), &json!("web"))
    );
    let current = server.app.settings.current();
    assert_eq!(current.engines.hugging_face.token.as_ref().unwrap().expose(), TOKEN);
    for path in ["/api/v1/settings", "/api/v1/audit"] {
        let text = owner.get(path).send().await.unwrap().text().await.unwrap();
        assert!(!text.contains(TOKEN), "{path}");
    }
    let audit = owner.json("/api/v1/audit?action=settings.change").await;
    assert_eq!(audit["items"][0]["details"], json!({ "old": null, "new": "(hidden)" }));
    for file in ["safelight.db", "safelight.db-wal"] {
        let bytes = std::fs::read(server.dir.path().join("data").join(file)).unwrap_or_default();
        assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "{file}");
    }

    // A key that has gone takes the secret with it, and nothing else.
    change_ok(&owner, json!({ "brand.name": "Archive" })).await;
    let keys = Keys::new(server.dir.path().join("data/keys"), Clock::system());
    keys.rotate(safelight::keys::Purpose::Instance, true).unwrap();
    let base = safelight::config::Base::defaults(server.dir.path().join("data"));
    let again = Settings::open(base, &server.app.db, &keys).await.unwrap();
    assert_eq!(again.current().engines.hugging_face.token, None);
    assert_eq!(again.current().brand.name.as_deref(), Some("Archive"));
}

#[tokio::test]
async fn another_process_notices_a_change_and_a_value_that_went_bad_stops_nobody() {
    let server = TestServer::start_typed("", &[]).await;
    let data = server.dir.path().join("data");
    let clock = Clock::system();
    let db = Db::open(&data.join("safelight.db"), Role::Guest, clock.clone()).unwrap();
    let base = safelight::config::Base::defaults(&data);
    let other =
        Settings::open(base.clone(), &db, &Keys::new(data.join("keys"), clock.clone())).await.unwrap();
    tokio::spawn(other.clone().follow(db.clone(), server.app.stopping.clone()));

    let owner = server.setup_owner().await;
    change_ok(&owner, json!({ "limits.max_files_per_request": 7 })).await;
    for _ in 0..600 {
        db.notice_foreign_commits().await;
        if other.current().limits.max_files_per_request == 7 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(other.current().limits.max_files_per_request, 7);

    // As a version would leave it that knew other values, or other settings.
    let bad = [
        ("limits.max_files_per_request", "0"),
        ("log.level", "\"loud\""),
        ("gone.setting", "1"),
        ("server.listen", "\"x\""),
    ];
    server
        .app
        .db
        .write(move |tx| {
            for (key, value) in bad {
                tx.execute(
                    "INSERT OR REPLACE INTO settings (key, value, changed_at) VALUES (?1, ?2, 0)",
                    [key, value],
                )?;
            }
            tx.execute(
                "INSERT INTO settings (key, value, changed_at) VALUES ('uploads.max_unfinished', '9', 0)",
                [],
            )?;
            Ok::<_, safelight::db::Error>(())
        })
        .await
        .unwrap();
    let again = Settings::open(base, &db, &Keys::new(data.join("keys"), clock)).await.unwrap();
    let mut expected = Config::defaults(&data);
    expected.uploads.max_unfinished = 9;
    assert_eq!(*again.current(), expected);
    // Nor do they keep anybody from changing others.
    change_ok(&owner, json!({ "uploads.max_unfinished": 12 })).await;
    assert_eq!(server.app.settings.current().uploads.max_unfinished, 12);
    db.close();
}

#[tokio::test]
async fn what_contradicts_a_new_file_goes_alone() {
    let server = TestServer::start_typed("", &[]).await;
    let owner = server.setup_owner().await;
    change_ok(&owner, json!({ "accounts.session_days": 60, "outbound.offline": true })).await;
    assert!(!server.app.mailer.is_set_up());
    let file = server.dir.path().join("safelight.toml");
    std::fs::write(&file, "[accounts]\nremember_days = 30").unwrap();
    let data = server.dir.path().join("data");
    let flags = Flags { config: Some(file), data_dir: Some(data.clone()), ..Flags::default() };
    let base = config::load(&flags, &config::Environment::empty()).unwrap().base;
    let again =
        Settings::open(base, &server.app.db, &Keys::new(data.join("keys"), Clock::system())).await.unwrap();
    let now = again.current();
    let fortnight = std::time::Duration::from_secs(14 * 24 * 3600);
    assert_eq!((now.accounts.session, now.outbound.offline), (fortnight, true));
}

#[tokio::test]
async fn an_instance_shows_its_own_name_colour_and_sign_to_everybody() {
    let server = TestServer::start_typed("[brand]\nlogo = \"logo\"\naccent = \"#1F6FEB\"", &[]).await;
    let owner = server.setup_owner().await;
    let stranger = server.browser();
    change_ok(&owner, json!({ "brand.name": "Olive & <Sons>" })).await;
    let brand = stranger.json("/api/v1/brand").await;
    assert_eq!((&brand["name"], &brand["named"]), (&json!("Olive & <Sons>"), &json!(true)));
    assert_eq!(brand["accent"]["colour"], "#1f6feb");
    let styles = stranger.get("/brand.css").send().await.unwrap();
    assert_eq!(styles.headers()["content-type"], "text/css; charset=utf-8");
    let styles = styles.text().await.unwrap();
    assert!(
        styles.contains("data-theme='dark'") && styles.matches("--accent-solid:#1f6feb").count() == 3,
        "{styles}"
    );

    let logo = server.dir.path().join("logo");
    for (bytes, kind) in [
        (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
        (
            b"\xef\xbb\xbf <svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
            Some("image/svg+xml"),
        ),
        (b"<!doctype html><script>alert(1)</script>", None),
        (&[b'x'; 600 << 10], None),
    ] {
        std::fs::write(&logo, bytes).unwrap();
        let sign = stranger.get("/icon.svg").send().await.unwrap();
        let shown = sign.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        match kind {
            Some(kind) => {
                assert_eq!(shown.as_deref(), Some(kind));
                assert!(sign.headers()["content-security-policy"].to_str().unwrap().contains("sandbox"));
                assert_eq!(sign.bytes().await.unwrap(), bytes);
            }
            None => assert_ne!(sign.bytes().await.unwrap(), bytes, "our own, or none"),
        }
    }
    problem(change(&owner, json!({ "brand.logo": "/etc/passwd" })).await, 409, "setting-fixed").await;
}

#[tokio::test]
async fn the_program_logs_what_is_asked_for_and_never_a_secret() {
    const SECRET: &str = "r8_this-must-not-be-seen-anywhere";
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("safelight.log"));
    let mut command = serve_on(&data);
    command.env("SAFELIGHT_LOG__FILE", &log).env("SAFELIGHT_LOG__FILE_MAX_BYTES", "64 KiB");
    let appliance = Appliance::start_as(command);
    let owner = appliance.setup_owner().await;
    let quiet = owner.json("/api/v1/logs").await;
    assert!(quiet["items"].to_string().contains("\"ready\""), "{quiet}");
    assert!(!quiet.to_string().contains("answered"), "nothing of debugging: {quiet}");

    change_ok(
        &owner,
        json!({ "log.level": "trace", "engines.replicate.token": SECRET, "telemetry.otlp_headers": SECRET }),
    )
    .await;
    let form = json!({ "email": format!("{SECRET}@example.org"), "password": SECRET });
    let refused = owner.post("/api/v1/auth/login").json(&form).send().await.unwrap();
    assert!(refused.status().is_client_error());
    for path in [
        format!("/api/v1/media?q={SECRET}"),
        format!("/storage/x/{SECRET}?signature={SECRET}"),
        format!("/setup?token={SECRET}"),
    ] {
        let _ =
            owner.get(&path).header("authorization", format!("Bearer slt_{SECRET}")).send().await.unwrap();
    }
    let wrong = change(&owner, json!({ "telemetry.sentry_dsn": SECRET, "limits.max_pixels": SECRET })).await;
    assert_eq!(wrong.status(), 422);
    let told = wrong.json::<Value>().await.unwrap();
    let of_secret = told["errors"].as_array().unwrap().iter().find(|e| e["field"] == "telemetry.sentry_dsn");
    assert!(of_secret.is_some_and(|e| !e["detail"].as_str().unwrap().contains(SECRET)), "{told}");

    let loud = owner.json("/api/v1/logs?level=debug&q=answered&limit=500").await;
    let line = &loud["items"][0];
    assert!(line["fields"]["http.route"].is_string() && line["fields"]["http.status"].is_number(), "{loud}");
    assert!(
        line["fields"]["request.id"].is_string() && line["target"] == "safelight::api::request_id",
        "{line}"
    );
    let newest = owner.json("/api/v1/logs?limit=1").await;
    let newest = newest["items"][0]["id"].as_u64().unwrap();
    let page = owner.json(&format!("/api/v1/logs?limit=500&after={}", newest - 3)).await;
    assert!(page["items"].as_array().unwrap().iter().all(|line| line["id"].as_u64().unwrap() > newest - 3));

    // Moved away and told so: the next lines stand in a new file.
    std::fs::rename(&log, dir.path().join("moved")).unwrap();
    appliance.hang_up();
    until("the file is there again", async || log.exists()).await;
    change_ok(&owner, json!({ "log.level": "info" })).await;
    let newest = owner.json("/api/v1/logs?limit=1").await["items"][0]["id"].clone();
    owner.json("/api/v1/auth/me").await;
    let since = owner.json(&format!("/api/v1/logs?q=answered&after={newest}")).await;
    assert_eq!(since["items"], json!([]), "quiet again");

    let everything = owner.json("/api/v1/logs?limit=500").await.to_string() + &appliance.log();
    let files: String = ["moved", "safelight.log"]
        .map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap())
        .concat();
    assert!(!everything.contains(SECRET) && !files.contains(SECRET));
    for line in files.lines().chain(appliance.log().lines()) {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = line["timestamp"].as_str().unwrap();
        assert!(at.parse::<safelight::clock::Timestamp>().is_ok() && at.ends_with('Z'), "{line}");
        assert!(["level", "target", "message"].iter().all(|name| line[name].is_string()), "{line}");
    }

    // The command line says who has the last word.
    let shown = safelight_on(&data, &["config", "show"]).output().unwrap();
    let text = String::from_utf8(shown.stdout.clone()).unwrap();
    let line = text.lines().find(|line| line.starts_with("engines.replicate.token")).unwrap();
    assert!(line.ends_with("# web UI") && line.contains("(hidden)"), "{line}: {}", said(&shown));
    appliance.stop();
    let again = Appliance::start(&data);
    let owner = owner.moved_to(again.url());
    assert_eq!(item(&owner.json("/api/v1/settings").await, "log.level")["origin"], "web");
    again.stop();
}
