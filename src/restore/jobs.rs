//! The job that carries a restoration out.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::calls::Books;
use super::kept::{self, Pictures, Put};
use super::model::{Complaint, PlannedStep, Restoration, RestorationId};
use super::names::rendition_name;
use super::pipeline::{self, Call, File, Plan, Stage, Workshop, sentence};
use super::registry::{self, Entry};
use super::{batches, emit, store};
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::db::{self, Tx};
use crate::engine::remote::{self, Model};
use crate::engine::{self, Outcome, Progress, Step, StepReport, StepRequest};
use crate::imaging::{Format, Limits};
use crate::jobs::{Ending, Failure, Job, JobId, Options, Running};
use crate::library::{self, Arrived, Media, NewRendition, Version};
use crate::metrics;
use crate::storage::{self, BlobId, BlobReader, Storage};

/// How far a restoration is when the picture has been read.
const READ: f32 = 0.03;

/// How far it is when the engine is through; what is left is writing.
const ENGINE_DONE: f32 = 0.93;

/// Restores one picture. The engine uses all cores, so that two at once would only take each other's memory.
#[derive(Debug, Serialize, Deserialize)]
pub struct RestoreJob {
    restoration: RestorationId,
    /// Who asked for it, and whose the result therefore is.
    actor: Actor,
}

impl RestoreJob {
    pub(super) fn new(restoration: RestorationId, actor: &Actor) -> Self {
        Self { restoration, actor: actor.clone().later() }
    }
}

/// Restores one picture with models on other machines, for which one mostly waits: a queue of its own, so that nobody
/// whose pictures are restored here waits along.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RestoreRemotely(RestoreJob);

/// Somebody waits for a restoration, so it goes before what nobody waits for.
pub(super) const PRIORITY: i32 = 10;

/// Puts a restoration into the queue that its steps belong to.
pub(super) fn enqueue(
    tx: &Tx<'_>,
    id: RestorationId,
    actor: &Actor,
    steps: &[PlannedStep],
    priority: i32,
) -> db::Result<JobId> {
    let (job, options) = (RestoreJob::new(id, actor), Options { priority, ..Options::default() });
    if steps.iter().any(|step| step.model.is_some()) {
        crate::jobs::enqueue(tx, &RestoreRemotely(job), options)
    } else {
        crate::jobs::enqueue(tx, &job, options)
    }
}

/// What has become of a picture.
#[derive(Debug)]
pub struct Output(Kind);

#[derive(Debug)]
enum Kind {
    /// The media has been removed meanwhile, or an earlier run has done everything.
    Nothing,
    /// No step had anything to do.
    Unchanged { report: Vec<StepReport>, pictures: Vec<(u32, Put)> },
    /// There is a restored picture.
    Restored {
        report: Vec<StepReport>,
        pictures: Vec<(u32, Put)>,
        arrived: Arrived,
        format: Format,
        recreated: bool,
    },
}

impl Job for RestoreJob {
    const KIND: &'static str = "restore";
    const CONCURRENCY: usize = 1;
    const MAX_ATTEMPTS: u32 = 4;
    type Context = App;
    type Output = Output;

    async fn run(&self, app: &App, running: &Running) -> Result<Output, Failure> {
        let id = self.restoration;
        let begun = app.db.write(move |tx| begin(tx, id)).await.map_err(Failure::retry)?;
        let Some((restoration, media, version)) = begun else { return Ok(Output(Kind::Nothing)) };
        tracing::info!(media.id = %media.id, engine.name = %restoration.engine, "restoring");
        let engine = restoration.engine.clone();
        let pixels = u64::from(version.width.unwrap_or(0)) * u64::from(version.height.unwrap_or(0));
        let begun = Instant::now();
        let outcome = restore(app, running, &restoration, &media, version).await;
        metrics::restoration_ran(&engine, what_became(&outcome), begun.elapsed(), pixels);
        match outcome {
            Ok(output) => Ok(output),
            Err(Trouble::Cancelled) => Err(Failure::Interrupted),
            Err(trouble) => {
                let retired = trouble.retired();
                let (complaint, failure) = trouble.told();
                let writing = app.db.write(move |tx| {
                    if let Some(target) = &retired {
                        registry::retire_in(tx, &restoration.steps, target)?;
                    }
                    store::set_error(tx, id, &complaint)
                });
                writing.await.map_err(Failure::retry)?;
                Err(failure)
            }
        }
    }

