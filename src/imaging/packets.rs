//! What programs wrote about a picture for people: the XMP packet (ISO 16684-1) and the IPTC-IIM records (IIM 4.2) of a
//! file, for display. Both are looked for only when somebody wants to see them. What is damaged says less.

use std::io::{Read, Seek};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::error::Error;
use super::format::Format;
use super::ifd::Directories;
use super::metadata::MetadataEntry;
use super::probe::Probe;
use super::source::{ReadSeek, Scan};

/// Packets longer than this are not written by people; most have a few kilobytes.
const PACKET_BYTES_MAX: u64 = 1 << 20;

/// Entries of one packet that are shown at most.
const ENTRIES_MAX: usize = 200;

/// A value is cut here; a caption is shorter.
const VALUE_CHARS_MAX: usize = 2000;

/// Elements inside one another; XMP needs a dozen.
const DEPTH_MAX: usize = 64;

/// Segments, chunks and tags of a file that are looked at.
const PARTS_MAX: usize = 10_000;

/// Lists what the file's XMP and IPTC say: entries of the groups `XMP` and `IPTC`. What repeats the EXIF block, settings of
/// raw converters and histories of programs are left out.
pub fn written_entries<R: Read + Seek>(source: &mut R, probe: &Probe) -> Vec<MetadataEntry> {
    let found = Packets::find(source, probe).unwrap_or_default();
    let mut entries = found.xmp.as_deref().map(xmp_entries).unwrap_or_default();
    entries.extend(found.iptc.as_deref().map(iptc_entries).unwrap_or_default());
    entries
}

/// The raw packets of a file.
#[derive(Default)]
struct Packets {
    xmp: Option<Vec<u8>>,
    /// The records, beginning with the marker of the first data set.
    iptc: Option<Vec<u8>>,
}

impl Packets {
    fn find(source: &mut dyn ReadSeek, probe: &Probe) -> Result<Self, Error> {
        if probe.is_raw() {
            return Ok(Self::default());
        }
        match probe.format {
            Format::Jpeg => Self::in_jpeg(source),
            Format::Png => Self::in_png(source),
            Format::Webp => Self::in_webp(source),
            Format::Tiff => Self::in_tiff(source),
            _ => Ok(Self { xmp: probe.xmp.clone(), iptc: None }),
        }
    }

    fn in_jpeg(source: &mut dyn ReadSeek) -> Result<Self, Error> {
        const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
        const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
        let mut scan = Scan::new(source, "JPEG")?;
        let (mut found, mut resources) = (Self::default(), Vec::new());
        scan.skip(2)?;
        for _ in 0..PARTS_MAX {
            let mut marker = scan.u8()?;
            while marker == 0xff {
                marker = scan.u8()?;
            }
            match marker {
                0x00 | 0x01 | 0xd0..=0xd8 => continue,
                0xd9 | 0xda => break,
                _ => {}
            }
            let length = u64::from(scan.u16_be()?).saturating_sub(2);
            if !matches!(marker, 0xe1 | 0xed) {
                scan.skip(length)?;
                continue;
            }
            let body = scan.block(length)?;
            if let Some(packet) = body.strip_prefix(XMP).filter(|_| marker == 0xe1) {
                found.xmp.get_or_insert_with(|| packet.to_vec());
            }
            // Long ones are spread over several segments.
            if let Some(part) = body.strip_prefix(PHOTOSHOP).filter(|_| marker == 0xed) {
                resources.extend_from_slice(part);
            }
        }
        found.iptc = iptc_of_photoshop(&resources);
        Ok(found)
    }

    fn in_png(source: &mut dyn ReadSeek) -> Result<Self, Error> {
        let mut scan = Scan::new(source, "PNG")?;
        scan.skip(8)?;
        for _ in 0..PARTS_MAX {
            let (Ok(length), Ok(kind)) = (scan.u32_be(), scan.array::<4>()) else { break };
            let length = u64::from(length);
            if &kind == b"iTXt" && length <= PACKET_BYTES_MAX {
                let body = scan.block(length)?;
                // Compressed it may not be: Adobe's rules for XMP in PNG forbid it.
                if let Some(rest) = body.strip_prefix(b"XML:com.adobe.xmp\0\0\0") {
                    let mut parts = rest.splitn(3, |byte| *byte == 0);
                    return Ok(Self { xmp: parts.nth(2).map(<[u8]>::to_vec), iptc: None });
                }
                scan.skip(4)?;
            } else if scan.skip(length + 4).is_err() {
                break;
            }
        }
        Ok(Self::default())
    }

