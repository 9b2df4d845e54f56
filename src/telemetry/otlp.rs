//! Traces and logs as OTLP writes them in JSON (OpenTelemetry Protocol 1.5: ids in hexadecimal, 64-bit numbers as text).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::Level;

use super::clean::clean;
use crate::clock::Timestamp;
use crate::config::Secret;
use crate::logs::{Field, Record, Span, hexadecimal};

/// The kinds of spans: something that is done inside, or for somebody outside.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const FAILED: u8 = 2;

/// The body for `/v1/traces`.
pub(super) fn traces(spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{ "resource": resource(), "scopeSpans": [{ "scope": scope(), "spans": spans }] }] })
}

/// The body for `/v1/logs`.
pub(super) fn logs(records: &[Arc<Record>]) -> Value {
    let records: Vec<Value> = records.iter().map(|record| log(record)).collect();
    json!({ "resourceLogs": [{ "resource": resource(), "scopeLogs": [{ "scope": scope(), "logRecords": records }] }] })
}

/// The headers that a setting asks for: `name=value,name=value`, as `OTEL_EXPORTER_OTLP_HEADERS` has them.
pub(super) fn headers(setting: &Secret) -> Vec<(String, String)> {
    let pairs = setting.expose().split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_ascii_lowercase(), decoded(value.trim()))).collect()
}

/// Values are written as in a URL, as far as they must be.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

fn resource() -> Value {
    json!({ "attributes": [
        { "key": "service.name", "value": { "stringValue": "safelight" } },
        { "key": "service.version", "value": { "stringValue": env!("CARGO_PKG_VERSION") } },
    ] })
}

fn scope() -> Value {
    json!({ "name": "safelight", "version": env!("CARGO_PKG_VERSION") })
}

fn span(span: &Span) -> Value {
    let text = |name: &str| {
        span.fields.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_str())
    };
    let (kind, name) = match (span.name, text("http.method"), text("http.route"), text("job.kind")) {
        ("request", Some(method), Some(route), _) => (SERVER, format!("{method} {route}")),
        ("job", _, _, Some(kind)) => (INTERNAL, format!("job {kind}")),
        (name, ..) => (INTERNAL, name.to_owned()),
    };
    let mut value = json!({
        "traceId": hexadecimal(&span.trace.trace),
        "spanId": hexadecimal(&span.trace.span),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanos(span.began_at, Duration::ZERO),
        "endTimeUnixNano": nanos(span.began_at, span.took),
        "attributes": attributes(&span.fields),
        "status": if span.failed { json!({ "code": FAILED }) } else { json!({}) },
    });
    if let Some(parent) = &span.trace.parent {
        value["parentSpanId"] = hexadecimal(parent).into();
    }
    value
}

fn log(record: &Record) -> Value {
    let severity = match record.level {
        Level::TRACE => 1,
        Level::DEBUG => 5,
        Level::INFO => 9,
        Level::WARN => 13,
        _ => 17,
    };
    let at = nanos(record.at, Duration::ZERO);
    let mut attributes = attributes(&record.fields);
    attributes.push(json!({ "key": "log.target", "value": { "stringValue": record.target } }));
    let mut value = json!({
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": severity,
        "severityText": record.level.as_str(),
        "body": { "stringValue": clean(&record.message) },
        "attributes": attributes,
    });
    if let Some(trace) = &record.trace {
        value["traceId"] = hexadecimal(&trace.trace).into();
        value["spanId"] = hexadecimal(&trace.span).into();
        value["flags"] = 1.into();
    }
    value
}

fn nanos(at: Timestamp, later: Duration) -> String {
    (i128::from(at.as_millis()) * 1_000_000 + i128::try_from(later.as_nanos()).unwrap_or_default())
        .to_string()
}

fn attributes(fields: &[Field]) -> Vec<Value> {
    let attribute = |(name, value): &Field| {
        // The conventions' names, where they have one.
        let name = match *name {
            "http.method" => "http.request.method",
            "http.status" => "http.response.status_code",
            other => other,
        };
        let value = match value {
            Value::Bool(flag) => json!({ "boolValue": flag }),
            Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
            Value::Number(number) => json!({ "intValue": number.to_string() }),
            Value::String(text) => json!({ "stringValue": clean(text) }),
            other => json!({ "stringValue": clean(&other.to_string()) }),
        };
        json!({ "key": name, "value": value })
    };
    fields.iter().map(attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Trace;

    #[test]
    fn a_span_and_a_log_line_are_written_as_the_protocol_says() {
        let trace = Trace { trace: [0xab; 16], span: [0x0c; 8], parent: Some([1; 8]) };
        let at = Timestamp::from_millis(1_700_000_000_001);
        let fields: Vec<Field> = vec![
            ("http.method", "GET".into()),
            ("http.route", "/api/v1/media/{id}".into()),
            ("http.status", 500.into()),
            ("error", "no /home/olive/a.jpg".into()),
        ];
        let took = Duration::from_micros(1500);
        let one = Span { name: "request", trace, began_at: at, took, fields: fields.clone(), failed: true };
        let body = traces(std::slice::from_ref(&one));
        let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!((&span["traceId"], &span["spanId"]), (&json!("ab".repeat(16)), &json!("0c".repeat(8))));
        assert_eq!((&span["parentSpanId"], &span["kind"]), (&json!("01".repeat(8)), &json!(2)));
        assert_eq!(
            (&span["name"], &span["status"]),
            (&json!("GET /api/v1/media/{id}"), &json!({ "code": 2 }))
        );
        assert_eq!(span["startTimeUnixNano"], "1700000000001000000");
        assert_eq!(span["endTimeUnixNano"], "1700000000002500000");
        let attributes = span["attributes"].as_array().unwrap();
        assert!(
            attributes
                .contains(&json!({ "key": "http.response.status_code", "value": { "intValue": "500" } }))
        );
        assert!(attributes.contains(&json!({ "key": "error", "value": { "stringValue": "no [path]" } })));

        let record = Record {
            number: 1,
            at,
            level: Level::WARN,
            target: "safelight::jobs".into(),
            message: "it failed".into(),
            fields: vec![("quick", true.into()), ("share", 0.5.into())],
            trace: Some(trace),
        };
        let body = logs(&[Arc::new(record)]);
        let line = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        assert_eq!((&line["severityNumber"], &line["severityText"]), (&json!(13), &json!("WARN")));
        assert_eq!(
            (&line["body"]["stringValue"], &line["traceId"]),
            (&json!("it failed"), &json!("ab".repeat(16)))
        );
        assert_eq!(line["attributes"][1], json!({ "key": "share", "value": { "doubleValue": 0.5 } }));
        let name = &body["resourceLogs"][0]["resource"]["attributes"][0];
        assert_eq!(*name, json!({ "key": "service.name", "value": { "stringValue": "safelight" } }));
    }

    #[test]
    fn headers_are_read_as_the_variable_has_them() {
        let read = |text: &str| headers(&Secret::new(text));
        let expected = [("authorization", "Bearer a=b"), ("x-team", "r & d"), ("odd", "%zz%")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read("Authorization=Bearer%20a=b, x-team=r %26 d,,nothing,odd=%zz%"), expected);
        assert!(read("").is_empty());
    }
}
