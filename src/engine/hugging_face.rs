//! Models on Hugging Face: through its router, which passes a call on to the provider that serves the model, and on
//! Inference Endpoints, which take a picture and answer with one.
//!
//! Each provider keeps its own contract behind the router: fal-ai and wavespeed queue, replicate predicts, together
//! answers at once. Who serves a model is asked at the Hub and believed for five minutes. The token goes to the router,
//! the Hub and the endpoints of the configuration, never to where a result lies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::remote::{
    self, ASK, Error, Field, Finished, Form, Found, Handle, Line, Lookup, Model, Order, Protocol, Result,
    SUBMIT, Stage, Submitted, Whereabouts, draft, refusal,
};
use super::replicate::{self, Prediction, data_url, first_url, is_id, is_name};
use crate::config;
use crate::outbound::{self, Method, StatusCode};

/// The name of the engine.
pub const NAME: &str = "hugging_face";

/// What people call it.
const TITLE: &str = "Hugging Face";

/// How long the Hub's answer about who serves a model is believed.
const FRESH: Duration = Duration::from_secs(300);

/// How long is waited for a server that answers with the picture itself; it may have to start first.
const AT_ONCE: Duration = Duration::from_secs(10 * 60);

/// The largest picture that is taken from an answer itself.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// Providers whose contract is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    FalAi,
    Replicate,
    Wavespeed,
    Together,
}

impl Provider {
    /// All, the one to take first where a model is served by several first.
    const ALL: [Self; 4] = [Self::FalAi, Self::Replicate, Self::Wavespeed, Self::Together];

    const fn name(self) -> &'static str {
        match self {
            Self::FalAi => "fal-ai",
            Self::Replicate => "replicate",
            Self::Wavespeed => "wavespeed",
            Self::Together => "together",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }
}

/// Who runs a model, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    provider: Provider,
    /// The provider's own id of the model.
    id: String,
    /// The path of the weights, where the model is a small addition to another one.
    adapter: Option<String>,
}

/// Models on Hugging Face.
pub struct HuggingFace {
    line: Line,
    settings: ArcSwap<config::HuggingFace>,
    router: String,
    /// What the Hub has said, by model.
    served: Mutex<HashMap<String, (Instant, Arc<Listing>)>>,
}

impl HuggingFace {
    /// Makes the engine.
    pub fn new(line: Line, settings: &config::HuggingFace) -> Self {
        let router = settings.router_url.to_string();
        Self { line, settings: ArcSwap::from_pointee(settings.clone()), router, served: Mutex::default() }
    }

    fn call(&self, method: Method, url: &str) -> Result<outbound::Call> {
        let call = self.line.outbound.call(method, url)?.token("Bearer", self.settings.load().token.as_ref());
        let settings = self.settings.load();
        Ok(match &settings.bill_to {
            Some(payer) => call.header("x-hf-bill-to", payer),
            None => call,
        })
    }

