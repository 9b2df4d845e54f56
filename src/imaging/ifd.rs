//! The directories that TIFF files and EXIF blocks consist of (TIFF 6.0, section 2; BigTIFF): reading them from hostile
//! bytes, writing a small block, and taking the position out of one.

use std::io::Cursor;

use super::error::Error;
use super::orientation::Orientation;
use super::source::{ReadSeek, Scan};

pub(super) const ORIENTATION: u16 = 0x0112;
pub(super) const ICC_PROFILE: u16 = 0x8773;
pub(super) const EXIF_DIRECTORY: u16 = 0x8769;
pub(super) const GPS_DIRECTORY: u16 = 0x8825;

/// What raw files of two makers have in the place of the 42 of TIFF: `U\0`, and `RO` or `RS`.
const RW2_MARK: u16 = 0x0055;
const ORF_MARK: u16 = 0x4f52;
const ORF_MARK_TOO: u16 = 0x5352;

/// Values longer than this are not metadata that anybody reads.
const MAX_VALUE_BYTES: u64 = 1 << 20;

/// Entries that are read of all directories of a file together; cameras write some hundred.
const MAX_ENTRIES: u64 = 20_000;

/// One entry of a directory; its value is read on demand.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) tag: u16,
    pub(super) kind: u16,
    pub(super) count: u64,
    /// Where the entry itself stands.
    at: u64,
    /// Where its value stands, which may be inside the entry.
    pub(super) value_at: u64,
}

impl Entry {
    /// Length of the value in bytes; 0 for kinds that nobody defined.
    pub(super) fn value_bytes(&self) -> u64 {
        self.count.saturating_mul(unit_bytes(self.kind))
    }
}

/// A directory and the position of the next one, 0 at the end.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    pub(super) next: u64,
}

impl Directory {
    pub(super) fn find(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }
}

/// A value taken out of its file, in little-endian order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) tag: u16,
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
}

/// A file or block made of directories.
pub(super) struct Directories<'a> {
    scan: Scan<'a>,
    pub(super) little_endian: bool,
    big_tiff: bool,
    entries_left: u64,
    /// Where the first directory stands.
    pub(super) first: u64,
}

impl<'a> Directories<'a> {
    /// Reads directories whose byte order and beginning are known from elsewhere.
    pub(super) fn at(source: &'a mut dyn ReadSeek, little_endian: bool, first: u64) -> Result<Self, Error> {
        let scan = Scan::new(source, "TIFF")?;
        Ok(Self { scan, little_endian, big_tiff: false, entries_left: MAX_ENTRIES, first })
    }

    /// Reads the header: `II*\0`, `MM\0*` or their BigTIFF sisters.
    pub(super) fn open(source: &'a mut dyn ReadSeek) -> Result<Self, Error> {
        Self::open_marked(source, &[])
    }

    /// Reads the header of a raw file, some of which have a mark of their maker instead.
    pub(super) fn open_raw(source: &'a mut dyn ReadSeek) -> Result<Self, Error> {
        Self::open_marked(source, &[RW2_MARK, ORF_MARK, ORF_MARK_TOO])
    }

    fn open_marked(source: &'a mut dyn ReadSeek, marks: &[u16]) -> Result<Self, Error> {
        let mut scan = Scan::new(source, "TIFF")?;
        let little_endian = match &scan.array::<2>()? {
            b"II" => true,
            b"MM" => false,
            _ => return Err(Error::broken("TIFF", "the byte order mark is missing")),
        };
        let mut this = Self { scan, little_endian, big_tiff: false, entries_left: MAX_ENTRIES, first: 0 };
        match this.u16()? {
            mark if mark == 42 || marks.contains(&mark) => this.first = u64::from(this.u32()?),
            43 => {
                this.big_tiff = true;
                if (this.u16()?, this.u16()?) != (8, 0) {
                    return Err(Error::broken("TIFF", "offsets of an unknown size"));
                }
                this.first = this.u64()?;
            }
            version => return Err(Error::broken("TIFF", format!("unknown version {version}"))),
        }
        Ok(this)
    }

