//! Which media of a bucket may fit a query, by what the indexes know, in the order of the row numbers.
//!
//! An index only proposes: what it names is compared with the query, and may be more than what fits, never less. What is
//! proposed for sure need not be compared, given that it lies in the bucket.

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::limit;
use crate::audit::UserId;
use crate::db::Result;
use crate::library::model::{Filter, Kind, Seq};
use crate::library::query::{Condition, Property, Text, Want};

/// Rows that are first fetched from an index; what one has no more of than this is few.
pub(super) const PIECE: usize = 2048;

/// How much larger each further piece is: some queries have to be prepared at length before they tell their first row.
const GROWTH: usize = 4;

/// Groups of three characters that are looked up; what they find is compared with the whole text anyway.
const PARTS_MAX: usize = 16;

/// Months or years that are looked up one by one.
const TIMES_MAX: i64 = 60;

/// Words that a beginning is spelled out into. Looking these up is quicker than the beginning, for which the index first
/// brings all rows of all its words together.
const ENDINGS_MAX: usize = 16;

/// The shortest beginning, in bytes, for which the index has no list of its own.
const BEGINNING_MIN: usize = 4;

/// A row that may fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) seq: Seq,
    /// Whether it is known to fit, if it is in the bucket.
    pub(super) sure: bool,
}

/// What the indexes propose; nothing, where none of them knows anything of a query.
pub(super) struct Proposals {
    all: Stream,
    /// Whether every condition is decided by an index.
    decided: bool,
    descending: bool,
}

impl Proposals {
    /// Asks which indexes know something of a query, in a bucket, for those in or out of the trash.
    pub(super) fn new(
        conn: &Connection,
        bucket: Seq,
        tree: Option<&str>,
        filter: &Filter,
        descending: bool,
    ) -> Result<Option<Self>> {
        let facts = Facts::of(bucket, tree, filter);
        let query = &filter.query;
        let mut all = Vec::new();
        let mut decided = tree.is_none() && facts.decide_the_negated;
        for want in query.positive() {
            match want {
                Want::Tag(tag) => {
                    // A tag that nobody has given is on nothing.
                    let seq = super::tags::find(conn, tag)?.unwrap_or(-1);
                    all.push(Stream::Index(Leaf::rows("media_tags", "tag_seq = ?1", seq)));
                }
                Want::Is(Property::Favourite) => match filter.viewer {
                    Some(viewer) => all.push(Stream::Index(Leaf::favourites(viewer))),
                    None => decided = false,
                },
                Want::Is(Property::Restored) => {
                    all.push(Stream::Index(Leaf::rows("renditions", "?1", true)));
                }
                Want::Text(text) => match proposed(conn, text, &facts)? {
                    Some(stream) => all.push(stream),
                    None => decided = false,
                },
                Want::Taken(from, until) => decided &= are_whole_months(*from, *until),
                Want::Camera(_) | Want::Folder(_) | Want::Size(..) => decided = false,
                Want::Kind(_) | Want::Is(_) => {}
            }
        }
        // Texts bring the facts along.
        let has_text = query.positive().any(|want| matches!(want, Want::Text(_)));
        if let Some(query) = facts.alone().filter(|_| !has_text || all.is_empty()) {
            all.push(Stream::Index(Leaf::words(query, true)));
        }
        Ok((!all.is_empty()).then_some(Self { all: Stream::All(all), decided, descending }))
    }

    /// The first row from a number on.
    pub(super) fn from(&mut self, conn: &Connection, from: Seq) -> Result<Option<Proposal>> {
        let found = self.all.from(conn, from, self.descending)?;
        Ok(found.map(|found| Proposal { sure: found.sure && self.decided, ..found }))
    }

    /// All rows from a number on, if one of the indexes has few. Where several have to be brought together, few may be more.
    pub(super) fn few(&mut self, conn: &Connection, from: Seq) -> Result<Option<Vec<Seq>>> {
        let few = self.all.few(conn, from, self.descending, &Most { rows: PIECE, span: Seq::MAX })?;
        if few.is_some() || !self.all.has_several() {
            return Ok(few);
        }
        let rows = PIECE * GROWTH;
        let span = super::list::newest(conn)? / GROWTH as Seq;
        self.all.few(conn, from, self.descending, &Most { rows, span })
    }

