//! Renderings for delivery: smaller, upright, in sRGB, without metadata.

use std::io::{Read, Seek};

use super::animation::{self, Shown};
use super::budget::{Budget, Limits};
use super::colour::{is_srgb, to_srgb};
use super::decode::{Pixels, PlanarPixels, decode_planes, decode_reduced};
use super::effects;
use super::encode::{
    EncodeOptions, Subsampling, alpha_of, encode, to_8_bits, to_colour, with_alpha, with_metadata,
    without_alpha,
};
use super::error::Error;
use super::format::Format;
use super::ifd;
use super::orientation::{Orientation, orient};
use super::pixels::Image;
use super::planes::{ColourSize, Planes};
use super::probe::{Probe, probe_input};
use super::resize::{Area, resize, resize_area};
use super::smart;
use super::source::Input;
use super::transform::{Geometry, Gravity, MAX_AVIF_PIXELS, OutputFormat, Transform};
use super::{avif, gif, jpeg, webp};

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
    let input = &mut Input::Reader(source);
    let probe = probe_input(input)?;
    limits.check(probe.width, probe.height)?;
    let input = &mut input.part(probe.preview);
    let transform = &Transform::inside(max_side, max_side);
    let geometry = transform.geometry(&probe);
    let format = OutputFormat::Png;
    let work = Work { probe: &probe, transform, geometry, format, wanted: Wanted::Samples };
    let _permit = budget.acquire_blocking(work.bytes())?;
    match work.shrink(input)?.pixels {
        SmallPixels::Samples(image) => Ok(image),
        SmallPixels::Planes(planes) => Ok(planes.to_image()),
    }
}

fn render_input(
    input: &mut Input<'_>,
    transform: &Transform,
    format: OutputFormat,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    let probe = probe_input(input)?;
    limits.check(probe.width, probe.height)?;
    let input = &mut input.part(probe.preview);
    let geometry = transform.geometry(&probe);
    let (width, height) = (geometry.width, geometry.height);
    if format == OutputFormat::Avif && u64::from(width) * u64::from(height) > MAX_AVIF_PIXELS {
        let (format, max_pixels) = (format.name(), MAX_AVIF_PIXELS);
        return Err(Error::TooLargeFor { format, width, height, max_pixels });
    }
    let wanted = Wanted::of(format, transform.quality());
    let work = Work { probe: &probe, transform, geometry, format, wanted };
    if work.moves() {
        return work.animate(input, budget);
    }
    let _permit = budget.acquire_blocking(work.bytes())?;
    let mut small = work.shrink(input)?;
    small.apply(transform);
    let (width, height) = small.size();
    let exif = if transform.strips() { None } else { probe.exif.as_deref() };
    let exif = exif.and_then(|exif| ifd::for_rendering(exif, transform.keeps_position()));
    Ok(Variant {
        bytes: write(small, format, transform.quality(), exif)?,
        content_type: format.content_type(),
        width,
        height,
    })
}

/// What an encoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Planes of light and colour if the file has them.
    Planes(ColourSize),
    /// Red, green and blue, or gray.
    Samples,
}

impl Wanted {
    fn of(format: OutputFormat, quality: u8) -> Self {
        match format {
            OutputFormat::Jpeg if quality >= 90 => Self::Planes(ColourSize::Full),
            OutputFormat::Jpeg | OutputFormat::Webp | OutputFormat::Avif => Self::Planes(ColourSize::Half),
            OutputFormat::Png | OutputFormat::Gif => Self::Samples,
        }
    }
}

/// A picture on its way to an encoder: small, upright, 8 bits, in sRGB or with its profile.
struct Small {
    pixels: SmallPixels,
    icc: Option<Vec<u8>>,
}

enum SmallPixels {
    Samples(Image),
    Planes(Planes),
}

impl Small {
    fn size(&self) -> (u32, u32) {
        let image = match &self.pixels {
            SmallPixels::Samples(image) => image,
            SmallPixels::Planes(planes) => &planes.light,
        };
        (image.width, image.height)
    }

    /// Blurs and sharpens.
    fn apply(&mut self, transform: &Transform) {
        match &mut self.pixels {
            SmallPixels::Samples(image) => {
                if let Some(sigma) = transform.blur_sigma() {
                    effects::blur(image, sigma);
                }
                if let Some(sigma) = transform.sharpen_sigma() {
                    effects::sharpen(image, sigma);
                }
            }
            SmallPixels::Planes(planes) => {
                if let Some(sigma) = transform.blur_sigma() {
                    planes.blur(sigma);
                }
                if let Some(sigma) = transform.sharpen_sigma() {
                    planes.sharpen(sigma);
                }
            }
        }
    }
}

