//! Sites whose pages may read answers from here.

use serde::{Serialize, Serializer};

use super::value::PublicUrl;

/// The most sites in a list.
const ORIGINS_MAX: usize = 50;

/// Sites whose pages may read answers from here (Fetch, 3.3): exact origins such as `https://example.org`, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebOrigins(Vec<String>);

impl WebOrigins {
    /// Reads what somebody typed, into the spelling of browsers: small letters, no path, no port that the scheme has anyway.
    /// A single `*` means all sites.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the first one that is.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut origins = Vec::new();
        for text in texts {
            let origin = origin(text.trim())?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        if origins.len() > ORIGINS_MAX {
            return Err(format!("these are more than {ORIGINS_MAX} origins"));
        }
        if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
            return Err("\"*\" stands for all sites and needs no other origin beside it".to_owned());
        }
        Ok(Self(origins))
    }

    /// Whether no site may.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every site may.
    pub fn is_any(&self) -> bool {
        self.0.iter().any(|origin| origin == "*")
    }

    /// Whether a site may, which is named as browsers do it.
    pub fn allow(&self, origin: &str) -> bool {
        self.is_any() || self.0.iter().any(|allowed| allowed == origin)
    }

    /// The origins, or a single `*`.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    if rest.trim_end_matches('/').contains('/') {
        return Err(format!("{shown:?} has a path; an origin is a scheme, a host and perhaps a port"));
    }
    if text.contains('*') {
        return Err(format!("{shown:?} has a *, which stands only alone and for all sites"));
    }
    Ok(PublicUrl::parse(text)?.to_string())
}

impl Serialize for WebOrigins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_spell_them() {
        let typed =
            [" HTTPS://Example.org/ ", "https://example.org:443", "http://[::1]:5173", "http://localhost"];
        let origins = WebOrigins::parse(typed).unwrap();
        assert_eq!(origins.as_slice(), ["https://example.org", "http://[::1]:5173", "http://localhost"]);
        assert!(origins.allow("https://example.org") && !origins.is_any());
        for other in
            ["http://example.org", "https://example.org.evil.example", "https://a.example.org", "null", ""]
        {
            assert!(!origins.allow(other), "{other}");
        }
        assert!(WebOrigins::parse(["*"]).unwrap().allow("null"));
        assert!(WebOrigins::parse([]).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for bad in [
            "",
            "example.org",
            "ftp://example.org",
            "https://",
            "https://example.org/a",
            "https://*.example.org",
            "null",
            "https://user@example.org",
            "https://exa mple.org",
            "https://münchen.example",
            "https://example.org:0",
            "https://example.org?x",
            "*.example.org",
            "https://a\r\nb",
        ] {
            assert!(WebOrigins::parse([bad]).is_err(), "{bad:?}");
        }
        assert!(WebOrigins::parse(["*", "https://example.org"]).is_err());
        let many: Vec<String> = (0..51).map(|n| format!("https://s{n}.example")).collect();
        assert!(WebOrigins::parse(many.iter().map(String::as_str)).is_err());
    }
}
