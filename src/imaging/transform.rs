//! What a rendering is asked to be: the query parameters of an address, checked and brought into one spelling. Two
//! addresses that ask for the same have the same [`Transform::canonical`] text, which is what gets signed and cached.

use std::fmt;
use std::str::FromStr;

use super::format::Format;
use super::orientation::Orientation;
use super::probe::Probe;
use super::resize::Area;

/// Longest side that may be asked for, in pixels.
pub const MAX_SIDE: u32 = 8192;

/// Most pixels that are written as AVIF: its encoder takes ten times the memory and time of the others.
pub const MAX_AVIF_PIXELS: u64 = 16_000_000;

/// How a picture fills the box it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fit {
    /// As large as fits inside, nothing cut off and nothing added; `inside` is another word for it.
    #[default]
    Contain,
    /// The whole box; what does not fit its shape is cut off.
    Cover,
    /// The whole box; the picture's shape is given up.
    Fill,
}

/// Which part stays where something has to be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gravity {
    /// The middle.
    #[default]
    Center,
    /// The top.
    North,
    /// The top right corner.
    NorthEast,
    /// The right side.
    East,
    /// The bottom right corner.
    SouthEast,
    /// The bottom.
    South,
    /// The bottom left corner.
    SouthWest,
    /// The left side.
    West,
    /// The top left corner.
    NorthWest,
    /// Where most is to be seen.
    Smart,
}

impl Gravity {
    const NAMES: [(&'static str, Self); 10] = [
        ("center", Self::Center),
        ("n", Self::North),
        ("ne", Self::NorthEast),
        ("e", Self::East),
        ("se", Self::SouthEast),
        ("s", Self::South),
        ("sw", Self::SouthWest),
        ("w", Self::West),
        ("nw", Self::NorthWest),
        ("smart", Self::Smart),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, gravity)| *gravity == self).map_or("center", |(name, _)| name)
    }

    /// How much of what is cut off is cut off at the left and at the top.
    pub(super) fn shares(self) -> (f64, f64) {
        let across = match self {
            Self::NorthWest | Self::West | Self::SouthWest => 0.0,
            Self::NorthEast | Self::East | Self::SouthEast => 1.0,
            Self::Center | Self::North | Self::South | Self::Smart => 0.5,
        };
        let down = match self {
            Self::NorthWest | Self::North | Self::NorthEast => 0.0,
            Self::SouthWest | Self::South | Self::SouthEast => 1.0,
            Self::Center | Self::West | Self::East | Self::Smart => 0.5,
        };
        (across, down)
    }
}

/// A format that renderings are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// JPEG: no transparency, understood everywhere.
    Jpeg,
    /// WebP, which may move.
    Webp,
    /// AVIF, the smallest.
    Avif,
    /// PNG, without loss.
    Png,
    /// GIF, only for what moves and goes to programs that don't know WebP.
    Gif,
}

impl OutputFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Jpeg, Self::Webp, Self::Avif, Self::Png, Self::Gif];

    /// Recognises a rendering by its first bytes.
    pub fn sniff(head: &[u8]) -> Option<Self> {
        let found = super::format::sniff(head, "");
        Self::ALL.into_iter().find(|format| format.content_type() == found)
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
            Self::Avif => "AVIF",
            Self::Png => "PNG",
            Self::Gif => "GIF",
        }
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Avif => "image/avif",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
        }
    }

    /// Its usual file name extension, without a dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Avif => "avif",
            Self::Png => "png",
            Self::Gif => "gif",
        }
    }

    /// Whether it holds pictures that move.
    pub const fn moves(self) -> bool {
        matches!(self, Self::Webp | Self::Gif)
    }
}

/// Why a transform can't be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {why}")]
pub struct BadTransform {
    /// The parameter that is wrong.
    pub parameter: &'static str,
    /// What is wrong with it, as a sentence.
    pub why: String,
}

