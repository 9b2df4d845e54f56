//! The sliding-window DCT filter that denoising and deblocking share: every block of 8 x 8 at every few pixels is
//! transformed, shrunk and put back, and what overlaps is averaged. Two passes: the first cuts off small
//! coefficients, the second is a Wiener filter that takes the first's result as its idea of the clean picture.
//!
//! How it is laid out: the picture is taken apart into planes of single precision. A row of a plane is kept as four
//! segments, one for each `x mod 4`, so that the same column of neighbouring blocks is contiguous and blocks can be
//! transformed [`LANES`] at a time. The vertical transform is shared by all blocks of a row of blocks; since the
//! transform is linear, overlapping blocks are added up before the vertical transform back, which is shared too.

use multiversion::multiversion;

use super::canvas::{Canvas, Sample, Strip, Ticker, mirror};
use super::dct::{self, LANES, Lanes};
use crate::engine::Error;

/// Pixels of padding on the left; the right has at least as many.
const PAD: usize = 8;
/// Rows that the result of a row depends on, above and below it.
const HALO: usize = 14;

/// The colour space in which a picture is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    /// Brightness alone.
    Gray,
    /// The orthonormal opponent space: sum, red against blue, green against both.
    Opponent,
    /// What JPEG uses.
    YCbCr,
}

impl Space {
    /// Number of planes.
    pub(super) fn planes(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }

    /// The planes' values at a pixel, of which the first colour samples are read.
    #[inline(always)]
    pub(super) fn split<T: Sample>(self, pixel: &[T]) -> [f32; 3] {
        match self {
            Self::Gray => [pixel[0].get(), 0.0, 0.0],
            Self::Opponent => {
                let (r, g, b) = (pixel[0].get(), pixel[1].get(), pixel[2].get());
                [
                    (r + g + b) * 0.577_350_3,
                    (r - b) * std::f32::consts::FRAC_1_SQRT_2,
                    (r - 2.0 * g + b) * 0.408_248_3,
                ]
            }
            Self::YCbCr => {
                let (r, g, b) = (pixel[0].get(), pixel[1].get(), pixel[2].get());
                [
                    0.299 * r + 0.587 * g + 0.114 * b,
                    -0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b,
                    0.5 * r - 0.418_687_6 * g - 0.081_312_41 * b,
                ]
            }
        }
    }

    /// Adds a difference in the planes to a pixel. No difference changes no sample.
    #[inline(always)]
    pub(super) fn add<T: Sample>(self, pixel: &mut [T], delta: [f32; 3]) {
        let [a, b, c] = delta;
        match self {
            Self::Gray => pixel[0] = T::put(pixel[0].get() + a),
            Self::Opponent => {
                let (sum, opposed, green) =
                    (a * 0.577_350_3, b * std::f32::consts::FRAC_1_SQRT_2, c * 0.408_248_3);
                pixel[0] = T::put(pixel[0].get() + (sum + opposed + green));
                pixel[1] = T::put(pixel[1].get() + (sum - 2.0 * green));
                pixel[2] = T::put(pixel[2].get() + (sum - opposed + green));
            }
            Self::YCbCr => {
                pixel[0] = T::put(pixel[0].get() + (a + 1.402 * c));
                pixel[1] = T::put(pixel[1].get() + (a - 0.344_136_3 * b - 0.714_136_3 * c));
                pixel[2] = T::put(pixel[2].get() + (a + 1.772 * b));
            }
        }
    }
}

/// Which blocks are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grid {
    /// Every second row and column.
    Dense,
    /// Every second row, every fourth column, shifted by two in every other of these rows.
    Staggered,
}

impl Grid {
    /// Offsets (mod 4) of the blocks in the row of blocks that starts at `y`; none if there are no blocks.
    fn offsets(self, y: isize) -> &'static [usize] {
        match (self, y.rem_euclid(4)) {
            (Self::Dense, 0 | 2) => &[0, 2],
            (Self::Staggered, 0) => &[0],
            (Self::Staggered, 2) => &[2],
            _ => &[],
        }
    }
}

/// How a plane is filtered. Matrices are indexed `8 * v + u` (vertical, horizontal frequency).
#[derive(Debug, Clone)]
pub(super) struct PlaneFilter {
    /// First pass: coefficients below this are cut off.
    pub(super) threshold: [f32; 64],
    /// Second pass: the expected power of what is to be removed.
    pub(super) power: [f32; 64],
    /// Which blocks are visited.
    pub(super) grid: Grid,
    /// Share of the removed difference that is put back, 0..=1.
    pub(super) keep: f32,
}

/// Where the pixels of a row are in a plane.
pub(super) struct Layout {
    segment: usize,
    blocks: usize,
    /// Source pixel for each position in a row of a plane.
    source: Vec<u32>,
    /// Position in a row of a plane for each pixel.
    position: Vec<u32>,
}

