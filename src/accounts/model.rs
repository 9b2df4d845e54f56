//! People, roles and permissions. No I/O.

use std::fmt;
use std::net::IpAddr;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::Error;
use super::password::Password;
use super::secret::Token;
use crate::audit::{Actor, UserId};
use crate::clock::Timestamp;

crate::typed_id!(
    /// Names a browser that is logged in. It is no secret: the token in the cookie is.
    SessionId
);
crate::typed_id!(
    /// Names a token of a program. It is no secret: the token itself is.
    TokenId
);

/// Defines the permissions once: the variant, its name on the wire, and the marker type for signatures.
macro_rules! permissions {
    ($($(#[$meta:meta])* $name:ident = $wire:literal),+ $(,)?) => {
        /// What somebody may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum Permission {
            $($(#[$meta])* #[serde(rename = $wire)] $name,)+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The permission with this name on the wire.
            pub fn find(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|permission| permission.as_str() == name)
            }

            /// The name on the wire, which is also the audience of events.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }
        }

        // The derived schema does not see the wire names through this macro.
        impl utoipa::PartialSchema for Permission {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some(Self::ALL.iter().map(|permission| permission.as_str())))
                    .description(Some("What somebody may do."))
                    .into()
            }
        }

        impl ToSchema for Permission {}

        /// A type for each permission, so that a handler's signature says who may call it.
        pub mod may {
            use super::{Needs, Permission};

            $(
                $(#[$meta])*
                #[derive(Debug, Clone, Copy)]
                pub struct $name;

                impl Needs for $name {
                    const PERMISSION: Permission = Permission::$name;
                }
            )+
        }
    };
}

permissions! {
    /// See pictures and files.
    LibraryRead = "library.read",
    /// Upload, rename and move.
    LibraryWrite = "library.write",
    /// Move to the trash, take back from it and remove for good.
    LibraryDelete = "library.delete",
    /// Restore pictures.
    Restore = "restore",
    /// Make, change and remove buckets.
    BucketsManage = "buckets.manage",
    /// Make and change users.
    UsersManage = "users.manage",
    /// See, cancel and repeat background work.
    JobsManage = "jobs.manage",
    /// Read the audit.
    AuditRead = "audit.read",
    /// Change settings.
    SettingsManage = "settings.manage",
}

/// A permission as a type: `Allowed<may::LibraryWrite>`.
pub trait Needs: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
}

/// A named set of permissions. The mightiest is the first, so a greater one may less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything, and alone may make and change owners.
    Owner,
    /// Runs the appliance.
    Admin,
    /// Works with the library.
    Editor,
    /// Looks.
    Viewer,
}

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Editor, Self::Viewer];

    /// The name that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        }
    }

    /// What the role may do.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{LibraryDelete, LibraryRead, LibraryWrite, Restore};
        match self {
            Self::Owner | Self::Admin => Permission::ALL,
            Self::Editor => &[LibraryRead, LibraryWrite, LibraryDelete, Restore],
            Self::Viewer => &[LibraryRead],
        }
    }

    /// Whether the role may do this.
    pub fn grants(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("there is no role {text:?}: it is owner, admin, editor or viewer"))
    }
}

impl ToSql for Role {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|e: String| FromSqlError::Other(e.into()))
    }
}

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The name that others see.
    pub name: String,
    /// The address to log in with, in lower case.
    pub email: Email,
    /// What the user may do.
    pub role: Role,
    /// Whether logging in is refused.
    pub disabled: bool,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the user last logged in.
    pub last_login_at: Option<Timestamp>,
}

/// An email address: trimmed, NFC, lower case, so that two spellings of one address are one account.
///
/// Only what would break is refused; whether mail arrives is not this type's question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Email)]
pub struct Email(String);

impl Email {
    /// What somebody typed in the one spelling, right or wrong: to look an account up.
    pub(super) fn folded(text: &str) -> Self {
        Self(text.trim().nfc().flat_map(char::to_lowercase).collect())
    }

    /// Reads what somebody typed.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let Self(folded) = Self::folded(text);
        let odd = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
        let well_formed = folded.len() <= 254
            && !folded.contains(odd)
            && folded
                .split_once('@')
                .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
        if well_formed {
            Ok(Self(folded))
        } else {
            Err(Invalid { field: "email", detail: "This is not an email address.".into() })
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl ToSql for Email {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_str().into())
    }
}

impl FromSql for Email {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}

