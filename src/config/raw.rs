//! The first stage: what was typed, where, and whether such a name exists. What a value means comes later.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::declared::{Default, Setting, environment_name};
use super::error::{Fault, Mistake, Origin};
use super::value::{Given, Kind};

/// What was typed on the command line, unread.
#[derive(Debug, Clone, std::default::Default)]
pub struct Flags {
    /// `--config FILE`.
    pub config: Option<PathBuf>,
    /// `--data-dir DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--listen ADDR`.
    pub listen: Option<String>,
    /// `--log-level LEVEL`.
    pub log_level: Option<String>,
    /// `--log-format FORMAT`.
    pub log_format: Option<String>,
}

/// The environment variables, as a value: tests make their own.
#[derive(Clone)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The process's own environment. The only place that reads it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// One variable, if it is there and is text. For what belongs to the process and is no setting.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.0.get(std::ffi::OsStr::new(name))?.to_str()
    }

    /// No variable at all.
    pub fn empty() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Prints the names only: other programs' secrets live in the environment too.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Everything that was typed, weakest first, and what was wrong already.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) typed: Vec<Typed>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) file: Option<PathBuf>,
}

/// One value, as it was typed.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) setting: &'static Setting,
    pub(super) given: Given,
    pub(super) origin: Origin,
}

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "SAFELIGHT_CONFIG";
const PREFIX: &str = "SAFELIGHT_";
/// Names under which other programs know the same secrets. They are weaker than the variables of our own, and an empty
/// one counts as absent: it was not set for us.
const USUAL_NAMES: [(&str, &str); 5] = [
    ("HF_TOKEN", "engines.hugging_face.token"),
    ("REPLICATE_API_TOKEN", "engines.replicate.token"),
    ("SENTRY_DSN", "telemetry.sentry_dsn"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "telemetry.otlp_headers"),
];
const CREDENTIAL_PREFIX: &str = "safelight.";
/// No configuration or secret is longer; more means that a wrong file was named.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Gathers everything that was typed.
pub(super) fn gather(
    settings: &'static [Setting],
    flags: &Flags,
    environment: &Environment,
    default_file: &Path,
) -> Raw {
    let mut gathering = Gathering { settings, typed: Vec::new(), mistakes: Vec::new() };
    gathering.defaults();
    let named = flags.config.clone().map(|path| (path, Origin::Flag("--config"))).or_else(|| {
        let path = environment.0.get(&OsString::from(CONFIG_VARIABLE))?;
        Some((PathBuf::from(path), Origin::Environment(CONFIG_VARIABLE.to_owned())))
    });
    // Weaker than the file: who writes a key for Safelight means that one.
    gathering.usual_names(environment);
    let file = match named {
        Some((path, origin)) => gathering.file(&path, Some(origin)),
        None if default_file.as_os_str().is_empty() => None,
        None => gathering.file(default_file, None),
    };
    gathering.credentials(environment);
    gathering.environment(environment);
    gathering.flags(flags);
    Raw { typed: gathering.typed, mistakes: gathering.mistakes, file }
}

impl Raw {
    /// The same with values of the web UI, which are stronger than the defaults and weaker than all else.
    pub(super) fn with(&self, web: Vec<(&'static Setting, Given)>) -> Self {
        let defaults = self.typed.iter().take_while(|typed| typed.origin == Origin::Default).count();
        let mut typed = self.typed.clone();
        let web = web.into_iter().map(|(setting, given)| Typed { setting, given, origin: Origin::Web });
        typed.splice(defaults..defaults, web);
        Self { typed, mistakes: Vec::new(), file: self.file.clone() }
    }
}

/// What somebody sent as JSON; nothing for null.
pub(super) fn given_json(value: &serde_json::Value) -> Option<Given> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => Given::Flag(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.is_f64()) {
            (_, true) => Given::Other("a fraction"),
            (number, false) => Given::Integer(number),
        },
        serde_json::Value::String(text) => Given::Text(text.clone()),
        serde_json::Value::Array(items) => {
            Given::List(items.iter().map(|item| given_json(item).unwrap_or(Given::Other("null"))).collect())
        }
        serde_json::Value::Object(_) => Given::Other("an object"),
    })
}

