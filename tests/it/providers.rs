//! A stand-in for the machines of others: one local server that speaks what Replicate, the router and the Hub of
//! Hugging Face, an Inference Endpoint and a Gradio app document, counts what costs something, and fails as told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use safelight::config::{Config, PublicUrl, Secret};
use safelight::imaging::{self, Channels, EncodeOptions, Format, Image, Samples};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The token that the stand-in wants, and that nobody else may see.
pub(crate) const TOKEN: &str = "secret-token";

/// What Replicate signs its calls with. It has an underscore inside, as a careless reader would split at.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_c2VjcmV0LW9mLXRo_XMtdGVzdC0tLS0tLS0t";

/// How the stand-in behaves.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Mood {
    #[default]
    Fine,
    /// The next so many creations are answered with this status.
    Refusing(u16, usize),
    /// The creation is counted and then never answered.
    Silent,
    /// The creation is counted and the answer breaks off.
    Breaking,
    /// Jobs stay unfinished.
    Slow,
    /// Jobs fail.
    Failing,
    /// The result is a page for browsers.
    Html,
    /// The result ends early.
    Truncated,
    /// The result says that it has 5 GB.
    Huge,
    /// The result has moved to this address.
    Moved(String),
    /// The result is said to lie at this address.
    Elsewhere(String),
    /// The result has this size.
    Sized(u32, u32),
}

/// What has happened at the stand-in so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Jobs that were created, each of which costs something.
    pub(crate) created: usize,
    pub(crate) polled: usize,
    pub(crate) stopped: usize,
    pub(crate) uploads: usize,
    /// Method, path and `Authorization` of each request.
    pub(crate) requests: Vec<(Method, String, Option<String>)>,
    /// The path and the body of the last creation.
    pub(crate) created_at: Option<String>,
    pub(crate) body: Value,
}

/// The stand-in.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    mood: Mutex<Mood>,
    /// Whether the Gradio app is one of version 4, which has the same elsewhere.
    old_gradio: AtomicBool,
    seen: watch::Sender<Seen>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner {
            mood: Mutex::default(),
            old_gradio: AtomicBool::new(false),
            seen: watch::channel(Seen::default()).0,
        };
        let provider = Self { url, inner: Arc::new(inner) };
        let router = Router::new().fallback(answer).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Sets all engines up to use the stand-in.
    pub(crate) fn configure(&self, config: &mut Config) {
        let url = PublicUrl::parse(&self.url).unwrap();
        let token = Some(Secret::new(TOKEN));
        config.engines.replicate.token.clone_from(&token);
        config.engines.replicate.base_url = url.clone();
        config.engines.hugging_face.token = token;
        config.engines.hugging_face.router_url = url.clone();
        config.engines.hugging_face.hub_url = url.clone();
        config.engines.hugging_face.endpoints = vec![url.clone()];
        config.engines.space.urls = vec![url];
    }

    pub(crate) fn mood(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
    }

    /// Makes the Gradio app one of version 4.
    pub(crate) fn become_gradio_4(&self) {
        self.inner.old_gradio.store(true, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> Seen {
        self.inner.seen.borrow().clone()
    }

    /// Forgets what has happened.
    pub(crate) fn forget(&self) {
        self.inner.seen.send_replace(Seen::default());
    }

    /// Waits until something has happened.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Seen) -> bool) {
        let mut seen = self.inner.seen.subscribe();
        tokio::time::timeout(Duration::from_secs(60), seen.wait_for(wanted)).await.unwrap().unwrap();
    }

    fn note(&self, change: impl FnOnce(&mut Seen)) {
        self.inner.seen.send_modify(change);
    }
}

/// A flat picture, lighter than anything that is sent.
pub(crate) fn result(width: u32, height: u32) -> Vec<u8> {
    let samples = Samples::U8(vec![250; (width * height * 3) as usize]);
    let image = Image { width, height, channels: Channels::Rgb, samples };
    imaging::encode(&image, &EncodeOptions::new(Format::Png)).unwrap()
}

