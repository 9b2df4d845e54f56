//! Logging in and out, the sessions, and the own password.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::attempts::Counters;
use super::model::{Access, CurrentUser, Email, Invalid, Login, Session, SessionId, SignedIn, User, Visitor};
use super::password::{Password, Turn, Verdict};
use super::secret::{SessionKeys, Token};
use super::{Error, Result, store};
use crate::api::events::{self, Audience};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::config::Accounts;
use crate::db::{self, Db, Tx};

/// How often the use of a session or token is written down.
pub(super) const TOUCHED_EVERY: Duration = Duration::from_secs(60);

/// Logs somebody in: a new session, and the one that the browser had is over.
///
/// # Errors
/// [`Error::WrongCredentials`] for a wrong password, an unknown and a disabled account alike, after the same time;
/// [`Error::TooManyAttempts`]; [`Error::Busy`].
pub async fn login(app: &App, visitor: &Visitor, form: Login) -> Result<SignedIn> {
    let Login { email, password, remember } = form;
    let email = Email::folded(&email);
    let turn = Turn::take()?;
    let limits = app.settings.current().limits.login.clone();
    let address = visitor.address;
    let (counters, user, stored) = app
        .db
        .write(move |tx| {
            let user = store::find_user_by_email(tx, &email)?;
            let at_home = match &user {
                Some(user) => store::has_session_from(tx, user.id, address)?,
                None => false,
            };
            let counters = Counters::new(&email, address, at_home);
            counters.begin(tx, &limits)?;
            let stored = user.as_ref().map(|user| store::password_hash(tx, user.id)).transpose()?;
            Ok::<_, Error>((counters, user, stored))
        })
        .await?;
    let verdict = turn.verify(&password, stored.clone()).await?;
    let replacement = match verdict {
        Verdict::RightButOld => Some(turn.hash(&password).await?),
        Verdict::Right | Verdict::Wrong => None,
    };
    let lifetimes = app.settings.current().accounts.clone();
    let keys = SessionKeys::to_begin(&app.keys).await?;
    let visitor = visitor.clone();
    app.db
        .write(move |tx| {
            // Read again: meanwhile the account may have been disabled, or got another password.
            let user = match user {
                Some(user) => store::find_user(tx, user.id)?,
                None => None,
            };
            let welcome = match (&user, &stored) {
                (Some(user), Some(stored)) => {
                    verdict != Verdict::Wrong
                        && !user.disabled
                        && store::password_hash(tx, user.id)? == *stored
                }
                _ => false,
            };
            let Some(user) = user.as_ref().filter(|_| welcome) else {
                let target = match &user {
                    Some(user) => Target::new("user", user.id).named(&user.name),
                    None => Target::nothing("user"),
                };
                audit::record(tx, &Actor::stranger(address), "auth.login_failed", target, &Value::Null)?;
                return Ok(None);
            };
            counters.succeed(tx)?;
            if let Some(hash) = replacement {
                store::set_password_hash(tx, user.id, &hash)?;
            }
            store::set_last_login(tx, user.id)?;
            let user = User { last_login_at: Some(tx.now()), ..user.clone() };
            let actor = Actor::user(user.id, user.name.clone(), address);
            let target = Target::new("user", user.id).named(&user.name);
            audit::record(tx, &actor, "auth.login", target, &json!({ "remember": remember }))?;
            begin_session(tx, &keys, &lifetimes, &visitor, user, remember).map(Some)
        })
        .await
        .and_then(|signed_in: Option<SignedIn>| signed_in.ok_or(Error::WrongCredentials))
}

