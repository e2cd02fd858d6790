//! The proof of a proposal: every decision on record is made again under it.

use bailiwick_core::Problem;
use bailiwick_core::decision::Outcome;
use bailiwick_core::scope::{Bounds, Draft, Scope};
use bailiwick_policy::{Bundle, Past, Tally};
use bailiwick_posture::rightsize::Subject;
use serde::Serialize;

use super::concerns;
use crate::policies::past::again;
use crate::policies::walk::{Met, Walk};

/// At least so many of a hundred decisions have to be replayable.
const LEAST_REPLAYABLE: u64 = 99;

/// What the record says of a proposal.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Proof {
    /// Decisions about calls in the window, of whatever agent.
    pub decisions: u64,
    /// Of these, refused before policy was asked.
    pub before_policy: u64,
    /// Of these, not replayable because input or arguments were not kept.
    pub unkept: u64,
    /// Of these, not replayable because their own bundle decides otherwise by now.
    pub drifted: u64,
    /// Of these, let through or held, and made again for the agent or workflow in question.
    pub allowed: u64,
    /// Decided otherwise by the active bundle already, and by the proposal in the same way.
    pub already: u64,
    /// Let through or held, and not within the proposed scope.
    pub outside_scope: u64,
    /// Whether all of the window was gone through.
    pub complete: bool,
    /// What the proposal, and not the active bundle, decides otherwise: the counter-examples.
    #[serde(flatten)]
    pub differs: Tally,
}

impl Proof {
    /// Nothing that was allowed or held is decided otherwise, and nearly everything could be made again.
    pub(super) fn holds(&self) -> bool {
        let lost = self.unkept + self.drifted + self.differs.unanswerable;
        let asked = self.decisions.saturating_sub(self.before_policy);
        let replayable = asked.saturating_sub(lost);
        self.complete
            && self.allowed > 0
            && self.differs.differing() == 0
            && self.outside_scope == 0
            && replayable.saturating_mul(100) >= asked.saturating_mul(LEAST_REPLAYABLE)
    }

    fn merge(&mut self, other: Self) {
        self.before_policy += other.before_policy;
        self.unkept += other.unkept;
        self.drifted += other.drifted;
        self.allowed += other.allowed;
        self.already += other.already;
        self.outside_scope += other.outside_scope;
        self.differs.merge(other.differs);
    }

    pub(super) fn decision(
        &mut self,
        made: Past,
        bundles: (&Bundle, &Bundle),
        asked: (&Subject, Option<&Scope>),
    ) {
        let (standing, candidate) = bundles;
        let (subject, scope) = asked;
        if concerns(subject, &made) && made.was.outcome != Outcome::Deny {
            self.allowed += 1;
            let input = &made.input;
            let (server, tool) = (input.tool.server.as_str(), input.tool.tool.as_str());
            if scope.is_some_and(|scope| !scope.names_tool(server, tool, input.effect)) {
                self.outside_scope += 1;
            }
        }
        let proposed = again(candidate, made.clone());
        if proposed.differing() > 0 && again(standing, made).shifts == proposed.shifts {
            self.already += 1;
            self.differs.compared += proposed.compared;
        } else {
            self.differs.merge(proposed);
        }
    }
}

/// Makes every decision again under the candidate, and where it differs under the active bundle.
pub(super) fn prove(
    walk: &Walk,
    subject: &Subject,
    bundles: (&Bundle, &Bundle),
    scope: Option<&Draft>,
) -> Result<Proof, Problem> {
    let scope = scope.and_then(|draft| draft.clone().fill(&Bounds::WIDEST).ok());
    let passed = walk.through(|part: &mut Proof, _, met| match met {
        Met::Ended => {}
        Met::BeforePolicy => part.before_policy += 1,
        Met::Unkept => part.unkept += 1,
        Met::Drifted(_) => part.drifted += 1,
        Met::Decision(made) => part.decision(*made, bundles, (subject, scope.as_ref())),
    })?;
    let mut whole = Proof {
        decisions: passed.decisions,
        complete: passed.complete,
        ..Proof::default()
    };
    for part in passed.parts {
        whole.merge(part);
    }
    Ok(whole)
}
