//! Large old pictures made of the sample, and a process that renders pictures on request.

use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use safelight::imaging::{
    self, Budget, Channels, EncodeOptions, Format, Image, Limits, Options, OutputFormat, Preset, Samples,
    Subsampling, Transform,
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/sample/boathouse-1974.jpg");

pub(crate) fn sample_file() -> Result<Vec<u8>> {
    Ok(fs::read(SAMPLE)?)
}

fn sample() -> Result<Image> {
    let image = imaging::decode_bytes(&sample_file()?, &Options::held(Limits::default()))?.image;
    anyhow::ensure!(image.channels == Channels::Rgb, "the sample has lost its colour");
    Ok(image)
}

/// Writes `FOLDER/MP.jpg` for each number of megapixels, or `FOLDER/MP.png` where the number ends in `.png`.
pub(crate) fn make(words: &[String]) -> Result<()> {
    let [folder, sizes @ ..] = words else { bail!("--pictures FOLDER MEGAPIXELS...") };
    let sample = sample()?;
    for size in sizes {
        let (megapixels, format) = match size.strip_suffix(".png") {
            Some(number) => (number, Format::Png),
            None => (size.as_str(), Format::Jpeg),
        };
        let pixels = megapixels.parse::<f64>()? * 1e6;
        // 4 to 3, sides that are whole blocks.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
        let side = |share: f64| ((pixels * share).sqrt() / 16.0).round() as u32 * 16;
        let image = tiled(&sample, side(4.0 / 3.0), side(3.0 / 4.0))?;
        let options =
            EncodeOptions { quality: 75, subsampling: Subsampling::Half, ..EncodeOptions::new(format) };
        let name = format!("{megapixels}.{}", format.extension());
        fs::write(Path::new(folder).join(name), imaging::encode(&image, &options)?)?;
    }
    Ok(())
}

/// Repeats the sample, every other one mirrored: grain, fading and edges stay what they are in it.
fn tiled(sample: &Image, width: u32, height: u32) -> Result<Image> {
    let Samples::U8(from) = &sample.samples else { bail!("the sample has more than 8 bits") };
    let (w, h) = (sample.width as usize, sample.height as usize);
    let mirrored = |i: usize, n: usize| if (i / n).is_multiple_of(2) { i % n } else { n - 1 - i % n };
    let columns: Vec<usize> = (0..width as usize).map(|x| mirrored(x, w) * 3).collect();
    let mut to = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height as usize {
        let row = &from[mirrored(y, h) * w * 3..][..w * 3];
        for x in &columns {
            to.extend_from_slice(&row[*x..x + 3]);
        }
    }
    Ok(Image { width, height, channels: Channels::Rgb, samples: Samples::U8(to) })
}

/// A JPEG of at most so many bytes, and not much less.
pub(crate) fn photograph(bytes: usize) -> Result<Vec<u8>> {
    let small = imaging::resize(&sample()?, 960, 708)?;
    for quality in (40..=95).rev() {
        let file = imaging::encode(&small, &EncodeOptions { quality, ..EncodeOptions::new(Format::Jpeg) })?;
        if file.len() <= bytes {
            return Ok(file);
        }
    }
    bail!("the sample does not fit into {bytes} bytes")
}

/// Reads `PATH SPEC COUNT` lines, renders that often, and answers each with the processor time in milliseconds, the
/// bytes of the result, and the most memory in KiB that the process has had. SPEC is `grid`, or a box's side and a format
/// such as `1600.webp`.
pub(crate) fn serve_thumbnails() -> Result<()> {
    let budget = Budget::of_this_machine();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[path, spec, count] = words.as_slice() else { bail!("PATH SPEC COUNT") };
        let (transform, format) = spec_of(spec)?;
        let before = own_cpu()?;
        let mut size = 0;
        for _ in 0..count.parse::<u32>()? {
            let mut file = std::io::BufReader::new(fs::File::open(path)?);
            size = imaging::render(&mut file, &transform, format, &Limits::default(), &budget)?.bytes.len();
        }
        let took = own_cpu()?.saturating_sub(before);
        let status = fs::read_to_string("/proc/self/status")?;
        let peak = super::field(&status, "VmHWM:")?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} {size} {peak}", took.as_millis())?;
        out.flush()?;
    }
    Ok(())
}

fn spec_of(text: &str) -> Result<(Transform, OutputFormat)> {
    if text == "grid" {
        return Ok((Preset::Grid.transform(), OutputFormat::Jpeg));
    }
    let (side, format) = text.split_once('.').context("SIDE.FORMAT")?;
    let format = match format {
        "jpg" => OutputFormat::Jpeg,
        "webp" => OutputFormat::Webp,
        "avif" => OutputFormat::Avif,
        _ => bail!("jpg, webp or avif"),
    };
    let side = side.parse()?;
    Ok((Transform::inside(side, side), format))
}

fn own_cpu() -> Result<Duration> {
    cpu_of(&fs::read_to_string("/proc/self/stat")?)
}

/// Processor time in a `/proc/PID/stat`: user's and system's, in hundredths of a second.
pub(crate) fn cpu_of(stat: &str) -> Result<Duration> {
    // The name of the program may hold anything; the fields are counted behind it.
    let fields = stat.rsplit_once(')').context("no stat")?.1;
    let ticks =
        |n: usize| -> Result<u64> { Ok(fields.split_whitespace().nth(n).context("no stat")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}