fn write(small: Small, format: OutputFormat, quality: u8, exif: Option<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let Small { pixels, icc } = small;
    let stored = match format {
        OutputFormat::Jpeg => Format::Jpeg,
        OutputFormat::Webp => Format::Webp,
        OutputFormat::Png => Format::Png,
        OutputFormat::Avif => {
            let (planes, alpha) = match pixels {
                SmallPixels::Planes(planes) => (planes, None),
                SmallPixels::Samples(image) => {
                    let planes = Planes::of_image(&image);
                    (planes.ok_or_else(|| Error::unsupported("AVIF", "16 bits a sample"))?, alpha_of(&image))
                }
            };
            return avif::encode(&planes, alpha.as_ref(), quality, exif);
        }
        OutputFormat::Gif => {
            let SmallPixels::Samples(image) = pixels else { return Err(Error::encode("GIF", "planes")) };
            let image = with_alpha(to_colour(image));
            let mut writer = animation::Writer::new(format, quality, true);
            writer.add(&image, 0, 1)?;
            return writer.finish();
        }
    };
    match pixels {
        SmallPixels::Planes(planes) => {
            let bytes = match stored {
                Format::Jpeg => jpeg::encode_planes(&planes, quality)?,
                _ => webp::encode_planes(&planes, quality)?,
            };
            with_metadata(bytes, stored, icc, exif)
        }
        SmallPixels::Samples(image) => {
            let subsampling = if quality >= 90 { Subsampling::Full } else { Subsampling::Half };
            encode(&image, &EncodeOptions { quality, subsampling, icc, exif, ..EncodeOptions::new(stored) })
        }
    }
}

/// What is to be done with which picture.
struct Work<'a> {
    probe: &'a Probe,
    transform: &'a Transform,
    geometry: Geometry,
    format: OutputFormat,
    wanted: Wanted,
}

