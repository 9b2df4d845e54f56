//! Settings, and changing those that can change while Safelight runs.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, Problem};
use crate::app::App;
use crate::audit::{self, Target};
use crate::config::{Default, Kind, Origin};
use crate::settings::{self, Error, Refusal};

/// A setting, its value, and who said so.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Setting)]
pub(super) struct SettingView {
    /// Its name in the configuration file, such as `limits.max_pixels`.
    key: &'static str,
    /// Where it stands there; empty above the first section.
    section: &'static str,
    /// Its name for people, where it can be changed here.
    title: Option<&'static str>,
    /// What it is for, in Markdown.
    doc: &'static str,
    /// What it takes: `flag`, `integer`, `bytes`, `duration`, `choice`, `choices`, `list`, `text`, `url`, `path`, `address`,
    /// `colour` or `secret`.
    kind: &'static str,
    /// What it takes, in words.
    expects: String,
    /// The words that may be chosen.
    choices: Option<&'static [&'static str]>,
    /// A value that somebody might choose, in TOML.
    example: &'static str,
    /// Its value; of a secret only whether there is one. Sizes are in bytes, durations are text.
    value: Value,
    /// What would hold if nobody said anything.
    default: Value,
    /// What no value means, where there may be none.
    absent: Option<&'static str>,
    /// Who said so.
    origin: OriginKind,
    /// The file and the line, the variable, or the flag.
    #[serde(rename = "where")]
    place: Option<String>,
    /// Whether it can be changed here at all.
    changeable: bool,
    /// Whether its value is never shown.
    secret: bool,
    /// Whether it has a value.
    is_set: bool,
}

/// Who has said what a setting is; each is stronger than those before it.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SettingOrigin)]
enum OriginKind {
    /// Nobody.
    Default,
    /// An admin, here.
    Web,
    /// The configuration file.
    File,
    /// A credential of systemd.
    Credential,
    /// The environment.
    Environment,
    /// A flag.
    Flag,
}

impl SettingView {
    fn of(state: settings::State) -> Self {
        let settings::State { setting, shown, default } = state;
        let (origin, place) = match &shown.origin {
            Origin::Default => (OriginKind::Default, None),
            Origin::Web => (OriginKind::Web, None),
            Origin::File(..) => (OriginKind::File, Some(shown.origin.to_string())),
            Origin::Credential(name) => (OriginKind::Credential, Some(name.clone())),
            Origin::Environment(name) => (OriginKind::Environment, Some(name.clone())),
            Origin::Flag(name) => (OriginKind::Flag, Some((*name).to_owned())),
        };
        let (is_set, secret) = (!shown.json.is_null(), setting.is_secret());
        Self {
            key: setting.key,
            section: setting.section(),
            title: setting.live_title(),
            doc: setting.doc,
            kind: setting.kind.name(),
            expects: setting.kind.expected(),
            choices: setting.kind.choices(),
            example: setting.example,
            value: if secret { Value::Null } else { shown.json },
            default,
            absent: match setting.default {
                Default::Absent(word) => Some(word),
                Default::Value(_) => None,
            },
            origin,
            place,
            changeable: setting.is_live(),
            secret,
            is_set,
        }
    }
}

/// All settings, with their values and origins
#[utoipa::path(get, path = "/settings", tag = "admin", operation_id = "list_settings",
    responses((status = 200, body = Page<SettingView>)))]
pub(super) async fn list(
    State(app): State<App>,
    _user: Allowed<may::SettingsManage>,
) -> Json<Page<SettingView>> {
    Json(whole(&app))
}

fn whole(app: &App) -> Page<SettingView> {
    Page::whole(app.settings.list().into_iter().map(SettingView::of).collect())
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SettingsChange)]
pub(super) struct ChangeForm {
    /// New values by key; null takes back what was set here.
    #[schema(value_type = Object)]
    values: BTreeMap<String, Value>,
}

/// Changes settings, all or none, at once
#[utoipa::path(patch, path = "/settings", tag = "admin", operation_id = "change_settings", request_body = ChangeForm,
    responses((status = 200, body = Page<SettingView>), (status = 409), (status = 422)))]
pub(super) async fn change(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Json(form): Json<ChangeForm>,
) -> Result<Json<Page<SettingView>>, Problem> {
    let actor = user.actor();
    let wanted: Vec<(String, Value)> = form.values.into_iter().map(trimmed).collect();
    app.settings
        .change(&app.db, wanted, move |tx, changes| {
            for change in changes {
                let details = json!({ "old": change.old, "new": change.new });
                let target = Target::new("setting", change.key).named(change.key);
                audit::record(tx, &actor, "settings.change", target, &details)?;
            }
            Ok(())
        })
        .await?;
    Ok(Json(whole(&app)))
}

/// Sizes come as text from people and as numbers from programs, and a whole number in a text field is one.
fn trimmed((key, value): (String, Value)) -> (String, Value) {
    let kind = crate::config::find(&key).map(|setting| setting.kind);
    let value = match (kind, value) {
        (Some(Kind::Integer { .. }), Value::String(text)) => {
            text.trim().parse::<i64>().map_or(Value::String(text), Value::from)
        }
        (_, value) => value,
    };
    (key, value)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusals) => refused(refusals),
            Error::Db(error) => error.into(),
            error @ Error::Keys(_) => Self::internal(error),
        }
    }
}

fn refused(refusals: Vec<Refusal>) -> Problem {
    let problem = if refusals.iter().all(|refusal| refusal.fixed) {
        let detail = "Something that is stronger than this page has the last word. Nothing was changed.";
        Problem::new(StatusCode::CONFLICT, "setting-fixed", detail)
    } else {
        Problem::validation("Some values can't be used. Nothing was changed.")
    };
    refusals.into_iter().fold(problem, |problem, refusal| problem.field(refusal.key, refusal.detail))
}
