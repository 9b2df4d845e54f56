//! AVIF: still pictures as AV1 codes them, in an ISO media file.

use avif_serialize::Aviffy;

use super::error::Error;
use super::libaom::{self, Frame};
use super::pixels::{Image, Samples};
use super::planes::Planes;

const NAME: &str = "AVIF";

/// Encodes planes of light and colour of half the size, with alpha as a gray picture of the size of light. Quality is that
/// of JPEG: equal numbers look about equally good.
pub(super) fn encode(
    planes: &Planes,
    alpha: Option<&Image>,
    quality: u8,
    exif: Option<Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    let (width, height) = (planes.light.width, planes.light.height);
    let half = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
    // Gray is coded with even colour: not every program reads pictures without.
    let even = vec![128; if planes.colour.is_some() { 0 } else { half }];
    let colour = match &planes.colour {
        Some([blue, red]) => [samples(blue)?, samples(red)?],
        None => [even.as_slice(), even.as_slice()],
    };
    let quantizer = 100_u8.saturating_sub(quality).min(63);
    let light = samples(&planes.light)?;
    let coded = libaom::encode(Frame { width, height, light, colour: Some(colour) }, quantizer)?;
    let alpha = match alpha {
        Some(alpha) => {
            let frame = Frame { width, height, light: samples(alpha)?, colour: None };
            // The edge of what is cut out shows every mistake.
            Some(libaom::encode(frame, quantizer / 3)?)
        }
        None => None,
    };
    let mut file = Aviffy::new();
    file.set_chroma_subsampling((true, true)).set_seq_profile(0).set_full_color_range(true);
    if let Some(exif) = exif {
        file.set_exif(exif);
    }
    Ok(file.to_vec(&coded, alpha.as_deref(), width, height, 8))
}

fn samples(plane: &Image) -> Result<&[u8], Error> {
    match &plane.samples {
        Samples::U8(samples) => Ok(samples),
        Samples::U16(_) => Err(Error::unsupported(NAME, "16 bits a sample")),
    }
}
