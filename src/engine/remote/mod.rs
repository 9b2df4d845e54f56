//! What engines on other machines have in common: the order of events that never pays twice.
//!
//! The intent is written down before a job is created at the other side, and the job's id before it is first asked
//! for. Whoever finds an intent without an id does not know whether there is a job, and leaves that to a person. How
//! things are written down is the caller's business ([`Ledger`]); how one provider is spoken to is a `Protocol`'s.

mod adapter;
mod answers;
mod lookup;
mod model;
mod webhook;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{BoxFuture, CancellationToken, Context, Step};
use crate::config;
use crate::imaging;
use crate::outbound::{self, Outbound};
pub(super) use adapter::Adapter;
pub(super) use answers::{complaint, refusal};
pub(super) use lookup::draft;
pub use lookup::{Found, Lookup};
pub use model::{Field, FieldKind, Form, Model};
pub(super) use webhook::WebhookSecret;
pub use webhook::{Heard, WebhookCall, WebhookError};

/// The largest picture file that is taken from a provider.
const RESULT_BYTES_MAX: u64 = 128 << 20;

/// How long fetching a result may take.
const FETCH: Duration = Duration::from_secs(5 * 60);

/// How long creating a job may take; it is not interrupted, for its id would be lost.
pub(super) const SUBMIT: Duration = Duration::from_secs(60);

/// How long asking for something small may take.
pub(super) const ASK: Duration = Duration::from_secs(30);

/// How long a provider has to confirm that it stops.
const STOP: Duration = Duration::from_secs(5);

/// How many times less often a job is asked for whose end one is told.
const SLOWER: u32 = 10;

