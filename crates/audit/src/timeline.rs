//! What happened in one task and everything below it, as a story: the events of all logs in one order, each result beside its intent, each
//! step with a mark that says whether its leaf was found in the signed tree. Pure but for reading a log's files (`find`, `proven`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bailiwick_core::Timestamp;
use bailiwick_core::event::{EventType, ParentRole, Status};
use bailiwick_core::id::{EventId, TaskId};
use serde::{Deserialize, Serialize};

use crate::leaf::Leaf;

pub use chain::{Identity, identities, render_chain};
pub use find::{Found, MAX_EVENTS, find, root_of, select};
pub use moment::{Moment, moment, render_moment};
pub use proven::{Inclusion, Mark, Marker, inclusion};
pub use render::{Tone, View, plain, render};
pub use sent::{Answer, SentEvent, SentLog};
pub use story::{Line, Place, Verdict, Words, tell};
pub use trace::trace;

mod chain;
mod columns;
mod find;
mod moment;
mod names;
mod phrase;
mod proven;
mod render;
mod sent;
mod story;
#[cfg(test)]
mod tests;
mod trace;

/// An event of the story, with its place and what was found out about it there.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The log: `<trust domain>/<node>`.
    pub origin: String,
    /// Its place in that log.
    pub index: u64,
    /// What it says.
    pub leaf: Leaf,
    /// Whether it is in the signed tree.
    pub mark: Mark,
}

impl Placed {
    /// When, by the clock that never falls.
    pub fn at(&self) -> Timestamp {
        self.leaf.hlc.wall()
    }

    pub(crate) fn id(&self) -> EventId {
        self.leaf.event.id
    }

    pub(crate) fn kind(&self) -> EventType {
        self.leaf.event.kind
    }
}

/// One log as far as it was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSeen {
    /// `<trust domain>/<node>`.
    pub origin: String,
    /// Durable events at that time.
    pub size: u64,
    /// Events that were looked at, themselves or through an index. Less than `size`: the story may lack something.
    pub looked: u64,
    /// Events under the checkpoint that the marks are about; none before the first.
    pub published: Option<u64>,
    /// Whether the checkpoint's signature was checked, and with whose key.
    pub key: KeyFrom,
    /// How far others vouch for it.
    pub witnessed: Option<Witnessed>,
    /// How the events were found.
    pub lookup: Lookup,
}

/// Where the key came from that a checkpoint was checked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFrom {
    /// From the reader: what a verdict can rest on.
    Reader,
    /// From the node itself.
    Node,
    /// No key: the leaves fit the checkpoint, and whose checkpoint it is was not asked.
    Nobody,
}

/// How events were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// Every leaf was read.
    Scan,
    /// The index told where they are, and the leaves were read there.
    Index,
    /// Somebody chose them for a bundle of evidence.
    Bundle,
}

/// How many witnesses vouch for a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// Witnesses that have cosigned.
    pub have: u64,
    /// Witnesses asked.
    pub of: u64,
    /// Whether they are as many as the node demands, and recently.
    pub enough: bool,
    /// Since when.
    pub at: Option<Timestamp>,
}

/// The events of a task's tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Root of the tree that the task asked for belongs to; the task itself if the logs name no other.
    pub root: TaskId,
    /// The events, ordered by (`hlc`, origin, index); an event that was delivered twice is here once.
    pub events: Vec<Placed>,
    /// The logs that they are from.
    pub logs: Vec<LogSeen>,
    /// Whether there are more events than a story tells ([`MAX_EVENTS`]).
    pub cut: bool,
    /// Times that sealed values of these events were opened.
    pub opened: u64,
}

/// Whether the record of a task is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wholeness {
    /// Nothing below speaks against it.
    pub complete: bool,
    /// Events told.
    pub events: u64,
    /// Logs they are from.
    pub logs: u64,
    /// Places in the task's time where a log says that something may be missing.
    pub gaps: u64,
    /// Calls whose outcome is not known and will not be.
    pub unknown: Vec<EventId>,
    /// Calls that run.
    pub running: Vec<EventId>,
    /// Leaves that are in a log and not in its signed tree, or not as they were.
    pub altered: u64,
    /// Events behind the newest checkpoint.
    pub unpublished: u64,
    /// Durable events that were not looked at.
    pub unread: u64,
    /// There are more events than are told.
    pub cut: bool,
}

impl Timeline {
    /// Brings the events of several logs into one order.
    pub fn assemble(root: TaskId, mut events: Vec<Placed>, logs: Vec<LogSeen>, cut: bool) -> Self {
        events.sort_by(|a, b| {
            (a.leaf.hlc, &a.origin, a.index).cmp(&(b.leaf.hlc, &b.origin, b.index))
        });
        let mut known = HashSet::new();
        events.retain(|placed| known.insert(placed.id()));
        let before = events.len();
        // That somebody read the story is no part of it.
        events.retain(|placed| placed.kind() != EventType::LogRevealed);
        let opened = (before - events.len()) as u64;
        Self {
            root,
            events,
            logs,
            cut,
            opened,
        }
    }

