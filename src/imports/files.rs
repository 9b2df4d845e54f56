//! Paths as other programs have written them down, and what they may lead to.

use std::fs;
use std::path::{Path, PathBuf};

/// The part of a written path below one of the program's folders, such as `uploads`: segments with `/` between them.
/// It may be written from that folder on, from the folder above it, as an address, or as it was on another machine.
///
/// # Errors
/// A sentence, when it leads nowhere or out of the folder.
pub(super) fn below(written: &str, folder: &str) -> Result<String, &'static str> {
    if written.contains('\0') {
        return Err("its path is damaged");
    }
    let segments: Vec<&str> =
        written.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    if segments.contains(&"..") {
        return Err("its path leads out of the folder, so it is not followed");
    }
    let rest = if written.starts_with('/') {
        let folder = segments.iter().position(|segment| *segment == folder);
        folder
            .map(|at| &segments[at + 1..])
            .ok_or("its path leads out of the folder, so it is not followed")?
    } else {
        match segments.as_slice() {
            [first, rest @ ..] if *first == folder => rest,
            ["data", second, rest @ ..] if *second == folder => rest,
            all => all,
        }
    };
    if rest.is_empty() { Err("its path is missing") } else { Ok(rest.join("/")) }
}

/// The file at a path below a folder. No link on the way is followed: it may lead out of the folder.
///
/// # Errors
/// A sentence.
pub(super) fn find(folder: &Path, relative: &str) -> Result<PathBuf, String> {
    let mut path = folder.to_owned();
    let mut is_file = false;
    for segment in relative.split('/') {
        path.push(segment);
        let found = fs::symlink_metadata(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                "there is no such file".to_owned()
            }
            _ => e.to_string(),
        })?;
        if found.is_symlink() {
            return Err("a link stands there, which is not followed".into());
        }
        is_file = found.is_file();
    }
    if is_file { Ok(path) } else { Err("it is no file".into()) }
}

/// The folders below a folder in which nothing lies. Links are not followed; what can't be read is passed over, for
/// whoever looks for files complains of it.
pub(super) fn empty_folders(folder: &Path) -> Vec<PathBuf> {
    let mut empty = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut is_empty = true;
        for entry in entries.flatten() {
            is_empty = false;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
        if is_empty {
            empty.push(folder);
        }
    }
    empty.sort_unstable();
    empty
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_in_every_spelling_and_never_lead_out() {
        for (written, expected) in [
            ("a/b.jpg", "a/b.jpg"),
            ("./a//b.jpg", "a/b.jpg"),
            ("uploads/a/b.jpg", "a/b.jpg"),
            ("data/uploads/a/b.jpg", "a/b.jpg"),
            ("./data/uploads/a/b.jpg", "a/b.jpg"),
            ("/uploads/a/b.jpg", "a/b.jpg"),
            ("/app/data/uploads/a/b.jpg", "a/b.jpg"),
            ("data/other/b.jpg", "data/other/b.jpg"),
        ] {
            assert_eq!(below(written, "uploads").as_deref(), Ok(expected), "{written}");
        }
        for bad in
            ["", "/", "uploads", "../x", "a/../../x", "uploads/../x", "/etc/passwd", "/uploads/../x", "a\0b"]
        {
            assert!(below(bad, "uploads").is_err(), "{bad}");
        }
    }
}
