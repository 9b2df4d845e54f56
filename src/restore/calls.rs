//! What is remembered of calls of models on other machines, so that none is made twice and no result is lost.

use std::io::Read;

use super::model::RestorationId;
use super::pipeline::{Desk, Error};
use super::store::calls::{self, Done};
use crate::app::App;
use crate::db;
use crate::engine::remote::{self, Answer, Ledger, Saved};
use crate::engine::{self, BoxFuture};
use crate::jobs::{self, JobId};
use crate::library::{self, MediaId};

/// The books of one restoration.
pub(super) struct Books {
    pub(super) app: App,
    pub(super) restoration: RestorationId,
    pub(super) media: MediaId,
    pub(super) job: JobId,
}

/// One page of them: the call of one step.
struct Page<'a> {
    books: &'a Books,
    place: u32,
}

fn not_written(error: impl std::error::Error + Send + Sync + 'static) -> remote::Error {
    remote::Error::Ledger(Box::new(error))
}

impl Ledger for Page<'_> {
    fn read(&self) -> BoxFuture<'_, remote::Result<Saved>> {
        let (id, place) = (self.books.restoration, self.place);
        let reading = self.books.app.db.read(move |conn| calls::read(conn, id, place));
        Box::pin(async move { reading.await.map_err(not_written) })
    }

    fn write(&self, saved: Saved) -> BoxFuture<'_, remote::Result<()>> {
        let (id, place) = (self.books.restoration, self.place);
        Box::pin(async move {
            let writing = self.books.app.db.write(move |tx| calls::write(tx, id, place, &saved));
            let written: db::Result<bool> = writing.await;
            // Nobody wants the picture of a media that has been removed.
            if written.map_err(not_written)? { Ok(()) } else { Err(remote::Error::Cancelled) }
        })
    }

    fn is_abandoned(&self) -> BoxFuture<'_, bool> {
        let (id, job) = (self.books.restoration, self.books.job);
        Box::pin(async move {
            let asking = self.books.app.db.read(move |conn| {
                Ok::<_, db::Error>(jobs::is_cancelling(conn, job)? || super::store::find(conn, id)?.is_none())
            });
            // Who can't tell leaves the job alone.
            asking.await.unwrap_or(false)
        })
    }
}

impl Desk for Books {
    fn ledger(&self, place: u32) -> Box<dyn Ledger + '_> {
        Box::new(Page { books: self, place })
    }

    fn find(&self, place: u32) -> BoxFuture<'_, Result<Option<Answer>, Error>> {
        let (id, storage) = (self.restoration, self.app.storage.clone());
        Box::pin(async move {
            let done = self.app.db.read(move |conn| calls::find_done(conn, id, place)).await;
            let done: Option<Done> = done.map_err(|error| books(not_written(error)))?;
            let Some(done) = done else { return Ok(None) };
            let reading = tokio::task::spawn_blocking(move || {
                let mut file = Vec::new();
                storage.reader(done.result)?.read_to_end(&mut file).map(|_| ()).map_err(|source| {
                    crate::storage::Error::Io {
                        action: "read",
                        path: "an intermediate picture".into(),
                        source,
                    }
                })?;
                Ok::<_, crate::storage::Error>(Answer {
                    file: file.into(),
                    id: done.remote_id,
                    compute_s: done.compute_s,
                    cost_usd: done.cost_usd,
                })
            });
            match reading.await {
                Ok(read) => read.map(Some).map_err(|error| books(not_written(error))),
                Err(stopped) => Err(Error::Panicked(stopped.to_string())),
            }
        })
    }

    fn keep<'a>(&'a self, place: u32, answer: &'a Answer) -> BoxFuture<'a, Result<(), Error>> {
        let (id, media) = (self.restoration, self.media);
        Box::pin(async move {
            let kept = self.app.storage.put_bytes(answer.file.clone()).await;
            let kept = kept.map_err(|error| books(not_written(error)))?;
            let done = Done {
                result: kept.blob(),
                remote_id: answer.id.clone(),
                compute_s: answer.compute_s,
                cost_usd: answer.cost_usd,
            };
            let writing = self.app.db.write(move |tx| {
                library::attach_in(tx, media, &kept)?;
                calls::finish(tx, id, place, &done)?;
                // It comes back after the commit, so that nobody sweeps the picture away in between.
                Ok::<_, library::Error>(kept)
            });
            match writing.await {
                Ok(_) => Ok(()),
                Err(library::Error::NoSuchMedia) => Err(Error::Cancelled),
                Err(error) => Err(books(not_written(error))),
            }
        })
    }
}

fn books(error: remote::Error) -> Error {
    Error::Engine(engine::Error::Remote(error))
}
