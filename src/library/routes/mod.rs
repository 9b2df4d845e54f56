//! The HTTP side of the library: wire types, thin handlers, and the one translation of a delivery into headers.

mod byteranges;
mod content;
mod duplicates;
mod limits;
mod members;
mod old_addresses;
mod organise;
mod presets;
mod signed;
mod somewhere;
mod storage_door;
mod upload;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::limits::said;
use super::model::{
    Bucket, Folder, Media, MediaId, OnConflict, Position, Rendition, RenditionId, Search, Slug, Sort,
    Version, VersionId,
};
use super::{BucketChange, Change, Content, Error, Fact, NewBucket, buckets};
use crate::accounts::{Allowed, Permission, may};
use crate::api::{Json, Page, PageQuery, Path, Problem, Query, as_sentence};
use crate::app::App;
use crate::audit::UserId;
use crate::storage;
pub use content::{ContentQuery, Pairs, send};
pub use somewhere::Somewhere;
pub use storage_door::storage_router;
use upload::{UploadForm, Uploaded};

/// The routes of this room, below `/api/v1`.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_buckets, add_bucket))
        .routes(routes!(get_bucket, change_bucket, remove_bucket))
        .routes(routes!(list_folders, add_folder, organise::remove_folder))
        .routes(routes!(list_media, upload_media))
        .routes(routes!(get_media, change_media, remove_media))
        .routes(routes!(untrash))
        .routes(routes!(content))
        .routes(routes!(metadata))
        .routes(routes!(list_versions))
        .routes(routes!(version_content))
        .routes(routes!(list_renditions))
        .routes(routes!(get_rendition, remove_rendition))
        .routes(routes!(rendition_content))
        .routes(routes!(signed::sign))
        .routes(routes!(presets::list))
        .routes(routes!(presets::put, presets::remove))
        .merge(organise::router())
        .merge(duplicates::router())
        .merge(limits::router())
        .merge(members::router())
}

/// Lists the buckets.
#[utoipa::path(get, path = "/buckets", tag = "library", params(PageQuery), responses((status = 200, body = Page<Bucket>)))]
async fn list_buckets(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Bucket>>, Problem> {
    let rows = super::list_buckets(&app, user.id(), page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |bucket| bucket.slug.clone())))
}

/// Makes a bucket.
#[utoipa::path(post, path = "/buckets", tag = "library", responses((status = 201, body = Bucket)))]
async fn add_bucket(
    State(app): State<App>,
    user: Allowed<may::BucketsManage>,
    Json(new): Json<NewBucket>,
) -> Result<(StatusCode, Json<Bucket>), Problem> {
    Ok((StatusCode::CREATED, Json(super::add_bucket(&app, &user.actor(), new).await?)))
}

/// Shows a bucket.
#[utoipa::path(get, path = "/buckets/{slug}", tag = "library", params(("slug" = Slug, Path)),
    responses((status = 200, body = Bucket)))]
async fn get_bucket(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(slug): Path<String>,
) -> Result<Json<Bucket>, Problem> {
    Ok(Json(super::get_bucket_for(&app, user.id(), &existing(&slug)?).await?))
}

/// Changes a bucket's name, who may see and use it, or its limits
///
/// For those who manage it; how much it may hold is the say of those who manage all buckets.
#[utoipa::path(patch, path = "/buckets/{slug}", tag = "library", params(("slug" = Slug, Path)),
    responses((status = 200, body = Bucket), (status = 403), (status = 404), (status = 422)))]
async fn change_bucket(
    State(app): State<App>,
    user: Somewhere<may::BucketsManage>,
    Path(slug): Path<String>,
    Json(change): Json<BucketChange>,
) -> Result<Json<Bucket>, Problem> {
    Ok(Json(super::change_bucket(&app, &user.actor(), &existing(&slug)?, change).await?))
}

/// Removes an empty bucket.
#[utoipa::path(delete, path = "/buckets/{slug}", tag = "library", params(("slug" = Slug, Path)),
    responses((status = 204), (status = 409)))]
