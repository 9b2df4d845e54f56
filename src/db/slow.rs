//! Says which statements take long, without the values in them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use crate::metrics;

/// The most letters of a statement that are logged.
const SQL_CHARS_MAX: usize = 2000;

/// From so many milliseconds on a statement is slow. SQLite takes a plain function, which can't hold it.
static SLOW_MS: AtomicU64 = AtomicU64::new(u64::MAX);

/// Logs statements of this process that take longer than this from now on; none where it is zero.
pub fn log_slower_than(limit: Duration) {
    let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    SLOW_MS.store(if limit.is_zero() { u64::MAX } else { millis.max(1) }, Ordering::Relaxed);
}

/// Looks at what a connection does.
pub(super) fn watch(conn: &Connection) {
    conn.trace_v2(
        TraceEventCodes::SQLITE_TRACE_PROFILE,
        Some(|event| {
            let TraceEvent::Profile(statement, took) = event else { return };
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            if duration_ms < SLOW_MS.load(Ordering::Relaxed) {
                return;
            }
            metrics::DATABASE.slow_queries.inc();
            // The text as it was prepared: values are bound beside it.
            let sql = on_one_line(&statement.sql());
            tracing::warn!(duration_ms, db.statement = sql, "a statement took long");
        }),
    );
}

fn on_one_line(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").chars().take(SQL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_statement_is_counted_and_a_quick_one_is_not() {
        let conn = Connection::open_in_memory().unwrap();
        watch(&conn);
        let count = || metrics::DATABASE.slow_queries.get();
        let before = count();
        // Three million rows are more than a millisecond on any machine.
        let slow = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n";
        let run = || conn.query_row(slow, [1], |row| row.get::<_, i64>(0)).unwrap();
        run();
        assert_eq!(count(), before, "as long as nobody asks for it");
        log_slower_than(Duration::from_millis(1));
        run();
        assert_eq!(count(), before + 1);
        log_slower_than(Duration::from_secs(3600));
        run();
        log_slower_than(Duration::ZERO);
        run();
        assert_eq!(count(), before + 1);
        assert_eq!(on_one_line("SELECT 1\n    FROM t"), "SELECT 1 FROM t");
    }
}
