//! What people type into the search field, and whether a media fits it. Knows no database.
//!
//! A query is words and conditions such as `tag:beach` or `taken:2019`, all of which must fit. Whatever is not understood
//! as a condition is taken as words; no text is an error, some just finds nothing. An index may propose media, but what
//! fits is decided by [`Query::fits`] alone, so that every way to a list finds the same.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::model::Kind;
use super::names;
use crate::clock::Timestamp;

/// The longest text that is looked at, in bytes; what follows is not.
const TEXT_BYTES_MAX: usize = 2048;

/// The most conditions; further ones are not looked at.
const CONDITIONS_MAX: usize = 32;

/// Conditions that must all fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub(super) conditions: Vec<Condition>,
}

/// One condition, or its opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) negated: bool,
    pub(super) want: Want,
}

/// What a condition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// Words somewhere in name, folder, tags, description or camera, or a piece of the name.
    Text(Text),
    /// A tag, by its folded name.
    Tag(String),
    /// Words in the name of the camera.
    Camera(Text),
    /// Words in the folder's path.
    Folder(Text),
    /// A kind of content.
    Kind(Kind),
    /// A length in bytes, both ends included.
    Size(u64, u64),
    /// Taken, or else come here, from a moment until before another; in milliseconds.
    Taken(i64, i64),
    /// A property.
    Is(Property),
}

/// What a media is or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    Favourite,
    Restored,
    Described,
    Untagged,
}

/// Words that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The words, folded; none where only punctuation was typed.
    pub(super) words: Vec<String>,
    /// Whether the last word may go on.
    pub(super) is_prefix: bool,
    /// The whole as it would stand in a folded name.
    pub(super) piece: String,
    /// How it stands in [`fold_into`]'s form.
    needle: String,
}

impl Text {
    fn new(text: &str, is_prefix: bool) -> Self {
        let mut folded = String::new();
        fold_into(&mut folded, text);
        let words: Vec<String> = folded.split_ascii_whitespace().map(str::to_owned).collect();
        let mut text = Self { words, is_prefix, piece: names::fold(text), needle: String::new() };
        text.allow_prefix(is_prefix);
        text
    }

    /// The words of a folder's path.
    pub(super) fn of_path(path: &str) -> Self {
        Self::new(path, false)
    }

    fn allow_prefix(&mut self, is_prefix: bool) {
        self.is_prefix = is_prefix;
        self.needle = format!(" {}{}", self.words.join(" "), if is_prefix { "" } else { " " });
    }

    /// Whether a piece of a name is enough. One or two Latin letters are in every second name: they have to begin a word.
    pub(super) fn may_be_a_piece(&self) -> bool {
        !self.piece.is_empty()
            && (self.words.is_empty() || !self.piece.is_ascii() || self.piece.chars().nth(2).is_some())
    }

    fn is_in(&self, folded: &str) -> bool {
        !self.words.is_empty() && folded.contains(&self.needle)
    }
}

/// What a query looks at in a media.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    pub(super) name_folded: &'a str,
    pub(super) folder: &'a str,
    /// One a line.
    pub(super) tags: &'a str,
    pub(super) description: &'a str,
    pub(super) camera: &'a str,
    pub(super) content_type: &'a str,
    pub(super) size_bytes: u64,
    pub(super) taken_or_created_at: Timestamp,
    pub(super) is_favourite: bool,
    pub(super) is_restored: bool,
}

