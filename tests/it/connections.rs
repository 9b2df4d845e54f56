//! Connections before anybody knows who is behind them: how many, for how long, and for whom a proxy speaks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use safelight::config::Config;
use safelight::server::{self, Door, Listening};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::appliance::{Appliance, serve_on};
use super::certificates::{Issuer, server_config, until};

const SOON: Duration = Duration::from_secs(30);
/// The times of the doors: long enough for a handshake on a machine that has much else to do.
const SHORT: Duration = Duration::from_millis(1500);
const CALM: Duration = Duration::from_secs(120);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A door with pages of its own.
struct Doors {
    plain: SocketAddr,
    https: SocketAddr,
    issuer: Issuer,
    stopping: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

async fn doors(change: impl FnOnce(&mut Config)) -> Doors {
    let mut config = Config::defaults("unused");
    let connections = &mut config.limits.connections;
    (connections.header_timeout, connections.idle_timeout, connections.body_timeout) = (SHORT, SHORT, SHORT);
    change(&mut config);
    let issuer = Issuer::new();
    let (chain, key) = issuer.issue(&["photos.test"]);
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut encryption = (*server_config(&chain, &key)).clone();
    encryption.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listening = Listening::new(&config).open(any, Door::Plain).await.unwrap();
    let listening = listening.open(any, Door::Tls(Arc::new(encryption), Duration::ZERO)).await.unwrap();
    let [plain, https] = listening.addresses()[..] else { panic!("two doors") };
    let pages = Router::new()
        .route("/", get(async || "hello"))
        .route("/who", get(async |ConnectInfo(who): ConnectInfo<SocketAddr>| who.to_string()))
        .route(
            "/wait",
            get(async || {
                tokio::time::sleep(SHORT * 3).await;
                "there you are"
            }),
        )
        .route("/much", get(async || Body::from(vec![b'x'; 64 << 20])))
        .route("/take", post(async |body: axum::body::Bytes| body.len().to_string()))
        .route("/json", post(async |_: safelight::api::Json<serde_json::Value>| "read"))
        .route("/text", post(async |_: safelight::api::Text| "read"));
    let stopping = CancellationToken::new();
    let served = tokio::spawn(server::serve(listening, pages, stopping.clone()));
    Doors { plain, https, issuer, stopping, served }
}

impl Doors {
    /// An encrypted connection that speaks one protocol.
    async fn shake(&self, protocol: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.issuer.root().as_bytes()).unwrap()).unwrap();
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(self.https).await.unwrap();
        let name = ServerName::try_from("photos.test").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// A connection that has been answered, which is when it surely counts, and stays; `None` when it was not let in.
    async fn try_keep(&self, first: &[u8]) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(self.plain).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(&[first, request].concat()).await.ok()?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            if stream.read_buf(&mut answer).await.ok()? == 0 {
                return None;
            }
        }
        Some(stream)
    }

    async fn keep(&self, first: &[u8]) -> TcpStream {
        self.try_keep(first).await.expect("there is room")
    }

    async fn ask(&self, path: &str) -> String {
        ask(TcpStream::connect(self.plain).await.unwrap(), b"", path).await
    }
}

/// Sends something first, then a request, and returns the body of the answer.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, first: &[u8], path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: photos.test\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(&[first, request.as_bytes()].concat()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it ends");
    let answer = String::from_utf8(answer).unwrap();
    answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())
}

