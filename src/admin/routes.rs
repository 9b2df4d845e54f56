//! The HTTP side of administration: wire types and thin handlers.

mod brand;
mod certificates;
mod doctor;
mod logs;
mod settings;
mod setup;
mod tokens;

pub use setup::{first_bucket, sample};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{self, Allowed, CurrentUser, Permission, UserId, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, Query};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::clock::Timestamp;
use crate::jobs::{self, JobId, JobRow, JobState};
use crate::library;

/// The routes of this room, below `/api/v1`.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(setup::make_owner))
        .routes(routes!(tokens::add_token))
        .routes(routes!(list_jobs))
        .routes(routes!(cancel_job))
        .routes(routes!(retry_job))
        .routes(routes!(list_audit))
        .routes(routes!(dashboard))
        .routes(routes!(certificates::list_certificates))
        .routes(routes!(doctor::examine))
        .routes(routes!(brand::show))
        .routes(routes!(settings::list, settings::change))
        .routes(routes!(logs::list))
        .routes(routes!(certificates::renew_certificate))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct JobQuery {
    /// Only jobs in this state.
    state: Option<JobState>,
}

/// Jobs, newest first
#[utoipa::path(get, path = "/jobs", tag = "admin", params(JobQuery, PageQuery), responses((status = 200, body = Page<JobRow>)))]
async fn list_jobs(
    State(app): State<App>,
    _user: Allowed<may::JobsManage>,
    Query(query): Query<JobQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<JobRow>>, Problem> {
    let (limit, before) = (page.limit(), page.after::<JobId>()?);
    let rows = app.db.read(move |conn| jobs::list(conn, query.state, before, limit + 1)).await?;
    Ok(Json(Page::of(rows, limit, |job| job.id)))
}

/// Asks for a job to stop
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "admin", params(("id" = JobId, Path)),
    responses((status = 200, body = JobRow), (status = 404), (status = 409)))]
async fn cancel_job(
    State(app): State<App>,
    user: Allowed<may::JobsManage>,
    Path(id): Path<JobId>,
) -> Result<Json<JobRow>, Problem> {
    change_job(&app, user.actor(), id, "job.cancel", jobs::cancel, "This job has ended already.").await
}

/// Queues a failed or cancelled job again
#[utoipa::path(post, path = "/jobs/{id}/retry", tag = "admin", params(("id" = JobId, Path)),
    responses((status = 200, body = JobRow), (status = 404), (status = 409)))]
async fn retry_job(
    State(app): State<App>,
    user: Allowed<may::JobsManage>,
    Path(id): Path<JobId>,
) -> Result<Json<JobRow>, Problem> {
    let why = "Only a job that failed or was cancelled can be tried again.";
    change_job(&app, user.actor(), id, "job.retry", jobs::retry, why).await
}

async fn change_job(
    app: &App,
    actor: Actor,
    id: JobId,
    action: &'static str,
    change: fn(&crate::db::Tx<'_>, JobId) -> crate::db::Result<bool>,
    why_not: &'static str,
) -> Result<Json<JobRow>, Problem> {
    app.db
        .write(move |tx| {
            let job = jobs::find(tx, id)?.ok_or_else(|| Problem::not_found("job"))?;
            if !change(tx, id)? {
                return Err(Problem::new(StatusCode::CONFLICT, "job-state", why_not));
            }
            let target = Target::new("job", id).named(&job.kind);
            audit::record(tx, &actor, action, target, &serde_json::Value::Null)?;
            let job = jobs::find(tx, id)?.ok_or_else(|| Problem::not_found("job"))?;
            Ok(Json(job))
        })
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Deeds of this user.
    actor: Option<UserId>,
    /// Exactly this action (`media.upload`), or a whole group (`media`).
    action: Option<String>,
    /// Deeds from this moment on.
    since: Option<Timestamp>,
}

/// Who did what, newest first
#[utoipa::path(get, path = "/audit", tag = "admin", params(AuditQuery, PageQuery),
    responses((status = 200, body = Page<audit::Entry>)))]
async fn list_audit(
    State(app): State<App>,
    _user: Allowed<may::AuditRead>,
    Query(query): Query<AuditQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<audit::Entry>>, Problem> {
    let (limit, before) = (page.limit(), page.after::<audit::Key>()?);
    let filter = audit::Filter { actor: query.actor, action: query.action, since: query.since };
    let rows = app.db.read(move |conn| audit::list(conn, &filter, before, limit + 1)).await?;
    Ok(Json(Page::of(rows, limit, audit::Entry::key)))
}

/// What the appliance holds and does.
#[derive(Debug, Serialize, ToSchema)]
struct Dashboard {
    /// Media that are not in the trash.
    media_count: u64,
    /// Bytes of their current versions.
    size_bytes: u64,
    /// People with an account.
    users: u64,
    /// The queue.
    jobs: jobs::Counts,
    /// The disk that the blobs lie on.
    disk: Disk,
    /// The program's version.
    version: &'static str,
    /// Seconds since the start.
    uptime_s: u64,
}

/// Space on a disk, in bytes.
#[derive(Debug, Serialize, ToSchema)]
struct Disk {
    free_bytes: u64,
    total_bytes: u64,
}

/// What the appliance holds and does
#[utoipa::path(get, path = "/dashboard", tag = "admin", responses((status = 200, body = Dashboard)))]
async fn dashboard(State(app): State<App>, user: CurrentUser) -> Result<Json<Dashboard>, Problem> {
    let wanted = [Permission::UsersManage, Permission::JobsManage, Permission::AuditRead];
    if !wanted.into_iter().any(|permission| user.may(permission)) {
        user.require(Permission::JobsManage)?;
    }
    let store = app.storage.clone();
    let space = tokio::task::spawn_blocking(move || store.free_space())
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    let (totals, users, jobs) = app
        .db
        .read(|conn| Ok::<_, Problem>((library::totals(conn)?, accounts::count(conn)?, jobs::counts(conn)?)))
        .await?;
    Ok(Json(Dashboard {
        media_count: totals.media,
        size_bytes: totals.size_bytes,
        users,
        jobs,
        disk: Disk { free_bytes: space.free_bytes, total_bytes: space.total_bytes },
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: app.clock.now().since(app.started_at).as_secs(),
    }))
}

/// `/api/openapi.json` and a page for people at `/api/docs`.
pub fn documentation(document: String) -> axum::Router<App> {
    let page = super::docs::page(&document);
    let json = move || async move { ([("content-type", "application/json")], document).into_response() };
    let html = move || async move { ([("content-type", "text/html; charset=utf-8")], page).into_response() };
    let css =
        || async { ([("content-type", "text/css; charset=utf-8")], super::docs::STYLE).into_response() };
    axum::Router::new()
        .route("/api/openapi.json", axum::routing::get(json))
        .route("/api/docs", axum::routing::get(html))
        .route("/api/docs.css", axum::routing::get(css))
}