/// Why a remote engine has no picture to give.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token of the [`Context`] was cancelled.
    #[error("the restoration was cancelled")]
    Cancelled,
    /// A setting is missing.
    #[error("{engine} is not set up: the setting {setting} is missing")]
    NotConfigured {
        /// Which engine.
        engine: &'static str,
        /// What has to be set.
        setting: &'static str,
    },
    /// Whether the other side has taken the job, and is paid for it, is not known.
    #[error(
        "the connection ended just when {engine} was given this picture, so it is not known whether the work was begun \
         and is paid for: look there, and try again if you want it once more"
    )]
    OutcomeUnknown {
        /// Which engine.
        engine: &'static str,
    },
    /// 401.
    #[error("{engine} does not accept the key that is set for it")]
    BadToken {
        /// Which engine.
        engine: &'static str,
    },
    /// 402.
    #[error("{engine} wants to be paid first{detail}")]
    Credits {
        /// Which engine.
        engine: &'static str,
        /// What it said, with its own punctuation in front, or nothing.
        detail: String,
    },
    /// 403.
    #[error("{engine} does not permit this{detail}")]
    NotAllowed {
        /// Which engine.
        engine: &'static str,
        /// As above.
        detail: String,
    },
    /// 410.
    #[error("the model {model} is no longer offered")]
    Retired {
        /// Which model.
        model: String,
    },
    /// 404.
    #[error("the model {model} was not found{detail}")]
    NoSuchModel {
        /// Which model.
        model: String,
        /// As above.
        detail: String,
    },
    /// The model is there, and nobody runs it.
    #[error("no provider that is known here runs the model {model} for pictures made from pictures{detail}")]
    NoProvider {
        /// Which model.
        model: String,
        /// As above.
        detail: String,
    },
    /// The model is there, and has no use for a photograph.
    #[error("the model {model} takes no picture{detail}")]
    TakesNoPicture {
        /// Which model.
        model: String,
        /// As above.
        detail: String,
    },
    /// A model's file in a folder of this machine can't be used.
    #[error("the model {model} can't be used: {detail}")]
    BadModelFile {
        /// Which model.
        model: String,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no list of models to look in.
    #[error("the models of {engine} can't be looked up: they are what lies in its folder")]
    NothingToLookIn {
        /// Which engine.
        engine: &'static str,
    },
    /// 400, 413, 422: what was asked for is wrong.
    #[error("{engine} does not take this request{detail}")]
    BadRequest {
        /// Which engine.
        engine: &'static str,
        /// As above.
        detail: String,
    },
    /// 429, 503: not now.
    #[error("{engine} is too busy at the moment")]
    Busy {
        /// Which engine.
        engine: &'static str,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// Another status that says nothing about what was done.
    #[error("{engine} answered with status {status}{detail}")]
    Unclear {
        /// Which engine.
        engine: &'static str,
        /// The HTTP status.
        status: u16,
        /// As above.
        detail: String,
    },
    /// The job took longer than is waited for.
    #[error("{engine} was not ready after {minutes} minutes and was told to stop")]
    TimedOut {
        /// Which engine.
        engine: &'static str,
        /// How long was waited.
        minutes: u64,
    },
    /// The job has ended without a result.
    #[error("the model could not do it{detail}")]
    Failed {
        /// As above.
        detail: String,
    },
    /// What came is not a picture.
    #[error("{engine} answered with something that is not a picture")]
    BadResult {
        /// Which engine.
        engine: &'static str,
        /// What is wrong with it.
        #[source]
        source: Option<imaging::Error>,
    },
    /// The picture that came has more pixels than are taken.
    #[error("the picture that {engine} answered with is larger than this server takes")]
    LargeResult {
        /// Which engine.
        engine: &'static str,
        /// How large it is.
        #[source]
        source: imaging::Error,
    },
    /// What came is not what the provider documents.
    #[error("{engine} answered in a way that is not understood: {what}")]
    NotUnderstood {
        /// Which engine.
        engine: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The way to the other side.
    #[error(transparent)]
    Outbound(#[from] outbound::Error),
    /// What has to be remembered could not be written.
    #[error("it could not be written down how far the work is")]
    Ledger(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A stable name that programs may depend on.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::NotConfigured { .. } => "engine-not-configured",
            Self::OutcomeUnknown { .. } => "outcome-unknown",
            Self::BadToken { .. } => "engine-bad-token",
            Self::Credits { .. } => "engine-no-credits",
            Self::NotAllowed { .. } => "engine-not-allowed",
            Self::Retired { .. } => "model-retired",
            Self::NoSuchModel { .. } => "no-such-model",
            Self::NoProvider { .. } => "no-provider",
            Self::TakesNoPicture { .. } => "takes-no-picture",
            Self::BadModelFile { .. } => "bad-model-file",
            Self::NothingToLookIn { .. } => "no-lookup",
            Self::LargeResult { .. } => "too-large",
            Self::BadRequest { .. } => "engine-bad-request",
            Self::Busy { .. } => "engine-busy",
            Self::TimedOut { .. } => "engine-timed-out",
            Self::Failed { .. } => "model-failed",
            Self::BadResult { .. } | Self::Outbound(outbound::Error::TooLarge { .. }) => "bad-result",
            Self::Outbound(outbound::Error::Offline) => "offline",
            Self::Outbound(
                outbound::Error::ForeignHost { .. }
                | outbound::Error::Private { .. }
                | outbound::Error::Redirected { .. },
            ) => "refused-address",
            Self::Unclear { .. } | Self::NotUnderstood { .. } | Self::Outbound(_) => "engine-unreachable",
            Self::Ledger(_) => "not-written",
        }
    }

    /// Whether trying again later, without a person, may help and costs nothing twice.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Unclear { .. } | Self::Ledger(_) => true,
            Self::Outbound(error) => error.may_pass(),
            _ => false,
        }
    }

    /// Whether it is certain that the other side has begun nothing.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Outbound(outbound::Error::Redirected { .. }) => true,
            Self::Outbound(error) => error.nothing_sent(),
            Self::OutcomeUnknown { .. }
            | Self::Unclear { .. }
            | Self::NotUnderstood { .. }
            | Self::TimedOut { .. }
            | Self::Ledger(_) => false,
            _ => true,
        }
    }
}

/// What remote functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A job at the other side, as far as it has to be remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The provider's id of the job.
    pub id: String,
    /// What is asked for it, where the id alone does not say that: a path, or the name of who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What is known about a job from an earlier attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// There is none.
    Nothing,
    /// It was about to be created.
    Intended,
    /// It was created.
    Accepted(Handle),
}

/// Where is written down how far a job is. What was written must be there after a crash.
pub trait Ledger: Send + Sync {
    /// Reads what was written last.
    fn read(&self) -> BoxFuture<'_, Result<Saved>>;

    /// Writes in the place of what was written before.
    fn write(&self, saved: Saved) -> BoxFuture<'_, Result<()>>;

    /// Whether a person wants the work to end. Without one it is only this process that stops, and the job at the other
    /// side goes on.
    fn is_abandoned(&self) -> BoxFuture<'_, bool>;
}

/// A picture, and what a model shall make of it.
#[derive(Debug, Clone)]
pub struct Order {
    /// A JPEG file, upright, sRGB; a PNG file for engines that are here.
    pub picture: Bytes,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// What is wanted.
    pub step: Step,
    /// By which model.
    pub model: Model,
    /// What the model is told besides; goes before the model's own parameters.
    pub parameters: Map<String, Value>,
}

