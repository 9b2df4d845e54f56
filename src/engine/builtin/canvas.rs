//! The picture being worked on: samples of either depth, taken apart into strips that are changed in place.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::engine::{Context, Error, Step};
use crate::imaging::Channels;

/// A sample of either depth, read as 0..=255 whatever its depth.
pub(super) trait Sample: Copy + Send + Sync + Default + PartialEq + 'static {
    /// The greatest value as an integer.
    const MAX: usize;

    /// The value on the scale of 0..=255.
    fn get(self) -> f32;

    /// The nearest value, clipped to the range.
    fn put(value: f32) -> Self;

    /// The value as an index.
    fn index(self) -> usize;
}

impl Sample for u8 {
    const MAX: usize = 255;

    #[inline(always)]
    fn get(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn put(value: f32) -> Self {
        // `as` saturates and turns NaN into 0.
        (value + 0.5) as Self
    }

    #[inline(always)]
    fn index(self) -> usize {
        usize::from(self)
    }
}

impl Sample for u16 {
    const MAX: usize = 65535;

    #[inline(always)]
    fn get(self) -> f32 {
        f32::from(self) / 257.0
    }

    #[inline(always)]
    fn put(value: f32) -> Self {
        (value * 257.0 + 0.5) as Self
    }

    #[inline(always)]
    fn index(self) -> usize {
        usize::from(self)
    }
}

/// A picture whose samples are changed in place.
pub(super) struct Canvas<'a, T> {
    /// Interleaved samples, row by row.
    pub(super) samples: &'a mut [T],
    /// In pixels.
    pub(super) width: usize,
    /// In pixels.
    pub(super) height: usize,
    /// What a pixel consists of.
    pub(super) channels: Channels,
}

/// Where a part of a picture begins in the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Column.
    pub(super) x: usize,
    /// Row.
    pub(super) y: usize,
}

/// Brightness of a pixel as JPEG and television weigh it, 0..=255.
#[inline(always)]
pub(super) fn luma_of<T: Sample>(pixel: &[T], colours: usize) -> f32 {
    if colours == 1 {
        pixel[0].get()
    } else {
        0.299 * pixel[0].get() + 0.587 * pixel[1].get() + 0.114 * pixel[2].get()
    }
}

impl<T: Sample> Canvas<'_, T> {
    /// Samples per pixel.
    pub(super) fn pixel_len(&self) -> usize {
        self.channels.count()
    }

    /// Whether there is more than brightness.
    pub(super) fn has_colour(&self) -> bool {
        self.channels.colour_count() == 3
    }

    /// Samples per row.
    pub(super) fn row_len(&self) -> usize {
        self.width * self.pixel_len()
    }

    /// The samples of a pixel.
    #[inline(always)]
    pub(super) fn pixel(&self, x: usize, y: usize) -> &[T] {
        let start = y * self.row_len() + x * self.pixel_len();
        &self.samples[start..start + self.pixel_len()]
    }

    /// Brightness of a pixel, 0..=255.
    #[inline(always)]
    pub(super) fn luma(&self, x: usize, y: usize) -> f32 {
        luma_of(self.pixel(x, y), self.channels.colour_count())
    }

    /// Calls `work` for every strip on all threads. A strip sees `halo` rows above and below it as they were before
    /// any strip was changed; only these are copied.
    ///
    /// # Errors
    /// [`Error::Cancelled`], looked at before every strip, and what `work` returns.
    pub(super) fn in_strips<S: Send>(
        &mut self,
        halo: usize,
        ticker: &Ticker<'_>,
        make_scratch: impl Fn() -> S + Send + Sync,
        work: impl Fn(&mut S, &mut Strip<'_, T>) -> Result<(), Error> + Send + Sync,
    ) -> Result<(), Error> {
        let rows = ticker.strip_rows.unwrap_or_else(|| strip_rows(self.width, self.height).max(halo)).max(1);
        let (row_len, height) = (self.row_len(), self.height);
        let strips = height.div_ceil(rows);
        // Around the boundary above strip i: the halo of the strip above it and of the strip below it.
        let saved: Vec<(usize, Vec<T>)> = (0..=strips)
            .into_par_iter()
            .map(|index| {
                let boundary = (index * rows).min(height);
                if halo == 0 || index == 0 || index == strips {
                    return (boundary, Vec::new());
                }
                let (start, end) = (boundary.saturating_sub(halo), (boundary + halo).min(height));
                (start, self.samples[start * row_len..end * row_len].to_vec())
            })
            .collect();
        ticker.expect(strips);
        let (width, channels) = (self.width, self.channels);
        self.samples.par_chunks_mut(rows * row_len).enumerate().try_for_each_init(
            &make_scratch,
            |scratch, (index, samples)| {
                ticker.check()?;
                let (above_start, above) = &saved[index];
                let (below_start, below) = &saved[index + 1];
                let start = index * rows;
                let mut strip = Strip {
                    start,
                    end: start + samples.len() / row_len,
                    height,
                    width,
                    channels,
                    samples,
                    above: (*above_start, above),
                    below: (*below_start, below),
                };
                work(scratch, &mut strip)?;
                ticker.advance();
                Ok(())
            },
        )
    }
}

