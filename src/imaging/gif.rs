//! GIF (89a): its first frame on its canvas.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

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
    let canvas_pixels = probe.pixels();
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let limit = NonZeroU64::new(canvas_pixels + (1 << 20)).unwrap_or(NonZeroU64::MAX);
    options.set_memory_limit(MemoryLimit::Bytes(limit));
    let mut decoder = options.read_info(source).map_err(failed)?;
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

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::UnexpectedEof => Error::Truncated { format: NAME },
        DecodingError::Io(error) => Error::from_io(NAME, error),
        error => Error::broken(NAME, error),
    }
}
