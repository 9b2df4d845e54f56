//! One order of a certificate (RFC 8555): account, proof for each name, key, chain. What goes wrong becomes a sentence.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rustls::pki_types::CertificateDer;

use super::certificate::{self, Certificate};
use super::dns::TxtRecord;
use super::transport::{Pause, Transport};
use super::{Inner, dns};
use crate::clock::Timestamp;
use crate::config::Challenge;

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

    /// The stored account, or a new one, which is stored unless it is for this once. One at a time: several certificates
    /// share it.
    async fn account(&self, store: bool) -> Result<Account, Failure> {
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
        if !store {
            return Ok(account);
        }
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
        let account = self.account(true).await.ok()?;
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
        let account = self.account(true).await?;
        let mut order = self.order(&account, names, replaced).await?;
        let mut answers = Answers::new(self.inner, false);
        let issued = match self.prove(&mut order, turn, &mut answers).await {
            Ok(()) => self.finish(&mut order, names).await,
            Err(failure) => Err(failure),
        };
        answers.take_away().await;
        issued
    }

    /// Goes the same way without storing anything; to its end only where the authority's certificates are for trying.
    pub(super) async fn rehearse(
        &self,
        names: &[String],
        turn: u32,
        to_the_end: bool,
        beside: bool,
    ) -> Result<(), Failure> {
        let account = self.account(false).await?;
        let mut order = self.order(&account, names, None).await?;
        let mut answers = Answers::new(self.inner, beside);
        let mut rehearsed = self.prove(&mut order, turn, &mut answers).await;
        if to_the_end && rehearsed.is_ok() {
            rehearsed = self.finish(&mut order, names).await.map(|_| ());
        }
        answers.take_away().await;
        rehearsed
    }

    async fn order(
        &self,
        account: &Account,
        names: &[String],
        replaced: Option<&Certificate>,
    ) -> Result<Order, Failure> {
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
        match account.new_order(&wanted).await {
            Ok(order) => Ok(order),
            // It has no renewal information and so no use for what is replaced.
            Err(Error::Unsupported(what)) if replaced.is_some() => {
                Err(self.because(what, Kind::ReplacesRefused))
            }
            Err(e) => Err(self.failure(&e)),
        }
    }

    fn patience(&self) -> RetryPolicy {
        let pace = &self.inner.pace;
        RetryPolicy::new().initial_delay(pace.poll).backoff(1.5).timeout(pace.order)
    }

    /// Proves that the names are ours.
    async fn prove(&self, order: &mut Order, turn: u32, answers: &mut Answers<'_>) -> Result<(), Failure> {
        self.prepare(order, turn, answers).await?;
        answers.until_seen().await;
        self.say_ready(order, turn).await?;
        // Asking whether an order is ready that is more than that would never end.
        if !matches!(order.state().status, OrderStatus::Valid | OrderStatus::Processing) {
            let ready = order.poll_ready(&self.patience()).await;
            if !matches!(ready, Ok(OrderStatus::Ready)) {
                let found = reasons(order).await;
                return Err(match (found.is_empty(), ready) {
                    (false, _) => self.because(&found, Kind::Other),
                    (true, Err(e)) => self.failure(&e),
                    (true, Ok(_)) => self.because("it refuses the order and gives no reason", Kind::Other),
                });
            }
        }
        Ok(())
    }

    /// Has the certificate made.
    async fn finish(&self, order: &mut Order, names: &[String]) -> Result<Issued, Failure> {
        let ours = |e: super::Error| self.because(&e.to_string(), Kind::Other);
        let (key, request) = certificate::request(names).map_err(ours)?;
        order.finalize_csr(&request).await.map_err(|e| self.failure(&e))?;
        let chain = order.poll_certificate(&self.patience()).await.map_err(|e| self.failure(&e))?;
        Ok(Issued { key, chain })
    }

    /// Puts an answer for each name where the authority will look.
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
            let Some(challenge) = authorization.challenge(kind(way)) else { continue };
            let proof = challenge.key_authorization();
            let token = challenge.token.clone();
            let name = challenge.identifier().identifier.clone();
            let put = match way {
                Challenge::Http01 => answers.by_http(token, proof.as_str()).map_err(|cause| (cause, None)),
                Challenge::TlsAlpn01 => {
                    answers.by_handshake(&name, proof.digest().as_ref()).map_err(|cause| (cause, None))
                }
                Challenge::Dns01 => answers
                    .by_record(&name, proof.dns_value())
                    .await
                    .map_err(|dns::Error { cause, retry_after }| (cause, retry_after)),
            };
            put.map_err(|(cause, pause)| {
                let until = pause.map(|pause| self.inner.clock.now() + pause);
                Failure { until, ..self.because(&cause, Kind::Other) }
            })?;
        }
        Ok(())
    }

    /// Tells the authority that the answers are there.
    async fn say_ready(&self, order: &mut Order, turn: u32) -> Result<(), Failure> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|e| self.failure(&e))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let offered: Vec<ChallengeType> =
                authorization.challenges.iter().map(|c| c.r#type.clone()).collect();
            let Some(way) = self.choose(&offered, authorization.wildcard, turn) else { continue };
            if let Some(mut challenge) = authorization.challenge(kind(way)) {
                challenge.set_ready().await.map_err(|e| self.failure(&e))?;
            }
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
    /// Whether they are put where another process of this data directory finds them too.
    beside: bool,
    tokens: Vec<String>,
    names: Vec<String>,
    records: Vec<TxtRecord>,
}

