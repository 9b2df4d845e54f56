//! The accept loop: doors with and without encryption, connections with limits, and an end that lets requests finish.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderValue;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::activity::{Activity, Answering, Overdue, PatientBody, Watched};
use super::crowd::{Crowd, Present};
use super::prefixed::Prefixed;
use super::proxy_protocol::{ProxyHeader, read_proxy_header};
use crate::api::Encrypted;
use crate::config::{Config, Network};
use crate::metrics::CONNECTIONS;
use crate::tls;

pub use super::activity::Patience;

/// How long requests may take to finish once the process stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted: most likely there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a connection that has just been made may take to ask when the process stops.
const LAST_QUESTION: Duration = Duration::from_millis(500);

/// How often it is said at most that somebody has too many connections.
const CROWD_WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// How long an idle connection of HTTP/2 has to notice that it is to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often HTTP/2 asks whether the other side is still there, and how long it waits for that.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What one connection of HTTP/2 may ask at once.
const STREAMS_MAX: u32 = 128;

const HTTP2_GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is behind an address.
#[derive(Clone)]
pub enum Door {
    /// The appliance, without encryption.
    Plain,
    /// The appliance over TLS, and how long browsers should remember that there is TLS.
    Tls(Arc<rustls::ServerConfig>, Duration),
    /// Something else, without encryption.
    Other(Router),
}

struct Socket {
    listener: TcpListener,
    address: SocketAddr,
    door: Door,
}

/// Sockets that are bound but not served yet.
pub struct Listening {
    sockets: Vec<Socket>,
    rules: Rules,
}

/// What holds on every connection.
#[derive(Debug, Clone)]
struct Rules {
    patience: Patience,
    connections_max: usize,
    connections_per_address_max: usize,
    trusted: Vec<Network>,
    proxy_protocol: bool,
}

impl Rules {
    fn of(config: &Config) -> Self {
        let connections = &config.limits.connections;
        Self {
            patience: Patience {
                header: connections.header_timeout,
                idle: connections.idle_timeout,
                body: connections.body_timeout,
            },
            connections_max: connections.max,
            connections_per_address_max: connections.max_per_address,
            trusted: config.server.trusted_proxies.clone(),
            proxy_protocol: config.server.proxy_protocol,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

impl Listening {
    /// Listens nowhere yet; connections will have the configured limits.
    pub fn new(config: &Config) -> Self {
        Self { sockets: Vec::new(), rules: Rules::of(config) }
    }

    /// Binds an address. `[::]` means IPv4 as well, and only that where the machine has no IPv6.
    ///
    /// # Errors
    /// When the address is in use or not this machine's.
    pub async fn open(mut self, address: SocketAddr, door: Door) -> io::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            Err(_)
                if address.ip() == Ipv6Addr::UNSPECIFIED && TcpListener::bind("[::1]:0").await.is_err() =>
            {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await?
            }
            bound => bound?,
        };
        let address = listener.local_addr()?;
        self.sockets.push(Socket { listener, address, door });
        Ok(self)
    }

    /// Takes a socket that somebody else has bound and keeps: while no process accepts there, connections wait.
    ///
    /// # Errors
    /// When the system does not let it be used.
    pub fn adopt(mut self, listener: std::net::TcpListener, door: Door) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        self.sockets.push(Socket { listener, address, door });
        Ok(self)
    }

    /// Waits for other spans of time than the configured ones.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.rules.patience = patience;
        self
    }

    /// The addresses, in the order in which they were opened, with the ports that were really taken.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.address).collect()
    }

    /// The first address.
    ///
    /// # Panics
    /// When nothing was opened.
    pub fn address(&self) -> SocketAddr {
        self.sockets[0].address
    }
}

/// What all connections share.
struct Shared {
    rules: Rules,
    router: Router,
    places: Arc<Semaphore>,
    crowd: Arc<Crowd>,
    /// When it was last said that somebody has too many connections.
    warned_of_crowd: Mutex<Option<Instant>>,
    http1: auto::Builder<TokioExecutor>,
    http2: auto::Builder<TokioExecutor>,
    stopping: CancellationToken,
    /// Fires when no request may go on.
    cut: CancellationToken,
    connections: TaskTracker,
}

