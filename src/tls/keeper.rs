//! Keeps each certificate good: gets it, renews it in time, tries again after a failure, each time later.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::acme::{Authority, Failure, Kind, Wish};
use super::certificate::Certificate;
use super::files::Attempts;
use super::transport::PAUSE_MAX;
use super::{Inner, Pace, Slot, read_files};
use crate::clock::Timestamp;
use crate::config::CertificateFiles;

/// How often an authority is asked for its wish that did not say how often, or has none.
const WISH_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);

/// The pause while another process gets the certificate.
const LOCK_PAUSE: Duration = Duration::from_secs(2);

/// The authority's wish, and the moment within it that was drawn.
#[derive(Debug, Default)]
struct Plan {
    wish: Option<Wish>,
    at: Option<Timestamp>,
    ask_again_at: Option<Timestamp>,
}

/// Keeps the certificate of one slot until the task is dropped.
pub(super) async fn keep(inner: Arc<Inner>, slot: usize) {
    // Who has started the program again has mended something, and should soon see whether it helped.
    let soon = inner.clock.now() + inner.pace.first_pause;
    inner.note(slot, |attempts| attempts.next_at = attempts.next_at.map(|next| next.min(soon)));
    loop {
        // A wish is for one certificate.
        let mut plan = Plan::default();
        wait_until_due(&inner, slot, &mut plan).await;
        inner.slots[slot].is_trying.store(true, Ordering::Relaxed);
        attempt(&inner, slot).await;
        inner.slots[slot].is_trying.store(false, Ordering::Relaxed);
    }
}

/// Waits until a certificate is wanted: now when there is none, before it ends, after the pause that a failure makes.
async fn wait_until_due(inner: &Inner, slot: usize, plan: &mut Plan) {
    loop {
        let now = inner.clock.now();
        inner.note(slot, |attempts| doubt(attempts, now, &inner.pace));
        let held = inner.held(slot);
        let attempts = inner.attempts(slot);
        if let (Some(held), 0) = (&held, attempts.failed) {
            consult(inner, slot, held, plan, now).await;
        }
        let due = match (&held, attempts.failed, attempts.next_at) {
            (_, 1.., Some(next)) => next,
            (Some(held), ..) => {
                let life = held.not_after.since(held.not_before);
                let usual = held.not_before + life / 3 * 2;
                let due = plan.at.map_or(usual, |wished| wished.min(held.not_after));
                // Whatever the authority wishes, it gets no more than that.
                let pause = inner.pace.between.min(life / 3);
                attempts.last_at.map_or(due, |last| due.max(last + pause))
            }
            (None, ..) => now,
        };
        // Who asked to be left alone is left alone, also after a restart.
        let due = attempts.not_before.map_or(due, |until| due.max(until));
        inner.note(slot, |attempts| attempts.next_at = Some(due));
        if due <= now {
            return;
        }
        let mut nap = due.since(now).min(inner.pace.nap);
        if let (Some(again), true) = (plan.ask_again_at, held.is_some()) {
            nap = nap.min(again.since(now).max(Duration::from_secs(1)));
        }
        tokio::select! {
            () = tokio::time::sleep(nap) => {}
            () = inner.slots[slot].wake.notified() => return,
        }
    }
}

/// Forgets moments that a clock which was wrong has left behind: they lie further ahead than any that is ever set.
fn doubt(attempts: &mut Attempts, now: Timestamp, pace: &Pace) {
    if attempts.failed > 0 {
        attempts.next_at =
            attempts.next_at.map(|at| if at > now + 2 * pace.longest_pause { now } else { at });
    }
    attempts.last_at = attempts.last_at.map(|at| at.min(now));
    attempts.not_before = attempts.not_before.filter(|at| *at <= now + PAUSE_MAX);
}

