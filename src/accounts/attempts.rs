//! How long wrong passwords make the next attempt wait.
//!
//! An attempt is counted before the password is looked at, so that a hundred at once are a hundred. A right password
//! takes its own count back: it clears the account, but only its own attempt from the address, or somebody with an
//! account could guess at others for ever. An address from which the user is logged in counts apart from the rest of
//! the world, so that a stranger's guessing doesn't lock the user out.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::model::Email;
use super::store::{self, Attempts};
use super::{Error, LoginLimits};
use crate::db::Tx;
use crate::metrics::LOGIN_LIMIT;

/// Wrong passwords are forgotten when none was added for this long.
pub(super) const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What attempts are counted for: a hash, because people type passwords into the field for their email.
pub(super) type Subject = [u8; 32];

/// The counters that one login moves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    account: Subject,
    address: Subject,
}

impl Counters {
    /// `at_home` says that the account has a live session from this address.
    pub(super) fn new(email: &Email, address: IpAddr, at_home: bool) -> Self {
        let address = network(address);
        let account = if at_home {
            subject(&["account", email.as_str(), &address])
        } else {
            subject(&["account", email.as_str()])
        };
        Self { account, address: subject(&["address", &address]) }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] when one of the counters still has to wait; nothing is counted then.
    pub(super) fn begin(&self, tx: &Tx<'_>, limits: &LoginLimits) -> Result<(), Error> {
        let now = tx.now();
        let mut counters = Vec::with_capacity(2);
        let mut wait = Duration::ZERO;
        for (subject, free) in
            [(&self.account, limits.attempts), (&self.address, limits.attempts_per_address)]
        {
            let found = store::find_attempts(tx, subject)?;
            wait = wait.max(found.as_ref().map_or(Duration::ZERO, |found| found.blocked_until.since(now)));
            let fresh = found.filter(|found| now.since(found.last_at) < FORGOTTEN_AFTER);
            counters.push((subject, free, fresh.map_or(0, |found| found.failures) + 1));
        }
        if !wait.is_zero() {
            LOGIN_LIMIT.blocked.inc();
            return Err(Error::TooManyAttempts { wait, quota: limits.attempts });
        }
        LOGIN_LIMIT.allowed.inc();
        for (subject, free, failures) in counters {
            let blocked_until = now + delay(failures, free, limits.longest_wait);
            store::put_attempts(tx, subject, &Attempts { failures, last_at: now, blocked_until })?;
        }
        Ok(())
    }

    /// Takes a counted attempt back, because the password was right.
    pub(super) fn succeed(&self, tx: &Tx<'_>) -> Result<(), Error> {
        store::remove_attempts(tx, &self.account)?;
        match store::find_attempts(tx, &self.address)? {
            Some(found) if found.failures > 1 => {
                let failures = found.failures - 1;
                store::put_attempts(
                    tx,
                    &self.address,
                    &Attempts { failures, blocked_until: tx.now(), ..found },
                )?;
            }
            _ => store::remove_attempts(tx, &self.address)?,
        }
        Ok(())
    }
}

/// The wait after so many wrong passwords: none before `free`, then one second, doubled by each further one.
fn delay(failures: u32, free: u32, longest: Duration) -> Duration {
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(beyond) => Duration::from_secs(1_u64.checked_shl(beyond).unwrap_or(u64::MAX)).min(longest),
    }
}

/// An IPv4 address, or the /64 of an IPv6 address: who has one address there has them all.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn subject(parts: &[&str]) -> Subject {
    Sha256::digest(parts.join("\0")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        let longest = Duration::from_secs(900);
        let seconds = |failures| delay(failures, 5, longest).as_secs();
        assert_eq!([1, 4, 5, 6, 7, 14, 15, 90, u32::MAX].map(seconds), [0, 0, 1, 2, 4, 512, 900, 900, 900]);
    }

    #[test]
    fn addresses_are_counted_by_who_holds_them() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:2"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
