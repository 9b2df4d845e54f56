//! Changing the size of a picture: Lanczos with three lobes, in the pixels' own gamma, which is what every browser and
//! libvips do by default.

use fast_image_resize::images::{Image as Target, ImageRef};
use fast_image_resize::pixels::{U16, U16x2, U16x3, U16x4};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};

use super::error::Error;
use super::pixels::{Channels, Image, Samples};

/// A part of a picture in pixels, which may begin and end between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Resizes to exactly that size, at least 1 x 1; the sides' ratio is the caller's business.
///
/// # Errors
/// [`Error::Encode`] if the samples don't fit the picture's size, which is a mistake of the caller.
pub fn resize(image: &Image, width: u32, height: u32) -> Result<Image, Error> {
    let all = Area { left: 0.0, top: 0.0, width: f64::from(image.width), height: f64::from(image.height) };
    resize_area(image, all, width, height)
}

/// Resizes a part of the picture.
pub(super) fn resize_area(image: &Image, area: Area, width: u32, height: u32) -> Result<Image, Error> {
    let (width, height) = (width.max(1), height.max(1));
    let area = area.inside(image.width, image.height);
    if area.is_whole(image) && (width, height) == (image.width, image.height) {
        return Ok(image.clone());
    }
    let samples = match &image.samples {
        Samples::U8(samples) => {
            let kind = match image.channels {
                Channels::Gray => PixelType::U8,
                Channels::GrayAlpha => PixelType::U8x2,
                Channels::Rgb => PixelType::U8x3,
                Channels::Rgba => PixelType::U8x4,
            };
            let source = ImageRef::new(image.width, image.height, samples, kind).map_err(failed)?;
            let mut target = Target::new(width, height, kind);
            run(&source, &mut target, area)?;
            Samples::U8(target.into_vec())
        }
        Samples::U16(samples) => {
            let bytes = match image.channels {
                Channels::Gray => {
                    let pixels: Vec<_> = samples.iter().map(|sample| U16::new(*sample)).collect();
                    run16(image, &pixels, area, width, height)?
                }
                Channels::GrayAlpha => {
                    let pixels: Vec<_> =
                        samples.as_chunks().0.iter().map(|pixel| U16x2::new(*pixel)).collect();
                    run16(image, &pixels, area, width, height)?
                }
                Channels::Rgb => {
                    let pixels: Vec<_> =
                        samples.as_chunks().0.iter().map(|pixel| U16x3::new(*pixel)).collect();
                    run16(image, &pixels, area, width, height)?
                }
                Channels::Rgba => {
                    let pixels: Vec<_> =
                        samples.as_chunks().0.iter().map(|pixel| U16x4::new(*pixel)).collect();
                    run16(image, &pixels, area, width, height)?
                }
            };
            Samples::U16(bytes.as_chunks().0.iter().map(|bytes| u16::from_ne_bytes(*bytes)).collect())
        }
    };
    Ok(Image { width, height, channels: image.channels, samples })
}

fn run16<P: fast_image_resize::PixelTrait>(
    image: &Image,
    pixels: &[P],
    area: Area,
    width: u32,
    height: u32,
) -> Result<Vec<u8>, Error> {
    let source = ImageRef::from_pixels(image.width, image.height, pixels).map_err(failed)?;
    let mut target = Target::new(width, height, P::pixel_type());
    run(&source, &mut target, area)?;
    Ok(target.into_vec())
}

fn run(source: &ImageRef<'_>, target: &mut Target<'_>, area: Area) -> Result<(), Error> {
    let options = ResizeOptions::new().crop(area.left, area.top, area.width, area.height);
    Resizer::new().resize(source, target, &options).map_err(failed)
}

fn failed(error: impl ToString) -> Error {
    Error::encode("resized picture", error)
}

impl Area {
    /// The same part of a copy whose sides are that many times as long.
    pub(super) fn scaled(self, across: f64, down: f64) -> Self {
        Self {
            left: self.left * across,
            top: self.top * down,
            width: self.width * across,
            height: self.height * down,
        }
    }

    /// Moves what rounding put outside back into the picture.
    fn inside(self, width: u32, height: u32) -> Self {
        let clamp = |start: f64, length: f64, side: u32| {
            let side = f64::from(side);
            let end = (start + length).clamp(f64::MIN_POSITIVE, side);
            let start = start.clamp(0.0, (side - f64::EPSILON).max(0.0));
            (start, (end - start).max(f64::EPSILON))
        };
        let ((left, width), (top, height)) =
            (clamp(self.left, self.width, width), clamp(self.top, self.height, height));
        Self { left, top, width, height }
    }

    fn is_whole(self, image: &Image) -> bool {
        self == Self { left: 0.0, top: 0.0, width: f64::from(image.width), height: f64::from(image.height) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_pixel_can_be_resized() {
        for channels in [Channels::Gray, Channels::GrayAlpha, Channels::Rgb, Channels::Rgba] {
            let count = 8 * 6 * channels.count();
            for samples in [Samples::U8(vec![200; count]), Samples::U16(vec![51_400; count])] {
                let image = Image { width: 8, height: 6, channels, samples };
                let half = resize(&image, 4, 3).expect("it fits");
                assert_eq!((half.width, half.height, half.channels), (4, 3, channels));
                let near = match &half.samples {
                    Samples::U8(samples) => samples.iter().all(|sample| sample.abs_diff(200) <= 1),
                    Samples::U16(samples) => samples.iter().all(|sample| sample.abs_diff(51_400) <= 2),
                };
                assert!(near, "{channels:?} {:?}", half.samples);
            }
        }
    }

    #[test]
    fn a_line_of_one_pixel_can_be_resized() {
        let image = Image {
            width: 65_535,
            height: 1,
            channels: Channels::Gray,
            samples: Samples::U8(vec![9; 65_535]),
        };
        let small = resize(&image, 200, 1).expect("it fits");
        assert_eq!(small.samples, Samples::U8(vec![9; 200]));
    }
}
