//! Passwords: what is acceptable, and argon2id off the async threads.
//!
//! Parameters are those of OWASP's password storage cheat sheet: 19 MiB, two passes, one lane. Two hashes run at once
//! and a few dozen may wait, so that a flood of logins can take neither the memory nor all threads.

use std::fmt;
use std::sync::OnceLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::Error;
use super::model::{Email, Invalid};

const PARAMS: Params = match Params::new(19 * 1024, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("the parameters are within argon2's bounds"),
};

/// Hashes that run at the same time; each takes 19 MiB.
static RUNNING: Semaphore = Semaphore::const_new(2);

/// Hashes that run or wait; the next one is told to come back.
static PLACES: Semaphore = Semaphore::const_new(64);

/// Characters that a password needs.
const MIN_CHARS: usize = 10;

/// Bytes that a password may have.
const MAX_BYTES: usize = 1024;

/// Different characters that a password needs.
const MIN_DIFFERENT: usize = 5;

/// A password as typed. `Debug` hides it.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(from = "String")]
#[schema(value_type = String, format = Password)]
pub struct Password(String);

impl From<String> for Password {
    /// Two ways of typing one character are one password (NFC, as RFC 8265 asks).
    fn from(text: String) -> Self {
        Self(text.nfc().collect())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

impl Password {
    /// Whether it may become the password of somebody with this name and email; says what is wrong under the name
    /// of the request's field.
    ///
    /// Length matters, rules about digits and signs don't (NIST SP 800-63B, 5.1.1.2).
    pub(super) fn check(&self, field: &'static str, name: &str, email: &Email) -> Result<(), Invalid> {
        let refuse = |detail: String| Err(Invalid { field, detail });
        if self.0.chars().count() < MIN_CHARS {
            return refuse(format!("The password needs at least {MIN_CHARS} characters."));
        }
        if self.0.len() > MAX_BYTES {
            return refuse(format!("The password may have at most {MAX_BYTES} bytes."));
        }
        let folded = self.0.to_lowercase();
        let local = email.as_str().split('@').next().unwrap_or_default();
        if folded == email.as_str() || folded == local || folded == name.to_lowercase() {
            return refuse("The password must not be your name or email.".into());
        }
        let mut different: Vec<char> = folded.chars().collect();
        different.sort_unstable();
        different.dedup();
        if different.len() < MIN_DIFFERENT || is_common(&folded) {
            return refuse("This password is one of the first that anybody would try.".into());
        }
        Ok(())
    }

    /// A password that nobody knows and nobody can guess.
    pub(super) fn nobodys() -> Self {
        Self(super::secret::Token::random().expose())
    }

    /// Whether both are the same text.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        super::secret::same(self.0.as_bytes(), other.0.as_bytes())
    }
}

/// Whether it is a known word with a known tail, or a walk along the keyboard or the alphabet.
fn is_common(folded: &str) -> bool {
    const WORDS: [&str; 12] = [
        "password",
        "passwort",
        "safelight",
        "welcome",
        "iloveyou",
        "letmein",
        "changeme",
        "administrator",
        "admin",
        "qwerty",
        "qwertz",
        "secret",
    ];
    const WALKS: [&str; 7] = [
        "01234567890123456789",
        "09876543210987654321",
        "abcdefghijklmnopqrstuvwxyz",
        "qwertyuiopasdfghjklzxcvbnm",
        "qwertzuiopasdfghjklyxcvbnm",
        "1q2w3e4r5t6z7u8i9o0p",
        "1q2w3e4r5t6y7u8i9o0p",
    ];
    let tail = |rest: &str| rest.chars().all(|c| !c.is_alphabetic());
    WALKS.iter().any(|walk| walk.contains(folded))
        || WORDS.iter().any(|word| folded.strip_prefix(word).is_some_and(|rest| tail(rest) || rest == *word))
}

/// What a comparison has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Wrong,
    Right,
    /// Right, but the stored hash was made with other parameters and should be replaced.
    RightButOld,
}

/// A place among those whose passwords are hashed.
pub(super) struct Turn {
    _place: SemaphorePermit<'static>,
}

impl Turn {
    /// Takes a place.
    ///
    /// # Errors
    /// [`Error::Busy`] when dozens are waiting already.
    pub(super) fn take() -> Result<Self, Error> {
        Self::take_one_of(&PLACES)
    }

    fn take_one_of(places: &'static Semaphore) -> Result<Self, Error> {
        places.try_acquire().map(|place| Self { _place: place }).map_err(|_| Error::Busy)
    }

    /// Hashes a password; returns a PHC string.
    pub(super) async fn hash(&self, password: &Password) -> Result<String, Error> {
        let password = password.clone();
        off_thread(move || hash_now(&password)).await
    }

