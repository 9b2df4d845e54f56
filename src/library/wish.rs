//! What rendering an address asks for: none, one that has a name, or one of its own.

use crate::imaging::{BadTransform, Transform};

/// A rendering that is asked for, before a name is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The bytes themselves.
    Original,
    /// A rendering that has a name.
    Preset(String),
    /// A rendering of the caller's own.
    Own(Transform),
}

impl Wish {
    /// Reads the parameters of a query; foreign ones are ignored.
    ///
    /// # Errors
    /// [`BadTransform`] for a parameter that can't be read, and for a name beside parameters.
    pub fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Result<Self, BadTransform> {
        let mut names = pairs.clone().filter(|(name, _)| *name == "preset").map(|(_, value)| value);
        let refuse = |why: &str| Err(BadTransform { parameter: "preset", why: why.to_owned() });
        match (names.next(), Transform::parse(pairs)?) {
            (Some(_), _) if names.next().is_some() => refuse("It is given more than once."),
            (Some(_), Some(_)) => {
                refuse("It can't be combined with other parameters: name it or describe it.")
            }
            (Some(name), None) => Ok(Self::Preset(name.to_owned())),
            (None, Some(transform)) => Ok(Self::Own(transform)),
            (None, None) => Ok(Self::Original),
        }
    }

    /// Does the same with what somebody wrote down to be signed or named, in which nothing foreign may stand.
    ///
    /// # Errors
    /// As [`Wish::read`], and for a parameter that does not exist.
    pub fn read_strictly(pairs: &[(String, String)]) -> Result<Self, BadTransform> {
        let both = || pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let foreign = both().find(|(name, _)| *name != "preset" && !is_parameter(name));
        if let Some((name, _)) = foreign {
            let name: String = name.chars().take(40).collect();
            return Err(BadTransform {
                parameter: "transform",
                why: format!("There is no parameter {name:?}."),
            });
        }
        Self::read(both())
    }

    /// The one spelling, as the parameters of an address and as what is signed. Empty only for the original.
    pub fn canonical(&self) -> String {
        match self {
            Self::Original => String::new(),
            Self::Preset(name) => format!("preset={}", super::signed::escaped(name, b"")),
            Self::Own(transform) => {
                let text = transform.canonical();
                // The usual rendering has nothing to say, but an address without parameters means the original.
                if text.is_empty() { "format=auto".to_owned() } else { text }
            }
        }
    }
}

/// Whether a transform has a parameter of this name: then at most its value is wrong.
fn is_parameter(name: &str) -> bool {
    let read = format!("{name}=").parse::<Transform>();
    !name.contains('&') && read.is_err_and(|e| e.parameter == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Wish, BadTransform> {
        Wish::read(text.split('&').map(|part| part.split_once('=').unwrap_or((part, ""))))
    }

    #[test]
    fn a_wish_has_one_spelling_and_is_never_mistaken_for_another() {
        for (text, canonical) in [
            ("v=1&download=1", ""),
            ("preset=hero", "preset=hero"),
            ("preset=a/b c", "preset=a%2Fb%20c"),
            ("w=5&format=auto", "w=5"),
            ("q=80", "format=auto"),
            ("dpr=2", "format=auto"),
        ] {
            let wish = read(text).unwrap();
            assert_eq!(wish.canonical(), canonical, "{text}");
        }
        for (text, parameter) in [("preset=a&preset=a", "preset"), ("preset=a&w=5", "preset"), ("w=x", "w")] {
            assert_eq!(read(text).unwrap_err().parameter, parameter);
        }
        let strict = |name: &str| Wish::read_strictly(&[(name.to_owned(), "1".to_owned())]);
        assert!(strict("w").is_ok() && strict("preset").is_ok());
        assert!(strict("width").is_err() && strict("v").is_err() && strict("w&h").is_err());
    }
}
