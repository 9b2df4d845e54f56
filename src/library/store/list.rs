//! Lists of media: sorted, filtered, paged by key.
//!
//! A page walks the index of its order, bucket by bucket, and stops when it is full; a deep page costs what the first
//! one costs. That is slow only where hardly anything on the way fits the filter. So each filter is first asked how much
//! fits it: when that is little, those rows are fetched and sorted instead.

use rusqlite::{Connection, ToSql, params};

use super::{MEDIA_COLUMNS, MEDIA_JOINS, buckets, limit, media_from_row};
use crate::db::Result;
use crate::library::model::{Filter, Kind, Media, Position, Seq, Sort, SortBy};
use crate::library::names;

/// Up to here sorting what fits is quicker than walking past what does not.
const FEW: usize = 2000;

/// Groups of three characters that are looked up; what they find is compared with the whole text anyway.
const PARTS_MAX: usize = 16;

/// All pictures, as a range of media types.
const IMAGES: (&str, &str) = ("image/", "image0");

pub(in crate::library) fn list(
    conn: &Connection,
    bucket: Option<Seq>,
    filter: &Filter,
    sort: Sort,
    after: Option<&Position>,
    rows: usize,
) -> Result<Vec<Media>> {
    let name = filter.name.as_deref().map(names::fold).filter(|name| !name.is_empty());
    let named = match &name {
        Some(name) => few_named(conn, name)?,
        None => None,
    };
    let buckets = match bucket {
        Some(bucket) => vec![bucket],
        None => buckets::seqs(conn)?,
    };
    let mut found: Vec<(Position, Media)> = Vec::new();
    for bucket in buckets {
        let few = match (&named, &filter.kind) {
            (Some(named), _) => Some(named.clone()),
            (None, Some(kind)) => few_of_kind(conn, bucket, filter.trashed, kind)?,
            (None, None) => None,
        };
        let walk = Walk { bucket, filter, name: name.as_deref(), sort, after, few: few.as_deref() };
        found.extend(walk.fetch(conn, rows)?.into_iter().map(|media| (media.position(sort), media)));
    }
    found.sort_by(|(a, _), (b, _)| if sort.descending { b.cmp(a) } else { a.cmp(b) });
    found.truncate(rows);
    Ok(found.into_iter().map(|(_, media)| media).collect())
}

/// One bucket's share of a page.
struct Walk<'a> {
    bucket: Seq,
    filter: &'a Filter,
    name: Option<&'a str>,
    sort: Sort,
    after: Option<&'a Position>,
    /// Row numbers as JSON, if few rows can fit at all.
    few: Option<&'a str>,
}