struct Gathering {
    settings: &'static [Setting],
    typed: Vec<Typed>,
    mistakes: Vec<Mistake>,
}

impl Gathering {
    fn find(&self, key: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// The secret whose `…_file` this key is.
    fn find_secret_file(&self, key: &str) -> Option<&'static Setting> {
        self.find(key.strip_suffix("_file")?).filter(|setting| setting.is_secret())
    }

    /// Every name that a file may hold.
    fn names(&self) -> Vec<String> {
        let plain = self.settings.iter().map(|setting| setting.key.to_owned());
        let files = self.settings.iter().filter(|s| s.is_secret()).map(|s| format!("{}_file", s.key));
        plain.chain(files).collect()
    }

    fn nearest_name(&self, key: &str) -> Option<String> {
        let names = self.names();
        nearest(key, names.iter().map(String::as_str)).map(str::to_owned)
    }

    fn wrong(&mut self, origin: Origin, fault: Fault) {
        self.mistakes.push(Mistake { origin, fault });
    }

    fn defaults(&mut self) {
        for setting in self.settings {
            let given = match setting.default {
                Default::Value(text) => given(DeValue::parse(text).expect("defaults are TOML").get_ref()),
                Default::Absent(word) => Given::Text(word.to_owned()),
            };
            self.typed.push(Typed { setting, given, origin: Origin::Default });
        }
    }

    /// Reads a configuration file; `named` says who named it, `None` that it needn't exist.
    fn file(&mut self, path: &Path, named: Option<Origin>) -> Option<PathBuf> {
        let bytes = match read_capped(path) {
            Ok(bytes) => bytes,
            Err(error) if named.is_none() && is_absent(&error) => return None,
            Err(error) => {
                let origin = named.unwrap_or_else(|| Origin::File(path.to_owned(), None));
                self.wrong(origin, Fault::Unreadable { path: path.to_owned(), reason: plain(&error) });
                return None;
            }
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                let origin = Origin::File(path.to_owned(), Some(line));
                self.wrong(origin, Fault::NotText { what: "this line".to_owned() });
                return Some(path.to_owned());
            }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        let page = Page { path, text: &text };
        let before = self.mistakes.len();
        self.table(&page, "", table.get_ref());
        // What the parser made of a line that it couldn't read says nothing more about that line.
        let broken: Vec<Origin> = errors.iter().map(|error| page.origin(error.span())).collect();
        let mut index = 0;
        self.mistakes.retain(|mistake| {
            index += 1;
            index <= before || !broken.contains(&mistake.origin)
        });
        self.typed.retain(|typed| !broken.contains(&typed.origin));
        for (error, origin) in errors.iter().zip(broken) {
            if !self.mistakes.iter().any(|mistake| mistake.origin == origin) {
                self.wrong(origin, Fault::Syntax(page.syntax(error)));
            }
        }
        Some(path.to_owned())
    }

