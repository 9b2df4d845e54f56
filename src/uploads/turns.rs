//! Who writes to an upload right now. One at a time; whoever comes next is turned away, unless the one before has gone
//! silent: then a dead connection must not block the living one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::UploadId;

/// After how long without a byte a sender counts as silent.
const SILENT: Duration = Duration::from_secs(1);

/// How long somebody who was asked to leave may take to put things away.
const LEAVING: Duration = Duration::from_secs(20);

/// The uploads that are written to.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<UploadId, Arc<Seat>>>);

/// What others may know of whoever has the turn.
#[derive(Debug)]
struct Seat {
    /// Asks whoever sits there to leave.
    leave: CancellationToken,
    /// Fires when the seat is free.
    left: CancellationToken,
    progress: Mutex<Progress>,
}

#[derive(Debug, Clone, Copy)]
struct Progress {
    began_bytes: u64,
    arrived_bytes: u64,
    /// Since when the sender is waited for; none while we are busy ourselves.
    waiting_since: Option<Instant>,
}

/// Why somebody wants the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// To add bytes from here on.
    Append { from_bytes: u64 },
    /// To see to it that nobody has it who has gone silent.
    Look,
    /// To remove the upload: whoever has the turn must go.
    Remove,
}

/// The turn; gives it back when it goes.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    id: UploadId,
    seat: Arc<Seat>,
}

impl Turns {
    fn seats(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Seat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody writes to an upload right now.
    pub(super) fn is_taken(&self, id: UploadId) -> bool {
        self.seats().contains_key(&id)
    }

    /// Takes the turn, if it is free or becomes free because whoever has it has gone silent. None when it is taken.
    pub(super) async fn take(self: &Arc<Self>, id: UploadId, wish: Wish) -> Option<Turn> {
        let deadline = Instant::now() + LEAVING;
        loop {
            let taken = {
                let mut seats = self.seats();
                match seats.get(&id) {
                    Some(seat) => Arc::clone(seat),
                    None => {
                        let seat = Arc::new(Seat::new());
                        seats.insert(id, Arc::clone(&seat));
                        return Some(Turn { turns: Arc::clone(self), id, seat });
                    }
                }
            };
            if !taken.must_yield_to(wish) {
                return None;
            }
            taken.leave.cancel();
            tokio::time::timeout_at(deadline, taken.left.cancelled()).await.ok()?;
        }
    }
}

impl Seat {
    fn new() -> Self {
        let progress = Progress { began_bytes: 0, arrived_bytes: 0, waiting_since: None };
        Self {
            leave: CancellationToken::new(),
            left: CancellationToken::new(),
            progress: Mutex::new(progress),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn must_yield_to(&self, wish: Wish) -> bool {
        wish == Wish::Remove || self.leave.is_cancelled() || self.progress().yields_to(wish, Instant::now())
    }
}

impl Progress {
    fn yields_to(self, wish: Wish, now: Instant) -> bool {
        let Self { began_bytes, arrived_bytes, waiting_since } = self;
        let Some(since) = waiting_since else { return false };
        // Who knows how far it came was told so since: it is the same sender, over another connection.
        let knows = matches!(wish, Wish::Append { from_bytes } if from_bytes == arrived_bytes && from_bytes > began_bytes);
        knows || now.duration_since(since) >= SILENT
    }
}

impl Turn {
    /// Fires when somebody else has to have the turn.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.seat.leave
    }

    /// Notes where it begins.
    pub(super) fn began(&self, from_bytes: u64) {
        let mut progress = self.seat.progress();
        progress.began_bytes = from_bytes;
        progress.arrived_bytes = from_bytes;
    }

    /// Notes that the sender is waited for, or that something came.
    pub(super) fn waits(&self, arrived_bytes: u64) {
        let mut progress = self.seat.progress();
        progress.arrived_bytes = arrived_bytes;
        progress.waiting_since = Some(Instant::now());
    }

    /// Notes that it is busy with what came.
    pub(super) fn works(&self) {
        self.seat.progress().waiting_since = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.seats().remove(&self.id);
        self.seat.left.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_sender_keeps_its_turn_and_a_silent_one_loses_it() {
        let now = Instant::now();
        let append = |from_bytes| Wish::Append { from_bytes };
        let waiting = Progress { began_bytes: 0, arrived_bytes: 0, waiting_since: Some(now) };
        assert!(!waiting.yields_to(append(0), now));
        assert!(!waiting.yields_to(Wish::Look, now + SILENT / 2));
        assert!(waiting.yields_to(Wish::Look, now + SILENT));
        assert!(waiting.yields_to(append(0), now + SILENT));
        let busy = Progress { waiting_since: None, ..waiting };
        assert!(!busy.yields_to(append(0), now + SILENT * 10), "it is not the sender who is waited for");
        let further = Progress { arrived_bytes: 100, ..waiting };
        assert!(!further.yields_to(append(50), now));
        assert!(further.yields_to(append(100), now), "who knows how far it came is the same sender");
    }

    #[tokio::test]
    async fn a_turn_is_given_to_one_at_a_time() {
        let turns = Arc::new(Turns::default());
        let id = UploadId::new();
        let append = |from_bytes| Wish::Append { from_bytes };
        let first = turns.take(id, append(0)).await.unwrap();
        first.began(0);
        first.waits(0);
        assert!(turns.take(id, append(0)).await.is_none());
        assert!(turns.take(UploadId::new(), append(0)).await.is_some(), "others are not concerned");
        first.waits(100);
        let leaving = tokio::spawn(async move {
            first.leave().cancelled().await;
            drop(first);
        });
        let second = turns.take(id, append(100)).await.unwrap();
        leaving.await.unwrap();
        drop(second);
        assert!(turns.take(id, append(7)).await.is_some());
    }
}
