//! A colour for buttons and links, and its shades that can be read on the light and on the dark page.

/// A shade has this contrast with every surface that it stands on, and white text on it too where it is solid
/// (WCAG 2.2, 1.4.3).
const READABLE: f64 = 4.5;

/// A colour that comes nearer than this to a page can't be told from it, whatever is done to it it becomes another one.
const VISIBLE: f64 = 1.8;

/// The surfaces of the light page, and of the dark one, that are hardest to read on.
const LIGHT: [[u8; 3]; 2] = [[0xf6, 0xf6, 0xf6], [0xec, 0xec, 0xec]];
const DARK: [[u8; 3]; 2] = [[0x12, 0x12, 0x12], [0x26, 0x26, 0x26]];
const WHITE: [u8; 3] = [0xff; 3];
const BLACK: [u8; 3] = [0; 3];

/// A colour for buttons and links that has been found fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accent {
    typed: String,
    colour: [u8; 3],
}

impl Accent {
    /// Reads `#rrggbb`.
    ///
    /// # Errors
    /// A clause that says why it is no colour, or can't be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let Some(number) = number.filter(|_| !text.contains('+')) else {
            return Err(format!("{text:?} is not a colour such as #1f6feb"));
        };
        let [_, red, green, blue] = number.to_be_bytes();
        let accent = Self { typed: text.to_ascii_lowercase(), colour: [red, green, blue] };
        for (page, surface) in [("light", LIGHT[0]), ("dark", DARK[0])] {
            if contrast(accent.colour, surface) < VISIBLE {
                return Err(format!("{text} can't be told from the {page} page: take one between the two"));
            }
        }
        Ok(accent)
    }

    /// How it was typed, in small letters.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The shade for text on the light page.
    pub fn on_light(&self) -> String {
        let [bg, raised] = LIGHT;
        written(shade(self.colour, BLACK, &[bg, raised, self.soft(WHITE)]))
    }

    /// The shade for text on the dark page.
    pub fn on_dark(&self) -> String {
        let [bg, raised] = DARK;
        written(shade(self.colour, WHITE, &[bg, raised, self.soft(DARK[0])]))
    }

    /// The shade that white text stands on.
    pub fn solid(&self) -> String {
        written(shade(self.colour, BLACK, &[WHITE]))
    }

    /// The same under a pointer.
    pub fn hover(&self) -> String {
        written(mix(shade(self.colour, BLACK, &[WHITE]), BLACK, 7))
    }

    /// A breath of it, behind text on the light page.
    pub fn soft_light(&self) -> String {
        written(self.soft(WHITE))
    }

    /// A breath of it, behind text on the dark page.
    pub fn soft_dark(&self) -> String {
        written(self.soft(DARK[0]))
    }

    fn soft(&self, page: [u8; 3]) -> [u8; 3] {
        mix(self.colour, page, 43)
    }
}

/// The colour, mixed with as little of another as makes it readable.
fn shade(colour: [u8; 3], with: [u8; 3], surfaces: &[[u8; 3]]) -> [u8; 3] {
    let readable = |shade: &[u8; 3]| surfaces.iter().all(|surface| contrast(*shade, *surface) >= READABLE);
    (0..=50).map(|parts| mix(colour, with, parts)).find(readable).unwrap_or(with)
}

/// A colour with so many of fifty parts of another.
fn mix(colour: [u8; 3], with: [u8; 3], parts: u16) -> [u8; 3] {
    let channel = |from: u8, to: u8| {
        let mixed = (u16::from(from) * (50 - parts) + u16::from(to) * parts) / 50;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    };
    [0, 1, 2].map(|i| channel(colour[i], with[i]))
}

fn written([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The contrast of two colours (WCAG 2.2), from 1 to 21.
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: [u8; 3]) -> f64 {
    let linear = |channel: u8| {
        let value = f64::from(channel) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(text: &str) -> [u8; 3] {
        [1, 3, 5].map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
    }

    #[test]
    fn every_shade_can_be_read() {
        assert!((contrast(WHITE, BLACK) - 21.0).abs() < 1e-9);
        for text in ["#1f6feb", "#b32d14", "#2e7d32", "#8e24aa", "#FF8800", "#777777", "#009688"] {
            let accent = Accent::parse(text).unwrap();
            for surface in LIGHT {
                assert!(contrast(colour(&accent.on_light()), surface) >= READABLE, "{text}");
            }
            for surface in DARK {
                assert!(contrast(colour(&accent.on_dark()), surface) >= READABLE, "{text}");
            }
            for solid in [accent.solid(), accent.hover()] {
                assert!(contrast(colour(&solid), WHITE) >= READABLE, "{text}");
            }
            assert!(contrast(colour(&accent.on_light()), colour(&accent.soft_light())) >= READABLE, "{text}");
            assert!(contrast(colour(&accent.on_dark()), colour(&accent.soft_dark())) >= READABLE, "{text}");
        }
        assert_eq!(Accent::parse("#b32d14").unwrap().solid(), "#b32d14", "what can be read stays as it is");
    }

    #[test]
    fn what_is_no_colour_or_can_not_be_seen_is_refused() {
        for bad in ["", "#", "red", "#12345", "#1234567", "#12345g", "123456", "#+12345", "#é1234"] {
            assert!(Accent::parse(bad).unwrap_err().contains("not a colour"), "{bad}");
        }
        for (bad, page) in
            [("#ffff00", "light"), ("#ffffff", "light"), ("#000000", "dark"), ("#1a1a1a", "dark")]
        {
            assert!(Accent::parse(bad).unwrap_err().contains(page), "{bad}");
        }
    }
}
