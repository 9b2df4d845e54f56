//! Adding and changing people, by those who may.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::login::end_sessions;
use super::model::{Editor, Email, NewUser, Role, User, UserChange, person_name};
use super::password::{Password, Turn};
use super::tokens::withdraw_all;
use super::{Checks, Error, Result, store};
use crate::audit::{self, Target, UserId};
use crate::clock::Timestamp;
use crate::db::{self, Db};

/// Users in the order in which they were added, after one of them, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub async fn list(db: &Db, after: Option<UserId>, limit: usize) -> Result<Vec<User>> {
    db.read(move |conn| Ok(store::list_users(conn, after, limit)?)).await
}

/// How many people have an account, disabled ones too.
///
/// # Errors
/// When the database can't be read.
pub fn count(conn: &Connection) -> db::Result<u64> {
    store::count_users(conn)
}

/// Whether there is such a user, disabled or not.
///
/// # Errors
/// When the database can't be read.
pub fn exists(conn: &Connection, id: UserId) -> db::Result<bool> {
    Ok(store::find_user(conn, id)?.is_some())
}

/// Users by their ids, disabled ones too, in the order in which they were asked for; who does not exist is left out.
///
/// # Errors
/// When the database can't be read.
pub fn find_all(conn: &Connection, ids: &[UserId]) -> db::Result<Vec<User>> {
    let mut found = Vec::new();
    for id in ids {
        found.extend(store::find_user(conn, *id)?);
    }
    Ok(found)
}

/// The role that a user has now; none for who is disabled or does not exist.
///
/// # Errors
/// When the database can't be read.
pub fn role_of(conn: &Connection, id: UserId) -> db::Result<Option<Role>> {
    store::role_of(conn, id)
}

/// Users whose name or email contains a text, by name, disabled ones left out, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub fn search(conn: &Connection, text: &str, limit: usize) -> db::Result<Vec<User>> {
    store::search_users(conn, &text.trim().to_lowercase(), limit)
}

/// The user with this email, however it is spelled.
///
/// # Errors
/// When the database can't be read.
pub async fn find_by_email(db: &Db, email: &str) -> Result<Option<User>> {
    let email = Email::folded(email);
    db.read(move |conn| Ok(store::find_user_by_email(conn, &email)?)).await
}

/// Adds a person.
///
/// # Errors
/// [`Error::Invalid`] with every wrong field, [`Error::EmailTaken`], [`Error::OwnersOnly`].
pub async fn add(db: &Db, editor: &Editor, new: NewUser) -> Result<User> {
    may_touch(editor, [new.role])?;
    let mut checks = Checks::default();
    let name = checks.keep(person_name(&new.name));
    let email = checks.keep(Email::parse(&new.email));
    let unknown = Email::folded(&new.email);
    checks.keep(new.password.check("password", &new.name, email.as_ref().unwrap_or(&unknown)));
    let (Some(name), Some(email), true) = (name, email, checks.0.is_empty()) else {
        return Err(Error::Invalid(checks.0));
    };
    let hash = Turn::take()?.hash(&new.password).await?;
    let actor = editor.actor.clone();
    db.write(move |tx| {
        let user = User {
            id: UserId::new(),
            name,
            email,
            role: new.role,
            disabled: false,
            created_at: tx.now(),
            last_login_at: None,
        };
        if !store::insert_user(tx, &user, &hash)? {
            return Err(Error::EmailTaken);
        }
        let target = Target::new("user", user.id).named(&user.name);
        audit::record(tx, &actor, "user.add", target, &json!({ "role": user.role }))?;
        Ok(user)
    })
    .await
}

/// Somebody who comes from another program, without a password.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// The name that others see.
    pub name: String,
    /// The address to log in with.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// Whether logging in is refused, also with a password.
    pub disabled: bool,
    /// Since when there is the account; now where that is not known.
    pub created_at: Option<Timestamp>,
}