/// Waits for the other side to end the connection.
async fn ends(what: &str, mut stream: impl AsyncRead + Unpin) {
    let mut sink = [0; 4096];
    let reading = async { while let Ok(1..) = stream.read(&mut sink).await {} };
    assert!(tokio::time::timeout(SOON, reading).await.is_ok(), "{what} is waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_in_each_state_is_ended_and_others_are_served_meanwhile() {
    let doors = Arc::new(doors(|_| ()).await);
    let began = Instant::now();
    let mut silent = tokio::task::JoinSet::new();
    for (what, first) in [
        ("nothing", &b""[..]),
        ("half a head", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "),
        ("half a greeting", b"PRI * HTTP/2.0\r\n"),
        ("a greeting", PREFACE),
        ("an idle connection", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("half a body", b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"),
    ] {
        let doors = Arc::clone(&doors);
        silent.spawn(async move {
            let mut stream = TcpStream::connect(doors.plain).await.unwrap();
            stream.write_all(first).await.unwrap();
            ends(what, stream).await;
            if first.is_empty() {
                return;
            }
            // The same inside of encryption.
            let mut stream = doors.shake(if first == PREFACE { b"h2" } else { b"http/1.1" }).await;
            stream.write_all(first).await.unwrap();
            ends(what, stream).await;
        });
    }
    for (what, first) in
        [("no handshake", &b""[..]), ("half a handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")]
    {
        let doors = Arc::clone(&doors);
        silent.spawn(async move {
            let mut stream = TcpStream::connect(doors.https).await.unwrap();
            stream.write_all(first).await.unwrap();
            ends(what, stream).await;
        });
    }
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let doors = Arc::clone(&doors);
        silent.spawn(async move { ends("encryption and nothing else", doors.shake(protocol).await).await });
    }
    // A body that comes drop by drop.
    let slow = Arc::clone(&doors);
    silent.spawn(async move {
        let mut stream = TcpStream::connect(slow.plain).await.unwrap();
        stream.write_all(b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
        let drip = async {
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        tokio::time::timeout(SOON, drip).await.expect("a dripping body is cut off");
    });
    // Somebody who asks for much and takes nothing.
    let greedy = Arc::clone(&doors);
    silent.spawn(async move {
        let mut stream = TcpStream::connect(greedy.plain).await.unwrap();
        stream.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut got = [0; 1];
        stream.read_exact(&mut got).await.unwrap();
        // Nothing is read, so only a write can tell.
        let push = async {
            while stream.write_all(b"\r\n").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        tokio::time::timeout(SOON, push).await.expect("nobody has to wait for who takes nothing");
    });
    // The same in HTTP/2, where one stream can stand still alone: its window has no room from the beginning.
    let closed = Arc::clone(&doors);
    silent.spawn(async move {
        let mut stream = TcpStream::connect(closed.plain).await.unwrap();
        let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
        let ask = b"\0\0\x0c\x01\x05\0\0\0\x01\x82\x86\x04\x05/much\x01\x01x";
        stream.write_all(&[settings.as_slice(), ask].concat()).await.unwrap();
        // Long before a ping that is not answered would end it.
        tokio::time::timeout(SOON / 2, ends("a closed window", stream)).await.expect("it is ended");
    });
    assert_eq!(doors.ask("/").await, "hello");
    while let Some(ended) = silent.join_next().await {
        ended.unwrap();
        assert_eq!(ask(doors.shake(b"http/1.1").await, b"", "/").await, "hello");
    }
    assert!(began.elapsed() >= SHORT);
    // An answer may take longer than any of these times.
    assert_eq!(doors.ask("/wait").await, "there you are");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_has_been_flowing_may_pause_and_one_that_is_too_slow_is_answered() {
    let doors = doors(|_| ()).await;
    let post = async |path: &str, length: usize, first: &[u8]| {
        let mut stream = TcpStream::connect(doors.plain).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), first].concat()).await.unwrap();
        stream
    };
    let answer = async |mut stream: TcpStream| {
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        let _ = tokio::time::timeout(SOON, read).await.expect("it ends");
        answer
    };
    let mut stream = post("/take", 4000, &[b'a'; 2000]).await;
    tokio::time::sleep(SHORT * 3).await;
    stream.write_all(&[b'a'; 2000]).await.unwrap();
    let text = answer(stream).await;
    assert!(text.ends_with("\r\n\r\n4000"), "{text}");
    // What goes on in drops is not a pause.
    let mut stream = post("/take", 1_000_000, &[b'a'; 2000]).await;
    let drip = async {
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(SOON / 2, drip).await.expect("a dripping body is cut off");
    for path in ["/json", "/text"] {
        let text = answer(post(path, 100, b"{\"half\":").await).await;
        assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("/problems/request-stalled"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_so_many_connections_and_no_more() {
    let doors = doors(|config| {
        config.limits.connections.max_per_address = 3;
        config.limits.connections.idle_timeout = CALM;
        config.server.proxy_protocol = true;
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let own = async |first: &[u8]| ask(TcpStream::connect(doors.plain).await.unwrap(), first, "/").await;
    let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 4660 80\r\n";
    let this_machine = b"PROXY TCP4 127.0.0.1 127.0.0.1 4660 80\r\n";
    let mut held = Vec::new();
    for who in [line.as_slice(), this_machine] {
        for _ in 0..3 {
            held.push(doors.keep(who).await);
        }
    }
    assert_eq!(own(line).await, "", "there are too many");
    assert_eq!(own(this_machine).await, "hello", "a proxy may be on this machine");
    drop(held.remove(0));
    until("there is room again", async || (own(line).await == "hello").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_for_whom_it_speaks() {
    let trusted = |config: &mut Config| {
        config.server.proxy_protocol = true;
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits.connections.max_per_address = 1;
        config.limits.connections.idle_timeout = CALM;
    };
    let doors = doors(trusted).await;
    let connect = || async { TcpStream::connect(doors.plain).await.unwrap() };
    let line = b"PROXY TCP4 203.0.113.7 192.0.2.1 4660 80\r\n";
    assert_eq!(ask(connect().await, line, "/who").await, "203.0.113.7:4660");
    let block = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\
        \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34\0\x50";
    assert_eq!(ask(connect().await, block, "/who").await, "[2001:db8::9]:4660");
    assert!(ask(connect().await, b"PROXY UNKNOWN\r\n", "/who").await.starts_with("127.0.0.1:"));
    assert_eq!(ask(connect().await, b"", "/who").await, "", "without the header there is no answer");
    // Callers count one by one, the proxy not at all.
    let held = until("the one before has gone", async || doors.try_keep(line).await).await;
    assert_eq!(ask(connect().await, line, "/who").await, "");
    assert_eq!(ask(connect().await, block, "/who").await, "[2001:db8::9]:4660");
    drop(held);
    // From others a header is a mistake.
    let untrusting = self::doors(|config| config.server.proxy_protocol = true).await;
    let stream = TcpStream::connect(untrusting.plain).await.unwrap();
    assert_eq!(ask(stream, line, "/who").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_requests_finish_and_nobody_new_is_let_in() {
    let doors = doors(|_| ()).await;
    let mut asked = TcpStream::connect(doors.plain).await.unwrap();
    asked.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut inside = doors.shake(b"http/1.1").await;
    inside.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // One that has been let in and asks a moment later.
    let late = doors.shake(b"http/1.1").await;
    tokio::time::sleep(SHORT / 5).await;
    doors.stopping.cancel();
    assert_eq!(ask(late, b"", "/").await, "hello");
    for mut stream in [Box::new(asked) as Box<dyn AsyncRead + Unpin>, Box::new(inside)] {
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it ends");
        assert!(String::from_utf8_lossy(&answer).ends_with("there you are"));
    }
    doors.served.await.unwrap();
    assert!(TcpStream::connect(doors.plain).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_nobody_waits_for_those_who_say_nothing() {
    let doors = doors(|config| config.limits.connections.header_timeout = CALM).await;
    let mut silent = Vec::new();
    for (door, first) in [
        (doors.plain, &b""[..]),
        (doors.plain, b"PRI * HTTP"),
        (doors.https, b""),
        (doors.https, b"\x16\x03"),
    ] {
        let mut stream = TcpStream::connect(door).await.unwrap();
        stream.write_all(first).await.unwrap();
        silent.push(stream);
    }
    // Whoever came before has been let in.
    assert_eq!(doors.ask("/").await, "hello");
    assert_eq!(ask(doors.shake(b"http/1.1").await, b"", "/").await, "hello");
    let began = Instant::now();
    doors.stopping.cancel();
    doors.served.await.unwrap();
    assert!(began.elapsed() < server::SHUTDOWN_GRACE, "{:?}", began.elapsed());
    for stream in silent {
        ends("somebody silent", stream).await;
    }
}

/// What a process keeps in memory, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_idle_connections_cost_little() {
    const MANY: usize = 2000;
    let limit = getrlimit(Resource::Nofile);
    let wanted = 2 * MANY as u64;
    if limit.maximum.is_some_and(|most| most < wanted) {
        eprintln!("skipped: this machine allows a process only {:?} open files", limit.maximum);
        return;
    }
    let raised = Rlimit { current: Some(wanted.max(limit.current.unwrap_or(u64::MAX))), ..limit };
    setrlimit(Resource::Nofile, raised).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut command = serve_on(&dir.path().join("data"));
    for (name, value) in
        [("MAX_PER_ADDRESS", "5000"), ("HEADER_TIMEOUT", "10 min"), ("IDLE_TIMEOUT", "10 min")]
    {
        command.env(format!("SAFELIGHT_LIMITS__CONNECTIONS__{name}"), value);
    }
    let server = Appliance::start_as(command);
    let connect = async || {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        stream
    };
    let first = connect().await;
    let before = resident(server.process_id());
    let mut idle = vec![first];
    for _ in 1..MANY {
        idle.push(connect().await);
    }
    let grown = resident(server.process_id()).saturating_sub(before);
    println!("{MANY} idle connections take {} KiB", grown / 1024);
    assert!(grown < 64 << 20, "{grown} bytes");
    assert_eq!(server.browser().get("/health").send().await.unwrap().status(), 200);
    drop(idle);
    server.stop();
}
