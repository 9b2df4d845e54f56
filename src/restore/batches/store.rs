//! All SQL of the tables `batches` and `batch_items`.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, named_params, params};

use super::super::model::{Complaint, RestorationId, Settled};
use super::super::store::{from_json, json};
use super::model::{Batch, BatchId, BatchItem, BatchState, Counts, ItemState};
use crate::audit::UserId;
use crate::db::{Result, Tx};
use crate::engine::Outcome;
use crate::library::{MediaId, VersionId};

const COLUMNS: &str = "id, name, state, preset, steps, skipped, created_by, created_at";

/// Where a picture stands: its own error, its restoration's state, or that it has none.
const STATE: &str = "CASE WHEN i.error_code IS NOT NULL THEN 'failed'
                          WHEN i.restoration_id IS NOT NULL THEN r.state
                          WHEN b.state = 'cancelled' THEN 'cancelled' ELSE 'waiting' END";

/// A batch that has just been asked for.
pub(super) struct NewRow<'a> {
    pub(super) id: BatchId,
    pub(super) name: &'a str,
    pub(super) settled: &'a Settled,
    pub(super) skipped: u64,
    pub(super) created_by: Option<UserId>,
}

pub(super) fn insert(tx: &Tx<'_>, row: &NewRow<'_>, pictures: &[MediaId]) -> Result<()> {
    tx.execute(
        "INSERT INTO batches (id, name, state, engine, preset, steps, skipped, created_by, created_at)
         VALUES (:id, :name, 'running', :engine, :preset, :steps, :skipped, :created_by, :now)",
        named_params! {
            ":id": row.id,
            ":name": row.name,
            ":engine": row.settled.engine,
            ":preset": row.settled.preset,
            ":steps": json(&row.settled.steps),
            ":skipped": i64::try_from(row.skipped).unwrap_or(i64::MAX),
            ":created_by": row.created_by,
            ":now": tx.now(),
        },
    )?;
    let mut statement =
        tx.prepare_cached("INSERT INTO batch_items (batch_id, position, media_id) VALUES (?1, ?2, ?3)")?;
    for (position, media) in (0_i64..).zip(pictures) {
        statement.execute(params![row.id, position, media])?;
    }
    Ok(())
}

pub(super) fn find(conn: &Connection, id: BatchId) -> Result<Option<Batch>> {
    let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = ?1");
    let found = conn.prepare_cached(&sql)?.query_row([id], from_row).optional()?;
    found.map(|batch| counted(conn, batch)).transpose()
}

/// Batches of a person, or of everybody, newest first, at most `rows`, those before an id.
pub(super) fn list(
    conn: &Connection,
    user: Option<UserId>,
    before: Option<BatchId>,
    rows: usize,
) -> Result<Vec<Batch>> {
    let mut sql = format!("SELECT {COLUMNS} FROM batches WHERE 1");
    let mut values: Vec<(&str, &dyn ToSql)> = Vec::new();
    if let Some(user) = &user {
        sql.push_str(" AND created_by = :user");
        values.push((":user", user));
    }
    if let Some(before) = &before {
        sql.push_str(" AND id < :before");
        values.push((":before", before));
    }
    sql.push_str(" ORDER BY id DESC LIMIT :rows");
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    values.push((":rows", &rows));
    let mut statement = conn.prepare_cached(&sql)?;
    let found = statement.query_map(&*values, from_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    found.into_iter().map(|batch| counted(conn, batch)).collect()
}

/// Fills in what follows from the pictures.
fn counted(conn: &Connection, mut batch: Batch) -> Result<Batch> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {STATE} AS stands, r.outcome, count(*), total(r.progress) FROM batch_items i
         JOIN batches b ON b.id = i.batch_id LEFT JOIN restorations r ON r.id = i.restoration_id
         WHERE i.batch_id = ?1 GROUP BY 1, 2"
    ))?;
    let mut counts = Counts::default();
    let mut under_way = 0.0;
    let mut rows = statement.query([batch.id])?;
    while let Some(row) = rows.next()? {
        let count = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        counts.total += count;
        let outcome: Option<String> = row.get(1)?;
        *match row.get(0)? {
            ItemState::Waiting => &mut counts.waiting,
            ItemState::Queued => &mut counts.running,
            ItemState::Running => {
                under_way += row.get::<_, f64>(3)?;
                &mut counts.running
            }
            ItemState::Succeeded if outcome.as_deref() == Some("unchanged") => &mut counts.unchanged,
            ItemState::Succeeded => &mut counts.restored,
            ItemState::Failed => &mut counts.failed,
            ItemState::Cancelled => &mut counts.cancelled,
        } += count;
    }
    batch.counts = counts;
    batch.cost_usd = cost(conn, batch.id)?;
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    if counts.total > 0 {
        batch.progress = (counts.ended() as f64 + under_way) / counts.total as f64;
    }
    if batch.state != BatchState::Cancelled && counts.waiting + counts.running + counts.cancelled == 0 {
        batch.state = BatchState::Finished;
    }
    if batch.state == BatchState::Running {
        let left = counts.waiting + counts.running;
        batch.remaining_s = pace(conn, batch.id)?.map(|each_ms| left * each_ms / 1000);
    }
    Ok(batch)
}