    fn finish(&self, tx: &Tx<'_>, _: JobId, ending: Ending<Output>) -> db::Result<()> {
        let id = self.restoration;
        let returns = matches!(ending, Ending::Retrying(_) | Ending::Returned);
        let changed = match ending {
            Ending::Succeeded(Output(Kind::Nothing)) => false,
            Ending::Succeeded(Output(Kind::Unchanged { report, pictures })) => {
                self.keep_steps(tx, &pictures)?;
                store::succeed(tx, id, Outcome::Unchanged, None, &report)?
                    && self.record(tx, "restoration.finish")?
            }
            Ending::Succeeded(Output(Kind::Restored { report, pictures, arrived, format, recreated })) => {
                self.keep_steps(tx, &pictures)?;
                self.keep(tx, &report, &arrived, format, recreated)?
            }
            Ending::Retrying(_) | Ending::Returned => store::requeue(tx, id)?,
            Ending::Failed(_) => {
                let otherwise = Complaint {
                    code: "failed".into(),
                    detail:
                        "The restoration failed for a reason that lies with the server; its log says more."
                            .into(),
                };
                store::fail(tx, id, &otherwise)? && self.record(tx, "restoration.fail")?
            }
            Ending::Cancelled => store::cancel(tx, id)?,
        };
        if changed {
            emit(tx, id)?;
        }
        if returns {
            return Ok(());
        }
        kept::ended_in(tx, id)?;
        batches::ended_in(tx, &self.actor, id)
    }

    fn progressed(&self, tx: &Tx<'_>, _: JobId, progress: f32, note: &str) -> db::Result<()> {
        let running = store::set_progress(tx, self.restoration, progress, note.parse::<Step>().ok())?;
        if running { emit(tx, self.restoration) } else { Ok(()) }
    }
}

impl Job for RestoreRemotely {
    const KIND: &'static str = "restore_remotely";
    const CONCURRENCY: usize = 4;
    const MAX_ATTEMPTS: u32 = RestoreJob::MAX_ATTEMPTS;
    type Context = App;
    type Output = Output;

    async fn run(&self, app: &App, running: &Running) -> Result<Output, Failure> {
        self.0.run(app, running).await
    }

    fn finish(&self, tx: &Tx<'_>, id: JobId, ending: Ending<Output>) -> db::Result<()> {
        self.0.finish(tx, id, ending)
    }

    fn progressed(&self, tx: &Tx<'_>, id: JobId, progress: f32, note: &str) -> db::Result<()> {
        self.0.progressed(tx, id, progress, note)
    }
}

impl RestoreJob {
    /// Writes down the pictures after the steps, unless an earlier run has done so.
    fn keep_steps(&self, tx: &Tx<'_>, pictures: &[(u32, Put)]) -> db::Result<()> {
        match store::find(tx, self.restoration)? {
            Some(restoration) if restoration.outcome.is_none() => kept::put_in(tx, &restoration, pictures),
            _ => Ok(()),
        }
    }

    /// Adds the picture to its media. False if there is nothing to add it to any more, or if it was added before.
    fn keep(
        &self,
        tx: &Tx<'_>,
        report: &[StepReport],
        arrived: &Arrived,
        format: Format,
        recreated: bool,
    ) -> db::Result<bool> {
        let id = self.restoration;
        let Some(restoration) = store::find(tx, id)? else { return Ok(false) };
        if restoration.outcome.is_some() {
            return Ok(false);
        }
        match self.add_rendition(tx, &restoration, report, arrived, format, recreated) {
            Ok(rendition) => {
                store::succeed(tx, id, Outcome::Restored, Some(rendition), report)?;
                self.record(tx, "restoration.finish")
            }
            Err(library::Error::Db(error)) => Err(error),
            Err(error) => {
                let complaint = Complaint { code: "not-kept".into(), detail: sentence(&error) };
                Ok(store::fail(tx, id, &complaint)? && self.record(tx, "restoration.fail")?)
            }
        }
    }

    fn add_rendition(
        &self,
        tx: &Tx<'_>,
        restoration: &Restoration,
        report: &[StepReport],
        arrived: &Arrived,
        format: Format,
        recreated: bool,
    ) -> library::Result<library::RenditionId> {
        let media = library::get_in(tx, restoration.media_id)?;
        let number = store::count_restored(tx, media.id)? + 1;
        let earlier = restoration.beginning.iter().flat_map(|beginning| &beginning.report);
        let done: Vec<StepReport> = earlier.chain(report).cloned().collect();
        let provenance = provenance(restoration, &done);
        let rendition = NewRendition {
            media: media.id,
            version: restoration.version_id,
            arrived,
            restoration: Some(restoration.id),
            name: &rendition_name(&media.name, pipeline::extension(&media.name, format), number),
            ai_generated: recreated,
            provenance: &provenance,
        };
        Ok(library::add_rendition_in(tx, &self.actor, &rendition)?.id)
    }