impl BadTransform {
    fn new(parameter: &'static str, why: impl Into<String>) -> Self {
        Self { parameter, why: why.into() }
    }
}

/// A rendering that can be asked for. It never is larger than the picture.
///
/// Equal transforms make equal bytes of a picture. What has no effect is left out when it is made: a gravity where
/// nothing is cut off, a fit where a side is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transform {
    width: Option<u32>,
    height: Option<u32>,
    fit: Fit,
    gravity: Gravity,
    format: Option<OutputFormat>,
    quality: u8,
    /// Numbers with a fraction are counted in hundredths.
    dpr: u16,
    rotation: Orientation,
    blur: u16,
    sharpen: u16,
    strip: bool,
    animate: bool,
    keeps_position: bool,
}

impl Default for Transform {
    fn default() -> Self {
        Self::new()
    }
}

/// Quality that pictures have unless another one is asked for.
const QUALITY: u8 = 80;

/// The names of the parameters, in the order of the canonical text.
const PARAMETERS: [&str; 12] =
    ["animate", "blur", "dpr", "fit", "format", "gravity", "h", "q", "rotate", "sharpen", "strip", "w"];

impl Transform {
    /// The picture as it is: upright, without metadata, of quality 80 in a format that the asking program knows.
    pub const fn new() -> Self {
        Self {
            width: None,
            height: None,
            fit: Fit::Contain,
            gravity: Gravity::Center,
            format: None,
            quality: QUALITY,
            dpr: 100,
            rotation: Orientation::Normal,
            blur: 0,
            sharpen: 0,
            strip: true,
            animate: true,
            keeps_position: false,
        }
    }

    /// As large as fits into a box of 1 to 8192 pixels a side.
    pub const fn inside(width: u32, height: u32) -> Self {
        let mut this = Self::new();
        this.width = Some(side(width));
        this.height = Some(side(height));
        this
    }

    /// Filling a box of 1 to 8192 pixels a side, what does not fit its shape cut off.
    pub const fn covering(width: u32, height: u32, gravity: Gravity) -> Self {
        let mut this = Self::inside(width, height);
        this.fit = Fit::Cover;
        this.gravity = gravity;
        this
    }

    /// The same in another quality, 1 to 100.
    pub const fn with_quality(mut self, quality: u8) -> Self {
        self.quality = match quality {
            0 => 1,
            1..=100 => quality,
            _ => 100,
        };
        self
    }

    /// The same without motion.
    pub const fn still(mut self) -> Self {
        self.animate = false;
        self
    }

    /// The same with the place where the picture was taken, if it keeps its metadata at all (`strip=0`). An address can't
    /// ask for that: only whoever knows that the owner allows it.
    pub const fn keeping_position(mut self) -> Self {
        self.keeps_position = !self.strip;
        self
    }

