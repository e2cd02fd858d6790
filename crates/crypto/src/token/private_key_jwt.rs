//! Assertions that a registered client makes with a key of its own (`private_key_jwt`: RFC 7523 §2.2, §3; OpenID Connect Core §9), for this
//! issuer alone, for 5 minutes at most, each good once.

use std::time::Duration;

use bailiwick_core::{Code, Fault};
use serde::Deserialize;
use serde_json::Value;

use super::jwt_svid::{Audiences, MAX_ASSERTION_SECS, check_life};
use super::{Class, ClientKeys, Expected, KeySet, KeySetError, MAX_AHEAD, TokenError};
use crate::jose::{KeySource, MAX_TOKEN, Rules, Typ, Unverified};
use crate::jwk::Algorithm;
use crate::keys::VerifyingKey;

/// Keys that a client can have at a time: one to sign with, one to change to, and some to spare.
pub const MAX_KEYS: usize = 8;
/// Longest `jti`, in bytes.
pub const MAX_JTI: usize = 256;
/// How long one can pass at most, counted from when it is seen first.
pub const LIFE: Duration =
    Duration::from_secs(MAX_ASSERTION_SECS.unsigned_abs()).saturating_add(MAX_AHEAD);

/// The class of such assertions.
#[derive(Debug, Clone, Copy)]
pub enum PrivateKeyJwt {}

impl Class for PrivateKeyJwt {
    type Keys = ClientKeys;
    type Claims = ClientClaims;

    const RULES: Rules = Rules {
        class: "client assertion (private_key_jwt)",
        typ: Typ::AbsentOr(&["JWT"]),
        algorithms: &[Algorithm::Es256, Algorithm::Rs256],
        // The SDKs of MCP name none.
        key: KeySource::KidOrOnly,
    };
    const MAX_BYTES: usize = MAX_TOKEN;

    fn is_for(claims: &ClientClaims, audience: &str) -> bool {
        // Alone: another server that the client talks to could use it here before the client does.
        claims.aud.is_alone(audience)
    }

    fn check(claims: &ClientClaims, expected: &Expected<'_>) -> Result<(), TokenError> {
        let class = Self::RULES.class;
        if claims.sub != expected.issuer {
            let (claim, why) = ("sub", "is another than `iss`");
            return Err(TokenError::Claim { class, claim, why });
        }
        if claims.jti.is_empty() || claims.jti.len() > MAX_JTI {
            let (claim, why) = ("jti", "is not a text of 1 to 256 bytes");
            return Err(TokenError::Claim { class, claim, why });
        }
        check_life(class, claims.iat, claims.exp)
    }
}

impl PrivateKeyJwt {
    /// Whose an assertion says that it is (RFC 7521 §4.2). Nothing is verified yet: this only says by whose keys it has to verify.
    pub fn claimed_by(assertion: &str) -> Result<String, TokenError> {
        let claims = Unverified::parse(assertion, &Self::RULES)?.claimed()?;
        let (claim, why) = ("sub", "names no client");
        let subject = claims.get("sub").and_then(Value::as_str);
        subject.map(str::to_owned).ok_or(TokenError::Claim {
            class: Self::RULES.class,
            claim,
            why,
        })
    }
}

impl KeySet<ClientKeys> {
    /// The keys of a client, from its JWKS document: 1 to [`MAX_KEYS`], each public, with a `kid`, for signatures that such assertions
    /// have.
    pub fn of_client(document: &[u8]) -> Result<Self, ClientKeysError> {
        let keys = Self::from_jwks(document)?;
        if keys.iter().len() == 0 || keys.iter().len() > MAX_KEYS {
            return Err(ClientKeysError::Number);
        }
        let algorithms = PrivateKeyJwt::RULES.algorithms;
        let fits = |key: &VerifyingKey| algorithms.iter().any(|algorithm| key.allows(*algorithm));
        if keys.iter().all(fits) {
            Ok(keys)
        } else {
            Err(ClientKeysError::Algorithm)
        }
    }
}

/// Why a document does not hold the keys of a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeysError {
    /// It is no key set.
    #[error("the keys cannot be used")]
    Set(#[from] KeySetError),
    /// None, or over [`MAX_KEYS`].
    #[error("a client has 1 to {MAX_KEYS} keys")]
    Number,
    /// A key of another algorithm.
    #[error("a key is neither for ES256 nor for RS256")]
    Algorithm,
}

impl Fault for ClientKeysError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        "{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"kid\": …, \"x\": …, \"y\": …}]}: public keys alone, each with a `kid`"
            .to_owned()
    }
}

/// Claims of such an assertion. Others may stand beside them (RFC 7523 §3, 10).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ClientClaims {
    /// The client.
    pub iss: String,
    /// The same client.
    pub sub: String,
    /// This issuer alone.
    pub aud: Audiences,
    /// When it was made, seconds since the epoch.
    pub iat: i64,
    /// When it ends, seconds since the epoch.
    pub exp: i64,
    /// Its own id, used once.
    pub jti: String,
}

#[cfg(test)]
mod tests;
