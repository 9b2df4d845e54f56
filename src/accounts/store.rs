//! The SQL of `users`, `sessions`, `login_attempts` and `setup_token`; that of tokens lies below.

pub(super) mod tokens;

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::attempts::Subject;
use super::model::{Email, Role, Session, SessionId, User};
use super::secret::TokenHash;
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::{Result, Tx};

const USER_COLUMNS: &str = "users.id, users.name, users.email, users.role, users.disabled, users.created_at, \
                            users.last_login_at";

fn user_from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        name: row.get(1)?,
        email: row.get(2)?,
        role: row.get(3)?,
        disabled: row.get(4)?,
        created_at: row.get(5)?,
        last_login_at: row.get(6)?,
    })
}

/// False when the email is taken.
pub(super) fn insert_user(tx: &Tx<'_>, user: &User, password_hash: &str) -> Result<bool> {
    let inserted = tx
        .prepare_cached(
            "INSERT INTO users (id, name, email, password_hash, role, disabled, created_at, last_login_at)
             VALUES (:id, :name, :email, :password_hash, :role, :disabled, :created_at, :last_login_at)
             ON CONFLICT (email) DO NOTHING",
        )?
        .execute(named_params! {
            ":id": user.id,
            ":name": user.name,
            ":email": user.email,
            ":password_hash": password_hash,
            ":role": user.role,
            ":disabled": user.disabled,
            ":created_at": user.created_at,
            ":last_login_at": user.last_login_at,
        })?;
    Ok(inserted == 1)
}

pub(super) fn find_user(conn: &Connection, id: UserId) -> Result<Option<User>> {
    Ok(conn
        .prepare_cached(&format!("SELECT {USER_COLUMNS} FROM users WHERE id = ?1"))?
        .query_row([id], user_from_row)
        .optional()?)
}

pub(super) fn find_user_by_email(conn: &Connection, email: &Email) -> Result<Option<User>> {
    Ok(conn
        .prepare_cached(&format!("SELECT {USER_COLUMNS} FROM users WHERE email = ?1"))?
        .query_row([email], user_from_row)
        .optional()?)
}

pub(super) fn list_users(conn: &Connection, after: Option<UserId>, limit: usize) -> Result<Vec<User>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {USER_COLUMNS} FROM users WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2"
    ))?;
    let rows =
        statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], user_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The role of a user who is not disabled.
