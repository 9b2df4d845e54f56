//! Models on Replicate, by its HTTP API (version 1): predictions of models, versions and deployments, files, polling.
//!
//! A picture that is too large for a data URL is uploaded first and removed afterwards. Predictions are asked for
//! by id; results are fetched at once, for they are deleted after an hour. Where Replicate can reach this server it
//! may be told to say that a prediction has ended (`webhooks`); that only wakes whoever asks.

mod webhooks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::webhooks::Webhooks;
use super::remote::{
    self, ASK, Bell, Error, Field, FieldKind, Finished, Form, Found, Handle, Heard, Line, Lookup, Model,
    Order, Protocol, Result, SUBMIT, Stage, Submitted, WebhookCall, WebhookError, Whereabouts, draft,
    refusal,
};
use crate::config;
use crate::outbound::{self, Method, Part};

/// The name of the engine.
pub const NAME: &str = "replicate";

/// What people call it.
const TITLE: &str = "Replicate";

/// The largest picture that is sent inside the request, as the documentation recommends.
const DATA_URL_BYTES_MAX: usize = 256_000;

/// How long what a model says about itself is believed.
const FRESH: Duration = Duration::from_secs(300);

/// Names of the parameter that takes the picture, the most telling first.
const IMAGE_INPUTS: [&str; 5] = ["image", "input_image", "img", "image_path", "input"];

/// Models on Replicate.
pub struct Replicate {
    line: Line,
    settings: ArcSwap<config::Replicate>,
    base: String,
    described: Mutex<HashMap<String, (Instant, Description)>>,
    webhooks: Webhooks,
}

/// What a model says about itself.
#[derive(Debug, Clone)]
struct Description {
    /// The version to run; none for models that are run by their name.
    version: Option<String>,
    form: Form,
    /// In its maker's words.
    about: String,
    /// What its answers are, as far as it says so.
    answers: Answers,
}

/// Whether a model answers with pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Files,
    SomethingElse,
    Unknown,
}

impl Replicate {
    /// Makes the engine.
    pub fn new(line: Line, settings: &config::Replicate) -> Self {
        let base = format!("{}/v1", settings.base_url);
        Self {
            line,
            settings: ArcSwap::from_pointee(settings.clone()),
            base,
            described: Mutex::default(),
            webhooks: Webhooks::default(),
        }
    }

    fn call(&self, method: Method, path: &str) -> Result<outbound::Call> {
        let call = self.line.outbound.call(method, &format!("{}{path}", self.base))?;
        Ok(call.token("Bearer", self.settings.load().token.as_ref()).within(ASK))
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, model: &Model, call: outbound::Call) -> Result<T> {
        let answer = call.send().await?;
        if !answer.status().is_success() {
            return Err(refusal(TITLE, model, answer).await);
        }
        answer.json().await.map_err(|error| match error {
            outbound::Error::NotUnderstood { .. } => not_understood("the answer is no JSON of theirs"),
            other => other.into(),
        })
    }

