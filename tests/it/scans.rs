//! Scans of several prints: found, cut out, linked, whatever happens in between.

use safelight::imaging::{self, Channels, Decoded, EncodeOptions, Format, Image, Limits, Options, Samples};
use serde_json::{Value, json};

use super::appliance::{Appliance, until};
use super::photographs::{exif, noisy_jpeg, scene};
use super::support::{Browser, TestServer, problem};

/// A scanner's lid with prints on it: their centres, sizes and angles in degrees.
fn bed(width: u32, height: u32, prints: &[(f64, f64, u32, u32, f64)]) -> Image {
    let mut image = Image {
        width,
        height,
        channels: Channels::Rgb,
        samples: Samples::U8(vec![244; (width * height * 3) as usize]),
    };
    let Samples::U8(samples) = &mut image.samples else { unreachable!() };
    for (x, y, across, down, degrees) in prints {
        let print = scene(*across, *down, Channels::Rgb, 8, 2.0);
        let Samples::U8(pixels) = &print.samples else { unreachable!() };
        let (sine, cosine) = degrees.to_radians().sin_cos();
        for row in 0..height {
            for column in 0..width {
                let (u, v) = (f64::from(column) + 0.5 - x, f64::from(row) + 0.5 - y);
                let own = (
                    u * cosine + v * sine + f64::from(*across) / 2.0,
                    v * cosine - u * sine + f64::from(*down) / 2.0,
                );
                if own.0 >= 0.0 && own.1 >= 0.0 && own.0 < f64::from(*across) && own.1 < f64::from(*down) {
                    let from = (own.1 as usize * *across as usize + own.0 as usize) * 3;
                    let to = (row * width + column) as usize * 3;
                    samples[to..to + 3].copy_from_slice(&pixels[from..from + 3]);
                }
            }
        }
    }
    image
}

fn decode(bytes: &[u8]) -> Decoded {
    imaging::decode_bytes(bytes, &Options::held(Limits::default())).unwrap()
}

fn path(media: &Value, what: &str) -> String {
    format!("/api/v1/media/{}{what}", media["id"].as_str().unwrap())
}