impl Layout {
    pub(super) fn new(width: usize) -> Self {
        let blocks = ((PAD + width - 1) / 4 + 1).next_multiple_of(LANES);
        let segment = blocks + 4;
        let source = (0..4 * segment)
            .map(|position| {
                let padded = 4 * (position % segment) + position / segment;
                mirror(padded as isize - PAD as isize, width) as u32
            })
            .collect();
        let position = (0..width).map(|x| ((x + PAD) % 4 * segment + (x + PAD) / 4) as u32).collect();
        Self { segment, blocks, source, position }
    }

    fn stride(&self) -> usize {
        4 * self.segment
    }
}

/// What a thread needs to filter a strip; kept from strip to strip.
#[derive(Default)]
struct Scratch {
    source: [Vec<f32>; 3],
    result: [Vec<f32>; 3],
    pilot: Vec<f32>,
    weights: Vec<f32>,
    rows: RowScratch,
}

#[derive(Default)]
struct RowScratch {
    noisy: Vec<f32>,
    pilot: Vec<f32>,
    sum: Vec<f32>,
}

/// Filters the planes that have a [`PlaneFilter`], in place.
///
/// # Errors
/// [`Error::Cancelled`].
pub(super) fn filter<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    space: Space,
    filters: &[Option<PlaneFilter>; 3],
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let layout = Layout::new(canvas.width);
    canvas.in_strips(HALO, ticker, Scratch::default, |scratch, strip| {
        load(strip, space, &layout, &mut scratch.source);
        let rows = strip.end - strip.start;
        for plane in 0..space.planes() {
            if let Some(filter) = &filters[plane] {
                ticker.check()?;
                let Scratch { source, result, pilot, weights, rows: row } = &mut *scratch;
                filter_plane(
                    &layout,
                    strip.start as isize,
                    rows,
                    filter,
                    (&source[plane], pilot, &mut result[plane]),
                    weights,
                    row,
                );
            }
        }
        store(strip, space, &layout, scratch, filters);
        Ok(())
    })
}

/// Fills the planes with the strip and its halo.
fn load<T: Sample>(strip: &Strip<'_, T>, space: Space, layout: &Layout, planes: &mut [Vec<f32>; 3]) {
    let stride = layout.stride();
    let rows = strip.end - strip.start + 2 * HALO;
    for plane in &mut planes[..space.planes()] {
        plane.resize(rows * stride, 0.0);
    }
    let pixel_len = strip.channels.count();
    for index in 0..rows {
        let row = strip.row(strip.start as isize + index as isize - HALO as isize);
        let span = index * stride..(index + 1) * stride;
        if space == Space::Gray {
            for (value, &x) in planes[0][span].iter_mut().zip(&layout.source) {
                *value = row[x as usize * pixel_len].get();
            }
        } else {
            let [a, b, c] = planes;
            let (a, b, c) = (&mut a[span.clone()], &mut b[span.clone()], &mut c[span]);
            for (position, &x) in layout.source.iter().enumerate() {
                let start = x as usize * pixel_len;
                [a[position], b[position], c[position]] = space.split(&row[start..start + 3]);
            }
        }
    }
}

/// A row of a plane before and after, and the share of the difference to apply.
type Change<'a> = (&'a [f32], &'a [f32], f32);

/// Adds what the filter changed to the samples of the strip.
fn store<T: Sample>(
    strip: &mut Strip<'_, T>,
    space: Space,
    layout: &Layout,
    scratch: &Scratch,
    filters: &[Option<PlaneFilter>; 3],
) {
    let stride = layout.stride();
    let pixel_len = strip.channels.count();
    let colours = strip.channels.colour_count();
    for y in strip.start..strip.end {
        let index = y - strip.start + HALO;
        let row = strip.row_mut(y);
        let span = index * stride..(index + 1) * stride;
        let planes: [Option<Change<'_>>; 3] = std::array::from_fn(|plane| {
            let filter = filters[plane].as_ref()?;
            Some((
                &scratch.source[plane][span.clone()],
                &scratch.result[plane][span.clone()],
                1.0 - filter.keep,
            ))
        });
        for (pixel, &position) in row.chunks_exact_mut(pixel_len).zip(&layout.position) {
            let position = position as usize;
            let delta = planes.map(|plane| match plane {
                Some((source, result, share)) => (result[position] - source[position]) * share,
                None => 0.0,
            });
            space.add(&mut pixel[..colours], delta);
        }
    }
}

