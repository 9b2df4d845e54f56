//! People, their roles, and the browsers and tokens by which they come.
//!
//! A handler takes [`CurrentUser`] when it needs somebody who is logged in and [`Allowed`] when it needs a permission:
//! the signature tells who may call. Sessions are rows, looked up by the hash of the token in the cookie at each
//! request, so a session that ends has ended everywhere at once. The room knows nothing of pictures or files.
//!
//! Sessions are ours and not tower-sessions', which was tried on paper first: its layer saves the session after the
//! handler, in another transaction than the login and its audit entry; it can't remove a `__Host-` cookie, because its
//! removal lacks `Secure`, which browsers then ignore; it answers failures with an empty 500; and it reads the
//! computer's clock. What was left of it would have been this room's forty lines about a cookie.

mod attempts;
mod login;
mod model;
mod password;
mod routes;
mod secret;
mod session;
mod setup;
mod store;
mod tokens;
mod users;

use std::time::Duration;

pub use crate::audit::UserId;
use crate::config::LoginLimits;
use crate::db::{self, Tx};
use crate::keys;
pub use login::{
    change_password, end_all_sessions, end_other_sessions, end_session, find_current, is_alive,
    list_sessions, login, logout,
};
pub use model::{
    Access, ApiToken, CurrentUser, Editor, Email, Invalid, Login, Needs, NewToken, NewUser, OwnedToken,
    Permission, Role, Scopes, Session, SessionId, Setup, SignedIn, TokenId, TokenOwner, User, UserChange,
    Visitor, may,
};
pub use password::Password;
pub use routes::{Me, router};
pub use secret::Token;
pub use session::{Allowed, SessionCookie, check_origin};
pub use setup::{needs_setup, setup, setup_token};
pub use tokens::{add_token, find_by_token, list_all_tokens, list_tokens, remove_token, withdraw_token};
pub use users::{
    Newcomer, add, add_without_password, change, count, exists, find_all, find_by_email, list, role_of,
    search, set_password,
};

/// Why an account could not do, or have done to it, what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Email and password don't fit, or the account is disabled, or there is none.
    #[error("email and password do not fit")]
    WrongCredentials,
    /// Too many wrong passwords, for the account or from the address.
    #[error("too many wrong passwords; the next attempt may be made in {} s", wait.as_secs())]
    TooManyAttempts {
        /// How long to wait.
        wait: Duration,
        /// How many wrong ones there may be without waiting.
        quota: u32,
    },
    /// Dozens of logins wait already.
    #[error("too many logins at once")]
    Busy,
    /// The setup token is not the one that was printed last, or it is over.
    #[error("the setup token is wrong or over")]
    SetupToken,
    /// There is an owner already.
    #[error("the appliance has an owner already")]
    SetupDone,
    /// Another account has this email.
    #[error("another account has this email")]
    EmailTaken,
    /// Nobody would be left who may change owners.
    #[error("this is the only owner who can log in")]
    LastOwner,
    /// The user lacks the permission.
    #[error("the user may not do this")]
    Forbidden,
    /// Only an owner may make or change owners.
    #[error("only an owner may make or change owners")]
    OwnersOnly,
    /// There is no such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// There is no such session of this user.
    #[error("there is no such session")]
    NoSuchSession,
    /// There is no such token of this user.
    #[error("there is no such token")]
    NoSuchToken,
    /// The token is wrong, over or withdrawn, or its owner is disabled.
    #[error("the token is wrong, over or withdrawn")]
    TokenRefused,
    /// This needs a person at a browser, not a token.
    #[error("this needs a browser that is logged in")]
    SessionNeeded,
    /// What was typed is not acceptable.
    #[error("{}", .0.iter().map(|wrong| wrong.detail.as_str()).collect::<Vec<_>>().join(" "))]
    Invalid(Vec<Invalid>),
    /// The keys of sessions could not be had.
    #[error("the keys of sessions could not be read or written")]
    Keys(#[from] keys::Error),
    /// A password could not be hashed, or a stored hash can't be read.
    #[error("a password could not be hashed or compared: {0}")]
    Hash(String),
    /// The database could not.
    #[error("the accounts could not be read or written")]
    Db(#[from] db::Error),
}

/// What accounts functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How many sessions have not ended.
///
/// # Errors
/// When the rows can't be read.
pub fn count_sessions(conn: &rusqlite::Connection, now: crate::clock::Timestamp) -> db::Result<u64> {
    store::count_sessions(conn, now)
}

/// Removes sessions and tokens that have expired and wrong passwords that are forgotten. For the schedule.
///
/// # Errors
/// When the rows can't be removed.
pub fn prune(tx: &Tx<'_>) -> db::Result<()> {
    for (user, session) in store::delete_expired_sessions(tx)? {
        login::tell_ended(tx, user, session)?;
    }
    tokens::prune(tx)?;
    store::delete_forgotten_attempts(tx, tx.now() - attempts::FORGOTTEN_AFTER)
}

/// Gathers the fields that are wrong, so that a form learns of all of them at once.
#[derive(Default)]
struct Checks(Vec<Invalid>);

impl Checks {
    fn keep<T>(&mut self, outcome: Result<T, Invalid>) -> Option<T> {
        outcome.map_err(|wrong| self.0.push(wrong)).ok()
    }
}
