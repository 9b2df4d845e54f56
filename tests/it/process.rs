//! The program as an admin meets it: its start, its end, its complaints and its commands beside a running server.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rusqlite::Connection;
use safelight::imaging::{self, Channels, EncodeOptions, Format};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::appliance::{
    Appliance, PATIENCE, run_with_input, safelight, safelight_on, said, serve_on, setup_form, until,
};
use super::mounts::{Mount, entries, skipped};
use super::photographs::{noisy_jpeg, scene};
use super::storage::noise;
use super::support::{PASSWORD, problem};

/// A place for a data directory that does not exist yet.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    (dir, data)
}

/// Runs a command that must fail with one sentence, and returns it.
fn complaint(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("safelight: ") && !said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty());
    said
}

fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn database(data: &Path) -> Connection {
    Connection::open(data.join("safelight.db")).unwrap()
}

#[tokio::test]
async fn the_setup_link_is_printed_until_there_is_an_owner() {
    let (_dir, data) = place();
    let first = Appliance::start(&data);
    assert!(
        first.greeting().starts_with(&format!("Open {}/setup?token=", first.url())),
        "{}",
        first.greeting()
    );
    let old_token = first.setup_token();
    first.stop();

    let second = Appliance::start(&data);
    assert_ne!(second.setup_token(), old_token);
    let answer = second.browser().post("/api/v1/setup").json(&setup_form(&old_token)).send().await.unwrap();
    problem(answer, 403, "setup-token-invalid").await;
    let owner = second.setup_owner().await;
    second.stop();

    let third = Appliance::start(&data);
    assert_eq!(third.greeting(), format!("Safelight is at {}", third.url()));
    let me = owner.moved_to(third.url()).json("/api/v1/auth/me").await;
    assert_eq!(me["role"], "owner");
    third.stop();
}

#[test]
fn a_port_in_use_is_told_in_a_sentence() {
    let (_dir, data) = place();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = complaint(safelight_on(&data, &["serve", "--listen", &address]));
    assert!(
        said.contains(&format!("can't listen on {address}: is another program using this address?")),
        "{said}"
    );
}

#[tokio::test]
async fn two_servers_on_one_data_directory_are_one_too_many() {
    let (_dir, data) = place();
    let first = Appliance::start(&data);
    let said = complaint(serve_on(&data));
    let sentence = format!("another Safelight server (process {}) is already running", first.process_id());
    assert!(said.contains(&sentence), "{said}");
    let healthy = first.browser().get("/health/ready").send().await.unwrap();
    assert_eq!(healthy.status(), 200);
    first.stop();
}

#[test]
fn a_read_only_data_directory_is_told_in_a_sentence() {
    let Some(disk) = Mount::in_memory(64 << 20, "a_read_only_data_directory_is_told_in_a_sentence") else {
        return;
    };
    let data = disk.path().join("data");
    Appliance::start(&data).stop();
    disk.make_read_only();
    for data in [data, disk.path().join("new")] {
        let said = complaint(serve_on(&data));
        assert!(said.contains("can't be written") && said.contains("read-only"), "{said}");
    }
}

#[test]
fn a_folder_with_other_things_is_not_taken_for_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), "Dear all").unwrap();
    let said = complaint(serve_on(dir.path()));
    assert!(said.contains("is not empty and is no data directory of Safelight"), "{said}");
    assert_eq!(entries(dir.path()), 1);
}

#[test]
fn blobs_on_a_disk_that_is_not_mounted_stop_the_start() {
    let (_dir, data) = place();
    Appliance::start(&data).stop();
    let mut db = database(&data);
    let tx = db.transaction().unwrap();
    tx.execute(
        "INSERT INTO blobs (sha256, md5, size_bytes, created_at) VALUES (zeroblob(32), zeroblob(16), 1, 0)",
        [],
    )
    .unwrap();
    tx.commit().unwrap();
    drop(db);
    fs::rename(data.join("blobs"), data.join("elsewhere")).unwrap();
    fs::create_dir(data.join("blobs")).unwrap();
    let said = complaint(serve_on(&data));
    assert!(said.contains("blobs"), "{said}");
    assert_eq!(entries(&data.join("blobs")), 0, "nothing is put onto the bare mount point");
}

