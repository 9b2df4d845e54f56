//! Lists of media: sorted, filtered, searched, paged by key.
//!
//! A page is found in two steps: which rows it has, in their order, and then what these rows hold. The first step walks
//! the index of the order, bucket by bucket, and stops when the page is full; a deep page costs what the first one costs.
//! That is slow only where hardly anything on the way fits. So whatever an index knows about the filter is asked first:
//! when little fits, those rows are fetched and sorted instead; and when much does, the order of arrival, which is the
//! order of the row numbers in each index, is walked in the index that knows most about the filter.
//!
//! An index only proposes. What it names is compared with the query, and may be more than what fits, never less.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, Rows, ToSql, named_params, params};

use super::{MEDIA_COLUMNS, MEDIA_JOINS, json, limit, media_from_row};
use crate::audit::UserId;
use crate::clock::Timestamp;
use crate::db::Result;
use crate::library::model::{Filter, Kind, Media, Position, Seq, Sort, SortBy, SortValue};
use crate::library::query::{Candidate, Property, Text, Want};

/// Up to here sorting what fits is quicker than walking past what does not.
const FEW: usize = 4000;

/// Up to so many folders below one are merged; each costs a look into the index.
const FOLDERS_MAX: usize = 1000;

/// Groups of three characters that are looked up; what they find is compared with the whole text anyway.
const PARTS_MAX: usize = 16;

/// Months or years that are looked up one by one.
const TIMES_MAX: i64 = 60;

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