    fn table(&mut self, page: &Page<'_>, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let key = if prefix.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{prefix}.{}", name.get_ref())
            };
            let origin = page.origin(Some(name.span()));
            let inner = format!("{key}.");
            let is_section = self.settings.iter().any(|setting| setting.key.starts_with(&inner));
            match value.get_ref() {
                _ if self.find(&key).is_some() || self.find_secret_file(&key).is_some() => {
                    self.named(&key, given(value.get_ref()), origin);
                }
                DeValue::Table(table) if is_section => self.table(page, &key, table),
                other if is_section => {
                    self.wrong(origin, Fault::NotASection { name: key, found: article(other) });
                }
                DeValue::Table(_) => {
                    let nearest = self.nearest_section(&key);
                    self.wrong(origin, Fault::UnknownSection { name: key, nearest });
                }
                _ => {
                    let nearest = self.nearest_name(&key);
                    self.wrong(origin, Fault::UnknownSetting { name: key, nearest });
                }
            }
        }
    }

    fn nearest_section(&self, key: &str) -> Option<String> {
        let sections = self.settings.iter().filter_map(|setting| setting.key.rsplit_once('.'));
        nearest(key, sections.map(|(section, _)| section)).map(|section| format!("[{section}]"))
    }

    /// Takes a value under a name that exists, following `…_file` to the secret.
    fn named(&mut self, key: &str, given: Given, origin: Origin) {
        let Some(setting) = self.find(key) else {
            if let Some(setting) = self.find_secret_file(key) {
                self.secret_file(setting, key, given, origin);
            }
            return;
        };
        self.push(setting, given, origin);
    }

    fn secret_file(&mut self, setting: &'static Setting, key: &str, given: Given, origin: Origin) {
        let path = match given {
            Given::Path(path) => path,
            Given::Text(text) | Given::Loose(text) => PathBuf::from(text),
            _ => {
                let expected = "the path of a file".to_owned();
                let fault =
                    Fault::WrongType { key: key.to_owned(), expected, found: "something else", hint: "" };
                return self.wrong(origin, fault);
            }
        };
        let path = match &origin {
            Origin::File(file, _) => file.parent().map(|folder| folder.join(&path)).unwrap_or(path),
            _ => path,
        };
        match read_secret(&path) {
            Ok(text) => self.push(setting, Given::Text(text), origin),
            Err(fault) => self.wrong(origin, fault),
        }
    }

    /// Keeps a value unless the same level has one already, under its other name.
    fn push(&mut self, setting: &'static Setting, given: Given, origin: Origin) {
        let other = self.typed.iter().find(|typed| {
            typed.setting.key == setting.key
                && match (&typed.origin, &origin) {
                    (Origin::File(..), Origin::File(..)) => true,
                    // A usual name is weaker than our own and no contradiction to it.
                    (Origin::Environment(name), Origin::Environment(_)) => name.starts_with(PREFIX),
                    _ => false,
                }
        });
        match other.map(|typed| typed.origin.clone()) {
            Some(other) => self.wrong(origin, Fault::Twice { key: setting.key.to_owned(), other }),
            None => self.typed.push(Typed { setting, given, origin }),
        }
    }

    fn credentials(&mut self, environment: &Environment) {
        let Some(folder) = environment.0.get(&OsString::from("CREDENTIALS_DIRECTORY")) else { return };
        let folder = PathBuf::from(folder);
        let entries =
            match std::fs::read_dir(&folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
                Ok(entries) => entries,
                Err(error) => {
                    let origin = Origin::Environment("CREDENTIALS_DIRECTORY".to_owned());
                    return self.wrong(origin, Fault::Unreadable { path: folder, reason: plain(&error) });
                }
            };
        let mut names: Vec<String> =
            entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        for name in names {
            // Credentials of other programs are none of our business.
            let Some(key) = name.strip_prefix(CREDENTIAL_PREFIX) else { continue };
            let origin = Origin::Credential(name.clone());
            match self.find(key).filter(|setting| setting.is_secret()) {
                Some(setting) => match read_secret(&folder.join(&name)) {
                    Ok(text) => self.push(setting, Given::Text(text), origin),
                    Err(fault) => self.wrong(origin, fault),
                },
                None => {
                    let secrets = self.settings.iter().filter(|setting| setting.is_secret());
                    let nearest = nearest(key, secrets.map(|setting| setting.key));
                    let nearest = nearest.map(|key| format!("{CREDENTIAL_PREFIX}{key}"));
                    self.wrong(origin, Fault::UnknownSetting { name: "this".to_owned(), nearest });
                }
            }
        }
    }

    fn usual_names(&mut self, environment: &Environment) {
        for (name, key) in USUAL_NAMES {
            let value = environment.0.get(&OsString::from(name)).and_then(|value| value.to_str());
            let value = value.filter(|value| !value.trim().is_empty());
            if let (Some(value), Some(setting)) = (value, self.find(key)) {
                let origin = Origin::Environment(name.to_owned());
                self.typed.push(Typed { setting, given: Given::Loose(value.to_owned()), origin });
            }
        }
    }

    fn environment(&mut self, environment: &Environment) {
        let names: BTreeMap<String, String> =
            self.names().into_iter().map(|key| (environment_name(&key), key)).collect();
        for (name, value) in &environment.0 {
            let Some(name) = name.to_str() else { continue };
            if !name.starts_with(PREFIX) || name == CONFIG_VARIABLE {
                continue;
            }
            let origin = Origin::Environment(name.to_owned());
            let Some(key) = names.get(name) else {
                let typed = name[PREFIX.len()..].to_lowercase().replace("__", ".");
                let nearest = self.nearest_name(&typed).map(|key| environment_name(&key));
                self.wrong(origin, Fault::UnknownSetting { name: "this".to_owned(), nearest });
                continue;
            };
            let is_path = self.find(key).is_none_or(|setting| matches!(setting.kind, Kind::Path));
            match value.to_str() {
                _ if is_path => self.named(key, Given::Path(value.into()), origin),
                Some(text) => self.named(key, Given::Loose(text.to_owned()), origin),
                None => self.wrong(origin, Fault::NotText { what: "the value".to_owned() }),
            }
        }
    }

    fn flags(&mut self, flags: &Flags) {
        let Flags { config: _, data_dir, listen, log_level, log_format } = flags;
        let loose = |text: &Option<String>| text.clone().map(Given::Loose);
        for (key, given) in [
            ("data_dir", data_dir.clone().map(Given::Path)),
            ("server.listen", loose(listen)),
            ("log.level", loose(log_level)),
            ("log.format", loose(log_format)),
        ] {
            let (Some(given), Some(setting)) = (given, self.find(key)) else { continue };
            let flag = setting.flag.expect("a setting that a flag sets declares it");
            self.typed.push(Typed { setting, given, origin: Origin::Flag(flag) });
        }
    }
}