    /// Hands out all rows, in order, until it is enough.
    pub(super) fn each(
        &mut self,
        conn: &Connection,
        from: Seq,
        mut take: impl FnMut(Proposal) -> Result<bool>,
    ) -> Result<()> {
        let mut from = from;
        while let Some(found) = self.from(conn, from)? {
            if !take(found)? {
                break;
            }
            from = if self.descending { found.seq - 1 } else { found.seq + 1 };
        }
        Ok(())
    }

    /// The number before all others.
    pub(super) const fn first(&self) -> Seq {
        if self.descending { Seq::MAX } else { 0 }
    }
}

/// How many rows are few.
struct Most {
    rows: usize,
    /// How far apart the ends of a piece lie at least in an index that has no more.
    span: Seq,
}

/// Row numbers in order.
enum Stream {
    Index(Leaf),
    /// What one of them has.
    Any(Vec<Stream>),
    /// What all of them have.
    All(Vec<Stream>),
}

impl Stream {
    fn from(&mut self, conn: &Connection, from: Seq, descending: bool) -> Result<Option<Proposal>> {
        match self {
            Self::Index(leaf) => leaf.from(conn, from, descending),
            Self::Any(streams) => {
                let mut first: Option<Proposal> = None;
                for stream in streams {
                    let Some(found) = stream.from(conn, from, descending)? else { continue };
                    if found.seq == from && found.sure {
                        return Ok(Some(found));
                    }
                    match &mut first {
                        Some(first) if first.seq == found.seq => first.sure |= found.sure,
                        Some(first) if is_before(first.seq, found.seq, descending) => {}
                        _ => first = Some(found),
                    }
                }
                Ok(first)
            }
            Self::All(streams) => {
                let mut at = from;
                'again: loop {
                    let mut sure = true;
                    for stream in &mut *streams {
                        let Some(found) = stream.from(conn, at, descending)? else { return Ok(None) };
                        sure &= found.sure;
                        if found.seq != at {
                            at = found.seq;
                            continue 'again;
                        }
                    }
                    return Ok(Some(Proposal { seq: at, sure }));
                }
            }
        }
    }

    fn has_several(&self) -> bool {
        match self {
            Self::Index(_) => false,
            Self::Any(streams) | Self::All(streams) => {
                streams.len() > 1 || streams.iter().any(Self::has_several)
            }
        }
    }

    fn few(
        &mut self,
        conn: &Connection,
        from: Seq,
        descending: bool,
        most: &Most,
    ) -> Result<Option<Vec<Seq>>> {
        match self {
            Self::Index(leaf) => leaf.few(conn, from, descending, most),
            Self::Any(streams) => {
                let mut together = Vec::new();
                for stream in streams {
                    let Some(mut few) = stream.few(conn, from, descending, most)? else { return Ok(None) };
                    together.append(&mut few);
                }
                together.sort_unstable();
                together.dedup();
                if descending {
                    together.reverse();
                }
                Ok(Some(together))
            }
            Self::All(streams) => {
                let mut fewest: Option<Vec<Seq>> = None;
                for stream in streams {
                    let Some(few) = stream.few(conn, from, descending, most)? else { continue };
                    if fewest.as_ref().is_none_or(|fewest| few.len() < fewest.len()) {
                        fewest = Some(few);
                    }
                }
                Ok(fewest)
            }
        }
    }
}

/// The rows of one index, fetched piece by piece: who has to pass over many asks for the next piece from further on.
struct Leaf {
    /// Reads rows from the number `?2` on, at most `?3`, in both directions.
    sql: [String; 2],
    value: Box<dyn ToSql>,
    sure: bool,
    piece: Vec<Seq>,
    at: usize,
    /// How many rows the next piece has.
    next: usize,
    /// Whether nothing follows the piece.
    whole: bool,
}