    async fn send(&self, model: &Model, call: outbound::Call) -> Result<outbound::Answer> {
        let answer = call.send().await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE) {
            // Another provider may have taken the model over.
            self.served.lock().unwrap_or_else(PoisonError::into_inner).remove(&model.target);
        }
        Err(refusal(TITLE, model, answer).await)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, model: &Model, call: outbound::Call) -> Result<T> {
        self.send(model, call).await?.json().await.map_err(|error| match error {
            outbound::Error::NotUnderstood { .. } => not_understood("the answer is no JSON of theirs"),
            other => other.into(),
        })
    }

    /// The address of the endpoint that a model names, if the configuration names it too.
    fn endpoint(&self, model: &Model) -> Result<Option<String>> {
        let Some(address) = model.address() else { return Ok(None) };
        let known =
            self.settings.load().endpoints.iter().map(ToString::to_string).find(|known| known == address);
        known
            .map(Some)
            .ok_or(Error::NotConfigured { engine: TITLE, setting: "engines.hugging_face.endpoints" })
    }

    async fn who_serves(&self, model: &Model) -> Result<Served> {
        self.listing(model).await?.find(model).cloned()
    }

    /// What the Hub says about a model, asked anew after [`FRESH`].
    async fn listing(&self, model: &Model) -> Result<Arc<Listing>> {
        let known = {
            let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            served
                .get(&model.target)
                .filter(|(when, _)| when.elapsed() < FRESH)
                .map(|(_, known)| known.clone())
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let found = Arc::new(self.ask_hub(model).await?);
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.len() > 100 {
            served.clear();
        }
        served.insert(model.target.clone(), (Instant::now(), found.clone()));
        Ok(found)
    }

    async fn ask_hub(&self, model: &Model) -> Result<Listing> {
        if !is_path(&model.target) || model.target.contains(':') {
            return Err(Error::NoSuchModel { model: model.target.clone(), detail: String::new() });
        }
        let hub = self.settings.load().hub_url.clone();
        let url = format!("{hub}/api/models/{}?expand[]=inferenceProviderMapping", model.target);
        let asked = self.ask(model, self.call(Method::GET, &url)?.within(ASK)).await;
        let found: Value = asked.map_err(|error| match error {
            // Without a key the Hub says the same of what is not there and of what it does not show.
            Error::BadToken { .. } if self.settings.load().token.is_none() => {
                Error::NoSuchModel { model: model.target.clone(), detail: ", or it is not public".to_owned() }
            }
            other => other,
        })?;
        Ok(mapping(&found["inferenceProviderMapping"]))
    }

    async fn check_endpoint(&self, model: &Model, endpoint: &str) -> Result<()> {
        let call = self.call(Method::GET, &format!("{endpoint}/health"))?.within(ASK);
        let answer = call.send().await?;
        if answer.status().is_server_error() || answer.status() == StatusCode::UNAUTHORIZED {
            return Err(refusal(TITLE, model, answer).await);
        }
        Ok(())
    }

    /// The token's rights are known to Hugging Face only; the question costs nothing.
    async fn check_token(&self, model: &Model) -> Result<()> {
        let url = format!("{}/api/whoami-v2", self.settings.load().hub_url);
        let _: Value = self.ask(model, self.call(Method::GET, &url)?.within(ASK)).await?;
        Ok(())
    }
}

/// What the Hub says about who serves a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Those who make pictures from pictures and whose contract is known.
    served: Vec<Served>,
    /// What else there is: a provider, its task and its state, as in `nscale (text-to-image, live)`.
    others: Vec<String>,
}

impl Listing {
    /// Whom a model means: the one it names, or the first that serves it.
    fn find(&self, model: &Model) -> Result<&Served> {
        let wanted = model.provider.as_deref();
        Provider::ALL
            .into_iter()
            .filter(|provider| wanted.is_none_or(|wanted| wanted == provider.name()))
            .find_map(|provider| self.served.iter().find(|served| served.provider == provider))
            .ok_or_else(|| Error::NoProvider { model: model.target.clone(), detail: self.offered() })
    }

    fn offered(&self) -> String {
        let served = self.served.iter().map(|served| served.provider.name().to_owned());
        let all: Vec<String> = served.chain(self.others.iter().cloned()).collect();
        if all.is_empty() {
            ": it has none at all".to_owned()
        } else {
            format!(": there are {}", all.join(", "))
        }
    }
}

/// Reads who serves a model for pictures from pictures. The Hub answers with a list or with an object.
fn mapping(value: &Value) -> Listing {
    let mut listing = Listing::default();
    let mut read = |name: &str, entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let fits = text("status") == "live" && text("task") == "image-to-image";
        match Provider::find(name).filter(|_| fits && is_path(text("providerId"))) {
            Some(provider) => listing.served.push(Served {
                provider,
                id: text("providerId").to_owned(),
                adapter: entry.get("adapterWeightsPath").and_then(Value::as_str).map(str::to_owned),
            }),
            None if listing.others.len() < 20 && is_name(name) => {
                let said = |text: &str| {
                    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect()
                };
                let (task, status): (String, String) = (said(text("task")), said(text("status")));
                listing.others.push(format!("{name} ({task}, {status})"));
            }
            None => {}
        }
    };
    match value {
        Value::Array(entries) => {
            for entry in entries {
                if let Some(name) = entry.get("provider").and_then(Value::as_str) {
                    read(name, entry);
                }
            }
        }
        Value::Object(entries) => entries.iter().for_each(|(name, entry)| read(name, entry)),
        _ => {}
    }
    listing
}