pub(super) fn role_of(conn: &Connection, id: UserId) -> Result<Option<Role>> {
    Ok(conn
        .prepare_cached("SELECT role FROM users WHERE id = ?1 AND NOT disabled")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// Users who are not disabled and whose name or email contains a text in small letters, by name.
pub(super) fn search_users(conn: &Connection, text: &str, limit: usize) -> Result<Vec<User>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {USER_COLUMNS} FROM users
         WHERE NOT disabled AND (instr(lower(name), ?1) > 0 OR instr(email, ?1) > 0) ORDER BY lower(name), id LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![text, i64::try_from(limit).unwrap_or(i64::MAX)], user_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn password_hash(conn: &Connection, id: UserId) -> Result<String> {
    Ok(conn
        .prepare_cached("SELECT password_hash FROM users WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?)
}

pub(super) fn set_password_hash(tx: &Tx<'_>, id: UserId, hash: &str) -> Result<()> {
    tx.prepare_cached("UPDATE users SET password_hash = ?2 WHERE id = ?1")?.execute(params![id, hash])?;
    Ok(())
}

pub(super) fn set_last_login(tx: &Tx<'_>, id: UserId) -> Result<()> {
    tx.prepare_cached("UPDATE users SET last_login_at = ?2 WHERE id = ?1")?.execute(params![id, tx.now()])?;
    Ok(())
}

pub(super) fn update_user(tx: &Tx<'_>, user: &User) -> Result<()> {
    tx.prepare_cached("UPDATE users SET name = ?2, role = ?3, disabled = ?4 WHERE id = ?1")?
        .execute(params![user.id, user.name, user.role, user.disabled])?;
    Ok(())
}

pub(super) fn count_users(conn: &Connection) -> Result<u64> {
    let count: i64 = conn.prepare_cached("SELECT count(*) FROM users")?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Sessions that have not ended, read from an index.
pub(super) fn count_sessions(conn: &Connection, now: Timestamp) -> Result<u64> {
    let count: i64 = conn
        .prepare_cached("SELECT count(*) FROM sessions WHERE expires_at > ?1")?
        .query_row([now], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Owners who can log in.
pub(super) fn count_owners(conn: &Connection) -> Result<i64> {
    Ok(conn
        .prepare_cached("SELECT count(*) FROM users WHERE role = ?1 AND NOT disabled")?
        .query_row([Role::Owner], |row| row.get(0))?)
}

/// Whether anybody was ever made an owner.
pub(super) fn has_owner(conn: &Connection) -> Result<bool> {
    Ok(conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM users WHERE role = ?1)")?
        .query_row([Role::Owner], |row| row.get(0))?)
}

/// A session that is about to begin.
pub(super) struct NewSession<'a> {
    pub(super) id: SessionId,
    pub(super) token_hash: TokenHash,
    pub(super) user: UserId,
    pub(super) remembered: bool,
    pub(super) expires_at: Timestamp,
    pub(super) address: IpAddr,
    pub(super) user_agent: Option<&'a str>,
}

pub(super) fn insert_session(tx: &Tx<'_>, session: &NewSession<'_>) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO sessions (id, token_hash, user_id, remembered, created_at, last_seen_at, expires_at, address,
                               user_agent)
         VALUES (:id, :token_hash, :user_id, :remembered, :now, :now, :expires_at, :address, :user_agent)",
    )?
    .execute(named_params! {
        ":id": session.id,
        ":token_hash": session.token_hash,
        ":user_id": session.user,
        ":remembered": session.remembered,
        ":now": tx.now(),
        ":expires_at": session.expires_at,
        ":address": session.address.to_string(),
        ":user_agent": session.user_agent,
    })?;
    Ok(())
}

/// A live session with its user.
pub(super) struct Found {
    pub(super) user: User,
    pub(super) session: SessionId,
    pub(super) remembered: bool,
    pub(super) last_seen_at: Timestamp,
}

/// A session that has not expired, of a user who is not disabled.
pub(super) fn find_session(conn: &Connection, token: &TokenHash, now: Timestamp) -> Result<Option<Found>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT {USER_COLUMNS}, sessions.id, sessions.remembered, sessions.last_seen_at
             FROM sessions JOIN users ON users.id = sessions.user_id
             WHERE sessions.token_hash = ?1 AND sessions.expires_at > ?2 AND NOT users.disabled"
        ))?
        .query_row(params![token, now], |row| {
            Ok(Found {
                user: user_from_row(row)?,
                session: row.get(7)?,
                remembered: row.get(8)?,
                last_seen_at: row.get(9)?,
            })
        })
        .optional()?)
}

pub(super) fn is_session_alive(conn: &Connection, id: SessionId, now: Timestamp) -> Result<bool> {
    Ok(conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM sessions WHERE id = ?1 AND expires_at > ?2)")?
        .query_row(params![id, now], |row| row.get(0))?)
}

pub(super) fn has_session_from(tx: &Tx<'_>, user: UserId, address: IpAddr) -> Result<bool> {
    Ok(tx
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = ?1 AND address = ?2 AND expires_at > ?3)",
        )?
        .query_row(params![user, address.to_string(), tx.now()], |row| row.get(0))?)
}

pub(super) fn touch_session(
    tx: &Tx<'_>,
    id: SessionId,
    expires_at: Timestamp,
    address: IpAddr,
) -> Result<()> {
    tx.prepare_cached("UPDATE sessions SET last_seen_at = ?2, expires_at = ?3, address = ?4 WHERE id = ?1")?
        .execute(params![id, tx.now(), expires_at, address.to_string()])?;
    Ok(())
}

