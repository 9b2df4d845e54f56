//! Errors as envelopes of Sentry's protocol, version 7, which other servers speak as well.

use serde_json::{Map, Value, json};

use super::clean::clean;
use crate::config::Dsn;
use crate::logs::{Record, hexadecimal};

const CLIENT: &str = concat!("safelight/", env!("CARGO_PKG_VERSION"));

/// The value of `X-Sentry-Auth`.
pub(super) fn auth(dsn: &Dsn) -> String {
    format!("Sentry sentry_version=7, sentry_client={CLIENT}, sentry_key={}", dsn.key())
}

/// An envelope with one event: a line about the envelope, a line about the event, and the event.
pub(super) fn envelope(dsn: &Dsn, record: &Record) -> String {
    let mut id = [0; 16];
    getrandom::fill(&mut id).expect("the operating system gives random bytes");
    let id = hexadecimal(&id);
    let event = event(&id, record).to_string();
    let header = json!({ "event_id": id, "dsn": dsn.public(), "sent_at": record.at });
    let item = json!({ "type": "event", "content_type": "application/json", "length": event.len() });
    format!("{header}\n{item}\n{event}\n")
}

fn event(id: &str, record: &Record) -> Value {
    let (mut tags, mut extra) = (Map::new(), Map::new());
    for (name, value) in &record.fields {
        let value = value.as_str().map_or_else(|| value.clone(), |text| clean(text).into());
        let is_tag =
            matches!(*name, "http.route" | "http.method" | "http.status" | "job.kind" | "engine.name");
        // Tags are text.
        match (is_tag, &value) {
            (true, Value::String(_)) => drop(tags.insert((*name).to_owned(), value)),
            (true, other) => drop(tags.insert((*name).to_owned(), other.to_string().into())),
            (false, _) => drop(extra.insert((*name).to_owned(), value)),
        }
    }
    let message = clean(&record.message);
    let mut event = json!({
        "event_id": id,
        "timestamp": record.at,
        "platform": "other",
        "level": "error",
        "logger": record.target,
        "release": concat!("safelight@", env!("CARGO_PKG_VERSION")),
        "message": { "formatted": message },
        "tags": tags,
        "extra": extra,
        // Two failures of one route with other causes are two things to look at.
        "fingerprint": [record.target, message, tags.get("http.route"), extra.get("error")],
    });
    if let Some(trace) = &record.trace {
        event["contexts"] = json!({ "trace": { "trace_id": hexadecimal(&trace.trace), "span_id": hexadecimal(&trace.span) } });
    }
    event
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn an_envelope_has_its_three_lines() {
        let dsn = Dsn::parse("https://abc123@errors.example.org/sub/42").unwrap();
        assert_eq!(dsn.envelope_url(), "https://errors.example.org/sub/api/42/envelope/");
        assert!(
            auth(&dsn).starts_with("Sentry sentry_version=7, ") && auth(&dsn).ends_with("sentry_key=abc123")
        );
        let record = Record {
            number: 1,
            at: Timestamp::from_millis(1_700_000_000_001),
            level: Level::ERROR,
            target: "safelight::api".into(),
            message: "failed".into(),
            fields: vec![
                ("http.route", "/api/v1/media".into()),
                ("http.status", 500.into()),
                ("error", "no /home/olive".into()),
            ],
            trace: None,
        };
        let text = envelope(&dsn, &record);
        let lines: Vec<&str> = text.lines().collect();
        let [header, item, event] = lines[..] else { panic!("{text}") };
        let [header, item, read] =
            [header, item, event].map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(item["length"], event.len());
        assert_eq!(
            (&header["event_id"], header["event_id"].as_str().unwrap().len()),
            (&read["event_id"], 32)
        );
        assert_eq!(header["dsn"], "https://abc123@errors.example.org/sub/42");
        assert_eq!(
            (&read["level"], &read["timestamp"]),
            (&json!("error"), &json!("2023-11-14T22:13:20.001Z"))
        );
        assert_eq!(read["tags"], json!({ "http.route": "/api/v1/media", "http.status": "500" }));
        assert_eq!(read["extra"], json!({ "error": "no [path]" }));
    }
}
