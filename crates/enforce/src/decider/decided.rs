//! What came of a call: the decision with the rows it was made on, and what policy was asked.

use std::sync::Arc;

use bailiwick_core::budget::Usage;
use bailiwick_core::decision::{Decision, Outcome, Versions};
use bailiwick_core::definition::Tool;
use bailiwick_core::server::Server;
use bailiwick_core::{Code, Effect, Problem};
use bailiwick_policy::Facts;

use crate::provenance::Judged;
use crate::replica::View;
use crate::trial::Tried;

/// A decision with the rows it was made on.
#[derive(Debug)]
pub struct Decided {
    /// The outcome.
    pub decision: Decision,
    /// The caller's rows; none if they are not known.
    pub view: Option<View>,
    /// The server.
    pub server: Option<Arc<Server>>,
    /// The tool.
    pub tool: Option<Arc<Tool>>,
    /// What the call does: the tool's effect, or what its arguments raise it to.
    pub effect: Effect,
    /// What policy was asked with, as the record keeps it; none if the call was refused before policy.
    pub input: Option<Vec<u8>>,
    /// What the bundle that is tried says, if one is and policy was asked.
    pub tried: Option<Tried>,
    /// Whether policy was observed and not enforced.
    pub observed: bool,
    /// What stands behind its arguments; nothing is known of it if the call was refused before policy.
    pub(crate) judged: Judged,
    /// What policy was told of a call that no row holds: with it, the call can be decided again.
    pub(crate) known: Option<Arc<Known>>,
    /// Microseconds it took.
    pub us: u64,
}

impl Decided {
    /// Whether the call may go on.
    pub fn allowed(&self) -> bool {
        self.decision.outcome == Outcome::Allow
    }
}

/// What policy was told of a call that no row holds.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: Facts,
    pub(crate) usage: Usage,
}

/// A decision with what policy was asked.
pub(super) struct Asked {
    pub(super) decision: Decision,
    pub(super) input: Option<Vec<u8>>,
    pub(super) tried: Option<Tried>,
    pub(super) judged: Judged,
    pub(super) known: Option<Arc<Known>>,
}

impl Asked {
    pub(super) fn before_policy(decision: Decision) -> Self {
        Self {
            decision,
            input: None,
            tried: None,
            judged: Judged::default(),
            known: None,
        }
    }
}

/// Of a call that could not be decided.
pub(super) fn refused(problem: Problem) -> Decided {
    let versions = Versions {
        bundle: None,
        task: 0,
        fence_seq: 0,
        replica_seq: 0,
    };
    let source = match problem.code {
        Code::ReplicaBehind => "replica",
        Code::ServerUnknown => "server",
        _ => "caller",
    };
    let decision = Decision::refused(
        problem.code,
        source,
        problem.message,
        problem.help,
        versions,
    );
    Decided {
        decision,
        view: None,
        server: None,
        tool: None,
        effect: Effect::Write,
        input: None,
        tried: None,
        observed: false,
        judged: Judged::default(),
        known: None,
        us: 0,
    }
}
