//! Many media at once, folders as a whole, tags, the timeline.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Somewhere, existing};
use crate::accounts::{Allowed, Permission, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, Query};
use crate::app::App;
use crate::jobs::JobId;
use crate::library::{
    self, Begun, BulkOutcome, CopyTo, Deed, Media, MediaId, Month, OnConflict, Run, Search, Slug, Tag, Which,
    tags,
};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(copy))
        .routes(routes!(bulk))
        .routes(routes!(get_run))
        .routes(routes!(cancel_run))
        .routes(routes!(move_folder))
        .routes(routes!(timeline))
        .routes(routes!(list_tags, remove_tag))
        .routes(routes!(rename_tag))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct NewCopy {
    /// The slug of its bucket; the same where it is not said.
    bucket: Option<String>,
    /// Its folder; the same where it is not said.
    folder: Option<String>,
    /// Its name; the same where it is not said.
    name: Option<String>,
    /// What to do when the name is taken; it is numbered where it is not said.
    on_conflict: OnConflict,
    /// Leaves description and tags where they are, as if the file had been uploaded there.
    plain: bool,
}

/// Puts the current content of a media somewhere else too; the bytes are stored once.
#[utoipa::path(post, path = "/media/{id}/copy", tag = "library", params(("id" = MediaId, Path)),
    responses((status = 201, body = Media), (status = 409)))]
async fn copy(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Path(id): Path<MediaId>,
    Json(NewCopy { bucket, folder, name, on_conflict, plain }): Json<NewCopy>,
) -> Result<(StatusCode, Json<Media>), Problem> {
    let bucket = bucket.as_deref().map(existing).transpose()?;
    let to = CopyTo { bucket, folder, name, on_conflict, plain };
    let copy = library::copy(&app, &user.actor(), id, to).await?;
    Ok((StatusCode::CREATED, Json(copy)))
}

/// What can be done to many.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BulkAction {
    Trash,
    Untrash,
    Purge,
    Move,
    Copy,
    Tag,
    Untag,
    Favourite,
    Unfavourite,
}

#[derive(Debug, Deserialize, ToSchema)]
struct BulkRequest {
    /// What is to be done.
    action: BulkAction,
    /// To which media, at most 1,000; or else `search`.
    ids: Option<Vec<MediaId>>,
    /// To all that a search finds, with the parameters of the list.
    search: Option<Search>,
    /// Where to move or copy: the slug of the bucket.
    bucket: Option<String>,
    /// Where to move or copy: the folder.
    folder: Option<String>,
    /// The tags to give or take.
    #[serde(default)]
    tags: Vec<String>,
    /// What to do with names that are taken; they are numbered where it is not said.
    #[serde(default)]
    on_conflict: OnConflict,
}

impl BulkRequest {
    fn read(self) -> Result<(Deed, Which), Problem> {
        let Self { action, ids, search, bucket, folder, tags, on_conflict } = self;
        let which = match (ids, search) {
            (Some(ids), None) => Which::Ids(ids),
            (None, Some(search)) => Which::Search(Box::new(search)),
            _ => {
                let detail = "Say either which ids or which search.";
                return Err(Problem::validation(detail).field("ids", detail));
            }
        };
        let deed = match action {
            BulkAction::Trash => Deed::Trash,
            BulkAction::Untrash => Deed::Untrash,
            BulkAction::Purge => Deed::Purge,
            BulkAction::Move => Deed::Move { bucket, folder, on_conflict },
            BulkAction::Copy => Deed::Copy { bucket, folder, on_conflict },
            BulkAction::Tag => Deed::Tag { tags },
            BulkAction::Untag => Deed::Untag { tags },
            BulkAction::Favourite => Deed::Favourite,
            BulkAction::Unfavourite => Deed::Unfavourite,
        };
        Ok((deed, which))
    }
}

/// A bulk action that a job does.
#[derive(Debug, Serialize, ToSchema)]
struct Accepted {
    /// The job.
    job_id: JobId,
}

fn answer(begun: Begun) -> Response {
    match begun {
        Begun::Done(outcome) => Json(outcome).into_response(),
        Begun::Job(job_id) => {
            let location = HeaderValue::try_from(format!("/api/v1/media/bulk/{job_id}"));
            let location: [(HeaderName, HeaderValue); 1] =
                [(header::LOCATION, location.expect("an id fits into a header"))];
            (StatusCode::ACCEPTED, location, Json(Accepted { job_id })).into_response()
        }
    }
}

/// Does something to many media: at once, or by a job where a search finds more than 1,000.
#[utoipa::path(post, path = "/media/bulk", tag = "library",
    responses((status = 200, body = BulkOutcome), (status = 202, body = Accepted), (status = 422)))]
async fn bulk(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Json(request): Json<BulkRequest>,
) -> Result<Response, Problem> {
    let (deed, which) = request.read()?;
    let needed = deed.permission();
    user.require_cover(needed)?;
    if !user.may(needed) && !library::may_somewhere(&app, user.id(), needed).await? {
        return Err(library::Error::Forbidden.into());
    }
    if deed.replaces() {
        user.require_cover(Permission::LibraryDelete)?;
    }
    Ok(answer(library::bulk(&app, &user.actor(), deed, which).await?))
}

