//! Looking before asking: previews and proposals over HTTP. Nothing is changed by them.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::BODY_BYTES_MAX;
use crate::accounts::{Allowed, may};
use crate::api::{Json, Path, Problem, ProblemBody};
use crate::app::App;
use crate::engine::builtin::Measured;
use crate::library::{MediaId, Somewhere, VersionId};
use crate::restore::model::decode_mask;
use crate::restore::preview::{self, Wish};
use crate::restore::{AskedStep, damage};

/// Says whether a preview rests on measurements at exactly these strengths: `exact` or `nearby`.
const MEASURED: HeaderName = HeaderName::from_static("safelight-measured");

/// Names the steps that a preview leaves out.
const LEFT_OUT: HeaderName = HeaderName::from_static("safelight-left-out");

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(post_preview))
        .routes(routes!(post_damage))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// A part of a picture as displayed, in pixels.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
struct Region {
    /// The first column.
    x: u32,
    /// The first row.
    y: u32,
    /// Columns.
    width: u32,
    /// Rows.
    height: u32,
}

/// What to show.
#[derive(Debug, Deserialize, ToSchema)]
struct PreviewRequest {
    /// Which version; the current one where it is not said.
    version_id: Option<VersionId>,
    /// The steps; those of models on other machines can't be shown.
    #[serde(default)]
    steps: Vec<AskedStep>,
    /// Whether the steps are run in the order in which they stand here instead of the engine's own.
    #[serde(default)]
    in_order: bool,
    /// Which part, of at most 16 megapixels.
    region: Region,
    /// The longest side of what is sent; the part's own size where it is not said.
    max_side: Option<u32>,
    /// Where the picture is damaged, as in a restoration.
    mask: Option<String>,
    /// Whether everything has to be measured at just these strengths, which takes as long as a restoration. Else what a
    /// step has measured when the steps before it had other strengths is good enough, if there is nothing better yet.
    #[serde(default)]
    exact: bool,
    /// Whether to send PNG instead of JPEG. Pictures with alpha are always sent as PNG.
    #[serde(default)]
    lossless: bool,
}

/// Shows what steps would make of a part of a picture
///
/// Steps look at the whole picture to find out what is to be done, the first time and when steps before them are switched on
/// or off; then a part takes as long as a part. Enlarging is left out: the part is shown at its own size. A newer preview of
/// the same picture for the same person ends this one with 409 `superseded`.
#[utoipa::path(post, path = "/media/{id}/preview", tag = "restorations", request_body = PreviewRequest,
    params(("id" = MediaId, Path)), responses(
        (status = 200, body = Vec<u8>, content_type = "image/jpeg", headers(
            ("Safelight-Measured" = String, description = "`exact`, or `nearby` if a step was measured when those before it had other strengths"),
            ("Safelight-Left-Out" = String, description = "Steps that the preview leaves out, such as `upscale`")
        )),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody),
        (status = 503, body = ProblemBody)
    ))]
async fn post_preview(
    State(app): State<App>,
    user: Somewhere<may::Restore>,
    Path(media): Path<MediaId>,
    Json(wanted): Json<PreviewRequest>,
) -> Result<Response, Problem> {
    let mask = wanted.mask.as_deref().map(decode_mask).transpose()?;
    let Region { x, y, width, height } = wanted.region;
    if wanted.max_side == Some(0) {
        return Err(
            Problem::validation("The longest side is at least one pixel.").field("max_side", "At least 1.")
        );
    }
    let wish = Wish {
        version: wanted.version_id,
        steps: wanted.steps,
        in_order: wanted.in_order,
        region: (x, y, width, height),
        max_side: wanted.max_side,
        mask,
        exact: wanted.exact,
        lossless: wanted.lossless,
    };
    let shown = preview::show(&app, user.id(), media, wish).await?;
    let measured = match shown.measured {
        Measured::Exactly => "exact",
        Measured::Nearby => "nearby",
    };
    let left_out: Vec<&str> = shown.left_out.iter().map(|step| step.as_str()).collect();
    let mut answer = picture(shown.format.content_type(), shown.bytes);
    answer.headers_mut().insert(MEASURED, HeaderValue::from_static(measured));
    if let Ok(left_out) = HeaderValue::from_str(&left_out.join(", "))
        && !left_out.is_empty()
    {
        answer.headers_mut().insert(LEFT_OUT, left_out);
    }
    Ok(answer)
}

/// What to look for.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct DamageRequest {
    /// Which version; the current one where it is not said.
    version_id: Option<VersionId>,
    /// Where damage was marked, as in a restoration: what is like it is found too.
    mask: Option<String>,
}

/// Proposes where a picture is damaged
///
/// The answer is a gray PNG of the size that the picture has when displayed, white where it is damaged. Without a mask it is
/// what looks like scratches, dust or cracks; with one, what is marked there and what is like that.
#[utoipa::path(post, path = "/media/{id}/damage", tag = "restorations", request_body = DamageRequest,
    params(("id" = MediaId, Path)), responses(
        (status = 200, body = Vec<u8>, content_type = "image/png"),
        (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)
    ))]
async fn post_damage(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(media): Path<MediaId>,
    Json(wanted): Json<DamageRequest>,
) -> Result<Response, Problem> {
    let seed = wanted.mask.as_deref().map(decode_mask).transpose()?;
    let file = damage::propose(&app, user.id(), media, wanted.version_id, seed).await?;
    Ok(picture("image/png", file))
}

fn picture(content_type: &'static str, bytes: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, bytes).into_response()
}
