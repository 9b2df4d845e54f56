//! Networks in ONNX files that an admin puts into a folder of this machine. Nothing leaves it.
//!
//! Beside `NAME.onnx` lies `NAME.toml`, which says what the network is for and how pictures are given to it
//! (`folder`). A picture is cut into tiles (`tiles`), so that memory does not grow with it, and a tile is what the
//! network sees (`network`, which needs the feature `onnx`: without it the models are listed and say why they can't
//! be used). A file that can't be used is listed with the reason, and the others go on working.

mod folder;
mod network;
mod tiles;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use self::folder::{Files, Spec, Stamp};
use self::network::Network;
use super::remote::{self, Answer, Error, Form, Found, Ledger, Lookup, Model, Order, Remote, Result};
use super::{BoxFuture, Context, Engine, Restored, Step, StepInfo, Work};
use crate::config;
use crate::imaging::{self, EncodeOptions, Format, Image, Limits, Options, Samples};

/// The name of the engine.
pub const NAME: &str = "onnx";

/// What people call it.
const TITLE: &str = "ONNX";

/// What the ids of its models begin with.
pub const ID_PREFIX: &str = "onnx-";

/// What such networks are made for.
const STEPS: [StepInfo; 9] = [
    step(Step::Deblock, "JPEG", "Removes the blocks and ringing of JPEG compression."),
    step(Step::Descreen, "Print dots", "Removes the dots of a printed picture."),
    step(Step::Denoise, "Noise", "Removes noise and film grain."),
    step(Step::Deblur, "Sharpness", "Sharpens a picture that is out of focus."),
    step(Step::Enhance, "Enhance", "Lets the network improve the picture as it sees fit."),
    step(Step::Face, "Faces", "Restores faces."),
    step(Step::RemoveScratches, "Scratches", "Finds and removes scratches and dust."),
    step(Step::Colorize, "Colours", "Gives colours to a black-and-white picture."),
    step(Step::Upscale, "Enlarge", "Makes the picture larger."),
];

const fn step(step: Step, title: &'static str, description: &'static str) -> StepInfo {
    StepInfo { step, title, description, default_strength: 1.0 }
}

/// Networks in a folder.
pub struct Onnx {
    folder: Option<PathBuf>,
    inner: Arc<Inner>,
}

/// What a file said when it was read last, and what the file was then.
type Said = (Stamp, Result<Spec, String>);

/// A network in memory: its name, and what its files were when it was read.
type Loaded = (String, Stamp, Arc<dyn Network>);

struct Inner {
    /// One picture at a time: a network uses all cores.
    turn: Semaphore,
    /// What the files said, by name.
    known: Mutex<HashMap<String, Said>>,
    /// The network that was used last.
    loaded: Mutex<Option<Loaded>>,
}

impl Onnx {
    /// Makes the engine. The folder is looked at when somebody asks.
    pub fn new(settings: &config::Onnx) -> Self {
        let inner = Inner { turn: Semaphore::new(1), known: Mutex::default(), loaded: Mutex::default() };
        Self { folder: settings.models_dir.clone(), inner: Arc::new(inner) }
    }

    fn files(&self, model: &Model) -> Result<Files> {
        let missing = Error::NotConfigured { engine: TITLE, setting: "engines.onnx.models_dir" };
        let folder = self.folder.as_ref().ok_or(missing)?;
        Files::of(folder, &model.target)
            .ok_or_else(|| Error::NoSuchModel { model: model.target.clone(), detail: String::new() })
    }
}

impl Inner {
    /// What a model's files say. They are read again when they have changed.
    fn spec(&self, files: &Files) -> Result<(Stamp, Spec), String> {
        let stamp = files.stamp()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, said)) = known.get(&files.name).filter(|(of, _)| *of == stamp) {
            return said.clone().map(|spec| (*of, spec));
        }
        let said = files.read();
        known.insert(files.name.clone(), (stamp, said.clone()));
        said.map(|spec| (stamp, spec))
    }

    /// The network of a model. What is wrong with its file is remembered until the file changes.
    fn load(&self, files: &Files) -> Result<(Spec, Arc<dyn Network>), String> {
        let (stamp, spec) = self.spec(files)?;
        {
            let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((name, of, network)) = loaded.as_ref()
                && (name, *of) == (&files.name, stamp)
            {
                return Ok((spec, Arc::clone(network)));
            }
        }
        let network = std::panic::catch_unwind(|| network::load(&files.network, &spec))
            .unwrap_or_else(|_| Err("the file is broken in a way that stopped its reading".to_owned()));
        match network {
            Ok(network) => {
                let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
                *loaded = Some((files.name.clone(), stamp, Arc::clone(&network)));
                Ok((spec, network))
            }
            Err(why) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(files.name.clone(), (stamp, Err(why.clone())));
                Err(why)
            }
        }
    }
}

fn bad_file(model: &Model) -> impl FnOnce(String) -> Error {
    let model = model.target.clone();
    move |detail| Error::BadModelFile { model, detail }
}

