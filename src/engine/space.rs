//! Gradio apps: Spaces on Hugging Face and apps of one's own, by the call protocol of Gradio 4, 5 and 6.
//!
//! A picture is uploaded, a function is called, which is the one request that costs quota, and the result comes as
//! server-sent events. Gradio 4 has the same below another path. A public Space belongs to strangers, so that pictures
//! go to one only if the configuration permits it.

mod events;

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Map, Value, json};

use super::remote::{
    self, ASK, Error, Field, FieldKind, Finished, Form, Found, Handle, Line, Lookup, Model, Order, Protocol,
    Result, SUBMIT, Stage, Submitted, Whereabouts, draft, refusal,
};
use super::replicate::is_name;
use crate::config;
use crate::outbound::{self, Method, Part, StatusCode};
pub use events::{Event, Events};

/// The name of the engine.
pub const NAME: &str = "space";

/// What people call it.
const TITLE: &str = "the Gradio app";

/// Where the protocol lies: since Gradio 5, and in Gradio 4.
const PREFIXES: [&str; 2] = ["/gradio_api", ""];

/// The longest stream of events that is listened to; previews come in it too.
const EVENT_BYTES_MAX: usize = 32 << 20;

/// Gradio apps.
pub struct Space {
    line: Line,
    settings: ArcSwap<config::Space>,
}

/// One function of an app.
#[derive(Debug, Clone, PartialEq)]
struct Function {
    name: String,
    inputs: Vec<Input>,
}

/// One input of a function, in their order.
#[derive(Debug, Clone, PartialEq)]
struct Input {
    field: Field,
    is_picture: bool,
    has_default: bool,
}

impl Space {
    /// Makes the engine.
    pub fn new(line: Line, settings: &config::Space) -> Self {
        Self { line, settings: ArcSwap::from_pointee(settings.clone()) }
    }

    /// Where the app of a model is.
    fn home(&self, model: &Model) -> Result<String> {
        if let Some(address) = model.address() {
            let known =
                self.settings.load().urls.iter().map(ToString::to_string).find(|known| known == address);
            return known.ok_or(Error::NotConfigured { engine: TITLE, setting: "engines.space.urls" });
        }
        if !self.settings.load().enabled {
            return Err(Error::NotConfigured { engine: TITLE, setting: "engines.space.enabled" });
        }
        subdomain(&model.target)
            .map(|name| format!("https://{name}.hf.space"))
            .ok_or_else(|| Error::NoSuchModel { model: model.target.clone(), detail: String::new() })
    }

    fn call(&self, method: Method, url: &str) -> Result<outbound::Call> {
        let call = self.line.outbound.call(method, url)?;
        Ok(call.token("Bearer", self.settings.load().token.as_ref()).within(ASK))
    }

    async fn ask(&self, model: &Model, call: outbound::Call) -> Result<Value> {
        let answer = call.send().await?;
        if !answer.status().is_success() {
            return Err(refusal(TITLE, model, answer).await);
        }
        answer.json().await.map_err(|error| match error {
            outbound::Error::NotUnderstood { .. } => not_understood("the answer is no JSON of theirs"),
            other => other.into(),
        })
    }

