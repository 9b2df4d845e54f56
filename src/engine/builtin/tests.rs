//! The engine over small pictures made in code.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::{CancellationToken, Preset, Progress};
use crate::imaging::Channels;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// A picture computed per pixel as red, green, blue on 0..=255.
struct Scene {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 3]>,
}

impl Scene {
    /// A sky, a hill with an edge, some discs and full blacks and whites.
    fn new(width: usize, height: usize) -> Self {
        let pixels = (0..width * height)
            .map(|i| {
                let (x, y) = ((i % width) as f32, (i / width) as f32);
                let hill = height as f32 * 0.55 + (x / 23.0).sin() * 9.0;
                let mut pixel = if y < hill {
                    [90.0 + y, 140.0 + y * 0.6, 220.0 - y * 0.3]
                } else {
                    [70.0, 110.0 - y * 0.2, 40.0]
                };
                for (n, colour) in
                    [[4.0, 3.0, 2.0], [252.0, 250.0, 248.0], [200.0, 40.0, 50.0]].into_iter().enumerate()
                {
                    let (cx, cy) = (width as f32 * (0.2 + 0.3 * n as f32), height as f32 * 0.5);
                    if (x - cx).hypot(y - cy) < width.min(height) as f32 * 0.12 {
                        pixel = colour;
                    }
                }
                pixel
            })
            .collect();
        Self { width, height, pixels }
    }

    fn map(mut self, mut change: impl FnMut(usize, [f32; 3]) -> [f32; 3]) -> Self {
        for (index, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = change(index, *pixel);
        }
        self
    }

    fn noisy(self, sigma: f32) -> Self {
        let mut dice = Dice(7);
        self.map(|_, pixel| pixel.map(|value| value + sigma * dice.normal()))
    }

    fn blotchy(self, sigma: f32) -> Self {
        let mut dice = Dice(9);
        self.map(|_, [r, g, b]| {
            let (red, blue) = (sigma * dice.normal(), sigma * dice.normal());
            [r + red, g - (0.299 * red + 0.114 * blue) / 0.587, b + blue]
        })
    }

    fn faded(self) -> Self {
        self.map(|_, [r, g, b]| [61.0 + r * 0.68, 41.0 + g * 0.64, 26.0 + b * 0.52])
    }

    fn blurred(self, sigma: f32) -> Self {
        let radius = 5isize;
        let weights: Vec<f32> =
            (-radius..=radius).map(|d| (-((d * d) as f32) / (2.0 * sigma * sigma)).exp()).collect();
        let total: f32 = weights.iter().sum();
        let pass = |pixels: &[[f32; 3]], dx: isize, dy: isize| -> Vec<[f32; 3]> {
            (0..pixels.len())
                .map(|i| {
                    let mut sum = [0.0; 3];
                    for (n, weight) in weights.iter().enumerate() {
                        let d = n as isize - radius;
                        let x = canvas::mirror((i % self.width) as isize + d * dx, self.width);
                        let y = canvas::mirror((i / self.width) as isize + d * dy, self.height);
                        for (sum, value) in sum.iter_mut().zip(pixels[y * self.width + x]) {
                            *sum += value * weight / total;
                        }
                    }
                    sum
                })
                .collect()
        };
        let pixels = pass(&pass(&self.pixels, 1, 0), 0, 1);
        Self { pixels, ..self }
    }

    fn image(&self, channels: Channels, bits: u8) -> Image {
        let mut values = Vec::new();
        for (index, [r, g, b]) in self.pixels.iter().copied().enumerate() {
            let alpha = (index * 31 % 256) as f32;
            match channels {
                Channels::Gray => values.push(0.299 * r + 0.587 * g + 0.114 * b),
                Channels::GrayAlpha => values.extend([0.299 * r + 0.587 * g + 0.114 * b, alpha]),
                Channels::Rgb => values.extend([r, g, b]),
                Channels::Rgba => values.extend([r, g, b, alpha]),
            }
        }
        let samples = if bits == 8 {
            Samples::U8(values.into_iter().map(u8::put).collect())
        } else {
            Samples::U16(values.into_iter().map(u16::put).collect())
        };
        Image { width: self.width as u32, height: self.height as u32, channels, samples }
    }
}

fn values(image: &Image) -> Vec<f32> {
    match &image.samples {
        Samples::U8(samples) => samples.iter().map(|s| s.get()).collect(),
        Samples::U16(samples) => samples.iter().map(|s| s.get()).collect(),
    }
}

fn psnr(a: &Image, b: &Image) -> f32 {
    let (a, b) = (values(a), values(b));
    let error: f64 =
        a.iter().zip(&b).map(|(a, b)| f64::from((a - b) * (a - b))).sum::<f64>() / a.len() as f64;
    (10.0 * (65025.0 / error.max(1e-9)).log10()) as f32
}

fn ask(image: Image, steps: &[(Step, f32)]) -> Work {
    let steps = steps.iter().map(|&(step, strength)| StepRequest { step, strength }).collect();
    Work { image, jpeg: None, mask: None, steps }
}

fn auto(image: Image) -> Work {
    Work { image, jpeg: None, mask: None, steps: Preset::Auto.steps() }
}

fn run_one(image: Image, step: Step) -> Restored {
    restore(ask(image, &[(step, 1.0)]), &Context::default()).unwrap()
}

/// Scratches across the picture.
fn scratches(width: usize, height: usize) -> Mask {
    let samples = (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            if (x + y) % 40 < 3 || (y > height / 2 && x % 50 < 2) { 255 } else { 0 }
        })
        .collect();
    Mask { width: width as u32, height: height as u32, samples }
}

