//! Scans of several prints: they are found, somebody says whether that is right, and each becomes a picture of its own.
//! The scan stays as it is.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::model::Complaint;
use super::pipeline::{self, File, sentence};
use super::{Error, Result, names, pictures};
use crate::accounts::Permission;
use crate::api::{as_sentence, events};
use crate::app::App;
use crate::audit::{self, Actor, Target, UserId};
use crate::db::{self, Tx};
use crate::imaging::{Limits, PRINTS_MAX, Point, Print};
use crate::jobs::{Ending, Failure, Job, JobId, JobState, Options, Running};
use crate::library::{self, Arrived, Destination, MediaId, OnConflict, VersionId};

/// How far it is when the scan has been read.
const READ: f32 = 0.2;

/// Sides that are shorter, in pixels, are no picture.
const SIDE_MIN: f64 = 8.0;

/// The pictures may have this many times the pixels of their scan, for they may overlap.
const OVERLAP_MAX: f64 = 2.0;

/// Somebody waits for it.
const PRIORITY: i32 = 10;

/// A picture that is to be cut out of a scan.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Wanted {
    /// Its corners in displayed pixels, clockwise from the top left of what one sees when it lies straight.
    #[schema(value_type = Vec<Vec<f64>>, min_items = 4, max_items = 4)]
    pub(super) corners: [Point; 4],
    /// How many quarter turns clockwise it needs to be upright, 0 to 3.
    #[serde(default)]
    pub(super) quarter_turns: u8,
    /// What it is to be called; after the scan where it is not said.
    pub(super) name: Option<String>,
}

/// Looks for the prints on a scan. Returns the version that was looked at, the size of the scan, and the prints.
pub(super) async fn look(
    app: &App,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
) -> Result<(VersionId, (u32, u32), Vec<Print>)> {
    let version = pictures::find(app, user, media, version, Permission::LibraryRead).await?;
    let source = pictures::open(app, &version).await?;
    let cancel = CancellationToken::new();
    let _stops_with_the_request = cancel.clone().drop_guard();
    let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
    let found = pipeline::find_prints(source, &app.budget, limits, &cancel).await;
    let (size, prints) = found.map_err(Error::NotLookedAt)?;
    Ok((version.id, size, prints))
}

/// Asks for pictures to be cut out of a scan. Whoever asks may put files where the scan lies; the pictures come there too,
/// or into another folder of its bucket.
pub(super) async fn split(
    app: &App,
    actor: &Actor,
    user: UserId,
    media: MediaId,
    version: Option<VersionId>,
    pictures: Vec<Wanted>,
    folder: Option<String>,
) -> Result<JobId> {
    let version = pictures::find(app, user, media, version, Permission::LibraryWrite).await?;
    let (Some(width), Some(height)) = (version.width, version.height) else { return Err(Error::NotAPicture) };
    check(&pictures, (f64::from(width), f64::from(height)), app.settings.current().limits.max_pixels)?;
    let folder = folder.map(|folder| library::folder(&folder)).transpose()?;
    for name in pictures.iter().filter_map(|picture| picture.name.as_deref()) {
        library::file_name(name)?;
    }
    let actor = actor.clone();
    app.db
        .write(move |tx| {
            let scan = library::get_for_in(tx, &actor, media, Permission::LibraryWrite)?;
            let details = serde_json::json!({ "pictures": pictures.len(), "folder": folder });
            let job =
                SplitScan { media, version: version.id, folder, pictures, actor: actor.clone().later() };
            let id = crate::jobs::enqueue(tx, &job, Options { priority: PRIORITY, ..Options::default() })?;
            audit::record(tx, &actor, "scan.split", Target::new("media", media).named(&scan.key), &details)?;
            tell(tx, &News::new(media, id, JobState::Queued))?;
            Ok(id)
        })
        .await
}

