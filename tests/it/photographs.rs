//! Photographs that tests restore: a rendered scene with noise, in any format, with what a camera writes into it.

use safelight::imaging::{self, Channels, EncodeOptions, Format, Image, Samples};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    /// Roughly normal with deviation 1.
    fn roll(&mut self) -> f32 {
        let sum: u64 = (0..4)
            .map(|_| {
                self.0 =
                    self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                self.0 >> 48
            })
            .sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.73
    }
}

/// A hill under a sky with a fence in front, with noise of a deviation on the scale of 0 to 255.
pub(crate) fn scene(width: u32, height: u32, channels: Channels, depth: u8, noise: f32) -> Image {
    let mut dice = Dice(7);
    let mut samples = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let hill = 0.55 + 0.12 * (u * 5.0).sin();
            let fence = v > 0.8 && x % 24 < 3;
            let colour = match (fence, v < hill) {
                (true, _) => [238.0, 232.0, 222.0],
                (_, true) => [96.0 + 90.0 * v, 140.0 + 80.0 * v, 232.0],
                (_, false) => [60.0 + 50.0 * u, 112.0 - 60.0 * (v - hill), 12.0 + 20.0 * u],
            };
            let gray = [0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]; 3];
            let colour = if channels.colour_count() == 1 { gray } else { colour };
            for value in &colour[..channels.colour_count()] {
                samples.push((value + noise * dice.roll()).clamp(0.0, 255.0));
            }
            if channels.has_alpha() {
                samples.push(if x < width / 2 { 255.0 } else { 128.0 });
            }
        }
    }
    let samples = match depth {
        16 => Samples::U16(samples.into_iter().map(|value| (value * 257.0) as u16).collect()),
        _ => Samples::U8(samples.into_iter().map(|value| value as u8).collect()),
    };
    Image { width, height, channels, samples }
}

/// A noisy colour photograph as a JPEG.
pub(crate) fn noisy_jpeg() -> Vec<u8> {
    imaging::encode(&scene(200, 150, Channels::Rgb, 8, 14.0), &EncodeOptions::new(Format::Jpeg)).unwrap()
}

/// An EXIF block with a camera and an orientation.
pub(crate) fn exif(orientation: u16) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x02\0".to_vec();
    block.extend([0x0f, 0x01, 2, 0, 8, 0, 0, 0, 38, 0, 0, 0]);
    block.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0]);
    block.extend(orientation.to_le_bytes());
    block.extend([0, 0, 0, 0, 0, 0]);
    block.extend(b"Voigtl.\0");
    block
}

/// A mask in white on black whose middle third of the top rows is damaged.
pub(crate) fn mask(width: u32, height: u32) -> Vec<u8> {
    let samples = (0..height)
        .flat_map(|y| (0..width).map(move |x| if y < 12 && x / (width / 3) == 1 { 255 } else { 0 }))
        .collect();
    let image = Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples) };
    imaging::encode(&image, &EncodeOptions::new(Format::Png)).unwrap()
}

/// A GIF of some frames.
pub(crate) fn gif(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut dice = Dice(3);
    let palette: Vec<u8> = (0..=255).flat_map(|value| [value, value, value]).collect();
    let mut encoder = gif::Encoder::new(&mut bytes, 120, 90, &palette).unwrap();
    for _ in 0..frames {
        let pixels: Vec<u8> = (0..120 * 90)
            .map(|at| ((at % 120) as f32 + 60.0 + 14.0 * dice.roll()).clamp(0.0, 255.0) as u8)
            .collect();
        let frame = gif::Frame { width: 120, height: 90, buffer: pixels.into(), ..gif::Frame::default() };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    bytes
}
