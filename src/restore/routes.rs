//! Restorations over HTTP.

mod looking;
mod models;
mod scans;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{AskedStep, Error, Filter, Request, Restoration, RestorationId, pipeline, suggestion};
use crate::accounts::{Allowed, Permission, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, ProblemBody, Query};
use crate::app::App;
use crate::engine::builtin::Finding;
use crate::engine::{Preset, StepRequest};
use crate::imaging;
use crate::jobs::JobState;
use crate::library::{MediaId, Somewhere, VersionId};

/// The largest request: a mask of some 100 megapixels that somebody has really painted.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The routes of this room, below `/api/v1`.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_restoration))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .routes(routes!(get_restorations))
        .routes(routes!(get_restoration))
        .routes(routes!(cancel_restoration))
        .routes(routes!(retry_restoration))
        .routes(routes!(get_presets))
        .merge(models::router())
        .merge(super::batches::router())
        .routes(routes!(get_suggestion))
        .merge(looking::router())
        .merge(scans::router())
}

/// What to restore, and how.
#[derive(Debug, Deserialize, ToSchema)]
struct RestorationRequest {
    /// A named list of steps; `auto` if neither it nor steps are given.
    preset: Option<Preset>,
    /// Steps that change the preset, or that are all.
    #[serde(default)]
    steps: Vec<AskedStep>,
    /// Which version; the current one where it is not said.
    version_id: Option<VersionId>,
    /// A PNG in base64, of the size that the picture has when displayed: white, or any bright colour on transparent
    /// ground, where the picture is damaged.
    mask: Option<String>,
}

/// Asks for a picture to be restored
///
/// The result comes beside the original; nothing is overwritten.
#[utoipa::path(post, path = "/media/{id}/restorations", tag = "restorations", request_body = RestorationRequest,
    params(("id" = MediaId, Path)), responses(
        (status = 202, body = Restoration, headers(("Location" = String))),
        (status = 422, body = ProblemBody)
    ))]
async fn post_restoration(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(media): Path<MediaId>,
    Json(wanted): Json<RestorationRequest>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Restoration>), Problem> {
    let mask = wanted.mask.as_deref().map(decode_mask).transpose()?;
    let request = Request {
        version: wanted.version_id,
        preset: wanted.preset,
        steps: wanted.steps,
        mask,
        unlisted_models: user.may(Permission::SettingsManage),
    };
    let restoration = super::request(&app, &user.actor(), media, request).await?;
    let location = format!("{}/api/v1/restorations/{}", app.config.server.base_path, restoration.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(restoration)))
}

fn decode_mask(text: &str) -> Result<Bytes, Problem> {
    // Browsers hand out canvases as data URLs.
    let text = text.strip_prefix("data:image/png;base64,").unwrap_or(text);
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| bad_mask("The mask is not valid base64."))?;
    Ok(bytes.into())
}

/// Which restorations are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RestorationQuery {
    /// Those of this media.
    media_id: Option<MediaId>,
    /// Those in this state.
    state: Option<JobState>,
}

/// Restorations, newest first
#[utoipa::path(get, path = "/restorations", tag = "restorations", params(RestorationQuery, PageQuery),
    responses((status = 200, body = Page<Restoration>)))]
async fn get_restorations(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(wanted): Query<RestorationQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Restoration>>, Problem> {
    let filter = Filter { media: wanted.media_id, state: wanted.state };
    let rows = super::list(&app, user.id(), filter, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |restoration| restoration.id)))
}

/// One restoration
#[utoipa::path(get, path = "/restorations/{id}", tag = "restorations", params(("id" = RestorationId, Path)),
    responses((status = 200, body = Restoration), (status = 404, body = ProblemBody)))]
async fn get_restoration(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<RestorationId>,
) -> Result<Json<Restoration>, Problem> {
    Ok(Json(super::get(&app, user.id(), id).await?))
}

/// Stops a restoration
#[utoipa::path(post, path = "/restorations/{id}/cancel", tag = "restorations", params(("id" = RestorationId, Path)),
    responses((status = 200, body = Restoration), (status = 404, body = ProblemBody)))]
async fn cancel_restoration(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<RestorationId>,
) -> Result<Json<Restoration>, Problem> {
    Ok(Json(super::cancel(&app, &user.actor(), id).await?))
}

