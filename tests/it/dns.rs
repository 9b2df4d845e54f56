//! TXT records at each keeper of zones: one suite for all, on stand-ins that speak the documented APIs; and a real BIND.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use safelight::clock::Clock;
use safelight::config::{Config, DnsService, Secret};
use safelight::outbound::Outbound;
use safelight::tls::{Dns, DnsData, TxtRecord, read_dns_answer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::acme::{Running, free_port};
use super::certificates::until;

const TOKEN: &str = "right-token";

/// What a company keeps: records with their zones, and how it is disposed.
#[derive(Default)]
struct Zones {
    records: Mutex<Vec<Record>>,
    made: AtomicUsize,
    /// Requests that are still turned away, and for how many seconds.
    busy: AtomicUsize,
    pause: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Record {
    id: usize,
    zone: String,
    /// Within its zone.
    name: String,
    value: String,
}

const ZONES: [&str; 3] = ["example.org", "sub.example.org", "other.test"];

impl Zones {
    fn has(&self, zone: &str) -> bool {
        ZONES.contains(&zone)
    }

    fn at(&self, zone: &str, name: &str) -> Vec<Record> {
        let records = self.records.lock().unwrap();
        records.iter().filter(|one| one.zone == zone && one.name == name).cloned().collect()
    }

    fn add(&self, zone: &str, name: &str, value: &str) -> usize {
        let id = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let record = Record { id, zone: zone.to_owned(), name: name.to_owned(), value: value.to_owned() };
        self.records.lock().unwrap().push(record);
        id
    }

    fn remove(&self, mut gone: impl FnMut(&Record) -> bool) -> bool {
        let mut records = self.records.lock().unwrap();
        let before = records.len();
        records.retain(|one| !gone(one));
        records.len() < before
    }

    /// Writes all values of a name.
    fn write(&self, zone: &str, name: &str, values: &Value) {
        self.remove(|one| one.zone == zone && one.name == name);
        for value in values.as_array().unwrap() {
            self.add(zone, name, value.as_str().unwrap());
        }
    }

    /// All values, whatever the quotes around them.
    fn values(&self) -> Vec<String> {
        let records = self.records.lock().unwrap();
        let all =
            records.iter().map(|one| format!("{} {} {}", one.zone, one.name, one.value.replace('"', "")));
        let mut all: Vec<String> = all.collect();
        all.sort();
        all
    }
}

type Answer = (StatusCode, Value);
type Speak = fn(&Zones, &Method, &[&str], &HashMap<String, String>, &Value) -> Answer;

const NOTHING: Answer = (StatusCode::NOT_FOUND, Value::Null);

fn ok(value: Value) -> Answer {
    (StatusCode::OK, value)
}

/// The text between quotes; these companies want them and refuse what has none.
fn unquoted(value: &Value) -> &str {
    let text = value.as_str().unwrap();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or_else(|| panic!("no quotes: {text}"))
}

fn cloudflare(
    zones: &Zones,
    method: &Method,
    path: &[&str],
    query: &HashMap<String, String>,
    body: &Value,
) -> Answer {
    let zone = |id: &str| id.strip_prefix("id-of-").unwrap().to_owned();
    match (method.as_str(), path) {
        ("GET", ["zones"]) => {
            let found = Some(&query["name"]).filter(|name| zones.has(name));
            let found: Vec<Value> = found
                .map(|name| json!({ "id": format!("id-of-{name}"), "name": name }))
                .into_iter()
                .collect();
            ok(json!({ "success": true, "errors": [], "result": found }))
        }
        ("GET", ["zones", id, "dns_records"]) => {
            let zone = zone(id);
            let name = query["name"].strip_suffix(&format!(".{zone}")).unwrap();
            let result = zones
                .at(&zone, name)
                .into_iter()
                .map(|one| json!({ "id": format!("r{}", one.id), "type": "TXT", "content": one.value }));
            ok(json!({ "success": true, "result": result.collect::<Vec<_>>() }))
        }
        ("POST", ["zones", id, "dns_records"]) => {
            let zone = zone(id);
            let name = body["name"].as_str().unwrap().strip_suffix(&format!(".{zone}")).unwrap();
            unquoted(&body["content"]);
            let id = zones.add(&zone, name, body["content"].as_str().unwrap());
            ok(json!({ "success": true, "result": { "id": format!("r{id}") } }))
        }
        ("DELETE", ["zones", _, "dns_records", id]) => {
            zones.remove(|one| format!("r{}", one.id) == *id);
            ok(json!({ "success": true }))
        }
        _ => NOTHING,
    }
}

fn digitalocean(
    zones: &Zones,
    method: &Method,
    path: &[&str],
    query: &HashMap<String, String>,
    body: &Value,
) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["domains", zone]) if zones.has(zone) => {
            ok(json!({ "domain": { "name": zone, "ttl": 1800 } }))
        }
        ("GET", ["domains", zone, "records"]) => {
            // It wants whole names in questions and short ones in answers.
            let name = query["name"].strip_suffix(&format!(".{zone}")).unwrap();
            let found = zones
                .at(zone, name)
                .into_iter()
                .map(|one| json!({ "id": one.id, "name": one.name, "data": one.value }));
            ok(json!({ "domain_records": found.collect::<Vec<_>>() }))
        }
        ("POST", ["domains", zone, "records"]) => {
            let id = zones.add(zone, body["name"].as_str().unwrap(), body["data"].as_str().unwrap());
            (StatusCode::CREATED, json!({ "domain_record": { "id": id } }))
        }
        ("DELETE", ["domains", _, "records", id]) => {
            zones.remove(|one| one.id.to_string() == *id);
            (StatusCode::NO_CONTENT, Value::Null)
        }
        _ => NOTHING,
    }
}

