//! Budgets: how much a task may do. Counted on allowed calls only; a refusal costs nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Effect;

/// Upper bounds of a task; `None` is unlimited. A child's are cut to its parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Calls of any effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Calls with effect `write`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
    /// Calls with effect `escalate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalations: Option<u64>,
    /// Bytes sent out through egress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_bytes: Option<u64>,
    /// Spend units, as bindings count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend: Option<u64>,
    /// Wall time in seconds from the first call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time: Option<u64>,
}

impl Budget {
    /// No bound at all.
    pub const UNLIMITED: Self = Self {
        calls: None,
        writes: None,
        escalations: None,
        egress_bytes: None,
        spend: None,
        wall_time: None,
    };

    /// The tighter of two budgets, bound by bound.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self {
            calls: tighter(self.calls, other.calls),
            writes: tighter(self.writes, other.writes),
            escalations: tighter(self.escalations, other.escalations),
            egress_bytes: tighter(self.egress_bytes, other.egress_bytes),
            spend: tighter(self.spend, other.spend),
            wall_time: tighter(self.wall_time, other.wall_time),
        }
    }

    /// Whether every bound is at most the other's; names the first that is not.
    pub fn widening(&self, other: &Self) -> Option<&'static str> {
        let bounds = [
            ("calls", self.calls, other.calls),
            ("writes", self.writes, other.writes),
            ("escalations", self.escalations, other.escalations),
            ("egress_bytes", self.egress_bytes, other.egress_bytes),
            ("spend", self.spend, other.spend),
            ("wall_time", self.wall_time, other.wall_time),
        ];
        bounds
            .into_iter()
            .find(|(_, mine, theirs)| tighter(*mine, *theirs) != *mine)
            .map(|(name, ..)| name)
    }
}

fn tighter(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (bound, None) | (None, bound) => bound,
    }
}

/// What a task has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Calls of any effect.
    pub calls: u64,
    /// Calls with effect `write`.
    pub writes: u64,
    /// Calls with effect `escalate`.
    pub escalations: u64,
}

impl Usage {
    /// Counts one more call of this effect if `budget` allows it after `elapsed` since the first; otherwise names the
    /// bound that is used up and counts nothing.
    pub fn reserve(
        &mut self,
        budget: &Budget,
        effect: Effect,
        elapsed: Duration,
    ) -> Result<(), &'static str> {
        let over = |used: u64, bound: Option<u64>| bound.is_some_and(|bound| used >= bound);
        if over(self.calls, budget.calls) {
            return Err("calls");
        }
        if effect == Effect::Write && over(self.writes, budget.writes) {
            return Err("writes");
        }
        if effect == Effect::Escalate && over(self.escalations, budget.escalations) {
            return Err("escalations");
        }
        if over(elapsed.as_secs(), budget.wall_time) {
            return Err("wall_time");
        }
        self.count(effect);
        Ok(())
    }

    /// Counts one call that is known to have been allowed (replay of the record).
    pub fn count(&mut self, effect: Effect) {
        self.calls = self.calls.saturating_add(1);
        match effect {
            Effect::Read => {}
            Effect::Write => self.writes = self.writes.saturating_add(1),
            Effect::Escalate => self.escalations = self.escalations.saturating_add(1),
        }
    }
}
