//! The headers of tus, read strictly: they are bytes from outside. No I/O, no HTTP.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What a program may say about an upload, in bytes.
const METADATA_BYTES_MAX: usize = 16 * 1024;

/// Pieces that one upload may be put together from.
const PARTS_MAX: usize = 1000;

/// A header that can't be read, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {why}")]
pub struct BadHeader {
    /// Its name.
    pub header: &'static str,
    /// A sentence.
    pub why: &'static str,
}

fn bad(header: &'static str, why: &'static str) -> BadHeader {
    BadHeader { header, why }
}

/// Reads a number of bytes: digits and nothing else.
///
/// # Errors
/// When it is something else, or more than a file can have.
pub fn size(header: &'static str, text: &str) -> Result<u64, BadHeader> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad(header, "It is a number of bytes, in digits."));
    }
    let size = text.parse().ok().filter(|size| i64::try_from(*size).is_ok());
    size.ok_or(bad(header, "It is more than any file can have."))
}

/// Reads `Upload-Metadata`: keys with values in base64, separated by commas. A key without a value has an empty one.
///
/// # Errors
/// When a key is empty, not ASCII or there twice, or a value is not base64.
pub fn metadata(text: &str) -> Result<Vec<(String, Vec<u8>)>, BadHeader> {
    const NAME: &str = "Upload-Metadata";
    if text.len() > METADATA_BYTES_MAX {
        return Err(bad(NAME, "It is longer than 16,384 bytes."));
    }
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    if text.trim().is_empty() {
        return Ok(pairs);
    }
    for pair in text.split(',') {
        let mut words = pair.split_ascii_whitespace();
        let key = words.next().ok_or(bad(NAME, "A key is empty."))?;
        let value = words.next().unwrap_or_default();
        if words.next().is_some() {
            return Err(bad(NAME, "A value has a space in it."));
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad(NAME, "A key is not ASCII."));
        }
        if pairs.iter().any(|(other, _)| other == key) {
            return Err(bad(NAME, "A key is there twice."));
        }
        let value = BASE64_STANDARD.decode(value).map_err(|_| bad(NAME, "A value is not base64."))?;
        pairs.push((key.to_owned(), value));
    }
    Ok(pairs)
}

/// What `Upload-Concat` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concat {
    /// It is a piece of something.
    Partial,
    /// It is put together from these pieces: the last parts of their addresses, in order.
    Final(Vec<String>),
}

/// Reads `Upload-Concat`: `partial`, or `final;` and addresses of uploads with spaces between them.
///
/// # Errors
/// When it is neither, or names no piece or more than a thousand.
pub fn concat(text: &str) -> Result<Concat, BadHeader> {
    const NAME: &str = "Upload-Concat";
    let text = text.trim();
    if text == "partial" {
        return Ok(Concat::Partial);
    }
    let list = text.strip_prefix("final;").ok_or(bad(NAME, "It is “partial”, or “final;” and addresses."))?;
    let parts: Vec<String> = list
        .split_ascii_whitespace()
        .map(|address| address.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned())
        .collect();
    if parts.is_empty() || parts.len() > PARTS_MAX {
        return Err(bad(NAME, "It names 1 to 1,000 pieces."));
    }
    Ok(Concat::Final(parts))
}

/// A way to check bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// MD5.
    Md5,
    /// CRC-32 as in gzip and PNG, the most significant byte first.
    Crc32,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Md5, Self::Crc32];

    /// Its name in tus.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::Crc32 => "crc32",
        }
    }

    /// Bytes of its result.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Md5 => 16,
            Self::Crc32 => 4,
        }
    }
}

/// What a chunk must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// The result.
    pub digest: Vec<u8>,
}

/// Reads `Upload-Checksum`: an algorithm and its result in base64.
///
/// # Errors
/// When the algorithm is not known, or the result is not base64 or not as long as it should be.
pub fn checksum(text: &str) -> Result<Checksum, BadHeader> {
    const NAME: &str = "Upload-Checksum";
    let mut words = text.split_ascii_whitespace();
    let (Some(name), Some(digest), None) = (words.next(), words.next(), words.next()) else {
        return Err(bad(NAME, "It is the name of an algorithm and a checksum in base64."));
    };
    let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name);
    let algorithm = algorithm.ok_or(bad(NAME, "The algorithm may be sha1, sha256, md5 or crc32."))?;
    let digest = BASE64_STANDARD.decode(digest).map_err(|_| bad(NAME, "The checksum is not base64."))?;
    if digest.len() != algorithm.bytes() {
        return Err(bad(NAME, "The checksum has not the length that its algorithm gives."));
    }
    Ok(Checksum { algorithm, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_as_the_protocol_says() {
        let read = metadata("filename d29ybGQ=,is_confidential,folder  YS9i , x YQ==").unwrap();
        let expected: [(&str, &[u8]); 4] =
            [("filename", b"world"), ("is_confidential", b""), ("folder", b"a/b"), ("x", b"a")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_vec())));
        assert_eq!(metadata("").unwrap(), []);
        for wrong in [",", "a YQ==,", "a b c", "a YQ==,a YQ==", "é YQ==", "a ?", "a YQ", &"a".repeat(20_000)]
        {
            assert!(metadata(wrong).is_err(), "{wrong:.20}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(size("Upload-Length", "0"), Ok(0));
        assert_eq!(size("Upload-Length", "9223372036854775807"), Ok(i64::MAX.unsigned_abs()));
        for wrong in
            ["", "-1", "+1", "1.0", " 1", "1e3", "0x1", "9223372036854775808", "99999999999999999999999"]
        {
            assert!(size("Upload-Length", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pieces_are_named_by_any_form_of_their_address() {
        assert_eq!(concat("partial"), Ok(Concat::Partial));
        let named = concat("final;/api/v1/uploads/a https://x.example/photos/api/v1/uploads/b/ c");
        assert_eq!(named, Ok(Concat::Final(["a", "b", "c"].map(str::to_owned).to_vec())));
        for wrong in ["", "final", "final;", "final; ", "Partial", "partial;x"] {
            assert!(concat(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn checksums_are_of_a_known_kind_and_length() {
        let read = checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").unwrap();
        assert_eq!((read.algorithm, read.digest.len()), (Algorithm::Sha1, 20));
        assert!(checksum("crc32 AAAAAA==").is_ok());
        for wrong in ["", "sha1", "sha1 x", "sha512 AAAA", "sha1 AAAA", "crc32 AAAAAA== x", "md5 AAAAAA=="] {
            assert!(checksum(wrong).is_err(), "{wrong}");
        }
    }
}
