//! Pictures in planes of light and colour (JFIF: full range, BT.601), as JPEG, WebP and AVIF keep them. Staying in them
//! from decoder to encoder saves two conversions, and colour, which has fewer samples, is resized at its own size.

use super::effects;
use super::error::Error;
use super::orientation::{Orientation, orient};
use super::pixels::{Channels, Image, Samples};
use super::resize::{Area, resize_area};

/// A picture of which colour may have fewer samples than light.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    /// Light: a gray picture, which may be a little larger than the picture, being padded to whole blocks.
    pub(super) light: Image,
    /// Blue and red against light, of one size; absent in gray pictures.
    pub(super) colour: Option<[Image; 2]>,
    /// How many samples of light stand across and down for one of colour.
    pub(super) subsampling: (u32, u32),
}

/// How many samples of colour a resized picture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColourSize {
    /// As many as of light.
    Full,
    /// Half in both directions, the last one being partial where the size is odd.
    Half,
}

impl Planes {
    /// Makes a gray picture of one of the planes.
    pub(super) fn plane(width: u32, height: u32, samples: Vec<u8>) -> Image {
        Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples) }
    }

    /// Resizes a part to exactly that size, and turns it.
    pub(super) fn resized(
        &self,
        area: Area,
        width: u32,
        height: u32,
        size: ColourSize,
        turn: Orientation,
    ) -> Result<Self, Error> {
        let light = orient(resize_area(&self.light, area, width, height)?, turn);
        let Some(colour) = &self.colour else {
            return Ok(Self { light, colour: None, subsampling: (1, 1) });
        };
        let share = |whole: u32| match size {
            ColourSize::Full => (whole, 1),
            ColourSize::Half => (whole.div_ceil(2), 2),
        };
        let ((colour_width, step), (colour_height, _)) = (share(width), share(height));
        let mut covered = area;
        covered.width *= f64::from(colour_width * step) / f64::from(width);
        covered.height *= f64::from(colour_height * step) / f64::from(height);
        // Where turning makes the last column the first, the partial one has to be at the other end.
        let (across, down) = turn.runs_backwards();
        if across {
            covered.left -= covered.width - area.width;
        }
        if down {
            covered.top -= covered.height - area.height;
        }
        let (columns, rows) = (f64::from(self.subsampling.0), f64::from(self.subsampling.1));
        let covered = covered.scaled(1.0 / columns, 1.0 / rows);
        let resize =
            |plane: &Image| Ok(orient(resize_area(plane, covered, colour_width, colour_height)?, turn));
        let [blue, red] = colour;
        Ok(Self { light, colour: Some([resize(blue)?, resize(red)?]), subsampling: (step, step) })
    }

    /// Blurs all planes by a deviation in pixels of light.
    pub(super) fn blur(&mut self, sigma: f64) {
        blur_plane(&mut self.light, sigma);
        let sigma = sigma / f64::from(self.subsampling.0);
        self.colour.iter_mut().flatten().for_each(|plane| blur_plane(plane, sigma));
    }

    /// Sharpens light.
    pub(super) fn sharpen(&mut self, sigma: f64) {
        let (width, height) = (self.light.width as usize, self.light.height as usize);
        if let Samples::U8(samples) = &mut self.light.samples {
            effects::sharpen_plane(samples, width, height, sigma);
        }
    }

    /// Converts to RGB, or gray. Light and colour have to be of one size.
    pub(super) fn to_image(&self) -> Image {
        let Some([blue, red]) = &self.colour else { return self.light.clone() };
        let (Samples::U8(light), Samples::U8(blue), Samples::U8(red)) =
            (&self.light.samples, &blue.samples, &red.samples)
        else {
            return self.light.clone();
        };
        let mut samples = Vec::with_capacity(light.len() * 3);
        for ((light, blue), red) in light.iter().zip(blue).zip(red) {
            let (light, blue, red) = (i32::from(*light), i32::from(*blue) - 128, i32::from(*red) - 128);
            // In 65536ths.
            let rgb = [91_881 * red, -22_554 * blue - 46_802 * red, 116_130 * blue];
            samples.extend(rgb.map(|part| (light + ((part + 32_768) >> 16)).clamp(0, 255) as u8));
        }
        Image { channels: Channels::Rgb, samples: Samples::U8(samples), ..self.light }
    }

    /// Converts 8-bit RGB to planes with half of the colour; alpha is left out, gray has no colour.
    pub(super) fn of_image(image: &Image) -> Option<Self> {
        let Samples::U8(samples) = &image.samples else { return None };
        let count = image.channels.count();
        let (width, height) = (image.width, image.height);
        if image.channels.colour_count() == 1 {
            let light = samples.iter().step_by(count).copied().collect();
            return Some(Self {
                light: Self::plane(width, height, light),
                colour: None,
                subsampling: (1, 1),
            });
        }
        let mut light = Vec::with_capacity(samples.len() / count);
        let (mut blues, mut reds) = (Vec::new(), Vec::new());
        let stride = width as usize * count;
        for pair in samples.chunks(stride * 2) {
            light.extend(pair.chunks_exact(count).map(|pixel| {
                let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
                ((19_595 * red + 38_470 * green + 7_471 * blue + 32_768) >> 16) as u8
            }));
            let (first, second) = pair.split_at(stride);
            // The last row of an odd number stands for itself.
            let second = if second.is_empty() { first } else { second };
            for (upper, lower) in first.chunks(2 * count).zip(second.chunks(2 * count)) {
                let mut sums = [0_i32; 3];
                let pixels = upper.chunks_exact(count).chain(lower.chunks_exact(count));
                let mut found = 0;
                for pixel in pixels {
                    sums.iter_mut().zip(pixel).for_each(|(sum, sample)| *sum += i32::from(*sample));
                    found += 1;
                }
                let [red, green, blue] = sums.map(|sum| sum * 4 / found);
                // A quarter more than 65536ths, as four pixels were added.
                let part = |sum: i32| (((sum + 131_072) >> 18) + 128).clamp(0, 255) as u8;
                blues.push(part(-11_059 * red - 21_709 * green + 32_768 * blue));
                reds.push(part(32_768 * red - 27_439 * green - 5_329 * blue));
            }
        }
        let colour = [blues, reds].map(|samples| Self::plane(width.div_ceil(2), height.div_ceil(2), samples));
        Some(Self { light: Self::plane(width, height, light), colour: Some(colour), subsampling: (2, 2) })
    }
}

