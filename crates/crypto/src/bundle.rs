//! The SPIFFE bundle: a trust domain's X.509 and JWT authorities, as a JWKS document (SPIFFE Trust Domain and Bundle §4).

use std::time::Duration;

use bailiwick_core::json::{self, JsonError, Limits};
use bailiwick_core::spiffe_id::TrustDomain;
use bailiwick_core::{Code, Fault};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::jwk::{Curve, Jwk, JwkError, Material};
use crate::svid::{SvidError, inspect_authority};
use crate::token::{KeySet, KeySetError, SvidKeys};

/// Most authorities in a bundle, of both kinds together.
pub const MAX_AUTHORITIES: usize = 64;

/// The authorities of one trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    trust_domain: TrustDomain,
    x509: Vec<Vec<u8>>,
    jwt: Vec<Jwk>,
    sequence: u64,
    refresh_hint: Duration,
}

impl Bundle {
    /// From certificates (DER) and public keys with `kid`. `sequence` grows with every change; `refresh_hint` says how often to look.
    pub fn new(
        trust_domain: TrustDomain,
        x509: Vec<Vec<u8>>,
        jwt: Vec<Jwk>,
        sequence: u64,
        refresh_hint: Duration,
    ) -> Result<Self, BundleError> {
        if x509.len().saturating_add(jwt.len()) > MAX_AUTHORITIES {
            return Err(BundleError::TooMany);
        }
        for certificate in &x509 {
            let found = inspect_authority(certificate)?.trust_domain;
            if found != trust_domain {
                return Err(BundleError::OtherTrustDomain {
                    found,
                    expected: trust_domain,
                });
            }
        }
        // Checks each key, and that each has a `kid` of its own.
        KeySet::<SvidKeys>::new(jwt.iter().cloned())?;
        Ok(Self {
            trust_domain,
            x509,
            jwt,
            sequence,
            refresh_hint,
        })
    }

    /// The same under another sequence.
    #[must_use]
    pub fn with_sequence(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// The trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Certificates of the X.509 authorities, DER.
    pub fn x509_authorities(&self) -> &[Vec<u8>] {
        &self.x509
    }

    /// Keys of the JWT authorities.
    pub fn jwt_authorities(&self) -> &[Jwk] {
        &self.jwt
    }

    /// Grows with every change.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The keys that verify JWT-SVIDs.
    pub fn jwt_keys(&self) -> Result<KeySet<SvidKeys>, KeySetError> {
        KeySet::new(self.jwt.iter().cloned())
    }

    /// The whole bundle as SPIFFE's JWKS document.
    pub fn to_json(&self) -> Result<Value, BundleError> {
        let mut keys = Vec::with_capacity(self.x509.len() + self.jwt.len());
        for certificate in &self.x509 {
            let mut jwk = certificate_jwk(certificate)?.to_json();
            jwk.insert("use".into(), USE_X509.into());
            jwk.insert(
                "x5c".into(),
                Value::Array(vec![STANDARD.encode(certificate).into()]),
            );
            keys.push(Value::Object(jwk));
        }
        keys.extend(self.jwt_members());
        Ok(Value::Object(Map::from_iter([
            ("keys".to_owned(), Value::Array(keys)),
            ("spiffe_sequence".to_owned(), self.sequence.into()),
            (
                "spiffe_refresh_hint".to_owned(),
                self.refresh_hint.as_secs().into(),
            ),
        ])))
    }

    /// The JWT authorities alone, as the Workload API's `FetchJWTBundles` sends them.
    pub fn jwt_json(&self) -> Value {
        Value::Object(Map::from_iter([(
            "keys".to_owned(),
            Value::Array(self.jwt_members().collect()),
        )]))
    }

    /// Reads a bundle document. Keys with another `use` are ignored, as the specification says; a malformed one refuses the whole.
    pub fn from_json(trust_domain: TrustDomain, bytes: &[u8]) -> Result<Self, BundleError> {
        json::check(bytes, &LIMITS)?;
        let document: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| BundleError::Form("it is not an object"))?;
        let keys = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(BundleError::Form("it has no `keys`"))?;
        let (mut x509, mut jwt) = (Vec::new(), Vec::new());
        for key in keys {
            let members = key
                .as_object()
                .ok_or(BundleError::Form("a key is not an object"))?;
            match members.get("use").and_then(Value::as_str) {
                Some(USE_X509) => x509.push(x5c(members)?),
                Some(USE_JWT) => jwt.push(Jwk::parse(members)?),
                _ => {}
            }
        }
        let number = |name: &str| document.get(name).and_then(Value::as_u64).unwrap_or(0);
        let refresh_hint = Duration::from_secs(number("spiffe_refresh_hint"));
        Self::new(
            trust_domain,
            x509,
            jwt,
            number("spiffe_sequence"),
            refresh_hint,
        )
    }

