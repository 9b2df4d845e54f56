//! Where most is to be seen: which part of a picture to keep when something has to be cut off.
//!
//! Three things draw the eye and are cheap to measure on a small copy: colours that differ from the rest of the picture
//! (Achanta et al., «Frequency-tuned Salient Region Detection», 2009), edges, and skin. Only one direction is ever
//! free, so that a profile along it is enough.

use super::pixels::{Image, Samples};
use super::resize::Area;

/// Longest side of the copy that is looked at.
pub(super) const LOOK_SIDE: u32 = 96;

/// Moves `area` along the side on which it is shorter than the picture to where most is to be seen. `look` is a small
/// copy of the whole picture, 8-bit RGB; sizes of `area` are in pixels of the picture, which is `width` x `height`.
pub(super) fn place(look: &Image, area: Area, width: f64, height: f64) -> Area {
    let Samples::U8(samples) = &look.samples else { return area };
    let (columns, rows) = (look.width as usize, look.height as usize);
    let pixels = samples.as_chunks::<3>().0;
    if pixels.len() != columns * rows || pixels.is_empty() {
        return area;
    }
    let weights = interest(pixels, columns, rows);
    if area.width < width - 0.5 {
        let mut profile = vec![0.0; columns];
        for row in weights.chunks_exact(columns) {
            profile.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
        }
        let start = best_start(&profile, area.width / width);
        Area { left: (start * width).clamp(0.0, width - area.width), ..area }
    } else if area.height < height - 0.5 {
        let profile: Vec<f32> = weights.chunks_exact(columns).map(|row| row.iter().sum()).collect();
        let start = best_start(&profile, area.height / height);
        Area { top: (start * height).clamp(0.0, height - area.height), ..area }
    } else {
        area
    }
}

/// Finds the window, `share` of the whole long, that holds the most, and gives its start as a share of the whole. What
/// lies in the middle of the window counts more, so that a subject is not pressed against its edge; among equals the one
/// nearest to the centre wins.
fn best_start(profile: &[f32], share: f64) -> f64 {
    let share = share.clamp(0.0, 1.0);
    let steps = profile.len() * 2;
    let room = 1.0 - share;
    let mut best = (f64::MIN, room / 2.0);
    for step in 0..=steps {
        let start = room * step as f64 / steps as f64;
        let mut score = 0.0;
        for (index, value) in profile.iter().enumerate() {
            let at = ((index as f64 + 0.5) / profile.len() as f64 - start) / share.max(1e-9);
            if (0.0..1.0).contains(&at) {
                let off_centre = 2.0 * at - 1.0;
                score += f64::from(*value) * (1.0 - 0.5 * off_centre * off_centre);
            }
        }
        let nearer = (start - room / 2.0).abs() < (best.1 - room / 2.0).abs();
        let margin = best.0.abs() * 1e-6;
        if score > best.0 + margin || (score >= best.0 - margin && nearer) {
            best = (score, start);
        }
    }
    best.1
}

/// How much each pixel draws the eye.
fn interest(pixels: &[[u8; 3]], columns: usize, rows: usize) -> Vec<f32> {
    let count = pixels.len() as f32;
    let mut mean = [0.0_f32; 3];
    for pixel in pixels {
        mean.iter_mut().zip(opponent(pixel)).for_each(|(sum, value)| *sum += value / count);
    }
    let light: Vec<f32> = pixels.iter().map(|pixel| opponent(pixel)[0]).collect();
    let at = |x: usize, y: usize| light[y * columns + x];
    let mut weights = Vec::with_capacity(pixels.len());
    for y in 0..rows {
        for x in 0..columns {
            let pixel = &pixels[y * columns + x];
            let colour = opponent(pixel);
            let differs = colour.iter().zip(mean).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            let across = at((x + 1).min(columns - 1), y) - at(x.saturating_sub(1), y);
            let down = at(x, (y + 1).min(rows - 1)) - at(x, y.saturating_sub(1));
            // A hard edge draws the eye no more than a clear one: foliage and print would win everywhere.
            let edge = across.hypot(down).min(60.0);
            let weight = differs / 128.0 + edge / 120.0 + if is_skin(pixel) { 0.6 } else { 0.0 };
            // Squared: much in one place counts more than a little everywhere.
            weights.push(weight * weight);
        }
    }
    // What all of the picture has, such as grain, says nothing about a place.
    let mut sorted = weights.clone();
    sorted.sort_by(f32::total_cmp);
    let usual = sorted[sorted.len() / 2];
    weights.iter_mut().for_each(|weight| *weight = (*weight - usual).max(0.0));
    weights
}