/// Whether a text can be the path of a model: names with slashes between them, and perhaps a version.
fn is_path(text: &str) -> bool {
    let (path, version) = text.split_once(':').map_or((text, None), |(path, version)| (path, Some(version)));
    path.split('/').all(is_name) && version.is_none_or(is_id)
}

/// The parameters of the task «image to image», which are the same for all models.
fn form() -> Form {
    let field = |name: &str, schema: Value| Field::of_schema(name, &schema, false);
    Form {
        image_input: None,
        fields: vec![
            field("prompt", json!({"type": "string", "title": "What to do, in words"})),
            field("negative_prompt", json!({"type": "string", "title": "What to avoid"})),
            field("guidance_scale", json!({"type": "number", "title": "How closely to follow the words"})),
            field(
                "num_inference_steps",
                json!({"type": "integer", "title": "Steps of the model", "minimum": 1}),
            ),
            field("seed", json!({"type": "integer", "title": "Number that makes a result repeatable"})),
        ],
    }
}

/// A call that is ready to be made.
pub(super) enum Prepared {
    /// An endpoint, which answers with the picture.
    Endpoint(String),
    /// A provider behind the router.
    Routed(Served),
}

impl Protocol for HuggingFace {
    type Prepared = Prepared;

    const NAME: &'static str = NAME;
    const TITLE: &'static str = TITLE;

    fn configure(&self, settings: &config::Engines) {
        self.settings.store(Arc::new(settings.hugging_face.clone()));
    }

    fn line(&self) -> &Line {
        &self.line
    }

    fn not_set_up(&self, model: &Model) -> Option<Error> {
        match self.endpoint(model) {
            Err(why) => Some(why),
            // An endpoint of one's own may need no token.
            Ok(Some(_)) => None,
            Ok(None) => self.settings.load().token.is_none().then(no_token),
        }
    }

    async fn inspect(&self, model: &Model) -> Result<Form> {
        if let Some(endpoint) = self.endpoint(model)? {
            self.check_endpoint(model, &endpoint).await?;
        } else {
            self.check_token(model).await?;
            // Asked anew: whoever tests wants to know what is so now.
            let listing = Arc::new(self.ask_hub(model).await?);
            listing.find(model)?;
            let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
            served.insert(model.target.clone(), (Instant::now(), listing));
        }
        Ok(form())
    }

    async fn look_up(&self, wanted: &Lookup) -> Result<Found> {
        let mut model = draft(NAME, wanted, "");
        if let Some(endpoint) = self.endpoint(&model)? {
            self.check_endpoint(&model, &endpoint).await?;
            let notes = vec!["An endpoint does not say what it does: check the steps.".to_owned()];
            return Ok(Found { model, form: form(), notes });
        }
        let listing = self.listing(&model).await?;
        let served = listing.find(&model)?;
        let known: Vec<&str> = listing.served.iter().map(|served| served.provider.name()).collect();
        let mut notes =
            vec![format!("Served by {}; it will be run by {}.", known.join(", "), served.provider.name())];
        if !listing.others.is_empty() {
            notes.push(format!("Not of use here: {}.", listing.others.join(", ")));
        }
        if served.adapter.is_some() {
            notes.push("It is a small addition (LoRA) to another model, which does the work.".to_owned());
        }
        notes.push(
            "Models on Hugging Face that take a picture follow a prompt and draw the picture anew."
                .to_owned(),
        );
        if self.settings.load().token.is_none() {
            notes.push("It can't be used yet: the setting engines.hugging_face.token is missing.".to_owned());
        }
        model.provider = Some(served.provider.name().to_owned());
        Ok(Found { model, form: form(), notes })
    }

    fn answers_at_once(&self, prepared: &Prepared) -> bool {
        match prepared {
            Prepared::Endpoint(_) => true,
            Prepared::Routed(served) => served.provider == Provider::Together,
        }
    }

    async fn prepare(&self, order: &Order) -> Result<Prepared> {
        if let Some(endpoint) = self.endpoint(&order.model)? {
            return Ok(Prepared::Endpoint(endpoint));
        }
        Ok(Prepared::Routed(self.who_serves(&order.model).await?))
    }

