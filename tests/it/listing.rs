//! Lists of a large library. Run by hand for the figures: the test says what it found.

use std::time::{Duration, Instant};

use safelight::library::{self, Filter, Query, Slug, Sort, SortBy};

use crate::fill::fill;
use crate::support::TestServer;

/// Lists pages in every order and with every filter, deep ones too, and returns the slowest with its name.
async fn slowest(server: &TestServer, repeat: usize) -> Vec<(Duration, String)> {
    let bucket = || Slug::parse("photos").ok();
    let q = |text| Filter { query: Query::parse(text), ..Filter::default() };
    let below = |folder: &str| Filter {
        bucket: bucket(),
        folder: Some(folder.into()),
        recursive: true,
        ..Filter::default()
    };
    let filters = [
        ("everything", Filter::default()),
        ("bucket", Filter { bucket: bucket(), ..Filter::default() }),
        ("folder", Filter { bucket: bucket(), folder: Some("2004/07".into()), ..Filter::default() }),
        ("folder and below", below("2004")),
        ("a word in a folder and below", Filter { query: Query::parse("garden"), ..below("2004") }),
        ("common name", q("img_")),
        ("fifth of names", q("garden")),
        ("piece of a fifth", q("arden")),
        ("rare name", q("0004711")),
        ("piece of a rare name", q("4711")),
        ("no such name", q("nowhere")),
        ("two letters", q("ch")),
        ("two words", q("garden canon")),
        ("a word and a number", q("beach 471")),
        ("pictures", q("type:image")),
        ("others", q("type:other")),
        ("no such type", q("type:image/png")),
        ("common tag", q("tag:family")),
        ("tag of a run", q("tag:\"summer 2003\"")),
        ("rare tag", q("tag:rare")),
        ("tag and word", q("tag:family garden")),
        ("camera", q("camera:nikon")),
        ("year", q("taken:2021")),
        ("month", q("taken:2021-03")),
        ("large", q("size:>8990kb")),
        ("not", q("-garden type:image")),
        ("trash", Filter { trashed: true, ..Filter::default() }),
    ];
    let mut figures = Vec::new();
    for (name, filter) in filters {
        for by in [SortBy::Created, SortBy::Name, SortBy::Taken, SortBy::Size] {
            for descending in [false, true] {
                let sort = Sort { by, descending };
                // The best of some times each page, then the worst page: other programs are not what is measured.
                let mut best = [Duration::MAX; 4];
                for _ in 0..repeat {
                    let mut after = None;
                    for best in &mut best {
                        let started = Instant::now();
                        let page = library::list(&server.app, filter.clone(), sort, after.clone(), 101)
                            .await
                            .unwrap();
                        *best = started.elapsed().min(*best);
                        after = page.last().map(|media| media.position(sort));
                        if page.len() < 101 {
                            break;
                        }
                    }
                }
                let worst = best.into_iter().filter(|time| *time < Duration::MAX).max().unwrap_or_default();
                figures.push((worst, format!("{name} by {by:?} {descending}")));
            }
        }
    }
    figures.sort_unstable_by(|a, b| b.cmp(a));
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filled_library_lists_in_every_way() {
    let server = TestServer::start().await;
    server.setup_owner().await;
    fill(&server.app.db, 5000).await.unwrap();
    for (_, what) in slowest(&server, 1).await {
        assert!(!what.is_empty());
    }
    let filter = Filter { query: Query::parse("Garden"), ..Filter::default() };
    let found = library::list(&server.app, filter, Sort::default(), None, 5000).await.unwrap();
    assert_eq!(found.len(), 1000);
    let filter = Filter { query: Query::parse("type:other"), ..Filter::default() };
    let found = library::list(&server.app, filter, Sort::default(), None, 5000).await.unwrap();
    assert_eq!(found.len(), 100);
    let bucket = library::get_bucket(&server.app, &Slug::parse("photos").unwrap()).await.unwrap();
    assert_eq!(bucket.media_count, 5000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; SAFELIGHT_TEST_MEDIA sets how many media"]
async fn the_slowest_lists_of_a_million() {
    #[expect(clippy::disallowed_methods, reason = "a figure for a measurement by hand")]
    let count = std::env::var("SAFELIGHT_TEST_MEDIA").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let server = TestServer::start().await;
    server.setup_owner().await;
    let started = Instant::now();
    fill(&server.app.db, count).await.unwrap();
    eprintln!("filled {count} in {:?}", started.elapsed());
    for q in ["", "garden", "tag:family", "tag:rare", "taken:2021", "img"] {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let filter = Filter { query: Query::parse(q), ..Filter::default() };
            let started = Instant::now();
            library::timeline(&server.app, filter).await.unwrap();
            best = best.min(started.elapsed());
        }
        eprintln!("{best:>12.1?}  timeline of {q:?}");
    }
    let started = Instant::now();
    library::list_tags(&server.app, library::Caller::Machine, None, "", None, 100).await.unwrap();
    eprintln!("{:>12.1?}  tags", started.elapsed());
    for (worst, what) in slowest(&server, 3).await.into_iter().take(40) {
        eprintln!("{worst:>12.1?}  {what}");
    }
}