    async fn describe(&self, model: &Model) -> Result<Description> {
        let known = {
            let described = self.described.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            described
                .get(&model.target)
                .filter(|(when, _)| when.elapsed() < FRESH)
                .map(|(_, known)| known.clone())
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.ask_about(model).await?;
        let mut described = self.described.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if described.len() > 100 {
            described.clear();
        }
        described.insert(model.target.clone(), (Instant::now(), found.clone()));
        Ok(found)
    }

    async fn ask_about(&self, model: &Model) -> Result<Description> {
        let target = Target::parse(&model.target)
            .ok_or_else(|| Error::NoSuchModel { model: model.target.clone(), detail: String::new() })?;
        let described =
            |version: Option<String>, schema: Option<&Value>, about: Option<String>| Description {
                version,
                form: schema.map(form).unwrap_or_default(),
                about: about.unwrap_or_default(),
                answers: schema.map_or(Answers::Unknown, answers),
            };
        match target {
            Target::Model { owner, name } => {
                let path = format!("/models/{owner}/{name}");
                let found: ModelObject = self.ask(model, self.call(Method::GET, &path)?).await?;
                let latest = found.latest_version;
                let schema = latest.as_ref().and_then(|version| version.openapi_schema.as_ref());
                let id = latest.as_ref().map(|version| version.id.clone());
                let version = id.filter(|id| !found.is_official && is_id(id));
                Ok(described(version, schema, found.description))
            }
            Target::Version { owner, name, version } => {
                let path = format!("/models/{owner}/{name}/versions/{version}");
                let found: VersionObject = self.ask(model, self.call(Method::GET, &path)?).await?;
                Ok(described(Some(version.to_owned()), found.openapi_schema.as_ref(), None))
            }
            Target::Deployment { owner, name } => {
                let path = format!("/deployments/{owner}/{name}");
                let _: Value = self.ask(model, self.call(Method::GET, &path)?).await?;
                Ok(described(None, None, None))
            }
        }
    }

    async fn upload(&self, order: &Order) -> Result<(String, Option<String>)> {
        if order.picture.len() <= DATA_URL_BYTES_MAX {
            return Ok((data_url(&order.picture), None));
        }
        let part = Part::bytes(order.picture.to_vec())
            .file_name("picture.jpg")
            .mime_str("image/jpeg")
            .expect("a media type");
        let form = outbound::Form::new().part("content", part);
        let call = self.call(Method::POST, "/files")?.form(form).within(Duration::from_secs(300));
        let file: FileObject = self.ask(&order.model, call).await?;
        Ok((file.urls.get, is_id(&file.id).then_some(file.id)))
    }

    fn predictions(&self, model: &Model, description: &Description) -> String {
        match (Target::parse(&model.target), &description.version) {
            (_, Some(_)) | (None, _) => "/predictions".to_owned(),
            (Some(Target::Deployment { owner, name }), _) => {
                format!("/deployments/{owner}/{name}/predictions")
            }
            (Some(Target::Model { owner, name } | Target::Version { owner, name, .. }), _) => {
                format!("/models/{owner}/{name}/predictions")
            }
        }
    }
}

/// What a prediction is created from.
pub(super) struct Prepared {
    path: String,
    body: Value,
    file: Option<String>,
}

impl Protocol for Replicate {
    type Prepared = Prepared;

    const NAME: &'static str = NAME;
    const TITLE: &'static str = TITLE;

    fn configure(&self, settings: &config::Engines) {
        self.settings.store(Arc::new(settings.replicate.clone()));
    }

    fn line(&self) -> &Line {
        &self.line
    }

    fn not_set_up(&self, _: &Model) -> Option<Error> {
        let missing = || Error::NotConfigured { engine: TITLE, setting: "engines.replicate.token" };
        self.settings.load().token.is_none().then(missing)
    }

    async fn inspect(&self, model: &Model) -> Result<Form> {
        Ok(self.ask_about(model).await?.form)
    }

    async fn look_up(&self, wanted: &Lookup) -> Result<Found> {
        let asked = Model::unlisted(NAME, wanted.target.trim());
        if let Some(why) = self.not_set_up(&asked) {
            return Err(why);
        }
        let Description { version, form, about, answers } = self.ask_about(&asked).await?;
        let mut model = draft(NAME, wanted, &about);
        let is_deployment = matches!(Target::parse(&asked.target), Some(Target::Deployment { .. }));
        if form.image_input.is_none() && !is_deployment {
            return Err(Error::TakesNoPicture {
                model: asked.target,
                detail: ": its description has no input for a file".to_owned(),
            });
        }
        model.image_input.clone_from(&form.image_input);
        let mut notes = vec![match (&version, is_deployment) {
            (_, true) => "A deployment does not say what it takes: check the steps and the name of the picture's parameter.".to_owned(),
            (None, _) => "An official model: Replicate keeps it and always runs its newest version.".to_owned(),
            (Some(version), _) if asked.target.contains(':') => format!("Always run in the version {version}."),
            (Some(version), _) => format!(
                "Run in its newest version, at present {version}. To stay with that one, write {}:{version}.",
                asked.target
            ),
        }];
        if answers == Answers::SomethingElse {
            notes.push("It does not say that it answers with files: it may not make pictures.".to_owned());
        }
        notes.push(
            "Whether it draws pictures anew, and for which steps it is good, is a guess: check it."
                .to_owned(),
        );
        Ok(Found { model, form, notes })
    }

    async fn hear(&self, call: WebhookCall<'_>) -> Result<Heard, WebhookError> {
        if self.settings.load().webhook_url.is_none() {
            return Err(WebhookError::Off);
        }
        let asking = async {
            let call = self.call(Method::GET, "/webhooks/default/secret")?;
            let secret: SecretObject = self.ask(&Model::unlisted(NAME, ""), call).await?;
            Ok(secret.key)
        };
        self.webhooks.hear(call, asking).await
    }