    async fn submit(&self, order: &Order, prepared: &Prepared) -> Result<Submitted> {
        match prepared {
            Prepared::Endpoint(endpoint) => self.submit_to_endpoint(order, endpoint).await,
            Prepared::Routed(served) => self.submit_routed(order, served).await,
        }
    }

    async fn poll(&self, order: &Order, handle: &Handle) -> Result<Stage> {
        let (provider, path) = address(handle)?;
        let url = format!("{}/{}{path}", self.router, provider.name());
        let model = &order.model;
        match provider {
            Provider::Replicate => {
                let prediction: Prediction =
                    self.ask(model, self.call(Method::GET, &url)?.within(ASK)).await?;
                replicate::stage(prediction, handle, &self.router)
            }
            Provider::FalAi => {
                let status = format!("{url}/status?_subdomain=queue");
                let status: Value = self.ask(model, self.call(Method::GET, &status)?.within(ASK)).await?;
                match status["status"].as_str() {
                    Some("COMPLETED") => {}
                    Some("IN_QUEUE" | "IN_PROGRESS") => return Ok(Stage::Working(None)),
                    _ => {
                        return Err(Error::Failed {
                            detail: remote::complaint(status.to_string().as_bytes()),
                        });
                    }
                }
                let url = format!("{url}?_subdomain=queue");
                let result: Value = self.ask(model, self.call(Method::GET, &url)?.within(ASK)).await?;
                let picture = result["images"][0]["url"].as_str().or(result["image"]["url"].as_str());
                self.ready(picture, handle)
            }
            Provider::Wavespeed => {
                let result: Value = self.ask(model, self.call(Method::GET, &url)?.within(ASK)).await?;
                let data = &result["data"];
                match data["status"].as_str() {
                    Some("completed") => self.ready(first_url(&data["outputs"]), handle),
                    Some("created" | "processing") => Ok(Stage::Working(None)),
                    _ => Err(Error::Failed { detail: remote::complaint(data.to_string().as_bytes()) }),
                }
            }
            Provider::Together => Err(not_understood("a job of a provider that has none")),
        }
    }

    async fn stop(&self, order: &Order, handle: &Handle) -> Result<()> {
        let (provider, path) = address(handle)?;
        let url = format!("{}/{}{path}", self.router, provider.name());
        let call = match provider {
            Provider::FalAi => self.call(Method::PUT, &format!("{url}/cancel?_subdomain=queue"))?,
            Provider::Replicate => self.call(Method::POST, &format!("{url}/cancel"))?,
            // They can't be told.
            Provider::Wavespeed | Provider::Together => return Ok(()),
        };
        self.send(&order.model, call.within(ASK)).await?;
        Ok(())
    }

    fn fetch(&self, url: &str, home: &str) -> Result<outbound::Call> {
        let call = self.line.outbound.fetch(url, home, &self.line.result_hosts)?;
        Ok(call.token("Bearer", self.settings.load().token.as_ref()))
    }
}

impl HuggingFace {
    fn ready(&self, picture: Option<&str>, handle: &Handle) -> Result<Stage> {
        let url = picture.ok_or_else(|| not_understood("a finished job without a picture"))?;
        let picture = replicate::whereabouts(url, &self.router)?;
        Ok(Stage::Ready(Finished { picture, id: Some(handle.id.clone()), compute_s: None }))
    }

    async fn submit_to_endpoint(&self, order: &Order, endpoint: &str) -> Result<Submitted> {
        let parameters = order.merged_parameters();
        let call = self.call(Method::POST, endpoint)?.header("accept", "image/png").within(AT_ONCE);
        let call = if parameters.is_empty() {
            call.bytes("image/jpeg", order.picture.clone())
        } else {
            let picture = BASE64_STANDARD.encode(&order.picture);
            call.json(&json!({ "inputs": picture, "parameters": parameters }))
        };
        let answer = match self.send(&order.model, call).await {
            // An endpoint that was asleep: it has done nothing yet.
            Err(Error::Unclear { status: 502, .. }) => {
                return Err(Error::Busy { engine: TITLE, after: None });
            }
            Err(Error::Unclear { status: 500, detail, .. }) => return Err(Error::Failed { detail }),
            other => other?,
        };
        let is_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let bytes = answer.read(ANSWER_BYTES_MAX).await.map_err(at_once)?;
        let bytes = if is_json {
            picture_in(&bytes).ok_or(Error::BadResult { engine: TITLE, source: None })?
        } else {
            bytes
        };
        Ok(Submitted::Ready(Finished { picture: Whereabouts::Here(bytes), id: None, compute_s: None }))
    }