/// What models on other machines have cost.
fn cost(conn: &Connection, id: BatchId) -> Result<f64> {
    let mut statement = conn.prepare_cached(
        "SELECT total(c.cost_usd) FROM batch_items i JOIN restoration_calls c ON c.restoration_id = i.restoration_id
         WHERE i.batch_id = ?1",
    )?;
    Ok(statement.query_row([id], |row| row.get(0))?)
}

/// Milliseconds that a picture of the batch took, on average over the last ones.
fn pace(conn: &Connection, id: BatchId) -> Result<Option<u64>> {
    let mut statement = conn.prepare_cached(
        "SELECT avg(took) FROM (
             SELECT r.finished_at - r.started_at AS took FROM batch_items i
             JOIN restorations r ON r.id = i.restoration_id
             WHERE i.batch_id = ?1 AND r.state = 'succeeded' ORDER BY i.position DESC LIMIT 20)",
    )?;
    let average: Option<f64> = statement.query_row([id], |row| row.get(0))?;
    Ok(average.map(whole))
}

/// The versions that were restored last, with the milliseconds that each took.
pub(super) fn lately(conn: &Connection) -> Result<Vec<(MediaId, VersionId, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT media_id, version_id, finished_at - started_at FROM restorations
         WHERE state = 'succeeded' ORDER BY id DESC LIMIT 20",
    )?;
    let found = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.max(0).unsigned_abs())))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u64 holds")]
pub(super) fn whole(number: f64) -> u64 {
    number.clamp(0.0, 1e15) as u64
}

/// Pictures of a batch in their order, at most `rows`, those after a position; without their names, which the library
/// knows.
pub(super) fn items(
    conn: &Connection,
    id: BatchId,
    state: Option<ItemState>,
    after: Option<u64>,
    rows: usize,
) -> Result<Vec<BatchItem>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT i.position, i.media_id, {STATE} AS stands, coalesce(r.progress, 0) AS progress, r.outcome,
                i.restoration_id, r.rendition_id,
                coalesce(i.error_code, CASE WHEN r.state = 'failed' THEN r.error_code END) AS error_code,
                coalesce(i.error_detail, CASE WHEN r.state = 'failed' THEN r.error_detail END) AS error_detail
         FROM batch_items i JOIN batches b ON b.id = i.batch_id LEFT JOIN restorations r ON r.id = i.restoration_id
         WHERE i.batch_id = :id AND i.position > :after AND (:state IS NULL OR stands = :state)
         ORDER BY i.position LIMIT :rows"
    ))?;
    let after = after.map_or(-1, |position| i64::try_from(position).unwrap_or(i64::MAX));
    let found = statement.query_map(
        named_params! {
            ":id": id,
            ":after": after,
            ":state": state.map(ItemState::name),
            ":rows": i64::try_from(rows).unwrap_or(i64::MAX),
        },
        |row| {
            let code: Option<String> = row.get("error_code")?;
            let detail: Option<String> = row.get("error_detail")?;
            Ok(BatchItem {
                position: row.get::<_, i64>("position")?.unsigned_abs(),
                media_id: row.get("media_id")?,
                name: String::new(),
                is_picture: false,
                state: row.get("stands")?,
                progress: row.get("progress")?,
                outcome: outcome(row)?,
                restoration_id: row.get("restoration_id")?,
                rendition_id: row.get("rendition_id")?,
                error: Option::zip(code, detail).map(|(code, detail)| Complaint { code, detail }),
            })
        },
    )?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn outcome(row: &Row<'_>) -> rusqlite::Result<Option<Outcome>> {
    let name: Option<String> = row.get("outcome")?;
    Ok(name.map(|name| if name == "restored" { Outcome::Restored } else { Outcome::Unchanged }))
}

