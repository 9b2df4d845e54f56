//! What a provider says about a model that is not in the list yet. No I/O.

use super::{Form, Model};
use crate::engine::Step;

/// Which model somebody wants to know about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The provider's name of it, as in [`Model::target`].
    pub target: String,
    /// Who shall run it, as in [`Model::provider`].
    pub provider: Option<String>,
    /// Which function is meant, as in [`Model::api_name`].
    pub api_name: Option<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// A draft for the list of models.
    pub model: Model,
    /// What the model wants to know.
    pub form: Form,
    /// What a person should know before adding it, a sentence each.
    pub notes: Vec<String>,
}

/// Words in names and descriptions, and the step that they speak for.
const WORDS: [(Step, &[&str]); 4] = [
    (Step::Face, &["face", "gfpgan", "codeformer", "gpen"]),
    (Step::Colorize, &["coloriz", "colouris", "deoldify", "ddcolor"]),
    (Step::Upscale, &["upscal", "super-res", "super res", "superres", "esrgan", "swin2sr", "swinir"]),
    (Step::RemoveScratches, &["scratch", "old photo", "restore-image", "photo restoration"]),
];

/// A draft of a model, as far as its name and what is said about it tell what it does.
pub(in crate::engine) fn draft(engine: &str, wanted: &Lookup, description: &str) -> Model {
    let target = wanted.target.trim().trim_end_matches('/');
    let last = target.trim_start_matches("https://").trim_start_matches("http://");
    let last = last.rsplit('/').next().unwrap_or(last);
    let last = last.split(':').next().unwrap_or(last);
    let described = format!("{target} {description}").to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| described.contains(word));
    let mut steps: Vec<Step> = WORDS.iter().filter(|(_, words)| says(words)).map(|(step, _)| *step).collect();
    if steps.is_empty() {
        steps.push(Step::Enhance);
    }
    Model {
        id: slug(&format!("{}-{last}", engine.replace('_', "-"))),
        name: if last.is_empty() { target.to_owned() } else { last.to_owned() },
        description: description.chars().filter(|letter| !letter.is_control()).take(400).collect(),
        steps,
        provider: wanted.provider.clone(),
        api_name: wanted.api_name.clone(),
        ..Model::unlisted(engine, target)
    }
}

/// A name to ask for a model by: letters, digits and hyphens.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(80);
    slug.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_guesses_from_the_words() {
        let look = |target: &str| Lookup { target: target.into(), ..Lookup::default() };
        let face = draft("replicate", &look("tencentarc/GFPGAN"), "Practical face restoration");
        assert_eq!((face.id.as_str(), face.steps), ("replicate-gfpgan", vec![Step::Face]));
        let some = draft("hugging_face", &look("acme/Edit_It.v2"), "");
        assert_eq!((some.id.as_str(), some.steps), ("hugging-face-edit-it-v2", vec![Step::Enhance]));
        assert!(some.recreates, "nobody has said that it does not");
        let app = draft("space", &look("http://10.0.0.3:7860/"), "");
        assert_eq!((app.id.as_str(), app.target.as_str()), ("space-10-0-0-3", "http://10.0.0.3:7860"));
    }
}
