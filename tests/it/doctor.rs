//! The doctor: planted faults are found, each with what to do; nothing is changed without `--fix`.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use rusqlite::Connection;
use safelight::config::MailSecurity;
use serde_json::{Value, json};

use super::appliance::{Appliance, safelight_on, said};
use super::mail::{Manner, Post};
use super::support::TestServer;

/// What the machine that runs the tests is like is not the tests' affair.
const OF_THE_MACHINE: [&str; 3] = ["file_system", "memory", "clock"];

struct Scene {
    server: TestServer,
    data: PathBuf,
}

impl Scene {
    /// A data directory with a person, a picture and a key, which no server has claimed.
    async fn new() -> Self {
        let server = TestServer::start().await;
        let owner = server.setup_owner().await;
        owner.upload_ok("a.txt", "something").await;
        server.run_jobs().await;
        server.app.keys.generate(safelight::keys::Purpose::SignedUrls).unwrap();
        let data = server.dir.path().join("data");
        // What `serve` makes is its owner's alone; the process of the tests has the rights of whoever runs them.
        for name in ["safelight.db", "safelight.db-wal", "safelight.db-shm"] {
            fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self { server, data }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = safelight_on(&self.data, &[&["doctor", "--json"], args].concat());
        command
            .env("SAFELIGHT_SERVER__LISTEN", "127.0.0.1:0")
            .env("SAFELIGHT_LIMITS__MIN_FREE_BYTES", "16 MiB");
        command
    }
}

/// The checks by their names, after the exit code was compared with the worst of them.
async fn examined(mut command: Command) -> (BTreeMap<String, Value>, Value) {
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
    let failed = report["state"] == "failed";
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{report:#}");
    (by_name(&report), report)
}

fn by_name(report: &Value) -> BTreeMap<String, Value> {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check.clone())).collect()
}

