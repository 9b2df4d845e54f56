//! TIFF (revision 6.0 and BigTIFF). The directory is read here; the `tiff` crate undoes strips, tiles and compression,
//! except JPEG, which goes through libjpeg-turbo like any other.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::encoder::{Compression, Predictor, TiffEncoder, colortype};
use tiff::tags::{Tag, Type};
use tiff::{Directory as TagDirectory, TiffError};

use super::colour;
use super::decode::Pixels;
use super::encode::EncodeOptions;
use super::error::Error;
use super::ifd::{Directories, Directory, EXIF_DIRECTORY, ExifFields, Field, GPS_DIRECTORY, ICC_PROFILE};
use super::jpeg;
use super::pixels::{Channels, Image, Samples};
use super::probe::{Colour, Header};
use super::source::ReadSeek;

const NAME: &str = "TIFF";

/// What the samples mean: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 inks, 6 YCbCr.
const PHOTOMETRIC: u16 = 0x0106;

/// Pages after these are not counted: there are at least so many.
const MAX_PAGES: u32 = 1000;

/// Tiles may be larger than the picture, whose last ones are filled up, but not by more than real ones are.
const MAX_TILE_SIDE: u32 = 4096;

/// What the first directory says.
pub(super) struct TiffHeader {
    pub(super) header: Header,
    icc: Option<Vec<u8>>,
    samples_per_pixel: u64,
    photometric: u64,
    planar: bool,
    palette: Vec<u16>,
    /// Alpha is multiplied into the colours.
    premultiplied: bool,
    jpeg: Option<JpegParts>,
    /// For palettes: two bytes of the file that the crate has to read differently, or it refuses it.
    patch: Option<(u64, [u8; 2])>,
}

/// JPEG streams inside the file.
struct JpegParts {
    tables: Vec<u8>,
    /// Offset and length of each.
    parts: Vec<(u64, u64)>,
    part_width: u32,
    part_height: u32,
}

impl JpegParts {
    /// Bytes that decoding any one of them takes: its samples, which may be kept as coefficients of 16 bits before, and
    /// its stream, which is read, joined with the tables and perhaps copied once more.
    fn working_bytes(&self, samples_per_pixel: u64) -> u64 {
        let pixels = u64::from(self.part_width) * u64::from(self.part_height);
        let longest = self.parts.iter().map(|(_, length)| *length).max().unwrap_or(0);
        (pixels * samples_per_pixel * 3).saturating_add(longest.saturating_mul(3))
    }
}

