//! Proofs of possession at our own endpoints (RFC 9449): one proof for this request, fresh by the node's nonce, and used once.

use axum::http::{HeaderMap, HeaderName, Method};
use bailiwick_core::{Fault, Problem};
use bailiwick_crypto::dpop::{Proof, Request};
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_enforce::mcp::presented;

use crate::app::App;

/// The header that carries the nonce for the next proof.
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The key that the client proved to hold, for a request to `url`: the configured public one, without query.
pub fn proven(
    app: &App,
    headers: &HeaderMap,
    method: &Method,
    url: &str,
    access_token: Option<&str>,
) -> Result<Thumbprint, Problem> {
    let request = Request {
        method: method.as_str(),
        url,
        access_token,
    };
    let proof = Proof::verify(presented::proof(headers)?, &request, app.clock.wall())
        .map_err(|error| error.problem())?;
    app.dpop
        .admit(&proof, &*app.clock)
        .map_err(|error| error.problem())?;
    Ok(proof.jkt().clone())
}
