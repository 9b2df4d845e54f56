//! What stands at an address below `/storage`, and by what right it goes out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::delivery::{Content, Rendering};
use super::model::{Seq, Slug, Visibility};
use super::rights;
use super::signed::{Asked, Signature, version_bytes};
use super::wish::Wish;
use super::{Error, Result, buckets, presets, store};
use crate::accounts::Permission;
use crate::app::App;
use crate::audit::UserId;
use crate::config::WebOrigins;

/// An address below `/storage`, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    /// The bucket.
    pub bucket: String,
    /// The key in it.
    pub key: String,
    /// What the address says about the content that it means: the beginning of its SHA-256.
    pub version: Option<String>,
    /// The rendering.
    pub wish: Wish,
    /// The signature, where there is one.
    pub signature: Option<Signature>,
}

/// By what right something goes out; what caches may do with it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// The caller sees the bucket.
    Reader,
    /// Everybody may have it.
    Public,
    /// Whoever has the address may have it, for so long.
    Signed {
        /// How long.
        left: Duration,
    },
}

/// What an address stands for.
#[derive(Debug)]
pub struct Addressed {
    /// The bytes.
    pub content: Content,
    /// The rendering of them, or why there is none. Whoever has no right to the bytes is not told.
    pub rendering: Result<Option<Rendering>>,
    /// By what right whoever asks may have it, or what strangers are told. Who sees the bucket may have it all the same.
    pub right: Result<Right>,
    pub(super) bucket: Seq,
}

/// The most answers that are remembered, each of about a kilobyte.
const REMEMBERED_MAX: usize = 1000;

/// What addresses lately stood for. It is true as long as nothing has been written to the database, and forgotten
/// then: a website that shows the same pictures to everybody asks the database once. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Lookups(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    /// The count of commits at which this was true.
    commits: u64,
    answers: HashMap<Question, Arc<Answer>>,
    /// The sites whose pages may read what is in a bucket; none for one that does not exist.
    origins: HashMap<Slug, Arc<WebOrigins>>,
}

impl Remembered {
    /// Forgets everything if something was written since.
    fn as_of(&mut self, commits: u64) -> &mut Self {
        if self.commits != commits {
            *self = Self { commits, ..Self::default() };
        }
        self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    bucket: Slug,
    key: String,
    /// The content that a signature names; else the present one is meant.
    version: Option<[u8; 8]>,
    wish: Wish,
}

#[derive(Debug)]
struct Answer {
    bucket: Seq,
    is_public: bool,
    content: Content,
    rendering: Result<Option<Rendering>>,
}

impl Lookups {
    fn find(&self, question: &Question, commits: u64) -> Option<Arc<Answer>> {
        let mut remembered = self.lock();
        remembered.as_of(commits).answers.get(question).cloned()
    }

