//! The way from async code to the disk: bytes are collected in batches, which are worked on off the async threads.

use std::fmt;

use bytes::{Buf, Bytes};
use tokio::task::JoinHandle;

use super::{Result, blocking};

/// Bytes per visit to the blocking pool. One batch fills while the one before it is hashed and written, so an
/// upload holds at most two.
const BATCH_BYTES: usize = 512 * 1024;

/// Somebody who takes bytes, and may block.
pub(super) trait Absorb: Send + 'static {
    /// Takes the next bytes.
    fn absorb(&mut self, batch: &[u8]) -> Result<()>;
}

/// Brings bytes to a sink.
#[derive(Debug)]
pub(super) struct Pipe<S> {
    batch: Vec<u8>,
    state: State<S>,
}

enum State<S> {
    Idle(Box<S>),
    /// The batch before is being absorbed; its buffer comes back for reuse.
    Busy(JoinHandle<(Box<S>, Vec<u8>, Result<()>)>),
    /// Only while it changes hands.
    Nobody,
}

impl<S> fmt::Debug for State<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle(_) => "Idle",
            Self::Busy(_) => "Busy",
            Self::Nobody => "Nobody",
        })
    }
}

impl<S: Absorb> Pipe<S> {
    pub(super) fn new(sink: S) -> Self {
        Self { batch: Vec::new(), state: State::Idle(Box::new(sink)) }
    }

    /// Takes the next bytes, waiting while the sink is behind. An error may be that of an earlier batch; what the pipe
    /// holds then is forgotten.
    pub(super) async fn write(&mut self, mut chunk: Bytes) -> Result<()> {
        while !chunk.is_empty() {
            let part = chunk.len().min(BATCH_BYTES - self.batch.len());
            reserve(&mut self.batch, part);
            self.batch.extend_from_slice(&chunk[..part]);
            chunk.advance(part);
            if self.batch.len() == BATCH_BYTES {
                let (mut sink, spare) = self.idle().await?;
                let mut batch = std::mem::replace(&mut self.batch, spare);
                self.state = State::Busy(tokio::task::spawn_blocking(move || {
                    let absorbed = sink.absorb(&batch);
                    batch.clear();
                    (sink, batch, absorbed)
                }));
            }
        }
        Ok(())
    }

    /// Brings everything to the sink and lets it do something more, off the async threads.
    pub(super) async fn flush<T: Send + 'static>(
        &mut self,
        then: impl FnOnce(&mut S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (mut sink, _) = self.idle().await?;
        let mut batch = std::mem::take(&mut self.batch);
        let (sink, batch, done) = blocking(move || {
            let done = if batch.is_empty() { Ok(()) } else { sink.absorb(&batch) };
            batch.clear();
            let done = done.and_then(|()| then(&mut sink));
            (sink, batch, done)
        })
        .await;
        self.batch = batch;
        self.state = State::Idle(sink);
        done
    }

    /// Forgets what has not come to the sink, then lets it do something.
    pub(super) async fn forget<T: Send + 'static>(
        &mut self,
        then: impl FnOnce(&mut S) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // What the batch on its way comes to does not matter any more.
        if let Ok((sink, _)) = self.idle().await {
            self.state = State::Idle(sink);
        }
        self.batch.clear();
        self.flush(then).await
    }

    /// The sink; everything must have been flushed.
    pub(super) fn into_sink(self) -> S {
        match self.state {
            State::Idle(sink) => *sink,
            State::Busy(_) | State::Nobody => unreachable!("a flushed pipe is idle"),
        }
    }

    /// Waits for the batch before and returns the sink with a buffer to use next. After an error the sink is back in
    /// its place.
    async fn idle(&mut self) -> Result<(Box<S>, Vec<u8>)> {
        // A busy task stays in place while it is awaited, so that dropping this future does not lose it.
        if let State::Busy(task) = &mut self.state {
            let (sink, batch, absorbed) = match task.await {
                Ok(done) => done,
                Err(stopped) => {
                    self.state = State::Nobody;
                    std::panic::resume_unwind(stopped.into_panic())
                }
            };
            if let Err(e) = absorbed {
                self.batch.clear();
                self.state = State::Idle(sink);
                return Err(e);
            }
            self.state = State::Nobody;
            return Ok((sink, batch));
        }
        match std::mem::replace(&mut self.state, State::Nobody) {
            State::Idle(sink) => Ok((sink, Vec::new())),
            State::Busy(_) | State::Nobody => Err(lost()),
        }
    }
}

/// The future that had the sink was dropped in the middle of its work.
fn lost() -> super::Error {
    let source = std::io::Error::other("it was given up before");
    super::Error::Io { action: "go on with", path: "an upload".into(), source }
}

/// Grows a batch by doubling, but never past a full one.
fn reserve(batch: &mut Vec<u8>, part: usize) {
    let needed = batch.len() + part;
    if needed > batch.capacity() {
        let capacity = needed.max(batch.capacity() * 2).min(BATCH_BYTES);
        batch.reserve_exact(capacity - batch.len());
    }
}