    /// Reads the parameters of a query. Foreign ones are ignored, `preset` among them; nothing if there is none of a
    /// transform.
    ///
    /// # Errors
    /// [`BadTransform`] when one of them can't be understood, is out of range or is given twice.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Option<Self>, BadTransform> {
        let mut this = Self::new();
        let mut seen = [false; PARAMETERS.len()];
        for (name, value) in pairs {
            let Some(index) = PARAMETERS.iter().position(|known| *known == name) else { continue };
            if std::mem::replace(&mut seen[index], true) {
                return Err(BadTransform::new(PARAMETERS[index], "It is given more than once."));
            }
            this.set(PARAMETERS[index], value)?;
        }
        Ok(seen.contains(&true).then(|| this.normalised()))
    }

    fn set(&mut self, name: &'static str, value: &str) -> Result<(), BadTransform> {
        let bad = |why: &str| BadTransform::new(name, why);
        match name {
            "w" => self.width = Some(whole(name, value, 1, MAX_SIDE)?),
            "h" => self.height = Some(whole(name, value, 1, MAX_SIDE)?),
            "q" => self.quality = u8::try_from(whole(name, value, 1, 100)?).unwrap_or(QUALITY),
            "dpr" => self.dpr = hundredths(name, value, 10, 400)?,
            "blur" => self.blur = hundredths(name, value, 30, 10_000)?,
            "sharpen" => self.sharpen = hundredths(name, value, 10, 1_000)?,
            "strip" => self.strip = flag(name, value)?,
            "animate" => self.animate = flag(name, value)?,
            "fit" => {
                self.fit = match value {
                    "contain" | "inside" => Fit::Contain,
                    "cover" => Fit::Cover,
                    "fill" => Fit::Fill,
                    _ => return Err(bad("It may be contain, cover, fill or inside.")),
                }
            }
            "gravity" => {
                let found = Gravity::NAMES.iter().find(|(name, _)| *name == value);
                let (_, gravity) =
                    found.ok_or_else(|| bad("It may be center, n, ne, e, se, s, sw, w, nw or smart."))?;
                self.gravity = *gravity;
            }
            "rotate" => {
                self.rotation = match value {
                    "0" => Orientation::Normal,
                    "90" => Orientation::Rotate90,
                    "180" => Orientation::Rotate180,
                    "270" => Orientation::Rotate270,
                    _ => return Err(bad("It may be 0, 90, 180 or 270.")),
                }
            }
            "format" => {
                self.format = match value {
                    "auto" => None,
                    "jpeg" => Some(OutputFormat::Jpeg),
                    "webp" => Some(OutputFormat::Webp),
                    "avif" => Some(OutputFormat::Avif),
                    "png" => Some(OutputFormat::Png),
                    _ => return Err(bad("It may be auto, jpeg, webp, avif or png.")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Leaves out what has no effect.
    fn normalised(mut self) -> Self {
        if self.width.is_none() && self.height.is_none() {
            // Blurs and sharpening are measured in the box's pixels too.
            self.dpr = if self.blur == 0 && self.sharpen == 0 { 100 } else { self.dpr };
        }
        if self.width.is_none() || self.height.is_none() {
            self.fit = Fit::Contain;
        }
        if self.fit != Fit::Cover {
            self.gravity = Gravity::Center;
        }
        match self.format {
            Some(OutputFormat::Png) => (self.quality, self.animate) = (QUALITY, true),
            Some(OutputFormat::Jpeg | OutputFormat::Avif) => self.animate = true,
            _ => {}
        }
        self
    }

    /// Writes the transform as a query: sorted, what is usual left out, nothing that would have to be escaped. It reads
    /// back as the same transform, and is empty for the usual one.
    pub fn canonical(&self) -> String {
        let mut pairs: Vec<String> = Vec::new();
        for name in PARAMETERS {
            if let Some(value) = self.value(name) {
                pairs.push(format!("{name}={value}"));
            }
        }
        pairs.join("&")
    }

    fn value(&self, name: &str) -> Option<String> {
        let number = |value: u16, usual: u16| (value != usual).then(|| Hundredths(value).to_string());
        match name {
            "animate" => (!self.animate).then(|| "0".to_owned()),
            "blur" => number(self.blur, 0),
            "dpr" => number(self.dpr, 100),
            "fit" => match self.fit {
                Fit::Contain => None,
                Fit::Cover => Some("cover".to_owned()),
                Fit::Fill => Some("fill".to_owned()),
            },
            "format" => match self.format? {
                OutputFormat::Jpeg => Some("jpeg".to_owned()),
                format => Some(format.extension().to_owned()),
            },
            "gravity" => (self.gravity != Gravity::Center).then(|| self.gravity.name().to_owned()),
            "h" => self.height.map(|height| height.to_string()),
            "q" => (self.quality != QUALITY).then(|| self.quality.to_string()),
            "rotate" => match self.rotation {
                Orientation::Rotate90 => Some("90".to_owned()),
                Orientation::Rotate180 => Some("180".to_owned()),
                Orientation::Rotate270 => Some("270".to_owned()),
                _ => None,
            },
            "sharpen" => number(self.sharpen, 0),
            "strip" => (!self.strip).then(|| "0".to_owned()),
            "w" => self.width.map(|width| width.to_string()),
            _ => None,
        }
    }

    /// Names what the bytes depend on beside the picture, fit for a file name: for `format=auto` that is also what
    /// the asking program accepts.
    pub fn key(&self, accept: Option<&str>) -> String {
        let text = self.canonical().replace('&', ",");
        let accepts = match (self.depends_on_accept(), Accepts::read(accept)) {
            (false, _) => "",
            (true, Accepts { avif: true, webp: true }) => "-avif,webp",
            (true, Accepts { avif: true, .. }) => "-avif",
            (true, Accepts { webp: true, .. }) => "-webp",
            (true, _) => "-plain",
        };
        let position = if self.keeps_position { "-position" } else { "" };
        format!("v{RECIPE}-{text}{accepts}{position}")
    }

    /// Whether the format follows from what the asking program accepts, so that caches have to be told (`Vary: Accept`).
    pub const fn depends_on_accept(&self) -> bool {
        self.format.is_none()
    }

    /// Decides the format of a rendering. For `format=auto` it is the smallest that an `Accept` header names: AVIF, then
    /// WebP, else JPEG, or PNG for pictures with transparency. What moves becomes WebP or GIF.
    pub fn negotiate(&self, accept: Option<&str>, picture: &Probe) -> OutputFormat {
        if let Some(format) = self.format {
            return format;
        }
        let accepts = Accepts::read(accept);
        if self.animate && picture.moves() {
            return if accepts.webp { OutputFormat::Webp } else { OutputFormat::Gif };
        }
        let (width, height) = self.size(picture);
        let small = u64::from(width) * u64::from(height) <= MAX_AVIF_PIXELS;
        let short = width.max(height) <= 16_383;
        match accepts {
            Accepts { avif: true, .. } if small => OutputFormat::Avif,
            Accepts { webp: true, .. } if short => OutputFormat::Webp,
            _ if picture.colour.has_alpha() => OutputFormat::Png,
            _ => OutputFormat::Jpeg,
        }
    }

    /// Width and height in pixels of the rendering of a picture.
    pub fn size(&self, picture: &Probe) -> (u32, u32) {
        let geometry = self.geometry(picture);
        geometry.turn.size(geometry.width, geometry.height)
    }

    pub(super) const fn quality(&self) -> u8 {
        self.quality
    }

    pub(super) const fn gravity(&self) -> Gravity {
        self.gravity
    }

    pub(super) const fn strips(&self) -> bool {
        self.strip
    }

    pub(super) const fn keeps_position(&self) -> bool {
        self.keeps_position
    }

    pub(super) const fn animates(&self) -> bool {
        self.animate
    }

    /// Standard deviation of the blur in pixels of the result.
    pub(super) fn blur_sigma(&self) -> Option<f64> {
        (self.blur > 0).then(|| self.in_pixels(self.blur))
    }

    /// The same of the blur that sharpening takes the difference to.
    pub(super) fn sharpen_sigma(&self) -> Option<f64> {
        (self.sharpen > 0).then(|| self.in_pixels(self.sharpen))
    }

    fn in_pixels(&self, hundredths: u16) -> f64 {
        f64::from(hundredths) / 100.0 * f64::from(self.dpr) / 100.0
    }

    /// The box in pixels of the result, a free side being as long as it likes. With a high density a side could become
    /// longer than allowed: then both shrink, so that the box keeps its shape.
    fn wanted_box(&self) -> (f64, f64) {
        let scaled = |side: Option<u32>| {
            side.map_or(f64::INFINITY, |side| (f64::from(side) * f64::from(self.dpr) / 100.0).max(1.0))
        };
        let (width, height) = (scaled(self.width), scaled(self.height));
        let longest = [width, height].into_iter().filter(|side| side.is_finite()).fold(1.0, f64::max);
        let shrink = (f64::from(MAX_SIDE) / longest).min(1.0);
        (width * shrink, height * shrink)
    }

    /// What has to be done to the stored pixels of a picture.
    pub(super) fn geometry(&self, picture: &Probe) -> Geometry {
        let turn = picture.orientation.then(self.rotation);
        let (width, height) = turn.size(picture.width, picture.height);
        let (width, height) = (f64::from(width), f64::from(height));
        let (box_width, box_height) = self.wanted_box();
        let (across, down) = (box_width / width, box_height / height);
        let whole = Area { left: 0.0, top: 0.0, width, height };
        let (area, across, down) = match self.fit {
            Fit::Contain => {
                let scale = across.min(down).min(1.0);
                (whole, scale, scale)
            }
            Fit::Fill => (whole, across.min(1.0), down.min(1.0)),
            Fit::Cover => {
                let scale = across.max(down);
                let (shown_width, shown_height) =
                    ((box_width / scale).min(width), (box_height / scale).min(height));
                let (left, top) = self.gravity.shares();
                let area = Area {
                    left: (width - shown_width) * left,
                    top: (height - shown_height) * top,
                    width: shown_width,
                    height: shown_height,
                };
                (area, scale.min(1.0), scale.min(1.0))
            }
        };
        let pixels = |side: f64, scale: f64| (side * scale).round().max(1.0) as u32;
        let (target_width, target_height) = (pixels(area.width, across), pixels(area.height, down));
        let (width, height) = turn.size(target_width, target_height);
        Geometry {
            area: turn.area_before(area, picture.width, picture.height),
            width,
            height,
            turn,
            reduction: 1.0 / across.max(down),
        }
    }
}

/// Raised whenever the same transform begins to give other bytes, so that cached ones are left behind.
const RECIPE: u32 = 2;

const fn side(side: u32) -> u32 {
    match side {
        0 => 1,
        1..=MAX_SIDE => side,
        _ => MAX_SIDE,
    }
}

/// What has to be done to the stored pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Geometry {
    /// The part that is shown, in stored pixels.
    pub(super) area: Area,
    /// Width of the result before turning.
    pub(super) width: u32,
    /// Height of the result before turning.
    pub(super) height: u32,
    /// How the result is turned, the camera's orientation included.
    pub(super) turn: Orientation,
    /// By how much the sides may be reduced on the way, at least 1.
    pub(super) reduction: f64,
}

/// What an `Accept` header names. `image/*` and `*/*` say nothing: programs that send them often know JPEG only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Accepts {
    avif: bool,
    webp: bool,
}

impl Accepts {
    fn read(header: Option<&str>) -> Self {
        let mut this = Self { avif: false, webp: false };
        for range in header.unwrap_or_default().split(',').take(100) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let refused = parts.any(|part| {
                let value = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                value.is_some_and(|value| value.trim().parse::<f32>().is_ok_and(|q| q <= 0.0))
            });
            if refused {
                continue;
            }
            this.avif |= media.eq_ignore_ascii_case("image/avif");
            this.webp |= media.eq_ignore_ascii_case("image/webp");
        }
        this
    }
}

fn whole(name: &'static str, value: &str, least: u32, most: u32) -> Result<u32, BadTransform> {
    let digits = !value.is_empty() && value.len() <= 9 && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| value.parse::<u32>().ok()).flatten();
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        BadTransform::new(name, format!("It must be a whole number between {least} and {most}."))
    })
}

