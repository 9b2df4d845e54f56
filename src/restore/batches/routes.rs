//! Batches over HTTP.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{AskedStep, Request};
use super::{Batch, BatchId, BatchItem, Deed, Estimate, ItemState, NewBatch, Viewer};
use crate::accounts::{Allowed, CurrentUser, Permission, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, ProblemBody, Query, content_disposition};
use crate::app::App;
use crate::library::{MediaId, Search, Somewhere, Which};

/// The routes of batches, below `/api/v1`.
pub(in crate::restore) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_batch, get_batches))
        .routes(routes!(post_estimate))
        .routes(routes!(get_batch, delete_batch))
        .routes(routes!(get_items))
        .routes(routes!(pause_batch))
        .routes(routes!(resume_batch))
        .routes(routes!(cancel_batch))
        .routes(routes!(retry_batch))
        .routes(routes!(get_archive))
}

/// Which pictures to restore, and how.
#[derive(Debug, Deserialize, ToSchema)]
struct BatchRequest {
    /// What to call it; the number of its pictures where it is not said.
    name: Option<String>,
    /// The pictures, at most 10,000; or else `search`.
    ids: Option<Vec<MediaId>>,
    /// All pictures that a search finds, with the parameters of the list; a folder is a search too.
    search: Option<Search>,
    /// The name of a preset, shipped or saved; `auto` if neither it nor steps are given.
    preset: Option<String>,
    /// Steps that change the preset, or that are all.
    #[serde(default)]
    steps: Vec<AskedStep>,
    /// Whether the steps run exactly in this order.
    #[serde(default)]
    in_order: bool,
}

impl BatchRequest {
    fn read(self, unlisted_models: bool) -> Result<(Which, NewBatch), Problem> {
        let which = match (self.ids, self.search) {
            (Some(ids), None) => Which::Ids(ids),
            (None, Some(search)) => Which::Search(Box::new(search)),
            _ => {
                let detail = "Say either which ids or which search.";
                return Err(Problem::validation(detail).field("ids", detail));
            }
        };
        let (preset, steps, in_order) = (self.preset, self.steps, self.in_order);
        let wish = Request { preset, steps, in_order, unlisted_models, ..Request::default() };
        Ok((which, NewBatch { name: self.name, wish }))
    }
}

fn viewer(user: &CurrentUser) -> Viewer {
    Viewer { user: user.id(), sees_all: user.may(Permission::JobsManage) }
}

/// Restores many pictures in the same way
///
/// They are restored one after the other; a single picture that somebody waits for goes before. `batch` events tell how
/// it stands.
#[utoipa::path(post, path = "/batches", tag = "batches", request_body = BatchRequest, responses(
    (status = 202, body = Batch, headers(("Location" = String))), (status = 422, body = ProblemBody)))]
async fn post_batch(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Json(wanted): Json<BatchRequest>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Batch>), Problem> {
    let (which, new) = wanted.read(user.may(Permission::SettingsManage))?;
    let batch = super::add(&app, &user.actor(), which, new).await?;
    let location = format!("{}/api/v1/batches/{}", app.config.server.base_path, batch.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(batch)))
}

/// What a batch would take, without making it
#[utoipa::path(post, path = "/batches/estimate", tag = "batches", request_body = BatchRequest,
    responses((status = 200, body = Estimate), (status = 422, body = ProblemBody)))]
async fn post_estimate(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Json(wanted): Json<BatchRequest>,
) -> Result<Json<Estimate>, Problem> {
    let (which, new) = wanted.read(user.may(Permission::SettingsManage))?;
    Ok(Json(super::estimate(&app, &user.actor(), which, new).await?))
}

/// Your batches, newest first; those of everybody for whoever manages jobs
#[utoipa::path(get, path = "/batches", tag = "batches", params(PageQuery),
    responses((status = 200, body = Page<Batch>)))]
async fn get_batches(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Batch>>, Problem> {
    let rows = super::list(&app, viewer(&user), page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |batch| batch.id)))
}

/// One batch
#[utoipa::path(get, path = "/batches/{id}", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 200, body = Batch), (status = 404, body = ProblemBody)))]
async fn get_batch(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<BatchId>,
) -> Result<Json<Batch>, Problem> {
    Ok(Json(super::get(&app, viewer(&user), id).await?))
}

/// Which pictures of a batch are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ItemQuery {
    /// Those in this state.
    state: Option<ItemState>,
}

/// The pictures of a batch in their order
#[utoipa::path(get, path = "/batches/{id}/items", tag = "batches",
    params(("id" = BatchId, Path), ItemQuery, PageQuery),
    responses((status = 200, body = Page<BatchItem>), (status = 404, body = ProblemBody)))]
async fn get_items(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<BatchId>,
    Query(wanted): Query<ItemQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<BatchItem>>, Problem> {
    let rows =
        super::list_items(&app, viewer(&user), id, wanted.state, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |item| item.position)))
}

/// Begins no more pictures for now; the one that is being restored comes to its end
#[utoipa::path(post, path = "/batches/{id}/pause", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 200, body = Batch), (status = 404, body = ProblemBody)))]
async fn pause_batch(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<BatchId>,
) -> Result<Json<Batch>, Problem> {
    Ok(Json(super::change(&app, &user.actor(), viewer(&user), id, Deed::Pause).await?))
}

/// Goes on with a batch that was paused or stopped
#[utoipa::path(post, path = "/batches/{id}/resume", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 200, body = Batch), (status = 404, body = ProblemBody)))]
async fn resume_batch(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<BatchId>,
) -> Result<Json<Batch>, Problem> {
    Ok(Json(super::change(&app, &user.actor(), viewer(&user), id, Deed::Resume).await?))
}

/// Stops a batch; what is restored stays restored
#[utoipa::path(post, path = "/batches/{id}/cancel", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 200, body = Batch), (status = 404, body = ProblemBody)))]
async fn cancel_batch(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<BatchId>,
) -> Result<Json<Batch>, Problem> {
    Ok(Json(super::change(&app, &user.actor(), viewer(&user), id, Deed::Cancel).await?))
}

/// Tries the pictures again that failed
#[utoipa::path(post, path = "/batches/{id}/retry", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 200, body = Batch), (status = 404, body = ProblemBody)))]
async fn retry_batch(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<BatchId>,
) -> Result<Json<Batch>, Problem> {
    Ok(Json(super::change(&app, &user.actor(), viewer(&user), id, Deed::Retry).await?))
}

/// Forgets a batch, and stops it before; what it has restored stays
#[utoipa::path(delete, path = "/batches/{id}", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn delete_batch(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(id): Path<BatchId>,
) -> Result<StatusCode, Problem> {
    super::change(&app, &user.actor(), viewer(&user), id, Deed::Remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All results of a batch as a ZIP archive
///
/// The restored pictures, and the originals where nothing needed doing; a text file says what is missing, and why.
#[utoipa::path(get, path = "/batches/{id}/archive", tag = "batches", params(("id" = BatchId, Path)),
    responses((status = 200, content_type = "application/zip"), (status = 404, body = ProblemBody)))]
async fn get_archive(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<BatchId>,
) -> Result<Response, Problem> {
    let archive = super::archive(&app, viewer(&user), id).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, content_disposition(true, &archive.name)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(archive.stream)).into_response())
}