/// Tells how far a bulk action has come that a job does.
#[utoipa::path(get, path = "/media/bulk/{job}", tag = "library", params(("job" = JobId, Path)),
    responses((status = 200, body = Run), (status = 404)))]
async fn get_run(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(job): Path<JobId>,
) -> Result<Json<Run>, Problem> {
    Ok(Json(library::get_run(&app, job, user.id(), user.may(Permission::JobsManage)).await?))
}

/// Asks for such a bulk action to stop; what is done stays done.
#[utoipa::path(post, path = "/media/bulk/{job}/cancel", tag = "library", params(("job" = JobId, Path)),
    responses((status = 200, body = Run), (status = 404)))]
async fn cancel_run(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(job): Path<JobId>,
) -> Result<Json<Run>, Problem> {
    let manages_jobs = user.may(Permission::JobsManage);
    Ok(Json(library::cancel_run(&app, &user.actor(), job, user.id(), manages_jobs).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct FolderMove {
    /// The folder's path.
    from: String,
    /// Its path from now on; nothing may be there yet.
    to: String,
}

/// Renames a folder or moves it below another, with all that lies in it.
#[utoipa::path(post, path = "/buckets/{slug}/folders/move", tag = "library", params(("slug" = Slug, Path)),
    responses((status = 200, body = BulkOutcome), (status = 202, body = Accepted), (status = 404), (status = 409)))]
async fn move_folder(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Path(slug): Path<String>,
    Json(FolderMove { from, to }): Json<FolderMove>,
) -> Result<Response, Problem> {
    Ok(answer(library::move_folder(&app, &user.actor(), &existing(&slug)?, &from, &to).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FolderPath {
    /// The folder's path.
    path: String,
}

/// Moves all that lies in a folder to the trash, and removes the folder.
#[utoipa::path(delete, path = "/buckets/{slug}/folders", tag = "library", params(("slug" = Slug, Path), FolderPath),
    responses((status = 200, body = BulkOutcome), (status = 202, body = Accepted), (status = 404)))]
pub(super) async fn remove_folder(
    State(app): State<App>,
    user: Somewhere<may::LibraryDelete>,
    Path(slug): Path<String>,
    Query(FolderPath { path }): Query<FolderPath>,
) -> Result<Response, Problem> {
    Ok(answer(library::remove_folder(&app, &user.actor(), &existing(&slug)?, &path).await?))
}

/// Counts media by the month in which they were taken, newest first.
#[utoipa::path(get, path = "/media/timeline", tag = "library", params(Search),
    responses((status = 200, body = Page<Month>)))]
async fn timeline(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(search): Query<Search>,
) -> Result<Json<Page<Month>>, Problem> {
    Ok(Json(Page::whole(library::timeline(&app, search.filter(Some(user.id()))?).await?)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TagQuery {
    /// Only those of media in this bucket.
    bucket: Option<String>,
    /// Only those whose name contains this.
    q: Option<String>,
}

/// Lists the tags by name, with the media that have them.
#[utoipa::path(get, path = "/tags", tag = "library", params(TagQuery, PageQuery),
    responses((status = 200, body = Page<Tag>)))]
async fn list_tags(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(TagQuery { bucket, q }): Query<TagQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Tag>>, Problem> {
    let bucket = bucket.as_deref().map(existing).transpose()?;
    let text = q.unwrap_or_default();
    let (after, rows) = (page.after()?, page.limit() + 1);
    let rows = library::list_tags(&app, user.id(), bucket, &text, after, rows).await?;
    Ok(Json(Page::of(rows, page.limit(), tags::tag_position)))
}

#[derive(Debug, Deserialize, ToSchema)]
struct TagRename {
    /// Its name.
    from: String,
    /// Its name from now on; if another tag has it, the two become one.
    to: String,
    /// Whether two may become one; false refuses it, so that somebody can be asked first.
    #[serde(default = "yes")]
    merge: bool,
}

const fn yes() -> bool {
    true
}

/// Gives a tag another name.
#[utoipa::path(post, path = "/tags/rename", tag = "library",
    responses((status = 200, body = BulkOutcome), (status = 202, body = Accepted), (status = 404), (status = 409)))]
async fn rename_tag(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Json(TagRename { from, to, merge }): Json<TagRename>,
) -> Result<Response, Problem> {
    Ok(answer(library::rename_tag(&app, &user.actor(), &from, &to, merge).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TagNamed {
    /// The tag's name.
    name: String,
}

/// Takes a tag from everything that has it. The files stay.
#[utoipa::path(delete, path = "/tags", tag = "library", params(TagNamed),
    responses((status = 200, body = BulkOutcome), (status = 202, body = Accepted), (status = 404)))]
async fn remove_tag(
    State(app): State<App>,
    user: Allowed<may::LibraryWrite>,
    Query(TagNamed { name }): Query<TagNamed>,
) -> Result<Response, Problem> {
    Ok(answer(library::remove_tag(&app, &user.actor(), &name).await?))
}
