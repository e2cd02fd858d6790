//! The proposal put to the test on tasks that it was not made from: what the oldest four fifths did not use is taken away, and the
//! newest fifth is asked whether it could have done its work.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::Effect;
use bailiwick_core::id::TaskId;
use bailiwick_core::name::ToolRef;
use serde::Serialize;

use super::usage::Usage;
use super::{Granted, Place};

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HoldOut {
    /// Tasks that it was made from: the oldest four fifths.
    pub made_from: u64,
    /// Tasks that it was tried on: the rest.
    pub tried_on: u64,
    /// Of these, how many used something that it would have taken away.
    pub broken: u64,
}

/// None if there are too few tasks to set one aside. `cut` says of which effects the whole proposal takes something away.
pub(super) fn try_out(
    usage: &Usage,
    granted: &BTreeMap<Place, BTreeMap<ToolRef, Granted>>,
    asked: &BTreeSet<ToolRef>,
    cut: &BTreeMap<&Place, BTreeSet<Effect>>,
) -> Option<HoldOut> {
    if cut.is_empty() {
        return None;
    }
    let mut starts = BTreeMap::new();
    for seen in usage.places.values() {
        for (task, (first, _)) in &seen.tasks {
            let start = starts.entry(*task).or_insert(*first);
            *start = (*start).min(*first);
        }
    }
    let mut by_start: Vec<_> = starts
        .into_iter()
        .map(|(task, start)| (start, task))
        .collect();
    by_start.sort_unstable();
    let aside = by_start.len() / 5;
    let (older, newer) = by_start.split_at(by_start.len() - aside);
    if newer.is_empty() {
        return None;
    }
    let older: BTreeSet<TaskId> = older.iter().map(|(_, task)| *task).collect();
    let newer: BTreeSet<TaskId> = newer.iter().map(|(_, task)| *task).collect();
    let mut broken: BTreeSet<TaskId> = BTreeSet::new();
    for (place, effects) in cut {
        let (Some(seen), Some(granted)) = (usage.places.get(*place), granted.get(*place)) else {
            continue;
        };
        for (tool, used) in &seen.tools {
            let would_go = granted
                .get(tool)
                .is_some_and(|granted| effects.contains(&granted.effect))
                && !asked.contains(tool)
                && !usage.unplaced.contains(tool)
                && used.tasks.is_disjoint(&older);
            if would_go {
                broken.extend(used.tasks.intersection(&newer));
            }
        }
    }
    Some(HoldOut {
        made_from: older.len() as u64,
        tried_on: newer.len() as u64,
        broken: broken.len() as u64,
    })
}