    fn bell(&self, handle: &Handle) -> Option<Bell> {
        self.settings.load().webhook_url.as_ref().map(|_| self.webhooks.bell(&handle.id))
    }

    fn answers_at_once(&self, _: &Prepared) -> bool {
        false
    }

    async fn prepare(&self, order: &Order) -> Result<Prepared> {
        let description = self.describe(&order.model).await?;
        let named = order.model.image_input.clone().or_else(|| description.form.image_input.clone());
        let (picture, file) = self.upload(order).await?;
        let mut input = order.merged_parameters();
        input.insert(named.unwrap_or_else(|| "image".to_owned()), picture.into());
        let mut body = Map::new();
        if let Some(version) = &description.version {
            body.insert("version".into(), version.as_str().into());
        }
        body.insert("input".into(), input.into());
        if let Some(url) = &self.settings.load().webhook_url {
            body.insert("webhook".into(), url.as_str().into());
            body.insert("webhook_events_filter".into(), json!(["completed"]));
        }
        Ok(Prepared { path: self.predictions(&order.model, &description), body: body.into(), file })
    }

    async fn submit(&self, order: &Order, prepared: &Prepared) -> Result<Submitted> {
        let call = self
            .call(Method::POST, &prepared.path)?
            .json(&prepared.body)
            // A prediction that nobody asks for any more ends by itself.
            .header("cancel-after", &format!("{}m", order.model.deadline_minutes.saturating_add(5)))
            .within(SUBMIT);
        let prediction: Prediction = self.ask(&order.model, call).await?;
        if !is_id(&prediction.id) {
            return Err(not_understood("a prediction without an id"));
        }
        // The uploaded file's id is kept beside, so that it can be removed.
        Ok(Submitted::Accepted(Handle { id: prediction.id, address: prepared.file.clone() }))
    }

    async fn poll(&self, order: &Order, handle: &Handle) -> Result<Stage> {
        let call = self.call(Method::GET, &format!("/predictions/{}", handle.id))?;
        let prediction: Prediction = self.ask(&order.model, call).await?;
        let stage = stage(prediction, handle, &self.settings.load().base_url.to_string());
        if !matches!(stage, Ok(Stage::Working(_)))
            && let Some(file) = &handle.address
            && let Ok(call) = self.call(Method::DELETE, &format!("/files/{file}"))
        {
            // They delete it by themselves later.
            let _ = call.send().await;
        }
        stage
    }

    async fn stop(&self, order: &Order, handle: &Handle) -> Result<()> {
        let call = self.call(Method::POST, &format!("/predictions/{}/cancel", handle.id))?;
        let _: Value = self.ask(&order.model, call).await?;
        Ok(())
    }

