//! Public keys in JSON (RFC 7517, 7518 §6, 8037) and their thumbprints (RFC 7638). Private members are refused, not ignored.

use std::fmt;
use std::str::FromStr;

use bailiwick_core::{Code, Fault};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::base64url;
use crate::hash::sha256;

/// A signature algorithm of RFC 7518 §3.1 or RFC 8037 §3.1. There is no `none` and nothing symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// RSASSA-PSS with SHA-384 and a salt of 48 bytes.
    Ps384,
    /// RSASSA-PSS with SHA-512 and a salt of 64 bytes.
    Ps512,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 10] = [
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
    ];

    /// The name in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name; names are case-sensitive (RFC 7515 §4.1.1).
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A NIST curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256, for ES256.
    P256,
    /// P-384, for ES384.
    P384,
    /// P-521, for ES512.
    P521,
}

impl Curve {
    /// The name in `crv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of one coordinate (RFC 7518 §6.2.1.2).
    pub fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::P256, Self::P384, Self::P521]
            .into_iter()
            .find(|curve| curve.as_str() == name)
    }
}

/// The key itself, as numbers. [`crate::keys::VerifyingKey`] checks that they form a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A point on a curve; both coordinates have the curve's full length.
    Ec {
        /// The curve.
        curve: Curve,
        /// First coordinate.
        x: Vec<u8>,
        /// Second coordinate.
        y: Vec<u8>,
    },
    /// An RSA key, big-endian without leading zeros.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Exponent.
        e: Vec<u8>,
    },
    /// An Ed25519 key.
    Ed25519 {
        /// The 32 bytes of RFC 8032.
        x: [u8; 32],
    },
}

/// A public key in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    /// The key.
    pub material: Material,
    /// `kid`.
    pub kid: Option<String>,
    /// `alg`: if there, the only algorithm that the key may be used with.
    pub algorithm: Option<Algorithm>,
    /// `use`: `sig`, or in a SPIFFE bundle `x509-svid` or `jwt-svid`.
    pub usage: Option<String>,
}

impl Jwk {
    /// Reads a JWK whose JSON has been checked for duplicate members. Members it does not know are ignored (RFC 7517 §4).
    pub fn parse(members: &Map<String, Value>) -> Result<Self, JwkError> {
        if let Some(private) = PRIVATE_MEMBERS
            .into_iter()
            .find(|name| members.contains_key(*name))
        {
            return Err(JwkError::Private(private));
        }
        if members
            .get("key_ops")
            .is_some_and(|operations| !allows_verify(operations))
        {
            return Err(JwkError::Usage);
        }
        let kty = text(members, "kty")?.ok_or(JwkError::Missing("kty"))?;
        let material = match kty {
            "EC" => {
                let curve = required(members, "crv")?;
                let curve =
                    Curve::named(curve).ok_or_else(|| JwkError::Unsupported(shorten(curve)))?;
                let (x, y) = (bytes(members, "x")?, bytes(members, "y")?);
                if x.len() != curve.coordinate_len() || y.len() != curve.coordinate_len() {
                    return Err(JwkError::Member("x"));
                }
                Material::Ec { curve, x, y }
            }
            "RSA" => {
                let (n, e) = (bytes(members, "n")?, bytes(members, "e")?);
                Material::Rsa { n, e }
            }
            "OKP" => {
                let curve = required(members, "crv")?;
                if curve != "Ed25519" {
                    return Err(JwkError::Unsupported(shorten(curve)));
                }
                let x = bytes(members, "x")?
                    .try_into()
                    .map_err(|_| JwkError::Member("x"))?;
                Material::Ed25519 { x }
            }
            other => return Err(JwkError::Unsupported(shorten(other))),
        };
        let algorithm = match text(members, "alg")? {
            None => None,
            Some(name) => {
                Some(Algorithm::named(name).ok_or_else(|| JwkError::Unsupported(shorten(name)))?)
            }
        };
        let owned = |name| Ok::<_, JwkError>(text(members, name)?.map(str::to_owned));
        let usage = owned("use")?;
        if usage.as_deref().is_some_and(|usage| !USES.contains(&usage)) {
            return Err(JwkError::Usage);
        }
        Ok(Self {
            material,
            kid: owned("kid")?,
            algorithm,
            usage,
        })
    }

