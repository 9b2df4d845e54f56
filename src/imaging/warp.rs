//! A quadrilateral of a picture made a rectangle: prints cut out of a scan and straightened.

use rayon::prelude::*;

use super::error::Error;
use super::pixels::{Image, Samples};
use super::scan::Point;

/// The longest side of what is cut out.
const SIDE_MAX: f64 = 65_000.0;

/// The size at which a quadrilateral with these corners (clockwise from the top left) is cut out: the longer of its
/// opposite sides, so that no detail is lost.
///
/// # Errors
/// [`Error::TooLarge`] where that is more pixels than `max_pixels`; none are fewer than one by one.
pub fn cut_size(corners: &[Point; 4], max_pixels: u64) -> Result<(u32, u32), Error> {
    let length = |a: Point, b: Point| (a.0 - b.0).hypot(a.1 - b.1);
    let [a, b, c, d] = *corners;
    let width = length(a, b).max(length(c, d)).round().clamp(1.0, SIDE_MAX) as u32;
    let height = length(b, c).max(length(d, a)).round().clamp(1.0, SIDE_MAX) as u32;
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(Error::TooLarge { width, height, max_pixels });
    }
    Ok((width, height))
}

/// Cuts out the quadrilateral with these corners, clockwise from what becomes the top left, and makes it a rectangle of
/// that size. Corners count from the outer corner of the first pixel; one whose sides lie along the pixels comes out
/// exactly as it is. Beyond the picture its rim is repeated.
///
/// Cubic interpolation after Catmull and Rom, in the pixels' own gamma: what is turned by a few degrees keeps its detail.
pub fn cut_out(image: &Image, corners: &[Point; 4], (width, height): (u32, u32)) -> Image {
    let map = Map::new(corners, f64::from(width), f64::from(height));
    let samples = match &image.samples {
        Samples::U8(samples) => Samples::U8(warp(
            &Source { samples, image },
            (width as usize, height as usize),
            &map,
            f32::from,
            // `as` saturates.
            |value| (value + 0.5) as u8,
        )),
        Samples::U16(samples) => Samples::U16(warp(
            &Source { samples, image },
            (width as usize, height as usize),
            &map,
            f32::from,
            |value| (value + 0.5) as u16,
        )),
    };
    Image { width, height, channels: image.channels, samples }
}

/// From a rectangle to a quadrilateral (Heckbert, 1989).
struct Map {
    terms: [f64; 8],
}

impl Map {
    fn new(&[a, b, c, d]: &[Point; 4], width: f64, height: f64) -> Self {
        let (sum_x, sum_y) = (a.0 - b.0 + c.0 - d.0, a.1 - b.1 + c.1 - d.1);
        let (dx1, dx2, dy1, dy2) = (b.0 - c.0, d.0 - c.0, b.1 - c.1, d.1 - c.1);
        let area = dx1 * dy2 - dx2 * dy1;
        let flat = sum_x.abs() < 1e-9 && sum_y.abs() < 1e-9 || area.abs() < 1e-9;
        let (g, h) = if flat {
            (0.0, 0.0)
        } else {
            ((sum_x * dy2 - dx2 * sum_y) / area, (dx1 * sum_y - sum_x * dy1) / area)
        };
        Self {
            terms: [
                (b.0 - a.0 + g * b.0) / width,
                (d.0 - a.0 + h * d.0) / height,
                a.0,
                (b.1 - a.1 + g * b.1) / width,
                (d.1 - a.1 + h * d.1) / height,
                a.1,
                g / width,
                h / height,
            ],
        }
    }

    fn at(&self, x: f64, y: f64) -> Point {
        let [a, b, c, d, e, f, g, h] = self.terms;
        let depth = g * x + h * y + 1.0;
        // A quadrilateral that is folded has no inside there.
        let depth = if depth.abs() < 1e-9 { 1e-9 } else { depth };
        ((a * x + b * y + c) / depth, (d * x + e * y + f) / depth)
    }
}

struct Source<'a, T> {
    samples: &'a [T],
    image: &'a Image,
}

