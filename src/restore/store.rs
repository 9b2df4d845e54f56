//! All SQL of the table `restorations`; its calls and models have their own below.

pub(super) mod calls;
pub(super) mod models;
pub(super) mod steps;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::de::DeserializeOwned;

use super::Wish;
use super::model::{Beginning, Complaint, Filter, Restoration, RestorationId, Settled};
use crate::audit::UserId;
use crate::db::{Result, Tx};
use crate::engine::{Outcome, Step, StepReport};
use crate::jobs::{JobId, JobState};
use crate::library::{MEDIA_IS_SEEN, MediaId, RenditionId, VersionId};

const COLUMNS: &str = "id, media_id, version_id, job_id, state, progress, step, engine, preset, steps, mask, outcome, \
                       rendition_id, report, error_code, error_detail, requested_by, created_at, started_at, finished_at, \
                       keep_steps, beginning, \
                       EXISTS (SELECT 1 FROM restoration_steps WHERE restoration_id = restorations.id) AS kept_steps";

/// A restoration that has just been asked for.
pub(super) struct NewRow<'a> {
    pub(super) id: RestorationId,
    pub(super) media: MediaId,
    pub(super) version: VersionId,
    pub(super) job: JobId,
    pub(super) settled: &'a Settled,
    pub(super) wish: &'a Wish,
    pub(super) requested_by: Option<UserId>,
}

pub(super) fn insert(tx: &Tx<'_>, row: &NewRow<'_>) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO restorations (id, media_id, version_id, job_id, state, engine, preset, steps, mask, keep_steps,
                                   beginning, requested_by, created_at)
         VALUES (:id, :media, :version, :job, 'queued', :engine, :preset, :steps, :mask, :keep_steps, :beginning,
                 :requested_by, :now)",
    )?
    .execute(named_params! {
        ":id": row.id,
        ":media": row.media,
        ":version": row.version,
        ":job": row.job,
        ":engine": row.settled.engine,
        ":preset": row.settled.preset,
        ":steps": json(&row.settled.steps),
        ":mask": row.wish.mask,
        ":keep_steps": row.wish.keep_steps,
        ":beginning": row.wish.beginning.as_ref().map(json),
        ":requested_by": row.requested_by,
        ":now": tx.now(),
    })?;
    Ok(())
}

pub(super) fn find(conn: &Connection, id: RestorationId) -> Result<Option<Restoration>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM restorations WHERE id = ?1"))?;
    Ok(statement.query_row([id], from_row).optional()?)
}

/// Restorations that fit a filter, of media in the buckets that are seen (a JSON array; none for all), newest first, at most
/// `rows`, those before an id.
pub(super) fn list(
    conn: &Connection,
    filter: Filter,
    seen: Option<&str>,
    before: Option<RestorationId>,
    rows: usize,
) -> Result<Vec<Restoration>> {
    // Conditions that are not asked for are left out, so that each combination may use its index.
    let mut sql = format!("SELECT {COLUMNS} FROM restorations WHERE 1");
    let state = filter.state.map(JobState::name);
    let mut values: Vec<(&str, &dyn rusqlite::ToSql)> = Vec::new();
    if let Some(media) = &filter.media {
        sql.push_str(" AND media_id = :media");
        values.push((":media", media));
    }
    if let Some(state) = &state {
        sql.push_str(" AND state = :state");
        values.push((":state", state));
    }
    if let Some(seen) = &seen {
        sql.push_str(" AND ");
        sql.push_str(MEDIA_IS_SEEN);
        values.push((":buckets", seen));
    }
    if let Some(before) = &before {
        sql.push_str(" AND id < :before");
        values.push((":before", before));
    }
    sql.push_str(" ORDER BY id DESC LIMIT :rows");
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    values.push((":rows", &rows));
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map(&*values, from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many pictures were restored from a media so far, removed ones included.
pub(super) fn count_restored(conn: &Connection, media: MediaId) -> Result<u32> {
    let mut statement = conn
        .prepare_cached("SELECT count(*) FROM restorations WHERE media_id = ?1 AND outcome = 'restored'")?;
    Ok(statement.query_row([media], |row| row.get(0))?)
}

/// An attempt begins: what earlier ones left is wiped. False if there is nothing to begin any more.
pub(super) fn begin(tx: &Tx<'_>, id: RestorationId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE restorations SET state = 'running', progress = 0, step = NULL, report = '[]', error_code = NULL,
             error_detail = NULL, started_at = ?2, finished_at = NULL
         WHERE id = ?1 AND state <> 'succeeded'",
        params![id, tx.now()],
    )?;
    Ok(changed > 0)
}

/// False if it does not run any more.
pub(super) fn set_progress(
    tx: &Tx<'_>,
    id: RestorationId,
    progress: f32,
    step: Option<Step>,
) -> Result<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE restorations SET progress = ?2, step = ?3 WHERE id = ?1 AND state = 'running'",
        )?
        .execute(params![id, f64::from(progress), step.map(Step::as_str)])?;
    Ok(changed > 0)
}