    /// The JSON form.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |name: &str, value: &str| members.insert(name.to_owned(), Value::from(value));
        match &self.material {
            Material::Ec { curve, x, y } => {
                put("kty", "EC");
                put("crv", curve.as_str());
                put("x", &base64url::encode(x));
                put("y", &base64url::encode(y));
            }
            Material::Rsa { n, e } => {
                put("kty", "RSA");
                put("n", &base64url::encode(n));
                put("e", &base64url::encode(e));
            }
            Material::Ed25519 { x } => {
                put("kty", "OKP");
                put("crv", "Ed25519");
                put("x", &base64url::encode(x));
            }
        }
        let optional = [
            ("kid", self.kid.as_deref()),
            ("alg", self.algorithm.map(Algorithm::as_str)),
            ("use", self.usage.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                put(name, value);
            }
        }
        members
    }

    /// The RFC 7638 thumbprint: of the required members only, so the same key has the same thumbprint everywhere.
    pub fn thumbprint(&self) -> Thumbprint {
        let encode = base64url::encode;
        // RFC 7638 §3.3 by hand: the required members in alphabetical order; no value needs escaping.
        let canonical = match &self.material {
            Material::Ec { curve, x, y } => {
                format!(
                    r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
                    curve.as_str(),
                    encode(x),
                    encode(y)
                )
            }
            Material::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n))
            }
            Material::Ed25519 { x } => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(x))
            }
        };
        Thumbprint(base64url::encode(&sha256(&[canonical.as_bytes()]).0))
    }
}

impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// A SHA-256 thumbprint, 43 characters of base64url: of a key (RFC 7638), as the `jkt` of DPoP and the `kid` of our own keys, or of a
/// certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(String);

impl Thumbprint {
    /// Of a certificate (DER): `x5t#S256` (RFC 8705 §3.1).
    pub(crate) fn of_certificate(der: &[u8]) -> Self {
        Self(base64url::encode(&sha256(&[der]).0))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Thumbprint {
    type Err = JwkError;

    fn from_str(text: &str) -> Result<Self, JwkError> {
        match base64url::decode(text) {
            Some(bytes) if bytes.len() == 32 => Ok(Self(text.to_owned())),
            _ => Err(JwkError::Thumbprint),
        }
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a JSON key is not a public key that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It carries a private or symmetric part.
    #[error("the key has the private member `{0}`: only public keys may be shown")]
    Private(&'static str),
    /// A required member is missing.
    #[error("the key has no `{0}`")]
    Missing(&'static str),
    /// A member is not canonical base64url text of the right length.
    #[error("the key's `{0}` is not of the form that RFC 7518 §6 demands")]
    Member(&'static str),
    /// A key type, curve or algorithm that no class of token uses.
    #[error("the key's type, curve or algorithm `{0}` is not supported")]
    Unsupported(String),
    /// The numbers do not form a key: a point off its curve, an RSA modulus outside 2,048 to 8,192 bits.
    #[error("the numbers of the key do not form a key")]
    NotAKey,
    /// `use` or `key_ops` say that it is not for signatures.
    #[error("the key says that it is not for verifying signatures")]
    Usage,
    /// Not 43 characters of canonical base64url.
    #[error("a key thumbprint is 43 characters of base64url")]
    Thumbprint,
}

impl Fault for JwkError {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        match self {
            Self::Private(_) => "Replace that key: its private part has left its holder.".into(),
            _ => "Use an EC key on P-256, P-384 or P-521, an RSA key of 2,048 to 8,192 bits, or Ed25519.".into(),
        }
    }
}

const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// RFC 7517 §4.2, and the two that SPIFFE bundles use instead.
const USES: [&str; 3] = ["sig", "jwt-svid", "x509-svid"];

fn allows_verify(operations: &Value) -> bool {
    operations
        .as_array()
        .is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
}

fn text<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JwkError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwkError::Member(name)),
    }
}

fn required<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, JwkError> {
    text(members, name)?.ok_or(JwkError::Missing(name))
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    base64url::decode(required(members, name)?).ok_or(JwkError::Member(name))
}

fn shorten(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests;
