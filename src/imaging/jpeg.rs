//! JPEG (ITU-T T.81) through libjpeg-turbo. The headers are read here, without it: it would want the whole file, and
//! it stops at warnings that are none of a reader's business.

use std::borrow::Cow;

use turbojpeg::{
    Colorspace, Compressor, DecompressHeader, Decompressor, PixelFormat, ScalingFactor, Subsamp,
};

use super::colour;
use super::decode::Pixels;
use super::encode::{EncodeOptions, Subsampling};
use super::error::Error;
use super::format::Format;
use super::jpeg_dc;
use super::pixels::{Channels, Image, Samples};
use super::planes::Planes;
use super::probe::{Colour, Header};
use super::source::{ReadSeek, Scan};

const NAME: &str = "JPEG";

/// Scans of a progressive file; real ones have about ten, hostile ones thousands, each as dear as a whole picture.
const MAX_SCANS: u32 = 100;

/// Profiles of printing presses are the longest, at a few megabytes.
const MAX_ICC_BYTES: usize = 16 << 20;

/// Segments in front of the pixels, and the bytes of rubbish between them and of those that decoding needs: many times
/// what a camera writes.
const MAX_SEGMENTS: u32 = 10_000;
const MAX_RUBBISH_BYTES: u32 = 1 << 20;
const MAX_ESSENTIAL_BYTES: usize = 4 << 20;

/// Tables fitted to the picture make it a few per cent smaller, at the price of a second copy in memory; not for larger ones.
const MAX_OPTIMIZED_PIXELS: u64 = 5_000_000;

/// How a JPEG file was compressed: what a deblocking filter needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JpegInfo {
    /// The quantisation tables that the file defines before its first scan.
    pub quant_tables: Vec<QuantTable>,
    /// The colour components in the order of the file.
    pub components: Vec<JpegComponent>,
    /// Whether it is progressive.
    pub progressive: bool,
}

/// The steps by which the 64 frequencies of a block were rounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantTable {
    /// Its number in the file, 0 to 3.
    pub id: u8,
    /// The steps, row by row: `values[v * 8 + u]` for the frequency `u` across and `v` down.
    pub values: [u16; 64],
}

/// A colour component of a JPEG file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegComponent {
    /// The file's name for it.
    pub id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub horizontal: u8,
    /// Vertical sampling factor, 1 to 4.
    pub vertical: u8,
    /// Which of the tables was used.
    pub quant_table: u8,
}

impl JpegInfo {
    /// The table of the first component: luma, or the only one.
    pub fn luma_table(&self) -> Option<&[u16; 64]> {
        self.table_of(0)
    }

    /// The table of the second component, if there is one.
    pub fn chroma_table(&self) -> Option<&[u16; 64]> {
        self.table_of(1)
    }

    /// By how much the second component is smaller than the first: (1, 1) for 4:4:4, (2, 2) for 4:2:0.
    pub fn chroma_subsampling(&self) -> (u8, u8) {
        match self.components.as_slice() {
            [luma, chroma, ..] => (luma.horizontal / chroma.horizontal, luma.vertical / chroma.vertical),
            _ => (1, 1),
        }
    }

    fn table_of(&self, component: usize) -> Option<&[u16; 64]> {
        let id = self.components.get(component)?.quant_table;
        self.quant_tables.iter().find(|table| table.id == id).map(|table| &table.values)
    }
}

/// The way from the order in the file to rows.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What the segments before the first scan say.
pub(super) struct JpegHeader {
    pub(super) header: Header,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) info: JpegInfo,
    /// CMYK as Adobe writes it: 0 is full ink.
    inverted_inks: bool,
    /// Whether it keeps light and colour, as nearly all do, or light only.
    has_light: bool,
    /// The segments that matter to a decoder, with their markers, and where the first scan begins.
    essential: Vec<u8>,
    first_scan_at: u64,
}

