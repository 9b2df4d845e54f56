//! What a file says about its picture, read from its headers alone: a few kilobytes of a file of any size, and nothing is
//! ever allocated because a header claims so.

use std::io::{Read, Seek};

use super::decode::guarded;
use super::error::Error;
use super::format::{self, Format};
use super::ifd;
use super::jpeg::JpegInfo;
use super::metadata::Metadata;
use super::orientation::Orientation;
use super::raw::Part;
use super::source::{Input, ReadSeek};
use super::{gif, heif, jpeg, jxl, png, raw, tiff, webp};

/// How a file stores colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Colour {
    /// Luma.
    Gray,
    /// Luma and alpha.
    GrayAlpha,
    /// Red, green and blue, also where the file stores them as luma and chroma.
    Rgb,
    /// Red, green, blue and alpha.
    Rgba,
    /// Numbers of a palette of RGB colours.
    Palette,
    /// The same with transparent colours among them.
    PaletteAlpha,
    /// Four printing inks, converted to sRGB when decoded.
    Cmyk,
    /// Four printing inks and alpha.
    CmykAlpha,
}

impl Colour {
    /// Whether there may be transparent pixels.
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba | Self::PaletteAlpha | Self::CmykAlpha)
    }

    /// Samples per pixel of the decoded picture.
    const fn decoded_samples(self) -> u64 {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb | Self::Palette => 3,
            Self::Rgba | Self::PaletteAlpha | Self::Cmyk => 4,
            Self::CmykAlpha => 5,
        }
    }
}

/// What the headers of a picture say.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The file's format, from its bytes; of a camera's raw file that of the preview.
    pub format: Format,
    /// Width in pixels as stored.
    pub width: u32,
    /// Height in pixels as stored.
    pub height: u32,
    /// How the stored pixels have to be turned.
    pub orientation: Orientation,
    /// Pictures in the file: frames of an animation, pages of a TIFF; at least 1.
    pub frames: u32,
    /// Bits per sample in the file, 1 to 64.
    pub bit_depth: u8,
    /// How colour is stored.
    pub colour: Colour,
    /// Whether a colour profile is embedded.
    pub has_icc: bool,
    /// What the camera wrote.
    pub metadata: Metadata,
    /// The EXIF block that it was read from, beginning with its TIFF header.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet, as far as it was looked for.
    pub xmp: Option<Vec<u8>>,
    /// How a JPEG was compressed.
    pub jpeg: Option<JpegInfo>,
    /// Whether the decoder can reduce the sides while decoding.
    pub(super) reduces: bool,
    /// Where the picture lies in a raw file of a camera.
    pub(super) preview: Option<Part>,
    extra_bytes_per_pixel: u64,
    extra_bytes: u64,
    file_copies: u64,
    file_bytes: u64,
}

impl Probe {
    /// Width and height in pixels as displayed, which is after turning.
    pub fn displayed_size(&self) -> (u32, u32) {
        self.orientation.size(self.width, self.height)
    }

    /// Pixels of the first frame.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Whether this is the raw file of a camera, of which only the preview inside it can be shown. All that is said here is
    /// said of the preview.
    pub fn is_raw(&self) -> bool {
        self.preview.is_some()
    }

    /// Bytes of the decoded picture.
    pub fn image_bytes(&self) -> u64 {
        self.pixels() * self.colour.decoded_samples() * if self.bit_depth > 8 { 2 } else { 1 }
    }

    /// Bytes that decoding takes at its peak, the decoded picture included.
    pub fn decode_bytes(&self) -> u64 {
        self.decode_bytes_reduced(1)
    }

    /// The same when the decoder reduces the sides while decoding.
    pub(super) fn decode_bytes_reduced(&self, reduction: u32) -> u64 {
        let reduction = u64::from(reduction.max(1));
        let file = self.file_bytes.saturating_mul(self.file_copies);
        // Small change for tables, rows and libraries.
        let fixed = (1 << 20) + u64::from(self.width) * 64 + self.extra_bytes;
        self.image_bytes() / (reduction * reduction)
            + self.pixels() * self.extra_bytes_per_pixel
            + file
            + fixed
    }
}

/// What a format's own reader found.
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bit_depth: u8,
    pub(super) colour: Colour,
    pub(super) frames: u32,
    pub(super) has_icc: bool,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
    /// How the pixels have to be turned, where the file says it elsewhere than in its EXIF block.
    pub(super) orientation: Option<Orientation>,
    /// Whether the decoder can reduce the sides while decoding.
    pub(super) reduces: bool,
    /// What decoding needs beside the picture itself.
    pub(super) extra_bytes_per_pixel: u64,
    /// What it needs whatever the picture's size.
    pub(super) extra_bytes: u64,
    /// How often decoding needs the file in memory.
    pub(super) file_copies: u64,
}

