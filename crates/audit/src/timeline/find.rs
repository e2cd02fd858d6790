//! Which events of a log belong to a task's tree: those that name it, those that such an event set off, and those of others that bear on
//! it: fences on whoever acts in it, the life of its processes, gaps of the log while it lived.

use std::collections::{BTreeSet, HashSet, VecDeque};

use bailiwick_core::event::{Event, EventType};
use bailiwick_core::id::{EventId, TaskId};

use super::is_gap;
use crate::leaf::Leaf;
use crate::read::{Directory, Entry, ReadError, mentions};

/// Most events of one story.
pub const MAX_EVENTS: usize = 10_000;
/// Most events of others that are kept in mind while the log is read, the newest.
const MAX_ASIDE: usize = 50_000;

/// The events of a task's tree in one log.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Root of the tree that the task asked for belongs to; the task itself if the log names no other.
    pub root: TaskId,
    /// The events as stored, ascending by index.
    pub entries: Vec<Entry>,
    /// The leaves that were looked at.
    pub looked: u64,
    /// Whether there were more than [`MAX_EVENTS`].
    pub cut: bool,
}

/// Finds the tree of `task` by reading every leaf of a log.
pub fn find(directory: &Directory, task: TaskId) -> Result<Found, ReadError> {
    let root = root_of(directory.entries(0), task)?.unwrap_or(task);
    select(directory.entries(0), root)
}

/// The root that the first event of `task` among these names.
pub fn root_of(
    entries: impl Iterator<Item = Result<Entry, ReadError>>,
    task: TaskId,
) -> Result<Option<TaskId>, ReadError> {
    let name = task.to_string();
    for entry in entries {
        let entry = entry?;
        if !mentions(&entry.leaf, &name) {
            continue;
        }
        if let Some(found) = entry.parse()?.event.task.filter(|found| found.id == task) {
            return Ok(Some(found.root));
        }
    }
    Ok(None)
}

/// Those of `entries`, which ascend by index, that belong to the tree of `root`.
pub fn select(
    entries: impl Iterator<Item = Result<Entry, ReadError>>,
    root: TaskId,
) -> Result<Found, ReadError> {
    let mut gather = Gather::new(root);
    let mut looked = 0;
    for entry in entries {
        let entry = entry?;
        looked = entry.index + 1;
        if is_worth_parsing(&entry, &gather.family) {
            let leaf = entry.parse()?;
            gather.take(entry, leaf);
        }
    }
    Ok(gather.finish(looked))
}

/// Most leaves of a log name neither the tree nor anything that could bear on it.
pub(super) fn is_worth_parsing(entry: &Entry, family: &BTreeSet<String>) -> bool {
    const ASIDE: [&str; 3] = [
        r#""type":"fence."#,
        r#""type":"instance."#,
        r#""type":"log."#,
    ];
    ASIDE.iter().any(|kind| mentions(&entry.leaf, kind))
        || family.iter().any(|task| mentions(&entry.leaf, task))
}

struct Gather {
    root: TaskId,
    /// Tasks of the tree, as text.
    family: BTreeSet<String>,
    included: HashSet<EventId>,
    tree: Vec<(Entry, Leaf)>,
    aside: VecDeque<(Entry, Leaf)>,
    cut: bool,
}

impl Gather {
    fn new(root: TaskId) -> Self {
        Self {
            root,
            family: BTreeSet::from([root.to_string()]),
            included: HashSet::new(),
            tree: Vec::new(),
            aside: VecDeque::new(),
            cut: false,
        }
    }

    fn take(&mut self, entry: Entry, leaf: Leaf) {
        if self.belongs(&leaf.event) {
            if !self.included.insert(leaf.event.id) {
                return;
            }
            if self.tree.len() >= MAX_EVENTS {
                self.cut = true;
                return;
            }
            if let Some(task) = &leaf.event.task {
                self.family.insert(task.id.to_string());
            }
            self.tree.push((entry, leaf));
        } else if bears_on_others(leaf.event.kind) {
            if self.aside.len() >= MAX_ASIDE {
                self.aside.pop_front();
            }
            self.aside.push_back((entry, leaf));
        }
    }