/// Reads the first directory and counts the others.
pub(super) fn header(source: &mut dyn ReadSeek) -> Result<TiffHeader, Error> {
    let mut directories = Directories::open(source)?;
    let first = directories.directory(directories.first)?;
    let missing = |what: &str| Error::broken(NAME, format!("{what} is missing"));
    let number = |directories: &mut Directories<'_>, tag: u16| directories.number(&first, tag);
    let width = number(&mut directories, 0x0100).ok_or_else(|| missing("the width"))?;
    let height = number(&mut directories, 0x0101).ok_or_else(|| missing("the height"))?;
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(Error::broken(NAME, "an impossible size"));
    };
    let bit_depth = number(&mut directories, 0x0102).unwrap_or(1);
    let photometric = number(&mut directories, PHOTOMETRIC).unwrap_or(1);
    let samples_per_pixel = number(&mut directories, 0x0115).unwrap_or(1);
    let compression = number(&mut directories, 0x0103).unwrap_or(1);
    let extra = first.find(0x0152).and_then(|entry| directories.numbers(entry, 16).ok()).unwrap_or_default();
    let has_alpha = matches!(extra.first(), Some(1 | 2));
    let colour = match (photometric, has_alpha) {
        (0 | 1, false) => Colour::Gray,
        (0 | 1, true) => Colour::GrayAlpha,
        (2 | 6, false) if samples_per_pixel == 4 => Colour::Rgba,
        (2 | 6, false) => Colour::Rgb,
        (2 | 6, true) => Colour::Rgba,
        (3, _) => Colour::Palette,
        (5, false) => Colour::Cmyk,
        (5, true) => Colour::CmykAlpha,
        _ => return Err(Error::unsupported(NAME, format!("photometric interpretation {photometric}"))),
    };
    let expected = match colour {
        Colour::Gray | Colour::Palette | Colour::PaletteAlpha => 1,
        Colour::GrayAlpha => 2,
        Colour::Rgb => 3,
        Colour::Rgba | Colour::Cmyk => 4,
        Colour::CmykAlpha => 5,
    };
    if samples_per_pixel < expected || samples_per_pixel > 16 {
        return Err(Error::broken(NAME, format!("{samples_per_pixel} samples a pixel")));
    }
    let palette = match (colour, first.find(0x0140)) {
        (Colour::Palette, Some(entry)) => {
            directories.numbers(entry, 3 << 16)?.into_iter().map(|value| value as u16).collect()
        }
        (Colour::Palette, None) => return Err(missing("the palette")),
        _ => Vec::new(),
    };
    let icc = first
        .find(ICC_PROFILE)
        .and_then(|entry| directories.value(entry, 16 << 20).ok())
        .filter(|icc| !icc.is_empty());
    let (part_width, part_height) = part_size(&mut directories, &first, width, height)?;
    let jpeg = match compression {
        7 => Some(jpeg_parts(&mut directories, &first, (width, height), (part_width, part_height))?),
        6 => return Err(Error::unsupported(NAME, "old-style JPEG compression")),
        _ => None,
    };
    let bit_depth = u8::try_from(bit_depth).unwrap_or(u8::MAX);
    let mut header = Header::new(width, height, bit_depth, colour);
    header.has_icc = icc.is_some();
    header.exif = ExifFields::read(&mut directories).to_block();
    if let Some(jpeg) = &jpeg {
        header.extra_bytes = jpeg.working_bytes(samples_per_pixel);
    } else {
        // The crate's own buffer, with all samples of a pixel, beside the picture that is made of it, and the row of a
        // tile, which may be wider than the picture.
        let sample_bytes = if bit_depth > 8 { 2 } else { 1 };
        let apart = if colour == Colour::CmykAlpha { 5 } else { 0 };
        header.extra_bytes_per_pixel = (samples_per_pixel + apart) * sample_bytes;
        header.extra_bytes = u64::from(part_width) * samples_per_pixel * sample_bytes;
    }
    header.frames = count_pages(&mut directories, &first);
    let black_is_zero = if directories.little_endian { [1, 0] } else { [0, 1] };
    let patch = first
        .find(PHOTOMETRIC)
        .filter(|entry| colour == Colour::Palette && entry.kind == 3)
        .map(|entry| (entry.value_at, black_is_zero));
    let planar = number(&mut directories, 0x011c) == Some(2);
    let premultiplied = extra.first() == Some(&1);
    Ok(TiffHeader {
        header,
        icc,
        samples_per_pixel,
        photometric,
        planar,
        palette,
        premultiplied,
        jpeg,
        patch,
    })
}

fn count_pages(directories: &mut Directories<'_>, first: &Directory) -> u32 {
    let mut pages = 1;
    let mut next = first.next;
    let mut seen = vec![directories.first];
    while next != 0 && pages < MAX_PAGES && !seen.contains(&next) {
        let Ok(following) = directories.next_of(next) else { break };
        seen.push(next);
        pages += 1;
        next = following;
    }
    pages
}

fn missing_parts() -> Error {
    Error::broken(NAME, "its strips are missing")
}

fn is_tiled(first: &Directory) -> bool {
    first.find(0x0144).is_some()
}

/// Size in pixels of the tiles or strips that the picture is cut into.
fn part_size(
    directories: &mut Directories<'_>,
    first: &Directory,
    width: u32,
    height: u32,
) -> Result<(u32, u32), Error> {
    let mut side = |tag| {
        directories.number(first, tag).and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0)
    };
    if !is_tiled(first) {
        return Ok((width.max(1), side(0x0116).unwrap_or(height).min(height).max(1)));
    }
    let part_width = side(0x0142).ok_or_else(missing_parts)?;
    let part_height = side(0x0143).ok_or_else(missing_parts)?;
    let largest = |side: u32| side.checked_next_multiple_of(16).unwrap_or(side).max(MAX_TILE_SIDE);
    if part_width > largest(width) || part_height > largest(height) {
        let reason = format!("tiles of {part_width} x {part_height} for a picture of {width} x {height}");
        return Err(Error::broken(NAME, reason));
    }
    Ok((part_width, part_height))
}

