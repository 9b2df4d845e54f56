//! Taking the place where a picture was taken out of a file on its way out, without writing the file anew: which bytes
//! are sent otherwise. The length stays, so ranges, offsets in maker notes and everything else do too.
//!
//! Looked for are EXIF blocks, wherever in the file they stand (cameras hide whole pictures behind the picture), the
//! directories of TIFF files, and XMP packets. Films have places of their own, which are not found.

use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;

use super::error::Error;
use super::ifd::{Directories, position_in_tiff, without_gps};
use super::jxl;

/// Bytes of a file that are sent otherwise than they stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// Where they begin.
    pub at: u64,
    /// What is sent instead.
    pub bytes: Vec<u8>,
}

impl Redaction {
    /// Writes redactions for a cache.
    pub fn write(list: &[Self]) -> Vec<u8> {
        let mut text = Vec::new();
        for Self { at, bytes } in list {
            text.extend(at.to_le_bytes());
            text.extend((bytes.len() as u64).to_le_bytes());
            text.extend(bytes);
        }
        text
    }

    /// Reads what [`Redaction::write`] has written; none from anything else.
    pub fn read(mut text: &[u8]) -> Option<Vec<Self>> {
        let mut list = Vec::new();
        while !text.is_empty() {
            let (at, rest) = text.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (bytes, rest) = rest.split_at_checked(length)?;
            list.push(Self { at: u64::from_le_bytes(*at), bytes: bytes.to_vec() });
            text = rest;
        }
        Some(list)
    }

    /// Applies redactions to a piece of the file that begins at `start`.
    pub fn apply(list: &[Self], start: u64, piece: Bytes) -> Bytes {
        let end = start + piece.len() as u64;
        let touched = |redaction: &&Self| {
            redaction.at < end && redaction.at.saturating_add(redaction.bytes.len() as u64) > start
        };
        if !list.iter().any(|redaction| touched(&redaction)) {
            return piece;
        }
        let mut copy = piece.to_vec();
        for redaction in list.iter().filter(touched) {
            let skipped = start.saturating_sub(redaction.at) as usize;
            let at = redaction.at.saturating_sub(start) as usize;
            let length = (redaction.bytes.len() - skipped).min(copy.len() - at);
            copy[at..at + length].copy_from_slice(&redaction.bytes[skipped..skipped + length]);
        }
        copy.into()
    }
}

/// The longest block or packet that is looked at; cameras write some dozen kilobytes.
const BLOCK_BYTES_MAX: u64 = 1 << 20;

/// Redactions of one file take at most this much memory.
const REDACTED_BYTES_MAX: usize = 8 << 20;

/// Blocks and packets of one file together: a file of nothing but beginnings would be looked through again and again.
const LOOKED_BYTES_MAX: u64 = 64 << 20;

/// Finds what a file says about the place where it was taken. Blocks, and reads the whole file.
///
/// # Errors
/// [`Error::Read`] when the file can't be read, [`Error::Broken`] when there is more to be taken out than any honest
/// file holds. What is damaged is searched as far as it goes.
pub fn redactions<R: Read + Seek>(source: &mut R) -> Result<Vec<Redaction>, Error> {
    let mut search = Search { source, found: Vec::new(), bytes: 0, looked_bytes: 0 };
    let mut head = [0; 12];
    search.read_at(0, &mut head)?;
    match &head {
        [0x89, b'P', b'N', b'G', ..] => search.chunks_of_png()?,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => {
            search.chunks_of_webp()?;
            search.everywhere()?;
        }
        // The last three are marks of makers of cameras.
        [b'I', b'I', 42 | 43, 0, ..]
        | [b'M', b'M', 0, 42 | 43, ..]
        | [b'I', b'I', b'U', 0, ..]
        | [b'I', b'I', b'R', b'O' | b'S', ..]
        | [b'M', b'M', b'O', b'R', ..] => {
            search.directories()?;
            search.everywhere()?;
        }
        b"\0\0\0\x0cJXL \r\n\x87\n" => {
            search.packed_boxes()?;
            search.everywhere()?;
        }
        _ => search.everywhere()?,
    }
    Ok(search.found)
}

struct Search<'a, R> {
    source: &'a mut R,
    found: Vec<Redaction>,
    bytes: usize,
    looked_bytes: u64,
}