    /// Finds out which protocol an app speaks, and its functions.
    async fn info(&self, model: &Model, home: &str) -> Result<(&'static str, Vec<Function>)> {
        for prefix in PREFIXES {
            match self.ask(model, self.call(Method::GET, &format!("{home}{prefix}/info"))?).await {
                Ok(info) => return Ok((prefix, functions(&info))),
                Err(Error::NoSuchModel { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Err(Error::NoSuchModel {
            model: model.target.clone(),
            detail: ": no Gradio app answers there".into(),
        })
    }
}

impl Function {
    fn takes_picture(&self) -> bool {
        self.inputs.iter().any(|input| input.is_picture)
    }
}

/// What a function wants to know besides the picture.
fn form(function: Function) -> Form {
    let image_input = function.inputs.iter().find(|input| input.is_picture);
    let image_input = image_input.map(|input| input.field.name.clone());
    let fields = function.inputs.into_iter().filter(|input| !input.is_picture).map(|input| input.field);
    Form { image_input, fields: fields.collect() }
}

/// The name below `hf.space` of a Space.
fn subdomain(target: &str) -> Option<String> {
    let (owner, name) = target.split_once('/')?;
    if !is_name(owner) || !is_name(name) {
        return None;
    }
    let plain = |text: &str| text.to_ascii_lowercase().replace(['.', '_'], "-");
    let host = format!("{}-{}", plain(owner), plain(name));
    let host = host.trim_matches('-');
    (host.len() <= 63 && !host.is_empty()).then(|| host.to_owned())
}

/// Reads the named functions of an app's description.
fn functions(info: &Value) -> Vec<Function> {
    let Some(named) = info["named_endpoints"].as_object() else { return Vec::new() };
    let read = |(name, described): (&String, &Value)| {
        let name = name.trim_start_matches('/').to_owned();
        let inputs = described["parameters"].as_array()?.iter().enumerate().map(input).collect();
        is_name(&name).then_some(Function { name, inputs })
    };
    named.iter().filter_map(read).collect()
}

fn input((index, described): (usize, &Value)) -> Input {
    let text = |name: &str| described.get(name).and_then(Value::as_str);
    let name = text("parameter_name").map_or_else(|| format!("input_{index}"), str::to_owned);
    let component = text("component").unwrap_or_default();
    let is_picture = matches!(component, "Image" | "Imageeditor" | "ImageEditor");
    let has_default = described["parameter_has_default"].as_bool().unwrap_or(false);
    let mut field = Field::of_schema(&name, &described["type"], !has_default);
    if let Some(label) = text("label") {
        label.clone_into(&mut field.title);
    }
    if is_picture || matches!(component, "File" | "Gallery") {
        field.kind = FieldKind::File;
    }
    field.default = described.get("parameter_default").filter(|default| !default.is_null()).cloned();
    Input { field, is_picture, has_default }
}

/// The function that a model means: the one it names, or the first that takes a picture.
fn function(functions: Vec<Function>, model: &Model) -> Result<Function> {
    let wanted = model.api_name.as_deref().map(|name| name.trim_start_matches('/'));
    let mut fitting = functions.into_iter().filter(|function| match wanted {
        Some(name) => function.name == name,
        None => function.takes_picture(),
    });
    fitting.next().filter(Function::takes_picture).ok_or_else(|| Error::NoSuchModel {
        model: model.target.clone(),
        detail: ": the app has no such function that takes a picture".into(),
    })
}

/// All inputs of a function in their order.
fn arguments(function: &Function, parameters: &Map<String, Value>, picture: &Value) -> Result<Vec<Value>> {
    let mut pictures = 0;
    let mut argument = |input: &Input| {
        if input.is_picture {
            pictures += 1;
            if pictures == 1 {
                return Ok(picture.clone());
            }
        }
        if let Some(given) = parameters.get(&input.field.name) {
            return Ok(given.clone());
        }
        if input.has_default || !input.field.required || input.is_picture {
            return Ok(input.field.default.clone().unwrap_or(Value::Null));
        }
        Err(Error::BadRequest {
            engine: TITLE,
            detail: format!(": it needs the parameter {}", input.field.name),
        })
    };
    function.inputs.iter().map(&mut argument).collect()
}

/// A call that is ready to be made.
pub(super) struct Prepared {
    home: String,
    path: String,
    data: Vec<Value>,
}

impl Protocol for Space {
    type Prepared = Prepared;

    const NAME: &'static str = NAME;
    const TITLE: &'static str = "Gradio apps";

    fn engine(&self) -> &'static str {
        TITLE
    }

    fn not_set_up(&self, model: &Model) -> Option<Error> {
        self.home(model).err()
    }

    async fn inspect(&self, model: &Model) -> Result<Form> {
        let (_, functions) = self.info(model, &self.home(model)?).await?;
        Ok(form(function(functions, model)?))
    }

    async fn look_up(&self, wanted: &Lookup) -> Result<Found> {
        let mut model = draft(NAME, wanted, "");
        let (prefix, functions) = self.info(&model, &self.home(&model)?).await?;
        let (taking, others): (Vec<&Function>, Vec<&Function>) =
            functions.iter().partition(|function| function.takes_picture());
        let names = |functions: &[&Function]| {
            functions
                .iter()
                .take(20)
                .map(|function| format!("/{}", function.name))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if taking.is_empty() {
            let has = if others.is_empty() { "none that has a name".to_owned() } else { names(&others) };
            return Err(Error::TakesNoPicture {
                model: model.target,
                detail: format!(": none of its functions does; it has {has}"),
            });
        }
        let mut notes = vec![format!("Functions that take a picture: {}.", names(&taking))];
        if prefix.is_empty() {
            notes.push("The app speaks the protocol of Gradio 4.".to_owned());
        }
        let chosen = function(functions, &model)?;
        model.api_name = Some(chosen.name.clone());
        if model.address().is_none() {
            notes.push("A public Space belongs to its maker, who sees what is sent to it.".to_owned());
        }
        notes.push(
            "Whether it draws pictures anew, and for which steps it is good, is a guess: check it."
                .to_owned(),
        );
        Ok(Found { model, form: form(chosen), notes })
    }

    fn configure(&self, settings: &config::Engines) {
        self.settings.store(Arc::new(settings.space.clone()));
    }

    fn line(&self) -> &Line {
        &self.line
    }

    fn answers_at_once(&self, _: &Prepared) -> bool {
        false
    }

    async fn prepare(&self, order: &Order) -> Result<Prepared> {
        let home = self.home(&order.model)?;
        let (prefix, functions) = self.info(&order.model, &home).await?;
        let function = function(functions, &order.model)?;
        let part = Part::bytes(order.picture.to_vec()).file_name("picture.jpg");
        let part = part.mime_str("image/jpeg").expect("a media type");
        let call = self.call(Method::POST, &format!("{home}{prefix}/upload"))?;
        let call = call.form(outbound::Form::new().part("files", part)).within(SUBMIT * 5);
        let stored = self.ask(&order.model, call).await?;
        let path = stored[0].as_str().ok_or_else(|| not_understood("an upload without a path"))?;
        let picture = json!({
            "path": path, "orig_name": "picture.jpg", "mime_type": "image/jpeg",
            "meta": { "_type": "gradio.FileData" },
        });
        let data = arguments(&function, &order.merged_parameters(), &picture)?;
        Ok(Prepared { home, path: format!("{prefix}/call/{}", function.name), data })
    }

    async fn submit(&self, order: &Order, prepared: &Prepared) -> Result<Submitted> {
        let call = self.call(Method::POST, &format!("{}{}", prepared.home, prepared.path))?;
        let call = call.json(&json!({ "data": prepared.data })).within(SUBMIT);
        let job = self.ask(&order.model, call).await?;
        let id = job["event_id"].as_str().filter(|id| is_name(id));
        let id = id.ok_or_else(|| not_understood("a call without an id"))?;
        Ok(Submitted::Accepted(Handle { id: id.to_owned(), address: Some(prepared.path.clone()) }))
    }

    /// Listens until the result is there, which is one poll: the events of a call can be heard once.
    async fn poll(&self, order: &Order, handle: &Handle) -> Result<Stage> {
        let home = self.home(&order.model)?;
        let path = handle.address.as_deref().unwrap_or_default();
        let minutes = u64::from(order.model.deadline_minutes.max(1));
        let call = self.call(Method::GET, &format!("{home}{path}/{}", handle.id))?;
        let listening = self.line.pace.minute * order.model.deadline_minutes.max(1);
        let call = call.header("accept", "text/event-stream").within(listening);
        let mut answer = call.send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            // Its events were heard before, by a process that died: whether there was a result is not known.
            return Err(Error::OutcomeUnknown { engine: TITLE });
        }
        if !answer.status().is_success() {
            return Err(refusal(TITLE, &order.model, answer).await);
        }
        let mut events = Events::new(EVENT_BYTES_MAX);
        loop {
            let chunk = match answer.chunk().await {
                Ok(Some(chunk)) => chunk,
                Err(outbound::Error::TimedOut { .. }) => {
                    return Err(Error::TimedOut { engine: TITLE, minutes });
                }
                Ok(None) => return Err(not_understood("the events end without a result")),
                Err(error) => return Err(error.into()),
            };
            let heard = events.push(&chunk).map_err(|_| Error::BadResult { engine: TITLE, source: None })?;
            for event in heard {
                match event.name.as_str() {
                    "complete" => return finished(&event.data, handle, &home, path),
                    "error" => return Err(Error::Failed { detail: failed(&event.data) }),
                    _ => {}
                }
            }
        }
    }

    async fn stop(&self, _: &Order, _: &Handle) -> Result<()> {
        // The protocol has no way to; an app notices by itself that nobody listens.
        Ok(())
    }

    fn fetch(&self, url: &str, home: &str) -> Result<outbound::Call> {
        Ok(self.line.outbound.fetch(url, home, &[])?.token("Bearer", self.settings.load().token.as_ref()))
    }
}

/// What an app says when it fails, which is often nothing.
fn failed(data: &str) -> String {
    let said = remote::complaint(data.as_bytes());
    if matches!(said.as_str(), "" | ": null") {
        return ": the app failed, or its quota is used up".to_owned();
    }
    said
}

fn finished(data: &str, handle: &Handle, home: &str, path: &str) -> Result<Stage> {
    let output: Value = serde_json::from_str(data).map_err(|_| not_understood("a result that is no JSON"))?;
    let file = output.as_array().and_then(|outputs| outputs.iter().find_map(file_in));
    let file = file.ok_or_else(|| not_understood("a result without a picture"))?;
    let prefix = path.split("/call/").next().unwrap_or_default();
    let url = match (file["url"].as_str(), file["path"].as_str()) {
        (Some(url), _) if same_origin(url, home) => url.to_owned(),
        // Behind a proxy an app does not know its own address.
        (_, Some(path)) => format!("{home}{prefix}/file={path}"),
        (Some(url), None) => url.to_owned(),
        (None, None) => return Err(not_understood("a picture without an address")),
    };
    let picture = Whereabouts::At { url, home: home.to_owned() };
    Ok(Stage::Ready(Finished { picture, id: Some(handle.id.clone()), compute_s: None }))
}

/// The file of an output: itself, or of several, as of a slider with before and after, the last.
fn file_in(output: &Value) -> Option<&Value> {
    match output {
        Value::Object(file) if file.contains_key("path") || file.contains_key("url") => Some(output),
        Value::Object(file) => file.values().find_map(file_in),
        Value::Array(items) => items.iter().rev().find_map(file_in),
        _ => None,
    }
}

fn same_origin(url: &str, home: &str) -> bool {
    let origin = |url: &str| outbound::Url::parse(url).ok().map(|url| url.origin());
    origin(url).is_some_and(|of_url| Some(of_url) == origin(home))
}

fn not_understood(what: &'static str) -> Error {
    Error::NotUnderstood { engine: TITLE, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_have_a_host_of_their_own() {
        assert_eq!(subdomain("Owner/My_Space.v2").as_deref(), Some("owner-my-space-v2"));
        for bad in ["", "owner", "o/", "o/n/x", "o/n.evil.org/", "o@x/n", "../n"] {
            assert_eq!(subdomain(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_function_gets_all_its_inputs_in_order() {
        let info = json!({"named_endpoints": {
            "/clear": {"parameters": []},
            "/restore": {"parameters": [
                {"label": "Photo", "parameter_name": "photo", "component": "Image", "type": {"title": "ImageData"}},
                {"label": "Scale", "parameter_name": "scale", "component": "Slider", "type": {"type": "number"},
                 "parameter_has_default": true, "parameter_default": 2},
                {"label": "Words", "parameter_name": "words", "component": "Textbox", "type": {"type": "string"}},
            ]},
        }});
        let function = function(functions(&info), &Model::unlisted(NAME, "a/b")).unwrap();
        assert_eq!(function.name, "restore");
        let words = [("words".to_owned(), json!("mend it"))].into_iter().collect();
        let arguments = |parameters| super::arguments(&function, parameters, &json!("picture"));
        assert_eq!(arguments(&words).unwrap(), [json!("picture"), json!(2), json!("mend it")]);
        assert!(matches!(arguments(&Map::new()), Err(Error::BadRequest { .. })));
    }

    #[test]
    fn the_picture_is_found_in_every_kind_of_output() {
        let file = json!({"path": "/tmp/x.png", "url": "https://a/x.png"});
        for output in [json!([file]), json!([null, file]), json!([[{"path": "/tmp/before.png"}, file]])] {
            assert_eq!(output.as_array().unwrap().iter().find_map(file_in), Some(&file));
        }
    }
}
