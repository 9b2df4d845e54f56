//! What a picture seems to need: the built-in engine looks at it and says so, in words and as
//! steps to ask for. Knows no HTTP.

use tokio_util::sync::CancellationToken;

use super::{Error, Result, pictures, pipeline};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::engine::builtin::Analysis;
use crate::imaging::Limits;
use crate::library::{MediaId, VersionId};

/// Looks at a version of a picture. Whoever stops waiting for the answer ends the work.
pub(super) async fn suggest(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
) -> Result<(VersionId, Analysis)> {
    let version = pictures::find(app, user, media, version, Permission::LibraryRead).await?;
    let source = pictures::open(app, &version).await?;
    let cancel = CancellationToken::new();
    let _stops_with_the_request = cancel.clone().drop_guard();
    let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
    let analysis =
        pipeline::analyse(source, &app.budget, limits, &cancel).await.map_err(Error::NotLookedAt)?;
    Ok((version.id, analysis))
}

/// It all in one sentence.
pub(super) fn summary(analysis: &Analysis) -> String {
    match analysis.findings.len() {
        0 => "Nothing is wrong with this picture that could be measured; it is best left as it is.".into(),
        1 => "One thing could be repaired.".into(),
        many => format!("{many} things could be repaired."),
    }
}
