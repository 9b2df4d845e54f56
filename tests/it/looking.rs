//! Looking before asking: previews of parts and proposals of damage.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use safelight::imaging::{self, Channels, EncodeOptions, Format, Image, Limits, Options, Samples};
use serde_json::{Value, json};

use super::photographs::{exif, mask, noisy_jpeg, scene};
use super::support::{Browser, TestServer, problem};

fn decode(bytes: &[u8]) -> Image {
    imaging::decode_bytes(bytes, &Options::held(Limits::default())).unwrap().image
}

fn upright(bytes: &[u8]) -> Image {
    let decoded = imaging::decode_bytes(bytes, &Options::held(Limits::default())).unwrap();
    imaging::orient(decoded.image, decoded.orientation)
}

fn path(media: &Value, what: &str) -> String {
    format!("/api/v1/media/{}/{what}", media["id"].as_str().unwrap())
}

async fn bytes(browser: &Browser, path: &str, body: &Value) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let answer = browser.post(path).json(body).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap().to_vec();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    (headers, bytes)
}

/// The mean difference between a picture and a region of another one.
fn difference(shown: &Image, whole: &Image, (left, top): (usize, usize)) -> f64 {
    let (Samples::U8(shown_samples), Samples::U8(samples)) = (&shown.samples, &whole.samples) else {
        panic!("8 bits");
    };
    let count = whole.channels.count();
    let sum: f64 = shown_samples
        .iter()
        .enumerate()
        .map(|(index, sample)| {
            let (pixel, channel) = (index / count, index % count);
            let (x, y) = (pixel % shown.width as usize + left, pixel / shown.width as usize + top);
            f64::from(sample.abs_diff(samples[(y * whole.width as usize + x) * count + channel]))
        })
        .sum();
    sum / shown_samples.len() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_shows_what_the_restoration_will_give_there() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for orientation in [1, 6, 8] {
        let options = EncodeOptions { exif: Some(exif(orientation)), ..EncodeOptions::new(Format::Tiff) };
        let file = imaging::encode(&scene(360, 240, Channels::Rgb, 8, 12.0), &options).unwrap();
        let media = owner.upload_ok("oma.tif", file).await;
        let steps = json!([{ "step": "fade" }, { "step": "denoise", "strength": 0.7 }]);
        let asked =
            owner.post(&path(&media, "restorations")).json(&json!({ "steps": steps })).send().await.unwrap();
        assert_eq!(asked.status(), 202);
        server.run_jobs().await;
        let renditions = owner.json(&path(&media, "renditions")).await;
        let content = format!("renditions/{}/content", renditions["items"][0]["id"].as_str().unwrap());
        let whole = owner.get(&path(&media, &content)).send().await.unwrap().bytes().await.unwrap();
        let whole = upright(&whole);
        assert_eq!(
            (json!(whole.width), json!(whole.height)),
            (media["width"].clone(), media["height"].clone())
        );

        let region = json!({ "x": 37, "y": 21, "width": 120, "height": 140 });
        let body = json!({ "steps": steps, "region": region, "lossless": true });
        let (headers, shown) = bytes(&owner, &path(&media, "preview"), &body).await;
        assert_eq!(
            (&headers["content-type"], &headers["safelight-measured"]),
            (&"image/png".parse().unwrap(), &"exact".parse().unwrap())
        );
        let shown = decode(&shown);
        assert_eq!((shown.width, shown.height), (120, 140));
        let mean = difference(&shown, &whole, (37, 21));
        assert!(mean < 0.01, "orientation {orientation}: {mean}");

        // Another strength, smaller, in a lossy format, and without the step that changes the size.
        let steps =
            json!([{ "step": "denoise", "strength": 0.2 }, { "step": "fade" }, { "step": "upscale" }]);
        let body = json!({ "steps": steps, "region": region, "max_side": 70 });
        let (headers, shown) = bytes(&owner, &path(&media, "preview"), &body).await;
        assert_eq!(headers["content-type"], "image/jpeg");
        assert_eq!(
            (&headers["safelight-left-out"], &headers["cache-control"]),
            (&"upscale".parse().unwrap(), &"no-store".parse().unwrap())
        );
        let shown = decode(&shown);
        assert_eq!((shown.width, shown.height), (60, 70));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_previewed_is_refused() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let text = owner.upload_ok("letter.txt", "Dear Olive").await;
    let region = json!({ "x": 0, "y": 0, "width": 50, "height": 50 });
    for (media, body, status, code) in [
        (&media, json!({ "region": { "x": 180, "y": 0, "width": 50, "height": 50 } }), 422, "validation"),
        (
            &media,
            json!({ "region": { "x": 0, "y": 4_294_967_295u32, "width": 5, "height": 5 } }),
            422,
            "validation",
        ),
        (&media, json!({ "region": { "x": 0, "y": 0, "width": 0, "height": 50 } }), 422, "validation"),
        (&media, json!({ "region": region, "max_side": 0 }), 422, "validation"),
        (&media, json!({ "region": region, "steps": [{ "step": "sharpen" }] }), 422, "unknown-step"),
        (
            &media,
            json!({ "region": region, "steps": [{ "step": "fade", "strength": 7 }] }),
            422,
            "validation",
        ),
        (&media, json!({ "region": region, "mask": BASE64_STANDARD.encode(mask(20, 20)) }), 422, "bad-mask"),
        (&text, json!({ "region": region }), 422, "not-a-picture"),
    ] {
        let answer = owner.post(&path(media, "preview")).json(&body).send().await.unwrap();
        problem(answer, status, code).await;
    }
    let viewer = server.add_user(&owner, "viewer").await;
    let answer =
        viewer.post(&path(&media, "preview")).json(&json!({ "region": region })).send().await.unwrap();
    problem(answer, 403, "forbidden").await;
    // With a mask of the right size the damage under it is filled.
    let body = json!({ "region": region, "steps": [{ "step": "inpaint" }], "mask": BASE64_STANDARD.encode(mask(200, 150)), "lossless": true });
    bytes(&owner, &path(&media, "preview"), &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_preview_ends_the_older_one() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let body =
        json!({ "region": { "x": 0, "y": 0, "width": 50, "height": 50 }, "steps": [{ "step": "fade" }] });
    // Nobody gets a place while these are held, so the first one waits.
    let places = (server.app.previews.place().await, server.app.previews.place().await);
    let first = tokio::spawn(owner.post(&path(&media, "preview")).json(&body).send());
    let preview = path(&media, "preview");
    let second = async {
        // The older one has begun when it can be ended; until then newer ones end one another.
        loop {
            let newer = tokio::spawn(owner.post(&preview).json(&body).send());
            tokio::time::sleep(Duration::from_millis(20)).await;
            if first.is_finished() {
                drop(places);
                break newer.await.unwrap().unwrap();
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), second).await.expect("it is ended");
    problem(first.await.unwrap().unwrap(), 409, "superseded").await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

/// A scene with light scratches from top to bottom.
fn scratched() -> Vec<u8> {
    let mut image = scene(480, 360, Channels::Rgb, 8, 3.0);
    let Samples::U8(samples) = &mut image.samples else { panic!("8 bits") };
    for y in 10..350usize {
        for line in 0..6 {
            let x = 40 + 70 * line + y / 20;
            for u in x..x + 2 {
                samples[(y * 480 + u) * 3..][..3].fill(250);
            }
        }
    }
    let options = EncodeOptions { exif: Some(exif(6)), ..EncodeOptions::new(Format::Tiff) };
    imaging::encode(&image, &options).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_proposed_and_what_is_like_a_marked_scratch_is_found() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("scratched.tif", scratched()).await;
    let marked = |image: &Image| {
        let Samples::U8(samples) = &image.samples else { panic!("8 bits") };
        assert!(samples.iter().all(|sample| matches!(sample, 0 | 255)));
        samples.iter().filter(|sample| **sample == 255).count()
    };
    let (headers, proposed) = bytes(&owner, &path(&media, "damage"), &json!({})).await;
    assert_eq!(headers["content-type"], "image/png");
    let proposed = decode(&proposed);
    assert_eq!((proposed.width, proposed.height, proposed.channels), (360, 480, Channels::Gray));

    // Turned by a quarter, the first scratch runs along x = 360 - 1 - y, y = 40 + y / 20.
    let mut seed =
        Image { width: 360, height: 480, channels: Channels::Gray, samples: Samples::U8(vec![0; 360 * 480]) };
    let Samples::U8(samples) = &mut seed.samples else { panic!("8 bits") };
    for y in 10..350usize {
        for u in 38 + y / 20..45 + y / 20 {
            samples[u * 360 + 359 - y] = 255;
        }
    }
    let file = imaging::encode(&seed, &EncodeOptions::new(Format::Png)).unwrap();
    let (_, similar) =
        bytes(&owner, &path(&media, "damage"), &json!({ "mask": BASE64_STANDARD.encode(&file) })).await;
    let similar = decode(&similar);
    assert!(marked(&similar) > marked(&seed) + 4 * 340, "{} {}", marked(&similar), marked(&seed));
    let Samples::U8(samples) = &similar.samples else { panic!("8 bits") };
    // Those that run into the fence are pieces of another form.
    let found = (1..6).filter(|line| samples[(40 + 70 * line + 5) * 360 + 359 - 100] == 255).count();
    assert!(found >= 1, "{found}");

    for bad in ["no base64!".to_owned(), BASE64_STANDARD.encode(mask(480, 360)), BASE64_STANDARD.encode(b"x")]
    {
        let answer = owner.post(&path(&media, "damage")).json(&json!({ "mask": bad })).send().await.unwrap();
        problem(answer, 422, "bad-mask").await;
    }
    let text = owner.upload_ok("letter.txt", "Dear Olive").await;
    let answer = owner.post(&path(&text, "damage")).json(&json!({})).send().await.unwrap();
    problem(answer, 422, "not-a-picture").await;
    let stranger = server.browser().post(&path(&media, "damage")).json(&json!({})).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}
