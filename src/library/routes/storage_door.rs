//! `/storage/{bucket}/{key…}`: delivery by name, for everybody, for readers, and for whoever has a signed address.

use axum::Extension;
use axum::extract::{OptionalFromRequestParts, Request, State};
use axum::http::Method;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::content::{self, ContentQuery, Pairs};
use crate::accounts::{CurrentUser, Permission};
use crate::api::{Path, Problem, Query};
use crate::app::App;
use crate::library::{Address, Lookups, Right, Signature, find_by_address};

/// The door of delivery, at the top of all addresses.
pub fn storage_router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(fetch)).layer(Extension(Lookups::default()))
}

/// Sends a file by its name, or a rendering of it
///
/// From a public bucket everybody may have the files themselves and their presets. Whoever may read the library may
/// have everything; anybody may have what a signed address says, until it is over. Addresses of signed files come from
/// `POST /media/{id}/signed-urls` and have the parameters `v`, `expires`, `kid` and `signature`.
#[utoipa::path(get, path = "/storage/{bucket}/{*key}", tag = "library",
    params(("bucket" = String, Path), ("key" = String, Path), ContentQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 304),
        (status = 400), (status = 403), (status = 404), (status = 416), (status = 422)))]
async fn fetch(
    State(app): State<App>,
    Extension(lookups): Extension<Lookups>,
    Path((bucket, key)): Path<(String, String)>,
    Query(pairs): Query<Pairs>,
    method: Method,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let address = Address {
        bucket,
        key,
        version: pairs.find("v").map(str::to_owned),
        wish: pairs.wish()?,
        signature: Signature::read(pairs.iter())?,
    };
    let found = find_by_address(&app, &lookups, address).await?;
    let right = match found.right {
        Ok(right) => right,
        // Who asks is found out only where it matters: that takes a question to the database.
        Err(refusal) => {
            let user =
                <CurrentUser as OptionalFromRequestParts<App>>::from_request_parts(&mut parts, &app).await;
            // A token that is refused must not tell what is there from what is not.
            let user = match user {
                Err(problem) if problem.status().is_server_error() => return Err(problem),
                user => user.unwrap_or(None),
            };
            if !user.is_some_and(|user| user.may(Permission::LibraryRead)) {
                return Err(refusal.into());
            }
            Right::Reader
        }
    };
    let wanted = pairs.wanted(found.rendering?, &method, &parts.headers);
    content::send_by(&app, &found.content, &wanted, right).await
}