fn hetzner(
    zones: &Zones,
    method: &Method,
    path: &[&str],
    _: &HashMap<String, String>,
    body: &Value,
) -> Answer {
    let action = |status: &str| json!({ "action": { "id": 7, "status": status, "error": null } });
    match (method.as_str(), path) {
        ("GET", ["zones", zone]) if zones.has(zone) => ok(json!({ "zone": { "id": 4711, "name": zone } })),
        ("GET", ["actions", "7"]) => ok(action("success")),
        ("GET", ["zones", zone, "rrsets", name, "TXT"]) => {
            let found = zones.at(zone, name);
            let values: Vec<Value> = found.iter().map(|one| json!({ "value": one.value })).collect();
            if values.is_empty() {
                NOTHING
            } else {
                ok(json!({ "rrset": { "name": name, "ttl": 60, "records": values } }))
            }
        }
        ("POST", ["zones", zone, "rrsets", name, "TXT", "actions", deed]) => {
            let value = &body["records"][0]["value"];
            unquoted(value);
            let is_it =
                |one: &Record| one.zone == *zone && one.name == *name && one.value == value.as_str().unwrap();
            let first = zones.made.load(Ordering::SeqCst) < 2;
            match *deed {
                // A name's values have one lifetime, which is not to be changed on the way.
                "add_records" if !zones.at(zone, name).is_empty() && body["ttl"].is_number() => {
                    return (
                        StatusCode::UNPROCESSABLE_ENTITY,
                        json!({ "error": { "message": "ttl differs" } }),
                    );
                }
                "add_records" => {
                    zones.add(zone, name, value.as_str().unwrap());
                }
                "remove_records" if zones.remove(is_it) => {}
                _ => {
                    return (
                        StatusCode::UNPROCESSABLE_ENTITY,
                        json!({ "error": { "message": "no such record" } }),
                    );
                }
            }
            (StatusCode::CREATED, action(if first { "running" } else { "success" }))
        }
        _ => NOTHING,
    }
}

