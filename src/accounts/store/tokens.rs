//! The SQL of `tokens`.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{USER_COLUMNS, user_from_row};
use crate::accounts::model::{ApiToken, OwnedToken, Scopes, TokenId, TokenOwner, User};
use crate::accounts::secret::TokenHash;
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::{Result, Tx};

const COLUMNS: &str = "id, name, prefix, scopes, created_at, expires_at, last_used_at";

fn token_from_row(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    Ok(ApiToken {
        id: row.get(0)?,
        name: row.get(1)?,
        prefix: row.get(2)?,
        scopes: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        last_used_at: row.get(6)?,
    })
}

pub(in crate::accounts) fn insert(
    tx: &Tx<'_>,
    user: UserId,
    token: &ApiToken,
    hash: &TokenHash,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO tokens (id, token_hash, user_id, name, prefix, scopes, created_at, expires_at)
         VALUES (:id, :token_hash, :user_id, :name, :prefix, :scopes, :created_at, :expires_at)",
    )?
    .execute(named_params! {
        ":id": token.id,
        ":token_hash": hash,
        ":user_id": user,
        ":name": token.name,
        ":prefix": token.prefix,
        ":scopes": token.scopes,
        ":created_at": token.created_at,
        ":expires_at": token.expires_at,
    })?;
    Ok(())
}

/// A live token with its owner.
pub(in crate::accounts) struct Found {
    pub(in crate::accounts) user: User,
    pub(in crate::accounts) id: TokenId,
    pub(in crate::accounts) scopes: Scopes,
    pub(in crate::accounts) last_used_at: Option<Timestamp>,
    pub(in crate::accounts) expires_at: Option<Timestamp>,
}

/// A token that has not expired, of a user who is not disabled.
pub(in crate::accounts) fn find(
    conn: &Connection,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Option<Found>> {
    Ok(conn
        .prepare_cached(&format!(
            "SELECT {USER_COLUMNS}, tokens.id, tokens.scopes, tokens.last_used_at, tokens.expires_at
             FROM tokens JOIN users ON users.id = tokens.user_id
             WHERE tokens.token_hash = ?1 AND (tokens.expires_at IS NULL OR tokens.expires_at > ?2)
               AND NOT users.disabled"
        ))?
        .query_row(params![hash, now], |row| {
            Ok(Found {
                user: user_from_row(row)?,
                id: row.get(7)?,
                scopes: row.get(8)?,
                last_used_at: row.get(9)?,
                expires_at: row.get(10)?,
            })
        })
        .optional()?)
}

pub(in crate::accounts) fn is_alive(conn: &Connection, id: TokenId, now: Timestamp) -> Result<bool> {
    Ok(conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM tokens JOIN users ON users.id = tokens.user_id
                            WHERE tokens.id = ?1 AND (tokens.expires_at IS NULL OR tokens.expires_at > ?2)
                              AND NOT users.disabled)",
        )?
        .query_row(params![id, now], |row| row.get(0))?)
}

/// Notes the use of a token, unless somebody has since `before`.
pub(in crate::accounts) fn touch(tx: &Tx<'_>, id: TokenId, before: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "UPDATE tokens SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at <= ?3)",
    )?
    .execute(params![id, tx.now(), before])?;
    Ok(())
}

/// Tokens of a user, the newest first, those before one of them.
pub(in crate::accounts) fn list(
    conn: &Connection,
    user: UserId,
    before: Option<TokenId>,
    limit: usize,
) -> Result<Vec<ApiToken>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM tokens WHERE user_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![user, before, limit], token_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Tokens of everybody, the newest first, those before one of them.
pub(in crate::accounts) fn list_all(
    conn: &Connection,
    before: Option<TokenId>,
    limit: usize,
) -> Result<Vec<OwnedToken>> {
    let mut statement = conn.prepare_cached(
        "SELECT tokens.id, tokens.name, prefix, scopes, tokens.created_at, expires_at, last_used_at,
                users.id, users.name, users.role, users.disabled
         FROM tokens JOIN users ON users.id = tokens.user_id
         WHERE ?1 IS NULL OR tokens.id < ?1 ORDER BY tokens.id DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![before, limit], |row| {
        let user =
            TokenOwner { id: row.get(7)?, name: row.get(8)?, role: row.get(9)?, disabled: row.get(10)? };
        Ok(OwnedToken { token: token_from_row(row)?, user })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whose a token is.
pub(in crate::accounts) fn owner(conn: &Connection, id: TokenId) -> Result<Option<UserId>> {
    Ok(conn
        .prepare_cached("SELECT user_id FROM tokens WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?)
}

/// Removes all tokens of a user and returns them.
pub(in crate::accounts) fn delete_all(tx: &Tx<'_>, user: UserId) -> Result<Vec<TokenId>> {
    let mut statement = tx.prepare_cached("DELETE FROM tokens WHERE user_id = ?1 RETURNING id")?;
    let rows = statement.query_map([user], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes one token of a user and returns its name; none when there is no such token.
pub(in crate::accounts) fn delete(tx: &Tx<'_>, user: UserId, id: TokenId) -> Result<Option<String>> {
    Ok(tx
        .prepare_cached("DELETE FROM tokens WHERE id = ?1 AND user_id = ?2 RETURNING name")?
        .query_row(params![id, user], |row| row.get(0))
        .optional()?)
}

/// Removes tokens that expired before a moment.
pub(in crate::accounts) fn delete_expired(tx: &Tx<'_>, before: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM tokens WHERE expires_at <= ?1", [before])?;
    Ok(())
}