/// The next picture that waits.
pub(super) fn next_waiting(tx: &Tx<'_>, id: BatchId) -> Result<Option<(i64, MediaId)>> {
    let mut statement = tx.prepare_cached(
        "SELECT position, media_id FROM batch_items
         WHERE batch_id = ?1 AND restoration_id IS NULL AND error_code IS NULL ORDER BY position LIMIT 1",
    )?;
    Ok(statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The restorations of a batch that wait in the queue or run. Few restorations do, so those are gone through.
pub(super) fn in_flight(conn: &Connection, id: BatchId) -> Result<Vec<RestorationId>> {
    let mut statement = conn.prepare_cached(
        "SELECT r.id FROM restorations r CROSS JOIN batch_items i ON i.restoration_id = r.id
         WHERE r.state IN ('queued', 'running') AND i.batch_id = ?1 ORDER BY i.position",
    )?;
    let found = statement.query_map([id], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The batch that a restoration belongs to.
pub(super) fn of_restoration(conn: &Connection, id: RestorationId) -> Result<Option<BatchId>> {
    let mut statement = conn.prepare_cached("SELECT batch_id FROM batch_items WHERE restoration_id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// What each picture of a batch is to have done.
pub(super) fn settled(conn: &Connection, id: BatchId) -> Result<Option<Settled>> {
    let mut statement = conn.prepare_cached("SELECT engine, preset, steps FROM batches WHERE id = ?1")?;
    let found = statement.query_row([id], |row| {
        Ok(Settled {
            engine: row.get("engine")?,
            preset: row.get("preset")?,
            steps: from_json(row, "steps")?,
        })
    });
    Ok(found.optional()?)
}

pub(super) fn begin_item(tx: &Tx<'_>, id: BatchId, position: i64, restoration: RestorationId) -> Result<()> {
    tx.prepare_cached("UPDATE batch_items SET restoration_id = ?3 WHERE batch_id = ?1 AND position = ?2")?
        .execute(params![id, position, restoration])?;
    Ok(())
}

pub(super) fn fail_item(tx: &Tx<'_>, id: BatchId, position: i64, why: &Complaint) -> Result<()> {
    tx.prepare_cached(
        "UPDATE batch_items SET error_code = ?3, error_detail = ?4 WHERE batch_id = ?1 AND position = ?2",
    )?
    .execute(params![id, position, why.code, why.detail])?;
    Ok(())
}

pub(super) fn set_state(tx: &Tx<'_>, id: BatchId, state: &'static str) -> Result<()> {
    tx.execute("UPDATE batches SET state = ?2 WHERE id = ?1", params![id, state])?;
    Ok(())
}

/// A picture whose restoration has not begun waits again.
pub(super) fn take_back(tx: &Tx<'_>, restoration: RestorationId) -> Result<()> {
    tx.execute("UPDATE batch_items SET restoration_id = NULL WHERE restoration_id = ?1", [restoration])?;
    Ok(())
}

/// Pictures whose restoration was stopped, or that failed, wait again. Returns how many.
pub(super) fn again(tx: &Tx<'_>, id: BatchId, failed: bool) -> Result<u64> {
    let ended = if failed { "failed" } else { "cancelled" };
    let changed = tx.execute(
        "UPDATE batch_items SET restoration_id = NULL, error_code = NULL, error_detail = NULL
         WHERE batch_id = ?1 AND (
             (?3 AND error_code IS NOT NULL)
             OR restoration_id IN (
                 SELECT r.id FROM batch_items i JOIN restorations r ON r.id = i.restoration_id
                 WHERE i.batch_id = ?1 AND r.state = ?2))",
        params![id, ended, failed],
    )?;
    Ok(changed as u64)
}

pub(super) fn delete(tx: &Tx<'_>, id: BatchId) -> Result<()> {
    tx.execute("DELETE FROM batches WHERE id = ?1", [id])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Batch> {
    let state: String = row.get("state")?;
    Ok(Batch {
        id: row.get("id")?,
        name: row.get("name")?,
        state: match state.as_str() {
            "paused" => BatchState::Paused,
            "cancelled" => BatchState::Cancelled,
            _ => BatchState::Running,
        },
        progress: 0.0,
        counts: Counts::default(),
        skipped: row.get::<_, i64>("skipped")?.unsigned_abs(),
        preset: row.get("preset")?,
        steps: from_json(row, "steps")?,
        remaining_s: None,
        cost_usd: 0.0,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
    })
}
