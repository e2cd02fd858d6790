//! What a request presents: one token under the DPoP scheme, and one proof (RFC 9449 §4.1, §7.1).

use bailiwick_core::{Code, Problem};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};

/// The header of a proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The task token of a request. A bound token is refused as a bearer token.
pub fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let help = "ask the token endpoint for a task token and send it as `Authorization: DPoP …`";
    let value = one(headers, &AUTHORIZATION)?
        .ok_or_else(|| Problem::new(Code::NotSignedIn, "the request has no token", help))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::new(
            Code::TokenUnbound,
            "task tokens are bound to a key and never used as bearer tokens",
            help,
        ));
    }
    if !scheme.eq_ignore_ascii_case("dpop") || token.is_empty() {
        return Err(Problem::new(
            Code::NotSignedIn,
            "the request's Authorization scheme is not DPoP",
            help,
        ));
    }
    Ok(token)
}

/// The one proof of a request.
pub fn proof(headers: &HeaderMap) -> Result<&str, Problem> {
    one(headers, &DPOP)?.ok_or_else(|| {
        Problem::new(
            Code::DpopProof,
            "the request has no DPoP proof",
            "send one DPoP header (RFC 9449 §4.1)",
        )
    })
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        let message = format!("the request has two {name} headers");
        return Err(Problem::new(Code::DpopProof, message, "send one"));
    }
    match first.map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(Problem::new(
            Code::TokenInvalid,
            format!("the {name} header is not visible ASCII"),
            "",
        )),
    }
}
