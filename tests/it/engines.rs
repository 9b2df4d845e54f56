//! Engines: one contract for all of them, here and on other machines, and everything that others may do wrong.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight::config;
use safelight::imaging::{self, Channels, EncodeOptions, Format, Limits, Options, Samples, SourceType};
use safelight::outbound::{self, Method, Outbound};
use safelight::server;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::photographs::{noisy_jpeg, scene};
use super::providers::{Mood, Provider, TOKEN};
use super::support::{Browser, TestServer, problem};

/// A model of each way to speak to another machine: its id, its engine and how it is described.
fn models(url: &str) -> Vec<(&'static str, &'static str, Value)> {
    let hugging_face = |provider: &str| json!({ "target": "acme/editor", "provider": provider });
    vec![
        ("a-replicate", "replicate", json!({ "target": "acme/mend", "price_usd": 0.01 })),
        ("a-version", "replicate", json!({ "target": "acme/mend:5c7d", "image_input": "img" })),
        ("a-fal", "hugging_face", hugging_face("fal-ai")),
        ("a-routed-replicate", "hugging_face", hugging_face("replicate")),
        ("a-wavespeed", "hugging_face", hugging_face("wavespeed")),
        ("a-together", "hugging_face", hugging_face("together")),
        ("an-endpoint", "hugging_face", json!({ "target": url })),
        ("a-space", "space", json!({ "target": url })),
    ]
}

