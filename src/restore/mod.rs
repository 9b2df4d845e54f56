//! Restoring pictures: somebody asks, a job carries it out, the result is a rendition that tells how it was made.
//!
//! The original is never touched. A restoration that has nothing to do says so and makes no rendition. The room knows
//! nothing of how pictures are improved: that is an engine's; [`pipeline`] brings pictures to it and back.

pub mod batches;
mod calls;
mod damage;
mod jobs;
mod kept;
mod model;
mod names;
mod pictures;
pub mod pipeline;
pub mod presets;
mod preview;
pub mod registry;
mod routes;
mod scans;
mod store;
mod suggestion;

use bytes::Bytes;
use rusqlite::Connection;

use crate::accounts::Permission;
use crate::api::events;
use crate::app::App;
use crate::audit::{self, Actor, Target};
use crate::db::{self, Tx};
use crate::engine::{Step, remote};
use crate::jobs::JobState;
use crate::library::{self, Caller, MediaId, State, VersionId};
use crate::storage::{self, BlobId, Kept};

pub use jobs::{Output, RestoreJob, RestoreRemotely};
pub use kept::{Tidy, keep_step, list_steps};
pub use model::{
    AskedStep, Complaint, Filter, Origin, PlannedStep, Request, Restoration, RestorationId, StepView,
};
pub use routes::router;
pub use scans::SplitScan;

