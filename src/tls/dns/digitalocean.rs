//! DigitalOcean: one record for each value. The token needs the scopes `domain:read`, `create`, `update` and `delete`.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::api::{Api, Zone};
use super::{DnsProvider, Result, TxtRecord};
use crate::outbound::Method;

pub(super) struct DigitalOcean(pub(super) Api);

impl DigitalOcean {
    async fn zone(&self, record: &TxtRecord) -> Result<Zone> {
        let id = |found: &Value, _: &str| found.pointer("/domain/name")?.as_str().map(str::to_owned);
        self.0.zone(record, |name| format!("/domains/{name}"), id).await
    }

    /// The numbers of the records with this value.
    async fn find(&self, zone: &Zone, TxtRecord { name, value }: &TxtRecord) -> Result<Vec<i64>> {
        let path = format!("/domains/{}/records?type=TXT&name={name}&per_page=200", zone.id);
        let found = self.0.get(&path).await?.unwrap_or_default();
        let records = found["domain_records"].as_array().into_iter().flatten();
        Ok(records
            .filter(|one| one["data"].as_str() == Some(value.as_str()))
            .filter_map(|one| one["id"].as_i64())
            .collect())
    }
}

impl DnsProvider for DigitalOcean {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let zone = self.zone(record).await?;
            if self.find(&zone, record).await?.is_empty() {
                let body =
                    json!({ "type": "TXT", "name": zone.within(record), "data": record.value, "ttl": 30 });
                self.0.send(Method::POST, &format!("/domains/{}/records", zone.id), Some(&body)).await?;
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let zone = self.zone(record).await?;
            for id in self.find(&zone, record).await? {
                self.0.send(Method::DELETE, &format!("/domains/{}/records/{id}", zone.id), None).await?;
            }
            Ok(())
        })
    }
}