    fn in_webp(source: &mut dyn ReadSeek) -> Result<Self, Error> {
        let mut scan = Scan::new(source, "WebP")?;
        scan.skip(12)?;
        for _ in 0..PARTS_MAX {
            let (Ok(kind), Ok(length)) = (scan.array::<4>(), scan.u32_le()) else { break };
            let length = u64::from(length);
            if &kind == b"XMP " && length <= PACKET_BYTES_MAX {
                return Ok(Self { xmp: Some(scan.block(length)?), iptc: None });
            }
            if scan.skip(length + (length & 1)).is_err() {
                break;
            }
        }
        Ok(Self::default())
    }

    fn in_tiff(source: &mut dyn ReadSeek) -> Result<Self, Error> {
        const XMP: u16 = 700;
        const IPTC: u16 = 33_723;
        let mut directories = Directories::open(source)?;
        let first = directories.directory(directories.first)?;
        let mut value = |tag| {
            let value = directories.value(first.find(tag)?, PACKET_BYTES_MAX).ok()?;
            Some(value).filter(|value| !value.is_empty())
        };
        Ok(Self { xmp: value(XMP), iptc: value(IPTC) })
    }
}

// ---- XMP ----

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// The namespaces whose properties are for people, with what they are shown as when nothing better is known.
const SHOWN: [&str; 9] = [
    "http://purl.org/dc/elements/1.1/",
    "http://ns.adobe.com/xap/1.0/",
    "http://ns.adobe.com/xap/1.0/rights/",
    "http://ns.adobe.com/photoshop/1.0/",
    "http://ns.adobe.com/lightroom/1.0/",
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "http://ns.useplus.org/ldf/xmp/1.0/",
    "http://ns.google.com/photos/1.0/panorama/",
];

/// Dates and versions that only programs need, and histories.
const HIDDEN: [&str; 8] = [
    "MetadataDate",
    "ModifyDate",
    "Thumbnails",
    "DocumentAncestors",
    "History",
    "ICCProfile",
    "SidecarForExtension",
    "format",
];

/// What a property is called, for those whose names in the standard are not what people say.
fn title(name: &str) -> String {
    let known = match name {
        "title" => "Title",
        "description" => "Description",
        "creator" => "Creator",
        "subject" => "Keywords",
        "rights" => "Copyright",
        "hierarchicalSubject" => "Keyword tree",
        "Label" => "Label",
        "Rating" => "Rating",
        "CreateDate" => "Created",
        "CreatorTool" => "Made with",
        "DateCreated" => "Date of the picture",
        "CountryCode" => "Country code",
        "DigitalSourceType" => "How it was made",
        "UsageTerms" => "Terms of use",
        "WebStatement" => "Rights on the web",
        "PersonInImage" => "Persons",
        other => return other.to_owned(),
    };
    known.to_owned()
}

/// A property that is being read.
struct Property {
    name: String,
    depth: usize,
    /// Whether only the first of its values counts: the same in several languages.
    alternatives: bool,
    values: Vec<String>,
    text: String,
}

impl Property {
    fn end_item(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        let is_another = self.alternatives && !self.values.is_empty();
        if !text.is_empty() && !is_another {
            self.values.push(text.to_owned());
        }
    }
}

