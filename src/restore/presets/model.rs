//! Presets: what they are, and what their steps come to. No I/O.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::super::model::{AskedStep, PlannedStep, STEPS_MAX};
use super::super::{Error, Result};
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::engine::Preset;

/// The most presets of one's own that an instance has.
pub(super) const PRESETS_MAX: usize = 500;

/// A name that stands for something else where presets have their addresses.
const RESERVED_NAME: &str = "import";

/// The longest name in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The longest title in characters.
const TITLE_CHARS_MAX: usize = 100;

/// The longest description in characters.
const DESCRIPTION_CHARS_MAX: usize = 1000;

/// A named list of steps.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PresetInfo {
    /// The name to ask for.
    pub name: String,
    /// What a person calls it.
    pub title: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Its steps in their order.
    pub steps: Vec<PresetStep>,
    /// Whether it came with the program; it can't be changed then.
    pub shipped: bool,
    /// Whether a model of it may draw what the photograph never showed.
    pub recreates: bool,
    /// Who saved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<UserId>,
    /// When it was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

impl From<Preset> for PresetInfo {
    fn from(preset: Preset) -> Self {
        Self {
            name: preset.as_str().to_owned(),
            title: preset.title().to_owned(),
            description: preset.description().to_owned(),
            steps: shipped_steps(preset),
            shipped: true,
            recreates: false,
            created_by: None,
            created_at: None,
            updated_at: None,
        }
    }
}

/// A step of a preset, or the name of another preset whose steps stand in its place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PresetStep {
    /// The name of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// How much of it, 0 to 1; the engine's own suggestion where it is not said.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "short")]
    pub strength: Option<f32>,
    /// The engine, where it is not the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The model, by its id in the list of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the model is told besides.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    #[schema(value_type = Object)]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    /// The name of another preset instead of a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
}

/// Writes 0.8 as 0.8 also where there are only numbers of twice the length.
fn short<S: Serializer>(strength: &Option<f32>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let number = strength.map(|strength| strength.to_string().parse().unwrap_or(f64::from(strength)));
    number.serialize(serializer)
}

impl PresetStep {
    /// Checks that it is a step or a preset's name and not both.
    fn check(&self) -> Result<()> {
        let alone = self.step.is_none()
            && self.strength.is_none()
            && self.engine.is_none()
            && self.model.is_none()
            && self.parameters.is_empty();
        match (&self.step, &self.preset) {
            (Some(_), None) => Ok(()),
            (None, Some(_)) if alone => Ok(()),
            _ => Err(bad(
                "steps",
                "Each step has either a step's name, with what belongs to it, or a preset's name alone.",
            )),
        }
    }

    fn asked(&self, step: &str) -> AskedStep {
        AskedStep {
            step: step.to_owned(),
            strength: self.strength,
            engine: self.engine.clone(),
            model: self.model.clone(),
            parameters: self.parameters.clone(),
            mask: None,
        }
    }

    /// The step as it is asked for; none for a preset's name.
    pub(super) fn as_asked(&self) -> Option<AskedStep> {
        self.step.as_deref().map(|step| self.asked(step))
    }
}

impl From<PlannedStep> for PresetStep {
    fn from(planned: PlannedStep) -> Self {
        let PlannedStep { step, strength, engine, model, parameters, .. } = planned;
        let step = Some(step.as_str().to_owned());
        Self { step, strength: Some(strength), engine, model, parameters, preset: None }
    }
}

/// A preset that somebody wants to save; one of a file is the same.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPreset {
    /// The name to ask for: a to z, 0 to 9, `_` and `-`. It follows from the title where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What a person calls it.
    pub title: String,
    /// What it does, in a sentence.
    #[serde(default)]
    pub description: String,
    /// Its steps in their order.
    pub steps: Vec<PresetStep>,
}

impl NewPreset {
    /// Checks all that can be known without other presets, engines and models, and gives it its name.
    pub(super) fn checked(self) -> Result<OwnPreset> {
        let title = line(&self.title, "title", TITLE_CHARS_MAX)?;
        if title.is_empty() {
            return Err(bad("title", "A preset needs a title."));
        }
        let name = self.name.unwrap_or_else(|| name_of(&title));
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(bad("name", "A preset's name has 1 to 64 of a to z, 0 to 9, _ and -."));
        }
        if name == RESERVED_NAME {
            return Err(bad("name", "This name is taken by an address of the API: choose another one."));
        }
        check_steps(&self.steps)?;
        let description = line(&self.description, "description", DESCRIPTION_CHARS_MAX)?;
        Ok(OwnPreset::new(name, title, description, self.steps))
    }
}

/// Checks the form of a preset's steps.
pub(super) fn check_steps(steps: &[PresetStep]) -> Result<()> {
    if steps.is_empty() {
        return Err(bad("steps", "A preset has at least one step."));
    }
    if steps.len() > STEPS_MAX {
        return Err(Error::TooManySteps { most: STEPS_MAX });
    }
    steps.iter().try_for_each(PresetStep::check)
}

/// Trims a text of one line.
pub(super) fn line(text: &str, field: &'static str, most: usize) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > most || text.contains(char::is_control) {
        return Err(bad(field, format!("The {field} is one line of at most {most} characters.")));
    }
    Ok(text.to_owned())
}

/// Titles and descriptions as they may be changed to.
pub(super) fn changed_texts(
    title: Option<String>,
    description: Option<String>,
    preset: &mut OwnPreset,
) -> Result<()> {
    if let Some(title) = title {
        preset.title = line(&title, "title", TITLE_CHARS_MAX)?;
        if preset.title.is_empty() {
            return Err(bad("title", "A preset needs a title."));
        }
    }
    if let Some(description) = description {
        preset.description = line(&description, "description", DESCRIPTION_CHARS_MAX)?;
    }
    Ok(())
}

