//! The storage folder of a bucket manager: each folder in it is a bucket, everything below has its path as its key.
//!
//! Keys stay what they are, so that `/storage/{bucket}/{path}` goes on working. Where a name has to change, because an
//! address here has fewer letters or a key one spelling only, the old address leads to the new one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, stream};

use super::{AT_ONCE, Error, Report, Result, Step, Taker, Watch, explain, files, people};
use crate::app::App;
use crate::audit::Actor;
use crate::library::{
    self, BucketAccess, Destination, FromDisk, Media, NewBucket, OldAddress, OnConflict, Slug, Visibility,
};
use crate::storage;
use crate::uploads;

/// Where everything lies, and what becomes of it.
#[derive(Debug, Clone)]
pub struct BucketManager {
    /// The folder whose folders are buckets.
    pub root: PathBuf,
    /// Buckets that everybody may see, by the names of their folders or by their new slugs; the others are private.
    pub public: Vec<String>,
    /// Who may use the buckets that are made.
    pub access: BucketAccess,
    /// A list of people, as [`super::table`] reads it.
    pub users: Option<PathBuf>,
    /// Whether bytes are shared instead of copied, where the file system can.
    pub link: bool,
}

/// A folder that becomes a bucket.
struct Folder {
    name: String,
    slug: Slug,
    path: PathBuf,
}

/// A file that is to come in.
struct Incoming {
    path: PathBuf,
    /// Its path in the bucket as it was.
    was: String,
    folder: String,
    name: String,
    key: String,
}

/// Brings everything in.
///
/// # Errors
/// [`Error`] when nothing could be read at all or our own database fails.
pub async fn import_bucket_manager(app: &App, from: &BucketManager, watch: Watch<'_>) -> Result<Report> {
    let mut report = Report::default();
    let plan = from.clone();
    let read = move || {
        let people = plan.users.as_deref().map(people::read).transpose()?;
        let mut found = Report::default();
        let folders = folders_of(&plan.root, &mut found)?;
        for name in &plan.public {
            if !folders.iter().any(|folder| folder.is_called(name)) {
                let known: Vec<_> = folders.iter().map(|folder| folder.name.as_str()).collect();
                return Err(Error::NoSuchFolder { name: name.clone(), known: known.join(", ") });
            }
        }
        Ok::<_, Error>((people.unwrap_or_default(), folders, found))
    };
    let (people, folders, found) = tokio::task::spawn_blocking(read).await.map_err(Error::Task)??;
    report.notes.extend(found.notes);
    for complaint in found.failed {
        report.fail(watch, complaint.what, complaint.why);
    }
    people::add(app, &people, watch, &mut report).await?;
    for folder in folders {
        let taker = ensure_bucket(app, from, &folder, &mut report).await?;
        let slug = taker.slug.clone();
        report.buckets.push(taker);
        take_bucket(app, from, &folder, &slug, watch, &mut report).await?;
    }
    Ok(report)
}

impl Folder {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.slug.as_str() == name
    }
}

/// The folders of the storage in the order of their names, each with the slug that it shall have. Blocks.
fn folders_of(root: &Path, found: &mut Report) -> Result<Vec<Folder>> {
    let unreadable = |source| Error::Unreadable { path: root.to_owned(), source };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let shown = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        match entry.file_name().into_string() {
            Ok(name) if is_folder && name.trim_matches(['.', '_']).eq_ignore_ascii_case("quarantine") => {
                found.note(name, "what lies in quarantine was left out");
            }
            Ok(name) if is_folder && (name.starts_with('.') || name == "lost+found") => {
                found.note(name, "this is no bucket and was left out");
            }
            Ok(name) if is_folder => drop(names.insert(name)),
            Ok(name) => found.failed.push(super::Complaint {
                what: name,
                why: "it lies in no bucket and is no folder: only folders become buckets".into(),
            }),
            Err(_) => {
                let why = "its name is not UTF-8".to_owned();
                found.failed.push(super::Complaint { what: shown, why });
            }
        }
    }
    // Those that can keep their names get them before others that would become the same.
    let mut taken: BTreeSet<String> =
        names.iter().filter(|name| Slug::parse(name).is_ok()).cloned().collect();
    let mut folders = Vec::new();
    for name in names {
        let slug = match Slug::parse(&name) {
            Ok(slug) => slug,
            Err(_) => slugs(&name)
                .find(|slug| taken.insert(slug.as_str().to_owned()))
                .ok_or(library::Error::BadSlug)?,
        };
        folders.push(Folder { path: root.join(&name), name, slug });
    }
    Ok(folders)
}

