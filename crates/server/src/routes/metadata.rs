//! What clients and other trust domains need to know: RFC 8414 metadata, keys, the trust bundle.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bailiwick_core::Fault;
use bailiwick_crypto::dpop::ALGORITHMS;
use bailiwick_crypto::pkce;
use bailiwick_crypto::token::Class;
use bailiwick_crypto::token::private_key_jwt::PrivateKeyJwt;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::oauth::{ASSERTION_TYPE, CLIENT_GRANTS, DETAILS_TYPE, GRANTS, OWN_KEY_TYPE};
use crate::app::App;
use crate::http::Refused;

/// How clients prove themselves (draft-ietf-oauth-spiffe-client-auth §5), and by which assertion.
const METHODS: [&str; 1] = ["spiffe_jwt"];
/// How they prove themselves by an X.509-SVID (RFC 8705 §2.1.1).
const BY_SVID: &str = "tls_client_auth";
/// Keys and bundles change at most every few days, and are prepared ahead.
const MAX_AGE: &str = "public, max-age=300";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(authorization_server))
        .routes(routes!(openid_configuration))
        .routes(routes!(jwks))
        .routes(routes!(receipt_jwks))
        .routes(routes!(svid_configuration))
        .routes(routes!(svid_jwks))
        .routes(routes!(bundle))
}

/// RFC 8414 metadata.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "oauth.metadata", tag = "oauth",
    responses((status = 200, description = "RFC 8414", body = Object)))]
async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    public(server_metadata(&app))
}

/// The same document, where OpenID clients look for it.
#[utoipa::path(get, path = "/.well-known/openid-configuration", operation_id = "oauth.openid", tag = "oauth",
    responses((status = 200, description = "RFC 8414", body = Object)))]
async fn openid_configuration(State(app): State<Arc<App>>) -> Response {
    public(server_metadata(&app))
}

