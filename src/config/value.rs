//! What a setting takes, and the reading of one value.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::accent::Accent;
use super::declared::{Default, Setting};
use super::error::{Fault, Origin};
use super::origins::WebOrigins;

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// An IP address and a port.
    Address,
    /// `http` or `https`, a host and perhaps a port.
    Url,
    /// The path part of an address.
    BasePath,
    /// A file or folder.
    Path,
    /// On or off.
    Flag,
    /// A whole number within bounds, both allowed.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A size within bounds in bytes, both allowed.
    Bytes {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A span of time within bounds, both allowed.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// IP addresses and networks.
    Networks,
    /// One line of text.
    Text,
    /// A host name.
    Host,
    /// Several of them.
    Texts,
    /// Several addresses like [`Kind::Url`].
    Urls,
    /// Origins of sites.
    Origins,
    /// Host names and IP addresses; those that stand together, with a space between them, share something.
    Names,
    /// Several of a few words.
    Choices(&'static [&'static str]),
    /// `https`, a host and a path.
    Endpoint,
    /// `http` or `https`, a host and perhaps a path.
    HttpUrl,
    /// A colour, in six hexadecimal digits.
    Colour,
    /// Text that is never shown; also taken from a file or a systemd credential.
    Secret,
}

impl Kind {
    /// The kind in one word, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Url | Self::Endpoint | Self::HttpUrl => "url",
            Self::BasePath | Self::Path => "path",
            Self::Flag => "flag",
            Self::Integer { .. } => "integer",
            Self::Bytes { .. } => "bytes",
            Self::Duration { .. } => "duration",
            Self::Choice(_) => "choice",
            Self::Text | Self::Host => "text",
            Self::Networks | Self::Texts | Self::Urls | Self::Origins | Self::Names => "list",
            Self::Choices(_) => "choices",
            Self::Colour => "colour",
            Self::Secret => "secret",
        }
    }

    /// The words that may be chosen.
    pub fn choices(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Choice(words) | Self::Choices(words) => Some(words),
            _ => None,
        }
    }

    /// What it takes, with its article, as it stands in messages and on the reference page.
    pub fn expected(&self) -> String {
        match self {
            Self::Address => "an IP address and port".to_owned(),
            Self::Url => "an http or https URL without a path".to_owned(),
            Self::BasePath => "a path that starts with /".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Integer { min, max } => {
                format!("a whole number from {} to {}", grouped(*min), grouped(*max))
            }
            Self::Bytes { .. } => "a size such as \"256 MiB\", or a number of bytes".to_owned(),
            Self::Duration { .. } => "a duration such as \"30 s\" or \"5 min\"".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Networks => "a list of IP addresses and networks".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Host => "a host name".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Urls => "a list of http or https URLs without a path".to_owned(),
            Self::Origins => {
                "a list of origins such as \"https://example.org\", or of \"*\" alone".to_owned()
            }
            Self::Names => "a list of host names and IP addresses".to_owned(),
            Self::Choices(words) => format!("a list of {}", words.join(", ")),
            Self::Endpoint => "an https URL".to_owned(),
            Self::HttpUrl => "an http or https URL".to_owned(),
            Self::Colour => "a colour such as \"#1f6feb\"".to_owned(),
            Self::Secret => "text (secret)".to_owned(),
        }
    }
}

/// What was typed, before it means anything.
#[derive(Debug, Clone)]
pub(super) enum Given {
    /// From a flag or the environment, where everything is text.
    Loose(String),
    /// A path, which needn't be UTF-8.
    Path(PathBuf),
    Text(String),
    /// `None` when it is beyond 64 bits.
    Integer(Option<i64>),
    Flag(bool),
    List(Vec<Given>),
    /// A TOML type that no setting takes, with its article.
    Other(&'static str),
}

impl Given {
    fn article(&self) -> &'static str {
        match self {
            Self::Loose(_) | Self::Text(_) => "text",
            Self::Path(_) => "a path",
            Self::Integer(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(what) => what,
        }
    }
}

/// A checked value. What its setting takes decides the variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Address(SocketAddr),
    Url(PublicUrl),
    Text(String),
    /// Empty for the root, else with a leading and without a trailing slash.
    BasePath(String),
    Path(PathBuf),
    Flag(bool),
    Integer(u64),
    Bytes(u64),
    Duration(Duration),
    Networks(Vec<Network>),
    Texts(Vec<String>),
    Urls(Vec<PublicUrl>),
    Origins(WebOrigins),
    Secret(Secret),
}

