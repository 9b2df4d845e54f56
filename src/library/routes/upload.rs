//! Uploads by form (`multipart/form-data`, RFC 7578): several files in one request, each with its own fate.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::{BodyTooSlow, Json, Problem, ProblemBody};
use crate::app::App;
use crate::audit::Actor;
use crate::library::{self, Destination, Error, Media, OnConflict, Slug};
use crate::storage;

/// How long a sender may pause.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// The longest value of a field that is not a file.
const FIELD_BYTES_MAX: usize = 4096;

/// Bytes that may come without being part of a file or field: headers of parts, and what lies between parts. One read
/// from the network may bring some 400 KiB.
const FRAMING_BYTES_MAX: u64 = 2 << 20;

/// What is still read of an upload that has failed, so that the sender gets to see the answer.
const DRAIN_BYTES_MAX: u64 = 64 << 20;

/// The form, for the description of the API only: it is read piece by piece.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes, nobody makes one")]
pub(super) struct UploadForm {
    /// The bucket's slug; the oldest bucket where it is not said. Fields come before files.
    bucket: Option<String>,
    /// The folder; the top where it is not said.
    folder: Option<String>,
    /// What to do with names that are taken; they are numbered where it is not said.
    on_conflict: Option<OnConflict>,
    /// The files.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<u8>,
}

/// What has become of the files.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Uploaded {
    /// Those that were taken.
    items: Vec<Media>,
    /// Those that were not.
    problems: Vec<Refused>,
}

/// A file that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refused {
    /// Its name as sent.
    name: String,
    /// Why.
    problem: ProblemBody,
}

/// Reads the form; `idle` is how long the sender may pause.
pub(super) async fn upload(
    app: &App,
    actor: &Actor,
    request: Request,
    idle: Duration,
) -> Result<Response, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length: u64 = length.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut form = Form::new(request, idle).await?;
    let mut outcome = Outcome { app, actor, taken: Vec::new(), refused: Vec::new() };
    // What can't fit is refused before it is read.
    let ended = match app.storage.ensure_room(length) {
        Err(e) => Err(Error::from(e).into()),
        Ok(()) => outcome.read(&mut form).await,
    };
    form.drain().await;
    match ended {
        Err(problem) if outcome.taken.is_empty() && outcome.refused.is_empty() => return Err(problem),
        Err(problem) => outcome.refused.push((String::new(), problem)),
        Ok(()) => {}
    }
    Ok(outcome.answer())
}

struct Outcome<'a> {
    app: &'a App,
    actor: &'a Actor,
    taken: Vec<Media>,
    refused: Vec<(String, Problem)>,
}

impl Outcome<'_> {
    /// Takes every file that can be taken. An error, or a file that ends the request, leaves the rest unread.
    async fn read(&mut self, form: &mut Form) -> Result<(), Problem> {
        let most = self.app.settings.current().limits.max_files_per_request;
        let mut settings = Settings::default();
        let mut files = 0;
        while let Some(mut part) = form.next().await? {
            let field = part.field.name().unwrap_or_default().to_owned();
            if field != "file" && files == 0 {
                settings.read(&field, &mut part).await?;
                continue;
            }
            files += 1;
            let (name, refusal) = if field != "file" {
                (field, late_field())
            } else if files > most {
                (part.file_name(), too_many(most))
            } else {
                let name = part.file_name();
                let to = settings.destination(&name);
                match library::add(self.app, self.actor, to, part.stream()).await {
                    Ok(media) => {
                        self.taken.push(media);
                        continue;
                    }
                    Err(error) if ends_request(&error) => {
                        self.refused.push((name, error.into()));
                        return Ok(());
                    }
                    Err(error) => (name, error.into()),
                }
            };
            self.refused.push((name, refusal));
            part.skip().await?;
        }
        if files == 0 {
            return Err(Problem::validation("The form has no file.").field("file", "At least one is needed."));
        }
        Ok(())
    }

    /// 201 with everything as soon as one file was taken, else the first problem with the same members.
    fn answer(self) -> Response {
        let refuse = |(name, problem): (String, Problem)| {
            problem.log();
            Refused { name, problem: problem.body() }
        };
        let first = self.refused.first().map(|(_, problem)| problem.clone());
        let problems: Vec<Refused> = self.refused.into_iter().map(refuse).collect();
        match first {
            Some(first) if self.taken.is_empty() => {
                let problems = serde_json::to_value(problems).unwrap_or_default();
                first.with("items", serde_json::json!([])).with("problems", problems).into_response()
            }
            _ => (StatusCode::CREATED, Json(Uploaded { items: self.taken, problems })).into_response(),
        }
    }
}

