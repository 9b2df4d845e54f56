//! One order of a certificate (RFC 8555): account, proof for each name, key, chain. What goes wrong becomes a sentence.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rustls::pki_types::CertificateDer;

use super::Inner;
use super::certificate::{self, Certificate};
use super::transport::{Pause, Transport};
use crate::clock::Timestamp;
use crate::config::Challenge;

/// How long a DNS hook may take for one record.
const HOOK_TIME: Duration = Duration::from_secs(300);

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Failure {
    /// A sentence for people, without its full stop.
    pub(super) cause: String,
    pub(super) kind: Kind,
    /// Until when the authority wants to be left alone.
    pub(super) until: Option<Timestamp>,
}

/// What can be done about a failure at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The authority does not know the account: make another one.
    AccountGone,
    /// It does not want to hear which certificate is replaced: don't say it.
    ReplacesRefused,
    Other,
}

/// A certificate and its key, as PEM.
pub(super) struct Issued {
    pub(super) key: String,
    pub(super) chain: String,
}

/// One authority, for one attempt.
pub(super) struct Authority<'a> {
    pub(super) inner: &'a Inner,
    pub(super) directory_url: &'a str,
    pause: Pause,
}

/// When to renew, as the authority would like it, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) again_in: Duration,
}

impl<'a> Authority<'a> {
    pub(super) fn new(inner: &'a Inner, directory_url: &'a str) -> Self {
        Self { inner, directory_url, pause: Pause::default() }
    }

    fn host(&self) -> &str {
        let rest = self.directory_url.strip_prefix("https://").unwrap_or(self.directory_url);
        rest.split('/').next().unwrap_or(rest)
    }

    fn failure(&self, error: &Error) -> Failure {
        let kind = match error {
            Error::Api(problem) if is(problem, "accountDoesNotExist") => Kind::AccountGone,
            Error::Api(problem) if is(problem, "alreadyReplaced") => Kind::ReplacesRefused,
            // The library checks the answer's `replaces` itself.
            Error::Other(e) if e.to_string().starts_with("replaces ") => Kind::ReplacesRefused,
            _ => Kind::Other,
        };
        self.because(&words(error), kind)
    }

    fn because(&self, cause: &str, kind: Kind) -> Failure {
        Failure { cause: format!("{}: {cause}", self.host()), kind, until: self.pause.until() }
    }

    fn transport(&self) -> Box<Transport> {
        Box::new(Transport {
            outbound: self.inner.outbound.clone(),
            clock: self.inner.clock.clone(),
            within: self.inner.pace.answer,
            pause: self.pause.clone(),
        })
    }

    /// The stored account, or a new one. One at a time: several certificates share it.
    async fn account(&self) -> Result<Account, Failure> {
        let _one = self.inner.accounts.lock().await;
        let builder = Account::builder_with_http(self.transport());
        if let Some(stored) = self.inner.files.load_account::<AccountCredentials>(self.directory_url) {
            return builder.from_credentials(stored).await.map_err(|e| self.failure(&e));
        }
        let settings = &self.inner.settings;
        let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let arranged = self.arranged().map_err(|cause| self.because(cause, Kind::Other))?;
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder
            .create(&wanted, self.directory_url.to_owned(), arranged.as_ref())
            .await
            .map_err(|e| self.failure(&e))?;
        if let Err(e) = self.inner.files.save_account(self.directory_url, &credentials) {
            tracing::warn!(error = %e, "the account with the certificate authority could not be stored");
        }
        tracing::info!(acme.authority = self.host(), "made an account with the certificate authority");
        Ok(account)
    }

