//! Telling kinds of files apart by their first bytes.

use serde::{Deserialize, Serialize};

/// The picture formats that Safelight reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG, baseline or progressive, 8 bits.
    Jpeg,
    /// PNG and animated PNG.
    Png,
    /// WebP: lossy, lossless, animated.
    Webp,
    /// GIF.
    Gif,
    /// TIFF and BigTIFF.
    Tiff,
    /// AVIF: still pictures coded as AV1. Only [`super::render`] writes it.
    Avif,
    /// HEIC: still pictures coded as HEVC. Never written.
    Heic,
    /// JPEG XL. Never written.
    Jxl,
}

impl Format {
    /// Recognises a format by the first bytes of a file.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        match sniff_magic(head)? {
            "image/avif" => Some(Self::Avif),
            "image/heic" | "image/heif" => Some(Self::Heic),
            "image/jxl" => Some(Self::Jxl),
            "image/jpeg" => Some(Self::Jpeg),
            "image/png" => Some(Self::Png),
            "image/webp" => Some(Self::Webp),
            "image/gif" => Some(Self::Gif),
            "image/tiff" => Some(Self::Tiff),
            _ => None,
        }
    }

    /// Whether results of a restoration are written in it. Of the others Safelight has no encoder that keeps what it was
    /// given.
    pub const fn is_written(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Webp | Self::Tiff)
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Webp => "WebP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
            Self::Jxl => "JPEG XL",
            Self::Heic => "HEIC",
            Self::Avif => "AVIF",
        }
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Tiff => "image/tiff",
            Self::Jxl => "image/jxl",
            Self::Heic => "image/heic",
            Self::Avif => "image/avif",
        }
    }

    /// The format of a media type.
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let all =
            [Self::Jpeg, Self::Png, Self::Webp, Self::Gif, Self::Tiff, Self::Jxl, Self::Heic, Self::Avif];
        all.into_iter().find(|format| format.content_type() == content_type)
    }

    /// Its usual file name extension, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            Self::Tiff => "tif",
            Self::Jxl => "jxl",
            Self::Heic => "heic",
            Self::Avif => "avif",
        }
    }
}

/// Whether a file that begins with these bytes may hold a picture that [`super::render`] shows: a picture, or the raw file
/// of a camera with a preview in it.
pub fn may_be_shown(head: &[u8]) -> bool {
    Format::sniff(head).is_some() || sniff_magic(head).is_some_and(is_raw)
}

/// Whether this is the media type of raw files that are told by their first bytes. Others look like TIFF.
pub(super) fn is_raw(content_type: &str) -> bool {
    matches!(
        content_type,
        "image/x-fuji-raf" | "image/x-olympus-orf" | "image/x-panasonic-rw2" | "image/x-canon-cr3"
    )
}

/// How many of a file's first bytes [`sniff`] wants to see.
pub const SNIFF_BYTES: usize = 4096;

/// Names the media type of a file from its first bytes (up to [`SNIFF_BYTES`]) and its name.
///
/// Bytes win over the name: what is stored as `photo.jpg` but holds HTML is HTML. The name only refines what bytes can't
/// tell, such as kinds of plain text and the documents that are ZIP archives inside; it never makes a picture, a film or
/// a page out of unknown bytes. Unknown bytes are `application/octet-stream`.
pub fn sniff(head: &[u8], name: &str) -> &'static str {
    let extension =
        name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let extension = extension.as_str();
    match sniff_magic(head) {
        Some("application/zip") => match extension {
            "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "odt" => "application/vnd.oasis.opendocument.text",
            "ods" => "application/vnd.oasis.opendocument.spreadsheet",
            "odp" => "application/vnd.oasis.opendocument.presentation",
            "epub" => "application/epub+zip",
            _ => "application/zip",
        },
        // Raw pictures are TIFF files whose first directory is only a small preview.
        Some("image/tiff") => match extension {
            "dng" => "image/x-adobe-dng",
            "nef" | "nrw" => "image/x-nikon-nef",
            "cr2" => "image/x-canon-cr2",
            "arw" | "sr2" => "image/x-sony-arw",
            "pef" => "image/x-pentax-pef",
            _ => "image/tiff",
        },
        Some(found) => found,
        None => sniff_text(head, extension),
    }
}