fn desec(zones: &Zones, method: &Method, path: &[&str], _: &HashMap<String, String>, body: &Value) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["domains", zone, ""]) if zones.has(zone) => ok(json!({ "name": zone, "minimum_ttl": 3600 })),
        ("GET", ["domains", zone, "rrsets", name, "TXT", ""]) => {
            let values: Vec<String> = zones.at(zone, name).into_iter().map(|one| one.value).collect();
            if values.is_empty() {
                NOTHING
            } else {
                ok(json!({ "subname": name, "ttl": 3600, "records": values }))
            }
        }
        ("PUT", ["domains", zone, "rrsets", ""]) => {
            assert!(body[0]["ttl"].as_u64().unwrap() >= 3600 && body[0]["type"] == "TXT");
            for value in body[0]["records"].as_array().unwrap() {
                unquoted(value);
            }
            zones.write(zone, body[0]["subname"].as_str().unwrap(), &body[0]["records"]);
            ok(body.clone())
        }
        _ => NOTHING,
    }
}

fn gandi(zones: &Zones, method: &Method, path: &[&str], _: &HashMap<String, String>, body: &Value) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["domains", zone]) if zones.has(zone) => {
            ok(json!({ "fqdn": zone, "automatic_snapshots": true }))
        }
        ("GET", ["domains", zone, "records", name, "TXT"]) => {
            let values: Vec<String> = zones.at(zone, name).into_iter().map(|one| one.value).collect();
            if values.is_empty() { NOTHING } else { ok(json!({ "rrset_ttl": 300, "rrset_values": values })) }
        }
        ("PUT", ["domains", zone, "records", name, "TXT"]) => {
            assert!(!body["rrset_values"].as_array().unwrap().is_empty() && body["rrset_ttl"] == 300);
            zones.write(zone, name, &body["rrset_values"]);
            (StatusCode::CREATED, json!({ "message": "DNS Record Created" }))
        }
        ("DELETE", ["domains", zone, "records", name, "TXT"]) => {
            zones.remove(|one| one.zone == *zone && one.name == *name);
            (StatusCode::NO_CONTENT, Value::Null)
        }
        _ => NOTHING,
    }
}

#[derive(Clone)]
struct Company {
    zones: Arc<Zones>,
    authorization: String,
    speak: Speak,
}

async fn answer(
    State(company): State<Company>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let zones = &company.zones;
    if headers.get("authorization").is_none_or(|value| value.as_bytes() != company.authorization.as_bytes()) {
        return (StatusCode::UNAUTHORIZED, axum::Json(json!({ "message": "Unauthorized." }))).into_response();
    }
    if zones.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let pause = zones.pause.load(Ordering::SeqCst).to_string();
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", pause)], "slow down").into_response();
    }
    let path: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (status, json) = (company.speak)(zones, &method, &path, &query, &body);
    match json {
        Value::Null => status.into_response(),
        json => (status, axum::Json(json)).into_response(),
    }
}

fn record(name: &str, value: &str) -> TxtRecord {
    TxtRecord { name: name.to_owned(), value: value.to_owned() }
}

fn open(change: impl FnOnce(&mut safelight::config::AcmeDns)) -> Dns {
    let mut config = Config::defaults("unused");
    change(&mut config.tls.acme.dns);
    Dns::open(&config.tls.acme, &Outbound::new(&config.outbound), &Clock::system()).unwrap().unwrap()
}