fn jpeg_parts(
    directories: &mut Directories<'_>,
    first: &Directory,
    (width, height): (u32, u32),
    (part_width, part_height): (u32, u32),
) -> Result<JpegParts, Error> {
    let missing = missing_parts;
    let (offsets, lengths) = if is_tiled(first) { (0x0144, 0x0145) } else { (0x0111, 0x0117) };
    let count = u64::from(width.div_ceil(part_width)) * u64::from(height.div_ceil(part_height));
    let mut numbers = |tag| directories.numbers(first.find(tag).ok_or_else(missing)?, 1 << 17);
    let (offsets, lengths) = (numbers(offsets)?, numbers(lengths)?);
    if (offsets.len() as u64) < count || offsets.len() != lengths.len() {
        return Err(missing());
    }
    let tables = match first.find(0x015b) {
        Some(entry) => directories.value(entry, 1 << 16)?,
        None => Vec::new(),
    };
    Ok(JpegParts { tables, parts: offsets.into_iter().zip(lengths).collect(), part_width, part_height })
}

/// Decodes the first page; inks come out as sRGB, palettes as RGB, bits under 8 as 8.
pub(super) fn decode(source: &mut dyn ReadSeek, head: &TiffHeader) -> Result<Pixels, Error> {
    let (width, height) = (head.header.width, head.header.height);
    let image = match &head.jpeg {
        Some(parts) => decode_jpeg_parts(source, head, parts)?,
        None => {
            let samples = read_samples(source, head)?;
            let keep = match head.header.colour {
                Colour::Gray | Colour::Palette | Colour::PaletteAlpha => 1,
                Colour::GrayAlpha => 2,
                Colour::Rgb => 3,
                Colour::Rgba | Colour::Cmyk => 4,
                Colour::CmykAlpha => 5,
            };
            match samples {
                Samples::U8(samples) => {
                    let samples = arrange(samples, head, keep, 255)?;
                    if head.header.colour == Colour::Palette {
                        look_up(&samples, head)?
                    } else {
                        finish8(samples, head)
                    }
                }
                Samples::U16(samples) => finish16(arrange(samples, head, keep, 65_535)?, head),
            }
        }
    };
    let expected = u64::from(width) * u64::from(height) * image.channels.count() as u64;
    let found = match &image.samples {
        Samples::U8(samples) => samples.len(),
        Samples::U16(samples) => samples.len(),
    };
    if found as u64 != expected {
        return Err(Error::Truncated { format: NAME });
    }
    let is_ink = matches!(head.header.colour, Colour::Cmyk | Colour::CmykAlpha);
    let icc = if is_ink { None } else { head.icc.clone() };
    Ok(Pixels { image, icc, exif: head.header.exif.clone(), reduction: 1.0 })
}

/// Reads all samples as they lie in the file, widened to 8 bits where they have fewer.
fn read_samples(source: &mut dyn ReadSeek, head: &TiffHeader) -> Result<Samples, Error> {
    let (width, height) = (u64::from(head.header.width), u64::from(head.header.height));
    let samples = width * height * head.samples_per_pixel;
    let bytes = samples * if head.header.bit_depth > 8 { 2 } else { 1 };
    let limit = usize::try_from(bytes + 4096).map_err(|_| Error::unsupported(NAME, "this size"))?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = limit;
    // The length of a compressed strip: noise grows by half under LZW, which packs bytes into 9 to 12 bits.
    limits.intermediate_buffer_size = limit.saturating_mul(2);
    // A list of numbers takes 32 times its bytes there; this is enough for 16,000 strips a megabyte.
    limits.ifd_value_size = 1 << 20;
    source.seek(SeekFrom::Start(0)).map_err(Error::Read)?;
    let source = Patched { source, position: 0, patch: head.patch };
    let mut decoder = Decoder::new(BufReader::new(source)).map_err(failed)?.with_limits(limits);
    let mut result = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut result).map_err(failed)?;
    match result {
        DecodingResult::U8(packed) if head.header.bit_depth < 8 => Ok(Samples::U8(unpack(&packed, head))),
        DecodingResult::U8(samples) => Ok(Samples::U8(samples)),
        DecodingResult::U16(samples) if head.header.bit_depth == 16 => Ok(Samples::U16(samples)),
        _ => Err(Error::unsupported(NAME, format!("{} bits a sample of this kind", head.header.bit_depth))),
    }
}

/// A file of which two bytes read differently. The crate gives the numbers of a palette only if it takes them for gray.
struct Patched<'a> {
    source: &'a mut dyn ReadSeek,
    position: u64,
    patch: Option<(u64, [u8; 2])>,
}

impl Read for Patched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if let Some((at, bytes)) = self.patch {
            for (place, byte) in (at..).zip(bytes) {
                let target = place.checked_sub(self.position).and_then(|index| usize::try_from(index).ok());
                if let Some(target) = target.filter(|index| *index < count) {
                    buffer[target] = byte;
                }
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Patched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.source.seek(to)?;
        Ok(self.position)
    }
}

