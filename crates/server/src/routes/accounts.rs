//! Accounts and their tokens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use bailiwick_control::accounts::ChangeAccount;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::account::{Account, Role};
use bailiwick_core::name::AccountName;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, Paging};
use crate::app::App;
use crate::http::{At, Body, Query, Refused, guarded};

/// Life of a token if the request does not say.
const DEFAULT_TTL_S: u64 = 3_600;

/// An account to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountBody {
    /// 1 to 63 of a-z 0-9 -.
    #[schema(value_type = String)]
    name: AccountName,
    /// viewer, approver, operator, admin; none contains another.
    #[schema(value_type = Vec<String>)]
    roles: Vec<Role>,
}

/// What becomes of an account; what is not named stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Its roles from now on, at least one.
    #[schema(value_type = Option<Vec<String>>)]
    roles: Option<Vec<Role>>,
    /// False: it can do nothing, its tokens and sessions are gone, and what goes on for its person is revoked. Only a lifted fence lets
    /// something go on for them again.
    enabled: Option<bool>,
}

/// How long a token lives.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// Seconds, at most 12 h; 1 h if not given.
    ttl_s: Option<u64>,
}

/// A token, shown once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenAnswer {
    /// The bearer token.
    token: String,
    /// When it ends.
    expires_at: String,
}

/// A link that signs somebody in, shown once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LinkAnswer {
    /// The console's sign-in page with the code behind `#`, which browsers send to nobody.
    url: String,
    /// When it ends: ten minutes after it was made.
    expires_at: String,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(list)))
        .merge(guarded(app, Operation::WriteAccounts, routes!(add)))
        .merge(guarded(app, Operation::WriteAccounts, routes!(change)))
        .merge(guarded(app, Operation::WriteAccounts, routes!(token)))
        .merge(guarded(app, Operation::WriteAccounts, routes!(link)))
}

/// All accounts, by name.
#[utoipa::path(get, path = "/v1/accounts", operation_id = "accounts.list", tag = "accounts", params(Paging),
    responses((status = 200, description = "{items: [Account], next}", body = Object)))]
async fn list(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Account>>, Refused> {
    let page = Page::part(app.control.accounts(&actor).await?, &paging, |account| {
        account.name.to_string()
    });
    Ok(Json(page))
}

/// Makes an account.
#[utoipa::path(post, path = "/v1/accounts", operation_id = "accounts.add", tag = "accounts",
    request_body = AccountBody, responses((status = 201, description = "Account", body = Object)))]
async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<AccountBody>,
) -> Result<(StatusCode, Json<Account>), Refused> {
    let account = app.control.add_account(&actor, body.name, body.roles);
    Ok((StatusCode::CREATED, Json(account.await?)))
}

/// Changes an account's roles, or disables or enables it.
#[utoipa::path(patch, path = "/v1/accounts/{name}", operation_id = "accounts.change", tag = "accounts",
    params(("name" = String, Path)), request_body = AccountChange,
    responses((status = 200, description = "Account", body = Object)))]
async fn change(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<AccountName>,
    Body(body): Body<AccountChange>,
) -> Result<Json<Account>, Refused> {
    let change = ChangeAccount {
        roles: body.roles,
        enabled: body.enabled,
    };
    Ok(Json(
        app.control.change_account(&actor, name, change).await?,
    ))
}

/// Mints a token for an account. It is shown in this answer and never again.
#[utoipa::path(post, path = "/v1/accounts/{name}/token", operation_id = "accounts.token", tag = "accounts",
    params(("name" = String, Path)), request_body = TokenBody,
    responses((status = 201, description = "the token", body = TokenAnswer)))]
async fn token(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<AccountName>,
    Body(body): Body<TokenBody>,
) -> Result<(StatusCode, Json<TokenAnswer>), Refused> {
    let life = Duration::from_secs(body.ttl_s.unwrap_or(DEFAULT_TTL_S));
    let (token, expires_at) = app.control.mint_token(&actor, name, life).await?;
    let answer = TokenAnswer {
        token: token.expose().clone(),
        expires_at: expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Makes a link that lets somebody into the console as this account, once. It is shown in this answer and never again.
#[utoipa::path(post, path = "/v1/accounts/{name}/link", operation_id = "accounts.link", tag = "accounts",
    params(("name" = String, Path)), responses((status = 201, description = "the link", body = LinkAnswer)))]
async fn link(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    At(name): At<AccountName>,
) -> Result<(StatusCode, Json<LinkAnswer>), Refused> {
    let (code, expires_at) = app.control.mint_login_code(&actor, name).await?;
    let answer = LinkAnswer {
        url: format!("{}/login#{}", app.console_url, code.expose()),
        expires_at: expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}
