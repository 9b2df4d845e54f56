//! `POST /setup`: the first owner, the first bucket and, if wanted, a photograph to try things on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::accounts::{self, Me, SessionCookie, Setup, Visitor};
use crate::api::{Json, Problem};
use crate::app::App;
use crate::audit::Actor;
use crate::library;

/// The bucket that a new appliance has.
pub const FIRST_BUCKET: (&str, &str) = ("photos", "Photos");

/// The damaged «old photograph» that our own script has rendered.
static SAMPLE: &[u8] = include_bytes!("../../assets/sample/boathouse-1974.jpg");

const SAMPLE_NAME: &str = "The boathouse, 1974.jpg";

/// Makes the first owner
///
/// The token is in the link that the server printed; it works once.
#[utoipa::path(post, path = "/setup", tag = "accounts", request_body = Setup,
    responses((status = 201, body = Me), (status = 403), (status = 409), (status = 422)))]
pub(super) async fn make_owner(
    State(app): State<App>,
    cookie: SessionCookie,
    visitor: Visitor,
    Json(form): Json<Setup>,
) -> Result<Response, Problem> {
    let sample = form.sample;
    let signed_in = accounts::setup(&app, &visitor, form, |tx, actor| {
        library::add_first_bucket_in(tx, actor, FIRST_BUCKET.0, FIRST_BUCKET.1).map_err(Problem::from)
    })
    .await?;
    if sample {
        let actor = Actor::user(signed_in.user.id, signed_in.user.name.clone(), visitor.address);
        // The owner is there already: a full disk now must not undo that.
        if let Err(e) = add_sample(&app, &actor).await {
            tracing::warn!(error = %e, "the sample picture could not be put in");
        }
    }
    let header = [(SET_COOKIE, cookie.set(&signed_in))];
    Ok((StatusCode::CREATED, header, Json(Me::from(signed_in.user))).into_response())
}

async fn add_sample(app: &App, actor: &Actor) -> Result<(), library::Error> {
    library::add_bytes(app, actor, FIRST_BUCKET.0, "", SAMPLE_NAME, Bytes::from_static(SAMPLE)).await.map(|_| ())
}