/// Reads a decimal number, rounded to hundredths: what browsers tell of their screens has many digits.
fn hundredths(name: &'static str, value: &str, least: u16, most: u16) -> Result<u16, BadTransform> {
    let plain = !value.is_empty()
        && value.len() <= 32
        && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && value.bytes().any(|byte| byte.is_ascii_digit());
    let number = plain.then(|| value.parse::<f64>().ok()).flatten().map(|number| (number * 100.0).round());
    match number.filter(|number| (f64::from(least)..=f64::from(most)).contains(number)) {
        Some(number) => Ok(number as u16),
        None => {
            let (least, most) = (Hundredths(least), Hundredths(most));
            Err(BadTransform::new(name, format!("It must be a number between {least} and {most}.")))
        }
    }
}

fn flag(name: &'static str, value: &str) -> Result<bool, BadTransform> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(BadTransform::new(name, "It may be 0 or 1.")),
    }
}

/// A number in hundredths, written without needless zeros.
struct Hundredths(u16);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}"),
        }
    }
}

/// Reads a transform written as a query, `w=320&format=webp`. Other than in an address, nothing foreign may stand in it.
impl FromStr for Transform {
    type Err = BadTransform;

    fn from_str(text: &str) -> Result<Self, BadTransform> {
        let pairs = || {
            let parts = text.split('&').filter(|part| !part.is_empty());
            parts.map(|part| part.split_once('=').unwrap_or((part, "")))
        };
        if let Some((name, _)) = pairs().find(|(name, _)| !PARAMETERS.contains(name)) {
            let name: String = name.chars().take(40).collect();
            let why = format!("There is no parameter {name:?}; there are {}.", PARAMETERS.join(", "));
            return Err(BadTransform::new("transform", why));
        }
        Ok(Self::parse(pairs())?.unwrap_or_default())
    }
}

