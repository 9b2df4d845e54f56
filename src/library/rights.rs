//! Who may do what in which bucket: the one place that decides.
//!
//! An account's role reaches into every bucket that is open to everyone; owners and admins reach into all. Membership of a
//! bucket gives more there and never less. It is decided anew for each deed, in the deed's own transaction, from what is
//! true then: a job that goes on for an hour, an upload that is finished the next day and a token may what their person
//! may at that moment. What somebody does not see does not exist for them; what they see and may not do is forbidden.
//!
//! How a token's scopes narrow a request is no matter of buckets: the door has asked that before.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Bucket, BucketId, Media, MediaId, Seq, Slug};
use super::{Error, Result, get_as_in, store};
use crate::accounts::{self, Permission, Role};
use crate::api::events::Audience;
use crate::app::App;
use crate::audit::{Actor, UserId};
use crate::db;

/// Who may use a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BucketAccess {
    /// Everybody with an account, as far as the account's role goes; members as far as theirs.
    Everyone,
    /// Its members, and owners and admins.
    Members,
}

impl BucketAccess {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Members => "members",
        }
    }
}

impl ToSql for BucketAccess {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for BucketAccess {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        [Self::Everyone, Self::Members]
            .into_iter()
            .find(|access| access.as_str() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// What somebody is in a bucket. The mightiest is the last, and includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BucketRole {
    /// Sees and downloads.
    Reader,
    /// Adds, changes, restores, and moves to the trash.
    Writer,
    /// Changes the bucket's settings and its members.
    Manager,
}

impl BucketRole {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Manager => "manager",
        }
    }

    /// What it may do in the bucket.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{BucketsManage, LibraryDelete, LibraryRead, LibraryWrite, Restore};
        match self {
            Self::Reader => &[LibraryRead],
            Self::Writer => &[LibraryRead, LibraryWrite, LibraryDelete, Restore],
            Self::Manager => &[LibraryRead, LibraryWrite, LibraryDelete, Restore, BucketsManage],
        }
    }

    /// Whether it may do this in the bucket.
    pub fn grants(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// What an account's role makes of somebody in a bucket that is open to everyone.
    const fn of(role: Role) -> Self {
        match role {
            Role::Owner | Role::Admin => Self::Manager,
            Role::Editor => Self::Writer,
            Role::Viewer => Self::Reader,
        }
    }
}

