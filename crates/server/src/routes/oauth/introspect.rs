//! Introspection (RFC 7662): what a task token is worth at this moment, for those it concerns. The answer is the one that the enforcement
//! point of this node would give, on the same state, so it is never older than the last fence.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bailiwick_control::Operation;
use bailiwick_core::Code;
use bailiwick_core::client::ClientId;
use bailiwick_core::id::InstanceId;
use bailiwick_crypto::token::task::TaskClaims;
use bailiwick_identity::exchange::TokenRefusal;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{refused, token_type};
use super::certificate;
use super::client::{OWN_KEY_TYPE, client, keyed_client};
use super::form::{Form, OneToken, wanted};
use crate::app::App;
use crate::http::guard::bearer;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(introspect))
}

/// Says whether a token is good now.
#[utoipa::path(post, path = "/oauth/introspect", operation_id = "oauth.introspect", tag = "oauth",
    request_body(content = OneToken, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "RFC 7662 §2.2; `{\"active\": false}` for whatever is unfit or not the caller's", body = Object),
              (status = 401, description = "{error, error_description, code, help}", body = Object)))]
async fn introspect(State(app): State<Arc<App>>, request: Request) -> Response {
    match look(&app, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// Who may know of a token.
enum Reader {
    /// A person who may read everything of the kind.
    Person,
    /// An instance: of tokens in whose chain it is.
    Instance(InstanceId),
    /// A client with keys: of its own tokens.
    Client(ClientId),
}

async fn look(app: &App, request: Request) -> Result<Value, TokenRefusal> {
    let (head, form) = Form::<OneToken>::read(request).await?;
    let reader = reader(app, &head, &form).await?;
    let token = wanted("token", form.token.as_deref())?;
    match app.gateway.introspect(token).await {
        Ok(claims) if reader.may_know(&claims) => Ok(described(&claims)),
        Err(problem) if problem.code == Code::ReplicaBehind => {
            Err(TokenRefusal::of("temporarily_unavailable", problem))
        }
        // RFC 7662 §2.2: why is nobody's business.
        Ok(_) | Err(_) => Ok(json!({ "active": false })),
    }
}

/// An instance or a client with its assertion, or an account with its token (RFC 7662 §2.1).
async fn reader(app: &App, head: &Parts, form: &OneToken) -> Result<Reader, TokenRefusal> {
    let headers = &head.headers;
    if !headers.contains_key(AUTHORIZATION) {
        let shown = form.authentication();
        // A name alone proves nothing.
        if shown.kind == Some(OWN_KEY_TYPE) {
            return keyed_client(app, &shown).await.map(Reader::Client);
        }
        let (client, _) = client(app, &shown, certificate(head).as_deref()).await?;
        return Ok(Reader::Instance(client.instance));
    }
    let stranger = || {
        let help = "send an account's token as Authorization: Bearer bwa_…, or a client assertion";
        let message = "the Authorization header has no account's token";
        TokenRefusal::new("invalid_client", Code::NotSignedIn, message, help)
    };
    let token = bearer(headers).ok_or_else(stranger)?;
    let actor = app.control.authenticate(token.expose()).await;
    let actor = actor.map_err(|problem| TokenRefusal::of("server_error", problem))?;
    let actor = actor.ok_or_else(stranger)?;
    actor
        .may(Operation::Read)
        .map_err(|problem| TokenRefusal::of("invalid_client", problem))?;
    Ok(Reader::Person)
}

impl Reader {
    fn may_know(&self, claims: &TaskClaims) -> bool {
        match self {
            Self::Person => true,
            Self::Client(client) => claims.client_id == client.as_str(),
            Self::Instance(instance) => claims
                .act
                .chain()
                .filter_map(|actor| actor.sub.as_instance().ok())
                .any(|(_, known)| known == *instance),
        }
    }
}

fn described(claims: &TaskClaims) -> Value {
    let mut described = json!({
        "active": true,
        "token_type": token_type(claims.key().is_some()),
        "iss": claims.iss,
        "sub": claims.sub,
        "aud": claims.aud,
        "client_id": claims.client_id,
        "iat": claims.iat,
        "exp": claims.exp,
        "jti": claims.jti,
        "scope": claims.scope,
        "act": claims.act,
        "authorization_details": claims.authorization_details,
    });
    if let (Some(cnf), Some(members)) = (&claims.cnf, described.as_object_mut()) {
        members.insert("cnf".to_owned(), json!(cnf));
    }
    described
}
