//! Those in charge are told when something is wrong, once, and once more when it is over: by mail and by a webhook.
//!
//! A job looks every few minutes at what can be looked at cheaply. What it finds is a row, so that a restart tells nobody
//! again; it is over only after it has not been seen for a while, so that what comes and goes is told once. A message that
//! could not be handed over is tried again at the next look. `outbound.offline` wins over all of it.

mod conditions;
mod store;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::jobs::{Failure, Job, Running};
use crate::mail::{Letter, Template};
use crate::outbound::{self, Method};

/// How often is looked.
pub const EVERY: Duration = Duration::from_secs(5 * 60);

/// How long something must not have been seen to be over.
const QUIET: Duration = Duration::from_secs(15 * 60);

/// How long is tried to tell that something is over.
const GIVEN_UP: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a webhook may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Something that those in charge should know of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    /// Its name, by which it is recognised.
    name: String,
    /// How bad it is; when it grows it is told again.
    level: i64,
    title: String,
    what: String,
    advice: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begun,
    Over,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Over => "over",
        }
    }
}

/// The ways in which is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channels {
    mail: bool,
    webhook: bool,
}

impl Channels {
    fn of(config: &Config) -> Self {
        let online = !config.outbound.offline;
        Self {
            mail: online && config.mail.server.is_some() && config.mail.admin.is_some(),
            webhook: online && config.alerts.webhook_url.is_some(),
        }
    }

    const fn any(self) -> bool {
        self.mail || self.webhook
    }
}

/// A condition and what has been told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alert {
    condition: Condition,
    stage: Stage,
    since: Timestamp,
    absent_since: Option<Timestamp>,
    due: Channels,
}

/// Whether anybody is to be told of anything.
pub fn are_on(config: &Config) -> bool {
    let mail = config.mail.server.is_some() && config.mail.admin.is_some();
    mail || config.alerts.webhook_url.is_some()
}

/// Looks whether something is wrong, and tells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watch {}

impl Job for Watch {
    const KIND: &'static str = "alerts";
    const CONCURRENCY: usize = 1;
    const MAX_ATTEMPTS: u32 = 1;
    type Context = App;
    type Output = ();

    async fn run(&self, app: &App, _: &Running) -> Result<(), Failure> {
        let channels = Channels::of(&app.settings.current());
        let found = conditions::look(app).await;
        let told = app.db.read(store::all).await.map_err(Failure::retry)?;
        let now = app.clock.now();
        let (kept, gone) = compare(told, found, channels, now);
        for mut alert in kept {
            tell(app, &mut alert).await;
            let ended = alert.stage == Stage::Over
                && (!alert.due.any()
                    || alert.absent_since.is_some_and(|at| now.since(at) > QUIET + GIVEN_UP));
            app.db
                .write(
                    move |tx| {
                        if ended { store::remove(tx, &alert.condition.name) } else { store::put(tx, &alert) }
                    },
                )
                .await
                .map_err(Failure::retry)?;
        }
        app.db
            .write(move |tx| gone.iter().try_for_each(|name| store::remove(tx, name)))
            .await
            .map_err(Failure::retry)
    }
}

/// What becomes of the alerts that were known when these conditions hold now: all that are to be kept, and the names of
/// those that nobody was told of and that need not be told any more.
fn compare(
    told: Vec<Alert>,
    found: Vec<Condition>,
    channels: Channels,
    now: Timestamp,
) -> (Vec<Alert>, Vec<String>) {
    let mut known: BTreeMap<String, Alert> =
        told.into_iter().map(|alert| (alert.condition.name.clone(), alert)).collect();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for condition in found {
        let begun = |since| Alert {
            condition: condition.clone(),
            stage: Stage::Begun,
            since,
            absent_since: None,
            due: channels,
        };
        kept.push(match known.remove(&condition.name) {
            None => begun(now),
            Some(alert) if alert.stage == Stage::Over => begun(now),
            Some(alert) if alert.condition.level < condition.level => begun(alert.since),
            Some(alert) => Alert { absent_since: None, ..alert },
        });
    }
    for (name, alert) in known {
        let absent_since = alert.absent_since.unwrap_or(now);
        let alert = Alert { absent_since: Some(absent_since), ..alert };
        if alert.stage == Stage::Over || now.since(absent_since) < QUIET {
            kept.push(alert);
            continue;
        }
        // Who has not heard of it need not hear that it is over.
        let due = Channels {
            mail: channels.mail && !alert.due.mail,
            webhook: channels.webhook && !alert.due.webhook,
        };
        match due.any() {
            true => kept.push(Alert { stage: Stage::Over, due, ..alert }),
            false => gone.push(name),
        }
    }
    (kept, gone)
}

/// Tells what is due, and notes what has been taken.
async fn tell(app: &App, alert: &mut Alert) {
    if alert.due.mail
        && let Some(admin) = &app.config.mail.admin
    {
        match app.mailer.send(admin, &letter(app, alert), |_| ()).await {
            Ok(_) => alert.due.mail = false,
            Err(e) => {
                tracing::warn!(error = &e as &dyn std::error::Error, "an alert could not be sent by mail");
                // Trying the same again helps only where the refusal may pass.
                alert.due.mail = e.may_pass();
            }
        }
    }
    if alert.due.webhook {
        match post(app, alert).await {
            Ok(()) => alert.due.webhook = false,
            Err(cause) => tracing::warn!(%cause, "an alert could not be posted"),
        }
    }
}