fn warp<T: Copy + Default + Send + Sync>(
    source: &Source<'_, T>,
    (width, height): (usize, usize),
    map: &Map,
    get: impl Fn(T) -> f32 + Sync,
    put: impl Fn(f32) -> T + Sync,
) -> Vec<T> {
    let count = source.image.channels.count();
    let (across, down) = (source.image.width as usize, source.image.height as usize);
    let mut out = vec![T::default(); width * height * count];
    out.par_chunks_mut(width * count).enumerate().for_each(|(row, out)| {
        for (column, pixel) in out.chunks_exact_mut(count).enumerate() {
            let (x, y) = map.at(column as f64 + 0.5, row as f64 + 0.5);
            let (left, us) = taps(x - 0.5, across);
            let (top, vs) = taps(y - 0.5, down);
            for (channel, sample) in pixel.iter_mut().enumerate() {
                let mut sum = 0.0;
                for (v, y) in vs.iter().zip(top) {
                    let start = y * across * count + channel;
                    let row: f32 =
                        us.iter().zip(left).map(|(u, x)| u * get(source.samples[start + x * count])).sum();
                    sum += v * row;
                }
                *sample = put(sum);
            }
        }
    });
    out
}

/// The four samples around a position, and what each weighs.
fn taps(position: f64, length: usize) -> ([usize; 4], [f32; 4]) {
    let position = position.clamp(-1.0, length as f64);
    // What differs from a whole number only by rounding is one.
    let nearest = position.round();
    let position = if (position - nearest).abs() < 1e-6 { nearest } else { position };
    let first = position.floor();
    let t = (position - first) as f32;
    let index = |offset: f64| (first + offset).clamp(0.0, (length - 1) as f64) as usize;
    let weights = [
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    ];
    ([index(-1.0), index(0.0), index(1.0), index(2.0)], weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Channels;

    fn picture(width: u32, height: u32, value: impl Fn(f64, f64) -> f64) -> Image {
        let samples = (0..width * height)
            .map(|i| (value(f64::from(i % width) + 0.5, f64::from(i / width) + 0.5) + 0.5) as u8)
            .collect();
        Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples) }
    }

    #[test]
    fn what_lies_straight_comes_out_exactly_also_turned_by_quarters() {
        let value = |x: f64, y: f64| (x * 37.0 + y * 11.0) % 251.0;
        let image = picture(40, 30, value);
        let (left, top, right, bottom) = (7.0, 5.0, 27.0, 18.0);
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        assert_eq!(cut_size(&corners, 1000).unwrap(), (20, 13));
        assert!(matches!(cut_size(&corners, 200), Err(Error::TooLarge { width: 20, height: 13, .. })));
        let cut = cut_out(&image, &corners, (20, 13));
        assert_eq!(cut.samples, picture(20, 13, |x, y| value(x + left, y + top)).samples);
        // The corner that was at the bottom left is at the top left after a quarter clockwise.
        let turned = [corners[3], corners[0], corners[1], corners[2]];
        assert_eq!(cut_size(&turned, 1000).unwrap(), (13, 20));
        let cut = cut_out(&image, &turned, (13, 20));
        assert_eq!(cut.samples, picture(13, 20, |x, y| value(y + left, bottom - x)).samples);
    }

    #[test]
    fn what_lies_at_an_angle_is_straightened() {
        let smooth = |x: f64, y: f64| 128.0 + 60.0 * (x / 9.0).sin() + 50.0 * (y / 7.0).cos();
        let (sine, cosine) = 17f64.to_radians().sin_cos();
        let turn = |x: f64, y: f64| (90.0 + x * cosine - y * sine, 80.0 + x * sine + y * cosine);
        // The smooth picture, turned.
        let image = picture(200, 180, |x, y| {
            let (x, y) = (x - 90.0, y - 80.0);
            smooth(x * cosine + y * sine, y * cosine - x * sine)
        });
        let corners = [turn(-40.0, -30.0), turn(50.0, -30.0), turn(50.0, 40.0), turn(-40.0, 40.0)];
        let size = cut_size(&corners, u64::MAX).unwrap();
        assert_eq!(size, (90, 70));
        let Samples::U8(cut) = cut_out(&image, &corners, size).samples else { panic!("8 bits") };
        let Samples::U8(wanted) = picture(90, 70, |x, y| smooth(x - 40.0, y - 30.0)).samples else {
            panic!("8 bits")
        };
        assert!(cut.iter().zip(&wanted).all(|(a, b)| a.abs_diff(*b) <= 2));
    }

    #[test]
    fn corners_outside_and_folded_ones_are_survived() {
        let image = picture(20, 10, |x, _| x);
        for corners in [
            [(-5.0, -5.0), (25.0, -5.0), (25.0, 15.0), (-5.0, 15.0)],
            [(2.0, 2.0), (12.0, 8.0), (12.0, 2.0), (2.0, 8.0)],
            [(3.0, 3.0); 4],
        ] {
            let size = cut_size(&corners, 10_000).unwrap();
            let cut = cut_out(&image, &corners, size);
            assert_eq!((cut.width, cut.height), size);
        }
    }
}