    fn fetch(&self, url: &str, home: &str) -> Result<outbound::Call> {
        let call = self.line.outbound.fetch(url, home, &self.line.result_hosts)?;
        Ok(call.token("Bearer", self.settings.load().token.as_ref()))
    }
}

/// What a prediction's state means. Replicate's own, and what the router of Hugging Face passes on.
pub(super) fn stage(prediction: Prediction, handle: &Handle, home: &str) -> Result<Stage> {
    match prediction.status.as_str() {
        "succeeded" => {
            let output = prediction.output.as_ref().and_then(first_url);
            let output =
                output.ok_or_else(|| not_understood("a prediction that succeeded without a picture"))?;
            Ok(Stage::Ready(Finished {
                picture: whereabouts(output, home)?,
                id: Some(handle.id.clone()),
                compute_s: prediction.metrics.and_then(|metrics| metrics.predict_time),
            }))
        }
        "failed" | "canceled" | "aborted" => {
            let why = prediction.error.as_ref().map(|why| remote::complaint(why.to_string().as_bytes()));
            let otherwise = || format!(": the prediction was {}", prediction.status);
            Err(Error::Failed { detail: why.filter(|why| why.len() > 2).unwrap_or_else(otherwise) })
        }
        _ => Ok(Stage::Working(prediction.logs.as_deref().and_then(progress))),
    }
}

/// A result that lies somewhere, or is in its own address.
pub(super) fn whereabouts(url: &str, home: &str) -> Result<Whereabouts> {
    let Some(data) = url.strip_prefix("data:") else {
        return Ok(Whereabouts::At { url: url.to_owned(), home: home.to_owned() });
    };
    let bytes = data.split_once(";base64,").and_then(|(_, data)| BASE64_STANDARD.decode(data).ok());
    bytes.map(Whereabouts::Here).ok_or_else(|| not_understood("a data URL that can't be read"))
}

/// The first address in an output: a text, a list of them, or an object with some.
pub(super) fn first_url(output: &Value) -> Option<&str> {
    match output {
        Value::String(text) => Some(text.as_str()).filter(|text| text.contains(':')),
        Value::Array(items) => items.iter().find_map(first_url),
        Value::Object(items) => items.values().find_map(first_url),
        _ => None,
    }
}

/// How far a model is, from the last `NN%|` that tqdm wrote into its log.
fn progress(logs: &str) -> Option<f32> {
    let at = logs.rfind("%|")?;
    let digits = logs[..at].rsplit(|letter: char| !letter.is_ascii_digit()).next()?;
    let percent: f32 = digits.parse().ok()?;
    (percent <= 100.0).then_some(percent / 100.0)
}

fn not_understood(what: &'static str) -> Error {
    Error::NotUnderstood { engine: TITLE, what }
}

/// Reads the form of `components.schemas.Input`.
fn form(schema: &Value) -> Form {
    let schemas = &schema["components"]["schemas"];
    let Some(properties) = schemas["Input"]["properties"].as_object() else { return Form::default() };
    let required = schemas["Input"]["required"].as_array().cloned().unwrap_or_default();
    let order = |property: &Value| property.get("x-order").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let mut properties: Vec<(&String, &Value)> = properties.iter().collect();
    properties.sort_by_key(|(_, property)| order(property));
    let mut fields: Vec<Field> = properties
        .into_iter()
        .map(|(name, property)| {
            let is_required = required.iter().any(|required| required == name.as_str());
            Field::of_schema(name, &resolved(property, schemas), is_required)
        })
        .collect();
    let files = || fields.iter().filter(|field| field.kind == FieldKind::File);
    let image_input = IMAGE_INPUTS
        .iter()
        .find_map(|name| files().find(|field| field.name == *name))
        .or_else(|| files().find(|field| field.required))
        .or_else(|| files().next())
        .map(|field| field.name.clone());
    fields.retain(|field| Some(&field.name) != image_input.as_ref());
    Form { image_input, fields }
}

/// Reads what `components.schemas.Output` promises: an address of a file, a list of them, or an object with some.
fn answers(schema: &Value) -> Answers {
    fn has_file(schema: &Value, depth: u32) -> bool {
        let is_file = schema["format"] == "uri";
        let inner = || {
            let properties =
                schema["properties"].as_object().into_iter().flat_map(|properties| properties.values());
            let items = schema.get("items").into_iter();
            let several =
                ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
            properties.chain(items).chain(several).any(|inner| has_file(inner, depth + 1))
        };
        is_file || depth < 4 && inner()
    }
    match schema["components"]["schemas"].get("Output") {
        None => Answers::Unknown,
        Some(output) if has_file(output, 0) => Answers::Files,
        Some(_) => Answers::SomethingElse,
    }
}

/// A property with what `allOf` refers to in it.
fn resolved(property: &Value, schemas: &Value) -> Value {
    let Some(object) = property.as_object() else { return Value::Null };
    let mut whole = object.clone();
    whole.retain(|_, value| !value.is_null());
    let parts = object.get("allOf").and_then(Value::as_array).into_iter().flatten();
    for part in parts.chain(std::iter::once(property)) {
        let name = part.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
        let Some(referred) = name.and_then(|name| schemas.get(name)?.as_object()) else { continue };
        for (key, value) in referred {
            whole.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    whole.into()
}

/// What a model's target names.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Model { owner: &'a str, name: &'a str },
    Version { owner: &'a str, name: &'a str, version: &'a str },
    Deployment { owner: &'a str, name: &'a str },
}

impl<'a> Target<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (deployed, text) = match text.strip_prefix("deployments/") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (owner, rest) = text.split_once('/')?;
        let (name, version) = match rest.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (rest, None),
        };
        let fine = is_name(owner) && is_name(name) && version.is_none_or(is_id);
        match (deployed, version) {
            _ if !fine => None,
            (true, None) => Some(Self::Deployment { owner, name }),
            (true, Some(_)) => None,
            (false, Some(version)) => Some(Self::Version { owner, name, version }),
            (false, None) => Some(Self::Model { owner, name }),
        }
    }
}

/// Whether a text can be a part of a path that names a model.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty()
        && text.len() <= 200
        && text.bytes().all(allowed)
        && !text.bytes().all(|byte| byte == b'.')
}

