//! What a request presents: one token under the DPoP scheme, and one proof (RFC 9449 §4.1, §7.1).

use bailiwick_core::{Code, Problem};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};

/// The header of a proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// A task token, and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    /// With a proof of its key beside it.
    Dpop(&'a str),
    /// By itself (RFC 6750 §2.1).
    Bearer(&'a str),
}

/// The task token of a request.
pub fn shown(headers: &HeaderMap) -> Result<Shown<'_>, Problem> {
    let value = one(headers, &AUTHORIZATION)?
        .ok_or_else(|| Problem::new(Code::NotSignedIn, "the request has no token", HELP))?;
    match value.split_once(' ').unwrap_or((value, "")) {
        (scheme, token) if scheme.eq_ignore_ascii_case("bearer") => Ok(Shown::Bearer(token)),
        (scheme, token) if scheme.eq_ignore_ascii_case("dpop") && !token.is_empty() => {
            Ok(Shown::Dpop(token))
        }
        _ => Err(Problem::new(
            Code::NotSignedIn,
            "the request's Authorization scheme is not DPoP",
            HELP,
        )),
    }
}

/// The task token of a request, where it has to be bound to a key. As a bearer token it is refused.
pub fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    match shown(headers)? {
        Shown::Dpop(token) => Ok(token),
        Shown::Bearer(_) => Err(bound()),
    }
}

/// The refusal of a bound token that is shown without its key.
pub(super) fn bound() -> Problem {
    Problem::new(
        Code::TokenUnbound,
        "task tokens are bound to a key and never used as bearer tokens",
        HELP,
    )
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

const HELP: &str = "ask the token endpoint for a task token and send it as `Authorization: DPoP …`";

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
