//! Granted against used: what of an agent's or a workflow's authority nothing on record needed, and how sure that is
//! (08 of the design, *Right-sizing*).
//!
//! Pure. The caller reads the record and asks policy what is granted; the proof, by making recorded decisions again, is the
//! caller's too. What was allowed, or held for a person, is always kept.

mod guard;
mod hold_out;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::name::{StageName, ToolRef, WorkflowName};
use bailiwick_core::{Effect, Timestamp};
use serde::{Deserialize, Serialize};

pub use guard::{Subject, guard};
pub use hold_out::HoldOut;
use usage::Seen;
pub use usage::Usage;

/// Where a task is: authority is cut down for each such place by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The workflow.
    pub workflow: WorkflowName,
    /// The stage.
    pub stage: StageName,
}

/// How policy answers a tool that is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Every call waits for a person.
    StepUp,
    /// It depends on the arguments.
    Depends,
    /// Every call is allowed.
    Allow,
}

/// A tool that scope, stage and policy let through, in circumstances that are on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// What its calls do at least.
    pub effect: Effect,
    /// The widest answer.
    pub way: Way,
}

/// How much has to be on record before something is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// Ended tasks, of all places together.
    pub tasks: u64,
    /// Days between the first and the last of them.
    pub days: u64,
    /// The last is at most so many days old.
    pub fresh_days: u64,
    /// Ended tasks of a place that did without, before an unused `escalate` goes.
    pub escalate: u64,
    /// The same for `write`.
    pub write: u64,
    /// The same for `read`.
    pub read: u64,
    /// A used tool that was not used for so many days is marked as stale.
    pub stale_days: u64,
}

impl Terms {
    /// What is asked unless somebody asks for less. At 20, 59 and 299 tasks, something that none of them used is needed by at
    /// most 14 %, 5 % and 1 % of tasks (95 % confidence).
    pub const USUAL: Self = Self {
        tasks: 20,
        days: 14,
        fresh_days: 7,
        escalate: 20,
        write: 59,
        read: 299,
        stale_days: 45,
    };

    /// So many tasks suffice for every effect.
    #[must_use]
    pub fn after_tasks(self, tasks: u64) -> Self {
        let tasks = tasks.max(1);
        Self {
            tasks,
            escalate: tasks,
            write: tasks,
            read: tasks,
            ..self
        }
    }

    /// So many days suffice.
    #[must_use]
    pub fn over_days(self, days: u64) -> Self {
        Self { days, ..self }
    }

    fn needed(&self, effect: Effect) -> u64 {
        match effect {
            Effect::Read => self.read,
            Effect::Write => self.write,
            Effect::Escalate => self.escalate,
        }
    }
}

/// Why a tool stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It was allowed, or a person was asked for it.
    Used,
    /// It was, but not of late.
    Stale,
    /// Calls of it are on record whose task's place is not known any more.
    Unplaced,
    /// Somebody said so.
    Asked,
    /// Too few tasks are on record to tell.
    SampleTooSmall,
}

/// A tool that stays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which.
    pub tool: ToolRef,
    /// What its calls did, or would do.
    pub effects: BTreeSet<Effect>,
    /// Decisions that allowed or held a call.
    pub decisions: u64,
    /// Tasks that made them.
    pub tasks: u64,
    /// When the last was decided.
    pub last: Option<Timestamp>,
    /// Why it stays.
    pub why: Why,
}

/// A tool that goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Removed {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// Which.
    pub tool: ToolRef,
    /// How it is granted.
    #[serde(flatten)]
    pub granted: Granted,
    /// Ended tasks of the place, none of which used it.
    pub tasks: u64,
    /// At most this share of tasks needs it, in percent, rounded up (95 % confidence).
    pub needed_by_at_most: f64,
}

/// What is on record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Tasks that were seen.
    pub tasks: u64,
    /// Of these, ended.
    pub ended: u64,
    /// First decision.
    pub first: Option<Timestamp>,
    /// Last decision.
    pub last: Option<Timestamp>,
    /// What is asked for.
    pub terms: Terms,
    /// What is missing of that; empty if nothing is.
    pub missing: Vec<String>,
}

/// A smaller grant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// What it rests on.
    pub sample: Sample,
    /// In order of place and tool.
    pub kept: Vec<Kept>,
    /// In order of place and tool; empty if the sample is too small.
    pub removed: Vec<Removed>,
    /// How one made from the older tasks would have fared with the newer.
    pub hold_out: Option<HoldOut>,
}

