//! The Fourier transform of square blocks, for what repeats: two real blocks at once, as the real and the imaginary
//! part of one.

use std::sync::LazyLock;

use multiversion::multiversion;

/// Side of a block; a power of two.
pub(super) const SIDE: usize = 64;
const STAGES: u32 = SIDE.trailing_zeros();

/// A block of complex numbers by rows.
pub(super) struct Block {
    pub(super) real: Vec<[f32; SIDE]>,
    pub(super) imaginary: Vec<[f32; SIDE]>,
}

impl Block {
    /// A block of zeros.
    pub(super) fn new() -> Self {
        Self { real: vec![[0.0; SIDE]; SIDE], imaginary: vec![[0.0; SIDE]; SIDE] }
    }

    /// Samples to frequencies: entry `[u][v]` belongs to the horizontal frequency `u` and the vertical `v`, counted in
    /// periods per block, the negative ones from the end.
    pub(super) fn forward(&mut self) {
        self.both_ways(1.0);
    }

    /// Frequencies as [`Self::forward`] leaves them to samples, [`SIDE`] squared times as large.
    pub(super) fn inverse(&mut self) {
        self.both_ways(-1.0);
    }

    fn both_ways(&mut self, sign: f32) {
        columns(&mut self.real, &mut self.imaginary, sign);
        transpose(&mut self.real);
        transpose(&mut self.imaginary);
        columns(&mut self.real, &mut self.imaginary, sign);
    }
}

/// Cosine and sine of the parts of a full turn.
static TURN: LazyLock<[(f32, f32); SIDE / 2]> = LazyLock::new(|| {
    std::array::from_fn(|index| {
        let angle = -2.0 * std::f64::consts::PI * index as f64 / SIDE as f64;
        (angle.cos() as f32, angle.sin() as f32)
    })
});

/// Transforms every column.
fn columns(real: &mut [[f32; SIDE]], imaginary: &mut [[f32; SIDE]], sign: f32) {
    for index in 0..SIDE {
        let reversed = index.reverse_bits() >> (usize::BITS - STAGES);
        if index < reversed {
            real.swap(index, reversed);
            imaginary.swap(index, reversed);
        }
    }
    butterflies(real, imaginary, sign, &TURN[..]);
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2", "x86_64+sse4.1"))]
fn butterflies(real: &mut [[f32; SIDE]], imaginary: &mut [[f32; SIDE]], sign: f32, turn: &[(f32, f32)]) {
    let mut half = 1;
    while half < SIDE {
        for start in (0..SIDE).step_by(2 * half) {
            for offset in 0..half {
                let (cosine, sine) = turn[offset * (SIDE / 2 / half)];
                let sine = sine * sign;
                let (above, below) = real.split_at_mut(start + offset + half);
                let (a, b) = (&mut above[start + offset], &mut below[0]);
                let (above, below) = imaginary.split_at_mut(start + offset + half);
                let (c, d) = (&mut above[start + offset], &mut below[0]);
                for x in 0..SIDE {
                    let (re, im) = (b[x] * cosine - d[x] * sine, b[x] * sine + d[x] * cosine);
                    (b[x], d[x]) = (a[x] - re, c[x] - im);
                    (a[x], c[x]) = (a[x] + re, c[x] + im);
                }
            }
        }
        half *= 2;
    }
}

fn transpose(block: &mut [[f32; SIDE]]) {
    for y in 0..SIDE {
        for x in y + 1..SIDE {
            let (above, below) = block.split_at_mut(x);
            std::mem::swap(&mut above[y][x], &mut below[0][y]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_one_frequency_and_comes_back() {
        let mut block = Block::new();
        for y in 0..SIDE {
            for x in 0..SIDE {
                let angle = 2.0 * std::f32::consts::PI * (5 * x + 3 * y) as f32 / SIDE as f32;
                block.real[y][x] = angle.cos();
                block.imaginary[y][x] = y as f32;
            }
        }
        let before = block.imaginary.clone();
        block.forward();
        // The cosine's share of the sum of both blocks; the ramp has none there.
        assert!((block.real[5][3] - 2048.0).abs() < 0.1, "{}", block.real[5][3]);
        assert!((block.real[SIDE - 5][SIDE - 3] - 2048.0).abs() < 0.1);
        block.inverse();
        for (row, wanted) in block.imaginary.iter().zip(&before) {
            for (value, wanted) in row.iter().zip(wanted) {
                assert!((value / (SIDE * SIDE) as f32 - wanted).abs() < 1e-3);
            }
        }
    }
}
