//! Where a picture is damaged, as a proposal for whoever paints the mask. Knows no HTTP.

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Error, Result, pictures, pipeline};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::imaging::Limits;
use crate::library::{MediaId, VersionId};

/// Proposes a mask of a picture: what looks like damage, or with a seed that and what is like it. A gray PNG file of the
/// size that the picture has when displayed. Whoever stops waiting for the answer ends the work.
pub(super) async fn propose(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
    seed: Option<Bytes>,
) -> Result<Vec<u8>> {
    let version = pictures::find(app, user, media, version, Permission::LibraryRead).await?;
    let source = pictures::open(app, &version).await?;
    let cancel = CancellationToken::new();
    let _stops_with_the_request = cancel.clone().drop_guard();
    let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
    let seed = seed.map(Vec::from);
    pipeline::find_damage(source, seed, &app.budget, limits, &cancel).await.map_err(|error| {
        match error.code() {
            "bad-mask" => Error::BadMask(error),
            _ => Error::NotLookedAt(error),
        }
    })
}