/// Why a restoration could not be asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such restoration.
    #[error("there is no such restoration")]
    NoSuchRestoration,
    /// Only pictures can be restored.
    #[error("this is not a picture that can be restored")]
    NotAPicture,
    /// The engine does not know a step.
    #[error("there is no step {name:?}: there are {known}")]
    UnknownStep {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A strength is not a number from 0 to 1.
    #[error("the strength of {step} must be a number from 0 to 1")]
    BadStrength {
        /// The step.
        step: Step,
    },
    /// A step has no such parameter.
    #[error("the step {step} has no parameter {name:?}")]
    UnknownParameter {
        /// The step.
        step: Step,
        /// What was given.
        name: String,
    },
    /// There is no such engine or model.
    #[error("there is no engine or model {name:?}")]
    UnknownEngine {
        /// What was asked for.
        name: String,
    },
    /// An engine works with models and none was named.
    #[error("the engine {engine:?} needs to be told which model to use")]
    NeedsModel {
        /// Which engine.
        engine: &'static str,
    },
    /// The parameters of a step are too long.
    #[error("the parameters of {step} are too long")]
    LongParameters {
        /// The step.
        step: Step,
    },
    /// A request has too many steps.
    #[error("a restoration or a preset comes to {most} steps at most")]
    TooManySteps {
        /// How many it may have.
        most: usize,
    },
    /// No preset has this name.
    #[error("there is no preset named {name:?}")]
    UnknownPreset {
        /// What was asked for.
        name: String,
    },
    /// A preset includes itself, if through others.
    #[error("these presets run in a circle: {path}")]
    CyclicPreset {
        /// Their names on the way round.
        path: String,
    },
    /// There is no such preset to change or read.
    #[error("there is no such preset")]
    NoSuchPreset,
    /// Another preset has the name.
    #[error("there is a preset named {name:?} already")]
    PresetExists {
        /// The name.
        name: String,
    },
    /// The preset came with the program.
    #[error("this preset comes with Safelight and stays as it is: save another one under a name of its own")]
    PresetShipped,
    /// Another preset includes it.
    #[error("the preset “{by}” includes this one: change that first")]
    PresetIncluded {
        /// The title of that one.
        by: String,
    },
    /// Somebody else has saved the preset.
    #[error("only whoever saved this preset, or an admin, may change it")]
    NotYourPreset,
    /// There are as many presets as there may be.
    #[error("there are {most} presets already, and more are not possible: remove one first")]
    TooManyPresets {
        /// How many there may be.
        most: usize,
    },
    /// A preset is not described as it should be.
    #[error("{detail}")]
    BadPreset {
        /// What is wrong.
        field: &'static str,
        /// A sentence about it.
        detail: String,
    },
    /// A text is no file of presets.
    #[error("this is no file of presets: {detail}")]
    BadFile {
        /// What is wrong with it.
        detail: String,
    },
    /// The picture before or after a step is not kept.
    #[error("there is no such step, or its picture is not kept any more")]
    NoSuchStep,
    /// A mask is no base64.
    #[error("the mask is not valid base64")]
    MaskText,
    /// Masks belong to one picture.
    #[error("the steps of a batch have no masks: each picture would need its own")]
    MaskInBatch,
    /// There is no such model.
    #[error("there is no such model")]
    NoSuchModel,
    /// An admin has switched the model off.
    #[error("the model {model} is switched off")]
    ModelDisabled {
        /// Its name.
        model: String,
    },
    /// The provider does not offer the model any more.
    #[error("the model {model} is no longer offered by its provider")]
    ModelRetired {
        /// Its name.
        model: String,
    },
    /// There is a model with this id.
    #[error("there is a model with this id already")]
    ModelExists,
    /// The model came with the program.
    #[error("this model comes with Safelight: it can be switched off, but not changed or removed")]
    ModelShipped,
    /// The model is a file in a folder of this machine.
    #[error(
        "this model is a file in the folder of models: it can be switched off here, and changed or removed there"
    )]
    ModelInstalled,
    /// A file with models has mistakes; none of its models was taken.
    #[error("the list of models has {} mistakes: nothing of it was taken", mistakes.len())]
    BadListing {
        /// All of them.
        mistakes: Vec<registry::listing::Mistake>,
    },
    /// A model is not described as it should be.
    #[error("{detail}")]
    BadModel {
        /// What is wrong.
        field: &'static str,
        /// A sentence about it.
        detail: String,
    },
    /// A restoration can't be tried again.
    #[error("only a restoration that has failed or was cancelled can be tried again")]
    NotEnded,
    /// An engine on another machine can't be used.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// The picture could not be looked at.
    #[error(transparent)]
    NotLookedAt(pipeline::Error),
    /// The mask can't be read or does not fit.
    #[error(transparent)]
    BadMask(pipeline::Error),
    /// A part of a picture that can't be shown.
    #[error("{why}")]
    BadRegion {
        /// What is wrong with it.
        why: String,
    },
    /// Only steps of the built-in engine can be tried out at once.
    #[error("{step} is done by a model on another machine, of which there are no previews")]
    NoPreview {
        /// The step.
        step: Step,
    },
    /// Somebody has asked for the next preview meanwhile.
    #[error("a newer preview of this picture was asked for")]
    Superseded,
    /// Pictures that can't be cut out of a scan.
    #[error("{why}")]
    BadPictures {
        /// What is wrong with them.
        why: String,
    },
    /// Other work needs the memory.
    #[error("the server is busy with other pictures: try again in a moment")]
    Busy,
    /// There is no such batch.
    #[error("there is no such batch")]
    NoSuchBatch,
    /// A batch's name is too long.
    #[error("the name of a batch has at most 120 characters")]
    BadName,
    /// There is nothing to restore.
    #[error("there is no picture among these")]
    EmptyBatch,
    /// Too many pictures for one batch.
    #[error("a batch has at most {most} pictures: take them in several")]
    LargeBatch {
        /// How many it may have.
        most: usize,
    },
    /// The library could not.
    #[error(transparent)]
    Library(#[from] library::Error),
    /// The mask could not be stored.
    #[error("the mask could not be stored")]
    Storage(#[from] storage::Error),
    /// The database could not.
    #[error("restorations could not be read or written")]
    Db(#[from] db::Error),
}

/// What restore functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Asks for a picture to be restored. Everything that can be known to be wrong is told here and not by the job.
///
/// # Errors
/// What is wrong with the request; [`library::Error::NoSuchMedia`], [`library::Error::Forbidden`],
/// [`library::Error::NoSuchVersion`] and [`library::Error::InTrash`] inside [`Error::Library`]; [`Error::NoSuchRestoration`]
/// and [`Error::NoSuchStep`] for where it is to begin.
pub async fn request(app: &App, actor: &Actor, media: MediaId, request: Request) -> Result<Restoration> {
    let mut settled = settle(app, &request).await?;
    let beginning = kept::begin(app, actor, media, &request).await?;
    let version = beginning.as_ref().map(|it| it.version).or(request.version);
    let (found, version) = library::get_version_for(app, actor, media, version, Permission::Restore).await?;
    if found.state == State::Trashed {
        return Err(library::Error::InTrash.into());
    }
    let (Some(width), Some(height)) = (version.width, version.height) else { return Err(Error::NotAPicture) };
    let (beginning, size) = match beginning {
        Some(it) => (Some(it.beginning), it.size.unwrap_or((width, height))),
        None => (None, (width, height)),
    };
    let mut held = Vec::new();
    let mask = keep_mask(app, request.mask, size, &mut held).await?;
    for step in &mut settled.steps {
        step.mask = keep_mask(app, step.painted.take(), size, &mut held).await?;
    }
    let actor = actor.clone();
    // The masks' holds go into the transaction and come back after it, so that nobody sweeps them away in between.
    let (restoration, _held) = app
        .db
        .write(move |tx| {
            library::get_for_in(tx, &actor, media, Permission::Restore)?;
            let (media, version) = library::get_version_in(tx, media, Some(version.id))?;
            for mask in &held {
                library::attach_in(tx, media.id, mask)?;
            }
            if let Some(beginning) = &beginning {
                kept::check_in(tx, beginning)?;
            }
            let wish = Wish { mask, keep_steps: request.keep_steps, beginning, ..Wish::new(jobs::PRIORITY) };
            let id = enqueue_in(tx, &actor, (media.id, version.id), &settled, &wish)?;
            let details = serde_json::json!({
                "restoration": id, "engine": settled.engine, "preset": settled.preset, "steps": settled.steps,
            });
            let target = Target::new("media", media.id).named(&media.key);
            audit::record(tx, &actor, "restoration.request", target, &details)?;
            Ok::<_, Error>((store::find(tx, id)?.ok_or(Error::NoSuchRestoration)?, held))
        })
        .await?;
    Ok(restoration)
}

/// Holds a request's steps against the engines, models and presets that there are.
async fn settle(app: &App, request: &Request) -> Result<model::Settled> {
    let models = registry::list(app).await?;
    let presets = app.db.read(presets::read).await?;
    let catalogue = model::Catalogue {
        engines: &app.engines,
        models: &models,
        presets: &presets,
        unlisted: request.unlisted_models,
    };
    model::settle(&catalogue, request)
}

/// Checks and stores a mask.
async fn keep_mask(
    app: &App,
    mask: Option<Bytes>,
    size: (u32, u32),
    held: &mut Vec<Kept>,
) -> Result<Option<BlobId>> {
    let Some(mask) = mask else { return Ok(None) };
    check_mask(app, mask.clone(), size).await?;
    let kept = app.storage.put_bytes(mask).await?;
    let blob = kept.blob();
    held.push(kept);
    Ok(Some(blob))
}

/// What is wanted of a restoration besides its steps.
struct Wish {
    mask: Option<BlobId>,
    keep_steps: bool,
    beginning: Option<model::Beginning>,
    priority: i32,
}

impl Wish {
    const fn new(priority: i32) -> Self {
        Self { mask: None, keep_steps: false, beginning: None, priority }
    }
}

/// Writes a restoration down, with the job that carries it out.
fn enqueue_in(
    tx: &Tx<'_>,
    actor: &Actor,
    (media, version): (MediaId, VersionId),
    settled: &model::Settled,
    wish: &Wish,
) -> Result<RestorationId> {
    let id = RestorationId::new();
    let row = store::NewRow {
        id,
        media,
        version,
        job: jobs::enqueue(tx, id, actor, &settled.steps, wish.priority)?,
        settled,
        wish,
        requested_by: actor.user_id(),
    };
    store::insert(tx, &row)?;
    emit(tx, id)?;
    Ok(id)
}

/// Looks at a mask with memory from the budget, off the async threads. Its header, which is in memory already and costs
/// nothing to read, says how much.
async fn check_mask(app: &App, mask: Bytes, displayed: (u32, u32)) -> Result<()> {
    let needed = pipeline::mask_bytes(&mask, displayed).map_err(Error::BadMask)?;
    let permit = app.budget.acquire(needed).await.map_err(|error| Error::BadMask(error.into()))?;
    let checked = tokio::task::spawn_blocking(move || {
        let checked = pipeline::check_mask(&mask, displayed);
        drop(permit);
        checked
    });
    let checked = checked.await.unwrap_or_else(|stopped| Err(pipeline::Error::Panicked(stopped.to_string())));
    checked.map_err(Error::BadMask)
}

/// Finds a restoration, for somebody who sees the picture.
///
/// # Errors
/// [`Error::NoSuchRestoration`], [`Error::Db`].
pub async fn get(app: &App, caller: impl Into<Caller>, id: RestorationId) -> Result<Restoration> {
    let caller = caller.into();
    app.db.read(move |conn| get_for_in(conn, caller, id, Permission::LibraryRead)).await
}

fn get_for_in(
    conn: &Connection,
    caller: impl Into<Caller>,
    id: RestorationId,
    permission: Permission,
) -> Result<Restoration> {
    let restoration = store::find(conn, id)?.ok_or(Error::NoSuchRestoration)?;
    match library::get_for_in(conn, caller, restoration.media_id, permission) {
        Err(library::Error::NoSuchMedia) => Err(Error::NoSuchRestoration),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(restoration),
    }
}

/// Restorations of pictures that the caller sees and that fit a filter, newest first, at most `rows`, those before an id.
///
/// # Errors
/// [`Error::Db`].
pub async fn list(
    app: &App,
    caller: impl Into<Caller>,
    filter: Filter,
    before: Option<RestorationId>,
    rows: usize,
) -> Result<Vec<Restoration>> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let seen = library::seen_buckets(conn, caller)?;
            Ok(store::list(conn, filter, seen.as_deref(), before, rows)?)
        })
        .await
}

