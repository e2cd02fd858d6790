//! JWT-SVIDs (SPIFFE JWT-SVID) and the client assertions made of them: a JWT-SVID whose only audience is our issuer.

use bailiwick_core::Secret;
use bailiwick_core::spiffe_id::{SpiffeId, TrustDomain};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Class, Expected, SvidKeys, TokenError};
use crate::jose::{self, KeySource, MAX_TOKEN, Rules, Typ};
use crate::jwk::Algorithm;
use crate::keys::SigningKey;

/// Most audiences of one JWT-SVID.
pub const MAX_AUDIENCES: usize = 8;
/// Longest life of a client assertion, in seconds.
pub const MAX_ASSERTION_SECS: i64 = 300;

/// The class of JWT-SVIDs: accepted by whomever they are addressed to.
#[derive(Debug, Clone, Copy)]
pub enum JwtSvid {}

impl Class for JwtSvid {
    type Keys = SvidKeys;
    type Claims = SvidClaims;

    // JWT-SVID §2: the closed set of algorithms and of `typ`.
    const RULES: Rules = Rules {
        class: "JWT-SVID",
        typ: Typ::AbsentOr(&["JWT", "JOSE"]),
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
        ],
        key: KeySource::Kid,
    };
    const MAX_BYTES: usize = MAX_TOKEN;

    fn is_for(claims: &SvidClaims, audience: &str) -> bool {
        claims.aud.0.iter().any(|named| named == audience)
    }

    fn check(claims: &SvidClaims, expected: &Expected<'_>) -> Result<(), TokenError> {
        claims.check(Self::RULES.class, expected.trust_domain)
    }
}

impl JwtSvid {
    /// Signs claims. What could not be verified afterwards is refused here.
    pub fn issue(key: &SigningKey, claims: &SvidClaims) -> Result<Secret<String>, TokenError> {
        claims.check(Self::RULES.class, &claims.sub.trust_domain())?;
        Ok(Secret::new(jose::sign(key, Some("JWT"), claims)?))
    }
}

/// The class of client assertions at the token endpoint (`jwt-spiffe`): a JWT-SVID for the issuer alone that lives 5 minutes at most.
#[derive(Debug, Clone, Copy)]
pub enum ClientAssertion {}

impl Class for ClientAssertion {
    type Keys = SvidKeys;
    type Claims = SvidClaims;

    const RULES: Rules = Rules {
        class: "client assertion",
        typ: Typ::AbsentOr(&["JWT"]),
        algorithms: &[Algorithm::Es256, Algorithm::Rs256],
        key: KeySource::Kid,
    };
    const MAX_BYTES: usize = MAX_TOKEN;

    fn is_for(claims: &SvidClaims, audience: &str) -> bool {
        // Alone: an assertion that somebody else may hold too could be replayed here by them.
        claims.aud.is_alone(audience)
    }

    fn check(claims: &SvidClaims, expected: &Expected<'_>) -> Result<(), TokenError> {
        let class = Self::RULES.class;
        claims.check(class, expected.trust_domain)?;
        check_life(class, claims.iat, claims.exp)
    }
}

/// Claims of a JWT-SVID. Others may stand beside them and are ignored (JWT-SVID §3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SvidClaims {
    /// The JWT authority: issuer URL + `/svid`.
    pub iss: String,
    /// Who it is.
    pub sub: SpiffeId,
    /// Whom it is addressed to.
    pub aud: Audiences,
    /// When it was issued, seconds since the epoch.
    pub iat: i64,
    /// When it ends, seconds since the epoch.
    pub exp: i64,
}

impl SvidClaims {
    fn check(&self, class: &'static str, trust_domain: &TrustDomain) -> Result<(), TokenError> {
        if self.sub.trust_domain() != *trust_domain {
            return Err(TokenError::Claim {
                class,
                claim: "sub",
                why: "is of another trust domain",
            });
        }
        if self.sub.path().is_empty() {
            return Err(TokenError::Claim {
                class,
                claim: "sub",
                why: "names a trust domain, not a workload",
            });
        }
        check_order(class, self.iat, self.exp)
    }
}

/// Refuses an end that is not after the beginning.
fn check_order(class: &'static str, iat: i64, exp: i64) -> Result<(), TokenError> {
    let (claim, why) = ("exp", "is not after `iat`");
    if exp > iat {
        Ok(())
    } else {
        Err(TokenError::Claim { class, claim, why })
    }
}

/// Refuses a client assertion that lives longer than [`MAX_ASSERTION_SECS`], or not at all.
pub(super) fn check_life(class: &'static str, iat: i64, exp: i64) -> Result<(), TokenError> {
    check_order(class, iat, exp)?;
    let (claim, why) = ("exp", "lies more than 5 minutes after `iat`");
    if exp.saturating_sub(iat) <= MAX_ASSERTION_SECS {
        Ok(())
    } else {
        Err(TokenError::Claim { class, claim, why })
    }
}

/// One to eight audiences, none empty. Written as a string if there is only one, as RFC 7519 §4.1.3 allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audiences(Vec<String>);

/// Not one to eight audiences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token has 1 to {MAX_AUDIENCES} audiences, none of them empty")]
pub struct BadAudiences;

impl Audiences {
    /// Checks number and content.
    pub fn new(audiences: Vec<String>) -> Result<Self, BadAudiences> {
        let fits = (1..=MAX_AUDIENCES).contains(&audiences.len())
            && !audiences.iter().any(String::is_empty);
        if fits {
            Ok(Self(audiences))
        } else {
            Err(BadAudiences)
        }
    }

    /// Whether it is this one and no other.
    pub fn is_alone(&self, audience: &str) -> bool {
        matches!(self.0.as_slice(), [only] if only == audience)
    }

    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Serialize for Audiences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => serializer.serialize_str(only),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audiences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            One(String),
            Several(Vec<String>),
        }
        let audiences = match Form::deserialize(deserializer)? {
            Form::One(audience) => vec![audience],
            Form::Several(audiences) => audiences,
        };
        Self::new(audiences).map_err(serde::de::Error::custom)
    }
}
