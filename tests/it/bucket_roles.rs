//! What somebody is in a bucket, at every door: who sees it, who adds and changes, who manages; and who is told nothing.

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::pictures;
use crate::support::{Browser, PASSWORD, TestServer, problem};

/// A bucket of the parents, and people who are different things in it.
struct Household {
    server: TestServer,
    owner: Browser,
    /// A photograph in the bucket of the parents.
    media: Value,
    /// The same photograph in the bucket that everybody uses.
    shared: Value,
    people: Vec<Resident>,
}

struct Resident {
    name: &'static str,
    id: String,
    browser: Browser,
}

/// Name, role of the account, and what the person is in the bucket.
const PEOPLE: [(&str, &str, Option<&str>); 5] = [
    ("nobody", "editor", None),
    ("reader", "viewer", Some("reader")),
    // May write elsewhere, and here only look.
    ("looker", "editor", Some("reader")),
    ("writer", "viewer", Some("writer")),
    ("manager", "viewer", Some("manager")),
];

impl Household {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let owner = server.setup_owner().await;
        let picture = pictures::jpeg(300, 200);
        let shared = owner.upload_ok("shared.jpg", picture.clone()).await;
        let bucket = json!({ "slug": "parents", "access": "members" });
        let made = owner.post("/api/v1/buckets").json(&bucket).send().await.unwrap();
        assert_eq!(made.status(), 201);
        let made: Value = made.json().await.unwrap();
        assert_eq!((&made["access"], &made["my_role"]), (&json!("members"), &json!("manager")));
        let answer = upload(&owner, Some("parents"), "secret.jpg", picture).await;
        assert_eq!(answer.status(), 201);
        let media = answer.json::<Value>().await.unwrap()["items"][0].clone();
        let tags = json!({ "tags": ["surprise"] });
        let path = format!("/api/v1/media/{}", text(&media["id"]));
        assert_eq!(owner.patch(&path).json(&tags).send().await.unwrap().status(), 200);
        let mut people = Vec::new();
        for (name, account_role, role) in PEOPLE {
            let email = format!("{name}@example.org");
            let form = json!({ "name": name, "email": email, "role": account_role, "password": PASSWORD });
            let made = owner.post("/api/v1/users").json(&form).send().await.unwrap();
            let id = text(&made.json::<Value>().await.unwrap()["id"]).to_owned();
            if let Some(role) = role {
                let put = put_member(&owner, &id, role).await;
                assert_eq!(put.status(), 200, "{}", put.text().await.unwrap());
            }
            people.push(Resident { name, id, browser: server.login(&email).await });
        }
        Self { server, owner, media, shared, people }
    }

    fn person(&self, name: &str) -> &Resident {
        self.people.iter().find(|person| person.name == name).unwrap()
    }

    fn browser(&self, name: &str) -> &Browser {
        &self.person(name).browser
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn put_member(browser: &Browser, user: &str, role: &str) -> reqwest::Response {
    let path = format!("/api/v1/buckets/parents/members/{user}");
    browser.request(Method::PUT, &path).json(&json!({ "role": role })).send().await.unwrap()
}

async fn remove_member(browser: &Browser, user: &str) -> reqwest::Response {
    browser.delete(&format!("/api/v1/buckets/parents/members/{user}")).send().await.unwrap()
}

async fn upload(
    browser: &Browser,
    bucket: Option<&str>,
    name: &str,
    bytes: impl Into<Vec<u8>>,
) -> reqwest::Response {
    let form = bucket.map_or_else(Form::new, |bucket| Form::new().text("bucket", bucket.to_owned()));
    let form = form.part("file", Part::bytes(bytes.into()).file_name(name.to_owned()));
    browser.post("/api/v1/media").multipart(form).send().await.unwrap()
}

fn tus_creation(browser: &Browser, bucket: &str) -> reqwest::RequestBuilder {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    let [bucket, name] = [bucket, "tus.txt"].map(|text| BASE64_STANDARD.encode(text));
    browser
        .post("/api/v1/uploads")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", 5)
        .header("upload-metadata", format!("bucket {bucket},filename {name}"))
}

/// The names in a list.
async fn names(browser: &Browser, path: &str, field: &str) -> Vec<String> {
    let page = browser.json(path).await;
    page["items"].as_array().unwrap().iter().map(|item| text(&item[field]).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_asks_what_somebody_is_in_the_bucket() {
    let house = Household::new().await;
    let id = text(&house.media["id"]);
    let versions = house.owner.json(&format!("/api/v1/media/{id}/versions")).await;
    let version = text(&versions["items"][0]["id"]);
    let asked = house.owner.post(&format!("/api/v1/media/{id}/restorations")).json(&json!({}));
    let restoration: Value = asked.send().await.unwrap().json().await.unwrap();
    let restoration = text(&restoration["id"]);
    for person in &house.people {
        let folder = json!({ "path": format!("of-{}", person.name) });
        house.owner.post("/api/v1/buckets/parents/folders").json(&folder).send().await.unwrap();
    }

    let sees = [404, 200, 200, 200, 200];
    let writes = [404, 403, 403, 200, 200];
    // Who manages nothing at all is told so before anybody looks which bucket it is.
    let manages = [403, 403, 403, 403, 200];
    let with = |row: [u16; 5], status: u16| row.map(|old| if old == 200 { status } else { old });
    let media = format!("/api/v1/media/{id}");
    let bucket = "/api/v1/buckets/parents";
    let doors: Vec<(Method, String, Value, [u16; 5])> = vec![
        (Method::GET, bucket.into(), Value::Null, sees),
        (Method::GET, format!("{bucket}/folders"), Value::Null, sees),
        (Method::GET, "/api/v1/media?bucket=parents".into(), Value::Null, sees),
        (Method::GET, "/api/v1/media?bucket=parents&q=secret&trashed=true".into(), Value::Null, sees),
        (Method::GET, "/api/v1/media/timeline?bucket=parents".into(), Value::Null, sees),
        (Method::GET, "/api/v1/tags?bucket=parents".into(), Value::Null, sees),
        (Method::GET, "/api/v1/duplicates?bucket=parents".into(), Value::Null, sees),
        (Method::GET, media.clone(), Value::Null, sees),
        (Method::GET, format!("{media}/content"), Value::Null, sees),
        (Method::GET, format!("{media}/content?w=20"), Value::Null, sees),
        (Method::HEAD, format!("{media}/content"), Value::Null, sees),
        (Method::GET, format!("{media}/metadata"), Value::Null, sees),
        (Method::GET, format!("{media}/versions"), Value::Null, sees),
        (Method::GET, format!("{media}/versions/{version}/content"), Value::Null, sees),
        (Method::GET, format!("{media}/renditions"), Value::Null, sees),
        (Method::GET, "/storage/parents/secret.jpg".into(), Value::Null, sees),
        (Method::GET, "/storage/parents/secret.jpg?preset=thumb".into(), Value::Null, sees),
        (Method::GET, format!("/api/v1/restorations/{restoration}"), Value::Null, sees),
        (Method::POST, format!("{media}/signed-urls"), json!({}), sees),
        (Method::PATCH, media.clone(), json!({ "favourite": true }), sees),
        (Method::PATCH, media.clone(), json!({ "description": "Grandmother" }), writes),
        (Method::PATCH, media.clone(), json!({ "tags": ["surprise", "summer"] }), writes),
        (Method::POST, format!("{media}/copy"), json!({}), with(writes, 201)),
        (Method::POST, format!("{media}/restorations"), json!({}), with(writes, 202)),
        (Method::POST, format!("/api/v1/restorations/{restoration}/cancel"), Value::Null, writes),
        (Method::POST, format!("{bucket}/folders"), json!({ "path": "a" }), with(writes, 201)),
        (Method::POST, format!("{bucket}/folders/move"), json!({ "from": "a", "to": "a" }), writes),
        (Method::DELETE, format!("{bucket}/folders?path=of-WHO"), Value::Null, writes),
        (Method::DELETE, media.clone(), Value::Null, with(writes, 204)),
        (Method::POST, format!("{media}/untrash"), Value::Null, writes),
        // Into a bucket that one may change, out of one that one does not see, and the other way round.
        (Method::POST, format!("{media}/copy"), json!({ "bucket": "photos" }), [404, 403, 201, 403, 403]),
        (Method::PATCH, media.clone(), json!({ "bucket": "photos" }), [404, 403, 403, 403, 403]),
        (
            Method::POST,
            format!("/api/v1/media/{}/copy", text(&house.shared["id"])),
            json!({ "bucket": "parents" }),
            [404, 403, 403, 201, 201],
        ),
        (Method::PATCH, bucket.into(), json!({ "name": "The parents" }), manages),
        (Method::PATCH, bucket.into(), json!({ "cors_origins": ["https://example.org"] }), manages),
        (Method::PATCH, bucket.into(), json!({ "quota_bytes": 1_000_000_000 }), [403; 5]),
        (Method::GET, format!("{bucket}/members"), Value::Null, manages),
        (Method::GET, format!("{bucket}/people"), Value::Null, manages),
        (
            Method::PUT,
            format!("{bucket}/members/{}", house.person("reader").id),
            json!({ "role": "reader" }),
            manages,
        ),
        (Method::DELETE, bucket.into(), Value::Null, [403; 5]),
        (Method::POST, "/api/v1/buckets".into(), json!({ "slug": "another" }), [403; 5]),
    ];
    for (method, path, body, expected) in doors {
        for (person, expected) in house.people.iter().zip(expected) {
            let path = path.replace("WHO", person.name);
            let mut request = person.browser.request(method.clone(), &path);
            if !body.is_null() {
                request = request.json(&body);
            }
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let said = answer.text().await.unwrap_or_default();
            assert_eq!(status, expected, "{} {method} {path} {body}: {said}", person.name);
        }
    }
    for (person, expected) in house.people.iter().zip(with(writes, 201)) {
        let form = upload(&person.browser, Some("parents"), "form.txt", "hello").await;
        assert_eq!(form.status(), expected, "{} by form", person.name);
        let tus = tus_creation(&person.browser, "parents").send().await.unwrap();
        assert_eq!(tus.status(), expected, "{} by tus", person.name);
    }
    // Where no bucket is named, it is the oldest one that takes it: to a viewer who writes in one only, that one.
    let answer = upload(house.browser("writer"), None, "anywhere.txt", "hello").await;
    assert_eq!(answer.json::<Value>().await.unwrap()["items"][0]["bucket"], "parents");
    let answer = upload(house.browser("nobody"), None, "anywhere.txt", "hello").await;
    assert_eq!(answer.json::<Value>().await.unwrap()["items"][0]["bucket"], "photos");
    problem(upload(house.browser("reader"), None, "nowhere.txt", "hello").await, 403, "forbidden").await;

    // Owners and admins reach everywhere, and an unknown member or person is one.
    let admin = house.server.add_user(&house.owner, "admin").await;
    assert_eq!(admin.json(bucket).await["my_role"], "manager");
    let quota = admin.patch(bucket).json(&json!({ "quota_bytes": 1_000_000_000 })).send().await.unwrap();
    assert_eq!(quota.status(), 200);
    let unknown = "0190a000-0000-7000-8000-000000000000";
    problem(put_member(&admin, unknown, "reader").await, 404, "not-found").await;
    problem(remove_member(&admin, unknown).await, 404, "not-found").await;
    problem(put_member(&admin, unknown, "king").await, 422, "validation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_bulk_actions_reach_as_far_as_one_sees() {
    let house = Household::new().await;
    house.server.run_jobs().await;
    let restore = format!("/api/v1/media/{}/restorations", text(&house.media["id"]));
    assert_eq!(house.owner.post(&restore).json(&json!({})).send().await.unwrap().status(), 202);
    let queued = house.server.app.db.write(|tx| {
        safelight::jobs::enqueue(tx, &safelight::library::FindAlike {}, safelight::jobs::Options::default())
    });
    queued.await.unwrap();
    house.server.run_jobs().await;
    for (person, sees) in house.people.iter().zip([false, true, true, true, true]) {
        let who = person.name;
        let browser = &person.browser;
        let listed = names(browser, "/api/v1/buckets", "slug").await;
        assert_eq!(listed.contains(&"parents".to_owned()), sees, "{who}");
        for path in ["/api/v1/media", "/api/v1/media?q=jpg&sort=name", "/api/v1/media?type=image&sort=-size"]
        {
            let found = names(browser, path, "name").await;
            assert_eq!(found.contains(&"secret.jpg".to_owned()), sees, "{who} {path}");
            assert!(found.contains(&"shared.jpg".to_owned()), "{who} {path}");
        }
        let tags = names(browser, "/api/v1/tags", "name").await;
        assert_eq!(tags.contains(&"surprise".to_owned()), sees, "{who}");
        let months = browser.json("/api/v1/media/timeline").await;
        let count: u64 =
            months["items"].as_array().unwrap().iter().map(|month| month["count"].as_u64().unwrap()).sum();
        assert_eq!(count, if sees { 2 } else { 1 }, "{who}");
        let groups = browser.json("/api/v1/duplicates").await;
        assert_eq!(groups["items"].as_array().unwrap().len(), usize::from(sees), "{who}: {groups}");
        let restorations = browser.json("/api/v1/restorations").await;
        assert_eq!(restorations["items"].as_array().unwrap().len(), usize::from(sees), "{who}");
    }

    // Of what one does not see, not even the bytes are known.
    let answer = upload(&house.owner, Some("parents"), "only-here.txt", "a secret").await;
    let only = answer.json::<Value>().await.unwrap()["items"][0].clone();
    let contents = json!({ "items": [{ "sha256": only["sha256"], "size_bytes": only["size_bytes"] }] });
    for (who, known) in [("nobody", 0), ("writer", 1)] {
        let answer = house.browser(who).post("/api/v1/uploads/known").json(&contents).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["known"].as_array().unwrap().len(), known, "{who}");
    }

    // By id: what is not seen is not there, what is only seen is forbidden.
    let bulk = async |who: &str, request: Value| -> Value {
        let answer = house.browser(who).post("/api/v1/media/bulk").json(&request).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{who} {request}");
        answer.json().await.unwrap()
    };
    let ids = json!([house.media["id"], house.shared["id"]]);
    for (who, status) in [("nobody", 404), ("looker", 403)] {
        let done = bulk(who, json!({ "action": "tag", "ids": ids, "tags": ["mine"] })).await;
        assert_eq!((&done["done"], &done["failed"][0]["problem"]["status"]), (&json!(1), &json!(status)));
    }
    let done = bulk("writer", json!({ "action": "tag", "ids": ids, "tags": ["ours"] })).await;
    assert_eq!((&done["done"], &done["failed"][0]["id"]), (&json!(1), &house.shared["id"]));
    let refused = json!({ "action": "trash", "ids": ids });
    let refused = house.browser("reader").post("/api/v1/media/bulk").json(&refused).send().await.unwrap();
    problem(refused, 403, "forbidden").await;
    // A tag is renamed where one may, and stays what it is elsewhere.
    let rename = json!({ "from": "surprise", "to": "Boredom" });
    let renamed = async |who: &str, rename: &Value| {
        house.browser(who).post("/api/v1/tags/rename").json(rename).send().await.unwrap()
    };
    problem(renamed("nobody", &rename).await, 404, "not-found").await;
    problem(renamed("looker", &rename).await, 404, "not-found").await;
    let letters = json!({ "from": "mine", "to": "MINE" });
    assert_eq!(renamed("nobody", &letters).await.status(), 200);
    assert_eq!(renamed("writer", &rename).await.json::<Value>().await.unwrap()["done"], 1);
    let both = json!({ "action": "tag", "ids": ids, "tags": ["both"] });
    house.owner.post("/api/v1/media/bulk").json(&both).send().await.unwrap();
    let letters = json!({ "from": "both", "to": "BOTH" });
    problem(renamed("writer", &letters).await, 409, "tag-shared").await;
    let done =
        bulk("looker", json!({ "action": "copy", "ids": [house.media["id"]], "bucket": "photos" })).await;
    assert_eq!(done["done"], 1);
    // A whole search takes what one sees, and no more.
    let done = bulk("nobody", json!({ "action": "trash", "search": {} })).await;
    assert_eq!(done["failed"], json!([]));
    assert_eq!(names(&house.owner, "/api/v1/media?bucket=photos", "name").await, Vec::<String>::new());
    assert_eq!(names(&house.owner, "/api/v1/media?bucket=parents", "name").await.len(), 2);
    let dismiss = json!({ "ids": ids });
    for (who, status) in [("nobody", 200), ("looker", 403)] {
        let answer = house.browser(who).post("/api/v1/duplicates/dismiss").json(&dismiss).send().await;
        assert_eq!(answer.unwrap().status(), status, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_only_those_who_see_the_bucket() {
    let house = Household::new().await;
    let mut streams = Vec::new();
    for who in ["nobody", "reader"] {
        let stream = house.browser(who).get("/api/v1/events").send().await.unwrap();
        streams.push((who, stream.bytes_stream()));
    }
    let asked = house.owner.post(&format!("/api/v1/media/{}/restorations", text(&house.media["id"])));
    assert_eq!(asked.json(&json!({})).send().await.unwrap().status(), 202);
    let hidden = upload(&house.owner, Some("parents"), "hidden.txt", "x").await;
    let hidden = hidden.json::<Value>().await.unwrap()["items"][0].clone();
    let bulk = json!({ "action": "favourite", "ids": [hidden["id"]] });
    house.owner.post("/api/v1/media/bulk").json(&bulk).send().await.unwrap();
    // Out of sight: to those who saw only the one bucket it is gone.
    let out = json!({ "bucket": "photos", "name": "moved.txt" });
    let path = format!("/api/v1/media/{}", text(&hidden["id"]));
    assert_eq!(house.owner.patch(&path).json(&out).send().await.unwrap().status(), 200);
    house.owner.upload_ok("the-last.txt", "y").await;
    // One of each has to be heard before it is over; a change of the members is told to the member alone.
    assert_eq!(put_member(&house.owner, &house.person("reader").id, "writer").await.status(), 200);
    for (who, stream) in &mut streams {
        let mut heard = String::new();
        let enough = |heard: &str| match *who {
            "reader" => heard.contains("event: buckets"),
            _ => heard.matches("\"change\":\"created\"").count() == 1,
        };
        while !enough(&heard) {
            heard += &String::from_utf8_lossy(&stream.next().await.expect("the stream goes on").unwrap());
        }
        let seen = *who == "reader";
        assert_eq!(heard.contains("\"bucket\":\"parents\""), seen, "{who}: {heard}");
        assert_eq!(heard.contains("event: restoration"), seen, "{who}: {heard}");
        assert_eq!(heard.contains("\"bucket\":\"parents\",\"change\":\"removed\""), seen, "{who}: {heard}");
        assert!(heard.contains("\"bucket\":\"photos\",\"change\":\"updated\""), "{who}: {heard}");
    }
    // Whoever is taken out hears nothing more, not even of what was before.
    assert_eq!(remove_member(&house.owner, &house.person("reader").id).await.status(), 204);
    let again = house.browser("reader").get("/api/v1/events").header("last-event-id", "0");
    let mut stream = again.send().await.unwrap().bytes_stream();
    let mut heard = String::new();
    while heard.matches("event: buckets").count() < 5 {
        heard += &String::from_utf8_lossy(&stream.next().await.expect("the stream goes on").unwrap());
    }
    assert!(!heard.contains("parents"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_loses_the_members_programs_lose() {
    let house = Household::new().await;
    let writer = house.person("writer");
    let make = async |scopes: Value| {
        let form = json!({ "name": "program", "scopes": scopes });
        writer.browser.post("/api/v1/tokens").json(&form).send().await.unwrap()
    };
    // A viewer who writes in one bucket may have a program write there; what the viewer is nowhere, it can't be.
    problem(make(json!(["buckets.manage"])).await, 422, "validation").await;
    problem(make(json!(["users.manage"])).await, 422, "validation").await;
    let made = make(json!(["library.read", "library.write"])).await;
    assert_eq!(made.status(), 201);
    let token = text(&made.json::<Value>().await.unwrap()["token"]).to_owned();
    let program = reqwest::Client::new();
    let url = house.server.url("/api/v1/buckets/parents/folders");
    let media = house.server.url(&format!("/api/v1/media/{}", text(&house.media["id"])));
    let write = async || {
        let folder = json!({ "path": "by-program" });
        program.post(&url).bearer_auth(&token).json(&folder).send().await.unwrap()
    };
    assert_eq!(write().await.status(), 201);
    problem(program.delete(&media).bearer_auth(&token).send().await.unwrap(), 403, "forbidden").await;
    // What replaces something moves it to the trash, which takes more than to write.
    let replace =
        json!({ "action": "move", "ids": [house.media["id"]], "folder": "x", "on_conflict": "replace" });
    let bulk = house.server.url("/api/v1/media/bulk");
    let answer = program.post(&bulk).bearer_auth(&token).json(&replace).send().await.unwrap();
    problem(answer, 403, "forbidden").await;

    // An upload that was begun as a writer is not finished as a reader.
    let begun = tus_creation(&writer.browser, "parents").send().await.unwrap();
    let address = begun.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(put_member(&house.owner, &writer.id, "reader").await.status(), 200);
    problem(write().await, 403, "forbidden").await;
    assert_eq!(program.get(&media).bearer_auth(&token).send().await.unwrap().status(), 200);
    let patch = writer
        .browser
        .patch(&address)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", 0)
        .header("content-type", "application/offset+octet-stream")
        .body("hello");
    problem(patch.send().await.unwrap(), 403, "forbidden").await;
    assert_eq!(names(&house.owner, "/api/v1/media?bucket=parents", "name").await, ["secret.jpg"]);

    // A program of a manager hands out no more than it may itself.
    let manager = house.person("manager");
    let form = json!({ "name": "doorman", "scopes": ["library.read", "buckets.manage"] });
    let made = manager.browser.post("/api/v1/tokens").json(&form).send().await.unwrap();
    let doorman = text(&made.json::<Value>().await.unwrap()["token"]).to_owned();
    let member = house.server.url(&format!("/api/v1/buckets/parents/members/{}", writer.id));
    for (role, status) in [("reader", 200), ("writer", 403), ("manager", 403)] {
        let put = program.put(&member).bearer_auth(&doorman).json(&json!({ "role": role }));
        assert_eq!(put.send().await.unwrap().status(), status, "{role}");
    }

    // Members may go by themselves; others are taken out. Then the bucket is not there.
    problem(remove_member(house.browser("looker"), &writer.id).await, 403, "forbidden").await;
    for who in ["reader", "looker"] {
        assert_eq!(remove_member(house.browser(who), &house.person(who).id).await.status(), 204);
        problem(remove_member(house.browser(who), &house.person(who).id).await, 404, "not-found").await;
    }
    assert_eq!(remove_member(&manager.browser, &writer.id).await.status(), 204);
    problem(program.get(&media).bearer_auth(&token).send().await.unwrap(), 404, "not-found").await;
    let storage = house.server.url("/storage/parents/secret.jpg");
    problem(program.get(&storage).bearer_auth(&token).send().await.unwrap(), 404, "not-found").await;

    // Who is disabled stays in the list and is nothing; the door that is opened to all shows the bucket to all.
    let disable = house.owner.patch(&format!("/api/v1/users/{}", manager.id));
    assert_eq!(disable.json(&json!({ "disabled": true })).send().await.unwrap().status(), 200);
    let members = house.owner.json("/api/v1/buckets/parents/members").await;
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&members["items"][0]["role"], &members["items"][0]["disabled"]),
        (&json!("manager"), &json!(true))
    );
    let people = names(&house.owner, "/api/v1/buckets/parents/people?q=EADER", "name").await;
    assert_eq!(people, ["reader"]);
    let open = house.owner.patch("/api/v1/buckets/parents").json(&json!({ "access": "everyone" }));
    assert_eq!(open.send().await.unwrap().json::<Value>().await.unwrap()["access"], "everyone");
    for (who, role) in [("nobody", "writer"), ("reader", "reader")] {
        assert_eq!(house.browser(who).json("/api/v1/buckets/parents").await["my_role"], role);
    }
    let audit = house.owner.json("/api/v1/audit?action=bucket&limit=100").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| text(&entry["action"])).collect();
    for action in ["bucket.add_member", "bucket.change_member", "bucket.remove_member"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    let changed = &audit["items"][0];
    assert_eq!(
        (&changed["action"], &changed["details"]["from"]["access"]),
        (&json!("bucket.change"), &json!("members"))
    );
}
