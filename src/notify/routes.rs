//! `GET /events`: server-sent events (WHATWG HTML, section 9.2).

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use rusqlite::Connection;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{self, CurrentUser, Permission};
use crate::api::{Problem, events};
use crate::app::App;
use crate::audit::UserId;
use crate::db;
use crate::library;

/// How often something is sent while nothing happens, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often the session is looked at while nothing happens.
const SESSION_CHECK: Duration = Duration::from_secs(30);

/// Events read at once.
const BATCH: usize = 256;

/// The routes of this room.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live))
}

/// What happens, as it happens
///
/// Events: `media`, `buckets`, `restoration`, `job`, each with JSON data and an id with which `Last-Event-ID` goes on; `bye`
/// before the server stops and `session-ended` when the login is over.
#[utoipa::path(get, path = "/events", tag = "events",
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 401)))]
async fn live(
    State(app): State<App>,
    user: CurrentUser,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let commits = app.db.commits();
    let newest = app.db.read(events::newest).await?;
    let resume: Option<i64> =
        headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let last = resume.filter(|id| (0..=newest).contains(id)).unwrap_or(newest);
    let check_at = tokio::time::Instant::now() + SESSION_CHECK;
    let watcher = Watcher { app, user, commits, last, waiting: VecDeque::new(), check_at, over: false };
    // The retry line is what a browser waits before it connects again.
    let hello = stream::iter([Ok(Event::default().retry(Duration::from_secs(2)).comment("hello"))]);
    let stream = futures_util::StreamExt::chain(hello, stream::unfold(watcher, Watcher::next));
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Events after one, oldest first, with whether somebody hears them as far as buckets go: who was taken out of one hears
/// nothing more of it, not even of what was before.
fn heard_after(conn: &Connection, user: UserId, last: i64) -> db::Result<Vec<(events::Event, bool)>> {
    let mut known: HashMap<String, bool> = HashMap::new();
    let mut heard = Vec::new();
    for event in events::after(conn, last, BATCH)? {
        let hears = match event.audience.strip_prefix("bucket:") {
            None => true,
            Some(bucket) => match known.get(bucket) {
                Some(hears) => *hears,
                None => {
                    let hears = library::hears(conn, user, bucket)?;
                    known.insert(bucket.to_owned(), hears);
                    hears
                }
            },
        };
        heard.push((event, hears));
    }
    Ok(heard)
}

/// One caller's place in the stream.
struct Watcher {
    app: App,
    user: CurrentUser,
    commits: watch::Receiver<u64>,
    last: i64,
    waiting: VecDeque<Event>,
    /// When the session is looked at next, however much happens until then.
    check_at: tokio::time::Instant,
    over: bool,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event), self));
            }
            if self.over {
                return None;
            }
            self.commits.mark_unchanged();
            if let Err(e) = self.fetch().await {
                tracing::error!(error = %e, "the live stream could not read events");
                return None;
            }
            if !self.waiting.is_empty() {
                continue;
            }
            let stopping = self.app.stopping.clone();
            tokio::select! {
                biased;
                () = stopping.cancelled() => self.end("bye"),
                () = tokio::time::sleep_until(self.check_at) => {
                    self.check_at = tokio::time::Instant::now() + SESSION_CHECK;
                    self.check_session().await;
                }
                changed = self.commits.changed() => {
                    if changed.is_err() { self.end("bye"); }
                }
            }
        }
    }

    /// Reads what is new and for this caller.
    async fn fetch(&mut self) -> Result<(), crate::db::Error> {
        loop {
            let last = self.last;
            let user = self.user.id();
            let batch = self.app.db.read(move |conn| heard_after(conn, user, last)).await?;
            let more = batch.len() == BATCH;
            for (event, hears) in batch {
                self.last = event.id;
                if !hears || !self.may_see(&event.audience) {
                    continue;
                }
                if event.name == "session-ended" {
                    // It says that a session of this user ended, not which.
                    self.check_session().await;
                    continue;
                }
                self.waiting
                    .push_back(Event::default().id(event.id.to_string()).event(event.name).data(event.data));
            }
            if !more || self.over || self.waiting.len() >= BATCH {
                return Ok(());
            }
        }
    }

    async fn check_session(&mut self) {
        // A database that can't answer ends nothing.
        if !accounts::is_alive(&self.app, &self.user.access).await.unwrap_or(true) {
            self.end("session-ended");
        }
    }

    fn may_see(&self, audience: &str) -> bool {
        match audience.split_once(':') {
            Some(("user", id)) => id == self.user.id().to_string(),
            Some(("permission", name)) => Permission::ALL
                .iter()
                .any(|permission| permission.as_str() == name && self.user.may(*permission)),
            Some(("bucket", _)) => self.user.covers(Permission::LibraryRead),
            _ => false,
        }
    }

    fn end(&mut self, name: &str) {
        self.over = true;
        self.waiting.push_back(Event::default().event(name).data("{}"));
    }
}
