//! Facts of the record, read once from its beginning: what was attested, registered and approved has to be on record **before** what
//! counts on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bailiwick_audit::Leaf;
use bailiwick_audit::read::Entry;
use bailiwick_core::decision::Outcome;
use bailiwick_core::event::{DecisionMode, Event, EventType, ParentRole};
use bailiwick_core::id::{EventId, InstanceId};
use bailiwick_core::name::{AgentName, ToolRef};
use bailiwick_core::{Digest, Effect, Timestamp};
use bailiwick_posture::evidence::{Measured, Place};

use super::rows::Rows;
use super::{Period, row};

/// A call that went out so shortly before the end may still run.
const RUNNING: Duration = Duration::from_mins(10);
/// A right-sizing counts for so long.
const SIZED: Duration = Duration::from_hours(90 * 24);
/// What the record says somebody opened it for, when it was a right-sizing.
const SIZING: &str = "right-sizing of agent ";

/// Takes leaves in the order of their log.
pub(super) struct Fold {
    period: Period,
    attested: HashSet<InstanceId>,
    registered: HashSet<AgentName>,
    approved: HashMap<ToolRef, HashSet<Digest>>,
    sized: HashSet<String>,
    acted: HashSet<InstanceId>,
    /// Calls without a result so far.
    running: HashMap<EventId, (Timestamp, Place)>,
    measured: BTreeMap<&'static str, Measured>,
    complete: bool,
}

impl Fold {
    /// Where the beginning of the record was pruned, what stands in the node's state counts as having been on record.
    pub(super) fn new(period: Period, pruned: bool, rows: &Rows) -> Self {
        let mut fold = Self {
            period,
            attested: HashSet::new(),
            registered: HashSet::new(),
            approved: HashMap::new(),
            sized: HashSet::new(),
            acted: HashSet::new(),
            running: HashMap::new(),
            measured: MEASURED
                .into_iter()
                .map(|id| (id, Measured::default()))
                .collect(),
            complete: true,
        };
        if pruned {
            fold.attested.extend(rows.attested.iter().copied());
            fold.registered.extend(rows.registered.iter().cloned());
            for (tool, digest) in &rows.approved {
                fold.approved
                    .entry(tool.clone())
                    .or_default()
                    .insert(*digest);
            }
        }
        fold
    }

    /// There was more than is looked at.
    pub(super) fn cut(&mut self) {
        self.complete = false;
    }

    pub(super) fn complete(&self) -> bool {
        self.complete
    }

    /// Whether a leaf can matter, without reading it.
    pub(super) fn wants(leaf: &[u8]) -> bool {
        std::str::from_utf8(leaf).is_ok_and(|leaf| WANTED.iter().any(|kind| leaf.contains(kind)))
    }

    pub(super) fn take(&mut self, entry: &Entry, leaf: &Leaf) {
        let (event, at) = (&leaf.event, leaf.ts);
        match event.kind {
            EventType::InstanceAttested => {
                let instance = event.agent.as_ref().and_then(|agent| agent.instance);
                self.attested.extend(instance);
            }
            EventType::AgentRegistered => {
                let name = event.change.as_ref().map(|change| change.id.as_str());
                let name = name.and_then(|name| name.parse().ok());
                self.registered.extend(name);
            }
            EventType::ToolPinned => self.pinned(event),
            EventType::LogRevealed => {
                let why = event.change.as_ref().and_then(|why| why.after.as_deref());
                let agent = why.and_then(|why| why.strip_prefix(SIZING));
                if at.plus(SIZED) >= self.period.until && at < self.period.until {
                    self.sized.extend(agent.map(str::to_owned));
                }
            }
            EventType::LogGap if self.period.has(at) => {
                self.count("F10", false, entry, event);
            }
            EventType::ToolIntent | EventType::EgressIntent if self.period.has(at) => {
                self.intent(entry, event, at);
            }
            kind if kind.is_result() => self.result(entry, event),
            _ => {}
        }
    }