impl Order {
    /// The model's parameters with those of this order in their place.
    pub(super) fn merged_parameters(&self) -> Map<String, Value> {
        let mut merged = self.model.parameters.clone();
        merged.extend(self.parameters.clone());
        merged
    }
}

/// What came of an order.
#[derive(Debug, Clone)]
pub struct Answer {
    /// A picture file of any format.
    pub file: Bytes,
    /// The provider's id of the job.
    pub id: Option<String>,
    /// Seconds that the provider says it has computed.
    pub compute_s: Option<f64>,
    /// About what it costs in US dollars, by the prices of the model: no provider says it with the result.
    pub cost_usd: Option<f64>,
}

/// An engine that works with models: on another machine, or with files of models here.
pub trait Remote: Send + Sync {
    /// Why a model can't be used at present, as far as the configuration says; nothing if it can.
    fn unavailable(&self, model: &Model) -> Option<Error>;

    /// Asks what a model wants to know. Costs nothing; also the way to find out whether it is there.
    fn inspect<'a>(&'a self, model: &'a Model) -> BoxFuture<'a, Result<Form>>;

    /// Asks about a model that is not in the list yet. Costs nothing.
    fn look_up<'a>(&'a self, wanted: &'a Lookup) -> BoxFuture<'a, Result<Found>>;

    /// Whether pictures stay on this machine. They then come without loss and in their full size, and the memory for
    /// the work ([`Remote::working_bytes`]) is the caller's.
    fn is_here(&self) -> bool {
        false
    }

    /// Bytes of this machine's memory that the work on an order takes at most, about.
    fn working_bytes(&self, _: &Order) -> u64 {
        0
    }

    /// The models that it finds by itself, those that can't be used included. Blocks.
    fn installed(&self) -> Vec<Model> {
        Vec::new()
    }

    /// Hears a provider say that a job has ended, and wakes whoever waits for it; nothing else that was said counts.
    fn hear<'a>(&'a self, _: WebhookCall<'a>) -> BoxFuture<'a, Result<Heard, WebhookError>> {
        Box::pin(async { Err(WebhookError::Off) })
    }

    /// Lets a model work on a picture, or goes on waiting for the job that the ledger knows.
    fn run<'a>(
        &'a self,
        order: &'a Order,
        ledger: &'a dyn Ledger,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Answer>>;
}

/// How patient an engine is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The pause before a job is asked for again; it grows to ten times as much.
    pub poll: Duration,
    /// The first pause after the other side was busy or gone; it doubles.
    pub pause: Duration,
    /// How long is waited in all before the queue shall try it again later.
    pub patience: Duration,
    /// How long a minute of a model's deadline is; another length is for tests.
    pub minute: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(500),
            pause: Duration::from_secs(1),
            patience: Duration::from_secs(120),
            minute: Duration::from_secs(60),
        }
    }
}

/// What the engines share: the client, hosts of results, and how patient they are.
#[derive(Debug, Clone)]
pub struct Line {
    /// The client.
    pub outbound: Outbound,
    /// Hosts that results may lie at.
    pub result_hosts: Vec<String>,
    /// How patient they are.
    pub pace: Pace,
}

impl Line {
    pub(super) fn unavailable(&self) -> Option<Error> {
        self.outbound.is_offline().then_some(Error::Outbound(outbound::Error::Offline))
    }
}

/// Rings when a job is said to have ended. Nobody waits for it any more once it is dropped.
pub(super) struct Bell {
    pub(super) rung: Arc<Notify>,
    /// Takes the bell down.
    pub(super) unhook: Box<dyn Fn() + Send + Sync>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        (self.unhook)();
    }
}

/// What the other side says about a job.
pub(super) enum Stage {
    /// It is not ready, and as far as that.
    Working(Option<f32>),
    /// It is ready.
    Ready(Finished),
}

/// What the other side says about a new job.
pub(super) enum Submitted {
    Accepted(Handle),
    Ready(Finished),
}

/// A finished job.
pub(super) struct Finished {
    pub(super) picture: Whereabouts,
    pub(super) id: Option<String>,
    pub(super) compute_s: Option<f64>,
}

/// Where a result is.
pub(super) enum Whereabouts {
    Here(Vec<u8>),
    /// At an address; the token goes along to the home origin only.
    At {
        url: String,
        home: String,
    },
}

/// How one provider is spoken to.
pub(super) trait Protocol: Sync {
    /// What creating a job needs.
    type Prepared: Send + Sync;

