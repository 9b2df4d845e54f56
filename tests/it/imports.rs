//! The data directories of other programs: what they hold comes in once, with its people, dates and old addresses; what
//! can't come in is named.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use safelight::accounts::{self, Editor};
use safelight::imports::{
    BucketManager, Report, RestorationApp, import_bucket_manager, import_restoration_app,
};
use safelight::library::{BucketAccess, Slug};
use serde_json::{Value, json};

use super::appliance::{Appliance, safelight_on, said, until};
use super::pictures;
use super::support::{Browser, PASSWORD, TestServer};

const FIRST: &str = "3f2c1a9b-0000-4000-8000-000000000001";
const SECOND: &str = "77777777-0000-4000-8000-000000000002";

const TABLES: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, username VARCHAR(50), email VARCHAR(255), hashed_password VARCHAR, full_name
        VARCHAR, role VARCHAR, is_active BOOLEAN, password_must_change BOOLEAN, created_at DATETIME, last_login DATETIME);
    CREATE TABLE sessions (id INTEGER PRIMARY KEY, user_id INTEGER, session_id VARCHAR(36), created_at DATETIME);
    CREATE TABLE processed_images (id INTEGER PRIMARY KEY, session_id INTEGER, original_filename VARCHAR, model_id VARCHAR,
        original_path VARCHAR, processed_path VARCHAR, model_parameters TEXT, created_at DATETIME);";

/// Writes rows into a database whose log is never written back, and puts both files where they belong.
fn database(dir: &Path, sql: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("db");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;").unwrap();
    conn.execute_batch(sql).unwrap();
    fs::copy(&path, dir.join("photo_restoration.db")).unwrap();
    fs::copy(path.with_extension("").with_file_name("db-wal"), dir.join("photo_restoration.db-wal")).unwrap();
    let without_log = fs::metadata(&path).unwrap().len();
    assert!(without_log < 8192, "everything is in the log: {without_log}");
}

fn put(dir: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Everything below a folder: path, length and date.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        }
    }
    found
}

fn restoration_app(dir: &Path) -> RestorationApp {
    RestorationApp {
        dir: dir.to_owned(),
        bucket: Slug::parse("restored-photos").unwrap(),
        access: BucketAccess::Members,
        link: false,
    }
}

async fn media(browser: &Browser, bucket: &str) -> BTreeMap<String, Value> {
    let page = browser.json(&format!("/api/v1/media?bucket={bucket}&limit=500")).await;
    let items = page["items"].as_array().unwrap().iter();
    items.map(|media| (media["key"].as_str().unwrap().to_owned(), media.clone())).collect()
}

fn complaints(report: &Report) -> Vec<String> {
    report.failed.iter().map(|complaint| format!("{}: {}", complaint.what, complaint.why)).collect()
}

/// Status and goal of an old address.
async fn follow(browser: &Browser, path: &str) -> (u16, String) {
    let answer = browser.get(path).send().await.unwrap();
    let goal = answer.headers().get("location").map_or("", |value| value.to_str().unwrap()).to_owned();
    (answer.status().as_u16(), goal)
}

