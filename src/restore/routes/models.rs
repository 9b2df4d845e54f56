//! The list of models over HTTP.

use std::time::Instant;

use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, Path, Problem, ProblemBody};
use crate::app::App;
use crate::clock::Timestamp;
use crate::engine::remote::{Form, Found, Lookup, Model};
use crate::engine::{Engine, StepInfo};
use crate::restore::Error;
use crate::restore::pipeline::sentence;
use crate::restore::registry::{self, Entry, listing};

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_models, post_model))
        .routes(routes!(patch_model, delete_model))
        .routes(routes!(get_form))
        .routes(routes!(test_model))
        .routes(routes!(look_up_model))
        .routes(routes!(export_models))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(import_models))
                .layer(DefaultBodyLimit::max(listing::FILE_BYTES_MAX)),
        )
}

/// Something that restores pictures: the built-in engine, or a model of an engine on another machine.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
struct ModelView {
    /// The name to ask for.
    id: String,
    /// What a person calls it.
    name: String,
    /// The engine that runs it.
    engine: String,
    /// What a person calls the engine.
    engine_name: &'static str,
    /// What it can do; for the built-in engine in the order in which it does it.
    steps: Vec<StepInfo>,
    /// Whether it draws pictures anew: its results may show what the photograph never did.
    recreates: bool,
    /// Whether pictures leave this machine.
    remote: bool,
    /// Whether it can be asked for now.
    available: bool,
    /// Why it can't, in a sentence.
    unavailable_reason: Option<String>,
    /// Whether an admin permits it.
    enabled: bool,
    /// When its provider said that it is no longer offered.
    retired_at: Option<Timestamp>,
    /// Whether it came with Safelight, so that it can't be changed.
    shipped: bool,
    /// Whether it is a file in the folder of models, so that it is changed there.
    installed: bool,
    /// How the engine is to use it; null for the built-in engine.
    settings: Option<Model>,
}

impl ModelView {
    fn of_engine(engine: &dyn Engine) -> Self {
        Self {
            id: engine.name().into(),
            name: engine.title().into(),
            engine: engine.name().into(),
            engine_name: engine.title(),
            steps: engine.steps().to_vec(),
            recreates: engine.recreates(),
            remote: false,
            available: true,
            unavailable_reason: None,
            enabled: true,
            retired_at: None,
            shipped: true,
            installed: false,
            settings: None,
        }
    }

    fn of_entry(app: &App, entry: Entry) -> Self {
        let engine = app.engines.find(&entry.model.engine);
        let reason = match engine.and_then(|engine| engine.remote()) {
            None => Some("There is no such engine any more.".to_owned()),
            Some(remote) => {
                let unavailable = remote.unavailable(&entry.model).map(|why| sentence(&why));
                unavailable.or_else(|| entry.check().err().map(|why| sentence(&why)))
            }
        };
        let infos = engine.map(|engine| engine.steps()).unwrap_or_default();
        Self {
            id: entry.model.id.clone(),
            name: entry.model.name.clone(),
            engine: entry.model.engine.clone(),
            engine_name: engine.map_or("", |engine| engine.title()),
            steps: infos.iter().filter(|info| entry.model.steps.contains(&info.step)).copied().collect(),
            recreates: entry.model.recreates,
            remote: engine.and_then(|engine| engine.remote()).is_none_or(|engine| !engine.is_here()),
            available: reason.is_none(),
            unavailable_reason: reason,
            enabled: entry.enabled,
            retired_at: entry.retired_at,
            shipped: entry.shipped,
            installed: entry.installed,
            settings: Some(entry.model),
        }
    }
}

/// What can restore, and what each step does
#[utoipa::path(get, path = "/models", tag = "restorations", responses((status = 200, body = Page<ModelView>)))]
async fn get_models(
    State(app): State<App>,
    _: Allowed<may::LibraryRead>,
) -> Result<Json<Page<ModelView>>, Problem> {
    let here = app.engines.all().filter(|engine| engine.remote().is_none());
    let mut models: Vec<ModelView> = here.map(|engine| ModelView::of_engine(&**engine)).collect();
    models.extend(registry::list(&app).await?.into_iter().map(|entry| ModelView::of_entry(&app, entry)));
    Ok(Json(Page::whole(models)))
}

/// Adds a model
#[utoipa::path(post, path = "/models", tag = "restorations", request_body = Model, responses(
    (status = 201, body = ModelView), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn post_model(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Json(model): Json<Model>,
) -> Result<(StatusCode, Json<ModelView>), Problem> {
    let added = registry::add(&app, &user.actor(), model).await?;
    Ok((StatusCode::CREATED, Json(ModelView::of_entry(&app, added))))
}

/// What is to change of a model: any of its members but its id.
#[derive(Debug, Deserialize, ToSchema)]
struct ModelChange {
    /// Whether it may be used. Switching one on also forgets that it was retired.
    enabled: Option<bool>,
    /// Other members, for models that an admin has added.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    rest: Map<String, Value>,
}

