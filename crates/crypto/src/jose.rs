//! The strict JWS core (RFC 7515 compact form, RFC 8725): one reading of every token, or none.
//!
//! Three segments of canonical base64url, a closed set of header members, JSON without duplicate members, and a key whose algorithm must
//! equal `alg`. Nothing of the payload is believed before its signature has been verified.

use bailiwick_core::json::{self, JsonError, Limits};
use bailiwick_core::{Code, Fault};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::base64url;
use crate::jwk::{Algorithm, Jwk, JwkError};
use crate::keys::{KeyError, SigningKey, VerifyingKey};

/// Longest token read, in bytes of its compact form.
pub const MAX_TOKEN: usize = 16 << 10;
/// Longest header read, in bytes of its JSON.
pub const MAX_HEADER: usize = 4 << 10;
/// Longest `kid` read, in bytes.
pub const MAX_KID: usize = 256;

/// What the header of one class of token may say.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How the class is called in messages.
    pub class: &'static str,
    /// Which `typ` it has.
    pub typ: Typ,
    /// Which algorithms it may be signed with.
    pub algorithms: &'static [Algorithm],
    /// Where its key comes from.
    pub key: KeySource,
}

/// Which `typ` a class of token has.
#[derive(Debug, Clone, Copy)]
pub enum Typ {
    /// None, or one of these, exactly.
    AbsentOr(&'static [&'static str]),
    /// This one, exactly.
    Exactly(&'static str),
    /// This media type in any case, with or without `application/` (RFC 7515 §4.1.9, RFC 9068 §4).
    MediaType(&'static str),
}

/// Where the key of a class of token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// The verifier's own keys, by `kid`, which must be there.
    Kid,
    /// The verifier's own keys, by `kid`; without one, the only key that there is (OpenID Connect Core §10.1).
    KidOrOnly,
    /// The header's `jwk`, which must be there (DPoP).
    Header,
    /// An outside issuer's keys, by `kid`, which must be there. A thumbprint beside it (`x5t`, RFC 7515 §4.1.7) may be there and is not
    /// read: it names the key a second time, and GitHub sends it.
    Outside,
}

/// A header that kept its class's rules.
#[derive(Debug, Clone)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`; always there for [`KeySource::Kid`].
    pub kid: Option<String>,
    /// `jwk`; always there for [`KeySource::Header`], never otherwise.
    pub jwk: Option<Jwk>,
}

/// A token that was taken apart and not yet verified: only its header can be seen.
#[derive(Debug)]
pub struct Unverified<'a> {
    header: Header,
    signing_input: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a compact token apart and holds its header against the class's rules.
    pub fn parse(token: &'a str, rules: &Rules) -> Result<Self, JoseError> {
        if token.len() > MAX_TOKEN {
            return Err(JoseError::TooLong);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JoseError::Segments)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JoseError::Segments)?;
        if payload.contains('.') {
            return Err(JoseError::Segments);
        }
        let signature = base64url::decode(signature).ok_or(JoseError::Encoding("signature"))?;
        let header = base64url::decode(header).ok_or(JoseError::Encoding("header"))?;
        if header.len() > MAX_HEADER {
            return Err(JoseError::TooLong);
        }
        let header = Header::parse(&object("header", &header)?, rules)?;
        Ok(Self {
            header,
            signing_input,
            payload,
            signature,
        })
    }

    /// The header, to choose the key by.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the payload claims, to find out whose keys it has to verify by. To be held against what was verified.
    pub(crate) fn claimed(&self) -> Result<Map<String, Value>, JoseError> {
        claims(&base64url::decode(self.payload).ok_or(JoseError::Encoding("payload"))?)
    }

    /// The payload, if `key` is of the header's algorithm and made the signature.
    pub fn verify(self, key: &VerifyingKey) -> Result<Vec<u8>, JoseError> {
        if !key.allows(self.header.algorithm) {
            return Err(JoseError::KeyAlgorithm(self.header.algorithm));
        }
        if !key.verify(
            self.header.algorithm,
            self.signing_input.as_bytes(),
            &self.signature,
        ) {
            return Err(JoseError::Signature);
        }
        base64url::decode(self.payload).ok_or(JoseError::Encoding("payload"))
    }
}

