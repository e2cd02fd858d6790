//! The token endpoint (RFC 6749 §4.4, RFC 7521 §4.2, RFC 9396, RFC 9449): a live instance proves itself with a JWT-SVID and gets a token
//! for one task and one resource, bound to its key.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use bailiwick_core::id::TaskId;
use bailiwick_core::json::{Limits, check};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_crypto::dpop::{DpopError, Proof, Request as Proven};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_identity::exchange::{TokenAsk, TokenRefusal};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::MAX_BODY;
use crate::http::input::read;

/// The grant that is served.
pub const GRANT: &str = "client_credentials";
/// How clients prove themselves: with a JWT-SVID.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// The authorization details that name a task.
pub const DETAILS_TYPE: &str = "agent_task";

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
/// Bound on `authorization_details`.
const DETAILS: Limits = Limits {
    bytes: 4 << 10,
    depth: 8,
    members: 64,
    caseless: true,
};

/// A token request. A parameter given twice is refused (RFC 6749 §3.2); unknown ones are ignored, as it says.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct TokenForm {
    /// `client_credentials`.
    grant_type: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`.
    client_assertion_type: Option<String>,
    /// A JWT-SVID for this issuer alone.
    client_assertion: Option<String>,
    /// `[{"type": "agent_task", "task_id": "task_…"}]`.
    authorization_details: Option<String>,
    /// `<gateway>/mcp/<server>`.
    resource: Option<String>,
}

/// A token.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenAnswer {
    access_token: String,
    /// `DPoP`.
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    scope: String,
    #[schema(value_type = Vec<Object>)]
    authorization_details: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    task_id: TaskId,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(token))
}

/// Gives a task token.
#[utoipa::path(post, path = "/oauth/token", operation_id = "oauth.token", tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "a token bound to the key of the DPoP proof", body = TokenAnswer),
              (status = 400, description = "{error, error_description, code, help}", body = Object)))]
async fn token(State(app): State<Arc<App>>, request: Request) -> Response {
    let answered = issue(&app, request).await;
    let mut response = answered.unwrap_or_else(|refusal| refused(&refusal));
    if let Ok(nonce) = HeaderValue::from_str(&app.dpop.nonce(&*app.clock)) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
}

async fn issue(app: &App, request: Request) -> Result<Response, TokenRefusal> {
    let (headers, form) = form(request).await?;
    let wanted = |name: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty());
        value.ok_or_else(|| invalid_request(&format!("`{name}` is missing")))
    };
    if wanted("grant_type", form.grant_type)? != GRANT {
        return Err(refusal(
            "unsupported_grant_type",
            Code::InvalidInput,
            "that grant is not served here",
            "use client_credentials with a JWT-SVID",
        ));
    }
    if wanted("client_assertion_type", form.client_assertion_type)? != ASSERTION_TYPE {
        return Err(refusal(
            "invalid_client",
            Code::TokenClass,
            "that kind of client assertion is not accepted",
            ASSERTION_TYPE,
        ));
    }
    let jkt = proven(app, &headers)?;
    let ask = TokenAsk {
        assertion: wanted("client_assertion", form.client_assertion)?,
        task: task_of(&wanted(
            "authorization_details",
            form.authorization_details,
        )?)?,
        resource: wanted("resource", form.resource)?,
        jkt,
    };
    let issued = app.authority.issue_task_token(ask).await?;
    let details = serde_json::to_value(&issued.details).map_err(|error| {
        let message = format!("the answer cannot be written: {error}");
        refusal("server_error", Code::Internal, &message, "")
    })?;
    let answer = TokenAnswer {
        access_token: issued.token.expose().clone(),
        token_type: "DPoP",
        expires_in: issued.expires_in,
        scope: issued.scope,
        authorization_details: vec![details],
    };
    Ok(Json(answer).into_response())
}

/// The form of a token request, if it is one of at most the usual size.
async fn form(request: Request) -> Result<(HeaderMap, TokenForm), TokenRefusal> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let is_form = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return Err(invalid_request("the body is not a form"));
    }
    let bytes = read(Request::from_parts(parts.clone(), body), MAX_BODY)
        .await
        .map_err(|refused| invalid_request(&refused.0.message))?;
    let whole = Request::from_parts(parts, Body::from(bytes));
    match Form::<TokenForm>::from_request(whole, &()).await {
        Ok(Form(form)) => Ok((headers, form)),
        Err(rejection) => Err(invalid_request(&rejection.body_text())),
    }
}

/// The key that the client proved to hold. Freshness is the nonce: a proof is good once, within a minute, at this node.
fn proven(app: &App, headers: &HeaderMap) -> Result<Thumbprint, TokenRefusal> {
    let mut proofs = headers.get_all(DPOP).iter();
    let proof = proofs.next().and_then(|proof| proof.to_str().ok());
    let (Some(proof), None) = (proof, proofs.next()) else {
        return Err(refusal(
            "invalid_dpop_proof",
            Code::DpopProof,
            "one DPoP header is needed",
            "RFC 9449 §4: a proof for POST and the URL of this endpoint",
        ));
    };
    let url = format!("{}/oauth/token", app.console_url);
    let request = Proven {
        method: "POST",
        url: &url,
        access_token: None,
    };
    let proof = Proof::verify(proof, &request, app.clock.wall()).map_err(|error| dpop(&error))?;
    app.dpop
        .admit(&proof, &*app.clock)
        .map_err(|error| dpop(&error))?;
    Ok(proof.jkt().clone())
}

fn dpop(error: &DpopError) -> TokenRefusal {
    let problem = error.problem();
    let error = match problem.code {
        Code::DpopNonce => "use_dpop_nonce",
        Code::Overloaded => "temporarily_unavailable",
        _ => "invalid_dpop_proof",
    };
    TokenRefusal { error, problem }
}

fn task_of(details: &str) -> Result<TaskId, TokenRefusal> {
    let help = "[{\"type\":\"agent_task\",\"task_id\":\"task_…\"}]";
    let unusable = |why: String| {
        refusal(
            "invalid_authorization_details",
            Code::InvalidInput,
            &why,
            help,
        )
    };
    let text = check(details.as_bytes(), &DETAILS).map_err(|error| unusable(error.to_string()))?;
    let parsed: Vec<Details> =
        serde_json::from_str(text.as_str()).map_err(|error| unusable(error.to_string()))?;
    match parsed.as_slice() {
        [one] if one.kind == DETAILS_TYPE => Ok(one.task_id),
        _ => Err(unusable("exactly one agent_task is needed".to_owned())),
    }
}

fn invalid_request(message: &str) -> TokenRefusal {
    let help = "GET /.well-known/oauth-authorization-server describes this endpoint";
    refusal("invalid_request", Code::InvalidInput, message, help)
}

fn refusal(error: &'static str, code: Code, message: &str, help: &str) -> TokenRefusal {
    let problem = Problem::new(code, message, help);
    TokenRefusal { error, problem }
}

/// RFC 6749 §5.2, with our code and help.
fn refused(refusal: &TokenRefusal) -> Response {
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