    /// The account that was arranged with the first authority; the other one needs none.
    fn arranged(&self) -> Result<Option<ExternalAccountKey>, &'static str> {
        let acme = &self.inner.settings.acme;
        let (Some(kid), Some(key)) = (&acme.eab_kid, &acme.eab_hmac_key) else { return Ok(None) };
        if self.directory_url != acme.directory_url {
            return Ok(None);
        }
        let key = URL_SAFE_NO_PAD.decode(key.expose().trim().trim_end_matches('='));
        let key = key.map_err(|_| "the setting tls.acme.eab_hmac_key is not base64url")?;
        Ok(Some(ExternalAccountKey::new(kid.clone(), &key)))
    }

    /// When the authority would like a certificate to be renewed (RFC 9773); `None` when it has no wish.
    pub(super) async fn wish(&self, leaf: &CertificateDer<'static>) -> Option<Wish> {
        let id = CertificateIdentifier::try_from(leaf).ok()?;
        let account = self.account().await.ok()?;
        let (info, again_in) = match account.renewal_info(&id).await {
            Ok(found) => found,
            Err(e) => {
                tracing::debug!(error = %e, acme.authority = self.host(), "no renewal information");
                return None;
            }
        };
        let moment = |at: i64| Timestamp::from_millis(at.saturating_mul(1000));
        let (start, end) = (info.suggested_window.start, info.suggested_window.end);
        Some(Wish { start: moment(start.unix_timestamp()), end: moment(end.unix_timestamp()), again_in })
    }

    /// Gets a certificate for names.
    pub(super) async fn issue(
        &self,
        names: &[String],
        turn: u32,
        replaced: Option<&Certificate>,
    ) -> Result<Issued, Failure> {
        let account = self.account().await?;
        let identifiers: Vec<Identifier> = names.iter().map(|name| identifier(name)).collect();
        let mut wanted = NewOrder::new(&identifiers);
        if let Some(profile) = &self.inner.settings.acme.profile {
            if account.profiles().any(|known| known.name == profile) {
                wanted = wanted.profile(profile);
            } else {
                tracing::warn!(
                    acme.authority = self.host(),
                    "the certificate authority does not have the profile that tls.acme.profile names"
                );
            }
        }
        if let Some(id) = replaced.and_then(|old| CertificateIdentifier::try_from(&old.leaf).ok()) {
            wanted = wanted.replaces(id.into_owned());
        }
        let mut order = match account.new_order(&wanted).await {
            Ok(order) => order,
            // It has no renewal information and so no use for what is replaced.
            Err(Error::Unsupported(what)) if replaced.is_some() => {
                return Err(self.because(what, Kind::ReplacesRefused));
            }
            Err(e) => return Err(self.failure(&e)),
        };
        let mut answers =
            Answers { inner: self.inner, tokens: Vec::new(), names: Vec::new(), records: Vec::new() };
        let issued = self.go_through(&mut order, names, turn, &mut answers).await;
        answers.take_away().await;
        issued
    }

    async fn go_through(
        &self,
        order: &mut Order,
        names: &[String],
        turn: u32,
        answers: &mut Answers<'_>,
    ) -> Result<Issued, Failure> {
        self.prepare(order, turn, answers).await?;
        let patience = RetryPolicy::new()
            .initial_delay(self.inner.pace.poll)
            .backoff(1.5)
            .timeout(self.inner.pace.order);
        // Asking whether an order is ready that is more than that would never end.
        if !matches!(order.state().status, OrderStatus::Valid | OrderStatus::Processing) {
            let ready = order.poll_ready(&patience).await;
            if !matches!(ready, Ok(OrderStatus::Ready)) {
                let found = reasons(order).await;
                return Err(match (found.is_empty(), ready) {
                    (false, _) => self.because(&found, Kind::Other),
                    (true, Err(e)) => self.failure(&e),
                    (true, Ok(_)) => self.because("it refuses the order and gives no reason", Kind::Other),
                });
            }
        }
        let ours = |e: super::Error| self.because(&e.to_string(), Kind::Other);
        let (key, request) = certificate::request(names).map_err(ours)?;
        order.finalize_csr(&request).await.map_err(|e| self.failure(&e))?;
        let chain = order.poll_certificate(&patience).await.map_err(|e| self.failure(&e))?;
        Ok(Issued { key, chain })
    }

    /// Puts an answer for each name where the authority will look, and says so.
    async fn prepare(&self, order: &mut Order, turn: u32, answers: &mut Answers<'_>) -> Result<(), Failure> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|e| self.failure(&e))?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                other => {
                    let cause = format!("the proof for {} is {other:?}", authorization.identifier());
                    return Err(self.because(&cause, Kind::Other));
                }
            }
            let offered: Vec<ChallengeType> =
                authorization.challenges.iter().map(|c| c.r#type.clone()).collect();
            let Some(way) = self.choose(&offered, authorization.wildcard, turn) else {
                let name = authorization.identifier().to_string();
                let cause = format!("it offers none of the ways in tls.acme.challenges for {name}");
                return Err(self.because(&cause, Kind::Other));
            };
            let Some(mut challenge) = authorization.challenge(kind(way)) else { continue };
            let proof = challenge.key_authorization();
            let token = challenge.token.clone();
            let name = challenge.identifier().identifier.clone();
            let put = match way {
                Challenge::Http01 => {
                    answers.by_http(token, proof.as_str());
                    Ok(())
                }
                Challenge::TlsAlpn01 => answers.by_handshake(&name, proof.digest().as_ref()),
                Challenge::Dns01 => answers.by_record(&name, proof.dns_value()).await,
            };
            put.map_err(|cause| self.because(&cause, Kind::Other))?;
            challenge.set_ready().await.map_err(|e| self.failure(&e))?;
        }
        Ok(())
    }

    /// The configured way whose turn it is, of those that are offered.
    fn choose(&self, offered: &[ChallengeType], wildcard: bool, turn: u32) -> Option<Challenge> {
        let wanted = self.inner.settings.acme.challenges.iter().copied();
        let possible: Vec<Challenge> = wanted
            .filter(|way| offered.contains(&kind(*way)) && (!wildcard || *way == Challenge::Dns01))
            .collect();
        possible.get(turn as usize % possible.len().max(1)).copied()
    }
}

