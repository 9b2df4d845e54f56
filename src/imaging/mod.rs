//! Pictures as numbers: probe, decode, orient, colour, resize, encode, metadata. Pure functions over bytes and
//! pixels with one pixel budget for the process; knows no database, no route and no feature.

mod animation;
mod av1;
mod avif;
mod bmff;
mod budget;
mod colour;
mod decode;
mod effects;
mod encode;
mod error;
mod format;
mod gif;
mod heif;
mod hevc;
mod ifd;
mod jpeg;
mod jpeg_dc;
mod jxl;
mod libaom;
mod libwebp;
mod location;
mod metadata;
mod orientation;
mod packets;
mod phash;
mod pixels;
mod planes;
mod png;
mod probe;
mod raw;
mod resize;
mod shrink;
mod smart;
mod source;
mod thumbhash;
mod tiff;
mod transform;
mod variant;
mod webp;
mod xmp;
mod yuv;

pub use budget::{Budget, Limits, Permit};
pub use colour::{ProfileUse, to_srgb};
pub use decode::{Decoded, Memory, Options, decode, decode_bytes};
pub use encode::{EncodeOptions, Subsampling, encode, to_8_bits};
pub use error::Error;
pub use format::{Format, SNIFF_BYTES, may_be_shown, sniff};
pub use ifd::without_gps;
pub use jpeg::{JpegComponent, JpegInfo, QuantTable};
pub use location::{Redaction, redactions};
pub use metadata::{Metadata, MetadataEntry, Position, TakenAt, metadata_entries};
pub use orientation::{Orientation, orient};
pub use packets::written_entries;
pub use phash::perceptual_hash;
pub use pixels::{Channels, Image, Samples};
pub use probe::{Colour, Probe, probe, probe_bytes};
pub use resize::resize;
pub use thumbhash::thumbhash;
pub use transform::{BadTransform, Fit, Gravity, MAX_AVIF_PIXELS, MAX_SIDE, OutputFormat, Preset, Transform};
pub use variant::{Variant, render, render_bytes, thumbnail};
pub use xmp::{SourceType, with_source_type};

#[cfg(test)]
mod tests;