/// Serves until `stopping` fires; then no connection is accepted and those that are answering may finish within
/// [`SHUTDOWN_GRACE`]. Returns earlier only when a door can't be served any longer.
pub async fn serve(listening: Listening, router: Router, stopping: CancellationToken) {
    let Listening { sockets, rules } = listening;
    let shared = Arc::new(Shared {
        router,
        places: Arc::new(Semaphore::new(rules.connections_max)),
        crowd: Crowd::new(rules.connections_per_address_max),
        warned_of_crowd: Mutex::default(),
        http1: http1(),
        http2: http2(),
        stopping,
        cut: CancellationToken::new(),
        connections: TaskTracker::new(),
        rules,
    });
    // Whoever drops this drops the loops too.
    let mut loops = tokio::task::JoinSet::new();
    for socket in sockets {
        loops.spawn(accept(socket, Arc::clone(&shared)));
    }
    while let Some(ended) = loops.join_next().await {
        if let Err(e) = ended {
            tracing::error!(error = %e, "connections are not accepted any longer");
            return;
        }
    }
    shared.connections.close();
    if tokio::time::timeout(SHUTDOWN_GRACE, shared.connections.wait()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
        shared.cut.cancel();
    }
}

/// The times are kept by [`Activity`]: hyper's own begin too late, and none of them sees every state.
fn http1() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder
}

fn http2() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX);
    builder
}

async fn accept(socket: Socket, shared: Arc<Shared>) {
    let door = socket.door;
    loop {
        let place = tokio::select! {
            place = Arc::clone(&shared.places).acquire_owned() => place,
            () = shared.stopping.cancelled() => return,
        };
        let Ok(place) = place else { return };
        let (stream, peer) = tokio::select! {
            accepted = socket.listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = shared.stopping.cancelled() => return,
        };
        let caller = Caller { stream, peer, door: door.clone(), shared: Arc::clone(&shared), _place: place };
        shared.connections.spawn(caller.attend());
    }
}

/// A connection that has been accepted, and nothing more.
struct Caller {
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    shared: Arc<Shared>,
    _place: OwnedSemaphorePermit,
}

impl Caller {
    async fn attend(self) {
        let Self { stream, peer, door, shared, _place } = self;
        CONNECTIONS.accepted.inc();
        let _open = CONNECTIONS.open.enter();
        let opened = Instant::now();
        let deadline = opened + shared.rules.patience.header;
        // Small answers go out at once.
        let _ = stream.set_nodelay(true);
        let mut stream = Prefixed::new(stream);
        let named = shared.within(deadline, shared.name(&mut stream, peer)).await;
        let Some(Ok((peer, _present))) = named else {
            tracing::debug!("a connection did not say in time for whom it is, or has too many beside it");
            return;
        };
        let talk = Talk { peer, opened, encrypted: false, hsts: None, router: shared.router.clone() };
        match door {
            Door::Plain => shared.plain(stream, talk, deadline).await,
            Door::Other(router) => shared.plain(stream, Talk { router, ..talk }, deadline).await,
            Door::Tls(config, hsts) => {
                let hsts = HeaderValue::try_from(format!("max-age={}", hsts.as_secs())).ok();
                let talk = Talk { encrypted: true, hsts, ..talk };
                let shaken = shared.within(deadline, TlsAcceptor::from(config).accept(stream)).await;
                let Some(Ok(mut stream)) = shaken else {
                    tracing::debug!("a connection did not get to encryption");
                    return;
                };
                match stream.get_ref().1.alpn_protocol() {
                    // The certificate was the whole answer.
                    Some(tls::CHALLENGE_PROTOCOL) => {
                        let _ = shared.within(deadline, stream.shutdown()).await;
                    }
                    Some(b"h2") => shared.converse(stream, true, talk).await,
                    _ => shared.converse(stream, false, talk).await,
                }
            }
        }
    }
}

/// What the requests of a connection are told of it.
struct Talk {
    peer: SocketAddr,
    opened: Instant,
    encrypted: bool,
    hsts: Option<HeaderValue>,
    router: Router,
}

