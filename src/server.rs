//! The top: all routers in one, the layers around them, the kinds of jobs, and the accept loop.

mod activity;
mod cors;
mod crowd;
mod front;
mod health;
mod hosts;
mod listen;
mod prefixed;
mod proxy_protocol;
mod rate;
mod watch;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::api::Problem;
use crate::app::App;
use crate::jobs::Runner;
use crate::{accounts, admin, api, library, notify, restore, uploads, web};

pub use front::{front, outer_https_port};
pub use listen::{Door, Listening, Patience, SHUTDOWN_GRACE, serve};
pub use proxy_protocol::{ProxyHeader, read_proxy_header};

/// Sent with every answer, so that nothing which people upload can act as a page of ours.
const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'self'; object-src 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

#[derive(OpenApi)]
#[openapi(info(
    title = "Safelight",
    description = "A home for photographs and files on one small server.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Document;

fn api_routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .nest(
            "/api/v1",
            OpenApiRouter::new()
                .merge(accounts::router())
                .merge(library::router())
                .merge(uploads::router())
                .merge(restore::router())
                .merge(notify::router())
                .merge(admin::router()),
        )
        .merge(library::storage_router())
}

/// The OpenAPI document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api_routes().split_for_parts().1
}

/// Everything that answers HTTP.
pub fn router(app: App) -> Router {
    let (api, document) = api_routes().merge(health::router()).split_for_parts();
    let document = document.to_json().unwrap_or_default();
    let rates = rate::Rates::new(app.clone());
    let mut router = api
        .merge(admin::documentation(document))
        .merge(watch::router(app.clone()))
        .method_not_allowed_fallback(async || method_not_allowed())
        .fallback(web::serve)
        .with_state(app.clone())
        .layer(middleware::from_fn_with_state(rates.clone(), rate::limit))
        .layer(middleware::from_fn_with_state(app.clone(), accounts::check_origin))
        .layer(middleware::from_fn_with_state(app.clone(), cors::share))
        .layer(CompressionLayer::new().compress_when(Gains));
    let base_path = &app.config.server.base_path;
    if !base_path.is_empty() {
        // Whoever watches the process asks it directly and knows nothing of the proxy's subpath.
        router = Router::new()
            .nest(base_path, router)
            .merge(Router::from(health::router()).with_state(app.clone()))
            .merge(watch::router(app.clone()).layer(middleware::from_fn_with_state(rates, rate::limit)))
            .fallback(|| async { Problem::not_found("address") });
    }
    router = router.layer(middleware::from_fn_with_state(app, hosts::route));
    harden(router).layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn(api::trace_requests))
}

/// Adds [`SECURITY_HEADERS`] to every answer that does not bring its own.
fn harden(mut router: Router) -> Router {
    for (name, value) in SECURITY_HEADERS {
        router = router.layer(SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        ));
    }
    router
}

/// A handler that panics is our fault; the caller gets an answer all the same.
fn panicked(panic: Box<dyn Any + Send>) -> axum::response::Response {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal(std::io::Error::other(format!("a handler panicked: {text}"))).into_response()
}

/// The answer to a method that an address of the API does not have; which ones it has is added by the router.
fn method_not_allowed() -> Problem {
    let detail = "This address can't be used in this way.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

/// Texts gain by compression; files and pictures are sent as they are, with their length and ranges, and streams of events
/// line by line.
#[derive(Clone, Copy)]
struct Gains;

impl Predicate for Gains {
    fn should_compress<B>(&self, response: &Response<B>) -> bool
    where
        B: http_body::Body,
    {
        if response.headers().contains_key(header::ACCEPT_RANGES) {
            return false;
        }
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim_end();
        let gains = match kind {
            "text/event-stream" => false,
            "application/json"
            | "application/problem+json"
            | "application/manifest+json"
            | "image/svg+xml" => true,
            other => other.starts_with("text/"),
        };
        gains && response.body().size_hint().exact().is_none_or(|bytes| bytes > 1024)
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

/// All kinds of jobs, for the one server of a data directory.
pub fn runner(app: &App) -> Runner<App> {
    let workers = app.config.jobs.workers.get();
    let runner = Runner::server(app.clone(), app.db.clone(), app.clock.clone(), workers)
        .log_slower_than(app.settings.current().log.slow_job)
        .register::<restore::RestoreJob>()
        .register::<restore::RestoreRemotely>()
        .register::<restore::SplitScan>()
        .register::<library::Describe>()
        .register::<library::WarmUp>()
        .register::<library::Bulk>()
        .register::<uploads::TakeWatched>()
        .every(HOUR, library::Sweep {})
        .every(HOUR, library::Expire {})
        .every(HOUR / 6, library::FindAlike {})
        .every(24 * HOUR, library::FindOrphans {})
        .every(HOUR, uploads::Tidy {})
        .every(HOUR, restore::Tidy {})
        .every(HOUR, admin::Prune {})
        .every(24 * HOUR, admin::Upkeep {})
        .observe(notify::job_changed);
    // Without anybody to tell nobody looks.
    if admin::alerts_are_on(&app.config) {
        runner.every(admin::ALERTS_EVERY, admin::Watch {})
    } else {
        runner
    }
}
