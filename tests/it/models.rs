//! The list of models: looked up at providers, carried in files, called back by Replicate, found in a folder.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use safelight::config::{PublicUrl, Secret};
use safelight::engine::remote::{Heard, WebhookCall};
use safelight::keys::hmac_sha256;
use safelight::server;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::engines::{add_model, ask, enhance, look, path_of, set_up, until};
use super::photographs::noisy_jpeg;
use super::providers::{Mood, Provider, WEBHOOK_SECRET};
use super::support::{Browser, TestServer, problem};

async fn look_up(owner: &Browser, engine: &str, target: &str) -> reqwest::Response {
    owner
        .post("/api/v1/models/lookup")
        .json(&json!({ "engine": engine, "target": target }))
        .send()
        .await
        .unwrap()
}

async fn found(owner: &Browser, engine: &str, target: &str) -> Value {
    let answer = look_up(owner, engine, target).await;
    assert_eq!(answer.status(), 200, "{engine} {target}: {}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

fn says(found: &Value, words: &str) -> bool {
    found["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_looked_up_at_its_provider_and_the_draft_can_be_added() {
    let (server, provider, owner, _) = set_up().await;
    provider.forget();
    for target in ["acme/editor", "acme/editor", "acme/object"] {
        let served = found(&owner, "hugging_face", target).await;
        let by = if target == "acme/object" { "wavespeed" } else { "fal-ai" };
        assert_eq!((&served["model"]["provider"], &served["model"]["target"]), (&json!(by), &json!(target)));
        assert!(served["form"]["fields"].as_array().unwrap().iter().any(|field| field["name"] == "prompt"));
        assert!(says(&served, &format!("run by {by}")), "{served}");
    }
    let asked = provider.seen().requests;
    assert_eq!(
        asked.iter().filter(|(_, path, _)| path == "/api/models/acme/editor").count(),
        1,
        "once in 300 s"
    );

    let newest = found(&owner, "replicate", "acme/mend").await;
    assert_eq!(
        (&newest["model"]["steps"], &newest["model"]["image_input"]),
        (&json!(["face"]), &json!("img"))
    );
    assert!(says(&newest, "acme/mend:5c7d"), "{newest}");
    assert_eq!(newest["form"]["fields"][0]["name"], "scale");
    let official = found(&owner, "replicate", "acme/official").await;
    assert!(
        says(&official, "official model") && official["model"]["image_input"] == "input_image",
        "{official}"
    );

    let app = found(&owner, "space", &provider.url).await;
    assert_eq!(
        (&app["model"]["api_name"], &app["form"]["image_input"]),
        (&json!("mend"), &json!("photo")),
        "{app}"
    );
    assert_eq!(provider.seen().created, 0, "looking costs nothing");

    // Each draft is an entry of the list as it is, under a name that is free.
    for draft in [newest, official, app] {
        let added = owner.post("/api/v1/models").json(&draft["model"]).send().await.unwrap();
        assert_eq!(added.status(), 201, "{}", added.text().await.unwrap());
    }
    assert_eq!(found(&owner, "replicate", "acme/mend").await["model"]["id"], "replicate-mend-2");
    let editor = server.add_user(&owner, "editor").await;
    problem(look_up(&editor, "replicate", "acme/mend").await, 403, "forbidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_model_from_being_found_has_a_name() {
    let (_server, _, owner, _) = set_up().await;
    for (engine, target, code) in [
        ("hugging_face", "acme/nothing", "no-such-model"),
        ("hugging_face", "not a name", "no-such-model"),
        ("hugging_face", "acme/words", "no-provider"),
        ("hugging_face", "https://elsewhere.example.org", "engine-not-configured"),
        ("replicate", "acme/nothing", "no-such-model"),
        ("replicate", "../../secrets", "no-such-model"),
        ("replicate", "acme/chat", "takes-no-picture"),
        ("space", "acme/app", "engine-not-configured"),
        ("onnx", "mine", "no-lookup"),
        ("builtin", "mine", "unknown-engine"),
        ("moon", "mine", "unknown-engine"),
        ("replicate", " ", "validation"),
    ] {
        let told = problem(look_up(&owner, engine, target).await, 422, code).await;
        assert!(told["detail"].as_str().unwrap().len() > 10, "{told}");
    }
    let told = problem(look_up(&owner, "hugging_face", "acme/words").await, 422, "no-provider").await;
    assert!(told["detail"].as_str().unwrap().contains("together (text-generation, live)"), "{told}");

    // Without a key the Hub does not say whether a model is there.
    let provider = Provider::start().await;
    let server = TestServer::start_with(|config| {
        provider.configure(config);
        config.engines.hugging_face.token = None;
    })
    .await;
    let keyless = server.setup_owner().await;
    let told = problem(look_up(&keyless, "hugging_face", "acme/editor").await, 422, "no-such-model").await;
    assert!(told["detail"].as_str().unwrap().contains("not public"), "{told}");

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for code in ["engine-bad-token", "engine-unreachable", "offline", "engine-not-configured"] {
        let server = TestServer::start_with(|config| {
            provider.configure(config);
            let replicate = &mut config.engines.replicate;
            match code {
                "engine-bad-token" => replicate.token = Some(Secret::new("wrong")),
                "engine-unreachable" => {
                    replicate.base_url = PublicUrl::parse(&format!("http://{gone}")).unwrap()
                }
                "offline" => config.outbound.offline = true,
                _ => replicate.token = None,
            }
        })
        .await;
        let owner = server.setup_owner().await;
        problem(look_up(&owner, "replicate", "acme/mend").await, 422, code).await;
    }
}

const LISTING: &str = r#"
[[model]]
id = "mine"
name = "Mine"
engine = "replicate"
target = "acme/mend"
steps = ["enhance", "upscale"]
recreates = true
price_usd_per_second = 0.002
parameters = { scale = 3, words = "mend it" }

[[model]]
id = "quiet"
name = "Quiet"
engine = "hugging_face"
target = "acme/editor"
provider = "wavespeed"
steps = ["colorize"]
recreates = false
enabled = false
"#;

async fn import(browser: &Browser, text: impl Into<reqwest::Body>) -> reqwest::Response {
    let posting = browser.post("/api/v1/models/import").header("content-type", "application/toml");
    posting.body(text).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_go_out_and_in_as_toml() {
    let provider = Provider::start().await;
    let server = TestServer::start_with(|config| provider.configure(config)).await;
    let owner = server.setup_owner().await;
    let taken: Value = import(&owner, LISTING).await.json().await.unwrap();
    assert_eq!(
        (&taken["items"][0]["id"], &taken["items"][1]["enabled"]),
        (&json!("mine"), &json!(false)),
        "{taken}"
    );
    let answer = owner.get("/api/v1/models/toml").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/toml");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().contains("models.toml"));
    let written = answer.text().await.unwrap();
    assert_eq!(import(&owner, written.clone()).await.status(), 200, "it takes its own words: {written}");
    assert_eq!(owner.get("/api/v1/models/toml").send().await.unwrap().text().await.unwrap(), written);

    // The price of a second is what a picture is said to cost, and that it is only about that much.
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let asked = ask(&owner, &media, enhance("mine")).await;
    server.run_jobs().await;
    let done = look(&owner, &asked).await;
    let told = &done["report"][0];
    assert_eq!(
        (&told["evidence"]["cost_usd"], &told["evidence"]["cost_is_estimate"]),
        (&json!(0.003), &json!(1.0)),
        "{done}"
    );
    assert!(told["reason"].as_str().unwrap().contains("about 0.0030 US dollars"), "{told}");

    let wrong = LISTING
        .replace("\"upscale\"", "\"fade\"")
        .replace("id = \"quiet\"", "id = \"replicate-gfpgan\"\nmaxside = 3");
    let told = problem(import(&owner, wrong).await, 422, "validation").await;
    assert_eq!(told["errors"][0]["field"], "model[1].maxside", "{told}");
    assert!(told["errors"][0]["detail"].as_str().unwrap().starts_with("Line 14: "), "{told}");
    assert!(told["errors"][0]["detail"].as_str().unwrap().contains("max_side"), "{told}");
    for (text, field, line) in [
        (LISTING.replace("\"upscale\"", "\"fade\""), "model[0].steps", "Line 7"),
        (LISTING.replace("id = \"quiet\"", "id = \"replicate-gfpgan\""), "model[1].id", "Line 13"),
        (LISTING.replace("id = \"quiet\"", "id = \"lookup\""), "model[1].id", "Line 13"),
        (LISTING.replace("engine = \"replicate\"", "engine = \"onnx\""), "model[0].engine", "Line 5"),
        ("[[model]]\nid = ".to_owned(), "file", "Line 2"),
    ] {
        let told = problem(import(&owner, text).await, 422, "validation").await;
        let error = &told["errors"][0];
        assert_eq!(error["field"], field, "{told}");
        assert!(error["detail"].as_str().unwrap().starts_with(line), "{told}");
    }
    assert_eq!(
        owner.get("/api/v1/models/toml").send().await.unwrap().text().await.unwrap(),
        written,
        "nothing taken"
    );
    problem(import(&owner, vec![b'#'; (256 << 10) + 1]).await, 413, "too-large").await;
    problem(import(&owner, vec![0xff, 0xfe]).await, 422, "validation").await;
    let editor = server.add_user(&owner, "editor").await;
    problem(import(&editor, LISTING).await, 403, "forbidden").await;
    problem(editor.get("/api/v1/models/toml").send().await.unwrap(), 403, "forbidden").await;

    // The same from the shell, beside the running server.
    let model = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_safelight"));
        command.arg("model").args(args).arg("--data-dir").arg(server.app.config.data_dir.as_path());
        command.env_remove("SAFELIGHT_CONFIG").output().unwrap()
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(text(model(&["export"]).stdout), written);
    let file = server.app.config.data_dir.join("list.toml");
    fs::write(&file, LISTING.replace("\"Mine\"", "\"Mine too\"").replace("\"mine\"", "\"third\"")).unwrap();
    let imported = model(&["import", file.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", text(imported.stderr));
    let listed = text(model(&["list"]).stdout);
    assert!(
        listed.contains("third") && listed.contains("Mine too") && listed.contains("switched off"),
        "{listed}"
    );
    fs::write(&file, LISTING.replace("name", "naem")).unwrap();
    let refused = model(&["import", file.to_str().unwrap()]);
    let said = text(refused.stderr);
    assert!(refused.status.code() == Some(1) && said.contains("list.toml:4: model[0].naem: "), "{said}");
}

fn signed(id: &str, at: i64, body: &[u8]) -> String {
    let secret = BASE64_URL_SAFE.decode(WEBHOOK_SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let message = [format!("{id}.{at}.").as_bytes(), body].concat();
    format!("v1,{}", BASE64_STANDARD.encode(hmac_sha256(&secret, &message)))
}

#[tokio::test(flavor = "multi_thread")]
async fn replicate_says_that_a_picture_is_ready_and_is_not_believed_blindly() {
    let provider = Provider::start().await;
    let server = TestServer::start_with(|config| {
        provider.configure(config);
        config.engines.replicate.webhook_url =
            Some("https://photos.example.org/api/v1/hooks/replicate".into());
    })
    .await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    add_model(&owner, "mine", "replicate", &json!({ "target": "acme/mend" })).await;
    provider.mood(Mood::Slow);
    let asked = ask(&owner, &media, enhance("mine")).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(server::runner(&server.app).run(stopping.clone()));
    provider.until(|seen| seen.polled > 0).await;
    let body = provider.seen().body;
    assert_eq!(body["webhook"], "https://photos.example.org/api/v1/hooks/replicate", "{body}");
    assert_eq!(body["webhook_events_filter"], json!(["completed"]));

    let now = server.app.clock.now().as_millis() / 1000;
    let http = reqwest::Client::new();
    let call = async |id: &str, at: i64, signature: &str, body: Vec<u8>| {
        let posting =
            http.post(server.url("/api/v1/hooks/replicate")).header("content-type", "application/json");
        let headers = [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signature.to_owned()),
        ];
        let posting = headers.into_iter().fold(posting, |posting, (name, value)| posting.header(name, value));
        posting.body(body).send().await.unwrap()
    };
    let (right, other) =
        (br#"{"id":"job1","status":"succeeded"}"#, br#"{"id":"nobody","status":"succeeded"}"#);
    let good = signed("m1", now, right);
    problem(call("m1", now, "", right.to_vec()).await, 403, "bad-signature").await;
    problem(call("m1", now, &good, other.to_vec()).await, 403, "bad-signature").await;
    problem(call("m2", now, &good, right.to_vec()).await, 403, "bad-signature").await;
    problem(
        call("m1", now - 301, &signed("m1", now - 301, right), right.to_vec()).await,
        403,
        "bad-signature",
    )
    .await;
    problem(call("m1", now, &good, vec![b' '; 3 << 20]).await, 413, "too-large").await;
    let secrets = provider.seen().requests;
    let secrets = secrets.iter().filter(|(_, path, _)| path == "/v1/webhooks/default/secret").count();
    assert_eq!(secrets, 1, "strangers don't make us ask");

    // It is heard once; whom nobody waits for wakes nobody.
    let engine = server.app.engines.find("replicate").unwrap().remote().unwrap();
    let hear = async |id: &str, body: &[u8]| {
        let (timestamp, signature) = (now.to_string(), signed(id, now, body));
        engine.hear(WebhookCall { id, timestamp: &timestamp, signature: &signature, body, now_s: now }).await
    };
    assert_eq!(hear("m3", right).await, Ok(Heard::Woken));
    assert_eq!(hear("m3", right).await, Ok(Heard::Again), "a replay");
    assert_eq!(hear("m4", other).await, Ok(Heard::Nobody));
    assert_eq!(hear("m5", b"no json").await, Ok(Heard::Nobody));
    // It said «succeeded», but the prediction has not: only what Replicate answers counts.
    assert_eq!(look(&owner, &asked).await["state"], "running");
    assert_eq!(call("m4", now, &signed("m4", now, other), other.to_vec()).await.status(), 204);

    provider.mood(Mood::Fine);
    assert_eq!(call("m1", now, &good, right.to_vec()).await.status(), 204);
    until(&server, &owner, &asked, |now| now["state"] == "succeeded").await;
    assert_eq!(provider.seen().created, 1);
    stopping.cancel();
    running.await.unwrap();

    // Who has not asked for such calls has no such address.
    let plain = TestServer::start_with(|config| provider.configure(config)).await;
    let answer = http.post(plain.url("/api/v1/hooks/replicate")).body("{}").send().await.unwrap();
    problem(answer, 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_gradio_apps_are_spoken_to_as_they_are_used_to() {
    let (server, provider, owner, media) = set_up().await;
    provider.become_gradio_4();
    assert!(says(&found(&owner, "space", &provider.url).await, "Gradio 4"));
    for mood in [Mood::Fine, Mood::Failing] {
        provider.mood(mood.clone());
        provider.forget();
        let asked = ask(&owner, &media, enhance("a-space")).await;
        server.run_jobs().await;
        let done = look(&owner, &asked).await;
        let expected = if mood == Mood::Fine { "succeeded" } else { "failed" };
        assert_eq!(done["state"], expected, "{done}");
        let paths: Vec<String> = provider.seen().requests.into_iter().map(|(_, path, _)| path).collect();
        assert_eq!(
            &paths[..5],
            ["/gradio_api/info", "/info", "/upload", "/call/mend", "/call/mend/job1"],
            "{paths:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_engine_has_a_deadline_for_the_whole() {
    let provider = Provider::start().await;
    let server =
        TestServer::start_hurried(|config| provider.configure(config), Duration::from_millis(300)).await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    provider.mood(Mood::Slow);
    for (id, engine, target) in [("app", "space", provider.url.as_str()), ("mine", "replicate", "acme/mend")]
    {
        add_model(&owner, id, engine, &json!({ "target": target, "deadline_minutes": 2 })).await;
        provider.forget();
        let asked = ask(&owner, &media, enhance(id)).await;
        server.run_jobs().await;
        let failed = look(&owner, &asked).await;
        assert_eq!(
            (&failed["state"], &failed["error"]["code"]),
            (&json!("failed"), &json!("engine-timed-out")),
            "{failed}"
        );
        assert!(failed["error"]["detail"].as_str().unwrap().contains("2 minutes"), "{failed}");
        assert_eq!(
            (provider.seen().created, provider.seen().stopped),
            (1, usize::from(engine == "replicate"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_may_enlarge_but_not_past_what_the_server_takes() {
    let provider = Provider::start().await;
    let server = TestServer::start_with(|config| {
        provider.configure(config);
        config.limits.max_pixels = 200_000;
    })
    .await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    add_model(&owner, "mine", "replicate", &json!({ "target": "acme/mend", "steps": ["upscale"] })).await;
    for (size, state, code) in
        [((400, 300), "succeeded", Value::Null), ((640, 480), "failed", json!("too-large"))]
    {
        provider.mood(Mood::Sized(size.0, size.1));
        let asked = ask(&owner, &media, json!([{ "step": "upscale", "model": "mine" }])).await;
        server.run_jobs().await;
        let done = look(&owner, &asked).await;
        assert_eq!((&done["state"], &done["error"]["code"]), (&json!(state), &code), "{done}");
    }
    assert_eq!(owner.json(&path_of(&media)).await["width"], 200, "the original is as it was");
}

/// One field of a protobuf message: a number, or bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[(number << 3) | 2][..], &length(bytes.len()), bytes].concat()
}

fn number(number: u8, value: usize) -> Vec<u8> {
    [length(usize::from(number) << 3), length(value)].concat()
}

fn length(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An ONNX file with one convolution of 3 x 3 for each of three channels: it softens.
fn softening_network() -> Vec<u8> {
    let ints = |name: &str, values: &[usize]| {
        let values: Vec<u8> = values.iter().flat_map(|value| number(8, *value)).collect();
        field(5, &[field(1, name.as_bytes()), values, number(20, 7)].concat())
    };
    let group = field(5, &[field(1, b"group"), number(3, 3), number(20, 2)].concat());
    let node = [
        field(1, b"x"),
        field(1, b"w"),
        field(2, b"y"),
        field(4, b"Conv"),
        ints("kernel_shape", &[3, 3]),
        ints("pads", &[1, 1, 1, 1]),
        group,
    ]
    .concat();
    let kernel = [1.0_f32, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0].map(|weight| weight / 16.0);
    let weights: Vec<u8> = (0..3).flat_map(|_| kernel).flat_map(f32::to_le_bytes).collect();
    let shape: Vec<u8> = [3, 1, 3, 3].iter().flat_map(|side| number(1, *side)).collect();
    let initializer = [shape, number(2, 1), field(8, b"w"), field(9, &weights)].concat();
    let value = |name: &str| {
        let side = |name: &[u8]| field(1, &field(2, name));
        let sides = [field(1, &number(1, 1)), field(1, &number(1, 3)), side(b"h"), side(b"v")].concat();
        let tensor = [number(1, 1), field(2, &sides)].concat();
        [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
    };
    let graph = [
        field(1, &node),
        field(2, b"soften"),
        field(5, &initializer),
        field(11, &value("x")),
        field(12, &value("y")),
    ]
    .concat();
    [number(1, 8), field(8, &[field(1, b""), number(2, 13)].concat()), field(7, &graph)].concat()
}

/// Puts a network that softens into a folder, with more lines for its description.
pub(crate) fn put_network(folder: &Path, name: &str, more: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(format!("{name}.onnx")), softening_network()).unwrap();
    let described = format!("title = \"Soften\"\nsteps = [\"denoise\"]\nrecreates = false\n{more}");
    fs::write(folder.join(format!("{name}.toml")), described).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_in_a_folder_are_listed_with_what_is_wrong_with_them() {
    let (server, _, owner, media) = set_up().await;
    let folder = server.app.config.data_dir.join("models");
    put_network(&folder, "typo", "tiel = 64");
    put_network(&folder, "cut", "");
    let whole = fs::read(folder.join("cut.onnx")).unwrap();
    fs::write(folder.join("cut.onnx"), &whole[..whole.len() / 2]).unwrap();
    put_network(&folder, "larger", "scale = 2");
    fs::write(folder.join("alone.onnx"), &whole).unwrap();
    let find = async |id: &str| {
        let list = owner.json("/api/v1/models").await["items"].as_array().unwrap().clone();
        list.into_iter().find(|model| model["id"] == id).unwrap_or_else(|| panic!("{id}"))
    };
    let reason = |model: &Value| model["unavailable_reason"].as_str().unwrap_or_default().to_owned();
    let soften = find("onnx-soften").await;
    assert_eq!(
        (&soften["remote"], &soften["installed"], &soften["recreates"], &soften["steps"][0]["step"]),
        (&json!(false), &json!(true), &json!(false), &json!("denoise")),
        "{soften}"
    );
    assert!(reason(&find("onnx-typo").await).contains("typo.toml, line 4: unknown field"));
    assert!(reason(&find("onnx-alone").await).contains("alone.toml is missing"));
    let named = json!({ "name": "Mine" });
    problem(
        owner.patch("/api/v1/models/onnx-soften").json(&named).send().await.unwrap(),
        409,
        "model-installed",
    )
    .await;
    problem(owner.delete("/api/v1/models/onnx-soften").send().await.unwrap(), 409, "model-installed").await;
    let off =
        owner.patch("/api/v1/models/onnx-soften").json(&json!({ "enabled": false })).send().await.unwrap();
    assert_eq!(
        (off.status(), &off.json::<Value>().await.unwrap()["enabled"]),
        (reqwest::StatusCode::OK, &json!(false))
    );

    let path = format!("{}/restorations", path_of(&media));
    let steps = |model: &str| json!({ "steps": [{ "step": "denoise", "model": model }] });
    problem(owner.post(&path).json(&steps("onnx-soften")).send().await.unwrap(), 422, "model-disabled").await;
    problem(owner.post(&path).json(&steps("onnx-typo")).send().await.unwrap(), 422, "bad-model-file").await;
    if cfg!(not(feature = "onnx")) {
        assert!(reason(&soften).contains("built without the feature onnx"), "{soften}");
        return;
    }
    // What only reading the file shows is known after the first test of it.
    for (id, said) in [("onnx-cut", "no ONNX file"), ("onnx-larger", "answers with")] {
        let test = owner.post(&format!("/api/v1/models/{id}/test")).send().await.unwrap();
        let test: Value = test.json().await.unwrap();
        assert_eq!(test["code"], "bad-model-file", "{test}");
        assert!(reason(&find(id).await).contains(said), "{test}");
    }
    let test = owner.post("/api/v1/models/onnx-soften/test").send().await.unwrap();
    assert_eq!(test.json::<Value>().await.unwrap()["ok"], true);
    // A file that was mended is read anew.
    put_network(&folder, "cut", "tile = 64");
    assert_eq!(find("onnx-cut").await["available"], true);
}

#[cfg(feature = "onnx")]
#[tokio::test(flavor = "multi_thread")]
async fn a_network_sees_no_seams_and_is_stopped_between_tiles() {
    use super::engines::content;
    use safelight::imaging::{self, Limits, Options};

    let (server, _, owner, _) = set_up().await;
    let picture = imaging::encode(
        &super::photographs::scene(200, 150, imaging::Channels::Rgb, 8, 30.0),
        &imaging::EncodeOptions::new(imaging::Format::Png),
    );
    let media = owner.upload_ok("photo.png", picture.unwrap()).await;
    let folder = server.app.config.data_dir.join("models");
    let kinds = [
        ("whole", "tile = 256\nhalo = 8"),
        ("small", "tile = 16\nhalo = 1"),
        ("soft", "tile = 40\nhalo = 4\nblend = 8"),
        (
            "normed",
            "tile = 64\nmean = [0.5, 0.5, 0.5]\ninput_range = [0, 255]\noutput_range = [-0.5, 254.5]\nchannels = \"bgr\"",
        ),
    ];
    let mut results = Vec::new();
    for (name, more) in kinds {
        put_network(&folder, name, more);
        let asked =
            ask(&owner, &media, json!([{ "step": "denoise", "model": format!("onnx-{name}") }])).await;
        server.run_jobs().await;
        let done = look(&owner, &asked).await;
        assert_eq!(done["state"], "succeeded", "{name}: {done}");
        assert_eq!(done["report"][0]["evidence"]["cost_usd"], 0.0);
        let file = content(&owner, &media, &done).await;
        let image = imaging::decode_bytes(&file, &Options::held(Limits::default())).unwrap().image;
        let imaging::Samples::U8(samples) = image.samples else { panic!("8 bits") };
        results.push(samples);
    }
    for (result, (name, _)) in results.iter().zip(kinds) {
        let worst = results[0].iter().zip(result).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 1, "{name}: {worst}");
    }

    // Fifteen thousand tiles take a while; cancelling does not wait for them.
    put_network(&folder, "slow", "tile = 256\nhalo = 124");
    let large = super::photographs::scene(1200, 800, imaging::Channels::Rgb, 8, 5.0);
    let large = imaging::encode(&large, &imaging::EncodeOptions::new(imaging::Format::Jpeg)).unwrap();
    let media = owner.upload_ok("large.jpg", large).await;
    let asked = ask(&owner, &media, json!([{ "step": "denoise", "model": "onnx-slow" }])).await;
    let stopping = CancellationToken::new();
    let running = tokio::spawn(server::runner(&server.app).run(stopping.clone()));
    until(&server, &owner, &asked, |now| now["step"] == "denoise").await;
    let cancel = format!("/api/v1/restorations/{}/cancel", asked["id"].as_str().unwrap());
    assert_eq!(owner.post(&cancel).send().await.unwrap().status(), 200);
    until(&server, &owner, &asked, |now| now["state"] == "cancelled").await;
    stopping.cancel();
    running.await.unwrap();
}
