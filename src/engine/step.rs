//! What can be done to a picture, what was asked for and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One thing that can be done to a picture. No engine knows all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Removes the blocks and ringing of JPEG compression.
    Deblock,
    /// Removes the dots of a printed picture.
    Descreen,
    /// Fills the places that a damage mask marks.
    Inpaint,
    /// Removes noise and film grain.
    Denoise,
    /// Removes coloured blotches that have no counterpart in the brightness.
    Chroma,
    /// Brings back contrast and colour balance that fading took.
    Fade,
    /// Sharpens a picture that is out of focus.
    Deblur,
    /// Brings out local detail.
    LocalContrast,
    /// Enlarges.
    Upscale,
    /// Lets a model improve the picture as it sees fit.
    Enhance,
    /// Gives colours to a black-and-white picture.
    Colorize,
    /// Restores faces.
    Face,
    /// Finds and removes scratches.
    RemoveScratches,
}

impl Step {
    /// Every step there is.
    pub const ALL: [Self; 13] = [
        Self::Deblock,
        Self::Descreen,
        Self::Inpaint,
        Self::Denoise,
        Self::Chroma,
        Self::Fade,
        Self::Deblur,
        Self::LocalContrast,
        Self::Upscale,
        Self::Enhance,
        Self::Colorize,
        Self::Face,
        Self::RemoveScratches,
    ];

    /// Its name on the wire and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deblock => "deblock",
            Self::Descreen => "descreen",
            Self::Inpaint => "inpaint",
            Self::Denoise => "denoise",
            Self::Chroma => "chroma",
            Self::Fade => "fade",
            Self::Deblur => "deblur",
            Self::LocalContrast => "local_contrast",
            Self::Upscale => "upscale",
            Self::Enhance => "enhance",
            Self::Colorize => "colorize",
            Self::Face => "face",
            Self::RemoveScratches => "remove_scratches",
        }
    }
}

impl Step {
    /// How many times as wide and high a picture is afterwards, if the built-in engine does it. A model decides that by
    /// itself, and nobody knows before.
    pub const fn scale(self) -> u32 {
        match self {
            Self::Upscale => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A name that is no step's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no step named {0:?}")]
pub struct UnknownStep(pub String);

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|step| step.as_str() == name).ok_or_else(|| UnknownStep(name.to_owned()))
    }
}

/// A step that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepRequest {
    /// What to do.
    pub step: Step,
    /// How much of it, from 0 (nothing) to 1 (everything the evidence allows).
    pub strength: f32,
}

/// What an engine says about a step it knows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct StepInfo {
    /// The step.
    pub step: Step,
    /// What a person calls it.
    pub title: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// The strength to offer first, 0..=1.
    pub default_strength: f32,
}

/// Whether a step changed the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The step was applied.
    Applied,
    /// The step left every sample as it was.
    Skipped,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepReport {
    /// The step.
    pub step: Step,
    /// The strength asked for, 0..=1.
    pub strength: f32,
    /// Name of the engine that ran it.
    pub engine: String,
    /// The model that the engine used, by its id in the list of models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether it changed the picture.
    pub decision: Decision,
    /// Why, in words a person understands.
    pub reason: String,
    /// The measurements that the decision rests on, by name.
    pub evidence: BTreeMap<String, f64>,
    /// Time it took, in milliseconds.
    pub duration_ms: u64,
}

/// What became of a restoration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At least one step was applied.
    Restored,
    /// No step had anything to do; the picture is bit-identical.
    Unchanged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_by_the_name_it_is_written_with() {
        for step in Step::ALL {
            assert_eq!(step.as_str().parse::<Step>(), Ok(step));
            assert_eq!(serde_json::to_string(&step).unwrap(), format!("\"{step}\""));
        }
        assert_eq!("sharpen".parse::<Step>(), Err(UnknownStep("sharpen".to_owned())));
    }
}
