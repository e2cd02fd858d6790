//! Token classes as types. A [`Verified<C>`] exists only because a [`Verifier<C>`] accepted the token: its header kept the class's rules, a
//! key of the class made the signature, and it is for this audience, from this issuer and of this moment.

pub mod id_token;
pub mod jwt_svid;
mod key_set;
pub mod outside;
pub mod private_key_jwt;
pub mod receipt;
pub mod task;

use std::marker::PhantomData;
use std::time::Duration;

use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_core::{Code, Fault, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::jose::{self, JoseError, Rules, Unverified};
use crate::jwk::Algorithm;
use task::TaskToken;

pub use key_set::{
    ClientKeys, KeyClass, KeySet, KeySetError, LoginKeys, MAX_KEYS, OutsideKeys, ReceiptKeys,
    SvidKeys, TaskKeys,
};

/// How far `iat` and `nbf` may lie ahead of our clock. `exp` has no leeway.
pub const MAX_AHEAD: Duration = Duration::from_secs(5);

/// A class of token. The classes are closed: no other crate can add one.
pub trait Class: sealed::Sealed + Sized {
    /// Whose keys sign it.
    type Keys: KeyClass;
    /// Its claims.
    type Claims: DeserializeOwned;
    /// What its header may say.
    const RULES: Rules;
    /// Longest token of this class.
    const MAX_BYTES: usize;

    /// What the class demands of its claims beyond issuer, audience and time.
    fn check(claims: &Self::Claims, expected: &Expected<'_>) -> Result<(), TokenError>;
    /// Whether the claims are meant for this audience.
    fn is_for(claims: &Self::Claims, audience: &str) -> bool;
}

mod sealed {
    /// Keeps the classes closed.
    pub trait Sealed {}
    impl Sealed for super::SvidKeys {}
    impl Sealed for super::TaskKeys {}
    impl Sealed for super::ReceiptKeys {}
    impl Sealed for super::OutsideKeys {}
    impl Sealed for super::LoginKeys {}
    impl Sealed for super::ClientKeys {}
    impl Sealed for super::task::TaskToken {}
    impl Sealed for super::id_token::IdToken {}
    impl Sealed for super::jwt_svid::JwtSvid {}
    impl Sealed for super::jwt_svid::ClientAssertion {}
    impl Sealed for super::private_key_jwt::PrivateKeyJwt {}
}

/// What a verifier was set up to accept.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    /// The trust domain of every SPIFFE ID in the claims.
    pub trust_domain: &'a TrustDomain,
}

/// Verifies tokens of one class from one issuer.
#[derive(Debug)]
pub struct Verifier<C: Class> {
    keys: KeySet<C::Keys>,
    issuer: String,
    trust_domain: TrustDomain,
}

impl<C: Class> Verifier<C> {
    /// Accepts tokens that these keys signed, that name this issuer, and whose SPIFFE IDs are of this trust domain.
    pub fn new(
        keys: KeySet<C::Keys>,
        issuer: impl Into<String>,
        trust_domain: TrustDomain,
    ) -> Self {
        Self {
            keys,
            issuer: issuer.into(),
            trust_domain,
        }
    }

    /// Verifies a token for `audience` at `now`.
    pub fn verify(
        &self,
        token: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Verified<C>, TokenError> {
        self.verify_if(token, now, audience, |claims| C::is_for(claims, audience))
    }

    /// `expected` is the audience in words.
    fn verify_if(
        &self,
        token: &str,
        now: Timestamp,
        expected: &str,
        is_for: impl FnOnce(&C::Claims) -> bool,
    ) -> Result<Verified<C>, TokenError> {
        let class = C::RULES.class;
        if token.len() > C::MAX_BYTES {
            return Err(TokenError::TooLong {
                class,
                bound: C::MAX_BYTES,
            });
        }
        let unverified = Unverified::parse(token, &C::RULES)?;
        let named = unverified.header().kid.clone();
        let key = match &named {
            Some(kid) => self.keys.key(kid),
            // Only where the class's rules let a header name none.
            None => self.keys.only(),
        };
        let kid = named.unwrap_or_default();
        let key = key.ok_or_else(|| TokenError::UnknownKey {
            class,
            kid: kid.clone(),
        })?;
        let payload = unverified.verify(key)?;
        let members = jose::claims(&payload)?;
        let expires = check_times(class, &members, now)?;
        if members.get("iss").and_then(Value::as_str) != Some(self.issuer.as_str()) {
            return Err(TokenError::Issuer {
                class,
                expected: self.issuer.clone(),
            });
        }
        if !members.contains_key("aud") {
            return Err(TokenError::Audience {
                class,
                expected: expected.to_owned(),
            });
        }
        let claims: C::Claims = serde_json::from_value(Value::Object(members))
            .map_err(|source| TokenError::Claims { class, source })?;
        if !is_for(&claims) {
            return Err(TokenError::Audience {
                class,
                expected: expected.to_owned(),
            });
        }
        C::check(
            &claims,
            &Expected {
                issuer: &self.issuer,
                trust_domain: &self.trust_domain,
            },
        )?;
        Ok(Verified {
            claims,
            kid,
            expires,
            class: PhantomData,
        })
    }
}

impl Verifier<TaskToken> {
    /// Verifies a task token of our own, whichever resource it is for: what the issuer does with its own tokens at exchange,
    /// introspection and revocation. An enforcement point never does.
    pub fn verify_as_issuer(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Verified<TaskToken>, TokenError> {
        self.verify_if(token, now, "a resource of this deployment", |_| true)
    }
}

impl<C: Class> Clone for Verifier<C> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
            issuer: self.issuer.clone(),
            trust_domain: self.trust_domain.clone(),
        }
    }
}