/// Spreads 1, 2 or 4 bits over bytes; palette numbers keep their value, the others are scaled to 255.
fn unpack(packed: &[u8], head: &TiffHeader) -> Vec<u8> {
    let bits = usize::from(head.header.bit_depth.max(1));
    let per_row = head.header.width as usize * if head.planar { 1 } else { head.samples_per_pixel as usize };
    let row_bytes = (per_row * bits).div_ceil(8).max(1);
    let full = (1_u32 << bits) - 1;
    let is_palette = head.header.colour == Colour::Palette;
    let mut samples = Vec::with_capacity(per_row * packed.len() / row_bytes);
    for row in packed.chunks_exact(row_bytes) {
        for index in 0..per_row {
            let bit = index * bits;
            let value = u32::from(row[bit / 8]) >> (8 - bits - bit % 8) & full;
            samples.push(if is_palette { value as u8 } else { (value * 255 / full) as u8 });
        }
    }
    samples
}

/// Brings the wanted samples of each pixel together: planes are interleaved, further samples dropped, alpha divided out.
fn arrange<T>(samples: Vec<T>, head: &TiffHeader, keep: usize, full: u32) -> Result<Vec<T>, Error>
where
    T: Copy + Into<u32> + TryFrom<u32>,
{
    let count = head.samples_per_pixel as usize;
    let pixels = head.header.width as usize * head.header.height as usize;
    if samples.len() < pixels * count {
        return Err(Error::Truncated { format: NAME });
    }
    // The crate turns this around for a single sample only.
    let negative = head.photometric == 0 && count > 1;
    if count == 1 || (count == keep && !head.planar && !negative && !head.premultiplied) {
        let mut samples = samples;
        samples.truncate(pixels * count);
        return Ok(samples);
    }
    let clamp = |value: u32| T::try_from(value.min(full)).ok();
    let mut arranged = Vec::with_capacity(pixels * keep);
    for pixel in 0..pixels {
        let sample = |index: usize| {
            if head.planar { samples[index * pixels + pixel] } else { samples[pixel * count + index] }
        };
        let start = arranged.len();
        arranged.extend((0..keep).map(sample));
        let pixel = &mut arranged[start..];
        if negative {
            pixel[0] = clamp(full - pixel[0].into()).unwrap_or(pixel[0]);
        }
        if let (true, [colours @ .., alpha]) = (head.premultiplied && head.header.colour.has_alpha(), pixel) {
            let alpha: u32 = (*alpha).into();
            for colour in colours.iter_mut().filter(|_| alpha > 0) {
                let divided =
                    (u64::from((*colour).into()) * u64::from(full) + u64::from(alpha) / 2) / u64::from(alpha);
                *colour = clamp(u32::try_from(divided).unwrap_or(full)).unwrap_or(*colour);
            }
        }
    }
    Ok(arranged)
}

fn look_up(numbers: &[u8], head: &TiffHeader) -> Result<Image, Error> {
    let colours = head.palette.len() / 3;
    if colours == 0 {
        return Err(Error::broken(NAME, "its palette is empty"));
    }
    // Some writers fill the 16-bit palette with 8-bit values.
    let shift = if head.palette.iter().all(|value| *value < 256) { 0 } else { 8 };
    let mut samples = Vec::with_capacity(numbers.len() * 3);
    for number in numbers {
        let number = usize::from(*number).min(colours - 1);
        samples.extend([0, 1, 2].map(|channel| (head.palette[channel * colours + number] >> shift) as u8));
    }
    Ok(image(head, Channels::Rgb, Samples::U8(samples)))
}

fn image(head: &TiffHeader, channels: Channels, samples: Samples) -> Image {
    Image { width: head.header.width, height: head.header.height, channels, samples }
}

const fn channels(colour: Colour) -> Channels {
    match colour {
        Colour::Gray => Channels::Gray,
        Colour::GrayAlpha => Channels::GrayAlpha,
        Colour::Rgb | Colour::Palette | Colour::PaletteAlpha | Colour::Cmyk => Channels::Rgb,
        Colour::Rgba | Colour::CmykAlpha => Channels::Rgba,
    }
}

