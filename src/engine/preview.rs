//! What previews need to be quick: the pictures that somebody is looking at right now, decoded, and with each of them
//! what was measured on it. Knows nothing of who asks and why.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::builtin::{self, Asked, Measured};
use super::{Context, Error, JpegTables, Mask};
use crate::imaging::{Image, Orientation, Permit};

/// Pictures that are kept, and bytes of them.
const SUBJECTS_MAX: usize = 2;
const BYTES_MAX: u64 = 256 << 20;

/// How long they are kept after the last look.
const IDLE: Duration = Duration::from_secs(60);

/// Previews that are computed at once; each of them uses all cores.
const AT_ONCE: usize = 2;

/// A decoded picture that is being looked at, with what was found out about it.
#[derive(Debug)]
pub struct Subject {
    /// The pixels as stored.
    pub image: Image,
    /// Tables of the JPEG file that it came from.
    pub jpeg: Option<JpegTables>,
    /// How it is turned to be displayed.
    pub orientation: Orientation,
    /// Its colour profile.
    pub icc: Option<Vec<u8>>,
    notes: builtin::Notes,
    mask: Mutex<Option<([u8; 32], Arc<Mask>)>>,
    permit: Permit,
}

impl Subject {
    /// Wraps a picture; the permit covers [`Subject::bytes`].
    pub fn new(
        image: Image,
        jpeg: Option<JpegTables>,
        orientation: Orientation,
        icc: Option<Vec<u8>>,
        permit: Permit,
    ) -> Self {
        let (notes, mask) = (builtin::Notes::default(), Mutex::new(None));
        Self { image, jpeg, orientation, icc, notes, mask, permit }
    }

    /// Bytes that a picture of so many bytes and pixels takes while it is kept: itself, masks, and parts under way.
    pub fn bytes(image_bytes: u64, pixels: u64) -> u64 {
        image_bytes + 3 * pixels + builtin::stages_bytes(image_bytes)
    }

    /// The last mask, if it is this one.
    pub fn find_mask(&self, key: &[u8; 32]) -> Option<Arc<Mask>> {
        let kept = self.mask.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(kept, _)| kept == key).map(|(_, mask)| Arc::clone(mask))
    }

    /// Keeps a mask in the place of the last one.
    pub fn keep_mask(&self, key: [u8; 32], mask: Arc<Mask>) {
        *self.mask.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, mask));
    }

    /// Whether a part can be restored without measuring the whole first.
    pub fn is_measured(&self, asked: &Asked<'_>) -> bool {
        builtin::is_measured(&self.notes, asked)
    }

    /// Restores a part of it, as [`builtin::restore_part`] says. Blocks.
    ///
    /// # Errors
    /// As there.
    pub fn restore_part(&self, asked: &Asked<'_>, context: &Context) -> Result<(Image, Measured), Error> {
        builtin::restore_part(&self.image, self.jpeg.as_ref(), &self.notes, asked, context)
    }
}

/// The pictures that are looked at, and who is waiting for which preview. Clones are the same.
#[derive(Clone)]
pub struct Previews(Arc<Inner>);

struct Inner {
    /// By their names, what was used last at the end.
    kept: Mutex<Vec<(String, Arc<Subject>)>>,
    forgetting: Mutex<Option<AbortHandle>>,
    turns: Mutex<Turns>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Turns {
    next: u64,
    running: HashMap<String, (u64, CancellationToken)>,
}

/// Somebody's turn; whoever asks for the next preview of the same thing ends it. Dropping it ends it too.
#[derive(Debug)]
pub struct Turn {
    previews: Previews,
    key: String,
    number: u64,
    cancel: CancellationToken,
}

impl Previews {
    /// Keeps nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            kept: Mutex::default(),
            forgetting: Mutex::default(),
            turns: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }))
    }

    /// Finds a picture that is kept.
    pub fn find(&self, name: &str) -> Option<Arc<Subject>> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(kept, _)| kept == name)?;
        let found = kept.remove(at);
        let subject = Arc::clone(&found.1);
        kept.push(found);
        Some(subject)
    }

    /// Keeps a picture for a minute after its last use, unless it is too large for that. What was used longest ago
    /// makes room.
    pub fn keep(&self, name: &str, subject: &Arc<Subject>) {
        let mut kept = self.kept();
        kept.retain(|(kept, _)| kept != name);
        if subject.permit.bytes() <= BYTES_MAX {
            kept.push((name.to_owned(), Arc::clone(subject)));
        }
        let bytes = |kept: &[(String, Arc<Subject>)]| kept.iter().map(|(_, s)| s.permit.bytes()).sum::<u64>();
        while kept.len() > SUBJECTS_MAX || bytes(&kept) > BYTES_MAX {
            kept.remove(0);
        }
        drop(kept);
        self.forget_later();
    }

    /// Lets go of everything; others wait for the memory.
    pub fn clear(&self) {
        self.kept().clear();
    }

    /// Waits for one of the few places.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.places).acquire_owned().await.ok()
    }

    /// Begins somebody's turn at something, and ends the one before.
    pub fn begin(&self, key: String) -> Turn {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.next += 1;
        let (number, cancel) = (turns.next, CancellationToken::new());
        if let Some((_, before)) = turns.running.insert(key.clone(), (number, cancel.clone())) {
            before.cancel();
        }
        Turn { previews: self.clone(), key, number, cancel }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(String, Arc<Subject>)>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_later(&self) {
        let inner = Arc::downgrade(&self.0);
        let task = tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            if let Some(inner) = inner.upgrade() {
                Self(inner).clear();
            }
        });
        let mut forgetting = self.0.forgetting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = forgetting.replace(task.abort_handle()) {
            before.abort();
        }
    }
}

impl Default for Previews {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Previews {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Previews")
    }
}

impl Turn {
    /// Fires when the turn is over.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.cancel.cancel();
        let mut turns = self.previews.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.running.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            turns.running.remove(&self.key);
        }
    }
}