/// Reads the name of a person: trimmed, NFC, one to 100 characters, none that can't be seen.
pub(super) fn person_name(text: &str) -> Result<String, Invalid> {
    let name: String = text.trim().nfc().collect();
    let refuse = |detail: &str| Err(Invalid { field: "name", detail: detail.into() });
    match name.chars().count() {
        0 => refuse("The name is missing."),
        1..=100 if name.contains(|c: char| c.is_control() || is_invisible(c)) => {
            refuse("The name has characters that can't be seen.")
        }
        1..=100 => Ok(name),
        _ => refuse("The name may have at most 100 characters."),
    }
}

/// Characters that turn or hide text: with them one name can look like another.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

/// A field of a request that is wrong, and a sentence for the person who filled it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field's name in the request.
    pub field: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// Whoever sends a request, before anybody knows who it is.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The network address.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// The token of the session that the browser already has; it ends when a new one begins.
    pub token: Option<Token>,
}

/// By what somebody came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A browser that is logged in.
    Session(SessionId),
    /// A program's token, which may less than its owner.
    Token {
        /// Which one.
        id: TokenId,
        /// What it may do, as far as its owner may.
        scopes: Scopes,
        /// When it is over; never where it is not said.
        expires_at: Option<Timestamp>,
    },
}

/// What a token may do. Stored as names with spaces between them; a name that this version does not know gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scopes(Vec<Permission>);

impl Scopes {
    /// Puts permissions into their order, each once.
    pub(super) fn new(mut scopes: Vec<Permission>) -> Self {
        scopes.sort_unstable_by_key(|scope| Permission::ALL.iter().position(|known| known == scope));
        scopes.dedup();
        Self(scopes)
    }

    /// Whether this is among them.
    pub fn contain(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }
}

impl ToSql for Scopes {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ").into())
    }
}

impl FromSql for Scopes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(value.as_str()?.split(' ').filter_map(Permission::find).collect()))
    }
}

/// Somebody who is logged in or sent a token: the user, by what the user came, and the address of this request.
///
/// As an extractor it answers 401 `not-signed-in` to everybody else, and `token-refused` to a token that does not
/// count.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    /// Who it is, as of this request.
    pub user: User,
    /// By what the request came.
    pub access: Access,
    /// The address from which the request came.
    pub address: IpAddr,
}

impl CurrentUser {
    /// Who acts, for the audit.
    pub fn actor(&self) -> Actor {
        Actor::user(self.user.id, self.user.name.clone(), self.address)
    }

    /// The user's id.
    pub const fn id(&self) -> UserId {
        self.user.id
    }

    /// Whether the user may do this everywhere: the role grants it, and the token too where the request came by one.
    pub fn may(&self, permission: Permission) -> bool {
        self.covers(permission) && self.user.role.grants(permission)
    }

    /// Whether the way by which the request came leaves room for this: a session for everything, a token for its scopes.
    /// What the user may is another question; in a single bucket it can be more than the role grants.
    pub fn covers(&self, permission: Permission) -> bool {
        match &self.access {
            Access::Session(_) => true,
            Access::Token { scopes, .. } => scopes.contain(permission),
        }
    }

    /// Everything that the user may do by this request.
    pub fn permissions(&self) -> Vec<Permission> {
        Permission::ALL.iter().copied().filter(|permission| self.may(*permission)).collect()
    }

    /// The session by which the request came, for what only a person at a browser may do.
    ///
    /// # Errors
    /// [`Error::SessionNeeded`] when it came by a token.
    pub fn session(&self) -> Result<SessionId, Error> {
        match self.access {
            Access::Session(session) => Ok(session),
            Access::Token { .. } => Err(Error::SessionNeeded),
        }
    }

    /// When what the request came by is over, if that is fixed: nothing that it hands out should live longer.
    pub const fn ends_at(&self) -> Option<Timestamp> {
        match self.access {
            Access::Session(_) => None,
            Access::Token { expires_at, .. } => expires_at,
        }
    }

    /// Refuses whoever may not do this; for the rare handler whose permission depends on the request.
    /// [`Allowed`](super::Allowed) is for all others.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.may(permission) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Refuses a token whose scopes leave this out.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require_cover(&self, permission: Permission) -> Result<(), Error> {
        if self.covers(permission) { Ok(()) } else { Err(Error::Forbidden) }
    }

    /// Refuses to hand out a role that may what this request may not: a token would outgrow its scopes through it.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn may_grant(&self, role: Role) -> Result<(), Error> {
        match self.access {
            Access::Session(_) => Ok(()),
            Access::Token { .. } => {
                role.permissions().iter().try_for_each(|permission| self.require(*permission))
            }
        }
    }

    /// On whose behalf users are changed. A token is never as mighty as an owner: whoever found one could make
    /// another owner with it and log in.
    pub fn editor(&self) -> Editor {
        let role = match self.access {
            Access::Session(_) => self.user.role,
            Access::Token { .. } => self.user.role.max(Role::Admin),
        };
        Editor { actor: self.actor(), role }
    }
}

