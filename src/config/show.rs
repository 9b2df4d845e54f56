//! The configuration in words: every value with its origin, and the reference page.

use std::fmt::Write;

use super::Values;
use super::declared::{Default, SECTIONS, SETTINGS, Setting};
use super::error::Origin;

/// One setting as it may be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The setting.
    pub key: &'static str,
    /// Its value in TOML; `None` when it is absent. A secret is only said to be there.
    pub toml: Option<String>,
    /// Its value as JSON, sizes in bytes; null when it is absent.
    pub json: serde_json::Value,
    /// What absence is called for this setting.
    pub absent: &'static str,
    /// Who said so.
    pub origin: Origin,
}

impl Values {
    /// Every setting with its value and origin.
    pub(super) fn shown(&self, settings: &'static [Setting]) -> Vec<Shown> {
        let show = |setting: &'static Setting| {
            let (value, origin) = self.0.get(setting.key)?;
            Some(Shown {
                key: setting.key,
                toml: value.as_ref().map(|value| value.to_toml()),
                json: value.as_ref().map_or(serde_json::Value::Null, |value| value.to_json()),
                absent: match setting.default {
                    Default::Absent(word) => word,
                    Default::Value(_) => "none",
                },
                origin: origin.clone(),
            })
        };
        settings.iter().filter_map(show).collect()
    }
}

impl super::Loaded {
    /// Every value with its origin behind it, one a line; valid TOML except for hidden secrets' values.
    pub fn show(&self) -> String {
        let line = |shown: &Shown| {
            let value = shown.toml.clone().unwrap_or_else(|| format!("{:?}", shown.absent));
            format!("{} = {value}", shown.key)
        };
        let width = self.shown.iter().map(|shown| line(shown).chars().count()).max().unwrap_or(0).min(60);
        let mut text = String::new();
        for shown in &self.shown {
            let line = line(shown);
            writeln!(text, "{line:width$}  # {}", shown.origin).expect("a String takes everything");
        }
        text
    }

    /// The same for programs: `{file, settings: [{key, value, origin: {kind, …}}]}`.
    pub fn show_json(&self) -> serde_json::Value {
        let settings: Vec<_> = self
            .shown
            .iter()
            .map(|shown| {
                serde_json::json!({
                    "key": shown.key,
                    "value": shown.json,
                    "origin": origin_json(&shown.origin),
                })
            })
            .collect();
        let file = self.file.as_ref().map(|file| file.to_string_lossy());
        serde_json::json!({ "file": file, "settings": settings })
    }
}

/// An origin for programs: always a `kind`, and what belongs to it.
fn origin_json(origin: &Origin) -> serde_json::Value {
    match origin {
        Origin::Default => serde_json::json!({ "kind": "default" }),
        Origin::Web => serde_json::json!({ "kind": "web" }),
        Origin::File(path, line) => {
            serde_json::json!({ "kind": "file", "path": path.to_string_lossy(), "line": line })
        }
        Origin::Credential(name) => serde_json::json!({ "kind": "credential", "name": name }),
        Origin::Environment(name) => serde_json::json!({ "kind": "environment", "name": name }),
        Origin::Flag(name) => serde_json::json!({ "kind": "flag", "name": name }),
    }
}

impl super::Error {
    /// The mistakes for programs: `{mistakes: [{origin: {kind, …}, message}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        let mistakes: Vec<_> = self
            .mistakes
            .iter()
            .map(|mistake| {
                serde_json::json!({
                    "origin": origin_json(&mistake.origin),
                    "message": mistake.fault.to_string(),
                })
            })
            .collect();
        serde_json::json!({ "mistakes": mistakes })
    }
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Made by `safelight config reference`; change src/config/declared.rs instead. -->

Safelight runs without any configuration. What you set comes from, strongest first:

1. flags on the command line;
2. environment variables: `SAFELIGHT_`, then the section and the key in capitals with two underscores between them,
   such as `SAFELIGHT_SERVER__LISTEN`; lists are JSON arrays or separated by commas;
3. systemd credentials named `safelight.<section>.<key>`, for secrets only;
4. a TOML file: the one that `--config` or `SAFELIGHT_CONFIG` names, else `/etc/safelight/safelight.toml` if it exists;
5. for the settings that are marked so below, what an admin has set in the web UI (or by `PATCH /api/v1/settings`);
6. the defaults below.

Any secret may be kept in a file of its own: write `<key>_file` with its path instead of `<key>`. Sizes are numbers of
bytes or have a unit (`KiB`, `MiB`, `GiB`, `TiB` in steps of 1024; `kB`, `MB`, `GB`, `TB` in steps of 1000); durations
always have one (`ms`, `s`, `min`, `h`, `d`).

A name that does not exist is an error, in the file as in the environment. `safelight config check` lists everything
that is wrong, `safelight config show` prints each value with where it came from.
";

/// The reference page in Markdown, made from the list of settings.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for setting in SETTINGS.iter().filter(|setting| !setting.key.contains('.')) {
        describe(&mut page, setting);
    }
    for (section, words) in SECTIONS {
        page.push_str(&format!("\n## [{section}]\n\n{words}\n"));
        let of_section =
            |setting: &&Setting| setting.key.rsplit_once('.').is_some_and(|(name, _)| name == *section);
        for setting in SETTINGS.iter().filter(of_section) {
            describe(&mut page, setting);
        }
    }
    page
}

fn describe(page: &mut String, setting: &Setting) {
    let Setting { key, kind, default, example, doc, flag } = setting;
    let leaf = key.rsplit('.').next().unwrap_or(key);
    let default = match default {
        Default::Value(toml) => (*toml).to_owned(),
        Default::Absent(word) => format!("{word:?}"),
    };
    let flag = flag.map_or_else(String::new, |flag| format!(", flag `{flag}`"));
    page.push_str(&format!(
        "\n### `{key}`\n\n{doc}\n\n\
         * takes {expected}\n\
         * default `{default}`\n\
         * example `{leaf} = {example}`\n\
         * environment `{environment}`{flag}\n{live}",
        expected = kind.expected(),
        environment = setting.environment_name(),
        live = if setting.is_live() { "* can be changed in the web UI, at once\n" } else { "" },
    ));
}
