//! What a picture seems to need: the built-in engine looks at it and says so, in words and as steps to ask for.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Error, Result, pipeline};
use crate::accounts::{Allowed, Permission, may};
use crate::api::{Json, Path, Problem, ProblemBody, Query};
use crate::app::App;
use crate::audit::UserId;
use crate::engine::StepRequest;
use crate::engine::builtin::{Analysis, Finding};
use crate::imaging::Limits;
use crate::library::{self, MediaId, State as MediaState, VersionId};

/// The route of this file, below `/api/v1`.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_suggestion))
}

/// Which version is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SuggestionQuery {
    /// The current one where it is not said.
    version_id: Option<VersionId>,
}

/// What a picture seems to need.
#[derive(Debug, Serialize, ToSchema)]
struct Suggestion {
    /// The version that was looked at.
    version_id: VersionId,
    /// It all in one sentence.
    summary: String,
    /// What was seen, in the order in which it would be repaired; nothing if the picture is in order.
    findings: Vec<Finding>,
    /// The steps to ask for.
    steps: Vec<StepRequest>,
}

/// What a picture seems to need
///
/// Nothing is changed. The steps can be handed to a restoration as they are.
#[utoipa::path(get, path = "/media/{id}/suggestion", tag = "restorations",
    params(("id" = MediaId, Path), SuggestionQuery), responses(
        (status = 200, body = Suggestion),
        (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)
    ))]
async fn get_suggestion(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(media): Path<MediaId>,
    Query(wanted): Query<SuggestionQuery>,
) -> Result<Json<Suggestion>, Problem> {
    let (version_id, analysis) = suggest(&app, user.id(), media, wanted.version_id).await?;
    let (summary, steps) = (summary(&analysis), analysis.steps());
    Ok(Json(Suggestion { version_id, summary, findings: analysis.findings, steps }))
}

/// Looks at a version of a picture. Whoever stops waiting for the answer ends the work.
async fn suggest(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
) -> Result<(VersionId, Analysis)> {
    let (found, version) =
        library::get_version_for(app, user, media, version, Permission::LibraryRead).await?;
    if found.state == MediaState::Trashed {
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

fn summary(analysis: &Analysis) -> String {
    match analysis.findings.len() {
        0 => "Nothing is wrong with this picture that could be measured; it is best left as it is.".into(),
        1 => "One thing could be repaired.".into(),
        many => format!("{many} things could be repaired."),
    }
}
