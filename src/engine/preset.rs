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
}

impl Preset {
    /// Every preset, the recommended one first.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Gentle, Self::Strong];

    /// Its name on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Gentle => "gentle",
            Self::Strong => "strong",
        }
    }

    /// What a person calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Auto => "Automatic",
            Self::Gentle => "Gentle",
            Self::Strong => "Strong",
        }
    }

    /// What it does, in a sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Auto => {
                "Measures what is wrong with the picture and repairs that: compression blocks, marked damage, noise, \
                 colour blotches and fading. A picture with nothing wrong stays as it is."
            }
            Self::Gentle => "The same at half strength: keeps most of the grain and some of the patina.",
            Self::Strong => {
                "The same at full strength: the cleanest picture, at the cost of the finest texture."
            }
        }
    }

    /// The steps in the order in which they belong, with their strengths.
    pub fn steps(self) -> Vec<StepRequest> {
        let [deblock, inpaint, denoise, chroma, fade] = match self {
            Self::Auto => [1.0, 1.0, 0.8, 0.8, 1.0],
            Self::Gentle => [0.6, 1.0, 0.5, 0.5, 0.5],
            Self::Strong => [1.0; 5],
        };
        vec![
            StepRequest { step: Step::Deblock, strength: deblock },
            StepRequest { step: Step::Inpaint, strength: inpaint },
            StepRequest { step: Step::Denoise, strength: denoise },
            StepRequest { step: Step::Chroma, strength: chroma },
            StepRequest { step: Step::Fade, strength: fade },
        ]
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
/// one is added. Without a preset these are the steps given.
pub fn plan(preset: Option<Preset>, by_hand: &[StepRequest]) -> Vec<StepRequest> {
    let mut steps = preset.map(Preset::steps).unwrap_or_default();
    for request in by_hand {
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
        assert_eq!(steps.len(), 6);
        assert!(steps.contains(&by_hand[0]));
        assert!(steps.contains(&by_hand[1]));
        assert_eq!(plan(None, &by_hand), by_hand);
    }

    #[test]
    fn every_preset_is_read_by_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.as_str().parse::<Preset>(), Ok(preset));
        }
        assert!("best".parse::<Preset>().is_err());
    }
}
