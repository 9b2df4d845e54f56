//! How much a picture may cost: a limit per picture, and one budget of memory for all pictures of the process.

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Error;

/// What one picture may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pixels as stored, width times height.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_pixels: 200_000_000 }
    }
}

impl Limits {
    /// Checks a size that a header claims.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it has more pixels than allowed.
    pub fn check(&self, width: u32, height: u32) -> Result<(), Error> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(Error::TooLarge { width, height, max_pixels: self.max_pixels });
        }
        Ok(())
    }
}

/// The memory that all pictures of this process share. Whoever is going to hold pixels takes the bytes first and
/// waits, first come first served, while others hold them. Clones are the same budget.
///
/// Work that needs several buffers takes the sum in one go: two workers that each hold a part and wait for a second
/// one would wait for ever.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    total_units: u32,
}

/// Bytes taken from a [`Budget`]; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    held: OwnedSemaphorePermit,
    bytes: u64,
}

impl Permit {
    /// Bytes that it stands for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps this many bytes, and hands the rest on as a permit of its own; nothing if there is none.
    pub fn split(&mut self, kept_bytes: u64) -> Option<Self> {
        let (all, kept) = (self.bytes.div_ceil(UNIT_BYTES), kept_bytes.div_ceil(UNIT_BYTES));
        let rest = usize::try_from(all.checked_sub(kept)?).ok().filter(|rest| *rest > 0)?;
        let held = self.held.split(rest)?;
        let bytes = self.bytes - kept_bytes;
        self.bytes = kept_bytes;
        Some(Self { held, bytes })
    }
}

/// A semaphore counts to 2^32 at once; in steps of 4 KiB that is more memory than any machine has.
const UNIT_BYTES: u64 = 4096;

impl Budget {
    /// Makes a budget of that many bytes, at least one step of 4 KiB.
    pub fn new(bytes: u64) -> Self {
        let total_units = u32::try_from((bytes / UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
        Self { units: Arc::new(Semaphore::new(total_units as usize)), total_units }
    }

    /// Makes a budget of half the memory that this machine or its container has, at least 256 MiB.
    pub fn of_this_machine() -> Self {
        let machine = fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| {
                let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
                line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
            })
            .map_or(u64::MAX, |kibibytes| kibibytes.saturating_mul(1024));
        let container = fs::read_to_string("/sys/fs/cgroup/memory.max")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
            .unwrap_or(u64::MAX);
        let memory = machine.min(container);
        let memory = if memory == u64::MAX { 1 << 30 } else { memory };
        Self::new((memory / 2).max(256 << 20))
    }

    /// Bytes in all, free or not.
    pub fn total_bytes(&self) -> u64 {
        u64::from(self.total_units) * UNIT_BYTES
    }

    /// Bytes that nobody holds at the moment.
    pub fn free_bytes(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT_BYTES
    }

    /// Waits until `bytes` are free and takes them.
    ///
    /// # Errors
    /// [`Error::Budget`] when the whole budget is smaller.
    pub async fn acquire(&self, bytes: u64) -> Result<Permit, Error> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let too_much = Error::Budget { needed_bytes: bytes, budget_bytes: self.total_bytes() };
        if units > self.total_units {
            return Err(too_much);
        }
        // The semaphore is never closed, so that waiting can only end with the permit.
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await.map_err(|_| too_much)?;
        Ok(Permit { held: permit, bytes })
    }

    /// Does the same on a thread that may block, which async threads may not.
    ///
    /// # Errors
    /// [`Error::Budget`] when the whole budget is smaller.
    pub fn acquire_blocking(&self, bytes: u64) -> Result<Permit, Error> {
        block_on(self.acquire(bytes))
    }
}

/// Waits for a future on this thread; enough for a semaphore, which needs neither timers nor sockets.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn more_than_the_whole_budget_is_refused_and_not_waited_for() {
        let budget = Budget::new(1 << 20);
        let error = budget.acquire_blocking((1 << 20) + 1).expect_err("too much");
        assert!(matches!(error, Error::Budget { budget_bytes: 1_048_576, .. }), "{error}");
    }

    #[test]
    fn the_second_waits_until_the_first_gives_back() {
        let budget = Budget::new(1 << 20);
        let first = budget.acquire_blocking(900 << 10).expect("it is free");
        assert_eq!(budget.free_bytes(), 124 << 10);
        let (sender, receiver) = mpsc::channel();
        let second = thread::spawn({
            let budget = budget.clone();
            move || {
                let permit = budget.acquire_blocking(500 << 10).expect("it fits");
                sender.send(()).expect("the test listens");
                permit.bytes()
            }
        });
        assert!(receiver.try_recv().is_err());
        drop(first);
        assert_eq!(second.join().expect("no panic"), 500 << 10);
        receiver.recv().expect("it was sent");
        assert_eq!(budget.free_bytes(), 1 << 20);
    }

    #[test]
    fn a_machine_has_a_budget() {
        assert!(Budget::of_this_machine().total_bytes() >= 256 << 20);
    }
}