/// Writes a new session, and ends the one that the browser had: a token that somebody planted before the login is
/// worth nothing after it.
pub(super) fn begin_session(
    tx: &Tx<'_>,
    keys: &SessionKeys,
    lifetimes: &Accounts,
    visitor: &Visitor,
    user: User,
    remembered: bool,
) -> Result<SignedIn> {
    for hash in visitor.token.iter().flat_map(|token| keys.hashes(token)) {
        if let Some((owner, session)) = store::delete_session_by_token(tx, &hash)? {
            tell_ended(tx, owner, session)?;
        }
    }
    let token = Token::random();
    store::insert_session(
        tx,
        &store::NewSession {
            id: SessionId::new(),
            token_hash: keys.hash(&token),
            user: user.id,
            remembered,
            expires_at: tx.now() + lifetime(lifetimes, remembered),
            address: visitor.address,
            user_agent: visitor.user_agent.as_deref(),
        },
    )?;
    Ok(SignedIn { user, token, remembered })
}

fn lifetime(lifetimes: &Accounts, remembered: bool) -> Duration {
    if remembered { lifetimes.remembered_session } else { lifetimes.session }
}

/// Who is logged in by this token, if anybody; notes, at most once a minute, that the session is in use.
///
/// # Errors
/// When the database can't be read.
pub async fn find_current(app: &App, token: &Token, address: IpAddr) -> Result<Option<CurrentUser>> {
    let now = app.clock.now();
    let hashes = SessionKeys::to_find(&app.keys)?.hashes(token);
    let find = move |conn: &Connection| {
        for hash in &hashes {
            if let Some(found) = store::find_session(conn, hash, now)? {
                return Ok(Some(found));
            }
        }
        Ok::<_, db::Error>(None)
    };
    let found = app.db.read(find).await?;
    let Some(store::Found { user, session, remembered, last_seen_at }) = found else { return Ok(None) };
    if now.since(last_seen_at) >= TOUCHED_EVERY {
        let lifetime = lifetime(&app.settings.current().accounts, remembered);
        let touched =
            app.db.write(move |tx| store::touch_session(tx, session, tx.now() + lifetime, address)).await;
        // A full disk is no reason to refuse somebody who wants to look at pictures, or to make room.
        if let Err(error) = touched {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the use of a session could not be noted"
            );
        }
    }
    Ok(Some(CurrentUser { user, access: Access::Session(session), address }))
}

/// Whether the session or token by which somebody came still counts: for a stream that outlives its request.
///
/// # Errors
/// When the database can't be read.
pub async fn is_alive(app: &App, access: &Access) -> Result<bool> {
    let now = app.clock.now();
    let access = access.clone();
    app.db
        .read(move |conn| match access {
            Access::Session(session) => Ok(store::is_session_alive(conn, session, now)?),
            Access::Token { id, .. } => Ok(store::tokens::is_alive(conn, id, now)?),
        })
        .await
}

/// Ends the session by which the request came.
///
/// # Errors
/// [`Error::SessionNeeded`] when it came by a token.
pub async fn logout(db: &Db, current: &CurrentUser) -> Result<()> {
    let (actor, user, session) = (current.actor(), current.user.clone(), current.session()?);
    db.write(move |tx| {
        if store::delete_session(tx, user.id, session)? {
            tell_ended(tx, user.id, session)?;
            let target = Target::new("user", user.id).named(&user.name);
            audit::record(tx, &actor, "auth.logout", target, &Value::Null)?;
        }
        Ok(())
    })
    .await
}

/// The sessions of the current user, the newest login first.
///
/// # Errors
/// [`Error::SessionNeeded`].
pub async fn list_sessions(app: &App, current: &CurrentUser) -> Result<Vec<Session>> {
    let (user, session, now) = (current.user.id, current.session()?, app.clock.now());
    app.db.read(move |conn| Ok(store::list_sessions(conn, user, session, now)?)).await
}

/// Ends one of the current user's sessions.
///
/// # Errors
/// [`Error::NoSuchSession`] also for one of somebody else, [`Error::SessionNeeded`].
pub async fn end_session(db: &Db, current: &CurrentUser, session: SessionId) -> Result<()> {
    current.session()?;
    let (actor, user) = (current.actor(), current.user.id);
    db.write(move |tx| {
        if !store::delete_session(tx, user, session)? {
            return Err(Error::NoSuchSession);
        }
        tell_ended(tx, user, session)?;
        Ok(audit::record(tx, &actor, "auth.session_end", Target::new("session", session), &Value::Null)?)
    })
    .await
}