    /// Compares a password with a stored hash. Without one (there is no such user) it takes the same time and is
    /// wrong.
    pub(super) async fn verify(&self, password: &Password, stored: Option<String>) -> Result<Verdict, Error> {
        let password = password.clone();
        off_thread(move || verify_now(&password, stored.as_deref())).await
    }
}

fn verify_now(password: &Password, stored: Option<&str>) -> Result<Verdict, Error> {
    static DUMMY: OnceLock<String> = OnceLock::new();
    // Also made when it is not needed, so that the first unknown user after a start is not the slow one.
    let dummy = match DUMMY.get() {
        Some(dummy) => dummy,
        None => {
            let made = hash_now(&Password("nobody has this password".into()))?;
            DUMMY.get_or_init(|| made)
        }
    };
    let parsed = PasswordHash::new(stored.unwrap_or(dummy)).map_err(|e| Error::Hash(e.to_string()))?;
    match Argon2::default().verify_password(password.0.as_bytes(), &parsed) {
        Ok(()) if stored.is_none() => Ok(Verdict::Wrong),
        Ok(()) if is_current(&parsed) => Ok(Verdict::Right),
        Ok(()) => Ok(Verdict::RightButOld),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(e) => Err(Error::Hash(e.to_string())),
    }
}

fn hash_now(password: &Password) -> Result<String, Error> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
        .hash_password(password.0.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|e| Error::Hash(e.to_string()))
}

fn is_current(hash: &PasswordHash) -> bool {
    let Ok(params) = Params::try_from(hash) else { return false };
    hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
        && (params.m_cost(), params.t_cost(), params.p_cost())
            == (PARAMS.m_cost(), PARAMS.t_cost(), PARAMS.p_cost())
}

async fn off_thread<T, F>(f: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    // The permit goes with the work: a caller that hangs up does not free the memory that is still in use.
    let running = RUNNING.acquire().await.expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        let _running = running;
        f()
    })
    .await
    .unwrap_or_else(|e| Err(Error::Hash(e.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> bool {
        let email = Email::parse("ada.lovelace@example.org").unwrap();
        Password::from(password.to_owned()).check("password", "Ada Lovelace", &email).is_ok()
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in [
            "",
            "short",
            "ninechars",
            "aaaaaaaaaaaa",
            "abababababab",
            "1234567890",
            "0987654321",
            "qwertyuiop",
            "password123",
            "Password2026!",
            "passwordpassword",
            "safelight1!",
            "Ada Lovelace",
            "ada.lovelace",
            "ADA.LOVELACE@EXAMPLE.ORG",
            "abcdefghijkl",
        ] {
            assert!(!check(weak), "{weak}");
        }
        assert!(!check(&"long enough ".repeat(100)));
        for good in ["correct horse", "password of my cat", "äöü€ñ日本語です", "kW9!x0_zzQ"] {
            assert!(check(good), "{good}");
        }
    }

    fn password(text: &str) -> Password {
        Password::from(text.to_owned())
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let turn = Turn::take().unwrap();
        let stored = turn.hash(&password("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        let verdict = async |text: &str, stored| turn.verify(&password(text), stored).await.unwrap();
        assert_eq!(verdict("correct horse", Some(stored.clone())).await, Verdict::Right);
        assert_eq!(verdict("correct mouse", Some(stored)).await, Verdict::Wrong);
        assert_eq!(verdict("correct horse", None).await, Verdict::Wrong);
        assert_eq!(verdict("nobody has this password", None).await, Verdict::Wrong);
    }

    #[test]
    fn composed_and_decomposed_characters_are_one_password() {
        let stored = hash_now(&password("caf\u{e9} au lait")).unwrap();
        assert_eq!(verify_now(&password("cafe\u{301} au lait"), Some(&stored)).unwrap(), Verdict::Right);
    }

    #[test]
    fn a_hash_of_older_parameters_is_right_but_old() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let stored = weak.hash_password(b"correct horse").unwrap().to_string();
        assert_eq!(verify_now(&password("correct horse"), Some(&stored)).unwrap(), Verdict::RightButOld);
    }

    #[test]
    fn who_finds_no_place_is_told_to_come_back() {
        static ONE: Semaphore = Semaphore::const_new(1);
        let first = Turn::take_one_of(&ONE).unwrap();
        assert!(matches!(Turn::take_one_of(&ONE), Err(Error::Busy)));
        drop(first);
        assert!(Turn::take_one_of(&ONE).is_ok());
    }

    #[test]
    fn debug_hides_a_password() {
        assert_eq!(format!("{:?}", Password::from("correct horse".to_owned())), "Password(hidden)");
    }
}
