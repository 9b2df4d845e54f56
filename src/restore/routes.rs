//! Restorations over HTTP.

mod hooks;
mod looking;
mod models;
mod scans;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::decode_mask;
use super::{
    AskedStep, Error, Filter, Origin, Request, Restoration, RestorationId, StepView, pipeline, suggestion,
};
use crate::accounts::{Allowed, Permission, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, ProblemBody, Query};
use crate::app::App;
use crate::engine::StepRequest;
use crate::engine::builtin::Finding;
use crate::imaging;
use crate::jobs::JobState;
use crate::library::{self, ContentQuery, MediaId, Pairs, Rendition, Somewhere, VersionId};

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
        .routes(routes!(get_steps))
        .routes(routes!(get_step_content))
        .routes(routes!(keep_step))
        .merge(super::presets::router())
        .merge(models::router())
        .merge(hooks::router())
        .merge(super::batches::router())
        .routes(routes!(get_suggestion))
        .merge(looking::router())
        .merge(scans::router())
}

/// What to restore, and how.
#[derive(Debug, Deserialize, ToSchema)]
struct RestorationRequest {
    /// The name of a preset, shipped or saved; `auto` if neither it nor steps are given.
    preset: Option<String>,
    /// Steps that change the preset, or that are all.
    #[serde(default)]
    steps: Vec<AskedStep>,
    /// Whether the steps run exactly in this order; else those of this server run in the order in which they do best. A
    /// preset that somebody has saved always keeps its order.
    #[serde(default)]
    in_order: bool,
    /// Whether the picture after each step is kept, for some weeks.
    #[serde(default)]
    keep_steps: bool,
    /// Begins with a picture that was kept before a step of another restoration of this media; `steps` are those from there
    /// on, and masks have the size of that picture.
    from: Option<Origin>,
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
        in_order: wanted.in_order,
        keep_steps: wanted.keep_steps,
        from: wanted.from,
        mask,
        unlisted_models: user.may(Permission::SettingsManage),
    };
    let restoration = super::request(&app, &user.actor(), media, request).await?;
    let location = format!("{}/api/v1/restorations/{}", app.config.server.base_path, restoration.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(restoration)))
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

/// The steps of a restoration
///
/// With what came of each, and whether the picture after it is kept.
#[utoipa::path(get, path = "/restorations/{id}/steps", tag = "restorations", params(("id" = RestorationId, Path)),
    responses((status = 200, body = Page<StepView>), (status = 404, body = ProblemBody)))]
async fn get_steps(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<RestorationId>,
) -> Result<Json<Page<StepView>>, Problem> {
    Ok(Json(Page::whole(super::list_steps(&app, user.id(), id).await?)))
}

/// Sends the picture after a step, or a rendering of it
#[utoipa::path(get, path = "/restorations/{id}/steps/{place}/content", tag = "restorations",
    params(("id" = RestorationId, Path), ("place" = u32, Path), ContentQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 304),
        (status = 400), (status = 404), (status = 416), (status = 422)))]
async fn get_step_content(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path((id, place)): Path<(RestorationId, u32)>,
    Query(pairs): Query<Pairs>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let content = super::kept::step_content(&app, user.id(), id, place).await?;
    library::send_content(&app, &content, &pairs, &method, &headers).await
}

/// Makes a rendition of the picture after a step
///
/// To undo a step, the picture after the one before it is kept.
#[utoipa::path(post, path = "/restorations/{id}/steps/{place}/rendition", tag = "restorations",
    params(("id" = RestorationId, Path), ("place" = u32, Path)),
    responses((status = 201, body = Rendition), (status = 404, body = ProblemBody)))]
async fn keep_step(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path((id, place)): Path<(RestorationId, u32)>,
) -> Result<(StatusCode, Json<Rendition>), Problem> {
    Ok((StatusCode::CREATED, Json(super::keep_step(&app, &user.actor(), id, place).await?)))
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
            Error::UnknownPreset { .. } => unprocessable("unknown-preset", &error),
            Error::CyclicPreset { .. } => unprocessable("cyclic-preset", &error),
            Error::NoSuchPreset => Self::not_found("preset"),
            Error::PresetExists { .. } => conflict("preset-exists", &error),
            Error::PresetShipped => conflict("preset-shipped", &error),
            Error::PresetIncluded { .. } => conflict("preset-included", &error),
            Error::TooManyPresets { .. } => conflict("too-many-presets", &error),
            Error::NotYourPreset => Self::new(StatusCode::FORBIDDEN, "forbidden", pipeline::sentence(&error)),
            Error::BadFile { .. } => unprocessable("bad-file", &error),
            Error::NoSuchStep => Self::not_found("step"),
            Error::TooManySteps { .. } => unprocessable("too-many-steps", &error),
            Error::NoSuchModel => Self::not_found("model"),
            Error::ModelDisabled { .. } => unprocessable("model-disabled", &error),
            Error::ModelRetired { .. } => unprocessable("model-retired", &error),
            Error::ModelExists => conflict("model-exists", &error),
            Error::ModelShipped => conflict("model-shipped", &error),
            Error::ModelInstalled => conflict("model-installed", &error),
            Error::BadListing { mistakes } => mistakes.iter().fold(
                Self::validation("There are mistakes in this list of models. Nothing of it was taken."),
                |problem, mistake| {
                    problem.field(mistake.field.clone(), format!("Line {}: {}", mistake.line, mistake.detail))
                },
            ),
            Error::NotEnded => conflict("not-ended", &error),
            Error::BadModel { field, ref detail } | Error::BadPreset { field, ref detail } => {
                Self::validation(detail.clone()).field(field, detail.clone())
            }
            Error::Remote(ref remote) => unprocessable(remote.code(), &error),
            Error::BadStrength { .. }
            | Error::UnknownParameter { .. }
            | Error::NeedsModel { .. }
            | Error::LongParameters { .. }
            | Error::MaskInBatch => {
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
            Error::BadMask(_) | Error::MaskText => unprocessable("bad-mask", &error),
            Error::Library(error) => error.into(),
            Error::Storage(error) => error.into(),
            Error::Db(error) => error.into(),
        }
    }
}