impl Header {
    fn parse(members: &Map<String, Value>, rules: &Rules) -> Result<Self, JoseError> {
        let class = rules.class;
        // `crit`, `b64`, `jku`, `x5u`, `x5c` and everything unknown: a member that nobody reads could mean something to somebody else.
        let known = |name: &str| {
            matches!(name, "alg" | "typ" | "kid")
                || (name == "jwk" && rules.key == KeySource::Header)
                || (name == "x5t" && rules.key == KeySource::Outside)
        };
        if let Some(name) = members.keys().find(|name| !known(name)) {
            return Err(JoseError::HeaderMember {
                class,
                name: name.chars().take(32).collect(),
            });
        }
        let typ = string(members, "typ")?;
        if !rules.typ.accepts(typ) {
            return Err(JoseError::Typ {
                class,
                found: typ.map(|typ| typ.chars().take(32).collect()),
            });
        }
        let name = string(members, "alg")?.ok_or(JoseError::HeaderValue("alg"))?;
        let algorithm =
            Algorithm::named(name).filter(|algorithm| rules.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or_else(|| JoseError::Algorithm {
            class,
            found: name.chars().take(16).collect(),
        })?;
        let kid = string(members, "kid")?.map(str::to_owned);
        if kid
            .as_ref()
            .is_some_and(|kid| kid.is_empty() || kid.len() > MAX_KID)
        {
            return Err(JoseError::HeaderValue("kid"));
        }
        let jwk = match members.get("jwk") {
            None => None,
            Some(Value::Object(jwk)) => Some(Jwk::parse(jwk)?),
            Some(_) => return Err(JoseError::HeaderValue("jwk")),
        };
        match rules.key {
            KeySource::Kid | KeySource::Outside if kid.is_none() => {
                Err(JoseError::HeaderValue("kid"))
            }
            KeySource::Header if jwk.is_none() => Err(JoseError::HeaderValue("jwk")),
            KeySource::Kid | KeySource::KidOrOnly | KeySource::Header | KeySource::Outside => {
                Ok(Self {
                    algorithm,
                    kid,
                    jwk,
                })
            }
        }
    }
}

impl Typ {
    fn accepts(self, found: Option<&str>) -> bool {
        match (self, found) {
            (Self::AbsentOr(_), None) => true,
            (Self::AbsentOr(allowed), Some(found)) => allowed.contains(&found),
            (Self::Exactly(wanted), Some(found)) => found == wanted,
            (Self::MediaType(wanted), Some(found)) => {
                let found = found.to_ascii_lowercase();
                found.strip_prefix("application/").unwrap_or(&found) == wanted
            }
            (Self::Exactly(_) | Self::MediaType(_), None) => false,
        }
    }
}

/// Reads a verified payload as an object of claims without duplicate members.
pub fn claims(payload: &[u8]) -> Result<Map<String, Value>, JoseError> {
    object("payload", payload)
}

/// Signs claims with ES256; `kid` is the key's own. `typ` is left out for classes that have none.
pub fn sign<T: Serialize>(
    key: &SigningKey,
    typ: Option<&str>,
    claims: &T,
) -> Result<String, JoseError> {
    let mut header = Map::new();
    header.insert("alg".into(), Algorithm::Es256.as_str().into());
    header.insert("kid".into(), key.kid().into());
    if let Some(typ) = typ {
        header.insert("typ".into(), typ.into());
    }
    sign_with_header(key, &header, claims)
}

pub(crate) fn sign_with_header<T: Serialize>(
    key: &SigningKey,
    header: &Map<String, Value>,
    claims: &T,
) -> Result<String, JoseError> {
    let encode =
        |bytes: Result<Vec<u8>, serde_json::Error>| bytes.map(|bytes| base64url::encode(&bytes));
    let header = encode(serde_json::to_vec(header)).map_err(JoseError::Write)?;
    let payload = encode(serde_json::to_vec(claims)).map_err(JoseError::Write)?;
    let mut token = format!("{header}.{payload}");
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&base64url::encode(&signature));
    if token.len() > MAX_TOKEN {
        Err(JoseError::TooLong)
    } else {
        Ok(token)
    }
}