fn blur_plane(plane: &mut Image, sigma: f64) {
    if let Samples::U8(samples) = &mut plane.samples {
        effects::blur_plane(samples, plane.width as usize, plane.height as usize, sigma);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(width: u32, height: u32) -> Image {
        let samples = (0..height)
            .flat_map(|y| (0..width).flat_map(move |x| [40 + x * 3, 60 + y * 3, 200 - x - y]))
            .map(|sample| sample as u8)
            .collect();
        Image { width, height, channels: Channels::Rgb, samples: Samples::U8(samples) }
    }

    fn worst(a: &Image, b: &Image) -> u8 {
        let (Samples::U8(a), Samples::U8(b)) = (&a.samples, &b.samples) else { panic!("they have 8 bits") };
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    }

    /// There and back, in sizes that have partial samples of colour, turned in every way.
    #[test]
    fn colours_stay_in_their_place_however_the_picture_is_turned() {
        for (width, height) in [(40, 30), (41, 31), (33, 30)] {
            let image = colours(width, height);
            let planes = Planes::of_image(&image).expect("it has 8 bits");
            for turn in (1..=8).map(Orientation::from_exif) {
                let whole = Area { left: 0.0, top: 0.0, width: f64::from(width), height: f64::from(height) };
                let half = planes.resized(whole, width, height, ColourSize::Half, turn).expect("it fits");
                let (turned_width, turned_height) = turn.size(width, height);
                let whole = Area {
                    left: 0.0,
                    top: 0.0,
                    width: f64::from(turned_width),
                    height: f64::from(turned_height),
                };
                let full = half
                    .resized(whole, turned_width, turned_height, ColourSize::Full, Orientation::Normal)
                    .expect("it fits");
                let found = worst(&full.to_image(), &orient(image.clone(), turn));
                assert!(found <= 8, "{width} x {height} {turn:?}: {found}");
            }
        }
    }

    #[test]
    fn gray_has_no_colour() {
        let image = Planes::plane(5, 3, vec![9; 15]);
        let planes = Planes::of_image(&image).expect("it has 8 bits");
        assert!(planes.colour.is_none());
        assert_eq!(planes.to_image(), image);
    }
}
