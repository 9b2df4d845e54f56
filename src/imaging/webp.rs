//! WebP (RFC 9649): the container is read here, the pixels by libwebp.

use super::animation::{Canvas, Disposal, MAX_FRAMES, Place, Shown, shown_ms};
use super::decode::Pixels;
use super::encode::EncodeOptions;
use super::error::Error;
use super::libwebp;
use super::pixels::{Channels, Image, Samples};
use super::planes::Planes;
use super::probe::{Colour, Header};
use super::source::{ReadSeek, Scan};

const NAME: &str = "WebP";

/// Chunks that are looked at, most of which are frames: there are at least so many.
const MAX_CHUNKS: u32 = 100_000;

/// What the container says.
pub(super) struct WebpHeader {
    pub(super) header: Header,
    icc: Option<Vec<u8>>,
    /// The frames of an animation, as many as are kept moving.
    frames: Vec<FrameAt>,
    /// How often an animation is shown; 0 for ever.
    loops: u16,
}

/// Where on the canvas a frame of an animation lies, and its chunks in the file.
struct FrameAt {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    duration_ms: u32,
    flags: u8,
    start: u64,
    end: u64,
}

/// Walks over the chunks.
pub(super) fn header(source: &mut dyn ReadSeek) -> Result<WebpHeader, Error> {
    let mut scan = Scan::new(source, NAME)?;
    scan.skip(4)?;
    let end = u64::from(scan.u32_le()?).saturating_add(8);
    if end > scan.length() {
        // The only format that says in front how long it is.
        return Err(Error::Truncated { format: NAME });
    }
    scan.skip(4)?;
    let mut header = Header::new(0, 0, 8, Colour::Rgb);
    header.file_copies = 1;
    // libwebp's own rows, and for lossless pictures a second copy.
    header.extra_bytes_per_pixel = 4;
    let mut icc = None;
    let mut frames_at: Vec<FrameAt> = Vec::new();
    let mut frames = 0_u32;
    let mut loops = 0;
    let mut extended = false;
    let mut chunks = 0;
    while scan.position() + 8 <= end && chunks < MAX_CHUNKS {
        chunks += 1;
        let kind = scan.array::<4>()?;
        let length = u64::from(scan.u32_le()?);
        let start = scan.position();
        let next = start.saturating_add(length).saturating_add(length & 1);
        match &kind {
            b"VP8X" if length >= 10 => {
                let [flags, _, _, _] = scan.array()?;
                extended = true;
                header.width = u24(&mut scan)? + 1;
                header.height = u24(&mut scan)? + 1;
                if flags & 0x10 != 0 {
                    header.colour = Colour::Rgba;
                }
            }
            b"VP8 " if length >= 10 && !extended => {
                let [_, _, _, start, of, key, w0, w1, h0, h1] = scan.array()?;
                if [start, of, key] != [0x9d, 0x01, 0x2a] {
                    return Err(Error::broken(NAME, "its picture does not start like one"));
                }
                header.width = u32::from(u16::from_le_bytes([w0, w1]) & 0x3fff);
                header.height = u32::from(u16::from_le_bytes([h0, h1]) & 0x3fff);
            }
            b"VP8L" if length >= 5 && !extended => {
                let [mark, a, b, c, d] = scan.array()?;
                if mark != 0x2f {
                    return Err(Error::broken(NAME, "its picture does not start like one"));
                }
                let bits = u32::from_le_bytes([a, b, c, d]);
                header.width = (bits & 0x3fff) + 1;
                header.height = (bits >> 14 & 0x3fff) + 1;
                if bits >> 28 & 1 != 0 {
                    header.colour = Colour::Rgba;
                }
            }
            b"ANMF" if length >= 16 => {
                frames = frames.saturating_add(1);
                if frames <= MAX_FRAMES {
                    // Its chunks are copied into a file of their own.
                    header.file_copies = 2;
                    let (left, top) = (u24(&mut scan)? * 2, u24(&mut scan)? * 2);
                    let (width, height) = (u24(&mut scan)? + 1, u24(&mut scan)? + 1);
                    let (duration_ms, flags) = (u24(&mut scan)?, scan.u8()?);
                    let covers = left == 0 && top == 0 && width >= header.width && height >= header.height;
                    if frames == 1 && !covers {
                        header.colour = Colour::Rgba;
                    }
                    let (start, end) = (scan.position(), start.saturating_add(length));
                    frames_at.push(FrameAt { left, top, width, height, duration_ms, flags, start, end });
                }
            }
            b"ANIM" if length >= 6 => {
                scan.skip(4)?;
                loops = scan.u16_le()?;
            }
            b"ICCP" if length <= 16 << 20 => icc = scan.block(length).ok(),
            b"EXIF" if length <= 1 << 20 => {
                let block = scan.block(length).unwrap_or_default();
                // Some writers keep the mark that belongs into JPEG.
                header.exif = Some(block.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec).unwrap_or(block));
            }
            _ => {}
        }
        if next > scan.length() {
            return Err(Error::Truncated { format: NAME });
        }
        scan.go_to(next)?;
    }
    header.frames = frames.max(1);
    header.has_icc = icc.is_some();
    Ok(WebpHeader { header, icc, frames: frames_at, loops })
}

