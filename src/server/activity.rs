//! What happens on one connection, and how long each silence on it is borne.
//!
//! A connection waits for its first request, for the rest of a head, for the next request, or for the other side to take
//! what it asked for. The reading and writing is watched here, beside the encryption and below HTTP, so that no state of
//! the protocol above can be forgotten; the body of a request has its own rule, since only its reader knows whether
//! anybody waits for it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::api::BodyTooSlow;
use crate::metrics;

/// What a slow body has to bring in each [`Patience::body`].
const BODY_BYTES_MIN: usize = 1024;

/// How long a body that has been flowing may pause in each kilobyte: who changes networks comes back.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// Writes from this length on bring somebody forward; shorter ones only keep HTTP/2 alive.
const PROGRESS_BYTES: usize = 256;

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the whole head of a request; for the first one from the connection's beginning, with encryption and all.
    pub header: Duration,
    /// For the next request, and for somebody who does not take an answer.
    pub idle: Duration,
    /// For the first kilobyte of a request's body, and for each later one that comes in drops.
    pub body: Duration,
}

/// Why a connection should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nobody asks anything.
    Idle,
    /// Somebody sends or takes too slowly.
    Slow,
}

/// The state of one connection, which its reader, its requests and its watcher share.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    changed: Notify,
    /// Fires with the first request.
    pub(super) asked: CancellationToken,
}

#[derive(Debug)]
struct State {
    opened: Instant,
    http2: bool,
    asked: bool,
    /// Requests whose answers are not all sent.
    open_requests: usize,
    /// When the head that is being read began.
    head_since: Option<Instant>,
    /// Of these, those with more to send, for which the other side has not asked yet.
    untaken: usize,
    /// When something of an answer last moved.
    moved_at: Instant,
    idle_since: Instant,
    /// Since when the other side takes nothing.
    blocked_since: Option<Instant>,
}

