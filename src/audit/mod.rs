//! Who did what, when, through which door and from where.
//!
//! A deed and its entry are one transaction: [`record`] takes the transaction, so an entry without its deed, or a deed
//! without its entry, can't be. Entries are never changed. The room knows no feature: actions and targets are text
//! that the features choose. Secrets never go into an entry.

mod store;

use std::net::IpAddr;

use rusqlite::Connection;
use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::{self, Tx};

crate::typed_id!(
    /// Names a user. It lives here because every deed has one, and accounts stand below the audit.
    UserId
);
crate::typed_id!(
    /// Names an entry of the audit.
    EntryId
);

/// The way by which somebody reached the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// The browser, or a program that speaks the same HTTP.
    Web,
    /// A command on the machine itself.
    Cli,
    /// Nobody: the schedule, or a job.
    System,
}

impl Door {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Cli => "cli",
            Self::System => "system",
        }
    }
}

impl rusqlite::types::FromSql for Door {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        [Self::Web, Self::Cli, Self::System]
            .into_iter()
            .find(|door| door.as_str() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// Who acts, through which door, from which address. It can be stored with work that is done later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Actor {
    user: Option<(UserId, String)>,
    door: Door,
    address: Option<IpAddr>,
}

impl Actor {
    /// A logged-in user.
    pub fn user(id: UserId, name: impl Into<String>, address: IpAddr) -> Self {
        Self { user: Some((id, name.into())), door: Door::Web, address: Some(address) }
    }

    /// Somebody at the web door who is not logged in.
    pub const fn stranger(address: IpAddr) -> Self {
        Self { user: None, door: Door::Web, address: Some(address) }
    }

    /// Whoever may run commands on the data directory.
    pub const fn cli() -> Self {
        Self { user: None, door: Door::Cli, address: None }
    }

    /// The appliance itself.
    pub const fn system() -> Self {
        Self { user: None, door: Door::System, address: None }
    }

    /// The same person, when the appliance does later what was asked for: nobody comes through a door then.
    #[must_use]
    pub fn later(self) -> Self {
        Self { user: self.user, door: Door::System, address: None }
    }

    /// Whether the appliance itself acts, or whoever may run commands on its machine.
    pub fn is_machine(&self) -> bool {
        self.user.is_none() && self.door != Door::Web
    }

    /// The user who acts, where it is one.
    pub fn user_id(&self) -> Option<UserId> {
        self.user.as_ref().map(|(id, _)| *id)
    }
}

/// What a deed was done to.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    kind: &'static str,
    id: String,
    name: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// A thing of a kind (`media`, `user`, ...) by its id.
    pub fn new(kind: &'static str, id: impl std::fmt::Display) -> Self {
        Self { kind, id: id.to_string(), name: None }
    }

    /// Nothing that has an id: the appliance, or something that does not exist.
    pub const fn nothing(kind: &'static str) -> Self {
        Self { kind, id: String::new(), name: None }
    }

    /// Adds the name that the thing has now, for those who read the entry when it is gone.
    #[must_use]
    pub fn named(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }
}

/// Writes an entry in the transaction of the deed. `action` is the room's noun and a verb, as in `media.upload`;
/// `details` is a JSON object, or null for none.
///
/// # Errors
/// When the row can't be written; the deed is then undone with it.
pub fn record(
    tx: &Tx<'_>,
    actor: &Actor,
    action: &'static str,
    target: Target<'_>,
    details: &serde_json::Value,
) -> db::Result<()> {
    store::insert(tx, EntryId::new(), actor, action, &target, details)
}

/// One entry, as stored and as shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it; null when nobody was logged in.
    pub actor: Option<ActorName>,
    /// What was done, such as `media.upload`.
    pub action: String,
    /// What it was done to: `media`, `user`, ...
    pub target_kind: String,
    /// The id of what it was done to; empty where there was none.
    pub target_id: String,
    /// The name that it had then.
    pub target_name: Option<String>,
    /// The network address that it came from.
    pub address: Option<String>,
    /// The way in.
    pub door: Door,
    /// What else is worth knowing; depends on the action.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

/// The user who did something, by the name of that time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActorName {
    /// The user's id.
    pub id: UserId,
    /// The name at that time.
    pub name: String,
}

/// Which entries are wanted; everything that is set must fit.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Deeds of this user.
    pub actor: Option<UserId>,
    /// Exactly this action (`media.upload`), or a whole group (`media`).
    pub action: Option<String>,
    /// Deeds from this moment on.
    pub since: Option<Timestamp>,
}

/// The sort key of an entry, for paging: milliseconds and id.
pub type Key = (i64, EntryId);

impl Entry {
    /// Where the entry stands in the list.
    pub const fn key(&self) -> Key {
        (self.at.as_millis(), self.id)
    }
}

/// Entries, newest first, at most `limit`, those older than `before` if it is given.
///
/// # Errors
/// When the rows can't be read.
pub fn list(conn: &Connection, filter: &Filter, before: Option<Key>, limit: usize) -> db::Result<Vec<Entry>> {
    store::list(conn, filter, before, limit)
}
