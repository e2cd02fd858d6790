//! What may be a find, in the coordinates of the layer it was found in.

use std::ops::Range;
use std::sync::Arc;

use crate::secrets::find::{Public, Severity};
use crate::secrets::fingerprint::Digest;

/// A secret in a layer of text.
#[derive(Debug, Clone)]
pub(in crate::secrets) struct Candidate {
    pub(in crate::secrets) check: Arc<str>,
    pub(in crate::secrets) severity: Severity,
    pub(in crate::secrets) range: Range<usize>,
    pub(in crate::secrets) key: Option<Vec<u8>>,
    pub(in crate::secrets) length: usize,
    pub(in crate::secrets) digest: Digest,
    pub(in crate::secrets) public: Vec<Public>,
    pub(in crate::secrets) wrapped: Vec<&'static str>,
    pub(in crate::secrets) remedy: Arc<str>,
}

impl Candidate {
    /// The same, seen from the layer in which `range` holds it wrapped.
    pub(in crate::secrets) fn within(mut self, range: Range<usize>, how: &'static str) -> Self {
        self.range = range;
        self.wrapped.insert(0, how);
        self
    }
}

/// Ranges that are taken, by where they begin; they do not overlap.
#[derive(Debug, Default)]
pub(super) struct Taken(std::collections::BTreeMap<usize, usize>);

impl Taken {
    /// Takes a range, unless a part of it is taken.
    pub(super) fn take(&mut self, range: &Range<usize>) -> bool {
        let free = !self.overlaps(range);
        if free {
            self.0.insert(range.start, range.end);
        }
        free
    }

    /// Whether a part of it is taken.
    pub(super) fn overlaps(&self, range: &Range<usize>) -> bool {
        self.0
            .range(..range.end.max(range.start + 1))
            .next_back()
            .is_some_and(|(_, end)| *end > range.start)
    }
}
