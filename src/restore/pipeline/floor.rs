//! Where one engine after the other works on a picture.

use std::sync::Arc;

use super::masks::{mask_bytes, read_mask};
use super::stages::{self, Call, Desk, Keeper, Sheet, Shelf, Stage, Titles};
use super::{Error, Workshop, enlarged, off_thread, scale};
use crate::engine::remote::{self, Answer, Remote};
use crate::engine::{self, Decision, Engines, JpegTables, Outcome, Step, StepReport, StepRequest, Work};
use crate::imaging::{self, Format, Orientation, Probe};

fn is_recreated(stage: &Stage, engines: &Engines) -> bool {
    match stage {
        Stage::Local { engine, .. } => engines.get(engine.as_deref()).is_ok_and(|engine| engine.recreates()),
        Stage::Remote(call) => call.model.recreates,
    }
}

/// What has become of a picture between decoding and encoding.
pub(super) struct Run {
    pub(super) sheet: Sheet,
    pub(super) report: Vec<StepReport>,
    pub(super) recreated: bool,
}

/// Where one engine after the other works on a picture.
pub(super) struct Floor<'a> {
    pub(super) workshop: Workshop<'a>,
    pub(super) desk: Option<&'a dyn Desk>,
    pub(super) context: &'a engine::Context,
    /// The size of the picture that came in as displayed, which is that of all masks.
    pub(super) displayed: (u32, u32),
    /// How many times as wide and high the picture may become.
    pub(super) scale: u32,
    pub(super) shelf: Option<Arc<dyn Shelf>>,
    /// The format of the result.
    pub(super) target: Format,
}

