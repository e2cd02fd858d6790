//! Calls that a stop of the node cut off: intents on record without a result. They get one that says `unknown`, so that no intent stays
//! without an answer.

use bailiwick_core::Id;
use bailiwick_core::event::{Event, Evidence, Outcome, Parent, ParentRole, Status};

use super::encoder::Encoder;
use crate::record::Class;
use crate::wal::queue::Pending;

/// Code of such a result.
const NODE_RESTART: &str = "node_restart";

/// A result for each intent.
pub(super) fn results(intents: Vec<Event>, encoder: &Encoder) -> impl Iterator<Item = Pending> {
    intents.into_iter().filter_map(|intent| {
        let kind = intent.kind.result()?;
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
            ..Event::new(id, kind)
        };
        // It is no larger than its intent, which was stored.
        encoder.encode(result, Class::Narrow).ok()
    })
}