/// Writes down what is wrong while the attempt that found it is still counted as running.
pub(super) fn set_error(tx: &Tx<'_>, id: RestorationId, error: &Complaint) -> Result<()> {
    tx.execute(
        "UPDATE restorations SET error_code = ?2, error_detail = ?3 WHERE id = ?1 AND state = 'running'",
        params![id, error.code, error.detail],
    )?;
    Ok(())
}

/// The attempt is over and another will follow. False if the restoration has ended or gone.
pub(super) fn requeue(tx: &Tx<'_>, id: RestorationId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE restorations SET state = 'queued', progress = 0, step = NULL, started_at = NULL
         WHERE id = ?1 AND state IN ('queued', 'running')",
        [id],
    )?;
    Ok(changed > 0)
}

/// A person wants a failed or cancelled one to be tried again, by another job. False if it is neither.
pub(super) fn try_again(tx: &Tx<'_>, id: RestorationId, job: JobId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE restorations SET state = 'queued', progress = 0, step = NULL, job_id = ?2, error_code = NULL,
             error_detail = NULL, started_at = NULL, finished_at = NULL
         WHERE id = ?1 AND state IN ('failed', 'cancelled')",
        params![id, job],
    )?;
    Ok(changed > 0)
}

/// It is done. False if it was before, or has gone.
pub(super) fn succeed(
    tx: &Tx<'_>,
    id: RestorationId,
    outcome: Outcome,
    rendition: Option<RenditionId>,
    report: &[StepReport],
) -> Result<bool> {
    let outcome = match outcome {
        Outcome::Restored => "restored",
        Outcome::Unchanged => "unchanged",
    };
    let changed = tx.execute(
        "UPDATE restorations SET state = 'succeeded', progress = 1, step = NULL, outcome = ?2, rendition_id = ?3,
             report = ?4, error_code = NULL, error_detail = NULL, finished_at = ?5
         WHERE id = ?1 AND state <> 'succeeded'",
        params![id, outcome, rendition, json(report), tx.now()],
    )?;
    Ok(changed > 0)
}

/// It will not be done. The error counts unless a better one was written down before. False if it had ended, or has
/// gone.
pub(super) fn fail(tx: &Tx<'_>, id: RestorationId, otherwise: &Complaint) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE restorations SET state = 'failed', step = NULL, finished_at = ?4,
             error_detail = CASE WHEN error_code IS NULL THEN ?3 ELSE error_detail END,
             error_code = coalesce(error_code, ?2)
         WHERE id = ?1 AND state IN ('queued', 'running')",
        params![id, otherwise.code, otherwise.detail, tx.now()],
    )?;
    Ok(changed > 0)
}

/// Somebody stopped it. False if it had ended, or has gone.
pub(super) fn cancel(tx: &Tx<'_>, id: RestorationId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE restorations SET state = 'cancelled', step = NULL, finished_at = ?2
         WHERE id = ?1 AND state IN ('queued', 'running')",
        params![id, tx.now()],
    )?;
    Ok(changed > 0)
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("steps and reports are plain data")
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    serde_json::from_str(&row.get::<_, String>(index)?)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Restoration> {
    let code: Option<String> = row.get("error_code")?;
    let detail: Option<String> = row.get("error_detail")?;
    let outcome: Option<String> = row.get("outcome")?;
    let beginning: Option<Beginning> = match row.get_ref("beginning")? {
        ValueRef::Null => None,
        _ => Some(from_json(row, "beginning")?),
    };
    Ok(Restoration {
        id: row.get("id")?,
        media_id: row.get("media_id")?,
        version_id: row.get("version_id")?,
        state: row.get("state")?,
        progress: row.get("progress")?,
        // Names that a later version has written are left out.
        step: row.get::<_, Option<String>>("step")?.and_then(|name| name.parse().ok()),
        preset: row.get("preset")?,
        steps: from_json(row, "steps")?,
        outcome: outcome.map(|name| if name == "restored" { Outcome::Restored } else { Outcome::Unchanged }),
        rendition_id: row.get("rendition_id")?,
        report: from_json(row, "report")?,
        error: Option::zip(code, detail).map(|(code, detail)| Complaint { code, detail }),
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        requested_by: row.get("requested_by")?,
        job: row.get("job_id")?,
        engine: row.get("engine")?,
        mask: row.get("mask")?,
        keep_steps: row.get("keep_steps")?,
        kept_steps: row.get("kept_steps")?,
        from: beginning.as_ref().map(|beginning| beginning.from),
        beginning,
    })
}