impl Shared {
    /// Finds out who is at the other end, and counts it.
    async fn name(
        &self,
        stream: &mut Prefixed<TcpStream>,
        peer: SocketAddr,
    ) -> io::Result<(SocketAddr, Option<Present>)> {
        let trusted = self.rules.trusts(peer.ip());
        let source = if trusted && self.rules.proxy_protocol { behind(stream).await? } else { None };
        let caller = source.unwrap_or(peer);
        // A proxy brings many people, and says so.
        if trusted && source.is_none() {
            return Ok((peer, None));
        }
        // Nor does one on this machine that nobody has named.
        if caller.ip().to_canonical().is_loopback() {
            return Ok((caller, None));
        }
        match self.crowd.enter(caller.ip()) {
            Some(present) => Ok((caller, Some(present))),
            None => {
                CONNECTIONS.refused.inc();
                self.warn_of_crowd(caller.ip());
                Err(io::ErrorKind::QuotaExceeded.into())
            }
        }
    }

    fn warn_of_crowd(&self, address: IpAddr) {
        let mut warned = self.warned_of_crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= CROWD_WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            tracing::warn!(
                client.address = %address,
                "an address has limits.connections.max_per_address connections and gets no more; if it is a proxy, \
                 name it in server.trusted_proxies"
            );
        }
    }

    /// Waits for something until its deadline, and when the process stops no longer than for a last question.
    async fn within<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        let over = async {
            self.stopping.cancelled().await;
            tokio::time::sleep(LAST_QUESTION).await;
        };
        tokio::select! {
            done = tokio::time::timeout_at(deadline, work) => done.ok(),
            () = over => None,
        }
    }

    async fn plain(&self, mut stream: Prefixed<TcpStream>, talk: Talk, deadline: Instant) {
        match self.within(deadline, greets_http2(&mut stream)).await {
            Some(Ok(http2)) => self.converse(stream, http2, talk).await,
            _ => tracing::debug!("a connection brought no request in time"),
        }
    }

    /// Answers requests until one side has had enough.
    async fn converse<S>(&self, stream: S, http2: bool, talk: Talk)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Talk { peer, opened, encrypted, hsts, router } = talk;
        let activity = Activity::new(opened, http2);
        let mut patience = self.rules.patience;
        let requests = Arc::clone(&activity);
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let open = requests.begin();
            let mut request = request.map(|body| Body::new(PatientBody::new(body, patience.body)));
            request.extensions_mut().insert(ConnectInfo(peer));
            if encrypted {
                request.extensions_mut().insert(Encrypted);
            }
            let (router, hsts) = (router.clone(), hsts.clone());
            async move {
                let mut response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
                if let Some(hsts) = hsts {
                    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts);
                }
                Ok::<_, Infallible>(response.map(|body| Answering::new(body, open)))
            }
        });
        let builder = if http2 { &self.http2 } else { &self.http1 };
        let stream = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
        let mut connection = pin!(builder.serve_connection(stream, service));
        let mut stop = pin!(async {
            self.stopping.cancelled().await;
            // Who was let in a moment ago gets an answer.
            let _ = tokio::time::timeout(LAST_QUESTION, activity.asked.cancelled()).await;
        });
        let (mut stopping, mut idle) = (false, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(e) = ended {
                        tracing::debug!(error = %e, "a connection ended early");
                    }
                    return;
                }
                () = stop.as_mut(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = self.cut.cancelled() => return,
                why = activity.overdue(&patience) => {
                    if why == Overdue::Slow || idle {
                        tracing::debug!(?why, "a connection took too long");
                        return;
                    }
                    idle = true;
                    patience.idle += FAREWELL;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Reads for whom a proxy speaks.
async fn behind(stream: &mut Prefixed<TcpStream>) -> io::Result<Option<SocketAddr>> {
    loop {
        match read_proxy_header(stream.seen()) {
            ProxyHeader::Incomplete => stream.look().await?,
            ProxyHeader::Invalid => {
                tracing::warn!(
                    "a trusted proxy did not begin with a PROXY header, which server.proxy_protocol asks for"
                );
                return Err(io::ErrorKind::InvalidData.into());
            }
            ProxyHeader::Complete { source, bytes } => {
                stream.skip(bytes);
                return Ok(source);
            }
        }
    }
}

/// Whether a connection without encryption begins as HTTP/2 does. Waits for the bytes that tell.
async fn greets_http2(stream: &mut Prefixed<TcpStream>) -> io::Result<bool> {
    loop {
        let seen = stream.seen();
        let length = seen.len().min(HTTP2_GREETING.len());
        if seen[..length] != HTTP2_GREETING[..length] {
            return Ok(false);
        }
        if length == HTTP2_GREETING.len() {
            return Ok(true);
        }
        stream.look().await?;
    }
}
