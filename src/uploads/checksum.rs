//! Checks a chunk while it passes.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::headers::{Algorithm, Checksum};

/// A checksum that is being computed, with what it must come to.
pub(super) struct Check {
    state: State,
    expected: Vec<u8>,
}

enum State {
    Sha1(Sha1),
    Sha256(Sha256),
    Md5(Md5),
    Crc32(crc32fast::Hasher),
}

impl Check {
    pub(super) fn new(checksum: Checksum) -> Self {
        let state = match checksum.algorithm {
            Algorithm::Sha1 => State::Sha1(Sha1::new()),
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Md5 => State::Md5(Md5::new()),
            Algorithm::Crc32 => State::Crc32(crc32fast::Hasher::new()),
        };
        Self { state, expected: checksum.digest }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha1(hash) => hash.update(bytes),
            State::Sha256(hash) => hash.update(bytes),
            State::Md5(hash) => hash.update(bytes),
            State::Crc32(hash) => hash.update(bytes),
        }
    }

    /// Whether the bytes were the right ones.
    pub(super) fn holds(self) -> bool {
        let digest: Vec<u8> = match self.state {
            State::Sha1(hash) => hash.finalize().to_vec(),
            State::Sha256(hash) => hash.finalize().to_vec(),
            State::Md5(hash) => hash.finalize().to_vec(),
            State::Crc32(hash) => hash.finalize().to_be_bytes().to_vec(),
        };
        digest == self.expected
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    #[test]
    fn each_algorithm_gives_what_the_world_expects() {
        // The check values of the algorithms' own documents.
        for (algorithm, hex) in [
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Crc32, "352441c2"),
        ] {
            let digest: Vec<u8> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            let header = format!("{} {}", algorithm.as_str(), BASE64_STANDARD.encode(&digest));
            let checksum = super::super::headers::checksum(&header).unwrap();
            let check = |bytes: [&[u8]; 2]| {
                let mut check = Check::new(checksum.clone());
                bytes.iter().for_each(|piece| check.update(piece));
                check.holds()
            };
            assert!(check([b"a", b"bc"]), "{header}");
            assert!(!check([b"a", b"bd"]), "{header}");
        }
    }
}