    fn pinned(&mut self, event: &Event) {
        let Some(change) = &event.change else { return };
        let Ok(tool) = change.id.parse::<ToolRef>() else {
            return;
        };
        let mut words = change.after.as_deref().unwrap_or_default().split(' ');
        if words.next() == Some("Approved")
            && let Some(digest) = words.find_map(|word| word.parse().ok())
        {
            self.approved.entry(tool).or_default().insert(digest);
        }
    }

    fn intent(&mut self, entry: &Entry, event: &Event, at: Timestamp) {
        let decided = event.decision.as_ref().is_some_and(|decision| {
            decision.mode == DecisionMode::Enforce && decision.effect == Outcome::Allow
        });
        self.count("F03", decided, entry, event);
        if let Some(agent) = &event.agent {
            let known = self.registered.contains(&agent.id);
            self.count("F19", known, entry, event);
            if let Some(instance) = agent.instance.filter(|it| self.acted.insert(*it)) {
                let attested = self.attested.contains(&instance);
                self.measured
                    .entry("F02")
                    .or_default()
                    .count(attested, || row("instance", &instance));
            }
        } else {
            self.count("F19", false, entry, event);
        }
        if event.kind == EventType::ToolIntent {
            let pinned = definition(event).is_some_and(|(tool, digest)| {
                self.approved
                    .get(&tool)
                    .is_some_and(|known| known.contains(&digest))
            });
            self.count("F07", pinned, entry, event);
        }
        let escalates =
            event.action.as_ref().and_then(|action| action.effect) == Some(Effect::Escalate);
        if escalates {
            self.count("F09", event.approval.is_some(), entry, event);
        }
        self.running.insert(event.id, (at, place(entry, event)));
    }

    fn result(&mut self, entry: &Entry, event: &Event) {
        let of = event.parents.iter().find_map(|parent| {
            let of = parent.role == ParentRole::Intent;
            of.then_some(parent.id)
        });
        let Some(intent) = of.or(event.cause) else {
            return;
        };
        if self.running.remove(&intent).is_some() {
            self.count("F10", true, entry, event);
        }
    }

    fn count(&mut self, id: &'static str, good: bool, entry: &Entry, event: &Event) {
        let measured = self.measured.entry(id).or_default();
        measured.count(good, || place(entry, event));
    }

    pub(super) fn was_sized(&self, agent: &str) -> bool {
        self.sized.contains(agent)
    }

    pub(super) fn finish(mut self) -> BTreeMap<String, Measured> {
        let record = self.measured.entry("F10").or_default();
        let mut without: Vec<_> = self.running.into_values().collect();
        without.sort_by_key(|(_, place)| place.index);
        for (at, place) in without {
            if at.plus(RUNNING) <= self.period.until {
                record.count(false, || place);
            }
        }
        let measured = self.measured.into_iter();
        measured
            .map(|(id, measured)| (id.to_owned(), measured))
            .collect()
    }
}

fn place(entry: &Entry, event: &Event) -> Place {
    Place {
        kind: "event".to_owned(),
        id: event.id.to_string(),
        index: Some(entry.index),
        leaf_hash: Some(entry.leaf_hash().to_string()),
    }
}

fn definition(event: &Event) -> Option<(ToolRef, Digest)> {
    let action = event.action.as_ref()?;
    let tool = ToolRef {
        server: action.server.clone()?,
        tool: action.tool.clone()?,
    };
    Some((tool, action.definition?))
}

/// Facts that the record alone tells.
const MEASURED: [&str; 6] = ["F02", "F03", "F07", "F09", "F10", "F19"];

const WANTED: [&str; 9] = [
    "\"instance.attested\"",
    "\"agent.registered\"",
    "\"tool.pinned\"",
    "\"log.revealed\"",
    "\"log.gap\"",
    "\"tool.intent\"",
    "\"tool.result\"",
    "\"egress.intent\"",
    "\"egress.result\"",
];

#[cfg(test)]
mod tests;
