//! The database of a restoration app: read from a copy, whatever version wrote it, and never written.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::people::{Person, is_no};
use super::{Complaint, Error, Result, explain};
use crate::clock::Timestamp;
use crate::id;

/// The most characters that are read of a text, and of the parameters of a model.
const TEXT_MAX: usize = 4096;
const PARAMETERS_MAX: usize = 65_536;

/// A picture that was processed, as its row has it.
#[derive(Debug, Clone)]
pub(super) struct Processed {
    pub(super) id: String,
    pub(super) session: Session,
    pub(super) original_filename: Option<String>,
    pub(super) model_id: Option<String>,
    pub(super) original_path: Option<String>,
    pub(super) processed_path: Option<String>,
    pub(super) parameters: Option<String>,
    pub(super) created_at: Option<Timestamp>,
}

/// The visit in which it was uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) name: Option<String>,
    pub(super) user: Option<String>,
    pub(super) created_at: Option<i64>,
}

/// Everything that the database says.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) people: Vec<Person>,
    /// By session, in the order in which they were made.
    pub(super) processed: Vec<Processed>,
    /// Rows that could not be read.
    pub(super) failed: Vec<Complaint>,
}

/// Copies a database with what lies beside it to `scratch` and reads the copy. Blocks.
///
/// # Errors
/// [`Error::Unreadable`], [`Error::NotItsDatabase`].
pub(super) fn read(file: &Path, scratch: &Path) -> Result<Contents> {
    let copy = Copy::of(file, &scratch.join(format!("import-{}", id::fresh())))?;
    let strange = |why: String| Error::NotItsDatabase { path: file.to_owned(), why };
    let refused = |e: rusqlite::Error| strange(explain(&e));
    let conn = copy.open().map_err(refused)?;
    let tables = tables(&conn).map_err(refused)?;
    let Some(processed) = tables.get("processed_images") else {
        return Err(strange("it has no table `processed_images`".into()));
    };
    let mut contents = Contents::default();
    if let Some(users) = tables.get("users") {
        read_people(&conn, users, &mut contents).map_err(refused)?;
    }
    let sessions = tables.get("sessions").map(Vec::as_slice).unwrap_or_default();
    read_processed(&conn, processed, sessions, &mut contents).map_err(refused)?;
    contents.processed.sort_by(|a, b| {
        let place = |row: &Processed| (row.session.created_at, row.session.name.clone(), row.created_at);
        place(a).cmp(&place(b))
    });
    Ok(contents)
}

/// A copy on our own disk, which goes when it has been read.
struct Copy {
    folder: PathBuf,
    file: PathBuf,
}

impl Copy {
    /// What was written last may stand in the log beside it only, and reading that log would write.
    fn of(file: &Path, folder: &Path) -> Result<Self> {
        let broken = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Unreadable { path, source }
        };
        fs::create_dir(folder).map_err(broken(folder))?;
        let this = Self { folder: folder.to_owned(), file: folder.join("database") };
        for suffix in ["", "-wal", "-journal"] {
            let beside = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                PathBuf::from(name)
            };
            let from = beside(file);
            match fs::copy(&from, beside(&this.file)) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {}
                copied => drop(copied.map_err(broken(&from))?),
            }
        }
        Ok(this)
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.file, flags)?;
        // A stranger's schema may call nothing.
        conn.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;")?;
        Ok(conn)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The tables with their columns. A view is none: it may say anything, and never end.
fn tables(conn: &Connection) -> rusqlite::Result<HashMap<String, Vec<String>>> {
    let mut statement = conn.prepare(
        "SELECT lower(t.name), lower(c.name) FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table'",
    )?;
    let mut tables: HashMap<String, Vec<String>> = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        tables.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(tables)
}

/// What is selected for a column: its text, or nothing where an older version had no such column or it holds no text.
fn column(table: &str, columns: &[String], name: &str, most: usize) -> String {
    if columns.iter().any(|column| column == name) {
        format!("CASE WHEN typeof({table}.{name}) <> 'blob' THEN substr({table}.{name}, 1, {most}) END")
    } else {
        "NULL".to_owned()
    }
}

