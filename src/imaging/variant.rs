//! Renderings for delivery: smaller, upright, in sRGB, without metadata.

use std::fmt;
use std::io::{Read, Seek};
use std::str::FromStr;

use super::budget::{Budget, Limits};
use super::colour::to_srgb;
use super::decode::decode_reduced;
use super::encode::{EncodeOptions, Subsampling, encode, to_8_bits};
use super::error::Error;
use super::format::Format;
use super::orientation::{Orientation, orient};
use super::pixels::Image;
use super::probe::{Probe, probe_input};
use super::resize::{Area, resize_area};
use super::source::Input;

/// How a picture fills the box it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// As large as fits inside, nothing cut off.
    Contain,
    /// The whole box, its centre kept and the rest cut off.
    Cover,
}

/// A rendering that can be asked for. It never is larger than the picture: a box that would need more pixels keeps its
/// shape for [`Fit::Cover`] and loses it for [`Fit::Contain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VariantSpec {
    /// Width of the box in pixels.
    pub width: u32,
    /// Height of the box in pixels.
    pub height: u32,
    /// How to fill it.
    pub fit: Fit,
    /// JPEG, PNG or WebP.
    pub format: Format,
    /// Quality of JPEG and WebP, 1 to 100.
    pub quality: u8,
}

/// The renderings that anybody may ask for.
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

    /// What it stands for, in JPEG, PNG or WebP.
    pub const fn spec(self, format: Format) -> VariantSpec {
        let (width, height, fit, quality) = match self {
            Self::Thumb => (200, 200, Fit::Cover, 80),
            Self::Grid => (720, 360, Fit::Contain, 80),
            Self::Screen => (2048, 2048, Fit::Contain, 85),
        };
        VariantSpec { width, height, fit, format, quality }
    }
}

impl FromStr for Preset {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|preset| preset.name() == name).ok_or(())
    }
}

/// Raised whenever the same specification begins to give other bytes, so that cached ones are left behind.
const RECIPE: u32 = 1;

/// The key under which a rendering may be cached: the same for the same bytes, and fit for a file name.
impl fmt::Display for VariantSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fit = match self.fit {
            Fit::Contain => "contain",
            Fit::Cover => "cover",
        };
        let Self { width, height, quality, format, .. } = self;
        write!(f, "v{RECIPE}-{width}x{height}-{fit}-q{quality}.{}", format.extension())
    }
}

/// A rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub content_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Renders a picture file for delivery. It waits for memory, so never on an async thread.
///
/// # Errors
/// Those of [`super::decode()`], and [`Error::Unsupported`] for formats that are not delivered.
pub fn variant<R: Read + Seek>(
    source: &mut R,
    spec: &VariantSpec,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    variant_input(&mut Input::Reader(source), spec, limits, budget)
}

/// Does the same for a file in memory.
///
/// # Errors
/// As [`variant`].
pub fn variant_bytes(
    bytes: &[u8],
    spec: &VariantSpec,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    variant_input(&mut Input::Bytes(bytes), spec, limits, budget)
}

/// Gives the upright sRGB picture, not larger than the box needs, for [`super::thumbhash()`] and the like.
///
/// # Errors
/// Those of [`super::decode()`].
pub fn thumbnail<R: Read + Seek>(
    source: &mut R,
    max_side: u32,
    limits: &Limits,
    budget: &Budget,
) -> Result<Image, Error> {
    let spec = VariantSpec {
        width: max_side,
        height: max_side,
        fit: Fit::Contain,
        format: Format::Png,
        quality: 100,
    };
    render(&mut Input::Reader(source), &spec, limits, budget)
}

fn variant_input(
    input: &mut Input<'_>,
    spec: &VariantSpec,
    limits: &Limits,
    budget: &Budget,
) -> Result<Variant, Error> {
    if !matches!(spec.format, Format::Jpeg | Format::Png | Format::Webp) {
        return Err(Error::unsupported(spec.format.name(), "delivery"));
    }
    let image = render(input, spec, limits, budget)?;
    let options = EncodeOptions {
        quality: spec.quality,
        subsampling: if spec.quality >= 90 { Subsampling::Full } else { Subsampling::Half },
        ..EncodeOptions::new(spec.format)
    };
    Ok(Variant {
        bytes: encode(&image, &options)?,
        content_type: spec.format.content_type(),
        width: image.width,
        height: image.height,
    })
}

