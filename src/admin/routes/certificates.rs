//! The certificates, for those in charge.

use axum::extract::State;
use axum::http::StatusCode;

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page, Path, Problem};
use crate::app::App;
use crate::audit::{self, Target};
use crate::tls::{CertificateStatus, TryNow};

/// Certificates, and how their renewal is doing
#[utoipa::path(get, path = "/certificates", tag = "admin",
    responses((status = 200, body = Page<CertificateStatus>)))]
pub(super) async fn list_certificates(
    State(app): State<App>,
    _user: Allowed<may::SettingsManage>,
) -> Json<Page<CertificateStatus>> {
    Json(Page::whole(app.tls.status()))
}

/// Asks for a certificate now, by any of its names; files of one's own are looked at
#[utoipa::path(post, path = "/certificates/{name}/renew", tag = "admin", params(("name" = String, Path)),
    responses((status = 202, description = "It is being asked for"), (status = 404),
        (status = 409, description = "The authority wants to be left alone for a while")))]
pub(super) async fn renew_certificate(
    State(app): State<App>,
    user: Allowed<may::SettingsManage>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    match app.tls.try_now(&name) {
        TryNow::Begun => {}
        TryNow::Unknown => return Err(Problem::not_found("certificate")),
        TryNow::LeftAlone(until) => {
            let why = format!("The certificate authority asked not to be asked again before {until}.");
            return Err(Problem::new(StatusCode::CONFLICT, "certificate-paused", why));
        }
    }
    let actor = user.actor();
    app.db
        .write(move |tx| {
            let target = Target::new("certificate", &name).named(&name);
            audit::record(tx, &actor, "certificate.renew", target, &serde_json::Value::Null)?;
            Ok::<_, Problem>(StatusCode::ACCEPTED)
        })
        .await
}
