//! The token endpoint (RFC 6749 §3.2, RFC 7521 §4.2, RFC 8705, RFC 9449): a live instance proves itself with a JWT-SVID, or with the
//! X.509-SVID of its connection, and gets a token for one task and one resource, bound to its key or certificate; or exchanges a token that
//! it has, or that was handed to it (RFC 8693). Clients that a user let in come with a code or refresh token (RFC 6749 §4.1, §6).

mod answer;
mod authorize;
mod client;
mod code;
mod consent;
mod details;
mod exchange;
mod form;
mod introspect;
mod page;
mod revoke;
mod sign_in;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bailiwick_core::{Code, Timestamp};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_crypto::tls::peer::ClientCertificate;
use bailiwick_crypto::token::task::Confirmation;
use bailiwick_enforce::mcp::presented::DPOP;
use bailiwick_identity::exchange::{Client, TokenAsk, TokenRefusal};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::{Via, dpop};
use answer::{TaskTokenAnswer, nonced, refused};
use client::client;
use details::Details;
use form::{Form, TokenForm, wanted};

pub use client::{ASSERTION_TYPE, OWN_KEY_TYPE};
pub use details::DETAILS_TYPE;
pub(super) use exchange::delegator;

/// A token for a task of the client's own (RFC 6749 §4.4).
const CLIENT_CREDENTIALS: &str = "client_credentials";
/// A token in exchange for another (RFC 8693 §2.1).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// A token for a task that a user consented to (§4.1).
const AUTHORIZATION_CODE: &str = "authorization_code";
/// The next one for the same task (§6).
const REFRESH_TOKEN: &str = "refresh_token";
/// The grants that are served to agents.
pub const GRANTS: [&str; 2] = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE];
/// The grants that are served to clients that a user lets in.
pub const CLIENT_GRANTS: [&str; 2] = [AUTHORIZATION_CODE, REFRESH_TOKEN];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .merge(authorize::routes())
        .merge(sign_in::routes())
        .merge(consent::routes())
        .merge(introspect::routes())
        .merge(revoke::routes())
}

/// What an agent asks with its X.509-SVID: tokens, what they are worth, and their end.
pub(super) fn for_svids() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .merge(introspect::routes())
        .merge(revoke::routes())
}

/// Gives a task token.
#[utoipa::path(post, path = "/oauth/token", operation_id = "oauth.token", tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "a token bound to the key of the DPoP proof, or to the certificate of the connection", body = TaskTokenAnswer),
              (status = 400, description = "{error, error_description, code, help}", body = Object)))]
async fn token(State(app): State<Arc<App>>, request: Request) -> Response {
    let answered = issue(&app, request).await;
    nonced(&app, answered.unwrap_or_else(|refusal| refused(&refusal)))
}

async fn issue(app: &App, request: Request) -> Result<Response, TokenRefusal> {
    let (head, form) = Form::<TokenForm>::read(request).await?;
    let by_svid = certificate(&head).is_some();
    match wanted("grant_type", form.grant_type.as_deref())? {
        CLIENT_CREDENTIALS => credentials(app, &head, &form).await,
        TOKEN_EXCHANGE => exchange::exchange(app, &head, &form).await,
        AUTHORIZATION_CODE if !by_svid => code::by_code(app, &head.headers, &form).await,
        REFRESH_TOKEN if !by_svid => code::by_refresh(app, &head.headers, &form).await,
        _ => Err(TokenRefusal::new(
            "unsupported_grant_type",
            Code::InvalidInput,
            "that grant is not served here",
            "agents use client_credentials with an SVID, or token exchange; clients that a user let in use authorization_code",
        )),
    }
}

/// A token for a task that is the client's: it names the task.
async fn credentials(app: &App, head: &Parts, form: &TokenForm) -> Result<Response, TokenRefusal> {
    let proven = proven(app, head, form).await?;
    let text = wanted(
        "authorization_details",
        form.authorization_details.as_deref(),
    )?;
    let details = Details::read(text)?;
    let wish = details.wish(form.scope.as_deref())?;
    details.only_for_token()?;
    let ask = TokenAsk {
        client: proven.client,
        task: details.task()?,
        resource: wanted("resource", form.resource.as_deref())?.to_owned(),
        cnf: Some(proven.cnf),
        until: proven.until,
        wish,
        may_act: details.may_act.map(|next| next.sub),
        from: None,
    };
    let issued = app.authority.issue_task_token(ask).await?;
    TaskTokenAnswer::of(&issued, None, &[])
}

/// A client, and what it holds.
struct ProvenClient {
    client: Client,
    cnf: Confirmation,
    /// When what it holds ends, if it does.
    until: Option<Timestamp>,
}

/// The client of a request, and what its token is to be bound to: the key of its proof, else the certificate of its connection.
async fn proven(app: &App, head: &Parts, form: &TokenForm) -> Result<ProvenClient, TokenRefusal> {
    let shown = certificate(head);
    let cnf = match &shown {
        Some(shown) if !head.headers.contains_key(DPOP) => {
            Confirmation::Certificate(shown.thumbprint().clone())
        }
        _ => Confirmation::Key(key_of(app, head)?),
    };
    let (client, ends) = client(app, &form.authentication(), shown.as_deref()).await?;
    let until = ends.filter(|_| cnf.key().is_none());
    Ok(ProvenClient { client, cnf, until })
}

/// The certificate that the connection of a request shows: an X.509-SVID, as it was when the connection was made.
fn certificate(head: &Parts) -> Option<Arc<ClientCertificate>> {
    match head.extensions.get::<Via>() {
        Some(Via::Tcp(connection)) => connection.certificate.clone(),
        _ => None,
    }
}

/// The key that a token request proves to hold, for the endpoint as the metadata names it.
fn key_of(app: &App, head: &Parts) -> Result<Thumbprint, TokenRefusal> {
    let base = match (&app.mtls_url, certificate(head)) {
        (Some(url), Some(_)) => url,
        _ => &app.console_url,
    };
    key_at(app, &head.headers, base)
}

fn key_at(app: &App, headers: &HeaderMap, base: &str) -> Result<Thumbprint, TokenRefusal> {
    let url = format!("{base}/oauth/token");
    dpop::proven(app, headers, &Method::POST, &url, None)
        .map_err(|problem| TokenRefusal::of("invalid_dpop_proof", problem))
}