impl Engine for Onnx {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        TITLE
    }

    fn steps(&self) -> &'static [StepInfo] {
        &STEPS
    }

    fn recreates(&self) -> bool {
        true
    }

    fn restore(&self, _: Work, _: Context) -> BoxFuture<'_, Result<Restored, super::Error>> {
        Box::pin(async { Err(super::Error::NeedsModel { engine: NAME.to_owned() }) })
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }
}

impl Remote for Onnx {
    fn unavailable(&self, model: &Model) -> Option<Error> {
        let look = || {
            let files = self.files(model)?;
            self.inner.spec(&files).map_err(bad_file(model))?;
            network::available().map_err(bad_file(model))
        };
        look().err()
    }

    fn inspect<'a>(&'a self, model: &'a Model) -> BoxFuture<'a, Result<Form>> {
        Box::pin(async move {
            let (files, inner) = (self.files(model)?, Arc::clone(&self.inner));
            let loading = tokio::task::spawn_blocking(move || inner.load(&files).map(drop));
            loading.await.unwrap_or_else(|stopped| Err(stopped.to_string())).map_err(bad_file(model))?;
            Ok(Form::default())
        })
    }

    fn look_up<'a>(&'a self, _: &'a Lookup) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async { Err(Error::NothingToLookIn { engine: TITLE }) })
    }

    fn is_here(&self) -> bool {
        true
    }

    fn working_bytes(&self, order: &Order) -> u64 {
        let spec = self.files(&order.model).ok().and_then(|files| self.inner.spec(&files).ok());
        spec.map_or(0, |(stamp, spec)| {
            tiles::working_bytes(order.width, order.height, &spec, threads(None))
                .saturating_add(stamp.network_bytes())
        })
    }

    fn installed(&self) -> Vec<Model> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let found = folder::names(folder).unwrap_or_else(|error| {
            tracing::warn!(engine.name = NAME, %error, "the folder of models can't be read");
            Vec::new()
        });
        let model = |name: String| {
            let files = Files::of(folder, &name)?;
            let spec = self.inner.spec(&files).ok().map(|(_, spec)| spec);
            let steps = STEPS.iter().map(|info| info.step).collect();
            let plain = Model { id: format!("{ID_PREFIX}{name}"), steps, ..Model::unlisted(NAME, &name) };
            Some(match spec {
                Some(spec) => Model {
                    name: spec.title,
                    description: spec.description,
                    steps: spec.steps,
                    recreates: spec.recreates,
                    price_usd: Some(0.0),
                    max_side: u32::MAX,
                    ..plain
                },
                None => plain,
            })
        };
        found.into_iter().filter_map(model).collect()
    }

    fn run<'a>(
        &'a self,
        order: &'a Order,
        _: &'a dyn Ledger,
        context: &'a Context,
    ) -> BoxFuture<'a, Result<Answer>> {
        Box::pin(async move {
            let files = self.files(&order.model)?;
            let _turn = tokio::select! {
                turn = self.inner.turn.acquire() => turn.map_err(|_| Error::Cancelled)?,
                () = context.cancel.cancelled() => return Err(Error::Cancelled),
            };
            let (inner, order, context) = (Arc::clone(&self.inner), order.clone(), context.clone());
            let model = order.model.clone();
            // It looks at the token between tiles, so that it ends soon.
            let working = tokio::task::spawn_blocking(move || work(&inner, &files, &order, &context));
            let file = working.await.unwrap_or_else(|stopped| Err(bad_file(&model)(stopped.to_string())))?;
            Ok(Answer { file: file.into(), id: None, compute_s: None, cost_usd: Some(0.0) })
        })
    }
}

fn threads(wanted: Option<std::num::NonZeroUsize>) -> usize {
    wanted.map_or_else(rayon::current_num_threads, std::num::NonZeroUsize::get)
}

fn work(inner: &Inner, files: &Files, order: &Order, context: &Context) -> Result<Vec<u8>> {
    let (spec, network) = inner.load(files).map_err(bad_file(&order.model))?;
    let bad_picture = |source| Error::BadResult { engine: TITLE, source: Some(source) };
    let options = Options::held(Limits { max_pixels: u64::MAX });
    let image = imaging::decode_bytes(&order.picture, &options).map_err(bad_picture)?.image;
    let whole = tiles::Whole {
        spec: &spec,
        network: &*network,
        cancel: &context.cancel,
        threads: threads(context.threads),
        progress: &|done| context.progress.report(done, order.step),
    };
    let image = whole.run(&image).map_err(|error| match error {
        tiles::Error::Cancelled => Error::Cancelled,
        tiles::Error::Picture(source) => bad_picture(source),
        tiles::Error::Network(why) => remote::Error::Failed { detail: format!(": {why}") },
    })?;
    imaging::encode(&image, &EncodeOptions::new(Format::Png)).map_err(bad_picture)
}

/// The samples of a picture that was packed for a network: 8 bits, three channels.
fn rgb(image: &Image) -> Option<&[u8]> {
    match &image.samples {
        Samples::U8(samples) if image.channels == imaging::Channels::Rgb => Some(samples),
        _ => None,
    }
}