impl Activity {
    pub(super) fn new(opened: Instant, http2: bool) -> Arc<Self> {
        let state = State {
            opened,
            http2,
            asked: false,
            open_requests: 0,
            untaken: 0,
            moved_at: opened,
            head_since: None,
            idle_since: opened,
            blocked_since: None,
        };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), asked: CancellationToken::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request, which ends when the guard goes.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        metrics::HTTP.in_flight.inc();
        let mut state = self.lock();
        state.open_requests += 1;
        state.head_since = None;
        if !std::mem::replace(&mut state.asked, true) {
            self.asked.cancel();
        }
        OpenRequest(Arc::clone(self))
    }

    fn has_read(&self) {
        let mut state = self.lock();
        // In HTTP/2 bytes come without requests too: whoever answers a ping has said nothing.
        if state.open_requests == 0 && state.asked && !state.http2 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    fn has_written(&self, bytes: Option<usize>) {
        let mut state = self.lock();
        if let Some(bytes) = bytes {
            if bytes >= PROGRESS_BYTES {
                state.moved_at = Instant::now();
            }
            let was_blocked = state.blocked_since.take().is_some();
            if was_blocked && state.open_requests == 0 {
                state.idle_since = Instant::now();
            }
        } else if state.blocked_since.is_none() {
            state.blocked_since = Some(Instant::now());
            self.changed.notify_one();
        }
    }

    fn deadline(&self, patience: &Patience) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        if let Some(since) = state.blocked_since {
            return Some((since + patience.idle, Overdue::Slow));
        }
        if state.open_requests > 0 {
            // In HTTP/2 the other side can refuse answers while the connection itself goes on. While anything else is
            // done this is a time to look again, not an end.
            let taken = state.untaken < state.open_requests;
            let since = if taken { Instant::now() } else { state.moved_at };
            return state.http2.then(|| (since + patience.idle, Overdue::Slow));
        }
        Some(match state.head_since {
            _ if !state.asked => (state.opened + patience.header, Overdue::Slow),
            Some(since) => (since + patience.header, Overdue::Slow),
            None => (state.idle_since.max(state.moved_at) + patience.idle, Overdue::Idle),
        })
    }

    /// Waits until the patience is at its end.
    pub(super) async fn overdue(&self, patience: &Patience) -> Overdue {
        loop {
            let changed = self.changed.notified();
            let Some((deadline, why)) = self.deadline(patience) else {
                changed.await;
                continue;
            };
            if deadline <= Instant::now() {
                return why;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct OpenRequest(Arc<Activity>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        metrics::HTTP.in_flight.dec();
        let mut state = self.0.lock();
        state.open_requests -= 1;
        if state.open_requests == 0 {
            state.idle_since = Instant::now();
            self.0.changed.notify_one();
        }
    }
}

/// A stream whose traffic is noticed.
#[derive(Debug)]
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if read > 0 {
            metrics::CONNECTIONS.received_bytes.add(read as u64);
            self.activity.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Watched<S> {
    fn noticed<T>(&self, outcome: Poll<io::Result<T>>, bytes: impl Fn(&T) -> usize) -> Poll<io::Result<T>> {
        match &outcome {
            Poll::Ready(Ok(done)) => {
                let bytes = bytes(done);
                metrics::CONNECTIONS.sent_bytes.add(bytes as u64);
                self.activity.has_written(Some(bytes));
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.has_written(None),
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.noticed(outcome, |bytes| *bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.noticed(outcome, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.noticed(outcome, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of a request, which has to go on arriving while somebody waits for it.
pub(super) struct PatientBody {
    inner: Incoming,
    patience: Duration,
    /// What the reader has waited for the present kilobyte.
    waited: Duration,
    /// The longest single wait of these.
    longest: Duration,
    got_bytes: usize,
    is_flowing: bool,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl PatientBody {
    pub(super) fn new(inner: Incoming, patience: Duration) -> Self {
        let (waited, longest) = (Duration::ZERO, Duration::ZERO);
        Self { inner, patience, waited, longest, got_bytes: 0, is_flowing: false, waiting: None }
    }

    /// How long the next bytes may take.
    fn left(&self) -> Duration {
        if !self.is_flowing {
            self.patience.saturating_sub(self.waited)
        } else if self.waited <= self.patience {
            BODY_PAUSE.max(self.patience)
        } else {
            // One pause is forgiven; the rest is how slowly the bytes come.
            self.patience.saturating_sub(self.waited - self.longest)
        }
    }

    fn has_waited(&mut self, wait: Duration) {
        self.waited += wait;
        self.longest = self.longest.max(wait);
    }

    fn has_got(&mut self, bytes: usize) {
        self.got_bytes += bytes;
        if self.got_bytes >= BODY_BYTES_MIN {
            (self.got_bytes, self.is_flowing) = (0, true);
            (self.waited, self.longest) = (Duration::ZERO, Duration::ZERO);
        }
    }
}

impl http_body::Body for PatientBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(outcome) => {
                if let Some((since, _)) = this.waiting.take() {
                    this.has_waited(since.elapsed());
                }
                if let Some(Ok(frame)) = &outcome {
                    this.has_got(frame.data_ref().map_or(0, Bytes::len));
                }
                Poll::Ready(outcome.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let left = this.left();
                let (since, sleep) = this.waiting.get_or_insert_with(|| {
                    let now = Instant::now();
                    (now, Box::pin(tokio::time::sleep_until(now + left)))
                });
                ready!(sleep.as_mut().poll(cx));
                let after = this.waited + since.elapsed();
                Poll::Ready(Some(Err(BodyTooSlow { after }.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer, with which its request ends.
pub(super) struct Answering {
    body: Body,
    is_untaken: bool,
    request: OpenRequest,
}

impl Answering {
    pub(super) fn new(body: Body, request: OpenRequest) -> Self {
        let mut answering = Self { body, is_untaken: false, request };
        answering.note(true);
        answering
    }

    /// Notes whether the other side has to ask for the next piece.
    fn note(&mut self, is_untaken: bool) {
        if std::mem::replace(&mut self.is_untaken, is_untaken) == is_untaken {
            return;
        }
        let mut state = self.request.0.lock();
        state.untaken = if is_untaken { state.untaken + 1 } else { state.untaken - 1 };
        state.moved_at = Instant::now();
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.note(false);
    }
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.note(false);
        let outcome = Pin::new(&mut self.body).poll_frame(cx);
        self.note(matches!(outcome, Poll::Ready(Some(Ok(_)))));
        outcome
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
