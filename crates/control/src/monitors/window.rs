//! What happened of late, by key: how often, within a time, with bounds on both.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use bailiwick_core::Timestamp;

/// Keys that one detector remembers; beyond it those that were quiet for longest are forgotten.
const MAX_KEYS: usize = 10_000;
/// Happenings of one key.
const MAX_EACH: usize = 256;

/// By key, what happened within a time, oldest first.
pub(super) struct Window<K, V> {
    length: Duration,
    keys: HashMap<K, VecDeque<(Timestamp, V)>>,
}

impl<K: Eq + Hash + Clone, V> Window<K, V> {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            keys: HashMap::new(),
        }
    }

    /// Adds one, forgets what is too old, and gives what is left of the key.
    pub(super) fn add(&mut self, key: &K, at: Timestamp, value: V) -> &VecDeque<(Timestamp, V)> {
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(key) {
            self.make_room(at);
        }
        let happened = self.keys.entry(key.clone()).or_default();
        happened.push_back((at, value));
        let length = self.length;
        let too_old = |first: &(Timestamp, V)| first.0.plus(length) < at;
        while happened.len() > MAX_EACH || happened.front().is_some_and(too_old) {
            happened.pop_front();
        }
        happened
    }

    /// What happened of a key within the time before `at`.
    pub(super) fn of(&self, key: &K, at: Timestamp) -> impl Iterator<Item = &V> {
        let happened = self.keys.get(key).into_iter().flatten();
        happened
            .filter(move |(when, _)| when.plus(self.length) >= at)
            .map(|(_, value)| value)
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.keys.remove(key);
    }

    fn make_room(&mut self, at: Timestamp) {
        let length = self.length;
        self.keys.retain(|_, happened| {
            happened
                .back()
                .is_some_and(|(last, _)| last.plus(length) >= at)
        });
        while self.keys.len() >= MAX_KEYS {
            let quiet = self
                .keys
                .iter()
                .min_by_key(|(_, happened)| happened.back().map(|(last, _)| *last))
                .map(|(key, _)| key.clone());
            match quiet {
                Some(key) => drop(self.keys.remove(&key)),
                None => return,
            }
        }
    }
}
