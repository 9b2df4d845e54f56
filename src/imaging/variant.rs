//! Renderings for delivery: smaller, upright, in sRGB, without metadata.

use std::io::{Read, Seek};

use super::budget::{Budget, Limits};
use super::colour::to_srgb;
use super::decode::decode_reduced;
use super::encode::{EncodeOptions, Subsampling, encode, to_8_bits};
use super::error::Error;
use super::format::Format;
use super::orientation::orient;
use super::pixels::Image;
use super::probe::{Probe, probe_input};
use super::resize::resize_area;
use super::source::Input;
use super::transform::{Geometry, OutputFormat, Transform};

/// A rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub content_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Renders a picture file for delivery, in the format that [`Transform::negotiate`] gave. It waits for memory, so never
/// on an async thread.
///
/// # Errors
/// Those of [`super::decode()`], and [`Error::Unsupported`] for sizes that a format can't hold.
pub fn render<R: Read + Seek>(
    source: &mut R,
    transform: &Transform,
    format: OutputFormat,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    render_input(&mut Input::Reader(source), transform, format, limits, budget)
}

/// Does the same for a file in memory.
///
/// # Errors
/// As [`render`].
pub fn render_bytes(
    bytes: &[u8],
    transform: &Transform,
    format: OutputFormat,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    render_input(&mut Input::Bytes(bytes), transform, format, limits, budget)
}

/// Gives the upright sRGB picture, not larger than the box needs, for [`super::thumbhash()`] and the like.
///
/// # Errors
/// Those of [`super::decode()`].
pub fn thumbnail<R: Read + Seek>(
    source: &mut R,
    max_side: u32,
    limits: &Limits,
    budget: &Budget,
) -> Result<Image, Error> {
    shrunk(&mut Input::Reader(source), &Transform::inside(max_side, max_side), limits, budget)
}

fn render_input(
    input: &mut Input<'_>,
    transform: &Transform,
    format: OutputFormat,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    let format = match format {
        OutputFormat::Jpeg => Format::Jpeg,
        OutputFormat::Png => Format::Png,
        OutputFormat::Webp => Format::Webp,
        OutputFormat::Gif => return Err(Error::unsupported(format.name(), "delivery")),
        OutputFormat::Avif => return Err(Error::unsupported(format.name(), "delivery")),
    };
    let image = shrunk(input, transform, limits, budget)?;
    let options = EncodeOptions {
        quality: transform.quality(),
        subsampling: if transform.quality() >= 90 { Subsampling::Full } else { Subsampling::Half },
        ..EncodeOptions::new(format)
    };
    Ok(Variant {
        bytes: encode(&image, &options)?,
        content_type: format.content_type(),
        width: image.width,
        height: image.height,
    })
}

fn shrunk(
    input: &mut Input<'_>,
    transform: &Transform,
    limits: &Limits,
    budget: &Budget,
) -> Result<Image, Error> {
    let probe = probe_input(input)?;
    limits.check(probe.width, probe.height)?;
    let geometry = transform.geometry(&probe);
    let reduction = reduction(&probe, geometry.reduction);
    let needed = probe.decode_bytes_reduced(reduction) + further_bytes(&geometry, reduction, &probe);
    let _permit = budget.acquire_blocking(needed)?;
    let pixels = decode_reduced(input, &probe, reduction)?;
    let area = geometry.area.scaled(1.0 / pixels.reduction, 1.0 / pixels.reduction);
    // Reducing 16 bits first would round twice, but nobody can see that in a rendering of 8 bits.
    let small = resize_area(&to_8_bits(pixels.image), area, geometry.width, geometry.height)?;
    let (small, _) = to_srgb(small, pixels.icc.as_deref());
    Ok(orient(small, geometry.turn))
}

/// Bytes that the way from the decoded picture to the file takes.
fn further_bytes(geometry: &Geometry, reduction: u32, probe: &Probe) -> u64 {
    let reduction = u64::from(reduction);
    let decoded = probe.image_bytes() / (reduction * reduction);
    let rounded = if probe.bit_depth > 8 { decoded / 2 } else { 0 };
    // The resizer multiplies alpha into a copy, and works in one direction after the other.
    let multiplied = if probe.colour.has_alpha() { decoded } else { 0 };
    let half_way = u64::from(geometry.width) * (u64::from(probe.height) / reduction + 1) * 4;
    // The result passes through a handful of buffers: resized, turned, converted, without alpha, encoded.
    let result = u64::from(geometry.width) * u64::from(geometry.height) * 32;
    rounded + multiplied + half_way + result
}

/// How much the decoder reduces, leaving the resizer enough to be sharp: it averages boxes, which blurs less the more
/// pixels remain for each of the result.
fn reduction(probe: &Probe, wanted: f64) -> u32 {
    if !probe.reduces {
        return 1;
    }
    match probe.format {
        Format::Jpeg => [8, 4, 2].into_iter().find(|factor| wanted >= f64::from(*factor) * 1.4).unwrap_or(1),
        Format::Png => ((wanted / 2.0) as u32).max(1),
        _ => 1,
    }
}
