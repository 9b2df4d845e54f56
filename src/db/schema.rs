//! Migrations, and the refusal of files that are newer or not ours.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{Error, Result, Role, connect, upgrade, upkeep};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// SQLite's `application_id` of our files: "Slig".
const APPLICATION_ID: i32 = 0x536c_6967;

/// What is applied to a file and what this program could apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The newest migration in the file; 0 when there is none.
    pub applied: i64,
    /// `(version, name)` of the migrations that are not in the file yet, in order.
    pub pending: Vec<(i64, String)>,
    /// The newest migration in this program.
    pub known: i64,
}

/// Looks at a file's schema without changing it.
///
/// # Errors
/// [`Error::Open`] when there is no such file or it can't be read.
pub fn status(path: &Path) -> Result<Status> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let applied = applied(&conn)?;
    let mut pending: Vec<_> = known().into_iter().filter(|(version, _)| *version > applied).collect();
    pending.sort();
    Ok(Status { applied, pending, known: newest() })
}

/// Marks an empty file as ours, and refuses one that belongs to another program.
pub(super) fn claim(conn: &Connection, path: &Path) -> Result<()> {
    let open_error = |source| Error::Open { path: path.to_owned(), source: Arc::new(source) };
    let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(open_error)?;
    if id == APPLICATION_ID {
        return Ok(());
    }
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(open_error)?;
    if id != 0 || tables != 0 {
        return Err(Error::Foreign(path.to_owned()));
    }
    upkeep::prepare(conn).map_err(open_error)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID).map_err(open_error)
}

/// Applies what is missing in one transaction, after a copy of what there is. A guest only furnishes an empty file.
pub(super) fn migrate(conn: &mut Connection, path: &Path, role: Role) -> Result<()> {
    let found = applied(conn)?;
    if found > newest() {
        return Err(Error::TooNew { found, known: newest() });
    }
    if found == newest() {
        return Ok(());
    }
    if role == Role::Guest && found > 0 {
        return Err(Error::Outdated { found, known: newest() });
    }
    let apply = |conn: &mut Connection| {
        let runner = embedded::migrations::runner().set_grouped(true);
        runner.run(conn).map(drop).map_err(|e| Error::Migrate(Arc::new(e)))
    };
    if found == 0 { apply(conn) } else { upgrade::with_a_way_back(conn, path, apply) }
}

pub(super) fn applied(conn: &Connection) -> Result<i64> {
    let history: Option<String> = conn
        .query_row(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if history.is_none() {
        return Ok(0);
    }
    Ok(conn
        .query_row("SELECT coalesce(max(version), 0) FROM refinery_schema_history", [], |row| row.get(0))?)
}

fn known() -> Vec<(i64, String)> {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|m| (i64::from(m.version()), m.name().to_owned()))
        .collect()
}

fn newest() -> i64 {
    known().into_iter().map(|(version, _)| version).max().unwrap_or(0)
}
