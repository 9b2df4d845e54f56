//! A model at a provider, and the form that its parameters fill. No I/O.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine::Step;

/// A model that an engine can run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelSettings)]
pub struct Model {
    /// The name to ask for.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// The engine that runs it.
    pub engine: String,
    /// The provider's name of it: `owner/name`, `owner/name:version`, `deployments/owner/name`, or the address of an
    /// endpoint or a Gradio app that the configuration names.
    pub target: String,
    /// What it does, in a sentence.
    #[serde(default)]
    pub description: String,
    /// The steps that it can be used for.
    pub steps: Vec<Step>,
    /// Whether it draws the picture anew, and may show what the photograph never did.
    pub recreates: bool,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What it is told each time, unless a request says otherwise.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// The name of the parameter that takes the picture, where the model does not say it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_input: Option<String>,
    /// Who runs it on Hugging Face: `fal-ai`, `replicate`, `wavespeed` or `together`; whoever offers it where it is not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The function of a Gradio app; its first one that takes a picture where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_name: Option<String>,
    /// The longest side of a picture that is sent, in pixels.
    #[serde(default = "default_max_side")]
    pub max_side: u32,
    /// What one picture costs in US dollars, roughly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_usd: Option<f64>,
    /// What a second of computing costs in US dollars, roughly, where the provider charges by the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_usd_per_second: Option<f64>,
    /// How many minutes are waited for a result.
    #[serde(default = "default_deadline")]
    pub deadline_minutes: u32,
}

const fn default_max_side() -> u32 {
    2048
}

const fn default_deadline() -> u32 {
    15
}

impl Model {
    /// A model of which nothing but its name at the provider is known.
    pub fn unlisted(engine: &str, target: &str) -> Self {
        Self {
            id: target.to_owned(),
            name: target.to_owned(),
            engine: engine.to_owned(),
            target: target.to_owned(),
            description: String::new(),
            steps: vec![Step::Enhance, Step::Colorize, Step::Face, Step::RemoveScratches, Step::Upscale],
            // Nobody knows, so the reader is warned.
            recreates: true,
            tags: Vec::new(),
            parameters: Map::new(),
            image_input: None,
            provider: None,
            api_name: None,
            max_side: default_max_side(),
            price_usd: None,
            price_usd_per_second: None,
            deadline_minutes: default_deadline(),
        }
    }

    /// About what a picture costs in US dollars: by the seconds that were computed where they are known and have a
    /// price, else by the picture.
    pub fn about_usd(&self, compute_s: Option<f64>) -> Option<f64> {
        let by_time = self.price_usd_per_second.zip(compute_s).map(|(price, seconds)| price * seconds);
        by_time.filter(|cost| cost.is_finite() && *cost >= 0.0).or(self.price_usd)
    }

    /// The target as the address of a server, if it is one.
    pub fn address(&self) -> Option<&str> {
        let is_address = self.target.starts_with("https://") || self.target.starts_with("http://");
        is_address.then(|| self.target.trim_end_matches('/'))
    }
}

/// What a model wants to know, in one shape for all providers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Form {
    /// The parameter that takes the picture.
    pub image_input: Option<String>,
    /// The other ones, in the order to show them.
    pub fields: Vec<Field>,
}

/// One parameter of a model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Field {
    /// Its name in `parameters`.
    pub name: String,
    /// What a person calls it.
    pub title: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it takes.
    pub kind: FieldKind,
    /// Whether it must be given.
    pub required: bool,
    /// What holds when it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub default: Option<Value>,
    /// The smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// What can be chosen from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub choices: Vec<Value>,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Words.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// One of a few.
    Choice,
    /// A file, which only the picture itself can be.
    File,
    /// Something that no form can show: JSON.
    Other,
}

impl Field {
    /// Reads a field of a JSON Schema (draft as in OpenAPI 3.0 and Gradio), in which `allOf` and `$ref` were resolved.
    pub(in crate::engine) fn of_schema(name: &str, schema: &Value, required: bool) -> Self {
        let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
        let choices = schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default();
        let format = schema.get("format").and_then(Value::as_str);
        let kind = match schema.get("type").and_then(Value::as_str) {
            _ if !choices.is_empty() => FieldKind::Choice,
            Some("string") if format == Some("uri") => FieldKind::File,
            Some("string") => FieldKind::Text,
            Some("integer") => FieldKind::Integer,
            Some("number") => FieldKind::Number,
            Some("boolean") => FieldKind::Boolean,
            _ => FieldKind::Other,
        };
        Self {
            name: name.to_owned(),
            title: text("title").unwrap_or_else(|| name.replace('_', " ")),
            description: text("description"),
            kind,
            required,
            default: schema.get("default").filter(|default| !default.is_null()).cloned(),
            minimum: schema.get("minimum").and_then(Value::as_f64),
            maximum: schema.get("maximum").and_then(Value::as_f64),
            choices,
        }
    }
}