async fn remove_bucket(
    State(app): State<App>,
    user: Allowed<may::BucketsManage>,
    Path(slug): Path<String>,
) -> Result<StatusCode, Problem> {
    super::remove_bucket(&app, &user.actor(), &existing(&slug)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FolderQuery {
    /// The folder whose folders are listed; the top where it is not said.
    parent: Option<String>,
    /// Rows wanted, 1 to 500; 100 where it is not said.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the folders in a folder.
#[utoipa::path(get, path = "/buckets/{slug}/folders", tag = "library", params(("slug" = Slug, Path), FolderQuery),
    responses((status = 200, body = Page<Folder>)))]
async fn list_folders(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(slug): Path<String>,
    Query(query): Query<FolderQuery>,
) -> Result<Json<Page<Folder>>, Problem> {
    let FolderQuery { parent, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let parent = parent.unwrap_or_default();
    let (slug, rows) = (existing(&slug)?, page.limit() + 1);
    let rows = super::list_folders(&app, user.id(), &slug, &parent, page.after()?, rows).await?;
    Ok(Json(Page::of(rows, page.limit(), buckets::folder_position)))
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewFolder {
    /// Its path from the top of the bucket; parents that are missing are made.
    path: String,
}

/// Makes a folder.
#[utoipa::path(post, path = "/buckets/{slug}/folders", tag = "library", params(("slug" = Slug, Path)),
    responses((status = 201, body = Folder)))]
async fn add_folder(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Path(slug): Path<String>,
    Json(new): Json<NewFolder>,
) -> Result<(StatusCode, Json<Folder>), Problem> {
    let folder = super::add_folder(&app, &user.actor(), &existing(&slug)?, &new.path).await?;
    Ok((StatusCode::CREATED, Json(folder)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OrderQuery {
    /// `created`, `name`, `taken` or `size`, with `-` before it for the other direction; `-created` where it is not said.
    sort: Option<String>,
    /// Begins with this media, or where it would stand, instead of at the beginning.
    from: Option<MediaId>,
    /// Shows what stands just before this media, in the same order; `next_cursor` then leads on towards the beginning.
    before: Option<MediaId>,
}

/// A cursor of a list of media: its order, where its page ended, and whether it leads back to the beginning.
type Cursor = (Sort, Position, bool);

/// Lists media.
#[utoipa::path(get, path = "/media", tag = "library", params(Search, OrderQuery, PageQuery),
    responses((status = 200, body = Page<Media>)))]
async fn list_media(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Query(search): Query<Search>,
    Query(order): Query<OrderQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Media>>, Problem> {
    let sort = order.sort.as_deref().map(Sort::parse).transpose()?.unwrap_or_default();
    let filter = search.filter(Some(user.id()))?;
    let (after, back) = start(&app, user.id(), &order, sort, page.after()?).await?;
    let walked = if back { sort.reversed() } else { sort };
    let rows = super::list(&app, filter, walked, after, page.limit() + 1).await?;
    let mut page = Page::of(rows, page.limit(), |media| (sort, media.position(sort), back));
    if back {
        page.items.reverse();
    }
    Ok(Json(page))
}

/// Where a page of a list begins, and whether it goes back from there.
async fn start(
    app: &App,
    user: UserId,
    order: &OrderQuery,
    sort: Sort,
    cursor: Option<Cursor>,
) -> Result<(Option<Position>, bool), Problem> {
    match (cursor, order.before, order.from) {
        (Some((order, ..)), ..) if order != sort => Err(foreign_cursor()),
        (Some((_, position, back)), ..) => Ok((Some(position), back)),
        (None, Some(id), _) => {
            Ok((Some(super::get_for(app, user, id, Permission::LibraryRead).await?.position(sort)), true))
        }
        (None, None, Some(id)) => {
            let from = super::get_for(app, user, id, Permission::LibraryRead).await?;
            Ok((Some(from.position(sort).including(sort)), false))
        }
        (None, None, None) => Ok((None, false)),
    }
}

fn foreign_cursor() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-cursor", "The cursor belongs to another order.")
}

/// Uploads files.
#[utoipa::path(post, path = "/media", tag = "library",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 201, body = Uploaded), (status = 408), (status = 409), (status = 413), (status = 422),
        (status = 507)))]
async fn upload_media(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    request: Request,
) -> Result<Response, Problem> {
    upload::upload(&app, &user.actor(), request, upload::IDLE).await
}

/// Shows a media.
#[utoipa::path(get, path = "/media/{id}", tag = "library", params(("id" = MediaId, Path)),
    responses((status = 200, body = Media)))]