impl ToSql for BucketRole {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for BucketRole {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        [Self::Reader, Self::Writer, Self::Manager]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

/// On whose behalf the library is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The appliance itself, or whoever may run commands on its machine: everything is theirs.
    Machine,
    /// Somebody with an account.
    Person(UserId),
    /// Somebody without one.
    Nobody,
}

impl Caller {
    /// The person, where it is one.
    pub(super) const fn user_id(self) -> Option<UserId> {
        match self {
            Self::Person(user) => Some(user),
            Self::Machine | Self::Nobody => None,
        }
    }
}

impl From<&Actor> for Caller {
    fn from(actor: &Actor) -> Self {
        match actor.user_id() {
            Some(user) => Self::Person(user),
            None if actor.is_machine() => Self::Machine,
            None => Self::Nobody,
        }
    }
}

impl From<UserId> for Caller {
    fn from(user: UserId) -> Self {
        Self::Person(user)
    }
}

/// A filter's viewer: nobody in particular is the machine.
impl From<Option<UserId>> for Caller {
    fn from(viewer: Option<UserId>) -> Self {
        viewer.map_or(Self::Machine, Self::Person)
    }
}

/// Decides what an account's role and a membership come to in a bucket; none for who does not see it.
fn decide(role: Role, access: BucketAccess, member: Option<BucketRole>) -> Option<BucketRole> {
    let by_account = match (role, access) {
        (Role::Owner | Role::Admin, _) | (_, BucketAccess::Everyone) => Some(BucketRole::of(role)),
        (_, BucketAccess::Members) => None,
    };
    by_account.max(member)
}

/// What a caller is in a bucket now; none for who does not see it.
pub(super) fn role_in(
    conn: &Connection,
    caller: impl Into<Caller>,
    bucket: Seq,
) -> db::Result<Option<BucketRole>> {
    let user = match caller.into() {
        Caller::Machine => return Ok(Some(BucketRole::Manager)),
        Caller::Nobody => return Ok(None),
        Caller::Person(user) => user,
    };
    let Some(role) = accounts::role_of(conn, user)? else { return Ok(None) };
    let found = store::members::standing(conn, bucket, user)?;
    Ok(found.and_then(|(access, member)| decide(role, access, member)))
}

/// The buckets that a caller sees, by row number, with what the caller is in each.
pub(super) fn roles_in(
    conn: &Connection,
    caller: impl Into<Caller>,
) -> db::Result<BTreeMap<Seq, BucketRole>> {
    let user = match caller.into() {
        Caller::Machine => {
            let all = store::buckets::seqs(conn)?;
            return Ok(all.into_iter().map(|bucket| (bucket, BucketRole::Manager)).collect());
        }
        Caller::Nobody => return Ok(BTreeMap::new()),
        Caller::Person(user) => user,
    };
    let Some(role) = accounts::role_of(conn, user)? else { return Ok(BTreeMap::new()) };
    let all = store::members::standings(conn, user)?;
    let decided = |(bucket, access, member)| Some((bucket, decide(role, access, member)?));
    Ok(all.into_iter().filter_map(decided).collect())
}

/// The buckets in which a caller may do something, the oldest first.
pub(super) fn where_in(
    conn: &Connection,
    caller: impl Into<Caller>,
    permission: Permission,
) -> db::Result<Vec<Seq>> {
    let granted = |(bucket, role): (Seq, BucketRole)| role.grants(permission).then_some(bucket);
    Ok(roles_in(conn, caller)?.into_iter().filter_map(granted).collect())
}

/// Whether a caller manages all buckets, not only some.
pub(super) fn manages_all_in(conn: &Connection, caller: impl Into<Caller>) -> db::Result<bool> {
    Ok(match caller.into() {
        Caller::Machine => true,
        Caller::Nobody => false,
        Caller::Person(user) => {
            accounts::role_of(conn, user)?.is_some_and(|role| role.grants(Permission::BucketsManage))
        }
    })
}

/// Refuses what a role does not grant: `unseen` is said of what does not exist for somebody.
pub(super) fn check(role: Option<BucketRole>, permission: Permission, unseen: Error) -> Result<BucketRole> {
    match role {
        None => Err(unseen),
        Some(role) if role.grants(permission) => Ok(role),
        Some(_) => Err(Error::Forbidden),
    }
}

/// Finds a bucket for somebody who wants to do something there.
pub(super) fn bucket_for(
    conn: &Connection,
    caller: impl Into<Caller>,
    slug: &Slug,
    permission: Permission,
) -> Result<Bucket> {
    let mut bucket = store::buckets::find(conn, slug)?.ok_or(Error::NoSuchBucket)?;
    let role = check(role_in(conn, caller, bucket.seq)?, permission, Error::NoSuchBucket)?;
    bucket.my_role = role;
    Ok(bucket)
}

/// The bucket that somebody means who wants to put something there: the named one, or else the oldest that takes it.
pub(super) fn destination_for(
    conn: &Connection,
    caller: impl Into<Caller>,
    slug: Option<&Slug>,
) -> Result<Bucket> {
    let caller = caller.into();
    if let Some(slug) = slug {
        return bucket_for(conn, caller, slug, Permission::LibraryWrite);
    }
    let roles = roles_in(conn, caller)?;
    match roles.iter().find(|(_, role)| role.grants(Permission::LibraryWrite)) {
        Some((bucket, role)) => {
            let mut bucket = store::buckets::find_by_seq(conn, *bucket)?.ok_or(Error::NoBucket)?;
            bucket.my_role = *role;
            Ok(bucket)
        }
        None if roles.is_empty() => Err(Error::NoBucket),
        None => Err(Error::Forbidden),
    }
}

/// Finds a media, in the trash or not, for somebody who wants to do something with it; with that person's favourites.
///
/// # Errors
/// [`Error::NoSuchMedia`] also for what the caller does not see, [`Error::Forbidden`], [`Error::Db`].
pub fn get_for_in(
    conn: &Connection,
    caller: impl Into<Caller>,
    id: MediaId,
    permission: Permission,
) -> Result<Media> {
    let caller = caller.into();
    let media = get_as_in(conn, caller.user_id(), id)?;
    check(role_in(conn, caller, media.bucket_seq)?, permission, Error::NoSuchMedia)?;
    Ok(media)
}

/// Whether somebody may do something in at least one bucket.
///
/// # Errors
/// [`Error::Db`].
pub async fn may_somewhere(app: &App, user: UserId, permission: Permission) -> Result<bool> {
    Ok(!app.db.read(move |conn| where_in(conn, user, permission)).await?.is_empty())
}

/// Everything that somebody may do in at least one bucket.
///
/// # Errors
/// [`Error::Db`].
pub async fn permissions_somewhere(app: &App, user: UserId) -> Result<Vec<Permission>> {
    let roles = app.db.read(move |conn| roles_in(conn, user)).await?;
    Ok(roles.into_values().max().map(|role| role.permissions().to_vec()).unwrap_or_default())
}

/// Whether somebody hears of what happens in a bucket, which is named by the text of its id as in [`Audience::Bucket`].
///
/// # Errors
/// When the database can't be read.
pub fn hears(conn: &Connection, user: UserId, bucket: &str) -> db::Result<bool> {
    let Ok(id) = bucket.parse::<BucketId>() else { return Ok(false) };
    match store::buckets::seq_of(conn, id)? {
        Some(bucket) => Ok(role_in(conn, user, bucket)?.is_some()),
        None => Ok(false),
    }
}

/// Who hears of what happens to a media; none if it is gone.
///
/// # Errors
/// When the database can't be read.
pub fn audience_of(conn: &Connection, media: MediaId) -> db::Result<Option<Audience>> {
    Ok(store::members::bucket_of(conn, media)?.map(|bucket| Audience::Bucket(bucket.to_string())))
}

/// The buckets that somebody sees, as a JSON array for [`super::MEDIA_IS_SEEN`]; none for who sees all.
///
/// # Errors
/// When the database can't be read.
pub fn seen_buckets(conn: &Connection, caller: impl Into<Caller>) -> db::Result<Option<String>> {
    let seen = where_in(conn, caller, Permission::LibraryRead)?;
    let all = store::buckets::seqs(conn)?;
    Ok((seen.len() < all.len()).then(|| store::json(&seen)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_gives_more_and_never_less_and_owners_and_admins_reach_everywhere() {
        use BucketAccess::{Everyone, Members};
        use BucketRole::{Manager, Reader, Writer};
        for (role, access, member, expected) in [
            (Role::Viewer, Everyone, None, Some(Reader)),
            (Role::Viewer, Everyone, Some(Reader), Some(Reader)),
            (Role::Viewer, Everyone, Some(Writer), Some(Writer)),
            (Role::Viewer, Everyone, Some(Manager), Some(Manager)),
            (Role::Viewer, Members, None, None),
            (Role::Viewer, Members, Some(Writer), Some(Writer)),
            (Role::Editor, Everyone, None, Some(Writer)),
            (Role::Editor, Everyone, Some(Reader), Some(Writer)),
            (Role::Editor, Members, None, None),
            (Role::Editor, Members, Some(Reader), Some(Reader)),
            (Role::Admin, Members, None, Some(Manager)),
            (Role::Admin, Members, Some(Reader), Some(Manager)),
            (Role::Owner, Everyone, None, Some(Manager)),
            (Role::Owner, Members, None, Some(Manager)),
        ] {
            assert_eq!(decide(role, access, member), expected, "{role} {access:?} {member:?}");
        }
    }

    #[test]
    fn what_a_role_of_the_account_grants_is_what_its_role_in_an_open_bucket_grants() {
        for role in Role::ALL {
            for permission in BucketRole::Manager.permissions().iter().copied() {
                assert_eq!(role.grants(permission), BucketRole::of(role).grants(permission), "{role}");
            }
        }
    }

    #[test]
    fn a_stranger_is_not_the_machine() {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        assert_eq!(Caller::from(&Actor::stranger(address)), Caller::Nobody);
        assert_eq!(Caller::from(&Actor::system()), Caller::Machine);
        assert_eq!(Caller::from(&Actor::cli()), Caller::Machine);
    }
}
