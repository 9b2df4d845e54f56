//! Shrinking by a whole number while rows arrive, so that a big picture is never in memory: each box of pixels becomes
//! its average. The last boxes may be partial; whoever resizes afterwards has to use the exact size, which is
//! `size / factor`: taking the rounded one instead shifts the picture and costs 1.5 dB.

use super::pixels::{Channels, Image, Samples};

pub(super) struct BoxShrink {
    width: usize,
    channels: Channels,
    factor: usize,
    out_width: usize,
    /// Sums of the current row of boxes. Colour is weighted by alpha, so that what is transparent does not bleed.
    sums: Vec<u64>,
    rows_in_box: usize,
    samples: Vec<u8>,
    out_height: usize,
    row: Vec<u8>,
}

impl BoxShrink {
    pub(super) fn new(width: u32, height: u32, channels: Channels, factor: u32) -> Self {
        let out_width = width.div_ceil(factor) as usize;
        let out_height = height.div_ceil(factor) as usize;
        Self {
            width: width as usize,
            channels,
            factor: factor as usize,
            out_width,
            sums: vec![0; out_width * channels.count()],
            rows_in_box: 0,
            samples: Vec::with_capacity(out_width * out_height * channels.count()),
            out_height,
            row: Vec::with_capacity(width as usize * channels.count()),
        }
    }

    /// Takes the next row.
    pub(super) fn push(&mut self, row: impl Iterator<Item = u8>) {
        self.row.clear();
        self.row.extend(row);
        let count = self.channels.count();
        let boxes = self.row.chunks(self.factor * count).zip(self.sums.chunks_exact_mut(count));
        match self.channels {
            Channels::Gray => boxes.for_each(|(pixels, sums)| {
                sums[0] += pixels.iter().map(|sample| u64::from(*sample)).sum::<u64>();
            }),
            Channels::Rgb => boxes.for_each(|(pixels, sums)| {
                let (mut red, mut green, mut blue) = (0_u32, 0_u32, 0_u32);
                for pixel in pixels.chunks_exact(3) {
                    red += u32::from(pixel[0]);
                    green += u32::from(pixel[1]);
                    blue += u32::from(pixel[2]);
                }
                sums[0] += u64::from(red);
                sums[1] += u64::from(green);
                sums[2] += u64::from(blue);
            }),
            Channels::GrayAlpha | Channels::Rgba => boxes.for_each(|(pixels, sums)| {
                for pixel in pixels.chunks_exact(count) {
                    let alpha = u64::from(pixel[count - 1]);
                    for (sum, sample) in sums.iter_mut().zip(&pixel[..count - 1]) {
                        *sum += u64::from(*sample) * alpha;
                    }
                    sums[count - 1] += alpha;
                }
            }),
        }
        self.rows_in_box += 1;
        if self.rows_in_box == self.factor {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.rows_in_box == 0 {
            return;
        }
        let count = self.channels.count();
        for (index, sums) in self.sums.chunks_exact(count).enumerate() {
            let columns = self.factor.min(self.width - index * self.factor);
            let area = (columns * self.rows_in_box) as u64;
            if self.channels.has_alpha() {
                let alpha = sums[count - 1];
                for sum in &sums[..count - 1] {
                    self.samples.push((sum + alpha / 2).checked_div(alpha).unwrap_or(0) as u8);
                }
                self.samples.push(((alpha + area / 2) / area) as u8);
            } else {
                self.samples.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
            }
        }
        self.sums.fill(0);
        self.rows_in_box = 0;
    }

    /// The shrunk picture, after the last row.
    pub(super) fn finish(mut self) -> Image {
        self.flush();
        Image {
            width: self.out_width as u32,
            height: self.out_height as u32,
            channels: self.channels,
            samples: Samples::U8(self.samples),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_boxes_are_averages_of_what_they_hold() {
        let mut shrink = BoxShrink::new(3, 3, Channels::Gray, 2);
        for row in [[10, 20, 90], [30, 40, 110], [5, 7, 200]] {
            shrink.push(row.into_iter());
        }
        let image = shrink.finish();
        assert_eq!((image.width, image.height), (2, 2));
        assert_eq!(image.samples, Samples::U8(vec![25, 100, 6, 200]));
    }

    #[test]
    fn transparent_pixels_do_not_colour_their_neighbours() {
        let mut shrink = BoxShrink::new(2, 1, Channels::GrayAlpha, 2);
        shrink.push([200, 255, 0, 0].into_iter());
        assert_eq!(shrink.finish().samples, Samples::U8(vec![200, 128]));
    }
}