/// Asks for a restoration to stop: one that waits has ended when this returns, one that runs ends soon. One that has
/// ended stays as it is.
///
/// # Errors
/// [`Error::NoSuchRestoration`], [`library::Error::Forbidden`] inside [`Error::Library`], [`Error::Db`].
pub async fn cancel(app: &App, actor: &Actor, id: RestorationId) -> Result<Restoration> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let restoration = get_for_in(tx, &actor, id, Permission::Restore)?;
            if !stop_in(tx, id)? {
                return Ok(restoration);
            }
            let details = serde_json::json!({ "restoration": id });
            let name = library::get_in(tx, restoration.media_id)?.key;
            let target = Target::new("media", restoration.media_id).named(&name);
            audit::record(tx, &actor, "restoration.cancel", target, &details)?;
            batches::ended_in(tx, &actor, id)?;
            store::find(tx, id)?.ok_or(Error::NoSuchRestoration)
        })
        .await
}

/// Asks a restoration to stop. One that waits has ended then: no process has claimed it, and none will run it any more,
/// so nobody has to wait for the queue to say so. False if it had ended before.
fn stop_in(tx: &Tx<'_>, id: RestorationId) -> Result<bool> {
    let restoration = store::find(tx, id)?.ok_or(Error::NoSuchRestoration)?;
    if !crate::jobs::cancel(tx, restoration.job)? {
        return Ok(false);
    }
    let job = crate::jobs::find(tx, restoration.job)?;
    if job.is_some_and(|job| job.state == JobState::Queued) && store::cancel(tx, id)? {
        kept::ended_in(tx, id)?;
        emit(tx, id)?;
    }
    Ok(true)
}