/// Reads a packet of XMP: simple properties, lists, and the default of what is there in several languages. Structures give
/// the text in them.
fn xmp_entries(packet: &[u8]) -> Vec<MetadataEntry> {
    let text = String::from_utf8_lossy(packet);
    let mut reader = NsReader::from_str(text.trim_end_matches('\0'));
    let mut entries = Vec::new();
    let mut open: Option<Property> = None;
    let mut depth = 0_usize;
    // An error is where the packet is damaged: what was read before it counts.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    break;
                }
                begin(&reader, &element, depth, &mut open, &mut entries);
            }
            Event::Empty(element) => {
                let mut nothing = None;
                let inside = open.is_some();
                begin(
                    &reader,
                    &element,
                    depth + 1,
                    if inside { &mut open } else { &mut nothing },
                    &mut entries,
                );
            }
            Event::Text(text) => {
                if let Some(property) = &mut open {
                    push(&mut property.text, &text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some(property) = &mut open {
                    push(&mut property.text, &text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(property) = &mut open {
                    let known = match &*reference {
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "amp" => Some('&'),
                        "apos" => Some('\''),
                        "quot" => Some('"'),
                        _ => reference.resolve_char_ref().ok().flatten(),
                    };
                    property.text.extend(known);
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if let Some(property) = &mut open {
                    property.end_item();
                    if depth < property.depth
                        && let Some(property) = open.take()
                    {
                        add(&mut entries, &property.name, &property.values.join(", "));
                    }
                }
            }
            Event::Eof => break,
            _ => {}
        }
        if entries.len() >= ENTRIES_MAX {
            break;
        }
    }
    entries.truncate(ENTRIES_MAX);
    entries
}

/// Begins an element: a property, a part of one, or a description whose attributes are properties.
fn begin(
    reader: &NsReader<&[u8]>,
    element: &BytesStart<'_>,
    depth: usize,
    open: &mut Option<Property>,
    entries: &mut Vec<MetadataEntry>,
) {
    let (namespace, local) = reader.resolver().resolve_element(element.name());
    if let Some(property) = open {
        let in_rdf = namespace == ResolveResult::Bound(Namespace(RDF));
        property.alternatives |= in_rdf && local.into_inner() == "Alt";
        return;
    }
    for attribute in element.attributes().flatten() {
        let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
        if is_shown(&namespace, name.into_inner())
            && let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0)
        {
            add(entries, name.into_inner(), &value);
        }
    }
    if is_shown(&namespace, local.into_inner()) {
        let name = local.into_inner().to_owned();
        *open = Some(Property { name, depth, alternatives: false, values: Vec::new(), text: String::new() });
    }
}

fn is_shown(namespace: &ResolveResult<'_>, name: &str) -> bool {
    matches!(namespace, ResolveResult::Bound(Namespace(uri)) if SHOWN.contains(uri))
        && !HIDDEN.contains(&name)
}

/// Appends as much as is ever shown.
fn push(text: &mut String, more: &str) {
    if text.len() < VALUE_CHARS_MAX * 4 {
        text.push_str(more);
    }
}

fn add(entries: &mut Vec<MetadataEntry>, name: &str, value: &str) {
    entries.extend(entry("XMP", title(name), value));
}

fn entry(group: &'static str, name: String, value: &str) -> Option<MetadataEntry> {
    let value: String = value
        .chars()
        .filter(|letter| !letter.is_control() || *letter == '\n')
        .take(VALUE_CHARS_MAX)
        .collect();
    let value = value.trim().to_owned();
    (!value.is_empty()).then_some(MetadataEntry { group, name, value })
}

// ---- IPTC ----

/// Finds the IPTC records among the resources that Photoshop keeps in JPEG files: `8BIM`, a number, a name, a length.
fn iptc_of_photoshop(mut resources: &[u8]) -> Option<Vec<u8>> {
    const IPTC: u16 = 0x0404;
    while let Some(rest) = resources.strip_prefix(b"8BIM") {
        let number = u16::from_be_bytes(rest.first_chunk::<2>().copied()?);
        // A Pascal string, with its length padded to even.
        let name = usize::from(*rest.get(2)?) + 1;
        let rest = rest.get(2 + name.next_multiple_of(2)..)?;
        let length = u32::from_be_bytes(rest.first_chunk::<4>().copied()?) as usize;
        let data = rest.get(4..)?;
        if number == IPTC {
            return data.get(..length).map(<[u8]>::to_vec);
        }
        resources = data.get(length.checked_next_multiple_of(2)?..)?;
    }
    None
}

/// Reads the data sets of the application record that people fill in.
fn iptc_entries(records: &[u8]) -> Vec<MetadataEntry> {
    let (mut sets, mut is_utf8) = (Vec::new(), false);
    let mut rest = records;
    // A data set: marker, record, number, length; lengths above 32,767 are longer than anything that is shown.
    while let [0x1c, record, number, high, low, data @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, behind)) = data.split_at_checked(length) else { break };
        match (record, number) {
            // The escape sequence for UTF-8.
            (1, 90) => is_utf8 = value == b"\x1b%G",
            (2, number) => sets.extend(iptc_title(*number).map(|title| (title, value))),
            _ => {}
        }
        if sets.len() >= ENTRIES_MAX {
            break;
        }
        rest = behind;
    }
    let mut entries: Vec<MetadataEntry> = Vec::new();
    for (title, value) in sets {
        let Some(new) = entry("IPTC", title.to_owned(), &iptc_text(value, is_utf8)) else { continue };
        match entries.iter_mut().find(|entry| entry.name == new.name) {
            // Keywords and authors come one by one.
            Some(entry) if entry.value.len() < VALUE_CHARS_MAX => {
                entry.value.push_str(", ");
                entry.value.push_str(&new.value);
            }
            Some(_) => {}
            None => entries.push(new),
        }
    }
    entries
}

