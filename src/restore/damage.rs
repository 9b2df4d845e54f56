//! Where a picture is damaged, as a proposal for whoever paints the mask. Knows no HTTP.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Error, Result, pipeline};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::imaging::Limits;
use crate::library::{self, MediaId, State, Version, VersionId};

/// Proposes a mask of a picture: what looks like damage, or with a seed that and what is like it. A gray PNG file of the
/// size that the picture has when displayed. Whoever stops waiting for the answer ends the work.
pub(super) async fn propose(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
    seed: Option<Bytes>,
) -> Result<Vec<u8>> {
    let version = picture(app, user, media, version, Permission::LibraryRead).await?;
    let storage = app.storage.clone();
    let source = tokio::task::spawn_blocking(move || library::open_version(&storage, &version))
        .await
        .map_err(|stopped| Error::NotLookedAt(pipeline::Error::Panicked(stopped.to_string())))??;
    let cancel = CancellationToken::new();
    let _stops_with_the_request = cancel.clone().drop_guard();
    let limits = Limits { max_pixels: app.config.limits.max_pixels };
    let seed = seed.map(Vec::from);
    pipeline::find_damage(source, seed, &app.budget, limits, &cancel).await.map_err(|error| {
        match error.code() {
            "bad-mask" => Error::BadMask(error),
            _ => Error::NotLookedAt(error),
        }
    })
}

/// A version of a picture that somebody may do this with and that is not in the trash.
pub(super) async fn picture(
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