impl Header {
    pub(super) fn new(width: u32, height: u32, bit_depth: u8, colour: Colour) -> Self {
        Self {
            width,
            height,
            bit_depth,
            colour,
            frames: 1,
            has_icc: false,
            exif: None,
            xmp: None,
            orientation: None,
            reduces: false,
            extra_bytes_per_pixel: 0,
            extra_bytes: 0,
            file_copies: 0,
        }
    }
}

/// Reads the headers of a picture.
///
/// # Errors
/// [`Error::NotAPicture`] for other files, [`Error::Unsupported`] for pictures of other formats, [`Error::Truncated`]
/// and [`Error::Broken`] when the headers are. The size is reported, not judged: that is [`super::Limits::check`].
pub fn probe<R: Read + Seek>(source: &mut R) -> Result<Probe, Error> {
    probe_input(&mut Input::Reader(source))
}

/// Does the same for a file in memory.
///
/// # Errors
/// As [`probe`].
pub fn probe_bytes(bytes: &[u8]) -> Result<Probe, Error> {
    probe_input(&mut Input::Bytes(bytes))
}

pub(super) fn probe_input(input: &mut Input<'_>) -> Result<Probe, Error> {
    input.with_reader(|source| {
        let kind = recognise(source)?;
        source.seek(std::io::SeekFrom::Start(0)).map_err(Error::Read)?;
        let mut jpeg_info = None;
        let (mut format, raw) = match kind {
            Kind::Picture(Format::Tiff) => (Format::Tiff, raw::preview(source)),
            Kind::Picture(format) => (format, None),
            Kind::Raw(content_type) => {
                let found = raw::preview_of(source, content_type);
                (Format::Jpeg, Some(found.ok_or_else(|| Error::unsupported("Raw", "no preview in them"))?))
            }
        };
        let header = match format {
            _ if let Some(raw) = &raw => {
                let found = jpeg::header(&mut raw::Window::new(source, raw.part))?;
                jpeg_info = Some(found.info);
                format = Format::Jpeg;
                let exif = raw.exif.clone().or(found.header.exif);
                Header { exif, ..found.header }
            }
            Format::Jpeg => {
                let found = jpeg::header(source)?;
                jpeg_info = Some(found.info);
                found.header
            }
            Format::Png => png::header(source)?,
            Format::Webp => webp::header(source)?.header,
            Format::Gif => gif::header(source)?,
            Format::Tiff => tiff::header(source)?.header,
            Format::Avif | Format::Heic => heif::header(&heif::open(source, format.name())?),
            Format::Jxl => guarded(format.name(), || jxl::header(source))?,
        };
        if header.width == 0 || header.height == 0 {
            return Err(Error::broken(format.name(), "it has no pixels"));
        }
        let preview = raw.map(|raw| raw.part);
        let file_bytes = match preview {
            Some(part) => part.length,
            None => super::source::length(source)?,
        };
        let exif = header.exif.as_deref();
        Ok(Probe {
            format,
            width: header.width,
            height: header.height,
            orientation: header.orientation.or_else(|| exif.map(ifd::orientation)).unwrap_or_default(),
            frames: header.frames.max(1),
            bit_depth: header.bit_depth,
            colour: header.colour,
            has_icc: header.has_icc,
            metadata: exif.map(Metadata::read).unwrap_or_default(),
            exif: header.exif,
            xmp: header.xmp,
            jpeg: jpeg_info,
            reduces: header.reduces,
            preview,
            extra_bytes_per_pixel: header.extra_bytes_per_pixel,
            extra_bytes: header.extra_bytes,
            file_copies: header.file_copies,
            file_bytes,
        })
    })
}

/// What a file turned out to be.
enum Kind {
    Picture(Format),
    /// The raw file of a camera, by its media type.
    Raw(&'static str),
}

/// Tells the format, or what else it is.
fn recognise(source: &mut dyn ReadSeek) -> Result<Kind, Error> {
    let mut head = Vec::new();
    (&mut *source).take(format::SNIFF_BYTES as u64).read_to_end(&mut head).map_err(Error::Read)?;
    if let Some(format) = Format::sniff(&head) {
        return Ok(Kind::Picture(format));
    }
    match format::sniff(&head, "") {
        "image/jp2" => Err(Error::unsupported("JPEG 2000", "its compression")),
        "image/bmp" => Err(Error::unsupported("BMP", "its layout")),
        content_type if format::is_raw(content_type) => Ok(Kind::Raw(content_type)),
        content_type => Err(Error::NotAPicture { content_type }),
    }
}
