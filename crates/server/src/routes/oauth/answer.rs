//! Answers of the endpoints of OAuth: tokens, and refusals with the RFC's error beside our code.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_core::scope::Narrowing;
use bailiwick_core::{Code, Secret};
use bailiwick_identity::exchange::{Issued, TokenRefusal};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::http::dpop::NONCE;

/// A token.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TaskTokenAnswer {
    access_token: String,
    /// `DPoP`; `Bearer` for a token that is bound to a certificate, or of a client without proofs that the operator lets have unbound ones.
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    scope: String,
    #[schema(value_type = Vec<Object>)]
    authorization_details: Vec<serde_json::Value>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:access_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    /// A client that a user let in: what the next token is fetched with, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// What made it good for less than was asked for: `task`, `ceiling`, `policy`, `unbound`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    narrowed_by: Vec<&'static str>,
}

impl TaskTokenAnswer {
    pub(super) fn of(
        issued: &Issued,
        issued_token_type: Option<&'static str>,
        narrowed_before: &[Narrowing],
    ) -> Result<Response, TokenRefusal> {
        Ok(Json(Self::new(issued, issued_token_type, narrowed_before)?).into_response())
    }

    /// The same for a client that a user let in.
    pub(super) fn with_refresh(
        issued: &Issued,
        refresh: &Secret<String>,
    ) -> Result<Response, TokenRefusal> {
        let mut answer = Self::new(issued, None, &[])?;
        answer.refresh_token = Some(refresh.expose().clone());
        Ok(Json(answer).into_response())
    }

    fn new(
        issued: &Issued,
        issued_token_type: Option<&'static str>,
        narrowed_before: &[Narrowing],
    ) -> Result<Self, TokenRefusal> {
        let details = serde_json::to_value(&issued.details).map_err(|error| {
            let message = format!("the answer cannot be written: {error}");
            TokenRefusal::new("server_error", Code::Internal, message, "")
        })?;
        Ok(Self {
            access_token: issued.token.expose().clone(),
            token_type: token_type(issued.proven),
            expires_in: issued.expires_in,
            scope: issued.scope.clone(),
            authorization_details: vec![details],
            issued_token_type,
            narrowed_by: narrowed_before
                .iter()
                .chain(&issued.narrowed_by)
                .map(|by| by.as_str())
                .collect(),
            refresh_token: None,
        })
    }
}

/// How a token is shown: with a proof of its key, or alone.
pub(super) fn token_type(proven: bool) -> &'static str {
    if proven { "DPoP" } else { "Bearer" }
}

/// An answer with the nonce for the next proof.
pub(super) fn nonced(app: &App, mut response: Response) -> Response {
    if let Ok(nonce) = HeaderValue::from_str(&app.dpop.nonce(&*app.clock)) {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}

/// RFC 6749 §5.2, with our code and help.
pub(super) fn refused(refusal: &TokenRefusal) -> Response {
    let status = match refusal.error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        "server_error" | "temporarily_unavailable" => {
            StatusCode::from_u16(refusal.problem.code.http_status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({
        "error": refusal.error,
        "error_description": refusal.problem.message,
        "code": refusal.problem.code.as_str(),
        "help": refusal.problem.help,
    });
    (status, Json(body)).into_response()
}
