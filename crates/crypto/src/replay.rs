//! The memory of what may be shown once: each (owner, `jti`) passes once while it could still be accepted by itself.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::hash::sha256;

/// What was shown within a span of time.
#[derive(Debug)]
pub struct ReplayStore {
    seen: Mutex<Seen>,
    capacity: usize,
    remembered: Duration,
}

/// Why something does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// It was shown before.
    Known,
    /// As much is remembered as may be: to forget something early would be to let it pass twice.
    Full,
}

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<[u8; 16]>,
    order: VecDeque<(Duration, [u8; 16])>,
}

impl ReplayStore {
    /// Empty, for so many at a time, each remembered for as long as it could pass otherwise.
    pub fn new(capacity: usize, remembered: Duration) -> Self {
        Self {
            seen: Mutex::default(),
            capacity,
            remembered,
        }
    }

    /// Remembers what its owner shows, or says why it does not pass. `owner` has no NUL; `now` is monotonic.
    pub fn admit(&self, owner: &str, jti: &str, now: Duration) -> Result<(), Replay> {
        // The NUL keeps the two from running into each other. 128 bits: only the owner could look for collisions among its own, and
        // would gain a refusal.
        let digest = sha256(&[owner.as_bytes(), b"\0", jti.as_bytes()]);
        let mut key = [0_u8; 16];
        key.copy_from_slice(digest.0.first_chunk::<16>().unwrap_or(&[0; 16]));

        // A panic elsewhere cannot leave the set half changed in a way that forgets a proof.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while seen
            .order
            .front()
            .is_some_and(|(at, _)| at.saturating_add(self.remembered) <= now)
        {
            if let Some((_, old)) = seen.order.pop_front() {
                seen.keys.remove(&old);
            }
        }
        if seen.keys.contains(&key) {
            return Err(Replay::Known);
        }
        if seen.keys.len() >= self.capacity {
            return Err(Replay::Full);
        }
        seen.keys.insert(key);
        seen.order.push_back((now, key));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