const EXIF_LITTLE: &[u8] = b"Exif\0\0II*\0";
const EXIF_BIG: &[u8] = b"Exif\0\0MM\0*";
/// How boxes of HEIF, AVIF and JPEG XL have a block without its name: an offset of 0 before it.
const BARE_LITTLE: &[u8] = b"\0\0\0\0II*\0";
const BARE_BIG: &[u8] = b"\0\0\0\0MM\0*";
/// The box in which raw files of one maker (CR3) have nothing but the place.
const CMT4: &[u8] = b"CMT4";
const RDF: &[u8] = b"<rdf:RDF";
const RDF_END: &[u8] = b"</rdf:RDF>";

/// Whether a block or packet, as it stands in a box of JPEG XL, names a place or can't be understood.
fn names_place(plain: &[u8]) -> bool {
    if plain.windows(RDF.len()).any(|window| window == RDF) {
        let mut cleaned = plain.to_vec();
        blank_places(&mut cleaned);
        return cleaned != plain;
    }
    let block = plain.get(4..).unwrap_or_default();
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    without_gps(block) != block
}

impl<R: Read + Seek> Search<'_, R> {
    fn add(&mut self, at: u64, bytes: Vec<u8>) -> Result<(), Error> {
        self.bytes += bytes.len() + size_of::<Redaction>();
        if self.bytes > REDACTED_BYTES_MAX {
            return Err(Error::broken("metadata", "it names a place over and over"));
        }
        self.found.push(Redaction { at, bytes });
        Ok(())
    }

    /// Adds what differs, and nothing between: two blocks may lie one inside the other.
    fn add_difference(&mut self, at: u64, before: &[u8], after: &[u8]) -> Result<(), Error> {
        let mut i = 0;
        while i < before.len() {
            let length =
                before[i..].iter().zip(&after[i..]).take_while(|(before, after)| before != after).count();
            if length > 0 {
                self.add(at + i as u64, after[i..i + length].to_vec())?;
            }
            i += length.max(1);
        }
        Ok(())
    }

    /// Fills a buffer as far as the file goes and returns how far that was.
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        self.source.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
        let mut length = 0;
        while length < buffer.len() {
            match self.source.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::Read(e)),
            }
        }
        Ok(length)
    }

    fn block(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.source.seek(SeekFrom::Start(at)).map_err(Error::Read)?;
        let length = length.min(BLOCK_BYTES_MAX);
        self.source.by_ref().take(length).read_to_end(&mut bytes).map_err(Error::Read)?;
        self.looked_bytes += bytes.len() as u64;
        if self.looked_bytes > LOOKED_BYTES_MAX {
            return Err(Error::broken("metadata", "it begins over and over"));
        }
        Ok(bytes)
    }

    /// Looks at every byte for what an EXIF block or an XMP packet begins with.
    fn everywhere(&mut self) -> Result<(), Error> {
        const WINDOW: usize = 256 * 1024;
        const LONGEST: usize = 10;
        let mut window = vec![0; WINDOW];
        let mut start = 0;
        loop {
            let length = self.read_at(start, &mut window)?;
            let read = &window[..length];
            let mut hits = Vec::new();
            for (i, byte) in read.iter().enumerate() {
                let rest = &read[i..];
                match byte {
                    b'E' if rest.starts_with(EXIF_LITTLE) || rest.starts_with(EXIF_BIG) => {
                        hits.push((i, Found::Exif));
                    }
                    b'C' if rest.starts_with(CMT4) && is_block(&rest[CMT4.len()..]) => {
                        hits.push((i, Found::Box));
                    }
                    b'<' if rest.starts_with(RDF) => hits.push((i, Found::Xmp)),
                    0 if rest.starts_with(BARE_LITTLE) || rest.starts_with(BARE_BIG) => {
                        hits.push((i, Found::Bare));
                    }
                    _ => {}
                }
            }
            for (i, found) in hits {
                let at = start + i as u64;
                match found {
                    Found::Exif => self.exif_behind_name(at)?,
                    Found::Box => self.place_box(at)?,
                    Found::Xmp => self.xmp(at)?,
                    Found::Bare => self.bare_block(at + 4)?,
                }
            }
            if length < WINDOW {
                return Ok(());
            }
            // What a window cuts in two is whole in the next one.
            start += (WINDOW - LONGEST + 1) as u64;
        }
    }

    fn exif_behind_name(&mut self, at: u64) -> Result<(), Error> {
        // In a JPEG the segment says how long the block is.
        let mut segment = [0; 4];
        let in_segment = at >= 4 && self.read_at(at - 4, &mut segment)? == 4 && segment[..2] == [0xff, 0xe1];
        let length = if in_segment {
            u64::from(u16::from_be_bytes([segment[2], segment[3]])).saturating_sub(8)
        } else {
            BLOCK_BYTES_MAX
        };
        let block = self.block(at + 6, length)?;
        let cleaned = without_gps(&block);
        if cleaned.len() == block.len() {
            return self.add_difference(at + 6, &block, &cleaned);
        }
        // What can't be understood goes: all of it, or its beginning where nobody knows its end.
        let length = if in_segment { 6 + block.len() } else { EXIF_LITTLE.len() };
        self.add(at, vec![0; length])
    }

    fn bare_block(&mut self, at: u64) -> Result<(), Error> {
        let block = self.block(at, BLOCK_BYTES_MAX)?;
        let cleaned = without_gps(&block);
        // What can't be understood may be anything, pixels too, and stays.
        if cleaned.len() == block.len() { self.add_difference(at, &block, &cleaned) } else { Ok(()) }
    }

    /// Makes a box with a place one that nobody reads.
    fn place_box(&mut self, at: u64) -> Result<(), Error> {
        let mut length = [0; 4];
        if at < 4 || self.read_at(at - 4, &mut length)? < 4 {
            return Ok(());
        }
        let length = u64::from(u32::from_be_bytes(length)).saturating_sub(8).min(BLOCK_BYTES_MAX);
        self.add(at, b"free".to_vec())?;
        self.add(at + 4, vec![0; length as usize])
    }

    fn xmp(&mut self, at: u64) -> Result<(), Error> {
        let mut packet = self.block(at, BLOCK_BYTES_MAX)?;
        let end = find(&packet, RDF_END).map_or(packet.len(), |end| end + RDF_END.len());
        packet.truncate(end);
        let mut cleaned = packet.clone();
        blank_places(&mut cleaned);
        self.add_difference(at, &packet, &cleaned)
    }

    fn directories(&mut self) -> Result<(), Error> {
        let found = match Directories::open_raw(self.source) {
            Ok(mut directories) => position_in_tiff(&mut directories)?,
            Err(Error::Read(e)) => return Err(Error::Read(e)),
            Err(_) => return Ok(()),
        };
        found.into_iter().try_for_each(|(at, bytes)| self.add(at, bytes))
    }

    /// Looks into the metadata of JPEG XL that is packed, and makes what names a place a box that nobody reads.
    fn packed_boxes(&mut self) -> Result<(), Error> {
        let (mut at, mut head) = (0, [0; 12]);
        while self.read_at(at, &mut head)? == head.len() {
            let [a, b, c, d, kind @ .., e, f, g, h] = head;
            let length = match u32::from_be_bytes([a, b, c, d]) {
                0 => u64::MAX,
                1 => {
                    let mut long = [0; 8];
                    self.read_at(at + 8, &mut long)?;
                    u64::from_be_bytes(long).max(16)
                }
                length => u64::from(length.max(8)),
            };
            if &kind == b"brob" && matches!(&[e, f, g, h], b"Exif" | b"xml ") && length >= 12 {
                let packed = self.block(at + 12, length - 12)?;
                let plain = jxl::unpacked(&packed);
                self.looked_bytes += plain.len() as u64;
                if plain.is_empty() || names_place(&plain) {
                    self.add(at + 4, b"free\0\0\0\0".to_vec())?;
                    self.add(at + 12, vec![0; packed.len()])?;
                }
            }
            let Some(next) = at.checked_add(length) else { break };
            at = next;
        }
        Ok(())
    }

    fn chunks_of_webp(&mut self) -> Result<(), Error> {
        let mut at = 12;
        let mut head = [0; 8];
        while self.read_at(at, &mut head)? == head.len() {
            let [kind @ .., a, b, c, d] = head;
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            at += 8;
            // With its name before it, the block is found by the search through everything.
            if &kind == b"EXIF" {
                let block = self.block(at, length)?;
                if !block.starts_with(b"Exif\0\0") {
                    let mut cleaned = without_gps(&block);
                    cleaned.resize(block.len(), 0);
                    self.add_difference(at, &block, &cleaned)?;
                }
            }
            at += length.next_multiple_of(2);
        }
        Ok(())
    }

    fn chunks_of_png(&mut self) -> Result<(), Error> {
        let mut at = 8;
        let mut head = [0; 8];
        while self.read_at(at, &mut head)? == head.len() {
            let [a, b, c, d, kind @ ..] = head;
            let length = u64::from(u32::from_be_bytes([a, b, c, d]));
            if matches!(&kind, b"eXIf" | b"iTXt" | b"tEXt" | b"zTXt") {
                self.chunk_of_png(at, kind, length)?;
            }
            at += 12 + length;
        }
        Ok(())
    }

    fn chunk_of_png(&mut self, at: u64, kind: [u8; 4], length: u64) -> Result<(), Error> {
        let data = self.block(at + 8, length)?;
        let cleaned = match &kind {
            b"eXIf" => Some(without_gps(&data)).filter(|cleaned| cleaned.len() as u64 == length),
            b"iTXt" if data.starts_with(b"XML:com.adobe.xmp\0\0") && data.len() as u64 == length => {
                let mut cleaned = data.clone();
                blank_places(&mut cleaned);
                Some(cleaned)
            }
            // Compressed, or written as text by old programs: what is in there is not worth unpacking.
            _ if data.starts_with(b"XML:com.adobe.xmp\0") || data.starts_with(b"Raw profile type ") => None,
            _ => return Ok(()),
        };
        // What can't be cleaned becomes an empty comment.
        let (kind, cleaned) = match cleaned {
            Some(cleaned) if cleaned == data => return Ok(()),
            Some(cleaned) => (kind, cleaned),
            None => {
                let mut comment = b"Comment\0".to_vec();
                comment.resize(data.len(), b' ');
                (*b"tEXt", comment)
            }
        };
        let code = crc32(kind.iter().chain(&cleaned).copied());
        self.add(at + 4, kind.to_vec())?;
        let end = at + 8 + length;
        self.add(at + 8, cleaned)?;
        self.add(end, code.to_be_bytes().to_vec())
    }
}

