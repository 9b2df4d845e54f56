//! From bytes to pixels.

use std::io::{Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::budget::{Budget, Limits, Permit};
use super::error::Error;
use super::format::Format;
use super::jpeg::JpegInfo;
use super::orientation::Orientation;
use super::pixels::Image;
use super::planes::Planes;
use super::probe::{Probe, probe_input};
use super::source::Input;
use super::{gif, heif, jpeg, jxl, png, tiff, webp};

/// Where the memory of a decoding comes from.
#[derive(Debug, Clone)]
pub enum Memory<'a> {
    /// Taken from this budget before anything is allocated, and held by [`Decoded::permit`].
    From(&'a Budget),
    /// The caller already holds a permit of at least [`Probe::decode_bytes`].
    Held,
}

/// How to decode.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// What a picture may be at most.
    pub limits: Limits,
    /// Who pays.
    pub memory: Memory<'a>,
}

impl<'a> Options<'a> {
    /// Takes the memory from `budget`; it waits there, so never on an async thread.
    pub fn new(limits: Limits, budget: &'a Budget) -> Self {
        Self { limits, memory: Memory::From(budget) }
    }

    /// For callers that took all memory of their work beforehand.
    pub fn held(limits: Limits) -> Self {
        Self { limits, memory: Memory::Held }
    }
}

/// A decoded picture with what belongs to it.
#[derive(Debug)]
pub struct Decoded {
    /// The pixels as stored: not turned, in the file's own colour space. Inks are the exception: they are sRGB now.
    pub image: Image,
    /// The profile that the pixels are in; nothing means sRGB.
    pub icc: Option<Vec<u8>>,
    /// The EXIF block, beginning with its TIFF header. From a TIFF file it holds the descriptive tags only.
    pub exif: Option<Vec<u8>>,
    /// How the pixels have to be turned to be upright.
    pub orientation: Orientation,
    /// What the headers said.
    pub source: Probe,
    /// The memory it occupies; given back when dropped. Nothing if the caller held it.
    pub permit: Option<Permit>,
}

impl Decoded {
    /// The format it came from.
    pub fn format(&self) -> Format {
        self.source.format
    }

    /// How a JPEG was compressed.
    pub fn jpeg(&self) -> Option<&JpegInfo> {
        self.source.jpeg.as_ref()
    }
}

/// Pixels as a format's decoder gives them.
pub(super) struct Pixels {
    pub(super) image: Image,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) exif: Option<Vec<u8>>,
    /// By how much the sides were reduced: the picture's exact size is `stored size / reduction`, and the last column
    /// and row may stand for less than a whole pixel.
    pub(super) reduction: f64,
}

/// The same in planes.
pub(super) struct PlanarPixels {
    pub(super) planes: Planes,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) reduction: f64,
}

/// Decodes the first frame of a picture file. Raw files of cameras are not developed: they only have renderings.
///
/// # Errors
/// Any [`Error`] but `Encode`; sizes are refused by the header, before anything is allocated.
pub fn decode<R: Read + Seek>(source: &mut R, options: &Options<'_>) -> Result<Decoded, Error> {
    decode_input(&mut Input::Reader(source), options)
}

/// Does the same for a file in memory, whose bytes are the caller's and don't count.
///
/// # Errors
/// As [`decode`].
pub fn decode_bytes(bytes: &[u8], options: &Options<'_>) -> Result<Decoded, Error> {
    decode_input(&mut Input::Bytes(bytes), options)
}

fn decode_input(input: &mut Input<'_>, options: &Options<'_>) -> Result<Decoded, Error> {
    let source = probe_input(input)?;
    options.limits.check(source.width, source.height)?;
    if source.is_raw() {
        return Err(Error::unsupported("Raw", "what the sensor saw"));
    }
    let permit = match options.memory {
        Memory::From(budget) => Some(budget.acquire_blocking(source.decode_bytes())?),
        Memory::Held => None,
    };
    let Pixels { image, icc, exif, .. } = decode_reduced(input, &source, 1)?;
    Ok(Decoded { image, icc, exif, orientation: source.orientation, source, permit })
}

/// Decodes with the sides divided by about `reduction`, where the format can do that on the way. The size was checked
/// and the memory taken by the caller.
pub(super) fn decode_reduced(input: &mut Input<'_>, probe: &Probe, reduction: u32) -> Result<Pixels, Error> {
    let pixels = match probe.format {
        Format::Jpeg => {
            let header = input.with_reader(|source| jpeg::header(source))?;
            input.with_bytes(|bytes| jpeg::decode(bytes, &header, reduction))
        }
        Format::Png => input.with_reader(|source| png::decode(source, probe, reduction)),
        Format::Webp => {
            let header = input.with_reader(|source| webp::header(source))?;
            input.with_bytes(|bytes| webp::decode(bytes, &header))
        }
        Format::Gif => input.with_reader(|source| gif::decode(source, probe)),
        Format::Tiff => {
            let header = input.with_reader(|source| tiff::header(source))?;
            input.with_reader(|source| tiff::decode(source, &header))
        }
        Format::Avif | Format::Heic => {
            let name = probe.format.name();
            guarded(name, || {
                let picture = input.with_reader(|source| heif::open(source, name))?;
                input.with_reader(|source| heif::decode(source, &picture))
            })
        }
        Format::Jxl => guarded(probe.format.name(), || {
            input.with_reader(|source| jxl::decode(source, probe.decode_bytes()))
        }),
    }?;
    debug_assert_eq!(
        pixels.image.pixels() * pixels.image.channels.count() as u64,
        sample_count(&pixels.image)
    );
    Ok(pixels)
}

/// Runs a decoder that is not ours and is young: should a damaged file make it panic, it costs the picture and nothing
/// else.
pub(super) fn guarded<T>(format: &'static str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::broken(format, "the decoder gave up")))
}

/// Decodes a JPEG file to planes of light and colour; nothing if its pixels are not kept that way. Otherwise like
/// [`decode_reduced`].
pub(super) fn decode_planes(
    input: &mut Input<'_>,
    probe: &Probe,
    reduction: u32,
) -> Result<Option<PlanarPixels>, Error> {
    if probe.format != Format::Jpeg {
        return Ok(None);
    }
    let header = input.with_reader(|source| jpeg::header(source))?;
    let decoded = input.with_bytes(|bytes| jpeg::decode_planes(bytes, &header, reduction))?;
    Ok(decoded.map(|(planes, reduction)| PlanarPixels { planes, icc: header.icc, reduction }))
}

fn sample_count(image: &Image) -> u64 {
    match &image.samples {
        super::Samples::U8(samples) => samples.len() as u64,
        super::Samples::U16(samples) => samples.len() as u64,
    }
}
