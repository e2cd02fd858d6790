//! One call in 4,096 is found twice: by the index, and by asking every policy whether its scope reaches the call. If the two
//! disagree, the index is not to be trusted and the call is denied (P2, while it runs).

use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::entities::{Dereference, Entities};

use crate::bundle::Bundle;
use crate::call::Call;
use crate::clause::{Anchor, Bound, Scope};

/// One call of so many.
const ONE_IN: u64 = 4_096;

/// Whether this call is one of them: by its task and time, so that each node samples the same.
pub(crate) fn is_sampled(call: &Call<'_>) -> bool {
    let now = call.now.as_micros().to_le_bytes();
    let task = call.task.id.bits().to_le_bytes();
    // FNV-1a, 64 bits (draft-eastlake-fnv-21 §2).
    let hash = now
        .iter()
        .chain(&task)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // The last byte alone stands in the lowest bits.
    (hash >> 20).is_multiple_of(ONE_IN)
}

/// The numbers of all rules whose scope reaches the call, without the index.
pub(crate) fn reached(
    bundle: &Bundle,
    call: &Call<'_>,
    (principal, action, resource): (&EntityUID, &EntityUID, &EntityUID),
) -> Vec<u32> {
    let entities = bundle.world.of(call.effect);
    let reaches = |scope: &Scope| {
        is_bound(&scope.principal, principal, entities)
            && scope
                .actions
                .iter()
                .any(|anchor| is_at(anchor, action, entities))
            && is_bound(&scope.resource, resource, entities)
    };
    (0..)
        .zip(&bundle.rules)
        .filter(|(_, rule)| reaches(&rule.clause.scope))
        .map(|(number, _)| number)
        .collect()
}

fn is_bound(bound: &Bound, uid: &EntityUID, entities: &Entities) -> bool {
    let kind = bound.kind.as_ref();
    kind.is_none_or(|kind| **kind == *uid.entity_type()) && is_at(&bound.anchor, uid, entities)
}

fn is_at(anchor: &Anchor, uid: &EntityUID, entities: &Entities) -> bool {
    match anchor {
        Anchor::Any => true,
        Anchor::Is(named) => **named == *uid,
        Anchor::In(named) => {
            **named == *uid
                || match entities.entity(uid) {
                    Dereference::Data(entity) => entity.ancestors().any(|above| *above == **named),
                    Dereference::NoSuchEntity | Dereference::Residual(_) => false,
                }
        }
    }
}

#[cfg(test)]
mod tests;
