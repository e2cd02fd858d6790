//! Who shows a task token and proves to hold its key (RFC 9449), at our own endpoints for agents; and how it is told what is missing.

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use bailiwick_core::{Code, Problem};
use bailiwick_crypto::dpop::ALGORITHMS;
use bailiwick_crypto::jwk::Thumbprint;
use bailiwick_enforce::mcp::presented;
use bailiwick_identity::exchange::SubjectToken;

use crate::app::App;
use crate::http::Refused;
use crate::http::dpop::{NONCE, proven};

/// The task token that a request shows, if the proof was made for this request with its key. Whether it still stands is asked in the
/// transaction that grants.
pub(super) fn holder(
    app: &App,
    headers: &HeaderMap,
    method: &Method,
    url: &str,
) -> Result<SubjectToken, Problem> {
    let token = presented::token(headers)?;
    let subject = app
        .authority
        .subject(token)
        .map_err(|refusal| refusal.problem)?;
    let key = proven(app, headers, method, url, Some(token))?;
    if Some(&key) != subject.key() {
        let bound = subject.key().map_or("no key", Thumbprint::as_str);
        return Err(Problem::new(
            Code::KeyMismatch,
            "the proof was made with another key than the token is bound to",
            format!("the token is bound to {bound}"),
        ));
    }
    Ok(subject)
}

/// An answer to a holder, or the challenge to whoever is none; either way with the nonce for the next proof.
pub(super) fn answered(app: &App, done: Result<Result<Response, Refused>, Problem>) -> Response {
    let mut response = match done {
        Ok(Ok(response)) => response,
        Ok(Err(refused)) => refused.into_response(),
        Err(problem) => challenge(problem),
    };
    if let Ok(nonce) = HeaderValue::from_str(&app.dpop.nonce(&*app.clock)) {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}

/// RFC 9449 §7.1, §9: what is missing, and by which algorithms it can be made.
fn challenge(problem: Problem) -> Response {
    let error = match problem.code {
        Code::NotSignedIn => "",
        Code::DpopNonce => r#"error="use_dpop_nonce", "#,
        Code::DpopProof => r#"error="invalid_dpop_proof", "#,
        _ => r#"error="invalid_token", "#,
    };
    let algorithms: Vec<&str> = ALGORITHMS.iter().map(|alg| alg.as_str()).collect();
    let value = format!(r#"DPoP {error}algs="{}""#, algorithms.join(" "));
    let mut response = Refused(problem).into_response();
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}