fn check(pictures: &[Wanted], (width, height): Point, max_pixels: u64) -> Result<()> {
    let bad = |why: String| Err(Error::BadPictures { why });
    if pictures.is_empty() || pictures.len() > PRINTS_MAX {
        return bad(format!("one to {PRINTS_MAX} pictures can be cut out at once"));
    }
    let mut area = 0.0;
    for (index, Wanted { corners, quarter_turns, .. }) in pictures.iter().enumerate() {
        let number = index + 1;
        let near = |value: f64, length: f64| value.is_finite() && (-1.0..=length + 1.0).contains(&value);
        if !corners.iter().all(|(x, y)| near(*x, width) && near(*y, height)) {
            return bad(format!("the corners of picture {number} must lie on the scan"));
        }
        if *quarter_turns > 3 {
            return bad(format!("picture {number} can be turned by 0 to 3 quarters"));
        }
        let sides = || (0..4).map(|at| (corners[at], corners[(at + 1) % 4], corners[(at + 2) % 4]));
        let is_convex = sides().all(|(a, b, c)| (b.0 - a.0) * (c.1 - b.1) - (b.1 - a.1) * (c.0 - b.0) > 0.0);
        if !is_convex || sides().any(|(a, b, _)| (a.0 - b.0).hypot(a.1 - b.1) < SIDE_MIN) {
            return bad(format!(
                "the corners of picture {number} must go clockwise around it, at least {SIDE_MIN} pixels apart"
            ));
        }
        let (across, down) = crate::imaging::cut_size(corners, max_pixels)
            .map_err(|error| Error::NotLookedAt(pipeline::Error::Picture(error)))?;
        area += f64::from(across) * f64::from(down);
    }
    if area > OVERLAP_MAX * width * height {
        return bad("the pictures overlap too much".into());
    }
    Ok(())
}

/// Cuts the pictures out of one scan. They become media in the transaction that ends it, so that a run which was cut off
/// leaves none, and two runs one of each.
#[derive(Debug, Serialize, Deserialize)]
pub struct SplitScan {
    media: MediaId,
    version: VersionId,
    folder: Option<String>,
    pictures: Vec<Wanted>,
    /// Who asked for it, and whose the pictures therefore are.
    actor: Actor,
}

/// Pictures that were cut out and wait for their places; nothing if the scan has gone.
type Cut = Option<Vec<(Destination, Arrived)>>;

impl Job for SplitScan {
    const KIND: &'static str = "scan.split";
    const CONCURRENCY: usize = 1;
    const MAX_ATTEMPTS: u32 = 4;
    type Context = App;
    type Output = Cut;

    async fn run(&self, app: &App, running: &Running) -> Result<Cut, Failure> {
        let (media, version) = (self.media, Some(self.version));
        let found = app.db.read(move |conn| library::get_version_in(conn, media, version)).await;
        let (media, version) = match found {
            Ok(found) => found,
            Err(library::Error::Db(error)) => return Err(Failure::retry(error)),
            Err(_) => return Ok(None),
        };
        let storage = app.storage.clone();
        let opening = tokio::task::spawn_blocking(move || library::open_version(&storage, &version));
        let source = opening.await.map_err(Failure::retry)?.map_err(Failure::retry)?;
        let files = self.cut(app, source, running).await?;
        let mut cut = Vec::with_capacity(files.len());
        for (number, file) in files.into_iter().enumerate() {
            let to = Destination {
                bucket: Some(media.bucket.clone()),
                folder: self.folder.clone().unwrap_or_else(|| media.folder.clone()),
                name: self.name(number, &media.name, &file.extension),
                on_conflict: OnConflict::Rename,
            };
            cut.push((to, file.arrived));
        }
        // What a quota leaves is asked before, so that the answer is a sentence and not another attempt.
        let bytes = cut.iter().map(|(_, arrived)| arrived.size_bytes()).sum();
        if let Some((to, _)) = cut.first() {
            match library::admit(app, &self.actor, to.clone(), Some(bytes)).await {
                Ok(_) => {}
                Err(library::Error::Db(error)) => return Err(Failure::retry(error)),
                Err(error) => return Err(Failure::permanent(error)),
            }
        }
        Ok(Some(cut))
    }

