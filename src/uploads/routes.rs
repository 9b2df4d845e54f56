//! tus over HTTP: headers in, headers out.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::headers::{self, Algorithm, BadHeader, Concat};
use super::model::{Ended, Kind, NewUpload, Stage, Upload, UploadId};
use super::turns::Turns;
use super::{Chunk, Error};
use crate::accounts::{CurrentUser, Permission, may};
use crate::api::{Json, Page, Path, Problem, as_sentence};
use crate::app::App;
use crate::clock::Timestamp;
use crate::library::{self, Destination, KnownContent, MediaId, OnConflict, Slug, Somewhere};
use crate::storage::{self, BlobId};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation";

/// The type of a request's body that is bytes of an upload.
const BYTES: &str = "application/offset+octet-stream";

static TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
static TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
static UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
static UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
static UPLOAD_DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
static UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
static UPLOAD_CONCAT: HeaderName = HeaderName::from_static("upload-concat");
static UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
static UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
static METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
static MEDIA_ID: HeaderName = HeaderName::from_static("safelight-media-id");

/// Contents that one question may name.
const KNOWN_MAX: usize = 1000;

/// The routes of this room, below `/api/v1`.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(options, create, list))
        .routes(routes!(head, patch, remove, show, overridden))
        .layer(middleware::from_fn(speak_tus))
        .layer(Extension(Arc::new(Turns::default())))
        .routes(routes!(known))
}

/// Sees to it that both sides speak the same version. To tell the abilities, and to answer in JSON, takes none.
async fn speak_tus(request: Request, next: Next) -> Response {
    let needs_none = matches!(*request.method(), Method::OPTIONS | Method::GET);
    let mut response = if needs_none || request.headers().get(&TUS_RESUMABLE).is_some_and(|v| v == VERSION) {
        next.run(request).await
    } else {
        let detail = "This address speaks tus 1.0.0: the request needs the header Tus-Resumable: 1.0.0.";
        let mut refused =
            Problem::new(StatusCode::PRECONDITION_FAILED, "tus-version", detail).into_response();
        refused.headers_mut().insert(&TUS_VERSION, HeaderValue::from_static(VERSION));
        refused
    };
    response.headers_mut().insert(&TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// Tells what this end of tus can do.
#[utoipa::path(options, path = "/uploads", tag = "uploads", responses((status = 204)))]
async fn options(State(app): State<App>) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    headers.insert(&TUS_VERSION, HeaderValue::from_static(VERSION));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    let algorithms = Algorithm::ALL.map(Algorithm::as_str).join(",");
    headers.insert("tus-checksum-algorithm", value(&algorithms));
    if let Some(most) = app.settings.current().limits.max_upload_bytes {
        headers.insert("tus-max-size", HeaderValue::from(most));
    }
    (StatusCode::NO_CONTENT, headers)
}

/// Begins an upload
///
/// In the words of tus 1.0.0: `Upload-Length` or `Upload-Defer-Length`, `Upload-Metadata` with `filename`, `bucket`,
/// `folder`, `on_conflict` and `modified` (milliseconds since 1970), `Upload-Concat`. The answer's `Location` is where the
/// bytes go; a body of `application/offset+octet-stream` is taken at once.
#[utoipa::path(post, path = "/uploads", tag = "uploads",
    responses((status = 201, headers(("Location" = String), ("Upload-Offset" = u64))), (status = 400), (status = 404),
        (status = 409), (status = 412), (status = 413), (status = 422), (status = 429), (status = 507)))]
async fn create(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let new = new_upload(&parts.headers)?;
    let brings_bytes = parts.headers.get(header::CONTENT_TYPE).is_some_and(|t| t == BYTES)
        && content_length(&parts.headers) != Some(0)
        && !matches!(new.kind, Kind::Final(_));
    let chunk = brings_bytes.then(|| chunk(&parts.headers, 0)).transpose()?;
    let begun = super::begin(&app, &turns, user.id(), &user.actor(), new).await;
    let mut upload = match begun {
        Ok(upload) => upload,
        Err(e) => {
            tokio::spawn(super::drain(stream(body)));
            return Err(e.into());
        }
    };
    if let Some(chunk) = chunk {
        let id = upload.id;
        upload = match super::append(&app, &turns, user.id(), id, chunk, stream(body)).await {
            Ok(upload) => upload,
            Err(e) => {
                // Nobody has been told where it is.
                super::remove(&app, &turns, user.id(), id).await?;
                return Err(e.into());
            }
        };
    }
    let mut response = (StatusCode::CREATED, told(&upload)).into_response();
    let location = format!("{}/api/v1/uploads/{}", app.config.server.base_path, upload.id);
    response.headers_mut().insert(header::LOCATION, value(&location));
    Ok(response)
}

