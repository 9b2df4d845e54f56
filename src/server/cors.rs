//! The API for pages of other sites that an admin has named, which come with a token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::api::Sharing;
use crate::app::App;

/// What programs in browsers need, those that upload by tus among them.
const SHARING: Sharing = Sharing {
    methods: "GET, HEAD, POST, PUT, PATCH, DELETE",
    headers: "accept, authorization, content-type, if-match, if-modified-since, if-none-match, if-range, last-event-id, \
              range, tus-resumable, upload-checksum, upload-concat, upload-defer-length, upload-length, \
              upload-metadata, upload-offset, x-http-method-override, x-request-id, x-requested-with",
    exposed: "accept-ranges, content-disposition, content-length, content-range, etag, location, ratelimit, \
              ratelimit-policy, retry-after, safelight-media-id, tus-checksum-algorithm, tus-extension, tus-max-size, tus-resumable, tus-version, \
              upload-concat, upload-defer-length, upload-expires, upload-length, upload-metadata, upload-offset, \
              www-authenticate, x-request-id",
};

/// Lets the sites of `cors.origins` use the API. Questions of their browsers are answered before anybody looks at who asks.
pub(super) async fn share(State(app): State<App>, request: Request, next: Next) -> Response {
    let settings = app.settings.current();
    let origins = &settings.cors.origins;
    if origins.is_empty() || !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let asked = request.headers().clone();
    if Sharing::is_preflight(request.method(), &asked) {
        return SHARING.preflight(origins, &asked);
    }
    let mut response = next.run(request).await;
    SHARING.share(&mut response, origins, &asked);
    response
}