impl Work<'_> {
    /// Decodes and makes it small, upright and sRGB.
    fn shrink(&self, input: &mut Input<'_>) -> Result<Small, Error> {
        let reduction = reduction(self.probe, self.geometry.reduction);
        // Who wants samples gets all colour there is, unless what is there is enough for the result anyway.
        let planar = self.wanted != Wanted::Samples || self.geometry.reduction >= 2.0;
        if planar && let Some(decoded) = decode_planes(input, self.probe, reduction)? {
            return self.shrink_planes(decoded);
        }
        let Pixels { image, icc, reduction, .. } = decode_reduced(input, self.probe, reduction)?;
        // Reducing 16 bits first would round twice, but nobody can see that in a rendering of 8 bits.
        let image = to_8_bits(image);
        let Geometry { width, height, turn, .. } = self.geometry;
        let look = |side: (u32, u32)| Ok(without_alpha(to_colour(resize(&image, side.0, side.1)?)));
        let area = self.area(look)?.scaled(1.0 / reduction, 1.0 / reduction);
        let small = orient(resize_area(&image, area, width, height)?, turn);
        let (small, icc) = self.in_srgb(small, icc);
        Ok(Small { pixels: SmallPixels::Samples(small), icc })
    }

    fn shrink_planes(&self, decoded: PlanarPixels) -> Result<Small, Error> {
        let PlanarPixels { planes, icc, reduction } = decoded;
        let Geometry { width, height, turn, .. } = self.geometry;
        let stored = (f64::from(self.probe.width) / reduction, f64::from(self.probe.height) / reduction);
        let whole = Area { left: 0.0, top: 0.0, width: stored.0, height: stored.1 };
        let look = |side: (u32, u32)| {
            let look = planes.resized(whole, side.0, side.1, ColourSize::Full, Orientation::Normal)?;
            Ok(to_colour(look.to_image()))
        };
        let area = self.area(look)?.scaled(1.0 / reduction, 1.0 / reduction);
        let as_it_is = self.keeps_profile() || icc.as_deref().is_none_or(is_srgb);
        match self.wanted {
            Wanted::Planes(size) if as_it_is => {
                let small = planes.resized(area, width, height, size, turn)?;
                Ok(Small { pixels: SmallPixels::Planes(small), icc: icc.filter(|_| self.keeps_profile()) })
            }
            _ => {
                let small = planes.resized(area, width, height, ColourSize::Full, turn)?.to_image();
                let (small, icc) = self.in_srgb(small, icc);
                Ok(Small { pixels: SmallPixels::Samples(small), icc })
            }
        }
    }

    /// The part that is shown, in stored pixels. `look` gives a small copy of the whole in RGB.
    fn area(&self, look: impl Fn((u32, u32)) -> Result<Image, Error>) -> Result<Area, Error> {
        let (width, height) = (self.probe.width, self.probe.height);
        let area = self.geometry.area;
        let is_whole = area.width > f64::from(width) - 0.5 && area.height > f64::from(height) - 0.5;
        if self.transform.gravity() != Gravity::Smart || is_whole {
            return Ok(area);
        }
        let longest = u64::from(width.max(height));
        let side = |side: u32| (u64::from(side) * u64::from(smart::LOOK_SIDE) / longest).max(1) as u32;
        let side = |one: u32| side(one).min(one);
        Ok(smart::place(&look((side(width), side(height)))?, area, f64::from(width), f64::from(height)))
    }

    /// Whether the profile goes into the file instead of being applied. What writes AVIF has no place for it.
    fn keeps_profile(&self) -> bool {
        !self.transform.strips() && self.format != OutputFormat::Avif
    }

    /// Whether the rendering moves: if the picture does, the format can, it was asked for, and it is not a film.
    fn moves(&self) -> bool {
        let frames = u64::from(self.probe.frames);
        let shown = u64::from(self.geometry.width) * u64::from(self.geometry.height);
        self.format.moves()
            && self.transform.animates()
            && self.probe.moves()
            && self.probe.frames <= animation::MAX_FRAMES
            && self.probe.pixels() * frames <= animation::MAX_DECODED_PIXELS
            && shown * frames <= animation::MAX_ENCODED_PIXELS
    }

    /// Renders all frames.
    fn animate(&self, input: &mut Input<'_>, budget: &Budget) -> Result<Variant, Error> {
        // The canvas, the frame that is laid over it, what was there before, and the frame that is written.
        let frames = self.probe.pixels() * 16;
        let _permit = budget.acquire_blocking(self.bytes() + frames)?;
        let has_alpha = self.probe.colour.has_alpha();
        let mut writer = animation::Writer::new(self.format, self.transform.quality(), has_alpha);
        let (width, height) = self.geometry.turn.size(self.geometry.width, self.geometry.height);
        let mut area = None;
        let mut show = |shown: Shown<'_>| {
            let canvas = shown.canvas;
            // Where most is to be seen in the first frame: the part must not jump about.
            let area = match area {
                Some(area) => area,
                None => {
                    let look = |side: (u32, u32)| Ok(without_alpha(resize(canvas, side.0, side.1)?));
                    *area.insert(self.area(look)?)
                }
            };
            let small = resize_area(canvas, area, self.geometry.width, self.geometry.height)?;
            let mut small =
                Small { pixels: SmallPixels::Samples(orient(small, self.geometry.turn)), icc: None };
            small.apply(self.transform);
            match &small.pixels {
                SmallPixels::Samples(image) => writer.add(image, shown.duration_ms, shown.loops),
                SmallPixels::Planes(_) => Ok(()),
            }
        };
        match self.probe.format {
            Format::Webp => {
                let header = input.with_reader(|source| webp::header(source))?;
                input.with_bytes(|bytes| webp::play(bytes, &header, &mut show))?;
            }
            _ => input.with_reader(|source| gif::play(source, self.probe, &mut show))?,
        }
        Ok(Variant { bytes: writer.finish()?, content_type: self.format.content_type(), width, height })
    }

    fn in_srgb(&self, image: Image, icc: Option<Vec<u8>>) -> (Image, Option<Vec<u8>>) {
        // A profile for gray does not fit what WebP makes of gray.
        if self.keeps_profile() && image.channels.colour_count() == 3 {
            return (image, icc);
        }
        (to_srgb(image, icc.as_deref()).0, None)
    }

    /// Bytes that all of it takes at its peak.
    fn bytes(&self) -> u64 {
        let reduction = reduction(self.probe, self.geometry.reduction);
        self.probe.decode_bytes_reduced(reduction) + self.further_bytes(reduction)
    }

    /// Bytes that the way from the decoded picture to the file takes.
    fn further_bytes(&self, reduction: u32) -> u64 {
        let (probe, geometry) = (self.probe, &self.geometry);
        let reduction = u64::from(reduction);
        let decoded = probe.image_bytes() / (reduction * reduction);
        let rounded = if probe.bit_depth > 8 { decoded / 2 } else { 0 };
        // The resizer multiplies alpha into a copy, and works in one direction after the other.
        let copied = if probe.colour.has_alpha() { decoded } else { 0 };
        let half_way = u64::from(geometry.width) * (u64::from(probe.height) / reduction + 1) * 4;
        // The first coefficients of a JPEG are kept before they become an eighth.
        let coefficients = if reduction >= 8 && probe.format == Format::Jpeg { decoded * 3 } else { 0 };
        let effects = self.transform.blur_sigma().or(self.transform.sharpen_sigma()).map_or(0, |_| 20);
        // The result passes through a handful of buffers: resized, turned, converted, without alpha, encoded. In planes it
        // is half as large, and is not converted.
        let stays_planar = probe.format == Format::Jpeg && self.wanted != Wanted::Samples && !probe.has_icc;
        let buffers = if stays_planar { 16 } else { 32 };
        let (per_pixel, fixed) = match self.format {
            OutputFormat::Avif => (buffers + AVIF_BYTES_PER_PIXEL, AVIF_BYTES),
            _ => (buffers, 0),
        };
        let result = u64::from(geometry.width) * u64::from(geometry.height) * (per_pixel + effects) + fixed;
        rounded + copied + half_way + coefficients + result
    }
}

/// What the encoder of AVIF takes, measured: per pixel, and whatever the size.
const AVIF_BYTES_PER_PIXEL: u64 = 24;
const AVIF_BYTES: u64 = 8 << 20;

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