fn scratched(scene: Scene, mask: &Mask) -> Scene {
    scene.map(|index, pixel| if mask.is_damaged(index) { [235.0, 240.0, 245.0] } else { pixel })
}

/// What JPEG compression with this table does to the brightness of a grey picture.
fn compressed(image: &Image, table: &[u16; 64]) -> Image {
    let (width, height) = (image.width as usize, image.height as usize);
    let mut pixels = values(image);
    for top in (0..height).step_by(8) {
        for left in (0..width).step_by(8) {
            let mut blocks = [[[0.0; dct::LANES]; 8]; 8];
            for v in 0..8 {
                for u in 0..8 {
                    blocks[v][u][0] = pixels[(top + v) * width + left + u] - 128.0;
                }
            }
            dct::forward_blocks(&mut blocks);
            for v in 0..8 {
                for u in 0..8 {
                    let step = f32::from(table[8 * v + u]);
                    blocks[v][u][0] = (blocks[v][u][0] / step).round() * step;
                }
            }
            dct::inverse_blocks(&mut blocks);
            for v in 0..8 {
                for u in 0..8 {
                    pixels[(top + v) * width + left + u] = blocks[v][u][0] + 128.0;
                }
            }
        }
    }
    Image { samples: Samples::U8(pixels.into_iter().map(u8::put).collect()), ..image.clone() }
}

/// A table of this coarseness, rising with the frequency.
fn table(coarseness: u16) -> [u16; 64] {
    std::array::from_fn(|i| 1 + coarseness * (2 + (i / 8 + i % 8) as u16) / 2)
}

#[test]
fn a_picture_with_nothing_wrong_comes_back_bit_identical() {
    for channels in [Channels::Gray, Channels::GrayAlpha, Channels::Rgb, Channels::Rgba] {
        for bits in [8, 16] {
            let image = Scene::new(160, 120).image(channels, bits);
            let restored = restore(auto(image.clone()), &Context::default()).unwrap();
            assert_eq!(restored.outcome, Outcome::Unchanged, "{channels:?} {bits}: {:?}", restored.report);
            assert!(restored.image == image);
            assert_eq!(restored.report.len(), 6);
            assert!(restored.report.iter().all(|step| !step.reason.is_empty() && step.engine == "builtin"));
        }
    }
}

#[test]
fn noise_is_removed_and_the_report_says_so() {
    let clean = Scene::new(160, 120).image(Channels::Rgb, 8);
    let noisy = Scene::new(160, 120).noisy(12.0).image(Channels::Rgb, 8);
    let restored = run_one(noisy.clone(), Step::Denoise);
    assert_eq!(restored.outcome, Outcome::Restored);
    assert!(psnr(&restored.image, &clean) > psnr(&noisy, &clean) + 5.0);
    let level = restored.report[0].evidence["noise_luma"];
    assert!((9.0..16.0).contains(&level), "{level}");
}

#[test]
fn noise_in_grey_and_in_16_bits_is_removed_too() {
    for (channels, bits) in [(Channels::Gray, 8), (Channels::Gray, 16), (Channels::Rgb, 16)] {
        let clean = Scene::new(160, 120).image(channels, bits);
        let noisy = Scene::new(160, 120).noisy(12.0).image(channels, bits);
        let restored = run_one(noisy.clone(), Step::Denoise);
        assert!(psnr(&restored.image, &clean) > psnr(&noisy, &clean) + 4.0, "{channels:?} {bits}");
        assert_eq!(restored.image.bit_depth(), bits);
    }
    // No detour through 8 bits: what comes back uses the values between.
    let noisy = Scene::new(160, 120).noisy(12.0).image(Channels::Rgb, 16);
    let Samples::U16(samples) = run_one(noisy, Step::Denoise).image.samples else {
        panic!("16 bits went in")
    };
    assert!(samples.iter().filter(|&&s| s % 257 != 0).count() > samples.len() * 9 / 10);
}

#[test]
fn texture_is_not_taken_for_noise() {
    let mut dice = Dice(3);
    // Cloth: strong in places, absent in others.
    let image = Scene::new(160, 120)
        .map(|i, pixel| {
            let (x, y) = ((i % 160) as f32, (i / 160) as f32);
            let weave =
                (x * 1.9).sin() * (y * 2.1).sin() * 25.0 * (1.0 + (x / 30.0).sin() * (y / 17.0).cos());
            pixel.map(|value| value * 0.8 + 25.0 + weave + 0.3 * dice.normal())
        })
        .image(Channels::Rgb, 8);
    let restored = run_one(image.clone(), Step::Denoise);
    assert!(psnr(&restored.image, &image) > 44.0, "{:?}", restored.report);
}

#[test]
fn compression_blocks_are_found_with_and_without_tables() {
    let clean = Scene::new(192, 160).noisy(1.5).image(Channels::Gray, 8);
    let coarse = table(9);
    let blocky = compressed(&clean, &coarse);
    let found = run_one(blocky.clone(), Step::Deblock);
    assert_eq!(found.outcome, Outcome::Restored, "{:?}", found.report);
    let (before, after) = (psnr(&blocky, &clean), psnr(&found.image, &clean));
    assert!(after > before + 0.05, "{before} {after} {:?}", found.report);
    let known = JpegTables { luma: coarse, chroma: None, chroma_scale: (1, 1) };
    let work = Work { jpeg: Some(known), ..ask(blocky.clone(), &[(Step::Deblock, 1.0)]) };
    let restored = restore(work, &Context::default()).unwrap();
    assert!(psnr(&restored.image, &clean) > before + 0.05);
}