fn sniff_magic(head: &[u8]) -> Option<&'static str> {
    const MAGIC: &[(&[u8], &str)] = &[
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"II+\0\x08\0\0\0", "image/tiff"),
        (b"MM\0+\0\x08\0\0", "image/tiff"),
        (b"\xff\x0a", "image/jxl"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
        (b"8BPS\0", "image/vnd.adobe.photoshop"),
        (b"FUJIFILMCCD-RAW", "image/x-fuji-raf"),
        (b"IIRO", "image/x-olympus-orf"),
        (b"IIRS", "image/x-olympus-orf"),
        (b"MMOR", "image/x-olympus-orf"),
        (b"IIU\0", "image/x-panasonic-rw2"),
        (b"\0\0\x01\0", "image/vnd.microsoft.icon"),
        (b"gimp xcf ", "image/x-xcf"),
        (b"qoif", "image/qoi"),
        (b"%PDF-", "application/pdf"),
        (b"%!PS", "application/postscript"),
        (b"PK\x03\x04", "application/zip"),
        (b"PK\x05\x06", "application/zip"),
        (b"\x1f\x8b", "application/gzip"),
        (b"\x28\xb5\x2f\xfd", "application/zstd"),
        (b"\xfd7zXZ\0", "application/x-xz"),
        (b"BZh", "application/x-bzip2"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
        (b"Rar!\x1a\x07", "application/vnd.rar"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"ID3", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"SQLite format 3\0", "application/vnd.sqlite3"),
        (b"\x7fELF", "application/x-executable"),
        (b"MZ", "application/vnd.microsoft.portable-executable"),
        (b"\0asm", "application/wasm"),
    ];
    if let Some((_, found)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        // The two shortest marks also begin ordinary text; text has no zero bytes.
        let ambiguous =
            matches!(*found, "application/vnd.microsoft.portable-executable" | "application/x-bzip2");
        if !ambiguous || head.contains(&0) {
            return Some(found);
        }
    }
    match (head.get(..4)?, head.get(8..12)) {
        (b"RIFF", Some(b"WEBP")) => return Some("image/webp"),
        (b"RIFF", Some(b"WAVE")) => return Some("audio/wav"),
        (b"RIFF", Some(b"AVI ")) => return Some("video/x-msvideo"),
        _ => {}
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some(sniff_ftyp(head));
    }
    if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        return Some("image/bmp");
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some("application/x-tar");
    }
    // An MPEG audio frame without an ID3 header: sync, layer III, a bit rate and a sample rate that exist.
    if let [0xff, second, third, ..] = head
        && matches!(second, 0xfb | 0xfa | 0xf3 | 0xf2)
        && third >> 4 != 0xf
        && third >> 4 != 0
        && (third >> 2) & 3 != 3
    {
        return Some("audio/mpeg");
    }
    None
}

/// ISO media files name their kind and those they are compatible with in the first box.
fn sniff_ftyp(head: &[u8]) -> &'static str {
    let end =
        head.get(..4).map_or(0, |size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize);
    let brands = head.get(8..end.clamp(12, 256).min(head.len())).unwrap_or_default();
    let major = brands.get(..4).unwrap_or_default();
    let any = |wanted: &[&[u8]]| brands.chunks_exact(4).any(|brand| wanted.contains(&brand));
    match major {
        b"avif" | b"avis" => "image/avif",
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => "image/heic",
        b"crx " => "image/x-canon-cr3",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " => "audio/mp4",
        b"3gp4" | b"3gp5" | b"3gp6" => "video/3gpp",
        b"mif1" | b"msf1" if any(&[b"avif", b"avis"]) => "image/avif",
        b"mif1" | b"msf1" if any(&[b"heic", b"heix", b"hevc"]) => "image/heic",
        b"mif1" | b"msf1" => "image/heif",
        _ => "video/mp4",
    }
}

fn sniff_text(head: &[u8], extension: &str) -> &'static str {
    let utf16 = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    if head.is_empty() || (!utf16 && head.iter().any(control)) {
        return "application/octet-stream";
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let start: Vec<u8> = text.iter().take(1024).map(u8::to_ascii_lowercase).collect();
    let contains = |needle: &[u8]| start.windows(needle.len()).any(|window| window == needle);
    if contains(b"<svg") && (start.starts_with(b"<")) {
        return "image/svg+xml";
    }
    let html: [&[u8]; 8] =
        [b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<title", b"<style"];
    if html.iter().any(|tag| contains(tag)) && start.starts_with(b"<") {
        return "text/html";
    }
    if start.starts_with(b"<?xml") {
        return "application/xml";
    }
    match extension {
        "html" | "htm" | "xhtml" => "text/html",
        "svg" => "image/svg+xml",
        "css" => "text/css",
        "csv" => "text/csv",
        "md" | "markdown" => "text/markdown",
        "json" | "geojson" => "application/json",
        "xml" | "xmp" => "application/xml",
        "js" | "mjs" => "text/javascript",
        "rtf" => "application/rtf",
        "ics" => "text/calendar",
        "vcf" => "text/vcard",
        _ => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_win_over_the_name() {
        for (head, name, expected) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "page.html", "image/jpeg"),
            (b"<!DOCTYPE html><p>", "photo.jpg", "text/html"),
            (b"<?xml version=\"1.0\"?>\n<svg xmlns", "photo.png", "image/svg+xml"),
            (b"hello, world", "photo.jpg", "text/plain"),
            (b"a,b\n1,2\n", "table.CSV", "text/csv"),
            (b"", "photo.jpg", "application/octet-stream"),
            (b"\x01\x02\x03\x04", "film.mp4", "application/octet-stream"),
            (
                b"PK\x03\x04....",
                "letter.docx",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            (b"PK\x03\x04....", "photo.jpg", "application/zip"),
            (b"%PDF-1.7", "x", "application/pdf"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "x", "image/webp"),
            (b"\0\0\0\x1cftypavif\0\0\0\0mif1", "x", "image/avif"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0heic....", "x", "image/heic"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1....", "x", "image/heic"),
            (b"\0\0\0\x18ftypisom\0\0\0\0mp41....", "x", "video/mp4"),
            (b"\xff\x0a\x01\x02", "x.jxl", "image/jxl"),
            (b"MM\0*\0\0\0\x08", "x.tif", "image/tiff"),
            (b"II*\0\x08\0\0\0", "x.NEF", "image/x-nikon-nef"),
            (b"MZ is a name that text may begin with", "x", "text/plain"),
        ] {
            assert_eq!(sniff(head, name), expected, "{name}");
        }
    }
}