/// Where media that may fit are found, by row number.
#[derive(Clone)]
enum Source {
    /// Among the words.
    Words(String),
    /// Among the pieces of names, as far as the words know the rest of the filter.
    Pieces(String, Option<String>),
    /// In both.
    Both(String, String, Option<String>),
    Tag(Seq),
    Favourites(UserId),
    Restored,
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
        let sources = self.sources()?;
        // A long action goes through everything anyway, in the order of arrival.
        if self.filter.up_to.is_none()
            && let Some(few) = self.few(&sources)?
        {
            return self.sorted(&few);
        }
        match sources.last() {
            Some(source) if self.sort.by == SortBy::Created && self.folder.is_none() => self.stream(source),
            _ => self.walk(),
        }
    }

    /// All that may fit, if that is little.
    fn few(&self, sources: &[Source]) -> Result<Option<Vec<Seq>>> {
        for source in sources {
            let few = self.few_of(source)?;
            if few.is_some() {
                return Ok(few);
            }
        }
        self.few_in_range()
    }

    fn few_of(&self, source: &Source) -> Result<Option<Vec<Seq>>> {
        let mut seqs = Vec::new();
        self.each(source, None, |seq| {
            seqs.push(seq);
            Ok(seqs.len() <= FEW)
        })?;
        Ok((seqs.len() <= FEW).then_some(seqs))
    }

    /// Where what may fit can be found: first what is sharp by its nature, last what knows most.
    fn sources(&self) -> Result<Vec<Source>> {
        let query = &self.filter.query;
        let mut sources = Vec::new();
        for want in query.positive() {
            if let Want::Tag(tag) = want {
                // A tag that nobody has given is on nothing.
                let seq = super::tags::find(self.conn, tag)?.unwrap_or(-1);
                sources.push(Source::Tag(seq));
            }
        }
        for want in query.positive() {
            match want {
                Want::Is(Property::Favourite) => {
                    sources.extend(self.filter.viewer.map(Source::Favourites));
                }
                Want::Is(Property::Restored) => sources.push(Source::Restored),
                _ => {}
            }
        }
        let facts = self.facts();
        let mut texts = Vec::new();
        for want in query.positive() {
            let Want::Text(text) = want else { continue };
            if let Some(proposal) = self.propose(text, &facts)? {
                texts.push(proposal);
            }
        }
        sources.extend(texts.iter().cloned());
        // All of them together find the least; who knows only a piece of a name is asked alone.
        let words: Vec<&str> = texts.iter().filter_map(Source::words).collect();
        if words.len() == texts.len() && texts.len() > 1 {
            let pieces: Vec<&str> = texts.iter().filter_map(Source::pieces).collect();
            let words = words.join(" AND ");
            let both = if pieces.len() == texts.len() {
                Source::Both(words, pieces.join(" "), rest(&facts))
            } else {
                Source::Words(words)
            };
            sources.push(both);
        }
        // A tag alone is known better by itself.
        let only_tags = query.positive().all(|want| matches!(want, Want::Tag(_))) && self.tree.is_none();
        if texts.is_empty() && facts.len() > 1 && !only_tags {
            sources.push(Source::Words(facts.join(" AND ")));
        }
        Ok(sources)
    }

    /// Where a text may be found; nowhere in particular if no index knows.
    fn propose(&self, text: &Text, facts: &[String]) -> Result<Option<Source>> {
        let pieces = if text.may_be_a_piece() { pieces(&text.piece) } else { None };
        if text.may_be_a_piece() && pieces.is_none() {
            return Ok(None);
        }
        let words = words(text);
        if words.is_empty() {
            return Ok(pieces.map(|pieces| Source::Pieces(pieces, rest(facts))));
        }
        let words = words.join(" AND ");
        let known: bool = self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM media_words WHERE media_words MATCH ?1)")?
            .query_row([&words], |row| row.get(0))?;
        // What no word begins with can only be a piece of a name.
        if !known && let Some(pieces) = pieces {
            return Ok(Some(Source::Pieces(pieces, rest(facts))));
        }
        let words = format!("{} AND {words}", facts.join(" AND "));
        Ok(Some(match pieces {
            Some(pieces) => Source::Both(words, pieces, rest(facts)),
            None => Source::Words(words),
        }))
    }

    /// What the words of a row say beside those that people write, and that the filter asks for.
    fn facts(&self) -> Vec<String> {
        let place = if self.filter.trashed { "zzt" } else { "zzb" };
        let mut facts = vec![format!("\"{place}{}\"", self.bucket)];
        for want in self.filter.query.positive() {
            match want {
                Want::Kind(Kind::Image) => facts.push("\"zzkimage\"".into()),
                Want::Kind(Kind::Video) => facts.push("\"zzkvideo\"".into()),
                Want::Kind(Kind::Other) => facts.push("\"zzkother\"".into()),
                Want::Kind(Kind::Type(mime)) => {
                    let hex: String = mime.bytes().map(|byte| format!("{byte:02x}")).collect();
                    facts.push(format!("\"zzm{hex}\""));
                }
                Want::Is(Property::Described) => facts.push("\"zzd\"".into()),
                Want::Is(Property::Untagged) => facts.push("\"zzu\"".into()),
                Want::Camera(text) | Want::Folder(text) => facts.extend(words(text)),
                Want::Tag(tag) => facts.extend(words(&Text::of_path(tag))),
                Want::Taken(from, until) => facts.extend(times(*from, *until)),
                _ => {}
            }
        }
        if let Some(tree) = self.tree {
            facts.extend(words(&Text::of_path(tree)));
        }
        facts
    }

    /// What lies in a range of sizes or times, if that is little.
    fn few_in_range(&self) -> Result<Option<Vec<Seq>>> {
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
            let values = params![self.bucket, self.filter.trashed, from, to, limit(FEW + 1)];
            let rows = statement.query_map(values, |row| row.get(0))?;
            let seqs: Vec<Seq> = rows.collect::<rusqlite::Result<_>>()?;
            if seqs.len() <= FEW {
                return Ok(Some(seqs));
            }
        }
        Ok(None)
    }

    /// Walks the index of the order.
    fn walk(&self) -> Result<Vec<Position>> {
        let of = if self.folder.is_some() { "media_in_folder_by" } else { "media_by" };
        let source = format!("FROM media m INDEXED BY {of}_{} WHERE true", self.order);
        self.select(&source, &[])
    }

    /// Sorts what an index has named.
    fn sorted(&self, seqs: &[Seq]) -> Result<Vec<Position>> {
        let seqs = json(seqs);
        self.select("FROM media m WHERE m.seq IN (SELECT value FROM json_each(:seqs))", &[(":seqs", &seqs)])
    }

    fn select(&self, source: &str, more: &[(&str, &dyn ToSql)]) -> Result<Vec<Position>> {
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
        let mut rows = statement.query(&*values)?;
        self.take(&mut rows)
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

    /// Walks what an index names, in the order of arrival.
    fn stream(&self, source: &Source) -> Result<Vec<Position>> {
        let mut found = Vec::new();
        self.each(source, self.after.map(|position| position.1), |seq| {
            if self.filter.up_to.is_some_and(|last| seq > last) {
                return Ok(false);
            }
            if let Some(value) = self.fits(seq)? {
                found.push(Position(value, seq));
            }
            Ok(found.len() < self.rows)
        })?;
        Ok(found)
    }

    /// Hands the row numbers of a source out in the direction of the order, those after one, until it is enough.
    fn each(
        &self,
        source: &Source,
        after: Option<Seq>,
        mut take: impl FnMut(Seq) -> Result<bool>,
    ) -> Result<()> {
        let (direction, compare) = if self.sort.descending { ("DESC", "<") } else { ("ASC", ">") };
        let from = after.unwrap_or(if self.sort.descending { Seq::MAX } else { Seq::MIN });
        let of = |table: &str| {
            format!(
                "SELECT rowid FROM {table} WHERE {table} MATCH ?1 AND rowid {compare} ?2 ORDER BY rowid {direction}"
            )
        };
        let of_table = |table: &str, condition: &str| {
            format!(
                "SELECT media_seq FROM {table} WHERE {condition} AND media_seq {compare} ?2
                 ORDER BY media_seq {direction}"
            )
        };
        let (sql, value): (String, &dyn ToSql) = match source {
            Source::Words(words) => (of("media_words"), words),
            Source::Tag(tag) => (of_table("media_tags", "tag_seq = ?1"), tag),
            Source::Favourites(user) => (of_table("favourites", "user_id = ?1"), user),
            Source::Restored => {
                let sql = of_table("renditions", "?1").replacen("SELECT", "SELECT DISTINCT", 1);
                (sql, &true)
            }
            Source::Pieces(pieces, rest) | Source::Both(_, pieces, rest) => {
                let words = match source {
                    Source::Both(words, ..) => Some(words),
                    _ => None,
                };
                let open = |table| self.conn.prepare_cached(&of(table));
                let mut pieces_of = open("media_names")?;
                let mut rest_of = rest.as_ref().map(|_| open("media_words")).transpose()?;
                let mut words_of = words.map(|_| open("media_words")).transpose()?;
                let other = Narrowed {
                    rows: pieces_of.query(params![pieces, from])?,
                    by: rest_of.as_mut().map(|statement| statement.query(params![rest, from])).transpose()?,
                    at: None,
                    descending: self.sort.descending,
                };
                let one =
                    words_of.as_mut().map(|statement| statement.query(params![words, from])).transpose()?;
                return in_order(one, other, take);
            }
        };
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params![value, from])?;
        while let Some(row) = rows.next()? {
            if !take(row.get(0)?)? {
                break;
            }
        }
        Ok(())
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
        if self.filter.query.is_empty() && !self.filter.trashed && self.tree.is_none() {
            return match self.folder {
                None => super::counted_months(self.conn, self.bucket),
                Some(folder) => super::months_of_folder(self.conn, self.bucket, folder),
            };
        }
        let sources = self.sources()?;
        let found = match (self.few(&sources)?, sources.last()) {
            (Some(few), _) => self.sorted(&few)?,
            (None, Some(source)) => self.stream(source)?,
            (None, None) => self.walk()?,
        };
        let mut counts = BTreeMap::new();
        for Position(taken, _) in found {
            if let SortValue::Number(taken) = taken {
                *counts.entry(month(taken)).or_insert(0) += 1;
            }
        }
        Ok(counts.into_iter().collect())
    }
}