/// Who changes users, and with what might: only an owner may make or change owners.
#[derive(Debug, Clone)]
pub struct Editor {
    pub(super) actor: Actor,
    pub(super) role: Role,
}

impl Editor {
    /// Whoever may run commands on the data directory is as mighty as an owner.
    pub const fn cli() -> Self {
        Self { actor: Actor::cli(), role: Role::Owner }
    }
}

/// A login that has just begun: the user and the token for the cookie.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who logged in.
    pub user: User,
    /// The session's secret; it leaves in the cookie and is stored nowhere.
    pub token: Token,
    /// Whether the cookie should outlive the browser.
    pub remembered: bool,
}

/// What somebody types to log in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Login {
    /// The email of the account.
    pub email: String,
    /// The password.
    pub password: Password,
    /// Whether the login should outlive the browser.
    #[serde(default)]
    pub remember: bool,
}

/// What the first owner types.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct Setup {
    /// The token of the link that the server printed.
    #[serde(deserialize_with = "Token::lenient")]
    #[schema(value_type = String)]
    pub token: Option<Token>,
    /// The name that others see.
    pub name: String,
    /// The address to log in with.
    pub email: String,
    /// The password.
    pub password: Password,
    /// Whether a sample picture should go into the library.
    #[serde(default = "yes")]
    pub sample: bool,
}

const fn yes() -> bool {
    true
}

/// A person to be added.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NewUser {
    /// The name that others see.
    pub name: String,
    /// The address to log in with.
    pub email: String,
    /// What the user may do.
    pub role: Role,
    /// The first password.
    pub password: Password,
}

/// What is to become different about a user; what is missing stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct UserChange {
    /// Another name.
    pub name: Option<String>,
    /// Another role.
    pub role: Option<Role>,
    /// Whether logging in is refused.
    pub disabled: Option<bool>,
}

/// A token to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NewToken {
    /// What it is for, 1 to 100 characters.
    pub name: String,
    /// What it may do; nothing that its owner may not.
    #[schema(value_type = Vec<Permission>)]
    pub scopes: Vec<String>,
    /// After how many days it is over, 1 to 3,650; never where it is not said.
    pub expires_in_days: Option<u32>,
}

/// A token as its owner sees it, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiToken {
    /// Names the token; no secret.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// What it may do, as far as its owner may.
    #[schema(value_type = Vec<Permission>)]
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is over; null for never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A token as those see it who manage people.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OwnedToken {
    /// The token.
    #[serde(flatten)]
    pub token: ApiToken,
    /// Whose it is.
    pub user: TokenOwner,
}

/// Whose a token is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenOwner {
    /// The user's id.
    pub id: UserId,
    /// What the user is called.
    pub name: String,
    /// What the user may do, which bounds the token.
    pub role: Role,
    /// Whether the user is locked out, and the token with the user.
    pub disabled: bool,
}

/// A browser that is logged in, as its owner sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    /// Names the session; no secret.
    pub id: SessionId,
    /// Whether this request came by it.
    pub current: bool,
    /// When the user logged in.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
    /// The address from which it was last used.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_email_are_one() {
        let email = Email::parse("  Ada@Example.ORG ").unwrap();
        assert_eq!(email.as_str(), "ada@example.org");
        assert_eq!(Email::parse("jose\u{301}@example.org"), Email::parse("JOS\u{c9}@example.org"));
    }

    #[test]
    fn what_is_no_email_is_refused() {
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in ["", "ada", "@", "a@", "@b", "a@b@c", "a b@c", "a\n@b", "a\u{202e}b@c", &long] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_visible() {
        assert_eq!(person_name(" Ada ").unwrap(), "Ada");
        for bad in ["", "   ", "a\u{0}b", "evil\u{202e}gpj", "zero\u{200b}width", &"x".repeat(101)] {
            assert!(person_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn roles_grant_what_the_contract_says() {
        let names = |role: Role| role.permissions().iter().map(|p| p.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(Role::Viewer), "library.read");
        assert_eq!(names(Role::Editor), "library.read library.write library.delete restore");
        assert_eq!(
            names(Role::Admin),
            "library.read library.write library.delete restore buckets.manage users.manage jobs.manage audit.read \
             settings.manage"
        );
        assert_eq!(names(Role::Owner), names(Role::Admin));
    }
}
