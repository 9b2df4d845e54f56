//! Gandi LiveDNS: all values of a name are written together, so one change waits for the other.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::api::{Api, quoted, texts};
use super::{DnsProvider, Result, TxtRecord};
use crate::outbound::Method;

/// The shortest lifetime that it allows.
const LIFE_S: u32 = 300;

pub(super) struct Gandi {
    api: Api,
    one: Mutex<()>,
}

impl Gandi {
    pub(super) fn new(api: Api) -> Self {
        Self { api, one: Mutex::default() }
    }

    async fn change(&self, record: &TxtRecord, add: bool) -> Result<()> {
        let _one = self.one.lock().await;
        let id = |found: &Value, _: &str| found["fqdn"].as_str().map(str::to_owned);
        let zone = self.api.zone(record, |name| format!("/domains/{name}"), id).await?;
        let place = format!("/domains/{}/records/{}/TXT", zone.id, zone.within(record));
        let held = self.api.get(&place).await?.unwrap_or_default();
        let (mut values, value) = (texts(held.get("rrset_values")), quoted(&record.value));
        if values.contains(&value) == add {
            return Ok(());
        }
        values.retain(|one| *one != value);
        values.extend(add.then_some(value));
        if values.is_empty() {
            self.api.send(Method::DELETE, &place, None).await?;
        } else {
            let life = held["rrset_ttl"].as_u64().unwrap_or(LIFE_S.into());
            let body = json!({ "rrset_values": values, "rrset_ttl": life });
            self.api.send(Method::PUT, &place, Some(&body)).await?;
        }
        Ok(())
    }
}

impl DnsProvider for Gandi {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change(record, true))
    }

    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change(record, false))
    }
}