    fn finish(&self, tx: &Tx<'_>, id: JobId, ending: Ending<Cut>) -> db::Result<()> {
        let mut news = News::new(self.media, id, JobState::Succeeded);
        match ending {
            Ending::Succeeded(Some(cut)) => {
                match library::add_from_scan_in(tx, &self.actor, self.media, &cut) {
                    Ok(items) => news.items = items,
                    Err(library::Error::Db(error)) => return Err(error),
                    Err(error) => news.fail(&sentence(&error)),
                }
            }
            Ending::Succeeded(None) => news.fail("The scan has been removed meanwhile."),
            Ending::Failed(why) => news.fail(&why),
            Ending::Cancelled => news.state = JobState::Cancelled,
            Ending::Retrying(_) | Ending::Returned => news.state = JobState::Queued,
        }
        if matches!(news.state, JobState::Succeeded | JobState::Failed) {
            let details = serde_json::json!({ "items": news.items, "error": news.error });
            let name = library::get_in(tx, self.media).map(|media| media.key).unwrap_or_default();
            let target = Target::new("media", self.media).named(&name);
            audit::record(tx, &self.actor, "scan.finish", target, &details)?;
        }
        tell(tx, &news)
    }

    fn progressed(&self, tx: &Tx<'_>, id: JobId, progress: f32, _: &str) -> db::Result<()> {
        tell(tx, &News { progress, ..News::new(self.media, id, JobState::Running) })
    }
}

/// A picture that was cut out and is stored.
struct Stored {
    arrived: Arrived,
    extension: String,
}

impl SplitScan {
    /// Cuts one picture after the other out and stores it.
    async fn cut(
        &self,
        app: &App,
        source: impl std::io::Read + std::io::Seek + Send + 'static,
        running: &Running,
    ) -> Result<Vec<Stored>, Failure> {
        let limits = Limits { max_pixels: app.settings.current().limits.max_pixels };
        let quads: Vec<[Point; 4]> = self.pictures.iter().map(Wanted::quad).collect();
        let (files, count) = (Arc::new(Mutex::new(Vec::new())), quads.len() as f32);
        let take = {
            let (files, running) = (Arc::clone(&files), running.clone());
            let (app, handle) = (app.clone(), tokio::runtime::Handle::current());
            move |index: usize, file: File| {
                let name = format!("picture.{}", file.format.extension());
                let extension = file.format.extension().to_owned();
                let arrived = handle.block_on(library::receive_bytes(&app, &name, Bytes::from(file.bytes)));
                let stored = arrived.map(|arrived| Stored { arrived, extension });
                files.lock().unwrap_or_else(PoisonError::into_inner).push(stored);
                running.progress(READ + (1.0 - READ) * (index + 1) as f32 / count, "");
                Ok(())
            }
        };
        running.progress(0.0, "");
        let made = pipeline::cut_out(source, quads, &app.budget, limits, running.cancelled(), take).await;
        made.map_err(|error| {
            if error.is_cancelled() {
                Failure::Interrupted
            } else if error.may_pass() {
                Failure::retry(error)
            } else {
                Failure::permanent(error)
            }
        })?;
        let files = std::mem::take(&mut *files.lock().unwrap_or_else(PoisonError::into_inner));
        files.into_iter().collect::<library::Result<_>>().map_err(Failure::retry)
    }

    /// What the picture is called: as was said, with an extension that fits, or else after the scan.
    fn name(&self, number: usize, scan: &str, extension: &str) -> String {
        let given = self.pictures.get(number).and_then(|picture| picture.name.as_deref()).map(str::trim);
        let fits = pipeline::extension(scan, format_of(extension)).to_owned();
        match given.filter(|name| !name.is_empty()) {
            Some(name) => {
                let own = name.rsplit_once('.').map(|(_, own)| own);
                if own.and_then(pipeline::format_of_extension) == Some(format_of(extension)) {
                    name.to_owned()
                } else {
                    names::with_end(name, &format!(".{fits}"))
                }
            }
            None => names::with_end(names::stem(scan), &format!("-{}.{fits}", number + 1)),
        }
    }
}

fn format_of(extension: &str) -> crate::imaging::Format {
    pipeline::format_of_extension(extension).unwrap_or(crate::imaging::Format::Jpeg)
}

