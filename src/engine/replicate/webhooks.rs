//! Replicate saying that a prediction has ended: checked, counted once, and no more than a knock at the door.
//!
//! Whoever waits for the prediction is woken and asks for it as always, so that nothing in such a call has to be
//! believed. Someone may wait in another process; then nobody is woken, and asking now and then finds the end as well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::sync::Notify;

use crate::engine::remote::{Bell, Heard, Result, WebhookCall, WebhookError, WebhookSecret};

/// How long a secret is believed before a call that it does not fit has it asked for again.
const SECRET_FRESH: Duration = Duration::from_secs(300);

/// How long is not asked again for a secret that could not be had: strangers can knock, too.
const SECRET_PAUSE: Duration = Duration::from_secs(30);

/// How long calls are remembered: twice as long as one stays fresh.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How many are remembered at most.
const REMEMBERED_MAX: usize = 10_000;

/// What is expected and what was heard.
#[derive(Default)]
pub(super) struct Webhooks(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    waiting: HashMap<String, (usize, Arc<Notify>)>,
    heard: HashMap<String, Instant>,
    secret: Option<(Instant, WebhookSecret)>,
    failed_at: Option<Instant>,
}

/// What of a prediction is looked at.
#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Webhooks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hangs up a bell for a prediction.
    pub(super) fn bell(&self, id: &str) -> Bell {
        let rung = {
            let mut inner = self.lock();
            let (count, rung) = inner.waiting.entry(id.to_owned()).or_default();
            *count += 1;
            Arc::clone(rung)
        };
        let (shared, id) = (Arc::clone(&self.0), id.to_owned());
        let unhook = Box::new(move || {
            let mut inner = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((count, _)) = inner.waiting.get_mut(&id) {
                *count -= 1;
                if *count == 0 {
                    inner.waiting.remove(&id);
                }
            }
        });
        Bell { rung, unhook }
    }

    /// Hears a call; `asking` gets the secret, as Replicate writes it, and is only awaited where it is needed.
    pub(super) async fn hear(
        &self,
        call: WebhookCall<'_>,
        asking: impl Future<Output = Result<String>>,
    ) -> Result<Heard, WebhookError> {
        let signed =
            call.is_fresh() && !call.id.is_empty() && call.id.len() <= 200 && !call.signature.is_empty();
        if !signed {
            return Err(WebhookError::Refused);
        }
        let known = self.lock().secret.clone();
        let fits = known.as_ref().is_some_and(|(_, secret)| secret.signs(&call));
        if !fits {
            if known.is_some_and(|(when, _)| when.elapsed() < SECRET_FRESH) {
                return Err(WebhookError::Refused);
            }
            if !self.ask_secret(asking).await?.signs(&call) {
                return Err(WebhookError::Refused);
            }
        }
        let named = serde_json::from_slice::<Named>(call.body).ok();
        let mut inner = self.lock();
        if inner.heard.len() >= REMEMBERED_MAX {
            inner.heard.retain(|_, when| when.elapsed() < REMEMBERED);
        }
        if inner.heard.len() >= REMEMBERED_MAX {
            inner.heard.clear();
        }
        let before = inner.heard.insert(call.id.to_owned(), Instant::now());
        if before.is_some_and(|when| when.elapsed() < REMEMBERED) {
            return Ok(Heard::Again);
        }
        match named.and_then(|named| inner.waiting.get(&named.id)) {
            Some((_, rung)) => {
                rung.notify_one();
                Ok(Heard::Woken)
            }
            None => Ok(Heard::Nobody),
        }
    }

    async fn ask_secret(
        &self,
        asking: impl Future<Output = Result<String>>,
    ) -> Result<WebhookSecret, WebhookError> {
        {
            let mut inner = self.lock();
            if inner.failed_at.is_some_and(|when| when.elapsed() < SECRET_PAUSE) {
                return Err(WebhookError::NoSecret);
            }
            // Until it is here nobody else asks.
            inner.failed_at = Some(Instant::now());
        }
        let secret = asking.await.ok().and_then(|text| WebhookSecret::parse(&text));
        let secret = secret.ok_or(WebhookError::NoSecret)?;
        let mut inner = self.lock();
        inner.failed_at = None;
        inner.secret = Some((Instant::now(), secret.clone()));
        Ok(secret)
    }
}