/// Whether nothing that follows in the form can be read or stored either.
fn ends_request(error: &Error) -> bool {
    match error {
        Error::Storage(storage::Error::TooLarge { .. }) => false,
        Error::Stalled { .. }
        | Error::Interrupted(_)
        | Error::NoSuchBucket
        | Error::NoBucket
        | Error::Forbidden
        | Error::Storage(_)
        | Error::Db(_)
        | Error::Task(_) => true,
        _ => false,
    }
}

fn too_many(most: usize) -> Problem {
    let detail = format!("At most {most} files can be uploaded at once.");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-files", detail)
}

fn late_field() -> Problem {
    Problem::validation("A field came after the files that it was meant for: fields come first.")
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-multipart", detail)
}

/// The fields that come before the files.
#[derive(Default)]
struct Settings {
    bucket: Option<Slug>,
    folder: String,
    on_conflict: OnConflict,
}

impl Settings {
    /// Fields that nobody knows are skipped.
    async fn read(&mut self, field: &str, part: &mut Part<'_>) -> Result<(), Problem> {
        match field {
            "bucket" => {
                self.bucket = Some(Slug::parse(&part.text().await?).map_err(|_| Error::NoSuchBucket)?)
            }
            "folder" => {
                self.folder = part.text().await?;
                library::folder(&self.folder)?;
            }
            "on_conflict" => {
                let text = part.text().await?;
                self.on_conflict = OnConflict::parse(text.trim()).ok_or_else(|| {
                    Problem::validation("The form has a value that is not known.")
                        .field("on_conflict", "It may be rename, replace or refuse.")
                })?;
            }
            _ => part.skip().await?,
        }
        Ok(())
    }

    fn destination(&self, name: &str) -> Destination {
        Destination {
            bucket: self.bucket.clone(),
            folder: self.folder.clone(),
            name: name.to_owned(),
            on_conflict: self.on_conflict,
        }
    }
}

/// The form as it arrives.
struct Form {
    multipart: Multipart,
    unclaimed: Arc<AtomicU64>,
}

impl Form {
    async fn new(request: Request, idle: Duration) -> Result<Self, Problem> {
        let unclaimed = Arc::new(AtomicU64::new(0));
        let guard = Arc::clone(&unclaimed);
        let mut request =
            request.map(|body| Body::from_stream(Guarded::new(body.into_data_stream(), idle, guard)));
        // Files are counted against our own limit while they stream.
        DefaultBodyLimit::disable().apply(&mut request);
        let multipart = Multipart::from_request(request, &()).await.map_err(|e| malformed(e.body_text()))?;
        Ok(Self { multipart, unclaimed })
    }

    async fn next(&mut self) -> Result<Option<Part<'_>>, Problem> {
        let field = self.multipart.next_field().await.map_err(failed)?;
        self.unclaimed.store(0, Ordering::Relaxed);
        Ok(field.map(|field| Part { field, unclaimed: &self.unclaimed }))
    }

    /// Reads on for a while without looking, so that a sender which does not listen before it has sent everything
    /// gets to see the answer.
    async fn drain(&mut self) {
        let mut drained = 0;
        while let Ok(Some(mut part)) = self.next().await {
            while let Ok(Some(chunk)) = part.chunk().await {
                drained += chunk.len() as u64;
                if drained > DRAIN_BYTES_MAX {
                    return;
                }
            }
        }
    }
}

/// One part of the form.
struct Part<'a> {
    field: Field<'a>,
    unclaimed: &'a AtomicU64,
}

impl Part<'_> {
    fn file_name(&self) -> String {
        self.field.file_name().unwrap_or_default().to_owned()
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.field.chunk().await.map_err(interrupted)?;
        self.unclaimed.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    /// The bytes of the part; the first error is the last item.
    fn stream(&mut self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        let unclaimed = self.unclaimed;
        // A form that has failed says so again and again.
        (&mut self.field).scan(false, move |broken, chunk| {
            let ended = std::mem::replace(broken, chunk.is_err());
            unclaimed.store(0, Ordering::Relaxed);
            std::future::ready((!ended).then(|| chunk.map_err(interrupted)))
        })
    }

    async fn text(&mut self) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > FIELD_BYTES_MAX {
                return Err(malformed("A field of the form is longer than 4,096 bytes."));
            }
        }
        String::from_utf8(bytes).map_err(|_| malformed("A field of the form is not UTF-8."))
    }

    async fn skip(&mut self) -> Result<(), Problem> {
        while self.chunk().await?.is_some() {}
        Ok(())
    }
}

/// What a broken form means for the file that it was about to bring.
fn interrupted(error: MultipartError) -> Error {
    match stalled(&error) {
        Some(after) => Error::Stalled { after },
        None => Error::Interrupted(Box::new(error)),
    }
}

/// What a broken form means for the request.
fn failed(error: MultipartError) -> Problem {
    match stalled(&error) {
        Some(after) => Error::Stalled { after }.into(),
        None => malformed(error.body_text()).caused_by(error),
    }
}