/// Both passes over one plane. `result` and `pilot` get the rows that `source` has; only those of the strip itself
/// are meaningful in the result.
fn filter_plane(
    layout: &Layout,
    start: isize,
    rows: usize,
    filter: &PlaneFilter,
    (source, pilot, result): (&[f32], &mut Vec<f32>, &mut Vec<f32>),
    weights: &mut Vec<f32>,
    row: &mut RowScratch,
) {
    let stride = layout.stride();
    for buffer in [&mut *pilot, &mut *result, &mut *weights] {
        buffer.clear();
        buffer.resize(source.len(), 0.0);
    }
    for buffer in [&mut row.noisy, &mut row.pilot, &mut row.sum] {
        buffer.resize(8 * stride, 0.0);
    }
    let halo = HALO as isize;
    let mean_power = (filter.power.iter().sum::<f32>() / 64.0).max(1e-6);
    let relative: [f32; 64] = std::array::from_fn(|i| filter.power[i] / mean_power + 0.05);
    let block_span = |index: usize| index * stride..(index + 8) * stride;
    // The first row of blocks that touches a row needed by the second pass, to the last one.
    for index in 0..rows + 21 {
        let offsets = filter.grid.offsets(start + index as isize - halo);
        if !offsets.is_empty() {
            cut_off(
                (layout.segment, layout.blocks, offsets),
                &source[block_span(index)],
                (&filter.threshold, &relative),
                (&mut row.noisy, &mut row.sum),
                &mut pilot[block_span(index)],
                &mut weights[index * stride..(index + 1) * stride],
            );
        }
    }
    for index in 7..rows + 21 {
        average(
            &mut pilot[index * stride..(index + 1) * stride],
            &weights[(index - 7) * stride..(index + 1) * stride],
        );
    }
    weights.fill(0.0);
    for index in 7..rows + 14 {
        let offsets = filter.grid.offsets(start + index as isize - halo);
        if !offsets.is_empty() {
            wiener(
                (layout.segment, layout.blocks, offsets),
                (&source[block_span(index)], &pilot[block_span(index)]),
                (&filter.power, &relative),
                (&mut row.noisy, &mut row.pilot, &mut row.sum),
                &mut result[block_span(index)],
                &mut weights[index * stride..(index + 1) * stride],
            );
        }
    }
    for index in 14..rows + 14 {
        average(
            &mut result[index * stride..(index + 1) * stride],
            &weights[(index - 7) * stride..(index + 1) * stride],
        );
    }
}

/// Divides a row of sums by the sum of the weights of the eight rows of blocks that reach it.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn average(sums: &mut [f32], weights: &[f32]) {
    let stride = sums.len();
    for (start, chunk) in (0..stride).step_by(LANES).zip(sums.chunks_exact_mut(LANES)) {
        let mut total = [0.0f32; LANES];
        for row in 0..8 {
            let weights = &weights[row * stride + start..][..LANES];
            for l in 0..LANES {
                total[l] += weights[l];
            }
        }
        for l in 0..LANES {
            chunk[l] /= total[l].max(1e-20);
        }
    }
}

/// The vertical transform of a row of blocks: `out[v]` is row `v` of the frequencies.
#[inline(always)]
fn vertical_forward(source: &[f32], out: &mut [f32]) {
    let stride = source.len() / 8;
    let (mut x, mut y) = ([[0.0; LANES]; 8], [[0.0; LANES]; 8]);
    for start in (0..stride).step_by(LANES) {
        for (row, lanes) in x.iter_mut().enumerate() {
            lanes.copy_from_slice(&source[row * stride + start..][..LANES]);
        }
        dct::forward(&x, &mut y);
        for (row, lanes) in y.iter().enumerate() {
            out[row * stride + start..][..LANES].copy_from_slice(lanes);
        }
    }
}

/// Transforms the summed blocks back vertically, adds them to the eight rows and clears them.
#[inline(always)]
fn vertical_inverse(sum: &mut [f32], rows: &mut [f32]) {
    let stride = sum.len() / 8;
    let (mut x, mut y) = ([[0.0; LANES]; 8], [[0.0; LANES]; 8]);
    for start in (0..stride).step_by(LANES) {
        for (row, lanes) in y.iter_mut().enumerate() {
            let sum = &mut sum[row * stride + start..][..LANES];
            lanes.copy_from_slice(sum);
            sum.fill(0.0);
        }
        dct::inverse(&y, &mut x);
        for (row, lanes) in x.iter().enumerate() {
            let target = &mut rows[row * stride + start..][..LANES];
            for l in 0..LANES {
                target[l] += lanes[l];
            }
        }
    }
}

/// Where column `j` of the block at `offset + 4 * block` is in a row of a plane.
#[inline(always)]
fn column(segment: usize, offset: usize, block: usize, j: usize) -> usize {
    (offset + j) % 4 * segment + block + (offset + j) / 4
}

/// Takes one frequency row of neighbouring blocks and transforms it horizontally.
#[inline(always)]
fn horizontal_forward(row: &[f32], segment: usize, offset: usize, block: usize, out: &mut [Lanes; 8]) {
    let mut x = [[0.0; LANES]; 8];
    for (j, lanes) in x.iter_mut().enumerate() {
        lanes.copy_from_slice(&row[column(segment, offset, block, j)..][..LANES]);
    }
    dct::forward(&x, out);
}

