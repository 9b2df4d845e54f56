//! Links to what came here from another program: what they stand for now, and for whom.
//!
//! An old address leads to an address of ours and never to bytes, so that nothing is decided twice: whoever follows it is
//! asked there by what right. That something is there is told only to those who may have it.

use rusqlite::Connection;

use super::model::{Bucket, Media, MediaId, RenditionId, Slug, State, Visibility};
use super::signed::escaped;
use super::{Error, Result, buckets, get_in, rights, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::db::Tx;

/// The longest address that is looked up, in bytes: folders and names of what can be stored, with room for what stands
/// before them.
const PATH_BYTES_MAX: usize = 2048;

/// What an old address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldAddress {
    /// The media.
    pub media: MediaId,
    /// The picture made from it that is meant, where it is not the media itself.
    pub rendition: Option<RenditionId>,
}

/// Where somebody is sent who follows an old address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    /// A path of ours, without `server.base_path`.
    pub path: String,
    /// Whether everybody is sent there.
    pub is_public: bool,
}

/// Notes what an old address stands for from now on. `path` is decoded and has no slash at its beginning.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Db`].
pub fn add_old_address_in(tx: &Tx<'_>, path: &str, to: OldAddress) -> Result<()> {
    Ok(store::old_addresses::put(tx, path, get_in(tx, to.media)?.seq, to.rendition)?)
}

/// Finds what an old address stands for, for the machine.
///
/// # Errors
/// [`Error::Db`].
pub async fn find_old_address(app: &App, path: &str) -> Result<Option<OldAddress>> {
    let path = path.to_owned();
    Ok(app.db.read(move |conn| store::old_addresses::find(conn, &path)).await?)
}

/// Notes by which name a bucket was known, from now on.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub fn add_old_bucket_in(tx: &Tx<'_>, name: &str, slug: &Slug) -> Result<()> {
    Ok(store::old_addresses::put_bucket(tx, name, buckets::get_in(tx, slug)?.seq)?)
}

/// Finds the bucket that was known by a name, for the machine.
///
/// # Errors
/// [`Error::Db`].
pub fn find_old_bucket_in(conn: &Connection, name: &str) -> Result<Option<Bucket>> {
    let Some(bucket) = store::old_addresses::find_bucket(conn, name)? else { return Ok(None) };
    Ok(store::buckets::find_by_seq(conn, bucket)?)
}

/// Where somebody is sent who follows an old address; none, where nothing was there or nobody but others may have it.
///
/// # Errors
/// [`Error::Db`].
pub async fn lead(app: &App, path: &str, who: Option<UserId>) -> Result<Option<Led>> {
    if path.len() > PATH_BYTES_MAX {
        return Ok(None);
    }
    let path = path.to_owned();
    app.db
        .read(move |conn| {
            let Some(goal) = find_goal(conn, &path)? else { return Ok(None) };
            let Some(bucket) = store::buckets::find_by_seq(conn, goal.media.bucket_seq)? else {
                return Ok(None);
            };
            let role = who.map(|who| rights::role_in(conn, who, bucket.seq)).transpose()?.flatten();
            let is_reader = role.is_some_and(|role| role.grants(Permission::LibraryRead));
            Ok(goal.path_for(bucket.visibility == Visibility::Public, is_reader))
        })
        .await
}

/// What somebody wants who follows an old address.
struct Goal {
    media: Media,
    rendition: Option<RenditionId>,
    /// Whether it was an address of the kind that we have too: what others see, and not the original.
    is_delivery: bool,
}

impl Goal {
    fn path_for(&self, is_public: bool, is_reader: bool) -> Option<Led> {
        let media = &self.media;
        let delivery = || format!("/storage/{}/{}", media.bucket, escaped(&media.key, b"/"));
        // Of the pictures made from a media everybody may have the one that it is shared as.
        let is_shared = self.rendition.is_none() || self.rendition == media.shared_rendition_id;
        if self.is_delivery && (is_public || is_reader) {
            return Some(Led { path: delivery(), is_public });
        }
        if is_reader {
            let rendition = self.rendition.map(|id| format!("/renditions/{id}")).unwrap_or_default();
            let path = format!("/api/v1/media/{}{rendition}/content", media.id);
            return Some(Led { path, is_public: false });
        }
        (is_public && is_shared).then(|| Led { path: delivery(), is_public })
    }
}

fn find_goal(conn: &Connection, path: &str) -> Result<Option<Goal>> {
    let delivered = path.strip_prefix("storage/");
    let found = match store::old_addresses::find(conn, path)? {
        Some(OldAddress { media, rendition }) => found(get_in(conn, media))?.map(|media| (media, rendition)),
        // The key is what it was, and its bucket has another name.
        None => match delivered.and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) => match store::old_addresses::find_bucket(conn, bucket)? {
                Some(bucket) => store::find_media_by_key(conn, bucket, key)?.map(|media| (media, None)),
                None => None,
            },
            None => None,
        },
    };
    let here = found.filter(|(media, _)| media.state != State::Trashed);
    Ok(here.map(|(media, rendition)| Goal { media, rendition, is_delivery: delivered.is_some() }))
}

fn found<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoSuchMedia) => Ok(None),
        Err(e) => Err(e),
    }
}
