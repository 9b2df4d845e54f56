//! The certificates, for those in charge.

use axum::extract::State;

use crate::accounts::{Allowed, may};
use crate::api::{Json, Page};
use crate::app::App;
use crate::tls::CertificateStatus;

/// Certificates, and how their renewal is doing
#[utoipa::path(get, path = "/certificates", tag = "admin",
    responses((status = 200, body = Page<CertificateStatus>)))]
pub(super) async fn list_certificates(
    State(app): State<App>,
    _user: Allowed<may::SettingsManage>,
) -> Json<Page<CertificateStatus>> {
    Json(Page::whole(app.tls.status()))
}