/// Slugs that a name can become, the likest first.
fn slugs(name: &str) -> impl Iterator<Item = Slug> {
    let mut stem = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            stem.push(c);
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
    }
    stem.truncate(56);
    let stem = stem.trim_matches('-').to_owned();
    let stem = if stem.len() < 3 { format!("bucket-{stem}").trim_end_matches('-').to_owned() } else { stem };
    (1..1000).filter_map(move |number| {
        let text = if number == 1 { stem.clone() } else { format!("{stem}-{number}") };
        Slug::parse(&text).ok()
    })
}

/// Finds the bucket of a folder, or makes it.
async fn ensure_bucket(
    app: &App,
    from: &BucketManager,
    folder: &Folder,
    report: &mut Report,
) -> Result<Taker> {
    let is_public = from.public.iter().any(|name| folder.is_called(name));
    let visibility = if is_public { Visibility::Public } else { Visibility::Private };
    let (name, wanted, access) = (folder.name.clone(), folder.slug.clone(), from.access);
    let (bucket, note) = app
        .db
        .write(move |tx| {
            if let Some(bucket) = library::find_old_bucket_in(tx, &name)? {
                return Ok::<_, library::Error>((bucket, None));
            }
            let add = |slug: &Slug, title: Option<&str>| {
                let (slug, name) = (slug.as_str().to_owned(), title.map(str::to_owned));
                let new = NewBucket { slug, name, visibility: Some(visibility), access: Some(access) };
                library::add_bucket_in(tx, &Actor::cli(), &new)
            };
            let keeps_name = wanted.as_str() == name;
            let others: Vec<Slug> = if keeps_name { Vec::new() } else { slugs(&name).collect() };
            let mut made = None;
            for slug in std::iter::once(&wanted).chain(&others) {
                made = match add(slug, Some(&name)) {
                    Err(library::Error::BadBucketName) => Some(add(slug, None)),
                    added => Some(added),
                };
                if !matches!(made, Some(Err(library::Error::SlugTaken))) {
                    break;
                }
            }
            let (bucket, note) = match made.unwrap_or(Err(library::Error::BadSlug)) {
                Err(library::Error::SlugTaken) if keeps_name => {
                    let bucket = library::find_bucket_in(tx, &wanted)?;
                    (bucket, Some("there was a bucket of this name: the files went into it".to_owned()))
                }
                made => {
                    let bucket = made?;
                    let note = (!keeps_name).then(|| {
                        format!("its address is /storage/{} now, and the old one leads there", bucket.slug)
                    });
                    (bucket, note)
                }
            };
            library::add_old_bucket_in(tx, &name, &bucket.slug)?;
            Ok((bucket, note))
        })
        .await?;
    if let Some(note) = note {
        report.note(format!("bucket {}", folder.name), note);
    }
    // What else is in it was not meant.
    if is_public && bucket.visibility != Visibility::Public {
        let note = "it stays as it is: open it yourself if everybody may see all that is in it";
        report.note(format!("bucket {}", folder.name), note.to_owned());
    }
    Ok(Taker { folder: Some(folder.name.clone()), slug: bucket.slug, visibility: bucket.visibility })
}

async fn take_bucket(
    app: &App,
    from: &BucketManager,
    folder: &Folder,
    bucket: &Slug,
    watch: Watch<'_>,
    report: &mut Report,
) -> Result<()> {
    let path = folder.path.clone();
    let walk = move || (uploads::files_below(&path, true), files::empty_folders(&path));
    let ((found, unreadable), empty) = tokio::task::spawn_blocking(walk).await.map_err(Error::Task)?;
    let label = |path: &Path| {
        let inner = path.strip_prefix(&from.root).unwrap_or(path);
        inner.to_string_lossy().into_owned()
    };
    for (path, why) in unreadable {
        report.fail(watch, label(&path), why);
    }
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for path in found {
        match incoming(&folder.path, path.clone()) {
            Ok(file) if file.key == file.was => same.push(file),
            Ok(file) => other.push(file),
            Err(why) => report.fail(watch, label(&path), why),
        }
    }
    watch(Step::Expect((same.len() + other.len()) as u64));
    // Those that keep their keys come first: then nothing else has taken one.
    for (files, keeps_key) in [(same, true), (other, false)] {
        let at_once = if keeps_key { AT_ONCE } else { 1 };
        let mut outcomes = stream::iter(files)
            .map(|file| async move {
                let outcome = if keeps_key {
                    take_file(app, from, bucket, &file).await
                } else {
                    take_renamed(app, from, &folder.name, bucket, &file).await
                };
                (file, outcome)
            })
            .buffer_unordered(at_once);
        while let Some((file, outcome)) = outcomes.next().await {
            watch(Step::Done);
            match outcome {
                Ok(Some(media)) => {
                    report.media.added += 1;
                    report.added_bytes += media.size_bytes;
                }
                Ok(None) => report.media.unchanged += 1,
                Err(error) if ends_all(&error) => return Err(error.into()),
                Err(error) => report.fail(watch, label(&file.path), explain(&error)),
            }
        }
    }
    for empty in empty {
        let inner = empty.strip_prefix(&folder.path).ok().and_then(Path::to_str).unwrap_or_default();
        if inner.is_empty() {
            continue;
        }
        match library::add_folder(app, &Actor::cli(), bucket, inner).await {
            Ok(_) => {}
            Err(error) if ends_all(&error) => return Err(error.into()),
            Err(error) => report.fail(watch, label(&empty), explain(&error)),
        }
    }
    Ok(())
}

