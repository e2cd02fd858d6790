//! Which events a reader wants, asked of leaves. The conditions themselves are `bailiwick_core::index`: an index answers the same.

use bailiwick_core::index::Conditions;
pub use bailiwick_core::index::{BadFilter, KEYS, Key};

use crate::leaf::Leaf;
use crate::projection::row;

/// A filter over leaves. The empty filter takes every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter(Conditions);

impl Filter {
    /// Adds a condition.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), BadFilter> {
        self.0.set(key, value)
    }

    /// Whether the leaf is wanted. What is sealed is not looked at, so a condition on a resource takes nothing here.
    pub fn matches(&self, leaf: &Leaf) -> bool {
        self.0.is_empty()
            || self
                .0
                .take(&row(leaf, leaf.node.as_str().into(), 0, Vec::new()))
    }

    /// The conditions, as an index takes them.
    pub fn conditions(&self) -> &Conditions {
        &self.0
    }
}

#[cfg(test)]
mod tests;
