//! Still pictures in ISO media files: HEIF (ISO/IEC 23008-12), HEIC where they are coded as HEVC and AVIF where as AV1.
//! Reads the primary picture, in one piece or as a grid of tiles, with its alpha, colour, turn and metadata.
//!
//! How a picture has to be turned is said by the file and not by its EXIF block, which may say it too: of the block's
//! orientation only the file's is left, so that nobody turns twice.

use super::bmff::{self, Bytes, Outline};
use super::colour::{is_wide_range, profile_of_coding, to_screen_range};
use super::decode::Pixels;
use super::error::Error;
use super::ifd;
use super::orientation::Orientation;
use super::pixels::{Channels, Image, Samples};
use super::probe::{Colour, Header};
use super::source::{ReadSeek, Scan};
use super::yuv::{self, Coding, Target};
use super::{av1, hevc};

/// The longest list of what is in the file; a picture of 192 tiles has some 20 kilobytes.
const MAX_META_BYTES: u64 = 4 << 20;

/// Things in one file, and tiles of one picture.
const MAX_ITEMS: usize = 10_000;
const MAX_TILES: u32 = 4096;

/// EXIF blocks and XMP packets longer than this are not metadata that anybody reads.
const MAX_METADATA_BYTES: u64 = 1 << 20;

/// What the decoders need for each pixel of a tile of 8 bits, with its planes: 15 for AV1 and 6 for HEVC on a photograph of
/// 3 megapixels, and half as much again.
const TILE_BYTES_PER_PIXEL: u64 = 24;

/// A picture as the file describes it.
#[derive(Debug)]
pub(super) struct Picture {
    items: Items,
    tiles: Vec<u32>,
    alpha_tiles: Vec<u32>,
    /// Tiles beside each other, and their size.
    columns: u32,
    tile: (u32, u32),
    /// The part that is shown begins here.
    corner: (u32, u32),
    width: u32,
    height: u32,
    bit_depth: u8,
    is_gray: bool,
    /// Whether colours are multiplied by alpha.
    is_premultiplied: bool,
    coding: Option<Coding>,
    icc: Option<Vec<u8>>,
    pub(super) orientation: Orientation,
    exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
}

/// Reads what a file says about its primary picture.
pub(super) fn open(source: &mut dyn ReadSeek, name: &'static str) -> Result<Picture, Error> {
    let scan = &mut Scan::new(source, name)?;
    let length = scan.length();
    let boxes = bmff::outlines(scan, 0, length)?;
    let find = |kind: &[u8; 4]| boxes.iter().find(|outline| outline.kind == *kind).copied();
    let Some(Outline { start, length, .. }) = find(b"meta") else {
        return Err(match find(b"moov") {
            Some(_) => Error::unsupported(name, "nothing but a film"),
            None => Error::Truncated { format: name },
        });
    };
    if length > MAX_META_BYTES {
        return Err(Error::unsupported(name, "very much about the picture"));
    }
    scan.go_to(start)?;
    let meta = scan.block(length)?;
    let items = Items::read(meta, name).ok_or_else(|| Error::broken(name, "its lists make no sense"))?;
    items.picture(scan)
}

/// What the headers say, for limits and budget.
pub(super) fn header(picture: &Picture) -> Header {
    let colour = match (picture.is_gray, picture.alpha_tiles.is_empty()) {
        (true, true) => Colour::Gray,
        (true, false) => Colour::GrayAlpha,
        (false, true) => Colour::Rgb,
        (false, false) => Colour::Rgba,
    };
    let coded = u64::from(picture.tile.0 + 64) * u64::from(picture.tile.1 + 64);
    let depth = if picture.bit_depth > 8 { 2 } else { 1 };
    Header {
        has_icc: picture.profile().is_some(),
        exif: picture.exif.clone(),
        xmp: picture.xmp.clone(),
        orientation: Some(picture.orientation),
        extra_bytes: coded.saturating_mul(TILE_BYTES_PER_PIXEL * depth) + (4 << 20),
        // The coded bytes of a tile, and what is left of them without padding.
        file_copies: 2,
        ..Header::new(picture.width, picture.height, picture.bit_depth, colour)
    }
}

