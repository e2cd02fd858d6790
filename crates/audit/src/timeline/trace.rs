//! The tree of a task through the index: it names where events of the tree can be, round by round, until a round brings nothing new. What
//! belongs to the tree is then judged by the leaves, as if all of the log had been read ([`select`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use bailiwick_core::Timestamp;
use bailiwick_core::id::{EventId, InstanceId, TaskId};
use bailiwick_core::index::{BadFilter, Conditions, Key};

use super::find::{Found, MAX_EVENTS, is_worth_parsing, root_of, select};
use crate::leaf::Leaf;
use crate::lookup::{Lookup, MAX_READ};
use crate::read::{Directory, Entry, ReadError};

/// Rounds of questions: a delegation may be as deep, and each brings what was set off by what was found.
const MAX_ROUNDS: usize = 32;
/// Types of which events of others bear on a tree, while it lives.
const ASIDE: [&str; 3] = ["fence", "log.restored", "log.recovered"];
/// Type of the life of a process.
const INSTANCE: &str = "instance";

/// Finds the tree of `task` in a log. The leaves that were looked at, themselves or through the index, are counted in [`Found::looked`].
pub fn trace(
    directory: &Directory,
    lookup: &mut Lookup<'_>,
    size: u64,
    task: TaskId,
) -> Result<Found, ReadError> {
    let mut trace = Trace {
        directory,
        lookup,
        leaves: BTreeMap::new(),
        family: BTreeSet::new(),
        read: None,
        asked: Asked::default(),
    };
    trace.ask_about(task);
    trace.fetch()?;
    let entries = || trace.leaves.values().cloned().map(Ok);
    let root = root_of(entries(), task)?.unwrap_or(task);
    trace.ask_about(root);
    let mut found = None;
    for _ in 0..MAX_ROUNDS {
        trace.fetch()?;
        let entries = trace.leaves.values().cloned().map(Ok);
        let selected = select(entries, root)?;
        let more = trace.ask_further(&selected)?;
        found = Some(selected);
        if !more {
            break;
        }
    }
    let unread = trace.lookup.places(MAX_READ).unread;
    let found = found.unwrap_or(Found {
        root,
        entries: Vec::new(),
        looked: 0,
        cut: false,
    });
    Ok(Found {
        looked: size.saturating_sub(unread),
        ..found
    })
}

struct Trace<'l, 'i> {
    directory: &'l Directory,
    lookup: &'l mut Lookup<'i>,
    /// Leaves that may belong, by place.
    leaves: BTreeMap<u64, Entry>,
    /// Tasks of the tree, as text.
    family: BTreeSet<String>,
    /// What was read where the index knows nothing, and for which tasks.
    read: Option<(Vec<Range<u64>>, BTreeSet<String>)>,
    asked: Asked,
}

/// What was asked already.
#[derive(Default)]
struct Asked {
    tasks: BTreeSet<TaskId>,
    events: BTreeSet<EventId>,
    instances: BTreeSet<InstanceId>,
    window: Option<(Timestamp, Timestamp)>,
}

impl Trace<'_, '_> {
    fn ask_about(&mut self, task: TaskId) -> bool {
        if !self.asked.tasks.insert(task) {
            return false;
        }
        self.family.insert(task.to_string());
        self.ask(&[(Key::Task, &task.to_string())], None)
    }

    /// Asks what the events found so far lead to; true if that was not asked before.
    fn ask_further(&mut self, found: &Found) -> Result<bool, ReadError> {
        let mut more = false;
        let mut events = BTreeSet::new();
        let mut instances = BTreeSet::new();
        let mut window: Option<(Timestamp, Timestamp)> = None;
        let mut tasks = BTreeSet::new();
        for entry in &found.entries {
            let Leaf { hlc, event, .. } = entry.parse()?;
            events.insert(event.id);
            events.extend(event.cause);
            instances.extend(event.agent.and_then(|agent| agent.instance));
            let task = event.task.filter(|task| task.root == found.root);
            tasks.extend(task.map(|task| task.id));
            let at = hlc.wall();
            let (from, until) = window.unwrap_or((at, at));
            window = Some((from.min(at), until.max(at)));
        }
        for task in tasks {
            more |= self.ask_about(task);
        }
        let new: Vec<EventId> = events.difference(&self.asked.events).copied().collect();
        if !new.is_empty() {
            self.lookup.ask_linked(&new);
            self.asked.events.extend(new);
            more = true;
        }
        for instance in instances {
            if self.asked.instances.insert(instance) {
                let instance = instance.to_string();
                more |= self.ask(&[(Key::Type, INSTANCE), (Key::Instance, &instance)], None);
            }
        }
        if window.is_some() && window != self.asked.window {
            self.asked.window = window;
            for kind in ASIDE {
                more |= self.ask(&[(Key::Type, kind)], window);
            }
        }
        Ok(more)
    }

    fn ask(&mut self, values: &[(Key, &str)], window: Option<(Timestamp, Timestamp)>) -> bool {
        match conditions(values, window) {
            Ok(conditions) => self.lookup.ask(&conditions, MAX_EVENTS + 1),
            // What stands here are ids and types: no value of these is refused.
            Err(error) => tracing::error!(%error, "a question to the index is not well formed"),
        }
        true
    }

    /// Takes the leaves that may belong: from the places named, and from what the index does not know.
    fn fetch(&mut self) -> Result<(), ReadError> {
        let places = self.lookup.places(MAX_READ);
        let new = places.named.iter().copied();
        let new: Vec<u64> = new.filter(|at| !self.leaves.contains_key(at)).collect();
        for entry in self.directory.pick(new) {
            let entry = entry?;
            self.leaves.insert(entry.index, entry);
        }
        let now = (places.read, self.family.clone());
        if self.read.as_ref() != Some(&now) {
            for entry in self.directory.pick(now.0.iter().cloned().flatten()) {
                let entry = entry?;
                if is_worth_parsing(&entry, &self.family) {
                    self.leaves.insert(entry.index, entry);
                }
            }
            self.read = Some(now);
        }
        Ok(())
    }
}

fn conditions(
    values: &[(Key, &str)],
    window: Option<(Timestamp, Timestamp)>,
) -> Result<Conditions, BadFilter> {
    let mut conditions = Conditions::default();
    for (key, value) in values {
        conditions = conditions.and(*key, value)?;
    }
    // Logical time has no finer unit than the millisecond.
    let (from, until) = window.unzip();
    let until = until.map(|until| until.plus(Duration::from_millis(1)));
    Ok(conditions.between(from, until))
}