/// Reads the segments up to the first scan.
pub(super) fn header(source: &mut dyn ReadSeek) -> Result<JpegHeader, Error> {
    let mut scan = Scan::new(source, NAME)?;
    if scan.u16_be()? != 0xffd8 {
        return Err(Error::broken(NAME, "it does not start like one"));
    }
    let too_long = || Error::broken(NAME, "the picture does not begin for too long");
    let mut frame = None;
    let mut quant_tables: Vec<QuantTable> = Vec::new();
    let mut icc_parts: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut icc_bytes = 0;
    let mut exif = None;
    let mut adobe = None;
    let mut essential = vec![0xff, 0xd8];
    let (mut segments, mut rubbish) = (0, 0);
    let first_scan_at = loop {
        let endless = segments > MAX_SEGMENTS || essential.len() > MAX_ESSENTIAL_BYTES;
        (!endless).then_some(()).ok_or_else(too_long)?;
        segments += 1;
        // Between segments there may be fill bytes, and in careless files other rubbish.
        let mut marker = scan.u8()?;
        while marker != 0xff {
            marker = scan.u8()?;
            rubbish += 1;
            (rubbish <= MAX_RUBBISH_BYTES).then_some(()).ok_or_else(too_long)?;
        }
        while marker == 0xff {
            marker = scan.u8()?;
            rubbish += 1;
            (rubbish <= MAX_RUBBISH_BYTES).then_some(()).ok_or_else(too_long)?;
        }
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            0xd9 => return Err(Error::broken(NAME, "it ends before the picture begins")),
            0xda => break scan.position() - 2,
            _ => {}
        }
        let length = scan.u16_be()?;
        let length =
            length.checked_sub(2).ok_or_else(|| Error::broken(NAME, "a segment without a length"))?;
        let wanted = matches!(marker, 0xc0..=0xcf | 0xdb | 0xdd | 0xdc | 0xe1 | 0xe2 | 0xee);
        if !wanted {
            scan.skip(u64::from(length))?;
            continue;
        }
        let body = scan.block(u64::from(length))?;
        match marker {
            0xdb => read_quant_tables(&body, &mut quant_tables)?,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let twice = frame.replace(read_frame(marker, &body)?).is_some();
                (!twice).then_some(()).ok_or_else(|| Error::broken(NAME, "it describes two pictures"))?;
            }
            0xe1 if exif.is_none() => exif = body.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec),
            0xe2 => {
                if let Some([number, _total, part @ ..]) = body.strip_prefix(b"ICC_PROFILE\0")
                    && icc_bytes + part.len() <= MAX_ICC_BYTES
                {
                    icc_bytes += part.len();
                    icc_parts.push((*number, part.to_vec()));
                }
            }
            0xee if body.starts_with(b"Adobe") => adobe = body.get(11).copied().or(adobe),
            _ => {}
        }
        if !matches!(marker, 0xe1 | 0xe2) && (marker != 0xee || body.starts_with(b"Adobe")) {
            essential.extend([0xff, marker]);
            essential.extend((length + 2).to_be_bytes());
            essential.extend(&body);
        }
    };
    let Frame { width, height, bit_depth, components, progressive, lossless } =
        frame.ok_or_else(|| Error::broken(NAME, "it does not say how big the picture is"))?;
    let colour = match components.len() {
        1 => Colour::Gray,
        3 => Colour::Rgb,
        4 => Colour::Cmyk,
        count => return Err(Error::unsupported(NAME, format!("{count} colour components"))),
    };
    // A picture in several scans, which progressive ones are but not alone, is kept as coefficients of 16 bits until the
    // last one.
    let _scan_header = scan.u16_be()?;
    let several_scans = progressive || usize::from(scan.u8()?) < components.len();
    let icc = join_icc(icc_parts);
    let mut header = Header::new(width, height, bit_depth, colour);
    header.has_icc = icc.is_some();
    header.exif = exif;
    header.extra_bytes_per_pixel = if several_scans { 2 * components.len() as u64 } else { 0 };
    // What is kept without loss has no frequencies of which some could be left out.
    header.reduces = !lossless;
    // Once as it is, and once more without the segments that libjpeg-turbo stumbles over.
    header.file_copies = 2;
    let info = JpegInfo { quant_tables, components, progressive };
    // Adobe says so, everybody else by the names of the components.
    let names: Vec<u8> = info.components.iter().map(|component| component.id).collect();
    let is_rgb = adobe == Some(0) || names == *b"RGB";
    let has_light = bit_depth == 8 && !lossless && matches!(colour, Colour::Gray | Colour::Rgb) && !is_rgb;
    Ok(JpegHeader { header, icc, info, inverted_inks: adobe.is_some(), has_light, essential, first_scan_at })
}

