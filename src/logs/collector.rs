//! Makes records of tracing's events, and spans of tracing's spans.

use std::time::{Duration, Instant};

use serde_json::Value;
use tracing::field::{Field as Column, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Logs;
use super::record::{Field, Record, Span, Trace, cut};
use crate::clock::{Clock, Timestamp};

/// Spans of this name hold the work of an observer, which is not told of it: it would never end.
const OBSERVING: &str = "telemetry";

/// The field with which a request brings the trace that it belongs to (W3C `traceparent`). It is not shown.
const PARENT: &str = "trace.parent";

/// What is kept of an open span.
struct Open {
    fields: Vec<Field>,
    trace: Option<Trace>,
    began_at: Timestamp,
    began: Instant,
    failed: bool,
    is_observing: bool,
}

pub(super) struct Collector(pub(super) Logs);

impl Collector {
    fn trace(&self, around: Option<Trace>, fields: &mut Vec<Field>) -> Option<Trace> {
        let brought = fields.iter().position(|(name, _)| *name == PARENT).map(|at| fields.remove(at).1);
        self.0.0.observer.get().filter(|observer| observer.wants_spans())?;
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        getrandom::fill(&mut span).ok()?;
        if let Some(around) = around {
            return Some(Trace { trace: around.trace, span, parent: Some(around.span) });
        }
        if let Some((trace, parent)) = brought.as_ref().and_then(Value::as_str).and_then(parent) {
            return Some(Trace { trace, span, parent: Some(parent) });
        }
        getrandom::fill(&mut trace).ok()?;
        Some(Trace { trace, span, parent: None })
    }
}

/// Reads `00-<trace>-<span>-<flags>` (W3C Trace Context, 3.2).
fn parent(text: &str) -> Option<([u8; 16], [u8; 8])> {
    let mut parts = text.trim().split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let fine = version.len() == 2 && version != "ff" && parts.next().is_some_and(|flags| flags.len() == 2);
    let trace = bytes::<16>(trace).filter(|_| fine)?;
    Some((trace, bytes::<8>(span)?))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 2 * N || !text.bytes().all(lower) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    bytes.iter().any(|byte| *byte != 0).then_some(bytes)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.hears(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.0.hears(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans are wanted at any level.
        Some(self.0.level().max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut collected = Collected::default();
        attributes.record(&mut collected);
        let around = span.parent().and_then(|around| {
            let extensions = around.extensions();
            extensions.get::<Open>().map(|open| (open.trace, open.is_observing))
        });
        let is_observing = span.name() == OBSERVING || around.is_some_and(|(_, observing)| observing);
        let around = around.and_then(|(trace, _)| trace);
        let trace = if is_observing { None } else { self.trace(around, &mut collected.fields) };
        span.extensions_mut().insert(Open {
            fields: collected.fields,
            trace,
            began_at: Clock::system().now(),
            began: Instant::now(),
            failed: false,
            is_observing,
        });
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut collected = Collected::default();
        values.record(&mut collected);
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            collected.fields.into_iter().for_each(|field| put(&mut open.fields, field));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut collected = Collected::default();
        event.record(&mut collected);
        let metadata = event.metadata();
        let (mut fields, mut trace, mut tell) = (Vec::new(), None, true);
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            let mut extensions = span.extensions_mut();
            let Some(open) = extensions.get_mut::<Open>() else { continue };
            open.fields.iter().cloned().for_each(|field| put(&mut fields, field));
            trace = open.trace.or(trace);
            tell &= !open.is_observing;
            open.failed |= *metadata.level() == Level::ERROR;
        }
        // Libraries that log by the crate `log` bring their target as a field.
        let mut target = metadata.target().to_owned();
        for (name, value) in collected.fields {
            match (name, value) {
                ("log.target", Value::String(text)) => target = text,
                ("log.module_path" | "log.file" | "log.line", _) => {}
                field => put(&mut fields, field),
            }
        }
        let record = Record {
            number: 0,
            at: Clock::system().now(),
            level: *metadata.level(),
            target,
            message: collected.message,
            fields,
            trace,
        };
        self.0.take(record, tell);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let (Some(trace), Some(observer)) = (open.trace, self.0.0.observer.get()) else { return };
        observer.span(Span {
            name: span.name(),
            trace,
            began_at: open.began_at,
            took: open.began.elapsed().max(Duration::from_nanos(1)),
            fields: open.fields,
            failed: open.failed,
        });
    }
}

/// Sets a field; the inner one counts where two have a name.
fn put(fields: &mut Vec<Field>, (name, value): Field) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => fields.push((name, value)),
    }
}

