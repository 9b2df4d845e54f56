//! deSEC: all values of a name are written together, so one change waits for the other.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::api::{Api, Zone, quoted, texts};
use super::{DnsProvider, Result, TxtRecord};
use crate::outbound::Method;

/// The shortest lifetime that it allows for most zones.
const LIFE_S: u32 = 3600;

pub(super) struct Desec {
    api: Api,
    one: Mutex<()>,
}

impl Desec {
    pub(super) fn new(api: Api) -> Self {
        Self { api, one: Mutex::default() }
    }

    async fn change(&self, record: &TxtRecord, add: bool) -> Result<()> {
        let _one = self.one.lock().await;
        let id = |found: &Value, _: &str| found["name"].as_str().map(str::to_owned);
        let zone: Zone = self.api.zone(record, |name| format!("/domains/{name}/"), id).await?;
        let name = zone.within(record);
        let held =
            self.api.get(&format!("/domains/{}/rrsets/{name}/TXT/", zone.id)).await?.unwrap_or_default();
        let (mut values, value) = (texts(held.get("records")), quoted(&record.value));
        if values.contains(&value) == add {
            return Ok(());
        }
        values.retain(|one| *one != value);
        values.extend(add.then_some(value));
        let life = held["ttl"].as_u64().unwrap_or(LIFE_S.into());
        // An empty list removes the name.
        let body = json!([{ "subname": name, "type": "TXT", "ttl": life, "records": values }]);
        self.api.send(Method::PUT, &format!("/domains/{}/rrsets/", zone.id), Some(&body)).await?;
        Ok(())
    }
}

impl DnsProvider for Desec {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change(record, true))
    }

    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.change(record, false))
    }
}