fn u24(scan: &mut Scan<'_>) -> Result<u32, Error> {
    let [a, b, c] = scan.array()?;
    Ok(u32::from_le_bytes([a, b, c, 0]))
}

/// Decodes the picture, or an animation's first frame on its canvas.
pub(super) fn decode(bytes: &[u8], head: &WebpHeader) -> Result<Pixels, Error> {
    let (width, height) = (head.header.width, head.header.height);
    let channels = if head.header.colour.has_alpha() { Channels::Rgba } else { Channels::Rgb };
    let samples = match head.frames.first() {
        None => libwebp::decode(bytes, width, height, channels.has_alpha())?,
        Some(frame) => {
            let pixels = decode_frame(bytes, frame, (width, height), channels)?;
            on_canvas(pixels, frame, (width, height), channels)
        }
    };
    let image = Image { width, height, channels, samples: Samples::U8(samples) };
    Ok(Pixels { image, icc: head.icc.clone(), exif: head.header.exif.clone(), reduction: 1.0 })
}

/// libwebp refuses animations as a whole, but a frame's chunks make a still picture of their own.
fn decode_frame(
    bytes: &[u8],
    frame: &FrameAt,
    (width, height): (u32, u32),
    channels: Channels,
) -> Result<Vec<u8>, Error> {
    if frame.left.saturating_add(frame.width) > width || frame.top.saturating_add(frame.height) > height {
        return Err(Error::broken(NAME, "a frame lies outside the canvas"));
    }
    let chunks = usize::try_from(frame.start)
        .ok()
        .zip(usize::try_from(frame.end).ok())
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or(Error::Truncated { format: NAME })?;
    let has_alpha_chunk = chunks.starts_with(b"ALPH");
    let mut still = b"RIFF\0\0\0\0WEBP".to_vec();
    if has_alpha_chunk {
        still.extend(b"VP8X\x0a\0\0\0\x10\0\0\0");
        still.extend(&(frame.width - 1).to_le_bytes()[..3]);
        still.extend(&(frame.height - 1).to_le_bytes()[..3]);
    }
    still.extend(chunks);
    let length = u32::try_from(still.len() - 8).map_err(|_| Error::broken(NAME, "a frame is too long"))?;
    still[4..8].copy_from_slice(&length.to_le_bytes());
    libwebp::decode(&still, frame.width, frame.height, channels.has_alpha())
}