/// Asks the authority when it would like the certificate to be renewed, when that was asked long ago.
async fn consult(inner: &Inner, slot: usize, held: &Certificate, plan: &mut Plan, now: Timestamp) {
    if plan.ask_again_at.is_some_and(|at| now < at) {
        return;
    }
    let directory_url =
        inner.attempts(slot).authority.unwrap_or_else(|| inner.settings.acme.directory_url.clone());
    let wish = Authority::new(inner, &directory_url).wish(&held.leaf).await;
    if wish.map(|wish| (wish.start, wish.end)) != plan.wish.map(|wish| (wish.start, wish.end)) {
        // Anywhere in the window, so that not everybody comes at once.
        plan.at = wish.map(|wish| wish.start + wish.end.since(wish.start).mul_f64(chance()));
    }
    let again_in =
        wish.map_or(WISH_INTERVAL, |wish| wish.again_in.clamp(Duration::from_secs(60), 4 * WISH_INTERVAL));
    plan.wish = wish;
    plan.ask_again_at = Some(now + again_in);
}

/// Tries once, with each authority, and notes what came of it.
async fn attempt(inner: &Inner, slot: usize) {
    let names = &inner.slots[slot].names;
    let key = &names[0];
    let _lock = loop {
        match inner.files.lock(key) {
            Ok(Some(lock)) => break Some(lock),
            Ok(None) => tokio::time::sleep(LOCK_PAUSE).await,
            // It is only a courtesy to others.
            Err(e) => {
                tracing::warn!(error = %e, "certificates can't be locked");
                break None;
            }
        }
        if pick_up(inner, slot) {
            return;
        }
    };
    // It may have come meanwhile, or have been taken for one that has ended while the clock was wrong.
    if pick_up(inner, slot) {
        return;
    }
    let now = inner.clock.now();
    inner.note(slot, |attempts| attempts.last_at = Some(now));
    let turn = inner.attempts(slot).failed;
    let acme = &inner.settings.acme;
    let mut failures: Vec<Failure> = Vec::new();
    for directory_url in
        [Some(&acme.directory_url), acme.fallback_directory_url.as_ref()].into_iter().flatten()
    {
        match ask(inner, slot, directory_url, turn).await {
            Ok(()) => return,
            Err(failure) => failures.push(failure),
        }
    }
    let failed = turn + 1;
    let cause = failures.iter().map(|failure| failure.cause.as_str()).collect::<Vec<_>>().join("; ");
    // Who asked to be left alone is, also when the other one has failed for another reason.
    let until = failures.iter().filter_map(|failure| failure.until).min();
    let now = inner.clock.now();
    let pause = inner.pace.first_pause * 2_u32.saturating_pow((failed - 1).min(16));
    let pause = pause.min(inner.pace.longest_pause).mul_f64(0.8 + 0.4 * chance());
    let next = until.map_or(now + pause, |until| until.max(now + pause));
    tracing::warn!(tls.names = names.join(" "), error = cause, next_attempt_at = %next, "no certificate was obtained");
    inner.note(slot, |attempts| {
        attempts.failed = failed;
        attempts.cause = Some(cause);
        attempts.next_at = Some(next);
        attempts.not_before = until;
    });
    inner.remember(slot);
}

/// Takes over what is stored, where it is better than what is served.
fn pick_up(inner: &Inner, slot: usize) -> bool {
    let Slot { names, .. } = &inner.slots[slot];
    let Ok(Some(stored)) = inner.files.load(&names[0]) else { return false };
    let held = inner.held(slot);
    let newer = held.is_none_or(|held| held.not_after < stored.not_after);
    let usable = newer && stored.covers(names) && stored.is_valid_at(inner.clock.now());
    if usable {
        inner.resolver.install(slot, Arc::new(stored));
        inner.note(slot, |attempts| (attempts.failed, attempts.cause) = (0, None));
    }
    usable
}

