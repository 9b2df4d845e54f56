//! The folder of networks: which there are, and what is said about each. Knows nothing of how one is run.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::config::line_at;
use crate::engine::Step;
use crate::engine::replicate::is_name;

/// The largest network file.
const NETWORK_BYTES_MAX: u64 = 512 << 20;

/// The longest description.
const SPEC_BYTES_MAX: u64 = 64 << 10;

/// How many models a folder has at most; what comes later in the alphabet is left out.
const MODELS_MAX: usize = 200;

/// What a description says, checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) title: String,
    pub(super) description: String,
    pub(super) steps: Vec<Step>,
    pub(super) recreates: bool,
    /// How many times as wide and high a picture is afterwards.
    pub(super) scale: u32,
    /// The side of what the network sees at once, in pixels.
    pub(super) tile: u32,
    /// How many pixels at each side of a tile only give context.
    pub(super) halo: u32,
    /// Over how many pixels neighbours are blended.
    pub(super) blend: u32,
    pub(super) channels: Planes,
    /// What black and white are for the network, at its input and at its output.
    pub(super) input_range: [f32; 2],
    pub(super) output_range: [f32; 2],
    /// What is subtracted from each channel of the input, and what it is divided by then.
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
}

/// What the network sees of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Planes {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// The brightness alone (BT.601); the colours stay.
    Luma,
}

impl Planes {
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Luma => 1,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    title: String,
    #[serde(default)]
    description: String,
    steps: Vec<Step>,
    recreates: bool,
    #[serde(default = "one")]
    scale: u32,
    #[serde(default = "usual_tile")]
    tile: u32,
    #[serde(default = "usual_halo")]
    halo: u32,
    #[serde(default)]
    blend: u32,
    #[serde(default = "one")]
    multiple: u32,
    #[serde(default = "usual_channels")]
    channels: Planes,
    #[serde(default = "usual_range")]
    input_range: [f32; 2],
    #[serde(default = "usual_range")]
    output_range: [f32; 2],
    #[serde(default)]
    mean: Option<Vec<f32>>,
    #[serde(default)]
    std: Option<Vec<f32>>,
}

const fn one() -> u32 {
    1
}

const fn usual_tile() -> u32 {
    128
}

const fn usual_halo() -> u32 {
    16
}

const fn usual_channels() -> Planes {
    Planes::Rgb
}

const fn usual_range() -> [f32; 2] {
    [0.0, 1.0]
}

/// The two files of a model.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) name: String,
    pub(super) network: PathBuf,
    description: PathBuf,
}

/// Tells whether files are those that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    network: (u64, Option<SystemTime>),
    description: (u64, Option<SystemTime>),
}

impl Stamp {
    pub(super) const fn network_bytes(&self) -> u64 {
        self.network.0
    }
}

/// The names of the models of a folder: whatever has one of the two files.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (Some("onnx" | "toml"), Some(stem)) = (kind, stem)
            && is_name(stem)
            && stem.len() <= 90
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    names.dedup();
    names.truncate(MODELS_MAX);
    Ok(names)
}

impl Files {
    /// The files of a model; none if no file can have that name.
    pub(super) fn of(folder: &Path, name: &str) -> Option<Self> {
        is_name(name).then(|| Self {
            name: name.to_owned(),
            network: folder.join(format!("{name}.onnx")),
            description: folder.join(format!("{name}.toml")),
        })
    }

