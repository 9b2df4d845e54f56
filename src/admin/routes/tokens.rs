//! Making a token: the library says what somebody may in single buckets, which a token may then be given too.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{self, ApiToken, CurrentUser, NewToken};
use crate::api::{Json, Problem};
use crate::app::App;
use crate::library;

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeToken {
    #[serde(flatten)]
    made: ApiToken,
    /// The token itself. It is shown only here.
    token: String,
}

/// Makes a token with which a program can act for the user
///
/// Programs send it as `Authorization: Bearer slt_…`. It may do what its scopes and its owner both may at that moment, in
/// each bucket. It can't make tokens or change passwords.
#[utoipa::path(post, path = "/tokens", tag = "accounts",
    responses((status = 201, body = MadeToken), (status = 401), (status = 403), (status = 422)))]
pub(super) async fn add_token(
    State(app): State<App>,
    current: CurrentUser,
    Json(form): Json<NewToken>,
) -> Result<impl IntoResponse, Problem> {
    let somewhere = library::permissions_somewhere(&app, current.id()).await?;
    let (made, token) = accounts::add_token(&app.db, &current, form, &somewhere).await?;
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(MadeToken { made, token })))
}
