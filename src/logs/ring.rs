//! The newest records, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;

use super::record::Record;

/// The most records that are kept.
pub const RECORDS_MAX: usize = 2000;

/// The most memory that they may take, about.
const BYTES_MAX: usize = 2 << 20;

/// Which records are wanted; everything that is set must fit.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// This serious, or more.
    pub level: Option<Level>,
    /// With all these words in them.
    pub words: String,
    /// Older than this one.
    pub before: Option<u64>,
    /// Newer than this one.
    pub after: Option<u64>,
}

/// The newest records.
#[derive(Default)]
pub(super) struct Ring(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    records: VecDeque<Arc<Record>>,
    size_bytes: usize,
    last: u64,
}

impl Ring {
    /// Numbers a record and keeps it, and lets the oldest ones go.
    pub(super) fn push(&self, mut record: Record) -> Arc<Record> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        record.number = kept.last;
        let record = Arc::new(record);
        kept.size_bytes += record.size_bytes();
        kept.records.push_back(Arc::clone(&record));
        while kept.records.len() > RECORDS_MAX || kept.size_bytes > BYTES_MAX {
            let Some(gone) = kept.records.pop_front() else { break };
            kept.size_bytes -= gone.size_bytes();
        }
        record
    }

    pub(super) fn newest(&self, wanted: &Wanted, limit: usize) -> Vec<Arc<Record>> {
        let words: Vec<String> = wanted.words.split_whitespace().map(str::to_lowercase).collect();
        // Searching takes long beside logging, which must not wait for it.
        let records: Vec<_> = {
            let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.records.iter().rev().cloned().collect()
        };
        let fits = |record: &&Arc<Record>| {
            wanted.level.is_none_or(|level| record.level <= level)
                && wanted.before.is_none_or(|before| record.number < before)
                && wanted.after.is_none_or(|after| record.number > after)
                && record.has(&words)
        };
        records.iter().filter(fits).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn record(message: String, level: Level) -> Record {
        Record {
            number: 0,
            at: Timestamp::from_millis(0),
            level,
            target: String::new(),
            message,
            fields: Vec::new(),
            trace: None,
        }
    }

    #[test]
    fn the_newest_stay_within_number_and_memory() {
        let ring = Ring::default();
        for n in 0..RECORDS_MAX + 10 {
            ring.push(record(format!("m{n}"), if n % 2 == 0 { Level::INFO } else { Level::WARN }));
        }
        let all = ring.newest(&Wanted::default(), usize::MAX);
        assert_eq!((all.len(), all[0].number), (RECORDS_MAX, RECORDS_MAX as u64 + 10));
        let serious = ring.newest(&Wanted { level: Some(Level::WARN), ..Wanted::default() }, 3);
        assert!(serious.len() == 3 && serious.iter().all(|record| record.level == Level::WARN));
        let older = ring.newest(&Wanted { before: Some(15), ..Wanted::default() }, 100);
        assert_eq!(older.iter().map(|record| record.number).collect::<Vec<_>>(), [14, 13, 12, 11]);
        assert_eq!(ring.newest(&Wanted { after: Some(all[1].number), ..Wanted::default() }, 100).len(), 1);
        assert_eq!(ring.newest(&Wanted { words: "M2008".into(), ..Wanted::default() }, 100).len(), 1);

        for _ in 0..1000 {
            ring.push(record("x".repeat(8 << 10), Level::INFO));
        }
        let kept = ring.0.lock().unwrap();
        assert!(kept.size_bytes <= BYTES_MAX && kept.records.len() > 200, "{}", kept.records.len());
    }
}
