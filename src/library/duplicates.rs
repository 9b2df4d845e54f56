//! Media that show the same: the same bytes, or pictures that hardly differ.
//!
//! Each picture has a hash of 64 bits of what it shows; copies of other sizes and qualities differ in up to
//! [`DISTANCE_MAX`] of them. To find these without comparing everything with everything, hashes are cut into four bands of
//! 16 bits. Six bits that differ fall into four bands, so at least one band gets one of them or none: whoever looks up each
//! band with all its 17 values of one bit difference or none finds every picture in reach (recall 1; the hash itself
//! decides what is alike). Among a million evenly spread hashes that is 68 look-ups with some 15 rows each. A picture is
//! compared once, when its hash is new, and what was found is kept as pairs; versions and renditions of one media are
//! never compared.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::intake::describe_again;
use super::model::{Media, MediaId, Seq, Slug};
use super::rights::get_for_in;
use super::{Error, Result, seen, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::{self, Tx};
use crate::jobs::{self, Failure, Job, Options, Running};

/// The most bits in which hashes of what is alike differ.
pub const DISTANCE_MAX: u32 = 6;

/// The most pairs that one picture begins: a thousand shots of one wall need not all know each other.
const PAIRS_MAX: usize = 50;

/// The most media of a group that are shown.
const GROUP_MAX: usize = 100;

/// Media that one transaction compares.
const CHUNK: usize = 50;

/// Pictures of before that are looked at in one go.
const UNHASHED: usize = 500;

/// The bands of a hash, the highest bits first.
pub(super) fn bands(hash: u64) -> [u16; 4] {
    #[expect(clippy::cast_possible_truncation, reason = "16 bits are what is wanted")]
    [48, 32, 16, 0].map(|shift| (hash >> shift) as u16)
}

/// A band and the values that differ from it in one bit.
pub(super) fn neighbours(band: u16) -> impl Iterator<Item = u16> {
    std::iter::once(band).chain((0..16).map(move |bit| band ^ (1 << bit)))
}

/// Compares new pictures with those that are there, and has those looked at that came before there were hashes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindAlike {}

impl FindAlike {
    /// Compares what has come by now, a moment later: many pictures that come together are compared together.
    pub(super) fn enqueue(tx: &Tx<'_>) -> db::Result<()> {
        let options = Options {
            unique_key: Some("soon".into()),
            run_at: Some(tx.now() + std::time::Duration::from_secs(2)),
            ..Options::default()
        };
        jobs::enqueue(tx, &Self {}, options).map(drop)
    }
}

impl Job for FindAlike {
    const KIND: &'static str = "library.find_alike";
    const CONCURRENCY: usize = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, running: &Running) -> Result<(), Failure> {
        loop {
            if running.cancelled().is_cancelled() {
                return Err(Failure::Interrupted);
            }
            let waiting = app.db.read(store::duplicates::is_waiting).await.map_err(Failure::retry)?;
            if !waiting {
                break;
            }
            app.db.write(compare_some_in).await.map_err(Failure::retry)?;
        }
        let unhashed =
            app.db.read(|conn| store::duplicates::unhashed(conn, UNHASHED)).await.map_err(Failure::retry)?;
        if unhashed.is_empty() {
            return Ok(());
        }
        let queue = move |tx: &Tx<'_>| unhashed.iter().try_for_each(|version| describe_again(tx, *version));
        app.db.write(queue).await.map_err(Failure::retry)
    }
}

/// Compares some of those that wait with all that are known.
fn compare_some_in(tx: &Tx<'_>) -> Result<()> {
    for media in store::duplicates::waiting(tx, CHUNK)? {
        store::duplicates::forget(tx, media)?;
        let mut found: BTreeMap<Seq, (u32, bool)> = BTreeMap::new();
        for other in store::duplicates::same_bytes(tx, media, PAIRS_MAX)? {
            found.insert(other, (0, true));
        }
        if let Some(hash) = store::duplicates::hash_of(tx, media)? {
            for (other, distance) in near(tx, hash)? {
                found.entry(other).or_insert((distance, false));
            }
            store::duplicates::add_bands(tx, media, hash)?;
        }
        for (other, (distance, exact)) in found {
            if other != media {
                store::duplicates::add_pair(tx, media.min(other), media.max(other), distance, exact)?;
            }
        }
        store::duplicates::done(tx, media)?;
    }
    Ok(())
}

/// The pictures whose hashes differ in few bits, the nearest first.
fn near(conn: &Connection, hash: u64) -> Result<Vec<(Seq, u32)>> {
    let mut found: BTreeSet<(u32, Seq)> = BTreeSet::new();
    for (number, band) in bands(hash).into_iter().enumerate() {
        for value in neighbours(band) {
            store::duplicates::each_in_band(conn, number, value, |media, other| {
                let distance = (hash ^ other).count_ones();
                if distance <= DISTANCE_MAX {
                    found.insert((distance, media));
                    if found.len() > PAIRS_MAX {
                        found.pop_last();
                    }
                }
            })?;
        }
    }
    Ok(found.into_iter().map(|(distance, media)| (media, distance)).collect())
}