async fn answer(State(provider): State<Provider>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut path = parts.uri.path().to_owned();
    let token = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    provider.note(|seen| seen.requests.push((parts.method.clone(), path.clone(), token)));
    let mood = provider.inner.mood.lock().unwrap().clone();
    if provider.inner.old_gradio.load(Ordering::Relaxed) {
        if path.starts_with("/gradio_api") {
            return (StatusCode::NOT_FOUND, r#"{"detail":"Not Found"}"#).into_response();
        }
        if matches!(path.as_str(), "/info" | "/upload") || path.starts_with("/call/") {
            path.insert_str(0, "/gradio_api");
        }
    }
    let get = parts.method == Method::GET;
    let is_gradio = path.starts_with("/gradio_api");
    let is_file = path.starts_with("/results") || path.contains("/file=");
    let authorised =
        parts.headers.get(header::AUTHORIZATION).is_some_and(|token| token == &*format!("Bearer {TOKEN}"));
    if !is_gradio && !is_file && !authorised {
        return (StatusCode::UNAUTHORIZED, "who are you?").into_response();
    }
    if is_file {
        return file(&mood);
    }
    match (get, path.as_str()) {
        (false, path) if path.ends_with("/cancel") => {
            provider.note(|seen| seen.stopped += 1);
            json_answer(json!({}))
        }
        (false, path) if creates(path, &parts.headers) => create(&provider, mood, path, &bytes).await,
        (false, "/v1/files") => {
            provider.note(|seen| seen.uploads += 1);
            json_answer(json!({"id": "file1", "urls": {"get": format!("{}/v1/files/file1", provider.url)}}))
        }
        (false, "/gradio_api/upload") => json_answer(json!(["/tmp/gradio/picture.jpg"])),
        (true, path) => look(&provider, &mood, path),
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn creates(path: &str, headers: &HeaderMap) -> bool {
    path.ends_with("/predictions")
        || path.starts_with("/fal-ai/acme")
        || path.starts_with("/wavespeed/api/v3/acme")
        || path == "/together/v1/images/generations"
        || path.starts_with("/gradio_api/call/")
        || path == "/" && headers.contains_key(header::CONTENT_TYPE)
}

async fn create(provider: &Provider, mood: Mood, path: &str, body: &Bytes) -> Response {
    if let Mood::Refusing(status, times) = mood
        && times > 0
    {
        provider.mood(Mood::Refusing(status, times - 1));
        let status = StatusCode::from_u16(status).unwrap();
        let detail = json!({"detail": "Not like this."}).to_string();
        let headers = [("retry-after", "0"), ("content-type", "application/json")];
        return (status, headers, detail).into_response();
    }
    provider.note(|seen| {
        seen.created += 1;
        seen.created_at = Some(path.to_owned());
        seen.body = serde_json::from_slice(body).unwrap_or(Value::Null);
    });
    match mood {
        Mood::Silent => std::future::pending().await,
        Mood::Breaking => {
            let broken =
                stream::iter([Ok(Bytes::from_static(b"{\"id\":")), Err(std::io::Error::other("gone"))]);
            return Response::builder().status(201).body(Body::from_stream(broken)).unwrap();
        }
        _ => {}
    }
    let url = &provider.url;
    match path {
        path if path.starts_with("/fal-ai") => {
            json_answer(json!({"request_id": "job1", "status": "IN_QUEUE",
                "response_url": "https://queue.example.org/acme/requests/job1"}))
        }
        path if path.starts_with("/wavespeed") => json_answer(json!({"data": {"id": "job1",
            "urls": {"get": "https://api.example.org/api/v3/predictions/job1/result"}}})),
        path if path.starts_with("/together") => {
            let Some(bytes) = sent_at_once(&mood) else { return json_answer(json!({"data": [{}]})) };
            let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
            json_answer(json!({"data": [{"b64_json": text}]}))
        }
        path if path.starts_with("/gradio_api") => json_answer(json!({"event_id": "job1"})),
        "/" => match mood {
            Mood::Failing => (StatusCode::INTERNAL_SERVER_ERROR, "out of memory").into_response(),
            mood => file(&mood),
        },
        _ => (
            StatusCode::CREATED,
            json_answer(json!({"id": "job1", "status": "starting", "output": null,
            "urls": {"get": format!("{url}/v1/predictions/job1")}})),
        )
            .into_response(),
    }
}

fn sent_at_once(mood: &Mood) -> Option<Vec<u8>> {
    match mood {
        Mood::Failing => None,
        Mood::Html => Some(b"<html>no</html>".to_vec()),
        Mood::Truncated => Some(result(200, 150)[..100].to_vec()),
        Mood::Sized(width, height) => Some(result(*width, *height)),
        _ => Some(result(200, 150)),
    }
}

/// Everything that is asked and costs nothing.
fn look(provider: &Provider, mood: &Mood, path: &str) -> Response {
    let is_poll = path.contains("job1");
    if is_poll {
        provider.note(|seen| seen.polled += 1);
    }
    let (slow, failing) = (*mood == Mood::Slow, *mood == Mood::Failing);
    let output = match mood {
        Mood::Elsewhere(url) => url.clone(),
        _ => format!("{}/results/1.png", provider.url),
    };
    match path {
        "/v1/predictions/job1" | "/replicate/v1/predictions/job1" => {
            let status = if slow {
                "processing"
            } else if failing {
                "failed"
            } else {
                "succeeded"
            };
            let error = failing.then_some("CUDA out of memory");
            let output = (!slow && !failing).then_some([output]);
            json_answer(json!({"id": "job1", "status": status, "output": output, "error": error,
                "logs": "40%|####  | 4/10", "metrics": {"predict_time": 1.5}}))
        }
        "/fal-ai/acme/requests/job1/status" => {
            let status = if slow {
                "IN_PROGRESS"
            } else if failing {
                "ERROR"
            } else {
                "COMPLETED"
            };
            json_answer(json!({"status": status, "error": "CUDA out of memory"}))
        }
        "/fal-ai/acme/requests/job1" => json_answer(json!({"images": [{"url": output}]})),
        "/wavespeed/api/v3/predictions/job1/result" => {
            let status = if slow {
                "processing"
            } else if failing {
                "failed"
            } else {
                "completed"
            };
            json_answer(
                json!({"data": {"status": status, "outputs": [output], "error": "CUDA out of memory"}}),
            )
        }
        "/v1/webhooks/default/secret" => json_answer(json!({"key": WEBHOOK_SECRET})),
        "/v1/models/acme/official" => {
            json_answer(json!({"is_official": true, "description": "Old photo colorization",
            "latest_version": {"id": "77", "openapi_schema": {"components": {"schemas": {
                "Input": {"properties": {"input_image": {"type": "string", "format": "uri"}}},
                "Output": {"type": "string", "format": "uri"}}}}}}))
        }
        "/v1/models/acme/chat" => json_answer(json!({"latest_version": {"id": "78", "openapi_schema": {
            "components": {"schemas": {"Input": {"properties": {"prompt": {"type": "string"}}}}}}}})),
        "/v1/models/acme/mend" => json_answer(
            json!({"description": "Mends faces", "latest_version": {"id": "5c7d", "openapi_schema": {
            "components": {"schemas": {"Input": {"required": ["img"], "properties": {
                "img": {"type": "string", "format": "uri", "x-order": 0},
                "scale": {"type": "number", "title": "Scale", "default": 2, "minimum": 1, "maximum": 4, "x-order": 1},
            }}}}}}}),
        ),
        "/v1/models/acme/mend/versions/5c7d" => json_answer(json!({"id": "5c7d"})),
        "/api/whoami-v2" => json_answer(json!({"name": "olive"})),
        "/api/models/acme/editor" => {
            let entry = |provider: &str, id: &str| json!({"provider": provider, "providerId": id, "status": "live", "task": "image-to-image"});
            json_answer(json!({"inferenceProviderMapping": [entry("fal-ai", "acme/edit"),
                entry("replicate", "acme/editor"), entry("wavespeed", "acme/edit"), entry("together", "acme/edit")]}))
        }
        // The Hub's other shape.
        "/api/models/acme/object" => json_answer(json!({"inferenceProviderMapping": {
            "wavespeed": {"providerId": "acme/o", "status": "live", "task": "image-to-image"},
            "nscale": {"providerId": "x", "status": "live", "task": "text-to-image"}}})),
        "/api/models/acme/words" => json_answer(json!({"inferenceProviderMapping": [
            {"provider": "together", "providerId": "acme/w", "status": "live", "task": "text-generation"}]})),
        "/gradio_api/info" => json_answer(json!({"named_endpoints": {"/mend": {"parameters": [
            {"label": "Photo", "parameter_name": "photo", "component": "Image", "type": {}},
            {"label": "Scale", "parameter_name": "scale", "component": "Slider", "type": {"type": "number"},
             "parameter_has_default": true, "parameter_default": 2}]}, "/clear": {"parameters": []}}})),
        "/gradio_api/call/mend/job1" => events(slow, failing, &output),
        _ => (StatusCode::NOT_FOUND, "nothing here").into_response(),
    }
}

fn events(slow: bool, failing: bool, output: &str) -> Response {
    let beat = stream::iter(["event: heartbeat\ndata: null\n\n".to_owned()]);
    let end = if failing {
        "event: error\ndata: null\n\n".to_owned()
    } else {
        format!("event: complete\ndata: {}\n\n", json!([{"path": "/tmp/1.png", "url": output}]))
    };
    let end = stream::once(async move {
        if slow {
            std::future::pending::<()>().await;
        }
        end
    });
    let body = Body::from_stream(beat.chain(end).map(Ok::<_, std::io::Error>));
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

/// The result, as good as the mood is.
fn file(mood: &Mood) -> Response {
    let picture = result(200, 150);
    match mood {
        Mood::Html => ([("content-type", "text/html")], "<html>Something went wrong</html>").into_response(),
        Mood::Truncated => picture[..picture.len() / 2].to_vec().into_response(),
        Mood::Moved(url) => (StatusCode::FOUND, [("location", url.clone())]).into_response(),
        Mood::Huge => {
            let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536])));
            Response::builder()
                .header("content-length", 5_u64 << 30)
                .body(Body::from_stream(endless))
                .unwrap()
        }
        Mood::Sized(width, height) => result(*width, *height).into_response(),
        _ => ([("content-type", "image/png")], picture).into_response(),
    }
}

fn json_answer(value: Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}
