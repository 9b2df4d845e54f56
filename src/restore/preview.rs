//! Previews: what steps would make of the part of a picture that somebody is looking at, while the strengths are being
//! chosen. Knows no HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::model::{self, AskedStep};
use super::{Error, Result, pictures, pipeline, registry};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::engine::builtin::{Asked, Measured, Part};
use crate::engine::{self, Context, Step, StepRequest, Subject};
use crate::imaging::{self, EncodeOptions, Format, Image, Limits, Permit};
use crate::library::{MediaId, Version, VersionId};

/// The largest part that is computed.
const PIXELS_MAX: u64 = 16_000_000;

/// How long memory is waited for before others are let go first.
const PATIENCE: Duration = Duration::from_secs(2);

/// What somebody wants to see.
#[derive(Debug)]
pub(super) struct Wish {
    /// The version; the current one where it is not said.
    pub(super) version: Option<VersionId>,
    pub(super) steps: Vec<AskedStep>,
    /// Whether the steps are run in their order instead of the engine's.
    pub(super) in_order: bool,
    /// Left, top, width and height in displayed pixels.
    pub(super) region: (u32, u32, u32, u32),
    /// The longest side of what is sent.
    pub(super) max_side: Option<u32>,
    /// Where it is damaged, as a PNG file.
    pub(super) mask: Option<Bytes>,
    /// Whether everything is measured at just these strengths.
    pub(super) exact: bool,
    /// Whether it is sent without loss.
    pub(super) lossless: bool,
}

/// What they see.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) format: Format,
    pub(super) bytes: Vec<u8>,
    pub(super) measured: Measured,
    /// Steps that a preview leaves out.
    pub(super) left_out: Vec<Step>,
}

/// Shows a part of a picture as the steps would leave it. The next preview that the same person asks for of the same
/// picture ends this one, and so does not waiting for it.
pub(super) async fn show(app: &App, user: UserId, media: MediaId, wish: Wish) -> Result<Shown> {
    let models = registry::list(app).await?;
    let catalogue = model::Catalogue { engines: &app.engines, models: &models, presets: &[], unlisted: true };
    let steps = model::settle_preview(&catalogue, &wish.steps, wish.in_order)?;
    let version = pictures::find(app, user, media, wish.version, Permission::Restore).await?;
    check_region(&version, wish.region)?;
    let turn = app.previews.begin(format!("{user}/{media}"));
    let shown = make(app, &version, wish, steps, turn.cancel()).await;
    match shown {
        Err(Error::NotLookedAt(error)) if error.is_cancelled() => Err(Error::Superseded),
        Err(Error::NotLookedAt(error)) if error.code() == "bad-mask" => Err(Error::BadMask(error)),
        other => other,
    }
}

fn check_region(version: &Version, (left, top, width, height): (u32, u32, u32, u32)) -> Result<()> {
    let (Some(across), Some(down)) = (version.width, version.height) else { return Err(Error::NotAPicture) };
    let inside = |start: u32, length: u32, whole: u32| {
        length > 0 && start.checked_add(length).is_some_and(|end| end <= whole)
    };
    if !inside(left, width, across) || !inside(top, height, down) {
        let why = format!("the region must lie inside the picture, which is {across} x {down} pixels");
        return Err(Error::BadRegion { why });
    }
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        let why = format!("a region has at most {} megapixels", PIXELS_MAX / 1_000_000);
        return Err(Error::BadRegion { why });
    }
    Ok(())
}

async fn make(
    app: &App,
    version: &Version,
    wish: Wish,
    steps: Vec<StepRequest>,
    cancel: &CancellationToken,
) -> Result<Shown> {
    let cancelled = || Error::NotLookedAt(pipeline::Error::Cancelled);
    let place = tokio::select! {
        place = app.previews.place() => place,
        () = cancel.cancelled() => return Err(cancelled()),
    };
    let (subject, permit) = subject(app, version, cancel).await?;
    let displayed = (version.width.unwrap_or(1), version.height.unwrap_or(1));
    let mask = match &wish.mask {
        None => None,
        Some(file) => {
            let key: [u8; 32] = Sha256::digest(file).into();
            pipeline::mask_bytes(file, displayed).map_err(Error::NotLookedAt)?;
            Some((key, file.clone()))
        }
    };
    let order = Order { steps, mask, displayed, wish };
    let permits = (room(app, order.needed_bytes(&subject, permit.is_some())).await?, permit);
    let name = version.sha256.to_string();
    let context = Context { cancel: cancel.clone(), ..Context::default() };
    let worked = Arc::clone(&subject);
    // Who stops waiting does not stop the work at once: it holds its place and its memory until it ends.
    let shown = pipeline::off_thread(cancel, move || {
        let shown = order.carry_out(&worked, &context);
        drop((permits, place));
        shown
    })
    .await;
    app.previews.keep(&name, &subject);
    shown.map_err(Error::NotLookedAt)
}

