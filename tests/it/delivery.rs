//! The way out: ranges, conditions, how things may be shown, and renderings.

use std::time::Duration;

use safelight::imaging::{self, Channels, Format};
use serde_json::Value;

use crate::pictures;
use crate::support::{Browser, TestServer, problem};

async fn content(
    browser: &Browser,
    media: &Value,
    query: &str,
    headers: &[(&str, &str)],
) -> reqwest::Response {
    let mut request = browser.get(&format!("/api/v1/media/{}/content{query}", media["id"].as_str().unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_and_conditions_are_answered_as_the_standard_says() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    // One that is read whole, and one that is streamed from the disk.
    for size in [10_000, 700_000_usize] {
        let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let media = owner.upload_ok("data.bin", bytes.clone()).await;
        let etag = format!("\"{}\"", media["sha256"].as_str().unwrap());
        let whole = content(&owner, &media, "", &[]).await;
        assert_eq!(whole.status(), 200);
        assert_eq!(whole.headers()["etag"], etag);
        assert_eq!(whole.headers()["accept-ranges"], "bytes");
        assert_eq!(whole.headers()["content-length"], size.to_string());
        assert_eq!(whole.bytes().await.unwrap(), bytes);
        let last = size - 1;
        for (range, first, end) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=5-9".to_owned(), 5, 10),
            (format!("bytes={}-", size - 3), size - 3, size),
            ("bytes=-4".to_owned(), size - 4, size),
            (format!("bytes=7-{}", size * 2), 7, size),
        ] {
            let part = content(&owner, &media, "", &[("range", &range), ("if-range", &etag)]).await;
            assert_eq!(part.status(), 206, "{range}");
            assert_eq!(part.headers()["content-range"], format!("bytes {first}-{}/{size}", end - 1));
            assert_eq!(part.headers()["content-length"], (end - first).to_string());
            assert_eq!(part.bytes().await.unwrap(), bytes[first..end], "{range}");
        }
        for (headers, status) in [
            (vec![("range", "bytes=5-9"), ("if-range", "\"other\"")], 200),
            (vec![("range", "bytes=5-9"), ("if-range", "Wed, 21 Oct 2015 07:28:00 GMT")], 200),
            (vec![("range", "bytes=9-5")], 200),
            (vec![("range", "bytes=1-5,5-6")], 200),
            (vec![("range", "bytes=1-2,5-6"), ("if-range", "\"other\"")], 200),
            (vec![("range", "bytes=1-2,5-6"), ("if-range", etag.as_str())], 206),
            (vec![("range", "bytes=99999998-,99999999-")], 416),
            (vec![("range", "bytes=99999999-")], 416),
            (vec![("if-none-match", etag.as_str())], 304),
            (vec![("if-none-match", "*")], 304),
            (vec![("if-none-match", "\"a\", \"b\"")], 200),
            (vec![("if-match", "\"a\"")], 412),
            (vec![("if-match", etag.as_str())], 200),
            (vec![("if-none-match", etag.as_str()), ("range", "bytes=0-1")], 304),
        ] {
            let answer = content(&owner, &media, "", &headers).await;
            assert_eq!(answer.status(), status, "{headers:?}");
            if status == 416 {
                assert_eq!(answer.headers()["content-range"], format!("bytes */{size}"));
            }
            if status == 304 {
                assert_eq!(answer.headers()["etag"], etag);
            }
        }
        let url = server.url(&format!("/api/v1/media/{}/content", media["id"].as_str().unwrap()));
        let head = owner.http.head(&url).header("range", "bytes=0-1").send().await.unwrap();
        assert_eq!(
            (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
            (200, &*(last + 1).to_string())
        );
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_ranges_come_in_one_body_and_never_more_than_the_whole() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for size in [20_000, 900_000_usize] {
        let bytes: Vec<u8> = (0..size).map(|i| (i % 253) as u8).collect();
        let media = owner.upload_ok("data.bin", bytes.clone()).await;
        let range = format!("bytes=10-19, {}-{}, -5", size / 2, size / 2 + 6000);
        let answer = content(&owner, &media, "", &[("range", &range)]).await;
        assert_eq!(answer.status(), 206);
        assert!(answer.headers().get("content-range").is_none());
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
        let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let body = answer.bytes().await.unwrap();
        assert_eq!(body.len(), length);
        let mut expected = Vec::new();
        for (first, end) in [(10, 20), (size / 2, size / 2 + 6001), (size - 5, size)] {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {first}-{}/{size}\r\n\r\n",
                end - 1
            );
            expected.extend(head.into_bytes());
            expected.extend(&bytes[first..end]);
        }
        expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        assert!(body == expected, "{size}");

        // A thousand ranges, the same one over and over, and overlapping ones cost what the whole costs.
        let thousand: Vec<String> = (0..1000).map(|i| format!("{}-{}", i * 10, i * 10)).collect();
        let same = vec!["0-"; 16];
        for list in [thousand.join(","), same.join(","), "0-99,50-149".into(), "0-,-1".into()] {
            let answer = content(&owner, &media, "", &[("range", &format!("bytes={list}"))]).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.bytes().await.unwrap() == bytes);
        }
    }
    // Frames around single bytes would be more than the file.
    let media = owner.upload_ok("small.txt", b"hello world".to_vec()).await;
    let answer = content(&owner, &media, "", &[("range", "bytes=0-0,2-2")]).await;
    assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (200, 11));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_a_file() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("empty.jpg", Vec::new()).await;
    assert_eq!(
        (media["size_bytes"].as_u64(), media["content_type"].as_str()),
        (Some(0), Some("application/octet-stream"))
    );
    let whole = content(&owner, &media, "", &[]).await;
    assert_eq!((whole.status().as_u16(), whole.headers()["content-length"].to_str().unwrap()), (200, "0"));
    assert_eq!(content(&owner, &media, "", &[("range", "bytes=0-")]).await.status(), 416);
    problem(content(&owner, &media, "?preset=thumb", &[]).await, 422, "not-a-picture").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_run_is_saved_and_never_shown() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let jpeg = pictures::jpeg(20, 20);
    for (name, bytes, content_type, kind, sandboxed) in [
        ("page.jpg", b"<!DOCTYPE html><script>1</script>".to_vec(), "text/html", "attachment", true),
        (
            "logo.png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            "image/svg+xml",
            "attachment",
            true,
        ),
        ("paper.pdf", b"%PDF-1.7 ...".to_vec(), "application/pdf", "attachment", true),
        ("blob", vec![0, 1, 2], "application/octet-stream", "attachment", true),
        ("list.json", b"{\"a\": 1}".to_vec(), "application/json", "inline", true),
        ("note.txt", b"hello".to_vec(), "text/plain; charset=utf-8", "inline", true),
        ("photo.html", jpeg, "image/jpeg", "inline", false),
    ] {
        let media = owner.upload_ok(name, bytes.clone()).await;
        let answer = content(&owner, &media, "", &[]).await;
        assert_eq!(answer.headers()["content-type"], content_type, "{name}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let disposition = answer.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with(kind), "{name}: {disposition}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert_eq!(policy.starts_with("sandbox"), sandboxed, "{name}: {policy}");
        assert!(answer.headers().get("content-encoding").is_none(), "{name}");
        let etag = answer.headers()["etag"].to_str().unwrap();
        let same = content(&owner, &media, "", &[("if-none-match", etag)]).await;
        assert_eq!(same.status(), 304);
        for header in ["content-disposition", "content-security-policy"] {
            assert_eq!(same.headers()[header], answer.headers()[header], "{name}: a cache takes this over");
        }
        assert_eq!(answer.bytes().await.unwrap(), bytes, "{name}");
        let saved = content(&owner, &media, "?download=1", &[]).await;
        assert!(saved.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renderings_are_made_once_upright_and_within_their_box() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpeg", pictures::jpeg_with_exif(900, 600)).await;
    for (preset, width, height) in [("thumb", 200, 200), ("grid", 240, 360), ("screen", 600, 900)] {
        let query = format!("?preset={preset}");
        let answer = content(&owner, &media, &query, &[]).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "image/jpeg");
        assert_eq!(answer.headers()["content-disposition"], "inline; filename=\"harbour.jpg\"");
        assert_eq!(answer.headers()["vary"], "accept");
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        let bytes = answer.bytes().await.unwrap();
        let probe = imaging::probe_bytes(&bytes).unwrap();
        assert_eq!((probe.width, probe.height), (width, height), "{preset}");
        let again = content(&owner, &media, &query, &[("if-none-match", &etag)]).await;
        assert_eq!(again.status(), 304);
        let part = content(&owner, &media, &query, &[("range", "bytes=1-3")]).await;
        assert_eq!(part.bytes().await.unwrap(), bytes[1..4]);
        let sha = media["sha256"].as_str().unwrap();
        let named = content(&owner, &media, &format!("{query}&v={}", &sha[..12]), &[]).await;
        assert_eq!(named.headers()["cache-control"], "private, max-age=31536000, immutable");
        let wrong = content(&owner, &media, &format!("{query}&v=0123456789"), &[]).await;
        assert_eq!(wrong.headers()["cache-control"], "private, no-cache");
    }
    let cached = server.app.cache.size_bytes();
    assert!(cached > 0);
    let asks: Vec<_> = (0..8).map(|_| content(&owner, &media, "?preset=thumb", &[])).collect();
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(server.app.cache.size_bytes(), cached);
    problem(content(&owner, &media, "?preset=huge", &[]).await, 400, "bad-transform").await;

    let clear = pictures::encoded(300, 200, Channels::Rgba, Format::Png);
    let clear = owner.upload_ok("clear.png", clear).await;
    let answer = content(&owner, &clear, "?preset=thumb", &[]).await;
    assert_eq!(answer.headers()["content-type"], "image/png", "alpha is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendering_is_what_the_address_says_and_the_caller_accepts() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpeg", pictures::jpeg_with_exif(900, 600)).await;
    let mut etags = std::collections::HashSet::new();
    for (query, accept, kind, size, varies) in [
        ("?w=300", "image/webp,*/*", "image/webp", (300, 450), true),
        ("?w=300", "*/*", "image/jpeg", (300, 450), true),
        ("?w=300&format=png", "image/webp", "image/png", (300, 450), false),
        ("?w=300&h=300&fit=cover&format=jpeg&q=50", "*/*", "image/jpeg", (300, 300), false),
        ("?h=300&w=300&fit=fill&format=jpeg", "*/*", "image/jpeg", (300, 300), false),
        ("?w=300&dpr=2&format=webp", "*/*", "image/webp", (600, 900), false),
    ] {
        let answer = content(&owner, &media, query, &[("accept", accept)]).await;
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(answer.headers()["content-type"], kind, "{query}");
        let vary = answer.headers().get_all("vary").iter().any(|value| value == "accept");
        assert_eq!(vary, varies, "{query}");
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert!(etag.starts_with('"') && etags.insert(etag.clone()), "{query}: {etag}");
        let probe = imaging::probe_bytes(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!((probe.width, probe.height), size, "{query}");
        let same = content(&owner, &media, query, &[("accept", accept), ("if-none-match", &etag)]).await;
        assert_eq!(same.status(), 304);
        assert_eq!(same.headers().get_all("vary").iter().any(|value| value == "accept"), varies);
    }
    // What is the same is one rendering, however it is spelled.
    let etag = |query: &'static str| {
        let (owner, media) = (owner.clone(), media.clone());
        async move { content(&owner, &media, query, &[]).await.headers()["etag"].clone() }
    };
    assert_eq!(etag("?format=jpeg&w=300&q=80&fit=contain").await, etag("?dpr=1.0&w=300&format=jpeg").await);
    for (query, parameter) in [
        ("?w=0", "w"),
        ("?w=9000", "w"),
        ("?w=10&w=10", "w"),
        ("?h=abc", "h"),
        ("?format=bmp", "format"),
        ("?fit=squash", "fit"),
        ("?blur=1e9", "blur"),
        ("?preset=thumb&w=10", "preset"),
        ("?preset=nothing", "preset"),
    ] {
        let body = problem(content(&owner, &media, query, &[]).await, 400, "bad-transform").await;
        assert_eq!(body["errors"][0]["field"], parameter, "{query}");
    }
    let text = owner.upload_ok("note.txt", b"hello".to_vec()).await;
    problem(content(&owner, &text, "?w=10", &[]).await, 422, "not-a-picture").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_picture_is_ready_for_the_grid_before_anybody_looks() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpg", pictures::jpeg(900, 600)).await;
    owner.upload_ok("note.txt", b"no picture".to_vec()).await;
    assert_eq!(server.app.cache.size_bytes(), 0);
    server.run_jobs().await;
    let cached = server.app.cache.size_bytes();
    assert!(cached > 0);
    let browser = ("accept", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8");
    assert_eq!(content(&owner, &media, "?preset=grid", &[browser]).await.status(), 200);
    assert_eq!(server.app.cache.size_bytes(), cached, "it was there");
    // Nothing is made twice, and where nothing is kept nothing is made.
    let blob = media["sha256"].as_str().unwrap().parse().unwrap();
    let again = move |tx: &safelight::db::Tx<'_>| {
        safelight::jobs::enqueue(
            tx,
            &safelight::library::WarmUp { blob },
            safelight::jobs::Options::default(),
        )
    };
    server.app.db.write(again).await.unwrap();
    assert_eq!(server.run_jobs().await, 1);
    assert_eq!(server.app.cache.size_bytes(), cached);
    let jobs = server.app.db.read(safelight::jobs::counts).await.unwrap();
    assert_eq!(jobs.failed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_stays_within_its_limit() {
    let server = TestServer::start_with(|config| config.delivery.cache_bytes = 30_000).await;
    let owner = server.setup_owner().await;
    for i in 0..12 {
        let media = owner.upload_ok("p.jpg", pictures::jpeg(400 + i, 300)).await;
        assert_eq!(content(&owner, &media, "?preset=thumb", &[]).await.status(), 200);
        server.clock.advance(Duration::from_secs(1));
        assert!(server.app.cache.size_bytes() <= 30_000);
    }
    assert!(server.app.cache.size_bytes() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_and_hostile_pictures_are_stored_and_answered() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let whole = pictures::jpeg(640, 480);
    let mut broken_icc = pictures::jpeg(64, 48);
    broken_icc.splice(2..2, *b"\xff\xe2\x00\x18ICC_PROFILE\0\x01\x01garbage!");
    let mut broken_exif = pictures::jpeg(64, 48);
    broken_exif.splice(2..2, *b"\xff\xe1\x00\x14Exif\0\0II*\0\xff\xff\xff\xff\0\0\0\0");
    let heic = include_bytes!("../../src/imaging/tests/fixtures/still.heic");
    let jxl = include_bytes!("../../src/imaging/tests/fixtures/boxed.jxl");
    for (what, bytes, size, status, code) in [
        ("truncated", whole[..whole.len() / 3].to_vec(), Some((640, 480)), 422, "picture-damaged"),
        ("cut in the header", whole[..20].to_vec(), None, 422, "not-a-picture"),
        ("huge", pictures::png_header(60_000, 60_000), Some((60_000, 60_000)), 422, "picture-too-large"),
        ("text", b"this is no picture".to_vec(), None, 422, "not-a-picture"),
        ("thin", pictures::encoded(1, 65_500, Channels::Gray, Format::Jpeg), Some((1, 65_500)), 200, ""),
        ("thin png", pictures::encoded(1, 65_535, Channels::Gray, Format::Png), Some((1, 65_535)), 200, ""),
        ("animated", pictures::animated_gif(), Some((40, 30)), 200, ""),
        ("inks", pictures::cmyk_jpeg(), Some((64, 48)), 200, ""),
        ("broken profile", broken_icc, Some((64, 48)), 200, ""),
        ("broken exif", broken_exif, Some((64, 48)), 200, ""),
        ("heic", heic.to_vec(), Some((64, 48)), 200, ""),
        ("cut heic", heic[..heic.len() - 50].to_vec(), Some((64, 48)), 422, "picture-damaged"),
        ("jpeg xl", jxl.to_vec(), Some((24, 18)), 200, ""),
    ] {
        let media = owner.upload_ok("photo.jpg", bytes.clone()).await;
        let found = media["width"].as_u64().zip(media["height"].as_u64());
        assert_eq!(found, size, "{what}");
        let whole = content(&owner, &media, "", &[]).await;
        assert_eq!(whole.bytes().await.unwrap(), bytes, "{what}: nothing is lost");
        let answer = content(&owner, &media, "?preset=grid", &[]).await;
        if status == 200 {
            assert_eq!(answer.status(), 200, "{what}");
        } else {
            problem(answer, status, code).await;
        }
        let facts = owner.json(&format!("/api/v1/media/{}/metadata", media["id"].as_str().unwrap())).await;
        assert!(facts["items"].as_array().unwrap().len() >= 4, "{what}");
    }
    server.run_jobs().await;
    let jobs = server.app.db.read(safelight::jobs::counts).await.unwrap();
    assert_eq!(jobs.failed, 0, "no picture breaks a job");
}
