//! Signed envelopes of build systems and scanners: DSSE v1 (Dead Simple Signing Envelope, secure-systems-lab), and the public keys that they
//! are verified with.
//!
//! Verify, then read: the payload that comes out is the bytes that the signature covers, and its type is covered too.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PSS_2048_8192_SHA256,
};
use bailiwick_core::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use crate::hash::sha256;

/// Payload type of in-toto statements (in-toto Attestation Framework v1, envelope layer).
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Signatures that one envelope may have.
pub const MAX_SIGNATURES: usize = 16;

/// An envelope as it is written (DSSE v1, `envelope.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Which key it is by, as its maker says: a hint that proves nothing.
    #[serde(default)]
    pub keyid: String,
    sig: String,
}

/// An envelope with its payload and signatures decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    payload: Vec<u8>,
    signed: Vec<u8>,
    signatures: Vec<(String, Vec<u8>)>,
}

/// What is no envelope of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEnvelope {
    /// Payload or signature is not base64.
    #[error("payload and signatures of an envelope are base64")]
    Base64,
    /// Its payload is of another type.
    #[error("the payload of an envelope has the type {IN_TOTO}")]
    Type,
    /// None, or too many.
    #[error("an envelope has 1 to {MAX_SIGNATURES} signatures")]
    Signatures,
}

impl Envelope {
    /// The envelope of a payload with these signatures, each by a key of this name.
    pub fn of(payload: &[u8], payload_type: &str, signatures: Vec<(String, Vec<u8>)>) -> Self {
        let signatures = signatures.into_iter().map(|(keyid, bytes)| Signature {
            keyid,
            sig: STANDARD.encode(bytes),
        });
        Self {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.to_owned(),
            signatures: signatures.collect(),
        }
    }

    /// Decodes it, if its payload is of this type. Both alphabets of base64 are taken, as the specification asks.
    pub fn open(&self, payload_type: &str) -> Result<Opened, NotAnEnvelope> {
        if self.payload_type != payload_type {
            return Err(NotAnEnvelope::Type);
        }
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(NotAnEnvelope::Signatures);
        }
        let payload = decoded(&self.payload)?;
        let signatures = self.signatures.iter();
        Ok(Opened {
            signed: pae(payload_type, &payload),
            payload,
            signatures: signatures
                .map(|one| Ok((one.keyid.clone(), decoded(&one.sig)?)))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Opened {
    /// The payload. Whether anybody signed it is another question.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What signatures cover.
    pub fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// Name of the key, as the maker says, and signature.
    pub fn signatures(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let all = self.signatures.iter();
        all.map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Whether one of its signatures is by this key, whatever name it goes by.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signatures()
            .any(|(_, bytes)| key.verify(&self.signed, bytes))
    }
}

/// Pre-authentication encoding (DSSE v1, `protocol.md`, *Signature Definition*).
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

fn decoded(text: &str) -> Result<Vec<u8>, NotAnEnvelope> {
    let standard = STANDARD.decode(text);
    standard
        .or_else(|_| URL_SAFE.decode(text))
        .map_err(|_| NotAnEnvelope::Base64)
}

/// A public key of somebody who signs: Ed25519, ECDSA over P-256 with SHA-256 or P-384 with SHA-384 (signatures in DER), or RSA of 2,048 to
/// 8,192 bits with PSS and SHA-256; what cosign and securesystemslib make.
#[derive(Clone)]
pub struct PublicKey {
    key: ParsedPublicKey,
    digest: Digest,
}

/// What is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is no public key in PEM (BEGIN PUBLIC KEY) of Ed25519, P-256, P-384, or RSA of 2,048 to 8,192 bits"
)]
pub struct NotAPublicKey;

impl PublicKey {
    /// Reads the one key of a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NotAPublicKey> {
        let mut keys = SubjectPublicKeyInfoDer::pem_slice_iter(pem);
        let (Some(Ok(spki)), None) = (keys.next(), keys.next()) else {
            return Err(NotAPublicKey);
        };
        let key = ParsedPublicKey::new(&ED25519, &spki)
            .or_else(|_| ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki))
            .or_else(|_| ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, &spki))
            .or_else(|_| ParsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &spki))
            .map_err(|_| NotAPublicKey)?;
        Ok(Self {
            key,
            digest: sha256(&[&spki]),
        })
    }

    /// SHA-256 of its `SubjectPublicKeyInfo` in DER.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the signature is this key's over the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.digest)
    }
}

#[cfg(test)]
mod tests;
