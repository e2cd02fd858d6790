//! Client authentication (RFC 7521 §4.2, draft-ietf-oauth-spiffe-client-auth §4.1): a JWT-SVID for this issuer alone. There are no secrets.

use bailiwick_core::Code;
use bailiwick_identity::exchange::{Client, TokenRefusal};

use super::form::{given, wanted};
use crate::app::App;

/// How clients prove themselves: with a JWT-SVID.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// What a request says of its client.
pub(super) struct Authentication<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) assertion: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

/// The client that a request proves to come from.
pub(super) async fn client(app: &App, shown: &Authentication<'_>) -> Result<Client, TokenRefusal> {
    if wanted("client_assertion_type", shown.kind)? != ASSERTION_TYPE {
        return Err(TokenRefusal::new(
            "invalid_client",
            Code::TokenClass,
            "that kind of client assertion is not accepted",
            ASSERTION_TYPE,
        ));
    }
    let assertion = wanted("client_assertion", shown.assertion)?;
    let client = app.authority.client(assertion).await?;
    // RFC 7521 §4.2: if it is there, it names the same client.
    if given(shown.id).is_some_and(|id| id != client.id.as_str()) {
        return Err(TokenRefusal::new(
            "invalid_client",
            Code::TokenInvalid,
            "`client_id` is another client than the assertion's",
            "leave it out, or send the SPIFFE ID",
        ));
    }
    Ok(client)
}