    /// The engine's name.
    const NAME: &'static str;
    /// What people call it in a list.
    const TITLE: &'static str;

    /// What it is called inside a sentence.
    fn engine(&self) -> &'static str {
        Self::TITLE
    }

    /// Takes other settings; what is under way goes on with those that it began with, as far as it has read them.
    fn configure(&self, settings: &config::Engines);

    fn line(&self) -> &Line;

    /// What the configuration lacks for a model.
    fn not_set_up(&self, model: &Model) -> Option<Error>;

    fn inspect(&self, model: &Model) -> impl Future<Output = Result<Form>> + Send;

    fn look_up(&self, wanted: &Lookup) -> impl Future<Output = Result<Found>> + Send;

    /// As [`Remote::hear`].
    fn hear(&self, _: WebhookCall<'_>) -> impl Future<Output = Result<Heard, WebhookError>> + Send {
        async { Err(WebhookError::Off) }
    }

    /// Gets ready to be told that a job has ended; none where nobody tells.
    fn bell(&self, _: &Handle) -> Option<Bell> {
        None
    }

    /// Whether the answer to the creation is the result, for which one waits.
    fn answers_at_once(&self, prepared: &Self::Prepared) -> bool;

    /// Everything before the creation; may be repeated and costs nothing.
    fn prepare(&self, order: &Order) -> impl Future<Output = Result<Self::Prepared>> + Send;

    /// Creates the job: the one request that costs something.
    fn submit(
        &self,
        order: &Order,
        prepared: &Self::Prepared,
    ) -> impl Future<Output = Result<Submitted>> + Send;

    fn poll(&self, order: &Order, handle: &Handle) -> impl Future<Output = Result<Stage>> + Send;

    /// Tells the other side to stop, if it can be told.
    fn stop(&self, order: &Order, handle: &Handle) -> impl Future<Output = Result<()>> + Send;

    /// A call with the token on it.
    fn fetch(&self, url: &str, home: &str) -> Result<outbound::Call>;
}

/// Carries an order out.
pub(super) async fn run<P: Protocol>(
    protocol: &P,
    order: &Order,
    ledger: &dyn Ledger,
    context: &Context,
) -> Result<Answer> {
    let handle = match ledger.read().await? {
        Saved::Intended => return Err(Error::OutcomeUnknown { engine: protocol.engine() }),
        Saved::Accepted(handle) => handle,
        Saved::Nothing => match create(protocol, order, ledger, context).await? {
            Submitted::Accepted(handle) => handle,
            Submitted::Ready(finished) => return collect(protocol, order, finished, &context.cancel).await,
        },
    };
    tracing::info!(engine.name = protocol.engine(), engine.job = %handle.id, "waiting for a model");
    let finished = match wait(protocol, order, &handle, context).await {
        Ok(finished) => finished,
        Err(error) => {
            let is_over = match error {
                Error::Cancelled => ledger.is_abandoned().await,
                Error::TimedOut { .. } => true,
                _ => false,
            };
            if is_over
                && !matches!(tokio::time::timeout(STOP, protocol.stop(order, &handle)).await, Ok(Ok(())))
            {
                tracing::warn!(engine.name = protocol.engine(), engine.job = %handle.id, "the job could not be stopped");
            }
            return Err(error);
        }
    };
    collect(protocol, order, finished, &context.cancel).await
}

async fn create<P: Protocol>(
    protocol: &P,
    order: &Order,
    ledger: &dyn Ledger,
    context: &Context,
) -> Result<Submitted> {
    let engine = protocol.engine();
    let mut patience = Patience::new(protocol.line().pace);
    loop {
        let mut intended = false;
        let attempt = async {
            let prepared = unless(&context.cancel, protocol.prepare(order)).await?;
            ledger.write(Saved::Intended).await?;
            intended = true;
            let submitting = protocol.submit(order, &prepared);
            if protocol.answers_at_once(&prepared) {
                unless(&context.cancel, submitting).await
            } else {
                submitting.await
            }
        };
        let error = match attempt.await {
            Ok(Submitted::Accepted(handle)) => {
                if let Err(error) = ledger.write(Saved::Accepted(handle.clone())).await {
                    // Nobody will ever ask for it.
                    let _ = tokio::time::timeout(STOP, protocol.stop(order, &handle)).await;
                    return Err(error);
                }
                return Ok(Submitted::Accepted(handle));
            }
            Ok(ready) => return Ok(ready),
            Err(error) => error,
        };
        if intended {
            match error {
                // It was told to stop in the middle: the intent stays.
                Error::Cancelled => return Err(error),
                ref refused if refused.is_refusal() => ledger.write(Saved::Nothing).await?,
                unclear => {
                    tracing::warn!(engine.name = engine, error = %unclear, "what has become of a new job is not known");
                    return Err(Error::OutcomeUnknown { engine });
                }
            }
        }
        patience.pause(error, &context.cancel).await?;
    }
}

