//! What people do with one media: rename, move, copy, describe, tag, like, trash.
//!
//! Each deed comes in two halves: the change itself, which a bulk action does many times, and around it the entry in the
//! audit and the news.

use rusqlite::Connection;
use unicode_normalization::UnicodeNormalization;

use super::intake::{describe, drop_old_versions};
use super::limits;
use super::model::{Bucket, Media, MediaId, OnConflict, RenditionId, Slug, State};
use super::rights::{self, Caller, get_for_in};
use super::store::Place;
use super::tags::TagName;
use super::{
    Error, Result, What, emit, emit_left, emit_to, free_place, get_as_in, get_in, names, record, store,
};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::Tx;

/// The longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 10_000;

/// What is to be changed about a media.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Its name from now on.
    pub name: Option<String>,
    /// The bucket that it lies in from now on.
    pub bucket: Option<Slug>,
    /// The folder that it lies in from now on.
    pub folder: Option<String>,
    /// What to do when the name is taken there; it is refused where it is not said. Replacing moves what is there to
    /// the trash.
    pub on_conflict: Option<OnConflict>,
    /// What is said about it from now on.
    pub description: Option<String>,
    /// All its tags from now on.
    pub tags: Option<Vec<String>>,
    /// Whether whoever asks likes it best.
    pub favourite: Option<bool>,
    /// The rendition that it is shared as from now on; none for the original.
    pub shared_rendition: Option<Option<RenditionId>>,
}

/// Where something is to lie; what is not said stays as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Goal {
    pub(super) bucket: Option<Slug>,
    pub(super) folder: Option<String>,
    pub(super) name: Option<String>,
    pub(super) on_conflict: OnConflict,
}

impl Goal {
    /// Reads what people typed.
    pub(super) fn parse(
        bucket: Option<Slug>,
        folder: Option<&str>,
        name: Option<&str>,
        on_conflict: OnConflict,
    ) -> Result<Self> {
        let folder = folder.map(names::folder).transpose()?;
        let name = name.map(names::file_name).transpose()?;
        Ok(Self { bucket, folder, name, on_conflict })
    }

    /// The bucket, if the caller may put something there.
    fn bucket_in(&self, conn: &Connection, caller: impl Into<Caller>, media: &Media) -> Result<Bucket> {
        let slug = self.bucket.as_ref().unwrap_or(&media.bucket);
        rights::bucket_for(conn, caller, slug, Permission::LibraryWrite)
    }

    /// Whether it says anything.
    fn is_empty(&self) -> bool {
        self.bucket.is_none() && self.folder.is_none() && self.name.is_none()
    }
}

/// Changes a media.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NoSuchBucket`], [`Error::Forbidden`] (to like something takes no more than to see it),
/// [`Error::InTrash`], [`Error::BadName`], [`Error::NameTaken`], [`Error::BadTag`], [`Error::TooLong`],
/// [`Error::NoSuchRendition`], [`Error::Db`].
pub async fn change(app: &App, actor: &Actor, id: MediaId, change: Change) -> Result<Media> {
    let on_conflict = change.on_conflict.unwrap_or(OnConflict::Refuse);
    let goal = Goal::parse(change.bucket, change.folder.as_deref(), change.name.as_deref(), on_conflict)?;
    let description = change.description.as_deref().map(description).transpose()?;
    let tags = change.tags.as_deref().map(TagName::parse_all).transpose()?;
    let actor = actor.clone();
    let shared = change.shared_rendition;
    let changes = !goal.is_empty() || description.is_some() || tags.is_some() || shared.is_some();
    let needed = if changes { Permission::LibraryWrite } else { Permission::LibraryRead };
    app.db
        .write(move |tx| {
            let before = get_for_in(tx, &actor, id, needed)?;
            if before.state == State::Trashed {
                return Err(Error::InTrash);
            }
            if changes && move_in(tx, &actor, &before, &goal)? {
                let details = serde_json::json!({ "bucket": before.bucket, "from": before.key });
                let now = get_in(tx, id)?;
                let target = Target::new("media", id).named(&now.key);
                audit::record(tx, &actor, "media.move", target, &details)?;
                if now.bucket_seq != before.bucket_seq {
                    emit_left(tx, &before)?;
                }
            }
            let mut described = false;
            if let Some(description) = description.filter(|text| *text != before.description) {
                store::set_description(tx, before.seq, &description)?;
                described = true;
            }
            if let Some(tags) = &tags {
                described |= tags.set_in(tx, before.seq)?;
            }
            if described {
                record(tx, &actor, "media.describe", &before)?;
            }
            if let Some(shared) = shared.filter(|shared| *shared != before.shared_rendition_id) {
                share_in(tx, &actor, &before, shared)?;
                described = true;
            }
            if let (Some(favourite), Some(user)) = (change.favourite, actor.user_id()) {
                favourite_in(tx, user, &before, favourite)?;
            }
            let after = get_as_in(tx, actor.user_id(), id)?;
            if after.updated_at != before.updated_at || after.key != before.key || described {
                emit(tx, &after, What::Updated)?;
            }
            Ok(after)
        })
        .await
}