    fn jwt_members(&self) -> impl Iterator<Item = Value> {
        self.jwt.iter().map(|jwk| {
            let mut members = jwk.to_json();
            members.insert("use".into(), USE_JWT.into());
            Value::Object(members)
        })
    }
}

/// Why something is not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not JSON that has one reading.
    #[error("the bundle is not JSON that has one reading")]
    Json(#[from] JsonError),
    /// JSON of another form.
    #[error("this is not a SPIFFE bundle: {0}")]
    Form(&'static str),
    /// Over [`MAX_AUTHORITIES`].
    #[error("a bundle holds at most {MAX_AUTHORITIES} authorities")]
    TooMany,
    /// An authority of another trust domain.
    #[error("an authority of {found} does not belong in the bundle of {expected}")]
    OtherTrustDomain {
        /// Whose it is.
        found: TrustDomain,
        /// The bundle's.
        expected: TrustDomain,
    },
    /// A certificate that is not an authority's.
    #[error("an X.509 authority of the bundle cannot be used")]
    Certificate(#[from] SvidError),
    /// A key that is not one.
    #[error("a key of the bundle cannot be used")]
    Jwk(#[from] JwkError),
    /// JWT authorities that do not form a set.
    #[error("the JWT authorities of the bundle cannot be used")]
    Keys(#[from] KeySetError),
}

impl Fault for BundleError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }
}

const USE_X509: &str = "x509-svid";
const USE_JWT: &str = "jwt-svid";

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    depth: 8,
    members: 10_000,
    caseless: false,
};

/// Trust Domain and Bundle §4.2.2: exactly one certificate, in standard base64.
fn x5c(members: &Map<String, Value>) -> Result<Vec<u8>, BundleError> {
    match members
        .get("x5c")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([Value::String(only)]) => STANDARD
            .decode(only)
            .map_err(|_| BundleError::Form("an `x5c` is not base64")),
        _ => Err(BundleError::Form(
            "an x509-svid key has exactly one certificate in `x5c`",
        )),
    }
}

fn certificate_jwk(certificate: &[u8]) -> Result<Jwk, BundleError> {
    let key = inspect_authority(certificate)?.public_key;
    let point = key.strip_prefix(&[4]).unwrap_or_default();
    let curve = [Curve::P256, Curve::P384, Curve::P521]
        .into_iter()
        .find(|curve| curve.coordinate_len() * 2 == point.len());
    match curve.and_then(|curve| Some((curve, point.split_at_checked(curve.coordinate_len())?))) {
        Some((curve, (x, y))) => {
            let material = Material::Ec {
                curve,
                x: x.to_vec(),
                y: y.to_vec(),
            };
            Ok(Jwk {
                material,
                kid: None,
                algorithm: None,
                usage: None,
            })
        }
        None => Err(JwkError::Unsupported(
            "an authority's key that is not on a NIST curve".to_owned(),
        )
        .into()),
    }
}

#[cfg(test)]
mod tests;