impl Leaf {
    fn new(select: &str, number: &str, value: impl ToSql + 'static, sure: bool) -> Self {
        let sql = [(">=", "ASC"), ("<=", "DESC")].map(|(compare, direction)| {
            format!("{select} AND {number} {compare} ?2 ORDER BY {number} {direction} LIMIT ?3")
        });
        Self { sql, value: Box::new(value), sure, piece: Vec::new(), at: 0, next: PIECE, whole: false }
    }

    fn rows(table: &str, condition: &str, value: impl ToSql + 'static) -> Self {
        let select = format!("SELECT DISTINCT media_seq FROM {table} WHERE {condition}");
        Self::new(&select, "media_seq", value, true)
    }

    fn favourites(viewer: UserId) -> Self {
        Self::rows("favourites", "user_id = ?1", viewer)
    }

    fn words(query: String, sure: bool) -> Self {
        Self::new("SELECT rowid FROM media_words WHERE media_words MATCH ?1", "rowid", query, sure)
    }

    fn pieces(query: String, sure: bool) -> Self {
        Self::new("SELECT rowid FROM media_names WHERE media_names MATCH ?1", "rowid", query, sure)
    }

    fn fetch(&mut self, conn: &Connection, from: Seq, descending: bool) -> Result<()> {
        let mut statement = conn.prepare_cached(&self.sql[usize::from(descending)])?;
        let rows = statement.query_map(params![self.value, from, limit(self.next + 1)], |row| row.get(0))?;
        self.piece.clear();
        for row in rows {
            self.piece.push(row?);
        }
        self.whole = self.piece.len() <= self.next;
        self.at = 0;
        self.next *= GROWTH;
        Ok(())
    }

    fn from(&mut self, conn: &Connection, from: Seq, descending: bool) -> Result<Option<Proposal>> {
        let rest = &self.piece[self.at..];
        // What is wanted next is mostly what comes next.
        self.at += match rest.first() {
            Some(next) if !is_before(*next, from, descending) => 0,
            _ => rest.partition_point(|seq| is_before(*seq, from, descending)),
        };
        if self.at == self.piece.len() && !self.whole {
            self.fetch(conn, from, descending)?;
        }
        Ok(self.piece.get(self.at).map(|seq| Proposal { seq: *seq, sure: self.sure }))
    }

    fn few(
        &mut self,
        conn: &Connection,
        from: Seq,
        descending: bool,
        most: &Most,
    ) -> Result<Option<Vec<Seq>>> {
        self.from(conn, from, descending)?;
        let span =
            || self.piece.last().zip(self.piece.first()).map_or(0, |(last, first)| (last - first).abs());
        if !self.whole && self.piece.len() < most.rows && span() >= most.span {
            self.fetch(conn, from, descending)?;
        }
        Ok((self.whole && self.piece.len() <= most.rows).then(|| self.piece[self.at..].to_vec()))
    }
}

const fn is_before(one: Seq, other: Seq, descending: bool) -> bool {
    if descending { one > other } else { one < other }
}

/// What the words of a row say beside those that people write, as far as a filter asks for it.
struct Facts {
    /// That it lies in the bucket, in or out of the trash.
    place: String,
    wanted: Vec<String>,
    unwanted: Vec<String>,
    /// Whether everything negated is among the unwanted.
    decide_the_negated: bool,
}

impl Facts {
    fn of(bucket: Seq, tree: Option<&str>, filter: &Filter) -> Self {
        let place = format!("\"{}{bucket}\"", if filter.trashed { "zzt" } else { "zzb" });
        let mut facts = Self { place, wanted: Vec::new(), unwanted: Vec::new(), decide_the_negated: true };
        for Condition { negated, want } in &filter.query.conditions {
            match (fact(want), negated) {
                (Some(fact), false) => facts.wanted.push(fact),
                (Some(fact), true) => facts.unwanted.push(fact),
                (None, true) => facts.decide_the_negated = false,
                (None, false) => facts.wanted.extend(match want {
                    Want::Camera(text) | Want::Folder(text) => words(text),
                    Want::Taken(from, until) => times(*from, *until).into_iter().collect(),
                    _ => Vec::new(),
                }),
            }
        }
        if let Some(tree) = tree {
            facts.wanted.extend(words(&Text::of_path(tree)));
        }
        facts
    }

