//! What an admin may change while Safelight runs: the configuration's list of settings over a table.
//!
//! Rooms that read a setting which can change ask [`Settings::current`] each time; tools that keep one are told through
//! [`Settings::on_change`]. A value of the table is stronger than the default and weaker than everything that was typed
//! in the file, the environment or a flag. Other processes on the data directory notice a change by its commit. The room
//! knows no setting by name and nothing of what they are used for.

mod store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Base, Config, Origin, Setting, Shown};
use crate::db::{self, Db, Tx};
use crate::keys::{self, Keys, Purpose};

use store::Row;

/// How long news of commits are gathered before the table is looked at.
const PAUSE: Duration = Duration::from_millis(250);

/// Why settings could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was changed, because these can't be.
    #[error("some settings can't be changed like this")]
    Refused(Vec<Refusal>),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The instance's keys, which secrets are encrypted with, can't be used.
    #[error("the key that secrets are encrypted with can't be used")]
    Keys(#[from] keys::Error),
}

/// What settings functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A setting that can't be changed as somebody wanted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The setting.
    pub key: String,
    /// A sentence.
    pub detail: String,
    /// Whether it is not the value that is wrong: something stronger has the last word.
    pub fixed: bool,
}

/// A setting and what is known of it.
#[derive(Debug, Clone)]
pub struct State {
    /// What it is.
    pub setting: &'static Setting,
    /// Its value and who said so; secrets are hidden.
    pub shown: Shown,
    /// What would hold if nobody said anything; null where that is nothing.
    pub default: Value,
}

/// A change that was made.
#[derive(Debug, Clone)]
pub struct Change {
    /// The setting.
    pub key: &'static str,
    /// Its value before; of a secret only whether there was one.
    pub old: Value,
    /// Its value now.
    pub new: Value,
}

/// The settings of a data directory. Clones share them.
#[derive(Clone)]
pub struct Settings(Arc<Inner>);

struct Inner {
    base: Base,
    keys: Option<Keys>,
    current: ArcSwap<Config>,
    known: Mutex<Known>,
    listeners: Mutex<Vec<Listener>>,
    /// Changes are taken one after the other, in the order of their commits.
    turn: tokio::sync::Mutex<()>,
}

type Listener = Box<dyn Fn(&Config) + Send + Sync>;

/// What the table said last.
struct Known {
    rows: Vec<Row>,
    shown: Vec<Shown>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the table over what was typed.
    ///
    /// # Errors
    /// [`Error::Db`]. Values that can't be used any more are left out and logged: a server that does not start helps
    /// nobody to mend them.
    pub async fn open(base: Base, db: &Db, keys: &Keys) -> Result<Self> {
        let (config, shown) = base.with(&[]).expect("what was typed has been checked");
        let known = Mutex::new(Known { rows: Vec::new(), shown });
        let settings = Self::new(base, config, known, Some(keys.clone()));
        settings.refresh(db).await?;
        Ok(settings)
    }

    /// Settings that are as they are until the first change, which begins at the defaults. For tests and throw-away
    /// instances.
    pub fn fixed(config: Config) -> Self {
        let base = Base::defaults(config.data_dir.clone());
        let (_, shown) = base.with(&[]).expect("the defaults are right");
        Self::new(base, config, Mutex::new(Known { rows: Vec::new(), shown }), None)
    }

