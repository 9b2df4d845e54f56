//! Batches and their pictures. No I/O.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::model::{Complaint, PlannedStep, Request, RestorationId};
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::engine::Outcome;
use crate::library::{MediaId, RenditionId};

crate::typed_id! {
    /// Names a batch.
    BatchId
}

/// The most pictures of one batch.
pub const PICTURES_MAX: usize = 10_000;

/// The longest name of a batch in characters.
pub(super) const NAME_CHARS_MAX: usize = 120;

/// Many pictures that are restored in the same way.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// What its maker calls it.
    pub name: String,
    /// Where it stands.
    pub state: BatchState,
    /// How far all of it has come, 0 to 1.
    pub progress: f64,
    /// How many of its pictures stand where.
    pub counts: Counts,
    /// Files that the search had found and that are no pictures.
    pub skipped: u64,
    /// The name of the preset that was asked for.
    pub preset: Option<String>,
    /// The steps in the order in which they run, those of the preset included.
    pub steps: Vec<PlannedStep>,
    /// Seconds until it is through, going by the pictures that are; null until there is one.
    pub remaining_s: Option<u64>,
    /// What models on other machines have cost so far in US dollars, as far as their providers say.
    pub cost_usd: f64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Option<UserId>,
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// One picture after the other is restored.
    Running,
    /// The pictures that wait go on waiting.
    Paused,
    /// Somebody stopped it; it can be resumed.
    Cancelled,
    /// All pictures have succeeded or failed.
    Finished,
}

/// Pictures of a batch by where they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = BatchCounts)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// They have not been begun.
    pub waiting: u64,
    /// They are being restored, or are the next.
    pub running: u64,
    /// There is a restored picture.
    pub restored: u64,
    /// Nothing needed doing.
    pub unchanged: u64,
    /// They could not be restored.
    pub failed: u64,
    /// They were stopped.
    pub cancelled: u64,
}

impl Counts {
    pub(super) const fn ended(&self) -> u64 {
        self.restored + self.unchanged + self.failed
    }
}

/// Where a picture of a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// It has not been begun.
    Waiting,
    /// It is the next.
    Queued,
    /// It is being restored.
    Running,
    /// It is done.
    Succeeded,
    /// It could not be restored.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl ItemState {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromSql for ItemState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        const ALL: [ItemState; 6] = [
            ItemState::Waiting,
            ItemState::Queued,
            ItemState::Running,
            ItemState::Succeeded,
            ItemState::Failed,
            ItemState::Cancelled,
        ];
        let name = value.as_str()?;
        ALL.into_iter().find(|state| state.name() == name).ok_or(FromSqlError::InvalidType)
    }
}

/// A picture of a batch.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BatchItem {
    /// Its place in the batch, from 0.
    pub position: u64,
    /// The photograph.
    pub media_id: MediaId,
    /// Its name.
    pub name: String,
    /// Whether the server could read it as a picture, so that there is something to show.
    pub is_picture: bool,
    /// Where it stands.
    pub state: ItemState,
    /// How far it has come, 0 to 1.
    pub progress: f64,
    /// What came of it; null until it has succeeded.
    pub outcome: Option<Outcome>,
    /// The restoration; null while it waits.
    pub restoration_id: Option<RestorationId>,
    /// The restored picture; null if there is none, or if it was removed.
    pub rendition_id: Option<RenditionId>,
    /// Why it failed.
    pub error: Option<Complaint>,
}

/// What is to be restored as a batch.
#[derive(Debug, Clone, Default)]
pub struct NewBatch {
    /// Its name; the number of its pictures where it is not said.
    pub name: Option<String>,
    /// What is to be done to each picture: preset and steps; a batch has no masks.
    pub wish: Request,
}

/// What a batch would take.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BatchEstimate)]
pub struct Estimate {
    /// How many pictures would be restored.
    pub pictures: u64,
    /// Files among those found that are no pictures.
    pub skipped: u64,
    /// All pictures together, in millions of pixels.
    pub megapixels: f64,
    /// How long it would take in seconds, going by the pictures that were restored last; null where none was yet.
    pub seconds: Option<u64>,
    /// What the models' providers would ask for in US dollars; null where a price is not known. The server's own
    /// processor costs nothing.
    pub cost_usd: Option<f64>,
}

/// How a batch is called by those who did not say.
pub(super) fn usual_name(pictures: usize) -> String {
    if pictures == 1 { "One picture".to_owned() } else { format!("{pictures} pictures") }
}
