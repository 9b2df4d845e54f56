//! Whether the process lives and whether it can work. Free of login, rate limits and secrets.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Json;
use crate::app::App;
use crate::db;

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Always `ok`: an answer is the message.
    status: &'static str,
    /// Always `safelight`.
    app: &'static str,
    /// The program's version.
    version: &'static str,
    /// Seconds since the start.
    uptime_s: u64,
}

/// Whether each part works.
#[derive(Debug, Serialize, ToSchema)]
struct Ready {
    /// `ok`, or `failing` when a part is.
    status: &'static str,
    /// `ok` or `failing`: the database answers.
    db: &'static str,
    /// `ok`, `low` when uploads are refused for want of space, or `failing`.
    storage: &'static str,
    /// The program's version.
    version: &'static str,
}

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(api_health))
}

/// The process lives
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
async fn health(State(app): State<App>) -> Json<Health> {
    Json(Health {
        status: "ok",
        app: "safelight",
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: app.clock.now().since(app.started_at).as_secs(),
    })
}

/// Whether the appliance can work
#[utoipa::path(get, path = "/health/ready", tag = "health",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn ready(State(app): State<App>) -> Response {
    readiness(&app).await
}

/// Whether the appliance can work, at the address that older monitors ask
#[utoipa::path(get, path = "/api/health", tag = "health",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
async fn api_health(State(app): State<App>) -> Response {
    readiness(&app).await
}

async fn readiness(app: &App) -> Response {
    let answers: db::Result<i64> =
        app.db.read(|conn| Ok(conn.query_row("SELECT 1", [], |row| row.get(0))?)).await;
    let db = if answers.is_ok() { "ok" } else { "failing" };
    let store = app.storage.clone();
    let storage = match tokio::task::spawn_blocking(move || store.free_space()).await {
        Ok(Ok(space)) if space.free_bytes <= app.settings.current().limits.min_free_bytes => "low",
        Ok(Ok(_)) => "ok",
        _ => "failing",
    };
    let stopping = app.stopping.is_cancelled();
    let ok = db == "ok" && storage != "failing" && !stopping;
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body =
        Ready { status: if ok { "ok" } else { "failing" }, db, storage, version: env!("CARGO_PKG_VERSION") };
    (status, Json(body)).into_response()
}