struct Frame {
    width: u32,
    height: u32,
    bit_depth: u8,
    components: Vec<JpegComponent>,
    progressive: bool,
    lossless: bool,
}

fn read_frame(marker: u8, body: &[u8]) -> Result<Frame, Error> {
    let truncated = || Error::broken(NAME, "its frame header is too short");
    let [bit_depth, h1, h0, w1, w0, count, rest @ ..] = body else { return Err(truncated()) };
    if rest.len() < usize::from(*count) * 3 {
        return Err(truncated());
    }
    let components: Vec<_> = rest
        .chunks_exact(3)
        .take(usize::from(*count))
        .map(|bytes| JpegComponent {
            id: bytes[0],
            horizontal: bytes[1] >> 4,
            vertical: bytes[1] & 15,
            quant_table: bytes[2],
        })
        .collect();
    if components.iter().any(|c| !(1..=4).contains(&c.horizontal) || !(1..=4).contains(&c.vertical)) {
        return Err(Error::broken(NAME, "its sampling factors are impossible"));
    }
    let height = u32::from(u16::from_be_bytes([*h1, *h0]));
    if height == 0 {
        return Err(Error::unsupported(NAME, "a height that follows the pixels"));
    }
    Ok(Frame {
        width: u32::from(u16::from_be_bytes([*w1, *w0])),
        height,
        bit_depth: *bit_depth,
        components,
        progressive: matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce),
        lossless: matches!(marker, 0xc3 | 0xc7 | 0xcb | 0xcf),
    })
}

fn read_quant_tables(mut body: &[u8], tables: &mut Vec<QuantTable>) -> Result<(), Error> {
    while let [head, rest @ ..] = body {
        let wide = head >> 4 != 0;
        let bytes = if wide { 128 } else { 64 };
        let Some((values, rest)) = rest.split_at_checked(bytes) else {
            return Err(Error::broken(NAME, "a quantisation table is too short"));
        };
        let mut table = QuantTable { id: head & 15, values: [0; 64] };
        for (index, place) in ZIGZAG.iter().enumerate() {
            table.values[usize::from(*place)] = if wide {
                u16::from_be_bytes([values[index * 2], values[index * 2 + 1]])
            } else {
                u16::from(values[index])
            };
        }
        tables.retain(|other| other.id != table.id);
        tables.push(table);
        body = rest;
    }
    Ok(())
}

/// A profile longer than a segment comes in numbered parts; if one is missing the rest is worthless.
fn join_icc(mut parts: Vec<(u8, Vec<u8>)>) -> Option<Vec<u8>> {
    parts.sort_by_key(|(number, _)| *number);
    let complete = parts.iter().enumerate().all(|(index, (number, _))| usize::from(*number) == index + 1);
    (!parts.is_empty() && complete).then(|| parts.into_iter().flat_map(|(_, part)| part).collect())
}

/// Decodes, reduced by 1, 2, 4 or 8 in each direction while decoding; CMYK comes out as sRGB.
pub(super) fn decode(bytes: &[u8], head: &JpegHeader, reduction: u32) -> Result<Pixels, Error> {
    if head.header.bit_depth != 8 {
        return Err(Error::unsupported(NAME, format!("{} bits a sample", head.header.bit_depth)));
    }
    check_sides(head.header.width, head.header.height)?;
    cleaning(bytes, head, |bytes| decode_with_turbo(bytes, head, reduction))
}

