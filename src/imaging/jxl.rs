//! JPEG XL (ISO/IEC 18181): the decoder is `jxl-oxide`, which is given the bare codestream, taken out of its boxes here,
//! and no more memory than the budget was asked for. Of what moves the first frame is shown.

use std::io::Read;

use brotli_decompressor::Decompressor;
use jxl_oxide::image::{BitDepth, ImageHeader};
use jxl_oxide::{
    AllocTracker, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, PixelFormat, RenderingIntent,
};

use super::bmff::{self, Bytes, Outline};
use super::decode::Pixels;
use super::error::Error;
use super::heif::divide_by_alpha;
use super::ifd;
use super::orientation::Orientation;
use super::pixels::{Channels, Image, Samples};
use super::probe::{Colour, Header};
use super::source::{ReadSeek, Scan};

const NAME: &str = "JPEG XL";

/// What the decoder takes for each pixel, beside the picture, and for a picture of any size: 24 to 33 for each pixel of a
/// photograph, and a third as much again.
const BYTES_PER_PIXEL: u64 = 44;
const BYTES: u64 = 16 << 20;

/// The header of the codestream has a colour profile in it, and nothing else that is long.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// Frames that are laid over each other before the first one is shown.
const MAX_LAYERS: usize = 64;

/// Blocks of metadata longer than this, packed or not, are nothing that anybody reads.
const MAX_METADATA_BYTES: u64 = 1 << 20;

/// The codestream is fed in pieces of this many bytes.
const PIECE: u64 = 64 * 1024;

/// What lies where in a file.
struct Layout {
    /// Pieces of the codestream.
    codestream: Vec<(u64, u64)>,
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
}

impl Layout {
    fn read(scan: &mut Scan<'_>) -> Result<Self, Error> {
        let length = scan.length();
        if scan.array::<2>()? == [0xff, 0x0a] {
            return Ok(Self { codestream: vec![(0, length)], exif: None, xmp: None });
        }
        let mut this = Self { codestream: Vec::new(), exif: None, xmp: None };
        for outline in bmff::outlines(scan, 0, length)? {
            let Outline { kind, start, length } = outline;
            match &kind {
                b"jxlc" => this.codestream.push((start, length)),
                // Behind a number; they stand in order.
                b"jxlp" if length >= 4 => this.codestream.push((start + 4, length - 4)),
                b"Exif" | b"xml " if length <= MAX_METADATA_BYTES => {
                    scan.go_to(start)?;
                    if let Ok(bytes) = scan.block(length) {
                        this.keep(kind, bytes);
                    }
                }
                b"brob" if length > 4 && length <= MAX_METADATA_BYTES => {
                    scan.go_to(start)?;
                    let kind = scan.array::<4>()?;
                    if let Ok(packed) = scan.block(length - 4) {
                        this.keep(kind, unpacked(&packed));
                    }
                }
                _ => {}
            }
        }
        Ok(this)
    }

    fn keep(&mut self, kind: [u8; 4], bytes: Vec<u8>) {
        match &kind {
            b"Exif" if self.exif.is_none() => self.exif = exif_block(&bytes),
            b"xml " if self.xmp.is_none() && !bytes.is_empty() => self.xmp = Some(bytes),
            _ => {}
        }
    }
}

/// Unpacks a block as far as it goes, and as it is not too long.
pub(super) fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let result = Decompressor::new(packed, 4096).take(MAX_METADATA_BYTES + 1).read_to_end(&mut bytes);
    if result.is_err() || bytes.len() as u64 > MAX_METADATA_BYTES {
        bytes.clear();
    }
    bytes
}

/// The block in an `Exif` box, beginning with its TIFF header, which the first four bytes point to.
fn exif_block(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Bytes(bytes);
    let start = rest.u32()? as usize;
    rest.take(start)?;
    let block = rest.0.strip_prefix(b"Exif\0\0").unwrap_or(rest.0);
    (block.starts_with(b"II") || block.starts_with(b"MM")).then(|| block.to_vec())
}

/// Reads the headers. The decoder turns the picture by itself, so that sizes are those of the upright one.
pub(super) fn header(source: &mut dyn ReadSeek) -> Result<Header, Error> {
    let scan = &mut Scan::new(source, NAME)?;
    let layout = Layout::read(scan)?;
    let (image, _) = begin(scan, &layout, BYTES)?;
    let head = image.image_header();
    let shape = Shape::of(head, &image)?;
    let colour = match shape.channels {
        Channels::Gray => Colour::Gray,
        Channels::GrayAlpha => Colour::GrayAlpha,
        Channels::Rgb => Colour::Rgb,
        Channels::Rgba => Colour::Rgba,
    };
    let bits = head.metadata.bit_depth.bits_per_sample().min(64) as u8;
    let extra = head.metadata.ec_info.len() as u64;
    Ok(Header {
        has_icc: image.original_icc().is_some() || !is_srgb(&image),
        // It was turned already, and must not be turned again by its block.
        exif: layout.exif.map(|exif| ifd::with_orientation(exif, Orientation::Normal)),
        xmp: layout.xmp,
        orientation: Some(Orientation::Normal),
        extra_bytes_per_pixel: BYTES_PER_PIXEL + 8 * extra,
        extra_bytes: BYTES,
        file_copies: 1,
        ..Header::new(image.width(), image.height(), bits, colour)
    })
}

