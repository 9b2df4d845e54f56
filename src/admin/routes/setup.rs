//! `POST /setup`: the first owner, the first bucket and, if wanted, a photograph to try things on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

use crate::accounts::{self, Me, SessionCookie, Setup, Visitor};
use crate::api::{Json, Problem};
use crate::app::App;
use crate::audit::Actor;
use crate::library::{self, Destination, NewBucket, OnConflict};

/// The bucket that a new appliance has: private, as all are.
pub fn first_bucket() -> NewBucket {
    NewBucket { slug: "photos".into(), name: Some("Photos".into()), visibility: None, access: None }
}

/// The damaged «old photograph» that our own script has rendered.
static SAMPLE: &[u8] = include_bytes!("../../../assets/sample/boathouse-1974.jpg");

const SAMPLE_NAME: &str = "The boathouse, 1974.jpg";

/// The name and the bytes of the sample picture.
pub fn sample() -> (&'static str, Bytes) {
    (SAMPLE_NAME, Bytes::from_static(SAMPLE))
}

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
        library::add_bucket_in(tx, actor, &first_bucket()).map(|_| ()).map_err(Problem::from)
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
    let to = Destination {
        bucket: None,
        folder: String::new(),
        name: SAMPLE_NAME.into(),
        on_conflict: OnConflict::Rename,
    };
    let bytes = stream::iter([Ok(Bytes::from_static(SAMPLE))]);
    library::add(app, actor, to, bytes).await.map(|_| ())
}
