//! The boxes that ISO media files consist of (ISO/IEC 14496-12, section 4.2): HEIF, AVIF, JPEG XL and one maker's raw files.
//! Walks them in a file, and reads numbers from those that are in memory; knows nothing of what is in them.

use super::error::Error;
use super::source::Scan;

/// Boxes of one level that are looked at; honest files have a few dozen.
const MAX_BOXES: usize = 10_000;

/// A box in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outline {
    /// Its four letters.
    pub(super) kind: [u8; 4],
    /// Where its content begins, behind length and letters.
    pub(super) start: u64,
    /// Bytes of the content.
    pub(super) length: u64,
}

/// Lists the boxes that stand one behind the other from `start` to `end`, as far as they are whole.
pub(super) fn outlines(scan: &mut Scan<'_>, start: u64, end: u64) -> Result<Vec<Outline>, Error> {
    let end = end.min(scan.length());
    let mut found = Vec::new();
    let mut at = start;
    while found.len() < MAX_BOXES && at.saturating_add(8) <= end {
        scan.go_to(at)?;
        let (short, kind) = (u64::from(scan.u32_be()?), scan.array::<4>()?);
        let (length, head) = match short {
            // To the end of the file.
            0 => (end - at, 8),
            1 if at + 16 <= end => (u64::from_be_bytes(scan.array()?), 16),
            length => (length, 8),
        };
        let Some(next) = at.checked_add(length).filter(|next| length >= head && *next <= end) else {
            // A box that is cut off is the last one; whoever needs it finds it cut.
            if length > head {
                found.push(Outline { kind, start: at + head, length: length - head });
            }
            break;
        };
        found.push(Outline { kind, start: at + head, length: length - head });
        at = next;
    }
    Ok(found)
}

/// Bytes that are read from the front. Everything answers with nothing where they end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian number of up to 8 bytes; of none it is 0.
    pub(super) fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(self.number(2)? as u16)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(self.number(4)? as u32)
    }

    /// The text up to the next zero byte, which goes too.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.take(end);
        self.take(1)?;
        text
    }

    /// Version and flags, with which many boxes begin.
    pub(super) fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some(((word >> 24) as u8, word & 0x00ff_ffff))
    }

    /// The next box: its letters and what is in it.
    pub(super) fn next_box(&mut self) -> Option<([u8; 4], Bytes<'a>)> {
        let short = self.u32()?;
        let kind = self.take(4)?.try_into().ok()?;
        let length = match short {
            0 => self.0.len(),
            1 => usize::try_from(self.number(8)?.checked_sub(16)?).ok()?,
            _ => (short as usize).checked_sub(8)?,
        };
        Some((kind, Bytes(self.take(length)?)))
    }

    /// All boxes that stand one behind the other.
    pub(super) fn boxes(mut self) -> impl Iterator<Item = ([u8; 4], Bytes<'a>)> {
        std::iter::from_fn(move || self.next_box()).take(MAX_BOXES)
    }

    /// The first box of a kind.
    pub(super) fn find(self, kind: &[u8; 4]) -> Option<Bytes<'a>> {
        self.boxes().find(|(found, _)| found == kind).map(|(_, content)| content)
    }
}

/// Reads numbers of any number of bits, the highest first.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A number of up to 32 bits.
    pub(super) fn number(&mut self, bits: usize) -> Option<u32> {
        let mut number = 0;
        for _ in 0..bits {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.number(1)? == 1)
    }

    pub(super) fn skip(&mut self, bits: usize) -> Option<()> {
        self.at = self.at.checked_add(bits)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// A number after as many zeros as it has bits behind its first, less one (Exp-Golomb).
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.number(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_end_where_their_content_does() {
        let bytes =
            [&b"\0\0\0\x0cabcdWXYZ"[..], b"\0\0\0\x01long\0\0\0\0\0\0\0\x12ok", b"\0\0\0\0lasttail"].concat();
        let found: Vec<_> = Bytes(&bytes).boxes().map(|(kind, content)| (kind, content.0)).collect();
        assert_eq!(found, [(*b"abcd", &b"WXYZ"[..]), (*b"long", b"ok"), (*b"last", b"tail")]);
        assert!(Bytes(b"\0\0\0\x07abcd").boxes().next().is_none());
        assert!(Bytes(b"\0\0\0\xffabcd").boxes().next().is_none());
    }

    #[test]
    fn numbers_of_bits_are_read_from_the_highest() {
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0000]);
        assert_eq!((bits.number(3), bits.golomb(), bits.golomb()), (Some(5), Some(5), Some(1)));
        assert_eq!((bits.skip(100), bits.golomb()), (None, None));
    }
}
