//! The 8-point discrete cosine transform (type II, orthonormal; its transpose goes back), many at a time.
//!
//! Products and sums stay separate operations (never fused), so that every processor computes the same bits.

/// Transforms computed side by side: two AVX2 registers of single precision.
pub(super) const LANES: usize = 16;

/// One sample for each of the transforms that are computed side by side.
pub(super) type Lanes = [f32; LANES];

/// `1 / sqrt(8)`.
const C0: f32 = 0.353_553_39;
/// `cos(n pi / 16) / 2`.
const C1: f32 = 0.490_392_64;
const C2: f32 = 0.461_939_77;
const C3: f32 = 0.415_734_8;
const C5: f32 = 0.277_785_12;
const C6: f32 = 0.191_341_72;
const C7: f32 = 0.097_545_16;

/// Samples to frequencies, for each lane.
#[inline(always)]
pub(super) fn forward(x: &[Lanes; 8], y: &mut [Lanes; 8]) {
    for l in 0..LANES {
        let (s0, s1, s2, s3) = (x[0][l] + x[7][l], x[1][l] + x[6][l], x[2][l] + x[5][l], x[3][l] + x[4][l]);
        let (d0, d1, d2, d3) = (x[0][l] - x[7][l], x[1][l] - x[6][l], x[2][l] - x[5][l], x[3][l] - x[4][l]);
        let (t0, t1, t2, t3) = (s0 + s3, s1 + s2, s1 - s2, s0 - s3);
        y[0][l] = (t0 + t1) * C0;
        y[4][l] = (t0 - t1) * C0;
        y[2][l] = t3 * C2 + t2 * C6;
        y[6][l] = t3 * C6 - t2 * C2;
        y[1][l] = d0 * C1 + d1 * C3 + d2 * C5 + d3 * C7;
        y[3][l] = d0 * C3 - d1 * C7 - d2 * C1 - d3 * C5;
        y[5][l] = d0 * C5 - d1 * C1 + d2 * C7 + d3 * C3;
        y[7][l] = d0 * C7 - d1 * C5 + d2 * C3 - d3 * C1;
    }
}

/// Frequencies to samples, for each lane.
#[inline(always)]
pub(super) fn inverse(y: &[Lanes; 8], x: &mut [Lanes; 8]) {
    for l in 0..LANES {
        let (a, b) = ((y[0][l] + y[4][l]) * C0, (y[0][l] - y[4][l]) * C0);
        let (c, d) = (y[2][l] * C2 + y[6][l] * C6, y[2][l] * C6 - y[6][l] * C2);
        let (e0, e1, e2, e3) = (a + c, b + d, b - d, a - c);
        let (f1, f3, f5, f7) = (y[1][l], y[3][l], y[5][l], y[7][l]);
        let o0 = f1 * C1 + f3 * C3 + f5 * C5 + f7 * C7;
        let o1 = f1 * C3 - f3 * C7 - f5 * C1 - f7 * C5;
        let o2 = f1 * C5 - f3 * C1 + f5 * C7 + f7 * C3;
        let o3 = f1 * C7 - f3 * C5 + f5 * C3 - f7 * C1;
        x[0][l] = e0 + o0;
        x[7][l] = e0 - o0;
        x[1][l] = e1 + o1;
        x[6][l] = e1 - o1;
        x[2][l] = e2 + o2;
        x[5][l] = e2 - o2;
        x[3][l] = e3 + o3;
        x[4][l] = e3 - o3;
    }
}

/// A block of 8 x 8 for each lane.
pub(super) type Blocks = [[Lanes; 8]; 8];

/// Sets the block of one lane from its samples by row and column.
pub(super) fn fill_lane(blocks: &mut Blocks, lane: usize, mut sample: impl FnMut(usize, usize) -> f32) {
    for (v, row) in blocks.iter_mut().enumerate() {
        for (u, lanes) in row.iter_mut().enumerate() {
            lanes[lane] = sample(v, u);
        }
    }
}

/// Samples (row by row) to frequencies (entry `[v][u]`), in both directions, for each lane.
#[inline(always)]
pub(super) fn forward_blocks(blocks: &mut Blocks) {
    let mut out = [[0.0; LANES]; 8];
    for row in blocks.iter_mut() {
        forward(row, &mut out);
        *row = out;
    }
    for u in 0..8 {
        let column = std::array::from_fn(|v| blocks[v][u]);
        forward(&column, &mut out);
        for (row, lanes) in blocks.iter_mut().zip(&out) {
            row[u] = *lanes;
        }
    }
}

/// Frequencies to samples, in both directions, for each lane.
#[inline(always)]
pub(super) fn inverse_blocks(blocks: &mut Blocks) {
    let mut out = [[0.0; LANES]; 8];
    for u in 0..8 {
        let column = std::array::from_fn(|v| blocks[v][u]);
        inverse(&column, &mut out);
        for (row, lanes) in blocks.iter_mut().zip(&out) {
            row[u] = *lanes;
        }
    }
    for row in blocks.iter_mut() {
        inverse(row, &mut out);
        *row = out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_orthonormal_and_goes_back() {
        let x: [Lanes; 8] =
            std::array::from_fn(|i| std::array::from_fn(|l| ((i * 37 + l * 11) % 101) as f32));
        let mut y = [[0.0; LANES]; 8];
        let mut z = [[0.0; LANES]; 8];
        forward(&x, &mut y);
        inverse(&y, &mut z);
        for l in 0..LANES {
            let (mut before, mut after) = (0.0, 0.0);
            for i in 0..8 {
                before += x[i][l] * x[i][l];
                after += y[i][l] * y[i][l];
                assert!((x[i][l] - z[i][l]).abs() < 1e-3);
                let direct: f32 = (0..8)
                    .map(|n| {
                        let angle = std::f32::consts::PI * (2 * n + 1) as f32 * i as f32 / 16.0;
                        x[n][l] * angle.cos() * if i == 0 { C0 } else { 0.5 }
                    })
                    .sum();
                assert!((direct - y[i][l]).abs() < 1e-3);
            }
            assert!((before - after).abs() < before * 1e-5);
        }
    }
}
