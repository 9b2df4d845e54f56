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

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_file_is_not_copied_and_keeps_its_date() {
    use std::os::unix::fs::MetadataExt;
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    // On the same file system as the blobs.
    let dir = server.dir.path().join("pictures");
    fs::create_dir(&dir).unwrap();
    let file = dir.join("old.bin");
    fs::write(&file, vec![7; 300_000]).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(946_684_800);
    fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    owner.upload_ok("new.bin", "x").await;
    let words = ["import", dir.to_str().unwrap(), "--link"];
    let line = Line::try_parse_from(words).unwrap();
    for _ in 0..2 {
        assert_eq!(
            format!("{:?}", import::run(&line.args, &server.app).await.unwrap()),
            format!("{:?}", std::process::ExitCode::SUCCESS)
        );
    }
    assert_eq!(keys(&owner).await, ["new.bin", "old.bin"]);
    let oldest = owner.json("/api/v1/media?sort=taken&limit=1").await;
    assert_eq!(oldest["items"][0]["name"], "old.bin");
    let hash = oldest["items"][0]["sha256"].as_str().unwrap();
    let blob = server.dir.path().join("data/blobs").join(&hash[..2]).join(hash);
    let (of_file, of_blob) = (fs::metadata(&file).unwrap(), fs::metadata(blob).unwrap());
    // A clone is a file of its own, a second name is not, and is protected.
    assert!(of_file.ino() != of_blob.ino() || of_file.permissions().readonly());
    assert_eq!(crate::mounts::entries(&server.dir.path().join("data/blobs/incoming")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_watched_folder_comes_in_and_is_put_away() {
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().to_owned();
    let server = TestServer::start_with(|config| config.import.watch = Some(watched.clone())).await;
    let owner = server.setup_owner().await;
    fs::create_dir(watched.join("scans")).unwrap();
    fs::write(watched.join("scans/a.jpg"), pictures::jpeg(40, 30)).unwrap();
    fs::write(watched.join("evil\u{202e}gpj.exe"), "x").unwrap();
    fs::write(watched.join(".partial"), "x").unwrap();
    let look = async || {
        safelight::uploads::look_into_folder(&server.app).await.unwrap();
        server.run_jobs().await
    };
    // The clock of the test stands before the files were written: nothing has settled.
    assert_eq!(look().await, 0);
    server.clock.advance(std::time::Duration::from_secs(10 * 365 * 24 * 3600));
    assert!(look().await > 0);
    let owner = {
        drop(owner);
        server.login("olive@example.org").await
    };
    assert_eq!(keys(&owner).await, ["scans/a.jpg"]);
    assert!(watched.join("done/scans/a.jpg").exists() && !watched.join("scans/a.jpg").exists());
    assert!(watched.join("evil\u{202e}gpj.exe").exists(), "what can't be taken stays");
    assert_eq!(look().await, 0, "and is left alone");
    fs::write(watched.join("scans/a.jpg"), pictures::jpeg(50, 30)).unwrap();
    assert!(look().await > 0);
    assert_eq!(keys(&owner).await, ["scans/a (2).jpg", "scans/a.jpg"]);
    assert!(watched.join("done/scans/a (2).jpg").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_watched_folder_may_stay_and_come_again_only_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().to_owned();
    let server = TestServer::start_with(|config| {
        config.import.watch = Some(watched.clone());
        config.import.taken = safelight::config::Taken::Leave;
    })
    .await;
    server.setup_owner().await;
    server.clock.advance(std::time::Duration::from_secs(10 * 365 * 24 * 3600));
    let owner = server.login("olive@example.org").await;
    fs::write(watched.join("a.txt"), "one").unwrap();
    let look = async || {
        safelight::uploads::look_into_folder(&server.app).await.unwrap();
        server.run_jobs().await
    };
    assert!(look().await > 0);
    assert_eq!(look().await, 0);
    fs::write(watched.join("a.txt"), "three").unwrap();
    assert!(look().await > 0);
    let media = owner.json("/api/v1/media").await;
    assert_eq!(
        (media["items"][0]["key"].as_str(), media["items"][0]["versions"].as_u64()),
        (Some("a.txt"), Some(2))
    );
    let id = media["items"][0]["id"].as_str().unwrap();
    assert_eq!(owner.delete(&format!("/api/v1/media/{id}")).send().await.unwrap().status(), 204);
    assert_eq!(look().await, 0, "what was thrown away does not come back");
    assert!(watched.join("a.txt").exists());
}
