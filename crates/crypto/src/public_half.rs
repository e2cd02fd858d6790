//! The public half of a private key in any of its encodings, so that one key is recognised wherever it is found.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};

/// A public key that was computed from a private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHalf {
    /// `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1).
    pub spki: Vec<u8>,
    /// `RSA`, `P-256`, `P-384`, `P-521`, `secp256k1` or `Ed25519`.
    pub kind: &'static str,
}

/// The public half of a private key in DER: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017) or SEC 1 (RFC 5915). None for what is no
/// such key, for other kinds, and for RSA below 2,048 bits, which the library refuses.
pub fn of_private_key(der: &[u8]) -> Option<PublicHalf> {
    rsa_key(der)
        .or_else(|| elliptic(der))
        .or_else(|| ed25519(der))
}

fn rsa_key(der: &[u8]) -> Option<PublicHalf> {
    let pair = rsa::KeyPair::from_pkcs8(der)
        .or_else(|_| rsa::KeyPair::from_der(der))
        .ok()?;
    half(pair.public_key(), "RSA")
}

fn elliptic(der: &[u8]) -> Option<PublicHalf> {
    [
        (&ECDSA_P256_SHA256_ASN1_SIGNING, "P-256"),
        (&ECDSA_P384_SHA384_ASN1_SIGNING, "P-384"),
        (&ECDSA_P521_SHA512_ASN1_SIGNING, "P-521"),
        (&ECDSA_P256K1_SHA256_ASN1_SIGNING, "secp256k1"),
    ]
    .into_iter()
    .find_map(|(algorithm, kind)| {
        // It takes PKCS#8 and SEC 1.
        let pair = EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?;
        half(pair.public_key(), kind)
    })
}

fn ed25519(der: &[u8]) -> Option<PublicHalf> {
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
    half(pair.public_key(), "Ed25519")
}

fn half(key: &impl AsDer<PublicKeyX509Der<'static>>, kind: &'static str) -> Option<PublicHalf> {
    let spki = key.as_der().ok()?.as_ref().to_vec();
    Some(PublicHalf { spki, kind })
}

#[cfg(test)]
mod tests;