/// Decodes the picture.
pub(super) fn decode(source: &mut dyn ReadSeek, picture: &Picture) -> Result<Pixels, Error> {
    let name = picture.items.name;
    let scan = &mut Scan::new(source, name)?;
    let channels = match (picture.is_gray, picture.alpha_tiles.is_empty()) {
        (true, true) => Channels::Gray,
        (true, false) => Channels::GrayAlpha,
        (false, true) => Channels::Rgb,
        (false, false) => Channels::Rgba,
    };
    let samples = picture.width as usize * picture.height as usize * channels.count();
    let samples =
        if picture.bit_depth > 8 { Samples::U16(vec![0; samples]) } else { Samples::U8(vec![0; samples]) };
    let mut image = Image { width: picture.width, height: picture.height, channels, samples };
    let coded = picture.paint(scan, &picture.tiles, Target::Colour, &mut image)?;
    if !picture.alpha_tiles.is_empty() {
        picture.paint(scan, &picture.alpha_tiles, Target::Alpha, &mut image)?;
        if picture.is_premultiplied {
            divide_by_alpha(&mut image);
        }
    }
    let coding = picture.coding.unwrap_or(coded);
    // A profile speaks for itself.
    if picture.icc.is_none() && is_wide_range(coding) {
        to_screen_range(&mut image, coding);
    }
    let icc = picture.icc.clone().or_else(|| profile_of_coding(coding));
    Ok(Pixels { image, icc, exif: picture.exif.clone(), reduction: 1.0 })
}

impl Picture {
    /// Decodes tiles one after the other and paints them. Gives what the last one said about its colours.
    fn paint(
        &self,
        scan: &mut Scan<'_>,
        tiles: &[u32],
        target: Target,
        image: &mut Image,
    ) -> Result<Coding, Error> {
        let mut coding = Coding::UNSAID;
        for (tile, index) in tiles.iter().zip(0_u32..) {
            let (column, row) = (index % self.columns, index / self.columns);
            let at = (
                i64::from(column) * i64::from(self.tile.0) - i64::from(self.corner.0),
                i64::from(row) * i64::from(self.tile.1) - i64::from(self.corner.1),
            );
            let item = self.items.item(*tile)?;
            let bytes = self.items.bytes(scan, item, u64::MAX)?;
            match &item.kind {
                b"av01" => av1::decode(&bytes, self.tile, |frame, said| {
                    coding = match target {
                        Target::Colour => self.coding.unwrap_or(said),
                        Target::Alpha => said,
                    };
                    yuv::paint(image, frame, coding, at, target);
                })?,
                _ => {
                    let configuration =
                        self.items.property(item, b"hvcC").and_then(hevc::Configuration::read);
                    let configuration = configuration
                        .ok_or_else(|| Error::broken(self.items.name, "nothing says how it is coded"))?;
                    coding = match target {
                        Target::Colour => self.coding.unwrap_or(Coding::UNSAID),
                        Target::Alpha => self.items.coding(item).unwrap_or(Coding::UNSAID),
                    };
                    hevc::decode(&configuration, &bytes, self.tile, |frame| {
                        yuv::paint(image, frame, coding, at, target);
                    })?;
                }
            }
        }
        Ok(coding)
    }

    fn profile(&self) -> Option<Vec<u8>> {
        self.icc.clone().or_else(|| profile_of_coding(self.coding?))
    }
}

/// Takes the multiplication by alpha back.
pub(super) fn divide_by_alpha(image: &mut Image) {
    fn divide<T: Copy + Into<u32> + TryFrom<u32>>(samples: &mut [T], channels: usize, full: u32) {
        for pixel in samples.chunks_exact_mut(channels) {
            let alpha: u32 = pixel[channels - 1].into();
            if alpha == 0 || alpha == full {
                continue;
            }
            for sample in &mut pixel[..channels - 1] {
                let value: u32 = (*sample).into();
                let divided = (u64::from(value) * u64::from(full) + u64::from(alpha) / 2) / u64::from(alpha);
                *sample = T::try_from(divided.min(u64::from(full)) as u32).unwrap_or(*sample);
            }
        }
    }
    let channels = image.channels.count();
    match &mut image.samples {
        Samples::U8(samples) => divide(samples, channels, 255),
        Samples::U16(samples) => divide(samples, channels, 65_535),
    }
}

/// One thing in the file: a picture, a tile, a block of metadata.
#[derive(Debug, Default, Clone)]
struct Item {
    id: u32,
    kind: [u8; 4],
    content_type: Vec<u8>,
    /// Whether its bytes lie in the list itself.
    is_inside: bool,
    extents: Vec<(u64, u64)>,
    /// Numbers of its properties, from 1.
    properties: Vec<usize>,
}

