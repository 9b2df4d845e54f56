//! How much people have stored, and how much they may.

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{Allowed, CurrentUser, UserId, may};
use crate::api::{Json, Path, Problem};
use crate::app::App;
use crate::library::{self, UserStorage};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(own_storage)).routes(routes!(user_storage, set_user_quota))
}

/// Tells how much you have stored, and how much you may.
#[utoipa::path(get, path = "/auth/me/storage", tag = "library", responses((status = 200, body = UserStorage)))]
async fn own_storage(State(app): State<App>, user: CurrentUser) -> Result<Json<UserStorage>, Problem> {
    Ok(Json(library::user_storage(&app, user.id()).await?))
}

/// Tells how much a person has stored, and how much it may be.
#[utoipa::path(get, path = "/users/{id}/storage", tag = "library", params(("id" = UserId, Path)),
    responses((status = 200, body = UserStorage), (status = 404)))]
async fn user_storage(
    State(app): State<App>,
    _: Allowed<may::UsersManage>,
    Path(id): Path<UserId>,
) -> Result<Json<UserStorage>, Problem> {
    Ok(Json(library::user_storage(&app, id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct UserQuota {
    /// How much it may be; null for no limit.
    quota_bytes: Option<u64>,
}

/// Says how much a person may store.
#[utoipa::path(put, path = "/users/{id}/storage", tag = "library", params(("id" = UserId, Path)),
    responses((status = 200, body = UserStorage), (status = 404)))]
async fn set_user_quota(
    State(app): State<App>,
    user: Allowed<may::UsersManage>,
    Path(id): Path<UserId>,
    Json(UserQuota { quota_bytes }): Json<UserQuota>,
) -> Result<Json<UserStorage>, Problem> {
    Ok(Json(library::set_user_quota(&app, &user.actor(), id, quota_bytes).await?))
}
