//! Raw files of cameras: those that are TIFF inside (CR2, NEF, ARW, DNG, PEF and others), nearly so (RW2, ORF), ISO media
//! files (CR3), and one that is only a list (RAF). What the sensor saw is not developed here: shown is the largest JPEG
//! that the camera or its program put beside it.

use std::io::{self, Read, Seek, SeekFrom};

use super::bmff::{self, Bytes, Outline};
use super::ifd::{Directories, Directory, EXIF_DIRECTORY, ExifFields, Field};
use super::jpeg;
use super::source::{ReadSeek, Scan};

/// Directories that are looked into, and JPEG files whose headers are read. Cameras write some six of either.
const MAX_DIRECTORIES: usize = 40;
const MAX_CANDIDATES: usize = 16;

/// A previewed raw file.
pub(super) struct RawPreview {
    /// Where in the file the preview lies.
    pub(super) part: Part,
    /// What the camera wrote, beginning with a TIFF header; it says how the preview has to be turned. Without one the
    /// preview has its own.
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

/// Finds the preview of a raw file that is told by its first bytes; nothing if there is none.
pub(super) fn preview_of(source: &mut dyn ReadSeek, content_type: &str) -> Option<RawPreview> {
    match content_type {
        "image/x-fuji-raf" => preview_of_raf(source),
        "image/x-canon-cr3" => preview_of_cr3(source),
        _ => preview_of_marked(source),
    }
}

/// A list of where things are, the JPEG first; all else about the picture is written in that.
fn preview_of_raf(source: &mut dyn ReadSeek) -> Option<RawPreview> {
    let scan = &mut Scan::new(source, "RAF").ok()?;
    scan.go_to(84).ok()?;
    let part = Part { start: u64::from(scan.u32_be().ok()?), length: u64::from(scan.u32_be().ok()?) };
    let part = Candidates(vec![part]).largest(source)?;
    Some(RawPreview { part, exif: None })
}

/// Directories as in TIFF behind a mark of the maker, and the JPEG in a tag of its own or among the maker's notes.
fn preview_of_marked(source: &mut dyn ReadSeek) -> Option<RawPreview> {
    /// The whole JPEG, in RW2.
    const JPEG: u16 = 0x002e;
    const NOTES: u16 = 0x927c;
    let mut found = Candidates::default();
    let (exif, notes) = {
        let mut directories = Directories::open_raw(source).ok()?;
        let first = directories.directory(directories.first).ok()?;
        let whole = first.find(JPEG).map(|entry| Part { start: entry.value_at, length: entry.value_bytes() });
        found.0.extend(whole);
        let inner = directories.number(&first, EXIF_DIRECTORY);
        let inner = inner.and_then(|offset| directories.directory(offset).ok());
        let notes = inner.and_then(|inner| Some(inner.find(NOTES)?.value_at));
        found.collect(&mut directories, first);
        (ExifFields::read(&mut directories).to_block(), notes)
    };
    found.0.extend(notes.and_then(|at| preview_in_notes(source, at)));
    let part = found.largest(source)?;
    Some(RawPreview { part, exif })
}

/// Where the notes of one maker say that the preview is; they count from their own beginning.
fn preview_in_notes(source: &mut dyn ReadSeek, at: u64) -> Option<Part> {
    const SETTINGS: u16 = 0x2020;
    let length = super::source::length(source).ok()?.checked_sub(at)?;
    let mut window = Window::new(source, Part { start: at, length });
    let mut head = [0; 16];
    window.read_exact(&mut head).ok()?;
    let (order, first) = if head.starts_with(b"OLYMPUS\0") {
        (&head[8..10], 12)
    } else if head.starts_with(b"OM SYSTEM\0\0\0") {
        (&head[12..14], 16)
    } else {
        return None;
    };
    let mut directories = Directories::at(&mut window, order == b"II", first).ok()?;
    let notes = directories.directory(first).ok()?;
    let settings = directories.number(&notes, SETTINGS)?;
    let settings = directories.directory(settings).ok()?;
    let start = directories.number(&settings, 0x0101)?;
    let length = directories.number(&settings, 0x0102)?;
    Some(Part { start: at.checked_add(start)?, length })
}

/// Boxes: what the camera wrote in four blocks, a small and a middling JPEG in boxes of their own, and the largest as the
/// first track of a film of which all pictures are the same.
fn preview_of_cr3(source: &mut dyn ReadSeek) -> Option<RawPreview> {
    const OF_CAMERA: [u8; 16] = *b"\x85\xc0\xb6\x87\x82\x0f\x11\xe0\x81\x11\xf4\xce\x46\x2b\x6a\x48";
    const OF_PREVIEW: [u8; 16] = *b"\xea\xf4\x2b\x5e\x1c\x98\x4b\x88\xb9\xfb\xb7\xdc\x40\x6e\x4d\x16";
    let mut found = Candidates::default();
    let mut fields = ExifFields::default();
    {
        let scan = &mut Scan::new(source, "CR3").ok()?;
        let length = scan.length();
        for outline in bmff::outlines(scan, 0, length).ok()? {
            match &outline.kind {
                b"uuid" if owner(scan, outline) == Some(OF_PREVIEW) => {
                    // Eight more bytes stand before the box.
                    for inner in inside(scan, outline, 24) {
                        found.0.extend(jpeg_in_box(scan, inner));
                    }
                }
                b"moov" => {
                    for inner in inside(scan, outline, 0) {
                        match &inner.kind {
                            b"uuid" if owner(scan, inner) == Some(OF_CAMERA) => {
                                for block in inside(scan, inner, 16) {
                                    match &block.kind {
                                        b"THMB" => found.0.extend(jpeg_in_box(scan, block)),
                                        kind => read_block(scan, *kind, block, &mut fields),
                                    }
                                }
                            }
                            b"trak" => found.0.extend(first_sample(scan, inner)),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
    let part = found.largest(source)?;
    Some(RawPreview { part, exif: fields.to_block() })
}

fn inside(scan: &mut Scan<'_>, outline: Outline, skip: u64) -> Vec<Outline> {
    let end = outline.start.saturating_add(outline.length);
    let found = bmff::outlines(scan, outline.start.saturating_add(skip), end).unwrap_or_default();
    found.into_iter().take(MAX_DIRECTORIES).collect()
}

fn owner(scan: &mut Scan<'_>, outline: Outline) -> Option<[u8; 16]> {
    scan.go_to(outline.start).ok()?;
    scan.array().ok()
}

/// The JPEG behind a few numbers.
fn jpeg_in_box(scan: &mut Scan<'_>, outline: Outline) -> Option<Part> {
    if !matches!(&outline.kind, b"PRVW" | b"THMB") {
        return None;
    }
    scan.go_to(outline.start).ok()?;
    let head = scan.block(outline.length.min(64)).ok()?;
    let skip = head.windows(3).position(|bytes| bytes == b"\xff\xd8\xff")? as u64;
    Some(Part { start: outline.start + skip, length: outline.length - skip })
}

/// Where the first sample of a track lies.
fn first_sample(scan: &mut Scan<'_>, track: Outline) -> Option<Part> {
    let mut at = track;
    for kind in [b"mdia", b"minf", b"stbl"] {
        at = inside(scan, at, 0).into_iter().find(|inner| &inner.kind == kind)?;
    }
    let (mut start, mut length) = (None, None);
    for list in inside(scan, at, 0) {
        scan.go_to(list.start).ok()?;
        let head = scan.block(list.length.min(16)).ok()?;
        let mut head = Bytes(&head);
        head.version()?;
        match &list.kind {
            // One size for all samples, or a list of them.
            b"stsz" => {
                let common = head.u32()?;
                let count = head.u32()?;
                length = Some(if common > 0 || count == 0 { common } else { head.u32()? });
            }
            b"co64" if head.u32()? > 0 => start = head.number(8),
            b"stco" if head.u32()? > 0 => start = head.number(4),
            _ => {}
        }
    }
    Some(Part { start: start?, length: u64::from(length?) })
}

/// Adds what one of the camera's blocks says: a TIFF header and one directory each.
fn read_block(scan: &mut Scan<'_>, kind: [u8; 4], outline: Outline, fields: &mut ExifFields) {
    let mut read = || {
        if outline.length > 1 << 20 {
            return None;
        }
        scan.go_to(outline.start).ok()?;
        let mut block = io::Cursor::new(scan.block(outline.length).ok()?);
        let mut directories = Directories::open(&mut block).ok()?;
        if &kind == b"CMT1" {
            return Some(ExifFields::read(&mut directories).main);
        }
        let directory = directories.directory(directories.first).ok()?;
        Some(directories.fields(&directory, |tag| tag != 0x927c && tag != 0xa005))
    };
    let into: &mut Vec<Field> = match &kind {
        b"CMT1" => &mut fields.main,
        b"CMT2" => &mut fields.exif,
        b"CMT4" => &mut fields.gps,
        _ => return,
    };
    *into = read().unwrap_or_default();
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