/// Decodes to planes, reduced like [`decode`]; nothing if the file does not keep its colours that way. Returns also by how
/// much it was reduced.
pub(super) fn decode_planes(
    bytes: &[u8],
    head: &JpegHeader,
    reduction: u32,
) -> Result<Option<(Planes, f64)>, Error> {
    if !head.has_light {
        return Ok(None);
    }
    check_sides(head.header.width, head.header.height)?;
    if reduction >= 8 {
        let scans = usize::try_from(head.first_scan_at).ok().and_then(|at| bytes.get(at..));
        if let Some(planes) = jpeg_dc::read(&head.essential, scans.unwrap_or_default()) {
            return Ok(Some((planes, 8.0)));
        }
    }
    cleaning(bytes, head, |bytes| planes_with_turbo(bytes, head, reduction))
}

/// Decodes, and if libjpeg-turbo does not like the header once more without what it needs not: it counts a warning about a
/// segment nobody needs as failure.
fn cleaning<T>(
    bytes: &[u8],
    head: &JpegHeader,
    decode: impl Fn(&[u8]) -> Result<T, Failure>,
) -> Result<T, Error> {
    match decode(bytes) {
        Err(Failure::InHeader(reason)) => {
            let mut cleaned = head.essential.clone();
            let scan = usize::try_from(head.first_scan_at).ok().and_then(|at| bytes.get(at..));
            cleaned.extend(scan.unwrap_or_default());
            decode(&cleaned).map_err(|failure| match failure {
                Failure::InHeader(_) => Error::broken(NAME, reason),
                Failure::InPixels(error) => error,
            })
        }
        Err(Failure::InPixels(error)) => Err(error),
        Ok(decoded) => Ok(decoded),
    }
}

/// A little less than the 65,535 of the standard is what every reader built on libjpeg takes.
fn check_sides(width: u32, height: u32) -> Result<(), Error> {
    if width.max(height) > 65_500 {
        return Err(Error::unsupported(NAME, "sides over 65500 pixels"));
    }
    Ok(())
}

enum Failure {
    InHeader(String),
    InPixels(Error),
}

/// Makes a decompressor that has read the header and will reduce.
fn prepare(
    bytes: &[u8],
    head: &JpegHeader,
    reduction: u32,
) -> Result<(Decompressor, DecompressHeader, ScalingFactor), Failure> {
    let in_header = |error: turbojpeg::Error| Failure::InHeader(error.to_string());
    let mut decompressor = Decompressor::new().map_err(in_header)?;
    decompressor.set_scan_limit(MAX_SCANS).map_err(in_header)?;
    let found = decompressor.read_header(bytes).map_err(in_header)?;
    if (found.width, found.height) != (head.header.width as usize, head.header.height as usize) {
        return Err(Failure::InHeader("it describes two pictures".into()));
    }
    let factor =
        if found.is_lossless { ScalingFactor::ONE } else { ScalingFactor::new(1, reduction.max(1) as usize) };
    decompressor.set_scaling_factor(factor).map_err(in_header)?;
    Ok((decompressor, found, factor))
}

fn planes_with_turbo(
    bytes: &[u8],
    head: &JpegHeader,
    reduction: u32,
) -> Result<Option<(Planes, f64)>, Failure> {
    let (mut decompressor, found, factor) = prepare(bytes, head, reduction)?;
    let (across, down) = match (found.colorspace, found.subsamp) {
        (Colorspace::Gray, Subsamp::Gray) | (Colorspace::YCbCr, Subsamp::None) => (1, 1),
        (Colorspace::YCbCr, Subsamp::Sub2x1) => (2, 1),
        (Colorspace::YCbCr, Subsamp::Sub2x2) => (2, 2),
        (Colorspace::YCbCr, Subsamp::Sub1x2) => (1, 2),
        _ => return Ok(None),
    };
    let scaled = found.scaled(factor);
    let length = turbojpeg::yuv_pixels_len(scaled.width, 1, scaled.height, found.subsamp);
    let mut samples = vec![0; length.map_err(|error| Failure::InHeader(error.to_string()))?];
    let output = turbojpeg::YuvImage {
        pixels: samples.as_mut_slice(),
        width: scaled.width,
        align: 1,
        height: scaled.height,
        subsamp: found.subsamp,
    };
    let (light_width, light_height) = output.y_size();
    let (colour_width, colour_height) = output.uv_size();
    if let Err(error) = decompressor.decompress_to_yuv(bytes, output) {
        judge(bytes, head, &error.to_string()).map_err(Failure::InPixels)?;
    }
    let mut rest = samples.split_off(light_width * light_height);
    let light = Planes::plane(light_width as u32, light_height as u32, samples);
    let colour = (found.colorspace == Colorspace::YCbCr).then(|| {
        let red = rest.split_off(colour_width * colour_height);
        [rest, red].map(|samples| Planes::plane(colour_width as u32, colour_height as u32, samples))
    });
    Ok(Some((Planes { light, colour, subsampling: (across, down) }, factor.denom() as f64)))
}