/// What the search through everything finds.
enum Found {
    Exif,
    Box,
    Xmp,
    Bare,
}

/// Whether this begins as a block of directories does.
fn is_block(bytes: &[u8]) -> bool {
    bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*")
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Puts spaces in place of the values of everything whose name begins with `GPS`: attributes and elements.
fn blank_places(packet: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = find(&packet[at..], b":GPS") {
        let name = at + found + 4;
        let end =
            packet[name..].iter().position(|b| !b.is_ascii_alphanumeric()).map_or(packet.len(), |n| name + n);
        at = blank_value(packet, end);
    }
}

/// Blanks the value behind a name that ends at `end`; returns where the search goes on.
fn blank_value(packet: &mut [u8], end: usize) -> usize {
    let mut at = end;
    while packet.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    let until = if packet.get(at) == Some(&b'=') {
        at += 1;
        while packet.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let Some(quote @ (b'"' | b'\'')) = packet.get(at).copied() else { return end };
        at += 1;
        quote
    } else {
        // An element; it may have attributes of its own, and elements inside it.
        let Some(open) = packet[at..].iter().position(|b| *b == b'>') else { return end };
        at += open + 1;
        b'<'
    };
    while let Some(byte) = packet.get_mut(at).filter(|byte| **byte != until) {
        *byte = b' ';
        at += 1;
    }
    at
}

/// The check code of PNG (ISO 3309).
fn crc32(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |code, byte| {
        (0..8).fold(
            code ^ u32::from(byte),
            |code, _| {
                if code & 1 == 1 { code >> 1 ^ 0xedb8_8320 } else { code >> 1 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use img_parts::ImageEXIF;

    use super::super::ifd::{ExifFields, Field};
    use super::super::metadata::Metadata;
    use super::super::probe::probe_bytes;
    use super::*;

    const SECRET: [u32; 6] = [48, 1, 8, 1, 15, 1];

    fn block() -> Vec<u8> {
        let fields = ExifFields {
            main: vec![Field { tag: 0x010f, kind: 2, data: b"Lumen Works\0".to_vec() }],
            exif: Vec::new(),
            gps: vec![
                Field { tag: 1, kind: 2, data: b"N\0".to_vec() },
                Field { tag: 2, kind: 5, data: SECRET.map(u32::to_le_bytes).concat() },
                Field { tag: 3, kind: 2, data: b"E\0".to_vec() },
                Field { tag: 4, kind: 5, data: SECRET.map(u32::to_le_bytes).concat() },
            ],
        };
        fields.to_block().unwrap()
    }

    fn cleaned(file: &[u8]) -> Vec<u8> {
        let found = redactions(&mut Cursor::new(file)).unwrap();
        let again = Redaction::read(&Redaction::write(&found)).unwrap();
        assert_eq!(again, found);
        let whole = Redaction::apply(&found, 0, Bytes::copy_from_slice(file)).to_vec();
        // Cut into pieces, whatever their length, it is the same.
        for length in [1, 7, 1000] {
            let pieces: Vec<u8> = file
                .chunks(length)
                .enumerate()
                .flat_map(|(i, piece)| {
                    Redaction::apply(&found, (i * length) as u64, Bytes::copy_from_slice(piece)).to_vec()
                })
                .collect();
            assert!(pieces == whole, "{length}");
        }
        assert_eq!(whole.len(), file.len());
        whole
    }

    fn tells_place(file: &[u8]) -> bool {
        let secret = SECRET.map(u32::to_le_bytes).concat();
        find(file, &secret).is_some()
    }

    fn files() -> Vec<(&'static str, Vec<u8>)> {
        use super::super::encode::{EncodeOptions, encode};
        use super::super::format::Format;
        use super::super::pixels::{Channels, Image, Samples};

        let pixels = vec![100; 16 * 16 * 3];
        let image = Image { width: 16, height: 16, channels: Channels::Rgb, samples: Samples::U8(pixels) };
        let plain = |format| Bytes::from(encode(&image, &EncodeOptions::new(format)).unwrap());
        let exif = Some(Bytes::from(block()));
        let mut jpeg = img_parts::jpeg::Jpeg::from_bytes(plain(Format::Jpeg)).unwrap();
        jpeg.set_exif(exif.clone());
        let mut png = img_parts::png::Png::from_bytes(plain(Format::Png)).unwrap();
        png.set_exif(exif.clone());
        let mut webp = img_parts::webp::WebP::from_bytes(plain(Format::Webp)).unwrap();
        webp.set_exif(exif);
        vec![
            ("jpeg", jpeg.encoder().bytes().to_vec()),
            ("png", png.encoder().bytes().to_vec()),
            ("webp", webp.encoder().bytes().to_vec()),
            ("tiff", tiff(plain(Format::Tiff).to_vec())),
        ]
    }

    /// Hangs a directory with a place behind a TIFF file: its main directory is copied there, one entry longer.
    fn tiff(mut file: Vec<u8>) -> Vec<u8> {
        let u16_at = |file: &[u8], at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
        assert_eq!(&file[..2], b"II");
        let main = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
        let count = usize::from(u16_at(&file, main));
        let entries = file[main + 2..main + 2 + count * 12].to_vec();
        file.resize(file.len().next_multiple_of(2), 0);
        let gps = file.len();
        file.extend(1_u16.to_le_bytes());
        file.extend([2, 0, 5, 0, 3, 0, 0, 0]);
        file.extend((gps as u32 + 18).to_le_bytes());
        file.extend([0; 4]);
        file.extend(SECRET.map(u32::to_le_bytes).concat());
        let new_main = file.len() as u32;
        file.extend((count as u16 + 1).to_le_bytes());
        file.extend(entries);
        file.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0]);
        file.extend((gps as u32).to_le_bytes());
        file.extend([0; 4]);
        file[4..8].copy_from_slice(&new_main.to_le_bytes());
        file
    }

    #[test]
    fn the_place_goes_and_the_picture_stays() {
        for (name, file) in files() {
            let before = probe_bytes(&file).unwrap();
            assert!(tells_place(&file) && before.metadata.position.is_some() || name == "tiff", "{name}");
            let clean = cleaned(&file);
            assert!(!tells_place(&clean), "{name}");
            let after = probe_bytes(&clean).unwrap();
            assert_eq!((after.width, after.metadata.position), (16, None), "{name}");
            assert_eq!(after.metadata.camera_make, before.metadata.camera_make, "{name}");
            super::super::decode_bytes(&clean, &options()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(cleaned(&clean) == clean, "{name}: nothing is left to be done");
        }
    }

    fn options() -> super::super::Options<'static> {
        static BUDGET: std::sync::LazyLock<super::super::Budget> =
            std::sync::LazyLock::new(|| super::super::Budget::new(1 << 28));
        super::super::Options::new(super::super::Limits { max_pixels: 1 << 20 }, &BUDGET)
    }

    #[test]
    fn a_picture_behind_the_picture_is_found_too() {
        let (_, jpeg) = files().remove(0);
        let mut file = cleaned(&jpeg);
        file.extend(vec![7; 300_000]);
        file.extend(&jpeg);
        assert!(tells_place(&file) && !tells_place(&cleaned(&file)));
        // Also where the windows of the search meet.
        let at = find(&jpeg, b"Exif").unwrap();
        for shift in 0..12 {
            let mut file = vec![7; 256 * 1024 - at - shift];
            file.extend(&jpeg);
            let found = redactions(&mut Cursor::new(&file)).unwrap();
            assert!(!tells_place(&Redaction::apply(&found, 0, file.into())), "{shift}");
        }
    }

    #[test]
    fn a_block_that_nobody_understands_goes_whole() {
        let mut jpeg = files().remove(0).1;
        let at = find(&jpeg, b"II*\0").unwrap();
        jpeg[at + 4..at + 8].fill(0xff);
        let clean = cleaned(&jpeg);
        assert!(!tells_place(&clean));
        assert!(Metadata::read(&clean[at..]).camera_make.is_none());
        assert!(probe_bytes(&clean).is_ok());
    }

    #[test]
    fn damaged_files_keep_their_length_and_break_nothing() {
        let mut state = 1_u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for (name, whole) in files() {
            for round in 0..300 {
                let mut file = whole.clone();
                for _ in 0..=round % 8 {
                    let at = random(file.len());
                    file[at] = [0, 0xff, 0x7f, b'I', random(256) as u8][random(5)];
                }
                file.truncate(file.len() - random(2) * random(file.len()));
                let found = redactions(&mut Cursor::new(&file)).unwrap_or_default();
                let length = file.len();
                assert_eq!(Redaction::apply(&found, 0, file.into()).len(), length, "{name} {round}");
            }
        }
    }

    #[test]
    fn the_box_of_a_raw_file_goes() {
        let mut file = b"\0\0\0\x10ftypcrx \0\0\0\x01".to_vec();
        file.extend((block().len() as u32 + 8).to_be_bytes());
        file.extend(b"CMT4");
        file.extend(block());
        file.extend(b"\0\0\0\x08mdat CMT4 is only a word here");
        let clean = cleaned(&file);
        assert!(!tells_place(&clean) && find(&clean, b"free\0\0\0").is_some());
        assert!(find(&clean, b"mdat CMT4 is").is_some());
    }

    #[test]
    fn xmp_loses_its_places_and_nothing_else() {
        let packet = br#"<x:xmpmeta><rdf:RDF xmlns:exif="u"><rdf:Description exif:GPSLatitude="48,8.25N"
            exif:GPSLongitude = '11,34E' dc:title="My GPS walk"><exif:GPSAltitude>519/1</exif:GPSAltitude>
            <dc:subject>GPS</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta> exif:GPSLatitude="outside""#;
        let text = String::from_utf8(cleaned(packet)).unwrap();
        for gone in ["48,8", "11,34", "519"] {
            assert!(!text.contains(gone), "{text}");
        }
        for kept in
            ["My GPS walk", "<dc:subject>GPS<", "</exif:GPSAltitude>", "\"outside\"", "exif:GPSLatitude=\" "]
        {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        for odd in
            ["<rdf:RDF :GPS", "<rdf:RDF :GPSa=", "<rdf:RDF :GPSa='x", "<rdf:RDF :GPSa>x", "<rdf:RDF :GPS=="]
        {
            cleaned(odd.as_bytes());
        }
    }

    #[test]
    fn what_old_programs_hide_in_a_png_goes() {
        let png = &files()[1].1;
        let mut chunk = b"zTXtRaw profile type exif\0\0packed".to_vec();
        let length = (chunk.len() as u32 - 4).to_be_bytes();
        let code = crc32(chunk.iter().copied()).to_be_bytes();
        chunk = [&length[..], &chunk, &code].concat();
        let mut file = png.clone();
        file.splice(33..33, chunk);
        let clean = cleaned(&file);
        assert!(find(&clean, b"packed").is_none() && find(&clean, b"tEXtComment\0   ").is_some());
        assert!(probe_bytes(&clean).is_ok());
    }
}