/// Tells how far an upload has come.
#[utoipa::path(head, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 200, headers(("Upload-Offset" = u64), ("Upload-Length" = u64))), (status = 404),
        (status = 410)))]
async fn head(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
    Path(id): Path<UploadId>,
) -> Result<Response, Problem> {
    answer_head(&app, &turns, &user, id).await
}

async fn answer_head(
    app: &App,
    turns: &Arc<Turns>,
    user: &CurrentUser,
    id: UploadId,
) -> Result<Response, Problem> {
    let upload = super::look(app, turns, user.id(), id).await?;
    let mut headers = told(&upload);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match upload.length_bytes {
        Some(length_bytes) => headers.insert(&UPLOAD_LENGTH, HeaderValue::from(length_bytes)),
        None => headers.insert(&UPLOAD_DEFER_LENGTH, HeaderValue::from_static("1")),
    };
    if !upload.metadata.is_empty() {
        headers.insert(&UPLOAD_METADATA, value(&upload.metadata));
    }
    match &upload.kind {
        Kind::Whole => {}
        Kind::Partial => {
            headers.insert(&UPLOAD_CONCAT, HeaderValue::from_static("partial"));
        }
        Kind::Final(parts) => {
            let base = &app.config.server.base_path;
            let parts: Vec<_> = parts.iter().map(|id| format!("{base}/api/v1/uploads/{id}")).collect();
            headers.insert(&UPLOAD_CONCAT, value(&format!("final;{}", parts.join(" "))));
        }
    }
    Ok((StatusCode::OK, headers).into_response())
}

/// Adds bytes to an upload
///
/// In the words of tus 1.0.0: `Upload-Offset` says where they begin, `Upload-Checksum` what they must come to. The answer
/// to the last ones comes when the file is in the library, and names it in `Safelight-Media-Id`.
#[utoipa::path(patch, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, headers(("Upload-Offset" = u64), ("Safelight-Media-Id" = String))), (status = 403),
        (status = 404), (status = 409), (status = 410), (status = 413), (status = 415), (status = 423),
        (status = 507)))]
async fn patch(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
    Path(id): Path<UploadId>,
    request: Request,
) -> Result<Response, Problem> {
    answer_patch(&app, &turns, &user, id, request).await
}

async fn answer_patch(
    app: &App,
    turns: &Arc<Turns>,
    user: &CurrentUser,
    id: UploadId,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    if parts.headers.get(header::CONTENT_TYPE).is_none_or(|t| t != BYTES) {
        let detail = format!("The bytes of an upload come as Content-Type: {BYTES}.");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-bytes", detail));
    }
    let offset_bytes = size(&parts.headers, &UPLOAD_OFFSET)?.ok_or_else(|| missing("Upload-Offset"))?;
    let chunk = chunk(&parts.headers, offset_bytes)?;
    let upload = super::append(app, turns, user.id(), id, chunk, stream(body)).await?;
    Ok((StatusCode::NO_CONTENT, told(&upload)).into_response())
}