impl Query {
    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut last_word = None;
        for term in Terms(head(text)) {
            if query.conditions.len() == CONDITIONS_MAX {
                break;
            }
            let want = term.key.and_then(|key| condition(key, &term.value)).unwrap_or_else(|| {
                let typed = match term.key {
                    Some(key) => format!("{key}:{}", term.value),
                    None => term.value.clone(),
                };
                let is_plain = term.key.is_none() && !term.quoted && !term.negated;
                last_word = is_plain.then_some(query.conditions.len());
                Want::Text(Text::new(&typed, false))
            });
            query.conditions.push(Condition { negated: term.negated, want });
        }
        // Whoever is still typing has not finished the last word.
        if let Some(Condition { want: Want::Text(text), .. }) =
            last_word.and_then(|last| query.conditions.get_mut(last))
        {
            text.allow_prefix(true);
        }
        query
    }

    /// Asks for a kind of content too.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        self.and(Want::Kind(kind))
    }

    /// Asks for a tag too.
    #[must_use]
    pub fn tagged(self, name: &str) -> Self {
        self.and(Want::Tag(names::fold(name.trim())))
    }

    /// Asks for words in the camera's name too.
    #[must_use]
    pub fn by_camera(self, name: &str) -> Self {
        self.and(Want::Camera(Text::new(name, true)))
    }

    /// Asks for favourites too, or for what is none.
    #[must_use]
    pub fn favourite(mut self, favourite: bool) -> Self {
        self.conditions.push(Condition { negated: !favourite, want: Want::Is(Property::Favourite) });
        self
    }

    /// Asks for what was taken from a moment until before another too, in milliseconds.
    #[must_use]
    pub(super) fn taken(self, from: Option<i64>, until: Option<i64>) -> Self {
        self.and(Want::Taken(from.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX)))
    }

    /// Asks for lengths in bytes too, both ends included.
    #[must_use]
    pub fn sized(self, min: u64, max: u64) -> Self {
        self.and(Want::Size(min, max))
    }

    pub(super) fn and(mut self, want: Want) -> Self {
        self.conditions.push(Condition { negated: false, want });
        self
    }

    /// Whether everything fits it.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether something asks for a property.
    pub(super) fn asks_for(&self, property: Property) -> bool {
        self.conditions.iter().any(|condition| condition.want == Want::Is(property))
    }

    /// What must fit.
    pub(super) fn positive(&self) -> impl Iterator<Item = &Want> {
        self.conditions.iter().filter(|condition| !condition.negated).map(|condition| &condition.want)
    }

    /// Whether a media fits.
    pub(super) fn fits(&self, media: &Candidate<'_>) -> bool {
        let mut everything = None;
        self.conditions.iter().all(|Condition { negated, want }| {
            let fits = match want {
                Want::Text(text) => {
                    text.may_be_a_piece() && media.name_folded.contains(&text.piece)
                        || text.is_in(everything.get_or_insert_with(|| media.everything()))
                }
                Want::Tag(tag) => media.tags.lines().any(|name| names::fold(name) == *tag),
                Want::Camera(text) => text.is_in(&folded(media.camera)),
                Want::Folder(text) => text.is_in(&folded(media.folder)),
                Want::Kind(kind) => kind.includes(media.content_type),
                Want::Size(min, max) => (*min..=*max).contains(&media.size_bytes),
                Want::Taken(from, until) => (*from..*until).contains(&media.taken_or_created_at.as_millis()),
                Want::Is(Property::Favourite) => media.is_favourite,
                Want::Is(Property::Restored) => media.is_restored,
                Want::Is(Property::Described) => !media.description.is_empty(),
                Want::Is(Property::Untagged) => media.tags.is_empty(),
            };
            fits != *negated
        })
    }
}

impl Candidate<'_> {
    /// All its words; a mark between the parts keeps phrases within one.
    fn everything(&self) -> String {
        let mut folded = String::with_capacity(128);
        fold_into(&mut folded, self.name);
        for part in [self.folder, self.description, self.camera] {
            folded.push('\n');
            fold_into(&mut folded, part);
        }
        for tag in self.tags.lines() {
            folded.push('\n');
            fold_into(&mut folded, tag);
        }
        folded
    }
}

fn folded(text: &str) -> String {
    let mut folded = String::new();
    fold_into(&mut folded, text);
    folded
}

