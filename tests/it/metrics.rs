//! The numbers for programs that watch: who may read them, that they are true, and that dashboards use only what exists.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::{Client, RequestBuilder};
use safelight::config::Secret;
use safelight::{db, jobs};
use serde_json::json;

use crate::photographs::noisy_jpeg;
use crate::support::{Browser, TestServer, problem};

const TOKEN: &str = "c29tZSByYW5kb20gYnl0ZXM";

/// The page as it is read from this machine.
async fn page(server: &TestServer) -> String {
    let answer = Client::new().get(server.url("/metrics")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

/// The value of a series, written as on the page.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_this_machine_and_those_with_the_token_read_them() {
    let get = |server: &TestServer, path: &str| Client::new().get(server.url(path));
    let bare = TestServer::start().await;
    for path in ["/metrics", "/api/metrics"] {
        assert_eq!(get(&bare, path).send().await.unwrap().status(), 200, "{path}");
        // A proxy on this machine, a name that was pointed here, and a guess.
        for (name, with) in [
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
            ("via", "1.1 proxy"),
            ("host", "photos.example.org"),
            ("authorization", "Bearer guess"),
        ] {
            let answer = get(&bare, path).header(name, with).send().await.unwrap();
            problem(answer, 404, "not-found").await;
        }
    }
    let behind = TestServer::start_with(|config| {
        config.server.public_url =
            Some(safelight::config::PublicUrl::parse("https://photos.example.org").unwrap());
    })
    .await;
    problem(get(&behind, "/metrics").send().await.unwrap(), 404, "not-found").await;

    let guarded = TestServer::start_with(|config| {
        config.metrics.token = Some(Secret::new(TOKEN));
        config.server.base_path = "/photos".into();
    })
    .await;
    let far = |request: RequestBuilder| request.header("x-forwarded-for", "203.0.113.7");
    for path in ["/metrics", "/photos/metrics", "/photos/api/metrics"] {
        assert_eq!(far(get(&guarded, path)).bearer_auth(TOKEN).send().await.unwrap().status(), 200, "{path}");
        assert_eq!(get(&guarded, path).send().await.unwrap().status(), 200, "{path}");
        for request in [
            far(get(&guarded, path)),
            get(&guarded, path).bearer_auth("guess"),
            get(&guarded, path).bearer_auth(""),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{path}");
            problem(answer, 401, "metrics-token").await;
        }
    }
    // No person's token opens them.
    let owner = bare.setup_owner().await;
    let made: serde_json::Value = owner
        .post("/api/v1/tokens")
        .json(&json!({ "name": "x", "scopes": ["library.read"] }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let answer = get(&bare, "/metrics").bearer_auth(made["token"].as_str().unwrap()).send().await.unwrap();
    problem(answer, 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_tell_what_has_happened() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let before = page(&server).await;
    assert_eq!(value(&before, "safelight_sessions"), 1.0);
    assert_eq!(value(&before, "safelight_storage_blobs"), 0.0);
    let media = owner.upload_ok("a.txt", "hello").await;
    owner.upload_ok("same.txt", "hello").await;
    let picture = noisy_jpeg();
    let bytes = 5.0 + f64::from(u32::try_from(picture.len()).unwrap());
    owner.upload_ok("b.jpg", picture).await;
    assert_eq!(owner.get("/api/v1/media/nonsense").send().await.unwrap().status(), 404);
    let path = format!("/api/v1/media/{}", media["id"].as_str().unwrap());
    owner.json(&path).await;
    let kept = page(&server).await;
    assert_eq!(value(&kept, "safelight_storage_blobs"), 0.0, "counted again only after some seconds");
    server.clock.advance(std::time::Duration::from_secs(100));
    let waiting = page(&server).await;
    assert_eq!(value(&waiting, "safelight_storage_blobs"), 2.0);
    assert_eq!(value(&waiting, "safelight_storage_blob_bytes"), bytes);
    assert_eq!(value(&waiting, "safelight_media"), 3.0);
    assert_eq!(value(&waiting, "safelight_media_bytes"), bytes + 5.0);
    let describe = "kind=\"library.describe\"";
    assert_eq!(value(&waiting, &format!("safelight_jobs{{{describe},state=\"queued\"}}")), 1.0);
    assert_eq!(value(&waiting, &format!("safelight_jobs_oldest_age_seconds{{{describe}}}")), 100.0);
    let route = "route=\"/api/v1/media/{id}\",method=\"GET\"";
    assert_eq!(value(&waiting, &format!("safelight_http_requests_total{{{route},status=\"2xx\"}}")), 1.0);
    assert_eq!(value(&waiting, &format!("safelight_http_requests_total{{{route},status=\"4xx\"}}")), 1.0);
    assert_eq!(value(&waiting, &format!("safelight_http_request_duration_seconds_count{{{route}}}")), 2.0);
    assert!(value(&waiting, "safelight_http_requests_in_flight") >= 1.0, "the one that asks");
    assert!(value(&waiting, "safelight_connections") >= 1.0);
    assert!(value(&waiting, "safelight_received_bytes_total") > 1000.0);
    assert!(value(&waiting, "safelight_sent_bytes_total") > 1000.0);
    assert!(value(&waiting, "safelight_db_writes_total") >= 4.0);
    assert!(value(&waiting, "safelight_db_commit_duration_seconds_count") >= 1.0);
    assert!(value(&waiting, "safelight_db_reader_wait_seconds_count") >= 1.0);
    assert!(value(&waiting, "safelight_db_size_bytes") > 4096.0);
    assert!(value(&waiting, "safelight_storage_free_bytes") > 0.0);
    // Neither names nor ids of anything stand on the page.
    assert!(!waiting.contains("a.txt") && !waiting.contains(media["id"].as_str().unwrap()));
    // What goes is counted too.
    let gone = server.app.db.write(|tx| {
        let sql = "DELETE FROM blobs WHERE sha256 NOT IN (SELECT sha256 FROM versions)";
        tx.execute("INSERT INTO blobs (sha256, md5, size_bytes, created_at) VALUES (zeroblob(32), zeroblob(16), 9, 0)", [])?;
        let counted = |tx: &db::Tx<'_>| {
            tx.query_row("SELECT blob_count, size_bytes FROM blob_totals", [], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        let (with, bytes_with): (i64, i64) = counted(tx)?;
        assert_eq!(tx.execute(sql, [])?, 1);
        let (without, bytes_without): (i64, i64) = counted(tx)?;
        assert_eq!((with - without, bytes_with - bytes_without), (1, 9));
        Ok::<_, db::Error>(())
    });
    gone.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_restorations_are_counted_by_what_became_of_them() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("a.jpg", noisy_jpeg()).await;
    restore(&owner, media["id"].as_str().unwrap()).await;
    server.run_jobs().await;
    let page = page(&server).await;
    assert_eq!(value(&page, "safelight_job_runs_total{kind=\"restore\",outcome=\"succeeded\"}"), 1.0);
    assert_eq!(value(&page, "safelight_job_run_duration_seconds_count{kind=\"restore\"}"), 1.0);
    let ended: f64 = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("safelight_restorations_total{engine=\"builtin\"")?.split(' ').next_back()
        })
        .map(|count| count.parse::<f64>().unwrap())
        .sum();
    assert_eq!(ended, 1.0);
    assert!(value(&page, "safelight_restoration_pixels_total{engine=\"builtin\"}") > 0.0);
}

async fn restore(owner: &Browser, media: &str) {
    let asked = owner.post(&format!("/api/v1/media/{media}/restorations")).json(&json!({ "preset": "auto" }));
    assert_eq!(asked.send().await.unwrap().status(), 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_upkeep_gives_free_pages_back() {
    let server = TestServer::start().await;
    let fill = server.app.db.write(|tx| {
        tx.execute_batch(
            "CREATE TABLE scratch (n INTEGER PRIMARY KEY, filler BLOB) STRICT;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO scratch SELECT i, randomblob(3500) FROM n;",
        )?;
        Ok::<_, db::Error>(())
    });
    fill.await.unwrap();
    let empty = server.app.db.write(|tx| Ok::<_, db::Error>(tx.execute_batch("DELETE FROM scratch")?));
    empty.await.unwrap();
    let size = async || server.app.db.read(db::size).await.unwrap();
    let full = size().await;
    assert!(full.free_bytes > 15 << 20, "{full:?}");
    let queued =
        server.app.db.write(|tx| jobs::enqueue(tx, &safelight::admin::Upkeep {}, jobs::Options::default()));
    queued.await.unwrap();
    server.run_jobs().await;
    let after = size().await;
    assert!(after.bytes < full.bytes - (10 << 20), "{full:?} {after:?}");
    assert!(after.free_bytes <= 8 << 20 && after.free_bytes > 7 << 20, "some stay: {after:?}");
    let studied = server.app.db.read(|conn| {
        let count = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
        Ok::<i64, db::Error>(conn.query_row(count, [], |row| row.get(0))?)
    });
    assert_eq!(studied.await.unwrap(), 1);
}

/// The names of families on a page.
fn families(page: &str) -> BTreeSet<String> {
    let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    names.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

/// The names of series in the expressions of a file.
fn mentioned(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let ours =
        |word: &&str| (word.starts_with("safelight_") && word.len() > 10) || word.starts_with("process_");
    let family = |name: &str| {
        let suffixes = ["_bucket", "_sum", "_count"];
        let bare = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
        bare.filter(|bare| bare.ends_with("_seconds")).unwrap_or(name).to_owned()
    };
    text.split(word).filter(ours).map(family).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_dashboard_and_manual_name_only_series_that_exist() {
    let server = TestServer::start().await;
    let exist = families(&page(&server).await);
    assert!(exist.len() > 40, "{exist:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["packaging/monitoring/alerts.yml", "packaging/monitoring/grafana.json", "docs/monitoring.md"]
    {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let named = mentioned(&text);
        assert!(named.len() > 8, "{file} names {named:?}");
        let unknown: Vec<_> = named.difference(&exist).collect();
        assert!(unknown.is_empty(), "{file} names what does not exist: {unknown:?}");
    }
    let manual = mentioned(&std::fs::read_to_string(root.join("docs/monitoring.md")).unwrap());
    let silent: Vec<_> = exist.difference(&manual).filter(|name| name.starts_with("safelight_")).collect();
    assert!(silent.is_empty(), "docs/monitoring.md does not explain {silent:?}");
    let dashboard = std::fs::read_to_string(root.join("packaging/monitoring/grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
}

/// Prometheus' own tool, if it is here.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED: promtool is not installed (Debian: prometheus)");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_takes_the_page_and_the_rules() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    owner.upload_ok("a.txt", "hello").await;
    server.run_jobs().await;
    let page = page(&server).await;
    if let Some((fine, said)) = promtool(&["check", "metrics"], &page) {
        assert!(fine && said.trim().is_empty(), "{said}");
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring/alerts.yml");
    if let Some((fine, said)) = promtool(&["check", "rules", rules.to_str().unwrap()], "") {
        assert!(fine, "{said}");
    }
}
