//! GIF (89a): its first frame on its canvas, or all of them one after the other.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, DisposalMethod, MemoryLimit, Repeat};

use super::animation::{Canvas, Disposal, Place, Shown, shown_ms};
use super::decode::Pixels;
use super::error::Error;
use super::pixels::{Channels, Image, Samples};
use super::probe::{Colour, Header, Probe};
use super::source::{ReadSeek, Scan};

const NAME: &str = "GIF";

/// Blocks that are walked over to count the frames, of 255 bytes each: after these there are at least so many.
const MAX_BLOCKS: u32 = 1_000_000;

/// Walks over the blocks, which is cheap, to count the frames.
pub(super) fn header(source: &mut dyn ReadSeek) -> Result<Header, Error> {
    let mut scan = Scan::new(source, NAME)?;
    scan.skip(6)?;
    let (width, height) = (scan.u16_le()?, scan.u16_le()?);
    let [flags, _, _] = scan.array::<3>()?;
    skip_palette(&mut scan, flags)?;
    let mut header = Header::new(u32::from(width), u32::from(height), 8, Colour::Palette);
    header.frames = 0;
    // The palette numbers of a frame as large as the canvas.
    header.extra_bytes_per_pixel = 1;
    let walked = walk(&mut scan, &mut header);
    if header.frames == 0 {
        return Err(walked.err().unwrap_or_else(|| Error::broken(NAME, "it has no frame")));
    }
    // Later frames may be cut off or damaged; whether the first one is complete is seen when it is decoded.
    Ok(header)
}

fn walk(scan: &mut Scan<'_>, header: &mut Header) -> Result<(), Error> {
    let mut transparent = false;
    let mut blocks = 0;
    while blocks < MAX_BLOCKS {
        blocks += 1;
        match scan.u8()? {
            0x3b => return Ok(()),
            0x21 => {
                if scan.u8()? == 0xf9 {
                    let [size, flags] = scan.array()?;
                    transparent = flags & 1 != 0;
                    scan.skip(u64::from(size.saturating_sub(1)))?;
                }
                skip_blocks(scan, &mut blocks)?;
            }
            0x2c => {
                let (left, top) = (scan.u16_le()?, scan.u16_le()?);
                let (width, height) = (scan.u16_le()?, scan.u16_le()?);
                let flags = scan.u8()?;
                let covers = left == 0
                    && top == 0
                    && u32::from(width) >= header.width
                    && u32::from(height) >= header.height;
                if header.frames == 0 && (transparent || !covers) {
                    header.colour = Colour::PaletteAlpha;
                }
                header.frames = header.frames.saturating_add(1);
                skip_palette(scan, flags)?;
                scan.skip(1)?;
                skip_blocks(scan, &mut blocks)?;
            }
            _ => return Err(Error::broken(NAME, "an unknown block")),
        }
    }
    Ok(())
}

fn skip_palette(scan: &mut Scan<'_>, flags: u8) -> Result<(), Error> {
    if flags & 0x80 != 0 { scan.skip(3 << ((flags & 7) + 1)) } else { Ok(()) }
}

fn skip_blocks(scan: &mut Scan<'_>, blocks: &mut u32) -> Result<(), Error> {
    while *blocks < MAX_BLOCKS {
        *blocks += 1;
        match scan.u8()? {
            0 => break,
            size => scan.skip(u64::from(size))?,
        }
    }
    Ok(())
}

