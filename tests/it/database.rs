//! What the database promises: writes that share a commit, readers that can't write, refusals with a sentence.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use safelight::clock::Clock;
use safelight::db::{self, Db, Error, Role};
use tracing::Instrument;

fn open(dir: &tempfile::TempDir) -> Db {
    Db::open(&dir.path().join("safelight.db"), Role::Server, Clock::system()).unwrap()
}

async fn scratch_table(db: &Db) {
    db.write(|tx| Ok::<_, Error>(tx.execute_batch("CREATE TABLE scratch (n INTEGER PRIMARY KEY) STRICT")?))
        .await
        .unwrap();
}

async fn insert(db: &Db, n: i64) -> Result<(), Error> {
    db.write(move |tx| {
        tx.execute("INSERT INTO scratch (n) VALUES (?1)", [n])?;
        Ok(())
    })
    .await
}

async fn rows(db: &Db) -> i64 {
    db.read(|conn| Ok::<_, Error>(conn.query_row("SELECT count(*) FROM scratch", [], |row| row.get(0))?))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_write_takes_nothing_of_the_others_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    insert(&db, 7).await.unwrap();
    let writes = (0..64).map(|n| {
        let db = db.clone();
        tokio::spawn(async move { insert(&db, n).await })
    });
    let outcomes: Vec<_> = futures_util::future::join_all(writes).await;
    let failed: Vec<_> = outcomes.into_iter().filter_map(|o| o.unwrap().err()).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].is_constraint(), "{:?}", failed[0]);
    assert_eq!(rows(&db).await, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_write_is_an_error_of_that_write_alone() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    let panicked: Result<(), Error> = db
        .write(|tx| {
            tx.execute("INSERT INTO scratch (n) VALUES (1)", [])?;
            panic!("on purpose");
        })
        .await;
    assert!(matches!(panicked, Err(Error::Panicked(ref text)) if text == "on purpose"), "{panicked:?}");
    insert(&db, 2).await.unwrap();
    assert_eq!(rows(&db).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_can_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    let out = db.read(|conn| Ok::<_, Error>(conn.execute("DELETE FROM scratch", [])?)).await;
    assert!(out.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    let (inside, ready) = tokio::sync::oneshot::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let reading = tokio::spawn({
        let db = db.clone();
        async move {
            db.read(move |conn| {
                let count = || conn.query_row("SELECT count(*) FROM scratch", [], |row| row.get::<_, i64>(0));
                let before = count()?;
                inside.send(()).unwrap();
                wait.recv().unwrap();
                Ok::<_, Error>((before, count()?))
            })
            .await
        }
    });
    ready.await.unwrap();
    insert(&db, 1).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(reading.await.unwrap().unwrap(), (0, 0));
    assert_eq!(rows(&db).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).close();
    let path = dir.path().join("safelight.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (9999, 'later', '', '0')",
        [],
    )
    .unwrap();
    drop(conn);
    let refused = Db::open(&path, Role::Server, Clock::system()).unwrap_err();
    assert!(matches!(refused, Error::TooNew { found: 9999, .. }));
    assert!(refused.to_string().contains("start the newer version"), "{refused}");
    let status = db::status(&path).unwrap();
    assert!(status.applied > status.known);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("safelight.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE theirs (n INTEGER)").unwrap();
    drop(conn);
    let refused = Db::open(&path, Role::Server, Clock::system()).unwrap_err();
    assert!(matches!(refused, Error::Foreign(_)), "{refused:?}");
    std::fs::write(&path, b"this is a letter, not a database at all, and long enough to have a header")
        .unwrap();
    let refused = Db::open(&path, Role::Server, Clock::system()).unwrap_err();
    assert!(matches!(refused, Error::Open { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_commit_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    // A second Db on the same file stands for another process: it shares nothing but the file.
    let other = Db::open(&dir.path().join("safelight.db"), Role::Guest, Clock::system()).unwrap();
    db.notice_foreign_commits().await;
    let mut commits = db.commits();
    commits.mark_unchanged();
    db.notice_foreign_commits().await;
    assert!(!commits.has_changed().unwrap());
    insert(&other, 1).await.unwrap();
    db.notice_foreign_commits().await;
    assert!(commits.has_changed().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_without_a_busy_error() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&dir);
    scratch_table(&first).await;
    let second = Db::open(&dir.path().join("safelight.db"), Role::Guest, Clock::system()).unwrap();
    let writes = (0..200).map(|n| {
        let db = if n % 2 == 0 { first.clone() } else { second.clone() };
        tokio::spawn(async move { insert(&db, n).await })
    });
    for outcome in futures_util::future::join_all(writes).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(rows(&first).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_database_says_so_and_leaves_no_log_behind() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    tokio::task::spawn_blocking({
        let db = db.clone();
        move || db.close()
    })
    .await
    .unwrap();
    assert!(matches!(insert(&db, 1).await, Err(Error::Closed)));
    let log = dir.path().join("safelight.db-wal");
    assert_eq!(std::fs::metadata(log).map_or(0, |m| m.len()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_checkpointed_while_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    db.write(|tx| Ok::<_, Error>(tx.execute_batch("CREATE TABLE pages (data BLOB NOT NULL) STRICT")?))
        .await
        .unwrap();
    for _ in 0..24 {
        db.write(|tx| Ok::<_, Error>(tx.execute("INSERT INTO pages VALUES (randomblob(1048576))", [])?))
            .await
            .unwrap();
    }
    let log = std::fs::metadata(dir.path().join("safelight.db-wal")).unwrap().len();
    assert!(log < 16 << 20, "the log has {log} bytes after 24 MiB were written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_as_such_and_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    insert(&db, 1).await.unwrap();
    // SQLite's own page limit gives the error that a full disk gives.
    let full: Result<(), Error> = db
        .write(|tx| {
            let pages: i64 = tx.pragma_query_value(None, "page_count", |row| row.get(0))?;
            tx.pragma_update(None, "max_page_count", pages)?;
            tx.execute_batch("CREATE TABLE more (data BLOB); INSERT INTO more VALUES (zeroblob(4000000))")?;
            Ok(())
        })
        .await;
    assert!(full.unwrap_err().is_full());
    db.write(|tx| Ok::<_, Error>(tx.pragma_update(None, "max_page_count", 1_000_000)?)).await.unwrap();
    insert(&db, 2).await.unwrap();
    assert_eq!(rows(&db).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_write_does_not_lose_the_commit_signal() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    let mut commits = db.commits();
    commits.mark_unchanged();
    let waiting =
        tokio::spawn(async move { tokio::time::timeout(Duration::from_secs(20), commits.changed()).await });
    insert(&db, 1).await.unwrap();
    waiting.await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_changes_nothing_is_no_news() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    let mut commits = db.commits();
    commits.mark_unchanged();
    db.write(|tx| Ok::<_, Error>(tx.execute("DELETE FROM scratch WHERE n = 404", [])?)).await.unwrap();
    assert!(!commits.has_changed().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_does_not_migrate_under_a_server() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).close();
    let path = dir.path().join("safelight.db");
    let conn = Connection::open(&path).unwrap();
    conn.execute("DELETE FROM refinery_schema_history WHERE version = (SELECT max(version) FROM refinery_schema_history)", [])
        .unwrap();
    drop(conn);
    let refused = Db::open(&path, Role::Guest, Clock::system()).unwrap_err();
    assert!(matches!(refused, Error::Outdated { .. }), "{refused:?}");
    assert!(refused.to_string().contains("safelight migrate up"), "{refused}");
}

/// What the log has written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_is_logged_with_who_asked_and_without_the_values_in_it() {
    let written = Written::default();
    let writer = written.clone();
    tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    scratch_table(&db).await;
    db::log_slower_than(Duration::from_millis(1));
    let slow = "WITH RECURSIVE n (i) AS (SELECT ?1
                  UNION ALL SELECT i + 1 FROM n WHERE i < 771234567)
                SELECT max(i), ?2 FROM n";
    let request = tracing::error_span!("request", request.id = "r-17", http.route = "/api/v1/x");
    async {
        let read = db.read(move |conn| {
            let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            Ok::<_, Error>(conn.query_row(slow, rusqlite::params![768_234_567, "secret"], count)?)
        });
        assert_eq!(read.await.unwrap(), 771_234_567);
        let write = db.write(move |tx| {
            let sql = format!("INSERT INTO scratch (n) {}", slow.replace(", ?2", ""));
            Ok::<_, Error>(tx.execute(&sql, [768_234_567])?)
        });
        assert_eq!(write.await.unwrap(), 1);
    }
    .instrument(request)
    .await;
    db::log_slower_than(Duration::ZERO);
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["fields"]["message"] == "a statement took long")
        .collect();
    for begin in ["WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL", "INSERT INTO scratch (n) WITH RECURSIVE"] {
        let sql =
            |line: &&serde_json::Value| line["fields"]["db.statement"].as_str().unwrap().starts_with(begin);
        let line = lines.iter().find(sql).unwrap_or_else(|| panic!("{log}"));
        assert_eq!(line["span"]["request.id"], "r-17");
        assert_eq!(line["span"]["http.route"], "/api/v1/x");
        assert!(line["fields"]["duration_ms"].as_u64().unwrap() >= 1);
    }
    assert!(!log.contains("768234567") && !log.contains("secret"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_keeps_its_free_pages_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir);
    assert_eq!(db.write(db::give_back).await.unwrap(), db::GiveBack::Done, "there is nothing to give");
    db.close();
    drop(db);
    let path = dir.path().join("safelight.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;").unwrap();
    drop(old);
    let db = open(&dir);
    assert_eq!(db.write(db::give_back).await.unwrap(), db::GiveBack::Fixed);
}