/// Gets a certificate from one authority, stores and serves it. What can be repaired at once is.
async fn ask(inner: &Inner, slot: usize, directory_url: &str, turn: u32) -> Result<(), Failure> {
    let names = &inner.slots[slot].names;
    let held = inner.held(slot);
    let issued_here = inner.attempts(slot).authority.as_deref() == Some(directory_url);
    let mut replaced = held.as_deref().filter(|_| issued_here);
    let mut made_account = false;
    let issued = loop {
        let failure = match Authority::new(inner, directory_url).issue(names, turn, replaced).await {
            Ok(issued) => break issued,
            Err(failure) => failure,
        };
        match failure.kind {
            Kind::ReplacesRefused if replaced.is_some() => replaced = None,
            Kind::AccountGone if !made_account => {
                tracing::warn!("the certificate authority has forgotten the account; a new one is made");
                inner.files.forget_account(directory_url);
                made_account = true;
            }
            _ => return Err(failure),
        }
    };
    let ours = |e: super::Error| Failure { cause: e.to_string(), kind: Kind::Other, until: None };
    let certificate = Certificate::from_pem(issued.chain.as_bytes(), issued.key.as_bytes()).map_err(ours)?;
    if !certificate.covers(names) {
        let cause = "the authority has issued a certificate that lacks some of the names".to_owned();
        return Err(Failure { cause, kind: Kind::Other, until: None });
    }
    if let Err(e) = inner.files.save(&names[0], &issued.key, &issued.chain) {
        // It is good all the same, until the next start.
        tracing::error!(error = %e, "a certificate could not be stored");
    }
    tracing::info!(tls.names = names.join(" "), tls.not_after = %certificate.not_after, "a certificate was obtained");
    inner.note(slot, |attempts| {
        *attempts = Attempts {
            last_at: attempts.last_at,
            authority: Some(directory_url.to_owned()),
            ..Default::default()
        };
    });
    // Before anybody sees the certificate: who starts after that should know where it is from.
    inner.remember(slot);
    inner.resolver.install(slot, Arc::new(certificate));
    Ok(())
}

/// Watches an admin's own files and serves what is in them.
pub(super) async fn watch(inner: Arc<Inner>, slot: usize, files: CertificateFiles) {
    let stamp = || (stamp(&files.certificate), stamp(&files.key));
    // They may have changed since they were read first, so the first look reads them again.
    let mut seen = None;
    loop {
        let forced = tokio::select! {
            () = tokio::time::sleep(inner.pace.look) => false,
            () = inner.slots[slot].wake.notified() => true,
        };
        let now = stamp();
        if seen == Some(now) && !forced {
            continue;
        }
        let read = tokio::task::spawn_blocking({
            let files = files.clone();
            move || read_files(&files)
        });
        match read.await {
            Ok(Ok(certificate)) => {
                if seen.is_some() {
                    tracing::info!(tls.not_after = %certificate.not_after, "serving the certificate of the changed files");
                }
                inner.resolver.install(slot, Arc::new(certificate));
                inner.note(slot, |attempts| (attempts.failed, attempts.cause) = (0, None));
                seen = Some(now);
            }
            // The other file may come in a moment: what is half changed is looked at again when it changes further.
            Ok(Err(e)) => {
                tracing::warn!(error = %e, "the changed certificate can't be used; the one before stays");
                inner.note(slot, |attempts| {
                    attempts.failed += 1;
                    attempts.cause = Some(e.to_string());
                });
                seen = Some(now);
            }
            Err(_) => {}
        }
    }
}

fn stamp(path: &std::path::Path) -> Option<(u64, i64, i64, u64)> {
    let of = |meta: Metadata| (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size());
    std::fs::metadata(path).ok().map(of)
}

/// A number from 0 to 1.
fn chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_from_a_clock_that_was_wrong_are_forgotten_and_others_are_not() {
        let (pace, now) = (Pace::default(), Timestamp::from_millis(1_795_000_000_000));
        let day = Duration::from_secs(24 * 60 * 60);
        let set = |ahead: Duration| Attempts {
            failed: 1,
            next_at: Some(now + ahead),
            last_at: Some(now + ahead),
            not_before: Some(now + ahead),
            ..Attempts::default()
        };
        let mut wrong = set(365 * day);
        doubt(&mut wrong, now, &pace);
        assert_eq!((wrong.next_at, wrong.last_at, wrong.not_before), (Some(now), Some(now), None));
        let mut right = set(pace.longest_pause);
        doubt(&mut right, now, &pace);
        assert_eq!((right.next_at, right.not_before), (Some(now + pace.longest_pause), right.next_at));
        // A renewal in two months is no mistake.
        let mut renewal = Attempts { failed: 0, ..set(60 * day) };
        doubt(&mut renewal, now, &pace);
        assert_eq!(renewal.next_at, Some(now + 60 * day));
    }
}
