//! The picture in memory.

/// What each pixel consists of. Alpha is straight (not premultiplied) and always last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One luma sample.
    Gray,
    /// Luma and alpha.
    GrayAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

impl Channels {
    /// Samples per pixel.
    pub const fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Samples per pixel that carry colour: all but alpha.
    pub const fn colour_count(self) -> usize {
        match self {
            Self::Gray | Self::GrayAlpha => 1,
            Self::Rgb | Self::Rgba => 3,
        }
    }

    /// Whether the last sample of a pixel is alpha.
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// Interleaved samples, row by row from the top, no padding: `width * height * channels` of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// 8 bits a sample, full range.
    U8(Vec<u8>),
    /// 16 bits a sample, full range, native endian.
    U16(Vec<u16>),
}

/// A decoded picture: gamma-encoded samples as the file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// What a pixel consists of.
    pub channels: Channels,
    /// The samples; their number always fits width, height and channels.
    pub samples: Samples,
}

impl Image {
    /// Number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Bits in a sample: 8 or 16.
    pub const fn bit_depth(&self) -> u8 {
        match self.samples {
            Samples::U8(_) => 8,
            Samples::U16(_) => 16,
        }
    }
}
