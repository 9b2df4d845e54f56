//! Other machines that are used: which ones, the mail server, the engines.

use super::{Outcome, Patient, chain};
use crate::app::App;
use crate::config::{Config, Secret};
use crate::outbound::Method;
use crate::restore::registry;

/// A machine that a configured feature talks to.
pub(super) struct Host {
    /// Its name.
    name: String,
    /// What for.
    purpose: &'static str,
    /// What may be asked there at no cost.
    pub(super) asked: Option<String>,
}

/// Every machine that the configuration makes this one talk to.
pub(super) fn hosts(config: &Config) -> Vec<Host> {
    let mut hosts = Vec::new();
    let mut add = |url: &str, purpose, asked: Option<String>| {
        let parsed = crate::outbound::Url::parse(url).ok();
        let name = parsed.as_ref().and_then(|url| url.host_str()).unwrap_or(url).to_owned();
        hosts.push(Host { name, purpose, asked });
    };
    if !config.tls.domains.is_empty() {
        let acme = &config.tls.acme;
        // With roots of its own it is asked by its own check.
        let asked = acme.ca_file.is_none().then(|| acme.directory_url.clone());
        add(&acme.directory_url, "certificates", asked);
        if let Some(url) = &acme.fallback_directory_url {
            add(url, "certificates", None);
        }
    }
    for (url, _) in engine_calls(config) {
        add(&url, "models", Some(url.clone()));
    }
    if let Some(url) = &config.alerts.webhook_url {
        add(url.expose().trim(), "alerts", None);
    }
    if let Some(server) = &config.mail.server {
        hosts.push(Host { name: server.host.clone(), purpose: "mail", asked: None });
    }
    hosts
}

pub(super) async fn outbound(patient: &Patient) -> Outcome {
    if patient.outbound.is_offline() {
        return Outcome::ok("none: outbound.offline is set");
    }
    let hosts = hosts(&patient.config);
    if hosts.is_empty() {
        return Outcome::ok("none: nothing is set up that leaves this machine");
    }
    let mut shown: Vec<String> =
        hosts.iter().map(|host| format!("{} ({})", host.name, host.purpose)).collect();
    shown.dedup();
    Outcome::ok(shown.join(", "))
}

pub(super) async fn mail(patient: &Patient) -> Outcome {
    let Some(server) = patient.mailer.server() else {
        return Outcome::skipped("no mail server is set up (mail.host)");
    };
    if patient.outbound.is_offline() {
        return Outcome::skipped("outbound.offline is set");
    }
    match patient.mailer.check(|_| ()).await {
        Ok(()) => Outcome::ok(format!("{server} takes the login; `safelight mail test` sends a message")),
        Err(e) => Outcome::failed(chain(&e), e.advice()),
    }
}

/// What can be asked of the engines that are set up, at no cost, and with which token.
fn engine_calls(config: &Config) -> Vec<(String, Option<&Secret>)> {
    let engines = &config.engines;
    let mut calls = Vec::new();
    if let Some(token) = &engines.replicate.token {
        calls.push((format!("{}/v1/account", engines.replicate.base_url), Some(token)));
    }
    if let Some(token) = &engines.hugging_face.token {
        calls.push((format!("{}/api/whoami-v2", engines.hugging_face.hub_url), Some(token)));
    }
    let token = engines.space.token.as_ref();
    calls.extend(engines.space.urls.iter().map(|url| (format!("{url}/config"), token)));
    calls
}

pub(super) async fn engines(patient: &Patient) -> Outcome {
    let calls = engine_calls(&patient.config);
    let mut findings = Vec::new();
    let mut fine = Vec::new();
    if !patient.outbound.is_offline() {
        let asked = calls.iter().map(|(url, token)| ask(patient, url, *token));
        for found in futures_util::future::join_all(asked).await {
            match found {
                Ok(host) => fine.push(host),
                Err(finding) => findings.push(finding),
            }
        }
    }
    if let Ok(app) = &patient.app {
        findings.extend(retired_models(app).await);
    }
    if calls.is_empty() && findings.is_empty() {
        return Outcome::skipped("none is set up");
    }
    if patient.outbound.is_offline() && findings.is_empty() {
        return Outcome::skipped("outbound.offline is set");
    }
    Outcome::worst(findings, format!("{} take the token", fine.join(", ")))
}

/// Asks an engine who we are: which costs nothing and fails with a wrong token.
async fn ask(patient: &Patient, url: &str, token: Option<&Secret>) -> Result<String, Outcome> {
    let host = crate::outbound::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let host = host.unwrap_or_else(|| url.to_owned());
    let unreachable = |e: &crate::outbound::Error| {
        Outcome::failed(
            chain(e),
            "Check the address in the section [engines], and that this machine may connect to it.",
        )
    };
    let call = patient.outbound.call(Method::GET, url).map_err(|e| unreachable(&e))?;
    let answer =
        call.token("Bearer", token).within(super::DEADLINE).send().await.map_err(|e| unreachable(&e))?;
    match answer.status().as_u16() {
        200..=299 => Ok(host),
        401 | 403 => Err(Outcome::failed(
            format!("{host} refuses the token ({})", answer.status().as_u16()),
            "Make a new token there and set it in the section [engines].",
        )),
        status => Err(Outcome::warning(
            format!("{host} answers {status}"),
            "It may have a bad day: look at its status page.",
        )),
    }
}

/// Models that may be used here but that their provider no longer offers.
pub(in crate::admin) async fn retired_models(app: &App) -> Option<Outcome> {
    let entries = registry::list(app).await.ok()?;
    let gone: Vec<String> = entries
        .iter()
        .filter(|entry| entry.enabled && entry.retired_at.is_some())
        .map(|entry| entry.model.name.clone())
        .collect();
    (!gone.is_empty()).then(|| {
        Outcome::warning(
            format!("{} are no longer offered by their provider", gone.join(", ")),
            "Choose another model on the page «Models», and turn these off.",
        )
    })
}
