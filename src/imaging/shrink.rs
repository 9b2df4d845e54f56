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
    /// Sums of the single columns of these rows, where there is no alpha.
    columns: Vec<u16>,
    rows_in_columns: usize,
    samples: Vec<u8>,
    out_height: usize,
}

/// Sums of so many samples fit into 16 bits.
const MAX_ROWS_IN_COLUMNS: usize = 257;

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
            columns: vec![0; width as usize * channels.count()],
            rows_in_columns: 0,
            samples: Vec::with_capacity(out_width * out_height * channels.count()),
            out_height,
        }
    }

    /// Takes the next row.
    pub(super) fn push(&mut self, row: &[u8]) {
        let count = self.channels.count();
        if self.channels.has_alpha() {
            let boxes = row.chunks(self.factor * count).zip(self.sums.chunks_exact_mut(count));
            boxes.for_each(|(pixels, sums)| {
                for pixel in pixels.chunks_exact(count) {
                    let alpha = u64::from(pixel[count - 1]);
                    for (sum, sample) in sums.iter_mut().zip(&pixel[..count - 1]) {
                        *sum += u64::from(*sample) * alpha;
                    }
                    sums[count - 1] += alpha;
                }
            });
        } else {
            // Downwards first, which the processor does for many columns at once.
            self.columns.iter_mut().zip(row).for_each(|(sum, sample)| *sum += u16::from(*sample));
            self.rows_in_columns += 1;
            if self.rows_in_columns == MAX_ROWS_IN_COLUMNS {
                self.fold();
            }
        }
        self.rows_in_box += 1;
        if self.rows_in_box == self.factor {
            self.fold();
            self.flush();
        }
    }

    /// Adds the sums of columns to those of boxes.
    fn fold(&mut self) {
        if self.rows_in_columns == 0 {
            return;
        }
        let count = self.channels.count();
        let boxes = self.columns.chunks(self.factor * count).zip(self.sums.chunks_exact_mut(count));
        for (columns, sums) in boxes {
            for pixel in columns.chunks_exact(count) {
                sums.iter_mut().zip(pixel).for_each(|(sum, column)| *sum += u64::from(*column));
            }
        }
        self.columns.fill(0);
        self.rows_in_columns = 0;
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
        self.fold();
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
            shrink.push(&row);
        }
        let image = shrink.finish();
        assert_eq!((image.width, image.height), (2, 2));
        assert_eq!(image.samples, Samples::U8(vec![25, 100, 6, 200]));
    }

    #[test]
    fn boxes_of_many_rows_do_not_overflow() {
        let mut shrink = BoxShrink::new(2, 700, Channels::Gray, 700);
        for _ in 0..700 {
            shrink.push(&[255, 255]);
        }
        assert_eq!(shrink.finish().samples, Samples::U8(vec![255]));
    }

    #[test]
    fn transparent_pixels_do_not_colour_their_neighbours() {
        let mut shrink = BoxShrink::new(2, 1, Channels::GrayAlpha, 2);
        shrink.push(&[200, 255, 0, 0]);
        assert_eq!(shrink.finish().samples, Samples::U8(vec![200, 128]));
    }
}
