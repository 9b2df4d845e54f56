//! Raw files of cameras that are TIFF inside (CR2, NEF, ARW, DNG, PEF and others). What the sensor saw is not developed
//! here: shown is the largest JPEG that the camera or its program put beside it.

use std::io::{self, Read, Seek, SeekFrom};

use super::ifd::{Directories, Directory, ExifFields};
use super::jpeg;
use super::source::ReadSeek;

/// Directories that are looked into, and JPEG files whose headers are read. Cameras write some six of either.
const MAX_DIRECTORIES: usize = 40;
const MAX_CANDIDATES: usize = 16;

/// A previewed raw file.
pub(super) struct RawPreview {
    /// Where in the file the preview lies.
    pub(super) part: Part,
    /// What the camera wrote, beginning with a TIFF header; it says how the preview has to be turned.
    pub(super) exif: Option<Vec<u8>>,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) length: u64,
}

/// Finds the preview of a raw file; nothing for other TIFF files, and for raw files without one.
pub(super) fn preview(source: &mut dyn ReadSeek) -> Option<RawPreview> {
    let has_mark = is_marked(source)?;
    let mut found = Candidates::default();
    let exif = {
        let mut directories = Directories::open(source).ok()?;
        let first = directories.directory(directories.first).ok()?;
        if !has_mark && !looks_raw(&mut directories, &first) {
            return None;
        }
        found.collect(&mut directories, first);
        ExifFields::read(&mut directories).to_block()
    };
    let part = found.largest(source)?;
    Some(RawPreview { part, exif })
}

/// Canon marks its files behind the TIFF header.
fn is_marked(source: &mut dyn ReadSeek) -> Option<bool> {
    let mut head = [0; 10];
    source.seek(SeekFrom::Start(0)).ok()?;
    source.read_exact(&mut head).ok()?;
    Some(&head[8..] == b"CR")
}

/// Adobe says so; others begin with a small picture that says it is one, or with what no scanner writes.
fn looks_raw(directories: &mut Directories<'_>, first: &Directory) -> bool {
    let is_dng = first.find(0xc612).is_some();
    let is_reduced = directories.number(first, 0x00fe).is_some_and(|kind| kind & 1 != 0);
    let compression = directories.number(first, 0x0103).unwrap_or(1);
    let of_maker =
        compression == 6 || (compression >= 32_767 && !matches!(compression, 32_773 | 32_946 | 50_000));
    let of_camera = first.find(0x010f).is_some() && first.find(0x0110).is_some();
    is_dng || of_camera && (is_reduced || of_maker)
}

#[derive(Default)]
struct Candidates(Vec<Part>);

impl Candidates {
    /// Collects what may be JPEG files from all directories and those inside them.
    fn collect(&mut self, directories: &mut Directories<'_>, first: Directory) {
        let mut seen = vec![directories.first];
        let mut waiting = vec![first];
        while let Some(directory) = waiting.pop() {
            self.of(directories, &directory);
            let inner = directory.find(0x014a).and_then(|entry| directories.numbers(entry, 16).ok());
            for offset in inner.unwrap_or_default().into_iter().chain([directory.next]) {
                if offset == 0 || seen.contains(&offset) || seen.len() >= MAX_DIRECTORIES {
                    continue;
                }
                seen.push(offset);
                waiting.extend(directories.directory(offset).ok());
            }
        }
    }

    /// Adds the JPEG files that a directory names: in tags of their own, or as a picture in one strip.
    fn of(&mut self, directories: &mut Directories<'_>, directory: &Directory) {
        let strips = directory.find(0x0111).map_or(0, |entry| entry.count);
        let is_jpeg = matches!(directories.number(directory, 0x0103), Some(6 | 7));
        let mut pair = |start, length| {
            Some((directories.number(directory, start)?, directories.number(directory, length)?))
        };
        let named = pair(0x0201, 0x0202);
        let strip = if strips == 1 && is_jpeg { pair(0x0111, 0x0117) } else { None };
        for (start, length) in [named, strip].into_iter().flatten() {
            let part = Part { start, length };
            if length > 100 && !self.0.contains(&part) {
                self.0.push(part);
            }
        }
    }

    /// Reads the headers of the longest ones and chooses that with most pixels. What the sensor saw is often kept as JPEG
    /// too, but without loss or with more bits.
    fn largest(mut self, source: &mut dyn ReadSeek) -> Option<Part> {
        let length = super::source::length(source).ok()?;
        self.0.retain(|part| part.start.checked_add(part.length).is_some_and(|end| end <= length));
        self.0.sort_by_key(|part| std::cmp::Reverse(part.length));
        let mut best = None;
        for part in self.0.into_iter().take(MAX_CANDIDATES) {
            let Ok(head) = jpeg::header(&mut Window::new(source, part)) else { continue };
            let pixels = u64::from(head.header.width) * u64::from(head.header.height);
            let usual = head.header.bit_depth == 8 && head.header.reduces;
            if usual && best.is_none_or(|(most, _)| pixels > most) {
                best = Some((pixels, part));
            }
        }
        best.map(|(_, part)| part)
    }
}

/// A piece of a file as if it were one.
pub(super) struct Window<'a> {
    source: &'a mut dyn ReadSeek,
    part: Part,
    at: u64,
}

impl<'a> Window<'a> {
    pub(super) fn new(source: &'a mut dyn ReadSeek, part: Part) -> Self {
        Self { source, part, at: 0 }
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.part.length.saturating_sub(self.at);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.source.seek(SeekFrom::Start(self.part.start + self.at))?;
        let read = self.source.read(&mut buffer[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.part.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