/// A check came out in this way, saw this, and says what to do.
fn assert_found(checks: &BTreeMap<String, Value>, name: &str, state: &str, seen: &str) {
    let check = &checks[name];
    assert_eq!(check["state"], state, "{check:#}");
    assert!(check["seen"].as_str().unwrap().contains(seen), "{check:#}");
    assert!(check["advice"].as_str().is_some_and(|advice| advice.len() > 20), "{check:#}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything below a folder: names, rights, sizes and times.
fn picture_of(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = fs::metadata(&path).unwrap();
        // What SQLite shares between processes comes and goes with whoever looks.
        if path.to_string_lossy().ends_with("-shm") {
            continue;
        }
        let (modified, size) = if file.is_dir() { (None, 0) } else { (file.modified().ok(), file.len()) };
        found.push(format!("{} {:o} {modified:?} {size}", path.display(), mode(&path)));
        if file.is_dir() {
            found.extend(picture_of(&path));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_appliance_is_well_and_nothing_is_touched() {
    let scene = Scene::new().await;
    let before = picture_of(&scene.data);
    let (checks, report) = examined(scene.command(&["--full"])).await;
    assert_eq!(picture_of(&scene.data), before);
    for (name, check) in &checks {
        let fine = ["ok", "skipped"].contains(&check["state"].as_str().unwrap());
        assert!(fine || OF_THE_MACHINE.contains(&name.as_str()), "{check:#}");
    }
    // Programs hang on these names and fields.
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "configuration",
            "system",
            "memory",
            "open_files",
            "clock",
            "time_zone",
            "data_directory",
            "file_system",
            "file_rights",
            "disk_space",
            "incoming",
            "database",
            "database_log",
            "secrets",
            "server",
            "queue",
            "ports",
            "names",
            "proxy",
            "certificates",
            "authority",
            "outbound",
            "mail",
            "engines",
        ]
    );
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&report), ["state", "version", "checked_at", "failed", "warnings", "checks"]);
    assert_eq!(
        fields(&report["checks"][0]),
        ["group", "name", "title", "state", "seen", "advice", "fixable"]
    );
    assert!(checks["database"]["seen"].as_str().unwrap().contains("every page and index was read"));
    // For people the same in words, and a new machine is no catastrophe either.
    let mut words = safelight_on(&scene.data, &["doctor"]);
    let output = words.env("SAFELIGHT_SERVER__LISTEN", "127.0.0.1:0").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("Configuration\n  ok ") && text.contains("\nData\n"), "{text}");
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = safelight_on(&nowhere.path().join("none"), &["doctor", "--json"]);
    command.env("SAFELIGHT_SERVER__LISTEN", "127.0.0.1:0");
    let (checks, _) = examined(command).await;
    assert_found(&checks, "data_directory", "failed", "does not exist");
    assert!(!nowhere.path().join("none").exists(), "it was only looked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_faults_are_found_and_what_is_safe_is_fixed() {
    let scene = Scene::new().await;
    let key = scene.data.join("keys/signed-urls");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let left = scene.data.join("blobs/incoming/left-behind");
    fs::write(&left, "half a picture").unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(&left).unwrap().set_modified(long_ago).unwrap();
    let rows = Connection::open(scene.data.join("safelight.db")).unwrap();
    let later = i64::MAX / 2_000_000;
    rows.execute("UPDATE audit SET at = at + ?1", [later]).unwrap();
    rows.execute(
        "INSERT INTO jobs (id, kind, payload, state, priority, run_at, attempts, max_attempts, error, created_at, finished_at)
         VALUES (randomblob(16), 'library.describe', '{}', 'failed', 0, 0, 5, 5, 'no such luck', 0, ?1)",
        [4_000_000_000_000_i64],
    )
    .unwrap();
    drop(rows);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let post = Post::open(Manner { offers: "AUTH PLAIN", ..Manner::default() }).await;
    let refusing = axum::Router::new().fallback(async || StatusCode::UNAUTHORIZED);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, refusing).await });
    let planted = |args: &[&str]| {
        let mut command = scene.command(args);
        command
            .env("SAFELIGHT_LIMITS__MIN_FREE_BYTES", "1000000 GiB")
            .env("SAFELIGHT_SERVER__LISTEN", taken.local_addr().unwrap().to_string())
            .env("SAFELIGHT_SERVER__HTTPS_LISTEN", "127.0.0.1:0")
            .env("SAFELIGHT_SERVER__HTTP_LISTEN", "127.0.0.1:0")
            .env("SAFELIGHT_TLS__DOMAINS", "nowhere.invalid")
            .env("SAFELIGHT_TLS__ACME__DIRECTORY_URL", "https://127.0.0.1:1/directory")
            .env("SAFELIGHT_MAIL__HOST", "127.0.0.1")
            .env("SAFELIGHT_MAIL__PORT", post.address.port().to_string())
            .env("SAFELIGHT_MAIL__SECURITY", "none")
            .env("SAFELIGHT_MAIL__FROM", "safelight@example.org")
            .env("SAFELIGHT_MAIL__USERNAME", "lamp")
            .env("SAFELIGHT_MAIL__PASSWORD", "not the right one")
            .env("SAFELIGHT_ENGINES__REPLICATE__TOKEN", "r8_stale")
            .env("SAFELIGHT_ENGINES__REPLICATE__BASE_URL", format!("http://{engine}"));
        command
    };
    let (checks, report) = examined(planted(&[])).await;
    assert_found(&checks, "file_rights", "failed", "keys/signed-urls");
    assert_found(&checks, "incoming", "warning", "1 files in");
    assert_eq!(checks["clock"]["state"], "failed");
    assert_found(&checks, "queue", "warning", "no such luck");
    assert_found(&checks, "disk_space", "failed", "uploads are refused below");
    assert_found(&checks, "ports", "failed", "another program listens at");
    assert_found(&checks, "names", "failed", "nowhere.invalid can't be resolved");
    assert_found(&checks, "certificates", "failed", "there is none yet");
    assert_found(&checks, "authority", "failed", "127.0.0.1 can't be reached");
    assert_found(&checks, "mail", "failed", "refused the login: 535 5.7.8");
    assert_found(&checks, "engines", "failed", "127.0.0.1 refuses the token (401)");
    assert!(report["failed"].as_u64().unwrap() >= 9, "{report:#}");
    let outbound = checks["outbound"]["seen"].as_str().unwrap();
    for host in ["127.0.0.1 (certificates)", "127.0.0.1 (models)", "127.0.0.1 (mail)"] {
        assert!(outbound.contains(host), "{outbound}");
    }
    for secret in ["not the right one", "r8_stale"] {
        assert!(!report.to_string().contains(secret));
    }
    assert!(left.exists() && mode(&key) == 0o644, "it has only looked");

    let (checks, report) = examined(planted(&["--fix"])).await;
    assert_eq!((checks["file_rights"]["state"].as_str(), mode(&key)), (Some("ok"), 0o600));
    assert!(checks["incoming"]["state"] == "ok" && !left.exists(), "{report:#}");
    assert_found(&checks, "names", "failed", "nowhere.invalid");
    let fixed = report["fixed"].as_array().unwrap();
    assert!(fixed.len() >= 2 && fixed.iter().all(|fixed| fixed["error"].is_null()), "{fixed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_disks_and_damage_are_told_apart_from_a_lost_marker() {
    let scene = Scene::new().await;
    scene.server.app.db.close();
    // The files are there, so the marker may come back.
    let marker = scene.data.join("blobs/.safelight");
    fs::remove_file(&marker).unwrap();
    let (checks, _) = examined(scene.command(&[])).await;
    assert_found(&checks, "data_directory", "failed", "lacks its marker");
    assert_eq!(checks["data_directory"]["fixable"], true);
    let (checks, _) = examined(scene.command(&["--fix"])).await;
    assert!(checks["data_directory"]["state"] == "ok" && marker.exists(), "{checks:#?}");
    // The files are not there: a marker would hide that.
    let (blobs, away) = (scene.data.join("blobs"), scene.data.join("away"));
    fs::rename(&blobs, &away).unwrap();
    fs::create_dir(&blobs).unwrap();
    let (checks, _) = examined(scene.command(&["--fix"])).await;
    assert_found(&checks, "data_directory", "failed", "is its disk mounted?");
    assert!(checks["data_directory"]["fixable"] == false && !marker.exists());
    fs::remove_dir(&blobs).unwrap();
    fs::rename(&away, &blobs).unwrap();

    // A log that nobody empties, without a server.
    let log = scene.data.join("safelight.db-wal");
    fs::File::create(&log).unwrap().set_len(300 << 20).unwrap();
    let (checks, _) = examined(scene.command(&[])).await;
    assert_found(&checks, "database_log", "warning", "300.0 MiB");
    let (checks, _) = examined(scene.command(&["--fix"])).await;
    assert_eq!(checks["database_log"]["state"], "ok", "{:#}", checks["database_log"]);

    // Keys and a database that are damaged.
    fs::write(scene.data.join("keys/signed-urls"), "half a ke").unwrap();
    let path = scene.data.join("safelight.db");
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[4096 * 3..length].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let (checks, _) = examined(scene.command(&[])).await;
    assert_found(&checks, "secrets", "failed", "keys/signed-urls is damaged");
    assert_found(&checks, "database", "failed", "damaged");
    assert_eq!(fs::read(&path).unwrap(), bytes, "nobody touches what may be saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_the_only_finding_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = safelight_on(dir.path(), &["doctor", "--json"]);
    command.env("SAFELIGHT_SERVER__LISTEN", "nowhere");
    let (checks, report) = examined(command).await;
    assert_found(&checks, "configuration", "failed", "server.listen");
    assert_eq!(report["checks"].as_array().unwrap().len(), 1);
    let mut alone = safelight_on(dir.path(), &["config", "check"]);
    alone
        .env("SAFELIGHT_MAIL__FROM", "nobody")
        .env("SAFELIGHT_MAIL__PASSWORD", "x")
        .env("SAFELIGHT_ALERTS__WEBHOOK_URL", "slack");
    let output = alone.output().unwrap();
    let told = said(&output);
    for mistake in [
        "mail.from: it needs mail.host",
        "this is no e-mail address",
        "needs mail.username",
        "should start with https",
    ] {
        assert!(told.contains(mistake), "{mistake}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_beside_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Appliance::start(&data);
    let mut command = safelight_on(&data, &["doctor", "--json"]);
    command.env("SAFELIGHT_SERVER__LISTEN", server.address());
    let (checks, _) = examined(command).await;
    assert_eq!(checks["server"]["seen"], format!("it runs as process {}", server.process_id()));
    for name in ["ports", "open_files", "database", "queue", "data_directory"] {
        let state = checks[name]["state"].as_str().unwrap();
        assert!(state == "ok" || name == "open_files", "{:#}", checks[name]);
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_of_its_own_request_and_of_the_queue() {
    let post = Post::open(Manner::default()).await;
    let settings = post.settings();
    assert_eq!(settings.server.as_ref().unwrap().security, MailSecurity::None);
    let server = TestServer::start_with(|config| {
        config.mail = settings;
        config.server.listen = None;
    })
    .await;
    let owner = server.setup_owner().await;
    let editor = server.add_user(&owner, "editor").await;
    assert_eq!(editor.get("/api/v1/doctor").send().await.unwrap().status(), 403);

    let report = owner.json("/api/v1/doctor").await;
    let checks = by_name(&report);
    assert!(
        checks["proxy"]["seen"].as_str().unwrap().contains("straight from 127.0.0.1"),
        "{}",
        checks["proxy"]
    );
    assert_eq!(checks["mail"]["state"], "ok", "{:#}", checks["mail"]);
    assert!(post.mails().is_empty(), "it is only asked");
    assert!(checks["server"]["seen"].as_str().unwrap().starts_with("this one"));
    assert_eq!(report["checks"][0].get("repairs"), None);

    let asked = owner.get("/api/v1/doctor").header("x-forwarded-for", "192.0.2.1").send().await.unwrap();
    let checks = by_name(&asked.json().await.unwrap());
    assert_found(&checks, "proxy", "warning", "127.0.0.1 with x-forwarded-for, which is not believed");
    assert!(checks["proxy"]["advice"].as_str().unwrap().contains("server.trusted_proxies = [\"127.0.0.1\"]"));

    // A job that has waited for two hours although a server runs.
    server
        .app
        .db
        .write(|tx| {
            tx.execute(
                "INSERT INTO jobs (id, kind, payload, state, priority, run_at, max_attempts, created_at)
                 VALUES (randomblob(16), 'nobody.does', '{}', 'queued', 0, ?1, 5, ?1)",
                [tx.now() - Duration::from_secs(2 * 3600)],
            )?;
            Ok::<_, safelight::db::Error>(())
        })
        .await
        .unwrap();
    let checks = by_name(&owner.json("/api/v1/doctor").await);
    assert_found(&checks, "queue", "failed", "«nobody.does» has been waiting for 2 h");
    assert_eq!(json!("work"), checks["queue"]["group"]);
}