fn on_canvas(pixels: Vec<u8>, frame: &FrameAt, (width, height): (u32, u32), channels: Channels) -> Vec<u8> {
    if (frame.width, frame.height) == (width, height) {
        return pixels;
    }
    let count = channels.count();
    let mut canvas = vec![0; width as usize * height as usize * count];
    for (y, row) in pixels.chunks_exact(frame.width as usize * count).enumerate() {
        let start = ((frame.top as usize + y) * width as usize + frame.left as usize) * count;
        canvas[start..start + row.len()].copy_from_slice(row);
    }
    canvas
}

/// Shows all frames of an animation one after the other, up to the first that is damaged. An error is of the first
/// frame, or of whoever looks.
pub(super) fn play(
    bytes: &[u8],
    head: &WebpHeader,
    show: &mut dyn FnMut(Shown<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let size = (head.header.width, head.header.height);
    let mut canvas = Canvas::new(size.0, size.1);
    for (number, frame) in head.frames.iter().enumerate() {
        let pixels = match decode_frame(bytes, frame, size, Channels::Rgba) {
            Err(error) if number == 0 => return Err(error),
            Err(_) => break,
            Ok(pixels) => pixels,
        };
        let place = Place {
            left: frame.left as usize,
            top: frame.top as usize,
            width: frame.width as usize,
            height: frame.height as usize,
            blends: frame.flags & 0b10 == 0,
            disposal: if frame.flags & 0b01 != 0 { Disposal::Clear } else { Disposal::Keep },
            duration_ms: shown_ms(frame.duration_ms),
        };
        let shown = canvas.draw(place, &pixels);
        show(Shown { canvas: shown, duration_ms: place.duration_ms, loops: head.loops })?;
    }
    Ok(())
}

/// Encodes planes of light and colour, the latter of half the size.
pub(super) fn encode_planes(planes: &Planes, quality: u8) -> Result<Vec<u8>, Error> {
    let (width, height) = (planes.light.width, planes.light.height);
    check_sides(width, height)?;
    let half = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
    let (blue, red) = match (&planes.colour, planes.subsampling) {
        (Some([blue, red]), (2, 2)) => (studio_colour(blue)?, studio_colour(red)?),
        (None, _) => (vec![128; half], vec![128; half]),
        _ => return Err(Error::encode(NAME, "an unusual size of colour")),
    };
    // WebP leaves room above white and below black, which JPEG does not.
    let light = samples8(&planes.light)?;
    let light: Vec<u8> =
        light.iter().map(|level| (16 + (u32::from(*level) * 219 + 127) / 255) as u8).collect();
    libwebp::encode_planes([&light, &blue, &red], width, height, f32::from(quality.min(100)))
}

fn studio_colour(plane: &Image) -> Result<Vec<u8>, Error> {
    let table: [u8; 256] =
        std::array::from_fn(|level| (128.0 + (level as f64 - 128.0) * 224.0 / 255.0).round() as u8);
    Ok(samples8(plane)?.iter().map(|level| table[usize::from(*level)]).collect())
}

fn samples8(plane: &Image) -> Result<&[u8], Error> {
    match &plane.samples {
        Samples::U8(samples) => Ok(samples),
        Samples::U16(_) => Err(Error::unsupported(NAME, "16 bits a sample")),
    }
}

fn check_sides(width: u32, height: u32) -> Result<(), Error> {
    if width > 16_383 || height > 16_383 {
        return Err(Error::unsupported(NAME, "sides over 16383 pixels"));
    }
    Ok(())
}

/// Encodes 8-bit RGB or RGBA; quality 100 is lossless if `options.lossless` says so.
pub(super) fn encode(image: &Image, options: &EncodeOptions) -> Result<Vec<u8>, Error> {
    let Samples::U8(samples) = &image.samples else {
        return Err(Error::unsupported(NAME, "16 bits a sample"));
    };
    check_sides(image.width, image.height)?;
    if !matches!(image.channels, Channels::Rgb | Channels::Rgba) {
        return Err(Error::unsupported(NAME, "gray samples"));
    }
    libwebp::encode(
        samples,
        image.width,
        image.height,
        image.channels.has_alpha(),
        f32::from(options.quality.min(100)),
        options.lossless,
    )
}
