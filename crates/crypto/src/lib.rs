//! Cryptography, and the machine's clock and randomness behind `core`'s traits.
//!
//! The only crate that touches aws-lc-rs, rcgen, x509-parser, webpki and the rustls provider. Everything else asks here and gets types that
//! cannot be wrong: a [`token::Verified`] exists only because a verifier accepted it.

pub mod aead;
mod base64url;
pub mod bundle;
pub mod ca;
#[cfg(test)]
mod corpora;
pub mod cosignature;
pub mod csr;
pub mod dpop;
pub mod dsse;
pub mod fingerprint;
#[cfg(test)]
mod fixture;
pub mod hash;
pub mod head;
pub mod jose;
pub mod jwk;
pub mod keys;
pub mod note;
pub mod pkce;
pub mod pop;
pub mod public_half;
pub mod replay;
pub mod seal;
pub mod svid;
pub mod system;
pub mod tls;
pub mod token;
