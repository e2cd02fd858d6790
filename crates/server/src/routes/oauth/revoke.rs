//! Revocation of a token by its holder (RFC 7009): a fence on it, and so on everything that was exchanged from it or delegated with it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bailiwick_core::client::ClientId;
use bailiwick_core::{Code, Secret};
use bailiwick_identity::exchange::TokenRefusal;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::refused;
use super::certificate;
use super::client::{Party, party};
use super::form::{Form, OneToken, wanted};
use crate::app::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(revoke))
}

/// Takes a token back.
#[utoipa::path(post, path = "/oauth/revoke", operation_id = "oauth.revoke", tag = "oauth",
    request_body(content = OneToken, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "the token is dead, or was none"),
              (status = 400, description = "{error, error_description, code, help}", body = Object)))]
async fn revoke(State(app): State<Arc<App>>, request: Request) -> Response {
    match take_back(&app, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn take_back(app: &App, request: Request) -> Result<(), TokenRefusal> {
    let (head, form) = Form::<OneToken>::read(request).await?;
    let shown = certificate(&head);
    let client = match party(app, &form.authentication(), shown.as_deref()).await? {
        Party::Instance(client) => client,
        Party::LetIn(client) => {
            return give_up(app, &client, wanted("token", form.token.as_deref())?).await;
        }
    };
    // §2.2: a token that is none, or none any more, is as revoked as can be.
    let Ok(subject) = app
        .authority
        .subject(wanted("token", form.token.as_deref())?)
    else {
        return Ok(());
    };
    if subject.holder() != client.instance {
        return Err(TokenRefusal::new(
            "unauthorized_client",
            Code::NotPermitted,
            "the token was issued to another client",
            "its holder can revoke it; so can an operator: `bailiwick revoke token ID`",
        ));
    }
    app.control
        .surrender(&client.id, subject.id())
        .await
        .map_err(|problem| TokenRefusal::of("server_error", problem))
}

/// For a client without keys, to have the token is enough (§2.1): it can only be ended with this.
async fn give_up(app: &App, client: &ClientId, token: &str) -> Result<(), TokenRefusal> {
    let given_up = match app.authority.subject(token) {
        Ok(subject) if subject.client_id() == client.as_str() => {
            let holder = subject.holder_id();
            app.control.surrender(holder, subject.id()).await
        }
        Ok(_) => Ok(()),
        Err(_) => {
            app.control
                .give_up(&Secret::new(token.to_owned()), client)
                .await
        }
    };
    given_up.map_err(|problem| TokenRefusal::of("server_error", problem))
}