/// Why a token was not read or not signed. No variant repeats the token.
#[derive(Debug, thiserror::Error)]
pub enum JoseError {
    /// Over [`MAX_TOKEN`] or [`MAX_HEADER`].
    #[error("the token is over {MAX_TOKEN} bytes, or its header over {MAX_HEADER}")]
    TooLong,
    /// Not three segments.
    #[error("the token is not three segments with dots between them")]
    Segments,
    /// A segment is not canonical base64url.
    #[error("the token's {0} is not base64url without padding")]
    Encoding(&'static str),
    /// A segment is not JSON that has one reading.
    #[error("the token's {part} is not JSON that has one reading")]
    Json {
        /// Header or payload.
        part: &'static str,
        /// What is wrong, and where.
        source: JsonError,
    },
    /// A segment is JSON, and not an object.
    #[error("the token's {0} is not a JSON object")]
    NotAnObject(&'static str),
    /// A header member outside the closed set.
    #[error("a {class} has no header member `{name}`")]
    HeaderMember {
        /// Class expected.
        class: &'static str,
        /// The member.
        name: String,
    },
    /// A header member is missing or not of its form.
    #[error("the token's header has no usable `{0}`")]
    HeaderValue(&'static str),
    /// The `typ` of another class.
    #[error("not a {class}: its `typ` is {}", found.as_deref().unwrap_or("absent"))]
    Typ {
        /// Class expected.
        class: &'static str,
        /// What was there.
        found: Option<String>,
    },
    /// An algorithm that the class does not use.
    #[error("a {class} is never signed with `{found}`")]
    Algorithm {
        /// Class expected.
        class: &'static str,
        /// What was there.
        found: String,
    },
    /// The header's `jwk` is not a key.
    #[error("the token's `jwk` cannot be used")]
    Jwk(#[from] JwkError),
    /// The key named is one of another algorithm.
    #[error("the key that the token names does not sign with {0}")]
    KeyAlgorithm(Algorithm),
    /// The signature is not that key's.
    #[error("the token's signature does not fit: it was altered, or another key made it")]
    Signature,
    /// Claims that cannot be written as JSON.
    #[error("the claims cannot be written")]
    Write(#[source] serde_json::Error),
    /// The key did not sign.
    #[error("the token was not signed")]
    Key(#[from] KeyError),
}

impl Fault for JoseError {
    fn code(&self) -> Code {
        match self {
            Self::Typ { .. } => Code::TokenClass,
            Self::Write(_) | Self::Key(_) => Code::Internal,
            _ => Code::TokenInvalid,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Typ { class, .. } => {
                format!("Present a {class} here; `bailiwick token inspect` shows what a token is.")
            }
            Self::Write(_) | Self::Key(_) => String::new(),
            _ => "Ask the token endpoint for a new token.".into(),
        }
    }
}

fn object(part: &'static str, bytes: &[u8]) -> Result<Map<String, Value>, JoseError> {
    json::check(bytes, &Limits::JOSE).map_err(|source| JoseError::Json { part, source })?;
    // serde_json reads a subset of what `check` accepts: numbers beyond a double are all that is left for it to refuse.
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(JoseError::NotAnObject(part)),
    }
}

fn string<'a>(
    members: &'a Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'a str>, JoseError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JoseError::HeaderValue(name)),
    }
}

#[cfg(test)]
mod tests;