/// A name that follows from a title.
fn name_of(title: &str) -> String {
    let mut name = String::new();
    for letter in title.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(NAME_BYTES_MAX);
    let name = name.trim_end_matches('_');
    if name.is_empty() { "preset".to_owned() } else { name.to_owned() }
}

/// A preset that somebody has saved.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::restore) struct OwnPreset {
    pub(in crate::restore) name: String,
    pub(in crate::restore) title: String,
    pub(in crate::restore) description: String,
    pub(in crate::restore) steps: Vec<PresetStep>,
    pub(in crate::restore) created_by: Option<UserId>,
    pub(in crate::restore) created_at: Timestamp,
    pub(in crate::restore) updated_at: Timestamp,
}

impl OwnPreset {
    /// One that nobody has saved yet.
    pub(super) const fn new(
        name: String,
        title: String,
        description: String,
        steps: Vec<PresetStep>,
    ) -> Self {
        let never = Timestamp::from_millis(0);
        Self { name, title, description, steps, created_by: None, created_at: never, updated_at: never }
    }

    /// As it stands in a file.
    pub(super) fn for_file(&self) -> NewPreset {
        NewPreset {
            name: Some(self.name.clone()),
            title: self.title.clone(),
            description: self.description.clone(),
            steps: self.steps.clone(),
        }
    }

    /// Whether another one does the same under the same words.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.title == other.title && self.description == other.description && self.steps == other.steps
    }

    /// Whether it names another preset itself.
    pub(super) fn includes(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.preset.as_deref() == Some(name))
    }
}

pub(super) fn shipped_steps(preset: Preset) -> Vec<PresetStep> {
    preset.steps().into_iter().map(|step| PlannedStep::from(step).into()).collect()
}

/// The steps that a preset comes to, with those of the presets that it names in their place.
///
/// # Errors
/// [`Error::UnknownPreset`], [`Error::CyclicPreset`], [`Error::TooManySteps`].
pub(in crate::restore) fn expand(own: &[OwnPreset], name: &str) -> Result<Vec<AskedStep>> {
    let mut expansion = Expansion { own, path: Vec::new(), steps: Vec::new() };
    expansion.visit(name)?;
    Ok(expansion.steps)
}

struct Expansion<'a> {
    own: &'a [OwnPreset],
    path: Vec<String>,
    steps: Vec<AskedStep>,
}

impl Expansion<'_> {
    fn visit(&mut self, name: &str) -> Result<()> {
        if self.path.iter().any(|outer| outer == name) {
            self.path.push(name.to_owned());
            return Err(Error::CyclicPreset { path: self.path.join(" > ") });
        }
        let steps = match name.parse::<Preset>() {
            Ok(preset) => shipped_steps(preset),
            Err(_) => {
                let found = self.own.iter().find(|preset| preset.name == name);
                found.ok_or_else(|| Error::UnknownPreset { name: name.to_owned() })?.steps.clone()
            }
        };
        self.path.push(name.to_owned());
        for step in &steps {
            match (&step.step, &step.preset) {
                (_, Some(inner)) => self.visit(inner)?,
                (Some(name), None) => self.steps.push(step.asked(name)),
                (None, None) => {}
            }
            // Every preset has a step, so this also ends what would go on for very long.
            if self.steps.len() > STEPS_MAX {
                return Err(Error::TooManySteps { most: STEPS_MAX });
            }
        }
        self.path.pop();
        Ok(())
    }
}

pub(super) fn bad(field: &'static str, detail: impl Into<String>) -> Error {
    Error::BadPreset { field, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preset(name: &str, steps: &[&str]) -> OwnPreset {
        let step = |text: &&str| match text.strip_prefix('@') {
            Some(name) => PresetStep { preset: Some(name.to_owned()), ..PresetStep::default() },
            None => PresetStep { step: Some((*text).to_owned()), ..PresetStep::default() },
        };
        OwnPreset::new(name.to_owned(), String::new(), String::new(), steps.iter().map(step).collect())
    }

    #[test]
    fn presets_in_presets_come_to_their_steps_in_order_and_never_run_in_circles() {
        let own = [
            preset("a", &["fade", "@b", "deblur"]),
            preset("b", &["@quick", "denoise"]),
            preset("round", &["fade", "@about"]),
            preset("about", &["@round"]),
            preset("self", &["@self"]),
            preset("lost", &["@nobody"]),
            preset("long", &["@auto", "@auto", "@auto", "@auto"]),
        ];
        let steps = expand(&own, "a").unwrap();
        let names: Vec<&str> = steps.iter().map(|step| step.step.as_str()).collect();
        assert_eq!(names, ["fade", "deblock", "fade", "denoise", "deblur"]);
        let circle = expand(&own, "round").unwrap_err();
        assert!(matches!(circle, Error::CyclicPreset { path } if path == "round > about > round"));
        assert!(matches!(expand(&own, "self"), Err(Error::CyclicPreset { .. })));
        assert!(matches!(expand(&own, "lost"), Err(Error::UnknownPreset { name }) if name == "nobody"));
        assert!(matches!(expand(&own, "long"), Err(Error::TooManySteps { most: 20 })));
    }

    #[test]
    fn names_follow_from_titles() {
        assert_eq!(name_of("  Grandma's attic, 1931! "), "grandma_s_attic_1931");
        assert_eq!(name_of("Öl"), "l");
        assert_eq!(name_of("東京"), "preset");
        assert_eq!(name_of(&"x".repeat(99)).len(), 64);
    }
}
