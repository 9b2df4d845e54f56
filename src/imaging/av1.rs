//! Still pictures as AV1 codes them, read: what a coded picture claims before the decoder sees it, so that libaom gets no
//! more work than the file admits to (AV1 bitstream specification, section 5).

use super::bmff::{Bits, Bytes};
use super::error::Error;
use super::libaom;
use super::yuv::{Coding, Frame};

const NAME: &str = "AVIF";

/// Frames in one coded picture: more than one only where it comes in layers.
const MAX_FRAMES: usize = 8;

/// What stands in front of every coded picture (AV1 in ISO media files, 2.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Configuration {
    pub(super) bit_depth: u8,
    /// Whether there are no planes of colour.
    pub(super) is_gray: bool,
}

impl Configuration {
    /// Reads the content of an `av1C` box.
    pub(super) fn read(mut bytes: Bytes<'_>) -> Option<Self> {
        bytes.take(2)?;
        let flags = bytes.u8()?;
        let bit_depth = match (flags & 0x40 != 0, flags & 0x20 != 0) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        Some(Self { bit_depth, is_gray: flags & 0x10 != 0 })
    }
}

/// Decodes a coded picture that the file says to be of that size, and shows it with what it says about its colours.
pub(super) fn decode<T>(
    coded: &[u8],
    size: (u32, u32),
    show: impl FnOnce(&Frame<'_>, Coding) -> T,
) -> Result<T, Error> {
    check(coded, size)?;
    libaom::decode(coded, show)
}

/// Refuses what would decode to something larger, or more often, than announced.
fn check(coded: &[u8], (width, height): (u32, u32)) -> Result<(), Error> {
    let most = |side: u32| side.saturating_add(64);
    let mut rest = Bytes(coded);
    let mut frames = 0;
    let mut sequences = 0;
    while !rest.is_empty() {
        let (kind, unit) = next_unit(&mut rest).ok_or(Error::Truncated { format: NAME })?;
        match kind {
            1 => {
                let size =
                    largest_frame(unit).ok_or_else(|| Error::broken(NAME, "a header that makes no sense"))?;
                if size.0 > most(width) || size.1 > most(height) {
                    return Err(Error::broken(NAME, "the coded picture is of another size"));
                }
                sequences += 1;
            }
            // Headers of frames, and frames with theirs.
            3 | 6 | 7 => frames += 1,
            8 => return Err(Error::unsupported(NAME, "lists of tiles")),
            _ => {}
        }
    }
    if sequences == 0 {
        return Err(Error::broken(NAME, "a picture without a header"));
    }
    if frames > MAX_FRAMES || sequences > MAX_FRAMES {
        return Err(Error::unsupported(NAME, "very many frames"));
    }
    Ok(())
}

/// The next unit: its kind and what is in it.
fn next_unit<'a>(rest: &mut Bytes<'a>) -> Option<(u8, &'a [u8])> {
    let head = rest.u8()?;
    if head & 4 != 0 {
        rest.u8()?;
    }
    let length = if head & 2 != 0 {
        let mut length = 0_u64;
        for place in 0..8 {
            let byte = rest.u8()?;
            length |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        usize::try_from(length).ok()?
    } else {
        rest.0.len()
    };
    Some((head >> 3 & 15, rest.take(length)?))
}

/// The size that no frame of a sequence exceeds (5.5.1).
fn largest_frame(header: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(header);
    bits.skip(4)?;
    if bits.flag()? {
        bits.skip(5)?;
    } else {
        let mut model_bits = None;
        if bits.flag()? {
            bits.skip(64)?;
            if bits.flag()? {
                bits.golomb()?;
            }
            if bits.flag()? {
                model_bits = Some(bits.number(5)? as usize + 1);
                bits.skip(42)?;
            }
        }
        let has_delays = bits.flag()?;
        for _ in 0..=bits.number(5)? {
            bits.skip(12)?;
            if bits.number(5)? > 7 {
                bits.skip(1)?;
            }
            if let Some(model_bits) = model_bits
                && bits.flag()?
            {
                bits.skip(2 * model_bits + 1)?;
            }
            if has_delays && bits.flag()? {
                bits.skip(4)?;
            }
        }
    }
    let (width_bits, height_bits) = (bits.number(4)? as usize + 1, bits.number(4)? as usize + 1);
    Some((bits.number(width_bits)? + 1, bits.number(height_bits)? + 1))
}
