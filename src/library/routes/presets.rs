//! Renderings with a name: to be seen by readers, to be edited by whoever manages settings.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, Path, Problem};
use crate::app::App;
use crate::imaging::BadTransform;
use crate::library::{self, DeliveryPreset, Error, Wish};

/// A rendering written down: `"w=320&format=webp"` or `{"w": 320, "format": "webp"}`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum TransformText {
    Query(String),
    Parts(serde_json::Map<String, serde_json::Value>),
}

impl TransformText {
    /// What it means.
    pub(super) fn wish(&self) -> Result<Wish, Problem> {
        let pairs: Vec<(String, String)> = match self {
            Self::Query(text) => text
                .split('&')
                .filter(|part| !part.is_empty())
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            Self::Parts(parts) => parts.iter().map(|(name, value)| (name.clone(), text_of(value))).collect(),
        };
        Wish::read_strictly(&pairs).map_err(|bad| Error::BadTransform(bad).into())
    }
}

fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(flag) => u8::from(*flag).to_string(),
        other => other.to_string(),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct PresetForm {
    /// What the preset is to be.
    transform: TransformText,
}

/// Lists the renderings that have a name.
#[utoipa::path(get, path = "/delivery/presets", tag = "library", operation_id = "list_delivery_presets",
    responses((status = 200, body = Page<DeliveryPreset>)))]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<may::LibraryRead>,
) -> Result<Json<Page<DeliveryPreset>>, Problem> {
    Ok(Json(Page::whole(library::list_presets(&app).await?)))
}

/// Gives a rendering a name, or the name another rendering.
#[utoipa::path(put, path = "/delivery/presets/{name}", tag = "library", operation_id = "put_delivery_preset",
    params(("name" = String, Path)),
    responses((status = 200, body = DeliveryPreset), (status = 400), (status = 409), (status = 422)))]
pub(super) async fn put(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Path(name): Path<String>,
    Json(form): Json<PresetForm>,
) -> Result<Json<DeliveryPreset>, Problem> {
    let Wish::Own(transform) = form.transform.wish()? else {
        let why = "Describe the rendering, for example w=320&h=200&fit=cover.".to_owned();
        return Err(Error::BadTransform(BadTransform { parameter: "transform", why }).into());
    };
    Ok(Json(library::put_preset(&app, &user.actor(), &name, transform).await?))
}

/// Removes a named rendering.
#[utoipa::path(delete, path = "/delivery/presets/{name}", tag = "library", operation_id = "remove_delivery_preset",
    params(("name" = String, Path)), responses((status = 204), (status = 404), (status = 409)))]
pub(super) async fn remove(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    library::remove_preset(&app, &user.actor(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
