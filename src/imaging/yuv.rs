//! From planes of light and colour, as films and their still sisters keep pixels, to red, green and blue (ITU-T H.273).

use super::pixels::{Channels, Image, Samples};

/// Samples of a plane, 8 bits each or more.
#[derive(Debug, Clone, Copy)]
pub(super) enum PlaneSamples<'a> {
    U8(&'a [u8]),
    U16(&'a [u16]),
}

/// A plane; rows are `stride` samples apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane<'a> {
    pub(super) samples: PlaneSamples<'a>,
    pub(super) stride: usize,
}

impl Plane<'_> {
    /// Whether there are that many rows of that many samples.
    fn holds(&self, width: usize, height: usize) -> bool {
        let length = match self.samples {
            PlaneSamples::U8(samples) => samples.len(),
            PlaneSamples::U16(samples) => samples.len(),
        };
        self.stride >= width && (height == 0 || (height - 1) * self.stride + width <= length)
    }

    fn row(&self, row: usize, width: usize, into: &mut Vec<f32>) {
        let start = row * self.stride;
        into.clear();
        match self.samples {
            PlaneSamples::U8(samples) => {
                into.extend(samples[start..start + width].iter().map(|sample| f32::from(*sample)));
            }
            PlaneSamples::U16(samples) => {
                into.extend(samples[start..start + width].iter().map(|sample| f32::from(*sample)));
            }
        }
    }
}

/// A decoded picture or a tile of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bits that are used of a sample, 8 to 16.
    pub(super) depth: u8,
    /// By how many halvings planes of colour are narrower and lower.
    pub(super) shifts: (u8, u8),
    pub(super) light: Plane<'a>,
    pub(super) colour: Option<[Plane<'a>; 2]>,
}

impl Frame<'_> {
    fn colour_size(&self) -> (usize, usize) {
        (self.width.div_ceil(1 << self.shifts.0), self.height.div_ceil(1 << self.shifts.1))
    }

    /// Whether planes and sizes agree.
    pub(super) fn is_sound(&self) -> bool {
        let (width, height) = self.colour_size();
        self.width > 0
            && self.height > 0
            && (8..=16).contains(&self.depth)
            && self.light.holds(self.width, self.height)
            && self.colour.is_none_or(|planes| planes.iter().all(|plane| plane.holds(width, height)))
    }
}

/// What the numbers in the planes mean, as H.273 counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) primaries: u16,
    pub(super) transfer: u16,
    pub(super) matrix: u16,
    pub(super) full_range: bool,
}

impl Coding {
    /// What still pictures mean that don't say: sRGB, in the planes of JPEG (ISO/IEC 23000-22).
    pub(super) const UNSAID: Self = Self { primaries: 1, transfer: 13, matrix: 6, full_range: true };

    /// The weights of red and blue in light.
    fn weights(self) -> (f32, f32) {
        match self.matrix {
            1 => (0.2126, 0.0722),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 | 10 => (0.2627, 0.0593),
            // By the primaries.
            12 | 13 => match self.primaries {
                1 => (0.2126, 0.0722),
                9 => (0.2627, 0.0593),
                11 | 12 => (0.228_97, 0.079_29),
                _ => (0.299, 0.114),
            },
            _ => (0.299, 0.114),
        }
    }
}

/// What a sample of a picture can be.
trait Sample: Copy {
    const FULL: f32;
    fn from_unit(value: f32) -> Self;
}

impl Sample for u8 {
    const FULL: f32 = 255.0;
    fn from_unit(value: f32) -> Self {
        // The cast holds to the ends of the range.
        (value * Self::FULL + 0.5) as Self
    }
}

impl Sample for u16 {
    const FULL: f32 = 65_535.0;
    fn from_unit(value: f32) -> Self {
        (value * Self::FULL + 0.5) as Self
    }
}

/// Which samples of the picture are painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// All but alpha.
    Colour,
    /// Alpha, from the light of the frame.
    Alpha,
}

/// Paints a frame into a picture, its upper left corner at a place that may lie outside; so may the rest. A frame whose
/// planes are too short is not painted.
pub(super) fn paint(image: &mut Image, frame: &Frame<'_>, coding: Coding, at: (i64, i64), target: Target) {
    if !frame.is_sound() {
        return;
    }
    let (width, channels) = (image.width as usize, image.channels);
    match &mut image.samples {
        Samples::U8(samples) => Painter { samples, width, channels, frame, coding, at, target }.paint(),
        Samples::U16(samples) => Painter { samples, width, channels, frame, coding, at, target }.paint(),
    }
}

