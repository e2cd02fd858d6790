//! What the record says was used: fed decision by decision, in any order, and put together from parts.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::id::TaskId;
use bailiwick_core::name::ToolRef;
use bailiwick_core::{Effect, Timestamp};

use super::Place;

/// Tasks and what they used, by place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    pub(super) places: BTreeMap<Place, Seen>,
    pub(super) ended: BTreeSet<TaskId>,
    pub(super) unplaced: BTreeSet<ToolRef>,
}

/// What was seen in one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// First and last decision of each task.
    pub(super) tasks: BTreeMap<TaskId, (Timestamp, Timestamp)>,
    pub(super) tools: BTreeMap<ToolRef, Used>,
}

/// The calls of one tool in one place that were allowed or held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) decisions: u64,
    pub(super) tasks: BTreeSet<TaskId>,
    pub(super) effects: BTreeSet<Effect>,
    pub(super) last: Timestamp,
}

impl Usage {
    /// A decision of this task fell there, whichever way.
    pub fn seen(&mut self, place: &Place, task: TaskId, at: Timestamp) {
        let seen = match self.places.get_mut(place) {
            Some(seen) => seen,
            None => self.places.entry(place.clone()).or_default(),
        };
        let life = seen.tasks.entry(task).or_insert((at, at));
        *life = (life.0.min(at), life.1.max(at));
    }

    /// It let a call of this tool through, or had a person asked.
    pub fn used(
        &mut self,
        place: &Place,
        task: TaskId,
        (tool, effect): (&ToolRef, Effect),
        at: Timestamp,
    ) {
        self.seen(place, task, at);
        let seen = self.places.entry(place.clone()).or_default();
        let used = seen.tools.entry(tool.clone()).or_insert_with(|| Used {
            decisions: 0,
            tasks: BTreeSet::new(),
            effects: BTreeSet::new(),
            last: at,
        });
        used.decisions += 1;
        used.tasks.insert(task);
        used.effects.insert(effect);
        used.last = used.last.max(at);
    }

    /// A call of this tool was let through, and where its task was is not known any more: it stays everywhere.
    pub fn unplaced(&mut self, tool: &ToolRef) {
        self.unplaced.insert(tool.clone());
    }

    /// The task is over.
    pub fn ended(&mut self, task: TaskId) {
        self.ended.insert(task);
    }

    /// The places that tasks were seen in.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }

    /// Forgets tools that do not hold.
    pub fn retain(&mut self, holds: impl Fn(&ToolRef) -> bool) {
        self.unplaced.retain(&holds);
        for seen in self.places.values_mut() {
            seen.tools.retain(|tool, _| holds(tool));
        }
    }

    /// Adds what was seen elsewhere on the record.
    pub fn merge(&mut self, other: Self) {
        self.ended.extend(other.ended);
        self.unplaced.extend(other.unplaced);
        for (place, theirs) in other.places {
            let seen = self.places.entry(place).or_default();
            for (task, (first, last)) in theirs.tasks {
                let life = seen.tasks.entry(task).or_insert((first, last));
                *life = (life.0.min(first), life.1.max(last));
            }
            for (tool, theirs) in theirs.tools {
                match seen.tools.get_mut(&tool) {
                    None => drop(seen.tools.insert(tool, theirs)),
                    Some(used) => {
                        used.decisions += theirs.decisions;
                        used.tasks.extend(theirs.tasks);
                        used.effects.extend(theirs.effects);
                        used.last = used.last.max(theirs.last);
                    }
                }
            }
        }
    }

    /// Ended tasks of a place.
    pub(super) fn ended_in(&self, seen: &Seen) -> u64 {
        let ended = seen.tasks.keys().filter(|task| self.ended.contains(task));
        ended.count() as u64
    }
}

impl Seen {
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.tasks.values().map(|life| life.0).min()
    }

    pub(super) fn last(&self) -> Option<Timestamp> {
        self.tasks.values().map(|life| life.1).max()
    }
}
