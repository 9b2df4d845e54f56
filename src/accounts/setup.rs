//! The first owner, by a token that only whoever sees the server's output knows.

use std::time::Duration;

use super::model::{Email, Role, Setup, SignedIn, User, Visitor, person_name};
use super::password::Turn;
use super::secret::{SessionKeys, Token, TokenHash, same};
use super::{Checks, Error, Result, login, store};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::clock::Timestamp;
use crate::db::{self, Db, Tx};

/// How long a setup token lives.
const TOKEN_LIFE: Duration = Duration::from_secs(30 * 60);

/// Whether there is no owner yet.
///
/// # Errors
/// When the database can't be read.
pub async fn needs_setup(db: &Db) -> Result<bool> {
    db.read(|conn| Ok(!store::has_owner(conn)?)).await
}

/// Makes a new setup token while there is no owner, and forgets the one before. For the start of the server, which
/// prints it once.
///
/// # Errors
/// When the database can't be written.
pub async fn setup_token(app: &App) -> Result<Option<String>> {
    if !needs_setup(&app.db).await? {
        return Ok(None);
    }
    let token = Token::random();
    let hash = token.hash();
    app.db.write(move |tx| store::put_setup_token(tx, &hash, tx.now() + TOKEN_LIFE)).await?;
    Ok(Some(token.expose()))
}

/// Makes the first owner and logs the visitor in. `also` runs in the same transaction, after the owner is made: what
/// else a new appliance needs is there when its owner is, or neither is.
///
/// # Errors
/// [`Error::SetupDone`], [`Error::SetupToken`], [`Error::Invalid`], [`Error::EmailTaken`], and what `also` returns.
pub async fn setup<E, F>(app: &App, visitor: &Visitor, form: Setup, also: F) -> Result<SignedIn, E>
where
    E: From<Error> + From<db::Error> + Send + 'static,
    F: FnOnce(&Tx<'_>, &Actor) -> Result<(), E> + Send + 'static,
{
    let token = form.token.map(|token| token.hash());
    let now = app.clock.now();
    app.db.read(move |conn| check_token(conn, token.as_ref(), now)).await?;

    let mut checks = Checks::default();
    let name = checks.keep(person_name(&form.name));
    let email = checks.keep(Email::parse(&form.email));
    let unknown = Email::folded(&form.email);
    checks.keep(form.password.check("password", &form.name, email.as_ref().unwrap_or(&unknown)));
    let (Some(name), Some(email), true) = (name, email, checks.0.is_empty()) else {
        return Err(Error::Invalid(checks.0).into());
    };
    let hash = Turn::take()?.hash(&form.password).await?;
    let visitor = visitor.clone();
    let lifetimes = app.settings.current().accounts.clone();
    let keys = SessionKeys::to_begin(&app.keys).await?;
    app.db
        .write(move |tx| {
            check_token(tx, token.as_ref(), tx.now())?;
            store::remove_setup_token(tx)?;
            let user = User {
                id: UserId::new(),
                name,
                email,
                role: Role::Owner,
                disabled: false,
                created_at: tx.now(),
                last_login_at: Some(tx.now()),
            };
            if !store::insert_user(tx, &user, &hash)? {
                return Err(Error::EmailTaken.into());
            }
            let actor = Actor::user(user.id, user.name.clone(), visitor.address);
            let target = Target::new("user", user.id).named(&user.name);
            audit::record(tx, &actor, "auth.setup", target, &serde_json::Value::Null)?;
            let signed_in = login::begin_session(tx, &keys, &lifetimes, &visitor, user, false)?;
            also(tx, &actor)?;
            Ok(signed_in)
        })
        .await
}

fn check_token(conn: &rusqlite::Connection, given: Option<&TokenHash>, now: Timestamp) -> Result<()> {
    if store::has_owner(conn)? {
        return Err(Error::SetupDone);
    }
    let fits = match (store::find_setup_token(conn)?, given) {
        (Some((stored, expires_at)), Some(given)) => same(&stored, given) && now < expires_at,
        _ => false,
    };
    if fits { Ok(()) } else { Err(Error::SetupToken) }
}