/// A reference from one thing to others.
#[derive(Debug)]
struct Reference {
    kind: [u8; 4],
    from: u32,
    to: Vec<u32>,
}

/// All that the list at the beginning of a file says.
#[derive(Debug)]
struct Items {
    name: &'static str,
    primary: u32,
    items: Vec<Item>,
    references: Vec<Reference>,
    /// Letters and content of each property.
    properties: Vec<([u8; 4], Vec<u8>)>,
    /// What lies in the list itself.
    inside: Vec<u8>,
}

impl Items {
    /// Reads the content of a `meta` box.
    fn read(meta: Vec<u8>, name: &'static str) -> Option<Self> {
        let mut content = Bytes(&meta);
        content.version()?;
        let mut this = Self {
            name,
            primary: 0,
            items: Vec::new(),
            references: Vec::new(),
            properties: Vec::new(),
            inside: Vec::new(),
        };
        this.read_infos(content.find(b"iinf")?)?;
        let mut primary = content.find(b"pitm")?;
        let (version, _) = primary.version()?;
        this.primary = primary.number(if version == 0 { 2 } else { 4 })? as u32;
        this.read_places(content.find(b"iloc")?)?;
        let properties = content.find(b"iprp")?;
        let all = properties.find(b"ipco")?;
        this.properties = all.boxes().take(MAX_ITEMS).map(|(kind, bytes)| (kind, bytes.0.to_vec())).collect();
        for (_, list) in properties.boxes().filter(|(kind, _)| kind == b"ipma") {
            this.read_associations(list)?;
        }
        if let Some(references) = content.find(b"iref") {
            this.read_references(references)?;
        }
        this.inside = content.find(b"idat").map(|bytes| bytes.0.to_vec()).unwrap_or_default();
        Some(this)
    }

    fn read_infos(&mut self, mut list: Bytes<'_>) -> Option<()> {
        let (version, _) = list.version()?;
        let count = list.number(if version == 0 { 2 } else { 4 })? as usize;
        for (kind, mut info) in list.boxes().take(count.min(MAX_ITEMS)) {
            if &kind != b"infe" {
                continue;
            }
            let (version, _) = info.version()?;
            // Older ones have no kind and no pictures.
            if version < 2 {
                continue;
            }
            let id = info.number(if version == 2 { 2 } else { 4 })? as u32;
            info.u16()?;
            let kind: [u8; 4] = info.take(4)?.try_into().ok()?;
            let mut content_type = Vec::new();
            if &kind == b"mime" {
                info.text()?;
                content_type = info.text().unwrap_or(info.0).to_vec();
                // Packed ones are nothing that anybody writes.
                if info.text().is_some_and(|encoding| !encoding.is_empty()) {
                    content_type.clear();
                }
            }
            self.items.push(Item { id, kind, content_type, ..Item::default() });
        }
        Some(())
    }

    fn read_places(&mut self, mut list: Bytes<'_>) -> Option<()> {
        let (version, _) = list.version()?;
        let sizes = list.u16()?;
        let size = |shift: u16| usize::from(sizes >> shift & 15);
        let (offset_bytes, length_bytes, base_bytes) = (size(12), size(8), size(4));
        let index_bytes = if version > 0 { size(0) } else { 0 };
        if [offset_bytes, length_bytes, base_bytes, index_bytes].iter().any(|bytes| *bytes > 8) {
            return None;
        }
        let count = list.number(if version < 2 { 2 } else { 4 })?;
        let mut extents_left = MAX_ITEMS;
        for _ in 0..count.min(MAX_ITEMS as u64) {
            let id = list.number(if version < 2 { 2 } else { 4 })? as u32;
            let construction = if version > 0 { list.u16()? & 15 } else { 0 };
            let elsewhere = list.u16()? != 0;
            let base = list.number(base_bytes)?;
            let extents = list.u16()?;
            let item = self.items.iter_mut().find(|item| item.id == id);
            let mut found = Vec::new();
            for _ in 0..extents {
                extents_left = extents_left.checked_sub(1)?;
                list.number(index_bytes)?;
                found.push((base.checked_add(list.number(offset_bytes)?)?, list.number(length_bytes)?));
            }
            if let Some(item) = item
                && construction < 2
                && !elsewhere
            {
                item.is_inside = construction == 1;
                item.extents = found;
            }
        }
        Some(())
    }

