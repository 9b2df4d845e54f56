//! Presets that people save, steps in an order of one's own and on parts of a picture, the pictures kept after steps, and
//! the rendition that a picture is shared as.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Response;
use safelight::imaging::{self, Channels, EncodeOptions, Format, Image, Limits, Options, Samples};
use safelight::{jobs, library, restore};
use serde_json::{Value, json};

use super::photographs::{noisy_jpeg, scene};
use super::pictures;
use super::support::{Browser, TestServer, problem};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn path_of(media: &Value) -> String {
    format!("/api/v1/media/{}", media["id"].as_str().unwrap())
}

async fn try_to(browser: &Browser, media: &Value, body: Value) -> Response {
    browser.post(&format!("{}/restorations", path_of(media))).json(&body).send().await.unwrap()
}

async fn ask(browser: &Browser, media: &Value, body: Value) -> Value {
    let answer = try_to(browser, media, body).await;
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

/// Asks for a restoration and waits for its end.
async fn restored(server: &TestServer, browser: &Browser, media: &Value, body: Value) -> Value {
    let asked = ask(browser, media, body).await;
    server.run_jobs().await;
    let done = browser.json(&format!("/api/v1/restorations/{}", asked["id"].as_str().unwrap())).await;
    assert_eq!(done["state"], "succeeded", "{done}");
    done
}

fn steps_of(restoration: &Value) -> Vec<&str> {
    restoration["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

async fn save(browser: &Browser, body: Value) -> Response {
    browser.post("/api/v1/presets").json(&body).send().await.unwrap()
}

async fn bytes(browser: &Browser, path: &str) -> Vec<u8> {
    let answer = browser.get(path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

async fn result(browser: &Browser, media: &Value, done: &Value) -> Vec<u8> {
    let rendition = done["rendition_id"].as_str().unwrap_or_else(|| panic!("{done}"));
    bytes(browser, &format!("{}/renditions/{rendition}/content", path_of(media))).await
}

fn decode(bytes: &[u8]) -> Image {
    imaging::decode_bytes(bytes, &Options::held(Limits::default())).unwrap().image
}

/// A mask of the left half, in base64.
fn left_half(width: u32, height: u32) -> String {
    let samples = (0..width * height).map(|at| if at % width < width / 2 { 255 } else { 0 }).collect();
    let image = Image { width, height, channels: Channels::Gray, samples: Samples::U8(samples) };
    BASE64_STANDARD.encode(imaging::encode(&image, &EncodeOptions::new(Format::Png)).unwrap())
}

/// What the schedule does every hour, now and after the sweeper's day of grace.
async fn tidy(server: &TestServer) {
    for _ in 0..2 {
        let enqueued = server.app.db.write(|tx| {
            jobs::enqueue(tx, &restore::Tidy {}, jobs::Options::default())?;
            jobs::enqueue(tx, &library::Sweep {}, jobs::Options::default())
        });
        enqueued.await.unwrap();
        server.run_jobs().await;
        server.clock.advance(2 * DAY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_are_saved_used_and_changed_by_whoever_saved_them() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let (editor, viewer) = (server.add_user(&owner, "editor").await, server.add_user(&owner, "viewer").await);
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;

    let dust = json!({ "title": "Dust only", "steps": [{ "step": "inpaint" }] });
    problem(save(&viewer, dust.clone()).await, 403, "forbidden").await;
    problem(save(&server.browser(), dust.clone()).await, 401, "not-signed-in").await;
    let answer = save(&editor, dust.clone()).await;
    assert_eq!(answer.status(), 201);
    let saved: Value = answer.json().await.unwrap();
    assert_eq!(
        (&saved["name"], &saved["shipped"], &saved["recreates"]),
        (&json!("dust_only"), &json!(false), &json!(false))
    );
    assert_eq!(
        saved["steps"],
        json!([{ "step": "inpaint", "strength": 1.0 }]),
        "what was not said is filled in"
    );
    problem(save(&owner, dust).await, 409, "preset-exists").await;
    problem(
        save(&owner, json!({ "title": "x", "name": "auto", "steps": [{ "step": "fade" }] })).await,
        409,
        "preset-exists",
    )
    .await;

    // Sharpness before fading is not what the engine would do, nor to do something twice.
    let attic = json!({ "title": "Attic", "name": "attic", "description": "For the box under the roof.", "steps": [
        { "step": "deblur", "strength": 0.3 }, { "preset": "dust_only" }, { "step": "fade", "strength": 0.5 },
        { "step": "denoise", "strength": 0.8 }, { "step": "denoise", "strength": 0.4 } ] });
    assert_eq!(save(&owner, attic).await.status(), 201);
    let order = ["deblur", "inpaint", "fade", "denoise", "denoise"];
    let done = restored(
        &server,
        &viewer_may_not(&viewer, &editor, &media).await,
        &media,
        json!({ "preset": "attic" }),
    )
    .await;
    assert_eq!((steps_of(&done).as_slice(), &done["preset"]), (order.as_slice(), &json!("attic")));
    let run: Vec<_> =
        done["report"].as_array().unwrap().iter().map(|told| told["step"].as_str().unwrap()).collect();
    assert_eq!(run, order);
    let changed =
        json!({ "preset": "attic", "steps": [{ "step": "fade", "strength": 0 }, { "step": "chroma" }] });
    assert_eq!(
        steps_of(&ask(&editor, &media, changed).await),
        ["deblur", "inpaint", "denoise", "denoise", "chroma"]
    );
    let loose = json!({ "steps": [{ "step": "deblur" }, { "step": "fade" }] });
    assert_eq!(steps_of(&ask(&editor, &media, loose.clone()).await), ["fade", "deblur"]);
    let strict = json!({ "steps": loose["steps"], "in_order": true });
    assert_eq!(steps_of(&ask(&editor, &media, strict).await), ["deblur", "fade"]);
    let batch = json!({ "ids": [media["id"]], "preset": "attic" });
    let batch: Value =
        editor.post("/api/v1/batches").json(&batch).send().await.unwrap().json().await.unwrap();
    assert_eq!((steps_of(&batch).as_slice(), &batch["preset"]), (order.as_slice(), &json!("attic")));
    let masked = json!({ "ids": [media["id"]], "steps": [{ "step": "fade", "mask": left_half(200, 150) }] });
    problem(editor.post("/api/v1/batches").json(&masked).send().await.unwrap(), 422, "validation").await;

    // The shipped ones come first; everybody sees all.
    let list = viewer.json("/api/v1/presets").await;
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!((names.len(), names[0], &names[10..]), (12, "auto", ["attic", "dust_only"].as_slice()));

    // Whoever saved it may change it, and an admin.
    let rename = json!({ "title": "Box" });
    problem(editor.patch("/api/v1/presets/attic").json(&rename).send().await.unwrap(), 403, "forbidden")
        .await;
    problem(editor.delete("/api/v1/presets/attic").send().await.unwrap(), 403, "forbidden").await;
    let change = json!({ "title": "Dust!", "steps": [{ "step": "inpaint", "strength": 0.5 }] });
    let changed = editor.patch("/api/v1/presets/dust_only").json(&change).send().await.unwrap();
    assert_eq!(changed.json::<Value>().await.unwrap()["title"], "Dust!");
    assert_eq!(owner.patch("/api/v1/presets/dust_only").json(&rename).send().await.unwrap().status(), 200);
    problem(owner.delete("/api/v1/presets/dust_only").send().await.unwrap(), 409, "preset-included").await;
    problem(owner.delete("/api/v1/presets/auto").send().await.unwrap(), 409, "preset-shipped").await;
    problem(owner.patch("/api/v1/presets/quick").json(&rename).send().await.unwrap(), 409, "preset-shipped")
        .await;
    problem(owner.delete("/api/v1/presets/nobody").send().await.unwrap(), 404, "not-found").await;

    // As files: with what is included, and the same again is no mistake.
    let file = owner.get("/api/v1/presets/attic/toml").send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "application/toml");
    assert!(
        file.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=\"attic.toml\"")
    );
    let file = file.text().await.unwrap();
    let import = async |browser: &Browser, text: &str| {
        browser.post("/api/v1/presets/import").body(text.to_owned()).send().await.unwrap()
    };
    let again: Value = import(&owner, &file).await.json().await.unwrap();
    assert_eq!(again["items"].as_array().unwrap().len(), 2, "{again}");
    problem(import(&editor, &file.replace("0.8", "0.9")).await, 409, "preset-exists").await;
    problem(import(&viewer, &file).await, 403, "forbidden").await;
    for name in ["attic", "dust_only"] {
        assert_eq!(owner.delete(&format!("/api/v1/presets/{name}")).send().await.unwrap().status(), 204);
    }
    assert_eq!(import(&editor, &file).await.status(), 201);
    assert_eq!(owner.get("/api/v1/presets/attic/toml").send().await.unwrap().text().await.unwrap(), file);
    let audit = owner.json("/api/v1/audit?action=preset&limit=100").await;
    let done: Vec<_> =
        audit["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    for (action, times) in [("preset.add", 4), ("preset.change", 2), ("preset.remove", 2)] {
        assert_eq!(done.iter().filter(|it| **it == action).count(), times, "{action}: {done:?}");
    }
}

/// The editor, once it is certain that who may only look can't use a preset.
async fn viewer_may_not(viewer: &Browser, editor: &Browser, media: &Value) -> Browser {
    problem(try_to(viewer, media, json!({ "preset": "attic" })).await, 403, "forbidden").await;
    editor.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_preset_has_a_name() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let preset = |name: &str, steps: Value| json!({ "title": name, "name": name, "steps": steps });
    assert_eq!(save(&owner, preset("inner", json!([{ "preset": "auto" }]))).await.status(), 201);
    assert_eq!(
        save(&owner, preset("outer", json!([{ "preset": "inner" }, { "step": "deblur" }]))).await.status(),
        201
    );
    let many = |count: usize| Value::from(vec![json!({ "step": "fade" }); count]);
    for (steps, code) in [
        (json!([{ "step": "sharpen" }]), "unknown-step"),
        (json!([{ "step": "colorize" }]), "unknown-step"),
        (json!([{ "step": "fade", "engine": "moon" }]), "unknown-engine"),
        (json!([{ "step": "enhance", "model": "gfpgan" }]), "unknown-engine"),
        (json!([{ "step": "fade", "strength": 1.01 }]), "validation"),
        (json!([{ "step": "fade", "parameters": { "x": 1 } }]), "validation"),
        (json!([{ "preset": "nobody" }]), "unknown-preset"),
        (json!([{ "preset": "circle" }]), "cyclic-preset"),
        (many(40), "too-many-steps"),
        (
            json!([{ "preset": "inner" }, { "preset": "auto" }, { "preset": "inner" }, { "preset": "careful" }]),
            "too-many-steps",
        ),
        (json!([]), "validation"),
        (json!([{}]), "validation"),
        (json!([{ "step": "fade", "preset": "auto" }]), "validation"),
        (json!([{ "step": "fade", "power": 1 }]), "validation"),
    ] {
        problem(save(&owner, preset("circle", steps.clone())).await, 422, code).await;
        if code != "cyclic-preset" {
            let change =
                owner.patch("/api/v1/presets/outer").json(&json!({ "steps": steps })).send().await.unwrap();
            problem(change, 422, code).await;
        }
    }
    for body in [
        json!({ "title": " ", "steps": [{ "step": "fade" }] }),
        json!({ "title": "x".repeat(101), "steps": [{ "step": "fade" }] }),
        json!({ "title": "a", "name": "No Name", "steps": [{ "step": "fade" }] }),
        json!({ "title": "a", "name": "import", "steps": [{ "step": "fade" }] }),
        json!({ "title": "a", "owner": "b", "steps": [{ "step": "fade" }] }),
        json!({ "title": "a" }),
    ] {
        problem(save(&owner, body).await, 422, "validation").await;
    }
    // A change of one that others include is held against those.
    let grow = |steps: Value| owner.patch("/api/v1/presets/inner").json(&json!({ "steps": steps })).send();
    problem(grow(json!([{ "preset": "outer" }])).await.unwrap(), 422, "cyclic-preset").await;
    problem(grow(many(20)).await.unwrap(), 422, "too-many-steps").await;

    let of = |name: &str, step: &str| {
        format!("[[preset]]\ntitle = \"{name}\"\nname = \"{name}\"\nsteps = [{step}]\n")
    };
    let round = of("one", "{ preset = \"two\" }") + &of("two", "{ preset = \"one\" }");
    for (text, status, code) in [
        (round, 422, "cyclic-preset"),
        ("{ \"title\": \"JSON\" }".to_owned(), 422, "bad-file"),
        (of("a", "{ step = \"fade\", power = 1 }"), 422, "bad-file"),
        (of("a", "{ step = \"fade\" }") + "password = 1", 422, "bad-file"),
        (of("a", "{ step = \"fade\", strength = nan }"), 422, "validation"),
        (of("a", &"{ step = \"fade\" },".repeat(40)), 422, "too-many-steps"),
        (format!("# {}\n", "x".repeat(300_000)), 413, "too-large"),
        (of("good", "{ step = \"fade\" }") + &of("bad", "{ step = \"sharpen\" }"), 422, "unknown-step"),
        (of("good", "{ step = \"fade\" }") + &of("auto", "{ step = \"fade\" }"), 409, "preset-exists"),
    ] {
        let answer = owner.post("/api/v1/presets/import").body(text).send().await.unwrap();
        problem(answer, status, code).await;
    }
    let no_text = owner.post("/api/v1/presets/import").body(vec![0xff, 0xfe]).send().await.unwrap();
    problem(no_text, 400, "bad-text").await;
    assert_eq!(
        owner.json("/api/v1/presets").await["items"].as_array().unwrap().len(),
        12,
        "nothing was half saved"
    );

    for (body, code) in [
        (json!({ "preset": "best" }), "unknown-preset"),
        (json!({ "steps": many(40) }), "too-many-steps"),
        (json!({ "steps": many(40), "in_order": true }), "too-many-steps"),
        (json!({ "preset": "outer", "in_order": true, "steps": many(14).as_array().unwrap() }), "ok"),
        (json!({ "steps": [{ "step": "fade", "strength": -0.1 }] }), "validation"),
        (json!({ "steps": [{ "step": "fade", "mask": "no base64!" }] }), "bad-mask"),
        (json!({ "steps": [{ "step": "fade", "mask": left_half(150, 200) }] }), "bad-mask"),
    ] {
        let answer = try_to(&owner, &media, body).await;
        match code {
            "ok" => assert_eq!(answer.status(), 202),
            code => drop(problem(answer, 422, code).await),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_with_a_mask_changes_that_part_only() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let photo = scene(200, 150, Channels::Rgb, 16, 14.0);
    let media = owner
        .upload_ok("photo.png", imaging::encode(&photo, &EncodeOptions::new(Format::Png)).unwrap())
        .await;
    let mask = left_half(200, 150);
    let body = json!({ "keep_steps": true, "steps": [
        { "step": "denoise", "strength": 1, "mask": format!("data:image/png;base64,{mask}") },
        { "step": "inpaint", "mask": mask },
    ] });
    let asked = ask(&owner, &media, body.clone()).await;
    assert_eq!(steps_of(&asked), ["inpaint", "denoise"]);
    let both_hold = asked["steps"]
        .as_array()
        .unwrap()
        .iter()
        .all(|step| step["mask"].as_str().is_some_and(|it| it.len() == 64));
    assert!(both_hold, "{asked}");
    // The sweeper knows that the mask is needed.
    server.clock.advance(3 * DAY);
    let body = json!({ "steps": [body["steps"][0]], "keep_steps": true });
    let done = restored(&server, &owner, &media, body).await;
    let after = decode(&result(&owner, &media, &done).await);
    let (Samples::U16(before), Samples::U16(after)) = (&photo.samples, &after.samples) else {
        panic!("16 bits")
    };
    let changed = |from: usize, to: usize| {
        let at = (0..150).flat_map(|y| (from..to).map(move |x| (y * 200 + x) * 3));
        at.filter(|at| before[*at..at + 3] != after[*at..at + 3]).count()
    };
    assert!(changed(0, 90) > 90 * 150 / 2, "the left half is quiet now: {}", changed(0, 90));
    assert_eq!(changed(104, 200), 0, "the rest is as it was, bit by bit");
    // What is kept after the step is the blend, not what the engine made of all of it.
    let kept =
        bytes(&owner, &format!("/api/v1/restorations/{}/steps/0/content", done["id"].as_str().unwrap()))
            .await;
    assert_eq!(kept, result(&owner, &media, &done).await);
    let first = owner.json(&format!("/api/v1/restorations/{}", asked["id"].as_str().unwrap())).await;
    assert_eq!(first["report"][0]["decision"], "applied", "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_after_steps_are_kept_shown_begun_with_and_let_go() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let (editor, viewer) = (server.add_user(&owner, "editor").await, server.add_user(&owner, "viewer").await);
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let wish = json!({ "steps": [
        { "step": "denoise", "strength": 1 }, { "step": "inpaint", "strength": 0.01 }, { "step": "local_contrast" },
        { "step": "upscale" } ] });
    let plain = restored(&server, &owner, &media, wish.clone()).await;
    assert_eq!((&plain["kept_steps"], &plain["from"]), (&json!(false), &Value::Null));
    let mut keep = wish.clone();
    keep["keep_steps"] = json!(true);
    let done = restored(&server, &owner, &media, keep).await;
    assert_eq!(done["kept_steps"], true, "{done}");
    let whole = result(&owner, &media, &done).await;
    assert!(whole == result(&owner, &media, &plain).await, "keeping changes nothing");

    let path = format!("/api/v1/restorations/{}/steps", done["id"].as_str().unwrap());
    let steps = viewer.json(&path).await["items"].clone();
    let told: Vec<_> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["step"], &it["decision"], &it["width"], &it["has_picture"]))
        .collect();
    let (applied, skipped, yes) = (json!("applied"), json!("skipped"), json!(true));
    let step = |name: &str| json!(name);
    assert_eq!(
        told,
        [
            (&step("inpaint"), &skipped, &json!(200), &yes),
            (&step("denoise"), &applied, &json!(200), &yes),
            (&step("local_contrast"), &applied, &json!(200), &yes),
            (&step("upscale"), &applied, &json!(400), &yes),
        ]
    );
    // What a step has left alone is what was there before: here, the original byte for byte.
    assert!(bytes(&viewer, &format!("{path}/0/content")).await == noisy_jpeg());
    assert!(bytes(&viewer, &format!("{path}/3/content")).await == whole);
    let shown = viewer.get(&format!("{path}/1/content?w=50&format=png")).send().await.unwrap();
    assert_eq!(shown.headers()["content-type"], "image/png");
    assert_eq!(decode(&shown.bytes().await.unwrap()).width, 50);
    let piece = viewer.get(&format!("{path}/1/content")).header("range", "bytes=0-99").send().await.unwrap();
    assert_eq!(
        (piece.status().as_u16(), piece.headers()["cache-control"].to_str().unwrap()),
        (206, "private, no-cache")
    );
    let name = piece.headers()["content-disposition"].to_str().unwrap();
    assert!(name.contains("photo (step 2).jpg"), "{name}");

    // To undo the last step is to keep what was before it.
    let keep_step = async |browser: &Browser, place: &str| {
        browser.post(&format!("{path}/{place}/rendition")).send().await.unwrap()
    };
    problem(keep_step(&viewer, "2").await, 403, "forbidden").await;
    for nowhere in ["4", "99", "-1", "x"] {
        problem(keep_step(&owner, nowhere).await, 404, "not-found").await;
        problem(owner.get(&format!("{path}/{nowhere}/content")).send().await.unwrap(), 404, "not-found")
            .await;
    }
    let answer = keep_step(&editor, "2").await;
    assert_eq!(answer.status(), 201);
    let kept: Value = answer.json().await.unwrap();
    assert_eq!(
        (&kept["name"], &kept["width"], &kept["restoration_id"]),
        (&json!("photo (restored 3).jpg"), &json!(200), &done["id"])
    );
    assert_eq!(kept["provenance"]["steps"].as_array().unwrap().len(), 3, "{kept}");

    // To begin again before a step is to do what is before it once.
    let from = |place: u32| json!({ "restoration_id": done["id"], "place": place });
    let again =
        json!({ "from": from(2), "steps": [{ "step": "fade", "strength": 0.01 }], "keep_steps": true });
    let again = restored(&server, &editor, &media, again).await;
    assert_eq!((&again["from"], again["report"].as_array().unwrap().len()), (&from(2), 1), "{again}");
    let rendition = owner
        .json(&format!("{}/renditions/{}", path_of(&media), again["rendition_id"].as_str().unwrap()))
        .await;
    let history: Vec<_> = rendition["provenance"]["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["step"].as_str().unwrap())
        .collect();
    assert_eq!(history, ["inpaint", "denoise", "fade"], "{rendition}");
    assert!(
        result(&owner, &media, &again).await == bytes(&owner, &format!("{path}/1/content")).await,
        "there was nothing to add"
    );
    let wrong_size = json!({ "from": from(4), "steps": [{ "step": "fade", "mask": left_half(200, 150) }] });
    problem(try_to(&owner, &media, wrong_size).await, 422, "bad-mask").await;
    assert_eq!(
        try_to(&owner, &media, json!({ "from": from(0), "steps": [{ "step": "fade" }] })).await.status(),
        202
    );

    // From nowhere, from another picture, from what was not kept, from a bucket that one does not see.
    let other = owner.upload_ok("other.jpg", noisy_jpeg()).await;
    let begin = |id: &Value, place: u32| json!({ "from": { "restoration_id": id, "place": place }, "steps": [{ "step": "fade" }] });
    for (media, body) in [
        (&media, begin(&done["id"], 5)),
        (&media, begin(&plain["id"], 1)),
        (&media, begin(&media["id"], 1)),
        (&other, begin(&done["id"], 1)),
    ] {
        problem(try_to(&owner, media, body).await, 404, "not-found").await;
    }
    let hidden = json!({ "slug": "hidden", "access": "members" });
    assert_eq!(owner.post("/api/v1/buckets").json(&hidden).send().await.unwrap().status(), 201);
    let moved = owner.patch(&path_of(&media)).json(&json!({ "bucket": "hidden" })).send().await.unwrap();
    assert_eq!(moved.status(), 200);
    for hidden in [path.clone(), format!("{path}/1/content")] {
        problem(editor.get(&hidden).send().await.unwrap(), 404, "not-found").await;
    }
    problem(keep_step(&editor, "1").await, 404, "not-found").await;
    problem(try_to(&editor, &other, begin(&done["id"], 1)).await, 404, "not-found").await;

    // After a month they go, and what is a rendition stays.
    server.run_jobs().await;
    server.clock.advance(31 * DAY);
    tidy(&server).await;
    let owner = server.login("olive@example.org").await;
    let left = owner.json(&path).await["items"].clone();
    let gone = |step: &Value| step["has_picture"] == false && step["decision"].is_string();
    assert!(left.as_array().unwrap().iter().all(gone), "{left}");
    problem(try_to(&owner, &media, begin(&done["id"], 2)).await, 404, "not-found").await;
    for (made, expected) in [(&done["rendition_id"], Some(&whole)), (&kept["id"], None)] {
        let content = format!("{}/renditions/{}/content", path_of(&media), made.as_str().unwrap());
        let there = bytes(&owner, &content).await;
        assert!(expected.is_none_or(|expected| *expected == there));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_pictures_that_nobody_needs_leave_the_disk() {
    let server = TestServer::start_with(|config| config.restore.keep_steps_days = 2).await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    server.run_jobs().await;
    let blobs = || server.app.storage.list().count();
    let keep = json!({ "keep_steps": true, "steps": [{ "step": "denoise" }, { "step": "local_contrast" }, { "step": "upscale" }] });
    restored(&server, &owner, &media, keep.clone()).await;
    assert_eq!(blobs(), 4, "the original, two steps and the result");
    tidy(&server).await;
    assert_eq!(blobs(), 4, "two days have not passed");
    tidy(&server).await;
    assert_eq!(blobs(), 2, "the original and the result");

    // They go with their media too.
    restored(&server, &owner, &media, keep).await;
    assert_eq!(blobs(), 4);
    for path in [path_of(&media), format!("{}?purge=true", path_of(&media))] {
        assert_eq!(owner.delete(&path).send().await.unwrap().status(), 204);
    }
    tidy(&server).await;
    assert_eq!(blobs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_shared_as_the_rendition_that_was_chosen() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let viewer = server.add_user(&owner, "viewer").await;
    let original = pictures::jpeg_with_place(300, 200);
    let media = owner.upload_ok("harbour.jpg", original.clone()).await;
    let done =
        restored(&server, &owner, &media, json!({ "steps": [{ "step": "local_contrast", "strength": 1 }] }))
            .await;
    let rendition = done["rendition_id"].clone();
    let public =
        owner.patch("/api/v1/buckets/photos").json(&json!({ "visibility": "public" })).send().await.unwrap();
    assert_eq!(public.status(), 200);
    let address = "/storage/photos/harbour.jpg";
    let fetch = async |path: &str| {
        let answer = reqwest::get(if path.starts_with("http") { path.to_owned() } else { server.url(path) })
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let caching = answer.headers()["cache-control"].to_str().unwrap().to_owned();
        (etag, caching, decode(&answer.bytes().await.unwrap()))
    };
    let sign = async |form: Value| {
        let answer =
            owner.post(&format!("{}/signed-urls", path_of(&media))).json(&form).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json::<Value>().await.unwrap()["url"].as_str().unwrap().to_owned()
    };
    let early = sign(json!({})).await;
    let (first, ..) = fetch(address).await;
    let share = async |browser: &Browser, id: Value| {
        browser.patch(&path_of(&media)).json(&json!({ "shared_rendition_id": id })).send().await.unwrap()
    };
    problem(share(&viewer, rendition.clone()).await, 403, "forbidden").await;
    problem(share(&owner, media["id"].clone()).await, 404, "not-found").await;
    let shared: Value = share(&owner, rendition.clone()).await.json().await.unwrap();
    assert_eq!(shared["shared_rendition_id"], rendition);

    let (plain, restored_picture) = (decode(&original), decode(&result(&owner, &media, &done).await));
    let (etag, caching, picture) = fetch(address).await;
    assert!(etag != first && picture == restored_picture);
    assert_eq!(caching, "public, max-age=300, must-revalidate", "tomorrow it may be another one");
    let bytes_of = async |url: String| reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let sent = bytes_of(server.url(address)).await;
    assert!(
        imaging::probe_bytes(&sent).unwrap().metadata.position.is_none(),
        "nobody learns where it was taken"
    );
    assert!(bytes(&owner, &format!("{}/content", path_of(&media))).await == original);
    let (small, _, picture) = fetch(&format!("{address}?preset=thumb")).await;
    assert!(small != etag && picture.width < 300);
    // New signed addresses mean it too; those of before, and those that say so, mean what they were signed for.
    let (late, explicit) = (sign(json!({})).await, sign(json!({ "rendition_id": rendition })).await);
    let plainly = sign(json!({ "rendition_id": null })).await;
    for (url, expected) in
        [(&early, &plain), (&late, &restored_picture), (&explicit, &restored_picture), (&plainly, &plain)]
    {
        assert!(fetch(url).await.2 == *expected, "{url}");
    }
    let foreign =
        owner.post(&format!("{}/signed-urls", path_of(&media))).json(&json!({ "rendition_id": media["id"] }));
    problem(foreign.send().await.unwrap(), 404, "not-found").await;
    let (bound, other) = (late.split("v=").nth(1).unwrap(), early.split("v=").nth(1).unwrap());
    let forged = late.replace(&bound[..16], &other[..16]);
    assert_eq!(reqwest::get(forged).await.unwrap().status(), 403, "the content is bound into the signature");

    // Nobody shows the original to strangers by tidying up: whoever wants that says so. A new content shows itself.
    let remove =
        || owner.delete(&format!("{}/renditions/{}", path_of(&media), rendition.as_str().unwrap())).send();
    problem(remove().await.unwrap(), 409, "rendition-shared").await;
    assert_eq!(share(&owner, Value::Null).await.status(), 200);
    assert_eq!(remove().await.unwrap().status(), 204);
    assert!(fetch(address).await.2 == plain);
    assert_eq!(reqwest::get(late).await.unwrap().status(), 404);
    let done = restored(&server, &owner, &media, json!({ "steps": [{ "step": "local_contrast" }] })).await;
    assert_eq!(share(&owner, done["rendition_id"].clone()).await.status(), 200);
    assert_eq!(
        share(&owner, Value::Null).await.json::<Value>().await.unwrap()["shared_rendition_id"],
        Value::Null
    );
    assert_eq!(share(&owner, done["rendition_id"].clone()).await.status(), 200);
    let part = reqwest::multipart::Part::bytes(noisy_jpeg()).file_name("harbour.jpg");
    let form = reqwest::multipart::Form::new().text("on_conflict", "replace").part("file", part);
    assert_eq!(owner.post("/api/v1/media").multipart(form).send().await.unwrap().status(), 201);
    assert_eq!(owner.json(&path_of(&media)).await["shared_rendition_id"], Value::Null);
    assert!(fetch(address).await.2 == decode(&noisy_jpeg()));
    problem(share(&owner, done["rendition_id"].clone()).await, 409, "rendition-outdated").await;
}
