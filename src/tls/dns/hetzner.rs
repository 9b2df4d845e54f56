//! Hetzner: zones of the Cloud API, which adds and removes single values; a change is an action that takes its time.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::api::{Api, quoted};
use super::{DnsProvider, Error, Result, TxtRecord};
use crate::outbound::Method;

/// How often an action is looked at, once a second.
const LOOKS: u32 = 60;

pub(super) struct Hetzner(pub(super) Api);

impl Hetzner {
    /// Where the values of a record's name are.
    async fn place(&self, record: &TxtRecord) -> Result<String> {
        let id = |found: &Value, _: &str| found.pointer("/zone/name")?.as_str().map(str::to_owned);
        let zone = self.0.zone(record, |name| format!("/zones/{name}"), id).await?;
        Ok(format!("/zones/{}/rrsets/{}/TXT", zone.id, zone.within(record)))
    }

    async fn act(&self, path: &str, body: &Value) -> Result<()> {
        let Some(mut answer) = self.0.send(Method::POST, path, Some(body)).await? else { return Ok(()) };
        for _ in 0..LOOKS {
            let action = &answer["action"];
            match action["status"].as_str() {
                Some("running") => {}
                Some("error") => {
                    let why = action.pointer("/error/message").and_then(Value::as_str).unwrap_or("it failed");
                    return Err(Error::plain(format!("Hetzner did not change the zone ({why})")));
                }
                _ => return Ok(()),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let id = action["id"].as_i64().unwrap_or_default();
            answer = self.0.get(&format!("/actions/{id}")).await?.unwrap_or_default();
        }
        Err(Error::plain("Hetzner did not change the zone in time"))
    }
}

fn holds(found: &Value, record: &TxtRecord) -> bool {
    let held = found.pointer("/rrset/records").and_then(Value::as_array);
    held.is_some_and(|held| held.iter().any(|one| one["value"] == quoted(&record.value)))
}

impl DnsProvider for Hetzner {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let place = self.place(record).await?;
            let mut body = json!({ "records": [{ "value": quoted(&record.value) }] });
            match self.0.get(&place).await? {
                Some(found) if holds(&found, record) => return Ok(()),
                Some(_) => {}
                // All values of a name share a lifetime, which is the first one's.
                None => body["ttl"] = 60.into(),
            }
            self.act(&format!("{place}/actions/add_records"), &body).await
        })
    }

    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let place = self.place(record).await?;
            if !self.0.get(&place).await?.is_some_and(|found| holds(&found, record)) {
                return Ok(());
            }
            let body = json!({ "records": [{ "value": quoted(&record.value) }] });
            self.act(&format!("{place}/actions/remove_records"), &body).await
        })
    }
}
