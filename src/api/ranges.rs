//! Byte ranges and conditional requests (RFC 9110, sections 13 and 14).

use axum::http::{HeaderMap, header};

/// Bytes `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte; never before the first.
    pub last: u64,
}

impl ByteRange {
    /// The number of bytes; at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The most ranges that are served in one answer.
pub const RANGES_MAX: usize = 16;

/// What the frame around a range takes at most. An answer in parts that would be larger than the content is not given:
/// who asks for a thousand bytes one by one gets no more than who asks for all of them.
pub const PART_FRAME_BYTES: u64 = 256;

/// What the range header means for a content of a known size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeOutcome {
    /// No range, one that can't be read, too many or overlapping ones, or one whose `If-Range` no longer holds:
    /// everything is sent.
    Whole,
    /// One range that can be served.
    Part(ByteRange),
    /// Several ranges that don't overlap, 2 to [`RANGES_MAX`], in the order in which they were asked for.
    Parts(Vec<ByteRange>),
    /// The range lies outside: 416.
    Unsatisfiable,
}

/// The conditional and range headers of a request.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_range: Option<String>,
    range: Option<String>,
}

impl Preconditions {
    /// Takes what it needs from the headers.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let joined = |name: header::HeaderName| {
            let values: Vec<&str> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
            (!values.is_empty()).then(|| values.join(","))
        };
        Self {
            if_match: joined(header::IF_MATCH),
            if_none_match: joined(header::IF_NONE_MATCH),
            if_range: joined(header::IF_RANGE),
            range: joined(header::RANGE),
        }
    }

    /// Whether `If-Match` rules the content out: 412.
    pub fn failed(&self, etag: &str) -> bool {
        self.if_match.as_deref().is_some_and(|list| !lists(list, etag, false))
    }

    /// Whether the caller has this content already: 304.
    pub fn not_modified(&self, etag: &str) -> bool {
        self.if_none_match.as_deref().is_some_and(|list| lists(list, etag, true))
    }

    /// Which bytes to send of a content of `size` bytes with the strong validator `etag` (with its quotes).
    ///
    /// More than [`RANGES_MAX`] ranges, overlapping ones, and those that together would be more bytes than the content
    /// are answered with everything, which RFC 9110 (14.2) allows. A date in `If-Range` never matches: the contents have
    /// no modification time finer than a second.
    pub fn range(&self, etag: &str, size: u64) -> RangeOutcome {
        let Some(range) = self.range.as_deref() else { return RangeOutcome::Whole };
        if self.if_range.as_deref().is_some_and(|validator| validator.trim() != etag) {
            return RangeOutcome::Whole;
        }
        parse(range, size)
    }
}

/// Whether an entity-tag list names `etag`; weakly compared, `W/` is ignored.
fn lists(list: &str, etag: &str, weak: bool) -> bool {
    list.split(',').map(str::trim).any(|candidate| {
        candidate == "*" || candidate == etag || (weak && candidate.strip_prefix("W/") == Some(etag))
    })
}

fn parse(range: &str, size: u64) -> RangeOutcome {
    let Some((unit, specs)) = range.split_once('=') else { return RangeOutcome::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return RangeOutcome::Whole;
    }
    let mut ranges = Vec::new();
    // A list may have empty elements (RFC 9110, 5.6.1.2), but not any number of them.
    for (i, spec) in specs.split(',').enumerate() {
        if i >= RANGES_MAX {
            return RangeOutcome::Whole;
        }
        match parse_one(spec.trim(), size) {
            RangeOutcome::Part(range) => ranges.push(range),
            RangeOutcome::Whole if !spec.trim().is_empty() || !specs.contains(',') => {
                return RangeOutcome::Whole;
            }
            _ => {}
        }
    }
    match ranges.as_slice() {
        [] => RangeOutcome::Unsatisfiable,
        [range] => RangeOutcome::Part(*range),
        _ if is_wasteful(&ranges, size) => RangeOutcome::Whole,
        _ => RangeOutcome::Parts(ranges),
    }
}

/// Whether several ranges overlap, or take more bytes with their frames than the whole.
fn is_wasteful(ranges: &[ByteRange], size: u64) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| range.first);
    let overlap = sorted.windows(2).any(|pair| pair[0].last >= pair[1].first);
    let bytes: u64 = ranges.iter().map(|range| range.len() + PART_FRAME_BYTES).sum();
    overlap || bytes > size
}

