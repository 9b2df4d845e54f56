//! What a job looks like from outside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;

crate::typed_id!(
    /// Identifies a job.
    JobId
);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It waits for its time or a free worker.
    Queued,
    /// A process holds its lease.
    Running,
    /// It is done.
    Succeeded,
    /// Its attempts are used up, or trying again can't help.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl JobState {
    /// The name as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl rusqlite::types::FromSql for JobState {
    fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        match value.as_str()? {
            "queued" => Ok(Self::Queued),
            "running" => Ok(Self::Running),
            "succeeded" => Ok(Self::Succeeded),
            "failed" => Ok(Self::Failed),
            "cancelled" => Ok(Self::Cancelled),
            _ => Err(rusqlite::types::FromSqlError::InvalidType),
        }
    }
}

/// A job as stored, without its payload.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobRow {
    /// Which job.
    pub id: JobId,
    /// What kind of work.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: u32,
    /// How often it is begun at most.
    pub max_attempts: u32,
    /// Higher runs first.
    pub priority: i32,
    /// How far the present attempt has come, 0 to 1.
    pub progress: f64,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// When it may run at the earliest.
    pub run_at: Timestamp,
    /// When it was put into the queue.
    pub created_at: Timestamp,
    /// When the present or last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// How the queue is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How many jobs are in which state.
    pub counts: Counts,
    /// The kind of the job that has been due for longest and still waits, and since when it is due.
    pub oldest_due: Option<(String, Timestamp)>,
    /// Jobs that run by name, but whose process has given no sign of life.
    pub abandoned: u64,
    /// Kinds of jobs that were given up lately.
    pub failing: Vec<Failing>,
}

/// A kind of jobs that were given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Which kind.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What went wrong the last time.
    pub error: Option<String>,
}

/// How many jobs are in the states that somebody should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Waiting.
    pub queued: u64,
    /// Running.
    pub running: u64,
    /// Given up.
    pub failed: u64,
}

/// What waits, runs and has failed, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// What kind of work.
    pub kind: String,
    /// Waiting, also for a time to come.
    pub queued: u64,
    /// Running.
    pub running: u64,
    /// Given up and not tried again.
    pub failed: u64,
    /// Since when the oldest one waits that could run; none where nothing waits.
    pub due_since: Option<Timestamp>,
}
