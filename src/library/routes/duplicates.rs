//! The review of what is there twice.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Somewhere, existing};
use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, PageQuery, Problem, Query};
use crate::app::App;
use crate::library::{self, Group, Likeness, MediaId};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_duplicates)).routes(routes!(dismiss_duplicates))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DuplicateQuery {
    /// Only media in this bucket.
    bucket: Option<String>,
    /// Only groups of the same bytes, or only of pictures that hardly differ.
    kind: Option<Likeness>,
}

/// Lists groups of media that show the same, the newest first.
#[utoipa::path(get, path = "/duplicates", tag = "library", params(DuplicateQuery, PageQuery),
    responses((status = 200, body = Page<Group>)))]
async fn list_duplicates(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(DuplicateQuery { bucket, kind }): Query<DuplicateQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Group>>, Problem> {
    let bucket = bucket.as_deref().map(existing).transpose()?;
    let (rows, after) = (page.limit() + 1, page.after()?);
    let groups = library::list_duplicates(&app, bucket, kind, Some(user.id()), after, rows).await?;
    Ok(Json(Page::of(groups, page.limit(), |group| group.leader)))
}

#[derive(Debug, Deserialize, ToSchema)]
struct Dismissal {
    /// The media of a group; at most a hundred.
    ids: Vec<MediaId>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Dismissed {
    /// Pairs that are not shown any more.
    dismissed: u64,
}

/// Says that some media are all wanted although they are alike.
#[utoipa::path(post, path = "/duplicates/dismiss", tag = "library", responses((status = 200, body = Dismissed)))]
async fn dismiss_duplicates(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Json(Dismissal { ids }): Json<Dismissal>,
) -> Result<Json<Dismissed>, Problem> {
    let dismissed = library::dismiss_duplicates(&app, &user.actor(), ids).await?;
    Ok(Json(Dismissed { dismissed }))
}
