//! What can be wrong with a configuration, said so that an admin can mend it.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from. The order is the order in which mistakes are listed, not the precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The web UI.
    Web,
    /// A line of the configuration file; `None` when the file as a whole is meant. Lines count from 1.
    File(PathBuf, Option<usize>),
    /// A systemd credential, by its name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// An environment variable.
    Environment(String),
    /// A flag on the command line, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Web => f.write_str("web UI"),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// What is wrong with one line, variable, credential or flag.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// No setting of that name exists in this version. Both names are written as the origin writes them.
    #[error("{name} is not a setting of this version{}", suggest(.nearest))]
    UnknownSetting {
        /// The name as it was typed.
        name: String,
        /// The setting that was probably meant.
        nearest: Option<String>,
    },
    /// No section of that name exists in this version.
    #[error("[{name}] is not a section of this version{}", suggest(.nearest))]
    UnknownSection {
        /// The section as it was typed.
        name: String,
        /// The section that was probably meant.
        nearest: Option<String>,
    },
    /// A value stands where a table of settings belongs.
    #[error("{name} is a section, so it should be a table [{name}], not {found}")]
    NotASection {
        /// The section's name.
        name: String,
        /// What stands there, with its article.
        found: &'static str,
    },
    /// The value has the wrong type.
    #[error("{key} should be {expected}, not {found}{hint}")]
    WrongType {
        /// The setting.
        key: String,
        /// What it takes, with its article.
        expected: String,
        /// What it was given, with its article.
        found: &'static str,
        /// How to write it, starting with a comma, or nothing.
        hint: &'static str,
    },
    /// The value has the right type but can't be used.
    #[error("{key}: {reason}")]
    WrongValue {
        /// The setting.
        key: String,
        /// A clause that says why, without the value where that is secret.
        reason: String,
    },
    /// The same setting is given twice at the same level.
    #[error("{key} is given twice, here and in {other}: keep one")]
    Twice {
        /// The setting.
        key: String,
        /// The other place.
        other: Origin,
    },
    /// The file isn't TOML at this line.
    #[error("{0}")]
    Syntax(String),
    /// A file or folder can't be read.
    #[error("can't read {}: {reason}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Something that should be text is not UTF-8.
    #[error("{what} is not UTF-8 text")]
    NotText {
        /// The thing.
        what: String,
    },
}

fn suggest(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

/// One mistake and where it was made.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// The line, variable, credential or flag.
    pub origin: Origin,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Mistake {
    /// The setting that it is about, where it is about one.
    pub fn key(&self) -> Option<&str> {
        match &self.fault {
            Fault::WrongType { key, .. } | Fault::WrongValue { key, .. } | Fault::Twice { key, .. } => {
                Some(key)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.fault)
    }
}

/// Everything that is wrong with a configuration; shown as one line per mistake.
#[derive(Debug)]
pub struct Error {
    /// The mistakes: the file's by line, then credentials, environment and flags. Never empty.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.as_slice() {
            [one] => write!(f, "the configuration has a mistake: {one}"),
            many => {
                write!(f, "the configuration has {} mistakes:", many.len())?;
                many.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

impl std::error::Error for Error {}
