//! Masks: PNG files of the size that a picture has when displayed, bright and opaque where it is damaged.

use super::Error;
use crate::engine::Mask;
use crate::imaging::{self, Channels, Format, Image, Limits, Options, Orientation, Samples};

/// Bytes of memory that reading a mask takes, from its header alone.
///
/// # Errors
/// [`Error::Mask`], [`Error::MaskFormat`], and [`Error::MaskSize`] unless it has the size of the displayed picture.
pub fn mask_bytes(mask: &[u8], displayed: (u32, u32)) -> Result<u64, Error> {
    let probe = imaging::probe_bytes(mask).map_err(Error::Mask)?;
    if probe.format != Format::Png {
        return Err(Error::MaskFormat { format: probe.format });
    }
    let (mask_width, mask_height) = probe.displayed_size();
    if (mask_width, mask_height) != displayed {
        let (width, height) = displayed;
        return Err(Error::MaskSize { mask_width, mask_height, width, height });
    }
    // Beside the decoded picture there are its damage and, while that is turned, a copy.
    Ok(probe.decode_bytes() + probe.pixels() * 2)
}

/// Checks that a mask can be read and has the size that a picture has when displayed. The caller holds
/// [`mask_bytes`] of the budget.
///
/// # Errors
/// [`Error::Mask`], [`Error::MaskFormat`], [`Error::MaskSize`].
pub fn check_mask(mask: &[u8], displayed: (u32, u32)) -> Result<(), Error> {
    read_mask(mask, displayed, Orientation::Normal).map(drop)
}

/// Reads a mask and turns it to where the stored pixels lie.
pub(in crate::restore) fn read_mask(
    file: &[u8],
    displayed: (u32, u32),
    orientation: Orientation,
) -> Result<Mask, Error> {
    mask_bytes(file, displayed)?;
    // As many pixels as the picture, which was judged.
    let limits = Limits { max_pixels: u64::MAX };
    let decoded = imaging::decode_bytes(file, &Options::held(limits)).map_err(Error::Mask)?;
    let upright = imaging::orient(damage(&decoded.image), decoded.orientation);
    let stored = imaging::orient(upright, inverse(orientation));
    let Samples::U8(samples) = stored.samples else {
        return Err(Error::Panicked("a mask has 8 bits".into()));
    };
    Ok(Mask { width: stored.width, height: stored.height, samples })
}

/// How bright and opaque each pixel is: people paint masks in white on black, and in any bright colour on nothing.
fn damage(image: &Image) -> Image {
    let channels = image.channels;
    let rate = |pixel: &[u32], full: u32| -> u8 {
        let brightest = pixel[..channels.colour_count()].iter().copied().max().unwrap_or(0);
        let alpha = if channels.has_alpha() { pixel[channels.count() - 1] } else { full };
        let rated = u64::from(brightest) * u64::from(alpha) * 255 / (u64::from(full) * u64::from(full));
        u8::try_from(rated).unwrap_or(u8::MAX)
    };
    let samples = match &image.samples {
        Samples::U8(samples) => rate_all(samples, channels, |pixel| rate(pixel, 255)),
        Samples::U16(samples) => rate_all(samples, channels, |pixel| rate(pixel, 65_535)),
    };
    Image {
        width: image.width,
        height: image.height,
        channels: Channels::Gray,
        samples: Samples::U8(samples),
    }
}

fn rate_all<T: Copy + Into<u32>>(samples: &[T], channels: Channels, rate: impl Fn(&[u32]) -> u8) -> Vec<u8> {
    let count = channels.count();
    let mut pixel = [0_u32; 4];
    samples
        .chunks_exact(count)
        .map(|samples| {
            for (sample, from) in pixel.iter_mut().zip(samples) {
                *sample = (*from).into();
            }
            rate(&pixel[..count])
        })
        .collect()
}

/// The turn that undoes another.
pub(super) const fn inverse(orientation: Orientation) -> Orientation {
    match orientation {
        Orientation::Rotate90 => Orientation::Rotate270,
        Orientation::Rotate270 => Orientation::Rotate90,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sentence;
    use super::*;
    use crate::imaging::EncodeOptions;

    #[test]
    fn what_is_bright_and_opaque_is_damaged() {
        let image = Image {
            width: 5,
            height: 1,
            channels: Channels::Rgba,
            samples: Samples::U8(vec![
                255, 255, 255, 255, // white
                255, 40, 40, 255, // a red brush
                255, 40, 40, 60, // hardly there
                0, 0, 0, 255, // black
                255, 255, 255, 0, // nothing
            ]),
        };
        let Samples::U8(rated) = damage(&image).samples else { panic!("8 bits") };
        assert_eq!(
            rated.iter().map(|sample| *sample >= 128).collect::<Vec<_>>(),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn masks_are_png_and_paid_for_by_what_they_hold() {
        let deep = Image {
            width: 40,
            height: 30,
            channels: Channels::Rgba,
            samples: Samples::U16(vec![65_535; 40 * 30 * 4]),
        };
        let file = imaging::encode(&deep, &EncodeOptions::new(Format::Png)).unwrap();
        let probe = imaging::probe_bytes(&file).unwrap();
        // Eight bytes per pixel as decoded, one that counts, and that one turned.
        assert_eq!(mask_bytes(&file, (40, 30)).unwrap(), probe.decode_bytes() + 40 * 30 * 2);
        assert!(probe.decode_bytes() > 40 * 30 * 8);
        assert!(check_mask(&file, (40, 30)).is_ok());
        for format in [Format::Tiff, Format::Webp, Format::Jpeg] {
            let channels = Channels::Rgb;
            let image = Image { width: 4, height: 3, channels, samples: Samples::U8(vec![255; 36]) };
            let file = imaging::encode(&image, &EncodeOptions::new(format)).unwrap();
            let error = check_mask(&file, (4, 3)).unwrap_err();
            assert!(matches!(error, Error::MaskFormat { .. }), "{error}");
            assert_eq!(error.code(), "bad-mask");
            assert_eq!(
                sentence(&error),
                format!("The mask is a {} picture, but masks are PNG.", format.name())
            );
        }
    }

    #[test]
    fn a_mask_is_turned_to_where_the_pixels_lie() {
        // Displayed 2 x 3, stored 3 x 2: what stands at the top left of the display is stored at the bottom left.
        let mask = Image {
            width: 2,
            height: 3,
            channels: Channels::Gray,
            samples: Samples::U8(vec![255, 0, 0, 0, 0, 0]),
        };
        let file = imaging::encode(&mask, &EncodeOptions::new(Format::Png)).unwrap();
        let turned = read_mask(&file, (2, 3), Orientation::Rotate90).unwrap();
        assert_eq!((turned.width, turned.height), (3, 2));
        assert_eq!(turned.samples, [0, 0, 0, 255, 0, 0]);
        assert!(matches!(check_mask(&file, (3, 2)), Err(Error::MaskSize { mask_width: 2, .. })));
    }
}
