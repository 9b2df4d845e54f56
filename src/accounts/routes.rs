//! The HTTP side of accounts: wire types and thin handlers. `POST /setup` and `POST /tokens` stand above,
//! where they may also ask the library.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::model::{
    ApiToken, CurrentUser, Login, NewUser, OwnedToken, Permission, Role, Session, SessionId, TokenId, User,
    UserChange, Visitor, may,
};
use super::password::Password;
use super::session::{Allowed, SessionCookie};
use super::{Error, login, setup, tokens, users};
use crate::api::{Json, Page, PageQuery, Path, Problem, Query};
use crate::app::App;
use crate::audit::UserId;

/// The routes of this room, below `/api/v1`.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(setup_state))
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(me))
        .routes(routes!(change_password))
        .routes(routes!(sessions, end_other_sessions))
        .routes(routes!(end_session))
        .routes(routes!(list_users, add_user))
        .routes(routes!(change_user))
        .routes(routes!(set_password))
        .routes(routes!(roles))
        .routes(routes!(list_tokens))
        .routes(routes!(remove_token))
        .routes(routes!(list_all_tokens))
        .routes(routes!(withdraw_token))
}

/// Whether the appliance still needs its first owner.
#[derive(Debug, Serialize, ToSchema)]
struct SetupState {
    /// True while there is no owner.
    needed: bool,
    /// Whether this browser is logged in.
    signed_in: bool,
}

/// Whoever is logged in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Me {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// What the user may do; for a request with a token, what both may.
    pub permissions: Vec<Permission>,
}

impl From<User> for Me {
    fn from(user: User) -> Self {
        Self { permissions: user.role.permissions().to_vec(), user }
    }
}

impl From<CurrentUser> for Me {
    fn from(current: CurrentUser) -> Self {
        Self { permissions: current.permissions(), user: current.user }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordChange {
    /// The password until now.
    current: Password,
    /// The password from now on.
    new: Password,
}

#[derive(Debug, Deserialize, ToSchema)]
struct PasswordReset {
    /// The password from now on.
    password: Password,
    /// Leaves the user's API tokens as they are; they are withdrawn where it is not said.
    #[serde(default)]
    keep_tokens: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct RoleView {
    /// The role's name.
    name: Role,
    /// What it may do.
    permissions: &'static [Permission],
}

/// Whether the first owner is still to be made
#[utoipa::path(get, path = "/setup", tag = "accounts", responses((status = 200, body = SetupState)))]
async fn setup_state(State(app): State<App>, user: Option<CurrentUser>) -> Result<Json<SetupState>, Problem> {
    Ok(Json(SetupState { needed: setup::needs_setup(&app.db).await?, signed_in: user.is_some() }))
}

/// Logs in
///
/// The answer sets the session cookie. A wrong password, an unknown and a disabled account are answered alike.
#[utoipa::path(post, path = "/auth/login", tag = "accounts",
    responses((status = 200, body = Me), (status = 401), (status = 429)))]
async fn log_in(
    State(app): State<App>,
    visitor: Visitor,
    cookie: SessionCookie,
    Json(form): Json<Login>,
) -> Result<impl IntoResponse, Problem> {
    let signed_in = login::login(&app, &visitor, form).await?;
    Ok(([(SET_COOKIE, cookie.set(&signed_in))], Json(Me::from(signed_in.user))))
}

/// Logs out
///
/// Fine also for whoever is not logged in.
#[utoipa::path(post, path = "/auth/logout", tag = "accounts", responses((status = 204)))]
async fn log_out(
    State(app): State<App>,
    current: Option<CurrentUser>,
    cookie: SessionCookie,
) -> Result<impl IntoResponse, Problem> {
    if let Some(current) = current {
        login::logout(&app.db, &current).await?;
    }
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie.clear())]))
}

/// Who is logged in
#[utoipa::path(get, path = "/auth/me", tag = "accounts",
    responses((status = 200, body = Me), (status = 401)))]
async fn me(current: CurrentUser) -> Json<Me> {
    Json(current.into())
}

