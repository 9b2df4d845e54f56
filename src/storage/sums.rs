//! What is found out about bytes while they pass.

use bytes::Bytes;
use md5::{Digest, Md5};
use sha2::Sha256;

use super::BlobId;
use super::incoming::{Draft, Received};

/// Bytes kept from the beginning, for telling what kind of file it is.
const HEAD_BYTES: usize = 64 * 1024;

/// Hashes, length and beginning of the bytes so far. A clone is a point to which one can come back.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    sha256: Sha256,
    md5: Md5,
    head: Vec<u8>,
    size_bytes: u64,
}

impl Sums {
    pub(super) fn update(&mut self, batch: &[u8]) {
        self.sha256.update(batch);
        self.md5.update(batch);
        let head = batch.len().min(HEAD_BYTES - self.head.len());
        self.head.extend_from_slice(&batch[..head]);
        self.size_bytes += batch.len() as u64;
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn received(self, draft: Draft) -> Received {
        Received {
            blob: BlobId::from_bytes(self.sha256.finalize().into()),
            md5: self.md5.finalize().into(),
            size_bytes: self.size_bytes,
            head: Bytes::from(self.head),
            draft,
        }
    }
}