    /// Tasks of the tree in the order they were opened, the root first.
    pub fn tasks(&self) -> Vec<TaskId> {
        let mut tasks = vec![self.root];
        for placed in &self.events {
            if let Some(task) = &placed.leaf.event.task
                && !tasks.contains(&task.id)
            {
                tasks.push(task.id);
            }
        }
        tasks
    }

    /// Whether the record is whole, as far as it can be told.
    pub fn wholeness(&self) -> Wholeness {
        let ended: HashSet<TaskId> = self
            .of_kind(EventType::TaskEnded)
            .filter_map(|placed| placed.leaf.event.task.as_ref().map(|task| task.id))
            .collect();
        let results = self.results();
        let (mut unknown, mut running) = (Vec::new(), Vec::new());
        for intent in self.of(|kind| kind.result().is_some()) {
            let task = intent.leaf.event.task.as_ref().map(|task| task.id);
            match results.get(&intent.id()) {
                Some(result) if status(result) == Some(Status::Unknown) => {
                    unknown.push(intent.id());
                }
                Some(_) => {}
                None if task.is_some_and(|task| ended.contains(&task)) => unknown.push(intent.id()),
                None => running.push(intent.id()),
            }
        }
        let gaps = self
            .events
            .iter()
            .filter(|placed| is_gap(placed.kind()))
            .count();
        let marked = |wanted: fn(&Mark) -> bool| {
            self.events
                .iter()
                .filter(|placed| wanted(&placed.mark))
                .count() as u64
        };
        let altered = marked(|mark| matches!(mark, Mark::Failed { .. }));
        let unread = self
            .logs
            .iter()
            .map(|log| log.size.saturating_sub(log.looked))
            .sum();
        let chosen = self.logs.iter().any(|log| log.lookup == Lookup::Bundle);
        let sound = gaps == 0 && unknown.is_empty() && altered == 0;
        let complete = sound && unread == 0 && !self.cut && !chosen;
        Wholeness {
            complete,
            events: self.events.len() as u64,
            logs: self.logs.len() as u64,
            gaps: gaps as u64,
            unknown,
            running,
            altered,
            unpublished: marked(|mark| matches!(mark, Mark::Unpublished)),
            unread,
            cut: self.cut,
        }
    }

    fn of_kind(&self, kind: EventType) -> impl Iterator<Item = &Placed> {
        self.of(move |found| found == kind)
    }

    fn of(&self, kinds: impl Fn(EventType) -> bool) -> impl Iterator<Item = &Placed> {
        self.events
            .iter()
            .filter(move |placed| kinds(placed.kind()))
    }

    /// Results by the intent they answer.
    fn results(&self) -> HashMap<EventId, &Placed> {
        let mut results = HashMap::new();
        for placed in self.of(EventType::is_result) {
            let event = &placed.leaf.event;
            let intents = event
                .parents
                .iter()
                .filter(|parent| parent.role == ParentRole::Intent)
                .map(|parent| parent.id)
                .chain(event.cause);
            for intent in intents {
                results.entry(intent).or_insert(placed);
            }
        }
        results
    }
}

/// What a log says where it may lack something: events that could only be counted, a tail that was torn.
fn is_gap(kind: EventType) -> bool {
    matches!(kind, EventType::LogRestored | EventType::LogRecovered)
}

fn status(placed: &Placed) -> Option<Status> {
    placed
        .leaf
        .event
        .outcome
        .as_ref()
        .map(|outcome| outcome.status)
}

/// Opened values by event and path, as text.
pub type Revealed = BTreeMap<EventId, BTreeMap<String, String>>;

/// What is known of who stands behind a pseudonym or an account, for a reader who may know.
pub type People = BTreeMap<String, String>;

/// Events whose sealed values a story shows once they are opened.
pub fn worth_revealing(timeline: &Timeline) -> Vec<EventId> {
    let shown = |kind| {
        matches!(
            kind,
            EventType::TaskOpened
                | EventType::ToolIntent
                | EventType::ToolHeld
                | EventType::ToolRefused
                | EventType::EgressIntent
                | EventType::EgressRefused
                | EventType::ApprovalAnswered
                | EventType::ApprovalConsumed
                | EventType::FenceSet
                | EventType::FenceLifted
        )
    };
    let mut seen = BTreeSet::new();
    timeline
        .events
        .iter()
        .filter(|placed| shown(placed.kind()))
        .filter(|placed| placed.leaf.sealed.iter().any(|sealed| sealed.kept))
        .map(Placed::id)
        .filter(|id| seen.insert(*id))
        .collect()
}
