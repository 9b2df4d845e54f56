//! Upgrades of the database: a copy first, all or nothing, and a way back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use safelight::clock::Clock;
use safelight::db::{self, Db, Error, Role};

use super::appliance::{Appliance, PATIENCE, safelight_on, said, serve_on};
use super::migrations::library_of_8;

/// A data directory as version 8 of the schema left it, and its database.
fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    Appliance::start(&data).stop();
    let database = data.join("safelight.db");
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(data.join(format!("safelight.db{end}")));
    }
    drop(library_of_8(&database));
    (dir, data, database)
}

fn schema(database: &Path) -> i64 {
    db::status(database).unwrap().applied
}

fn keys(database: &Path) -> Vec<String> {
    let conn = Connection::open(database).unwrap();
    let mut statement = conn.prepare("SELECT hex(id) || key || size_bytes FROM media ORDER BY seq").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Runs a command that succeeds and returns what it printed.
fn succeeded(data: &Path, args: &[&str]) -> String {
    let output = safelight_on(data, args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_upgrade_can_be_taken_back_and_made_again() {
    let (_dir, data, database) = place();
    let before = keys(&database);
    Appliance::start(&data).stop();
    let newest = schema(&database);
    assert!(newest > 8);
    let copy = data.join("safelight.db.schema-8");
    assert_eq!((schema(&copy), keys(&copy)), (8, before.clone()));

    assert!(succeeded(&data, &["migrate", "status"]).contains("schema 8 can be gone back to"));
    let told = succeeded(&data, &["migrate", "back"]);
    assert!(told.contains("safelight migrate back --yes") && told.contains("safelight.previous"), "{told}");
    assert_eq!(schema(&database), newest, "telling changes nothing");
    let running = Appliance::start(&data);
    let refused = safelight_on(&data, &["migrate", "back", "--yes"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    running.stop();
    assert_eq!(schema(&database), newest, "not under a server");

    succeeded(&data, &["migrate", "back", "--yes"]);
    assert_eq!((schema(&database), keys(&database)), (8, before.clone()));
    assert_eq!(schema(&data.join(format!("safelight.db.after-{newest}"))), newest);
    assert!(succeeded(&data, &["migrate", "status"]).contains("to apply"));
    // Not to what it is already.
    let nowhere = safelight_on(&data, &["migrate", "back", "--yes"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1), "{}", said(&nowhere));

    succeeded(&data, &["migrate", "up"]);
    assert_eq!((schema(&database), keys(&database)), (newest, before));
}

#[test]
fn an_upgrade_that_fails_changes_nothing_and_is_not_tried_again_and_again() {
    let (_dir, data, database) = place();
    let before = keys(&database);
    // Something stands where a later migration wants to put a table of its own.
    Connection::open(&database)
        .unwrap()
        .execute_batch("CREATE TABLE restoration_presets (theirs INTEGER)")
        .unwrap();
    let mut supervised = serve_on(&data);
    supervised.env("NOTIFY_SOCKET", data.join("nobody-listens"));
    let mut failed = Appliance::spawn(supervised);
    assert_eq!(failed.wait(PATIENCE).code(), Some(78), "{}", failed.log());
    let log = failed.log();
    assert!(
        log.contains("could not be upgraded and is as it was") && log.contains("restoration_presets"),
        "{log}"
    );
    assert_eq!((schema(&database), keys(&database)), (8, before.clone()));

    // The obstacle is gone: the next start does it.
    Connection::open(&database).unwrap().execute_batch("DROP TABLE restoration_presets").unwrap();
    Appliance::start(&data).stop();
    assert_eq!(keys(&database), before);
    assert!(schema(&database) > 8);
}

#[test]
fn a_damaged_database_is_not_upgraded() {
    let (_dir, _data, database) = place();
    let root: i64 = Connection::open(&database)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'versions'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = fs::read(&database).unwrap();
    let page = 4096 * (usize::try_from(root).unwrap() - 1);
    bytes[page + 8..page + 64].fill(0xee);
    fs::write(&database, &bytes).unwrap();
    let refused = Db::open(&database, Role::Server, Clock::system()).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused:?}");
    assert_eq!(db::snapshots(&database).unwrap(), []);
    assert_eq!(schema(&database), 8);
}

#[test]
fn without_room_for_a_copy_nothing_is_upgraded() {
    let (_dir, data, database) = place();
    // A folder can't be replaced by a file.
    fs::create_dir(data.join("safelight.db.schema-8")).unwrap();
    fs::write(data.join("safelight.db.schema-8/occupied"), "").unwrap();
    let refused = Db::open(&database, Role::Server, Clock::system()).unwrap_err();
    assert!(matches!(refused, Error::Snapshot { .. }), "{refused:?}");
    assert!(refused.to_string().contains("without one it is not changed"), "{refused}");
    assert_eq!(schema(&database), 8);
    assert!(!data.join("safelight.db.part").exists());
}

#[test]
fn a_crash_in_an_upgrade_leaves_the_old_database_or_the_new_one() {
    let (_dir, data, database) = place();
    let before = keys(&database);
    for pause in [2, 10, 20, 35, 50, 80, 120] {
        let dying = Appliance::spawn(serve_on(&data));
        std::thread::sleep(Duration::from_millis(pause));
        dying.kill();
        // Whoever looks next finds one of both, whole.
        let conn = Connection::open(&database).unwrap();
        let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        drop(conn);
        assert!([8, db::status(&database).unwrap().known].contains(&schema(&database)));
        assert_eq!(keys(&database), before);
    }
    Appliance::start(&data).stop();
    assert_eq!(keys(&database), before);
    let copy = data.join("safelight.db.schema-8");
    assert_eq!((schema(&copy), keys(&copy)), (8, before));
}