async fn bytes(browser: &Browser, path: &str) -> Vec<u8> {
    let answer = browser.get(path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restoration_app_moves_in_with_its_people_history_and_links() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (old, shared, second) = (pictures::jpeg(60, 40), pictures::jpeg(50, 50), pictures::jpeg(30, 20));
    let (r1, r2, r3) = (pictures::jpeg(120, 80), pictures::jpeg(61, 41), pictures::jpeg(31, 21));
    put(&data, &format!("uploads/{FIRST}/aa_grandma.jpg"), &old);
    put(&data, &format!("uploads/{SECOND}/bb_x.jpg"), &shared);
    put(&data, &format!("uploads/{SECOND}/cc_y.jpg"), &second);
    put(&data, "uploads/late/grandma.jpg", &second);
    put(&data, &format!("processed/{FIRST}/r1.jpg"), &r1);
    put(&data, &format!("processed/{FIRST}/r2.jpg"), &r2);
    put(&data, &format!("processed/{SECOND}/r3.jpg"), &r3);
    put(&data, "processed/no-picture.jpg", "this is text");
    put(dir.path(), "secret.jpg", &old);
    symlink(dir.path().join("secret.jpg"), data.join("uploads/link.jpg")).unwrap();
    database(
        &data,
        &format!(
            "{TABLES}
             INSERT INTO users (id, username, email, hashed_password, full_name, role, is_active, created_at) VALUES
                (1, 'ada', 'ada@example.org', 'x', 'Ada L', 'admin', 1, '2024-05-06 07:08:09.000000'),
                (2, 'bob', 'bob@example.org', 'x', NULL, 'user', 0, 'never'),
                (3, 'eve', 'ADA@example.org', 'x', NULL, 'user', 1, NULL), (4, 'nobody', NULL, 'x', NULL, 'user', 1, NULL),
                (5, 'bad', 'no address', 'x', NULL, 'user', 1, NULL);
             INSERT INTO sessions VALUES (1, 1, '{FIRST}', '2025-01-31 12:00:00.000000'), (2, NULL, '{SECOND}', 'yesterday');
             INSERT INTO processed_images VALUES
                (1, 1, 'grandma.jpg', 'acme/sharp', '{FIRST}/aa_grandma.jpg', '{FIRST}/r1.jpg', '{{\"scale\": 2}}',
                    '2025-01-31 12:34:56.789000'),
                (2, 1, 'grandma.jpg', 'redraw-edit', 'data/uploads/{FIRST}/aa_grandma.jpg', '{FIRST}/r2.jpg', '{{oops',
                    '2025-01-31 12:35:00'),
                (3, 2, '../../etc/evil.jpg', NULL, '/uploads/{SECOND}/bb_x.jpg', '/processed/{SECOND}/r3.jpg', NULL,
                    '2025-02-01 00:00:00'),
                (4, 2, 'gone.jpg', 'm', '{SECOND}/gone.jpg', '{SECOND}/r3.jpg', NULL, '2025-02-01 00:00:00'),
                (5, 2, 'climbs.jpg', 'm', '../../secret.jpg', '{SECOND}/r3.jpg', NULL, '2025-02-01 00:00:00'),
                (6, 2, 'absolute.jpg', 'm', '/etc/passwd', '{SECOND}/r3.jpg', NULL, '2025-02-01 00:00:00'),
                (7, 2, 'linked.jpg', 'm', 'link.jpg', NULL, NULL, '2025-02-01 00:00:00'),
                (8, 2, 'y.jpg', 'm', '{SECOND}/cc_y.jpg', '{SECOND}/gone.jpg', NULL, '2025-02-01 00:00:00'),
                (9, 2, 'no path', 'm', NULL, NULL, NULL, NULL), (10, 2, 'blob', 'm', x'00ff', NULL, NULL, 7),
                (11, 2, 'y.jpg', 'm', '{SECOND}/cc_y.jpg', 'no-picture.jpg', NULL, '2025-02-02 00:00:00'),
                (12, 1, 'grandma.jpg', 'm', 'late/grandma.jpg', NULL, NULL, '2025-01-31 13:00:00'),
                (13, 99, NULL, 'm', '{FIRST}/aa_grandma.jpg', '{FIRST}/r1.jpg', NULL, '2025-01-31 14:00:00');"
        ),
    );
    let before = state(dir.path());
    let import =
        async || import_restoration_app(&server.app, &restoration_app(dir.path()), &|_| ()).await.unwrap();
    let report = import().await;
    assert_eq!(state(dir.path()), before, "nothing is written there");
    let failed = complaints(&report).join("\n");
    for (what, why) in [
        ("user 3 (eve)", "somebody before has the email"),
        ("user 4 (nobody)", "there is no email"),
        ("user 5 (bad)", "not an email address"),
        ("picture 4 (gone.jpg)", "gone.jpg: there is no such file"),
        ("picture 5 (climbs.jpg)", "leads out of the folder"),
        ("picture 6 (absolute.jpg)", "leads out of the folder"),
        ("picture 7 (linked.jpg)", "a link stands there"),
        ("picture 8 (y.jpg)", "gone.jpg: there is no such file"),
        ("picture 9 (no path)", "its path is missing"),
        ("picture 10 (blob)", "its path is missing"),
        ("picture 11 (y.jpg)", "not a picture"),
    ] {
        assert!(failed.lines().any(|line| line.starts_with(what) && line.contains(why)), "{what}: {failed}");
    }
    assert_eq!(report.failed.len(), 11, "{failed}");
    assert_eq!((report.people.added, report.renditions.added, report.media.added), (2, 3, 4));

    // The originals lie in a folder for each visit, under the names that they had.
    let found = media(&owner, "restored-photos").await;
    let keys: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "2025-01-31 3f2c1a9b/grandma (2).jpg",
            "2025-01-31 3f2c1a9b/grandma.jpg",
            "2025-02-01 77777777/evil.jpg",
            "2025-02-01 77777777/y.jpg"
        ]
    );
    let grandma = &found["2025-01-31 3f2c1a9b/grandma.jpg"];
    assert_eq!(grandma["renditions"], 2, "an original that was used twice is one media");
    let id = grandma["id"].as_str().unwrap();
    assert_eq!(bytes(&owner, &format!("/api/v1/media/{id}/content")).await, old);
    let oldest = owner.json("/api/v1/media?bucket=restored-photos&sort=taken&limit=1").await;
    assert_eq!(oldest["items"][0]["id"], id, "dates are kept");

    // What was made from it tells where it comes from, and not what nobody knows.
    let made = owner.json(&format!("/api/v1/media/{id}/renditions")).await;
    let (second_made, first_made) = (&made["items"][0], &made["items"][1]);
    assert_eq!(first_made["ai_generated"], Value::Null);
    assert_eq!(first_made["created_at"], "2025-01-31T12:34:56.789Z");
    assert_eq!(first_made["name"], "grandma (sharp).jpg");
    let told = &first_made["provenance"]["made_elsewhere"];
    assert_eq!((&told["model"], &told["parameters"]), (&json!("acme/sharp"), &json!({ "scale": 2 })));
    assert_eq!((&told["by"], &told["redrawn"]), (&json!("ada"), &json!("unknown")));
    assert_eq!(
        second_made["provenance"]["made_elsewhere"]["parameters"], "{oops",
        "what can't be read is kept"
    );
    let people = owner.json("/api/v1/users").await;
    let person = |email: &str| {
        people["items"].as_array().unwrap().iter().find(|user| user["email"] == email).unwrap().clone()
    };
    let (ada, bob) = (person("ada@example.org"), person("bob@example.org"));
    assert_eq!(first_made["created_by"], ada["id"]);
    assert_eq!(
        (&ada["role"], &ada["name"], &ada["disabled"]),
        (&json!("admin"), &json!("Ada L"), &json!(false))
    );
    assert_eq!(ada["created_at"], "2024-05-06T07:08:09.000Z");
    assert_eq!(
        (&bob["role"], &bob["name"], &bob["disabled"]),
        (&json!("editor"), &json!("bob"), &json!(true))
    );

    // Nobody of them can log in before somebody has given them a password.
    let form = json!({ "email": "ada@example.org", "password": "x" });
    let refused = server.browser().post("/api/v1/auth/login").json(&form).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let user = ada["id"].as_str().unwrap().parse().unwrap();
    accounts::set_password(&server.app.db, &Editor::cli(), user, PASSWORD.to_owned().into(), false)
        .await
        .unwrap();
    server.login("ada@example.org").await;

    // A second time nothing comes twice, also when somebody has renamed things meanwhile.
    let rename = json!({ "name": "Oma.jpg" });
    owner
        .patch(&format!("/api/v1/media/{id}"))
        .json(&rename)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let again = import().await;
    assert_eq!((again.people.added, again.renditions.added, again.media.added), (0, 0, 0));
    assert_eq!((again.people.unchanged, again.added_bytes), (2, 0));
    assert_eq!(media(&owner, "restored-photos").await.len(), 4);
    assert_eq!(owner.json("/api/v1/users").await["items"].as_array().unwrap().len(), 3);

    check_old_links(&server, &owner, id, first_made["id"].as_str().unwrap(), (&old, &r1)).await;
}

