//! Erasures that wait for a second admin. They live in memory, for a day: what is not confirmed by then is asked for again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bailiwick_audit::erase::Selector;
use bailiwick_core::{Digest, Rng, Timestamp};
use bailiwick_crypto::system::random;
use bailiwick_store::Words;

/// How long one waits.
pub const WAITS: Duration = Duration::from_hours(24);
/// Most that wait; the next one takes the oldest one's place.
const MAX_WAITING: usize = 64;

/// What is to be erased.
#[derive(Debug, Clone)]
pub struct Asked {
    /// From the record.
    pub selector: Selector,
    /// From the store.
    pub words: Option<Words>,
    /// The request or rule that it follows from.
    pub basis: String,
    /// Who asked, as the record names them.
    pub by: String,
}

/// Erasures that wait.
#[derive(Debug, Default)]
pub struct Waiting(Mutex<Vec<(String, Timestamp, Asked)>>);

impl Waiting {
    /// Has one wait; gives its id.
    pub fn put(&self, asked: Asked, now: Timestamp, rng: &dyn Rng) -> String {
        let id = format!("ers_{}", Digest(random::<32>(rng)).to_hex());
        let id: String = id.chars().take(20).collect();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|(_, since, _)| now.since(*since) < WAITS);
        if waiting.len() >= MAX_WAITING {
            waiting.remove(0);
        }
        waiting.push((id.clone(), now, asked));
        id
    }

    /// One that waits.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<Asked> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .iter()
            .find(|(found, since, _)| found == id && now.since(*since) < WAITS)
            .map(|(_, _, asked)| asked.clone())
    }

    /// It is being carried out; false if somebody else was first.
    pub fn take(&self, id: &str) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = waiting.len();
        waiting.retain(|(found, _, _)| found != id);
        waiting.len() < before
    }
}
