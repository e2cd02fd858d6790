//! What names a secret without telling it: a digest that stays on this machine, and a keyed print of it that may be shown.

use std::fmt;

use bailiwick_core::Rng;
use bailiwick_crypto::hash::{domain_digest, hmac_sha256};
use bailiwick_crypto::system::random;
use zeroize::Zeroizing;

const DOMAIN: &str = "bailiwick/secret/v1";
/// Bytes of the tag that a print shows.
const SHOWN: usize = 16;
/// Crockford's base32 in lower case, as in ids.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// SHA-256 over `bailiwick/secret/v1`, a zero byte and the secret. Weak secrets can be guessed from it, so it is neither
/// printed nor stored.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of a secret: a value's bytes, a URL's password, a token, the public half of a private key.
    pub fn of(secret: &[u8]) -> Self {
        Self(domain_digest(DOMAIN, secret).0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// The key of prints. This one is drawn for a run, so its prints compare within one report only.
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    /// A key for this run, never stored.
    pub fn of_run(rng: &dyn Rng) -> Self {
        Self(Zeroizing::new(random(rng)))
    }

    /// The print of a digest: the first 128 bits of its HMAC-SHA-256.
    pub fn print(&self, digest: &Digest) -> Fingerprint {
        let tag = hmac_sha256(&*self.0, &[&digest.0]);
        let mut bits = [0_u8; SHOWN];
        for (to, from) in bits.iter_mut().zip(tag) {
            *to = from;
        }
        Fingerprint(u128::from_be_bytes(bits))
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

/// What is shown for a secret: `fpl_` and 26 digits, of use within one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u128);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fpl_")?;
        for digit in (0..26).rev() {
            let value = usize::try_from((self.0 >> (digit * 5)) & 31).unwrap_or_default();
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
