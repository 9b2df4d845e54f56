//! Colour profiles (ICC.1) and inks. A profile that is broken never costs the picture: it counts as sRGB, and whoever
//! asked is told.

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    TransferCharacteristics, TransformExecutor, TransformOptions,
};

use super::pixels::{Channels, Image, Samples};
use super::yuv::Coding;

/// What became of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileUse {
    /// There was none: the picture already was sRGB.
    Absent,
    /// The pixels were converted by it.
    Applied,
    /// It could not be used, being broken or for another kind of colour; the picture was taken as sRGB.
    Ignored,
}

/// Converts a picture to sRGB by its profile. Gray stays gray, bits and alpha stay as they are.
pub fn to_srgb(mut image: Image, icc: Option<&[u8]>) -> (Image, ProfileUse) {
    let Some(icc) = icc else { return (image, ProfileUse::Absent) };
    let used = read_profile(icc).and_then(|profile| match &mut image.samples {
        Samples::U8(samples) => {
            let transform = |from, to| {
                profile
                    .create_transform_8bit(from, &ColorProfile::new_srgb(), to, TransformOptions::default())
                    .ok()
            };
            convert(samples, image.channels, profile.color_space, transform)
        }
        Samples::U16(samples) => {
            let transform = |from, to| {
                profile
                    .create_transform_16bit(from, &ColorProfile::new_srgb(), to, TransformOptions::default())
                    .ok()
            };
            convert(samples, image.channels, profile.color_space, transform)
        }
    });
    (image, if used.is_some() { ProfileUse::Applied } else { ProfileUse::Ignored })
}

