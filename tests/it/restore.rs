//! Restorations: from the request to the rendition, and everything that may go wrong on the way.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight::db::Db;
use safelight::engine::{
    self, BoxFuture, CancellationToken, Decision, Engine, Engines, Outcome, Progress, Restored, Step,
    StepInfo, StepReport, StepRequest, Work,
};
use safelight::imaging::{self, Budget, Channels, Decoded, EncodeOptions, Format, Image, Limits, Options};
use safelight::restore::pipeline::{self, Made, Order, Workshop};
use safelight::server;
use safelight::storage::Storage;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::photographs::{exif, gif, mask, noisy_jpeg, scene};
use super::support::{Browser, TestServer, problem};

const SOON: Duration = Duration::from_secs(60);

async fn ask(browser: &Browser, media: &Value, body: Value) -> Value {
    let path = format!("/api/v1/media/{}/restorations", media["id"].as_str().unwrap());
    let answer = browser.post(&path).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let restoration: Value = answer.json().await.unwrap();
    assert_eq!(location, format!("/api/v1/restorations/{}", restoration["id"].as_str().unwrap()));
    restoration
}

async fn look(browser: &Browser, restoration: &Value) -> Value {
    browser.json(&format!("/api/v1/restorations/{}", restoration["id"].as_str().unwrap())).await
}

async fn renditions(browser: &Browser, media: &Value) -> Vec<Value> {
    let list = browser.json(&format!("/api/v1/media/{}/renditions", media["id"].as_str().unwrap())).await;
    list["items"].as_array().unwrap().clone()
}

/// Waits until a restoration satisfies a condition; every change of it is a commit.
async fn until(db: &Db, browser: &Browser, restoration: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut commits = db.commits();
    tokio::time::timeout(SOON, async {
        loop {
            commits.mark_unchanged();
            let now = look(browser, restoration).await;
            if wanted(&now) {
                return now;
            }
            commits.changed().await.unwrap();
        }
    })
    .await
    .expect("it gets there")
}