impl<'a> Answers<'a> {
    fn new(inner: &'a Inner, beside: bool) -> Self {
        Self { inner, beside, tokens: Vec::new(), names: Vec::new(), records: Vec::new() }
    }

    fn by_http(&mut self, token: String, proof: &str) -> Result<(), String> {
        if self.beside {
            self.inner.files.put_answer(&token, proof).map_err(|e| e.to_string())?;
        }
        self.inner.put_answer(&token, Some(proof.to_owned()));
        self.tokens.push(token);
        Ok(())
    }

    fn by_handshake(&mut self, name: &Identifier, digest: &[u8]) -> Result<(), String> {
        let (asked, inside) = match name {
            Identifier::Ip(address) => (reverse(*address), address.to_string()),
            Identifier::Dns(name) => (name.to_ascii_lowercase(), name.to_ascii_lowercase()),
            _ => return Err("it asks for something that is neither a name nor an address".to_owned()),
        };
        let pem = certificate::challenge(&inside, digest).map_err(|e| e.to_string())?;
        if self.beside {
            self.inner.files.put_answer(&asked, &pem).map_err(|e| e.to_string())?;
        }
        let key = certificate::challenge_from_pem(&pem).map_err(|e| e.to_string())?;
        self.inner.resolver.expect(&asked, key);
        self.names.push(asked);
        Ok(())
    }

    async fn by_record(&mut self, name: &Identifier, value: String) -> dns::Result<()> {
        let plain = |cause: &str| dns::Error { cause: cause.to_owned(), retry_after: None };
        let Identifier::Dns(name) = name else { return Err(plain("dns-01 is for names only")) };
        let Some(dns) = &self.inner.dns else {
            return Err(plain("dns-01 needs tls.acme.dns.provider or tls.acme.dns_hook"));
        };
        let record = TxtRecord { name: format!("_acme-challenge.{}", name.to_ascii_lowercase()), value };
        // What was set half is taken away too.
        self.records.push(record.clone());
        dns.set(&record).await
    }

    /// Waits until what was put into DNS can be seen.
    async fn until_seen(&self) {
        if let Some(dns) = &self.inner.dns {
            dns.until_seen(&self.records).await;
        }
    }

    async fn take_away(self) {
        for token in &self.tokens {
            self.inner.put_answer(token, None);
        }
        for name in &self.names {
            self.inner.resolver.forget(name);
        }
        if self.beside {
            self.tokens.iter().chain(&self.names).for_each(|name| self.inner.files.remove_answer(name));
        }
        for record in &self.records {
            if let Some(dns) = &self.inner.dns
                && let Err(e) = dns.remove(record).await
            {
                tracing::warn!(error = %e, "a TXT record could not be removed");
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
