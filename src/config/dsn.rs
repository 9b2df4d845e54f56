//! Where errors are reported: the address that Sentry calls a DSN.

use super::value::PublicUrl;

/// `https://KEY@host/path/PROJECT`, taken apart. `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    /// Scheme, host and path, without a slash at the end.
    base: String,
    key: String,
    project: String,
}

impl std::fmt::Debug for Dsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dsn").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Dsn {
    /// Reads a DSN. The secret half of old ones is left out: nobody asks for it any more.
    ///
    /// # Errors
    /// A clause that says what is wrong, without the DSN.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const NOT: &str = "this is not a DSN such as https://KEY@sentry.example.org/1";
        let (scheme, rest) = text.trim().split_once("://").ok_or(NOT)?;
        let (keys, rest) = rest.split_once('@').ok_or(NOT)?;
        let key = keys.split(':').next().unwrap_or_default();
        let (rest, project) = rest.trim_end_matches('/').rsplit_once('/').ok_or(NOT)?;
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
        let word =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let path_is_plain = path.split('/').all(word);
        if key.is_empty() || project.is_empty() || !word(key) || !word(project) || !path_is_plain {
            return Err(NOT);
        }
        let origin = PublicUrl::parse(&format!("{scheme}://{host}")).map_err(|_| NOT)?;
        let base = if path.is_empty() { origin.to_string() } else { format!("{origin}/{path}") };
        Ok(Self { base, key: key.to_owned(), project: project.to_owned() })
    }

    /// The key that says which project reports; it may be known to others.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The DSN without what nobody needs.
    pub fn public(&self) -> String {
        let (scheme, rest) = self.base.split_once("://").unwrap_or(("https", &self.base));
        format!("{scheme}://{}@{rest}/{}", self.key, self.project)
    }

    /// Where envelopes go.
    pub fn envelope_url(&self) -> String {
        format!("{}/api/{}/envelope/", self.base, self.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_is_taken_apart() {
        let dsn = Dsn::parse(" https://key:secret@O1.example.org:8443/7/ ").unwrap();
        assert_eq!(dsn.envelope_url(), "https://o1.example.org:8443/api/7/envelope/");
        assert_eq!(dsn.public(), "https://key@o1.example.org:8443/7");
        assert!(!format!("{dsn:?}").contains("key"));
        for bad in [
            "",
            "x",
            "https://host/1",
            "https://@host/1",
            "https://k@host",
            "ftp://k@h/1",
            "https://k@h o/1",
            "https://k@h/a b/1",
            "https://k@/1",
        ] {
            assert!(Dsn::parse(bad).is_err(), "{bad}");
        }
    }
}
