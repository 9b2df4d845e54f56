//! A real nginx in front as a cache: what it may keep, and that it stops when an address is over.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::until;
use crate::mounts::skipped;
use crate::pictures;
use crate::support::TestServer;

/// An nginx of the test's own; it ends with the test.
struct Nginx {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts one that caches what an appliance answers. None, loudly, where nginx is not installed.
    async fn start(test: &str, origin: &TestServer) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"];
        let Some(program) = program.into_iter().find(|path| Path::new(path).exists()) else {
            skipped(test, "nginx is not installed; scripts/bootstrap test installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // The port is free again when nginx wants it; who takes it meanwhile makes the test fail, not lie.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("http://127.0.0.1:{port}");
        let root = folder.path().display();
        let config = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error;
             events {{}}
             http {{
               access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/t;
               fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
               proxy_cache_path {root}/cache keys_zone=pictures:1m;
               server {{
                 listen 127.0.0.1:{port};
                 location /storage/ {{
                   proxy_pass http://{};
                   proxy_cache pictures; proxy_cache_lock on;
                   add_header X-Cache $upstream_cache_status always;
                 }}
               }}
             }}",
            origin.address
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new(program)
            .arg("-e")
            .arg(folder.path().join("error"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nginx = Self { child, address, _folder: folder };
        until("nginx listens", async || reqwest::get(&nginx.address).await.is_ok()).await;
        Some(nginx)
    }

    async fn fetch(&self, url: &str) -> (u16, String, Vec<u8>) {
        self.fetch_as(url, "*/*").await
    }

    /// Fetches the path of an address of the appliance from here: status, what the cache did, and the bytes.
    async fn fetch_as(&self, url: &str, accept: &str) -> (u16, String, Vec<u8>) {
        let path = &url[url.find("/storage/").unwrap()..];
        let request = reqwest::Client::new().get(format!("{}{path}", self.address)).header("accept", accept);
        let answer = request.send().await.unwrap();
        let cache = answer.headers().get("x-cache").map_or("", |value| value.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), cache, answer.bytes().await.unwrap().to_vec())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_address_is_kept_by_a_proxy_until_it_is_over() {
    let server = TestServer::start().await;
    let Some(nginx) = Nginx::start("a_signed_address_is_kept_by_a_proxy_until_it_is_over", &server).await
    else {
        return;
    };
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpg", pictures::jpeg(400, 300)).await;
    let sign = async |form: Value| {
        let path = format!("/api/v1/media/{}/signed-urls", media["id"].as_str().unwrap());
        let answer = owner.post(&path).json(&form).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["url"].as_str().unwrap().to_owned()
    };
    let url = sign(json!({ "expires_in_s": 60, "transform": "w=100&format=jpeg" })).await;
    server.clock.advance(Duration::from_secs(57));

    let (status, cache, first) = nginx.fetch(&url).await;
    assert_eq!((status, &*cache), (200, "MISS"));
    let (status, cache, second) = nginx.fetch(&url).await;
    assert_eq!((status, &*cache), (200, "HIT"));
    assert!(first == second && !first.is_empty());
    assert_eq!(nginx.fetch(&format!("{url}x")).await.0, 403, "another address is another question");

    // At the origin it is over now. What the proxy was told to keep for three seconds is not good for longer.
    server.clock.advance(Duration::from_secs(4));
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 403);
    until("the proxy asks again", async || nginx.fetch(&url).await.0 == 403).await;
    assert_eq!(nginx.fetch(&url).await.0, 403, "and does not keep the refusal for an answer");

    // What depends on the caller is kept for each kind of caller.
    let auto = sign(json!({ "transform": "w=100" })).await;
    for (accept, kind) in [("image/webp", &b"RIFF"[..]), ("*/*", b"\xff\xd8\xff")] {
        for cache in ["MISS", "HIT"] {
            let (status, found, bytes) = nginx.fetch_as(&auto, accept).await;
            assert_eq!((status, &*found), (200, cache), "{accept}");
            assert!(bytes.starts_with(kind), "{accept}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_keeps_what_is_public_and_nothing_that_is_private() {
    let server = TestServer::start().await;
    let Some(nginx) = Nginx::start("a_proxy_keeps_what_is_public_and_nothing_that_is_private", &server).await
    else {
        return;
    };
    let owner = server.setup_owner().await;
    let media = owner.upload_ok("harbour.jpg", pictures::jpeg(400, 300)).await;
    let path = format!("/storage/{}/harbour.jpg", media["bucket"].as_str().unwrap());
    let through = format!("{}{path}", nginx.address);
    for _ in 0..2 {
        assert_eq!(nginx.fetch(&path).await.0, 404);
        // The owner's cookie goes to the same host, so the owner sees it also through the proxy.
        let seen = owner.http.get(&through).send().await.unwrap();
        assert_eq!((seen.status().as_u16(), seen.headers()["x-cache"].to_str().unwrap()), (200, "MISS"));
    }
    let bucket = format!("/api/v1/buckets/{}", media["bucket"].as_str().unwrap());
    let public = owner.patch(&bucket).json(&json!({ "visibility": "public" })).send().await.unwrap();
    assert_eq!(public.status(), 200);
    assert_eq!(nginx.fetch(&path).await.1, "MISS");
    let (status, cache, bytes) = nginx.fetch(&path).await;
    assert_eq!((status, &*cache, bytes.len() as u64), (200, "HIT", media["size_bytes"].as_u64().unwrap()));
}
