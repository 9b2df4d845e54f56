//! The members of a bucket.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Somewhere, existing};
use crate::accounts::{Allowed, UserId, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, Query};
use crate::app::App;
use crate::library::{self, BucketRole, Member, Person, Slug};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_members))
        .routes(routes!(put_member, remove_member))
        .routes(routes!(list_people))
}

/// Lists the members of a bucket
///
/// For those who manage it. Everybody else who sees it by the account's role is not named here.
#[utoipa::path(get, path = "/buckets/{slug}/members", tag = "library", params(("slug" = Slug, Path), PageQuery),
    responses((status = 200, body = Page<Member>), (status = 403), (status = 404)))]
async fn list_members(
    State(app): State<App>,
    user: Somewhere<may::BucketsManage>,
    Path(slug): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Member>>, Problem> {
    let slug = existing(&slug)?;
    let rows = library::list_members(&app, user.id().into(), &slug, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |member| member.user_id)))
}

#[derive(Debug, Deserialize, ToSchema)]
struct MemberRole {
    /// What the member is from now on.
    role: BucketRole,
}

/// Makes somebody a member of a bucket, or gives a member another role
///
/// For those who manage it. Membership gives more than the account's role and never less.
#[utoipa::path(put, path = "/buckets/{slug}/members/{user}", tag = "library",
    params(("slug" = Slug, Path), ("user" = UserId, Path)),
    responses((status = 200, body = Member), (status = 403), (status = 404), (status = 422)))]
async fn put_member(
    State(app): State<App>,
    user: Somewhere<may::BucketsManage>,
    Path((slug, member)): Path<(String, UserId)>,
    Json(MemberRole { role }): Json<MemberRole>,
) -> Result<Json<Member>, Problem> {
    // A token hands out nothing that it may not do itself.
    for permission in role.permissions() {
        user.require_cover(*permission)?;
    }
    Ok(Json(library::put_member(&app, &user.actor(), &existing(&slug)?, member, role).await?))
}

/// Takes somebody out of a bucket
///
/// For those who manage it; whoever is a member may also go.
#[utoipa::path(delete, path = "/buckets/{slug}/members/{user}", tag = "library",
    params(("slug" = Slug, Path), ("user" = UserId, Path)),
    responses((status = 204), (status = 403), (status = 404)))]
async fn remove_member(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path((slug, member)): Path<(String, UserId)>,
) -> Result<StatusCode, Problem> {
    user.require_cover(crate::accounts::Permission::BucketsManage)?;
    library::remove_member(&app, &user.actor(), &existing(&slug)?, member).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PeopleQuery {
    /// Only those whose name or email contains this.
    q: Option<String>,
}

/// Lists people who could become members of a bucket, by name, the first twenty
///
/// For those who manage it.
#[utoipa::path(get, path = "/buckets/{slug}/people", tag = "library", params(("slug" = Slug, Path), PeopleQuery),
    responses((status = 200, body = Page<Person>), (status = 403), (status = 404)))]
async fn list_people(
    State(app): State<App>,
    user: Somewhere<may::BucketsManage>,
    Path(slug): Path<String>,
    Query(PeopleQuery { q }): Query<PeopleQuery>,
) -> Result<Json<Page<Person>>, Problem> {
    let text = q.unwrap_or_default();
    Ok(Json(Page::whole(library::list_people(&app, user.id().into(), &existing(&slug)?, &text).await?)))
}
