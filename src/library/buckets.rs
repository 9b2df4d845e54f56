//! Use cases around buckets and folders.

use rusqlite::Connection;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::limits::LimitChange;
use super::members::tell;
use super::model::{Bucket, Folder, Slug, Visibility};
use super::rights::{self, BucketAccess, Caller};
use super::{Error, Result, names, store};
use crate::accounts::Permission;
use crate::api::events::Audience;
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::config::WebOrigins;
use crate::db::Tx;

/// A bucket to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub struct NewBucket {
    /// Its name in addresses: 3 to 63 of `a-z`, `0-9` and `-`.
    pub slug: String,
    /// Its name for people; the slug where it is not said.
    pub name: Option<String>,
    /// Who may see it without being asked; private where it is not said.
    pub visibility: Option<Visibility>,
    /// Who may use it; everyone with an account where it is not said.
    pub access: Option<BucketAccess>,
}

/// What is to be changed about a bucket.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct BucketChange {
    /// Its name for people from now on.
    pub name: Option<String>,
    /// Who may see it from now on.
    pub visibility: Option<Visibility>,
    /// Who may use it from now on.
    pub access: Option<BucketAccess>,
    /// Whether pictures that leave by a public or signed address may say where they were taken, from now on.
    pub keep_location: Option<bool>,
    /// Sites whose pages may read what `/storage` sends from it from now on: at most 50 origins such as
    /// `https://example.org`, or `*` alone for all.
    pub cors_origins: Option<Vec<String>>,
    /// What it lets in and keeps from now on.
    #[serde(flatten)]
    pub limits: LimitChange,
}

/// Makes a bucket.
///
/// # Errors
/// [`Error::BadSlug`], [`Error::BadBucketName`], [`Error::SlugTaken`], [`Error::Db`].
pub async fn add_bucket(app: &App, actor: &Actor, new: NewBucket) -> Result<Bucket> {
    let actor = actor.clone();
    app.db.write(move |tx| add_bucket_in(tx, &actor, &new)).await
}

/// Does the same in a transaction.
///
/// # Errors
/// As [`add_bucket`].
pub fn add_bucket_in(tx: &Tx<'_>, actor: &Actor, new: &NewBucket) -> Result<Bucket> {
    let slug = Slug::parse(&new.slug)?;
    let name = bucket_name(new.name.as_deref().unwrap_or(slug.as_str()))?;
    let visibility = new.visibility.unwrap_or(Visibility::Private);
    let access = new.access.unwrap_or(BucketAccess::Everyone);
    if !store::buckets::insert(tx, &slug, &name, visibility, access)? {
        return Err(Error::SlugTaken);
    }
    let details = serde_json::json!({ "visibility": visibility, "access": access });
    audit::record(tx, actor, "bucket.add", Target::new("bucket", &slug).named(&name), &details)?;
    tell(tx, &Audience::Permission(Permission::LibraryRead.as_str()))?;
    get_in(tx, &slug)
}

/// Finds a bucket, for the machine.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub async fn get_bucket(app: &App, slug: &Slug) -> Result<Bucket> {
    get_bucket_for(app, Caller::Machine, slug).await
}

/// Finds a bucket as somebody sees it.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub async fn get_bucket_for(app: &App, caller: impl Into<Caller>, slug: &Slug) -> Result<Bucket> {
    let (caller, slug) = (caller.into(), slug.clone());
    app.db.read(move |conn| rights::bucket_for(conn, caller, &slug, Permission::LibraryRead)).await
}

/// Gets the oldest bucket, which is meant where none is named, for the machine.
///
/// # Errors
/// [`Error::NoBucket`] when there is none, [`Error::Db`].
pub async fn first_bucket(app: &App) -> Result<Bucket> {
    app.db.read(|conn| rights::destination_for(conn, Caller::Machine, None)).await
}

/// Does the same in a transaction.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub fn find_bucket_in(conn: &Connection, slug: &Slug) -> Result<Bucket> {
    get_in(conn, slug)
}

pub(super) fn get_in(conn: &Connection, slug: &Slug) -> Result<Bucket> {
    store::buckets::find(conn, slug)?.ok_or(Error::NoSuchBucket)
}

/// The buckets that somebody sees, by slug, at most `rows`, those after a slug.
///
/// # Errors
/// [`Error::Db`].
pub async fn list_buckets(
    app: &App,
    caller: impl Into<Caller>,
    after: Option<String>,
    rows: usize,
) -> Result<Vec<Bucket>> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let roles = rights::roles_in(conn, caller)?;
            let seen: Vec<_> = roles.keys().copied().collect();
            let mut buckets = store::buckets::list(conn, &seen, after.as_deref(), rows)?;
            for bucket in &mut buckets {
                bucket.my_role = roles.get(&bucket.seq).copied().ok_or(Error::NoSuchBucket)?;
            }
            Ok(buckets)
        })
        .await
}

