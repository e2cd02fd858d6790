//! Tokens of outside OIDC issuers, as a workload shows them to prove where it runs. They are evidence here and nothing else: no verifier of
//! ours takes one for a token of its own class.

use std::time::Duration;

use bailiwick_core::Timestamp;
use serde_json::{Map, Value};

use super::{KeySet, OutsideKeys, TokenError, check_times};
use crate::jose::{self, KeySource, MAX_TOKEN, Rules, Typ, Unverified};
use crate::jwk::Algorithm;

/// Longest life of such a token, from `iat` to `exp`: a projected token of Kubernetes may live a day.
pub const MAX_LIFE: Duration = Duration::from_hours(24);
/// Longest `sub`, in bytes.
pub const MAX_SUBJECT: usize = 512;
/// Longest token, in bytes.
pub const MAX_BYTES: usize = MAX_TOKEN;

const RULES: Rules = Rules {
    class: CLASS,
    typ: Typ::AbsentOr(&["JWT", "at+jwt"]),
    algorithms: &[
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::EdDsa,
    ],
    key: KeySource::Outside,
};
const CLASS: &str = "token of an outside issuer";

/// Which issuer a token says that it is from. Nothing is verified yet: this only says by whose keys it has to verify.
pub fn issuer_of(token: &str) -> Result<String, TokenError> {
    let claims = Unverified::parse(token, &RULES)?.claimed()?;
    let issuer = claims.get("iss").and_then(Value::as_str);
    issuer.map(str::to_owned).ok_or(TokenError::Claim {
        class: CLASS,
        claim: "iss",
        why: "is missing",
    })
}

/// Verifies tokens of one issuer for one audience.
#[derive(Debug, Clone)]
pub struct OutsideVerifier {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub struct OutsideClaims {
    /// `sub`.
    pub subject: String,
    /// When it ends.
    pub expires: Timestamp,
    /// All claims.
    pub members: Map<String, Value>,
}

impl OutsideVerifier {
    /// Takes tokens whose `iss` is this, byte for byte, whose only audience is this one, under these algorithms.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        algorithms: Vec<Algorithm>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms,
        }
    }

    /// The issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key that a token names, if its header keeps the rules. Nothing is verified yet.
    pub fn kid(&self, token: &str) -> Result<String, TokenError> {
        Ok(self.parse(token)?.header().kid.clone().unwrap_or_default())
    }

    /// Verifies a token at `now` with the issuer's keys.
    pub fn verify(
        &self,
        token: &str,
        keys: &KeySet<OutsideKeys>,
        now: Timestamp,
    ) -> Result<OutsideClaims, TokenError> {
        let class = CLASS;
        let unverified = self.parse(token)?;
        let kid = unverified.header().kid.clone().unwrap_or_default();
        let key = keys
            .key(&kid)
            .ok_or(TokenError::UnknownKey { class, kid })?;
        let members = jose::claims(&unverified.verify(key)?)?;
        let expires = check_times(class, &members, now)?;
        if members.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(TokenError::Issuer {
                class,
                expected: self.issuer.clone(),
            });
        }
        // Alone: whoever else it is addressed to could show it here before its owner does.
        if !is_alone(members.get("aud"), &self.audience) {
            return Err(TokenError::Audience {
                class,
                expected: format!("{} alone", self.audience),
            });
        }
        let claim = |claim, why| TokenError::Claim { class, claim, why };
        let issued = members.get("iat").and_then(Value::as_i64).unwrap_or(0);
        if expires > Timestamp::from_secs(issued).plus(MAX_LIFE) {
            return Err(claim("exp", "lies more than a day after `iat`"));
        }
        let subject = members.get("sub").and_then(Value::as_str).unwrap_or("");
        if subject.is_empty() || subject.len() > MAX_SUBJECT {
            return Err(claim("sub", "is not a text of 1 to 512 bytes"));
        }
        Ok(OutsideClaims {
            subject: subject.to_owned(),
            expires,
            members,
        })
    }

    fn parse<'t>(&self, token: &'t str) -> Result<Unverified<'t>, TokenError> {
        let unverified = Unverified::parse(token, &RULES)?;
        let algorithm = unverified.header().algorithm;
        if self.algorithms.contains(&algorithm) {
            Ok(unverified)
        } else {
            Err(TokenError::Algorithm {
                issuer: self.issuer.clone(),
                found: algorithm,
            })
        }
    }
}

fn is_alone(audience: Option<&Value>, expected: &str) -> bool {
    match audience {
        Some(Value::String(only)) => only == expected,
        Some(Value::Array(several)) => matches!(several.as_slice(), [only] if only == expected),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