fn kind(way: Challenge) -> ChallengeType {
    match way {
        Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        Challenge::Http01 => ChallengeType::Http01,
        Challenge::Dns01 => ChallengeType::Dns01,
    }
}

fn identifier(name: &str) -> Identifier {
    match name.parse::<IpAddr>() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

/// Where answers lie that were put out for an authority.
struct Answers<'a> {
    inner: &'a Inner,
    tokens: Vec<String>,
    names: Vec<String>,
    records: Vec<(String, String)>,
}

impl Answers<'_> {
    fn by_http(&mut self, token: String, proof: &str) {
        self.inner.put_answer(&token, Some(proof.to_owned()));
        self.tokens.push(token);
    }

    fn by_handshake(&mut self, name: &Identifier, digest: &[u8]) -> Result<(), String> {
        let (asked, inside) = match name {
            Identifier::Ip(address) => (reverse(*address), address.to_string()),
            Identifier::Dns(name) => (name.to_ascii_lowercase(), name.to_ascii_lowercase()),
            _ => return Err("it asks for something that is neither a name nor an address".to_owned()),
        };
        let key = certificate::challenge(&inside, digest).map_err(|e| e.to_string())?;
        self.inner.resolver.expect(&asked, key);
        self.names.push(asked);
        Ok(())
    }

    async fn by_record(&mut self, name: &Identifier, value: String) -> Result<(), String> {
        let Identifier::Dns(name) = name else { return Err("dns-01 is for names only".to_owned()) };
        let record = format!("_acme-challenge.{name}");
        self.hook("set", &record, &value).await?;
        self.records.push((record, value));
        Ok(())
    }

    async fn hook(&self, what: &str, record: &str, value: &str) -> Result<(), String> {
        let Some(program) = &self.inner.settings.acme.dns_hook else {
            return Err("dns-01 needs tls.acme.dns_hook".to_owned());
        };
        let mut command = tokio::process::Command::new(program);
        command.args([what, record, value]).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let shown = program.display();
        match tokio::time::timeout(HOOK_TIME, command.status()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("{shown} {what} {record} ended with {status}")),
            Ok(Err(e)) => Err(format!("{shown} can't be started: {e}")),
            Err(_) => Err(format!("{shown} {what} {record} did not end in time")),
        }
    }

    async fn take_away(self) {
        for token in &self.tokens {
            self.inner.put_answer(token, None);
        }
        for name in &self.names {
            self.inner.resolver.forget(name);
        }
        for (record, value) in &self.records {
            if let Err(cause) = self.hook("remove", record, value).await {
                tracing::warn!(error = cause, "a TXT record could not be removed");
            }
        }
    }
}

