//! How often somebody may ask the API: a bucket of tokens for each person, and for each address without one.
//!
//! Pages, pictures and files are limited by connections instead: a gallery asks for hundreds at once. Whoever brings a
//! cookie or token that is no longer good counts as nobody. The answer says how much is left, as the draft of the IETF
//! has it (draft-ietf-httpapi-ratelimit-headers-10).

mod buckets;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::crowd::household;
use crate::accounts::{CurrentUser, UserId};
use crate::api::{Client, Problem, RATE_LIMIT, RATE_LIMIT_POLICY, rate_limit_value};
use crate::app::App;
use crate::config::Rate;
use crate::metrics::{ANONYMOUS_LIMIT, RateLimit, SIGNED_IN_LIMIT};
use buckets::{Buckets, Outcome};

/// Addresses that are remembered at once: 32,768 in half a megabyte. Beyond that the one that has asked least is
/// forgotten, and so has a full bucket again: who has more addresses than that is not held back by counting them.
const ADDRESS_SETS: usize = 4096;

/// People that are remembered at once: 2,048. Apart, so that strangers push nobody out.
const PERSON_SETS: usize = 256;

/// The buckets of one server.
pub(super) struct Rates {
    app: App,
    addresses: Buckets<IpAddr>,
    people: Buckets<UserId>,
}

impl Rates {
    pub(super) fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app, addresses: Buckets::new(ADDRESS_SETS), people: Buckets::new(PERSON_SETS) })
    }
}

/// A limit under its name on the wire.
struct Policy {
    name: &'static str,
    rate: Rate,
    counts: &'static RateLimit,
}

/// Lets a request pass, or says when the next one may.
pub(super) async fn limit(State(rates): State<Arc<Rates>>, request: Request, next: Next) -> Response {
    if !is_counted(request.uri().path()) {
        return next.run(request).await;
    }
    let app = &rates.app;
    let (mut parts, body) = request.into_parts();
    // Kept with the request, so that the handler does not look again.
    let user = <CurrentUser as OptionalFromRequestParts<App>>::from_request_parts(&mut parts, app).await;
    let user = user.ok().flatten().map(|user| user.id());
    let limits = &app.config.limits;
    let policy = match user {
        Some(_) => Policy { name: "signed-in", rate: limits.signed_in, counts: &SIGNED_IN_LIMIT },
        None => Policy { name: "anonymous", rate: limits.anonymous, counts: &ANONYMOUS_LIMIT },
    };
    let request = |parts| Request::from_parts(parts, body);
    if policy.rate.per_second == 0 {
        policy.counts.allowed.inc();
        return next.run(request(parts)).await;
    }
    let now = app.clock.now();
    let outcome = match user {
        Some(user) => rates.people.take(&user, policy.rate, now),
        None => {
            let Ok(client) = Client::from_request_parts(&mut parts, app).await;
            rates.addresses.take(&household(client.address), policy.rate, now)
        }
    };
    let mut response = match outcome {
        Outcome::Allowed { .. } => {
            policy.counts.allowed.inc();
            next.run(request(parts)).await
        }
        Outcome::Blocked { wait } => {
            policy.counts.blocked.inc();
            let detail = "There were too many requests in a short time. Wait a moment, then try again.";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail);
            problem.retry_after(wait).into_response()
        }
    };
    tell(&mut response, &policy, outcome);
    response
}

/// The API but for the bytes of media and for who asks whether the process lives; and the metrics, at whose token nobody
/// should guess.
fn is_counted(path: &str) -> bool {
    match path.strip_prefix("/api/") {
        Some("health") => false,
        Some(rest) => !(rest.starts_with("v1/") && rest.ends_with("/content")),
        None => path == "/metrics",
    }
}

/// Adds what is left, after what a handler may have said of a stricter limit of its own.
fn tell(response: &mut Response, policy: &Policy, outcome: Outcome) {
    let (left, seconds) = match outcome {
        Outcome::Allowed { left, full_in } => {
            (left, full_in.as_secs() + u64::from(full_in.subsec_nanos() > 0))
        }
        Outcome::Blocked { wait } => (0, wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
    };
    let Rate { per_second, burst } = policy.rate;
    let headers = response.headers_mut();
    headers.append(&RATE_LIMIT, rate_limit_value(policy.name, left, seconds));
    let window_s = burst.div_ceil(per_second);
    let text = format!("\"{}\";q={burst};w={window_s}", policy.name);
    headers.append(
        &RATE_LIMIT_POLICY,
        HeaderValue::try_from(text).expect("names and numbers fit into a header"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_pages_and_health_are_not_counted() {
        for counted in [
            "/api/v1/media",
            "/api/v1/auth/login",
            "/api/openapi.json",
            "/api/nothing",
            "/metrics",
            "/api/metrics",
        ] {
            assert!(is_counted(counted), "{counted}");
        }
        for free in [
            "/",
            "/assets/a.js",
            "/storage/photos/a.jpg",
            "/health",
            "/health/ready",
            "/api/health",
            "/api",
            "/api/v1/media/0190/content",
            "/api/v1/media/0190/versions/1/content",
        ] {
            assert!(!is_counted(free), "{free}");
        }
    }
}