/// Adds the words of a text, each in lower case without its diacritics, with a space before each and one at the end: as
/// SQLite's `unicode61 remove_diacritics 2` would have them.
fn fold_into(out: &mut String, text: &str) {
    let mut in_word = false;
    for c in text.nfc() {
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                if !in_word {
                    out.push(' ');
                }
                out.push(c.to_ascii_lowercase());
            }
            in_word = c.is_ascii_alphanumeric();
        } else if is_combining_mark(c) {
            // A mark that belongs to no precomposed letter leaves the letter as it is.
        } else if c.is_alphanumeric() {
            if !in_word {
                out.push(' ');
            }
            out.extend(base_letter(c).to_lowercase());
            in_word = true;
        } else {
            in_word = false;
        }
    }
    out.push(' ');
}

/// The letter below the diacritics of a Latin one; the index leaves those of other scripts as they are.
fn base_letter(c: char) -> char {
    if !matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') {
        return c;
    }
    let mut base = None;
    decompose_canonical(c, |part| {
        base.get_or_insert(part);
    });
    base.filter(char::is_ascii_alphabetic).unwrap_or(c)
}

/// The beginning of a text, no longer than is looked at.
fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// A term as typed.
#[derive(Debug, PartialEq, Eq)]
struct Term<'a> {
    negated: bool,
    key: Option<&'a str>,
    value: String,
    quoted: bool,
}

/// The terms of a text: `word`, `"a phrase"`, `key:value`, `key:"a value"`, each with `-` before it for its opposite.
struct Terms<'a>(&'a str);

impl<'a> Iterator for Terms<'a> {
    type Item = Term<'a>;

    fn next(&mut self) -> Option<Term<'a>> {
        loop {
            // What is no text at all separates words like a space.
            let blank = |c: char| c.is_whitespace() || c.is_control();
            let text = self.0.trim_start_matches(blank);
            if text.is_empty() {
                return None;
            }
            let (negated, text) = match text.strip_prefix('-') {
                Some(rest) if rest.starts_with(|c: char| !blank(c) && c != '-') => (true, rest),
                _ => (false, text),
            };
            let key = text.split_once(':').map(|(key, _)| key).filter(|key| is_key(key));
            let rest = key.map_or(text, |key| &text[key.len() + 1..]);
            let (value, quoted, rest) = match rest.strip_prefix('"') {
                // A phrase that is never closed goes on to the end.
                Some(inside) => {
                    let (value, rest) = inside.split_once('"').unwrap_or((inside, ""));
                    (value, true, rest)
                }
                None => {
                    let end = rest.find(blank).unwrap_or(rest.len());
                    (&rest[..end], false, &rest[end..])
                }
            };
            self.0 = rest;
            let value: String = value.replace(char::is_control, " ");
            if key.is_some() || !value.trim().is_empty() {
                return Some(Term { negated, key, value: value.trim().to_owned(), quoted });
            }
        }
    }
}

fn is_key(text: &str) -> bool {
    const KEYS: [&str; 9] = ["tag", "camera", "folder", "type", "size", "taken", "before", "after", "is"];
    KEYS.iter().any(|key| key.eq_ignore_ascii_case(text))
}

/// What a key and its value ask for, if they make sense together.
fn condition(key: &str, value: &str) -> Option<Want> {
    let words = || Some(Text::new(value, true)).filter(|text| !text.words.is_empty());
    match key.to_ascii_lowercase().as_str() {
        "tag" if !value.is_empty() => Some(Want::Tag(names::fold(value))),
        "camera" => words().map(Want::Camera),
        "folder" => words().map(Want::Folder),
        "type" => Kind::parse(&value.to_ascii_lowercase()).ok().map(Want::Kind),
        "size" => size(value),
        "taken" => taken(value),
        "before" => period(value).map(|(from, _)| Want::Taken(i64::MIN, from)),
        "after" => period(value).map(|(_, until)| Want::Taken(until, i64::MAX)),
        "is" => Some(Want::Is(match value.to_ascii_lowercase().as_str() {
            "favourite" | "favorite" => Property::Favourite,
            "restored" => Property::Restored,
            "described" => Property::Described,
            "untagged" => Property::Untagged,
            _ => return None,
        })),
        _ => None,
    }
}