    /// The sites whose pages may read what is in a bucket, as its slug stands in an address; none for what is no bucket.
    ///
    /// # Errors
    /// [`Error::Db`].
    pub async fn origins(&self, app: &App, bucket: &str) -> Result<Arc<WebOrigins>> {
        let Ok(slug) = Slug::parse(bucket) else { return Ok(Arc::default()) };
        let commits = *app.db.commits().borrow();
        if let Some(origins) = self.lock().as_of(commits).origins.get(&slug) {
            return Ok(Arc::clone(origins));
        }
        let asked = slug.clone();
        let found = app.db.read(move |conn| store::buckets::cors_origins(conn, &asked)).await?;
        let is_bucket = found.is_some();
        let origins = Arc::new(found.unwrap_or_default());
        let mut remembered = self.lock();
        if is_bucket && remembered.commits == commits {
            remembered.origins.insert(slug, Arc::clone(&origins));
        }
        Ok(origins)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, question: Question, answer: Arc<Answer>, commits: u64) {
        let mut remembered = self.lock();
        if remembered.commits == commits && answer.rendering.is_ok() {
            if remembered.answers.len() >= REMEMBERED_MAX {
                remembered.answers.clear();
            }
            remembered.answers.insert(question, answer);
        }
    }
}

/// Finds what stands at an address. What is not there and what is nobody's business are told alike.
///
/// # Errors
/// [`Error::SignatureInvalid`] and [`Error::SignatureExpired`] before anything is looked up; [`Error::NoSuchMedia`],
/// [`Error::Keys`], [`Error::Db`].
pub async fn find_by_address(app: &App, lookups: &Lookups, address: Address) -> Result<Addressed> {
    let version = address.version.as_deref();
    let signed_for = match &address.signature {
        Some(signature) => {
            let asked = Asked {
                bucket: &address.bucket,
                key: &address.key,
                version: version.unwrap_or_default(),
                rendering: &address.wish.canonical(),
            };
            Some(signature.check(app, &asked)?)
        }
        None => None,
    };
    let version = match signed_for {
        Some(_) => Some(version.and_then(version_bytes).ok_or(Error::SignatureInvalid)?),
        None => None,
    };
    let bucket = Slug::parse(&address.bucket).map_err(|_| Error::NoSuchMedia)?;
    let question = Question { bucket, key: address.key, version, wish: address.wish };
    let answer = ask(app, lookups, question.clone()).await?;
    let right = match (signed_for, &question.wish) {
        (Some(left), _) => Ok(Right::Signed { left }),
        (None, Wish::Original | Wish::Preset(_)) if answer.is_public => Ok(Right::Public),
        (None, Wish::Own(_)) if answer.is_public => Err(Error::SignatureNeeded),
        _ => Err(Error::NoSuchMedia),
    };
    let rendering = match &answer.rendering {
        Ok(rendering) => Ok(*rendering),
        Err(Error::BadTransform(bad)) => Err(Error::BadTransform(bad.clone())),
        Err(_) => Err(Error::NoSuchPreset),
    };
    Ok(Addressed { content: answer.content.clone(), rendering, right, bucket: answer.bucket })
}

/// Whether somebody may read what is in a bucket.
pub(super) async fn may_read(app: &App, user: UserId, bucket: Seq) -> Result<bool> {
    let role = app.db.read(move |conn| rights::role_in(conn, user, bucket)).await?;
    Ok(role.is_some_and(|role| role.grants(Permission::LibraryRead)))
}

async fn ask(app: &App, lookups: &Lookups, question: Question) -> Result<Arc<Answer>> {
    // Counted before the question: what is written meanwhile makes the answer be forgotten.
    let commits = *app.db.commits().borrow();
    if let Some(answer) = lookups.find(&question, commits) {
        return Ok(answer);
    }
    let (question, answer) = app
        .db
        .read(move |conn| {
            let answer = look_up(conn, &question)?;
            Ok::<_, Error>((question, Arc::new(answer)))
        })
        .await?;
    lookups.remember(question, Arc::clone(&answer), commits);
    Ok(answer)
}

fn look_up(conn: &Connection, question: &Question) -> Result<Answer> {
    let missing = |e| if matches!(e, Error::NoSuchBucket) { Error::NoSuchMedia } else { e };
    let bucket = buckets::get_in(conn, &question.bucket).map_err(missing)?;
    let media = store::find_media_by_key(conn, bucket.seq, &question.key)?.ok_or(Error::NoSuchMedia)?;
    let is_public = bucket.visibility == Visibility::Public;
    let mut content = match question.version {
        // A signed address means the content of the time when it was signed, also when there is a newer one.
        Some(name) => match store::find_version_by_name(conn, media.seq, name)? {
            Some(version) => Content::version(&media, &version),
            None => {
                let rendition = store::find_rendition_by_name(conn, media.seq, name)?;
                Content::rendition(&rendition.ok_or(Error::NoSuchMedia)?)
            }
        },
        None => match media.shared_rendition_id {
            Some(id) => {
                let rendition = store::find_rendition(conn, media.seq, id)?;
                rendition.map_or_else(|| Content::current(&media), |rendition| Content::shared(&rendition))
            }
            None => Content::current(&media),
        },
    };
    if (is_public || question.version.is_some()) && !bucket.keep_location {
        content = content.without_place();
    }
    let rendering = match presets::resolve_in(conn, &question.wish) {
        Err(e @ Error::Db(_)) => return Err(e),
        rendering => rendering,
    };
    Ok(Answer { bucket: bucket.seq, is_public, content, rendering })
}