/// Compares. `asked` stays whatever is on record.
pub fn propose(
    usage: &Usage,
    granted: &BTreeMap<Place, BTreeMap<ToolRef, Granted>>,
    asked: &BTreeSet<ToolRef>,
    terms: &Terms,
    now: Timestamp,
) -> Proposal {
    let sample = sample(usage, terms, now);
    let mut proposal = Proposal {
        kept: Vec::new(),
        removed: Vec::new(),
        hold_out: None,
        sample,
    };
    let enough = proposal.sample.missing.is_empty();
    let mut cut: BTreeMap<&Place, BTreeSet<Effect>> = BTreeMap::new();
    for (place, seen) in &usage.places {
        let nothing = BTreeMap::new();
        let granted = granted.get(place).unwrap_or(&nothing);
        let ended = usage.ended_in(seen);
        // What was used stays even where nobody may use it now: a tool that waits for a look will be back.
        let tools = granted.keys().chain(seen.tools.keys());
        let tools: BTreeSet<&ToolRef> = tools.chain(&usage.unplaced).collect();
        for tool in tools {
            let (used, granted) = (seen.tools.get(tool), granted.get(tool));
            let effect = granted.map(|granted| granted.effect);
            let goes = granted.filter(|granted| enough && ended >= terms.needed(granted.effect));
            let why = match (used, goes) {
                (Some(used), _) if used.last.plus(days(terms.stale_days)) < now => Why::Stale,
                (Some(_), _) => Why::Used,
                _ if usage.unplaced.contains(tool) => Why::Unplaced,
                _ if asked.contains(tool) => Why::Asked,
                (None, Some(granted)) => {
                    cut.entry(place).or_default().insert(granted.effect);
                    proposal.removed.push(Removed {
                        place: place.clone(),
                        tool: tool.clone(),
                        granted: *granted,
                        tasks: ended,
                        needed_by_at_most: needed_by_at_most(ended),
                    });
                    continue;
                }
                (None, None) => Why::SampleTooSmall,
            };
            let effects = used.map(|used| used.effects.clone()).unwrap_or_default();
            proposal.kept.push(Kept {
                place: place.clone(),
                tool: tool.clone(),
                effects: effects.into_iter().chain(effect).collect(),
                decisions: used.map_or(0, |used| used.decisions),
                tasks: used.map_or(0, |used| used.tasks.len() as u64),
                last: used.map(|used| used.last),
                why,
            });
        }
    }
    proposal.hold_out = hold_out::try_out(usage, granted, asked, &cut);
    proposal
}

fn sample(usage: &Usage, terms: &Terms, now: Timestamp) -> Sample {
    let places = || usage.places.values();
    let tasks: BTreeSet<_> = places().flat_map(|seen| seen.tasks.keys()).collect();
    let ended = tasks
        .iter()
        .filter(|task| usage.ended.contains(task))
        .count() as u64;
    let first = places().filter_map(Seen::first).min();
    let last = places().filter_map(Seen::last).max();
    let mut missing = Vec::new();
    if ended < terms.tasks {
        missing.push(format!(
            "{ended} ended tasks are on record, {} are asked for",
            terms.tasks
        ));
    }
    if let (Some(first), Some(last)) = (first, last) {
        if last.since(first) < days(terms.days) {
            missing.push(format!(
                "they lie {} whole days apart, {} are asked for",
                last.since(first).as_secs() / DAY,
                terms.days
            ));
        }
        if last.plus(days(terms.fresh_days)) < now {
            missing.push(format!(
                "none of them is of the last {} days",
                terms.fresh_days
            ));
        }
    }
    Sample {
        tasks: tasks.len() as u64,
        ended,
        first,
        last,
        terms: *terms,
        missing,
    }
}

/// If `n` tasks did without, at most this percentage of tasks needs it: what 1 − 0.05^(1/n) gives, rounded up to a tenth.
fn needed_by_at_most(tasks: u64) -> f64 {
    let tasks = f64::from(u32::try_from(tasks.max(1)).unwrap_or(u32::MAX));
    let share = 1.0 - 0.05_f64.powf(1.0 / tasks);
    (share * 1_000.0).ceil() / 10.0
}

fn days(days: u64) -> std::time::Duration {
    std::time::Duration::from_secs(days.saturating_mul(DAY))
}

/// Seconds.
const DAY: u64 = 86_400;

#[cfg(test)]
mod tests;
