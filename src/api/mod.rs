//! What every route needs: problem documents (RFC 9457), extractors that answer with them, keyset paging, byte
//! ranges, the caller's address and request id, and the rows behind the live event stream. Knows no feature.

mod client;
mod cors;
mod disposition;
pub mod events;
mod extract;
mod paging;
mod problem;
mod ranges;
mod request_id;

pub use client::{Client, Encrypted};
pub use cors::Sharing;
pub use disposition::content_disposition;
pub use extract::{BodyTooSlow, Json, Path, Query, Text};
pub use paging::{Cursor, LIMIT_MAX, Page, PageQuery};
pub use problem::{
    FieldError, Problem, ProblemBody, RATE_LIMIT, RATE_LIMIT_POLICY, as_sentence, rate_limit_value,
};
pub use ranges::{ByteRange, PART_FRAME_BYTES, Preconditions, RANGES_MAX, RangeOutcome};
pub use request_id::{RequestId, trace_requests};
