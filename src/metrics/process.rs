//! The process as the system sees it, under the names that all exporters use for that. Linux tells it in `/proc`.

use std::fs;

use super::{Kind, Page};
use crate::clock::Timestamp;

/// Writes down memory, processor time, files and when the process started.
pub fn show_process(page: &mut Page, started_at: Timestamp) {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of our age fit")]
    let started_s = started_at.as_millis() as f64 / 1000.0;
    page.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", started_s);
    let Some(stat) = read_stat() else { return };
    page.counter("process_cpu_seconds_total", "Processor time, of the user and of the system.", stat.cpu_s);
    page.gauge("process_resident_memory_bytes", "Memory that the process occupies.", stat.resident_bytes);
    page.gauge(
        "process_virtual_memory_bytes",
        "Addresses that the process has reserved.",
        stat.virtual_bytes,
    );
    let mut family = page.family("process_open_fds", Kind::Gauge, "Open files and connections.");
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The folder that is being read is one of them.
        family.sample(&[], files.count().saturating_sub(1));
    }
    let mut family = page.family("process_max_fds", Kind::Gauge, "How many of them there may be.");
    if let Some(most) = max_files() {
        family.sample(&[], most);
    }
}

struct Stat {
    cpu_s: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
}

fn read_stat() -> Option<Stat> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may hold anything (proc_pid_stat(5)); the third follows it.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    #[expect(clippy::cast_precision_loss, reason = "ticks are hundredths of seconds")]
    let cpu_s = (number(14)? + number(15)?) as f64 / ticks_per_second();
    Some(Stat { cpu_s, virtual_bytes: number(23)?, resident_bytes: number(24)? * page_bytes() })
}

#[cfg(unix)]
#[expect(clippy::cast_precision_loss, reason = "it is 100")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(unix))]
fn ticks_per_second() -> f64 {
    100.0
}

#[cfg(unix)]
fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(not(unix))]
fn page_bytes() -> u64 {
    4096
}

/// The soft limit, as text in a table whose columns are parted by several spaces.
fn max_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_sees_itself() {
        let mut page = Page::new();
        show_process(&mut page, Timestamp::from_millis(1_795_000_000_123));
        let text = page.finish();
        assert!(text.contains("process_start_time_seconds 1795000000.123\n"), "{text}");
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 1e6);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_max_fds ") >= 3.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
    }
}