impl Source {
    fn words(&self) -> Option<&str> {
        match self {
            Self::Words(words) | Self::Both(words, ..) => Some(words),
            _ => None,
        }
    }

    fn pieces(&self) -> Option<&str> {
        match self {
            Self::Both(_, pieces, _) => Some(pieces),
            _ => None,
        }
    }
}

/// What the words know of a filter beside its texts, if that is more than the bucket.
fn rest(facts: &[String]) -> Option<String> {
    (facts.len() > 1).then(|| facts.join(" AND "))
}

/// Row numbers of a sorted statement, those that another one has too.
struct Narrowed<'s> {
    rows: Rows<'s>,
    by: Option<Rows<'s>>,
    /// Where the other one stands.
    at: Option<Seq>,
    descending: bool,
}

impl Narrowed<'_> {
    fn next(&mut self) -> Result<Option<Seq>> {
        while let Some(seq) = next(&mut self.rows)? {
            let Some(by) = &mut self.by else { return Ok(Some(seq)) };
            let descending = self.descending;
            while self.at.is_none_or(|at| if descending { at > seq } else { at < seq }) {
                self.at = next(by)?;
                if self.at.is_none() {
                    return Ok(None);
                }
            }
            if self.at == Some(seq) {
                return Ok(Some(seq));
            }
        }
        Ok(None)
    }
}

