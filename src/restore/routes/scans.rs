//! Scans over HTTP: what lies on them, and the pictures that are cut out.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, Path, Problem, ProblemBody};
use crate::app::App;
use crate::imaging::{Point, Print};
use crate::jobs::{JobId, JobState};
use crate::library::{self, Media, MediaId, Somewhere, VersionId};
use crate::restore::scans::{self, Wanted};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find_prints)).routes(routes!(split_scan, get_scan_pictures))
}

/// Which version is looked at.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct ScanRequest {
    /// The current one where it is not said.
    version_id: Option<VersionId>,
}

/// What lies on a scan.
#[derive(Debug, Serialize, ToSchema)]
struct Scan {
    /// The version that was looked at.
    version_id: VersionId,
    /// Width of the scan in pixels as displayed.
    width: u32,
    /// Height of the scan in pixels as displayed.
    height: u32,
    /// The prints in the order in which one reads; none where no lid can be told from what lies on it.
    pictures: Vec<ScanPicture>,
}

/// A print on a scan.
#[derive(Debug, Serialize, ToSchema)]
struct ScanPicture {
    /// Its corners in displayed pixels, clockwise from the top left of what one sees when it lies straight.
    #[schema(value_type = Vec<Vec<f64>>)]
    corners: [Point; 4],
    /// How far it is turned clockwise, in degrees, -45 to 45.
    angle: f64,
    /// In pixels.
    width: f64,
    /// In pixels.
    height: f64,
    /// How many quarter turns clockwise it seems to need to be upright. That can't be seen from its edges, so it is 0.
    quarter_turns: u8,
    /// How sure it is that this is one whole print, 0 to 1.
    confidence: f64,
}

impl From<Print> for ScanPicture {
    fn from(print: Print) -> Self {
        let tenth = |value: f64| (value * 10.0).round() / 10.0;
        let hundredth = |value: f64| (value * 100.0).round() / 100.0;
        Self {
            corners: print.corners.map(|(x, y)| (tenth(x), tenth(y))),
            angle: hundredth(print.angle),
            width: tenth(print.width),
            height: tenth(print.height),
            quarter_turns: 0,
            confidence: hundredth(print.confidence),
        }
    }
}

/// Finds the prints on a scan
///
/// Nothing is changed. The pictures can be handed to the next route as they are, or after somebody has moved their corners.
#[utoipa::path(post, path = "/media/{id}/scan", tag = "scans", request_body = ScanRequest,
    params(("id" = MediaId, Path)), responses(
        (status = 200, body = Scan),
        (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)
    ))]
async fn find_prints(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(media): Path<MediaId>,
    Json(wanted): Json<ScanRequest>,
) -> Result<Json<Scan>, Problem> {
    let (version_id, (width, height), prints) =
        scans::look(&app, user.id(), media, wanted.version_id).await?;
    Ok(Json(Scan {
        version_id,
        width,
        height,
        pictures: prints.into_iter().map(ScanPicture::from).collect(),
    }))
}

/// What to cut out of a scan.
#[derive(Debug, Deserialize, ToSchema)]
struct SplitRequest {
    /// Which version; the current one where it is not said.
    version_id: Option<VersionId>,
    /// The pictures, 1 to 64.
    pictures: Vec<Wanted>,
    /// The folder that they come into, in the scan's bucket; that of the scan where it is not said.
    folder: Option<String>,
}

/// The work that was begun.
#[derive(Debug, Serialize, ToSchema)]
struct Splitting {
    /// Which job; events named `scan` tell how it stands.
    id: JobId,
    /// Where it stands.
    state: JobState,
}

/// Cuts pictures out of a scan
///
/// Each becomes a photograph of its own, straightened, in the scan's format, with its profile and EXIF. The scan stays. An
/// event `scan` with `{media_id, job_id, state, progress, items, error}` tells how it goes; all pictures come together, or
/// none.
#[utoipa::path(post, path = "/media/{id}/scan/pictures", tag = "scans", request_body = SplitRequest,
    params(("id" = MediaId, Path)), responses(
        (status = 202, body = Splitting),
        (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody)
    ))]
async fn split_scan(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Path(media): Path<MediaId>,
    Json(wanted): Json<SplitRequest>,
) -> Result<(StatusCode, Json<Splitting>), Problem> {
    let SplitRequest { version_id, pictures, folder } = wanted;
    let id = scans::split(&app, &user.actor(), user.id(), media, version_id, pictures, folder).await?;
    Ok((StatusCode::ACCEPTED, Json(Splitting { id, state: JobState::Queued })))
}

/// The pictures that were cut out of a scan
#[utoipa::path(get, path = "/media/{id}/scan/pictures", tag = "scans", params(("id" = MediaId, Path)),
    responses((status = 200, body = Page<Media>), (status = 404, body = ProblemBody)))]
async fn get_scan_pictures(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(media): Path<MediaId>,
) -> Result<Json<Page<Media>>, Problem> {
    Ok(Json(Page::whole(library::list_of_scan(&app, user.id(), media).await?)))
}