fn decode_with_turbo(bytes: &[u8], head: &JpegHeader, reduction: u32) -> Result<Pixels, Failure> {
    let (mut decompressor, found, factor) = prepare(bytes, head, reduction)?;
    let scaled = found.scaled(factor);
    let format = match found.colorspace {
        Colorspace::Gray => PixelFormat::GRAY,
        Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
        _ => PixelFormat::RGB,
    };
    let pitch = scaled.width * format.size();
    let mut samples = vec![0; pitch * scaled.height];
    let output = turbojpeg::Image {
        pixels: samples.as_mut_slice(),
        width: scaled.width,
        pitch,
        height: scaled.height,
        format,
    };
    if let Err(error) = decompressor.decompress(bytes, output) {
        judge(bytes, head, &error.to_string()).map_err(Failure::InPixels)?;
    }
    let reduction = factor.denom() as f64;
    let size = (scaled.width as u32, scaled.height as u32);
    let mut icc = head.icc.clone();
    let (channels, samples) = match format {
        PixelFormat::GRAY => (Channels::Gray, samples),
        PixelFormat::CMYK => {
            if head.inverted_inks {
                samples.iter_mut().for_each(|ink| *ink = 255 - *ink);
            }
            (Channels::Rgb, colour::cmyk8_to_srgb(samples, icc.take().as_deref()))
        }
        _ => (Channels::Rgb, samples),
    };
    let image = Image { width: size.0, height: size.1, channels, samples: Samples::U8(samples) };
    Ok(Pixels { image, icc, exif: head.header.exif.clone(), reduction })
}

/// Decides what a complaint of libjpeg-turbo means. It fills the rest of the picture with grey and carries on, and
/// would have us show that.
fn judge(bytes: &[u8], head: &JpegHeader, complaint: &str) -> Result<(), Error> {
    if !has_end(bytes, head.first_scan_at) {
        return Err(Error::Truncated { format: NAME });
    }
    if complaint.contains("extraneous bytes before marker") || complaint.contains("Invalid SOS parameters") {
        return Ok(());
    }
    if complaint.contains("Unsupported") || complaint.contains("not supported") {
        return Err(Error::unsupported(NAME, complaint));
    }
    Err(Error::broken(NAME, complaint))
}