/// The canonical text.
impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

/// The renderings that have a name from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// A square of 200 pixels for lists.
    Thumb,
    /// 360 pixels high and at most 720 wide, for the justified grid.
    Grid,
    /// At most 2,048 pixels a side, for the viewer.
    Screen,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Thumb, Self::Grid, Self::Screen];

    /// Its name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Grid => "grid",
            Self::Screen => "screen",
        }
    }

    /// What it stands for. In the grid nothing moves: hundreds of pictures are there at once.
    pub const fn transform(self) -> Transform {
        match self {
            Self::Thumb => Transform::covering(200, 200, Gravity::Center).still(),
            Self::Grid => Transform::inside(720, 360).still(),
            Self::Screen => Transform::inside(2048, 2048).with_quality(85),
        }
    }
}

impl FromStr for Preset {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or(())
    }
}

impl Probe {
    /// Whether there is more than one frame, one after the other: pages of a TIFF and files that only could move don't
    /// count.
    pub fn moves(&self) -> bool {
        self.frames > 1 && matches!(self.format, Format::Gif | Format::Webp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Transform {
        let pairs = text.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
        Transform::parse(pairs).expect("it is good").expect("it has a transform")
    }

    #[test]
    fn equal_wishes_have_one_spelling() {
        for (text, canonical) in [
            ("w=320", "w=320"),
            ("w=320&fit=contain&format=auto&q=80&dpr=1&gravity=center&rotate=0&strip=1", "w=320"),
            ("w=320&fit=cover&gravity=ne", "w=320"),
            ("w=320&h=200&fit=inside", "h=200&w=320"),
            ("h=200&w=320&gravity=smart", "h=200&w=320"),
            ("fit=cover&w=320&gravity=smart&h=200", "fit=cover&gravity=smart&h=200&w=320"),
            ("dpr=2", ""),
            ("dpr=2&w=100", "dpr=2&w=100"),
            ("dpr=1.10&w=100", "dpr=1.1&w=100"),
            ("dpr=1.100000023841858&w=100", "dpr=1.1&w=100"),
            ("dpr=.5&w=100", "dpr=0.5&w=100"),
            ("format=png&q=30", "format=png"),
            ("format=jpeg&animate=0", "format=jpeg"),
            ("format=webp&animate=0", "animate=0&format=webp"),
            ("blur=0.3&sharpen=10&strip=0&rotate=270", "blur=0.3&rotate=270&sharpen=10&strip=0"),
            ("preset=thumb&w=5&v=abc", "w=5"),
        ] {
            assert_eq!(read(text).canonical(), canonical, "{text}");
            let again: Transform = canonical.parse().expect("it is good");
            assert_eq!(again, read(text), "{text}");
        }
        assert_eq!(Transform::parse([("preset", "thumb"), ("download", "1")].into_iter()), Ok(None));
    }

    #[test]
    fn what_is_out_of_range_or_no_number_is_refused_by_name() {
        for (text, parameter) in [
            ("w=0", "w"),
            ("w=8193", "w"),
            ("h=-1", "h"),
            ("h=+1", "h"),
            ("h= 1", "h"),
            ("w=", "w"),
            ("w=1e3", "w"),
            ("w=99999999999999999999", "w"),
            ("w=10&w=10", "w"),
            ("q=0", "q"),
            ("q=101", "q"),
            ("dpr=0.09", "dpr"),
            ("dpr=4.1", "dpr"),
            ("dpr=nan", "dpr"),
            ("dpr=inf", "dpr"),
            ("dpr=.", "dpr"),
            ("dpr=1.2.3", "dpr"),
            ("blur=0.2", "blur"),
            ("blur=100.1", "blur"),
            ("sharpen=0", "sharpen"),
            ("fit=stretch", "fit"),
            ("gravity=north", "gravity"),
            ("rotate=45", "rotate"),
            ("format=gif", "format"),
            ("format=JPEG", "format"),
            ("strip=true", "strip"),
            ("animate=", "animate"),
        ] {
            let pairs = text.split('&').map(|part| part.split_once('=').expect("a pair"));
            let error = Transform::parse(pairs).expect_err(text);
            assert_eq!(error.parameter, parameter, "{text}");
            assert!(error.why.starts_with("It ") && error.why.ends_with('.'), "{}", error.why);
        }
        let error = "w=320&width=4".parse::<Transform>().expect_err("it has a foreign parameter");
        assert!(error.why.contains("\"width\""), "{error}");
    }

    #[test]
    fn an_accept_header_counts_only_where_it_names_a_format() {
        for (header, avif, webp) in [
            ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", true, true),
            ("image/webp", false, true),
            ("IMAGE/WebP ; q=0.5 , text/html", false, true),
            ("image/avif;q=0,image/webp;q=0.000", false, false),
            ("*/*", false, false),
            ("image/*", false, false),
            ("image/avifs", false, false),
            ("", false, false),
        ] {
            assert_eq!(Accepts::read(Some(header)), Accepts { avif, webp }, "{header}");
        }
        assert_eq!(Accepts::read(None), Accepts { avif: false, webp: false });
    }

    #[test]
    fn keys_are_stable_and_tell_renderings_apart() {
        let thumb = Preset::Thumb.transform();
        assert_eq!(thumb.canonical(), "animate=0&fit=cover&h=200&w=200");
        assert_eq!(thumb.key(None), "v2-animate=0,fit=cover,h=200,w=200-plain");
        assert_eq!(thumb.key(Some("image/avif, image/webp")), "v2-animate=0,fit=cover,h=200,w=200-avif,webp");
        assert_eq!(Preset::Grid.transform().key(Some("image/webp")), "v2-animate=0,h=360,w=720-webp");
        assert_eq!(Preset::Screen.transform().canonical(), "h=2048&q=85&w=2048");
        assert_eq!(read("format=webp&w=5").key(Some("image/avif")), "v2-format=webp,w=5");
        assert_eq!(read("strip=0&w=5").keeping_position().key(None), "v2-strip=0,w=5-plain-position");
        assert_eq!(read("w=5").keeping_position(), read("w=5"));
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
            assert_eq!(preset.transform().canonical().parse(), Ok(preset.transform()));
        }
        assert_eq!("huge".parse::<Preset>(), Err(()));
    }
}
