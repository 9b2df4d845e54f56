//! All SQL of the `jobs` and `schedules` tables.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Options;
use super::model::{Backlog, Counts, Failing, Health, JobId, JobRow, JobState};
use crate::clock::Timestamp;
use crate::db::{self, Tx};

const COLUMNS: &str = "id, kind, state, attempts, max_attempts, priority, progress, error, run_at, created_at, \
                       started_at, finished_at";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A job that this process has just claimed.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) id: JobId,
    pub(super) kind: String,
    pub(super) payload: String,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) cancel_requested: bool,
}

pub(super) fn enqueue(
    tx: &Tx<'_>,
    kind: &str,
    payload: &str,
    max_attempts: u32,
    options: &Options,
) -> db::Result<JobId> {
    if let Some(key) = &options.unique_key {
        let waiting = tx
            .prepare_cached("SELECT id FROM jobs WHERE kind = ?1 AND unique_key = ?2 AND state = 'queued'")?
            .query_row(params![kind, key], |row| row.get(0))
            .optional()?;
        if let Some(id) = waiting {
            return Ok(id);
        }
    }
    let id = JobId::new();
    tx.prepare_cached(
        "INSERT INTO jobs (id, kind, payload, state, priority, unique_key, run_at, max_attempts, created_at)
         VALUES (?1, ?2, ?3, 'queued', ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        id,
        kind,
        payload,
        options.priority,
        options.unique_key,
        options.run_at.unwrap_or(tx.now()),
        max_attempts,
        tx.now()
    ])?;
    Ok(id)
}

pub(super) fn request_cancel(tx: &Tx<'_>, id: JobId) -> db::Result<bool> {
    let changed = tx.execute(
        "UPDATE jobs SET cancel_requested = 1, run_at = min(run_at, ?2) WHERE id = ?1 AND state IN ('queued', 'running')",
        params![id, tx.now()],
    )?;
    Ok(changed > 0)
}

pub(super) fn retry(tx: &Tx<'_>, id: JobId) -> db::Result<bool> {
    let changed = tx.execute(
        "UPDATE jobs SET state = 'queued', attempts = 0, cancel_requested = 0, progress = 0, run_at = ?2,
             finished_at = NULL, unique_key = NULL
         WHERE id = ?1 AND state IN ('failed', 'cancelled')",
        params![id, tx.now()],
    )?;
    Ok(changed > 0)
}

pub(super) fn find(conn: &Connection, id: JobId) -> db::Result<Option<JobRow>> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?;
    Ok(statement.query_row([id], from_row).optional()?)
}

pub(super) fn list(
    conn: &Connection,
    state: Option<JobState>,
    before: Option<JobId>,
    limit: usize,
) -> db::Result<Vec<JobRow>> {
    let state_clause = if state.is_some() { "state = ?1" } else { "?1 IS NULL" };
    let before_clause = if before.is_some() { "id < ?2" } else { "?2 IS NULL" };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM jobs WHERE {state_clause} AND {before_clause} ORDER BY id DESC LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![state.map(JobState::name), before, limit], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn counts(conn: &Connection) -> db::Result<Counts> {
    let mut statement = conn.prepare_cached(
        "SELECT (SELECT count(*) FROM jobs WHERE state = 'queued'), (SELECT count(*) FROM jobs WHERE state = 'running'),
             (SELECT count(*) FROM jobs WHERE state = 'failed')",
    )?;
    let count = |row: &Row<'_>, column| row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(statement.query_row([], |row| {
        Ok(Counts { queued: count(row, 0)?, running: count(row, 1)?, failed: count(row, 2)? })
    })?)
}

pub(super) fn health(conn: &Connection, now: Timestamp, failed_since: Timestamp) -> db::Result<Health> {
    let oldest_due = conn
        .prepare_cached(
            "SELECT kind, run_at FROM jobs WHERE state = 'queued' AND run_at <= ?1 ORDER BY run_at LIMIT 1",
        )?
        .query_row([now], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let abandoned: i64 = conn
        .prepare_cached("SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < ?1")?
        .query_row([now], |row| row.get(0))?;
    // SQLite takes the error from the row of the maximum.
    let mut statement = conn.prepare_cached(
        "SELECT kind, count(*), error, max(finished_at) FROM jobs WHERE state = 'failed' AND finished_at >= ?1
         GROUP BY kind ORDER BY kind",
    )?;
    let failing = statement.query_map([failed_since], |row| {
        let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        Ok(Failing { kind: row.get(0)?, count, error: row.get(2)? })
    })?;
    Ok(Health {
        counts: counts(conn)?,
        oldest_due,
        abandoned: u64::try_from(abandoned).unwrap_or(0),
        failing: failing.collect::<Result<_, _>>()?,
    })
}

/// Reads what waits from an index alone, which the planner would not choose; what runs and what has failed is little.
pub(super) fn backlog(conn: &Connection) -> db::Result<Vec<Backlog>> {
    let mut statement = conn.prepare_cached(
        "SELECT kind, 'queued', count(*), min(run_at) FROM jobs INDEXED BY jobs_next WHERE state = 'queued' GROUP BY kind
         UNION ALL
         SELECT kind, state, count(*), NULL FROM jobs WHERE state IN ('running', 'failed') GROUP BY kind, state
         ORDER BY 1",
    )?;
    let mut rows = statement.query([])?;
    let mut kinds: Vec<Backlog> = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, state, count): (String, JobState, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if kinds.last().is_none_or(|last| last.kind != kind) {
            kinds.push(Backlog { kind, queued: 0, running: 0, failed: 0, due_since: None });
        }
        let Some(last) = kinds.last_mut() else { continue };
        let count = count.unsigned_abs();
        match state {
            JobState::Queued => (last.queued, last.due_since) = (count, row.get(3)?),
            JobState::Running => last.running = count,
            _ => last.failed = count,
        }
    }
    Ok(kinds)
}

