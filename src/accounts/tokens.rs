//! Tokens by which programs act for a person: `slt_…`, shown once, stored as a hash.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::login::TOUCHED_EVERY;
use super::model::{
    Access, ApiToken, CurrentUser, Editor, Invalid, NewToken, OwnedToken, Permission, Scopes, TokenId,
    person_name,
};
use super::secret::Token;
use super::users::may_touch;
use super::{Checks, Error, Result, store};
use crate::api::events::{self, Audience};
use crate::app::App;
use crate::audit::{self, Target, UserId};
use crate::db::{self, Db, Tx};

/// How every token begins, so that people and scanners for leaked secrets recognise one.
const BEGINNING: &str = "slt_";

/// Characters of a token that stay visible: the beginning and 32 of its 160 bits.
const PREFIX_LENGTH: usize = BEGINNING.len() + 8;

/// The longest life that a token may be given, when it is given one.
const LONGEST_LIFE_DAYS: u32 = 3650;

/// How long an expired token stays in the list, so that its owner finds out why a program has stopped.
const SHOWN_AFTER_EXPIRY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Makes a token for the current user and returns it with its secret, which is never shown again. `somewhere` is what the
/// user may in single buckets, beside what the role grants everywhere.
///
/// # Errors
/// [`Error::SessionNeeded`] for whoever came by a token; [`Error::Invalid`] for a bad name, no scope, one that does not
/// exist or that the user does not have, or an odd life.
pub async fn add_token(
    db: &Db,
    current: &CurrentUser,
    new: NewToken,
    somewhere: &[Permission],
) -> Result<(ApiToken, String)> {
    current.session()?;
    let mut checks = Checks::default();
    let name = checks.keep(person_name(&new.name));
    let scopes = checks.keep(scopes(current, &new.scopes, somewhere));
    let life = checks.keep(life(new.expires_in_days));
    let (Some(name), Some(scopes), Some(life)) = (name, scopes, life) else {
        return Err(Error::Invalid(checks.0));
    };
    let token = Token::random();
    let text = format!("{BEGINNING}{}", token.expose());
    let prefix = text[..PREFIX_LENGTH].to_owned();
    let current = current.clone();
    let made = db
        .write(move |tx| {
            let made = ApiToken {
                id: TokenId::new(),
                name,
                prefix,
                scopes,
                created_at: tx.now(),
                expires_at: life.map(|life| tx.now() + life),
                last_used_at: None,
            };
            store::tokens::insert(tx, current.id(), &made, &token.hash())?;
            let details = json!({ "scopes": made.scopes, "expires_at": made.expires_at });
            let target = Target::new("token", made.id).named(&made.name);
            audit::record(tx, &current.actor(), "token.add", target, &details)?;
            Ok::<_, Error>(made)
        })
        .await?;
    Ok((made, text))
}

fn scopes(current: &CurrentUser, names: &[String], somewhere: &[Permission]) -> Result<Scopes, Invalid> {
    let refuse = |detail: String| Err(Invalid { field: "scopes", detail });
    let mut scopes = Vec::new();
    for name in names {
        let Some(scope) = Permission::find(name) else {
            let known: Vec<&str> = Permission::ALL.iter().map(|scope| scope.as_str()).collect();
            return refuse(format!("There is no such scope; there are {}.", known.join(", ")));
        };
        if !current.may(scope) && !somewhere.contains(&scope) {
            return refuse(format!("Your role does not have {name}, so a token can't have it either."));
        }
        scopes.push(scope);
    }
    if scopes.is_empty() {
        return refuse("Choose at least one thing that the token may do.".into());
    }
    Ok(Scopes::new(scopes))
}

fn life(days: Option<u32>) -> Result<Option<Duration>, Invalid> {
    match days {
        None => Ok(None),
        Some(days @ 1..=LONGEST_LIFE_DAYS) => Ok(Some(Duration::from_secs(u64::from(days) * 24 * 60 * 60))),
        Some(_) => Err(Invalid {
            field: "expires_in_days",
            detail: format!("A token lives 1 to {LONGEST_LIFE_DAYS} days, or for ever where it is not said."),
        }),
    }
}

/// The current user's tokens, the newest first, at most `rows`, those before one of them.
///
/// # Errors
/// When the database can't be read.
pub async fn list_tokens(
    db: &Db,
    current: &CurrentUser,
    before: Option<TokenId>,
    rows: usize,
) -> Result<Vec<ApiToken>> {
    let user = current.id();
    db.read(move |conn| Ok(store::tokens::list(conn, user, before, rows)?)).await
}