    async fn submit_routed(&self, order: &Order, served: &Served) -> Result<Submitted> {
        let Served { provider, id, .. } = served;
        let base = format!("{}/{}", self.router, provider.name());
        let accepted = |id: &str, path: &str| {
            let address = format!("{}{path}", provider.name());
            Ok(Submitted::Accepted(Handle { id: id.to_owned(), address: Some(address) }))
        };
        let post = async |path: String, body: Value, within: Duration| -> Result<Value> {
            let call = self.call(Method::POST, &format!("{base}{path}"))?.json(&body).within(within);
            self.ask(&order.model, call).await
        };
        match provider {
            Provider::FalAi => {
                let body = fal_body(order, served);
                let job = post(format!("/{id}?_subdomain=queue"), body, SUBMIT).await?;
                let request = job["request_id"].as_str().filter(|id| is_id(id));
                let path = job["response_url"].as_str().and_then(path_of);
                match (request, path) {
                    (Some(request), Some(path)) => accepted(request, &path),
                    _ => Err(not_understood("a job without an address")),
                }
            }
            Provider::Replicate => {
                let mut body = replicate::routed_input(order);
                let path = match id.split_once(':') {
                    Some((_, version)) => {
                        body["version"] = version.into();
                        "/v1/predictions".to_owned()
                    }
                    None => format!("/v1/models/{id}/predictions"),
                };
                if served.adapter.is_some() {
                    body["input"]["lora_weights"] =
                        format!("https://huggingface.co/{}", order.model.target).into();
                }
                let job = post(path, body, SUBMIT).await?;
                let job = job["id"].as_str().filter(|id| is_id(id));
                let job = job.ok_or_else(|| not_understood("a prediction without an id"))?;
                accepted(job, &format!("/v1/predictions/{job}"))
            }
            Provider::Wavespeed => {
                let mut body = order.merged_parameters();
                body.insert("image".into(), data_url(&order.picture).into());
                body.insert("images".into(), json!([data_url(&order.picture)]));
                let job = post(format!("/api/v3/{id}"), body.into(), SUBMIT).await?;
                let path = job["data"]["urls"]["get"].as_str().and_then(path_of);
                let path = path.ok_or_else(|| not_understood("a job without an address"))?;
                accepted(job["data"]["id"].as_str().filter(|id| is_id(id)).unwrap_or("job"), &path)
            }
            Provider::Together => {
                let call = self.call(Method::POST, &format!("{base}/v1/images/generations"))?;
                let call = call.json(&together_body(order, id)).within(AT_ONCE);
                let answer = self.send(&order.model, call).await?;
                let result = answer.read(ANSWER_BYTES_MAX).await.map_err(at_once)?;
                let result: Value = serde_json::from_slice(&result).unwrap_or_default();
                let bytes = picture_of(&result["data"][0]["b64_json"]);
                let bytes = bytes.ok_or(Error::BadResult { engine: TITLE, source: None })?;
                Ok(Submitted::Ready(Finished {
                    picture: Whereabouts::Here(bytes),
                    id: None,
                    compute_s: None,
                }))
            }
        }
    }
}

fn fal_body(order: &Order, served: &Served) -> Value {
    let mut body = order.merged_parameters();
    body.insert("image_url".into(), data_url(&order.picture).into());
    body.insert("image_urls".into(), json!([data_url(&order.picture)]));
    if let Some(weights) = &served.adapter {
        let path = format!("https://huggingface.co/{}/resolve/main/{weights}", order.model.target);
        body.insert("loras".into(), json!([{ "path": path, "scale": 1 }]));
    }
    body.into()
}