/// Changes a bucket's name, who may see and use it, or its limits. How much it may hold is the say of those who manage all
/// buckets, for else a manager could lift the limit that was set for the manager.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Forbidden`], [`Error::QuotaIsNotYours`], [`Error::BadOrigin`], [`Error::BadBucketName`], [`Error::BadLimit`], [`Error::BadMediaType`], [`Error::Db`].
pub async fn change_bucket(app: &App, actor: &Actor, slug: &Slug, change: BucketChange) -> Result<Bucket> {
    let (actor, slug) = (actor.clone(), slug.clone());
    let name = change.name.as_deref().map(bucket_name).transpose()?;
    let origins = change.cors_origins.as_deref().map(cors_origins).transpose()?;
    app.db
        .write(move |tx| {
            let bucket = rights::bucket_for(tx, &actor, &slug, Permission::BucketsManage)?;
            let name = name.as_deref().unwrap_or(&bucket.name);
            let visibility = change.visibility.unwrap_or(bucket.visibility);
            let access = change.access.unwrap_or(bucket.access);
            let keep_location = change.keep_location.unwrap_or(bucket.keep_location);
            let origins = origins.as_ref().unwrap_or(&bucket.cors_origins);
            store::buckets::update(tx, bucket.seq, name, visibility, access, keep_location, origins)?;
            let limits = bucket.limits.clone().changed(change.limits)?;
            if limits.quota_bytes != bucket.limits.quota_bytes && !rights::manages_all_in(tx, &actor)? {
                return Err(Error::QuotaIsNotYours);
            }
            let mut details = serde_json::json!({
                "from": {
                    "name": bucket.name, "visibility": bucket.visibility, "keep_location": bucket.keep_location,
                },
                "visibility": visibility,
                "keep_location": keep_location,
            });
            if access != bucket.access {
                details["from"]["access"] = serde_json::json!(bucket.access);
                details["access"] = serde_json::json!(access);
                tell(tx, &Audience::Permission(Permission::LibraryRead.as_str()))?;
            }
            if *origins != bucket.cors_origins {
                details["from"]["cors_origins"] = serde_json::json!(bucket.cors_origins);
                details["cors_origins"] = serde_json::json!(origins);
            }
            if limits != bucket.limits {
                store::limits::set(tx, bucket.seq, &limits)?;
                details["from"]["limits"] = serde_json::json!(bucket.limits);
                details["limits"] = serde_json::json!(limits);
            }
            audit::record(tx, &actor, "bucket.change", Target::new("bucket", &slug).named(name), &details)?;
            // Whoever has just shut the door behind themselves gets to see the answer.
            Ok(Bucket { my_role: bucket.my_role, ..get_in(tx, &slug)? })
        })
        .await
}

/// Removes an empty bucket with its folders.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::BucketNotEmpty`], [`Error::Db`].
pub async fn remove_bucket(app: &App, actor: &Actor, slug: &Slug) -> Result<()> {
    let (actor, slug) = (actor.clone(), slug.clone());
    app.db
        .write(move |tx| {
            let bucket = rights::bucket_for(tx, &actor, &slug, Permission::BucketsManage)?;
            let (trashed, media) = store::buckets::count(tx, bucket.seq)?;
            if trashed + media > 0 {
                return Err(Error::BucketNotEmpty { media, trashed });
            }
            store::buckets::delete(tx, bucket.seq)?;
            let target = Target::new("bucket", &slug).named(&bucket.name);
            audit::record(tx, &actor, "bucket.remove", target, &serde_json::Value::Null)?;
            Ok(tell(tx, &Audience::Permission(Permission::LibraryRead.as_str()))?)
        })
        .await
}

/// Makes a folder and its parents; one that exists is returned as it is.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::BadName`], [`Error::Db`].
pub async fn add_folder(app: &App, actor: &Actor, slug: &Slug, path: &str) -> Result<Folder> {
    let path = names::folder(path)?;
    if path.is_empty() {
        return Err(Error::BadName { name: String::new(), why: "The name is empty." });
    }
    let (actor, slug) = (actor.clone(), slug.clone());
    app.db
        .write(move |tx| {
            let bucket = rights::bucket_for(tx, &actor, &slug, Permission::LibraryWrite)?;
            if let Some(folder) = store::buckets::find_folder(tx, bucket.seq, &path)? {
                return Ok(folder);
            }
            store::buckets::ensure_folder(tx, bucket.seq, &path)?;
            let target = Target::new("folder", format_args!("{slug}/{path}")).named(&path);
            audit::record(tx, &actor, "folder.add", target, &serde_json::Value::Null)?;
            store::buckets::find_folder(tx, bucket.seq, &path)?.ok_or(Error::NoSuchBucket)
        })
        .await
}

/// Where a folder stands in a list.
pub(super) fn folder_position(folder: &Folder) -> (String, String) {
    (names::fold(&folder.name), folder.path.clone())
}

/// The folders directly in `parent` by name, at most `rows`, those after a position.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::BadName`], [`Error::Db`].
pub async fn list_folders(
    app: &App,
    caller: impl Into<Caller>,
    slug: &Slug,
    parent: &str,
    after: Option<(String, String)>,
    rows: usize,
) -> Result<Vec<Folder>> {
    let (caller, slug, parent) = (caller.into(), slug.clone(), names::folder(parent)?);
    app.db
        .read(move |conn| {
            let bucket = rights::bucket_for(conn, caller, &slug, Permission::LibraryRead)?;
            Ok(store::buckets::list_folders(conn, bucket.seq, &parent, after.as_ref(), rows)?)
        })
        .await
}

fn cors_origins(texts: &[String]) -> Result<WebOrigins> {
    WebOrigins::parse(texts.iter().map(String::as_str)).map_err(|why| Error::BadOrigin { why })
}

fn bucket_name(text: &str) -> Result<String> {
    let name: String = text.trim().nfc().collect();
    let fits = (1..=100).contains(&name.chars().count())
        && names::file_name(&name.replace(['/', '\\'], "-")).is_ok();
    if fits { Ok(name) } else { Err(Error::BadBucketName) }
}
