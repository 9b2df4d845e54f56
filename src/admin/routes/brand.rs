//! What this instance is called and how it looks, for everybody.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Json;
use crate::app::App;

/// What this instance is called and how it looks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Brand)]
pub(super) struct BrandView {
    /// Its name.
    name: String,
    /// Whether it is one of its own.
    named: bool,
    /// The address of its sign, below the address of this instance.
    logo_url: &'static str,
    /// Its colour; null where it is Safelight's own.
    accent: Option<AccentView>,
}

/// A colour and its shades, as `#rrggbb`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accent)]
struct AccentView {
    /// As it was set.
    colour: String,
    /// For text on the light page.
    on_light: String,
    /// For text on the dark page.
    on_dark: String,
    /// For white text on it.
    solid: String,
}

/// The name, the sign and the colour of this instance; anybody may ask
#[utoipa::path(get, path = "/brand", tag = "admin", operation_id = "show_brand",
    responses((status = 200, body = BrandView)))]
pub(super) async fn show(State(app): State<App>) -> Json<BrandView> {
    let settings = app.settings.current();
    let brand = &settings.brand;
    let accent = brand.accent.as_ref().map(|accent| AccentView {
        colour: accent.as_typed().to_owned(),
        on_light: accent.on_light(),
        on_dark: accent.on_dark(),
        solid: accent.solid(),
    });
    Json(BrandView {
        name: brand.name.clone().unwrap_or_else(|| "Safelight".to_owned()),
        named: brand.name.is_some(),
        logo_url: "/icon.svg",
        accent,
    })
}
