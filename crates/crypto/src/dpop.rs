//! DPoP proofs (RFC 9449): made by our clients, verified at the token endpoint and at enforcement points.
//!
//! A proof shows that the caller holds a key. That it was made just now is shown by the node's nonce ([`Guard`]), never by `iat`.

mod nonce;

use std::time::Duration;

use bailiwick_core::{Clock, Code, Fault, Rng, Timestamp};
use serde_json::{Map, Value};

use crate::base64url;
use crate::hash::sha256;
use crate::jose::{self, JoseError, KeySource, Rules, Typ, Unverified};
use crate::jwk::{Algorithm, JwkError, Thumbprint};
use crate::keys::{SigningKey, VerifyingKey};
use crate::replay::{Replay, ReplayStore};
use crate::system::random;
use nonce::BUCKET;

pub use nonce::Nonces;

/// How far `iat` may be from our clock, either way. Sanity only.
pub const MAX_SKEW: Duration = Duration::from_mins(5);
/// Longest `jti` read, in bytes.
pub const MAX_JTI: usize = 256;

/// The request that a proof must have been made for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The URL without query and fragment: the configured public one, never made from the Host header.
    pub url: &'a str,
    /// The access token that comes with it; none at the token endpoint.
    pub access_token: Option<&'a str>,
}

/// A proof whose signature and request were verified. Whether it is fresh and new is [`Guard::admit`]'s question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    jkt: Thumbprint,
    jti: String,
    nonce: Option<String>,
}

impl Proof {
    /// Verifies a proof for `request`.
    pub fn verify(proof: &str, request: &Request<'_>, now: Timestamp) -> Result<Self, DpopError> {
        let unverified = Unverified::parse(proof, &RULES)?;
        let jwk = unverified
            .header()
            .jwk
            .clone()
            .ok_or(DpopError::Member("jwk"))?;
        let jkt = jwk.thumbprint();
        let key = VerifyingKey::new(jwk)?;
        let members = jose::claims(&unverified.verify(&key)?)?;
        if required(&members, "htm")? != request.method {
            return Err(DpopError::OtherRequest("htm"));
        }
        if required(&members, "htu")? != request.url {
            return Err(DpopError::OtherRequest("htu"));
        }
        match request.access_token {
            Some(token) if required(&members, "ath")? != token_hash(token) => {
                return Err(DpopError::OtherRequest("ath"));
            }
            _ => {}
        }
        let jti = required(&members, "jti")?;
        if jti.is_empty() || jti.len() > MAX_JTI {
            return Err(DpopError::Member("jti"));
        }
        let issued = members
            .get("iat")
            .and_then(Value::as_i64)
            .ok_or(DpopError::Member("iat"))?;
        let issued = Timestamp::from_secs(issued);
        if issued > now.plus(MAX_SKEW) || issued < now.minus(MAX_SKEW) {
            return Err(DpopError::Skew);
        }
        let nonce = match members.get("nonce") {
            None => None,
            Some(Value::String(nonce)) => Some(nonce.clone()),
            Some(_) => return Err(DpopError::Member("nonce")),
        };
        Ok(Self {
            jkt,
            jti: jti.to_owned(),
            nonce,
        })
    }

    /// Thumbprint of the key that made the proof; equal to `cnf.jkt` of a token bound to it.
    pub fn jkt(&self) -> &Thumbprint {
        &self.jkt
    }

    /// The proof's own id.
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// The nonce that the client was given.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
}

/// What one node knows of freshness: its nonces and the proofs it has seen. Every nonce is only good at the node that made it, so the node's
/// memory of the last minute is complete, and a proof is accepted once in the whole deployment.
#[derive(Debug)]
pub struct Guard {
    nonces: Nonces,
    seen: ReplayStore,
}

impl Guard {
    /// A guard with a fresh nonce key and nothing seen.
    pub fn new(rng: &dyn Rng) -> Self {
        Self {
            nonces: Nonces::new(rng),
            seen: ReplayStore::new(MAX_PROOFS, REMEMBERED),
        }
    }

    /// The nonce to send as `DPoP-Nonce` with every answer.
    pub fn nonce(&self, clock: &dyn Clock) -> String {
        self.nonces.current(clock.monotonic())
    }

    /// Lets a verified proof pass if its nonce is this node's and at most a minute old, and it was not seen before.
    pub fn admit(&self, proof: &Proof, clock: &dyn Clock) -> Result<(), DpopError> {
        let now = clock.monotonic();
        match proof.nonce() {
            Some(nonce) if self.nonces.is_fresh(nonce, now) => {
                let jkt = proof.jkt().as_str();
                Ok(self.seen.admit(jkt, proof.jti(), now)?)
            }
            _ => Err(DpopError::Nonce),
        }
    }
}