async fn wait<P: Protocol>(
    protocol: &P,
    order: &Order,
    handle: &Handle,
    context: &Context,
) -> Result<Finished> {
    let mut pace = protocol.line().pace;
    let minutes = u64::from(order.model.deadline_minutes.max(1));
    let late = || Error::TimedOut { engine: protocol.engine(), minutes };
    let ends = Instant::now() + pace.minute * order.model.deadline_minutes.max(1);
    let bell = protocol.bell(handle);
    if bell.is_some() {
        // Asking is what is left if nobody rings.
        pace.poll *= SLOWER;
    }
    let mut patience = Patience::new(pace);
    let mut pause = pace.poll;
    loop {
        let asking = tokio::time::timeout_at(ends, unless(&context.cancel, protocol.poll(order, handle)));
        match asking.await.map_err(|_| late())? {
            Ok(Stage::Ready(finished)) => return Ok(finished),
            Ok(Stage::Working(progress)) => {
                patience = Patience::new(pace);
                if let Some(progress) = progress {
                    context.progress.report(progress.clamp(0.0, 1.0) * 0.95, order.step);
                }
                if Instant::now() + pause > ends {
                    return Err(late());
                }
                tokio::select! {
                    slept = sleep(pause, &context.cancel) => slept?,
                    () = rung(bell.as_ref()) => {}
                }
                pause = (pause * 11 / 10).min(pace.poll * if bell.is_some() { 3 } else { 10 });
            }
            Err(error) => patience.pause(error, &context.cancel).await?,
        }
    }
}

async fn rung(bell: Option<&Bell>) {
    match bell {
        Some(bell) => bell.rung.notified().await,
        None => std::future::pending().await,
    }
}

/// Fetches a result. It is only read, so it may be tried more than once.
async fn collect<P: Protocol>(
    protocol: &P,
    order: &Order,
    finished: Finished,
    cancel: &CancellationToken,
) -> Result<Answer> {
    let Finished { picture, id, compute_s } = finished;
    let file = match picture {
        Whereabouts::Here(bytes) => bytes,
        Whereabouts::At { url, home } => {
            let mut patience = Patience::new(protocol.line().pace);
            loop {
                let fetching = async {
                    let answer = protocol.fetch(&url, &home)?.within(FETCH).send().await?;
                    if !answer.status().is_success() {
                        return Err(refusal(protocol.engine(), &order.model, answer).await);
                    }
                    Ok(answer.read(RESULT_BYTES_MAX).await?)
                };
                match unless(cancel, fetching).await {
                    Ok(bytes) => break bytes,
                    Err(error) => patience.pause(error, cancel).await?,
                }
            }
        }
    };
    if let Err(error) = imaging::probe_bytes(&file) {
        return Err(Error::BadResult { engine: protocol.engine(), source: Some(error) });
    }
    Ok(Answer { file: file.into(), id, compute_s, cost_usd: order.model.about_usd(compute_s) })
}

/// What is left of the patience with a side that is busy or gone.
struct Patience {
    next: Duration,
    left: Duration,
}

impl Patience {
    fn new(pace: Pace) -> Self {
        Self { next: pace.pause, left: pace.patience }
    }

    /// Waits after an error that may pass; gives it back if it does not, or if it has been enough.
    async fn pause(&mut self, error: Error, cancel: &CancellationToken) -> Result<()> {
        let asked = match &error {
            Error::Busy { after, .. } => *after,
            error if error.may_pass() => None,
            _ => return Err(error),
        };
        // Who asks for no pause at all gets one all the same.
        let pause = asked.map_or(self.next, |asked| asked.max(self.next));
        let Some(left) = self.left.checked_sub(pause) else { return Err(error) };
        self.left = left;
        self.next = (self.next * 2).min(Duration::from_secs(30));
        sleep(pause, cancel).await
    }
}

async fn sleep(pause: Duration, cancel: &CancellationToken) -> Result<()> {
    unless(cancel, async {
        tokio::time::sleep(pause).await;
        Ok(())
    })
    .await
}

async fn unless<T>(cancel: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        done = work => done,
    }
}