/// Transforms back horizontally and adds to one frequency row of the sums.
#[inline(always)]
fn horizontal_inverse(row: &mut [f32], segment: usize, offset: usize, block: usize, y: &[Lanes; 8]) {
    let mut x = [[0.0; LANES]; 8];
    dct::inverse(y, &mut x);
    for (j, lanes) in x.iter().enumerate() {
        let target = &mut row[column(segment, offset, block, j)..][..LANES];
        for l in 0..LANES {
            target[l] += lanes[l];
        }
    }
}

/// First pass over one row of blocks.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn cut_off(
    (segment, blocks, offsets): (usize, usize, &[usize]),
    source: &[f32],
    (threshold, relative): (&[f32; 64], &[f32; 64]),
    (frequencies, sum): (&mut [f32], &mut [f32]),
    target: &mut [f32],
    weights: &mut [f32],
) {
    let stride = 4 * segment;
    vertical_forward(source, frequencies);
    let mut c = [[[0.0f32; LANES]; 8]; 8];
    for &offset in offsets {
        for block in (0..blocks).step_by(LANES) {
            let mut kept = [0.0f32; LANES];
            for v in 0..8 {
                horizontal_forward(
                    &frequencies[v * stride..(v + 1) * stride],
                    segment,
                    offset,
                    block,
                    &mut c[v],
                );
                for u in 0..8 {
                    let (threshold, relative) = (threshold[8 * v + u], relative[8 * v + u]);
                    let lanes = &mut c[v][u];
                    for l in 0..LANES {
                        let keep = lanes[l].abs() >= threshold;
                        lanes[l] = if keep { lanes[l] } else { 0.0 };
                        kept[l] += if keep { relative } else { 0.0 };
                    }
                }
            }
            let mut weight = [0.0f32; LANES];
            for l in 0..LANES {
                weight[l] = 1.0 / (kept[l] + 0.2);
            }
            put_back(&mut c, &weight, (segment, offset, block), sum, weights);
        }
    }
    vertical_inverse(sum, target);
}

/// Second pass over one row of blocks.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn wiener(
    (segment, blocks, offsets): (usize, usize, &[usize]),
    (source, pilot): (&[f32], &[f32]),
    (power, relative): (&[f32; 64], &[f32; 64]),
    (frequencies, pilot_frequencies, sum): (&mut [f32], &mut [f32], &mut [f32]),
    target: &mut [f32],
    weights: &mut [f32],
) {
    let stride = 4 * segment;
    vertical_forward(source, frequencies);
    vertical_forward(pilot, pilot_frequencies);
    let mut c = [[[0.0f32; LANES]; 8]; 8];
    let mut p = [[0.0f32; LANES]; 8];
    for &offset in offsets {
        for block in (0..blocks).step_by(LANES) {
            let mut kept = [0.0f32; LANES];
            for v in 0..8 {
                let row = v * stride..(v + 1) * stride;
                horizontal_forward(&frequencies[row.clone()], segment, offset, block, &mut c[v]);
                horizontal_forward(&pilot_frequencies[row], segment, offset, block, &mut p);
                for u in 0..8 {
                    let (power, relative) = (power[8 * v + u], relative[8 * v + u]);
                    let lanes = &mut c[v][u];
                    for l in 0..LANES {
                        let signal = p[u][l] * p[u][l];
                        let gain = signal / (signal + power + 1e-12);
                        lanes[l] *= gain;
                        kept[l] += gain * gain * relative;
                    }
                }
            }
            let mut weight = [0.0f32; LANES];
            for l in 0..LANES {
                weight[l] = 1.0 / (kept[l] + 0.2);
            }
            put_back(&mut c, &weight, (segment, offset, block), sum, weights);
        }
    }
    vertical_inverse(sum, target);
}

/// Weighs the blocks, transforms them back horizontally and adds them and their weights up.
#[inline(always)]
fn put_back(
    c: &mut dct::Blocks,
    weight: &Lanes,
    (segment, offset, block): (usize, usize, usize),
    sum: &mut [f32],
    weights: &mut [f32],
) {
    let stride = 4 * segment;
    for (v, row) in c.iter_mut().enumerate() {
        for lanes in row.iter_mut() {
            for l in 0..LANES {
                lanes[l] *= weight[l];
            }
        }
        horizontal_inverse(&mut sum[v * stride..(v + 1) * stride], segment, offset, block, row);
    }
    for j in 0..8 {
        let target = &mut weights[column(segment, offset, block, j)..][..LANES];
        for l in 0..LANES {
            target[l] += weight[l];
        }
    }
}