/// A configuration file while it is read, for line numbers.
struct Page<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Page<'_> {
    fn origin(&self, span: Option<std::ops::Range<usize>>) -> Origin {
        let line = span.map(|span| line_at(self.text, span.start));
        Origin::File(self.path.to_owned(), line)
    }

    /// The parser's message; for a key that is there twice also its name.
    fn syntax(&self, error: &toml::de::Error) -> String {
        let message = error.message();
        if message != "duplicate key" {
            return format!("not TOML: {message}");
        }
        let name = error.span().and_then(|span| self.text.get(span)).unwrap_or_default().trim();
        format!("{name} is given twice in the same section: keep one")
    }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Integer(number) => Given::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Boolean(flag) => Given::Flag(*flag),
        DeValue::Array(items) => Given::List(items.iter().map(|item| given(item.get_ref())).collect()),
        other => Given::Other(article(other)),
    }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn read_capped(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// Reads a secret, without the line end that editors leave behind it.
fn read_secret(path: &Path) -> Result<String, Fault> {
    let bytes = read_capped(path)
        .map_err(|error| Fault::Unreadable { path: path.to_owned(), reason: plain(&error) })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Fault::NotText { what: format!("the content of {}", path.display()) })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The system's words without the error number.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

/// The line of a text in which a byte stands, from 1.
pub fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The candidate that was probably meant: the same last part in another section, one that is the beginning of the
/// other, or few typing errors (Damerau-Levenshtein up to a third of the length).
pub fn nearest<'a>(typed: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let typed = typed.to_lowercase().replace('-', "_");
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let by_distance = candidates
        .clone()
        .map(|name| (strsim::damerau_levenshtein(&typed, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= (typed.len().min(name.len()) / 3).max(1));
    if let Some((0..=2, name)) = by_distance {
        return Some(name);
    }
    let mut same_leaf = candidates.clone().filter(|name| leaf(name) == leaf(&typed));
    if let (Some(name), None) = (same_leaf.next(), same_leaf.next()) {
        return Some(name);
    }
    // `warning` for `warn`, `max_upload` for `max_upload_bytes`; but a section isn't meant by what stands in it.
    let goes_on = |short: &str, long: &str| {
        short.len() > 3 && long.strip_prefix(short).is_some_and(|rest| !rest.contains('.'))
    };
    let mut akin = candidates.filter(|name| goes_on(&typed, name) || goes_on(name, &typed));
    if let (Some(name), None) = (akin.next(), akin.next()) {
        return Some(name);
    }
    by_distance.map(|(_, name)| name)
}