/// Stops a restoration that has not begun, as if it had not been asked for. False if it has.
fn withdraw_in(tx: &Tx<'_>, id: RestorationId) -> Result<bool> {
    let Some(restoration) = store::find(tx, id)? else { return Ok(false) };
    Ok(restoration.state == JobState::Queued && stop_in(tx, id)?)
}

/// Tries a restoration again that has failed or was cancelled. Results of models that are kept are used again; a call
/// whose outcome is not known is made once more, for now a person has asked for it.
///
/// # Errors
/// [`Error::NoSuchRestoration`], [`Error::NotEnded`], [`Error::Db`], and what is wrong with the request by now.
pub async fn try_again(app: &App, actor: &Actor, id: RestorationId) -> Result<Restoration> {
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let restoration = get_for_in(tx, &actor, id, Permission::Restore)?;
            if let Some(beginning) = &restoration.beginning {
                kept::check_in(tx, beginning)?;
            }
            let job = jobs::enqueue(tx, id, &actor, &restoration.steps, jobs::PRIORITY)?;
            if !store::try_again(tx, id, job)? {
                return Err(Error::NotEnded);
            }
            let useless = restoration.error.as_ref().is_some_and(|error| error.code == "bad-result");
            store::calls::forget(tx, id, useless)?;
            let details = serde_json::json!({ "restoration": id });
            let name = library::get_in(tx, restoration.media_id)?.key;
            let target = Target::new("media", restoration.media_id).named(&name);
            audit::record(tx, &actor, "restoration.retry", target, &details)?;
            emit(tx, id)?;
            store::find(tx, id)?.ok_or(Error::NoSuchRestoration)
        })
        .await
}

/// Tells those who see the picture how a restoration stands.
fn emit(tx: &Tx<'_>, id: RestorationId) -> db::Result<()> {
    if let Some(restoration) = store::find(tx, id)?
        && let Some(audience) = library::audience_of(tx, restoration.media_id)?
    {
        events::emit(tx, "restoration", &audience, &restoration)?;
    }
    Ok(())
}