/// Rows per strip: enough strips to keep all threads busy, enough rows that halos don't dominate, and no more
/// pixels than a few megabytes of scratch hold.
fn strip_rows(width: usize, height: usize) -> usize {
    let fair = height.div_ceil(rayon::current_num_threads() * 4);
    let bounded = (1 << 20) / width.max(1);
    fair.min(bounded).clamp(48, 256)
}

/// Some rows of a picture, to be changed in place, with what is around them.
pub(super) struct Strip<'a, T> {
    /// The first row, counted in the picture.
    pub(super) start: usize,
    /// One past the last row.
    pub(super) end: usize,
    /// Height of the picture.
    pub(super) height: usize,
    /// Width of the picture and the strip.
    pub(super) width: usize,
    /// What a pixel consists of.
    pub(super) channels: Channels,
    /// The rows from start to end.
    pub(super) samples: &'a mut [T],
    above: (usize, &'a [T]),
    below: (usize, &'a [T]),
}

impl<T: Sample> Strip<'_, T> {
    /// A row of the picture as it was before the step, for any `y`: beyond the edges the picture is mirrored. The
    /// row must lie within the halo, and rows of the strip itself must not have been written yet.
    pub(super) fn row(&self, y: isize) -> &[T] {
        let y = mirror(y, self.height);
        let len = self.width * self.channels.count();
        let (first, rows): (usize, &[T]) = if y < self.start {
            self.above
        } else if y >= self.end {
            self.below
        } else {
            (self.start, self.samples)
        };
        &rows[(y - first) * len..][..len]
    }

    /// A row of the strip, to be written.
    pub(super) fn row_mut(&mut self, y: usize) -> &mut [T] {
        let len = self.width * self.channels.count();
        &mut self.samples[(y - self.start) * len..][..len]
    }
}

/// Maps an index beyond the edges back into `0..len` by mirroring at the outermost samples.
pub(super) fn mirror(index: isize, len: usize) -> usize {
    let period = (2 * len as isize - 2).max(1);
    let index = index.rem_euclid(period) as usize;
    if index < len { index } else { period as usize - index }
}

/// Reports the progress of one step and notices a cancellation.
pub(super) struct Ticker<'a> {
    context: &'a Context,
    step: Step,
    done: f32,
    share: f32,
    expected: AtomicUsize,
    finished: AtomicUsize,
    last: Mutex<f32>,
    /// Rows of a strip where that is given; tests do.
    pub(super) strip_rows: Option<usize>,
}

impl<'a> Ticker<'a> {
    /// For a step that starts when `done` of the whole is done and takes `share` of it.
    pub(super) fn new(
        context: &'a Context,
        step: Step,
        done: f32,
        share: f32,
        strip_rows: Option<usize>,
    ) -> Self {
        context.progress.report(done.min(1.0), step);
        Self {
            context,
            step,
            done,
            share,
            expected: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            last: Mutex::new(done),
            strip_rows,
        }
    }

    /// # Errors
    /// [`Error::Cancelled`] once the context's token is cancelled.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.context.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Announces how many more parts of work there are.
    pub(super) fn expect(&self, parts: usize) {
        self.expected.fetch_add(parts, Ordering::Relaxed);
    }

    /// One part is done.
    pub(super) fn advance(&self) {
        let finished = self.finished.fetch_add(1, Ordering::Relaxed) + 1;
        let expected = self.expected.load(Ordering::Relaxed).max(finished);
        self.report(self.done + self.share * finished as f32 / expected as f32);
    }

    /// The step is done.
    pub(super) fn finish(&self) {
        self.report(self.done + self.share);
    }

    fn report(&self, fraction: f32) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if fraction > *last {
            *last = fraction;
            self.context.progress.report(fraction.min(1.0), self.step);
        }
    }
}
