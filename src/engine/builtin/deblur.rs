use super::canvas::{Canvas, Sample, Ticker};
use super::{Known, Verdict};
use crate::engine::Error;

pub(super) fn run<T: Sample>(
    _canvas: &mut Canvas<'_, T>,
    _strength: f32,
    _known: &Known<'_>,
    _ticker: &Ticker<'_>,
) -> Result<Verdict, Error> {
    Ok(Verdict::skipped("Not measured."))
}