    /// Looks whether both files are there, and no larger than is taken.
    pub(super) fn stamp(&self) -> Result<Stamp, String> {
        let look = |path: &Path, most: u64| {
            let name = file_name(path);
            let found = fs::metadata(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => format!("the file {name} is missing"),
                _ => format!("the file {name} can't be read: {error}"),
            })?;
            if !found.is_file() {
                return Err(format!("{name} is not a file"));
            }
            if found.len() > most {
                return Err(format!("the file {name} is larger than {} MiB", most.div_ceil(1 << 20)));
            }
            Ok((found.len(), found.modified().ok()))
        };
        Ok(Stamp {
            network: look(&self.network, NETWORK_BYTES_MAX)?,
            description: look(&self.description, SPEC_BYTES_MAX)?,
        })
    }

    /// Reads the description.
    pub(super) fn read(&self) -> Result<Spec, String> {
        let name = file_name(&self.description);
        let mut text = String::new();
        let file = File::open(&self.description)
            .map_err(|error| format!("the file {name} can't be read: {error}"))?;
        file.take(SPEC_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(|error| format!("the file {name} can't be read: {error}"))?;
        parse(&text).map_err(|why| format!("{name}, {why}"))
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a description.
fn parse(text: &str) -> Result<Spec, String> {
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        format!("line {line}: {}", error.message())
    })?;
    let wrong = |what: &str| Err(what.to_owned());
    if written.title.trim().is_empty()
        || written.title.len() > 200
        || written.title.contains(char::is_control)
    {
        return wrong("title: a title has 1 to 200 bytes and one line");
    }
    if written.description.len() > 2000 {
        return wrong("description: it is too long");
    }
    if written.steps.is_empty()
        || !written.steps.iter().all(|step| super::STEPS.iter().any(|info| info.step == *step))
    {
        let known: Vec<&str> = super::STEPS.iter().map(|info| info.step.as_str()).collect();
        return Err(format!("steps: one or more of {}", known.join(", ")));
    }
    if ![1, 2, 3, 4, 8].contains(&written.scale) {
        return wrong("scale: it is 1, 2, 3, 4 or 8");
    }
    if !(16..=1024).contains(&written.tile) {
        return wrong("tile: it is 16 to 1024 pixels");
    }
    if written.multiple == 0 || !written.tile.is_multiple_of(written.multiple) {
        return wrong("tile: it must be a multiple of what multiple says");
    }
    if written.halo > 256 || written.tile.saturating_sub(2 * written.halo) < 8 {
        return wrong("halo: at least 8 pixels of a tile must be left between the two halos");
    }
    if written.blend > (written.tile - 2 * written.halo) / 2 {
        return wrong("blend: it may be half of what is left between the two halos");
    }
    for (name, [black, white]) in
        [("input_range", written.input_range), ("output_range", written.output_range)]
    {
        if !black.is_finite() || !white.is_finite() || black == white {
            return Err(format!("{name}: two different numbers, for black and for white"));
        }
    }
    let planes = written.channels.count();
    let each = |name: &str, given: Option<Vec<f32>>, usual: f32| match given {
        None => Ok([usual; 3]),
        Some(given) if given.len() == planes && given.iter().all(|number| number.is_finite()) => {
            Ok(std::array::from_fn(|index| given.get(index).copied().unwrap_or(usual)))
        }
        Some(_) => Err(format!("{name}: one number for each of {planes} channels")),
    };
    let (mean, std) = (each("mean", written.mean, 0.0)?, each("std", written.std, 1.0)?);
    if std.contains(&0.0) {
        return wrong("std: what is divided by is not zero");
    }
    let Written { title, description, steps, recreates, scale, tile, halo, blend, channels, .. } = written;
    let (input_range, output_range) = (written.input_range, written.output_range);
    Ok(Spec {
        title,
        description,
        steps,
        recreates,
        scale,
        tile,
        halo,
        blend,
        channels,
        input_range,
        output_range,
        mean,
        std,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "title = \"Mend\"\nsteps = [\"denoise\"]\nrecreates = false\n";

    #[test]
    fn descriptions_are_read_and_what_is_wrong_has_its_place() {
        let spec = parse(PLAIN).unwrap();
        assert_eq!((spec.tile, spec.halo, spec.scale, spec.channels), (128, 16, 1, Planes::Rgb));
        for (text, said) in [
            (format!("{PLAIN}tlie = 3"), "line 4: unknown field"),
            (format!("{PLAIN}scale = 5"), "scale"),
            (format!("{PLAIN}tile = 32"), "halo"),
            (format!("{PLAIN}tile = 100\nmultiple = 64"), "multiple"),
            (format!("{PLAIN}blend = 60"), "blend"),
            (format!("{PLAIN}mean = [0.5]"), "mean"),
            (format!("{PLAIN}std = [1, 0, 1]"), "std"),
            (format!("{PLAIN}input_range = [nan, 1]"), "input_range"),
            (format!("{PLAIN}channels = \"cmyk\""), "line 4"),
            (PLAIN.replace("denoise", "fade"), "steps"),
            (PLAIN.replace("denoise", "bake"), "line 2"),
            ("title".to_owned(), "line 1"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_folder_names_its_models_and_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.onnx", "a.toml", "a.onnx", "c d.onnx", ".hidden", "notes.txt"] {
            fs::write(folder.path().join(name), PLAIN).unwrap();
        }
        assert_eq!(names(folder.path()).unwrap(), ["a", "b"]);
        let files = |name| Files::of(folder.path(), name).unwrap();
        assert!(files("a").stamp().is_ok() && files("a").read().is_ok());
        assert_eq!(files("b").stamp().unwrap_err(), "the file b.toml is missing");
        assert!(Files::of(folder.path(), "../a").is_none());
        fs::write(folder.path().join("b.toml"), "x".repeat(70_000)).unwrap();
        assert!(files("b").stamp().unwrap_err().contains("larger than"));
    }
}