fn parse_one(spec: &str, size: u64) -> RangeOutcome {
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match spec.split_once('-') {
        Some(("", suffix)) => match number(suffix) {
            Some(0) => RangeOutcome::Unsatisfiable,
            Some(_) if size == 0 => RangeOutcome::Unsatisfiable,
            Some(n) => RangeOutcome::Part(ByteRange { first: size.saturating_sub(n), last: size - 1 }),
            None => RangeOutcome::Whole,
        },
        Some((first, last)) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            match (number(first), last) {
                (Some(first), Some(last)) if first > last => RangeOutcome::Whole,
                (Some(first), Some(_)) if first >= size => RangeOutcome::Unsatisfiable,
                (Some(first), Some(last)) => {
                    RangeOutcome::Part(ByteRange { first, last: last.min(size - 1) })
                }
                _ => RangeOutcome::Whole,
            }
        }
        None => RangeOutcome::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: u64, last: u64) -> RangeOutcome {
        RangeOutcome::Part(ByteRange { first, last })
    }

    fn parts(ranges: &[(u64, u64)]) -> RangeOutcome {
        RangeOutcome::Parts(
            ranges.iter().map(|(first, last)| ByteRange { first: *first, last: *last }).collect(),
        )
    }

    #[test]
    fn a_thousand_ranges_are_answered_with_everything() {
        let list = |count: u64| {
            let ranges: Vec<String> = (0..count).map(|i| format!("{}-{}", i * 10, i * 10 + 4)).collect();
            format!("bytes={}", ranges.join(","))
        };
        assert!(matches!(parse(&list(16), 1_000_000), RangeOutcome::Parts(ranges) if ranges.len() == 16));
        assert_eq!(parse(&list(17), 1_000_000), RangeOutcome::Whole);
        assert_eq!(parse(&list(1000), 1_000_000), RangeOutcome::Whole);
        assert_eq!(parse(&format!("bytes={}", ",".repeat(1000)), 1_000_000), RangeOutcome::Whole);
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (text, size, expected) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=2-4", 10, part(2, 4)),
            ("bytes=2-", 10, part(2, 9)),
            ("bytes=2-99", 10, part(2, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-99", 10, part(0, 9)),
            ("bytes=-0", 10, RangeOutcome::Unsatisfiable),
            ("bytes=10-", 10, RangeOutcome::Unsatisfiable),
            ("bytes=0-", 0, RangeOutcome::Unsatisfiable),
            ("bytes=-1", 0, RangeOutcome::Unsatisfiable),
            ("bytes=4-2", 10, RangeOutcome::Whole),
            ("bytes=0-1,3-4", 10, RangeOutcome::Whole),
            ("bytes=0-1,3-4", 600, parts(&[(0, 1), (3, 4)])),
            ("bytes= 3-4 ,, 0-1,", 600, parts(&[(3, 4), (0, 1)])),
            ("bytes=0-1,-2", 600, parts(&[(0, 1), (598, 599)])),
            ("bytes=0-1,1-2", 600, RangeOutcome::Whole),
            ("bytes=0-1,0-1", 600, RangeOutcome::Whole),
            ("bytes=0-,-1", 6000, RangeOutcome::Whole),
            ("bytes=0-1,900-", 600, part(0, 1)),
            ("bytes=800-,900-", 600, RangeOutcome::Unsatisfiable),
            ("bytes=0-1,x", 600, RangeOutcome::Whole),
            ("bytes=0-1,9-5", 600, RangeOutcome::Whole),
            ("bytes=", 10, RangeOutcome::Whole),
            ("bytes=,", 10, RangeOutcome::Unsatisfiable),
            ("bytes=a-b", 10, RangeOutcome::Whole),
            ("bytes=+1-2", 10, RangeOutcome::Whole),
            ("lines=0-1", 10, RangeOutcome::Whole),
            ("bytes", 10, RangeOutcome::Whole),
            ("bytes=99999999999999999999999-", 10, RangeOutcome::Unsatisfiable),
        ] {
            assert_eq!(parse(text, size), expected, "{text}");
        }
    }

    #[test]
    fn conditions_compare_as_the_standard_says() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "\"a\", W/\"b\"".parse().unwrap());
        headers.insert(header::RANGE, "bytes=0-1".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"a\"".parse().unwrap());
        headers.insert(header::IF_MATCH, "\"a\"".parse().unwrap());
        let conditions = Preconditions::from_headers(&headers);
        assert!(conditions.not_modified("\"a\"") && conditions.not_modified("\"b\""));
        assert!(!conditions.not_modified("\"c\""));
        assert!(conditions.failed("\"b\"") && !conditions.failed("\"a\""));
        assert_eq!(conditions.range("\"a\"", 9), part(0, 1));
        assert_eq!(conditions.range("\"b\"", 9), RangeOutcome::Whole);
    }
}