/// Makes a proof for `request` with `key`, under the nonce that the server sent last.
pub fn prove(
    key: &SigningKey,
    request: &Request<'_>,
    nonce: Option<&str>,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<String, DpopError> {
    // The required members alone: a `kid` or `alg` in the `jwk` would tell the server nothing.
    let mut jwk = key.jwk().clone();
    (jwk.kid, jwk.algorithm, jwk.usage) = (None, None, None);
    let header = Map::from_iter([
        ("typ".to_owned(), Value::from(TYP)),
        ("alg".to_owned(), Value::from(Algorithm::Es256.as_str())),
        ("jwk".to_owned(), Value::Object(jwk.to_json())),
    ]);
    let mut claims = Map::from_iter([
        (
            "jti".to_owned(),
            Value::from(base64url::encode(&random::<16>(rng))),
        ),
        ("htm".to_owned(), Value::from(request.method)),
        ("htu".to_owned(), Value::from(request.url)),
        ("iat".to_owned(), Value::from(clock.wall().as_secs())),
    ]);
    if let Some(token) = request.access_token {
        claims.insert("ath".to_owned(), Value::from(token_hash(token)));
    }
    if let Some(nonce) = nonce {
        claims.insert("nonce".to_owned(), Value::from(nonce));
    }
    Ok(jose::sign_with_header(key, &header, &claims)?)
}

/// `ath`: base64url of SHA-256 of the access token (RFC 9449 §4.2).
pub fn token_hash(token: &str) -> String {
    base64url::encode(&sha256(&[token.as_bytes()]).0)
}

/// Why a proof was not made or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum DpopError {
    /// It is not a DPoP proof, or its signature does not fit.
    #[error("the DPoP proof was refused")]
    Jose(#[from] JoseError),
    /// Its `jwk` is not a public key.
    #[error("the key of the DPoP proof cannot be used")]
    Jwk(#[from] JwkError),
    /// A claim is missing or not of its form.
    #[error("the DPoP proof has no usable `{0}`")]
    Member(&'static str),
    /// It was made for another request.
    #[error("the DPoP proof was made for another request: its `{0}` differs")]
    OtherRequest(&'static str),
    /// Its `iat` is more than [`MAX_SKEW`] away.
    #[error("the DPoP proof's `iat` is more than 5 minutes from this node's clock")]
    Skew,
    /// It has no nonce, or one that is not this node's or too old.
    #[error("the DPoP proof has no fresh nonce of this node")]
    Nonce,
    /// It was used before.
    #[error("the DPoP proof was used before")]
    Replayed,
    /// The memory of proofs is full.
    #[error("this node has seen {MAX_PROOFS} proofs within a minute and takes no more")]
    Full,
}

impl From<Replay> for DpopError {
    fn from(replay: Replay) -> Self {
        match replay {
            Replay::Known => Self::Replayed,
            Replay::Full => Self::Full,
        }
    }
}

impl Fault for DpopError {
    fn code(&self) -> Code {
        match self {
            Self::Nonce => Code::DpopNonce,
            Self::Full => Code::Overloaded,
            _ => Code::DpopProof,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Nonce => {
                "Make a new proof with the nonce in this answer's `DPoP-Nonce` header.".into()
            }
            Self::Full => "Try again in a few seconds.".into(),
            Self::OtherRequest("htu") => {
                "`htu` is the public URL without query and fragment, byte for byte.".into()
            }
            Self::OtherRequest("ath") => {
                "`ath` is base64url(SHA-256) of the token in this request.".into()
            }
            Self::Skew => "Set the client's clock.".into(),
            _ => "Make a new proof for every request (RFC 9449 §4.2).".into(),
        }
    }
}

/// Most proofs remembered. Beyond it a node answers 503.
const MAX_PROOFS: usize = 2_000_000;

/// A nonce lives for two buckets at most, so a proof seen now is refused by its nonce after this long.
const REMEMBERED: Duration = BUCKET.saturating_mul(2);

const TYP: &str = "dpop+jwt";

const RULES: Rules = Rules {
    class: "DPoP proof",
    typ: Typ::Exactly(TYP),
    algorithms: &[
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
        Algorithm::Ps256,
        Algorithm::Rs256,
    ],
    key: KeySource::Header,
};

/// The algorithms for `dpop_signing_alg_values_supported`.
pub const ALGORITHMS: &[Algorithm] = RULES.algorithms;

fn required<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, DpopError> {
    members
        .get(name)
        .and_then(Value::as_str)
        .ok_or(DpopError::Member(name))
}

#[cfg(test)]
mod tests;
