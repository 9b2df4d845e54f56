//! The computer itself: kernel, memory, limits, clock and time zone.

use std::fs;
use std::time::Duration;

use super::{Outcome, Patient, blocking, chain, in_bytes, in_words};
use crate::audit;
use crate::clock::Timestamp;
use crate::imaging::Budget;
use crate::outbound::Method;

/// No clock that is right shows an earlier time than when this version was written: 2026-11-01.
const WRITTEN_AT: Timestamp = Timestamp::from_millis(1_793_491_200_000);

/// How far the clock may be from that of another machine.
const DRIFT: Duration = Duration::from_secs(60);

/// How far before the newest row it may be: other processes write, and clocks are corrected.
const BACK: Duration = Duration::from_secs(120);

/// Memory below which a server is about to be killed.
const MEMORY_LOW_BYTES: u64 = 128 << 20;

/// Open files that are needed beside connections: the database, blobs, engines, the log.
const FILES_BESIDE: u64 = 256;

pub(super) async fn system() -> Outcome {
    blocking(|| {
        let kernel = rustix::system::uname();
        let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Outcome::ok(format!(
            "Safelight {} on {} {} ({}), {cores} cores",
            env!("CARGO_PKG_VERSION"),
            part(kernel.sysname()),
            part(kernel.release()),
            part(kernel.machine()),
        ))
    })
    .await
}

pub(super) async fn memory(patient: &Patient) -> Outcome {
    let max_pixels = patient.config.limits.max_pixels;
    blocking(move || {
        let Some(free) = free_memory() else {
            return Outcome::skipped("the system does not say how much memory there is");
        };
        let budget = Budget::of_this_machine().total_bytes();
        let (free_text, budget_text) = (in_bytes(free), in_bytes(budget));
        if free < MEMORY_LOW_BYTES {
            return Outcome::failed(
                format!("only {free_text} of memory are free"),
                "Stop other programs or add memory: the system may end the server at any time.",
            );
        }
        // Eight bits in three channels is the least that a decoded picture takes.
        if max_pixels.saturating_mul(3) > budget {
            return Outcome::warning(
                format!(
                    "pictures share {budget_text} of memory, which is less than one of limits.max_pixels ({} megapixels) takes",
                    max_pixels / 1_000_000
                ),
                "Larger pictures are kept as files without a preview; lower limits.max_pixels or add memory.",
            );
        }
        if free < budget / 2 {
            return Outcome::warning(
                format!("{free_text} are free, and pictures may take up to {budget_text}"),
                "Stop other programs, add memory, or limit the service's memory: half of that is then what pictures take.",
            );
        }
        Outcome::ok(format!("{free_text} are free; pictures share {budget_text}"))
    })
    .await
}

/// What this machine, or the container of this process, has left.
fn free_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.saturating_mul(1024);
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let container = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map_or(u64::MAX, |(max, current)| max.saturating_sub(current));
    Some(machine.min(container))
}

pub(super) async fn open_files(patient: &Patient) -> Outcome {
    let wanted = patient.config.limits.connections.max as u64 + FILES_BESIDE;
    let server = patient.server();
    blocking(move || {
        let process = server.filter(|id| *id > 0).map_or("self".to_owned(), |id| id.to_string());
        let of_server = fs::read_to_string(format!("/proc/{process}/limits"));
        let Some(limit) = of_server.ok().as_deref().and_then(soft_limit) else {
            return Outcome::skipped("the system does not say what the limit is");
        };
        if server.is_none() {
            return Outcome::skipped(format!(
                "no server runs whose limit could be seen; this terminal's is {limit}, {wanted} are wanted"
            ));
        }
        if limit < wanted {
            return Outcome::warning(
                format!("the server may open {limit} files, but limits.connections.max needs {wanted}"),
                "Set LimitNOFILE= in the unit (or `ulimit -n`), or lower limits.connections.max.",
            );
        }
        Outcome::ok(format!("the server may open {limit} files; {wanted} are enough"))
    })
    .await
}

/// The soft limit of open files in a `limits` file of the kernel.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

pub(super) async fn time_zone() -> Outcome {
    blocking(|| {
        let zone = jiff::tz::TimeZone::system();
        let name = zone.iana_name().unwrap_or("UTC").to_owned();
        Outcome::ok(format!(
            "{name}; everything is stored and logged in UTC, and shown in the time zone of whoever looks"
        ))
    })
    .await
}

pub(super) async fn clock(patient: &Patient) -> Outcome {
    let now = patient.clock.now();
    if now < WRITTEN_AT {
        return wrong(format!("the clock says {now}, which is before this version was written"));
    }
    if let Ok(app) = &patient.app {
        let newest = app.db.read(|conn| audit::list(conn, &audit::Filter::default(), None, 1)).await;
        let newest = newest.ok().and_then(|entries| entries.first().map(|entry| entry.at));
        if let Some(newest) = newest.filter(|newest| newest.since(now) > BACK) {
            let ahead = in_words(newest.since(now));
            return wrong(format!(
                "the newest entry of the audit is {ahead} in the future ({newest}); it is {now} now"
            ));
        }
    }
    match other_clock(patient).await {
        None => Outcome::ok(format!("{now}; no other machine is set up that it could be compared with")),
        Some((host, Err(e))) => {
            Outcome::ok(format!("{now}, which fits what is stored; {host} could not be asked ({e})"))
        }
        Some((host, Ok(there))) => {
            let apart = now.since(there).max(there.since(now));
            if apart > DRIFT {
                return wrong(format!(
                    "it is {} apart from that of {host} ({there}); it is {now} here",
                    in_words(apart)
                ));
            }
            Outcome::ok(format!("{now}, as at {host}"))
        }
    }
}

fn wrong(seen: String) -> Outcome {
    Outcome::failed(
        seen,
        "Let the system set it: `timedatectl set-ntp true`. Certificates, signed addresses and second factors need the right time.",
    )
}

/// The time at a machine that is asked anyway; none where nothing that leaves this one is set up.
async fn other_clock(patient: &Patient) -> Option<(String, Result<Timestamp, String>)> {
    let url = super::services::hosts(&patient.config).into_iter().find_map(|host| host.asked)?;
    if patient.outbound.is_offline() {
        return None;
    }
    let asked = async {
        let call = patient.outbound.call(Method::GET, &url).map_err(|e| chain(&e))?;
        let answer = call.within(super::DEADLINE).send().await.map_err(|e| chain(&e))?;
        answer.header("date").and_then(http_date).ok_or_else(|| "it does not say what time it is".to_owned())
    };
    let host = crate::outbound::Url::parse(&url).ok()?.host_str()?.to_owned();
    Some((host, asked.await))
}

/// Reads the date of an answer (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(parsed.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_answers_are_read() {
        let at = http_date("Wed, 18 Nov 2026 11:06:40 GMT").unwrap();
        assert_eq!(at.to_string(), "2026-11-18T11:06:40.000Z");
        for bad in ["", "yesterday", "Wed, 18 Nov 2026", "\u{0}"] {
            assert_eq!(http_date(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit("Max open files   unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(soft_limit("Max processes 1 2"), None);
    }
}
