//! What people do to a task, or for an agent, as policy decides it: built-in actions of the bundle's schema (03).

use std::sync::Arc;

use bailiwick_core::budget::Usage;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::name::{AgentName, StageName};
use bailiwick_core::risk::Risk;
use bailiwick_core::task::Task;
use bailiwick_core::{Problem, Timestamp};
use bailiwick_policy::act::{self, Act, Asked, Told};
use bailiwick_policy::{Bundle, Facts};
use bailiwick_store::Tx;
use bailiwick_store::facts;

use crate::tools::Refusal;

/// A change of a task by a person.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    SetStage(StageName),
    SetRisk(Risk),
}

impl Deed {
    /// What policy says to `who` doing this to the task, if it is asked at all, or why it does not let them. Nobody is asked whether risk
    /// may rise.
    pub(super) fn decided(
        &self,
        policy: &Result<Arc<Bundle>, Problem>,
        tx: &dyn Tx,
        who: &str,
        task: &Task,
        now: Timestamp,
    ) -> Result<Option<Decision>, Refusal> {
        let (act, input) = match self {
            Self::SetStage(stage) => (Act::SetStage, ("to", Told::Text(stage.as_str()))),
            Self::SetRisk(risk) if *risk < task.risk => {
                let to = u64::try_from(risk.as_long()).unwrap_or(u64::MAX);
                (Act::LowerRisk, ("to", Told::Number(to)))
            }
            Self::SetRisk(_) => return Ok(None),
        };
        // Only what widens asks policy: risk rises whether or not policy can be read.
        let policy = policy.as_ref().map_err(Problem::clone)?;
        let chain = facts::chain(tx, task).ok_or_else(|| super::unknown(task.id))?;
        let asked = About {
            policy,
            task,
            chain: &chain,
            now,
            seq: tx.head(),
            facts: Facts::default(),
        };
        let decision = asked.decide(act, who, &task.id.to_string(), &[input]);
        match act::refusal(&decision) {
            Some(problem) => Err(problem.into()),
            None => Ok(Some(decision)),
        }
    }
}

/// The opening of a task, or of one below another.
pub(crate) struct About<'a> {
    pub(crate) policy: &'a Bundle,
    /// The task that is opened; of a delegation the one above it.
    pub(crate) task: &'a Task,
    pub(crate) chain: &'a Chain,
    pub(crate) now: Timestamp,
    /// Newest change of the store.
    pub(crate) seq: u64,
    /// What is known of the process that acts.
    pub(crate) facts: Facts,
}

impl About<'_> {
    /// Whether the task may be opened, to live so many seconds.
    pub(super) fn open(&self, life_s: u64) -> Decision {
        let input = [("life_s", Told::Number(life_s))];
        let agent = self.task.agent.as_str();
        self.decide(Act::OpenTask, agent, &self.task.id.to_string(), &input)
    }

    /// Whether the agent of the task may have another act below it.
    pub(crate) fn delegate(&self, to: &AgentName, life_s: u64) -> Decision {
        let input = [("agent", Told::Agent(to)), ("life_s", Told::Number(life_s))];
        let agent = self.task.agent.as_str();
        self.decide(Act::Delegate, agent, &self.task.id.to_string(), &input)
    }

    /// Whether the agent of the task may have a credential. It is not told for how long: nothing cuts that short here.
    pub(crate) fn lease(&self, credential: &str, input: &[(&'static str, Told<'_>)]) -> Decision {
        let asked = self.asked(Act::Lease, self.task.agent.as_str(), credential, input);
        self.policy.decide_act(&Asked {
            performs: &[],
            ..asked
        })
    }

    /// What policy says to an act.
    pub(crate) fn decide(
        &self,
        act: Act,
        principal: &str,
        resource: &str,
        input: &[(&'static str, Told<'_>)],
    ) -> Decision {
        self.policy
            .decide_act(&self.asked(act, principal, resource, input))
    }

    fn asked<'a>(
        &'a self,
        act: Act,
        principal: &'a str,
        resource: &'a str,
        input: &'a [(&'static str, Told<'a>)],
    ) -> Asked<'a> {
        Asked {
            act,
            principal,
            resource,
            input,
            task: self.task,
            chain: self.chain,
            // What a task has used, its enforcement point counts; policy about these acts sees none of it.
            usage: &NOTHING_USED,
            now: self.now,
            performs: PERFORMS,
            facts: &self.facts,
            versions: Versions {
                bundle: Some(self.policy.version()),
                task: self.task.version,
                fence_seq: self.seq,
                replica_seq: self.seq,
            },
        }
    }
}

const NOTHING_USED: Usage = Usage {
    calls: 0,
    writes: 0,
    escalations: 0,
};

/// The life of what is opened is cut.
const PERFORMS: &[&str] = &["max_ttl"];