/// Ends all of the current user's sessions but the one by which the request came.
///
/// # Errors
/// [`Error::SessionNeeded`].
pub async fn end_other_sessions(db: &Db, current: &CurrentUser) -> Result<()> {
    let session = current.session()?;
    let current = current.clone();
    db.write(move |tx| {
        let ended = end_sessions(tx, current.user.id, Some(session))?;
        if ended > 0 {
            let target = Target::new("user", current.user.id).named(&current.user.name);
            audit::record(tx, &current.actor(), "auth.sessions_end", target, &json!({ "sessions": ended }))?;
        }
        Ok(())
    })
    .await
}

/// Changes the current user's password and ends all other sessions.
///
/// # Errors
/// [`Error::Invalid`] when the current password is wrong or the new one is weak or the same;
/// [`Error::TooManyAttempts`] when it was wrong too often: a stolen session must not be a way to guess;
/// [`Error::SessionNeeded`].
pub async fn change_password(app: &App, current: &CurrentUser, old: Password, new: Password) -> Result<()> {
    let session = current.session()?;
    let user = current.user.clone();
    new.check("new", &user.name, &user.email).map_err(|wrong| Error::Invalid(vec![wrong]))?;
    if new.is_same(&old) {
        return Err(invalid("new", "The new password is the same as the current one."));
    }
    let turn = Turn::take()?;
    let limits = app.settings.current().limits.login.clone();
    let counters = Counters::new(&user.email, current.address, true);
    let stored = app
        .db
        .write(move |tx| {
            counters.begin(tx, &limits)?;
            Ok::<_, Error>(store::password_hash(tx, user.id)?)
        })
        .await?;
    if turn.verify(&old, Some(stored.clone())).await? == Verdict::Wrong {
        return Err(invalid("current", "This is not your current password."));
    }
    let hash = turn.hash(&new).await?;
    let current = current.clone();
    app.db
        .write(move |tx| {
            let user = &current.user;
            if store::password_hash(tx, user.id)? != stored {
                return Err(invalid("current", "This is not your current password."));
            }
            counters.succeed(tx)?;
            store::set_password_hash(tx, user.id, &hash)?;
            let ended = end_sessions(tx, user.id, Some(session))?;
            let target = Target::new("user", user.id).named(&user.name);
            let details = json!({ "sessions_ended": ended });
            Ok(audit::record(tx, &current.actor(), "auth.password_change", target, &details)?)
        })
        .await
}

fn invalid(field: &'static str, detail: &str) -> Error {
    Error::Invalid(vec![Invalid { field, detail: detail.into() }])
}

/// Ends all sessions of a user but one; returns how many.
pub(super) fn end_sessions(tx: &Tx<'_>, user: UserId, except: Option<SessionId>) -> db::Result<usize> {
    let ended = store::delete_sessions(tx, user, except)?;
    for session in &ended {
        tell_ended(tx, user, *session)?;
    }
    Ok(ended.len())
}

/// Ends every session of everybody; returns how many.
///
/// # Errors
/// When the rows can't be removed.
pub fn end_all_sessions(tx: &Tx<'_>) -> db::Result<usize> {
    let ended = store::delete_all_sessions(tx)?;
    for (user, session) in &ended {
        tell_ended(tx, *user, *session)?;
    }
    Ok(ended.len())
}

/// Tells the live streams of a user that a session is over; the stream of that session ends itself.
pub(super) fn tell_ended(tx: &Tx<'_>, user: UserId, session: SessionId) -> db::Result<()> {
    let audience = Audience::User(user.to_string());
    events::emit(tx, "session-ended", &audience, &json!({ "session": session }))
}