#[test]
fn fine_compression_is_left_alone() {
    let image = Scene::new(160, 120).image(Channels::Rgb, 8);
    let fine = JpegTables { luma: [3; 64], chroma: Some([4; 64]), chroma_scale: (2, 2) };
    let work = Work { jpeg: Some(fine), ..ask(image.clone(), &[(Step::Deblock, 1.0)]) };
    let restored = restore(work, &Context::default()).unwrap();
    assert_eq!(restored.outcome, Outcome::Unchanged);
    assert!(restored.report[0].evidence["jpeg_quality"] > 90.0);
    assert!(restored.image == image);
}

#[test]
fn marked_damage_is_filled_and_nothing_else_touched() {
    let mask = scratches(160, 120);
    for (channels, bits) in [(Channels::Rgba, 8), (Channels::Gray, 8), (Channels::Rgb, 16)] {
        let clean = Scene::new(160, 120).image(channels, bits);
        let damaged = scratched(Scene::new(160, 120), &mask).image(channels, bits);
        let work = Work { mask: Some(mask.clone()), ..ask(damaged.clone(), &[(Step::Inpaint, 1.0)]) };
        let restored = restore(work, &Context::default()).unwrap();
        assert!(psnr(&restored.image, &clean) > psnr(&damaged, &clean) + 9.0, "{channels:?}");
        let count = channels.count();
        let (before, after) = (values(&damaged), values(&restored.image));
        for index in (0..160 * 120).filter(|&index| !mask.is_damaged(index)) {
            assert_eq!(before[index * count..][..count], after[index * count..][..count]);
        }
    }
}

#[test]
fn without_a_mask_or_with_everything_marked_there_is_nothing_to_fill() {
    let image = Scene::new(40, 30).image(Channels::Rgb, 8);
    assert_eq!(run_one(image.clone(), Step::Inpaint).outcome, Outcome::Unchanged);
    for sample in [0, 255] {
        let mask = Mask { width: 40, height: 30, samples: vec![sample; 1200] };
        let work = Work { mask: Some(mask), ..ask(image.clone(), &[(Step::Inpaint, 1.0)]) };
        let restored = restore(work, &Context::default()).unwrap();
        assert_eq!(restored.outcome, Outcome::Unchanged);
        assert!(restored.image == image);
    }
}

#[test]
fn faded_colours_come_back() {
    for bits in [8, 16] {
        let clean = Scene::new(160, 120).image(Channels::Rgba, bits);
        let faded = Scene::new(160, 120).faded().image(Channels::Rgba, bits);
        let restored = run_one(faded.clone(), Step::Fade);
        assert!(psnr(&restored.image, &clean) > psnr(&faded, &clean) + 8.0, "{:?}", restored.report);
    }
}

#[test]
fn a_faded_sepia_print_keeps_its_tone_and_black_blacks() {
    let sepia = Scene::new(160, 120)
        .map(|_, [r, g, b]| [0.299 * r + 0.587 * g + 0.114 * b; 3])
        .map(|_, [y, _, _]| [62.0 + y * 0.6, 46.0 + y * 0.58, 30.0 + y * 0.52]);
    let restored = run_one(sepia.image(Channels::Rgb, 8), Step::Fade);
    assert_eq!(restored.outcome, Outcome::Restored);
    let Samples::U8(samples) = &restored.image.samples else { panic!("8 bits went in") };
    let (mut darkest, mut warm) = (255, 0);
    for pixel in samples.chunks_exact(3) {
        // Brown, never green.
        let [red, green, blue] = [0, 1, 2].map(|channel| i32::from(pixel[channel]));
        assert!(green <= red + 1 && blue <= green + 1, "{pixel:?}");
        darkest = darkest.min(red);
        warm = warm.max(red - blue);
    }
    assert!(darkest < 8, "{darkest}");
    assert!(warm > 6, "{warm}");
}

#[test]
fn colour_blotches_are_smoothed_and_brightness_kept() {
    let clean = Scene::new(160, 120).image(Channels::Rgb, 8);
    let blotchy = Scene::new(160, 120).blotchy(14.0).image(Channels::Rgb, 8);
    let restored = run_one(blotchy.clone(), Step::Chroma);
    assert_eq!(restored.outcome, Outcome::Restored, "{:?}", restored.report);
    assert!(psnr(&restored.image, &clean) > psnr(&blotchy, &clean) + 4.0);
    assert_eq!(
        run_one(Scene::new(40, 30).image(Channels::Gray, 8), Step::Chroma).outcome,
        Outcome::Unchanged
    );
}

#[test]
fn soft_edges_are_sharpened_and_sharp_ones_left_alone() {
    let clean = Scene::new(192, 160).image(Channels::Rgb, 8);
    let soft = Scene::new(192, 160).blurred(1.3).image(Channels::Rgb, 8);
    let restored = run_one(soft.clone(), Step::Deblur);
    assert!(psnr(&restored.image, &clean) > psnr(&soft, &clean) + 1.0, "{:?}", restored.report);
    assert_eq!(run_one(clean, Step::Deblur).outcome, Outcome::Unchanged);
}

#[test]
fn local_contrast_is_gentle() {
    let image = Scene::new(160, 120).image(Channels::Rgb, 8);
    let restored = restore(ask(image.clone(), &[(Step::LocalContrast, 0.4)]), &Context::default()).unwrap();
    assert_eq!(restored.outcome, Outcome::Restored);
    assert!(psnr(&restored.image, &image) > 22.0);
}