/// Changes a model, or switches it on or off
#[utoipa::path(patch, path = "/models/{id}", tag = "restorations", params(("id" = String, Path)),
    request_body = ModelChange, responses((status = 200, body = ModelView), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn patch_model(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Path(id): Path<String>,
    Json(change): Json<ModelChange>,
) -> Result<Json<ModelView>, Problem> {
    let changed = registry::change(&app, &user.actor(), id, change.enabled, change.rest).await?;
    Ok(Json(ModelView::of_entry(&app, changed)))
}

/// Removes a model that an admin has added
#[utoipa::path(delete, path = "/models/{id}", tag = "restorations", params(("id" = String, Path)), responses(
    (status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
async fn delete_model(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    registry::remove(&app, &user.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a model wants to know
///
/// Asked at its provider, which costs nothing.
#[utoipa::path(get, path = "/models/{id}/form", tag = "restorations", params(("id" = String, Path)), responses(
    (status = 200, body = Form), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn get_form(
    State(app): State<App>,
    _: Allowed<may::Restore>,
    Path(id): Path<String>,
) -> Result<Json<Form>, Problem> {
    Ok(Json(registry::inspect(&app, &id).await?))
}

/// What a test of a model has shown.
#[derive(Debug, Serialize, ToSchema)]
struct ModelTest {
    /// Whether it can be used, as far as that is known without calling it.
    ok: bool,
    /// A word that programs may depend on; null if all is well.
    code: Option<&'static str>,
    /// A sentence for a person.
    detail: String,
    /// How long its provider took to answer, in milliseconds.
    duration_ms: u64,
}

/// Tests whether a model can be reached
///
/// Asks its provider about it with the configured key. Nothing is sent to the model, and nothing costs anything.
#[utoipa::path(post, path = "/models/{id}/test", tag = "restorations", params(("id" = String, Path)), responses(
    (status = 200, body = ModelTest), (status = 404, body = ProblemBody)))]
async fn test_model(
    State(app): State<App>,
    _: Allowed<may::SettingsManage>,
    Path(id): Path<String>,
) -> Result<Json<ModelTest>, Problem> {
    let started = Instant::now();
    let tested = registry::inspect(&app, &id).await;
    let duration_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
    let test = |ok, code, detail| ModelTest { ok, code, detail, duration_ms };
    Ok(Json(match tested {
        Ok(_) => test(true, None, "The model is there and the key is accepted.".to_owned()),
        Err(Error::Remote(why)) => test(false, Some(why.code()), sentence(&why)),
        Err(other) => return Err(other.into()),
    }))
}

/// Which model of which provider to look for.
#[derive(Debug, Deserialize, ToSchema)]
struct ModelLookup {
    /// The engine: `hugging_face`, `replicate` or `space`.
    engine: String,
    /// The provider's name of the model, or the address of an endpoint or an app.
    target: String,
    /// Who shall run it on Hugging Face; the first that does where it is not said.
    provider: Option<String>,
    /// The function of a Gradio app; the first that takes a picture where it is not said.
    api_name: Option<String>,
}

/// What a provider says about a model.
#[derive(Debug, Serialize, ToSchema)]
struct FoundModel {
    /// A draft to look at, to change and to add. Nothing was added.
    model: Model,
    /// What the model wants to know.
    form: Form,
    /// What one should know before adding it, a sentence each.
    notes: Vec<String>,
}

/// Looks for a model at its provider
///
/// Asks with the configured key, which costs nothing, and drafts an entry of the list.
#[utoipa::path(post, path = "/models/lookup", tag = "restorations", request_body = ModelLookup, responses(
    (status = 200, body = FoundModel), (status = 422, body = ProblemBody)))]
async fn look_up_model(
    State(app): State<App>,
    _: Allowed<may::SettingsManage>,
    Json(asked): Json<ModelLookup>,
) -> Result<Json<FoundModel>, Problem> {
    let ModelLookup { engine, target, provider, api_name } = asked;
    let wanted = Lookup { target: target.trim().to_owned(), provider, api_name };
    let Found { model, form, notes } = registry::look_up(&app, &engine, &wanted).await?;
    Ok(Json(FoundModel { model, form, notes }))
}

/// The models that an admin has added, as TOML
#[utoipa::path(get, path = "/models/toml", tag = "restorations", responses(
    (status = 200, content_type = "application/toml", body = String)))]
async fn export_models(State(app): State<App>, _: Allowed<may::SettingsManage>) -> Result<Response, Problem> {
    let text = registry::export(&app).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/toml"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"models.toml\""),
    ];
    Ok((headers, text).into_response())
}

/// Takes models from TOML
///
/// All or none: the answer to a list with mistakes names each of them with its line. A model that has the id of one
/// that was added before takes its place.
#[utoipa::path(post, path = "/models/import", tag = "restorations",
    request_body(content = String, content_type = "application/toml"), responses(
    (status = 200, body = Page<ModelView>), (status = 413, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn import_models(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Page<ModelView>>, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "A list of models has at most 256 kB.")
        }
        status => Problem::new(status, "bad-body", "The request's body could not be read."),
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| {
        Problem::validation("This list is not text in UTF-8.").field("file", "It is not UTF-8.")
    })?;
    let taken = registry::import(&app, &user.actor(), text).await?;
    Ok(Json(Page::whole(taken.into_iter().map(|entry| ModelView::of_entry(&app, entry)).collect())))
}