    fn u16(&mut self) -> Result<u16, Error> {
        let bytes = self.scan.array()?;
        Ok(if self.little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.scan.array()?;
        Ok(if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn u64(&mut self) -> Result<u64, Error> {
        let bytes = self.scan.array()?;
        Ok(if self.little_endian { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
    }

    /// Reads the directory at `offset`.
    pub(super) fn directory(&mut self, offset: u64) -> Result<Directory, Error> {
        let count = self.entry_count(offset)?;
        self.entries_left = self
            .entries_left
            .checked_sub(count)
            .ok_or_else(|| Error::broken("TIFF", format!("more than {MAX_ENTRIES} entries")))?;
        let inline_bytes = if self.big_tiff { 8 } else { 4 };
        let mut entries = Vec::new();
        for _ in 0..count {
            let at = self.scan.position();
            let (tag, kind) = (self.u16()?, self.u16()?);
            let count = if self.big_tiff { self.u64()? } else { u64::from(self.u32()?) };
            let mut entry = Entry { tag, kind, count, at, value_at: self.scan.position() };
            let pointer = if self.big_tiff { self.u64()? } else { u64::from(self.u32()?) };
            if entry.value_bytes() > inline_bytes {
                entry.value_at = pointer;
            }
            entries.push(entry);
        }
        let next = if self.big_tiff { self.u64() } else { self.u32().map(u64::from) };
        // Some cameras end their block without the pointer to the next directory.
        Ok(Directory { entries, next: next.unwrap_or(0) })
    }

    /// Goes to the directory at `offset`, up to its first entry.
    fn entry_count(&mut self, offset: u64) -> Result<u64, Error> {
        self.scan.go_to(offset)?;
        let count = if self.big_tiff { self.u64()? } else { u64::from(self.u16()?) };
        if count > 4096 {
            return Err(Error::broken("TIFF", format!("a directory of {count} entries")));
        }
        Ok(count)
    }

    /// Reads where the directory after the one at `offset` stands, without a look at the entries.
    pub(super) fn next_of(&mut self, offset: u64) -> Result<u64, Error> {
        let count = self.entry_count(offset)?;
        self.scan.skip(count * if self.big_tiff { 20 } else { 12 })?;
        Ok(if self.big_tiff { self.u64() } else { self.u32().map(u64::from) }.unwrap_or(0))
    }

    /// Reads a value of at most `max_bytes`, in little-endian order.
    pub(super) fn value(&mut self, entry: &Entry, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let bytes = entry.value_bytes();
        if bytes > max_bytes {
            return Err(Error::broken("TIFF", format!("a value of {bytes} bytes")));
        }
        self.scan.go_to(entry.value_at)?;
        let mut data = self.scan.block(bytes)?;
        if !self.little_endian {
            let swap = match entry.kind {
                3 | 8 => 2,
                // A rational is two numbers of four bytes.
                4 | 5 | 9 | 10 | 11 | 13 => 4,
                12 | 16 | 17 | 18 => 8,
                _ => 1,
            };
            if swap > 1 {
                data.chunks_exact_mut(swap).for_each(<[u8]>::reverse);
            }
        }
        Ok(data)
    }

    /// The numbers of an entry, at most `max_count` of them.
    pub(super) fn numbers(&mut self, entry: &Entry, max_count: u64) -> Result<Vec<u64>, Error> {
        let unit = unit_bytes(entry.kind);
        if !matches!(entry.kind, 1 | 3 | 4 | 13 | 16 | 18) {
            return Err(Error::broken("TIFF", format!("tag {} is not a number", entry.tag)));
        }
        let data = self.value(entry, max_count.saturating_mul(unit))?;
        Ok(data.chunks_exact(unit as usize).map(little_endian_number).collect())
    }

    /// The first number of a tag, if it is there and is one.
    pub(super) fn number(&mut self, directory: &Directory, tag: u16) -> Option<u64> {
        let entry = directory.find(tag)?;
        let first = Entry { count: entry.count.min(1), ..entry.clone() };
        self.numbers(&first, 1).ok()?.first().copied()
    }

    /// Takes the values out of a directory that match `wanted`; what can't be read is left out.
    pub(super) fn fields(&mut self, directory: &Directory, wanted: impl Fn(u16) -> bool) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut total = 0;
        for entry in directory.entries.iter().filter(|entry| wanted(entry.tag)) {
            let Ok(data) = self.value(entry, MAX_VALUE_BYTES) else { continue };
            total += data.len() as u64;
            if total > MAX_VALUE_BYTES {
                break;
            }
            if !data.is_empty() {
                fields.push(Field { tag: entry.tag, kind: entry.kind, data });
            }
        }
        fields
    }
}

fn little_endian_number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bytes of one value of a TIFF field type; 0 for unknown types.
fn unit_bytes(kind: u16) -> u64 {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 0,
    }
}

/// The descriptive tags of the first directory that belong into an EXIF block; the others describe the pixels.
pub(super) fn is_descriptive(tag: u16) -> bool {
    matches!(
        tag,
        0x010e | 0x010f | 0x0110 | ORIENTATION | 0x011a | 0x011b | 0x0128 | 0x0131 | 0x0132 | 0x013b | 0x8298
    )
}

/// What an EXIF block says, taken apart.
#[derive(Debug, Default)]
pub(super) struct ExifFields {
    pub(super) main: Vec<Field>,
    pub(super) exif: Vec<Field>,
    pub(super) gps: Vec<Field>,
}

impl ExifFields {
    /// Reads the directories of a block or of a TIFF file, as far as they can be read.
    pub(super) fn read(directories: &mut Directories<'_>) -> Self {
        let Ok(main) = directories.directory(directories.first) else { return Self::default() };
        let mut sub = |tag| {
            let offset = directories.number(&main, tag)?;
            let directory = directories.directory(offset).ok()?;
            // Offsets inside maker notes and to further directories don't survive a move.
            Some(directories.fields(&directory, |tag| tag != 0x927c && tag != 0xa005))
        };
        let exif = sub(EXIF_DIRECTORY).unwrap_or_default();
        let gps = sub(GPS_DIRECTORY).unwrap_or_default();
        Self { main: directories.fields(&main, is_descriptive), exif, gps }
    }

    /// Writes a compact little-endian block; nothing if there is nothing to say.
    pub(super) fn to_block(&self) -> Option<Vec<u8>> {
        if self.main.is_empty() && self.exif.is_empty() && self.gps.is_empty() {
            return None;
        }
        let mut main = self.main.clone();
        let mut block = b"II*\0\x08\0\0\0".to_vec();
        let pointers = usize::from(!self.exif.is_empty()) + usize::from(!self.gps.is_empty());
        let mut next = 8 + directory_bytes(&main) + pointers * 12;
        for (tag, fields) in [(EXIF_DIRECTORY, &self.exif), (GPS_DIRECTORY, &self.gps)] {
            if !fields.is_empty() {
                main.push(Field { tag, kind: 4, data: u32::try_from(next).ok()?.to_le_bytes().to_vec() });
                next += directory_bytes(fields);
            }
        }
        write_directory(&mut block, &main)?;
        for fields in [&self.exif, &self.gps] {
            if !fields.is_empty() {
                write_directory(&mut block, fields)?;
            }
        }
        Some(block)
    }
}

/// Bytes of a directory with its values, each of an even length.
fn directory_bytes(fields: &[Field]) -> usize {
    let values: usize = fields
        .iter()
        .filter(|field| field.data.len() > 4)
        .map(|field| field.data.len().next_multiple_of(2))
        .sum();
    2 + fields.len() * 12 + 4 + values
}

fn write_directory(block: &mut Vec<u8>, fields: &[Field]) -> Option<()> {
    let mut fields: Vec<&Field> = fields.iter().collect();
    fields.sort_by_key(|field| field.tag);
    let mut value_at = block.len() + 2 + fields.len() * 12 + 4;
    block.extend(u16::try_from(fields.len()).ok()?.to_le_bytes());
    for field in &fields {
        let count = field.data.len() as u64 / unit_bytes(field.kind).max(1);
        block.extend(field.tag.to_le_bytes());
        block.extend(field.kind.to_le_bytes());
        block.extend(u32::try_from(count).ok()?.to_le_bytes());
        if field.data.len() <= 4 {
            let mut inline = [0; 4];
            inline[..field.data.len()].copy_from_slice(&field.data);
            block.extend(inline);
        } else {
            block.extend(u32::try_from(value_at).ok()?.to_le_bytes());
            value_at += field.data.len().next_multiple_of(2);
        }
    }
    block.extend([0; 4]);
    for field in fields.iter().filter(|field| field.data.len() > 4) {
        block.extend(&field.data);
        if field.data.len() % 2 == 1 {
            block.push(0);
        }
    }
    Some(())
}

/// The orientation that an EXIF block gives; upright if it gives none or is broken.
pub(super) fn orientation(exif: &[u8]) -> Orientation {
    let mut cursor = Cursor::new(exif);
    let Ok(mut directories) = Directories::open(&mut cursor) else { return Orientation::Normal };
    let Ok(main) = directories.directory(directories.first) else { return Orientation::Normal };
    let value = directories.number(&main, ORIENTATION).unwrap_or(1);
    Orientation::from_exif(u16::try_from(value).unwrap_or(1))
}

/// Removes the position from an EXIF block and leaves every other byte where it is, so that maker notes, which count
/// from the block's beginning, stay readable. A block that can't be read comes back empty: what can't be understood
/// can't be trusted to hold no position.
pub fn without_gps(exif: &[u8]) -> Vec<u8> {
    remove_gps(exif).unwrap_or_default()
}

/// The block for pixels that were cut out of a picture and turned: without its orientation, its size and the small picture
/// of the whole. Nothing if nothing is left.
pub fn upright_exif(exif: &[u8]) -> Option<Vec<u8>> {
    for_rendering(exif, true)
}

/// Writes the block anew for a rendering, which is upright and of another size: without what describes the stored pixels,
/// without the maker's notes and the camera's own thumbnail, and without the position unless it is to be kept.
pub(super) fn for_rendering(exif: &[u8], keeps_position: bool) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(exif);
    let mut fields = ExifFields::read(&mut Directories::open(&mut cursor).ok()?);
    fields.main.retain(|field| field.tag != ORIENTATION);
    // Width and height of the stored picture, and where a related sound file lies.
    fields.exif.retain(|field| !matches!(field.tag, 0xa002..=0xa004));
    if !keeps_position {
        fields.gps.clear();
    }
    fields.to_block()
}

/// Gives the block an orientation: where a picture says elsewhere how it has to be turned, the block must say the same. A
/// block that says nothing of it is written anew if it has to, without the maker's notes.
pub(super) fn with_orientation(mut exif: Vec<u8>, orientation: Orientation) -> Vec<u8> {
    let mut cursor = Cursor::new(exif.as_slice());
    let Ok(mut directories) = Directories::open(&mut cursor) else { return exif };
    let Ok(main) = directories.directory(directories.first) else { return exif };
    let little_endian = directories.little_endian;
    if let Some(entry) = main.find(ORIENTATION) {
        let value = orientation.to_exif();
        let value = if little_endian { value.to_le_bytes() } else { value.to_be_bytes() };
        let kind = if little_endian { 3_u16.to_le_bytes() } else { 3_u16.to_be_bytes() };
        let count = if little_endian { 1_u32.to_le_bytes() } else { 1_u32.to_be_bytes() };
        let at = entry.at as usize;
        if !directories.big_tiff
            && let Some(place) = exif.get_mut(at + 2..at + 12)
        {
            place.copy_from_slice(&[&kind[..], &count, &value, &[0, 0]].concat());
        }
        return exif;
    }
    if orientation == Orientation::Normal {
        return exif;
    }
    let mut fields = ExifFields::read(&mut directories);
    let data = orientation.to_exif().to_le_bytes().to_vec();
    fields.main.push(Field { tag: ORIENTATION, kind: 3, data });
    fields.to_block().unwrap_or(exif)
}

fn remove_gps(exif: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(exif);
    let mut directories = Directories::open(&mut cursor).ok()?;
    if directories.big_tiff {
        return None;
    }
    let little_endian = directories.little_endian;
    let first = directories.first;
    let main = directories.directory(first).ok()?;
    let mut cleaned = exif.to_vec();
    let Some(entry) = main.find(GPS_DIRECTORY) else { return Some(cleaned) };
    let offset = directories.number(&main, GPS_DIRECTORY)?;
    let gps = directories.directory(offset).ok()?;
    for value in &gps.entries {
        let start = usize::try_from(value.value_at).ok()?;
        let end = start.checked_add(usize::try_from(value.value_bytes()).ok()?)?;
        cleaned.get_mut(start..end)?.fill(0);
    }
    let start = usize::try_from(offset).ok()?;
    cleaned.get_mut(start..start + 2 + gps.entries.len() * 12)?.fill(0);

    // The entries behind the pointer and the link to the next directory move up into its place.
    let entry_at = usize::try_from(entry.at).ok()?;
    let first = usize::try_from(first).ok()?;
    let end = (first + 2 + main.entries.len() * 12 + 4).min(cleaned.len());
    cleaned.get(entry_at + 12..end)?;
    cleaned.copy_within(entry_at + 12..end, entry_at);
    cleaned.get_mut(end - 12..end)?.fill(0);
    let count = u16::try_from(main.entries.len() - 1).ok()?;
    let count = if little_endian { count.to_le_bytes() } else { count.to_be_bytes() };
    cleaned.get_mut(first..first + 2)?.copy_from_slice(&count);

    // A block in which directories overlap, or with a second position, is not one that a camera wrote.
    let mut again = Cursor::new(cleaned.as_slice());
    let mut directories = Directories::open(&mut again).ok()?;
    let main = directories.directory(directories.first).ok()?;
    main.find(GPS_DIRECTORY).is_none().then_some(cleaned)
}

/// The most that a position is allowed to take in a TIFF file.
const MAX_POSITION_BYTES: u64 = 1 << 22;

/// Pages of a TIFF file whose position is looked for.
const MAX_PAGES: usize = 1000;

/// Finds what takes the position out of a TIFF file: places in the file, and what has to stand there instead. The
/// pointer to the position becomes an entry that nobody knows; the entries behind it stay where they are.
///
/// # Errors
/// [`Error::Broken`] when the positions take more than any honest file gives them.
pub(super) fn position_in_tiff(directories: &mut Directories<'_>) -> Result<Vec<(u64, Vec<u8>)>, Error> {
    let mut found = Vec::new();
    let (entry_bytes, count_bytes, pointer_bytes) =
        if directories.big_tiff { (20, 8, 8) } else { (12, 2, 4) };
    let (mut at, mut left) = (directories.first, MAX_POSITION_BYTES);
    for _ in 0..MAX_PAGES {
        let Ok(page) = directories.directory(at) else { break };
        for entry in page.entries.iter().filter(|entry| entry.tag == GPS_DIRECTORY) {
            let unknown = GPS_DIRECTORY + 1;
            let tag = if directories.little_endian { unknown.to_le_bytes() } else { unknown.to_be_bytes() };
            found.push((entry.at, tag.to_vec()));
            found.push((entry.at + entry_bytes - pointer_bytes, vec![0; pointer_bytes as usize]));
            let first = Entry { count: entry.count.min(1), ..entry.clone() };
            let Some(offset) = directories.numbers(&first, 1).ok().and_then(|all| all.first().copied())
            else {
                continue;
            };
            let Ok(gps) = directories.directory(offset) else { continue };
            let length = count_bytes + gps.entries.len() as u64 * entry_bytes;
            found.push((offset, vec![0; length as usize]));
            for value in gps.entries.iter().filter(|value| value.value_bytes() > pointer_bytes) {
                left = left
                    .checked_sub(value.value_bytes())
                    .ok_or_else(|| Error::broken("TIFF", "an endless position"))?;
                found.push((value.value_at, vec![0; value.value_bytes() as usize]));
            }
        }
        at = page.next;
        if at == 0 {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> ExifFields {
        ExifFields {
            main: vec![
                Field { tag: 0x010f, kind: 2, data: b"Lumen Works\0".to_vec() },
                Field { tag: ORIENTATION, kind: 3, data: vec![6, 0] },
            ],
            exif: vec![Field { tag: 0x9003, kind: 2, data: b"1972:06:11 10:20:30\0".to_vec() }],
            gps: vec![
                Field { tag: 1, kind: 2, data: b"N\0".to_vec() },
                Field { tag: 2, kind: 5, data: [48, 1, 8, 1, 15, 1].map(u32::to_le_bytes).concat() },
            ],
        }
    }

    fn read(block: &[u8]) -> ExifFields {
        let mut cursor = Cursor::new(block);
        ExifFields::read(&mut Directories::open(&mut cursor).expect("a header"))
    }

    #[test]
    fn a_written_block_reads_back_the_same() {
        let written = block().to_block().expect("it has fields");
        let back = read(&written);
        assert_eq!((back.main, back.exif, back.gps), (block().main, block().exif, block().gps));
        assert_eq!(orientation(&written), Orientation::Rotate90);
    }

    #[test]
    fn removing_the_position_keeps_everything_else() {
        let written = block().to_block().expect("it has fields");
        let cleaned = without_gps(&written);
        assert_eq!(cleaned.len(), written.len());
        let back = read(&cleaned);
        assert!(back.gps.is_empty());
        assert_eq!((back.main, back.exif), (block().main, block().exif));
        let degrees = [48_u32, 1, 8, 1].map(u32::to_le_bytes).concat();
        assert!(!cleaned.windows(degrees.len()).any(|bytes| bytes == degrees), "the numbers are gone too");
    }

    #[test]
    fn a_rendering_keeps_the_words_and_not_the_place() {
        let written = block().to_block().expect("it has fields");
        let kept = read(&for_rendering(&written, false).expect("it has fields"));
        assert!(kept.gps.is_empty());
        assert_eq!((kept.main, kept.exif), (block().main[..1].to_vec(), block().exif));
        assert_eq!(read(&for_rendering(&written, true).expect("it has fields")).gps, block().gps);
        assert_eq!(for_rendering(b"not exif", true), None);
    }

    #[test]
    fn a_block_is_told_how_its_picture_is_turned() {
        let written = block().to_block().expect("it has fields");
        let turned = with_orientation(written.clone(), Orientation::Rotate270);
        assert_eq!((turned.len(), orientation(&turned)), (written.len(), Orientation::Rotate270));
        let silent =
            ExifFields { main: block().main[..1].to_vec(), ..block() }.to_block().expect("it has fields");
        assert_eq!(with_orientation(silent.clone(), Orientation::Normal), silent);
        let told = with_orientation(silent, Orientation::Rotate180);
        assert_eq!(orientation(&told), Orientation::Rotate180);
        assert_eq!(read(&told).gps, block().gps);
        assert_eq!(with_orientation(b"not exif".to_vec(), Orientation::Rotate180), b"not exif");
    }

    #[test]
    fn a_block_that_nobody_understands_is_dropped_with_the_position() {
        assert!(without_gps(b"not exif").is_empty());
        let mut written = block().to_block().expect("it has fields");
        written.truncate(60);
        assert!(without_gps(&written).is_empty());
    }
}
