//! Blurring and sharpening of small 8-bit pictures. Gaussian, in the pixels' own gamma as browsers and editors do it.

use super::pixels::{Image, Samples};

/// From here on three boxes are as good as the bell curve, and take the same time for every width.
const BOXES_FROM_SIGMA: f64 = 3.0;

/// Sharpening leaves differences alone that are smaller than this, in 256ths of a level: they are grain.
const GRAIN: i32 = 2 * 256;

/// It changes no pixel by more than this, in 256ths of a level: more is a white line.
const MOST_CHANGE: i32 = 48 * 256;

/// Samples in 256ths of a level, so that passing over them several times costs nothing that could be seen.
struct Wide {
    width: usize,
    height: usize,
    channels: usize,
    samples: Vec<u16>,
}

/// Blurs; `sigma` is the standard deviation in pixels. Pictures of 16 bits stay as they are.
pub(super) fn blur(image: &mut Image, sigma: f64) {
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels.count());
    let has_alpha = image.channels.has_alpha();
    let Samples::U8(samples) = &mut image.samples else { return };
    let mut wide = Wide { width, height, channels, samples: Vec::with_capacity(samples.len()) };
    if has_alpha {
        // Weighted by alpha, so that what is transparent does not bleed.
        for pixel in samples.chunks_exact(channels) {
            let alpha = u32::from(pixel[channels - 1]);
            let weighted = |sample: &u8| ((u32::from(*sample) * alpha * 256 + 127) / 255) as u16;
            wide.samples.extend(pixel[..channels - 1].iter().map(weighted));
            wide.samples.push((alpha << 8) as u16);
        }
    } else {
        wide.samples.extend(samples.iter().map(|sample| u16::from(*sample) << 8));
    }
    wide.blur(sigma);
    if has_alpha {
        for (pixel, wide) in samples.chunks_exact_mut(channels).zip(wide.samples.chunks_exact(channels)) {
            let alpha = u32::from(wide[channels - 1]);
            for (sample, wide) in pixel.iter_mut().zip(&wide[..channels - 1]) {
                let straight = (u32::from(*wide) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0);
                *sample = straight.min(255) as u8;
            }
            pixel[channels - 1] = level(alpha);
        }
    } else {
        samples.iter_mut().zip(&wide.samples).for_each(|(sample, wide)| *sample = level(u32::from(*wide)));
    }
}

/// Blurs a single channel.
pub(super) fn blur_plane(samples: &mut [u8], width: usize, height: usize, sigma: f64) {
    let wide = blurred(samples, width, height, sigma);
    samples.iter_mut().zip(&wide.samples).for_each(|(sample, wide)| *sample = level(u32::from(*wide)));
}

/// Sharpens what differs from its surroundings of `sigma` pixels. Only light changes, so that edges get no coloured
/// seams. Pictures of 16 bits stay as they are.
pub(super) fn sharpen(image: &mut Image, sigma: f64) {
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels.count());
    let colours = image.channels.colour_count();
    let Samples::U8(samples) = &mut image.samples else { return };
    let light: Vec<u8> = samples
        .chunks_exact(channels)
        .map(|pixel| match pixel {
            [red, green, blue, ..] if colours == 3 => {
                ((u32::from(*red) * 77 + u32::from(*green) * 150 + u32::from(*blue) * 29 + 128) >> 8) as u8
            }
            _ => pixel[0],
        })
        .collect();
    let changes = sharpening(&light, width, height, sigma);
    for (pixel, change) in samples.chunks_exact_mut(channels).zip(changes) {
        pixel[..colours].iter_mut().for_each(|sample| *sample = changed(*sample, change));
    }
}

/// Sharpens a single channel.
pub(super) fn sharpen_plane(samples: &mut [u8], width: usize, height: usize, sigma: f64) {
    let changes = sharpening(samples, width, height, sigma);
    samples.iter_mut().zip(changes).for_each(|(sample, change)| *sample = changed(*sample, change));
}

/// What has to be added to each pixel, in 256ths of a level.
fn sharpening(light: &[u8], width: usize, height: usize, sigma: f64) -> Vec<i16> {
    let soft = blurred(light, width, height, sigma);
    let difference = |(light, soft): (&u8, &u16)| {
        let difference = (i32::from(*light) << 8) - i32::from(*soft);
        let beyond_grain = (difference.abs() - GRAIN).clamp(0, MOST_CHANGE);
        (beyond_grain * difference.signum()) as i16
    };
    light.iter().zip(&soft.samples).map(difference).collect()
}

fn changed(sample: u8, change: i16) -> u8 {
    ((i32::from(sample) * 256 + i32::from(change) + 128) >> 8).clamp(0, 255) as u8
}

fn level(wide: u32) -> u8 {
    ((wide + 128) >> 8).min(255) as u8
}