/// Says which of its renditions a media is shared as.
fn share_in(tx: &Tx<'_>, actor: &Actor, media: &Media, rendition: Option<RenditionId>) -> Result<()> {
    if let Some(id) = rendition {
        let rendition = store::find_rendition(tx, media.seq, id)?.ok_or(Error::NoSuchRendition)?;
        if rendition.version_id != media.version_id {
            return Err(Error::RenditionOutdated);
        }
    }
    store::share_rendition(tx, media.seq, rendition)?;
    let details = serde_json::json!({ "bucket": media.bucket, "rendition": rendition });
    let target = Target::new("media", media.id).named(&media.key);
    Ok(audit::record(tx, actor, "media.share_rendition", target, &details)?)
}

/// Moves a media that the actor may change; false when it lies there already.
pub(super) fn move_in(tx: &Tx<'_>, actor: &Actor, media: &Media, goal: &Goal) -> Result<bool> {
    let bucket = goal.bucket_in(tx, actor, media)?;
    let name = goal.name.as_ref().unwrap_or(&media.name);
    let folder = goal.folder.as_ref().unwrap_or(&media.folder);
    let key = names::key(folder, name)?;
    if key == media.key && bucket.seq == media.bucket_seq {
        return Ok(false);
    }
    let wanted = Place { key: &key, folder, name };
    let found;
    let place = match store::find_media_by_key(tx, bucket.seq, &key)? {
        None => wanted,
        Some(_) if goal.on_conflict == OnConflict::Rename => {
            found = free_place(tx, bucket.seq, folder, name)?;
            found.place(folder)
        }
        Some(other) if goal.on_conflict == OnConflict::Replace => {
            trash_in(tx, actor, &other)?;
            wanted
        }
        Some(_) => return Err(Error::NameTaken { name: name.clone() }),
    };
    store::buckets::ensure_folder(tx, bucket.seq, folder)?;
    store::move_media(tx, media.seq, bucket.seq, place)?;
    if bucket.seq != media.bucket_seq {
        limits::check_in(&bucket, &media.content_type, media.size_bytes)?;
        limits::check_quotas_in(tx, bucket.seq, None)?;
    }
    Ok(true)
}

/// Where a copy is to lie, and what comes with it.
#[derive(Debug, Clone, Default)]
pub struct CopyTo {
    /// The bucket; the same where it is not said.
    pub bucket: Option<Slug>,
    /// The folder; the same where it is not said.
    pub folder: Option<String>,
    /// The name; the same where it is not said.
    pub name: Option<String>,
    /// What to do when the name is taken.
    pub on_conflict: OnConflict,
    /// Leaves description and tags where they are: the copy is as if it had been uploaded.
    pub plain: bool,
}

/// Puts the current content of a media somewhere else too, with its description and tags unless it is to be plain. The
/// bytes are stored once.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NoSuchBucket`], [`Error::InTrash`], [`Error::BadName`], [`Error::NameTaken`],
/// [`Error::Db`].
pub async fn copy(app: &App, actor: &Actor, id: MediaId, to: CopyTo) -> Result<Media> {
    let CopyTo { bucket, folder, name, on_conflict, plain } = to;
    let goal = Goal::parse(bucket, folder.as_deref(), name.as_deref(), on_conflict)?;
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let mut media = get_for_in(tx, &actor, id, Permission::LibraryRead)?;
            if plain {
                media.description.clear();
                media.tags.clear();
            }
            let copy = get_as_in(tx, actor.user_id(), copy_in(tx, &actor, &media, &goal)?)?;
            let details = serde_json::json!({ "bucket": copy.bucket, "from": media.id });
            let target = Target::new("media", copy.id).named(&copy.key);
            audit::record(tx, &actor, "media.copy", target, &details)?;
            emit(tx, &copy, if copy.versions == 1 { What::Created } else { What::Updated })?;
            Ok(copy)
        })
        .await
}

/// Copies a media that the actor may see.
pub(super) fn copy_in(tx: &Tx<'_>, actor: &Actor, media: &Media, goal: &Goal) -> Result<MediaId> {
    if media.state == State::Trashed {
        return Err(Error::InTrash);
    }
    let bucket = goal.bucket_in(tx, actor, media)?;
    let name = goal.name.as_ref().unwrap_or(&media.name);
    let folder = goal.folder.as_ref().unwrap_or(&media.folder);
    let key = names::key(folder, name)?;
    let mut version = store::current_version(tx, media.seq)?;
    version.created_by = actor.user_id();
    limits::check_in(&bucket, &media.content_type, media.size_bytes)?;
    store::buckets::ensure_folder(tx, bucket.seq, folder)?;
    let id = match store::find_media_by_key(tx, bucket.seq, &key)? {
        None => store::insert_media(tx, bucket.seq, Place { key: &key, folder, name }, &version)?,
        Some(_) if goal.on_conflict == OnConflict::Rename => {
            let free = free_place(tx, bucket.seq, folder, name)?;
            store::insert_media(tx, bucket.seq, free.place(folder), &version)?
        }
        Some(other) if goal.on_conflict == OnConflict::Replace => {
            // A repeated request has no second effect.
            if other.sha256 != media.sha256 {
                store::add_version(tx, other.seq, &version)?;
                drop_old_versions(tx, &bucket, other.seq)?;
                limits::check_quotas_in(tx, bucket.seq, actor.user_id())?;
                describe(tx, &get_in(tx, other.id)?)?;
            }
            return Ok(other.id);
        }
        Some(_) => return Err(Error::NameTaken { name: name.clone() }),
    };
    limits::check_quotas_in(tx, bucket.seq, actor.user_id())?;
    let copy = get_in(tx, id)?;
    if !media.description.is_empty() {
        store::set_description(tx, copy.seq, &media.description)?;
    }
    if !media.tags.is_empty() {
        for tag in store::tags::of_media(tx, media.seq)? {
            store::tags::give(tx, copy.seq, tag)?;
        }
        store::tags::note(tx, copy.seq)?;
    }
    describe(tx, &copy)?;
    Ok(id)
}