/// Changes the own password
///
/// All other sessions end.
#[utoipa::path(post, path = "/auth/password", tag = "accounts",
    responses((status = 204), (status = 401), (status = 422), (status = 429)))]
async fn change_password(
    State(app): State<App>,
    current: CurrentUser,
    Json(form): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    login::change_password(&app, &current, form.current, form.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The own sessions, the newest login first
#[utoipa::path(get, path = "/auth/sessions", tag = "accounts",
    responses((status = 200, body = Page<Session>), (status = 401)))]
async fn sessions(State(app): State<App>, current: CurrentUser) -> Result<Json<Page<Session>>, Problem> {
    Ok(Json(Page::whole(login::list_sessions(&app, &current).await?)))
}

/// Ends all own sessions but this one
#[utoipa::path(delete, path = "/auth/sessions", tag = "accounts", responses((status = 204), (status = 401)))]
async fn end_other_sessions(State(app): State<App>, current: CurrentUser) -> Result<StatusCode, Problem> {
    login::end_other_sessions(&app.db, &current).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of the own sessions
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "accounts", params(("id" = SessionId, Path)),
    responses((status = 204), (status = 401), (status = 404)))]
async fn end_session(
    State(app): State<App>,
    current: CurrentUser,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    login::end_session(&app.db, &current, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Users in the order in which they were added
#[utoipa::path(get, path = "/users", tag = "accounts", params(PageQuery),
    responses((status = 200, body = Page<User>), (status = 401), (status = 403)))]
async fn list_users(
    State(app): State<App>,
    _: Allowed<may::UsersManage>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<User>>, Problem> {
    let rows = users::list(&app.db, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |user| user.id)))
}

/// Adds a user
#[utoipa::path(post, path = "/users", tag = "accounts",
    responses((status = 201, body = User), (status = 401), (status = 403), (status = 409), (status = 422)))]
async fn add_user(
    State(app): State<App>,
    current: Allowed<may::UsersManage>,
    Json(form): Json<NewUser>,
) -> Result<impl IntoResponse, Problem> {
    current.may_grant(form.role)?;
    let user = users::add(&app.db, &current.editor(), form).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// Changes a user's name or role, or disables and enables the account
///
/// Whoever is disabled or gets a lesser role is logged out. Only an owner may make or change owners.
#[utoipa::path(patch, path = "/users/{id}", tag = "accounts", params(("id" = UserId, Path)),
    responses((status = 200, body = User), (status = 401), (status = 403), (status = 404), (status = 409), (status = 422)))]
async fn change_user(
    State(app): State<App>,
    current: Allowed<may::UsersManage>,
    Path(id): Path<UserId>,
    Json(form): Json<UserChange>,
) -> Result<Json<User>, Problem> {
    if let Some(role) = form.role {
        current.may_grant(role)?;
    }
    Ok(Json(users::change(&app.db, &current.editor(), id, form).await?))
}

/// Gives a user another password
///
/// All of the user's sessions end, and the API tokens are withdrawn unless they are to be kept. One's own password is changed with `/auth/password`, which asks for the present one.
#[utoipa::path(post, path = "/users/{id}/password", tag = "accounts", params(("id" = UserId, Path)),
    responses((status = 204), (status = 401), (status = 403), (status = 404), (status = 409), (status = 422)))]
async fn set_password(
    State(app): State<App>,
    current: Allowed<may::UsersManage>,
    Path(id): Path<UserId>,
    Json(form): Json<PasswordReset>,
) -> Result<StatusCode, Problem> {
    current.session()?;
    if id == current.id() {
        let detail = "Change your own password on your account page, which asks for the present one.";
        return Err(Problem::new(StatusCode::CONFLICT, "own-password", detail));
    }
    users::set_password(&app.db, &current.editor(), id, form.password, form.keep_tokens).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The roles and what each may do
#[utoipa::path(get, path = "/roles", tag = "accounts",
    responses((status = 200, body = Page<RoleView>), (status = 401)))]
async fn roles(_: CurrentUser) -> Json<Page<RoleView>> {
    let view = |name: Role| RoleView { name, permissions: name.permissions() };
    Json(Page::whole(Vec::from(Role::ALL.map(view))))
}