#[derive(Default)]
struct Collected {
    message: String,
    fields: Vec<Field>,
}

impl Collected {
    fn keep(&mut self, column: &Column, value: Value) {
        put(&mut self.fields, (column.name(), value));
    }
}

impl Visit for Collected {
    fn record_debug(&mut self, column: &Column, value: &dyn std::fmt::Debug) {
        self.record_str(column, &format!("{value:?}"));
    }

    fn record_str(&mut self, column: &Column, value: &str) {
        let text = cut(value.to_owned());
        match column.name() {
            "message" => self.message = text,
            _ => self.keep(column, text.into()),
        }
    }

    fn record_error(&mut self, column: &Column, value: &(dyn std::error::Error + 'static)) {
        self.record_str(column, &value.to_string());
    }

    fn record_f64(&mut self, column: &Column, value: f64) {
        self.keep(column, value.into());
    }

    fn record_i64(&mut self, column: &Column, value: i64) {
        self.keep(column, value.into());
    }

    fn record_u64(&mut self, column: &Column, value: u64) {
        self.keep(column, value.into());
    }

    fn record_u128(&mut self, column: &Column, value: u128) {
        self.keep(column, u64::try_from(value).unwrap_or(u64::MAX).into());
    }

    fn record_bool(&mut self, column: &Column, value: bool) {
        self.keep(column, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Wanted;
    use super::*;
    use crate::config::LogLevel;

    #[test]
    fn a_record_has_the_fields_of_the_spans_around_it_and_the_level_acts_at_once() {
        let logs = Logs::silent();
        tracing::subscriber::with_default(logs.subscriber(), || {
            let outer = tracing::info_span!("request", request.id = "r1", http.method = "GET");
            let _outer = outer.enter();
            let inner = tracing::info_span!("inner", http.method = "PUT", later = tracing::field::Empty);
            let _inner = inner.enter();
            inner.record("later", 7);
            for level in [LogLevel::Info, LogLevel::Debug, LogLevel::Error] {
                logs.set_level(level);
                tracing::debug!(n = 1_u64, "quiet");
                tracing::warn!(target: "hyper::proto", "another's {}", "warning");
                tracing::info!(target: "hyper::proto", "another's chatter");
            }
            tracing::error!(error = %std::io::Error::other("deep"), took = 1.5, yes = true, "loud");
        });
        let all = logs.newest(&Wanted::default(), 100);
        let said: Vec<&str> = all.iter().map(|record| record.message.as_str()).collect();
        assert_eq!(said, ["loud", "another's warning", "quiet", "another's warning"]);
        let expected: Vec<Field> = vec![
            ("request.id", "r1".into()),
            ("http.method", "PUT".into()),
            ("later", 7.into()),
            ("error", "deep".into()),
            ("took", 1.5.into()),
            ("yes", true.into()),
        ];
        assert_eq!(all[0].fields, expected);
        assert_eq!((all[0].level, all[0].trace), (Level::ERROR, None));
    }

    #[test]
    fn only_a_right_parent_is_taken() {
        let right = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let (trace, span) = parent(right).unwrap();
        assert_eq!((trace[0], span[7]), (0x0a, 0x31));
        for wrong in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-éaf7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(parent(wrong), None, "{wrong}");
        }
    }
}
