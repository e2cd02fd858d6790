//! Cryptography, and the machine's clock and randomness behind `core`'s traits.
//!
//! The only crate that touches aws-lc-rs, rcgen, x509-parser, webpki and the rustls provider. Everything else asks here and gets types that
//! cannot be wrong: parse, do not check again.

pub mod aead;
mod base64url;
pub mod hash;
pub mod jwk;
pub mod keys;
pub mod note;
pub mod seal;
pub mod system;
pub mod tls;
