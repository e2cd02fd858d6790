//! Calls that a stop of the node cut off: intents on record without a result. They get one that says `unknown`, so that no intent stays
//! without an answer.

use std::collections::HashMap;

use bailiwick_core::Id;
use bailiwick_core::event::{Event, EventType, Evidence, Outcome, Parent, ParentRole, Status};
use bailiwick_core::id::EventId;

use super::encoder::Encoder;
use crate::leaf::Leaf;
use crate::read::mentions;
use crate::record::Class;
use crate::wal::queue::Pending;

/// Code of such a result.
const NODE_RESTART: &str = "node_restart";

/// Intents seen so far whose result was not.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    /// With their place among the intents, so that results come in their order.
    intents: HashMap<EventId, (u64, Event)>,
    seen: u64,
}

impl Unanswered {
    /// Looks at one leaf of the log, in order.
    pub(super) fn see(&mut self, leaf: &[u8]) {
        // Most leaves are neither; only those that may be are parsed.
        if mentions(leaf, "\"type\":\"tool.intent\"") {
            if let Ok(Leaf { event, .. }) = Leaf::parse(leaf)
                && event.kind == EventType::ToolIntent
            {
                self.seen += 1;
                self.intents.insert(event.id, (self.seen, event));
            }
        } else if mentions(leaf, "\"type\":\"tool.result\"")
            && let Ok(Leaf { event, .. }) = Leaf::parse(leaf)
            && event.kind == EventType::ToolResult
        {
            let answered = event
                .parents
                .iter()
                .filter(|parent| parent.role == ParentRole::Intent)
                .map(|parent| parent.id);
            for id in answered.chain(event.cause) {
                self.intents.remove(&id);
            }
        }
    }

    /// A result for each.
    pub(super) fn results(self, encoder: &Encoder) -> impl Iterator<Item = Pending> {
        let mut intents: Vec<(u64, Event)> = self.intents.into_values().collect();
        intents.sort_by_key(|(place, _)| *place);
        intents.into_iter().filter_map(|(_, intent)| {
            let id = Id::new(&*encoder.clock, &*encoder.rng);
            let result = Event {
                parents: vec![Parent {
                    role: ParentRole::Intent,
                    id: intent.id,
                }],
                outcome: Some(Outcome {
                    status: Status::Unknown,
                    code: Some(NODE_RESTART.into()),
                    us: 0,
                    bytes: 0,
                    evidence: Evidence::Observed,
                }),
                agent: intent.agent,
                owner: intent.owner,
                user: intent.user,
                task: intent.task,
                chain: intent.chain,
                action: intent.action,
                ..Event::new(id, EventType::ToolResult)
            };
            // It is no larger than its intent, which was stored.
            encoder.encode(result, Class::Narrow).ok()
        })
    }
}