/// Text that is never shown; `Debug` prints a placeholder and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text that did not come from the configuration.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Hands out the text. Whoever calls this must not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Scheme, host and perhaps a port of the address that people type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    https: bool,
    authority: String,
}

impl PublicUrl {
    /// Whether people come over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Host and, unless it is the scheme's own, port: what a `Host` header says. Lower case.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Reads what an admin typed.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (https, rest) = if let Some(rest) = lower.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = lower.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(format!("{text:?} should start with https:// or http://"));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['?', '#', '@']) || rest.contains(char::is_whitespace) {
            return Err(format!("{text:?} should be no more than a scheme, a host and perhaps a port"));
        }
        if rest.contains('/') {
            return Err(format!("{text:?} has a path; that belongs into server.base_path"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        if !is_host(host) {
            let hint = if host.is_ascii() { "" } else { " (write an international name in its xn-- form)" };
            return Err(format!("{host:?} is not a host name{hint}"));
        }
        let port = match port.map(|digits| (digits, digits.parse::<u16>())) {
            None => None,
            Some((_, Ok(port))) if port > 0 => Some(port),
            Some((digits, _)) => return Err(format!("{digits:?} is not a port")),
        };
        let own = if https { 443 } else { 80 };
        let authority = match port {
            Some(port) if port != own => format!("{host}:{port}"),
            _ => host.to_owned(),
        };
        Ok(Self { https, authority })
    }
}

/// Prints it without a trailing slash: what an `Origin` header says.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}

/// Checks names that certificates may be for, and writes each group with single spaces in lower case.
fn names(groups: &[String]) -> Result<Vec<String>, String> {
    let check = |name: &str| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let plain = name.strip_prefix("*.").unwrap_or(&name);
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(address.to_string());
        }
        if is_host(plain) && plain.contains('.') && !plain.starts_with('[') {
            return Ok(name);
        }
        let hint = match name.is_ascii() {
            true if plain.contains("://") || plain.contains('/') => " (write the name alone)",
            true if is_host(plain) => " (a certificate is for a full name, with a dot in it)",
            true => "",
            false => " (write an international name in its xn-- form)",
        };
        Err(format!("{name:?} is not a host name or an IP address{hint}"))
    };
    let mut seen: Vec<String> = Vec::new();
    let mut checked = Vec::with_capacity(groups.len());
    for group in groups {
        let names = group.split_whitespace().map(check).collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() {
            return Err("an entry is empty".to_owned());
        }
        for name in &names {
            if seen.contains(name) {
                return Err(format!("{name:?} is listed twice"));
            }
            seen.push(name.clone());
        }
        checked.push(names.join(" "));
    }
    Ok(checked)
}

/// Reads the address of a service that may also be spoken to without TLS. There is no slash at its end.
fn http_url(text: &str) -> Result<String, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("{text:?} should start with https:// or http://"));
    };
    let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
    if text.contains(char::is_whitespace) || text.contains(['@', '#', '?']) {
        return Err(format!("{text:?} is not a plain URL"));
    }
    PublicUrl::parse(&format!("{scheme}://{host}"))?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// Reads the address of a service that is only spoken to over TLS.