/// Claims that a verifier of class `C` accepted. There is no other way to make one.
#[derive(Debug)]
pub struct Verified<C: Class> {
    claims: C::Claims,
    kid: String,
    expires: Timestamp,
    class: PhantomData<fn() -> C>,
}

impl<C: Class> Verified<C> {
    /// The claims.
    pub fn claims(&self) -> &C::Claims {
        &self.claims
    }

    /// The claims, moved out.
    pub fn into_claims(self) -> C::Claims {
        self.claims
    }

    /// The key that signed it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Why a token was not accepted or not issued. No variant repeats the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not a token of this class, or its signature does not fit.
    #[error("the token was refused")]
    Jose(#[from] JoseError),
    /// Over the class's bound.
    #[error("a {class} has at most {bound} bytes")]
    TooLong {
        /// Class expected.
        class: &'static str,
        /// Its bound.
        bound: usize,
    },
    /// No key of the class has this `kid`.
    #[error(
        "no key for a {class} has the id `{kid}`: another issuer signed it, or its key is gone"
    )]
    UnknownKey {
        /// Class expected.
        class: &'static str,
        /// The key id.
        kid: String,
    },
    /// Signed with an algorithm that its issuer does not use here.
    #[error("tokens of {issuer} are not signed with {found} here")]
    Algorithm {
        /// The issuer.
        issuer: String,
        /// What was there.
        found: Algorithm,
    },
    /// Past its end.
    #[error("the {class} ended at {ended}")]
    Expired {
        /// Class expected.
        class: &'static str,
        /// Its `exp`.
        ended: Timestamp,
    },
    /// From the future.
    #[error("the {class}'s `{claim}` lies more than 5 s ahead of this node's clock")]
    Ahead {
        /// Class expected.
        class: &'static str,
        /// `iat` or `nbf`.
        claim: &'static str,
    },
    /// `exp`, `iat` or `nbf` missing or not whole seconds.
    #[error("the {class} has no usable `{claim}`")]
    Time {
        /// Class expected.
        class: &'static str,
        /// The claim.
        claim: &'static str,
    },
    /// Another issuer, or none.
    #[error("the {class} is not from {expected}")]
    Issuer {
        /// Class expected.
        class: &'static str,
        /// The issuer.
        expected: String,
    },
    /// Another audience, or none, or more than the class allows.
    #[error("the {class} is not for {expected}")]
    Audience {
        /// Class expected.
        class: &'static str,
        /// The audience.
        expected: String,
    },
    /// Claims missing or not of their form.
    #[error("the claims of the {class} cannot be read")]
    Claims {
        /// Class expected.
        class: &'static str,
        /// Which, and why.
        source: serde_json::Error,
    },
    /// A claim of the right form that the class forbids.
    #[error("the {class}'s `{claim}` {why}")]
    Claim {
        /// Class expected.
        class: &'static str,
        /// The claim.
        claim: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Fault for TokenError {
    fn code(&self) -> Code {
        match self {
            Self::Jose(error) => error.code(),
            Self::Expired { .. } => Code::TokenExpired,
            _ => Code::TokenInvalid,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Jose(error) => error.help(),
            Self::Expired { .. } => {
                "Ask the token endpoint for a new token; clients do so before the old one ends."
                    .into()
            }
            Self::Ahead { .. } => "Set the clocks of this node and the token's issuer.".into(),
            Self::Audience { expected, .. } => {
                format!("Ask for a token with `resource` or audience {expected}.")
            }
            _ => "Ask the token endpoint for a new token.".into(),
        }
    }
}

/// Checks `exp`, `iat` (both required) and `nbf`, all whole seconds; gives `exp`.
fn check_times(
    class: &'static str,
    members: &Map<String, Value>,
    now: Timestamp,
) -> Result<Timestamp, TokenError> {
    let time = |claim: &'static str| match members.get(claim) {
        None => Ok(None),
        Some(value) => value
            .as_i64()
            .map(|secs| Some(Timestamp::from_secs(secs)))
            .ok_or(TokenError::Time { class, claim }),
    };
    let ended = time("exp")?.ok_or(TokenError::Time {
        class,
        claim: "exp",
    })?;
    if now >= ended {
        return Err(TokenError::Expired { class, ended });
    }
    let latest = now.plus(MAX_AHEAD);
    let issued = time("iat")?.ok_or(TokenError::Time {
        class,
        claim: "iat",
    })?;
    if issued > latest {
        return Err(TokenError::Ahead {
            class,
            claim: "iat",
        });
    }
    if time("nbf")?.is_some_and(|not_before| not_before > latest) {
        return Err(TokenError::Ahead {
            class,
            claim: "nbf",
        });
    }
    Ok(ended)
}

#[cfg(test)]
mod tests;