/// The name that stands for an address in a handshake (RFC 8738).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits = v6.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            digits.map(|digit| format!("{digit:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

/// What the authority found wrong with each name. It stands with the proofs, not with the order, and has to be fetched
/// anew.
async fn reasons(order: &mut Order) -> String {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() || authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = authorization.identifier().to_string();
        for problem in authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref()) {
            found.push(format!("for {name}, {}", explain(problem)));
        }
    }
    found.join("; ")
}

fn is(problem: &Problem, kind: &str) -> bool {
    problem.r#type.as_deref().is_some_and(|found| found.rsplit(':').next() == Some(kind))
}

/// What an error means, in a clause that goes on after the authority's name.
fn words(error: &Error) -> String {
    match error {
        Error::Api(problem) => explain(problem),
        Error::Timeout(_) => "it did not come to a decision in time".to_owned(),
        Error::Json(_) => "its answer can't be understood".to_owned(),
        Error::Other(e) => chain(e.as_ref()),
        other => other.to_string(),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn explain(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default();
    let detail = problem.detail.as_deref().unwrap_or(kind).trim_end_matches('.');
    let mut text = match kind {
        "externalAccountRequired" => {
            "it only serves accounts that were arranged with it: set tls.acme.eab_kid and tls.acme.eab_hmac_key".to_owned()
        }
        "rateLimited" => format!("it has had too many requests ({detail})"),
        "rejectedIdentifier" => format!("it gives no certificate for this name ({detail})"),
        "connection" => format!(
            "it can't connect to this server ({detail}); ports 80 and 443 of the name's address must be open to the internet"
        ),
        "dns" => format!("it does not find the name in DNS ({detail}); the name must point to this server"),
        "caa" => format!("a CAA record in DNS does not allow it ({detail})"),
        "tls" => format!("the handshake with this server failed ({detail}); does something else answer at port 443?"),
        "unauthorized" | "incorrectResponse" => {
            format!("it did not get the right answer ({detail}); does the name point to this server?")
        }
        _ => detail.to_owned(),
    };
    for part in &problem.subproblems {
        let name = part.identifier.as_ref().map(|id| id.authorized(false).to_string()).unwrap_or_default();
        text =
            format!("{text}; {name}: {}", part.detail.as_deref().unwrap_or("refused").trim_end_matches('.'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_for_backwards() {
        assert_eq!(reverse("192.0.2.7".parse().unwrap()), "7.2.0.192.in-addr.arpa");
        let v6 = reverse("2001:db8::1".parse().unwrap());
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
    }

    #[test]
    fn what_an_authority_says_is_put_in_plain_words() {
        let said = |json: serde_json::Value| explain(&serde_json::from_value::<Problem>(json).unwrap());
        let kind = |name: &str| format!("urn:ietf:params:acme:error:{name}");
        let text = said(serde_json::json!({ "type": kind("connection"), "detail": "Connection refused." }));
        assert!(text.contains("(Connection refused)") && text.contains("ports 80 and 443"), "{text}");
        assert!(
            said(serde_json::json!({ "type": kind("externalAccountRequired") })).contains("tls.acme.eab_kid")
        );
        assert_eq!(said(serde_json::json!({ "type": kind("odd"), "detail": "Something" })), "Something");
        assert_eq!(said(serde_json::json!({})), "");
        let parts = serde_json::json!({ "detail": "no", "subproblems": [
            { "identifier": { "type": "dns", "value": "a.test" }, "detail": "blocked" }] });
        assert_eq!(said(parts), "no; a.test: blocked");
    }
}