async fn get_media(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<MediaId>,
) -> Result<Json<Media>, Problem> {
    Ok(Json(super::get_for(&app, user.id(), id, Permission::LibraryRead).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
struct MediaChange {
    /// Its name from now on.
    name: Option<String>,
    /// The slug of the bucket that it lies in from now on.
    bucket: Option<String>,
    /// The folder that it lies in from now on.
    folder: Option<String>,
    /// What to do when the name is taken there; `refuse` where it is not said. `replace` moves what is there to the
    /// trash.
    on_conflict: Option<OnConflict>,
    /// What is said about it from now on; empty for nothing.
    description: Option<String>,
    /// All its tags from now on.
    tags: Option<Vec<String>>,
    /// Whether you like it best. This alone needs no right to change anything.
    favourite: Option<bool>,
    /// The rendition that public and newly signed addresses stand for from now on; null for the original.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<RenditionId>)]
    shared_rendition_id: Option<Option<RenditionId>>,
}

/// Renames, moves, describes, tags or marks a media.
#[utoipa::path(patch, path = "/media/{id}", tag = "library", params(("id" = MediaId, Path)),
    responses((status = 200, body = Media), (status = 409)))]
async fn change_media(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<MediaId>,
    Json(change): Json<MediaChange>,
) -> Result<Json<Media>, Problem> {
    let MediaChange { name, bucket, folder, on_conflict, description, tags, favourite, shared_rendition_id } =
        change;
    let only_favourite = favourite.is_some()
        && name.is_none()
        && bucket.is_none()
        && folder.is_none()
        && description.is_none()
        && tags.is_none()
        && shared_rendition_id.is_none();
    if !only_favourite {
        user.require_cover(Permission::LibraryWrite)?;
    }
    if on_conflict == Some(OnConflict::Replace) {
        // What is there goes to the trash.
        user.require_cover(Permission::LibraryDelete)?;
    }
    let bucket = bucket.as_deref().map(existing).transpose()?;
    let shared_rendition = shared_rendition_id;
    let change = Change { name, bucket, folder, on_conflict, description, tags, favourite, shared_rendition };
    Ok(Json(super::change(&app, &user.actor(), id, change).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RemovalQuery {
    /// Removes from the trash for good instead of moving there.
    purge: Option<bool>,
}

/// Moves a media to the trash, or removes it from there.
#[utoipa::path(delete, path = "/media/{id}", tag = "library", params(("id" = MediaId, Path), RemovalQuery),
    responses((status = 204), (status = 409)))]
async fn remove_media(
    State(app): State<App>,
    user: Somewhere<may::LibraryDelete>,
    Path(id): Path<MediaId>,
    Query(query): Query<RemovalQuery>,
) -> Result<StatusCode, Problem> {
    if query.purge.unwrap_or(false) {
        super::purge(&app, &user.actor(), id).await?;
    } else {
        super::trash(&app, &user.actor(), id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a media back from the trash.
#[utoipa::path(post, path = "/media/{id}/untrash", tag = "library", params(("id" = MediaId, Path)),
    responses((status = 200, body = Media)))]
async fn untrash(
    State(app): State<App>,
    user: Somewhere<may::LibraryDelete>,
    Path(id): Path<MediaId>,
) -> Result<Json<Media>, Problem> {
    Ok(Json(super::untrash(&app, &user.actor(), id).await?))
}

/// Sends the current content, or a rendering of it.
#[utoipa::path(get, path = "/media/{id}/content", tag = "library", params(("id" = MediaId, Path), ContentQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 304),
        (status = 400), (status = 416), (status = 422)))]
async fn content(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<MediaId>,
    Query(pairs): Query<Pairs>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let media = super::get_for(&app, user.id(), id, Permission::LibraryRead).await?;
    content::send(&app, &Content::current(&media), &pairs, &method, &headers).await
}

/// Tells what the file says about itself.
#[utoipa::path(get, path = "/media/{id}/metadata", tag = "library", params(("id" = MediaId, Path)),
    responses((status = 200, body = Page<Fact>)))]
async fn metadata(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<MediaId>,
) -> Result<Json<Page<Fact>>, Problem> {
    Ok(Json(Page::whole(super::list_facts(&app, user.id(), id).await?)))
}

/// Lists the contents that a media has had.
#[utoipa::path(get, path = "/media/{id}/versions", tag = "library", params(("id" = MediaId, Path), PageQuery),
    responses((status = 200, body = Page<Version>)))]
async fn list_versions(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<MediaId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Version>>, Problem> {
    let rows = super::list_versions(&app, user.id(), id, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |version| version.number)))
}

