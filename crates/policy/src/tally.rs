//! How decisions of one bundle differ from those of another, counted by agent, tool and effect, with a few examples of each.

use std::collections::BTreeMap;

use bailiwick_core::decision::{Decision, Obligation, Outcome};
use bailiwick_core::name::{AgentName, ToolRef};
use bailiwick_core::{Code, Effect};
use serde::{Deserialize, Serialize};

/// A group keeps at most this many examples of each shift.
pub const MAX_EXAMPLES: usize = 3;
/// A tally has at most this many groups; what belongs to a further one is counted in the sums and as `ungrouped`.
pub const MAX_GROUPS: usize = 10_000;

/// What becomes of a call that was decided in another way before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// It was allowed or waited for a person, and is denied.
    Denied,
    /// It was denied or waited for a person, and is allowed.
    Allowed,
    /// It was allowed or denied, and waits for a person.
    SteppedUp,
    /// The outcome is the same; what it asks for or obliges to is not.
    Terms,
}

/// What matters of a decision when two are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Allow, deny or step-up.
    pub outcome: Outcome,
    /// Duties, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
}

/// One call that is decided in another way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The event of the earlier decision, or what else the caller knows it by.
    pub event: String,
    /// How it differs.
    pub shift: Shift,
    /// What was decided.
    pub was: Outcome,
    /// What is decided now.
    pub now: Outcome,
    /// Code of what is decided now; none if it is allowed.
    pub code: Option<Code>,
    /// Policies, or checks, that stand for it now.
    pub sources: Vec<String>,
}

/// The differences of one agent, tool and effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The agent.
    pub agent: AgentName,
    /// The tool.
    pub tool: ToolRef,
    /// What the calls did.
    pub effect: Effect,
    /// How many shifted in which way.
    pub shifts: BTreeMap<Shift, u64>,
    /// The first few of each.
    pub examples: Vec<Example>,
}

/// All differences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Decisions that were compared.
    pub compared: u64,
    /// Decisions that could not be compared: agent, tool or its definition is no longer what it was.
    pub unanswerable: u64,
    /// How many shifted in which way, of all.
    pub shifts: BTreeMap<Shift, u64>,
    /// Differences beyond [`MAX_GROUPS`] groups.
    pub ungrouped: u64,
    /// In order of agent, tool and effect; only where something differs.
    pub groups: Vec<Group>,
}

impl Terms {
    /// Of a decision.
    pub fn of(decision: &Decision) -> Self {
        Self {
            outcome: decision.outcome,
            obligations: decision.obligations.clone(),
        }
    }

    /// How `now` differs from these; none if it does not.
    pub fn shift(&self, now: &Decision) -> Option<Shift> {
        match (self.outcome, now.outcome) {
            (was, now) if was != now => Some(match now {
                Outcome::Deny => Shift::Denied,
                Outcome::Allow => Shift::Allowed,
                Outcome::StepUp => Shift::SteppedUp,
            }),
            _ => (self.obligations != now.obligations).then_some(Shift::Terms),
        }
    }
}

impl Tally {
    /// How many calls shifted in this way.
    pub fn count(&self, shift: Shift) -> u64 {
        self.shifts.get(&shift).copied().unwrap_or(0)
    }

    /// How many calls are decided in another way.
    pub fn differing(&self) -> u64 {
        self.shifts.values().sum()
    }

    /// Counts one pair of decisions about the same call.
    pub fn add(
        &mut self,
        event: &str,
        (agent, tool, effect): (&AgentName, &ToolRef, Effect),
        was: &Terms,
        now: &Decision,
    ) -> Option<Shift> {
        self.compared += 1;
        let shift = was.shift(now)?;
        *self.shifts.entry(shift).or_default() += 1;
        let Some(group) = self.group(agent, tool, effect) else {
            self.ungrouped += 1;
            return Some(shift);
        };
        let seen = group.shifts.entry(shift).or_default();
        *seen += 1;
        if *seen <= MAX_EXAMPLES as u64 {
            group.examples.push(Example {
                event: event.to_owned(),
                shift,
                was: was.outcome,
                now: now.outcome,
                code: now.code,
                sources: now
                    .reasons
                    .iter()
                    .map(|reason| reason.source.clone())
                    .collect(),
            });
        }
        Some(shift)
    }

    /// Adds what another counted, of other calls. Of the examples the first of `self` stay.
    pub fn merge(&mut self, other: Self) {
        self.compared += other.compared;
        self.unanswerable += other.unanswerable;
        self.ungrouped += other.ungrouped;
        for (shift, count) in other.shifts {
            *self.shifts.entry(shift).or_default() += count;
        }
        for theirs in other.groups {
            let Some(group) = self.group(&theirs.agent, &theirs.tool, theirs.effect) else {
                self.ungrouped += theirs.shifts.values().sum::<u64>();
                continue;
            };
            for (shift, count) in theirs.shifts {
                *group.shifts.entry(shift).or_default() += count;
            }
            group.examples.extend(theirs.examples);
            let mut kept: BTreeMap<Shift, usize> = BTreeMap::new();
            group.examples.retain(|example| {
                let kept = kept.entry(example.shift).or_default();
                *kept += 1;
                *kept <= MAX_EXAMPLES
            });
        }
    }

    fn group(&mut self, agent: &AgentName, tool: &ToolRef, effect: Effect) -> Option<&mut Group> {
        let place = self.groups.binary_search_by(|group| {
            (&group.agent, &group.tool, group.effect).cmp(&(agent, tool, effect))
        });
        let at = match place {
            Ok(at) => at,
            Err(_) if self.groups.len() >= MAX_GROUPS => return None,
            Err(at) => {
                let group = Group {
                    agent: agent.clone(),
                    tool: tool.clone(),
                    effect,
                    shifts: BTreeMap::new(),
                    examples: Vec::new(),
                };
                self.groups.insert(at, group);
                at
            }
        };
        self.groups.get_mut(at)
    }
}