/// Looks for our own error in what others have wrapped around it.
fn stalled(error: &(dyn StdError + 'static)) -> Option<Duration> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(Stop::Stalled { after }) = error.downcast_ref() {
            return Some(*after);
        }
        next = error.source();
    }
    BodyTooSlow::within(error).map(|slow| slow.after)
}

/// Why a body is not read any further.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("nothing came for {} s", after.as_secs())]
    Stalled { after: Duration },
    #[error("too many bytes came that belong to no part of the form")]
    Framing,
}

/// A request's body that ends when its sender pauses for too long, or sends too much that is part of nothing: the parser
/// above collects that in memory. It hands out one piece at a time, for the parser takes all it can get.
struct Guarded {
    body: BodyDataStream,
    idle: Duration,
    /// Runs while the sender is waited for, not while we are busy ourselves.
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
    unclaimed: Arc<AtomicU64>,
    has_given: bool,
    ended: bool,
}

impl Guarded {
    fn new(body: BodyDataStream, idle: Duration, unclaimed: Arc<AtomicU64>) -> Self {
        Self { body, idle, waiting: None, unclaimed, has_given: false, ended: false }
    }

    fn stop(&mut self, why: Stop) -> Poll<Option<Result<Bytes, Box<dyn StdError + Send + Sync>>>> {
        self.ended = true;
        Poll::Ready(Some(Err(why.into())))
    }
}

impl Stream for Guarded {
    type Item = Result<Bytes, Box<dyn StdError + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut self.has_given) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.waiting = None;
                self.has_given = true;
                let length = chunk.len() as u64;
                if self.unclaimed.fetch_add(length, Ordering::Relaxed) + length > FRAMING_BYTES_MAX {
                    return self.stop(Stop::Framing);
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(e))) => {
                self.ended = true;
                Poll::Ready(Some(Err(e.into())))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let idle = self.idle;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                match waiting.as_mut().poll(cx) {
                    Poll::Ready(()) => self.stop(Stop::Stalled { after: idle }),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const PART: &str = "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";

    fn request(body: impl Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static) -> Request {
        let content_type = "multipart/form-data; boundary=XX";
        Request::builder().header(header::CONTENT_TYPE, content_type).body(Body::from_stream(body)).unwrap()
    }

    fn chunk(text: impl Into<Bytes>) -> Result<Bytes, std::io::Error> {
        Ok(text.into())
    }

    #[tokio::test]
    async fn a_sender_that_pauses_for_too_long_is_told_so() {
        let idle = Duration::from_millis(20);
        let body = stream::iter([chunk(PART), chunk("beginning")]).chain(stream::pending());
        let mut form = Form::new(request(body), idle).await.unwrap();
        let mut part = form.next().await.unwrap().unwrap();
        let chunks: Vec<_> = part.stream().collect().await;
        assert!(chunks[..chunks.len() - 1].iter().all(Result::is_ok));
        let problem = Problem::from(chunks.into_iter().next_back().unwrap().unwrap_err());
        assert_eq!((problem.status().as_u16(), problem.code()), (408, "upload-stalled"));
        drop(part);
        // What is left is not waited for a second time.
        form.drain().await;

        let mut silent = Form::new(request(stream::pending()), idle).await.unwrap();
        let problem = silent.next().await.map(|_| ()).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (408, "upload-stalled"));

        // The connection may lose its patience first.
        let slow = std::io::Error::other(BodyTooSlow { after: idle });
        let mut slow = Form::new(request(stream::iter([chunk(PART), Err(slow)])), IDLE).await.unwrap();
        let problem = match slow.next().await {
            Ok(part) => part.unwrap().chunk().await.map(|_| ()).unwrap_err().into(),
            Err(problem) => problem,
        };
        assert_eq!((problem.status().as_u16(), problem.code()), (408, "upload-stalled"));
    }

    #[tokio::test]
    async fn what_belongs_to_no_part_is_not_collected() {
        let endless = stream::iter((0..).map(|_| chunk(vec![b'a'; 100_000])));
        let mut form =
            Form::new(request(stream::iter([chunk("--XX\r\n")]).chain(endless)), IDLE).await.unwrap();
        let problem = form.next().await.map(|_| ()).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (400, "bad-multipart"));
    }

    #[tokio::test]
    async fn a_file_of_any_length_is_part_of_the_form() {
        let chunks = (0..100).map(|_| chunk(vec![b'a'; 100_000]));
        let body = stream::iter([chunk(PART)])
            .chain(stream::iter(chunks))
            .chain(stream::iter([chunk("\r\n--XX--\r\n")]));
        let mut form = Form::new(request(body), IDLE).await.unwrap();
        let mut part = form.next().await.unwrap().unwrap();
        let mut size = 0;
        while let Some(chunk) = part.chunk().await.unwrap() {
            size += chunk.len();
        }
        assert_eq!(size, 10_000_000);
        drop(part);
        assert!(form.next().await.unwrap().is_none());
    }
}
