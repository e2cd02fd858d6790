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
use bailiwick_policy::{Bundle, NO_FACTS};
use bailiwick_store::facts;
use bailiwick_store::{StoreError, Tx};

/// A change of a task by a person.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    SetStage(StageName),
    SetRisk(Risk),
}

impl Deed {
    /// Why policy does not let `who` do this to the task; none if it does. Nobody is asked whether risk may rise.
    pub(super) fn refusal(
        &self,
        policy: &Result<Arc<Bundle>, Problem>,
        tx: &dyn Tx,
        who: &str,
        task: &Task,
        now: Timestamp,
    ) -> Result<Option<Problem>, StoreError> {
        let (act, input) = match self {
            Self::SetStage(stage) => (Act::SetStage, ("to", Told::Text(stage.as_str()))),
            Self::SetRisk(risk) if *risk < task.risk => {
                let to = u64::try_from(risk.as_long()).unwrap_or(u64::MAX);
                (Act::LowerRisk, ("to", Told::Number(to)))
            }
            Self::SetRisk(_) => return Ok(None),
        };
        // Only what widens asks policy: risk rises whether or not policy can be read.
        let policy = match policy {
            Ok(policy) => policy,
            Err(problem) => return Ok(Some(problem.clone())),
        };
        let chain = facts::chain(tx, task).ok_or_else(|| super::unknown(task.id))?;
        let asked = About {
            policy,
            task,
            chain: &chain,
            now,
            seq: tx.head(),
        };
        let decision = asked.decide(act, who, &task.id.to_string(), &[input]);
        Ok(act::refusal(&decision))
    }
}

/// The opening of a task, or of one below another.
pub(super) struct About<'a> {
    pub(super) policy: &'a Bundle,
    /// The task that is opened; of a delegation the one above it.
    pub(super) task: &'a Task,
    pub(super) chain: &'a Chain,
    pub(super) now: Timestamp,
    /// Newest change of the store.
    pub(super) seq: u64,
}

impl About<'_> {
    /// Whether the task may be opened, to live so many seconds.
    pub(super) fn open(&self, life_s: u64) -> Decision {
        let input = [("life_s", Told::Number(life_s))];
        let agent = self.task.agent.as_str();
        self.decide(Act::OpenTask, agent, &self.task.id.to_string(), &input)
    }

    /// Whether the agent of the task may have another act below it.
    pub(super) fn delegate(&self, to: &AgentName, life_s: u64) -> Decision {
        let input = [("agent", Told::Agent(to)), ("life_s", Told::Number(life_s))];
        let agent = self.task.agent.as_str();
        self.decide(Act::Delegate, agent, &self.task.id.to_string(), &input)
    }

    fn decide(
        &self,
        act: Act,
        principal: &str,
        resource: &str,
        input: &[(&'static str, Told<'_>)],
    ) -> Decision {
        self.policy.decide_act(&Asked {
            act,
            principal,
            resource,
            input,
            task: self.task,
            chain: self.chain,
            // What a task has used, its enforcement point counts; policy about these acts sees none of it.
            usage: &Usage::default(),
            now: self.now,
            performs: PERFORMS,
            facts: &NO_FACTS,
            versions: Versions {
                bundle: Some(self.policy.version()),
                task: self.task.version,
                fence_seq: self.seq,
                replica_seq: self.seq,
            },
        })
    }
}

/// The life of what is opened is cut.
const PERFORMS: &[&str] = &["max_ttl"];