/// Decodes the first frame to RGB, or RGBA if it is transparent or leaves some of the canvas empty.
pub(super) fn decode(source: &mut dyn ReadSeek, probe: &Probe) -> Result<Pixels, Error> {
    let mut decoder = open(source, probe)?;
    let global_palette = decoder.global_palette().map(<[u8]>::to_vec);
    let icc = decoder.icc_profile().map(<[u8]>::to_vec);
    let frame = decoder.read_next_frame().map_err(failed)?.ok_or(Error::Truncated { format: NAME })?;
    let palette = frame.palette.as_deref().or(global_palette.as_deref());
    let palette = palette.ok_or_else(|| Error::broken(NAME, "it has no palette"))?;
    let (width, height) = (probe.width as usize, probe.height as usize);
    let channels = if probe.colour.has_alpha() { Channels::Rgba } else { Channels::Rgb };
    let count = channels.count();
    let mut samples = vec![0; width * height * count];
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let frame_width = usize::from(frame.width).max(1);
    for (y, row) in frame.buffer.chunks_exact(frame_width).enumerate().take(height.saturating_sub(top)) {
        let start = ((top + y) * width + left) * count;
        let Some(line) = samples.get_mut(start..(top + y + 1) * width * count) else { break };
        for (pixel, index) in line.chunks_exact_mut(count).zip(row) {
            let entry = usize::from(*index) * 3;
            // A number beyond the palette is black, as browsers show it.
            let colour = palette.get(entry..entry + 3).unwrap_or(&[0, 0, 0]);
            pixel[..3].copy_from_slice(colour);
            if count == 4 {
                pixel[3] = if frame.transparent == Some(*index) { 0 } else { 255 };
            }
        }
    }
    let image = Image { width: probe.width, height: probe.height, channels, samples: Samples::U8(samples) };
    Ok(Pixels { image, icc, exif: None, reduction: 1.0 })
}

fn open<'a>(
    source: &'a mut dyn ReadSeek,
    probe: &Probe,
) -> Result<gif::Decoder<&'a mut dyn ReadSeek>, Error> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let limit = NonZeroU64::new(probe.pixels() + (1 << 20)).unwrap_or(NonZeroU64::MAX);
    options.set_memory_limit(MemoryLimit::Bytes(limit));
    options.read_info(source).map_err(failed)
}

/// Shows all frames one after the other, up to the first that is damaged. An error is of the first frame, or of whoever
/// looks.
pub(super) fn play(
    source: &mut dyn ReadSeek,
    probe: &Probe,
    show: &mut dyn FnMut(Shown<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut decoder = open(source, probe)?;
    let global_palette = decoder.global_palette().map(<[u8]>::to_vec);
    let mut canvas = Canvas::new(probe.width, probe.height);
    let mut colours = Vec::new();
    for number in 0..probe.frames {
        let frame = match decoder.read_next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) if number > 0 => break,
            Ok(None) => return Err(Error::Truncated { format: NAME }),
            Err(_) if number > 0 => break,
            Err(error) => return Err(failed(error)),
        };
        let palette = frame.palette.as_deref().or(global_palette.as_deref());
        let palette = palette.ok_or_else(|| Error::broken(NAME, "it has no palette"))?;
        colours.clear();
        for index in frame.buffer.iter() {
            let entry = usize::from(*index) * 3;
            let colour = palette.get(entry..entry + 3).unwrap_or(&[0, 0, 0]);
            colours.extend_from_slice(colour);
            colours.push(if frame.transparent == Some(*index) { 0 } else { 255 });
        }
        let place = Place {
            left: usize::from(frame.left),
            top: usize::from(frame.top),
            width: usize::from(frame.width),
            height: usize::from(frame.height),
            blends: true,
            disposal: match frame.dispose {
                DisposalMethod::Any | DisposalMethod::Keep => Disposal::Keep,
                DisposalMethod::Background => Disposal::Clear,
                DisposalMethod::Previous => Disposal::Restore,
            },
            duration_ms: shown_ms(u32::from(frame.delay) * 10),
        };
        // The number in the file is of the times after the first.
        let loops = match decoder.repeat() {
            Repeat::Infinite => 0,
            Repeat::Finite(times) => times.saturating_add(1),
        };
        show(Shown { canvas: canvas.draw(place, &colours), duration_ms: place.duration_ms, loops })?;
    }
    Ok(())
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::UnexpectedEof => Error::Truncated { format: NAME },
        DecodingError::Io(error) => Error::from_io(NAME, error),
        error => Error::broken(NAME, error),
    }
}
