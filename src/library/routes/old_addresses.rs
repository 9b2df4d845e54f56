//! `/uploads/…` and `/processed/…`: links to pictures of a restoration app that came here from there, and those below
//! `/storage` whose bucket or key had to change. They lead to our own addresses, for whoever may have what stands there.

use axum::extract::{OptionalFromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::content::RESOURCE_POLICY;
use crate::accounts::{CurrentUser, Permission};
use crate::api::{Path, Problem};
use crate::app::App;
use crate::audit::UserId;
use crate::library::{Error, lead};

/// The old doors, at the top of all addresses.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload)).routes(routes!(processed))
}

/// Leads from where a restoration app had an original to where it is now
///
/// For what `safelight import --from restoration-app` has brought. Everybody is led to what is in a public bucket, others
/// only if they see it.
#[utoipa::path(get, path = "/uploads/{*path}", tag = "library", params(("path" = String, Path)),
    responses((status = 308), (status = 404)))]
async fn upload(State(app): State<App>, Path(path): Path<String>, parts: Parts) -> Result<Response, Problem> {
    redirect(&app, &format!("uploads/{path}"), parts).await
}

/// Leads from where a restoration app had a restored picture to where it is now
///
/// As for `/uploads`; of the pictures made from one original everybody may have the one that it is shared as.
#[utoipa::path(get, path = "/processed/{*path}", tag = "library", params(("path" = String, Path)),
    responses((status = 308), (status = 404)))]
async fn processed(
    State(app): State<App>,
    Path(path): Path<String>,
    parts: Parts,
) -> Result<Response, Problem> {
    redirect(&app, &format!("processed/{path}"), parts).await
}

/// Sends somebody from an old address to ours, if there is one for whoever asks.
pub(super) async fn redirect(app: &App, path: &str, mut parts: Parts) -> Result<Response, Problem> {
    let who = reader(app, &mut parts).await?;
    // The same words as for what is there and not theirs: nobody can tell the two apart.
    let led = lead(app, path, who).await?.ok_or(Error::NoSuchMedia)?;
    let location = format!("{}{}", app.config.server.base_path, led.path);
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    // Pages of other sites show what is public, and their browsers ask at each step whether they may.
    let (cache, policy) = match led.is_public {
        true => ("public, max-age=300", "cross-origin"),
        false => ("private, no-cache", "same-origin"),
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (RESOURCE_POLICY.clone(), HeaderValue::from_static(policy)),
    ];
    Ok((StatusCode::PERMANENT_REDIRECT, headers).into_response())
}

/// Who asks, if it is somebody who may read with what they come with. A token that is refused must not tell what is there
/// from what is not.
pub(super) async fn reader(app: &App, parts: &mut Parts) -> Result<Option<UserId>, Problem> {
    match <CurrentUser as OptionalFromRequestParts<App>>::from_request_parts(parts, app).await {
        Err(problem) if problem.status().is_server_error() => Err(problem),
        user => Ok(user.unwrap_or(None).filter(|user| user.covers(Permission::LibraryRead)).map(|u| u.id())),
    }
}