#[test]
fn alpha_is_never_touched() {
    let mask = scratches(160, 120);
    for channels in [Channels::Rgba, Channels::GrayAlpha] {
        for bits in [8, 16] {
            let image = Scene::new(160, 120).faded().noisy(12.0).image(channels, bits);
            let mut work = auto(image.clone());
            work.mask = Some(mask.clone());
            work.steps.push(StepRequest { step: Step::LocalContrast, strength: 1.0 });
            let restored = restore(work, &Context::default()).unwrap();
            assert_eq!(restored.outcome, Outcome::Restored);
            let alpha = |image: &Image| -> Vec<f32> {
                values(image).into_iter().skip(channels.count() - 1).step_by(channels.count()).collect()
            };
            assert_eq!(alpha(&restored.image), alpha(&image));
        }
    }
}

/// Printed with a screen of dots at 45 degrees, 5 pixels apart.
fn screened(scene: Scene) -> Scene {
    let width = scene.width;
    scene.map(|index, pixel| {
        let (x, y) = ((index % width) as f32, (index / width) as f32);
        let wave = 2.0 * std::f32::consts::PI / 5.0 * std::f32::consts::FRAC_1_SQRT_2;
        let threshold = 128.0 + 64.0 * (((x + y) * wave).cos() + ((y - x) * wave).cos());
        pixel.map(|value| 255.0 / (1.0 + (-(value - threshold) / 14.0).exp()))
    })
}

/// Long light scratches and dust.
fn worn(scene: Scene) -> Scene {
    let (width, height) = (scene.width as f32, scene.height as f32);
    let columns = scene.width;
    let mut dice = Dice(21);
    let dust: Vec<(f32, f32)> = (0..30).map(|_| (dice.uniform() * width, dice.uniform() * height)).collect();
    scene.map(|index, pixel| {
        let (x, y) = ((index % columns) as f32, (index / columns) as f32);
        let scratched = (0..6).any(|n| (x - width * (0.1 + 0.15 * n as f32) - y * 0.03).abs() < 1.0);
        let dusty = dust.iter().any(|(u, v)| (x - u).hypot(y - v) < 2.2);
        if scratched || dusty { [246.0, 244.0, 240.0] } else { pixel }
    })
}

#[test]
fn printing_dots_are_removed_and_nothing_else_is_taken_for_them() {
    for (channels, bits) in [(Channels::Rgb, 8), (Channels::Gray, 16)] {
        let clean = Scene::new(320, 288).image(channels, bits);
        let printed = screened(Scene::new(320, 288)).image(channels, bits);
        let restored = run_one(printed.clone(), Step::Descreen);
        assert_eq!(restored.outcome, Outcome::Restored, "{:?}", restored.report);
        assert!((restored.report[0].evidence["period"] - 5.0).abs() < 0.2, "{:?}", restored.report);
        assert!(psnr(&restored.image, &clean) > psnr(&printed, &clean) + 8.0);
        for scene in [Scene::new(320, 288), Scene::new(320, 288).noisy(12.0)] {
            let image = scene.image(channels, bits);
            let restored = run_one(image.clone(), Step::Descreen);
            assert!(restored.image == image, "{:?}", restored.report);
        }
    }
    let blocks = compressed(&Scene::new(320, 288).image(Channels::Rgb, 8), &table(40));
    assert_eq!(run_one(blocks, Step::Descreen).outcome, Outcome::Unchanged, "a JPEG grid is no screen");
}

