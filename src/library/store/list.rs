//! Lists of media: sorted, filtered, searched, paged by key.
//!
//! A page is found in two steps: which rows it has, in their order, and then what these rows hold. The first step walks
//! the index of the order, bucket by bucket, and stops when the page is full; a deep page costs what the first one costs.
//! That is slow only where little on the way fits. So the indexes that know something of the filter are asked:
//!
//! * In the order of arrival, which is the order of the row numbers in each index, what they propose is walked instead.
//! * Few proposals are fetched and sorted.
//! * Where many are proposed, most pages are full after some steps in the order's own index. Where that does not come true,
//!   the numbers of all that is proposed are gathered, so that the walk passes over the others without looking at them;
//!   and when it takes longer than sorting would, they are sorted.
//!
//! An index only proposes. What it names is compared with the query, and may be more than what fits, never less.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Rows, ToSql, named_params, params};

use super::months::{self, Months};
use super::proposals::{PIECE, Proposals};
use super::{MEDIA_COLUMNS, MEDIA_JOINS, json, limit, media_from_row};
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::Result;
use crate::library::model::{Filter, Media, Position, Seq, Sort, SortBy, SortValue};
use crate::library::query::{Candidate, Property, Want};

/// Up to so many folders below one are merged; each costs a look into the index.
const FOLDERS_MAX: usize = 1000;

/// Rows that are compared one by one before it is asked how many more there would be.
const TRIAL: usize = 1000;

/// Gathering all proposals takes as long as comparing one in so many of the media.
const MEDIA_A_STEP: usize = 100;

/// Steps of a walk past what is not proposed that take as long as fetching a proposal.
const STEPS_A_FETCH: usize = 20;

/// The most that is sorted. Walking the index of a million to its end takes as long.
const SORTED_MAX: usize = 50_000;

/// Rows whose numbers are known. The join is written so that SQLite doesn't rather walk the bucket in its order and look
/// for each row among the numbers.
const NAMED: &str = "FROM json_each(:seqs) named CROSS JOIN media m ON m.seq = named.value WHERE true";

/// Media of some buckets that fit, in order.
pub(in crate::library) fn list(
    conn: &Connection,
    buckets: &[Seq],
    filter: &Filter,
    sort: Sort,
    after: Option<&Position>,
    rows: usize,
) -> Result<Vec<Media>> {
    let found = positions(conn, buckets, filter, sort, after, rows)?;
    let seqs: Vec<Seq> = found.iter().map(|position| position.1).collect();
    let mut media = fetch(conn, &seqs, filter.viewer)?;
    media.sort_by_cached_key(|media| media.position(sort));
    if sort.descending {
        media.reverse();
    }
    Ok(media)
}

/// Where the media of a page stand, in order.
pub(in crate::library) fn positions(
    conn: &Connection,
    buckets: &[Seq],
    filter: &Filter,
    sort: Sort,
    after: Option<&Position>,
    rows: usize,
) -> Result<Vec<Position>> {
    let mut found = Vec::new();
    for bucket in buckets {
        let scope = Scope::new(conn, *bucket, filter, sort, after, rows)?;
        found.append(&mut scope.page()?);
    }
    found.sort_unstable();
    if sort.descending {
        found.reverse();
    }
    found.truncate(rows);
    Ok(found)
}

