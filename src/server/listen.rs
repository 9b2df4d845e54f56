//! The accept loop: connections with time limits, and an end that lets requests finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long requests may take to finish once the process stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// How long a caller may take to send the head of a request, and how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections at once; more wait in the system's queue. Each takes a file descriptor and some kilobytes.
const CONNECTIONS_MAX: usize = 4096;

/// The pause after a connection could not be accepted: most likely there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is bound but not served yet.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    header_timeout: Duration,
}

impl Listening {
    /// Binds an address.
    ///
    /// # Errors
    /// When the address is in use or not this machine's.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, header_timeout: HEADER_TIMEOUT })
    }

    /// Gives callers another time to send the head of a request; 30 s where it is not said.
    #[must_use]
    pub fn with_header_timeout(self, header_timeout: Duration) -> Self {
        Self { header_timeout, ..self }
    }

    /// The address, with the port that was really taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Serves until `stopping` fires; then no connection is accepted and those that are answering may finish within
/// [`SHUTDOWN_GRACE`].
pub async fn serve(listening: Listening, router: Router, stopping: CancellationToken) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let header_timeout = listening.header_timeout;
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEADER_TIMEOUT);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stopping.cancelled() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listening.listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stopping.cancelled() => break,
        };
        // Small answers go out at once.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        // The time limits above begin when it is known which HTTP the caller speaks: who says nothing at all, or only
        // the beginning of HTTP/2's greeting, would be waited for without end.
        let arrived = CancellationToken::new();
        let first_request = arrived.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            first_request.cancel();
            let router = router.clone();
            async move {
                Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
            }
        });
        let builder = builder.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _place = place;
            let connection =
                builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            let connection = watcher.watch(connection);
            let silent = async {
                if tokio::time::timeout(header_timeout, arrived.cancelled()).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                ended = connection => if let Err(e) = ended {
                    tracing::debug!(error = %e, "a connection ended early");
                },
                () = silent => tracing::debug!("a connection brought no request in time"),
            }
        });
    }
    drop(listening);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}
