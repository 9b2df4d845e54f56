//! Presets over HTTP.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Author, Change, NewPreset, PresetInfo, PresetStep, file};
use crate::accounts::{Allowed, CurrentUser, Permission, may};
use crate::api::{Json, Page, Path, Problem, ProblemBody, Text, content_disposition};
use crate::app::App;
use crate::library::Somewhere;

/// The routes of presets, below `/api/v1`.
pub(in crate::restore) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(import_presets))
        .layer(DefaultBodyLimit::max(file::FILE_BYTES_MAX))
        .routes(routes!(get_presets, post_preset))
        .routes(routes!(patch_preset, delete_preset))
        .routes(routes!(get_toml))
}

fn author(user: &CurrentUser) -> Author {
    Author { actor: user.actor(), is_admin: user.may(Permission::SettingsManage) }
}

/// The named lists of steps
///
/// Those that come with the program first, then those that people have saved.
#[utoipa::path(get, path = "/presets", tag = "presets", responses((status = 200, body = Page<PresetInfo>)))]
async fn get_presets(
    State(app): State<App>,
    _: Allowed<may::LibraryRead>,
) -> Result<Json<Page<PresetInfo>>, Problem> {
    Ok(Json(Page::whole(super::list(&app).await?)))
}

/// Saves a list of steps under a name
///
/// Everybody sees it. Its steps run exactly in their order.
#[utoipa::path(post, path = "/presets", tag = "presets", request_body = NewPreset, responses(
    (status = 201, body = PresetInfo), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn post_preset(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Json(new): Json<NewPreset>,
) -> Result<(StatusCode, Json<PresetInfo>), Problem> {
    Ok((StatusCode::CREATED, Json(super::add(&app, author(&user), new).await?)))
}

/// What is to be changed about a preset.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PresetChange {
    /// What a person calls it from now on.
    title: Option<String>,
    /// What it does, in a sentence.
    description: Option<String>,
    /// All its steps from now on.
    steps: Option<Vec<PresetStep>>,
}

/// Changes a preset
///
/// For whoever saved it, and for admins.
#[utoipa::path(patch, path = "/presets/{name}", tag = "presets", params(("name" = String, Path)),
    request_body = PresetChange, responses((status = 200, body = PresetInfo), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn patch_preset(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(name): Path<String>,
    Json(PresetChange { title, description, steps }): Json<PresetChange>,
) -> Result<Json<PresetInfo>, Problem> {
    Ok(Json(super::change(&app, author(&user), name, Change { title, description, steps }).await?))
}

/// Removes a preset; what it has restored stays
#[utoipa::path(delete, path = "/presets/{name}", tag = "presets", params(("name" = String, Path)), responses(
    (status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody)))]
async fn delete_preset(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    super::remove(&app, author(&user), name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A preset as a TOML file, with those that it includes
#[utoipa::path(get, path = "/presets/{name}/toml", tag = "presets", params(("name" = String, Path)), responses(
    (status = 200, content_type = "application/toml"), (status = 404, body = ProblemBody)))]
async fn get_toml(
    State(app): State<App>,
    _: Allowed<may::LibraryRead>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let file_name = format!("{name}.toml");
    let text = super::export(&app, name).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/toml")),
        (header::CONTENT_DISPOSITION, content_disposition(true, &file_name)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, text).into_response())
}

/// Saves the presets of a TOML file of at most 256 kB, all or none
///
/// A preset that is there already, word for word, is left as it is.
#[utoipa::path(post, path = "/presets/import", tag = "presets",
    request_body(content = String, content_type = "application/toml"), responses(
        (status = 201, body = Page<PresetInfo>), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 422, body = ProblemBody)))]
async fn import_presets(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Text(text): Text,
) -> Result<(StatusCode, Json<Page<PresetInfo>>), Problem> {
    Ok((StatusCode::CREATED, Json(Page::whole(super::import(&app, author(&user), &text).await?))))
}
