//! What a new task gets: its scope within ceiling and parent, its deadline, its inherited risk and labels.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::agent::Agent;
use bailiwick_core::chain::Chain;
use bailiwick_core::decision::Decision;
use bailiwick_core::id::TaskId;
use bailiwick_core::label::Labels;
use bailiwick_core::name::WorkflowName;
use bailiwick_core::scope::{Bounds, Draft, Narrowing, Scope, delegate};
use bailiwick_core::task::{MAX_REQUEST_BYTES, Request, Task, TaskState};
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_crypto::hash::scope_digest;
use bailiwick_policy::act;
use bailiwick_policy::{Bundle, Facts, Stage};
use bailiwick_store::Tx;
use bailiwick_store::facts;

use super::deed::About;
use super::{OpenTask, unknown};
use crate::accounts::may_be_worked_for;
use crate::artefacts::known_of;
use crate::tools::Refusal;

/// A task in the making: everything that does not depend on the store.
pub(crate) struct Opening {
    pub(crate) id: TaskId,
    pub(crate) life: Duration,
    pub(crate) workflow: WorkflowName,
    pub(crate) stage: Stage,
    pub(crate) now: Timestamp,
    /// What decides whether it may be opened.
    pub(crate) policy: Arc<Bundle>,
    pub(crate) max_depth: usize,
    /// What the delegating task may do in its stage; none if that is no bound.
    pub(crate) cap: Option<Scope>,
    pub(crate) open: OpenTask,
}

/// A task that can be opened.
pub(crate) struct Opened {
    pub(crate) task: Task,
    pub(crate) agent: Agent,
    /// What made its scope narrower than was asked for.
    pub(crate) narrowed_by: Vec<Narrowing>,
    /// What policy said.
    pub(crate) decision: Decision,
}

impl Opening {
    /// The task and its agent, if nothing speaks against it.
    pub(crate) fn task(&self, tx: &mut dyn Tx, pseudonym: &str) -> Result<Opened, Refusal> {
        let open = &self.open;
        let agent = tx
            .agent(&open.agent)?
            .ok_or_else(|| crate::agents::unknown(&open.agent))?;
        if !agent.enabled {
            let message = format!("agent {} is disabled", agent.name);
            return Err(Problem::new(Code::Conflict, message, "`bailiwick agent enable`").into());
        }
        may_be_worked_for(tx, &open.user)?;
        let parent = match open.parent {
            Some(id) => Some(self.open_parent(tx, id)?),
            None => None,
        };
        let depth = parent.as_ref().map_or(0, |parent| parent.depth() + 1);
        if depth > self.max_depth {
            let message = format!("the task would be delegation {depth} in its chain");
            let help = format!(
                "this node takes {} in a row: [oauth] max_depth",
                self.max_depth
            );
            return Err(Problem::new(Code::DelegationDepth, message, help).into());
        }
        let (scope, narrowed_by) = self.scope(&agent, parent.as_ref())?;
        let mut expires_at = self.now.plus(self.life).min(scope.deadline());
        let (mut risk, mut labels, mut ancestors) = (
            agent.base_risk.max(self.stage.risk_floor),
            Labels::default(),
            Vec::new(),
        );
        if let Some(parent) = &parent {
            expires_at = expires_at.min(parent.expires_at);
            risk = risk.max(parent.risk);
            labels = parent.labels.clone();
            ancestors = parent
                .ancestors
                .iter()
                .copied()
                .chain([parent.id])
                .collect();
        }
        if expires_at <= self.now {
            return Err(Problem::new(
                Code::TaskExpired,
                "the scope's deadline is over",
                "give a later deadline",
            )
            .into());
        }
        let mut task = Task {
            id: self.id,
            parent: open.parent,
            ancestors,
            agent: agent.name.clone(),
            instance: None,
            user: parent
                .as_ref()
                .map_or_else(|| open.user.clone(), |parent| parent.user.clone()),
            user_pseudonym: tx.pseudonym_or(&open.user, pseudonym)?,
            request: open.request.clone(),
            workflow: self.workflow.clone(),
            stage: self.stage.name.clone(),
            scope_digest: scope_digest(&scope),
            scope,
            risk,
            labels,
            lineage: Vec::new(),
            created_at: self.now,
            expires_at,
            state: TaskState::Open,
            born_seq: tx.head() + 1,
            version: 1,
        };
        let chain = facts::chain(tx, &task).ok_or_else(|| {
            Problem::new(Code::Conflict, "the chain of the task is not complete", "")
        })?;
        if let Some(fence) = facts::fenced(tx, &chain.subjects())? {
            let message = format!("{} is revoked: {}", fence.subject, fence.reason);
            return Err(Problem::new(
                Code::Revoked,
                message,
                "an admin can lift it: `bailiwick fence list`",
            )
            .into());
        }
        let decision = self.decision(tx, &task, &chain, parent.as_ref())?;
        if let Some(problem) = act::refusal(&decision) {
            return Err(problem.into());
        }
        if let Some(most) = act::max_ttl(&decision) {
            task.expires_at = task.expires_at.min(self.now.plus(most));
        }
        Ok(Opened {
            task,
            agent,
            narrowed_by,
            decision,
        })
    }

