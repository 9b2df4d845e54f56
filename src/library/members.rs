//! Use cases around the members of a bucket.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Bucket, Slug};
use super::rights::{self, BucketRole, Caller};
use super::{Error, Result, store};
use crate::accounts::{self, Permission, Role, User};
use crate::api::events::{self, Audience};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::clock::Timestamp;
use crate::db::{self, Tx};

/// The most people that are proposed at once.
const PEOPLE_MAX: usize = 20;

/// Somebody who was given a role in a bucket.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BucketMember)]
pub struct Member {
    /// The user's id.
    pub user_id: UserId,
    /// The name that others see.
    pub name: String,
    /// The address to log in with.
    pub email: String,
    /// What the member is in the bucket.
    pub role: BucketRole,
    /// What the member's account may everywhere.
    pub account_role: Role,
    /// Whether the account is disabled: then membership gives nothing.
    pub disabled: bool,
    /// When the member was added.
    pub added_at: Timestamp,
}

/// Somebody who can become a member of a bucket.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BucketPerson)]
pub struct Person {
    /// The user's id.
    pub user_id: UserId,
    /// The name that others see.
    pub name: String,
    /// The address to log in with.
    pub email: String,
    /// What the account may everywhere.
    pub account_role: Role,
}

impl Member {
    fn new(user: User, row: &store::members::Membership) -> Self {
        Self {
            user_id: user.id,
            name: user.name,
            email: user.email.to_string(),
            role: row.role,
            account_role: user.role,
            disabled: user.disabled,
            added_at: row.added_at,
        }
    }
}

/// The members of a bucket in the order of their ids, at most `rows`, those after one; for those who manage the bucket.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Forbidden`], [`Error::Db`].
pub async fn list_members(
    app: &App,
    caller: Caller,
    slug: &Slug,
    after: Option<UserId>,
    rows: usize,
) -> Result<Vec<Member>> {
    let slug = slug.clone();
    app.db
        .read(move |conn| {
            let bucket = rights::bucket_for(conn, caller, &slug, Permission::BucketsManage)?;
            let rows = store::members::list(conn, bucket.seq, after, rows)?;
            let users = accounts::find_all(conn, &rows.iter().map(|row| row.user).collect::<Vec<_>>())?;
            let member =
                |user: User| Some(Member::new(user.clone(), rows.iter().find(|row| row.user == user.id)?));
            Ok(users.into_iter().filter_map(member).collect())
        })
        .await
}

/// People with an account whose name or email contains a text, by name, the first twenty; for those who manage the bucket
/// and want to add one.
///
/// # Errors
/// As [`list_members`].
pub async fn list_people(app: &App, caller: Caller, slug: &Slug, text: &str) -> Result<Vec<Person>> {
    let (slug, text) = (slug.clone(), text.to_owned());
    app.db
        .read(move |conn| {
            let bucket = rights::bucket_for(conn, caller, &slug, Permission::BucketsManage)?;
            let mut people = Vec::new();
            for user in accounts::search(conn, &text, usize::MAX)? {
                if people.len() < PEOPLE_MAX && store::members::find(conn, bucket.seq, user.id)?.is_none() {
                    let email = user.email.to_string();
                    people.push(Person { user_id: user.id, name: user.name, email, account_role: user.role });
                }
            }
            Ok(people)
        })
        .await
}

/// Makes somebody a member of a bucket, or gives a member another role.
///
/// # Errors
/// As [`list_members`]; [`Error::NoSuchUser`].
pub async fn put_member(
    app: &App,
    actor: &Actor,
    slug: &Slug,
    user: UserId,
    role: BucketRole,
) -> Result<Member> {
    let (actor, slug) = (actor.clone(), slug.clone());
    app.db
        .write(move |tx| {
            let bucket = rights::bucket_for(tx, &actor, &slug, Permission::BucketsManage)?;
            let person = find_user(tx, user)?;
            let before = store::members::find(tx, bucket.seq, user)?.map(|row| row.role);
            if before != Some(role) {
                store::members::put(tx, bucket.seq, user, role)?;
                let action = if before.is_some() { "bucket.change_member" } else { "bucket.add_member" };
                record(tx, &actor, action, &bucket, &person, before, Some(role))?;
            }
            let row = store::members::find(tx, bucket.seq, user)?.ok_or(Error::NoSuchMember)?;
            Ok(Member::new(person, &row))
        })
        .await
}

/// Takes somebody out of a bucket. Whoever is a member may also go.
///
/// # Errors
/// As [`list_members`]; [`Error::NoSuchMember`].
pub async fn remove_member(app: &App, actor: &Actor, slug: &Slug, user: UserId) -> Result<()> {
    let (actor, slug) = (actor.clone(), slug.clone());
    app.db
        .write(move |tx| {
            let own = actor.user_id() == Some(user);
            let needed = if own { Permission::LibraryRead } else { Permission::BucketsManage };
            let bucket = rights::bucket_for(tx, &actor, &slug, needed)?;
            let row = store::members::find(tx, bucket.seq, user)?.ok_or(Error::NoSuchMember)?;
            store::members::delete(tx, bucket.seq, user)?;
            let person = find_user(tx, user)?;
            record(tx, &actor, "bucket.remove_member", &bucket, &person, Some(row.role), None)
        })
        .await
}

fn find_user(conn: &Connection, id: UserId) -> Result<User> {
    accounts::find_all(conn, &[id])?.pop().ok_or(Error::NoSuchUser)
}

fn record(
    tx: &Tx<'_>,
    actor: &Actor,
    action: &'static str,
    bucket: &Bucket,
    person: &User,
    from: Option<BucketRole>,
    to: Option<BucketRole>,
) -> Result<()> {
    let details = serde_json::json!({ "user": person.id, "name": person.name, "from": from, "to": to });
    audit::record(tx, actor, action, Target::new("bucket", &bucket.slug).named(&bucket.name), &details)?;
    Ok(tell(tx, &Audience::User(person.id.to_string()))?)
}

/// Tells that somebody may see other buckets now, or do other things in them: whoever hears it asks again.
pub(super) fn tell(tx: &Tx<'_>, audience: &Audience) -> db::Result<()> {
    events::emit(tx, "buckets", audience, &serde_json::json!({}))
}