fn render(
    input: &mut Input<'_>,
    spec: &VariantSpec,
    limits: &Limits,
    budget: &Budget,
) -> Result<Image, Error> {
    let probe = probe_input(input)?;
    limits.check(probe.width, probe.height)?;
    let plan = Plan::new(&probe, spec);
    let needed = probe.decode_bytes_reduced(plan.reduction) + plan.further_bytes(&probe);
    let _permit = budget.acquire_blocking(needed)?;
    let pixels = decode_reduced(input, &probe, plan.reduction)?;
    let area = plan.area.scaled(1.0 / pixels.reduction);
    // Reducing 16 bits first would round twice, but nobody can see that in a rendering of 8 bits.
    let small = resize_area(&to_8_bits(pixels.image), area, plan.width, plan.height)?;
    let (small, _) = to_srgb(small, pixels.icc.as_deref());
    Ok(orient(small, plan.orientation))
}

/// What has to be done to the stored pixels.
struct Plan {
    /// The part that is shown, in stored pixels.
    area: Area,
    /// Size of the result before turning.
    width: u32,
    height: u32,
    orientation: Orientation,
    /// How much the decoder may reduce.
    reduction: u32,
}

impl Plan {
    fn new(probe: &Probe, spec: &VariantSpec) -> Self {
        // Everything is symmetric about the centre, so that turning can wait until the picture is small.
        let (box_width, box_height) = probe.orientation.size(spec.width.max(1), spec.height.max(1));
        let (box_width, box_height) = (f64::from(box_width), f64::from(box_height));
        let (stored_width, stored_height) = (f64::from(probe.width), f64::from(probe.height));
        let (across, down) = (box_width / stored_width, box_height / stored_height);
        let (area, scale) = match spec.fit {
            Fit::Contain => {
                let area = Area { left: 0.0, top: 0.0, width: stored_width, height: stored_height };
                (area, across.min(down).min(1.0))
            }
            Fit::Cover => {
                let scale = across.max(down);
                let (width, height) =
                    ((box_width / scale).min(stored_width), (box_height / scale).min(stored_height));
                let (left, top) = ((stored_width - width) / 2.0, (stored_height - height) / 2.0);
                (Area { left, top, width, height }, scale.min(1.0))
            }
        };
        let pixels = |side: f64| (side * scale).round().max(1.0) as u32;
        Self {
            area,
            width: pixels(area.width),
            height: pixels(area.height),
            orientation: probe.orientation,
            reduction: reduction(probe, 1.0 / scale),
        }
    }

    /// Bytes that the way from the decoded picture to the file takes.
    fn further_bytes(&self, probe: &Probe) -> u64 {
        let reduction = u64::from(self.reduction);
        let decoded = probe.image_bytes() / (reduction * reduction);
        let rounded = if probe.bit_depth > 8 { decoded / 2 } else { 0 };
        // The resizer multiplies alpha into a copy, and works in one direction after the other.
        let multiplied = if probe.colour.has_alpha() { decoded } else { 0 };
        let half_way = u64::from(self.width) * (u64::from(probe.height) / reduction + 1) * 4;
        // The result passes through a handful of buffers: resized, turned, converted, without alpha, encoded.
        let result = u64::from(self.width) * u64::from(self.height) * 32;
        rounded + multiplied + half_way + result
    }
}

/// How much the decoder reduces, leaving the resizer enough to be sharp: it averages boxes, which blurs less the more
/// pixels remain for each of the result.
fn reduction(probe: &Probe, wanted: f64) -> u32 {
    if !probe.reduces {
        return 1;
    }
    match probe.format {
        Format::Jpeg => [8, 4, 2].into_iter().find(|factor| wanted >= f64::from(*factor) * 1.4).unwrap_or(1),
        Format::Png => ((wanted / 2.0) as u32).max(1),
        _ => 1,
    }
}

impl Area {
    fn scaled(self, factor: f64) -> Self {
        Self {
            left: self.left * factor,
            top: self.top * factor,
            width: self.width * factor,
            height: self.height * factor,
        }
    }
}
