//! Client authentication (RFC 7521 §4.2): agents by a JWT-SVID for this issuer alone (draft-ietf-oauth-spiffe-client-auth §4.1), or by the
//! X.509-SVID of their connection (RFC 8705 §2.1); clients that a user let in by an assertion of their own key (OpenID Connect Core §9), or
//! by name if they are registered without keys. There are no secrets.

use bailiwick_core::client::ClientId;
use bailiwick_core::{Code, Timestamp};
use bailiwick_crypto::tls::peer::ClientCertificate;
use bailiwick_identity::exchange::{Client, TokenRefusal};

use super::form::{given, invalid_request, wanted};
use crate::app::App;

/// How agents prove themselves: with a JWT-SVID.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// How clients with keys prove themselves (RFC 7523 §2.2).
pub const OWN_KEY_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a request says of its client.
pub(super) struct Authentication<'a> {
    pub(super) kind: Option<&'a str>,
    pub(super) assertion: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

/// Who a request comes from.
pub(super) enum Party {
    /// An instance of an agent.
    Instance(Client),
    /// A client that users let in.
    LetIn(ClientId),
}

/// The instance that a request proves to come from, by an assertion or by the certificate of its connection; and when that certificate
/// ends.
pub(super) async fn client(
    app: &App,
    shown: &Authentication<'_>,
    certificate: Option<&ClientCertificate>,
) -> Result<(Client, Option<Timestamp>), TokenRefusal> {
    let (client, ends) = match certificate {
        Some(certificate) => by_certificate(app, shown, certificate).await?,
        None => (by_assertion(app, shown).await?, None),
    };
    shown.names(client.id.as_str())?;
    Ok((client, ends))
}

async fn by_certificate(
    app: &App,
    shown: &Authentication<'_>,
    certificate: &ClientCertificate,
) -> Result<(Client, Option<Timestamp>), TokenRefusal> {
    if given(shown.kind).is_some() || given(shown.assertion).is_some() {
        // RFC 6749 §2.3.
        let message = "a client proves itself in one way: by its certificate here";
        return Err(invalid_request(message));
    }
    // RFC 8705 §2: it says who it is besides.
    wanted("client_id", shown.id)?;
    let (client, ends) = app.authority.client_by_svid(certificate).await?;
    Ok((client, Some(ends)))
}

async fn by_assertion(app: &App, shown: &Authentication<'_>) -> Result<Client, TokenRefusal> {
    if wanted("client_assertion_type", shown.kind)? != ASSERTION_TYPE {
        return Err(other_kind(ASSERTION_TYPE));
    }
    let assertion = wanted("client_assertion", shown.assertion)?;
    app.authority.client(assertion).await
}

/// The client with keys that a request proves to come from.
pub(super) async fn keyed_client(
    app: &App,
    shown: &Authentication<'_>,
) -> Result<ClientId, TokenRefusal> {
    if wanted("client_assertion_type", shown.kind)? != OWN_KEY_TYPE {
        return Err(other_kind(OWN_KEY_TYPE));
    }
    let assertion = wanted("client_assertion", shown.assertion)?;
    let client = app.authority.registered_client(assertion).await?;
    shown.names(client.as_str())?;
    Ok(client)
}

/// The client that users let in: by its key if it is registered with any, else by its name, and the verifier of a code or the key that a
/// token is bound to say that it is the one.
pub(super) async fn let_in(
    app: &App,
    shown: &Authentication<'_>,
) -> Result<ClientId, TokenRefusal> {
    if given(shown.kind).is_some() || given(shown.assertion).is_some() {
        return keyed_client(app, shown).await;
    }
    let id: ClientId = wanted("client_id", shown.id)?.parse().map_err(|_| {
        TokenRefusal::new(
            "invalid_client",
            Code::InvalidInput,
            "that `client_id` is none",
            "an operator registers clients: `bailiwick client add`",
        )
    })?;
    let known = app.control.asking_client(id.clone()).await;
    let known = known.map_err(|problem| TokenRefusal::of("server_error", problem))?;
    if known.is_some_and(|client| client.jwks.is_some()) {
        return Err(TokenRefusal::new(
            "invalid_client",
            Code::NotSignedIn,
            "that client proves itself with its key (private_key_jwt)",
            OWN_KEY_TYPE,
        ));
    }
    Ok(id)
}

/// Whoever a request comes from.
pub(super) async fn party(
    app: &App,
    shown: &Authentication<'_>,
    certificate: Option<&ClientCertificate>,
) -> Result<Party, TokenRefusal> {
    let named = given(shown.assertion).is_none() && given(shown.id).is_some();
    if certificate.is_some() {
        let (client, _) = client(app, shown, certificate).await?;
        Ok(Party::Instance(client))
    } else if named || given(shown.kind) == Some(OWN_KEY_TYPE) {
        let_in(app, shown).await.map(Party::LetIn)
    } else {
        let (client, _) = client(app, shown, None).await?;
        Ok(Party::Instance(client))
    }
}

impl Authentication<'_> {
    /// RFC 7521 §4.2: a `client_id` beside an assertion names the same client.
    fn names(&self, client: &str) -> Result<(), TokenRefusal> {
        if given(self.id).is_none_or(|id| id == client) {
            return Ok(());
        }
        Err(TokenRefusal::new(
            "invalid_client",
            Code::TokenInvalid,
            "`client_id` is another client than the one that proved itself",
            "send the SVID's SPIFFE ID, or the assertion's `sub`",
        ))
    }
}

fn other_kind(wanted: &str) -> TokenRefusal {
    TokenRefusal::new(
        "invalid_client",
        Code::TokenClass,
        "that kind of client assertion is not accepted here",
        wanted,
    )
}