#[test]
fn an_enlarged_picture_has_twice_the_size_and_averages_back_to_what_it_was() {
    for (channels, bits) in [(Channels::Rgba, 8), (Channels::Gray, 16), (Channels::Rgb, 8)] {
        let image = Scene::new(90, 70).blurred(0.8).image(channels, bits);
        let restored = run_one(image.clone(), Step::Upscale);
        assert_eq!((restored.image.width, restored.image.height), (180, 140));
        assert_eq!((restored.image.channels, restored.image.bit_depth()), (channels, bits));
        let (count, large) = (channels.count(), values(&restored.image));
        let averaged: Vec<f32> = (0..90 * 70 * count)
            .map(|index| {
                let (x, y, channel) = (index / count % 90, index / count / 90, index % count);
                let at = |v: usize, u: usize| large[((2 * y + v) * 180 + 2 * x + u) * count + channel];
                (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
            })
            .collect();
        let mut back = image.clone();
        match &mut back.samples {
            Samples::U8(samples) => *samples = averaged.into_iter().map(u8::put).collect(),
            Samples::U16(samples) => *samples = averaged.into_iter().map(u16::put).collect(),
        }
        assert!(psnr(&back, &image) > 28.0, "{}", psnr(&back, &image));
    }
    let even = Scene::new(40, 30).map(|_, _| [93.0, 120.0, 7.0]).image(Channels::Rgb, 8);
    let Samples::U8(samples) = run_one(even, Step::Upscale).image.samples else { panic!("8 bits") };
    assert!(samples.chunks(3).all(|pixel| pixel == [93, 120, 7]), "what is flat stays flat");
    let twice =
        ask(Scene::new(20, 10).image(Channels::Gray, 8), &[(Step::Upscale, 1.0), (Step::Upscale, 1.0)]);
    assert_eq!(restore(twice, &Context::default()).unwrap().image.width, 80);
}

#[test]
fn without_a_mask_nothing_is_filled_unless_the_picture_is_plainly_damaged() {
    for (channels, bits) in [(Channels::Rgb, 8), (Channels::Gray, 16)] {
        for scene in [Scene::new(320, 240), Scene::new(320, 240).noisy(10.0)] {
            let image = scene.image(channels, bits);
            let restored = run_one(image.clone(), Step::Inpaint);
            assert!(restored.image == image, "{:?}", restored.report);
            assert_eq!(restored.report[0].evidence["marked_share"], 0.0);
        }
    }
}

#[test]
fn marking_one_scratch_finds_the_others_like_it() {
    let damaged = worn(Scene::new(320, 240)).image(Channels::Rgb, 8);
    let none = Mask { width: 320, height: 240, samples: vec![0; 320 * 240] };
    let cancel = CancellationToken::new();
    assert_eq!(find_similar(&damaged, &none, &cancel).unwrap(), none);
    let mut seed = none;
    for y in 0..240usize {
        let x = 320.0 * 0.1 + y as f32 * 0.03;
        for u in (x as usize).saturating_sub(2)..x as usize + 3 {
            seed.samples[y * 320 + u] = 255;
        }
    }
    let similar = find_similar(&damaged, &seed, &cancel).unwrap();
    let count = |mask: &Mask| mask.samples.iter().filter(|&&sample| sample >= 128).count();
    assert!(count(&similar) > 2 * count(&seed), "{} {}", count(&similar), count(&seed));
    let proposed = |threshold| count(&propose_mask(&damaged, threshold, &cancel).unwrap());
    assert!(proposed(0.5) >= proposed(0.95));
    cancel.cancel();
    assert!(matches!(propose_mask(&damaged, 0.5, &cancel), Err(Error::Cancelled)));
    assert!(matches!(find_similar(&damaged, &seed, &cancel), Err(Error::Cancelled)));
}

/// The largest and the mean difference between a part and the same place of a whole picture.
fn compare(part: &Image, at: Part, whole: &Image) -> (u32, f64) {
    let (Samples::U8(part), Samples::U8(all)) = (&part.samples, &whole.samples) else { panic!("8 bits") };
    let count = whole.channels.count();
    let (mut most, mut sum) = (0, 0.0);
    for (index, sample) in part.iter().enumerate() {
        let (pixel, channel) = (index / count, index % count);
        let (x, y) =
            (pixel % at.width as usize + at.left as usize, pixel / at.width as usize + at.top as usize);
        let difference = u32::from(sample.abs_diff(all[(y * whole.width as usize + x) * count + channel]));
        most = most.max(difference);
        sum += f64::from(difference);
    }
    (most, sum / part.len() as f64)
}

#[test]
fn a_part_looks_as_the_whole_will_look_there() {
    let image = worn(Scene::new(420, 340).faded().blotchy(12.0).noisy(7.0)).image(Channels::Rgb, 8);
    let request = |step, strength| StepRequest { step, strength };
    let all = [
        request(Step::Inpaint, 1.0),
        request(Step::Denoise, 0.8),
        request(Step::Chroma, 0.8),
        request(Step::Fade, 1.0),
        request(Step::LocalContrast, 0.5),
    ];
    let screened = screened(Scene::new(420, 340)).image(Channels::Rgb, 8);
    let blurred = Scene::new(420, 340).blurred(1.6).image(Channels::Rgb, 8);
    for (image, steps) in [
        (&image, &all[..]),
        (&screened, &[request(Step::Descreen, 1.0), request(Step::Denoise, 0.6)]),
        (&blurred, &[request(Step::Deblur, 1.0)]),
    ] {
        let work = Work { image: image.clone(), jpeg: None, mask: None, steps: steps.to_vec() };
        let whole = restore(work, &Context::default()).unwrap();
        assert_eq!(whole.outcome, Outcome::Restored, "{:?}", whole.report);
        let notes = Notes::default();
        let mut part = Part { left: 0, top: 0, width: 0, height: 0 };
        for (left, top, width, height) in
            [(0, 0, 70, 60), (201, 137, 90, 80), (201, 137, 90, 80), (331, 270, 89, 70)]
        {
            part = Part { left, top, width, height };
            let asked = Asked { part, steps, mask: None, exact: false };
            let (shown, measured) = restore_part(image, None, &notes, &asked, &Context::default()).unwrap();
            assert_eq!((shown.width, shown.height, measured), (width, height, Measured::Exactly));
            let (most, mean) = compare(&shown, part, &whole.image);
            assert!(most <= 1 && mean < 0.002, "{steps:?} {part:?}: {most} {mean}");
        }
        // Enlarging is left out, and the picture itself is shown where nothing is asked for.
        let upscale = [request(Step::Upscale, 1.0)];
        let asked = Asked { part, steps: &upscale, mask: None, exact: false };
        let (shown, _) = restore_part(image, None, &notes, &asked, &Context::default()).unwrap();
        assert_eq!(compare(&shown, part, image), (0, 0.0));
    }
}

#[test]
fn strengths_are_tried_out_with_what_was_measured_nearby_unless_it_has_to_be_exact() {
    let image = Scene::new(320, 256).faded().noisy(9.0).image(Channels::Rgb, 8);
    let part = Part { left: 100, top: 80, width: 110, height: 90 };
    let steps = |denoise, fade| {
        [
            StepRequest { step: Step::Denoise, strength: denoise },
            StepRequest { step: Step::Fade, strength: fade },
        ]
    };
    let notes = Notes::default();
    let look = |denoise, fade, exact| {
        let steps = steps(denoise, fade);
        let asked = Asked { part, steps: &steps, mask: None, exact };
        let is_known = is_measured(&notes, &asked);
        let (shown, measured) = restore_part(&image, None, &notes, &asked, &Context::default()).unwrap();
        let work = Work { image: image.clone(), jpeg: None, mask: None, steps: steps.to_vec() };
        let whole = restore(work, &Context::default()).unwrap();
        (is_known, measured, compare(&shown, part, &whole.image).1)
    };
    let (known, measured, mean) = look(1.0, 1.0, false);
    assert!(!known && measured == Measured::Exactly && mean < 0.002, "{mean}");
    // A step's own strength changes nothing of what it measures.
    let (known, measured, mean) = look(1.0, 0.4, false);
    assert!(known && measured == Measured::Exactly && mean < 0.002, "{mean}");
    let (known, measured, mean) = look(0.8, 0.4, false);
    assert!(known && measured == Measured::Nearby && mean < 6.0, "{mean}");
    let (known, measured, mean) = look(0.8, 0.4, true);
    assert!(!known && measured == Measured::Exactly && mean < 0.002, "{mean}");
    let (known, measured, _) = look(0.8, 0.9, true);
    assert!(known && measured == Measured::Exactly);

    let cancelled = Context::default();
    cancelled.cancel.cancel();
    let asked = Asked { part, steps: &steps(0.3, 0.9), mask: None, exact: true };
    let ended = restore_part(&image, None, &notes, &asked, &cancelled);
    assert!(matches!(ended, Err(Error::Cancelled)));
}

#[test]
fn the_analysis_names_what_is_wrong_and_nothing_else() {
    let steps = |scene: Scene| -> Vec<Step> {
        let analysis = analyse(scene.image(Channels::Rgb, 8), None, &Context::default()).unwrap();
        assert!(analysis.findings.iter().all(|finding| finding.words.ends_with('.')));
        analysis.steps().iter().map(|request| request.step).collect()
    };
    assert!(steps(Scene::new(320, 240)).is_empty());
    assert!(steps(Scene::new(320, 240).noisy(14.0)).contains(&Step::Denoise));
    assert!(steps(Scene::new(320, 240).faded()).contains(&Step::Fade));
    assert!(steps(screened(Scene::new(320, 288))).contains(&Step::Descreen));
}

/// Every step, each on a picture it applies to.
fn pictures_for_all_steps() -> Vec<(Step, Work)> {
    let all = |step, image| (step, ask(image, &[(step, 0.9)]));
    let mask = scratches(101, 131);
    let tables = JpegTables { luma: table(9), chroma: Some(table(12)), chroma_scale: (2, 2) };
    let scene = || Scene::new(101, 131);
    let mut deblock = all(Step::Deblock, scene().noisy(3.0).image(Channels::Rgb, 8));
    deblock.1.jpeg = Some(tables);
    let mut inpaint = all(Step::Inpaint, scratched(scene(), &mask).image(Channels::Rgb, 8));
    inpaint.1.mask = Some(mask);
    vec![
        deblock,
        inpaint,
        all(Step::Denoise, scene().noisy(15.0).image(Channels::Rgb, 8)),
        all(Step::Chroma, scene().blotchy(14.0).image(Channels::Rgb, 8)),
        all(Step::Fade, scene().faded().image(Channels::Rgb, 8)),
        all(Step::Deblur, Scene::new(128, 192).blurred(1.3).image(Channels::Rgb, 8)),
        all(Step::LocalContrast, scene().image(Channels::Rgb, 8)),
        all(Step::Descreen, screened(Scene::new(257, 301)).image(Channels::Rgb, 8)),
        all(Step::Upscale, scene().noisy(3.0).image(Channels::Rgb, 8)),
    ]
}

#[test]
fn the_result_depends_neither_on_the_strips_nor_on_the_threads() {
    for (step, work) in pictures_for_all_steps() {
        let whole = restore_in_strips(work.clone(), &Context::default(), Some(4096)).unwrap();
        assert_eq!(whole.outcome, Outcome::Restored, "{step}: {:?}", whole.report);
        for (rows, threads) in [(Some(7), 3), (Some(48), 1), (None, 2)] {
            let context = Context { threads: NonZeroUsize::new(threads), ..Context::default() };
            let strips = restore_in_strips(work.clone(), &context, rows).unwrap();
            assert!(strips.image == whole.image, "{step} differs with strips of {rows:?} rows");
        }
    }
}

#[test]
fn the_smallest_and_the_thinnest_pictures_survive_every_step() {
    let sizes = [(1, 1), (1, 2), (3, 1), (7, 5), (8, 8), (9, 40), (1, 2000), (2000, 1), (5, 3000)];
    for (width, height) in sizes {
        for (channels, bits) in [(Channels::Rgb, 8), (Channels::GrayAlpha, 16)] {
            let image = Scene::new(width, height).faded().noisy(20.0).image(channels, bits);
            let mut mask = scratches(width, height);
            mask.samples[0] = 255;
            let work = Work {
                jpeg: Some(JpegTables { luma: table(9), chroma: Some(table(9)), chroma_scale: (2, 2) }),
                mask: Some(mask),
                ..ask(image, &STEPS.map(|info| (info.step, 1.0)))
            };
            let restored = restore(work, &Context::default()).unwrap();
            let (wide, high) = (2 * width as u32, 2 * height as u32);
            assert_eq!((restored.image.width, restored.image.height), (wide, high), "enlarged");
            assert_eq!(restored.report.len(), STEPS.len());
        }
    }
}

#[test]
fn an_even_picture_stays_even() {
    for value in [0.0, 117.0, 255.0] {
        let image = Scene::new(64, 64).map(|_, _| [value; 3]).image(Channels::Rgb, 8);
        let restored = restore(auto(image.clone()), &Context::default()).unwrap();
        assert!(restored.image == image, "{value}: {:?}", restored.report);
    }
}

#[test]
fn zero_strength_changes_nothing_and_half_strength_less_than_all() {
    let noisy = Scene::new(160, 120).noisy(12.0).image(Channels::Rgb, 8);
    let with = |strength| {
        restore(ask(noisy.clone(), &[(Step::Denoise, strength)]), &Context::default()).unwrap().image
    };
    assert!(with(0.0) == noisy);
    assert!(psnr(&with(0.4), &noisy) > psnr(&with(1.0), &noisy) + 1.0);
}

#[test]
fn steps_run_in_the_engines_order() {
    let image = Scene::new(40, 30).image(Channels::Rgb, 8);
    let asked = [(Step::LocalContrast, 0.5), (Step::Fade, 1.0), (Step::Deblock, 1.0), (Step::Denoise, 1.0)];
    let restored = restore(ask(image, &asked), &Context::default()).unwrap();
    let order: Vec<Step> = restored.report.iter().map(|step| step.step).collect();
    assert_eq!(order, [Step::Deblock, Step::Denoise, Step::Fade, Step::LocalContrast]);
}

#[test]
fn wrong_requests_are_refused() {
    let image = Scene::new(40, 30).image(Channels::Rgb, 8);
    let context = Context::default();
    let mask = Mask { width: 30, height: 40, samples: vec![0; 1200] };
    let work = Work { mask: Some(mask), ..auto(image.clone()) };
    assert!(matches!(restore(work, &context), Err(Error::MaskSize { mask_width: 30, width: 40, .. })));
    let mask = Mask { width: 40, height: 30, samples: vec![0; 7] };
    let work = Work { mask: Some(mask), ..auto(image.clone()) };
    assert!(matches!(restore(work, &context), Err(Error::MaskSize { .. })));
    for strength in [-0.1, 1.5, f32::NAN, f32::INFINITY] {
        let work = ask(image.clone(), &[(Step::Fade, strength)]);
        assert!(matches!(restore(work, &context), Err(Error::Strength { step: Step::Fade, .. })));
    }
    let work = ask(image.clone(), &[(Step::Colorize, 1.0)]);
    assert!(matches!(restore(work, &context), Err(Error::UnsupportedStep { step: Step::Colorize, .. })));
    let work = auto(Image { width: 41, ..image });
    assert!(matches!(restore(work, &context), Err(Error::Malformed { expected: 3690, actual: 3600 })));
}

#[test]
fn cancelling_stops_before_and_in_the_middle() {
    let image = Scene::new(200, 400).noisy(15.0).image(Channels::Rgb, 8);
    let context = Context::default();
    context.cancel.cancel();
    assert!(matches!(restore(auto(image.clone()), &context), Err(Error::Cancelled)));

    let cancel = CancellationToken::new();
    let after = cancel.clone();
    let progress = Progress::new(move |fraction, _| {
        if fraction > 0.4 {
            after.cancel();
        }
    });
    let context = Context { progress, cancel, ..Context::default() };
    assert!(matches!(restore_in_strips(auto(image), &context, Some(16)), Err(Error::Cancelled)));
}

#[test]
fn progress_rises_to_one() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = heard.clone();
    let progress = Progress::new(move |fraction, _| sink.lock().unwrap().push(fraction));
    let image = Scene::new(160, 120).noisy(15.0).image(Channels::Rgb, 8);
    restore(auto(image), &Context { progress, ..Context::default() }).unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard.windows(2).all(|pair| pair[0] <= pair[1]), "{heard:?}");
    assert!((heard[heard.len() - 1] - 1.0).abs() < 1e-4);
}