    /// An event belongs if it names the tree, a link of its chain or its subject is a task of it, or an event of it set it off.
    fn belongs(&self, event: &Event) -> bool {
        event
            .task
            .as_ref()
            .is_some_and(|task| task.root == self.root)
            || event
                .chain
                .iter()
                .any(|link| self.family.contains(&link.task.to_string()))
            || event
                .change
                .as_ref()
                .is_some_and(|change| self.family.contains(&change.id))
            || event
                .cause
                .is_some_and(|cause| self.included.contains(&cause))
            || event
                .parents
                .iter()
                .any(|parent| self.included.contains(&parent.id))
    }

    fn finish(mut self, looked: u64) -> Found {
        let bearing = Bearing::of(&self.tree, &self.family);
        let aside = std::mem::take(&mut self.aside);
        let mut fences = HashSet::new();
        for (entry, leaf) in aside {
            let set_off = leaf
                .event
                .cause
                .is_some_and(|cause| fences.contains(&cause));
            if set_off || bearing.on(&leaf) {
                fences.insert(leaf.event.id);
                self.tree.push((entry, leaf));
            }
        }
        self.tree.sort_by_key(|(entry, _)| entry.index);
        Found {
            root: self.root,
            entries: self.tree.into_iter().map(|(entry, _)| entry).collect(),
            looked,
            cut: self.cut,
        }
    }
}

fn bears_on_others(kind: EventType) -> bool {
    is_gap(kind)
        || matches!(
            kind,
            EventType::FenceSet
                | EventType::FenceLifted
                | EventType::FenceReached
                | EventType::InstanceAttested
                | EventType::InstanceExited
        )
}

/// Who acts in a tree and when, for what events of others bear on it.
struct Bearing {
    subjects: BTreeSet<String>,
    instances: BTreeSet<String>,
    /// Events that are named as what set an event of the tree off.
    causes: HashSet<EventId>,
    from: u64,
    until: u64,
}

impl Bearing {
    fn of(tree: &[(Entry, Leaf)], family: &BTreeSet<String>) -> Self {
        let mut subjects: BTreeSet<String> =
            family.iter().map(|task| format!("task/{task}")).collect();
        subjects.extend(["trust_domain".to_owned(), "trust_domain/".to_owned()]);
        let (mut instances, mut causes) = (BTreeSet::new(), HashSet::new());
        let (mut from, mut until) = (u64::MAX, 0);
        for (_, leaf) in tree {
            let event = &leaf.event;
            from = from.min(leaf.hlc.0);
            until = until.max(leaf.hlc.0);
            causes.extend(event.cause);
            subjects.extend(event.owner.as_ref().map(|owner| format!("owner/{owner}")));
            if let Some(agent) = &event.agent {
                subjects.insert(format!("agent/{}", agent.id));
                instances.extend(agent.instance.map(|instance| instance.to_string()));
            }
            if let Some(server) = event.action.as_ref().and_then(|it| it.server.as_ref()) {
                subjects.insert(format!("server/{server}"));
                let tool = event.action.as_ref().and_then(|it| it.tool.as_ref());
                subjects.extend(tool.map(|tool| format!("tool/{server}/{tool}")));
            }
            if let Some(lease) = &event.lease {
                subjects.insert(format!("lease/{}", lease.id));
                subjects.insert(format!("credential/{}", lease.credential));
            }
            let tokens = event.chain.iter().filter_map(|link| link.jti);
            subjects.extend(tokens.map(|token| format!("token/{token}")));
        }
        subjects.extend(
            instances
                .iter()
                .map(|instance| format!("instance/{instance}")),
        );
        Self {
            subjects,
            instances,
            causes,
            from,
            until,
        }
    }

    fn on(&self, leaf: &Leaf) -> bool {
        let event = &leaf.event;
        let meanwhile = (self.from..=self.until).contains(&leaf.hlc.0);
        match event.kind {
            EventType::InstanceAttested | EventType::InstanceExited => event
                .agent
                .as_ref()
                .and_then(|agent| agent.instance)
                .is_some_and(|instance| self.instances.contains(&instance.to_string())),
            EventType::FenceSet | EventType::FenceLifted => {
                let subject = event.change.as_ref().and_then(|it| it.after.as_deref());
                self.causes.contains(&event.id)
                    || meanwhile && subject.is_some_and(|it| self.subjects.contains(it))
            }
            kind => meanwhile && is_gap(kind),
        }
    }
}
