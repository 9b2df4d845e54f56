//! The eight ways a camera may have been held, as EXIF counts them.

use serde::{Deserialize, Serialize};

use super::pixels::{Image, Samples};

/// How the stored pixels have to be turned to be displayed upright (EXIF tag 0x0112).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Orientation {
    /// 1: as stored.
    #[default]
    Normal,
    /// 2: mirrored left to right.
    MirrorHorizontal,
    /// 3: turned by half a turn.
    Rotate180,
    /// 4: mirrored top to bottom.
    MirrorVertical,
    /// 5: mirrored along the main diagonal.
    Transpose,
    /// 6: to be turned a quarter clockwise.
    Rotate90,
    /// 7: mirrored along the other diagonal.
    Transverse,
    /// 8: to be turned a quarter counterclockwise.
    Rotate270,
}

impl Orientation {
    /// Reads the EXIF value; what is not between 1 and 8 counts as upright.
    pub const fn from_exif(value: u16) -> Self {
        match value {
            2 => Self::MirrorHorizontal,
            3 => Self::Rotate180,
            4 => Self::MirrorVertical,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => Self::Normal,
        }
    }

    /// The EXIF value, 1 to 8.
    pub const fn to_exif(self) -> u16 {
        match self {
            Self::Normal => 1,
            Self::MirrorHorizontal => 2,
            Self::Rotate180 => 3,
            Self::MirrorVertical => 4,
            Self::Transpose => 5,
            Self::Rotate90 => 6,
            Self::Transverse => 7,
            Self::Rotate270 => 8,
        }
    }

    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        matches!(self, Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270)
    }

    /// Size as displayed of a picture stored in that size, or the other way round.
    pub const fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }
}

/// Turns the pixels upright; afterwards the picture's orientation is [`Orientation::Normal`].
pub fn orient(image: Image, orientation: Orientation) -> Image {
    if orientation == Orientation::Normal {
        return image;
    }
    let (width, height) = orientation.size(image.width, image.height);
    let stored = (image.width as usize, image.height as usize);
    let samples = match &image.samples {
        Samples::U8(samples) => Samples::U8(turn(samples, stored, image.channels.count(), orientation)),
        Samples::U16(samples) => Samples::U16(turn(samples, stored, image.channels.count(), orientation)),
    };
    Image { width, height, channels: image.channels, samples }
}

fn turn<T: Copy>(source: &[T], (width, height): (usize, usize), channels: usize, to: Orientation) -> Vec<T> {
    let mut turned = Vec::with_capacity(source.len());
    let (out_width, out_height) = if to.swaps_sides() { (height, width) } else { (width, height) };
    for y in 0..out_height {
        for x in 0..out_width {
            let (from_x, from_y) = match to {
                Orientation::Normal => (x, y),
                Orientation::MirrorHorizontal => (width - 1 - x, y),
                Orientation::Rotate180 => (width - 1 - x, height - 1 - y),
                Orientation::MirrorVertical => (x, height - 1 - y),
                Orientation::Transpose => (y, x),
                Orientation::Rotate90 => (y, height - 1 - x),
                Orientation::Transverse => (width - 1 - y, height - 1 - x),
                Orientation::Rotate270 => (width - 1 - y, x),
            };
            let start = (from_y * width + from_x) * channels;
            turned.extend_from_slice(&source[start..start + channels]);
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Channels;

    /// The letter F in 2 x 3 pixels, as every orientation has to show it after turning.
    #[test]
    fn every_orientation_ends_upright() {
        // Upright: 1 2 / 3 4 / 5 6. What a camera stores for each orientation value:
        let stored: [(u16, u32, u32, [u8; 6]); 8] = [
            (1, 2, 3, [1, 2, 3, 4, 5, 6]),
            (2, 2, 3, [2, 1, 4, 3, 6, 5]),
            (3, 2, 3, [6, 5, 4, 3, 2, 1]),
            (4, 2, 3, [5, 6, 3, 4, 1, 2]),
            (5, 3, 2, [1, 3, 5, 2, 4, 6]),
            (6, 3, 2, [2, 4, 6, 1, 3, 5]),
            (7, 3, 2, [6, 4, 2, 5, 3, 1]),
            (8, 3, 2, [5, 3, 1, 6, 4, 2]),
        ];
        for (value, width, height, samples) in stored {
            let image =
                Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples.to_vec()) };
            let orientation = Orientation::from_exif(value);
            assert_eq!(orientation.to_exif(), value);
            let upright = orient(image, orientation);
            assert_eq!((upright.width, upright.height), (2, 3), "orientation {value}");
            assert_eq!(upright.samples, Samples::U8(vec![1, 2, 3, 4, 5, 6]), "orientation {value}");
        }
        assert_eq!(Orientation::from_exif(0), Orientation::Normal);
        assert_eq!(Orientation::from_exif(99), Orientation::Normal);
    }

    #[test]
    fn pixels_of_several_samples_stay_together() {
        let image = Image {
            width: 2,
            height: 1,
            channels: Channels::Rgb,
            samples: Samples::U16(vec![1, 2, 3, 4, 5, 6]),
        };
        let turned = orient(image, Orientation::Rotate90);
        assert_eq!((turned.width, turned.height), (1, 2));
        assert_eq!(turned.samples, Samples::U16(vec![1, 2, 3, 4, 5, 6]));
    }
}