/// Gives an upload up, with what has arrived of it.
#[utoipa::path(delete, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 204), (status = 404), (status = 410)))]
async fn remove(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
    Path(id): Path<UploadId>,
) -> Result<StatusCode, Problem> {
    super::remove(&app, &turns, user.id(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Does what `X-HTTP-Method-Override` says, for programs whose way here lets nothing but POST pass.
#[utoipa::path(post, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 204), (status = 405)))]
async fn overridden(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
    Path(id): Path<UploadId>,
    request: Request,
) -> Result<Response, Problem> {
    let meant = request.headers().get(&METHOD_OVERRIDE).and_then(|method| method.to_str().ok());
    match meant {
        Some("PATCH") => answer_patch(&app, &turns, &user, id, request).await,
        Some("HEAD") => answer_head(&app, &turns, &user, id).await,
        Some("DELETE") => {
            super::remove(&app, &turns, user.id(), id).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        _ => {
            let detail = "A POST here needs X-HTTP-Method-Override: PATCH, HEAD or DELETE.";
            Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail))
        }
    }
}

/// An upload, for people and programs that don't speak tus.
#[derive(Debug, Serialize, ToSchema)]
struct UploadInfo {
    /// Its id, and the last part of its address.
    #[schema(value_type = String, format = Uuid)]
    id: UploadId,
    /// The name that the file will have.
    filename: String,
    /// The slug of the bucket that it goes to; null for the oldest one.
    bucket: Option<Slug>,
    /// The folder that it goes to; empty for the top.
    folder: String,
    /// When the file was last changed, as its sender says.
    modified_at: Option<Timestamp>,
    /// How many bytes it will have; null while nobody has said so.
    length: Option<u64>,
    /// How many have arrived and are safe.
    offset: u64,
    /// When it is given up.
    expires_at: Timestamp,
    /// Whether bytes of it are coming right now.
    active: bool,
    /// Where it stands.
    state: Stage,
    /// What it has become.
    media_id: Option<MediaId>,
    /// Why it failed: a problem document.
    #[schema(value_type = Option<Object>)]
    problem: Option<serde_json::Value>,
}

impl UploadInfo {
    fn of(upload: Upload, turns: &Turns) -> Self {
        Self {
            active: turns.is_taken(upload.id),
            state: upload.stage(),
            media_id: upload.media(),
            id: upload.id,
            filename: upload.to.name,
            bucket: upload.to.bucket,
            folder: upload.to.folder,
            modified_at: upload.modified_at,
            length: upload.length_bytes,
            offset: upload.offset_bytes,
            expires_at: upload.expires_at,
            problem: match upload.ended {
                Some(Ended::Failed(problem)) => Some(problem),
                _ => None,
            },
        }
    }
}

/// Lists one's own unfinished uploads, oldest first.
#[utoipa::path(get, path = "/uploads", tag = "uploads", responses((status = 200, body = Page<UploadInfo>)))]
async fn list(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
) -> Result<Json<Page<UploadInfo>>, Problem> {
    let uploads = super::list(&app, user.id()).await?;
    Ok(Json(Page::whole(uploads.into_iter().map(|upload| UploadInfo::of(upload, &turns)).collect())))
}

/// Shows an upload.
#[utoipa::path(get, path = "/uploads/{id}", tag = "uploads", params(("id" = String, Path)),
    responses((status = 200, body = UploadInfo), (status = 404), (status = 410)))]
async fn show(
    State(app): State<App>,
    Extension(turns): Extension<Arc<Turns>>,
    user: Somewhere<may::LibraryWrite>,
    Path(id): Path<UploadId>,
) -> Result<Json<UploadInfo>, Problem> {
    Ok(Json(UploadInfo::of(super::get(&app, user.id(), id).await?, &turns)))
}

/// A content that somebody is about to upload.
#[derive(Debug, Deserialize, ToSchema)]
struct Candidate {
    /// SHA-256 of its bytes.
    sha256: BlobId,
    /// How many bytes it has.
    size_bytes: u64,
}

/// Contents that somebody is about to upload.
#[derive(Debug, Deserialize, ToSchema)]
struct Candidates {
    /// At most 1,000.
    items: Vec<Candidate>,
    /// The bucket that they are to lie in.
    bucket: Option<String>,
    /// The folder that they are to lie in; the top where it is not said.
    #[serde(default)]
    folder: String,
}

/// What need not be uploaded.
#[derive(Debug, Serialize, ToSchema)]
struct Known {
    /// Those that something in the library has now.
    known: Vec<BlobId>,
    /// The same with where they are: what lies elsewhere can be copied to where it is wanted.
    items: Vec<KnownContent>,
}

/// Tells which contents need not be uploaded, because they are in the library already
///
/// Only what the caller may read is told.
#[utoipa::path(post, path = "/uploads/known", tag = "uploads", request_body = Candidates,
    responses((status = 200, body = Known), (status = 422)))]
