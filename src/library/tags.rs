//! Use cases around tags.

use std::collections::{BTreeMap, HashSet};

use unicode_normalization::UnicodeNormalization;

use super::model::{Seq, Slug, Tag};
use super::rights::Caller;
use super::{Error, Result, names, seen, store};
use crate::app::App;
use crate::db::Tx;

/// The most tags that a media may have.
pub const TAGS_MAX: usize = 100;

/// The longest name of a tag, in characters.
const NAME_CHARS_MAX: usize = 100;

/// The name of a tag as people typed it, brought into the one form in which it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TagName {
    name: String,
    folded: String,
}

impl TagName {
    /// Reads a name: NFC, single spaces, 1 to 100 characters that can be seen.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let name: String = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
        // What a tag is called may be read like a file's name, but it may hold slashes.
        let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
            && names::file_name(&format!("_{}", name.replace(['/', '\\'], "-"))).is_ok();
        if !fits {
            return Err(Error::BadTag);
        }
        Ok(Self { folded: names::fold(&name), name })
    }

    /// Reads several, each once.
    pub(super) fn parse_all(texts: &[String]) -> Result<TagNames> {
        let mut names = BTreeMap::new();
        for text in texts {
            let name = Self::parse(text)?;
            names.entry(name.folded.clone()).or_insert(name);
        }
        if names.len() > TAGS_MAX {
            return Err(Error::TooManyTags { most: TAGS_MAX });
        }
        Ok(TagNames(names.into_values().collect()))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn folded(&self) -> &str {
        &self.folded
    }

    pub(super) fn ensure_in(&self, tx: &Tx<'_>) -> Result<Seq> {
        Ok(store::tags::ensure(tx, &self.name, &self.folded)?)
    }

    /// Gives a tag this name.
    pub(super) fn give_to(&self, tx: &Tx<'_>, tag: Seq) -> Result<()> {
        Ok(store::tags::rename(tx, tag, &self.name, &self.folded)?)
    }
}

/// Names of tags, each once.
#[derive(Debug, Clone)]
pub(super) struct TagNames(Vec<TagName>);

impl TagNames {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes these the tags of a media; whether that is a change.
    pub(super) fn set_in(&self, tx: &Tx<'_>, media: Seq) -> Result<bool> {
        let wanted = self.0.iter().map(|name| name.ensure_in(tx)).collect::<Result<HashSet<_>>>()?;
        let present: HashSet<Seq> = store::tags::of_media(tx, media)?.into_iter().collect();
        for tag in present.difference(&wanted) {
            store::tags::take(tx, media, *tag)?;
        }
        for tag in wanted.difference(&present) {
            store::tags::give(tx, media, *tag)?;
        }
        let changed = wanted != present;
        if changed {
            store::tags::note(tx, media)?;
        }
        Ok(changed)
    }

    /// Adds them to those of a media; whether that is a change.
    pub(super) fn add_in(&self, tx: &Tx<'_>, media: Seq) -> Result<bool> {
        let present: HashSet<Seq> = store::tags::of_media(tx, media)?.into_iter().collect();
        let mut count = present.len();
        for name in &self.0 {
            let tag = name.ensure_in(tx)?;
            if !present.contains(&tag) {
                store::tags::give(tx, media, tag)?;
                count += 1;
            }
        }
        if count > TAGS_MAX {
            return Err(Error::TooManyTags { most: TAGS_MAX });
        }
        let changed = count != present.len();
        if changed {
            store::tags::note(tx, media)?;
        }
        Ok(changed)
    }

    /// Takes them from a media; whether that is a change.
    pub(super) fn remove_in(&self, tx: &Tx<'_>, media: Seq) -> Result<bool> {
        let present = store::tags::of_media(tx, media)?;
        let mut changed = false;
        for name in &self.0 {
            if let Some(tag) = store::tags::find(tx, &name.folded)?.filter(|tag| present.contains(tag)) {
                store::tags::take(tx, media, tag)?;
                changed = true;
            }
        }
        if changed {
            store::tags::note(tx, media)?;
        }
        Ok(changed)
    }
}

/// Tags by name with the media that have them and that the caller sees, the trash not counted: those whose name contains a
/// text, of a bucket if one is named, at most `rows`, those after a folded name.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Db`].
pub async fn list_tags(
    app: &App,
    caller: impl Into<Caller>,
    bucket: Option<Slug>,
    text: &str,
    after: Option<String>,
    rows: usize,
) -> Result<Vec<Tag>> {
    let (caller, text) = (caller.into(), names::fold(text.trim()));
    app.db
        .read(move |conn| {
            let buckets = seen(conn, caller, bucket.as_ref())?;
            Ok(store::tags::list(conn, &buckets, &text, after.as_deref().unwrap_or(""), rows)?)
        })
        .await
}

/// Where a tag stands in a list.
pub(super) fn tag_position(tag: &Tag) -> String {
    names::fold(&tag.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_tag_are_one() {
        let tags = ["Beach", " beach ", "summer   house", "Ünder/way"].map(str::to_owned);
        let names = TagName::parse_all(&tags).unwrap();
        let names: Vec<_> = names.0.iter().map(|name| name.name.as_str()).collect();
        assert_eq!(names, ["Beach", "summer house", "Ünder/way"]);
        for bad in ["", "  ", "a\u{202e}b", "a\0b", &"x".repeat(101)] {
            assert!(TagName::parse(bad).is_err(), "{bad:?}");
        }
        let many: Vec<String> = (0..101).map(|number| number.to_string()).collect();
        assert!(matches!(TagName::parse_all(&many), Err(Error::TooManyTags { .. })));
    }
}
