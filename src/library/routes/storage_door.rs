//! `/storage/{bucket}/{key…}`: delivery by name, for everybody, for readers, and for whoever has a signed address.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::content::{self, ContentQuery, Pairs};
use super::old_addresses::{self, reader, redirect};
use crate::api::{Path, Problem, Query, Sharing};
use crate::app::App;
use crate::library::address::may_read;
use crate::library::{Address, Error, Lookups, Right, Signature, find_by_address};

/// What pages of the sites that a bucket names may send and read.
const SHARING: Sharing = Sharing {
    methods: "GET, HEAD",
    headers: "accept, authorization, if-match, if-modified-since, if-none-match, if-range, range",
    exposed: "accept-ranges, content-disposition, content-length, content-range, etag",
};

/// The door of delivery, at the top of all addresses, with those of links from elsewhere.
pub fn storage_router() -> OpenApiRouter<App> {
    let door = OpenApiRouter::new().routes(routes!(fetch, preflight)).layer(Extension(Lookups::default()));
    door.merge(old_addresses::router())
}

/// Sends a file by its name, or a rendering of it
///
/// From a public bucket everybody may have the files themselves and their presets. Whoever sees the bucket may have
/// everything; anybody may have what a signed address says, until it is over. Addresses of signed files come from
/// `POST /media/{id}/signed-urls` and have the parameters `v`, `expires`, `kid` and `signature`. Pages of the sites that
/// the bucket names in `cors_origins` may read the answer.
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
    let origins = lookups.origins(&app, &bucket).await?;
    let headers = request.headers().clone();
    let answer = send(&app, &lookups, (bucket, key), &pairs, &method, request).await;
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    SHARING.share(&mut response, &origins, &headers);
    Ok(response)
}

/// Tells a browser whether pages of another site may ask for a file
#[utoipa::path(options, path = "/storage/{bucket}/{*key}", tag = "library",
    params(("bucket" = String, Path), ("key" = String, Path)), responses((status = 204)))]
async fn preflight(
    State(app): State<App>,
    Extension(lookups): Extension<Lookups>,
    Path((bucket, _key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let origins = lookups.origins(&app, &bucket).await?;
    Ok(SHARING.preflight(&origins, &headers))
}

async fn send(
    app: &App,
    lookups: &Lookups,
    (bucket, key): (String, String),
    pairs: &Pairs,
    method: &Method,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let old_path = format!("storage/{bucket}/{key}");
    let address = Address {
        bucket,
        key,
        version: pairs.find("v").map(str::to_owned),
        wish: pairs.wish()?,
        signature: Signature::read(pairs.iter())?,
    };
    let is_signed = address.signature.is_some();
    let found = match find_by_address(app, lookups, address).await {
        // Another program may have had something there that lies elsewhere now.
        Err(Error::NoSuchMedia) if !is_signed => return redirect(app, &old_path, parts).await,
        found => found?,
    };
    let right = match found.right {
        Ok(right) => right,
        // Who asks is found out only where it matters: that takes a question to the database.
        Err(refusal) => match reader(app, &mut parts).await? {
            Some(user) if may_read(app, user, found.bucket).await? => Right::Reader,
            _ => return Err(refusal.into()),
        },
    };
    let wanted = pairs.wanted(found.rendering?, method, &parts.headers);
    content::send_by(app, &found.content, &wanted, right).await
}
