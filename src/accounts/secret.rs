//! Random tokens that are shown once and stored only as a hash.

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Error, Result};
use crate::keys::{self, Key, Keys, Purpose};

/// Bytes of randomness in a token: more than anybody can guess, and short enough for a link on one line.
const BYTES: usize = 20;

/// A random token: what a session cookie or a setup link carries. `Debug` hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; BYTES]);

/// SHA-256 of a token. A token is random, so this needs neither salt nor slowness.
pub(super) type TokenHash = [u8; 32];

impl Token {
    /// Makes a token from the operating system's randomness.
    pub fn random() -> Self {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Reads the text form; `None` for anything that [`Token::expose`] has not written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != BYTES * 2 {
            return None;
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| match c {
                b'0'..=b'9' => Some(c - b'0'),
                b'a'..=b'f' => Some(c - b'a' + 10),
                _ => None,
            };
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// Reads a field of a request. What can't be a token is `None`: for the caller it is as wrong as a wrong one.
    pub(super) fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }

    /// The text form: hexadecimal. Whoever calls this must not log it.
    pub fn expose(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is stored instead of the token.
    pub(super) fn hash(&self) -> TokenHash {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// The instance's keys for sessions, with which the tokens of sessions are hashed: a key that ends ends its sessions.
pub(super) struct SessionKeys(Vec<Key>);

impl SessionKeys {
    /// The keys for a session that begins; the first one is made where there is none.
    pub(super) async fn to_begin(keys: &Keys) -> Result<Self> {
        let keys = keys.clone();
        let read = move || {
            keys.newest(Purpose::Sessions)?;
            Ok::<_, keys::Error>(Self(keys.valid(Purpose::Sessions)?))
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(|e| Error::Hash(e.to_string()))?;
        Ok(read?)
    }

    /// The keys by which a session that is there may be found.
    pub(super) fn to_find(keys: &Keys) -> Result<Self> {
        Ok(Self(keys.valid(Purpose::Sessions)?))
    }

    /// What is stored of a token whose session begins.
    pub(super) fn hash(&self, token: &Token) -> TokenHash {
        self.0.first().map_or_else(|| token.hash(), |key| key.sign(&token.0))
    }

    /// What may have been stored of a token: with each key, and without one by versions that had none.
    pub(super) fn hashes(&self, token: &Token) -> Vec<TokenHash> {
        self.0.iter().map(|key| key.sign(&token.0)).chain([token.hash()]).collect()
    }
}

/// Compares hashes in a time that does not depend on where they differ.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_form_and_hides_from_debug() {
        let token = Token::random();
        assert_eq!(Token::parse(&token.expose()), Some(token.clone()));
        assert!(!format!("{token:?}").contains(&token.expose()));
        assert_ne!(token, Token::random());
    }

    #[test]
    fn text_that_is_no_token_is_refused() {
        let upper = Token([0xab; BYTES]).expose().to_uppercase();
        for bad in ["", "zz", &"g".repeat(40), &"a".repeat(39), &"é".repeat(20), &upper] {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
    }
}
