//! Use cases around buckets and folders.

use rusqlite::Connection;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::model::{Bucket, Folder, Slug, Visibility};
use super::{Error, Result, names, store};
use crate::app::App;
use crate::audit::{self, Actor, Target};
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
}

/// What is to be changed about a bucket.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub struct BucketChange {
    /// Its name for people from now on.
    pub name: Option<String>,
    /// Who may see it from now on.
    pub visibility: Option<Visibility>,
    /// Whether pictures that leave by a public or signed address may say where they were taken, from now on.
    pub keep_location: Option<bool>,
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
    if !store::buckets::insert(tx, &slug, &name, visibility)? {
        return Err(Error::SlugTaken);
    }
    let details = serde_json::json!({ "visibility": visibility });
    audit::record(tx, actor, "bucket.add", Target::new("bucket", &slug).named(&name), &details)?;
    get_in(tx, &slug)
}

/// Finds a bucket.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub async fn get_bucket(app: &App, slug: &Slug) -> Result<Bucket> {
    let slug = slug.clone();
    app.db.read(move |conn| get_in(conn, &slug)).await
}

/// Gets the oldest bucket, which is meant where none is named.
///
/// # Errors
/// [`Error::NoBucket`] when there is none, [`Error::Db`].
pub async fn first_bucket(app: &App) -> Result<Bucket> {
    app.db.read(|conn| get_or_first_in(conn, None)).await
}

pub(super) fn get_in(conn: &Connection, slug: &Slug) -> Result<Bucket> {
    store::buckets::find(conn, slug)?.ok_or(Error::NoSuchBucket)
}

/// The bucket that is meant: the named one, or else the oldest.
pub(super) fn get_or_first_in(conn: &Connection, slug: Option<&Slug>) -> Result<Bucket> {
    match slug {
        Some(slug) => get_in(conn, slug),
        None => store::buckets::first(conn)?.ok_or(Error::NoBucket),
    }
}

/// Buckets by slug, at most `rows`, those after a slug.
///
/// # Errors
/// [`Error::Db`].
pub async fn list_buckets(app: &App, after: Option<String>, rows: usize) -> Result<Vec<Bucket>> {
    app.db.read(move |conn| Ok(store::buckets::list(conn, after.as_deref(), rows)?)).await
}

/// Changes a bucket's name or visibility.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::BadBucketName`], [`Error::Db`].
pub async fn change_bucket(app: &App, actor: &Actor, slug: &Slug, change: BucketChange) -> Result<Bucket> {
    let (actor, slug) = (actor.clone(), slug.clone());
    let name = change.name.as_deref().map(bucket_name).transpose()?;
    app.db
        .write(move |tx| {
            let bucket = get_in(tx, &slug)?;
            let name = name.as_deref().unwrap_or(&bucket.name);
            let visibility = change.visibility.unwrap_or(bucket.visibility);
            let keep_location = change.keep_location.unwrap_or(bucket.keep_location);
            store::buckets::update(tx, bucket.seq, name, visibility, keep_location)?;
            let details = serde_json::json!({
                "from": {
                    "name": bucket.name, "visibility": bucket.visibility, "keep_location": bucket.keep_location,
                },
                "visibility": visibility,
                "keep_location": keep_location,
            });
            audit::record(tx, &actor, "bucket.change", Target::new("bucket", &slug).named(name), &details)?;
            get_in(tx, &slug)
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
            let bucket = get_in(tx, &slug)?;
            let (trashed, media) = store::buckets::count(tx, bucket.seq)?;
            if trashed + media > 0 {
                return Err(Error::BucketNotEmpty { media, trashed });
            }
            store::buckets::delete(tx, bucket.seq)?;
            let target = Target::new("bucket", &slug).named(&bucket.name);
            Ok(audit::record(tx, &actor, "bucket.remove", target, &serde_json::Value::Null)?)
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
            let bucket = get_in(tx, &slug)?;
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
    slug: &Slug,
    parent: &str,
    after: Option<(String, String)>,
    rows: usize,
) -> Result<Vec<Folder>> {
    let (slug, parent) = (slug.clone(), names::folder(parent)?);
    app.db
        .read(move |conn| {
            let bucket = get_in(conn, &slug)?;
            Ok(store::buckets::list_folders(conn, bucket.seq, &parent, after.as_ref(), rows)?)
        })
        .await
}

fn bucket_name(text: &str) -> Result<String> {
    let name: String = text.trim().nfc().collect();
    let fits = (1..=100).contains(&name.chars().count())
        && names::file_name(&name.replace(['/', '\\'], "-")).is_ok();
    if fits { Ok(name) } else { Err(Error::BadBucketName) }
}