pub(crate) async fn add_model(owner: &Browser, id: &str, engine: &str, settings: &Value) -> Value {
    let mut model = json!({ "id": id, "name": format!("Model {id}"), "engine": engine, "steps": ["enhance"], "recreates": true });
    model.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let answer = owner.post("/api/v1/models").json(&model).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// A server whose engines all use a stand-in, with an owner and a photograph of 200 x 150.
pub(crate) async fn set_up() -> (TestServer, Provider, Browser, Value) {
    let provider = Provider::start().await;
    let server = TestServer::start_with(|config| {
        provider.configure(config);
        let folder = config.data_dir.join("models");
        super::models::put_network(&folder, "soften", "");
        config.engines.onnx.models_dir = Some(folder);
    })
    .await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    for (id, engine, settings) in models(&provider.url) {
        add_model(&owner, id, engine, &settings).await;
    }
    (server, provider, owner, media)
}

pub(crate) fn path_of(media: &Value) -> String {
    format!("/api/v1/media/{}", media["id"].as_str().unwrap())
}

pub(crate) async fn ask(owner: &Browser, media: &Value, steps: Value) -> Value {
    let path = format!("{}/restorations", path_of(media));
    let answer = owner.post(&path).json(&json!({ "steps": steps })).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

pub(crate) async fn look(owner: &Browser, asked: &Value) -> Value {
    owner.json(&format!("/api/v1/restorations/{}", asked["id"].as_str().unwrap())).await
}

pub(crate) fn enhance(model: &str) -> Value {
    json!([{ "step": "enhance", "model": model }])
}

/// The restored picture's bytes.
pub(crate) async fn content(owner: &Browser, media: &Value, done: &Value) -> Vec<u8> {
    let path = format!("{}/renditions/{}/content", path_of(media), done["rendition_id"].as_str().unwrap());
    owner.get(&path).send().await.unwrap().bytes().await.unwrap().to_vec()
}

pub(crate) fn brightness(file: &[u8]) -> (u32, u32, f64) {
    let image = imaging::decode_bytes(file, &Options::held(Limits::default())).unwrap().image;
    let Samples::U8(samples) = &image.samples else { panic!("8 bits") };
    let sum: u64 = samples.iter().map(|sample| u64::from(*sample)).sum();
    (image.width, image.height, sum as f64 / samples.len() as f64)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_keeps_the_same_contract() {
    let (server, provider, owner, media) = set_up().await;
    let before = brightness(&noisy_jpeg());
    let mut here = vec![("builtin", "local_contrast", "builtin")];
    if cfg!(feature = "onnx") {
        here.push(("onnx-soften", "denoise", "onnx"));
    }
    let there = models(&provider.url).into_iter().map(|(id, engine, _)| (id, "enhance", engine));
    for (model, step, engine) in here.into_iter().chain(there) {
        provider.forget();
        let asked = ask(&owner, &media, json!([{ "step": step, "model": model, "strength": 1.0 }])).await;
        assert_eq!((&asked["state"], &asked["error"]), (&json!("queued"), &Value::Null), "{model}");
        server.run_jobs().await;
        let done = look(&owner, &asked).await;
        assert_eq!(
            (&done["state"], &done["outcome"]),
            (&json!("succeeded"), &json!("restored")),
            "{model}: {done}"
        );
        let told = &done["report"][0];
        assert_eq!(
            (&told["engine"], &told["decision"]),
            (&json!(engine), &json!("applied")),
            "{model}: {told}"
        );
        assert!(!told["reason"].as_str().unwrap().is_empty() && told["evidence"].is_object(), "{model}");
        let rendition = owner.json(&format!("{}/renditions", path_of(&media))).await["items"][0].clone();
        assert_eq!(rendition["id"], done["rendition_id"], "{model}");
        let remote = !matches!(engine, "builtin" | "onnx");
        assert_eq!(rendition["ai_generated"], remote, "{model}");
        assert_eq!(rendition["provenance"]["steps"], done["report"], "{model}");
        let file = content(&owner, &media, &done).await;
        let (width, height, light) = brightness(&file);
        assert_eq!((width, height), (200, 150), "{model}");
        let uri = SourceType::CompositeWithModel.uri().as_bytes();
        assert_eq!(file.windows(uri.len()).any(|window| window == uri), remote, "{model}");
        let seen = provider.seen();
        assert_eq!(seen.created, usize::from(remote), "{model}");
        if remote {
            assert!((light - 250.0).abs() < 2.0, "{model}: {light}");
            assert_eq!(told["model"], model);
            let provider = match model {
                "a-fal" => "/fal-ai/",
                "a-routed-replicate" => "/replicate/",
                "a-wavespeed" => "/wavespeed/",
                "a-together" => "/together/",
                _ => "/",
            };
            let created = seen.created_at.as_deref().unwrap();
            assert!(created.starts_with(provider), "{model}: each is run by whom it names: {created}");
        } else {
            assert!((light - before.2).abs() < 20.0, "{light}");
            assert!(seen.requests.is_empty(), "nothing leaves the machine");
        }
    }
    // What a provider computes and what it costs is written down.
    let all = owner.json("/api/v1/restorations?state=succeeded&limit=50").await;
    let of = |id: &str| {
        let found = all["items"].as_array().unwrap().iter().find(|one| one["report"][0]["model"] == id);
        found.unwrap()["report"][0]["evidence"].clone()
    };
    assert_eq!(
        (&of("a-replicate")["cost_usd"], &of("a-replicate")["compute_s"]),
        (&json!(0.01), &json!(1.5))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_here_and_elsewhere_work_on_one_picture_in_the_order_asked_for() {
    let (server, provider, owner, _) = set_up().await;
    let large =
        imaging::encode(&scene(400, 240, Channels::Rgb, 8, 10.0), &EncodeOptions::new(Format::Png)).unwrap();
    let media = owner.upload_ok("large.png", large.clone()).await;
    let change = json!({ "max_side": 200, "parameters": { "scale": 3, "words": "mend" } });
    assert_eq!(owner.patch("/api/v1/models/a-replicate").json(&change).send().await.unwrap().status(), 200);
    provider.mood(Mood::Sized(200, 120));
    let steps = json!([
        { "step": "denoise", "strength": 1 },
        { "step": "enhance", "model": "a-replicate", "strength": 0.5, "parameters": { "words": "mend it well" } },
        { "step": "local_contrast", "strength": 1 },
    ]);
    let asked = ask(&owner, &media, steps).await;
    server.run_jobs().await;
    let done = look(&owner, &asked).await;
    let order: Vec<&Value> = done["report"].as_array().unwrap().iter().map(|told| &told["step"]).collect();
    assert_eq!(order, ["denoise", "enhance", "local_contrast"], "{done}");
    let told = done["report"][1].clone();
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("200 x 120 pixels instead of 400 x 240"), "{reason}");
    assert_eq!((&told["strength"], &told["evidence"]["sent_width"]), (&json!(0.5), &json!(200.0)));
    let body = provider.seen().body;
    assert_eq!((&body["version"], &body["input"]["scale"]), (&json!("5c7d"), &json!(3)), "{body}");
    assert_eq!(body["input"]["words"], "mend it well");
    assert!(body["input"]["img"].as_str().unwrap().starts_with("data:image/jpeg;base64,"));
    let (width, height, light) = brightness(&content(&owner, &media, &done).await);
    let half = (brightness(&large).2 + 250.0) / 2.0;
    assert_eq!((width, height), (200, 120), "the model's size is kept");
    assert!((light - half).abs() < 20.0, "half of it is the photograph: {light} {half}");
    let rendition = owner.json(&format!("{}/renditions", path_of(&media))).await["items"][0].clone();
    assert_eq!(rendition["provenance"]["engine"], "builtin+replicate");

    // A marked place is all that changes, also where the model draws everything.
    let mut painted = scene(400, 240, Channels::Gray, 8, 0.0);
    painted.samples = Samples::U8((0..400 * 240).map(|at| if at % 400 < 200 { 255 } else { 0 }).collect());
    let painted =
        BASE64_STANDARD.encode(imaging::encode(&painted, &EncodeOptions::new(Format::Png)).unwrap());
    let marked = json!([{ "step": "enhance", "model": "a-replicate", "mask": painted }]);
    provider.mood(Mood::Sized(400, 240));
    let asked = ask(&owner, &media, marked.clone()).await;
    server.run_jobs().await;
    let file = content(&owner, &media, &look(&owner, &asked).await).await;
    let of = |file: &[u8]| match imaging::decode_bytes(file, &Options::held(Limits::default()))
        .unwrap()
        .image
        .samples
    {
        Samples::U8(samples) => samples,
        Samples::U16(_) => panic!("8 bits"),
    };
    let (before, after) = (of(&large), of(&file));
    let at = |x: usize| (120 * 400 + x) * 3;
    assert!(after[at(0)..at(190)].iter().all(|sample| *sample == 250));
    assert_eq!(after[at(206)..at(400)], before[at(206)..at(400)]);
    provider.mood(Mood::Sized(64, 64));
    let asked = ask(&owner, &media, marked).await;
    server.run_jobs().await;
    let done = look(&owner, &asked).await;
    assert_eq!(
        (&done["outcome"], &done["report"][0]["decision"]),
        (&json!("unchanged"), &json!("skipped")),
        "{done}"
    );

    // A picture of another shape can't be mixed in, and that is said.
    provider.mood(Mood::Sized(64, 64));
    let asked =
        ask(&owner, &media, json!([{ "step": "enhance", "model": "a-replicate", "strength": 0.5 }])).await;
    server.run_jobs().await;
    let done = look(&owner, &asked).await;
    assert!(done["report"][0]["reason"].as_str().unwrap().contains("another shape"), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_elsewhere_has_a_name_and_is_never_paid_twice() {
    let (server, provider, owner, media) = set_up().await;
    let other = Provider::start().await;
    let elsewhere = format!("{}/results/1.png", other.url);
    let (all, queued): (&[&str], &[&str]) = (&[], &["a-replicate", "a-fal", "a-wavespeed", "a-space"]);
    // The mood, whose models, how it ends, with which code, and how many jobs were created.
    let table: [(Mood, &[&str], &str, Value, usize); 13] = [
        (Mood::Refusing(429, 2), all, "succeeded", Value::Null, 1),
        (Mood::Refusing(503, 2), all, "succeeded", Value::Null, 1),
        (Mood::Refusing(402, 1), all, "failed", json!("engine-no-credits"), 0),
        (Mood::Refusing(403, 1), all, "failed", json!("engine-not-allowed"), 0),
        (Mood::Refusing(422, 1), all, "failed", json!("engine-bad-request"), 0),
        (
            Mood::Breaking,
            &["a-replicate", "a-fal", "a-together", "a-space"],
            "failed",
            json!("outcome-unknown"),
            1,
        ),
        (Mood::Failing, all, "failed", Value::Null, 1),
        (Mood::Html, all, "failed", json!("bad-result"), 1),
        (Mood::Truncated, all, "failed", json!("bad-result"), 1),
        (Mood::Huge, &["a-replicate", "a-fal", "an-endpoint"], "failed", json!("bad-result"), 1),
        (Mood::Moved(elsewhere.clone()), queued, "failed", json!("refused-address"), 1),
        (
            Mood::Elsewhere(elsewhere),
            &["a-replicate", "a-fal", "a-wavespeed"],
            "failed",
            json!("refused-address"),
            1,
        ),
        (Mood::Sized(640, 480), all, "succeeded", Value::Null, 1),
    ];
    for (mood, which, state, code, created) in table {
        for (model, ..) in models(&provider.url) {
            if !which.is_empty() && !which.contains(&model) {
                continue;
            }
            provider.mood(mood.clone());
            provider.forget();
            let asked = ask(&owner, &media, enhance(model)).await;
            server.run_jobs().await;
            let ended = look(&owner, &asked).await;
            assert_eq!(ended["state"], state, "{mood:?} {model}: {ended}");
            if !code.is_null() {
                assert_eq!(ended["error"]["code"], code, "{mood:?} {model}: {ended}");
            }
            assert_eq!(provider.seen().created, created, "{mood:?} {model}");
        }
    }
    assert!(other.seen().requests.is_empty(), "a private address of a stranger is not even asked");

    // A provider that is busy for long is tried again later, by the queue.
    provider.mood(Mood::Refusing(503, 1000));
    let asked = ask(&owner, &media, enhance("a-replicate")).await;
    server.run_jobs().await;
    let waiting = look(&owner, &asked).await;
    assert_eq!(
        (&waiting["state"], &waiting["error"]["code"]),
        (&json!("queued"), &json!("engine-busy")),
        "{waiting}"
    );

    // What is no longer offered is marked, and not asked for again until an admin switches it on.
    provider.mood(Mood::Refusing(410, 1));
    let asked = ask(&owner, &media, enhance("a-fal")).await;
    server.run_jobs().await;
    assert_eq!(look(&owner, &asked).await["error"]["code"], "model-retired");
    let refused = owner.post(&format!("{}/restorations", path_of(&media)));
    let refused = refused.json(&json!({ "steps": enhance("a-fal") })).send().await.unwrap();
    problem(refused, 422, "model-retired").await;
    let on = owner.patch("/api/v1/models/a-fal").json(&json!({ "enabled": true })).send().await.unwrap();
    assert_eq!(on.json::<Value>().await.unwrap()["retired_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_waits_for_a_person() {
    let (server, provider, owner, media) = set_up().await;
    for (model, ..) in models(&provider.url) {
        provider.mood(Mood::Silent);
        provider.forget();
        let asked = ask(&owner, &media, enhance(model)).await;
        let running = tokio::spawn(server::runner(&server.app).run(CancellationToken::new()));
        provider.until(|seen| seen.created == 1).await;
        // No chance to write anything down, as with kill -9.
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());

        provider.mood(Mood::Fine);
        let stopping = CancellationToken::new();
        let running = tokio::spawn(server::runner(&server.app).run(stopping.clone()));
        let failed = until(&server, &owner, &asked, |now| now["state"] == "failed").await;
        assert_eq!(failed["error"]["code"], "outcome-unknown", "{model}: {failed}");
        assert_eq!(provider.seen().created, 1, "{model}");
        let retry = format!("/api/v1/restorations/{}/retry", asked["id"].as_str().unwrap());
        assert_eq!(owner.post(&retry).send().await.unwrap().status(), 200);
        until(&server, &owner, &asked, |now| now["state"] == "succeeded").await;
        assert_eq!(provider.seen().created, 2, "{model}: a person wanted it once more");
        problem(owner.post(&retry).send().await.unwrap(), 409, "not-ended").await;
        stopping.cancel();
        running.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_the_job_that_is_paid_for_and_a_cancelled_one_is_stopped_there() {
    let (server, provider, owner, media) = set_up().await;
    for model in ["a-replicate", "a-fal", "a-routed-replicate", "a-wavespeed", "a-space"] {
        provider.mood(Mood::Slow);
        provider.forget();
        let steps = json!([{ "step": "denoise" }, { "step": "enhance", "model": model }, { "step": "fade" }]);
        let asked = ask(&owner, &media, steps).await;
        let running = tokio::spawn(server::runner(&server.app).run(CancellationToken::new()));
        provider.until(|seen| seen.polled > 0).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());

        // A server that is told to stop leaves the job at the other side alone.
        let stopping = CancellationToken::new();
        let polled = provider.seen().polled;
        let running = tokio::spawn(server::runner(&server.app).run(stopping.clone()));
        provider.until(|seen| seen.polled > polled).await;
        stopping.cancel();
        running.await.unwrap();
        assert_eq!(
            (provider.seen().stopped, &look(&owner, &asked).await["state"]),
            (0, &json!("queued")),
            "{model}"
        );

        provider.mood(Mood::Fine);
        server.run_jobs().await;
        assert_eq!(look(&owner, &asked).await["state"], "succeeded", "{model}");
        assert_eq!(provider.seen().created, 1, "{model}: one job, over three processes");
    }

    provider.mood(Mood::Slow);
    provider.forget();
    let asked = ask(&owner, &media, enhance("a-replicate")).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(server::runner(&server.app).run(stopping.clone()));
    provider.until(|seen| seen.polled > 0).await;
    let cancel = format!("/api/v1/restorations/{}/cancel", asked["id"].as_str().unwrap());
    assert_eq!(owner.post(&cancel).send().await.unwrap().status(), 200);
    until(&server, &owner, &asked, |now| now["state"] == "cancelled").await;
    assert_eq!(provider.seen().stopped, 1);
    stopping.cancel();
    running.await.unwrap();
}

/// Waits until a restoration satisfies a condition; every change of it is a commit.
pub(crate) async fn until(
    server: &TestServer,
    owner: &Browser,
    asked: &Value,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let mut commits = server.app.db.commits();
    tokio::time::timeout(super::appliance::PATIENCE, async {
        loop {
            commits.mark_unchanged();
            let now = look(owner, asked).await;
            if wanted(&now) {
                return now;
            }
            commits.changed().await.unwrap();
        }
    })
    .await
    .expect("it gets there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_picture_is_uploaded_first_and_the_file_is_removed() {
    let (server, provider, owner, _) = set_up().await;
    let noisy =
        imaging::encode(&scene(900, 700, Channels::Rgb, 8, 40.0), &EncodeOptions::new(Format::Jpeg)).unwrap();
    assert!(noisy.len() > 256_000);
    let media = owner.upload_ok("large.jpg", noisy).await;
    let asked = ask(&owner, &media, enhance("a-replicate")).await;
    server.run_jobs().await;
    assert_eq!(look(&owner, &asked).await["state"], "succeeded");
    let seen = provider.seen();
    assert_eq!(
        (seen.uploads, &seen.body["input"]["img"]),
        (1, &json!(format!("{}/v1/files/file1", provider.url)))
    );
    let deleted =
        seen.requests.iter().any(|(method, path, _)| method == Method::DELETE && path == "/v1/files/file1");
    assert!(deleted, "{:?}", seen.requests);
    let tokens = seen.requests.iter().filter(|(_, path, _)| !path.starts_with("/results"));
    assert!(tokens.clone().all(|(.., token)| token.as_deref() == Some(&format!("Bearer {TOKEN}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_keep_the_list_of_models() {
    let (server, provider, owner, media) = set_up().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let list = viewer.json("/api/v1/models").await["items"].as_array().unwrap().clone();
    assert_eq!((&list[0]["id"], &list[0]["remote"]), (&json!("builtin"), &json!(false)));
    let find = |id: &str| {
        list.iter().find(|model| model["id"] == id).unwrap_or_else(|| panic!("{id}: {list:?}")).clone()
    };
    let shipped = find("replicate-gfpgan");
    assert_eq!(
        (&shipped["shipped"], &shipped["available"], &shipped["recreates"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(find("space-gfpgan")["available"], false, "only apps of one's own are permitted");
    let me = json!({ "id": "x", "name": "X", "engine": "replicate", "target": "a/b", "steps": ["face"], "recreates": false });
    problem(viewer.post("/api/v1/models").json(&me).send().await.unwrap(), 403, "forbidden").await;
    for (field, value) in [
        ("id", json!("a b")),
        ("id", json!("builtin")),
        ("engine", json!("builtin")),
        ("steps", json!([])),
        ("steps", json!(["fade"])),
        ("max_side", json!(1)),
        ("name", json!(" ")),
        ("price_usd", json!(-1)),
    ] {
        let mut wrong = me.clone();
        wrong[field] = value;
        let body =
            problem(owner.post("/api/v1/models").json(&wrong).send().await.unwrap(), 422, "validation").await;
        assert_eq!(body["errors"][0]["field"], field, "{body}");
    }
    add_model(&owner, "mine", "replicate", &json!({ "target": "acme/mend" })).await;
    problem(
        owner
            .post("/api/v1/models")
            .json(&json!({ "id": "mine", "name": "X", "engine": "replicate", "target": "a/b",
        "steps": ["face"], "recreates": false }))
            .send()
            .await
            .unwrap(),
        409,
        "model-exists",
    )
    .await;
    let form = owner.json("/api/v1/models/mine/form").await;
    assert_eq!(
        (&form["image_input"], &form["fields"][0]["kind"]),
        (&json!("img"), &json!("number")),
        "{form}"
    );
    assert_eq!((&form["fields"][0]["maximum"], &form["fields"][0]["default"]), (&json!(4.0), &json!(2)));
    for (model, ..) in models(&provider.url) {
        let test = owner.post(&format!("/api/v1/models/{model}/test")).send().await.unwrap();
        let test: Value = test.json().await.unwrap();
        assert_eq!((&test["ok"], &test["code"]), (&json!(true), &Value::Null), "{model}: {test}");
    }
    assert_eq!(provider.seen().created, 0, "a test costs nothing");
    let test = owner.post("/api/v1/models/replicate-gfpgan/test").send().await.unwrap();
    assert_eq!(test.json::<Value>().await.unwrap()["code"], "no-such-model");

    let off = json!({ "enabled": false });
    assert_eq!(owner.patch("/api/v1/models/mine").json(&off).send().await.unwrap().status(), 200);
    let path = format!("{}/restorations", path_of(&media));
    let refused = owner.post(&path).json(&json!({ "steps": enhance("mine") })).send().await.unwrap();
    problem(refused, 422, "model-disabled").await;
    assert_eq!(owner.patch("/api/v1/models/replicate-gfpgan").json(&off).send().await.unwrap().status(), 200);
    let named = json!({ "name": "Mine" });
    problem(
        owner.patch("/api/v1/models/replicate-gfpgan").json(&named).send().await.unwrap(),
        409,
        "model-shipped",
    )
    .await;
    problem(owner.delete("/api/v1/models/replicate-gfpgan").send().await.unwrap(), 409, "model-shipped")
        .await;
    assert_eq!(owner.delete("/api/v1/models/mine").send().await.unwrap().status(), 204);
    problem(owner.delete("/api/v1/models/mine").send().await.unwrap(), 404, "not-found").await;

    // An admin may name any model of a provider, others only those of the list.
    let any = json!({ "steps": [{ "step": "face", "engine": "replicate", "model": "acme/mend" }] });
    assert_eq!(owner.post(&path).json(&any).send().await.unwrap().status(), 202);
    let editor = server.add_user(&owner, "editor").await;
    problem(editor.post(&path).json(&any).send().await.unwrap(), 422, "unknown-engine").await;
    for (steps, code) in [
        (json!([{ "step": "face", "engine": "replicate" }]), "validation"),
        (json!([{ "step": "colorize", "model": "a-fal" }]), "unknown-step"),
        (json!([{ "step": "enhance", "model": "a-fal", "engine": "replicate" }]), "unknown-engine"),
        (Value::Array(vec![json!({ "step": "fade" }); 40]), "too-many-steps"),
    ] {
        let answer = editor.post(&path).json(&json!({ "steps": steps })).send().await.unwrap();
        problem(answer, 422, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_or_offline_nothing_is_sent() {
    let provider = Provider::start().await;
    for (offline, code) in [(true, "offline"), (false, "engine-not-configured")] {
        let server = TestServer::start_with(|config| {
            provider.configure(config);
            config.outbound.offline = offline;
            if !offline {
                config.engines.replicate.token = None;
            }
        })
        .await;
        let owner = server.setup_owner().await;
        let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
        let steps = json!({ "steps": [{ "step": "face", "model": "replicate-gfpgan" }] });
        let path = format!("{}/restorations", path_of(&media));
        problem(owner.post(&path).json(&steps).send().await.unwrap(), 422, code).await;
        let test = owner.post("/api/v1/models/replicate-gfpgan/test").send().await.unwrap();
        assert_eq!(test.json::<Value>().await.unwrap()["code"], code);
        let list = owner.json("/api/v1/models").await;
        let model =
            list["items"].as_array().unwrap().iter().find(|model| model["id"] == "replicate-gfpgan").unwrap();
        assert_eq!(model["available"], false);
        assert!(model["unavailable_reason"].as_str().unwrap().contains(if offline {
            "outbound.offline"
        } else {
            "engines.replicate.token"
        }));
    }
    assert!(provider.seen().requests.is_empty());
}

#[tokio::test]
async fn a_token_stays_with_the_host_it_belongs_to() {
    let (home, other) = (Provider::start().await, Provider::start().await);
    let token = safelight::config::Secret::new(TOKEN);
    let settings = |allowed: bool| {
        let mut config = config::Config::defaults("x");
        if allowed {
            let text = [("SAFELIGHT_OUTBOUND__ALLOW_PRIVATE", "127.0.0.0/8")];
            let loaded = config::load(&config::Flags::default(), &text.into_iter().collect()).unwrap();
            config.outbound = loaded.config.outbound;
        }
        Outbound::new(&config.outbound)
    };
    let hosts = ["127.0.0.1".to_owned()];
    home.mood(Mood::Moved(format!("{}/results/2.png", other.url)));
    let fetch = |outbound: &Outbound| {
        let call = outbound.fetch(&format!("{}/results/1.png", home.url), &home.url, &hosts).unwrap();
        call.token("Bearer", Some(&token)).send()
    };
    assert!(matches!(fetch(&settings(false)).await, Err(outbound::Error::Private { .. })));
    assert!(other.seen().requests.is_empty());
    let answer = fetch(&settings(true)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(other.seen().requests, [(Method::GET, "/results/2.png".to_owned(), None)]);
    assert!(home.seen().requests.iter().all(|(.., token)| token.is_some()));

    // A POST is never sent on, and what is too long is not read to its end.
    let outbound = settings(false);
    let post = outbound
        .call(Method::POST, &format!("{}/results/1.png", home.url))
        .unwrap()
        .json(&json!({}))
        .send()
        .await;
    assert!(matches!(post, Err(outbound::Error::Redirected { .. })));
    home.mood(Mood::Huge);
    let huge =
        outbound.call(Method::GET, &format!("{}/results/1.png", home.url)).unwrap().send().await.unwrap();
    assert!(matches!(huge.read(1 << 20).await, Err(outbound::Error::TooLarge { .. })));
    // Names are judged by where they lead.
    let named = home.url.replace("127.0.0.1", "localhost");
    let call = outbound.fetch(
        &format!("{named}/results/1.png"),
        "https://api.example.org",
        &["localhost".to_owned()],
    );
    assert!(matches!(call.unwrap().send().await, Err(outbound::Error::Private { .. })));
    // Nobody listens there any more: it is certain that nothing was sent.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = outbound.call(Method::POST, &format!("http://{gone}/")).unwrap().send().await.unwrap_err();
    assert!(error.nothing_sent(), "{error}");
}
