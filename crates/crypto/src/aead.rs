//! AES-256-GCM (NIST SP 800-38D): with a nonce of the caller's for keys that seal once, with a random nonce for rows.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bailiwick_core::{Code, Fault, Rng};
use zeroize::{Zeroize, Zeroizing};

use crate::system::random;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of the tag at the end of every ciphertext.
pub const TAG_LEN: usize = 16;
/// Longest plaintext taken, 64 MiB: far below the 64 GiB of the mode, far above anything we seal.
pub const MAX_PLAINTEXT: usize = 64 << 20;

/// An AES-256-GCM key. A key may seal at most 2³² messages under random nonces; rotate long before.
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// From 32 bytes that are random or derived.
    pub fn new(bytes: &[u8; KEY_LEN]) -> Self {
        Self(LessSafeKey::new(unbound(bytes)))
    }

    /// Seals under a nonce that the caller guarantees this key never sees twice. Gives ciphertext ‖ tag.
    pub fn seal_with_nonce(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, AeadError> {
        let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(TAG_LEN));
        self.seal_into(&mut sealed, nonce, aad, plaintext)?;
        Ok(sealed)
    }

    /// Opens what [`Self::seal_with_nonce`] made.
    pub fn open_with_nonce(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, AeadError> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let length = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                buffer.as_mut_slice(),
            )
            .map_err(|_| AeadError::NotAuthentic)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// Seals under a random nonce. Gives nonce ‖ ciphertext ‖ tag.
    pub fn seal(&self, rng: &dyn Rng, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, AeadError> {
        let nonce = random::<NONCE_LEN>(rng);
        let mut sealed = Vec::with_capacity(plaintext.len().saturating_add(NONCE_LEN + TAG_LEN));
        sealed.extend_from_slice(&nonce);
        self.seal_into(&mut sealed, nonce, aad, plaintext)?;
        Ok(sealed)
    }

    /// Opens what [`Self::seal`] made.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AeadError> {
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(AeadError::NotAuthentic)?;
        self.open_with_nonce(*nonce, aad, ciphertext)
    }

    fn seal_into(
        &self,
        out: &mut Vec<u8>,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<(), AeadError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(AeadError::TooLong {
                length: plaintext.len(),
            });
        }
        let start = out.len();
        out.extend_from_slice(plaintext);
        let tag = self.0.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            out.get_mut(start..).unwrap_or_default(),
        );
        let Ok(tag) = tag else {
            out.zeroize();
            return Err(AeadError::TooLong {
                length: plaintext.len(),
            });
        };
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

impl std::fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AeadKey(…)")
    }
}

/// Why a box was not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AeadError {
    /// The plaintext is over [`MAX_PLAINTEXT`].
    #[error("{length} bytes are too many to seal at once: the bound is {MAX_PLAINTEXT}")]
    TooLong {
        /// Bytes given.
        length: usize,
    },
    /// Wrong key, wrong nonce, wrong associated data, or altered bytes; which one cannot be told.
    #[error(
        "the sealed bytes do not open: another key sealed them, they were moved, or they were altered"
    )]
    NotAuthentic,
}

impl Fault for AeadError {
    fn code(&self) -> Code {
        match self {
            Self::TooLong { .. } => Code::TooLarge,
            Self::NotAuthentic => Code::SealLocked,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::TooLong { .. } => String::new(),
            Self::NotAuthentic => {
                "Restore the seal file that belongs to this data directory.".into()
            }
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "UnboundKey::new fails only on a wrong length; the type fixes it"
)]
fn unbound(bytes: &[u8; KEY_LEN]) -> UnboundKey {
    UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes")
}

#[cfg(test)]
mod tests;
