//! Named lists of steps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Step, StepRequest};

/// A named list of steps with their strengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// What suits most pictures.
    #[default]
    Auto,
    /// Half of it.
    Gentle,
    /// All the evidence allows.
    Strong,
    /// Only what is quick: compression, fading.
    Quick,
    /// Everything that can be measured, sharpness too.
    Careful,
    /// For prints without colour.
    BlackAndWhite,
    /// For colour prints whose dyes have failed.
    #[serde(rename = "colour_print_1970s")]
    ColourPrint1970s,
    /// For pictures cut out of a newspaper or magazine.
    NewspaperClipping,
    /// Repaired and twice as large.
    #[serde(rename = "enlarge_2x")]
    Enlarge2x,
    /// Repaired and four times as large.
    #[serde(rename = "enlarge_4x")]
    Enlarge4x,
}

impl Preset {
    /// Every preset, the recommended one first.
    pub const ALL: [Self; 10] = [
        Self::Auto,
        Self::Gentle,
        Self::Strong,
        Self::Quick,
        Self::Careful,
        Self::BlackAndWhite,
        Self::ColourPrint1970s,
        Self::NewspaperClipping,
        Self::Enlarge2x,
        Self::Enlarge4x,
    ];

    /// Its name on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gentle => "gentle",
            Self::Strong => "strong",
            Self::Quick => "quick",
            Self::Careful => "careful",
            Self::BlackAndWhite => "black_and_white",
            Self::ColourPrint1970s => "colour_print_1970s",
            Self::NewspaperClipping => "newspaper_clipping",
            Self::Enlarge2x => "enlarge_2x",
            Self::Enlarge4x => "enlarge_4x",
        }
    }

    /// What a person calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Auto => "Automatic",
            Self::Gentle => "Gentle",
            Self::Strong => "Strong",
            Self::Quick => "Quick",
            Self::Careful => "Careful",
            Self::BlackAndWhite => "Black and white",
            Self::ColourPrint1970s => "Colour print 1970s",
            Self::NewspaperClipping => "Newspaper clipping",
            Self::Enlarge2x => "Enlarge x2",
            Self::Enlarge4x => "Enlarge x4",
        }
    }

    /// What it does, in a sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Auto => {
                "Measures what is wrong with the picture and repairs that: compression blocks, printing dots, scratches \
                 and dust, noise, colour blotches and fading. A picture with nothing wrong stays as it is."
            }
            Self::Gentle => "The same at half strength: keeps most of the grain and some of the patina.",
            Self::Strong => {
                "The same at full strength: the cleanest picture, at the cost of the finest texture."
            }
            Self::Quick => "Compression blocks and fading only: for looking through many pictures.",
            Self::Careful => {
                "Everything that can be measured, at a strength that keeps texture, and slight defocus undone."
            }
            Self::BlackAndWhite => {
                "For prints without colour: scratches and dust, grain, and blacks and whites brought back."
            }
            Self::ColourPrint1970s => {
                "For colour prints whose dyes have failed: fading at full strength, colour blotches, scratches and grain."
            }
            Self::NewspaperClipping => {
                "For pictures out of print: removes the screen of dots, then brings back blacks and whites."
            }
            Self::Enlarge2x => "Repairs compression and noise, then enlarges to twice the width and height.",
            Self::Enlarge4x => {
                "Repairs compression and noise, then enlarges to four times the width and height."
            }
        }
    }

    /// The steps in the order in which they belong, with their strengths.
    pub fn steps(self) -> Vec<StepRequest> {
        use Step::{Chroma, Deblock, Deblur, Denoise, Descreen, Fade, Inpaint, Upscale};
        let steps: &[(Step, f32)] = match self {
            Self::Auto => {
                &[(Deblock, 1.0), (Descreen, 1.0), (Inpaint, 1.0), (Denoise, 0.8), (Chroma, 0.8), (Fade, 1.0)]
            }
            Self::Gentle => {
                &[(Deblock, 0.6), (Descreen, 0.7), (Inpaint, 1.0), (Denoise, 0.5), (Chroma, 0.5), (Fade, 0.5)]
            }
            Self::Strong => {
                &[(Deblock, 1.0), (Descreen, 1.0), (Inpaint, 1.0), (Denoise, 1.0), (Chroma, 1.0), (Fade, 1.0)]
            }
            Self::Quick => &[(Deblock, 1.0), (Fade, 1.0)],
            Self::Careful => &[
                (Deblock, 0.8),
                (Descreen, 1.0),
                (Inpaint, 1.0),
                (Denoise, 0.6),
                (Chroma, 0.6),
                (Fade, 0.8),
                (Deblur, 0.7),
            ],
            Self::BlackAndWhite => &[(Deblock, 1.0), (Inpaint, 1.0), (Denoise, 0.7), (Fade, 1.0)],
            Self::ColourPrint1970s => {
                &[(Deblock, 1.0), (Inpaint, 1.0), (Denoise, 0.8), (Chroma, 1.0), (Fade, 1.0)]
            }
            Self::NewspaperClipping => &[(Deblock, 1.0), (Descreen, 1.0), (Denoise, 1.0), (Fade, 1.0)],
            Self::Enlarge2x => &[(Deblock, 1.0), (Denoise, 0.6), (Upscale, 1.0)],
            Self::Enlarge4x => &[(Deblock, 1.0), (Denoise, 0.6), (Upscale, 1.0), (Upscale, 1.0)],
        };
        steps.iter().map(|&(step, strength)| StepRequest { step, strength }).collect()
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A name that is no preset's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no preset named {0:?}")]
pub struct UnknownPreset(pub String);

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.as_str() == name)
            .ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}

/// The steps of a preset with some of them set by hand: a step that the preset has gets the strength given, another
/// one is added. Without a preset these are the steps given. Enlarging twice is not enlarging once, so that step is added
/// as often as it is named.
pub fn plan(preset: Option<Preset>, by_hand: &[StepRequest]) -> Vec<StepRequest> {
    let mut steps = preset.map(Preset::steps).unwrap_or_default();
    if by_hand.iter().any(|request| request.step == Step::Upscale) {
        steps.retain(|request| request.step != Step::Upscale);
    }
    for request in by_hand {
        if request.step == Step::Upscale {
            steps.push(*request);
            continue;
        }
        match steps.iter_mut().find(|known| known.step == request.step) {
            Some(known) => *known = *request,
            None => steps.push(*request),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_set_by_hand_win_over_the_preset() {
        let by_hand = [
            StepRequest { step: Step::Denoise, strength: 0.25 },
            StepRequest { step: Step::Deblur, strength: 0.5 },
        ];
        let steps = plan(Some(Preset::Auto), &by_hand);
        assert_eq!(steps.len(), 7);
        assert!(steps.contains(&by_hand[0]));
        assert!(steps.contains(&by_hand[1]));
        assert_eq!(plan(None, &by_hand), by_hand);
        let enlarge = StepRequest { step: Step::Upscale, strength: 1.0 };
        assert_eq!(plan(None, &[enlarge, enlarge]), [enlarge, enlarge]);
        assert!(
            !plan(Some(Preset::Enlarge4x), &[StepRequest { strength: 0.0, ..enlarge }]).contains(&enlarge)
        );
    }

    #[test]
    fn every_preset_is_read_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.as_str().parse::<Preset>(), Ok(preset));
            assert_eq!(serde_json::to_string(&preset).unwrap(), format!("\"{preset}\""));
        }
        assert!("best".parse::<Preset>().is_err());
    }
}
