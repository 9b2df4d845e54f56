//! How the ACME library reaches the authority: over the one HTTP client, with a time limit, noting how long the authority
//! wants to be left alone, which the library forgets when it reports an error.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::{Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::clock::{Clock, Timestamp};
use crate::outbound::Outbound;

/// The largest answer of an authority.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The longest time for which an authority is obeyed that wants to be left alone.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What the library wants to see of an answer.
const HEADERS: [&str; 5] = ["content-type", "link", "location", "replay-nonce", "retry-after"];

/// The way to one authority, for one attempt.
pub(super) struct Transport {
    pub(super) outbound: Outbound,
    pub(super) clock: Clock,
    pub(super) within: Duration,
    pub(super) pause: Pause,
}

/// Until when an authority wants to be left alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pause(Arc<Mutex<Option<Timestamp>>>);

impl Pause {
    pub(super) fn until(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let (outbound, clock, within, pause) =
            (self.outbound.clone(), self.clock.clone(), self.within, self.pause.clone());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = whole(body).await;
            let other = |e: crate::outbound::Error| Error::Other(Box::new(e));
            let mut call = outbound.call(parts.method, &parts.uri.to_string()).map_err(other)?.within(within);
            if let Some(kind) = parts.headers.get("content-type").and_then(|kind| kind.to_str().ok()) {
                call = call.bytes(kind, body);
            }
            let answer = call.send().await.map_err(other)?;
            let status = answer.status();
            let mut response = Response::builder().status(status);
            for name in HEADERS {
                if let Some(value) = answer.header(name) {
                    response = response.header(name, value);
                }
            }
            if status.is_client_error() || status.is_server_error() {
                if let Some(span) = answer.header("retry-after").and_then(|text| retry_after(text, &clock)) {
                    let until = clock.now() + span.min(PAUSE_MAX);
                    *pause.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                }
                // The library would only complain about the JSON.
                let kind = answer.header("content-type").unwrap_or_default();
                if !kind.contains("json") {
                    return Err(Error::Other(
                        format!("it answers with HTTP {status} and gives no reason").into(),
                    ));
                }
            }
            let body = Bytes::from(answer.read(ANSWER_BYTES_MAX).await.map_err(other)?);
            let (parts, ()) = response.body(()).map_err(|e| Error::Other(Box::new(e)))?.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

async fn whole(mut body: BodyWrapper<Bytes>) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
    }
    bytes.freeze()
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(text: &str, clock: &Clock) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
    Some(Timestamp::from_millis(date.timestamp().as_millisecond()).since(clock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_read_in_both_spellings() {
        let clock = Clock::manual("2026-10-21T07:28:00Z".parse().unwrap());
        let seconds = |text| retry_after(text, &clock).map(|pause| pause.as_secs());
        assert_eq!(seconds("12"), Some(12));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:29:30 GMT"), Some(90));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:27:00 GMT"), Some(0));
        assert_eq!((seconds("soon"), seconds("-1")), (None, None));
    }
}
