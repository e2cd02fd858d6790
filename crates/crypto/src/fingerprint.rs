//! What names a secret without telling it: a digest that stays on its machine or goes to its node, and a keyed print that may be shown.

use std::fmt;

use bailiwick_core::Rng;
use zeroize::Zeroizing;

use crate::hash::{domain_digest, hmac_sha256};
use crate::system::random;

const DOMAIN: &str = "bailiwick/secret/v1";
/// Bytes of the tag that a print shows.
const SHOWN: usize = 16;
/// Crockford's base32 in lower case, as in ids.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// SHA-256 over `bailiwick/secret/v1`, a zero byte and the secret. Weak secrets can be guessed from it, so it is neither
/// printed nor stored.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of a secret: a value's bytes, a URL's password, a token, the public half of a private key.
    pub fn of(secret: &[u8]) -> Self {
        Self(domain_digest(DOMAIN, secret).0)
    }

    /// As it came from where the secret was found.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For its way to the node, over a channel that nobody else reads.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

/// The key of prints: drawn for one run, so that its prints compare within one report only, or a deployment's.
pub struct FingerprintKey {
    key: Zeroizing<[u8; 32]>,
    prefix: &'static str,
}

impl FingerprintKey {
    /// A key for this run, never stored. Its prints are written `fpl_…`.
    pub fn of_run(rng: &dyn Rng) -> Self {
        Self {
            key: Zeroizing::new(random(rng)),
            prefix: "fpl_",
        }
    }

    /// The key of a deployment, which stays in its control processes. Its prints are written `fp_…`.
    pub(crate) const fn of_deployment(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key, prefix: "fp_" }
    }

    /// The print of a digest: the first 128 bits of its HMAC-SHA-256.
    pub fn print(&self, digest: &SecretDigest) -> Fingerprint {
        let tag = hmac_sha256(&*self.key, &[&digest.0]);
        let mut bits = [0_u8; SHOWN];
        for (to, from) in bits.iter_mut().zip(tag) {
            *to = from;
        }
        Fingerprint(self.prefix, u128::from_be_bytes(bits))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

/// What is shown for a secret: a prefix that says whose print it is, and 26 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(&'static str, u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        for digit in (0..26).rev() {
            let value = usize::try_from((self.1 >> (digit * 5)) & 31).unwrap_or_default();
            f.write_str(
                ALPHABET
                    .get(value..=value)
                    .and_then(|one| std::str::from_utf8(one).ok())
                    .unwrap_or_default(),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