/// How alike the media of a group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Likeness {
    /// The same bytes.
    Exact,
    /// Pictures that hardly differ.
    Similar,
}

/// Media that show the same.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Group {
    /// Names the group while it lasts: the id of its oldest media.
    pub key: MediaId,
    /// Whether all of them are the same bytes.
    pub kind: Likeness,
    /// The most bits in which two hashes that were compared differ, 0 to 6.
    pub distance: u32,
    /// The media, the oldest first; at most a hundred.
    pub items: Vec<Media>,
    #[serde(skip)]
    pub(super) leader: Seq,
}

/// Groups of media that show the same and that the viewer sees, none of them in the trash, the newest first; at most `rows`, those after a group.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub async fn list_duplicates(
    app: &App,
    bucket: Option<Slug>,
    kind: Option<Likeness>,
    viewer: Option<UserId>,
    after: Option<i64>,
    rows: usize,
) -> Result<Vec<Group>> {
    app.db
        .read(move |conn| {
            let buckets = store::json(&seen(conn, viewer.into(), bucket.as_ref())?);
            let mut groups = Vec::new();
            let mut after = after.unwrap_or(Seq::MAX);
            while groups.len() < rows {
                let leaders =
                    store::duplicates::leaders(conn, &buckets, kind == Some(Likeness::Exact), after, rows)?;
                let Some(last) = leaders.last() else { break };
                after = *last;
                for leader in leaders {
                    groups.extend(group(conn, &buckets, kind, viewer, leader)?);
                }
            }
            groups.truncate(rows);
            Ok(groups)
        })
        .await
}

/// The group that a media leads: all that can be reached from it by pairs. None if an older one leads it.
fn group(
    conn: &Connection,
    buckets: &str,
    kind: Option<Likeness>,
    viewer: Option<UserId>,
    leader: Seq,
) -> Result<Option<Group>> {
    let mut members = BTreeSet::from([leader]);
    let mut open = vec![leader];
    let (mut distance, mut all_exact) = (0, true);
    while let Some(media) = open.pop() {
        for pair in store::duplicates::pairs(conn, buckets, kind == Some(Likeness::Exact), media)? {
            distance = distance.max(pair.distance);
            all_exact &= pair.exact;
            if pair.other < leader {
                return Ok(None);
            }
            if members.len() < GROUP_MAX && members.insert(pair.other) {
                open.push(pair.other);
            }
        }
    }
    let found = if all_exact { Likeness::Exact } else { Likeness::Similar };
    if kind.is_some_and(|kind| kind != found) {
        return Ok(None);
    }
    let seqs: Vec<Seq> = members.into_iter().collect();
    let mut items = store::list::fetch(conn, &seqs, viewer)?;
    items.sort_by_key(|media| media.seq);
    let Some(first) = items.first() else { return Ok(None) };
    Ok(Some(Group { key: first.id, kind: found, distance, leader, items }))
}

/// Says that some media are all wanted although they are alike: they are no group any more. Returns how many pairs that
/// were.
///
/// # Errors
/// [`Error::TooManyIds`], [`Error::Forbidden`], [`Error::Db`].
pub async fn dismiss_duplicates(app: &App, actor: &Actor, ids: Vec<MediaId>) -> Result<u64> {
    if ids.len() > GROUP_MAX {
        return Err(Error::TooManyIds { most: GROUP_MAX });
    }
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let mut known = Vec::new();
            for id in &ids {
                match get_for_in(tx, &actor, *id, Permission::LibraryWrite) {
                    Ok(_) => known.push(*id),
                    Err(Error::NoSuchMedia) => {}
                    Err(error) => return Err(error),
                }
            }
            let dismissed = store::duplicates::dismiss(tx, &known)? as u64;
            if dismissed > 0 {
                let details = serde_json::json!({ "ids": known });
                audit::record(tx, &actor, "duplicates.dismiss", Target::nothing("media"), &details)?;
            }
            Ok(dismissed)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hashes_in_reach_share_a_neighbouring_band() {
        let hash = 0x0123_4567_89ab_cdef_u64;
        let mut seed = 7_u64;
        for _ in 0..10_000 {
            let mut other = hash;
            while (hash ^ other).count_ones() < DISTANCE_MAX {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                other ^= 1 << (seed >> 58);
            }
            let pairs = bands(hash).into_iter().zip(bands(other));
            assert!(pairs.into_iter().any(|(one, other)| neighbours(one).any(|value| value == other)));
        }
    }
}
