//! A standing approval (07 of the design): one answer for a call and the next few alike in its task. Each of these is an approval of its own, bound
//! to its own call and used once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Approval, ApprovalState};
use crate::json::{Limits, Numbers, check};
use crate::label::Labels;
use crate::name::StageName;

/// Most arguments that may vary.
pub const MAX_VARY: usize = 16;

/// What more calls a yes is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How many are left.
    pub left: u32,
    /// How many there were.
    pub used: u32,
    /// Names of the arguments that may be otherwise or missing; every other one is the same.
    pub vary: BTreeSet<String>,
    /// The task's stage when it was answered. In another stage people are asked again.
    pub stage: StageName,
    /// The task's labels when it was answered. With another label people are asked again.
    pub labels: Labels,
}

impl Approval {
    /// Whether the yes to this one is for `wanted`, asked for just now, too; its task is at `stage` and carries `labels`.
    pub fn stands_for(&self, wanted: &Self, stage: &StageName, labels: &Labels) -> bool {
        let Some(standing) = &self.standing else {
            return false;
        };
        let given = match self.state {
            ApprovalState::Consumed => true,
            ApprovalState::Approved => wanted.requested_at < self.expires_at,
            _ => false,
        };
        // What stopped it has to have been shown, and may have become stricter.
        let asks_no_more = self.quorum >= wanted.quorum
            && standing.used < wanted.standing_at_most
            && wanted.reasons.iter().all(|why| {
                let shown = self.reasons.iter();
                shown
                    .map(|shown| &shown.source)
                    .any(|source| *source == why.source)
            })
            && wanted
                .discharges
                .iter()
                .all(|token| self.discharges.contains(token));
        let same_call = self.task == wanted.task
            && self.agent == wanted.agent
            && self.tool == wanted.tool
            && self.effect == wanted.effect
            && self.definition == wanted.definition;
        let same_circumstances = wanted.risk <= self.risk
            && *stage == standing.stage
            && labels.iter().all(|label| standing.labels.contains(label));
        given
            && standing.left > 0
            && asks_no_more
            && same_call
            && same_circumstances
            && self.is_alike(wanted, &standing.vary)
    }

    /// Takes back what is left of a yes for more calls, and the yes itself if nothing has run under it yet. False if there is nothing to
    /// take back.
    pub fn withdraw(&mut self) -> bool {
        let Some(standing) = self.standing.as_mut().filter(|standing| standing.left > 0) else {
            return false;
        };
        standing.left = 0;
        if !self.void() {
            self.version = self.version.saturating_add(1);
        }
        true
    }

    /// Names of the outermost arguments; none if the arguments are not an object.
    pub fn argument_names(&self) -> BTreeSet<String> {
        arguments(&self.arguments)
            .unwrap_or_default()
            .into_keys()
            .collect()
    }

    fn is_alike(&self, wanted: &Self, vary: &BTreeSet<String>) -> bool {
        let fixed = |text: &str| {
            let mut members = arguments(text)?;
            members.retain(|name, _| !vary.contains(name));
            Some(members)
        };
        let (ours, theirs) = (fixed(&self.arguments), fixed(&wanted.arguments));
        ours.is_some() && ours == theirs
    }
}

/// The outermost arguments in canonical form, numbers digit for digit; none if these are no arguments.
fn arguments(text: &str) -> Option<BTreeMap<String, Vec<u8>>> {
    let text = check(text.as_bytes(), &Limits::ENVELOPE.case_sensitive()).ok()?;
    let members = text.members()?.into_iter().map(|member| {
        let value = member.value.canonical(Numbers::AsWritten).ok()?;
        Some((member.key.into_owned(), value))
    });
    members.collect()
}