fn endpoint(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix("https://") else {
        return Err(format!("{text:?} should start with https://"));
    };
    let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
    if text.contains(char::is_whitespace) || text.contains(['@', '#']) {
        return Err(format!("{text:?} is not a URL"));
    }
    PublicUrl::parse(&format!("https://{host}"))?;
    Ok(text.to_owned())
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// An address range in CIDR form. A single address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in the range; an IPv4 address also when it comes in its IPv6 form.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() == other.to_bits() & mask
            }
            _ => false,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let not = || format!("{text:?} is not an IP address or a network such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| not())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest).ok_or_else(not)?
            }
            Some(_) => return Err(not()),
        };
        let start = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::from(std::net::Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::from(std::net::Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        if start != address {
            // Somebody who writes 10.1.2.3/8 may mean one address or the whole network: ask.
            return Err(format!(
                "{text:?} is an address inside the network {start}/{prefix}; write one of the two"
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = self.prefix == if self.address.is_ipv4() { 32 } else { 128 };
        if single { write!(f, "{}", self.address) } else { write!(f, "{}/{}", self.address, self.prefix) }
    }
}

/// What can be wrong with a value before its key is known.
enum Wrong {
    Type(&'static str),
    Value(String),
}

impl From<String> for Wrong {
    fn from(reason: String) -> Self {
        Self::Value(reason)
    }
}

/// Reads one value; `Ok(None)` when somebody typed the word for its absence.
pub(super) fn check(setting: &Setting, given: Given, origin: &Origin) -> Result<Option<Value>, Fault> {
    if let (Default::Absent(word), Given::Loose(text) | Given::Text(text)) = (setting.default, &given)
        && text.trim() == word
    {
        return Ok(None);
    }
    let was = given.article();
    let hint = match (&setting.kind, &given) {
        (Kind::Integer { .. } | Kind::Flag, Given::Text(_)) => ", so without quotes",
        (Kind::Duration { .. }, Given::Integer(_)) => ", so in quotes and with its unit",
        _ => "",
    };
    let wrong = match read(&setting.kind, given) {
        Ok(Value::Path(path)) => return Ok(Some(Value::Path(anchor(path, origin)))),
        Ok(value) => return Ok(Some(value)),
        Err(wrong) => wrong,
    };
    let key = setting.key.to_owned();
    Err(match wrong {
        Wrong::Type(found) => {
            let mut expected = setting.kind.expected();
            if let Default::Absent(word) = setting.default {
                expected = format!("{expected}, or \"{word}\"");
            }
            let found = if found.is_empty() { was } else { found };
            Fault::WrongType { key, expected, found, hint }
        }
        Wrong::Value(reason) => Fault::WrongValue { key, reason },
    })
}

/// A relative path in a file means the same wherever the program is started from.
fn anchor(path: PathBuf, origin: &Origin) -> PathBuf {
    match origin {
        Origin::File(file, _) => match file.parent() {
            Some(folder) if path.is_relative() => folder.join(path),
            _ => path,
        },
        _ => path,
    }
}

fn read(kind: &Kind, given: Given) -> Result<Value, Wrong> {
    let loose = matches!(given, Given::Loose(_));
    match (kind, given) {
        (Kind::Path, Given::Path(path)) => {
            if path.as_os_str().is_empty() {
                return Err(empty());
            }
            Ok(Value::Path(path))
        }
        (Kind::Secret, Given::Loose(text) | Given::Text(text)) if text.trim().is_empty() => Err(empty()),
        (Kind::Secret, Given::Loose(text) | Given::Text(text)) => Ok(Value::Secret(Secret(text))),
        (Kind::Networks, Given::List(items)) => {
            let networks = items.into_iter().map(|item| match item {
                Given::Text(text) | Given::Loose(text) => Network::parse(text.trim()).map_err(Wrong::Value),
                other => Err(Wrong::Value(format!("each entry should be text, not {}", other.article()))),
            });
            Ok(Value::Networks(networks.collect::<Result<_, _>>()?))
        }
        (Kind::Texts | Kind::Urls | Kind::Names | Kind::Choices(_), Given::List(items)) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                match item {
                    Given::Text(text) | Given::Loose(text) => texts.push(text.trim().to_owned()),
                    other => {
                        return Err(Wrong::Value(format!(
                            "each entry should be text, not {}",
                            other.article()
                        )));
                    }
                }
            }
            match kind {
                Kind::Texts => return Ok(Value::Texts(texts)),
                Kind::Names => return Ok(Value::Texts(names(&texts)?)),
                Kind::Choices(words) => {
                    return match texts.iter().find(|text| !words.contains(&text.as_str())) {
                        Some(text) => {
                            Err(Wrong::Value(format!("{text:?} is not one of {}", words.join(", "))))
                        }
                        None if texts.is_empty() => Err(empty()),
                        None => Ok(Value::Texts(texts)),
                    };
                }
                _ => {}
            }
            let urls = texts.iter().map(|text| PublicUrl::parse(text));
            Ok(Value::Urls(urls.collect::<Result<_, _>>()?))
        }
        (Kind::Origins, Given::List(items)) => {
            let texts = items.into_iter().map(|item| match item {
                Given::Text(text) | Given::Loose(text) => Ok(text),
                other => Err(Wrong::Value(format!("each entry should be text, not {}", other.article()))),
            });
            let texts = texts.collect::<Result<Vec<String>, _>>()?;
            let origins = WebOrigins::parse(texts.iter().map(String::as_str)).map_err(Wrong::Value)?;
            Ok(Value::Origins(origins))
        }
        (
            Kind::Networks | Kind::Texts | Kind::Urls | Kind::Origins | Kind::Names | Kind::Choices(_),
            Given::Loose(text),
        ) => read(kind, list(&text)?),
        (Kind::Flag, Given::Flag(flag)) => Ok(Value::Flag(flag)),
        (Kind::Integer { min, max }, Given::Integer(number)) => {
            Ok(Value::Integer(within(number, *min, *max)?))
        }
        (Kind::Bytes { min, max }, Given::Integer(number)) => {
            let number = number.and_then(|number| u64::try_from(number).ok());
            Ok(Value::Bytes(sized(number, *min, *max)?))
        }
        (_, Given::Loose(text) | Given::Text(text)) => {
            let text = text.trim();
            match kind {
                Kind::Flag | Kind::Integer { .. } if !loose => Err(Wrong::Type("")),
                Kind::Networks
                | Kind::Texts
                | Kind::Urls
                | Kind::Origins
                | Kind::Names
                | Kind::Choices(_) => Err(Wrong::Type("")),
                _ if text.is_empty() => Err(empty()),
                _ => Ok(read_text(kind, text)?),
            }
        }
        _ => Err(Wrong::Type("")),
    }
}

fn empty() -> Wrong {
    Wrong::Value("is empty; leave it out to keep the default".to_owned())
}

/// Reads trimmed text that isn't empty.
fn read_text(kind: &Kind, text: &str) -> Result<Value, String> {
    Ok(match kind {
        Kind::Address => Value::Address(text.parse().map_err(|_| {
            format!("{text:?} is not an IP address and port, such as 127.0.0.1:8080 or [::]:8080")
        })?),
        Kind::Endpoint => Value::Text(endpoint(text)?),
        Kind::HttpUrl => Value::Text(http_url(text)?),
        Kind::Colour => Value::Text(Accent::parse(text)?.as_typed().to_owned()),
        Kind::Url => Value::Url(PublicUrl::parse(text)?),
        Kind::BasePath => Value::BasePath(base_path(text)?),
        Kind::Path => Value::Path(PathBuf::from(text)),
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Value::Flag(true),
            "false" | "no" | "off" | "0" => Value::Flag(false),
            _ => return Err(format!("{text:?} is neither true nor false")),
        },
        Kind::Integer { min, max } => {
            let number = text.replace('_', "").parse::<i64>().map_err(|error| match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    format!("{text} is not {}", kind.expected())
                }
                _ => format!("{text:?} is not a whole number"),
            })?;
            Value::Integer(within(Some(number), *min, *max)?)
        }
        Kind::Bytes { min, max } => Value::Bytes(sized(bytes(text)?, *min, *max)?),
        Kind::Duration { min, max } => {
            let span = duration(text)?;
            if span < *min || span > *max {
                return Err(format!(
                    "{text} is not between {} and {}",
                    show_duration(*min),
                    show_duration(*max)
                ));
            }
            Value::Duration(span)
        }
        Kind::Choice(words) => {
            let lower = text.to_ascii_lowercase();
            let Some(word) = words.iter().find(|word| **word == lower) else {
                let nearest = super::raw::nearest(&lower, words.iter().copied());
                let hint = nearest.map_or_else(String::new, |word| format!("; did you mean {word}?"));
                return Err(format!("{text:?} is not {}{hint}", kind.expected()));
            };
            Value::Text((*word).to_owned())
        }
        Kind::Text if text.contains(char::is_control) => {
            return Err(format!("{text:?} is more than one line"));
        }
        Kind::Text => Value::Text(text.to_owned()),
        Kind::Host => match text.trim_end_matches('.').to_ascii_lowercase() {
            host if is_host(&host) => Value::Text(host),
            host => return Err(format!("{host:?} is not a host name (write the name alone)")),
        },
        Kind::Networks
        | Kind::Texts
        | Kind::Urls
        | Kind::Origins
        | Kind::Names
        | Kind::Choices(_)
        | Kind::Secret => unreachable!("read before"),
    })
}