/// Whether the end marker follows the scans.
fn has_end(bytes: &[u8], first_scan_at: u64) -> bool {
    let mut at = usize::try_from(first_scan_at).unwrap_or(usize::MAX);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) {
        at += found;
        match bytes.get(at + 1) {
            None => return false,
            Some(0xd9) => return true,
            Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            Some(_) => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
    false
}

/// Decodes a JPEG stream that is part of another file: no profile, no reduction. What it says of itself is compared with
/// what the file says before anything is allocated.
///
/// # Errors
/// When the stream is larger than its place or has more components, or it is damaged.
pub(super) fn decode_part(
    bytes: &[u8],
    max_width: u32,
    max_height: u32,
    max_components: u64,
) -> Result<Image, Error> {
    let head = header(&mut std::io::Cursor::new(bytes))?;
    if head.header.width > max_width || head.header.height > max_height {
        return Err(Error::broken(NAME, "a part is larger than its place"));
    }
    if head.info.components.len() as u64 > max_components {
        return Err(Error::broken(NAME, "a part has more colours than its place"));
    }
    Ok(decode(bytes, &head, 1)?.image)
}

/// Encodes 8-bit gray or RGB. Alpha must be gone and 16 bits rounded by the caller.
pub(super) fn encode(image: &Image, options: &EncodeOptions) -> Result<Vec<u8>, Error> {
    let failed = |error: turbojpeg::Error| Error::encode(NAME, error);
    let Samples::U8(samples) = &image.samples else {
        return Err(Error::unsupported(NAME, "16 bits a sample"));
    };
    let (format, subsampling) = match (image.channels, options.subsampling) {
        (Channels::Gray, _) => (PixelFormat::GRAY, Subsamp::Gray),
        (Channels::Rgb, Subsampling::Full) => (PixelFormat::RGB, Subsamp::None),
        (Channels::Rgb, Subsampling::Half) => (PixelFormat::RGB, Subsamp::Sub2x2),
        _ => return Err(Error::unsupported(NAME, "transparency")),
    };
    check_sides(image.width, image.height)?;
    let mut compressor = Compressor::new().map_err(failed)?;
    compressor.set_quality(i32::from(options.quality.clamp(1, 100))).map_err(failed)?;
    compressor.set_subsamp(subsampling).map_err(failed)?;
    compressor.set_optimize(image.pixels() <= MAX_OPTIMIZED_PIXELS).map_err(failed)?;
    let source = turbojpeg::Image {
        pixels: samples.as_slice(),
        width: image.width as usize,
        pitch: image.width as usize * format.size(),
        height: image.height as usize,
        format,
    };
    compressor.compress_to_vec(source).map_err(failed)
}

/// Encodes planes of light and colour, the latter of full or half size.
pub(super) fn encode_planes(planes: &Planes, quality: u8) -> Result<Vec<u8>, Error> {
    let failed = |error: turbojpeg::Error| Error::encode(NAME, error);
    let (width, height) = (planes.light.width, planes.light.height);
    let Some([blue, red]) = &planes.colour else {
        return encode(&planes.light, &EncodeOptions { quality, ..EncodeOptions::new(Format::Jpeg) });
    };
    check_sides(width, height)?;
    let (subsamp, step) = match planes.subsampling {
        (2, 2) => (Subsamp::Sub2x2, 2),
        (1, 1) => (Subsamp::None, 1),
        _ => return Err(Error::encode(NAME, "an unusual size of colour")),
    };
    // It reads light in whole units of colour: one row or column more than there may be.
    let light = padded(&planes.light, width.next_multiple_of(step), height.next_multiple_of(step));
    let (Samples::U8(light_samples), Samples::U8(blue), Samples::U8(red)) =
        (&light.samples, &blue.samples, &red.samples)
    else {
        return Err(Error::unsupported(NAME, "16 bits a sample"));
    };
    let colour_width = width.div_ceil(step) as usize;
    if blue.len() != colour_width * height.div_ceil(step) as usize || blue.len() != red.len() {
        return Err(Error::encode(NAME, "light and colour differ in size"));
    }
    let mut compressor = Compressor::new().map_err(failed)?;
    compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(failed)?;
    compressor.set_optimize(planes.light.pixels() <= MAX_OPTIMIZED_PIXELS).map_err(failed)?;
    let source = turbojpeg::YuvPlanesImage {
        y_plane: light_samples.as_slice(),
        u_plane: blue.as_slice(),
        v_plane: red.as_slice(),
        width: width as usize,
        height: height as usize,
        y_stride: light.width as usize,
        u_stride: colour_width,
        v_stride: colour_width,
        subsamp,
    };
    compressor.compress_yuv_planes_to_vec(&source).map_err(failed)
}

/// Repeats the last column and row of a gray picture up to that size.
fn padded(image: &Image, width: u32, height: u32) -> Cow<'_, Image> {
    let Samples::U8(samples) = &image.samples else { return Cow::Borrowed(image) };
    if (width, height) == (image.width, image.height) {
        return Cow::Borrowed(image);
    }
    let mut wider = Vec::with_capacity(width as usize * height as usize);
    let rows = samples.chunks_exact(image.width as usize);
    let last = rows.clone().next_back();
    let missing = (height - image.height) as usize;
    for row in rows.chain(last.into_iter().cycle().take(missing)) {
        wider.extend_from_slice(row);
        wider.extend(std::iter::repeat_n(row[row.len() - 1], (width - image.width) as usize));
    }
    Cow::Owned(Planes::plane(width, height, wider))
}
