//! Measures how long a preview of a region takes: `cargo run --release --example preview_speed -- PICTURE [SIDE]`.
//!
//! A square region of 1,000 pixels (or SIDE) in the middle, with the steps of the preset `auto`: the first time, when
//! the whole picture is measured, and then with the strength of one step after the other changed.

use std::env;
use std::time::Instant;

use safelight::engine::builtin::{Asked, Measured, Notes, Part, restore_part, sorted};
use safelight::engine::{Context, Preset, StepRequest};
use safelight::imaging::{self, EncodeOptions, Format, Limits, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let file = std::fs::read(args.next().ok_or("say which picture")?)?;
    let side: u32 = args.next().map_or(Ok(1000), |side| side.parse())?;
    let image = imaging::decode_bytes(&file, &Options::held(Limits::default()))?.image;
    let (width, height) = (side.min(image.width), side.min(image.height));
    let part = Part { left: (image.width - width) / 2, top: (image.height - height) / 2, width, height };
    let steps = sorted(Preset::Auto.steps());
    let notes = Notes::default();
    println!(
        "{} x {}, region {width} x {height}, {} threads",
        image.width,
        image.height,
        rayon::current_num_threads()
    );
    let look = |name: &str, steps: &[StepRequest]| -> Result<(), Box<dyn std::error::Error>> {
        let asked = Asked { part, steps, mask: None, exact: false };
        let began = Instant::now();
        let (shown, measured) = restore_part(&image, None, &notes, &asked, &Context::default())?;
        let made = began.elapsed();
        let began = Instant::now();
        let bytes =
            imaging::encode(&shown, &EncodeOptions { quality: 92, ..EncodeOptions::new(Format::Jpeg) })?;
        let how = if measured == Measured::Exactly { "exact" } else { "nearby" };
        println!(
            "{name:>24}: {:>7.1} ms + {:.1} ms to encode {} bytes, {how}",
            ms(made),
            ms(began.elapsed()),
            bytes.len()
        );
        Ok(())
    };
    look("the first time", &steps)?;
    look("again", &steps)?;
    for index in 0..steps.len() {
        let mut changed = steps.clone();
        changed[index].strength *= 0.7;
        look(&format!("{} x 0.7", changed[index].step), &changed)?;
        changed[index].strength *= 0.7;
        look(&format!("{} x 0.5", changed[index].step), &changed)?;
    }
    Ok(())
}

fn ms(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
