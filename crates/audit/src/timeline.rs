//! What happened in one task and everything below it, in the order of the log. Found by reading every leaf.

use std::collections::{BTreeSet, HashSet};

use bailiwick_core::event::{EventType, ParentRole};
use bailiwick_core::id::{EventId, TaskId};

use crate::leaf::Leaf;
use crate::read::{Directory, ReadError};

/// The events of a task's tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Root of the tree that the task asked for belongs to; the task itself if the log names no other.
    pub root: TaskId,
    /// The events with their indexes, ascending.
    pub events: Vec<(u64, Leaf)>,
    /// Intents without a result: their outcome is not known (yet).
    pub unanswered: Vec<EventId>,
    /// Leaves read to find them: the size up to which this is complete.
    pub size: u64,
}

/// The timeline of `task` and its whole tree, as far as this log has it.
pub fn timeline(directory: &Directory, task: TaskId) -> Result<Timeline, ReadError> {
    let root = root_of(directory, task)?.unwrap_or(task);
    let wanted = root.to_string();
    let mut family: BTreeSet<String> = BTreeSet::from([wanted]);
    let mut included: HashSet<EventId> = HashSet::new();
    let mut events = Vec::new();
    let mut size = 0;
    for entry in directory.entries(0) {
        let entry = entry?;
        size = entry.index + 1;
        let leaf = entry.parse()?;
        if belongs(&leaf, root, &family, &included) && included.insert(leaf.event.id) {
            if let Some(task) = &leaf.event.task {
                family.insert(task.id.to_string());
            }
            events.push((entry.index, leaf));
        }
    }
    let unanswered = unanswered(&events);
    Ok(Timeline {
        root,
        events,
        unanswered,
        size,
    })
}

/// The root that the first event of `task` names.
fn root_of(directory: &Directory, task: TaskId) -> Result<Option<TaskId>, ReadError> {
    for entry in directory.entries(0) {
        let leaf = entry?.parse()?;
        if let Some(found) = leaf.event.task.filter(|found| found.id == task) {
            return Ok(Some(found.root));
        }
    }
    Ok(None)
}

/// An event belongs if it names the tree, a link of its chain or its subject is a task of it, or an event of it set it off.
fn belongs(
    leaf: &Leaf,
    root: TaskId,
    family: &BTreeSet<String>,
    included: &HashSet<EventId>,
) -> bool {
    let event = &leaf.event;
    event.task.as_ref().is_some_and(|task| task.root == root)
        || event
            .chain
            .iter()
            .any(|link| family.contains(&link.task.to_string()))
        || event
            .change
            .as_ref()
            .is_some_and(|change| family.contains(&change.id))
        || event.cause.is_some_and(|cause| included.contains(&cause))
        || event
            .parents
            .iter()
            .any(|parent| included.contains(&parent.id))
}

fn unanswered(events: &[(u64, Leaf)]) -> Vec<EventId> {
    let answered: HashSet<EventId> = events
        .iter()
        .filter(|(_, leaf)| leaf.event.kind == EventType::ToolResult)
        .flat_map(|(_, leaf)| {
            let intents = leaf
                .event
                .parents
                .iter()
                .filter(|parent| parent.role == ParentRole::Intent);
            intents.map(|parent| parent.id).chain(leaf.event.cause)
        })
        .collect();
    let intents = events
        .iter()
        .map(|(_, leaf)| &leaf.event)
        .filter(|event| event.kind == EventType::ToolIntent);
    intents
        .map(|event| event.id)
        .filter(|id| !answered.contains(id))
        .collect()
}

#[cfg(test)]
mod tests;
