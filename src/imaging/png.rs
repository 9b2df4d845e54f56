//! PNG (W3C, third edition), row by row.

use std::io::BufReader;

use png::{BitDepth, ColorType, DecodingError, Transformations};

use super::decode::Pixels;
use super::encode::EncodeOptions;
use super::error::Error;
use super::pixels::{Channels, Image, Samples};
use super::probe::{Colour, Header, Probe};
use super::shrink::BoxShrink;
use super::source::{ReadSeek, Scan};

const NAME: &str = "PNG";

/// Chunks that are looked at: with the usual 8 KB each, those of 800 MB.
const MAX_CHUNKS: u32 = 100_000;

/// Reads the chunks in front of the pixels, and for EXIF also those behind.
pub(super) fn header(source: &mut dyn ReadSeek) -> Result<Header, Error> {
    let mut scan = Scan::new(source, NAME)?;
    scan.skip(8)?;
    let (length, kind) = (scan.u32_be()?, scan.array::<4>()?);
    if kind != *b"IHDR" || length != 13 {
        return Err(Error::broken(NAME, "its header is missing"));
    }
    let (width, height) = (scan.u32_be()?, scan.u32_be()?);
    let [bit_depth, colour, _, _, interlaced] = scan.array::<5>()?;
    scan.skip(4)?;
    let colour = match colour {
        0 => Colour::Gray,
        2 => Colour::Rgb,
        3 => Colour::Palette,
        4 => Colour::GrayAlpha,
        6 => Colour::Rgba,
        _ => return Err(Error::broken(NAME, "an unknown kind of colour")),
    };
    if !matches!(bit_depth, 1 | 2 | 4 | 8 | 16) {
        return Err(Error::broken(NAME, "an unknown bit depth"));
    }
    let mut header = Header::new(width, height, bit_depth, colour);
    // Interlaced rows arrive in seven passes, and 16 bits need a second buffer then.
    header.extra_bytes_per_pixel = if interlaced != 0 && bit_depth == 16 { 8 } else { 0 };
    header.reduces = interlaced == 0;
    let mut pixels_found = false;
    let mut chunks = 0;
    // A file that is cut off behind its header still has one.
    while let (Ok(length), Ok(kind)) = (scan.u32_be(), scan.array::<4>()) {
        chunks += 1;
        if chunks > MAX_CHUNKS {
            // What decides about the pixels stands in front of them.
            let reason = || Error::broken(NAME, "too many chunks in front of the pixels");
            pixels_found.then_some(()).ok_or_else(reason)?;
            break;
        }
        let mut left = u64::from(length);
        match &kind {
            b"IEND" => break,
            b"IDAT" => pixels_found = true,
            b"acTL" if length >= 4 && !pixels_found => {
                header.frames = scan.u32_be()?;
                left -= 4;
            }
            b"iCCP" => header.has_icc = true,
            b"tRNS" => {
                header.colour = match header.colour {
                    Colour::Gray => Colour::GrayAlpha,
                    Colour::Rgb => Colour::Rgba,
                    Colour::Palette => Colour::PaletteAlpha,
                    other => other,
                }
            }
            b"eXIf" if length <= 1 << 20 && header.exif.is_none() => {
                header.exif = scan.block(left).ok();
                left = 0;
            }
            _ => {}
        }
        if scan.skip(left + 4).is_err() {
            break;
        }
    }
    Ok(header)
}