/// Media by row number, in no order; those that are gone are left out.
pub(in crate::library) fn fetch(
    conn: &Connection,
    seqs: &[Seq],
    viewer: Option<UserId>,
) -> Result<Vec<Media>> {
    let sql = format!(
        "SELECT {MEDIA_COLUMNS} FROM json_each(:seqs) wanted CROSS JOIN media m ON m.seq = wanted.value {MEDIA_JOINS}"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let seqs = json(seqs);
    let rows = statement.query_map(named_params! { ":seqs": seqs, ":viewer": viewer }, media_from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Media of some buckets that fit, by the month in which they were taken, as year * 100 + month. Those of the buckets are added up.
pub(in crate::library) fn months(
    conn: &Connection,
    buckets: &[Seq],
    filter: &Filter,
) -> Result<BTreeMap<i64, u64>> {
    let mut months = BTreeMap::new();
    let sort = Sort { by: SortBy::Taken, descending: false };
    for bucket in buckets {
        let scope = Scope::new(conn, *bucket, filter, sort, None, usize::MAX)?;
        for (month, count) in scope.months()? {
            *months.entry(month).or_default() += count;
        }
    }
    Ok(months)
}

/// The highest row number of a media.
pub(in crate::library) fn newest(conn: &Connection) -> Result<Seq> {
    Ok(conn.query_row("SELECT coalesce(max(seq), 0) FROM media", [], |row| row.get(0))?)
}

/// One bucket's share of a page.
struct Scope<'a> {
    conn: &'a Connection,
    bucket: Seq,
    filter: &'a Filter,
    /// The folder that is meant with those below it.
    tree: Option<&'a str>,
    /// The folder that alone is meant.
    folder: Option<&'a str>,
    column: &'static str,
    /// How the index of the order is called, after what comes before it.
    order: &'static str,
    sort: Sort,
    after: Option<&'a Position>,
    rows: usize,
    looks: Looks,
}

/// What a media has to be asked before it is known to fit.
enum Looks {
    /// Nothing: an index has decided.
    None,
    /// Whatever the statement reads.
    At(String),
}

impl<'a> Scope<'a> {
    fn new(
        conn: &'a Connection,
        bucket: Seq,
        filter: &'a Filter,
        sort: Sort,
        after: Option<&'a Position>,
        rows: usize,
    ) -> Result<Self> {
        let (column, order) = match sort.by {
            SortBy::Created => ("created_at", "created"),
            SortBy::Name => ("name_folded", "name"),
            SortBy::Taken => ("taken_or_created_at", "taken"),
            SortBy::Size => ("size_bytes", "size"),
        };
        // Everything is below the top.
        let tree = filter.folder.as_deref().filter(|folder| filter.recursive && !folder.is_empty());
        let folder = filter.folder.as_deref().filter(|_| !filter.recursive);
        let looks = if filter.query.is_empty() && tree.is_none() {
            Looks::None
        } else {
            let flag = |property, sql| if filter.query.asks_for(property) { sql } else { "0" };
            Looks::At(format!(
                "SELECT name, name_folded, folder, tags, description, coalesce(camera, ''), content_type, size_bytes,
                        taken_or_created_at, {}, {}, {column}, bucket_seq, trashed
                 FROM media WHERE seq = :seq AND (:viewer IS NULL OR 1)",
                flag(
                    Property::Favourite,
                    "EXISTS (SELECT 1 FROM favourites WHERE user_id = :viewer AND media_seq = :seq)"
                ),
                flag(Property::Restored, "EXISTS (SELECT 1 FROM renditions WHERE media_seq = :seq)"),
            ))
        };
        Ok(Self { conn, bucket, filter, tree, folder, column, order, sort, after, rows, looks })
    }

    fn page(&self) -> Result<Vec<Position>> {
        if self.filter.query.is_empty() {
            return match self.tree {
                Some(tree) => self.merge(tree),
                None => self.walk(),
            };
        }
        let mut proposals = self.proposals()?;
        if self.sort.by == SortBy::Created
            && self.folder.is_none()
            && let Some(proposals) = &mut proposals
        {
            return self.arrivals(proposals);
        }
        let few = match &mut proposals {
            Some(proposals) => proposals.few(self.conn, proposals.first())?,
            None => self.in_range(PIECE)?,
        };
        match few {
            Some(few) => self.sorted(&few),
            None => self.walk_past(proposals),
        }
    }

    fn proposals(&self) -> Result<Option<Proposals>> {
        Proposals::new(self.conn, self.bucket, self.tree, self.filter, self.sort.descending)
    }

    /// What lies in a range of sizes or times, if that is no more than so many; nothing if there is no range.
    fn in_range(&self, most: usize) -> Result<Option<Vec<Seq>>> {
        for want in self.filter.query.positive() {
            let (index, column, from, to) = match want {
                Want::Size(min, max) => {
                    ("media_by_size", "size_bytes", super::signed(*min), super::signed(*max))
                }
                Want::Taken(from, until) => {
                    ("media_by_taken", "taken_or_created_at", *from, until.saturating_sub(1))
                }
                _ => continue,
            };
            let sql = format!(
                "SELECT seq FROM media INDEXED BY {index} WHERE bucket_seq = ?1 AND trashed = ?2
                     AND {column} BETWEEN ?3 AND ?4 LIMIT ?5"
            );
            let mut statement = self.conn.prepare_cached(&sql)?;
            let values = params![self.bucket, self.filter.trashed, from, to, limit(most.saturating_add(1))];
            let rows = statement.query_map(values, |row| row.get(0))?;
            let seqs: Vec<Seq> = rows.collect::<rusqlite::Result<_>>()?;
            if seqs.len() <= most {
                return Ok(Some(seqs));
            }
        }
        Ok(None)
    }

    /// Walks the index of the order.
    fn walk(&self) -> Result<Vec<Position>> {
        self.select(&self.index(), &[], |rows| self.take(rows))
    }

    fn index(&self) -> String {
        let of = if self.folder.is_some() { "media_in_folder_by" } else { "media_by" };
        format!("FROM media m INDEXED BY {of}_{} WHERE true", self.order)
    }

    /// Walks the index of the order where much is proposed.
    fn walk_past(&self, proposals: Option<Proposals>) -> Result<Vec<Position>> {
        let mut proposals = proposals;
        self.select(&self.index(), &[], |rows| {
            let (mut found, mut steps) = (Vec::new(), 0_usize);
            let (mut gathered, mut may_gather): (Option<Seqs>, bool) = (None, true);
            while found.len() < self.rows {
                let Some(row) = rows.next()? else { break };
                steps += 1;
                if steps.is_multiple_of(TRIAL) && gathered.is_none() && may_gather {
                    let to_come = (self.rows - found.len()).saturating_mul(steps) / found.len().max(1);
                    let worth = usize::try_from(newest(self.conn)?).unwrap_or(0) / MEDIA_A_STEP;
                    if to_come > worth {
                        gathered = self.gather(proposals.as_mut())?;
                        may_gather = gathered.is_some();
                    }
                }
                let seq = row.get(1)?;
                if let Some(seqs) = &gathered {
                    if seqs.count <= SORTED_MAX && steps > TRIAL + STEPS_A_FETCH * seqs.count {
                        return self.sorted(&seqs.to_vec());
                    }
                    if !seqs.contain(seq) {
                        continue;
                    }
                }
                if self.fits(seq)?.is_some() {
                    found.push(Position(row.get(0)?, seq));
                }
            }
            Ok(found)
        })
    }

    /// The numbers of all that may fit.
    fn gather(&self, proposals: Option<&mut Proposals>) -> Result<Option<Seqs>> {
        let mut seqs = Seqs::default();
        if let Some(proposals) = proposals {
            proposals.each(self.conn, proposals.first(), |proposal| {
                seqs.add(proposal.seq);
                Ok(true)
            })?;
        } else if let Some(in_range) = self.in_range(usize::MAX)? {
            in_range.into_iter().for_each(|seq| seqs.add(seq));
        } else {
            return Ok(None);
        }
        Ok(Some(seqs))
    }

    /// Sorts what an index has named.
    fn sorted(&self, seqs: &[Seq]) -> Result<Vec<Position>> {
        let seqs = json(seqs);
        self.select(NAMED, &[(":seqs", &seqs)], |rows| self.take(rows))
    }

    /// Reads values and numbers in the order, those after the last page.
    fn select<T>(
        &self,
        source: &str,
        more: &[(&str, &dyn ToSql)],
        read: impl FnOnce(&mut Rows<'_>) -> Result<T>,
    ) -> Result<T> {
        let (direction, compare) = if self.sort.descending { ("DESC", "<") } else { ("ASC", ">") };
        let column = self.column;
        let mut values: Vec<(&str, &dyn ToSql)> =
            vec![(":bucket", &self.bucket), (":trashed", &self.filter.trashed)];
        values.extend_from_slice(more);
        let mut sql =
            format!("SELECT m.{column}, m.seq {source} AND m.bucket_seq = :bucket AND m.trashed = :trashed");
        if let Some(folder) = &self.folder {
            sql.push_str(" AND m.folder = :folder");
            values.push((":folder", folder));
        }
        if let Some(Position(value, seq)) = self.after {
            sql.push_str(&format!(" AND (m.{column}, m.seq) {compare} (:value, :seq)"));
            values.push((":value", value));
            values.push((":seq", seq));
        }
        // The ends of a range that the order itself has end the walk.
        let (mut low, mut high) = (i64::MIN, i64::MAX);
        for want in self.filter.query.positive() {
            match (want, self.sort.by) {
                (Want::Size(min, max), SortBy::Size) => {
                    (low, high) = (low.max(super::signed(*min)), high.min(super::signed(*max)));
                }
                (Want::Taken(from, until), SortBy::Taken) => {
                    (low, high) = (low.max(*from), high.min(until.saturating_sub(1)));
                }
                _ => {}
            }
        }
        if (low, high) != (i64::MIN, i64::MAX) {
            sql.push_str(&format!(" AND m.{column} BETWEEN :low AND :high"));
            values.push((":low", &low));
            values.push((":high", &high));
        }
        sql.push_str(&format!(" ORDER BY m.{column} {direction}, m.seq {direction}"));
        if matches!(self.looks, Looks::None) {
            sql.push_str(&format!(" LIMIT {}", limit(self.rows)));
        }
        let mut statement = self.conn.prepare_cached(&sql)?;
        read(&mut statement.query(&*values)?)
    }

    /// Takes rows of value and number, in order, until the page is full.
    fn take(&self, rows: &mut Rows<'_>) -> Result<Vec<Position>> {
        let mut found = Vec::new();
        while found.len() < self.rows {
            let Some(row) = rows.next()? else { break };
            let position = Position(row.get(0)?, row.get(1)?);
            if self.fits(position.1)?.is_some() {
                found.push(position);
            }
        }
        Ok(found)
    }

    /// Merges the folders below one, each of which is sorted already.
    fn merge(&self, tree: &str) -> Result<Vec<Position>> {
        let folders = super::buckets::tree(self.conn, self.bucket, tree, FOLDERS_MAX + 1)?;
        // What lies in the trash may have lost its folder.
        if folders.len() > FOLDERS_MAX || self.filter.trashed {
            return self.walk();
        }
        let mut found = Vec::new();
        for folder in &folders {
            let alone = Scope { folder: Some(folder), tree: None, looks: Looks::None, ..*self };
            found.append(&mut alone.walk()?);
        }
        found.sort_unstable();
        if self.sort.descending {
            found.reverse();
        }
        found.truncate(self.rows);
        Ok(found)
    }

    /// Walks what is proposed, in the order of arrival.
    fn arrivals(&self, proposals: &mut Proposals) -> Result<Vec<Position>> {
        let from = match self.after {
            Some(Position(_, seq)) if self.sort.descending => seq - 1,
            Some(Position(_, seq)) => seq + 1,
            None => proposals.first(),
        };
        let mut found = Vec::new();
        let mut take = |seq| {
            if !self.sort.descending && self.filter.up_to.is_some_and(|last| seq > last) {
                return Ok(false);
            }
            if let Some(value) = self.fits(seq)? {
                found.push(Position(value, seq));
            }
            Ok(found.len() < self.rows)
        };
        if let Some(few) = proposals.few(self.conn, from)? {
            for seq in few {
                if !take(seq)? {
                    break;
                }
            }
        } else {
            proposals.each(self.conn, from, |proposal| take(proposal.seq))?;
        }
        Ok(found)
    }

    /// The value by which a media is sorted, if it fits.
    fn fits(&self, seq: Seq) -> Result<Option<SortValue>> {
        if self.filter.up_to.is_some_and(|last| seq > last) {
            return Ok(None);
        }
        let Looks::At(sql) = &self.looks else { return Ok(Some(SortValue::Number(0))) };
        let mut statement = self.conn.prepare_cached(sql)?;
        let found = statement
            .query_row(named_params! { ":seq": seq, ":viewer": self.filter.viewer }, |row| {
                let here =
                    row.get::<_, Seq>(12)? == self.bucket && row.get::<_, bool>(13)? == self.filter.trashed;
                let fits = here && self.is_inside(text(row, 2)?) && self.filter.query.fits(&candidate(row)?);
                if fits { row.get(11).map(Some) } else { Ok(None) }
            })
            .optional()?;
        Ok(found.flatten())
    }

    fn is_inside(&self, folder: &str) -> bool {
        let below = |tree: &str| {
            folder.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.folder.is_none_or(|wanted| folder == wanted) && self.tree.is_none_or(below)
    }

    fn months(&self) -> Result<Vec<(i64, u64)>> {
        let kept = !self.filter.trashed && self.folder.is_none() && self.tree.is_none();
        if kept && let Some((first, last)) = self.whole_months()? {
            return months::of_bucket(self.conn, self.bucket, first, last);
        }
        let mut counts = Months::default();
        if !self.filter.trashed && self.filter.query.is_empty() {
            if let Some(folder) = self.folder {
                months::add_folder(self.conn, self.bucket, folder, &mut counts)?;
                return Ok(counts.counts());
            }
            if let Some(tree) = self.tree {
                for folder in super::buckets::tree(self.conn, self.bucket, tree, usize::MAX)? {
                    months::add_folder(self.conn, self.bucket, &folder, &mut counts)?;
                }
                return Ok(counts.counts());
            }
        }
        match self.proposals()? {
            Some(proposals) => self.count(proposals, &mut counts)?,
            None => {
                for Position(taken, _) in self.walk_past(None)? {
                    if let SortValue::Number(taken) = taken {
                        counts.add(taken);
                    }
                }
            }
        }
        Ok(counts.counts())
    }

    /// The first and the last month that are meant, if nothing but whole months is.
    fn whole_months(&self) -> Result<Option<(i64, i64)>> {
        let (mut first, mut last) = (i64::MIN, i64::MAX);
        for condition in &self.filter.query.conditions {
            let Want::Taken(from, until) = &condition.want else { return Ok(None) };
            let Some((from, until)) = months::whole(*from, *until).filter(|_| !condition.negated) else {
                return Ok(None);
            };
            (first, last) = (first.max(from), last.min(until));
        }
        // Those times that no calendar has may be before or after all others.
        let is_open = (first == i64::MIN) != (last == i64::MAX);
        let timeless = || months::of_bucket(self.conn, self.bucket, 0, 0);
        Ok((!is_open || timeless()?.is_empty()).then_some((first, last)))
    }

    /// Counts what is proposed and fits.
    fn count(&self, mut proposals: Proposals, counts: &mut Months) -> Result<()> {
        let mut sure = Seqs::default();
        let mut compare = |seq| {
            if let Some(SortValue::Number(taken)) = self.fits(seq)? {
                counts.add(taken);
            }
            Ok(true)
        };
        if let Some(few) = proposals.few(self.conn, proposals.first())? {
            return few.into_iter().try_for_each(|seq| compare(seq).map(|_| ()));
        }
        proposals.each(self.conn, proposals.first(), |proposal| {
            if !proposal.sure {
                return compare(proposal.seq);
            }
            sure.add(proposal.seq);
            Ok(true)
        })?;
        if sure.count == 0 {
            return Ok(());
        }
        let few = (sure.count <= SORTED_MAX / 2).then(|| json(&sure.to_vec()));
        let count = |rows: &mut Rows<'_>| {
            while let Some(row) = rows.next()? {
                if sure.contain(row.get(1)?) {
                    counts.add(row.get(0)?);
                }
            }
            Ok(())
        };
        match &few {
            Some(few) => self.select(NAMED, &[(":seqs", few)], count),
            None => self.select(&self.index(), &[], count),
        }
    }
}

/// A set of row numbers, a bit for each.
#[derive(Default)]
struct Seqs {
    bits: Vec<u64>,
    count: usize,
}

impl Seqs {
    /// Adds a number that is not there yet.
    fn add(&mut self, seq: Seq) {
        let Ok(number) = usize::try_from(seq) else { return };
        if self.bits.len() <= number / 64 {
            self.bits.resize(number / 64 + 1, 0);
        }
        self.bits[number / 64] |= 1 << (number % 64);
        self.count += 1;
    }

    fn contain(&self, seq: Seq) -> bool {
        usize::try_from(seq)
            .is_ok_and(|number| self.bits.get(number / 64).is_some_and(|bits| bits >> (number % 64) & 1 == 1))
    }

    fn to_vec(&self) -> Vec<Seq> {
        let mut seqs = Vec::with_capacity(self.count);
        for (at, bits) in self.bits.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                seqs.extend(Seq::try_from(at * 64 + bits.trailing_zeros() as usize));
                bits &= bits - 1;
            }
        }
        seqs
    }
}

fn candidate<'r>(row: &'r Row<'_>) -> rusqlite::Result<Candidate<'r>> {
    Ok(Candidate {
        name: text(row, 0)?,
        name_folded: text(row, 1)?,
        folder: text(row, 2)?,
        tags: text(row, 3)?,
        description: text(row, 4)?,
        camera: text(row, 5)?,
        content_type: text(row, 6)?,
        size_bytes: super::unsigned(row, 7)?,
        taken_or_created_at: row.get::<_, Timestamp>(8)?,
        is_favourite: row.get(9)?,
        is_restored: row.get(10)?,
    })
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::super::months::month;
    use super::*;
    use crate::clock::Clock;
    use crate::db::{Db, Error, Role};
    use crate::library::query::Query;

    const MEDIA: i64 = 5000;

    /// More media than an index calls few, in and out of the trash of two buckets, with everything that a query can ask
    /// for: words that are in most, in a run, in one name, in a tag of one and within the name of another.
    const LIBRARY: &str = "
        INSERT INTO users (id, name, email, password_hash, role, created_at)
            VALUES (zeroblob(16), 'Ada', 'ada@example.org', 'x', 'owner', 1);
        INSERT INTO buckets (seq, id, slug, name, visibility, created_at)
            VALUES (1, x'11', 'photos', 'Photos', 'private', 1), (12, x'12', 'papers', 'Papers', 'private', 2);
        CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
            SELECT i, iif(i % 11 = 0, 12, 1) AS bucket,
                CASE i % 3 WHEN 0 THEN '' WHEN 1 THEN '2004' ELSE '2004/Été garden' END AS folder,
                printf('%s %07d', CASE WHEN i > 4900 THEN 'zebra' WHEN i % 9 = 0 THEN 'Garden' WHEN i % 7 = 0 THEN 'gardenia Beach'
                    WHEN i % 50 = 1 THEN '東京 旅行' WHEN i % 50 = 2 THEN 'Zürich o''b' ELSE 'IMG_' END, i * 7919 % 10007) AS name,
                CASE i % 40 WHEN 0 THEN 'text/plain' WHEN 1 THEN 'video/mp4' ELSE 'image/jpeg' END AS content_type,
                CASE i % 5 WHEN 0 THEN 'Canon EOS 5D' WHEN 1 THEN 'NIKON D90' WHEN 2 THEN 'EOS Canon' END AS camera,
                trim(iif(i % 2 = 0, 'family', '') || iif(i BETWEEN 2000 AND 2900, char(10) || 'summer 471', '')
                    || iif(i % 1999 = 0, char(10) || 'rare', ''), char(10)) AS tags,
                iif(i % 6 = 0, 'A yellow hat, 12', '') AS description,
                CASE WHEN i % 997 = 0 THEN -i WHEN i % 996 = 0 THEN 9223372036854775000 ELSE 1600000000000 + i * 11000000 END AS at
            FROM n;
        INSERT INTO folders (bucket_seq, path, parent, name, name_folded, created_at)
            SELECT DISTINCT bucket, folder, '', folder, folder, 0 FROM n;
        INSERT INTO media (seq, id, bucket_seq, key, folder, name, name_folded, version_id, content_type, size_bytes,
                taken_or_created_at, created_at, updated_at, trashed_at, camera, tags, description)
            SELECT i, CAST(printf('m%015d', i) AS BLOB), bucket, folder || '/' || name, folder, name, lower(name),
                CAST(printf('v%015d', i) AS BLOB), content_type, i * 1009 % 5000, at, 1700000000000 + i, 0, iif(i % 13 = 0, 5, NULL),
                camera, tags, description FROM n;
        INSERT INTO tags (seq, name, name_folded) VALUES (1, 'family', 'family'), (2, 'summer 471', 'summer 471'), (3, 'rare', 'rare');
        INSERT INTO media_tags (media_seq, tag_seq) SELECT i, t.seq FROM n JOIN tags t
            ON instr(char(10) || tags || char(10), char(10) || t.name || char(10));
        INSERT INTO favourites (user_id, media_seq) SELECT zeroblob(16), i FROM n WHERE i % 2 = 1;
        INSERT INTO blobs (sha256, md5, size_bytes, created_at) VALUES (zeroblob(32), zeroblob(16), 0, 0);
        INSERT INTO versions (id, media_seq, number, sha256, content_type, created_at)
            SELECT CAST(printf('v%015d', i) AS BLOB), i, 1, zeroblob(32), content_type, 0 FROM n WHERE i % 3 = 0;
        INSERT INTO renditions (id, media_seq, version_id, sha256, name, content_type, width, height, ai_generated, provenance, created_at)
            SELECT CAST(printf('r%015d', i) AS BLOB), i, CAST(printf('v%015d', i) AS BLOB), zeroblob(32), 'r', 'image/jpeg', 1, 1, 0, '{}', 0
            FROM n WHERE i % 3 = 0;
    ";

    /// Searches in which each way to a page, to a count and to no result is taken.
    const SEARCHES: [&str; 44] = [
        "garden",
        "gard",
        "arden",
        "gardenia beach",
        "beach arden",
        "family 471",
        "summer 47",
        "eac",
        "zebra",
        "471",
        "04",
        "0",
        "g",
        "z",
        "zz",
        "zur",
        "zürich",
        "京",
        "東京 旅",
        "o'b",
        "nowhere",
        "img_ -garden",
        "\"canon eos\"",
        "\"eos canon\" garden",
        "-type:image",
        "type:image",
        "type:text/plain garden",
        "-type:image -is:untagged",
        "tag:family",
        "tag:family arden",
        "tag:rare",
        "-tag:family",
        "camera:nikon img",
        "folder:2004 -folder:garden",
        "size:>4kb",
        "size:<1kb garden",
        "taken:2020",
        "taken:2020-11",
        "before:2021-02",
        "after:2021 hat",
        "taken:2020-11-03..2021-03 type:image",
        "is:favourite",
        "is:favourite is:restored garden",
        "-is:favourite is:described family 1",
    ];

    fn expected(scope: &Scope<'_>) -> Vec<Position> {
        let fitting = (1..=MEDIA).filter_map(|seq| Some(Position(scope.fits(seq).unwrap()?, seq)));
        let mut fitting: Vec<Position> = fitting.collect();
        fitting.sort();
        if scope.sort.descending {
            fitting.reverse();
        }
        fitting
    }

    fn compare(conn: &Connection, bucket: Seq, filter: &Filter, sort: Sort) {
        let scope = Scope::new(conn, bucket, filter, sort, None, 0).unwrap();
        let expected = expected(&scope);
        let (mut found, mut rows): (Vec<Position>, usize) = (Vec::new(), 53);
        loop {
            let after = found.last().cloned();
            let page = positions(conn, &[bucket], filter, sort, after.as_ref(), rows).unwrap();
            let is_last = page.len() < rows;
            found.extend(page);
            if is_last {
                break;
            }
            // The rest is one page.
            rows *= 100;
        }
        assert!(found == expected, "{filter:?} {sort:?}: {} instead of {}", found.len(), expected.len());
        if sort.by == SortBy::Taken {
            let mut months_expected = BTreeMap::new();
            for Position(taken, _) in expected {
                let SortValue::Number(taken) = taken else { continue };
                *months_expected.entry(month(taken)).or_insert(0) += 1;
            }
            assert_eq!(months(conn, &[bucket], filter).unwrap(), months_expected, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn every_way_to_a_list_finds_what_fits() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("safelight.db"), Role::Server, Clock::system()).unwrap();
        db.write(|tx| Ok::<_, Error>(tx.execute_batch(LIBRARY)?)).await.unwrap();
        db.read(|conn| {
            let orders = [SortBy::Taken, SortBy::Name, SortBy::Created, SortBy::Size];
            for (number, search) in SEARCHES.into_iter().enumerate() {
                let viewer = "00000000-0000-0000-0000-000000000000".parse().ok();
                let all = Filter { query: Query::parse(search), viewer, ..Filter::default() };
                let folder = Some(String::from("2004"));
                let others = [
                    Filter { trashed: true, ..all.clone() },
                    Filter { folder: folder.clone(), ..all.clone() },
                    Filter { folder, recursive: true, ..all.clone() },
                    all.clone(),
                ];
                let descending = number % 2 == 0;
                compare(conn, 1, &all, Sort { by: SortBy::Taken, descending });
                compare(conn, 1, &all, Sort { by: orders[1 + number % 3], descending });
                let other = &others[number % 4];
                compare(
                    conn,
                    if number % 4 == 3 { 12 } else { 1 },
                    other,
                    Sort { by: orders[number % 2 * 2], descending },
                );
            }
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    }
}
