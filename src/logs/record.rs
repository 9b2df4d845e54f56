//! One thing that was logged, and how it is written.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::Level;

use crate::clock::Timestamp;

/// The longest text of a record; what is beyond is cut off.
pub(super) const TEXT_BYTES_MAX: usize = 8 << 10;

/// A named value of a record.
pub type Field = (&'static str, Value);

/// One thing that was logged.
#[derive(Debug, Clone)]
pub struct Record {
    /// Counts the records of this process, from 1; 0 before it is kept.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// How serious.
    pub level: Level,
    /// The part of the program.
    pub target: String,
    /// What was said.
    pub message: String,
    /// What else: the fields of the spans around it from the outside in, and its own. No name is there twice.
    pub fields: Vec<Field>,
    /// The span that it was said in.
    pub trace: Option<Trace>,
}

/// Where something stands in a trace (W3C Trace Context).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
    /// The span around that one.
    pub parent: Option<[u8; 8]>,
}

/// A piece of work that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its kind.
    pub name: &'static str,
    /// Where it stands.
    pub trace: Trace,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Its own fields.
    pub fields: Vec<Field>,
    /// Whether an error was logged in it.
    pub failed: bool,
}

impl Record {
    /// One JSON object, with all fields beside `timestamp`, `level`, `target` and `message`, and a line end.
    pub fn to_json_line(&self) -> String {
        let mut object = Map::new();
        object.insert("timestamp".into(), self.at.to_string().into());
        object.insert("level".into(), self.level.as_str().into());
        object.insert("target".into(), self.target.as_str().into());
        object.insert("message".into(), self.message.as_str().into());
        for (name, value) in &self.fields {
            // One that is called like ours stands behind an underscore.
            let name = if object.contains_key(*name) { format!("_{name}") } else { (*name).to_owned() };
            object.insert(name, value.clone());
        }
        if let Some(trace) = &self.trace {
            object.insert("trace_id".into(), hexadecimal(&trace.trace).into());
            object.insert("span_id".into(), hexadecimal(&trace.span).into());
        }
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        line
    }

    /// A line for people.
    pub(super) fn to_plain_line(&self, coloured: bool) -> String {
        let colour = match self.level {
            Level::ERROR => "31",
            Level::WARN => "33",
            Level::INFO => "32",
            _ => "34",
        };
        let (dim, bright, end) = if coloured {
            ("\x1b[2m", format!("\x1b[{colour}m"), "\x1b[0m")
        } else {
            ("", String::new(), "")
        };
        let (at, level, message) = (self.at, self.level.as_str(), one_line(&self.message));
        let mut line = format!("{dim}{at}{end} {bright}{level:>5}{end} {message}");
        for (name, value) in &self.fields {
            let value = match value {
                Value::String(text) => one_line(text),
                other => other.to_string(),
            };
            let _ = write!(line, " {dim}{name}={end}{value}");
        }
        line.push('\n');
        line
    }

    /// What it takes in memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        let fields: usize =
            self.fields.iter().map(|(_, value)| 64 + value.as_str().map_or(0, str::len)).sum();
        200 + self.target.len() + self.message.len() + fields
    }

    /// Whether all words stand in it somewhere; they are in small letters.
    pub(super) fn has(&self, words: &[String]) -> bool {
        if words.is_empty() {
            return true;
        }
        let mut text = format!("{} {}", self.message, self.target);
        for (name, value) in &self.fields {
            let _ = match value {
                Value::String(value) => write!(text, " {name}={value}"),
                other => write!(text, " {name}={other}"),
            };
        }
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    }
}

/// Control characters would let a log entry forge another one.
fn one_line(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// Cuts a text to [`TEXT_BYTES_MAX`].
pub(super) fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str, fields: Vec<Field>) -> Record {
        Record {
            number: 0,
            at: Timestamp::from_millis(1_795_000_000_123),
            level: Level::WARN,
            target: "safelight::tests".into(),
            message: message.into(),
            fields,
            trace: None,
        }
    }

    #[test]
    fn a_line_of_json_has_every_field_beside_the_message() {
        let trace = Trace { trace: [0xab; 16], span: [1; 8], parent: None };
        let fields =
            vec![("http.status", 500.into()), ("level", "mine".into()), ("error", "a\n\"b\"".into())];
        let line = Record { trace: Some(trace), ..record("failed", fields) }.to_json_line();
        assert_eq!(line.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "timestamp": "2026-11-18T11:06:40.123Z", "level": "WARN", "target": "safelight::tests", "message": "failed",
            "http.status": 500, "_level": "mine", "error": "a\n\"b\"",
            "trace_id": "ab".repeat(16), "span_id": "01".repeat(8),
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn nobody_forges_a_line_for_people() {
        let line = record("a\nb", vec![("name", "\x1b[31mred".into())]).to_plain_line(false);
        assert_eq!(line, "2026-11-18T11:06:40.123Z  WARN a\\nb name=\\u{1b}[31mred\n");
    }

    #[test]
    fn words_are_found_in_message_and_fields() {
        let record = record("The Job failed", vec![("job.kind", "restore".into()), ("n", 7.into())]);
        for (words, found) in
            [("job", true), ("restore failed", true), ("n=7", true), ("restore gone", false)]
        {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(record.has(&words), found, "{words:?}");
        }
        let long = cut("é".repeat(TEXT_BYTES_MAX));
        assert!(long.len() <= TEXT_BYTES_MAX + 3 && long.ends_with('…'));
    }
}