/// Light, red against green, and yellow against blue; colour counts more than light, as shadows are no subjects.
fn opponent(pixel: &[u8; 3]) -> [f32; 3] {
    let [red, green, blue] = pixel.map(f32::from);
    let light = 0.299 * red + 0.587 * green + 0.114 * blue;
    [light, (red - green) * 0.9, (f32::midpoint(red, green) - blue) * 0.7]
}

/// Whether a colour lies where skin of all shades does in the plane of chroma (Chai and Ngan, 1999).
fn is_skin(pixel: &[u8; 3]) -> bool {
    let [red, green, blue] = pixel.map(f32::from);
    let blueness = 128.0 - 0.168_736 * red - 0.331_264 * green + 0.5 * blue;
    let redness = 128.0 + 0.5 * red - 0.418_688 * green - 0.081_312 * blue;
    (77.0..=127.0).contains(&blueness) && (138.0..=173.0).contains(&redness) && red > 60.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Channels;

    /// A picture of 96 x 48 with a disc of 9 pixels around `x`, before a background.
    fn picture(x: f64, subject: [u8; 3], background: impl Fn(u32, u32) -> [u8; 3]) -> Image {
        let mut samples = Vec::new();
        for row in 0..48_u32 {
            for column in 0..96_u32 {
                let inside = (f64::from(column) - x).hypot(f64::from(row) - 24.0) < 9.0;
                samples.extend(if inside { subject } else { background(column, row) });
            }
        }
        Image { width: 96, height: 48, channels: Channels::Rgb, samples: Samples::U8(samples) }
    }

    /// The square that is kept of a picture twice as wide as high.
    fn kept(image: &Image) -> (f64, f64) {
        let area = Area { left: 500.0, top: 0.0, width: 1000.0, height: 1000.0 };
        let area = place(image, area, 2000.0, 1000.0);
        assert_eq!((area.top, area.width, area.height), (0.0, 1000.0, 1000.0));
        (area.left * 96.0 / 2000.0, (area.left + area.width) * 96.0 / 2000.0)
    }

    fn noise(x: u32, y: u32) -> u8 {
        let mut state = x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b);
        state ^= state >> 15;
        state = state.wrapping_mul(0x2c1b_3c6d);
        (state >> 24) as u8
    }

    #[test]
    fn a_subject_off_the_centre_stays_inside() {
        for x in [10.0, 24.0, 48.0, 70.0, 85.0] {
            let plain = |_, _| [90, 140, 200];
            let grass = |x, y| [60 + noise(x, y) / 8, 110 + noise(x, y) / 5, 50];
            let dusk = |x: u32, y: u32| [(x / 2) as u8 + 60, (y as u8) + 60, 90];
            for (name, image) in [
                ("red on plain", picture(x, [200, 40, 40], plain)),
                ("a face on plain", picture(x, [224, 172, 140], plain)),
                ("a dark face on grass", picture(x, [120, 75, 55], grass)),
                ("white on grass", picture(x, [240, 240, 240], grass)),
                ("red on a gradient", picture(x, [210, 60, 50], dusk)),
            ] {
                let (start, end) = kept(&image);
                assert!(start <= x - 9.0 + 1.0 && end >= x + 9.0 - 1.0, "{name} at {x}: {start} to {end}");
            }
        }
    }

    #[test]
    fn where_nothing_stands_out_the_centre_is_kept() {
        let image = picture(-50.0, [0; 3], |_, _| [128; 3]);
        let (start, _) = kept(&image);
        assert!((start - 24.0).abs() < 1.0, "{start}");
    }

    #[test]
    fn upright_pictures_move_up_and_down() {
        let wide = picture(80.0, [200, 40, 40], |_, _| [90, 140, 200]);
        let tall = crate::imaging::orient(wide, crate::imaging::Orientation::Rotate90);
        let area = Area { left: 0.0, top: 500.0, width: 1000.0, height: 1000.0 };
        let area = place(&tall, area, 1000.0, 2000.0);
        assert!(area.top + area.height > (80.0 + 8.0) * 2000.0 / 96.0, "{area:?}");
        assert_eq!(area.left, 0.0);
    }
}