/// Notes whether somebody likes a media best; only that person is told.
fn favourite_in(tx: &Tx<'_>, user: UserId, media: &Media, favourite: bool) -> Result<()> {
    if store::set_favourite(tx, user, media.seq, favourite)? {
        emit_to(tx, user, media)?;
    }
    Ok(())
}

/// Moves a media to the trash; one that lies there already stays.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Forbidden`], [`Error::Db`].
pub async fn trash(app: &App, actor: &Actor, id: MediaId) -> Result<()> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let media = get_for_in(tx, &actor, id, Permission::LibraryDelete)?;
            if media.state == State::Trashed { Ok(()) } else { trash_in(tx, &actor, &media) }
        })
        .await
}

fn trash_in(tx: &Tx<'_>, actor: &Actor, media: &Media) -> Result<()> {
    store::trash_media(tx, media.seq)?;
    record(tx, actor, "media.trash", media)?;
    Ok(emit(tx, media, What::Trashed)?)
}

/// Takes a media back from the trash. If its name is taken by now, it is numbered.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::NameTaken`] when no number fits the length of a key, [`Error::Db`].
pub async fn untrash(app: &App, actor: &Actor, id: MediaId) -> Result<Media> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let media = get_for_in(tx, &actor, id, Permission::LibraryDelete)?;
            let is_back = take_back_in(tx, &media)?;
            let media = get_as_in(tx, actor.user_id(), id)?;
            if is_back {
                record(tx, &actor, "media.untrash", &media)?;
                emit(tx, &media, What::Updated)?;
            }
            Ok(media)
        })
        .await
}

/// Takes a media back from the trash; false when it is not there.
pub(super) fn take_back_in(tx: &Tx<'_>, media: &Media) -> Result<bool> {
    if media.state != State::Trashed {
        return Ok(false);
    }
    let found;
    let place = if store::is_taken(tx, media.bucket_seq, &media.key)? {
        found = free_place(tx, media.bucket_seq, &media.folder, &media.name)?;
        found.place(&media.folder)
    } else {
        Place { key: &media.key, folder: &media.folder, name: &media.name }
    };
    store::buckets::ensure_folder(tx, media.bucket_seq, &media.folder)?;
    store::untrash_media(tx, media.seq, place)?;
    limits::check_quotas_in(tx, media.bucket_seq, store::limits::added_by(tx, media.seq)?)?;
    Ok(true)
}

/// Removes a media from the trash for good, with its versions and renditions. Bytes that nothing else refers to are
/// unlinked a day later.
///
/// # Errors
/// [`Error::NoSuchMedia`], [`Error::Forbidden`], [`Error::NotInTrash`], [`Error::Db`].
pub async fn purge(app: &App, actor: &Actor, id: MediaId) -> Result<()> {
    let actor = actor.clone();
    app.db.write(move |tx| purge_in(tx, &actor, id)).await
}

pub(super) fn purge_in(tx: &Tx<'_>, actor: &Actor, id: MediaId) -> Result<()> {
    let media = get_for_in(tx, actor, id, Permission::LibraryDelete)?;
    delete_in(tx, &media)?;
    record(tx, actor, "media.purge", &media)?;
    Ok(emit(tx, &media, What::Removed)?)
}

pub(super) fn delete_in(tx: &Tx<'_>, media: &Media) -> Result<()> {
    if media.state != State::Trashed {
        return Err(Error::NotInTrash);
    }
    for blob in store::delete_media(tx, media.seq)? {
        store::blobs::condemn_if_unused(tx, blob)?;
    }
    Ok(())
}

/// Reads a description: its ends trimmed, NFC, lines allowed, other control characters taken out.
fn description(text: &str) -> Result<String> {
    let text: String = text.trim().replace("\r\n", "\n").nfc().collect();
    let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    if text.len() > DESCRIPTION_BYTES_MAX {
        return Err(Error::TooLong { field: "description", max_bytes: DESCRIPTION_BYTES_MAX });
    }
    Ok(text)
}
