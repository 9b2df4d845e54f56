//! From pixels to bytes, with profile and EXIF.
//!
//! A rendition keeps the order of the stored pixels and the EXIF block unchanged, orientation tag included, so that both
//! still fit each other. Whoever turns the pixels with [`super::orient`] must not pass the block on, or set its tag.

use std::borrow::Cow;

use img_parts::{Bytes, ImageEXIF, ImageICC};

use super::error::Error;
use super::format::Format;
use super::pixels::{Channels, Image, Samples};
use super::{jpeg, png, tiff, webp};

/// How much of the colour resolution a JPEG keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subsampling {
    /// 4:4:4, all of it.
    #[default]
    Full,
    /// 4:2:0, half in each direction, a third smaller.
    Half,
}

/// What to write and how.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// The format: one that [`Format::is_written`].
    pub format: Format,
    /// Quality of JPEG and lossy WebP, 1 to 100.
    pub quality: u8,
    /// Colour resolution of JPEG.
    pub subsampling: Subsampling,
    /// Whether WebP is written without loss.
    pub lossless: bool,
    /// The profile that the pixels are in.
    pub icc: Option<Vec<u8>>,
    /// An EXIF block that begins with its TIFF header.
    pub exif: Option<Vec<u8>>,
}

impl EncodeOptions {
    /// What renditions are written with: quality 95, 4:4:4, no metadata yet.
    pub fn new(format: Format) -> Self {
        Self { format, quality: 95, subsampling: Subsampling::Full, lossless: false, icc: None, exif: None }
    }
}

/// Encodes a picture with its profile and EXIF.
///
/// What a format can't hold is brought down to what it can: JPEG and WebP get 8 bits, JPEG gets a white background, WebP
/// three channels of gray and TIFF four of gray with alpha.
///
/// # Errors
/// [`Error::Unsupported`] for formats that are not written and sizes that a format can't express, else
/// [`Error::Encode`].
pub fn encode(image: &Image, options: &EncodeOptions) -> Result<Vec<u8>, Error> {
    match options.format {
        Format::Jpeg => {
            let image = if image.bit_depth() == 8 && !image.channels.has_alpha() {
                Cow::Borrowed(image)
            } else {
                Cow::Owned(without_alpha(to_8_bits(image.clone())))
            };
            let bytes = jpeg::encode(&image, options)?;
            with_metadata(bytes, Format::Jpeg, options.icc.clone(), options.exif.clone())
        }
        Format::Png => png::encode(image, options),
        Format::Webp => {
            let image = if image.bit_depth() == 8 && image.channels.colour_count() == 3 {
                Cow::Borrowed(image)
            } else {
                Cow::Owned(to_colour(to_8_bits(image.clone())))
            };
            let bytes = webp::encode(&image, options)?;
            with_metadata(bytes, Format::Webp, options.icc.clone(), options.exif.clone())
        }
        Format::Tiff if image.channels == Channels::GrayAlpha => {
            tiff::encode(&to_colour(image.clone()), options)
        }
        Format::Tiff => tiff::encode(image, options),
        Format::Gif => Err(Error::unsupported("GIF", "true colour")),
        Format::Avif | Format::Heic | Format::Jxl => {
            Err(Error::encode(options.format.name(), "results are not written in it"))
        }
    }
}

/// Puts profile and EXIF into a JPEG or WebP file.
pub(super) fn with_metadata(
    bytes: Vec<u8>,
    format: Format,
    icc: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    if icc.is_none() && exif.is_none() {
        return Ok(bytes);
    }
    let failed = |error: img_parts::Error| Error::encode(format.name(), error);
    let (icc, bytes) = (icc.map(Bytes::from), Bytes::from(bytes));
    if format == Format::Webp {
        let mut file = img_parts::webp::WebP::from_bytes(bytes).map_err(failed)?;
        file.set_icc_profile(icc);
        file.set_exif(exif.map(Bytes::from));
        return Ok(file.encoder().bytes().to_vec());
    }
    let mut file = img_parts::jpeg::Jpeg::from_bytes(bytes).map_err(failed)?;
    file.set_icc_profile(icc);
    // A segment holds 64 KiB; the block in it is whole or absent.
    file.set_exif(exif.filter(|exif| exif.len() <= 65_527).map(Bytes::from));
    Ok(file.encoder().bytes().to_vec())
}