fn within(number: Option<i64>, min: u64, max: u64) -> Result<u64, String> {
    number
        .and_then(|number| u64::try_from(number).ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| match number {
            Some(number) => format!("{number} is not from {} to {}", grouped(min), grouped(max)),
            None => format!("that number is not from {} to {}", grouped(min), grouped(max)),
        })
}

fn sized(number: Option<u64>, min: u64, max: u64) -> Result<u64, String> {
    number.filter(|number| (min..=max).contains(number)).ok_or_else(|| match number {
        Some(number) if number < min => format!("{} is less than {}", show_bytes(number), show_bytes(min)),
        Some(number) => format!("{} is more than {}", show_bytes(number), show_bytes(max)),
        None => "that is not a size that a disk can have".to_owned(),
    })
}

/// A list in the environment: a JSON array, or separated by commas.
fn list(text: &str) -> Result<Given, Wrong> {
    let text = text.trim();
    if text.starts_with('[') {
        let items: Vec<String> = serde_json::from_str(text)
            .map_err(|error| Wrong::Value(format!("is not a JSON array of texts: {error}")))?;
        return Ok(Given::List(items.into_iter().map(Given::Text).collect()));
    }
    if text.is_empty() {
        return Ok(Given::List(Vec::new()));
    }
    Ok(Given::List(text.split(',').map(|item| Given::Text(item.trim().to_owned())).collect()))
}

