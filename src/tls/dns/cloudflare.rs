//! Cloudflare: one record for each value. The token needs the permissions Zone Read and DNS Edit.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::api::{Api, quoted};
use super::{DnsProvider, Result, TxtRecord};
use crate::outbound::Method;

pub(super) struct Cloudflare(pub(super) Api);

impl Cloudflare {
    async fn zone(&self, record: &TxtRecord) -> Result<String> {
        let path = |name: &str| format!("/zones?name={name}");
        let id = |found: &Value, _: &str| found.pointer("/result/0/id")?.as_str().map(str::to_owned);
        Ok(self.0.zone(record, path, id).await?.id)
    }

    /// The numbers of the records with this value.
    async fn find(&self, zone: &str, TxtRecord { name, value }: &TxtRecord) -> Result<Vec<String>> {
        let path = format!("/zones/{zone}/dns_records?type=TXT&name={name}&per_page=100");
        let found = self.0.get(&path).await?.unwrap_or_default();
        let records = found["result"].as_array().into_iter().flatten();
        Ok(records
            .filter(|one| one["content"].as_str().is_some_and(|text| text.trim_matches('"') == value))
            .filter_map(|one| one["id"].as_str().map(str::to_owned))
            .collect())
    }
}

impl DnsProvider for Cloudflare {
    fn set<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let zone = self.zone(record).await?;
            if self.find(&zone, record).await?.is_empty() {
                let body = json!({ "type": "TXT", "name": record.name, "content": quoted(&record.value), "ttl": 60 });
                self.0.send(Method::POST, &format!("/zones/{zone}/dns_records"), Some(&body)).await?;
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, record: &'a TxtRecord) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let zone = self.zone(record).await?;
            for id in self.find(&zone, record).await? {
                self.0.send(Method::DELETE, &format!("/zones/{zone}/dns_records/{id}"), None).await?;
            }
            Ok(())
        })
    }
}
