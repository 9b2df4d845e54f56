//! Buckets of tokens in a fixed piece of memory: the generic cell rate algorithm (ITU-T I.371), which keeps one moment
//! for each bucket, namely when it will be full again.
//!
//! A table of sets with a few places each, as in a processor's cache: a key has one set, and where that is full the
//! bucket goes that has most in it. Finding, taking and forgetting cost the same however many keys there are, and no
//! pass over all of them is ever needed. `governor` would keep a map that grows with its keys until somebody sweeps it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Rate;

/// Places in a set.
const WAYS: usize = 8;

/// The buckets of many keys.
pub(super) struct Buckets<K> {
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
    /// Keyed anew at each start, so that nobody can choose whose set to fill.
    hasher: RandomState,
    keys: PhantomData<fn(&K)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// The hash of the key stands for the key.
    key: u64,
    /// When it will be full, in microseconds since 1970.
    full_at: i64,
}

/// What became of somebody who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Allowed {
        /// How many more may come at once.
        left: u32,
        /// When the bucket is full again.
        full_in: Duration,
    },
    Blocked {
        /// When the next one may come.
        wait: Duration,
    },
}

impl<K: Hash> Buckets<K> {
    /// Makes place for eight keys in each of so many sets.
    pub(super) fn new(sets: usize) -> Self {
        let sets = (0..sets).map(|_| Mutex::default()).collect();
        Self { sets, hasher: RandomState::new(), keys: PhantomData }
    }

    /// Takes a token out of a key's bucket, if there is one. The rate is not zero.
    pub(super) fn take(&self, key: &K, rate: Rate, now: Timestamp) -> Outcome {
        let hash = self.hasher.hash_one(key);
        let place = usize::try_from(hash >> 32).unwrap_or_default() % self.sets.len();
        let mut set = self.sets[place].lock().unwrap_or_else(PoisonError::into_inner);
        let found = set.iter().position(|bucket| bucket.key == hash);
        let place = found.unwrap_or_else(|| {
            let fullest = (0..WAYS).min_by_key(|place| set[*place].full_at).unwrap_or_default();
            set[fullest] = Bucket { key: hash, full_at: 0 };
            fullest
        });
        set[place].take(rate, now.as_millis().saturating_mul(1000))
    }
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: i64) -> Outcome {
        let one = 1_000_000 / i64::from(rate.per_second.max(1));
        let all = one * i64::from(rate.burst);
        // Never emptier than empty: the clock may have been set back, the limit lowered.
        self.full_at = self.full_at.clamp(now, now + all);
        let full_at = self.full_at + one;
        let micros = |span: i64| Duration::from_micros(span.unsigned_abs());
        if full_at > now + all {
            return Outcome::Blocked { wait: micros(full_at - now - all) };
        }
        self.full_at = full_at;
        let left = (now + all - full_at) / one;
        Outcome::Allowed { left: u32::try_from(left).unwrap_or(0), full_in: micros(full_at - now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 3 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + millis)
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_by_one() {
        let buckets = Buckets::new(4);
        let left = |outcome| match outcome {
            Outcome::Allowed { left, .. } => left,
            Outcome::Blocked { wait } => panic!("blocked for {wait:?}"),
        };
        for expected in [2, 1, 0] {
            assert_eq!(left(buckets.take(&"a", RATE, at(0))), expected);
        }
        assert_eq!(buckets.take(&"a", RATE, at(0)), Outcome::Blocked { wait: Duration::from_millis(100) });
        assert_eq!(buckets.take(&"a", RATE, at(40)), Outcome::Blocked { wait: Duration::from_millis(60) });
        assert_eq!(left(buckets.take(&"b", RATE, at(40))), 2, "others are not touched");
        assert_eq!(left(buckets.take(&"a", RATE, at(100))), 0, "being refused costs nothing");
        assert_eq!(left(buckets.take(&"a", RATE, at(100_000))), 2, "a rest fills it, and not more");
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let buckets = Buckets::new(4);
        for _ in 0..3 {
            buckets.take(&"a", RATE, at(0));
        }
        let before = -365 * 24 * 3600 * 1000;
        assert_eq!(
            buckets.take(&"a", RATE, at(before)),
            Outcome::Blocked { wait: Duration::from_millis(100) }
        );
        assert!(matches!(buckets.take(&"a", RATE, at(before + 100)), Outcome::Allowed { .. }));
    }

    #[test]
    fn a_million_strangers_take_no_more_room_and_push_out_nobody_who_asks_much() {
        let buckets = Buckets::new(16);
        for _ in 0..3 {
            buckets.take(&u64::MAX, RATE, at(0));
        }
        for stranger in 0..1_000_000_u64 {
            buckets.take(&stranger, RATE, at(0));
        }
        assert!(matches!(buckets.take(&u64::MAX, RATE, at(0)), Outcome::Blocked { .. }));
        assert_eq!(buckets.sets.len() * WAYS, 128);
    }
}
