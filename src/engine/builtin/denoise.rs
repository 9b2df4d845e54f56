//! Noise and film grain: measured as a spectrum, removed by the sliding DCT filter.

use super::canvas::{Canvas, Sample, Ticker};
use super::noise::{self, Spectrum};
use super::sliding::{self, Grid, PlaneFilter, Space};
use super::{Known, Verdict};
use crate::engine::Error;

/// Noise of the brightness below this is seen by nobody (standard deviation in the orthonormal space, where it is
/// larger than that of one channel by the root of three).
const VISIBLE: f32 = 2.5;
/// Less confidence than this is not worth touching the picture for.
const MIN_CONFIDENCE: f32 = 0.1;
/// First pass: coefficients below this many standard deviations are cut off.
const CUT: f32 = 2.7;

/// The noise of the planes that have any worth removing, and how sure that is.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    space: Space,
    noisy: [Option<(Spectrum, f32)>; 3],
}

/// Measures the noise of the whole picture.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    known: &Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let space = if canvas.has_colour() { Space::Opponent } else { Space::Gray };
    let spectra = noise::measure(canvas, space, known.mask.as_deref());
    ticker.check()?;
    let Some(luma) = &spectra[0] else {
        let why = "The picture is too small or too uniform to tell noise from detail.";
        return Ok((Verdict::skipped(why), None));
    };
    let evidence = |mut verdict: Verdict| {
        for (name, spectrum) in ["noise_luma", "noise_red_blue", "noise_green"].iter().zip(&spectra) {
            if let Some(spectrum) = spectrum {
                verdict = verdict.with(name, f64::from(spectrum.level));
            }
        }
        verdict.with("floor", f64::from(luma.floor))
    };
    // The brightness of a grey picture, on the scale that the sum of three channels has.
    let scale = if space == Space::Gray { 3f32.sqrt() } else { 1.0 };
    let confidence: [f32; 3] = std::array::from_fn(|plane| {
        spectra[plane].as_ref().map_or(0.0, |s| confidence(s.level * scale, plane, luma.floor))
    });
    let evidence = |verdict| evidence(verdict).with("confidence", f64::from(confidence[0]));
    let noisy: [Option<(Spectrum, f32)>; 3] = std::array::from_fn(|plane| {
        let spectrum = spectra[plane].clone()?;
        (confidence[plane] >= MIN_CONFIDENCE).then_some((spectrum, confidence[plane]))
    });
    if noisy.iter().all(Option::is_none) {
        let reason = if luma.level * scale < VISIBLE {
            "There is no visible noise or grain."
        } else {
            "What looks like noise is not the same everywhere, so it is taken for texture."
        };
        return Ok((evidence(Verdict::skipped(reason)), None));
    }
    let verdict = evidence(Verdict::applied(
        "There is noise or grain all over the picture; it was removed by its own spectrum.",
    ));
    Ok((verdict, Some(Plan { space, noisy })))
}

/// Removes the noise of a picture or of a part of it.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    plan: &Plan,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let filters: [Option<PlaneFilter>; 3] = std::array::from_fn(|plane| {
        let (spectrum, confidence) = plan.noisy[plane].as_ref()?;
        Some(plane_filter(spectrum, strength, plane, *confidence))
    });
    sliding::filter(canvas, plan.space, &filters, ticker)
}

/// How sure it is that a plane has noise that anyone sees, 0..=1.
fn confidence(level: f32, plane: usize, floor: f32) -> f32 {
    let visible = if plane == 0 { (level - VISIBLE) / 4.5 } else { (level - 1.5) / 2.0 };
    // Noise that was compressed as a JPEG file still shows 0.45; ground, bark and cloth that fill a picture show 0.37.
    let even = (floor - 0.38) / 0.07;
    visible.clamp(0.0, 1.0) * even.clamp(0.0, 1.0)
}

fn plane_filter(spectrum: &Spectrum, strength: f32, plane: usize, confidence: f32) -> PlaneFilter {
    let amount = if plane == 0 { strength } else { 1.125 * strength };
    let grain = if plane == 0 { 0.25 * (1.0 - strength) } else { 0.0 };
    PlaneFilter {
        threshold: spectrum.sigma.map(|s| CUT * s * amount),
        power: spectrum.sigma.map(|s| (s * amount) * (s * amount)),
        grid: if plane == 0 { Grid::Dense } else { Grid::Staggered },
        keep: 1.0 - confidence * (1.0 - grain),
    }
}
