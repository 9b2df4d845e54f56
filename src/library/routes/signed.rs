//! Addresses that anybody may use until they are over.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::presets::TransformText;
use crate::accounts::{Allowed, may};
use crate::api::{Client, Json, Path, Problem};
use crate::app::App;
use crate::clock::Timestamp;
use crate::library::limits::said;
use crate::library::{self, Life, MediaId, RenditionId, Signed, SignedUrl, Wish};

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SigningForm {
    /// For how many seconds the address is good, 60 to 31,536,000; a day where it is not said.
    expires_in_s: Option<u64>,
    /// The rendering that the address stands for; the bytes themselves where it is not said.
    transform: Option<TransformText>,
    /// The rendition that it stands for; null for the original. Where it is not said that is the one that the media is shared
    /// as.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<RenditionId>)]
    rendition_id: Option<Option<RenditionId>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedUrlView {
    /// The address.
    url: String,
    /// When it is over.
    expires_at: Timestamp,
}

const DAY_S: u64 = 24 * 60 * 60;

/// Signs the address of a media, for whoever is to have it without a login.
///
/// It stands for the content of now, also when there is a newer one later, and for nothing else. What a token signs is over
/// with the token at the latest; `expires_at` says when.
#[utoipa::path(post, path = "/media/{id}/signed-urls", tag = "library", params(("id" = MediaId, Path)),
    responses((status = 200, body = SignedUrlView), (status = 400), (status = 404), (status = 409), (status = 422)))]
pub(super) async fn sign(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    client: Client,
    Path(id): Path<MediaId>,
    uri: Uri,
    headers: HeaderMap,
    Json(form): Json<SigningForm>,
) -> Result<Json<SignedUrlView>, Problem> {
    let wish = form.transform.map_or(Ok(Wish::Original), |transform| transform.wish())?;
    let wanted = Duration::from_secs(form.expires_in_s.unwrap_or(DAY_S));
    let life = Life { wanted, until: user.ends_at() };
    let origin = origin(&app, &client, &uri, &headers);
    let what = match form.rendition_id {
        None => Signed::Shared,
        Some(None) => Signed::Original,
        Some(Some(rendition)) => Signed::Rendition(rendition),
    };
    let SignedUrl { url, expires_at } =
        library::sign_url(&app, &user.actor(), id, (what, wish), life, &origin).await?;
    Ok(Json(SignedUrlView { url, expires_at }))
}

/// What stands before `/storage` in an address: a CDN's host, ours as configured, or else the one of this request.
fn origin(app: &App, client: &Client, uri: &Uri, headers: &HeaderMap) -> String {
    let settings = app.settings.current();
    let configured = settings.delivery.public_base_url.as_ref().or(app.config.server.public_url.as_ref());
    let host = match configured {
        Some(url) => url.to_string(),
        None => {
            let named = || headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let scheme = if client.secure { "https" } else { "http" };
            let host = uri.authority().map(|authority| authority.as_str()).or_else(named);
            host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
        }
    };
    host + &app.config.server.base_path
}