/// Whether a profile means what pictures without one mean, to within what anybody could see. Many cameras write such
/// ones; without a conversion pixels need not become RGB.
pub(super) fn is_srgb(icc: &[u8]) -> bool {
    let options = TransformOptions::default();
    let transform =
        read_profile(icc).filter(|profile| profile.color_space == DataColorSpace::Rgb).and_then(|profile| {
            profile.create_transform_8bit(Layout::Rgb, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()
        });
    let Some(transform) = transform else { return false };
    let levels = [0, 16, 48, 96, 128, 176, 224, 255];
    let colours = levels.map(|red| levels.map(|green| levels.map(|blue| [red, green, blue])));
    let colours: Vec<u8> = colours.into_iter().flatten().flatten().flatten().collect();
    let mut converted = vec![0; colours.len()];
    transform.transform(&colours, &mut converted).is_ok()
        && colours.iter().zip(&converted).all(|(before, after)| before.abs_diff(*after) <= 2)
}

/// The curves of pictures that are brighter than paper: perceptual quantizer and hybrid log-gamma (ITU-R BT.2100).
const PERCEPTUAL: u16 = 16;
const HYBRID: u16 = 18;

/// Whether a picture shows more light than a usual screen does.
pub(super) fn is_wide_range(coding: Coding) -> bool {
    matches!(coding.transfer, PERCEPTUAL | HYBRID)
}

/// The profile of a picture that says its colours in numbers (ITU-T H.273); nothing where they are those of sRGB. What was
/// brought down by [`to_screen_range`] has the curve of sRGB, and so has what is meant for a television.
pub(super) fn profile_of_coding(coding: Coding) -> Option<Vec<u8>> {
    let transfer = match coding.transfer {
        4 | 5 | 8 | 17 => coding.transfer,
        _ => 13,
    };
    let primaries = match coding.primaries {
        4..=7 | 9 | 11 | 12 | 22 => coding.primaries,
        _ => 1,
    };
    if (primaries, transfer) == (1, 13) {
        return None;
    }
    let mut profile = ColorProfile::new_from_cicp(CicpProfile {
        color_primaries: CicpColorPrimaries::try_from(primaries as u8).ok()?,
        transfer_characteristics: TransferCharacteristics::try_from(transfer as u8).ok()?,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    profile.cicp = None;
    profile.encode().ok()
}

/// Brings a picture that is brighter than paper down to what a screen shows, and to the curve of sRGB: paper white keeps
/// nearly its brightness, and what shines is pressed together above it, each colour by itself.
pub(super) fn to_screen_range(image: &mut Image, coding: Coding) {
    let colours = image.channels.colour_count();
    let channels = image.channels.count();
    match &mut image.samples {
        Samples::U8(samples) => {
            let table: Vec<u8> = (0..=255_u16)
                .map(|level| (on_screen(f32::from(level) / 255.0, coding) * 255.0 + 0.5) as u8)
                .collect();
            for pixel in samples.chunks_exact_mut(channels) {
                pixel[..colours].iter_mut().for_each(|sample| *sample = table[usize::from(*sample)]);
            }
        }
        Samples::U16(samples) => {
            let table: Vec<u16> = (0..=u16::MAX)
                .map(|level| (on_screen(f32::from(level) / 65_535.0, coding) * 65_535.0 + 0.5) as u16)
                .collect();
            for pixel in samples.chunks_exact_mut(channels) {
                pixel[..colours].iter_mut().for_each(|sample| *sample = table[usize::from(*sample)]);
            }
        }
    }
}

/// A level of one of the two curves as a level of sRGB.
fn on_screen(level: f32, coding: Coding) -> f32 {
    /// Paper white in candelas per square metre (ITU-R BT.2408), and the brightest that is told apart.
    const WHITE: f32 = 203.0;
    const BRIGHTEST: f32 = 1000.0;
    let light = if coding.transfer == PERCEPTUAL {
        let root = level.powf(1.0 / 78.843_75);
        let part = (root - 0.835_937_5).max(0.0) / (18.851_563 - 18.6875 * root);
        10_000.0 * part.powf(1.0 / 0.159_301_76)
    } else {
        let scene = if level <= 0.5 {
            level * level / 3.0
        } else {
            (((level - 0.559_910_7) / 0.178_832_77).exp() + 0.284_668_92) / 12.0
        };
        BRIGHTEST * scene.powf(1.2)
    };
    let (light, most) = (light / WHITE, BRIGHTEST / WHITE);
    // Reinhard's curve with a white point, which is 1 at the brightest.
    let shown = (light * (1.0 + light / (most * most)) / (1.0 + light)).clamp(0.0, 1.0);
    if shown <= 0.003_130_8 { shown * 12.92 } else { 1.055 * shown.powf(1.0 / 2.4) - 0.055 }
}

fn read_profile(icc: &[u8]) -> Option<ColorProfile> {
    ColorProfile::new_from_slice(icc).ok()
}

/// Converted in pieces of this many pixels, so that no second picture is needed.
const PIECE: usize = 4096;

fn convert<T, E: ?Sized + TransformExecutor<T>>(
    samples: &mut [T],
    channels: Channels,
    space: DataColorSpace,
    transform: impl Fn(Layout, Layout) -> Option<std::sync::Arc<E>>,
) -> Option<()>
where
    T: Copy + Default,
{
    let (from, to) = match (channels, space) {
        (Channels::Rgb, DataColorSpace::Rgb) => (Layout::Rgb, Layout::Rgb),
        (Channels::Rgba, DataColorSpace::Rgb) => (Layout::Rgba, Layout::Rgba),
        (Channels::Gray, DataColorSpace::Gray) => (Layout::Gray, Layout::Rgb),
        (Channels::GrayAlpha, DataColorSpace::Gray) => (Layout::GrayAlpha, Layout::Rgba),
        _ => return None,
    };
    let transform = transform(from, to)?;
    let (from, to) = (from.channels(), to.channels());
    let mut converted = vec![T::default(); PIECE * to];
    for piece in samples.chunks_mut(PIECE * from) {
        let pixels = piece.len() / from;
        let converted = &mut converted[..pixels * to];
        transform.transform(&piece[..pixels * from], converted).ok()?;
        if from == to {
            piece.copy_from_slice(converted);
        } else {
            // Gray went through three equal channels: one of them, and alpha, is gray again.
            for (old, new) in piece.chunks_exact_mut(from).zip(converted.chunks_exact(to)) {
                old[0] = new[1];
            }
        }
    }
    Some(())
}

/// Converts 8-bit inks, 0 being none, to RGB by their profile, or plainly without a usable one.
pub(super) fn cmyk8_to_srgb(inks: Vec<u8>, icc: Option<&[u8]>) -> Vec<u8> {
    let transform = ink_profile(icc).and_then(|profile| {
        let options = TransformOptions::default();
        profile.create_transform_8bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()
    });
    inks_to_rgb(inks, 255, transform.as_deref())
}

/// The same for 16 bits.
pub(super) fn cmyk16_to_srgb(inks: Vec<u16>, icc: Option<&[u8]>) -> Vec<u16> {
    let transform = ink_profile(icc).and_then(|profile| {
        let options = TransformOptions::default();
        profile.create_transform_16bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgb, options).ok()
    });
    inks_to_rgb(inks, 65_535, transform.as_deref())
}

fn ink_profile(icc: Option<&[u8]>) -> Option<ColorProfile> {
    read_profile(icc?).filter(|profile| profile.color_space == DataColorSpace::Cmyk)
}

/// Shrinks four samples to three in the same memory.
fn inks_to_rgb<T, E>(mut inks: Vec<T>, full: u32, transform: Option<&E>) -> Vec<T>
where
    T: Copy + Default + Into<u32> + TryFrom<u32>,
    E: ?Sized + TransformExecutor<T>,
{
    let pixels = inks.len() / 4;
    let mut rgb = [T::default(); PIECE * 3];
    let mut done = 0;
    while done < pixels {
        let count = PIECE.min(pixels - done);
        let source = &inks[done * 4..(done + count) * 4];
        let rgb = &mut rgb[..count * 3];
        if transform.is_none_or(|transform| transform.transform(source, rgb).is_err()) {
            for (ink, rgb) in source.chunks_exact(4).zip(rgb.chunks_exact_mut(3)) {
                let paper = full - ink[3].into();
                for (sample, ink) in rgb.iter_mut().zip(ink) {
                    let light = (full - (*ink).into()) as u64 * u64::from(paper);
                    let light = (light + u64::from(full) / 2) / u64::from(full);
                    *sample = T::try_from(light as u32).unwrap_or_default();
                }
            }
        }
        inks[done * 3..(done + count) * 3].copy_from_slice(rgb);
        done += count;
    }
    inks.truncate(pixels * 3);
    inks
}