/// Normalises to nothing for the root, else a leading and no trailing slash.
fn base_path(text: &str) -> Result<String, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!("{text:?} should start with /"));
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Ok(String::new());
    }
    let plain = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    if !rest.split('/').all(plain) {
        return Err(format!("{text:?} may only have letters, digits and - . _ ~ between its slashes"));
    }
    Ok(format!("/{rest}"))
}

const BYTE_UNITS: &[(&str, u64)] = &[
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

/// Reads a size; `None` when it is beyond 64 bits.
fn bytes(text: &str) -> Result<Option<u64>, String> {
    let (number, unit) = split_unit(text);
    let lower = unit.to_ascii_lowercase();
    let Some((_, factor)) = BYTE_UNITS.iter().find(|(name, _)| *name == lower) else {
        return Err(match lower.as_str() {
            "k" | "m" | "g" | "t" => {
                let big = lower.to_uppercase();
                format!("{text:?} is ambiguous: write {big}iB (1024s) or {big}B (1000s)")
            }
            _ => format!("{text:?} is not a size such as 256 MiB or 2 GB"),
        });
    };
    scale(number, u128::from(*factor))
        .map(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| format!("{text:?} is not a size such as 256 MiB or 2 GB"))
}

const DURATION_UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000),
    ("day", 86_400_000),
    ("days", 86_400_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("hours", 3_600_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("minutes", 60_000),
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("seconds", 1_000),
    ("ms", 1),
];

/// Reads a duration of one or more parts, `1 h 30 min`, to the millisecond.
fn duration(text: &str) -> Result<Duration, String> {
    let not = || format!("{text:?} is not a duration such as 30 s, 5 min or 1 h 30 min");
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) = split_unit(rest);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        if unit.is_empty() && next.is_empty() && total == 0 {
            return Err(format!("{text:?} needs a unit, such as {text} s or {text} min"));
        }
        if unit == "m" {
            return Err(format!("{text:?}: write min for minutes, ms for milliseconds"));
        }
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not)?;
        total = total.saturating_add(scale(number, u128::from(*factor)).ok_or_else(not)?);
        rest = next.trim_start();
    }
    Ok(Duration::from_millis(u64::try_from(total).unwrap_or(u64::MAX)))
}

