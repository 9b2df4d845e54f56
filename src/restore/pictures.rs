//! The picture that somebody wants to look at or to have worked on. Knows no HTTP.

use super::{Error, Result, pipeline};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::library::{self, MediaId, State, Version, VersionId};
use crate::storage::BlobReader;

/// A version of a picture that somebody may do this with and that is not in the trash.
///
/// # Errors
/// [`Error::NotAPicture`]; what [`library::get_version_for`] says and [`library::Error::InTrash`] inside [`Error::Library`].
pub(super) async fn find(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
    permission: Permission,
) -> Result<Version> {
    let (found, version) = library::get_version_for(app, user, media, version, permission).await?;
    if found.state == State::Trashed {
        return Err(library::Error::InTrash.into());
    }
    if version.width.is_none() || version.height.is_none() {
        return Err(Error::NotAPicture);
    }
    Ok(version)
}

/// Opens its bytes.
///
/// # Errors
/// What the storage says, inside [`Error::Library`].
pub(super) async fn open(app: &App, version: &Version) -> Result<BlobReader> {
    let (storage, version) = (app.storage.clone(), version.clone());
    let opening = tokio::task::spawn_blocking(move || library::open_version(&storage, &version));
    let stopped =
        |stopped: tokio::task::JoinError| Error::NotLookedAt(pipeline::Error::Panicked(stopped.to_string()));
    Ok(opening.await.map_err(stopped)??)
}