    /// Writes into the audit how it ended; always true, to stand behind what has changed.
    fn record(&self, tx: &Tx<'_>, action: &'static str) -> db::Result<bool> {
        if let Some(restoration) = store::find(tx, self.restoration)? {
            let details = serde_json::json!({
                "restoration": restoration.id, "outcome": restoration.outcome, "rendition": restoration.rendition_id,
                "error": restoration.error.map(|error| error.code),
            });
            let name = library::get_in(tx, restoration.media_id).map(|media| media.key).unwrap_or_default();
            let target = Target::new("media", restoration.media_id).named(&name);
            audit::record(tx, &self.actor, action, target, &details)?;
        }
        Ok(true)
    }
}

/// What a rendition tells about how it was made.
pub(super) fn provenance(restoration: &Restoration, steps: &[StepReport]) -> serde_json::Value {
    serde_json::json!({
        "engine": restoration.engine,
        "preset": restoration.preset,
        "steps": steps,
        "program": concat!("Safelight ", env!("CARGO_PKG_VERSION")),
    })
}

fn begin(tx: &Tx<'_>, id: RestorationId) -> db::Result<Option<(Restoration, Media, Version)>> {
    if !store::begin(tx, id)? {
        return Ok(None);
    }
    let Some(restoration) = store::find(tx, id)? else { return Ok(None) };
    match library::get_version_in(tx, restoration.media_id, Some(restoration.version_id)) {
        Ok((media, version)) => {
            emit(tx, id)?;
            Ok(Some((restoration, media, version)))
        }
        Err(library::Error::Db(error)) => Err(error),
        // The row would have gone with them.
        Err(_) => Ok(None),
    }
}

/// What became of an attempt, in a word for those who count.
fn what_became(outcome: &Result<Output, Trouble>) -> &'static str {
    match outcome {
        Ok(Output(Kind::Restored { .. })) => "restored",
        Ok(Output(Kind::Unchanged { .. } | Kind::Nothing)) => "unchanged",
        Err(Trouble::Cancelled) => "cancelled",
        Err(_) => "failed",
    }
}

/// Why an attempt did not succeed.
enum Trouble {
    Cancelled,
    Picture(pipeline::Error),
    /// The original or the mask could not be fetched.
    Read(storage::Error),
    /// The result could not be stored.
    Keep(library::Error),
}

impl Trouble {
    /// The provider's name of a model that, as it has just said, is no longer offered.
    fn retired(&self) -> Option<String> {
        match self {
            Self::Picture(pipeline::Error::Engine(engine::Error::Remote(remote::Error::Retired {
                model,
            }))) => Some(model.clone()),
            _ => None,
        }
    }

    /// What the person reads, and what the queue does.
    fn told(self) -> (Complaint, Failure) {
        let complaint = |code: &str, detail: String| Complaint { code: code.to_owned(), detail };
        match self {
            Self::Cancelled => (complaint("cancelled", "It was cancelled.".into()), Failure::Interrupted),
            Self::Picture(error) => {
                let complaint = complaint(error.code(), sentence(&error));
                let may_pass = error.may_pass();
                (complaint, if may_pass { Failure::retry(error) } else { Failure::permanent(error) })
            }
            Self::Read(error @ storage::Error::NotFound(_)) => {
                let detail = "The picture's file is missing from the server's disk.";
                (complaint("missing", detail.into()), Failure::permanent(error))
            }
            Self::Read(error) => (
                complaint("not-read", "The picture's file can't be read at the moment.".into()),
                Failure::retry(error),
            ),
            Self::Keep(error @ library::Error::Storage(storage::Error::Full)) => {
                let detail = "The server's disk is full. The result could not be kept.";
                (complaint("disk-full", detail.into()), Failure::retry(error))
            }
            Self::Keep(error) => {
                (complaint("not-kept", "The result could not be kept.".into()), Failure::retry(error))
            }
        }
    }
}

async fn restore(
    app: &App,
    running: &Running,
    restoration: &Restoration,
    media: &Media,
    version: Version,
) -> Result<Output, Trouble> {
    let cancelled = running.cancelled();
    let (source, masks) = open(app, restoration, version).await?;
    let models = registry::list(app).await.map_err(|error| Trouble::Picture(from_registry(error)))?;
    let pictures = restoration.keep_steps.then(|| Arc::new(Pictures::new(app.storage.clone())));
    let recreated = restoration.beginning.as_ref().is_some_and(|beginning| beginning.recreated);
    let plan = Plan {
        stages: stages(&restoration.steps, &models, masks.steps),
        mask: masks.whole,
        shelf: pictures.clone().map(|pictures| pictures as _),
        recreated,
        ..Plan::default()
    };
    let books = Books { app: app.clone(), restoration: restoration.id, media: media.id, job: running.id() };
    let workshop = Workshop {
        engines: &app.engines,
        budget: &app.budget,
        limits: Limits { max_pixels: app.settings.current().limits.max_pixels },
    };
    let progress = Progress::new({
        let running = running.clone();
        move |fraction, step| running.progress(READ + fraction * (ENGINE_DONE - READ), step.as_str())
    });
    let made = pipeline::restore_in_stages(source, plan, workshop, Some(&books), progress, cancelled)
        .await
        .map_err(
        |error| if error.is_cancelled() { Trouble::Cancelled } else { Trouble::Picture(error) },
    )?;
    running.progress(ENGINE_DONE, "");
    let pictures = pictures.map(|pictures| pictures.take()).unwrap_or_default();
    let report = made.report;
    let (file, recreated) = match made.file {
        Some(file) => (file, made.recreated),
        // What was done before is done, also where nothing was added to it.
        None => match begun_with(app, restoration, made.source).await? {
            Some(file) => (file, recreated),
            None => return Ok(Output(Kind::Unchanged { report, pictures })),
        },
    };
    let arrived = tokio::select! {
        arrived = library::receive_bytes(app, &media.name, Bytes::from(file.bytes)) => arrived.map_err(Trouble::Keep)?,
        () = cancelled.cancelled() => return Err(Trouble::Cancelled),
    };
    Ok(Output(Kind::Restored { report, pictures, arrived, format: file.format, recreated }))
}

