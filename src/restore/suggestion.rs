//! What a picture seems to need: the built-in engine looks at it and says so, in words and as
//! steps to ask for. Knows no HTTP.

use tokio_util::sync::CancellationToken;

use super::{Error, Result, pipeline};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::engine::builtin::Analysis;
use crate::imaging::Limits;
use crate::library::{self, MediaId, State, VersionId};

/// Looks at a version of a picture. Whoever stops waiting for the answer ends the work.
pub(super) async fn suggest(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
) -> Result<(VersionId, Analysis)> {
    let (found, version) =
        library::get_version_for(app, user, media, version, Permission::LibraryRead).await?;
    if found.state == State::Trashed {
        return Err(library::Error::InTrash.into());
    }
    if version.width.is_none() {
        return Err(Error::NotAPicture);
    }
    let (storage, id) = (app.storage.clone(), version.id);
    let source = tokio::task::spawn_blocking(move || library::open_version(&storage, &version))
        .await
        .map_err(|stopped| Error::NotLookedAt(pipeline::Error::Panicked(stopped.to_string())))??;
    let cancel = CancellationToken::new();
    let _stops_with_the_request = cancel.clone().drop_guard();
    let limits = Limits { max_pixels: app.config.limits.max_pixels };
    let analysis =
        pipeline::analyse(source, &app.budget, limits, &cancel).await.map_err(Error::NotLookedAt)?;
    Ok((id, analysis))
}

/// It all in one sentence.
pub(super) fn summary(analysis: &Analysis) -> String {
    match analysis.findings.len() {
        0 => "Nothing is wrong with this picture that could be measured; it is best left as it is.".into(),
        1 => "One thing could be repaired.".into(),
        many => format!("{many} things could be repaired."),
    }
}