async fn keeps_the_contract(service: DnsService, scheme: &str, speak: Speak) {
    let zones = Arc::new(Zones::default());
    let company = Company { zones: Arc::clone(&zones), authorization: format!("{scheme} {TOKEN}"), speak };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(company);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let with_token = |token: &str, zone: Option<&str>| {
        open(|dns| {
            dns.provider = Some(service);
            dns.token = Some(Secret::new(token));
            dns.server = Some(url.clone());
            dns.zone = zone.map(str::to_owned);
        })
    };
    let dns = with_token(TOKEN, None);

    // Somebody else's record of the name stays, and so does the one of a name with its wildcard.
    let name = "_acme-challenge.a.sub.example.org";
    zones.add("sub.example.org", "_acme-challenge.a", "\"kept\"");
    let kept = "sub.example.org _acme-challenge.a kept".to_owned();
    let one = "sub.example.org _acme-challenge.a one".to_owned();
    let two = "sub.example.org _acme-challenge.a two".to_owned();
    zones.busy.store(1, Ordering::SeqCst);
    zones.pause.store(1, Ordering::SeqCst);
    dns.set(&record(name, "one")).await.unwrap();
    dns.set(&record(name, "two")).await.unwrap();
    dns.set(&record(name, "one")).await.unwrap();
    assert_eq!(zones.values(), [kept.clone(), one, two.clone()], "{service:?}");
    dns.remove(&record(name, "one")).await.unwrap();
    dns.remove(&record(name, "one")).await.unwrap();
    assert_eq!(zones.values(), [kept.clone(), two], "{service:?}");
    dns.remove(&record(name, "two")).await.unwrap();
    assert_eq!(zones.values(), std::slice::from_ref(&kept), "{service:?}");

    // The zone with the longest name, else the one that is said; and a name that nothing is at yet.
    dns.set(&record("_acme-challenge.b.example.org", "three")).await.unwrap();
    let said = with_token(TOKEN, Some("example.org"));
    said.set(&record("_acme-challenge.c.sub.example.org", "four")).await.unwrap();
    let four = "example.org _acme-challenge.c.sub four".to_owned();
    let three = "example.org _acme-challenge.b three".to_owned();
    assert_eq!(zones.values(), [three, four, kept], "{service:?}");
    dns.remove(&record("_acme-challenge.b.example.org", "three")).await.unwrap();
    assert_eq!(zones.values().len(), 2, "{service:?}");

    // What goes wrong is told.
    let nowhere = dns.set(&record("_acme-challenge.nowhere.test", "x")).await.unwrap_err();
    assert!(nowhere.cause.contains("has no zone for _acme-challenge.nowhere.test"), "{service:?}: {nowhere}");
    let refused = with_token("wrong", None).set(&record(name, "x")).await.unwrap_err();
    assert!(refused.cause.contains("does not accept tls.acme.dns.token"), "{service:?}: {refused}");
    assert!(!refused.cause.contains("wrong"), "{service:?}: {refused}");
    zones.busy.store(1, Ordering::SeqCst);
    zones.pause.store(3600, Ordering::SeqCst);
    let busy = dns.set(&record(name, "x")).await.unwrap_err();
    assert_eq!(busy.retry_after, Some(Duration::from_secs(3600)), "{service:?}: {busy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_keeper_of_zones_keeps_the_contract() {
    let mut suites = JoinSet::new();
    suites.spawn(keeps_the_contract(DnsService::Cloudflare, "Bearer", cloudflare));
    suites.spawn(keeps_the_contract(DnsService::Digitalocean, "Bearer", digitalocean));
    suites.spawn(keeps_the_contract(DnsService::Hetzner, "Bearer", hetzner));
    suites.spawn(keeps_the_contract(DnsService::Desec, "Token", desec));
    suites.spawn(keeps_the_contract(DnsService::Gandi, "Bearer", gandi));
    while let Some(done) = suites.join_next().await {
        done.unwrap();
    }
}

/// The key that BIND in tests accepts.
pub(crate) const KEY: &str = "bWF5IHRoZSBzb3VyY2UgYmUgd2l0aCB5b3U=";

/// A BIND with the zone `w.test`, which the key `safelight.` may change.
pub(crate) struct Bind {
    pub(crate) port: u16,
    _running: Running,
    _dir: tempfile::TempDir,
}

impl Bind {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let port = free_port();
        let config = format!(
            "options {{ directory \"{at}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no; }};\n\
             controls {{ }};\n\
             key \"safelight.\" {{ algorithm hmac-sha256; secret \"{KEY}\"; }};\n\
             zone \"w.test\" {{ type primary; file \"w.test.zone\"; update-policy {{ grant safelight. zonesub TXT; }}; }};\n"
        );
        std::fs::write(dir.path().join("named.conf"), config).unwrap();
        let zone =
            "$TTL 60\n@ SOA ns h 1 60 60 60 60\n@ NS ns\n@ A 127.0.0.1\nns A 127.0.0.1\n* A 127.0.0.1\n";
        std::fs::write(dir.path().join("w.test.zone"), zone).unwrap();
        // A profile of AppArmor for the usual place would keep it from reading ours.
        let program = dir.path().join("named");
        let usual = Path::new("/usr/sbin/named");
        assert!(usual.exists(), "install BIND with `apt-get install bind9`, or run scripts/bootstrap test");
        std::fs::copy(usual, &program).unwrap();
        let mut command = Command::new(program);
        command.arg("-g").arg("-n1").arg("-c").arg(dir.path().join("named.conf"));
        let this = Self { port, _running: Running::start(&mut command), _dir: dir };
        until("BIND answers", async || this.texts("_acme-challenge.w.test")).await;
        this
    }

    /// What is at a name.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        let mut question = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(label.len() as u8);
            question.extend_from_slice(label.as_bytes());
        }
        question.extend_from_slice(&[0, 0, 16, 0, 1]);
        socket.send(&question).ok()?;
        let mut bytes = [0; 2048];
        let length = socket.recv(&mut bytes).ok()?;
        let text = |data| match data {
            DnsData::Text(text) => String::from_utf8(text).ok(),
            _ => None,
        };
        Some(
            read_dns_answer(&bytes[..length])?.records.into_iter().filter_map(|one| text(one.data)).collect(),
        )
    }

    pub(crate) fn settings(&self, dns: &mut safelight::config::AcmeDns) {
        dns.provider = Some(DnsService::Rfc2136);
        dns.server = Some(SocketAddr::from(([127, 0, 0, 1], self.port)).to_string());
        dns.tsig_name = Some("safelight.".to_owned());
        dns.tsig_secret = Some(Secret::new(KEY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_takes_signed_changes_and_says_why_it_refuses_others() {
    let bind = Bind::start().await;
    let dns = open(|dns| bind.settings(dns));
    let name = "_acme-challenge.w.test";
    let (one, two) = (record(name, "one"), record(name, "two"));
    for record in [&one, &two, &one] {
        dns.set(record).await.unwrap();
    }
    dns.until_seen(&[one.clone(), two.clone()]).await;
    let mut found = bind.texts(name).unwrap();
    found.sort();
    assert_eq!(found, ["one", "two"]);
    dns.remove(&one).await.unwrap();
    dns.remove(&one).await.unwrap();
    assert_eq!(bind.texts(name).unwrap(), ["two"]);
    dns.remove(&two).await.unwrap();
    assert!(bind.texts(name).unwrap().is_empty());

    let complaint = async |change: fn(&mut safelight::config::AcmeDns), name: &str| {
        let dns = open(|dns| {
            bind.settings(dns);
            change(dns);
        });
        dns.set(&record(name, "x")).await.unwrap_err().cause
    };
    let wrong_secret = complaint(|dns| dns.tsig_secret = Some(Secret::new("AAAA")), name).await;
    assert!(wrong_secret.contains("tls.acme.dns.tsig_secret is not the one"), "{wrong_secret}");
    let wrong_key = complaint(|dns| dns.tsig_name = Some("other".to_owned()), name).await;
    assert!(wrong_key.contains("does not know the key tls.acme.dns.tsig_name"), "{wrong_key}");
    let unsigned = complaint(|dns| (dns.tsig_name, dns.tsig_secret) = (None, None), name).await;
    assert!(unsigned.contains("refuses the change"), "{unsigned}");
    let elsewhere = complaint(|_| {}, "_acme-challenge.example.org").await;
    assert!(elsewhere.contains("not in charge of _acme-challenge.example.org"), "{elsewhere}");
    let forced =
        complaint(|dns| dns.zone = Some("example.org".to_owned()), "_acme-challenge.example.org").await;
    assert!(forced.contains("zone example.org: it is not in charge"), "{forced}");
    let nobody = complaint(|dns| dns.server = Some("127.0.0.1:1".to_owned()), name).await;
    assert!(nobody.contains("does not answer"), "{nobody}");
}