async fn known(
    State(app): State<App>,
    user: Somewhere<may::LibraryWrite>,
    Json(asked): Json<Candidates>,
) -> Result<Json<Known>, Problem> {
    user.require(Permission::LibraryRead)?;
    if asked.items.len() > KNOWN_MAX {
        return Err(Problem::validation("At most 1,000 contents can be asked for at once.")
            .field("items", "At most 1,000."));
    }
    let contents = asked.items.into_iter().map(|item| (item.sha256, item.size_bytes)).collect();
    let place =
        asked.bucket.as_deref().map(Slug::parse).transpose().map_err(|_| library::Error::NoSuchBucket)?;
    let place = place.map(|bucket| (bucket, asked.folder));
    let items = library::known(&app, user.id(), contents, place).await?;
    Ok(Json(Known { known: items.iter().map(|item| item.sha256).collect(), items }))
}

// ---- what comes ----

fn stream(body: Body) -> super::Body {
    body.into_data_stream().map_err(Into::into).boxed()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &'static HeaderName) -> Result<Option<&'a str>, Problem> {
    let unreadable = |_| bad(name.as_str(), "It has characters that are not ASCII.");
    headers.get(name).map(|value| value.to_str().map_err(unreadable)).transpose()
}

fn size(headers: &HeaderMap, name: &'static HeaderName) -> Result<Option<u64>, Problem> {
    Ok(text(headers, name)?.map(|text| headers::size(name.as_str(), text)).transpose()?)
}

fn chunk(headers: &HeaderMap, offset_bytes: u64) -> Result<Chunk, Problem> {
    Ok(Chunk {
        offset_bytes,
        size_bytes: content_length(headers),
        length_bytes: size(headers, &UPLOAD_LENGTH)?,
        checksum: text(headers, &UPLOAD_CHECKSUM)?.map(headers::checksum).transpose()?,
    })
}

fn new_upload(headers: &HeaderMap) -> Result<NewUpload, Problem> {
    let kind = match text(headers, &UPLOAD_CONCAT)?.map(headers::concat).transpose()? {
        None => Kind::Whole,
        Some(Concat::Partial) => Kind::Partial,
        Some(Concat::Final(parts)) => {
            let parts = parts.iter().map(|id| id.parse::<UploadId>().map_err(|_| Error::NotAPart));
            Kind::Final(parts.collect::<Result<_, _>>()?)
        }
    };
    let length_bytes = size(headers, &UPLOAD_LENGTH)?;
    let deferred = text(headers, &UPLOAD_DEFER_LENGTH)?;
    match (&kind, length_bytes, deferred) {
        (Kind::Final(_), ..) | (_, Some(_), None) | (_, None, Some("1")) => {}
        (_, None, None) => return Err(missing("Upload-Length")),
        (_, Some(_), Some(_)) => return Err(bad("upload-defer-length", "The length is said already.")),
        (_, None, Some(_)) => return Err(bad("upload-defer-length", "It can only be 1.")),
    }
    let metadata = text(headers, &UPLOAD_METADATA)?.unwrap_or_default().to_owned();
    let said = Said(headers::metadata(&metadata)?);
    Ok(NewUpload { kind, length_bytes, to: said.destination()?, modified_at: said.modified_at()?, metadata })
}

/// What a sender says about a file.
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn find(&self, key: &'static str) -> Result<Option<&str>, Problem> {
        let Some((_, value)) = self.0.iter().find(|(name, _)| name == key) else { return Ok(None) };
        std::str::from_utf8(value).map(Some).map_err(|_| wrong(key, "It is not UTF-8."))
    }

    fn destination(&self) -> Result<Destination, Problem> {
        let bucket = match self.find("bucket")? {
            Some(slug) => Some(Slug::parse(slug).map_err(|_| library::Error::NoSuchBucket)?),
            None => None,
        };
        let on_conflict = match self.find("on_conflict")? {
            Some(word) => OnConflict::parse(word)
                .ok_or_else(|| wrong("on_conflict", "It may be rename, replace or refuse."))?,
            None => OnConflict::default(),
        };
        let name = match self.find("filename")? {
            None => self.find("name")?,
            name => name,
        };
        Ok(Destination {
            bucket,
            folder: self.find("folder")?.unwrap_or_default().to_owned(),
            name: name.unwrap_or("Untitled").to_owned(),
            on_conflict,
        })
    }

    fn modified_at(&self) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.find("modified")? else { return Ok(None) };
        // From the year 1 to the year 9999: what can be shown.
        let millis: Option<i64> =
            text.parse().ok().filter(|ms| (-62_135_596_800_000..=253_402_300_799_999).contains(ms));
        let millis = millis.ok_or_else(|| wrong("modified", "It is a number of milliseconds since 1970."))?;
        Ok(Some(Timestamp::from_millis(millis)))
    }
}

