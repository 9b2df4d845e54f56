//! Pictures that were cut out of a scan: media of their own that know where they come from.

use super::intake::{Arrived, Destination, add_in};
use super::model::{Media, MediaId};
use super::rights::{self, Caller, get_for_in};
use super::{Error, Result, get_in, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::Actor;
use crate::db::Tx;

/// The most pictures of one scan that are listed.
const ROWS_MAX: usize = 500;

/// Gives pictures that were cut out of a scan their places, all of them or none. Keep what has arrived until that is
/// committed.
///
/// # Errors
/// As [`add_in`], and [`Error::NoSuchMedia`] when the scan is gone.
pub fn add_from_scan_in(
    tx: &Tx<'_>,
    actor: &Actor,
    scan: MediaId,
    pictures: &[(Destination, Arrived)],
) -> Result<Vec<MediaId>> {
    store::bulk::alone(tx, || {
        let scan = get_in(tx, scan)?;
        let mut added = Vec::with_capacity(pictures.len());
        for (to, arrived) in pictures {
            let media = add_in(tx, actor, to, arrived)?;
            store::set_scan(tx, media.seq, scan.id)?;
            added.push(media.id);
        }
        Ok::<_, Error>(added)
    })
}

/// What was cut out of a scan and is not in the trash, as far as the caller sees it.
///
/// # Errors
/// As [`get_for_in`].
pub async fn list_of_scan(app: &App, caller: impl Into<Caller>, scan: MediaId) -> Result<Vec<Media>> {
    let caller = caller.into();
    app.db
        .read(move |conn| {
            let scan = get_for_in(conn, caller, scan, Permission::LibraryRead)?;
            let buckets = store::json(&rights::where_in(conn, caller, Permission::LibraryRead)?);
            Ok(store::list_of_scan(conn, caller.user_id(), &buckets, scan.id, ROWS_MAX)?)
        })
        .await
}
