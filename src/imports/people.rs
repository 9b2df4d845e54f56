//! People of other programs: accounts without a password, with the role that fits.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::table::{Table, cell};
use super::{Error, Report, Result, Watch, explain};
use crate::accounts::{self, Editor, Newcomer, Role};
use crate::app::App;
use crate::audit::UserId;
use crate::clock::Timestamp;

/// The most bytes that are read of a list of people.
const TABLE_BYTES_MAX: u64 = 16 << 20;

/// Somebody as another program has them.
#[derive(Debug, Clone, Default)]
pub(super) struct Person {
    /// What other tables there call this person.
    pub(super) id: Option<String>,
    /// Which row that is, for complaints.
    pub(super) row: String,
    /// Names, the best first.
    pub(super) names: Vec<String>,
    pub(super) email: Option<String>,
    /// The word for what the person may do there.
    pub(super) role: Option<String>,
    pub(super) disabled: bool,
    pub(super) created_at: Option<Timestamp>,
}

impl Person {
    /// What they are called in a sentence.
    pub(super) fn label(&self) -> String {
        match self.names.first().or(self.email.as_ref()) {
            Some(name) => format!("{} ({name})", self.row),
            None => self.row.clone(),
        }
    }
}

/// Adds those who have no account yet. Returns who of them is who here.
pub(super) async fn add(
    app: &App,
    people: &[Person],
    watch: Watch<'_>,
    report: &mut Report,
) -> Result<HashMap<String, UserId>> {
    let mut found = HashMap::new();
    let mut seen = HashSet::new();
    for person in people {
        let Some(email) = &person.email else {
            report.fail(watch, person.label(), "there is no email, and nobody can log in without one");
            continue;
        };
        if !seen.insert(email.trim().to_lowercase()) {
            report.fail(watch, person.label(), format!("somebody before has the email {email} too"));
            continue;
        }
        let user = match accounts::find_by_email(&app.db, email).await? {
            Some(user) => {
                report.people.unchanged += 1;
                user.id
            }
            None => match add_one(app, person, email, report).await {
                Ok(user) => user,
                Err(error @ (accounts::Error::Invalid(_) | accounts::Error::EmailTaken)) => {
                    report.fail(watch, person.label(), explain(&error));
                    continue;
                }
                Err(error) => return Err(error.into()),
            },
        };
        if let Some(id) = &person.id {
            found.insert(id.clone(), user);
        }
    }
    Ok(found)
}

async fn add_one(app: &App, person: &Person, email: &str, report: &mut Report) -> accounts::Result<UserId> {
    let (role, is_known) = role_for(person.role.as_deref());
    let local = email.split('@').next().unwrap_or_default().to_owned();
    let mut refused = None;
    // A name that can't be used here is no reason to leave somebody out.
    for name in person.names.iter().cloned().chain([local]) {
        let new = Newcomer {
            name,
            email: email.to_owned(),
            role,
            disabled: person.disabled,
            created_at: person.created_at,
        };
        match accounts::add_without_password(&app.db, &Editor::cli(), new).await {
            Err(error @ accounts::Error::Invalid(_)) => refused = Some(error),
            Ok(user) => {
                report.people.added += 1;
                if !is_known {
                    let word = person.role.as_deref().unwrap_or_default();
                    report.note(
                        person.label(),
                        format!("the role “{word}” is unknown here: the person is a {role} now"),
                    );
                }
                return Ok(user.id);
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or(accounts::Error::NoSuchUser))
}

/// The role that fits a word, and whether the word is known. Nobody becomes an owner by an import.
fn role_for(word: Option<&str>) -> (Role, bool) {
    match word.unwrap_or("user").trim().to_lowercase().replace(['_', '-', ' '], "").as_str() {
        "admin" | "administrator" | "owner" | "superadmin" | "superuser" | "root" => (Role::Admin, true),
        "user" | "editor" | "member" | "manager" | "uploader" | "staff" | "developer" => (Role::Editor, true),
        "viewer" | "reader" | "guest" | "client" | "readonly" => (Role::Viewer, true),
        _ => (Role::Viewer, false),
    }
}

/// Reads a list of people. Blocks.
///
/// # Errors
/// [`Error::Unreadable`], [`Error::BadTable`].
pub(super) fn read(path: &Path) -> Result<Vec<Person>> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    let bad = |why: &str| Error::BadTable { path: path.to_owned(), why: why.to_owned() };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(TABLE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > TABLE_BYTES_MAX {
        return Err(bad("it is larger than 16 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8"))?;
    let table = Table::parse(&text).map_err(bad)?;
    let email = table.column(&["email", "e-mail", "mail"]);
    if email.is_none() {
        return Err(bad("its first line has to name the columns, and one of them is `email`"));
    }
    let name = table.column(&["name", "full_name", "fullname", "display_name", "username"]);
    let role = table.column(&["role"]);
    let active = table.column(&["is_active", "isactive", "active", "enabled"]);
    let people = table.rows().map(|(number, row)| Person {
        id: None,
        row: format!("person {number}"),
        names: cell(row, name).map(str::to_owned).into_iter().collect(),
        email: cell(row, email).map(str::to_owned),
        role: cell(row, role).map(str::to_owned),
        disabled: cell(row, active).is_some_and(is_no),
        created_at: None,
    });
    Ok(people.collect())
}

/// Whether a cell says no.
pub(super) fn is_no(text: &str) -> bool {
    ["0", "false", "f", "no", "\0"].iter().any(|no| text.trim().eq_ignore_ascii_case(no))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_more_than_they_were_and_never_an_owner() {
        for (word, expected) in [
            (Some("admin"), (Role::Admin, true)),
            (Some("SUPER_ADMIN"), (Role::Admin, true)),
            (Some("OWNER"), (Role::Admin, true)),
            (Some("user"), (Role::Editor, true)),
            (None, (Role::Editor, true)),
            (Some("Viewer"), (Role::Viewer, true)),
            (Some("wizard"), (Role::Viewer, false)),
        ] {
            assert_eq!(role_for(word), expected, "{word:?}");
        }
    }
}
