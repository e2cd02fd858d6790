//! What was looked at before and held nothing: of the three hundred versions of a file most lines are the same.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

/// Verdicts that are remembered; beyond it the memory starts anew.
const MOST: usize = 1 << 20;

/// A memory of fruitless looks. One belongs to one thread.
#[derive(Debug, Default)]
pub struct Memo {
    // Keyed anew in each process, so that nobody can make two lines collide on purpose.
    hasher: RandomState,
    fruitless: HashSet<u64>,
}

impl Memo {
    /// The key of a rule on a text.
    pub(super) fn key(&self, rule: usize, text: &[u8]) -> u64 {
        self.hasher.hash_one((rule, text))
    }

    pub(super) fn is_fruitless(&self, key: u64) -> bool {
        self.fruitless.contains(&key)
    }

    pub(super) fn remember(&mut self, key: u64) {
        if self.fruitless.len() >= MOST {
            self.fruitless.clear();
        }
        self.fruitless.insert(key);
    }
}
