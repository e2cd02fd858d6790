//! DPoP nonces (RFC 9449 §8): a 30-second bucket and an HMAC of it under a key that never leaves this process.

use std::time::Duration;

use bailiwick_core::Rng;
use zeroize::Zeroizing;

use crate::base64url;
use crate::hash::{self, hmac_sha256};
use crate::system::random;

/// One nonce per this many seconds; it is accepted in its own bucket and the next.
pub(super) const BUCKET: Duration = Duration::from_secs(30);

/// Makes and recognises one node's nonces. Time is monotonic: a step of the wall clock neither revives a nonce nor kills one.
pub struct Nonces {
    key: Zeroizing<[u8; 32]>,
}

impl Nonces {
    /// With a fresh key: a restart invalidates all nonces, and with them all proofs that the old process could have seen.
    pub fn new(rng: &dyn Rng) -> Self {
        Self {
            key: Zeroizing::new(random(rng)),
        }
    }

    /// The nonce of this moment.
    pub fn current(&self, now: Duration) -> String {
        self.of(bucket(now))
    }

    /// Whether this is the nonce of this bucket or the one before.
    pub fn is_fresh(&self, nonce: &str, now: Duration) -> bool {
        let this = bucket(now);
        let matches = |wanted: String| hash::equal(nonce.as_bytes(), wanted.as_bytes());
        matches(self.of(this))
            || this
                .checked_sub(1)
                .is_some_and(|previous| matches(self.of(previous)))
    }

    fn of(&self, bucket: u64) -> String {
        let bucket = bucket.to_be_bytes();
        let mac = hmac_sha256(
            self.key.as_slice(),
            &[b"bailiwick/dpop-nonce/v1\0", &bucket],
        );
        base64url::encode(&[bucket.as_slice(), &mac].concat())
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces(…)")
    }
}

fn bucket(now: Duration) -> u64 {
    now.as_secs() / BUCKET.as_secs()
}
