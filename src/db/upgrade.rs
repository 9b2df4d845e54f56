//! Upgrades that can be taken back: a copy of the database from before its schema changed, and a look at it afterwards.
//!
//! The copy lies beside the database and is named after its schema: `safelight.db.schema-18`. It is taken while nobody
//! writes, is on disk before the first migration runs, and stays until two later upgrades have gone well.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::{BUSY_TIMEOUT, Error, Result, connect, schema};

/// So many copies are kept.
const KEPT: usize = 2;

/// A copy of the database as it was before an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it lies.
    pub path: PathBuf,
    /// The schema that it has.
    pub schema: i64,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was taken.
    pub taken_at: std::time::SystemTime,
}

/// The copies beside a database, the one with the newest schema first.
///
/// # Errors
/// When the folder can't be read.
pub fn snapshots(database: &Path) -> io::Result<Vec<Snapshot>> {
    let beginning = format!("{}.schema-", file_name(database));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(database))? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&beginning)).map(str::parse);
        if let Some(Ok(schema)) = number {
            let about = entry.metadata()?;
            found.push(Snapshot {
                path: entry.path(),
                schema,
                bytes: about.len(),
                taken_at: about.modified()?,
            });
        }
    }
    found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.schema));
    Ok(found)
}

/// Puts a copy in the place of the database, which nobody may have open, and returns where the database that was there
/// lies now. The copy stays.
///
/// # Errors
/// When there is no room for it, or a file can't be written; the database is then as it was.
pub fn go_back(database: &Path, snapshot: &Snapshot) -> Result<PathBuf> {
    let applied = have_alone(database, BUSY_TIMEOUT)?;
    let aside = (1..)
        .map(|n| {
            beside(
                database,
                &if n == 1 { format!("after-{applied}") } else { format!("after-{applied}.{n}") },
            )
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| beside(database, "after"));
    let part = beside(database, "part");
    let put = || {
        fs::copy(&snapshot.path, &part)?;
        give_to_owner_of(database, &part)?;
        File::open(&part)?.sync_all()?;
        // There is a database at each moment: an empty folder would be taken for a new library.
        fs::hard_link(database, &aside)?;
        fs::rename(&part, database)?;
        File::open(folder(database))?.sync_all()
    };
    put().map_err(|source| Error::Snapshot { path: part.clone(), source: Arc::new(source) })?;
    Ok(aside)
}

/// Makes sure that nobody else has the database open, brings all of it into its file, and returns its schema.
fn have_alone(database: &Path, patience: Duration) -> Result<i64> {
    let conn = connect(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.busy_timeout(patience)?;
    let applied = schema::applied(&conn)?;
    // Leaving the log behind needs the database alone.
    let mode = conn.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    if mode.is_ok_and(|mode| mode == "delete") {
        return Ok(applied);
    }
    let source = Arc::new(io::Error::other("another program has the database open"));
    Err(Error::Snapshot { path: database.to_owned(), source })
}

/// Root puts things right for others, who have to be able to use them.
fn give_to_owner_of(database: &Path, file: &Path) -> io::Result<()> {
    let (owner, own) = (fs::metadata(database)?, fs::metadata(file)?);
    if (owner.uid(), owner.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Runs `migrate` between a copy of the database and a look at what it made of it. Whatever goes wrong, the database is
/// as it was afterwards.
pub(super) fn with_a_way_back(
    conn: &mut Connection,
    database: &Path,
    migrate: impl FnOnce(&mut Connection) -> Result<()>,
) -> Result<()> {
    let before = schema::applied(conn)?;
    if let Some(damage) = damage(conn)? {
        return Err(Error::Damaged { path: database.to_owned(), damage });
    }
    let loose = loose_ends(conn)?;
    let copy = take(conn, database, before)?;
    migrate(conn)?;
    let wrong = match damage(conn)? {
        None if loose_ends(conn)? > loose => Some("rows refer to others that are not there".to_owned()),
        wrong => wrong,
    };
    if let Some(wrong) = wrong {
        put_back(conn, &copy)?;
        return Err(Error::TakenBack { wrong, schema: before });
    }
    for old in snapshots(database).unwrap_or_default().into_iter().skip(KEPT) {
        if let Err(error) = fs::remove_file(&old.path) {
            tracing::warn!(%error, path = %old.path.display(), "an old copy of the database could not be removed");
        }
    }
    tracing::info!(from = before, to = schema::applied(conn)?, copy = %copy.display(), "the database was upgraded");
    Ok(())
}

/// Copies the database to disk and returns where.
fn take(conn: &Connection, database: &Path, schema: i64) -> Result<PathBuf> {
    let (part, whole) = (beside(database, "part"), beside(database, &format!("schema-{schema}")));
    let failed = |source| Error::Snapshot { path: whole.clone(), source: Arc::new(source) };
    let copied = copy(conn, &part).map_err(|e| failed(io::Error::other(e))).and_then(|()| {
        let put = || {
            give_to_owner_of(database, &part)?;
            File::open(&part)?.sync_all()?;
            fs::rename(&part, &whole)?;
            File::open(folder(database))?.sync_all()
        };
        put().map_err(failed)
    });
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied.map(|()| whole)
}

fn copy(conn: &Connection, to: &Path) -> Result<()> {
    // What an upgrade left that was cut off.
    let _ = fs::remove_file(to);
    let mut copy = Connection::open(to)?;
    copy.busy_timeout(BUSY_TIMEOUT)?;
    run_whole(conn, &mut copy)
}

fn put_back(conn: &mut Connection, copy: &Path) -> Result<()> {
    let copy = Connection::open_with_flags(copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    run_whole(&copy, conn)
}

fn run_whole(from: &Connection, to: &mut Connection) -> Result<()> {
    match Backup::new(from, to)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("another process is writing".to_owned()),
        )
        .into()),
    }
}

/// The first thing that is broken in the file, if anything is.
fn damage(conn: &Connection) -> Result<Option<String>> {
    let said: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(said))
}

/// How many rows refer to one that is not there.
fn loose_ends(conn: &Connection) -> Result<i64> {
    Ok(conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?)
}

fn beside(database: &Path, what: &str) -> PathBuf {
    with_end(database, &format!(".{what}"))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(end);
    whole.into()
}

fn folder(database: &Path) -> &Path {
    match database.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn file_name(database: &Path) -> String {
    database.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(dir: &Path) -> (PathBuf, Connection) {
        let path = dir.join("photos.db");
        let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.execute_batch(
            "CREATE TABLE albums (id INTEGER PRIMARY KEY); INSERT INTO albums VALUES (1);
             CREATE TABLE prints (album INTEGER REFERENCES albums (id)); INSERT INTO prints VALUES (1);
             CREATE TABLE refinery_schema_history (version INTEGER); INSERT INTO refinery_schema_history VALUES (7);",
        )
        .unwrap();
        (path, conn)
    }

    fn albums(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM albums", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_an_upgrade_breaks_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut conn) = library(dir.path());
        let refused = with_a_way_back(&mut conn, &path, |conn| {
            conn.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM albums; PRAGMA foreign_keys = ON")?;
            Ok(())
        })
        .unwrap_err();
        assert!(matches!(&refused, Error::TakenBack { schema: 7, .. }), "{refused:?}");
        assert_eq!(albums(&conn), 1);
        drop(conn);
        let again = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        assert_eq!(albums(&again), 1);
    }

    #[test]
    fn two_copies_are_kept_and_any_of_them_can_be_gone_back_to() {
        let dir = tempfile::tempdir().unwrap();
        let (path, mut conn) = library(dir.path());
        for schema in 8..=11 {
            with_a_way_back(&mut conn, &path, |conn| {
                conn.execute("INSERT INTO albums VALUES (?1)", [schema])?;
                conn.execute("INSERT INTO refinery_schema_history VALUES (?1)", [schema])?;
                Ok(())
            })
            .unwrap();
        }
        drop(conn);
        let kept = snapshots(&path).unwrap();
        assert_eq!(kept.iter().map(|copy| copy.schema).collect::<Vec<_>>(), [10, 9]);
        let aside = go_back(&path, &kept[1]).unwrap();
        assert_eq!(aside, dir.path().join("photos.db.after-11"));
        let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        assert_eq!((schema::applied(&conn).unwrap(), albums(&conn)), (9, 3));
        let newer = connect(&aside, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        assert_eq!((schema::applied(&newer).unwrap(), albums(&newer)), (11, 5));
        drop((conn, newer));

        // What was put aside before is kept, and nobody may be at work meanwhile.
        fs::write(dir.path().join("photos.db.after-9"), "older").unwrap();
        let worker = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        worker.pragma_update(None, "journal_mode", "WAL").unwrap();
        worker.execute("INSERT INTO albums VALUES (99)", []).unwrap();
        worker.busy_timeout(Duration::ZERO).unwrap();
        assert!(matches!(have_alone(&path, Duration::ZERO), Err(Error::Snapshot { .. })));
        assert_eq!(albums(&worker), 4);
        drop(worker);
        assert_eq!(go_back(&path, &kept[0]).unwrap(), dir.path().join("photos.db.after-9.2"));
        assert_eq!(fs::read(dir.path().join("photos.db.after-9")).unwrap(), b"older");
    }
}
