//! What a client posts: a form in which no parameter that we read stands twice (RFC 6749 §3.2). Unknown ones are ignored, as it says.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bailiwick_core::Code;
use bailiwick_identity::exchange::TokenRefusal;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http::MAX_BODY;
use crate::http::input::read;

use super::client::Authentication;

/// A token request.
#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct TokenForm {
    /// `client_credentials`, `urn:ietf:params:oauth:grant-type:token-exchange`, `authorization_code` or `refresh_token`.
    pub(super) grant_type: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`, or `…:jwt-bearer` of a client with keys.
    client_assertion_type: Option<String>,
    /// For this issuer alone: a JWT-SVID, or what the client signed with its own key.
    client_assertion: Option<String>,
    /// The client's SPIFFE ID, if it is sent: that of the assertion. With a code or refresh token: the client's id.
    client_id: Option<String>,
    /// What the user's consent came to.
    pub(super) code: Option<String>,
    /// With a code: the redirect URI of its request.
    pub(super) redirect_uri: Option<String>,
    /// With a code: the verifier of its challenge.
    pub(super) code_verifier: Option<String>,
    /// What came with the token before.
    pub(super) refresh_token: Option<String>,
    /// `[{"type": "agent_task", "task_id": "task_…"}]`; also `scope`, `may_act`, and for a delegated task `request`, `workflow`.
    pub(super) authorization_details: Option<String>,
    /// Words `server:effect`: what of the task's scope the token is to carry.
    pub(super) scope: Option<String>,
    /// `<gateway>/mcp/<server>`.
    pub(super) resource: Option<String>,
    /// Token exchange: as `resource`.
    pub(super) audience: Option<String>,
    /// Token exchange: a task token of this issuer, or a person's token of an outside issuer.
    pub(super) subject_token: Option<String>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:access_token` or `…:jwt`; of a person's also `…:id_token`.
    pub(super) subject_token_type: Option<String>,
    /// Token exchange: the client's own JWT-SVID, if it is sent.
    pub(super) actor_token: Option<String>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:jwt`, with `actor_token`.
    pub(super) actor_token_type: Option<String>,
    /// Token exchange: `urn:ietf:params:oauth:token-type:access_token` or `…:jwt`.
    pub(super) requested_token_type: Option<String>,
}

impl TokenForm {
    pub(super) fn authentication(&self) -> Authentication<'_> {
        Authentication {
            kind: self.client_assertion_type.as_deref(),
            assertion: self.client_assertion.as_deref(),
            id: self.client_id.as_deref(),
        }
    }
}

/// A token to be looked at or taken back (RFC 7662 §2.1, RFC 7009 §2.1).
#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct OneToken {
    /// The token.
    pub(super) token: Option<String>,
    /// Accepted and not needed: there is one kind of token.
    #[expect(dead_code, reason = "named so that it is not given twice")]
    token_type_hint: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe`, or `…:jwt-bearer` of a client with keys.
    client_assertion_type: Option<String>,
    /// For this issuer alone: a JWT-SVID, or what the client signed with its own key.
    client_assertion: Option<String>,
    /// The client, if it is sent: a SPIFFE ID, or the id of a client that users let in.
    client_id: Option<String>,
}

impl OneToken {
    pub(super) fn authentication(&self) -> Authentication<'_> {
        Authentication {
            kind: self.client_assertion_type.as_deref(),
            assertion: self.client_assertion.as_deref(),
            id: self.client_id.as_deref(),
        }
    }
}

/// Reads a form.
pub(super) struct Form<T>(std::marker::PhantomData<T>);

impl<T: DeserializeOwned> Form<T> {
    /// The head of a request and its form, if it is one of at most the usual size.
    pub(super) async fn read(request: Request) -> Result<(Parts, T), TokenRefusal> {
        let (parts, body) = request.into_parts();
        let head = parts.clone();
        let is_form = head
            .headers
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
        match axum::Form::<T>::from_request(whole, &()).await {
            Ok(axum::Form(form)) => Ok((head, form)),
            Err(rejection) => Err(invalid_request(&rejection.body_text())),
        }
    }
}

/// A parameter that has to be there. An empty one counts as left out (RFC 6749 §3.2).
pub(super) fn wanted<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, TokenRefusal> {
    given(value).ok_or_else(|| invalid_request(&format!("`{name}` is missing")))
}

/// A parameter that says something.
pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

pub(super) fn invalid_request(message: &str) -> TokenRefusal {
    let help = "GET /.well-known/oauth-authorization-server describes this endpoint";
    TokenRefusal::new("invalid_request", Code::InvalidInput, message, help)
}