    fn read_associations(&mut self, mut list: Bytes<'_>) -> Option<()> {
        let (version, flags) = list.version()?;
        for _ in 0..list.u32()?.min(MAX_ITEMS as u32) {
            let id = list.number(if version == 0 { 2 } else { 4 })? as u32;
            let mut numbers = Vec::new();
            for _ in 0..list.u8()? {
                let number = if flags & 1 == 1 { list.u16()? & 0x7fff } else { u16::from(list.u8()? & 0x7f) };
                numbers.push(usize::from(number));
            }
            if let Some(item) = self.items.iter_mut().find(|item| item.id == id) {
                item.properties.extend(numbers);
                item.properties.truncate(255);
            }
        }
        Some(())
    }

    fn read_references(&mut self, mut list: Bytes<'_>) -> Option<()> {
        let (version, _) = list.version()?;
        let bytes = if version == 0 { 2 } else { 4 };
        for (kind, mut reference) in list.boxes().take(MAX_ITEMS) {
            let from = reference.number(bytes)? as u32;
            let count = reference.u16()?;
            let to = (0..count).map(|_| Some(reference.number(bytes)? as u32)).collect::<Option<Vec<_>>>()?;
            self.references.push(Reference { kind, from, to });
        }
        Some(())
    }

    fn item(&self, id: u32) -> Result<&Item, Error> {
        let found = self.items.iter().find(|item| item.id == id);
        found.ok_or_else(|| Error::broken(self.name, "it refers to what is not there"))
    }

    /// The properties of an item, in their order.
    fn properties(&self, item: &Item) -> impl Iterator<Item = (&[u8; 4], Bytes<'_>)> {
        let numbers = item.properties.iter().filter_map(|number| number.checked_sub(1));
        numbers.filter_map(move |at| self.properties.get(at)).map(|(kind, bytes)| (kind, Bytes(bytes)))
    }