/// Withdraws one of the current user's tokens. A program may withdraw the one that it uses, and no other.
///
/// # Errors
/// [`Error::NoSuchToken`] also for one of somebody else, [`Error::SessionNeeded`].
pub async fn remove_token(db: &Db, current: &CurrentUser, id: TokenId) -> Result<()> {
    if !matches!(&current.access, Access::Token { id: own, .. } if *own == id) {
        current.session()?;
    }
    let current = current.clone();
    db.write(move |tx| {
        let name = store::tokens::delete(tx, current.id(), id)?.ok_or(Error::NoSuchToken)?;
        tell_ended(tx, current.id(), id)?;
        let target = Target::new("token", id).named(&name);
        Ok(audit::record(tx, &current.actor(), "token.remove", target, &Value::Null)?)
    })
    .await
}

/// Everybody's tokens, the newest first, at most `rows`, those before one of them.
///
/// # Errors
/// When the database can't be read.
pub async fn list_all_tokens(db: &Db, before: Option<TokenId>, rows: usize) -> Result<Vec<OwnedToken>> {
    db.read(move |conn| Ok(store::tokens::list_all(conn, before, rows)?)).await
}

/// Withdraws anybody's token. Only an owner withdraws one of an owner.
///
/// # Errors
/// [`Error::NoSuchToken`], [`Error::OwnersOnly`].
pub async fn withdraw_token(db: &Db, editor: &Editor, id: TokenId) -> Result<()> {
    let editor = editor.clone();
    db.write(move |tx| {
        let owner = store::tokens::owner(tx, id)?.ok_or(Error::NoSuchToken)?;
        let owner = store::find_user(tx, owner)?.ok_or(Error::NoSuchToken)?;
        may_touch(&editor, [owner.role])?;
        let name = store::tokens::delete(tx, owner.id, id)?.ok_or(Error::NoSuchToken)?;
        tell_ended(tx, owner.id, id)?;
        let target = Target::new("token", id).named(&name);
        let details = json!({ "user": owner.id, "user_name": owner.name });
        Ok(audit::record(tx, &editor.actor, "token.withdraw", target, &details)?)
    })
    .await
}

/// Withdraws all tokens of a user; returns how many.
pub(super) fn withdraw_all(tx: &Tx<'_>, user: UserId) -> db::Result<usize> {
    let withdrawn = store::tokens::delete_all(tx, user)?;
    for token in &withdrawn {
        tell_ended(tx, user, *token)?;
    }
    Ok(withdrawn.len())
}

/// A live stream that came by a token looks again and ends.
fn tell_ended(tx: &Tx<'_>, user: UserId, token: TokenId) -> db::Result<()> {
    let audience = Audience::User(user.to_string());
    events::emit(tx, "session-ended", &audience, &json!({ "token": token }))
}

/// Whose token this is, if it is one that still counts; notes, at most once a minute, that it is in use.
///
/// # Errors
/// When the database can't be read.
pub async fn find_by_token(app: &App, text: &str, address: IpAddr) -> Result<Option<CurrentUser>> {
    let Some(token) = text.strip_prefix(BEGINNING).and_then(Token::parse) else { return Ok(None) };
    let now = app.clock.now();
    let hash = token.hash();
    let found = app.db.read(move |conn| store::tokens::find(conn, &hash, now)).await?;
    let Some(store::tokens::Found { user, id, scopes, last_used_at, expires_at }) = found else {
        return Ok(None);
    };
    if last_used_at.is_none_or(|last| now.since(last) >= TOUCHED_EVERY) {
        let touched = app.db.write(move |tx| store::tokens::touch(tx, id, tx.now() - TOUCHED_EVERY)).await;
        // A full disk is no reason to refuse a program that only reads.
        if let Err(error) = touched {
            tracing::warn!(error = &error as &dyn std::error::Error, "the use of a token could not be noted");
        }
    }
    Ok(Some(CurrentUser { user, access: Access::Token { id, scopes, expires_at }, address }))
}

/// Removes tokens that expired long ago.
pub(super) fn prune(tx: &Tx<'_>) -> db::Result<()> {
    store::tokens::delete_expired(tx, tx.now() - SHOWN_AFTER_EXPIRY)
}