async fn look(browser: &Browser, media: &Value) -> Value {
    let answer = browser.post(&path(media, "/scan")).json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn split(browser: &Browser, media: &Value, body: Value) -> Value {
    let answer = browser.post(&path(media, "/scan/pictures")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202, "{}", answer.text().await.unwrap());
    answer.json().await.unwrap()
}

async fn pictures(browser: &Browser, media: &Value) -> Vec<Value> {
    let list = browser.json(&path(media, "/scan/pictures")).await;
    list["items"].as_array().unwrap().clone()
}

/// What was told of a scan since the beginning.
async fn told(server: &TestServer) -> Vec<Value> {
    let events = server.app.db.read(|conn| safelight::api::events::after(conn, 0, 1000)).await.unwrap();
    let of_scans = events.into_iter().filter(|event| event.name == "scan");
    of_scans.map(|event| serde_json::from_str(&event.data).unwrap()).collect()
}

const TWO: [(f64, f64, u32, u32, f64); 2] = [(170.0, 150.0, 240, 160, 4.0), (470.0, 290.0, 180, 240, -2.0)];

#[tokio::test(flavor = "multi_thread")]
async fn the_prints_of_a_scan_become_pictures_that_know_their_scan() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let options = EncodeOptions { exif: Some(exif(1)), ..EncodeOptions::new(Format::Tiff) };
    let scan = owner.upload_ok("Album 7.tif", imaging::encode(&bed(640, 480, &TWO), &options).unwrap()).await;
    let found = look(&owner, &scan).await;
    assert_eq!((&found["width"], &found["height"]), (&json!(640), &json!(480)));
    let prints = found["pictures"].as_array().unwrap();
    assert_eq!(prints.len(), 2, "{found}");
    for (print, (x, y, width, height, angle)) in prints.iter().zip(TWO) {
        let number = |value: &Value| value.as_f64().unwrap();
        assert!((number(&print["angle"]) - angle).abs() < 0.3, "{print}");
        assert!((number(&print["width"]) - f64::from(width)).abs() < 5.0, "{print}");
        assert!((number(&print["height"]) - f64::from(height)).abs() < 5.0, "{print}");
        let corners = print["corners"].as_array().unwrap();
        let middle = |axis: usize| corners.iter().map(|corner| number(&corner[axis])).sum::<f64>() / 4.0;
        assert!((middle(0) - x).abs() < 3.0 && (middle(1) - y).abs() < 3.0, "{print}");
        assert_eq!(print["quarter_turns"], 0);
    }

    let wanted = json!({ "folder": "prints", "pictures": [
        { "corners": prints[0]["corners"], "name": "Oma" },
        { "corners": prints[1]["corners"], "quarter_turns": 1 },
    ]});
    let begun = split(&owner, &scan, wanted).await;
    assert_eq!(begun["state"], "queued");
    assert!(pictures(&owner, &scan).await.is_empty());
    server.run_jobs().await;
    let made = pictures(&owner, &scan).await;
    let names: Vec<&Value> = made.iter().map(|media| &media["key"]).collect();
    assert_eq!(names, ["prints/Oma.tif", "prints/Album 7-2.tif"]);
    assert!(made.iter().all(|media| media["scan_id"] == scan["id"] && media["content_type"] == "image/tiff"));
    let near = |value: &Value, wanted: u64| value.as_u64().unwrap().abs_diff(wanted) <= 5;
    assert!(near(&made[0]["width"], 240) && near(&made[0]["height"], 160), "{}", made[0]);
    assert!(near(&made[1]["width"], 240) && near(&made[1]["height"], 180), "{}", made[1]);
    let bytes = owner.get(&path(&made[0], "/content")).send().await.unwrap().bytes().await.unwrap();
    let cut = decode(&bytes);
    let described =
        |exif: &[u8]| imaging::metadata_entries(exif).iter().any(|entry| entry.value.contains("Voigtl"));
    assert!(described(&cut.exif.unwrap_or_default()));
    // Where the sky was there is sky, and no lid at the rim.
    let Samples::U8(samples) = &cut.image.samples else { panic!("8 bits") };
    let at = |x: usize, y: usize| &samples[(y * cut.image.width as usize + x) * 3..][..3];
    assert!(at(4, 4)[2] > 200 && at(4, 4)[0] < 150, "{:?}", at(4, 4));

    let told = told(&server).await;
    assert_eq!(told[0]["state"], "queued");
    let last = told.last().unwrap();
    assert_eq!(
        (&last["state"], &last["media_id"], &last["job_id"]),
        (&json!("succeeded"), &scan["id"], &begun["id"])
    );
    assert_eq!(last["items"], json!([made[0]["id"], made[1]["id"]]));
    let audit = owner.json("/api/v1/audit?action=scan").await;
    let actions: Vec<&Value> =
        audit["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert_eq!(actions, ["scan.finish", "scan.split"]);

    // The scan is unchanged; without it the pictures stay.
    assert_eq!(owner.json(&path(&scan, "")).await["scan_id"], Value::Null);
    for query in ["", "?purge=true"] {
        let gone = owner.delete(&path(&scan, query)).send().await.unwrap();
        assert_eq!(gone.status(), 204);
    }
    let kept = owner.json(&path(&made[0], "")).await;
    assert_eq!((&kept["name"], &kept["scan_id"]), (&json!("Oma.tif"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turned_scan_is_cut_as_it_is_displayed() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    // Stored lying on its side; displayed it is 400 x 500.
    let options = EncodeOptions { exif: Some(exif(6)), ..EncodeOptions::new(Format::Tiff) };
    let stored = bed(500, 400, &[(250.0, 200.0, 200, 140, 3.0)]);
    let scan = owner.upload_ok("side.tif", imaging::encode(&stored, &options).unwrap()).await;
    assert_eq!((&scan["width"], &scan["height"]), (&json!(400), &json!(500)));
    let found = look(&owner, &scan).await;
    let prints = found["pictures"].as_array().unwrap();
    assert_eq!(prints.len(), 1, "{found}");
    assert!((prints[0]["angle"].as_f64().unwrap() - 3.0).abs() < 0.3, "{found}");
    assert!((prints[0]["width"].as_f64().unwrap() - 140.0).abs() < 4.0, "{found}");

    split(&owner, &scan, json!({ "pictures": [{ "corners": prints[0]["corners"] }] })).await;
    server.run_jobs().await;
    let made = pictures(&owner, &scan).await;
    assert_eq!(made.len(), 1, "{made:?}");
    let bytes = owner.get(&path(&made[0], "/content")).send().await.unwrap().bytes().await.unwrap();
    let cut = decode(&bytes);
    assert_eq!(cut.orientation, imaging::Orientation::Normal);
    let upright = imaging::orient(scene(200, 140, Channels::Rgb, 8, 2.0), imaging::Orientation::Rotate90);
    let (Samples::U8(cut_samples), Samples::U8(wanted)) = (&cut.image.samples, &upright.samples) else {
        panic!("8 bits")
    };
    let at = |samples: &[u8], width: u32, x: f64, y: f64, height: u32| {
        let (x, y) = ((x * f64::from(width)) as usize, (y * f64::from(height)) as usize);
        samples[(y * width as usize + x) * 3 + 2]
    };
    for (x, y) in [(0.5, 0.2), (0.9, 0.5), (0.1, 0.4), (0.8, 0.8)] {
        let (a, b) = (
            at(cut_samples, cut.image.width, x, y, cut.image.height),
            at(wanted, upright.width, x, y, upright.height),
        );
        assert!(a.abs_diff(b) < 24, "{x} {y}: {a} {b}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_lets_all_pictures_in_or_none_and_says_so() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let file = imaging::encode(&bed(640, 480, &TWO), &EncodeOptions::new(Format::Png)).unwrap();
    let scan = owner.upload_ok("scan.png", file.clone()).await;
    let found = look(&owner, &scan).await;
    let wanted: Vec<Value> = found["pictures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|print| json!({ "corners": print["corners"] }))
        .collect();
    let bucket = scan["bucket"].as_str().unwrap();
    let limit = json!({ "quota_bytes": file.len() + file.len() / 3 });
    let changed = owner.patch(&format!("/api/v1/buckets/{bucket}")).json(&limit).send().await.unwrap();
    assert_eq!(changed.status(), 200, "{}", changed.text().await.unwrap());
    split(&owner, &scan, json!({ "pictures": wanted })).await;
    server.run_jobs().await;
    assert!(pictures(&owner, &scan).await.is_empty());
    let told = told(&server).await;
    let last = told.last().unwrap();
    assert_eq!((&last["state"], &last["items"]), (&json!("failed"), &json!([])));
    assert!(last["error"]["detail"].as_str().unwrap().contains("limit"), "{last}");
    let all = owner.json("/api/v1/media").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_split_is_refused() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let photo = owner.upload_ok("photo.jpg", noisy_jpeg()).await;
    let text = owner.upload_ok("letter.txt", "Dear Olive").await;
    assert_eq!(look(&owner, &photo).await["pictures"], json!([]), "a photograph is no scan");
    let answer = owner.post(&path(&text, "/scan")).json(&json!({})).send().await.unwrap();
    problem(answer, 422, "not-a-picture").await;
    let good = json!([[10, 10], [110, 12], [108, 90], [8, 88]]);
    for pictures in [
        json!([]),
        json!([{ "corners": [[10, 10], [110, 12], [108, 90]] }]),
        json!([{ "corners": [[10, 10], [8, 88], [108, 90], [110, 12]] }]),
        json!([{ "corners": [[10, 10], [300, 12], [108, 90], [8, 88]] }]),
        json!([{ "corners": good, "quarter_turns": 4 }]),
        json!([{ "corners": good }, { "corners": [[10, 10], [11, 10], [11, 90], [10, 90]] }]),
    ] {
        let body = json!({ "pictures": pictures });
        let answer = owner.post(&path(&photo, "/scan/pictures")).json(&body).send().await.unwrap();
        problem(answer, 422, "validation").await;
    }
    for body in [
        json!({ "pictures": [{ "corners": good, "name": "a/b" }] }),
        json!({ "pictures": [{ "corners": good }], "folder": "a/../b" }),
    ] {
        let answer = owner.post(&path(&photo, "/scan/pictures")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 422, "{body}");
    }
    let viewer = server.add_user(&owner, "viewer").await;
    assert_eq!(look(&viewer, &photo).await["pictures"], json!([]));
    let body = json!({ "pictures": [{ "corners": good }] });
    let answer = viewer.post(&path(&photo, "/scan/pictures")).json(&body).send().await.unwrap();
    problem(answer, 403, "forbidden").await;
    // Nothing was cut off by that, and a photograph can be cropped in the same way.
    split(&owner, &photo, body).await;
    server.run_jobs().await;
    let made = pictures(&owner, &photo).await;
    assert_eq!((made.len(), &made[0]["name"]), (1, &json!("photo-1.jpg")));
    let unknown = json!({ "id": "01990000-0000-7000-8000-000000000000" });
    let answer = owner.get(&path(&unknown, "/scan/pictures")).send().await.unwrap();
    problem(answer, 404, "not-found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_prints_are_cut_leaves_all_of_them_or_none_and_then_all() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut appliance = Appliance::start(&data);
    let mut owner = appliance.setup_owner().await;
    let bytes = imaging::encode(&bed(640, 480, &TWO), &EncodeOptions::new(Format::Tiff)).unwrap();
    let scan = owner.upload_ok("Album.tif", bytes).await;
    let print = |number: u32| {
        let (x, y) = (number % 5 * 128, number / 5 * 120);
        let corners = json!([[x, y], [x + 128, y], [x + 128, y + 120], [x, y + 120]]);
        json!({ "corners": corners, "name": format!("Print {number:02}") })
    };
    let wanted: Vec<Value> = (0..20).map(print).collect();
    split(&owner, &scan, json!({ "pictures": wanted })).await;
    // Two lives are short, the last one is long enough for anybody.
    for life in [15, 100, 120_000] {
        let begun = std::time::Instant::now();
        let mut made = 0;
        while made == 0 && begun.elapsed() < std::time::Duration::from_millis(life) {
            made = pictures(&owner, &scan).await.len();
            // There is a limit to how often one may ask.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(made == 0 || made == wanted.len(), "{made} of them are there");
        if made > 0 {
            break;
        }
        appliance.kill();
        appliance = Appliance::start(&data);
        owner = owner.moved_to(appliance.url());
    }
    appliance.kill();
    appliance = Appliance::start(&data);
    owner = owner.moved_to(appliance.url());
    let made = pictures(&owner, &scan).await;
    let names: std::collections::HashSet<_> =
        made.iter().map(|media| media["name"].as_str().unwrap()).collect();
    assert_eq!((made.len(), names.len()), (wanted.len(), wanted.len()), "{names:?}");
    until("nothing is left to do", async || {
        let jobs = owner.json("/api/v1/jobs?state=running").await;
        jobs["items"].as_array().unwrap().iter().all(|job| job["kind"] != "scan.split")
    })
    .await;
    assert_eq!(pictures(&owner, &scan).await.len(), wanted.len());
    appliance.stop();
}
