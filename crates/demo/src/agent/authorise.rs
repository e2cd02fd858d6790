//! Where the agent's credentials come from. The demo's own implementation asks the Workload API and the token endpoint and makes
//! a DPoP proof (RFC 9449) per request; tests use fixed headers.

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method};

/// Any error, for authorisers of all kinds.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Headers of one request.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// Gives every HTTP request of the agent its credentials.
pub trait Authorise: Send + Sync {
    /// The headers of one request, asked for anew each time: `Authorization: DPoP …` and a fresh `DPoP` proof, say.
    fn headers<'a>(
        &'a self,
        method: &'a Method,
        url: &'a str,
    ) -> BoxFuture<'a, Result<Headers, BoxError>>;

    /// The server gave a nonce for the next proofs (`DPoP-Nonce`, RFC 9449 §8 and §9).
    fn learn_nonce(&self, nonce: &str);
}