/// Text of before Unicode is Latin-1 unless it happens to be UTF-8.
fn iptc_text(value: &[u8], is_utf8: bool) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) if is_utf8 => String::from_utf8_lossy(value).into_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// What a data set of the application record is called.
const fn iptc_title(number: u8) -> Option<&'static str> {
    Some(match number {
        5 => "Title",
        15 => "Category",
        25 => "Keywords",
        40 => "Instructions",
        55 => "Date of the picture",
        80 => "Creator",
        85 => "Creator's job",
        90 => "City",
        92 => "Sublocation",
        95 => "State",
        100 => "Country code",
        101 => "Country",
        103 => "Reference",
        105 => "Headline",
        110 => "Credit",
        115 => "Source",
        116 => "Copyright",
        118 => "Contact",
        120 => "Description",
        122 => "Written by",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(entries: &[MetadataEntry]) -> Vec<(&str, &str)> {
        entries.iter().map(|entry| (entry.name.as_str(), entry.value.as_str())).collect()
    }

    const PACKET: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
        <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" xmp:ModifyDate="2020"
            xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
            crs:Exposure="+1">
          <d:title><rdf:Alt><rdf:li xml:lang="x-default">Oma &amp; Opa</rdf:li>
            <rdf:li xml:lang="en">Granny</rdf:li></rdf:Alt></d:title>
          <d:subject><rdf:Bag><rdf:li>garden</rdf:li><rdf:li>1931</rdf:li></rdf:Bag></d:subject>
          <crs:Shadows>12</crs:Shadows>
          <xmp:Label>Blau&#xe4;</xmp:Label>
        </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;

    #[test]
    fn a_packet_says_what_people_wrote() {
        let entries = xmp_entries(PACKET.as_bytes());
        let wanted =
            [("Rating", "4"), ("Title", "Oma & Opa"), ("Keywords", "garden, 1931"), ("Label", "Blauä")];
        assert_eq!(shown(&entries), wanted);
        assert!(entries.iter().all(|entry| entry.group == "XMP"));
    }

    #[test]
    fn a_cut_packet_says_less_and_a_deep_one_ends() {
        for end in 0..PACKET.len() {
            assert!(xmp_entries(&PACKET.as_bytes()[..end]).len() <= 4);
        }
        assert!(xmp_entries("<a>".repeat(100_000).as_bytes()).is_empty());
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
            <d:title xmlns:d="http://purl.org/dc/elements/1.1/">x&b;y</d:title>"#;
        assert_eq!(shown(&xmp_entries(bomb.as_bytes())), [("Title", "xy")]);
    }

    fn set(number: u8, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[0x1c, 2, number], &length[..], value].concat()
    }

    #[test]
    fn records_are_found_among_photoshops_resources() {
        let records = [set(120, b"Caf\xe9"), set(25, b"a"), set(25, b"b"), set(0, b"\0\x02")].concat();
        let resource = |number: u16, name: &[u8], data: &[u8]| {
            let mut bytes = [b"8BIM", &number.to_be_bytes()[..], &[name.len() as u8], name].concat();
            if (name.len() + 1) % 2 == 1 {
                bytes.push(0);
            }
            bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(data);
            if data.len() % 2 == 1 {
                bytes.push(0);
            }
            bytes
        };
        let resources = [resource(0x3ed, b"dpi", b"123"), resource(0x404, b"", &records)].concat();
        let found = iptc_of_photoshop(&resources).unwrap();
        assert_eq!(shown(&iptc_entries(&found)), [("Description", "Café"), ("Keywords", "a, b")]);
        for end in 0..resources.len() {
            let _ = iptc_of_photoshop(&resources[..end]).map(|records| iptc_entries(&records));
        }
        let utf8 = [&[0x1c, 1, 90, 0, 3], &b"\x1b%G"[..], &set(90, "Łódź".as_bytes())].concat();
        assert_eq!(shown(&iptc_entries(&utf8)), [("City", "Łódź")]);
    }

    #[test]
    fn every_format_that_can_carry_a_packet_shows_it() {
        use super::super::{EncodeOptions, Image, Samples, pixels::Channels, probe_bytes};
        let image =
            Image { width: 8, height: 8, channels: Channels::Rgb, samples: Samples::U8(vec![90; 8 * 8 * 3]) };
        for format in [Format::Jpeg, Format::Png, Format::Webp] {
            let file = super::super::encode(&image, &EncodeOptions::new(format)).unwrap();
            let source = super::super::SourceType::CompositeWithModel;
            let file = super::super::with_source_type(file, format, source).unwrap();
            let probe = probe_bytes(&file).unwrap();
            let entries = written_entries(&mut std::io::Cursor::new(&file), &probe);
            assert_eq!(shown(&entries), [("How it was made", source.uri())], "{format:?}");
            // A file that ends anywhere is no trouble.
            for end in 0..file.len() {
                written_entries(&mut std::io::Cursor::new(&file[..end]), &probe);
            }
        }
    }
}