/// `>2mb`, `<10kb`, `>=1gb`, `2mb..5mb`.
fn size(text: &str) -> Option<Want> {
    if let Some((from, to)) = text.split_once("..") {
        let from = if from.is_empty() { 0 } else { bytes(from)? };
        let to = if to.is_empty() { u64::MAX } else { bytes(to)? };
        return Some(Want::Size(from, to));
    }
    if let Some(rest) = text.strip_prefix(">=") {
        Some(Want::Size(bytes(rest)?, u64::MAX))
    } else if let Some(rest) = text.strip_prefix("<=") {
        Some(Want::Size(0, bytes(rest)?))
    } else if let Some(rest) = text.strip_prefix('>') {
        Some(Want::Size(bytes(rest)?.saturating_add(1), u64::MAX))
    } else {
        let less = bytes(text.strip_prefix('<')?)?;
        // Nothing is shorter than nothing.
        if less == 0 { Some(Want::Size(1, 0)) } else { Some(Want::Size(0, less - 1)) }
    }
}

/// A number of bytes with or without its unit: `500`, `1.5mb`, `2 GiB`.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let factor: f64 = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = text[..end].parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no digit makes it negative, and what is too large becomes the largest"
    )]
    Some((number * factor) as u64)
}

/// `2019`, `2019-07`, `2019-07-05`, `2019..2021`, `2019-05..`, `..2019`.
fn taken(text: &str) -> Option<Want> {
    let Some((from, to)) = text.split_once("..") else {
        return period(text).map(|(from, until)| Want::Taken(from, until));
    };
    if from.is_empty() && to.is_empty() {
        return None;
    }
    let from = if from.is_empty() { i64::MIN } else { period(from)?.0 };
    let until = if to.is_empty() { i64::MAX } else { period(to)?.1 };
    Some(Want::Taken(from, until))
}

