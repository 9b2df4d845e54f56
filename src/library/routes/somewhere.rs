//! Who may do something in one bucket at least.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::accounts::{CurrentUser, Needs};
use crate::api::Problem;
use crate::app::App;
use crate::library::{Error, may_somewhere};

/// Somebody who is logged in and has a permission by the account's role, or in a single bucket as its member:
/// `Somewhere<may::LibraryWrite>`. Whether it is the bucket in question is the library's answer.
///
/// As an extractor it answers 401 `not-signed-in` or 403 `forbidden` to everybody else, and to a token whose scopes leave
/// the permission out.
#[derive(Debug, Clone)]
pub struct Somewhere<P> {
    user: CurrentUser,
    permission: PhantomData<P>,
}

impl<P> Deref for Somewhere<P> {
    type Target = CurrentUser;
    fn deref(&self) -> &CurrentUser {
        &self.user
    }
}

impl<P: Needs> FromRequestParts<App> for Somewhere<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = <CurrentUser as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        user.require_cover(P::PERMISSION)?;
        // Most have it by their role, which takes no question.
        if !user.may(P::PERMISSION) && !may_somewhere(app, user.id(), P::PERMISSION).await? {
            return Err(Error::Forbidden.into());
        }
        Ok(Self { user, permission: PhantomData })
    }
}
