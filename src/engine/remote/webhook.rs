//! Calls by which a provider says that a job has ended, signed as the specification «Standard Webhooks» has it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::{Choice, ConstantTimeEq};

use crate::keys::hmac_sha256;

/// How far the time of a call may be from ours, in seconds.
pub(in crate::engine) const DRIFT_S: i64 = 300;

/// A call of a provider, nothing of which is believed yet.
#[derive(Debug, Clone, Copy)]
pub struct WebhookCall<'a> {
    /// The header `webhook-id`.
    pub id: &'a str,
    /// The header `webhook-timestamp`: Unix seconds.
    pub timestamp: &'a str,
    /// The header `webhook-signature`: one or more of `v1,<base64>`.
    pub signature: &'a str,
    /// The body, byte by byte.
    pub body: &'a [u8],
    /// Our own time in Unix seconds.
    pub now_s: i64,
}

/// What has become of a call that was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Somebody waits for the job and looks at it now.
    Woken,
    /// Nobody waits for it here.
    Nobody,
    /// It was heard before.
    Again,
}

/// Why a call was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// None are expected.
    #[error("no calls are expected from this provider")]
    Off,
    /// The signature is missing or wrong, or too old.
    #[error("the signature of this call is not right, or too old")]
    Refused,
    /// The provider can't be asked for the secret.
    #[error("the provider's secret is not known at the moment")]
    NoSecret,
}

/// The secret that signs.
#[derive(Clone)]
pub(in crate::engine) struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Reads `whsec_<base64>`. Only the first underscore separates: the rest may have more of them.
    pub(in crate::engine) fn parse(text: &str) -> Option<Self> {
        let encoded = text.trim().strip_prefix("whsec_")?;
        let plain: String = encoded
            .chars()
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect();
        let bytes = BASE64_STANDARD.decode(plain).ok()?;
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    /// Whether one of a call's signatures is ours, in a time that does not depend on where they differ.
    pub(in crate::engine) fn signs(&self, call: &WebhookCall<'_>) -> bool {
        let message = [call.id.as_bytes(), b".", call.timestamp.as_bytes(), b".", call.body].concat();
        let own = hmac_sha256(&self.0, &message);
        let given = call.signature.split_ascii_whitespace().filter_map(|one| one.strip_prefix("v1,"));
        let decoded = given.filter_map(|one| BASE64_STANDARD.decode(one).ok()).take(16);
        decoded.fold(Choice::from(0), |any, one| any | own.ct_eq(one.as_slice())).into()
    }
}

impl WebhookCall<'_> {
    /// Whether it was signed about now.
    pub(in crate::engine) fn is_fresh(&self) -> bool {
        let signed_at = self.timestamp.parse::<i64>().ok();
        signed_at.is_some_and(|at| at.abs_diff(self.now_s) <= DRIFT_S.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the specification's own test suite.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn call<'a>(signature: &'a str) -> WebhookCall<'a> {
        WebhookCall {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: "1614265330",
            signature,
            body: BODY,
            now_s: 1_614_265_330,
        }
    }

    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(secret.signs(&call(right)));
        assert!(secret.signs(&call(&format!("v1,AAAA v2,zzz {right}"))), "several may be listed");
        let other = call(right);
        assert!(!secret.signs(&WebhookCall { body: b"{}", ..other }));
        assert!(!secret.signs(&WebhookCall { id: "msg_2", ..other }));
        assert!(!secret.signs(&WebhookCall { timestamp: "1614265331", ..other }));
        for wrong in ["", "v1,", "v1,!!", &right[3..], "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            assert!(!secret.signs(&call(wrong)), "{wrong}");
        }
        for bad in ["", "whsec_", "g0hM", "whsec_§"] {
            assert!(WebhookSecret::parse(bad).is_none(), "{bad}");
        }
        assert!(WebhookSecret::parse("whsec_a_b-").is_some(), "an underscore inside is part of the secret");
    }

    #[test]
    fn old_calls_and_calls_of_the_future_are_not_fresh() {
        for (now_s, fresh) in [(0, false), (-301, false), (-300, true), (300, true), (301, false)] {
            let now_s = if now_s == 0 { 0 } else { 1_614_265_330 + now_s };
            assert_eq!(WebhookCall { now_s, ..call("") }.is_fresh(), fresh, "{now_s}");
        }
        assert!(!WebhookCall { timestamp: "soon", ..call("") }.is_fresh());
        assert!(!WebhookCall { timestamp: "-9223372036854775808", ..call("") }.is_fresh());
    }
}