impl Walk<'_> {
    fn fetch(&self, conn: &Connection, rows: usize) -> Result<Vec<Media>> {
        let Self { bucket, filter, name, sort, after, few } = *self;
        let (column, index) = match sort.by {
            SortBy::Created => ("created_at", "created"),
            SortBy::Name => ("name_folded", "name"),
            SortBy::Taken => ("taken_or_created_at", "taken"),
            SortBy::Size => ("size_bytes", "size"),
        };
        let (direction, compare) = if sort.descending { ("DESC", "<") } else { ("ASC", ">") };
        let prefix = if filter.folder.is_some() { "media_in_folder_by" } else { "media_by" };
        let rows = limit(rows);
        let mut values: Vec<(&str, &dyn ToSql)> = vec![(":bucket", &bucket), (":limit", &rows)];

        let source = match &few {
            Some(_) => String::new(),
            None => format!("INDEXED BY {prefix}_{index}"),
        };
        let trashed = i32::from(filter.trashed);
        let mut sql = format!(
            "SELECT {MEDIA_COLUMNS} FROM media m {source} {MEDIA_JOINS} WHERE m.bucket_seq = :bucket AND m.trashed = {trashed}"
        );
        if let Some(few) = &few {
            sql.push_str(" AND m.seq IN (SELECT value FROM json_each(:few))");
            values.push((":few", few));
        }
        if let Some(folder) = &filter.folder {
            sql.push_str(" AND m.folder = :folder");
            values.push((":folder", folder));
        }
        if let Some(Position(value, seq)) = after {
            sql.push_str(&format!(" AND (m.{column}, m.seq) {compare} (:value, :seq)"));
            values.push((":value", value));
            values.push((":seq", seq));
        }
        if let Some(name) = &name {
            sql.push_str(" AND instr(m.name_folded, :name) > 0");
            values.push((":name", name));
        }
        match &filter.kind {
            None => {}
            Some(Kind::Image) => {
                sql.push_str(" AND m.content_type >= 'image/' AND m.content_type < 'image0'")
            }
            Some(Kind::Other) => {
                sql.push_str(" AND NOT (m.content_type >= 'image/' AND m.content_type < 'image0')")
            }
            Some(Kind::Type(mime)) => {
                sql.push_str(" AND m.content_type = :mime");
                values.push((":mime", mime));
            }
        }
        sql.push_str(&format!(" ORDER BY m.{column} {direction}, m.seq {direction} LIMIT :limit"));
        let mut statement = conn.prepare_cached(&sql)?;
        let rows = statement.query_map(&*values, media_from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// The media whose name may contain a text, if they are few. Three characters are what the index can look up.
fn few_named(conn: &Connection, name: &str) -> Result<Option<String>> {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() < 3 {
        return Ok(None);
    }
    let mut parts: Vec<String> = chars
        .windows(3)
        .take(PARTS_MAX)
        .map(|part| format!("\"{}\"", part.iter().collect::<String>().replace('"', "\"\"")))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    let mut statement =
        conn.prepare_cached("SELECT rowid FROM media_names WHERE media_names MATCH ?1 LIMIT ?2")?;
    let rows = statement.query_map(params![parts.join(" "), limit(FEW + 1)], |row| row.get(0))?;
    few(rows)
}

/// The media of a bucket that are of a kind, if they are few.
fn few_of_kind(conn: &Connection, bucket: Seq, trashed: bool, kind: &Kind) -> Result<Option<String>> {
    let (first, second) = match kind {
        Kind::Image => (IMAGES, None),
        Kind::Other => (("", IMAGES.0), Some((IMAGES.1, "\u{10ffff}"))),
        Kind::Type(mime) => ((mime.as_str(), mime.as_str()), None),
    };
    // Only a single type has both ends in common with the range.
    let compare = if matches!(kind, Kind::Type(_)) { "<=" } else { "<" };
    let (second_from, second_to) = second.unwrap_or(("", ""));
    let part = format!(
        "SELECT seq FROM media INDEXED BY media_by_type
         WHERE bucket_seq = ?1 AND trashed = ?2 AND content_type >= {{from}} AND content_type {compare} {{to}}"
    );
    let first_part = part.replace("{from}", "?3").replace("{to}", "?4");
    let second_part = part.replace("{from}", "?5").replace("{to}", "?6");
    let sql = if second.is_some() {
        format!("SELECT seq FROM ({first_part} UNION ALL {second_part}) LIMIT ?7")
    } else {
        format!("SELECT seq FROM ({first_part} AND ?5 = ?6) LIMIT ?7")
    };
    let mut statement = conn.prepare_cached(&sql)?;
    let values = params![bucket, trashed, first.0, first.1, second_from, second_to, limit(FEW + 1)];
    let rows = statement.query_map(values, |row| row.get(0))?;
    few(rows)
}

fn few(rows: impl Iterator<Item = rusqlite::Result<Seq>>) -> Result<Option<String>> {
    let seqs: Vec<Seq> = rows.collect::<rusqlite::Result<_>>()?;
    Ok((seqs.len() <= FEW).then(|| serde_json::to_string(&seqs).unwrap_or_else(|_| "[]".into())))
}
