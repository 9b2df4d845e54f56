//! Presets as TOML files: read, checked, written. No I/O.
//!
//! A file has one `[[preset]]` or several, each with its steps as `[[preset.steps]]`. What is included by others of the
//! file follows them, so that the first one is what the file is about.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::super::model::PlannedStep;
use super::super::{Error, Result};
use super::model::{NewPreset, OwnPreset, PRESETS_MAX, expand};
use crate::config::line_at;
use crate::engine::{Engines, StepRequest};

/// The longest file that is read.
pub const FILE_BYTES_MAX: usize = 256 << 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    preset: Vec<NewPreset>,
}

/// Reads the presets of a file, in its order. Whether steps, engines and models exist is not asked here.
///
/// # Errors
/// [`Error::BadFile`] for what is too long, no TOML, or has other members; [`Error::BadPreset`], [`Error::TooManySteps`].
pub fn read(text: &str) -> Result<Vec<NewPreset>> {
    let presets: Vec<OwnPreset> = read_own(text)?;
    Ok(presets.iter().map(OwnPreset::for_file).collect())
}

pub(super) fn read_own(text: &str) -> Result<Vec<OwnPreset>> {
    let bad = |detail: String| Error::BadFile { detail };
    if text.len() > FILE_BYTES_MAX {
        return Err(bad(format!("a file of presets has at most {} kB", FILE_BYTES_MAX >> 10)));
    }
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_at(text, span.start));
        bad(format!("line {line}: {}", error.message()))
    })?;
    if file.preset.is_empty() || file.preset.len() > PRESETS_MAX {
        return Err(bad(format!("a file has 1 to {PRESETS_MAX} presets")));
    }
    let presets = file.preset.into_iter().map(NewPreset::checked).collect::<Result<Vec<_>>>()?;
    let mut names = HashSet::new();
    match presets.iter().find(|preset| !names.insert(&preset.name)) {
        Some(twice) => Err(bad(format!("the name {:?} comes twice", twice.name))),
        None => Ok(presets),
    }
}

/// Writes a preset as a file, with those of one's own that it includes.
///
/// # Errors
/// [`Error::UnknownPreset`].
pub(super) fn write(own: &[OwnPreset], first: &OwnPreset) -> Result<String> {
    let (mut names, mut presets) = (HashSet::new(), vec![first]);
    let mut at = 0;
    while let Some(preset) = presets.get(at) {
        at += 1;
        let included = preset.steps.iter().filter_map(|step| step.preset.as_deref());
        let found: Vec<_> =
            included.filter_map(|name| own.iter().find(|preset| preset.name == name)).collect();
        presets.extend(found.into_iter().filter(|preset| names.insert(preset.name.clone())));
    }
    let file = File { preset: presets.into_iter().map(OwnPreset::for_file).collect() };
    toml::to_string_pretty(&file).map_err(|error| Error::BadFile { detail: error.to_string() })
}

/// The steps that the first preset of a file comes to, for the built-in engine alone.
///
/// # Errors
/// As [`read`]; [`Error::UnknownPreset`], [`Error::CyclicPreset`], [`Error::UnknownStep`], [`Error::UnknownEngine`],
/// [`Error::BadStrength`], [`Error::UnknownParameter`].
pub fn builtin_steps(text: &str) -> Result<(String, Vec<StepRequest>)> {
    let presets = read_own(text)?;
    let Some(first) = presets.first() else {
        return Err(Error::BadFile { detail: "there is no preset".into() });
    };
    let engines = Engines::new();
    let mut steps = Vec::new();
    for asked in expand(&presets, &first.name)? {
        let PlannedStep { step, strength, .. } = super::super::model::settle_builtin(&engines, &asked)?;
        steps.push(StepRequest { step, strength });
    }
    steps.retain(|step| step.strength > 0.0);
    Ok((first.name.clone(), steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTIC: &str = r#"
[[preset]]
name = "attic"
title = "Attic"

[[preset.steps]]
preset = "dust"

[[preset.steps]]
step = "fade"
strength = 0.8

[[preset]]
name = "dust"
title = "Dust"
description = "Scratches only."
steps = [{ step = "inpaint" }, { step = "enhance", model = "gfpgan", parameters = { scale = 2 } }]
"#;

    #[test]
    fn what_is_written_is_read_again() {
        let presets = read_own(ATTIC).unwrap();
        assert_eq!(presets.len(), 2);
        let written = write(&presets, &presets[0]).unwrap();
        assert!(written.contains("strength = 0.8\n"), "{written}");
        assert_eq!(read_own(&written).unwrap(), presets);
        assert_eq!(read(&write(&presets, &presets[1]).unwrap()).unwrap().len(), 1);
        assert!(matches!(builtin_steps(ATTIC), Err(Error::UnknownEngine { .. })));
        let (name, steps) = builtin_steps(
            &ATTIC.replace(", { step = \"enhance\", model = \"gfpgan\", parameters = { scale = 2 } }", ""),
        )
        .unwrap();
        assert_eq!((name.as_str(), steps.len()), ("attic", 2));
    }

    #[test]
    fn what_is_no_file_of_presets_is_named() {
        let long = format!("{ATTIC}# {}", "x".repeat(FILE_BYTES_MAX));
        let twice = format!("{ATTIC}{ATTIC}");
        for (text, why) in [
            ("", "missing field `preset`"),
            ("preset = []", "1 to 500"),
            ("{\"json\": 1}", "line 1"),
            (
                "[[preset]]\ntitle = \"a\"\nsteps = [{ step = \"fade\" }]\nsecret = 1",
                "line 4: unknown field `secret`",
            ),
            ("[[preset]]\ntitle = \"a\"\nsteps = [{ step = \"fade\", power = 1 }]", "unknown field `power`"),
            ("[[preset]]\ntitle = 7\nsteps = []", "line 2"),
            (&long, "256 kB"),
            (&twice, "comes twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(why), "{text:.60}: {error}");
        }
        let shape = |steps: &str| read(&format!("[[preset]]\ntitle = \"a\"\nsteps = {steps}")).unwrap_err();
        for steps in [
            "[]",
            "[{}]",
            "[{ step = \"fade\", preset = \"auto\" }]",
            "[{ preset = \"auto\", strength = 1.0 }]",
        ] {
            assert!(matches!(shape(steps), Error::BadPreset { field: "steps", .. }), "{steps}");
        }
        assert!(matches!(
            shape(&format!("[{}]", "{ step = \"fade\" },".repeat(40))),
            Error::TooManySteps { .. }
        ));
    }
}