impl Floor<'_> {
    pub(super) async fn run(
        &self,
        mut sheet: Sheet,
        mut jpeg: Option<JpegTables>,
        stages: Vec<Stage>,
        mut recreated: bool,
    ) -> Result<Run, Error> {
        let total: f32 = stages.iter().map(Stage::weight).sum();
        let (mut done, mut report) = (0.0, Vec::new());
        for stage in stages {
            let share = stage.weight() / total;
            let part =
                engine::Context { progress: self.context.progress.part(done, share), ..self.context.clone() };
            let recreates = is_recreated(&stage, self.workshop.engines);
            let keeper = self.keeper(&sheet, recreated || recreates);
            // Tables belong to the pixels that were quantised, not to what has another size or comes from elsewhere.
            let keeps_pixels = matches!(stage, Stage::Local { .. }) && stage.scale() == 1;
            let told = match stage {
                Stage::Local { engine, steps, place, mask } => {
                    let task = Task { engine, steps, place, mask };
                    let (next, told) = self.work(sheet, task, jpeg.clone(), keeper, part).await?;
                    sheet = next;
                    told
                }
                Stage::Remote(call) => {
                    let (next, told) = self.visit(sheet, *call, keeper, &part).await?;
                    sheet = next;
                    vec![told]
                }
            };
            jpeg = jpeg.filter(|_| keeps_pixels);
            recreated |= recreates && told.iter().any(|step| step.decision == Decision::Applied);
            report.extend(told);
            done += share;
        }
        Ok(Run { sheet, report, recreated })
    }

    fn keeper(&self, sheet: &Sheet, recreated: bool) -> Option<Keeper> {
        let shelf = Arc::clone(self.shelf.as_ref()?);
        let Sheet { orientation, icc, exif, .. } = sheet;
        let (icc, exif) = (icc.clone(), exif.clone());
        Some(Keeper { shelf, format: self.target, orientation: *orientation, icc, exif, recreated })
    }

    /// Lets an engine of this machine work on a picture, or on a part of it.
    async fn work(
        &self,
        mut sheet: Sheet,
        task: Task,
        jpeg: Option<JpegTables>,
        keeper: Option<Keeper>,
        mut context: engine::Context,
    ) -> Result<(Sheet, Vec<StepReport>), Error> {
        let Task { engine, steps, place, mask } = task;
        let engine = self.workshop.engines.get(engine.as_deref())?;
        let (width, height) = (sheet.image.width, sheet.image.height);
        let (wide, high) = enlarged((width, height), scale(&steps));
        self.workshop.limits.check(wide, high)?;
        let (displayed, orientation) = (self.displayed, sheet.orientation);
        let region = match mask {
            Some(file) => {
                let read = move || read_mask(&file, displayed, orientation).map(Some);
                off_thread(&context.cancel, read).await?
            }
            None => None,
        };
        let is_damage = steps.iter().all(|request| request.step == Step::Inpaint);
        let (damage, region) =
            if is_damage && region.is_some() { (region, None) } else { (sheet.mask.clone(), region) };
        // An earlier step may have enlarged the picture.
        let damage = damage.map(|mask| stages::fitted(mask, width, height));
        let before = region.map(|region| (sheet.image.clone(), region));
        context.after_step = keeper.clone().filter(|_| before.is_none()).map(|keeper| keeper.watch(place));
        let cancel = context.cancel.clone();
        let work = Work { image: sheet.image, jpeg, mask: damage, steps };
        let restored = engine.restore(work, context).await?;
        sheet.image = restored.image;
        if let Some((before, region)) = before {
            let applied = restored.outcome == Outcome::Restored;
            sheet = off_thread(&cancel, move || {
                if applied {
                    sheet.image = stages::blend(&before, sheet.image, region)?;
                }
                if let Some(keeper) = keeper {
                    let decision = if applied { Decision::Applied } else { Decision::Skipped };
                    keeper.keep(place, &sheet.image, decision);
                }
                Ok(sheet)
            })
            .await?;
        }
        Ok((sheet, restored.report))
    }

    /// Sends a picture to a model on another machine, unless what came of it is kept from an earlier attempt.
    async fn visit(
        &self,
        sheet: Sheet,
        call: Call,
        keeper: Option<Keeper>,
        context: &engine::Context,
    ) -> Result<(Sheet, StepReport), Error> {
        let engine = self.workshop.engines.get(Some(&call.model.engine))?;
        let needs_model = || engine::Error::NeedsModel { engine: engine.name().to_owned() };
        let (Some(remote), Some(desk)) = (engine.remote(), self.desk) else {
            return Err(needs_model().into());
        };
        let started = std::time::Instant::now();
        let (max_side, keep) = (call.model.max_side, call.strength < 1.0 || call.mask.is_some());
        let format = if remote.is_here() { Format::Png } else { Format::Jpeg };
        let parcel = off_thread(&context.cancel, move || sheet.pack(format, max_side, keep)).await?;
        let answer = match desk.find(call.place).await? {
            Some(kept) => kept,
            None => {
                context.progress.report(0.0, call.step);
                let answer = self.call(remote, desk, &parcel.order(&call), call.place, context).await?;
                desk.keep(call.place, &answer).await?;
                answer
            }
        };
        let duration_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        let titles = Titles { engine: engine.title(), duration_ms };
        let limits = self.workshop.limits;
        let probe =
            imaging::probe_bytes(&answer.file).map_err(|error| stages::bad_result(titles.engine, error))?;
        // A model may enlarge, whatever the step is called.
        limits
            .check(probe.width, probe.height)
            .map_err(|error| stages::large_result(titles.engine, error))?;
        let permit = tokio::select! {
            permit = parcel.room(&probe, self.scale, self.workshop.budget) => permit?,
            () = context.cancel.cancelled() => return Err(Error::Cancelled),
        };
        let displayed = self.displayed;
        off_thread(&context.cancel, move || {
            // What comes back is upright.
            let read = |mask: &Vec<u8>| read_mask(mask, displayed, Orientation::Normal);
            let region = call.mask.as_ref().map(read).transpose()?;
            let (sheet, told) = parcel.unpack(&answer, &call, titles, limits, region, permit)?;
            if let Some(keeper) = keeper {
                // Its colours are sRGB now.
                Keeper { icc: None, ..keeper }.keep(call.place, &sheet.image, told.decision);
            }
            Ok((sheet, told))
        })
        .await
    }

    /// Has a model do its work. Memory of this machine is only taken by one that works here.
    async fn call(
        &self,
        remote: &dyn Remote,
        desk: &dyn Desk,
        order: &remote::Order,
        place: u32,
        context: &engine::Context,
    ) -> Result<Answer, Error> {
        let _permit = match remote.working_bytes(order) {
            0 => None,
            bytes => Some(tokio::select! {
                permit = self.workshop.budget.acquire(bytes) => permit?,
                () = context.cancel.cancelled() => return Err(Error::Cancelled),
            }),
        };
        let ledger = desk.ledger(place);
        Ok(remote.run(order, &*ledger, context).await.map_err(engine::Error::from)?)
    }
}

/// Work for an engine of this machine: [`Stage::Local`].
struct Task {
    engine: Option<String>,
    steps: Vec<StepRequest>,
    place: u32,
    mask: Option<Vec<u8>>,
}

/// Bytes for what lies beside the picture while a step applies to a part of it: the mask, and the picture before it.
pub(super) fn aside_bytes(stages: &[Stage], probe: &Probe, scale: u32) -> Result<u64, Error> {
    let masks = stages.iter().filter_map(Stage::mask).map(|mask| mask_bytes(mask, probe.displayed_size()));
    let largest = masks.collect::<Result<Vec<_>, _>>()?.into_iter().max();
    let area = u64::from(scale).saturating_mul(scale.into());
    let image = probe.image_bytes().saturating_add(probe.pixels() * 2).saturating_mul(area);
    Ok(largest.map_or(0, |mask| image.saturating_add(mask)))
}