/// Adds a person who can't log in before somebody has given them a password: the one that is stored is known to nobody.
///
/// # Errors
/// As [`add`].
pub async fn add_without_password(db: &Db, editor: &Editor, new: Newcomer) -> Result<User> {
    may_touch(editor, [new.role])?;
    let mut checks = Checks::default();
    let (name, email) = (checks.keep(person_name(&new.name)), checks.keep(Email::parse(&new.email)));
    let (Some(name), Some(email)) = (name, email) else { return Err(Error::Invalid(checks.0)) };
    let hash = Turn::take()?.hash(&Password::nobodys()).await?;
    let actor = editor.actor.clone();
    db.write(move |tx| {
        let user = User {
            id: UserId::new(),
            name,
            email,
            role: new.role,
            disabled: new.disabled,
            created_at: new.created_at.unwrap_or(tx.now()),
            last_login_at: None,
        };
        if !store::insert_user(tx, &user, &hash)? {
            return Err(Error::EmailTaken);
        }
        let target = Target::new("user", user.id).named(&user.name);
        let details = json!({ "role": user.role, "disabled": user.disabled, "without_password": true });
        audit::record(tx, &actor, "user.add", target, &details)?;
        Ok(user)
    })
    .await
}

/// Changes a person. Whoever is disabled or gets a lesser role is logged out everywhere, so that nothing which is
/// under way, such as the live stream, goes on with the old rights.
///
/// # Errors
/// [`Error::NoSuchUser`], [`Error::Invalid`], [`Error::OwnersOnly`], [`Error::LastOwner`].
pub async fn change(db: &Db, editor: &Editor, id: UserId, change: UserChange) -> Result<User> {
    let editor = editor.clone();
    db.write(move |tx| {
        let before = store::find_user(tx, id)?.ok_or(Error::NoSuchUser)?;
        let mut after = before.clone();
        if let Some(name) = change.name {
            after.name = person_name(&name).map_err(|wrong| Error::Invalid(vec![wrong]))?;
        }
        after.role = change.role.unwrap_or(before.role);
        after.disabled = change.disabled.unwrap_or(before.disabled);
        may_touch(&editor, [before.role, after.role])?;
        if before == after {
            return Ok(after);
        }
        store::update_user(tx, &after)?;
        if before.role == Role::Owner && store::count_owners(tx)? == 0 {
            return Err(Error::LastOwner);
        }
        if after.disabled || after.role > before.role {
            end_sessions(tx, id, None)?;
        }
        let mut details = Map::new();
        let mut changed = |field: &str, from: Value, to: Value| {
            if from != to {
                details.insert(field.into(), json!({ "from": from, "to": to }));
            }
        };
        changed("name", json!(before.name), json!(after.name));
        changed("role", json!(before.role), json!(after.role));
        changed("disabled", json!(before.disabled), json!(after.disabled));
        let target = Target::new("user", id).named(&after.name);
        audit::record(tx, &editor.actor, "user.change", target, &Value::Object(details))?;
        Ok(after)
    })
    .await
}

/// Gives a person another password and ends all of the person's sessions. The tokens are withdrawn too unless they are
/// to be kept: whoever had the old password may have made one.
///
/// # Errors
/// [`Error::NoSuchUser`], [`Error::Invalid`], [`Error::OwnersOnly`].
pub async fn set_password(
    db: &Db,
    editor: &Editor,
    id: UserId,
    password: Password,
    keep_tokens: bool,
) -> Result<()> {
    let user = db.read(move |conn| store::find_user(conn, id)).await?.ok_or(Error::NoSuchUser)?;
    may_touch(editor, [user.role])?;
    password.check("password", &user.name, &user.email).map_err(|wrong| Error::Invalid(vec![wrong]))?;
    let hash = Turn::take()?.hash(&password).await?;
    let editor = editor.clone();
    db.write(move |tx| {
        // The user may have become an owner meanwhile.
        let user = store::find_user(tx, id)?.ok_or(Error::NoSuchUser)?;
        may_touch(&editor, [user.role])?;
        store::set_password_hash(tx, id, &hash)?;
        let ended = end_sessions(tx, id, None)?;
        let target = Target::new("user", id).named(&user.name);
        let withdrawn = if keep_tokens { 0 } else { withdraw_all(tx, id)? };
        let details = json!({ "sessions_ended": ended, "tokens_withdrawn": withdrawn });
        Ok(audit::record(tx, &editor.actor, "user.password", target, &details)?)
    })
    .await
}

pub(super) fn may_touch(editor: &Editor, roles: impl IntoIterator<Item = Role>) -> Result<()> {
    if editor.role != Role::Owner && roles.into_iter().any(|role| role == Role::Owner) {
        return Err(Error::OwnersOnly);
    }
    Ok(())
}