async fn actions(browser: &Browser) -> Vec<String> {
    let audit = browser.json("/api/v1/audit?action=restoration").await;
    audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn restoring_a_photo_adds_a_rendition_and_keeps_the_original() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let original = noisy_jpeg();
    let media = owner.upload_ok("Oma 1931.jpg", original.clone()).await;

    let asked = ask(&owner, &media, json!({ "preset": "strong" })).await;
    assert_eq!(asked["state"], "queued");
    assert_eq!(asked["preset"], "strong");
    assert_eq!(asked["media_id"], media["id"]);
    assert!(asked["steps"].as_array().unwrap().iter().any(|step| step["step"] == "denoise"), "{asked}");
    server.run_jobs().await;

    let done = look(&owner, &asked).await;
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!((&done["outcome"], &done["progress"]), (&json!("restored"), &json!(1.0)));
    assert_eq!(done["error"], Value::Null);
    let denoise = done["report"].as_array().unwrap().iter().find(|step| step["step"] == "denoise").unwrap();
    assert_eq!(denoise["decision"], "applied", "{denoise}");
    assert!(!denoise["reason"].as_str().unwrap().is_empty() && denoise["evidence"].is_object());

    let list = renditions(&owner, &media).await;
    assert_eq!(list.len(), 1);
    let rendition = &list[0];
    assert_eq!(rendition["id"], done["rendition_id"]);
    assert_eq!(rendition["name"], "Oma 1931 (restored).jpg");
    assert_eq!(rendition["restoration_id"], asked["id"]);
    assert_eq!(rendition["ai_generated"], false);
    assert_eq!(rendition["provenance"]["engine"], "builtin");
    assert_eq!(rendition["provenance"]["preset"], "strong");
    assert_eq!(rendition["provenance"]["steps"], done["report"]);
    assert_eq!((&rendition["width"], &rendition["height"]), (&json!(200), &json!(150)));
    let me = owner.json("/api/v1/auth/me").await;
    assert_eq!((&rendition["created_by"], &done["requested_by"]), (&me["id"], &me["id"]));

    let media_path = format!("/api/v1/media/{}", media["id"].as_str().unwrap());
    let kept = owner.get(&format!("{media_path}/content")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(kept, original);
    let path = format!("{media_path}/renditions/{}/content", rendition["id"].as_str().unwrap());
    let restored = owner.get(&path).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(decode(&restored).format(), Format::Jpeg);
    assert_ne!(restored, original);

    ask(&owner, &media, json!({ "steps": [{ "step": "denoise", "strength": 0.4 }] })).await;
    server.run_jobs().await;
    assert_eq!(renditions(&owner, &media).await[0]["name"], "Oma 1931 (restored 2).jpg");
    assert_eq!(
        actions(&owner).await,
        ["restoration.finish", "restoration.request", "restoration.finish", "restoration.request"]
    );
    let all =
        owner.json(&format!("/api/v1/restorations?media_id={}&limit=1", media["id"].as_str().unwrap())).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    let next = all["next_cursor"].as_str().unwrap();
    let rest = owner.json(&format!("/api/v1/restorations?state=succeeded&limit=1&cursor={next}")).await;
    assert_eq!((&rest["items"][0]["id"], &rest["next_cursor"]), (&asked["id"], &Value::Null));
    assert!(owner.json("/api/v1/restorations?state=failed").await["items"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_needs_nothing_is_left_alone() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("fine.jpg", noisy_jpeg()).await;
    // Without a mask there is nothing to fill.
    let asked = ask(&owner, &media, json!({ "steps": [{ "step": "inpaint" }] })).await;
    server.run_jobs().await;
    let done = look(&owner, &asked).await;
    assert_eq!((&done["state"], &done["outcome"]), (&json!("succeeded"), &json!("unchanged")), "{done}");
    assert_eq!(done["rendition_id"], Value::Null);
    assert_eq!(done["report"][0]["decision"], "skipped");
    assert!(renditions(&owner, &media).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_damage_under_a_mask_is_filled() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("torn.jpg", noisy_jpeg()).await;
    let painted = BASE64_STANDARD.encode(mask(200, 150));
    let body = json!({ "steps": [{ "step": "fade", "strength": 0 }], "mask": painted });
    let asked = ask(&owner, &media, body.clone()).await;
    let steps: Vec<&Value> = asked["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["inpaint"]);
    // The sweeper knows that the mask is needed.
    server.clock.advance(Duration::from_secs(3 * 24 * 3600));
    server.run_jobs().await;
    let done = look(&owner, &asked).await;
    assert_eq!(done["report"][0]["decision"], "applied", "{done}");

    let body =
        json!({ "mask": format!("data:image/png;base64,{painted}"), "steps": [{ "step": "inpaint" }] });
    ask(&owner, &media, body).await;
    for (bad, why) in [
        ("no base64!".to_owned(), "base64"),
        (BASE64_STANDARD.encode(b"no picture"), "read"),
        (BASE64_STANDARD.encode(&mask(200, 150)[..300]), "read"),
        (BASE64_STANDARD.encode(mask(150, 200)), "150 x 200"),
        (BASE64_STANDARD.encode(noisy_jpeg()), "masks are PNG"),
    ] {
        let path = format!("/api/v1/media/{}/restorations", media["id"].as_str().unwrap());
        let answer = owner.post(&path).json(&json!({ "mask": bad })).send().await.unwrap();
        let body = problem(answer, 422, "bad-mask").await;
        assert!(body["detail"].as_str().unwrap().contains(why), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_done_is_refused_at_once() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let text = owner.upload_ok("letter.txt", "Dear Olive").await;
    let of = |media: &Value| format!("/api/v1/media/{}/restorations", media["id"].as_str().unwrap());
    let unknown = "01990000-0000-7000-8000-000000000000";
    for (path, body, status, code) in [
        (of(&media), json!({ "steps": [{ "step": "sharpen" }] }), 422, "unknown-step"),
        (of(&media), json!({ "steps": [{ "step": "colorize" }] }), 422, "unknown-step"),
        (of(&media), json!({ "steps": [{ "step": "fade", "engine": "moon" }] }), 422, "unknown-engine"),
        (of(&media), json!({ "steps": [{ "step": "fade", "model": "gfpgan" }] }), 422, "unknown-engine"),
        (of(&media), json!({ "steps": [{ "step": "fade", "strength": 1.5 }] }), 422, "validation"),
        (of(&media), json!({ "steps": [{ "step": "fade", "parameters": { "x": 1 } }] }), 422, "validation"),
        (of(&media), json!({ "preset": "best" }), 422, "unknown-preset"),
        (of(&media), json!({ "version_id": unknown }), 404, "not-found"),
        (of(&text), json!({}), 422, "not-a-picture"),
        (format!("/api/v1/media/{unknown}/restorations"), json!({}), 404, "not-found"),
        (format!("/api/v1/restorations/{unknown}/cancel"), json!({}), 404, "not-found"),
    ] {
        let answer = owner.post(&path).json(&body).send().await.unwrap();
        problem(answer, status, code).await;
    }
    problem(owner.get(&format!("/api/v1/restorations/{unknown}")).send().await.unwrap(), 404, "not-found")
        .await;
    assert!(owner.json("/api/v1/restorations").await["items"].as_array().unwrap().is_empty());
    assert_eq!(
        owner
            .delete(&format!("/api/v1/media/{}", media["id"].as_str().unwrap()))
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    let answer = owner.post(&of(&media)).json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 409, "what lies in the trash is not restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_can_not_restore() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let editor = server.add_user(&owner, "editor").await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let path = format!("/api/v1/media/{}/restorations", media["id"].as_str().unwrap());
    problem(viewer.post(&path).json(&json!({})).send().await.unwrap(), 403, "forbidden").await;
    problem(server.browser().post(&path).json(&json!({})).send().await.unwrap(), 401, "not-signed-in").await;
    let asked = ask(&editor, &media, json!({})).await;
    assert_eq!(look(&viewer, &asked).await["state"], "queued");
    let cancel = format!("/api/v1/restorations/{}/cancel", asked["id"].as_str().unwrap());
    problem(viewer.post(&cancel).send().await.unwrap(), 403, "forbidden").await;
    for path in ["/api/v1/presets", "/api/v1/models", "/api/v1/restorations"] {
        viewer.json(path).await;
        problem(server.browser().get(path).send().await.unwrap(), 401, "not-signed-in").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_and_models_tell_what_can_be_asked_for() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let presets = owner.json("/api/v1/presets").await;
    let names: Vec<&Value> =
        presets["items"].as_array().unwrap().iter().map(|preset| &preset["name"]).collect();
    assert_eq!(names[..3], ["auto", "gentle", "strong"]);
    for name in ["quick", "black_and_white", "colour_print_1970s", "newspaper_clipping", "enlarge_2x"] {
        assert!(names.contains(&&json!(name)), "{name}");
    }
    assert!(
        presets["items"][0]["steps"][0]["strength"].is_number() && presets["items"][0]["title"].is_string()
    );
    let models = owner.json("/api/v1/models").await;
    let builtin = &models["items"][0];
    assert_eq!(
        (&builtin["id"], &builtin["engine"], &builtin["recreates"]),
        (&json!("builtin"), &json!("builtin"), &json!(false))
    );
    let steps: Vec<&str> =
        builtin["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    for step in
        ["deblock", "descreen", "inpaint", "denoise", "chroma", "fade", "deblur", "local_contrast", "upscale"]
    {
        assert!(steps.contains(&step), "{step}");
    }
    assert!(
        builtin["steps"][0]["default_strength"].is_number() && builtin["steps"][0]["description"].is_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suggestion_says_in_words_what_a_picture_needs_and_can_be_asked_for() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let path = format!("/api/v1/media/{}/suggestion", media["id"].as_str().unwrap());
    let suggestion = viewer.json(&path).await;
    let findings = suggestion["findings"].as_array().unwrap();
    let noise = findings.iter().find(|finding| finding["step"] == "denoise").expect("a noisy picture");
    assert!(noise["words"].as_str().unwrap().contains("noise"), "{noise}");
    assert!(noise["evidence"]["noise_luma"].as_f64().unwrap() > 1.0);
    assert!(suggestion["summary"].is_string() && suggestion["version_id"].is_string());
    assert_eq!(suggestion["steps"].as_array().unwrap().len(), findings.len());
    let asked = ask(&owner, &media, json!({ "steps": suggestion["steps"] })).await;
    assert_eq!(asked["state"], "queued", "the steps can be asked for as they are");
    assert!(renditions(&owner, &media).await.is_empty(), "looking changes nothing");

    let broken = owner.upload_ok("half.jpg", &noisy_jpeg()[..2000]).await;
    let path_of_broken = format!("/api/v1/media/{}/suggestion", broken["id"].as_str().unwrap());
    problem(owner.get(&path_of_broken).send().await.unwrap(), 422, "truncated").await;
    let text = owner.upload_ok("letter.txt", b"Dear all").await;
    let path_of_text = format!("/api/v1/media/{}/suggestion", text["id"].as_str().unwrap());
    problem(owner.get(&path_of_text).send().await.unwrap(), 422, "not-a-picture").await;
    let unknown = "/api/v1/media/0198c0de-0000-7000-8000-000000000000/suggestion";
    problem(owner.get(unknown).send().await.unwrap(), 404, "not-found").await;
    problem(server.browser().get(&path).send().await.unwrap(), 401, "not-signed-in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enlarging_adds_a_rendition_of_twice_the_size() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({ "steps": [{ "step": "upscale" }] })).await;
    server.run_jobs().await;
    assert_eq!(look(&owner, &asked).await["state"], "succeeded");
    let made = renditions(&owner, &media).await;
    let side = |value: &Value, name: &str| value[name].as_u64().unwrap();
    assert_eq!(side(&made[0], "width"), 2 * side(&media, "width"));
    assert_eq!(side(&made[0], "height"), 2 * side(&media, "height"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_picture_fails_with_a_sentence() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let whole = noisy_jpeg();
    let media = owner.upload_ok("half.jpg", &whole[..whole.len() / 2]).await;
    let asked = ask(&owner, &media, json!({})).await;
    server.run_jobs().await;
    let failed = look(&owner, &asked).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["error"]["code"], "truncated");
    assert_eq!(failed["error"]["detail"], "The JPEG file is cut off: its end is missing.");
    assert!(failed["finished_at"].is_string() && failed["rendition_id"].is_null());
    assert!(renditions(&owner, &media).await.is_empty());
    assert_eq!(actions(&owner).await[0], "restoration.fail");
    let jobs = owner.json("/api/v1/jobs?state=failed").await;
    assert_eq!(jobs["items"][0]["attempts"], 1, "trying again would not help: {jobs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_restoration_is_cancelled_at_once_and_never_runs() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({})).await;
    let cancel = format!("/api/v1/restorations/{}/cancel", asked["id"].as_str().unwrap());
    let answer: Value = owner.post(&cancel).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["state"], "cancelled");
    server.run_jobs().await;
    let after = look(&owner, &asked).await;
    assert_eq!((&after["state"], &after["started_at"]), (&json!("cancelled"), &Value::Null));
    let again = owner.post(&cancel).send().await.unwrap();
    assert_eq!(again.json::<Value>().await.unwrap(), after, "what has ended stays as it is");
    assert_eq!(actions(&owner).await, ["restoration.cancel", "restoration.request"]);
}

/// An engine under the test's control: it stands still at the middle until it is let go or cancelled.
struct Patient {
    released: Arc<Notify>,
}

impl Engine for Patient {
    fn name(&self) -> &'static str {
        "builtin"
    }

    fn title(&self) -> &'static str {
        "Patient"
    }

    fn steps(&self) -> &'static [StepInfo] {
        &[StepInfo { step: Step::Denoise, title: "Wait", description: "Waits.", default_strength: 1.0 }]
    }

    fn recreates(&self) -> bool {
        false
    }

    fn restore(
        &self,
        work: Work,
        context: engine::Context,
    ) -> BoxFuture<'_, Result<Restored, engine::Error>> {
        Box::pin(async move {
            context.progress.report(0.5, Step::Denoise);
            tokio::select! {
                () = self.released.notified() => {}
                () = context.cancel.cancelled() => return Err(engine::Error::Cancelled),
            }
            let report = vec![StepReport {
                step: Step::Denoise,
                strength: 1.0,
                engine: "builtin".into(),
                model: None,
                decision: Decision::Applied,
                reason: "It was told to.".into(),
                evidence: [("noise".to_owned(), 1.5)].into_iter().collect(),
                duration_ms: 1,
            }];
            Ok(Restored { image: work.image, report, outcome: Outcome::Restored })
        })
    }
}

/// Lets the jobs of a server be done by a patient engine, in the background.
fn run_patiently(server: &TestServer) -> (Arc<Notify>, CancellationToken, tokio::task::JoinHandle<()>) {
    let released = Arc::new(Notify::new());
    let mut app = server.app.clone();
    app.engines.add(Arc::new(Patient { released: Arc::clone(&released) }));
    let stopping = CancellationToken::new();
    let running = tokio::spawn(server::runner(&app).run(stopping.clone()));
    (released, stopping, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_watch_see_how_far_it_is_and_a_running_restoration_can_be_cancelled() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({ "steps": [{ "step": "denoise" }] })).await;
    let (_, stopping, running) = run_patiently(&server);
    let halfway = until(&server.app.db, &owner, &asked, |now| now["progress"].as_f64().unwrap() > 0.4).await;
    assert_eq!((&halfway["state"], &halfway["step"]), (&json!("running"), &json!("denoise")));
    assert!(halfway["started_at"].is_string());

    let cancel = format!("/api/v1/restorations/{}/cancel", asked["id"].as_str().unwrap());
    assert_eq!(owner.post(&cancel).send().await.unwrap().status(), 200);
    let ended = until(&server.app.db, &owner, &asked, |now| now["state"] == "cancelled").await;
    assert_eq!((&ended["step"], &ended["error"]), (&Value::Null, &Value::Null));
    stopping.cancel();
    running.await.unwrap();
    assert!(renditions(&owner, &media).await.is_empty());

    let events = server.app.db.read(|conn| safelight::api::events::after(conn, 0, 100)).await.unwrap();
    let seen: Vec<Value> = events
        .iter()
        .filter(|event| event.name == "restoration" && event.audience.starts_with("bucket:"))
        .map(|event| serde_json::from_str(&event.data).unwrap())
        .collect();
    let states: Vec<&str> = seen.iter().map(|event| event["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "running", "running", "cancelled"]);
    assert_eq!(seen[2]["step"], "denoise");
    assert_eq!(seen[3], ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_outlives_the_process_that_ran_it() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({ "steps": [{ "step": "denoise", "strength": 1 }] })).await;
    let (_, _, running) = run_patiently(&server);
    until(&server.app.db, &owner, &asked, |now| now["state"] == "running").await;
    // No chance to hand anything back, as with kill -9.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(look(&owner, &asked).await["state"], "running");

    let (released, stopping, running) = run_patiently(&server);
    released.notify_one();
    let done = until(&server.app.db, &owner, &asked, |now| now["state"] == "succeeded").await;
    assert_eq!(done["outcome"], "restored");
    stopping.cancel();
    running.await.unwrap();
    assert_eq!(renditions(&owner, &media).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_hands_the_restoration_back() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({ "steps": [{ "step": "denoise" }] })).await;
    let (_, stopping, running) = run_patiently(&server);
    until(&server.app.db, &owner, &asked, |now| now["state"] == "running").await;
    stopping.cancel();
    running.await.unwrap();
    let waiting = look(&owner, &asked).await;
    assert_eq!(
        (&waiting["state"], &waiting["progress"], &waiting["step"]),
        (&json!("queued"), &json!(0.0), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_that_runs_twice_has_one_result() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({ "preset": "strong" })).await;
    server.run_jobs().await;
    let first = look(&owner, &asked).await;
    let again = "UPDATE jobs SET state = 'queued', finished_at = NULL WHERE kind = 'restore'";
    server.app.db.write(move |tx| Ok::<_, safelight::db::Error>(tx.execute(again, [])?)).await.unwrap();
    assert!(server.run_jobs().await > 0);
    assert_eq!(look(&owner, &asked).await, first);
    assert_eq!(renditions(&owner, &media).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_tried_again() {
    let original =
        imaging::encode(&scene(200, 150, Channels::Rgb, 8, 14.0), &EncodeOptions::new(Format::Jpeg)).unwrap();
    let room = original.len() as u64 + 1000;
    let server = TestServer::start_on(|_| (), Some(Storage::memory_of(room))).await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", original).await;
    let asked = ask(&owner, &media, json!({ "steps": [{ "step": "local_contrast", "strength": 1 }] })).await;
    server.run_jobs().await;
    let waiting = look(&owner, &asked).await;
    assert_eq!(
        (&waiting["state"], &waiting["error"]["code"]),
        (&json!("queued"), &json!("disk-full")),
        "{waiting}"
    );
    for _ in 0..10 {
        server.clock.advance(Duration::from_secs(2 * 3600));
        server.run_jobs().await;
    }
    let failed = look(&owner, &asked).await;
    assert_eq!((&failed["state"], &failed["error"]["code"]), (&json!("failed"), &json!("disk-full")));
    assert!(renditions(&owner, &media).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_that_is_removed_meanwhile_takes_its_restorations_along() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, json!({ "mask": BASE64_STANDARD.encode(mask(200, 150)) })).await;
    let path = format!("/api/v1/media/{}", media["id"].as_str().unwrap());
    assert_eq!(owner.delete(&path).send().await.unwrap().status(), 204);
    assert_eq!(owner.delete(&format!("{path}?purge=true")).send().await.unwrap().status(), 204);
    server.run_jobs().await;
    let gone =
        owner.get(&format!("/api/v1/restorations/{}", asked["id"].as_str().unwrap())).send().await.unwrap();
    problem(gone, 404, "not-found").await;
    assert!(owner.json("/api/v1/jobs?state=failed").await["items"].as_array().unwrap().is_empty());
    let wanted = "SELECT count(*) FROM blobs WHERE condemned_at IS NULL";
    let wanted: i64 = server
        .app
        .db
        .read(move |conn| Ok::<_, safelight::db::Error>(conn.query_row(wanted, [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(wanted, 0, "neither the picture nor its mask is kept");
}

fn decode(bytes: &[u8]) -> Decoded {
    imaging::decode_bytes(bytes, &Options::held(Limits::default())).unwrap()
}

fn one(step: Step) -> Vec<StepRequest> {
    vec![StepRequest { step, strength: 1.0 }]
}

async fn made(bytes: &[u8], order: Order) -> Result<Made, pipeline::Error> {
    let (engines, budget) = (Engines::new(), Budget::new(1 << 30));
    let workshop = Workshop { engines: &engines, budget: &budget, limits: Limits { max_pixels: 1_000_000 } };
    let source = std::io::Cursor::new(bytes.to_vec());
    let made =
        pipeline::restore(source, order, workshop, Progress::silent(), &CancellationToken::new()).await;
    assert_eq!(budget.free_bytes(), budget.total_bytes(), "all memory is given back");
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn format_depth_profile_exif_and_orientation_are_kept() {
    let p3 = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let gamma = moxcms::ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    for (format, channels, depth) in [
        (Format::Jpeg, Channels::Rgb, 8),
        (Format::Jpeg, Channels::Gray, 8),
        (Format::Png, Channels::Rgb, 8),
        (Format::Png, Channels::Rgba, 8),
        (Format::Png, Channels::Rgb, 16),
        (Format::Png, Channels::Gray, 16),
        (Format::Png, Channels::GrayAlpha, 16),
        (Format::Tiff, Channels::Rgb, 8),
        (Format::Tiff, Channels::Rgb, 16),
        (Format::Tiff, Channels::Gray, 16),
        (Format::Webp, Channels::Rgb, 8),
        (Format::Webp, Channels::Rgba, 8),
    ] {
        let what = format!("{format:?} {channels:?} {depth}");
        let icc = if channels.colour_count() == 1 { gamma.clone() } else { p3.clone() };
        let options =
            EncodeOptions { icc: Some(icc.clone()), exif: Some(exif(6)), ..EncodeOptions::new(format) };
        let bytes = imaging::encode(&scene(120, 90, channels, depth, 12.0), &options).unwrap();
        let before = decode(&bytes);
        let made = made(&bytes, Order { steps: one(Step::LocalContrast), ..Order::default() }).await.unwrap();
        assert_eq!(made.outcome, Outcome::Restored, "{what}");
        assert_eq!((made.width, made.height), before.source.displayed_size(), "{what}");
        let file = made.file.expect("it was restored");
        assert_eq!(file.format, format, "{what}");
        let after = decode(&file.bytes);
        let Image { width, height, channels, .. } = after.image;
        assert_eq!((width, height, channels), (120, 90, before.image.channels), "{what}");
        assert_eq!(after.image.bit_depth(), depth, "{what}");
        assert_eq!(after.icc, Some(icc), "{what}");
        assert_eq!(after.orientation, before.orientation, "{what}");
        assert_eq!(after.source.metadata.camera_make.as_deref(), Some("Voigtl."), "{what}");
        assert_ne!(after.image, before.image, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gif_becomes_a_png_and_an_animation_is_refused() {
    let still = gif(1);
    let order = Order { steps: one(Step::LocalContrast), ..Order::default() };
    let restored = made(&still, order.clone()).await.unwrap().file.expect("it was restored");
    assert_eq!(restored.format, Format::Png);
    assert_eq!(decode(&restored.bytes).format(), Format::Png);
    // Nothing to do: the GIF itself is the result.
    assert!(
        made(&still, Order { steps: one(Step::Inpaint), ..Order::default() }).await.unwrap().file.is_none()
    );
    let error = made(&gif(3), order).await.unwrap_err();
    assert_eq!(error.code(), "animated");
    assert_eq!(
        pipeline::sentence(&error),
        "This is an animation of 3 frames: only still pictures can be restored."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_beyond_the_limits_is_refused_by_its_header() {
    let image = scene(4, 4, Channels::Gray, 8, 0.0);
    let mut bytes = imaging::encode(&image, &EncodeOptions::new(Format::Png)).unwrap();
    // 60,000 x 60,000 in the header, with its checksum.
    bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    let error = made(&bytes, Order::default()).await.unwrap_err();
    assert_eq!(error.code(), "too-large", "{error}");
    for (junk, code) in
        [(&b""[..], "not-a-picture"), (b"hello", "not-a-picture"), (b"\xff\xd8\xff", "truncated")]
    {
        assert_eq!(made(junk, Order::default()).await.unwrap_err().code(), code);
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 },
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_given_as_the_picture_is_displayed() {
    let options = EncodeOptions { exif: Some(exif(6)), ..EncodeOptions::new(Format::Png) };
    let bytes = imaging::encode(&scene(120, 90, Channels::Rgb, 8, 0.0), &options).unwrap();
    let order = |mask: Vec<u8>| Order { steps: one(Step::Inpaint), mask: Some(mask), ..Order::default() };
    let filled = made(&bytes, order(mask(90, 120))).await.unwrap();
    let (before, after) = (decode(&bytes).image, decode(&filled.file.unwrap().bytes).image);
    let changed = changed_columns(&before, &after);
    // The top rows of the display are the left columns of what is stored.
    assert!(
        changed.iter().any(|column| *column) && changed[12..].iter().all(|column| !column),
        "{changed:?}"
    );
    assert_eq!(made(&bytes, order(mask(120, 90))).await.unwrap_err().code(), "bad-mask");
}

fn changed_columns(before: &Image, after: &Image) -> Vec<bool> {
    let (imaging::Samples::U8(old), imaging::Samples::U8(new)) = (&before.samples, &after.samples) else {
        panic!("8 bits")
    };
    let row = before.width as usize * 3;
    let mut changed = vec![false; before.width as usize];
    for (at, (old, new)) in old.iter().zip(new).enumerate() {
        changed[at % row / 3] |= old != new;
    }
    changed
}