/// Decodes; palettes and gray of fewer bits become 8 bits. Reduces by averaging boxes where rows come in order.
pub(super) fn decode(source: &mut dyn ReadSeek, probe: &Probe, reduction: u32) -> Result<Pixels, Error> {
    // Room for the compressed profile and some rows; the picture itself is ours and does not count.
    let bytes = (64 << 20) + probe.width as usize * 8 * 4;
    let mut decoder =
        png::Decoder::new_with_limits(BufReader::with_capacity(64 << 10, source), png::Limits { bytes });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = reader.info().size();
    if (width, height) != (probe.width, probe.height) {
        return Err(Error::broken(NAME, "it describes two pictures"));
    }
    let icc = reader.info().icc_profile.as_ref().map(|icc| icc.to_vec());
    let (colour, depth) = reader.output_color_type();
    let channels = match colour {
        ColorType::Grayscale => Channels::Gray,
        ColorType::GrayscaleAlpha => Channels::GrayAlpha,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => Channels::Rgba,
        ColorType::Indexed => return Err(Error::broken(NAME, "its palette is missing")),
    };
    let wide = depth == BitDepth::Sixteen;
    let row_samples = width as usize * channels.count();
    let too_large = || Error::broken(NAME, "its rows are too long");
    let row_bytes = reader.output_line_size(width).ok_or_else(too_large)?;

    let reduction = if reader.info().interlaced { 1 } else { reduction.max(1) };
    let image = if reduction > 1 {
        let mut shrink = BoxShrink::new(width, height, channels, reduction);
        let mut upper = Vec::new();
        for _ in 0..height {
            let row = reader.next_row().map_err(failed)?.ok_or(Error::Truncated { format: NAME })?;
            // Reduced pictures are for screens: the upper byte of 16 bits is enough.
            if wide {
                upper.clear();
                upper.extend(row.data().chunks_exact(2).map(|sample| sample[0]));
                shrink.push(&upper);
            } else {
                shrink.push(row.data());
            }
        }
        shrink.finish()
    } else if reader.info().interlaced {
        let size = reader.output_buffer_size().ok_or_else(too_large)?;
        let mut bytes = vec![0; size];
        reader.next_frame(&mut bytes).map_err(failed)?;
        let samples = if wide { Samples::U16(from_big_endian(&bytes).collect()) } else { Samples::U8(bytes) };
        Image { width, height, channels, samples }
    } else if wide {
        let mut samples = Vec::with_capacity(row_samples * height as usize);
        let mut row = vec![0; row_bytes];
        for _ in 0..height {
            reader.read_row(&mut row).map_err(failed)?.ok_or(Error::Truncated { format: NAME })?;
            samples.extend(from_big_endian(&row));
        }
        Image { width, height, channels, samples: Samples::U16(samples) }
    } else {
        let mut samples = vec![0; row_bytes * height as usize];
        for row in samples.chunks_exact_mut(row_bytes) {
            reader.read_row(row).map_err(failed)?.ok_or(Error::Truncated { format: NAME })?;
        }
        Image { width, height, channels, samples: Samples::U8(samples) }
    };
    // What stands behind the pixels may be missing or damaged: they are complete.
    if reader.info().exif_metadata.is_none() {
        let _ = reader.finish();
    }
    let exif = reader.info().exif_metadata.as_ref().map(|exif| exif.to_vec());
    Ok(Pixels { image, icc, exif, reduction: f64::from(reduction) })
}

fn from_big_endian(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|sample| u16::from_be_bytes([sample[0], sample[1]]))
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) => Error::from_io(NAME, error),
        error => Error::broken(NAME, error),
    }
}

/// Encodes 8 or 16 bits of any channels, without loss. Fast compression: the best is 50 times slower for a tenth less.
pub(super) fn encode(image: &Image, options: &EncodeOptions) -> Result<Vec<u8>, Error> {
    let failed = |error: png::EncodingError| Error::encode(NAME, error);
    let mut info = png::Info::with_size(image.width, image.height);
    info.color_type = match image.channels {
        Channels::Gray => ColorType::Grayscale,
        Channels::GrayAlpha => ColorType::GrayscaleAlpha,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
    };
    info.bit_depth = if image.bit_depth() == 16 { BitDepth::Sixteen } else { BitDepth::Eight };
    info.icc_profile = options.icc.as_deref().map(Into::into);
    info.exif_metadata = options.exif.as_deref().map(Into::into);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::with_info(&mut bytes, info).map_err(failed)?;
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    match &image.samples {
        Samples::U8(samples) => writer.write_image_data(samples).map_err(failed)?,
        Samples::U16(samples) => {
            let mut stream = writer.stream_writer().map_err(failed)?;
            let mut row = Vec::new();
            for samples in samples.chunks(image.width as usize * image.channels.count()) {
                row.clear();
                row.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
                std::io::Write::write_all(&mut stream, &row).map_err(|error| Error::encode(NAME, error))?;
            }
            stream.finish().map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}