/// Splits `1.5 GiB` into the number and what follows it.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// Multiplies a decimal number without ever touching floating point, rounding down.
fn scale(number: &str, factor: u128) -> Option<u128> {
    let number = number.replace('_', "");
    let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || part.len() > 9 || part.contains('.') || number.ends_with('.') {
        return None;
    }
    let denominator = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    Some(digits.saturating_mul(factor) / denominator)
}

fn show_bytes(bytes: u64) -> String {
    for (unit, factor) in [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes != 0 && bytes.is_multiple_of(factor) {
            return format!("{} {unit}", bytes / factor);
        }
    }
    format!("{bytes} B")
}

fn show_duration(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if millis != 0 && millis.is_multiple_of(factor) {
            return format!("{} {unit}", millis / factor);
        }
    }
    format!("{millis} ms")
}

/// Digits in groups of three, as TOML allows them.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            grouped.push('_');
        }
        grouped.push(digit);
    }
    grouped
}

impl Value {
    pub(super) fn address(&self) -> SocketAddr {
        let Self::Address(address) = self else { self.mismatch() };
        *address
    }

    pub(super) fn url(&self) -> PublicUrl {
        let Self::Url(url) = self else { self.mismatch() };
        url.clone()
    }

    pub(super) fn text(&self) -> String {
        let (Self::Text(text) | Self::BasePath(text)) = self else { self.mismatch() };
        text.clone()
    }

    pub(super) fn path(&self) -> PathBuf {
        let Self::Path(path) = self else { self.mismatch() };
        path.clone()
    }

    pub(super) fn flag(&self) -> bool {
        let Self::Flag(flag) = self else { self.mismatch() };
        *flag
    }

    pub(super) fn integer(&self) -> u64 {
        let (Self::Integer(number) | Self::Bytes(number)) = self else { self.mismatch() };
        *number
    }

    pub(super) fn duration(&self) -> Duration {
        let Self::Duration(span) = self else { self.mismatch() };
        *span
    }

    pub(super) fn networks(&self) -> Vec<Network> {
        let Self::Networks(networks) = self else { self.mismatch() };
        networks.clone()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        let Self::Texts(texts) = self else { self.mismatch() };
        texts.clone()
    }

    pub(super) fn urls(&self) -> Vec<PublicUrl> {
        let Self::Urls(urls) = self else { self.mismatch() };
        urls.clone()
    }

    pub(super) fn secret(&self) -> Secret {
        let Self::Secret(secret) = self else { self.mismatch() };
        secret.clone()
    }

    pub(super) fn origins(&self) -> WebOrigins {
        let Self::Origins(origins) = self else { self.mismatch() };
        origins.clone()
    }

    /// The list and the structs disagree; the test that loads the defaults finds it.
    fn mismatch(&self) -> ! {
        panic!("the setting was declared with another kind than it is used with: {self:?}")
    }

    /// The value as JSON, sizes in bytes and durations as text; a secret is only said to be there.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Address(address) => address.to_string().into(),
            Self::Url(url) => url.to_string().into(),
            Self::BasePath(path) if path.is_empty() => "/".into(),
            Self::Text(text) | Self::BasePath(text) => text.as_str().into(),
            Self::Path(path) => path.to_string_lossy().into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Integer(number) | Self::Bytes(number) => (*number).into(),
            Self::Duration(span) => show_duration(*span).into(),
            Self::Networks(networks) => networks.iter().map(ToString::to_string).collect(),
            Self::Texts(texts) => texts.iter().map(String::as_str).collect(),
            Self::Urls(urls) => urls.iter().map(ToString::to_string).collect(),
            Self::Origins(origins) => origins.as_slice().into(),
            Self::Secret(_) => "(hidden)".into(),
        }
    }

    /// The value in TOML, as `config show` prints it.
    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Integer(number) => grouped(*number),
            Self::Bytes(number) => format!("\"{}\"", show_bytes(*number)),
            Self::Path(path) => toml::Value::from(path.to_string_lossy().into_owned()).to_string(),
            // JSON's texts, lists and flags are TOML's too.
            other => other.to_json().to_string().replace("\",\"", "\", \""),
        }
    }
}
