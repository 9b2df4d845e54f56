//! The data directory of a restoration app: a database, the folder `uploads` with originals and the folder `processed`
//! with what models made of them.
//!
//! An original becomes a media in a folder for its visit, under the name that it had when it was uploaded. Each picture
//! made from it becomes a rendition with model, parameters, time and person. Whether the model drew in it nobody knows.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::store::{Processed, Session};
use super::{AT_ONCE, Error, Report, Result, Step, Taker, Watch, explain, files, people, store};
use crate::app::App;
use crate::audit::{Actor, UserId};
use crate::clock::Timestamp;
use crate::library::{
    self, BucketAccess, Destination, FromDisk, MadeElsewhere, Media, MediaId, NewBucket, NewRendition,
    OldAddress, OnConflict, Slug, VersionId,
};

/// The name of its database.
const DATABASE: &str = "photo_restoration.db";

/// Where everything lies, and where it goes.
#[derive(Debug, Clone)]
pub struct RestorationApp {
    /// The folder with the database, or the one above it.
    pub dir: PathBuf,
    /// The bucket that takes the pictures; it is made if it is missing.
    pub bucket: Slug,
    /// Who may use the bucket, if it is made.
    pub access: BucketAccess,
    /// Whether bytes are shared instead of copied, where the file system can.
    pub link: bool,
}

/// Brings everything in.
///
/// # Errors
/// [`Error`] when nothing could be read at all or our own database fails.
pub async fn import_restoration_app(app: &App, from: &RestorationApp, watch: Watch<'_>) -> Result<Report> {
    let (dir, scratch) = (from.dir.clone(), app.config.data_dir.clone());
    let read = move || {
        let dir = data_folder(&dir)?;
        Ok::<_, Error>((store::read(&dir.join(DATABASE), &scratch)?, dir))
    };
    let (contents, dir) = tokio::task::spawn_blocking(read).await.map_err(Error::Task)??;
    let mut report = Report::default();
    for complaint in contents.failed {
        report.fail(watch, complaint.what, complaint.why);
    }
    let known = people::add(app, &contents.people, watch, &mut report).await?;
    let names = contents.people.iter().filter_map(|person| {
        Some((person.id.clone()?, person.names.last().or(person.email.as_ref())?.clone()))
    });
    let bucket = ensure_bucket(app, from).await?;
    report.buckets.push(bucket.clone());
    let import = Import {
        app,
        from,
        dir: &dir,
        bucket: &bucket.slug,
        watch,
        users: known,
        names: names.collect(),
        turns: Turns::default(),
    };
    watch(Step::Expect(contents.processed.len() as u64));
    let sessions = contents.processed.chunk_by(|a, b| a.session == b.session);
    let mut parts = stream::iter(sessions.filter(|rows| rows[0].session.name.is_some()))
        .map(|session| import.take_session(session))
        .buffer_unordered(AT_ONCE);
    while let Some(part) = parts.next().await {
        report.take(part?);
    }
    // What belongs to no visit may have been taken in with one.
    let rest = contents.processed.chunk_by(|a, b| a.session == b.session);
    for rows in rest.filter(|rows| rows[0].session.name.is_none()) {
        report.take(import.take_session(rows).await?);
    }
    Ok(report)
}

fn data_folder(dir: &Path) -> Result<PathBuf> {
    let places = [dir.to_owned(), dir.join("data")];
    let found = places.into_iter().find(|place| place.join(DATABASE).is_file());
    let found = found.ok_or_else(|| Error::NoDatabase { dir: dir.to_owned() })?;
    found.canonicalize().map_err(|source| Error::Unreadable { path: found, source })
}

async fn ensure_bucket(app: &App, from: &RestorationApp) -> Result<Taker> {
    let (slug, access) = (from.bucket.clone(), from.access);
    let bucket = match library::get_bucket(app, &slug).await {
        Err(library::Error::NoSuchBucket) => {
            let new = NewBucket {
                slug: slug.as_str().to_owned(),
                name: (slug.as_str() == "restored-photos").then(|| "Restored photos".to_owned()),
                visibility: None,
                access: Some(access),
            };
            library::add_bucket(app, &Actor::cli(), new).await?
        }
        found => found?,
    };
    Ok(Taker { folder: None, slug: bucket.slug, visibility: bucket.visibility })
}

