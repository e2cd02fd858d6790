//! Signed heads of the change feed (02 §10). An answer is three parts: the head's JSON, its Ed25519 signature in base64url, and what it
//! covers by digest; the first two end with a newline. The signature is over the bytes as sent, so there is no second form to disagree on.

use bailiwick_core::feed::Head;
use bailiwick_core::{Code, Fault};

use crate::base64url;
use crate::hash::sha256;
use crate::jwk::Algorithm;
use crate::keys::{Ed25519Key, KeyError, VerifyingKey};

/// What heads are signed under; nothing else that is signed begins so.
const CONTEXT: &[u8] = b"bailiwick/head/v1\0";
/// Longest head, bytes.
const MAX_HEAD: usize = 4 << 10;

/// A public key that heads are verified with.
#[derive(Debug, Clone)]
pub struct HeadKey {
    name: String,
    key: std::sync::Arc<VerifyingKey>,
}

impl PartialEq for HeadKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for HeadKey {}

impl HeadKey {
    /// From the base64url of its 32 bytes.
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        let members = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": text});
        let jwk = members
            .as_object()
            .and_then(|members| crate::jwk::Jwk::parse(members).ok());
        let key = jwk.and_then(|jwk| VerifyingKey::new(jwk).ok());
        Ok(Self {
            name: text.to_owned(),
            key: std::sync::Arc::new(key.ok_or(HeadError::Key)?),
        })
    }

    /// The text that [`Self::parse`] takes.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// The public part of a key that signs heads, as [`HeadKey::parse`] takes it.
pub fn public(key: &Ed25519Key) -> String {
    base64url::encode(key.public())
}

/// An answer: this head, signed, and what it covers. The head's digest is set here.
pub fn seal(key: &Ed25519Key, mut head: Head, content: &[u8]) -> Result<Vec<u8>, HeadError> {
    head.digest = sha256(&[content]);
    let text = serde_json::to_vec(&head).map_err(|_| HeadError::Form)?;
    let signature = key.sign(&message(&text))?;
    let signature = base64url::encode(&signature);
    let mut answer = Vec::with_capacity(text.len() + signature.len() + content.len() + 2);
    answer.extend_from_slice(&text);
    answer.push(b'\n');
    answer.extend_from_slice(signature.as_bytes());
    answer.push(b'\n');
    answer.extend_from_slice(content);
    Ok(answer)
}

/// The head of an answer that one of these keys signed, and what it covers.
pub fn open<'a>(keys: &[HeadKey], answer: &'a [u8]) -> Result<(Head, &'a [u8]), HeadError> {
    let (text, rest) = line(answer, MAX_HEAD).ok_or(HeadError::Form)?;
    let (signature, content) = line(rest, 128).ok_or(HeadError::Form)?;
    let signature = std::str::from_utf8(signature).map_err(|_| HeadError::Form)?;
    let signature = base64url::decode(signature).ok_or(HeadError::Form)?;
    let message = message(text);
    let signed = |known: &HeadKey| known.key.verify(Algorithm::EdDsa, &message, &signature);
    if !keys.iter().any(signed) {
        return Err(HeadError::Signature);
    }
    let head: Head = serde_json::from_slice(text).map_err(|_| HeadError::Form)?;
    if head.digest != sha256(&[content]) {
        return Err(HeadError::Content);
    }
    Ok((head, content))
}

fn message(text: &[u8]) -> Vec<u8> {
    [CONTEXT, text].concat()
}

fn line(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().take(most).position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

/// Why an answer is not the node's.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// A key that is none.
    #[error("a key of the feed is not the base64url of an Ed25519 public key")]
    Key,
    /// Not an answer at all.
    #[error("this is no answer of the feed")]
    Form,
    /// Signed by nobody that is trusted, or not at all.
    #[error("none of the trusted keys signed this head")]
    Signature,
    /// What follows the head is not what was signed.
    #[error("what follows the head is not what it covers")]
    Content,
    /// It cannot be signed.
    #[error("a head cannot be signed")]
    Sign(#[from] KeyError),
}

impl Fault for HeadError {
    fn code(&self) -> Code {
        match self {
            Self::Sign(_) => Code::Internal,
            Self::Key => Code::InvalidInput,
            _ => Code::TokenInvalid,
        }
    }

    fn help(&self) -> String {
        "compare the point's key file with what `bailiwick point add` printed; if the keys were replaced while the point was away, add it anew"
            .to_owned()
    }
}

#[cfg(test)]
mod tests;