    /// What policy says to a task that nothing else speaks against.
    fn decision(
        &self,
        tx: &dyn Tx,
        task: &Task,
        chain: &Chain,
        parent: Option<&Task>,
    ) -> Result<Decision, Refusal> {
        let life_s = task.expires_at.since(self.now).as_secs();
        let about = |task, chain, facts| About {
            policy: &self.policy,
            task,
            chain,
            now: self.now,
            seq: tx.head(),
            facts,
        };
        match parent {
            None => Ok(about(task, chain, Facts::default()).open(life_s)),
            Some(parent) => {
                let above = facts::chain(tx, parent).ok_or_else(|| unknown(parent.id))?;
                let known = known_of(tx, parent, self.now)?;
                Ok(about(parent, &above, known).delegate(&task.agent, life_s))
            }
        }
    }

    fn open_parent(&self, tx: &dyn Tx, id: TaskId) -> Result<Task, Refusal> {
        let parent = tx.task(id)?.ok_or_else(|| unknown(id))?;
        if let Some(code) = parent.refusal(self.now) {
            let message = format!("the parent task {id} is {}", parent.state.as_str());
            return Err(Problem::new(code, message, "open a new root task").into());
        }
        if parent.user != self.open.user {
            let message = "a delegated task is for the same user as its parent".to_owned();
            return Err(Problem::new(
                Code::DelegationWidening,
                message,
                format!("use {}", parent.user),
            )
            .into());
        }
        Ok(parent)
    }

    /// A root task gets what is asked for within the agent's ceiling; a delegated one also within its parent's scope.
    fn scope(
        &self,
        agent: &Agent,
        parent: Option<&Task>,
    ) -> Result<(Scope, Vec<Narrowing>), Refusal> {
        let refuse = |problem: Problem| Refusal::Problem(problem);
        let mut narrowed_by = Vec::new();
        let scope = match parent {
            Some(parent) => {
                let bounds = Bounds::below(&parent.scope);
                let request = match &self.open.scope {
                    Some(draft) => draft
                        .clone()
                        .fill(&bounds)
                        .map_err(|error| refuse(error.problem()))?,
                    None => Draft {
                        grants: parent.scope.grants().to_vec(),
                        budget: bounds.budget,
                        deadline: None,
                        depth: None,
                    }
                    .fill(&bounds)
                    .map_err(|error| refuse(error.problem()))?,
                };
                let delegated = delegate(
                    &parent.scope,
                    &request,
                    Some(&agent.ceiling),
                    self.cap.as_ref(),
                )
                .map_err(|error| refuse(error.problem()))?;
                narrowed_by = delegated.narrowed_by;
                delegated.scope
            }
            None => root_scope(agent, self.open.scope.as_ref()).map_err(refuse)?,
        };
        if scope.budget().egress_bytes.is_some() || scope.budget().spend.is_some() {
            return Err(refuse(Problem::new(
                Code::InvalidInput,
                "this release cannot enforce the budgets egress_bytes and spend",
                "leave them out; calls, writes, escalations and wall_time are enforced",
            )));
        }
        Ok((scope, narrowed_by))
    }
}

/// The scope of a root task: what is asked for, within the agent's ceiling.
pub(crate) fn root_scope(agent: &Agent, asked: Option<&Draft>) -> Result<Scope, Problem> {
    let Some(draft) = asked else {
        return Ok(agent.ceiling.clone());
    };
    let bounds = Bounds {
        budget: *agent.ceiling.budget(),
        deadline: agent.ceiling.deadline(),
        depth: agent.ceiling.depth(),
    };
    let asked = draft.clone().fill(&bounds);
    let scope = asked.and_then(|asked| asked.meet(&agent.ceiling));
    scope.map_err(|error| error.problem())
}

/// Whether a request says anything, within its bound.
pub(crate) fn check_request(request: &Request) -> Result<(), Problem> {
    let invalid = |message: &str| {
        Err(Problem::new(
            Code::InvalidInput,
            message,
            "say in words what was asked for",
        ))
    };
    if request.text.trim().is_empty() {
        return invalid("a task is opened for a request, and the request is empty");
    }
    if request.text.len() > MAX_REQUEST_BYTES {
        return invalid("a request has at most 32 KiB");
    }
    Ok(())
}