struct Painter<'a, 'f, T> {
    samples: &'a mut [T],
    width: usize,
    channels: Channels,
    frame: &'a Frame<'f>,
    coding: Coding,
    at: (i64, i64),
    target: Target,
}

impl<T: Sample> Painter<'_, '_, T> {
    fn paint(self) {
        let frame = self.frame;
        let row_samples = self.width * self.channels.count();
        let height = self.samples.len() / row_samples.max(1);
        let clip = |start: i64, length: usize, limit: usize| {
            let first = (-start).max(0);
            let end = (limit as i64 - start).min(length as i64);
            (first < end).then_some((first as usize, end as usize))
        };
        let Some((left, right)) = clip(self.at.0, frame.width, self.width) else { return };
        let Some((top, bottom)) = clip(self.at.1, frame.height, height) else { return };
        let steps = f32::from(((1_u32 << frame.depth) - 1) as u16);
        // Studio range leaves room above and below.
        let unit = f32::from(1_u16 << (frame.depth - 8));
        let (black, light_scale, colour_scale) = if self.coding.full_range {
            (0.0, 1.0 / steps, 1.0 / steps)
        } else {
            (16.0 * unit, 1.0 / (219.0 * unit), 1.0 / (224.0 * unit))
        };
        let even = 128.0 * unit;
        let coding = self.coding;
        let mut rows = Rows::default();
        for row in top..bottom {
            frame.light.row(row, frame.width, &mut rows.light);
            let line = (self.at.1 + row as i64) as usize;
            let start = line * row_samples + (self.at.0 + left as i64) as usize * self.channels.count();
            let pixels = self.samples[start..start + (right - left) * self.channels.count()]
                .chunks_exact_mut(self.channels.count());
            let light = &rows.light[left..right];
            let alpha_at = self.channels.count() - 1;
            let colours = match (self.target, self.channels.colour_count(), frame.colour) {
                (Target::Alpha, ..) => {
                    for (pixel, light) in pixels.zip(light) {
                        pixel[alpha_at] = T::from_unit((light - black) * light_scale);
                    }
                    continue;
                }
                (_, 3, Some(planes)) => planes,
                (_, count, _) => {
                    for (pixel, light) in pixels.zip(light) {
                        pixel[..count].fill(T::from_unit((light - black) * light_scale));
                    }
                    continue;
                }
            };
            for (plane, index) in colours.iter().zip(0..) {
                rows.upsample(frame, plane, row, index);
            }
            let [blue, red] = &rows.colour;
            let pixels =
                pixels.zip(&rows.light[left..right]).zip(blue[left..right].iter().zip(&red[left..right]));
            match coding.matrix {
                // Green, blue and red as they are.
                0 => {
                    for ((pixel, green), (blue, red)) in pixels {
                        let value = |sample: f32| T::from_unit((sample - black) * light_scale);
                        (pixel[0], pixel[1], pixel[2]) = (value(*red), value(*green), value(*blue));
                    }
                }
                8 => {
                    for ((pixel, light), (green, orange)) in pixels {
                        let light = (light - black) * light_scale;
                        let (green, orange) = ((green - even) * colour_scale, (orange - even) * colour_scale);
                        let base = light - green;
                        pixel[0] = T::from_unit(base + orange);
                        pixel[1] = T::from_unit(light + green);
                        pixel[2] = T::from_unit(base - orange);
                    }
                }
                _ => {
                    let (of_red, of_blue) = coding.weights();
                    let of_green = 1.0 - of_red - of_blue;
                    let (from_red, from_blue) = (2.0 * (1.0 - of_red), 2.0 * (1.0 - of_blue));
                    let (green_red, green_blue) =
                        (of_red * from_red / of_green, of_blue * from_blue / of_green);
                    for ((pixel, light), (blue, red)) in pixels {
                        let light = (light - black) * light_scale;
                        let (blue, red) = ((blue - even) * colour_scale, (red - even) * colour_scale);
                        pixel[0] = T::from_unit(light + from_red * red);
                        pixel[1] = T::from_unit(light - green_red * red - green_blue * blue);
                        pixel[2] = T::from_unit(light + from_blue * blue);
                    }
                }
            }
        }
    }
}