/// The own tokens, the newest first
#[utoipa::path(get, path = "/tokens", tag = "accounts", params(PageQuery),
    responses((status = 200, body = Page<ApiToken>), (status = 401)))]
async fn list_tokens(
    State(app): State<App>,
    current: CurrentUser,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiToken>>, Problem> {
    let rows = tokens::list_tokens(&app.db, &current, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |token| token.id)))
}

/// Withdraws one of the own tokens
#[utoipa::path(delete, path = "/tokens/{id}", tag = "accounts", params(("id" = TokenId, Path)),
    responses((status = 204), (status = 401), (status = 403), (status = 404)))]
async fn remove_token(
    State(app): State<App>,
    current: CurrentUser,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    tokens::remove_token(&app.db, &current, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody's tokens, the newest first
#[utoipa::path(get, path = "/users/tokens", tag = "accounts", params(PageQuery),
    responses((status = 200, body = Page<OwnedToken>), (status = 401), (status = 403)))]
async fn list_all_tokens(
    State(app): State<App>,
    _: Allowed<may::UsersManage>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OwnedToken>>, Problem> {
    let rows = tokens::list_all_tokens(&app.db, page.after()?, page.limit() + 1).await?;
    Ok(Json(Page::of(rows, page.limit(), |owned| owned.token.id)))
}

/// Withdraws anybody's token
///
/// Only an owner withdraws one of an owner.
#[utoipa::path(delete, path = "/users/tokens/{id}", tag = "accounts", params(("id" = TokenId, Path)),
    responses((status = 204), (status = 401), (status = 403), (status = 404)))]
async fn withdraw_token(
    State(app): State<App>,
    current: Allowed<may::UsersManage>,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    current.session()?;
    tokens::withdraw_token(&app.db, &current.editor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let simple = |status, code, detail: &str| Self::new(status, code, detail);
        match error {
            Error::WrongCredentials => {
                simple(StatusCode::UNAUTHORIZED, "wrong-credentials", "Email and password don't fit.")
            }
            Error::TooManyAttempts { wait, quota } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-attempts",
                "There were too many wrong passwords. Wait a little before you try again.",
            )
            .retry_after(wait)
            .limited_by("login", quota),
            Error::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many people log in at once. Try again in a moment.",
            )
            .retry_after(std::time::Duration::from_secs(5)),
            Error::SetupToken => simple(
                StatusCode::FORBIDDEN,
                "setup-token-invalid",
                "The setup link is wrong or over. The server prints a new one when it starts.",
            ),
            Error::SetupDone => simple(StatusCode::CONFLICT, "setup-done", "There is an owner already."),
            Error::EmailTaken => {
                simple(StatusCode::CONFLICT, "email-taken", "Another account has this email.")
                    .field("email", "Another account has this email.")
            }
            Error::LastOwner => simple(
                StatusCode::CONFLICT,
                "last-owner",
                "This is the only owner who can log in. Make another owner first.",
            ),
            Error::Forbidden => {
                simple(StatusCode::FORBIDDEN, "forbidden", "Your role or your token does not allow this.")
            }
            Error::OwnersOnly => {
                simple(StatusCode::FORBIDDEN, "forbidden", "Only an owner may make or change owners.")
            }
            Error::NoSuchUser => Self::not_found("user"),
            Error::NoSuchSession => Self::not_found("session"),
            Error::NoSuchToken => Self::not_found("token"),
            Error::TokenRefused => simple(
                StatusCode::UNAUTHORIZED,
                "token-refused",
                "The token is wrong, has expired or was withdrawn, or its owner can't log in any more.",
            ),
            Error::SessionNeeded => simple(
                StatusCode::FORBIDDEN,
                "session-needed",
                "A token can't do this. Log in with a browser.",
            ),
            Error::Invalid(wrong) => wrong
                .into_iter()
                .fold(Self::validation("Some fields need another look."), |problem, wrong| {
                    problem.field(wrong.field, wrong.detail)
                }),
            Error::Hash(_) | Error::Keys(_) => Self::internal(error),
            Error::Db(error) => error.into(),
        }
    }
}
