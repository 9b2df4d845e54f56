//! JPEG blocks and ringing: the sliding DCT filter with thresholds from the quantisation tables, of the file itself
//! or read from the pixels.

use super::canvas::{Canvas, Sample, Ticker};
use super::sliding::{self, Grid, PlaneFilter, Space};
use super::{Known, Verdict, quantisation};
use crate::engine::{Error, JpegTables};

/// Above this quality nothing is seen of the compression.
const FINE: f32 = 85.0;
/// First pass: coefficients below this share of the quantisation step are cut off.
const CUT: f32 = 0.35;
/// Second pass: the error that quantisation made, as a share of the step. In theory it is 0.29 for coefficients that
/// were not rounded to zero; half of that measured best, because the smallest ones are right more often.
const ERROR: f32 = 0.15;

/// How the picture was compressed.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    tables: JpegTables,
}

/// Looks for traces of compression in the whole picture.
pub(super) fn measure<T: Sample>(
    canvas: &Canvas<'_, T>,
    known: &mut Known<'_>,
    ticker: &Ticker<'_>,
) -> Result<(Verdict, Option<Plan>), Error> {
    let mut verdict = Verdict::skipped("");
    let tables = match known.jpeg {
        Some(tables) => Some(tables.clone()),
        None => {
            let traces = quantisation::find(canvas);
            verdict =
                verdict.with("grid", f64::from(traces.grid)).with("steps_read", traces.steps_read as f64);
            traces.tables
        }
    };
    ticker.check()?;
    let Some(tables) = tables else {
        verdict.reason = "There are no traces of JPEG compression.".to_owned();
        return Ok((verdict, None));
    };
    let quality = quantisation::quality(&tables.luma);
    known.jpeg_quality = Some(quality);
    verdict = verdict.with("jpeg_quality", f64::from(quality));
    if quality >= FINE {
        verdict.reason = "The JPEG compression is too fine to be seen.".to_owned();
        return Ok((verdict, None));
    }
    verdict.applied = true;
    verdict.reason = if known.jpeg.is_some() {
        "The file's own tables show strong JPEG compression; its blocks were smoothed.".to_owned()
    } else {
        "The pixels show that the picture was once a strongly compressed JPEG file; its blocks were smoothed."
            .to_owned()
    };
    Ok((verdict, Some(Plan { tables })))
}

/// Smooths the blocks of a picture or of a part of it.
pub(super) fn apply<T: Sample>(
    canvas: &mut Canvas<'_, T>,
    Plan { tables }: &Plan,
    strength: f32,
    ticker: &Ticker<'_>,
) -> Result<(), Error> {
    let space = if canvas.has_colour() { Space::YCbCr } else { Space::Gray };
    let luma = plane_filter(&tables.luma.map(f32::from), strength, Grid::Dense);
    let chroma = tables.chroma.filter(|_| space == Space::YCbCr).map(|table| {
        let (across, down) =
            (usize::from(tables.chroma_scale.0.max(1)), usize::from(tables.chroma_scale.1.max(1)));
        // A block of the enlarged plane sees the lower frequencies of a block of the file.
        let table: [f32; 64] =
            std::array::from_fn(|i| f32::from(table[(i / 8 * down).min(7) * 8 + (i % 8 * across).min(7)]));
        plane_filter(&table, strength * 1.2, Grid::Dense)
    });
    sliding::filter(canvas, space, &[Some(luma), chroma.clone(), chroma], ticker)
}

fn plane_filter(table: &[f32; 64], strength: f32, grid: Grid) -> PlaneFilter {
    let cut = CUT * strength;
    let noise = ERROR * strength;
    PlaneFilter {
        threshold: std::array::from_fn(|i| if i == 0 { 0.0 } else { table[i] * cut }),
        power: std::array::from_fn(|i| if i == 0 { 0.0 } else { (table[i] * noise).powi(2) }),
        grid,
        keep: 0.0,
    }
}