pub(super) fn prune(tx: &Tx<'_>, limit: usize) -> db::Result<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = tx.prepare_cached(
        "DELETE FROM jobs WHERE id IN
             (SELECT id FROM jobs WHERE state = ?1 AND finished_at < ?2 ORDER BY finished_at LIMIT ?3)",
    )?;
    let mut removed = 0;
    for (state, kept_for) in [("succeeded", 7 * DAY), ("cancelled", 7 * DAY), ("failed", 90 * DAY)] {
        removed += statement.execute(params![state, tx.now() - kept_for, limit])?;
    }
    Ok(removed)
}

/// When the next waiting job of these kinds may run; none when nothing waits.
pub(super) fn next_due(conn: &Connection, kinds: &[&'static str]) -> db::Result<Option<Timestamp>> {
    // One look-up per kind: a condition on several would read all that waits.
    let mut statement =
        conn.prepare_cached("SELECT min(run_at) FROM jobs WHERE state = 'queued' AND kind = ?1")?;
    let mut next: Option<Timestamp> = None;
    for kind in kinds {
        let due: Option<Timestamp> = statement.query_row([kind], |row| row.get(0))?;
        next = [next, due].into_iter().flatten().min();
    }
    Ok(next)
}

/// Claims due jobs of the kinds that still have room, most urgent first.
pub(super) fn claim(
    tx: &Tx<'_>,
    owner: &str,
    lease: Duration,
    room: &[(&'static str, usize)],
    limit: usize,
) -> db::Result<Vec<Claimed>> {
    let mut find = tx.prepare_cached(
        "SELECT id, priority, run_at FROM jobs WHERE state = 'queued' AND kind = ?1 AND run_at <= ?2
         ORDER BY priority DESC, run_at LIMIT 1",
    )?;
    let mut take = tx.prepare_cached(
        "UPDATE jobs SET state = 'running', lease_owner = ?2, lease_until = ?3, attempts = attempts + 1,
             started_at = ?4, progress = 0
         WHERE id = ?1 RETURNING id, kind, payload, attempts, max_attempts, cancel_requested",
    )?;
    let mut claimed: Vec<Claimed> = Vec::new();
    while claimed.len() < limit {
        let mut best: Option<(i64, Timestamp, JobId)> = None;
        for (kind, places) in room {
            if claimed.iter().filter(|job| job.kind == *kind).count() >= *places {
                continue;
            }
            let found = find
                .query_row(params![kind, tx.now()], |row| {
                    Ok((-row.get::<_, i64>(1)?, row.get(2)?, row.get(0)?))
                })
                .optional()?;
            best = [best, found].into_iter().flatten().min();
        }
        let Some((_, _, id)) = best else { break };
        claimed.push(take.query_row(params![id, owner, tx.now() + lease, tx.now()], claimed_from_row)?);
    }
    Ok(claimed)
}

/// Takes jobs back from processes that have not renewed their lease, and from those whose name begins with
/// `dead_prefix`.
pub(super) fn expired(tx: &Tx<'_>, dead_prefix: Option<&str>) -> db::Result<Vec<Claimed>> {
    let mut statement = tx.prepare_cached(
        "SELECT id, kind, payload, attempts, max_attempts, cancel_requested FROM jobs
         WHERE state = 'running' AND (lease_until < ?1 OR (?2 IS NOT NULL AND lease_owner LIKE ?2 || '%'))",
    )?;
    let rows = statement.query_map(params![tx.now(), dead_prefix], claimed_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a running job's lease has run out.
pub(super) fn has_expired(conn: &Connection, now: Timestamp) -> db::Result<bool> {
    let mut statement = conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND lease_until < ?1)")?;
    Ok(statement.query_row([now], |row| row.get(0))?)
}

/// Renews the leases of jobs that this process really runs. Others that still bear its name, because their end could
/// not be written, run out.
pub(super) fn renew(tx: &Tx<'_>, owner: &str, lease: Duration, jobs: &[JobId]) -> db::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE jobs SET lease_until = ?3 WHERE id = ?1 AND state = 'running' AND lease_owner = ?2",
    )?;
    for job in jobs {
        statement.execute(params![job, owner, tx.now() + lease])?;
    }
    Ok(())
}

/// The jobs of a process that somebody wants stopped.
pub(super) fn to_cancel(conn: &Connection, owner: &str) -> db::Result<Vec<JobId>> {
    let mut statement = conn.prepare_cached(
        "SELECT id FROM jobs WHERE state = 'running' AND lease_owner = ?1 AND cancel_requested = 1",
    )?;
    let rows = statement.query_map([owner], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn set_progress(tx: &Tx<'_>, id: JobId, owner: &str, progress: f32) -> db::Result<bool> {
    let changed = tx
        .prepare_cached(
            "UPDATE jobs SET progress = ?3 WHERE id = ?1 AND lease_owner = ?2 AND state = 'running'",
        )?
        .execute(params![id, owner, f64::from(progress)])?;
    Ok(changed > 0)
}

/// Ends an attempt if this process still holds the lease; false when another has taken over.
pub(super) fn end(
    tx: &Tx<'_>,
    id: JobId,
    owner: Option<&str>,
    state: JobState,
    error: Option<&str>,
    run_at: Option<Timestamp>,
    give_back_attempt: bool,
) -> db::Result<bool> {
    let ended = !matches!(state, JobState::Queued | JobState::Running);
    let changed = tx.execute(
        "UPDATE jobs SET state = ?2, error = coalesce(?3, CASE WHEN ?2 = 'succeeded' THEN NULL ELSE error END),
             run_at = coalesce(?4, run_at), finished_at = CASE WHEN ?5 THEN ?6 END, lease_owner = NULL,
             lease_until = NULL, progress = CASE WHEN ?2 = 'succeeded' THEN 1 ELSE progress END,
             attempts = attempts - ?7,
             unique_key = CASE WHEN ?2 = 'queued' AND EXISTS (SELECT 1 FROM jobs other
                 WHERE other.kind = jobs.kind AND other.unique_key = jobs.unique_key AND other.state = 'queued')
                 THEN NULL ELSE unique_key END
         WHERE id = ?1 AND state = 'running' AND (?8 IS NULL OR lease_owner = ?8)",
        params![id, state.name(), error, run_at, ended, tx.now(), i64::from(give_back_attempt), owner],
    )?;
    Ok(changed > 0)
}

/// When a recurring job is due; it is written down as due at `first` when it is new.
pub(super) fn scheduled(tx: &Tx<'_>, kind: &str, first: Timestamp) -> db::Result<Timestamp> {
    tx.execute(
        "INSERT INTO schedules (kind, next_run_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![kind, first],
    )?;
    Ok(tx.query_row("SELECT next_run_at FROM schedules WHERE kind = ?1", [kind], |row| row.get(0))?)
}

pub(super) fn reschedule(tx: &Tx<'_>, kind: &str, next: Timestamp) -> db::Result<()> {
    tx.execute("UPDATE schedules SET next_run_at = ?2 WHERE kind = ?1", params![kind, next])?;
    Ok(())
}

/// The earliest moment at which a recurring job of these kinds is due.
pub(super) fn next_scheduled(conn: &Connection, kinds: &[&str]) -> db::Result<Option<Timestamp>> {
    let kinds = serde_json::to_string(kinds).unwrap_or_default();
    let mut statement = conn.prepare_cached(
        "SELECT min(next_run_at) FROM schedules WHERE kind IN (SELECT value FROM json_each(?1))",
    )?;
    Ok(statement.query_row([kinds], |row| row.get(0))?)
}

/// Whether somebody wants a job stopped.
pub(super) fn is_cancelled(conn: &Connection, id: JobId) -> db::Result<bool> {
    let mut statement =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND cancel_requested = 1)")?;
    Ok(statement.query_row([id], |row| row.get(0))?)
}

fn claimed_from_row(row: &Row<'_>) -> rusqlite::Result<Claimed> {
    Ok(Claimed {
        id: row.get(0)?,
        kind: row.get(1)?,
        payload: row.get(2)?,
        attempt: row.get(3)?,
        max_attempts: row.get(4)?,
        cancel_requested: row.get(5)?,
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        attempts: row.get(3)?,
        max_attempts: row.get(4)?,
        priority: row.get(5)?,
        progress: row.get(6)?,
        error: row.get(7)?,
        run_at: row.get(8)?,
        created_at: row.get(9)?,
        started_at: row.get(10)?,
        finished_at: row.get(11)?,
    })
}
