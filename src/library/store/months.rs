//! Media by the month in which they were taken, as year * 100 + month, in UTC as EXIF has it; 0 is for times that no calendar
//! has.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, params};

use super::unsigned;
use crate::db::Result;
use crate::library::model::Seq;

/// Counts times by their month.
#[derive(Debug, Default)]
pub(super) struct Months {
    counts: BTreeMap<i64, u64>,
    /// The month of the last time, its first millisecond and the one after it: times come in their order mostly.
    last: (i64, i64, i64),
    in_last: u64,
}

impl Months {
    pub(super) fn add(&mut self, taken: i64) {
        let (_, from, until) = self.last;
        if !(from..until).contains(&taken) {
            self.close();
            let number = month(taken);
            let (from, until) = bounds(number).unwrap_or((taken, taken));
            self.last = (number, from, until);
        }
        self.in_last += 1;
    }

    fn close(&mut self) {
        if self.in_last > 0 {
            *self.counts.entry(self.last.0).or_default() += std::mem::take(&mut self.in_last);
        }
    }

    pub(super) fn counts(mut self) -> Vec<(i64, u64)> {
        self.close();
        self.counts.into_iter().collect()
    }
}

/// The month of a time. Milliseconds are cut off as SQLite cuts them, so that what is kept and what is counted agree.
pub(super) fn month(millis: i64) -> i64 {
    jiff::Timestamp::from_second(millis / 1000).ok().map_or(0, |at| {
        let date = at.to_zoned(TimeZone::UTC);
        if date.year() < 0 { 0 } else { i64::from(date.year()) * 100 + i64::from(date.month()) }
    })
}

/// The first millisecond of a month and the first one after it, for months whose times are not rounded.
fn bounds(month: i64) -> Option<(i64, i64)> {
    let first = |month: i64| {
        let date = Date::new(i16::try_from(month / 100).ok()?, i8::try_from(month % 100).ok()?, 1).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    };
    let next = if month % 100 == 12 { month + 89 } else { month + 1 };
    (month >= 197_001).then(|| Some((first(month)?, first(next)?)))?
}

/// The first and the last of the months that a time is made of; nothing for one that begins or ends within a month, or
/// among those times that are rounded.
pub(super) fn whole(from: i64, until: i64) -> Option<(i64, i64)> {
    let begins = |at: i64| bounds(month(at)).is_some_and(|(first, _)| first == at);
    let first = if from == i64::MIN { i64::MIN } else { begins(from).then(|| month(from))? };
    let last = if until == i64::MAX { i64::MAX } else { begins(until).then(|| month(until - 1))? };
    Some((first, last))
}

/// Media of a bucket that are not in the trash, in months of a range: the first and the last one.
pub(super) fn of_bucket(conn: &Connection, bucket: Seq, first: i64, last: i64) -> Result<Vec<(i64, u64)>> {
    let mut statement = conn.prepare_cached(
        "SELECT month, media_count FROM media_months
         WHERE bucket_seq = ?1 AND month BETWEEN ?2 AND ?3 AND media_count > 0",
    )?;
    let rows = statement.query_map([bucket, first, last], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Counts those that lie directly in a folder and are not in the trash.
pub(super) fn add_folder(conn: &Connection, bucket: Seq, folder: &str, months: &mut Months) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "SELECT taken_or_created_at FROM media INDEXED BY media_in_folder_by_taken
         WHERE bucket_seq = ?1 AND trashed = 0 AND folder = ?2 ORDER BY taken_or_created_at",
    )?;
    let mut rows = statement.query(params![bucket, folder])?;
    while let Some(row) = rows.next()? {
        months.add(row.get(0)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_in_their_month() {
        let mut months = Months::default();
        let july = 1_091_312_000_000;
        for taken in [july, july + 1, july + 20_000_000, -1, i64::MAX, july - 40 * 86_400_000, 0, i64::MIN] {
            months.add(taken);
        }
        assert_eq!(months.counts(), [(0, 2), (197_001, 2), (200_406, 1), (200_407, 2), (200_408, 1)]);
        assert_eq!(month(-3_600_000), 196_912);
    }
}