fn next(rows: &mut Rows<'_>) -> Result<Option<Seq>> {
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

/// Hands the numbers of two sorted statements out in their order, each once.
fn in_order(
    mut one: Option<Rows<'_>>,
    mut other: Narrowed<'_>,
    mut take: impl FnMut(Seq) -> Result<bool>,
) -> Result<()> {
    let mut next_one = || one.as_mut().map_or(Ok(None), next);
    let descending = other.descending;
    let (mut a, mut b) = (next_one()?, other.next()?);
    loop {
        let first = match (a, b) {
            (Some(a), Some(b)) if descending => a.max(b),
            (Some(a), Some(b)) => a.min(b),
            (Some(seq), None) | (None, Some(seq)) => seq,
            (None, None) => return Ok(()),
        };
        if a == Some(first) {
            a = next_one()?;
        }
        if b == Some(first) {
            b = other.next()?;
        }
        if !take(first)? {
            return Ok(());
        }
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

/// The words of a text as the index can look them up, each in quotes. One of whose letters the index might think
/// otherwise is left out: it would find less than fits.
fn words(text: &Text) -> Vec<String> {
    let last = text.words.len().saturating_sub(1);
    let quoted = |(number, word): (usize, &String)| {
        let star = if text.is_prefix && number == last { "*" } else { "" };
        format!("\"{word}\"{star}")
    };
    text.words.iter().enumerate().filter(|(_, word)| word.chars().all(is_plain_letter)).map(quoted).collect()
}

/// Letters and digits of long-settled scripts, which are a word's part in every version of Unicode.
fn is_plain_letter(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || c.is_alphabetic()
            && matches!(c, '\u{c0}'..='\u{24f}' | '\u{386}'..='\u{3ce}' | '\u{400}'..='\u{481}' | '\u{48a}'..='\u{52f}'
                | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' | '\u{1e00}'..='\u{1eff}' | '\u{3041}'..='\u{3096}'
                | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fa5}' | '\u{ac00}'..='\u{d7a3}')
}

/// All groups of three characters of a piece of a name; none if it is shorter.
fn pieces(text: &str) -> Option<String> {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() < 3 {
        return None;
    }
    let mut parts: Vec<String> = chars
        .windows(3)
        .take(PARTS_MAX)
        .map(|part| format!("\"{}\"", part.iter().collect::<String>().replace('"', "\"\"")))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    Some(parts.join(" "))
}

/// The months or years that a time touches, as alternatives; none for a time that never ends.
fn times(from: i64, until: i64) -> Option<String> {
    let (first, last) = (month(from), month(until.checked_sub(1)?));
    if until == i64::MAX || first < 1 || first > last {
        return None;
    }
    let months = (last / 100 - first / 100) * 12 + last % 100 - first % 100;
    let times: Vec<String> = if months < TIMES_MAX {
        let next = |month: &i64| Some(if month % 100 == 12 { month + 89 } else { month + 1 });
        std::iter::successors(Some(first), next)
            .take_while(|month| *month <= last)
            .map(|month| format!("\"zzn{month:06}\""))
            .collect()
    } else if last / 100 - first / 100 < TIMES_MAX {
        (first / 100..=last / 100).map(|year| format!("\"zzy{year:04}\"")).collect()
    } else {
        return None;
    };
    Some(format!("({})", times.join(" OR ")))
}

/// Year * 100 + month, as the counts of whole buckets have it.
fn month(millis: i64) -> i64 {
    jiff::Timestamp::from_millisecond(millis).map_or(0, |at| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC);
        i64::from(date.year()) * 100 + i64::from(date.month())
    })
}