struct Import<'a> {
    app: &'a App,
    from: &'a RestorationApp,
    dir: &'a Path,
    bucket: &'a Slug,
    watch: Watch<'a>,
    /// Who of them is who here, and what they are called.
    users: HashMap<String, UserId>,
    names: HashMap<String, String>,
    turns: Turns,
}

/// Whose turn it is with a file: two visits may name the same one, and it comes in once.
#[derive(Default)]
struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    async fn take(&self, path: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(path.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

/// Why one picture could not be taken: a sentence, or a failure of ours that ends everything.
enum Refused {
    This(String),
    All(Error),
}

impl From<library::Error> for Refused {
    fn from(error: library::Error) -> Self {
        match error {
            library::Error::Db(e) => Self::All(e.into()),
            library::Error::Storage(ref e) if !is_about_one(e) => Self::All(error.into()),
            error => Self::This(explain(&error)),
        }
    }
}

/// Whether the next file may fare better.
fn is_about_one(error: &crate::storage::Error) -> bool {
    matches!(error, crate::storage::Error::TooLarge { .. } | crate::storage::Error::NotFound(_))
}

impl Import<'_> {
    /// Takes one picture after the other, so that two of the same name don't race for it.
    async fn take_session(&self, rows: &[Processed]) -> Result<Report> {
        let mut report = Report::default();
        let mut seen = HashSet::new();
        for row in rows {
            let label =
                format!("picture {} ({})", row.id, row.original_filename.as_deref().unwrap_or("no name"));
            match self.take(row, &mut seen, &mut report).await {
                Ok(()) => {}
                Err(Refused::This(why)) => report.fail(self.watch, label, why),
                Err(Refused::All(error)) => return Err(error),
            }
            (self.watch)(Step::Done);
        }
        Ok(report)
    }

    async fn take(
        &self,
        row: &Processed,
        seen: &mut HashSet<MediaId>,
        report: &mut Report,
    ) -> Result<(), Refused> {
        let written = row.original_path.as_deref().unwrap_or_default();
        let original =
            files::below(written, "uploads").map_err(|why| Refused::This(format!("{written}: {why}")))?;
        let old = format!("uploads/{original}");
        let _turn = self.turns.take(&old).await;
        let known = library::find_old_address(self.app, &old).await?;
        let (media, is_new) = match known {
            Some(OldAddress { media, .. }) => (media, false),
            None => {
                let file = self.find("uploads", &original)?;
                let (media, is_new) = self.add_original(row, &old, &file).await?;
                if is_new {
                    report.added_bytes += media.size_bytes;
                }
                (media.id, is_new)
            }
        };
        if seen.insert(media) {
            *(if is_new { &mut report.media.added } else { &mut report.media.unchanged }) += 1;
        }
        let Some(written) = row.processed_path.as_deref() else { return Ok(()) };
        let made =
            files::below(written, "processed").map_err(|why| Refused::This(format!("{written}: {why}")))?;
        let old = format!("processed/{made}");
        let _turn = self.turns.take(&old).await;
        if library::find_old_address(self.app, &old).await?.is_some() {
            report.renditions.unchanged += 1;
            return Ok(());
        }
        let file = self.find("processed", &made)?;
        report.added_bytes += self.add_made(row, media, &original, &made, &file).await?;
        report.renditions.added += 1;
        Ok(())
    }

    fn find(&self, folder: &str, relative: &str) -> Result<PathBuf, Refused> {
        let found = files::find(&self.dir.join(folder), relative);
        found.map_err(|why| Refused::This(format!("{folder}/{relative}: {why}")))
    }

    /// Takes an original in, or finds that it is here under its name; says whether it came now.
    async fn add_original(&self, row: &Processed, old: &str, file: &Path) -> Result<(Media, bool), Refused> {
        let (folder, name) = (folder_of(&row.session, row.created_at), name_of(row, file));
        let key = library::key(&folder, &name)?;
        if let Some(media) = library::find_by_key(self.app, self.bucket, &key).await?
            && library::is_same(&media, file).await?
        {
            let (id, old) = (media.id, old.to_owned());
            let to = OldAddress { media: id, rendition: None };
            self.app.db.write(move |tx| library::add_old_address_in(tx, &old, to)).await?;
            return Ok((media, false));
        }
        let to =
            Destination { bucket: Some(self.bucket.clone()), folder, name, on_conflict: OnConflict::Rename };
        let modified_at = row.created_at.or(row.session.created_at.map(Timestamp::from_millis));
        let from = FromDisk { file, share: self.from.link, modified_at, old_address: Some(old) };
        Ok((library::add_file_from(self.app, &Actor::cli(), to, from).await?, true))
    }

    /// Takes a picture in that was made from an original; returns its bytes.
    async fn add_made(
        &self,
        row: &Processed,
        media: MediaId,
        original: &str,
        made: &str,
        file: &Path,
    ) -> Result<u64, Refused> {
        let version = self.version_of(media, original).await?;
        let name = rendition_name(row, file);
        let from = FromDisk { file, share: self.from.link, modified_at: None, old_address: None };
        let arrived = library::receive_file(self.app, None, &name, from).await?;
        let size_bytes = arrived.size_bytes();
        let elsewhere = MadeElsewhere {
            at: row.created_at,
            by: row.session.user.as_ref().and_then(|user| self.users.get(user)).copied(),
        };
        let (provenance, old) = (self.provenance(row), format!("processed/{made}"));
        let written = self.app.db.write(move |tx| {
            let new = NewRendition {
                media,
                version,
                arrived: &arrived,
                restoration: None,
                name: &name,
                ai_generated: false,
                provenance: &provenance,
            };
            let added = library::add_rendition_made_elsewhere_in(tx, &Actor::cli(), &new, elsewhere)?;
            library::add_old_address_in(tx, &old, OldAddress { media, rendition: Some(added.id) })?;
            // The bytes' hold comes back after the commit.
            Ok::<_, library::Error>(arrived)
        });
        match written.await {
            Ok(_arrived) => Ok(size_bytes),
            Err(library::Error::NotAPicture) => {
                Err(Refused::This(format!("processed/{made}: this is not a picture that can be read")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The content that a picture was made from. Somebody may have given the media another one since it came here.
    async fn version_of(&self, media: MediaId, original: &str) -> Result<VersionId, Refused> {
        let now = self.app.db.read(move |conn| library::get_in(conn, media)).await?;
        let is_same = match files::find(&self.dir.join("uploads"), original) {
            Ok(file) => library::is_same(&now, &file).await?,
            Err(_) => now.versions == 1,
        };
        if is_same {
            return Ok(now.version_id);
        }
        let versions = library::list_versions(self.app, &Actor::cli(), media, None, 1000).await?;
        Ok(versions.last().map_or(now.version_id, |oldest| oldest.id))
    }

    fn provenance(&self, row: &Processed) -> Value {
        let parameters = row
            .parameters
            .as_deref()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())));
        let user = row.session.user.as_ref();
        json!({
            "engine": "elsewhere",
            "preset": null,
            "steps": [],
            "made_elsewhere": {
                "program": "restoration-app",
                "model": row.model_id,
                "parameters": parameters,
                "at": row.created_at,
                "by": user.and_then(|user| self.names.get(user)),
                "session": row.session.name,
                "redrawn": "unknown",
            },
        })
    }
}

/// A folder for a visit: its day, and the beginning of its name.
fn folder_of(session: &Session, fallback: Option<Timestamp>) -> String {
    let at = session.created_at.map(Timestamp::from_millis).or(fallback);
    let day = at.map(|at| at.to_string()).filter(|text| text.len() > 10 && text.as_bytes()[4] == b'-');
    let day = day.as_deref().map_or("undated", |text| &text[..10]);
    let name: String = session
        .name
        .iter()
        .flat_map(|name| name.chars())
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    if name.is_empty() { day.to_owned() } else { format!("{day} {name}") }
}

/// The name under which an original was uploaded, or else the one that its file has.
fn name_of(row: &Processed, file: &Path) -> String {
    let given = row.original_filename.as_deref().unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let on_disk = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let usable = [last, &on_disk].into_iter().find_map(|name| library::file_name(name).ok());
    usable.unwrap_or_else(|| format!("picture {}", row.id))
}

/// `name (model).ext`: the name of the original, the model, and what the file is.
fn rendition_name(row: &Processed, file: &Path) -> String {
    let name = name_of(row, file);
    let stem = name.rfind('.').filter(|dot| *dot > 0).map_or(name.as_str(), |dot| &name[..dot]);
    let model = row.model_id.as_deref().and_then(|model| model.rsplit('/').next()).unwrap_or("restored");
    let extension = file.extension().map(|text| format!(".{}", text.to_string_lossy())).unwrap_or_default();
    let whole = library::file_name(&format!("{stem} ({model}){extension}"));
    whole.unwrap_or_else(|_| format!("restored{}", if extension.is_ascii() { &extension } else { "" }))
}