#[tokio::test]
async fn the_engine_restores_off_the_async_threads() {
    let noisy = Scene::new(160, 120).noisy(12.0).image(Channels::Rgb, 8);
    let restored = Builtin.restore(auto(noisy.clone()), Context::default()).await.unwrap();
    assert_eq!(restored.outcome, Outcome::Restored);
    assert!(restored.image == restore(auto(noisy), &Context::default()).unwrap().image);
}

/// Pictures one below the other on one scan: paper around, a black rim, black bars between, dust and writing on them.
fn plate(pictures: &[Scene]) -> Scene {
    const PAPER: usize = 8;
    const RIM: usize = 10;
    let (width, tall) = (pictures[0].width, pictures[0].height);
    let (around, bar) = (PAPER + RIM, 6);
    let wide = width + 2 * around;
    let high = pictures.len() * (tall + bar) - bar + 2 * around;
    let mut dice = Dice(3);
    let pixels = (0..wide * high)
        .map(|index| {
            let (x, y) = (index % wide, index / wide);
            let (u, v) = (x.wrapping_sub(around), y.wrapping_sub(around));
            if x.min(wide - 1 - x).min(y).min(high - 1 - y) < PAPER {
                return [253.0; 3];
            }
            let dust = dice.uniform();
            if dust < 0.002 {
                return [if dust < 0.001 { 255.0 } else { 0.0 }; 3];
            }
            match pictures.get(v / (tall + bar)) {
                Some(picture) if u < width && v % (tall + bar) < tall => {
                    picture.pixels[v % (tall + bar) * width + u]
                }
                // A number scratched into the rim.
                _ if (30..60).contains(&y) && x % 3 == 0 => [180.0; 3],
                _ => [4.0 + 3.0 * dust; 3],
            }
        })
        .collect();
    Scene { width: wide, height: high, pixels }
}