fn text(row: &Row<'_>, column: usize) -> Option<String> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => {
            Some(String::from_utf8_lossy(bytes).into_owned()).filter(|text| !text.trim().is_empty())
        }
        _ => None,
    }
}

/// A moment in UTC, as it is written there: without a zone, with a blank in the middle.
fn moment(text: Option<String>) -> Option<Timestamp> {
    let text = text?;
    let text = text.trim();
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// Reads rows until there are no more or the file is damaged; what could be read stays.
fn each(
    conn: &Connection,
    sql: &str,
    what: &str,
    failed: &mut Vec<Complaint>,
    mut take: impl FnMut(&Row<'_>),
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => take(row),
            Ok(None) => return Ok(()),
            Err(e) => {
                let why =
                    format!("the database is damaged and what follows could not be read: {}", explain(&e));
                failed.push(Complaint { what: what.to_owned(), why });
                return Ok(());
            }
        }
    }
}

fn read_people(conn: &Connection, columns: &[String], contents: &mut Contents) -> rusqlite::Result<()> {
    let names = ["id", "full_name", "username", "email", "role", "is_active", "created_at"];
    let selected = names.map(|name| column("u", columns, name, TEXT_MAX)).join(", ");
    let Contents { people, failed, .. } = contents;
    each(conn, &format!("SELECT {selected} FROM users u ORDER BY u.rowid"), "table users", failed, |row| {
        people.push(Person {
            id: text(row, 0),
            row: format!("user {}", text(row, 0).unwrap_or_else(|| (people.len() + 1).to_string())),
            names: [1, 2].into_iter().filter_map(|column| text(row, column)).collect(),
            email: text(row, 3),
            role: text(row, 4),
            disabled: text(row, 5).is_some_and(|active| is_no(&active)),
            created_at: moment(text(row, 6)),
        });
    })
}

fn read_processed(
    conn: &Connection,
    columns: &[String],
    of_sessions: &[String],
    contents: &mut Contents,
) -> rusqlite::Result<()> {
    let names = ["id", "original_filename", "model_id", "original_path", "processed_path", "created_at"];
    let mut selected = names.map(|name| column("p", columns, name, TEXT_MAX)).to_vec();
    selected.push(column("p", columns, "model_parameters", PARAMETERS_MAX));
    let names = ["session_id", "user_id", "created_at"];
    selected.extend(names.map(|name| column("s", of_sessions, name, TEXT_MAX)));
    let has = |columns: &[String], name: &str| columns.iter().any(|column| column == name);
    let join = if has(of_sessions, "id") && has(columns, "session_id") {
        " LEFT JOIN sessions s ON s.id = p.session_id"
    } else {
        selected.truncate(7);
        selected.extend(["NULL", "NULL", "NULL"].map(str::to_owned));
        ""
    };
    let sql = format!("SELECT {} FROM processed_images p{join} ORDER BY p.rowid", selected.join(", "));
    let Contents { processed, failed, .. } = contents;
    each(conn, &sql, "table processed_images", failed, |row| {
        let number = || (processed.len() + 1).to_string();
        processed.push(Processed {
            id: text(row, 0).unwrap_or_else(number),
            original_filename: text(row, 1),
            model_id: text(row, 2),
            original_path: text(row, 3),
            processed_path: text(row, 4),
            created_at: moment(text(row, 5)),
            parameters: text(row, 6),
            session: Session {
                name: text(row, 7),
                user: text(row, 8),
                created_at: moment(text(row, 9)).map(Timestamp::as_millis),
            },
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written_there() {
        let at = |text: &str| moment(Some(text.to_owned())).map(|at| at.to_string());
        assert_eq!(at("2025-01-31 12:34:56.789000").as_deref(), Some("2025-01-31T12:34:56.789Z"));
        assert_eq!(at("2025-01-31T12:34:56").as_deref(), Some("2025-01-31T12:34:56.000Z"));
        assert_eq!(at("2025-01-31T12:34:56+02:00").as_deref(), Some("2025-01-31T10:34:56.000Z"));
        for bad in ["", "yesterday", "2025-13-01 00:00:00", "1738326896"] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
