//! Prints what the built-in engine takes for possible damage in pictures, one candidate a line: what a classifier is
//! trained on by `scripts/training/damage.py`.
//!
//! Reads lines of two PNG files, a picture and the truth (bright where it was damaged; `-` if nowhere), and prints the
//! number of the line, the share of the candidate that is damage, its pixels and its features.

use std::io::{self, BufRead, Write};

use safelight::engine::builtin;
use safelight::imaging::{self, Image, Limits, Options, Samples};

fn main() -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line?;
        let Some((picture, truth)) = line.split_once(' ') else { continue };
        let image = read(picture)?;
        let truth = if truth == "-" { None } else { Some(read(truth)?) };
        for candidate in builtin::candidates(&image) {
            let damaged =
                |&&pixel: &&u32| truth.as_ref().is_some_and(|truth| is_bright(truth, pixel as usize));
            let share =
                candidate.pixels.iter().filter(damaged).count() as f64 / candidate.pixels.len() as f64;
            write!(out, "{number} {share:.3} {}", candidate.pixels.len())?;
            for feature in candidate.features {
                write!(out, " {feature}")?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn read(path: &str) -> anyhow::Result<Image> {
    Ok(imaging::decode_bytes(&std::fs::read(path)?, &Options::held(Limits::default()))?.image)
}

fn is_bright(image: &Image, pixel: usize) -> bool {
    match &image.samples {
        Samples::U8(samples) => samples[pixel * image.channels.count()] >= 128,
        Samples::U16(samples) => samples[pixel * image.channels.count()] >= 32_768,
    }
}
