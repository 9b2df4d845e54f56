//! The eight ways a camera may have been held, as EXIF counts them.

use serde::{Deserialize, Serialize};

use super::pixels::{Image, Samples};
use super::resize::Area;

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

    /// Where a part of the displayed picture lies among the pixels of one stored in that size: the first column and
    /// row, and how many. The part lies inside.
    pub fn part_before(
        self,
        (left, top, width, height): (u32, u32, u32, u32),
        stored: (u32, u32),
    ) -> (u32, u32, u32, u32) {
        let (swaps, across, down) = self.parts();
        let (mut left, mut top, width, height) =
            if swaps { (top, left, height, width) } else { (left, top, width, height) };
        if across {
            left = stored.0 - left - width;
        }
        if down {
            top = stored.1 - top - height;
        }
        (left, top, width, height)
    }

    /// Where a point of the displayed picture lies in one stored in that size; both count from the corner of the first
    /// pixel.
    pub fn point_before(self, (x, y): (f64, f64), stored: (u32, u32)) -> (f64, f64) {
        let (swaps, across, down) = self.parts();
        let (x, y) = if swaps { (y, x) } else { (x, y) };
        let turn = |value: f64, length: u32, backwards: bool| {
            if backwards { f64::from(length) - value } else { value }
        };
        (turn(x, stored.0, across), turn(y, stored.1, down))
    }

    /// Turning this way first and then another way, in one.
    pub(super) fn then(self, second: Self) -> Self {
        let (swaps, across, down) = self.parts();
        let (swaps_too, across_too, down_too) = second.parts();
        // Where a pixel of the result comes from is asked of the second first.
        let (across_too, down_too) = if swaps { (down_too, across_too) } else { (across_too, down_too) };
        Self::from_parts(swaps != swaps_too, across != across_too, down != down_too)
    }

    /// Whether stored columns and rows run backwards in the turned picture.
    pub(super) const fn runs_backwards(self) -> (bool, bool) {
        let (_, across, down) = self.parts();
        (across, down)
    }

    /// The part of a picture stored in that size that a part of the turned picture shows.
    pub(super) fn area_before(self, area: Area, width: u32, height: u32) -> Area {
        let (swaps, across, down) = self.parts();
        let mut area = if swaps {
            Area { left: area.top, top: area.left, width: area.height, height: area.width }
        } else {
            area
        };
        if across {
            area.left = f64::from(width) - area.left - area.width;
        }
        if down {
            area.top = f64::from(height) - area.top - area.height;
        }
        area
    }

    /// Whether columns and rows change places, and whether the stored columns and rows then run backwards.
    const fn parts(self) -> (bool, bool, bool) {
        match self {
            Self::Normal => (false, false, false),
            Self::MirrorHorizontal => (false, true, false),
            Self::Rotate180 => (false, true, true),
            Self::MirrorVertical => (false, false, true),
            Self::Transpose => (true, false, false),
            Self::Rotate90 => (true, false, true),
            Self::Transverse => (true, true, true),
            Self::Rotate270 => (true, true, false),
        }
    }

    const fn from_parts(swaps: bool, across: bool, down: bool) -> Self {
        match (swaps, across, down) {
            (false, false, false) => Self::Normal,
            (false, true, false) => Self::MirrorHorizontal,
            (false, true, true) => Self::Rotate180,
            (false, false, true) => Self::MirrorVertical,
            (true, false, false) => Self::Transpose,
            (true, false, true) => Self::Rotate90,
            (true, true, true) => Self::Transverse,
            (true, true, false) => Self::Rotate270,
        }
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
    fn two_turns_are_one() {
        let image = Image {
            width: 3,
            height: 2,
            channels: Channels::Gray,
            samples: Samples::U8(vec![1, 2, 3, 4, 5, 6]),
        };
        for first in (1..=8).map(Orientation::from_exif) {
            for second in (1..=8).map(Orientation::from_exif) {
                let one_by_one = orient(orient(image.clone(), first), second);
                assert_eq!(orient(image.clone(), first.then(second)), one_by_one, "{first:?} {second:?}");
            }
            // Where the first pixel of the turned picture was.
            let corner = Area { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
            let area = first.area_before(corner, 3, 2);
            let stored = area.top as u8 * 3 + area.left as u8 + 1;
            let Samples::U8(turned) = orient(image.clone(), first).samples else { panic!("it has 8 bits") };
            assert_eq!(turned[0], stored, "{first:?}");
        }
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
