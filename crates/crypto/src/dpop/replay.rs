//! The memory of proofs: each (key, `jti`) passes once while its nonce could still be accepted.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::DpopError;
use super::nonce::BUCKET;
use crate::hash::sha256;
use crate::jwk::Thumbprint;

/// Most proofs remembered. Beyond it a node answers 503: to forget one early would be to let it pass twice.
pub const MAX_PROOFS: usize = 2_000_000;

/// A nonce lives for two buckets at most, so a proof seen now is refused by its nonce after this long.
const REMEMBERED: Duration = BUCKET.saturating_mul(2);

/// Proofs seen within the last minute.
#[derive(Debug)]
pub struct ReplayStore {
    seen: Mutex<Seen>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<[u8; 16]>,
    order: VecDeque<(Duration, [u8; 16])>,
}

impl ReplayStore {
    /// Empty, for [`MAX_PROOFS`].
    pub fn new() -> Self {
        Self::with_capacity(MAX_PROOFS)
    }

    /// Empty, for fewer proofs.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            seen: Mutex::default(),
            capacity,
        }
    }

    /// Remembers a proof, or says that it is known. `now` is monotonic.
    pub fn admit(&self, jkt: &Thumbprint, jti: &str, now: Duration) -> Result<(), DpopError> {
        // A thumbprint has a fixed length, so the two cannot run into each other. 128 bits: only the holder of a key could look for
        // collisions among its own proofs, and would gain a refusal.
        let digest = sha256(&[jkt.as_str().as_bytes(), jti.as_bytes()]);
        let mut key = [0_u8; 16];
        key.copy_from_slice(digest.0.first_chunk::<16>().unwrap_or(&[0; 16]));

        // A panic elsewhere cannot leave the set half changed in a way that forgets a proof.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen
            .order
            .front()
            .is_some_and(|(at, _)| at.saturating_add(REMEMBERED) <= now)
        {
            if let Some((_, old)) = seen.order.pop_front() {
                seen.keys.remove(&old);
            }
        }
        if seen.keys.contains(&key) {
            return Err(DpopError::Replayed);
        }
        if seen.keys.len() >= self.capacity {
            return Err(DpopError::Full);
        }
        seen.keys.insert(key);
        seen.order.push_back((now, key));
        Ok(())
    }
}

impl Default for ReplayStore {
    fn default() -> Self {
        Self::new()
    }
}
