//! The newest lines of the log, for those in charge.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::Level;
use utoipa::{IntoParams, ToSchema};

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, PageQuery, Problem, Query};
use crate::app::App;
use crate::clock::Timestamp;
use crate::logs::{Record, Wanted};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only what is this serious, or more.
    level: Option<LogLevelName>,
    /// Only lines with all these words in them.
    q: Option<String>,
    /// Only lines newer than this one.
    after: Option<u64>,
    /// Only lines older than this one.
    before: Option<u64>,
}

/// How serious a line is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LogLevel)]
pub(super) enum LogLevelName {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevelName> for Level {
    fn from(name: LogLevelName) -> Self {
        match name {
            LogLevelName::Error => Self::ERROR,
            LogLevelName::Warn => Self::WARN,
            LogLevelName::Info => Self::INFO,
            LogLevelName::Debug => Self::DEBUG,
            LogLevelName::Trace => Self::TRACE,
        }
    }
}

impl From<Level> for LogLevelName {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogLine {
    /// Its number; it counts from 1 with each start of the server.
    id: u64,
    /// When it was said.
    at: Timestamp,
    /// How serious it is.
    level: LogLevelName,
    /// The part of the program.
    target: String,
    /// What was said.
    message: String,
    /// What else is known.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
}

impl LogLine {
    fn of(record: &Record) -> Self {
        Self {
            id: record.number,
            at: record.at,
            level: record.level.into(),
            target: record.target.clone(),
            message: record.message.clone(),
            fields: record.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }
}

/// The newest lines of this server's log, newest first
#[utoipa::path(get, path = "/logs", tag = "admin", operation_id = "list_logs", params(LogQuery, PageQuery),
    responses((status = 200, body = Page<LogLine>)))]
pub(super) async fn list(
    State(app): State<App>,
    _user: Allowed<may::SettingsManage>,
    Query(query): Query<LogQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<LogLine>>, Problem> {
    let (limit, cursor) = (page.limit(), page.after::<u64>()?);
    let before = cursor.into_iter().chain(query.before).min();
    let words = query.q.unwrap_or_default().chars().take(200).collect();
    let wanted = Wanted { level: query.level.map(Level::from), words, before, after: query.after };
    let lines = app.logs.newest(&wanted, limit + 1).iter().map(|record| LogLine::of(record)).collect();
    Ok(Json(Page::of(lines, limit, |line| line.id)))
}
