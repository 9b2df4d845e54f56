//! Still pictures as HEVC codes them (ITU-T H.265), one coded picture at a time: the decoder is `heic-rs`; here it is seen
//! to that it gets no more work than the file admits to.

use heic_rs::hevc::{ChromaFormat, decode_still};

use super::bmff::{Bits, Bytes};
use super::error::Error;
use super::yuv::{Frame, Plane, PlaneSamples};

const NAME: &str = "HEIC";

/// Slices of one picture; encoders of still pictures write one. They may overlap, and each costs a decoding.
const MAX_SLICES: usize = 32;

/// What stands in front of every coded picture (ISO/IEC 14496-15, 8.3.3).
pub(super) struct Configuration<'a> {
    pub(super) bit_depth: u8,
    /// Whether there are no planes of colour.
    pub(super) is_gray: bool,
    length_bytes: usize,
    parameter_sets: Vec<&'a [u8]>,
}

impl<'a> Configuration<'a> {
    /// Reads the content of an `hvcC` box.
    pub(super) fn read(mut bytes: Bytes<'a>) -> Option<Self> {
        bytes.take(16)?;
        let is_gray = bytes.u8()? & 3 == 0;
        let bit_depth = 8 + (bytes.u8()? & 7);
        bytes.take(3)?;
        let length_bytes = 1 + usize::from(bytes.u8()? & 3);
        let mut parameter_sets = Vec::new();
        for _ in 0..bytes.u8()? {
            let kind = bytes.u8()? & 0x3f;
            for _ in 0..bytes.u16()? {
                let length = bytes.u16()?;
                let unit = bytes.take(usize::from(length))?;
                // Parameters of the film, of the sequence, of the picture.
                if (32..=34).contains(&kind) {
                    parameter_sets.push(unit);
                }
            }
        }
        // They are looked up in this order.
        parameter_sets.sort_by_key(|unit| unit.first().map_or(0, |head| head >> 1 & 0x3f));
        Some(Self { bit_depth, is_gray, length_bytes, parameter_sets })
    }

    /// Whether no parameter set is for pictures larger than these, give or take a block.
    fn fits(&self, width: u32, height: u32) -> bool {
        let most = |side: u32| side.saturating_add(64);
        self.parameter_sets
            .iter()
            .filter(|unit| unit.first().is_some_and(|head| head >> 1 & 0x3f == 33))
            .all(|unit| coded_size(unit).is_some_and(|size| size.0 <= most(width) && size.1 <= most(height)))
    }
}

/// The size that a sequence's parameter set gives its pictures, before the edges are cut off (7.3.2.2).
fn coded_size(unit: &[u8]) -> Option<(u32, u32)> {
    // A 3 behind two zeros is there only so that nothing looks like a beginning.
    let (mut plain, mut zeros) = (Vec::new(), 0);
    for byte in unit.get(2..)?.iter().take(256) {
        if *byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    let mut bits = Bits::new(&plain);
    bits.skip(4)?;
    let layers = bits.number(3)?;
    bits.skip(1 + 88 + 8)?;
    let mut present = Vec::new();
    for _ in 0..layers {
        present.push((bits.flag()?, bits.flag()?));
    }
    if layers > 0 {
        bits.skip(2 * (8 - layers as usize))?;
    }
    for (profile, level) in present {
        bits.skip(usize::from(profile) * 88 + usize::from(level) * 8)?;
    }
    bits.golomb()?;
    if bits.golomb()? == 3 {
        bits.skip(1)?;
    }
    Some((bits.golomb()?, bits.golomb()?))
}

/// Decodes a coded picture that the file says to be of that size, and shows it.
pub(super) fn decode<T>(
    configuration: &Configuration<'_>,
    coded: &[u8],
    (width, height): (u32, u32),
    show: impl FnOnce(&Frame<'_>) -> T,
) -> Result<T, Error> {
    if !configuration.fits(width, height) {
        return Err(Error::broken(NAME, "the coded picture is of another size"));
    }
    let mut slices = Vec::new();
    let mut rest = Bytes(coded);
    while !rest.is_empty() {
        let length = rest.number(configuration.length_bytes).unwrap_or(u64::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let unit = rest.take(length).ok_or(Error::Truncated { format: NAME })?;
        let is_slice = unit.first().is_some_and(|head| head >> 1 & 0x3f < 32);
        if is_slice {
            slices.push(unit);
        }
        if slices.len() > MAX_SLICES {
            return Err(Error::unsupported(NAME, "very many slices"));
        }
    }
    let frame = decode_still(&configuration.parameter_sets, &slices).map_err(|error| match error {
        heic_rs::Error::Unsupported(what) => Error::unsupported(NAME, what),
        other => Error::broken(NAME, other),
    })?;
    let plane = |samples, stride: u32| Plane { samples: PlaneSamples::U16(samples), stride: stride as usize };
    let colour = (frame.chroma != ChromaFormat::Monochrome)
        .then(|| [plane(&frame.cb, frame.c_stride), plane(&frame.cr, frame.c_stride)]);
    let view = Frame {
        width: frame.width as usize,
        height: frame.height as usize,
        depth: frame.bit_depth,
        shifts: (frame.chroma.x_shift() as u8, frame.chroma.y_shift() as u8),
        light: plane(&frame.y, frame.y_stride),
        colour,
    };
    if !view.is_sound() {
        return Err(Error::broken(NAME, "planes of different sizes"));
    }
    Ok(show(&view))
}
