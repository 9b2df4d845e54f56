//! All SQL of the table `restoration_calls`.

use rusqlite::{Connection, OptionalExtension, params};

use crate::db::{Result, Tx};
use crate::engine::remote::{Handle, Saved};
use crate::library::RestorationId;
use crate::storage::BlobId;

/// A call whose result is kept.
pub(in crate::restore) struct Done {
    pub(in crate::restore) result: BlobId,
    pub(in crate::restore) remote_id: Option<String>,
    pub(in crate::restore) compute_s: Option<f64>,
    pub(in crate::restore) cost_usd: Option<f64>,
}

/// How far a call is that has no result yet.
pub(in crate::restore) fn read(conn: &Connection, id: RestorationId, place: u32) -> Result<Saved> {
    let mut statement = conn.prepare_cached(
        "SELECT state, remote_id, address FROM restoration_calls WHERE restoration_id = ?1 AND place = ?2",
    )?;
    let saved = statement.query_row(params![id, place], |row| {
        let state: String = row.get(0)?;
        let remote_id: Option<String> = row.get(1)?;
        Ok(match remote_id {
            Some(id) if state == "accepted" => Saved::Accepted(Handle { id, address: row.get(2)? }),
            _ => Saved::Intended,
        })
    });
    Ok(saved.optional()?.unwrap_or(Saved::Nothing))
}

/// Writes how far a call is, in the place of what was there. False if its restoration has gone.
pub(in crate::restore) fn write(tx: &Tx<'_>, id: RestorationId, place: u32, saved: &Saved) -> Result<bool> {
    let (state, handle) = match saved {
        Saved::Nothing => {
            let sql =
                "DELETE FROM restoration_calls WHERE restoration_id = ?1 AND place = ?2 AND state <> 'done'";
            tx.execute(sql, params![id, place])?;
            return Ok(true);
        }
        Saved::Intended => ("intended", None),
        Saved::Accepted(handle) => ("accepted", Some(handle)),
    };
    let changed = tx.execute(
        "INSERT INTO restoration_calls (restoration_id, place, state, remote_id, address, updated_at)
         SELECT id, ?2, ?3, ?4, ?5, ?6 FROM restorations WHERE id = ?1
         ON CONFLICT (restoration_id, place) DO UPDATE SET state = excluded.state, remote_id = excluded.remote_id,
             address = excluded.address, updated_at = excluded.updated_at",
        params![
            id,
            place,
            state,
            handle.map(|handle| &handle.id),
            handle.and_then(|handle| handle.address.as_ref()),
            tx.now()
        ],
    )?;
    Ok(changed > 0)
}

/// Keeps the result of a call. False if its restoration has gone.
pub(in crate::restore) fn finish(tx: &Tx<'_>, id: RestorationId, place: u32, done: &Done) -> Result<bool> {
    let changed = tx.execute(
        "INSERT INTO restoration_calls (restoration_id, place, state, remote_id, result, compute_s, cost_usd, updated_at)
         SELECT id, ?2, 'done', ?3, ?4, ?5, ?6, ?7 FROM restorations WHERE id = ?1
         ON CONFLICT (restoration_id, place) DO UPDATE SET state = excluded.state, result = excluded.result,
             compute_s = excluded.compute_s, cost_usd = excluded.cost_usd, updated_at = excluded.updated_at",
        params![id, place, done.remote_id, done.result, done.compute_s, done.cost_usd, tx.now()],
    )?;
    Ok(changed > 0)
}

/// The kept result of a call.
pub(in crate::restore) fn find_done(
    conn: &Connection,
    id: RestorationId,
    place: u32,
) -> Result<Option<Done>> {
    let mut statement = conn.prepare_cached(
        "SELECT result, remote_id, compute_s, cost_usd FROM restoration_calls
         WHERE restoration_id = ?1 AND place = ?2 AND state = 'done'",
    )?;
    let done = statement.query_row(params![id, place], |row| {
        Ok(Done {
            result: row.get(0)?,
            remote_id: row.get(1)?,
            compute_s: row.get(2)?,
            cost_usd: row.get(3)?,
        })
    });
    Ok(done.optional()?)
}

/// Forgets the calls without a result, and the last result too if it was of no use: a person wants them made once more.
pub(in crate::restore) fn forget(tx: &Tx<'_>, id: RestorationId, useless: bool) -> Result<()> {
    tx.execute(
        "DELETE FROM restoration_calls WHERE restoration_id = ?1 AND (state <> 'done' OR ?2 AND place = (
             SELECT max(place) FROM restoration_calls WHERE restoration_id = ?1 AND state = 'done'))",
        params![id, useless],
    )?;
    Ok(())
}