/// Whether a text can be an id, which becomes a part of a path.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[derive(Deserialize)]
struct ModelObject {
    description: Option<String>,
    latest_version: Option<VersionObject>,
    #[serde(default)]
    is_official: bool,
}

#[derive(Deserialize)]
struct VersionObject {
    id: String,
    openapi_schema: Option<Value>,
}

#[derive(Deserialize)]
struct SecretObject {
    key: String,
}

#[derive(Deserialize)]
struct FileObject {
    id: String,
    urls: FileUrls,
}

#[derive(Deserialize)]
struct FileUrls {
    get: String,
}

/// A prediction; unknown members are left out.
#[derive(Deserialize)]
pub(super) struct Prediction {
    pub(super) id: String,
    status: String,
    output: Option<Value>,
    error: Option<Value>,
    logs: Option<String>,
    metrics: Option<Metrics>,
}

#[derive(Deserialize)]
struct Metrics {
    predict_time: Option<f64>,
}

/// The body of a prediction of a picture through the router, whose models take it by one of these names.
pub(super) fn routed_input(order: &Order) -> Value {
    let picture = json!(data_url(&order.picture));
    let mut input = order.merged_parameters();
    match &order.model.image_input {
        Some(name) => {
            input.insert(name.clone(), picture);
        }
        None => {
            input.insert("image".into(), picture.clone());
            input.insert("images".into(), json!([picture]));
            input.insert("input_image".into(), picture.clone());
            input.insert("input_images".into(), json!([picture]));
        }
    }
    json!({ "input": input })
}

/// A JPEG file as an address of itself.
pub(super) fn data_url(picture: &Bytes) -> String {
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let model = Target::Model { owner: "tencentarc", name: "gfpgan" };
        assert_eq!(Target::parse("tencentarc/gfpgan"), Some(model));
        assert!(matches!(Target::parse("a/b:0fbacf7a"), Some(Target::Version { version: "0fbacf7a", .. })));
        assert!(matches!(Target::parse("deployments/a/b"), Some(Target::Deployment { .. })));
        for bad in
            ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b:", "a/b:c/d", "a/b?x", "deployments/a/b:c"]
        {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_form_is_read_from_the_models_own_schema() {
        let schema = json!({"components": {"schemas": {
            "Input": {"type": "object", "required": ["img"], "properties": {
                "scale": {"type": "number", "title": "Scale", "default": 2, "x-order": 2},
                "version": {"enum": null, "allOf": [{"$ref": "#/components/schemas/version"}], "default": "v1.4", "x-order": 1},
                "img": {"type": "string", "format": "uri", "title": "Img", "x-order": 0}
            }},
            "version": {"enum": ["v1.2", "v1.3", "v1.4"], "type": "string", "title": "version"}
        }}});
        let form = form(&schema);
        assert_eq!(form.image_input.as_deref(), Some("img"));
        let kinds: Vec<(&str, FieldKind)> =
            form.fields.iter().map(|field| (&*field.name, field.kind)).collect();
        assert_eq!(kinds, [("version", FieldKind::Choice), ("scale", FieldKind::Number)]);
        assert_eq!(form.fields[0].choices.len(), 3);
        assert_eq!(super::form(&json!({"components": 3})), Form::default());
        for (output, expected) in [
            (json!({"type": "string", "format": "uri"}), Answers::Files),
            (json!({"type": "array", "items": {"type": "string", "format": "uri"}}), Answers::Files),
            (json!({"type": "object", "properties": {"image": {"format": "uri"}}}), Answers::Files),
            (json!({"type": "string"}), Answers::SomethingElse),
        ] {
            assert_eq!(answers(&json!({"components": {"schemas": {"Output": output}}})), expected);
        }
        assert_eq!(answers(&schema), Answers::Unknown);
    }

    #[test]
    fn outputs_and_logs_come_in_several_shapes() {
        for output in
            [json!("https://a/x.png"), json!([null, "https://a/x.png"]), json!({"image": "https://a/x.png"})]
        {
            assert_eq!(first_url(&output), Some("https://a/x.png"));
        }
        assert_eq!(first_url(&json!([1, {}, null, "text"])), None);
        assert_eq!(progress("10%|# | 1/10\n 40%|####| 4/10"), Some(0.4));
        assert_eq!(progress("nothing"), None);
        assert_eq!(progress("%|"), None);
    }
}