/// Rounds 16 bits to 8.
pub fn to_8_bits(image: Image) -> Image {
    let samples = match image.samples {
        Samples::U8(samples) => Samples::U8(samples),
        Samples::U16(samples) => {
            Samples::U8(samples.into_iter().map(|sample| ((u32::from(sample) + 128) / 257) as u8).collect())
        }
    };
    Image { samples, ..image }
}

/// The alpha of an 8-bit picture as a gray one; nothing if it has none or is nowhere transparent.
pub(super) fn alpha_of(image: &Image) -> Option<Image> {
    let Samples::U8(samples) = &image.samples else { return None };
    let count = image.channels.count();
    let alpha: Vec<u8> = samples.iter().skip(count - 1).step_by(count).copied().collect();
    let is_seen = image.channels.has_alpha() && alpha.iter().any(|alpha| *alpha < 255);
    is_seen.then_some(Image { channels: Channels::Gray, samples: Samples::U8(alpha), ..*image })
}

/// Gives 8-bit RGB an alpha that is nowhere transparent.
pub(super) fn with_alpha(image: Image) -> Image {
    let (Channels::Rgb, Samples::U8(samples)) = (image.channels, &image.samples) else { return image };
    let samples = samples.as_chunks::<3>().0.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect();
    Image { channels: Channels::Rgba, samples: Samples::U8(samples), ..image }
}

/// Lays a transparent picture on white.
pub(super) fn without_alpha(image: Image) -> Image {
    let channels = match image.channels {
        Channels::GrayAlpha => Channels::Gray,
        Channels::Rgba => Channels::Rgb,
        _ => return image,
    };
    let samples = match &image.samples {
        Samples::U8(samples) => Samples::U8(on_white(samples, channels, 255)),
        Samples::U16(samples) => Samples::U16(on_white(samples, channels, 65_535)),
    };
    Image { channels, samples, ..image }
}

fn on_white<T: Copy + Into<u32> + TryFrom<u32> + Default>(samples: &[T], to: Channels, full: u64) -> Vec<T> {
    let count = to.count();
    let mut flat = Vec::with_capacity(samples.len() / (count + 1) * count);
    for pixel in samples.chunks_exact(count + 1) {
        let alpha = u64::from(pixel[count].into());
        flat.extend(pixel[..count].iter().map(|sample| {
            let light = u64::from((*sample).into()) * alpha + full * (full - alpha);
            T::try_from(((light + full / 2) / full) as u32).unwrap_or_default()
        }));
    }
    flat
}

/// Repeats gray three times.
pub(super) fn to_colour(image: Image) -> Image {
    let channels = match image.channels {
        Channels::Gray => Channels::Rgb,
        Channels::GrayAlpha => Channels::Rgba,
        _ => return image,
    };
    let samples = match &image.samples {
        Samples::U8(samples) => Samples::U8(repeat_gray(samples, image.channels)),
        Samples::U16(samples) => Samples::U16(repeat_gray(samples, image.channels)),
    };
    Image { channels, samples, ..image }
}

fn repeat_gray<T: Copy>(samples: &[T], from: Channels) -> Vec<T> {
    let count = from.count();
    let mut repeated = Vec::with_capacity(samples.len() / count * (count + 2));
    for pixel in samples.chunks_exact(count) {
        repeated.extend([pixel[0]; 3]);
        repeated.extend(&pixel[1..]);
    }
    repeated
}
