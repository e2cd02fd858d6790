//! Evidence that a key is held that a configured authority certified.

use std::time::Duration;

use bailiwick_core::instance::Attestor;
use bailiwick_core::selector::Selector;
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_crypto::csr::CertificateRequest;
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::pop::{Authorities, Challenges, message};
use serde::Deserialize;

use super::Proven;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Longest signature read, in characters of its base64.
const MAX_SIGNATURE: usize = 2_048;
/// A used challenge is remembered this long: well over its life, should the clock on the wall jump.
pub(super) const REMEMBERED: Duration = Duration::from_mins(10);

/// What the holder of a key shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The certificate and its intermediates in PEM, leaf first.
    pub chain: String,
    /// The challenge, as it was given.
    pub challenge: String,
    /// Signature of the certificate's key over [`message`], base64.
    pub signature: String,
}

/// Reads evidence: the signature over our challenge and the request, by the key of a certificate from one of these authorities.
/// `elapsed` is the time since boot.
pub fn read(
    authorities: &Authorities,
    challenges: &Challenges,
    shown: &Shown,
    request: &CertificateRequest,
    now: Timestamp,
    elapsed: Duration,
) -> Result<Proven, Problem> {
    fresh(challenges, &shown.challenge, elapsed)?;
    let signature = signature(&shown.signature)?;
    let message = message(&shown.challenge, request);
    let found = authorities
        .verify(&shown.chain, message.as_bytes(), &signature, now)
        .map_err(|error| error.problem())?;
    let mut selectors = vec![Selector::PopAuthority(found.authority)];
    selectors.extend(found.names.into_iter().map(Selector::PopName));
    Ok(Proven {
        attestor: Attestor::X509pop,
        subject: format!("certificate {}", found.certificate),
        run: None,
        selectors,
        may_match: |_| true,
        once: sha256(&[
            b"bailiwick/x509pop-evidence/v1\0",
            shown.challenge.as_bytes(),
        ]),
        until: now.plus(REMEMBERED),
    })
}

/// Refuses a challenge that is none of ours, or old.
pub(super) fn fresh(
    challenges: &Challenges,
    challenge: &str,
    elapsed: Duration,
) -> Result<(), Problem> {
    if challenges.is_fresh(challenge, elapsed) {
        return Ok(());
    }
    Err(Problem::new(
        Code::TokenInvalid,
        "the challenge is none of this node's, or more than a minute old",
        "ask for one: the same request with an empty object is answered with `challenge`",
    ))
}

/// Reads a signature in base64.
pub(super) fn signature(text: &str) -> Result<Vec<u8>, Problem> {
    let read = Some(text)
        .filter(|text| text.len() <= MAX_SIGNATURE)
        .and_then(|text| STANDARD.decode(text).ok());
    read.ok_or_else(|| {
        Problem::new(
            Code::InvalidInput,
            "the signature is not base64",
            "with padding and without newlines: openssl base64 -A",
        )
    })
}