/// Whether the next file would fare no better.
fn ends_all(error: &library::Error) -> bool {
    match error {
        library::Error::Db(_) => true,
        library::Error::Storage(e) => {
            !matches!(e, storage::Error::TooLarge { .. } | storage::Error::NotFound(_))
        }
        _ => false,
    }
}

/// Where a file of a bucket's folder goes.
fn incoming(root: &Path, path: PathBuf) -> Result<Incoming, String> {
    let was = path.strip_prefix(root).ok().and_then(Path::to_str).ok_or("its name is not UTF-8")?.to_owned();
    let (inner, name) = was.rsplit_once('/').unwrap_or(("", &was));
    let read = || {
        let (folder, name) = (library::folder(inner)?, library::file_name(name)?);
        let key = library::key(&folder, &name)?;
        Ok::<_, library::Error>((folder, name, key))
    };
    let (folder, name, key) = read().map_err(|e| explain(&e))?;
    Ok(Incoming { was, path, folder, name, key })
}

impl Incoming {
    fn to(&self, bucket: &Slug, on_conflict: OnConflict) -> Destination {
        Destination {
            bucket: Some(bucket.clone()),
            folder: self.folder.clone(),
            name: self.name.clone(),
            on_conflict,
        }
    }
}

/// Takes a file in that keeps its key; none when it is here already. What has changed since is a new version.
async fn take_file(
    app: &App,
    from: &BucketManager,
    bucket: &Slug,
    file: &Incoming,
) -> library::Result<Option<Media>> {
    if let Some(existing) = library::find_by_key(app, bucket, &file.key).await?
        && library::is_same(&existing, &file.path).await?
    {
        return Ok(None);
    }
    let disk = FromDisk { file: &file.path, share: from.link, modified_at: None, old_address: None };
    let to = file.to(bucket, OnConflict::Replace);
    library::add_file_from(app, &Actor::cli(), to, disk).await.map(Some)
}

/// Takes a file in whose key can't stay what it was, and has its old address lead to it.
async fn take_renamed(
    app: &App,
    from: &BucketManager,
    old_bucket: &str,
    bucket: &Slug,
    file: &Incoming,
) -> library::Result<Option<Media>> {
    let old = format!("storage/{old_bucket}/{}", file.was);
    let disk = FromDisk { file: &file.path, share: from.link, modified_at: None, old_address: Some(&old) };
    if let Some(OldAddress { media, .. }) = library::find_old_address(app, &old).await? {
        let media = app.db.read(move |conn| library::get_in(conn, media)).await?;
        if library::is_same(&media, &file.path).await? {
            return Ok(None);
        }
        let to = Destination {
            bucket: Some(media.bucket),
            folder: media.folder,
            name: media.name,
            on_conflict: OnConflict::Replace,
        };
        return library::add_file_from(app, &Actor::cli(), to, disk).await.map(Some);
    }
    library::add_file_from(app, &Actor::cli(), file.to(bucket, OnConflict::Rename), disk).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_an_address_of_its_own() {
        let first = |name: &str| slugs(name).next().unwrap().as_str().to_owned();
        for (name, expected) in [
            ("Holiday Pictures", "holiday-pictures"),
            ("a_b.c", "a-b-c"),
            ("ab", "bucket-ab"),
            ("日本", "bucket"),
            ("--x--", "bucket-x"),
            (&"Y".repeat(90), &"y".repeat(56)),
        ] {
            assert_eq!(first(name), expected, "{name}");
        }
        assert_eq!(slugs("日本").nth(1).unwrap().as_str(), "bucket-2");
    }
}