/// Tries a restoration again
///
/// For one that has failed or was cancelled. If it is not known whether a model was called, it is called once more.
#[utoipa::path(post, path = "/restorations/{id}/retry", tag = "restorations", params(("id" = RestorationId, Path)),
    responses((status = 200, body = Restoration), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
async fn retry_restoration(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<RestorationId>,
) -> Result<Json<Restoration>, Problem> {
    Ok(Json(super::try_again(&app, &user.actor(), id).await?))
}

/// A named list of steps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PresetInfo)]
struct PresetView {
    /// The name to ask for.
    name: Preset,
    /// What a person calls it.
    title: &'static str,
    /// What it does, in a sentence.
    description: &'static str,
    /// Its steps.
    steps: Vec<StepRequest>,
}

/// The named lists of steps
#[utoipa::path(get, path = "/presets", tag = "restorations", responses((status = 200, body = Page<PresetView>)))]
async fn get_presets(_: Allowed<may::LibraryRead>) -> Json<Page<PresetView>> {
    let view = |preset: Preset| PresetView {
        name: preset,
        title: preset.title(),
        description: preset.description(),
        steps: preset.steps(),
    };
    Json(Page::whole(Preset::ALL.map(view).into()))
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
    let (version_id, analysis) = suggestion::suggest(&app, user.id(), media, wanted.version_id).await?;
    let (summary, steps) = (suggestion::summary(&analysis), analysis.steps());
    Ok(Json(Suggestion { version_id, summary, findings: analysis.findings, steps }))
}

fn bad_mask(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-mask", detail)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let unprocessable = |code, error: &Error| {
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, pipeline::sentence(error))
        };
        let conflict = |code, error: &Error| Self::new(StatusCode::CONFLICT, code, pipeline::sentence(error));
        match error {
            Error::NoSuchRestoration => Self::not_found("restoration"),
            Error::NotAPicture => unprocessable("not-a-picture", &error),
            Error::UnknownStep { .. } => unprocessable("unknown-step", &error),
            Error::UnknownEngine { .. } => unprocessable("unknown-engine", &error),
            Error::NoSuchModel => Self::not_found("model"),
            Error::ModelDisabled { .. } => unprocessable("model-disabled", &error),
            Error::ModelRetired { .. } => unprocessable("model-retired", &error),
            Error::ModelExists => conflict("model-exists", &error),
            Error::ModelShipped => conflict("model-shipped", &error),
            Error::NotEnded => conflict("not-ended", &error),
            Error::BadModel { field, ref detail } => {
                Self::validation(detail.clone()).field(field, detail.clone())
            }
            Error::Remote(ref remote) => unprocessable(remote.code(), &error),
            Error::BadStrength { .. }
            | Error::UnknownParameter { .. }
            | Error::NeedsModel { .. }
            | Error::LongParameters { .. }
            | Error::TooManySteps { .. } => {
                let detail = pipeline::sentence(&error);
                Self::validation(detail.clone()).field("steps", detail)
            }
            Error::NoSuchBatch => Self::not_found("batch"),
            Error::BadName => {
                let detail = pipeline::sentence(&error);
                Self::validation(detail.clone()).field("name", detail)
            }
            Error::EmptyBatch => unprocessable("empty-batch", &error),
            Error::LargeBatch { .. } => unprocessable("large-batch", &error),
            Error::NotLookedAt(pipeline::Error::Picture(imaging::Error::Read(error))) => {
                Self::internal(error)
            }
            Error::NotLookedAt(error) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), pipeline::sentence(&error))
            }
            Error::BadRegion { .. } => {
                let detail = pipeline::sentence(&error);
                Self::validation(detail.clone()).field("region", detail)
            }
            Error::BadPictures { .. } => {
                let detail = pipeline::sentence(&error);
                Self::validation(detail.clone()).field("pictures", detail)
            }
            Error::NoPreview { .. } => unprocessable("no-preview", &error),
            Error::Superseded => conflict("superseded", &error),
            Error::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", pipeline::sentence(&error)),
            Error::BadMask(_) => bad_mask(pipeline::sentence(&error)),
            Error::Library(error) => error.into(),
            Error::Storage(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
