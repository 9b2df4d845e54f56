//! Noise and film grain: measured as a spectrum, removed by the sliding DCT filter.

use super::canvas::{Canvas, Sample, Ticker};
use super::noise::{self, Spectrum};
use super::sliding::{self, Grid, PlaneFilter, Space};
use super::{Known, Verdict};
use crate::engine::Error;

/// Noise below this (standard deviation, 0..=255) is left alone.
const FLOOR: f32 = 0.8;
/// First pass: coefficients below this many standard deviations are cut off.
const CUT: f32 = 2.5;

pub(super) fn run<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    strength: f32,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<Verdict, Error> {
    let space = if canvas.has_colour() { Space::Opponent } else { Space::Gray };
    let spectra = noise::measure(canvas, space, known.mask);
    ticker.check()?;
    let Some(luma) = &spectra[0] else {
        return Ok(Verdict::skipped("The picture is too small or too uniform to tell noise from detail."));
    };
    let evidence = |mut verdict: Verdict| {
        for (name, spectrum) in ["noise_luma", "noise_red_blue", "noise_green"].iter().zip(&spectra) {
            if let Some(spectrum) = spectrum {
                verdict = verdict.with(name, f64::from(spectrum.level));
            }
        }
        verdict.with("floor", f64::from(luma.floor)).with("spread", f64::from(luma.spread))
    };
    let filters: [Option<PlaneFilter>; 3] = std::array::from_fn(|plane| {
        let spectrum = spectra[plane].as_ref()?;
        plane_filter(spectrum, strength, plane)
    });
    if filters.iter().all(Option::is_none) {
        return Ok(evidence(Verdict::skipped("There is no visible noise or grain.")));
    }
    sliding::filter(canvas, space, &filters, ticker)?;
    Ok(evidence(Verdict::applied("Noise removed.")))
}

fn plane_filter(spectrum: &Spectrum, strength: f32, plane: usize) -> Option<PlaneFilter> {
    let amount = strength * 1.25 * if plane == 0 { 1.0 } else { 1.25 };
    if spectrum.level < FLOOR {
        return None;
    }
    Some(PlaneFilter {
        threshold: spectrum.sigma.map(|s| CUT * s * amount),
        power: spectrum.sigma.map(|s| (s * amount) * (s * amount)),
        grid: if plane == 0 { Grid::Dense } else { Grid::Staggered },
        keep: if plane == 0 { 0.25 * (1.0 - strength) } else { 0.0 },
    })
}
