//! Events that narrowed authority and found no room in the log. What they say has taken effect; that they are missing is stated in
//! `log.restored`.

use std::collections::HashSet;

use bailiwick_core::id::EventId;

/// Most of them that are told apart; of more only the number is known, and one that was tried twice counts twice.
const MAX_TOLD_APART: usize = 65_536;

/// Counts each once, however often it was tried.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    ids: HashSet<EventId>,
    beyond: u64,
}

impl Refused {
    /// One more.
    pub(crate) fn note(&mut self, id: EventId) {
        if self.ids.len() < MAX_TOLD_APART {
            self.ids.insert(id);
        } else if !self.ids.contains(&id) {
            self.beyond = self.beyond.saturating_add(1);
        }
    }

    /// One of them is recorded after all.
    pub(crate) fn forget(&mut self, id: EventId) {
        self.ids.remove(&id);
    }

    /// How many.
    pub(crate) fn count(&self) -> u64 {
        self.beyond.saturating_add(self.ids.len() as u64)
    }

    /// Adds those that were taken to be stated and were not.
    pub(crate) fn put_back(&mut self, other: Self) {
        self.beyond = self.beyond.saturating_add(other.beyond);
        for id in other.ids {
            self.note(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::Id;

    use super::*;

    #[test]
    fn each_counts_once_and_beyond_the_bound_all_do() {
        let mut refused = Refused::default();
        for id in [1, 2, 2, 1, 3] {
            refused.note(Id::from_bits(id));
        }
        refused.forget(Id::from_bits(3));
        assert_eq!(refused.count(), 2);
        for id in 0..70_000 {
            refused.note(Id::from_bits(id));
        }
        assert_eq!(refused.count(), 70_000);
        let mut later = Refused::default();
        later.note(Id::from_bits(5));
        later.put_back(refused);
        assert_eq!(later.count(), 70_000);
    }
}