    fn new(base: Base, config: Config, known: Mutex<Known>, keys: Option<Keys>) -> Self {
        Self(Arc::new(Inner {
            base,
            keys,
            current: ArcSwap::from_pointee(config),
            known,
            listeners: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// What holds now.
    pub fn current(&self) -> Arc<Config> {
        self.0.current.load_full()
    }

    /// Tells a closure what holds now, and again after each change. It must not block.
    pub fn on_change(&self, listener: impl Fn(&Config) + Send + Sync + 'static) {
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        // With the lock held: what changes from here on is told to this one as well.
        listener(&self.current());
        listeners.push(Box::new(listener));
    }

    /// Every setting, in the order of the reference page.
    pub fn list(&self) -> Vec<State> {
        let (_, defaults) = Base::defaults("./safelight-data").with(&[]).expect("the defaults are right");
        let defaults: BTreeMap<_, _> = defaults.into_iter().map(|shown| (shown.key, shown.json)).collect();
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let state = |shown: &Shown| {
            let default = defaults.get(shown.key).cloned().unwrap_or_default();
            Some(State { setting: config::find(shown.key)?, shown: shown.clone(), default })
        };
        known.shown.iter().filter_map(state).collect()
    }

    /// Changes settings, all or none; null takes a value back. `also` writes what belongs into the same transaction. When
    /// this returns, the change holds.
    ///
    /// # Errors
    /// [`Error::Refused`] with everything that is wrong; [`Error::Keys`], [`Error::Db`].
    pub async fn change<F>(&self, db: &Db, wanted: Vec<(String, Value)>, also: F) -> Result<Vec<Change>>
    where
        F: FnOnce(&Tx<'_>, &[Change]) -> db::Result<()> + Send + 'static,
    {
        let (settings, own) = (self.clone(), wanted.clone());
        let rows = tokio::task::spawn_blocking(move || settings.rows_of(&own));
        let rows = rows.await.map_err(|e| db::Error::Panicked(e.to_string()))??;
        let settings = self.clone();
        let changes = db
            .write(move |tx| {
                let before = settings.typed(&store::all(tx)?)?;
                let changes = settings.check(&before, &wanted).map_err(Error::Refused)?;
                for (key, row) in &rows {
                    match row {
                        Some(row) => store::put(tx, row)?,
                        None => store::remove(tx, key)?,
                    }
                }
                if !changes.is_empty() {
                    also(tx, &changes)?;
                }
                Ok::<_, Error>(changes)
            })
            .await?;
        self.refresh(db).await?;
        Ok(changes)
    }

    /// What is to be written for each wanted value; nothing for one that is taken back. Blocks.
    fn rows_of(&self, wanted: &[(String, Value)]) -> Result<Vec<(String, Option<Row>)>> {
        let row = |(key, value): &(String, Value)| {
            let secret = config::find(key).is_some_and(Setting::is_secret);
            let row = match (value, secret, &self.0.keys) {
                (Value::Null, ..) => None,
                (Value::String(text), true, Some(keys)) => {
                    let sealed = keys.seal(Purpose::Instance, key, text)?;
                    Some(Row { key: key.clone(), value: None, sealed: Some(sealed) })
                }
                (value, ..) => Some(Row { key: key.clone(), value: Some(value.to_string()), sealed: None }),
            };
            Ok((key.clone(), row))
        };
        wanted.iter().map(row).collect()
    }

    /// The values of rows. Those of secrets that can't be decrypted are missing.
    fn typed(&self, rows: &[Row]) -> Result<BTreeMap<String, Value>> {
        let mut values = BTreeMap::new();
        for row in rows {
            let value = match (&row.value, &row.sealed, &self.0.keys) {
                (Some(json), ..) => serde_json::from_str(json).ok(),
                (None, Some(sealed), Some(keys)) => {
                    let opened = keys.unseal(Purpose::Instance, &row.key, sealed);
                    opened
                        .unwrap_or_else(|error| {
                            tracing::warn!(%error, "a stored secret can't be decrypted");
                            None
                        })
                        .map(Value::String)
                }
                _ => None,
            };
            match value {
                Some(value) => drop(values.insert(row.key.clone(), value)),
                None => tracing::warn!(setting = row.key, "a setting can't be read: set it again"),
            }
        }
        Ok(values)
    }

    /// What the wanted values change, or why they can't be.
    fn check(
        &self,
        before: &BTreeMap<String, Value>,
        wanted: &[(String, Value)],
    ) -> Result<Vec<Change>, Vec<Refusal>> {
        // What can't be used any more stands in nobody's way.
        let (usable, (_, old)) = self.usable(before.clone());
        let mut refusals: Vec<Refusal> =
            wanted.iter().filter_map(|(key, value)| refusal(key, value, &old)).collect();
        let mut after = usable;
        for (key, value) in wanted {
            after.insert(key.clone(), value.clone());
        }
        // What is refused already is not looked at again, and what stood there before is not this change's fault.
        after.retain(|key, _| !refusals.iter().any(|refusal| refusal.key == *key));
        match self.0.base.with(&listed(&after)) {
            Ok((_, new)) if refusals.is_empty() => {
                let of = |list: &[Shown], key: &str| list.iter().find(|shown| shown.key == key).cloned();
                let change = |(key, _): &(String, Value)| {
                    let (old, new) = (of(&old, key)?, of(&new, key)?);
                    let secret = config::find(key).is_some_and(Setting::is_secret);
                    (old.json != new.json || secret).then(|| Change {
                        key: new.key,
                        old: old.json,
                        new: new.json,
                    })
                };
                Ok(wanted.iter().filter_map(change).collect())
            }
            Ok(_) => Err(refusals),
            Err(error) => {
                refusals.extend(error.mistakes.iter().map(|mistake| {
                    let key = mistake.key().unwrap_or_default().to_owned();
                    Refusal { detail: sentence(&key, &mistake.fault.to_string()), key, fixed: false }
                }));
                Err(refusals)
            }
        }
    }

    /// The configuration with values of the table; without those that can't be used.
    fn overlay(&self, values: BTreeMap<String, Value>) -> (Config, Vec<Shown>) {
        self.usable(values).1
    }

    /// The same with the values that can be used.
    fn usable(&self, mut values: BTreeMap<String, Value>) -> (BTreeMap<String, Value>, (Config, Vec<Shown>)) {
        values.retain(|key, _| config::find(key).is_some_and(Setting::is_live));
        loop {
            match self.0.base.with(&listed(&values)) {
                Ok(whole) => return (values, whole),
                Err(error) => {
                    let before = values.len();
                    for mistake in &error.mistakes {
                        let key = mistake.key().unwrap_or_default();
                        tracing::warn!(setting = key, error = %mistake.fault, "a setting of the web UI can't be used");
                        values.remove(key);
                    }
                    // Two that are wrong beside each other: what is right alone beside the file stays.
                    if values.len() == before {
                        values.retain(|key, value| self.0.base.with(&[(key.clone(), value.clone())]).is_ok());
                    }
                    if values.len() == before {
                        values.clear();
                    }
                }
            }
        }
    }

    /// Reads the table again, and tells everybody if it says something else than before.
    ///
    /// # Errors
    /// [`Error::Db`], [`Error::Keys`].
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let _turn = self.0.turn.lock().await;
        let rows = db.read(store::all).await?;
        if rows == self.0.known.lock().unwrap_or_else(PoisonError::into_inner).rows {
            return Ok(());
        }
        let settings = self.clone();
        let apply = move || -> Result<()> {
            let values = settings.typed(&rows)?;
            let (config, shown) = settings.overlay(values);
            *settings.0.known.lock().unwrap_or_else(PoisonError::into_inner) = Known { rows, shown };
            settings.0.current.store(Arc::new(config));
            let current = settings.current();
            let listeners = settings.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.iter().for_each(|listener| listener(&current));
            Ok(())
        };
        tokio::task::spawn_blocking(apply).await.map_err(|e| db::Error::Panicked(e.to_string()))?
    }

    /// Takes what other processes change, until the process stops.
    pub async fn follow(self, db: Db, stopping: CancellationToken) {
        let mut commits = db.commits();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                more = commits.changed() => if more.is_err() { return },
            }
            if let Err(error) = self.refresh(&db).await {
                tracing::warn!(error = %error, "the settings could not be read again");
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Why a setting can't be changed at all.
fn refusal(key: &str, value: &Value, shown: &[Shown]) -> Option<Refusal> {
    let refuse = |detail: String, fixed| Some(Refusal { key: key.to_owned(), detail, fixed });
    let Some(setting) = config::find(key) else {
        let meant = config::nearest_key(key).map(|key| format!(" Did you mean {key}?")).unwrap_or_default();
        return refuse(format!("There is no such setting.{meant}"), false);
    };
    if !setting.is_live() {
        let detail = "Only the configuration file, the environment or a flag can set this, and Safelight must then be \
                      started again.";
        return refuse(detail.to_owned(), true);
    }
    let origin = shown.iter().find(|shown| shown.key == key).map(|shown| &shown.origin);
    match origin {
        Some(Origin::Default | Origin::Web) | None => None,
        // What does not count anyway may be taken back.
        Some(_) if value.is_null() => None,
        Some(origin) => refuse(format!("This is fixed by {}. Remove it there first.", place(origin)), true),
    }
}

/// Where something was said, in words.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::File(path, Some(line)) => format!("line {line} of {}", path.display()),
        Origin::File(path, None) => path.display().to_string(),
        Origin::Credential(name) => format!("the credential {name}"),
        Origin::Environment(name) => format!("the environment variable {name}"),
        Origin::Flag(name) => format!("the flag {name}"),
        Origin::Web => "the web UI".to_owned(),
        Origin::Default => "nobody".to_owned(),
    }
}

fn listed(values: &BTreeMap<String, Value>) -> Vec<(String, Value)> {
    values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A mistake as a sentence. The name of the setting stands beside it anyway.
fn sentence(key: &str, fault: &str) -> String {
    let text = fault.strip_prefix(key).map_or(fault, |rest| rest.trim_start_matches(':').trim_start());
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
