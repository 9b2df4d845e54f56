//! Alerts: told once by mail and by a webhook, and once more when it is over; a restart or a failure changes nothing of that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use safelight::admin::{ALERTS_EVERY, Watch};
use safelight::config::{Config, Secret};
use safelight::{db, jobs};
use serde_json::Value;

use super::mail::{Manner, Post};
use super::support::TestServer;

/// What takes the webhook's messages.
#[derive(Clone, Default)]
struct Channel {
    told: Arc<Mutex<Vec<String>>>,
    is_ill: Arc<AtomicBool>,
}

impl Channel {
    async fn open() -> (Self, String) {
        let this = Self::default();
        let take = async |State(this): State<Self>, axum::Json(message): axum::Json<Value>| {
            if this.is_ill.load(Ordering::SeqCst) {
                return StatusCode::BAD_GATEWAY;
            }
            assert_eq!(message.as_object().unwrap().len(), 1);
            this.told.lock().unwrap().push(message["text"].as_str().unwrap().to_owned());
            StatusCode::OK
        };
        let router =
            axum::Router::new().route("/services/T0/key", axum::routing::post(take)).with_state(this.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (this, format!("http://{address}/services/T0/key"))
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

/// Lets time pass, in which is looked every five minutes.
async fn minutes(server: &TestServer, minutes: u64) {
    for _ in 0..minutes / 5 {
        server.clock.advance(ALERTS_EVERY);
        let look = |tx: &db::Tx<'_>| jobs::enqueue(tx, &Watch {}, jobs::Options::default());
        server.app.db.write(look).await.unwrap();
        server.run_jobs().await;
    }
}

async fn write(server: &TestServer, sql: &'static str) {
    server
        .app
        .db
        .write(move |tx| {
            tx.execute(sql, [])?;
            Ok::<_, db::Error>(())
        })
        .await
        .unwrap();
}

const WAITING: &str =
    "INSERT INTO jobs (id, kind, payload, state, priority, run_at, max_attempts, created_at)
                       VALUES (randomblob(16), 'nobody.does', '{}', 'queued', 0, 1794000000000, 5, 0)";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_once_and_again_when_it_is_over() {
    let post = Post::open(Manner::default()).await;
    let (channel, url) = Channel::open().await;
    let settings = post.settings();
    let server = TestServer::start_with(|config: &mut Config| {
        config.mail = settings;
        config.alerts.webhook_url = Some(Secret::new(url));
    })
    .await;
    minutes(&server, 10).await;
    assert_eq!((post.mails().len(), channel.told().len()), (0, 0), "nothing is wrong: {:?}", channel.told());

    // While the webhook is ill the mail goes out, once; the other follows when it is well.
    channel.is_ill.store(true, Ordering::SeqCst);
    write(&server, WAITING).await;
    minutes(&server, 10).await;
    assert_eq!((post.mails().len(), channel.told().len()), (1, 0));
    channel.is_ill.store(false, Ordering::SeqCst);
    minutes(&server, 20).await;
    assert_eq!((post.mails().len(), channel.told().len()), (1, 1));
    let mail = post.mails().remove(0);
    assert!(mail.contains("To: admin@example.org"), "{mail}");
    assert!(mail.contains("Subject: this machine: The queue stands still"), "{mail}");
    let text = channel.told().remove(0);
    assert!(
        text.starts_with("this machine: The queue stands still\na job «nobody.does» has been waiting for"),
        "{text}"
    );

    // What comes and goes is not told each time, its end only when it has lasted.
    write(&server, "UPDATE jobs SET state = 'cancelled' WHERE kind = 'nobody.does'").await;
    minutes(&server, 10).await;
    write(&server, "UPDATE jobs SET state = 'queued' WHERE kind = 'nobody.does'").await;
    minutes(&server, 10).await;
    assert_eq!((post.mails().len(), channel.told().len()), (1, 1));
    write(&server, "DELETE FROM jobs WHERE kind = 'nobody.does'").await;
    minutes(&server, 30).await;
    assert_eq!((post.mails().len(), channel.told().len()), (2, 2));
    assert!(
        post.mails()[1].contains("(over)") && channel.told()[1].contains("This is over:"),
        "{:?}",
        channel.told()
    );

    // A job that is given up, and somebody who guesses passwords.
    let failed = "INSERT INTO jobs (id, kind, payload, state, priority, run_at, attempts, max_attempts, error, created_at, finished_at)
                  SELECT randomblob(16), 'library.<describe>', '{}', 'failed', 0, 0, 5, 5, 'no & luck', 0, max(at) FROM audit";
    write(&server, "INSERT INTO audit (id, at, door, action, target_kind, target_id, details)
                    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
                    SELECT randomblob(16), 1795000000000 + 70 * 60000, 'web', 'auth.login_failed', 'user', '', '{}' FROM n").await;
    write(&server, failed).await;
    minutes(&server, 10).await;
    let told = channel.told().join("\n---\n");
    assert!(told.contains("library.&lt;describe&gt;") && told.contains("no &amp; luck"), "{told}");
    assert!(told.contains("wrong passwords within an hour"), "{told}");
    assert_eq!(channel.told().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_offline_wins() {
    let post = Post::open(Manner::default()).await;
    for offline in [false, true] {
        let settings = post.settings();
        let server = TestServer::start_with(|config: &mut Config| {
            config.mail = settings;
            config.limits.min_free_bytes = 1 << 60;
            config.outbound.offline = offline;
        })
        .await;
        minutes(&server, 10).await;
        assert_eq!(post.mails().len(), 1, "and not once more where nothing may leave the machine");
    }
    assert!(post.mails()[0].contains("The disk is full"));
}
