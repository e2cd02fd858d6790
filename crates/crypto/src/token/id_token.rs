//! ID tokens of the OpenID provider at which people sign in (OpenID Connect Core §2, §3.1.3.7). They say who somebody is, once, to the one
//! login that asked; no other verifier takes them.

use serde::Deserialize;

use super::jwt_svid::Audiences;
use super::{Class, Expected, LoginKeys, TokenError};
use crate::hash::equal;
use crate::jose::{KeySource, MAX_TOKEN, Rules, Typ};
use crate::jwk::Algorithm;

/// The class of ID tokens.
#[derive(Debug, Clone, Copy)]
pub enum IdToken {}

impl Class for IdToken {
    type Keys = LoginKeys;
    type Claims = IdClaims;

    const RULES: Rules = Rules {
        class: "ID token",
        typ: Typ::AbsentOr(&["JWT"]),
        algorithms: &[
            Algorithm::Rs256,
            Algorithm::Es256,
            Algorithm::Ps256,
            Algorithm::EdDsa,
        ],
        key: KeySource::Kid,
    };
    const MAX_BYTES: usize = MAX_TOKEN;

    fn is_for(claims: &IdClaims, audience: &str) -> bool {
        // Alone: an audience beside us is one that we would have to trust (§3.1.3.7, 3).
        claims.aud.is_alone(audience) && claims.azp.as_ref().is_none_or(|party| party == audience)
    }

    fn check(claims: &IdClaims, _: &Expected<'_>) -> Result<(), TokenError> {
        let refuse = |claim, why| {
            Err(TokenError::Claim {
                class: Self::RULES.class,
                claim,
                why,
            })
        };
        if claims.sub.is_empty() {
            return refuse("sub", "is empty");
        }
        if claims.nonce.is_empty() {
            return refuse("nonce", "is empty");
        }
        Ok(())
    }
}

/// Claims of an ID token that are looked at. Others may stand beside them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IdClaims {
    /// The provider.
    pub iss: String,
    /// The person, by the provider's lasting name for them.
    pub sub: String,
    /// This product's client id, alone.
    pub aud: Audiences,
    /// The authorized party, if it is named.
    #[serde(default)]
    pub azp: Option<String>,
    /// The value that the login was started with.
    pub nonce: String,
}

impl IdClaims {
    /// Whether it answers the login that was started with this nonce (§3.1.3.7, 11).
    pub fn answers(&self, nonce: &str) -> bool {
        equal(self.nonce.as_bytes(), nonce.as_bytes())
    }
}

#[cfg(test)]
mod tests;
