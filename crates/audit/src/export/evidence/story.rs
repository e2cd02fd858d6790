//! `timeline.txt` of a bundle: the story of each tree of tasks that its events are of, as `audit task` tells it, and a line for each event of
//! no task. It is told of the events in the bundle: whether those are all of a task, the bundle does not say.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bailiwick_core::Timestamp;
use bailiwick_core::event::EventType;
use bailiwick_core::id::TaskId;
use bailiwick_core::visible::Visible;

use crate::checkpoint::Checkpoint;
use crate::leaf::Leaf;
use crate::read::{Entry, ReadError};
use crate::timeline::{
    KeyFrom, LogSeen, Lookup, Mark, Placed, Revealed, Timeline, Words, plain, select,
};

/// Tells the events, which ascend by index and whose paths lead to the checkpoint. `revealed` are the values that the bundle discloses.
pub(super) fn tell(
    events: &[Entry],
    checkpoint: &Checkpoint,
    revealed: Revealed,
) -> Result<String, ReadError> {
    let words = Words {
        revealed,
        ..Words::default()
    };
    let mut roots: Vec<TaskId> = Vec::new();
    for entry in events {
        let task = entry.parse()?.event.task;
        if let Some(task) = task.filter(|task| !roots.contains(&task.root)) {
            roots.push(task.root);
        }
    }
    let mut text = String::new();
    let mut told: BTreeSet<u64> = BTreeSet::new();
    for root in roots {
        let found = select(events.iter().cloned().map(Ok), root)?;
        told.extend(found.entries.iter().map(|entry| entry.index));
        let mut placed = Vec::with_capacity(found.entries.len());
        for entry in found.entries {
            placed.push(Placed {
                origin: checkpoint.origin.clone(),
                index: entry.index,
                leaf: entry.parse()?,
                mark: Mark::Proven,
            });
        }
        let log = LogSeen {
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            looked: checkpoint.size,
            published: Some(checkpoint.size),
            key: KeyFrom::Nobody,
            witnessed: None,
            lookup: Lookup::Bundle,
        };
        let timeline = Timeline::assemble(root, placed, vec![log], found.cut);
        paragraph(&mut text, &plain(&timeline, &words, Timestamp::default()));
    }
    let mut rest = String::new();
    for entry in events.iter().filter(|entry| !told.contains(&entry.index)) {
        line(&mut rest, entry.index, &entry.parse()?);
    }
    if !rest.is_empty() {
        paragraph(&mut text, &format!("Events of no task\n{rest}"));
    }
    Ok(text)
}

fn paragraph(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(words.trim_end());
    text.push('\n');
}

/// One event of no story.
fn line(out: &mut String, index: u64, leaf: &Leaf) {
    let event = &leaf.event;
    let mut words = vec![format!("{index:>8}"), leaf.ts.to_string()];
    words.push(format!("{:<20}", EventType::as_str(event.kind)));
    words.extend(event.agent.as_ref().map(|agent| agent.id.to_string()));
    words.extend(event.actor.clone());
    words.extend(event.action.as_ref().map(|action| action.op.clone()));
    if let Some(change) = &event.change {
        words.push(format!("{} {}", change.kind, change.id));
    }
    let outcome = event.outcome.as_ref();
    words.extend(outcome.and_then(|outcome| outcome.code.clone()));
    // Writing to a String does not fail.
    let _ = writeln!(out, "{}", Visible(&words.join("  ")));
}