/// The masks of a restoration as files.
struct Masks {
    whole: Option<Vec<u8>>,
    /// One for each step.
    steps: Vec<Option<Vec<u8>>>,
}

/// Opens the picture that a restoration begins with, and reads its masks.
async fn open(
    app: &App,
    restoration: &Restoration,
    version: Version,
) -> Result<(BlobReader, Masks), Trouble> {
    let storage = app.storage.clone();
    let picture = restoration.beginning.as_ref().and_then(|beginning| beginning.picture);
    let (whole, steps) = (restoration.mask, restoration.steps.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let mask = |blob: Option<BlobId>| blob.map(|blob| read(&storage, blob)).transpose();
        let masks = Masks {
            whole: mask(whole)?,
            steps: steps.iter().map(|step| mask(step.mask)).collect::<Result<_, _>>()?,
        };
        let source = match picture {
            Some(picture) => storage.reader(picture)?,
            None => library::open_version(&storage, &version)?,
        };
        Ok((source, masks))
    });
    match opening.await {
        Ok(opened) => opened.map_err(|error: library::Error| match error {
            library::Error::Storage(error) => Trouble::Read(error),
            other => Trouble::Keep(other),
        }),
        Err(stopped) => Err(Trouble::Picture(pipeline::Error::Panicked(stopped.to_string()))),
    }
}

/// The picture that a restoration began with, if that is another than the version.
async fn begun_with(app: &App, restoration: &Restoration, format: Format) -> Result<Option<File>, Trouble> {
    let Some(beginning) = restoration.beginning.as_ref().filter(|beginning| beginning.is_changed()) else {
        return Ok(None);
    };
    let Some(picture) = beginning.picture else { return Ok(None) };
    let storage = app.storage.clone();
    match tokio::task::spawn_blocking(move || read(&storage, picture)).await {
        Ok(bytes) => Ok(Some(File { format, bytes: bytes.map_err(Trouble::Read)? })),
        Err(stopped) => Err(Trouble::Picture(pipeline::Error::Panicked(stopped.to_string()))),
    }
}

/// The steps as work for one engine after the other: neighbours of an engine of this machine are done in one go where
/// they stand in its order.
fn stages(steps: &[PlannedStep], models: &[Entry], mut masks: Vec<Option<Vec<u8>>>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for ((place, planned), mask) in (0..).zip(steps).zip(&mut masks) {
        let mask = mask.take();
        let Some(id) = &planned.model else {
            let request = StepRequest { step: planned.step, strength: planned.strength };
            Stage::push(&mut stages, request, place, mask);
            continue;
        };
        let model = match models.iter().find(|entry| entry.model.id == *id) {
            // It may have been switched off meanwhile; what was asked for is still done.
            Some(entry) => entry.model.clone(),
            None => Model::unlisted(planned.engine(), id),
        };
        let PlannedStep { step, strength, parameters, .. } = planned.clone();
        stages.push(Stage::Remote(Box::new(Call { step, strength, model, parameters, place, mask })));
    }
    if stages.is_empty() {
        stages.push(Stage::Local { engine: None, steps: Vec::new(), place: 0, mask: None });
    }
    stages
}

fn from_registry(error: super::Error) -> pipeline::Error {
    pipeline::Error::Engine(engine::Error::Remote(remote::Error::Ledger(Box::new(error))))
}

/// Reads a blob that belongs to a restoration. Blocks.
pub(super) fn read(storage: &Storage, blob: BlobId) -> Result<Vec<u8>, storage::Error> {
    let mut bytes = Vec::new();
    storage.reader(blob)?.read_to_end(&mut bytes).map_err(|source| storage::Error::Io {
        action: "read",
        path: "a picture of a restoration".into(),
        source,
    })?;
    Ok(bytes)
}
