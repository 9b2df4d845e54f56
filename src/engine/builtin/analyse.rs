//! What is wrong with a picture, in words, without changing it: each step measures and says what it would do.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::canvas::{Canvas, Sample, Ticker};
use super::{Known, STEPS, Verdict, quantisation};
use crate::engine::{Context, Error, JpegTables, Step, StepRequest};
use crate::imaging::{Image, Samples};

/// What was found out about a picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Analysis {
    /// What is wrong with it, in the order in which it would be repaired; nothing if it is in order.
    pub findings: Vec<Finding>,
}

impl Analysis {
    /// The steps that the findings ask for.
    pub fn steps(&self) -> Vec<StepRequest> {
        let request = |finding: &Finding| StepRequest { step: finding.step, strength: finding.strength };
        self.findings.iter().map(request).collect()
    }
}

/// One thing that is wrong with a picture, and what would be done about it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Finding {
    /// The step that would repair it.
    pub step: Step,
    /// How much of it, 0..=1.
    pub strength: f32,
    /// What was seen and what would be done, for a person.
    pub words: String,
    /// The measurements that this rests on, by name.
    pub evidence: BTreeMap<String, f64>,
}

/// Looks at a picture with the measures of the steps and says which of them it needs. The picture is taken over so
/// that no copy is made; it is not changed.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn analyse(mut image: Image, jpeg: Option<&JpegTables>, context: &Context) -> Result<Analysis, Error> {
    let (width, height, channels) = (image.width as usize, image.height as usize, image.channels);
    match &mut image.samples {
        Samples::U8(samples) => look(&Canvas { samples, width, height, channels }, jpeg, context),
        Samples::U16(samples) => look(&Canvas { samples, width, height, channels }, jpeg, context),
    }
}

fn look<T: Sample>(
    canvas: &Canvas<'_, T>,
    jpeg: Option<&JpegTables>,
    context: &Context,
) -> Result<Analysis, Error> {
    let jpeg_quality = jpeg.map(|tables| quantisation::quality(&tables.luma));
    let mut known = Known { jpeg, jpeg_quality, mask: None, repaired: false };
    let mut findings = Vec::new();
    let looked_at =
        STEPS.iter().filter(|info| !matches!(info.step, Step::LocalContrast | Step::Upscale)).enumerate();
    for (number, info) in looked_at {
        let ticker = Ticker::new(context, info.step, number as f32 / 7.0, 1.0 / 7.0, None);
        ticker.check()?;
        let strength = info.default_strength;
        let request = StepRequest { step: info.step, strength };
        let (verdict, _) = super::measure(canvas, request, &mut known, &ticker)?;
        ticker.finish();
        if verdict.applied {
            let words = words(info.step, &verdict);
            findings.push(Finding { step: info.step, strength, words, evidence: verdict.evidence });
        }
    }
    Ok(Analysis { findings })
}

/// What was seen and what would be done.
fn words(step: Step, verdict: &Verdict) -> String {
    let number = |name: &str| verdict.evidence.get(name).copied().unwrap_or_default();
    match step {
        Step::Deblock => format!(
            "The picture was compressed strongly (JPEG quality {:.0}): smooth its blocks and the ringing around edges.",
            number("jpeg_quality")
        ),
        Step::Descreen => format!(
            "It was printed with a screen of dots, {:.1} pixels apart: remove the dots.",
            number("period")
        ),
        Step::Inpaint => format!(
            "There are scratches or dust in {:.0} places, {:.1} % of the picture: fill them from what surrounds them.",
            number("found"),
            100.0 * number("marked_share")
        ),
        Step::Denoise => format!(
            "There is noise or grain of about {:.0} levels out of 255: take most of it out and keep the texture.",
            number("noise_luma").max(1.0)
        ),
        Step::Chroma => {
            "Colours are blotchy where the brightness is even: let them follow the brightness.".into()
        }
        Step::Fade => fading(verdict),
        _ => format!(
            "The edges are soft, about {:.1} pixels wide: undo the slight defocus.",
            number("blur_width")
        ),
    }
}

/// What is said about fading: of a print of one hue, or of colours and the cast that they have taken on.
fn fading(verdict: &Verdict) -> String {
    let ends = |name: &str| {
        let end = |side: &str| verdict.evidence.get(&format!("{name}_{side}")).copied();
        end("low").zip(end("high"))
    };
    if let Some((low, high)) = ends("luma") {
        let kept = if verdict.evidence.contains_key("hue_spread") {
            " The print is of one hue (sepia, or yellowed): some of that tone is kept."
        } else {
            ""
        };
        return format!(
            "Contrast has faded: brightness runs from {low:.0} to {high:.0} instead of 0 to 255. Bring back blacks and \
             whites.{kept}"
        );
    }
    let colours = ["red", "green", "blue"].map(|name| (name, ends(name).unwrap_or((0.0, 255.0))));
    let middle = |(_, (low, high)): &(&str, (f64, f64))| (low + high) / 2.0;
    let strongest = colours.iter().max_by(|a, b| middle(a).total_cmp(&middle(b)));
    let weakest = colours.iter().min_by(|a, b| middle(a).total_cmp(&middle(b)));
    let cast = match (strongest, weakest) {
        (Some(strongest), Some(weakest)) if middle(strongest) - middle(weakest) > 12.0 => {
            format!(" and there is a {} cast", strongest.0)
        }
        _ => String::new(),
    };
    format!("The colours have faded{cast}: bring back blacks, whites and the balance of the dyes.")
}