fn wrong(key: &'static str, why: &'static str) -> Problem {
    Problem::validation("Upload-Metadata has a value that can’t be used.").field(key, why)
}

fn bad(header: &'static str, why: &'static str) -> Problem {
    BadHeader { header, why }.into()
}

fn missing(header: &'static str) -> Problem {
    bad(header, "It is missing.")
}

impl From<BadHeader> for Problem {
    fn from(error: BadHeader) -> Self {
        let detail = format!("The header {} can’t be used.", error.header);
        Self::new(StatusCode::BAD_REQUEST, "bad-header", detail).field(error.header, error.why)
    }
}

// ---- what goes ----

/// What every answer about an upload says.
fn told(upload: &Upload) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let offset_bytes = match upload.media() {
        Some(_) => upload.length_bytes.unwrap_or(upload.offset_bytes),
        None => upload.offset_bytes,
    };
    headers.insert(&UPLOAD_OFFSET, HeaderValue::from(offset_bytes));
    if let Some(date) = http_date(upload.expires_at) {
        headers.insert(&UPLOAD_EXPIRES, value(&date));
    }
    if let Some(media) = upload.media() {
        headers.insert(&MEDIA_ID, value(&media.to_string()));
    }
    headers
}

/// A date as HTTP writes it (RFC 9110, 5.6.7).
fn http_date(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()
}

/// A header's value of our own making, or that came as one.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let refuse = |status, code, error: &Error| Self::new(status, code, sentence(error));
        match error {
            Error::NoSuchUpload => Self::not_found("upload"),
            Error::Expired => refuse(StatusCode::GONE, "upload-expired", &error),
            Error::Locked => refuse(StatusCode::LOCKED, "upload-locked", &error),
            Error::WrongOffset { offset_bytes } => {
                refuse(StatusCode::CONFLICT, "wrong-offset", &error).with("offset", offset_bytes.into())
            }
            Error::LengthKnown => refuse(StatusCode::BAD_REQUEST, "length-known", &error),
            Error::TooLong { .. } => refuse(StatusCode::PAYLOAD_TOO_LARGE, "upload-too-long", &error),
            Error::WrongChecksum => {
                let status = StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST);
                refuse(status, "wrong-checksum", &error)
            }
            Error::Assembled => refuse(StatusCode::FORBIDDEN, "upload-assembled", &error),
            Error::NotAPart => refuse(StatusCode::BAD_REQUEST, "not-a-part", &error),
            Error::TooMany { .. } => refuse(StatusCode::TOO_MANY_REQUESTS, "too-many-uploads", &error),
            Error::Interrupted(_) => refuse(StatusCode::BAD_REQUEST, "upload-interrupted", &error),
            Error::Stalled { .. } => refuse(StatusCode::REQUEST_TIMEOUT, "upload-stalled", &error),
            Error::Stopping => refuse(StatusCode::SERVICE_UNAVAILABLE, "stopping", &error),
            // What it has become can't be mended by asking again; the document says why.
            Error::Failed(problem) => {
                let detail = problem["detail"].as_str().unwrap_or("The upload has failed.").to_owned();
                Self::new(StatusCode::GONE, "upload-failed", detail).with("problem", problem)
            }
            Error::Unfinished(problem) => problem,
            Error::Library(error) => error.into(),
            Error::Storage(storage::Error::Full) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk-full",
                "The server’s disk is full. What has arrived so far is kept; go on when there is room again.",
            ),
            Error::Storage(_) | Error::Db(_) | Error::Task(_) => Self::internal(error),
        }
    }
}

fn sentence(error: &Error) -> String {
    as_sentence(&error.to_string())
}