/// Sends one of the contents that a media has had.
#[utoipa::path(get, path = "/media/{id}/versions/{version}/content", tag = "library",
    params(("id" = MediaId, Path), ("version" = VersionId, Path), ContentQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 304),
        (status = 400), (status = 416), (status = 422)))]
async fn version_content(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path((id, version)): Path<(MediaId, VersionId)>,
    Query(pairs): Query<Pairs>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let read = Permission::LibraryRead;
    let (media, version) = super::get_version_for(&app, user.id(), id, Some(version), read).await?;
    content::send(&app, &Content::version(&media, &version), &pairs, &method, &headers).await
}

/// Lists the pictures that were made from a media.
#[utoipa::path(get, path = "/media/{id}/renditions", tag = "library", params(("id" = MediaId, Path), PageQuery),
    responses((status = 200, body = Page<Rendition>)))]
async fn list_renditions(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path(id): Path<MediaId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Rendition>>, Problem> {
    let rows = super::list_renditions(&app, user.id(), id, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |rendition| rendition.id)))
}

/// Shows a rendition.
#[utoipa::path(get, path = "/media/{id}/renditions/{rendition}", tag = "library",
    params(("id" = MediaId, Path), ("rendition" = RenditionId, Path)), responses((status = 200, body = Rendition)))]
async fn get_rendition(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path((id, rendition)): Path<(MediaId, RenditionId)>,
) -> Result<Json<Rendition>, Problem> {
    Ok(Json(super::get_rendition(&app, user.id(), id, rendition).await?.1))
}

/// Removes a rendition for good.
#[utoipa::path(delete, path = "/media/{id}/renditions/{rendition}", tag = "library",
    params(("id" = MediaId, Path), ("rendition" = RenditionId, Path)), responses((status = 204)))]
async fn remove_rendition(
    State(app): State<App>,
    user: Somewhere<may::LibraryDelete>,
    Path((id, rendition)): Path<(MediaId, RenditionId)>,
) -> Result<StatusCode, Problem> {
    super::remove_rendition(&app, &user.actor(), id, rendition).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a rendition, or a rendering of it.
#[utoipa::path(get, path = "/media/{id}/renditions/{rendition}/content", tag = "library",
    params(("id" = MediaId, Path), ("rendition" = RenditionId, Path), ContentQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 304),
        (status = 400), (status = 416), (status = 422)))]
async fn rendition_content(
    State(app): State<App>,
    user: Allowed<may::LibraryRead>,
    Path((id, rendition)): Path<(MediaId, RenditionId)>,
    Query(pairs): Query<Pairs>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (_, rendition) = super::get_rendition(&app, user.id(), id, rendition).await?;
    content::send(&app, &Content::rendition(&rendition), &pairs, &method, &headers).await
}