fn blurred(samples: &[u8], width: usize, height: usize, sigma: f64) -> Wide {
    let samples = samples.iter().map(|sample| u16::from(*sample) << 8).collect();
    let mut wide = Wide { width, height, channels: 1, samples };
    wide.blur(sigma);
    wide
}

impl Wide {
    fn blur(&mut self, sigma: f64) {
        if self.samples.is_empty() {
            return;
        }
        if sigma < BOXES_FROM_SIGMA {
            let weights = bell(sigma);
            self.rows(|padded, row, channels| weigh_row(padded, row, channels, &weights), weights.len() / 2);
            self.columns_weighed(&weights);
        } else {
            for radius in box_radii(sigma) {
                self.rows(|padded, row, channels| average_row(padded, row, channels, radius), radius);
                self.columns_averaged(radius);
            }
        }
    }

    /// Works on every row, which it gets with `radius` more pixels at both ends, the last ones repeated.
    fn rows(&mut self, work: impl Fn(&[u16], &mut [u16], usize), radius: usize) {
        let channels = self.channels;
        let mut padded = Vec::new();
        for row in self.samples.chunks_exact_mut(self.width * channels) {
            padded.clear();
            for _ in 0..radius {
                padded.extend_from_slice(&row[..channels]);
            }
            padded.extend_from_slice(row);
            for _ in 0..radius {
                padded.extend_from_slice(&row[row.len() - channels..]);
            }
            work(&padded, row, channels);
        }
    }

    fn columns_weighed(&mut self, weights: &[u32]) {
        let stride = self.width * self.channels;
        let source = self.samples.clone();
        let radius = weights.len() / 2;
        let mut sums = vec![0_u32; stride];
        for (y, row) in self.samples.chunks_exact_mut(stride).enumerate() {
            sums.fill(1 << 15);
            for (index, weight) in weights.iter().enumerate() {
                let from = (y + index).saturating_sub(radius).min(self.height - 1);
                let from = &source[from * stride..][..stride];
                sums.iter_mut().zip(from).for_each(|(sum, sample)| *sum += weight * u32::from(*sample));
            }
            row.iter_mut().zip(&sums).for_each(|(sample, sum)| *sample = (sum >> 16) as u16);
        }
    }

    fn columns_averaged(&mut self, radius: usize) {
        let stride = self.width * self.channels;
        let source = self.samples.clone();
        let line = |y: usize| &source[y.min(self.height - 1) * stride..][..stride];
        let inverse = inverse(radius);
        let mut sums = vec![0_u32; stride];
        for y in 0..=2 * radius {
            let from = line(y.saturating_sub(radius));
            sums.iter_mut().zip(from).for_each(|(sum, sample)| *sum += u32::from(*sample));
        }
        for (y, row) in self.samples.chunks_exact_mut(stride).enumerate() {
            row.iter_mut().zip(&sums).for_each(|(sample, sum)| *sample = average(*sum, inverse));
            let (leaves, enters) = (line(y.saturating_sub(radius)), line(y + radius + 1));
            for ((sum, leaves), enters) in sums.iter_mut().zip(leaves).zip(enters) {
                *sum = *sum + u32::from(*enters) - u32::from(*leaves);
            }
        }
    }
}

fn weigh_row(padded: &[u16], row: &mut [u16], channels: usize, weights: &[u32]) {
    for (index, sample) in row.iter_mut().enumerate() {
        let window = padded[index..].iter().step_by(channels).zip(weights);
        let sum: u32 = window.map(|(sample, weight)| weight * u32::from(*sample)).sum();
        *sample = ((sum + (1 << 15)) >> 16) as u16;
    }
}

fn average_row(padded: &[u16], row: &mut [u16], channels: usize, radius: usize) {
    let inverse = inverse(radius);
    let pixels = row.len() / channels;
    for channel in 0..channels {
        let at = |pixel: usize| u32::from(padded[pixel * channels + channel]);
        let mut sum: u32 = (0..2 * radius).map(at).sum();
        for pixel in 0..pixels {
            sum += at(pixel + 2 * radius);
            row[pixel * channels + channel] = average(sum, inverse);
            sum -= at(pixel);
        }
    }
}

fn inverse(radius: usize) -> u64 {
    (1 << 32) / (2 * radius as u64 + 1)
}

fn average(sum: u32, inverse: u64) -> u16 {
    ((u64::from(sum) * inverse + (1 << 31)) >> 32) as u16
}

/// The bell curve in 65536ths, whose sum is exactly one.
fn bell(sigma: f64) -> Vec<u32> {
    let radius = (sigma * 3.0).ceil().max(1.0) as i32;
    let curve: Vec<f64> =
        (-radius..=radius).map(|x| (-f64::from(x * x) / (2.0 * sigma * sigma)).exp()).collect();
    let total: f64 = curve.iter().sum();
    let mut weights: Vec<u32> = curve.iter().map(|weight| (weight / total * 65_536.0) as u32).collect();
    let missing = 65_536 - weights.iter().sum::<u32>();
    weights[radius as usize] += missing;
    weights
}

