//! The public keys of one class: published, replicated, and looked up by `kid`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bailiwick_core::json::{self, JsonError, Limits};
use bailiwick_core::{Code, Fault};
use serde_json::{Map, Value};

use super::sealed;
use crate::jwk::{Jwk, JwkError};
use crate::keys::VerifyingKey;

/// Most keys in one set: authorities of several lives side by side, never this many.
pub const MAX_KEYS: usize = 64;

/// Whose keys these are. A set of one class is never asked about another's tokens.
pub trait KeyClass: sealed::Sealed {}

/// The keys of the trust domain's JWT authority (`/svid/jwks`, bundle `jwt-svid`).
#[derive(Debug, Clone, Copy)]
pub enum SvidKeys {}

/// The keys that sign task tokens (`/oauth/jwks`).
#[derive(Debug, Clone, Copy)]
pub enum TaskKeys {}

/// The keys that sign receipts of revocations (`/oauth/receipt-jwks`).
#[derive(Debug, Clone, Copy)]
pub enum ReceiptKeys {}

/// The keys of an outside OIDC issuer.
#[derive(Debug, Clone, Copy)]
pub enum OutsideKeys {}

impl KeyClass for OutsideKeys {}

/// The keys of the OpenID provider at which people sign in.
#[derive(Debug, Clone, Copy)]
pub enum LoginKeys {}

/// The keys that a registered client proves itself with (`private_key_jwt`).
#[derive(Debug, Clone, Copy)]
pub enum ClientKeys {}

impl KeyClass for ClientKeys {}
impl KeyClass for LoginKeys {}
impl KeyClass for SvidKeys {}
impl KeyClass for TaskKeys {}
impl KeyClass for ReceiptKeys {}

/// The verifying keys of one class by `kid`. Cheap to clone.
#[derive(Debug)]
pub struct KeySet<K: KeyClass> {
    keys: Arc<BTreeMap<String, VerifyingKey>>,
    class: PhantomData<fn() -> K>,
}

impl<K: KeyClass> KeySet<K> {
    /// Takes public keys, each with a `kid` of its own.
    pub fn new(keys: impl IntoIterator<Item = Jwk>) -> Result<Self, KeySetError> {
        let mut by_kid = BTreeMap::new();
        for jwk in keys {
            let kid = jwk.kid.clone().ok_or(KeySetError::NoKid)?;
            if by_kid
                .insert(kid.clone(), VerifyingKey::new(jwk)?)
                .is_some()
            {
                return Err(KeySetError::SameKid { kid });
            }
            if by_kid.len() > MAX_KEYS {
                return Err(KeySetError::TooMany);
            }
        }
        Ok(Self {
            keys: Arc::new(by_kid),
            class: PhantomData,
        })
    }

    /// Reads a JWKS document; every key in it must be one that we take.
    pub fn from_jwks(document: &[u8]) -> Result<Self, KeySetError> {
        let keys = listed(document)?;
        let keys = keys
            .iter()
            .map(|key| Ok(Jwk::parse(key.as_object().ok_or(KeySetError::Form)?)?));
        Self::new(keys.collect::<Result<Vec<_>, KeySetError>>()?)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &VerifyingKey> {
        self.keys.values()
    }

    /// The key, if there is one alone.
    pub fn only(&self) -> Option<&VerifyingKey> {
        let mut keys = self.keys.values();
        keys.next().filter(|_| keys.next().is_none())
    }

    /// The key of this `kid`.
    pub fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.get(kid)
    }

    /// All keys, as they are published in a JWKS document (RFC 7517 §5).
    pub fn to_jwks(&self) -> Value {
        let keys = self
            .keys
            .values()
            .map(|key| Value::Object(key.jwk().to_json()))
            .collect();
        Value::Object(Map::from_iter([("keys".to_owned(), Value::Array(keys))]))
    }
}

impl KeySet<OutsideKeys> {
    /// Reads the JWKS document of an outside issuer. Keys that are not for signatures, or of kinds that we do not take, are passed over
    /// (RFC 7517 §5); two that share an id are an error all the same.
    pub fn of_outside_issuer(document: &[u8]) -> Result<Self, KeySetError> {
        let keys = listed(document)?;
        let usable = keys.iter().filter_map(|key| {
            let jwk = Jwk::parse(key.as_object()?).ok()?;
            let takes = jwk.kid.is_some() && VerifyingKey::new(jwk.clone()).is_ok();
            takes.then_some(jwk)
        });
        Self::new(usable)
    }
}

impl KeySet<LoginKeys> {
    /// Reads the JWKS document of another issuer. Keys that we cannot use are left out (RFC 7517 §5): for encryption, of other kinds,
    /// without `kid`. One with a private part makes the whole document unfit.
    pub fn from_foreign_jwks(document: &[u8]) -> Result<Self, KeySetError> {
        let mut usable = Vec::new();
        for key in listed(document)? {
            match Jwk::parse(key.as_object().ok_or(KeySetError::Form)?) {
                Ok(key) if key.kid.is_some() && VerifyingKey::new(key.clone()).is_ok() => {
                    usable.push(key);
                }
                Err(error @ JwkError::Private(_)) => return Err(error.into()),
                Ok(_) | Err(_) => {}
            }
        }
        Self::new(usable)
    }
}

/// The keys of a JWKS document (RFC 7517 §5).
fn listed(document: &[u8]) -> Result<Vec<Value>, KeySetError> {
    json::check(document, &JWKS).map_err(KeySetError::Json)?;
    let document: Value = serde_json::from_slice(document).map_err(|_| KeySetError::Form)?;
    let keys = document.get("keys").and_then(Value::as_array);
    keys.cloned().ok_or(KeySetError::Form)
}

impl<K: KeyClass> Clone for KeySet<K> {
    fn clone(&self) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
            class: PhantomData,
        }
    }
}

/// Why public keys do not form a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The document is not JSON that has one reading.
    #[error("the key set is not JSON that has one reading")]
    Json(#[source] JsonError),
    /// The document is not an object with an array `keys` of objects.
    #[error("a key set is an object with an array `keys`")]
    Form,
    /// A key has no `kid`.
    #[error("a key of the set has no `kid`")]
    NoKid,
    /// Two keys share a `kid`.
    #[error("two keys of the set have the id `{kid}`")]
    SameKid {
        /// The key id.
        kid: String,
    },
    /// Over [`MAX_KEYS`].
    #[error("a key set holds at most {MAX_KEYS} keys")]
    TooMany,
    /// One of them is not a key.
    #[error("a key of the set cannot be used")]
    Jwk(#[from] JwkError),
}

impl Fault for KeySetError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }
}

const JWKS: Limits = Limits {
    bytes: 256 << 10,
    depth: 8,
    members: 4_096,
    caseless: false,
};
