//! Names as people type them, brought into the one form in which they are stored.
//!
//! A folder is segments with `/` between them, a key is folder, `/` and name. None of them is ever a path on disk.

use unicode_normalization::UnicodeNormalization;

use super::Error;

/// The longest segment in bytes: what file systems and archives can take when the library is exported.
pub const SEGMENT_BYTES_MAX: usize = 255;

/// The longest key in bytes: what S3 allows.
pub const KEY_BYTES_MAX: usize = 1024;

/// Reads the name of a file.
///
/// # Errors
/// [`Error::BadName`] says what is wrong with it.
pub fn file_name(text: &str) -> Result<String, Error> {
    segment(text)
}

/// Reads the path of a folder; empty is the top. Slashes at the ends don't count.
///
/// # Errors
/// [`Error::BadName`] says which segment is wrong and how.
pub fn folder(text: &str) -> Result<String, Error> {
    let trimmed = text.trim().trim_matches('/');
    if trimmed.is_empty() {
        return Ok(String::new());
    }
    let segments = trimmed.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
    let path = segments.join("/");
    if path.len() > KEY_BYTES_MAX - 2 {
        return Err(bad(&path, "The folder's path is longer than 1,022 bytes."));
    }
    Ok(path)
}

/// Joins folder and name.
///
/// # Errors
/// [`Error::BadName`] when the whole is longer than a key may be.
pub fn key(folder: &str, name: &str) -> Result<String, Error> {
    let key = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    if key.len() > KEY_BYTES_MAX {
        return Err(bad(name, "Folder and name together are longer than 1,024 bytes."));
    }
    Ok(key)
}

/// The form in which a name is sorted and searched.
pub(super) fn fold(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).collect()
}

/// `photo.jpg` as the `number`th of its name: `photo (2).jpg`. The stem is cut where the whole would be too long.
pub(super) fn numbered(name: &str, number: usize, max_bytes: usize) -> String {
    let (stem, extension) = split(name);
    let suffix = format!(" ({number})");
    let max_bytes = max_bytes.min(SEGMENT_BYTES_MAX);
    // An extension that leaves no room for the number is no extension.
    let (stem, extension) =
        if extension.len() + suffix.len() < max_bytes { (stem, extension) } else { (name, "") };
    let room = max_bytes.saturating_sub(suffix.len() + extension.len());
    let end = (0..=stem.len().min(room)).rev().find(|end| stem.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{suffix}{extension}", stem[..end].trim_end())
}

/// What stands before the number of every [`numbered`] form of a name.
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

fn segment(text: &str) -> Result<String, Error> {
    let name: String = text.trim().nfc().collect();
    let why = if name.is_empty() {
        "The name is empty."
    } else if name == "." || name == ".." {
        "The names “.” and “..” mean folders."
    } else if name.contains(['/', '\\']) {
        "The name contains a slash."
    } else if name.contains(char::is_control) {
        "The name contains control characters."
    } else if name.contains(is_deceptive) {
        "The name contains characters that can't be seen, or that turn the text around."
    } else if name.len() > SEGMENT_BYTES_MAX {
        "The name is longer than 255 bytes."
    } else {
        return Ok(name);
    };
    Err(bad(&name, why))
}

/// Characters with which one name can look like another. The joiners (U+200C, U+200D) are none: Persian and family
/// emoji are written with them.
const fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'
    )
}

fn bad(name: &str, why: &'static str) -> Error {
    // What is shown may not play the trick that it warns of.
    let shown: String = name.chars().filter(|c| !c.is_control() && !is_deceptive(*c)).take(80).collect();
    Error::BadName { name: shown, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_nfc_and_lose_outer_space() {
        assert_eq!(file_name(" Cafe\u{301}.jpg ").unwrap(), "Caf\u{e9}.jpg");
        assert_eq!(file_name("..hidden").unwrap(), "..hidden");
        assert_eq!(file_name("\u{1f468}\u{200d}\u{1f469}.png").unwrap(), "\u{1f468}\u{200d}\u{1f469}.png");
        assert_eq!(folder("/a//".trim_end_matches('/')).unwrap(), "a");
        assert_eq!(folder("  ").unwrap(), "");
        assert_eq!(folder("Trip/ Day 1 /x").unwrap(), "Trip/Day 1/x");
    }

    #[test]
    fn tricks_are_refused() {
        let long = "x".repeat(256);
        for bad in [
            "",
            " ",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            "evil\u{202e}gpj.exe",
            "a\u{200b}b",
            &long,
        ] {
            assert!(file_name(bad).is_err(), "{bad:?}");
        }
        for bad in ["a/../b", "../a", "a//b", "./a", "a/\u{2066}b"] {
            assert!(folder(bad).is_err(), "{bad:?}");
        }
        assert!(file_name(&"x".repeat(255)).is_ok());
        assert!(file_name(&"é".repeat(128)).is_err());
        assert!(folder(&["x".repeat(200).as_str(); 6].join("/")).is_err());
        assert!(key(&["x".repeat(250).as_str(); 4].join("/"), &"y".repeat(20)).is_ok());
        assert!(key(&["x".repeat(250).as_str(); 4].join("/"), &"y".repeat(21)).is_err());
    }

    #[test]
    fn numbers_go_before_the_extension_and_names_stay_short() {
        assert_eq!(numbered("photo.jpg", 2, 255), "photo (2).jpg");
        assert_eq!(numbered("archive.tar.gz", 3, 255), "archive.tar (3).gz");
        assert_eq!(numbered(".profile", 2, 255), ".profile (2)");
        let long = numbered(&format!("{}.jpg", "é".repeat(125)), 2, 255);
        assert!(long.len() <= 255 && long.ends_with("é (2).jpg"), "{long}");
        let odd = numbered(&format!("a.{}", "b".repeat(253)), 2, 255);
        assert!(odd.len() <= 255 && odd.ends_with(" (2)"), "{odd}");
    }
}