/// Links lead whoever may see a thing to it, and tell nobody else.
async fn check_old_links(
    server: &TestServer,
    owner: &Browser,
    id: &str,
    rendition: &str,
    (old, r1): (&[u8], &[u8]),
) {
    let (upload, made) = (format!("/uploads/{FIRST}/aa_grandma.jpg"), format!("/processed/{FIRST}/r1.jpg"));
    let (stranger, viewer) = (server.browser(), server.add_user(owner, "viewer").await);
    let (original, content) =
        (format!("/api/v1/media/{id}/content"), format!("/api/v1/media/{id}/renditions/{rendition}/content"));
    assert_eq!(follow(owner, &upload).await, (308, original.clone()));
    assert_eq!(follow(owner, &made).await, (308, content.clone()));
    assert_eq!((bytes(owner, &original).await, bytes(owner, &content).await), (old.to_vec(), r1.to_vec()));
    for nobody in [&stranger, &viewer] {
        assert_eq!(follow(nobody, &upload).await, (404, String::new()), "the bucket is its members'");
        assert_eq!(follow(nobody, &made).await.0, 404);
    }
    for unknown in
        ["/uploads/x.jpg", "/uploads//evil.example/x", "/uploads/https://evil.example/", "/processed/..%2fx"]
    {
        assert_eq!(follow(owner, unknown).await, (404, String::new()), "{unknown}");
    }
    let refused = owner.post(&upload).send().await.unwrap();
    assert_eq!(refused.status(), 405);

    let change = async |path: String, form: Value| {
        owner.patch(&path).json(&form).send().await.unwrap().error_for_status().unwrap();
    };
    change("/api/v1/buckets/restored-photos".into(), json!({ "visibility": "public" })).await;
    let public = "/storage/restored-photos/2025-01-31%203f2c1a9b/Oma.jpg".to_owned();
    assert_eq!(follow(&stranger, &upload).await, (308, public.clone()));
    let led = stranger.get(&upload).send().await.unwrap();
    assert_eq!(led.headers()["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(bytes(&stranger, &public).await, old);
    assert_eq!(follow(&stranger, &made).await.0, 404, "of the results everybody has the shared one");
    change(format!("/api/v1/media/{id}"), json!({ "shared_rendition_id": rendition })).await;
    assert_eq!(follow(&stranger, &made).await, (308, public.clone()));
    assert_eq!(bytes(&stranger, &public).await, r1);
    let trashed = owner.delete(&format!("/api/v1/media/{id}")).send().await.unwrap();
    assert_eq!(trashed.status(), 204);
    assert_eq!(follow(owner, &upload).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_restoration_app_had_no_people_and_what_is_none_is_refused() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let dir = tempfile::tempdir().unwrap();
    let import = async || import_restoration_app(&server.app, &restoration_app(dir.path()), &|_| ()).await;
    let refused = import().await.unwrap_err().to_string();
    assert!(refused.contains("has no photo_restoration.db"), "{refused}");
    for (content, why) in [
        (&b"not a database, and long enough not to be taken for an empty one"[..], "not a database"),
        (&b""[..], "no table `processed_images`"),
    ] {
        fs::write(dir.path().join("photo_restoration.db"), content).unwrap();
        let refused = import().await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    put(dir.path(), "uploads/a.jpg", pictures::jpeg(40, 30));
    database(
        dir.path(),
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, session_id TEXT, created_at DATETIME);
         CREATE TABLE processed_images (id INTEGER PRIMARY KEY, session_id INTEGER, original_filename TEXT, original_path TEXT);
         INSERT INTO sessions VALUES (1, 'x', '2023-03-04 05:06:07');
         INSERT INTO processed_images VALUES (1, 1, 'a\u{202e}b.jpg', 'a.jpg');",
    );
    let report = import().await.unwrap();
    assert_eq!(complaints(&report), [""; 0]);
    let found = media(&owner, "restored-photos").await;
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), ["2023-03-04 x/a.jpg"]);
    let leftovers: Vec<_> = fs::read_dir(server.dir.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("import-"))
        .collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_manager_moves_in_and_its_public_links_go_on_working() {
    let server = TestServer::start().await;
    let owner = server.setup_owner().await;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("storage");
    let picture = pictures::jpeg(40, 30);
    put(&root, "site-images/2024/logo (1).jpg", &picture);
    put(&root, "site-images/.keep", "");
    put(&root, "photos/ours.txt", "ours");
    put(&root, "Holiday Pictures/a/b.txt", "holiday");
    put(&root, "Holiday Pictures/Cafe\u{301}.txt", "decomposed");
    put(&root, "Holiday Pictures/Caf\u{e9}.txt", "composed");
    put(&root, "Holiday Pictures/evil\u{202e}gpj.exe", "x");
    put(&root, ".quarantine/virus.exe", "x");
    put(&root, "stray.txt", "x");
    fs::create_dir_all(root.join("site-images/empty/inner")).unwrap();
    symlink("/etc/hostname", root.join("site-images/link")).unwrap();
    let users = dir.path().join("users.tsv");
    fs::write(
        &users,
        "email\tname\trole\ncleo@example.org\tCleo\tADMIN\nOLIVE@example.org\tO\tUSER\nx\tNULL\tWIZARD\n",
    )
    .unwrap();
    let from = BucketManager {
        root: root.clone(),
        public: vec!["site-images".into(), "Holiday Pictures".into()],
        access: BucketAccess::Everyone,
        users: Some(users.clone()),
        link: false,
    };
    let before = state(dir.path());
    let import = async || import_bucket_manager(&server.app, &from, &|_| ()).await.unwrap();
    let report = import().await;
    assert_eq!(state(dir.path()), before);
    let failed = complaints(&report).join("\n");
    for what in ["stray.txt: ", "person 3", "site-images/link: ", "gpj.exe: the name"] {
        assert!(failed.contains(what), "{what}: {failed}");
    }
    assert_eq!(report.failed.len(), 4, "{failed}");
    assert!(report.notes.iter().any(|note| note.what == ".quarantine"), "{:?}", report.notes);
    assert_eq!((report.people.added, report.people.unchanged, report.media.added), (1, 1, 6));

    let stranger = server.browser();
    assert_eq!(bytes(&stranger, "/storage/site-images/2024/logo%20(1).jpg").await, picture);
    assert_eq!(follow(&stranger, "/storage/photos/ours.txt").await.0, 404, "the others are private");
    assert_eq!(bytes(&owner, "/storage/photos/ours.txt").await, b"ours");
    let empty = owner.json("/api/v1/buckets/site-images/folders?parent=empty").await;
    assert_eq!(empty["items"][0]["path"], "empty/inner");

    // Where bucket or key had to change, the old address leads to the new one.
    let goal = "/storage/holiday-pictures/a/b.txt".to_owned();
    assert_eq!(follow(&stranger, "/storage/Holiday%20Pictures/a/b.txt").await, (308, goal.clone()));
    assert_eq!(bytes(&stranger, &goal).await, b"holiday");
    let (status, goal) = follow(&stranger, "/storage/Holiday%20Pictures/Cafe%CC%81.txt").await;
    assert_eq!((status, bytes(&stranger, &goal).await), (308, b"decomposed".to_vec()), "{goal}");
    let (_, goal) = follow(&stranger, "/storage/Holiday%20Pictures/Caf%C3%A9.txt").await;
    assert_eq!(bytes(&stranger, &goal).await, b"composed", "{goal}");
    assert_eq!(follow(&stranger, "/storage/Holiday%20Pictures/none.txt").await, (404, String::new()));
    let close = json!({ "visibility": "private" });
    owner
        .patch("/api/v1/buckets/holiday-pictures")
        .json(&close)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    assert_eq!(follow(&stranger, "/storage/Holiday%20Pictures/a/b.txt").await, (404, String::new()));
    assert_eq!(follow(&owner, "/storage/Holiday%20Pictures/a/b.txt").await.0, 308);

    // Again: nothing comes twice, what has changed there is a new version, and what was public stays so.
    fs::write(root.join("photos/ours.txt"), "changed").unwrap();
    let again = import().await;
    assert_eq!((again.people.added, again.media.added, again.media.unchanged), (0, 1, 5));
    assert_eq!(media(&owner, "photos").await["ours.txt"]["versions"], 2);
    assert_eq!(media(&owner, "holiday-pictures").await.len(), 3);
    assert_eq!(owner.json("/api/v1/buckets").await["items"].as_array().unwrap().len(), 3);

    let unknown = BucketManager { public: vec!["sight-images".into()], ..from.clone() };
    let refused = import_bucket_manager(&server.app, &unknown, &|_| ()).await.unwrap_err().to_string();
    assert!(refused.contains("Holiday Pictures, photos, site-images"), "{refused}");
    fs::write(&users, "name,role\nAda,admin\n").unwrap();
    let refused = import_bucket_manager(&server.app, &from, &|_| ()).await.unwrap_err().to_string();
    assert!(refused.contains("one of them is `email`"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_beside_a_running_server_an_import_goes_on_where_it_stopped() {
    const PICTURES: usize = 120;
    let dir = tempfile::tempdir().unwrap();
    let (data, app) = (dir.path().join("data"), dir.path().join("app"));
    let appliance = Appliance::start(&data);
    let owner = appliance.setup_owner().await;
    let mut sql = TABLES.to_owned() + "INSERT INTO sessions VALUES (1, NULL, 'one', '2025-01-31 12:00:00');";
    for number in 0..PICTURES {
        // A comment behind the picture makes each a content of its own.
        let bytes = [pictures::jpeg(16, 16).as_slice(), format!("{number}").as_bytes()].concat();
        put(&app, &format!("uploads/{number}.jpg"), &bytes);
        put(&app, &format!("processed/{number}.jpg"), [bytes, vec![b'!']].concat());
        sql += &format!(
            "INSERT INTO processed_images VALUES ({number}, 1, 'same name.jpg', 'm', '{number}.jpg', '{number}.jpg', NULL,
                '2025-01-31 12:00:00');"
        );
    }
    database(&app, &sql);
    let args = ["import", "--from", "restoration-app", app.to_str().unwrap(), "--json"];
    let count = async || {
        let listed = owner.get("/api/v1/buckets/restored-photos").send().await.unwrap();
        let bucket: Value = listed.json().await.unwrap();
        bucket["media_count"].as_u64().unwrap_or(0)
    };
    let mut killed = safelight_on(&data, &args).spawn().unwrap();
    until("some pictures have come in", async || count().await >= 5).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let so_far = count().await;

    let finished = safelight_on(&data, &args).output().unwrap();
    assert!(finished.status.success(), "{}", said(&finished));
    let report: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let (added, unchanged) = (&report["media"]["added"], &report["media"]["unchanged"]);
    assert_eq!(
        (added.as_u64().unwrap() + unchanged.as_u64().unwrap(), unchanged.as_u64()),
        (PICTURES as u64, Some(so_far))
    );
    assert_eq!(count().await, PICTURES as u64);
    let page = owner.json("/api/v1/media?bucket=restored-photos&limit=500").await;
    assert!(page["items"].as_array().unwrap().iter().all(|media| media["renditions"] == 1), "{page}");
    let again = safelight_on(&data, &args).output().unwrap();
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&report["media"]["added"], &report["renditions"]["added"]), (&json!(0), &json!(0)));
    appliance.stop();
}