/// The first millisecond of a year, a month or a day, and the first one after it. In UTC, as EXIF times are kept.
pub(super) fn period(text: &str) -> Option<(i64, i64)> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| match parts.next() {
        None => Some(None),
        Some(part) if (1..=digits).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()) => {
            part.parse::<i16>().ok().map(Some)
        }
        Some(_) => None,
    };
    let (year, month, day) = (number(4)??, number(2)?, number(2)?);
    if parts.next().is_some() || text.split('-').next().is_none_or(|year| year.len() != 4) {
        return None;
    }
    let small = |number: Option<i16>| i8::try_from(number.unwrap_or(1)).ok();
    let first = Date::new(year, small(month)?, small(day)?).ok()?;
    let span = match (month, day) {
        (None, _) => jiff::Span::new().years(1),
        (_, None) => jiff::Span::new().months(1),
        _ => jiff::Span::new().days(1),
    };
    let millis = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp().as_millisecond());
    // Nothing is later than the last year.
    let until = first.checked_add(span).ok().and_then(millis).unwrap_or(i64::MAX);
    Some((millis(first)?, until))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Candidate<'_> = Candidate {
        name: "Grandmother at the SEA.jpg",
        name_folded: "grandmother at the sea.jpg",
        folder: "Été/Zürich 2004",
        tags: "Family\nSummer house",
        description: "She wore the yellow hat, as always.",
        camera: "Canon EOS 5D",
        content_type: "image/jpeg",
        size_bytes: 2_500_000,
        // 2004-07-31T22:13:20Z
        taken_or_created_at: Timestamp::from_millis(1_091_312_000_000),
        is_favourite: true,
        is_restored: false,
    };

    fn fits(text: &str) -> bool {
        Query::parse(text).fits(&PICTURE)
    }

    #[test]
    fn all_words_must_fit_somewhere_and_the_last_may_go_on() {
        for text in [
            "",
            " ",
            "sea",
            "SEA",
            "the sea",
            "mother",
            "yell",
            "yellow hat",
            "zurich",
            "ZÜRICH",
            "zuri",
            "ete",
            "été",
            "canon sea",
            "5d family",
            "\"yellow hat\"",
            "\"at the sea\"",
            "summer",
            "-winter",
            "sea -beach",
            "-\"yellow cat\"",
            "she wore",
            "the.sea",
            "hat,",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in [
            "beach",
            "yell hat",
            "\"hat yellow\"",
            "\"sea jpg family\"",
            "-sea",
            "sea -mother",
            "ll",
            "xyz sea",
            "\"always canon\"",
            "-\"yellow hat\"",
            "!!!",
        ] {
            assert!(!fits(text), "{text}");
        }
    }

    #[test]
    fn conditions_are_read_and_their_opposites() {
        for text in [
            "tag:family",
            "tag:FAMILY sea",
            "tag:\"summer house\"",
            "-tag:summer",
            "camera:canon",
            "camera:eos",
            "camera:\"eos 5\"",
            "-camera:nikon",
            "folder:zurich",
            "folder:ete",
            "folder:2004",
            "type:image",
            "type:image/jpeg",
            "-type:video",
            "size:>2mb",
            "size:<10MB",
            "size:>=2500000",
            "size:<=2.5mb",
            "size:2mb..3mb",
            "size:2mb..",
            "taken:2004",
            "taken:2004-07",
            "taken:2004-07-31",
            "taken:2003..2005",
            "taken:..2004",
            "taken:2004-07..2004-08",
            "before:2004-08-01",
            "before:2005",
            "after:2003",
            "after:2004-07-30",
            "is:favourite",
            "Is:Favorite",
            "is:described",
            "-is:untagged",
            "-is:restored",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in [
            "tag:summer",
            "-tag:family",
            "camera:nikon",
            "folder:winter",
            "type:other",
            "type:image/png",
            "size:>3mb",
            "size:<0",
            "size:<2mb",
            "taken:2005",
            "taken:2004-08",
            "before:2004-07-31",
            "after:2004",
            "after:2004-07-31",
            "is:restored",
            "is:untagged",
            "-is:favourite",
        ] {
            assert!(!fits(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_words() {
        for text in [
            "size:big",
            "taken:soon",
            "taken:2004-13",
            "taken:2004-02-30",
            "taken:99999",
            "is:nice",
            "type:picture",
            "tag:",
            "before:",
            "camera:!!!",
            "size:>1parsec",
            "taken:..",
            "taken:+2004",
        ] {
            let query = Query::parse(text);
            assert!(
                matches!(query.conditions[..], [Condition { want: Want::Text(_), .. }]),
                "{text} {query:?}"
            );
            assert!(!query.fits(&PICTURE), "{text}");
        }
        assert_eq!(Query::parse("http://sea").conditions.len(), 1, "other colons are part of words");
        assert!(Query::parse("-").conditions.len() == 1 && Query::parse("\"\"").is_empty());
        assert!(Query::parse("--").conditions.len() == 1 && Query::parse("\0\u{7}").is_empty());
        assert_eq!(Query::parse("tag:\"open end").conditions.len(), 1);
        assert_eq!(Query::parse(&"a ".repeat(5000)).conditions.len(), CONDITIONS_MAX);
        Query::parse(&"é".repeat(5000)).fits(&PICTURE);
    }

    #[test]
    fn words_are_folded_as_the_index_folds_them() {
        for (text, expected) in [
            ("IMG_0001.jpg", " img 0001 jpg "),
            ("Été à Zürich", " ete a zurich "),
            ("e\u{301}te\u{301}", " ete "),
            ("東京 旅行", " 東京 旅行 "),
            ("한국어", " 한국어 "),
            ("Ёлка ΆΒΓ", " ёлка άβγ "),
            ("  ", " "),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }

    #[test]
    fn periods_end_where_the_next_begins() {
        assert_eq!(period("1970"), Some((0, 365 * 86_400_000)));
        assert_eq!(period("1970-02").unwrap().0, 31 * 86_400_000);
        assert_eq!(period("1970-01-01"), Some((0, 86_400_000)));
        assert_eq!(period("9999").unwrap().1, i64::MAX);
        for bad in ["", "19", "1970-", "1970-1-1-1", "-1", "1970-00", "0x10"] {
            assert_eq!(period(bad), None, "{bad}");
        }
    }
}
