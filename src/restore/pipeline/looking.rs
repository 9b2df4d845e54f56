//! Looking at a picture without restoring it: what is wrong with it, where it is damaged, what lies on a scan, and a seat for
//! one of which previews are wanted.

use std::io::{Read, Seek};

use tokio_util::sync::CancellationToken;

use super::masks::{mask_bytes, read_mask};
use super::{Error, File, kept_format, needed_bytes, off_thread, strips_bytes, tables, write};
use crate::engine::builtin::{self, Analysis};
use crate::engine::{self, Mask, Subject};
use crate::imaging::{
    self, Budget, Channels, EncodeOptions, Format, Image, Limits, Options, Permit, Point, Print, Probe,
    Samples,
};

/// What looking for prints takes for its small copy of the scan: colours in floating point, and what is told about each
/// pixel.
const SMALL_COPY_BYTES: u64 = 64 << 20;

/// How sure it must be that something is damage for it to be proposed to somebody who looks at it.
const PROPOSED: f32 = 0.6;

/// Looks at a picture and says what is wrong with it, in words, without changing it.
///
/// # Errors
/// What is wrong with the picture, and [`Error::Cancelled`].
pub async fn analyse<R>(
    source: R,
    budget: &Budget,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Analysis, Error>
where
    R: Read + Seek + Send + 'static,
{
    let (mut source, probe) = look_at(source, limits, cancel).await?;
    let permit = tokio::select! {
        permit = budget.acquire(needed_bytes(&probe, 1)) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let context = engine::Context { cancel: cancel.clone(), ..engine::Context::default() };
    off_thread(cancel, move || {
        source.rewind().map_err(imaging::Error::Read)?;
        let image = imaging::decode(&mut source, &Options::held(limits))?.image;
        let analysis = builtin::analyse(image, tables(&probe).as_ref(), &context)?;
        drop(permit);
        Ok(analysis)
    })
    .await
}

/// Finds where a picture is damaged: what looks like damage, or with a seed, which is a mask as that of an order, that
/// and what is like it. Returns a gray PNG file of the size that the picture has when displayed, white where it is
/// damaged.
///
/// # Errors
/// What is wrong with the picture or the seed, and [`Error::Cancelled`].
pub async fn find_damage<R>(
    source: R,
    seed: Option<Vec<u8>>,
    budget: &Budget,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<Vec<u8>, Error>
where
    R: Read + Seek + Send + 'static,
{
    let (mut source, probe) = look_at(source, limits, cancel).await?;
    let displayed = probe.displayed_size();
    let seed_bytes = seed.as_deref().map(|seed| mask_bytes(seed, displayed)).transpose()?.unwrap_or(0);
    // The seed, what is found, and that one turned and written.
    let finding = probe.image_bytes() + builtin::damage_bytes(probe.pixels()) + 3 * probe.pixels();
    let needed = finding.max(probe.decode_bytes() + probe.pixels()).max(seed_bytes);
    let permit = tokio::select! {
        permit = budget.acquire(needed) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let stop = cancel.clone();
    off_thread(cancel, move || {
        let seed = seed.map(|seed| read_mask(&seed, displayed, probe.orientation)).transpose()?;
        source.rewind().map_err(imaging::Error::Read)?;
        let image = imaging::decode(&mut source, &Options::held(limits))?.image;
        let found = match &seed {
            Some(seed) => builtin::find_similar(&image, seed, &stop)?,
            None => builtin::propose_mask(&image, PROPOSED, &stop)?,
        };
        drop((image, seed));
        let Mask { width, height, samples } = found;
        let mask = Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples) };
        let mask = imaging::orient(mask, probe.orientation);
        let file = imaging::encode(&mask, &EncodeOptions::new(Format::Png))?;
        drop(permit);
        Ok(file)
    })
    .await
}

/// Finds the prints on a scan, in displayed pixels, with the size of the scan.
///
/// # Errors
/// What is wrong with the picture, and [`Error::Cancelled`].
pub async fn find_prints<R>(
    source: R,
    budget: &Budget,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<((u32, u32), Vec<Print>), Error>
where
    R: Read + Seek + Send + 'static,
{
    let (mut source, probe) = look_at(source, limits, cancel).await?;
    // The picture and the same turned, or a small copy of it in floating point.
    let needed = probe.decode_bytes().max(2 * probe.image_bytes() + SMALL_COPY_BYTES);
    let permit = tokio::select! {
        permit = budget.acquire(needed) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    off_thread(cancel, move || {
        source.rewind().map_err(imaging::Error::Read)?;
        let decoded = imaging::decode(&mut source, &Options::held(limits))?;
        let image = imaging::orient(decoded.image, decoded.orientation);
        let prints = imaging::find_prints(&image);
        drop(permit);
        Ok(((image.width, image.height), prints))
    })
    .await
}

/// Cuts pictures out of a scan, each given by its corners in displayed pixels, clockwise from what becomes its top left.
/// Each is handed on as a file in the scan's own format, with its profile and what its EXIF says; they are made one after
/// the other, and the next only when the last was taken.
///
/// # Errors
/// What is wrong with the picture, [`Error::Cancelled`], and what `take` says.
pub async fn cut_out<R>(
    source: R,
    quads: Vec<[Point; 4]>,
    budget: &Budget,
    limits: Limits,
    cancel: &CancellationToken,
    take: impl Fn(usize, File) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error>
where
    R: Read + Seek + Send + 'static,
{
    let (mut source, probe) = look_at(source, limits, cancel).await?;
    let stored = (probe.width, probe.height);
    let turned = |point: Point| probe.orientation.point_before(point, stored);
    let quads: Vec<[Point; 4]> = quads.into_iter().map(|quad| quad.map(turned)).collect();
    let mut largest = 0;
    for quad in &quads {
        let (width, height) = imaging::cut_size(quad, limits.max_pixels)?;
        largest = largest.max(u64::from(width) * u64::from(height));
    }
    // Beside the scan one picture at a time, and what its encoder needs.
    let beside =
        probe.image_bytes().div_ceil(probe.pixels().max(1)).saturating_mul(largest).saturating_mul(4);
    let permit = tokio::select! {
        permit = budget.acquire(probe.decode_bytes().max(probe.image_bytes().saturating_add(beside))) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    let stop = cancel.clone();
    off_thread(cancel, move || {
        source.rewind().map_err(imaging::Error::Read)?;
        let decoded = imaging::decode(&mut source, &Options::held(limits))?;
        let exif = decoded.exif.as_deref().and_then(imaging::upright_exif);
        let format = kept_format(probe.format);
        for (index, quad) in quads.iter().enumerate() {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let cut = imaging::cut_out(&decoded.image, quad, imaging::cut_size(quad, limits.max_pixels)?);
            let bytes = write(&cut, format, decoded.icc.clone(), exif.clone(), false)?;
            take(index, File { format, bytes })?;
        }
        drop(permit);
        Ok(())
    })
    .await
}

/// Reads the headers of a still picture.
async fn look_at<R>(mut source: R, limits: Limits, cancel: &CancellationToken) -> Result<(R, Probe), Error>
where
    R: Read + Seek + Send + 'static,
{
    let (source, probe) = off_thread(cancel, move || {
        let probe = imaging::probe(&mut source)?;
        limits.check(probe.width, probe.height)?;
        Ok((source, probe))
    })
    .await?;
    if probe.frames > 1 && probe.format != Format::Tiff {
        return Err(Error::Animated { frames: probe.frames });
    }
    Ok((source, probe))
}

/// Reads a picture of which previews are wanted. The second permit is what a look at the whole needs besides, see
/// [`measuring_bytes`].
pub(in crate::restore) async fn sit<R>(
    source: R,
    budget: &Budget,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<(Subject, Option<Permit>), Error>
where
    R: Read + Seek + Send + 'static,
{
    let (mut source, probe) = look_at(source, limits, cancel).await?;
    let kept = Subject::bytes(probe.image_bytes(), probe.pixels());
    let beside = measuring_bytes(probe.image_bytes(), probe.width, probe.pixels()).max(probe.decode_bytes());
    let mut permit = tokio::select! {
        permit = budget.acquire(kept + beside) => permit?,
        () = cancel.cancelled() => return Err(Error::Cancelled),
    };
    off_thread(cancel, move || {
        source.rewind().map_err(imaging::Error::Read)?;
        let decoded = imaging::decode(&mut source, &Options::held(limits))?;
        let rest = permit.split(kept);
        let jpeg = tables(&probe);
        Ok((Subject::new(decoded.image, jpeg, probe.orientation, decoded.icc, permit), rest))
    })
    .await
}

/// Bytes beside a picture that measuring it step after step takes: a copy of it, and what the steps need.
pub(in crate::restore) fn measuring_bytes(image_bytes: u64, width: u32, pixels: u64) -> u64 {
    image_bytes + strips_bytes(width, pixels) + 6 * pixels
}

/// Bytes that a part takes while it is restored: with its margin, copied, and as the encoder has it.
pub(in crate::restore) fn part_bytes(bytes_of_pixel: u64, width: u32, height: u32) -> u64 {
    const MARGINS: u32 = 512;
    let (width, height) = (width.saturating_add(MARGINS), height.saturating_add(MARGINS));
    let pixels = u64::from(width) * u64::from(height);
    4 * pixels * bytes_of_pixel + strips_bytes(width, pixels)
}
