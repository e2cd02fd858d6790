//! What came of a question: the decision with the rows it was made on, and what policy was asked. Rows and policy are those of one moment.

use std::sync::Arc;

use bailiwick_core::budget::Usage;
use bailiwick_core::decision::{Decision, Outcome, Versions};
use bailiwick_core::definition::Tool;
use bailiwick_core::server::Server;
use bailiwick_core::{Code, Effect, Problem, Timestamp};
use bailiwick_policy::{Evidence, Facts};

use super::LocalDecider;
use super::rows::Rows;
use crate::policies::Compiled;
use crate::provenance::Judged;
use crate::replica::View;
use crate::trial::Tried;

/// Times that a decision starts anew because the registry changed under it, before it gives up.
const MAX_ROUNDS: usize = 4;

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

impl Known {
    /// As it was told then, but for what is known of the process's code: that may have changed.
    pub(super) fn again(&self, view: &View, now: Timestamp) -> Self {
        let evidence = view.evidence.as_ref();
        Self {
            facts: Facts {
                evidence: evidence.map(|known| Evidence::of(known, now)),
                ..self.facts.clone()
            },
            usage: self.usage,
        }
    }

    /// Without what is known of one call and its arguments: what is done for it is no second question about these.
    pub(super) fn of_caller(&self) -> Self {
        Self {
            facts: Facts {
                provenance: None,
                first_use: None,
                arg_effects: None,
                items: None,
                ..self.facts.clone()
            },
            usage: self.usage,
        }
    }
}

/// A decision with what policy was asked.
pub(super) struct Asked {
    pub(super) decision: Decision,
    pub(super) input: Option<Vec<u8>>,
    pub(super) tried: Option<Tried>,
    pub(super) judged: Judged,
    pub(super) known: Option<Arc<Known>>,
}

/// A decision that policy was not asked for, or of which nothing more is kept.
impl From<Decision> for Asked {
    fn from(decision: Decision) -> Self {
        Self {
            decision,
            input: None,
            tried: None,
            judged: Judged::default(),
            known: None,
        }
    }
}

impl Asked {
    /// With the rows it was made on, at that time.
    pub(super) fn on(self, rows: Rows, now: Timestamp) -> Decided {
        Decided {
            decision: self.decision,
            input: self.input,
            tried: self.tried,
            judged: self.judged,
            known: self.known,
            observed: rows.rollout.observes(now),
            view: Some(rows.view),
            server: Some(rows.server),
            tool: rows.tool,
            effect: rows.effect,
            us: 0,
        }
    }
}

impl LocalDecider {
    /// Decides on rows and a bundle that was compiled for exactly these: begun anew while the registry changes under it.
    pub(super) async fn decided(
        &self,
        rows: impl Fn() -> Result<Rows, Problem>,
        decide: impl Fn(&Rows, Result<&Compiled, &Problem>, Timestamp) -> Asked,
    ) -> Decided {
        let started = self.clock.monotonic();
        for _ in 0..MAX_ROUNDS {
            // Compiling may wait; the rows are read after it, and count only if they are what the bundle was compiled for.
            let policy = self.policies.current(&self.replica).await;
            let rows = match rows() {
                Ok(rows) => rows,
                Err(problem) => return refused(problem),
            };
            if matches!(&policy, Ok(compiled) if compiled.registry != rows.registry) {
                continue;
            }
            let now = self.clock.wall();
            let asked = decide(&rows, policy.as_deref(), now);
            let took = self.clock.monotonic().saturating_sub(started);
            return Decided {
                us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                ..asked.on(rows, now)
            };
        }
        refused(Problem::new(
            Code::ReplicaBehind,
            "the registry changes faster than policy can follow",
            "try again",
        ))
    }
}

/// Of a call that could not be decided.
fn refused(problem: Problem) -> Decided {
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