/// A slug in a path: what can't be one names nothing.
fn existing(slug: &str) -> Result<Slug, Error> {
    Slug::parse(slug).map_err(|_| Error::NoSuchBucket)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let refuse = |status, code, detail: &dyn std::fmt::Display| Self::new(status, code, sentence(detail));
        match &error {
            Error::NoSuchBucket => Self::not_found("bucket"),
            Error::NoSuchMember => Self::not_found("member"),
            Error::Forbidden => Self::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "What you are in this bucket does not allow this. Those who manage the bucket can change that.",
            ),
            Error::QuotaIsNotYours => refuse(StatusCode::FORBIDDEN, "forbidden", &error),
            Error::TagShared => refuse(StatusCode::CONFLICT, "tag-shared", &error),
            Error::BadOrigin { .. } => {
                Self::validation(sentence(&error)).field("cors_origins", sentence(&error))
            }
            Error::NoSuchMedia => Self::not_found("photograph or file"),
            Error::NoSuchVersion => Self::not_found("version"),
            Error::NoSuchRendition => Self::not_found("rendition"),
            Error::RenditionShared => refuse(StatusCode::CONFLICT, "rendition-shared", &error),
            Error::RenditionOutdated => refuse(StatusCode::CONFLICT, "rendition-outdated", &error),
            Error::NoSuchPreset => Self::not_found("preset"),
            Error::NoSuchFolder => Self::not_found("folder"),
            Error::NoSuchTag => Self::not_found("tag"),
            Error::NoSuchRun => Self::not_found("bulk action"),
            Error::FolderTaken { .. } => refuse(StatusCode::CONFLICT, "folder-taken", &error),
            Error::TagTaken { .. } => refuse(StatusCode::CONFLICT, "tag-taken", &error),
            Error::FolderInItself => Self::validation(sentence(&error)).field("to", sentence(&error)),
            Error::BadTag | Error::TooManyTags { .. } => {
                Self::validation(sentence(&error)).field("tags", sentence(&error))
            }
            Error::TooLong { field, .. } => {
                Self::validation(sentence(&error)).field(*field, sentence(&error))
            }
            Error::NoSuchUser => Self::not_found("user"),
            Error::QuotaExceeded { .. } => refuse(StatusCode::INSUFFICIENT_STORAGE, "quota-exceeded", &error),
            Error::TypeNotAllowed { .. } => {
                refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "type-not-allowed", &error)
            }
            Error::BadLimit { field, .. } => {
                Self::validation(sentence(&error)).field(*field, sentence(&error))
            }
            Error::BadMediaType { .. } => {
                Self::validation(sentence(&error)).field("allowed_types", sentence(&error))
            }
            Error::NoGoal => Self::validation(sentence(&error)).field("folder", sentence(&error)),
            Error::TooManyIds { .. } => Self::validation(sentence(&error)).field("ids", sentence(&error)),
            Error::NoBucket => refuse(StatusCode::CONFLICT, "no-bucket", &error),
            Error::BadName { why, .. } => {
                refuse(StatusCode::UNPROCESSABLE_ENTITY, "bad-name", &error).field("name", *why)
            }
            Error::BadSlug => Self::validation(sentence(&error)).field("slug", sentence(&error)),
            Error::BadBucketName => Self::validation(sentence(&error)).field("name", sentence(&error)),
            Error::BadFilter { field, allowed } => Self::new(
                StatusCode::BAD_REQUEST,
                "bad-query",
                "The address has a parameter that can't be read.",
            )
            .field(*field, format!("It may be {allowed}.")),
            Error::NameTaken { .. } => refuse(StatusCode::CONFLICT, "name-taken", &error),
            Error::SlugTaken => refuse(StatusCode::CONFLICT, "slug-taken", &error),
            Error::BucketNotEmpty { .. } => refuse(StatusCode::CONFLICT, "bucket-not-empty", &error),
            Error::InTrash => refuse(StatusCode::CONFLICT, "in-trash", &error),
            Error::NotInTrash => refuse(StatusCode::CONFLICT, "not-in-trash", &error),
            Error::BadTransform(bad) => {
                Self::new(StatusCode::BAD_REQUEST, "bad-transform", "The rendering can't be understood.")
                    .field(bad.parameter, bad.why.clone())
            }
            Error::SignatureNeeded => Self::new(
                StatusCode::FORBIDDEN,
                "signature-invalid",
                "Only the file itself and presets may be fetched here without a signature or a login.",
            ),
            Error::SignatureInvalid => refuse(StatusCode::FORBIDDEN, "signature-invalid", &error),
            Error::SignatureExpired => refuse(StatusCode::FORBIDDEN, "signature-expired", &error),
            Error::BadLife => Self::validation(sentence(&error)).field("expires_in_s", sentence(&error)),
            Error::BadPresetName => Self::validation(sentence(&error)).field("name", sentence(&error)),
            Error::BuiltinPreset => refuse(StatusCode::CONFLICT, "builtin-preset", &error),
            Error::TooManyPresets { .. } => refuse(StatusCode::CONFLICT, "too-many-presets", &error),
            Error::Stalled { .. } => refuse(StatusCode::REQUEST_TIMEOUT, "upload-stalled", &error),
            Error::NotAPicture => refuse(StatusCode::UNPROCESSABLE_ENTITY, "not-a-picture", &error),
            Error::PictureTooLarge => refuse(StatusCode::UNPROCESSABLE_ENTITY, "picture-too-large", &error),
            Error::PictureDamaged { .. } => {
                refuse(StatusCode::UNPROCESSABLE_ENTITY, "picture-damaged", &error)
            }
            Error::Storage(storage::Error::TooLarge { limit_bytes }) => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                format!("The file is larger than the limit of {limit_bytes} bytes. Nothing of it was kept."),
            ),
            Error::Interrupted(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "upload-interrupted",
                "The upload ended before it was complete. Nothing of this file was kept.",
            )
            .caused_by(error),
            Error::Render(_) | Error::Storage(_) | Error::Db(_) | Error::Task(_) | Error::Keys(_) => {
                Self::internal(error)
            }
        }
    }
}

fn sentence(text: &dyn std::fmt::Display) -> String {
    as_sentence(&text.to_string())
}