fn together_body(order: &Order, id: &str) -> Value {
    let mut body = order.merged_parameters();
    if let Some(steps) = body.remove("num_inference_steps") {
        body.insert("steps".into(), steps);
    }
    body.entry("prompt").or_insert_with(|| "".into());
    body.insert("model".into(), id.into());
    body.insert("response_format".into(), "base64".into());
    let picture = data_url(&order.picture);
    if id.contains("FLUX.1-Kontext") || id.contains("FLUX.1-kontext") {
        body.insert("image_url".into(), picture.into());
    } else {
        body.insert("reference_images".into(), json!([picture]));
    }
    body.into()
}

/// A failure while the picture of an answer is read: it was computed, and can't be asked for again.
fn at_once(error: outbound::Error) -> Error {
    match error {
        outbound::Error::TooLarge { .. } => Error::BadResult { engine: TITLE, source: None },
        other => other.into(),
    }
}

/// A picture in a JSON answer, in one of the shapes that servers give it.
fn picture_in(body: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let item = if value.is_array() { &value[0] } else { &value };
    [item, &item["image"], &item["blob"], &item["generated_image"]].into_iter().find_map(picture_of)
}

fn picture_of(value: &Value) -> Option<Vec<u8>> {
    let text = value.as_str()?;
    let text = text.split_once(";base64,").map_or(text, |(_, data)| data);
    BASE64_STANDARD.decode(text).ok()
}

/// The provider and the path below it that a job is asked for at.
fn address(handle: &Handle) -> Result<(Provider, &str)> {
    let address = handle.address.as_deref().unwrap_or_default();
    let at = address.find('/').unwrap_or(address.len());
    let provider =
        Provider::find(&address[..at]).ok_or_else(|| not_understood("a job without a provider"))?;
    Ok((provider, &address[at..]))
}

/// The path of an address that a provider gave, if it is one that can stand below the router.
fn path_of(url: &str) -> Option<String> {
    let path = outbound::Url::parse(url).ok()?.path().trim_end_matches('/').to_owned();
    let parts = path.strip_prefix('/')?;
    parts.split('/').all(is_name).then_some(path)
}

fn not_understood(what: &'static str) -> Error {
    Error::NotUnderstood { engine: TITLE, what }
}

fn no_token() -> Error {
    Error::NotConfigured { engine: TITLE, setting: "engines.hugging_face.token" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hub_says_who_serves_a_model_in_two_shapes() {
        let fal = json!({"provider": "fal-ai", "providerId": "fal-ai/flux/edit", "status": "live", "task": "image-to-image"});
        let staged = json!({"provider": "replicate", "providerId": "a/b", "status": "staging", "task": "image-to-image"});
        let other =
            json!({"provider": "together", "providerId": "a/b", "status": "live", "task": "text-to-image"});
        let evil = json!({"provider": "wavespeed", "providerId": "../../x?y", "status": "live", "task": "image-to-image"});
        let expected =
            vec![Served { provider: Provider::FalAi, id: "fal-ai/flux/edit".into(), adapter: None }];
        let listed = mapping(&json!([fal, staged, other, evil, 3, null]));
        assert_eq!(listed.served, expected);
        assert_eq!(listed.others[0], "replicate (image-to-image, staging)");
        let listed = mapping(&json!({"fal-ai": fal, "replicate": staged, "nobody": fal}));
        assert_eq!((&listed.served, listed.others.len()), (&expected, 2));
        assert_eq!(mapping(&Value::Null), Listing::default());
        let model = |provider: Option<&str>| Model {
            provider: provider.map(str::to_owned),
            ..Model::unlisted(NAME, "a/b")
        };
        assert_eq!(listed.find(&model(None)).unwrap().provider, Provider::FalAi);
        assert!(matches!(listed.find(&model(Some("replicate"))), Err(Error::NoProvider { .. })));
    }

    #[test]
    fn only_plain_paths_are_taken_from_providers() {
        assert_eq!(path_of("https://queue.fal.run/fal-ai/x/requests/1"), Some("/fal-ai/x/requests/1".into()));
        for bad in ["", "https://queue.fal.run", "https://a/b%2F..", "no url"] {
            assert_eq!(path_of(bad), None, "{bad}");
        }
    }
}
