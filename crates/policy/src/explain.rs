//! Why a call was decided as it was, and the smallest changes that would allow it. For people with the right to read
//! explanations, never for the agent: an explanation must not be an oracle for whoever talked it into the call.
//!
//! Nothing is offered that was not tried: each change was applied to the call and decided again (P7).

mod because;
mod flip;
mod search;
mod step;

use bailiwick_core::decision::{Decision, Outcome};
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::call::Call;
pub use because::{Because, Shown};
pub(crate) use search::remedies;
pub use step::{Remedy, Step};

/// A decision with its grounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The decision, as [`Bundle::decide`] makes it.
    pub decision: Decision,
    /// The conditions that made the difference, those of one policy together: of a forbid what held, of a permit what did not.
    pub because: Vec<Because>,
    /// What would allow the call, smallest first; empty for an allowed call, and where nothing was found.
    pub would_allow: Vec<Remedy>,
}

/// Explains the decision on one call.
pub(crate) fn explain(bundle: &Bundle, call: &Call<'_>) -> Explanation {
    let decision = crate::decide::decide(bundle, call);
    let mut explanation = Explanation {
        because: because::because(bundle, call),
        would_allow: Vec::new(),
        decision,
    };
    if explanation.decision.outcome != Outcome::Allow {
        explanation.would_allow = remedies(bundle, &call.recorded());
        explanation.decision.would_allow = words(&explanation.would_allow);
    }
    explanation
}

fn words(remedies: &[Remedy]) -> Vec<String> {
    remedies.iter().map(Remedy::words).collect()
}