/// Live sessions of a user, the newest login first.
pub(super) fn list_sessions(
    conn: &Connection,
    user: UserId,
    current: SessionId,
    now: Timestamp,
) -> Result<Vec<Session>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, created_at, last_seen_at, expires_at, address, user_agent FROM sessions
         WHERE user_id = ?1 AND expires_at > ?2 ORDER BY id DESC",
    )?;
    let rows = statement.query_map(params![user, now], |row| {
        let id = row.get(0)?;
        Ok(Session {
            id,
            current: id == current,
            created_at: row.get(1)?,
            last_seen_at: row.get(2)?,
            expires_at: row.get(3)?,
            address: row.get(4)?,
            user_agent: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes one session of a user; false when there is none.
pub(super) fn delete_session(tx: &Tx<'_>, user: UserId, id: SessionId) -> Result<bool> {
    let deleted = tx
        .prepare_cached("DELETE FROM sessions WHERE id = ?1 AND user_id = ?2")?
        .execute(params![id, user])?;
    Ok(deleted > 0)
}

/// Removes the session of a token, whoever's it is; returns it.
pub(super) fn delete_session_by_token(tx: &Tx<'_>, token: &TokenHash) -> Result<Option<(UserId, SessionId)>> {
    Ok(tx
        .prepare_cached("DELETE FROM sessions WHERE token_hash = ?1 RETURNING user_id, id")?
        .query_row([token], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

/// Removes all sessions of a user but one; returns those that are gone.
pub(super) fn delete_sessions(
    tx: &Tx<'_>,
    user: UserId,
    except: Option<SessionId>,
) -> Result<Vec<SessionId>> {
    let mut statement =
        tx.prepare_cached("DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2 RETURNING id")?;
    let rows = statement.query_map(params![user, except], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes all sessions; returns them with their users.
pub(super) fn delete_all_sessions(tx: &Tx<'_>) -> Result<Vec<(UserId, SessionId)>> {
    let mut statement = tx.prepare_cached("DELETE FROM sessions RETURNING user_id, id")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes sessions that have expired; returns them with their users.
pub(super) fn delete_expired_sessions(tx: &Tx<'_>) -> Result<Vec<(UserId, SessionId)>> {
    let mut statement =
        tx.prepare_cached("DELETE FROM sessions WHERE expires_at <= ?1 RETURNING user_id, id")?;
    let rows = statement.query_map([tx.now()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Wrong passwords of one subject.
pub(super) struct Attempts {
    pub(super) failures: u32,
    pub(super) last_at: Timestamp,
    pub(super) blocked_until: Timestamp,
}

pub(super) fn find_attempts(tx: &Tx<'_>, subject: &Subject) -> Result<Option<Attempts>> {
    Ok(tx
        .prepare_cached("SELECT failures, last_at, blocked_until FROM login_attempts WHERE subject = ?1")?
        .query_row([subject], |row| {
            Ok(Attempts { failures: row.get(0)?, last_at: row.get(1)?, blocked_until: row.get(2)? })
        })
        .optional()?)
}

pub(super) fn put_attempts(tx: &Tx<'_>, subject: &Subject, attempts: &Attempts) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO login_attempts (subject, failures, last_at, blocked_until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (subject) DO UPDATE
         SET failures = excluded.failures, last_at = excluded.last_at, blocked_until = excluded.blocked_until",
    )?
    .execute(params![subject, attempts.failures, attempts.last_at, attempts.blocked_until])?;
    Ok(())
}

pub(super) fn remove_attempts(tx: &Tx<'_>, subject: &Subject) -> Result<()> {
    tx.prepare_cached("DELETE FROM login_attempts WHERE subject = ?1")?.execute([subject])?;
    Ok(())
}

pub(super) fn delete_forgotten_attempts(tx: &Tx<'_>, before: Timestamp) -> Result<()> {
    tx.execute(
        "DELETE FROM login_attempts WHERE last_at < ?1 AND blocked_until <= ?2",
        params![before, tx.now()],
    )?;
    Ok(())
}

pub(super) fn put_setup_token(tx: &Tx<'_>, hash: &TokenHash, expires_at: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO setup_token (id, token_hash, expires_at) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash, expires_at = excluded.expires_at",
        params![hash, expires_at],
    )?;
    Ok(())
}

/// The hash and the end of the token, if there is one.
pub(super) fn find_setup_token(conn: &Connection) -> Result<Option<(TokenHash, Timestamp)>> {
    Ok(conn
        .query_row("SELECT token_hash, expires_at FROM setup_token WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?)
}

pub(super) fn remove_setup_token(tx: &Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM setup_token", [])?;
    Ok(())
}