fn server_metadata(app: &App) -> Value {
    let issuer = app.authority.issuer();
    let url = &app.console_url;
    let algorithms: Vec<&str> = ALGORITHMS.iter().map(|alg| alg.as_str()).collect();
    let mut metadata = json!({
        "issuer": issuer,
        "token_endpoint": format!("{url}/oauth/token"),
        "jwks_uri": format!("{url}/oauth/jwks"),
        "response_types_supported": [],
        "grant_types_supported": GRANTS,
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ["ES256"],
        "introspection_endpoint": format!("{url}/oauth/introspect"),
        "introspection_endpoint_auth_methods_supported": METHODS,
        "revocation_endpoint": format!("{url}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": METHODS,
        "client_assertion_types_supported": [ASSERTION_TYPE],
        "authorization_details_types_supported": [DETAILS_TYPE],
        "dpop_signing_alg_values_supported": algorithms,
    });
    if let (Some(by_svid), Some(members)) = (&app.mtls_url, metadata.as_object_mut()) {
        members.extend(for_svids(by_svid));
    }
    // Clients of users are let in where users can sign in.
    if app.sign_ins.is_some()
        && let Some(members) = metadata.as_object_mut()
    {
        members.extend(for_clients(url, app.mtls_url.is_some()));
        let published = json!(app.published_clients.any());
        members.insert(
            "client_id_metadata_document_supported".to_owned(),
            published,
        );
    }
    metadata
}

/// What agents that show their X.509-SVID need to know (RFC 8705 §3.3, §5).
fn for_svids(url: &str) -> Map<String, Value> {
    let methods: Vec<&str> = METHODS.into_iter().chain([BY_SVID]).collect();
    let aliases = json!({
        "token_endpoint": format!("{url}/oauth/token"),
        "introspection_endpoint": format!("{url}/oauth/introspect"),
        "revocation_endpoint": format!("{url}/oauth/revoke"),
    });
    [
        ("mtls_endpoint_aliases", aliases),
        ("tls_client_certificate_bound_access_tokens", json!(true)),
        ("token_endpoint_auth_methods_supported", json!(methods)),
        (
            "introspection_endpoint_auth_methods_supported",
            json!(methods),
        ),
        ("revocation_endpoint_auth_methods_supported", json!(methods)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// What clients that are not agents need to know (RFC 8414 §2, RFC 7636 §6.2, RFC 9207 §3).
fn for_clients(url: &str, by_svid: bool) -> Map<String, Value> {
    let grants: Vec<&str> = GRANTS.into_iter().chain(CLIENT_GRANTS).collect();
    let by_svid = by_svid.then_some(BY_SVID);
    let proven = || {
        METHODS
            .into_iter()
            .chain(by_svid)
            .chain(["private_key_jwt"])
    };
    let methods: Vec<&str> = proven().chain(["none"]).collect();
    let algorithms = PrivateKeyJwt::RULES.algorithms.iter();
    let algorithms: Vec<&str> = algorithms.map(|alg| alg.as_str()).collect();
    [
        (
            "authorization_endpoint",
            json!(format!("{url}/oauth/authorize")),
        ),
        ("response_types_supported", json!(["code"])),
        ("response_modes_supported", json!(["query"])),
        ("grant_types_supported", json!(grants)),
        ("code_challenge_methods_supported", json!([pkce::METHOD])),
        (
            "authorization_response_iss_parameter_supported",
            json!(true),
        ),
        ("token_endpoint_auth_methods_supported", json!(methods)),
        (
            "token_endpoint_auth_signing_alg_values_supported",
            json!(algorithms),
        ),
        (
            "client_assertion_types_supported",
            json!([ASSERTION_TYPE, OWN_KEY_TYPE]),
        ),
        (
            "introspection_endpoint_auth_methods_supported",
            json!(proven().collect::<Vec<_>>()),
        ),
        ("revocation_endpoint_auth_methods_supported", json!(methods)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// Keys that task tokens verify with.
#[utoipa::path(get, path = "/oauth/jwks", operation_id = "oauth.jwks", tag = "oauth",
    responses((status = 200, description = "JWKS", body = Object)))]
async fn jwks(State(app): State<Arc<App>>) -> Response {
    public(app.authority.keyring().task_keys().to_jwks())
}

/// Keys that receipts of revocations verify with; those that sign no more stay.
#[utoipa::path(get, path = "/oauth/receipt-jwks", operation_id = "oauth.receipt_jwks", tag = "oauth",
    responses((status = 200, description = "JWKS", body = Object)))]
async fn receipt_jwks(State(app): State<Arc<App>>) -> Response {
    public(app.authority.keyring().receipt_keys().to_jwks())
}

/// Discovery of the issuer of JWT-SVIDs.
#[utoipa::path(get, path = "/svid/.well-known/openid-configuration", operation_id = "svid.openid", tag = "spiffe",
    responses((status = 200, description = "OpenID discovery", body = Object)))]
async fn svid_configuration(State(app): State<Arc<App>>) -> Response {
    public(json!({
        "issuer": app.authority.svid_issuer(),
        "jwks_uri": format!("{}/svid/jwks", app.console_url),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

/// Keys that JWT-SVIDs verify with.
#[utoipa::path(get, path = "/svid/jwks", operation_id = "svid.jwks", tag = "spiffe",
    responses((status = 200, description = "JWKS", body = Object)))]
async fn svid_jwks(State(app): State<Arc<App>>) -> Response {
    public(app.authority.keyring().svid_keys().to_jwks())
}

/// The trust domain's own bundle (SPIFFE Trust Domain and Bundle §4).
#[utoipa::path(get, path = "/spiffe/bundle", operation_id = "spiffe.bundle", tag = "spiffe",
    responses((status = 200, description = "SPIFFE bundle", body = Object)))]
async fn bundle(State(app): State<Arc<App>>) -> Result<Response, Refused> {
    let bundle = app.authority.keyring().bundle().to_json();
    Ok(public(bundle.map_err(|error| Refused(error.problem()))?))
}

fn public(document: impl Into<Value>) -> Response {
    let headers = [(CACHE_CONTROL, MAX_AGE), (CONTENT_TYPE, "application/json")];
    (headers, Json(document.into())).into_response()
}
