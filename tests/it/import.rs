//! `safelight import`: a folder of files into the library.

use std::fs;

use clap::Parser;
use safelight::cli::import::{self, ImportArgs};

use crate::pictures;
use crate::support::{Browser, TestServer};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: ImportArgs,
}

async fn keys(browser: &Browser) -> Vec<String> {
    let page = browser.json("/api/v1/media?sort=name").await;
    page["items"].as_array().unwrap().iter().map(|media| media["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_comes_in_as_it_is_and_a_second_time_changes_nothing() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("2019/summer");
    fs::create_dir_all(&inner).unwrap();
    fs::write(dir.path().join("b.txt"), "top").unwrap();
    fs::write(inner.join("a.jpg"), pictures::jpeg(40, 30)).unwrap();
    fs::write(inner.join(".hidden"), "x").unwrap();
    let run = async |more: &[&str]| {
        let path = dir.path().to_str().unwrap();
        let words = [&["import", path, "--bucket", "photos", "--folder", "old"], more].concat();
        let line = Line::try_parse_from(words).unwrap();
        format!("{:?}", import::run(&line.args, &server.app).await.unwrap())
    };
    let fine = format!("{:?}", std::process::ExitCode::SUCCESS);
    assert_eq!(run(&[]).await, fine);
    assert_eq!(keys(&owner).await, ["old/2019/summer/a.jpg", "old/b.txt"]);
    assert_eq!(run(&[]).await, fine);
    assert_eq!(keys(&owner).await.len(), 2);

    fs::write(dir.path().join("b.txt"), "new").unwrap();
    fs::write(dir.path().join("c\u{202e}d.txt"), "trick").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
    assert_ne!(run(&["--hidden"]).await, fine, "bad files are reported and the rest goes on");
    assert_eq!(keys(&owner).await, ["old/2019/summer/.hidden", "old/2019/summer/a.jpg", "old/b.txt"]);
    let changed = owner.json("/api/v1/media?q=b.txt").await;
    assert_eq!(changed["items"][0]["versions"], 2, "what has changed is a new version");
}
