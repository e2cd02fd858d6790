//! Which calls are on record without a result. Recovery answers those; the tiler counts them too, so that a start need not read the
//! whole log to find them.

use std::collections::HashMap;

use bailiwick_core::event::{EventType, Parent, ParentRole};
use bailiwick_core::id::EventId;
use serde::Deserialize;

use crate::read::mentions;
use crate::state::MAX_OPEN;

/// Intents seen so far whose result was not.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenIntents(HashMap<EventId, u64>);

/// The part of a leaf that tells intents and results.
#[derive(Deserialize)]
struct Brief {
    id: EventId,
    #[serde(rename = "type")]
    kind: EventType,
    #[serde(default)]
    cause: Option<EventId>,
    #[serde(default)]
    parents: Vec<Parent>,
}

impl OpenIntents {
    /// Looks at the leaf at an index, in order.
    pub(crate) fn see(&mut self, index: u64, leaf: &[u8]) {
        // Most leaves are neither; only those that may be are parsed.
        let says = |types: [&str; 2]| types.iter().any(|one| mentions(leaf, one));
        if says(["\"type\":\"tool.intent\"", "\"type\":\"egress.intent\""]) {
            if let Ok(brief) = serde_json::from_slice::<Brief>(leaf)
                && brief.kind.result().is_some()
            {
                self.0.insert(brief.id, index);
            }
        } else if says(["\"type\":\"tool.result\"", "\"type\":\"egress.result\""])
            && let Ok(brief) = serde_json::from_slice::<Brief>(leaf)
            && brief.kind.is_result()
        {
            let answered = brief
                .parents
                .iter()
                .filter(|parent| parent.role == ParentRole::Intent)
                .map(|parent| parent.id);
            for id in answered.chain(brief.cause) {
                self.0.remove(&id);
            }
        }
    }

    /// Their places in the log, ascending: the newest [`MAX_OPEN`].
    pub(crate) fn indexes(&self) -> Vec<u64> {
        let mut indexes: Vec<u64> = self.0.values().copied().collect();
        indexes.sort_unstable();
        indexes.split_off(indexes.len().saturating_sub(MAX_OPEN))
    }
}