fn finish8(mut samples: Vec<u8>, head: &TiffHeader) -> Image {
    let colour = head.header.colour;
    match colour {
        Colour::Rgb | Colour::Rgba if head.photometric == 6 => {
            for pixel in samples.chunks_exact_mut(channels(colour).count()) {
                let rgb = ycc_to_rgb([pixel[0], pixel[1], pixel[2]]);
                pixel[..3].copy_from_slice(&rgb);
            }
        }
        Colour::Cmyk => samples = colour::cmyk8_to_srgb(samples, head.icc.as_deref()),
        Colour::CmykAlpha => {
            let (inks, alpha) = split_alpha(&samples);
            samples = join_alpha(&colour::cmyk8_to_srgb(inks, head.icc.as_deref()), &alpha);
        }
        _ => {}
    }
    image(head, channels(colour), Samples::U8(samples))
}

fn finish16(mut samples: Vec<u16>, head: &TiffHeader) -> Image {
    let colour = head.header.colour;
    match colour {
        Colour::Cmyk => samples = colour::cmyk16_to_srgb(samples, head.icc.as_deref()),
        Colour::CmykAlpha => {
            let (inks, alpha) = split_alpha(&samples);
            samples = join_alpha(&colour::cmyk16_to_srgb(inks, head.icc.as_deref()), &alpha);
        }
        _ => {}
    }
    image(head, channels(colour), Samples::U16(samples))
}

fn split_alpha<T: Copy>(samples: &[T]) -> (Vec<T>, Vec<T>) {
    let inks = samples.chunks_exact(5).flat_map(|pixel| pixel[..4].iter().copied()).collect();
    (inks, samples.chunks_exact(5).map(|pixel| pixel[4]).collect())
}

fn join_alpha<T: Copy>(rgb: &[T], alpha: &[T]) -> Vec<T> {
    rgb.chunks_exact(3).zip(alpha).flat_map(|(rgb, alpha)| [rgb[0], rgb[1], rgb[2], *alpha]).collect()
}

/// ITU-R BT.601, full range, which is what TIFF means unless it says otherwise.
fn ycc_to_rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|value| value.round() as u8)
}

fn decode_jpeg_parts(
    source: &mut dyn ReadSeek,
    head: &TiffHeader,
    parts: &JpegParts,
) -> Result<Image, Error> {
    if head.planar || head.header.bit_depth != 8 {
        return Err(Error::unsupported(NAME, "JPEG compression in planes or more than 8 bits"));
    }
    let (width, height) = (head.header.width, head.header.height);
    let wanted = match head.header.colour {
        Colour::Gray => Channels::Gray,
        Colour::Rgb | Colour::Cmyk => Channels::Rgb,
        _ => return Err(Error::unsupported(NAME, "JPEG compression of transparent pictures")),
    };
    let count = wanted.count();
    let across = width.div_ceil(parts.part_width);
    let down = height.div_ceil(parts.part_height);
    let mut samples = vec![0_u8; width as usize * height as usize * count];
    for (index, (offset, length)) in (0..across * down).zip(&parts.parts) {
        let mut scan = super::source::Scan::new(source, NAME)?;
        scan.go_to(*offset)?;
        let stream = join_tables(&parts.tables, &scan.block(*length)?, head.photometric)?;
        let (left, top) = (index % across * parts.part_width, index / across * parts.part_height);
        let part = jpeg::decode_part(&stream, parts.part_width, parts.part_height, head.samples_per_pixel)?;
        let Samples::U8(part_samples) = &part.samples else { continue };
        if part.channels != wanted {
            return Err(Error::broken(NAME, "a strip has other colours than the file says"));
        }
        let columns = part.width.min(width - left) as usize * count;
        let rows = part.height.min(height - top) as usize;
        for (y, row) in part_samples.chunks_exact(part.width as usize * count).take(rows).enumerate() {
            let start = ((top as usize + y) * width as usize + left as usize) * count;
            samples[start..start + columns].copy_from_slice(&row[..columns]);
        }
    }
    if head.photometric == 0 {
        samples.iter_mut().for_each(|sample| *sample = 255 - *sample);
    }
    Ok(image(head, wanted, Samples::U8(samples)))
}

/// Puts the shared tables in front of a strip and says what its colours are, which inside a TIFF nobody says.
fn join_tables(tables: &[u8], strip: &[u8], photometric: u64) -> Result<Vec<u8>, Error> {
    let body = strip.strip_prefix(b"\xff\xd8").ok_or_else(|| Error::broken(NAME, "a strip is not JPEG"))?;
    let tables = tables.strip_prefix(b"\xff\xd8").unwrap_or_default();
    let tables = tables.strip_suffix(b"\xff\xd9").unwrap_or(tables);
    let mut stream = b"\xff\xd8".to_vec();
    if matches!(photometric, 2 | 6) {
        stream.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
        stream.push(u8::from(photometric == 6));
    }
    stream.extend(tables);
    stream.extend(body);
    Ok(stream)
}