fn mono(scene: Scene) -> Scene {
    scene.map(|_, [r, g, b]| [0.299 * r + 0.587 * g + 0.114 * b; 3])
}

fn frames_of(scene: &Scene) -> Vec<frames::Frame> {
    let mut image = scene.image(Channels::Rgb, 8);
    let Samples::U8(samples) = &mut image.samples else { panic!("8 bits were asked for") };
    frames::find(&Canvas { samples, width: scene.width, height: scene.height, channels: Channels::Rgb })
}

#[test]
fn the_pictures_on_a_plate_are_told_from_its_borders() {
    for count in 1..=3 {
        let pictures: Vec<Scene> = (0..count).map(|_| mono(Scene::new(240, 160))).collect();
        let scene = plate(&pictures);
        let found = frames_of(&scene);
        assert_eq!(found.len(), count, "{found:?}");
        let mut zone_start = 0;
        for (index, frame) in found.iter().enumerate() {
            let top = 18 + index * 166;
            assert!(frame.bordered);
            assert!(frame.inside.columns.start >= 18 && frame.inside.columns.end <= 258, "{frame:?}");
            assert!(frame.inside.rows.start >= top && frame.inside.rows.end <= top + 160, "{frame:?}");
            assert!(frame.inside.rows.len() > 130 && frame.inside.columns.len() > 200, "{frame:?}");
            // The zones cover the scan without a gap.
            assert_eq!((&frame.zone.columns, frame.zone.rows.start), (&(0..276), zone_start));
            zone_start = frame.zone.rows.end;
        }
        assert_eq!(zone_start, scene.height);
    }
}