/// The appliance as people know it.
fn instance(app: &App) -> String {
    let certificate = || app.config.tls.domains.first()?.first().cloned();
    let address = app.config.server.public_url.as_ref().map(|url| url.authority().to_owned());
    address.or_else(certificate).unwrap_or_else(|| "this machine".to_owned())
}

fn letter(app: &App, alert: &Alert) -> Letter {
    let (instance, condition) = (instance(app), &alert.condition);
    let (since, now) = (alert.since.to_string(), app.clock.now().to_string());
    let values = [
        ("what", condition.what.as_str()),
        ("advice", condition.advice.as_str()),
        ("since", since.as_str()),
        ("until", now.as_str()),
    ];
    match alert.stage {
        Stage::Begun => {
            Template::Alert.write(&format!("{instance}: {}", condition.title), &instance, &values)
        }
        Stage::Over => {
            Template::Over.write(&format!("{instance}: {} (over)", condition.title), &instance, &values)
        }
    }
}

/// Posts the alert as Slack and those that follow it want it.
async fn post(app: &App, alert: &Alert) -> Result<(), String> {
    let Some(url) = &app.config.alerts.webhook_url else { return Ok(()) };
    let (instance, condition) = (instance(app), &alert.condition);
    let text = match alert.stage {
        Stage::Begun => format!("{instance}: {}\n{}\n{}", condition.title, condition.what, condition.advice),
        Stage::Over => format!("{instance}: {} (over)\nThis is over: {}", condition.title, condition.what),
    };
    // The three signs that mean something there.
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // The address is the key to it: no error may show it.
    let plain = |e: outbound::Error| match e {
        outbound::Error::BadUrl(_) => "alerts.webhook_url is no address".to_owned(),
        e => e.to_string(),
    };
    let call = app.outbound.call(Method::POST, url.expose().trim()).map_err(plain)?;
    let answer = call.json(&json!({ "text": text })).within(DEADLINE).send().await.map_err(plain)?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("{} answers {}", answer.host(), answer.status().as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Channels = Channels { mail: true, webhook: true };
    const NOBODY: Channels = Channels { mail: false, webhook: false };

    fn disk(level: i64) -> Condition {
        let text = |text: &str| text.to_owned();
        Condition {
            name: text("disk"),
            level,
            title: text("Disk"),
            what: text("full"),
            advice: text("empty it"),
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    /// One look, after which everything that was due has been told.
    fn look(told: Vec<Alert>, found: Vec<Condition>, now: Timestamp) -> (Vec<Alert>, Vec<Stage>) {
        let (mut kept, _) = compare(told, found, BOTH, now);
        let said = kept.iter().filter(|alert| alert.due.any()).map(|alert| alert.stage).collect();
        kept.iter_mut().for_each(|alert| alert.due = NOBODY);
        kept.retain(|alert| alert.stage == Stage::Begun);
        (kept, said)
    }

    #[test]
    fn it_is_told_once_and_again_when_it_is_worse_and_when_it_is_over() {
        let (told, said) = look(Vec::new(), vec![disk(1)], at(0));
        assert_eq!(said, [Stage::Begun]);
        let (told, said) = look(told, vec![disk(1)], at(5));
        assert_eq!(said, []);
        let (told, said) = look(told, vec![disk(2)], at(10));
        assert_eq!((said, told[0].since), (vec![Stage::Begun], at(0)), "worse, since the beginning");
        // Less bad is not over, and what comes and goes is not told each time.
        let (told, said) = look(told, vec![disk(1)], at(15));
        assert_eq!(said, []);
        let (told, said) = look(told, Vec::new(), at(20));
        assert_eq!(said, []);
        let (told, said) = look(told, vec![disk(1)], at(25));
        assert_eq!(said, []);
        let (told, said) = look(told, Vec::new(), at(30));
        assert_eq!(said, []);
        let (told, said) = look(told, Vec::new(), at(45));
        assert_eq!((said, told), (vec![Stage::Over], Vec::new()));
    }

    #[test]
    fn who_has_not_heard_of_it_does_not_hear_that_it_is_over() {
        let (kept, _) = compare(Vec::new(), vec![disk(1)], BOTH, at(0));
        let mut heard = kept[0].clone();
        heard.due.webhook = false;
        let (kept, _) = compare(vec![heard], Vec::new(), BOTH, at(5));
        let (kept, gone) = compare(kept, Vec::new(), BOTH, at(25));
        assert_eq!((kept[0].stage, kept[0].due), (Stage::Over, Channels { mail: false, webhook: true }));
        assert!(gone.is_empty());
        let (unheard, _) = compare(Vec::new(), vec![disk(1)], BOTH, at(0));
        let (unheard, _) = compare(unheard, Vec::new(), BOTH, at(5));
        assert_eq!(compare(unheard, Vec::new(), BOTH, at(25)), (Vec::new(), vec!["disk".to_owned()]));
        // What begins again while its end is being told is new.
        let (again, _) = compare(kept, vec![disk(1)], BOTH, at(30));
        assert_eq!((again[0].stage, again[0].due, again[0].since), (Stage::Begun, BOTH, at(30)));
    }
}