    fn property(&self, item: &Item, wanted: &[u8; 4]) -> Option<Bytes<'_>> {
        self.properties(item).find(|(kind, _)| *kind == wanted).map(|(_, bytes)| bytes)
    }

    /// The size that the file gives an item.
    fn size(&self, item: &Item) -> Result<(u32, u32), Error> {
        let size = self.property(item, b"ispe").and_then(|mut bytes| {
            bytes.version()?;
            Some((bytes.u32()?, bytes.u32()?))
        });
        size.filter(|size| size.0 > 0 && size.1 > 0 && size.0 < 1 << 30 && size.1 < 1 << 30)
            .ok_or_else(|| Error::broken(self.name, "nothing says how large it is"))
    }

    /// What a `colr` box says in numbers.
    fn coding(&self, item: &Item) -> Option<Coding> {
        self.properties(item).find_map(|(kind, mut bytes)| {
            if kind != b"colr" || bytes.take(4)? != b"nclx" {
                return None;
            }
            let (primaries, transfer, matrix) = (bytes.u16()?, bytes.u16()?, bytes.u16()?);
            Some(Coding { primaries, transfer, matrix, full_range: bytes.u8()? & 0x80 != 0 })
        })
    }

    fn icc(&self, item: &Item) -> Option<Vec<u8>> {
        self.properties(item).find_map(|(kind, mut bytes)| {
            (kind == b"colr" && matches!(bytes.take(4)?, b"prof" | b"rICC")).then(|| bytes.0.to_vec())
        })
    }

    /// The bytes of an item, which are in the file.
    fn bytes(&self, scan: &mut Scan<'_>, item: &Item, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let total = item.extents.iter().fold(0_u64, |total, (_, length)| total.saturating_add(*length));
        // Pieces may not overlap so that a small file becomes a large one.
        if total > scan.length().min(max_bytes) {
            return Err(Error::Truncated { format: self.name });
        }
        if item.extents.len() > 1 && item.extents.iter().any(|(_, length)| *length == 0) {
            return Err(Error::broken(self.name, "a piece without a length"));
        }
        let mut bytes = Vec::new();
        for (at, length) in &item.extents {
            if item.is_inside {
                let at = usize::try_from(*at).unwrap_or(usize::MAX);
                let piece = self.inside.get(at..).and_then(|rest| rest.get(..*length as usize));
                bytes.extend_from_slice(piece.ok_or(Error::Truncated { format: self.name })?);
            } else {
                // Without a length it goes to the end.
                let length = if *length == 0 { scan.length().saturating_sub(*at) } else { *length };
                scan.go_to(*at)?;
                bytes.extend(scan.block(length.min(max_bytes))?);
            }
        }
        Ok(bytes)
    }

    fn references(&self, kind: &[u8; 4], from: u32) -> Vec<u32> {
        let matching = self.references.iter().filter(|found| found.kind == *kind && found.from == from);
        matching.flat_map(|found| found.to.iter().copied()).collect()
    }

    /// Takes the primary picture apart.
    fn picture(self, scan: &mut Scan<'_>) -> Result<Picture, Error> {
        let primary = self.item(self.primary)?.clone();
        let (full_width, full_height) = self.size(&primary)?;
        let layout = self.layout(scan, &primary)?;
        let first = self.item(layout.tiles[0])?;
        let (bit_depth, is_gray) = self.depth(first)?;
        let alpha = self.alpha(scan, &layout);
        let coding = self.coding(&primary).or_else(|| self.coding(first));
        let icc = self.icc(&primary).or_else(|| self.icc(first));
        let (corner, (width, height), orientation) = self.transform(&primary, (full_width, full_height));
        let exif = self.exif(scan).map(|exif| ifd::with_orientation(exif, orientation));
        let xmp = self.xmp(scan);
        let (alpha_item, alpha_tiles) = alpha.unwrap_or_default();
        let is_premultiplied =
            alpha_item != 0 && self.references(b"prem", self.primary).contains(&alpha_item);
        Ok(Picture {
            tiles: layout.tiles,
            alpha_tiles,
            columns: layout.columns,
            tile: layout.tile,
            corner,
            width,
            height,
            bit_depth,
            is_gray,
            is_premultiplied,
            coding,
            icc,
            orientation,
            exif,
            xmp,
            items: self,
        })
    }

    /// Which tiles a picture consists of; one that is coded in one piece is its own.
    fn layout(&self, scan: &mut Scan<'_>, item: &Item) -> Result<Layout, Error> {
        let size = self.size(item)?;
        match &item.kind {
            b"hvc1" | b"av01" => return Ok(Layout { tiles: vec![item.id], columns: 1, rows: 1, tile: size }),
            b"grid" => {}
            b"iovl" | b"iden" | b"tmap" => {
                return Err(Error::unsupported(self.name, "pictures that are put together"));
            }
            _ => return Err(Error::unsupported(self.name, "a compression that is not HEVC or AV1")),
        }
        let broken = || Error::broken(self.name, "a grid that makes no sense");
        let bytes = self.bytes(scan, item, 64)?;
        let mut bytes = Bytes(&bytes);
        let mut read = || {
            bytes.u8()?;
            let number_bytes = if bytes.u8()? & 1 == 1 { 4 } else { 2 };
            let (rows, columns) = (u32::from(bytes.u8()?) + 1, u32::from(bytes.u8()?) + 1);
            Some((rows, columns, (bytes.number(number_bytes)? as u32, bytes.number(number_bytes)? as u32)))
        };
        let (rows, columns, shown) = read().ok_or_else(broken)?;
        let tiles = self.references(b"dimg", item.id);
        if shown != size || tiles.len() as u64 != u64::from(rows * columns) {
            return Err(broken());
        }
        if rows * columns > MAX_TILES {
            return Err(Error::unsupported(self.name, "very many tiles"));
        }
        let tile = self.size(self.item(tiles[0])?)?;
        // All of them are of one size, and none lies outside.
        let fits = |tile: u32, count: u32, size: u32| {
            let (tile, count, size) = (u64::from(tile), u64::from(count), u64::from(size));
            tile * (count - 1) < size && tile * count >= size && tile < size.saturating_mul(2) + 1024
        };
        if !fits(tile.0, columns, size.0) || !fits(tile.1, rows, size.1) {
            return Err(broken());
        }
        for id in &tiles {
            let found = self.item(*id)?;
            if self.size(found)? != tile || !matches!(&found.kind, b"hvc1" | b"av01") {
                return Err(broken());
            }
        }
        Ok(Layout { tiles, columns, rows, tile })
    }

    /// The picture that says how transparent the primary one is; one that does not fit it counts as none.
    fn alpha(&self, scan: &mut Scan<'_>, layout: &Layout) -> Option<(u32, Vec<u32>)> {
        let of_primary = |id: &u32| self.references(b"auxl", *id).contains(&self.primary);
        let is_alpha = |item: &Item| {
            self.property(item, b"auxC").is_some_and(|mut bytes| {
                bytes.version();
                let kind = bytes.text().unwrap_or(bytes.0);
                matches!(kind, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha" | b"urn:mpeg:hevc:2015:auxid:1")
            })
        };
        let sources = self.references.iter().filter(|found| &found.kind == b"auxl").map(|found| found.from);
        for id in sources.filter(of_primary).take(16) {
            let Ok(item) = self.item(id) else { continue };
            if !is_alpha(item) {
                continue;
            }
            let fitting = self.layout(scan, item).ok().filter(|found| {
                (found.columns, found.rows, found.tile) == (layout.columns, layout.rows, layout.tile)
            });
            return fitting.map(|found| (id, found.tiles));
        }
        None
    }

    /// Bits of a sample, and whether there is no colour.
    fn depth(&self, item: &Item) -> Result<(u8, bool), Error> {
        let found = match &item.kind {
            b"av01" => self
                .property(item, b"av1C")
                .and_then(av1::Configuration::read)
                .map(|found| (found.bit_depth, found.is_gray)),
            _ => self
                .property(item, b"hvcC")
                .and_then(hevc::Configuration::read)
                .map(|found| (found.bit_depth, found.is_gray)),
        };
        found.ok_or_else(|| Error::broken(self.name, "nothing says how it is coded"))
    }

    /// The part that is shown and how it is turned: the corner where it begins, its size, its orientation.
    fn transform(&self, item: &Item, full: (u32, u32)) -> ((u32, u32), (u32, u32), Orientation) {
        let (mut corner, mut size, mut orientation) = ((0, 0), full, Orientation::Normal);
        for (kind, mut bytes) in self.properties(item) {
            match kind {
                b"clap" if orientation == Orientation::Normal => {
                    if let Some(found) = clean_aperture(bytes, full) {
                        (corner, size) = found;
                    }
                }
                // Quarters against the clock.
                b"irot" => {
                    orientation = orientation.then(match bytes.u8().unwrap_or(0) & 3 {
                        0 => Orientation::Normal,
                        1 => Orientation::Rotate270,
                        2 => Orientation::Rotate180,
                        _ => Orientation::Rotate90,
                    });
                }
                b"imir" => {
                    orientation = orientation.then(match bytes.u8().unwrap_or(0) & 1 {
                        0 => Orientation::MirrorVertical,
                        _ => Orientation::MirrorHorizontal,
                    });
                }
                _ => {}
            }
        }
        (corner, size, orientation)
    }

    /// The EXIF block, beginning with its TIFF header, which the first four bytes point to.
    fn exif(&self, scan: &mut Scan<'_>) -> Option<Vec<u8>> {
        let item = self.items.iter().find(|item| &item.kind == b"Exif")?;
        let bytes = self.bytes(scan, item, MAX_METADATA_BYTES).ok()?;
        let mut rest = Bytes(&bytes);
        let start = rest.u32()? as usize;
        rest.take(start).or_else(|| rest.take(0))?;
        let block = rest.0.strip_prefix(b"Exif\0\0").unwrap_or(rest.0);
        (block.starts_with(b"II") || block.starts_with(b"MM")).then(|| block.to_vec())
    }

    fn xmp(&self, scan: &mut Scan<'_>) -> Option<Vec<u8>> {
        let item = self.items.iter().find(|item| item.content_type == b"application/rdf+xml")?;
        self.bytes(scan, item, MAX_METADATA_BYTES).ok()
    }
}

struct Layout {
    tiles: Vec<u32>,
    columns: u32,
    rows: u32,
    tile: (u32, u32),
}

/// The part of a picture that is meant to be seen (`clap`): eight numbers, being the fractions of its width, its height
/// and how far its middle lies from the picture's.
fn clean_aperture(mut bytes: Bytes<'_>, full: (u32, u32)) -> Option<((u32, u32), (u32, u32))> {
    let mut fraction = || {
        let (above, below) = (bytes.u32()? as i32, bytes.u32()?);
        (below > 0).then(|| f64::from(above) / f64::from(below))
    };
    let (width, height, right, down) = (fraction()?, fraction()?, fraction()?, fraction()?);
    let side = |full: u32, length: f64, shift: f64| {
        let start = ((f64::from(full) - length) / 2.0 + shift).round();
        let length = length.round();
        let inside = length >= 1.0 && start >= 0.0 && start + length <= f64::from(full);
        inside.then_some((start as u32, length as u32))
    };
    let ((left, width), (top, height)) = (side(full.0, width, right)?, side(full.1, height, down)?);
    Some(((left, top), (width, height)))
}
