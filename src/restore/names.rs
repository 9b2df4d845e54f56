//! What pictures are called that are made of others. No I/O.

use crate::library::SEGMENT_BYTES_MAX;

/// The name of the `number`-th picture that was restored from one named `original`.
pub(super) fn rendition_name(original: &str, extension: &str, number: u32) -> String {
    let mark = if number > 1 { format!("restored {number}") } else { "restored".into() };
    marked_name(original, &mark, extension)
}

/// A name with a mark in brackets behind it.
pub(super) fn marked_name(original: &str, mark: &str, extension: &str) -> String {
    with_end(stem(original), &format!(" ({mark}).{extension}"))
}

/// A name without its extension.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// A name and its end; the name is cut so that both fit.
pub(super) fn with_end(name: &str, end: &str) -> String {
    let mut length = name.len().min(SEGMENT_BYTES_MAX.saturating_sub(end.len()));
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{end}", name[..length].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_the_original() {
        assert_eq!(rendition_name("Oma 1931.jpg", "jpg", 1), "Oma 1931 (restored).jpg");
        assert_eq!(rendition_name("scan.old.tif", "tif", 3), "scan.old (restored 3).tif");
        assert_eq!(rendition_name("noname", "png", 1), "noname (restored).png");
        assert_eq!(rendition_name(".hidden", "png", 1), ".hidden (restored).png");
        let long = rendition_name(&format!("{}.jpg", "ä".repeat(125)), "jpg", 12);
        assert!(long.len() <= 255 && long.ends_with("ä (restored 12).jpg"), "{long}");
    }
}