/// Half widths of three boxes that make a bell curve of that deviation together.
fn box_radii(sigma: f64) -> [usize; 3] {
    let variance = 12.0 * sigma * sigma;
    let mut narrow = (variance / 3.0 + 1.0).sqrt().floor() as usize;
    narrow -= usize::from(narrow.is_multiple_of(2));
    let width = narrow as f64;
    let narrow_ones = ((variance - 3.0 * width * width - 12.0 * width - 9.0) / (-4.0 * width - 4.0)).round();
    [0, 1, 2].map(|index| narrow / 2 + usize::from(f64::from(index) >= narrow_ones))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Channels;

    fn gray(width: u32, height: u32, at: impl Fn(u32, u32) -> u8) -> Image {
        let samples = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| at(x, y));
        Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples.collect()) }
    }

    fn blurred(mut image: Image, sigma: f64) -> Image {
        blur(&mut image, sigma);
        image
    }

    fn sharpened(mut image: Image, sigma: f64) -> Image {
        sharpen(&mut image, sigma);
        image
    }

    fn samples(image: &Image) -> &[u8] {
        let Samples::U8(samples) = &image.samples else { panic!("it has 8 bits") };
        samples
    }

    #[test]
    fn a_blurred_edge_is_as_wide_as_was_asked() {
        for sigma in [0.3, 1.0, 2.9, 3.0, 5.5, 20.0, 60.0] {
            for vertical in [false, true] {
                let edge = gray(400, 400, |x, y| if (if vertical { y } else { x }) < 200 { 0 } else { 255 });
                let soft = blurred(edge, sigma);
                // One deviation beyond the edge lies at 84 per cent.
                let at = (200.0 + sigma - 0.5).round() as usize;
                let share = |at: usize| {
                    let index = if vertical { at * 400 + 77 } else { 77 * 400 + at };
                    f64::from(samples(&soft)[index]) / 255.0
                };
                let exact = (at as f64 + 0.5 - 200.0) / sigma;
                let expected = 0.5 + 0.5 * erf(exact / std::f64::consts::SQRT_2);
                let tolerance = if sigma < 1.0 { 0.06 } else { 0.02 };
                assert!((share(at) - expected).abs() < tolerance, "{sigma}: {} {expected}", share(at));
            }
        }
    }

    /// Abramowitz and Stegun 7.1.26.
    fn erf(x: f64) -> f64 {
        let t = 1.0 / (1.0 + 0.327_591_1 * x);
        let series = t
            * (0.254_829_592
                + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
        1.0 - series * (-x * x).exp()
    }

    #[test]
    fn an_even_colour_stays_what_it_is() {
        for channels in [Channels::Gray, Channels::GrayAlpha, Channels::Rgb, Channels::Rgba] {
            for sigma in [0.3, 2.0, 7.0, 400.0] {
                for (width, height) in [(1, 1), (1, 30), (30, 1), (17, 9)] {
                    let pixel = [200_u8, 100, 50, 128];
                    let pixel = &pixel[4 - channels.count()..];
                    let samples = Samples::U8(pixel.repeat(width as usize * height as usize));
                    let image = Image { width, height, channels, samples };
                    assert_eq!(blurred(image.clone(), sigma), image, "{channels:?} {sigma}");
                    assert_eq!(sharpened(image.clone(), sigma), image, "{channels:?} {sigma}");
                }
            }
        }
    }

    #[test]
    fn what_is_transparent_does_not_bleed() {
        let pixels = [[200, 0, 0, 255], [0, 255, 0, 0]].map(|pixel| pixel.repeat(8));
        let image =
            Image { width: 16, height: 1, channels: Channels::Rgba, samples: Samples::U8(pixels.concat()) };
        let soft = blurred(image, 2.0);
        let middle = &samples(&soft)[32..36];
        assert!(middle[0] > 195 && middle[1] < 5 && (60..200).contains(&middle[3]), "{middle:?}");
    }

    #[test]
    fn sharpening_steepens_edges_and_leaves_grain_alone() {
        let ramp = gray(40, 20, |x, _| {
            if x < 18 {
                80
            } else if x > 21 {
                160
            } else {
                (x - 17) as u8 * 16 + 80
            }
        });
        let sharp = sharpened(ramp.clone(), 1.5);
        let slope = |image: &Image| i32::from(samples(image)[200 + 22]) - i32::from(samples(image)[200 + 17]);
        assert!(slope(&sharp) > slope(&ramp) + 5);
        let grain = gray(40, 20, |x, y| 128 + ((x ^ y) & 1) as u8 * 2);
        assert_eq!(sharpened(grain.clone(), 1.5), grain);
    }
}
