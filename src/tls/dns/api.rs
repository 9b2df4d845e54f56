//! What the APIs of companies that keep zones have in common: a token, JSON, zones found by their names, limits.

use std::time::Duration;

use serde_json::Value;

use super::{Error, Result, TxtRecord, suffixes};
use crate::config::{self, Secret};
use crate::outbound::{Method, Outbound, StatusCode};

/// A pause that a service asks for is waited for here up to this length; a longer one ends the attempt.
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// One company's API.
pub(super) struct Api {
    outbound: Outbound,
    base_url: String,
    /// The word before the token.
    scheme: &'static str,
    token: Option<Secret>,
    zone: Option<String>,
}

/// A zone: its name, and what the API calls it.
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) id: String,
}

impl Zone {
    /// What stands before the zone in a record's name.
    pub(super) fn within<'a>(&self, record: &'a TxtRecord) -> &'a str {
        let inside = record.name.strip_suffix(&self.name).and_then(|rest| rest.strip_suffix('.'));
        inside.unwrap_or("@")
    }
}

impl Api {
    pub(super) fn new(
        settings: &config::AcmeDns,
        outbound: &Outbound,
        base_url: &str,
        scheme: &'static str,
    ) -> Self {
        let base_url = settings.server.as_deref().unwrap_or(base_url).trim_end_matches('/').to_owned();
        let (token, zone) = (settings.token.clone(), settings.zone.clone());
        Self { outbound: outbound.clone(), base_url, scheme, token, zone }
    }

    /// Makes a request; nothing where there is nothing at the address.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>> {
        let broken = |e: crate::outbound::Error| Error::plain(e.to_string());
        let mut pauses = 0;
        loop {
            let url = format!("{}{path}", self.base_url);
            let mut call = self.outbound.call(method.clone(), &url).map_err(broken)?.within(ANSWER);
            call = call.token(self.scheme, self.token.as_ref());
            if let Some(body) = body {
                call = call.json(body);
            }
            let answer = call.send().await.map_err(broken)?;
            let (status, host, pause) = (answer.status(), answer.host().to_owned(), answer.retry_after());
            let text = answer.read(1 << 20).await.map_err(broken)?;
            let json: Value = serde_json::from_slice(&text).unwrap_or(Value::Null);
            match status {
                // Who wanted to put something there has not done it.
                StatusCode::NOT_FOUND if matches!(method, Method::GET | Method::DELETE) => return Ok(None),
                _ if status.is_success() => return Ok(Some(json)),
                StatusCode::TOO_MANY_REQUESTS
                    if pauses < 3 && pause.is_some_and(|pause| pause <= PAUSE_MAX) =>
                {
                    pauses += 1;
                    tokio::time::sleep(pause.unwrap_or_default()).await;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let cause = "does not accept tls.acme.dns.token, or the token may not change this zone";
                    return Err(Error::plain(format!("{host} {cause}{}", said(&json))));
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    let cause = format!("{host} has had too many requests{}", said(&json));
                    return Err(Error { cause, retry_after: pause });
                }
                _ => {
                    let cause = format!("{host} answers with HTTP {status}{}", said(&json));
                    return Err(Error { cause, retry_after: pause });
                }
            }
        }
    }

    /// Reads what is at an address; nothing where there is nothing.
    pub(super) async fn get(&self, path: &str) -> Result<Option<Value>> {
        self.send(Method::GET, path, None).await
    }

    /// The zone that a record lies in: the longest name that is one, or the configured one. `path` is where a zone of
    /// this name is looked for, and `id` what the API calls the one that was found there.
    pub(super) async fn zone(
        &self,
        record: &TxtRecord,
        path: fn(&str) -> String,
        id: fn(&Value, &str) -> Option<String>,
    ) -> Result<Zone> {
        let wanted: Vec<&str> = match &self.zone {
            Some(zone) if record.name == *zone || record.name.ends_with(&format!(".{zone}")) => vec![zone],
            Some(zone) => {
                let cause = format!("{} is not in the zone of tls.acme.dns.zone, {zone}", record.name);
                return Err(Error::plain(cause));
            }
            None => suffixes(&record.name).collect(),
        };
        for name in wanted {
            let found = self.get(&path(name)).await?;
            if let Some(id) = found.as_ref().and_then(|found| id(found, name)) {
                return Ok(Zone { name: name.to_owned(), id });
            }
        }
        let cause = format!("{} has no zone for {} that the token can see", self.base_url, record.name);
        Err(Error::plain(cause))
    }
}

/// What a service says about a failure, in parentheses.
fn said(json: &Value) -> String {
    let places = ["/errors/0/message", "/error/message", "/message", "/detail", "/0/non_field_errors/0"];
    match places.into_iter().find_map(|place| json.pointer(place)?.as_str()) {
        Some(text) => format!(" ({})", text.trim_end_matches('.').chars().take(200).collect::<String>()),
        None => String::new(),
    }
}

/// A text as it stands in a zone file.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{value}\"")
}

/// The texts of a list, if it is one.
pub(super) fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