fn failed(error: TiffError) -> Error {
    match error {
        TiffError::IoError(error) => Error::from_io(NAME, error),
        TiffError::UnsupportedError(error) => Error::unsupported(NAME, error),
        error => Error::broken(NAME, error),
    }
}

/// Encodes 8 or 16 bits of any channels without loss, with the profile and the descriptive tags.
pub(super) fn encode(image: &Image, options: &EncodeOptions) -> Result<Vec<u8>, Error> {
    match (&image.samples, image.channels) {
        (Samples::U8(samples), Channels::Gray) => write::<colortype::Gray8>(image, samples, options),
        (Samples::U8(samples), Channels::Rgb) => write::<colortype::RGB8>(image, samples, options),
        (Samples::U8(samples), Channels::Rgba) => write::<colortype::RGBA8>(image, samples, options),
        (Samples::U16(samples), Channels::Gray) => write::<colortype::Gray16>(image, samples, options),
        (Samples::U16(samples), Channels::Rgb) => write::<colortype::RGB16>(image, samples, options),
        (Samples::U16(samples), Channels::Rgba) => write::<colortype::RGBA16>(image, samples, options),
        (_, Channels::GrayAlpha) => Err(Error::unsupported(NAME, "gray with transparency")),
    }
}

fn write<C>(image: &Image, samples: &[C::Inner], options: &EncodeOptions) -> Result<Vec<u8>, Error>
where
    C: colortype::ColorType,
    [C::Inner]: tiff::encoder::TiffValue,
{
    let failed = |error: TiffError| Error::encode(NAME, error);
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes)
        .map_err(failed)?
        .with_compression(Compression::Lzw)
        .with_predictor(Predictor::Horizontal);
    let fields = options.exif.as_deref().map(|exif| {
        let mut exif = Cursor::new(exif);
        Directories::open(&mut exif)
            .map(|mut directories| ExifFields::read(&mut directories))
            .unwrap_or_default()
    });
    let fields = fields.unwrap_or_default();
    let mut pointers = Vec::new();
    for (tag, fields) in [(EXIF_DIRECTORY, &fields.exif), (GPS_DIRECTORY, &fields.gps)] {
        if !fields.is_empty() {
            let mut directory = encoder.extra_directory().map_err(failed)?;
            let mut entries = TagDirectory::empty();
            for field in fields {
                if let Some(kind) = Type::from_u16(field.kind) {
                    let entry = directory.write_entry_bytes(kind, &native(field)).map_err(failed)?;
                    entries.extend([(Tag::Unknown(field.tag), entry)]);
                }
            }
            directory.extend_from(&entries);
            let offset = directory.finish_with_offsets().map_err(failed)?;
            let offset =
                u32::try_from(offset.pointer.0).map_err(|_| Error::unsupported(NAME, "over 4 GB"))?;
            pointers.push((tag, offset));
        }
    }
    let mut writer = encoder.new_image::<C>(image.width, image.height).map_err(failed)?;
    let directory = writer.encoder();
    let mut entries = TagDirectory::empty();
    for field in &fields.main {
        if let Some(kind) = Type::from_u16(field.kind) {
            let entry = directory.write_entry_bytes(kind, &native(field)).map_err(failed)?;
            entries.extend([(Tag::from_u16_exhaustive(field.tag), entry)]);
        }
    }
    directory.extend_from(&entries);
    for (tag, offset) in pointers {
        directory.write_tag(Tag::Unknown(tag), offset).map_err(failed)?;
    }
    if let Some(icc) = &options.icc {
        let entry = directory.write_entry_bytes(Type::UNDEFINED, icc).map_err(failed)?;
        let mut profile = TagDirectory::empty();
        profile.extend([(Tag::IccProfile, entry)]);
        directory.extend_from(&profile);
    }
    writer.write_data(samples).map_err(failed)?;
    Ok(bytes.into_inner())
}

/// The writer keeps this machine's byte order.
fn native(field: &Field) -> Vec<u8> {
    let mut data = field.data.clone();
    if cfg!(target_endian = "big") {
        let unit = match field.kind {
            3 | 8 => 2,
            4 | 5 | 9 | 10 | 11 | 13 => 4,
            12 | 16 | 17 | 18 => 8,
            _ => 1,
        };
        data.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    }
    data
}