impl Wanted {
    /// The corners from that which will be at the top left once it is upright.
    fn quad(&self) -> [Point; 4] {
        let mut quad = self.corners;
        quad.rotate_right(usize::from(self.quarter_turns % 4));
        quad
    }
}

/// How the splitting of a scan stands, for those who see it.
#[derive(Debug, Serialize)]
struct News {
    media_id: MediaId,
    job_id: JobId,
    state: JobState,
    progress: f32,
    items: Vec<MediaId>,
    error: Option<Complaint>,
}

impl News {
    fn new(media_id: MediaId, job_id: JobId, state: JobState) -> Self {
        let progress = if state == JobState::Succeeded { 1.0 } else { 0.0 };
        Self { media_id, job_id, state, progress, items: Vec::new(), error: None }
    }

    /// The queue keeps an error as it was said, which is no sentence.
    fn fail(&mut self, why: &str) {
        self.state = JobState::Failed;
        self.error = Some(Complaint { code: "not-split".into(), detail: as_sentence(why) });
    }
}

fn tell(tx: &Tx<'_>, news: &News) -> db::Result<()> {
    match library::audience_of(tx, news.media_id)? {
        Some(audience) => events::emit(tx, "scan", &audience, news),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(names: &[Option<&str>]) -> SplitScan {
        let picture = |name: &Option<&str>| Wanted {
            corners: [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)],
            quarter_turns: 0,
            name: name.map(str::to_owned),
        };
        let pictures = names.iter().map(picture).collect();
        let (media, version) = (MediaId::new(), VersionId::new());
        SplitScan { media, version, folder: None, pictures, actor: Actor::system() }
    }

    #[test]
    fn pictures_are_named_as_was_said_or_after_their_scan() {
        let job = job(&[None, Some("Oma"), Some("Opa.JPEG"), Some("  "), Some("1931.12")]);
        let name = |number| job.name(number, "Album 7.jpg", "jpg");
        let names: Vec<String> = (0..5).map(name).collect();
        assert_eq!(names, ["Album 7-1.jpg", "Oma.jpg", "Opa.JPEG", "Album 7-4.jpg", "1931.12.jpg"]);
        assert_eq!(job.name(0, "scan.heic", "jpg"), "scan-1.jpg");
        let long = job.name(0, &format!("{}.tif", "ä".repeat(126)), "tif");
        assert!(long.len() <= 255 && long.ends_with("ä-1.tif"), "{long}");
    }

    #[test]
    fn corners_are_checked_before_anything_is_promised() {
        let with = |corners: [Point; 4], quarter_turns| {
            let pictures = [Wanted { corners, quarter_turns, name: None }];
            check(&pictures, (100.0, 80.0), 1_000_000)
        };
        let good = [(10.0, 10.0), (60.0, 12.0), (58.0, 50.0), (8.0, 48.0)];
        assert!(with(good, 3).is_ok());
        let mut counterclockwise = good;
        counterclockwise.reverse();
        for (corners, turns) in [
            (good, 4),
            (counterclockwise, 0),
            ([(10.0, 10.0), (60.0, 50.0), (60.0, 12.0), (8.0, 48.0)], 0),
            ([(10.0, 10.0), (12.0, 10.0), (12.0, 50.0), (10.0, 50.0)], 0),
            ([(10.0, 10.0), (160.0, 10.0), (160.0, 50.0), (10.0, 50.0)], 0),
            ([(f64::NAN, 10.0), (60.0, 10.0), (60.0, 50.0), (10.0, 50.0)], 0),
        ] {
            assert!(matches!(with(corners, turns), Err(Error::BadPictures { .. })), "{corners:?}");
        }
        assert!(check(&[], (100.0, 80.0), 1_000_000).is_err());
        let whole = Wanted {
            corners: [(0.0, 0.0), (100.0, 0.0), (100.0, 80.0), (0.0, 80.0)],
            quarter_turns: 0,
            name: None,
        };
        assert!(check(&vec![whole.clone(); 2], (100.0, 80.0), 1_000_000).is_ok());
        assert!(check(&vec![whole; 3], (100.0, 80.0), 1_000_000).is_err());
    }
}