/// Decodes the first frame with at most that much memory.
pub(super) fn decode(source: &mut dyn ReadSeek, max_bytes: u64) -> Result<Pixels, Error> {
    let scan = &mut Scan::new(source, NAME)?;
    let layout = Layout::read(scan)?;
    let (mut image, mut feed) = begin(scan, &layout, max_bytes)?;
    let shape = Shape::of(image.image_header(), &image)?;
    // Brighter than any screen, which the decoder knows how to bring down.
    if image.hdr_type().is_some() && image.original_icc().is_none() {
        let intent = RenderingIntent::Relative;
        image.request_color_encoding(match shape.channels.colour_count() {
            1 => EnumColourEncoding::gray_srgb(intent),
            _ => EnumColourEncoding::srgb(intent),
        });
    }
    while image.num_loaded_keyframes() == 0 {
        if image.num_loaded_frames() > MAX_LAYERS {
            return Err(Error::unsupported(NAME, "very many layers"));
        }
        if !feed.further(scan)? {
            return Err(Error::Truncated { format: NAME });
        }
        let used = image.feed_bytes(&feed.waiting).map_err(broken)?;
        feed.used(used);
    }
    let render = image.render_frame(0).map_err(broken)?;
    let mut stream = render.stream();
    if stream.channels() as usize != shape.channels.count()
        || (stream.width(), stream.height()) != (image.width(), image.height())
    {
        return Err(Error::unsupported(NAME, "a first frame of another shape"));
    }
    let samples = image.width() as usize * image.height() as usize * shape.channels.count();
    let samples = if shape.is_deep {
        let mut all = vec![0_u16; samples];
        stream.write_to_buffer(&mut all[..]);
        Samples::U16(all)
    } else {
        let mut all = vec![0_u8; samples];
        stream.write_to_buffer(&mut all[..]);
        Samples::U8(all)
    };
    let mut pixels =
        Image { width: image.width(), height: image.height(), channels: shape.channels, samples };
    if shape.is_premultiplied {
        divide_by_alpha(&mut pixels);
    }
    let icc = if is_srgb(&image) { None } else { Some(image.rendered_icc()) };
    let exif = layout.exif.map(|exif| ifd::with_orientation(exif, Orientation::Normal));
    Ok(Pixels { image: pixels, icc, exif, reduction: 1.0 })
}

fn broken(error: impl ToString) -> Error {
    Error::broken(NAME, error)
}

/// Whether what is rendered is what pictures without a profile are.
fn is_srgb(image: &JxlImage) -> bool {
    matches!(image.rendered_cicp(), Some([1, 13, ..]))
}

/// What the pixels consist of.
struct Shape {
    channels: Channels,
    /// Whether they have more than 8 bits.
    is_deep: bool,
    is_premultiplied: bool,
}

impl Shape {
    fn of(header: &ImageHeader, image: &JxlImage) -> Result<Self, Error> {
        let channels = match image.pixel_format() {
            PixelFormat::Gray => Channels::Gray,
            PixelFormat::Graya => Channels::GrayAlpha,
            PixelFormat::Rgb => Channels::Rgb,
            PixelFormat::Rgba => Channels::Rgba,
            PixelFormat::Cmyk | PixelFormat::Cmyka => return Err(Error::unsupported(NAME, "printing inks")),
        };
        let is_deep = match header.metadata.bit_depth {
            BitDepth::IntegerSample { bits_per_sample } => bits_per_sample > 8,
            BitDepth::FloatSample { .. } => true,
        };
        let alpha = header.metadata.ec_info.iter().find(|channel| channel.is_alpha());
        let is_premultiplied = alpha.is_some_and(|alpha| alpha.alpha_associated() == Some(true));
        Ok(Self { channels, is_deep, is_premultiplied })
    }
}

/// Reads up to the end of the image header.
fn begin<'l>(scan: &mut Scan<'_>, layout: &'l Layout, max_bytes: u64) -> Result<(JxlImage, Feed<'l>), Error> {
    let limit = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let builder =
        JxlImage::builder().alloc_tracker(AllocTracker::with_limit(limit)).pool(JxlThreadPool::none());
    let mut waiting = builder.build_uninit();
    let mut feed = Feed { pieces: &layout.codestream, waiting: Vec::new(), at: 0, left: 0 };
    let mut fed = 0;
    loop {
        if !feed.further(scan)? {
            return Err(Error::Truncated { format: NAME });
        }
        let used = waiting.feed_bytes(&feed.waiting).map_err(broken)?;
        feed.used(used);
        fed += used;
        match waiting.try_init().map_err(broken)? {
            InitializeResult::Initialized(image) => return Ok((image, feed)),
            InitializeResult::NeedMoreData(_) if fed > MAX_HEADER_BYTES => {
                return Err(Error::broken(NAME, "its header has no end"));
            }
            InitializeResult::NeedMoreData(again) => waiting = again,
        }
    }
}

/// The codestream, piece by piece.
struct Feed<'a> {
    pieces: &'a [(u64, u64)],
    /// What was read and not yet used.
    waiting: Vec<u8>,
    at: u64,
    left: u64,
}

impl Feed<'_> {
    /// Reads the next piece; false at the end.
    fn further(&mut self, scan: &mut Scan<'_>) -> Result<bool, Error> {
        while self.left == 0 {
            let Some(((start, length), rest)) = self.pieces.split_first() else { return Ok(false) };
            (self.at, self.left, self.pieces) = (*start, *length, rest);
        }
        // What the decoder never takes must not pile up.
        if self.waiting.len() as u64 > PIECE {
            return Err(Error::broken(NAME, "its compressed data makes no sense"));
        }
        let count = self.left.min(PIECE);
        scan.go_to(self.at)?;
        self.waiting.extend(scan.block(count)?);
        self.at += count;
        self.left -= count;
        Ok(true)
    }

    fn used(&mut self, count: usize) {
        self.waiting.drain(..count.min(self.waiting.len()));
    }
}