#[test]
fn wrong_usage_ends_with_two() {
    for args in
        [&[][..], &["shine"], &["serve", "--loud"], &["user", "add"], &["serve", "--demo", "--data-dir", "x"]]
    {
        let output = safelight(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        assert!(output.stdout.is_empty() && said(&output).contains("Usage"), "{args:?}: {}", said(&output));
    }
    for args in [&["--help"][..], &["serve", "--help"], &["--version"]] {
        assert!(!succeeded(&safelight(args).output().unwrap()).is_empty());
    }
}

#[test]
fn every_mistake_in_the_configuration_is_told_at_once() {
    let (dir, data) = place();
    let file = dir.path().join("safelight.toml");
    fs::write(&file, "[server]\nlisten = \"nowhere\"\nlistne = \"127.0.0.1:1\"\n[jobs]\nworkers = -3\n")
        .unwrap();
    let mut command = safelight_on(&data, &["serve", "--log-level", "loud"]);
    command.arg("--config").arg(&file).env("SAFELIGHT_LIMITS__MAX_PIXELS", "many");
    let said = complaint(command);
    for mistake in ["nowhere", "listne", "-3", "many", "loud", "SAFELIGHT_LIMITS__MAX_PIXELS", "--log-level"]
    {
        assert!(said.contains(mistake), "{mistake} is missing: {said}");
    }
    assert!(!data.exists());
}

/// A connection of somebody who is logged in, on which requests are written by hand.
async fn cookie(appliance: &Appliance, token: &str) -> String {
    let form = setup_form(token);
    let made = appliance.browser().post("/api/v1/setup").json(&form).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let cookie = made.headers()["set-cookie"].to_str().unwrap().to_owned();
    cookie.split(';').next().unwrap().to_owned()
}

fn connect(appliance: &Appliance) -> TcpStream {
    let stream = TcpStream::connect(appliance.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Begins an upload and returns it with what is left to send.
fn begin_upload(appliance: &Appliance, cookie: &str, name: &str, bytes: &[u8]) -> (TcpStream, Vec<u8>) {
    let mut body =
        format!("--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n")
            .into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--line--\r\n");
    let mut stream = connect(appliance);
    let head = format!(
        "POST /api/v1/media HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: multipart/form-data; boundary=line\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        appliance.address(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let rest = body.split_off(body.len() * 2 / 3);
    stream.write_all(&body).unwrap();
    (stream, rest)
}

fn get(appliance: &Appliance, cookie: &str, path: &str) -> TcpStream {
    let mut stream = connect(appliance);
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n",
        appliance.address()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Reads until the text has come; it must.
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    let mut piece = [0; 4096];
    while !read.contains(text) {
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "the connection ended with {read:?}");
        read.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    read
}

#[tokio::test]
async fn a_stop_lets_those_finish_who_are_being_served() {
    let (_dir, data) = place();
    let mut appliance = Appliance::start(&data);
    let cookie = cookie(&appliance, &appliance.setup_token()).await;
    // More than the system's buffers hold, so that the answer is still being written when the process stops.
    let large = noise(1, 40 << 20);
    let (mut stream, rest) = begin_upload(&appliance, &cookie, "large.bin", &large);
    stream.write_all(&rest).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let media: Value = serde_json::from_str(body).unwrap();
    let path = format!("/api/v1/media/{}/content", media["items"][0]["id"].as_str().unwrap());

    let mut download = get(&appliance, &cookie, &path);
    let mut got = vec![0; 1000];
    download.read_exact(&mut got).unwrap();
    let mut events = get(&appliance, &cookie, "/api/v1/events");
    read_until(&mut events, "hello");
    let (mut upload, rest) = begin_upload(&appliance, &cookie, "last.bin", &noise(2, 3 << 20));
    let incoming = data.join("blobs/incoming");
    until("the upload is under way", async || entries(&incoming) > 0).await;

    appliance.terminate();
    read_until(&mut events, "event: bye");
    let mut silence = String::new();
    events.read_to_string(&mut silence).unwrap();
    until("nobody is let in any more", async || TcpStream::connect(appliance.address()).is_err()).await;

    upload.write_all(&rest).unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    download.read_to_end(&mut got).unwrap();
    let body = got.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(got[body..] == large[..], "the download is whole");

    assert_eq!(appliance.wait(Duration::from_secs(10)).code(), Some(0));
    assert_eq!(entries(&incoming), 0);
    let kept: i64 = database(&data)
        .query_row("SELECT count(*) FROM media WHERE name = 'last.bin'", [], |r| r.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn who_does_not_finish_is_cut_off_and_leaves_nothing() {
    let (_dir, data) = place();
    // The end of the process, not the time that a body has, cuts it off.
    let mut command = serve_on(&data);
    command.env("SAFELIGHT_LIMITS__CONNECTIONS__BODY_TIMEOUT", "5 min");
    let mut appliance = Appliance::start_as(command);
    let cookie = cookie(&appliance, &appliance.setup_token()).await;
    let (stalled, _) = begin_upload(&appliance, &cookie, "never.bin", &noise(3, 3 << 20));
    let incoming = data.join("blobs/incoming");
    until("the upload is under way", async || entries(&incoming) > 0).await;
    appliance.terminate();
    assert_eq!(appliance.wait(Duration::from_secs(25)).code(), Some(0), "{}", appliance.log());
    assert!(appliance.log().contains("some requests did not finish in time"), "{}", appliance.log());
    drop(stalled);
    let again = Appliance::start(&data);
    assert_eq!(entries(&incoming), 0);
    again.stop();
}

#[tokio::test]
async fn a_second_signal_ends_the_waiting() {
    let (_dir, data) = place();
    let mut appliance = Appliance::start(&data);
    let cookie = cookie(&appliance, &appliance.setup_token()).await;
    let (_stalled, _) = begin_upload(&appliance, &cookie, "never.bin", &noise(3, 3 << 20));
    until("the upload is under way", async || entries(&data.join("blobs/incoming")) > 0).await;
    appliance.terminate();
    until("it has heard", async || appliance.log().contains("\"stopping\"")).await;
    appliance.terminate();
    assert_eq!(appliance.wait(PATIENCE).code(), Some(0));
    assert!(appliance.log().contains("stopping at once"), "{}", appliance.log());
}

#[tokio::test]
async fn a_job_that_runs_is_handed_back_and_finished_by_the_next_start() {
    let (_dir, data) = place();
    let mut appliance = Appliance::start(&data);
    let owner = appliance.setup_owner().await;
    let options = EncodeOptions::new(Format::Jpeg);
    let picture = imaging::encode(&scene(2400, 1800, Channels::Rgb, 8, 14.0), &options).unwrap();
    let media = owner.upload_ok("large.jpg", picture).await;
    let path = format!("/api/v1/media/{}/restorations", media["id"].as_str().unwrap());
    let mut asked = Vec::new();
    for _ in 0..3 {
        let answer = owner.post(&path).json(&json!({ "preset": "strong" })).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        asked.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    let running = "/api/v1/restorations?state=running";
    until("one runs", async || !owner.json(running).await["items"].as_array().unwrap().is_empty()).await;
    appliance.terminate();
    assert_eq!(appliance.wait(PATIENCE).code(), Some(0), "{}", appliance.log());
    {
        let db = database(&data);
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM jobs WHERE state = 'running'"), 0);
        assert!(count("SELECT count(*) FROM jobs WHERE kind = 'restore' AND state = 'queued'") >= 1);
        assert_eq!(count("SELECT count(*) FROM jobs WHERE state = 'queued' AND attempts > 0"), 0);
        assert_eq!(count("SELECT count(*) FROM restorations WHERE state = 'running'"), 0);
    }
    assert_eq!(entries(&data.join("blobs/incoming")), 0);

    let again = Appliance::start(&data);
    let owner = owner.moved_to(again.url());
    for id in &asked {
        let path = format!("/api/v1/restorations/{id}");
        until("it is done", async || owner.json(&path).await["finished_at"].is_string()).await;
        assert_eq!(owner.json(&path).await["state"], "succeeded");
    }
    let renditions = owner.json(&format!("/api/v1/media/{}/renditions", media["id"].as_str().unwrap())).await;
    assert_eq!(renditions["items"].as_array().unwrap().len(), 3);
    again.stop();
}

#[test]
fn a_newer_schema_is_refused_with_a_sentence() {
    let (_dir, data) = place();
    Appliance::start(&data).stop();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (9999, 'later', '', '')";
    database(&data).execute(newer, []).unwrap();
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate", "up"], &["user", "list"]] {
        let said = complaint(safelight_on(&data, args));
        assert!(said.contains("schema 9999") && said.contains("start the newer version"), "{said}");
    }
    let status = safelight_on(&data, &["migrate", "status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("newer than this program"));
}

#[test]
fn what_the_schema_lacks_is_listed_and_applied() {
    let (_dir, data) = place();
    let said_none = complaint(safelight_on(&data, &["migrate", "status"]));
    assert!(said_none.contains("there is no data directory"), "{said_none}");
    Appliance::start(&data).stop();
    let text = succeeded(&safelight_on(&data, &["migrate", "status"]).output().unwrap());
    assert!(text.contains("up to date"), "{text}");
    // A database that nothing was applied to yet.
    for name in ["safelight.db", "safelight.db-wal", "safelight.db-shm"] {
        let _ = fs::remove_file(data.join(name));
    }
    fs::write(data.join("safelight.db"), "").unwrap();
    let status = |args: &[&str]| succeeded(&safelight_on(&data, args).output().unwrap());
    let before: Value = serde_json::from_str(&status(&["migrate", "status", "--json"])).unwrap();
    assert_eq!(before["applied"], 0);
    assert!(before["pending"].as_array().unwrap().len() > 1, "{before}");
    assert!(status(&["migrate", "status"]).contains("to apply"));
    let up = safelight_on(&data, &["migrate", "up"]).output().unwrap();
    assert_eq!(up.status.code(), Some(0), "{}", said(&up));
    let after: Value = serde_json::from_str(&status(&["migrate", "status", "--json"])).unwrap();
    assert_eq!(after["applied"], before["known"]);
    assert_eq!(after["pending"], json!([]));
}

#[test]
fn what_is_generated_comes_out_whole() {
    let document: Value =
        serde_json::from_str(&succeeded(&safelight(&["openapi"]).output().unwrap())).unwrap();
    assert!(document["paths"]["/api/v1/media"]["post"].is_object());
    let version = succeeded(&safelight(&["version"]).output().unwrap());
    assert_eq!(version, format!("safelight {}\n", env!("CARGO_PKG_VERSION")));
    let version: Value =
        serde_json::from_str(&succeeded(&safelight(&["version", "--json"]).output().unwrap())).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeded(&safelight(&["completions", shell]).output().unwrap());
        assert!(script.contains("passwd") && script.contains("data-dir"), "{shell}");
    }
    let script = succeeded(&safelight(&["completions", "bash"]).output().unwrap());
    let checked = run_with_input(
        {
            let mut bash = Command::new("bash");
            bash.arg("-n").stderr(std::process::Stdio::piped());
            bash
        },
        &script,
    );
    assert!(checked.status.success(), "{}", said(&checked));
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    succeeded(&safelight(&["man", "--dir", pages.to_str().unwrap()]).output().unwrap());
    for page in ["safelight.1", "safelight-serve.1", "safelight-user-add.1", "safelight-import.1"] {
        let text = fs::read_to_string(pages.join(page)).unwrap_or_else(|e| panic!("{page}: {e}"));
        assert!(text.contains(".SH NAME"), "{page}");
    }
    assert!(succeeded(&safelight(&["man"]).output().unwrap()).contains(".SH NAME"));
    // Whoever has seen enough does not make it fail.
    let mut child = safelight(&["openapi"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[tokio::test]
async fn people_are_managed_beside_a_running_server() {
    let (_dir, data) = place();
    let appliance = Appliance::start(&data);
    let add = ["user", "add", "ida@example.org", "--role", "owner", "--password-stdin"];
    let added = run_with_input(safelight_on(&data, &add), &format!("{PASSWORD}\n"));
    assert_eq!(added.status.code(), Some(0), "{}", said(&added));
    let listed = succeeded(&safelight_on(&data, &["user", "list", "--json"]).output().unwrap());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["email"], "ida@example.org");
    assert!(!listed.to_string().contains("argon2"));

    let ida = appliance.browser();
    let log_in = async |password: &str| {
        let form = json!({ "email": "ida@example.org", "password": password });
        ida.post("/api/v1/auth/login").json(&form).send().await.unwrap()
    };
    assert_eq!(log_in(PASSWORD).await.status(), 200);
    assert_eq!(ida.json("/api/v1/setup").await["needed"], false);
    let again = run_with_input(safelight_on(&data, &add), PASSWORD);
    assert_eq!(again.status.code(), Some(1), "the address is taken");

    let passwd = ["user", "passwd", "ida@example.org", "--password-stdin"];
    let changed = run_with_input(safelight_on(&data, &passwd), "another horse battery\n");
    assert_eq!(changed.status.code(), Some(0), "{}", said(&changed));
    assert!(!said(&changed).contains("another horse"));
    let me = ida.get("/api/v1/auth/me").send().await.unwrap();
    problem(me, 401, "not-signed-in").await;
    problem(log_in(PASSWORD).await, 401, "wrong-credentials").await;
    assert_eq!(log_in("another horse battery").await.status(), 200);
    let said_nobody =
        complaint(safelight_on(&data, &["user", "passwd", "eve@example.org", "--password-stdin"]));
    assert!(said_nobody.contains("nobody has the email"), "{said_nobody}");
    appliance.stop();
}

#[tokio::test]
async fn keys_are_made_and_rotated_beside_a_running_server() {
    let (_dir, data) = place();
    let appliance = Appliance::start(&data);
    let owner = appliance.setup_owner().await;
    let secrets = |args: &[&str]| {
        let args = [&["secrets"], args].concat();
        succeeded(&safelight_on(&data, &args).output().unwrap())
    };
    let media = owner.upload_ok("a.txt", b"hello".to_vec()).await;
    let sign = async || {
        let path = format!("/api/v1/media/{}/signed-urls", media["id"].as_str().unwrap());
        let answer = owner.post(&path).json(&json!({})).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["url"].as_str().unwrap().to_owned()
    };
    let fetch = async |url: &str| reqwest::get(url).await.unwrap().status().as_u16();
    assert!(secrets(&["generate"]).contains("a key was made"));
    assert!(secrets(&["generate"]).contains("there is a key already"));
    let first = sign().await;
    assert_eq!(fetch(&first).await, 200);
    assert!(secrets(&["rotate"]).contains("stays good"));
    let second = sign().await;
    assert_eq!((fetch(&first).await, fetch(&second).await), (200, 200));
    assert!(secrets(&["rotate", "signed-urls", "--now"]).contains("is over"));
    assert_eq!((fetch(&first).await, fetch(&second).await), (403, 403));
    assert_eq!(fetch(&sign().await).await, 200);
    let wrong = safelight_on(&data, &["secrets", "rotate", "everything"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    let audit = owner.json("/api/v1/audit?action=secrets").await;
    let of_urls =
        audit["items"].as_array().unwrap().iter().filter(|entry| entry["target_id"] == "signed-urls");
    assert_eq!(of_urls.count(), 3);
    let files = std::fs::read_dir(data.join("keys")).unwrap();
    for file in files {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.unwrap().metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    appliance.stop();
}

#[tokio::test]
async fn a_folder_is_imported_beside_a_running_server() {
    let (dir, data) = place();
    let appliance = Appliance::start(&data);
    let owner = appliance.setup_owner().await;
    let folder = dir.path().join("album");
    fs::create_dir_all(folder.join("1931/Sommer")).unwrap();
    fs::write(folder.join("cover.jpg"), noisy_jpeg()).unwrap();
    fs::write(folder.join("1931/Sommer/notes.txt"), "By the lake").unwrap();
    fs::write(folder.join("1931/twice.bin"), noise(5, 900_000)).unwrap();
    fs::write(folder.join(".hidden"), "left out").unwrap();
    let mut live = owner.get("/api/v1/events").send().await.unwrap();

    let import = ["import", folder.to_str().unwrap(), "--bucket", "photos", "--json"];
    let output = safelight_on(&data, &import).output().unwrap();
    let summary: Value = serde_json::from_str(&succeeded(&output)).unwrap();
    assert_eq!((&summary["added"], &summary["failed"]), (&json!(3), &json!([])), "{summary}");
    let listed = owner.json("/api/v1/media?sort=name").await;
    let keys: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|m| m["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["cover.jpg", "1931/Sommer/notes.txt", "1931/twice.bin"]);

    // The server notices what another process has done: it tells the browsers and takes up the work.
    let mut told = String::new();
    while told.matches("\"created\"").count() < 3 {
        let chunk = tokio::time::timeout(PATIENCE, live.chunk()).await.expect("events").unwrap().unwrap();
        told.push_str(&String::from_utf8_lossy(&chunk));
    }
    let cover = format!("/api/v1/media/{}", listed["items"][0]["id"].as_str().unwrap());
    until("the place-holder is made", async || owner.json(&cover).await["thumbhash"].is_string()).await;

    let again: Value =
        serde_json::from_str(&succeeded(&safelight_on(&data, &import).output().unwrap())).unwrap();
    assert_eq!((&again["added"], &again["unchanged"]), (&json!(0), &json!(3)), "{again}");
    let said_nowhere =
        complaint(safelight_on(&data, &["import", folder.to_str().unwrap(), "--bucket", "nowhere"]));
    assert!(said_nowhere.contains("the bucket nowhere"), "{said_nowhere}");
    appliance.stop();
}

#[tokio::test]
async fn a_demonstration_shows_people_and_is_gone_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = safelight(&["serve", "--demo", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    command.env("TMPDIR", dir.path()).current_dir(dir.path());
    let demo = Appliance::start_as(command);
    let (_, rest) = demo.greeting().split_once("with the password ").expect("a password");
    let password = rest.split(' ').next().unwrap().to_owned();
    let people: Vec<String> = (0..3).map(|_| demo.line()).collect();
    for role in ["owner", "editor", "viewer"] {
        let line = people.iter().find(|line| line.ends_with(&format!("({role})"))).expect(role);
        let email = line.trim().split(' ').next().unwrap();
        let browser = demo.browser();
        let form = json!({ "email": email, "password": password });
        let answer = browser.post("/api/v1/auth/login").json(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let media = browser.json("/api/v1/media").await;
        assert!(media["items"].as_array().unwrap().len() > 1, "{media}");
    }
    assert_eq!(entries(dir.path()), 1);
    demo.stop();
    assert_eq!(entries(dir.path()), 0, "its folder is gone");
}

#[test]
fn a_demonstration_that_is_stopped_while_it_begins_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = safelight(&["serve", "--demo", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    command.env("TMPDIR", dir.path()).current_dir(dir.path());
    let mut demo = Appliance::spawn(command);
    let begin = std::time::Instant::now();
    let database =
        || fs::read_dir(dir.path()).unwrap().any(|e| e.unwrap().path().join("safelight.db").exists());
    while !database() {
        assert!(begin.elapsed() < PATIENCE, "{}", demo.log());
        std::thread::sleep(Duration::from_millis(1));
    }
    demo.terminate();
    assert_eq!(demo.wait(PATIENCE).code(), Some(0), "{}", demo.log());
    assert_eq!(entries(dir.path()), 0);
}

#[tokio::test]
async fn the_log_tells_nothing_about_people_and_their_files() {
    let (_dir, data) = place();
    let mut command = serve_on(&data);
    command.args(["--log-level", "trace"]);
    let appliance = Appliance::start_as(command);
    let token = appliance.setup_token();
    let owner = appliance.setup_owner().await;
    let media = owner.upload_ok("Tante Hedwig.jpg", noisy_jpeg()).await;
    owner.upload_ok("zerrissen.jpg", &noisy_jpeg()[..900]).await;
    let id = media["id"].as_str().unwrap();
    let wrong = json!({ "email": "stranger@example.net", "password": "geheimnis-geheimnis" });
    problem(owner.post("/api/v1/auth/login").json(&wrong).send().await.unwrap(), 401, "wrong-credentials")
        .await;
    let body = json!({ "preset": "strong" });
    let asked = owner.post(&format!("/api/v1/media/{id}/restorations")).json(&body).send().await.unwrap();
    let asked: Value = asked.json().await.unwrap();
    let path = format!("/api/v1/restorations/{}", asked["id"].as_str().unwrap());
    until("it is restored", async || owner.json(&path).await["finished_at"].is_string()).await;
    for path in [
        "/api/v1/media?q=Hedwig&folder=Geheimfach".to_owned(),
        "/api/v1/buckets/geheimfach".to_owned(),
        "/Geheimfach/page?token=Geheimwort".to_owned(),
        format!("/api/v1/media/{id}/content?preset=thumb"),
        "/api/v1/media?limit=Geheimwort".to_owned(),
    ] {
        owner.get(&path).send().await.unwrap().bytes().await.unwrap();
    }
    // Something of ours fails: the file under a media is gone.
    let blob = media["sha256"].as_str().unwrap();
    fs::remove_file(data.join("blobs").join(&blob[..2]).join(blob)).unwrap();
    let lost = owner.get(&format!("/api/v1/media/{id}/content")).send().await.unwrap();
    assert!(lost.status().is_server_error() || lost.status() == 404, "{}", lost.status());
    let mut raw = TcpStream::connect(appliance.address()).unwrap();
    raw.write_all(b"GET /Geheimfach HTTP/9.9\r\nCookie: Geheimwort\r\n\r\n").unwrap();
    // It may have been refused already.
    let _ = raw.shutdown(Shutdown::Write);
    let _ = raw.read_to_end(&mut Vec::new());
    until("the last request is in the log", async || appliance.log().contains("/content")).await;

    let lines = appliance.log_lines();
    assert!(lines.len() > 10);
    let log = appliance.log().to_lowercase();
    let secrets =
        ["example.org", "example.net", "olive", "hedwig", "zerrissen", "geheim", PASSWORD, token.as_str()];
    for secret in secrets {
        assert!(!log.contains(&secret.to_lowercase()), "{secret} is in the log: {log}");
    }
    let request = lines.iter().map(|(_, line)| line).find(|line| line.contains("/api/v1/media/{id}/content"));
    assert!(request.expect("routes are logged as patterns").contains("request.id"));
    appliance.stop();
}

#[tokio::test]
async fn without_the_web_ui_the_page_says_how_to_build_it() {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist/index.html").exists();
    if built {
        skipped("without_the_web_ui_the_page_says_how_to_build_it", "the web UI is built");
        return;
    }
    let (_dir, data) = place();
    let appliance = Appliance::start(&data);
    for path in ["/", "/library", "/setup?token=x"] {
        let page = appliance.browser().get(path).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(page.text().await.unwrap().contains("make web"));
    }
    appliance.stop();
}

#[tokio::test]
async fn what_was_uploaded_is_there_after_a_stop() {
    let (_dir, data) = place();
    let appliance = Appliance::start(&data);
    let owner = appliance.setup_owner().await;
    let bytes = noise(9, 1_300_000);
    let media = owner.upload_ok("kept.bin", bytes.to_vec()).await;
    appliance.stop();
    let sidecar = data.join("safelight.db-wal");
    assert!(!sidecar.exists() || fs::metadata(sidecar).unwrap().len() == 0, "the log was written back");
    let again = Appliance::start(&data);
    let path = format!("/api/v1/media/{}/content", media["id"].as_str().unwrap());
    let kept = owner.moved_to(again.url()).get(&path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(Sha256::digest(&kept), Sha256::digest(&bytes));
    again.stop();
}
