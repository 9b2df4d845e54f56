//! What a made picture says about how it came about: the IPTC property `DigitalSourceType` in an XMP packet.

use img_parts::Bytes;
use img_parts::jpeg::{Jpeg, JpegSegment};
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::{CHUNK_VP8X, CHUNK_XMP, WebP};

use super::error::Error;
use super::format::Format;

/// How a picture came about, as the IPTC's controlled vocabulary names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceType {
    /// A photograph that a trained model has redrawn in part or as a whole.
    CompositeWithModel,
}

impl SourceType {
    /// The address that stands for it.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::CompositeWithModel => {
                "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
            }
        }
    }
}

/// What an XMP segment of a JPEG file begins with.
const JPEG_MARK: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// Puts the source type into a file that has no XMP packet yet. Into TIFF and GIF it can't be put.
///
/// # Errors
/// [`Error::Encode`] if the file is not one of its format.
pub fn with_source_type(bytes: Vec<u8>, format: Format, source: SourceType) -> Result<Vec<u8>, Error> {
    let packet = format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
         <rdf:Description rdf:about=\"\" xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" \
         Iptc4xmpExt:DigitalSourceType=\"{}\"/></rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>",
        source.uri()
    );
    let failed = |error: img_parts::Error| Error::encode(format.name(), error);
    match format {
        Format::Jpeg => {
            let mut file = Jpeg::from_bytes(bytes.into()).map_err(failed)?;
            // Behind JFIF and EXIF, where readers look for it.
            let segments = file.segments_mut();
            let at = segments.iter().take_while(|segment| matches!(segment.marker(), 0xe0 | 0xe1)).count();
            let content: Bytes = [JPEG_MARK, packet.as_bytes()].concat().into();
            segments.insert(at, JpegSegment::new_with_contents(0xe1, content));
            Ok(file.encoder().bytes().to_vec())
        }
        Format::Png => Ok(in_png(&bytes, &packet).unwrap_or(bytes)),
        Format::Webp => {
            let mut file = WebP::from_bytes(bytes.clone().into()).map_err(failed)?;
            // Only the extended form of the file has room for it.
            let Some(mut flags) = extended(&file) else { return Ok(bytes) };
            flags[0] |= 0x04;
            let (chunk, flags) = (packet.into_bytes().into(), Bytes::from(flags));
            file.remove_chunks_by_id(CHUNK_VP8X);
            file.chunks_mut().insert(0, RiffChunk::new(CHUNK_VP8X, RiffContent::Data(flags)));
            file.chunks_mut().push(RiffChunk::new(CHUNK_XMP, RiffContent::Data(chunk)));
            Ok(file.encoder().bytes().to_vec())
        }
        _ => Ok(bytes),
    }
}

/// The header of the extended form of a WebP file, made from its size where it has none.
fn extended(file: &WebP) -> Option<Vec<u8>> {
    if let Some(chunk) = file.chunk_by_id(CHUNK_VP8X) {
        return chunk.content().data().map(|data| data.to_vec()).filter(|data| data.len() == 10);
    }
    let (width, height) = file.dimensions()?;
    let mut header = vec![0_u8; 4];
    for side in [width, height] {
        header.extend_from_slice(&side.checked_sub(1)?.to_le_bytes()[..3]);
    }
    Some(header)
}

/// Inserts the packet as an `iTXt` chunk behind the header (PNG, 3rd edition, 11.3.3.4).
fn in_png(bytes: &[u8], packet: &str) -> Option<Vec<u8>> {
    const HEADER_BYTES: usize = 8 + 25;
    let (head, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let mut chunk = b"iTXt".to_vec();
    // Not compressed, no language, no translated keyword.
    chunk.extend_from_slice(b"XML:com.adobe.xmp\0\0\0\0\0");
    chunk.extend_from_slice(packet.as_bytes());
    let length = u32::try_from(chunk.len() - 4).ok()?;
    let checksum = crc32fast::hash(&chunk).to_be_bytes();
    Some([head, &length.to_be_bytes(), &chunk, &checksum, rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::{self, Channels, EncodeOptions, Image, Limits, Options, Samples};

    #[test]
    fn a_file_says_that_a_model_has_drawn_in_it_and_stays_the_same_picture() {
        let image =
            Image { width: 9, height: 7, channels: Channels::Rgb, samples: Samples::U8(vec![90; 9 * 7 * 3]) };
        for format in [Format::Jpeg, Format::Png, Format::Webp] {
            let plain = imaging::encode(&image, &EncodeOptions::new(format)).unwrap();
            let marked = with_source_type(plain.clone(), format, SourceType::CompositeWithModel).unwrap();
            let uri = SourceType::CompositeWithModel.uri().as_bytes();
            assert!(marked.windows(uri.len()).any(|window| window == uri), "{format:?}");
            let decode =
                |bytes: &[u8]| imaging::decode_bytes(bytes, &Options::held(Limits::default())).unwrap();
            assert_eq!(decode(&marked).image, decode(&plain).image, "{format:?}");
        }
    }
}