/// Rows that are worked on, kept to be used again.
#[derive(Default)]
struct Rows {
    light: Vec<f32>,
    colour: [Vec<f32>; 2],
    near: Vec<f32>,
    far: Vec<f32>,
}

impl Rows {
    /// Spreads the row of colour that belongs to a row of light to its width: three parts of the nearest sample and one of
    /// the next, in each direction in which there is only half of them.
    fn upsample(&mut self, frame: &Frame<'_>, plane: &Plane<'_>, row: usize, index: usize) {
        let (width, height) = frame.colour_size();
        let (narrow, low) = (frame.shifts.0 > 0, frame.shifts.1 > 0);
        let at = row >> frame.shifts.1;
        plane.row(at, width, &mut self.near);
        if low {
            let next = if row % 2 == 1 { (at + 1).min(height - 1) } else { at.saturating_sub(1) };
            plane.row(next, width, &mut self.far);
            for (near, far) in self.near.iter_mut().zip(&self.far) {
                *near = 0.75 * *near + 0.25 * far;
            }
        }
        let spread = &mut self.colour[index];
        spread.clear();
        if !narrow {
            spread.extend_from_slice(&self.near);
            return;
        }
        let near = &self.near;
        for (at, sample) in near.iter().enumerate() {
            let before = near[at.saturating_sub(1)];
            let behind = near[(at + 1).min(width - 1)];
            spread.push(0.75 * sample + 0.25 * before);
            spread.push(0.75 * sample + 0.25 * behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(width: u32, height: u32, channels: Channels) -> Image {
        let samples = Samples::U8(vec![9; width as usize * height as usize * channels.count()]);
        Image { width, height, channels, samples }
    }

    fn flat(light: &[u16], blue: &[u16], red: &[u16], depth: u8, coding: Coding) -> Vec<u8> {
        let plane = |samples| Plane { samples: PlaneSamples::U16(samples), stride: 1 };
        let frame = Frame {
            width: 1,
            height: 1,
            depth,
            shifts: (0, 0),
            light: plane(light),
            colour: Some([plane(blue), plane(red)]),
        };
        let mut image = blank(1, 1, Channels::Rgb);
        paint(&mut image, &frame, coding, (0, 0), Target::Colour);
        let Samples::U8(samples) = image.samples else { panic!("8 bits") };
        samples
    }

    #[test]
    fn known_colours_come_out_of_every_range_and_matrix() {
        let full = Coding::UNSAID;
        let studio = Coding { full_range: false, ..full };
        let of_television = Coding { matrix: 1, full_range: false, ..full };
        assert_eq!(flat(&[255], &[128], &[128], 8, full), [255, 255, 255]);
        assert_eq!(flat(&[235], &[128], &[128], 8, studio), [255, 255, 255]);
        assert_eq!(flat(&[64], &[512], &[512], 10, studio), [0, 0, 0]);
        assert_eq!(flat(&[76], &[85], &[255], 8, full), [254, 0, 0]);
        assert_eq!(flat(&[63], &[102], &[240], 8, of_television), [255, 1, 0]);
        let exact = Coding { matrix: 0, ..full };
        assert_eq!(flat(&[20], &[30], &[10], 8, exact), [10, 20, 30]);
        let reversible = Coding { matrix: 8, ..full };
        assert_eq!(flat(&[100], &[128], &[128], 8, reversible), [100, 100, 100]);
    }

    #[test]
    fn what_lies_outside_is_not_painted() {
        let light = [200_u8; 16];
        let frame = Frame {
            width: 4,
            height: 4,
            depth: 8,
            shifts: (1, 1),
            light: Plane { samples: PlaneSamples::U8(&light), stride: 4 },
            colour: None,
        };
        let mut image = blank(3, 3, Channels::Gray);
        paint(&mut image, &frame, Coding::UNSAID, (-3, 2), Target::Colour);
        assert_eq!(image.samples, Samples::U8(vec![9, 9, 9, 9, 9, 9, 200, 9, 9]));
        for at in [(-4, 0), (3, 0), (0, -4), (0, 3), (i64::MAX, 0)] {
            paint(&mut image, &frame, Coding::UNSAID, at, Target::Colour);
        }
        let short = Frame { height: 5, ..frame };
        paint(&mut image, &short, Coding::UNSAID, (0, 0), Target::Colour);
        assert_eq!(image.samples, Samples::U8(vec![9, 9, 9, 9, 9, 9, 200, 9, 9]));
    }
}
