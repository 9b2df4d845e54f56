//! Searching: words, conditions, parameters, pages.

use reqwest::Url;
use safelight::library::{self, Filter, Query, Sort, SortBy};
use serde_json::json;

use crate::fill::fill;
use crate::pictures;
use crate::support::{Browser, TestServer, problem};

async fn found(browser: &Browser, pairs: &[(&str, &str)]) -> Vec<String> {
    let url = Url::parse_with_params("http://x/api/v1/media?sort=name", pairs).unwrap();
    let page = browser.json(&format!("{}?{}", url.path(), url.query().unwrap())).await;
    page["items"].as_array().unwrap().iter().map(|media| media["name"].as_str().unwrap().to_owned()).collect()
}

async fn library() -> (TestServer, Browser) {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    for (name, bytes, change) in [
        (
            "IMG_0471 harbour.jpg",
            pictures::jpeg_with_exif(60, 40),
            json!({ "folder": "Été/Zürich", "tags": ["Sea"] }),
        ),
        (
            "Grandmother.jpg",
            pictures::jpeg(30, 20),
            json!({ "folder": "Été", "description": "With the yellow hat" }),
        ),
        ("notes.txt", b"hello".to_vec(), json!({ "tags": ["sea side", "to do"] })),
        ("東京旅行.txt", b"tokyo".to_vec(), json!({})),
        ("clip.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec(), json!({ "folder": "Étéx" })),
    ] {
        let media = owner.upload_ok(name, bytes).await;
        let path = format!("/api/v1/media/{}", media["id"].as_str().unwrap());
        let changed = owner.patch(&path).json(&change).send().await.unwrap();
        assert_eq!(changed.status(), 200, "{}", changed.text().await.unwrap());
    }
    (server, owner)
}

const HARBOUR: &str = "IMG_0471 harbour.jpg";
const GRANDMOTHER: &str = "Grandmother.jpg";
const NOTES: &str = "notes.txt";
const TOKYO: &str = "東京旅行.txt";
const CLIP: &str = "clip.mp4";

#[tokio::test(flavor = "multi_thread")]
async fn words_are_found_in_names_folders_tags_descriptions_and_cameras() {
    let (_server, owner) = library().await;
    for (q, expected) in [
        ("harbour", vec![HARBOUR]),
        ("harb", vec![HARBOUR]),
        ("arbou", vec![HARBOUR]),
        ("471", vec![HARBOUR]),
        ("img_04", vec![HARBOUR]),
        ("zurich", vec![HARBOUR]),
        ("ete", vec![CLIP, GRANDMOTHER, HARBOUR]),
        ("mother yellow", vec![GRANDMOTHER]),
        ("yellow mother", vec![GRANDMOTHER]),
        ("model sea", vec![HARBOUR]),
        ("sea", vec![HARBOUR, NOTES]),
        ("sea -side", vec![HARBOUR]),
        ("\"sea side\"", vec![NOTES]),
        ("\"yellow hat\" mother", vec![GRANDMOTHER]),
        ("旅行", vec![TOKYO]),
        ("東京", vec![TOKYO]),
        ("nothing", vec![]),
        ("harbour nothing", vec![]),
    ] {
        assert_eq!(found(&owner, &[("q", q)]).await, expected, "{q}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_narrow_a_search_in_words_and_as_parameters() {
    let (_server, owner) = library().await;
    for (q, expected) in [
        ("tag:sea", vec![HARBOUR]),
        ("tag:\"SEA side\"", vec![NOTES]),
        ("tag:nothing", vec![]),
        ("-tag:sea type:image", vec![GRANDMOTHER]),
        ("camera:model", vec![HARBOUR]),
        ("tag:sea arbou", vec![HARBOUR]),
        ("type:image 471", vec![HARBOUR]),
        ("type:other 471", vec![]),
        ("folder:zurich", vec![HARBOUR]),
        ("type:video", vec![CLIP]),
        ("type:other", vec![NOTES, TOKYO]),
        ("type:image/jpeg", vec![GRANDMOTHER, HARBOUR]),
        ("size:<6", vec![NOTES, TOKYO]),
        ("taken:2019", vec![HARBOUR]),
        ("taken:2019-08", vec![HARBOUR]),
        ("taken:2019-09", vec![]),
        ("taken:2018..2020 harbour", vec![HARBOUR]),
        ("before:2020", vec![HARBOUR]),
        ("after:2019 type:image", vec![GRANDMOTHER]),
        ("is:described", vec![GRANDMOTHER]),
        ("is:untagged", vec![CLIP, GRANDMOTHER, TOKYO]),
        ("is:restored", vec![]),
        ("is:favourite", vec![]),
    ] {
        assert_eq!(found(&owner, &[("q", q)]).await, expected, "{q}");
    }
    for (pairs, expected) in [
        (vec![("tag", "SEA")], vec![HARBOUR]),
        (vec![("camera", "model x")], vec![HARBOUR]),
        (vec![("camera", "!!!")], vec![]),
        (vec![("type", "video")], vec![CLIP]),
        (vec![("taken_from", "2020")], vec![CLIP, GRANDMOTHER, NOTES, TOKYO]),
        (vec![("taken_to", "2019-08-07")], vec![HARBOUR]),
        (vec![("taken_from", "2019-08-07T06:05:04Z"), ("taken_to", "2019-08-07T06:05:04Z")], vec![HARBOUR]),
        (vec![("size_min", "5"), ("size_max", "5")], vec![NOTES, TOKYO]),
        (vec![("folder", "Été"), ("recursive", "true")], vec![GRANDMOTHER, HARBOUR]),
        (vec![("folder", "Été"), ("recursive", "true"), ("q", "harbour")], vec![HARBOUR]),
        (vec![("folder", "Été"), ("recursive", "true"), ("q", "clip")], vec![]),
        (vec![("folder", "Été"), ("q", "harbour")], vec![]),
        (vec![("folder", ""), ("q", "n")], vec![NOTES]),
        (vec![("state", "trashed")], vec![]),
        (vec![("state", "pending")], vec![]),
        (vec![("state", "ready"), ("q", "harbour")], vec![HARBOUR]),
    ] {
        assert_eq!(found(&owner, &pairs).await, expected, "{pairs:?}");
    }
    for bad in ["taken_from=soon", "type=thing", "size_min=-1", "state=lost", "favourite=maybe"] {
        problem(owner.get(&format!("/api/v1/media?{bad}")).send().await.unwrap(), 400, "bad-query").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_media_is_found_as_it_changes() {
    let (_server, owner) = library().await;
    let media = owner.json("/api/v1/media?q=notes").await["items"][0].clone();
    let path = format!("/api/v1/media/{}", media["id"].as_str().unwrap());
    let change = json!({ "name": "diary.txt", "tags": ["old"], "description": "A year" });
    owner.patch(&path).json(&change).send().await.unwrap();
    for (q, expected) in [("notes", 0), ("tag:\"to do\"", 0), ("diary", 1), ("tag:old", 1), ("a year", 1)] {
        assert_eq!(found(&owner, &[("q", q)]).await.len(), expected, "{q}");
    }
    owner.delete(&path).send().await.unwrap();
    assert!(found(&owner, &[("q", "diary")]).await.is_empty());
    assert_eq!(found(&owner, &[("q", "diary"), ("state", "trashed")]).await, ["diary.txt"]);
    owner.delete(&format!("{path}?purge=true")).send().await.unwrap();
    assert!(found(&owner, &[("q", "diary"), ("state", "trashed")]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_typed_is_an_answer() {
    let (_server, owner) = library().await;
    let long = "x ".repeat(3000);
    for q in [
        "\"",
        "\"\"\"",
        "'",
        "*",
        "a*",
        "-",
        "--",
        "- -",
        "NEAR(a b)",
        "a AND",
        "OR",
        "NOT a",
        "(",
        "a)",
        "^a",
        "a:b",
        "name:a",
        "{a b}: c",
        "tag:",
        "tag:\"",
        "\0",
        "a\0b",
        "%",
        "_",
        "\\",
        "हिन्दी",
        "ไทย",
        "👩‍👩‍👧",
        "e\u{301}",
        "ﬁ",
        "ǅ",
        "𝒳",
        "\u{202e}abc",
        "size:>99999999999999999999gb",
        "taken:9999",
        "taken:0000",
        "after:9999-12-31",
        "taken:0001..9999",
        &long,
        "🙂🙂🙂",
        "ß",
        "İ",
        "tag:\"a\nb\"",
        "is:",
        "type:/",
        "type:image/jpeg\"",
    ] {
        for sort in ["created", "-name"] {
            let url = Url::parse_with_params("http://x/api/v1/media", [("q", q), ("sort", sort)]).unwrap();
            let answer = owner.get(&format!("{}?{}", url.path(), url.query().unwrap())).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{q:?}: {}", answer.text().await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_a_search_is_whole_and_pages_without_gaps() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    // More than are fetched and sorted at once, so that each way to a page is taken.
    fill(&server.app.db, 12_000).await.unwrap();
    for (q, expected) in [
        ("garden", 2400),
        ("img", 12_000),
        ("arden", 2400),
        ("type:image", 11_760),
        ("type:image -garden", 9360),
        ("tag:family", 1200),
        ("family nikon", 514),
        ("camera:nikon", 1715),
        ("garden canon", 343),
        ("tag:family beach", 1200),
        ("tag:family eac", 1200),
        ("tag:family arden", 0),
        ("size:>4mb", 0),
    ] {
        let filter = Filter { query: Query::parse(q), ..Filter::default() };
        let mut counts = Vec::new();
        for by in [SortBy::Created, SortBy::Name, SortBy::Taken, SortBy::Size] {
            for descending in [false, true] {
                let sort = Sort { by, descending };
                let (mut after, mut count) = (None, 0);
                loop {
                    let page =
                        library::list(&server.app, filter.clone(), sort, after.clone(), 500).await.unwrap();
                    let mut positions: Vec<_> = page.iter().map(|media| media.position(sort)).collect();
                    if descending {
                        positions.reverse();
                    }
                    assert!(positions.is_sorted(), "{q} {sort:?}");
                    count += page.len();
                    after = page.last().map(|media| media.position(sort));
                    if page.len() < 500 {
                        break;
                    }
                }
                counts.push(count);
            }
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{q}: {counts:?}");
        if expected > 0 {
            assert_eq!(counts[0], expected, "{q}");
        }
    }
    let timeline = library::timeline(&server.app, Filter::default()).await.unwrap();
    let searched = Filter { query: Query::parse("img"), ..Filter::default() };
    let found = library::timeline(&server.app, searched).await.unwrap();
    assert_eq!(json!(timeline), json!(found), "counted and kept are the same");
    assert_eq!(timeline.iter().map(|month| month.count).sum::<u64>(), 12_000);
    let below = Filter {
        bucket: library::Slug::parse("photos").ok(),
        folder: Some("2004".into()),
        recursive: true,
        ..Filter::default()
    };
    let one = library::list(&server.app, below.clone(), Sort::default(), None, 1000).await.unwrap();
    let query = Filter { query: Query::parse("folder:2004"), ..below };
    let other = library::list(&server.app, query, Sort::default(), None, 1000).await.unwrap();
    assert!(one.len() > 100 && one.iter().all(|media| media.folder.starts_with("2004/")));
    let ids = |list: &[library::Media]| list.iter().map(|media| media.id).collect::<Vec<_>>();
    assert_eq!(ids(&one), ids(&other));
}