/// The picture, decoded now or a moment ago. What is decoded now brings the memory that measuring it takes.
async fn subject(
    app: &App,
    version: &Version,
    cancel: &CancellationToken,
) -> Result<(Arc<Subject>, Option<Permit>)> {
    if let Some(subject) = app.previews.find(&version.sha256.to_string()) {
        return Ok((subject, None));
    }
    let source = pictures::open(app, version).await?;
    let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
    let (subject, permit) =
        pipeline::sit(source, &app.budget, limits, cancel).await.map_err(Error::NotLookedAt)?;
    Ok((Arc::new(subject), permit))
}

/// Memory to work with beside a picture that is kept. Whoever waits for memory while holding some could wait for ever, so
/// this gives up soon and lets go of everything.
async fn room(app: &App, bytes: u64) -> Result<Permit> {
    match tokio::time::timeout(PATIENCE, app.budget.acquire(bytes)).await {
        Ok(permit) => permit.map_err(|error| Error::NotLookedAt(error.into())),
        Err(_) => {
            app.previews.clear();
            Err(Error::Busy)
        }
    }
}

/// A preview that is going to be made.
struct Order {
    steps: Vec<StepRequest>,
    mask: Option<([u8; 32], Bytes)>,
    displayed: (u32, u32),
    wish: Wish,
}

impl Order {
    fn part(&self, subject: &Subject) -> Part {
        let stored = (subject.image.width, subject.image.height);
        let (left, top, width, height) = subject.orientation.part_before(self.wish.region, stored);
        Part { left, top, width, height }
    }

    /// A part needs little; to measure the whole a copy of it is needed and more, unless that is paid for.
    fn needed_bytes(&self, subject: &Subject, may_measure: bool) -> u64 {
        let (image, part) = (&subject.image, self.part(subject));
        let asked = Asked { part, steps: &self.steps, mask: None, exact: self.wish.exact };
        let of_pixel = u64::from(image.bit_depth() / 8) * image.channels.count() as u64;
        let of_part = pipeline::part_bytes(of_pixel, part.width, part.height);
        if may_measure || self.mask.is_none() && subject.is_measured(&asked) {
            return of_part;
        }
        of_part + pipeline::measuring_bytes(image.pixels() * of_pixel, image.width, image.pixels())
    }

    fn carry_out(self, subject: &Subject, context: &Context) -> Result<Shown, pipeline::Error> {
        let mask = match &self.mask {
            None => None,
            Some((key, file)) => Some((*key, mask(subject, key, file, self.displayed)?)),
        };
        let asked = Asked { part: self.part(subject), steps: &self.steps, mask, exact: self.wish.exact };
        let (image, measured) = subject.restore_part(&asked, context).map_err(engine_error)?;
        let image = imaging::to_8_bits(imaging::orient(image, subject.orientation));
        let image = reduced(image, self.wish.max_side)?;
        let lossless = self.wish.lossless || image.channels.has_alpha();
        let format = if lossless { Format::Png } else { Format::Jpeg };
        let options = EncodeOptions { icc: subject.icc.clone(), quality: 92, ..EncodeOptions::new(format) };
        let bytes = imaging::encode(&image, &options)?;
        let left_out = self.steps.iter().map(|request| request.step);
        let left_out = left_out.filter(|step| *step == Step::Upscale).take(1).collect();
        Ok(Shown { format, bytes, measured, left_out })
    }
}

fn engine_error(error: engine::Error) -> pipeline::Error {
    match error {
        engine::Error::Cancelled => pipeline::Error::Cancelled,
        other => other.into(),
    }
}

fn mask(
    subject: &Subject,
    key: &[u8; 32],
    file: &[u8],
    displayed: (u32, u32),
) -> Result<Arc<engine::Mask>, pipeline::Error> {
    if let Some(mask) = subject.find_mask(key) {
        return Ok(mask);
    }
    let mask = Arc::new(pipeline::read_mask(file, displayed, subject.orientation)?);
    subject.keep_mask(*key, Arc::clone(&mask));
    Ok(mask)
}

fn reduced(image: Image, max_side: Option<u32>) -> Result<Image, pipeline::Error> {
    let longest = image.width.max(image.height);
    let Some(most) = max_side.filter(|most| *most < longest) else { return Ok(image) };
    let side = |side: u32| {
        let side = u64::from(side) * u64::from(most) / u64::from(longest);
        u32::try_from(side).unwrap_or(u32::MAX).max(1)
    };
    Ok(imaging::resize(&image, side(image.width), side(image.height))?)
}
