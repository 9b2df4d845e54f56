//! Reading headers piece by piece: big-endian and little-endian numbers, bounded blocks, skipping without reading.
//! Nothing here allocates more than has really been read.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::error::Error;
use super::raw::{Part, Window};

/// Anything that can be read and searched: a file, bytes in memory.
pub(super) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// A cursor over a file of one format; an early end becomes [`Error::Truncated`] of that format.
pub(super) struct Scan<'a> {
    format: &'static str,
    reader: BufReader<&'a mut dyn ReadSeek>,
    position: u64,
    length: u64,
}

impl<'a> Scan<'a> {
    /// Starts at the beginning of `source`.
    pub(super) fn new(source: &'a mut dyn ReadSeek, format: &'static str) -> Result<Self, Error> {
        let length = length(source)?;
        Ok(Self { format, reader: BufReader::with_capacity(4096, source), position: 0, length })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        // Asked before, because a failed read leaves the reader nobody knows where.
        if N as u64 > self.length.saturating_sub(self.position) {
            return Err(Error::Truncated { format: self.format });
        }
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| Error::from_io(self.format, error))?;
        self.position += N as u64;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16_be(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32_be(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u16_le(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32_le(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads `count` bytes; the buffer grows with what arrives, not with what was claimed.
    pub(super) fn block(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        if count > self.length.saturating_sub(self.position) {
            return Err(Error::Truncated { format: self.format });
        }
        let mut bytes = Vec::new();
        let read = self
            .reader
            .by_ref()
            .take(count)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::from_io(self.format, error))?;
        self.position += read as u64;
        if read as u64 == count { Ok(bytes) } else { Err(Error::Truncated { format: self.format }) }
    }

    /// Moves to an absolute position, which must lie inside the file.
    pub(super) fn go_to(&mut self, position: u64) -> Result<(), Error> {
        if position > self.length {
            return Err(Error::Truncated { format: self.format });
        }
        let step = i64::try_from(i128::from(position) - i128::from(self.position))
            .map_err(|_| Error::broken(self.format, "an offset is out of range"))?;
        self.reader.seek_relative(step).map_err(|error| Error::from_io(self.format, error))?;
        self.position = position;
        Ok(())
    }

    /// Skips `count` bytes, which must exist.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), Error> {
        self.go_to(self.position.saturating_add(count))
    }
}

/// Length of a source; leaves it at its beginning.
pub(super) fn length(source: &mut dyn ReadSeek) -> Result<u64, Error> {
    let length = source.seek(SeekFrom::End(0)).map_err(Error::Read)?;
    source.seek(SeekFrom::Start(0)).map_err(Error::Read)?;
    Ok(length)
}

/// Where a decoder takes its bytes from; formats whose library wants the whole file at once borrow it if they can.
pub(super) enum Input<'a> {
    /// The whole file, already in memory.
    Bytes(&'a [u8]),
    /// A file.
    Reader(&'a mut dyn ReadSeek),
    /// A piece of a file.
    Part(Window<'a>),
}

impl Input<'_> {
    /// A piece of it, or all of it.
    pub(super) fn part(&mut self, part: Option<Part>) -> Input<'_> {
        match (self, part) {
            (Self::Bytes(bytes), Some(part)) => {
                let start = usize::try_from(part.start).unwrap_or(usize::MAX).min(bytes.len());
                let length = usize::try_from(part.length).unwrap_or(usize::MAX).min(bytes.len() - start);
                Input::Bytes(&bytes[start..start + length])
            }
            (Self::Reader(reader), Some(part)) => Input::Part(Window::new(*reader, part)),
            (Self::Bytes(bytes), None) => Input::Bytes(bytes),
            (Self::Reader(reader), None) => Input::Reader(*reader),
            // Nothing has a piece of a piece.
            (Self::Part(window), _) => Input::Reader(window),
        }
    }

    /// Runs `work` on a reader placed at the beginning.
    pub(super) fn with_reader<T>(
        &mut self,
        work: impl FnOnce(&mut dyn ReadSeek) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self {
            Self::Bytes(bytes) => work(&mut io::Cursor::new(*bytes)),
            Self::Reader(reader) => {
                reader.seek(SeekFrom::Start(0)).map_err(Error::Read)?;
                work(*reader)
            }
            Self::Part(window) => {
                window.seek(SeekFrom::Start(0)).map_err(Error::Read)?;
                work(window)
            }
        }
    }

    /// Runs `work` on all bytes of the file.
    pub(super) fn with_bytes<T>(&mut self, work: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
        match self {
            Self::Bytes(bytes) => work(bytes),
            Self::Reader(reader) => work(&whole(*reader)?),
            Self::Part(window) => work(&whole(window)?),
        }
    }
}

fn whole(reader: &mut dyn ReadSeek) -> Result<Vec<u8>, Error> {
    let length = length(reader)?;
    // The length of a real file, not a claim in a header, and counted in the budget before.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    reader.read_to_end(&mut bytes).map_err(Error::Read)?;
    Ok(bytes)
}