#[test]
fn plates_side_by_side_are_found_too() {
    let upright = plate(&[mono(Scene::new(160, 160)), mono(Scene::new(160, 160))]);
    let (width, height) = (upright.height, upright.width);
    let pixels = (0..width * height)
        .map(|index| upright.pixels[index % width * upright.width + index / width])
        .collect();
    let found = frames_of(&Scene { width, height, pixels });
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].zone.columns.end, found[1].zone.columns.start);
}

#[test]
fn a_sky_a_floor_and_a_bar_across_the_picture_are_no_borders() {
    let scene = mono(Scene::new(240, 200));
    let even = |rows: std::ops::Range<usize>, value: f32| {
        mono(Scene::new(240, 200))
            .map(move |index, pixel| if rows.contains(&(index / 240)) { [value; 3] } else { pixel })
    };
    for scene in [scene, even(0..24, 250.0), even(180..200, 3.0), even(90..96, 3.0)] {
        let found = frames_of(&scene);
        assert_eq!(found.len(), 1);
        assert!(!found[0].bordered);
        assert_eq!((found[0].zone.columns.clone(), found[0].zone.rows.clone()), (0..240, 0..200));
    }
}

#[test]
fn each_exposure_on_a_plate_is_brought_back_by_itself() {
    let veiled = |low: f32, share: f32| {
        mono(Scene::new(240, 160)).map(move |_, pixel| pixel.map(|value| low + value * share))
    };
    for (channels, bits) in [(Channels::Gray, 8), (Channels::Rgb, 8), (Channels::Gray, 16)] {
        let scene = plate(&[veiled(90.0, 0.6), veiled(0.0, 1.0), veiled(40.0, 0.75)]);
        let before = scene.image(channels, bits);
        let restored = run_one(before.clone(), Step::Fade);
        assert_eq!(restored.outcome, Outcome::Restored);
        assert_eq!(restored.report[0].evidence["pictures"], 3.0);
        let (old, new) = (values(&before), values(&restored.image));
        let count = channels.count();
        let range = |values: &[f32], index: usize| {
            let mut inside: Vec<f32> = (0..240 * 160)
                .map(|i| {
                    let (x, y) = (18 + i % 240, 18 + index * 166 + i / 240);
                    values[(y * scene.width + x) * count]
                })
                .collect();
            inside.sort_by(f32::total_cmp);
            (inside[inside.len() / 50], inside[inside.len() * 49 / 50])
        };
        for index in [0, 2] {
            let ((low, high), (old_low, old_high)) = (range(&new, index), range(&old, index));
            assert!(low < 16.0 && high > 238.0, "{index}: {low} {high}");
            assert!(low < old_low - 20.0 && high >= old_high - 4.0);
        }
        // The good one in the middle stays, and so do the black and the white around.
        assert_eq!(range(&new, 1), range(&old, 1));
        assert!(new[(12 * scene.width + 100) * count] < 12.0);
        assert!(new[100 * count] > 250.0);
    }
}

#[test]
fn a_good_print_with_a_border_stays_bit_for_bit() {
    let image = plate(&[mono(Scene::new(240, 160))]).image(Channels::Gray, 8);
    let restored = run_one(image.clone(), Step::Fade);
    assert_eq!(restored.outcome, Outcome::Unchanged, "{:?}", restored.report);
    assert!(restored.image == image);
}

#[test]
fn small_dark_and_light_things_show_that_nothing_has_faded() {
    // Dull all over, but with windows as black and as white as can be.
    let scene = Scene::new(240, 160).map(|index, pixel| {
        let (x, y) = (index % 240, index / 240);
        match (x % 40 < 10, y % 40 < 10, (x / 40 + y / 40) % 2 == 0) {
            (true, true, true) => [18.0; 3],
            (true, true, false) => [246.0; 3],
            _ => pixel.map(|value| 60.0 + value * 0.55),
        }
    });
    let image = scene.image(Channels::Rgb, 8);
    let restored = run_one(image.clone(), Step::Fade);
    assert!(restored.image == image, "{:?}", restored.report);
}