    /// A query for them, and for more.
    fn and(&self, more: Option<&str>) -> String {
        let mut query = [Some(self.place.as_str()), more].into_iter().flatten().collect::<Vec<_>>();
        query.extend(self.wanted.iter().map(String::as_str));
        let mut query = query.join(" AND ");
        for unwanted in &self.unwanted {
            query = format!("({query}) NOT {unwanted}");
        }
        query
    }

    /// A query for them alone, if they say more than where it is.
    fn alone(&self) -> Option<String> {
        (!self.wanted.is_empty() || !self.unwanted.is_empty()).then(|| self.and(None))
    }
}

/// The word for what is exactly as wanted.
fn fact(want: &Want) -> Option<String> {
    Some(match want {
        Want::Kind(Kind::Image) => "\"zzkimage\"".into(),
        Want::Kind(Kind::Video) => "\"zzkvideo\"".into(),
        Want::Kind(Kind::Other) => "\"zzkother\"".into(),
        Want::Kind(Kind::Type(mime)) => {
            let hex: String = mime.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("\"zzm{hex}\"")
        }
        Want::Is(Property::Described) => "\"zzd\"".into(),
        Want::Is(Property::Untagged) => "\"zzu\"".into(),
        _ => return None,
    })
}

/// Where a text may be found; nowhere in particular if no index knows.
fn proposed(conn: &Connection, text: &Text, facts: &Facts) -> Result<Option<Stream>> {
    let pieces = if text.may_be_a_piece() { pieces(&text.piece) } else { None };
    if text.may_be_a_piece() && pieces.is_none() {
        return Ok(None);
    }
    let mut streams = Vec::new();
    let mut words = words(text);
    if let Some(last) = words.last_mut()
        && text.is_prefix
        && text.words.last().is_some_and(|word| last.as_str() == format!("\"{word}\"*"))
        && let Some(spelled_out) = spelled_out(conn, last.trim_matches(['"', '*']))?
    {
        *last = spelled_out;
    }
    if !words.is_empty() {
        // A word in latin letters is one to the index too. Nobody types what stands for facts.
        let sure = text.words.len() == 1
            && text.words[0].bytes().all(|b| b.is_ascii_alphanumeric())
            && !text.words[0].starts_with('z');
        streams.push(Stream::Index(Leaf::words(facts.and(Some(&words.join(" AND "))), sure)));
    }
    if let Some(pieces) = pieces {
        let sure = text.piece.chars().nth(3).is_none();
        let pieces = Stream::Index(Leaf::pieces(pieces, sure));
        streams.push(match facts.alone() {
            Some(facts) => Stream::All(vec![pieces, Stream::Index(Leaf::words(facts, true))]),
            None => pieces,
        });
    }
    Ok((!streams.is_empty()).then_some(Stream::Any(streams)))
}

/// The words that a beginning has in the library, as alternatives, if these are not many; none needs no looking up.
fn spelled_out(conn: &Connection, beginning: &str) -> Result<Option<String>> {
    if beginning.len() < BEGINNING_MIN || !beginning.is_ascii() {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached("SELECT term FROM media_terms WHERE term >= ?1 LIMIT 1")?;
    let mut known = vec![format!("\"{beginning}\"")];
    let mut from = format!("{beginning}\u{1}");
    while let Some(word) = statement.query_row([&from], |row| row.get::<_, String>(0)).optional()? {
        if !word.starts_with(beginning) {
            break;
        }
        if known.len() == ENDINGS_MAX {
            return Ok(None);
        }
        known.push(format!("\"{}\"", word.replace('"', "\"\"")));
        // No word has this letter: what follows is the next one.
        from = word + "\u{1}";
    }
    Ok(Some(if known.len() == 1 { known.remove(0) } else { format!("({})", known.join(" OR ")) }))
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
    let (first, last) = (super::months::month(from), super::months::month(until.checked_sub(1)?));
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

/// Whether [`times`] looks up exactly what is meant.
fn are_whole_months(from: i64, until: i64) -> bool {
    super::months::whole(from, until).is_some_and(|(first, last)| {
        first > 0 && last < i64::MAX && last / 100 - first / 100 < TIMES_MAX / 12
    })
}
